"""Functions of dask arrays that are made of several: mosaics, and blurs of maxima."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .. import api, area, arrays, checks, jobs
from ..gradients import vjp
from ..missing import fill_value
from . import blocks, cells
from .blocks import Beside
from .parts import ABSENT, Call

Recorded = tuple[Any, Callable[..., Any]]  # a result, and its way back


def _recorded(function: Any, x: Any, *arguments: Any, **words: Any) -> Recorded:
    """What a public function gives, and its way back."""
    return vjp(function, x, *arguments, **words)


def mosaic(x: Any, call: Call, beside: Beside) -> Recorded:
    """Each cell's value over the whole cell."""
    op, cell, axes, op_params = call.arguments
    geometry = replace(call, arguments=("count", cell, axes, {})).job().geometry
    lengths = {axis: table.most for axis, table in zip(geometry.axes, geometry.tables, strict=True)}
    windows: dict[str, Any] = {
        "window": list(lengths.values()),
        "ceil_mode": True,
        "axes": list(lengths),
    }
    about = {**op_params, **_words(call, beside)}
    with jobs.unrecorded():
        y = api.pool(x, op, **windows, **about)

    def pull(gy: Any, *, params: bool = False) -> Any:
        """A cell's value has the gradients of all its elements; 16-bit ones add up in float32."""
        blocks.check_kind("gy", gy)
        jobs.checked_gradient(blocks.stand_in(gy), x.shape)
        own, floating = x, None
        if arrays.is_float(x.dtype):
            floating = x.dtype.newbyteorder("=")
            own = x.astype(np.result_type(np.float32, floating))
            gy = gy.astype(own.dtype)
        with jobs.unrecorded():
            sums = api.sum_pool(gy, **windows)
        gx, slopes = _recorded(api.pool, own, op, **windows, **about)[1](sums, params=True)
        gx = gx if floating is None else gx.astype(floating)
        return (gx, slopes) if checks.boolean("params", params) else gx

    return _over_cells(y, x, lengths), pull


def _words(call: Call, beside: Beside) -> dict[str, Any]:
    """What a call says of missing data and weights; its `nodata` is a number of the input's dtype."""
    if call.absent is None or beside.known is None:
        return {}
    found = dict(zip(ABSENT, call.absent, strict=True)) | {"where": beside.where, "weights": beside.given}
    return found if beside.known.nodata is None else found | {"nodata": beside.known.nodata}


def _over_cells(y: Any, x: Any, lengths: Mapping[int, int]) -> Any:
    """The values of cells of so many elements along pooled axes, over all elements."""
    if all(y.shape[axis] == 1 for axis in lengths):
        return blocks.over_whole(y, x, tuple(lengths))
    chunks = list(y.chunks)
    for axis, k in lengths.items():
        ends = np.minimum(np.cumsum([0, *y.chunks[axis]]) * k, x.shape[axis])
        chunks[axis] = tuple(np.diff(ends).tolist())
    repeated = partial(_repeated, lengths=lengths)
    return blocks.mapped(repeated, y, name="mosaic", chunks=tuple(chunks), kind=y, dtype=y.dtype)


def _repeated(block: Any, *, lengths: Mapping[int, int], block_info: Any) -> Any:
    for axis, k in lengths.items():
        block = np.repeat(block, k, axis)
    return block[tuple(slice(last - first) for first, last in blocks.ranges(block_info[None]))]


def blur_of_maxima(x: Any, call: Call, beside: Beside, dtype: Any) -> Recorded:
    """The blur of the maxima of two elements along each axis."""
    job, known, (_, window, stride, axes, _) = call.job(), beside.known, call.arguments
    two: dict[str, Any] = {"window": 2, "stride": 1, "padding": "same", "axes": job.geometry.axes}
    own, rest = {}, {}
    if known is not None:
        target = cells.result_dtype(job, call.dtype.newbyteorder("="), dtype, weighed=False)
        rest = {"min_count": known.least, "fill": fill_value(known, job.operator, target)}
    if known is not None and known.masks:
        lowest = area.lowest(x.dtype)
        own = {"where": beside.where, "skipna": known.skipna, "nodata": known.nodata}
        own["fill"] = float(lowest) if arrays.is_float(x.dtype) else int(lowest)
        with jobs.unrecorded():
            rest["where"] = api.max_pool(beside.taken(x), **two)
    highest, pull_maxima = _recorded(api.max_pool, x, **two, **own)
    y, pull_blur = _recorded(area.blur_pool, highest, window, stride=stride, axes=axes, dtype=dtype, **rest)

    def pull(gy: Any, *, params: bool = False) -> Any:
        gx = pull_maxima(pull_blur(gy))
        return (gx, {}) if checks.boolean("params", params) else gx

    return y, pull
