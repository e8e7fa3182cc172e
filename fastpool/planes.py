"""Calls whose windows differ from plane to plane: fractional pooling with samples, regions of interest.

What `jobs` is for one geometry of all planes. Some windows may be empty: they give 0, index -1, and send no
gradient. Backward sends from every window to its elements, one thread a plane, in a fixed order: the same
bits for every number of threads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import arrays, checks, jobs, ways
from .arrays import Array
from .operators import Operator
from .operators.fold import GATHER, Expression, Fold
from .windows import Integers, PlaneWindows


@dataclass(frozen=True)
class PlaneJob:
    """One operator over windows of planes.

    Attributes
    ----------
    operator : Operator
    windows : PlaneWindows
    divisors : tuple of ndarray
        Per pooled axis a factor of each window's divisor, of the shape of the windows' tables.
    params : ndarray of float64
        As in `jobs.Job`.
    order : tuple of int
        The input's axes with the pooled ones last.
    kept : tuple of int
        Lengths of the result's other axes, which come first until they are put back in their order.
    """

    operator: Operator
    windows: PlaneWindows
    divisors: tuple[Integers, ...]
    params: NDArray[np.float64]
    order: tuple[int, ...]
    kept: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        lengths = self.kept + self.windows.outputs
        return tuple(lengths[self.order.index(axis)] for axis in range(len(lengths)))

    def planes_last(self, array: Array, dtype: Any = None) -> Array:
        """An array with its pooled axes last, C-contiguous."""
        return arrays.contiguous(array.transpose(self.order), dtype)

    def plan(
        self, name: str, fold: Fold, x: Array, target: Any, pull: Expression | None = None, takes: str = ""
    ) -> Any:
        """How the backend runs a fold, or with `pull` the way back, for arrays like `x`; `takes` elements."""
        backend = arrays.backend(x)
        dtype = np.dtype(target)
        arguments = (self.windows, (self.shape, self.order), self.divisors, self.params, dtype)
        return backend.plan_planes(name, fold, pull, x, *arguments, takes)


def job(
    row: Operator,
    x: Array,
    windows: PlaneWindows,
    order: Sequence[int],
    kept: Sequence[int],
    op_params: dict[str, Any],
) -> PlaneJob:
    """The job of an operator; an average divides by its windows' own sizes."""
    row, params, (_, override) = jobs.settings(row, x.dtype, op_params)
    if row.picks:
        windows = windows.picked(middle=bool(params[0]))
    divisors = windows.count
    if override is not None:
        first, *others = (np.ones_like(count) for count in divisors)
        divisors = (first * override, *others)
    return PlaneJob(row, windows, divisors, params, tuple(order), tuple(kept))


def forward(job: PlaneJob, x: Array, *, return_indices: object = False, out: object = None) -> Any:
    """The job's result, or the pair of result and indices."""
    row = job.operator
    indexed = jobs.wants_indices(row, return_indices)
    target = arrays.result_dtype(row, x.dtype, None)
    y = arrays.result(out, job.shape, target, x)
    tape = jobs.tape_for(row)
    indices = None
    if indexed or (tape is not None and row.backward == "chosen"):
        indices = arrays.empty(job.shape, jobs.index_dtype(job.windows), x)
    direct = y if out is None else arrays.written(y)
    fold = row.fold(x.dtype, target)
    if ways.ASKED.get() is not None:
        words = ways.of_planes_in_words(job.windows.count)
        ways.note(row.name, words, x, y, indices, lambda: job.plan(row.name, fold, x, target).way())
    elif y.size:
        planes = job.planes_last(x)
        job.plan(row.name, fold, planes, target).run(planes, direct, indices)
        if not arrays.is_c(y):
            arrays.assign(y, direct)
    if tape is not None:
        own = arrays.copied(indices) if indexed and indices is not None else indices
        tape.append(partial(pull, job, jobs.Kept.of(x), own))
    return (y, indices) if indexed else y


def pull(job: PlaneJob, kept: jobs.Kept, indices: Array | None, gy: object, *, params: bool = False) -> Any:
    """As `jobs.pull`."""
    gradient = jobs.checked_gradient(gy, job.shape)
    x = kept.beside(gradient)
    indices = indices if indices is None else arrays.beside(indices, gradient)
    gx = _send(job, gradient, x, indices)
    return (gx, _slopes(job, gradient, x)) if checks.boolean("params", params) else gx


def backward(job: PlaneJob, gy: object, x: Array, indices: object) -> Array:
    """The gradient for `x`, with a caller's indices or without."""
    gradient = jobs.checked_gradient(gy, job.shape)
    return _send(job, gradient, x, None if indices is None else chosen_indices(job, indices))


def _send(job: PlaneJob, gy: Array, x: Array, indices: Array | None) -> Array:
    row = job.operator
    jobs.check_has_gradient(row)
    planes, g = job.planes_last(x), arrays.contiguous(gy, np.float64)
    total = arrays.zeros(planes.shape, np.float64, x)
    if g.size:
        if row.backward == "chosen":
            found = _indices(job, x) if indices is None else indices
            states = [found] * 3
        else:
            states = [arrays.empty(job.shape, np.float64, x) for _ in range(3)]
            job.plan(f"{row.name}_state", row.state(x.dtype), planes, np.float64).run(planes, *states)
        job.plan(row.name, GATHER, planes, np.float64, row.pull).send(g, planes, states, total)
    floating = next((a.dtype for a in (x, gy) if arrays.is_float(a.dtype)), np.dtype(np.float64))
    back = tuple(np.argsort(job.order))
    return arrays.contiguous(total.transpose(back), floating)


def _indices(job: PlaneJob, x: Array) -> Array:
    found: Array = forward(job, x, return_indices=True)[1]
    return found


def _slopes(job: PlaneJob, gy: Array, x: Array) -> dict[str, Any]:
    planes = job.planes_last(x)
    slopes = {}
    for parameter in job.operator.params:
        if parameter.slope is not None:
            slope = arrays.zeros(gy.shape, np.float64, x)
            if slope.size:
                name = f"{job.operator.name}_{parameter.name}"
                job.plan(name, parameter.slope, planes, np.float64).run(planes, slope)
            slopes[parameter.name] = arrays.inner(gy, slope)
    return slopes


def chosen_indices(job: PlaneJob, indices: object) -> Array:
    """A caller's indices, each an element of its own window, or -1 where that is empty."""
    jobs.check_chooses("indices are", job.operator)
    windows = job.windows
    limit = math.prod(windows.plane)
    given = jobs.checked_indices("indices", indices, job.shape, limit, least=-1)
    flat = job.planes_last(arrays.to_host(given)).reshape(windows.planes.size, *windows.outputs)
    positions = arrays.positions(np.maximum(flat, 0), windows.plane)
    empty, outside = np.zeros(flat.shape, bool), np.zeros(flat.shape, bool)
    for axis, (lo, count, position) in enumerate(zip(windows.lo, windows.count, positions, strict=True)):
        shape = [-1 if n in (0, axis + 1) else 1 for n in range(flat.ndim)]
        shape[0], shape[axis + 1] = windows.planes.size, lo.shape[1]
        first, size = lo[windows.sets].reshape(shape), count[windows.sets].reshape(shape)
        empty |= size == 0
        outside |= (position < first) | (position >= first + size)
    jobs.check_within(flat, empty, outside)
    return given
