"""Regions of interest: boxes at any place, each cut into the same number of bins.

The one form in which a window may be empty: a box or bin without an element gives 0 and has no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
CORNERS = {  # the columns of boxes of so many pooled axes, of which x is the last
    1: ("x1", "x2"),
    2: ("x1", "y1", "x2", "y2"),
    3: ("x1", "y1", "z1", "x2", "y2", "z2"),
}
FAR = 2.0**40  # coordinates beyond it, which leave float64 no fraction to speak of, are moved there
MOST_SAMPLES = 2**24  # of one box along one axis
MOST_OF_A_BOX = 2**31  # of one box in all, where the caller chose their number
PART = 2**20  # samples along an axis whose tables are made at a time


@dataclass(frozen=True)
class Align:
    """A checked call of `roi_align`: of each box the image, and of each pooled axis start and size.

    With a `cell` each bin has so many samples, and each of these is a bin of its own.
    """

    x: Array
    op: str
    images: Integers
    starts: tuple[Floats, ...]
    sizes: tuple[Floats, ...]
    output_size: tuple[int, ...]
    samples: int
    cell: tuple[int, ...] = ()

    @property
    def bins(self) -> tuple[int, ...]:
        """How many along each axis."""
        cell = self.cell or (1,) * len(self.output_size)
        return tuple(n * k for n, k in zip(self.output_size, cell, strict=True))

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
            x, backend = _planes(arrays.contiguous(self.x)), arrays.backend(self.x)
            results = _planes(y), None if winners is None else _planes(winners)
            for part in self._parts():
                backend.align_forward("avg" if self.op == "avg" else "max", x, part, *results)
        return y, winners

    def way(self) -> ways.Way:
        """How the result is made."""
        backend, columns, x = arrays.backend(self.x), self.bins[-1], _planes(self.x)
        parts = [backend.align_way(x, part, columns) for part in self._parts()]
        return parts[0] if len(parts) == 1 else ways.of_parts("in parts", "some boxes at a time", parts)

    def backward(self, gy: Array, winners: Array | None) -> Array:
        """The gradient for `x`."""
        total = arrays.zeros(self.x.shape, computed(self.x.dtype), self.x)
        if gy.size:
            gradient, backend = _planes(arrays.contiguous(gy, self.x.dtype)), arrays.backend(self.x)
            places, sums = None if winners is None else _planes(winners), _planes(total)
            for part in self._parts():
                backend.align_backward(gradient, part, places, sums)
        return arrays.cast(total, self.x.dtype)

    def elements(self) -> Array:
        """How many elements each bin interpolates, where `x` has 1, and not 0: int64."""
        y = arrays.zeros(self.shape, np.float64, self.x)
        for part in self._joined_parts() if y.size else ():
            each = part._replace(rows=_counting(part.rows), columns=_counting(part.columns))
            arrays.backend(self.x).align_forward("avg", _planes(self.x), each, _planes(y), None)
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
        of_box = float(np.prod(along, axis=0).max(initial=0)) * math.prod(self.output_size)
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
                part = replace(
                    self,
                    op="avg",
                    images=self.images[own],
                    starts=tuple(start[own] for start in self.starts),
                    sizes=tuple(size[own] for size in self.sizes),
                    cell=tuple(grid),
                )
                yield own.tolist(), part

    def _joined_parts(self) -> Iterator[Part]:
        return replace(self, op="avg")._parts()

    def _parts(self) -> Iterator[Part]:
        """The boxes in their order, as many at a time as keep the tables small."""
        *rows, columns = (
            max(n * (self.samples or 1) + (0 if self.samples else 2 * size + 4), bins)
            for n, size, bins in zip(self.output_size, self.x.shape[2:], self.bins, strict=True)
        )
        step = max(PART // max(math.prod(rows), columns), 1)
        for begin in range(0, self.images.size, step):
            own = self.images[begin : begin + step]
            order = np.argsort(own, kind="stable")
            numbers = begin + order
            bounds = np.searchsorted(own[order], np.arange(self.x.shape[0] + 1))
            yield Part(numbers, own[order], bounds, *self._tables(numbers))

    def _tables(self, numbers: Integers) -> tuple[Taps, Taps]:
        """What the boxes read along rows, which all axes but the last make together, and along the last."""
        *others, last = (self._taps(axis, numbers) for axis in range(len(self.output_size)))
        if not others:
            return _alone(numbers.size, computed(self.x.dtype)), last
        rows = others[0]
        for taps, n in zip(others[1:], self.x.shape[3:], strict=False):
            rows = _crossed(rows, taps, numbers.size, n)
        return rows, last

    def _taps(self, axis: int, numbers: Integers) -> Taps:
        start, size = self.starts[axis][numbers], self.sizes[axis][numbers]
        n, outputs = self.x.shape[2 + axis], self.output_size[axis]
        placed = _placed(start, size, n, outputs, self.samples)
        dtype = computed(self.x.dtype)
        if self.cell:
            placed, outputs = placed.apart(self.cell[axis]), self.bins[axis]
        if self.op == "avg":
            return _joined(placed, outputs, dtype)
        return _single(placed, n, outputs, dtype, neighbours=self.op == "max_neighbour")


def _planes(array: Array) -> Array:
    """A C-contiguous array of any pooled axes as images of rows and columns; all but the last make rows."""
    first, channels, *rows, columns = array.shape
    return array.reshape((first, channels, math.prod(rows), columns))


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


def _alone(boxes: int, dtype: np.dtype[Any]) -> Taps:
    """Those of an axis of one element, which each box has as its one bin."""
    whole = np.arange(boxes + 1)
    weights, reach = np.ones(boxes, dtype), np.tile([0, 1], (boxes, 1))
    return Taps(whole, whole, np.zeros(boxes, np.int64), weights, np.zeros(boxes, np.bool_), reach)


def _crossed(first: Taps, second: Taps, boxes: int, length: int) -> Taps:
    """Those of two axes as of one, on which positions of the second, of so many elements, follow each other.

    A sample is one of each, its weights are the products, and all of them are in row-major order.
    """
    bins = np.arange(first.bins.size - 1).reshape(boxes, -1)
    others = np.arange(second.bins.size - 1).reshape(boxes, -1)
    across = np.broadcast_to(bins[:, :, None], (*bins.shape, others.shape[1])).reshape(-1)
    along = np.broadcast_to(others[:, None], (*bins.shape, others.shape[1])).reshape(-1)
    bounds, rows, columns = _pairs(first.bins, second.bins, across, along)
    samples, tops, lefts = _pairs(first.samples, second.samples, rows, columns)
    (top, bottom), (left, right) = first.reach.T, second.reach.T
    reach = np.stack([top * length + left, (bottom - 1) * length + right], 1)
    empty = (top == bottom) | (left == right)
    return Taps(
        bounds,
        samples,
        first.positions[tops] * length + second.positions[lefts],
        first.weights[tops] * second.weights[lefts],
        first.missing[across] | second.missing[along],
        np.where(empty[:, None], 0, reach),
    )


def _pairs(
    first: Integers, second: Integers, across: Integers, along: Integers
) -> tuple[Integers, Integers, Integers]:
    """Each of a group of the one with each of a group of the other, for pairs of groups.

    `first` and `second` say where groups begin. Where the pairs of each two groups begin, and both members.
    """
    counts, widths = np.diff(first)[across], np.diff(second)[along]
    bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts * widths)])
    owner = np.repeat(np.arange(across.size), counts * widths)
    row, column = np.divmod(np.arange(owner.size) - bounds[owner], np.maximum(widths, 1)[owner])
    return bounds, first[across][owner] + row, second[along][owner] + column


def align_call(
    x: object, boxes: object, output_size: Any, scale: object, samples: object, aligned: object, op: object
) -> Align:
    """A call of `roi_align`, checked."""
    array = arrays.take("x", x)
    if not arrays.is_float(array.dtype):
        raise TypeError(f"roi_align takes x of {', '.join(arrays.FLOATS)}, got {array.dtype}")
    rank = _rank(array.shape)
    outputs, factor = _sizes(output_size, rank), _scale(scale)
    each = checks.integer("samples", samples, minimum=0)
    rows = math.prod(outputs[:-1]) * max(each, 1) ** (rank - 1)
    if max(rows, outputs[-1] * max(each, 1)) > MOST_SAMPLES:
        raise ValueError(
            f"output_size times samples must be at most {MOST_SAMPLES} on an axis, and on all but the last "
            f"together, got output_size {outputs} and samples {each}"
        )
    if math.prod(outputs) * max(each, 1) ** rank > MOST_OF_A_BOX:
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
    return Align(array, op, images, tuple(low.T), tuple(size.T), outputs, each)


# Boxes that are rounded to elements ----------------------------------------------------------------------


class PoolTables(NamedTuple):
    """What `roi_pool` covers.

    Attributes
    ----------
    images : ndarray of int64, shape (K,)
        The image of each box.
    lo, counts : tuple of ndarray of int64, one a pooled axis, shape (K, bins)
        First element and number of elements of each bin; 0 where it covers none.
    """

    images: Integers
    lo: tuple[Integers, ...]
    counts: tuple[Integers, ...]


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
        (N, C, H, W), or with one or three pooled axes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.regions import pool_tables
    >>> tables = pool_tables(np.array([[0, 0, 1, 4, 9]]), 2, 1.0, (1, 3, 6, 6))
    >>> tables.lo, tables.counts
    ((array([[1, 5]]), array([[0, 2]])), (array([[5, 1]]), array([[3, 3]])))
    """
    outputs, factor = _sizes(output_size, _rank(shape)), _scale(scale)
    if max(outputs) > MOST_SAMPLES:
        raise ValueError(f"output_size must be at most {MOST_SAMPLES}, got {outputs}")
    images, corners = _checked_boxes(boxes, shape)
    np.empty((images.size, shape[1], *outputs), np.uint8)  # a MemoryError before the tables are made
    low, high = (_rounded(corner) for corner in _scaled(corners, factor))
    size = np.maximum(high - low + 1, 1.0)
    bins = [_bins(*each) for each in zip(low.T, size.T, outputs, shape[2:], strict=True)]
    return PoolTables(images, *zip(*bins, strict=True))


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


