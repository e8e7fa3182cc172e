"""Calls with missing data or weights, forward and backward: what `jobs` and `planes` are for all others.

The general skeleton skips what is left out and counts the rest; windows without enough get their fill
afterwards. Values of regular windows have a kernel that does both (`cpu/present.py`). Gradients of windows
without enough elements are 0, and of elements that are left out as well.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from . import arrays, checks, jobs, planes, ways
from .arrays import Array
from .jobs import Indices, Job, Pull
from .missing import Missing, check_least, fill_value, too_few
from .operators import OPERATORS
from .operators.fold import GATHER, Expression, Fold, as_sent
from .planes import PlaneJob


def forward(
    job: Job | PlaneJob,
    x: Array,
    missing: Missing | None,
    *,
    return_indices: object = False,
    out: object = None,
    dtype: Any = None,
) -> Any:
    """The job's result, or the pair of result and indices."""
    if missing is None:
        if isinstance(job, PlaneJob):
            return planes.forward(job, x, return_indices=return_indices, out=out)
        return jobs.forward(job, x, return_indices=return_indices, out=out, dtype=dtype)
    row = job.operator
    indexed = jobs.wants_indices(row, return_indices)
    target = arrays.result_dtype(row, x.dtype, dtype, weighed=missing.weights is not None)
    y = arrays.result(out, job.shape, target, x)
    check_least(missing, largest(job) if missing.least > 1 else 1)
    value = fill_value(missing, row, target)
    tape = jobs.tape_for(row)
    if ways.ASKED.get() is not None:
        indices = arrays.empty(job.shape, _index_dtype(job), x) if indexed else None
        plan = None if indexed or isinstance(job, PlaneJob) else _planned(job, x, missing, target)[0]
        ways.note(row.name, _in_words(job), x, y, indices, (lambda: WAY) if plan is None else plan.way)
        return (y, indices) if indexed else y
    chosen = indexed or (tape is not None and row.backward == "chosen")
    if not chosen and isinstance(job, Job) and y.size:
        direct = y if out is None or (arrays.is_c(y) and value is not None) else None
        quick = _by_rows(job, x, missing, target, value, direct)
        if quick is not None:
            if quick is not direct:
                arrays.assign(y, quick.reshape(job.shape))
            if tape is not None:
                tape.append(partial(pull, job, jobs.Kept.of(x), missing, None))
            return y
    found = _Windows.of(job, x, missing)
    result, indices = found.reduced(target, indexed=chosen)
    backend = arrays.backend(x)
    if value is None:
        first = backend.first_few(found.counts, missing.needed, found.sums)
        if first is not None:
            raise too_few(missing.in_whole(first[0]), row, target, first[1], missing.needed)
    kept = None if indices is None else arrays.copied(indices)
    given = [(result, value)] + [(indices, -1)] * (indices is not None)
    backend.settle(found.counts, missing.needed, found.sums, given)
    if out is None:
        y = result.reshape(job.shape)
    else:
        arrays.assign(y, result.reshape(job.shape))
    if tape is not None:
        tape.append(partial(pull, job, jobs.Kept.of(x), missing, kept))
    return (y, indices.reshape(job.shape)) if indexed and indices is not None else y


def _planned(job: Job, x: Array, missing: Missing, target: np.dtype[Any]) -> tuple[Any, Array]:
    """The plan by the kernel for regular windows, if there is one, and the input as it takes it."""
    backend, weighs = arrays.backend(x), missing.weights is not None
    if weighs and missing.least > 1:  # which counts elements, beside their weights
        return None, x
    takes = missing.where is not None, missing.skipna, missing.nodata is not None, weighs

    def planned(array: Array) -> Any:
        like = job.operator, array, job.geometry, job.params, target, takes
        key = ("present", array.dtype, array.strides, target, takes)
        return job.prepared(key, lambda: backend.plan_present(*like))

    marked = weighs or missing.where is not None
    plan = None if marked else planned(x)
    if plan is not None:
        return plan, x
    local = arrays.contiguous(x)  # marks lie as the input does, and so in C order
    return planned(local), local


def _by_rows(
    job: Job,
    x: Array,
    missing: Missing,
    target: np.dtype[Any],
    value: Any,
    direct: Array | None,
    least: int | None = None,
) -> Array | None:
    """The result by the kernel for regular windows; None where the skeleton must serve.

    It is written to `direct`, if there is one.
    """
    plan, local = _planned(job, x, missing, target)
    if plan is None:
        return None
    result = arrays.empty(job.shape, target, x) if direct is None else direct
    wanted = missing.least if least is None else least
    beside = arrays.backend(x).Beside(missing.where, missing.weights, missing.nodata)
    overflowed, few = plan.run(local, result, beside, wanted, value)
    if (few and value is None) or (overflowed and not np.isfinite(result).all()):
        return None
    return result


