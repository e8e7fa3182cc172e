"""Median, quantile and mode of large windows of 8- and 16-bit values: histograms that slide.

Every column of the input has a histogram of the rows that windows cover, which moves down a row by one
addition and one subtraction; a window's histogram is the sum of its columns' and moves along by adding one
column and subtracting another, so its cost does not depend on the window's height (Perreault and Hebert,
"Median Filtering in Constant Time", 2007). A rank is found in 16 coarse counters first, and of the fine ones
only the 16 that it falls in are brought up to date. For ranks all counters are sums from the left, of which
one comparison of vectors tells how many are below. Tasks are stripes whose columns stay in cache.

Of 16-bit values columns have no histograms: 65536 counters each would be more than a cache. The window's own
moves along by the elements that leave and enter, so that its cost grows with the window's height alone
(Huang, Yang and Tang, "A Fast Two-Dimensional Median Filtering Algorithm", 1979); ranks are found in counters
of three levels.
"""

# ruff: noqa: D103 - counters and rows are what their names say
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

import math
from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from .. import jit, threads, ways
from ..windows import Axis, Geometry, Integers, adaptive
from .memory import ahead, c_strides, flatten, offsets, peek, pointer, poke, raw, wide_registers

Array = NDArray[Any]

BINS = 16  # coarse counters, and fine ones in each of them
STRIPE = 512  # columns of a task beside its last window: their histograms take 280 kB of the cache
WIDEST = 4_096  # columns of a window, whose histograms take 2 MB a thread
SHARED = 4  # windows that a column or row is in, below which selecting in each window is faster
ROWS = 4  # rows of a task, in windows' heights: at the first of them histograms are made anew
MOST = 2**16 - 1  # what a counter holds

OUTPUTS, PITCH, OUT_PITCH = range(3)  # of an axis: its windows, and distances in elements


# Counters ------------------------------------------------------------------------------------------------


def clear(counters, count):
    for i in range(count):
        poke(counters, i, 0)


def _counters(builder: Any, place: Any) -> Any:
    """A pointer to a counter as one to `BINS` of them, in a vector."""
    return builder.bitcast(place, ir.VectorType(ir.IntType(16), BINS).as_pointer())


def _changing(operation: str) -> Any:
    """Change `BINS` counters in one instruction; a loop would be unrolled before it is made a vector."""

    @intrinsic
    def change(typing_context, total, counters):
        def generate(context, builder, signature, arguments):
            into, source = (_counters(builder, place) for place in arguments)
            found = getattr(builder, operation)(builder.load(into, align=2), builder.load(source, align=2))
            builder.store(found, into, align=2)
            return context.get_dummy_value()

        return types.void(total, counters), generate

    return change


add, subtract = _changing("add"), _changing("sub")


@intrinsic
def count_up_to(typing_context, counters, rank):
    """How many of `BINS` counters are not above a number: in sums, which of them the rank falls in."""

    def generate(context, builder, signature, arguments):
        vector, lanes = ir.VectorType(ir.IntType(16), BINS), ir.IntType(BINS)
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), arguments[1], ir.IntType(32)(0))
        spread = ir.Constant(ir.VectorType(ir.IntType(32), BINS), [0] * BINS)
        ranks = builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), spread)
        found = builder.load(_counters(builder, arguments[0]), align=2)
        below = builder.bitcast(builder.icmp_unsigned("<=", found, ranks), lanes)
        return builder.zext(builder.ctpop(below), ir.IntType(64))

    return types.int64(counters, types.uint16), generate


def count_row(x, coarse, fine, columns, pitch, flip, marks):
    """Count the elements of a row in the histograms of their columns.

    `marks` are what counting in each of the bins adds: ones from it on for histograms that are summed up, or
    just one; for a row that is to count no longer their negatives.
    """
    for column in range(columns):
        value = np.int64(np.uint8(peek(x, column * pitch))) ^ flip
        add(ahead(coarse, column * BINS), ahead(marks, (value >> 4) * BINS))
        add(ahead(fine, ((value >> 4) * columns + column) * BINS), ahead(marks, (value & 15) * BINS))


