"""The public forms and operators: one short function each."""

from __future__ import annotations

from typing import Any, Literal, Unpack, overload

from numpy import ndarray
from numpy.typing import DTypeLike

from . import arrays, footprints, jobs
from .annotations import (
    Adaptive,
    AnyArray,
    ArrayT,
    Axes,
    Border,
    Corner,
    Footprint,
    Global,
    Lengths,
    Mask,
    Number,
    NumpyArray,
    Op,
    Padding,
    Parameter,
    Pooling,
    Quantiles,
    Result,
    Rng,
    Sizes,
    Sliding,
    Ties,
)
from .checks import is_sequence
from .keywords import ours
from .kinds import any_kind
from .missing import ONE, asked
from .missing_jobs import forward


class _Off(int):
    """False, where nobody gave it: xarray's arrays have a default of their own."""

    def __repr__(self) -> str:
        return "False"


OFF: Any = _Off()


@overload
def pool(
    x: NumpyArray,
    op: Op,
    window: Lengths,
    *,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[Pooling],
) -> NumpyArray: ...
@overload
def pool(
    x: ArrayT, op: Op, window: Lengths, *, return_indices: Literal[False] = ..., **keywords: Unpack[Pooling]
) -> ArrayT: ...
@overload
def pool(
    x: NumpyArray, op: Op, window: Lengths, *, return_indices: Literal[True], **keywords: Unpack[Pooling]
) -> tuple[NumpyArray, NumpyArray]: ...
@overload
def pool(
    x: ArrayT, op: Op, window: Lengths, *, return_indices: Literal[True], **keywords: Unpack[Pooling]
) -> tuple[ArrayT, ArrayT]: ...
@overload
def pool(
    x: ArrayT, op: Op, window: Lengths, *, return_indices: bool, **keywords: Unpack[Pooling]
) -> ArrayT | tuple[ArrayT, ArrayT]: ...
@any_kind
def pool(
    x: AnyArray,
    op: Op,
    window: Lengths,
    *,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    return_indices: bool = False,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
    **op_params: Any,
) -> Result:
    """Reduce sliding windows along any axes of an array with the operator named `op`.

    Window o of a pooled axis covers the elements ``o stride - before + k dilation``, for k from 0 to
    ``window - 1``, that lie inside the input. ``y[o]`` is the operator's value of the elements that all
    pooled axes cover together, such as ``max x[i]``.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    op : {"max", "min", "count", "avg", "sum", "lp", "gem", "lse", "soft", "mixed", ...}
        The operator: one of these, ``"stochastic"``, ``"median"``, ``"quantile"``, ``"mode"``, ``"var"``,
        ``"std"`` or ``"nearest"``. ``"mean"`` is another word for ``"avg"``. Each has a function of its own,
        such as `max_pool`, whose page gives its formula and parameters.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input.
    **op_params
        Parameters of the operator, as its own function names them; for avg, sum, count, var and std also
        `weights`.

    Returns
    -------
    y : ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.
    indices : ndarray of int32 or int64
        Only with `return_indices`: the position of each chosen element, flat in C order within the pooled
        axes of its plane, without padding; int64 where a plane has 2**31 elements or more.

    Raises
    ------
    TypeError
        If an argument has a wrong type, `x` a dtype that the operator does not take, or if there is a
        parameter that the operator does not have.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if a window of integers has too
        few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    adaptive_pool : As many windows as asked for.
    global_pool : One window of whole axes.
    pool_backward : Gradient of this function.
    vjp : The result and its way back.
    explain : Show the windows along an axis.
    explain_call : Show which kernel a call takes.

    Notes
    -----
    Operators that choose an element (max, min, and stochastic while training) have indices: of ties and of
    NaNs the first in row-major order. A NaN in a window makes its value NaN, but for count. Integers stay
    integers: averages round half up, sums widen as `numpy.sum` does.

    The mask of a `numpy.ma.MaskedArray` says what takes no part, like `where`. The result is then masked
    where it would be filled, and needs no `fill`; indices are plain arrays, -1 there, and gradients are
    plain.

    Results do not depend on the number of threads, bit for bit. The first call of a kernel compiles it, which
    takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Boureau, Ponce, LeCun 2010, A theoretical analysis of feature pooling in visual recognition, ICML.
    .. [2] LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition,
       Proceedings of the IEEE 86.

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
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    if out is not None:
        arrays.check_apart(out, x=x, where=where, weights=weights)
    if border is not None or footprint is not None:
        array, call = footprints.call(x, op, window, *around, op_params, border, footprint)
        missing = asked(call.job.operator, array, absent, weights, op_params)
        return call.forward(array, missing, return_indices, out, dtype)
    array, job = jobs.sliding(x, op, window, *around, op_params)
    missing = asked(job.operator, array, absent, weights, op_params)
    return forward(job, array, missing, return_indices=return_indices, out=out, dtype=dtype)


def _named(
    x: Any,
    op: Op,
    window: Any,
    around: tuple[Any, ...],
    border: Any,
    footprint: Any,
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
        and border is None
        and footprint is None
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
    return _in_full(x, op, window, around, border, footprint, absent, return_indices, out, dtype, op_params)


def _in_full(
    x: Any,
    op: Op,
    window: Any,
    around: tuple[Any, ...],
    border: Any,
    footprint: Any,
    absent: tuple[Any, ...],
    return_indices: bool,
    out: Any,
    dtype: Any,
    op_params: dict[str, Any],
) -> Any:
    """`pool` for the functions of one operator."""
    where, skipna, nodata, min_count, fill = absent
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
        border=border,
        footprint=footprint,
        where=where,
        nodata=nodata,
        min_count=min_count,
        fill=fill,
        return_indices=return_indices,
        out=out,
        dtype=dtype,
        **op_params,
    )


@overload
def max_pool(
    x: NumpyArray, window: Lengths, *, return_indices: Literal[False] = ..., **keywords: Unpack[Sliding]
) -> NumpyArray: ...
@overload
def max_pool(
    x: ArrayT, window: Lengths, *, return_indices: Literal[False] = ..., **keywords: Unpack[Sliding]
) -> ArrayT: ...
@overload
def max_pool(
    x: NumpyArray, window: Lengths, *, return_indices: Literal[True], **keywords: Unpack[Sliding]
) -> tuple[NumpyArray, NumpyArray]: ...
@overload
def max_pool(
    x: ArrayT, window: Lengths, *, return_indices: Literal[True], **keywords: Unpack[Sliding]
) -> tuple[ArrayT, ArrayT]: ...
@overload
def max_pool(
    x: ArrayT, window: Lengths, *, return_indices: bool, **keywords: Unpack[Sliding]
) -> ArrayT | tuple[ArrayT, ArrayT]: ...
@ours
def max_pool(
    x: AnyArray,
    window: Lengths,
    *,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    return_indices: bool = False,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to its largest element.

    ``y[o] = max x[i]`` over the elements of window o. Every dtype is taken, and the result has it too.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input.

    Returns
    -------
    y : ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.
    indices : ndarray of int32 or int64
        Only with `return_indices`: the position of each chosen element, flat in C order within the pooled
        axes of its plane, without padding; int64 where a plane has 2**31 elements or more.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if a window of integers has too
        few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    min_pool : Smallest element of each window.
    adaptive_max_pool : Largest element of each of as many bins as asked for.
    global_max_pool : Largest element of whole axes.
    unpool : Write values back to where their indices say.

    Notes
    -----
    Of ties and of NaNs the first element in row-major order gives the index and receives the whole gradient.
    A NaN in a window makes its value NaN. Where zeros of both signs tie, the sign of the value is
    unspecified. Nothing is rounded.

    The time hardly grows with the window, where the windows are regular. ``max_pool(x, ...)`` is
    ``-min_pool(-x, ...)``. The first call of a kernel compiles it, which takes seconds; numba keeps it in a
    cache on disk.

    References
    ----------
    .. [1] Riesenhuber, Poggio 1999, Hierarchical models of object recognition in cortex, Nature Neuroscience
       2.
    .. [2] Boureau, Ponce, LeCun 2010, A theoretical analysis of feature pooling in visual recognition, ICML.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.max_pool(np.array([3, 1, 4, 1, 5, 9]), (3,), stride=2, padding=1, return_indices=True)
    (array([3, 4, 9]), array([0, 2, 5], dtype=int32))
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "max", window, around, border, footprint, absent, return_indices, out, dtype, {})


@overload
def min_pool(
    x: NumpyArray, window: Lengths, *, return_indices: Literal[False] = ..., **keywords: Unpack[Sliding]
) -> NumpyArray: ...
@overload
def min_pool(
    x: ArrayT, window: Lengths, *, return_indices: Literal[False] = ..., **keywords: Unpack[Sliding]
) -> ArrayT: ...
@overload
def min_pool(
    x: NumpyArray, window: Lengths, *, return_indices: Literal[True], **keywords: Unpack[Sliding]
) -> tuple[NumpyArray, NumpyArray]: ...
@overload
def min_pool(
    x: ArrayT, window: Lengths, *, return_indices: Literal[True], **keywords: Unpack[Sliding]
) -> tuple[ArrayT, ArrayT]: ...
@overload
def min_pool(
    x: ArrayT, window: Lengths, *, return_indices: bool, **keywords: Unpack[Sliding]
) -> ArrayT | tuple[ArrayT, ArrayT]: ...
@ours
def min_pool(
    x: AnyArray,
    window: Lengths,
    *,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    return_indices: bool = False,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to its smallest element.

    ``y[o] = min x[i]`` over the elements of window o. Every dtype is taken, and the result has it too.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input.

    Returns
    -------
    y : ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.
    indices : ndarray of int32 or int64
        Only with `return_indices`: the position of each chosen element, flat in C order within the pooled
        axes of its plane, without padding; int64 where a plane has 2**31 elements or more.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if a window of integers has too
        few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    max_pool : Largest element of each window.
    quantile_pool : Any quantile of each window.
    unpool : Write values back to where their indices say.

    Notes
    -----
    Of ties and of NaNs the first element in row-major order gives the index and receives the whole gradient.
    A NaN in a window makes its value NaN. Where zeros of both signs tie, the sign of the value is
    unspecified. Nothing is rounded.

    ``min_pool(x, ...)`` is ``-max_pool(-x, ...)``, and takes the same time. The first call of a kernel
    compiles it, which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Boureau, Ponce, LeCun 2010, A theoretical analysis of feature pooling in visual recognition, ICML.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.min_pool(np.array([3, 1, 4, 1, 5, 9]), (2,))
    array([1, 1, 5])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "min", window, around, border, footprint, absent, return_indices, out, dtype, {})


@overload
def avg_pool(
    x: NumpyArray,
    window: Lengths,
    *,
    weights: AnyArray | None = ...,
    count_include_pad: bool = ...,
    divisor_override: int | None = ...,
    **keywords: Unpack[Sliding],
) -> NumpyArray: ...
@overload
def avg_pool(
    x: ArrayT,
    window: Lengths,
    *,
    weights: AnyArray | None = ...,
    count_include_pad: bool = ...,
    divisor_override: int | None = ...,
    **keywords: Unpack[Sliding],
) -> ArrayT: ...
@ours
def avg_pool(
    x: AnyArray,
    window: Lengths,
    *,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    weights: AnyArray | None = None,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to the mean of its elements.

    ``y[o] = (sum of x[i]) / divisor`` over the elements of window o. The divisor is the number of elements,
    or what `count_include_pad`, `divisor_override` or `weights` say. If anything may be left out, it is the
    number of elements that take part, and the first two must keep their defaults. Every dtype is taken; of
    bool the mean is the fraction that is True.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    weights : ndarray, optional
        Weights of the elements: finite real numbers of at least 0, of a shape that broadcasts to that of `x`.
        A window whose weights add up to 0 is one without elements. The result is then
        ``y[o] = sum of w[i] x[i] / sum of w[i]``.
    count_include_pad : bool
        Divide by the size of the window clipped to the padded input; without it, by the number of elements of
        the input in the window. What `ceil_mode` adds beyond the padding counts in neither.
    divisor_override : int, optional
        Divide every window's sum by this number instead: any integer of 32 bits but 0.
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input and for bool. By default it is the dtype of `x`,
        but float64 for bool and for integers with `weights`.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if a window of integers has too
        few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    sum_pool : Sum of each window.
    adaptive_avg_pool : Mean of each of as many bins as asked for.
    global_avg_pool : Mean over whole axes.
    area_pool : Means of cells that cut elements in two.
    blur_pool : Means with binomial weights.

    Notes
    -----
    Sums of floats are kept in float64, and those of float64 with their rounding error, so that a window of
    any size is right to a few units in the last place. Where the exact mean is finite the result is, however
    large the elements are. Means of integers are exact and rounded half up, to the same dtype; with a float
    `dtype` they are not rounded to integers. Where a `divisor_override` leaves no room for the mean they
    wrap, as NumPy's integers do. A NaN in a window makes its value NaN.

    The gradient is shared equally, or by the weights. The weights have a gradient too:
    ``fp.vjp(...)[1](gy, params=True)[1]["weights"]``. The first call of a kernel compiles it, which takes
    seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition,
       Proceedings of the IEEE 86.
    .. [2] Boureau, Ponce, LeCun 2010, A theoretical analysis of feature pooling in visual recognition, ICML.
    .. [3] Knuth 1997, The Art of Computer Programming, volume 2, section 4.2.2 (the sum of two floats and its
       error).

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
        border,
        footprint,
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


@overload
def sum_pool(
    x: NumpyArray, window: Lengths, *, weights: AnyArray | None = ..., **keywords: Unpack[Sliding]
) -> NumpyArray: ...
@overload
def sum_pool(
    x: ArrayT, window: Lengths, *, weights: AnyArray | None = ..., **keywords: Unpack[Sliding]
) -> ArrayT: ...
@ours
def sum_pool(
    x: AnyArray,
    window: Lengths,
    *,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    weights: AnyArray | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to the sum of its elements.

    ``y[o] = sum of x[i]`` over the elements of window o, or ``sum of w[i] x[i]`` with `weights`. Every dtype
    is taken; of bool the sum counts the elements that are True.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a window. A window with fewer gives `fill` and sends no gradient; so
        does one without elements, unless this is 0.
    fill : int or float, optional
        What a window with too few elements gives. By default it is NaN for floats and the `nodata` value,
        where there is one, for integers.
    weights : ndarray, optional
        Weights of the elements: finite real numbers of at least 0, of a shape that broadcasts to that of `x`.
        A window whose weights add up to 0 is one without elements.
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input. By default it is that of `x` for floats, as
        `numpy.sum` has it for integers and bool, and float64 for these with `weights`.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if a window of integers has too
        few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    avg_pool : Mean of each window.
    count_pool : Number of elements of each window that take part.
    global_sum_pool : Sum over whole axes.
    area_pool : Sums of cells that cut elements in two.

    Notes
    -----
    Sums of floats are kept in float64, and those of float64 with their rounding error, so that a window of
    any size is right to a few units in the last place. Sums of integers widen as `numpy.sum` does, and wrap.
    A NaN in a window makes its value NaN.

    Every element of a window receives its whole gradient, times its weight. ``sum_pool`` of ones counts the
    elements of each window. The first call of a kernel compiles it, which takes seconds; numba keeps it in a
    cache on disk.

    References
    ----------
    .. [1] Boureau, Ponce, LeCun 2010, A theoretical analysis of feature pooling in visual recognition, ICML.
    .. [2] Knuth 1997, The Art of Computer Programming, volume 2, section 4.2.2 (the sum of two floats and its
       error).

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.sum_pool(np.array([200, 100, 7], np.uint8), (2,), ceil_mode=True)
    array([300,   7], dtype=uint64)
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    given = {} if weights is None else {"weights": weights}
    return _named(x, "sum", window, around, border, footprint, absent, False, out, dtype, given)


@overload
def count_pool(
    x: NumpyArray, window: Lengths, *, weights: AnyArray | None = ..., **keywords: Unpack[Sliding]
) -> NumpyArray: ...
@overload
def count_pool(
    x: ArrayT, window: Lengths, *, weights: AnyArray | None = ..., **keywords: Unpack[Sliding]
) -> ArrayT: ...
@ours
def count_pool(
    x: AnyArray,
    window: Lengths,
    *,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    weights: AnyArray | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Count the elements of each sliding window that take part.

    ``y[o] = sum of 1`` over the elements of window o that `where`, `skipna` and `nodata` do not leave out, or
    the sum of their weights with `weights`. Padding does not count. Every dtype is taken; the result is
    int64, and float64 with `weights`.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a window. A window with fewer gives `fill` and sends no gradient; so
        does one without elements, unless this is 0.
    fill : int or float, optional
        What a window with too few elements gives; by default 0.
    weights : ndarray, optional
        Weights of the elements: finite real numbers of at least 0, of a shape that broadcasts to that of `x`.
        A window whose weights add up to 0 is one without elements.
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result: any integer or float.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if a window of integers has too
        few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    sum_pool : Sum of each window.
    avg_pool : Mean of each window.

    Notes
    -----
    A NaN is an element like any other, unless `skipna` leaves it out. Counts are exact, and have no gradient.
    The first call of a kernel compiles it, which takes seconds; numba keeps it in a cache on disk.

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
    return _named(x, "count", window, around, border, footprint, absent, False, out, dtype, given)


@overload
def lp_pool(
    x: NumpyArray, window: Lengths, *, p: Parameter = ..., **keywords: Unpack[Sliding]
) -> NumpyArray: ...
@overload
def lp_pool(x: ArrayT, window: Lengths, *, p: Parameter = ..., **keywords: Unpack[Sliding]) -> ArrayT: ...
@ours
def lp_pool(
    x: AnyArray,
    window: Lengths,
    *,
    p: Parameter = 2,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to the p-norm of its elements.

    ``y[o] = (sum of |x[i]|**p)**(1/p)`` over the elements of window o, without the mean that the paper takes.
    ``p=1`` is the sum of magnitudes, ``p=2`` the Euclidean norm, ``p=inf`` the largest magnitude.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    p : float
        The exponent, above 0; infinity is allowed.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or if `x` is not of floats.
    ValueError
        If an argument has a bad value, or if a window would cover no element. Nothing is written to `out`
        then.

    See Also
    --------
    gem_pool : Generalised mean.
    sum_pool : Sum of each window.
    max_pool : Largest element of each window.

    Notes
    -----
    The norm is computed relative to the largest magnitude of the window, so that no power overflows, and is
    right to two units in the last place. A NaN in a window makes its value NaN. The gradient of an element is
    ``sign(x) (|x|/y)**(p-1)``, and 0 where the element or the value is 0; `p` has a
    gradient too, with ``pull(gy, params=True)``.

    ``torch.nn.functional.lp_pool2d`` takes no magnitudes, so that odd powers keep their sign;
    `fastpool.compat.torch` has it. The first call of a kernel compiles it, which takes seconds; numba keeps
    it in a cache on disk.

    References
    ----------
    .. [1] Gulcehre, Cho, Pascanu, Bengio 2014, Learned-norm pooling for deep feedforward and recurrent neural
       networks, arXiv 1311.1780.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.lp_pool(np.array([3.0, -4.0, 0.0, 0.0]), (2,))
    array([5., 0.])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "lp", window, around, border, footprint, absent, False, out, dtype, {"p": p})


@overload
def gem_pool(
    x: NumpyArray, window: Lengths, *, p: Parameter = ..., eps: float = ..., **keywords: Unpack[Sliding]
) -> NumpyArray: ...
@overload
def gem_pool(
    x: ArrayT, window: Lengths, *, p: Parameter = ..., eps: float = ..., **keywords: Unpack[Sliding]
) -> ArrayT: ...
@ours
def gem_pool(
    x: AnyArray,
    window: Lengths,
    *,
    p: Parameter = 3,
    eps: float = 1e-06,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to the generalised mean of its elements.

    ``y[o] = (mean of max(x[i], eps)**p)**(1/p)`` over the elements of window o. ``p=1`` is the mean and
    ``p=inf`` the largest element; values between them weigh large elements more.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    p : float
        The exponent, above 0; infinity is allowed.
    eps : float
        Above 0; smaller elements count as this.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or if `x` is not of floats.
    ValueError
        If an argument has a bad value, or if a window would cover no element. Nothing is written to `out`
        then.

    See Also
    --------
    lp_pool : The p-norm of each window.
    lse_pool : Another mean between average and maximum.
    fastpool.descriptors.GlobalDescriptor : Generalised means of whole images.

    Notes
    -----
    The mean is computed relative to the largest element of the window, so that no power overflows, and is
    right to two units in the last place. A NaN in a window makes its value NaN. The gradient of an element is
    ``(x/y)**(p-1) / n``, and 0 where ``x < eps``; `p` has a gradient too, with ``pull(gy, params=True)``. The
    first call of a kernel compiles it, which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Radenovic, Tolias, Chum 2018, Fine-tuning CNN image retrieval with no human annotation, arXiv
       1711.02512.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.gem_pool(np.array([1.0, 7.0, 2.0, 2.0]), (2,), p=2)
    array([5., 2.])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(
        x, "gem", window, around, border, footprint, absent, False, out, dtype, {"p": p, "eps": eps}
    )


@overload
def lse_pool(
    x: NumpyArray, window: Lengths, *, r: Parameter = ..., **keywords: Unpack[Sliding]
) -> NumpyArray: ...
@overload
def lse_pool(x: ArrayT, window: Lengths, *, r: Parameter = ..., **keywords: Unpack[Sliding]) -> ArrayT: ...
@ours
def lse_pool(
    x: AnyArray,
    window: Lengths,
    *,
    r: Parameter = 1,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to the logarithm of its mean exponential.

    ``y[o] = log(mean of exp(r x[i])) / r`` over the elements of window o. It lies between the mean, for `r`
    near 0, and the largest element, for large `r`; a negative `r` leans to the smallest.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    r : float
        How much large elements weigh: finite, not 0.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or if `x` is not of floats.
    ValueError
        If an argument has a bad value, or if a window would cover no element. Nothing is written to `out`
        then.

    See Also
    --------
    soft_pool : Mean weighted by exponentials.
    gem_pool : Generalised mean of each window.
    max_pool : Largest element of each window.

    Notes
    -----
    Exponentials are shifted by the largest ``r x`` of the window, so that none overflows. Results of float32
    and 16-bit floats are rounded once; those of float64 were within 6.1 units in the last place of what is
    added up. A NaN in a window makes its value NaN. The gradient is ``softmax(r x)``; `r` has a gradient too,
    with ``pull(gy, params=True)``. The first call of a kernel compiles it, which takes seconds; numba keeps
    it in a cache on disk.

    References
    ----------
    .. [1] Pinheiro, Collobert 2015, From image-level to pixel-level labeling with convolutional networks,
       arXiv 1411.6228.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.lse_pool(np.log([1.0, 3.0, 5.0, 5.0]), (2,)).round(4)  # log 2, log 5
    array([0.6931, 1.6094])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "lse", window, around, border, footprint, absent, False, out, dtype, {"r": r})


@overload
def soft_pool(
    x: NumpyArray, window: Lengths, *, beta: Parameter = ..., **keywords: Unpack[Sliding]
) -> NumpyArray: ...
@overload
def soft_pool(
    x: ArrayT, window: Lengths, *, beta: Parameter = ..., **keywords: Unpack[Sliding]
) -> ArrayT: ...
@ours
def soft_pool(
    x: AnyArray,
    window: Lengths,
    *,
    beta: Parameter = 1,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to its mean weighted by exponentials.

    ``y[o] = sum of w[i] x[i]`` with ``w = softmax(beta x)`` over the elements of window o. ``beta=0`` is the
    mean; a large `beta` approaches the largest element.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    beta : float
        How much large elements weigh: finite.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or if `x` is not of floats.
    ValueError
        If an argument has a bad value, or if a window would cover no element. Nothing is written to `out`
        then.

    See Also
    --------
    lse_pool : Logarithm of the mean exponential.
    mixed_pool : Blend of largest element and mean.
    avg_pool : Mean of each window.

    Notes
    -----
    Exponentials are shifted by the largest ``beta x`` of the window, so that none overflows. Results of
    float32 and 16-bit floats are rounded once; those of float64 were within 5.4 units in the last place of
    what is added up. A NaN in a window makes its value NaN. The gradient is the true one,
    ``w (1 + beta (x - y))``, where the paper's code sends ``w`` alone; `beta` has a gradient too, with
    ``pull(gy, params=True)``. The first call of a kernel compiles it, which takes seconds; numba keeps it in
    a cache on disk.

    References
    ----------
    .. [1] Stergiou, Poppe, Kalliatakis 2021, Refining activation downsampling with SoftPool, arXiv
       2101.00440.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.soft_pool(np.array([0.0, np.log(3.0), 2.0, 2.0]), (2,)).round(4)  # 3/4 log 3
    array([0.824, 2.   ])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "soft", window, around, border, footprint, absent, False, out, dtype, {"beta": beta})


@overload
def mixed_pool(
    x: NumpyArray,
    window: Lengths,
    *,
    alpha: Parameter = ...,
    count_include_pad: bool = ...,
    divisor_override: int | None = ...,
    **keywords: Unpack[Sliding],
) -> NumpyArray: ...
@overload
def mixed_pool(
    x: ArrayT,
    window: Lengths,
    *,
    alpha: Parameter = ...,
    count_include_pad: bool = ...,
    divisor_override: int | None = ...,
    **keywords: Unpack[Sliding],
) -> ArrayT: ...
@ours
def mixed_pool(
    x: AnyArray,
    window: Lengths,
    *,
    alpha: Parameter = 0.5,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to a blend of its largest element and its mean.

    ``y[o] = alpha max + (1 - alpha) avg`` over the elements of window o, where max is that of `max_pool` and
    avg that of `avg_pool`.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    alpha : float
        Share of the largest element, from 0 to 1.
    count_include_pad : bool
        Divide by the size of the window clipped to the padded input; without it, by the number of elements of
        the input in the window. What `ceil_mode` adds beyond the padding counts in neither.
    divisor_override : int, optional
        Divide every window's sum by this number instead: any integer of 32 bits but 0.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or if `x` is not of floats.
    ValueError
        If an argument has a bad value, or if a window would cover no element. Nothing is written to `out`
        then.

    See Also
    --------
    max_pool : Largest element of each window.
    avg_pool : Mean of each window.
    soft_pool : Mean weighted by exponentials.

    Notes
    -----
    The gradient is the same blend of the two gradients: the first of tied largest elements receives the share
    `alpha`, and all elements share the rest. That of `alpha` is ``max - avg``, with
    ``pull(gy, params=True)``. A NaN in a window makes its value NaN. Values are right to a few units in the
    last place. The first call of a kernel compiles it, which takes seconds; numba keeps it in a cache on
    disk.

    References
    ----------
    .. [1] Lee, Gallagher, Tu 2016, Generalizing pooling functions in convolutional neural networks: mixed,
       gated, and tree, arXiv 1509.08985.

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
        border,
        footprint,
        absent,
        False,
        out,
        dtype,
        {"alpha": alpha, "count_include_pad": count_include_pad, "divisor_override": divisor_override},
    )


@overload
def stochastic_pool(
    x: NumpyArray,
    window: Lengths,
    *,
    rng: Rng = ...,
    training: bool = ...,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[Sliding],
) -> NumpyArray: ...
@overload
def stochastic_pool(
    x: ArrayT,
    window: Lengths,
    *,
    rng: Rng = ...,
    training: bool = ...,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[Sliding],
) -> ArrayT: ...
@overload
def stochastic_pool(
    x: NumpyArray,
    window: Lengths,
    *,
    rng: Rng = ...,
    training: bool = ...,
    return_indices: Literal[True],
    **keywords: Unpack[Sliding],
) -> tuple[NumpyArray, NumpyArray]: ...
@overload
def stochastic_pool(
    x: ArrayT,
    window: Lengths,
    *,
    rng: Rng = ...,
    training: bool = ...,
    return_indices: Literal[True],
    **keywords: Unpack[Sliding],
) -> tuple[ArrayT, ArrayT]: ...
@overload
def stochastic_pool(
    x: ArrayT,
    window: Lengths,
    *,
    rng: Rng = ...,
    training: bool = ...,
    return_indices: bool,
    **keywords: Unpack[Sliding],
) -> ArrayT | tuple[ArrayT, ArrayT]: ...
@ours
def stochastic_pool(
    x: AnyArray,
    window: Lengths,
    *,
    rng: Rng = None,
    training: bool = True,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    return_indices: bool = False,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Draw one element of each sliding window at random.

    In training ``y[o] = x[l]``, where element l is drawn with probability ``w[l] / sum of w`` and
    ``w = max(x, 0)``. In testing it is the expected value, ``y[o] = sum of w[i] x[i] / sum of w[i]``.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    rng : int, numpy.random.Generator, fastpool.random.Draws, optional
        Seed of the random numbers. A generator gives a seed, and None draws a fresh one.
        ``Draws(seed, start)`` counts outputs from `start` on, for a batch that is processed in parts.
    training : bool
        Draw an element; if False, give the expected value.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input.

    Returns
    -------
    y : ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.
    indices : ndarray of int32 or int64
        Only with `return_indices`: the position of each chosen element, flat in C order within the pooled
        axes of its plane, without padding; int64 where a plane has 2**31 elements or more.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or if `x` is not of floats.
    ValueError
        If an argument has a bad value, or if a window would cover no element. Nothing is written to `out`
        then.

    See Also
    --------
    max_pool : Largest element of each window.
    fractional_pool : Windows at random places.
    fastpool.random.Draws : Random numbers for a batch in parts.

    Notes
    -----
    A window without a positive element gives its first element in training, and 0 in testing. A NaN in a
    window is drawn. In training the gradient goes to the drawn element; in testing it is
    ``(2 x - y) / sum of w`` where ``x > 0``. Drawn values are not rounded; expected ones are right to a few
    units in the last place.

    The generator is Philox 4x32-10, keyed by the seed and by the flat position of the output: the same draw
    for every number of threads, on CPU and GPU. Indices are for training only. The first call of a kernel
    compiles it, which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Zeiler, Fergus 2013, Stochastic pooling for regularization of deep convolutional neural networks,
       arXiv 1301.3557.
    .. [2] Salmon, Moraes, Dror, Shaw 2011, Parallel random numbers: as easy as 1, 2, 3, SC11.

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
        border,
        footprint,
        absent,
        return_indices,
        out,
        dtype,
        {"rng": rng, "training": training},
    )


@overload
def median_pool(x: NumpyArray, window: Lengths, **keywords: Unpack[Sliding]) -> NumpyArray: ...
@overload
def median_pool(x: ArrayT, window: Lengths, **keywords: Unpack[Sliding]) -> ArrayT: ...
@ours
def median_pool(
    x: AnyArray,
    window: Lengths,
    *,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to the median of its elements.

    ``y[o]`` is the middle one of the sorted elements of window o. Of an even number of floats it is the mean
    of the middle two; of integers and bools it is the lower of them. Every dtype is taken, and the result has
    it too.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if a window of integers has too
        few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    quantile_pool : Any quantile of each window.
    mode_pool : Most frequent value of each window.
    avg_pool : Mean of each window.

    Notes
    -----
    The gradient goes to the elements used, half to each of two; of ties to those that come first in row-major
    order. A NaN in a window makes its value NaN. At most the mean of two is rounded. ``median_pool(x, ...)``
    is ``quantile_pool(x, ..., q=0.5)``.

    Small windows are sorted by networks; larger ones take longer in proportion to their elements, unless the
    elements are small integers. The first call of a kernel compiles it, which takes seconds; numba keeps it
    in a cache on disk.

    References
    ----------
    .. [1] Tukey 1977, Exploratory Data Analysis, Addison-Wesley.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.median_pool(np.array([3.0, 9.0, 1.0, 2.0, 4.0, 8.0]), (3,))
    array([3., 4.])
    >>> fp.median_pool(np.array([7, 4, 1, 2]), (2,))
    array([4, 1])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(x, "median", window, around, border, footprint, absent, False, out, dtype, {})


@overload
def quantile_pool(
    x: NumpyArray, window: Lengths, *, q: Quantiles, **keywords: Unpack[Sliding]
) -> NumpyArray: ...
@overload
def quantile_pool(x: ArrayT, window: Lengths, *, q: Quantiles, **keywords: Unpack[Sliding]) -> ArrayT: ...
@ours
def quantile_pool(
    x: AnyArray,
    window: Lengths,
    *,
    q: Quantiles,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to a quantile of its elements.

    ``y[o]`` is the value at place ``q (n - 1)`` of the n sorted elements of window o, counted from 0. Between
    two places it is interpolated linearly, as `numpy.quantile` does (definition 7 of the reference); for
    integers it is the lower neighbour. Every dtype but bool is taken, and the result has it too.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    q : float or sequence of float
        Which quantile, from 0, the smallest element, to 1, the largest. Several give a result with one more
        axis, the first, on which they lie in their order; of xarray it is the dimension ``quantile``.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if a window of integers has too
        few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    median_pool : The middle element of each window.
    min_pool : Smallest element of each window.
    max_pool : Largest element of each window.

    Notes
    -----
    The gradient goes to the two elements used, ``1 - t`` and ``t`` of it for an interpolation at ``t``; of
    ties to those that come first in row-major order. That of several quantiles has their axis too. `q` has no
    gradient. A NaN in a window makes its value NaN.
    Interpolation is right to one unit in the last place.

    Small windows are sorted by networks; larger ones take longer in proportion to their elements, unless the
    elements are small integers. The first call of a kernel compiles it, which takes seconds; numba keeps it
    in a cache on disk.

    References
    ----------
    .. [1] Hyndman, Fan 1996, Sample quantiles in statistical packages, The American Statistician 50.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.quantile_pool(np.array([3.0, 9.0, 1.0, 2.0, 4.0, 8.0]), (3,), q=0.75)
    array([6., 6.])
    >>> fp.quantile_pool(np.array([3.0, 9.0, 1.0, 2.0, 4.0, 8.0]), (3,), q=[0, 0.75])
    array([[1., 2.],
           [6., 6.]])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    call = _in_full if is_sequence(q) else _named
    return call(x, "quantile", window, around, border, footprint, absent, False, out, dtype, {"q": q})


@overload
def mode_pool(
    x: NumpyArray,
    window: Lengths,
    *,
    ignore: Number | None = ...,
    ties: Ties = ...,
    **keywords: Unpack[Sliding],
) -> NumpyArray: ...
@overload
def mode_pool(
    x: ArrayT,
    window: Lengths,
    *,
    ignore: Number | None = ...,
    ties: Ties = ...,
    **keywords: Unpack[Sliding],
) -> ArrayT: ...
@ours
def mode_pool(
    x: AnyArray,
    window: Lengths,
    *,
    ignore: Number | None = None,
    ties: Ties = "smallest",
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to its most frequent value.

    ``y[o] = argmax over v of |{i : x[i] = v}|`` over the elements of window o; of values that come equally
    often the one that `ties` says. Every dtype is taken, and the result has it too.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    ignore : int or float, optional
        A value that does not count, such as the label of the background, unless a window has no other. Floats
        are compared in the dtype of `x`; NaN is all NaNs.
    ties : {"smallest", "first", "largest"}
        Which of the values that come equally often: the smallest, the one that comes first in row-major
        order, or the largest.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if a window of integers has too
        few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    median_pool : The middle element of each window.
    max_pool : Largest element of each window.
    fastpool.pyramid.write : Pyramids of label volumes.

    Notes
    -----
    Modes are exact, have no indices and no gradient. Floats are equal where ``==`` says so: zeros of both
    signs are one value, and the result is the positive one. A NaN in a window makes its value NaN, however
    rare it is, unless `skipna` or `ignore` leaves NaNs out.

    Small windows of integers are sorted by networks, where the smallest of ties is asked for; others take
    longer in proportion to their elements. The first call of a kernel compiles it, which takes seconds; numba
    keeps it in a cache on disk.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> labels = np.array([[0, 7, 3, 4], [0, 7, 4, 3]])
    >>> fp.mode_pool(labels, (2, 2))
    array([[0, 3]])
    >>> fp.mode_pool(labels, (2, 2), ignore=0)
    array([[7, 3]])
    >>> fp.mode_pool(labels, (2, 2), ties="largest")
    array([[7, 4]])
    >>> fp.mode_pool(np.array([2.5, 0.5, 0.5, 2.5, 1.0]), (5,), ties="first")
    array([2.5])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(
        x,
        "mode",
        window,
        around,
        border,
        footprint,
        absent,
        False,
        out,
        dtype,
        {"ignore": ignore, "ties": ties},
    )


@overload
def var_pool(
    x: NumpyArray,
    window: Lengths,
    *,
    ddof: float = ...,
    weights: AnyArray | None = ...,
    **keywords: Unpack[Sliding],
) -> NumpyArray: ...
@overload
def var_pool(
    x: ArrayT,
    window: Lengths,
    *,
    ddof: float = ...,
    weights: AnyArray | None = ...,
    **keywords: Unpack[Sliding],
) -> ArrayT: ...
@ours
def var_pool(
    x: AnyArray,
    window: Lengths,
    *,
    ddof: float = 0,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    weights: AnyArray | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to its variance, the mean squared distance from the mean.

    ``y[o] = sum of (x[i] - m)**2 / (n - ddof)`` over the n elements of window o, whose mean is m. Padding is
    not counted. Every dtype is taken; of integers and bool the result is float64.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    ddof : float
        What is subtracted from the number of elements before the sum of squared distances is divided by it;
        1 gives the unbiased estimate from a sample. A window of no more elements than that gives `fill`. It
        must be 0 with `weights`.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    weights : ndarray, optional
        Weights of the elements: finite real numbers of at least 0, of a shape that broadcasts to that of `x`.
        A window whose weights add up to 0 is one without elements. The result is then
        ``sum of w[i] (x[i] - m)**2 / sum of w[i]``, of the mean ``m = sum of w[i] x[i] / sum of w[i]``.
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result, a float; by default that of `x` for floats, and float64 for integers and bool.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if a window of integers has too
        few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    std_pool : The root of the variance.
    avg_pool : Mean of each window.
    soft_pool : A mean weighted by exponentials.

    Notes
    -----
    The mean and the distances from it are computed together, in float64, so that a mean far from 0 costs no
    digits: results are right to a few units in the last place, never negative, and 0 for equal elements.
    Those of 64-bit integers are of their exact values. An infinity or a NaN in a window makes its value NaN.

    The gradient is ``2 (x[i] - m) / (n - ddof)``, with weights ``2 w[i] (x[i] - m) / sum of w[i]``. The
    weights have a gradient too. The first call of a kernel compiles it, which takes seconds; numba keeps it
    in a cache on disk.

    References
    ----------
    .. [1] Chan, Golub, LeVeque 1979, Updating formulae and a pairwise algorithm for computing sample
       variances, Stanford University, STAN-CS-79-773.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.var_pool(np.array([1.0, 3.0, 5.0, 5.0]), (2,))
    array([1., 0.])
    >>> fp.var_pool(np.array([1, 3, 5, 5]), (4,), ddof=1)
    array([3.66666667])
    >>> fp.var_pool(np.array([1.0, 3.0, np.nan]), (3,), weights=np.array([3, 1, 1]), skipna=True)
    array([0.75])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    given = {"ddof": ddof, **({} if weights is None else {"weights": weights})}
    return _named(x, "var", window, around, border, footprint, absent, False, out, dtype, given)


@overload
def std_pool(
    x: NumpyArray,
    window: Lengths,
    *,
    ddof: float = ...,
    weights: AnyArray | None = ...,
    **keywords: Unpack[Sliding],
) -> NumpyArray: ...
@overload
def std_pool(
    x: ArrayT,
    window: Lengths,
    *,
    ddof: float = ...,
    weights: AnyArray | None = ...,
    **keywords: Unpack[Sliding],
) -> ArrayT: ...
@ours
def std_pool(
    x: AnyArray,
    window: Lengths,
    *,
    ddof: float = 0,
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    weights: AnyArray | None = None,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to its standard deviation, the root of the variance.

    ``y[o] = sqrt(sum of (x[i] - m)**2 / (n - ddof))`` over the n elements of window o, whose mean is m.
    Padding is not counted. Every dtype is taken; of integers and bool the result is float64.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    ddof : float
        What is subtracted from the number of elements before the sum of squared distances is divided by it;
        1 gives the unbiased estimate from a sample. A window of no more elements than that gives `fill`. It
        must be 0 with `weights`.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
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
    weights : ndarray, optional
        Weights of the elements: finite real numbers of at least 0, of a shape that broadcasts to that of `x`.
        A window whose weights add up to 0 is one without elements. The variance is then
        ``sum of w[i] (x[i] - m)**2 / sum of w[i]``, of the mean ``m = sum of w[i] x[i] / sum of w[i]``.
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result, a float; by default that of `x` for floats, and float64 for integers and bool.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if a window of integers has too
        few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    var_pool : The variance.
    avg_pool : Mean of each window.
    lp_pool : The root of the sum of squares.

    Notes
    -----
    It is computed as the variance is (`var_pool`): right to a few units in the last place, never negative,
    and 0 for equal elements. Squares that float64 cannot hold do not make it infinite. An infinity or a NaN
    in a window makes its value NaN.

    The gradient is ``(x[i] - m) / (y (n - ddof))``, with weights ``w[i] (x[i] - m) / (y sum of w[i])``, and 0
    where y is 0. The weights have a gradient too. The first call of a kernel compiles it, which takes
    seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Chan, Golub, LeVeque 1979, Updating formulae and a pairwise algorithm for computing sample
       variances, Stanford University, STAN-CS-79-773.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.std_pool(np.array([1.0, 3.0, 5.0, 5.0]), (2,))
    array([1., 0.])
    >>> fp.std_pool(np.array([[0, 0, 3], [0, 3, 3]]), (2, 3))
    array([[1.5]])
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    given = {"ddof": ddof, **({} if weights is None else {"weights": weights})}
    return _named(x, "std", window, around, border, footprint, absent, False, out, dtype, given)


@overload
def nearest_pool(
    x: NumpyArray,
    window: Lengths,
    *,
    corner: Corner = ...,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[Sliding],
) -> NumpyArray: ...
@overload
def nearest_pool(
    x: ArrayT,
    window: Lengths,
    *,
    corner: Corner = ...,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[Sliding],
) -> ArrayT: ...
@overload
def nearest_pool(
    x: NumpyArray,
    window: Lengths,
    *,
    corner: Corner = ...,
    return_indices: Literal[True],
    **keywords: Unpack[Sliding],
) -> tuple[NumpyArray, NumpyArray]: ...
@overload
def nearest_pool(
    x: ArrayT,
    window: Lengths,
    *,
    corner: Corner = ...,
    return_indices: Literal[True],
    **keywords: Unpack[Sliding],
) -> tuple[ArrayT, ArrayT]: ...
@overload
def nearest_pool(
    x: ArrayT, window: Lengths, *, corner: Corner = ..., return_indices: bool, **keywords: Unpack[Sliding]
) -> ArrayT | tuple[ArrayT, ArrayT]: ...
@ours
def nearest_pool(
    x: AnyArray,
    window: Lengths,
    *,
    corner: Corner = "first",
    stride: Lengths | None = None,
    padding: Padding = 0,
    dilation: Lengths = 1,
    ceil_mode: bool = False,
    axes: Axes | None = None,
    border: Border | None = None,
    footprint: Footprint | None = None,
    where: Mask | None = None,
    skipna: bool | None = OFF,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    return_indices: bool = False,
    out: AnyArray | None = None,
    dtype: DTypeLike | None = None,
) -> Result:
    """Reduce each sliding window to one of its elements, as striding does.

    ``y[o] = x[f(o)]``, where f(o) is the first element of window o, or with ``corner="middle"`` the one with
    the number ``count // 2`` of its count elements along each pooled axis. Every dtype is taken, and the
    result has it too.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    window : int or sequence of int
        Elements that a window covers along each pooled axis. A sequence pools the last ``len(window)`` axes.
        One number pools every axis after the first two, of an array with at least four axes; with fewer axes,
        give a sequence or `axes`.
    corner : {"first", "middle"}
        Which element: the first, or the one in the middle, which of an even number is the later of two. Only
        elements of the input count, not padding.
    stride : int or sequence of int, optional
        Distance between the starts of windows. By default it is the window, so that windows lie side by side.
    padding : int, sequence of int or of (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after each axis: one number, one for each axis, or a (before, after) pair
        for each axis. ``"same"`` gives ``ceil(n / stride)`` windows and puts the surplus after,
        ``"same_lower"`` before; ``"valid"`` adds nothing. It must be less than the dilated window. Padding is
        never a value: it cannot win and adds nothing.
    dilation : int or sequence of int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    border : {"reflect", "mirror", "edge", "wrap"} or a sequence of these and None, optional
        What padding holds: elements of the input, which are values like any others and have the indices of
        these. ``"reflect"`` is ``b a | a b c | c b``, ``"mirror"`` ``c b | a b c | b a``, ``"edge"``
        ``a a | a b c | c c`` and ``"wrap"`` ``b c | a b c | a b``. One word, or one for each axis, None for
        ordinary padding. Windows of stride 1 without padding (0) are centred: ``window // 2`` elements are
        before, and each axis keeps its length.
    footprint : ndarray of bool, optional
        Which elements of a window belong to it, of the window's shape. By default all do.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out. For arrays of xarray this is the default.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        1: a window whose element is left out gives `fill`, has index -1 and sends no gradient. A window has
        this one element, so that more are a ValueError.
    fill : int or float, optional
        What a window with too few elements gives. By default it is NaN for floats and the `nodata` value,
        where there is one, for integers.
    return_indices : bool
        Also return where the chosen elements are.
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.
    dtype : dtype, optional
        Dtype of the result; a float dtype for float input.

    Returns
    -------
    y : ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order. A pooled axis of n elements has
        ``floor((n + before + after - dilation (window - 1) - 1) / stride) + 1`` windows.
    indices : ndarray of int32 or int64
        Only with `return_indices`: the position of each chosen element, flat in C order within the pooled
        axes of its plane, without padding; int64 where a plane has 2**31 elements or more.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if a window of integers has too
        few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    max_pool : Largest element of each window.
    median_pool : The middle element of each window by value.
    mode_pool : The most frequent value of each window, which labels keep as well.

    Notes
    -----
    Without padding ``nearest_pool(x, (k, m))`` is ``x[::k, ::m]`` over the whole windows, and with
    ``ceil_mode=True`` over the whole array. A NaN is a value like any other. Where the element is left out,
    no other one takes its place. The gradient goes to the element; weights are not taken. With a footprint it
    is the first of the footprint's elements, or the middle one in their order; windows must then lie inside
    the input, or its border.

    Elements that lie evenly are copied, which compiles nothing. Other windows take the general kernel, whose
    first call compiles it, which takes seconds; numba keeps it in a cache on disk.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.arange(12).reshape(3, 4)
    >>> fp.nearest_pool(x, (2, 2), ceil_mode=True)
    array([[ 0,  2],
           [ 8, 10]])
    >>> fp.nearest_pool(x, (3, 2), corner="middle", return_indices=True)
    (array([[5, 7]]), array([[5, 7]], dtype=int32))
    """
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    return _named(
        x,
        "nearest",
        window,
        around,
        border,
        footprint,
        absent,
        return_indices,
        out,
        dtype,
        {"corner": corner},
    )


@overload
def adaptive_pool(
    x: NumpyArray,
    op: Op,
    output_size: Sizes,
    *,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[Adaptive],
) -> NumpyArray: ...
@overload
def adaptive_pool(
    x: ArrayT,
    op: Op,
    output_size: Sizes,
    *,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[Adaptive],
) -> ArrayT: ...
@overload
def adaptive_pool(
    x: NumpyArray, op: Op, output_size: Sizes, *, return_indices: Literal[True], **keywords: Unpack[Adaptive]
) -> tuple[NumpyArray, NumpyArray]: ...
@overload
def adaptive_pool(
    x: ArrayT, op: Op, output_size: Sizes, *, return_indices: Literal[True], **keywords: Unpack[Adaptive]
) -> tuple[ArrayT, ArrayT]: ...
@overload
def adaptive_pool(
    x: ArrayT, op: Op, output_size: Sizes, *, return_indices: bool, **keywords: Unpack[Adaptive]
) -> ArrayT | tuple[ArrayT, ArrayT]: ...
@any_kind
def adaptive_pool(
    x: AnyArray,
    op: Op,
    output_size: Sizes,
    *,
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
    """Reduce as many bins along each axis as asked for, with the operator named `op`.

    ``y[o]`` is the operator's value of the elements of bin o. Bin i of a pooled axis of n elements and o
    outputs covers ``floor(i n / o)`` to ``ceil((i + 1) n / o) - 1``. Bins overlap where o does not divide n,
    and repeat elements where it is larger.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    op : {"max", "min", "count", "avg", "sum", "lp", "gem", "lse", "soft", "mixed", ...}
        The operator: one of these, ``"stochastic"``, ``"median"``, ``"quantile"``, ``"mode"``, ``"var"``,
        ``"std"`` or ``"nearest"``. ``"mean"`` is another word for ``"avg"``. Each has a function of its own,
        such as `max_pool`, whose page gives its formula and parameters.
    output_size : int or sequence of (int or None)
        Outputs along each pooled axis; None keeps an axis as it is. A sequence pools the last axes. One
        number pools every axis after the first two, of an array with at least four axes.
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
        Of the kind of `x`, C-contiguous, with its axes in their order and the asked number of outputs along
        each pooled axis.
    indices : ndarray of int32 or int64
        Only with `return_indices`: the position of each chosen element, flat in C order within the pooled
        axes of its plane, without padding; int64 where a plane has 2**31 elements or more.

    Raises
    ------
    TypeError
        If an argument has a wrong type, `x` a dtype that the operator does not take, or if there is a
        parameter that the operator does not have.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if a window of integers has too
        few elements and nothing says what to fill in. Nothing is written to `out` then.

    See Also
    --------
    adaptive_avg_pool : Mean of each bin.
    adaptive_max_pool : Largest element of each bin.
    area_pool : Cells of equal length, which cut elements in two.
    pyramid_pool : Bins of several levels.
    adaptive_pool_backward : Gradient of this function.

    Notes
    -----
    An average divides by the size of its bin. Ties, NaN, rounding and gradients are those of the operator's
    own function. These are the bins of PyTorch's and Keras's adaptive layers. The first call of a kernel
    compiles it, which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] He, Zhang, Ren, Sun 2014, Spatial pyramid pooling in deep convolutional networks for visual
       recognition, arXiv 1406.4729.

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


