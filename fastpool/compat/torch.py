"""The pooling functions of ``torch.nn.functional`` and the modules of ``torch.nn``, on plain arrays.

Same names, argument order, defaults and results; torch is not imported. Inputs are ``(N, C, *spatial)`` or,
unbatched, ``(C, *spatial)``; indices are int64. Where torch raises a RuntimeError these raise ValueError or
TypeError. ``docs/frameworks/pytorch.md`` lists the intended differences.

Examples
--------
>>> import numpy as np
>>> from fastpool.compat import torch as F
>>> x = np.arange(16.0).reshape(1, 1, 4, 4)
>>> y, indices = F.max_pool2d(x, 2, return_indices=True)
>>> indices
array([[[[ 5,  7],
         [13, 15]]]])
>>> F.max_unpool2d(y, indices, 2)[0, 0, 1]
array([0., 5., 0., 7.])
>>> F.MaxPool2d(3, stride=1)(x)
array([[[[10., 11.],
         [14., 15.]]]])
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from operator import index
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, overload

import numpy as np

import fastpool as fp
from fastpool.annotations import AnyArray, ArrayT, NumpyArray, Op, Ratios, Result

from .signatures import (
    AdaptiveAvgPoolFunction,
    AdaptiveMaxPoolFunction,
    AdaptiveMaxPoolWithIndicesFunction,
    AvgPoolFunction,
    FractionalMaxPoolFunction,
    FractionalMaxPoolWithIndicesFunction,
    Indexed,
    Integers,
    IntegerSequence,
    LPPoolFunction,
    MaxPoolFunction,
    MaxPoolWithIndicesFunction,
    MaxUnpoolFunction,
    OutputSize,
)

Function = Callable[..., Any]
FunctionT = TypeVar("FunctionT", bound=Function)

# Arguments -----------------------------------------------------------------------------------------------


def _is_sequence(value: Any) -> bool:
    """Whether `value` has one entry an axis; arrays of no dimensions are single values."""
    return isinstance(value, tuple | list) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _integers(name: str, value: Any, count: int, *, minimum: int) -> tuple[int, ...]:
    """An integer for each of `count` axes; a single one serves them all."""
    entries = list(value) if _is_sequence(value) else [value]
    if len(entries) not in (1, count):
        raise ValueError(f"{name} must be an integer or {count} integers, got {value!r}")
    return tuple(_integer(name, entry, minimum) for entry in entries * (count // len(entries)))


def _integer(name: str, value: Any, minimum: int) -> int:
    if isinstance(value, bool | np.bool_) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer or a sequence of them, got {value!r}")
    if index(value) < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value!r}")
    return index(value)


def _real(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    return float(value)


def _spatial_axes(input: Any, count: int) -> tuple[int, ...]:
    """The last `count` axes of ``(N, C, *spatial)`` or ``(C, *spatial)``."""
    if not hasattr(input, "ndim"):
        raise TypeError(f"input must be an array, got {type(input).__name__}")
    if input.ndim not in (count + 1, count + 2):
        raise ValueError(
            f"input must have {count + 2} axes, or {count + 1} without a batch, got shape {input.shape}"
        )
    return tuple(range(-count, 0))


# Functions: one definition serves one, two and three axes ------------------------------------------------


def _named(function: FunctionT, name: str) -> FunctionT:
    function.__name__ = function.__qualname__ = name
    return function


def _with_indices(pool: Function, name: str) -> Function:
    """`pool` with its indices, whatever its ``return_indices`` says."""
    signature = inspect.signature(pool)

    @wraps(pool)
    def pool_with_indices(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        given.arguments["return_indices"] = True
        return pool(*given.args, **given.kwargs)

    return _named(pool_with_indices, name)


def _int64(result: Any) -> Any:
    """The result, its indices (if it has some) as torch gives them."""
    if not isinstance(result, tuple):
        return result
    y, indices = result
    return y, indices.astype(np.int64) if hasattr(indices, "astype") else indices.long()  # tensors lack it


def _slide(
    pool: Function,
    count: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    **others: Any,
) -> Any:
    """A sliding window of fastpool over the last `count` axes."""
    axes = _spatial_axes(input, count)
    window = _integers("kernel_size", kernel_size, count, minimum=1)
    strides = window if stride is None else _integers("stride", stride, count, minimum=1)
    around = _integers("padding", padding, count, minimum=0)
    if any(2 * p > k for p, k in zip(around, window, strict=True)):
        raise ValueError(f"padding must be at most half of kernel_size {window}, got {padding!r}")
    return pool(input, window, stride=strides, padding=around, ceil_mode=ceil_mode, axes=axes, **others)


def _max_pool(count: int) -> MaxPoolFunction:
    def max_pool(
        input: Any,
        kernel_size: Integers,
        stride: Integers | None = None,
        padding: Integers = 0,
        dilation: Integers = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Result:
        """Reduce each window to its largest element, as ``torch.nn.functional.max_pool`` does.

        ``y[o] = max x[i]`` over the elements of window o. Names, order and defaults of the arguments are
        torch's.

        Parameters
        ----------
        input : ndarray, shape (N, C, ...) or (C, ...)
            The input, of any kind of array that fastpool takes. The pooled axes are the last ones.
        kernel_size : int or sequence of int
            Elements that a window covers along each pooled axis.
        stride : int or sequence of int, optional
            Distance between the starts of windows; `kernel_size` by default.
        padding : int or sequence of int
            Elements added before and after each pooled axis; at most half of `kernel_size`.
        dilation : int or sequence of int
            Distance between the elements of a window.
        ceil_mode : bool
            Round the number of windows up instead of down. A window that would start past the input and the
            padding before it is left out.
        return_indices : bool
            Also return where the chosen elements are.

        Returns
        -------
        y : ndarray
            Of the kind and dtype of `input`, with its axes.
        indices : ndarray of int64
            Only with `return_indices`: the position of each chosen element, flat in C order within the pooled
            axes of its plane.

        Raises
        ------
        TypeError
            If an argument has a wrong type.
        ValueError
            If an argument has a bad value, or `input` another number of axes. Where torch raises a
            RuntimeError this is one of the two.

        See Also
        --------
        fastpool.max_pool : The same with fastpool's arguments.

        Notes
        -----
        Of ties the first element has the index and the gradient. A NaN wins; of several the first has the
        index, where torch names the last.

        References
        ----------
        .. [1] PyTorch, ``torch.nn.functional``.

        Examples
        --------
        >>> import numpy as np
        >>> from fastpool.compat.torch import max_pool1d
        >>> max_pool1d(np.array([[3.0, 1.0, 4.0, 1.0, 5.0]]), 2, ceil_mode=True, return_indices=True)
        (array([[3., 4., 5.]]), array([[0, 2, 4]]))
        """
        steps = _integers("dilation", dilation, count, minimum=1)
        options = {"dilation": steps, "return_indices": return_indices}
        return _int64(_slide(fp.max_pool, count, input, kernel_size, stride, padding, ceil_mode, **options))

    return _named(max_pool, f"max_pool{count}d")


max_pool1d: MaxPoolFunction = _max_pool(1)
max_pool2d: MaxPoolFunction = _max_pool(2)
max_pool3d: MaxPoolFunction = _max_pool(3)
max_pool1d_with_indices: MaxPoolWithIndicesFunction = _with_indices(max_pool1d, "max_pool1d_with_indices")
max_pool2d_with_indices: MaxPoolWithIndicesFunction = _with_indices(max_pool2d, "max_pool2d_with_indices")
max_pool3d_with_indices: MaxPoolWithIndicesFunction = _with_indices(max_pool3d, "max_pool3d_with_indices")


@overload
def avg_pool1d(
    input: NumpyArray,
    kernel_size: Integers,
    stride: Integers | None = ...,
    padding: Integers = ...,
    ceil_mode: bool = ...,
    count_include_pad: bool = ...,
) -> NumpyArray: ...
@overload
def avg_pool1d(
    input: ArrayT,
    kernel_size: Integers,
    stride: Integers | None = ...,
    padding: Integers = ...,
    ceil_mode: bool = ...,
    count_include_pad: bool = ...,
) -> ArrayT: ...
def avg_pool1d(
    input: Any,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Result:
    """Reduce each window along one axis to the mean of its elements.

    ``y[o] = (sum of x[i]) / divisor`` over the elements of window o. Names, order and defaults of the
    arguments are torch's.

    Parameters
    ----------
    input : ndarray, shape (N, C, ...) or (C, ...)
        The input, of any kind of array that fastpool takes. The pooled axes are the last ones.
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    stride : int or sequence of int, optional
        Distance between the starts of windows; `kernel_size` by default.
    padding : int or sequence of int
        Elements added before and after each pooled axis; at most half of `kernel_size`.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    count_include_pad : bool
        Divide by the size of the window clipped to the padded input; without it, by the number of elements of
        the input in the window. What `ceil_mode` adds beyond the padding counts in neither.

    Returns
    -------
    ndarray
        Of the kind and dtype of `input`, with its axes.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or `input` another number of axes. Where torch raises a RuntimeError
        this is one of the two.

    See Also
    --------
    fastpool.avg_pool : The same with fastpool's arguments.

    Notes
    -----
    Means of integers are rounded half up, where torch cuts them off.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.functional``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import avg_pool1d
    >>> avg_pool1d(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]), 2, ceil_mode=True)
    array([[1.5, 3.5, 5. ]])
    """
    include = {"count_include_pad": count_include_pad}
    return _slide(fp.avg_pool, 1, input, kernel_size, stride, padding, ceil_mode, **include)


def _avg_pool(count: int) -> AvgPoolFunction:
    def avg_pool(
        input: Any,
        kernel_size: Integers,
        stride: Integers | None = None,
        padding: Integers = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Result:
        """Reduce each window to the mean of its elements, as ``torch.nn.functional.avg_pool`` does.

        ``y[o] = (sum of x[i]) / divisor`` over the elements of window o. Names, order and defaults of the
        arguments are torch's.

        Parameters
        ----------
        input : ndarray, shape (N, C, ...) or (C, ...)
            The input, of any kind of array that fastpool takes. The pooled axes are the last ones.
        kernel_size : int or sequence of int
            Elements that a window covers along each pooled axis.
        stride : int or sequence of int, optional
            Distance between the starts of windows; `kernel_size` by default.
        padding : int or sequence of int
            Elements added before and after each pooled axis; at most half of `kernel_size`.
        ceil_mode : bool
            Round the number of windows up instead of down. A window that would start past the input and the
            padding before it is left out.
        count_include_pad : bool
            Divide by the size of the window clipped to the padded input; without it, by the number of
            elements of the input in the window. What `ceil_mode` adds beyond the padding counts in neither.
        divisor_override : int, optional
            Divide every window's sum by this number instead: any integer of 32 bits but 0.

        Returns
        -------
        ndarray
            Of the kind and dtype of `input`, with its axes.

        Raises
        ------
        TypeError
            If an argument has a wrong type.
        ValueError
            If an argument has a bad value, or `input` another number of axes. Where torch raises a
            RuntimeError this is one of the two.

        See Also
        --------
        fastpool.avg_pool : The same with fastpool's arguments.

        Notes
        -----
        Means of integers are rounded half up, where torch cuts them off.

        References
        ----------
        .. [1] PyTorch, ``torch.nn.functional``.

        Examples
        --------
        >>> import numpy as np
        >>> from fastpool.compat.torch import avg_pool2d
        >>> avg_pool2d(np.array([[[1.0, 3.0], [5.0, 7.0]]]), 2, padding=1, count_include_pad=False)
        array([[[1., 3.],
                [5., 7.]]])
        """
        options = {"count_include_pad": count_include_pad, "divisor_override": divisor_override}
        return _slide(fp.avg_pool, count, input, kernel_size, stride, padding, ceil_mode, **options)

    return _named(avg_pool, f"avg_pool{count}d")


avg_pool2d: AvgPoolFunction = _avg_pool(2)
avg_pool3d: AvgPoolFunction = _avg_pool(3)


def _lp_pool(count: int) -> LPPoolFunction:
    def lp_pool(
        input: Any,
        norm_type: float,
        kernel_size: Integers,
        stride: Integers | None = None,
        ceil_mode: bool = False,
    ) -> Result:
        """Reduce each window to its power average, as ``torch.nn.functional.lp_pool`` does.

        ``y[o] = (sum of x[i]**p)**(1/p)`` over the elements of window o, with p the `norm_type`. That is the
        norm of `fastpool.lp_pool` where p is even or no element is negative; else powers keep their sign, as
        in torch, and a root of a negative sum is NaN.

        Parameters
        ----------
        input : ndarray, shape (N, C, ...) or (C, ...)
            The input, of any kind of array that fastpool takes. The pooled axes are the last ones.
        norm_type : float
            The exponent, not 0. Infinity gives the largest magnitude, minus infinity the smallest.
        kernel_size : int or sequence of int
            Elements that a window covers along each pooled axis.
        stride : int or sequence of int, optional
            Distance between the starts of windows; `kernel_size` by default.
        ceil_mode : bool
            Round the number of windows up instead of down. A window that would start past the input and the
            padding before it is left out.

        Returns
        -------
        ndarray
            Of the kind and dtype of `input`, with its axes.

        Raises
        ------
        TypeError
            If an argument has a wrong type.
        ValueError
            If an argument has a bad value, or `input` another number of axes. Where torch raises a
            RuntimeError this is one of the two.

        See Also
        --------
        fastpool.lp_pool : The norm of each window.

        Notes
        -----
        A window that `ceil_mode` lets overhang the input is scaled up to a full one.

        References
        ----------
        .. [1] PyTorch, ``torch.nn.functional``.

        Examples
        --------
        >>> import numpy as np
        >>> from fastpool.compat.torch import lp_pool1d
        >>> lp_pool1d(np.array([[3.0, 4.0, -2.0, 1.0]]), 2, 2)
        array([[5.        , 2.23606798]])
        >>> lp_pool1d(np.array([[3.0, 4.0, -2.0, 1.0]]), 1, 2)
        array([[ 7., -1.]])
        """
        p = _real("norm_type", norm_type)
        if p == 0 or math.isnan(p):
            raise ValueError(f"norm_type must be a number other than 0, got {norm_type!r}")
        window = _integers("kernel_size", kernel_size, count, minimum=1)
        strides = window if stride is None else _integers("stride", stride, count, minimum=1)
        lengths = [input.shape[axis] for axis in _spatial_axes(input, count)]

        def slide(pool: Function, x: Any, **others: Any) -> Any:
            return _slide(pool, count, x, window, strides, 0, ceil_mode, **others)

        if p == -math.inf:
            return slide(_apart(fp.min_pool), np.abs(input))
        overhangs = ceil_mode and any((n - k) % s for n, k, s in zip(lengths, window, strides, strict=True))
        positive = p > 0 and (p == math.inf or p % 2 == 0 or not (input < 0).any())
        if positive and (p == math.inf or not overhangs):
            return slide(fp.lp_pool, input, p=p)
        with np.errstate(all="ignore"):
            return (slide(_apart(fp.avg_pool), input**p) * math.prod(window)) ** (1 / p)

    return _named(lp_pool, f"lp_pool{count}d")


def _apart(pool: Function) -> Function:
    """`pool`, out of sight of a `fastpool.vjp` around it: that would miss the powers, and refuses instead."""

    def pool_apart(x: Any, *args: Any, **kwargs: Any) -> Any:
        return fp.vjp(pool, x, *args, **kwargs)[0]

    return pool_apart


lp_pool1d: LPPoolFunction = _lp_pool(1)
lp_pool2d: LPPoolFunction = _lp_pool(2)
lp_pool3d: LPPoolFunction = _lp_pool(3)


def _adapt(op: Op, count: int, input: Any, output_size: Any, **others: Any) -> Any:
    """Adaptive bins of fastpool over the last `count` axes; a None in `output_size` keeps a length."""
    axes = _spatial_axes(input, count)
    entries = list(output_size) if _is_sequence(output_size) else [output_size] * count
    if len(entries) != count:
        raise ValueError(f"output_size must be an integer or {count} of them, got {output_size!r}")
    if output_size is None:
        raise TypeError("output_size must be an integer or a sequence of integers and None, got None")
    sizes = [
        input.shape[axis] if size is None else _integer("output_size", size, 1)
        for axis, size in zip(axes, entries, strict=True)
    ]
    return fp.adaptive_pool(input, op, sizes, axes=axes, **others)


def _adaptive_max_pool(count: int) -> AdaptiveMaxPoolFunction:
    def adaptive_max_pool(input: Any, output_size: OutputSize, return_indices: bool = False) -> Result:
        """Reduce each adaptive bin to its largest element.

        ``y[o] = max x[i]`` over bin o, which covers ``floor(o n / outputs)`` to
        ``ceil((o + 1) n / outputs) - 1``.

        Parameters
        ----------
        input : ndarray, shape (N, C, ...) or (C, ...)
            The input, of any kind of array that fastpool takes. The pooled axes are the last ones.
        output_size : int or sequence of (int or None)
            Outputs along each pooled axis; None keeps an axis as it is.
        return_indices : bool
            Also return where the chosen elements are.

        Returns
        -------
        y : ndarray
            Of the kind and dtype of `input`, with its axes.
        indices : ndarray of int64
            Only with `return_indices`: the position of each chosen element, flat in C order within the pooled
            axes of its plane.

        Raises
        ------
        TypeError
            If an argument has a wrong type.
        ValueError
            If an argument has a bad value, or `input` another number of axes. Where torch raises a
            RuntimeError this is one of the two.

        See Also
        --------
        fastpool.adaptive_max_pool : The same with fastpool's arguments.

        Notes
        -----
        Of ties the first element has the index and the gradient. A NaN wins.

        References
        ----------
        .. [1] PyTorch, ``torch.nn.functional``.

        Examples
        --------
        >>> import numpy as np
        >>> from fastpool.compat.torch import adaptive_max_pool1d
        >>> adaptive_max_pool1d(np.array([[3.0, 1.0, 4.0, 1.0, 5.0]]), 2, return_indices=True)
        (array([[4., 5.]]), array([[2, 4]]))
        """
        return _int64(_adapt("max", count, input, output_size, return_indices=return_indices))

    return _named(adaptive_max_pool, f"adaptive_max_pool{count}d")


def _adaptive_avg_pool(count: int) -> AdaptiveAvgPoolFunction:
    def adaptive_avg_pool(input: Any, output_size: OutputSize) -> Result:
        """Reduce each adaptive bin to the mean of its elements.

        ``y[o] = (sum of x[i]) / n[o]`` over the n[o] elements of bin o, which covers ``floor(o n / outputs)``
        to ``ceil((o + 1) n / outputs) - 1``.

        Parameters
        ----------
        input : ndarray, shape (N, C, ...) or (C, ...)
            The input, of any kind of array that fastpool takes. The pooled axes are the last ones.
        output_size : int or sequence of (int or None)
            Outputs along each pooled axis; None keeps an axis as it is.

        Returns
        -------
        ndarray
            Of the kind and dtype of `input`, with its axes.

        Raises
        ------
        TypeError
            If an argument has a wrong type.
        ValueError
            If an argument has a bad value, or `input` another number of axes. Where torch raises a
            RuntimeError this is one of the two.

        See Also
        --------
        fastpool.adaptive_avg_pool : The same with fastpool's arguments.

        Notes
        -----
        Means of integers are rounded half up.

        References
        ----------
        .. [1] PyTorch, ``torch.nn.functional``.

        Examples
        --------
        >>> import numpy as np
        >>> from fastpool.compat.torch import adaptive_avg_pool2d
        >>> adaptive_avg_pool2d(np.array([[[1.0, 3.0], [5.0, 7.0]]]), (1, None))
        array([[[3., 5.]]])
        """
        return _adapt("avg", count, input, output_size)

    return _named(adaptive_avg_pool, f"adaptive_avg_pool{count}d")


adaptive_max_pool1d: AdaptiveMaxPoolFunction = _adaptive_max_pool(1)
adaptive_max_pool2d: AdaptiveMaxPoolFunction = _adaptive_max_pool(2)
adaptive_max_pool3d: AdaptiveMaxPoolFunction = _adaptive_max_pool(3)
adaptive_avg_pool1d: AdaptiveAvgPoolFunction = _adaptive_avg_pool(1)
adaptive_avg_pool2d: AdaptiveAvgPoolFunction = _adaptive_avg_pool(2)
adaptive_avg_pool3d: AdaptiveAvgPoolFunction = _adaptive_avg_pool(3)
adaptive_max_pool1d_with_indices: AdaptiveMaxPoolWithIndicesFunction = _with_indices(
    adaptive_max_pool1d, "adaptive_max_pool1d_with_indices"
)
adaptive_max_pool2d_with_indices: AdaptiveMaxPoolWithIndicesFunction = _with_indices(
    adaptive_max_pool2d, "adaptive_max_pool2d_with_indices"
)
adaptive_max_pool3d_with_indices: AdaptiveMaxPoolWithIndicesFunction = _with_indices(
    adaptive_max_pool3d, "adaptive_max_pool3d_with_indices"
)


def _ratios(output_ratio: Any) -> list[float]:
    """The numbers of `output_ratio`, which is one or a sequence."""
    entries = list(output_ratio) if _is_sequence(output_ratio) else [output_ratio]
    ratios = [_real("output_ratio", entry) for entry in entries]
    if not all(0 < ratio <= 1 for ratio in ratios):
        raise ValueError(f"output_ratio must be above 0 and at most 1, got {output_ratio!r}")
    return ratios


def _scaled(lengths: tuple[int, ...], output_ratio: Any) -> list[int]:
    """The lengths times the ratios."""
    ratios = _ratios(output_ratio)
    if len(ratios) not in (1, len(lengths)):
        raise ValueError(f"output_ratio must be a number or {len(lengths)} of them, got {output_ratio!r}")
    ratios *= len(lengths) // len(ratios)
    return [int(n * ratio) for n, ratio in zip(lengths, ratios, strict=True)]


def _samples(given: Any, input: Any, count: int) -> Any:
    """Samples in the shape that `fastpool.fractional_pool` takes; torch's have a batch axis in any case."""
    if given is None:
        return None
    planes = input.shape[:-count] if input.ndim == count + 2 else (1, *input.shape[:-count])
    if getattr(given, "dtype", None) != input.dtype:
        raise TypeError(f"_random_samples must be an array of the dtype of input, {input.dtype}")
    if given.shape != (*planes, count):
        raise ValueError(f"_random_samples must have the shape {(*planes, count)}, got {given.shape}")
    return given if input.ndim == count + 2 else given[0]


