"""The row engine with places: the extreme of each window, and which of its elements that is.

As in `rows`, the rows of input that windows cover merge into a line, and then the elements of the line. Each
value has a place beside it: how far its element is from the window's first, in the order of the plane. Of
equal elements the one of the lowest place is chosen: rows merge in their order, and along a row the places
are compared.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from .. import jit
from ..operators.line import Line
from . import passes, tasks
from .memory import ahead, apart, fields, once, peek, pointer, poke, wide_registers
from .rows import (
    ALONE,
    CACHE_LINE,
    LONGEST,
    MOST,
    Rows,
    columns_of,
    elements_of,
    look,
    numbers_of,
    read_rows,
    rows_of,
)
from .tasks import GRID, Plan, Reduction, begin, following, located, parted, read_grid

NOBODY = 1 << 30  # the place of padding, behind that of every element


class Units(NamedTuple):
    """What places are counted in."""

    row: int  # from a row of a window to its next, and from a column
    column: int
    down: int  # from a row of windows to the next, and from a column; 0 where places are those in the window
    across: int
    above: int  # of the first window, how far it begins in the padding
    before: int
    high: int  # rows of output of a plane; planes of cells are taken as one


read_units = fields(Units)
FIRST = GRID + len(Rows._fields)  # where the units are
FOLDED = 96  # elements of the shortest window that is folded where it is the only one


# Passes ----------------------------------------------------------------------------------------------------


def merge_down(expression, merge, take, to, a, b, c, shifts, count, repeat, pitches):
    """Rows of input that merge in their order."""
    apart()
    once()
    (values, places), (out_pitch, pitch) = to, pitches
    near, middle, far = np.int32(shifts[0]), np.int32(shifts[1]), np.int32(shifts[2])
    for r in range(repeat):
        for j in range(count):
            o, i = r * out_pitch + j, r * pitch + j
            three = (take(a, i), near), (take(b, i), middle), (take(c, i), far)
            found = expression(merge, (peek(values, o), peek(places, o)), three)
            poke(values, o, found[0])
            poke(places, o, found[1])


def one_row(merge, there, three):
    """The only one."""
    return three[0]


def two_rows(merge, there, three):
    """Two."""
    return merge(three[0], three[1])


def three_rows(merge, there, three):
    """Three."""
    return merge(merge(three[0], three[1]), three[2])


def two_more_rows(merge, there, three):
    """The first two, behind those that are there."""
    return merge(merge(there, three[0]), three[1])


def merge_along(expression, put, merge, write, to, there, taps, shifts, corner, count, repeat, pitches):
    """Neighbours in lines, in any order."""
    apart()
    once()
    (values, places), (a, b, c), (out_pitch, there_pitch, pitch) = to, taps, pitches
    near, middle, far = np.int32(shifts[0]), np.int32(shifts[1]), np.int32(shifts[2])
    (first, further, columns) = corner
    for r in range(repeat):
        origin = np.int32(first + r * further)
        for j in range(count):
            o, i = r * out_pitch + j, r * pitch + j
            three = of_line(a, i, near), of_line(b, i, middle), of_line(c, i, far)
            # what is `there` is read, and not used, by the first pass, which is compiled without the read
            found = expression(merge, of_line(there, r * there_pitch + j, np.int32(0)), three)
            put(write, values, places, o, found, origin, columns, j)


def of_line(line, i, shift):
    """An element of a line, and its place so much further on."""
    return peek(line[0], i), np.int32(peek(line[1], i) + shift)


def two_neighbours(merge, there, three):
    """Two, which may be one."""
    return earlier(merge, three[0], three[1])


def three_neighbours(merge, there, three):
    """All three."""
    return earlier(merge, earlier(merge, three[0], three[1]), three[2])


def two_more_neighbours(merge, there, three):
    """The first two, and what is there."""
    return earlier(merge, earlier(merge, there, three[0]), three[1])


def earlier(merge, a, b):
    """Two elements merged, of which that of the lower place comes first."""
    swap = b[1] < a[1]
    first = (b[0] if swap else a[0]), (b[1] if swap else a[1])
    return merge(first, ((a[0] if swap else b[0]), (a[1] if swap else b[1])))


def put_in_line(write, values, places, o, found, origin, columns, j):
    """What is not finished."""
    poke(values, o, found[0])
    poke(places, o, found[1])


def put_tap(write, values, places, o, found, origin, columns, j):
    """A value, and which element of its window it is."""
    poke(values, o, write(found[0]))
    poke(places, o, np.uint8(found[1]))


def put_place(write, values, places, o, found, origin, columns, j):
    """A value, and where in the plane it is."""
    poke(values, o, write(found[0]))
    poke(places, o, found[1] + origin + peek(columns, j))


PUT = {"taps": put_tap, "places": put_place}


# Rows and columns of windows -------------------------------------------------------------------------------


def three_of(numbers, first, end):
    """The next three of some numbers, the last again where there are fewer."""
    a, b, c = first, min(first + 1, end - 1), min(first + 2, end - 1)
    return peek(numbers, a), peek(numbers, b), peek(numbers, c)


def merge_rows(merge, take, to, x, rows_at, shifts, high, count, repeat, pitches):
    """The rows of input at `rows_at`, first to last; `shifts` are their places."""
    if pitches == (count, count):  # rows run on
        count, repeat = count * repeat, 1
    for done in range(1, max(2, high), 2):  # three rows, and then twos
        first = done if done > 1 else 0
        some, own = three_of(rows_at, first, high), three_of(shifts, first, high)
        a, b, c = ahead(x, some[0]), ahead(x, some[1]), ahead(x, some[2])
        if high == 1:
            merge_down(one_row, merge, take, to, a, b, c, own, count, repeat, pitches)
        elif high == 2:
            merge_down(two_rows, merge, take, to, a, b, c, own, count, repeat, pitches)
        elif first == 0:
            merge_down(three_rows, merge, take, to, a, b, c, own, count, repeat, pitches)
        else:
            merge_down(two_more_rows, merge, take, to, a, b, c, own, count, repeat, pitches)


def merge_columns(put, merge, write, to, spare, line, elements, g, step, corner, count, repeat, pitches):
    """The elements of windows along lines; two of `spare` are for what is not finished."""
    (some, other), (out_pitch, pitch), last = spare, pitches, g.across
    done = min(3, last)
    taps, shifts = taps_of(line, elements, 0, last, step)
    own = corner, count, repeat, (count, count, pitch)
    while done < last:
        if done == 3:
            merge_along(three_neighbours, put_in_line, merge, write, some, other, taps, shifts, *own)
        else:
            merge_along(two_more_neighbours, put_in_line, merge, write, other, some, taps, shifts, *own)
            some, other = other, some
        taps, shifts = taps_of(line, elements, done, last, step)
        done += 2
    own = corner, count, repeat, (out_pitch, count, pitch)
    if last <= 2:
        merge_along(two_neighbours, put, merge, write, to, some, taps, shifts, *own)
    elif last == 3:
        merge_along(three_neighbours, put, merge, write, to, some, taps, shifts, *own)
    else:
        merge_along(two_more_neighbours, put, merge, write, to, some, taps, shifts, *own)


def grow(put, merge, write, to, spare, line, g, step, corner, count, repeat, pitches):
    """As `merge_columns` at stride 1: windows grow by three, in one of two `spare`, until three are whole.

    They may overlap. A single long window is first folded into thirds.
    """
    (out_pitch, pitch), unit, have, across = pitches, g.gap * g.channels, 1, g.across
    (some, other), nothing = spare, (0, 0, to[1])
    size = count + (across - 1) * unit
    while 3 * have < across:
        if across >= FOLDED and count == g.channels:
            third = -(-across // 3)
            taps, shifts = grown_taps(line, unit, step, third, across - third)
            across, size = third, third * unit
        else:
            size -= 2 * have * unit
            taps, shifts = grown_taps(line, unit, step, have, 2 * have)
            have *= 3
        own = nothing, size, repeat, (pitch, pitch, pitch)
        merge_along(three_neighbours, put_in_line, merge, write, some, line, taps, shifts, *own)
        line, some, other = some, other, some
    taps, shifts = grown_taps(line, unit, step, max(0, min(have, across - have)), across - have)
    own = corner, count, repeat, (out_pitch, pitch, pitch)
    merge_along(three_neighbours, put, merge, write, to, line, taps, shifts, *own)


def grown_taps(line, unit, step, second, third):
    """Lines from three windows on, which are so many elements apart, and their places."""
    taps = line, from_element(line, second * unit), from_element(line, third * unit)
    return taps, (0, second * step, third * step)


def taps_of(line, elements, first, end, step):
    """Lines from the next three elements of windows on, and their places."""
    a, b, c = three_of(elements, first, end)
    shifts = first * step, min(first + 1, end - 1) * step, min(first + 2, end - 1) * step
    return (from_element(line, a), from_element(line, b), from_element(line, c)), shifts


def from_element(line, n):
    """Values and places of a line from an element on."""
    return ahead(line[0], n), ahead(line[1], n)


def split(to, line, g, far, count):
    """Values and places of a line, each phase of a stride as a line of its own, `far` from the next one."""
    if g.channels == 1:
        passes.split(to[0], far, line[0], g.jump, g.jump, count)
        passes.split(to[1], far, line[1], g.jump, g.jump, count)
    else:
        passes.split_cells(to[0], far, line[0], g.jump, g.channels, count // g.channels)
        passes.split_cells(to[1], far, line[1], g.jump, g.channels, count // g.channels)


def give(put, merge, write, to, lines, elements, g, units, corner, columns, n, repeat):
    """Windows along lines, to rows of output; short ones run on until they are finished."""
    line, spare, others = lines
    pitch, count = g.line // g.jump, n * g.channels
    if g.jump > 1:
        split(others, line, g, pitch * g.block, pitch * repeat)
    rest = (corner, units.down, columns), count, repeat, (g.out_pitch, pitch)
    if count < g.short and repeat > 1 and not (count == g.channels and g.across >= FOLDED):
        size, result = (repeat - 1) * pitch + count, spare[2]
        flat = (0, 0, columns), size, 1, (size, size)
        along(put_in_line, merge, write, result, (line, spare, others), elements, g, units.column, *flat)
        put_rows(put, write, to, result, *rest)
    else:
        along(put, merge, write, to, (line, spare, others), elements, g, units.column, *rest)


def along(put, merge, write, to, lines, elements, g, step, corner, count, repeat, pitches):
    """Windows along lines, or along those of the phases of a stride."""
    line, (some, other, _), others = lines
    if g.jump > 1:
        rest = elements, g, step, corner, count, repeat, pitches
        merge_columns(put, merge, write, to, (some, other), others, *rest)
    else:
        grow(put, merge, write, to, (others, some), line, g, step, corner, count, repeat, pitches)


def put_rows(put, write, to, line, corner, count, repeat, pitches):
    """Rows of output from lines."""
    apart()
    once()
    (values, places), (first, further, columns), (out_pitch, pitch) = to, corner, pitches
    for r in range(repeat):
        origin = np.int32(first + r * further)
        for j in range(count):
            found = peek(line[0], r * pitch + j), peek(line[1], r * pitch + j)
            put(write, values, places, r * out_pitch + j, found, origin, columns, j)


def rows_in(rows_at, shifts, g, units, slabs, further, deep, row, top, bottom):
    """Where the rows of a window begin in the input, and their places; how many there are."""
    high = bottom - top
    for s in range(deep):
        for t in range(high):
            poke(rows_at, s * high + t, peek(slabs, s) + (row + (top + t) * g.step) * g.pitch)
            poke(shifts, s * high + t, peek(further, s) + (top + t) * units.row)
    return deep * high


def lines_in(pair, block, spans):
    """Where a thread's lines are in its memory, and what the windows along a row add to places."""
    at = 2 * block
    spare = from_element(pair, at), from_element(pair, at + spans), from_element(pair, at + 2 * spans)
    return (pair, spare, from_element(pair, block)), ahead(pair[1], at + 3 * spans)


