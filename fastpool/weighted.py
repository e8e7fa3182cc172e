"""Separable weighted sums: tables of what `area_pool` and `blur_pool` read, for every device; pure NumPy."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .windows import Integers

Floats = NDArray[np.float64]

FARTHEST = 2**31 - 1  # elements and outputs of an axis: products of two fit int64
EXACT = {"float32": 2**24, "float64": 2**53}  # whole numbers below it are sums without rounding
MEMORY = 8  # arrays of an axis' outputs that are made at once
LONGEST = 128  # binomial weights of a window: those of six axes together stay finite


@dataclass(frozen=True, eq=False)
class Table:
    """Which elements the outputs along one axis add up, and with which weights.

    Output o is the sum over k of ``weights[begin[o] + k] x[lo[o] + k]``, ``count[o]`` of them, over
    ``divisor[o]``. Outputs may share weights.

    Attributes
    ----------
    size : int
        Length of the axis that is read.
    lo, count, begin : ndarray of int64
        `lo` never falls, also where an output reads nothing.
    weights : ndarray of float64
        Whole numbers, of all tables but transposed ones.
    total : ndarray of float64
        The sum of each output's weights; 1 where it has none.
    divisor : ndarray of float64
    """

    size: int
    lo: Integers
    count: Integers
    begin: Integers
    weights: Floats
    total: Floats
    divisor: Floats

    @property
    def outputs(self) -> int:
        """How many there are."""
        return int(self.lo.size)

    def undivided(self) -> "Table":
        """The sums themselves."""
        return replace(self, divisor=np.ones(self.outputs))

    def scaled(self) -> "Table":
        """The same with weights of at most 1 in all, which take no float beyond the largest of all."""
        top = self.total.max(initial=1.0)
        return replace(self, weights=self.weights / top, total=self.total / top, divisor=self.divisor / top)

    def counting(self) -> "Table":
        """The same elements, each with the weight 1."""
        most = int(self.count.max(initial=0))
        total = np.maximum(self.count, 1).astype(np.float64)
        return replace(
            self,
            begin=np.zeros_like(self.begin),
            weights=np.ones(most),
            total=total,
            divisor=np.ones(self.outputs),
        )

    def transposed(self) -> "Table":
        """The way back: each element adds up the outputs that read it, with the same weights."""
        owner = np.repeat(np.arange(self.outputs), self.count)
        number = np.arange(owner.size) - np.repeat(np.cumsum(self.count) - self.count, self.count)
        order = np.argsort(self.lo[owner] + number, kind="stable")
        own = owner[order]
        weights = self.weights[self.begin[own] + number[order]] / self.divisor[own]
        count = np.bincount(self.lo[owner] + number, minlength=self.size)
        begin = np.cumsum(count) - count
        lo, total = np.zeros(self.size, np.int64), np.ones(self.size)
        lo[count > 0] = own[begin[count > 0]]
        lo = np.maximum.accumulate(lo)
        if weights.size:
            total[count > 0] = np.add.reduceat(weights, begin[count > 0])
        return Table(self.outputs, lo, count, begin, weights, total, np.ones(self.size))


def area(n: int, outputs: int, *, mean: bool) -> Table:
    """Cells ``[i n / outputs, (i + 1) n / outputs)``, elements weighed by the part of them that lies inside.

    Examples
    --------
    >>> from fastpool.weighted import area
    >>> table = area(5, 2, mean=True)
    >>> table.lo, table.count, table.weights, table.divisor
    (array([0, 2]), array([3, 3]), array([2., 2., 1., 1., 2., 2.]), array([5., 5.]))
    """
    if n < 1:
        raise ValueError("an axis of length 0 cannot be pooled")
    if max(n, outputs) > FARTHEST:
        raise ValueError(f"output_size and the axis must be at most {FARTHEST}, got {outputs} and {n}")
    np.empty((MEMORY, outputs), np.int64)  # a MemoryError before any page is written
    # In units of one part of an element, of which each has `parts`, and a cell `length`. Cells come again.
    times = math.gcd(n, outputs)
    length, parts = n // times, outputs // times
    start = np.arange(outputs) * length
    lo, behind = start // parts, -(-(start + length) // parts)
    count = behind - lo
    total = np.full(outputs, float(length))
    divisor = total if mean else np.full(outputs, float(parts))
    if parts == 1:
        return Table(n, lo, count, np.zeros(outputs, np.int64), np.ones(length), total, divisor)
    distinct = count[:parts]
    first = np.cumsum(distinct) - distinct
    weights = np.full(int(distinct.sum()), float(parts))
    weights[first] -= start[:parts] - lo[:parts] * parts
    weights[first + distinct - 1] -= behind[:parts] * parts - (start[:parts] + length)
    return Table(n, lo, count, np.tile(first, times), weights, total, divisor)


def binomial(n: int, window: int, stride: int) -> Table:
    """Binomial weights around every `stride`-th element, of which those inside are a mean's.

    Examples
    --------
    >>> from fastpool.weighted import binomial
    >>> table = binomial(5, 3, 2)
    >>> table.lo, table.count, table.begin, table.weights, table.total
    (array([0, 1, 3]), array([2, 3, 2]), array([1, 0, 0]), array([1., 2., 1.]), array([3., 4., 3.]))
    """
    if n < 1:
        raise ValueError("an axis of length 0 cannot be pooled")
    if window > LONGEST:
        raise ValueError(f"window must be at most {LONGEST} elements, got {window}")
    if max(n, stride) > FARTHEST:
        raise ValueError(f"stride and the axis must be at most {FARTHEST}, got {stride} and {n}")
    weights = np.array([float(math.comb(window - 1, k)) for k in range(window)])
    start = np.arange(0, n, stride) - window // 2
    lo = np.maximum(start, 0)
    begin, count = lo - start, np.minimum(start + window, n) - lo
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    total = sums[begin + count] - sums[begin]
    return Table(n, lo, count, begin, weights, total, total)


class Parts(NamedTuple):
    """Which elements take part, with what weights, and what outputs without enough of them give.

    Attributes
    ----------
    where, weights : Array or None
        Of the input's shape; what is None leaves out none, or weighs all alike.
    skips : bool
        NaNs are left out.
    sentinel : number of the input's dtype, or None
        Elements of this value are left out.
    least : int
        Elements that an output needs.
    fill : number
        What others give.
    scale : float
        A power of two by which weights are multiplied, so that no product with one overflows.
    """

    where: Any
    weights: Any
    skips: bool
    sentinel: Any
    least: int
    fill: Any
    scale: float


# Results: of a sum and its divisor, between the least and the largest number of a dtype ---------------------


def as_it_is(total: Any, divisor: Any, low: Any, high: Any) -> Any:
    """Of floats."""
    return total / divisor


def within(total: Any, divisor: Any, low: Any, high: Any) -> Any:
    """Of means of floats, which no rounding takes beyond the largest of all."""
    value = total / divisor
    top = high if total > 0.0 else low
    return top if (abs(value) > high) & (abs(total) < inf) else value


def rounded(total: Any, divisor: Any, low: Any, high: Any) -> Any:
    """Of integers: half up."""
    return min(max(np.floor(total / divisor + 0.5), low), high)


def finish(target: np.dtype[Any], *, mean: bool) -> Callable[..., Any]:
    """How results of a dtype are made."""
    if target.kind in "iu":
        return rounded
    return within if mean else as_it_is


def limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    """The least and the largest number of a dtype, as float64 holds them."""
    if dtype.kind in "iu":
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        return float(low), float(high) if high < EXACT["float64"] else float(np.nextafter(float(high), 0.0))
    top = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38}.get(dtype.name)
    most = float(np.finfo(dtype).max) if top is None else top
    return -most, most
