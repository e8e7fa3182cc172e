"""Variance and standard deviation: squared distances from the mean.

An accumulator is (n, m, what roundings of m lost, s, what roundings of s lost) with n elements, or their sum
of weights, m their mean and s the sum of their squared distances from it. Two merge as Chan, Golub and
LeVeque (1979) do. All that s adds up is positive and m has the digits of two numbers, so nothing cancels,
however far the mean is from 0; equal elements have distances of exactly 0.
"""

import math
from typing import Any

import numpy as np

from .compensated import compensated_sum
from .entry import NOT_NEGATIVE, Operator, Parameter, Partial, State, Weighing, always
from .fold import DType, Fold, two_sum
from .sums import lift_signed_halves, lift_unsigned_halves


def none_spread(value, position, here, params):
    none = np.float64(0)
    return none, none, none, none, none


def lift_spread(value, position, here, params):
    none = np.float64(0)
    return np.float64(1), np.float64(value), none, none, none


def lift_signed_spread(value, position, here, params):
    """An integer of 64 bits by its halves, of which no digit is lost."""
    return of_halves(lift_signed_halves(value, position, here, params))


def lift_unsigned_spread(value, position, here, params):
    return of_halves(lift_unsigned_halves(value, position, here, params))


def of_halves(halves):
    none = np.float64(0)
    rounded, lost = two_sum(halves[0] * 4294967296.0, np.float64(halves[1]))
    return np.float64(1), rounded, lost, none, none


def plus_spread(a, b, params):
    first, n = a if a[0] > 0 else b, a[0] + b[0]
    part = b[0] / n if n > 0 else 0.0
    apart = (b[1] - first[1]) + (b[2] - first[2])
    mean, lost_mean = two_sum(first[1], apart * part)
    squares, lost = two_sum(a[3], b[3] + apart * (apart * (part * a[0])))
    return n, mean, first[2] + lost_mean, squares, a[4] + b[4] + lost


def variance(acc, divisor, params):
    """NaN of infinities, whose mean is no number, and of no more than ``ddof`` elements."""
    squares = compensated_sum((acc[3], acc[4]), divisor, params) + (acc[1] - acc[1])
    return squares / (acc[0] - params[0]) if acc[0] > params[0] else math.nan


def deviation(acc, divisor, params):
    return math.sqrt(variance(acc, divisor, params))


# Where squares of float64 overflow, those of a part of each element do not.

PART = 2.0**-600
WHOLE = 2.0**600


def none_spreads(value, position, here, params):
    none = none_spread(value, position, here, params)
    return none, none


def lift_spreads(value, position, here, params):
    value = np.float64(value)
    return lift_spread(value, position, here, params), lift_spread(value * PART, position, here, params)


def plus_spreads(a, b, params):
    return plus_spread(a[0], b[0], params), plus_spread(a[1], b[1], params)


def wide_variance(acc, divisor, params):
    value = variance(acc[0], divisor, params)
    return value if value - value == 0 else variance(acc[1], divisor, params) * WHOLE * WHOLE


def wide_deviation(acc, divisor, params):
    value = deviation(acc[0], divisor, params)
    return value if value - value == 0 else deviation(acc[1], divisor, params) * WHOLE


VAR_WIDE = Fold(none_spreads, lift_spreads, plus_spreads, wide_variance)
VAR_FOLD = Fold(none_spread, lift_spread, plus_spread, variance)
VAR_FLOAT64 = VAR_FOLD._replace(wide=VAR_WIDE)
VAR_SIGNED = VAR_FOLD._replace(lift=lift_signed_spread)
VAR_UNSIGNED = VAR_FOLD._replace(lift=lift_unsigned_spread)


def var_fold(source: DType, target: DType) -> Fold:
    """Of all numbers in float64, of float64 with its overflows, of 64-bit integers without a rounding."""
    if source.kind in "iu" and source.itemsize == 8:
        return VAR_SIGNED if source.kind == "i" else VAR_UNSIGNED
    return VAR_FLOAT64 if source == np.float64 else VAR_FOLD


def std_fold(source: DType, target: DType) -> Fold:
    """As `var_fold`, and the root."""
    fold = var_fold(source, target)
    return fold._replace(finish=deviation, wide=fold.wide and fold.wide._replace(finish=wide_deviation))


# Backward: d var / dx = 2 (x - m) / (n - ddof), d std / dx = (x - m) / (std (n - ddof)) ---------------------


def mean(acc, divisor, params):
    return acc[1]


def lost_of_mean(acc, divisor, params):
    return acc[2]


