"""Regions of interest: boxes at any place, each cut into the same number of bins.

The one form in which a window may be empty: a box or bin without an element gives 0 and has no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import arrays, checks, ways
from .aligned import Part, Taps, computed
from .arrays import Array
from .operators.entry import FINITE_ABOVE_ZERO
from .windows import Integers

Floats = NDArray[np.float64]

OPS = ("avg", "max", "max_neighbour")
FAR = 2.0**40  # coordinates beyond it, which leave float64 no fraction to speak of, are moved there
MOST_SAMPLES = 2**24  # of one box along one axis
MOST_OF_A_BOX = 2**31  # of one box in all, where the caller chose their number
PART = 2**20  # samples along an axis whose tables are made at a time


@dataclass(frozen=True)
class Align:
    """A checked call of `roi_align`: of each box the image, and per axis (rows, columns) start and size.

    With a `cell` each bin has so many samples, and each of these is a bin of its own.
    """

    x: Array
    op: str
    images: Integers
    starts: tuple[Floats, Floats]
    sizes: tuple[Floats, Floats]
    output_size: tuple[int, int]
    samples: int
    cell: tuple[int, int] = (0, 0)

    @property
    def bins(self) -> tuple[int, int]:
        """How many along each axis."""
        (rows, columns), (high, wide) = self.output_size, self.cell
        return rows * (high or 1), columns * (wide or 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        return (self.images.size, self.x.shape[1], *self.bins)

    def forward(self, *, keep: bool) -> tuple[Array, Array | None]:
        """The result and, where they are to be kept and matter, the winning samples."""
        y = arrays.empty(self.shape, self.x.dtype, self.x)
        winners = arrays.empty(self.shape, np.int64, self.x) if keep and self.op != "avg" else None
        if ways.ASKED.get() is not None:
            words = "samples between elements, in boxes"
            ways.note(self.op, words, self.x, y, winners, self.way)
        elif y.size:
            x, backend = arrays.contiguous(self.x), arrays.backend(self.x)
            for part in self._parts():
                backend.align_forward("avg" if self.op == "avg" else "max", x, part, y, winners)
        return y, winners

    def way(self) -> ways.Way:
        """How the result is made."""
        backend, columns = arrays.backend(self.x), self.bins[1]
        parts = [backend.align_way(self.x, part, columns) for part in self._parts()]
        return parts[0] if len(parts) == 1 else ways.of_parts("in parts", "some boxes at a time", parts)

    def backward(self, gy: Array, winners: Array | None) -> Array:
        """The gradient for `x`."""
        total = arrays.zeros(self.x.shape, computed(self.x.dtype), self.x)
        if gy.size:
            gradient, backend = arrays.contiguous(gy, self.x.dtype), arrays.backend(self.x)
            for part in self._parts():
                backend.align_backward(gradient, part, winners, total)
        return arrays.cast(total, self.x.dtype)

    def elements(self) -> Array:
        """How many elements each bin interpolates, where `x` has 1, and not 0: int64."""
        y = arrays.zeros(self.shape, np.float64, self.x)
        for part in self._joined_parts() if y.size else ():
            each = part._replace(rows=_counting(part.rows), columns=_counting(part.columns))
            arrays.backend(self.x).align_forward("avg", self.x, each, y, None)
        return arrays.cast(y, np.int64)

    def bin_sizes(self) -> tuple[int, int]:
        """The fewest and the most elements that a bin interpolates."""
        least, most = [1], [0]
        for part in self._joined_parts() if self.images.size else ():
            rows, columns = (
                _taps_of_bins(taps).reshape(part.numbers.size, -1) for taps in (part.rows, part.columns)
            )
            least.append(int((rows.min(1) * columns.min(1)).min()))
            most.append(int((rows.max(1) * columns.max(1)).max()))
        return min(least), max(most)

    def by_samples(self) -> Iterator[tuple[list[int], Align]]:
        """The call on the samples of boxes that have the same number in each bin; and which boxes these are.

        Boxes without a sample are left out.
        """
        along = [
            np.full(size.shape, self.samples) if self.samples else np.ceil(np.maximum(size, 0) / n)
            for size, n in zip(self.sizes, self.output_size, strict=True)
        ]
        of_box = float((along[0] * along[1]).max(initial=0)) * math.prod(self.output_size)
        if of_box > MOST_SAMPLES:
            raise ValueError(
                f"boxes must have at most {MOST_SAMPLES} samples each for maxima where data is missing, "
                f"got {of_box:.0f}"
            )
        grids = np.stack(along, 1).astype(np.int64)
        for grid in np.unique(grids[(grids > 0).all(1)], axis=0).tolist():
            found = np.flatnonzero((grids == grid).all(1))
            step = max(1, PART // max(1, math.prod((*self.output_size, *grid)) * self.x.shape[1]))
            for begin in range(0, found.size, step):
                own = found[begin : begin + step]
                (top, left), (high, wide) = self.starts, self.sizes
                part = replace(
                    self,
                    op="avg",
                    images=self.images[own],
                    starts=(top[own], left[own]),
                    sizes=(high[own], wide[own]),
                    cell=(grid[0], grid[1]),
                )
                yield own.tolist(), part

    def _joined_parts(self) -> Iterator[Part]:
        return replace(self, op="avg")._parts()

    def _parts(self) -> Iterator[Part]:
        """The boxes in their order, as many at a time as keep the tables small."""
        most = max(
            max(n * (self.samples or 1) + (0 if self.samples else 2 * size + 4), bins)
            for n, size, bins in zip(self.output_size, self.x.shape[2:], self.bins, strict=True)
        )
        step = max(PART // most, 1)
        for begin in range(0, self.images.size, step):
            own = self.images[begin : begin + step]
            order = np.argsort(own, kind="stable")
            numbers = begin + order
            bounds = np.searchsorted(own[order], np.arange(self.x.shape[0] + 1))
            rows, columns = (self._taps(axis, numbers) for axis in (0, 1))
            yield Part(numbers, own[order], bounds, rows, columns)

    def _taps(self, axis: int, numbers: Integers) -> Taps:
        start, size = self.starts[axis][numbers], self.sizes[axis][numbers]
        n, outputs = self.x.shape[2 + axis], self.output_size[axis]
        placed = _placed(start, size, n, outputs, self.samples)
        dtype = computed(self.x.dtype)
        if self.cell[axis]:
            placed, outputs = placed.apart(self.cell[axis]), self.bins[axis]
        if self.op == "avg":
            return _joined(placed, outputs, dtype)
        return _single(placed, n, outputs, dtype, neighbours=self.op == "max_neighbour")


class _Placed(NamedTuple):
    """The samples within the input along one axis, in the order of boxes and bins: which bin, where."""

    owner: Integers
    number: Integers  # among the samples of its bin
    low: Integers
    fraction: Floats
    grid: Floats  # one a bin: how many samples it has, those outside included

    def apart(self, many: int) -> _Placed:
        """Each of so many samples of a bin as a bin of its own."""
        owner, grid = self.owner * many + self.number, np.ones(self.grid.size * many)
        return self._replace(owner=owner, number=np.zeros_like(owner), grid=grid)


def _placed(start: Floats, size: Floats, n: int, outputs: int, samples: int) -> _Placed:
    # In float64 also where the peers compute in float32, whose rounding of size / P may pass a whole number
    # and give another grid.
    length = np.repeat(size / outputs, outputs)
    begin = np.repeat(start, outputs) + np.tile(np.arange(outputs), start.size) * length
    grid = np.full(length.shape, float(samples)) if samples else np.maximum(np.ceil(length), 0.0)
    first, count = np.zeros(length.shape, np.int64), np.minimum(grid, samples or 1).astype(np.int64)
    if not samples:  # of a long bin only those near the input
        long = grid > 1
        pace = length[long] / grid[long]
        before = np.clip(np.ceil((-1 - begin[long]) / pace - 1.5), 0, grid[long])
        behind = np.clip(np.floor((n - begin[long]) / pace + 1.5), before, grid[long])
        first[long], count[long] = before, behind - before
    owner = np.repeat(np.arange(length.size), count)
    number = np.arange(owner.size) + np.repeat(first - (np.cumsum(count) - count), count)
    place = begin[owner] + (number + 0.5) * length[owner] / grid[owner]
    within = (place >= -1) & (place <= n)
    owner, number, place = owner[within], number[within], np.maximum(place[within], 0.0)
    low = np.minimum(place.astype(np.int64), n - 1)
    fraction = np.where(low < n - 1, place - low, 0.0)
    return _Placed(owner, number, low, fraction, grid)


def _joined(placed: _Placed, outputs: int, dtype: np.dtype[Any]) -> Taps:
    """One sample a bin, unless it is empty: the mean of all, each element's weights added up."""
    owner, _, low, fraction, grid = placed
    least, most = np.full(grid.size, np.iinfo(np.int64).max), np.full(grid.size, -1)
    np.minimum.at(least, owner, low)
    np.maximum.at(most, owner, low)
    spans = np.where(most >= 0, most - least + 2, 0)  # each bin's elements, and one behind them
    begin = np.cumsum(spans) - spans
    key = begin[owner] + low - least[owner]
    share = 1 / grid[owner]
    total = int(spans.sum())
    weights = np.bincount(key, (1 - fraction) * share, total)
    weights += np.bincount(key + 1, fraction * share, total)
    read = np.flatnonzero(weights)
    bins = np.repeat(np.arange(grid.size), spans)[read]
    positions = read + least[bins] - begin[bins]
    taps = np.bincount(bins, minlength=grid.size)
    return Taps(
        _bounds(taps > 0),
        _bounds(taps[taps > 0]),
        positions,
        weights[read].astype(dtype),
        np.zeros(grid.size, np.bool_),
        _reach(positions, bins, grid.size, outputs),
    )


