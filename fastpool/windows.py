"""Forms of pooling as tables of intervals: which elements does each output cover?

A form (sliding, adaptive, global) becomes one `Axis` per pooled axis: output ``o`` covers the elements
``lo[o], lo[o] + step, ...``, ``count[o]`` of them. Backward walks the `inverse` tables: input ``i`` is
covered by the outputs ``lo[i], lo[i] + step, ...``. Pure NumPy, no compiler.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

WRITTEN = 1024  # outputs of an axis up to which its table is written out, and kept for the next call


class Repeat(NamedTuple):
    """Columns of a table that stand for many: `period` of them, from `first` on, come `times` times more.

    Each time they are `advance` elements further on.
    """

    first: int
    period: int
    times: int
    advance: int


@dataclass(frozen=True, eq=False)
class Axis:
    """The windows along one pooled axis.

    A long axis has few columns, since nearly all of its windows are alike: `repeat` says which come again.

    Attributes
    ----------
    size : int
        Length of the axis that the windows read.
    columns : ndarray of int64 of the shape (3, columns)
        First covered element, number of covered elements, and that number with the padding counted as well
        (the overhang of ``ceil_mode`` is not).
    step : int
        Distance between covered elements (the dilation).
    regular : (window, stride, before) or None
        Where every window is one length at one distance, clipped to the axis: what it is before clipping.
    repeat : Repeat or None
        None where there is a column for each output.
    """

    size: int
    columns: Integers
    step: int
    regular: tuple[int, int, int] | None = None
    repeat: Repeat | None = None

    def __len__(self) -> int:
        written = int(self.columns.shape[1])
        return written + self.repeat.times * self.repeat.period if self.repeat else written

    @property
    def lo(self) -> Integers:
        """First covered element of each output."""
        column: Integers = self.at(0, len(self))[0]
        return column

    @property
    def count(self) -> Integers:
        """Number of covered elements of each output."""
        column: Integers = self.at(0, len(self))[1]
        return column

    @property
    def extent(self) -> Integers:
        """As `count`, of elements and padding."""
        column: Integers = self.at(0, len(self))[2]
        return column

    @property
    def fewest(self) -> int:
        """Elements of the smallest window."""
        return int(self.columns[1].min(initial=self.size))

    @property
    def most(self) -> int:
        """Elements of the largest window."""
        return int(self.columns[1].max(initial=0))

    @property
    def bounds(self) -> tuple[Integers, Integers]:
        """First and last element of each window, both ascending as windows do.

        An empty window ends before it begins, behind the windows before it, wherever `lo` puts it.
        """
        lo, count, _ = self.at(0, len(self))
        last = lo + (count - 1) * self.step
        if count.all():
            return lo, last
        behind = np.maximum.accumulate(np.where(count > 0, last + 1, 0))
        return np.where(count > 0, lo, np.maximum(lo, behind)), np.where(count > 0, last, behind - 1)

    @property
    def total(self) -> int:
        """Elements of all windows."""
        found = int(self.columns[1].sum())
        if self.repeat:
            first, period, times, _ = self.repeat
            found += times * int(self.columns[1, first : first + period].sum())
        return found

    def column(self, outputs: Integers) -> tuple[Integers, Integers]:
        """The column of each output, and how far on its first element is."""
        if self.repeat is None:
            return outputs, np.zeros_like(outputs)
        first, period, times, advance = self.repeat
        turns = np.clip((outputs - first) // period, 0, times)
        return outputs - turns * period, turns * advance

    def at(self, first: int, last: int) -> Integers:
        """The columns of a range of outputs, written out."""
        if self.repeat is None:
            return self.columns[:, first:last]
        number, further = self.column(np.arange(first, last))
        found = self.columns[:, number]
        found[0] += further
        return found

    def spread(self, factor: NDArray[Any], first: int = 0, last: int | None = None) -> NDArray[Any]:
        """What `factor` has for each column, for each of a range of outputs."""
        if self.repeat is None:
            return factor[first:last]
        spread: NDArray[Any] = factor[self.column(np.arange(first, len(self) if last is None else last))[0]]
        return spread


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
    def covers(self) -> bool:
        """Whether each window covers an element."""
        return all(table.fewest > 0 for table in self.tables)

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

    def picked(self, *, middle: bool) -> "PlaneWindows":
        """As the function `picked`, of each pooled axis."""
        lo = tuple(lo + count // 2 * middle for lo, count in zip(self.lo, self.count, strict=True))
        return replace(self, lo=lo, count=tuple(np.minimum(count, 1) for count in self.count))

    def inverse(self) -> tuple[tuple[Integers, ...], tuple[Integers, ...]]:
        """First and number of the windows that cover each element; of the shape (sets, elements) an axis."""
        found = [_covering(*each) for each in zip(self.plane, self.lo, self.count, strict=True)]
        first, number = zip(*found, strict=True)
        return first, number


def _remember_small(build: Callable[..., Axis]) -> Callable[..., Axis]:
    """Keep the tables that `build` makes, keyed by its arguments, unless `length` (the first) is large."""
    remembered = lru_cache(maxsize=512)(build)

    def table(length: int, *arguments: Any) -> Axis:
        return (remembered if length <= WRITTEN else build)(length, *arguments)

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
    *,
    written: int = WRITTEN,
) -> Axis:
    """Windows of one length at a regular distance; of more than `written`, those that are alike repeat.

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
    first, last = -(-before // stride), (n + before - dilation * (window - 1) - 1) // stride  # whole windows
    times = max(0, min(last, length - 1) - first) if length > written else 0
    axis = _sliding(length - times, n - times * stride, window, stride, before, after, dilation)
    if times:
        axis = replace(axis, size=n, repeat=Repeat(first, 1, times, stride))
    if axis.fewest < 1:
        column = int(np.argmin(axis.columns[1]))
        empty = column + times if column > first else column
        raise ValueError(
            f"window {empty}, which starts at {empty * stride - before} with {window} taps and dilation "
            f"{dilation}, covers no element of length {n}"
        )
    return axis


@_remember_small
def _sliding(length: int, n: int, window: int, stride: int, before: int, after: int, dilation: int) -> Axis:
    start = np.arange(length, dtype=np.int64) * stride - before
    skipped = -(np.minimum(start, 0) // dilation)  # taps before the input
    taps = np.minimum(window, -((start - n) // dilation))  # taps before its end
    extent = np.minimum(window, -((start - n - after) // dilation))
    return table(n, start + skipped * dilation, taps - skipped, extent, dilation, (window, stride, before))


def adaptive(n: int, outputs: int, *, written: int = WRITTEN) -> Axis:
    """`outputs` bins ``[floor(i n / outputs), ceil((i + 1) n / outputs))`` over the whole axis."""
    if n < 1:
        raise ValueError("an axis of length 0 cannot be pooled")
    _check_length(outputs, n)
    times = math.gcd(n, outputs)
    if outputs <= written or times == 1:
        return _adaptive(outputs, n)
    period, advance = outputs // times, n // times
    regular = None if n % outputs else (advance, advance, 0)
    return replace(
        _adaptive(period, advance), size=n, regular=regular, repeat=Repeat(0, period, times - 1, advance)
    )


@_remember_small
def _adaptive(outputs: int, n: int) -> Axis:
    i = np.arange(outputs, dtype=np.int64)
    whole, rest = divmod(n, outputs)  # i n / outputs = i whole + i rest / outputs, without overflow
    lo = i * whole + i * rest // outputs
    hi = (i + 1) * whole - (-(i + 1) * rest // outputs)
    return table(n, lo, hi - lo, hi - lo, 1, None if rest else (whole, whole, 0))


def segments(n: int, offsets: Integers) -> Axis:
    """Windows side by side, of any lengths, that begin and end at `offsets`; some may be empty."""
    count, regular = np.diff(offsets), None
    if count.size and offsets[0] == 0 < count[0] and (count == count[0]).all():
        length = int(count[0])
        regular = (length, length, 0) if count.size == n // length else None  # as many as there may be
    # Kernels read an element of each window, of those without one as well.
    return table(n, np.minimum(offsets[:-1], n - 1), count, count, 1, regular)


def picked(axis: Axis, *, middle: bool) -> Axis:
    """One element of each window: the first, or the one with the number ``count // 2``."""
    lo, count, _ = axis.columns
    one = np.minimum(count, 1)
    found = replace(
        table(axis.size, lo + count // 2 * axis.step * middle, one, one, axis.step), repeat=axis.repeat
    )
    every = evenly(found)
    if every and every.start == 0 and len(axis) == -(-axis.size // every.step):  # as many as there may be
        return replace(found, regular=(1, every.step, 0))
    return found


def evenly(axis: Axis) -> slice | None:
    """The elements of windows of one element; None where they are not at one distance, in ascending order."""
    lo, count, _ = axis.columns
    if not count.size or not count.all():
        return None
    apart, repeat = np.diff(lo), axis.repeat
    step = int(apart[0]) if apart.size else repeat.advance // repeat.period if repeat else 1
    if step < 1 or (apart != step).any() or (repeat and repeat.advance != repeat.period * step):
        return None
    return slice(int(lo[0]), int(lo[0]) + (len(axis) - 1) * step + 1, step)


def inverse(axis: Axis) -> Axis:
    """For each input the outputs that cover it: the table that backward gathers over."""
    regular = None
    if axis.regular and axis.step == 1 and axis.regular[1] == 1:  # at stride 1 a sliding window as well
        window, _, before = axis.regular
        regular = (window, 1, window - 1 - before)
    found = _repeated_inverse(axis) if axis.repeat else None
    if found is None:
        whole = axis if axis.repeat is None else replace(axis, columns=axis.at(0, len(axis)), repeat=None)
        found = _inverse(max(len(axis), axis.size), whole)
    return replace(found, regular=regular) if regular else found


def _repeated_inverse(axis: Axis) -> Axis | None:
    """The inverse of a table that repeats, which does so too; None where it does not do so often enough.

    It is that of a shorter table, of which the inputs that neither end of the table reaches repeat.
    """
    if axis.repeat is None:
        return None
    first, period, times, advance = axis.repeat
    lo, count, _ = axis.columns
    ends = lo + (count - 1) * axis.step + 1
    own = slice(first, first + period)
    # Inputs from `begin` on are covered by what repeats alone, and would be if it had done so before as well.
    begin = max(int(lo[first]), int(ends[own].max()) - advance, int(ends[:first].max(initial=0)))
    turns = axis.step // math.gcd(advance, axis.step)  # until the inputs have the same residue again
    after = min(int(lo[first]) + advance, int(lo[first + period :].min(initial=lo[first] + advance)))
    after = min(after, axis.size - times * advance)
    kept = max(0, -(-(begin + turns * advance - after) // advance))
    fewer = (times - kept) // turns * turns
    if fewer <= 0:
        return None
    less = replace(axis, repeat=axis.repeat._replace(times=times - fewer))
    shorter = replace(less, size=axis.size - fewer * advance, columns=less.at(0, len(less)), repeat=None)
    found = _inverse(max(len(shorter), shorter.size), shorter)
    repeat = Repeat(begin, turns * advance, fewer // turns, turns * period)
    return replace(found, size=len(axis), repeat=repeat)


@_remember_small
def _inverse(length: int, axis: Axis) -> Axis:
    axis_lo, last = axis.bounds
    residue = axis_lo % axis.step
    again = np.flatnonzero(residue == residue[0])
    period = int(again[1]) if again.size > 1 else len(axis)
    lo, count = np.zeros((2, axis.size), np.int64)
    for first in range(period):  # outputs of one residue see the same elements, in steps
        inputs = np.arange(residue[first], axis.size, axis.step)
        begin = np.searchsorted(last[first::period], inputs, "left")
        end = np.searchsorted(axis_lo[first::period], inputs, "right")
        count[inputs] = np.maximum(end - begin, 0)
        lo[inputs] = np.where(end > begin, first + begin * period, 0)
    return table(len(axis), lo, count, count, period)


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
    """Per axis a factor of the divisor for each column of its table; the divisor is their product."""
    if override is None:
        return tuple(table.columns[2 if count_include_pad else 1] for table in tables)
    first, *others = (np.ones(table.columns.shape[1], np.int64) for table in tables)
    return (first * override, *others)


def averages_fit(tables: Sequence[Axis], factors: Sequence[Integers]) -> bool:
    """Whether no divisor is below the number of its window's elements: averages are then among these."""
    each = all((factor >= table.columns[1]).all() for table, factor in zip(tables, factors, strict=True))
    least = math.prod(int(factor.min()) for factor in factors)
    return each or least >= math.prod(table.most for table in tables)


def divisor_grid(
    factors: Sequence[Integers], tables: Sequence[Axis], axes: Sequence[int], ndim: int
) -> Integers:
    """The divisor of every window, in a shape that broadcasts against the output."""
    shaped = (
        table.spread(factor).reshape(tuple(-1 if axis == own else 1 for own in range(ndim)))
        for axis, table, factor in zip(axes, tables, factors, strict=True)
    )
    return math.prod(shaped, start=np.ones((1,) * ndim, np.int64))


def _check_length(length: int, n: int) -> None:
    if length >= 2**31 and length > 2 * n:
        raise ValueError(f"{length} outputs from an axis of length {n} are more than this version makes")


def table(
    size: int,
    lo: Integers,
    count: Integers,
    extent: Integers,
    step: int,
    regular: tuple[int, int, int] | None = None,
) -> Axis:
    """An axis with a column for each output."""
    columns = np.stack([lo, count, extent])
    columns.setflags(write=False)
    return Axis(size, columns, step, regular)
