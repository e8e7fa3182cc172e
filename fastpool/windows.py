"""Forms of pooling as tables of intervals: which elements does each output cover?

A form (sliding, adaptive, global) becomes one `Axis` per pooled axis: output ``o`` covers the elements
``lo[o], lo[o] + step, ...``, ``count[o]`` of them. Backward walks the `inverse` tables: input ``i`` is
covered by the outputs ``lo[i], lo[i] + step, ...``. Pure NumPy, no compiler.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

SMALL_TABLE = 4096  # outputs of an axis up to which its table is kept for the next call


@dataclass(frozen=True, eq=False)
class Axis:
    """The windows along one pooled axis.

    Attributes
    ----------
    size : int
        Length of the axis that the windows read.
    lo, count : ndarray of int64, one entry an output
        First covered element and number of covered elements.
    extent : ndarray of int64
        Like `count`, but the padding counts as well (the overhang of ``ceil_mode`` does not).
    step : int
        Distance between covered elements (the dilation).
    regular : (window, stride, before) or None
        Where every window is one length at one distance, clipped to the axis: what it is before clipping.
    """

    size: int
    lo: Integers
    count: Integers
    extent: Integers
    step: int
    regular: tuple[int, int, int] | None = None

    def __len__(self) -> int:
        return self.lo.size


@dataclass(frozen=True, eq=False)
class Geometry:
    """A form applied to an array of one shape.

    Attributes
    ----------
    shape : tuple of int
        Shape of the array that is read.
    axes : tuple of int
        Pooled axes, ascending.
    tables : tuple of Axis
        Their windows, in the same order.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    tables: tuple[Axis, ...]

    @cached_property
    def plane(self) -> tuple[int, ...]:
        """Lengths of the pooled axes."""
        return tuple(table.size for table in self.tables)

    @cached_property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the result: every pooled axis replaced by its number of windows."""
        lengths = dict(zip(self.axes, map(len, self.tables), strict=True))
        return tuple(lengths.get(axis, n) for axis, n in enumerate(self.shape))

    @cached_property
    def _inverse(self) -> "Geometry":
        return Geometry(self.output_shape, self.axes, tuple(map(inverse, self.tables)))

    def inverse(self) -> "Geometry":
        """The geometry that reads the output and covers, for each input, the outputs that read it."""
        return self._inverse


@dataclass(frozen=True, eq=False)
class PlaneWindows:
    """Windows that differ from plane to plane, over the last axes of an array; some may be empty.

    Attributes
    ----------
    plane : tuple of int
        Lengths of the pooled axes.
    planes, sets : ndarray of int64, one entry a plane of the output
        Which plane of the input it reads, and through which windows.
    lo, count : tuple of ndarray of int64, one a pooled axis, of the shape (sets, outputs)
        First covered element and number of covered elements.
    """

    plane: tuple[int, ...]
    planes: Integers
    sets: Integers
    lo: tuple[Integers, ...]
    count: tuple[Integers, ...]

    @property
    def outputs(self) -> tuple[int, ...]:
        """Number of windows along each pooled axis."""
        return tuple(lo.shape[1] for lo in self.lo)

    def inverse(self) -> tuple[tuple[Integers, ...], tuple[Integers, ...]]:
        """First and number of the windows that cover each element; of the shape (sets, elements) an axis."""
        found = [_covering(*each) for each in zip(self.plane, self.lo, self.count, strict=True)]
        first, number = zip(*found, strict=True)
        return first, number


def _remember_small(build: Callable[..., Axis]) -> Callable[..., Axis]:
    """Keep the tables that `build` makes, keyed by its arguments, unless `length` (the first) is large."""
    remembered = lru_cache(maxsize=512)(build)

    def table(length: int, *arguments: Any) -> Axis:
        return (remembered if length <= SMALL_TABLE else build)(length, *arguments)

    return table


def output_length(
    n: int, window: int, stride: int, before: int, after: int, dilation: int, ceil_mode: bool
) -> int:
    """Number of windows; below 1 where none fits.

    ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1``, or ``ceil``, then one less
    where the last window would start past the input and the padding before it.
    """
    room = n + before + after - dilation * (window - 1) - 1
    length = (-(-room // stride) if ceil_mode else room // stride) + 1
    return length - (ceil_mode and (length - 1) * stride >= n + before)


def same_padding(n: int, window: int, stride: int, dilation: int, *, lower: bool) -> tuple[int, int]:
    """Padding that gives ``ceil(n / stride)`` outputs, the surplus after the axis or, `lower`, before."""
    total = max((-(-n // stride) - 1) * stride + dilation * (window - 1) + 1 - n, 0)
    half = total // 2
    return (total - half, half) if lower else (half, total - half)


def sliding(
    n: int,
    window: int,
    stride: int,
    before: int,
    after: int,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> Axis:
    """Windows of one length at a regular distance.

    Raises
    ------
    ValueError
        Where no window fits, or one would cover no element.
    """
    length = output_length(n, window, stride, before, after, dilation, ceil_mode)
    if n < 1:
        raise ValueError("an axis of length 0 cannot be pooled")
    if length < 1:
        raise ValueError(
            f"a window of {window} with dilation {dilation} spans {dilation * (window - 1) + 1} elements "
            f"and does not fit length {n} with padding ({before}, {after})"
        )
    # A start and a tap pin down an element, so more windows than n * window means that some are empty.
    if length > n * window:
        raise ValueError(f"some of the {length} windows of {window} would cover no element of length {n}")
    _check_length(length, n)
    return _sliding(length, n, window, stride, before, after, dilation)


@_remember_small
def _sliding(length: int, n: int, window: int, stride: int, before: int, after: int, dilation: int) -> Axis:
    start = np.arange(length, dtype=np.int64) * stride - before
    skipped = -(np.minimum(start, 0) // dilation)  # taps before the input
    taps = np.minimum(window, -((start - n) // dilation))  # taps before its end
    count = taps - skipped
    if count.min() < 1:
        empty = int(np.argmin(count))
        raise ValueError(
            f"window {empty}, which starts at {start[empty]} with {window} taps and dilation {dilation}, "
            f"covers no element of length {n}"
        )
    extent = np.minimum(window, -((start - n - after) // dilation))
    return _axis(n, start + skipped * dilation, count, extent, dilation, (window, stride, before))


def adaptive(n: int, outputs: int) -> Axis:
    """`outputs` bins ``[floor(i n / outputs), ceil((i + 1) n / outputs))`` over the whole axis."""
    if n < 1:
        raise ValueError("an axis of length 0 cannot be pooled")
    _check_length(outputs, n)
    return _adaptive(outputs, n)


@_remember_small
def _adaptive(outputs: int, n: int) -> Axis:
    i = np.arange(outputs, dtype=np.int64)
    whole, rest = divmod(n, outputs)  # i n / outputs = i whole + i rest / outputs, without overflow
    lo = i * whole + i * rest // outputs
    hi = (i + 1) * whole - (-(i + 1) * rest // outputs)
    return _axis(n, lo, hi - lo, hi - lo, 1, None if rest else (whole, whole, 0))


def inverse(axis: Axis) -> Axis:
    """For each input the outputs that cover it: the table that backward gathers over."""
    return _inverse(max(len(axis), axis.size), axis)


@_remember_small
def _inverse(length: int, axis: Axis) -> Axis:
    last = axis.lo + (axis.count - 1) * axis.step
    residue = axis.lo % axis.step
    again = np.flatnonzero(residue == residue[0])
    period = int(again[1]) if again.size > 1 else len(axis)
    lo, count = np.zeros((2, axis.size), np.int64)
    for first in range(period):  # outputs of one residue see the same elements, in steps
        inputs = np.arange(residue[first], axis.size, axis.step)
        begin = np.searchsorted(last[first::period], inputs, "left")
        end = np.searchsorted(axis.lo[first::period], inputs, "right")
        count[inputs] = np.maximum(end - begin, 0)
        lo[inputs] = np.where(end > begin, first + begin * period, 0)
    regular = None
    if axis.regular and axis.step == 1 and axis.regular[1] == 1:  # at stride 1 a sliding window as well
        window, _, before = axis.regular
        regular = (window, 1, window - 1 - before)
    return _axis(len(axis), lo, count, count, period, regular)


def _covering(n: int, lo: Integers, count: Integers) -> tuple[Integers, Integers]:
    """The windows that cover each of `n` elements, of sets of windows.

    No window begins or ends before the one before it, and empty ones are at both ends alone.
    """
    after = np.logical_and.accumulate(count[:, ::-1] == 0, axis=1)[:, ::-1]  # empty ones behind the last
    begins, ends = np.where(after, n + 1, lo), np.where(after, n + 1, lo + count)
    apart = np.arange(lo.shape[0])[:, None] * (n + 2)  # makes one ascending sequence of all sets
    inputs = (apart + np.arange(n)).reshape(-1)
    own = np.arange(lo.shape[0])[:, None] * lo.shape[1]
    first = np.searchsorted((ends + apart).reshape(-1), inputs, "right").reshape(-1, n) - own
    behind = np.searchsorted((begins + apart).reshape(-1), inputs, "right").reshape(-1, n) - own
    number = np.maximum(behind - first, 0)
    return np.where(number > 0, first, 0), number


def divisors(
    tables: Sequence[Axis], *, count_include_pad: bool = False, override: int | None = None
) -> tuple[Integers, ...]:
    """Per axis one factor of each window's divisor; the divisor is the product over the axes."""
    if override is None:
        return tuple(table.extent if count_include_pad else table.count for table in tables)
    first, *others = (np.ones(len(table), np.int64) for table in tables)
    return (first * override, *others)


def divisor_grid(factors: Sequence[Integers], axes: Sequence[int], ndim: int) -> Integers:
    """The divisor of every window, in a shape that broadcasts against the output."""
    shaped = (
        factor.reshape(tuple(-1 if axis == own else 1 for own in range(ndim)))
        for axis, factor in zip(axes, factors, strict=True)
    )
    return math.prod(shaped, start=np.ones((1,) * ndim, np.int64))


def _check_length(length: int, n: int) -> None:
    if length >= 2**31 and length > 2 * n:
        raise ValueError(f"{length} outputs from an axis of length {n} are more than this version makes")


def _axis(
    size: int,
    lo: Integers,
    count: Integers,
    extent: Integers,
    step: int,
    regular: tuple[int, int, int] | None = None,
) -> Axis:
    for column in (lo, count, extent):
        column.setflags(write=False)
    return Axis(size, lo, count, extent, step, regular)
