"""Forms beyond sliding, adaptive and global windows: fractional, pyramid, regions of interest, mosaic."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from . import arrays, checks, fractional, jobs, missing_jobs, planes, random, regions
from .api import sum_pool
from .arrays import Array
from .gradients import vjp
from .jobs import Job, Kept
from .kinds import any_kind
from .missing import Missing, asked
from .operators import Operator
from .planes import PlaneJob
from .windows import PlaneWindows

CHOOSING, PLACES = 0, 1  # streams of random numbers: of operators, and of windows, where an axis has its own


@any_kind
def fractional_pool(
    x: Any,
    op: str,
    output_size: Any = None,
    *,
    ratio: Any = None,
    window: Any = None,
    scheme: str = "torch",
    overlapping: bool = False,
    rng: Any = None,
    samples: Any = None,
    axes: Any = None,
    where: Any = None,
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    return_indices: bool = False,
    out: Any = None,
    **op_params: Any,
) -> Any:
    """Reduce windows at random places whose average distance is a fraction (Graham 2014, arXiv 1412.6071).

    ``scheme="torch"``: windows of one length, at ``int((i + u) a) - int(u a)`` with
    ``a = (n - window) / (outputs - 1)``, and a `u` of its own for each plane and axis, as in PyTorch.
    ``"random"`` and ``"pseudo"``: adjacent windows of ``n // outputs`` elements and one or two more, in
    random order or shifted by one random number, the same for all planes, as in TensorFlow.

    Parameters
    ----------
    x : ndarray
        As in `pool`.
    op : str
        An operator's name, as in `pool`.
    output_size : int or sequence of int, optional
        Windows on each pooled axis. A sequence pools the last axes, an int every axis after the first two of
        four and more.
    ratio : float or sequence of float, optional
        In place of `output_size`. ``"torch"``: ``floor(n ratio)`` windows, with a ratio below 1; else
        ``floor(n / ratio)``, with a ratio of at least 1.
    window : int or sequence of int, optional
        Elements a window covers; for ``"torch"``, and required there.
    scheme : {"torch", "random", "pseudo"}
    overlapping : bool
        Windows also cover the first element of the next; not for ``"torch"``.
    rng : int, numpy.random.Generator, fastpool.random.Draws or None
        Where samples come from, and the draws of ``op="stochastic"``; see `stochastic_pool`.
    samples : ndarray of floats in [0, 1), optional
        In place of random ones. ``"torch"``: one for each plane and pooled axis, in the shape of the other
        axes and a last axis, along which the pooled axes are in their order, but for two of them in the
        reverse, as PyTorch has it; the places are computed in their dtype. ``"pseudo"``: one a pooled axis.
    axes, return_indices, out, **op_params
        As in `pool`. An average divides by the window's own size.

    Returns
    -------
    ndarray or (ndarray, ndarray)
        As in `pool`.

    Raises
    ------
    TypeError, ValueError
        As in `pool`; where not exactly one of `output_size` and `ratio` is given, for windows that do not fit
        at different places, and for samples of another shape or outside [0, 1).

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.arange(9.0)
    >>> fp.fractional_pool(x, "max", (4,), window=2, samples=np.array([0.9]))
    array([1., 3., 5., 8.])
    >>> fp.fractional_pool(x, "sum", ratio=(2.25,), scheme="pseudo", samples=np.array([0.5]))
    array([ 1.,  9., 11., 15.])
    """
    weights = op_params.pop("weights", None)
    arguments = (output_size, ratio, window, scheme, overlapping, rng, samples, axes, op_params)
    array, job = _fractional(x, op, *arguments)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    if out is not None:
        arrays.check_apart(out, x=x, samples=samples, where=where, weights=weights)
    return missing_jobs.forward(job, array, missing, return_indices=return_indices, out=out)


@any_kind
def fractional_pool_backward(
    gy: Any,
    x: Any,
    op: str,
    output_size: Any = None,
    *,
    ratio: Any = None,
    window: Any = None,
    scheme: str = "torch",
    overlapping: bool = False,
    rng: Any = None,
    samples: Any = None,
    axes: Any = None,
    where: Any = None,
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    indices: Any = None,
    **op_params: Any,
) -> Array:
    """Gradient of `fractional_pool` for `x`, without a forward call; see `pool_backward`.

    The windows are those of the same `rng` (an int or `Draws`) or `samples`.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.fractional_pool_backward(np.ones(2), np.arange(5.0), "max", (2,), window=3, rng=0)
    array([0., 0., 1., 0., 1.])
    """
    weights = op_params.pop("weights", None)
    arguments = (output_size, ratio, window, scheme, overlapping, rng, samples, axes, op_params)
    array, job = _fractional(x, op, *arguments)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    return missing_jobs.backward(job, gy, array, missing, indices)


def _fractional(
    x: object,
    op: object,
    output_size: Any,
    ratio: Any,
    window: Any,
    scheme: object,
    overlapping: object,
    rng: object,
    samples: object,
    axes: Any,
    op_params: dict[str, Any],
) -> tuple[Array, Job | PlaneJob]:
    """The input and the job of a call."""
    row, array = jobs.operands(op, x)
    if not isinstance(scheme, str):
        raise TypeError(f"scheme must be one of {', '.join(fractional.SCHEMES)}, got {scheme!r}")
    if scheme not in fractional.SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(fractional.SCHEMES)}, got {scheme!r}")
    if (output_size is None) == (ratio is None):
        raise ValueError(
            "exactly one of output_size and ratio must be given, "
            f"got output_size={output_size!r}, ratio={ratio!r}"
        )
    named = {"output_size": output_size, "ratio": ratio, "window": window}
    name = next((name for name, value in named.items() if checks.is_sequence(value)), "output_size")
    pooled = checks.pooled_axes(name, named[name], axes, array.ndim)
    sizes = checks.entries("output_size", output_size, len(pooled))
    ratios = checks.entries("ratio", ratio, len(pooled))
    outputs = []
    for axis, size, fraction in zip(pooled, sizes, ratios, strict=True):
        wanted = None if output_size is None else checks.integer("output_size", size, minimum=1)
        if wanted is None and fraction is None:
            raise TypeError(f"ratio must have a real number for each pooled axis, got {ratio!r}")
        outputs.append(
            jobs.on_axis(axis, fractional.output_length, array.shape[axis], wanted, fraction, scheme)
        )
    draws = random.Draws(*random.seed_of(rng))
    if row.testing:
        op_params = {**op_params, "rng": draws}
    overlaps = checks.boolean("overlapping", overlapping)
    if scheme == "torch":
        if overlaps:
            raise ValueError('overlapping is for scheme="random" or "pseudo"')
        lengths = _window_lengths(window, len(pooled))
        return array, _own_windows(row, array, pooled, outputs, lengths, draws, samples, op_params)
    if window is not None:
        raise ValueError(f'window is for scheme="torch", got window={window!r} with scheme={scheme!r}')
    sequences = _sequences(array, pooled, outputs, scheme == "random", draws, samples)
    tables = {
        axis: fractional.regions(s, overlapping=overlaps) for axis, s in zip(pooled, sequences, strict=True)
    }
    return array, jobs.job(row, array, tables, op_params)


def _window_lengths(window: Any, count: int) -> list[int]:
    if window is None:
        raise TypeError('window must be given with scheme="torch": the elements a window covers')
    return [checks.integer("window", k, minimum=1) for k in checks.entries("window", window, count)]


def _uniforms(seed: int, stream: int, shape: tuple[int, ...], start: int = 0) -> Any:
    """Random numbers of a stream of a seed, from number `start` on."""
    counter = np.arange(math.prod(shape), dtype=np.uint64).reshape(shape) + np.uint64(start)
    return random.uniform(np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32), counter, np.uint32(stream))


def _samples(samples: object, shape: tuple[int, ...]) -> Any:
    """A user's samples; of those on a GPU a copy."""
    return fractional.checked_samples(arrays.to_host(samples), shape)


