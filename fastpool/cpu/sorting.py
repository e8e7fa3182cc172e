"""Sorting networks over lines: the kernel of medians, quantiles and modes of small windows.

The elements of many windows are laid out in lines, one line a tap, and a program of `networks` sorts all the
windows at once by passes of minimum and maximum over whole lines. Windows inside the input are read a row at
a time, and share sorted columns where they overlap. Windows at an edge have fewer elements: they are
gathered one by one and filled up with what sorts last, so that their own ranks stay where they are.
"""

# ruff: noqa: D103 - passes say what they do
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import jit
from ..operators import ranks
from . import half, networks
from .memory import ahead, apart, fields, peek, pointer, poke, wide_registers
from .networks import (
    BOTH,
    FIVE,
    MIDDLE_OF_NINE,
    MINIMUM,
    SORT_THREE,
    in_order,
    merge_4,
    middle_of_sorted,
    middle_of_three,
    most_frequent,
    sort_4,
    sort_5,
)
from .walk import column_of

EDGE = 256  # windows at edges that are sorted together

# What a kernel is told -----------------------------------------------------------------------------------


class Outer(NamedTuple):
    """An axis before the last pooled one."""

    length: int  # outputs
    begin: int  # its first column in the tables; -1 where it is not pooled
    pitch: int  # distances of outputs' windows and of a window's elements, in the input
    step: int
    full: int  # elements of a full window


class Numbers(NamedTuple):
    """The sizes of a call."""

    units: int  # rows of windows
    batch: int  # units of a task
    pieces: int  # into which the full windows of a unit are cut
    first: int  # the first full window of a unit
    last: int  # and the one behind the last
    width: int  # full windows of a piece
    halo: int  # windows that lines reach further
    deep: int  # channels
    length: int  # windows of a unit
    jump: int  # from one of them to the next, in elements
    begin: int  # the first column of the last pooled axis in the tables
    tap: int  # distance of a window's elements along that axis
    elements: int  # of a window
    line: int  # distance of lines
    ignores: int  # whether a value is ignored
    after: int  # where spare lines and those of edges begin
    edges: int
    cells: int  # whether windows are cells of two columns, whose mode is taken from the input as it lies
    repeats: int  # which columns repeat, as `windows.Repeat` has it
    period: int
    times: int
    advance: int
    axes: int  # before the last pooled one
    columns: int  # of the tables


class Step(NamedTuple):
    """A pass of a program: what it does, where two lines lie that it writes, and two that it reads."""

    operation: int
    low: int
    high: int
    a: int
    b: int


class Sorter(NamedTuple):
    """A program, and where it leaves the wanted elements of windows."""

    steps: Any  # a pointer to `Step`s
    passes: int  # how many
    ranks: Any  # a pointer to the places of elements in lines
    wanted: int  # how many


class Places(NamedTuple):
    """Pointers to where windows come from and go to: those of units, and those at edges."""

    bases: Any
    ends: Any
    counts: Any  # elements of a unit's windows along each axis, and room for as many numbers
    sizes: Any  # elements of windows at edges
    edge_ends: Any


class Given(NamedTuple):
    """What all passes of a call have: pointers, the weights of ranks, and the sizes."""

    x: Any
    y: Any
    lines: Any
    axes: Any
    table: Any
    like: Any  # what sorts last, and the value that is ignored
    places: Places
    weights: Any
    numbers: Numbers


OUTER, STEP = len(Outer._fields), len(Step._fields)
read_outer, read_numbers, read_step = fields(Outer), fields(Numbers), fields(Step)


# Values --------------------------------------------------------------------------------------------------


def lower(a, b, t):
    """The lower element."""
    return a


def alone(a, b, t):
    """One element; the sign of a zero would depend on the order in which zeros of both signs are sorted."""
    return a if a != 0 else a - a


def between(a, b, t):
    return ranks.between(np.float64(a), np.float64(b), t)


def middle(a, b, t):
    """`between` halfway."""
    first, second = np.float64(a), np.float64(b)
    return (first if first == second else ranks.middle(first, second)) + 0.0


