"""Padding that holds elements of the input: `border=`.

The input is copied with its border, and the call is that of the copy. What it tells of places is then looked
up in a table, and its gradient is folded: the border's part goes to the elements that it repeats.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import arrays, checks, jobs, missing_jobs, ways, windows
from .arrays import Array
from .jobs import Along, Job
from .missing import Missing
from .unpooling import unpool
from .windows import Integers

WORDS = ("reflect", "mirror", "edge", "wrap")
Words = tuple[str | None, ...]


def checked(border: Any, count: int) -> Words:
    """One of `WORDS`, or None, for each pooled axis."""
    given = checks.entries("border", border, count)
    return tuple(None if word is None else checks.choice("border", word, WORDS) for word in given)


def places(word: str, n: int, before: int, after: int) -> Integers:
    """The elements of an axis with its border.

    Examples
    --------
    >>> from fastpool.borders import places
    >>> places("reflect", 3, 4, 4)
    array([2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0])
    >>> places("mirror", 3, 4, 4)
    array([0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2])
    """
    place = np.arange(-before, n + after)
    if word == "edge":
        return np.clip(place, 0, n - 1)
    if word == "wrap":
        return place % n
    period = 2 * n if word == "reflect" else max(2 * n - 2, 1)
    place %= period
    return np.minimum(place, period - (word == "reflect") - place)


def centred(own: Along, word: str | None) -> Along:
    """The windows along an axis, with the padding that centres them where they have a border and none."""
    if word is None or own.stride != 1 or own.padding != (0, 0):
        return own
    before = own.dilation * (own.window // 2)
    return own._replace(padding=(before, own.dilation * (own.window - 1) - before))


def read(own: Along, *, ceil: bool) -> int:
    """The padding after an axis that its windows read, of `Along.padding`."""
    before, after = own.padding
    outputs = windows.output_length(own.n, own.window, own.stride, before, after, own.dilation, ceil)
    end = (outputs - 1) * own.stride + own.dilation * (own.window - 1) + 1
    return max(min(after, end - own.n - before), 0)


def extended(
    x: Array, window: Any, stride: Any, padding: Any, dilation: Any, axes: Any, *, ceil: bool, border: Any
) -> tuple[Border, list[Along]]:
    """The border of an array, and the windows along the axes with it, in the order of the arguments."""
    given = jobs.along(x, window, stride, padding, dilation, axes)
    words, tables, found = checked(border, len(given)), {}, []
    for plain, word in zip(given, words, strict=True):
        own = plain if isinstance(padding, str) else centred(plain, word)
        if word is not None and own.padding != (0, 0):
            if own.n < 1:
                raise ValueError(f"axis {own.axis} of x: an axis of length 0 cannot be pooled")
            before, after = own.padding[0], read(own, ceil=ceil)
            tables[own.axis] = places(word, own.n, before, after), before
            own = own._replace(n=before + own.n + after, padding=(0, 0))
        found.append(own)
    return Border(x.shape, tables), found


class Border:
    """The border of an array.

    Parameters
    ----------
    shape : tuple of int
        Of the array without it.
    tables : dict
        Of each axis with a border the elements, and how many come before the first.
    """

    def __init__(self, shape: Sequence[int], tables: dict[int, tuple[Integers, int]]) -> None:
        self.shape, self.tables = tuple(shape), tables

    def spread(self, array: Array) -> Array:
        """The array with its border; axes of one element, which broadcast, as they are."""
        for axis, (table, _) in self.tables.items():
            own = self._own(array, axis)
            if own is not None:
                array = arrays.gathered(array, table, own)
        return array

    def folded(self, gradient: Array) -> Array:
        """A gradient for the array with its border, as one for the array."""
        dtype = gradient.dtype
        for axis, (table, before) in self.tables.items():
            own = self._own(gradient, axis, len(table))
            if own is None:
                continue
            n = self.shape[axis]
            part = partial(_along, axis=own)
            total = part(gradient, before, n).astype(np.result_type(np.float32, dtype))
            for place, element, length, step in runs(table, before, n):
                arrays.accumulate(part(total, element, length, step), part(gradient, place, length))
            gradient = total
        return arrays.cast(gradient, dtype)

    def missing(self, missing: Missing | None) -> Missing | None:
        """What a call says of missing data, of the array with its border."""
        if missing is None or not self.tables:
            return missing
        where, weights = (
            each if each is None else self.spread(each) for each in (missing.where, missing.weights)
        )
        return missing._replace(where=where, weights=weights)

    def table(self, axis: int) -> Integers:
        """The elements of an axis with its border, if it has one."""
        return self.tables[axis][0] if axis in self.tables else np.arange(self.shape[axis])

    def looked_up(self, indices: Array, axes: Sequence[int]) -> Array:
        """Places in a plane of the array for those in one with the border."""
        if not self.tables:
            return indices
        plane = [self.shape[axis] for axis in axes]
        found = arrays.looked_up(in_plane([self.table(axis) for axis in axes], plane), indices)
        return arrays.cast(found, jobs.plane_dtype(plane))

    def _own(self, array: Array, axis: int, length: int | None = None) -> int | None:
        """Which axis of an array that broadcasts to ours is one of ours, if it has it in full."""
        own = array.ndim - len(self.shape) + axis
        n = self.shape[axis] if length is None else length
        return None if own < 0 or array.shape[own] != n else own


@dataclass(frozen=True)
class Call:
    """A checked call over the input with its border; `job` is of that."""

    border: Border
    job: Job

    def forward(
        self, x: Array, missing: Missing | None, return_indices: object, out: object, dtype: Any
    ) -> Any:
        """The result, or the pair of result and indices."""
        tape, noted = jobs.tape_for(self.job.operator), ways.ASKED.get()
        options = {"return_indices": return_indices, "out": out, "dtype": dtype}
        spread, own = self.border.spread(x), self.border.missing(missing)
        found, pull = missing_jobs.part_of_call(self.job, spread, own, recorded=tape is not None, **options)
        if tape is not None:
            tape.append(partial(self._pull, pull))
        if noted and self.border.tables:
            noted[-1] = noted[-1]._replace(x=x, way=ways.extended(noted[-1].way))
        if not isinstance(found, tuple):
            return found
        return found[0], self.border.looked_up(found[1], self.job.geometry.axes)

    def _pull(self, pull: jobs.Pull, gy: object, *, params: bool = False) -> Any:
        """As `jobs.pull`."""
        found = pull(gy, params=params)
        if not checks.boolean("params", params):
            return self.border.folded(found)
        gx, slopes = found
        if "weights" in slopes:
            slopes["weights"] = self.border.folded(slopes["weights"])
        return self.border.folded(gx), slopes

    def backward(self, gy: object, x: Array, missing: Missing | None, indices: object) -> Array:
        """The gradient for `x`, with a caller's indices or without."""
        if indices is None or not self.border.tables:
            spread, own = self.border.spread(x), self.border.missing(missing)
            return self.border.folded(missing_jobs.backward(self.job, gy, spread, own, indices))
        gradient = jobs.checked_gradient(gy, self.job.shape)
        own_indices = None
        if missing is not None:
            with jobs.unrecorded():
                own_indices = self.forward(x, missing, True, None, None)[1]
        axes = self.job.geometry.axes
        given = checked_indices(indices, self.job, self.border, own_indices)
        flat = arrays.positions(np.maximum(arrays.to_host(given), 0), [self.border.shape[a] for a in axes])
        outside = np.zeros(self.job.shape, bool)
        for axis, table, position in zip(axes, self.job.geometry.tables, flat, strict=True):
            first, count, _ = table.at(0, len(table))
            within = np.zeros(self.job.shape, bool)
            for tap in range(table.most):
                place = np.minimum(first + tap * table.step, table.size - 1)
                element = np.where(tap < count, self.border.table(axis)[place], -1)
                within |= position == element.reshape([-1 if own == axis else 1 for own in range(x.ndim)])
            outside |= ~within
        check_within(given, outside)
        return sent(gradient, given, x, axes)


