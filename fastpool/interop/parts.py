"""A part of a pooling call: the windows of a block of outputs, and the block of inputs that they read.

A call on an array that is in no memory is kept as its arguments (`Call`); whoever holds a block of the
array computes the outputs that lie in it. Windows that the block's edges cut are not approximated: a part has
the rows of the whole call's tables (`fastpool.windows`), moved to where the block begins, so that padding,
overhang, dilation and divisors are those of the whole call.
"""

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from .. import arrays, checks, forms, jobs, missing, missing_jobs, random, threads, windows
from ..arrays import Array
from ..jobs import Job
from ..kinds import any_kind
from ..missing import Missing
from ..windows import Axis, Geometry
from . import cells, cuts
from .cells import WeightedJob
from .cuts import Range


def _mosaic(x: object, op: object, cell: Any, axes: Any, op_params: dict[str, Any]) -> tuple[Array, Job]:
    """The input and the job that pools the cells of a mosaic."""
    return forms.cells(x, cell, op, axes, op_params)[:2]


FORMS: dict[str, Callable[..., tuple[Array, Job]]] = {
    "sliding": jobs.sliding,
    "adaptive": jobs.adaptive,
    "whole": jobs.whole,
    "area": cells.area_job,
    "blur": cells.blur_job,
    "mosaic": _mosaic,
}


ABSENT = "skipna", "nodata", "min_count", "fill"  # what a call says of missing data, beside arrays


@dataclass(frozen=True)
class Call:
    """The arguments of a call, small enough to travel with each task.

    Attributes
    ----------
    form : str
        One of `FORMS`.
    shape : tuple of int
        Of the whole input.
    dtype : dtype
        Of the input.
    arguments : tuple
        Those of the form's function, after the array.
    absent : tuple or None
        Its arguments `ABSENT`; None where all elements take part.
    """

    form: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    arguments: tuple[Any, ...]
    absent: tuple[Any, ...] | None = None

    def job(self) -> Job:
        """The job of the whole call; its errors are those of the call on an array in memory."""
        return _job(pickle.dumps(self))


@lru_cache(maxsize=64)
def _job(pickled: bytes) -> Job:
    """The job of a call, built once a process: tables of long axes take longer than a small block."""
    call: Call = pickle.loads(pickled)
    stand_in = np.broadcast_to(np.zeros((), call.dtype.newbyteorder("=")), call.shape)
    job: Job = FORMS[call.form](stand_in, *call.arguments)[1]
    return job


@dataclass(frozen=True)
class Part:
    """The job of a block of outputs.

    Attributes
    ----------
    job : Job
        Over an input that holds what the outputs' windows cover, and no more on pooled axes.
    reads : tuple of (first, last)
        Which elements of the whole input those are, an axis.
    """

    job: Job
    reads: tuple[Range, ...]


def part_of(job: Job, outputs: Sequence[Range]) -> Part:
    """The part of a job whose outputs are in a range ``(first, last)`` of each axis of the result."""
    geometry = job.geometry
    reads = list(outputs)
    shape = [last - first for first, last in outputs]
    tables, divisors = [], []
    for axis, table, factor in zip(geometry.axes, geometry.tables, job.divisors, strict=True):
        first, last = outputs[axis]
        start, own = _rows(table, first, last)
        reads[axis] = (start, start + own.size)
        shape[axis] = own.size
        tables.append(own)
        divisors.append(table.spread(factor, first, last))
    own_geometry = Geometry(tuple(shape), geometry.axes, tuple(tables))
    kept = own_geometry.output_shape
    part = Job(job.operator, own_geometry, tuple(divisors), _drawing(job, outputs), kept)
    if isinstance(job, WeightedJob):
        part = job.of_part(part, outputs)
    return Part(part, tuple(reads))


def _rows(table: Axis, first: int, last: int) -> tuple[int, Axis]:
    """Where the windows `first` to `last` of a table begin, and their own table from there."""
    lo, count, extent = table.at(first, last)
    start = int(lo.min())
    stop = int((lo + (count - 1) * table.step).max()) + 1
    regular = None
    if table.regular:
        window, stride, before = table.regular
        regular = (window, stride, start - (first * stride - before))
    return start, windows.table(stop - start, lo - start, count, extent, table.step, regular)


def draws(job: Job) -> bool:
    """Whether an operator draws at random, by the flat position of each output."""
    return job.operator.testing is not None


def _drawing(job: Job, outputs: Sequence[Range]) -> Any:
    """The operator's parameters; of one that draws, counted from the part's first output on."""
    if not draws(job):
        return job.params
    seed, start = (int(job.params[n]) + (int(job.params[n + 1]) << 32) for n in (0, 2))
    position = 0
    for (first, _), n in zip(outputs, job.geometry.output_shape, strict=True):
        position = position * n + first
    given = {"rng": random.Draws(seed, start + position)}
    return np.array(checks.parameters(job.operator, given, np.dtype(np.float64)))


