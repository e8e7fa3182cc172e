"""The reductions on bare values, for passes over whole lines of memory (regular windows).

What `folds` does element by element with bookkeeping in tuples, these expressions do on what fills a vector
register. A tuple of numbers, `knobs`, holds the operator's first two parameters.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .folds import larger, smaller

Expression = Callable[..., Any]
Params = NDArray[np.float64]


def unlifted(value, knobs):
    return value


class Line(NamedTuple):
    """How lines are reduced.

    ``lift(value, knobs)`` is what is merged. ``merge(earlier, later)`` combines two values and may lose NaNs;
    ``careful`` keeps them, and is None where `merge` does. ``finish(value, scale, knobs)`` makes the result;
    `scales` says what `scale` is: the window's "divisor", its "inverse", or "none". `neutral` changes
    nothing, `dtype` is what the passes compute in. ``element(value, offset)`` is what a line holds: the value
    itself, or the pair of it and its offset in the plane.
    """

    merge: Expression
    careful: Expression | None
    finish: Expression
    neutral: float
    dtype: str
    element: Expression
    scales: str = "none"
    lift: Expression = unlifted

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return np.dtype(self.dtype).itemsize


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


# Results -------------------------------------------------------------------------------------------------


def as_it_is(value, scale, knobs):
    return value


def divided(value, scale, knobs):
    return value / scale


def rounded(value, scale, knobs):
    """Half up; a quarter of 1 / divisor keeps exact halves above the rounding error of the product."""
    return np.floor(value * scale + (0.5 + 0.25 * scale))


def rounded_narrow(value, scale, knobs):
    """As `rounded` for 16-bit values, which float32 holds exactly."""
    half = np.float32(0.5) + np.float32(0.25) * scale
    return np.floor(np.float32(np.int32(value)) * scale + half)


# The same by one divisor d of all windows, in 16 and 32 bits, of which a register holds more numbers: half
# up is floor((value + d // 2) / d), and floor(n / d) = n m >> 15 + b for n < 2^15, where d <= 2^b and m =
# ceil(2^(15+b) / d) (Granlund and Montgomery 1994). As the upper halves of two products, of 2 n and m, and
# of that and 2^(16-b): numba shifts by a number it does not know in 64 bits. Knobs are what is added, m and
# 2^(16-b).

BELOW = 128  # what is added, d times, so that nothing is below 0


def upper_half(a, b):
    """Of the product of two numbers of 16 bits."""
    return np.uint16(np.uint32(np.uint32(a) * np.uint32(b)) >> np.uint32(16))


def rounded_shares(value, scale, knobs):
    """`rounded` of sums of unsigned numbers."""
    n = np.uint16(value + knobs[0])
    return upper_half(upper_half(np.uint16(n + n), np.uint16(knobs[1])), np.uint16(knobs[2]))


def rounded_shares_signed(value, scale, knobs):
    """`rounded` of sums of signed numbers."""
    return np.int16(np.int16(rounded_shares(value, scale, knobs)) - np.int16(BELOW))


# By 2, 4 and 8, the divisors of the cells of pyramids, in 16 bits alone.


def rounded_half(value, scale, knobs):
    return (value + knobs[0]) >> 1


def rounded_quarter(value, scale, knobs):
    return (value + knobs[0]) >> 2


def rounded_eighth(value, scale, knobs):
    return (value + knobs[0]) >> 3


def in_shares(line: "Line", elements: int, divisor: int) -> tuple["Line", list[int]] | None:
    """The line of narrow averages by one divisor and its knobs; None where numbers of 16 bits do not fit."""
    signed = line.dtype == "int16"
    added = divisor // 2 + signed * BELOW * divisor
    if line.finish is not rounded_narrow or not 2 <= elements <= divisor:
        return None
    if elements * (127 if signed else 255) + added >= 2**15:
        return None
    bits = (divisor - 1).bit_length()
    if divisor in (2, 4, 8):
        return line._replace(finish=(rounded_half, rounded_quarter, rounded_eighth)[bits - 1]), [
            divisor // 2,
            0,
            0,
        ]
    factors = -(-(2 ** (15 + bits)) // divisor), 2 ** (16 - bits)
    finish = rounded_shares_signed if signed else rounded_shares
    return line._replace(finish=finish), [
        added,
        *(factor - signed * (factor >> 15 << 16) for factor in factors),
    ]


# Exponentials, logarithms and powers, in arithmetic alone: it fills vector registers, where a library would
# be called for one number after the other (10 ns each, and 2 here). To 1e-10, for sums that become float32.
# With x = k log 2 + r and abs(r) < 0.35, exp(x) = 2^k (1 + q) and expm1(x) = 2^k q + (2^k - 1), where
# q = expm1(r) is its Taylor series to r^9 / 9!. For abs(x) < 700.

ROUNDING = 6755399441055744.0  # 1.5 * 2^52: adding it leaves the nearest integer in the lowest bits
LOG2 = 0.6931471803691238  # its upper 32 bits, so that k LOG2 is exact, and the rest
LOG2_REST = 1.9082149292705877e-10
MANTISSA = np.int64(52)  # bits of it
EXPONENT_0 = np.int64(1023 << 52)
ROOT_HALF = np.int64(0x3FE6A09E667F3BCD)  # the bits of sqrt(1/2)
TWO_52 = np.int64(0x4330000000000000)  # the bits of 2^52


def power_of_two(shifted):
    """2^k from k + ROUNDING: k becomes the exponent's bits."""
    return np.int64((np.float64(shifted).view(np.int64) << MANTISSA) + EXPONENT_0).view(np.float64)