def _fractional_max_pool(count: int) -> FractionalMaxPoolFunction:
    def fractional_max_pool(
        input: Any,
        kernel_size: Integers,
        output_size: Integers | None = None,
        output_ratio: Ratios | None = None,
        return_indices: bool = False,
        _random_samples: AnyArray | None = None,
    ) -> Result:
        """Reduce windows at random places to their largest elements.

        ``y[o] = max x[i]`` over window o, which begins at ``int((o + u) a) - int(u a)`` with
        ``a = (n - kernel_size) / (outputs - 1)``; each plane and axis has a random number `u` of its own.

        Parameters
        ----------
        input : ndarray, shape (N, C, ...) or (C, ...)
            The input, of any kind of array that fastpool takes. The pooled axes are the last ones.
        kernel_size : int or sequence of int
            Elements that a window covers along each pooled axis.
        output_size : int or sequence of int, optional
            Windows along each pooled axis.
        output_ratio : float or sequence of float, optional
            In place of `output_size`: ``int(length * output_ratio)`` windows.
        return_indices : bool
            Also return where the chosen elements are.
        _random_samples : ndarray, optional
            Numbers in [0, 1) of the dtype of `input` and of shape (N, C, axes), or (1, C, axes) without a
            batch.

        Returns
        -------
        y : ndarray
            Of the kind and dtype of `input`, with its axes.
        indices : ndarray of int64
            Only with `return_indices`: the position of each chosen element, flat in C order within the pooled
            axes of its plane.

        Raises
        ------
        TypeError
            If an argument has a wrong type.
        ValueError
            If an argument has a bad value, or `input` another number of axes. Where torch raises a
            RuntimeError this is one of the two.

        See Also
        --------
        fastpool.fractional_pool : Any operator, with a seed.

        Notes
        -----
        Of ties the first element has the index and the gradient. A NaN wins.

        References
        ----------
        .. [1] PyTorch, ``torch.nn.functional``.
        .. [2] Graham 2014, Fractional max-pooling, arXiv 1412.6071.

        Examples
        --------
        >>> import numpy as np
        >>> from fastpool.compat.torch import fractional_max_pool2d
        >>> x = np.arange(25.0).reshape(1, 5, 5)
        >>> fractional_max_pool2d(x, 2, output_size=2, _random_samples=np.full((1, 1, 2), 0.5))
        array([[[ 6.,  9.],
                [21., 24.]]])
        """
        axes = _spatial_axes(input, count)
        window = _integers("kernel_size", kernel_size, count, minimum=1)
        if output_size is None and output_ratio is None:
            raise ValueError("output_size or output_ratio must be given, got neither")
        wanted = _scaled(input.shape[-count:], output_ratio) if output_size is None else output_size
        sizes = _integers("output_size", wanted, count, minimum=1)
        samples = _samples(_random_samples, input, count)
        options = {"window": window, "samples": samples, "axes": axes, "return_indices": return_indices}
        return _int64(fp.fractional_pool(input, "max", sizes, scheme="torch", **options))

    return _named(fractional_max_pool, f"fractional_max_pool{count}d")