# Passes over lines ---------------------------------------------------------------------------------------


def smaller(low, a, b, count):
    apart()
    for j in range(count):
        first, second = peek(a, j), peek(b, j)
        poke(low, j, first if first < second else second)


def larger(high, a, b, count):
    apart()
    for j in range(count):
        first, second = peek(a, j), peek(b, j)
        poke(high, j, second if first < second else first)


def exchange(low, high, a, b, count):
    apart()
    for j in range(count):
        first, second = peek(a, j), peek(b, j)
        poke(low, j, first if first < second else second)
        poke(high, j, second if first < second else first)


def sort_three(low, middle, high, a, b, c, count):
    apart()
    for j in range(count):
        first, second = in_order(peek(a, j), peek(b, j))
        second, third = in_order(second, peek(c, j))
        first, second = in_order(first, second)
        poke(low, j, first)
        poke(middle, j, second)
        poke(high, j, third)


def middle_of_nine(out, low, middle, high, distance, count):
    """The middle of three sorted columns: of the largest low, the middle middle and the smallest high one."""
    apart()
    for j in range(count):
        near, far = j + distance, j + 2 * distance
        first = in_order(in_order(peek(low, j), peek(low, near))[1], peek(low, far))[1]
        third = in_order(in_order(peek(high, j), peek(high, near))[0], peek(high, far))[0]
        second = middle_of_three(peek(middle, j), peek(middle, near), peek(middle, far))
        poke(out, j, middle_of_three(first, second, third))


@intrinsic
def middle_25(typing_context, columns, pitch, deep, at):
    """The middle of five columns that are `deep` apart, the lines of their sorted elements `pitch` apart."""

    def generate(context, builder, signature, arguments):
        lines, far, step, begin = arguments
        place = ir.IntType(64)

        def leaf(number):
            line, column = divmod(number, FIVE)
            further = builder.add(builder.mul(far, place(line)), builder.mul(step, place(column)))
            return builder.load(builder.gep(lines, [builder.add(begin, further)], inbounds=True))

        found = {-1 - number: leaf(number) for number in range(FIVE * FIVE)}
        for number, (operation, *two) in enumerate(middle_of_sorted(FIVE)):
            a, b = (found[value] for value in two)
            less = builder.fcmp_ordered if isinstance(columns.dtype, types.Float) else builder.icmp_signed
            if isinstance(columns.dtype, types.Integer) and not columns.dtype.signed:
                less = builder.icmp_unsigned
            low, high = (a, b) if operation == MINIMUM else (b, a)
            found[number] = builder.select(less("<", a, b), low, high)
        return found[number]

    return columns.dtype(columns, types.intp, types.intp, types.intp), generate


def sort_columns_of_5(out, lines, pitch, count):
    apart()
    for j in range(count):
        a, b, c = peek(lines, j), peek(lines, j + pitch), peek(lines, j + 2 * pitch)
        found = sort_5(a, b, c, peek(lines, j + 3 * pitch), peek(lines, j + 4 * pitch))
        for i in range(FIVE):
            poke(out, i * pitch + j, found[i])


def middles_of_25(out, columns, pitch, deep, count):
    apart()
    for j in range(count):
        poke(out, j, middle_25(columns, pitch, deep, j))


def carry_out(sorter, lines, count):
    """The passes of a program."""
    for number in range(sorter.passes):
        step = read_step(sorter.steps, number * STEP)
        a, b = ahead(lines, step.a), ahead(lines, step.b)
        low, high = ahead(lines, step.low), ahead(lines, step.high)
        if step.operation == BOTH:
            exchange(low, high, a, b, count)
        elif step.operation == MINIMUM:
            smaller(low, a, b, count)
        elif step.operation == SORT_THREE:
            third = ahead(high, step.high - step.low)
            sort_three(low, high, third, a, b, ahead(b, step.b - step.a), count)
        elif step.operation == MIDDLE_OF_NINE:
            middle_of_nine(low, a, high, ahead(high, step.high - step.a), step.b - step.a, count)
        else:
            larger(high, a, b, count)


