"""Pooling on the CPU: the backend that `fastpool.arrays` hands out for NumPy arrays."""

from .align import align_backward, align_forward, align_way
from .fold import gather, plan_planes, reduce
from .plans import plan
from .spread import send_chosen, send_shares
from .taps import plan as plan_taps

__all__ = [
    "align_backward",
    "align_forward",
    "align_way",
    "gather",
    "plan",
    "plan_planes",
    "plan_taps",
    "reduce",
    "send_chosen",
    "send_shares",
]
