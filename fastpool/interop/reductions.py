"""Whole axes, chunk by chunk: what a chunk tells of itself, and how two such states become one.

For operators whose value follows from a few numbers a chunk (`Operator.partial`), so that a global pooling
needs memory for a chunk alone. Medians, quantiles, modes, draws and exact averages of 64-bit integers need
all elements at once.
"""

import math
from collections.abc import Sequence
from functools import partial
from functools import reduce as fold
from typing import Any

import numpy as np

from .. import api, arrays, threads
from ..annotations import Op
from ..jobs import Job
from ..operators import OPERATORS, TESTING, Partial
from ..operators.entry import State


def whole(job: Job) -> bool:
    """Whether a job has one window, which covers all of the pooled axes."""
    return all(len(table) == 1 and table.count[0] == table.size for table in job.geometry.tables)


def divisor(job: Job) -> int:
    """The divisor of the one window."""
    return math.prod(int(factor[0]) for factor in job.divisors)


def fits(job: Job, dtype: np.dtype[Any]) -> bool:
    """Whether `reduce` gives a job's result."""
    if job.operator.partial is None or not whole(job) or not job.geometry.shape:
        return False
    if not job.operator.averages:
        return True
    elements = math.prod(job.geometry.plane)
    exact = arrays.is_float(dtype) or (dtype != np.bool_ and elements << 8 * dtype.itemsize < 2**62)
    return divisor(job) == elements and exact


def reduce(x: Any, job: Job, op_params: dict[str, Any], dtype: np.dtype[Any]) -> Any:
    """The result, with the pooled axes kept: a tree of partial results, by `dask.array.reduction`."""
    import dask.array as da  # noqa: PLC0415 - an extra

    name = job.operator.name
    x = x.rechunk(tuple(tuple(n for n in own if n) or own for own in x.chunks))
    given: dict[str, Any] = {"op": name, "params": _params(job, op_params)}
    return da.reduction(
        x,
        partial(_chunk, **given, axes=job.geometry.axes),
        partial(_aggregate, **given, dtype=dtype),
        combine=partial(_combine, **given),
        axis=job.geometry.axes,
        keepdims=True,
        concatenate=False,
        dtype=dtype,
        name=f"{name}-pool",
        meta=np.empty_like(x._meta, shape=(0,) * x.ndim, dtype=dtype),
    )


def _partial(op: str) -> Partial:
    """How an operator is reduced, by a name that travels to workers."""
    found = (TESTING if op == TESTING.name else OPERATORS[op]).partial
    assert found
    return found


def _params(job: Job, given: dict[str, Any]) -> dict[str, Any]:
    defaults = {parameter.name: parameter.default for parameter in job.operator.params}
    return {name: given.get(name, default) for name, default in defaults.items()}


def _chunk(
    x: Any, *, op: str, params: dict[str, Any], axes: Sequence[int], axis: Any, keepdims: bool
) -> State:
    window = tuple(x.shape[axis] for axis in axes)
    exact = not arrays.is_float(x.dtype)

    def value(op: Op, x: Any = x, **params: Any) -> Any:
        wide = {"dtype": None if exact else np.float64}
        with threads.alone():
            return api.pool(x, op, window, axes=tuple(axes), **(wide | params))

    def positive() -> Any:
        return value("sum", np.maximum(x, 0))

    given = {**params, "exact": exact, "positive": positive}
    return (*_partial(op).state(value, given), math.prod(window))


def _combine(states: Any, *, op: str, params: dict[str, Any], axis: Any, keepdims: bool) -> State:
    merge = _partial(op).merge
    with np.errstate(all="ignore"):
        return fold(lambda a, b: (*merge(a, b, params), a[-1] + b[-1]), _flat(states))


def _aggregate(
    states: Any, *, op: str, params: dict[str, Any], dtype: np.dtype[Any], axis: Any, keepdims: bool
) -> Any:
    state = _combine(states, op=op, params=params, axis=axis, keepdims=keepdims)
    with np.errstate(all="ignore"):
        return _partial(op).finish(state, params).astype(dtype)


def _flat(states: Any) -> list[State]:
    """The states in nested lists."""
    return [state for each in states for state in _flat(each)] if isinstance(states, list) else [states]
