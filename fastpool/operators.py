"""The operator table: each operator is a few expressions, written once for every form and device.

An operator is a monoid over the elements of a window. `Fold` names its expressions; all of them are plain
Python on scalars and tuples, so that the CPU and the CUDA compiler both take them, and all of them are
expressions: an ``if`` statement where an expression would do costs a factor of three.

=========== ======================================== ====================================================
expression  arguments                                gives
=========== ======================================== ====================================================
``start``   value, position, params                  the accumulator of no element (a first value is at
                                                     hand for those that need one, and may be counted again)
``lift``    value, position, here, params            the accumulator of one element
``combine`` earlier, later, params                   the accumulator of both, in row-major order
``finish``  accumulator, divisor, params             the window's value
``second``  accumulator, divisor, params             a second result: the chosen element's index, or a
                                                     number that backward needs
``pull``    gradient, value, position, first,        what one window sends back to one of its elements
            second, params
=========== ======================================== ====================================================

``position`` is the element's flat position in its plane, ``here`` the window's flat position in the output
(the counter of a random operator), ``params`` the operator's parameters in the table's order.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Expression = Callable[..., Any]


class Fold(NamedTuple):
    """The expressions that reduce a window."""

    start: Expression
    lift: Expression
    combine: Expression
    finish: Expression
    second: Expression


class Line(NamedTuple):
    """The same reduction on bare values, for passes over whole lines of memory (regular windows).

    ``merge(earlier, later)`` combines two values and may lose NaNs; ``careful`` keeps them, and is None where
    `merge` does. ``finish(value, scale)`` makes the result; `scale` is the window's divisor, or for integers
    its inverse. `neutral` changes nothing, `dtype` is what the passes compute in. ``element(value, offset)``
    is what a line holds: the value itself, or the pair of it and its offset in the plane.
    """

    merge: Expression
    careful: Expression | None
    finish: Expression
    neutral: float
    dtype: str
    element: Expression


class Parameter(NamedTuple):
    """A number that an operator takes: its name, default, allowed range, and d value / d parameter."""

    name: str
    default: float
    minimum: float  # exclusive
    slope: Fold


class Operator(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    name : str
    fold : callable
        ``fold(source, target)`` gives the `Fold` for an input and an output dtype.
    backward : {"spread", "chosen", "states"}
        How a gradient returns: shared by every element, to the chosen element (whose index is the fold's
        second result), or by `pull` from the results of `state`.
    dtypes : {"all", "numbers", "floats"}
        Accepted input: "numbers" leaves out bool.
    pull : callable or None
    state : Fold or None
        Gives the two float64 numbers a window that `pull` reads.
    promotes : bool
        Whether integers widen as in `numpy.sum`.
    averages : bool
        Whether ``count_include_pad`` and ``divisor_override`` apply.
    params : tuple of Parameter
    line : callable or None
        ``line(source, target, elements, chain)`` gives the `Line` for windows of that many elements, each of
        which takes part in up to `chain` merges, or None where the general skeleton must serve.
    placed : callable or None
        ``placed(source)`` gives the `Line` whose elements are pairs of value and place.
    """

    name: str
    fold: Callable[[np.dtype[Any], np.dtype[Any]], Fold]
    backward: str
    dtypes: str
    pull: Expression | None = None
    state: Fold | None = None
    promotes: bool = False
    averages: bool = False
    params: tuple[Parameter, ...] = ()
    line: Callable[[np.dtype[Any], np.dtype[Any], int, int], Line | None] | None = None
    placed: Callable[[np.dtype[Any]], Line] | None = None


# Expressions that several folds share ------------------------------------------------------------------


def nothing(acc, divisor, params):
    return 0


def plus(a, b, params):
    return a + b


def accumulated(acc, divisor, params):
    return acc


# max, min: (value, position) -----------------------------------------------------------------------------


def begin_choice(value, position, params):
    return value, position