def remainder(x, k):
    return x - k * LOG2 - k * LOG2_REST


def series(r):
    """expm1(r) for small r."""
    late = 1 / 720 + r * (1 / 5040 + r * (1 / 40320 + r * (1 / 362880)))
    return r * (1.0 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * late)))))


def grown(x):
    """expm1(x)."""
    shifted = x * 1.4426950408889634 + ROUNDING
    two = power_of_two(shifted)
    return two * series(remainder(x, shifted - ROUNDING)) + (two - 1.0)


def exponential(x):
    """exp(x)."""
    shifted = x * 1.4426950408889634 + ROUNDING
    return power_of_two(shifted) * (1.0 + series(remainder(x, shifted - ROUNDING)))


def logarithm(x):
    """log(x) for x of normal size: of 2^k m is k log 2 + 2 artanh((m - 1) / (m + 1)), m near 1."""
    bits = np.float64(x).view(np.int64)
    biased = (bits - ROOT_HALF + EXPONENT_0) >> MANTISSA
    k = np.int64(biased | TWO_52).view(np.float64) - (4503599627370496.0 + 1023.0)
    m = np.int64(bits - (biased << MANTISSA) + EXPONENT_0).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    late = 1 / 9 + z * (1 / 11 + z * (1 / 13 + z * (1 / 15)))
    return k * LOG2 + (k * LOG2_REST + 2.0 * s * (1.0 + z * (1 / 3 + z * (1 / 5 + z * (1 / 7 + z * late)))))


def log_after_1(x):
    """log1p(x): the logarithm of the rounded sum, and what the rounding lost."""
    total = 1.0 + x
    return logarithm(total) + (x - (total - 1.0)) / total


def power(x, p):
    """x^p for x >= 0; what float32 would not tell from 0 is not taken further down than exp(-690)."""
    exponent = p * logarithm(x)
    return exponential(exponent if exponent > -690.0 else -690.0) if x < 1e300 else x


# Results of sums of lifted values ---------------------------------------------------------------------


def root_2(value, scale, knobs):
    return math.sqrt(value)


def root(value, scale, knobs):
    return power(value, 1.0 / knobs[0])


def mean_root_2(value, scale, knobs):
    return math.sqrt(value / scale)


def mean_root(value, scale, knobs):
    return power(value / scale, 1.0 / knobs[0])


def mean_exponent(value, scale, knobs):
    return log_after_1(value / scale) / knobs[0]


# Lifts: powers -------------------------------------------------------------------------------------------


def size_1(value, knobs):
    return abs(np.float64(value))


def size_2(value, knobs):
    return np.float64(value) * np.float64(value)


def size_3(value, knobs):
    return abs(np.float64(value)) * np.float64(value) * np.float64(value)


