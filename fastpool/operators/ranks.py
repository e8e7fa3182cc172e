"""Median, quantile and mode, which need the whole window.

The accumulator counts the elements that are collected in memory, ``params[1]`` and ``params[2]``.
"""

import math

import numpy as np

from .entry import FRACTION, Operator, Parameter
from .fold import DType, Fold, lift_choice, nothing, zero_integer
from .selection import has_nan, largest_run, most_frequent, next_place, select


def collect(count, element, params):
    params[1][count] = element[0]
    params[2][count] = element[1]
    return count + 1


def below_rank(count, params):
    """How far the quantile is from the element before it, in elements."""
    at = params[0][0] * (count - 1)
    return at - math.floor(at)


def lower_place(count, params):
    """Where in the window's memory the element at or before the quantile is, once selected."""
    return select(params[1], params[2], count, np.int64(params[0][0] * (count - 1)))


def between(low, high, t):
    """Linear interpolation that is exact at both ends; equal ends, infinite ones too, stay.

    Next to one infinity it is that, and of a zero it is the positive one.
    """
    gap = high - low
    near = low + gap * t if t < 0.5 else high - gap * (1.0 - t)
    inside = near if gap < np.inf else low * (1.0 - t) + high * t
    value = middle(low, high) if t == 0.5 else inside
    return (low if (low == high) | (t == 0) else value) + 0.0


def middle(low, high):
    """Half of each: their sum might overflow."""
    return low * 0.5 + high * 0.5


def quantile_value(count, divisor, params):
    values, t = params[1], below_rank(count, params)
    odd = has_nan(values, count)
    at = odd if odd >= 0 else lower_place(count, params)
    high = at if (odd >= 0) | (t == 0) else next_place(values, params[2], count, at)
    return between(np.float64(values[at]), np.float64(values[high]), t)


def lower_value(count, divisor, params):
    return params[1][lower_place(count, params)]


def lower_position(count, divisor, params):
    odd = has_nan(params[1], count)
    return params[2][odd if odd >= 0 else lower_place(count, params)]


def upper_position(count, divisor, params):
    odd = has_nan(params[1], count)
    at = odd if odd >= 0 else lower_place(count, params)
    exact = (odd >= 0) | (below_rank(count, params) == 0)
    return params[2][at if exact else next_place(params[1], params[2], count, at)]


def upper_weight(count, divisor, params):
    return below_rank(count, params)


def no_weight(count, divisor, params):
    return 0.0


def quantile_pull(gradient, value, position, low, high, t, params):
    return gradient * ((1.0 - t) * (1.0 if position == low else 0.0) + t * (1.0 if position == high else 0.0))


def collect_counted(count, element, params):
    """Collect but for the ignored value: it stays where the next element goes."""
    params[1][count] = element[0]
    return count + (0 if ignored(element[0], params[0]) else 1)


def ignored(value, params):
    """Whether the value's 64 bits are those of ``ignore``, given in halves."""
    bits = np.int64(value)
    same = ((bits >> 32) & 0xFFFFFFFF == np.int64(params[1])) & (bits & 0xFFFFFFFF == np.int64(params[2]))
    return (params[0] != 0) & same


def collect_tied(count, element, params):
    """As `collect_counted`, with places."""
    return collect(count, element, params) - (1 if ignored(element[0], params[0]) else 0)


def collect_floats(count, element, params):
    """As `collect_tied`; both zeros are the positive one."""
    value = element[0]
    zeroless = value - value if value == 0 else value
    return collect(count, (zeroless, element[1]), params) - (1 if ignored_float(value, params[0]) else 0)


def ignored_float(value, params):
    """Whether the value is ``ignore``, or both are NaN."""
    return (params[0] != 0) & ((value == params[1]) | ((value != value) & (params[1] != params[1])))


def tied_value(count, divisor, params):
    """As `mode_value`, of ties as asked for; a NaN that counts wins."""
    odd = has_nan(params[1], count)
    return params[1][odd if odd >= 0 else most_frequent(params[1], params[2], count, params[0][3])]


def mode_value(count, divisor, params):
    """The most frequent; where all are ignored, the ignored value, which was stored first."""
    return params[1][largest_run(params[1], count)]


RANKS = frozenset(
    (collect, collect_counted, collect_tied, collect_floats)
)  # how folds combine that need the whole window

QUANTILE_FOLD = Fold(zero_integer, lift_choice, collect, quantile_value)
LOWER_FOLD = QUANTILE_FOLD._replace(finish=lower_value)
QUANTILE_STATE = QUANTILE_FOLD._replace(finish=lower_position, second=upper_position, third=upper_weight)
LOWER_STATE = QUANTILE_STATE._replace(second=nothing, third=no_weight)
MODE_FOLD = Fold(zero_integer, lift_choice, collect_counted, mode_value)
TIED_FOLD = Fold(zero_integer, lift_choice, collect_tied, tied_value)
FLOATS_FOLD = TIED_FOLD._replace(combine=collect_floats)


def quantile_fold(source: DType, target: DType) -> Fold:
    """Interpolated where the result is a float, else the lower element."""
    return LOWER_FOLD if target.kind in "iub" else QUANTILE_FOLD


def quantile_state(source: DType) -> Fold:
    """The places of the elements that are used: of integers one."""
    return LOWER_STATE if source.kind in "iub" else QUANTILE_STATE


def tied_fold(source: DType, target: DType) -> Fold:
    """With places, which tell the first of ties."""
    return TIED_FOLD if source.kind in "iub" else FLOATS_FOLD


def mode_fold(source: DType, target: DType) -> Fold:
    """Of integers without places: of ties it is the smallest."""
    return MODE_FOLD if source.kind in "iub" else FLOATS_FOLD


QUANTILE = Operator(
    "quantile",
    quantile_fold,
    "states",
    "numbers",
    pull=quantile_pull,
    state=quantile_state,
    params=(Parameter("q", None, FRACTION),),
)
MEDIAN = QUANTILE._replace(name="median", dtypes="all", params=(), fixed=(0.5,))
TIED = Operator("mode", tied_fold, "none", "all")
MODE = TIED._replace(fold=mode_fold, tied=TIED)
