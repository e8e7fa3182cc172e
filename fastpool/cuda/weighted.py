"""Weighted sums along several axes: what `fastpool.cpu.weighted` is on the CPU, with its tables.

A thread has one output, and adds up its elements in their order, in float64.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import cuda, types
from numpy.typing import NDArray

from .. import weighted
from ..weighted import Parts, Table
from . import device
from .array import DeviceArray
from .device import NOWHERE, Kernel
from .halves import READ, WRITE

# Where numbers are in a call's table of integers: of the call, of each axis, and of each output along it.
RANK, OUTPUTS, SKIPS, FINDS, LEAST, HEAD = range(6)
LENGTH, X_STEP, WHERE_STEP, WEIGHTS_STEP, FIRST, AXIS = range(6)
LO, COUNT, BEGIN = range(3)
# ... and in that of floats.
LOW, HIGH, SCALE, TOP = range(4)


def weigh(
    x: DeviceArray, tables: dict[int, Table], y: DeviceArray, *, mean: bool, parts: Parts | None = None
) -> NDArray[np.int64] | None:
    """As `fastpool.cpu.weighted.weigh`; how many elements outputs have comes to the host."""
    whole, raw = y.dtype.kind in "iu", device.raw_name
    counts = y.empty(y.shape, np.int64) if parts and whole and parts.fill is None else None
    where, weights = (parts.where, parts.weights) if parts else (None, None)
    if weights is not None and weights.dtype != np.float64:
        weights = weights.astype(np.float64)
    sides = [_side(each, x.ndim) for each in (x, where, weights)]
    ints, floats = _numbers(x, tables, y, parts, [side[2] for side in sides])
    sentinel = _one(None if parts is None else parts.sentinel, x.dtype)
    blank = _one(None if parts is None else parts.fill, y.dtype)
    single = whole and mean and x.dtype == y.dtype
    flags = mean, parts is not None, where is not None, weights is not None, counts is not None, single
    stored = device.storage(x.dtype), device.storage(y.dtype), raw(x.dtype), raw(y.dtype)
    floating = x.dtype.kind not in "iub"
    kernel = _kernel(*stored, weighted.finish(y.dtype, mean=mean).__name__, floating, flags)
    held = [device.upload(each) for each in (ints, floats, sentinel, blank)]
    memory = sides[0][0], y.flat(), sides[1][0], sides[2][0], NOWHERE if counts is None else counts.flat()
    origins = tuple(side[1] for side in sides)
    kernel.launch(*device.grid(y.size), x.where, *memory, *map(device.address_of, held), origins, y.size)
    if counts is None or parts is None:
        return None
    found: NDArray[np.int64] = counts.to_host()
    return found if (found < parts.least).any() else None


def _side(array: DeviceArray | None, ndim: int) -> tuple[Any, int, tuple[int, ...]]:
    """Memory, where the first element is, and strides."""
    if array is None:
        return NOWHERE, 0, (0,) * ndim
    memory, origin = array.memory()
    return memory, origin, tuple(stride // array.itemsize for stride in array.strides)


def _one(number: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A number, or 0, as kernels see it."""
    found = np.zeros(1, dtype)
    if number is not None:
        found[0] = number
    return found.view(device.raw_name(dtype))