def taking(fixed: int) -> Callable[..., bool]:
    """Read elements at a distance, which the compiler knows where it is `fixed`: it then reads vectors."""

    def take(odd, read, out, x, count, distance):
        apart()
        pitch = fixed or distance
        found = False
        for j in range(count):
            value = peek(x, j * pitch)
            found = bool(found | odd(value))
            poke(out, j, read(value))
        return found

    return take


take_each, take_second, take_apart = taking(1), taking(2), taking(0)


def interpolate(finish, write, y, a, b, t, count):
    apart()
    for j in range(count):
        poke(y, j, write(finish(peek(a, j), peek(b, j), t)))


def begin_runs(run, longest, best, value, ignored, ignore, count):
    """Runs of equal values, over sorted lines: after the first of them."""
    apart()
    for j in range(count):
        counts = 0 if ignored & (peek(value, j) == ignore) else 1
        poke(run, j, counts)
        poke(longest, j, counts)
        poke(best, j, peek(value, j))


def extend_runs(run, longest, best, before, value, ignored, ignore, count):
    """After one more line. Only a longer run than the longest counts, so the smallest of equals stays."""
    apart()
    for j in range(count):
        own = peek(value, j)
        length = peek(run, j) + 1 if own == peek(before, j) else 1
        length = 0 if ignored & (own == ignore) else length
        wins = length > peek(longest, j)
        poke(run, j, length)
        poke(longest, j, length if wins else peek(longest, j))
        poke(best, j, own if wins else peek(best, j))


# Windows of four and eight are sorted in registers: 1.2 ns a window of eight uint32 against 6 by passes ---


def vote_4(out, lines, pitch, everything, ignore, count):
    apart()
    for j in range(count):
        at = ahead(lines, j)
        values = sort_4(peek(at, 0), peek(at, pitch), peek(at, 2 * pitch), peek(at, 3 * pitch))
        poke(out, j, most_frequent(values, everything, ignore))


def vote_8(out, lines, pitch, everything, ignore, count):
    apart()
    for j in range(count):
        at, other = ahead(lines, j), ahead(lines, 4 * pitch + j)
        low = sort_4(peek(at, 0), peek(at, pitch), peek(at, 2 * pitch), peek(at, 3 * pitch))
        high = sort_4(peek(other, 0), peek(other, pitch), peek(other, 2 * pitch), peek(other, 3 * pitch))
        poke(out, j, most_frequent(merge_4(low, high), everything, ignore))


def vote_cells_4(out, a, b, everything, ignore, count):
    apart()
    for j in range(count):
        values = sort_4(peek(a, 2 * j), peek(a, 2 * j + 1), peek(b, 2 * j), peek(b, 2 * j + 1))
        poke(out, j, most_frequent(values, everything, ignore))


def vote_cells_8(out, a, b, c, d, everything, ignore, count):
    apart()
    for j in range(count):
        low = sort_4(peek(a, 2 * j), peek(a, 2 * j + 1), peek(b, 2 * j), peek(b, 2 * j + 1))
        high = sort_4(peek(c, 2 * j), peek(c, 2 * j + 1), peek(d, 2 * j), peek(d, 2 * j + 1))
        poke(out, j, most_frequent(merge_4(low, high), everything, ignore))


# Results: `deliver` and `put` those of full windows, in lines, by one of two `finishes`: of one element, and
# of two; `settle` that of one window ----------------------------------------------------------------------


def deliver_ranks(lines, sorter, count, like, numbers):
    """The lines hold the ranks already."""


def put_ranks(finishes, write, y, lines, sorter, start, count, weights, numbers):
    a, b = peek(sorter.ranks, 0) + start, peek(sorter.ranks, sorter.wanted - 1) + start
    if sorter.wanted == 1:
        interpolate(finishes[0], write, y, ahead(lines, a), ahead(lines, a), 0.0, count)
    else:
        interpolate(finishes[1], write, y, ahead(lines, a), ahead(lines, b), weights[1], count)


