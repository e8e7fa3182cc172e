"""Elements along an axis in segments: offsets between these, and the order that puts each one's together."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from . import arrays, checks
from .windows import Integers

MOST = 2**31  # segments, unless the axis is as long


class Grouping:
    """The segments of an axis.

    Attributes
    ----------
    offsets : ndarray of int64
        Where each segment begins, and where the last one ends.
    order : ndarray of int64 or None
        The positions of the elements, segment by segment; None where they lie so.
    """

    def __init__(self, offsets: Integers, order: Integers | None = None) -> None:
        self.offsets, self.order = offsets, order

    @cached_property
    def places(self) -> Integers | None:
        """Where `order` has each element; None where they lie so."""
        if self.order is None:
            return None
        places = np.empty_like(self.order)
        places[self.order] = np.arange(self.order.size)
        return places

    @cached_property
    def first_empty(self) -> int | None:
        """The first segment without an element; None where there is none."""
        empty = np.flatnonzero(np.diff(self.offsets) == 0)
        return int(empty[0]) if empty.size else None


def grouping(n: int, ids: object, num_segments: object, offsets: Any) -> Grouping:
    """The segments of an axis of `n` elements, by ids or by offsets, checked.

    Raises
    ------
    TypeError, ValueError
        For an argument of a wrong type or value, and where not exactly one of `ids` and `offsets` is given.

    Examples
    --------
    >>> from fastpool.grouping import grouping
    >>> import numpy as np
    >>> found = grouping(5, np.array([2, 0, 2, 0, 0]), 4, None)
    >>> found.offsets, found.order
    (array([0, 3, 3, 5, 5]), array([1, 3, 4, 0, 2]))
    """
    if (ids is None) == (offsets is None):
        came = "none of them" if ids is None else "both"
        raise ValueError(f"exactly one of ids and offsets must be given, got {came}")
    number = None if num_segments is None else checks.integer("num_segments", num_segments, minimum=0)
    if number is not None:
        _check_number("num_segments", number, n)
    if offsets is None:
        return _sorted(*_checked_ids(ids, n, number))
    found = _checked_offsets(offsets, n)
    if number not in (None, found.size - 1):
        raise ValueError(f"num_segments must be {found.size - 1}, as offsets has it, or None, got {number}")
    return Grouping(found)


def _check_number(argument: str, number: int, n: int) -> None:
    if number >= MOST and number > n:
        raise ValueError(f"{argument} must make fewer than {MOST} segments, got {number}")


def _sorted(ids: Integers, number: int) -> Grouping:
    """The segments of checked ids, each one's elements in their order."""
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(ids, minlength=number))])
    if (ids[1:] >= ids[:-1]).all():
        return Grouping(offsets)
    short = np.min_scalar_type(number - 1)  # of 16 bits and fewer sorting takes a few passes
    return Grouping(offsets, np.argsort(ids.astype(short), kind="stable").astype(np.int64))


def _checked_ids(ids: object, n: int, number: int | None) -> tuple[Integers, int]:
    """Ids as int64 on the host, and the number of segments."""
    array = arrays.take("ids", ids)
    if array.dtype.name not in arrays.INTEGERS:
        raise TypeError(f"ids must be integers, got {array.dtype}")
    if array.shape != (n,):
        raise ValueError(
            f"ids must have one entry for each of the {n} elements of the axis, got {array.shape}"
        )
    host = arrays.to_host(array)
    low, high = (int(host.min()), int(host.max())) if n else (0, -1)
    if number is None:
        if low < 0:
            raise ValueError(f"ids must be at least 0, got {low}..{high}")
        _check_number("ids", high + 1, n)
    elif low < 0 or high >= number:
        raise ValueError(f"ids must be at least 0 and below num_segments, {number}, got {low}..{high}")
    return host.astype(np.int64), high + 1 if number is None else number


def _checked_offsets(offsets: Any, n: int) -> Integers:
    """Offsets as int64 on the host."""
    if checks.is_sequence(offsets) and not isinstance(offsets, np.ndarray):
        numbers = [checks.integer("offsets", each, minimum=0) for each in offsets]
        shape: tuple[int, ...] = (len(numbers),)
        low, high = min(numbers, default=0), max(numbers, default=0)
    else:
        array = arrays.take("offsets", offsets)
        if array.dtype.name not in arrays.INTEGERS:
            raise TypeError(f"offsets must be integers, got {array.dtype}")
        numbers, shape = arrays.to_host(array), array.shape
        low, high = (int(numbers.min()), int(numbers.max())) if array.size else (0, 0)
    if len(shape) != 1 or shape[0] < 1:
        raise ValueError(f"offsets must have one axis, and one entry more than segments, got shape {shape}")
    if low < 0 or high > n:
        raise ValueError(f"offsets must be in 0..{n}, the length of the axis, got {low}..{high}")
    found = np.asarray(numbers, np.int64)
    falls = np.flatnonzero(found[1:] < found[:-1])
    if falls.size:
        at = int(falls[0])
        raise ValueError(f"offsets must be sorted, got {found[at + 1]} after {found[at]}")
    _check_number("offsets", found.size - 1, n)
    return found