def checked_indices(indices: object, job: Job, border: Border, own: Array | None) -> Array:
    """A caller's indices as int64, -1 where our `own` are, if there are windows without enough elements."""
    jobs.check_chooses("indices are", job.operator)
    limit = math.prod(border.shape[axis] for axis in job.geometry.axes)
    given = jobs.checked_indices("indices", indices, job.shape, limit, least=0 if own is None else -1)
    if own is not None and ((arrays.to_host(given) < 0) != (arrays.to_host(own) < 0)).any():
        raise ValueError(jobs.OUTSIDE)
    return given


def check_within(given: Array, outside: NDArray[np.bool_]) -> None:
    """ValueError for indices outside their windows; -1 is of those that have none."""
    if (outside & (arrays.to_host(given) >= 0)).any():
        raise ValueError(jobs.OUTSIDE)


def sent(gy: Array, indices: Array, x: Array, axes: Sequence[int]) -> Array:
    """Gradients to the elements that indices name, those of -1 nowhere, as a gradient for `x`."""
    floating = next((a.dtype for a in (x, gy) if arrays.is_float(a.dtype)), np.dtype(np.float64))
    if not gy.size:
        return arrays.zeros(x.shape, floating, x)
    wide, numbers = arrays.copied(arrays.cast(gy, np.float64)), arrays.copied(arrays.cast(indices, np.int64))
    counts = arrays.copied(numbers)
    arrays.accumulate(counts, arrays.full(counts.shape, np.int64, 1, counts))
    arrays.backend(x).settle(counts, 1, None, [(wide, 0), (numbers, 0)])
    with jobs.unrecorded():
        found = unpool(wide, numbers, x.shape, axes=axes, duplicates="sum")
    return arrays.cast(found, floating)


def in_plane(positions: Sequence[Integers], plane: Sequence[int]) -> Integers:
    """Flat positions in a plane, of all combinations of positions along its axes."""
    flat = np.zeros((), np.int64)
    for position, n in zip(positions, plane, strict=True):
        flat = flat[..., None] * n + position
    return flat.reshape(-1)


def runs(table: Integers, before: int, n: int) -> Iterator[tuple[int, int, int, int]]:
    """The border in runs of elements side by side: place, first element, length and step."""
    for begin, end in ((0, before), (before + n, len(table))):
        place, own = begin, table[begin:end]
        while own.size:
            steps = np.diff(own[: n + 1])
            step = int(steps[0]) if steps.size else 1
            ends = np.flatnonzero(steps != step)
            length = int(ends[0]) + 1 if ends.size else len(steps) + 1
            if abs(step) != 1:
                step, length = 1, 1
            yield place, int(own[0]), length, step
            place, own = place + length, own[length:]


def _along(array: Array, start: int, length: int, step: int = 1, *, axis: int) -> Array:
    """A view of elements along an axis."""
    starts, lengths, steps = [0] * array.ndim, list(array.shape), [1] * array.ndim
    starts[axis], lengths[axis], steps[axis] = start, length, step
    return arrays.cut(array, starts, lengths, steps)