def _counting(taps: Taps) -> Taps:
    """The same with weights of 1, which count what is read."""
    return taps._replace(weights=np.ones(taps.weights.shape))


def _taps_of_bins(taps: Taps) -> Integers:
    """How many elements each bin of a mean reads along an axis."""
    found = np.zeros(taps.bins.size - 1, np.int64)
    found[np.diff(taps.bins) > 0] = np.diff(taps.samples)
    return found


def _single(placed: _Placed, n: int, outputs: int, dtype: np.dtype[Any], *, neighbours: bool) -> Taps:
    """Every sample by itself, of one or two elements; `neighbours`: each of its two elements, weighed."""
    owner, _, low, fraction, grid = placed
    both = np.stack([np.ones(owner.size, np.bool_), (fraction > 0) | neighbours], 1)
    near = np.stack([low, np.minimum(low + 1, n - 1)], 1)
    positions, weights = near[both], np.stack([1 - fraction, fraction], 1)[both]
    taps, own = both.sum(1), np.bincount(owner, minlength=grid.size)
    return Taps(
        _bounds(own * 2 if neighbours else own),
        _bounds(np.ones(positions.size, np.int64) if neighbours else taps),
        positions,
        weights.astype(dtype),
        own < np.maximum(grid, 1),
        _reach(positions, np.repeat(owner, taps), grid.size, outputs),
    )


