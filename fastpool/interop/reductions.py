"""Whole axes, chunk by chunk: what a chunk tells of itself, and how two such states become one.

For operators whose value follows from a few numbers a chunk (`Operator.partial`), so that a global pooling
needs memory for a chunk alone. Medians, quantiles, modes, draws and exact averages of 64-bit integers need
all elements at once.

Where elements may be left out, or have weights, a chunk also tells how many take part, and what they weigh.
"""

import math
from dataclasses import replace
from functools import partial
from functools import reduce as fold
from typing import Any, NamedTuple

import numpy as np

from .. import api, arrays, threads
from ..annotations import Op
from ..jobs import Job
from ..missing import fill_value, too_few
from ..operators import OPERATORS, TESTING, Operator, Partial
from ..operators.entry import State
from . import blocks
from .blocks import Beside
from .cells import WeightedJob
from .parts import gradient_dtype


class Call(NamedTuple):
    """A call over whole axes, small enough to travel with each task.

    Attributes
    ----------
    op : str
    params : dict
        The operator's.
    axes : tuple of int
        The pooled axes.
    dtype : dtype
        Of the result.
    beside : tuple of str
        Names of the arrays that lie beside the input: ``"where"``, ``"weights"``.
    absent : dict or None
        The other arguments about what is left out; None where all elements take part and weigh the same.
    least : int
        Elements that have to take part.
    fill : number of the result's dtype, or None
        What the result is where fewer do.
    """

    op: str
    params: dict[str, Any]
    axes: tuple[int, ...]
    dtype: np.dtype[Any]
    beside: tuple[str, ...] = ()
    absent: dict[str, Any] | None = None
    least: int = 1
    fill: Any = None

    @property
    def weighed(self) -> bool:
        """Whether elements have weights."""
        return "weights" in self.beside


class Found(NamedTuple):
    """What is known of some of the elements.

    Attributes
    ----------
    values : tuple
        The operator's numbers.
    size : int or array
        How many elements they are of, or the sum of their weights.
    counts : array of int64, or None
        How many elements take part; None where all do.
    """

    values: State
    size: Any
    counts: Any = None


def whole(job: Job) -> bool:
    """Whether a job has one window, which covers all of the pooled axes with all elements alike."""
    alike = not isinstance(job, WeightedJob) or job.alike
    return alike and all(len(table) == 1 and table.count[0] == table.size for table in job.geometry.tables)


def divisor(job: Job) -> int:
    """The divisor of the one window."""
    return math.prod(int(factor[0]) for factor in job.divisors)


def fits(
    job: Job, source: np.dtype[Any], target: np.dtype[Any], *, missing: bool = False, weighed: bool = False
) -> bool:
    """Whether `reduce` gives a job's result."""
    row = job.operator
    if row.partial is None or not whole(job) or not job.geometry.shape:
        return False
    floats = arrays.is_float(source)
    if weighed:
        return arrays.is_float(target)  # rounded to an integer, it might be another one
    if not row.averages:
        return floats or source.itemsize < 8 or not (row.promotes and arrays.is_float(target))
    elements = math.prod(job.geometry.plane)
    exact = floats or elements << 8 * source.itemsize < 2**62
    return exact and (missing or divisor(job) == elements)


def reduce(x: Any, beside: Beside, job: Job, op_params: dict[str, Any], dtype: np.dtype[Any]) -> Any:
    """The result, with the pooled axes kept: a tree of partial results, by `dask.array.reduction`."""
    import dask.array as da  # noqa: PLC0415 - an extra

    name, axes, known = job.operator.name, job.geometry.axes, beside.known
    call = Call(name, _params(job, op_params), axes, dtype)
    if known is not None:
        absent = {"skipna": known.skipna, "nodata": known.nodata, "min_count": 0, "fill": 0}
        fill = fill_value(known, job.operator, dtype)
        call = call._replace(beside=tuple(beside.arrays()), absent=absent, least=known.needed, fill=fill)
    chunks = tuple(tuple(n for n in own if n) or own for own in x.chunks)
    each = tuple((1,) * len(own) if axis in axes else own for axis, own in enumerate(chunks))
    found = blocks.mapped(
        partial(_chunk, call=call),
        *(array.rechunk(chunks) for array in (x, *beside.arrays().values())),
        name=f"{name}-pool-chunk",
        chunks=each,
        kind=np.empty(0),
        dtype=object,
    )
    found = da.reduction(
        found,
        _as_it_is,
        partial(_combine, call=call),
        axis=axes,
        keepdims=True,
        concatenate=False,
        dtype=object,
        name=f"{name}-pool",
        meta=np.empty((0,) * x.ndim, object),
    )
    finish = partial(_finish, call=call)
    return blocks.mapped(finish, found, name=f"{name}-pool-finish", chunks=found.chunks, kind=x, dtype=dtype)


def _row(op: str) -> Operator:
    """An operator by its name, which travels to workers."""
    return TESTING if op == TESTING.name else OPERATORS[op]


def _partial(op: str) -> Partial:
    """How an operator is reduced."""
    found = _row(op).partial
    assert found
    return found


def _params(job: Job, given: dict[str, Any]) -> dict[str, Any]:
    defaults = {parameter.name: parameter.default for parameter in job.operator.params}
    return {name: given.get(name, default) for name, default in defaults.items()}


# Tasks ---------------------------------------------------------------------------------------------------


