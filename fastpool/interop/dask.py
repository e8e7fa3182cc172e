"""Pooling of dask arrays: the public functions, lazily, block by block.

A block of outputs is one task that reads one block of inputs. Where windows reach over the edge of a chunk,
dask's own `overlap` brings the rows that are missing, and no others; chunks that are smaller than that are
joined first. What a task computes is in `parts`, where the blocks are cut in `cuts`, and how operators
reduce whole axes chunk by chunk in `reductions`. `where` and `weights`, of dask or NumPy, are cut along with
the input. Mosaics and blurs of maxima, which are made of several calls, are in `composed`.

Everything is checked when the graph is made, but the values of weights of dask, and whether integers without
a `fill` have a window with too few elements, before any task runs. Tasks use one thread each, since dask
runs one task a core. Nothing of dask is imported before a dask array arrives.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from inspect import signature
from operator import itemgetter
from typing import Any

import numpy as np

from .. import area, arrays, borders, checks, jobs, missing_jobs, quantiles, random
from ..jobs import Job
from ..missing import asked, check_least, fill_value
from ..quantiles import Parts, check_rows
from . import blocks, cells, composed, cuts, parts, reductions
from .blocks import Beside
from .cuts import Cut, Range
from .parts import ABSENT, Call

SLIDING = "sliding", ("op", "window", "stride", "padding", "dilation", "ceil_mode", "axes")
ADAPTIVE = "adaptive", ("op", "output_size", "axes")
WHOLE = "whole", ("op", "axes", "keepdims")
AREA = "area", ("op", "output_size", "ratio", "axes")
BLUR = "blur", ("op", "window", "stride", "axes")
MOSAIC = "mosaic", ("op", "cell", "axes")

# Of a public function, the form in `parts` and its arguments.
FUNCTIONS = {
    "pool": SLIDING,
    "adaptive_pool": ADAPTIVE,
    "global_pool": WHOLE,
    "pool_backward": SLIDING,
    "adaptive_pool_backward": ADAPTIVE,
    "global_pool_backward": WHOLE,
    "area_pool": AREA,
    "area_pool_backward": AREA,
    "blur_pool": BLUR,
    "blur_pool_backward": BLUR,
    "mosaic": MOSAIC,
    "mosaic_backward": MOSAIC,
}


def call(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    """What a public function gives for dask arrays.

    Raises
    ------
    TypeError
        For functions that are not in `FUNCTIONS`, and for arrays of two kinds.
    ValueError
        For unknown chunk sizes, and whatever the function itself refuses.
    """
    name = function.__name__
    if name not in FUNCTIONS:
        raise TypeError(f"{name} takes no dask arrays; functions that do: {', '.join(FUNCTIONS)}")
    _refuse_out(given.get("out"))
    for argument in ("gy", "x", "indices"):
        if given.get(argument) is not None or (argument in ("gy", "x") and argument in given):
            blocks.check_kind(argument, given[argument])
    if quantiles.several(given):
        return quantiles.each(function, given, _parts())
    bound = signature(function).bind(**given)
    bound.apply_defaults()
    if bound.arguments.get("border") is not None or bound.arguments.get("footprint") is not None:
        return _with_border(function, bound.arguments)
    taken, (form, names) = bound.arguments, FUNCTIONS[name]
    op_params = dict(taken.get("op_params", {}))
    weights = op_params.pop("weights", taken.get("weights"))
    made = _call(form, taken["x"], tuple(taken[each] for each in names), op_params)
    of_maxima = form == "blur" and area.is_of_maxima(taken["op"])
    area.check_weights_of_maxima(weights, peaks=of_maxima)
    absent = tuple(taken.get(each) for each in ABSENT)
    given = {"where": taken["where"], "weights": weights}
    made, beside = _with_missing(taken["x"], made, absent, given, taken.get("dtype"))
    call = taken["x"], made, beside
    if of_maxima or form == "mosaic":
        y, pull = (
            composed.mosaic(*call) if form == "mosaic" else composed.blur_of_maxima(*call, taken.get("dtype"))
        )
        if "gy" in taken:
            return pull(taken["gy"])
        tape = jobs.tape_for(made.job().operator)
        if tape is not None:
            tape.append(pull)
        return y
    if "gy" in taken:
        return _backward(*call, taken["gy"], taken.get("indices"))
    return _forward(*call, taken.get("return_indices", False), taken.get("dtype"))


def _with_border(function: Callable[..., Any], taken: dict[str, Any]) -> Any:
    """A call with a border, as that of the array joined with it."""
    from dask.array import Array, concatenate  # noqa: PLC0415 - an extra

    if taken["footprint"] is not None:
        raise TypeError("footprint must be None for dask arrays: use dask.array.map_overlap")
    if "gy" in taken or jobs.TAPE.get() is not None:
        raise TypeError("border must be None for gradients of dask arrays")
    if taken["return_indices"] is not False:
        raise TypeError("return_indices must be False for dask arrays with a border")
    given = taken.pop("op_params")
    words = dict(taken) | given
    x, stand_in = words["x"], blocks.stand_in(words["x"])
    arguments = (words[name] for name in ("window", "stride", "padding", "dilation", "axes"))
    ceil = checks.boolean("ceil_mode", words["ceil_mode"])
    border, extended = borders.extended(stand_in, *arguments, ceil=ceil, border=words["border"])

    def spread(array: Any) -> Any:
        for axis, (table, before) in border.tables.items():
            own = array.ndim - x.ndim + axis
            if own < 0 or array.shape[own] != x.shape[axis]:
                continue
            pieces = {0: array}
            for place, element, length, step in borders.runs(table, before, x.shape[axis]):
                last = element + (length - 1) * step
                piece = np.s_[(slice(None),) * own + (slice(min(element, last), max(element, last) + 1),)]
                pieces[place - before] = _turned(array[piece], own, step)
            array = concatenate([pieces[place] for place in sorted(pieces)], own)
        return array

    for name in ("x", "where", "weights"):
        if isinstance(words.get(name), np.ndarray | Array):
            words[name] = spread(words[name])
    for name in ("window", "stride", "padding", "dilation"):
        words[name] = [getattr(own, name) for own in extended]
    words["axes"] = [own.axis for own in extended]
    del words["border"], words["footprint"]
    return call(function, words)


def _turned(array: Any, axis: int, step: int) -> Any:
    """An array, from its end on along an axis where the step is negative."""
    return array[(slice(None),) * axis + (slice(None, None, step),)]


def _parts() -> Parts:
    """How several quantiles become one array, and their gradients one."""
    import dask.array as da  # noqa: PLC0415 - an extra

    return Parts(da.stack, _rows, _added)


def _rows(gy: Any, count: int) -> list[Any]:
    blocks.check_kind("gy", gy)
    check_rows(gy, count)
    return [gy[number] for number in range(count)]


def _added(gradients: list[Any]) -> Any:
    """The sum, of 16 bits in float32."""
    first, *others = (each.astype(np.result_type(np.float32, each.dtype)) for each in gradients)
    return sum(others, start=first).astype(gradients[0].dtype)


# Arguments -----------------------------------------------------------------------------------------------


def _refuse_out(out: Any) -> None:
    if out is not None:
        raise TypeError("out must be None for dask arrays, whose results are lazy: use dask.array.store")


def _call(form: str, x: Any, arguments: tuple[Any, ...], op_params: dict[str, Any]) -> Call:
    """The checked call; a random seed is drawn now, so that every task, and the way back, has the same."""
    given = dict(op_params)
    if arguments[0] == "stochastic" and given.get("training", True) is True:
        given["rng"] = random.Draws(*random.seed_of(given.get("rng")))
    return Call(form, x.shape, x.dtype, (*arguments, given))


def _with_missing(
    x: Any, call: Call, absent: tuple[Any, ...], given: dict[str, Any], dtype: Any
) -> tuple[Call, Beside]:
    """The call with what it says of missing data, checked as far as that can be."""
    job, stand_in = call.job(), blocks.stand_in(x)
    where, weights = (_in_memory(name, each, x.shape) for name, each in given.items())
    known = asked(job.operator, stand_in, (where, *absent), weights, call.arguments[-1])
    if known is None:
        return call, Beside()
    check_least(known, missing_jobs.largest(job))
    target = cells.result_dtype(job, stand_in.dtype, dtype, weighed=weights is not None)
    fill_value(known, job.operator, target)
    spread = {name: blocks.spread(each, x.shape) for name, each in given.items() if each is not None}
    if "weights" in spread:
        spread |= {"weights": spread["weights"].astype(np.float64), "given": given["weights"]}
    return replace(call, absent=absent), Beside(**spread, known=known)


def _in_memory(name: str, value: Any, shape: tuple[int, ...]) -> Any:
    """What stands for an array of dask in checks: one of its dtype, of one element."""
    from dask.array import Array  # noqa: PLC0415 - an extra

    if not isinstance(value, Array):
        return value
    blocks.check_kind(name, value)
    arrays.spread_to(blocks.stand_in(value), shape, name)
    return np.ones((1,) * value.ndim, value.dtype.newbyteorder("="))


def _without_kept(job: Job, y: Any) -> Any:
    """Without the pooled axes, where the form gives none."""
    return y if len(job.shape) == y.ndim else y.squeeze(job.geometry.axes)


# Forward -------------------------------------------------------------------------------------------------


def _forward(x: Any, call: Call, beside: Beside, return_indices: object = False, dtype: Any = None) -> Any:
    job = call.job()
    indexed = jobs.wants_indices(job.operator, return_indices)
    source = call.dtype.newbyteorder("=")
    weighed = beside.weights is not None
    target = cells.result_dtype(job, source, dtype, weighed=weighed)
    tape = jobs.tape_for(job.operator)
    if tape is not None:
        tape.append(partial(_pull, x, call, beside))
    missing = call.absent is not None
    if not indexed and reductions.fits(job, source, target, missing=missing, weighed=weighed):
        return _without_kept(job, reductions.reduce(x, beside, job, call.arguments[-1], target))
    along = _cuts(job, x, cuts.forward)
    others = beside.arrays()
    read = [blocks.shared(each, along) for each in (x, *others.values())]
    reads = tuple(each.reads for each in along)
    compute = partial(_task, call=call, reads=reads, names=tuple(others), indexed=indexed, dtype=target)
    chunks = tuple(each.output_chunks for each in along)
    made: dict[str, Any] = {"name": f"{job.operator.name}-pool", "chunks": chunks, "kind": x}
    if not indexed:
        return _without_kept(job, blocks.mapped(compute, *read, **made, dtype=target))
    pairs = blocks.mapped(compute, *read, **made, dtype=object)
    found = zip(("values", "indices"), (target, jobs.index_dtype(job.geometry)), strict=True)
    return tuple(
        _without_kept(
            job, blocks.mapped(itemgetter(n), pairs, name=name, chunks=chunks, kind=x, dtype=np.dtype(kind))
        )
        for n, (name, kind) in enumerate(found)
    )


def _cuts(job: Job, x: Any, cut: Callable[..., Cut]) -> tuple[Cut, ...]:
    tables = dict(zip(job.geometry.axes, job.geometry.tables, strict=True))
    return tuple(
        cut(tables[axis], chunks) if axis in tables else cuts.plain(chunks)
        for axis, chunks in enumerate(x.chunks)
    )


def _task(
    block: Any,
    *others: Any,
    call: Call,
    reads: Sequence[Range],
    names: Sequence[str],
    indexed: bool,
    dtype: Any,
    block_info: Any,
) -> Any:
    begins, outputs = blocks.begins(block_info[0], reads), blocks.ranges(block_info[None])
    beside = dict(zip(names, others, strict=True))
    return parts.forward(call, block, begins, outputs, indexed=indexed, dtype=dtype, beside=beside)


# Backward ------------------------------------------------------------------------------------------------


def _pull(x: Any, call: Call, beside: Beside, gy: Any, *, params: bool = False) -> Any:
    """The way back of a call that `vjp` recorded; see `jobs.pull`."""
    blocks.check_kind("gy", gy)
    gx = _backward(x, call, beside, gy, None)
    return (gx, _slopes(x, call, beside, gy)) if checks.boolean("params", params) else gx


def _backward(x: Any, call: Call, beside: Beside, gy: Any, indices: Any, of: str = "x") -> Any:
    job = call.job()
    jobs.check_has_gradient(job.operator)
    _check_gradient(job, gy)
    gy = _with_kept(job, gy)
    if indices is not None:
        _check_indices(job, indices)
    elif parts.draws(job):  # the same draws again
        with jobs.unrecorded():
            indices = _forward(x, call, beside, True)[1]
    spread = job.operator.backward == "spread"
    if spread and reductions.whole(job):
        return reductions.gradient(x, beside, job, gy, of)
    spread &= call.absent is None  # else what is missing is found anew
    along = _cuts(job, x, cuts.backward)
    outputs = {"gy": gy} | ({} if indices is None else {"indices": _with_kept(job, indices)})
    inputs = ({} if spread else {"block": x}) | beside.arrays()
    read = {name: blocks.shared_outputs(array, along) for name, array in outputs.items()}
    read |= {name: blocks.shared(array, along) for name, array in inputs.items()}
    around = tuple(each.uses for each in along), tuple(each.reads for each in along)
    compute = partial(_back_task, call=call, around=around, names=tuple(read), of=of)
    dtype = parts.gradient_dtype(call.dtype, gy.dtype) if of == "x" else np.dtype(np.float64)
    chunks = tuple(each.chunks for each in along)
    # Blocks with neighbours' parts differ in length from array to array: only their number is the same.
    name = f"{job.operator.name}-pool-backward"
    return blocks.mapped(compute, *read.values(), name=name, chunks=chunks, kind=gy, dtype=dtype)


def _back_task(*read: Any, call: Call, around: Any, names: Sequence[str], of: str, block_info: Any) -> Any:
    given = {"gy": None, "block": None, "indices": None} | dict(zip(names, read, strict=True))
    beside = {name: given.pop(name) for name in ("where", "weights") if name in given}
    uses, reads = around
    first = blocks.begins(block_info[names.index("block")], reads) if "block" in names else []
    begins = blocks.begins(block_info[0], uses), first
    inputs = blocks.ranges(block_info[None])
    return parts.backward(call, **given, begins=begins, inputs=inputs, beside=beside, of=of)


def _slopes(x: Any, call: Call, beside: Beside, gy: Any) -> dict[str, Any]:
    """The gradient for each of the operator's parameters: a sum over blocks."""
    job = call.job()
    if beside.weights is not None:
        return {"weights": _slope_of_weights(x, call, beside, gy)}
    along = _cuts(job, x, cuts.forward)
    read = [blocks.shared(each, along) for each in (x, *beside.arrays().values())]
    g = _with_kept(job, gy).rechunk(tuple(each.output_chunks for each in along))
    chunks = tuple((1,) * len(each.output_chunks) for each in along)
    reads = tuple(each.reads for each in along)
    slopes = {}
    for parameter in job.operator.params:
        if parameter.slope is not None:
            task = partial(_slope_task, call=call, reads=reads, parameter=parameter.name)
            each = blocks.mapped(
                task,
                g,
                *read,
                name=f"slope-{parameter.name}",
                chunks=chunks,
                kind=np.empty(0),
                dtype=np.float64,
            )
            slopes[parameter.name] = each.sum()
    return slopes


