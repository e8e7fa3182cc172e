"""Pooling of dask arrays: the public functions, lazily, block by block.

A block of outputs is one task that reads one block of inputs. Where windows reach over the edge of a chunk,
dask's own `overlap` brings the rows that are missing, and no others; chunks that are smaller than that are
joined first. What a task computes is in `parts`, where the blocks are cut in `cuts`, and how operators
reduce whole axes chunk by chunk in `reductions`.

Everything is checked when the graph is made, before any task runs. Tasks use one thread each, since dask
runs one task a core. Nothing of dask is imported before a dask array arrives.
"""

from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from operator import itemgetter
from typing import Any

import numpy as np

from .. import arrays, checks, jobs, random
from ..jobs import Job
from . import cuts, parts, reductions
from .cuts import Cut, Range
from .parts import Call

SLIDING = "sliding", ("op", "window", "stride", "padding", "dilation", "ceil_mode", "axes")
ADAPTIVE = "adaptive", ("op", "output_size", "axes")
WHOLE = "whole", ("op", "axes", "keepdims")

# Of a public function, the form in `jobs` and its arguments.
FUNCTIONS = {
    "pool": SLIDING,
    "adaptive_pool": ADAPTIVE,
    "global_pool": WHOLE,
    "pool_backward": SLIDING,
    "adaptive_pool_backward": ADAPTIVE,
    "global_pool_backward": WHOLE,
}


