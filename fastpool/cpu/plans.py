"""How a call is reduced: by a kernel for regular windows, by parts, or by the general skeleton."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import reuse, threads, ways, windows
from ..operators import OPERATORS, Operator
from ..operators.entry import LineChoice
from ..operators.line import Line, may_overflow, unlifted
from ..operators.ranks import RANKS
from ..operators.rounding import in_shares
from ..operators.sums import mean_of_parts, sum_of_parts
from ..windows import Axis, Geometry, Integers
from . import choose, fold, present, rank, slabs, tasks, turn
from .memory import c_strides, raw, storage
from .present import Takes
from .shape import Shape
from .slabs import Slabs
from .tasks import Tiles

Array = NDArray[Any]

WORTHWHILE = 2_000  # elements of input; fewer are done by the general skeleton before these kernels compile
RANKED = 20_000  # the same of medians and modes, whose kernels take longer to compile
JOINED = 16_384  # results of several lines that are joined at a time, in cache
FEW = 8  # planes, fewer of which leave threads without work
LARGE = 500_000  # elements of one that is worth two plans
PART = 16_384  # elements of its parts where its memory runs on
MOST_COUNTED = 2**24  # elements of a window that are counted, whose number float32 holds


Single = tasks.Plan  # one kernel


class Call(NamedTuple):
    """A call to plan.

    Attributes
    ----------
    operator, geometry, divisors, params
        As `jobs.Job` has them.
    x : ndarray
        An array like the input.
    target : dtype
        Of the results.
    chosen : str
        "places" or "taps" where the chosen elements are wanted too.
    order : tuple of int
        In which the geometry has the axes of `x`; empty where that is their own.
    """

    operator: Operator
    x: Array
    geometry: Geometry
    divisors: Sequence[Integers]
    params: NDArray[np.float64]
    target: np.dtype[Any]
    chosen: str = ""
    order: tuple[int, ...] = ()

    @property
    def view(self) -> Array:
        """The array, its axes in order."""
        return self.x.transpose(self.order) if self.order else self.x


def plan(  # noqa: PLR0911 - one for each kind of plan
    operator: Operator,
    x: Array,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
    chosen: str,
) -> Any:
    """How to reduce arrays like `x` to the dtype `target`: by lines where they fit, else by the skeleton.

    `chosen` is "places" where the plan also finds the chosen elements' indices, and "taps" where it finds
    which elements of their windows they are, as uint8; that by lines only, and None where they do not fit.
    """
    call = Call(operator, x, geometry, divisors, params, target, chosen)
    if operator.counts:
        factors, tables = [table.columns[1] for table in geometry.tables], geometry.tables
        return Counts(geometry.output_shape, windows.divisor_grid(factors, tables, geometry.axes, x.ndim))
    if operator.picks:
        picked = Picked.of(geometry)
        if picked:
            return picked
    line_choices = operator.parts or (operator.line,) * (operator.line is not None)
    if operator.averages and x.dtype.kind in "iu" and not windows.averages_fit(geometry.tables, divisors):
        line_choices = ()  # they wrap
    if x.size >= WORTHWHILE and line_choices and all(factor[0] > 0 for factor in divisors):
        large = None if chosen else _in_two(call)
        if large:
            return large
        for form in _forms(call):
            found = _lines_or_parts(form)
            if found:
                whole: Lines = _turned(form, found) if form.order else found
                if operator.bears is None:
                    return whole
                return Ranged(whole, _by_elements(call), operator.bears, params)
    if chosen == "taps":
        return None
    ranks = operator.fold(x.dtype, target).combine in RANKS
    if ranks and x.size >= RANKED:
        ranked = rank.plan(operator.name, x, geometry, params, target)
        if ranked:
            return ranked
    return _by_elements(call)._replace(why=_why_general(x, geometry, ranks=ranks, lined=bool(line_choices)))


class Counts(NamedTuple):
    """How many elements windows have: an array that broadcasts to a result of the shape."""

    shape: tuple[int, ...]
    counts: Integers

    def run(self, x: Array, y: Array, places: Array | None) -> None:  # noqa: ARG002 - as other plans
        """Write the counts: the input is not read."""
        y.reshape(self.shape)[...] = self.counts

    def way(self) -> ways.Way:
        """What it says of itself."""
        return ways.Way("counts", "the windows' own sizes: the input is not read", tasks=1)


class Picked(NamedTuple):
    """One element of each window, at one distance from the next: a copy of these."""

    geometry: Geometry
    view: tuple[slice, ...]

    @classmethod
    def of(cls, geometry: Geometry) -> "Picked | None":
        """The plan, where there is one."""
        view = [slice(None)] * len(geometry.shape)
        for axis, table in zip(geometry.axes, geometry.tables, strict=True):
            every = windows.evenly(table)
            if every is None:
                return None
            view[axis] = every
        return cls(geometry, tuple(view))

    def run(self, x: Array, y: Array, places: Array | None) -> None:
        """Write the elements, and where they are."""
        axes, tables, shape = self.geometry.axes, self.geometry.tables, self.geometry.output_shape
        found = x[self.view]
        if found.dtype != y.dtype:
            with np.errstate(over="ignore"):
                found = found.astype(y.dtype)
        y.reshape(shape)[...] = found
        if places is not None:
            places.reshape(shape)[...] = sum(
                (table.lo * unit).reshape([-1 if axis == own else 1 for own in range(x.ndim)])
                for axis, table, unit in zip(axes, tables, c_strides(self.geometry.plane), strict=True)
            )

    def way(self) -> ways.Way:
        """What it says of itself."""
        return ways.Way("picked", "one element of each window, evenly spread: a copy of these", tasks=1)


def _why_general(x: Array, geometry: Geometry, *, ranks: bool, lined: bool) -> str:
    """Why no other kernel serves."""
    least = RANKED if ranks else WORTHWHILE
    if x.size < least:
        return f"fewer than {least:,} elements, for which no other kernel is worth compiling"
    if not ranks and not lined:
        return "no other kernel has this operator or divisor"
    if any(table.regular is None for table in geometry.tables):
        return "windows differ in length or distance"
    return "no other kernel takes this memory order, dtype or length of windows"


def plan_present(
    operator: Operator,
    x: Array,
    geometry: Geometry,
    params: NDArray[np.float64],
    target: np.dtype[Any],
    takes: tuple[bool, bool, bool, bool],
) -> present.Plan | None:
    """How to reduce what takes part in regular windows of arrays like `x`.

    None where the skeleton must serve. `takes` are the fields of `Takes`. A mask has memory in the order of
    `x`. Sums with weights are of floats, in float64.
    """
    weighs = Takes(*takes).weighs
    if weighs and x.dtype.kind in "iub":
        return None
    if x.size < WORTHWHILE or operator.line is None or operator.bears is not None:
        return None
    shape = Shape.of(x, geometry, placed=False)
    if shape is None:
        return None
    line = operator.line(x.dtype, target, shape.positions(), present.chain(shape), params)
    if line is None or shape.positions() >= MOST_COUNTED:
        return None
    line = line._replace(dtype="float64") if weighs else line
    call = Call(operator, x, geometry, (), params, target)
    reduction = _reduction(call, line, shape, _knobs(line, params), np.ones(1))
    counts = present.counts_of(line, shape.positions(), Takes(*takes))
    return present.plan(reduction, Takes(*takes), counts, geometry.axes[0])


class Twice(NamedTuple):
    """A plan for parts of large windows, and one for their results.

    The parts are rows of an axis, or in memory that runs on `cut` into an outer length, a number of parts and
    their length; then a third plan serves what is left behind the last whole part.
    """

    parts: Single
    rest: Single
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    again: Callable[[Array, Array], None] | None
    cut: tuple[int, int, int] | None = None
    left: Single | None = None

    def run(self, x: Array, y: Array, places: Array | None) -> None:
        """As `Plan.run`."""
        between = reuse.empty(self.shape, self.dtype)
        overflowed = [self.parts.run(_parts(x, self.cut), between, None)]
        if self.left and self.cut:
            last = np.empty((self.cut[0], 1), self.dtype)
            overflowed.append(self.left.run(_left(x, self.cut), last, None))
            between = np.concatenate([between, last], axis=1)
        overflowed.append(self.rest.run(between, y, places))
        if self.again and any(overflowed) and not np.isfinite(y).all():
            self.again(x, y)

    def way(self) -> ways.Way:
        """What it says of itself."""
        why = "a window is a large plane: its parts, and then their results"
        plans = [plan for plan in (self.parts, self.left, self.rest) if plan]
        return ways.of_parts("in two", why, [plan.way() for plan in plans])


def _parts(x: Array, cut: tuple[int, int, int] | None) -> Array:
    """The whole parts that memory is cut into."""
    if cut is None:
        return x
    strides = x.size // cut[0] * x.itemsize, cut[2] * x.itemsize, x.itemsize
    return np.lib.stride_tricks.as_strided(x, cut, strides, writeable=False)


def _left(x: Array, cut: tuple[int, int, int]) -> Array:
    """What is behind the last whole part."""
    return x.reshape(cut[0], -1)[:, cut[1] * cut[2] :]


def _in_two(call: Call) -> Twice | None:
    """Large planes in parts, which threads share; None for all else, and for floats of 16 bits."""
    operator, x, target = call.operator, call.x, call.target
    axes, tables = call.geometry.axes, call.geometry.tables
    plane = math.prod(call.geometry.plane)
    whole = all(len(table) == 1 and table.fewest == table.size for table in tables)
    if not whole or plane < LARGE or not x.flags.c_contiguous or storage(x.dtype) != "native":
        return None
    adds = operator.backward == "spread" and x.dtype.kind == "f"
    promotes = operator.promotes and x.dtype.kind in "iu"
    first = OPERATORS["sum"] if operator.averages else operator
    fits = operator.backward in ("spread", "chosen") and operator.line and first.line
    if not fits or (x.dtype != target and not promotes):
        return None
    # Sums of parts are not rounded before they add up.
    dtype = np.dtype(np.float64) if adds else target
    choice, last = (sum_of_parts, sum_of_parts) if adds else (first.line, operator.line)
    if adds and operator.averages:
        last = mean_of_parts
    cut, left = None, None
    inner, shape = axes[1:], tuple(1 if axis in axes[1:] else n for axis, n in enumerate(x.shape))
    behind = shape
    if axes == tuple(range(x.ndim - len(axes), x.ndim)) and plane >= PART:
        cut = x.size // plane, plane // PART, PART
        inner, shape, behind = (2,), cut[:2], (cut[0], -(-plane // PART))
    elif len(axes) == 1 or x.size >= FEW * plane:
        return None
    part = call._replace(operator=first, target=dtype)
    parts = _whole(choice, part._replace(x=_parts(x, cut)), inner)
    total = math.prod(int(factor[0]) for factor in call.divisors)
    rest = _whole(last, call._replace(x=np.empty(behind, dtype)), (1,) if cut else axes[:1], total)
    if cut and behind != shape:
        left = _whole(choice, part._replace(x=_left(x, cut)), (1,))
    if parts is None or rest is None or (left is None and behind != shape):
        return None
    again = _again(operator, call) if adds else None
    return Twice(parts, rest, shape, dtype, again, cut, left)


def _whole(choice: LineChoice | None, call: Call, axes: tuple[int, ...], divisor: int = 1) -> Single | None:
    """How to reduce whole axes of the call's array by lines."""
    shape = call.x.shape
    geometry = Geometry(shape, axes, tuple(windows.adaptive(shape[axis], 1) for axis in axes))
    divisors = [np.full(1, divisor), *(np.ones(1, np.int64) for _ in axes[1:])]
    found = choice and _by_lines(choice, call._replace(geometry=geometry, divisors=divisors))
    return found._replace(again=None) if found else None


