"""`roi_align` with missing data or weights: means of what takes part in each sample, or each bin.

A mean is the interpolated sum of what takes part, over the same sum of ones or weights. A maximum is that of
means, one a sample: samples become bins of their own, and then cells are pooled. Both are `roi_align` without
missing data, so that one text serves the CPU and CUDA.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from . import arrays, checks, missing_jobs, ways
from .arrays import Array
from .jobs import Job, Kept, checked_gradient, sliding, unrecorded
from .missing import Missing, check_least, extremes, fill_value
from .operators import OPERATORS
from .regions import Align

FLOAT64 = np.dtype(np.float64)
FARTHEST = 1000  # of the exponents of two that weights are scaled by


class _Source(NamedTuple):
    """An input and what takes part of it, all of its shape.

    Attributes
    ----------
    mask : Array of uint8
    weights : Array of float64 or None
        Scaled by a power of two: the largest one is between a half and 1.
    scale : float
        That power.
    shares : Array of float64
        Weights, or 1; 0 of what is left out.
    values : Array of float64
        The input by its shares.
    """

    mask: Array
    weights: Array | None
    scale: float
    shares: Array
    values: Array

    @classmethod
    def of(cls, x: Array, missing: Missing) -> "_Source":
        """Those of a call."""
        backend, local, weights, scale = arrays.backend(x), arrays.contiguous(x), None, 1.0
        mask = backend.mask_of(local, missing.where, missing.nodata, skipna=missing.skipna)
        if missing.weights is not None:
            exponent = math.frexp(extremes(missing.weights)[1])[1]
            scale = 2.0 ** -min(max(exponent, -FARTHEST), FARTHEST)
            scaled = arrays.times(arrays.contiguous(missing.weights, FLOAT64), scale)
            weights = arrays.contiguous(arrays.spread_to(scaled, x.shape, "weights"))
        values, shares = local.astype(FLOAT64), mask.astype(FLOAT64)
        for each in (values, shares):
            backend.keep(each, mask, weights)
        return cls(mask, weights, scale, shares, values)


class _Means(NamedTuple):
    """The means of the bins of a call: their sums of shares, and which bins have enough elements."""

    call: Align
    source: _Source
    total: Array
    enough: Array

    @classmethod
    def of(cls, call: Align, source: _Source, counts: Array, least: int) -> "_Means":
        """Those of bins of which so many elements take part, at least one with a weight."""
        total = replace(call, x=source.shares, op="avg").forward(keep=False)[0]
        return cls(call, source, total, arrays.backend(total).settle(counts, least, total, []))

    def result(self) -> Array:
        """The means, in float64; 0 where too few elements take part."""
        return self.shared(replace(self.call, x=self.source.values, op="avg").forward(keep=False)[0])

    def shared(self, of_bins: Array) -> Array:
        """Sums, or gradients, of the bins by their sums of shares."""
        found: Array = arrays.backend(of_bins).shared(of_bins, self.enough, self.total, FLOAT64)
        return found

    def sent(self, shared: Array) -> Array:
        """What each element gets by its place alone."""
        return replace(self.call, x=self.source.values, op="avg").backward(shared, None)


def _counted(call: Align, source: _Source, fewest: int) -> Array:
    """How many elements of each bin take part: int64, -1 of a bin that has no element.

    There are such bins where the `fewest` elements of a bin are 0.
    """
    backend, like = arrays.backend(call.x), call.x
    counts = replace(call, x=source.mask.astype(FLOAT64)).elements()
    if fewest == 0:
        everywhere = replace(call, x=arrays.full(like.shape, FLOAT64, 1, like)).elements()
        backend.settle(everywhere, 1, None, [(counts, -1)])
    return counts


def forward(call: Align, missing: Missing) -> Array:
    """The result of a call."""
    value = fill_value(missing, OPERATORS[call.op], call.x.dtype)
    fewest, most = call.bin_sizes()
    check_least(missing, most)
    if ways.ASKED.get() is not None:
        return call.forward(keep=False)[0]
    source = _Source.of(call.x, missing)
    counts, sums = _counted(call, source, fewest), None
    if call.op == "avg":
        means = _Means.of(call, source, counts, missing.least)
        y, sums = means.result(), means.total if missing.weights is not None else None
    else:
        y = _maxima(call, source)
    result = arrays.cast(y, call.x.dtype)
    arrays.backend(result).settle(counts, missing.least, sums, [(result, value)])
    return result


def backward(
    call: Align, missing: Missing, gy: Array, *, slopes: bool = False
) -> tuple[Array, dict[str, Array]]:
    """The gradients for `x` and, where asked for, for weights."""
    fewest, most = call.bin_sizes()
    check_least(missing, most)
    source, backend, parameters = _Source.of(call.x, missing), arrays.backend(call.x), {}
    counts = _counted(call, source, fewest)
    if call.op == "avg":
        means = _Means.of(call, source, counts, missing.least)
        shared = means.shared(gy)
        gx = means.sent(shared)
        if slopes and missing.weights is not None:
            lost = means.sent(backend.product(shared, means.result()))
            shape, dtype = missing.weights.shape, missing_jobs.floating_of(missing.weights)
            slope = backend.slope_of_weights(arrays.contiguous(call.x), source.mask, gx, lost, shape)
            parameters["weights"] = arrays.cast(arrays.times(slope, source.scale), dtype)
    else:
        enough = backend.settle(counts, missing.least, None, [])
        gx = _to_maxima(call, source, backend.shared(gy, enough, None, FLOAT64))
    backend.keep(gx, source.mask, source.weights)
    return arrays.cast(gx, call.x.dtype), parameters


def pull(call: Align, missing: Missing, kept: Kept, gy: object, *, params: bool = False) -> Any:
    """The gradient of a recorded call; with `params` that for the weights too."""
    gradient, wanted = checked_gradient(gy, call.shape), checks.boolean("params", params)
    gx, slopes = backward(replace(call, x=kept.beside(gradient)), missing, gradient, slopes=wanted)
    return (gx, slopes) if wanted else gx


# Maxima of samples: boxes whose bins have as many samples go together --------------------------------------


class _Samples(NamedTuple):
    """The samples of some boxes: their means, and the pooling of each bin's."""

    numbers: list[int]
    means: _Means
    cells: Array
    job: Job
    present: Missing