@overload
def adaptive_avg_pool(
    x: NumpyArray, output_size: Sizes, *, axes: Axes | None = ..., out: AnyArray | None = ...
) -> NumpyArray: ...
@overload
def adaptive_avg_pool(
    x: ArrayT, output_size: Sizes, *, axes: Axes | None = ..., out: AnyArray | None = ...
) -> ArrayT: ...
@ours
def adaptive_avg_pool(
    x: AnyArray,
    output_size: Sizes,
    *,
    axes: Axes | None = None,
    out: AnyArray | None = None,
) -> Result:
    """Reduce each adaptive bin to the mean of its elements.

    ``y[o] = (sum of x[i]) / n[o]`` over the n[o] elements of bin o. Bin i of a pooled axis of n elements and
    o outputs covers ``floor(i n / o)`` to ``ceil((i + 1) n / o) - 1``. Bins overlap where o does not divide
    n, and repeat elements where it is larger. It is ``adaptive_pool(x, "avg", output_size)``.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    output_size : int or sequence of (int or None)
        Outputs along each pooled axis; None keeps an axis as it is. A sequence pools the last axes. One
        number pools every axis after the first two, of an array with at least four axes.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order and the asked number of outputs along
        each pooled axis.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, or a pooled axis has no element.

    See Also
    --------
    adaptive_pool : Any operator, with missing data and weights.
    adaptive_max_pool : Largest element of each bin.
    avg_pool : Mean of each sliding window.
    area_pool : Cells of equal length, which cut elements in two.

    Notes
    -----
    Rounding, NaN and gradients are those of `avg_pool`. The first call of a kernel compiles it, which takes
    seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] He, Zhang, Ren, Sun 2014, Spatial pyramid pooling in deep convolutional networks for visual
       recognition, arXiv 1406.4729.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.adaptive_avg_pool(np.array([[1.0, 3.0], [5.0, 7.0]]), (1, None))
    array([[3., 5.]])
    """
    return adaptive_pool(x, "avg", output_size, axes=axes, out=out)


