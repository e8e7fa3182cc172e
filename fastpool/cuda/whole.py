"""Reductions of whole arrays, and what else calls need beyond windows."""

import math
from typing import Any

import numpy as np

from ..operators import OPERATORS, Operator
from ..operators.fold import to_chosen
from ..windows import Geometry, adaptive
from . import copies, fold
from .array import DeviceArray

NONE = np.zeros(1)
FLOAT64 = np.dtype(np.float64)
KEPT = 256  # plans of whole arrays, after which all are forgotten
_plans: dict[Any, fold.Plan] = {}


def _reduced(row: Operator, x: DeviceArray, target: np.dtype[Any]) -> DeviceArray:
    """One operator over all elements of a C-contiguous array, as an array without axes."""
    flat, y = x.reshape((x.size,)), x.empty((), target)
    key = (row.name, x.size, x.dtype, target, x.where.device)
    if key not in _plans:
        if len(_plans) >= KEPT:
            _plans.clear()
        _plans[key] = _plan(row, flat, target)
    _plans[key].run(flat, y)
    return y


def _plan(row: Operator, flat: DeviceArray, target: np.dtype[Any]) -> fold.Plan:
    table = adaptive(flat.size, 1)
    geometry = Geometry(flat.shape, (0,), (table,))
    chosen = row.fold(flat.dtype, target)
    return fold.plan(row.name, chosen, flat, geometry, [table.columns[1]], NONE, target)


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
    """Whether every index is an element of its own window: a gradient of ones then arrives whole.

    Those of windows without an element, which gathering does not read, are not looked at.
    """
    if not indices.size:
        return True
    covering = [np.count_nonzero(table.count) for table in geometry.tables]
    planes = indices.size // math.prod(map(len, geometry.tables))
    ones, total = indices.empty(indices.shape, np.float64), indices.empty(geometry.shape, np.float64)
    copies.fill(ones, 1)
    fold.gather("chosen", to_chosen, ones, total, [indices] * 3, geometry.inverse(), NONE, total)
    return float(_reduced(OPERATORS["sum"], total, FLOAT64).to_host()) == planes * math.prod(covering)


def cells_filled(y: DeviceArray, geometry: Geometry) -> DeviceArray:
    """Each cell's value over the cell: the largest of the one window that covers an element."""
    inverse = geometry.inverse()
    result = y.empty(geometry.shape, y.dtype)
    if result.size:
        counts = [table.columns[1] for table in inverse.tables]
        fold.reduce("max", OPERATORS["max"].fold(y.dtype, y.dtype), y, inverse, counts, NONE, result)
    return result
