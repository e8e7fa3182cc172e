"""Whole axes and long cells: windows that share little, each of which is merged alone.

`neighbours` is for windows of some ten to a hundred elements that lie one behind the other in memory: a plane
of 7x7, a cell of 64. Eight elements merge side by side, since one addition does not wait for another then.

`groups` is for larger ones, and for windows of channels. A window is read as rows of a line's length: pieces
of the memory where it runs on, its own rows where it does not, the channels of its elements. Eight rows merge
at a time, in registers, and their results pair by pair like the teams of a tournament. So each element is
read once, and goes through few additions, however many elements a window has.
"""

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from .. import jit
from ..operators.line import Line
from . import half, passes, tasks
from .flags import clear_overflow, overflowed
from .memory import ahead, apart, fields, once, peek, pointer, poke, wide_registers
from .rows import own_scales, scales_in
from .shape import Shape
from .tasks import GRID, Plan, Reduction, begin, following, located, parted, read_grid

EIGHT = 8
FOUR = 4  # bytes, from which on elements merge one by one as fast as in registers
EIGHT_ROWS = 16  # elements of a row, from which on neighbours are taken for eight rows


def tree(merge, a, b, c, d, e, f, g, h):
    """Eight merged in three rounds."""
    return merge(merge(merge(a, b), merge(c, d)), merge(merge(e, f), merge(g, h)))


class Kind(NamedTuple):
    """What a kernel is compiled for: the operator, and how elements are stored."""

    name: str
    line: Line
    converts: bool  # the input has another dtype, or what is merged is computed from it
    source: str
    target: str


# Passes ----------------------------------------------------------------------------------------------------


def eight_rows(uses, out, x, pitch, count):
    """Eight rows merged to a line, and whether there is a NaN."""
    apart()
    once()
    (merge, take, _, odd, knobs), found = uses, False
    for j in range(count):
        a, b, c, d = j, j + pitch, j + 2 * pitch, j + 3 * pitch
        e, f, g, h = j + 4 * pitch, j + 5 * pitch, j + 6 * pitch, j + 7 * pitch
        found = bool(found | odd(peek(x, a)) | odd(peek(x, b)) | odd(peek(x, c)) | odd(peek(x, d)))
        found = bool(found | odd(peek(x, e)) | odd(peek(x, f)) | odd(peek(x, g)) | odd(peek(x, h)))
        upper = take(x, a, knobs), take(x, b, knobs), take(x, c, knobs), take(x, d, knobs)
        lower = take(x, e, knobs), take(x, f, knobs), take(x, g, knobs), take(x, h, knobs)
        poke(out, j, tree(merge, *upper, *lower))
    return found


def results(finish, write, out, line, scale, knobs, count):
    """What a line has merged, finished."""
    apart()
    for j in range(count):
        poke(out, j, write(finish(peek(line, j), scale, knobs)))


# Neighbours ------------------------------------------------------------------------------------------------


class Cells(NamedTuple):
    """Numbers of a call."""

    rows: int  # of output
    columns: int
    window: int
    stride: int  # of the columns
    pitch: int  # from the windows of a row of output to those of the next one
    out_pitch: int
    band: int  # rows and columns of output of a task
    width: int
    block: int  # windows whose elements are in cache at a time


read_cells = fields(Cells)


def by_elements(merge, out, x, spare, window, stride, count):
    """Windows of neighbours; long ones as eight rows, which merge to one before its neighbours do."""
    apart()
    size = window // EIGHT
    if size < EIGHT_ROWS:
        side_by_side(merge, out, x, window, stride, count)
        return
    for i in range(count):
        uses = merge, as_it_is, as_it_is, passes.never, 0
        eight_rows(uses, ahead(spare, i * size), ahead(x, i * stride), size, size)
    side_by_side(merge, out, spare, size, size, count)
    for i in range(count):
        total = peek(out, i)
        for j in range(i * stride + size * EIGHT, i * stride + window):
            total = merge(total, peek(x, j))
        poke(out, i, total)