def _slope_task(
    gy: Any,
    block: Any,
    where: Any = None,
    *,
    call: Call,
    reads: Sequence[Range],
    parameter: str,
    block_info: Any,
) -> Any:
    begins = blocks.begins(block_info[1], reads)
    slope = parts.slope(call, parameter, gy, block, begins, blocks.ranges(block_info[0]), where)
    return np.full((1,) * gy.ndim, slope)


def _slope_of_weights(x: Any, call: Call, beside: Beside, gy: Any) -> Any:
    """The gradient for weights: of each element, added up where one weight served several."""
    given = beside.given
    each = _backward(x, call, beside, gy, None, of="weights")
    lengths = (1,) * (x.ndim - given.ndim) + given.shape
    axes = tuple(axis for axis, n in enumerate(lengths) if n == 1 and x.shape[axis] != 1)
    total = each.sum(axis=axes, keepdims=True) if axes else each
    return total.reshape(given.shape).astype(missing_jobs.floating_of(given))


def _with_kept(job: Job, gy: Any) -> Any:
    return gy if gy.ndim == len(job.geometry.output_shape) else gy.reshape(job.geometry.output_shape)


def _check_gradient(job: Job, gy: Any) -> None:
    jobs.checked_gradient(blocks.stand_in(gy), job.shape)


def _check_indices(job: Job, indices: Any) -> None:
    jobs.check_chooses("indices are", job.operator)
    if indices.dtype.name not in arrays.INTEGERS:
        raise TypeError(f"indices must be integers, got {indices.dtype}")
    if indices.shape != job.shape:
        raise ValueError(f"indices must have the shape {job.shape}, got {indices.shape}")
