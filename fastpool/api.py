"""The public forms and operators: one short function each. What they share is said at `pool`."""

from typing import Any

from numpy import ndarray

from . import arrays, jobs
from .kinds import any_kind
from .missing import asked
from .missing_jobs import forward


class _Off(int):
    """False, where nobody gave it: xarray's arrays have a default of their own."""

    def __repr__(self) -> str:
        return "False"


OFF: Any = _Off()
ONE = 1  # the default of `min_count`: small integers are one object each, and all others are looked at


@any_kind
def pool(
    x: Any,
    op: str,
    window: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    return_indices: bool = False,
    out: Any = None,
    dtype: Any = None,
    **op_params: Any,
) -> Any:
    """Reduce sliding windows of any axes of an array with the operator named `op`.

    Parameters
    ----------
    x : ndarray
        Any strides, alignment and byte order; never written. The batch may be empty, pooled axes may not.
        The mask of a `numpy.ma.MaskedArray` is what takes no part, beside `where`; then the result is masked
        where it would be filled, and needs no `fill`. Indices are plain, -1 there, and gradients plain.
    op : str
        ``"max"``, ``"min"``, ``"count"``, ``"avg"``, ``"sum"``, ``"lp"``, ``"gem"``, ``"lse"``, ``"soft"``,
        ``"mixed"``, ``"stochastic"``, ``"median"``, ``"quantile"`` or ``"mode"``; each has a function of its
        own (`max_pool`, ...), whose page gives its formula and parameters.
    window : int or sequence of int
        Elements a window covers. A sequence pools the last ``len(window)`` axes; an int every axis after the
        first two, of arrays with four axes and more (with three it does not say whether they are (N, C, L) or
        (C, H, W), and is refused).
    stride : int or sequence of int, optional
        Distance between windows; the window by default.
    padding : int, sequence, or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one an axis, or a (before, after) pair an axis.
        ``"same"`` gives ``ceil(n / stride)`` outputs, the surplus after; ``"same_lower"`` puts it before.
        Less than the dilated window. Padding is never a value: it cannot win, and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up, not down. A window that would start past the input and the padding
        before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; `window` and the others follow that order.
    where : ndarray of bool, optional
        True where an element takes part; of a shape that broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out is as padding is: neither value nor count, and its gradient is 0. Averages divide
        by the number of elements that take part.
    skipna : bool
        Leave NaNs out.
    nodata : number, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a window; one of fewer, or of none, gives `fill`, index -1, and sends
        no gradient. With 0 a sum, or a count, of no elements is 0.
    fill : number, optional
        By default NaN for floats, the `nodata` value for integers, if there is one, and 0 for counts; else
        such a window is a ValueError.
    return_indices : bool
        Return ``(y, indices)`` (max, min and stochastic): flat C-order positions in the pooled axes of one
        plane, in unpadded coordinates; int32 while a plane has fewer than 2**31 elements, else int64.
    out : ndarray, optional
        Where to write the result: its shape and dtype, writeable, sharing no memory with `x`; returned.
    dtype : dtype, optional
        Dtype of the result; a float for float input.
    **op_params
        Parameters of the operator; for avg, sum and count also `weights`, see `avg_pool`.

    Returns
    -------
    ndarray or (ndarray, ndarray)
        The result, C-contiguous, the axes in their order, with
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows on a pooled axis.

    Raises
    ------
    TypeError
        For a wrong type or dtype, or a parameter that the operator does not take.
    ValueError
        For a bad value, for a geometry in which a window covers no element, and for a window of integers with
        too few elements where nothing says what to fill in; nothing is written to `out` then.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.arange(12).reshape(3, 4)
    >>> fp.pool(x, "max", (2, 2))
    array([[5, 7]])
    >>> fp.pool(x, "sum", 2, axes=0, ceil_mode=True)
    array([[ 4,  6,  8, 10],
           [ 8,  9, 10, 11]])
    >>> holes = np.array([1.0, np.nan, np.nan, np.nan, 3.0, 5.0])
    >>> fp.pool(holes, "avg", (2,), skipna=True)
    array([ 1., nan,  4.])
    >>> fp.pool(x, "max", (3, 2), nodata=9)
    array([[ 8, 11]])
    """
    weights = op_params.pop("weights", None)
    array, job = jobs.sliding(x, op, window, stride, padding, dilation, ceil_mode, axes, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    if out is not None:
        arrays.check_apart(out, x=x, where=where, weights=weights)
    return forward(job, array, missing, return_indices=return_indices, out=out, dtype=dtype)


def _named(
    x: Any,
    op: str,
    window: Any,
    around: tuple[Any, ...],
    absent: tuple[Any, ...],
    return_indices: bool,
    out: Any,
    dtype: Any,
    op_params: dict[str, Any],
) -> Any:
    """`pool` for the functions of one operator; for NumPy's arrays without its keywords (0.5 us)."""
    where, skipna, nodata, min_count, fill = absent
    if (
        type(x) is ndarray
        and where is None
        and (skipna is OFF or skipna is False)
        and nodata is None
        and fill is None
        and min_count is ONE
        and "weights" not in op_params
    ):
        array, job = jobs.sliding(x, op, window, *around, op_params)
        if out is not None:
            arrays.check_apart(out, x=x)
        return jobs.forward(job, array, return_indices=return_indices, out=out, dtype=dtype)
    stride, padding, dilation, ceil_mode, axes = around
    if skipna is not OFF:
        op_params = {**op_params, "skipna": skipna}
    return pool(
        x,
        op,
        window,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        axes=axes,
        where=where,
        nodata=nodata,
        min_count=min_count,
        fill=fill,
        return_indices=return_indices,
        out=out,
        dtype=dtype,
        **op_params,
    )


def max_pool(
    x: Any,
    window: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    return_indices: bool = False,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Largest element of each sliding window; the arguments are those of `pool`.

    ``y[o] = max x[i]`` over the window. A NaN wins; of ties and of NaNs the first in row-major order gives
    the index and receives the gradient. All dtypes. ``max_pool(x, ...) = -min_pool(-x, ...)``.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.max_pool(np.array([3, 1, 4, 1, 5, 9]), (3,), stride=2, padding=1, return_indices=True)
    (array([3, 4, 9]), array([0, 2, 5], dtype=int32))
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "max", window, around, absent, return_indices, out, dtype, {})


def min_pool(
    x: Any,
    window: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    return_indices: bool = False,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Smallest element of each sliding window; the arguments are those of `pool`, the rules of `max_pool`.

    ``y[o] = min x[i]`` over the window. All dtypes.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.min_pool(np.array([3, 1, 4, 1, 5, 9]), (2,))
    array([1, 1, 5])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "min", window, around, absent, return_indices, out, dtype, {})


def avg_pool(
    x: Any,
    window: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    weights: Any = None,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Mean of each sliding window; the other arguments are those of `pool`.

    ``y[o] = (sum of x[i]) / divisor``. Floats accumulate in float64 (float64 with its rounding error), so
    that a window of any size is right to a few ulp; where the exact value is finite the result is, however
    large the elements. Integers average exactly and round half up, to the same dtype, and where a
    `divisor_override` leaves no room for the average they wrap, as NumPy's integers do; with a float `dtype`
    they are not rounded. Of bool it is the fraction that is True, as float64 or the float `dtype`. All
    dtypes.

    Parameters
    ----------
    count_include_pad : bool
        The divisor is the window clipped to the padded input, else to the input. The overhang that
        `ceil_mode` adds counts in neither.
    divisor_override : int, optional
        A divisor for every window instead: 32 bits, not 0.
    weights : ndarray, optional
        Real numbers from 0 on, of a shape that broadcasts to that of `x`: ``y[o] = sum of w[i] x[i] / sum of
        w[i]``, of integers as float64. A window whose weights add up to 0 is one without elements. They have
        a gradient: ``fp.vjp(...)[1](gy, params=True)[1]["weights"]``.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.avg_pool(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), (2,), ceil_mode=True)
    array([1.5, 3.5, 5. ])
    >>> fp.avg_pool(np.array([1, 2, -1, -2]), (2,))
    array([ 2, -1])
    >>> fp.avg_pool(np.array([True, False, False, False]), (4,))
    array([0.25])
    >>> latitudes = np.deg2rad([0, 60, -60])  # the areas of grid cells go with their cosines
    >>> fp.avg_pool(np.array([[4.0], [1.0], [1.0]]), (3, 1), weights=np.cos(latitudes)[:, None])
    array([[2.5]])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(
        x,
        "avg",
        window,
        around,
        absent,
        False,
        out,
        dtype,
        {
            "count_include_pad": count_include_pad,
            "divisor_override": divisor_override,
            **({} if weights is None else {"weights": weights}),
        },
    )


def sum_pool(
    x: Any,
    window: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    weights: Any = None,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Sum of each sliding window; the arguments are those of `pool`.

    ``y[o] = sum of x[i]``. Floats accumulate as in `avg_pool`; integers promote as `numpy.sum` does and wrap;
    of bool it counts those that are True. All dtypes. ``sum_pool(ones) = `` the number of elements in each
    window.

    Parameters
    ----------
    weights : ndarray, optional
        As in `avg_pool`: ``y[o] = sum of w[i] x[i]``, of integers as float64.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.sum_pool(np.array([200, 100, 7], np.uint8), (2,), ceil_mode=True)
    array([300,   7], dtype=uint64)
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    given = {} if weights is None else {"weights": weights}
    return _named(x, "sum", window, around, absent, False, out, dtype, given)


def count_pool(
    x: Any,
    window: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    weights: Any = None,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Number of elements of each sliding window that take part; the arguments are those of `pool`.

    ``y[o] = sum of 1`` over the window's real elements, those that `where`, `skipna` and `nodata` leave out
    not counted; int64. With `weights` the sum of their weights, float64. Windows with fewer elements than
    `min_count` give `fill`, which is 0 by default. All dtypes; no gradient.

    Parameters
    ----------
    weights : ndarray, optional
        Real numbers from 0 on, of a shape that broadcasts to that of `x`.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.array([1.0, np.nan, np.nan, np.nan, 3.0, 4.0])
    >>> fp.count_pool(x, (2,), skipna=True)
    array([1, 0, 2])
    >>> fp.count_pool(x, (2,), skipna=True) / fp.count_pool(x, (2,))  # the fraction that is there
    array([0.5, 0. , 1. ])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    given = {} if weights is None else {"weights": weights}
    return _named(x, "count", window, around, absent, False, out, dtype, given)


def lp_pool(
    x: Any,
    window: Any,
    *,
    p: float = 2,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """p-norm of each sliding window; the other arguments are those of `pool`.

    ``y[o] = (sum |x[i]|**p)**(1/p)`` (Gulcehre et al. 2014, arXiv 1311.1780, without the mean), computed
    relative to the window's largest magnitude, so that no power overflows. The gradient is
    ``sign(x) (|x|/y)**(p-1)``, and 0 where `x` or the value is 0. A NaN wins. Floats.
    ``lp_pool(x, ..., p=1) = sum_pool(abs(x), ...)``.

    Parameters
    ----------
    p : float
        Above 0; infinity gives the largest magnitude.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.lp_pool(np.array([3.0, -4.0, 0.0, 0.0]), (2,))
    array([5., 0.])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "lp", window, around, absent, False, out, dtype, {"p": p})


def gem_pool(
    x: Any,
    window: Any,
    *,
    p: float = 3,
    eps: float = 1e-6,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Generalised mean of each sliding window; the other arguments are those of `pool`.

    ``y[o] = (mean of max(x[i], eps)**p)**(1/p)`` over the window's real elements (Radenovic et al. 2018,
    arXiv 1711.02512), computed relative to the window's largest, so that no power overflows. The gradient is
    ``(x/y)**(p-1) / n``, and 0 where ``x < eps``; `p` has one as well. A NaN wins. Floats.
    ``p=1`` is the mean, ``p=inf`` the largest.

    Parameters
    ----------
    p : float
        Above 0.
    eps : float
        Above 0: smaller elements count as this.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.gem_pool(np.array([1.0, 7.0, 2.0, 2.0]), (2,), p=2)
    array([5., 2.])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "gem", window, around, absent, False, out, dtype, {"p": p, "eps": eps})


def lse_pool(
    x: Any,
    window: Any,
    *,
    r: float = 1,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Log of the mean exponential of each sliding window; the other arguments are those of `pool`.

    ``y[o] = log(mean of exp(r x[i])) / r`` over the window's real elements (Pinheiro and Collobert 2015,
    arXiv 1411.6228), shifted by the window's largest ``r x``, so that nothing overflows. Between the mean (r
    near 0) and the largest (r large); a negative `r` leans to the smallest. The gradient is
    ``softmax(r x)``; `r` has one as well. A NaN wins. Floats.

    Parameters
    ----------
    r : float
        Finite, not 0.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.lse_pool(np.log([1.0, 3.0, 5.0, 5.0]), (2,)).round(4)  # log 2, log 5
    array([0.6931, 1.6094])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "lse", window, around, absent, False, out, dtype, {"r": r})


def soft_pool(
    x: Any,
    window: Any,
    *,
    beta: float = 1,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Mean of each sliding window, weighted by the exponentials of its elements; see `pool`.

    ``y[o] = sum of w[i] x[i]`` with ``w = softmax(beta x)`` over the window's real elements (Stergiou et al.
    2021, SoftPool, arXiv 2101.00440), shifted by the window's largest ``beta x``, so that nothing overflows.
    The gradient is the true one, ``w (1 + beta (x - y))``; `beta` has one as well. A NaN wins. Floats.
    ``beta=0`` is the mean.

    Parameters
    ----------
    beta : float
        Finite.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.soft_pool(np.array([0.0, np.log(3.0), 2.0, 2.0]), (2,)).round(4)  # 3/4 log 3
    array([0.824, 2.   ])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "soft", window, around, absent, False, out, dtype, {"beta": beta})


def mixed_pool(
    x: Any,
    window: Any,
    *,
    alpha: float = 0.5,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Blend of largest and mean of each sliding window; the other arguments are those of `pool`.

    ``y[o] = alpha max + (1 - alpha) avg`` (Lee et al. 2016, arXiv 1509.08985), with the rules of `max_pool`
    and `avg_pool`. The gradient is the same blend of theirs; that of `alpha` is ``max - avg``. A NaN wins.
    Floats.

    Parameters
    ----------
    alpha : float
        From 0 to 1.
    count_include_pad, divisor_override
        As in `avg_pool`.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.mixed_pool(np.array([1.0, 5.0, 2.0, 2.0]), (2,), alpha=0.25)  # 5/4 + 9/4
    array([3.5, 2. ])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(
        x,
        "mixed",
        window,
        around,
        absent,
        False,
        out,
        dtype,
        {"alpha": alpha, "count_include_pad": count_include_pad, "divisor_override": divisor_override},
    )


def stochastic_pool(
    x: Any,
    window: Any,
    *,
    rng: Any = None,
    training: bool = True,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    return_indices: bool = False,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """One element of each sliding window, drawn at random; the other arguments are those of `pool`.

    Training: ``y[o] = x[l]`` with ``l`` drawn with probability ``w[l] / sum of w``, ``w = max(x, 0)`` (Zeiler
    and Fergus 2013, arXiv 1301.3557); the gradient goes to the drawn element. Testing: the expected value,
    ``sum of w[i] x[i] / sum of w``, with the gradient ``(2 x - y) / sum of w`` where ``x > 0``. In a window
    without a positive element training takes the first one, and testing gives 0. A NaN is drawn. Floats.

    Parameters
    ----------
    rng : int, numpy.random.Generator, fastpool.random.Draws or None
        Seed of a counter-based generator (Philox 4x32-10), keyed by the seed and the output's flat position:
        the same draw for every number of threads. A generator gives a seed, None a fresh one.
        ``Draws(seed, start)`` counts outputs from `start`, for a batch that is processed in parts.
    training : bool
        Draw, or give the expected value.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.array([0.0, 4.0, -1.0, 3.0, 1.0, 0.0])
    >>> fp.stochastic_pool(x, (2,), rng=7, return_indices=True)  # one positive element each
    (array([4., 3., 1.]), array([1, 3, 4], dtype=int32))
    >>> fp.stochastic_pool(x, (3,), training=False)  # 16/4, 10/4
    array([4. , 2.5])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(
        x,
        "stochastic",
        window,
        around,
        absent,
        return_indices,
        out,
        dtype,
        {"rng": rng, "training": training},
    )


def median_pool(
    x: Any,
    window: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Median of each sliding window; the arguments are those of `pool`.

    The middle of the window's sorted real elements; of an even number of floats the mean of the middle two,
    of integers and bools the lower. The gradient goes to the elements used, of ties those that come first.
    A NaN wins. All dtypes. ``median_pool = quantile_pool(q=0.5)``.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.median_pool(np.array([3.0, 9.0, 1.0, 2.0, 4.0, 8.0]), (3,))
    array([3., 4.])
    >>> fp.median_pool(np.array([7, 4, 1, 2]), (2,))
    array([4, 1])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "median", window, around, absent, False, out, dtype, {})


def quantile_pool(
    x: Any,
    window: Any,
    *,
    q: float,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Quantile of each sliding window; the other arguments are those of `pool`.

    With the window's n real elements sorted, the value at ``q (n - 1)``, interpolated linearly between its
    neighbours as `numpy.quantile` does (Hyndman and Fan 1996, definition 7); for integers the lower
    neighbour. The gradient goes to the elements used, ``1 - t`` and ``t``. A NaN wins. All dtypes but bool.

    Parameters
    ----------
    q : float
        From 0 (smallest) to 1 (largest).

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.quantile_pool(np.array([3.0, 9.0, 1.0, 2.0, 4.0, 8.0]), (3,), q=0.75)
    array([6., 6.])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "quantile", window, around, absent, False, out, dtype, {"q": q})


def mode_pool(
    x: Any,
    window: Any,
    *,
    ignore: int | None = None,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    where: Any = None,
    skipna: bool = OFF,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Most frequent value of each sliding window; the other arguments are those of `pool`.

    Ties go to the smallest. No gradient. Integers (labels) and bool.

    Parameters
    ----------
    ignore : int, optional
        A value that does not count (such as a background label), unless a window has no other.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> labels = np.array([[0, 7, 3, 4], [0, 7, 4, 3]])
    >>> fp.mode_pool(labels, (2, 2))
    array([[0, 3]])
    >>> fp.mode_pool(labels, (2, 2), ignore=0)
    array([[7, 3]])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "mode", window, around, absent, False, out, dtype, {"ignore": ignore})


@any_kind
def adaptive_pool(
    x: Any,
    op: str,
    output_size: Any,
    *,
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
    """Reduce as many bins an axis as asked for: bin i covers ``[floor(i n / o), ceil((i + 1) n / o))``.

    Parameters
    ----------
    x : ndarray
        As in `pool`.
    op : str
        An operator's name, as in `pool`.
    output_size : int or sequence of (int or None)
        Outputs of each pooled axis; None keeps an axis's length. A sequence pools the last axes, an int every
        axis after the first two of four and more, as `window` does in `pool`.
    axes, return_indices, out, **op_params
        As in `pool`. An average divides by the bin's own size.

    Returns
    -------
    ndarray or (ndarray, ndarray)
        As in `pool`.

    Raises
    ------
    TypeError, ValueError
        As in `pool`.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.adaptive_pool(np.arange(7.0), "avg", (3,))
    array([1., 3., 5.])
    """
    weights = op_params.pop("weights", None)
    array, job = jobs.adaptive(x, op, output_size, axes, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    if out is not None:
        arrays.check_apart(out, x=x, where=where, weights=weights)
    return forward(job, array, missing, return_indices=return_indices, out=out)


def adaptive_avg_pool(x: Any, output_size: Any, *, axes: Any = None, out: Any = None) -> Any:
    """Mean of each adaptive bin: ``adaptive_pool(x, "avg", output_size)``.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.adaptive_avg_pool(np.array([[1.0, 3.0], [5.0, 7.0]]), (1, None))
    array([[3., 5.]])
    """
    return adaptive_pool(x, "avg", output_size, axes=axes, out=out)


def adaptive_max_pool(
    x: Any, output_size: Any, *, axes: Any = None, return_indices: bool = False, out: Any = None
) -> Any:
    """Largest element of each adaptive bin: ``adaptive_pool(x, "max", output_size)``.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.adaptive_max_pool(np.array([3, 1, 4, 1, 5]), (2,), return_indices=True)
    (array([4, 5]), array([2, 4], dtype=int32))
    """
    return adaptive_pool(x, "max", output_size, axes=axes, return_indices=return_indices, out=out)


@any_kind
def global_pool(
    x: Any,
    op: str,
    *,
    axes: Any = None,
    keepdims: bool = False,
    where: Any = None,
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    fill: Any = None,
    **op_params: Any,
) -> Any:
    """Reduce whole axes with any operator.

    Parameters
    ----------
    x : ndarray
        As in `pool`.
    op : str
        An operator's name, as in `pool`.
    axes : int or sequence of int, optional
        The pooled axes; by default every axis after the first two.
    keepdims : bool
        Keep the pooled axes, with length 1.
    **op_params
        Parameters of the operator.

    Returns
    -------
    ndarray
        C-contiguous; of no dimensions where every axis is pooled.

    Raises
    ------
    TypeError, ValueError
        As in `pool`.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.global_pool(np.arange(12.0).reshape(1, 2, 2, 3), "avg")
    array([[2.5, 8.5]])
    """
    weights = op_params.pop("weights", None)
    array, job = jobs.whole(x, op, axes, keepdims, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    return forward(job, array, missing)


def global_avg_pool(x: Any, *, axes: Any = None, keepdims: bool = False) -> Any:
    """Mean over whole axes: ``global_pool(x, "avg")`` (Lin et al. 2014, Network in Network).

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.global_avg_pool(np.array([[1.0, 3.0], [5.0, 7.0]]), axes=(0, 1))
    array(4.)
    """
    return global_pool(x, "avg", axes=axes, keepdims=keepdims)


def global_max_pool(x: Any, *, axes: Any = None, keepdims: bool = False) -> Any:
    """Largest element of whole axes: ``global_pool(x, "max")``.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.global_max_pool(np.array([[1, 8], [5, 7]]), axes=0, keepdims=True)
    array([[5, 8]])
    """
    return global_pool(x, "max", axes=axes, keepdims=keepdims)


def global_sum_pool(x: Any, *, axes: Any = None, keepdims: bool = False) -> Any:
    """Sum over whole axes: ``global_pool(x, "sum")``.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.global_sum_pool(np.array([[1, 8], [5, 7]]), axes=1)
    array([ 9, 12])
    """
    return global_pool(x, "sum", axes=axes, keepdims=keepdims)
