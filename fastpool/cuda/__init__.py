"""Pooling on GPUs: the backend that `fastpool.arrays` hands out for CUDA arrays."""

from .align import align_backward, align_forward
from .array import DeviceArray
from .copies import accumulate, assign
from .fold import gather, plan_planes, reduce
from .plans import has_taps, plan, plan_backward
from .unpooling import unpool
from .weighted import weigh
from .whole import bounds, cells_filled, inner, within_windows

__all__ = [
    "DeviceArray",
    "accumulate",
    "align_backward",
    "align_forward",
    "assign",
    "bounds",
    "cells_filled",
    "gather",
    "has_taps",
    "inner",
    "plan",
    "plan_backward",
    "plan_planes",
    "reduce",
    "unpool",
    "weigh",
    "within_windows",
]
