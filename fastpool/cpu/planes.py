"""Windows around each element of small planes: a plane as one line, whose columns a mask tells apart.

Rows that are a few registers long are not worth a pass each. So a pass goes over the whole plane: neighbours
along a row are one element away, those of other rows a row's length, and at the ends of rows a comparison
of the column takes what is outside for blank. Three passes read and write in the first-level cache.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

from .. import jit
from ..operators.line import Line, value_alone
from . import passes, places, tasks
from .flags import clear_overflow, overflowed
from .memory import (
    ahead,
    apart,
    fields,
    lanes,
    lanes_of,
    load,
    peek,
    pointer,
    poke,
    prefetch,
    store,
    values,
    wide_registers,
)
from .tasks import GRID, Plan, Reduction, begin, following, located, read_grid

COLUMNS = 127  # elements of the longest row, whose numbers any dtype holds
PIECE = 8  # registers of a plane's results between which some of the next one are asked for
NEXT = 1_000  # elements of the largest plane that stays in the first-level cache beside the next one


class Planes(NamedTuple):
    """Numbers of a call."""

    size: int  # elements of a plane, of a row, and between two of a row that are neighbours
    width: int
    step: int
    across: int  # elements that a window reaches to both sides, and rows
    down: int
    channels: int


read_planes = fields(Planes)
FIRST = GRID + len(Planes._fields)  # where the numbers of places are


# Passes --------------------------------------------------------------------------------------------------


def plane(uses, grown, blank, out, taps, kept, x, scale, sizes, reach, fresh):
    """All windows of a plane as one line: three along its rows, `grown` ones, and three rows of these.

    Each element's column is kept, and blanks around two lines; they are written where memory is `fresh`.
    """
    size, width, step = sizes
    margin = max((reach[0] + 1) // 2 * step, (reach[1] + 1) // 2 * width)
    limits, line = values(kept), ahead(kept, 2 + size + margin)
    columns, other = ahead(limits, 2), ahead(line, size + 2 * margin)
    if fresh:
        for j in range(size):
            poke(columns, j, j % width)
        surround(uses[2], blank, line, size, width, step, margin)
        surround(uses[2], blank, other, size, width, step, margin)
    bound(limits, step, width)
    found = along_rows(uses, blank, line, x, limits, columns, size, step)
    line, apart_by = grown(uses[1], uses[2], blank, line, other, limits, columns, sizes, reach)
    piece = PIECE * lanes(out)
    for j in range(0, size, piece):
        if size <= NEXT:
            for k in range(0, piece, lanes(out)):
                prefetch(x, size + j + k)
                prefetch(out, size + j + k)
        y, chosen, count = ahead(out, j), ahead(taps, j), min(piece, size - j)
        down_rows(uses, y, chosen, ahead(line, j), scale, count, apart_by)
    return found


def surround(element, blank, line, size, width, step, margin):
    """Blanks before and behind a line, with the places that they have in the row below them and above."""
    for j in range(margin):
        store(line, j - margin, element(blank, 4 if j < step else 3))
        store(line, size + j, element(blank, 0))


def bound(limits, distance, width):
    """The first column that has one so far before it, and the first that has none so far behind it."""
    poke(limits, 0, distance)
    poke(limits, 1, max(0, width - distance))


def along_rows(uses, blank, out, x, limits, columns, size, step):
    """Windows of three along the rows of a plane."""
    apart()
    odd, merge, element, low, high = uses[0], uses[1], uses[2], peek(limits, 0), peek(limits, 1)
    found = False
    for j in range(step):
        last = size - step + j
        found = bool(found | odd(peek(x, j)) | odd(peek(x, last)))
        first = merge(element(blank, 1), element(peek(x, j), 1))
        store(out, j, merge(first, element(peek(x, j + step), 2)))
        store(out, last, merge(element(peek(x, last - step), 0), element(peek(x, last), 1)))
    for j in range(step, size - step):
        column, middle = peek(columns, j), peek(x, j)
        left, right = peek(x, j - step), peek(x, j + step)
        found = bool(found | odd(middle))
        start = element(left, 0) if column >= low else element(blank, 1)
        row = merge(start, element(middle, 1))
        store(out, j, merge(row, element(right if column < high else blank, 2)))
    return found


def as_they_are(merge, element, blank, line, other, limits, columns, sizes, reach):
    """Windows of three, and the distance between rows."""
    return line, sizes[1]


def grown(merge, element, blank, line, other, limits, columns, sizes, reach):
    """Windows that reach further: those of elements on both sides merge, no further away than they are long.

    Of what may merge more than once. Returns windows and the distance of the three that are still to merge.
    """
    size, width, step = sizes
    across, down = reach
    have = 1
    while have < across:
        more = min(have + 1, across - have)
        bound(limits, more * step, width)
        wider(merge, element, blank, other, line, limits, columns, size, more * step)
        line, other, have = other, line, have + more
    have, more = 0, 1
    while have + more < down:
        taller(merge, other, line, size, more * width)
        line, other, have = other, line, have + more
        more = min(have + 1, down - have)
    return line, more * width


def wider(merge, element, blank, out, line, limits, columns, size, step):
    """Windows along rows and those of elements before and behind."""
    apart()
    low, high, none = peek(limits, 0), peek(limits, 1), element(blank, 0)
    for j in range(size):
        column, left, right = peek(columns, j), load(line, j - step, 0), load(line, j + step, 0)
        row = merge(left if column >= low else none, load(line, j, 0))
        store(out, j, merge(row, right if column < high else none))


def taller(merge, out, line, size, width):
    """Windows and those of rows above and below."""
    apart()
    for j in range(size):
        above = merge(load(line, j - width, 0), load(line, j, 0))
        store(out, j, merge(above, load(line, j + width, 0)))


def down_rows(uses, out, taps, line, scale, size, width):
    """Three rows of windows, as results."""
    apart()
    merge, give, finish, knobs, write = uses[1], uses[4], uses[5], uses[6], uses[7]
    for j in range(size):
        above = merge(load(line, j - width, 0), load(line, j, 3))
        give(finish, knobs, write, out, taps, j, merge(above, load(line, j + width, 6)), scale)


# Kernels -------------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """What a kernel is compiled for: whether windows are 3x3, the operator, and how elements are stored."""

    name: str
    larger: bool
    line: Line
    chosen: str
    source: str
    target: str


@cache
def kernel(kind: Kind, *, careful: bool) -> Callable[..., None]:
    """All windows of some planes.

    Windows of 3, 7, 15 elements take 1, 2, 3 passes along the rows, and as many down them. The first reads
    each element from memory, the last writes each result. Between them are lines in the first-level cache.
    """
    element, placed, digest = kind.line.element, bool(kind.chosen), jit.source_digest()
    merge, odd, finish, write, watches = tasks.expressions_of(kind, careful=careful)
    further, to = (passes.moved, passes.give_placed) if placed else (value_alone, passes.give)
    lines_of = passes.line_of_pairs if placed else passes.line_of
    growing = grown if kind.larger else as_they_are
    tell = places.TOLD[kind.chosen]

    def walk(arrays, tables, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        if watches:
            clear_overflow()
        x_all, y_all, taps_all, like, met = arrays
        outer, leads, numbers, scales, _, _ = tables
        grid, g = read_grid(numbers, 0), read_planes(numbers, GRID)
        uses = odd, merge, element, further, to, finish, (like[1], like[2], like[3]), write
        kept, sizes, reach, found = lines_of(memory), (g.size, g.width, g.step), (g.across, g.down), False
        place, fresh = begin(grid, first), True
        for _ in range(first, last):
            x_at, at = located(grid, outer, leads, place)
            x, out = ahead(pointer(x_all), x_at), ahead(pointer(y_all), at)
            taps = ahead(pointer(taps_all), at if placed else 0)
            rest = kept, x, scales[0], sizes, reach, fresh
            met_one = plane(uses, growing, like[0], out, taps, *rest)
            tell(numbers, FIRST, taps, 0, g.size // g.width, 0, g.width // g.channels, g.channels, g.width)
            found, fresh = bool(found | met_one), False
            place = following(grid, place)
        if overflowed() if watches else found:
            met[0] = 1

    how = f"planes_{kind.name}" + "_3x3" * (not kind.larger) + f"_{kind.chosen}" * placed
    return jit.kernel(walk, tasks.named(how, kind, careful=careful))


# Which windows -------------------------------------------------------------------------------------------


def are_small(r: Reduction) -> bool:
    """Whether windows are around each element of a small plane, of rows that run on and are short."""
    row, columns = r.shape.row, r.shape.columns
    length = columns.size * r.shape.channels
    runs_on = row.step == 1 and row.pitch == row.out_pitch == length
    small = row.size * length <= r.limits.plane and length <= COLUMNS
    three = row.window == columns.window == 3
    fits = length < lanes_of(r.line.itemsize) * r.limits.registers if three else r.repeats and not r.placed
    around = all(axis.centred() and 2 * axis.step <= axis.size for axis in (row, columns))
    single = len(r.leads) == 1 and not r.shape.leading
    return single and r.uniform and not r.converts and runs_on and small and fits and around


def plan(r: Reduction) -> Plan:
    """How to reduce windows over small planes."""
    row, columns, channels = r.shape.row, r.shape.columns, r.shape.channels
    width, step = columns.size * channels, columns.step * channels
    across, down = columns.window // 2, row.window // 2
    size, margin = row.size * width, max((across + 1) // 2 * step, (down + 1) // 2 * width)
    kept = 3 * size + 4 * margin + 2 + lanes_of(r.line.itemsize)
    numbers = Planes(size, width, step, across, down, channels)
    kind = Kind(r.name, max(across, down) > 1, r.line, r.chosen, r.source, r.target)
    return r.plan(partial(kernel, kind), (*numbers, *places.places_of(r.shape)), (1, 1), r.lines(kept))


jit.register(__name__, passes="apart")
