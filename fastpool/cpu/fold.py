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


# A layout: what a kernel reads in place of several arrays, each of which costs a call 0.1 us. First come its
# sizes: RANK, how many SEGMENTS a row of outputs has, PLANES and the rows that tell of them, SETS, the CELLS
# of a task, the WIDTH of the table and the number of GROUPS; then the arrays, one after the other.
RANK, SEGMENTS, PLANES, SETS, CELLS, WIDTH, GROUPS = range(7)
HEAD = 7  # where that of the planes begins
FIELDS = 8  # of an axis


class Plan(NamedTuple):
    """A kernel and its arguments but for the arrays of a call."""

    walk: Callable[..., None]
    layout: Integers
    params: NDArray[np.float64]
    tasks: int
    work: int
    window: tuple[int, np.dtype[Any] | None] = (0, None)

    def run(self, x: Array, y: Array, second: Array | None = None, third: Array | None = None) -> None:
        """Reduce every window of `x` into `y`, further results into `second`, `third`; all C-contiguous."""
        (flat, origin), layout = flatten(raw(x)), self.layout
        extra = NOWHERE if second is None else second.reshape(-1)
        more = NOWHERE if third is None else third.reshape(-1)
        if origin:
            layout = layout.copy()
            layout[HEAD : HEAD + layout[PLANES]] += origin
        self._start(flat, raw(y).ravel(), extra, more, 0, layout)

    def gather(self, gy: Array, x: Array, states: Sequence[Array], gx: Array) -> None:
        """Sum into each `gx` what its windows send; every array C-contiguous."""
        saved = raw(x).reshape(-1), *(state.reshape(-1) for state in states)
        self._start(flatten(raw(gy))[0], raw(gx).reshape(-1), NOWHERE, NOWHERE, saved, self.layout)

    def send(self, gy: Array, x: Array, states: Sequence[Array], gx: Array) -> None:
        """Add to `gx`, which has the dtype of `gy`, what every window sends; every array C-contiguous."""
        saved = gy.reshape(-1), *(state.reshape(-1) for state in states)
        self._start(raw(x).reshape(-1), gx.reshape(-1), NOWHERE, NOWHERE, saved, self.layout)

    def _start(self, *arguments: Any) -> None:
        if self.window[1] is None:
            if self.work <= threads.SERIAL_WORK:  # a tiny call takes a tenth less
                self.walk(*arguments, self.params, 0, self.tasks)
                return
            threads.run(self.walk, (*arguments, self.params), self.tasks, self.work)
        else:
            threads.run(self.walk, arguments, self.tasks, self.work, self.scratch)

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
    back, pulls, sends = way != FORWARD, way == PULL, way == SEND
    digest = jit.source_digest()

    def walk(values, out, extra, more, saved, layout, params, first, last):
        _ = digest  # captured, and so part of the cache key
        if back:
            local, state, state_2, state_3 = saved
        rank, segments, planes, cells = layout[RANK], layout[SEGMENTS], layout[PLANES], layout[CELLS]
        sets, width = layout[SETS], layout[WIDTH]
        inner = HEAD + sets * planes
        axes = inner + 2 * cells
        lows = axes + rank * FIELDS
        counted, divisors = lows + width, lows + 2 * width
        at = lows - FIELDS
        length, begin, stride, place_stride = layout[at], layout[at + 1], layout[at + 2], layout[at + 3]
        out_stride, step, place_step = layout[at + 4], layout[at + 5], layout[at + 6]
        counts = np.empty(rank, np.int64)
        per_plane = segments
        for axis in range(rank - 1):
            per_plane *= layout[axes + axis * FIELDS]
        if layout[GROUPS]:
            groups = lows + 3 * width
            first, last = layout[groups + first] * per_plane, layout[groups + last] * per_plane
        for task in range(first, last):
            plane, segment = task // per_plane, 0  # to divide takes as long as a window of 2x2
            rest = task - plane * per_plane
            if segments > 1:
                segment, rest = rest % segments, rest // segments
            own_table = layout[HEAD + 2 * planes + plane] if sets > 2 else 0
            base, place0, here0, own0 = layout[HEAD + plane], 0, layout[HEAD + planes + plane], 0
            divisor0, rows = 1, 1
            for axis in range(rank - 2, -1, -1):
                at = axes + axis * FIELDS
                size = layout[at]
                output = rest
                if axis > 0:
                    output, rest = rest % size, rest // size
                column = layout[at + 1] + own_table * size + output
                base += layout[lows + column] * layout[at + 2]
                place0 += layout[lows + column] * layout[at + 3]
                here0 += output * layout[at + 4]
                own0 += output * layout[at + 7]
                counts[axis] = layout[counted + column]
                rows *= layout[counted + column]
                divisor0 *= layout[divisors + column]
            for output in range(segment * SEGMENT, min((segment + 1) * SEGMENT, length)):
                column = begin + own_table * length + output
                lo, count = layout[lows + column], layout[counted + column]
                divisor = divisor0 * layout[divisors + column]
                for cell in range(cells):
                    corner = base + lo * stride + layout[inner + cell]
                    place = place0 + lo * place_stride
                    here = here0 + output * out_stride + layout[inner + cells + cell]
                    acc = start(read(values[corner]), place, here, params)
                    for row in range(rows):
                        tap, position, rest_row = corner, place, row
                        for axis in range(rank - 2, -1, -1):
                            i = rest_row if axis == 0 else rest_row % counts[axis]
                            rest_row = 0 if axis == 0 else rest_row // counts[axis]
                            tap += i * layout[axes + axis * FIELDS + 5]
                            position += i * layout[axes + axis * FIELDS + 6]
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
    form: tuple[Sequence[int], Sequence[int]],
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
) -> Plan:
    """As `plan`, of windows that differ from plane to plane, for C-contiguous arrays like `x`.

    `form` is the output's shape, and the order of its axes that puts pooled ones last.
    With a `pull` it is the way back: planes of the input are one thread's each.
    """
    way = SEND if pull else FORWARD
    walk = _walk(name, operator, pull, way, storage(x.dtype), storage(target))
    order = np.argsort(windows.planes, kind="stable")
    lengths, size = windows.outputs, math.prod(windows.plane)
    shape, turned = form
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
    layout = _layout(segments, outer, np.zeros((2, 1), np.int64), axes, columns, groups)
    largest = math.prod(int(count.max(initial=0)) for count in windows.count)
    window = (largest, _computed(x.dtype)) if operator.combine in RANKS else (0, None)
    work = outer.shape[1] * math.prod(lengths) * largest
    return Plan(walk, layout, params, tasks, work, window)


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
    columns = [
        np.stack([t.lo, t.count, divisor]) for t, divisor in zip(geometry.tables, divisors, strict=True)
    ]
    begin = np.cumsum([0, *map(len, geometry.tables)])
    axes = [
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
    ]
    lengths = [len(t) for t in geometry.tables]
    segments = -(-lengths[-1] // SEGMENT)
    tasks = outer.shape[1] * math.prod(lengths[:-1]) * segments
    taps = [int(t.count.sum()) for t in geometry.tables]
    work = outer.shape[1] * inner.shape[1] * math.prod(taps)
    layout = _layout(segments, outer, inner, axes, columns, np.zeros(0, np.int64))
    return Plan(walk, layout, params, tasks, work)


def _layout(
    segments: int,
    outer: Integers,
    inner: Integers,
    axes: Sequence[tuple[int, ...]],
    columns: Sequence[Integers],
    groups: Integers,
) -> Integers:
    """All numbers of a plan in one array."""
    table = np.concatenate(columns, axis=1)
    sets, planes = outer.shape
    head = len(axes), segments, planes, sets, inner.shape[1], table.shape[1], groups.size
    parts = outer, inner, np.array(axes), table, groups
    return np.concatenate([np.array(head), *(part.ravel() for part in parts)]).astype(np.int64)