def lift_choice(value, position, here, params):
    return value, position


def larger(a, b, params):
    """The first of equals; a NaN beats every number and the NaNs after it."""
    take = (b[0] > a[0]) | ((b[0] != b[0]) & (a[0] == a[0]))
    return b[0] if take else a[0], b[1] if take else a[1]


def smaller(a, b, params):
    take = (b[0] < a[0]) | ((b[0] != b[0]) & (a[0] == a[0]))
    return b[0] if take else a[0], b[1] if take else a[1]


def chosen_value(acc, divisor, params):
    return acc[0]


def chosen_position(acc, divisor, params):
    return acc[1]


def to_chosen(gradient, value, position, chosen, unused, params):
    return np.float64(gradient) if chosen == position else 0.0


# sum, avg: four accumulators, by dtype -------------------------------------------------------------------


def zero(value, position, params):
    return np.float64(0)


def lift_float(value, position, here, params):
    return np.float64(value)


def mean(acc, divisor, params):
    return acc / divisor


# float64 carries the rounding error of its sum along (Knuth's TwoSum).


def zero_pair(value, position, params):
    return np.float64(0), np.float64(0)


def lift_pair(value, position, here, params):
    return np.float64(value), np.float64(0)


def plus_compensated(a, b, params):
    total = a[0] + b[0]
    seen = total - a[0]
    return total, a[1] + b[1] + ((a[0] - (total - seen)) + (b[0] - seen))


def compensated_sum(acc, divisor, params):
    return acc[0] + acc[1] if acc[1] - acc[1] == 0 else acc[0]  # an infinite sum has a NaN error


def compensated_mean(acc, divisor, params):
    return compensated_sum(acc, divisor, params) / divisor


def zero_integer(value, position, params):
    return np.int64(0)


def lift_integer(value, position, here, params):
    return np.int64(value)


def integer_mean(acc, divisor, params):
    """Rounded half up: floor(acc / divisor + 1/2)."""
    size = abs(divisor)
    return ((acc if divisor > 0 else -acc) + (size >> 1)) // size


# 64-bit integers sum their high and low halves, so that an average of the largest is exact.


