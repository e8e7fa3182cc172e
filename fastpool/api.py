"""The public forms and operators: one short function each. What they share is said at `pool`."""

from typing import Any

from . import jobs


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
    op : str
        ``"max"``, ``"min"``, ``"avg"``, ``"sum"`` or ``"lp"``; each has a function of its own (`max_pool`,
        ...), whose page gives its formula and parameters.
    window : int or sequence of int
        Elements a window covers. A sequence pools the last ``len(window)`` axes; an int every axis after the
        first two.
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
    return_indices : bool
        Return ``(y, indices)`` (max and min): flat C-order positions in the pooled axes of one plane, in
        unpadded coordinates; int32 while a plane has fewer than 2**31 elements, else int64.
    out : ndarray, optional
        Where to write the result: its shape and dtype, writeable, sharing no memory with `x`; returned.
    dtype : dtype, optional
        Dtype of the result; a float for float input.
    **op_params
        Parameters of the operator.

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
        For a bad value, and for a geometry in which a window covers no element.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.arange(12).reshape(3, 4)
    >>> fp.pool(x, "max", (2, 2))
    array([[5, 7]])
    >>> fp.pool(x, "sum", 2, axes=0, ceil_mode=True)
    array([[ 4,  6,  8, 10],
           [ 8,  9, 10, 11]])
    """
    array, job = jobs.sliding(x, op, window, stride, padding, dilation, ceil_mode, axes, op_params)
    return jobs.forward(job, array, return_indices=return_indices, out=out, dtype=dtype)


def max_pool(
    x: Any,
    window: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
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
    return pool(
        x,
        "max",
        window,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        axes=axes,
        return_indices=return_indices,
        out=out,
        dtype=dtype,
    )


def min_pool(
    x: Any,
    window: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
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
    return pool(
        x,
        "min",
        window,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        axes=axes,
        return_indices=return_indices,
        out=out,
        dtype=dtype,
    )


def avg_pool(
    x: Any,
    window: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: Any = None,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Mean of each sliding window; the other arguments are those of `pool`.

    ``y[o] = (sum of x[i]) / divisor``. Floats accumulate in float64 (float64 with its rounding error), so
    that a window of any size is right to a few ulp. Integers average exactly and round half up, to the same
    dtype; with a float `dtype` they are not rounded. All dtypes but bool.

    Parameters
    ----------
    count_include_pad : bool
        The divisor is the window clipped to the padded input, else to the input. The overhang that
        `ceil_mode` adds counts in neither.
    divisor_override : int, optional
        A divisor for every window instead: 32 bits, not 0.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.avg_pool(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), (2,), ceil_mode=True)
    array([1.5, 3.5, 5. ])
    >>> fp.avg_pool(np.array([1, 2, -1, -2]), (2,))
    array([ 2, -1])
    """
    return pool(
        x,
        "avg",
        window,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        axes=axes,
        out=out,
        dtype=dtype,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
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
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """Sum of each sliding window; the arguments are those of `pool`.

    ``y[o] = sum of x[i]``. Floats accumulate as in `avg_pool`; integers promote as `numpy.sum` does and wrap.
    All dtypes but bool. ``sum_pool(ones) = `` the number of elements in each window.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.sum_pool(np.array([200, 100, 7], np.uint8), (2,), ceil_mode=True)
    array([300,   7], dtype=uint64)
    """
    return pool(
        x,
        "sum",
        window,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        axes=axes,
        out=out,
        dtype=dtype,
    )


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
    return pool(
        x,
        "lp",
        window,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        axes=axes,
        out=out,
        dtype=dtype,
        p=p,
    )


def adaptive_pool(
    x: Any,
    op: str,
    output_size: Any,
    *,
    axes: Any = None,
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
        axis after the first two, as `window` does in `pool`.
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
    array, job = jobs.adaptive(x, op, output_size, axes, op_params)
    return jobs.forward(job, array, return_indices=return_indices, out=out)


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


def global_pool(x: Any, op: str, *, axes: Any = None, keepdims: bool = False, **op_params: Any) -> Any:
    """Reduce whole axes with any operator.

    Parameters
    ----------
    x : ndarray
        As in `pool`.
    op : str
        An operator's name, as in `pool`.
    axes : int or sequence of int, optional
        The pooled axes; every axis after the first two by default.
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
    array, job = jobs.whole(x, op, axes, keepdims, op_params)
    return jobs.forward(job, array)


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