def _sequences(
    x: Array,
    pooled: tuple[int, ...],
    outputs: list[int],
    shuffled: bool,
    draws: random.Draws,
    samples: object,
) -> list[Any]:
    """The boundaries of TensorFlow's windows on each pooled axis."""
    if shuffled and samples is not None:
        raise ValueError('samples are for scheme="torch" or "pseudo"; scheme="random" takes rng')
    lengths = [x.shape[axis] for axis in pooled]
    if shuffled:
        streams = range(PLACES, PLACES + len(pooled))
        return [
            fractional.random_sequence(n, o, _uniforms(draws.seed, stream, (o,)))
            for n, o, stream in zip(lengths, outputs, streams, strict=True)
        ]
    shape = (len(pooled),)
    given = _uniforms(draws.seed, PLACES, shape) if samples is None else _samples(samples, shape)
    return [
        fractional.pseudo_sequence(n, o, float(u)) for n, o, u in zip(lengths, outputs, given, strict=True)
    ]


def _own_windows(
    row: Any,
    x: Array,
    pooled: tuple[int, ...],
    outputs: list[int],
    lengths: list[int],
    draws: random.Draws,
    samples: object,
    op_params: dict[str, Any],
) -> PlaneJob:
    """The job of PyTorch's windows, which each plane has of its own."""
    others = [axis for axis in range(x.ndim) if axis not in pooled]
    kept = tuple(x.shape[axis] for axis in others)
    shape = (*kept, len(pooled))
    first = draws.start // math.prod(outputs) * len(pooled)  # of the planes that this part begins with
    given = _uniforms(draws.seed, PLACES, shape, first) if samples is None else _samples(samples, shape)
    given = given.reshape(-1, len(pooled))
    ascending = sorted(range(len(pooled)), key=pooled.__getitem__)
    lo, count = [], []
    for number, own in enumerate(ascending):
        column = len(pooled) - 1 - number if len(pooled) == 2 else number
        n = x.shape[pooled[own]]
        sample = given[:, column]
        start = jobs.on_axis(pooled[own], fractional.starts, n, outputs[own], lengths[own], sample)
        lo.append(start)
        count.append(np.full(start.shape, lengths[own], np.int64))
    own_planes = np.arange(math.prod(kept))
    plane = tuple(x.shape[pooled[own]] for own in ascending)
    windows = PlaneWindows(plane, own_planes, own_planes, tuple(lo), tuple(count))
    return planes.job(row, x, windows, [*others, *sorted(pooled)], kept, op_params)


