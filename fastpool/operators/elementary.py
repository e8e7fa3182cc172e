"""Exponentials, logarithms and powers in arithmetic alone, for lines.

It fills vector registers, where a library would be called for one number after the other (10 ns each, and 2
here). To 1e-10, for sums that become float32.
"""

import numpy as np

# With x = k log 2 + r and abs(r) < 0.35, exp(x) = 2^k (1 + q) and expm1(x) = 2^k q + (2^k - 1), where q =
# expm1(r) is its Taylor series to r^9 / 9!. For abs(x) < 700.

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
