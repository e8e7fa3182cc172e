"""Median, quantile and mode of small windows: the choice of the fast way, and its plans.

Small windows are sorted by networks (`sorting`), large ones of 8- and 16-bit values have histograms.

NaNs are only looked for while lines are read. Where there is one, every window that holds one is found by a
max pooling, which NaN wins.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import threads, ways, windows
from ..operators import OPERATORS
from ..windows import Axis, Geometry, Integers
from . import histograms, plans, turn
from .memory import c_strides, flatten, raw, steps, storage
from .networks import MIDDLE_25, Program, select
from .sorting import EDGE, OUTER, STEP, Kind, Numbers, kernel
from .walk import NO_REPEAT

Array = NDArray[Any]

LONGEST = 128  # elements of a window up to which networks are written
BYTES_LONGEST = {"lower": 100, "mode": LONGEST}  # and of 8-bit values, which have histograms
CACHE = 64_000  # bytes of lines that are worked on at a time
ALIGNED = 64  # bytes; writing lines that begin elsewhere in a vector takes 1.7 times as long
LEAST, MOST = 256, 4_096  # elements of a line: fewer are mostly overhead, more bring nothing
DEEPEST = 64  # channels up to which windows share columns; with more, lines would reach too far
VOTED = (4, 8)  # elements of windows whose modes need no program
MODE_LINES = 3  # for a mode's run, longest run and value


class Networks(NamedTuple):
    """A kernel and its arguments but for the arrays of a call."""

    walk: Callable[..., None]
    geometry: Geometry
    order: tuple[int, ...]
    arguments: tuple[Any, ...]
    like: Array
    sizes: tuple[int, int]
    tasks: int
    work: int

    def run(self, x: Array, y: Array, second: Array | None = None) -> None:  # noqa: ARG002
        """Reduce every window of `x` into the C-contiguous `y`."""
        turned, result = ordered(x, y, self.order, self.geometry)
        values = turned if fits(turned, self.geometry) else np.ascontiguousarray(turned)
        flat, origin = flatten(raw(values))
        met = np.zeros(1, np.int64)
        arrays = (flat, raw(result).reshape(-1), origin, self.like, met)
        threads.run(self.walk, (arrays, *self.arguments), self.tasks, self.work, self.scratch)
        if met[0]:
            spread_nan(turned, result, self.geometry)
        give_back(y, result, self.order)

    def scratch(self) -> tuple[Array, Integers]:
        """Lines for one thread, and where the windows in them come from."""
        lines, places = self.sizes
        roomy = np.zeros(lines + ALIGNED, self.like.dtype)
        skip = -roomy.ctypes.data % ALIGNED // roomy.itemsize
        return roomy[skip:], np.empty((5, places), np.int64)

    def way(self) -> ways.Way:
        """What it says of itself."""
        why = f"windows of up to {LONGEST} elements: an exchange of two elements serves many of them at once"
        cut = "lines of windows"
        own = ways.of_kernel("sorting networks", why, self.tasks, self.work, cut, self.scratch())
        return ways.turned(own) if self.order else own


def plan(name: str, x: Array, geometry: Geometry, params: NDArray[np.float64], target: np.dtype[Any]) -> Any:
    """How to find median, quantile or mode of the windows of arrays like `x`; None where no fast way fits.

    Parameters
    ----------
    name : {"median", "quantile", "mode"}
    params : ndarray of float64
        The quantile; or for the mode 1 where a value is ignored, the high and low 32 bits of that value, and
        which of ties, if not the smallest.
    target : dtype
        That of the results.
    """
    kind = _kind(name, x.dtype, target)
    if kind == "mode" and params[3:].any():  # of ties the smallest comes out
        return None
    if kind is None or min(table.fewest for table in geometry.tables) < 1:
        return None
    order = turn.memory_order(x)
    own = turn.reordered(geometry, order)
    elements = math.prod(table.most for table in geometry.tables)
    if x.dtype.itemsize == 1 and kind in ("lower", "mode") and elements > BYTES_LONGEST[kind]:
        found = histograms.plan(kind, x.dtype, _strides(x, own, order), own, _byte_params(kind, x, params))
        if found:
            return Turned(found, own, order)
    if x.dtype.itemsize == 2 and kind == "lower" and elements > LONGEST:
        words = histograms.plan_words(x.dtype, _strides(x, own, order), own, float(params[0]))
        return words and Turned(words, own, order)
    if elements > LONGEST:
        return None
    return _networks(kind, x, own, order, params, target)


class Turned(NamedTuple):
    """A plan of histograms, for arrays whose axes are put in order, and which are copied if need be."""

    plan: histograms.Histograms | histograms.Words
    geometry: Geometry
    order: tuple[int, ...]

    def run(self, x: Array, y: Array, second: Array | None = None) -> None:  # noqa: ARG002
        """Reduce every window of `x` into the C-contiguous `y`."""
        turned, result = ordered(x, y, self.order, self.geometry)
        self.plan.run(turned if fits(turned, self.geometry) else np.ascontiguousarray(turned), result)
        give_back(y, result, self.order)

    def way(self) -> ways.Way:
        """What it says of itself."""
        return ways.turned(self.plan.way()) if self.order else self.plan.way()


def _strides(x: Array, geometry: Geometry, order: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of what a kernel reads: the array, its axes in order, or a contiguous copy."""
    turned = x.transpose(order) if order else x
    return steps(turned) if fits(turned, geometry) else c_strides(geometry.shape)


