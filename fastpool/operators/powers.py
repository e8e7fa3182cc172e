"""Powers: the p-norm (lp) and the generalised mean (gem)."""

import math
from typing import Any

import numpy as np

from .elementary import power
from .entry import ABOVE_ZERO, FINITE_ABOVE_ZERO, Operator, Parameter, Partial, State, always
from .fold import DType, Expression, Fold, chosen_value, scale_of, two_sum
from .line import Line, Params, adding, as_it_is, divided

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


# gem: lp of values raised to eps, and a mean


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


LP_FOLD = Fold(zero_scaled, lift_scaled, plus_scaled, lp_norm)
GEM_FOLD = Fold(zero_scaled, lift_raised, plus_scaled, gem_mean)
LP_SLOPE = Fold(zero_slope, lift_slope, plus_slope, lp_slope)
GEM_SLOPE = Fold(zero_slope, lift_raised_slope, plus_slope, gem_slope)


# Lines: sums of powers ------------------------------------------------------------------------------------


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


def root_2(value, scale, knobs):
    return math.sqrt(value)


def root(value, scale, knobs):
    return power(value, 1.0 / knobs[0])


def mean_root_2(value, scale, knobs):
    return math.sqrt(value / scale)


def mean_root(value, scale, knobs):
    return power(value / scale, 1.0 / knobs[0])


HIGHEST = 6  # power up to which float64 holds the sums of every float32 without loss


def lp_line(source: DType, target: DType, elements: int, chain: int, params: Params) -> Line | None:
    """Powers that cannot overflow: floats of up to 32 bits."""
    lift = {1: size_1, 2: size_2, 3: size_3}.get(params[0], size_any)
    finish = {1: as_it_is, 2: root_2}.get(params[0], root)
    return _line(source, target, params[0], finish, "none", lift)


def gem_line(source: DType, target: DType, elements: int, chain: int, params: Params) -> Line | None:
    """As `lp_line`."""
    if params[1] < 1e-45:  # whose powers float64 would lose
        return None
    lift = {1: raised, 2: raised_2, 3: raised_3}.get(params[0], raised_any)
    finish = {1: divided, 2: mean_root_2}.get(params[0], mean_root)
    return _line(source, target, params[0], finish, "divisor", lift)


def _line(
    source: DType, target: DType, p: float, finish: Expression, scales: str, lift: Expression
) -> Line | None:
    fits = source == target and source.itemsize <= 4 and 1 <= p <= HIGHEST
    return adding("float64", finish, scales, lift) if fits else None


# Chunks ---------------------------------------------------------------------------------------------------


def power_mean(a: Any, b: Any, weights: tuple[float, float], p: float) -> Any:
    """``(wa a**p + wb b**p)**(1/p)``, of numbers from 0 on, which neither over- nor underflows."""
    largest = np.maximum(a, b)
    if p == math.inf:
        return largest
    unit = np.where((largest > 0) & (largest < math.inf), largest, 1.0)
    return unit * (weights[0] * (a / unit) ** p + weights[1] * (b / unit) ** p) ** (1 / p)


def merged_means(a: State, b: State, params: dict[str, Any]) -> State:
    """Of both, weighted by how many elements they are of."""
    n = a[-1] + b[-1]
    return (power_mean(a[0], b[0], (a[-1] / n, b[-1] / n), params["p"]),)


# Entries --------------------------------------------------------------------------------------------------

LP = Operator(
    "lp",
    always(LP_FOLD),
    "states",
    "floats",
    pull=lp_pull,
    state=always(LP_FOLD._replace(finish=chosen_value, second=lp_scale)),
    params=(Parameter("p", 2.0, ABOVE_ZERO, LP_SLOPE),),
    line=lp_line,
    partial=Partial(
        lambda value, params: (value("lp", p=params["p"]),),
        lambda a, b, params: (power_mean(a[0], b[0], (1.0, 1.0), params["p"]),),
    ),
)
GEM = Operator(
    "gem",
    always(GEM_FOLD),
    "states",
    "floats",
    pull=gem_pull,
    state=always(GEM_FOLD._replace(finish=chosen_value, second=gem_scale)),
    params=(Parameter("p", 3.0, ABOVE_ZERO, GEM_SLOPE), Parameter("eps", 1e-6, FINITE_ABOVE_ZERO)),
    line=gem_line,
    partial=Partial(lambda value, params: (value("gem", p=params["p"], eps=params["eps"]),), merged_means),
)
