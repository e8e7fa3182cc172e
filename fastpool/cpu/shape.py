"""Regular windows in numbers: planes of rows and columns, with channels behind them and slabs before."""

import math
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import windows
from ..windows import Axis, Geometry, Integers
from .memory import Runs, c_strides, runs, steps

Array = NDArray[Any]

DEEP = 64  # channels, from which planes that are one window stay apart
WIDE = 150  # elements of a window of a single axis with its channels, beyond which these are columns
WIDER = 30_000  # the same of several axes
FEWEST_COLUMNS = 16  # of these
MANY = 32  # elements of a large window
PIECE, LEAST = 256, 63  # elements of the pieces of a long row
SHORT = 128  # bytes of the longest rows that merge plane by plane; an element counts as four at least
TABLED = 4_096  # rows of all windows down a plane, of which there is a table
FEW = 8  # elements of a cell, from which on rows stay apart
FEWEST, IN_CACHE = 4, 64_000  # planes at least, and elements of all of them
TALL = 4_096  # outputs of a column of the tallest planes that are taken as one


class Regular(NamedTuple):
    """A regular axis in numbers; the pitches are distances of its elements in input, output and indices."""

    size: int
    outputs: int
    window: int
    stride: int
    before: int
    step: int
    pitch: int
    out_pitch: int
    place: int

    @classmethod
    def of(cls, table: Axis, pitch: int, out_pitch: int, place: int) -> "Regular | None":
        """None where the axis is not regular."""
        if table.regular is None:
            return None
        window, stride, before = table.regular
        stride = window if len(table) == 1 else stride
        return cls(table.size, len(table), window, stride, before, table.step, pitch, out_pitch, place)

    def whole(self) -> bool:
        """Whether there is one window, of every element."""
        every = self.window == self.size and (self.step == 1 or self.size == 1)
        return self.outputs == 1 and every and self.before == 0

    def padded(self) -> bool:
        """Whether a window reaches out of the axis."""
        return self.before > 0 or (self.outputs - 1) * self.stride + self.span > self.size

    def centred(self) -> bool:
        """Whether there is a window around every element, of neither one nor an even number."""
        half, odd = self.window // 2, self.window % 2 == 1
        alike = self.stride == 1 and self.outputs == self.size and self.before == half * self.step
        return alike and odd and 1 <= half <= self.size

    def cells(self) -> bool:
        """Whether windows lie side by side and cover the axis."""
        fits = self.window == self.stride and self.step == 1 and self.before == 0
        return fits and self.outputs * self.stride == self.size

    def groups(self, columns: "Regular", itemsize: int) -> bool:
        """Whether windows are large and share little: then `whole.py` merges their elements in groups."""
        size, shared = self.outputs * self.window * columns.outputs * columns.window, 1 + (itemsize > 1)
        return self.window * columns.window >= MANY and size <= shared * self.size * columns.size

    def parts(self, height: int) -> tuple[list[int], Integers, Integers]:
        """The outputs in runs of `height`: how many there are of each shape; each run's shape, and its first.

        Runs of one shape have as many outputs, inputs and padding.
        """
        first = np.arange(0, self.outputs, height)
        last = np.minimum(first + height, self.outputs)
        start, stop = first * self.stride - self.before, (last - 1) * self.stride - self.before + self.span
        low, high = np.maximum(start, 0), np.minimum(stop, self.size)
        shapes = np.stack([last - first, start - low, high - low, stop - high], 1)
        usual = shapes[len(first) // 2]
        kinds: dict[Any, int] = {tuple(usual.tolist()): 0}
        kind = np.zeros(len(first), np.int64)
        for run in np.flatnonzero((shapes != usual).any(1)):
            kind[run] = kinds.setdefault(tuple(shapes[run].tolist()), len(kinds))
        return [count for count, *_ in kinds], kind, first

    @property
    def span(self) -> int:
        """Distance from a window's first element to behind its last."""
        return (self.window - 1) * self.step + 1


def _settled(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of which those of axes of one element, which may be anything, are those of C order."""
    found: list[int] = []
    for n, stride in zip(reversed(shape), reversed(strides), strict=True):
        behind = shape[len(shape) - len(found)] * found[-1] if found else 1
        found.append(stride if n != 1 else behind)
    return tuple(reversed(found))


def _folded(row: Regular, columns: Regular) -> tuple[Regular, Regular]:
    """A long row that is one window as a plane of shorter ones, where it has such parts."""
    length = next((n for n in range(PIECE, LEAST, -1) if columns.size % n == 0), columns.size)
    size = columns.size // length
    if size == 1:
        return row, columns
    parts = Regular(size, 1, size, size, 0, 1, length, 1, length)
    return parts, Regular(length, 1, length, length, 0, 1, 1, 1, 1)


class Lead(NamedTuple):
    """A leading output: where its first slab and its result begin, and its slabs.

    Of each slab: how far it is from the first, in memory and in the plane, and the tap that its first element
    is, where all leading axes are regular.
    """

    first: int
    out: int
    slabs: tuple[tuple[int, int], ...]
    place: int
    taps: tuple[int, ...]


class Shape(NamedTuple):
    """A geometry as planes of rows and columns, with channels behind and slabs before them.

    The last two pooled axes are the rows and the columns of a plane; with one pooled axis a plane is a row.
    Axes behind them are the channels of a column. Of further pooled axes, which are the leading ones, each
    position is a slab: a window's slabs are planes that merge. `outer` has the planes of all other axes.
    `plane` keeps the lengths of the pooled axes as they were, whatever is rewritten; `tables` may get one for
    the channels.
    """

    outer: Runs
    channels: int
    row: Regular
    columns: Regular
    leading: tuple[tuple[Axis, int, int], ...]
    plane: tuple[int, ...]
    tables: tuple[Axis, ...]
    itemsize: int

    @classmethod
    def of(cls, x: Array, geometry: Geometry, *, placed: bool) -> "Shape | None":
        """The planes of an array, written so that there are few and their rows are long.

        None where rows are not contiguous, or an axis is not regular. `placed` says that chosen elements are
        wanted too. What is rewritten, in this order, with an example:

        ======================= ========================== ===============================================
        step                    array and windows          becomes
        ======================= ========================== ===============================================
        `_channels_as_columns`  (365, 512, 512), 7 of      rows: 365, windows of 7; columns: 262,144,
                                axis 0                     windows of 1; no channels
        `_plane_as_row`         (64, 2048, 7, 7), 7x7      a row of 49, one window
        `_planes_as_one`        (8, 64, 112, 112), 2x2     one plane of 57,344 rows of 112
        `_rows_as_one`          (1000, 3), all of axis 1   one row of 3,000, windows side by side
        ======================= ========================== ===============================================
        """
        axes, tables, plane = geometry.axes, geometry.tables, geometry.plane
        strides = _settled(x.shape, steps(x))
        first, last = axes[0], axes[-1]
        if axes != tuple(range(first, last + 1)) or strides[last:] != c_strides(x.shape)[last:]:
            return None
        if min(strides) < 0 or any(table.fewest < 1 for table in tables):  # inverse ones may be empty
            return None
        out_strides, channels = c_strides(geometry.output_shape), math.prod(x.shape[last + 1 :])
        columns = Regular.of(tables[-1], channels, channels, 1)
        row: Regular | None = Regular(1, 1, 1, 1, 0, 1, plane[-1] * channels, len(tables[-1]) * channels, 0)
        if len(axes) > 1:
            row = Regular.of(tables[-2], strides[last - 1], out_strides[last - 1], plane[-1])
        if columns is None or row is None:
            return None
        outer = runs(geometry.output_shape, (strides, out_strides), range(first))
        leading = tuple(zip(tables[:-2], strides[first:], out_strides[first:], strict=False))
        shape = cls(outer, channels, row, columns, leading, plane, tables, x.itemsize)
        shape = shape._channels_as_columns(placed=placed)
        if shape.leading or strides != c_strides(x.shape):
            return shape
        return shape._plane_as_row(placed=placed)._planes_as_one()._rows_as_one(placed=placed)

    def _channels_as_columns(self, *, placed: bool) -> "Shape":
        """Where there are many, and windows are none that `whole.py` takes as groups."""
        row, columns, channels, single = self.row, self.columns, self.channels, len(self.tables) == 1
        grouped = not (placed or self.leading) and row.groups(columns, self.itemsize)
        narrow = channels < FEWEST_COLUMNS or columns.span * channels <= (WIDE if single else WIDER)
        if narrow or grouped:
            return self
        slabs = () if single else ((self.tables[-2], row.pitch, row.out_pitch),)
        return self._replace(
            row=columns,
            columns=Regular(channels, channels, 1, 1, 0, 1, 1, 1, 0),
            channels=1,
            leading=(*self.leading, *slabs),
            tables=(*self.tables, windows.sliding(channels, 1, 1, 0, 0)),
        )

    def _plane_as_row(self, *, placed: bool) -> "Shape":
        """Where it is one window; a long row whose chosen element is wanted becomes a plane."""
        row, columns = self.row, self.columns
        if self.channels > 1 or not (row.whole() and columns.whole()):
            return self
        if placed and row.size == 1:
            row, columns = _folded(row, columns)
        size = row.size * columns.size
        if row.size > 1 and (not placed or size <= PIECE):
            columns = Regular(size, 1, size, size, 0, 1, 1, 1, 1)
            row = Regular(1, 1, 1, 1, 0, 1, size, 1, 0)
        return self._replace(row=row, columns=columns)

    def _planes_as_one(self) -> "Shape":
        """Where windows stay within their plane."""
        row, planes = self.row, len(self.outer)
        apart = row.whole() and self.columns.whole() and self.channels >= DEEP
        if not row.cells() or apart or row.outputs > TALL:
            return self
        row = row._replace(size=planes * row.size, outputs=planes * row.outputs)
        return self._replace(row=row, outer=runs((), ((), ()), ()))

    def _rows_as_one(self, *, placed: bool) -> "Shape":
        """Where windows are short cells of single rows."""
        row, columns = self.row, self.columns
        short = columns.cells() and columns.window < FEW and self.channels == 1
        if placed or not short or not row.window == row.stride == 1:
            return self
        size, outputs = row.size * columns.size, row.outputs * columns.outputs
        columns = columns._replace(size=size, outputs=outputs)
        return self._replace(row=Regular(1, 1, 1, 1, 0, 1, size, outputs, 0), columns=columns)

    def slabs(self) -> int:
        """Slabs of the largest window."""
        return math.prod(table.most for table, _, _ in self.leading)

    def positions(self) -> int:
        """Elements of the largest window, channels not counted."""
        return int(self.row.window * self.columns.window * self.slabs())

    @property
    def by_planes(self) -> bool:
        """Whether planes are the rows, as `across_planes` makes it."""
        return len(self.leading) == len(self.tables) - 1 > 0

    def across_planes(self, near: int) -> "Shape":
        """With planes as rows and their rows as slabs, where rows are short: `near` elements at a time."""
        row, columns, outer = self.row, self.columns, self.outer
        length, (x_step, y_step) = columns.size * self.channels, outer.steps
        single = len(self.tables) == 1 or self.by_planes or row.outputs != len(self.tables[-2])
        most = min(outer.length, near // length, IN_CACHE // (row.size * length))
        block = next((n for n in range(most, FEWEST - 1, -1) if outer.length % n == 0), 0)
        slabs = row.outputs * row.window * math.prod(len(table) for table, _, _ in self.leading)
        long = length * max(4, self.itemsize) > SHORT or slabs > TABLED
        if single or long or not block:
            return self
        return self._replace(
            outer=Runs(outer.begins, outer.length // block, (block * x_step, block * y_step)),
            row=Regular(block, block, 1, 1, 0, 1, x_step, y_step, 0),
            leading=(*self.leading, (self.tables[-2], row.pitch, row.out_pitch)),
        )

    def leads(self) -> list[Lead]:
        """The slabs that each leading output covers."""
        found, tables = [], [table for table, _, _ in self.leading]
        windows_of = [table.regular or (table.most, 0, 0) for table in tables]
        inner = self.row.window * self.columns.window
        sizes = [math.prod((inner, *(k for k, _, _ in windows_of[n:]))) for n in range(1, len(tables) + 1)]
        pitches = [math.prod(self.plane[axis + 1 :]) for axis in range(len(tables))]
        written = [table.at(0, len(table)).tolist() for table in tables]
        for outputs in product(*(range(len(table)) for table in tables)):
            axes, out = [], 0
            each = zip(self.leading, written, windows_of, pitches, sizes, outputs, strict=True)
            for (table, stride, out_stride), (los, counts, _), (_, further, before), pitch, size, o in each:
                lo, step = los[o], table.step
                tap = (lo - (o * further - before)) // step  # those before it are in the padding
                at = [(lo + t * step, tap + t) for t in range(counts[o])]
                axes.append([(element * stride, element * pitch, tap * size) for element, tap in at])
                out += o * out_stride
            slabs = [tuple(map(sum, zip((0, 0, 0), *slab, strict=True))) for slab in product(*axes)]
            first, place, _ = slabs[0]
            near = tuple((offset - first, further - place) for offset, further, _ in slabs)
            found.append(Lead(first, out, near, place, tuple(tap for _, _, tap in slabs)))
        return found