def slide(total, columns, begin, end, to_begin, to_end):
    """Make the sum over columns ``begin..end`` that over others, anew where that is less to add."""
    if to_begin - begin + to_end - end >= to_end - to_begin:
        clear(total, BINS)
        begin = end = to_begin
    for column in range(begin, to_begin):
        subtract(total, ahead(columns, column * BINS))
    for column in range(end, to_end):
        add(total, ahead(columns, column * BINS))


# A row of windows: their results, once their columns' histograms are there --------------------------------


def rank_row(y, coarse, fine, sums, reached, table, first, last, rows, inputs, pitch, params, flip):
    """The lower element at a quantile."""
    column0 = table[0, first]
    clear(sums, BINS * (BINS + 1))
    for segment in range(BINS + 1):
        reached[segment, 0] = reached[segment, 1] = 0
    for output in range(first, last):
        begin = table[0, output] - column0
        end = begin + table[1, output]
        slide(sums, coarse, reached[BINS, 0], reached[BINS, 1], begin, end)
        reached[BINS, 0], reached[BINS, 1] = begin, end
        rank = np.int64(params[0] * (rows * (end - begin) - 1))
        segment = count_up_to(sums, np.uint16(rank))
        before = np.int64(peek(sums, segment - 1)) if segment > 0 else 0
        own = ahead(sums, (segment + 1) * BINS)
        columns = ahead(fine, segment * inputs * BINS)
        slide(own, columns, reached[segment, 0], reached[segment, 1], begin, end)
        reached[segment, 0], reached[segment, 1] = begin, end
        value = count_up_to(own, np.uint16(rank - before))
        poke(y, output * pitch, (segment * BINS + value) ^ flip)


def mode_row(y, coarse, fine, sums, reached, table, first, last, rows, inputs, pitch, params, flip):
    """The most frequent value, but for the one at ``params[1]`` if there is one."""
    column0 = table[0, first]
    clear(sums, BINS * BINS)
    begin = end = 0
    for output in range(first, last):
        to_begin = table[0, output] - column0
        to_end = to_begin + table[1, output]
        for segment in range(BINS):
            columns = ahead(fine, segment * inputs * BINS)
            slide(ahead(sums, segment * BINS), columns, begin, end, to_begin, to_end)
        begin, end = to_begin, to_end
        ignored = np.int64(params[1])
        kept = peek(sums, max(ignored, 0))
        if ignored >= 0:
            poke(sums, ignored, 0)
        longest = peek(sums, 0)
        for value in range(BINS * BINS):
            longest = max(longest, peek(sums, value))
        value = 0
        while peek(sums, value) != longest:
            value += 1
        poke(sums, max(ignored, 0), kept)
        poke(y, output * pitch, (value if longest > 0 else ignored) ^ flip)


# The kernel ----------------------------------------------------------------------------------------------


