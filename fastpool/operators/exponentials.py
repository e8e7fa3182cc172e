"""Exponentials: the logarithm of a mean of them (lse), and the mean that they weight (soft)."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .compensated import compensated_mean
from .elementary import exponential, grown, log_after_1
from .entry import FINITE, NOT_ZERO, Operator, Parameter, Partial, State, always
from .fold import DType, Fold, chosen_value, scaled, two_sum, weighted_sum
from .line import Line, Params, adding, as_it_is

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


# soft: (m, s, t, and what roundings of s and t lost) with m about the largest beta x, s = sum exp(beta x - m)
# and t = sum exp(beta x - m) x.


def zero_weighted(value, position, here, params):
    zero = np.float64(0)
    return -math.inf, zero, zero, zero, zero


def lift_weighted(value, position, here, params):
    return steep(value, params[0]), np.float64(1), np.float64(value), np.float64(0), np.float64(0)


def steep(value, beta):
    """The product, and 0 for an infinite value where beta is 0."""
    return np.float64(value) * beta if beta != 0 else 0.0


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


LSE_FOLD = Fold(zero_exponents, lift_exponent, plus_exponents, lse_value)
LSE_SLOPE = Fold(zero_lse_slope, lift_lse_slope, plus_lse_slope, lse_slope)
SOFT_FOLD = Fold(zero_weighted, lift_weighted, plus_weighted, soft_value)
SOFT_SLOPE = Fold(zero_spread, lift_spread, plus_spread, soft_slope)


# Lines: sums of exponentials ------------------------------------------------------------------------------


def exponent(value, knobs):
    return grown(np.float64(value) * knobs[0])


def weight(value, knobs):
    return exponential(np.float64(value) * knobs[0])


def weighted(value, knobs):
    return exponential(np.float64(value) * knobs[0]) * value


def mean_exponent(value, scale, knobs):
    return log_after_1(value / scale) / knobs[0]


def lse_line(source: DType, target: DType, elements: int, chain: int, params: Params) -> Line | None:
    """Floats of up to 32 bits, of the values that `tame` takes."""
    fits = source == target and source.itemsize <= 4
    return adding("float64", mean_exponent, "divisor", exponent) if fits else None


def weighted_line(source: DType, target: DType, elements: int, chain: int, params: Params) -> Line | None:
    """The numerator of soft pooling."""
    return adding("float64", as_it_is, lift=weighted) if source.itemsize <= 4 else None


def weight_line(source: DType, target: DType, elements: int, chain: int, params: Params) -> Line | None:
    """Its denominator."""
    return adding("float64", as_it_is, lift=weight) if source.itemsize <= 4 else None


def quotient(parts: list[Any], params: Params) -> Any:
    """Of numerator and denominator."""
    return parts[0] / parts[1]


def tame(lowest: float, highest: float, params: Params) -> bool:
    """Whether expm1(r x) neither overflows nor loses r x < 0: at -18 its error is 6e-17 exp(18) = 4e-9."""
    low, high = sorted((lowest * float(params[0]), highest * float(params[0])))
    return low >= -18 and high <= 600


def bounded(lowest: float, highest: float, params: Params) -> bool:
    """Whether sums of exp(beta x) x neither overflow nor vanish."""
    low, high = sorted((lowest * float(params[0]), highest * float(params[0])))
    return low >= -600 and high <= 600 and max(-lowest, highest) < 1e38


# Chunks ---------------------------------------------------------------------------------------------------


def merged_logarithms(a: State, b: State, params: dict[str, Any]) -> State:
    """Of the mean of both, weighted by how many elements they are of."""
    r, n = params["r"], a[-1] + b[-1]
    total = np.logaddexp(r * a[0] + math.log(a[-1]), r * b[0] + math.log(b[-1]))
    return ((total - math.log(n)) / r,)


def soft_of_chunk(value: Callable[..., Any], params: dict[str, Any]) -> State:
    """The value, and the mean of ``exp(beta x)``, as a logarithm."""
    y, beta = value("soft", beta=params["beta"]), params["beta"]
    return y, beta * value("lse", r=beta) if beta else np.zeros_like(y)


def merged_softs(a: State, b: State, params: dict[str, Any]) -> State:
    """Of both, weighted by their exponentials."""
    n = a[-1] + b[-1]
    first, second = a[1] + math.log(a[-1] / n), b[1] + math.log(b[-1] / n)
    total = np.logaddexp(first, second)
    weights = (np.where(part == total, 1.0, np.exp(part - total)) for part in (first, second))
    return weighted_sum(a[0], b[0], *weights), total


# Entries --------------------------------------------------------------------------------------------------

LSE = Operator(
    "lse",
    always(LSE_FOLD),
    "states",
    "floats",
    pull=lse_pull,
    state=always(LSE_FOLD._replace(finish=chosen_value, second=weight_sum)),
    params=(Parameter("r", 1.0, NOT_ZERO, LSE_SLOPE),),
    line=lse_line,
    bears=tame,
    partial=Partial(lambda value, params: (value("lse", r=params["r"]),), merged_logarithms),
)
SOFT = Operator(
    "soft",
    always(SOFT_FOLD),
    "states",
    "floats",
    pull=soft_pull,
    state=always(SOFT_FOLD._replace(finish=chosen_value, second=soft_weight, third=soft_value)),
    params=(Parameter("beta", 1.0, FINITE, SOFT_SLOPE),),
    parts=(weighted_line, weight_line),
    join=quotient,
    wide=True,
    bears=bounded,
    partial=Partial(soft_of_chunk, merged_softs),
)
