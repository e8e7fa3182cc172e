"""Long windows that overlap: each is merged from up to four shorter ones, which are made in the same way.

So a window costs about as many passes as its length has digits in base 4, whatever the stride. Windows of 31
elements are made of those of 8, these of those of 2. Where an element must not merge twice, as in sums,
windows do not overlap and single elements fill the gaps: 31 is three times 10 and one more. Sums round as
little as those by halves do.

Slabs merge as they are read, so windows of several slabs may be worth it that are not long.

Down the rows, the windows of each length have a ring of lines, of which each is written once. Along the rows,
the line of a whole window grows in the same way. Where rows are long and elements may merge twice, rows merge
`by_sweeps` instead, which takes two merges a row.
"""

from collections.abc import Callable
from functools import cache, partial
from itertools import chain as chained
from itertools import pairwise
from typing import NamedTuple

from .. import jit
from ..operators.line import Line, unlifted
from ..operators.sums import CHAIN
from . import half, passes, tasks
from .flags import clear_overflow, overflowed
from .memory import ahead, fields, peek, pointer, wide_registers
from .rows import (
    CACHE_LINE,
    Rows,
    alike,
    columns_of,
    each_scaled,
    no_scales,
    numbers_of,
    own_scales,
    read_rows,
    scales_in,
)
from .rows import chain as chain_by_rows
from .rows import passes_of as passes_by_rows
from .shape import Shape
from .tasks import GRID, Plan, Reduction, begin, following, located, parted, read_grid

MOST = 2_000_000  # elements of memory of a thread
FEW = 4  # windows that merge in one pass
BANDS = 6  # times as many rows of output as windows have, at least, since each band reads a window more


class Growth(NamedTuple):
    """How windows of some length are merged from shorter ones, and from single elements."""

    length: int
    taps: int  # windows and single elements that merge, four at most
    windows: int  # how many of them are windows; they come first
    b: int  # where the second to the fourth begin
    c: int
    d: int
    lines: int  # of the ring of such windows of rows


class Lengths(NamedTuple):
    """How many there are, of windows of rows and of windows along them; their growths are behind."""

    down: int
    along: int


ROWS, GROWTH = len(Rows._fields), len(Growth._fields)
LENGTHS = GRID + ROWS + len(Lengths._fields)  # where the growths begin
read_growth, read_lengths = fields(Growth), fields(Lengths)


# Along lines -----------------------------------------------------------------------------------------------