def size_any(value, knobs):
    return power(abs(np.float64(value)), knobs[0])


def raised(value, knobs):
    return knobs[1] if value < knobs[1] else np.float64(value)


def raised_2(value, knobs):
    return raised(value, knobs) * raised(value, knobs)


def raised_3(value, knobs):
    return raised(value, knobs) * raised(value, knobs) * raised(value, knobs)


def raised_any(value, knobs):
    return power(raised(value, knobs), knobs[0])


# Lifts: exponentials ---------------------------------------------------------------------------------


def exponent(value, knobs):
    return grown(np.float64(value) * knobs[0])


def weight(value, knobs):
    return exponential(np.float64(value) * knobs[0])


def weighted(value, knobs):
    return exponential(np.float64(value) * knobs[0]) * value


# Which lines fit: functions of the input's and the result's dtype, the elements of a window, the merges that
# one of them takes part in at most, and the parameters ------------------------------------------------------


def max_line(
    source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int, params: Params
) -> Line | None:
    """Equal dtypes."""
    return _extreme_line(source, largest=True) if _same_or_wider(source, target) else None


def min_line(
    source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int, params: Params
) -> Line | None:
    """Equal dtypes."""
    return _extreme_line(source, largest=False) if _same_or_wider(source, target) else None


def _same_or_wider(source: np.dtype[Any], target: np.dtype[Any]) -> bool:
    """Whether lines give the dtype: the input's, or float32 for floats of 16 bits."""
    halves = source.kind not in "iub" and source.itemsize == 2
    return source == target or (halves and target == np.float32)


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
    """Pairs of value and place."""
    extreme = _extreme_line(source, largest=True)
    careful = extreme.careful and pick_larger_or_nan
    return extreme._replace(merge=pick_larger, careful=careful, element=value_and_place)


def min_placed(source: np.dtype[Any]) -> Line:
    """Pairs of value and place."""
    extreme = _extreme_line(source, largest=False)
    careful = extreme.careful and pick_smaller_or_nan
    return extreme._replace(merge=pick_smaller, careful=careful, element=value_and_place)


def avg_line(
    source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int, params: Params
) -> Line | None:
    """Floats, and integers of up to 32 bits whose sums stay exact."""
    if source.kind not in "iu":
        computed = _float_line_dtype(source, target, chain)
        return Line(add, None, divided, 0, computed, value_alone, "divisor") if computed else None
    if target != source or source.itemsize > 4:
        return None
    if source.itemsize == 4:  # below 2^49 products by inverses are off by less than a quarter of one
        return Line(add, None, rounded, 0, "float64", value_alone, "inverse") if elements < 2**16 else None
    small = 255 if source == np.uint8 else 128
    if source.itemsize == 1 and elements * small < 2**15:
        stored = "uint16" if source.kind == "u" else "int16"
        return Line(add, None, rounded_narrow, 0, stored, value_alone, "inverse")
    return Line(add, None, rounded, 0, "int32", value_alone, "inverse") if elements < 2**15 else None


def sum_line(
    source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int, params: Params
) -> Line | None:
    """Floats, and integers to a dtype that holds the sums, or wraps as they would in 64 bits."""
    whole = source.kind in "iu"
    computed = (
        _whole_line_dtype(source, target, elements) if whole else _float_line_dtype(source, target, chain)
    )
    return Line(add, None, as_it_is, 0, computed, value_alone) if computed else None


def may_overflow(line: Line) -> bool:
    """Whether merging finite elements may give infinity."""
    return (
        line.merge is add
        and line.lift is unlifted
        and np.dtype(line.dtype).kind == "f"
        and (line.scales != "inverse")
    )


def sum_of_parts(
    source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int, params: Params
) -> Line | None:
    """Floats of a large window in parts, whose sums are float64."""
    computed = _float_line_dtype(source, source, chain)
    return Line(add, None, as_it_is, 0, computed, value_alone) if computed else None


def mean_of_parts(
    source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int, params: Params
) -> Line | None:
    """As `sum_of_parts`, divided."""
    found = sum_of_parts(source, target, elements, chain, params)
    return found and found._replace(finish=divided, scales="divisor")


