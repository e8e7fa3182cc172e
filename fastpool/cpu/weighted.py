"""Weighted sums along several axes: weighted rows add up to a line, and weighted elements of it to outputs.

A row is what lies in memory from the first element of the last pooled axis to the last, with the channels
behind each; it is taken in tiles that the first-level cache holds. Where many channels lie behind the last
axis, its elements are rows too, and lines are results.

Integers have whole numbers for weights, so that their sums are exact while they fit the line's dtype, and are
rounded once. Floats are halved, and come back twofold: what has a finite mean then never overflows.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import jit, threads, ways, weighted
from ..halves import unchanged
from ..weighted import EXACT, Parts, Table
from ..windows import Integers
from . import half, passes
from .memory import ahead, apart, c_strides, flatten, offsets, peek, pointer, poke, raw, steps, storage

Array = NDArray[Any]

LINE = 4096  # elements of a line, and outputs of one, unless a single one needs more
WIDE = 64  # channels from which on they are a line by themselves
CHAIN = 40  # rows that add up in float32 to what 16 bits hold
LANES = 4  # outputs side by side: what is read behind a line's end, and written behind that of sums
EVEN = 16  # outputs with the same weights, from which on they go side by side, ...
STEPS = 4  # ... so many elements apart at most
GATHERED = 32  # elements of a cell up to which vectors gather them, and ...
CHANNELS = 8  # ... of so many channels at most, and ...
MOST = 2**20  # ... numbers that tables for that have at most
TOGETHER = 256  # elements of a line that add up before their sum is added to others
NOTHING, NOWHERE = np.zeros(1, np.float64), np.zeros(1, np.int64)


# Rows: up to four pass at a time -------------------------------------------------------------------------


def fill(out, count):
    """Zeros."""
    apart()
    for j in range(count):
        poke(out, j, 0.0)


def as_float32(value):
    """In the line's dtype."""
    return np.float32(value)


def as_float64(value):
    """In the line's dtype."""
    return np.float64(value)


NUMBER = {"float32": as_float32, "float64": as_float64}


def weigh_few(expression, number, read, out, rows, weights, count):
    """A sum of up to four weighted rows, by an expression."""
    apart()
    (a, b, c, d), (p, q, r, s) = rows, weights
    for j in range(count):
        poke(out, j, expression(number, read, out, j, a, b, c, d, p, q, r, s))


def of_1(number, read, out, j, a, b, c, d, p, q, r, s):
    """One row."""
    return p * number(read(peek(a, j)))


def of_2(number, read, out, j, a, b, c, d, p, q, r, s):
    """Two rows."""
    return p * number(read(peek(a, j))) + q * number(read(peek(b, j)))


def of_3(number, read, out, j, a, b, c, d, p, q, r, s):
    """Three rows."""
    return of_2(number, read, out, j, a, b, c, d, p, q, r, s) + r * number(read(peek(c, j)))


def of_4(number, read, out, j, a, b, c, d, p, q, r, s):
    """Four rows."""
    more = r * number(read(peek(c, j))) + s * number(read(peek(d, j)))
    return of_2(number, read, out, j, a, b, c, d, p, q, r, s) + more


def onto_4(number, read, out, j, a, b, c, d, p, q, r, s):
    """Four more rows."""
    return peek(out, j) + of_4(number, read, out, j, a, b, c, d, p, q, r, s)


def weigh_rows(number, read, out, x, places, weights, taps, count):
    """The weighted sum of the rows at some places: so many that fours are left, then these."""
    if taps == 0:
        fill(out, count)
        return
    done = (taps - 1) % 4 + 1
    rows, by = four(number, x, places, weights, done)
    if done == 1:
        weigh_few(of_1, number, read, out, rows, by, count)
    elif done == 2:
        weigh_few(of_2, number, read, out, rows, by, count)
    elif done == 3:
        weigh_few(of_3, number, read, out, rows, by, count)
    else:
        weigh_few(of_4, number, read, out, rows, by, count)
    while done < taps:
        rows, by = four(number, x, ahead(places, done), ahead(weights, done), 4)
        weigh_few(onto_4, number, read, out, rows, by, count)
        done += 4