def _rank(shape: tuple[int, ...]) -> int:
    """How many axes are pooled."""
    if len(shape) - 2 not in CORNERS:
        raise ValueError(
            f"x must have the axes (N, C, L), (N, C, H, W) or (N, C, D, H, W), got {len(shape)} axes"
        )
    return len(shape) - 2


def _sizes(output_size: Any, rank: int) -> tuple[int, ...]:
    each = checks.entries("output_size", output_size, rank)
    return tuple(checks.integer("output_size", n, minimum=1) for n in each)


def _scale(scale: object) -> float:
    return checks.number("scale", scale, FINITE_ABOVE_ZERO)


def _checked_boxes(boxes: Any, shape: tuple[int, ...]) -> tuple[Integers, Floats]:
    """Each box's image and its two corners, whose coordinates are in the order of `CORNERS`."""
    for axis, n in enumerate(shape[2:], 2):
        if n < 1:
            raise ValueError(f"axis {axis} of x: an axis of length 0 cannot be pooled, got shape {shape}")
    corners = CORNERS[len(shape) - 2]
    if isinstance(boxes, list | tuple):
        return _listed_boxes(boxes, shape[0], corners)
    numbers = _finite(boxes, "boxes", "K", ("batch", *corners))
    images = numbers[:, 0]
    known = (images == np.floor(images)) & (images >= 0) & (images < shape[0])
    if not known.all():
        row = int(np.argmin(known))
        raise ValueError(
            f"boxes must begin with the number of an image, an integer in 0..{shape[0] - 1}, "
            f"got {images[row]:g} in row {row}"
        )
    return images.astype(np.int64), numbers[:, 1:]


