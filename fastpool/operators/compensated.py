"""Sums of float64 that carry their rounding error along (Knuth's TwoSum), for operators that add."""

import numpy as np

from .fold import Fold, two_sum


def zero_pair(value, position, here, params):
    return np.float64(0), np.float64(0)


def lift_pair(value, position, here, params):
    return np.float64(value), np.float64(0)


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


WIDE_SUM = Fold(zero_pairs, lift_pairs, plus_pairs, wide_sum)
SUM_FLOAT64 = Fold(zero_pair, lift_pair, plus_compensated, compensated_sum, wide=WIDE_SUM)
AVG_FLOAT64 = SUM_FLOAT64._replace(finish=compensated_mean, wide=WIDE_SUM._replace(finish=wide_mean))