fractional_max_pool2d: FractionalMaxPoolFunction = _fractional_max_pool(2)
fractional_max_pool3d: FractionalMaxPoolFunction = _fractional_max_pool(3)
fractional_max_pool2d_with_indices: FractionalMaxPoolWithIndicesFunction = _with_indices(
    fractional_max_pool2d, "fractional_max_pool2d_with_indices"
)
fractional_max_pool3d_with_indices: FractionalMaxPoolWithIndicesFunction = _with_indices(
    fractional_max_pool3d, "fractional_max_pool3d_with_indices"
)


def _chosen_lengths(output_size: Any, lengths: list[int], strides: tuple[int, ...]) -> list[int]:
    """The lengths that `output_size` names: within a stride of the computed ones."""
    count = len(lengths)
    if not _is_sequence(output_size):
        raise TypeError(f"output_size must be a sequence of integers, got {output_size!r}")
    if len(output_size) not in (count, count + 2):
        raise ValueError(f"output_size must have {count} or {count + 2} entries, got {output_size!r}")
    chosen = [_integer("output_size", size, 0) for size in output_size[-count:]]
    for size, length, step in zip(chosen, lengths, strides, strict=True):
        if abs(size - length) >= step:
            raise ValueError(
                f"output_size must be between {length - step + 1} and {length + step - 1}, got {size}"
            )
    return chosen