def var_share(acc, divisor, params):
    return 2.0 / (acc[0] - params[0]) if acc[0] > params[0] else 0.0


def std_share(acc, divisor, params):
    return share_of_root(deviation(acc, divisor, params), acc[0] - params[0])


def share_of_root(root, n):
    """0 of windows without a value, and of equal elements."""
    return 0.0 if (n <= 0) | (root == 0) else 1.0 / root / n


def wide_mean(acc, divisor, params):
    return acc[0][1] if is_finite(acc) else acc[1][1] * WHOLE


def wide_lost_of_mean(acc, divisor, params):
    return acc[0][2] if is_finite(acc) else acc[1][2] * WHOLE


def is_finite(acc):
    return acc[0][1] - acc[0][1] == 0


def wide_var_share(acc, divisor, params):
    return var_share(acc[0], divisor, params)


def wide_std_share(acc, divisor, params):
    return share_of_root(wide_deviation(acc, divisor, params), acc[0][0] - params[0])


def spread_pull(gradient, value, position, mean, lost, share, params):
    return gradient * (((value - mean) - lost) * share) if share != 0 else 0.0


def var_state(source: DType) -> Fold:
    """Mean, what it lost, and what distances are multiplied by."""
    fold = var_fold(source, source)
    wide = fold.wide and VAR_WIDE._replace(finish=wide_mean, second=wide_lost_of_mean, third=wide_var_share)
    return fold._replace(finish=mean, second=lost_of_mean, third=var_share, wide=wide)


def std_state(source: DType) -> Fold:
    """As `var_state`."""
    fold = var_state(source)
    return fold._replace(third=std_share, wide=fold.wide and fold.wide._replace(third=wide_std_share))


# With weights: elements are pairs (value, weight). The gradient for x is theirs times the weight; that for a
# weight is d var / dw = ((x - m)^2 - var) / sum of w, d std / dw the same over 2 std.


def lift_weighed_spreads(element, position, here, params):
    value, weight, none = np.float64(element[0]), element[1], np.float64(0)
    return (weight, value, none, none, none), (weight, value * PART, none, none, none)


def sum_of_weights(acc, divisor, params):
    return acc[0][0]


def spread_send(gradient, value, position, mean, variance, share, params):
    distance = value - mean
    return gradient * ((distance * distance - variance) * (0.5 * share)) if share != 0 else 0.0


WEIGHED = Fold(none_spreads, lift_weighed_spreads, plus_spreads, wide_variance, third=sum_of_weights)
VAR_WEIGHING = Weighing(
    WEIGHED._replace(finish=wide_mean, second=wide_lost_of_mean, third=wide_var_share),
    WEIGHED._replace(finish=wide_mean, second=wide_variance, third=wide_var_share),
    spread_send,
)
STD_WEIGHING = Weighing(
    VAR_WEIGHING.state._replace(third=wide_std_share),
    VAR_WEIGHING.slope._replace(third=wide_std_share),
    spread_send,
)


# Chunks ---------------------------------------------------------------------------------------------------


def merged_spreads(a: State, b: State, params: dict[str, Any]) -> State:
    """Of both: pairs of standard deviation and mean."""
    part = b[-1] / (a[-1] + b[-1])
    own, other, apart = np.sqrt(1 - part), np.sqrt(part), b[1] - a[1]
    within = np.hypot(a[0] * own, b[0] * other)
    return np.hypot(within, apart * (own * other)), a[1] + apart * part


def finished_std(state: State, params: dict[str, Any]) -> Any:
    """As if the sum of squares had been divided by ``n - ddof``; NaN where the mean is no number."""
    root, n, left = state[0] + (state[1] - state[1]), state[-1], state[-1] - params["ddof"]
    return root * np.sqrt(np.where(left > 0, n / np.where(left > 0, left, 1), math.nan))


STD_PARTIAL = Partial(
    lambda value, _: (value("std"), value("avg", dtype=np.float64)), merged_spreads, finished_std
)


# Entries --------------------------------------------------------------------------------------------------

VAR = Operator(
    "var",
    var_fold,
    "states",
    "all",
    pull=spread_pull,
    state=var_state,
    to_floats=True,
    params=(Parameter("ddof", 0.0, NOT_NEGATIVE),),
    partial=STD_PARTIAL._replace(finish=lambda state, params: finished_std(state, params) ** 2),
    weighed=always(WEIGHED),
    weighing=VAR_WEIGHING,
)
STD = VAR._replace(
    name="std",
    fold=std_fold,
    state=std_state,
    partial=STD_PARTIAL,
    weighed=always(WEIGHED._replace(finish=wide_deviation)),
    weighing=STD_WEIGHING,
)
