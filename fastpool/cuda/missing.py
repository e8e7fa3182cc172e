"""Arithmetic with what is missing, element by element: what `fastpool.cpu.missing` is for NumPy arrays."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import cuda, types

from ..cpu import missing as host
from ..operators import OPERATORS
from ..windows import Geometry, adaptive
from . import copies, device, fold, whole
from .array import DeviceArray
from .device import NOWHERE, Kernel
from .halves import READ, WRITE

FLOAT64 = np.dtype(np.float64)
SUM = OPERATORS["sum"].fold(FLOAT64, FLOAT64)
Step = Callable[..., Any]
REFUSED = -2  # in place of an index that does not fit its window


def plan_present(*like: Any) -> None:
    """No kernel for regular windows of what takes part: the skeleton serves all."""
    return


def mask_of(x: DeviceArray, where: DeviceArray | None, nodata: Any, *, skipna: bool) -> DeviceArray:
    """1 where an element takes part, else 0: uint8, C-contiguous."""
    if where is None:
        mask = x.empty(x.shape, np.uint8)
        copies.fill(mask, 1)
    else:
        mask = where.astype(np.uint8)
    if skipna or nodata is not None:
        stored, raw = device.storage(x.dtype), device.raw_name(x.dtype)
        computed = raw if stored == "native" else "float32"
        value = np.array([0 if nodata is None else nodata]).astype(x.dtype).astype(computed)[0].item()
        step = _listing(stored, skipna, nodata is not None)
        _run(step, mask, (raw, getattr(types, computed)), x.compact().flat(), value)
    return mask


def settle(
    counts: DeviceArray, least: int, sums: DeviceArray | None, results: Sequence[tuple[DeviceArray, Any]]
) -> DeviceArray:
    """1 where a window has enough elements, of uint8; each of the results gets its value where not.

    What that means is what `fastpool.cpu.missing.settle` says.
    """
    marks = counts.empty(counts.shape, np.uint8)
    totals = ("uint8", NOWHERE) if sums is None else ("float64", sums.flat())
    step = few_by_count if sums is None or least < 1 else few_by_weight
    _run(step, marks, ("int64", totals[0], types.int64), counts.flat(), totals[1], least)
    for result, value in results:
        if value is not None:
            raw = device.raw_name(result.dtype)
            bits = np.array([value]).astype(result.dtype).view(raw)[0].item()
            _run(filled, result, ("uint8", getattr(types, raw)), marks.flat(), bits)
    _run(enough_of, marks, ("int64",), counts.flat())
    return marks


def first_few(
    counts: DeviceArray, least: int, sums: DeviceArray | None
) -> tuple[tuple[int, ...], int] | None:
    """The first window with too few elements and their number; waits for the device."""
    return host.first_few(counts.to_host(), least, None if sums is None else sums.to_host())


def shared(gy: DeviceArray, enough: DeviceArray, divisors: DeviceArray | None, dtype: Any) -> DeviceArray:
    """Gradients by their windows' divisors, and 0 where there are too few elements: C-contiguous."""
    found = gy.astype(np.float64)
    if divisors is None:
        _run(sent_if, found, ("uint8",), enough.flat())
    else:
        _run(divided_if, found, ("uint8", divisors.dtype.name), enough.flat(), divisors.flat())
    return found if found.dtype == dtype else found.astype(dtype)


def product(a: DeviceArray, b: DeviceArray) -> DeviceArray:
    """Of two arrays of float64."""
    result = a.astype(np.float64)
    copies.multiply(result, b)
    return result


def replaced(indices: DeviceArray, own: DeviceArray, enough: DeviceArray) -> DeviceArray | None:
    """A caller's indices with our `own` in place of -1, which windows without enough have; None if others."""
    found = indices.astype(np.int64)
    _run(own_for_none, found, (own.dtype.name, "uint8"), own.flat(), enough.flat())
    return None if found.size and whole.bounds(found)[0] == REFUSED else found


def raise_to(array: DeviceArray, least: int) -> None:
    """Replace what is less, in a C-contiguous array of int64."""
    _run(raised, array, ("uint8", "uint8", types.int64), NOWHERE, NOWHERE, least)


def keep(gx: DeviceArray, mask: DeviceArray, weights: DeviceArray | None) -> None:
    """Set what is left out to 0, and multiply the rest by its weights."""
    step, kinds = _keeping(device.storage(gx.dtype), weights is not None), ("uint8", "float64")
    _run(step, gx, kinds, mask.flat(), NOWHERE if weights is None else weights.flat())