def part_of_call(
    job: Job | PlaneJob, x: Array, missing: Missing | None, *, recorded: bool, **options: Any
) -> tuple[Any, Pull]:
    """The result of one of several jobs of a call and, where `recorded`, its own way back."""
    if not recorded:
        return forward(job, x, missing, **options), partial(pull, job, jobs.Kept.of(x), missing, None)
    with jobs.recording() as tape:
        result = forward(job, x, missing, **options)
    return result, tape[0]


WAY = ways.Way("general", "elements that are left out are skipped one by one", tasks=1)


def largest(job: Job | PlaneJob) -> int:
    """Elements of the largest window."""
    if isinstance(job, PlaneJob):
        return math.prod(int(count.max(initial=0)) for count in job.windows.count)
    return math.prod(table.most for table in job.geometry.tables)


def _in_words(job: Job | PlaneJob) -> str:
    if isinstance(job, PlaneJob):
        return ways.of_planes_in_words(job.windows.count)
    return ways.in_words(job.geometry.tables)


def _index_dtype(job: Job | PlaneJob) -> Any:
    return jobs.index_dtype(job.windows if isinstance(job, PlaneJob) else job.geometry)


class _Windows(NamedTuple):
    """The windows of a call and what takes part in them.

    Attributes
    ----------
    x, mask, weights : Array
        In the order of axes that kernels read, C-contiguous.
    counts : Array of int64
        Elements of each window that take part, once something was reduced.
    sums : Array of float64 or None
        Sums of their weights.
    """

    job: Job | PlaneJob
    missing: Missing
    x: Array
    mask: Array
    weights: Array | None
    counts: Array
    sums: Array | None

    @classmethod
    def of(cls, job: Job | PlaneJob, x: Array, missing: Missing) -> "_Windows":
        """Those of a call."""
        mask = arrays.backend(x).mask_of(x, missing.where, missing.nodata, skipna=missing.skipna)
        weights = missing.weights
        if weights is not None:
            weights = arrays.spread_to(weights, x.shape, "weights")
        if isinstance(job, PlaneJob):
            shape = job.shape
            local, mask = job.planes_last(x), job.planes_last(mask)
            weights = weights if weights is None else job.planes_last(weights, np.float64)
        else:
            shape, local = job.geometry.output_shape, arrays.contiguous(x)
            weights = weights if weights is None else arrays.contiguous(weights, np.float64)
        if job.operator is COUNT:  # which needs no values: one kernel serves every dtype
            local = mask
        sums = None if weights is None else arrays.empty(shape, np.float64, x)
        return cls(job, missing, local, mask, weights, arrays.empty(shape, np.int64, x), sums)

    def fold(self, name: str, fold: Fold, *results: Array | None) -> None:
        """Reduce every window, by a fold of weighted elements where there are weights.

        Further results than the first may be None.
        """
        if not self.counts.size:
            return
        backend, job = arrays.backend(self.x), self.job
        present = backend.Present(self.mask, self.weights, self.counts)
        if isinstance(job, PlaneJob):
            takes = backend.WEIGHED if self.weights is not None else backend.LISTED
            job.plan(name, fold, self.x, results[0].dtype, takes=takes).run(self.x, *results, present=present)  # type: ignore[union-attr]
        else:
            backend.reduce_present(name, fold, self.x, job.geometry, job.params, present, *results)
            if not job.geometry.covers:  # an empty window is no region that lies outside, but one to fill
                arrays.raise_to(self.counts, 0)

    def reduced(self, target: np.dtype[Any], *, indexed: bool) -> tuple[Array, Array | None]:
        """Each window's value, 0 where nothing takes part, and indices, there of the first element."""
        row = self.job.operator
        y = arrays.empty(self.counts.shape, target, self.x)
        indices = arrays.empty(self.counts.shape, _index_dtype(self.job), self.x) if indexed else None
        if self.weights is None:
            self.fold(row.name, row.fold(self.x.dtype, target), y, indices)
        else:
            assert row.weighed is not None
            self.fold(f"{row.name}_weighed", row.weighed(self.x.dtype, target), y, None, self.sums)
        return y, indices

    def counted(self) -> None:
        """Find `counts`, and `sums` where there are weights."""
        if self.weights is None and isinstance(self.job, Job) and self.counts.size:
            job = self.job
            own = Job(COUNT, job.geometry, job.divisors, job.params, job.geometry.output_shape)
            if _by_rows(own, self.x, self.missing, COUNTED, 0, self.counts, least=0) is not None:
                return
        name = "count" if self.weights is None else "count_weighed"
        fold = COUNT.fold(self.mask.dtype, COUNTED) if self.weights is None else WEIGHED
        results = [arrays.empty(self.counts.shape, np.int64, self.x)] if self.sums is None else [self.sums]
        self._replace(x=self.mask).fold(name, fold, *results)

    def enough(self, *results: Array) -> Array:
        """1 for windows with enough elements, of uint8; results become 0 where there are not."""
        found: Array = arrays.backend(self.x).settle(
            self.counts, self.missing.needed, self.sums, [(each, 0) for each in results]
        )
        return found

    def back(self, gx: Array) -> Array:
        """An array of the order of the kernels, in the input's."""
        if isinstance(self.job, PlaneJob):
            return gx.transpose(tuple(int(axis) for axis in np.argsort(self.job.order)))
        return gx


