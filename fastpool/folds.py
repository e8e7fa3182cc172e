"""The operators' expressions over the elements of a window, for every form and device.

A reduction is a monoid. `Fold` names its expressions; all of them are plain Python on scalars and tuples, so
that the CPU and the CUDA compiler both take them, and expressions: an ``if`` statement where an expression
would do costs a factor of three.

=========== ======================================== ====================================================
expression  arguments                                gives
=========== ======================================== ====================================================
``start``   value, position, here, params            the accumulator of no element (a first value is at
                                                     hand for those that need one, and may be counted again)
``lift``    value, position, here, params            the accumulator of one element
``combine`` earlier, later, params                   the accumulator of both, in row-major order
``finish``  accumulator, divisor, params             the window's value
``second``  accumulator, divisor, params             a second result: the chosen element's index, or a
                                                     number that backward needs
``third``   accumulator, divisor, params             a third result, for backward
``turns``                                            how often a window's elements are walked, at most
``again``   accumulator, params                      the accumulator with which the next turn begins
``goes``    accumulator, params                      whether there is to be one
=========== ======================================== ====================================================

``position`` is the element's flat position in its plane, ``here`` the window's flat position in the output
(the counter of a random operator), ``params`` the operator's parameters in the table's order. Operators that
need the whole window at once (`RANKS`) have ``params = (params, values, places)``, the last two being memory
for the elements of one window.

What a window sends back to one of its elements is ``pull(gradient, value, position, first, second, third,
params)``; the three numbers are the results of another fold, the operator's state.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .random import uniform
from .selection import has_nan, largest_run, next_place, select

Expression = Callable[..., Any]


def nothing(acc, divisor, params):
    return 0


def as_before(acc, params):
    return acc


def no_more(acc, params):
    return False


class Fold(NamedTuple):
    """The expressions that reduce a window."""

    start: Expression
    lift: Expression
    combine: Expression
    finish: Expression
    second: Expression = nothing
    third: Expression = nothing
    turns: int = 1
    again: Expression = as_before
    goes: Expression = no_more
    wide: Any = None  # the fold for calls in which the sums of this one overflow


# Expressions that several folds share ------------------------------------------------------------------


def plus(a, b, params):
    return a + b


def accumulated(acc, divisor, params):
    return acc


# max, min: (value, position) -----------------------------------------------------------------------------


def begin_choice(value, position, here, params):
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


def to_chosen(gradient, value, position, chosen, second, third, params):
    return np.float64(gradient) if chosen == position else 0.0


# sum, avg: four accumulators, by dtype -------------------------------------------------------------------


def zero(value, position, here, params):
    return np.float64(0)


def lift_float(value, position, here, params):
    return np.float64(value)


def mean(acc, divisor, params):
    return acc / divisor


# float64 carries the rounding error of its sum along (Knuth's TwoSum).


def zero_pair(value, position, here, params):
    return np.float64(0), np.float64(0)


def lift_pair(value, position, here, params):
    return np.float64(value), np.float64(0)


def two_sum(a, b):
    """The rounded sum, and what the rounding lost."""
    total = a + b
    seen = total - a
    return total, (a - (total - seen)) + (b - seen)


def plus_compensated(a, b, params):
    total, lost = two_sum(a[0], b[0])
    return total, a[1] + b[1] + lost


def compensated_sum(acc, divisor, params):
    return acc[0] + acc[1] if acc[1] - acc[1] == 0 else acc[0]  # an infinite sum has a NaN error


UPPER = np.int64(-1 << 27)  # the bits of half a float64's digits, whose products are exact


def upper_digits(value):
    return np.int64(np.float64(value).view(np.int64) & UPPER).view(np.float64)


def compensated_mean(acc, divisor, params):
    """The quotient, and what its rounding lost divided as well: the mean of equal numbers is that number."""
    size, mean = np.float64(divisor), acc[0] / divisor
    product = mean * size
    high, high_size = upper_digits(mean), upper_digits(size)
    low, low_size = mean - high, size - high_size
    lost = ((high * high_size - product) + high * low_size + low * high_size) + low * low_size
    further = (((acc[0] - product) - lost) + acc[1]) / divisor
    return mean + further if further - further == 0 else mean


# Where sums of float64 overflow, those of a part of each element do not.

PART = 2.0**-64
WHOLE = 2.0**64


def zero_pairs(value, position, here, params):
    return zero_pair(value, position, here, params), zero_pair(value, position, here, params)


def lift_pairs(value, position, here, params):
    return (np.float64(value), np.float64(0)), (np.float64(value) * PART, np.float64(0))


def plus_pairs(a, b, params):
    return plus_compensated(a[0], b[0], params), plus_compensated(a[1], b[1], params)


def wide_sum(acc, divisor, params):
    total = compensated_sum(acc[0], divisor, params)
    return total if total - total == 0 else compensated_sum(acc[1], divisor, params) * WHOLE


def wide_mean(acc, divisor, params):
    which = acc[0] if acc[0][0] - acc[0][0] == 0 else acc[1]
    factor = 1.0 if acc[0][0] - acc[0][0] == 0 else WHOLE
    return compensated_mean(which, divisor, params) * factor


def zero_integer(value, position, here, params):
    return np.int64(0)


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


SUM_FLOAT64 = Fold(
    zero_pair,
    lift_pair,
    plus_compensated,
    compensated_sum,
    wide=Fold(zero_pairs, lift_pairs, plus_pairs, wide_sum),
)
AVG_FLOAT64 = SUM_FLOAT64._replace(
    finish=compensated_mean, wide=Fold(zero_pairs, lift_pairs, plus_pairs, wide_mean)
)


def _add_up(source: np.dtype[Any], target: np.dtype[Any], *, average: bool) -> Fold:
    to_float = target.kind not in "iu"
    if source.kind not in "iub":
        if source == np.float64:
            return AVG_FLOAT64 if average else SUM_FLOAT64
        return Fold(zero, lift_float, plus, mean if average else accumulated)
    if source.itemsize == 8 and (average or to_float):
        lift = lift_signed_halves if source.kind == "i" else lift_unsigned_halves
        averaged = halves_mean if to_float else halves_integer_mean
        return Fold(zero_halves, lift, plus_halves, averaged if average else halves_sum)
    averaged = mean if to_float else integer_mean
    return Fold(zero_integer, lift_integer, plus, averaged if average else accumulated)


# lp: (m, s, e) with sum |x|^p = m^p (s + e), m about the largest |x|, so that no power overflows, and e what
# roundings of s lost. To rescale s is to round it, so m grows in steps where powers of their ratio are small.

STEPPED = 16.0  # the largest p that a factor of 2 is a step for: 2^p stays far from an overflow


def zero_scaled(value, position, here, params):
    return np.float64(0), np.float64(0), np.float64(0)


def lift_scaled(value, position, here, params):
    return abs(np.float64(value)), np.float64(1), np.float64(0)


def ratio_power(part, whole, p):
    """(part / whole)^p, and 1 for 0 / 0 and inf / inf; no power is taken where none is needed."""
    ratio = part / whole
    return 1.0 if part == whole else ratio if p == 1 else ratio * ratio if p == 2 else ratio**p


def scale_of(a, b, step):
    """The scale of two together: that of the first, but for a larger one, or a NaN."""
    return b if (b > a * step) | (b != b) else a


def plus_scaled(a, b, params):
    p = params[0]
    top = scale_of(a[0], b[0], 2.0 if p <= STEPPED else 1.0)
    first, second = ratio_power(a[0], top, p), ratio_power(b[0], top, p)
    total, lost = two_sum(a[1] * first, b[1] * second)
    return top, total, a[2] * first + b[2] * second + lost


def lp_norm(acc, divisor, params):
    return acc[0] * (acc[1] + acc[2]) ** (1.0 / params[0]) if acc[0] != 0 else 0.0


def lp_scale(acc, divisor, params):
    return (acc[1] + acc[2]) ** (1.0 / params[0] - 1.0)


def lp_pull(gradient, value, position, top, scale, third, params):
    """Send g sign(x) (|x| / y)^(p-1), with y = m s^(1/p); 0 where x or y is 0."""
    share = ratio_power(abs(np.float64(value)), top, params[0] - 1.0) * scale
    return 0.0 if value == 0 else gradient * share * (1.0 if value > 0 else -1.0)


# d lp / dp = y (t / (p s) - log(s) / p^2), where t = sum r^p log r and r = |x| / m


def zero_slope(value, position, here, params):
    return zero_scaled(value, position, here, params), np.float64(0)


def lift_slope(value, position, here, params):
    return lift_scaled(value, position, here, params), np.float64(0)


def rescaled_slope(acc, top, p):
    own, sum_of_powers = acc[0][0], acc[0][1]
    power = ratio_power(own, top, p)
    scaling = math.log(own / top) if (own > 0) & (own != top) else 0.0
    return power * (acc[1] + sum_of_powers * scaling) if power > 0 else 0.0


def plus_slope(a, b, params):
    total = plus_scaled(a[0], b[0], params)
    slope = rescaled_slope(a, total[0], params[0]) + rescaled_slope(b, total[0], params[0])
    return total, slope


def lp_slope(acc, divisor, params):
    p, powers = params[0], acc[0][1]
    change = acc[1] / (p * powers) - math.log(powers) / (p * p)
    return lp_norm(acc[0], divisor, params) * change if (acc[0][0] != 0) & (p < math.inf) else 0.0


# avg and sum send every element the same share: its window needs no elements ------------------------------


def lift_nothing(value, position, here, params):
    return np.float64(0)


def inverse_divisor(acc, divisor, params):
    return 1.0 / divisor


def one(acc, divisor, params):
    return 1.0


def to_all(gradient, value, position, share, second, third, params):
    return gradient * share


# gem: lp of values raised to eps, and a mean ------------------------------------------------------------


def lift_raised(value, position, here, params):
    return params[1] if value < params[1] else np.float64(value), np.float64(1), np.float64(0)


def gem_mean(acc, divisor, params):
    return acc[0] * ((acc[1] + acc[2]) / divisor) ** (1.0 / params[0])


def gem_scale(acc, divisor, params):
    return ((acc[1] + acc[2]) / divisor) ** (1.0 / params[0] - 1.0) / divisor


def gem_pull(gradient, value, position, top, scale, third, params):
    """Send g (x / y)^(p-1) / n, with y = m (s / n)^(1/p); 0 where x is below eps."""
    share = ratio_power(np.float64(value), top, params[0] - 1.0) * scale
    return 0.0 if value < params[1] else gradient * share


def lift_raised_slope(value, position, here, params):
    return lift_raised(value, position, here, params), np.float64(0)


def gem_slope(acc, divisor, params):
    """As `lp_slope`, with s / n for s: d gem / dp = y (t / (p s) - log(s / n) / p^2)."""
    p, powers = params[0], acc[0][1]
    change = acc[1] / (p * powers) - math.log(powers / divisor) / (p * p)
    return gem_mean(acc[0], divisor, params) * change if p < math.inf else 0.0


# lse: (m, v, n, w, and what roundings of v and w lost) with n elements, m about the largest r x, w = sum
# exp(r x - m), and v = sum expm1(r x - m): the difference from n keeps the mean of values so small that their
# exponentials are all 1. As with lp, m grows in steps, of 1.


def zero_exponents(value, position, here, params):
    zero = np.float64(0)
    return -math.inf, zero, zero, zero, zero, zero


def lift_exponent(value, position, here, params):
    zero, one = np.float64(0), np.float64(1)
    return np.float64(value) * params[0], zero, one, one, zero, zero


def fading(part, top):
    """exp(part - top), and 1 where both are the same infinity."""
    return 1.0 if part == top else math.exp(part - top)


def exponent_sum(acc, top):
    """Sum expm1(r x - top) from the same sum with another top."""
    return acc[1] if acc[0] == top else acc[1] * fading(acc[0], top) + acc[2] * math.expm1(acc[0] - top)


def top_of(a, b):
    """The exponent that two together are taken from: that of the first, but for a larger one, or a NaN."""
    return b if (b > a + 1.0) | (b != b) else a


def plus_exponents(a, b, params):
    top = top_of(a[0], b[0])
    first, second = fading(a[0], top), fading(b[0], top)
    changes, lost = two_sum(exponent_sum(a, top), exponent_sum(b, top))
    weights, lost_weight = two_sum(a[3] * first, b[3] * second)
    lost += a[4] * first + b[4] * second
    return top, changes, a[2] + b[2], weights, lost, a[5] * first + b[5] * second + lost_weight


def lse_value(acc, divisor, params):
    total = weight_sum(acc, divisor, params)
    spread = 2.0 * total < acc[2]
    logarithm = math.log(total / acc[2]) if spread else math.log1p((acc[1] + acc[4]) / acc[2])
    return (acc[0] + logarithm) / params[0]


def weight_sum(acc, divisor, params):
    return acc[3] + acc[5]


def lse_pull(gradient, value, position, top, total, third, params):
    return gradient * fading(np.float64(value) * params[0], top) / total


# soft: (m, s, t, and what roundings of s and t lost) with m about the largest beta x, s = sum exp(beta x - m)
# and t = sum exp(beta x - m) x -----------------------------------------------------------------------------


def zero_weighted(value, position, here, params):
    zero = np.float64(0)
    return -math.inf, zero, zero, zero, zero


def lift_weighted(value, position, here, params):
    return steep(value, params[0]), np.float64(1), np.float64(value), np.float64(0), np.float64(0)


def steep(value, beta):
    """The product, and 0 for an infinite value where beta is 0."""
    return np.float64(value) * beta if beta != 0 else 0.0


def scaled(value, weight):
    """The product, and 0 for an infinite value without weight."""
    return value * weight if weight != 0 else 0.0


def plus_weighted(a, b, params):
    top = top_of(a[0], b[0])
    first, second = fading(a[0], top), fading(b[0], top)
    weights, lost_weight = two_sum(a[1] * first, b[1] * second)
    total, lost = two_sum(scaled(a[2], first), scaled(b[2], second))
    lost_weight += a[3] * first + b[3] * second
    return top, weights, total, lost_weight, scaled(a[4], first) + scaled(b[4], second) + lost


def soft_value(acc, divisor, params):
    return compensated_mean((acc[2], acc[4]), soft_weight(acc, divisor, params), params)


def soft_weight(acc, divisor, params):
    return acc[1] + acc[3]


def soft_pull(gradient, value, position, top, total, y, params):
    """Send g w (1 + beta (x - y)), with w = exp(beta x - m) / s."""
    weight = fading(steep(value, params[0]), top) / total
    return gradient * scaled(1.0 + steep(value - y, params[0]), weight)


# d soft / dbeta = sum w (x - y)^2: mean and squares about it, merged as Chan, Golub and LeVeque (1979) do.


def zero_spread(value, position, here, params):
    return -math.inf, np.float64(0), np.float64(0), np.float64(0)


def lift_spread(value, position, here, params):
    return steep(value, params[0]), np.float64(1), np.float64(value), np.float64(0)


def plus_spread(a, b, params):
    top = top_of(a[0], b[0])
    first, second = a[1] * fading(a[0], top), b[1] * fading(b[0], top)
    total, apart = first + second, b[2] - a[2]
    squares = scaled(a[3], fading(a[0], top)) + scaled(b[3], fading(b[0], top))
    part = second / total
    return top, total, a[2] + scaled(apart, part), squares + scaled(apart * apart, part * first)


def soft_slope(acc, divisor, params):
    return acc[3] / acc[1]


# d lse / dr = (sum w x - y) / r


def zero_lse_slope(value, position, here, params):
    return zero_exponents(value, position, here, params), np.float64(0)


def lift_lse_slope(value, position, here, params):
    return lift_exponent(value, position, here, params), np.float64(value)


def plus_lse_slope(a, b, params):
    total = plus_exponents(a[0], b[0], params)
    fade_a, fade_b = fading(a[0][0], total[0]), fading(b[0][0], total[0])
    return total, scaled(a[1], fade_a) + scaled(b[1], fade_b)


def lse_slope(acc, divisor, params):
    weighted = acc[1] / weight_sum(acc[0], divisor, params)
    return (weighted - lse_value(acc[0], divisor, params)) / params[0]


# mixed: max and avg side by side --------------------------------------------------------------------------


def begin_mixed(value, position, here, params):
    return (value, position), (np.float64(0), np.float64(0))


def lift_mixed(value, position, here, params):
    return (value, position), (np.float64(value), np.float64(0))


def plus_mixed(a, b, params):
    return larger(a[0], b[0], params), plus_compensated(a[1], b[1], params)


def lift_mixed_pairs(value, position, here, params):
    return (value, position), lift_pairs(value, position, here, params)


def begin_mixed_pairs(value, position, here, params):
    return (value, position), zero_pairs(value, position, here, params)


def plus_mixed_pairs(a, b, params):
    return larger(a[0], b[0], params), plus_pairs(a[1], b[1], params)


def mixed_wide_value(acc, divisor, params):
    return blended(acc[0][0], wide_mean(acc[1], divisor, params), params[0])


def blended(top, average, alpha):
    """Alpha top + (1 - alpha) average, where an infinity without weight does not count."""
    return scaled(np.float64(top), alpha) + scaled(average, 1.0 - alpha)


def mixed_value(acc, divisor, params):
    return blended(acc[0][0], compensated_mean(acc[1], divisor, params), params[0])


def mixed_position(acc, divisor, params):
    return acc[0][1]


def mixed_share(acc, divisor, params):
    return 1.0 / divisor


def mixed_slope(acc, divisor, params):
    return acc[0][0] - compensated_mean(acc[1], divisor, params)


def mixed_pull(gradient, value, position, chosen, share, third, params):
    return gradient * (params[0] * (1.0 if chosen == position else 0.0) + (1.0 - params[0]) * share)


# stochastic, training: (value, position, total, u), a reservoir of one that a single uniform number serves --


SHRUNK = 2.0**-30  # weights are summed as this part of themselves, so that float64's largest do not overflow


def begin_draw(value, position, here, params):
    start = np.uint64(params[2]) + np.uint64(params[3]) * np.uint64(4294967296)
    u = uniform(np.uint32(params[0]), np.uint32(params[1]), np.uint64(here) + start)
    return value, position, np.float64(0), u


def lift_draw(value, position, here, params):
    weight = np.float64(value) * SHRUNK if value > 0 else math.inf if value != value else 0.0
    return value, position, weight, np.float64(0)


def draw(a, b, params):
    """Take the later with its share of the weight; what is left of u is uniform again."""
    total = a[2] + b[2]
    share = 0.0 if b[2] == 0 else 1.0 if b[2] == total else b[2] / total
    take = (a[3] < share) & (a[0] == a[0])
    left = a[3] / share if take else (a[3] - share) / (1.0 - share) if share < 1 else a[3]
    return b[0] if take else a[0], b[1] if take else a[1], total, left


# stochastic, testing: (m, a, b, and what roundings of a and b lost) with a = sum w / m, b = sum (w / m)^2,
# w = max(x, 0), and m about the largest w, as with lp -----------------------------------------------------


def zero_expected(value, position, here, params):
    zero = np.float64(0)
    return zero, zero, zero, zero, zero


def lift_expected(value, position, here, params):
    weight = 0.0 if value <= 0 else np.float64(value)
    return weight, np.float64(1), np.float64(1), np.float64(0), np.float64(0)


def share_of(part, top):
    return 1.0 if part == top else part / top


def plus_expected(a, b, params):
    top = scale_of(a[0], b[0], 2.0)
    first, second = share_of(a[0], top), share_of(b[0], top)
    total, lost = two_sum(a[1] * first, b[1] * second)
    squares, lost_square = two_sum(a[2] * first * first, b[2] * second * second)
    lost += a[3] * first + b[3] * second
    return top, total, squares, lost, a[4] * first * first + b[4] * second * second + lost_square


def expected_value(acc, divisor, params):
    return acc[0] * ((acc[2] + acc[4]) / (acc[1] + acc[3])) if acc[0] != 0 else 0.0


def inverse_weight(acc, divisor, params):
    return 1.0 / (acc[0] * (acc[1] + acc[3]))


def expected_pull(gradient, value, position, y, inverse, third, params):
    return gradient * (2.0 * value - y) * inverse if value > 0 else 0.0


# median, quantile, mode: the accumulator counts the elements collected in params[1] and params[2] ----------


def begin_rank(value, position, here, params):
    return np.int64(0)


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


def mode_value(count, divisor, params):
    """The most frequent; where all are ignored, the ignored value, which was stored first."""
    return params[1][largest_run(params[1], count)]


# The folds -----------------------------------------------------------------------------------------------

MAX = Fold(begin_choice, lift_choice, larger, chosen_value, chosen_position)
MIN = Fold(begin_choice, lift_choice, smaller, chosen_value, chosen_position)
AVG_STATE = Fold(zero, lift_nothing, plus, inverse_divisor)
SUM_STATE = Fold(zero, lift_nothing, plus, one)
LP = Fold(zero_scaled, lift_scaled, plus_scaled, lp_norm)
LP_STATE = LP._replace(finish=chosen_value, second=lp_scale)
LP_SLOPE = Fold(zero_slope, lift_slope, plus_slope, lp_slope)
GEM = Fold(zero_scaled, lift_raised, plus_scaled, gem_mean)
GEM_STATE = GEM._replace(finish=chosen_value, second=gem_scale)
GEM_SLOPE = Fold(zero_slope, lift_raised_slope, plus_slope, gem_slope)
LSE = Fold(zero_exponents, lift_exponent, plus_exponents, lse_value)
LSE_STATE = LSE._replace(finish=chosen_value, second=weight_sum)
LSE_SLOPE = Fold(zero_lse_slope, lift_lse_slope, plus_lse_slope, lse_slope)
SOFT = Fold(zero_weighted, lift_weighted, plus_weighted, soft_value)
SOFT_STATE = SOFT._replace(finish=chosen_value, second=soft_weight, third=soft_value)
SOFT_SLOPE = Fold(zero_spread, lift_spread, plus_spread, soft_slope)
MIXED = Fold(
    begin_mixed,
    lift_mixed,
    plus_mixed,
    mixed_value,
    wide=Fold(begin_mixed_pairs, lift_mixed_pairs, plus_mixed_pairs, mixed_wide_value),
)
MIXED_STATE = MIXED._replace(finish=mixed_position, second=mixed_share, wide=None)
MIXED_SLOPE = MIXED._replace(finish=mixed_slope, wide=None)
DRAW = Fold(begin_draw, lift_draw, draw, chosen_value, chosen_position)
EXPECTED = Fold(zero_expected, lift_expected, plus_expected, expected_value)
EXPECTED_STATE = EXPECTED._replace(second=inverse_weight)
QUANTILE = Fold(begin_rank, lift_choice, collect, quantile_value)
LOWER = QUANTILE._replace(finish=lower_value)
QUANTILE_STATE = QUANTILE._replace(finish=lower_position, second=upper_position, third=upper_weight)
LOWER_STATE = QUANTILE_STATE._replace(second=nothing, third=no_weight)
MODE = Fold(begin_rank, lift_choice, collect_counted, mode_value)
GATHER = Fold(zero, lift_float, plus, accumulated)  # backward: the sum of what windows send

NO_STATE = Fold(zero, lift_nothing, plus, accumulated)
RANKS = frozenset((collect, collect_counted))  # how folds combine that need the whole window


def avg_fold(source: np.dtype[Any], target: np.dtype[Any]) -> Fold:
    """The mean of floats in float64, of float64 with its rounding error, of integers exactly."""
    return _add_up(source, target, average=True)


def sum_fold(source: np.dtype[Any], target: np.dtype[Any]) -> Fold:
    """As `avg_fold`, undivided."""
    return _add_up(source, target, average=False)


def quantile_fold(source: np.dtype[Any], target: np.dtype[Any]) -> Fold:
    """Interpolated where the result is a float, else the lower element."""
    return LOWER if target.kind in "iub" else QUANTILE


def quantile_state(source: np.dtype[Any]) -> Fold:
    """The places of the elements that are used: of integers one."""
    return LOWER_STATE if source.kind in "iub" else QUANTILE_STATE


def no_state(source: np.dtype[Any]) -> Fold:
    """Nothing is kept: the chosen index is all."""
    return NO_STATE
