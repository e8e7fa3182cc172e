"""Whole axes, chunk by chunk: what a chunk tells of itself, and how two such states become one.

For operators whose value follows from a few numbers a chunk, so that a global pooling needs memory for
a chunk alone. Medians, quantiles, modes, draws and exact averages of 64-bit integers need all elements at
once.
States are of float64 (exact integers for sums of integers) and end with how many elements they are of.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from functools import reduce as fold
from typing import Any, NamedTuple

import numpy as np

from .. import api, arrays, threads
from ..jobs import Job
from ..operators import TESTING

State = tuple[Any, ...]


class Reduction(NamedTuple):
    """An operator over whole axes.

    Attributes
    ----------
    state : callable
        ``state(value, params)``: the numbers of a chunk, where ``value(op, **params)`` pools it whole.
    merge : callable
        ``merge(a, b, params)``.
    finish : callable
        ``finish(state, params)``.
    """

    state: Callable[[Callable[..., Any], dict[str, Any]], State]
    merge: Callable[[State, State, dict[str, Any]], State]
    finish: Callable[[State, dict[str, Any]], Any] = lambda state, _: state[0]


def whole(job: Job) -> bool:
    """Whether a job has one window, which covers all of the pooled axes."""
    return all(len(table) == 1 and table.count[0] == table.size for table in job.geometry.tables)


def divisor(job: Job) -> int:
    """The divisor of the one window."""
    return math.prod(int(factor[0]) for factor in job.divisors)


def fits(job: Job, dtype: np.dtype[Any]) -> bool:
    """Whether `reduce` gives a job's result."""
    if job.operator.name not in REDUCTIONS or not whole(job) or not job.geometry.shape:
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


def _params(job: Job, given: dict[str, Any]) -> dict[str, Any]:
    defaults = {parameter.name: parameter.default for parameter in job.operator.params}
    return {name: given.get(name, default) for name, default in defaults.items()}


def _chunk(
    x: Any, *, op: str, params: dict[str, Any], axes: Sequence[int], axis: Any, keepdims: bool
) -> State:
    window = tuple(x.shape[axis] for axis in axes)
    exact = not arrays.is_float(x.dtype)

    def value(op: str, x: Any = x, **params: Any) -> Any:
        wide = None if exact else np.float64
        with threads.alone():
            return api.pool(x, op, window, axes=tuple(axes), dtype=wide, **params)

    def positive() -> Any:
        return value("sum", np.maximum(x, 0))

    given = {**params, "exact": exact, "positive": positive}
    return (*REDUCTIONS[op].state(value, given), math.prod(window))


def _combine(states: Any, *, op: str, params: dict[str, Any], axis: Any, keepdims: bool) -> State:
    merge = REDUCTIONS[op].merge
    with np.errstate(all="ignore"):
        return fold(lambda a, b: (*merge(a, b, params), a[-1] + b[-1]), _flat(states))


def _aggregate(
    states: Any, *, op: str, params: dict[str, Any], dtype: np.dtype[Any], axis: Any, keepdims: bool
) -> Any:
    state = _combine(states, op=op, params=params, axis=axis, keepdims=keepdims)
    with np.errstate(all="ignore"):
        return REDUCTIONS[op].finish(state, params).astype(dtype)


def _flat(states: Any) -> list[State]:
    """The states in nested lists."""
    return [state for each in states for state in _flat(each)] if isinstance(states, list) else [states]


# States and merges ---------------------------------------------------------------------------------------


def _mean_state(value: Callable[..., Any], params: dict[str, Any]) -> State:
    return (value("sum"),) if params["exact"] else (value("avg"),)


def _merge_means(a: State, b: State, params: dict[str, Any]) -> State:
    if a[0].dtype.kind in "iu":
        return (a[0] + b[0],)
    n = a[-1] + b[-1]
    return (a[0] * (a[-1] / n) + b[0] * (b[-1] / n),)


