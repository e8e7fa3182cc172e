"""Which programs reduce a geometry, and the blocks that they are for."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import reuse, threads, ways, windows
from ..operators import OPERATORS, Operator
from ..operators.entry import LineChoice
from ..operators.line import Line, add, may_overflow, unlifted
from ..operators.ranks import RANKS
from ..operators.rounding import in_shares
from ..operators.sums import mean_of_parts, sum_of_parts
from ..windows import Axis, Geometry, Integers
from . import choose, fold, lines, program, rank, slabs, tasks, turn, whole
from .memory import Runs, c_strides, flatten, raw, runs, storage, together
from .program import CHAIN, GROUP, LANES, LONGEST, NARROW, PLANE, STACKED, Frame, Regular
from .slabs import Slabs
from .tasks import Tiles, beginnings, tiled

Array = NDArray[Any]
NOWHERE = np.empty(0, np.int32)

WORTHWHILE = 2_000  # elements of input; fewer are done by the general skeleton before these kernels compile
RANKED = 20_000  # the same of medians and modes, whose kernels take longer to compile
NEAR = 4_000  # bytes of input that are read at a time, or at most 1000 elements
PIECE = 16_384  # bytes of a block whose rows have no halo, and half as many where rows do not merge
FAR = 64_000  # elements at most, where fewer rows would be reduced twice, and where all is one pass
WHOLE = 1_024  # longest window that doubles where there is one
SCRATCH = 1_000_000  # elements of scratch memory, beyond which windows take the skeleton
REACH = 100_000  # elements of input that placed kernels read in place; where blocks span more they are copied
JOINED = 16_384  # results of several lines that are joined at a time, in cache
FEW = 8  # planes, fewer of which leave threads without work
LARGE = 500_000  # elements of one that is worth two plans
PART = 16_384  # elements of its parts where its memory runs on
WHOLE_ROW = 2_000_000  # elements of the longest whole row: steps are written for each piece of it
DEEP = 64  # channels that are long enough to be a line
LONG = 4_096  # elements of a row over which windows slide, at most, or it is parted
TALL = 4_096  # outputs of a column of the tallest planes that are taken as one
PASSES = 2  # of a program, of which each takes as long as one over the input
LOW = 128  # rows of such a block, at least
STACK = 8_192  # bytes of a line that is to stay in cache, and of another
WIDE = 2_048  # elements along a doubling tile
SWEEP = 400_000  # elements of the rows that a sweep keeps
TILE = 200_000  # elements of it, most of which stay in the second-level cache


def regular(table: Axis, pitch: int, out_pitch: int) -> Regular | None:
    """An axis in numbers, or None where it is not regular."""
    if table.regular is None:
        return None
    window, stride, before = table.regular
    return Regular(table.size, len(table), window, stride, before, table.step, pitch, out_pitch)


class Shape(NamedTuple):
    """A geometry as planes of rows and columns, with channels behind and slabs before them."""

    outer: Runs
    channels: int
    row: Regular
    columns: Regular
    leading: tuple[tuple[Axis, int, int], ...]
    plane: tuple[int, ...]
    tables: tuple[Axis, ...]
    near: int  # elements that are read at a time
    itemsize: int

    @classmethod
    def of(cls, x: Array, geometry: Geometry) -> "Shape | None":
        """None where rows are not contiguous, or an axis is not regular."""
        axes, tables, plane = geometry.axes, geometry.tables, geometry.plane
        strides = tuple(stride // x.itemsize for stride in x.strides)
        first, last = axes[0], axes[-1]
        if axes != tuple(range(first, last + 1)) or strides[last:] != c_strides(x.shape)[last:]:
            return None
        if min(strides) < 0 or any(table.fewest < 1 for table in tables):  # inverse ones may be empty
            return None
        out_strides, channels = c_strides(geometry.output_shape), math.prod(x.shape[last + 1 :])
        columns = regular(tables[-1], channels, channels)
        row: Regular | None = Regular(1, 1, 1, 1, 0, 1, plane[-1] * channels, len(tables[-1]) * channels)
        if len(axes) > 1:
            row = regular(tables[-2], strides[last - 1], out_strides[last - 1])
        if columns is None or row is None:
            return None
        if channels > 1:
            row, columns = row._replace(few=2 * CHAIN), columns._replace(few=2 * CHAIN)
        few = channels < NARROW and columns.stride > (1 if channels > 1 else CHAIN)
        if few and columns.outputs > 1 and columns.stride <= columns.window:
            columns = columns._replace(dense=True)
        outer = runs(geometry.output_shape, (strides, out_strides), range(first))
        leading = tuple(zip(tables[:-2], strides[first:], out_strides[first:], strict=False))
        if not leading and strides == c_strides(x.shape):
            if channels == 1 and row.whole() and columns.whole() and row.size > 1:
                size = row.size * columns.size  # a plane is one window: a row
                columns = Regular(size, 1, size, size, 0, 1, 1, 1)
                row = Regular(1, 1, 1, 1, 0, 1, size, 1)
            single = channels >= DEEP and row.whole() and columns.whole()  # `stacked` may have it
            if row.cells() and not single and row.outputs <= TALL:
                planes = len(outer)  # windows stay within their plane: all planes are one
                row = row._replace(size=planes * row.size, outputs=planes * row.outputs)
                outer = runs((), ((), ()), ())
        near = min(1_000, NEAR // x.itemsize)
        if leading:  # slabs that take turns stop the read-ahead
            near *= min(4, x.itemsize)
        return cls(outer, channels, row, columns, leading, plane, tables, near, x.itemsize)

    def stacked(self) -> "Shape":
        """Of planes that are one window each, of many channels: the plane as rows of channels."""
        row, columns, long = self.row, self.columns, self.channels
        size = row.size * columns.size
        whole = row.whole() and columns.whole() and row.pitch == columns.size * long and not self.leading
        if long < DEEP or not whole or not LONGEST < size <= STACKED:
            return self
        row = Regular(size, 1, size, size, 0, 1, long, long, stacked=True)
        return self._replace(row=row, columns=Regular(1, 1, 1, 1, 0, 1, long, long))

    def elements(self) -> tuple[int, int]:
        """Elements of the largest window, and the longest chain of merges that one of them goes through."""
        slabs = math.prod(table.most for table, _, _ in self.leading)
        if whole.fits(self):
            return whole.positions(self), whole.chain(self)
        chain = slabs
        for axis, narrow in ((self.row, False), (self.columns, self.channels == 1)):
            if axis.stacked:
                chain += GROUP + axis.window // GROUP
            elif axis.reducible(narrow=narrow):
                chain += axis.window // LANES + 10
            elif axis.halves(narrow=narrow):
                chain += axis.window.bit_length() + GROUP // LANES
            else:
                chain += axis.window.bit_length() * 2 if axis.doubles(narrow=narrow) else axis.window
        return self.row.window * self.columns.window * slabs, chain

    def leads(self) -> "list[Lead]":
        """The slabs that each leading output covers."""
        found = []
        pitches = [math.prod(self.plane[axis + 1 :]) for axis in range(len(self.leading))]
        written = [table.at(0, len(table)).tolist() for table, _, _ in self.leading]
        for outputs in product(*(range(len(table)) for table, _, _ in self.leading)):
            axes, out = [], 0
            place = 0
            each = zip(self.leading, written, pitches, outputs, strict=True)
            for (table, stride, out_stride), (los, counts, _), pitch, o in each:
                lo, count = los[o], counts[o]
                place += lo * pitch
                steps = [t * table.step for t in range(count)]
                axes.append([((lo + step) * stride, step * pitch) for step in steps])
                out += o * out_stride
            taps = [tuple(map(sum, zip((0, 0), *tap, strict=True))) for tap in product(*axes)]
            first = taps[0][0]
            found.append(Lead(first, out, tuple((at - first, further) for at, further in taps), place))
        return found

    def block(self) -> tuple[int, int, int]:
        """Output rows, columns and channels of a block."""
        row, columns = self.row, self.columns
        if row.slides and row.outputs * columns.outputs * self.channels <= PLANE:
            return row.outputs, columns.outputs, self.channels
        if row.slides:
            blocks = max(1, row.outputs // max(LOW, 4 * (row.span - 1)))
            blocks -= blocks % 2 if blocks > 1 else 0
            width = max(LONG // self.channels, 4 * columns.span)
            parts = max(1, columns.outputs // width)
            width = -(-columns.outputs // parts)
            if (columns.outputs - (parts - 1) * width) * self.channels < together(self.itemsize):
                width = columns.outputs
            return -(-row.outputs // blocks), width, self.channels
        if row.stacked:
            return 1, 1, min(self.channels, STACK // self.itemsize)
        if row.doubles(narrow=False) or columns.doubles(narrow=self.channels == 1):
            return self.tile()
        length, halo = columns.size * self.channels, max(0, row.span - row.stride)
        least = max(1, 16 * halo // row.stride**2)  # so that little is reduced along the columns twice
        near = (4 if columns.reduced else 1) * self.near
        height = min(row.outputs, max(least, (near // length - halo) // row.stride))
        piece = PIECE if row.window > 1 else PIECE // 2
        most = FAR if halo or columns.reduced else max(self.near, piece // self.itemsize)
        width = max(1, most // (height * row.stride + halo) // self.channels // columns.stride)
        return height, columns.outputs if width * 2 >= columns.outputs else width, self.channels

    def tile(self) -> tuple[int, int, int]:
        """Of a block whose windows double: its rows in the second-level cache, and a halo around it."""
        row, columns, deep = self.row, self.columns, min(self.channels, 64)
        across, down = columns.span - columns.stride, row.span - row.stride
        if row.swept:
            wide = max(SWEEP // (2 * row.window), across)
            return (
                min(row.outputs, 4 * down),
                min(columns.outputs, max(1, wide // deep // columns.stride)),
                deep,
            )
        width = max(WIDE, across) // deep // columns.stride
        width = min(columns.outputs, max(1, width))
        if down <= 0:
            length = ((width - 1) * columns.stride + columns.span) * deep
            return min(row.outputs, max(1, 4 * self.near // length)), width, deep
        height = max(1, (TILE // (width * deep) - down) // row.stride, 3 * down // row.stride)
        return min(row.outputs, height), width, deep


class Lead(NamedTuple):
    """A leading output: offsets of its first slab and of the output, of its slabs, and of their places."""

    first: int
    out: int
    slabs: tuple[tuple[int, int], ...]
    place: int


class Plan(NamedTuple):
    """A kernel of `lines` and its arguments but for the arrays of a call."""

    kind: lines.Kind
    program: tuple[Integers, Integers, Integers, Integers]
    weights: tuple[Array, Array]
    sizes: tuple[int, int]
    like: Array
    work: int
    again: Callable[[Array, Array], None] | None = None  # what to do where sums overflow

    def run(self, x: Array, y: Array, places: Array | None) -> bool:
        """Reduce every window of `x` into the C-contiguous `y`, and the indices (or taps) into `places`.

        Returns whether sums may have overflowed, and nothing was done `again`.
        """
        values, origin = flatten(raw(x))
        steps, blocks, outer, run = self.program
        if origin:
            outer = outer + np.array([[origin], [0]])
        met = np.zeros(1, np.int64)
        chosen = NOWHERE if places is None else places.ravel()
        arrays = (values, raw(y).ravel(), chosen, self.like, met)
        arguments = (arrays, (steps, blocks, outer, run), self.weights)
        rest = (blocks.shape[0] * outer.shape[1] * int(run[0]), self.work, self.scratch)
        threads.run(lines.kernel(self.kind), arguments, *rest)
        if met[0] and self.kind.line.careful:
            threads.run(lines.kernel(self.kind._replace(careful=True)), arguments, *rest)
        if not met[0] or not self.again or np.isfinite(y).all():
            return bool(met[0])
        self.again(x, y)
        return False

    def scratch(self) -> tuple[Any, Array]:
        """Lines for one thread: values, or values and places; and the places of input."""
        size, reach = self.sizes
        values, zeros = reuse.empty((size,), self.like.dtype), np.zeros(reach, np.int32)
        return (values, reuse.empty((size,), np.int32)) if self.kind.placed else values, zeros

    def way(self) -> ways.Way:
        """What it says of itself."""
        _, blocks, outer, run = self.program
        planes, count = outer.shape[1] * int(run[0]), blocks.shape[0]
        why = f"no other kernel serves: passes over lines ({lines.NAMES[self.kind.family]})"
        cut = ways.product({"planes": planes, "blocks": count})
        return ways.of_kernel("program of passes", why, planes * count, self.work, cut, self.scratch())


Single = Plan | tasks.Plan  # one kernel


def plan(
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
    line_choices = operator.parts or (operator.line,) * (operator.line is not None)
    if operator.averages and x.dtype.kind in "iu" and not windows.averages_fit(geometry.tables, divisors):
        line_choices = ()  # they wrap
    if x.size >= WORTHWHILE and line_choices and all(factor[0] > 0 for factor in divisors):
        large = None if chosen else _in_two(operator, x, geometry, divisors, params, target)
        if large:
            return large
        for form in _forms(operator, x, geometry, divisors, chosen):
            found = _lines_or_parts(operator, x, form, params, target, chosen)
            if found:
                whole: Lines = (
                    _turned(operator, x, form, params, target, chosen, found) if form.order else found
                )
                if operator.bears is None:
                    return whole
                other = _by_elements(operator, x, geometry, divisors, params, target)
                return Ranged(whole, other, operator.bears, params)
    if chosen == "taps":
        return None
    ranks = operator.fold(x.dtype, target).combine in RANKS
    if ranks and x.size >= RANKED:
        ranked = rank.plan(operator.name, x, geometry, params, target)
        if ranked:
            return ranked
    general = _by_elements(operator, x, geometry, divisors, params, target)
    return general._replace(why=_why_general(x, geometry, ranks=ranks, lined=bool(line_choices)))


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


def _in_two(
    operator: Operator,
    x: Array,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
) -> Twice | None:
    """Large planes in parts, which threads share; None for all else, and for floats of 16 bits."""
    axes, tables = geometry.axes, geometry.tables
    plane = math.prod(geometry.plane)
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
    parts = _whole(first, choice, _parts(x, cut), inner, params, dtype)
    total = math.prod(int(factor[0]) for factor in divisors)
    down = (1,) if cut else axes[:1]
    rest = _whole(operator, last, np.empty(behind, dtype), down, params, target, total)
    if cut and behind != shape:
        left = _whole(first, choice, _left(x, cut), (1,), params, dtype)
    if parts is None or rest is None or (left is None and behind != shape):
        return None
    again = _again(operator, geometry, divisors, params, x.dtype, target) if adds else None
    return Twice(parts, rest, shape, dtype, again, cut, left)


def _whole(
    operator: Operator,
    choice: LineChoice | None,
    x: Array,
    axes: tuple[int, ...],
    params: NDArray[np.float64],
    target: np.dtype[Any],
    divisor: int = 1,
) -> Single | None:
    """How to reduce whole axes by lines."""
    geometry = Geometry(x.shape, axes, tuple(windows.adaptive(x.shape[axis], 1) for axis in axes))
    divisors = [np.full(1, divisor), *(np.ones(1, np.int64) for _ in axes[1:])]
    found = choice and _by_lines(operator, choice, x, geometry, divisors, params, target, "")
    return found._replace(again=None) if found else None


def _again(
    operator: Operator,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    source: np.dtype[Any],
    target: np.dtype[Any],
) -> Callable[[Array, Array], None]:
    """The same call by elements."""
    own = operator.fold(source, target)
    return lambda x, y: fold.reduce(operator.name, own, x, geometry, divisors, params, y)


def _by_elements(
    operator: Operator,
    x: Array,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
) -> fold.Plan:
    chosen_fold = operator.fold(x.dtype, target)
    return fold.plan(operator.name, chosen_fold, x, geometry, divisors, params, target)


class Form(NamedTuple):
    """The same windows, written in another way; `order` is that of the axes, empty where they stay."""

    geometry: Geometry
    divisors: Sequence[Integers]
    order: tuple[int, ...] = ()

    def view(self, x: Array) -> Array:
        """The array, its axes in order."""
        return x.transpose(self.order) if self.order else x


def _forms(
    operator: Operator, x: Array, geometry: Geometry, divisors: Sequence[Integers], chosen: str
) -> list[Form]:
    """The geometry, without axes of one-element windows, and in the order of the memory."""
    found = [Form(geometry, divisors)]
    pooled = [n for n, table in enumerate(geometry.tables) if table.regular != (1, 1, 0)]
    if 0 < len(pooled) < len(geometry.tables) and not chosen:
        rest = math.prod(int(factor[0]) for n, factor in enumerate(divisors) if n not in pooled)
        kept = [divisors[n] for n in pooled]
        axes = tuple(geometry.axes[n] for n in pooled)
        fewer = Geometry(geometry.shape, axes, tuple(geometry.tables[n] for n in pooled))
        found.insert(0, Form(fewer, (kept[0] * rest, *kept[1:])))
    order = tuple(sorted(range(x.ndim), key=lambda axis: (-x.strides[axis], axis)))
    if not x.flags.c_contiguous and x.transpose(order).flags.c_contiguous:
        commutes = not chosen and (operator.backward == "spread" or x.dtype.kind in "iub")
        found = [turned for form in found if (turned := _in_order(form, order, commutes=commutes))]
    return found if chosen else [_in_rows(form) for form in found]


def _in_rows(form: Form) -> Form:
    """Long windows of many channels as those of rows, whose columns the channels are."""
    shape, axes, tables = form.geometry.shape, form.geometry.axes, form.geometry.tables
    found = regular(tables[0], 1, 1)
    if axes != (len(shape) - 2,) or shape[-1] < DEEP or not (found and found.sweeps()):
        return form
    each = windows.sliding(shape[-1], 1, 1, 0, 0, 1, False)
    divisors = (*form.divisors, np.ones(each.columns.shape[1], np.int64))
    return form._replace(geometry=Geometry(shape, (*axes, axes[0] + 1), (*tables, each)), divisors=divisors)


def _in_order(form: Form, order: tuple[int, ...], *, commutes: bool) -> Form | None:
    """The form over the axes in another order; None where the order of a window's elements would change."""
    axes = [order.index(axis) for axis in form.geometry.axes]
    if axes != sorted(axes) and not commutes:
        return None
    along = sorted(range(len(axes)), key=axes.__getitem__)
    shape = tuple(form.geometry.shape[axis] for axis in order)
    tables = tuple(form.geometry.tables[n] for n in along)
    return Form(Geometry(shape, tuple(sorted(axes)), tables), [form.divisors[n] for n in along], order)


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