def _again(operator: Operator, call: Call) -> Callable[[Array, Array], None]:
    """An operator over the call's windows by elements, of whatever array: the call's own is not kept."""
    own = operator.fold(call.x.dtype, call.target)
    geometry, divisors, params = call.geometry, call.divisors, call.params
    return lambda x, y: fold.reduce(operator.name, own, x, geometry, divisors, params, y)


def _by_elements(call: Call) -> fold.Plan:
    operator, x, geometry, divisors, params, target, *_ = call
    return fold.plan(operator.name, operator.fold(x.dtype, target), x, geometry, divisors, params, target)


def _is_one_element(axis: windows.Axis) -> bool:
    """Whether windows along an axis are each of its elements, or its only one."""
    return axis.regular == (1, 1, 0) or axis.size == len(axis) == 1


def _forms(call: Call) -> list[Call]:
    """The call without axes of one-element windows, and as it is, both in the order of the memory."""
    geometry, divisors, found = call.geometry, call.divisors, [call]
    pooled = [n for n, table in enumerate(geometry.tables) if not _is_one_element(table)]
    if 0 < len(pooled) < len(geometry.tables) and not call.chosen:
        rest = math.prod(int(factor[0]) for n, factor in enumerate(divisors) if n not in pooled)
        kept = [divisors[n] for n in pooled]
        axes = tuple(geometry.axes[n] for n in pooled)
        fewer = Geometry(geometry.shape, axes, tuple(geometry.tables[n] for n in pooled))
        found.insert(0, call._replace(geometry=fewer, divisors=(kept[0] * rest, *kept[1:])))
    order = turn.memory_order(call.x)
    if order:
        commutes = not call.chosen and (call.operator.backward == "spread" or call.x.dtype.kind in "iub")
        found = [turned for form in found if (turned := _in_order(form, order, commutes=commutes))]
    return found


