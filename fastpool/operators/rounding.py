"""Averages of integers on lines, rounded half up."""

import numpy as np

from .line import Line


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


SHIFTS = {2: rounded_half, 4: rounded_quarter, 8: rounded_eighth}


def in_shares(line: Line, elements: int, divisor: int) -> tuple[Line, list[int]] | None:
    """The line of narrow averages by one divisor and its knobs; None where numbers of 16 bits do not fit."""
    signed = line.dtype == "int16"
    added = divisor // 2 + signed * BELOW * divisor
    if line.finish is not rounded_narrow or not 2 <= elements <= divisor:
        return None
    if elements * (127 if signed else 255) + added >= 2**15:
        return None
    if divisor in SHIFTS:
        return line._replace(finish=SHIFTS[divisor]), [divisor // 2, 0, 0]
    bits = (divisor - 1).bit_length()
    factors = -(-(2 ** (15 + bits)) // divisor), 2 ** (16 - bits)
    finish = rounded_shares_signed if signed else rounded_shares
    knobs = [added, *(factor - signed * (factor >> 15 << 16) for factor in factors)]
    return line._replace(finish=finish), knobs
