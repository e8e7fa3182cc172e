"""The row engine: the rows of a window merge into a line, and then the elements of the line.

For each row of output the rows of input that its windows cover, which are contiguous, merge into one line. It
stays in the first-level cache, and has room for the padding. A second step merges along the line. Rows of
slabs are more rows, and channels behind the columns only make steps longer, so all layouts and any number of
axes are the same loops.

How the second step goes tells the kernels apart: `ones` merges neighbours at stride 1, `phases` those at a
stride, after the elements of each phase of the stride have become a line, `cells` windows side by side, two
or three neighbours at a time, `channels` cells of channels, and `picked` a few channels, or single elements
at a long stride, everywhere, of which it picks cells. Windows of one column have no second step: their rows
merge to results, if they are few enough for one block (`passes.BLOCK`).
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from .. import jit
from ..operators.line import Line
from ..windows import Integers
from . import half, passes, tasks
from .flags import clear_overflow, overflowed
from .memory import ahead, choose, fields, move_4, move_8, peek, pointer, poke, wide_registers
from .shape import SHORT, Shape
from .tasks import (
    GRID,
    Array,
    Plan,
    Reduction,
    Tiles,
    begin,
    beginnings,
    following,
    located,
    parted,
    read_grid,
    tiled,
)


class Rows(NamedTuple):
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
    step: int  # distances of a window's rows and of its columns
    gap: int
    pitch: int  # of rows of input, and of output
    out_pitch: int
    band: int  # rows and columns of output of a task
    width: int
    block: int  # rows of output that are merged at a time
    line: int  # elements of a line
    ring: int  # converted rows that are kept of each slab; 0 where the input is read as it is
    short: int  # elements of a row, below which rows run on


read_rows = fields(Rows)


# Along lines: `n` windows of each -------------------------------------------------------------------------


def ones(give, uses, out, spare, line, taps, g, n, repeat, out_pitch, pitch):
    """Windows at stride 1: one pass for up to four columns, and one for each three more."""
    size = n * g.channels
    passes.merge_to(give, uses, out, spare, line, taps, g.across, size, repeat, out_pitch, pitch)


def cells(give, uses, out, spare, line, taps, g, n, repeat, out_pitch, pitch):
    """Windows side by side, whose lengths are products of two and three: a pass for each factor."""
    if out_pitch == n and pitch == g.across * n:  # rows run on
        n, repeat = n * repeat, 1
    left, source, other = g.across, line, spare
    to = ahead(spare, g.line * g.block)
    while left > 3:
        few = 2 if left % 2 == 0 else 3
        left //= few
        size = left * n
        if few == 2:
            passes.merge_cells(passes.pair, passes.unfinished, uses, other, source, size, repeat, size, pitch)
        else:
            passes.merge_cells(
                passes.triple, passes.unfinished, uses, other, source, size, repeat, size, pitch
            )
        source, other, to, pitch = other, to, other, size
    if left == 2:
        passes.merge_cells(passes.pair, give, uses, out, source, n, repeat, out_pitch, pitch)
    else:
        passes.merge_cells(passes.triple, give, uses, out, source, n, repeat, out_pitch, pitch)


def phases(give, uses, out, spare, line, taps, g, n, repeat, out_pitch, pitch):
    """Windows at a stride: a pass makes a line of each phase's elements, and the lines merge as `ones`."""
    each, far = g.line // g.jump, g.line // g.jump * g.block
    own = ahead(spare, g.line * g.block)
    count = each * max(repeat, -(-n // each))  # of lines that run on there is one
    passes.split(own, far, line, g.jump, min(g.jump, (g.across - 1) * g.gap + 1), count)
    passes.merge_to(give, uses, out, spare, own, taps, g.across, n, repeat, out_pitch, each)


def channels(give, uses, out, spare, line, taps, g, n, repeat, out_pitch, pitch):
    """Windows of channels at a stride: they merge as `ones`, of so many channels at a time."""
    size = g.channels
    for r in range(repeat):
        row, to = ahead(line, r * pitch), ahead(out, r * out_pitch)
        passes.merge_to(give, uses, to, spare, row, taps, g.across, size, n, size, g.jump * size)


def picked(give, uses, out, spare, line, taps, g, n, repeat, out_pitch, pitch):
    """Windows of a few channels at every element of a line, of which those at a stride are picked."""
    size, step = ((n - 1) * g.jump + 1) * g.channels, g.jump * g.channels
    cells = ahead(spare, g.line * g.block)
    passes.merge_all(passes.as_line, uses, spare, line, taps, g.across, size, repeat, g.line, pitch)
    if g.channels == 1:
        passes.pick(give, uses, out, spare, g.jump, n, repeat, out_pitch, g.line)
        return
    for r in range(repeat):
        if g.channels <= 4:
            passes.pick_cells(move_4, cells, ahead(spare, r * g.line), g.channels, step, n)
        else:
            passes.pick_cells(move_8, cells, ahead(spare, r * g.line), g.channels, step, n)
        passes.give_line(give, uses, ahead(out, r * out_pitch), cells, n * g.channels)


def elements_of(taps, g, of_phases):
    """Where along a line the elements of a window are."""
    for t in range(g.across):
        at = t * g.gap
        in_phase = at % g.jump * (g.line // g.jump * g.block) + at // g.jump * g.channels
        poke(taps, t, in_phase if of_phases else at * g.channels)
    return taps


# Rows ----------------------------------------------------------------------------------------------------


def columns_of(g, tile):
    """Of a tile: its first output and how many; where its windows begin in the input, and its elements."""
    left = tile * g.width
    n, start = min(g.width, g.wide - left), left * g.jump - g.before
    low, span = max(start, 0), (g.across - 1) * g.gap + 1
    count = min(start + (n - 1) * g.jump + span, g.columns) - low
    return left, n, start, low, count * g.channels


def rows_of(g, output, end):
    """The first row of a window, which of its rows are inside, and how many windows there are like it."""
    row = output * g.stride - g.above
    top, bottom = -(min(row, 0) // g.step), min(g.window, (g.rows - 1 - row) // g.step + 1)
    repeat = 1
    if bottom - top == g.window:
        repeat = min(g.block, end - output, (g.rows - 1 - row - (g.window - 1) * g.step) // g.stride + 1)
        for t in range(g.window if g.ring > 0 else 0):  # none of which is to go round the ring meanwhile
            repeat = min(repeat, (g.ring - 1 - (row + t * g.step) % g.ring) // g.stride + 1)
    return row, top, bottom, repeat


def row_offsets(out, g, slabs, deep, row, top, bottom):
    """Where the rows of a window begin, of all slabs; and how many there are."""
    high = bottom - top
    for s in range(deep):
        for t in range(high):
            poke(out, s * high + t, peek(slabs, s) + (row + (top + t) * g.step) * g.pitch)
    return deep * high


def look(odd, x, g, slabs, fresh, deep, row, top, bottom, repeat, seen, count):
    """Whether rows of some windows hold a NaN. Skips slabs that are not `fresh`, and rows before `seen`."""
    low, high = row + top * g.step, row + (bottom - 1) * g.step + 1 + (repeat - 1) * g.stride
    overlaps, found = g.stride <= (g.window - 1) * g.step + 1, False
    # A window that is partly in the padding may begin behind the first row of the next one.
    low = max(row, 0, seen) if overlaps else low
    for s in range(deep):
        slab = ahead(x, peek(slabs, s) + low * g.pitch)
        if peek(fresh, s) == 0:
            continue
        if overlaps:
            found = bool(found | passes.scan(odd, slab, count, high - low, g.pitch))
        else:
            for t in range(bottom - top):
                row_at = ahead(slab, t * g.step * g.pitch)
                found = bool(found | passes.scan(odd, row_at, count, repeat, g.stride * g.pitch))
    return found, high


def from_input(uses, reads, to, x, g, slabs, fresh, deep, rows_at, of, count, inside, straight):
    """Merge rows of the input; single ones that need no room stay where they are, if they may."""
    (lines, inner, _, spare), (row, top, bottom, repeat, seen) = to, of
    high = row_offsets(rows_at, g, slabs, deep, row, top, bottom)
    line_at, pitch = lines, g.line
    if high == 1 and straight and inside and (repeat == 1 or g.jump == 1):
        line_at, pitch = choose(True, ahead(x, peek(rows_at, 0)), lines), g.stride * g.pitch
    else:
        pitches = g.line, g.stride * g.pitch
        passes.merge_blocks(reads[4], uses, inner, spare, x, rows_at, high, count, repeat, *pitches)
    found, seen = look(reads[0], x, g, slabs, fresh, deep, row, top, bottom, repeat, seen, count)
    return line_at, pitch, found, seen


def to_results(uses, reads, lines, x, g, slabs, fresh, deep, rows_at, of, count, out):
    """Merge rows of the input to results, of windows of one column."""
    row, top, bottom, repeat, seen = of
    high, pitches = row_offsets(rows_at, g, slabs, deep, row, top, bottom), (g.out_pitch, g.stride * g.pitch)
    passes.merge_to(passes.finished, uses, out, lines, x, rows_at, high, count, repeat, *pitches)
    return look(reads[0], x, g, slabs, fresh, deep, row, top, bottom, repeat, seen, count)


def from_ring(uses, reads, to, x, g, slabs, fresh, deep, rows_at, of, count, inside, straight):
    """Convert rows of the input, each once, into a ring of lines, and merge these."""
    (odd, read, lift, knobs, _), (lines, inner, ring, spare) = reads, to
    row, top, bottom, repeat, seen = of
    end, found, high = row + (bottom - 1) * g.step + 1 + (repeat - 1) * g.stride, False, bottom - top
    runs_on = g.pitch == count and g.line == count  # short rows fill no registers
    for s in range(deep):
        r = max(row, 0, seen)
        while r < end:
            n = min(end - r, g.ring - r % g.ring) if runs_on else 1
            line = ahead(ring, (s * g.ring + r % g.ring) * g.line)
            source = ahead(x, peek(slabs, s) + r * g.pitch)
            found = bool(found | passes.convert(odd, read, lift, knobs, line, source, n * count))
            r += n
        for t in range(high):
            at = s * g.ring + (row + (top + t) * g.step) % g.ring
            poke(rows_at, s * high + t, at * g.line)
    rows, pitches = deep * high, (g.line, g.stride * g.line)
    passes.merge_blocks(passes.as_line, uses, inner, spare, ring, rows_at, rows, count, repeat, *pitches)
    return lines, g.line, found, end


def alike(along, uses, to, line, taps, g, n, repeat, pitch, scales, row, column):
    """Results that are all scaled alike, along some lines; short ones run on until they are finished."""
    (out, sums, spare), size, each = to, n * g.channels, pitch // g.jump
    if run_on(g, size, repeat, pitch):
        size_of_all = (repeat - 1) * each // g.channels + n
        along(passes.unfinished, uses, sums, spare, line, taps, g, size_of_all, 1, each, pitch)
        passes.pick(passes.finished, uses, out, sums, 1, size, repeat, g.out_pitch, each)
    else:
        along(passes.finished, uses, out, spare, line, taps, g, n, repeat, g.out_pitch, pitch)


def each_scaled(along, uses, to, line, taps, g, n, repeat, pitch, scales, row, column):
    """Results with scales of their own, products of one of a `row` and one of a `column`."""
    (out, sums, spare), size, each = to, n * g.channels, pitch // g.jump
    across, down = ahead(scales, column), ahead(scales, row)
    if run_on(g, size, repeat, pitch):
        size_of_all = (repeat - 1) * each // g.channels + n
        along(passes.unfinished, uses, sums, spare, line, taps, g, size_of_all, 1, each, pitch)
    else:
        each = size
        along(passes.unfinished, uses, sums, spare, line, taps, g, n, repeat, each, pitch)
    passes.scaled(uses, out, sums, across, down, size, repeat, g.out_pitch, each)


def run_on(g, size, repeat, pitch):
    """Whether short lines are taken as one: those that lie one behind the other, of whole windows."""
    return size < g.short and repeat > 1 and pitch == g.line and (g.channels == 1 or g.jump == 1)


def parts_of(memory, g, of_phases):
    """The memory of a thread: lines of three kinds and a ring, and where rows and elements of windows are."""
    lines, rows_at = pointer(memory[0]), pointer(memory[1])
    spare, sums = ahead(lines, g.line * g.block), ahead(lines, 3 * g.line * g.block)
    ring = ahead(sums, g.block * max(g.line // g.jump, g.width * g.channels))
    taps = elements_of(ahead(rows_at, memory[1].size - g.across), g, of_phases)
    return lines, spare, sums, ring, rows_at, taps


def no_scales(begins, grid, tile, band, lead):
    """Where the scales of a block begin, of which there are none."""
    return 0, 0


def own_scales(begins, grid, tile, band, lead):
    """Those of its columns, and those of its rows."""
    return begins[tile], begins[grid.tiles + lead * grid.bands + band]


class Kind(NamedTuple):
    """What a kernel is compiled for: the way along lines, the operator, and how elements are stored."""

    name: str
    along: Callable[..., None]
    line: Line
    uniform: bool  # all results are scaled alike
    converts: bool  # the input has another dtype
    rings: bool  # each row is converted once
    source: str
    target: str


@cache
def kernel(kind: Kind, *, careful: bool) -> Callable[..., None]:
    """All windows of some tasks: rows of a window merge into a line, and the line to results.

    The first pass merges up to four rows, each further one three more; a block of 48 rows is added as one. So
    each element is read once for each window down the rows that covers it, from memory the first time and
    then from cache. A look for NaNs, of extremes, reads it once more there. Along the line a window of k
    takes as many passes of the same kind (`ones`, `channels`, `picked`), or one for each factor of two and
    three (`cells`). `phases` has one more.
    """
    along, of_phases, digest = kind.along, kind.along is phases, jit.source_digest()
    merge, odd, finish, write, watches = tasks.expressions_of(kind, careful=careful)
    read, lift, take = half.READ[kind.source], kind.line.lift, tasks.take_of(kind)
    gather = from_ring if kind.rings else from_input
    deliver, scales_of = (alike, no_scales) if kind.uniform else (each_scaled, own_scales)
    straight = not kind.converts
    direct = straight and kind.uniform and along is ones

    def walk(arrays, tables, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        if watches:
            clear_overflow()
        (x_all, y_all, _, like, met), knobs = arrays, (arrays[3][1], arrays[3][2], arrays[3][3])
        outer, leads, numbers, scales, begins, slabs_of_all = tables
        grid, g = read_grid(numbers, 0), read_rows(numbers, GRID)
        uses, reads = (merge, finish, write, scales[0], knobs), (odd, read, lift, knobs, take)
        lines, spare, sums, ring, rows_at, taps = parts_of(memory, g, of_phases)
        scales_at = pointer(scales)
        place, tile_before, found = begin(grid, first), -1, False
        for _ in range(first, last):
            (x_at, y_at), (tile, band, lead, _, _) = located(grid, outer, leads, place), place
            left, n, start, low, count = columns_of(g, tile)
            margin = (low - start) * g.channels
            inside = margin == 0 and low * g.channels + g.line <= g.columns * g.channels
            runs_on = count < g.line and n * g.channels < g.short  # and so reads what is behind a line
            if tile != tile_before and (runs_on or not inside):
                passes.fill(lines, like[0], g.line * g.block)
            x = ahead(pointer(x_all), x_at + low * g.channels)
            y = ahead(pointer(y_all), y_at + left * g.channels)
            slabs, deep = ahead(pointer(slabs_of_all), leads[2, lead]), leads[3, lead]
            fresh = ahead(slabs, slabs_of_all.size // 2)
            output, end, seen = band * g.band, min((band + 1) * g.band, g.high), 0
            column, row_at = scales_of(begins, grid, tile, band, lead)
            while output < end:
                row, top, bottom, repeat = rows_of(g, output, end)
                of = row, top, bottom, repeat, seen
                rows_to = lines, ahead(lines, margin), ring, ahead(spare, margin)
                out, slabs_at = ahead(y, output * g.out_pitch), (slabs, fresh, deep, rows_at)
                if direct and g.across == 1 and deep * g.window <= passes.BLOCK:
                    met_one, seen = to_results(uses, reads, lines, x, g, *slabs_at, of, count, out)
                else:
                    merged = gather(uses, reads, rows_to, x, g, *slabs_at, of, count, inside, straight)
                    line_at, pitch, met_one, seen = merged
                    to = out, sums, spare
                    deliver(along, uses, to, line_at, taps, g, n, repeat, pitch, scales_at, row_at, column)
                found, output, row_at = bool(found | met_one), output + repeat, row_at + repeat
            place, tile_before = following(grid, place), tile
        if overflowed() if watches else found:
            met[0] = 1

    how = f"rows_{along.__name__}_{kind.name}" + "_scaled" * (not kind.uniform)
    return jit.kernel(walk, tasks.named(how, kind, careful=careful))


# Which windows -------------------------------------------------------------------------------------------

MOST_PICKED = 8  # channels of cells that are picked
MOST_MERGED = 40  # bytes of the longest windows of which `picked` merges one at every element
MOST = 1_000_000  # elements of memory of a thread
LONGEST, ALONE = 512, 64  # windows, or times as long as a row of output with its channels
CACHE_LINE = 64


class Cut(NamedTuple):
    """How much is merged at a time."""

    width: int  # columns of output, and elements of a line that holds their windows
    line: int
    block: int  # rows of output that are merged at a time
    ring: int  # converted rows that are kept of each slab; 0 where the input is read as it is
    memory: int  # elements in all

    @classmethod
    def of(cls, r: Reduction) -> "Cut":
        """What stays in cache."""
        row, columns, channels_of = r.shape.row, r.shape.columns, r.shape.channels
        long = r.limits.long // (2 if is_single(r) else 1)
        width = parted(columns.outputs, max(1, long // channels_of // columns.stride))
        line = ((width - 1) * columns.stride + columns.span) * channels_of
        line += -line % columns.stride
        rows = max(line, columns.size * channels_of * row.stride)
        near = r.limits.near * max(1, 4 // r.line.itemsize)
        block = max(1, min(row.outputs, near // rows))
        span, kept = row.span + (block - 1) * row.stride, max(len(lead.slabs) for lead in r.leads)
        ring = span + -span % row.stride if converts_once(r) else 0
        sums = block * max(line // columns.stride, width * channels_of)
        memory = 3 * block * line + sums + kept * ring * line + CACHE_LINE
        return cls(width, line, block, ring, memory)


def is_single(r: Reduction) -> bool:
    """Whether windows are of one row."""
    return r.shape.row.window == 1 and len(r.leads[0].slabs) == 1


def converts_once(r: Reduction) -> bool:
    """Whether each row is converted to a line of its own, before lines merge."""
    halves = r.source != "native" and (r.line.careful or r.shape.row.window > r.shape.row.stride)
    halves = halves and not r.shape.by_planes  # of which slabs share no rows
    return r.lifted or bool(halves)


def merge_one_by_one(r: Reduction) -> bool:
    """Values alone, of windows not far longer than what is written, whose lines are not much memory."""
    columns = r.shape.columns
    few = columns.window <= max(LONGEST, ALONE * columns.outputs * r.shape.channels)
    return few and not r.placed and Cut.of(r).memory <= MOST


def passes_of(shape: Shape) -> float:
    """Passes over the elements of a row, for each row of output: down the rows, and along them.

    Channels at a stride that do not fill a register take as long as those that do.
    """
    columns, channels = shape.columns, shape.channels
    down, along = passes.number(shape.slabs() * shape.row.window), passes.number(columns.window)
    if columns.window == 1:
        return down
    if columns.stride == 1:
        return down + along
    longer = max(1.0, CACHE_LINE / (channels * shape.itemsize)) if channels > MOST_PICKED else 1.0
    return down + 1 + along * longer / columns.stride


def chain(shape: Shape) -> int:
    """The longest chain of merges that an element goes through: down the rows, and then along them.

    Along them it counts twice: there are no blocks, and the errors of equal elements all have one sign.
    """
    return passes.chain(shape.positions() // shape.columns.window) + 3 + 2 * shape.columns.window // 3


def are_ones(r: Reduction) -> bool:
    """Stride 1 along the rows, of windows that `doubling` has left."""
    return merge_one_by_one(r) and r.shape.columns.stride == 1


def are_cells(r: Reduction) -> bool:
    """Elements side by side, as many as products of two and three."""
    columns, left = r.shape.columns, r.shape.columns.window
    for factor in (2, 3):
        while left % factor == 0:
            left //= factor
    fits = columns.window == columns.stride > 1 and columns.step == 1 and left == 1
    return merge_one_by_one(r) and fits and r.shape.channels == 1


def are_phases(r: Reduction) -> bool:
    """Single elements at strides of up to four, or in windows too long to merge at every element."""
    columns = r.shape.columns
    apart = columns.stride <= 4 or columns.window > MOST_MERGED // r.line.itemsize
    return merge_one_by_one(r) and r.shape.channels == 1 and apart


def are_channels(r: Reduction) -> bool:
    """Many channels, at any stride that `ones` has left."""
    return merge_one_by_one(r) and r.shape.channels >= r.limits.channels


def are_picked(r: Reduction) -> bool:
    """Few channels, or single elements, at the strides that the others have left."""
    return merge_one_by_one(r) and r.shape.channels <= MOST_PICKED


def plan(along: Callable[..., None], r: Reduction) -> Plan:
    """How to reduce windows by one of the ways along lines."""
    r = r.across_planes()
    row, columns, cut = r.shape.row, r.shape.columns, Cut.of(r)
    tiles, each = -(-columns.outputs // cut.width), columns.size * r.shape.channels * row.stride
    band = min(row.outputs, max(cut.block, 4 * row.window, r.limits.task // each))
    band = cut.block if is_single(r) and tiles > 1 else band  # in the order of memory
    bands = -(-row.outputs // band)
    numbers = numbers_of(r, width=cut.width, band=band, block=cut.block, line=cut.line, ring=cut.ring)
    kept = max(len(lead.slabs) for lead in r.leads) * row.window
    memory = (cut.memory, r.line.dtype), (kept + columns.window, np.int64)
    kind = Kind(r.name, along, r.line, r.uniform, r.converts, cut.ring > 0, r.source, r.target)
    scales = None if r.uniform else scales_in(r, band, cut.width)
    return r.plan(partial(kernel, kind), numbers, (bands, tiles), memory, scales)


def numbers_of(r: Reduction, *, width: int, band: int, block: int, line: int, ring: int = 0) -> Rows:
    """The numbers of a call."""
    row, columns = r.shape.row, r.shape.columns
    return Rows(
        rows=row.size,
        columns=columns.size,
        channels=r.shape.channels,
        high=row.outputs,
        wide=columns.outputs,
        window=row.window,
        across=columns.window,
        stride=row.stride,
        jump=columns.stride,
        above=row.before,
        before=columns.before,
        step=row.step,
        gap=columns.step,
        pitch=row.pitch,
        out_pitch=row.out_pitch,
        band=band,
        width=width,
        block=block,
        line=line,
        ring=ring,
        short=SHORT // max(4, r.line.itemsize),
    )


def scales_in(r: Reduction, band: int, width: int) -> tuple[Array, Integers]:
    """The scales of all shapes of blocks, and where those of the columns and the rows of each block begin."""
    downs, down, top = r.shape.row.parts(band)
    acrosses, across, left = r.shape.columns.parts(width)
    tiles = Tiles(tiled(downs, down, top), tiled(acrosses, across, left))
    columns, rows = r.weigh(r.shape, tiles)
    tall = np.arange(len(r.leads))[:, None] * sum(count for _, count in tiles.rows)
    row_at = columns.size + tall + beginnings(tiles.rows)[down]
    begins = [beginnings(tiles.columns)[across] * r.shape.channels, row_at.ravel()]
    return np.concatenate([columns, rows]), np.concatenate(begins)


jit.register(__name__, passes="apart")