@overload
def adaptive_max_pool(
    x: NumpyArray,
    output_size: Sizes,
    *,
    axes: Axes | None = ...,
    out: AnyArray | None = ...,
    return_indices: Literal[False] = ...,
) -> NumpyArray: ...
@overload
def adaptive_max_pool(
    x: ArrayT,
    output_size: Sizes,
    *,
    axes: Axes | None = ...,
    out: AnyArray | None = ...,
    return_indices: Literal[False] = ...,
) -> ArrayT: ...
@overload
def adaptive_max_pool(
    x: NumpyArray,
    output_size: Sizes,
    *,
    axes: Axes | None = ...,
    out: AnyArray | None = ...,
    return_indices: Literal[True],
) -> tuple[NumpyArray, NumpyArray]: ...
@overload
def adaptive_max_pool(
    x: ArrayT,
    output_size: Sizes,
    *,
    axes: Axes | None = ...,
    out: AnyArray | None = ...,
    return_indices: Literal[True],
) -> tuple[ArrayT, ArrayT]: ...
@overload
def adaptive_max_pool(
    x: ArrayT,
    output_size: Sizes,
    *,
    axes: Axes | None = ...,
    out: AnyArray | None = ...,
    return_indices: bool,
) -> ArrayT | tuple[ArrayT, ArrayT]: ...
@ours
def adaptive_max_pool(
    x: AnyArray,
    output_size: Sizes,
    *,
    axes: Axes | None = None,
    return_indices: bool = False,
    out: AnyArray | None = None,
) -> Result:
    """Reduce each adaptive bin to its largest element.

    ``y[o] = max x[i]`` over the elements of bin o. Bin i of a pooled axis of n elements and o outputs covers
    ``floor(i n / o)`` to ``ceil((i + 1) n / o) - 1``. Bins overlap where o does not divide n, and repeat
    elements where it is larger. It is ``adaptive_pool(x, "max", output_size)``.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    output_size : int or sequence of (int or None)
        Outputs along each pooled axis; None keeps an axis as it is. A sequence pools the last axes. One
        number pools every axis after the first two, of an array with at least four axes.
    axes : int or sequence of int, optional
        The pooled axes, in any order; negative numbers count from the end. `window` and the other arguments
        with one entry for each axis follow this order.
    return_indices : bool
        Also return where the chosen elements are.
    out : ndarray, optional
        Array that receives the result and is returned. It has the shape and dtype of the result, is
        writeable, and shares no memory with `x`.

    Returns
    -------
    y : ndarray
        Of the kind of `x`, C-contiguous, with its axes in their order and the asked number of outputs along
        each pooled axis.
    indices : ndarray of int32 or int64
        Only with `return_indices`: the position of each chosen element, flat in C order within the pooled
        axes of its plane, without padding; int64 where a plane has 2**31 elements or more.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, or a pooled axis has no element.

    See Also
    --------
    adaptive_pool : Any operator, with missing data and weights.
    adaptive_avg_pool : Mean of each bin.
    max_pool : Largest element of each sliding window.

    Notes
    -----
    Ties, NaN and gradients are those of `max_pool`. The first call of a kernel compiles it, which takes
    seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] He, Zhang, Ren, Sun 2014, Spatial pyramid pooling in deep convolutional networks for visual
       recognition, arXiv 1406.4729.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.adaptive_max_pool(np.array([3, 1, 4, 1, 5]), (2,), return_indices=True)
    (array([4, 5]), array([2, 4], dtype=int32))
    """
    return adaptive_pool(x, "max", output_size, axes=axes, return_indices=return_indices, out=out)