def _sampled(call: Align, source: _Source) -> Iterator[_Samples]:
    for numbers, part in call.by_samples():
        one = arrays.full(part.shape, np.int64, 1, call.x)
        means = _Means.of(part, source, one, 1)
        pooled = tuple(range(2, call.x.ndim))
        cells, job = sliding(means.result(), "max", part.cell, None, 0, 1, False, pooled, {})
        where = arrays.cast(means.enough, np.bool_)
        yield _Samples(numbers, means, cells, job, Missing(where, False, None, 1, 0, None))


def _maxima(call: Align, source: _Source) -> Array:
    """The largest mean of each bin's samples; of bins without any 0."""
    y = arrays.zeros(call.shape, FLOAT64, call.x)
    for numbers, _, cells, job, present in _sampled(call, source):
        with unrecorded():
            found = missing_jobs.forward(job, cells, present)
        for place, number in enumerate(numbers):
            arrays.assign(arrays.row(y, number), arrays.row(found, place))
    return y


def _to_maxima(call: Align, source: _Source, gy: Array) -> Array:
    """What the samples that are the largest send to their elements."""
    total = arrays.zeros(call.x.shape, FLOAT64, call.x)
    for numbers, means, cells, job, present in _sampled(call, source):
        own = arrays.empty((len(numbers), *gy.shape[1:]), FLOAT64, gy)
        for place, number in enumerate(numbers):
            arrays.assign(arrays.row(own, place), arrays.row(gy, number))
        sent = missing_jobs.backward(job, own, cells, present, None)
        arrays.accumulate(total, means.sent(means.shared(sent)))
    return total
