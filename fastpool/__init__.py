"""Pooling on arrays: every operator, any axes, exact rules, forward and backward."""

from importlib import import_module as _import_module
from types import ModuleType as _ModuleType

from .align import roi_align, roi_align_backward
from .api import (
    adaptive_avg_pool,
    adaptive_max_pool,
    adaptive_pool,
    avg_pool,
    count_pool,
    gem_pool,
    global_avg_pool,
    global_max_pool,
    global_pool,
    global_sum_pool,
    lp_pool,
    lse_pool,
    max_pool,
    median_pool,
    min_pool,
    mixed_pool,
    mode_pool,
    nearest_pool,
    pool,
    quantile_pool,
    soft_pool,
    std_pool,
    stochastic_pool,
    sum_pool,
    var_pool,
)
from .area import area_pool, area_pool_backward, blur_pool, blur_pool_backward
from .explain import explain
from .explain_call import explain_call
from .forms import (
    fractional_pool,
    fractional_pool_backward,
    mosaic,
    mosaic_backward,
    pyramid_pool,
    pyramid_pool_backward,
    roi_pool,
    roi_pool_backward,
)
from .gradients import adaptive_pool_backward, global_pool_backward, pool_backward, vjp
from .indices import convert_indices
from .segments import segment_pool, segment_pool_backward
from .threads import get_num_threads, get_threading_layer, set_num_threads, set_threading_layer
from .unpooling import unpool, unpool_backward

__version__ = "0.2.0"

PARTS = ("compat", "descriptors", "interop", "pyramid", "random")  # of public names, loaded when used

__all__ = [
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "adaptive_pool",
    "adaptive_pool_backward",
    "area_pool",
    "area_pool_backward",
    "avg_pool",
    "blur_pool",
    "blur_pool_backward",
    "convert_indices",
    "count_pool",
    "explain",
    "explain_call",
    "fractional_pool",
    "fractional_pool_backward",
    "gem_pool",
    "get_num_threads",
    "get_threading_layer",
    "global_avg_pool",
    "global_max_pool",
    "global_pool",
    "global_pool_backward",
    "global_sum_pool",
    "lp_pool",
    "lse_pool",
    "max_pool",
    "median_pool",
    "min_pool",
    "mixed_pool",
    "mode_pool",
    "mosaic",
    "mosaic_backward",
    "nearest_pool",
    "pool",
    "pool_backward",
    "pyramid_pool",
    "pyramid_pool_backward",
    "quantile_pool",
    "roi_align",
    "roi_align_backward",
    "roi_pool",
    "roi_pool_backward",
    "segment_pool",
    "segment_pool_backward",
    "set_num_threads",
    "set_threading_layer",
    "soft_pool",
    "std_pool",
    "stochastic_pool",
    "sum_pool",
    "unpool",
    "unpool_backward",
    "var_pool",
    "vjp",
]


def __getattr__(name: str) -> _ModuleType:
    if name in PARTS:
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *PARTS, "__version__"])