def _listed_boxes(boxes: Sequence[Any], images: int, corners: tuple[str, ...]) -> tuple[Integers, Floats]:
    """Those of a list with an array for each image."""
    tables = [_finite(each, f"boxes[{number}]", "k", corners) for number, each in enumerate(boxes)]
    if len(tables) != images:
        raise ValueError(
            f"boxes must list an array for each of the {images} images of x, got {len(tables)} arrays"
        )
    owners = np.repeat(np.arange(images), [len(table) for table in tables])
    return owners, np.concatenate([np.zeros((0, len(corners))), *tables])


def _finite(boxes: object, argument: str, rows: str, columns: tuple[str, ...]) -> Floats:
    """A table of finite numbers on the host, with these columns."""
    table = arrays.take(argument, boxes)
    if table.dtype == np.bool_:
        raise TypeError(f"{argument} must be real numbers, got bool")
    if table.ndim != 2 or table.shape[1] != len(columns):
        raise ValueError(
            f"{argument} must have the shape ({rows}, {len(columns)}), ({', '.join(columns)}), "
            f"got {table.shape}"
        )
    numbers: Floats = arrays.to_host(table).astype(np.float64)
    finite = np.isfinite(numbers).all(1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(f"{argument} must be finite, got {numbers[row].tolist()} in row {row}")
    return numbers


def _scaled(corners: Floats, scale: float) -> tuple[Floats, Floats]:
    """Both corners in the coordinates of the input, in the order of its axes."""
    limit, rank = FAR / scale, corners.shape[1] // 2
    scaled = np.clip(corners, -limit, limit) * scale
    return scaled[:, rank - 1 :: -1], scaled[:, : rank - 1 : -1]
