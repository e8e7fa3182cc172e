"""The general skeleton: any operator over any table of intervals, forward and backward.

Forward reads the input and writes outputs; backward reads the gradient and writes the input's gradient over
the inverse tables. Both take the same loop nest (`walk`), compiled for each operator and dtype.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .. import threads, ways
from ..operators.fold import GATHER, Expression, Fold
from ..operators.ranks import RANKS, collect_counted
from ..windows import Geometry, Integers, PlaneWindows
from . import counting as counts
from . import walk
from .memory import Runs, c_strides, flatten, offsets, raw, runs, steps, storage
from .walk import ALL, FORWARD, HEAD, LISTED, NO_REPEAT, PULL, SEGMENT, SEND, WEIGHED, Head, layout_of

Array = NDArray[Any]
NOWHERE = np.empty(0, np.int32)
NO_WEIGHTS = np.empty(0, np.float64)


class Present(NamedTuple):
    """Which elements take part in windows, and how many do; every array C-contiguous.

    Attributes
    ----------
    mask : ndarray of uint8
        Of the input's shape: 0 where an element is left out.
    weights : ndarray of float64 or None
        Of the input's shape.
    counts : ndarray of int64
        Of the result's shape, written: elements that took part, and -1 of a region without an element.
    """

    mask: Array
    weights: Array | None
    counts: Array


class Plan(NamedTuple):
    """A kernel and its arguments but for the arrays of a call."""

    kernel: Callable[..., Any]
    layout: Integers
    params: NDArray[np.float64]
    tasks: int
    work: int
    window: tuple[int, np.dtype[Any] | None, int] = (0, None, 0)
    wide: Callable[[], Callable[..., Any]] | None = None  # the kernel to take where sums overflow
    why: str = "any windows of any array"

    def run(
        self,
        x: Array,
        y: Array,
        second: Array | None = None,
        third: Array | None = None,
        present: Present | None = None,
    ) -> None:
        """Reduce every window of `x` into `y`, further results into `second`, `third`; all C-contiguous."""
        (flat, origin), layout = flatten(raw(x)), self.layout
        extra = NOWHERE if second is None else second.reshape(-1)
        more = NOWHERE if third is None else third.reshape(-1)
        if origin:
            layout = layout.copy()
            layout[HEAD : HEAD + Head(*layout[:HEAD]).planes] += origin
        saved: tuple[Array, ...] = ()
        if present is not None:
            weights = NO_WEIGHTS if present.weights is None else present.weights.reshape(-1)
            saved = present.mask.reshape(-1), weights, present.counts.reshape(-1)
        if self._start(flat, raw(y).ravel(), extra, more, saved, layout) and self.wide:
            self._replace(kernel=self.wide(), wide=None).run(x, y, second, third, present)

    def gather(
        self, gy: Array, x: Array, states: Sequence[Array], gx: Array, sends: Array | None = None
    ) -> None:
        """Sum into each `gx` what its windows send; every array C-contiguous."""
        extra = () if sends is None else (sends.reshape(-1),)
        saved = raw(x).reshape(-1), *(state.reshape(-1) for state in states), *extra
        self._start(flatten(raw(gy))[0], raw(gx).reshape(-1), NOWHERE, NOWHERE, saved, self.layout)

    def send(
        self,
        gy: Array,
        x: Array,
        states: Sequence[Array],
        gx: Array,
        present: tuple[Array, Array] | None = None,
    ) -> None:
        """Add to `gx`, which has the dtype of `gy`, what every window sends; every array C-contiguous."""
        extra = () if present is None else (each.reshape(-1) for each in present)
        saved = gy.reshape(-1), *(state.reshape(-1) for state in states), *extra
        self._start(raw(x).reshape(-1), gx.reshape(-1), NOWHERE, NOWHERE, saved, self.layout)

    def _start(self, *arguments: Any) -> bool:
        """Whether sums overflowed, of a fold that knows what to do then."""
        if self.window[1] is not None:
            return threads.run(self.kernel, arguments, self.tasks, self.work, self.scratch)
        if self.work <= threads.SERIAL_WORK:  # a tiny call takes a tenth less
            overflowed: bool = self.kernel(*arguments, self.params, 0, self.tasks)
            return overflowed
        return threads.run(self.kernel, (*arguments, self.params), self.tasks, self.work)

    def scratch(self) -> tuple[Any, ...]:
        """The parameters, and memory for one window."""
        size, dtype, places = self.window
        return ((self.params, np.empty(size, dtype), np.empty(places, np.int64)),)

    def way(self) -> ways.Way:
        """What it says of itself."""
        cut = f"rows of up to {SEGMENT:,} windows"
        scratch = self.scratch() if self.window[1] else ()
        return ways.of_kernel("general", self.why, self.tasks, self.work, cut, scratch)


def plan(
    name: str,
    operator: Fold,
    x: Array,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
    takes: str = ALL,
) -> Plan:
    """How to reduce the windows of arrays like `x` to results of the dtype `target`."""
    kernel, wide = _forward(name, operator, x.dtype, target, takes)
    found = _plan(kernel, steps(x), geometry, divisors, params)._replace(wide=wide)
    largest = math.prod(table.most for table in geometry.tables)
    return _ranked(found, name, operator, x.dtype, target, largest, takes)


def _ranked(
    found: Plan,
    name: str,
    operator: Fold,
    source: np.dtype[Any],
    target: np.dtype[Any],
    largest: int,
    takes: str,
) -> Plan:
    """A plan with memory for what a fold keeps of a window of at most `largest` elements."""
    if operator.combine not in RANKS:
        return found
    dtype = _computed(source)
    counting = counts.instead(operator, dtype, largest)
    if counting is None:
        return found._replace(window=(largest, dtype, 0 if operator.combine is collect_counted else largest))
    counted, counters = counting
    kernel = walk.kernel(
        f"{name}_counted_{dtype}", counted, None, FORWARD, storage(source), storage(target), takes
    )
    return found._replace(kernel=kernel, window=(counters, np.dtype(np.int64), 0))


def _forward(
    name: str, operator: Fold, source: np.dtype[Any], target: np.dtype[Any], takes: str
) -> tuple[Callable[..., Any], Callable[[], Callable[..., Any]] | None]:
    """The kernel for a fold, and what gives the one for calls in which its sums overflow."""
    rest = None, FORWARD, storage(source), storage(target), takes
    wide = partial(walk.kernel, f"{name}_wide", operator.wide, *rest) if operator.wide else None
    return walk.kernel(name, operator, *rest), wide


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
    shares = tuple(divisor.tobytes() for divisor in divisors)
    key = ALL, name, operator, x.strides, x.dtype, y.dtype, params.tobytes(), shares
    found = _kept(geometry, key, lambda: plan(name, operator, x, geometry, divisors, params, y.dtype))
    found.run(x, y, second, third)


def reduce_present(
    name: str,
    operator: Fold,
    x: Array,
    geometry: Geometry,
    params: NDArray[np.float64],
    present: Present,
    y: Array,
    second: Array | None = None,
    third: Array | None = None,
) -> None:
    """As `reduce`, the elements that take part; divisors are their numbers.

    Windows in which none does give 0 and, where indices are asked for, the place of their first element.
    """
    takes = LISTED if present.weights is None else WEIGHED

    def planned() -> Plan:
        none = [np.ones(table.columns.shape[1], np.int64) for table in geometry.tables]
        return plan(name, operator, x, geometry, none, params, y.dtype, takes)

    key = takes, name, operator, x.strides, x.dtype, y.dtype, params.tobytes()
    _kept(geometry, key, planned).run(x, y, second, third, present)


def gather(
    name: str,
    pull: Expression,
    gy: Array,
    x: Array,
    states: Sequence[Array],
    geometry: Geometry,
    params: NDArray[np.float64],
    gx: Array,
    sends: Array | None = None,
) -> None:
    """Sum into each `gx` what `pull` sends from the windows that cover it; every array C-contiguous.

    `geometry` is the inverse one. `states` have the shape of `gy`, `x` that of `gx`. Where `sends`, an array
    of uint8 of the shape of `gy`, is 0, a window sends nothing.
    """
    takes = ALL if sends is None else LISTED

    def planned() -> Plan:
        kernel = walk.kernel(name, GATHER, pull, PULL, storage(gy.dtype), storage(gx.dtype), takes)
        counts = [table.columns[1] for table in geometry.tables]
        return _plan(kernel, steps(gy), geometry, counts, params)

    key = takes, name, pull, gy.strides, gy.dtype, gx.dtype, params.tobytes()
    _kept(geometry, key, planned).gather(gy, x, states, gx, sends)


PLANS: WeakKeyDictionary[Geometry, dict[Any, Plan]] = WeakKeyDictionary()
SMALL = 1 << 14  # bytes of a layout that is kept: larger ones take little beside the work that they are for


def _kept(geometry: Geometry, key: Any, planned: Callable[[], Plan]) -> Plan:
    """The plan of an earlier call over the same windows, if there was one."""
    plans = PLANS.setdefault(geometry, {})
    found = plans.get(key)
    if found is None:
        found = planned()
        if found.layout.nbytes <= SMALL:
            plans[key] = found
    return found


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
    takes: str = ALL,
) -> Plan:
    """As `plan`, of windows that differ from plane to plane, for C-contiguous arrays like `x`.

    `form` is the output's shape, and the order of its axes that puts pooled ones last.
    With a `pull` it is the way back: planes of the input are one thread's each.
    """
    kernel, wide = None, None
    if pull:
        kernel = walk.kernel(name, operator, pull, SEND, storage(x.dtype), storage(target), takes)
    else:
        kernel, wide = _forward(name, operator, x.dtype, target, takes)
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
        (n, begin[axis], stride, stride, out_stride, stride, stride, out_stride, *NO_REPEAT)
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
    planes, cells = Runs(outer, 1, (0, 0)), Runs(np.zeros((2, 1), np.int64), 1, (0, 0))
    layout = layout_of(segments, planes, cells, axes, columns, groups)
    largest = math.prod(int(count.max(initial=0)) for count in windows.count)
    work = outer.shape[1] * math.prod(lengths) * largest
    found = Plan(kernel, layout, params, tasks, work, wide=wide, why="each plane has windows of its own")
    return found if pull else _ranked(found, name, operator, x.dtype, target, largest, takes)


def _plan(
    kernel: Callable[..., Any],
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
    outer = runs(out_shape, (strides, out_strides), outer_axes)
    inner = runs(out_shape, (strides, out_strides), inner_axes)
    place_strides = c_strides(geometry.plane)
    own_strides = c_strides([out_shape[axis] for axis in pooled])
    columns = [
        np.stack([*t.columns[:2], divisor]) for t, divisor in zip(geometry.tables, divisors, strict=True)
    ]
    begin = np.cumsum([0, *(column.shape[1] for column in columns)])
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
            *(t.repeat or NO_REPEAT),
        )
        for number, (axis, t) in enumerate(zip(pooled, geometry.tables, strict=True))
    ]
    lengths = [len(t) for t in geometry.tables]
    segments = -(-lengths[-1] // SEGMENT)
    tasks = len(outer) * math.prod(lengths[:-1]) * segments
    work = len(outer) * len(inner) * math.prod(t.total for t in geometry.tables)
    layout = layout_of(segments, outer, inner, axes, columns, np.zeros(0, np.int64))
    return Plan(kernel, layout, params, tasks, work)