def _turned(
    operator: Operator,
    x: Array,
    form: Form,
    params: NDArray[np.float64],
    target: np.dtype[Any],
    chosen: str,
    found: Single | Parts,
) -> Slabs | Turned:
    """Plans whose results are turned, slab by slab where that fits."""

    def planned(piece: Array, smaller: Form) -> Single | Parts | None:
        return _lines_or_parts(operator, piece, smaller, params, target, "")

    return (None if chosen else slabs.plan(x, form, target, planned)) or Turned(
        found, form.order, form.geometry.output_shape
    )


def _lines_or_parts(
    operator: Operator,
    x: Array,
    form: Form,
    params: NDArray[np.float64],
    target: np.dtype[Any],
    chosen: str,
) -> Single | Parts | None:
    """Lines for the operator, or for each of its parts."""
    view, shape = form.view(x), (form.geometry, form.divisors)
    if operator.line:
        return _by_lines(operator, operator.line, view, *shape, params, target, chosen)
    dtype = np.dtype(np.float64) if operator.wide else target
    if dtype.itemsize == 2:  # results of parts are not rounded to 16 bits before they are joined
        dtype = np.dtype(np.float32)
    found = [_by_lines(operator, part, view, *shape, params, dtype, "") for part in operator.parts]
    plans = [part for part in found if part]
    if operator.join is None or chosen or len(plans) < len(found):
        return None
    return Parts(plans, dtype, operator.join, params)