@cache
def _kernel(name: str) -> Callable[..., None]:
    """The kernel for "lower" or "mode".

    A task is a stripe of columns of some rows of windows. For each row of windows a column pass reads the
    rows that enter and the rows that leave: each element twice, each time with two vectors of counters read
    and written. A row pass adds and takes back counters of columns, and writes each result once. Tasks side
    by side both read their halo.
    """
    reduce_row = mode_row if name == "mode" else rank_row
    digest = jit.source_digest()

    def walk(arrays, outer, leads, slabs, tables, axes, cuts, marks, params, scratch, reached, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        x_all, y_all, origin = arrays
        row_table, column_table = tables
        rows, columns = axes
        stripes, width, chunks, height, flip = cuts
        more, less = pointer(marks), ahead(pointer(marks), BINS * BINS)
        coarse, fine, sums = pointer(scratch[0]), pointer(scratch[1]), pointer(scratch[2])
        for task in range(first, last):
            chunk, rest = task % chunks, task // chunks
            stripe, rest = rest % stripes, rest // stripes
            lead, unit = rest % leads.shape[0], rest // leads.shape[0]
            left = stripe * width
            right = min(left + width, columns[OUTPUTS])
            column = column_table[0, left]
            inputs = column_table[0, right - 1] + column_table[1, right - 1] - column
            x = ahead(pointer(x_all), origin + outer[0, unit] + column * columns[PITCH])
            y = ahead(pointer(y_all), outer[1, unit] + leads[lead, 0])
            begin = end = 0
            for row in range(chunk * height, min((chunk + 1) * height, rows[OUTPUTS])):
                to_begin = row_table[0, row]
                to_end = to_begin + row_table[1, row]
                if to_begin >= end:
                    clear(coarse, inputs * BINS)
                    clear(fine, inputs * BINS * BINS)
                    begin = end = to_begin
                for slab in range(leads[lead, 1], leads[lead, 2]):
                    plane = ahead(x, slabs[slab])
                    for i in range(begin, to_begin):
                        line = ahead(plane, i * rows[PITCH])
                        count_row(line, coarse, fine, inputs, columns[PITCH], flip, less)
                    for i in range(end, to_end):
                        line = ahead(plane, i * rows[PITCH])
                        count_row(line, coarse, fine, inputs, columns[PITCH], flip, more)
                begin, end = to_begin, to_end
                high = (end - begin) * (leads[lead, 2] - leads[lead, 1])
                out = ahead(y, row * rows[OUT_PITCH])
                window = (column_table, left, right, high, inputs, columns[OUT_PITCH])
                reduce_row(out, coarse, fine, sums, reached, *window, params, flip)

    return jit.kernel(walk, f"histograms_{name}")


# 16-bit values -------------------------------------------------------------------------------------------

WORDS = 2**16
LEVELS = (12, 6, 0)  # bits that counters of the coarsest, the middle and the finest level leave out
TOP, MIDDLE = WORDS >> LEVELS[0], WORDS >> LEVELS[1]


def count_column(x, counters, slabs, begin, end, first, last, pitch, flip, change):
    """Count the elements of a window's column `change` times more."""
    top, middle, fine = counters, ahead(counters, TOP), ahead(counters, TOP + MIDDLE)
    for slab in range(begin, end):
        for row in range(first, last):
            value = np.int64(np.uint16(peek(x, peek(slabs, slab) + row * pitch))) ^ flip
            poke(top, value >> LEVELS[0], peek(top, value >> LEVELS[0]) + change)
            poke(middle, value >> LEVELS[1], peek(middle, value >> LEVELS[1]) + change)
            poke(fine, value, peek(fine, value) + change)


def value_at(counters, rank):
    """The value of a rank: its place level by level, each a part of the one before."""
    place, start = 0, 0
    for level in LEVELS:
        own = ahead(counters, start)
        while peek(own, place) <= rank:
            rank -= peek(own, place)
            place += 1
        start += WORDS >> level
        place = place << 6 if level else place
    return place


@cache
def _words() -> Callable[..., None]:
    """The kernel for the lower element of 16-bit values.

    A task is a row of windows. One pass along it reads the columns that enter a window and those that leave:
    each element twice for each row of windows that covers it, each time with three counters read and written.
    A result reads up to 144 counters, and is written once.
    """
    digest = jit.source_digest()

    def walk(arrays, outer, leads, slabs, tables, axes, flip, q, counters_all, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        x_all, y_all, origin = arrays
        row_table, column_table = tables
        rows, columns = axes
        counters = pointer(counters_all)
        for task in range(first, last):
            row, rest = task % rows[OUTPUTS], task // rows[OUTPUTS]
            lead, unit = rest % leads.shape[0], rest // leads.shape[0]
            x = ahead(pointer(x_all), origin + outer[0, unit])
            y = ahead(pointer(y_all), outer[1, unit] + leads[lead, 0] + row * rows[OUT_PITCH])
            top, bottom = row_table[0, row], row_table[0, row] + row_table[1, row]
            window = (pointer(slabs), leads[lead, 1], leads[lead, 2], top, bottom, rows[PITCH], flip)
            high = (bottom - top) * (leads[lead, 2] - leads[lead, 1])
            begin, end = 0, 0
            for output in range(columns[OUTPUTS]):
                to_begin = column_table[0, output]
                to_end = to_begin + column_table[1, output]
                for column in range(begin, min(end, to_begin)):
                    count_column(ahead(x, column * columns[PITCH]), counters, *window, -1)
                for column in range(max(end, to_begin), to_end):
                    count_column(ahead(x, column * columns[PITCH]), counters, *window, 1)
                begin, end = to_begin, to_end
                value = value_at(counters, np.int64(q * (high * (end - begin) - 1)))
                poke(y, output * columns[OUT_PITCH], value ^ flip)
            for column in range(begin, end):
                count_column(ahead(x, column * columns[PITCH]), counters, *window, -1)

    return jit.kernel(walk, "histograms_words")


jit.register(__name__, forceinline=False)


# Plans ---------------------------------------------------------------------------------------------------


class Histograms(NamedTuple):
    """A kernel and its arguments but for the arrays of a call."""

    walk: Callable[..., None]
    arguments: tuple[Any, ...]
    inputs: int
    tasks: int
    work: int

    def run(self, x: Array, y: Array) -> None:
        """Reduce every window of `x`, which is contiguous from the last pooled axis on, into `y`."""
        flat, origin = flatten(raw(x))
        arrays = flat, raw(y).reshape(-1), origin
        threads.run(self.walk, (arrays, *self.arguments), self.tasks, self.work, self.scratch)

    def scratch(self) -> tuple[tuple[Array, ...], Integers]:
        """The histograms of the columns, sums of them, and over which columns those reach."""
        sizes = (self.inputs * BINS, self.inputs * BINS * BINS, BINS * (BINS + 1))
        return tuple(np.zeros(size, np.uint16) for size in sizes), np.zeros((BINS + 1, 2), np.int64)

    def way(self) -> ways.Way:
        """What it says of itself."""
        why = "large windows of 8-bit values that overlap: what they count slides along"
        cut = "blocks of windows"
        return ways.of_kernel("histograms", why, self.tasks, self.work, cut, self.scratch())


class Words(NamedTuple):
    """As `Histograms`, of 16-bit values."""

    walk: Callable[..., None]
    arguments: tuple[Any, ...]
    tasks: int
    work: int

    def run(self, x: Array, y: Array) -> None:
        """As `Histograms.run`."""
        flat, origin = flatten(raw(x))
        arrays = flat, raw(y).reshape(-1), origin
        threads.run(self.walk, (arrays, *self.arguments), self.tasks, self.work, self.scratch)

    def scratch(self) -> tuple[Array]:
        """The counters of one window."""
        return (np.zeros(TOP + MIDDLE + WORDS, np.int32),)

    def way(self) -> ways.Way:
        """What it says of itself."""
        why = "large windows of 16-bit values that overlap: what a window counts moves along a row"
        cut = "rows of windows"
        return ways.of_kernel("histograms of 16 bits", why, self.tasks, self.work, cut, self.scratch())


def plan(
    name: str, dtype: np.dtype[Any], strides: tuple[int, ...], geometry: Geometry, params: NDArray[np.float64]
) -> Histograms | None:
    """How to reduce 8-bit arrays with these strides, in elements; None where histograms do not fit.

    Parameters
    ----------
    name : {"lower", "mode"}
    params : ndarray of float64
        The quantile; or for a mode 0 and the bits of the value to ignore, -1 if there is none.
    """
    elements = math.prod(table.most for table in geometry.tables)
    if not _slides(geometry) or elements > MOST or any(table.step > 1 for table in geometry.tables[-2:]):
        return None
    frame, rows, columns = _frame(geometry, strides)
    outer, leads = frame[0], frame[1]
    stripe = max(1, STRIPE // _pace(columns))
    lefts = np.arange(0, len(columns), stripe)
    ends = columns.lo + columns.count
    inputs = int((ends[np.minimum(lefts + stripe, len(columns)) - 1] - columns.lo[lefts]).max())
    height = max(ROWS * rows.most, 1)
    chunks = -(-len(rows) // height)
    flip = 128 if dtype == np.int8 else 0
    cuts = (lefts.size, stripe, chunks, height, flip)
    marks = np.eye(BINS, dtype=np.uint16) if name == "mode" else np.triu(np.ones((BINS, BINS), np.uint16))
    given = np.array([params[0], params[1] if params.size > 1 else -1])
    arguments = (*frame, cuts, np.stack([marks, 0 - marks]).ravel(), given)
    tasks = outer.shape[1] * len(leads) * lefts.size * chunks
    work = outer.shape[1] * len(leads) * len(rows) * len(columns) * BINS
    return Histograms(_kernel(name), arguments, inputs, tasks, work)


def plan_words(dtype: np.dtype[Any], strides: tuple[int, ...], geometry: Geometry, q: float) -> Words | None:
    """How to find the lower element at a quantile in 16-bit arrays; as `plan`."""
    if not _slides(geometry) or any(table.step > 1 for table in geometry.tables[-2:]):
        return None
    frame, rows, columns = _frame(geometry, strides)
    flip = WORDS >> 1 if dtype.kind == "i" else 0
    tasks = frame[0].shape[1] * len(frame[1]) * len(rows)
    work = tasks * columns.total * rows.most
    return Words(_words(), (*frame, flip, q), tasks, work)


def _pace(table: Axis) -> int:
    """The mean distance between windows, in elements."""
    return max(1, int(table.lo[-1] - table.lo[0]) // max(1, len(table) - 1))


def _slides(geometry: Geometry) -> bool:
    """Whether windows share enough of their elements, and are not too wide."""
    shared = [table.most // _pace(table) for table in geometry.tables[-2:]]
    return max(shared) >= SHARED and geometry.tables[-1].most <= WIDEST


def _frame(geometry: Geometry, strides: tuple[int, ...]) -> tuple[tuple[Any, ...], Axis, Axis]:
    """Offsets, tables and pitches that kernels take, and the tables of rows and columns."""
    shape, axes, tables = geometry.output_shape, geometry.axes, geometry.tables
    out_strides = c_strides(shape)
    rows, row_pitches = adaptive(1, 1), (1, 0, 0)
    if len(axes) > 1:
        rows, row_pitches = tables[-2], (len(tables[-2]), strides[axes[-2]], out_strides[axes[-2]])
    columns = tables[-1]
    column_pitches = len(columns), strides[axes[-1]], out_strides[axes[-1]]
    outer = offsets(shape, (strides, out_strides), [axis for axis in range(len(shape)) if axis not in axes])
    pair = tuple(np.ascontiguousarray(axis.at(0, len(axis))[:2]) for axis in (rows, columns))
    return (
        (outer, *_leads(geometry, strides, out_strides), pair, (row_pitches, column_pitches)),
        rows,
        columns,
    )


def _leads(
    geometry: Geometry, strides: tuple[int, ...], out_strides: tuple[int, ...]
) -> tuple[Integers, Integers]:
    """Of each output along the axes before rows its offset and where its slabs begin and end; the slabs."""
    leading = list(zip(geometry.axes, geometry.tables, strict=True))[:-2]
    written = [table.at(0, len(table)) for _, table in leading]
    leads: list[tuple[int, int, int]] = []
    slabs: list[Integers] = []
    for outputs in product(*(range(len(table)) for _, table in leading)):
        taps, out = np.zeros(1, np.int64), 0
        for (axis, table), (los, counts, _), output in zip(leading, written, outputs, strict=True):
            lo, count = los[output], counts[output]
            own = (lo + np.arange(count) * table.step) * strides[axis]
            taps = np.add.outer(taps, own).reshape(-1)
            out += output * out_strides[axis]
        begin = sum(own.size for own in slabs)
        leads.append((out, begin, begin + taps.size))
        slabs.append(taps)
    return np.array(leads, np.int64), np.concatenate(slabs)