def _in_order(call: Call, order: tuple[int, ...], *, commutes: bool) -> Call | None:
    """The call over the axes in another order; None where the order of a window's elements would change."""
    axes = [order.index(axis) for axis in call.geometry.axes]
    if axes != sorted(axes) and not commutes:
        return None
    divisors = [call.divisors[n] for n in sorted(range(len(axes)), key=axes.__getitem__)]
    return call._replace(geometry=turn.reordered(call.geometry, order), divisors=divisors, order=order)


class Turned(NamedTuple):
    """A plan for the array with its axes in the order of its memory; results are turned back."""

    plan: "Single | Parts"
    order: tuple[int, ...]
    shape: tuple[int, ...]  # of the result in that order, with every axis

    def run(self, x: Array, y: Array, places: Array | None) -> None:
        """As `Plan.run`."""
        back = tuple(np.argsort(self.order))
        shape = tuple(self.shape[axis] for axis in back)
        y, places = y.reshape(shape), places if places is None else places.reshape(shape)
        turned = [a.transpose(self.order) for a in (y, places) if a is not None]
        results = [reuse.result(a.shape, a.dtype) for a in turned]
        self.plan.run(x.transpose(self.order), results[0], results[1] if places is not None else None)
        for into, result in zip((y, places), results, strict=False):
            if into is not None:
                turn.copy(into, result.transpose(back))

    def way(self) -> ways.Way:
        """What it says of itself."""
        return ways.turned(self.plan.way())


