"""Which kernel reduces a geometry, and the numbers that it needs."""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import operators, threads
from ..operators import Line, Operator
from ..windows import Axis, Geometry, Integers
from . import lines
from .memory import c_strides, flatten, offsets, raw, storage

Array = NDArray[Any]

WORTHWHILE = 20_000  # elements of input; fewer are done by the general skeleton before these kernels compile
NEAR = 6_000  # elements of merged rows that a direct block keeps in the first-level cache
FAR = 60_000  # and at most, where fewer rows would read much of the input twice
TILE = 60_000  # elements of a doubling tile, three of which stay in the second-level cache
DIRECT = 4  # longest window that is merged element by element where windows overlap much
LONGEST = 16  # longest window that is merged element by element at all
WHOLE = 1024  # and where the window is the whole line


class Regular(NamedTuple):
    """A regular axis in numbers; the pitches are distances between its elements in input and output."""

    size: int
    outputs: int
    window: int
    stride: int
    before: int
    step: int
    pitch: int
    out_pitch: int
    begin: int  # outputs from here on ...
    end: int  # ... to here have whole windows

    @classmethod
    def of(cls, table: Axis, pitch: int, out_pitch: int) -> "Regular | None":
        """None where the table is not regular."""
        if table.regular is None:
            return None
        window, stride, before = table.regular
        begin = min(len(table), -(-before // stride))
        end = (table.size - 1 - (window - 1) * table.step + before) // stride + 1
        end = max(begin, min(len(table), end))
        return cls(table.size, len(table), window, stride, before, table.step, pitch, out_pitch, begin, end)

    def whole(self) -> bool:
        """Whether there is one window, of every element."""
        return self.outputs == 1 and self.window == self.size and self.before == 0

    def overlaps(self) -> bool:
        """Whether doubling is cheaper than merging each window's elements."""
        return self.outputs > 1 and self.window > DIRECT and self.stride * 3 <= self.window


class Shape(NamedTuple):
    """A geometry as planes of rows and columns, with channels behind and slabs before them."""

    outer: Integers
    channels: int
    row: Regular
    columns: Regular
    leading: tuple[tuple[Axis, int, int], ...]

    @classmethod
    def of(cls, x: Array, geometry: Geometry) -> "Shape | None":
        """None where rows are not contiguous, or an axis is not regular."""
        axes, tables = geometry.axes, geometry.tables
        strides = tuple(stride // x.itemsize for stride in x.strides)
        last = axes[-1]
        together = axes == tuple(range(axes[0], last + 1))
        if not together or strides[last:] != c_strides(x.shape)[last:] or min(strides) < 0:
            return None
        out_strides = c_strides(geometry.output_shape)
        channels = math.prod(x.shape[last + 1 :])
        columns = Regular.of(tables[-1], channels, channels)
        row: Regular | None = Regular(1, 1, 1, 1, 0, 1, 0, 0, 0, 1)
        if len(axes) > 1:
            row = Regular.of(tables[-2], strides[last - 1], out_strides[last - 1])
        if columns is None or row is None:
            return None
        if (
            len(axes) <= 2
            and channels == 1
            and strides == c_strides(x.shape)
            and row.whole()
            and columns.whole()
        ):
            # Whole planes: a row each, of one window.
            planes, size = x.size // (row.size * columns.size), row.size * columns.size
            row = Regular(planes, planes, 1, 1, 0, 1, size, 1, 0, planes)
            columns = Regular(size, 1, size, size, 0, 1, 1, 1, 0, 1)
            return cls(np.zeros((2, 1), np.int64), 1, row, columns, ())
        outer = offsets(geometry.output_shape, (strides, out_strides), range(axes[0]))
        leading = zip(tables[:-2], strides[axes[0] :], out_strides[axes[0] :], strict=False)
        return cls(outer, channels, row, columns, tuple(leading))

    def elements(self, doubled: bool) -> tuple[int, int]:
        """Elements of the largest window, and the longest chain of merges that one of them goes through."""
        slabs = int(np.prod([table.count.max() for table, _, _ in self.leading], dtype=np.int64))
        sizes = self.row.window, self.columns.window
        lengths = [size.bit_length() * 2 if doubled else size for size in sizes]
        return sizes[0] * sizes[1] * slabs, sum(lengths) + slabs

    def slabs(self) -> tuple[Integers, Integers]:
        """Offsets of every leading window's slabs; per leading output their begin, end, output offset."""
        found: list[int] = []
        lead = []
        for outputs in product(*(range(len(table)) for table, _, _ in self.leading)):
            begin, out, taps = len(found), 0, []
            for (table, stride, out_stride), o in zip(self.leading, outputs, strict=True):
                taps.append([(int(table.lo[o]) + t * table.step) * stride for t in range(table.count[o])])
                out += o * out_stride
            found += map(sum, product(*taps))
            lead.append((begin, len(found), out))
        return np.array(found, np.int64), np.array(lead, np.int64)

    def weights(self, divisors: Sequence[Integers], line: Line) -> tuple[Array, Array, bool]:
        """Scales along an output row (channels included), a factor a leading output and row, all the same?"""
        dtype = np.float64 if line.dtype in ("float64", "int32") else np.float32
        columns, *others = [factor.astype(np.float64) for factor in reversed(divisors)]
        if line.finish is not operators.divided:
            columns, others = 1 / columns, [1 / factor for factor in others]
        rows = others[0] if others else np.ones(1)
        lead = np.ones(1)
        for factor in others[1:]:
            lead = np.multiply.outer(factor, lead).reshape(-1)
        scales = np.repeat(columns, self.channels).astype(dtype)
        factors = np.multiply.outer(lead, rows).astype(dtype)
        uniform = line.finish is operators.as_it_is or bool(
            (scales == scales[0]).all() and (factors == factors[0, 0]).all()
        )
        return scales, factors, uniform

    def block(self) -> tuple[Integers, int]:
        """Output rows a direct block makes, and how many blocks a plane has."""
        width = self.columns.outputs * self.channels
        rows = max(NEAR // width - self.row.window, min(8 * self.row.window, FAR // width))
        height = max(1, rows // self.row.stride)
        height = min(height, self.row.outputs)
        return np.array([height], np.int64), -(-self.row.outputs // height)

    def tile(self) -> tuple[Integers, int]:
        """Output rows, columns and channels of a doubling tile, and how many tiles a plane has."""
        deep = min(self.channels, 64)
        room = max(1, TILE // deep)
        sides = []
        wide = int(room**0.5) * (1 if self.row.window > 16 else 2)  # square, or wide for low windows
        for axis, share in ((self.columns, wide), (self.row, room)):
            span = (axis.window - 1) * axis.step
            most = max(min(share, room) - span, span // 2, 1) // axis.stride
            side = max(1, min(axis.outputs, most))
            room = max(1, room // ((side - 1) * axis.stride + span + 1))
            sides.append(side)
        width, height = sides
        tiles = -(-self.row.outputs // height) * -(-self.columns.outputs // width) * -(-self.channels // deep)
        return np.array([height, width, deep], np.int64), tiles


def _one_block(x: Array, y: Array, geometry: Geometry) -> bool:
    """Whether a plane of the input is contiguous, so that an offset tells a place, and fits int32."""
    first = geometry.axes[0]
    strides = tuple(stride // x.itemsize for stride in x.strides)
    plane = math.prod(x.shape[first:])
    return x.dtype == y.dtype and plane < 2**31 and strides[first:] == c_strides(x.shape)[first:]


def reduce_lines(
    row: Operator,
    x: Array,
    geometry: Geometry,
    divisors: Sequence[Integers],
    y: Array,
    places: Array | None = None,
) -> bool:
    """Reduce every window of `x` into the C-contiguous `y`, and the chosen elements' indices into `places`.

    Returns False, with nothing done, where lines do not fit the geometry, the layout or the operator.
    """
    shape = Shape.of(x, geometry) if row.line and x.size >= WORTHWHILE else None
    if row.line is None or shape is None:
        return False
    doubled = shape.row.overlaps() or shape.columns.overlaps()
    longest = WHOLE if shape.columns.whole() and shape.row.window == 1 else LONGEST
    if not doubled and max(shape.row.window, shape.columns.window) > longest:
        return False
    if places is None:
        line = row.line(x.dtype, y.dtype, *shape.elements(doubled))
    else:
        line = row.placed(x.dtype) if row.placed and _one_block(x, y, geometry) else None
    if line is None or any(factor[0] < 0 for factor in divisors):
        return False
    values, origin, _ = flatten(raw(x))
    outer = shape.outer + np.array([[origin], [0]])
    tile, tasks = shape.tile() if doubled else shape.block()
    met = np.zeros(1, np.int64)
    arrays = (
        values,
        raw(y).reshape(-1),
        np.empty(0, np.int32) if places is None else places.reshape(-1),
        np.array([line.neutral], line.dtype),
        met,
    )
    numbers = (np.array(shape.row, np.int64), np.array(shape.columns, np.int64), tile)
    tables = (outer, *shape.slabs())
    arguments = (arrays, tables, numbers, shape.weights(divisors, line), shape.channels)
    tasks *= outer.shape[1] * tables[2].shape[0]
    fixed, step = 0, 0
    if not doubled:  # with channels a pass is at stride 1 always, and its taps a run-time number apart
        fixed = 1 if shape.channels > 1 else shape.columns.stride if shape.columns.stride <= 4 else 0
        step = int(shape.columns.step == 1 and shape.channels == 1)
    kind = lines.Kind(row.name, line, False, storage(x), storage(y), fixed, step, places is not None)
    plan = lines.doubling if doubled else lines.direct
    threads.run(plan(kind), arguments, tasks, x.size)
    if met[0]:
        threads.run(plan(kind._replace(careful=True)), arguments, tasks, x.size)
    return True