def four(number, x, places, weights, taps):
    """The first rows at some places and their weights; the last ones where there are fewer."""
    i, j, k = min(1, taps - 1), min(2, taps - 1), min(3, taps - 1)
    rows = (
        ahead(x, peek(places, 0)),
        ahead(x, peek(places, i)),
        ahead(x, peek(places, j)),
        ahead(x, peek(places, k)),
    )
    by = (
        number(peek(weights, 0)),
        number(peek(weights, i)),
        number(peek(weights, j)),
        number(peek(weights, k)),
    )
    return rows, by


# Parts: three lines, of weighted elements, of weights, and of how many elements there are ------------------


def all_take_part(where, j):
    """Without a mask."""
    return True


def chosen_take_part(where, j):
    """By a mask."""
    return peek(where, j) != 0


def all_alike(weights, j, scale):
    """Without weights."""
    return 1.0


def each_its_own(weights, j, scale):
    """By weights, scaled."""
    return np.float64(peek(weights, j)) * scale


def add_parts(takes, shares, read, lines, row, weight, leaves, scale, count):
    """Add those elements of a row that take part."""
    apart()
    (sums, of_weights, numbers), (x, where, weights), (skips, finds, sentinel) = lines, row, leaves
    for j in range(count):
        value = read(peek(x, j))
        out = (skips & (value != value)) | (finds & (value == sentinel))
        taken = takes(where, j) & (not out)
        share = weight * shares(weights, j, scale) if taken else 0.0
        poke(sums, j, peek(sums, j) + share * (np.float64(value) if taken else 0.0))
        poke(of_weights, j, peek(of_weights, j) + share)
        poke(numbers, j, peek(numbers, j) + (1.0 if taken else 0.0))


# Along a line --------------------------------------------------------------------------------------------


def weigh_elements(out, line, lo, count, begin, weights, outputs, low, channels):
    """Weighted sums of elements of a line that begins with element `low`, four channels side by side.

    What a last four has too much the next output overwrites.
    """
    apart()
    for o in range(outputs):
        by, taps = ahead(weights, peek(begin, o)), peek(count, o)
        for channel in range(0, channels, LANES):
            x = ahead(line, (peek(lo, o) - low) * channels + channel)
            a = b = c = d = 0.0
            for first in range(0, taps, TOGETHER):
                p = q = r = s = 0.0
                for k in range(first, min(first + TOGETHER, taps)):
                    weight, at = peek(by, k), k * channels
                    p += weight * peek(x, at)
                    q += weight * peek(x, at + 1)
                    r += weight * peek(x, at + 2)
                    s += weight * peek(x, at + 3)
                a, b, c, d = a + p, b + q, c + r, d + s
            at = o * channels + channel
            poke(out, at, a)
            poke(out, at + 1, b)
            poke(out, at + 2, c)
            poke(out, at + 3, d)


def four_taps(onto, out, line, lo, weights, far, outputs, low, channels):
    """The sum of up to four neighbours for each output: weights beside each other, 0 where there is none.

    Vectors gather their elements. What has no weight is read, and leaves no trace.
    """
    apart()
    for o in range(outputs):
        at = peek(lo, o) - low
        p, q = peek(weights, o), peek(weights, o + far)
        r, s = peek(weights, o + 2 * far), peek(weights, o + 3 * far)
        a, b = peek(line, at), peek(line, at + channels)
        c, d = peek(line, at + 2 * channels), peek(line, at + 3 * channels)
        first = (p * a if p != 0.0 else 0.0) + (q * b if q != 0.0 else 0.0)
        other = (r * c if r != 0.0 else 0.0) + (s * d if s != 0.0 else 0.0)
        poke(out, o, onto(out, o, first + other))


def to_nothing(out, o, total):
    """The first four."""
    return total


def to_others(out, o, total):
    """More of them."""
    return peek(out, o) + total


def gather(out, line, beside, first, outputs, low, channels):
    """Sums of a few neighbours each, four at a time; channels are outputs by themselves."""
    weights, lo, far, fours = beside
    own, begin = ahead(weights, first * channels), ahead(lo, first * channels)
    size, low = outputs * channels, low * channels
    four_taps(to_nothing, out, line, begin, own, far, size, low, channels)
    for n in range(1, fours):
        more, further = ahead(own, 4 * n * far), ahead(line, 4 * n * channels)
        four_taps(to_others, out, further, begin, more, far, size, low, channels)