def _max_unpool(count: int) -> MaxUnpoolFunction:
    def max_unpool(
        input: Any,
        indices: AnyArray,
        kernel_size: Integers,
        stride: Integers | None = None,
        padding: Integers = 0,
        output_size: IntegerSequence | None = None,
    ) -> Result:
        """Write each value to the element that its index names, and 0 everywhere else.

        ``x[indices[o]] = input[o]`` in each plane. The result has
        ``(n - 1) stride - 2 padding + kernel_size`` elements along an axis, or `output_size`.

        Parameters
        ----------
        input : ndarray, shape (N, C, ...) or (C, ...)
            Values, as `max_pool2d` and its like give them.
        indices : ndarray of int, shape of `input`
            Positions, flat in C order within the pooled axes of a plane.
        kernel_size : int or sequence of int
            Elements that a window covers along each pooled axis.
        stride : int or sequence of int, optional
            Distance between the starts of windows; `kernel_size` by default.
        padding : int or sequence of int
            Elements that were added before and after each pooled axis.
        output_size : sequence of int, optional
            Lengths of the pooled axes, or the whole shape; each less than a stride from the computed one.

        Returns
        -------
        ndarray
            Of the kind and dtype of `input`, with its axes.

        Raises
        ------
        TypeError
            If an argument has a wrong type.
        ValueError
            If an argument has a bad value, or `input` another number of axes. Where torch raises a
            RuntimeError this is one of the two.

        See Also
        --------
        fastpool.unpool : The same for any axes.

        Notes
        -----
        Of values with the same index the last one stays.

        References
        ----------
        .. [1] PyTorch, ``torch.nn.functional``.

        Examples
        --------
        >>> import numpy as np
        >>> from fastpool.compat.torch import max_unpool1d
        >>> max_unpool1d(np.array([[3.0, 4.0]]), np.array([[0, 2]]), 2, output_size=(5,))
        array([[3., 0., 4., 0., 0.]])
        """
        axes = _spatial_axes(input, count)
        window = _integers("kernel_size", kernel_size, count, minimum=1)
        strides = window if stride is None else _integers("stride", stride, count, minimum=1)
        around = _integers("padding", padding, count, minimum=0)
        each = zip(input.shape[-count:], window, strides, around, strict=True)
        lengths = [(n - 1) * s - 2 * p + k for n, k, s, p in each]
        if output_size is not None:
            lengths = _chosen_lengths(output_size, lengths, strides)
        if min(lengths) < 1:
            raise ValueError(f"input of shape {input.shape} would be unpooled to lengths {lengths}, below 1")
        return fp.unpool(input, indices, lengths, axes=axes)

    return _named(max_unpool, f"max_unpool{count}d")