def side_by_side(merge, out, x, window, stride, count):
    """Windows of neighbours: eight at a time, each onto one of the first eight, and then what is left."""
    apart()
    once()
    whole = window - window % EIGHT
    for i in range(count):
        at = ahead(x, i * stride)
        a, b, c, d = peek(at, 0), peek(at, 1), peek(at, 2), peek(at, 3)
        e, f, g, h = peek(at, 4), peek(at, 5), peek(at, 6), peek(at, 7)
        for j in range(EIGHT, whole, EIGHT):
            a, b = merge(a, peek(at, j)), merge(b, peek(at, j + 1))
            c, d = merge(c, peek(at, j + 2)), merge(d, peek(at, j + 3))
            e, f = merge(e, peek(at, j + 4)), merge(f, peek(at, j + 5))
            g, h = merge(g, peek(at, j + 6)), merge(h, peek(at, j + 7))
        total = merge(merge(merge(a, e), merge(c, g)), merge(merge(b, f), merge(d, h)))
        for j in range(whole, window):
            total = merge(total, peek(at, j))
        poke(out, i, total)


def by_eights(merge, out, x, spare, window, stride, count):
    """The same of integers of 8 and 16 bits: eight neighbours merge from each element on, in registers."""
    eight_rows(
        (merge, as_it_is, as_it_is, passes.never, 0), spare, x, 1, (count - 1) * stride + window - EIGHT + 1
    )
    for i in range(count):
        total, end = peek(spare, i * stride), i * stride + window
        whole = end - window % EIGHT
        for j in range(i * stride + EIGHT, whole, EIGHT):
            total = merge(total, peek(spare, j))
        for j in range(whole, end):
            total = merge(total, peek(x, j))
        poke(out, i, total)


def as_it_is(x, i, knobs):
    """An element of a line."""
    return peek(x, i)


def as_it_lies(odd, read, lift, knobs, line, x, count):
    """The input itself, and whether there is a NaN."""
    return x, passes.scan(odd, x, count, 1, 0)


def converted(odd, read, lift, knobs, line, x, count):
    """A line of what is computed with, and whether there is a NaN."""
    return line, passes.convert(odd, read, lift, knobs, line, x, count)


