"""Pooling on the CPU: the backend that `fastpool.arrays` hands out for NumPy arrays."""

from .fold import gather, reduce
from .taps import send_taps, share_taps
from .plans import plan
from .spread import send_chosen, send_shares

__all__ = ["gather", "plan", "reduce", "send_chosen", "send_shares", "send_taps", "share_taps"]