@overload
def global_pool(x: NumpyArray, op: Op, **keywords: Unpack[Global]) -> NumpyArray: ...
@overload
def global_pool(x: ArrayT, op: Op, **keywords: Unpack[Global]) -> ArrayT: ...
@any_kind
def global_pool(
    x: AnyArray,
    op: Op,
    *,
    axes: Axes | None = None,
    keepdims: bool = False,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    **op_params: Any,
) -> Result:
    """Reduce whole axes with the operator named `op`.

    ``y`` is the operator's value of all elements of the pooled axes together, such as ``max x[i]``, for each
    index of the other axes.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    op : {"max", "min", "count", "avg", "sum", "lp", "gem", "lse", "soft", "mixed", ...}
        The operator: one of these, ``"stochastic"``, ``"median"``, ``"quantile"``, ``"mode"``, ``"var"``,
        ``"std"`` or ``"nearest"``. ``"mean"`` is another word for ``"avg"``. Each has a function of its own,
        such as `max_pool`, whose page gives its formula and parameters.
    axes : int or sequence of int, optional
        The pooled axes; negative numbers count from the end. By default every axis after the first two, of an
        array with at least three.
    keepdims : bool
        Keep the pooled axes, with length 1.
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
    ndarray
        Of the kind of `x`, C-contiguous, without the pooled axes unless `keepdims` keeps them; of no
        dimensions where every axis is pooled.

    Raises
    ------
    TypeError
        If an argument has a wrong type, `x` a dtype that the operator does not take, or if there is a
        parameter that the operator does not have.
    ValueError
        If an argument has a bad value, a pooled axis has no element, or if integers have too few elements and
        nothing says what to fill in.

    See Also
    --------
    global_avg_pool : Mean over whole axes.
    global_max_pool : Largest element of whole axes.
    global_sum_pool : Sum over whole axes.
    global_pool_backward : Gradient of this function.
    fastpool.descriptors.GlobalDescriptor : Normalised vectors of whole images.

    Notes
    -----
    Ties, NaN, rounding and gradients are those of the operator's own function. Large planes are reduced in
    parts, on several threads; the result does not depend on their number. The first call of a kernel compiles
    it, which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Lin, Chen, Yan 2014, Network in network, arXiv 1312.4400.

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


@overload
def global_avg_pool(x: NumpyArray, *, axes: Axes | None = ..., keepdims: bool = ...) -> NumpyArray: ...
@overload
def global_avg_pool(x: ArrayT, *, axes: Axes | None = ..., keepdims: bool = ...) -> ArrayT: ...
@ours
def global_avg_pool(
    x: AnyArray,
    *,
    axes: Axes | None = None,
    keepdims: bool = False,
) -> Result:
    """Reduce whole axes to the mean of their elements.

    ``y = (sum of x[i]) / n`` over the n elements of the pooled axes, for each index of the other axes. It is
    ``global_pool(x, "avg")``.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    axes : int or sequence of int, optional
        The pooled axes; negative numbers count from the end. By default every axis after the first two, of an
        array with at least three.
    keepdims : bool
        Keep the pooled axes, with length 1.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, without the pooled axes unless `keepdims` keeps them; of no
        dimensions where every axis is pooled.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, or a pooled axis has no element.

    See Also
    --------
    global_pool : Any operator, with missing data and weights.
    global_sum_pool : Sum over whole axes.
    avg_pool : Mean of each sliding window.

    Notes
    -----
    Rounding, NaN and gradients are those of `avg_pool`. Large planes are reduced in parts, on several
    threads; the result does not depend on their number. The first call of a kernel compiles it, which takes
    seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Lin, Chen, Yan 2014, Network in network, arXiv 1312.4400.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.global_avg_pool(np.array([[1.0, 3.0], [5.0, 7.0]]), axes=(0, 1))
    array(4.)
    """
    return global_pool(x, "avg", axes=axes, keepdims=keepdims)


@overload
def global_max_pool(x: NumpyArray, *, axes: Axes | None = ..., keepdims: bool = ...) -> NumpyArray: ...
@overload
def global_max_pool(x: ArrayT, *, axes: Axes | None = ..., keepdims: bool = ...) -> ArrayT: ...
@ours
def global_max_pool(
    x: AnyArray,
    *,
    axes: Axes | None = None,
    keepdims: bool = False,
) -> Result:
    """Reduce whole axes to their largest element.

    ``y = max x[i]`` over the elements of the pooled axes, for each index of the other axes. It is
    ``global_pool(x, "max")``.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    axes : int or sequence of int, optional
        The pooled axes; negative numbers count from the end. By default every axis after the first two, of an
        array with at least three.
    keepdims : bool
        Keep the pooled axes, with length 1.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, without the pooled axes unless `keepdims` keeps them; of no
        dimensions where every axis is pooled.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, or a pooled axis has no element.

    See Also
    --------
    global_pool : Any operator, with missing data.
    global_avg_pool : Mean over whole axes.
    max_pool : Largest element of each sliding window.

    Notes
    -----
    Ties, NaN and gradients are those of `max_pool`. Large planes are reduced in parts, on several threads;
    the result does not depend on their number. The first call of a kernel compiles it, which takes seconds;
    numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Lin, Chen, Yan 2014, Network in network, arXiv 1312.4400.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.global_max_pool(np.array([[1, 8], [5, 7]]), axes=0, keepdims=True)
    array([[5, 8]])
    """
    return global_pool(x, "max", axes=axes, keepdims=keepdims)


@overload
def global_sum_pool(x: NumpyArray, *, axes: Axes | None = ..., keepdims: bool = ...) -> NumpyArray: ...
@overload
def global_sum_pool(x: ArrayT, *, axes: Axes | None = ..., keepdims: bool = ...) -> ArrayT: ...
@ours
def global_sum_pool(
    x: AnyArray,
    *,
    axes: Axes | None = None,
    keepdims: bool = False,
) -> Result:
    """Reduce whole axes to the sum of their elements.

    ``y = sum of x[i]`` over the elements of the pooled axes, for each index of the other axes. It is
    ``global_pool(x, "sum")``.

    Parameters
    ----------
    x : ndarray, shape (N, C, ...) or any other
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch, JAX, dask or xarray. Any strides,
        alignment and byte order; it is never written. The batch may be empty, the pooled axes may not.
    axes : int or sequence of int, optional
        The pooled axes; negative numbers count from the end. By default every axis after the first two, of an
        array with at least three.
    keepdims : bool
        Keep the pooled axes, with length 1.

    Returns
    -------
    ndarray
        Of the kind of `x`, C-contiguous, without the pooled axes unless `keepdims` keeps them; of no
        dimensions where every axis is pooled.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or `x` a dtype that the operator does not take.
    ValueError
        If an argument has a bad value, or a pooled axis has no element.

    See Also
    --------
    global_pool : Any operator, with missing data and weights.
    global_avg_pool : Mean over whole axes.
    sum_pool : Sum of each sliding window.

    Notes
    -----
    Rounding, NaN and gradients are those of `sum_pool`: integers widen as `numpy.sum` does. Large planes are
    reduced in parts, on several threads; the result does not depend on their number. The first call of a
    kernel compiles it, which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Lin, Chen, Yan 2014, Network in network, arXiv 1312.4400.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.global_sum_pool(np.array([[1, 8], [5, 7]]), axes=1)
    array([ 9, 12])
    """
    return global_pool(x, "sum", axes=axes, keepdims=keepdims)