max_unpool1d: MaxUnpoolFunction = _max_unpool(1)
max_unpool2d: MaxUnpoolFunction = _max_unpool(2)
max_unpool3d: MaxUnpoolFunction = _max_unpool(3)


# Modules: constructors that keep their arguments for the function ----------------------------------------


class _Module:
    """A call hands what the constructor was given to `function`."""

    function: ClassVar[Function]

    @overload
    def __call__(self, input: NumpyArray) -> NumpyArray: ...
    @overload
    def __call__(self, input: ArrayT) -> ArrayT: ...
    def __call__(self, input: AnyArray) -> Result:
        return type(self).function(input, **vars(self))


class _IndexModule(Generic[Indexed]):
    """The same, where `return_indices` asks for a pair."""

    function: ClassVar[Function]

    def __class_getitem__(cls, _: Any) -> type[Self]:
        return cls  # an alias of `typing` would add an attribute to those that a call hands on

    @overload
    def __call__(self: _IndexModule[Literal[False]], input: ArrayT) -> ArrayT: ...
    @overload
    def __call__(self: _IndexModule[Literal[True]], input: NumpyArray) -> tuple[NumpyArray, NumpyArray]: ...
    @overload
    def __call__(self: _IndexModule[Literal[True]], input: ArrayT) -> tuple[ArrayT, ArrayT]: ...
    @overload
    def __call__(self, input: ArrayT) -> ArrayT | tuple[ArrayT, ArrayT]: ...
    def __call__(self, input: AnyArray) -> Result:
        return type(self).function(input, **vars(self))


NO: Any = False  # the default of `return_indices`, whose type a module keeps


@dataclass(eq=False)
class _Sliding:
    kernel_size: Integers
    stride: Integers | None = None
    padding: Integers = 0

    def __post_init__(self) -> None:
        self.stride = self.kernel_size if self.stride is None else self.stride


@dataclass(eq=False)
class _MaxPool(_Sliding, _IndexModule[Indexed]):
    dilation: Integers = 1
    return_indices: Indexed = NO
    ceil_mode: bool = False


class MaxPool1d(_MaxPool[Indexed]):
    """Keep the arguments of `max_pool1d`: the largest element of windows of one axis.

    The constructor keeps its arguments, and a call hands them to `max_pool1d` with the input. Names, order
    and defaults are those of ``torch.nn.MaxPool1d``.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    stride : int or sequence of int, optional
        Distance between the starts of windows; `kernel_size` by default.
    padding : int or sequence of int
        Elements added before and after each pooled axis; at most half of `kernel_size`.
    dilation : int or sequence of int
        Distance between the elements of a window.
    return_indices : bool
        Also return where the chosen elements are.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.

    See Also
    --------
    max_pool1d : The function that a call makes.
    fastpool.max_pool : The same with fastpool's arguments.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.MaxPool1d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import MaxPool1d
    >>> MaxPool1d(2)(np.ones((1, 8))).shape
    (1, 4)
    """

    function = max_pool1d


