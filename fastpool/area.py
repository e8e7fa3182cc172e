"""Pooling with weights of its own: cells whose borders cut elements in two, and binomial blurs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple, Unpack, overload

import numpy as np
from numpy.typing import DTypeLike

from . import arrays, checks, jobs, missing, missing_jobs, ways, weighted
from .annotations import (
    AnyArray,
    Area,
    ArrayT,
    Axes,
    Blur,
    Lengths,
    Mask,
    Number,
    NumpyArray,
    Ratios,
    Result,
    Sizes,
)
from .arrays import Array
from .jobs import Kept, Pull
from .kinds import any_kind
from .missing import Missing
from .operators import OPERATORS, Operator
from .operators.entry import FINITE_ABOVE_ZERO
from .weighted import Parts, Table

AREA_OPS = ("avg", "sum")
SMALL = 4096  # elements and outputs of an axis whose table is kept for the next call


@overload
def area_pool(x: NumpyArray, output_size: Sizes | None = ..., **keywords: Unpack[Area]) -> NumpyArray: ...
@overload
def area_pool(x: ArrayT, output_size: Sizes | None = ..., **keywords: Unpack[Area]) -> ArrayT: ...
@any_kind
def area_pool(
    x: AnyArray,
    output_size: Sizes | None = None,
    *,
    ratio: Ratios | None = None,
    op: Literal["avg", "mean", "sum"] = "avg",
    axes: Axes | None = None,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    weights: AnyArray | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce cells of equal length, of whose end elements only the part inside counts.

    Along an axis of n elements and o outputs, cell i reaches from ``i n / o`` to ``(i + 1) n / o``, and
    element j from j to j + 1. An element counts by the part p of it that lies in the cell; in several axes by
    the product of its parts. With w = 1, or `weights`::

        avg:  y = sum(p w x) / sum(p w)        sum:  y = sum(p w x)

    Means keep the mean and sums the total. These are the ``INTER_AREA`` of image resampling and first-order
    conservative regridding. More outputs than elements are allowed: a cell within one element has its value.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    output_size : int or sequence of (int or None), optional
        Cells along each pooled axis; None keeps an axis as it is. A sequence pools the last axes. One number
        pools every axis after the first two, of an array with at least four axes.
    ratio : float or sequence of float, optional
        In place of `output_size`: ``round(n / ratio)`` cells, at least one.
    op : {"avg", "sum"}
        Whether sums are divided by what they weigh.
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
        Elements that must take part in a cell, with whatever part of them. A cell with fewer gives `fill` and
        sends no gradient; so does one without elements, unless this is 0 and `op` is ``"sum"``.
    fill : int or float, optional
        What a cell with too few elements gives. By default it is NaN for floats and the `nodata` value, where
        there is one, for integers.
    weights : ndarray, optional
        Weights of the elements: finite real numbers of at least 0, of a shape that broadcasts to that of `x`.
        A cell whose weights add up to 0 is one without elements.
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result. By default it is that of `x`, but float64 for sums of integers, for integers with
        `weights`, and for bool.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, if not exactly one of `output_size` and `ratio` is given, or if a cell
        of integers has too few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    adaptive_pool : Bins of whole elements, any operator.
    avg_pool : Means of sliding windows.
    blur_pool : Means with binomial weights.
    area_pool_backward : Gradient of this function.

    Notes
    -----
    Floats are added up in float64 (16-bit floats may be in float32) and rounded once. Means of integers are
    rounded half up, exactly as long as sums of products stay below 2**53. A NaN makes every cell NaN that it
    reaches. `weights` have a gradient, with ``pull(gy, params=True)``. The first call of a kernel compiles
    it, which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] OpenCV's ``resize`` with ``INTER_AREA``.
    .. [2] Jones 1999, First- and second-order conservative remapping schemes for grids in spherical
       coordinates, Monthly Weather Review 127.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.area_pool(np.array([0.0, 2.0, 4.0]), (2,))
    array([0.66666667, 3.33333333])
    >>> fp.area_pool(np.array([0.0, 2.0, 4.0]), (2,), op="sum")
    array([1., 5.])
    """
    about = _About(where, skipna, nodata, min_count, fill, weights)
    call = _area(x, output_size, ratio, op, axes, about, dtype)
    return _forward(call, None, x, about, out)


