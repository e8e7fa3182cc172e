"""`roi_align` with missing data or weights: means of what takes part in each sample, or each bin.

A mean is the interpolated sum of what takes part, over the same sum of ones or weights. A maximum is that of
means, one a sample: samples become bins of their own, and then cells are pooled. Both are `roi_align` without
missing data, so that one text serves the CPU and CUDA.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from . import arrays, checks, missing_jobs, ways
from .arrays import Array
from .jobs import Kept, checked_gradient, sliding, unrecorded
from .missing import Missing, check_least, fill_value
from .operators import OPERATORS
from .regions import Align

FLOAT64 = np.dtype(np.float64)


class _Means(NamedTuple):
    """The bins of a call and what takes part in them.

    Attributes
    ----------
    values : Array of float64
        The input by its weights, 0 where it is left out.
    mask : Array of uint8
    weights : Array of float64 or None
        Of the input's shape.
    total, counts : Array
        Of each bin the sum of weights, float64, and how many elements take part, int64: -1 of a bin that has
        no element.
    enough : Array of uint8
        Which bins have enough elements.
    """

    call: Align
    values: Array
    mask: Array
    weights: Array | None
    total: Array
    counts: Array
    enough: Array

    @classmethod
    def of(cls, call: Align, missing: Missing) -> "_Means":
        """Those of a call."""
        x, backend = arrays.contiguous(call.x), arrays.backend(call.x)
        mask = backend.mask_of(x, missing.where, missing.nodata, skipna=missing.skipna)
        weights = missing.weights
        if weights is not None:
            weights = arrays.contiguous(arrays.spread_to(weights, x.shape, "weights"), FLOAT64)
        values, ones = x.astype(FLOAT64), arrays.contiguous(mask, FLOAT64)
        backend.keep(values, mask, weights)
        total = replace(call, x=ones, op="avg").forward(keep=False)[0]
        sums = None
        if weights is not None:
            sums = total = replace(call, x=backend.product(ones, weights), op="avg").forward(keep=False)[0]
        counts = replace(call, x=ones).elements()
        if call.bin_sizes()[0] == 0:
            everywhere = arrays.contiguous(backend.mask_of(x, None, None, skipna=False), FLOAT64)
            backend.settle(replace(call, x=everywhere).elements(), 1, None, [(counts, -1)])
        enough = backend.settle(counts, missing.least, sums, [])
        return cls(call, values, mask, weights, total, counts, enough)

    def result(self) -> Array:
        """The means, in float64; 0 where too few elements take part."""
        y = replace(self.call, x=self.values, op="avg").forward(keep=False)[0]
        found: Array = arrays.backend(y).shared(y, self.enough, self.total, FLOAT64)
        return found

    def shares(self, gy: Array) -> Array:
        """Gradients of the bins by their sums of weights."""
        found: Array = arrays.backend(gy).shared(gy, self.enough, self.total, FLOAT64)
        return found

    def sent(self, shares: Array) -> Array:
        """What each element gets by its place alone."""
        return replace(self.call, x=self.values, op="avg").backward(shares, None)


def forward(call: Align, missing: Missing) -> Array:
    """The result of a call."""
    row = OPERATORS[call.op]
    value = fill_value(missing, row, call.x.dtype)
    check_least(missing, call.bin_sizes()[1])
    if ways.ASKED.get() is not None:
        return call.forward(keep=False)[0]
    means = _Means.of(call, missing)
    y = means.result() if call.op == "avg" else _maxima(call, missing)
    result = arrays.cast(y, call.x.dtype)
    sums = None if means.weights is None else means.total
    arrays.backend(result).settle(means.counts, missing.least, sums, [(result, value)])
    return result


def backward(
    call: Align, missing: Missing, gy: Array, *, slopes: bool = False
) -> tuple[Array, dict[str, Array]]:
    """The gradients for `x` and, where asked for, for weights."""
    check_least(missing, call.bin_sizes()[1])
    means, backend = _Means.of(call, missing), arrays.backend(call.x)
    if call.op == "avg":
        shares = means.shares(gy)
        gx = means.sent(shares)
    else:
        gx = _to_maxima(call, missing, backend.shared(gy, means.enough, None, FLOAT64))
    parameters = {}
    if slopes and missing.weights is not None:
        lost = means.sent(backend.product(shares, means.result()))
        shape = missing.weights.shape
        slope = backend.slope_of_weights(arrays.contiguous(call.x), means.mask, gx, lost, shape)
        parameters["weights"] = arrays.cast(slope, missing_jobs.floating_of(missing.weights))
    backend.keep(gx, means.mask, means.weights)
    return arrays.cast(gx, call.x.dtype), parameters


def pull(call: Align, missing: Missing, kept: Kept, gy: object, *, params: bool = False) -> Any:
    """The gradient of a recorded call; with `params` that for the weights too."""
    gradient, wanted = checked_gradient(gy, call.shape), checks.boolean("params", params)
    gx, slopes = backward(replace(call, x=kept.beside(gradient)), missing, gradient, slopes=wanted)
    return (gx, slopes) if wanted else gx


# Maxima of samples: boxes whose bins have as many samples go together --------------------------------------


def _maxima(call: Align, missing: Missing) -> Array:
    """The largest mean of each bin's samples; of bins without any 0."""
    y = arrays.zeros(call.shape, FLOAT64, call.x)
    for numbers, _, job, cells, where in _sampled(call, missing):
        with unrecorded():
            found = missing_jobs.forward(job, cells, where)
        for place, number in enumerate(numbers):
            arrays.assign(arrays.row(y, number), arrays.row(found, place))
    return y


def _to_maxima(call: Align, missing: Missing, gy: Array) -> Array:
    """What the samples that are the largest send to their elements."""
    total = arrays.zeros(call.x.shape, FLOAT64, call.x)
    for numbers, means, job, cells, where in _sampled(call, missing):
        own = arrays.empty((len(numbers), *gy.shape[1:]), FLOAT64, gy)
        for place, number in enumerate(numbers):
            arrays.assign(arrays.row(own, place), arrays.row(gy, number))
        sent = missing_jobs.backward(job, own, cells, where, None)
        arrays.accumulate(total, means.sent(means.shares(sent)))
    return total


def _sampled(call: Align, missing: Missing) -> Iterator[tuple[list[int], _Means, Any, Array, Missing]]:
    """Of boxes with the same samples a bin: which they are, the samples' means, and their pooling."""
    for numbers, part, cell in call.by_samples():
        means = _Means.of(part, missing._replace(least=1))
        cells, job = sliding(means.result(), "max", cell, None, 0, 1, False, (2, 3), {})
        where = Missing(arrays.cast(means.enough, np.bool_), False, None, 1, 0, None)
        yield numbers, means, job, cells, where
