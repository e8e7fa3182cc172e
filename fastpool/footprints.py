"""Windows of any form: `footprint=`; and what a call with it or with `border=` comes to.

The elements of all windows at one place of the footprint are a view of the input by strides. A chunk of
windows is copied place by place into the rows of an array, whose columns any operator reduces. Gradients
return the same way: row by row they are added to what the views see.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import arrays, borders, checks, jobs, kinds, missing_jobs, random, ways
from .arrays import Array
from .borders import Border
from .jobs import Along, Job, Kept
from .missing import ALL, Missing, Whole, fill_value
from .operators import OPERATORS
from .windows import Integers

# Bytes of a chunk's elements.
ON_HOST = 1 << 22  # what caches hold
ON_DEVICE = 1 << 26  # what a launch wants


def call(
    x: object,
    op: Any,
    window: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: object,
    axes: Any,
    op_params: dict[str, Any],
    border: Any,
    footprint: Any,
) -> tuple[Array, borders.Call | Call]:
    """The input and the call with sliding windows of which a border or a footprint was given."""
    row, array = jobs.operands(op, x)
    ceil = checks.boolean("ceil_mode", ceil_mode)
    border_of, around = borders.extended(
        array, window, stride, padding, dilation, axes, ceil=ceil, border=border
    )
    mask = checked(footprint, [own.window for own in around])
    if mask is not None and row.testing:
        op_params = op_params | {"rng": random.Draws(*random.seed_of(op_params.get("rng")))}
    numbers = zip(
        *((own.window, own.stride, own.padding, own.dilation, own.axis) for own in around), strict=True
    )
    lengths, strides, pads, steps, pooled = map(tuple, numbers)
    like = border_of.spread(array)
    job = jobs.sliding(like, op, lengths, strides, pads, steps, ceil, pooled, op_params)[1]
    if mask is None:
        return array, borders.Call(border_of, job)
    order = np.argsort(pooled)
    around = [around[number] for number in order]
    steps = tuple(own.dilation for own in around)
    taps = np.argwhere(mask.transpose(order)) * np.array(steps)
    found = Call(op, op_params, border_of, job, tuple(around), taps)
    if row.picks and (found.pads or any(found.beyond)):
        raise ValueError(
            "padding and ceil_mode must keep each window inside the input, or its border, where op='nearest' "
            f"has a footprint; got padding={padding!r} and ceil_mode={ceil}"
        )
    return array, found


def checked(footprint: Any, window: list[int]) -> NDArray[np.bool_] | None:
    """A footprint for a window of these lengths; None where the whole window is one."""
    if footprint is None:
        return None
    allowed = f"footprint must be a bool array of the window's shape, {tuple(window)}, with a True element"
    listed = isinstance(footprint, np.ndarray | list | tuple)
    if isinstance(footprint, np.ma.MaskedArray) or not (listed or kinds.of(footprint)):
        raise TypeError(f"{allowed}, got {type(footprint).__name__}")
    try:
        mask = np.asarray(footprint if listed else footprint.tolist())
    except ValueError:
        raise ValueError(f"{allowed}, got {footprint!r}") from None
    if mask.dtype != np.bool_:
        raise TypeError(f"{allowed}, got one of {mask.dtype}")
    if mask.shape != tuple(window):
        raise ValueError(f"{allowed}, got shape {mask.shape}")
    if not mask.any():
        raise ValueError(f"{allowed}, got one without")
    return None if mask.all() else mask.copy()


class Chunk(NamedTuple):
    """Windows side by side: the first, and how many, along planes and pooled axes; and the first of all."""

    first: tuple[int, ...]
    lengths: tuple[int, ...]
    begin: int

    @property
    def end(self) -> int:
        """Number of the first window behind it."""
        return self.begin + math.prod(self.lengths)


@dataclass(frozen=True)
class Call:
    """A checked call with a footprint.

    Attributes
    ----------
    op, op_params
        As the caller gave them.
    border : Border
    job : Job
        Of windows with all of their elements, over the input with its border.
    along : tuple of Along
        These windows along each pooled axis, in ascending order.
    taps : ndarray of int64, of the shape (elements of the footprint, pooled axes)
        How far each one is from the first element of the window.
    """

    op: str
    op_params: dict[str, Any]
    border: Border
    job: Job
    along: tuple[Along, ...]
    taps: Integers

    @property
    def axes(self) -> tuple[int, ...]:
        """The pooled axes."""
        return self.job.geometry.axes

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The input's axes with the pooled ones last."""
        return (*(axis for axis in range(len(self.job.shape)) if axis not in self.axes), *self.axes)

    @cached_property
    def windows(self) -> tuple[int, ...]:
        """Number of planes, and of windows along each pooled axis."""
        shape = [self.job.shape[axis] for axis in self.order]
        kept = len(shape) - len(self.axes)
        return (math.prod(shape[:kept]), *shape[kept:])

    @cached_property
    def beyond(self) -> tuple[int, ...]:
        """Along each pooled axis what windows reach of the overhang of `ceil_mode`."""
        found = []
        for own, count in zip(self.along, self.windows[1:], strict=True):
            end = (count - 1) * own.stride + own.dilation * (own.window - 1) + 1
            found.append(max(end - own.n - sum(own.padding), 0))
        return tuple(found)

    @property
    def pads(self) -> bool:
        """Whether there is padding without elements."""
        return any(own.padding != (0, 0) for own in self.along)

    # Forward ------------------------------------------------------------------------------------------------

    def forward(
        self, x: Array, missing: Missing | None, return_indices: object, out: object, dtype: Any
    ) -> Any:
        """The result, or the pair of result and indices."""
        row = self.job.operator
        indexed = jobs.wants_indices(row, return_indices)
        weighed = missing is not None and missing.weights is not None
        target = arrays.result_dtype(row, x.dtype, dtype, weighed=weighed)
        if out is not None:
            arrays.result(out, self.job.shape, target, x)
        if missing is None:
            self._check_covers()
        else:
            fill_value(missing, row, target)
        tape = jobs.tape_for(row)
        if self._mixes(missing):
            result = self._mixed(x, target, tape)
        else:
            chosen = indexed or (tape is not None and row.backward == "chosen")
            result, indices = self._reduced(x, missing, target, chosen=chosen)
            if tape is not None:
                kept = arrays.copied(indices) if indexed and indices is not None else indices
                tape.append(partial(self._pull, Kept.of(x), missing, kept))
        if out is not None and ways.ASKED.get() is None:
            arrays.assign(out, result)  # type: ignore[arg-type]
        y = result if out is None else out
        return (y, indices) if indexed else y

    def _reduced(
        self, x: Array, missing: Missing | None, target: np.dtype[Any], *, chosen: bool
    ) -> tuple[Array, Array | None]:
        """The result and, where an element is chosen, the indices."""
        count, kind = math.prod(self.windows), jobs.plane_dtype([self.border.shape[a] for a in self.axes])
        values = arrays.empty((count,), target, x)
        indices = arrays.empty((count,), kind, x) if chosen else None
        parts, chunks = Parts(self, x, missing), list(self.chunks(x))
        if ways.ASKED.get() is not None:
            words = f"{ways.in_words(self.job.geometry.tables)}, {len(self.taps)} elements of each"
            way = partial(self._way, parts, chunks, target)
            ways.note(self.job.operator.name, words, x, values, indices, way)
            chunks = []
        with jobs.unrecorded():
            for chunk in chunks:
                stack, job, own = parts.of(chunk, indexed=chosen)
                found = missing_jobs.forward(job, stack, own, return_indices=chosen, dtype=target)
                if indices is None:
                    _fill(values, chunk, found)
                    continue
                _fill(values, chunk, found[0])
                _fill(indices, chunk, arrays.looked_up(self._elements(chunk), arrays.cast(found[1], kind)))
        return self._as_result(values), None if indices is None else self._as_result(indices)

    def _way(self, parts: Parts, chunks: list[Chunk], target: np.dtype[Any]) -> ways.Way:
        """How the first chunk is reduced, which is how the others are."""
        with ways.asking() as asked, jobs.unrecorded():
            stack, job, own = parts.of(chunks[0], indexed=False)
            missing_jobs.forward(job, stack, own, dtype=target)
        return ways.stacked(asked[0].way, len(chunks))

    def _as_result(self, flat: Array) -> Array:
        """Numbers of all windows, planes first, as the result has its axes."""
        shape = [self.job.shape[axis] for axis in self.order]
        back = tuple(int(axis) for axis in np.argsort(self.order))
        return arrays.contiguous(flat.reshape(shape).transpose(back))

    def chunks(self, x: Array) -> Iterator[Chunk]:
        """All windows, planes first, so many at a time that their elements fit memory."""
        room = ON_DEVICE if arrays.on_device(x) else ON_HOST
        most = max(room // (len(self.taps) * x.dtype.itemsize), 1)
        shape = self.windows
        cut = next(n for n in range(len(shape)) if math.prod(shape[n + 1 :]) <= most)
        inner, begin = shape[cut + 1 :], 0
        step = max(most // max(math.prod(inner), 1), 1)
        for lead in itertools.product(*map(range, shape[:cut])):
            for first in range(0, shape[cut], step):
                lengths = (*(1,) * cut, min(step, shape[cut] - first), *inner)
                chunk = Chunk((*lead, first, *(0,) * len(inner)), lengths, begin)
                begin = chunk.end
                yield chunk

    def _elements(self, chunk: Chunk) -> Integers:
        """Flat positions in the plane of the elements of a chunk's windows, as they are stacked."""
        plane, tables = [self.border.shape[axis] for axis in self.axes], map(self.border.table, self.axes)
        along = []
        for own, table, tap, first, count in zip(
            self.along, tables, self.taps.T, chunk.first[1:], chunk.lengths[1:], strict=True
        ):
            place = tap[:, None] + np.arange(first, first + count) * own.stride - own.padding[0]
            along.append(table[np.clip(place, 0, own.n - 1)])
        return np.concatenate([borders.in_plane(each, plane) for each in zip(*along, strict=True)])

    def named(self, chunk: Chunk, place: Sequence[int]) -> tuple[int, ...]:
        """Where in the result a window of a chunk is."""
        flat = chunk.begin + place[-2] * math.prod(chunk.lengths[1:]) + place[-1]
        shape = [self.job.shape[axis] for axis in self.order]
        found = dict(zip(self.order, map(int, arrays.positions(np.array(flat), shape)), strict=True))
        return tuple(found[axis] for axis in range(len(shape)))

    def _check_covers(self) -> None:
        """ValueError where the footprint of a window covers no element."""
        inside, ends = [], []
        for own, tap, count in zip(self.along, self.taps.T, self.windows[1:], strict=True):
            begin, last = own.padding[0], own.padding[0] + own.n - 1 - own.dilation * (own.window - 1)
            some = {
                *range(min(-(-begin // own.stride) + 1, count)),
                *range(max(last // own.stride, 0), count),
            }
            first = np.array(sorted(some))  # windows at both ends; the others lie within
            place = first * own.stride + tap[:, None] - begin
            inside.append((place >= 0) & (place < own.n))
            ends.append(first)
        if all(each.all() for each in inside):
            return
        covered = np.zeros([len(each) for each in ends], bool)
        for each in zip(*inside, strict=True):
            covered |= functools.reduce(np.multiply.outer, each)
        if not covered.all():
            window = tuple(int(each[n]) for each, n in zip(ends, np.argwhere(~covered)[0], strict=True))
            raise ValueError(f"footprint must cover an element in each window, window {window} has none")

    # Backward -----------------------------------------------------------------------------------------------

    def backward(self, gy: object, x: Array, missing: Missing | None, indices: object) -> Array:
        """The gradient for `x`, with a caller's indices or without."""
        jobs.check_has_gradient(self.job.operator)
        if missing is None:
            self._check_covers()
        chosen = None if indices is None else self._checked_indices(indices, x, missing)
        if not self._mixes(missing):
            return self._backward(jobs.checked_gradient(gy, self.job.shape), x, missing, chosen)[0]
        tape: list[jobs.Pull] = []
        self._mixed(x, np.dtype(np.float64), tape)
        gx: Array = tape[0](gy)
        return gx

    def _pull(
        self, kept: Kept, missing: Missing | None, chosen: Array | None, gy: object, *, params: bool = False
    ) -> Any:
        """As `jobs.pull`."""
        gradient, wanted = jobs.checked_gradient(gy, self.job.shape), checks.boolean("params", params)
        x = kept.beside(gradient)
        own = chosen if chosen is None else arrays.beside(chosen, gradient)
        gx, slopes = self._backward(gradient, x, missing, own, wanted=wanted)
        return (gx, slopes) if wanted else gx

    def _backward(
        self, gy: Array, x: Array, missing: Missing | None, chosen: Array | None, *, wanted: bool = False
    ) -> tuple[Array, dict[str, Any]]:
        """The gradients for `x` and, where wanted, for the parameters."""
        if self.job.operator.backward == "chosen":
            if chosen is None:
                target = arrays.result_dtype(self.job.operator, x.dtype, None)
                chosen = self._reduced(x, missing, target, chosen=True)[1]
            assert chosen is not None
            return borders.sent(gy, chosen, x, self.axes), {}
        parts, g = Parts(self, x, missing), arrays.contiguous(gy.transpose(self.order))
        flat, slopes = g.reshape((g.size,)), []
        total, others = parts.zeros(parts.x), None if parts.weights is None else parts.zeros(parts.weights)
        for chunk in self.chunks(x):
            stack, job, own = parts.of(chunk, indexed=False)
            gradient = arrays.last_part(flat, chunk.begin, chunk.end).reshape(job.shape)
            found, slope = missing_jobs.pull(job, Kept.of(stack), own, None, gradient, params=True)
            parts.add(total, found, chunk)
            if others is not None:
                parts.add(others, slope["weights"], chunk)
            slopes.append(slope)
        floating = next((a.dtype for a in (x, gy) if arrays.is_float(a.dtype)), np.dtype(np.float64))
        gx = arrays.cast(self.border.folded(parts.back(total)), floating)
        if not wanted:
            return gx, {}
        added = {
            name: arrays.added([each[name] for each in slopes]) for name in slopes[0] if name != "weights"
        }
        if others is not None and missing is not None and missing.weights is not None:
            slope = self.border.folded(parts.weights_back(others))
            added["weights"] = arrays.cast(slope, missing_jobs.floating_of(missing.weights))
        return gx, added

    def _checked_indices(self, indices: object, x: Array, missing: Missing | None) -> Array:
        """A caller's indices, each an element of its own window."""
        own = None
        if missing is not None:
            own = self._reduced(x, missing, x.dtype, chosen=True)[1]
        given = borders.checked_indices(indices, self.job, self.border, own)
        host, within = arrays.to_host(given), np.zeros(self.job.shape, bool)
        for tap in self.taps:
            element, inside = np.zeros((), np.int64), np.ones((), bool)
            for own_axis, shift, count in zip(self.along, tap, self.windows[1:], strict=True):
                along = [-1 if axis == own_axis.axis else 1 for axis in range(host.ndim)]
                place = shift + np.arange(count) * own_axis.stride - own_axis.padding[0]
                table = self.border.table(own_axis.axis)
                each = table[np.clip(place, 0, own_axis.n - 1)].reshape(along)
                element = element * self.border.shape[own_axis.axis] + each
                inside = inside & ((place >= 0) & (place < own_axis.n)).reshape(along)
            within |= inside & (host == element)
        borders.check_within(given, ~within)
        return given

    # Means beside maxima ------------------------------------------------------------------------------------

    def _mixes(self, missing: Missing | None) -> bool:
        """Whether a maximum of elements is mixed with a mean that counts more, or fewer, than these."""
        given = self.op_params
        counts = self.pads and given.get("count_include_pad", True)
        outside = self.pads or any(self.beyond)
        mixed = self.job.operator.name == "mixed" and missing is None
        return mixed and (counts or (outside and given.get("divisor_override") is not None))

    def _mixed(self, x: Array, target: np.dtype[Any], tape: list[jobs.Pull] | None) -> Array:
        """``alpha max + (1 - alpha) avg``, from a call of each; the way back is left on the tape."""
        rest = dict(self.op_params)
        rest.pop("alpha", None)
        alpha, wide = float(self.job.params[0]), np.dtype(np.float64)
        calls = [
            replace(self, op=op, op_params=params, job=replace(self.job, operator=OPERATORS[op]))
            for op, params in (("max", {}), ("avg", rest))
        ]
        with jobs.recording() as pulls:
            most, mean = (each.forward(x, None, False, None, wide) for each in calls)

        def mixed(a: Array, b: Array) -> Array:
            total = arrays.copied(arrays.times(a, alpha))
            arrays.accumulate(total, arrays.times(b, 1 - alpha))
            return total

        def pull(gy: object, *, params: bool = False) -> Any:
            sent = [arrays.cast(each(gy), wide) for each in pulls]
            gx = arrays.cast(mixed(*sent), missing_jobs.floating_of(x))
            if not checks.boolean("params", params):
                return gx
            apart = arrays.copied(most)
            arrays.accumulate(apart, arrays.times(mean, -1))
            return gx, {"alpha": arrays.inner(jobs.checked_gradient(gy, self.job.shape), apart)}

        if tape is not None:
            tape.append(pull)
        return arrays.cast(mixed(most, mean), target)


class Parts:
    """What the windows of a call read, chunk by chunk.

    Attributes
    ----------
    x, where, weights : Array or None
        Planes, of one axis, and of pooled axes with padding; `where` may have one plane for all.
    """

    def __init__(self, call: Call, x: Array, missing: Missing | None) -> None:
        self.call, self.shape = call, call.job.geometry.shape
        self.missing = call.border.missing(missing)
        self.x, self.where, self.weights = self._padded(call.border.spread(x)), None, None
        given, averages = dict(call.op_params), call.job.operator.averages
        include = given.pop("count_include_pad", True) and averages and call.pads and missing is None
        override = averages and given.get("divisor_override") is not None
        self.op_params = given
        if self.missing is not None and self.missing.where is not None:
            self.where = self._padded(self.missing.where)
        elif (call.pads and not include) or any(call.beyond):
            self.where = None if override else self._inside(padding=include)
        if self.missing is not None and self.missing.weights is not None:
            self.weights = self._padded(arrays.spread_to(self.missing.weights, self.shape, "weights"))

    def _padded(self, array: Array) -> Array:
        """An array as planes with padding, of zeros."""
        call = self.call
        plane = [own.n for own in call.along]
        planes = array.transpose(call.order).reshape((call.windows[0], *plane))
        if not call.pads and not any(call.beyond):
            return planes
        padded = arrays.zeros(self._lengths(call.windows[0]), array.dtype, array)
        arrays.assign(self._middle(padded, plane), planes)
        return padded

    def _lengths(self, planes: int) -> tuple[int, ...]:
        along = zip(self.call.along, self.call.beyond, strict=True)
        return (planes, *(own.n + sum(own.padding) + beyond for own, beyond in along))

    def _middle(self, padded: Array, lengths: Sequence[int], *, padding: bool = False) -> Array:
        """What the input is of an array with padding; or, of that too, all but the overhang."""
        starts = [0 if padding else own.padding[0] for own in self.call.along]
        shape = (padded.shape[0], *lengths)
        return arrays.cut(padded, (0, *starts), shape, (1,) * len(shape))

    def _inside(self, *, padding: bool) -> Array:
        """One plane of bool: where the input is, or that and its padding."""
        lengths = [own.n + padding * sum(own.padding) for own in self.call.along]
        plane = arrays.zeros(self._lengths(1), np.bool_, self.x)
        arrays.assign(
            self._middle(plane, lengths, padding=padding), arrays.full((1, *lengths), np.bool_, 1, self.x)
        )
        return plane

    def of(self, chunk: Chunk, *, indexed: bool) -> tuple[Array, Job, Missing | None]:
        """The elements of a chunk's windows, and how to reduce them.

        They are of the shape (elements, planes, windows). Indices are positions in elements and windows.
        """
        stack, where, weights = (
            None if each is None else self._stacked(each, chunk)
            for each in (self.x, self.where, self.weights)
        )
        assert stack is not None
        given = self.op_params
        if self.call.job.operator.testing:
            given = given | {"rng": given["rng"]._replace(start=given["rng"].start + chunk.begin)}
        if indexed:
            window = len(self.call.taps), 1
            job = jobs.sliding(stack, self.call.op, window, None, 0, 1, False, (0, 2), given)[1]
        else:
            job = jobs.whole(stack, self.call.op, 0, False, given)[1]
        if self.missing is None and where is None:
            return stack, job, None
        part = None if where is None else arrays.spread_to(where, stack.shape, "where")
        whole = Whole(len(self.call.taps), (), partial(self.call.named, chunk))
        return stack, job, (self.missing or ALL)._replace(where=part, weights=weights, whole=whole)

    def _stacked(self, planes: Array, chunk: Chunk) -> Array:
        """The elements of a chunk's windows."""
        taps, lengths = self.call.taps, (min(planes.shape[0], chunk.lengths[0]), *chunk.lengths[1:])
        stack = arrays.empty((len(taps), *lengths), planes.dtype, planes)
        for number, tap in enumerate(taps):
            arrays.assign(arrays.row(stack, number), self._seen(planes, tap, chunk))
        return stack.reshape((len(taps), lengths[0], math.prod(lengths[1:])))

    def _seen(self, planes: Array, tap: Integers, chunk: Chunk) -> Array:
        """A view, behind an axis of one, of what a chunk's windows have at one place of the footprint."""
        strides = [own.stride for own in self.call.along]
        starts = [n * s + int(t) for n, s, t in zip(chunk.first[1:], strides, tap, strict=True)]
        shared = planes.shape[0] == 1
        lengths = (1 if shared else chunk.lengths[0], *chunk.lengths[1:])
        view = arrays.cut(planes, (0 if shared else chunk.first[0], *starts), lengths, (1, *strides))
        return view.reshape((1, *lengths))

    # Gradients ----------------------------------------------------------------------------------------------

    def zeros(self, planes: Array) -> Array:
        """Of float64, for a gradient of planes."""
        return arrays.zeros(planes.shape, np.float64, planes)

    def add(self, total: Array, gradient: Array, chunk: Chunk) -> None:
        """Add the gradient for the elements of a chunk's windows to that for planes."""
        for number, tap in enumerate(self.call.taps):
            view = self._seen(total, tap, chunk)
            arrays.accumulate(view, arrays.row(gradient, number).reshape(view.shape))

    def back(self, total: Array) -> Array:
        """A gradient for planes as one for the array with its border."""
        call = self.call
        plain = arrays.contiguous(self._middle(total, [own.n for own in call.along]))
        back = tuple(int(axis) for axis in np.argsort(call.order))
        return arrays.contiguous(plain.reshape([self.shape[axis] for axis in call.order]).transpose(back))

    def weights_back(self, total: Array) -> Array:
        """As `back`, of the shape of the weights."""
        assert self.missing is not None
        assert self.missing.weights is not None
        each = self.back(total)
        ones, mask = (arrays.full(each.shape, kind, 1, each) for kind in (np.float64, np.uint8))
        shape = self.missing.weights.shape
        return arrays.backend(each).slope_of_weights(ones, mask, each, None, shape)  # type: ignore[no-any-return]


def _fill(values: Array, chunk: Chunk, found: Array) -> None:
    """Put a chunk's numbers among those of all windows."""
    part = arrays.last_part(values, chunk.begin, chunk.end)
    arrays.assign(part, found.reshape(part.shape))