def copy(out, line, count):
    """A line as it is."""
    apart()
    for j in range(count):
        poke(out, j, np.float64(peek(line, j)))


def weigh_evenly(out, line, spare, columns, first, outputs, low):
    """The same of outputs that all have the same weights, a few elements apart: as rows, of each phase."""
    lo, count, begin, weights, places, (_, _, step, far), _ = columns
    taps, by = peek(count, first), ahead(weights, peek(begin, first))
    x = ahead(line, peek(lo, first) - low)
    if step > 1:
        passes.split(spare, far, x, step, step, outputs + (taps - 1) // step)
        x = spare
    weigh_rows(as_float64, unchanged, out, x, places, by, taps, outputs)


def along(out, line, spare, columns, first, outputs, low, channels, single):
    """Sums along a line, which is one of sums already where there is nothing to add up."""
    even = columns[5]
    if single:
        copy(out, line, outputs * channels)
        return
    end = first + outputs
    before, behind = min(max(first, even[0]), end), max(first, min(end, even[1]))
    if behind - before < EVEN:
        before = behind = end
    some(out, line, columns, first, first, before, low, channels)
    if before < behind:
        weigh_evenly(ahead(out, before - first), line, spare, columns, before, behind - before, low)
    some(out, line, columns, first, behind, end, low, channels)


def some(out, line, columns, first, start, stop, low, channels):
    """A range of outputs, of which `first` is at the beginning of `out`."""
    lo, count, begin, weights, _, _, beside = columns
    to = ahead(out, (start - first) * channels)
    if beside[3] > 0:
        gather(to, line, beside, start, stop - start, low, channels)
    else:
        own = ahead(lo, start), ahead(count, start), ahead(begin, start)
        weigh_elements(to, line, *own, weights, stop - start, low, channels)


# Results -------------------------------------------------------------------------------------------------


def divide(finish, write, out, sums, divisors, factor, low, high, count):
    """Results: sums over divisors."""
    apart()
    for j in range(count):
        poke(out, j, write(finish(peek(sums, j), peek(divisors, j) * factor, low, high)))


def divide_parts(finish, write, out, counted, sums, divisors, factor, count, rule):
    """Results where enough elements took part, else the fill; and how many, where that is asked for."""
    (sums, of_weights, numbers), (mean, least, blank, counts, low, high) = sums, rule
    found = False
    for j in range(count):
        weight, number = peek(of_weights, j), peek(numbers, j)
        number = number if weight > 0.0 else 0.0
        empty = number < least
        divisor = weight if mean else peek(divisors, j) * factor
        value = finish(peek(sums, j), 1.0 if empty else divisor, low, high)
        poke(out, j, write(blank if empty else value))
        if counts:
            poke(counted, j, np.int64(number))
        found = bool(found | empty)
    return found


# Tasks: a tile of a row of outputs -------------------------------------------------------------------------


def row_offsets(places, axes, row, step, at):
    """Where in an array the rows of an output begin, of `step` along each axis; and how many they are."""
    rank, outputs, first, lo, count, _, _, _, _ = axes
    number = 1
    poke(places, 0, at)
    for axis in range(rank - 1, -1, -1):
        own = peek(first, axis) + row % peek(outputs, axis)
        row //= peek(outputs, axis)
        for k in range(peek(count, own) - 1, -1, -1):
            further = (peek(lo, own) + k) * peek(step, axis)
            for t in range(number):
                poke(places, k * number + t, peek(places, t) + further)
        number *= peek(count, own)
    return number


def weights_of(by, axes, row, step, halves):
    """The weights of these rows; the output's offset, and the factor of its divisors."""
    rank, outputs, first, _, count, begin, weights, totals, divisors = axes
    number, total, divisor, offset = 1, 1.0, 1.0, 0
    poke(by, 0, 1.0)
    for axis in range(rank - 1, -1, -1):
        o = row % peek(outputs, axis)
        own, offset = peek(first, axis) + o, offset + o * peek(step, axis)
        row //= peek(outputs, axis)
        total, divisor = total * peek(totals, own), divisor * peek(divisors, own)
        for k in range(peek(count, own) - 1, -1, -1):
            for t in range(number):
                poke(by, k * number + t, peek(by, t) * peek(weights, peek(begin, own) + k))
        number *= peek(count, own)
    if halves:
        factor = 0.5 / total
        for t in range(number):
            poke(by, t, peek(by, t) * factor)
        divisor *= factor
    return offset, divisor


class Use(NamedTuple):
    """What a kernel is compiled for: how elements are stored, results finished, and which take part."""

    source: str
    target: str
    line: str
    finish: Callable[..., Any]
    parts: bool
    where: bool
    weights: bool

    @property
    def name(self) -> str:
        """The kernel's."""
        kept = ["parts"] * self.parts + ["where"] * self.where + ["weights"] * self.weights
        return "_".join(["weigh", self.source, self.target, self.line, self.finish.__name__, *kept])


def one_line(use, arrays, at, row, tile, axes, step, columns, scratch, rule):
    """A task of sums of all elements."""
    (number, read, finish, write, _, _), (x, y, _, _, _), (halves, low, high, channels) = use, arrays, rule[0]
    first, outputs, begin, count = tile
    lines, sums, places, by, spare, _, _, _ = scratch
    table, _, single, divisors = columns
    taps = row_offsets(places, axes, row, step, at[0] + begin * channels)
    offset, factor = weights_of(by, axes, row, ahead(step, 3 * axes[0]), halves)
    weigh_rows(number, read, lines, x, places, by, taps, count * channels)
    along(sums, lines, spare, table, first, outputs, begin, channels, single)
    out = ahead(y, at[3] + offset + first * channels)
    divisors = ahead(divisors, first * channels)
    divide(finish, write, out, sums, divisors, factor, low, high, outputs * channels)
    return False


def three_lines(use, arrays, at, row, tile, axes, step, columns, scratch, rule):
    """A task of sums of those elements that take part."""
    (_, read, finish, write, takes, shares), (x, y, where, weights, counted) = use, arrays
    (halves, low, high, channels), (mean, least, blank, counts, skips, finds, sentinel, scale) = rule
    first, outputs, begin, count = tile
    lines, sums, places, by, spare, line, each, most = scratch
    rank, here = axes[0], begin * channels
    at_where, at_weights = ahead(places, most), ahead(places, 2 * most)
    taps = row_offsets(places, axes, row, step, at[0] + here)
    row_offsets(at_where, axes, row, ahead(step, rank), at[1] + here)
    row_offsets(at_weights, axes, row, ahead(step, 2 * rank), at[2] + here)
    offset, factor = weights_of(by, axes, row, ahead(step, 3 * rank), halves)
    other, third = ahead(lines, line), ahead(lines, 2 * line)
    fill(lines, 3 * line)
    leaves = skips, finds, read(sentinel)
    for t in range(taps):
        own = ahead(x, peek(places, t)), ahead(where, peek(at_where, t)), ahead(weights, peek(at_weights, t))
        three = lines, other, third
        add_parts(takes, shares, read, three, own, peek(by, t), leaves, scale, count * channels)
    table, counting, single, divisors = columns
    along(sums, lines, spare, table, first, outputs, begin, channels, single)
    along(ahead(sums, each), other, spare, table, first, outputs, begin, channels, single)
    along(ahead(sums, 2 * each), third, spare, counting, first, outputs, begin, channels, single)
    start = at[3] + offset + first * channels
    out, numbers = ahead(y, start), ahead(counted, start if counts else 0)
    results = sums, ahead(sums, each), ahead(sums, 2 * each)
    divisor = ahead(divisors, first * channels)
    how = mean, least, blank, counts, low, high
    return divide_parts(
        finish, write, out, numbers, results, divisor, factor * scale, outputs * channels, how
    )


@cache
def _kernel(use: Use) -> Callable[..., bool]:
    """Sums of any windows, whose axes have tables of weights: a task is a tile of a row of outputs.

    A column pass reads each element of the windows' rows once; a line of weighted sums is read and written
    once for every four rows. A row pass reads the elements of each output in that line and writes their sum.
    A last pass reads the sum and its divisor, and writes the result once. Where elements may be left out
    there are three lines, which are read and written for each row.
    """
    takes = chosen_take_part if use.where else all_take_part
    shares = each_its_own if use.weights else all_alike
    number, read, write = NUMBER[use.line], half.READ[use.source], half.WRITE[use.target]
    finish, reduce, digest = use.finish, three_lines if use.parts else one_line, jit.source_digest()

    def walk(arrays, outer, tiles, axes, columns, rule, scratch, first, last):
        _ = digest  # captured, and so part of the cache key
        x, y, where, weights, counted = arrays
        memory = pointer(x), pointer(y), pointer(where), pointer(weights), pointer(counted)
        outputs, begins, step, lo, count, begin, parts, totals, divisors = axes
        rank, each = outputs.size, pointer(outputs)
        own = rank, each, pointer(begins), pointer(lo), pointer(count), pointer(begin), pointer(parts)
        table = (*own, pointer(totals), pointer(divisors))
        own_columns, even, (padded, full, beside_lo, far, fours), single, c_divisors = columns
        c_lo, c_count, c_begin, c_weights, nowhere, ones, c_places = own_columns
        reads = pointer(c_lo), pointer(c_count)
        taps = pointer(c_places), even
        usual = (
            *reads,
            pointer(c_begin),
            pointer(c_weights),
            *taps,
            (pointer(padded), pointer(beside_lo), far, fours),
        )
        counting = (
            *reads,
            pointer(nowhere),
            pointer(ones),
            *taps,
            (pointer(full), pointer(beside_lo), far, fours),
        )
        line_table = usual, counting, single, pointer(c_divisors)
        lines, sums, places, by, spare = scratch
        room = lines.size // 3, sums.size // 3, places.size // 3
        held = (pointer(lines), pointer(sums), pointer(places), pointer(by), pointer(spare), *room)
        (general, special), rows, found = rule, 1, False
        for axis in range(rank):
            rows *= outputs[axis]
        how = number, read, finish, write, takes, shares
        some, (sentinel, scale) = special
        told = (*some, sentinel[0], scale)
        for task in range(first, last):
            tile, rest = task % tiles.shape[1], task // tiles.shape[1]
            row, unit = rest % rows, rest // rows
            at = outer[0, unit], outer[1, unit], outer[2, unit], outer[3, unit]
            of = tiles[0, tile], tiles[1, tile], tiles[2, tile], tiles[3, tile]
            own_rule = general, told
            if reduce(how, memory, at, row, of, table, pointer(step), line_table, held, own_rule):
                found = True
        return found

    return jit.kernel(walk, use.name)


# Calls ---------------------------------------------------------------------------------------------------


class _Layout(NamedTuple):
    """An array's axes in the order of its memory, the last pooled one and the channels behind it in lines."""

    order: tuple[int, ...]
    units: list[int]  # axes, in this order: those that are not pooled, and come before lines
    rows: list[int]  # those that are pooled, but for that of the lines
    line: int  # the first axis of lines


def _layout(array: Array, pooled: Sequence[int]) -> _Layout:
    order = tuple(range(array.ndim))
    if not array.flags.c_contiguous:
        far = [math.inf if n == 1 else abs(s) for n, s in zip(array.shape, array.strides, strict=True)]
        order = tuple(sorted(order, key=lambda axis: -far[axis]))
    places = [place for place, axis in enumerate(order) if axis in pooled]
    last = places[-1]
    channels = math.prod(array.shape[axis] for axis in order[last + 1 :])
    line = last + (channels >= WIDE)
    rows = [place for place in places if place < line]
    return _Layout(order, [place for place in range(line) if place not in rows], rows, line)


def _even(array: Array, first: int) -> bool:
    """Whether the elements from an axis on lie one behind the other."""
    own, wanted = steps(array)[first:], c_strides(array.shape[first:])
    return all(n == 1 or a == b for n, a, b in zip(array.shape[first:], own, wanted, strict=True))


class Plan(NamedTuple):
    """A call's kernel and arguments, and the result in the order of the input's memory."""

    kernel: Callable[..., bool]
    arguments: tuple[Any, ...]
    tasks: int
    work: int
    scratch: Callable[[], tuple[Any, ...]]  # one argument: four arrays


def weigh(
    x: Array, tables: dict[int, Table], y: Array, *, mean: bool, parts: Parts | None = None
) -> Array | None:
    """Write weighted sums, or means, into `y`, which is C-contiguous: of each pooled axis a table.

    Where some outputs have too few elements that take part, and integers no fill: how many each has.
    """
    whole = y.dtype.kind in "iu"
    counts = np.empty(y.shape, np.int64) if whole and parts else None
    order, result, number, plan = _plan(x, tables, y, mean, parts, counts)
    found = threads.run(plan.kernel, plan.arguments, plan.tasks, plan.work, plan.scratch)
    if result is not y:
        back = tuple(np.argsort(order))
        y[...] = result.transpose(back)
        if counts is not None:
            counts[...] = number.transpose(back)
    few = None
    if parts and counts is not None and found:
        if parts.fill is None:
            return counts
        few = counts < parts.least
        y[few] = parts.fill
    if whole and mean and y.dtype == x.dtype and y.itemsize == 8:
        _copy_single(x, tables, y, few)
    return None


def _copy_single(x: Array, tables: dict[int, Table], y: Array, few: Array | None) -> None:
    """Outputs of one element as it is, which float64 may not hold."""
    each = [np.arange(n) for n in y.shape]
    single = {axis: np.flatnonzero(table.count == 1) for axis, table in tables.items()}
    if all(found.size for found in single.values()):
        to = np.ix_(*(single.get(axis, own) for axis, own in enumerate(each)))
        at = [tables[axis].lo[single[axis]] if axis in tables else own for axis, own in enumerate(each)]
        values = x[np.ix_(*at)]
        y[to] = values if few is None else np.where(few[to], y[to], values)


def weigh_way(x: Array, tables: dict[int, Table], y: Array, *, mean: bool, parts: Parts | None) -> ways.Way:
    """What `weigh` does."""
    plan = _plan(x, tables, y, mean, parts, None)[3]
    why = "elements by their parts: weighted rows, and then weighted elements of a row"
    return ways.of_kernel("weights", why, plan.tasks, plan.work, "tiles of rows of outputs", plan.scratch())


def _plan(
    x: Array, tables: dict[int, Table], y: Array, mean: bool, parts: Parts | None, counts: Array | None
) -> tuple[tuple[int, ...], Array, Array, Plan]:
    order, units, rows, line = layout = _layout(x, tuple(tables))
    turned = x.transpose(order)
    if not _even(turned, line):
        turned = np.ascontiguousarray(turned)
    same = order == tuple(range(x.ndim))
    shape = tuple(y.shape[axis] for axis in order)
    result = y if same else np.empty(shape, y.dtype)
    number = np.zeros(1, np.int64) if counts is None else counts if same else np.empty(shape, np.int64)
    sides = [_side(each, layout) for each in ((parts.where, parts.weights) if parts else (None, None))]
    floats = storage(x.dtype) != "native" or x.dtype.kind == "f"
    own = [tables[order[place]].scaled() if floats else tables[order[place]] for place in rows]
    last = tables.get(order[line]) if line < x.ndim else None
    columns = None if last is None else last.scaled() if floats else last
    channels = math.prod(turned.shape[line + 1 :])
    if columns is None:  # of channels alone
        columns, channels = _identity(channels * turned.shape[line]), 1
    lines = _line_dtype(x.dtype, own, parts)
    flat, origin = flatten(raw(turned))
    held = [flat, raw(result).reshape(-1), *(side[0] for side in sides), number.reshape(-1)]
    strides = (steps(turned), *(side[1] for side in sides), c_strides(shape))
    outer = offsets(turned.shape, strides, units) + np.array([[origin], [sides[0][2]], [sides[1][2]], [0]])
    step = np.array([[s[place] for place in rows] for s in strides], np.int64)
    tiles = _tiles(columns, channels)
    use = Use(
        storage(x.dtype),
        storage(y.dtype),
        lines,
        weighted.finish(y.dtype, mean=mean),
        parts is not None,
        parts is not None and parts.where is not None,
        parts is not None and parts.weights is not None,
    )
    axes = _rows_table(own, step)
    table = _line_table(columns, channels, int(tiles[3].max(initial=0)), single=last is None)
    rule = _rule(x, y, mean, parts, counts, floats, channels)
    taps = math.prod(int(each.count.max(initial=1)) for each in own)
    span, outputs = int(tiles[3].max(initial=0)) * channels, int(tiles[1].max(initial=0)) * channels
    several = 3 if parts else 1
    scratch = partial(
        _scratch,
        span + LANES + STEPS + GATHERED * min(channels, CHANNELS),
        outputs + LANES,
        max(taps, 1),
        several,
        lines,
        table[1][2],
    )
    tasks = outer.shape[1] * math.prod(each.outputs for each in own) * tiles.shape[1]
    read = [int(each.count.sum()) for each in own]
    work = outer.shape[1] * math.prod(read) * int(tiles[3].sum()) * channels
    arguments = tuple(held), outer, tiles, axes, table, rule
    return order, result, number, Plan(_kernel(use), arguments, tasks, work, lambda: (scratch(),))


def _line_table(columns: Table, channels: int, longest: int, *, single: bool) -> tuple[Any, ...]:
    """What a pass along a row of a tile reads, whose line has at most `longest` elements.

    Returns arrays of the windows and of the places of their elements in a line, how the outputs follow each
    other, which windows lie beside each other, whether there are channels alone, and the divisors.
    """
    even, apart_by = _even_outputs(columns, channels), longest + 2
    ones = np.ones(int(columns.count.max(initial=1)))
    own = np.arange(ones.size)
    own = own % even[2] * apart_by + own // even[2]
    nowhere = np.zeros(columns.outputs, np.int64)
    arrays = columns.lo, columns.count, columns.begin, columns.weights, nowhere, ones, own
    divisors = np.repeat(columns.divisor, channels)
    return arrays, (*even, apart_by), _beside(columns, channels, single=single), single, divisors


def _scratch(span: int, outputs: int, taps: int, several: int, line: str, step: int) -> tuple[Array, ...]:
    """Lines, sums, places of rows and their weights, and a line in phases.

    Zeros, since a line is read beyond its end.
    """
    lines, spare = np.zeros(several * span, line), np.zeros(span * step if step > 1 else 1, line)
    return lines, np.empty(several * outputs), np.empty(several * taps, np.int64), np.empty(taps), spare


def _side(array: Array | None, layout: _Layout) -> tuple[Array, tuple[int, ...], int]:
    """A mask, or weights, as flat memory, its strides, and where it begins."""
    if array is None:
        return NOTHING, (0,) * len(layout.order), 0
    if array.dtype != np.bool_:  # one kernel for weights of all dtypes
        own = array[tuple(slice(1) if step == 0 else slice(None) for step in array.strides)]
        array = np.broadcast_to(own.astype(np.float64, copy=False), array.shape)
    turned = array.transpose(layout.order)
    if not _even(turned, layout.line):
        turned = np.ascontiguousarray(turned)
    flat, origin = flatten(raw(turned))
    return flat, steps(turned), origin


def _beside(table: Table, channels: int, *, single: bool) -> tuple[Any, ...]:
    """The weights of short cells tap by tap, also all 1, of each channel; their first elements, and sizes."""
    fours, outputs = -(-int(table.count.max(initial=0)) // 4), table.outputs * channels
    if single or channels > CHANNELS or not 0 < 4 * fours <= GATHERED or 4 * fours * outputs > MOST:
        return NOTHING, NOTHING, NOWHERE, 0, 0
    padded = np.zeros((4 * fours, table.outputs))
    for tap, own in enumerate(padded):
        has = table.count > tap
        own[has] = table.weights[table.begin[has] + tap]
    padded = np.repeat(padded, channels, 1)
    lo = (table.lo[:, None] * channels + np.arange(channels)).reshape(-1)
    return padded.reshape(-1), (padded != 0).astype(np.float64).reshape(-1), lo, outputs, fours


def _even_outputs(table: Table, channels: int) -> tuple[int, int, int]:
    """The range of those around the middle with the same weights, and how many elements they are apart."""
    if channels > 1 or table.outputs < EVEN:
        return 0, 0, 1
    middle = table.outputs // 2
    step = int(table.lo[middle] - table.lo[middle - 1])
    alike = (table.count == table.count[middle]) & (table.begin == table.begin[middle])
    alike &= table.lo == table.lo[middle] + (np.arange(table.outputs) - middle) * step
    if not (1 <= step <= STEPS and table.count[middle] > 0 and alike[middle]):
        return 0, 0, 1
    others = np.flatnonzero(~alike)
    place = int(np.searchsorted(others, middle))
    first = int(others[place - 1]) + 1 if place else 0
    return first, int(others[place]) if place < others.size else table.outputs, step


def _identity(n: int) -> Table:
    nowhere, one = np.zeros(n, np.int64), np.ones(n)
    return Table(n, np.arange(n), np.ones(n, np.int64), nowhere, np.ones(1), one, one)


def _line_dtype(dtype: np.dtype[Any], rows: Sequence[Table], parts: Parts | None) -> str:
    """Float32 where it holds all sums of rows, of integers, or adds few rows of 16-bit floats."""
    if parts is not None:
        return "float64"
    if storage(dtype) != "native":
        return "float32" if math.prod(int(each.count.max(initial=1)) for each in rows) <= CHAIN else "float64"
    if dtype.kind == "f":
        return "float64"
    largest = 1 if dtype == np.bool_ else max(int(np.iinfo(dtype).max), -int(np.iinfo(dtype).min))
    total = math.prod(float(each.total.max(initial=1.0)) for each in rows)
    whole = all((each.weights == np.floor(each.weights)).all() for each in rows)
    return "float32" if whole and largest * total < EXACT["float32"] else "float64"


def _tiles(columns: Table, channels: int) -> Integers:
    """Of each tile its first output and how many, its first element and how many."""
    most = max(LINE // channels, 1)
    width = max(min(most, most * columns.outputs // columns.size), 1)
    first = np.arange(0, columns.outputs, width)
    outputs = np.minimum(width, columns.outputs - first)
    last = first + outputs - 1
    begin, behind = columns.lo[first], np.maximum.accumulate(columns.lo + columns.count)[last]
    return np.stack([first, outputs, begin, behind - begin])


def _rows_table(tables: Sequence[Table], step: Integers) -> tuple[Array, ...]:
    """The tables of several axes one behind the other, of one output where there is no axis."""
    outputs = np.array([each.outputs for each in tables], np.int64)
    sizes = np.array([each.weights.size for each in tables], np.int64)
    moved = [each.begin + before for each, before in zip(tables, np.cumsum(sizes) - sizes, strict=True)]
    whole, number = np.empty(0, np.int64), np.empty(0)
    joined = [
        np.concatenate([whole, *each]) for each in ([t.lo for t in tables], [t.count for t in tables], moved)
    ]
    floats = [
        np.concatenate([number, *each])
        for each in ([t.weights for t in tables], [t.total for t in tables], [t.divisor for t in tables])
    ]
    return (outputs, np.cumsum(outputs) - outputs, step.reshape(-1), *joined, *floats)


def _rule(
    x: Array, y: Array, mean: bool, parts: Parts | None, counts: Array | None, floats: bool, channels: int
) -> tuple[Any, ...]:
    """Numbers of a call: of all calls, and of those in which not all elements take part."""
    whole = y.dtype.kind in "iu"
    low, high = weighted.limits(y.dtype)
    general = floats, low, high, channels
    told = parts or Parts(None, None, False, None, 0, 0.0, 1.0)
    sentinel = np.zeros(1, x.dtype)
    if told.sentinel is not None:
        sentinel[0] = told.sentinel
    blank = 0.0 if whole else float(told.fill)  # `weigh` fills integers
    some = mean, float(told.least), blank, counts is not None, told.skips, told.sentinel is not None
    return general, (some, (raw(sentinel), told.scale))


jit.register(half)
jit.register(weighted)
jit.register(__name__, forceinline=False)