class Parts(NamedTuple):
    """Several plans whose results are joined."""

    plans: list[Single]
    dtype: np.dtype[Any]
    join: Callable[[list[Array], NDArray[np.float64]], Array]
    params: NDArray[np.float64]

    def run(self, x: Array, y: Array, places: Array | None) -> None:
        """As `Plan.run`."""
        results = [reuse.empty(y.shape, self.dtype) for _ in self.plans]
        for part, result in zip(self.plans, results, strict=True):
            part.run(x, result, places)
        flat, parts = y.reshape(-1), [result.reshape(-1) for result in results]
        for start in range(0, y.size, JOINED):
            piece = slice(start, start + JOINED)
            flat[piece] = self.join([part[piece] for part in parts], self.params)

    def way(self) -> ways.Way:
        """What it says of itself."""
        why = "several results make the value"
        return ways.of_parts("joined", why, [plan.way() for plan in self.plans])


class Ranged(NamedTuple):
    """Lines for input of a range that they bear, and the general skeleton for all other."""

    lines: "Lines"
    other: fold.Plan
    bears: Callable[[float, float, NDArray[np.float64]], bool]
    params: NDArray[np.float64]

    def run(self, x: Array, y: Array, places: Array | None) -> None:
        """As `Plan.run`."""
        with np.errstate(invalid="ignore"):
            lowest, highest = float(x.min()), float(x.max())  # NaN where there is one, which nothing bears
        chosen = self.lines if self.bears(lowest, highest, self.params) else self.other
        chosen.run(x, y, places)

    def way(self) -> ways.Way:
        """What it says of itself."""
        why = "the first where the input's exponentials do not overflow, else the second"
        first = self.lines.way()
        return first._replace(kernel="by range", why=why, cut="", parts=(first, self.other.way()))


Lines = Single | Parts | Turned | Slabs | Twice


def _turned(call: Call, found: Single | Parts) -> Slabs | Turned:
    """Plans whose results are turned, slab by slab where that fits."""
    by_slabs = None if call.chosen else slabs.plan(call, _lines_or_parts)
    return by_slabs or Turned(found, call.order, call.geometry.output_shape)


def _lines_or_parts(call: Call) -> Single | Parts | None:
    """Lines for the operator, or for each of its parts."""
    operator = call.operator
    if operator.line:
        return _by_lines(operator.line, call)
    if operator.join is None or call.chosen:
        return None
    dtype = np.dtype(np.float64) if operator.wide else call.target
    if dtype.itemsize == 2:  # results of parts are not rounded to 16 bits before they are joined
        dtype = np.dtype(np.float32)
    found = [_by_lines(part, call._replace(target=dtype)) for part in operator.parts]
    plans = [part for part in found if part]
    return Parts(plans, dtype, operator.join, call.params) if len(plans) == len(found) else None


