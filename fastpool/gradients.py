"""Backward, two ways: `vjp` keeps what the forward call knows, the ``*_backward`` functions start anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from . import footprints, jobs, kinds
from .annotations import (
    AnyArray,
    ArrayT,
    Axes,
    Border,
    Footprint,
    Lengths,
    Mask,
    Number,
    Op,
    Padding,
    Pull,
    Sizes,
)
from .kinds import any_kind
from .missing import asked
from .missing_jobs import backward

P = ParamSpec("P")
R = TypeVar("R")


def vjp(
    f: Callable[Concatenate[ArrayT, P], R],
    x: ArrayT,
    *args: P.args,
    **kwargs: P.kwargs,
) -> tuple[R, Pull[ArrayT]]:
    """Call a pooling function and return its result and its way back.

    The way back computes the vector-Jacobian product of reverse-mode differentiation,
    ``gx[i] = sum over o of gy[o] dy[o]/dx[i]``. It keeps what the forward call knew, such as which element
    was chosen, and so is faster than the stateless ``*_backward`` functions.

    Parameters
    ----------
    f : callable
        A pooling function of fastpool, or a function that calls exactly one.
    x : ndarray
        Its input. Do not change it before the way back is called: some operators read it again.
    *args
        Further arguments of `f`.
    **kwargs
        Keyword arguments of `f`.

    Returns
    -------
    y : ndarray or (ndarray, ndarray)
        What ``f(x, *args, **kwargs)`` returns.
    pull : callable
        ``pull(gy)`` is the gradient for `x`: of its shape, of its dtype where that is a float, else of the
        dtype of `gy`. ``pull(gy, params=True)`` is ``(gx, gradients)``, where the dict holds the gradient of
        each parameter that has one, by its name, and of `weights`.

    Raises
    ------
    TypeError
        If `f` is not callable, does not call exactly one pooling function, or has an operator without a
        gradient.

    See Also
    --------
    pool_backward : The gradient without a forward call.
    pool : Any operator over sliding windows.
    explain_call : Show which kernel a call takes.

    Notes
    -----
    max and min send the gradient to the chosen element, the first of ties; avg and sum share it. Each
    operator's page gives its own. Gradients of 16-bit floats add up in float32 or wider. The result is the
    same, bit for bit, for every number of threads. The result and its indices may be written to afterwards:
    the way back is unharmed.

    References
    ----------
    .. [1] Griewank, Walther 2008, Evaluating Derivatives, second edition, SIAM.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.array([[1.0, 5.0, 2.0], [7.0, 2.0, 7.0]])
    >>> y, pull = fp.vjp(fp.max_pool, x, (2, 2), stride=1)
    >>> y
    array([[7., 7.]])
    >>> pull(np.ones_like(y))
    array([[0., 0., 0.],
           [1., 0., 1.]])
    """
    if not callable(f):
        raise TypeError(f"f must be a pooling function, got {f!r}")
    with jobs.recording() as tape:
        y = f(x, *args, **kwargs)
    if len(tape) != 1:
        raise TypeError(f"f must call one pooling function of fastpool, got {f!r}, which calls {len(tape)}")
    return y, kinds.pulling(x, tape[0])


@any_kind
def pool_backward(
    gy: ArrayT,
    x: ArrayT,
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
    indices: AnyArray | None = None,
    **op_params: Any,
) -> ArrayT:
    """Compute the gradient of `pool` for `x`.

    ``gx[i] = sum over o of gy[o] dy[o]/dx[i]``, where y is ``pool(x, op, window, ...)`` with the same
    arguments.

    Parameters
    ----------
    gy : ndarray, shape of the result
        Gradient for the result.
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
    pool : The function itself.
    vjp : The result and its way back.
    adaptive_pool_backward : Gradient of adaptive bins.
    global_pool_backward : Gradient of whole axes.

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
    >>> fp.pool_backward(np.array([4.0, 8.0]), np.zeros(4), "avg", (2,))
    array([2., 2., 4., 4.])
    """
    weights = op_params.pop("weights", None)
    around, absent = (stride, padding, dilation, ceil_mode, axes), (where, skipna, nodata, min_count, fill)
    if border is not None or footprint is not None:
        array, call = footprints.call(x, op, window, *around, op_params, border, footprint)
        missing = asked(call.job.operator, array, absent, weights, op_params)
        return call.backward(gy, array, missing, indices)  # type: ignore[return-value]
    array, job = jobs.sliding(x, op, window, *around, op_params)
    missing = asked(job.operator, array, absent, weights, op_params)
    return backward(job, gy, array, missing, indices)  # type: ignore[return-value]


@any_kind
def adaptive_pool_backward(
    gy: ArrayT,
    x: ArrayT,
    op: Op,
    output_size: Sizes,
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
    """Compute the gradient of `adaptive_pool` for `x`.

    ``gx[i] = sum over o of gy[o] dy[o]/dx[i]``, where y is ``adaptive_pool(x, op, output_size, ...)`` with
    the same arguments.

    Parameters
    ----------
    gy : ndarray, shape of the result
        Gradient for the result.
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
    adaptive_pool : The function itself.
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
    >>> fp.adaptive_pool_backward(np.array([3.0, 2.0]), np.zeros(5), "sum", (2,))
    array([3., 3., 5., 2., 2.])
    """
    weights = op_params.pop("weights", None)
    array, job = jobs.adaptive(x, op, output_size, axes, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    return backward(job, gy, array, missing, indices)  # type: ignore[return-value]


@any_kind
def global_pool_backward(
    gy: ArrayT,
    x: ArrayT,
    op: Op,
    *,
    axes: Axes | None = None,
    keepdims: bool = False,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    indices: AnyArray | None = None,
    **op_params: Any,
) -> ArrayT:
    """Compute the gradient of `global_pool` for `x`.

    ``gx[i] = sum over o of gy[o] dy[o]/dx[i]``, where y is ``global_pool(x, op, ...)`` with the same
    arguments.

    Parameters
    ----------
    gy : ndarray, shape of the result
        Gradient for the result.
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
    global_pool : The function itself.
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
    >>> fp.global_pool_backward(np.array(6.0), np.array([1.0, 3.0, 2.0]), "max", axes=0)
    array([0., 6., 0.])
    """
    weights = op_params.pop("weights", None)
    array, job = jobs.whole(x, op, axes, keepdims, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    return backward(job, gy, array, missing, indices)  # type: ignore[return-value]