@cache
def kernel_of_neighbours(kind: Kind, *, careful: bool) -> Callable[..., None]:
    """All windows of some tasks: each element is read once and each result written once.

    A pass merges each window to a total in a buffer, and a last one reads the totals and writes the results.
    Long windows merge to a row first, and integers of 8 and 16 bits to one value for each eight neighbours:
    these are written to a second buffer and read there. A look for NaNs, of extremes, comes before, and so do
    conversions, which write a line: then the elements are read again in cache.
    """
    line, digest = kind.line, jit.source_digest()
    merge, odd, finish, write, watches = tasks.expressions_of(kind, careful=careful)
    read, lift, brought = half.READ[kind.source], line.lift, converted if kind.converts else as_it_lies
    reduce = by_eights if line.itemsize < FOUR else by_elements

    def walk(arrays, tables, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        if watches:
            clear_overflow()
        x_all, y_all, _, like, met = arrays
        outer, leads, numbers, scales, _, _ = tables
        grid, g, knobs = read_grid(numbers, 0), read_cells(numbers, GRID), (like[1], like[2], like[3])
        totals, line_at = pointer(memory[0]), ahead(pointer(memory[0]), g.block)
        spare = ahead(line_at, (g.block - 1) * g.stride + g.window)
        place, found = begin(grid, first), False
        for _ in range(first, last):
            (x_at, y_at), (tile, band, _, _, _) = located(grid, outer, leads, place), place
            left, right = tile * g.width, min((tile + 1) * g.width, g.columns)
            for row in range(band * g.band, min((band + 1) * g.band, g.rows)):
                for i in range(left, right, g.block):
                    count = min(g.block, right - i)
                    x = ahead(pointer(x_all), x_at + row * g.pitch + i * g.stride)
                    out = ahead(pointer(y_all), y_at + row * g.out_pitch + i)
                    size = (count - 1) * g.stride + g.window
                    windows, met_one = brought(odd, read, lift, knobs, line_at, x, size)
                    found = bool(found | met_one)
                    reduce(merge, totals, windows, spare, g.window, g.stride, count)
                    results(finish, write, out, totals, scales[0], knobs, count)
            place = following(grid, place)
        if overflowed() if watches else found:
            met[0] = 1

    return jit.kernel(walk, tasks.named(f"neighbours_{kind.name}", kind, careful=careful))


# Groups of rows --------------------------------------------------------------------------------------------


class Lines(NamedTuple):
    """Numbers of a call."""

    rows: int  # of input, and its columns and channels
    columns: int
    channels: int
    high: int  # rows and columns of output
    wide: int
    window: int  # of the rows, and of the columns
    across: int
    stride: int
    jump: int
    above: int  # padding
    before: int
    step: int  # distance of a window's rows
    pitch: int  # of rows of input, and of output
    out_pitch: int
    band: int  # rows, columns and channels of output of a task
    width: int
    deep: int
    layers: int  # such parts of the channels
    joined: int  # 1 where the rows of a window run on in memory, 2 where its slabs do, too
    cells: int  # elements of a window that a row has; 0 where a row of the window is a row
    alike: int  # whether all results are scaled alike


read_lines = fields(Lines)


def one_row(uses, out, x, count):
    """A row merged onto a line, and whether there is a NaN."""
    apart()
    (merge, take, held, odd, knobs), found = uses, False
    for j in range(count):
        found = bool(found | odd(peek(x, j)))
        poke(out, j, merge(held(out, j), take(x, j, knobs)))
    return found


def one_line(uses, out, line, count):
    """A line merged onto another."""
    apart()
    merge, _, held, _, _ = uses
    for j in range(count):
        poke(out, j, merge(held(out, j), peek(line, j)))


def few_rows(uses, blank, out, x, pitch, count, rows):
    """Fewer than eight rows merged to a line, and whether there is a NaN."""
    passes.fill(out, blank, count)
    found = False
    for r in range(rows):
        met_one = one_row(uses, out, ahead(x, r * pitch), count)
        found = bool(found | met_one)
    return found


def inside(output, stride, before, step, window, size):
    """Where a window begins, and which of its elements, from which to which, are not in the padding."""
    first = output * stride - before
    return first, -(min(first, 0) // step), min(window, (size - 1 - first) // step + 1)


def runs_of(g, output, column, slabs, deep):
    """Of a window: how many slabs, and how many runs each has; where they begin and how far apart they are.

    Of a run: how many rows, their distance and length, and how much is left behind them.
    """
    row, top, bottom = inside(output, g.stride, g.above, g.step, g.window, g.rows)
    left, low, high = inside(column, g.jump, g.before, 1, g.across, g.columns)
    at, down = (row + top * g.step) * g.pitch + (left + low) * g.channels, g.step * g.pitch
    if g.cells == 0:
        return (slabs, 1, at, 0), (bottom - top, down, (high - low) * deep, 0)
    runs, size = bottom - top, high - low
    if g.joined > 0:
        runs, size = 1, size * runs
    if g.joined > 1:
        slabs, size = 1, size * slabs
    rest = size % g.cells * g.channels
    return (slabs, runs, at, down), (size // g.cells, g.cells * g.channels, g.cells * deep, rest)


def merge_window(uses, blank, lines, x, slabs, of_window, of_run):
    """All elements of a window merged to the first line, and whether there is a NaN."""
    (number, runs, at, distance), (rows, pitch, count, rest) = of_window, of_run
    found, depth, groups = False, 0, 0
    for s in range(number):
        for t in range(runs):
            run = ahead(x, peek(slabs, s) + at + t * distance)
            for r in range(0, max(rows, 1), EIGHT):
                line, some = ahead(lines, depth * count), ahead(run, r * pitch)
                if r + EIGHT <= rows:
                    met_one = eight_rows(uses, line, some, pitch, count)
                else:
                    met_one = few_rows(uses, blank, line, some, pitch, count, rows - r)
                found, depth, turn = bool(found | met_one), depth + 1, groups
                while turn % 2:
                    depth, turn = two_newest(uses, lines, count, depth), turn // 2
                groups += 1
            met_one = one_row(uses, ahead(lines, (depth - 1) * count), ahead(run, rows * pitch), rest)
            found = bool(found | met_one)
    while depth > 1:
        depth = two_newest(uses, lines, count, depth)
    return found


def two_newest(uses, lines, count, depth):
    """The newest of the lines merged onto the one before it; how many there are then."""
    one_line(uses, ahead(lines, (depth - 2) * count), ahead(lines, (depth - 1) * count), count)
    return depth - 1


def fold(uses, line, cells, count):
    """The cells of a line, of `count` channels each, merged to the first: half of them onto the others."""
    while cells > 1:
        few = cells // 2
        one_line(uses, line, ahead(line, (cells - few) * count), few * count)
        cells -= few


def scale_of(scales, begins, grid, g, place, output, column):
    """By which a window's result is scaled."""
    if g.alike:
        return scales[0]
    tile, band, lead, _, _ = place
    across, down = own_scales(begins, grid, tile, band, lead)
    return scales[across + column % g.width * g.channels] * scales[down + output % g.band]


@cache
def taken(source: str, line: Line) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """What reads an element of the input as it is computed with, and one of a line that will be written.

    Adding 0 changes none, and LLVM does not know that of floats: it would write a maximum only where it is a
    new one, element by element.
    """
    read, lift, kind = half.READ[source], line.lift, np.dtype(line.dtype).type

    def take(x, i, knobs):
        return kind(lift(read(peek(x, i)), knobs))

    def held(x, i):
        return kind(peek(x, i) + kind(0))

    jit.expression(take)
    jit.expression(held)
    return take, held


@cache
def kernel_of_groups(kind: Kind, *, careful: bool) -> Callable[..., None]:
    """All windows of some tasks: each element is read once, and each result written once.

    The results of groups of eight rows are lines in cache, which merge pair by pair.
    """
    (take, held), digest = taken(kind.source, kind.line), jit.source_digest()
    merge, odd, finish, write, watches = tasks.expressions_of(kind, careful=careful)

    def walk(arrays, tables, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        if watches:
            clear_overflow()
        x_all, y_all, _, like, met = arrays
        outer, leads, numbers, scales, begins, slabs_of_all = tables
        grid, g, knobs = read_grid(numbers, 0), read_lines(numbers, GRID), (like[1], like[2], like[3])
        uses, lines = (merge, take, held, odd, knobs), pointer(memory[0])
        place, found = begin(grid, first), False
        for _ in range(first, last):
            (x_at, y_at), (tile, band, lead, _, _) = located(grid, outer, leads, place), place
            left, top, layer = tile // g.layers * g.width, band * g.band, tile % g.layers * g.deep
            x, y = ahead(pointer(x_all), x_at + layer), ahead(pointer(y_all), y_at + layer)
            slabs, deep = ahead(pointer(slabs_of_all), leads[2, lead]), min(g.deep, g.channels - layer)
            for output in range(top, min(top + g.band, g.high)):
                for column in range(left, min(left + g.width, g.wide)):
                    of_window, of_run = runs_of(g, output, column, leads[3, lead], deep)
                    met_one = merge_window(uses, like[0], lines, x, slabs, of_window, of_run)
                    found = bool(found | met_one)
                    fold(uses, lines, of_run[2] // deep, deep)
                    scale = scale_of(scales, begins, grid, g, place, output, column)
                    out = ahead(y, output * g.out_pitch + column * g.channels)
                    results(finish, write, out, lines, scale, knobs, deep)
            place = following(grid, place)
        if overflowed() if watches else found:
            met[0] = 1

    return jit.kernel(walk, tasks.named(f"groups_{kind.name}", kind, careful=careful))


# Which windows ---------------------------------------------------------------------------------------------

SHARED = 2  # windows at most, of which an element is on average, and one of a byte is of 1
LONG = 600  # elements of a run, from which on rows merge
LEAST = 32  # elements of a row of a window that is a row of its group, and of a window of channels
MERGED = 48  # elements of a run with its channels, of which eight are worth a pass
LINE = 64  # elements of a line that is a piece of a run, and ...
WIDEST = 2_048  # ... of one of channels or of a row of a window


def joined(shape: Shape) -> int:
    """Whether the elements of a window run on in memory: 1 from row to row, 2 from slab to slab as well."""
    row, columns = shape.row, shape.columns
    length = columns.size * shape.channels
    if not columns.whole() or (row.window > 1 and (row.step > 1 or row.pitch != length)):
        return 0
    size, whole = row.size * length, row.whole()  # a single row may be any distance from what is no row
    for table, stride, _ in reversed(shape.leading):
        if table.most > 1 and not (whole and table.step == 1 and stride == size):
            return 1
        size, whole = stride * table.size, whole and table.fewest == table.size and stride == size
    return 2


def run_of(shape: Shape) -> int:
    """Elements of a window, channels not counted, that lie one behind the other in memory."""
    how = joined(shape)
    slabs = math.prod(table.most for table, _, _ in shape.leading) if how > 1 else 1
    return int(shape.columns.window * (shape.row.window if how else 1) * slabs)


def share_little(shape: Shape) -> bool:
    """Whether an element is in few windows, on average."""
    axes = [(axis.outputs * axis.window, axis.size) for axis in (shape.row, shape.columns)]
    axes += [(table.total, table.size) for table, _, _ in shape.leading]
    most = SHARED if shape.itemsize > 1 else 1
    return bool(math.prod(max(1, covered / size) for covered, size in axes) <= most)


def have_neighbours(shape: Shape) -> bool:
    """Whether windows are short runs of memory, none in the padding."""
    size = shape.positions()
    fits = shape.channels == 1 and shape.columns.step == 1 and EIGHT <= size <= LONG and run_of(shape) == size
    padded = shape.row.padded() or shape.columns.padded()
    alike = all(table.most == table.fewest for table, _, _ in shape.leading)
    return bool(fits and not padded and alike and share_little(shape))


def have_groups(shape: Shape) -> bool:
    """Whether windows are of long runs of memory, of long rows, or of channels."""
    row, columns, long = shape.row, shape.columns, run_of(shape)
    if shape.channels > 1:
        fits = shape.positions() >= LEAST and long * shape.channels >= MERGED
    else:
        fits = long > LONG or (row.window >= EIGHT and columns.window >= LEAST)
    return bool(fits and (columns.step == 1 or columns.window == 1) and share_little(shape))


def fits(shape: Shape) -> bool:
    """Whether a kernel of this room reduces windows, as values alone."""
    return have_neighbours(shape) or have_groups(shape)


def chain(shape: Shape) -> int:
    """The longest chain of merges that an element goes through."""
    if have_neighbours(shape):
        size = shape.positions() // EIGHT
        return 3 + EIGHT + (size if size < EIGHT_ROWS else 3 + size // EIGHT + EIGHT)
    (cells, _, groups), runs = lines_of(shape), shape.positions() // run_of(shape)
    return 3 + EIGHT + sum(n.bit_length() for n in (groups, runs, cells or shape.columns.window))


def lines_of(shape: Shape) -> tuple[int, int, int]:
    """Elements of a window that are in a line, the channels of a line, and groups of lines at most.

    No elements where a row of a window is a line.
    """
    row, columns, channels = shape.row, shape.columns, shape.channels
    long, size = run_of(shape), shape.positions()
    runs = size // long
    own = columns.window * channels <= WIDEST and row.window >= EIGHT
    if not joined(shape) and own and columns.window * channels >= LEAST and long < EIGHT * EIGHT:
        return 0, channels, size // (row.window * columns.window) * -(-row.window // EIGHT)
    groups = max(1, long * channels // (EIGHT * LINE))
    cells = max(1, long // (EIGHT * groups))
    layers = -(-channels // WIDEST)
    return cells, -(-channels // layers), runs * (long // cells // EIGHT + 1)


def are_neighbours(r: Reduction) -> bool:
    """Values alone, of short runs."""
    return not r.placed and r.uniform and have_neighbours(r.shape)


def are_groups(r: Reduction) -> bool:
    """Values alone, of long runs, of long rows or of channels."""
    return not r.placed and not have_neighbours(r.shape) and have_groups(r.shape)


def plan_neighbours(r: Reduction) -> Plan:
    """How to reduce short runs."""
    row, columns, window = r.shape.row, r.shape.columns, r.shape.positions()
    rows, wide, stride, pitch = row.outputs, columns.outputs, columns.stride, row.stride * row.pitch
    if wide == 1:
        stride = max(pitch, 1)  # 0 of rows that are all the same memory
    runs_on = row.out_pitch == wide and pitch == wide * stride  # the windows of all rows of output
    if runs_on:
        rows, wide = 1, rows * wide
    width = parted(wide, max(1, r.limits.task // stride))
    band = min(rows, max(1, r.limits.task // (width * stride)))
    near = r.limits.near * max(1, 4 // r.line.itemsize)
    apart_by = stride > window and runs_on and row.pitch != columns.size  # what is between may be no memory
    block = 1 if apart_by else min(width, max(1, near // stride))
    size = block + 2 * ((block - 1) * stride + window)
    numbers = Cells(rows, wide, window, stride, pitch, row.out_pitch, band, width, block)
    kind = Kind(r.name, r.line, r.converts, r.source, r.target)
    blocks, memory = (-(-rows // band), -(-wide // width)), ((size, r.line.dtype),)
    return r.plan(partial(kernel_of_neighbours, kind), numbers, blocks, memory)


def plan_groups(r: Reduction) -> Plan:
    """How to reduce long runs, long rows and channels."""
    shape = r.shape
    row, columns, channels = shape.row, shape.columns, shape.channels
    cells, deep, groups = lines_of(shape)
    layers, each = -(-channels // deep), shape.positions() * channels
    width = parted(columns.outputs, max(1, r.limits.task // each))
    band = min(row.outputs, max(1, r.limits.task // (width * each)))
    numbers = Lines(
        rows=row.size,
        columns=columns.size,
        channels=channels,
        high=row.outputs,
        wide=columns.outputs,
        window=row.window,
        across=columns.window,
        stride=row.stride,
        jump=columns.stride,
        above=row.before,
        before=columns.before,
        step=row.step,
        pitch=row.pitch,
        out_pitch=row.out_pitch,
        band=band,
        width=width,
        deep=deep,
        layers=layers,
        joined=joined(shape),
        cells=cells,
        alike=int(r.uniform),
    )
    tiles = -(-columns.outputs // width)
    memory = (((groups.bit_length() + 1) * max(cells, 1 if cells else columns.window) * deep, r.line.dtype),)
    kind = Kind(r.name, r.line, r.converts, r.source, r.target)
    scales = None
    if not r.uniform:
        values, begins = scales_in(r, band, width)
        scales = values, np.concatenate([np.repeat(begins[:tiles], layers), begins[tiles:]])
    blocks = -(-row.outputs // band), tiles * layers
    return r.plan(partial(kernel_of_groups, kind), numbers, blocks, memory, scales)


jit.register(__name__, passes="apart")