def write_columns(columns, g, units):
    """How much the windows along a row add to places."""
    for j in range(g.width * g.channels):
        poke(columns, j, np.int32(j // g.channels * units.across))


class Kind(NamedTuple):
    """What a kernel is compiled for: the operator, what is wanted, and how elements are stored."""

    name: str
    line: Line
    chosen: str
    source: str
    target: str


@cache
def kernel(kind: Kind, *, careful: bool) -> Callable[..., None]:
    """All windows of some tasks, in lines of values and, beside them, of places.

    Column passes merge three rows of input, and then two more each, so that each element is read once for
    each window down the rows that covers it; a look for NaNs reads it again in cache. Row passes at stride 1
    merge three windows to one that is up to three times as long. At other strides the elements of each phase
    become a line, and row passes merge three of these, and then two more each. Each pass writes both lines,
    and the last one each result once.
    """
    put, take, digest = PUT[kind.chosen], passes.TAKE[kind.source], jit.source_digest()
    merge, odd, _, write, _ = tasks.expressions_of(kind, careful=careful)

    def walk(arrays, tables, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        x_all, y_all, places_all, like, met = arrays
        outer, leads, numbers, _, places, slabs_of_all = tables
        grid, g, units = read_grid(numbers, 0), read_rows(numbers, GRID), read_units(numbers, FIRST)
        block, spans = g.line * g.block, max(g.line // g.jump, g.width * g.channels) * g.block
        pair = pointer(memory[0]), pointer(memory[1])
        (lines, columns), rows_at = lines_in(pair, block, spans), pointer(memory[2])
        most = memory[2].size - g.across
        shifts = ahead(rows_at, most // 2)
        elements = elements_of(ahead(rows_at, most), g, g.jump > 1)
        write_columns(columns, g, units)
        place, tile_before, found = begin(grid, first), -1, False
        for _ in range(first, last):
            (x_at, y_at), (tile, band, lead, _, _) = located(grid, outer, leads, place), place
            left, n, start, low, count = columns_of(g, tile)
            if tile != tile_before:
                passes.fill(pair[0], like[0], block)
                passes.fill(pair[1], np.int32(NOBODY), block)
            x = ahead(pointer(x_all), x_at + low * g.channels)
            inner = from_element(pair, (low - start) * g.channels)
            y_all_at = y_at + left * g.channels
            y = ahead(pointer(y_all), y_all_at), ahead(pointer(places_all), y_all_at)
            slabs, deep = ahead(pointer(slabs_of_all), leads[2, lead]), leads[3, lead]
            fresh = ahead(slabs, slabs_of_all.size // 2)
            further = ahead(pointer(places), grid.leads + leads[2, lead])
            output, end, seen = band * g.band, min((band + 1) * g.band, g.high), 0
            while output < end:
                row, top, bottom, repeat = rows_of(g, output, end)
                repeat = min(repeat, units.high - output % units.high)
                high = rows_in(rows_at, shifts, g, units, slabs, further, deep, row, top, bottom)
                pitches = g.line, g.stride * g.pitch
                merge_rows(merge, take, inner, x, rows_at, shifts, high, count, repeat, pitches)
                met_one, seen = look(odd, x, g, slabs, fresh, deep, row, top, bottom, repeat, seen, count)
                found = bool(found | met_one)
                corner = places[lead] + output % units.high * units.down - units.above
                corner += left * units.across - units.before
                to = from_element(y, output * g.out_pitch)
                give(put, merge, write, to, lines, elements, g, units, corner, columns, n, repeat)
                output += repeat
            place, tile_before = following(grid, place), tile
        if found:
            met[0] = 1

    return jit.kernel(walk, tasks.named(f"rows_{kind.chosen}_{kind.name}", kind, careful=careful))


# Which windows ---------------------------------------------------------------------------------------------


def cut_of(r: Reduction) -> tuple[int, int, int, int]:
    """Columns of output, elements of a line, and rows of output that are merged at a time; and the memory."""
    row, columns, channels = r.shape.row, r.shape.columns, r.shape.channels
    width = parted(columns.outputs, max(1, r.limits.long // channels // columns.stride))
    line = ((width - 1) * columns.stride + columns.span) * channels
    line += -line % (columns.stride * channels)
    rows = max(line, columns.size * channels * row.stride)
    block = max(1, min(row.outputs, r.limits.near // rows))
    size = 2 * line + 3 * max(line // columns.stride, width * channels)
    return width, line, block, block * size + CACHE_LINE


def alone(r: Reduction) -> Reduction:
    """Without a stride where a row of output is one window."""
    columns = r.shape.columns
    stride = columns.stride if columns.outputs > 1 else 1
    return r._replace(shape=r.shape._replace(columns=columns._replace(stride=stride)))


def fit(r: Reduction) -> bool:
    """Chosen elements, of windows not far longer than what is written, whose lines are not much memory."""
    row, columns, channels = r.shape.row, r.shape.columns, r.shape.channels
    farthest = max(lead.slabs[-1][1] for lead in r.leads) + row.span * row.place + columns.span
    few = columns.window <= max(LONGEST, ALONE * columns.outputs * channels)
    return r.placed and few and farthest < NOBODY and cut_of(alone(r))[-1] <= MOST


def plan(r: Reduction) -> Plan:
    """How to find values and chosen elements of windows."""
    r = alone(r).across_planes()
    row, columns, channels = r.shape.row, r.shape.columns, r.shape.channels
    width, line, block, size = cut_of(r)
    each = columns.size * channels * row.stride
    band = min(row.outputs, max(block, 4 * row.window, r.limits.task // each))
    if r.chosen == "taps":
        units = Units(columns.window, 1, 0, 0, 0, 0, row.outputs)
    else:
        in_plane = row.place and len(r.shape.tables) > 1  # else rows are planes
        high, down = (len(r.shape.tables[-2]), row.stride * row.place) if in_plane else (row.outputs, 0)
        corner = row.before * row.place, columns.before * columns.place
        across = columns.stride * columns.place
        units = Units(row.step * row.place, columns.step * columns.place, down, across, *corner, high)
    deep = max(len(lead.slabs) for lead in r.leads)
    memory = (
        (size, r.line.dtype),
        (size + width * channels, np.int32),
        (2 * deep * row.window + columns.window, np.int64),
    )
    firsts = [lead.place if r.chosen == "places" else 0 for lead in r.leads]
    places = [[n for _, n in lead.slabs] if r.chosen == "places" else lead.taps for lead in r.leads]
    further = [n for own in places for n in own]
    numbers = *numbers_of(r, width=width, band=band, block=block, line=line), *units
    blocks = -(-row.outputs // band), -(-columns.outputs // width)
    kind = Kind(r.name, r.line, r.chosen, r.source, r.target)
    scales = r.scale, np.array([*firsts, *further], np.int64)
    return r.plan(partial(kernel, kind), numbers, blocks, memory, scales)


jit.register(__name__, passes="apart")
