"""Regions of interest at fractional places: interpolated samples in the bins of boxes."""

from dataclasses import replace
from functools import partial
from typing import Any

from . import arrays, checks, jobs, missing_regions
from .arrays import Array
from .kinds import any_kind
from .missing import Missing, asked
from .operators import OPERATORS
from .regions import Align, align_call


@any_kind
def roi_align(
    x: Any,
    boxes: Any,
    output_size: Any,
    *,
    scale: float = 1.0,
    samples: int = 0,
    aligned: bool = True,
    op: str = "avg",
    where: Any = None,
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    weights: Any = None,
) -> Array:
    """Mean or maximum of interpolated samples in the bins of boxes, at fractional places (He et al. 2017).

    Each box is cut into ``output_size`` bins, and each bin has a grid of samples, each interpolated between
    its four neighbours::

        start = x1 scale - offset      offset = 0.5 if aligned else 0
        size = (x2 - x1) scale         at least 1 if not aligned
        bin = size / P                 P bins an axis
        grid = samples                 or with 0: ceil(bin) of each box and axis
        place[p, i] = start + p bin + (i + 0.5) bin / grid

    A sample before -1 or behind the axis' length counts as 0; else its place is moved to ``0..n-1``. What
    they interpolate does not depend on other elements: one of weight 0 is not read.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
        Of a float dtype.
    boxes : ndarray, shape (K, 5)
        Rows ``(batch, x1, y1, x2, y2)``, of any real dtype: the image, and two corners. Finite. They may be
        empty, lie outside, or have their corners exchanged; with ``samples=0`` a bin of such a box that has
        no sample gives 0.
    output_size : int or pair of int
        Bins along H and W.
    scale : float
        From the boxes' coordinates to those of `x`.
    samples : int
        Samples of a bin along each axis; 0: as many as the bin is long, rounded up.
    aligned : bool
        Whether pixel 0 reaches from 0 to 1 in the boxes' coordinates and has its centre at 0.5.
    op : {"avg", "max", "max_neighbour"}
        Mean or maximum of a bin's samples; of equal samples the first in row-major order has the gradient,
        a NaN wins, and those outside of `x` come before all others. ``"max_neighbour"`` is the maximum of
        what the samples' four neighbours weigh, not of their sum: the rule of ONNX's example of mode "max".
    where, skipna, nodata, min_count, fill, weights
        Which elements take part, and with what weights (of ``"avg"``), as in `pool`. A sample, or a mean, is
        then ``sum(w x) / sum(w)`` over the elements that take part, with `w` the interpolation's weight times
        the element's; what lies outside of `x` does not take part either. `min_count` counts elements that
        have a weight in the bin. Not with ``"max_neighbour"``.

    Returns
    -------
    ndarray, shape (K, C, PH, PW)
        Of the dtype of `x`; computed in float64, or float32 for 16 bits, and rounded once.

    Raises
    ------
    TypeError
        For an `x` that is not of floats, and arguments of a wrong type.
    ValueError
        For arrays of a wrong shape, coordinates that are not finite, an image that does not exist, and more
        samples of a box than 2**24 along an axis or, chosen by the caller, 2**31 in all.

    References
    ----------
    He, Gkioxari, Dollar, Girshick 2017, Mask R-CNN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.align import roi_align
    >>> x = np.arange(36.0).reshape(1, 1, 6, 6)
    >>> roi_align(x, np.array([[0, 0, 0, 3, 3]]), 2, aligned=False)
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
    gy: Any,
    x: Any,
    boxes: Any,
    output_size: Any,
    *,
    scale: float = 1.0,
    samples: int = 0,
    aligned: bool = True,
    op: str = "avg",
    where: Any = None,
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    weights: Any = None,
) -> Array:
    """Gradient of `roi_align` for `x`, without its result.

    A mean sends each sample's share to its four neighbours, a maximum the whole to those of the winning
    sample, by the weights of the interpolation. A plane's gradients are added in the order of the boxes, so
    that the bits do not depend on the number of threads.

    Parameters
    ----------
    gy : ndarray, shape (K, C, PH, PW)
        Gradient for the result.
    x, boxes, output_size, scale, samples, aligned, op, where, skipna, nodata, min_count, fill, weights
        As in `roi_align`.

    Returns
    -------
    ndarray, shape (N, C, H, W)
        Of the dtype of `x`; added up in float64, or float32 for 16 bits, and rounded once.

    Raises
    ------
    TypeError, ValueError
        As `roi_align`; and for a `gy` of another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.align import roi_align_backward
    >>> boxes = np.array([[0, 0.5, 0.5, 2.5, 2.5]])
    >>> roi_align_backward(np.ones((1, 1, 1, 1)), np.zeros((1, 1, 3, 3)), boxes, 1)
    array([[[[0.0625, 0.125 , 0.0625],
             [0.125 , 0.25  , 0.125 ],
             [0.0625, 0.125 , 0.0625]]]])
    """
    call = align_call(x, boxes, output_size, scale, samples, aligned, op)
    absent = _missing(call, (where, skipna, nodata, min_count, fill), weights)
    gradient = jobs.checked_gradient(gy, call.shape)
    if absent is not None:
        return missing_regions.backward(call, absent, gradient)[0]
    return call.backward(gradient, call.forward(keep=True)[1])


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
