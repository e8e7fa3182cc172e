"""The general skeleton: any operator over any table of intervals, forward and backward.

Forward reads the input and writes outputs; backward reads the gradient and writes the input's gradient over
the inverse tables. Both are one loop nest over flat arrays, so that any number of pooled axes, any strides
and any layout take the same compiled kernel: one for each operator and dtype.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import folds, jit, random, selection, threads
from ..folds import GATHER, RANKS, Expression, Fold
from ..windows import Geometry, Integers, PlaneWindows
from . import half
from .memory import c_strides, flatten, offsets, raw, steps, storage

for module in (folds, half, random, selection):
    jit.register(module)

Array = NDArray[Any]
NOWHERE = np.empty(0, np.int32)

SEGMENT = 1024  # outputs along the last pooled axis that one task computes


class Plan(NamedTuple):
    """A kernel and its arguments but for the arrays of a call."""

    walk: Callable[..., None]
    outer: Integers
    tables: tuple[Any, ...]
    params: NDArray[np.float64]
    tasks: int
    work: int
    window: tuple[int, np.dtype[Any] | None] = (0, None)

    def run(self, x: Array, y: Array, second: Array | None = None, third: Array | None = None) -> None:
        """Reduce every window of `x` into `y`, further results into `second`, `third`; all C-contiguous."""
        flat, origin = flatten(raw(x))
        extra = NOWHERE if second is None else second.reshape(-1)
        more = NOWHERE if third is None else third.reshape(-1)
        outer = self.outer + np.array([[origin], *[[0]] * (len(self.outer) - 1)]) if origin else self.outer
        self._start((flat, raw(y).ravel(), extra, more), outer)

    def gather(self, gy: Array, x: Array, states: Sequence[Array], gx: Array) -> None:
        """Sum into each `gx` what its windows send; every array C-contiguous."""
        own, saved = raw(x).reshape(-1), [state.reshape(-1) for state in states]
        self._start((flatten(raw(gy))[0], raw(gx).reshape(-1), NOWHERE, NOWHERE, own, *saved), self.outer)

    def send(self, gy: Array, x: Array, states: Sequence[Array], gx: Array) -> None:
        """Add to `gx`, which has the dtype of `gy`, what every window sends; every array C-contiguous."""
        saved = [state.reshape(-1) for state in states]
        arrays = raw(x).reshape(-1), gx.reshape(-1), NOWHERE, NOWHERE, gy.reshape(-1), *saved
        self._start(arrays, self.outer)

    def _start(self, arrays: tuple[Array, ...], outer: Integers) -> None:
        if self.window[1] is None:
            if self.work <= threads.SERIAL_WORK:  # a tiny call takes a tenth less
                self.walk(arrays, outer, *self.tables, self.params, 0, self.tasks)
                return
            arguments = (arrays, outer, *self.tables, self.params)
            threads.run(self.walk, arguments, self.tasks, self.work)
        else:
            threads.run(self.walk, (arrays, outer, *self.tables), self.tasks, self.work, self.scratch)

    def scratch(self) -> tuple[Any, ...]:
        """The parameters, and memory for one window."""
        size, dtype = self.window
        return ((self.params, np.empty(size, dtype), np.empty(size, np.int64)),)


def plan(
    name: str,
    operator: Fold,
    x: Array,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
) -> Plan:
    """How to reduce the windows of arrays like `x` to results of the dtype `target`."""
    walk = _walk(name, operator, None, FORWARD, storage(x.dtype), storage(target))
    found = _plan(walk, steps(x), geometry, divisors, params)
    if operator.combine not in RANKS:
        return found
    largest = math.prod(int(table.count.max()) for table in geometry.tables)
    return found._replace(window=(largest, _computed(x.dtype)))


def _computed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What kernels hold elements as."""
    return raw(np.empty(0, dtype)).dtype if storage(dtype) == "native" else np.dtype(np.float32)


def reduce(
    name: str,
    operator: Fold,
    x: Array,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    y: Array,
    second: Array | None = None,
    third: Array | None = None,
) -> None:
    """Reduce every window of `x` into `y`, further results into `second`, `third`; all C-contiguous."""
    plan(name, operator, x, geometry, divisors, params, y.dtype).run(x, y, second, third)