def call(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    """What a public function gives for dask arrays.

    Raises
    ------
    TypeError
        For functions other than those of sliding, adaptive and global windows, and for arrays of two kinds.
    ValueError
        For unknown chunk sizes, and whatever the function itself refuses.
    """
    name = function.__name__
    if name not in FUNCTIONS:
        raise TypeError(f"{name} takes no dask arrays; functions that do: {', '.join(FUNCTIONS)}")
    _refuse_out(given.get("out"))
    for argument in ("gy", "x", "indices"):
        if given.get(argument) is not None or (argument in ("gy", "x") and argument in given):
            _check_kind(argument, given[argument])
    bound = signature(function).bind(**given)
    bound.apply_defaults()
    taken, (form, names) = bound.arguments, FUNCTIONS[name]
    x, made = taken["x"], _call(form, taken["x"], tuple(taken[each] for each in names), taken["op_params"])
    if "gy" in taken:
        return _backward(x, made, taken["gy"], taken["indices"])
    return _forward(x, made, taken.get("return_indices", False), taken.get("dtype"))


# Arguments -----------------------------------------------------------------------------------------------


def _check_kind(argument: str, array: Any) -> None:
    from dask.array import Array  # noqa: PLC0415 - an extra

    if not isinstance(array, Array):
        kind = f"{type(array).__module__}.{type(array).__qualname__}"
        raise TypeError(f"the arrays of a call must all be dask.array.Array, got {argument} of {kind}")
    if any(np.isnan(n) for chunks in array.chunks for n in chunks):
        raise ValueError(
            f"{argument} must have known chunk sizes, got {array.chunks}: "
            f"call {argument}.compute_chunk_sizes() first"
        )


def _refuse_out(out: Any) -> None:
    if out is not None:
        raise TypeError("out must be None for dask arrays, whose results are lazy: use dask.array.store")


def _call(form: str, x: Any, arguments: tuple[Any, ...], op_params: dict[str, Any]) -> Call:
    """The checked call; a random seed is drawn now, so that every task, and the way back, has the same."""
    given = dict(op_params)
    if arguments[0] == "stochastic" and given.get("training", True) is True:
        given["rng"] = random.Draws(*random.seed_of(given.get("rng")))
    return Call(form, x.shape, x.dtype, (*arguments, given))


def _like(x: Any, ndim: int, dtype: Any) -> Any:
    """An empty array of the kind that the blocks of `x`, or an array itself, are."""
    return np.empty_like(getattr(x, "_meta", x), shape=(0,) * ndim, dtype=dtype)


def _without_kept(job: Job, y: Any) -> Any:
    """Without the pooled axes, where the form gives none."""
    return y if len(job.shape) == y.ndim else y.squeeze(job.geometry.axes)


# Forward -------------------------------------------------------------------------------------------------


def _forward(x: Any, call: Call, return_indices: object = False, dtype: Any = None) -> Any:
    job = call.job()
    indexed = jobs.wants_indices(job.operator, return_indices)
    source = call.dtype.newbyteorder("=")
    target = arrays.result_dtype(job.operator, source, dtype)
    tape = jobs.tape_for(job.operator)
    if tape is not None:
        tape.append(partial(_pull, x, call))
    if not indexed and reductions.fits(job, source):
        y = reductions.reduce(x, job, call.arguments[-1], target)
        return _without_kept(job, y)
    along = _cuts(job, x, cuts.forward)
    blocks = _shared(x, along)
    reads = tuple(each.reads for each in along)
    compute = partial(_task, call=call, reads=reads, indexed=indexed, dtype=target)
    chunks = tuple(each.output_chunks for each in along)
    if not indexed:
        return _without_kept(
            job,
            _mapped(compute, blocks, name=f"{job.operator.name}-pool", chunks=chunks, like=x, dtype=target),
        )
    pairs = _mapped(compute, blocks, name=f"{job.operator.name}-pool", chunks=chunks, like=x, dtype=object)
    found = zip(("values", "indices"), (target, jobs.index_dtype(job.geometry)), strict=True)
    return tuple(
        _without_kept(
            job, _mapped(itemgetter(n), pairs, name=name, chunks=chunks, like=x, dtype=np.dtype(kind))
        )
        for n, (name, kind) in enumerate(found)
    )


def _cuts(job: Job, x: Any, cut: Callable[..., Cut]) -> tuple[Cut, ...]:
    tables = dict(zip(job.geometry.axes, job.geometry.tables, strict=True))
    return tuple(
        cut(tables[axis], chunks) if axis in tables else cuts.plain(chunks)
        for axis, chunks in enumerate(x.chunks)
    )


def _shared(x: Any, along: Sequence[Cut]) -> Any:
    """The array in the cuts' blocks, each with what it reads of its neighbours."""
    return _overlapped(x.rechunk(tuple(each.chunks for each in along)), [each.reads for each in along])


def _overlapped(x: Any, around: Sequence[tuple[int, int]]) -> Any:
    from dask.array.overlap import overlap  # noqa: PLC0415 - an extra

    if not any(map(any, around)):
        return x
    depth = dict(enumerate(around))
    return overlap(x, depth=depth, boundary=dict.fromkeys(depth, "none"), allow_rechunk=False)


def _mapped(function: Any, *blocks: Any, name: str, chunks: Any, like: Any, dtype: Any) -> Any:
    """A task a block."""
    import dask.array as da  # noqa: PLC0415 - an extra

    meta = _like(like, len(chunks), dtype)
    return da.map_blocks(function, *blocks, name=None, token=name, chunks=chunks, dtype=dtype, meta=meta)


def _task(
    block: Any, *, call: Call, reads: Sequence[Range], indexed: bool, dtype: Any, block_info: Any
) -> Any:
    begins = _begins(block_info[0], reads)
    return parts.forward(call, block, begins, _ranges(block_info[None]), indexed=indexed, dtype=dtype)


def _ranges(place: Any) -> list[Range]:
    """Where a block lies, by dask's account of it."""
    return [(int(first), int(last)) for first, last in place["array-location"]]


def _begins(place: Any, around: Sequence[Range]) -> list[int]:
    """Where a block with parts of its neighbours begins; dask counts those parts, of all blocks before."""
    located = zip(_ranges(place), place["chunk-location"], around, strict=True)
    return [first - int(block) * (before + after) for (first, _), block, (before, after) in located]


# Backward ------------------------------------------------------------------------------------------------


def _pull(x: Any, call: Call, gy: Any, *, params: bool = False) -> Any:
    """The way back of a call that `vjp` recorded; see `jobs.pull`."""
    _check_kind("gy", gy)
    gx = _backward(x, call, gy, None)
    return (gx, _slopes(x, call, gy)) if checks.boolean("params", params) else gx


def _backward(x: Any, call: Call, gy: Any, indices: Any) -> Any:
    job = call.job()
    jobs.check_has_gradient(job.operator)
    _check_gradient(job, gy)
    gy = _with_kept(job, gy)
    if indices is not None:
        _check_indices(job, indices)
    elif parts.draws(job):  # the same draws again
        indices = _forward(x, call, True)[1]
    spread = job.operator.backward == "spread"
    if spread and reductions.whole(job):
        return _spread_over_whole(x, job, gy)
    along = _cuts(job, x, cuts.backward)
    given = {"gy": gy, "block": None if spread else x, "indices": indices}
    blocks = {
        name: _shared(array, along) if name == "block" else _shared_outputs(_with_kept(job, array), along)
        for name, array in given.items()
        if array is not None
    }
    around = tuple(each.uses for each in along), tuple(each.reads for each in along)
    compute = partial(_back_task, call=call, around=around, names=tuple(blocks))
    dtype = parts.gradient_dtype(call.dtype, gy.dtype)
    chunks = tuple(each.chunks for each in along)
    # Blocks with neighbours' parts differ in length from array to array: only their number is the same.
    name = f"{job.operator.name}-pool-backward"
    return _mapped(compute, *blocks.values(), name=name, chunks=chunks, like=gy, dtype=dtype)


def _shared_outputs(gy: Any, along: Sequence[Cut]) -> Any:
    return _overlapped(gy.rechunk(tuple(each.output_chunks for each in along)), [each.uses for each in along])


def _back_task(*blocks: Any, call: Call, around: Any, names: Sequence[str], block_info: Any) -> Any:
    given = {"gy": None, "block": None, "indices": None} | dict(zip(names, blocks, strict=True))
    uses, reads = around
    read = _begins(block_info[names.index("block")], reads) if "block" in names else []
    begins = _begins(block_info[0], uses), read
    return parts.backward(call, **given, begins=begins, inputs=_ranges(block_info[None]))


def _spread_over_whole(x: Any, job: Job, gy: Any) -> Any:
    """Each element's equal share of the gradient for the one window."""
    import dask.array as da  # noqa: PLC0415 - an extra

    dtype = parts.gradient_dtype(x.dtype, gy.dtype)
    share = (
        gy.astype(dtype) / np.array(reductions.divisor(job), dtype)
        if job.operator.averages
        else gy.astype(dtype)
    )
    pooled = job.geometry.axes
    share = share.rechunk(tuple((1,) if axis in pooled else own for axis, own in enumerate(x.chunks)))
    return da.broadcast_to(share, x.shape, chunks=x.chunks)


def _slopes(x: Any, call: Call, gy: Any) -> dict[str, Any]:
    """The gradient for each of the operator's parameters: a sum over blocks."""
    job = call.job()
    along = _cuts(job, x, cuts.forward)
    blocks = _shared(x, along)
    g = _with_kept(job, gy).rechunk(tuple(each.output_chunks for each in along))
    chunks = tuple((1,) * len(each.output_chunks) for each in along)
    reads = tuple(each.reads for each in along)
    slopes = {}
    for parameter in job.operator.params:
        if parameter.slope is not None:
            task = partial(_slope_task, call=call, reads=reads, parameter=parameter.name)
            each = _mapped(
                task,
                g,
                blocks,
                name=f"slope-{parameter.name}",
                chunks=chunks,
                like=np.empty(0),
                dtype=np.float64,
            )
            slopes[parameter.name] = each.sum()
    return slopes


def _slope_task(
    gy: Any, block: Any, *, call: Call, reads: Sequence[Range], parameter: str, block_info: Any
) -> Any:
    begins = _begins(block_info[1], reads)
    slope = parts.slope(call, parameter, gy, block, begins, _ranges(block_info[0]))
    return np.full((1,) * gy.ndim, slope)


def _with_kept(job: Job, gy: Any) -> Any:
    return gy if gy.ndim == len(job.geometry.output_shape) else gy.reshape(job.geometry.output_shape)


def _check_gradient(job: Job, gy: Any) -> None:
    jobs.checked_gradient(_stand_in(gy), job.shape)


def _check_indices(job: Job, indices: Any) -> None:
    jobs.check_chooses("indices are", job.operator)
    if indices.dtype.name not in arrays.INTEGERS:
        raise TypeError(f"indices must be integers, got {indices.dtype}")
    if indices.shape != job.shape:
        raise ValueError(f"indices must have the shape {job.shape}, got {indices.shape}")


def _stand_in(array: Any) -> Any:
    """An array of the same shape and dtype, of no memory."""
    return np.broadcast_to(np.zeros((), array.dtype.newbyteorder("=")), array.shape)