def _by_lines(
    operator: Operator,
    choice: LineChoice,
    x: Array,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
    chosen: str,
) -> Single | None:
    """None where lines do not fit geometry, layout or operator."""
    placed = bool(chosen)
    shape = Shape.of(x, geometry)
    if shape is None:
        return None
    if placed:
        shape = shape._replace(row=_unpadded(shape.row), columns=_unpadded(shape.columns))
        fits = operator.placed and _one_block(x, geometry) and x.dtype == target
        line = operator.placed(x.dtype) if fits and operator.placed else None
    else:
        line, shape = _formed(choice, shape, x.dtype, target, params)
    halves = shape.columns.halves(narrow=shape.channels == 1) and shape.columns.window <= WHOLE_ROW
    too_long = _too_long(shape.row) or (_too_long(shape.columns) and not halves)
    if line is None or (too_long and (placed or not whole.fits(shape))):
        return None
    uniform = line.scales == "none" or all((factor == factor[0]).all() for factor in divisors)
    knobs = [*params, 0, 0, 0][:3] if line.dtype == "float64" else [0, 0, 0]
    if uniform and line.scales == "inverse":
        divisor = math.prod(int(factor[0]) for factor in divisors)
        line, knobs = in_shares(line, shape.elements()[0], divisor) or (line, knobs)
    adds = OPERATORS["avg" if line.scales == "divisor" else "sum"]
    alone = uniform or bool(chosen)
    across, down = _weights(shape, divisors, line, None)
    reduction = tasks.Reduction(
        operator.name if line.lift is unlifted else f"{operator.name}_{line.lift.__name__}",
        line,
        shape,
        shape.leads(),
        storage(x.dtype),
        storage(target),
        storage(x.dtype) != "native" or raw(x).dtype != line.dtype or line.lift is not unlifted,
        x.dtype.kind == "f",
        chosen,
        across * down if alone else None,
        partial(_weights, shape, divisors, line),
        np.array([line.neutral, *knobs], line.dtype),
        x.size if line.lift is not unlifted else threads.vector_work(x.size, line.itemsize),
        _again(adds, geometry, divisors, params, x.dtype, target) if may_overflow(line) else None,
        choose.limits(),
    )
    return choose.plan(reduction) or _by_program(reduction, geometry, divisors)


