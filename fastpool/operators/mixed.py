"""A blend of max and avg, side by side."""

from typing import Any

import numpy as np

from .compensated import compensated_mean, lift_pairs, plus_compensated, plus_pairs, wide_mean, zero_pairs
from .entry import FRACTION, Operator, Parameter, Partial, always
from .extremes import larger, max_line
from .fold import Fold, inverse_divisor, scaled
from .line import Params
from .sums import avg_line, merged_means


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


def mixed_slope(acc, divisor, params):
    return acc[0][0] - compensated_mean(acc[1], divisor, params)


def mixed_pull(gradient, value, position, chosen, share, third, params):
    return gradient * (params[0] * (1.0 if chosen == position else 0.0) + (1.0 - params[0]) * share)


def mixture(parts: list[Any], params: Params) -> Any:
    """Of largest and mean."""
    largest, mean = parts
    first, second = largest.dtype.type(params[0]), largest.dtype.type(1 - params[0])
    if first == 0 or second == 0:  # an infinity without weight does not count
        return mean if first == 0 else largest
    blend = largest * first
    blend += mean * second
    return blend


MIXED_FOLD = Fold(
    begin_mixed,
    lift_mixed,
    plus_mixed,
    mixed_value,
    wide=Fold(begin_mixed_pairs, lift_mixed_pairs, plus_mixed_pairs, mixed_wide_value),
)
MIXED_STATE = MIXED_FOLD._replace(finish=mixed_position, second=inverse_divisor, wide=None)
MIXED_SLOPE = MIXED_FOLD._replace(finish=mixed_slope, wide=None)

MIXED = Operator(
    "mixed",
    always(MIXED_FOLD),
    "states",
    "floats",
    pull=mixed_pull,
    state=always(MIXED_STATE),
    averages=True,
    params=(Parameter("alpha", 0.5, FRACTION, MIXED_SLOPE),),
    parts=(max_line, avg_line),
    join=mixture,
    partial=Partial(
        lambda value, _: (value("max"), value("avg")),
        lambda a, b, params: (np.maximum(a[0], b[0]), *merged_means(a[1:], b[1:], params)),
        lambda state, params: params["alpha"] * state[0] + (1 - params["alpha"]) * state[1],
    ),
)
