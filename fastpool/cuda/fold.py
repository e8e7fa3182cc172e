"""Any operator over any table of intervals, forward and backward: what `fastpool.cpu.fold` is on the CPU."""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numba import types
from numpy.typing import NDArray

from .. import random, windows
from ..operators import EXPRESSIONS
from ..operators.draws import draw
from ..operators.fold import GATHER, Expression, Fold, nothing, plus
from ..operators.ranks import RANKS
from ..operators.sums import to_all
from ..windows import Geometry, Integers, PlaneWindows
from . import device, leaves, rank, walk
from .array import DeviceArray, c_strides
from .device import NOWHERE, SIMULATED, TEAM, Kernel
from .halves import READ, WRITE
from .walk import ALL, LISTED, MERGE, PART, WEIGHED, WHOLE, Layout, Members, Steps, Tables

for module in (*EXPRESSIONS, random):
    device.register(module)

IN_ORDER = frozenset((draw,))  # merges that take one element at a time
PARTS = 64  # of a window, at most
TABLES: WeakKeyDictionary[Geometry, dict[Any, Any]] = WeakKeyDictionary()


class Present(NamedTuple):
    """Which elements take part in windows, and how many do: as `fastpool.cpu.fold.Present`."""

    mask: DeviceArray
    weights: DeviceArray | None
    counts: DeviceArray


class Plan(NamedTuple):
    """How to reduce the windows of arrays like one.

    Attributes
    ----------
    kernels : sequence of callable
        What builds the kernel, or the two where windows are cut into parts, for dtypes of further results.
    tables : Tables
    params : tuple of float
    team, parts, leaves : int
    """

    kernels: Sequence[Callable[..., Kernel]]
    tables: Tables
    params: tuple[float, ...]
    team: int
    parts: int
    leaves: int

    def run(
        self,
        x: DeviceArray,
        y: DeviceArray,
        second: DeviceArray | None = None,
        third: DeviceArray | None = None,
        present: Present | None = None,
    ) -> None:
        """Reduce every window of `x` into `y`, further results into `second`, `third`; all C-contiguous."""
        values, origin = x.memory()
        extra, more = (NOWHERE if a is None else a.flat() for a in (second, third))
        kinds = tuple("uint8" if a is None else device.raw_name(a.dtype) for a in (second, third))
        partial_results = NOWHERE
        total, largest = self.tables.total, self.parts * self.tables.total
        if self.parts > 1:
            held = x.empty((largest * self.leaves,), np.int64)
            partial_results = held.flat()
        weights = counts = NOWHERE
        if present is not None:
            partial_results, counts = present.mask.flat(), present.counts.flat()
            weights = NOWHERE if present.weights is None else present.weights.flat()
        saved = NOWHERE, weights, counts, NOWHERE
        arguments = (values, y.flat(), extra, more, *saved, partial_results)
        numbers = (device.address_of(self.tables.held), self.params, origin, total, self.parts)
        for build, tasks, team in zip(self.kernels, (largest, total), (self.team, 1), strict=False):
            kernel = build(kinds)
            blocks = (min(tasks, 2**31 - 1), team) if team > 1 else device.grid(tasks)
            if SIMULATED and team > 1:
                blocks = (min(tasks, 2), team)
            kernel.launch(*blocks, x.where, *arguments, *numbers)


def plan(
    name: str,
    operator: Fold,
    x: DeviceArray,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
    takes: str = ALL,
) -> Plan:
    """How to reduce the windows of arrays like `x` to results of the dtype `target`."""
    tables = walk.tables(x, geometry, divisors)
    return _plan(name, operator, x.dtype, tables, params, target, takes)


