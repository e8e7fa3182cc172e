"""Sum and average: accumulators by dtype, exact for integers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .compensated import (
    AVG_FLOAT64,
    PART,
    SUM_FLOAT64,
    compensated_sum,
    plus_compensated,
    plus_pairs,
    wide_mean,
    wide_sum,
    zero_pair,
    zero_pairs,
)
from .entry import Operator, Partial, State, always
from .fold import DType, Expression, Fold, accumulated, inverse_divisor, lift_float, plus, zero, zero_integer
from .line import Line, Params, adding, as_it_is, divided, same_or_wider
from .rounding import rounded, rounded_narrow


def mean(acc, divisor, params):
    return acc / divisor


def lift_integer(value, position, here, params):
    return np.int64(value)


def integer_mean(acc, divisor, params):
    """Rounded half up: floor(acc / divisor + 1/2)."""
    size = abs(divisor)
    return ((acc if divisor > 0 else -acc) + (size >> 1)) // size


# 64-bit integers sum their high and low halves, so that an average of the largest is exact.


def zero_halves(value, position, here, params):
    return np.int64(0), np.int64(0)


def lift_signed_halves(value, position, here, params):
    return np.int64(value) >> 32, np.int64(value) & 0xFFFFFFFF


def lift_unsigned_halves(value, position, here, params):
    return np.int64(value >> np.uint64(32)), np.int64(value & np.uint64(0xFFFFFFFF))


def plus_halves(a, b, params):
    low = a[1] + b[1]
    return a[0] + b[0] + (low >> 32), low & 0xFFFFFFFF


def halves_sum(acc, divisor, params):
    return acc[0] * 4294967296.0 + acc[1]


def halves_mean(acc, divisor, params):
    return halves_sum(acc, divisor, params) / divisor


def halves_integer_mean(acc, divisor, params):
    """As `integer_mean`, by long division in base 2**32, bit by bit where its steps would not fit 64 bits."""
    size = abs(divisor)
    low = (acc[1] if divisor > 0 else -acc[1]) + (size >> 1)
    high = (acc[0] if divisor > 0 else -acc[0]) + (low >> 32)
    result, rest = high // size, high % size
    low = low & 0xFFFFFFFF
    if size < 1 << 31:
        return (result << 32) + ((rest << 32) + low) // size
    for bit in range(31, -1, -1):
        rest = (rest << 1) + ((low >> bit) & 1)
        fits = 1 if rest >= size else 0
        result, rest = (result << 1) + fits, rest - size * fits
    return result


def sum_fold(source: DType, target: DType) -> Fold:
    """Of floats in float64, of float64 with its rounding error, of integers exactly."""
    if source.kind not in "iub":
        return SUM_FLOAT64 if source == np.float64 else Fold(zero, lift_float, plus, accumulated)
    if source.itemsize == 8 and target.kind not in "iu":
        return _halves(source, halves_sum)
    return Fold(zero_integer, lift_integer, plus, accumulated)


def avg_fold(source: DType, target: DType) -> Fold:
    """As `sum_fold`, divided."""
    to_integer = target.kind in "iu"
    if source.kind not in "iub":
        return AVG_FLOAT64 if source == np.float64 else Fold(zero, lift_float, plus, mean)
    if source.itemsize == 8:
        return _halves(source, halves_integer_mean if to_integer else halves_mean)
    return Fold(zero_integer, lift_integer, plus, integer_mean if to_integer else mean)


def _halves(source: DType, finish: Expression) -> Fold:
    lift = lift_signed_halves if source.kind == "i" else lift_unsigned_halves
    return Fold(zero_halves, lift, plus_halves, finish)


# The number of elements ----------------------------------------------------------------------------------


def lift_one(value, position, here, params):
    return np.int64(1)


def count_line(source: DType, target: DType, elements: int, chain: int, params: Params) -> Line | None:
    """Ones that are added up."""
    return adding("int32", as_it_is, lift=one_each) if target.kind in "iu" and target.itemsize == 8 else None


def one_each(value, knobs):
    return 1


# With weights: elements are pairs (value, weight), accumulators (sums of w x as in `compensated`, sum of w).


def zero_weighed(element, position, here, params):
    return zero_pairs(element[0], position, here, params), zero_pair(element[0], position, here, params)


def lift_weighed(element, position, here, params):
    value, weight = np.float64(element[0]), element[1]
    none = np.float64(0)
    return ((value * weight, none), (value * PART * weight, none)), (weight, none)


def plus_weighed(a, b, params):
    return plus_pairs(a[0], b[0], params), plus_compensated(a[1], b[1], params)


def weighed_mean(acc, divisor, params):
    return wide_mean(acc[0], compensated_sum(acc[1], divisor, params), params)


def weighed_sum(acc, divisor, params):
    return wide_sum(acc[0], divisor, params)


def sum_of_weights(acc, divisor, params):
    return compensated_sum(acc[1], divisor, params)


def nearest_mean(acc, divisor, params):
    """Half up, as averages of integers are."""
    return np.floor(weighed_mean(acc, divisor, params) + 0.5)


def nearest_sum(acc, divisor, params):
    return np.floor(weighed_sum(acc, divisor, params) + 0.5)


WEIGHED = Fold(zero_weighed, lift_weighed, plus_weighed, sum_of_weights, third=sum_of_weights)


def weighed(to_float: Expression, to_integer: Expression) -> Callable[[DType, DType], Fold]:
    """The folds of weighted elements, by the results' dtype."""
    return lambda _, target: WEIGHED._replace(finish=to_integer if target.kind in "iu" else to_float)


