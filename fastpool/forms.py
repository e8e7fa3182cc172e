"""Forms beyond sliding, adaptive and global windows: fractional, pyramid, regions of interest, mosaic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, Unpack, overload

import numpy as np

from . import arrays, checks, fractional, jobs, missing_jobs, planes, random, regions
from .annotations import (
    AnyArray,
    ArrayT,
    Axes,
    Boxes,
    Cells,
    Fractional,
    Lengths,
    Mask,
    Number,
    NumpyArray,
    Op,
    Ratios,
    Result,
    Rng,
    Rois,
    Scheme,
    Sizes,
)
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


@overload
def fractional_pool(
    x: NumpyArray,
    op: Op,
    output_size: Sizes | None = ...,
    *,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[Fractional],
) -> NumpyArray: ...
@overload
def fractional_pool(
    x: ArrayT,
    op: Op,
    output_size: Sizes | None = ...,
    *,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[Fractional],
) -> ArrayT: ...
@overload
def fractional_pool(
    x: NumpyArray,
    op: Op,
    output_size: Sizes | None = ...,
    *,
    return_indices: Literal[True],
    **keywords: Unpack[Fractional],
) -> tuple[NumpyArray, NumpyArray]: ...
@overload
def fractional_pool(
    x: ArrayT,
    op: Op,
    output_size: Sizes | None = ...,
    *,
    return_indices: Literal[True],
    **keywords: Unpack[Fractional],
) -> tuple[ArrayT, ArrayT]: ...
@overload
def fractional_pool(
    x: ArrayT,
    op: Op,
    output_size: Sizes | None = ...,
    *,
    return_indices: bool,
    **keywords: Unpack[Fractional],
) -> ArrayT | tuple[ArrayT, ArrayT]: ...
@any_kind
def fractional_pool(
    x: AnyArray,
    op: Op,
    output_size: Sizes | None = None,
    *,
    ratio: Ratios | None = None,
    window: Lengths | None = None,
    scheme: Scheme = "torch",
    overlapping: bool = False,
    rng: Rng = None,
    samples: AnyArray | None = None,
    axes: Axes | None = None,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    return_indices: bool = False,
    out: AnyArray | None = None,
    **op_params: Any,
) -> Result:
    """Reduce windows at random places whose average distance is a fraction.

    ``y[o]`` is the operator's value of the elements of window o, such as ``max x[i]``. Where windows begin
    depends on `scheme`:

    - ``"torch"``: all windows have the length `window`. With ``a = (n - window) / (outputs - 1)`` and a
      random `u` in [0, 1) window i begins at ``int((i + u) a) - int(u a)``, the last one at ``n - window``.
      Each plane and axis has a `u` of its own, as in PyTorch.
    - ``"random"``: windows lie side by side and have ``n // outputs`` elements or one more, in random order,
      the same for all planes, as in TensorFlow.
    - ``"pseudo"``: windows end at ``ceil((n / outputs) (i + u)) - 1`` with one random `u` for each axis, the
      same for all planes, as in TensorFlow.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch or JAX. Any strides, alignment and
        byte order; it is never written. The batch may be empty, the pooled axes may not.
    op : {"max", "min", "count", "avg", "sum", "lp", "gem", "lse", "soft", "mixed", ...}
        The operator: one of these, ``"stochastic"``, ``"median"``, ``"quantile"``, ``"mode"``, ``"var"``,
        ``"std"`` or ``"nearest"``. ``"mean"`` is another word for ``"avg"``. Each has a function of its own,
        such as `max_pool`, whose page gives its formula and parameters.
    output_size : int or sequence of int, optional
        Windows along each pooled axis. A sequence pools the last axes. One number pools every axis after the
        first two, of an array with at least four axes.
    ratio : float or sequence of float, optional
        In place of `output_size`. For ``"torch"`` there are ``floor(n ratio)`` windows, with a ratio above 0
        and below 1; for the other schemes ``floor(n / ratio)``, with a ratio of at least 1.
    window : int or sequence of int, optional
        Elements that a window covers; for ``"torch"`` alone, which requires it.
    scheme : {"torch", "random", "pseudo"}
        Where windows begin; see above.
    overlapping : bool
        Windows also cover the first element of the next one; not for ``"torch"``.
    rng : int, numpy.random.Generator, fastpool.random.Draws, optional
        Seed of the random numbers. A generator gives a seed, and None draws a fresh one.
        ``Draws(seed, start)`` counts outputs from `start` on, for a batch that is processed in parts. With
        ``op="stochastic"`` it serves the draws as well.
    samples : ndarray of float, optional
        Numbers in [0, 1) in place of random ones. For ``"torch"`` one for each plane and pooled axis: in the
        shape of the other axes and a last axis, along which the pooled axes follow in their order, but two of
        them in reverse, as in PyTorch; windows are computed in their dtype. For ``"pseudo"`` one for each
        pooled axis.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a window. A window with fewer, or with none, gives `fill`, has index
        -1 and sends no gradient.
    fill : int or float, optional
        What a window with too few elements gives. By default it is NaN for floats and the `nodata` value,
        where there is one, for integers.
    return_indices : bool
        Also return where the chosen elements are.
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    **op_params
        Parameters of the operator, as its own function names them; for avg, sum, count, var and std also
        `weights`.

    Returns
    -------
    y : ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order.
    indices : ndarray of int32 or int64
        Only with `return_indices`: the position of each chosen element, flat in C order within the pooled
        axes of its plane, without padding; int64 where a plane has 2**31 elements or more.

    Raises
    ------
    TypeError
        If an argument has a wrong type, `x` a dtype that the operator does not take, or if there is a
        parameter that the operator does not have.
    ValueError
        If an argument has a bad value, if not exactly one of `output_size` and `ratio` is given, if windows
        do not fit at different places, or if samples have another shape or lie outside [0, 1).

    See Also
    --------
    pool : Windows at even distances.
    adaptive_pool : Bins that are as even as can be.
    fractional_pool_backward : Gradient of this function.
    fastpool.compat.tensorflow.fractional_max_pool : The windows that TensorFlow draws from a seed.

    Notes
    -----
    An average divides by the size of its window. Ties, NaN, rounding and gradients are those of the
    operator's own function. The same seed gives the same windows on CPU and GPU, for every number of threads.
    The first call of a kernel compiles it, which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Graham 2014, Fractional max-pooling, arXiv 1412.6071.
    .. [2] Salmon, Moraes, Dror, Shaw 2011, Parallel random numbers: as easy as 1, 2, 3, SC11.

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
    gy: ArrayT,
    x: ArrayT,
    op: Op,
    output_size: Sizes | None = None,
    *,
    ratio: Ratios | None = None,
    window: Lengths | None = None,
    scheme: Scheme = "torch",
    overlapping: bool = False,
    rng: Rng = None,
    samples: AnyArray | None = None,
    axes: Axes | None = None,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    indices: AnyArray | None = None,
    **op_params: Any,
) -> ArrayT:
    """Compute the gradient of `fractional_pool` for `x`.

    ``gx[i] = sum over o of gy[o] dy[o]/dx[i]``, where y is ``fractional_pool(x, op, ...)`` with the same
    arguments. The windows are those of the same `rng`, an int or `fastpool.random.Draws`, or of the same
    `samples`.

    Parameters
    ----------
    gy : ndarray, shape of the result
        Gradient for the result.
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch or JAX. Any strides, alignment and
        byte order; it is never written. The batch may be empty, the pooled axes may not.
    op : {"max", "min", "count", "avg", "sum", "lp", "gem", "lse", "soft", "mixed", ...}
        The operator: one of these, ``"stochastic"``, ``"median"``, ``"quantile"``, ``"mode"``, ``"var"``,
        ``"std"`` or ``"nearest"``. ``"mean"`` is another word for ``"avg"``. Each has a function of its own,
        such as `max_pool`, whose page gives its formula and parameters.
    output_size : int or sequence of int, optional
        Windows along each pooled axis. A sequence pools the last axes. One number pools every axis after the
        first two, of an array with at least four axes.
    ratio : float or sequence of float, optional
        In place of `output_size`. For ``"torch"`` there are ``floor(n ratio)`` windows, with a ratio above 0
        and below 1; for the other schemes ``floor(n / ratio)``, with a ratio of at least 1.
    window : int or sequence of int, optional
        Elements that a window covers; for ``"torch"`` alone, which requires it.
    scheme : {"torch", "random", "pseudo"}
        Where windows begin; see above.
    overlapping : bool
        Windows also cover the first element of the next one; not for ``"torch"``.
    rng : int, numpy.random.Generator, fastpool.random.Draws, optional
        Seed of the random numbers. A generator gives a seed, and None draws a fresh one.
        ``Draws(seed, start)`` counts outputs from `start` on, for a batch that is processed in parts. With
        ``op="stochastic"`` it serves the draws as well.
    samples : ndarray of float, optional
        Numbers in [0, 1) in place of random ones. For ``"torch"`` one for each plane and pooled axis: in the
        shape of the other axes and a last axis, along which the pooled axes follow in their order, but two of
        them in reverse, as in PyTorch; windows are computed in their dtype. For ``"pseudo"`` one for each
        pooled axis.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a window. A window with fewer, or with none, gives `fill`, has index
        -1 and sends no gradient.
    fill : int or float, optional
        What a window with too few elements gives. By default it is NaN for floats and the `nodata` value,
        where there is one, for integers.
    indices : ndarray of int, optional
        What ``return_indices=True`` gave, for operators that choose an element. Without it the elements are
        chosen again.
    **op_params
        Parameters of the operator, as its own function names them; for avg, sum, count, var and std also
        `weights`.

    Returns
    -------
    ndarray, shape of `x`
        Of the kind of `x`, and of its dtype where that is a float, else of the dtype of `gy`; float64 where
        neither is a float.

    Raises
    ------
    TypeError
        If an argument has a wrong type, `x` a dtype that the operator does not take, or if the operator has
        no gradient.
    ValueError
        If an argument has a bad value, `gy` another shape than the result, or `indices` another shape or
        entries outside their windows.

    See Also
    --------
    fractional_pool : The function itself.
    vjp : The result and its way back.

    Notes
    -----
    Each operator sends its gradient as its own function says. Elements that are left out, and windows with
    too few elements, have gradient 0. Gradients of 16-bit floats add up in float32 or wider. The result is
    the same, bit for bit, for every number of threads. After a forward call `vjp` is faster, since it keeps
    what the call knew. The first call of a kernel compiles it, which takes seconds; numba keeps it in a cache
    on disk.

    References
    ----------
    .. [1] Graham 2014, Fractional max-pooling, arXiv 1412.6071.
    .. [2] Griewank, Walther 2008, Evaluating Derivatives, second edition, SIAM.

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
    return missing_jobs.backward(job, gy, array, missing, indices)  # type: ignore[return-value]


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


@overload
def pyramid_pool(
    x: NumpyArray,
    op: Op,
    levels: Sequence[Sizes] = ...,
    *,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[Cells],
) -> NumpyArray: ...
@overload
def pyramid_pool(
    x: ArrayT,
    op: Op,
    levels: Sequence[Sizes] = ...,
    *,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[Cells],
) -> ArrayT: ...
@overload
def pyramid_pool(
    x: NumpyArray,
    op: Op,
    levels: Sequence[Sizes] = ...,
    *,
    return_indices: Literal[True],
    **keywords: Unpack[Cells],
) -> tuple[NumpyArray, NumpyArray]: ...
@overload
def pyramid_pool(
    x: ArrayT,
    op: Op,
    levels: Sequence[Sizes] = ...,
    *,
    return_indices: Literal[True],
    **keywords: Unpack[Cells],
) -> tuple[ArrayT, ArrayT]: ...
@overload
def pyramid_pool(
    x: ArrayT, op: Op, levels: Sequence[Sizes] = ..., *, return_indices: bool, **keywords: Unpack[Cells]
) -> ArrayT | tuple[ArrayT, ArrayT]: ...
@any_kind
def pyramid_pool(
    x: AnyArray,
    op: Op,
    levels: Sequence[Sizes] = (1, 2, 4),
    *,
    axes: Axes | None = None,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    return_indices: bool = False,
    **op_params: Any,
) -> Result:
    """Reduce bins of several levels and concatenate them.

    Each level is an `adaptive_pool` with its own number of bins: ``y = [y1, y2, ...]``, where ``yl[o]`` is
    the operator's value of bin o of level l, such as ``max x[i]``. The result has the same length for inputs
    of every size.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch or JAX. Any strides, alignment and
        byte order; it is never written. The batch may be empty, the pooled axes may not.
    op : {"max", "min", "count", "avg", "sum", "lp", "gem", "lse", "soft", "mixed", ...}
        The operator: one of these, ``"stochastic"``, ``"median"``, ``"quantile"``, ``"mode"``, ``"var"``,
        ``"std"`` or ``"nearest"``. ``"mean"`` is another word for ``"avg"``. Each has a function of its own,
        such as `max_pool`, whose page gives its formula and parameters.
    levels : sequence of (int or sequence of int)
        Bins along each pooled axis, level by level: one number for all axes, or one for each of them.
    axes : int or sequence of int, optional
        The pooled axes; negative numbers count from the end. By default every axis after the first two, of an
        array with at least three.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a window. A window with fewer, or with none, gives `fill`, has index
        -1 and sends no gradient.
    fill : int or float, optional
        What a window with too few elements gives. By default it is NaN for floats and the `nodata` value,
        where there is one, for integers.
    return_indices : bool
        Also return where the chosen elements are.
    **op_params
        Parameters of the operator, as its own function names them; for avg, sum, count, var and std also
        `weights`.

    Returns
    -------
    y : ndarray, shape (N, C * B)
        Of the kind of `x`. N is the first axis that is not pooled, C the product of the others, and B the
        number of bins of all levels, which follow each other. Without axes that are not pooled the shape is
        (B,).
    indices : ndarray of int32 or int64
        Only with `return_indices`, of the shape of `y`: the position of each chosen element, flat in C order
        within the pooled axes of its plane.

    Raises
    ------
    TypeError
        If an argument has a wrong type, `x` a dtype that the operator does not take, or if there is a
        parameter that the operator does not have.
    ValueError
        If an argument has a bad value, there is no level, or a pooled axis has no element.

    See Also
    --------
    adaptive_pool : The bins of one level.
    pyramid_pool_backward : Gradient of this function.
    fastpool.pyramid.write : Pyramids of images in files, which is another thing.

    Notes
    -----
    Ties, NaN, rounding and gradients are those of the operator's own function. With ``op="stochastic"`` each
    level draws from a seed of its own. The first call of a kernel compiles it, which takes seconds; numba
    keeps it in a cache on disk.

    References
    ----------
    .. [1] He, Zhang, Ren, Sun 2014, Spatial pyramid pooling in deep convolutional networks for visual
       recognition, arXiv 1406.4729.

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
    gy: ArrayT,
    x: ArrayT,
    op: Op,
    levels: Sequence[Sizes] = (1, 2, 4),
    *,
    axes: Axes | None = None,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    indices: AnyArray | None = None,
    **op_params: Any,
) -> ArrayT:
    """Compute the gradient of `pyramid_pool` for `x`.

    ``gx[i] = sum over o of gy[o] dy[o]/dx[i]``, where y is ``pyramid_pool(x, op, levels, ...)`` with the same
    arguments. The gradients of all levels add up.

    Parameters
    ----------
    gy : ndarray, shape (N, C * B)
        Gradient for the result.
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch or JAX. Any strides, alignment and
        byte order; it is never written. The batch may be empty, the pooled axes may not.
    op : {"max", "min", "count", "avg", "sum", "lp", "gem", "lse", "soft", "mixed", ...}
        The operator: one of these, ``"stochastic"``, ``"median"``, ``"quantile"``, ``"mode"``, ``"var"``,
        ``"std"`` or ``"nearest"``. ``"mean"`` is another word for ``"avg"``. Each has a function of its own,
        such as `max_pool`, whose page gives its formula and parameters.
    levels : sequence of (int or sequence of int)
        Bins along each pooled axis, level by level: one number for all axes, or one for each of them.
    axes : int or sequence of int, optional
        The pooled axes; negative numbers count from the end. By default every axis after the first two, of an
        array with at least three.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a window. A window with fewer, or with none, gives `fill`, has index
        -1 and sends no gradient.
    fill : int or float, optional
        What a window with too few elements gives. By default it is NaN for floats and the `nodata` value,
        where there is one, for integers.
    indices : ndarray of int, optional
        What ``return_indices=True`` gave, for operators that choose an element. Without it the elements are
        chosen again.
    **op_params
        Parameters of the operator, as its own function names them; for avg, sum, count, var and std also
        `weights`.

    Returns
    -------
    ndarray, shape of `x`
        Of the kind of `x`, and of its dtype where that is a float, else of the dtype of `gy`; float64 where
        neither is a float.

    Raises
    ------
    TypeError
        If an argument has a wrong type, `x` a dtype that the operator does not take, or if the operator has
        no gradient.
    ValueError
        If an argument has a bad value, `gy` another shape than the result, or `indices` another shape or
        entries outside their windows.

    See Also
    --------
    pyramid_pool : The function itself.
    vjp : The result and its way back.

    Notes
    -----
    Each operator sends its gradient as its own function says. Elements that are left out, and windows with
    too few elements, have gradient 0. Gradients of 16-bit floats add up in float32 or wider. The result is
    the same, bit for bit, for every number of threads. After a forward call `vjp` is faster, since it keeps
    what the call knew. The first call of a kernel compiles it, which takes seconds; numba keeps it in a cache
    on disk.

    References
    ----------
    .. [1] He, Zhang, Ren, Sun 2014, Spatial pyramid pooling in deep convolutional networks for visual
       recognition, arXiv 1406.4729.
    .. [2] Griewank, Walther 2008, Evaluating Derivatives, second edition, SIAM.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.pyramid_pool_backward(np.array([[4.0, 1.0, 2.0]]), np.zeros((1, 1, 4)), "avg", (1, 2))
    array([[[1.5, 1.5, 2. , 2. ]]])
    """
    if indices is None:
        absent: dict[str, Any] = {
            "where": where,
            "skipna": skipna,
            "nodata": nodata,
            "min_count": min_count,
            "fill": fill,
        }
        return vjp(lambda own: pyramid_pool(own, op, levels, axes=axes, **absent, **op_params), x)[1](gy)
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
    return gx  # type: ignore[return-value]


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


