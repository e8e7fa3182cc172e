"""Pooling on the CPU: the backend that `fastpool.arrays` hands out for NumPy arrays."""

from .fold import gather, reduce
from .plans import reduce_lines
from .spread import send_chosen, send_shares

__all__ = ["gather", "reduce", "reduce_lines", "send_chosen", "send_shares"]