def gather(
    name: str,
    pull: Expression,
    gy: Array,
    x: Array,
    states: Sequence[Array],
    geometry: Geometry,
    params: NDArray[np.float64],
    gx: Array,
) -> None:
    """Sum into each `gx` what `pull` sends from the windows that cover it; every array C-contiguous.

    `geometry` is the inverse one. `states` have the shape of `gy`, `x` that of `gx`.
    """
    walk = _walk(name, GATHER, pull, PULL, storage(gy.dtype), storage(gx.dtype))
    counts = [table.count for table in geometry.tables]
    _plan(walk, steps(gy), geometry, counts, params).gather(gy, x, states, gx)


# What the loop nest is for: windows to results; gradients of windows, gathered by each element; or gradients
# sent by each window to its elements, where one thread has all windows of a plane.
FORWARD, PULL, SEND = "fold", "pull", "send"


@cache
def _walk(
    name: str, operator: Fold, pull: Expression | None, way: str, source: str, target: str
) -> Callable[..., None]:
    """The loop nest for one operator and way; `source` and `target` name dtypes."""
    start, lift, combine, finish, second, third = operator
    read, write, give = half.READ[source], half.WRITE[target], pull or lift
    pulls, sends = way == PULL, way == SEND
    mine, one, two, three = (0, 0, 0, 0) if way == FORWARD else (4, 5, 6, 7)  # arrays for backward alone
    digest = jit.source_digest()

    def walk(arrays, outer, table, axes, inner, segments, groups, params, first, last):
        _ = digest  # captured, and so part of the cache key
        values, out, extra, more = arrays[0], arrays[1], arrays[2], arrays[3]
        local, state, state_2, state_3 = arrays[mine], arrays[one], arrays[two], arrays[three]
        rank = axes.shape[0]
        length, begin = axes[rank - 1, 0], axes[rank - 1, 1]
        stride, place_stride, out_stride = axes[rank - 1, 2], axes[rank - 1, 3], axes[rank - 1, 4]
        step, place_step = axes[rank - 1, 5], axes[rank - 1, 6]
        counts = np.empty(rank, np.int64)
        per_plane = segments
        for axis in range(rank - 1):
            per_plane *= axes[axis, 0]
        if groups.size:
            first, last = groups[first] * per_plane, groups[last] * per_plane
        for task in range(first, last):
            segment, rest, plane = task % segments, task // segments, task // per_plane
            own_table = outer[2, plane] if outer.shape[0] > 2 else 0
            base, place0, here0, own0 = outer[0, plane], 0, outer[1, plane], 0
            divisor0, rows = 1, 1
            for axis in range(rank - 2, -1, -1):
                output, rest = rest % axes[axis, 0], rest // axes[axis, 0]
                column = axes[axis, 1] + own_table * axes[axis, 0] + output
                base += table[0, column] * axes[axis, 2]
                place0 += table[0, column] * axes[axis, 3]
                here0 += output * axes[axis, 4]
                own0 += output * axes[axis, 7]
                counts[axis] = table[1, column]
                rows *= table[1, column]
                divisor0 *= table[2, column]
            for output in range(segment * SEGMENT, min((segment + 1) * SEGMENT, length)):
                column = begin + own_table * length + output
                lo, count = table[0, column], table[1, column]
                divisor = divisor0 * table[2, column]
                for cell in range(inner.shape[1]):
                    corner = base + lo * stride + inner[0, cell]
                    place = place0 + lo * place_stride
                    here = here0 + output * out_stride + inner[1, cell]
                    acc = start(read(values[corner]), place, here, params)
                    for row in range(rows):
                        tap, position, rest_row = corner, place, row
                        for axis in range(rank - 2, -1, -1):
                            i = rest_row if axis == 0 else rest_row % counts[axis]
                            rest_row = 0 if axis == 0 else rest_row // counts[axis]
                            tap += i * axes[axis, 5]
                            position += i * axes[axis, 6]
                        for _ in range(count):
                            value = read(values[tap])
                            if sends:
                                states = state[here], state_2[here], state_3[here]
                                out[tap] += give(local[here], value, position, *states, params)
                            else:
                                if pulls:
                                    own, mine_too = own0 + output, read(local[here])
                                    states = state[tap], state_2[tap], state_3[tap]
                                    value = give(value, mine_too, own, *states, params)
                                acc = combine(acc, lift(value, position, here, params), params)
                            tap += step
                            position += place_step
                    if not sends:
                        if rows * count == 0:  # a region without an element
                            out[here] = write(0)
                            if extra.size:
                                extra[here] = -1
                        else:
                            out[here] = write(finish(acc, divisor, params))
                            if extra.size:
                                extra[here] = second(acc, divisor, params)
                            if more.size:
                                more[here] = third(acc, divisor, params)

    return jit.kernel(walk, f"{way}_{name}_{source}_{target}")