def slope_of_weights(
    x: DeviceArray, mask: DeviceArray, sent: DeviceArray, means: DeviceArray | None, shape: tuple[int, ...]
) -> DeviceArray:
    """The sum of ``x sent - means`` over what takes part, along the axes that `shape` has not or has once."""
    each, listed, middle = x.astype(np.float64), mask.compact(), means and means.compact()
    _run(times_if, each, ("float64",), sent.compact().flat())
    if middle is None:
        _run(sent_if, each, ("uint8",), listed.flat())
    else:
        _run(less_mean_if, each, ("uint8", "float64"), listed.flat(), middle.flat())
    own = (1,) * (x.ndim - len(shape)) + shape
    axes = tuple(axis for axis, (n, m) in enumerate(zip(own, x.shape, strict=True)) if n != m)
    if not axes:
        return each.reshape(shape)
    slope = each.empty(own, np.float64)
    tables = tuple(adaptive(x.shape[axis], 1) for axis in axes)
    counts = [table.columns[1] for table in tables]
    fold.reduce("sum", SUM, each, Geometry(x.shape, axes, tables), counts, whole.NONE, slope)
    return slope.reshape(shape)


# Steps: the new element of an old one, its place, and what else a kernel takes ----------------------------


@cache
def _listing(stored: str, skips: bool, finds: bool) -> Step:
    """What takes NaNs, or elements of one value, from a mask."""
    read = READ[stored]

    def listed(old, i, values, nodata, _):
        value = read(values[i])
        odd, same = value != value, value == nodata
        return 0 if (skips and odd) or (finds and same) else old

    return device.function(listed)


def few_by_count(old, i, counts, _, least):
    """Whether a window has too few elements; a region without an element has -1."""
    return 1 if (counts[i] >= 0) & (counts[i] < least) else 0


def few_by_weight(old, i, counts, sums, least):
    """As `few_by_count`, or elements without weight."""
    return 1 if (counts[i] >= 0) & ((counts[i] < least) | (sums[i] == 0)) else 0


def filled(old, i, few, bits, _):
    """A value where a window has too few elements."""
    return bits if few[i] != 0 else old


def enough_of(few, i, counts, _, __):
    """Whether a window has enough elements, and any."""
    return 1 if (few == 0) & (counts[i] > 0) else 0


def sent_if(old, i, mask, _, __):
    """What is there, and 0 where a mask has 0."""
    return old if mask[i] != 0 else 0.0


def divided_if(old, i, mask, divisors, _):
    """As `sent_if`, divided."""
    return old / divisors[i] if mask[i] != 0 else 0.0


def times_if(old, i, sent, _, __):
    """A product, and 0 where nothing was sent: no window reads what is there."""
    return old * sent[i] if sent[i] != 0 else 0.0


def less_mean_if(old, i, mask, means, _):
    """As `sent_if`, less another number."""
    return old - means[i] if mask[i] != 0 else 0.0


def raised(old, i, _, __, least):
    """A number, and `least` where that is more."""
    return max(old, least)


def own_for_none(old, i, own, enough, _):
    """Our own place for -1 where a window has too few elements; `REFUSED` where the two do not agree."""
    agree = (old < 0) == (enough[i] == 0)
    return (own[i] if old < 0 else old) if agree else REFUSED


@cache
def _keeping(stored: str, weighed: bool) -> Step:
    """What keeps, and weighs, the gradients of elements that take part."""
    read, write = READ[stored], WRITE[stored]

    def kept(old, i, mask, weights, _):
        value = read(old) * weights[i] if weighed else read(old)
        return write(value if mask[i] != 0 else 0.0)

    return device.function(kept)


def _run(step: Step, target: DeviceArray, kinds: Sequence[Any], *given: Any) -> None:
    """Replace every element of a C-contiguous array; `kinds` are the types of what is `given`, at most 3."""
    if target.size:
        none = 3 - len(given)
        kernel = _each(step, device.raw_name(target.dtype), (*kinds, *["uint8"] * none))
        where, arguments = target.where, (*given, *[NOWHERE] * none)
        kernel.launch(*device.grid(target.size), where, target.flat(), *arguments, target.size)


@cache
def _each(step: Step, target: str, kinds: tuple[Any, ...]) -> Kernel:
    """The kernel around a step."""

    def each(into, first, second, third, size):
        element, stride = cuda.grid(1), cuda.gridsize(1)
        while element < size:
            into[element] = step(into[element], element, first, second, third)
            element += stride

    name = "_".join(["missing", step.__name__, target, *map(str, kinds)])
    return Kernel(each, name, target, *kinds, types.int64)


device.register(__name__)