def _whole_line_dtype(source: np.dtype[Any], target: np.dtype[Any], elements: int) -> str | None:
    """The narrowest integers that hold every sum; None where the target is of another sign, or narrower."""
    if target.kind != source.kind:
        return None
    limits = np.iinfo(source)
    largest = elements * max(limits.max, -int(limits.min))
    fits = [bits for bits in (16, 32, 64) if largest < 2 ** (bits - 1) or bits == 64]
    dtype = np.dtype(f"{target.kind}{fits[0] // 8}")
    return dtype.name if limits.bits // 8 <= dtype.itemsize <= target.itemsize else None


CHAIN = 32  # additions in a row that stay within a few ulp


def _float_line_dtype(source: np.dtype[Any], target: np.dtype[Any], chain: int) -> str | None:
    if source.kind in "iub" or not _same_or_wider(source, target):
        return None
    if chain <= CHAIN:
        return "float64" if source == np.float64 else "float32"
    return None if source == np.float64 else "float64"  # float64 carries its error along, which lines do not


HIGHEST = 6  # power up to which float64 holds the sums of every float32 without loss


def lp_line(
    source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int, params: Params
) -> Line | None:
    """Powers that cannot overflow: floats of up to 32 bits."""
    lift = {1: size_1, 2: size_2, 3: size_3}.get(params[0], size_any)
    finish = {1: as_it_is, 2: root_2}.get(params[0], root)
    return _power_line(source, target, params[0], lift, finish, "none")


def gem_line(
    source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int, params: Params
) -> Line | None:
    """As `lp_line`."""
    if params[1] < 1e-45:  # whose powers float64 would lose
        return None
    lift = {1: raised, 2: raised_2, 3: raised_3}.get(params[0], raised_any)
    finish = {1: divided, 2: mean_root_2}.get(params[0], mean_root)
    return _power_line(source, target, params[0], lift, finish, "divisor")


def _power_line(
    source: np.dtype[Any],
    target: np.dtype[Any],
    p: float,
    lift: Expression,
    finish: Expression,
    scales: str,
) -> Line | None:
    if source != target or source.itemsize > 4 or not 1 <= p <= HIGHEST:
        return None
    return Line(add, None, finish, 0, "float64", value_alone, scales, lift)


def lse_line(
    source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int, params: Params
) -> Line | None:
    """Floats of up to 32 bits, of the values that `tame` takes."""
    fits = source == target and source.itemsize <= 4
    return Line(add, None, mean_exponent, 0, "float64", value_alone, "divisor", exponent) if fits else None


def weighted_line(
    source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int, params: Params
) -> Line | None:
    """The numerator of soft pooling."""
    return _weight_line(source, weighted)


def weight_line(
    source: np.dtype[Any], target: np.dtype[Any], elements: int, chain: int, params: Params
) -> Line | None:
    """Its denominator."""
    return _weight_line(source, weight)


def _weight_line(source: np.dtype[Any], lift: Expression) -> Line | None:
    fits = source.itemsize <= 4
    return Line(add, None, as_it_is, 0, "float64", value_alone, "none", lift) if fits else None


# What becomes of the results of several lines, and which input they bear -----------------------------------


def quotient(parts: list[Any], params: Params) -> Any:
    """Of numerator and denominator."""
    return parts[0] / parts[1]


def mixture(parts: list[Any], params: Params) -> Any:
    """Of largest and mean."""
    largest, mean = parts
    first, second = largest.dtype.type(params[0]), largest.dtype.type(1 - params[0])
    if first == 0 or second == 0:  # an infinity without weight does not count
        return mean if first == 0 else largest
    blend = largest * first
    blend += mean * second
    return blend


def tame(lowest: float, highest: float, params: Params) -> bool:
    """Whether expm1(r x) neither overflows nor loses r x < 0: at -18 its error is 6e-17 exp(18) = 4e-9."""
    low, high = sorted((lowest * float(params[0]), highest * float(params[0])))
    return low >= -18 and high <= 600


def bounded(lowest: float, highest: float, params: Params) -> bool:
    """Whether sums of exp(beta x) x neither overflow nor vanish."""
    low, high = sorted((lowest * float(params[0]), highest * float(params[0])))
    return low >= -600 and high <= 600 and max(-lowest, highest) < 1e38