def zero_halves(value, position, params):
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
    """As `integer_mean`, by long division in base 2**32; needs abs(divisor) < 2**31."""
    size = abs(divisor)
    low = (acc[1] if divisor > 0 else -acc[1]) + (size >> 1)
    high = (acc[0] if divisor > 0 else -acc[0]) + (low >> 32)
    return ((high // size) << 32) + (((high % size) << 32) + (low & 0xFFFFFFFF)) // size


def _add_up(source: np.dtype[Any], target: np.dtype[Any], *, average: bool) -> Fold:
    to_float = target.kind not in "iu"
    if source.kind not in "iu":
        if source == np.float64:
            finish = compensated_mean if average else compensated_sum
            return Fold(zero_pair, lift_pair, plus_compensated, finish, nothing)
        return Fold(zero, lift_float, plus, mean if average else accumulated, nothing)
    if source.itemsize == 8 and (average or to_float):
        lift = lift_signed_halves if source.kind == "i" else lift_unsigned_halves
        averaged = halves_mean if to_float else halves_integer_mean
        return Fold(zero_halves, lift, plus_halves, averaged if average else halves_sum, nothing)
    averaged = mean if to_float else integer_mean
    return Fold(zero_integer, lift_integer, plus, averaged if average else accumulated, nothing)


# lp: (m, s) with sum |x|^p = m^p s and m the largest |x|, so that no power overflows ---------------------


def zero_scaled(value, position, params):
    return np.float64(0), np.float64(0)


def lift_scaled(value, position, here, params):
    return abs(np.float64(value)), np.float64(1)


def ratio_power(part, whole, p):
    """(part / whole)^p, and 1 for 0 / 0 and inf / inf; no power is taken where none is needed."""
    ratio = part / whole
    return 1.0 if part == whole else ratio * ratio if p == 2 else ratio**p


def plus_scaled(a, b, params):
    top = a[0] if (a[0] > b[0]) | (a[0] != a[0]) else b[0]
    return top, a[1] * ratio_power(a[0], top, params[0]) + b[1] * ratio_power(b[0], top, params[0])


def lp_norm(acc, divisor, params):
    return acc[0] * acc[1] ** (1.0 / params[0]) if acc[0] != 0 else 0.0


def lp_scale(acc, divisor, params):
    return acc[1] ** (1.0 / params[0] - 1.0)


def lp_pull(gradient, value, position, top, scale, params):
    """Send g sign(x) (|x| / y)^(p-1), with y = m s^(1/p); 0 where x or y is 0."""
    share = ratio_power(abs(np.float64(value)), top, params[0] - 1.0) * scale
    return 0.0 if value == 0 else gradient * share * (1.0 if value > 0 else -1.0)


# d lp / dp = y (t / (p s) - log(s) / p^2), where t = sum r^p log r and r = |x| / m


def zero_slope(value, position, params):
    return np.float64(0), np.float64(0), np.float64(0)


def lift_slope(value, position, here, params):
    return abs(np.float64(value)), np.float64(1), np.float64(0)


def rescaled_slope(acc, top, p):
    power = ratio_power(acc[0], top, p)
    scaling = math.log(acc[0] / top) if (acc[0] > 0) & (acc[0] < top) else 0.0
    return power * (acc[2] + acc[1] * scaling) if power > 0 else 0.0


def plus_slope(a, b, params):
    total = plus_scaled(a, b, params)
    slope = rescaled_slope(a, total[0], params[0]) + rescaled_slope(b, total[0], params[0])
    return total[0], total[1], slope


def lp_slope(acc, divisor, params):
    p = params[0]
    change = acc[2] / (p * acc[1]) - math.log(acc[1]) / (p * p)
    return lp_norm(acc, divisor, params) * change if (acc[0] != 0) & (p < math.inf) else 0.0


# Bare values, for lines ----------------------------------------------------------------------------------


def keep_larger(a, b):
    return b if b > a else a


def keep_larger_or_nan(a, b):
    return a if (a >= b) | (a != a) else b


def keep_smaller(a, b):
    return b if b < a else a


def keep_smaller_or_nan(a, b):
    return a if (a <= b) | (a != a) else b


def add(a, b):
    return a + b


def value_alone(value, offset):
    return value


def value_and_place(value, offset):
    return value, np.int32(offset)


def pick_larger(a, b):
    take = b[0] > a[0]
    return b[0] if take else a[0], b[1] if take else a[1]


def pick_larger_or_nan(a, b):
    return larger(a, b, 0)


def pick_smaller(a, b):
    take = b[0] < a[0]
    return b[0] if take else a[0], b[1] if take else a[1]


def pick_smaller_or_nan(a, b):
    return smaller(a, b, 0)


def as_it_is(value, scale):
    return value


def divided(value, scale):
    return value / scale


def rounded(value, scale):
    """Half up; a quarter of 1 / divisor keeps exact halves above the rounding error of the product."""
    return np.floor(value * scale + (0.5 + 0.25 * scale))


def rounded_narrow(value, scale):
    """As `rounded` for 16-bit values, which float32 holds exactly."""
    half = np.float32(0.5) + np.float32(0.25) * scale
    return np.floor(np.float32(np.int32(value)) * scale + half)


def max_line(source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int) -> Line | None:
    return _extreme_line(source, largest=True) if source == target else None


def min_line(source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int) -> Line | None:
    return _extreme_line(source, largest=False) if source == target else None


def _extreme_line(source: np.dtype[Any], *, largest: bool) -> Line:
    if source.kind in "iub":
        stored = np.dtype(np.uint8) if source == np.bool_ else source
        limits = np.iinfo(stored)
        merge = keep_larger if largest else keep_smaller
        return Line(merge, None, as_it_is, limits.min if largest else limits.max, stored.name, value_alone)
    computed = "float32" if source.itemsize == 2 else source.name
    if largest:
        return Line(keep_larger, keep_larger_or_nan, as_it_is, -math.inf, computed, value_alone)
    return Line(keep_smaller, keep_smaller_or_nan, as_it_is, math.inf, computed, value_alone)


def max_placed(source: np.dtype[Any]) -> Line:
    extreme = _extreme_line(source, largest=True)
    careful = extreme.careful and pick_larger_or_nan
    return extreme._replace(merge=pick_larger, careful=careful, element=value_and_place)


def min_placed(source: np.dtype[Any]) -> Line:
    extreme = _extreme_line(source, largest=False)
    careful = extreme.careful and pick_smaller_or_nan
    return extreme._replace(merge=pick_smaller, careful=careful, element=value_and_place)


def avg_line(source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int) -> Line | None:
    if source.kind not in "iu":
        computed = _float_line_dtype(source, target, chain)
        return Line(add, None, divided, 0, computed, value_alone) if computed else None
    if target != source or source.itemsize > 2:
        return None
    small = 255 if source == np.uint8 else 128
    if source.itemsize == 1 and elements * small < 2**15:
        return Line(add, None, rounded_narrow, 0, "uint16" if source.kind == "u" else "int16", value_alone)
    return Line(add, None, rounded, 0, "int32", value_alone) if elements < 2**15 else None


def sum_line(source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int) -> Line | None:
    computed = _float_line_dtype(source, target, chain)
    return Line(add, None, as_it_is, 0, computed, value_alone) if computed else None


def _float_line_dtype(source: np.dtype[Any], target: np.dtype[Any], chain: int) -> str | None:
    if source != target or source.kind in "iub":
        return None
    if chain <= 32:  # additions in a row stay within a few ulp
        return "float64" if source == np.float64 else "float32"
    return None if source == np.float64 else "float64"  # float64 carries its error along, which lines do not


# The table -----------------------------------------------------------------------------------------------

MAX = Fold(begin_choice, lift_choice, larger, chosen_value, chosen_position)
MIN = Fold(begin_choice, lift_choice, smaller, chosen_value, chosen_position)
LP = Fold(zero_scaled, lift_scaled, plus_scaled, lp_norm, nothing)
LP_STATE = LP._replace(finish=chosen_value, second=lp_scale)
LP_SLOPE = Fold(zero_slope, lift_slope, plus_slope, lp_slope, nothing)
GATHER = Fold(zero, lift_float, plus, accumulated, nothing)  # backward: the sum of what windows send


def max_fold(source: np.dtype[Any], target: np.dtype[Any]) -> Fold:
    return MAX


def min_fold(source: np.dtype[Any], target: np.dtype[Any]) -> Fold:
    return MIN


def avg_fold(source: np.dtype[Any], target: np.dtype[Any]) -> Fold:
    return _add_up(source, target, average=True)


def sum_fold(source: np.dtype[Any], target: np.dtype[Any]) -> Fold:
    return _add_up(source, target, average=False)


def lp_fold(source: np.dtype[Any], target: np.dtype[Any]) -> Fold:
    return LP


OPERATORS = {
    operator.name: operator
    for operator in (
        Operator("max", max_fold, "chosen", "all", pull=to_chosen, line=max_line, placed=max_placed),
        Operator("min", min_fold, "chosen", "all", pull=to_chosen, line=min_line, placed=min_placed),
        Operator("avg", avg_fold, "spread", "numbers", averages=True, line=avg_line),
        Operator("sum", sum_fold, "spread", "numbers", promotes=True, line=sum_line),
        Operator(
            "lp",
            lp_fold,
            "states",
            "floats",
            pull=lp_pull,
            state=LP_STATE,
            params=(Parameter("p", 2.0, 0.0, LP_SLOPE),),
        ),
    )
}
