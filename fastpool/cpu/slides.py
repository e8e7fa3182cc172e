"""Windows that slide over rows of input: 3x3 at strides 1 and 2, and up to 9x9 at stride 1.

A pass reads a row, computes and writes another in one loop. To do so at once hides what memory takes.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

from .. import jit
from ..operators.line import Line, value_alone
from . import half, passes, places, tasks
from .flags import clear_overflow, overflowed
from .memory import (
    ahead,
    apart,
    choose,
    fields,
    lanes,
    lanes_of,
    load,
    peek,
    pointer,
    poke,
    precedes,
    store,
    values,
    wide_registers,
)
from .passes import give, give_placed, moved
from .tasks import GRID, Plan, Reduction, begin, following, located, read_grid


class Slides(NamedTuple):
    """Numbers of a call."""

    rows: int  # of input
    columns: int
    channels: int
    high: int  # rows and columns of output
    wide: int
    height: int  # of a task
    width: int
    stride: int
    above: int  # rows and columns of padding before the first
    before: int
    step: int  # of the columns of a window
    pitch: int  # of the rows of input, and of output
    out_pitch: int
    line: int  # elements of a line that is kept
    window: int  # rows of a window, its columns, and where in these the second and the third three begin
    span: int
    second: int
    third: int


read_slides = fields(Slides)
FIRST = GRID + len(Slides._fields)  # where the numbers of places are

# Windows of 3x3 ------------------------------------------------------------------------------------------


def slide_3(uses, blank, out, taps, kept, g, x, scale, across, down, slid, stride, length_of):
    """Windows of 3x3 over a block, of whose last rows of input windows of three are `kept`.

    The rows of input are read in the order of addresses, a register of windows at a time, of a row or of the
    channels of a place, the last of them twice rather than few alone. Windows at the ends read on, and what
    is outside they take for blank.
    """
    (columns, column, wide), (rows, top, pitch, outputs, out_pitch) = across, down
    size, step, start = columns * g.channels, g.step * g.channels, column * g.channels
    count, length = wide * g.channels, g.line
    # The outputs whose windows are whole are those from `first` to `last`.
    first = -(min(column, 0) // stride) * g.channels
    last = ((columns - g.span - column) // stride + 1) * g.channels
    begin, end, empty = borders(blank, ahead(values(kept), 3 * length), x, size, step, rows, pitch)
    a, b, c = kept, ahead(kept, length), ahead(kept, 2 * length)
    low, high, together = start + step, start + step + stride * count, lanes(kept)
    piece, further = length_of(g, count, stride)
    found = ends(uses[0], x, low, high, size, rows, pitch)
    for row in range(-top, stride * outputs + 3 - stride - top):
        line = row_at(x, begin, end, empty, row, rows, pitch)
        # A row of output is written until it is right. The stride is 1 or 2: to divide takes as long as a row
        to = max(0, (row + top - 3 + stride) >> (stride - 1)) * out_pitch
        own = -together
        for i in range(0, count, piece):
            for j in range(0, piece, together):
                at, own = i + min(j, piece - together), own + together
                y, chosen, keep = ahead(out, to + at), ahead(taps, to + at), ahead(c, own)
                source = start + stride * i + further * (at - i)
                sources = ahead(a, own), ahead(b, own), ahead(line, source)
                rest = scale, step, first - at, last - at, 3 * max(0, -row)
                found = bool(found | slid(uses, blank, y, chosen, keep, *sources, *rest))
        a, b, c = b, c, a
    return found


def rows_of_windows(g, count, stride):
    """How many windows follow each other, and how far apart these are in the input."""
    return count, stride


def channels_of_windows(g, count, stride):
    """The same of channels."""
    return g.channels, 1


def borders(blank, to, x, size, step, rows, pitch):
    """Copies of the first and the last row, beyond which may be no memory, and a row of blanks."""
    margin = 2 * step
    begin = ahead(to, margin)
    end, empty = ahead(begin, size + 2 * margin), ahead(begin, 2 * (size + 2 * margin))
    frame(begin, x, blank, size, size, margin)
    frame(end, ahead(x, (rows - 1) * pitch), blank, size, size, margin)
    frame(empty, x, blank, 0, size, margin)
    return begin, end, empty


def frame(out, x, blank, inside, size, margin):
    """So many elements of `x`, in a row that has blanks behind them and a margin of blanks around it."""
    apart()
    for j in range(-margin, size + margin):
        poke(out, j, blank)
    for j in range(inside):
        poke(out, j, peek(x, j))


def row_at(x, begin, end, empty, row, rows, pitch):
    """A row of input, or one of blanks."""
    if row < 0 or row >= rows:
        return empty
    return begin if row == 0 else end if row == rows - 1 else ahead(x, row * pitch)


def ends(odd, x, low, high, size, rows, pitch):
    """Whether there is a NaN in the elements of rows before `low`, or from `high` on."""
    found = False
    for row in range(rows if low > 0 or high < size else 0):
        line = ahead(x, row * pitch)
        for j in range(low):
            found = bool(found | odd(peek(line, j)))
        for j in range(high, size):
            found = bool(found | odd(peek(line, j)))
    return found


def slid_by_1(uses, blank, out, taps, kept, a, b, x, scale, step, first, last, shift):
    """Windows along a row at stride 1, merged with those of two rows before."""
    apart()
    odd, merge, element, moved, give, finish, knobs, write = uses
    found = False
    for j in range(lanes(kept)):
        found = bool(found | odd(peek(x, j + step)))
        row = three(merge, element, blank, x, j, step, precedes(first, j + 1), precedes(j + 1, last + 1))
        above = merge(load(a, j, 0), load(b, j, 3))
        give(finish, knobs, write, out, taps, j, merge(above, moved(row, 6)), scale)
        store(kept, j, moved(row, shift))
    return found


def slid_by_2(uses, blank, out, taps, kept, a, b, x, scale, step, first, last, shift):
    """As `slid_by_1`, at stride 2."""
    apart()
    odd, merge, element, moved, give, finish, knobs, write = uses
    found = False
    for j in range(lanes(kept)):
        at = 2 * j
        for tap in range(-1, 3):  # whole pairs are read at once, and what is between others is not
            found = bool(found | odd(peek(x, at + tap)))
        row = three(merge, element, blank, x, at, 1, precedes(first, j + 1), precedes(j + 1, last + 1))
        above = merge(load(a, j, 0), load(b, j, 3))
        give(finish, knobs, write, out, taps, j, merge(above, moved(row, 6)), scale)
        store(kept, j, moved(row, shift))
    return found


def slid_over_channels(uses, blank, out, taps, kept, a, b, x, scale, step, first, last, shift):
    """As `slid_by_1`, of channels at a stride of 2, so that no window has the elements that follow."""
    apart()
    odd, merge, element, moved, give, finish, knobs, write = uses
    found = False
    for j in range(lanes(kept)):
        found = bool(found | odd(peek(x, j)) | odd(peek(x, j + step)) | odd(peek(x, j + 2 * step)))
        row = three(merge, element, blank, x, j, step, precedes(first, j + 1), precedes(j + 1, last + 1))
        above = merge(load(a, j, 0), load(b, j, 3))
        give(finish, knobs, write, out, taps, j, merge(above, moved(row, 6)), scale)
        store(kept, j, moved(row, shift))
    return found


def three(merge, element, blank, x, at, step, first, last):
    """One window of three along a row, the first and the last of which may be outside."""
    left, middle, right = peek(x, at), peek(x, at + step), peek(x, at + 2 * step)
    start = element(left, 0) if first else element(blank, 1)
    return merge(merge(start, element(middle, 1)), element(right if last else blank, 2))


# Windows of up to 9x9 at stride 1, of what may merge more than once ----------------------------------------


def by_up_to_9(uses, blank, out, taps, kept, g, x, scale, across, down):
    """Two rows of output at a time, whose windows have most rows in common, from two new rows of input.

    Along a row a window is three windows of three, which may overlap; down the rows it is `half` pairs of
    them and, of an odd number, one more. Pairs are kept as long as windows need them, and their lower rows.
    """
    (columns, column, wide), (rows, top, pitch, outputs, out_pitch) = across, down
    size, step, start = columns * g.channels, g.step * g.channels, column * g.channels
    count = wide * g.channels
    length, window, second, third = g.line, g.window, g.second, g.third
    half, together, left = window // 2, lanes(kept), max(-start, 2 * step)
    line = (count // together + 2) * together
    ring = (half + 1) * line
    upper, lower = ahead(kept, left), ahead(kept, left + length)
    pairs = ahead(kept, 2 * length)
    singles, unwanted = ahead(pairs, ring), ahead(pairs, 2 * ring)
    clear(kept, blank, 2 * length)
    found, newest = False, 0
    for row in range(0, 2 * half + outputs, 2):
        for new, at in ((upper, row - top), (lower, row + 1 - top)):
            if 0 <= at < rows:
                found = bool(found | triples(uses, blank, new, ahead(x, at * pitch), size, step))
            else:
                clear(ahead(new, -left), blank, length)
        output = row - 2 * half
        one = choose(output >= 0, ahead(out, output * out_pitch), unwanted)
        two = ahead(out, (output + 1) * out_pitch)
        two = choose(0 <= output < outputs - 1, two, ahead(unwanted, line))
        oldest, near = wrapped(newest + line, ring), wrapped(newest + 2 * line, ring)
        between, far = wrapped(newest + min(3, half) * line, ring), wrapped(newest + half * line, ring)
        for j in range(0, count, together):
            at = min(j, count - together)
            own, below = ahead(pairs, at), ahead(singles, at)
            common = ahead(own, near), ahead(own, between), ahead(own, far)
            begins = ahead(own, oldest), ahead(below, oldest)
            writes = ahead(one, at), ahead(two, at), ahead(own, newest), ahead(below, newest)
            reads = ahead(upper, start + at), ahead(lower, start + at), second, third
            two_rows(uses, scale, window % 2 != 0, reads, begins, common, writes)
        newest = oldest
    return found


def wrapped(at, ring):
    """A place in a ring; division takes as long as a row."""
    return at - ring if at >= ring else at


def two_rows(uses, scale, uneven, reads, begins, common, writes):
    """A register of windows of either row, which are of an `uneven` number of rows or not."""
    apart()
    merge, finish, knobs, write = uses[1], uses[5], uses[6], uses[7]
    upper, lower, second, third = reads
    for j in range(lanes(upper)):
        high = merge(merge(peek(upper, j), peek(upper, j + second)), peek(upper, j + third))
        low = merge(merge(peek(lower, j), peek(lower, j + second)), peek(lower, j + third))
        both = merge(high, low)
        middle = merge(merge(peek(common[0], j), peek(common[1], j)), peek(common[2], j))
        one, two = merge(peek(begins[0], j), middle), merge(peek(begins[1], j), middle)
        poke(writes[0], j, write(finish(merge(one, high) if uneven else one, scale, knobs)))
        poke(writes[1], j, write(finish(merge(two, both if uneven else high), scale, knobs)))
        poke(writes[2], j, both)
        poke(writes[3], j, low)


def triples(uses, blank, out, x, size, step):
    """Windows of three along a row of input that begin in it, or as far as they reach before it."""
    apart()
    odd, merge = uses[0], uses[1]
    found = False
    if size < 2 * step:
        for j in range(-2 * step, size):
            found = bool(found | odd(peek(x, max(j, 0))))
            poke(out, j, clipped(merge, blank, x, j, step, size))
        return found
    for j in range(size - 2 * step):
        found = bool(found | odd(peek(x, j + step)))
        poke(out, j, merge(merge(peek(x, j), peek(x, j + step)), peek(x, j + 2 * step)))
    return bool(found | outer_triples(odd, merge, out, x, size, step))


def outer_triples(odd, merge, out, x, size, step):
    """Those of which one or two elements are outside."""
    apart()
    found = False
    for j in range(step):
        last = size - step + j
        found = bool(found | odd(peek(x, j)) | odd(peek(x, last)))
        poke(out, j - 2 * step, peek(x, j))
        poke(out, j - step, merge(peek(x, j), peek(x, j + step)))
        poke(out, last - step, merge(peek(x, last - step), peek(x, last)))
        poke(out, last, peek(x, last))
    return found


def clipped(merge, blank, x, at, step, size):
    """A window of three, of its elements inside the row."""
    found = blank
    for tap in range(at, at + 3 * step, step):
        if 0 <= tap < size:
            found = merge(found, peek(x, tap))
    return found


def clear(out, blank, count):
    """Blanks."""
    for j in range(count):
        poke(out, j, blank)


# Kernels -------------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """What a kernel is compiled for: how windows slide, the operator, and how elements are stored."""

    name: str
    slides: Callable[..., bool]
    line: Line
    chosen: str
    source: str
    target: str


def by_1(uses, blank, out, taps, kept, g, x, scale, across, down):
    """Windows of 3x3 at stride 1."""
    return slide_3(uses, blank, out, taps, kept, g, x, scale, across, down, slid_by_1, 1, rows_of_windows)


def by_2(uses, blank, out, taps, kept, g, x, scale, across, down):
    """Windows of 3x3 at stride 2."""
    return slide_3(uses, blank, out, taps, kept, g, x, scale, across, down, slid_by_2, 2, rows_of_windows)


def by_2_over_channels(uses, blank, out, taps, kept, g, x, scale, across, down):
    """Windows of 3x3 of channels at stride 2."""
    way = slid_over_channels, 2, channels_of_windows
    return slide_3(uses, blank, out, taps, kept, g, x, scale, across, down, *way)


def block(g, place):
    """The rows and the columns of a task.

    Of both: the first element of input, how many, where the first window begins from there on (below 0 in
    the padding), the first output, and how many.
    """
    tile, band, _, _, _ = place
    top, left = band * g.height, tile * g.width
    high, wide = min(g.height, g.high - top), min(g.width, g.wide - left)
    row, column = top * g.stride - g.above, left * g.stride - g.before
    above, before = max(row, 0), max(column, 0)
    rows = min(row + (high - 1) * g.stride + g.window, g.rows) - above
    columns = min(column + (wide - 1) * g.stride + g.span, g.columns) - before
    return (above, rows, row - above, top, high), (before, columns, column - before, left, wide)


@cache
def kernel(kind: Kind, *, careful: bool) -> Callable[..., None]:
    """All windows of some tasks: one pass, which reads each element of a block once.

    The pass over 3x3 keeps the windows along the last two rows of input in lines. With the next row it reads
    these two lines, and writes a third one and a row of results: each row of results once at stride 1 and
    twice at stride 2, but the first three times. The pass over up to 9x9 writes the windows of three along
    two rows of input to lines. It reads these and five lines that it has kept, and writes two lines to keep
    and two rows of results, each once.
    """
    slide, placed, digest = kind.slides, bool(kind.chosen), jit.source_digest()
    merge, odd, finish, write, watches = tasks.expressions_of(kind, careful=careful)
    odd, element = half.IS_NAN[kind.source] if slide is by_2 else odd, kind.line.element
    further, to = (moved, give_placed) if placed else (value_alone, give)
    lines_of = passes.line_of_pairs if placed else passes.line_of
    tell = places.TOLD[kind.chosen]

    def walk(arrays, tables, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        if watches:
            clear_overflow()
        x_all, y_all, taps_all, like, met = arrays
        outer, leads, numbers, scales, _, _ = tables
        grid, g = read_grid(numbers, 0), read_slides(numbers, GRID)
        uses = odd, merge, element, further, to, finish, (like[1], like[2], like[3]), write
        kept, scale, found = lines_of(memory), scales[0], False
        place = begin(grid, first)
        for _ in range(first, last):
            x_at, y_at = located(grid, outer, leads, place)
            (above, rows, row, top, high), (before, columns, column, left, wide) = block(g, place)
            x = ahead(pointer(x_all), x_at + above * g.pitch + before * g.channels)
            at = y_at + top * g.out_pitch + left * g.channels
            out, taps = ahead(pointer(y_all), at), ahead(pointer(taps_all), at if placed else 0)
            across = columns, column, wide
            down = rows, -row, g.pitch, high, g.out_pitch
            found = bool(found | slide(uses, like[0], out, taps, kept, g, x, scale, across, down))
            tell(numbers, FIRST, taps, top, high, left, wide, g.channels, g.out_pitch)
            place = following(grid, place)
        if overflowed() if watches else found:
            met[0] = 1

    how = f"slides_{slide.__name__}_{kind.name}" + f"_{kind.chosen}" * placed
    return jit.kernel(walk, tasks.named(how, kind, careful=careful))


# Which windows -------------------------------------------------------------------------------------------


def in_rows(r: Reduction) -> bool:
    """Whether windows of elements as they are stored are those of one slab, all scaled alike.

    Passes read up to two elements beside a row, which must be in the rows around it.
    """
    row, columns = r.shape.row, r.shape.columns
    near = row.pitch >= max(columns.size, 2 * columns.step) * r.shape.channels
    single = len(r.leads) == 1 and not r.shape.leading
    return single and near and r.uniform and not r.converts and row.step == 1


def of_3x3(stride: int, r: Reduction) -> bool:
    """3x3 at a stride; of windows along a row those at the ends have but one element outside."""
    row, columns = r.shape.row, r.shape.columns
    behind = (columns.outputs - 1) * columns.stride - columns.before + columns.step
    few = columns.before <= columns.step and behind < columns.size
    fits = row.window == columns.window == 3 and row.stride == columns.stride == stride and few
    return in_rows(r) and fits and r.line.itemsize >= 4  # masks of fewer bytes do not fill registers


def are_3x3_by_1(r: Reduction) -> bool:
    """3x3 at stride 1."""
    least = lanes_of(r.line.itemsize) * (1 if r.placed else r.limits.registers)
    return of_3x3(1, r) and r.shape.columns.outputs * r.shape.channels >= least


def are_3x3_by_2(r: Reduction) -> bool:
    """3x3 of single floats at stride 2."""
    single = r.shape.columns.step == r.shape.channels == 1 and r.floats
    return of_3x3(2, r) and single and r.shape.columns.outputs >= lanes_of(r.line.itemsize)


def are_3x3_over_channels(r: Reduction) -> bool:
    """3x3 of channels at stride 2, where a look for NaNs can ride on the same read."""
    registers = r.shape.channels // lanes_of(r.line.itemsize)
    return of_3x3(2, r) and r.line.careful is not None and registers >= (1 if r.placed else 2)


def are_up_to_9x9(r: Reduction) -> bool:
    """Windows of 4x3 to 9x9 at stride 1 over long rows, of what may merge more than once."""
    row, columns = r.shape.row, r.shape.columns
    few = 4 <= row.window <= 9 and 3 <= columns.window <= 9 and row.stride == columns.stride == 1
    long = columns.outputs * r.shape.channels >= r.limits.slid
    return in_rows(r) and few and long and r.repeats and not r.placed


def plan(slide: Callable[..., bool], r: Reduction) -> Plan:
    """How to reduce windows by one of the ways to slide."""
    row, columns, channels = r.shape.row, r.shape.columns, r.shape.channels
    height, width = tile(r)
    lanes, step = lanes_of(r.line.itemsize), columns.step * channels
    count, before = width * channels, columns.before * channels
    size = min(columns.size, (width - 1) * columns.stride + columns.span) * channels
    second, third = (columns.window - 3) // 2 * step, (columns.window - 3) * step
    if slide is by_up_to_9:
        length = max(before, 2 * step) + max(size, count + third) + lanes
        kept = 2 * length + (2 * (row.window // 2) + 4) * (count // lanes + 2) * lanes
    else:
        piece = channels if slide is by_2_over_channels else count
        length = count // piece * -(-piece // lanes) * lanes
        kept = 3 * length + 3 * (size + 4 * step)
    numbers = Slides(
        rows=row.size,
        columns=columns.size,
        channels=channels,
        high=row.outputs,
        wide=columns.outputs,
        height=height,
        width=width,
        stride=row.stride,
        above=row.before,
        before=columns.before,
        step=columns.step,
        pitch=row.pitch,
        out_pitch=row.out_pitch,
        line=length,
        window=row.window,
        span=columns.span,
        second=second,
        third=third,
    )
    kind = Kind(r.name, slide, r.line, r.chosen, r.source, r.target)
    blocks = -(-row.outputs // height), -(-columns.outputs // width)
    return r.plan(partial(kernel, kind), (*numbers, *places.places_of(r.shape)), blocks, r.lines(kept))


def tile(r: Reduction) -> tuple[int, int]:
    """Rows and columns of output of a task: a small plane, else an even number of parts of its rows."""
    row, columns, channels = r.shape.row, r.shape.columns, r.shape.channels
    if row.outputs * columns.outputs * channels <= r.limits.plane:
        return row.outputs, columns.outputs
    bands = max(1, row.outputs // max(r.limits.low, 4 * (row.span - 1)))
    bands -= bands % 2 if bands > 1 else 0
    parts = max(1, columns.outputs // max(r.limits.long // channels, 4 * columns.span))
    width = -(-columns.outputs // parts)
    if (columns.outputs - (parts - 1) * width) * channels < lanes_of(r.line.itemsize):
        width = columns.outputs
    return -(-row.outputs // bands), width


jit.register(__name__, passes="apart")