def _by_program(r: tasks.Reduction, geometry: Geometry, divisors: Sequence[Integers]) -> Plan | None:
    """What kernels of their own do not serve yet: by steps; None where these need too much memory."""
    line, shape, placed = r.line, r.shape, r.placed
    units = shape.row.step * geometry.plane[-1], shape.columns.step
    if r.chosen == "taps":
        units = (shape.columns.window, 1)
    frame = Frame(
        shape.channels,
        units,
        scans=line.careful is not None,
        converts=r.converts,
        placed=placed,
        fused=r.chosen == "taps" or (r.uniform and not placed),
        near=shape.near,
        commutes=not placed and not line.careful,
        grouped=not placed and _grouped(line),
    )
    if not shape.leading and program.slides(frame, shape.row, shape.columns):
        shape = shape._replace(row=shape.row._replace(slides=True, swept=False))
    steps, blocks, size, tiles = _blocks(shape, frame)
    if size > SCRATCH:
        return None
    reach = _reach(steps) if placed else 0
    if reach > REACH:
        steps, blocks, size, tiles = _blocks(shape, frame._replace(converts=True))
        reach = 0
    if placed:
        scales, factors = (np.zeros(1, np.int32),) * 2 if frame.fused else _corners(shape, tiles)
    else:
        scales, factors = _weights(shape, divisors, line, None if frame.fused else tiles)
    if frame.fused:
        scales = np.repeat(scales, steps[steps[:, lines.OP] == lines.PUT, lines.COUNT].max(initial=1))
    kind = lines.Kind(
        r.name, line, False, r.source, r.target, placed, lines.family(steps[:, lines.OP].tolist())
    )
    work = r.work if line.lift is not unlifted else _work(steps, blocks, line) * len(shape.outer)
    outer = shape.outer.begins, np.array([shape.outer.length, *shape.outer.steps])
    return Plan(kind, (steps, blocks, *outer), (scales, factors), (size, reach), r.like, work, r.again)