def grown(give, uses, out, spare, lines, lengths, g, n, repeat, out_pitch, pitch):
    """Windows along lines that run on, at every element, of which those at the stride are given."""
    (numbers, first, number), source, other = lengths, lines, spare
    size = max(repeat, -(-n * g.jump * g.channels // pitch)) * pitch
    step, last = g.gap * g.channels, number - 1
    for i in range(number if g.jump > 1 else last):
        w = read_growth(numbers, first + i * GROWTH)
        rows, count = taps_of(w, source, lines, step), size - (w.length - 1) * step
        passes.merge_few(passes.as_line, passes.unfinished, uses, other, rows, w.taps, count, 1, (0, 0, 0))
        source, other = other, ahead(spare, size) if i == 0 else source
    if g.jump > 1:
        pick(give, uses, out, source, g, n, repeat, out_pitch, pitch)
        return
    w, count, pitches = read_growth(numbers, first + last * GROWTH), n * g.channels, (out_pitch, pitch, pitch)
    rows = taps_of(w, source, lines, step)
    passes.merge_few(passes.as_line, give, uses, out, rows, w.taps, count, repeat, pitches)


def taps_of(w, source, singles, step):
    """What merges to windows of a length along a line."""
    b = ahead(source if w.windows > 1 else singles, w.b * step)
    c = ahead(source if w.windows > 2 else singles, w.c * step)
    return source, b, c, ahead(source if w.windows > 3 else singles, w.d * step)


def pick(give, uses, out, line, g, n, repeat, out_pitch, pitch):
    """Windows at the stride."""
    if g.channels == 1:
        passes.pick(give, uses, out, line, g.jump, n, repeat, out_pitch, pitch)
        return
    for r in range(repeat):
        row, to = ahead(line, r * pitch), ahead(out, r * out_pitch)
        rows, pitches = (row, row, row, row), (g.channels, g.jump * g.channels, 0)
        passes.merge_in(passes.of_1, passes.as_line, give, uses, to, rows, g.channels, n, pitches)


# Down rows -------------------------------------------------------------------------------------------------


def merged_slabs(reads, out, spare, of_slabs, of_rows):
    """Rows of the input, those of all slabs merged as they are read. Whether there is a NaN."""
    (_, uses, _, odd, _, _, _, take), (x, slabs, deep), found = reads, of_slabs, False
    count, repeat, out_pitch, pitch = of_rows
    if deep == 1:
        return lifted_slabs(reads, out, spare, of_slabs, of_rows)
    for s in range(deep):
        found = bool(found | passes.scan(odd, ahead(x, peek(slabs, s)), count, repeat, pitch))
    passes.merge_blocks(take, uses, out, spare, x, slabs, deep, count, repeat, out_pitch, pitch)
    return found


def lifted_slabs(reads, out, spare, of_slabs, of_rows):
    """As `merged_slabs`, of elements that are lifted before they merge."""
    (_, uses, _, odd, read, lift, knobs, _), (x, slabs, deep), found = reads, of_slabs, False
    count, repeat, out_pitch, pitch = of_rows
    for r in range(repeat):
        line, row = ahead(out, r * out_pitch), ahead(x, r * pitch)
        found = bool(found | passes.convert(odd, read, lift, knobs, line, ahead(row, peek(slabs, 0)), count))
        for s in range(1, deep):
            of_slab = ahead(row, peek(slabs, s))
            found = bool(found | passes.convert(odd, read, lift, knobs, spare, of_slab, count))
            passes.merge_onto(uses, line, spare, count)
    return found


def load(reads, ring, spare, x, g, slabs, deep, row, place, n, count, margin):
    """Rows of the input as what is computed with, those of all slabs merged; blank ones outside. Any NaN."""
    gather, blank, found, span, i = reads[0], reads[2], False, (g.window - 1) * g.step + 1, 0
    while i < n:
        r, at, repeat = row + i, (place + i) % g.ring, 1
        line = ahead(ring, at * g.line)
        if r < 0 or r >= g.rows or (place + i) % g.stride >= span:
            passes.fill(line, blank, g.line)  # longer windows merge what is between windows, too
        else:
            repeat = min(n - i, g.rows - r, g.ring - at) if g.stride <= span else 1
            of_slabs, of_rows = (ahead(x, r * g.pitch), slabs, deep), (count, repeat, g.line, g.pitch)
            found = bool(found | gather(reads, ahead(line, margin), spare, of_slabs, of_rows))
        i += repeat
    return found


def rows_of(w, source, size, singles, g, at):
    """What merges to a window of rows that begins at one, and how many rows are left to the end of a ring."""
    a, b, c, d = at % size, at + w.b * g.step, at + w.c * g.step, at + w.d * g.step
    b, first = (b % size, source) if w.windows > 1 else (b % g.ring, singles)
    c, second = (c % size, source) if w.windows > 2 else (c % g.ring, singles)
    d, third = (d % size, source) if w.windows > 3 else (d % g.ring, singles)
    left = min(size - a, (size if w.windows > 1 else g.ring) - b)
    left = min(left, (size if w.windows > 2 else g.ring) - c, (size if w.windows > 3 else g.ring) - d)
    rows = (
        ahead(source, a * g.line),
        ahead(first, b * g.line),
        ahead(second, c * g.line),
        ahead(third, d * g.line),
    )
    return rows, left


def grow(uses, rings, lengths, g, place, n):
    """Windows of all lengths but the last that `n` rows from `place` on end; the ring of the longest."""
    (numbers, first, number), source, size = lengths, rings, g.ring
    for i in range(number - 1):
        w, to = read_growth(numbers, first + i * GROWTH), ahead(source, size * g.line)
        at, end = max(0, place - (w.length - 1) * g.step), place + n - (w.length - 1) * g.step
        while at < end:
            rows, left = rows_of(w, source, size, rings, g, at)
            run, out = min(left, end - at, w.lines - at % w.lines), ahead(to, at % w.lines * g.line)
            count = run * g.line
            passes.merge_few(passes.as_line, passes.unfinished, uses, out, rows, w.taps, count, 1, (0, 0, 0))
            at += run
        source, size = to, w.lines
    return source, size


def whole(uses, lines, rings, lengths, g, source, size, at, n):
    """Whole windows of some rows of output, which no ring ends between; their lines, and how many."""
    numbers, first, number = lengths
    w = read_growth(numbers, first + (number - 1) * GROWTH)
    rows, left = rows_of(w, source, size, rings, g, at)
    n, pitch = min(n, (left - 1) // g.stride + 1), g.stride * g.line
    if w.taps == 1 and (n == 1 or g.stride == 1):
        return rows[0], n
    if g.stride == 1:  # lines run on
        count, repeat = n * g.line, 1
    else:
        count, repeat = g.line, n
    passes.merge_few(
        passes.as_line, passes.unfinished, uses, lines, rows, w.taps, count, repeat, (g.line, pitch, pitch)
    )
    return lines, n


def by_growth(reads, lines, rings, lengths, g, of, outputs, along_lines):
    """Windows of a band: rings of lines for those of each length, each of which is written once."""
    (x, slabs, deep, row, n, count, margin), (deliver, to, along, scales, scale, column) = of, along_lines
    uses, span, done, place, found = reads[1], (g.window - 1) * g.step + 1, 0, 0, False
    while done < outputs:
        more = min(g.block, (outputs - 1) * g.stride + span - place)
        met_one = load(reads, rings, to[2], x, g, slabs, deep, row + place, place, more, count, margin)
        found = bool(found | met_one)
        source, size = grow(uses, rings, lengths, g, place, more)
        place += more
        ready = min(outputs, (place - span) // g.stride + 1) if place >= span else 0
        while done < ready:
            first, repeat = done * g.stride, min(g.block, ready - done)
            line, repeat = whole(uses, lines, rings, lengths, g, source, size, first, repeat)
            target = ahead(to[0], done * g.out_pitch), to[1], to[2]
            deliver(grown, uses, target, line, along, g, n, repeat, g.line, scales, scale + done, column)
            done += repeat
    return found


def by_sweeps(reads, lines, rings, lengths, g, of, outputs, along_lines):
    """Windows of a band, whose rows are cut into runs as long as a window, so that each lies in two runs.

    The ring holds what the rest of a run merges to, from each row on, and a line behind it the next run up to
    here: two merges a row, whatever the window (van Herk 1992).
    """
    (x, slabs, deep, row, n, count, margin), (deliver, to, along, scales, scale, column) = of, along_lines
    uses, window, found, done, at = reads[1], g.window, False, 0, 0
    ring, line = ahead(rings, margin), ahead(lines, margin)
    begin, other = ahead(ring, (window + 1) * g.line), ahead(ring, (window + 2) * g.line)
    for place in range((outputs - 1) * g.stride + window):
        met_one = load(reads, rings, to[2], x, g, slabs, deep, row + place, at, 1, count, margin)
        found, own, last = bool(found | met_one), ahead(ring, at * g.line), at == window - 1
        if at == 0:
            passes.copy(begin, own, count)
        else:
            merge_two(uses, other, begin, own, count)
            begin, other = other, begin
        if place == window - 1 + done * g.stride:
            if last:
                passes.copy(line, begin, count)
            else:
                merge_two(uses, line, begin, ahead(own, 2 * g.line), count)
            target = ahead(to[0], done * g.out_pitch), to[1], to[2]
            deliver(grown, uses, target, lines, along, g, n, 1, g.line, scales, scale + done, column)
            done += 1
        if last:
            passes.copy(ahead(own, g.line), own, count)
        for i in range(window - 2 if last else -1, -1, -1):  # to the place behind, which nobody reads again
            own = ahead(ring, i * g.line)
            merge_two(uses, ahead(own, g.line), own, ahead(own, 2 * g.line), count)
        at = 0 if last else at + 1
    return found


def merge_two(uses, out, a, b, count):
    """Two lines."""
    rows = a, b, b, b
    passes.merge_in(passes.of_2, passes.as_line, passes.unfinished, uses, out, rows, count, 1, (0, 0, 0))


class Kind(NamedTuple):
    """What a kernel is compiled for: the way down the rows, the operator, and how elements are stored."""

    name: str
    down: Callable[..., bool]
    line: Line
    uniform: bool  # all results are scaled alike
    source: str
    target: str


@cache
def kernel(kind: Kind, *, careful: bool) -> Callable[..., None]:
    """All windows of some tasks: each element is read once, and each result written once.

    Extremes of several slabs look at each element once more, for NaNs.

    `by_growth` merges up to four shorter windows at each length, down the rows and along them. So it makes as
    many passes over lines in cache as a window's length has digits in base 4. `by_sweeps` merges twice a row.
    """
    down_rows, digest = kind.down, jit.source_digest()
    merge, odd, finish, write, watches = tasks.expressions_of(kind, careful=careful)
    read, lift, take = half.READ[kind.source], kind.line.lift, tasks.take_of(kind)
    gather = merged_slabs if lift is unlifted else lifted_slabs
    deliver, scales_of = (alike, no_scales) if kind.uniform else (each_scaled, own_scales)

    def walk(arrays, tables, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        if watches:
            clear_overflow()
        (x_all, y_all, _, like, met), knobs = arrays, (arrays[3][1], arrays[3][2], arrays[3][3])
        outer, leads, numbers, scales, begins, slabs_of_all = tables
        grid, g, number = read_grid(numbers, 0), read_rows(numbers, GRID), read_lengths(numbers, GRID + ROWS)
        down = pointer(numbers), LENGTHS, number.down
        along = pointer(numbers), LENGTHS + number.down * GROWTH, number.along
        uses = merge, finish, write, scales[0], knobs
        reads = gather, uses, like[0], odd, read, lift, knobs, take
        lines = pointer(memory[0])
        spare, sums = ahead(lines, g.line * g.block), ahead(lines, 3 * g.line * g.block)
        rings = ahead(sums, g.line * g.block)
        place_of, tile_before, found = begin(grid, first), -1, False
        for _ in range(first, last):
            (x_at, y_at), (tile, band, lead, _, _) = located(grid, outer, leads, place_of), place_of
            left, n, start, low, count = columns_of(g, tile)
            if tile != tile_before:
                passes.fill(lines, like[0], g.line * g.block)  # sweeps leave the margins so
                passes.fill(rings, like[0], g.ring * g.line)
            x = ahead(pointer(x_all), x_at + low * g.channels)
            y = ahead(pointer(y_all), y_at + left * g.channels)
            slabs, deep = ahead(pointer(slabs_of_all), leads[2, lead]), leads[3, lead]
            margin = (low - start) * g.channels
            output, outputs = band * g.band, min(g.band, g.high - band * g.band)
            column, row_scale = scales_of(begins, grid, tile, band, lead)
            of = x, slabs, deep, output * g.stride - g.above, n, count, margin
            to = ahead(y, output * g.out_pitch), sums, spare
            along_lines = deliver, to, along, pointer(scales), row_scale, column
            found = bool(found | down_rows(reads, lines, rings, down, g, of, outputs, along_lines))
            place_of, tile_before = following(grid, place_of), tile
        if overflowed() if watches else found:
            met[0] = 1

    how = f"doubling_{down_rows.__name__}_{kind.name}" + "_scaled" * (not kind.uniform)
    return jit.kernel(walk, tasks.named(how, kind, careful=careful))


# Which windows ---------------------------------------------------------------------------------------------


class Block(NamedTuple):
    """How much is merged at a time."""

    width: int  # columns of output, and elements of a line that holds their windows
    line: int
    rows: int  # of input that are read
    lines: int  # in the memory of a thread, ...
    ring: int  # ... of which these hold single rows
    down: list[Growth]


def fit(shape: Shape) -> bool:
    """Whether the lines are not too much memory."""
    return 6 * shape.row.span * shape.columns.span * shape.channels <= MOST  # a line as long as two windows


def take_fewer_passes(shape: Shape, *, repeats: bool) -> bool:
    """Whether rows would take more passes over lines in cache, or add up sums in too long chains."""
    if not fit(shape):
        return False
    fewer = passes_of(shape, repeats=repeats) < passes_by_rows(shape)
    return fewer or (not repeats and chain_by_rows(shape) > CHAIN >= chain(shape))


def passes_of(shape: Shape, *, repeats: bool) -> float:
    """Passes over the elements of a row, for each row of output: to read rows, to grow down and along."""
    row, columns = shape.row, shape.columns
    down, along = len(lengths_of(row.window, repeats)), len(lengths_of(columns.window, repeats))
    stride = row.window if row.outputs == 1 else row.stride
    each = passes.number(shape.slabs()) + max(0, down - 1)
    return stride * each + 1 + along + (columns.stride > 1)


def are_fewer_passes(r: Reduction) -> bool:
    """Values alone, of windows that take fewer passes so."""
    return not r.placed and take_fewer_passes(r.shape, repeats=r.repeats)


def are_left(r: Reduction) -> bool:
    """Values alone, of what rows leave: windows far longer than their results, or of too much memory."""
    return not r.placed and fit(r.shape)


def chain(shape: Shape) -> int:
    """The longest chain of merges that an element goes through, if it is not lifted."""
    return passes.chain(shape.slabs()) + 2 * (
        shape.row.window.bit_length() + shape.columns.window.bit_length()
    )


@cache
def lengths_of(window: int, repeats: bool) -> tuple[tuple[int, int, int], ...]:
    """The lengths through which a window grows: of each what it is, the one before, and how many of these.

    That is in the fewest passes, and of these in the fewest reads. Windows may overlap where merging an
    element again changes nothing.
    """
    if window == 1:
        return ()
    ways = []
    for number in range(2, FEW + 1):
        singles = 0 if repeats else window % number
        shorter = (window + number - 1 if repeats else window) // number
        if 0 < shorter < window and number + singles <= FEW:
            ways.append((*lengths_of(shorter, repeats), (window, shorter, number)))
    return min(ways, key=lambda way: (len(way), sum(number for *_, number in way)))


def growths(window: int, step: int, block: int, *, repeats: bool) -> list[Growth]:
    """How windows grow to the longest."""
    found = []
    for more, shorter, number in lengths_of(window, repeats) or ((1, 1, 1),):
        begins = [min(n * shorter, more - shorter) for n in range(number)]
        begins += range(number * shorter, more)
        b, c, d = (begins[1:] + [0] * 3)[:3]
        found.append(Growth(more, len(begins), number, b, c, d, 0))
    further = [longer.length - each.length for each, longer in pairwise(found)]
    return [each._replace(lines=far * step + block) for each, far in zip(found, [*further, 0], strict=True)]


def sweeps(r: Reduction, rows: int) -> bool:
    """Whether rows merge twice whatever the window: where they are long, and may merge again."""
    row = r.shape.row
    return r.repeats and row.step == 1 and rows == 1 and row.window >= r.limits.swept


def block_of(r: Reduction) -> Block:
    """What stays in cache."""
    row, columns, channels = r.shape.row, r.shape.columns, r.shape.channels
    wide = max(1, 4 // r.line.itemsize)
    kept = sum(each.lines for each in growths(row.window, row.step, 1, repeats=r.repeats)) + 2 * row.step
    halo = columns.span - columns.stride
    most = max(r.limits.kept * wide // kept // channels - halo, 2 * halo, 64)
    most = min(most, max(r.limits.long * wide // channels, 2 * halo))
    width = parted(columns.outputs, max(1, most // columns.stride))
    line = ((width - 1) * columns.stride + columns.span) * channels
    line += -line % (columns.stride * channels)
    rows = max(1, min((row.outputs - 1) * row.stride + row.span, r.limits.near * wide // line))
    if sweeps(r, rows):
        ring = row.window + 1  # and two beginnings of runs, a line of windows, and what is scratch along it
        return Block(width, line, 1, ring + 2 + 4, ring, [])
    down, ring = growths(row.window, row.step, rows, repeats=r.repeats), FEW * row.step + rows
    lines = ring + sum(each.lines for each in down[:-1]) + 4 * rows
    return Block(width, line, rows, lines, ring, down)


def plan(r: Reduction) -> Plan:
    """How to reduce windows by those of many lengths."""
    row, columns, own = r.shape.row, r.shape.columns, block_of(r)
    each = columns.size * r.shape.channels * row.stride
    band = min(row.outputs, max(1, BANDS * row.span // row.stride, r.limits.task // each))
    numbers = numbers_of(r, width=own.width, band=band, block=own.rows, line=own.line, ring=own.ring)
    along = growths(columns.window, 1, 1, repeats=r.repeats)
    table = *numbers, len(own.down), len(along), *chained.from_iterable((*own.down, *along))
    kind = Kind(r.name, by_growth if own.down else by_sweeps, r.line, r.uniform, r.source, r.target)
    blocks = -(-row.outputs // band), -(-columns.outputs // own.width)
    memory = ((own.lines * own.line + CACHE_LINE, r.line.dtype),)
    scales = None if r.uniform else scales_in(r, band, own.width)
    return r.plan(partial(kernel, kind), table, blocks, memory, scales)


jit.register(__name__, passes="apart")