@any_kind
def area_pool_backward(
    gy: ArrayT,
    x: ArrayT,
    output_size: Sizes | None = None,
    *,
    ratio: Ratios | None = None,
    op: Literal["avg", "mean", "sum"] = "avg",
    axes: Axes | None = None,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    weights: AnyArray | None = None,
) -> ArrayT:
    """Compute the gradient of `area_pool` for `x`.

    ``gx[j] = sum over i of gy[i] p[i, j] w[j] / sum(p[i] w)`` for means, and without the division for sums,
    where p and w are those of `area_pool` with the same arguments.

    Parameters
    ----------
    gy : ndarray, shape of the result
        Gradient for the result.
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    output_size : int or sequence of (int or None), optional
        Cells along each pooled axis; None keeps an axis as it is. A sequence pools the last axes. One number
        pools every axis after the first two, of an array with at least four axes.
    ratio : float or sequence of float, optional
        In place of `output_size`: ``round(n / ratio)`` cells, at least one.
    op : {"avg", "sum"}
        Whether sums are divided by what they weigh.
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
        Elements that must take part in a cell, with whatever part of them. A cell with fewer gives `fill` and
        sends no gradient; so does one without elements, unless this is 0 and `op` is ``"sum"``.
    weights : ndarray, optional
        Weights of the elements: finite real numbers of at least 0, of a shape that broadcasts to that of `x`.
        A cell whose weights add up to 0 is one without elements.

    Returns
    -------
    ndarray, shape of `x`
        Of the kind of `x`, and of its dtype where that is a float, else of the dtype of `gy`; float64 where
        neither is a float.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or `gy` another shape than the result.

    See Also
    --------
    area_pool : The function itself.
    vjp : The result and its way back.

    Notes
    -----
    Elements that are left out, and cells with too few elements, have gradient 0. Sums are kept in float64
    (16-bit floats may be in float32). The result is the same, bit for bit, for every number of threads. The
    first call of a kernel compiles it, which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Jones 1999, First- and second-order conservative remapping schemes for grids in spherical
       coordinates, Monthly Weather Review 127.
    .. [2] Griewank, Walther 2008, Evaluating Derivatives, second edition, SIAM.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.area_pool_backward(np.array([3.0, 6.0]), np.zeros(3), (2,))
    array([2., 3., 4.])
    """
    about = _About(where, skipna, nodata, min_count, None, weights)
    call = _area(x, output_size, ratio, op, axes, about, None)
    return _pull(call, None, Kept.of(call.x), gy)  # type: ignore[no-any-return]