def _by_lines(choice: LineChoice, call: Call) -> Single | None:
    """None where lines do not fit geometry, layout or operator."""
    operator, x, divisors = call.operator, call.view, call.divisors
    shape = Shape.of(x, call.geometry, placed=bool(call.chosen))
    if shape is None:
        return None
    if call.chosen:
        fits = operator.placed and _one_block(x, call.geometry) and x.dtype == call.target
        line = operator.placed(x.dtype) if fits and operator.placed else None
    else:
        line = choice(x.dtype, call.target, shape.positions(), choose.chain(shape), call.params)
    if line is None:
        return None
    uniform = line.scales == "none" or all((factor == factor[0]).all() for factor in divisors)
    knobs = _knobs(line, call.params)
    if uniform and line.scales == "inverse":
        divisor = math.prod(int(factor[0]) for factor in divisors)
        line, knobs = in_shares(line, shape.positions(), divisor) or (line, knobs)
    across, down = _weights(divisors, line, shape, None)
    scale = across * down if uniform or call.chosen else None
    adds = OPERATORS["avg" if line.scales == "divisor" else "sum"]
    again = _again(adds, call) if may_overflow(line) else None
    return choose.plan(_reduction(call, line, shape, knobs, scale, again))


def _knobs(line: Line, params: NDArray[np.float64]) -> list[Any]:
    """The operator's first parameters, of lines that can hold them."""
    return [*params, 0, 0, 0][:3] if line.dtype == "float64" else [0, 0, 0]


def _reduction(
    call: Call,
    line: Line,
    shape: Shape,
    knobs: Sequence[Any],
    scale: Array | None,
    again: Callable[[Array, Array], None] | None = None,
) -> tasks.Reduction:
    """The call's windows as a shape, reduced by a line."""
    x, lifts = call.view, line.lift is not unlifted
    return tasks.Reduction(
        name=f"{call.operator.name}_{line.lift.__name__}" if lifts else call.operator.name,
        line=line,
        shape=shape,
        leads=shape.leads(),
        source=storage(x.dtype),
        target=storage(call.target),
        converts=storage(x.dtype) != "native" or raw(x).dtype != line.dtype or lifts,
        floats=x.dtype.kind == "f",
        chosen=call.chosen,
        scale=scale,
        weigh=partial(_weights, call.divisors, line),
        like=np.array([line.neutral, *knobs], line.dtype),
        work=x.size if lifts else threads.vector_work(x.size, line.itemsize),
        again=again,
        limits=choose.limits(),
    )


def _weights(
    divisors: Sequence[Integers], line: Line, shape: Shape, tiles: Tiles | None
) -> tuple[Array, Array]:
    """Scales along a row of output (channels included), and a factor a row; without `tiles` all are alike."""
    dtype = np.float64 if line.dtype in ("float64", "int32") else np.float32
    if line.scales == "none":
        return np.ones(1, dtype), np.ones(1, dtype)
    *others, columns = [factor.astype(np.float64) for factor in divisors]
    if len(shape.tables) > len(divisors):  # columns are channels
        others, columns = [*others, columns], np.ones(1)
    if tiles is None:
        rows = np.array([math.prod(factor[0] for factor in others)])
        columns = columns[:1]
    else:
        *leading, down = [*others, np.ones(1)] if shape.by_planes else others or [np.ones(1)]
        rows = np.ones(1)
        for factor, (table, *_) in zip(leading, shape.leading, strict=True):
            rows = np.multiply.outer(rows, table.spread(factor)).reshape(-1)
        rows = np.multiply.outer(rows, _of_tiles(shape.tables[:-1], down, tiles.rows)).reshape(-1)
        columns = np.repeat(_of_tiles(shape.tables, columns, tiles.columns), shape.channels)
    if line.scales == "inverse":
        columns, rows = 1 / columns, 1 / rows
    return columns.astype(dtype), rows.astype(dtype)


def _of_tiles(tables: Sequence[Axis], factor: Array, parts: list[tuple[int, int]]) -> Array:
    """What a factor is for the outputs of each shape of tiles."""
    if (factor == factor[0]).all():  # of planes that are taken as one as well
        return np.full(sum(count for _, count in parts), factor[0])
    return np.concatenate([tables[-1].spread(factor, first, first + count) for first, count in parts])


def _one_block(x: Array, geometry: Geometry) -> bool:
    """Whether a plane of the input is contiguous, so that an offset tells a place, and fits int32."""
    first = geometry.axes[0]
    strides = tuple(stride // x.itemsize for stride in x.strides)
    plane = math.prod(x.shape[first:])
    return plane < 2**31 and strides[first:] == c_strides(x.shape)[first:]