def _byte_params(kind: str, x: Array, params: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quantile; or for a mode 0 and the counter of the value to ignore."""
    if kind == "lower":
        return params
    if not params[0]:
        return np.array([0.0, -1.0])
    bits = int(ignored_value(params, raw(x).dtype)) & 255
    return np.array([0.0, bits ^ 128 if x.dtype == np.int8 else bits])


def _kind(name: str, source: np.dtype[Any], target: np.dtype[Any]) -> str | None:
    """The kernel's name, or None where the operator has no such result."""
    whole = source.kind in "iub"
    if name == "mode":
        return name if whole and source == target else None
    if whole and source == target:
        return "lower"
    return None if target.kind in "iub" else name


class Tap(NamedTuple):
    """A column of a window: its first element in the input, the line that begins there, and how far on."""

    at: int
    phase: int
    shift: int


def _taps(columns: Axis, jump: int, *, shared: bool) -> list[Tap]:
    """The columns of a window; where `shared`, windows at a distance of `jump` read the same lines."""
    offsets = [tap * columns.step for tap in range(columns.most)]
    if not shared:
        return [Tap(at, phase, 0) for phase, at in enumerate(offsets)]
    phases = sorted({at % jump for at in offsets})
    return [Tap(at % jump, phases.index(at % jump), at // jump) for at in offsets]


class Reads(NamedTuple):
    """How full windows are read into lines."""

    first: int  # the full windows along the last pooled axis
    last: int
    jump: int  # distance of these windows
    taps: list[Tap]
    voted: bool  # whether they need no program

    @classmethod
    def of(cls, kind: str, columns: Axis, elements: int, deep: int) -> "Reads":
        """They share lines where many overlap, and channels are few."""
        first, last = _inside(columns)
        jump, voted = columns.regular[1] if columns.regular else 1, kind == "mode" and elements in VOTED
        shared = not voted and deep <= DEEPEST and last - first > 2 * columns.step * columns.most
        return cls(first, last, jump, _taps(columns, jump, shared=shared), voted)

    @property
    def halo(self) -> int:
        """How many windows further lines reach."""
        return max(tap.shift for tap in self.taps)


class Cut(NamedTuple):
    """How windows are cut into tasks: `batch` units of `width` windows, in lines that are `pitch` apart."""

    batch: int
    width: int
    pitch: int

    @classmethod
    def of(cls, room: int, inside: int, outputs: int, halo: int, deep: int) -> "Cut":
        """`inside` of the `outputs` windows of a unit are full; lines reach `halo` windows further."""
        width = max(1, min(inside, room // deep - halo))
        across = (width + halo if inside else outputs) * deep
        batch = max(1, room // across) if width >= inside else 1
        return cls(batch, width, -(-(batch * across + halo * deep) // ALIGNED) * ALIGNED)


def _networks(
    kind: str,
    x: Array,
    geometry: Geometry,
    order: tuple[int, ...],
    params: NDArray[np.float64],
    target: np.dtype[Any],
) -> Networks:
    strides = _strides(x, geometry, order)
    columns, deep = geometry.tables[-1], math.prod(geometry.shape[geometry.axes[-1] + 1 :])
    axes, table, rows = _axes(geometry, strides)
    stored = raw(x).dtype if storage(x.dtype) == "native" else np.dtype(np.float32)
    elements = len(rows) * columns.most
    reads = Reads.of(kind, columns, elements, deep)
    wanted = () if reads.voted else _wanted(kind, elements, float(params[0]))
    program = select(len(rows), tuple(tap[1:] for tap in reads.taps), wanted)
    sorting = select(elements, ((0, 0),), tuple(range(elements)))
    room = min(max(CACHE // (stored.itemsize * program.lines), LEAST), MOST)
    cut = Cut.of(room, reads.last - reads.first, len(columns), reads.halo, deep)
    after = program.lines * cut.pitch
    repeats, period, times, advance = columns.repeat or NO_REPEAT
    numbers = Numbers(
        units=math.prod(axes[:, 0].tolist()),
        batch=cut.batch,
        pieces=max(1, -(-(reads.last - reads.first) // cut.width)),
        first=reads.first,
        last=reads.last,
        width=cut.width,
        halo=reads.halo,
        deep=deep,
        length=len(columns),
        jump=reads.jump,
        begin=table.shape[1] - columns.columns.shape[1],
        tap=columns.step * deep,
        elements=elements,
        line=cut.pitch,
        ignores=int(kind == "mode" and params[0] != 0),
        after=after,
        edges=after + MODE_LINES * (kind == "mode") * cut.pitch,
        cells=int(reads.voted and (columns.most, columns.step, reads.jump, deep) == (2, 1, 2, 1)),
        repeats=repeats,
        period=period,
        times=times,
        advance=advance,
        axes=len(axes),
        columns=table.shape[1],
    )
    programs = (*_placed(program, cut.pitch, deep), *_placed(sorting, EDGE, deep))
    weights = (float(params[0]), math.modf(params[0] * (elements - 1))[0])
    arguments = (axes, table, _leaves(rows, reads.taps, deep), programs, weights, np.array(numbers, np.int64))
    like = np.zeros(2, stored)
    like[0] = np.inf if stored.kind == "f" else np.iinfo(stored.name).max
    if numbers.ignores:
        like[1] = ignored_value(params, stored)
    sizes = (numbers.edges + sorting.lines * EDGE, max(cut.batch, 2 * len(axes), EDGE))
    tasks, work = -(-numbers.units // cut.batch) * numbers.pieces, x.size * elements
    walk = kernel(Kind(kind, storage(x.dtype), storage(target), program is MIDDLE_25))
    return Networks(walk, geometry, order, arguments, like, sizes, tasks, work)


def _axes(geometry: Geometry, strides: Sequence[int]) -> tuple[Integers, Integers, list[int]]:
    """All axes before the last pooled one in numbers, the tables of the pooled ones, and a window's rows."""
    tables = dict(zip(geometry.axes, geometry.tables, strict=True))
    axes, begin, rows = [], 0, [0]
    for axis in range(geometry.axes[-1]):
        stride, length = strides[axis], geometry.shape[axis]
        if axis not in tables:
            axes.append((length, -1, stride, 0, 1))
            continue
        own = tables[axis]
        full = own.most
        axes.append((len(own), begin, stride, stride * own.step, full))
        rows = [row + tap * stride * own.step for row in rows for tap in range(full)]
        begin += len(own)
    *others, last = geometry.tables
    written = [own.at(0, len(own)) for own in others]
    table = np.ascontiguousarray(np.concatenate([*written, last.columns], axis=1)[:2])
    return np.array(axes, np.int64).reshape(-1, OUTER), table, rows


def _inside(columns: Axis) -> tuple[int, int]:
    """The outputs whose windows are full, where they are a row of them at one distance."""
    if columns.regular is None or columns.regular[0] != columns.most:
        return 0, 0
    full = np.flatnonzero(columns.columns[1] == columns.regular[0])
    return int(full[0]), int(full[-1]) + 1 + (columns.repeat.times if columns.repeat else 0)


def _wanted(kind: str, elements: int, q: float) -> tuple[int, ...]:
    """The ranks that make the result of a full window."""
    if kind == "mode":
        return tuple(range(elements))
    place = q * (elements - 1)
    rank = math.floor(place)
    return (rank,) if kind == "lower" or place == rank else (rank, rank + 1)


def _leaves(rows: list[int], taps: list[Tap], deep: int) -> Integers:
    """What the first lines hold: offset of their first element, and how many columns more than windows."""
    reach: dict[int, int] = {}
    for tap in taps:
        reach[tap.at] = max(reach.get(tap.at, 0), tap.shift)
    return np.array([(row + at * deep, reach[at]) for row in rows for at in sorted(reach)], np.int64)


def _placed(program: Program, pitch: int, deep: int) -> tuple[Integers, Integers]:
    """The passes and results of a program in elements of scratch memory."""
    passes = [
        (operation, low * pitch, high * pitch, a * pitch + a_shift * deep, b * pitch + b_shift * deep)
        for operation, low, high, a, a_shift, b, b_shift in program.steps
    ]
    results = [value.node * pitch + value.shift * deep for value in program.results]
    return np.array(passes, np.int64).reshape(-1, STEP), np.array(results, np.int64)


# What plans of every kind share --------------------------------------------------------------------------


def ignored_value(params: NDArray[np.float64], dtype: np.dtype[Any]) -> Any:
    """The value that a mode ignores: its low bits, read as the dtype."""
    bits = np.array([int(params[1]) << 32 | int(params[2])], np.uint64)
    return bits.astype(f"u{dtype.itemsize}").view(dtype)[0]


def ordered(x: Array, y: Array, order: tuple[int, ...], geometry: Geometry) -> tuple[Array, Array]:
    """The input with its axes in order, and a result for it, a new one where the order changes memory."""
    if not order:
        return x, y
    return x.transpose(order), np.empty(geometry.output_shape, y.dtype)


def give_back(y: Array, result: Array, order: tuple[int, ...]) -> None:
    """Copy a result to the user's, which may lack axes of length 1."""
    if result is not y:
        turned = result.transpose(np.argsort(order))
        turn.copy(y.reshape(turned.shape), turned)


def fits(x: Array, geometry: Geometry) -> bool:
    """Whether kernels read the array in place: it is contiguous from the last pooled axis on."""
    last = geometry.axes[-1]
    return steps(x)[last:] == c_strides(x.shape)[last:]


def spread_nan(x: Array, y: Array, geometry: Geometry) -> None:
    """Write NaN wherever a window holds one."""
    largest = np.empty(y.shape, x.dtype)
    counts = windows.divisors(geometry.tables)
    found: Any = plans.plan(OPERATORS["max"], x, geometry, counts, np.zeros(1), x.dtype, "")
    found.run(x, largest, None)
    y[np.isnan(largest)] = np.nan