# Backward: every element has the same share, for which a window needs no elements --------------------------


def one(acc, divisor, params):
    return 1.0


def to_all(gradient, value, position, share, second, third, params):
    return gradient * share


# Lines ----------------------------------------------------------------------------------------------------

CHAIN = 40  # additions in a row that stay within a few ulp


def sum_line(source: DType, target: DType, elements: int, chain: int, params: Params) -> Line | None:
    """Floats, and integers to a dtype that holds the sums, or wraps as they would in 64 bits."""
    whole = source.kind in "iu"
    computed = _integers(source, target, elements) if whole else _floats(source, target, chain)
    return adding(computed, as_it_is) if computed else None


def avg_line(source: DType, target: DType, elements: int, chain: int, params: Params) -> Line | None:
    """Floats, and integers of up to 32 bits whose sums stay exact."""
    if source.kind not in "iu":
        computed = _floats(source, target, chain)
        return adding(computed, divided, "divisor") if computed else None
    if target != source or source.itemsize > 4:
        return None
    if source.itemsize == 4:  # below 2^49 products by inverses are off by less than a quarter of one
        return adding("float64", rounded, "inverse") if elements < 2**16 else None
    small = 255 if source == np.uint8 else 128
    if source.itemsize == 1 and elements * small < 2**15:
        return adding("uint16" if source.kind == "u" else "int16", rounded_narrow, "inverse")
    return adding("int32", rounded, "inverse") if elements < 2**15 else None


def sum_of_parts(source: DType, target: DType, elements: int, chain: int, params: Params) -> Line | None:
    """Floats of a large window in parts, whose sums are float64."""
    computed = _floats(source, source, chain)
    return adding(computed, as_it_is) if computed else None


def mean_of_parts(source: DType, target: DType, elements: int, chain: int, params: Params) -> Line | None:
    """As `sum_of_parts`, divided."""
    computed = _floats(source, source, chain)
    return adding(computed, divided, "divisor") if computed else None


def _floats(source: DType, target: DType, chain: int) -> str | None:
    if source.kind in "iub" or not same_or_wider(source, target):
        return None
    if chain <= CHAIN:
        return "float64" if source == np.float64 else "float32"
    return None if source == np.float64 else "float64"  # float64 carries its error along, which lines do not


def _integers(source: DType, target: DType, elements: int) -> str | None:
    """The narrowest integers that hold every sum; None where the target is of another sign, or narrower."""
    if target.kind != source.kind:
        return None
    limits = np.iinfo(source)
    largest = elements * max(limits.max, -int(limits.min))
    fits = [bits for bits in (16, 32, 64) if largest < 2 ** (bits - 1) or bits == 64]
    dtype = np.dtype(f"{target.kind}{fits[0] // 8}")
    return dtype.name if limits.bits // 8 <= dtype.itemsize <= target.itemsize else None


# Chunks ---------------------------------------------------------------------------------------------------


def merged_means(a: State, b: State, params: dict[str, Any]) -> State:
    """Of both, weighted by how many elements they are of."""
    if a[0].dtype.kind in "iu":
        return (a[0] + b[0],)
    n = a[-1] + b[-1]
    return (a[0] * (a[-1] / n) + b[0] * (b[-1] / n),)


def finished_mean(state: State, params: dict[str, Any]) -> Any:
    """Sums are divided, rounded half up."""
    found, n = state
    if found.dtype.kind not in "iu":
        return found
    return found // n + (found % n * 2 >= n)


# Entries --------------------------------------------------------------------------------------------------

AVG = Operator(
    "avg",
    avg_fold,
    "spread",
    "all",
    pull=to_all,
    state=always(Fold(zero, zero, plus, inverse_divisor)),
    averages=True,
    line=avg_line,
    partial=Partial(
        lambda value, params: (value("sum" if params["exact"] else "avg"),), merged_means, finished_mean
    ),
    weighed=weighed(weighed_mean, nearest_mean),
)
SUM = Operator(
    "sum",
    sum_fold,
    "spread",
    "all",
    pull=to_all,
    state=always(Fold(zero, zero, plus, one)),
    promotes=True,
    line=sum_line,
    partial=Partial(lambda value, _: (value("sum"),), lambda a, b, _: (a[0] + b[0],)),
    weighed=weighed(weighed_sum, nearest_sum),
)
COUNT = Operator(
    "count",
    always(Fold(zero_integer, lift_one, plus, accumulated)),
    "none",
    "all",
    counts=True,
    line=count_line,
    partial=Partial(lambda value, _: (value("count"),), lambda a, b, _: (a[0] + b[0],)),
    weighed=weighed(sum_of_weights, sum_of_weights),
)
