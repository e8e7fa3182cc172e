"""Ranks and modes of large windows by counting, so that none of their elements is kept.

Elements become integers in the same order. A window is walked several times: each time those elements that
agree with what is known of the wanted one are counted by their next eleven bits. Once more it is walked for
places, and for the element that comes next. What is in a window may so be larger than memory has room for
twice; up to `LARGE` elements copying them and selecting there is faster.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np

from .. import jit
from ..operators.fold import Fold, lift_choice, nothing
from ..operators.ranks import (
    FLOATS_FOLD,
    LOWER_FOLD,
    LOWER_STATE,
    MODE_FOLD,
    QUANTILE_FOLD,
    QUANTILE_STATE,
    TIED_FOLD,
    between,
    ignored,
    no_weight,
)
from .memory import reread

LARGE = 4_096  # elements of the smallest window that is counted
DIGIT = 11  # bits that are counted at a time
COUNTERS = 1 << DIGIT
MOST = 16  # bits of values whose modes are counted


def instead(operator: Fold, dtype: np.dtype[Any], elements: int) -> tuple[Fold, int] | None:
    """The fold that counts in place of one that collects, and its counters; None where that is no better.

    `dtype` is that in which kernels hold elements.
    """
    bits = 8 * dtype.itemsize
    if operator in (TIED_FOLD, FLOATS_FOLD):
        return None
    if operator is MODE_FOLD:
        if bits > MOST or elements < max(LARGE, 1 << bits):
            return None
        return _modes(dtype), 1 << bits
    return None if elements < LARGE else (_ranks(operator, dtype), COUNTERS)


@cache
def _keys(dtype: np.dtype[Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """From elements to 64-bit integers in the same order, none below 0 but of 64 bits; and back."""
    bits, kind = 8 * dtype.itemsize, dtype.type
    if dtype.kind == "f":
        whole = np.dtype(f"i{dtype.itemsize}").type
        to_bits, from_bits = reread(numba.from_dtype(np.dtype(whole))), reread(numba.from_dtype(dtype))
        lowest, others = (0 if bits == 64 else 1 << (bits - 1)), (1 << (bits - 1)) - 1

        def float_key(value):
            found = np.int64(to_bits(kind(value + kind(0))))  # one zero in place of two
            return (found if found >= 0 else found ^ others) + lowest

        def float_value(key):
            found = np.int64(key) - lowest
            return from_bits(whole(found if found >= 0 else found ^ others))

        return _both(float_key, float_value)
    lowest = int(np.iinfo(dtype).min) if bits < 64 or dtype.kind == "i" else 0
    top = np.uint64(1 << 63) if bits == 64 and dtype.kind == "u" else np.uint64(0)
    shift = 0 if bits == 64 else -lowest

    def key(value):
        return np.int64(np.uint64(value) ^ top) if top else np.int64(value) + shift

    def value(key):
        return kind(np.uint64(key) ^ top) if top else kind(np.int64(key) - shift)

    return _both(key, value)


def _both(
    key: Callable[..., Any], value: Callable[..., Any]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    jit.expression(key)
    jit.expression(value)
    return key, value


# An accumulator: the turn, what is known of the wanted element, its rank among those that agree, how many
# elements there are, where the first NaN is; and of the last turn how many equal the wanted element, its
# place, the place of an equal one that comes next, and the next larger key and its place.
TURN, KNOWN, RANK, TOTAL, ODD, EQUAL, LOW, TWIN, NEXT, HIGH = range(10)


def weight(acc, divisor, params):
    """How far between two elements a quantile is."""
    at = params[0][0] * (acc[TOTAL] - 1)
    return at - np.floor(at)


def low_place(acc, divisor, params):
    """Where the wanted element is, or the first NaN."""
    return acc[ODD] if acc[ODD] >= 0 else acc[LOW]


def high_place(acc, divisor, params):
    """Where the next one is; the same one where none is needed."""
    if acc[ODD] >= 0:
        return acc[ODD]
    last = (weight(acc, divisor, params) == 0) | ((acc[TWIN] < 0) & (acc[HIGH] < 0))
    return acc[LOW] if last else acc[TWIN] if acc[TWIN] >= 0 else acc[HIGH]


def _count(dtype: np.dtype[Any]) -> Callable[..., Any]:
    """What counts an element; in the last turn it looks for the wanted ones."""
    key_of, bits, floats = _keys(dtype)[0], 8 * dtype.itemsize, dtype.kind == "f"
    turns, offset = _digits(dtype), _offset(dtype)

    def count(acc, element, params):
        turn, known, rank, total, odd, equal, low, twin, following, high = acc
        value, position = element
        if floats and value != value:
            odd = position if odd < 0 else odd
        key = key_of(value)
        if turn < turns:
            shift, above = max(0, bits - DIGIT * (turn + 1)), bits - DIGIT * turn
            if turn == 0:
                params[1][(key >> shift) + offset] += 1
            elif key >> above == known:
                params[1][(key >> shift) & ((1 << (above - shift)) - 1)] += 1
        elif key == known:
            low = position if equal == rank else low
            twin = position if equal == rank + 1 else twin
            equal += 1
        elif key > known and (high < 0 or key < following):
            following, high = key, position
        return turn, known, rank, total, odd, equal, low, twin, following, high

    jit.expression(count)
    return count


def _digits(dtype: np.dtype[Any]) -> int:
    """How often elements are counted."""
    return -(-8 * dtype.itemsize // DIGIT)


def _offset(dtype: np.dtype[Any]) -> int:
    """The counter of elements whose first bits are 0: keys of 64 bits are below 0 too."""
    return COUNTERS // 2 if dtype.itemsize == 8 else 0


def _turns(dtype: np.dtype[Any], *, places: bool, between_two: bool) -> tuple[Callable[..., Any], ...]:
    """What begins the first turn, and each further one, and whether there is to be one."""
    bits, turns, offset = 8 * dtype.itemsize, _digits(dtype), _offset(dtype)

    def start(value, position, here, params):
        for digit in range(COUNTERS):
            params[1][digit] = 0
        none = np.int64(-1)
        zero = np.int64(0)
        return zero, zero, zero, zero, none, zero, none, none, zero, none

    def again(acc, params):
        turn, known, rank, total = acc[TURN], acc[KNOWN], acc[RANK], acc[TOTAL]
        if turn == 0:
            for digit in range(COUNTERS):
                total += params[1][digit]
            rank = np.int64(params[0][0] * (total - 1))
        digit = 0
        while rank >= params[1][digit]:
            rank -= params[1][digit]
            digit += 1
        above, shift = bits - DIGIT * turn, max(0, bits - DIGIT * (turn + 1))
        known = np.int64(digit - offset) if turn == 0 else (known << (above - shift)) | digit
        for each in range(COUNTERS):
            params[1][each] = 0
        return turn + 1, known, rank, total, *acc[ODD:]

    def goes(acc, params):
        if acc[ODD] >= 0:
            return False
        return bool((acc[TURN] < turns) | places | (between_two & (weight(acc, 1, params) > 0)))

    for expression in (start, again, goes):
        jit.expression(expression)
    return start, again, goes


@cache
def _ranks(operator: Fold, dtype: np.dtype[Any]) -> Fold:
    """The fold that finds an element of a rank, and one of the four results."""
    value_of = _keys(dtype)[1]

    def interpolated(acc, divisor, params):
        low = np.float64(value_of(acc[KNOWN]))
        t = weight(acc, divisor, params)
        high = low if (acc[TWIN] >= 0) | (acc[HIGH] < 0) else np.float64(value_of(acc[NEXT]))
        return np.nan if acc[ODD] >= 0 else between(low, high, t)

    def lower(acc, divisor, params):
        return value_of(acc[KNOWN])

    jit.expression(interpolated)
    jit.expression(lower)
    results = {
        QUANTILE_FOLD: (interpolated, nothing, nothing),
        LOWER_FOLD: (lower, nothing, nothing),
        QUANTILE_STATE: (low_place, high_place, weight),
        LOWER_STATE: (low_place, nothing, no_weight),
    }
    places, turns = operator in (QUANTILE_STATE, LOWER_STATE), _digits(dtype) + 1
    start, again, goes = _turns(dtype, places=places, between_two=operator is QUANTILE_FOLD)
    return Fold(start, lift_choice, _count(dtype), *results[operator], turns=turns, again=again, goes=goes)


@cache
def _modes(dtype: np.dtype[Any]) -> Fold:
    key_of, value_of = _keys(dtype)
    counters = 1 << 8 * dtype.itemsize

    def start(value, position, here, params):
        for digit in range(counters):
            params[1][digit] = 0
        return np.int64(0), value

    def count(acc, element, params):
        params[1][key_of(element[0])] += 0 if ignored(element[0], params[0]) else 1
        return acc

    def most_frequent(acc, divisor, params):
        best = 0
        for digit in range(counters):
            best = digit if params[1][digit] > params[1][best] else best
        return value_of(best) if params[1][best] > 0 else acc[1]

    for expression in (start, count, most_frequent):
        jit.expression(expression)
    return Fold(start, lift_choice, count, most_frequent)


jit.register(__name__)