def _numbers(
    x: DeviceArray,
    tables: dict[int, Table],
    y: DeviceArray,
    parts: Parts | None,
    steps: list[tuple[int, ...]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    own = {axis: t if x.dtype.kind in "iub" else t.scaled() for axis, t in sorted(tables.items())}
    sizes = [t.outputs for t in own.values()]
    first = dict(zip(own, np.cumsum([0, *sizes]), strict=False))
    held = np.cumsum([0, *(t.weights.size for t in own.values())])
    axes = [[n, *(s[a] for s in steps), first.get(a, -1)] for a, n in enumerate(y.shape)]
    told = [0, 0, 0]
    if parts:
        told = [parts.skips, parts.sentinel is not None, parts.least]
    begins = [t.begin + before for t, before in zip(own.values(), held, strict=False)]
    each = list(own.values())
    ints = np.array([x.ndim, sum(sizes), *told, *np.ravel(axes)], np.int64)
    floats = np.array([*weighted.limits(y.dtype), parts.scale if parts else 1.0])
    ints = np.concatenate([ints, *(t.lo for t in each), *(t.count for t in each), *begins])
    return ints, np.concatenate([floats, *(t.divisor for t in each), *(t.weights for t in each)])


@cache
def _kernel(
    source: str, target: str, x_raw: str, y_raw: str, finishing: str, floating: bool, flags: tuple[bool, ...]
) -> Kernel:
    read, write, finish = READ[source], WRITE[target], device.function(getattr(weighted, finishing))
    mean, some, masked, weighed, counted, single = flags
    half = 0.5 if floating else 1.0  # halves come back twofold: a finite mean does not overflow

    def walk(x, y, where, weights, counts, ints, floats, sentinel, blank, origins, total):
        task, stride = cuda.grid(1), cuda.gridsize(1)
        rank, outputs = ints[RANK], ints[OUTPUTS]
        lo = HEAD + rank * AXIS
        count, begin = lo + outputs, lo + 2 * outputs
        shares = TOP + outputs
        low, high, scale = floats[LOW], floats[HIGH], floats[SCALE]
        while task < total:
            number, divisor, rest = 1, half, task
            x_base, where_base, weights_base = origins
            for axis in range(rank - 1, -1, -1):
                at = HEAD + axis * AXIS
                o, first = rest % ints[at + LENGTH], ints[at + FIRST]
                rest //= ints[at + LENGTH]
                if first < 0:
                    x_base += o * ints[at + X_STEP]
                    where_base += o * ints[at + WHERE_STEP]
                    weights_base += o * ints[at + WEIGHTS_STEP]
                else:
                    number *= ints[count + first + o]
                    divisor *= floats[TOP + first + o]
            sums, weight, taken, x_at = 0.0, 0.0, 0, x_base
            for t in range(number):
                left, rest, share = t, task, half
                x_at, where_at, weights_at = x_base, where_base, weights_base
                for axis in range(rank - 1, -1, -1):
                    at = HEAD + axis * AXIS
                    own = ints[at + FIRST] + rest % ints[at + LENGTH]
                    rest //= ints[at + LENGTH]
                    if ints[at + FIRST] >= 0:
                        k = left % ints[count + own]
                        left //= ints[count + own]
                        share *= floats[shares + ints[begin + own] + k]
                        element = ints[lo + own] + k
                        x_at += element * ints[at + X_STEP]
                        where_at += element * ints[at + WHERE_STEP]
                        weights_at += element * ints[at + WEIGHTS_STEP]
                value, takes = read(x[x_at]), True
                if some:
                    skipped = (ints[SKIPS] != 0) and (value != value)
                    takes = not (skipped or ((ints[FINDS] != 0) and (value == read(sentinel[0]))))
                if masked:
                    takes = takes and where[where_at] != 0
                if weighed:
                    share *= weights[weights_at] * scale
                if takes:
                    sums += share * np.float64(value)
                    weight += share
                    taken += 1
            if some and not weight > 0.0:
                taken = 0
            if counted:
                counts[task] = taken
            if some and taken < ints[LEAST]:
                y[task] = blank[0]
            elif single and number == 1:
                y[task] = x[x_at]
            elif mean and some:
                y[task] = write(finish(sums, weight, low, high))
            else:
                y[task] = write(finish(sums, divisor * scale, low, high))
            task += stride

    names = ["weigh", x_raw, y_raw, finishing, *(str(int(flag)) for flag in flags)]
    arrays = x_raw, y_raw, "uint8", "float64", "int64", "int64", "float64", x_raw, y_raw
    return Kernel(walk, "_".join(names), *arrays, types.UniTuple(types.int64, 3), types.int64)
