"""Median, quantile and mode without memory for a window: by counting, in passes over its elements.

The element of a rank is found bit by bit: elements are compared as unsigned integers in the same order, and
a bit of the answer is 1 where too few elements are below the number that it would make. Of equals the one
with the lower place comes first, found in the same way. A window of n elements of b bits takes
``n (b + log2 n)`` steps, without a branch that threads could disagree on. The mode takes one pass for each
distinct value, in ascending order.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..operators import ranks
from ..operators.fold import Fold, nothing, plus
from ..operators.selection import FIRST, LARGEST
from . import device, walk
from .halves import READ
from .walk import TAKEN, Layout, Steps

LEAVES = 5  # numbers of an accumulator: lower and upper element, their places, and how far between them
FAR = np.int64(2**63 - 1)


# Keys: unsigned integers in the order of the values ------------------------------------------------------


def key_of_float32(value):
    bits = np.float32(value).view(np.uint32)
    turned = np.uint32(~bits) if bits >= np.uint32(0x80000000) else np.uint32(bits | np.uint32(0x80000000))
    return np.uint32(0x80000000) if value == 0 else turned


def key_of_float64(value):
    bits = np.float64(value).view(np.uint64)
    sign = np.uint64(0x8000000000000000)
    turned = np.uint64(~bits) if bits >= sign else np.uint64(bits | sign)
    return sign if value == 0 else turned


def key_of_int64(value):
    return np.uint64(np.uint64(np.int64(value)) ^ np.uint64(0x8000000000000000))


def key_of_uint64(value):
    return np.uint64(value)


def _integer_key(dtype: str) -> Callable[..., Any]:
    offset = -int(np.iinfo(dtype).min)

    def key_of_integer(value):
        return np.uint32(np.int64(value) + offset)

    return device.function(key_of_integer)


def _half_key(unused: int) -> Callable[..., Any]:
    """The key of a float32 whose lowest bits are those of a shorter float: none."""
    shift = np.uint32(unused)

    def key_of_half(value):
        return np.uint32(key_of_float32(value) >> shift)

    return device.function(key_of_half)


def _key(source: tuple[str, str]) -> tuple[Callable[..., Any], type[Any], int]:
    """The key of a value as kernels read it, its type, and its bits."""
    stored, raw = source
    if stored != "native":
        unused = 16 if stored == "bfloat16" else 13
        return _half_key(unused), np.uint32, 32 - unused
    wide = {
        "float32": key_of_float32,
        "float64": key_of_float64,
        "int64": key_of_int64,
        "uint64": key_of_uint64,
    }
    if raw in wide:
        short = raw == "float32"
        return wide[raw], np.uint32 if short else np.uint64, 32 if short else 64
    return _integer_key(raw), np.uint32, 8 * np.dtype(raw).itemsize


# Steps and merges of the passes --------------------------------------------------------------------------


def earliest(a, b, params):
    return min(a, b)


def found(a, b, params):
    """Pairs of whether there is a value, and it."""
    return (a[0] | b[0], b[1] if b[0] > a[0] else a[1])


def lowest(a, b, params):
    """Pairs of key and place."""
    take = (b[0] < a[0]) | ((b[0] == a[0]) & (b[1] < a[1]))
    return b[0] if take else a[0], b[1] if take else a[1]


def tally(a, b, params):
    """The lowest key, its number, and where it is first; none of it where the number is 0."""
    take = (b[1] > 0) & ((a[1] == 0) | (b[0] < a[0]))
    both = (b[1] > 0) & (a[1] > 0) & (a[0] == b[0])
    number = (a[1] + b[1]) if both else b[1] if take else a[1]
    return b[0] if take else a[0], number, min(a[2], b[2]) if both else b[2] if take else a[2]


def begin(value, place, here, params):
    return value, value, place, place, 0.0


def interpolated(acc, divisor, params):
    return ranks.between(np.float64(acc[0]), np.float64(acc[1]), acc[4])


def lower(acc, divisor, params):
    return acc[0]


def lower_place(acc, divisor, params):
    return acc[2]


def upper_place(acc, divisor, params):
    return acc[3]


def weight(acc, divisor, params):
    return acc[4]


FINISH = {
    ranks.quantile_value: interpolated,
    ranks.lower_value: lower,
    ranks.lower_position: lower_place,
    ranks.mode_value: lower,
    ranks.tied_value: lower,
    ranks.upper_position: upper_place,
    ranks.upper_weight: weight,
    ranks.no_weight: ranks.no_weight,
    nothing: nothing,
}


def steps(fold: Fold, source: tuple[str, str], layout: Layout, team: int) -> Steps:
    """What a kernel does with a window to give what `fold` gives."""
    modes = fold.finish in (ranks.mode_value, ranks.tied_value)
    through = (_mode if modes else _quantile)(source, layout, team)
    finish, second, third = (FINISH[expression] for expression in (fold.finish, fold.second, fold.third))
    return Steps(begin, through, finish, second, third, plus)


def _passing(
    layout: Layout, team: int, advance: Callable[..., Any], merge: Callable[..., Any], numbers: int
) -> Callable[..., Any]:
    """A pass of a whole team over a window; its result is everybody's."""
    across = walk.merging(team, numbers, merge)
    return walk.sharing(layout, device.function(advance), team, across)


