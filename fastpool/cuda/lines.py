"""Regular windows at the speed of memory: a thread has several outputs side by side, read by wide loads.

The axis along which memory runs is the line: the last pooled one (channels first), or the channels behind the
pooled ones (channels last), whose windows are of one element. Up to three other pooled axes are loops. Sizes
of windows and strides are constants of a kernel, so that a thread's elements stay in registers; lengths are
run-time numbers. Elements beyond an axis are the operator's neutral number.

Backward is the same the other way round: a thread has several elements side by side, and goes through the few
windows of each axis that may cover them, so that nothing is sent and no atomic operation is needed.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import cuda, types
from numpy.typing import NDArray

from ..operators import Operator, rounding
from ..operators.line import Line, may_overflow
from ..windows import Geometry, Integers, averages_fit
from . import device, wide
from .array import DeviceArray, c_strides
from .device import NOWHERE, Kernel
from .halves import READ, WRITE

WIDEST = 16  # bytes of one load
MOST = 64  # elements of a window
LONGEST = 32  # elements of a line that a thread keeps
LOOPS = 3  # pooled axes beside the line
PLANE = 2**31  # elements of a plane whose places fit the kernels' numbers

# Numbers of a table: of the line its groups of outputs, length, outputs, stride from plane to plane where it
# is read, and where its divisors begin; then of each loop its length, outputs, padding, stride where it is
# read, stride in the plane, and where its divisors begin.
GROUPS, LENGTH, OUTPUTS, OUTER, DIVISORS, HEAD = range(6)
BEFORE, STRIDE, PLACE, LOOP_DIVISORS, COLUMNS = range(2, 7)  # of a loop, after LENGTH - 1 and OUTPUTS - 1


class Shape(NamedTuple):
    """What a kernel is compiled for.

    Attributes
    ----------
    windows, strides : tuple of int
        Of the loops.
    window, stride, before : int
        Of the line: its padding too.
    pooled : bool
        Whether the line is a pooled axis.
    lanes : int
        Outputs of a thread; backward, its elements.
    load, store : int
        Elements of one load and of one store.
    large : bool
        Whether positions need 64 bits.
    """

    windows: tuple[int, ...]
    strides: tuple[int, ...]
    window: int
    stride: int
    before: int
    pooled: bool
    lanes: int
    load: int
    store: int
    large: bool


class Frame(NamedTuple):
    """A regular geometry over arrays like one.

    Attributes
    ----------
    loops : list of (length, outputs, (window, stride, before), stride in memory)
    line : (length, outputs, (window, stride, before))
    pooled : bool
        Whether the line is a pooled axis.
    outer : (length, stride in memory)
        Of all axes before the pooled ones.
    """

    loops: list[tuple[int, int, tuple[int, int, int], int]]
    line: tuple[int, int, tuple[int, int, int]]
    pooled: bool
    outer: tuple[int, int]


def framed(geometry: Geometry, strides: Sequence[int]) -> Frame | None:
    """A geometry's loops and line over memory of those strides, in elements; None where they do not fit."""
    axes: list[list[Any]] = []
    for axis, (n, stride) in enumerate(zip(geometry.shape, strides, strict=True)):
        if axis in geometry.axes:
            table = geometry.tables[geometry.axes.index(axis)]
            if table.regular is None or table.step != 1 or stride < 0:
                return None
            axes.append([n, stride, (n, len(table), table.regular)])
        elif axes and axes[-1][2] is None and axes[-1][1] == n * stride:
            axes[-1][:2] = [axes[-1][0] * n, stride]
        elif n != 1:
            axes.append([n, stride, None])
    outer = axes.pop(0)[:2] if axes[0][2] is None else [1, 0]
    pooled = axes[-1][2] is not None
    n, stride, table = axes.pop()
    if stride != 1 or outer[1] < 0 or len(axes) > LOOPS or any(each[2] is None for each in axes):
        return None
    line = table if pooled else (n, n, (1, 1, 0))
    loops = [(*each, own) for _, own, each in axes]
    windows = math.prod(regular[0] for _, _, regular, _ in loops) * line[2][0]
    far = any(regular[1] > LONGEST for *_, regular, _ in [*loops, (*line, 0)])
    fits = windows <= MOST and not far and math.prod(geometry.plane) < PLANE
    return Frame(loops, line, pooled, (outer[0], outer[1])) if fits else None