@overload
def blur_pool(x: NumpyArray, window: Lengths = ..., **keywords: Unpack[Blur]) -> NumpyArray: ...
@overload
def blur_pool(x: ArrayT, window: Lengths = ..., **keywords: Unpack[Blur]) -> ArrayT: ...
@any_kind
def blur_pool(
    x: AnyArray,
    window: Lengths = 3,
    *,
    stride: Lengths = 2,
    op: Literal["max"] | None = None,
    axes: Axes | None = None,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    weights: AnyArray | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Blur with binomial weights and keep every `stride`-th element.

    ``y[o] = sum(b[k] x[o s - k0 + k]) / sum(b[k])`` over the k from 0 to ``window - 1`` that lie inside, with
    ``b[k] = binomial(window - 1, k)``, ``k0 = window // 2`` and s the `stride`; in several axes b is the
    product of their weights. An axis of n elements has ``ceil(n / s)`` outputs. At the edges the weights that
    lie inside are normalised, where the code of [1]_ reflects.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Weights along each pooled axis, at most 128. A sequence pools the last axes. One number pools every
        axis after the first two, of an array with at least four axes.
    stride : int or sequence of int
        Distance between the elements that are kept.
    op : {None, "max"}
        ``"max"`` first takes the maximum of windows of two elements along each pooled axis, at stride 1
        (MaxBlurPool). Element i becomes that of elements i and i + 1, and the last one stays, so that the
        length is kept.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
        With ``op="max"`` an element of the maximum takes part if one of its window does.
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
    weights : ndarray, optional
        Weights of the elements: finite real numbers of at least 0, of a shape that broadcasts to that of `x`.
        A window whose weights add up to 0 is one without elements. Not with ``op="max"``.
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result. By default it is that of `x`, but float64 for sums of integers, for integers with
        `weights`, and for bool.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or if a window of integers has too few elements and nothing says what
        to fill in. Nothing is written to `out` then.

    See Also
    --------
    avg_pool : Means with equal weights.
    area_pool : Means of cells that cut elements in two.
    max_pool : Largest element of each window.
    blur_pool_backward : Gradient of this function.

    Notes
    -----
    Floats are added up in float64 (16-bit floats may be in float32) and rounded once. Means of integers are
    rounded half up, exactly as long as sums of products stay below 2**53. A NaN makes every output NaN that
    it reaches. The first call of a kernel compiles it, which takes seconds; numba keeps it in a cache on
    disk.

    References
    ----------
    .. [1] Zhang 2019, Making convolutional networks shift-invariant again, arXiv 1904.11486.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.blur_pool(np.array([0.0, 3.0, 4.0, 9.0, 9.0]), (3,))
    array([1., 5., 9.])
    >>> fp.blur_pool(np.array([0.0, 3.0, 4.0, 9.0, 9.0]), (3,), op="max")
    array([3.33333333, 7.75      , 9.        ])
    """
    about = _About(where, skipna, nodata, min_count, fill, weights)
    call, peaks = _blur(x, window, stride, op, axes, about, dtype, recorded=jobs.TAPE.get() is not None)
    return _forward(call, peaks, x, about, out)


@any_kind
def blur_pool_backward(
    gy: ArrayT,
    x: ArrayT,
    window: Lengths = 3,
    *,
    stride: Lengths = 2,
    op: Literal["max"] | None = None,
    axes: Axes | None = None,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    weights: AnyArray | None = None,
) -> ArrayT:
    """Compute the gradient of `blur_pool` for `x`.

    ``gx[j] = sum over o of gy[o] b[j - o s + k0] / sum(b)`` over the outputs that element j reaches, with the
    weights b of `blur_pool` with the same arguments. With ``op="max"`` that is then sent to the largest
    elements.

    Parameters
    ----------
    gy : ndarray, shape of the result
        Gradient for the result.
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Weights along each pooled axis, at most 128. A sequence pools the last axes. One number pools every
        axis after the first two, of an array with at least four axes.
    stride : int or sequence of int
        Distance between the elements that are kept.
    op : {None, "max"}
        ``"max"`` first takes the maximum of windows of two elements along each pooled axis, at stride 1
        (MaxBlurPool). Element i becomes that of elements i and i + 1, and the last one stays, so that the
        length is kept.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
        With ``op="max"`` an element of the maximum takes part if one of its window does.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a window. A window with fewer, or with none, gives `fill`, has index
        -1 and sends no gradient.
    weights : ndarray, optional
        Weights of the elements: finite real numbers of at least 0, of a shape that broadcasts to that of `x`.
        A window whose weights add up to 0 is one without elements. Not with ``op="max"``.

    Returns
    -------
    ndarray, shape of `x`
        Of the kind of `x`, and of its dtype where that is a float, else of the dtype of `gy`; float64 where
        neither is a float.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or `gy` another shape than the result.

    See Also
    --------
    blur_pool : The function itself.
    vjp : The result and its way back.

    Notes
    -----
    Elements that are left out, and windows with too few elements, have gradient 0. Sums are kept in float64
    (16-bit floats may be in float32). The result is the same, bit for bit, for every number of threads. The
    first call of a kernel compiles it, which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Zhang 2019, Making convolutional networks shift-invariant again, arXiv 1904.11486.
    .. [2] Griewank, Walther 2008, Evaluating Derivatives, second edition, SIAM.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.blur_pool_backward(np.array([3.0, 4.0]), np.zeros(3), (3,))
    array([2.        , 2.33333333, 2.66666667])
    """
    about = _About(where, skipna, nodata, min_count, None, weights)
    call, peaks = _blur(x, window, stride, op, axes, about, None, recorded=True)
    return _pull(call, peaks, Kept.of(call.x), gy)  # type: ignore[no-any-return]


# Calls ---------------------------------------------------------------------------------------------------


class _About(NamedTuple):
    """What the caller says of missing data and weights."""

    where: Any
    skipna: Any
    nodata: Any
    min_count: Any
    fill: Any
    weights: Any


@dataclass(frozen=True)
class Call:
    """A checked call: of each pooled axis a table, and what is known of missing data.

    Attributes
    ----------
    shape : tuple of int
        Of the result.
    weights_like : (shape, dtype) or None
        Of the caller's weights.
    """

    x: Array
    row: Operator
    tables: dict[int, Table]
    shape: tuple[int, ...]
    target: np.dtype[Any]
    missing: Missing | None
    weights_like: tuple[tuple[int, ...], np.dtype[Any]] | None

    @property
    def mean(self) -> bool:
        """Whether sums are divided by what they weigh."""
        return self.row.averages

    def parts(self) -> Parts | None:
        """What kernels take of the missing data."""
        known = self.missing
        if known is None:
            return None
        blank = missing.fill_value(known, self.row, self.target)
        scale = _scale(known.weights)
        return Parts(known.where, known.weights, known.skipna, known.nodata, known.least, blank, scale)

    def result(self) -> Array:
        """The result."""
        y: Array = arrays.result(None, self.shape, self.target, self.x)
        if y.size:
            self.write(y, None)
        return y

    def write(self, y: Any, out: object) -> None:
        """The result into `y`; nothing where a cell has no value."""
        parts = self.parts()
        direct = y
        if out is not None:
            unsure = parts is not None and parts.fill is None
            direct = arrays.empty(self.shape, self.target, self.x) if unsure else arrays.written(y)
        counts = arrays.backend(self.x).weigh(self.x, self.tables, direct, mean=self.mean, parts=parts)
        if counts is not None and parts is not None:
            few = np.argwhere(arrays.to_host(counts) < parts.least)[0].tolist()
            count = int(arrays.to_host(counts)[tuple(few)])
            place = few if self.missing is None else self.missing.in_whole(few)
            raise missing.too_few(place, self.row, self.target, count, parts.least)
        if direct is not y and out is not None:
            arrays.assign(y, direct)

    def way(self, y: Array) -> ways.Way:
        """How the result is made."""
        found: ways.Way = arrays.backend(self.x).weigh_way(
            self.x, self.tables, y, mean=self.mean, parts=self.parts()
        )
        return found


def _scale(weights: Array | None) -> float:
    """A power of two that makes weights at most 1; 1 where they are."""
    if weights is None or not weights.size:
        return 1.0
    own = weights
    if isinstance(weights, np.ndarray):  # each element once
        own = weights[tuple(slice(1) if step == 0 else slice(None) for step in weights.strides)]
    return 2.0 ** -max(math.frexp(missing.extremes(own)[1])[1], 0)


def _call(x: Array, row: Operator, tables: dict[int, Table], about: _About, dtype: Any) -> Call:
    absent = about.where, about.skipna, about.nodata, about.min_count, about.fill
    return checked(x, row, tables, missing.asked(row, x, absent, about.weights, {}), dtype)


def checked(x: Array, row: Operator, tables: dict[int, Table], known: Missing | None, dtype: Any) -> Call:
    """The call, after the checks of what takes its tables together with what is known of missing data."""
    weights = None if known is None else known.weights
    target, like = result_dtype(row, x.dtype, dtype, weighed=weights is not None), None
    if known is not None:
        most = math.prod(int(table.count.max()) for table in tables.values())
        missing.check_least(known, most)
        missing.fill_value(known, row, target)
    if known is not None and weights is not None:
        like = tuple(weights.shape), weights.dtype
        known = known._replace(weights=arrays.spread_to(weights, x.shape, "weights"))
    return Call(x, row, tables, _shape(x, tables), target, known, like)


def _shape(x: Array, tables: dict[int, Table]) -> tuple[int, ...]:
    return tuple(tables[axis].outputs if axis in tables else n for axis, n in enumerate(x.shape))


def result_dtype(row: Operator, source: np.dtype[Any], wanted: Any, *, weighed: bool) -> np.dtype[Any]:
    """As `arrays.result_dtype`: sums of parts of integers are of float64."""
    if arrays.is_float(source) or (row.averages and not (weighed and wanted is None)):
        return arrays.result_dtype(row, source, wanted)
    if row.averages or wanted is None:
        return np.dtype(np.float64)
    try:
        dtype: np.dtype[Any] = np.dtype(wanted)
    except (TypeError, ValueError):
        raise TypeError(f"dtype must be the result's, as numpy.dtype takes it, got {wanted!r}") from None
    if arrays.name(dtype) not in arrays.FLOATS or not dtype.isnative:
        raise TypeError(
            f"dtype must be one of {', '.join(arrays.FLOATS)} for sums of parts of {source}, got {dtype}"
        )
    return dtype


def _area(x: object, output_size: Any, ratio: Any, op: object, axes: Any, about: _About, dtype: Any) -> Call:
    array = arrays.take("x", x)
    row, sizes = area_sizes(array, output_size, ratio, op, axes)
    # An error before tables are made, for results that no memory holds.
    np.empty([sizes.get(axis, n) for axis, n in enumerate(array.shape)], np.uint8)
    return _call(array, row, area_tables(array, row, sizes), about, dtype)


def area_sizes(
    x: Array, output_size: Any, ratio: Any, op: object, axes: Any
) -> tuple[Operator, dict[int, int]]:
    """The operator, and the number of cells along each pooled axis, without axes that stay as they are."""
    row = OPERATORS[checks.choice("op", checks.usual(op), AREA_OPS)]
    if (output_size is None) == (ratio is None):
        raise ValueError(
            f"exactly one of output_size and ratio must be given, got output_size={output_size!r} "
            f"and ratio={ratio!r}"
        )
    name, given = ("output_size", output_size) if ratio is None else ("ratio", ratio)
    pooled = checks.pooled_axes(name, given, axes, x.ndim)
    sizes = {}
    for axis, entry in zip(pooled, checks.entries(name, given, len(pooled)), strict=True):
        n = x.shape[axis]
        sizes[axis] = _by_ratio(n, entry) if ratio is not None else n
        if ratio is None and entry is not None:
            sizes[axis] = checks.integer("output_size", entry, minimum=1)
    if max(sizes.values()) > weighted.FARTHEST:
        raise ValueError(f"{name} must give at most {weighted.FARTHEST} outputs an axis, got {given!r}")
    if math.prod(sizes.get(axis, n) for axis, n in enumerate(x.shape)) > jobs.LARGEST:
        raise ValueError(f"{name} must give at most 2**62 outputs in all, got {given!r}")
    changed = [axis for axis in pooled if sizes[axis] != x.shape[axis]] or [pooled[-1]]
    for axis in pooled:
        if axis not in changed and x.shape[axis] < 1:
            changed.append(axis)  # whose table is an error
    return row, {axis: sizes[axis] for axis in changed}


def area_tables(x: Array, row: Operator, sizes: dict[int, int]) -> dict[int, Table]:
    """Of each pooled axis the table of its cells."""
    return {
        axis: jobs.on_axis(axis, _table, "area", x.shape[axis], size, row.averages)
        for axis, size in sizes.items()
    }


def _by_ratio(n: int, ratio: Any) -> int:
    factor = checks.number("ratio", ratio, FINITE_ABOVE_ZERO)
    return max(round(min(n / factor, 2.0 * weighted.FARTHEST)), 1)  # which is refused


def _table(kind: str, n: int, outputs: int, more: int) -> Table:
    make = _kept_table if n + outputs <= SMALL else new_table
    return make(kind, n, outputs, more)


def new_table(kind: str, n: int, outputs: int, more: int) -> Table:
    """The table of an axis of `n` elements, whose cells are areas, or whose weights are binomial."""
    if kind == "area":
        return weighted.area(n, outputs, mean=bool(more))
    return weighted.binomial(n, outputs, more)


_kept_table = lru_cache(64)(new_table)


# Blurs of maxima -----------------------------------------------------------------------------------------


class _Peaks(NamedTuple):
    """What blurs of maxima pool: the maxima's way back, and the input that it begins with."""

    x: Array
    pull: Pull


def _blur(
    x: object,
    window: Any,
    stride: Any,
    op: object,
    axes: Any,
    about: _About,
    dtype: Any,
    *,
    recorded: bool,
) -> tuple[Call, _Peaks | None]:
    array = arrays.take("x", x)
    peaks = is_of_maxima(op)
    tables = blur_tables(array, blur_steps(array, window, stride, axes))
    check_weights_of_maxima(about.weights, peaks=peaks)
    call = _call(array, OPERATORS["avg"], tables, about, dtype)
    return _of_peaks(call, tuple(tables), recorded=recorded) if peaks else (call, None)


def is_of_maxima(op: object) -> bool:
    """Whether a blur is of maxima: what its `op` says."""
    return op is not None and bool(checks.choice("op", op, ("max",)))


def check_weights_of_maxima(weights: Any, *, peaks: bool) -> None:
    """ValueError for weights of maxima."""
    if peaks and weights is not None:
        raise ValueError("weights must be None with op='max', whose maxima have none")


def blur_steps(x: Array, window: Any, stride: Any, axes: Any) -> dict[int, tuple[int, int]]:
    """The window and the stride of each pooled axis."""
    pooled = checks.pooled_axes("window", window, axes, x.ndim)
    lengths, strides = (
        checks.entries(name, given, len(pooled)) for name, given in (("window", window), ("stride", stride))
    )
    return {
        axis: (checks.integer("window", k, minimum=1), checks.integer("stride", s, minimum=1))
        for axis, k, s in zip(pooled, lengths, strides, strict=True)
    }


def blur_tables(x: Array, steps: dict[int, tuple[int, int]]) -> dict[int, Table]:
    """Of each pooled axis the table of its binomial weights."""
    return {
        axis: jobs.on_axis(axis, _table, "binomial", x.shape[axis], *each) for axis, each in steps.items()
    }


def _of_peaks(call: Call, pooled: tuple[int, ...], *, recorded: bool) -> tuple[Call, _Peaks]:
    """The call on maxima of two elements along each axis, and their way back."""
    x, known, own = call.x, call.missing, None
    if known is not None and known.masks:
        own = known._replace(least=1, fill=lowest(x.dtype))
        taken = arrays.backend(x).mask_of(x, known.where, known.nodata, skipna=known.skipna)
        where = _largest(arrays.cast(taken, np.bool_), pooled, None, recorded=recorded)[0]
        fill = missing.fill_value(known, call.row, call.target)
        known = known._replace(where=where, skipna=False, nodata=None, fill=fill)
    highest, pull = _largest(x, pooled, own, recorded=recorded)
    return replace(call, x=highest, missing=known), _Peaks(x, pull)


def _largest(
    x: Array, pooled: tuple[int, ...], known: Missing | None, *, recorded: bool
) -> tuple[Array, Pull]:
    two, one = [2] * len(pooled), [1] * len(pooled)
    _, job = jobs.sliding(x, "max", two, one, "same", 1, False, pooled, {})
    with ways.unasked():
        highest, pull = missing_jobs.part_of_call(job, x, known, recorded=recorded)
    return highest, pull


def lowest(dtype: np.dtype[Any]) -> Any:
    """What no maximum is below."""
    if arrays.is_float(dtype):
        return dtype.type(-math.inf)
    return dtype.type(0 if dtype == np.bool_ else np.iinfo(dtype).min)


# Both directions -----------------------------------------------------------------------------------------


def _forward(call: Call, peaks: _Peaks | None, x: Any, about: _About, out: Any) -> Array:
    if out is not None:
        arrays.check_apart(out, x=x, where=about.where, weights=about.weights)
    y = arrays.result(out, call.shape, call.target, call.x)
    if ways.ASKED.get() is not None:
        words = "cells, elements by their parts" if peaks is None else "binomial weights of maxima"
        ways.note(call.row.name, words, call.x, y, None, lambda: call.way(y))
    elif y.size:
        call.write(y, out)
    tape = jobs.tape_for(call.row)
    if tape is not None:
        tape.append(partial(_pull, call, peaks, Kept.of(call.x)))
    return y  # type: ignore[no-any-return]


def _pull(call: Call, peaks: _Peaks | None, kept: Kept, gy: object, *, params: bool = False) -> Any:
    """As `jobs.pull`."""
    gradient = jobs.checked_gradient(gy, call.shape)
    wanted = checks.boolean("params", params)
    own = replace(call, x=kept.beside(gradient))
    gx, slopes = backward(own, gradient, wanted=wanted)
    if peaks is not None:
        gx = peaks.pull(gx)
    return (gx, slopes) if wanted else gx


def backward(call: Call, gy: Array, *, wanted: bool) -> tuple[Array, dict[str, Array]]:
    """The gradient for the input and, where wanted, for weights."""
    x = call.x
    floating = next((a.dtype for a in (x, gy) if arrays.is_float(a.dtype)), np.dtype(np.float64))
    if call.missing is not None:
        return _backward_parts(call, call.missing, gy, floating, wanted=wanted)
    if not gy.size:
        return arrays.zeros(x.shape, floating, x), {}
    return _summed(arrays.cast(gy, floating), _transposed(call.tables), floating), {}


def _backward_parts(
    call: Call, known: Missing, gy: Array, floating: np.dtype[Any], *, wanted: bool
) -> tuple[Array, dict[str, Array]]:
    """As `backward`, where some elements take no part or have weights: all in float64.

    With the parts p, weights w and ``D = sum(p w)``, a mean's gradients are ``w sum(p g / D)`` for x and
    ``sum(p (x - y) g / D)`` for w, summed over the cells of an element; a sum's have neither D nor y.
    """
    x, backend, wide, scale = call.x, arrays.backend(call.x), np.dtype(np.float64), _scale(known.weights)
    mask = backend.mask_of(x, known.where, known.nodata, skipna=known.skipna)
    ones, weights, scaled = arrays.contiguous(mask, wide), None, None
    if known.weights is not None:
        weights = arrays.contiguous(known.weights, wide)
        scaled = arrays.times(weights, scale)
    plain = {axis: table.undivided() for axis, table in call.tables.items()}
    counting = {axis: table.counting() for axis, table in call.tables.items()}
    counts = arrays.cast(_summed(ones, counting, wide), np.int64)
    total = _summed(ones if scaled is None else backend.product(ones, scaled), plain, wide)
    enough = backend.settle(counts, known.least, None if weights is None else total, [])
    gradient = backend.shared(gy, enough, total if call.mean else None, wide)
    back = _transposed(plain if call.mean else call.tables)
    sent = _summed(gradient, back, wide)
    gx, slopes = arrays.copied(sent), {}
    backend.keep(gx, mask, scaled if call.mean else weights)
    if wanted and call.weights_like is not None:
        shape, dtype = call.weights_like
        lost = None
        if call.mean:
            values = x.astype(wide)
            backend.keep(values, mask, scaled)
            means = backend.shared(_summed(values, plain, wide), enough, total, wide)
            lost = _summed(backend.product(gradient, means), back, wide)
        slope = backend.slope_of_weights(x, mask, sent, lost, shape)
        slope = arrays.times(slope, scale) if call.mean else slope
        slopes["weights"] = arrays.cast(slope, dtype if arrays.is_float(dtype) else wide)
    return arrays.cast(gx, floating), slopes


def _summed(x: Array, tables: dict[int, Table], dtype: np.dtype[Any]) -> Array:
    y = arrays.empty(_shape(x, tables), dtype, x)
    if y.size:
        arrays.backend(x).weigh(x, tables, y, mean=False)
    return y


def _transposed(tables: dict[int, Table]) -> dict[int, Table]:
    return {axis: table.transposed() for axis, table in tables.items()}
