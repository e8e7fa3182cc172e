"""Reductions of whole arrays, and what else calls need beyond windows."""

from typing import Any

import numpy as np

from .. import folds
from ..operators import OPERATORS, Operator
from ..windows import Geometry, adaptive
from . import copies, fold
from .array import DeviceArray

NONE = np.zeros(1)
FLOAT64 = np.dtype(np.float64)


def _reduced(row: Operator, x: DeviceArray, target: np.dtype[Any]) -> DeviceArray:
    """One operator over all elements of a C-contiguous array, as an array without axes."""
    flat, table = x.reshape((x.size,)), adaptive(x.size, 1)
    y = x.empty((), target)
    plan = fold.plan(
        row.name,
        row.fold(x.dtype, target),
        flat,
        Geometry(flat.shape, (0,), (table,)),
        [table.count],
        NONE,
        target,
    )
    plan.run(flat, y)
    return y


def bounds(array: DeviceArray) -> tuple[int, int]:
    """Smallest and largest element; waits for the device."""
    low, high = (_reduced(OPERATORS[name], array.compact(), array.dtype).to_host() for name in ("min", "max"))
    return int(low), int(high)


def inner(a: DeviceArray, b: DeviceArray) -> DeviceArray:
    """The sum of products as an array without axes; `b` is of float64, C-contiguous, and used up."""
    if not b.size:
        return b.zeros((), np.float64)
    copies.multiply(b, a)
    return _reduced(OPERATORS["sum"], b, FLOAT64)


def within_windows(indices: DeviceArray, geometry: Geometry) -> bool:
    """Whether every index is an element of its own window: a gradient of ones then arrives whole."""
    if not indices.size:
        return True
    ones, total = indices.empty(indices.shape, np.float64), indices.empty(geometry.shape, np.float64)
    copies.fill(ones, 1)
    fold.gather("chosen", folds.to_chosen, ones, total, [indices] * 3, geometry.inverse(), NONE, total)
    return float(_reduced(OPERATORS["sum"], total, FLOAT64).to_host()) == indices.size


def cells_filled(y: DeviceArray, geometry: Geometry) -> DeviceArray:
    """Each cell's value over the cell: the largest of the one window that covers an element."""
    inverse = geometry.inverse()
    result = y.empty(geometry.shape, y.dtype)
    if result.size:
        counts = [table.count for table in inverse.tables]
        fold.reduce("max", OPERATORS["max"].fold(y.dtype, y.dtype), y, inverse, counts, NONE, result)
    return result


def overlap(a: DeviceArray, b: DeviceArray) -> bool:
    """Whether the memory that two arrays span overlaps."""
    (first, end), (second, behind) = _span(a), _span(b)
    return a.size > 0 and b.size > 0 and first < behind and second < end


def _span(array: DeviceArray) -> tuple[int, int]:
    reach = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    low = sum(way for way in reach if way < 0)
    return array.address + low, array.address + sum(way for way in reach if way > 0) + array.itemsize
