"""Regions of interest at fractional places: interpolated samples in the bins of boxes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Literal, Unpack, overload

from . import annotations as types
from . import arrays, checks, jobs, missing_regions
from .annotations import AnyArray, ArrayT, Lengths, Mask, Number, NumpyArray, Result, Rois
from .arrays import Array
from .kinds import any_kind
from .missing import Missing, asked
from .operators import OPERATORS
from .regions import Align, align_call


@overload
def roi_align(
    x: NumpyArray, boxes: Rois, output_size: Lengths, **keywords: Unpack[types.Align]
) -> NumpyArray: ...
@overload
def roi_align(x: ArrayT, boxes: Rois, output_size: Lengths, **keywords: Unpack[types.Align]) -> ArrayT: ...
@any_kind
def roi_align(
    x: AnyArray,
    boxes: Rois,
    output_size: Lengths,
    *,
    scale: float = 1.0,
    samples: int = 0,
    aligned: bool = True,
    op: Literal["avg", "mean", "max", "max_neighbour"] = "avg",
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    weights: AnyArray | None = None,
) -> Result:
    """Reduce the bins of boxes at fractional places to means or maxima of samples.

    Each box is cut into `output_size` bins, and each bin has a grid of samples, each interpolated linearly
    between its neighbours, two along each pooled axis::

        start = x1 scale - offset      offset = 0.5 if aligned else 0
        size = (x2 - x1) scale         at least 1 if not aligned
        bin = size / P                 P bins along an axis
        grid = samples                 or with 0: ceil(bin) of each box and axis
        place[p, i] = start + p bin + (i + 0.5) bin / grid

    A sample before -1 or after the length of the axis counts as 0; any other is moved to ``0..n - 1``. A
    neighbour of weight 0 is not read.

    Parameters
    ----------
    x : ndarray, shape (N, C, L), (N, C, H, W) or (N, C, D, H, W)
        Of floats; a NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch or JAX. It is never
        written.
    boxes : ndarray, shape (K, 5), or list of ndarray, shape (k, 4)
        Rows ``(image, x1, y1, x2, y2)`` of any real dtype: the number of an image, and two corners of a box,
        with x along the last axis. Or a list with an array for each image, of rows ``(x1, y1, x2, y2)``. With
        one pooled axis rows are ``(image, x1, x2)``, with three ``(image, x1, y1, z1, x2, y2, z2)``. They
        must be finite. A box may be empty, lie outside or have its corners exchanged; with ``samples=0`` a
        bin of it that has no sample gives 0.
    output_size : int or sequence of int
        Bins along each pooled axis.
    scale : float
        Factor from the coordinates of the boxes to elements of `x`; above 0.
    samples : int
        Samples of a bin along each axis. With 0 there are as many as the bin is long, rounded up.
    aligned : bool
        Whether element 0 reaches from 0 to 1 in the coordinates of the boxes, with its centre at 0.5.
        Otherwise its centre is at 0.
    op : {"avg", "max", "max_neighbour"}
        Mean or maximum of the samples of a bin. ``"max_neighbour"`` is the maximum of what the
        neighbours of each sample weigh, not of their sum, as in ONNX's example of the mode "max".
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements with a weight in the bin that must take part. A bin with fewer gives `fill` and sends no
        gradient.
    fill : int or float, optional
        What a bin with too few elements gives; by default NaN.
    weights : ndarray, optional
        Weights of the elements, of means alone: finite real numbers of at least 0, of a shape that broadcasts
        to that of `x`. A bin whose weights add up to 0 is one without elements.

    Returns
    -------
    ndarray, shape (K, C, PH, PW), or as many bins as axes are pooled
        Of the kind and dtype of `x`.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or if `x` is not of floats.
    ValueError
        If an array has a wrong shape, boxes are not finite or name an image that does not exist, or if a box
        has more samples than 2**24 along an axis (along all but the last together) or, where the caller chose
        their number, 2**31 in all; 2**24 in all for maxima with missing data.

    See Also
    --------
    roi_pool : Boxes that are rounded to whole elements, any operator.
    roi_align_backward : Gradient of this function.
    area_pool : Cells of equal length over whole axes.

    Notes
    -----
    Of equal samples the first in row-major order has the gradient; samples outside of `x` come before all
    others. A NaN wins. Computed in float64, or in float32 for 16 bits, and rounded once.

    Where elements may be left out or have weights, a mean, or each sample of a maximum, is
    ``sum(a w x) / sum(a w)`` over what takes part, with a the weight of the interpolation and w that of the
    element. What lies outside of `x` does not take part then. ``"max_neighbour"`` takes no missing data.

    The first call of a kernel compiles it, which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] He, Gkioxari, Dollar, Girshick 2017, Mask R-CNN, arXiv 1703.06870.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.arange(36.0).reshape(1, 1, 6, 6)
    >>> fp.roi_align(x, np.array([[0, 0, 0, 3, 3]]), 2, aligned=False)
    array([[[[ 5.25,  6.75],
             [14.25, 15.75]]]])
    """
    call = align_call(x, boxes, output_size, scale, samples, aligned, op)
    absent = _missing(call, (where, skipna, nodata, min_count, fill), weights)
    tape = jobs.TAPE.get()
    if absent is not None:
        y = missing_regions.forward(call, absent)
        if tape is not None:
            tape.append(partial(missing_regions.pull, call, absent, jobs.Kept.of(call.x)))
        return y
    y, winners = call.forward(keep=tape is not None)
    if tape is not None:
        tape.append(partial(_pull, call, jobs.Kept.of(call.x), winners))
    return y


@any_kind
def roi_align_backward(
    gy: ArrayT,
    x: ArrayT,
    boxes: Rois,
    output_size: Lengths,
    *,
    scale: float = 1.0,
    samples: int = 0,
    aligned: bool = True,
    op: Literal["avg", "mean", "max", "max_neighbour"] = "avg",
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    weights: AnyArray | None = None,
) -> ArrayT:
    """Compute the gradient of `roi_align` for `x`.

    ``gx[i] = sum over o of gy[o] dy[o]/dx[i]``, where y is ``roi_align(x, boxes, output_size, ...)`` with the
    same arguments. A mean sends the share of each sample to its neighbours, by their weights; a maximum
    sends all to those of the winning sample.

    Parameters
    ----------
    gy : ndarray, shape of the result
        Gradient for the result.
    x : ndarray, shape (N, C, L), (N, C, H, W) or (N, C, D, H, W)
        Of floats; a NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch or JAX. It is never
        written.
    boxes : ndarray, shape (K, 5), or list of ndarray, shape (k, 4)
        Rows ``(image, x1, y1, x2, y2)`` of any real dtype: the number of an image, and two corners of a box,
        with x along the last axis. Or a list with an array for each image, of rows ``(x1, y1, x2, y2)``. With
        one pooled axis rows are ``(image, x1, x2)``, with three ``(image, x1, y1, z1, x2, y2, z2)``. They
        must be finite. A box may be empty, lie outside or have its corners exchanged; with ``samples=0`` a
        bin of it that has no sample gives 0.
    output_size : int or sequence of int
        Bins along each pooled axis.
    scale : float
        Factor from the coordinates of the boxes to elements of `x`; above 0.
    samples : int
        Samples of a bin along each axis. With 0 there are as many as the bin is long, rounded up.
    aligned : bool
        Whether element 0 reaches from 0 to 1 in the coordinates of the boxes, with its centre at 0.5.
        Otherwise its centre is at 0.
    op : {"avg", "max", "max_neighbour"}
        Mean or maximum of the samples of a bin. ``"max_neighbour"`` is the maximum of what the
        neighbours of each sample weigh, not of their sum, as in ONNX's example of the mode "max".
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements with a weight in the bin that must take part. A bin with fewer gives `fill` and sends no
        gradient.
    fill : int or float, optional
        What a bin with too few elements gives; by default NaN.
    weights : ndarray, optional
        Weights of the elements, of means alone: finite real numbers of at least 0, of a shape that broadcasts
        to that of `x`. A bin whose weights add up to 0 is one without elements.

    Returns
    -------
    ndarray, shape of `x`
        Of the kind and dtype of `x`.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or if `x` is not of floats.
    ValueError
        As `roi_align` raises it, and if `gy` has another shape than the result.

    See Also
    --------
    roi_align : The function itself.
    vjp : The result and its way back.

    Notes
    -----
    Added up in float64, or in float32 for 16 bits, and rounded once. The gradients of a plane add up in the
    order of the boxes, so that the bits do not depend on the number of threads. The first call of a kernel
    compiles it, which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] He, Gkioxari, Dollar, Girshick 2017, Mask R-CNN, arXiv 1703.06870.
    .. [2] Griewank, Walther 2008, Evaluating Derivatives, second edition, SIAM.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> boxes = np.array([[0, 0.5, 0.5, 2.5, 2.5]])
    >>> fp.roi_align_backward(np.ones((1, 1, 1, 1)), np.zeros((1, 1, 3, 3)), boxes, 1)
    array([[[[0.0625, 0.125 , 0.0625],
             [0.125 , 0.25  , 0.125 ],
             [0.0625, 0.125 , 0.0625]]]])
    """
    call = align_call(x, boxes, output_size, scale, samples, aligned, op)
    absent = _missing(call, (where, skipna, nodata, min_count, fill), weights)
    gradient = jobs.checked_gradient(gy, call.shape)
    if absent is not None:
        return missing_regions.backward(call, absent, gradient)[0]  # type: ignore[return-value]
    return call.backward(gradient, call.forward(keep=True)[1])  # type: ignore[return-value]


def _pull(call: Align, kept: jobs.Kept, winners: Array | None, gy: object, *, params: bool = False) -> Any:
    gradient = jobs.checked_gradient(gy, call.shape)
    own = winners if winners is None else arrays.beside(winners, gradient)
    gx = replace(call, x=kept.beside(gradient)).backward(gradient, own)
    return (gx, {}) if checks.boolean("params", params) else gx


def _missing(call: Align, absent: tuple[Any, ...], weights: Any) -> Missing | None:
    """What a call says of missing data; None where it says nothing."""
    known = asked(OPERATORS["avg" if call.op == "avg" else "max"], call.x, absent, weights, {})
    if known is not None and call.op == "max_neighbour":
        raise ValueError("op must be 'avg' or 'max' where data is missing, got 'max_neighbour'")
    return known