def _plan(
    name: str,
    fold: Fold,
    source: np.dtype[Any],
    tables: Tables,
    params: NDArray[np.float64],
    target: np.dtype[Any],
    takes: str,
) -> Plan:
    given = tuple(float(p) for p in params)
    if source == np.float64 and fold.wide:  # nothing tells that sums overflowed
        fold = fold.wide
    team, parts = 1, 1
    if tables.largest >= walk.LARGE and fold.combine not in IN_ORDER and not tables.layout.planes:
        team = TEAM
        cuts = min(walk.ENOUGH // max(tables.total, 1), tables.largest // (16 * TEAM), PARTS)
        # Each part would count what the whole window has: masked windows are not cut.
        parts = max(cuts, 1) if fold.combine not in RANKS and takes == ALL else 1
    one = np.ones(1, device.raw_name(source) if device.storage(source) == "native" else np.float32)[0]
    size, element = 1, (one, 1.0) if takes == WEIGHED else one
    if not (fold.combine in IN_ORDER or fold.combine in RANKS):
        size = leaves.count(fold.start(element, 0, 0, given))
    layout = tables.layout._replace(takes=takes)
    stages = (PART, MERGE) if parts > 1 else (WHOLE,)
    key = (name, fold, _stored(source), _stored(target), layout, len(given))
    kernels = [partial(_forward, *key, 1 if stage == MERGE else team, stage, size) for stage in stages]
    return Plan(kernels, tables, given, team, parts, size)


def reduce(
    name: str,
    operator: Fold,
    x: DeviceArray,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    y: DeviceArray,
    second: DeviceArray | None = None,
    third: DeviceArray | None = None,
) -> None:
    """Reduce every window of `x` into `y`, further results into `second`, `third`; all C-contiguous."""
    shares = tuple(divisor.tobytes() for divisor in divisors)
    key = (name, operator, x.strides, x.dtype, y.dtype, params.tobytes(), shares)
    plans = TABLES.setdefault(geometry, {})
    if key not in plans:
        plans[key] = plan(name, operator, x, geometry, divisors, params, y.dtype)
    plans[key].run(x, y, second, third)


def reduce_present(
    name: str,
    operator: Fold,
    x: DeviceArray,
    geometry: Geometry,
    params: NDArray[np.float64],
    present: Present,
    y: DeviceArray,
    second: DeviceArray | None = None,
    third: DeviceArray | None = None,
) -> None:
    """As `reduce`, the elements that take part; divisors are their numbers.

    Windows in which none does give 0 and, where indices are asked for, the place of their first element.
    """
    takes = LISTED if present.weights is None else WEIGHED
    plans = TABLES.setdefault(geometry, {})
    key = (takes, name, operator, x.strides, x.dtype, y.dtype, params.tobytes())
    if key not in plans:
        counts = [table.columns[1] for table in geometry.tables]
        plans[key] = plan(name, operator, x, geometry, counts, params, y.dtype, takes)
    plans[key].run(x, y, second, third, present)


def _stored(dtype: np.dtype[Any]) -> tuple[str, str]:
    return device.storage(dtype), device.raw_name(dtype)


# Kernels -------------------------------------------------------------------------------------------------


def _signature(
    kinds: Sequence[str], params: int, takes: str, *, saved: Sequence[str] = ("uint8",) * 4
) -> tuple[Any, ...]:
    """Types of the nest's arguments."""
    values, out, extra, more = kinds
    numbers = (types.int64, types.int64, types.int64)
    return (
        values,
        out,
        extra,
        more,
        *saved,
        "int64" if takes == ALL else "uint8",
        "int64",
        types.UniTuple(types.float64, params),
        *numbers,
    )


@cache
def _forward(
    name: str,
    fold: Fold,
    source: tuple[str, str],
    target: tuple[str, str],
    layout: Layout,
    params: int,
    team: int,
    stage: str,
    size: int,
    kinds: tuple[str, str],
) -> Kernel:
    """The kernel that reduces windows; `kinds` are the dtypes of the second and third result."""
    read, write = READ[source[0]], WRITE[target[0]]
    if fold.combine in RANKS:
        steps, size = rank.steps(fold, source, layout, team), rank.LEAVES
    else:
        start, lift, combine, finish, second, third = fold[:6]
        element_of = walk.element_of(layout)

        def advance(acc, tap, position, context):
            values, here, given = context[0], context[1], context[2]
            element = element_of(read(values[tap]), context[5], tap)
            return combine(acc, lift(element, position, here, given), given)

        across = walk.merging(team, size, combine)
        through = walk.sharing(layout, device.function(advance), team, across)
        steps = Steps(start, through, finish, second, third, combine)
    further = kinds[0] != "uint8", kinds[1] != "uint8"
    kernel = walk.nest(layout, steps, read, write, team=team, stage=stage, further=further, leaves=size)
    saved = ("uint8",) * 4 if layout.takes == ALL else ("uint8", "float64", "int64", "uint8")
    forms = "planes" if layout.planes else "", stage if stage != WHOLE else "", layout.takes
    form = "_".join(filter(None, forms))
    label = f"fold_{name}_{source[1]}_{target[1]}{'_team' if team > 1 else ''}{'_' if form else ''}{form}"
    types_of_all = _signature((source[1], target[1], *kinds), params, layout.takes, saved=saved)
    return Kernel(kernel, label, *types_of_all)


# Where a pull finds what a window keeps: beside its gradient, by its place in the plane, or one for all.
BY_TAP, BY_PLACE, ONE = "tap", "place", "one"


@cache
def _pull(
    name: str,
    pull: Expression,
    source: tuple[str, str],
    own: tuple[str, str],
    target: tuple[str, str],
    layout: Layout,
    params: int,
    state: str,
    saved: str,
) -> Kernel:
    """The kernel by which each element gathers what windows send it."""
    read, read_own, write = READ[source[0]], READ[own[0]], WRITE[target[0]]
    by_tap, by_place = saved == BY_TAP, saved == BY_PLACE

    def advance(acc, tap, position, context):
        values, _, given, own_place, mine, first, second, third = context
        at = tap if by_tap else position if by_place else np.int64(0)
        return acc + pull(read(values[tap]), mine, own_place, first[at], second[at], third[at], given)

    through = walk.sharing(layout, device.function(advance), 1, walk.merging(1, 1, plus))
    steps = Steps(GATHER.start, through, GATHER.finish, nothing, nothing, plus)
    kernel = walk.nest(layout, steps, read, write, team=1, pulls=True, read_own=read_own)
    kept = (own[1], state, state, state)
    form = f"{'_planes' if layout.planes else ''}{layout.takes and '_' + layout.takes}"
    label = f"pull_{name}_{source[1]}_{target[1]}{form}"
    kinds = source[1], target[1], "uint8", "uint8"
    return Kernel(kernel, label, *_signature(kinds, params, layout.takes, saved=kept))


def gather(
    name: str,
    pull: Expression,
    gy: DeviceArray,
    x: DeviceArray,
    states: Sequence[DeviceArray],
    geometry: Geometry,
    params: NDArray[np.float64],
    gx: DeviceArray,
    sends: DeviceArray | None = None,
) -> None:
    """Sum into each `gx` what `pull` sends from the windows that cover it; every array C-contiguous.

    `geometry` is the inverse one. `states` have the shape of `gy`, `x` that of `gx`. Where `sends`, an array
    of uint8 of the shape of `gy`, is 0, a window sends nothing.
    """
    saved, tables = [state.flat() for state in states], _inverse_tables(gy, geometry)
    _launch_pull(name, pull, gy, x, saved, states[0].dtype, BY_TAP, tables, params, gx, sends)


def _inverse_tables(gy: DeviceArray, geometry: Geometry) -> Tables:
    """The tables by which elements find the windows that cover them."""
    plans = TABLES.setdefault(geometry, {})
    key = ("gather", gy.strides, gy.itemsize)
    if key not in plans:
        plans[key] = walk.tables(gy, geometry, [table.columns[1] for table in geometry.tables])
    found: Tables = plans[key]
    return found


def _launch_pull(
    name: str,
    pull: Expression,
    gy: DeviceArray,
    x: DeviceArray,
    states: Sequence[Any],
    state: np.dtype[Any],
    saved: str,
    tables: Tables,
    params: NDArray[np.float64],
    gx: DeviceArray,
    sends: DeviceArray | None = None,
) -> None:
    given = tuple(float(p) for p in params)
    stored = (_stored(gy.dtype), _stored(x.dtype), _stored(gx.dtype))
    layout = tables.layout if sends is None else tables.layout._replace(takes=LISTED)
    kernel = _pull(name, pull, *stored, layout, len(given), state.name, saved)
    values, origin = gy.memory()
    listed = NOWHERE if sends is None else sends.flat()
    arrays = (values, gx.flat(), NOWHERE, NOWHERE, x.flat(), *states, listed)
    numbers = (device.address_of(tables.held), given, origin, tables.total, 1)
    kernel.launch(*device.grid(tables.total), gx.where, *arrays, *numbers)


def send_shares(gy: DeviceArray, geometry: Geometry, divisors: Sequence[Integers], gx: DeviceArray) -> bool:
    """Sum into each `gx` the shares of the windows that cover it; divisors are products of `divisors`."""
    plans = TABLES.setdefault(geometry, {})
    key = ("shares", *(divisor.tobytes() for divisor in divisors))
    if key not in plans:
        grid = 1.0 / windows.divisor_grid(divisors, geometry.tables, range(len(divisors)), len(divisors))
        alike = bool((grid == grid.flat[0]).all())
        shares = (
            grid.reshape(-1)[:1]
            if alike
            else np.broadcast_to(grid, [len(t) for t in geometry.tables]).reshape(-1)
        )
        plans[key] = device.upload(shares), ONE if alike else BY_PLACE
    held, saved = plans[key]
    states = [device.address_of(held)] * 3
    float64, none, tables = np.dtype(np.float64), np.zeros(1), _inverse_tables(gy, geometry.inverse())
    _launch_pull("share", to_all, gy, gx, states, float64, saved, tables, none, gx)
    return True


# Windows that differ from plane to plane -----------------------------------------------------------------


class PlanePlan(NamedTuple):
    """As `Plan`, of windows that differ from plane to plane."""

    name: str
    fold: Fold
    pull: Expression | None
    windows: PlaneWindows
    layout: tuple[Sequence[int], Sequence[int]]
    divisors: Sequence[Integers]
    params: NDArray[np.float64]
    target: np.dtype[Any]
    takes: str = ALL

    def run(
        self,
        x: DeviceArray,
        y: DeviceArray,
        second: DeviceArray | None = None,
        third: DeviceArray | None = None,
        present: Present | None = None,
    ) -> None:
        """Reduce every window of `x` into `y`, further results into `second`, `third`; all C-contiguous."""
        lo, count, plane = self.windows.lo, self.windows.count, self.windows.plane
        begins, own = self._written()
        bounds = np.arange(begins.size + 1)
        members = Members(bounds, begins, self.windows.planes * math.prod(plane), self.windows.sets)
        read = c_strides(plane, 1), plane
        tables = walk.plane_tables(members, (lo, count, self.divisors), read, own)
        plan = _plan(self.name, self.fold, x.dtype, tables, self.params, self.target, self.takes)
        plan.run(x, y, second, third, present)

    def send(
        self,
        gy: DeviceArray,
        x: DeviceArray,
        states: Sequence[DeviceArray],
        gx: DeviceArray,
        present: tuple[DeviceArray, DeviceArray] | None = None,
    ) -> None:
        """Sum into each `gx` what every window sends to it; every array C-contiguous.

        `present` are the mask of elements and that of windows; only the latter is read, as elements gather,
        and callers set to 0 what is left out.
        """
        plane, size = self.windows.plane, math.prod(self.windows.plane)
        begins, own = self._written()
        order = np.argsort(self.windows.planes, kind="stable")
        numbers = np.arange(gx.size // size)
        bounds = np.searchsorted(self.windows.planes[order], np.append(numbers, numbers.size))
        members = Members(bounds, numbers * size, begins[order], self.windows.sets[order])
        lo, count = self.windows.inverse()
        read = own, self.windows.outputs
        tables = walk.plane_tables(members, (lo, count, count), read, c_strides(plane, 1))
        saved = [state.flat() for state in states]
        assert self.pull is not None
        sends = None if present is None else present[1]
        kind, given = states[0].dtype, self.params
        _launch_pull(self.name, self.pull, gy, x, saved, kind, BY_TAP, tables, given, gx, sends)

    def _written(self) -> tuple[Integers, list[int]]:
        """Where each plane of the result begins, and the strides of its pooled axes."""
        shape, order = self.layout
        rank, strides = len(self.windows.outputs), c_strides(shape, 1)
        begins = np.zeros(1, np.int64)
        for axis in order[:-rank]:
            begins = np.add.outer(begins, np.arange(shape[axis]) * strides[axis]).reshape(-1)
        return begins, [strides[axis] for axis in order[-rank:]]


def plan_planes(
    name: str,
    operator: Fold,
    pull: Expression | None,
    x: DeviceArray,
    windows: PlaneWindows,
    layout: tuple[Sequence[int], Sequence[int]],
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
    takes: str = ALL,
) -> PlanePlan:
    """As `plan`, of windows that differ from plane to plane, for C-contiguous arrays like `x`.

    `layout` is the output's shape, and the order of its axes that puts pooled ones last.
    With a `pull` it is the way back.
    """
    return PlanePlan(name, operator, pull, windows, layout, divisors, params, target, takes)