def settle_ranks(finish, write, lines, sorter, at, size, like, weights, numbers):
    place = weights[0] * (size - 1)
    rank = int(place)
    a = peek(lines, peek(sorter.ranks, rank) + at)
    b = peek(lines, peek(sorter.ranks, min(rank + 1, size - 1)) + at)
    return write(finish(a, b, place - rank))


def deliver_mode(lines, sorter, count, like, numbers):
    """The value with the longest run."""
    ignored, ignore = numbers.ignores != 0, peek(like, 1)
    run = ahead(lines, numbers.after)
    longest, best = ahead(run, numbers.line), ahead(run, 2 * numbers.line)
    if numbers.elements == 4:
        vote_4(best, lines, numbers.line, not ignored, ignore, count)
        return
    if numbers.elements == 8:
        vote_8(best, lines, numbers.line, not ignored, ignore, count)
        return
    value = ahead(lines, peek(sorter.ranks, 0))
    begin_runs(run, longest, best, value, ignored, ignore, count)
    for rank in range(1, sorter.wanted):
        before, value = value, ahead(lines, peek(sorter.ranks, rank))
        extend_runs(run, longest, best, before, value, ignored, ignore, count)


def put_mode(finishes, write, y, lines, sorter, start, count, weights, numbers):
    best = ahead(lines, numbers.after + 2 * numbers.line + start)
    interpolate(finishes[0], write, y, best, best, 0.0, count)


def cells_mode(y, x, leaves, count, like, numbers):
    """The modes of one row of cells, two lines a row of the input."""
    everything, ignore = numbers.ignores == 0, peek(like, 1)
    a, b = ahead(x, leaves[0, 0]), ahead(x, leaves[2, 0])
    if numbers.elements == 4:
        vote_cells_4(y, a, b, everything, ignore, count)
    else:
        c, d = ahead(x, leaves[4, 0]), ahead(x, leaves[6, 0])
        vote_cells_8(y, a, b, c, d, everything, ignore, count)


def cells_ranks(y, x, leaves, count, like, numbers):
    """Ranks of cells go by lines."""


def settle_mode(finish, write, lines, sorter, at, size, like, weights, numbers):
    best, longest, run = peek(lines, peek(sorter.ranks, 0) + at), 0, 0
    before = best
    for rank in range(size):
        value = peek(lines, peek(sorter.ranks, rank) + at)
        run = run + 1 if value == before else 1
        run = 0 if (numbers.ignores != 0) & (value == peek(like, 1)) else run
        best = value if run > longest else best
        longest = max(run, longest)
        before = value
    return best


# The kernel ----------------------------------------------------------------------------------------------


def locate(axes, table, unit, counts, numbers):
    """The offset of a unit's windows along all axes but the last pooled one, and whether they are full."""
    base, inside = 0, True
    for number in range(numbers.axes - 1, -1, -1):
        axis = read_outer(axes, number * OUTER)
        i, unit = unit % axis.length, unit // axis.length
        low, count = i, 1
        if axis.begin >= 0:
            low, count = peek(table, axis.begin + i), peek(table, numbers.columns + axis.begin + i)
        base += low * axis.pitch
        poke(counts, number, count)
        inside = inside and count == axis.full
    return base, inside


def read_lines(odd, read, x, lines, bases, units, leaves, left, width, numbers):
    """Lay out full windows: one line for each leaf, in it one stretch a unit; and whether there is a NaN."""
    deep, jump = numbers.deep, numbers.jump
    found, pitch = False, (width + numbers.halo) * deep
    for leaf in range(leaves.shape[0]):
        columns = width + leaves[leaf, 1]
        for unit in range(units):
            source = ahead(x, peek(bases, unit) + leaves[leaf, 0] + left * jump * deep)
            out = ahead(lines, leaf * numbers.line + unit * pitch)
            if jump == 1:
                met = take_each(odd, read, out, source, columns * deep, 1)
            elif deep > 1:
                met = False
                for j in range(columns):
                    at = ahead(source, j * jump * deep)
                    met = take_each(odd, read, ahead(out, j * deep), at, deep, 1) or met
            elif jump == 2:
                met = take_second(odd, read, out, source, columns, 2)
            else:
                met = take_apart(odd, read, out, source, columns, jump)
            found = found or met
    return found