def missing_of(
    call: Call, part: Job, x: Array, where: Any, weights: Any, outputs: Sequence[Range]
) -> Missing | None:
    """What the call says of missing data, for a block and the blocks that lie beside it."""
    if call.absent is None:
        return None
    found = missing.asked(part.operator, x, (where, *call.absent), weights, call.arguments[-1])
    if found is None:
        return None
    begins = tuple(first for first, _ in outputs)
    return found._replace(whole=missing.Whole(missing_jobs.largest(call.job()), begins))


def runs(job: Job, outputs: Sequence[Range]) -> Iterator[tuple[Range, ...]]:
    """The block of outputs; of an operator that draws, in pieces whose flat positions are consecutive."""
    lengths = job.geometry.output_shape
    partial = [axis for axis, (first, last) in enumerate(outputs) if last - first < lengths[axis]]
    if not draws(job) or not partial:
        yield tuple(outputs)
        return
    outer, inner = outputs[: partial[-1]], outputs[partial[-1] :]
    for index in product(*(range(*each) for each in outer)):
        yield (*((i, i + 1) for i in index), *inner)


# What tasks compute, on one thread: whoever cuts arrays into blocks runs several tasks ----------------------


def forward(
    call: Call,
    block: Any,
    begins: Sequence[int],
    outputs: Sequence[Range],
    *,
    indexed: bool,
    dtype: Any,
    beside: Mapping[str, Any] | None = None,
) -> Any:
    """The outputs of a range, as an array, or as a pair with their indices in the whole input.

    Parameters
    ----------
    block : array
        What their windows cover, at least.
    begins : sequence of int
        Where in the whole input the block begins.
    beside : dict, optional
        The blocks of `where` and `weights`, as `block`.
    """
    job = call.job()
    pieces = list(runs(job, outputs))
    blocks = {"x": block, **(beside or {})}
    results = [_forward_piece(call, blocks, begins, piece, indexed, dtype) for piece in pieces]
    if len(pieces) == 1:
        return results[0]
    if not indexed:
        return _joined(pieces, outputs, results)
    ys, indices = zip(*results, strict=True)
    return _joined(pieces, outputs, ys), _joined(pieces, outputs, indices)


def _forward_piece(
    call: Call,
    blocks: Mapping[str, Any],
    begins: Sequence[int],
    outputs: Sequence[Range],
    indexed: bool,
    dtype: Any,
) -> Any:
    job = call.job()
    part = part_of(job, outputs)
    read = {name: cut(block, begins, part.reads) for name, block in blocks.items()}
    with threads.alone():
        result = _run(
            read["x"],
            part.job,
            where=read.get("where"),
            weights=read.get("weights"),
            call=call,
            outputs=outputs,
            indexed=indexed,
            dtype=dtype,
        )
    if not indexed:
        return result
    y, indices = result
    starts = [part.reads[axis][0] for axis in job.geometry.axes]
    moved = _moved(indices, part.job.geometry.plane, job.geometry.plane, starts)
    return y, moved.astype(jobs.index_dtype(job.geometry))


@any_kind
def _run(
    x: Any,
    job: Job,
    *,
    where: Any,
    weights: Any,
    call: Call,
    outputs: Sequence[Range],
    indexed: bool,
    dtype: Any,
) -> Any:
    array = arrays.take("x", x)
    known = missing_of(call, job, array, where, weights, outputs)
    if isinstance(job, WeightedJob):
        return cells.forward(job, array, known, dtype)
    return missing_jobs.forward(job, array, known, return_indices=indexed, dtype=dtype)


def _joined(pieces: Sequence[Sequence[Range]], outputs: Sequence[Range], results: Sequence[Any]) -> Any:
    begins = [first for first, _ in outputs]
    whole = np.empty_like(results[0], shape=[last - first for first, last in outputs])
    for piece, result in zip(pieces, results, strict=True):
        whole[slices(piece, begins)] = result
    return whole