@overload
def roi_pool(
    x: NumpyArray,
    op: Op,
    boxes: Rois,
    output_size: Lengths,
    *,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[Boxes],
) -> NumpyArray: ...
@overload
def roi_pool(
    x: ArrayT,
    op: Op,
    boxes: Rois,
    output_size: Lengths,
    *,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[Boxes],
) -> ArrayT: ...
@overload
def roi_pool(
    x: NumpyArray,
    op: Op,
    boxes: Rois,
    output_size: Lengths,
    *,
    return_indices: Literal[True],
    **keywords: Unpack[Boxes],
) -> tuple[NumpyArray, NumpyArray]: ...
@overload
def roi_pool(
    x: ArrayT,
    op: Op,
    boxes: Rois,
    output_size: Lengths,
    *,
    return_indices: Literal[True],
    **keywords: Unpack[Boxes],
) -> tuple[ArrayT, ArrayT]: ...
@overload
def roi_pool(
    x: ArrayT,
    op: Op,
    boxes: Rois,
    output_size: Lengths,
    *,
    return_indices: bool,
    **keywords: Unpack[Boxes],
) -> ArrayT | tuple[ArrayT, ArrayT]: ...
@any_kind
def roi_pool(
    x: AnyArray,
    op: Op,
    boxes: Rois,
    output_size: Lengths,
    *,
    scale: float = 1.0,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    return_indices: bool = False,
    out: AnyArray | None = None,
    **op_params: Any,
) -> Result:
    """Reduce the bins of boxes that are rounded to whole elements.

    The corners of a box are scaled and rounded, halves away from zero. It covers
    ``size = max(end - start + 1, 1)`` elements along an axis. Bin p of P covers ``start + floor(p size / P)``
    to ``start + ceil((p + 1) size / P) - 1``, clipped to the image. ``y[o]`` is the operator's value of the
    elements of bin o, such as ``max x[i]``.

    Parameters
    ----------
    x : ndarray, shape (N, C, L), (N, C, H, W) or (N, C, D, H, W)
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch or JAX. It is never written.
    op : {"max", "min", "count", "avg", "sum", "lp", "gem", "lse", "soft", "mixed", ...}
        The operator: one of these, ``"stochastic"``, ``"median"``, ``"quantile"``, ``"mode"``, ``"var"``,
        ``"std"`` or ``"nearest"``. ``"mean"`` is another word for ``"avg"``. Each has a function of its own,
        such as `max_pool`, whose page gives its formula and parameters.
    boxes : ndarray, shape (K, 5), or list of ndarray, shape (k, 4)
        Rows ``(image, x1, y1, x2, y2)`` of any real dtype: the number of an image, and two corners of a box,
        with x along the last axis. Or a list with an array for each image, of rows ``(x1, y1, x2, y2)``. With
        one pooled axis rows are ``(image, x1, x2)``, with three ``(image, x1, y1, z1, x2, y2, z2)``. They
        must be finite.
    output_size : int or sequence of int
        Bins along each pooled axis.
    scale : float
        Factor from the coordinates of the boxes to elements of `x`; above 0.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a window. A window with fewer, or with none, gives `fill`, has index
        -1 and sends no gradient.
    fill : int or float, optional
        What a window with too few elements gives. By default it is NaN for floats and the `nodata` value,
        where there is one, for integers.
    return_indices : bool
        Also return where the chosen elements are.
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    **op_params
        Parameters of the operator, as its own function names them; for avg, sum, count, var and std also
        `weights`.

    Returns
    -------
    y : ndarray, shape (K, C, PH, PW), or as many bins as axes are pooled
        Of the kind of `x`. A bin without an element gives 0, index -1 and no gradient.
    indices : ndarray of int32 or int64
        Only with `return_indices`: the position of each chosen element, flat in C order within the pooled
        axes of its plane, without padding; int64 where a plane has 2**31 elements or more.

    Raises
    ------
    TypeError
        If an argument has a wrong type, `x` a dtype that the operator does not take, or if there is a
        parameter that the operator does not have.
    ValueError
        If an argument has a bad value, or if boxes have another shape, are not finite, or name an image that
        does not exist.

    See Also
    --------
    roi_align : Boxes at fractional places, interpolated.
    adaptive_pool : The bins of whole planes.
    roi_pool_backward : Gradient of this function.

    Notes
    -----
    An average divides by the size of its bin. Ties, NaN, rounding and gradients are those of the operator's
    own function. Places are computed in float64: torchvision computes them in float32, so that about one bin
    in 400 has an element more or less there. The first call of a kernel compiles it, which takes seconds;
    numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Girshick 2015, Fast R-CNN, arXiv 1504.08083.

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
    gy: ArrayT,
    x: ArrayT,
    op: Op,
    boxes: Rois,
    output_size: Lengths,
    *,
    scale: float = 1.0,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    indices: AnyArray | None = None,
    **op_params: Any,
) -> ArrayT:
    """Compute the gradient of `roi_pool` for `x`.

    ``gx[i] = sum over o of gy[o] dy[o]/dx[i]``, where y is ``roi_pool(x, op, boxes, output_size, ...)`` with
    the same arguments. Boxes that share elements add up, in the order of the boxes.

    Parameters
    ----------
    gy : ndarray, shape of the result
        Gradient for the result.
    x : ndarray, shape (N, C, L), (N, C, H, W) or (N, C, D, H, W)
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch or JAX. It is never written.
    op : {"max", "min", "count", "avg", "sum", "lp", "gem", "lse", "soft", "mixed", ...}
        The operator: one of these, ``"stochastic"``, ``"median"``, ``"quantile"``, ``"mode"``, ``"var"``,
        ``"std"`` or ``"nearest"``. ``"mean"`` is another word for ``"avg"``. Each has a function of its own,
        such as `max_pool`, whose page gives its formula and parameters.
    boxes : ndarray, shape (K, 5), or list of ndarray, shape (k, 4)
        Rows ``(image, x1, y1, x2, y2)`` of any real dtype: the number of an image, and two corners of a box,
        with x along the last axis. Or a list with an array for each image, of rows ``(x1, y1, x2, y2)``. With
        one pooled axis rows are ``(image, x1, x2)``, with three ``(image, x1, y1, z1, x2, y2, z2)``. They
        must be finite.
    output_size : int or sequence of int
        Bins along each pooled axis.
    scale : float
        Factor from the coordinates of the boxes to elements of `x`; above 0.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a window. A window with fewer, or with none, gives `fill`, has index
        -1 and sends no gradient.
    fill : int or float, optional
        What a window with too few elements gives. By default it is NaN for floats and the `nodata` value,
        where there is one, for integers.
    indices : ndarray of int, optional
        What ``return_indices=True`` gave, for operators that choose an element. Without it the elements are
        chosen again.
    **op_params
        Parameters of the operator, as its own function names them; for avg, sum, count, var and std also
        `weights`.

    Returns
    -------
    ndarray, shape of `x`
        Of the kind of `x`, and of its dtype where that is a float, else of the dtype of `gy`; float64 where
        neither is a float.

    Raises
    ------
    TypeError
        If an argument has a wrong type, `x` a dtype that the operator does not take, or if the operator has
        no gradient.
    ValueError
        If an argument has a bad value, `gy` another shape than the result, or `indices` another shape or
        entries outside their windows.

    See Also
    --------
    roi_pool : The function itself.
    vjp : The result and its way back.

    Notes
    -----
    Each operator sends its gradient as its own function says. Elements that are left out, and windows with
    too few elements, have gradient 0. Gradients of 16-bit floats add up in float32 or wider. The result is
    the same, bit for bit, for every number of threads. After a forward call `vjp` is faster, since it keeps
    what the call knew. The first call of a kernel compiles it, which takes seconds; numba keeps it in a cache
    on disk.

    References
    ----------
    .. [1] Girshick 2015, Fast R-CNN, arXiv 1504.08083.
    .. [2] Griewank, Walther 2008, Evaluating Derivatives, second edition, SIAM.

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
    return missing_jobs.backward(job, gy, array, missing, indices)  # type: ignore[return-value]