def read_window(odd, read, x, lines, base, axes, counts, rows, size, top, numbers):
    """Put the elements of one window where as many lines begin, and `top` in the other lines.

    Rows are counted axis by axis, behind the `counts`: to divide their number takes as long as to read a row.
    """
    found, line, place, seen = False, 0, base, ahead(counts, numbers.axes)
    for number in range(numbers.axes):
        poke(seen, number, 0)
    for _ in range(rows):
        for tap in range(size):
            value = peek(x, place + tap * numbers.tap)
            found = found or odd(value)
            poke(lines, line * EDGE, read(value))
            line += 1
        for number in range(numbers.axes - 1, -1, -1):
            step, done = read_outer(axes, number * OUTER).step, peek(seen, number) + 1
            place += step
            poke(seen, number, done)
            if done < peek(counts, number):
                break
            place -= done * step
            poke(seen, number, 0)
    for blank in range(line, numbers.elements):
        poke(lines, blank * EDGE, top)
    return found


class Kind(NamedTuple):
    """What a kernel is compiled for."""

    name: str  # "lower", "median", "quantile" or "mode"
    source: str
    target: str
    five: bool  # for the middle of 5x5 alone

    @property
    def finishes(self) -> tuple[Callable[..., Any], ...]:
        """What makes a result: at edges, of two elements; in full windows, of one element, and of two."""
        if self.name in ("lower", "mode"):
            return lower, lower, lower
        return between, alone, middle if self.name == "median" else between


def _full_windows(kind: Kind) -> Callable[..., bool]:
    """What reduces full windows of some units, all by the same passes: whether there is a NaN."""
    (_, one, two), five = kind.finishes, kind.five
    read, write, odd = half.READ[kind.source], half.WRITE[kind.target], half.IS_NAN[kind.source]
    deliver, put, reduce_cells = deliver_ranks, put_ranks, cells_ranks
    if kind.name == "mode":
        deliver, put, reduce_cells = deliver_mode, put_mode, cells_mode

    def full_windows(given, leaves, sorter, units, left, width):
        x, y, lines, _, _, like, places, weights, numbers = given
        deep = numbers.deep
        if numbers.cells:
            for unit in range(units):
                source = ahead(x, peek(places.bases, unit) + 2 * left)
                reduce_cells(ahead(y, peek(places.ends, unit)), source, leaves, width, like, numbers)
            return False
        found = read_lines(odd, read, x, lines, places.bases, units, leaves, left, width, numbers)
        pitch = (width + numbers.halo) * deep
        if five:
            line = numbers.line
            columns, middles = ahead(lines, FIVE * line), ahead(lines, 2 * FIVE * line)
            sort_columns_of_5(columns, lines, line, units * pitch)
            middles_of_25(middles, columns, line, deep, units * pitch)
        else:
            carry_out(sorter, lines, units * pitch)
        deliver(lines, sorter, units * pitch, like, numbers)
        for unit in range(units):
            out, start = ahead(y, peek(places.ends, unit)), unit * pitch
            put((one, two), write, out, lines, sorter, start, width * deep, weights, numbers)
        return found

    jit.expression(full_windows)
    return full_windows


