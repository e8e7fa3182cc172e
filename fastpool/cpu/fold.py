"""The general skeleton: any operator over any table of intervals, forward and backward.

Forward reads the input and writes outputs; backward reads the gradient and writes the input's gradient over
the inverse tables. Both are one loop nest over flat arrays, so that any number of pooled axes, any strides
and any layout take the same compiled kernel: one for each operator and dtype.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .. import jit, random, threads, ways
from ..operators import EXPRESSIONS
from ..operators.fold import GATHER, Expression, Fold
from ..operators.ranks import RANKS, collect_counted
from ..windows import Geometry, Integers, PlaneWindows
from . import counting as counts
from . import half
from .flags import clear_overflow, overflowed
from .memory import Runs, c_strides, flatten, offsets, raw, runs, steps, storage

Array = NDArray[Any]
NOWHERE = np.empty(0, np.int32)

LARGEST = 2**62  # outputs, more than there are
SEGMENT = 1024  # outputs along the last pooled axis that one task computes


# A layout: what a kernel reads in place of several arrays, each of which costs a call 0.1 us. First come its
# sizes: RANK, how many SEGMENTS a row of outputs has, PLANES and the rows that tell of them, SETS, the CELLS
# of a task, the WIDTH of the table and the number of GROUPS. Planes and cells are at few places each, from
# which RUN (of cells RUN_IN) go on at equal distances, NEXT in the input and NEXT_OUT in the output. Then
# come the arrays, one after the other.
RANK, SEGMENTS, PLANES, SETS, CELLS, WIDTH, GROUPS = range(7)
RUN, NEXT, NEXT_OUT, RUN_IN, NEXT_IN, NEXT_IN_OUT = range(7, 13)
HEAD = 13  # where that of the planes begins
# Of an axis: its outputs, first column, distances in input, plane and output, those of a window's elements in
# input and plane, and in the windows' plane; and which columns repeat, as `windows.Repeat` has it.
LENGTH, BEGIN, STRIDE, PLACE, OUT, STEP, PLACE_STEP, OWN, REPEATS, PERIOD, TIMES, ADVANCE = range(12)
FIELDS = 12
NO_REPEAT = (LARGEST, 1, 0, 0)
NO_WEIGHTS = np.empty(0, np.float64)
# Which elements a kernel takes: all, those that a mask lists, or those with weights beside them.
ALL, LISTED, WEIGHED = "", "some", "weighed"


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

    walk: Callable[..., Any]
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
            layout[HEAD : HEAD + layout[PLANES]] += origin
        saved: Any = 0
        if present is not None:
            weights = NO_WEIGHTS if present.weights is None else present.weights.reshape(-1)
            saved = present.mask.reshape(-1), weights, present.counts.reshape(-1)
        if self._start(flat, raw(y).ravel(), extra, more, saved, layout) and self.wide:
            self._replace(walk=self.wide(), wide=None).run(x, y, second, third, present)

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
            return threads.run(self.walk, arguments, self.tasks, self.work, self.scratch)
        if self.work <= threads.SERIAL_WORK:  # a tiny call takes a tenth less
            overflowed: bool = self.walk(*arguments, self.params, 0, self.tasks)
            return overflowed
        return threads.run(self.walk, (*arguments, self.params), self.tasks, self.work)

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
    walk, wide = _forward(name, operator, x.dtype, target, takes)
    found = _plan(walk, steps(x), geometry, divisors, params)._replace(wide=wide)
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
    walk = _walk(f"{name}_counted_{dtype}", counted, None, FORWARD, storage(source), storage(target), takes)
    return found._replace(walk=walk, window=(counters, np.dtype(np.int64), 0))


def _forward(
    name: str, operator: Fold, source: np.dtype[Any], target: np.dtype[Any], takes: str
) -> tuple[Callable[..., Any], Callable[[], Callable[..., Any]] | None]:
    """The kernel for a fold, and what gives the one for calls in which its sums overflow."""
    rest = None, FORWARD, storage(source), storage(target), takes
    wide = partial(_walk, f"{name}_wide", operator.wide, *rest) if operator.wide else None
    return _walk(name, operator, *rest), wide


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
        walk = _walk(name, GATHER, pull, PULL, storage(gy.dtype), storage(gx.dtype), takes)
        counts = [table.columns[1] for table in geometry.tables]
        return _plan(walk, steps(gy), geometry, counts, params)

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


def repeated(output, first, period, times):
    """The column of an output, of those from the first that repeats on, and how often it has come before."""
    turns = min(output - first if period == 1 else (output - first) // period, times)
    return output - turns * period, turns


# What the loop nest is for: windows to results; gradients of windows, gathered by each element; or gradients
# sent by each window to its elements, where one thread has all windows of a plane.
FORWARD, PULL, SEND = "fold", "pull", "send"


def always(listed, tap):
    """Take each element."""
    return True


def where_listed(listed, tap):
    """Take those that a mask lists."""
    return listed[tap] != 0


def beside_weight(value, weights, tap):
    """An element of a fold with weights."""
    return value, weights[tap]


def without_weight(value, weights, tap):
    """An element of any other."""
    return value


@cache
def _walk(
    name: str, operator: Fold, pull: Expression | None, way: str, source: str, target: str, takes: str
) -> Callable[..., Any]:
    """The loop nest for one operator and way; `source` and `target` name dtypes, `takes` which elements.

    It says whether sums overflowed, of a fold for which there is a wide one.

    A task is up to `SEGMENT` windows of a row of outputs. One loop goes over the elements of a window, once
    or for several turns, and keeps nothing for the next window. Forward reads each element for each window
    that covers it, and writes each result once. `PULL` reads a gradient and its states for each window that
    covers an element, and writes the element once. `SEND` reads and writes each element of a window.
    """
    start, lift, combine, finish, second, third, turns, again, goes, wide = operator
    watches = wide is not None
    read, write, give = half.READ[source], half.WRITE[target], pull or lift
    back, pulls, sends = way != FORWARD, way == PULL, way == SEND
    some = takes != ALL
    counts_some, pulls_some, sends_some = some and not back, some and pulls, some and sends
    is_taken = where_listed if some else always
    weighed = beside_weight if takes == WEIGHED else without_weight
    digest = jit.source_digest()

    def walk(values, out, extra, more, saved, layout, params, first, last):
        _ = digest  # captured, and so part of the cache key
        if watches:
            clear_overflow()
        listed, weights = values, values
        if counts_some:
            listed, weights, numbers = saved
        elif pulls_some:
            local, state, state_2, state_3, listed = saved
        elif sends_some:
            local, state, state_2, state_3, listed, sending = saved
        elif back:
            local, state, state_2, state_3 = saved
        rank, segments, planes, groups = layout[RANK], layout[SEGMENTS], layout[PLANES], layout[CELLS]
        sets, width, run, cells = layout[SETS], layout[WIDTH], layout[RUN], layout[RUN_IN]
        next_cell, next_out = layout[NEXT_IN], layout[NEXT_IN_OUT]
        inner = HEAD + sets * planes
        axes = inner + 2 * groups
        lows = axes + rank * FIELDS
        counted, divisors = lows + width, lows + 2 * width
        at = lows - FIELDS
        length, begin = layout[at], layout[at + BEGIN]
        stride, place_stride, out_stride = layout[at + STRIDE], layout[at + PLACE], layout[at + OUT]
        step, place_step = layout[at + STEP], layout[at + PLACE_STEP]
        repeats, period = layout[at + REPEATS], layout[at + PERIOD]
        times, advance = layout[at + TIMES], layout[at + ADVANCE]
        counts = np.empty(rank, np.int64)
        per_plane = segments
        for axis in range(rank - 1):
            per_plane *= layout[axes + axis * FIELDS]
        if layout[GROUPS]:
            members = lows + 3 * width
            first, last = layout[members + first] * per_plane, layout[members + last] * per_plane
        for task in range(first, last):
            plane, segment = task // per_plane, 0  # to divide takes as long as a window of 2x2
            rest = task - plane * per_plane
            if segments > 1:
                segment, rest = rest % segments, rest // segments
            own_table = layout[HEAD + 2 * planes + plane] if sets > 2 else 0
            further = 0
            if run > 1:
                further, plane = plane % run, plane // run
            base, place0, own0 = layout[HEAD + plane] + further * layout[NEXT], 0, 0
            here0 = layout[HEAD + planes + plane] + further * layout[NEXT_OUT]
            divisor0, rows = 1, 1
            for axis in range(rank - 2, -1, -1):
                at = axes + axis * FIELDS
                size = layout[at]
                output = rest
                if axis > 0:
                    output, rest = rest % size, rest // size
                column, lo = output, 0
                if output >= layout[at + REPEATS]:
                    column, lo = repeated(
                        output, layout[at + REPEATS], layout[at + PERIOD], layout[at + TIMES]
                    )
                    lo *= layout[at + ADVANCE]
                column += layout[at + BEGIN] + own_table * size
                lo += layout[lows + column]
                base += lo * layout[at + STRIDE]
                place0 += lo * layout[at + PLACE]
                here0 += output * layout[at + OUT]
                own0 += output * layout[at + OWN]
                counts[axis] = layout[counted + column]
                rows *= layout[counted + column]
                divisor0 *= layout[divisors + column]
            for output in range(segment * SEGMENT, min((segment + 1) * SEGMENT, length)):
                column, lo = output, 0
                if output >= repeats:
                    column, lo = repeated(output, repeats, period, times)
                    lo *= advance
                column += begin + own_table * length
                lo, count = lo + layout[lows + column], layout[counted + column]
                divisor, place = divisor0 * layout[divisors + column], place0 + lo * place_stride
                for group in range(groups):
                    first_corner = base + lo * stride + layout[inner + group]
                    first_here = here0 + output * out_stride + layout[inner + groups + group]
                    for cell in range(cells):
                        corner, here = first_corner + cell * next_cell, first_here + cell * next_out
                        element = weighed(read(values[corner]), weights, corner)
                        acc, taken = start(element, place, here, params), 0
                        for turn in range(turns):
                            if turn > 0:
                                acc = again(acc, params)
                                if not goes(acc, params):
                                    break
                            for row in range(rows):
                                tap, position, rest_row = corner, place, row
                                for axis in range(rank - 2, -1, -1):
                                    i = rest_row if axis == 0 else rest_row % counts[axis]
                                    rest_row = 0 if axis == 0 else rest_row // counts[axis]
                                    tap += i * layout[axes + axis * FIELDS + STEP]
                                    position += i * layout[axes + axis * FIELDS + PLACE_STEP]
                                for _ in range(count):
                                    if is_taken(listed, tap):
                                        value = read(values[tap])
                                        if sends:
                                            if sends_some and sending[here] == 0:
                                                break
                                            states = state[here], state_2[here], state_3[here]
                                            out[tap] += give(local[here], value, position, *states, params)
                                        elif pulls:
                                            own, mine_too = own0 + output, read(local[here])
                                            states = state[tap], state_2[tap], state_3[tap]
                                            sent = give(value, mine_too, own, *states, params)
                                            acc = combine(acc, lift(sent, position, here, params), params)
                                        else:
                                            element = weighed(value, weights, tap)
                                            if some:
                                                if (taken == 0) & (turn == 0):
                                                    acc = start(element, position, here, params)
                                                taken += 1 if turn == 0 else 0
                                            acc = combine(acc, lift(element, position, here, params), params)
                                    tap += step
                                    position += place_step
                        if counts_some:
                            numbers[here] = taken if rows * count > 0 else -1
                            divisor = taken
                        if not sends:
                            if rows * count == 0:  # a region without an element
                                out[here] = write(0)
                                if extra.size:
                                    extra[here] = -1
                            elif counts_some and taken == 0:
                                out[here] = write(0)
                                if extra.size:
                                    extra[here] = place
                                if more.size:
                                    more[here] = 0
                            else:
                                out[here] = write(finish(acc, divisor, params))
                                if extra.size:
                                    extra[here] = second(acc, divisor, params)
                                if more.size:
                                    more[here] = third(acc, divisor, params)
        return overflowed() if watches else False

    return jit.kernel(walk, f"{way}_{name}_{source}_{target}{takes and '_' + takes}")


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
    walk, wide = None, None
    if pull:
        walk = _walk(name, operator, pull, SEND, storage(x.dtype), storage(target), takes)
    else:
        walk, wide = _forward(name, operator, x.dtype, target, takes)
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
    layout = _layout(segments, planes, cells, axes, columns, groups)
    largest = math.prod(int(count.max(initial=0)) for count in windows.count)
    work = outer.shape[1] * math.prod(lengths) * largest
    found = Plan(walk, layout, params, tasks, work, wide=wide, why="each plane has windows of its own")
    return found if pull else _ranked(found, name, operator, x.dtype, target, largest, takes)


def _plan(
    walk: Callable[..., Any],
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
    layout = _layout(segments, outer, inner, axes, columns, np.zeros(0, np.int64))
    return Plan(walk, layout, params, tasks, work)


def _layout(
    segments: int,
    outer: Runs,
    inner: Runs,
    axes: Sequence[tuple[int, ...]],
    columns: Sequence[Integers],
    groups: Integers,
) -> Integers:
    """All numbers of a plan in one array."""
    table = np.concatenate(columns, axis=1)
    sets, planes = outer.begins.shape
    head = [len(axes), segments, planes, sets, inner.begins.shape[1], table.shape[1], groups.size]
    head += [outer.length, *outer.steps, inner.length, *inner.steps]
    parts = outer.begins, inner.begins, np.array(axes), table, groups
    return np.concatenate([np.array(head), *(part.ravel() for part in parts)]).astype(np.int64)


for module in (*EXPRESSIONS, half, random, __name__):
    jit.register(module)
