"""Pooling on GPUs: the backend that `fastpool.arrays` hands out for CUDA arrays."""

from .align import align_backward, align_forward
from .array import DeviceArray
from .copies import accumulate, assign, gathered, looked_up
from .fold import Present, gather, plan_planes, reduce, reduce_present
from .missing import (
    first_few,
    keep,
    mask_of,
    plan_present,
    product,
    raise_to,
    replaced,
    settle,
    shared,
    slope_of_weights,
)
from .plans import has_taps, plan, plan_backward
from .unpooling import unpool
from .walk import LISTED, WEIGHED
from .weighted import weigh
from .whole import bounds, cells_filled, inner, within_windows

__all__ = [
    "LISTED",
    "WEIGHED",
    "DeviceArray",
    "Present",
    "accumulate",
    "align_backward",
    "align_forward",
    "assign",
    "bounds",
    "cells_filled",
    "first_few",
    "gather",
    "gathered",
    "has_taps",
    "inner",
    "keep",
    "looked_up",
    "mask_of",
    "plan",
    "plan_backward",
    "plan_planes",
    "plan_present",
    "product",
    "raise_to",
    "reduce",
    "reduce_present",
    "replaced",
    "settle",
    "shared",
    "slope_of_weights",
    "unpool",
    "weigh",
    "within_windows",
]