def together(itemsize: int, address: int, *steps: int) -> int:
    """How many elements one access may have: all of those steps are multiples of them."""
    count = WIDEST // itemsize
    while count > 1 and (address % (count * itemsize) or any(step % count for step in steps)):
        count //= 2
    return count


def _shape(frame: Frame, x: DeviceArray) -> Shape:
    n, _, (window, stride, before) = frame.line
    load = together(x.itemsize, x.address, n, frame.outer[1], *(step for *_, step in frame.loops))
    lanes = load
    while lanes > 1 and lanes * stride > LONGEST:
        lanes //= 2
    load = math.gcd(load, lanes * stride)
    windows, strides = (tuple(regular[i] for _, _, regular, _ in frame.loops) for i in (0, 1))
    large = (
        x.size >= PLANE or math.prod(n for _, n, *_ in frame.loops) * frame.outer[0] * frame.line[1] >= PLANE
    )
    return Shape(windows, strides, window, stride, before, frame.pooled, lanes, load, 1, large)


class Plan(NamedTuple):
    """How to reduce the windows of arrays like one."""

    row: str
    line: Line
    shape: Shape
    held: Any
    divisor: float
    uniform: bool
    knobs: tuple[float, float]
    rows: int
    outputs: int
    kernels: dict[Any, Kernel]

    def run(self, x: DeviceArray, y: DeviceArray, places: DeviceArray | None = None) -> None:
        """Reduce every window of `x` into `y`, and into `places` the chosen elements' places, if any."""
        address = y.address if places is None else y.address | places.address
        key = (address % (WIDEST * WIDEST), places is None)
        if key not in self.kernels:
            self.kernels[key] = self._built(x, y, places, address)
        kernel = self.kernels[key]
        total = self.rows * -(-self.outputs // self.shape.lanes)
        arrays = x.flat(), y.flat(), NOWHERE if places is None else places.flat()
        numbers = device.address_of(self.held), self.divisor, self.knobs, total
        kernel.launch(*device.grid(total), x.where, *arrays, *numbers)

    def _built(self, x: DeviceArray, y: DeviceArray, places: DeviceArray | None, address: int) -> Kernel:
        shape, itemsize = self.shape, max(y.itemsize, places.itemsize if places else 1)
        store = math.gcd(together(itemsize, address, self.outputs), shape.lanes)
        stored = (
            device.storage(x.dtype),
            device.raw_name(x.dtype),
            device.storage(y.dtype),
            device.raw_name(y.dtype),
        )
        kind = device.raw_name(places.dtype) if places else "uint8"
        return _reduce(self.row, self.line, shape._replace(store=store), stored, kind, self.uniform)


def plan(
    row: Operator,
    x: DeviceArray,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
    *,
    placed: bool,
) -> Plan | None:
    """How to reduce arrays like `x` to `target`, with chosen elements' places or not; None if not here."""
    frame = framed(geometry, [stride // x.itemsize for stride in x.strides])
    if frame is None or row.line is None or row.bears is not None or not x.size:
        return None
    if row.averages and x.dtype.kind in "iu" and not averages_fit(geometry.tables, divisors):
        return None
    elements = math.prod(regular[0] for _, _, regular, _ in frame.loops) * frame.line[2][0]
    line = row.line(x.dtype, target, elements, elements, params)
    if line is None or (placed and (row.placed is None or target != x.dtype)):
        return None
    if placed and row.placed:
        line = row.placed(x.dtype)
    shape = _shape(frame, x)
    factors = [
        table.spread(divisor).astype(np.float64)
        for table, divisor in zip(geometry.tables, divisors, strict=True)
    ]
    uniform = line.scales == "none" or all((factor == factor[0]).all() for factor in factors)
    divisor = float(math.prod(factor[0] for factor in factors))
    held = _held(frame, shape, geometry, [] if uniform else factors)
    rows = frame.outer[0] * math.prod(outputs for _, outputs, *_ in frame.loops)
    knobs = (*(float(p) for p in params), 0.0, 0.0)[:2]
    return Plan(row.name, line, shape, held, divisor, uniform, (knobs[0], knobs[1]), rows, frame.line[1], {})


def _held(frame: Frame, shape: Shape, geometry: Geometry, factors: Sequence[NDArray[np.float64]]) -> Any:
    """The table on the device: its numbers, and factors of the divisors."""
    n, outputs, _ = frame.line
    begins = (
        np.cumsum([0, *(factor.size for factor in factors)]) if factors else np.zeros(LOOPS + 2, np.int64)
    )
    first = HEAD + (COLUMNS) * len(frame.loops)
    places = c_strides(geometry.plane, 1)
    numbers = [-(-outputs // shape.lanes), n, outputs, frame.outer[1], first + begins[len(frame.loops)]]
    for number, (length, own, regular, stride) in enumerate(frame.loops):
        numbers += [length, own, regular[2], stride, places[number], first + begins[number]]
    return device.upload(np.concatenate([np.array(numbers, np.float64), *factors]).astype(np.int64))


# Kernels -------------------------------------------------------------------------------------------------


def rounded(value, scale, knobs):
    """As `rounding.rounded`, which names a function that vectors have and CUDA has not."""
    return math.floor(value * scale + (0.5 + 0.25 * scale))


FINISH = {rounding.rounded: rounded, rounding.rounded_narrow: rounded}


def _numbers(raw: str) -> Any:
    return getattr(types, raw)


@cache
def _reduce(
    name: str, line: Line, shape: Shape, stored: tuple[str, str, str, str], places: str, uniform: bool
) -> Kernel:
    """The kernel from lines to lines: `places` is the dtype of places, "uint8" without."""
    windows, strides, window, stride, before, pooled, lanes, load, store, large = shape
    read, write, lift, finish = (
        READ[stored[0]],
        WRITE[stored[2]],
        line.lift,
        FINISH.get(line.finish, line.finish),
    )
    placed = places != "uint8"
    merge = line.careful or line.merge
    computed, kept, out_raw = getattr(np, line.dtype), _numbers(stored[1]), _numbers(stored[3])
    held, place_type = _numbers(line.dtype), _numbers(places)
    scaling = np.float64 if line.dtype in ("float64", "int32") else np.float32
    inverse, scaled = line.scales == "inverse", line.scales != "none"
    adds = may_overflow(line)
    neutral = computed(line.neutral)  # of the elements' type: uint64 beside int64 would become float64
    taps, loops, room = math.prod(windows), len(windows), len(windows) + 1
    body, right = lanes * stride, max(window - stride - before, 0)
    span, loads = before + lanes * stride + right, lanes * stride // load
    index = np.int64 if large else np.int32
    number = np.uint64 if large else np.uint32
    bring, put, put_places = wide.loader(load), wide.storer(store), wide.storer(store)
    inner = tuple(math.prod(windows[axis + 1 :]) for axis in range(loops))
    columns = tuple(HEAD + COLUMNS * axis for axis in range(loops))

    def walk(values, out, chosen, table, divisor, knobs, total):
        task = np.int64(cuda.grid(1))
        step = np.int64(cuda.gridsize(1))
        raws, results = cuda.local.array(load, kept), cuda.local.array(lanes, out_raw)
        line_of, best = cuda.local.array(span, held), cuda.local.array(lanes, held)
        where, begins = cuda.local.array(lanes, place_type), cuda.local.array(room, types.int64)
        while task < total:
            groups, n, outputs = number(table[GROUPS]), index(table[LENGTH]), index(table[OUTPUTS])
            row = number(number(task) // groups)
            group = index(number(number(task) - row * groups))
            first = index(group * body)
            rest, base, corner, factor = row, np.int64(0), np.int64(0), np.int64(1)
            for axis in range(loops - 1, -1, -1):
                each = number(table[columns[axis] + OUTPUTS - 1])
                quotient = number(rest // each)
                output = np.int64(number(rest - quotient * each))
                rest = quotient
                begin = output * strides[axis] - table[columns[axis] + BEFORE]
                begins[axis] = begin
                corner += max(begin, np.int64(0)) * table[columns[axis] + PLACE]
                if not uniform:
                    factor *= table[table[columns[axis] + LOOP_DIVISORS] + output]
            base = np.int64(rest) * table[OUTER]
            for lane in range(lanes):
                best[lane] = neutral
                if placed:
                    where[lane] = corner + (max(first + lane * stride - before, 0) if pooled else 0)
            for tap in range(taps):
                offset, place, inside = base, np.int64(0), True
                for axis in range(loops):
                    at = begins[axis] + tap // inner[axis] % windows[axis]
                    inside = inside & (at >= 0) & (at < table[columns[axis] + LENGTH - 1])
                    offset += at * table[columns[axis] + STRIDE]
                    place += at * table[columns[axis] + PLACE]
                if inside:
                    for i in range(before):
                        at = first - before + i
                        here = (at >= 0) & (at < n)
                        line_of[i] = lift(read(values[offset + at]), knobs) if here else neutral
                    for piece in range(loads):
                        at = first + piece * load
                        if at < n:
                            bring(raws, 0, values, offset + at)
                            for i in range(load):
                                line_of[before + piece * load + i] = lift(read(raws[i]), knobs)
                        else:
                            for i in range(load):
                                line_of[before + piece * load + i] = neutral
                    for i in range(right):
                        at = first + body + i
                        line_of[before + body + i] = (
                            lift(read(values[offset + at]), knobs) if at < n else neutral
                        )
                    for lane in range(lanes):
                        for k in range(window):
                            value = line_of[lane * stride + k]
                            if placed:
                                own = place + (first + lane * stride - before + k if pooled else 0)
                                found = merge((best[lane], np.int64(where[lane])), (value, np.int64(own)))
                                best[lane] = found[0]
                                where[lane] = found[1]
                            else:
                                best[lane] = merge(best[lane], value)
            start = np.int64(row) * outputs + group * lanes
            for lane in range(lanes):
                parts, larger = np.float64(0), np.float64(1)
                if adds and best[lane] - best[lane] != 0:  # it overflowed: parts of the elements do not
                    larger = np.float64(MOST)
                    for number_of in range(min(taps * window, total * taps * window)):  # not to be unrolled
                        tap, at = number_of // window, first + lane * stride - before + number_of % window
                        offset, inside = base + at, (at >= 0) & (at < n)
                        for axis in range(loops):
                            at = begins[axis] + tap // inner[axis] % windows[axis]
                            inside = inside & (at >= 0) & (at < table[columns[axis] + LENGTH - 1])
                            offset += at * table[columns[axis] + STRIDE]
                        if inside:
                            parts += np.float64(read(values[offset])) / MOST
                scale = scaling(1)
                if scaled:
                    share = np.float64(factor)
                    if pooled and not uniform:
                        share = share * table[table[DIVISORS] + min(group * lanes + lane, outputs - 1)]
                    whole = divisor if uniform else share
                    scale = scaling(1.0 / whole) if inverse else scaling(whole)
                if adds and larger > 1:
                    results[lane] = write(finish(parts, scale, knobs) * larger)
                else:
                    results[lane] = write(finish(computed(best[lane]), scale, knobs))
            for piece in range(lanes // store):
                if group * lanes + piece * store < outputs:
                    put(out, start + piece * store, results, piece * store)
                    if placed:
                        put_places(chosen, start + piece * store, where, piece * store)
            task += step

    kind = stored[0] if stored[0] != "native" else stored[1]
    marks = "x".join(map(str, (*windows, window))) + "_s" + "x".join(map(str, (*strides, stride)))
    layout = f"{'first' if pooled else 'last'}{lanes}_{load}_{store}{'_places' if placed else ''}"
    two = types.UniTuple(types.float64, 2)
    arrays = stored[1], stored[3], places, "int64"
    return Kernel(walk, f"lines_{name}_{kind}_{marks}_{layout}", *arrays, types.float64, two, types.int64)


device.register(__name__)