class MaxPool2d(_MaxPool[Indexed]):
    """Keep the arguments of `max_pool2d`: the largest element of windows of two axes.

    The constructor keeps its arguments, and a call hands them to `max_pool2d` with the input. Names, order
    and defaults are those of ``torch.nn.MaxPool2d``.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    stride : int or sequence of int, optional
        Distance between the starts of windows; `kernel_size` by default.
    padding : int or sequence of int
        Elements added before and after each pooled axis; at most half of `kernel_size`.
    dilation : int or sequence of int
        Distance between the elements of a window.
    return_indices : bool
        Also return where the chosen elements are.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.

    See Also
    --------
    max_pool2d : The function that a call makes.
    fastpool.max_pool : The same with fastpool's arguments.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.MaxPool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import MaxPool2d
    >>> pool = MaxPool2d(2, ceil_mode=True)
    >>> pool
    MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, return_indices=False, ceil_mode=True)
    >>> pool(np.arange(9.0).reshape(1, 3, 3))
    array([[[4., 5.],
            [7., 8.]]])
    """

    function = max_pool2d


class MaxPool3d(_MaxPool[Indexed]):
    """Keep the arguments of `max_pool3d`: the largest element of windows of three axes.

    The constructor keeps its arguments, and a call hands them to `max_pool3d` with the input. Names, order
    and defaults are those of ``torch.nn.MaxPool3d``.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    stride : int or sequence of int, optional
        Distance between the starts of windows; `kernel_size` by default.
    padding : int or sequence of int
        Elements added before and after each pooled axis; at most half of `kernel_size`.
    dilation : int or sequence of int
        Distance between the elements of a window.
    return_indices : bool
        Also return where the chosen elements are.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.

    See Also
    --------
    max_pool3d : The function that a call makes.
    fastpool.max_pool : The same with fastpool's arguments.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.MaxPool3d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import MaxPool3d
    >>> MaxPool3d(2)(np.ones((1, 8, 8, 8))).shape
    (1, 4, 4, 4)
    """

    function = max_pool3d


@dataclass(eq=False)
class _AvgPool(_Sliding, _Module):
    ceil_mode: bool = False
    count_include_pad: bool = True


@dataclass(eq=False)
class _DividingAvgPool(_AvgPool):
    divisor_override: int | None = None


class AvgPool1d(_AvgPool):
    """Keep the arguments of `avg_pool1d`: the mean of windows of one axis.

    The constructor keeps its arguments, and a call hands them to `avg_pool1d` with the input. Names, order
    and defaults are those of ``torch.nn.AvgPool1d``.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    stride : int or sequence of int, optional
        Distance between the starts of windows; `kernel_size` by default.
    padding : int or sequence of int
        Elements added before and after each pooled axis; at most half of `kernel_size`.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    count_include_pad : bool
        Divide by the size of the window clipped to the padded input; without it, by the number of elements of
        the input in the window. What `ceil_mode` adds beyond the padding counts in neither.

    See Also
    --------
    avg_pool1d : The function that a call makes.
    fastpool.avg_pool : The same with fastpool's arguments.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.AvgPool1d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import AvgPool1d
    >>> AvgPool1d(2)(np.ones((1, 8))).shape
    (1, 4)
    """

    function = avg_pool1d


class AvgPool2d(_DividingAvgPool):
    """Keep the arguments of `avg_pool2d`: the mean of windows of two axes.

    The constructor keeps its arguments, and a call hands them to `avg_pool2d` with the input. Names, order
    and defaults are those of ``torch.nn.AvgPool2d``.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    stride : int or sequence of int, optional
        Distance between the starts of windows; `kernel_size` by default.
    padding : int or sequence of int
        Elements added before and after each pooled axis; at most half of `kernel_size`.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    count_include_pad : bool
        Divide by the size of the window clipped to the padded input; without it, by the number of elements of
        the input in the window. What `ceil_mode` adds beyond the padding counts in neither.
    divisor_override : int, optional
        Divide every window's sum by this number instead: any integer of 32 bits but 0.

    See Also
    --------
    avg_pool2d : The function that a call makes.
    fastpool.avg_pool : The same with fastpool's arguments.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.AvgPool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import AvgPool2d
    >>> AvgPool2d(2)(np.ones((1, 8, 8))).shape
    (1, 4, 4)
    """

    function = avg_pool2d


class AvgPool3d(_DividingAvgPool):
    """Keep the arguments of `avg_pool3d`: the mean of windows of three axes.

    The constructor keeps its arguments, and a call hands them to `avg_pool3d` with the input. Names, order
    and defaults are those of ``torch.nn.AvgPool3d``.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    stride : int or sequence of int, optional
        Distance between the starts of windows; `kernel_size` by default.
    padding : int or sequence of int
        Elements added before and after each pooled axis; at most half of `kernel_size`.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.
    count_include_pad : bool
        Divide by the size of the window clipped to the padded input; without it, by the number of elements of
        the input in the window. What `ceil_mode` adds beyond the padding counts in neither.
    divisor_override : int, optional
        Divide every window's sum by this number instead: any integer of 32 bits but 0.

    See Also
    --------
    avg_pool3d : The function that a call makes.
    fastpool.avg_pool : The same with fastpool's arguments.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.AvgPool3d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import AvgPool3d
    >>> AvgPool3d(2)(np.ones((1, 8, 8, 8))).shape
    (1, 4, 4, 4)
    """

    function = avg_pool3d


@dataclass(eq=False)
class _LPPool(_Module):
    norm_type: float
    kernel_size: Integers
    stride: Integers | None = None
    ceil_mode: bool = False


class LPPool1d(_LPPool):
    """Keep the arguments of `lp_pool1d`: the power average of windows of one axis.

    The constructor keeps its arguments, and a call hands them to `lp_pool1d` with the input. Names, order and
    defaults are those of ``torch.nn.LPPool1d``.

    Parameters
    ----------
    norm_type : float
        The exponent, not 0. Infinity gives the largest magnitude, minus infinity the smallest.
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    stride : int or sequence of int, optional
        Distance between the starts of windows; `kernel_size` by default.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.

    See Also
    --------
    lp_pool1d : The function that a call makes.
    fastpool.lp_pool : The norm of each window.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.LPPool1d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import LPPool1d
    >>> LPPool1d(2, 2)(np.ones((1, 8))).shape
    (1, 4)
    """

    function = lp_pool1d


