"""Pooling on the CPU: the backend that `fastpool.arrays` hands out for NumPy arrays."""

from .align import align_backward, align_forward, align_way
from .backward import has_taps, plan_backward
from .fold import Present, gather, plan_planes, reduce, reduce_present
from .missing import first_few, keep, mask_of, product, replaced, settle, shared, slope_of_weights
from .plans import plan, plan_present
from .present import Beside
from .walk import LISTED, WEIGHED
from .weighted import weigh, weigh_way

__all__ = [
    "LISTED",
    "WEIGHED",
    "Beside",
    "Present",
    "align_backward",
    "align_forward",
    "align_way",
    "first_few",
    "gather",
    "has_taps",
    "keep",
    "mask_of",
    "plan",
    "plan_backward",
    "plan_planes",
    "plan_present",
    "product",
    "reduce",
    "reduce_present",
    "replaced",
    "settle",
    "shared",
    "slope_of_weights",
    "weigh",
    "weigh_way",
]