def _chunk(x: Any, *beside: Any, call: Call) -> Found:
    """What a chunk tells of itself."""
    window = tuple(x.shape[axis] for axis in call.axes)
    given = (call.absent or {}) | dict(zip(call.beside, beside, strict=True))
    exact = not (arrays.is_float(x.dtype) or call.weighed)

    def pooled(op: Op, x: Any = x, **more: Any) -> Any:
        with threads.alone():
            return api.pool(x, op, window, axes=call.axes, **more)

    def value(op: Op, x: Any = x, **params: Any) -> Any:
        wide = {"dtype": None if exact else np.float64}
        return pooled(op, x, **(wide | given | params))

    def positive() -> Any:
        return value("sum", np.maximum(x, 0))

    params = {**call.params, "exact": exact, "positive": positive}
    values, size = _partial(call.op).state(value, params), math.prod(window)
    if call.absent is None:
        return Found(values, size)
    counts = pooled("count", **{name: each for name, each in given.items() if name != "weights"})
    if call.weighed:
        size = pooled("count", **given)
        if call.op == "avg":  # of elements without weight it is still NaN where one is
            values = (np.where(size == 0, value("sum"), *values),)
    elif call.op in THINNED:
        values = _thinned(call, values, counts / size)
    else:
        size = counts
    return Found(values, size, counts)


# Means of exponentials take plain numbers of elements: what is left out counts as an exponential of 0.
THINNED = ("lse", "soft")


def _thinned(call: Call, values: State, part: Any) -> State:
    """Numbers of elements of which only a part takes part, as of all of them."""
    with np.errstate(all="ignore"):
        if call.op == "lse":
            return (values[0] + np.log(part) / call.params["r"],)
        return values[0], values[1] + np.log(part)


def _as_it_is(found: Any, *, axis: Any, keepdims: bool) -> Any:
    return found


def _combine(states: Any, *, call: Call, axis: Any, keepdims: bool) -> Found:
    """One state of those in nested lists."""
    with np.errstate(all="ignore"):
        return fold(partial(_merged, call), _flat(states))


def _flat(states: Any) -> list[Found]:
    """The states in nested lists."""
    return [state for each in states for state in _flat(each)] if isinstance(states, list) else [states]


def _merged(call: Call, a: Found, b: Found) -> Found:
    """What two states say together."""
    size, merge = a.size + b.size, _partial(call.op).merge
    values = merge((*a.values, a.size), (*b.values, b.size), call.params)
    if a.counts is None:
        return Found(values, size)
    if call.op not in THINNED:
        values = tuple(map(partial(_either, a, b), a.values, b.values, values))
    return Found(values, size, a.counts + b.counts)


def _either(a: Found, b: Found, of_a: Any, of_b: Any, of_both: Any) -> Any:
    """A number of both, or of the one in which elements take part; their sum where these have no weight."""
    of_both = np.where(a.size + b.size == 0, of_a + of_b, of_both)
    return np.where(a.counts == 0, of_b, np.where(b.counts == 0, of_a, of_both))


def _finish(found: Found, *, call: Call, block_info: Any) -> Any:
    """The result of a block of planes."""
    values, size, counts = found
    with np.errstate(all="ignore"):
        if counts is not None and call.op in THINNED:
            values = _thinned(call, values, size / counts)
        if call.op == "avg" and values[0].dtype.kind in "iu" and arrays.is_float(call.dtype):
            y = values[0] / size
        else:
            y = _partial(call.op).finish((*values, size), call.params)
        y = y.astype(call.dtype)
    if counts is None:
        return y
    few = counts < call.least
    if call.weighed and call.least > 0:
        few |= size == 0
    if call.fill is not None:
        return np.where(few, call.fill, y)
    if few.any():
        first = np.argwhere(few)[0].tolist()
        place = [n + begin for n, (begin, _) in zip(first, blocks.ranges(block_info[None]), strict=True)]
        raise too_few(place, _row(call.op), call.dtype, int(counts[tuple(first)]), call.least)
    return y


# Backward ------------------------------------------------------------------------------------------------


def gradient(x: Any, beside: Beside, job: Job, gy: Any, of: str) -> Any:
    """The gradient for the input, or ``of="weights"``, of sums and averages over whole axes, in its chunks.

    `gy` has the pooled axes.
    """
    import dask.array as da  # noqa: PLC0415 - an extra

    axes, dtype = job.geometry.axes, gradient_dtype(x.dtype, gy.dtype)
    if beside.known is None:
        share = gy.astype(dtype)
        if job.operator.averages:
            share = share / np.array(divisor(job), dtype)
        return blocks.over_whole(share, x, axes)
    beside, wide = beside.chunked(x.chunks), np.dtype(np.float64)
    each = blocks.over_whole(_shares(x, beside, job, gy), x, axes)
    if of == "weights":
        values = x.astype(wide)
        if job.operator.averages:
            values = values - blocks.over_whole(reduce(x, beside.unfilled(), job, {}, wide), x, axes)
        each, dtype = da.where(each != 0, values, 0.0) * each, wide
    elif beside.weights is not None:
        each = each * beside.weights
    taken = beside.taken(x)
    return (each if taken is None else da.where(taken, each, 0.0)).astype(dtype)


def _shares(x: Any, beside: Beside, job: Job, gy: Any) -> Any:
    """What each window sends to an element of the weight 1: nothing where too few take part."""
    import dask.array as da  # noqa: PLC0415 - an extra

    assert beside.known is not None
    least, told = beside.known.least, beside.unfilled()
    count = replace(job, operator=OPERATORS["count"], plans={})
    size = counts = reduce(x, told._replace(weights=None), count, {}, np.dtype(np.int64))
    enough = counts >= max(least, 1)
    if beside.weights is not None:
        size = reduce(x, told, count, {}, np.dtype(np.float64))
        enough &= (size != 0) | (least == 0)
    sent = gy.astype(np.float64)
    if job.operator.averages:
        sent = sent / da.where(enough, size, 1)
    return da.where(enough, sent, 0.0)