def _finish_mean(state: State, params: dict[str, Any]) -> Any:
    mean, n = state
    if mean.dtype.kind not in "iu":
        return mean
    return mean // n + (mean % n * 2 >= n)  # rounded half up


def _power_mean(a: Any, b: Any, weights: tuple[float, float], p: float) -> Any:
    """``(wa a**p + wb b**p)**(1/p)``, of numbers from 0 on, which neither over- nor underflows."""
    largest = np.maximum(a, b)
    if p == math.inf:
        return largest
    unit = np.where((largest > 0) & (largest < math.inf), largest, 1.0)
    return unit * (weights[0] * (a / unit) ** p + weights[1] * (b / unit) ** p) ** (1 / p)


def _merge_gems(a: State, b: State, params: dict[str, Any]) -> State:
    n = a[-1] + b[-1]
    return (_power_mean(a[0], b[0], (a[-1] / n, b[-1] / n), params["p"]),)


def _merge_lses(a: State, b: State, params: dict[str, Any]) -> State:
    r, n = params["r"], a[-1] + b[-1]
    total = np.logaddexp(r * a[0] + math.log(a[-1]), r * b[0] + math.log(b[-1]))
    return ((total - math.log(n)) / r,)


def _soft_state(value: Callable[..., Any], params: dict[str, Any]) -> State:
    """The value, and the mean of ``exp(beta x)``, as a logarithm."""
    y, beta = value("soft", beta=params["beta"]), params["beta"]
    return y, beta * value("lse", r=beta) if beta else np.zeros_like(y)


def _merge_softs(a: State, b: State, params: dict[str, Any]) -> State:
    n = a[-1] + b[-1]
    first, second = a[1] + math.log(a[-1] / n), b[1] + math.log(b[-1] / n)
    total = np.logaddexp(first, second)
    weights = (np.where(part == total, 1.0, np.exp(part - total)) for part in (first, second))
    return _weighted(a[0], b[0], *weights), total


def _weighted(a: Any, b: Any, wa: Any, wb: Any) -> Any:
    """Where a weight is 0 its value does not count, be it infinite."""
    return np.where(wa == 0, 0, a * wa) + np.where(wb == 0, 0, b * wb)


def _expected_state(value: Callable[..., Any], params: dict[str, Any]) -> State:
    return value("stochastic", training=False), params["positive"]()


def _merge_expected(a: State, b: State, params: dict[str, Any]) -> State:
    total = a[1] + b[1]
    weights = (np.where(part == total, 1.0, part / total) for part in (a[1], b[1]))
    return _weighted(a[0], b[0], *weights), total


REDUCTIONS = {
    "max": Reduction(
        lambda value, _: (value("max"),),
        lambda a, b, _: (np.maximum(a[0], b[0]),),
    ),
    "min": Reduction(
        lambda value, _: (value("min"),),
        lambda a, b, _: (np.minimum(a[0], b[0]),),
    ),
    "sum": Reduction(
        lambda value, _: (value("sum"),),
        lambda a, b, _: (a[0] + b[0],),
    ),
    "avg": Reduction(_mean_state, _merge_means, _finish_mean),
    "lp": Reduction(
        lambda value, params: (value("lp", p=params["p"]),),
        lambda a, b, params: (_power_mean(a[0], b[0], (1.0, 1.0), params["p"]),),
    ),
    "gem": Reduction(lambda value, params: (value("gem", p=params["p"], eps=params["eps"]),), _merge_gems),
    "lse": Reduction(lambda value, params: (value("lse", r=params["r"]),), _merge_lses),
    "soft": Reduction(_soft_state, _merge_softs),
    "mixed": Reduction(
        lambda value, _: (value("max"), value("avg")),
        lambda a, b, params: (np.maximum(a[0], b[0]), *_merge_means(a[1:], b[1:], params)),
        lambda state, params: params["alpha"] * state[0] + (1 - params["alpha"]) * state[1],
    ),
    TESTING.name: Reduction(_expected_state, _merge_expected),
}