class LPPool2d(_LPPool):
    """Keep the arguments of `lp_pool2d`: the power average of windows of two axes.

    The constructor keeps its arguments, and a call hands them to `lp_pool2d` with the input. Names, order and
    defaults are those of ``torch.nn.LPPool2d``.

    Parameters
    ----------
    norm_type : float
        The exponent, not 0. Infinity gives the largest magnitude, minus infinity the smallest.
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    stride : int or sequence of int, optional
        Distance between the starts of windows; `kernel_size` by default.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.

    See Also
    --------
    lp_pool2d : The function that a call makes.
    fastpool.lp_pool : The norm of each window.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.LPPool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import LPPool2d
    >>> LPPool2d(2, 2)(np.ones((1, 8, 8))).shape
    (1, 4, 4)
    """

    function = lp_pool2d


class LPPool3d(_LPPool):
    """Keep the arguments of `lp_pool3d`: the power average of windows of three axes.

    The constructor keeps its arguments, and a call hands them to `lp_pool3d` with the input. Names, order and
    defaults are those of ``torch.nn.LPPool3d``.

    Parameters
    ----------
    norm_type : float
        The exponent, not 0. Infinity gives the largest magnitude, minus infinity the smallest.
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    stride : int or sequence of int, optional
        Distance between the starts of windows; `kernel_size` by default.
    ceil_mode : bool
        Round the number of windows up instead of down. A window that would start past the input and the
        padding before it is left out.

    See Also
    --------
    lp_pool3d : The function that a call makes.
    fastpool.lp_pool : The norm of each window.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.LPPool3d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import LPPool3d
    >>> LPPool3d(2, 2)(np.ones((1, 8, 8, 8))).shape
    (1, 4, 4, 4)
    """

    function = lp_pool3d


