"""Pooling on the CPU: the backend that `fastpool.arrays` hands out for NumPy arrays."""

from .align import align_backward, align_forward, align_way
from .backward import has_taps, plan_backward
from .fold import gather, plan_planes, reduce
from .plans import plan
from .weighted import weigh, weigh_way

__all__ = [
    "align_backward",
    "align_forward",
    "align_way",
    "gather",
    "has_taps",
    "plan",
    "plan_backward",
    "plan_planes",
    "reduce",
    "weigh",
    "weigh_way",
]