# Spatial pyramids ----------------------------------------------------------------------------------------


@any_kind
def pyramid_pool(
    x: Any,
    op: str,
    levels: Any = (1, 2, 4),
    *,
    axes: Any = None,
    where: Any = None,
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    return_indices: bool = False,
    **op_params: Any,
) -> Any:
    """Adaptive bins of several levels, flattened and concatenated (He et al. 2014, arXiv 1406.4729).

    Parameters
    ----------
    x : ndarray
        As in `pool`.
    op : str
        An operator's name, as in `pool`.
    levels : sequence of (int or sequence of int)
        Bins an axis of each level; see `adaptive_pool`.
    axes : int or sequence of int, optional
        The pooled axes; by default every axis after the first two.
    return_indices, **op_params
        As in `pool`.

    Returns
    -------
    ndarray or (ndarray, ndarray)
        Of shape (N, C B): N is the first axis that is not pooled, C the product of the others, and B the
        number of bins of all levels, which follow each other level by level. Without axes that are not
        pooled: of shape (B,).

    Raises
    ------
    TypeError, ValueError
        As in `adaptive_pool`; where there is no level.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.pyramid_pool(np.arange(16.0).reshape(1, 1, 4, 4), "max", (1, 2))
    array([[15.,  5.,  7., 13., 15.]])
    """
    weights = op_params.pop("weights", None)
    row, array = jobs.operands(op, x)
    pooled = checks.pooled_axes("", None, axes, array.ndim)
    each_level = _checked_levels(levels, len(pooled))
    missing = asked(row, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    tape = jobs.tape_for(row)
    parts, pulls = [], []
    for job in _level_jobs(row, array, each_level, pooled, op_params):
        recorded = tape is not None
        result, pull = missing_jobs.part_of_call(
            job, array, missing, recorded=recorded, return_indices=return_indices
        )
        pulls.append(pull)
        parts.append(result if isinstance(result, tuple) else (result,))
    if tape is not None:
        shapes = [part[0].shape for part in parts]

        def pull_levels(gy: object, *, params: bool = False) -> Any:
            pieces = _levels(jobs.checked_gradient(gy, _joined_shape(shapes, pooled)), shapes, pooled)
            results = [pull(piece, params=True) for pull, piece in zip(pulls, pieces, strict=True)]
            gx = arrays.added([gradient for gradient, _ in results])
            slopes = {name: arrays.added([slope[name] for _, slope in results]) for name in results[0][1]}
            return (gx, slopes) if checks.boolean("params", params) else gx

        tape.append(pull_levels)
    joined = tuple(_joined(column, pooled) for column in zip(*parts, strict=True))
    return joined if len(joined) > 1 else joined[0]


@any_kind
def pyramid_pool_backward(
    gy: Any,
    x: Any,
    op: str,
    levels: Any = (1, 2, 4),
    *,
    axes: Any = None,
    where: Any = None,
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    indices: Any = None,
    **op_params: Any,
) -> Array:
    """Gradient of `pyramid_pool` for `x`, without a forward call; see `pool_backward`.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.pyramid_pool_backward(np.array([[4.0, 1.0, 2.0]]), np.zeros((1, 1, 4)), "avg", (1, 2))
    array([[[1.5, 1.5, 2. , 2. ]]])
    """
    if indices is None:
        absent = {"where": where, "skipna": skipna, "nodata": nodata, "min_count": min_count, "fill": fill}
        result: Array = vjp(pyramid_pool, x, op, levels, axes=axes, **absent, **op_params)[1](gy)
        return result
    weights = op_params.pop("weights", None)
    row, array = jobs.operands(op, x)
    pooled = checks.pooled_axes("", None, axes, array.ndim)
    found = _level_jobs(row, array, _checked_levels(levels, len(pooled)), pooled, op_params)
    shapes, limit = [job.shape for job in found], math.prod(array.shape[axis] for axis in pooled)
    joined = _joined_shape(shapes, pooled)
    pieces = _levels(jobs.checked_gradient(gy, joined), shapes, pooled)
    jobs.check_chooses("indices are", row)
    missing = asked(row, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    least = 0 if missing is None else -1
    places = _levels(jobs.checked_indices("indices", indices, joined, limit, least=least), shapes, pooled)
    gx: Array = arrays.added(
        [
            missing_jobs.backward(job, piece, array, missing, place)
            for job, piece, place in zip(found, pieces, places, strict=True)
        ]
    )
    return gx


def _level_jobs(
    row: Operator,
    x: Array,
    levels: list[list[int | None]],
    pooled: tuple[int, ...],
    op_params: dict[str, Any],
) -> list[Job]:
    """The levels' jobs; random draws have a seed of their own in each."""
    if not row.testing:
        return [jobs.adaptive(x, row.name, level, pooled, op_params)[1] for level in levels]
    seed, start = random.seed_of(op_params.get("rng"))
    bins = [
        math.prod(x.shape[a] if n is None else n for a, n in zip(pooled, level, strict=True))
        for level in levels
    ]
    found = []
    for number, (level, own) in enumerate(zip(levels, bins, strict=True)):
        draws = random.Draws((seed + number) % 2**64, start * own // sum(bins))
        found.append(jobs.adaptive(x, row.name, level, pooled, {**op_params, "rng": draws})[1])
    return found


def _checked_levels(levels: Any, count: int) -> list[list[int | None]]:
    """Bins of each pooled axis, level by level."""
    if not checks.is_sequence(levels):
        raise TypeError(f"levels must be a sequence of levels, got {levels!r}")
    if not len(levels):
        raise ValueError("levels must have at least one level, got none")
    return [
        [
            n if n is None else checks.integer("levels", n, minimum=1)
            for n in checks.entries("levels", level, count)
        ]
        for level in levels
    ]


def _split_shape(shape: tuple[int, ...], pooled: tuple[int, ...]) -> tuple[int, ...]:
    """Lengths of the axes that are not pooled."""
    return tuple(n for axis, n in enumerate(shape) if axis not in pooled)


def _pooled_last(ndim: int, pooled: tuple[int, ...]) -> list[int]:
    """The order of axes that puts pooled ones last."""
    return [axis for axis in range(ndim) if axis not in pooled] + sorted(pooled)


def _joined(levels: Sequence[Array], pooled: tuple[int, ...]) -> Array:
    """The levels side by side: the first axis that is not pooled, then all others, pooled ones last."""
    shape = _joined_shape([y.shape for y in levels], pooled)
    joined, start = arrays.empty(shape, levels[0].dtype, levels[0]), 0
    for y in levels:
        moved = y.transpose(_pooled_last(y.ndim, pooled))
        size = math.prod(moved.shape[len(shape) - 1 :])
        moved = moved.reshape((*shape[:-1], size))
        arrays.assign(arrays.last_part(joined, start, start + size), moved)
        start += size
    return joined


def _joined_shape(shapes: list[tuple[int, ...]], pooled: tuple[int, ...]) -> tuple[int, ...]:
    first, *others = _split_shape(shapes[0], pooled) or (1,)
    bins = sum(math.prod(shape[axis] for axis in pooled) for shape in shapes)
    return (first, math.prod(others) * bins) if len(shapes[0]) > len(pooled) else (bins,)


def _levels(joined: Array, shapes: list[tuple[int, ...]], pooled: tuple[int, ...]) -> list[Array]:
    """The levels of what `pyramid_pool` concatenates."""
    first = _split_shape(shapes[0], pooled)[:1]
    found, start = [], 0
    for shape in shapes:
        lengths = (*_split_shape(shape, pooled), *(shape[axis] for axis in sorted(pooled)))
        size = math.prod(lengths[len(first) :])
        moved = arrays.last_part(joined, start, start + size).reshape(lengths)
        found.append(moved.transpose(np.argsort(_pooled_last(len(lengths), pooled)).tolist()))
        start += size
    return found


# Regions of interest -------------------------------------------------------------------------------------


@any_kind
def roi_pool(
    x: Any,
    op: str,
    boxes: Any,
    output_size: Any,
    *,
    scale: float = 1.0,
    where: Any = None,
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    return_indices: bool = False,
    out: Any = None,
    **op_params: Any,
) -> Any:
    """Reduce the bins of boxes (Girshick 2015, Fast R-CNN, arXiv 1504.08083).

    A box's corners are scaled and rounded, half away from zero; it covers ``size = max(end - start + 1, 1)``
    elements, and bin p of P ``[floor(p size / P), ceil((p + 1) size / P))`` of them, clipped to the image.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    op : str
        An operator's name, as in `pool`.
    boxes : ndarray, shape (K, 5)
        Rows of image number, x1, y1, x2, y2.
    output_size : int or (int, int)
        Bins along H and W.
    scale : float
        From the boxes' coordinates to elements of `x`; above 0.
    return_indices, out, **op_params
        As in `pool`. An average divides by the bin's own size.

    Returns
    -------
    ndarray or (ndarray, ndarray), shape (K, C, PH, PW)
        A bin without an element gives 0, index -1 and no gradient.

    Raises
    ------
    TypeError, ValueError
        As in `pool`; for boxes of another shape, not finite, or of images that are not there.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> fp.roi_pool(x, "max", np.array([[0, 1, 1, 2, 3]]), (1, 2))
    array([[[[13., 14.]]]])
    """
    weights = op_params.pop("weights", None)
    array, job = _roi(x, op, boxes, output_size, scale, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    if out is not None:
        arrays.check_apart(out, x=x, boxes=boxes, where=where, weights=weights)
    return missing_jobs.forward(job, array, missing, return_indices=return_indices, out=out)


@any_kind
def roi_pool_backward(
    gy: Any,
    x: Any,
    op: str,
    boxes: Any,
    output_size: Any,
    *,
    scale: float = 1.0,
    where: Any = None,
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    indices: Any = None,
    **op_params: Any,
) -> Array:
    """Gradient of `roi_pool` for `x`, without a forward call; see `pool_backward`.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.array([[[[1.0, 5.0], [7.0, 2.0]]]])
    >>> fp.roi_pool_backward(np.full((1, 1, 1, 1), 4.0), x, "max", np.array([[0, 0, 0, 1, 1]]), 1)
    array([[[[0., 0.],
             [4., 0.]]]])
    """
    weights = op_params.pop("weights", None)
    array, job = _roi(x, op, boxes, output_size, scale, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    return missing_jobs.backward(job, gy, array, missing, indices)


def _roi(
    x: object, op: object, boxes: Any, output_size: Any, scale: Any, op_params: dict[str, Any]
) -> tuple[Array, PlaneJob]:
    row, array = jobs.operands(op, x)
    if array.ndim != 4:
        raise ValueError(f"x must have the axes (N, C, H, W), got {array.ndim} axes")
    tables = regions.pool_tables(boxes, output_size, scale, array.shape)
    boxes_kept, channels = tables.images.size, array.shape[1]
    sources = (tables.images[:, None] * channels + np.arange(channels)).reshape(-1)
    sets = np.repeat(np.arange(boxes_kept), channels)
    lo, count = (tables.row_lo, tables.column_lo), (tables.row_count, tables.column_count)
    windows = PlaneWindows(array.shape[2:], sources, sets, lo, count)
    return array, planes.job(row, array, windows, range(4), (boxes_kept, channels), op_params)


# Mosaic --------------------------------------------------------------------------------------------------


@any_kind
def mosaic(
    x: Any,
    cell: Any,
    op: str = "avg",
    *,
    axes: Any = None,
    where: Any = None,
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    **op_params: Any,
) -> Any:
    """Cut the pooled axes into cells and write each cell's value over the cell.

    ``y[i] = pool(x, op, cell, ceil_mode=True)[i // cell]``: cells at the end have the elements that are left.

    Parameters
    ----------
    x : ndarray
        As in `pool`.
    cell : int or sequence of int
        Elements of a cell; as `window` in `pool`.
    op : str
        An operator's name, as in `pool`.
    axes, **op_params
        As in `pool`.

    Returns
    -------
    ndarray
        Of the shape of `x`, and the dtype that `pool` gives.

    Raises
    ------
    TypeError, ValueError
        As in `pool`.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.mosaic(np.array([1.0, 3.0, 5.0, 7.0, 8.0]), (2,))
    array([2., 2., 6., 6., 8.])
    """
    weights = op_params.pop("weights", None)
    array, job, lengths, pooled = _cells(x, cell, op, axes, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    tape = jobs.tape_for(job.operator)
    y, _ = missing_jobs.part_of_call(job, array, missing, recorded=tape is not None)
    if tape is not None:
        tape.append(partial(_pull_cells, job, jobs.Kept.of(array), missing, lengths, pooled))
    if not isinstance(y, np.ndarray):
        return arrays.backend(y).cells_filled(y, job.geometry)
    for axis, k in zip(pooled, lengths, strict=True):
        y = np.take(y, np.arange(array.shape[axis]) // k, axis)
    return np.ascontiguousarray(y)


@any_kind
def mosaic_backward(
    gy: Any,
    x: Any,
    cell: Any,
    op: str = "avg",
    *,
    axes: Any = None,
    where: Any = None,
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    **op_params: Any,
) -> Array:
    """Gradient of `mosaic` for `x`, without a forward call; see `pool_backward`.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.mosaic_backward(np.array([1.0, 3.0, 5.0]), np.zeros(3), (2,))
    array([2., 2., 5.])
    """
    weights = op_params.pop("weights", None)
    array, job, lengths, pooled = _cells(x, cell, op, axes, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    gradient: Array = _pull_cells(job, jobs.Kept.of(array), missing, lengths, pooled, gy)
    return gradient


def _cells(
    x: object, cell: Any, op: object, axes: Any, op_params: dict[str, Any]
) -> tuple[Array, Job, list[int], tuple[int, ...]]:
    """The input, the job that pools its cells, and their lengths and axes."""
    array = arrays.take("x", x)
    pooled = checks.pooled_axes("cell", cell, axes, array.ndim)
    given = [checks.integer("cell", k, minimum=1) for k in checks.entries("cell", cell, len(pooled))]
    lengths = [min(k, max(array.shape[axis], 1)) for k, axis in zip(given, pooled, strict=True)]
    job = jobs.sliding(array, op, lengths, None, 0, 1, True, pooled, op_params)[1]
    return array, job, lengths, pooled


def _pull_cells(
    job: Job,
    kept: Kept,
    missing: Missing | None,
    lengths: list[int],
    pooled: tuple[int, ...],
    gy: object,
    *,
    params: bool = False,
) -> Any:
    """As `jobs.pull`: a cell's value has the gradients of all its elements; 16-bit ones add up in float32."""
    gradient = jobs.checked_gradient(gy, job.geometry.shape)
    x = kept.beside(gradient)
    wide, floating = x, None
    if arrays.is_float(x.dtype):
        floating, wide = x.dtype, arrays.cast(x, np.result_type(np.float32, x.dtype))
        gradient = arrays.cast(gradient, wide.dtype)
    sums = sum_pool(gradient, lengths, ceil_mode=True, axes=pooled)
    gx, slopes = missing_jobs.pull(job, Kept.of(wide), missing, None, sums, params=True)
    gx = arrays.cast(gx, floating or gx.dtype)
    return (gx, slopes) if checks.boolean("params", params) else gx