def plan_planes(
    name: str,
    operator: Fold,
    pull: Expression | None,
    x: Array,
    windows: PlaneWindows,
    layout: tuple[Sequence[int], Sequence[int]],
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
) -> Plan:
    """As `plan`, of windows that differ from plane to plane, for C-contiguous arrays like `x`.

    `layout` is the output's shape, and the order of its axes that puts pooled ones last.
    With a `pull` it is the way back: planes of the input are one thread's each.
    """
    way = SEND if pull else FORWARD
    walk = _walk(name, operator, pull, way, storage(x.dtype), storage(target))
    order = np.argsort(windows.planes, kind="stable")
    lengths, size = windows.outputs, math.prod(windows.plane)
    shape, turned = layout
    out_strides = c_strides(shape)
    begins = offsets(shape, (out_strides,), turned[: -len(lengths)])[0]
    outer = np.stack([windows.planes[order] * size, begins[order], windows.sets[order]])
    columns = [
        np.stack([lo.ravel(), count.ravel(), divisor.ravel()])
        for lo, count, divisor in zip(windows.lo, windows.count, divisors, strict=True)
    ]
    begin = np.cumsum([0, *(column.shape[1] for column in columns)])
    own_strides = [out_strides[axis] for axis in turned[-len(lengths) :]]
    axes = [
        (n, begin[axis], stride, stride, out_stride, stride, stride, out_stride)
        for axis, (n, stride, out_stride) in enumerate(
            zip(lengths, c_strides(windows.plane), own_strides, strict=True)
        )
    ]
    segments = -(-lengths[-1] // SEGMENT)
    tasks = outer.shape[1] * math.prod(lengths[:-1]) * segments
    groups = np.zeros(0, np.int64)
    if pull:
        groups = np.flatnonzero(np.diff(outer[0], prepend=-1, append=-1))
        tasks = groups.size - 1
    tables = (np.concatenate(columns, axis=1), np.array(axes, np.int64), np.zeros((2, 1), np.int64))
    largest = math.prod(int(count.max(initial=0)) for count in windows.count)
    window = (largest, _computed(x.dtype)) if operator.combine in RANKS else (0, None)
    work = outer.shape[1] * math.prod(lengths) * largest
    return Plan(walk, outer, (*tables, segments, groups), params, tasks, work, window)


def _plan(
    walk: Callable[..., None],
    strides: tuple[int, ...],
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
) -> Plan:
    pooled = geometry.axes
    out_shape = geometry.output_shape
    out_strides = c_strides(out_shape)
    outer_axes = [axis for axis in range(pooled[-1]) if axis not in pooled]
    inner_axes = range(pooled[-1] + 1, len(out_shape))
    outer = offsets(out_shape, (strides, out_strides), outer_axes)
    inner = offsets(out_shape, (strides, out_strides), inner_axes)
    place_strides = c_strides(geometry.plane)
    own_strides = c_strides([out_shape[axis] for axis in pooled])
    table = np.concatenate(
        [(t.lo, t.count, divisor) for t, divisor in zip(geometry.tables, divisors, strict=True)], axis=1
    )
    begin = np.cumsum([0, *map(len, geometry.tables)])
    axes = np.array(
        [
            (
                len(t),
                begin[number],
                strides[axis],
                place_strides[number],
                out_strides[axis],
                strides[axis] * t.step,
                place_strides[number] * t.step,
                own_strides[number],
            )
            for number, (axis, t) in enumerate(zip(pooled, geometry.tables, strict=True))
        ],
        np.int64,
    )
    lengths = [len(t) for t in geometry.tables]
    segments = -(-lengths[-1] // SEGMENT)
    tasks = outer.shape[1] * math.prod(lengths[:-1]) * segments
    taps = [int(t.count.sum()) for t in geometry.tables]
    work = outer.shape[1] * inner.shape[1] * math.prod(taps)
    tables = (table, axes, inner, segments, np.zeros(0, np.int64))
    return Plan(walk, outer, tables, params, tasks, work)