SUM, COUNT, COUNTED = OPERATORS["sum"], OPERATORS["count"], np.dtype(np.int64)
assert COUNT.weighed is not None
WEIGHED = COUNT.weighed(np.dtype(np.float64), np.dtype(np.float64))


# Backward ------------------------------------------------------------------------------------------------


def backward(job: Job | PlaneJob, gy: object, x: Array, missing: Missing | None, indices: object) -> Array:
    """The gradient for `x`, with a caller's indices or without."""
    if missing is None:
        if isinstance(job, PlaneJob):
            return planes.backward(job, gy, x, indices)
        return jobs.checked_backward(job, gy, x, indices)
    gradient = jobs.checked_gradient(gy, job.shape)
    check_least(missing, largest(job))
    chosen = None if indices is None else _checked_indices(job, x, missing, indices)
    return _backward(job, gradient, x, missing, chosen)[0]


def pull(
    job: Job | PlaneJob,
    kept: jobs.Kept,
    missing: Missing | None,
    chosen: Array | None,
    gy: object,
    *,
    params: bool = False,
) -> Any:
    """As `jobs.pull`, and the gradient for weights."""
    if missing is None:
        if isinstance(job, PlaneJob):
            return planes.pull(job, kept, chosen, gy, params=params)
        return jobs.pull(job, kept, None if chosen is None else Indices(chosen), gy, params=params)
    gradient = jobs.checked_gradient(gy, job.shape)
    x = kept.beside(gradient)
    own = chosen if chosen is None else arrays.beside(chosen, gradient)
    wanted = checks.boolean("params", params)
    gx, slopes = _backward(job, gradient, x, missing, own, slopes=wanted)
    return (gx, slopes) if wanted else gx


