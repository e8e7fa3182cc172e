"""Backward, two ways: `vjp` keeps what the forward call knows, the ``*_backward`` functions start anew."""

from collections.abc import Callable
from typing import Any

from . import jobs, kinds
from .arrays import Array
from .jobs import Pull
from .kinds import any_kind
from .missing import asked
from .missing_jobs import backward


def vjp(f: Callable[..., Any], x: Any, *args: Any, **kwargs: Any) -> tuple[Any, Pull]:
    """The result of a pooling function and the function that pulls a gradient back through it.

    Parameters
    ----------
    f : callable
        A pooling function of fastpool (or a function that calls exactly one).
    x : ndarray
        Its input. Do not change it before the pull: some operators read it again.
    *args, **kwargs
        What else `f` takes.

    Returns
    -------
    y : what ``f(x, *args, **kwargs)`` returns
    pull : callable
        ``pull(gy)`` is the gradient for `x`, of the dtype of `x` where that is a float, else of `gy`.
        ``pull(gy, params=True)`` is ``(gx, {"p": ...})``, with the gradient of every operator parameter.
        Deterministic: the same bits for every number of threads.

    Raises
    ------
    TypeError
        Where `f` is not callable or does not pool.

    Notes
    -----
    The vector-Jacobian product of reverse-mode differentiation: ``gx[i] = sum_o gy[o] dy[o]/dx[i]``. Max and
    min send the gradient to the chosen element (the first of ties), avg and sum share it, lp sends
    ``g sign(x) (|x|/y)**(p-1)``, and 0 where the value is 0; each operator's page gives its own.

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
    gy: Any,
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
    indices: Any = None,
    **op_params: Any,
) -> Array:
    """Gradient of `pool` for `x`, without a forward call.

    Parameters
    ----------
    gy : ndarray
        Gradient for the result, of its shape.
    x, op, window, stride, padding, dilation, ceil_mode, axes, **op_params
        As in `pool`.
    indices : ndarray of an integer dtype, optional
        What ``return_indices`` gave, for operators that choose an element; computed anew without it.

    Returns
    -------
    ndarray
        Of the shape of `x`, and of its dtype where that is a float, else of the dtype of `gy` (float64 where
        neither is a float).

    Raises
    ------
    TypeError, ValueError
        As `pool`; and for a `gy` of another shape, and `indices` of another shape or outside their windows.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.pool_backward(np.array([4.0, 8.0]), np.zeros(4), "avg", (2,))
    array([2., 2., 4., 4.])
    """
    weights = op_params.pop("weights", None)
    array, job = jobs.sliding(x, op, window, stride, padding, dilation, ceil_mode, axes, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    return backward(job, gy, array, missing, indices)


@any_kind
def adaptive_pool_backward(
    gy: Any,
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
    indices: Any = None,
    **op_params: Any,
) -> Array:
    """Gradient of `adaptive_pool` for `x`, without a forward call; see `pool_backward`.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.adaptive_pool_backward(np.array([3.0, 2.0]), np.zeros(5), "sum", (2,))
    array([3., 3., 5., 2., 2.])
    """
    weights = op_params.pop("weights", None)
    array, job = jobs.adaptive(x, op, output_size, axes, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    return backward(job, gy, array, missing, indices)


@any_kind
def global_pool_backward(
    gy: Any,
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
    indices: Any = None,
    **op_params: Any,
) -> Array:
    """Gradient of `global_pool` for `x`, without a forward call; see `pool_backward`.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> fp.global_pool_backward(np.array(6.0), np.array([1.0, 3.0, 2.0]), "max", axes=0)
    array([0., 6., 0.])
    """
    weights = op_params.pop("weights", None)
    array, job = jobs.whole(x, op, axes, keepdims, op_params)
    missing = asked(job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    return backward(job, gy, array, missing, indices)