def _floats(source: tuple[str, str]) -> bool:
    """Whether elements are floats."""
    return source[0] != "native" or source[1].startswith("float")


def _odd(source: tuple[str, str], layout: Layout, team: int) -> Callable[..., Any]:
    """The pass that finds the place of the first NaN."""
    read = READ[source[0]]

    def first_nan(acc, tap, position, context):
        value = read(context[0][tap])
        return min(acc, position) if value != value else acc

    return _passing(layout, team, first_nan, earliest, 1)


def _pick(source: tuple[str, str], layout: Layout, team: int) -> Callable[..., Any]:
    """The pass that finds the element at a place, the fifth part of the context."""
    read = READ[source[0]]

    def take(acc, tap, position, context):
        here = position == context[4]
        return 1 if here else acc[0], read(context[0][tap]) if here else acc[1]

    return _passing(layout, team, take, found, 2)


def _quantile(source: tuple[str, str], layout: Layout, team: int) -> Callable[..., Any]:
    read = READ[source[0]]
    key, word, bits = _key(source)
    floating = _floats(source)
    largest_key = word(2**bits - 1)

    def count_below(acc, tap, position, context):
        return acc + (1 if key(read(context[0][tap])) < context[3] else 0)

    def count_equal_before(acc, tap, position, context):
        same = key(read(context[0][tap])) == context[3]
        return acc + (1 if same & (position < context[4]) else 0)

    def next_one(acc, tap, position, context):
        own = key(read(context[0][tap]))
        behind = (own > context[3]) | ((own == context[3]) & (position > context[4]))
        return lowest(acc, (own, position), 0) if behind else acc

    below = _passing(layout, team, count_below, plus, 1)
    equal = _passing(layout, team, count_equal_before, plus, 1)
    odd, pick = _odd(source, layout, team), _pick(source, layout, team)
    after = _passing(layout, team, next_one, lowest, 2)

    def through(acc, window, context):
        elements = window[TAKEN]
        if elements == 0:
            return acc
        values, here, params = context[0], context[1], context[2]
        none = np.int64(0)
        target = params[0] * (elements - 1)
        rank = np.int64(target)
        t = target - rank
        bad = odd(FAR, window, (values, here, params)) if floating else FAR
        answer, nearest = word(0), bad
        if bad == FAR:
            for turn in range(bits):
                trial = word(answer | word(word(1) << word(bits - 1 - turn)))
                answer = trial if below(none, window, (values, here, params, trial)) <= rank else answer
            rest = rank - below(none, window, (values, here, params, answer))
            width = np.int64(1)  # places below it are all of the window's
            while equal(none, window, (values, here, params, answer, width)) <= rest:
                width *= 2
            nearest = np.int64(0)
            width //= 2
            while width > 0:
                trial_place = nearest + width
                few = equal(none, window, (values, here, params, answer, trial_place)) <= rest
                nearest = trial_place if few else nearest
                width //= 2
        low = pick((0, acc[0]), window, (values, here, params, answer, nearest))[1]
        high, further = low, nearest
        if (bad == FAR) & (t > 0):
            further = after((largest_key, FAR), window, (values, here, params, answer, nearest))[1]
            high = pick((0, acc[0]), window, (values, here, params, answer, further))[1]
        return low, high, nearest, further, t if bad == FAR else 0.0

    return device.function(through)


def _mode(source: tuple[str, str], layout: Layout, team: int) -> Callable[..., Any]:
    read = READ[source[0]]
    key, word = _key(source)[:2]
    floating = _floats(source)
    skipped = ranks.ignored_float if floating else ranks.ignored
    kind = getattr(np, source[1]) if source[0] == "native" else np.float32
    offset = word(0 if floating else -int(np.iinfo(source[1]).min))

    def next_value(acc, tap, position, context):
        value = read(context[0][tap])
        own = key(value)
        old = (context[4] != 0) & (own <= context[3])
        return acc if old | skipped(value, context[2]) else tally(acc, (own, 1, position), 0)

    following = _passing(layout, team, next_value, tally, 3)
    odd, pick = _odd(source, layout, team), _pick(source, layout, team)

    def through(acc, window, context):
        if window[TAKEN] == 0:
            return acc
        values, here, params = context[0], context[1], context[2]
        counts_nans = floating and not (params[0] != 0 and params[1] != params[1])
        place = odd(FAR, window, (values, here, params)) if counts_nans else FAR
        ties = params[3]
        if place == FAR:
            most, best, last, number, at, started = 0, word(0), word(0), 1, FAR, 0
            while number > 0:
                last, number, at = following((word(0), 0, FAR), window, (values, here, params, last, started))
                same = (number == most) & (number > 0)
                takes = ((ties == FIRST) & (at < place)) | (ties == LARGEST)
                wins = (number > most) | (same & takes)
                most, best, place = (number, last, at) if wins else (most, best, place)
                started = 1
        value = acc[0]
        if floating:  # of which no key gives the value back
            if place != FAR:
                value = pick((0, acc[0]), window, (values, here, params, word(0), place))[1]
            value = value - value if value == 0 else value
        elif place != FAR:
            value = kind(word(best - offset))
        return value, value, acc[2], acc[3], acc[4]

    return device.function(through)


device.register(__name__)
