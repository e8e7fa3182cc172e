"""Pooling on GPUs: the backend that `fastpool.arrays` hands out for CUDA arrays."""

from .align import align_backward, align_forward
from .array import DeviceArray
from .copies import accumulate, assign
from .fold import gather, plan_planes, reduce, send_shares
from .plans import plan, plan_taps, send_chosen
from .unpool import unpool
from .whole import bounds, inner, overlap, spread, within_windows

__all__ = [
    "DeviceArray",
    "accumulate",
    "align_backward",
    "align_forward",
    "assign",
    "bounds",
    "gather",
    "inner",
    "overlap",
    "plan",
    "plan_planes",
    "plan_taps",
    "reduce",
    "send_chosen",
    "send_shares",
    "spread",
    "unpool",
    "within_windows",
]