def _roi(
    x: object, op: object, boxes: Any, output_size: Any, scale: Any, op_params: dict[str, Any]
) -> tuple[Array, PlaneJob]:
    row, array = jobs.operands(op, x)
    tables = regions.pool_tables(boxes, output_size, scale, array.shape)
    boxes_kept, channels = tables.images.size, array.shape[1]
    sources = (tables.images[:, None] * channels + np.arange(channels)).reshape(-1)
    sets = np.repeat(np.arange(boxes_kept), channels)
    windows = PlaneWindows(array.shape[2:], sources, sets, tables.lo, tables.counts)
    return array, planes.job(row, array, windows, range(array.ndim), (boxes_kept, channels), op_params)


# Mosaic --------------------------------------------------------------------------------------------------


@overload
def mosaic(x: NumpyArray, cell: Lengths, op: Op = ..., **keywords: Unpack[Cells]) -> NumpyArray: ...
@overload
def mosaic(x: ArrayT, cell: Lengths, op: Op = ..., **keywords: Unpack[Cells]) -> ArrayT: ...
@any_kind
def mosaic(
    x: AnyArray,
    cell: Lengths,
    op: Op = "avg",
    *,
    axes: Axes | None = None,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    **op_params: Any,
) -> Result:
    """Write the value of each cell of an array over the whole cell.

    ``y[i] = pool(x, op, cell, ceil_mode=True)[i // cell]``: the pooled axes are cut into cells, and each
    becomes its operator's value. Cells at the end have the elements that are left.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX or dask. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    cell : int or sequence of int
        Elements of a cell along each pooled axis. A sequence pools the last ``len(cell)`` axes. One number
        pools every axis after the first two, of an array with at least four axes.
    op : {"max", "min", "count", "avg", "sum", "lp", "gem", "lse", "soft", "mixed", ...}
        The operator: one of these, ``"stochastic"``, ``"median"``, ``"quantile"``, ``"mode"``, ``"var"``,
        ``"std"`` or ``"nearest"``. ``"mean"`` is another word for ``"avg"``. Each has a function of its own,
        such as `max_pool`, whose page gives its formula and parameters.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a window. A window with fewer, or with none, gives `fill`, has index
        -1 and sends no gradient.
    fill : int or float, optional
        What a window with too few elements gives. By default it is NaN for floats and the `nodata` value,
        where there is one, for integers.
    **op_params
        Parameters of the operator, as its own function names them; for avg, sum, count, var and std also
        `weights`.

    Returns
    -------
    ndarray, shape of `x`
        Of the kind of `x`, and of the dtype that `pool` gives.

    Raises
    ------
    TypeError
        If an argument has a wrong type, `x` a dtype that the operator does not take, or if there is a
        parameter that the operator does not have.
    ValueError
        If an argument has a bad value, a pooled axis has no element, or if a cell of integers has too few
        elements and nothing says what to fill in.

    See Also
    --------
    pool : One value for each cell.
    mosaic_backward : Gradient of this function.
    unpool : Write values to single elements.

    Notes
    -----
    Ties, NaN and rounding are those of the operator's own function. The gradient of a cell's value is the sum
    of the gradients of all its elements. The first call of a kernel compiles it, which takes seconds; numba
    keeps it in a cache on disk.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.mosaic(np.array([1.0, 3.0, 5.0, 7.0, 8.0]), (2,))
    array([2., 2., 6., 6., 8.])
    """
    weights = op_params.pop("weights", None)
    array, job, lengths, pooled = cells(x, cell, op, axes, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    tape = jobs.tape_for(job.operator)
    y, _ = missing_jobs.part_of_call(job, array, missing, recorded=tape is not None)
    if tape is not None:
        tape.append(partial(_pull_cells, job, jobs.Kept.of(array), missing, lengths, pooled))
    if not isinstance(y, np.ndarray):
        whole = jobs.sliding(array, "count", lengths, None, 0, 1, True, pooled, {})[1]
        return arrays.backend(y).cells_filled(y, whole.geometry)
    for axis, k in zip(pooled, lengths, strict=True):
        y = np.take(y, np.arange(array.shape[axis]) // k, axis)
    return np.ascontiguousarray(y)


@any_kind
def mosaic_backward(
    gy: ArrayT,
    x: ArrayT,
    cell: Lengths,
    op: Op = "avg",
    *,
    axes: Axes | None = None,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    **op_params: Any,
) -> ArrayT:
    """Compute the gradient of `mosaic` for `x`.

    ``gx[i] = sum over o of gy[o] dy[o]/dx[i]``, where y is ``mosaic(x, cell, op, ...)`` with the same
    arguments: the gradients of a cell are added up and sent back by its operator.

    Parameters
    ----------
    gy : ndarray, shape of `x`
        Gradient for the result.
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX or dask. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    cell : int or sequence of int
        Elements of a cell along each pooled axis. A sequence pools the last ``len(cell)`` axes. One number
        pools every axis after the first two, of an array with at least four axes.
    op : {"max", "min", "count", "avg", "sum", "lp", "gem", "lse", "soft", "mixed", ...}
        The operator: one of these, ``"stochastic"``, ``"median"``, ``"quantile"``, ``"mode"``, ``"var"``,
        ``"std"`` or ``"nearest"``. ``"mean"`` is another word for ``"avg"``. Each has a function of its own,
        such as `max_pool`, whose page gives its formula and parameters.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a window. A window with fewer, or with none, gives `fill`, has index
        -1 and sends no gradient.
    fill : int or float, optional
        What a window with too few elements gives. By default it is NaN for floats and the `nodata` value,
        where there is one, for integers.
    **op_params
        Parameters of the operator, as its own function names them; for avg, sum, count, var and std also
        `weights`.

    Returns
    -------
    ndarray, shape of `x`
        Of the kind of `x`, and of its dtype where that is a float, else of the dtype of `gy`; float64 where
        neither is a float.

    Raises
    ------
    TypeError
        If an argument has a wrong type, `x` a dtype that the operator does not take, or if the operator has
        no gradient.
    ValueError
        If an argument has a bad value, `gy` another shape than the result, or `indices` another shape or
        entries outside their windows.

    See Also
    --------
    mosaic : The function itself.
    vjp : The result and its way back.

    Notes
    -----
    Each operator sends its gradient as its own function says. Elements that are left out, and windows with
    too few elements, have gradient 0. Gradients of 16-bit floats add up in float32 or wider. The result is
    the same, bit for bit, for every number of threads. After a forward call `vjp` is faster, since it keeps
    what the call knew. The first call of a kernel compiles it, which takes seconds; numba keeps it in a cache
    on disk.

    References
    ----------
    .. [1] Griewank, Walther 2008, Evaluating Derivatives, second edition, SIAM.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.mosaic_backward(np.array([1.0, 3.0, 5.0]), np.zeros(3), (2,))
    array([2., 2., 5.])
    """
    weights = op_params.pop("weights", None)
    array, job, lengths, pooled = cells(x, cell, op, axes, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    gradient: Array = _pull_cells(job, jobs.Kept.of(array), missing, lengths, pooled, gy)
    return gradient  # type: ignore[return-value]


def cells(
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