def _edge_windows(kind: Kind) -> tuple[Callable[..., Any], Callable[..., None]]:
    """What gathers a unit's windows at edges, and what sorts and writes those that are `ready`.

    The first says whether there is a NaN, and how many are ready; whenever they are `EDGE`, they are written.
    """
    finish, settle = kind.finishes[0], settle_mode if kind.name == "mode" else settle_ranks
    read, write, odd = half.READ[kind.source], half.WRITE[kind.target], half.IS_NAN[kind.source]

    def settled(given, sorter, ready):
        edges, places = ahead(given.lines, given.numbers.edges), given.places
        carry_out(sorter, edges, ready)
        for at in range(ready):
            size, rest = peek(places.sizes, at), (given.like, given.weights, given.numbers)
            value = settle(finish, write, edges, sorter, at, size, *rest)
            poke(given.y, peek(places.edge_ends, at), value)

    def edge_windows(given, sorter, unit, ready):
        x, _, lines, axes, table, like, places, _, numbers = given
        base, inside = locate(axes, table, unit, places.counts, numbers)
        found, rows, deep, full = False, 1, numbers.deep, numbers.last - numbers.first if inside else 0
        for axis in range(numbers.axes):
            rows *= peek(places.counts, axis)
        for output in range(numbers.length - full):
            column = output + (full if output >= numbers.first else 0)
            at, low = column_of(numbers, 0, column)
            low, size = low + peek(table, at), peek(table, numbers.columns + at)
            for channel in range(deep):
                place, own = base + low * deep + channel, ahead(lines, numbers.edges + ready)
                top, counts = peek(like, 0), places.counts
                met = read_window(odd, read, x, own, place, axes, counts, rows, size, top, numbers)
                found = found or met
                poke(places.edge_ends, ready, (unit * numbers.length + column) * deep + channel)
                poke(places.sizes, ready, rows * size)
                ready += 1
                if ready == EDGE:
                    settled(given, sorter, ready)
                    ready = 0
        return found, ready

    jit.outlined(settled)
    jit.expression(edge_windows)
    return edge_windows, settled


@cache
def kernel(kind: Kind) -> Callable[..., None]:
    """The kernel for windows of one kind.

    A task is a piece of some rows of windows; their first piece has their windows at edges too. The first
    pass reads the rows of full windows, and writes an element to each line that holds it. Each pass of the
    program reads two lines or more, and writes one or more. The last reads one or two and writes each result
    once. Windows at edges are read one by one, and modes of small cells in one pass without lines.
    """
    full_windows, (edge_windows, settled) = _full_windows(kind), _edge_windows(kind)
    digest = jit.source_digest()

    def walk(arrays, axes, table, leaves, programs, weights, sizes, scratch, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        program, results, sorting, ranks = programs
        sorter = Sorter(pointer(program), program.shape[0], pointer(results), results.shape[0])
        edge_sorter = Sorter(pointer(sorting), sorting.shape[0], pointer(ranks), ranks.shape[0])
        at, room, numbers = pointer(memory), memory.shape[1], read_numbers(sizes, 0)
        places = Places(at, ahead(at, room), ahead(at, 2 * room), ahead(at, 3 * room), ahead(at, 4 * room))
        x, y, like = ahead(pointer(arrays[0]), arrays[2]), pointer(arrays[1]), pointer(arrays[3])
        tables = pointer(axes), pointer(table)
        given = Given(x, y, pointer(scratch), *tables, like, places, weights, numbers)
        begins = peek(given.table, numbers.begin + numbers.first) * numbers.deep
        found, ready = False, 0
        for task in range(first, last):
            batch, piece = task // numbers.pieces, task % numbers.pieces
            begin, end = batch * numbers.batch, min((batch + 1) * numbers.batch, numbers.units)
            left, units = piece * numbers.width, 0
            width = min(numbers.width, numbers.last - numbers.first - left)
            for unit in range(begin, end):
                base, inside = locate(given.axes, given.table, unit, places.counts, numbers)
                if inside and width > 0:
                    poke(places.bases, units, base + begins)
                    poke(places.ends, units, (unit * numbers.length + numbers.first + left) * numbers.deep)
                    units += 1
            if units > 0:
                met = full_windows(given, leaves, sorter, units, left, width)
                found = found or met
            for unit in range(begin, end if piece == 0 else begin):
                met, ready = edge_windows(given, edge_sorter, unit, ready)
                found = found or met
        settled(given, edge_sorter, ready)
        if found:
            arrays[4][0] = 1

    name = f"networks_{kind.name}{'_5x5' * kind.five}"
    return jit.kernel(walk, f"{name}_{kind.source}_{kind.target}")


jit.register(half)
jit.register(networks)
jit.register(__name__, forceinline=False)