@dataclass(eq=False)
class _AdaptiveAvgPool(_Module):
    output_size: OutputSize


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Keep the arguments of `adaptive_avg_pool1d`: the mean of bins of one axis.

    The constructor keeps its arguments, and a call hands them to `adaptive_avg_pool1d` with the input. Names,
    order and defaults are those of ``torch.nn.AdaptiveAvgPool1d``.

    Parameters
    ----------
    output_size : int or sequence of (int or None)
        Outputs along each pooled axis; None keeps an axis as it is.

    See Also
    --------
    adaptive_avg_pool1d : The function that a call makes.
    fastpool.adaptive_avg_pool : The same with fastpool's arguments.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.AdaptiveAvgPool1d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import AdaptiveAvgPool1d
    >>> AdaptiveAvgPool1d(4)(np.ones((1, 8))).shape
    (1, 4)
    """

    function = adaptive_avg_pool1d


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Keep the arguments of `adaptive_avg_pool2d`: the mean of bins of two axes.

    The constructor keeps its arguments, and a call hands them to `adaptive_avg_pool2d` with the input. Names,
    order and defaults are those of ``torch.nn.AdaptiveAvgPool2d``.

    Parameters
    ----------
    output_size : int or sequence of (int or None)
        Outputs along each pooled axis; None keeps an axis as it is.

    See Also
    --------
    adaptive_avg_pool2d : The function that a call makes.
    fastpool.adaptive_avg_pool : The same with fastpool's arguments.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.AdaptiveAvgPool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import AdaptiveAvgPool2d
    >>> AdaptiveAvgPool2d(4)(np.ones((1, 8, 8))).shape
    (1, 4, 4)
    """

    function = adaptive_avg_pool2d


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Keep the arguments of `adaptive_avg_pool3d`: the mean of bins of three axes.

    The constructor keeps its arguments, and a call hands them to `adaptive_avg_pool3d` with the input. Names,
    order and defaults are those of ``torch.nn.AdaptiveAvgPool3d``.

    Parameters
    ----------
    output_size : int or sequence of (int or None)
        Outputs along each pooled axis; None keeps an axis as it is.

    See Also
    --------
    adaptive_avg_pool3d : The function that a call makes.
    fastpool.adaptive_avg_pool : The same with fastpool's arguments.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.AdaptiveAvgPool3d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import AdaptiveAvgPool3d
    >>> AdaptiveAvgPool3d(4)(np.ones((1, 8, 8, 8))).shape
    (1, 4, 4, 4)
    """

    function = adaptive_avg_pool3d


@dataclass(eq=False)
class _AdaptiveMaxPool(_IndexModule[Indexed]):
    output_size: OutputSize
    return_indices: Indexed = NO


class AdaptiveMaxPool1d(_AdaptiveMaxPool[Indexed]):
    """Keep the arguments of `adaptive_max_pool1d`: the largest element of bins of one axis.

    The constructor keeps its arguments, and a call hands them to `adaptive_max_pool1d` with the input. Names,
    order and defaults are those of ``torch.nn.AdaptiveMaxPool1d``.

    Parameters
    ----------
    output_size : int or sequence of (int or None)
        Outputs along each pooled axis; None keeps an axis as it is.
    return_indices : bool
        Also return where the chosen elements are.

    See Also
    --------
    adaptive_max_pool1d : The function that a call makes.
    fastpool.adaptive_max_pool : The same with fastpool's arguments.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.AdaptiveMaxPool1d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import AdaptiveMaxPool1d
    >>> AdaptiveMaxPool1d(4)(np.ones((1, 8))).shape
    (1, 4)
    """

    function = adaptive_max_pool1d


class AdaptiveMaxPool2d(_AdaptiveMaxPool[Indexed]):
    """Keep the arguments of `adaptive_max_pool2d`: the largest element of bins of two axes.

    The constructor keeps its arguments, and a call hands them to `adaptive_max_pool2d` with the input. Names,
    order and defaults are those of ``torch.nn.AdaptiveMaxPool2d``.

    Parameters
    ----------
    output_size : int or sequence of (int or None)
        Outputs along each pooled axis; None keeps an axis as it is.
    return_indices : bool
        Also return where the chosen elements are.

    See Also
    --------
    adaptive_max_pool2d : The function that a call makes.
    fastpool.adaptive_max_pool : The same with fastpool's arguments.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.AdaptiveMaxPool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import AdaptiveMaxPool2d
    >>> AdaptiveMaxPool2d(4)(np.ones((1, 8, 8))).shape
    (1, 4, 4)
    """

    function = adaptive_max_pool2d


class AdaptiveMaxPool3d(_AdaptiveMaxPool[Indexed]):
    """Keep the arguments of `adaptive_max_pool3d`: the largest element of bins of three axes.

    The constructor keeps its arguments, and a call hands them to `adaptive_max_pool3d` with the input. Names,
    order and defaults are those of ``torch.nn.AdaptiveMaxPool3d``.

    Parameters
    ----------
    output_size : int or sequence of (int or None)
        Outputs along each pooled axis; None keeps an axis as it is.
    return_indices : bool
        Also return where the chosen elements are.

    See Also
    --------
    adaptive_max_pool3d : The function that a call makes.
    fastpool.adaptive_max_pool : The same with fastpool's arguments.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.AdaptiveMaxPool3d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import AdaptiveMaxPool3d
    >>> AdaptiveMaxPool3d(4)(np.ones((1, 8, 8, 8))).shape
    (1, 4, 4, 4)
    """

    function = adaptive_max_pool3d


@dataclass(eq=False)
class _FractionalMaxPool(_IndexModule[Indexed]):
    kernel_size: Integers
    output_size: Integers | None = None
    output_ratio: Ratios | None = None
    return_indices: Indexed = NO
    _random_samples: AnyArray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.output_size is None) == (self.output_ratio is None):
            raise ValueError(
                "exactly one of output_size and output_ratio must be given, "
                f"got output_size={self.output_size!r}, output_ratio={self.output_ratio!r}"
            )
        if self.output_ratio is not None and max(_ratios(self.output_ratio)) == 1:
            raise ValueError(f"output_ratio must be above 0 and below 1, got {self.output_ratio!r}")


class FractionalMaxPool2d(_FractionalMaxPool[Indexed]):
    """Keep the arguments of `fractional_max_pool2d`: the largest element of random windows.

    The constructor keeps its arguments, and a call hands them to `fractional_max_pool2d` with the input.
    Names, order and defaults are those of ``torch.nn.FractionalMaxPool2d``. Exactly one of `output_size` and
    `output_ratio` must be given.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    output_size : int or sequence of int, optional
        Windows along each pooled axis.
    output_ratio : float or sequence of float, optional
        In place of `output_size`: ``int(length * output_ratio)`` windows.
    return_indices : bool
        Also return where the chosen elements are.
    _random_samples : ndarray, optional
        Numbers in [0, 1) of the dtype of `input` and of shape (N, C, axes), or (1, C, axes) without a batch.

    See Also
    --------
    fractional_max_pool2d : The function that a call makes.
    fastpool.fractional_pool : Any operator, with a seed.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.FractionalMaxPool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import FractionalMaxPool2d
    >>> FractionalMaxPool2d(2, output_size=4)(np.ones((1, 8, 8))).shape
    (1, 4, 4)
    """

    function = fractional_max_pool2d


class FractionalMaxPool3d(_FractionalMaxPool[Indexed]):
    """Keep the arguments of `fractional_max_pool3d`: the largest element of random windows.

    The constructor keeps its arguments, and a call hands them to `fractional_max_pool3d` with the input.
    Names, order and defaults are those of ``torch.nn.FractionalMaxPool3d``. Exactly one of `output_size` and
    `output_ratio` must be given.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    output_size : int or sequence of int, optional
        Windows along each pooled axis.
    output_ratio : float or sequence of float, optional
        In place of `output_size`: ``int(length * output_ratio)`` windows.
    return_indices : bool
        Also return where the chosen elements are.
    _random_samples : ndarray, optional
        Numbers in [0, 1) of the dtype of `input` and of shape (N, C, axes), or (1, C, axes) without a batch.

    See Also
    --------
    fractional_max_pool3d : The function that a call makes.
    fastpool.fractional_pool : Any operator, with a seed.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.FractionalMaxPool3d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import FractionalMaxPool3d
    >>> FractionalMaxPool3d(2, output_size=4)(np.ones((1, 8, 8, 8))).shape
    (1, 4, 4, 4)
    """

    function = fractional_max_pool3d


class _MaxUnpool(_Sliding):
    function: ClassVar[MaxUnpoolFunction]

    def __call__(
        self, input: ArrayT, indices: AnyArray, output_size: IntegerSequence | None = None
    ) -> ArrayT:
        return type(self).function(input, indices, **vars(self), output_size=output_size)


class MaxUnpool1d(_MaxUnpool):
    """Keep the arguments of `max_unpool1d`: values back to where their indices say.

    The constructor keeps its arguments, and a call hands them to `max_unpool1d` with the input. Names, order
    and defaults are those of ``torch.nn.MaxUnpool1d``. A call takes the input, its indices and an
    ``output_size``.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    stride : int or sequence of int, optional
        Distance between the starts of windows; `kernel_size` by default.
    padding : int or sequence of int
        Elements that were added before and after each pooled axis.

    See Also
    --------
    max_unpool1d : The function that a call makes.
    fastpool.unpool : The same for any axes.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.MaxUnpool1d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import MaxPool1d, MaxUnpool1d
    >>> y, indices = MaxPool1d(2, return_indices=True)(np.ones((1, 8)))
    >>> MaxUnpool1d(2)(y, indices).shape
    (1, 8)
    """

    function = max_unpool1d


class MaxUnpool2d(_MaxUnpool):
    """Keep the arguments of `max_unpool2d`: values back to where their indices say.

    The constructor keeps its arguments, and a call hands them to `max_unpool2d` with the input. Names, order
    and defaults are those of ``torch.nn.MaxUnpool2d``. A call takes the input, its indices and an
    ``output_size``.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    stride : int or sequence of int, optional
        Distance between the starts of windows; `kernel_size` by default.
    padding : int or sequence of int
        Elements that were added before and after each pooled axis.

    See Also
    --------
    max_unpool2d : The function that a call makes.
    fastpool.unpool : The same for any axes.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.MaxUnpool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import MaxPool2d, MaxUnpool2d
    >>> y, indices = MaxPool2d(2, return_indices=True)(np.ones((1, 8, 8)))
    >>> MaxUnpool2d(2)(y, indices).shape
    (1, 8, 8)
    """

    function = max_unpool2d


class MaxUnpool3d(_MaxUnpool):
    """Keep the arguments of `max_unpool3d`: values back to where their indices say.

    The constructor keeps its arguments, and a call hands them to `max_unpool3d` with the input. Names, order
    and defaults are those of ``torch.nn.MaxUnpool3d``. A call takes the input, its indices and an
    ``output_size``.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    stride : int or sequence of int, optional
        Distance between the starts of windows; `kernel_size` by default.
    padding : int or sequence of int
        Elements that were added before and after each pooled axis.

    See Also
    --------
    max_unpool3d : The function that a call makes.
    fastpool.unpool : The same for any axes.

    Notes
    -----
    A call keeps nothing of its input. For gradients hand the module to `fastpool.vjp`.

    References
    ----------
    .. [1] PyTorch, ``torch.nn.MaxUnpool3d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.torch import MaxPool3d, MaxUnpool3d
    >>> y, indices = MaxPool3d(2, return_indices=True)(np.ones((1, 8, 8, 8)))
    >>> MaxUnpool3d(2)(y, indices).shape
    (1, 8, 8, 8)
    """

    function = max_unpool3d
