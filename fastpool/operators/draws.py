"""Stochastic pooling: an element drawn by its share of the sum, and in testing what is expected of it."""

import math
from typing import Any

import numpy as np

from ..random import uniform
from .entry import Operator, Partial, State, always
from .fold import Fold, chosen_position, chosen_value, scale_of, to_chosen, two_sum, weighted_sum

# Training: (value, position, total, u), a reservoir of one that a single uniform number serves.

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


# Testing: (m, a, b, and what roundings of a and b lost) with a = sum w / m, b = sum (w / m)^2,
# w = max(x, 0), and m about the largest w, as with lp.


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


def merged_expected(a: State, b: State, params: dict[str, Any]) -> State:
    """Of both, weighted by their sums."""
    total = a[1] + b[1]
    weights = (np.where(part == total, 1.0, part / total) for part in (a[1], b[1]))
    return weighted_sum(a[0], b[0], *weights), total


EXPECTED = Fold(zero_expected, lift_expected, plus_expected, expected_value)
TESTING = Operator(
    "stochastic_testing",
    always(EXPECTED),
    "states",
    "floats",
    pull=expected_pull,
    state=always(EXPECTED._replace(second=inverse_weight)),
    partial=Partial(
        lambda value, params: (value("stochastic", training=False), params["positive"]()), merged_expected
    ),
)
STOCHASTIC = Operator(
    "stochastic",
    always(Fold(begin_draw, lift_draw, draw, chosen_value, chosen_position)),
    "chosen",
    "floats",
    pull=to_chosen,
    testing=TESTING,
)