def _bounds(counts: NDArray[Any]) -> Integers:
    """Where each begins that has so many, and the number of all."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def _reach(positions: Integers, owners: Integers, bins: int, outputs: int) -> Integers:
    least, behind = np.full(bins // outputs, np.iinfo(np.int64).max), np.zeros(bins // outputs, np.int64)
    np.minimum.at(least, owners // outputs, positions)
    np.maximum.at(behind, owners // outputs, positions + 1)
    return np.stack([np.minimum(least, behind), behind], 1)


def align_call(
    x: object, boxes: object, output_size: Any, scale: object, samples: object, aligned: object, op: object
) -> Align:
    """A call of `roi_align`, checked."""
    array = arrays.take("x", x)
    if not arrays.is_float(array.dtype):
        raise TypeError(f"roi_align takes x of {', '.join(arrays.FLOATS)}, got {array.dtype}")
    outputs, factor = _sizes(output_size), _scale(scale)
    each = checks.integer("samples", samples, minimum=0)
    if max(outputs) * max(each, 1) > MOST_SAMPLES:
        raise ValueError(
            f"output_size times samples must be at most {MOST_SAMPLES} on an axis, "
            f"got output_size {outputs} and samples {each}"
        )
    if math.prod(outputs) * max(each, 1) ** 2 > MOST_OF_A_BOX:
        raise ValueError(
            f"output_size times samples must make at most {MOST_OF_A_BOX} samples of a box, "
            f"got output_size {outputs} and samples {each}"
        )
    centred = checks.boolean("aligned", aligned)
    op = checks.usual(op)
    if not isinstance(op, str):
        raise TypeError(f"op must be one of {', '.join(OPS)}, got {op!r} of type {type(op).__name__}")
    if op not in OPS:
        raise ValueError(f"op must be one of {', '.join(OPS)}, got {op!r}")
    images, corners = _checked_boxes(boxes, array.shape)
    low, high = _scaled(corners, factor)
    size = high - low if centred else np.maximum(high - low, 1.0)
    low = low - 0.5 if centred else low
    starts, sizes = (low[:, 1], low[:, 0]), (size[:, 1], size[:, 0])
    return Align(array, op, images, starts, sizes, outputs, each)


# Boxes that are rounded to elements ----------------------------------------------------------------------


class PoolTables(NamedTuple):
    """What `roi_pool` covers.

    Attributes
    ----------
    images : ndarray of int64, shape (K,)
        The image of each box.
    row_lo, row_count : ndarray of int64, shape (K, PH)
        First row and number of rows of each bin; 0 where it covers none.
    column_lo, column_count : ndarray of int64, shape (K, PW)
    """

    images: Integers
    row_lo: Integers
    row_count: Integers
    column_lo: Integers
    column_count: Integers


def pool_tables(boxes: object, output_size: Any, scale: object, shape: tuple[int, ...]) -> PoolTables:
    """The bins of boxes that are rounded to whole elements (Girshick 2015, Fast R-CNN).

    ``start = round(x1 scale)``, ``end = round(x2 scale)``, halves away from zero; ``size = max(end - start +
    1, 1)``, ``bin = size / P``; bin `p` covers ``floor(p bin)`` to ``ceil((p + 1) bin)`` from the start on,
    clipped to the axis.

    Parameters
    ----------
    boxes, output_size, scale
        As in `roi_align`.
    shape : tuple of int
        (N, C, H, W).

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.regions import pool_tables
    >>> tables = pool_tables(np.array([[0, 0, 1, 4, 9]]), 2, 1.0, (1, 3, 6, 6))
    >>> tables.row_lo, tables.row_count, tables.column_lo, tables.column_count
    (array([[1, 5]]), array([[5, 1]]), array([[0, 2]]), array([[3, 3]]))
    """
    outputs, factor = _sizes(output_size), _scale(scale)
    if max(outputs) > MOST_SAMPLES:
        raise ValueError(f"output_size must be at most {MOST_SAMPLES}, got {outputs}")
    images, corners = _checked_boxes(boxes, shape)
    np.empty((images.size, shape[1], *outputs), np.uint8)  # a MemoryError before the tables are made
    low, high = (_rounded(corner) for corner in _scaled(corners, factor))
    size = np.maximum(high - low + 1, 1.0)
    rows = _bins(low[:, 1], size[:, 1], outputs[0], shape[2])
    columns = _bins(low[:, 0], size[:, 0], outputs[1], shape[3])
    return PoolTables(images, *rows, *columns)


def _rounded(number: Floats) -> Floats:
    """To the nearest integer, halves away from zero."""
    whole = np.trunc(number)
    return np.where(np.abs(number - whole) >= 0.5, whole + np.copysign(1.0, number), whole)


def _bins(start: Floats, size: Floats, outputs: int, n: int) -> tuple[Integers, Integers]:
    # torchvision multiplies by the scale and divides in float32: a coordinate that the scale takes close to a
    # half may round the other way there, and one bin in 400 or so has another element, where p * bin passes
    # a whole number in one precision alone.
    length = (size / outputs)[:, None]
    bins = np.arange(outputs)
    lo = np.clip(start[:, None] + np.floor(bins * length), 0, n).astype(np.int64)
    hi = np.clip(start[:, None] + np.ceil((bins + 1) * length), 0, n).astype(np.int64)
    return np.minimum(lo, n - 1), np.maximum(hi - lo, 0)


# Checks --------------------------------------------------------------------------------------------------


def _sizes(output_size: Any) -> tuple[int, int]:
    rows, columns = checks.entries("output_size", output_size, 2)
    return checks.integer("output_size", rows, minimum=1), checks.integer("output_size", columns, minimum=1)


def _scale(scale: object) -> float:
    return checks.number("scale", scale, FINITE_ABOVE_ZERO)


def _checked_boxes(boxes: object, shape: tuple[int, ...]) -> tuple[Integers, Floats]:
    """Each box's image and its corners (x1, y1, x2, y2)."""
    if len(shape) != 4:
        raise ValueError(f"x must have the four axes (N, C, H, W), got shape {shape}")
    for axis in (2, 3):
        if shape[axis] < 1:
            raise ValueError(f"axis {axis} of x: an axis of length 0 cannot be pooled, got shape {shape}")
    table = arrays.take("boxes", boxes)
    if table.dtype == np.bool_:
        raise TypeError("boxes must be real numbers, got bool")
    if table.ndim != 2 or table.shape[1] != 5:
        raise ValueError(f"boxes must have the shape (K, 5), (batch, x1, y1, x2, y2), got {table.shape}")
    numbers = arrays.to_host(table).astype(np.float64)
    finite = np.isfinite(numbers).all(1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(f"boxes must be finite, got {numbers[row].tolist()} in row {row}")
    images = numbers[:, 0]
    known = (images == np.floor(images)) & (images >= 0) & (images < shape[0])
    if not known.all():
        row = int(np.argmin(known))
        raise ValueError(
            f"boxes must begin with the number of an image, an integer in 0..{shape[0] - 1}, "
            f"got {images[row]:g} in row {row}"
        )
    return images.astype(np.int64), numbers[:, 1:]


def _scaled(corners: Floats, scale: float) -> tuple[Floats, Floats]:
    """Both corners (x, y) in the coordinates of the input."""
    limit = FAR / scale
    scaled = np.clip(corners, -limit, limit) * scale
    return scaled[:, :2], scaled[:, 2:]