def backward(
    call: Call,
    gy: Any,
    block: Any,
    indices: Any,
    begins: tuple[Sequence[int], Sequence[int]],
    inputs: Sequence[Range],
    *,
    beside: Mapping[str, Any] | None = None,
    of: str = "x",
) -> Any:
    """The gradient for the inputs of a range.

    Parameters
    ----------
    gy : array
        Gradients for the outputs whose windows cover the inputs, at least.
    block : array or None
        What these windows cover, at least; None for operators whose gradient does not depend on it.
    indices : array or None
        As `gy`, of the chosen elements in the whole input.
    begins : pair of sequences
        Where in the whole result `gy` begins, and where in the whole input the block.
    inputs : sequence of (first, last)
        Of each axis.
    beside : dict, optional
        The blocks of `where` and `weights`, as `block`.
    of : {"x", "weights"}
        Whose gradient; that of weights in float64.
    """
    job = call.job()
    shape = [last - first for first, last in inputs]
    floating = gradient_dtype(call.dtype, gy.dtype) if of == "x" else np.float64
    gx = np.zeros_like(gy, shape=shape, dtype=floating)
    outputs = list(inputs)
    for axis, table in zip(job.geometry.axes, job.geometry.inverse().tables, strict=True):
        outputs[axis] = cuts.covering(table, *inputs[axis])
    if any(first >= last for first, last in (*outputs, *inputs)):
        return gx
    part = part_of(job, outputs)
    x = None if block is None else cut(block, begins[1], part.reads)
    if indices is not None:
        indices = _own_indices(job, part, cut(indices, begins[0], outputs))
    with threads.alone():
        around = {name: cut(each, begins[1], part.reads) for name, each in (beside or {}).items()}
        found = _pull(
            cut(gy, begins[0], outputs),
            x,
            indices,
            part.job,
            where=around.get("where"),
            weights=around.get("weights"),
            call=call,
            outputs=outputs,
            of=of,
        )
    common = [(max(a, c), min(b, d)) for (a, b), (c, d) in zip(inputs, part.reads, strict=True)]
    if all(first < last for first, last in common):
        gx[slices(common, [first for first, _ in inputs])] = cut(
            found, [first for first, _ in part.reads], common
        )
    return gx


@any_kind
def _pull(
    gy: Any,
    x: Any,
    indices: Any,
    job: Job,
    *,
    where: Any,
    weights: Any,
    call: Call,
    outputs: Sequence[Range],
    of: str,
) -> Any:
    g = arrays.take("gy", gy)
    # Never read: memory that is not touched costs nothing.
    array = arrays.empty(job.geometry.shape, call.dtype, g) if x is None else arrays.take("x", x)
    known = missing_of(call, job, array, where, weights, outputs)
    if isinstance(job, WeightedJob):
        return cells.backward(job, g, array, known, of)
    if of == "x":
        return missing_jobs.backward(job, g, array, known, indices)
    return missing_jobs.pull(job, jobs.Kept.of(array), known, None, g, params=True)[1][of]


def slope(
    call: Call,
    name: str,
    gy: Any,
    block: Any,
    begins: Sequence[int],
    outputs: Sequence[Range],
    where: Any = None,
) -> float:
    """What a block of outputs adds to the gradient for an operator's parameter."""
    part = part_of(call.job(), outputs)
    listed = None if where is None else cut(where, begins, part.reads)
    with threads.alone():
        read = cut(block, begins, part.reads)
        return float(_slope(gy, read, part.job, name, where=listed, call=call, outputs=outputs))


@any_kind
def _slope(gy: Any, x: Any, job: Job, name: str, *, where: Any, call: Call, outputs: Sequence[Range]) -> Any:
    g, array = arrays.take("gy", gy), arrays.take("x", x)
    known = missing_of(call, job, array, where, None, outputs)
    if known is None:
        return arrays.to_host(jobs.slopes(job, g, array)[name])
    return arrays.to_host(missing_jobs.pull(job, jobs.Kept.of(array), known, None, g, params=True)[1][name])


def gradient_dtype(x: np.dtype[Any], gy: np.dtype[Any]) -> np.dtype[Any]:
    """That of `x` where it is a float, else of `gy`, else float64."""
    return next((dtype for dtype in (x, gy) if arrays.is_float(dtype)), np.dtype(np.float64)).newbyteorder(
        "="
    )


# Positions -----------------------------------------------------------------------------------------------


def cut(block: Any, begins: Sequence[int], ranges: Sequence[Range]) -> Any:
    """The elements of a block in ranges of the whole array, where the block begins at `begins`."""
    return block[slices(ranges, begins)]


def slices(ranges: Sequence[Range], begins: Sequence[int]) -> tuple[slice, ...]:
    """Ranges of a whole array as slices of a block."""
    return tuple(slice(first - b, last - b) for (first, last), b in zip(ranges, begins, strict=True))


def _moved(flat: Any, source: Sequence[int], target: Sequence[int], offsets: Sequence[int]) -> Any:
    """Flat positions of one plane as those of another, in which the first begins at `offsets`.

    A position that the other plane does not have becomes -1. Operators alone, which arrays on GPUs have too.
    """
    if tuple(source) == tuple(target):
        return flat
    rest = flat.astype(np.int64)
    total, outside, unit = rest * 0, rest < 0, 1
    for own, n, offset in reversed(list(zip(source, target, offsets, strict=True))):
        place = rest % own + offset
        outside = outside | (place < 0) | (place >= n)
        total = total + place * unit
        rest, unit = rest // own, unit * n
    outside = outside | (rest > 0)
    return total * ~outside - outside


def _own_indices(job: Job, part: Part, indices: Any) -> Any:
    starts = [-part.reads[axis][0] for axis in job.geometry.axes]
    return _moved(indices, job.geometry.plane, part.job.geometry.plane, starts)