def _formed(
    choice: LineChoice,
    shape: Shape,
    source: np.dtype[Any],
    target: np.dtype[Any],
    params: NDArray[np.float64],
) -> tuple[Line | None, Shape]:
    """The line that fits, and the shape with the ways in which its windows may be merged."""
    if whole.fits(shape):
        return choice(source, target, *shape.elements(), params), shape
    stacked = shape.stacked()
    line = choice(source, target, *stacked.elements(), params)
    if line and line.careful:  # to look for NaNs is to read twice
        line = choice(source, target, *shape.elements(), params)
    else:
        shape = stacked
    if line and _reduces(line, shape):
        shape = shape._replace(columns=shape.columns._replace(reduced=True, dense=False))
    exact = line is not None and (line.merge is not add or np.dtype(line.dtype).kind in "iu")
    if exact and shape.row.sweeps() and not shape.leading:
        shape = shape._replace(row=shape.row._replace(swept=True))
    return line, shape


def _work(steps: Integers, blocks: Integers, line: Line) -> int:
    """What all passes of a program take, for `threads.run`."""
    elements = steps[:, lines.COUNT] * np.maximum(steps[:, lines.REPEAT], 1)
    each = np.concatenate([[0], np.cumsum(elements)])
    passed = each[blocks[:, lines.END]] - each[blocks[:, lines.BEGIN]]
    return threads.vector_work(int(passed.sum()) // PASSES, np.dtype(line.dtype).itemsize)


def _reach(steps: Integers) -> int:
    """How far into the input of a block steps read, which is how many places of 0 they need beside it."""
    where, length = steps[:, lines.FROM], (steps[:, lines.COUNT] + 1) * 4
    repeat, full = steps[:, lines.REPEAT], where & lines.BARE == 0
    reach = 0
    for bit, source in ((1, lines.A), (2, lines.B), (4, lines.C)):
        pitch = np.maximum(steps[:, lines.PITCH], steps[:, lines.A_PITCH] * (bit == 1))
        reads = full & (where & bit > 0)
        reach = max(reach, int((steps[:, source] + repeat * pitch + length)[reads].max(initial=0)))
    return reach


def _blocks(shape: Shape, frame: Frame) -> tuple[Integers, Integers, int, Tiles]:
    """The steps of all programs, the blocks that they are for, their scratch memory, and the tiles."""
    row, columns, channels = shape.row, shape.columns, shape.channels
    height, width, deep = shape.block()
    leads, layers = shape.leads(), np.arange(0, channels, deep)
    downs, down, top, low = row.parts(height)
    acrosses, across, left, near = columns.parts(width, narrow=channels == 1)
    thick, layer = [deep, (channels - 1) % deep + 1], (layers + deep > channels).astype(np.int64)
    slabs = list(dict.fromkeys(lead.slabs for lead in leads))
    steps: list[tuple[int, ...]] = []
    ends, size = [0], 0
    for key in product(slabs, downs, acrosses, thick):
        writer = program.block(frame, *key)
        steps += writer.steps
        ends.append(len(steps))
        size = max(size, writer.size)
    lead = np.array([slabs.index(lead.slabs) for lead in leads])
    grid = np.ix_(lead, down, across, layer)
    counts = (len(slabs), len(downs), len(acrosses), len(thick))
    number = sum(place * math.prod(counts[n + 1 :]) for n, place in enumerate(grid))
    first, out, place = np.array([(lead.first, lead.out, lead.place) for lead in leads]).T
    tiles = Tiles(tiled(downs, down, top), tiled(acrosses, across, left))
    zeros = (0 * first, 0 * top, 0 * left, 0 * layers)
    scale, factor, corner = zeros, zeros, zeros
    if frame.placed and not frame.fused:
        high, pitch = _height(shape), shape.plane[-1]
        merged = high < row.outputs
        down_at = 0 * top if merged else (top * row.stride - row.before) * pitch
        factor = (0 * first, top % high if merged else 0 * top, 0 * left, 0 * layers)
        corner = (place, down_at, left * columns.stride - columns.before, 0 * layers)
    elif not frame.fused:
        tall = sum(count for _, count in tiles.rows)
        factor = (np.arange(len(leads)) * tall, beginnings(tiles.rows)[down], 0 * left, 0 * layers)
        scale = (0 * first, 0 * top, beginnings(tiles.columns)[across] * channels, 0 * layers)
    fields = [
        np.array(ends)[number],
        np.array(ends)[number + 1],
        _sums(first, low * row.pitch, near * channels, layers),
        _sums(out, top * row.out_pitch, left * channels, layers),
        _sums(*factor),
        _sums(*scale),
        _sums(*corner),
    ]
    return np.array(steps, np.int64), np.stack(fields, -1).reshape(-1, lines.BLOCK), size, tiles


def _sums(*terms: Integers) -> Integers:
    """The sums of one term an axis."""
    return sum(np.ix_(*terms), np.zeros((), np.int64))


def _height(shape: Shape) -> int:
    """Rows of outputs of a plane, several of which may be taken as one."""
    return len(shape.tables[-2]) if len(shape.tables) > 1 else 1


def _weights(
    shape: Shape, divisors: Sequence[Integers], line: Line, tiles: Tiles | None
) -> tuple[Array, Array]:
    """Scales along a row of output (channels included), and a factor a row; without `tiles` all are alike."""
    dtype = np.float64 if line.dtype in ("float64", "int32") else np.float32
    if line.scales == "none":
        return np.ones(1, dtype), np.ones(1, dtype)
    *others, columns = [factor.astype(np.float64) for factor in divisors]
    if tiles is None:
        rows = np.array([math.prod(factor[0] for factor in others)])
        columns = columns[:1]
    else:
        *leading, down = others or [np.ones(1)]
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


def _corners(shape: Shape, tiles: Tiles) -> tuple[Array, Array]:
    """How far windows are, in places, from the first of their block: along a row, and down the rows."""
    tall, wide = (max(count for _, count in parts) for parts in tiles)
    high = _height(shape)
    rows = np.arange(tall + high) % high if high < shape.row.outputs else np.arange(tall)
    columns = np.repeat(np.arange(wide) * shape.columns.stride, shape.channels)
    return columns.astype(np.int32), (rows * shape.row.stride * shape.plane[-1]).astype(np.int32)


def _too_long(axis: Regular) -> bool:
    """Whether windows are too long for a chain, or for doubling where one output is all that is wanted."""
    return axis.window > LONGEST if axis.chained else axis.outputs == 1 and axis.window > WHOLE


def _reduces(line: Line, shape: Shape) -> bool:
    """Whether each window along the columns is reduced alone."""
    return _grouped(line) and shape.columns.reducible(narrow=shape.channels == 1)


def _grouped(line: Line) -> bool:
    """Whether elements may merge in any order, and eight of them fill a register."""
    return not line.careful and np.dtype(line.dtype).itemsize > 1


def _unpadded(axis: Regular) -> Regular:
    """The axis, not to be padded where it would be for doubling: padding has no place."""
    return axis._replace(chained=axis.padded())


def _one_block(x: Array, geometry: Geometry) -> bool:
    """Whether a plane of the input is contiguous, so that an offset tells a place, and fits int32."""
    first = geometry.axes[0]
    strides = tuple(stride // x.itemsize for stride in x.strides)
    plane = math.prod(x.shape[first:])
    return plane < 2**31 and strides[first:] == c_strides(x.shape)[first:]
