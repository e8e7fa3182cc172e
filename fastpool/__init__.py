"""Pooling on arrays: every operator, any axes, exact rules, forward and backward."""

from .api import (
    adaptive_avg_pool,
    adaptive_max_pool,
    adaptive_pool,
    avg_pool,
    global_avg_pool,
    global_max_pool,
    global_pool,
    global_sum_pool,
    lp_pool,
    max_pool,
    min_pool,
    pool,
    sum_pool,
)
from .gradients import adaptive_pool_backward, global_pool_backward, pool_backward, vjp
from .threads import get_num_threads, set_num_threads
from .unpooling import unpool, unpool_backward

__version__ = "0.1.0"

__all__ = [
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "adaptive_pool",
    "adaptive_pool_backward",
    "avg_pool",
    "get_num_threads",
    "global_avg_pool",
    "global_max_pool",
    "global_pool",
    "global_pool_backward",
    "global_sum_pool",
    "lp_pool",
    "max_pool",
    "min_pool",
    "pool",
    "pool_backward",
    "set_num_threads",
    "sum_pool",
    "unpool",
    "unpool_backward",
    "vjp",
]