def _backward(
    job: Job | PlaneJob,
    gy: Array,
    x: Array,
    missing: Missing,
    chosen: Array | None,
    *,
    slopes: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """The gradients for `x` and, where asked for, for the parameters."""
    row = job.operator
    jobs.check_has_gradient(row)
    floating = next((a.dtype for a in (x, gy) if arrays.is_float(a.dtype)), np.dtype(np.float64))
    if gy.size == 0:
        return arrays.zeros(x.shape, floating, x), {}
    found = _Windows.of(job, x, missing)
    gradient = arrays.contiguous(gy).reshape(found.counts.shape)
    if row.backward == "states":
        gx, parameters = _by_states(found, gradient, slopes=slopes)
    elif row.backward == "chosen":
        gx, parameters = _to_chosen(found, gradient, chosen), {}
    else:
        gx, parameters = _by_shares(found, gradient, x, slopes=slopes)
    arrays.backend(x).keep(gx, found.mask, found.weights)
    return arrays.contiguous(found.back(gx), floating), parameters


def _by_shares(found: _Windows, gy: Array, x: Array, *, slopes: bool) -> tuple[Array, dict[str, Any]]:
    """Of sums and averages, whose elements all get the same but for their weights."""
    missing, backend = found.missing, arrays.backend(x)
    found.counted()
    enough = found.enough()
    averages = found.job.operator.averages
    divisors = None if not averages else found.counts if found.sums is None else found.sums
    weights = missing.weights if slopes else None
    wide = weights is not None or not arrays.is_float(x.dtype) or x.dtype == np.float64
    share = backend.shared(gy, enough, divisors, np.float64 if wide else np.float32)
    gx = _spread(found, share)
    if weights is None:
        return gx, {}
    means = None
    if averages:
        y = found.reduced(np.dtype(np.float64), indexed=False)[0]
        found.enough(y)
        means = found.back(_spread(found, backend.product(share, y)))
    mask = found.back(found.mask)
    slope = backend.slope_of_weights(x, mask, found.back(gx), means, weights.shape)
    return gx, {"weights": arrays.cast(slope, floating_of(weights))}


def floating_of(array: Array) -> np.dtype[Any]:
    """The dtype of a gradient for an array."""
    return array.dtype if arrays.is_float(array.dtype) else np.dtype(np.float64)


def _spread(found: _Windows, share: Array) -> Array:
    """The sum of the shares of the windows that cover each element."""
    job, x = found.job, found.x
    if isinstance(job, PlaneJob):
        total = arrays.zeros(x.shape, np.float64, x)
        sent = arrays.cast(share, np.float64)
        job.plan("shares", GATHER, x, np.float64, as_sent).send(sent, x, [sent] * 3, total)
        return total
    like = arrays.spread_to(arrays.zeros((1,), share.dtype, x), x.shape, "x")
    return jobs.backward(
        Job(SUM, job.geometry, job.divisors, job.params, job.geometry.output_shape), share, like, None
    )


def _to_chosen(found: _Windows, gy: Array, chosen: Array | None) -> Array:
    """Gradients to the elements that `chosen` names, or that are found anew."""
    job = found.job
    if chosen is None:
        chosen = found.reduced(found.x.dtype, indexed=True)[1]
        assert chosen is not None
    else:
        found.counted()
    sent = arrays.backend(gy).shared(gy, found.enough(), None, gy.dtype)
    if isinstance(job, PlaneJob):
        total = arrays.zeros(found.x.shape, np.float64, found.x)
        plan = job.plan(job.operator.name, GATHER, found.x, np.float64, job.operator.pull)
        plan.send(arrays.cast(sent, np.float64), found.x, [chosen.reshape(job.shape)] * 3, total)
        return total
    return jobs.backward(job, sent.reshape(job.shape), found.x, Indices(chosen.reshape(job.shape)))


def _by_states(found: _Windows, gy: Array, *, slopes: bool) -> tuple[Array, dict[str, Any]]:
    """Of operators whose windows keep a few numbers."""
    row, x, weights = found.job.operator, found.x, found.missing.weights
    if weights is None:
        gx, sent = _gathered(found, gy, row.name, row.state(x.dtype), row.pull)
        return gx, _slopes(found, sent) if slopes else {}
    weighing = row.weighing
    assert weighing is not None
    found.counted()
    gx = _gathered(found, gy, f"{row.name}_weighed", weighing.state, row.pull)[0]
    if not slopes:
        return gx, {}
    each = _gathered(found, gy, f"{row.name}_weights", weighing.slope, weighing.send)[0]
    mask, one = found.back(found.mask), arrays.full(found.back(x).shape, np.float64, 1, x)
    slope = arrays.backend(x).slope_of_weights(one, mask, found.back(each), None, weights.shape)
    return gx, {"weights": arrays.cast(slope, floating_of(weights))}


def _gathered(
    found: _Windows, gy: Array, name: str, state: Fold, pull: Expression | None
) -> tuple[Array, Array]:
    """What windows send to each element; and the gradients of windows with enough elements."""
    job, x, backend = found.job, found.x, arrays.backend(found.x)
    states = [arrays.empty(found.counts.shape, np.float64, x) for _ in range(3)]
    found.fold(f"{name}_state", state, *states)
    enough = found.enough(*states)
    sent = backend.shared(gy, enough, None, np.float64)
    gx = arrays.zeros(x.shape, np.float64, x)
    if isinstance(job, PlaneJob):
        plan = job.plan(name, GATHER, x, np.float64, pull, takes=backend.LISTED)
        plan.send(sent, x, states, gx, present=(found.mask, enough))
    else:
        backend.gather(name, pull, sent, x, states, job.geometry.inverse(), job.params, gx, enough)
    return gx, sent


def _slopes(found: _Windows, gy: Array) -> dict[str, Any]:
    """The gradients for the operator's parameters."""
    slopes = {}
    for parameter in found.job.operator.params:
        if parameter.slope is not None:
            slope = arrays.zeros(found.counts.shape, np.float64, found.x)
            found.fold(f"{found.job.operator.name}_{parameter.name}", parameter.slope, slope)
            found.enough(slope)
            slopes[parameter.name] = arrays.inner(gy, slope)
    return slopes


def _checked_indices(job: Job | PlaneJob, x: Array, missing: Missing, indices: object) -> Array:
    """A caller's indices, each in its own window, those of -1 where a window has too few elements.

    These become places of the windows' own.
    """
    jobs.check_chooses("indices are", job.operator)
    plane = job.windows.plane if isinstance(job, PlaneJob) else job.geometry.plane
    given = jobs.checked_indices("indices", indices, job.shape, math.prod(plane), least=-1)
    found = _Windows.of(job, x, missing)
    own = found.reduced(x.dtype, indexed=True)[1]
    assert own is not None
    replaced = arrays.backend(x).replaced(given, own.reshape(job.shape), found.enough().reshape(job.shape))
    if replaced is None:
        raise ValueError(jobs.OUTSIDE)
    return (
        planes.chosen_indices(job, replaced)
        if isinstance(job, PlaneJob)
        else jobs.chosen_indices(job, replaced)
    )
