"""Regular windows of what takes part: rows of values, and beside them rows of how many they are of.

For each row of output the rows of input that its windows cover merge into one line, in which what is left out
is the neutral element; a second line counts what takes part, or adds up its weights. Both then merge along
the line as all rows do (`rows`), and the window's value is made of the two. The input is read once.

A mask, or weights, may be those of one plane, which serve all planes.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from .. import jit, threads, ways
from ..operators.line import Line, may_overflow
from . import half, passes, rows
from .flags import clear_overflow, overflowed
from .memory import ahead, apart, flatten, peek, peek_two, pointer, poke, raw, wide_registers
from .shape import Shape
from .tasks import GRID, Array, Reduction, begin, begun_at, following, located, read_grid, scratch_of

TINY = float(np.nextafter(0, 1))  # the least sum of weights that is one
ONES, LOWER, COUNT, BYTE = np.uint16(0x0101), np.uint16(0x7F7F), np.uint16(0xFF), np.uint16(8)  # of two bytes
COUNTS = {1: "uint8", 2: "int16", 4: "int32", 8: "int64"}  # by the bytes of a value, so that lines run alike


class Takes(NamedTuple):
    """What leaves elements out."""

    listed: bool  # a mask lists them, or weights below 0 do
    numbers: bool  # NaNs are left out
    others: bool  # one value is left out
    weighs: bool = False  # elements have weights, in place of a mask

    @property
    def masked(self) -> bool:
        """By a mask of bytes."""
        return self.listed and not self.weighs

    @property
    def alone(self) -> bool:
        """By a mask of bytes and nothing else."""
        return self.masked and not self.numbers and not self.others

    @property
    def name(self) -> str:
        """For that of a kernel."""
        return "_".join(name for name, has in self._asdict().items() if has)


@cache
def taking(takes: Takes) -> Callable[..., Any]:
    """Whether an element takes part, of its value, its mark or weight, and the value that is left out."""
    listed, numbers, others, weighs = takes

    def is_present(value, mark, nodata):
        found = True
        if listed:
            found = found & (mark >= 0 if weighs else mark != 0)
        if numbers:
            found = found & (value == value)
        if others:
            found = found & (value != nodata)
        return found

    jit.expression(is_present)
    return is_present


def both(uses, one, other):
    """Two values merged, and their counts added."""
    return uses[0](one[0], other[0]), uses[4](one[1], other[1])


def of_1(uses, element, x, marks, rows_at, j):
    """An element of one row, and its count."""
    return element(uses, peek(x, peek(rows_at, 0) + j), peek(marks, peek(rows_at, 0) + j))


def of_2(uses, element, x, marks, rows_at, j):
    """Those of two rows."""
    return both(
        uses,
        of_1(uses, element, x, marks, rows_at, j),
        of_1(uses, element, x, marks, ahead(rows_at, 1), j),
    )


def of_4(uses, element, x, marks, rows_at, j):
    """Those of four rows."""
    return both(
        uses,
        of_2(uses, element, x, marks, rows_at, j),
        of_2(uses, element, x, marks, ahead(rows_at, 2), j),
    )


def merge_fresh(expression, uses, element, values, counts, x, marks, rows_at, size):
    """One row or two to a line of values and one of counts."""
    apart()
    for j in range(size):
        value, count = expression(uses, element, x, marks, rows_at, j)
        poke(values, j, value)
        poke(counts, j, count)


def merge_onto(expression, uses, element, values, counts, x, marks, rows_at, size):
    """Two rows or four onto what is there."""
    apart()
    for j in range(size):
        value, count = expression(uses, element, x, marks, rows_at, j)
        poke(values, j, uses[0](peek(values, j), value))
        poke(counts, j, uses[4](peek(counts, j), count))


def merge_rows(uses, element, values, counts, x, marks, rows_at, high, size):
    """All rows of a window: one or two, then so many that fours are left, then these."""
    if high % 2 == 1:
        merge_fresh(of_1, uses, element, values, counts, x, marks, rows_at, size)
    else:
        merge_fresh(of_2, uses, element, values, counts, x, marks, rows_at, size)
    done = 2 - high % 2
    if (high - done) % 4 == 2:
        merge_onto(of_2, uses, element, values, counts, x, marks, ahead(rows_at, done), size)
        done += 2
    while done < high:
        merge_onto(of_4, uses, element, values, counts, x, marks, ahead(rows_at, done), size)
        done += 4


def single(merge, line, j):
    """An element of a line."""
    return peek(line, j)


def give(cell, value_of, uses, wanted, out, values, counts, size, repeat, pitches):
    """The values of windows of which `cell` makes each of a line, and whether some have too few elements."""
    apart()
    (out_pitch, pitch), few = pitches, False
    for r in range(repeat):
        for j in range(size):
            count = cell(uses[1], ahead(counts, r * pitch), j)
            lacks = count < wanted[0]
            value = value_of(cell(uses[0], ahead(values, r * pitch), j), count, wanted)
            poke(out, r * out_pitch + j, wanted[1] if lacks else value)
            few = bool(few | lacks)
    return few


def square(uses, element, x, marks, rows_at, j):
    """A window of two rows and two columns, and its count."""
    return both(
        uses,
        of_2(uses, element, x, marks, rows_at, 2 * j),
        of_2(uses, element, x, marks, rows_at, 2 * j + 1),
    )


def each_once(two):
    """Two bytes in a number, each 1 where it is not 0; a bool that was a byte before may be any number."""
    above = np.uint16(np.uint16(np.uint16(two & LOWER) + LOWER) | two)  # the highest bit of each byte
    return np.uint16(above >> np.uint16(7)) & ONES


def listed_square(uses, element, x, marks, rows_at, j):
    """As `square`, of what bytes list: two at once, whose counts are the halves of a sum."""
    top, low, last = peek(rows_at, 0), peek(rows_at, 1), np.uint16(1)
    a, b = each_once(peek_two(ahead(marks, top), j)), each_once(peek_two(ahead(marks, low), j))
    left, _ = both(
        uses,
        element(uses, peek(x, top + 2 * j), a & last),
        element(uses, peek(x, low + 2 * j), b & last),
    )
    right, _ = both(
        uses,
        element(uses, peek(x, top + 2 * j + 1), a >> BYTE),
        element(uses, peek(x, low + 2 * j + 1), b >> BYTE),
    )
    two = np.uint16(a + b)
    return uses[0](left, right), np.uint16(np.uint16(two + np.uint16(two >> BYTE)) & COUNT)


def squares(of_square, value_of, uses, element, wanted, out, x, marks, rows_at, of_rows):
    """As `give`, of windows of two rows and two columns: read, merged and written in one pass."""
    apart()
    (size, repeat, out_pitch, pitch, begins, period), few = of_rows, False
    for r in range(repeat):
        row, to, further = ahead(x, r * pitch), ahead(out, r * out_pitch), r * pitch
        own = ahead(marks, further - earlier(period, begins + further + peek(rows_at, 0)))
        for j in range(size):
            merged, count = of_square(uses, element, row, own, rows_at, j)
            lacks = count < wanted[0]
            value = value_of(merged, count, wanted)
            poke(to, j, wanted[1] if lacks else value)
            few = bool(few | lacks)
    return few


def earlier(period, at):
    """Elements of whole planes before an element, where the marks of one plane serve all; else none."""
    return at // period * period if period > 0 else 0


class Kind(NamedTuple):
    """What a kernel is compiled for."""

    name: str
    along: Callable[..., None]
    line: Line
    takes: Takes
    counts: str
    source: str
    target: str


@cache
def expressions(kind: Kind) -> tuple[Callable[..., Any], ...]:
    """What reads an element and its count, what adds counts, and what makes a result of value and count."""
    line, weighs, is_present = kind.line, kind.takes.weighs, taking(kind.takes)
    read, write, lift, finish = half.READ[kind.source], half.WRITE[kind.target], line.lift, line.finish
    computed, counted = getattr(np, line.dtype), getattr(np, kind.counts)
    scale_type = np.float64 if line.dtype in ("float64", "int32") else np.float32
    inverse = line.scales == "inverse"

    def element(uses, bits, mark):
        value = read(bits)
        present, lifted = is_present(value, mark, uses[1]), computed(lift(value, uses[3]))
        weight = counted(mark) if weighs else counted(1)
        weighed = lifted * weight if weighs else lifted
        return weighed if present else uses[2], weight if present else counted(0)

    def plus(a, b):
        return counted(a + b)  # of int32, which would add up to int64

    def value_of(value, count, wanted):
        some = scale_type(count if count > 0 else 1)
        return write(finish(value, scale_type(1) / some if inverse else some, wanted[2]))

    jit.expression(element)
    jit.expression(plus)
    jit.expression(value_of)
    return element, plus, value_of


def _reduce_squares(kind: Kind) -> Callable[..., bool]:
    """As `_reduce_rows`, of windows of two rows and two columns without padding."""
    element, _, value_of = expressions(kind)
    of_square = listed_square if kind.takes.alone else square

    def reduce_squares(uses, wanted, buffers, taps, g, x, marks, begins, period, rows_at, block, out):
        _, repeat, _, n, _ = block
        of_rows = n, repeat, g.out_pitch, g.stride * g.pitch, begins, period
        return squares(of_square, value_of, uses, element, wanted, out, x, marks, rows_at, of_rows)

    jit.expression(reduce_squares)
    return reduce_squares


def _reduce_rows(kind: Kind) -> Callable[..., bool]:
    """What makes some rows of output: whether some of their windows have too few elements.

    A `block` of rows has so many rows of input a window, so many rows of output, a margin before the first
    element that is read, so many columns of output, and so many elements that are read of a row.
    """
    along, pairs = kind.along, kind.along is passes.pair
    element, plus, value_of = expressions(kind)
    cell = passes.pair if pairs else single

    def reduce_rows(uses, wanted, buffers, taps, g, x, marks, begins, period, rows_at, block, out):
        (lines, spare, sums), (tally, spare_tally, tallies) = buffers
        high, repeat, margin, n, count = block
        size = n * g.channels
        for r in range(repeat):
            at, further = r * g.line + margin, r * g.stride * g.pitch
            own = ahead(marks, further - earlier(period, begins + further + peek(rows_at, 0)))
            to = ahead(lines, at), ahead(tally, at), ahead(x, further), own
            merge_rows(uses, element, *to, rows_at, high, count)
        if pairs:
            values, counts, pitch = lines, tally, g.line
        else:
            rest = taps, g, n, repeat, size, g.line
            along(passes.unfinished, uses, sums, spare, lines, *rest)
            along(passes.unfinished, (plus, 0), tallies, spare_tally, tally, *rest)
            values, counts, pitch = sums, tallies, size
        pitches, merges = (g.out_pitch, pitch), (uses[0], plus)
        return give(cell, value_of, merges, wanted, out, values, counts, size, repeat, pitches)

    jit.expression(reduce_rows)
    return reduce_rows


@cache
def kernel(kind: Kind) -> Callable[..., bool]:
    """All windows of some tasks; ``met`` tells whether sums overflowed and whether windows lack elements.

    A column pass reads one or two rows of elements and their marks, and the next ones two or four each. All
    write a line of values and one of counts, and the next ones read these too. Row passes go along both lines
    as in `rows`. A last pass reads a value and a count, and writes the result once. Windows of 2x2 side by
    side are one pass in all, without lines.
    """
    line, takes, digest, of_squares = kind.line, kind.takes, jit.source_digest(), kind.along is squares
    reduce_rows = _reduce_squares(kind) if of_squares else _reduce_rows(kind)
    of_phases, watches = kind.along is rows.phases, may_overflow(line)
    merge = line.merge if takes.numbers else line.careful or line.merge
    read, counted, plus = half.READ[kind.source], getattr(np, kind.counts), expressions(kind)[1]

    def walk(arrays, tables, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        if watches:
            clear_overflow()
        x_all, y_all, marks_all, nodata, like, fill, least, period, met = arrays
        knobs, neutral = (like[1], like[2], like[3]), like[0]
        outer, leads, numbers, _, _, slabs_of_all = tables
        grid, g = read_grid(numbers, 0), rows.read_rows(numbers, GRID)
        lines, spare, sums, _, rows_at, taps = rows.parts_of((memory[0], memory[2]), g, of_phases)
        tally, spare_tally, tallies, _, _, _ = rows.parts_of((memory[1], memory[2]), g, of_phases)
        buffers = (lines, spare, sums), (tally, spare_tally, tallies)
        uses, wanted = (merge, read(nodata[0]), neutral, knobs, plus), (counted(least[0]), fill[0], knobs)
        place, tile_before, few = begin(grid, first), -1, False
        for _ in range(first, last):
            (x_at, y_at), (tile, band, lead, _, _) = located(grid, outer, leads, place), place
            left, n, start, low, count = rows.columns_of(g, tile)
            margin, begins = (low - start) * g.channels, x_at + low * g.channels
            if not of_squares and tile != tile_before and (margin > 0 or count < g.line):
                passes.fill(lines, neutral, g.line * g.block)
                passes.fill(tally, 0, g.line * g.block)
            x, marks = ahead(pointer(x_all), begins), ahead(pointer(marks_all), begins)
            y = ahead(pointer(y_all), y_at + left * g.channels)
            slabs, deep = ahead(pointer(slabs_of_all), leads[2, lead]), leads[3, lead]
            output, end = band * g.band, min((band + 1) * g.band, g.high)
            while output < end:
                row, top, bottom, repeat = rows.rows_of(g, output, end)
                high = rows.row_offsets(rows_at, g, slabs, deep, row, top, bottom)
                block, out = (high, repeat, margin, n, count), ahead(y, output * g.out_pitch)
                lack = reduce_rows(
                    uses, wanted, buffers, taps, g, x, marks, begins, period[0], rows_at, block, out
                )
                few, output = bool(few | lack), output + repeat
            place, tile_before = following(grid, place), tile
        if few:
            met[1] = 1
        if watches and overflowed():
            met[0] = 1

    name = f"present_{kind.along.__name__}_{kind.name}_{takes.name}"
    return jit.kernel(walk, f"{name}_{kind.source}_{line.dtype}_{kind.target}")


# Plans ---------------------------------------------------------------------------------------------------


class Beside(NamedTuple):
    """What a call has beside its input: None for what it has not."""

    where: Array | None
    weights: Array | None
    nodata: Any

    def marks(self, shape: tuple[int, ...], first: int) -> Array | None:
        """A mask of uint8, or weights, below 0 where elements are left out: C-contiguous.

        They are those of an input of a shape, whose `first` axes are not pooled. Leading axes along which
        they repeat are left out.
        """
        beside = [each for each in (self.where, self.weights) if each is not None]
        if not beside:
            return None
        given = [each if each.shape == shape else np.broadcast_to(each, shape) for each in beside]
        once = (0,) * min(first, *map(_repeated, given))
        found = given[-1][once]
        if self.weights is None:
            return np.ascontiguousarray(found).view(np.uint8)
        narrow = found.dtype == np.float32
        found = found.astype(np.float32 if narrow else np.float64, copy=False)
        found = found if self.where is None else np.where(given[0][once], found, found.dtype.type(-1))
        return np.ascontiguousarray(found)


def _repeated(array: Array) -> int:
    """How many leading axes an array repeats along."""
    each = zip(array.shape, array.strides, strict=True)
    return next((axis for axis, (n, step) in enumerate(each) if n > 1 and step), array.ndim)


class Plan(NamedTuple):
    """A kernel and its arguments but for the arrays of a call: as `tasks.Plan`, with what takes part."""

    kernel: Callable[..., Any]
    tables: tuple[Any, ...]
    like: Array
    memory: tuple[tuple[int, Any], ...]
    tasks: int
    work: int
    why: str
    weighs: bool
    row: int  # elements of a row, which must lie in one plane where that has the marks of all
    first: int  # the first axis that is pooled

    def run(self, x: Array, y: Array, beside: Beside, least: int, fill: Any) -> tuple[bool, bool]:
        """Reduce the windows of `x` to `y`, which is C-contiguous; those with too few elements get `fill`.

        With a mask or weights, `x` has C order. Returns whether sums overflowed, and whether there are
        windows with too few elements: fewer than `least`, or, with weights, of which none is above 0.
        """
        values, origin = flatten(raw(x))
        met, marks, period = np.zeros(2, np.int64), beside.marks(x.shape, self.first), 0
        if marks is not None and marks.size < x.size:  # those of one plane
            period = marks.size if marks.size >= self.row else 0
            marks = marks if period else np.tile(marks.ravel(), x.size // marks.size)
        listed = values if marks is None else flatten(marks)[0]
        sentinel = raw(np.array([0 if beside.nodata is None else beside.nodata], x.dtype))
        filling = raw(np.array([0 if fill is None else fill], y.dtype))
        wanted = np.array([least * TINY if self.weighs else least])
        own = sentinel, self.like, filling, wanted, np.array([period]), met
        arguments = (values, raw(y).ravel(), listed, *own), begun_at(origin, self.tables)
        threads.run(self.kernel, arguments, self.tasks, self.work, self.scratch)
        return bool(met[0]), bool(met[1])

    def scratch(self) -> tuple[tuple[Array, ...]]:
        """Memory for one thread."""
        return scratch_of(self.memory)

    def way(self) -> ways.Way:
        """What it says of itself."""
        return ways.of_kernel("present rows", self.why, self.tasks, self.work, "", self.scratch())


def chain(shape: Shape) -> int:
    """The longest chain of merges that an element goes through: four rows in a pass, three columns."""
    return 6 + shape.positions() // shape.columns.window // 4 + shape.columns.window // 3


def are_squares(r: Reduction) -> bool:
    """Two rows, at any stride, and two columns side by side, none in the padding."""
    row, columns = r.shape.row, r.shape.columns
    inside = not row.padded() and not columns.padded()
    return inside and row.window == 2 and r.shape.slabs() == 1 and are_pairs(r)


def are_pairs(r: Reduction) -> bool:
    """Two elements side by side."""
    return rows.are_cells(r) and r.shape.columns.window == 2


ALONG = (
    (are_squares, squares),
    (are_pairs, passes.pair),
    (rows.are_ones, rows.ones),
    (rows.are_cells, rows.cells),
    (rows.are_phases, rows.phases),
    (rows.are_channels, rows.channels),
    (rows.are_picked, rows.picked),
)
WHY = "what is left out is the neutral element; a second line counts what takes part, or adds its weights"


def plan(r: Reduction, takes: Takes, counts: str, first: int) -> Plan | None:
    """How to reduce windows of what takes part; None where no way along lines fits."""
    along = next((way for fits, way in ALONG if fits(r)), None)
    if along is None:
        return None
    row, columns, cut = r.shape.row, r.shape.columns, rows.Cut.of(r)
    tiles, each = -(-columns.outputs // cut.width), columns.size * r.shape.channels * row.stride
    band = min(row.outputs, max(cut.block, r.limits.task // each))
    block, kept_lines = (band, 0) if along is squares else (cut.block, cut.memory)
    numbers = rows.numbers_of(r, width=cut.width, band=band, block=block, line=cut.line)
    kept = max(len(lead.slabs) for lead in r.leads) * row.window
    memory = (kept_lines, r.line.dtype), (kept_lines, counts), (kept + columns.window, np.int64)
    kind = Kind(r.name, along, r.line, takes, counts, r.source, r.target)
    made = r.plan(partial(_kernel, kind), numbers, (-(-row.outputs // band), tiles))
    length = columns.size * r.shape.channels
    about = made.tasks, r.work, WHY, takes.weighs, length, first
    return Plan(made.kernel, made.tables, r.like, memory, *about)


def _kernel(kind: Kind, *, careful: bool) -> Callable[..., Any]:
    """As `kernel`, which is always careful."""
    return kernel(kind)


def counts_of(line: Line, positions: int, takes: Takes) -> str:
    """The dtype of counts beside a line: as long as its values, or longer where windows are too large.

    Floats count in floats, whose sums and quotients need no conversion. What a mask of bytes lists is counted
    in numbers as short as they can be, of which a register holds the more.
    """
    if line.dtype.startswith("float") and not takes.masked:
        return line.dtype
    least = 1 if takes.masked else line.itemsize
    fits = [size for size in COUNTS if size >= least and positions <= np.iinfo(COUNTS[size]).max]
    return COUNTS[fits[0]]


jit.register(__name__, passes="apart")
