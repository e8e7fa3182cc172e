"""The pooling functions of ``tf.nn`` on plain arrays: names, arguments, defaults and results; no TensorFlow.

``name`` arguments are taken and not used. What differs on purpose is listed in docs/frameworks/tensorflow.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, Generic, Literal, NamedTuple, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

import fastpool as fp
from fastpool import random
from fastpool.annotations import AnyArray, ArrayT, NumpyArray, Op, Ratios, Result
from fastpool.kinds import any_kind

from .signatures import Integers, IntegerSequence

Words: TypeAlias = Literal["VALID", "SAME"]
Padding: TypeAlias = Words | Sequence[Sequence[SupportsIndex]]
DataFormat1D: TypeAlias = Literal["NWC", "NCW"]
DataFormat2D: TypeAlias = Literal["NHWC", "NCHW"]
DataFormat3D: TypeAlias = Literal["NDHWC", "NCDHW"]
DataFormat: TypeAlias = DataFormat1D | DataFormat2D | DataFormat3D

FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}
WORDS = {"VALID": "valid", "SAME": "same"}
KINDS: dict[str, Op] = {"MAX": "max", "AVG": "avg", "MIN": "min"}
GRAPH_SEED = 87654321  # which TensorFlow joins to an operation's seed where no global one is set
SEEDS = 2**31 - 1


class MaxPoolWithArgmax(NamedTuple, Generic[ArrayT]):
    """Hold the result of `max_pool_with_argmax`.

    A named tuple, as TensorFlow gives one.

    Parameters
    ----------
    output : ndarray, shape (N, H, W, C)
        The largest elements.
    argmax : ndarray of int, shape (N, H, W, C)
        Where they are.

    See Also
    --------
    max_pool_with_argmax : Gives it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> tf_nn.max_pool_with_argmax(np.ones((1, 4, 4, 1)), 2, 2, "VALID").argmax.shape
    (1, 2, 2, 1)
    """

    output: ArrayT
    argmax: ArrayT


class FractionalPool(NamedTuple):
    """Hold the result of a fractional function.

    A named tuple, as TensorFlow gives one. Window i of an axis has the elements from entry i to entry i + 1
    of its sequence.

    Parameters
    ----------
    output : ndarray, shape (N, H, W, C)
        The reduced windows.
    row_pooling_sequence : ndarray of int64
        Where windows begin along the rows, and the number of rows.
    col_pooling_sequence : ndarray of int64
        Where windows begin along the columns, and the number of columns.

    See Also
    --------
    fractional_max_pool : Gives it.
    fractional_avg_pool : Gives it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> tf_nn.fractional_max_pool(np.ones((1, 3, 3, 1)), 1.5, seed=1).row_pooling_sequence
    array([0, 1, 3])
    """

    output: NumpyArray
    row_pooling_sequence: NDArray[np.int64]
    col_pooling_sequence: NDArray[np.int64]


# Sliding windows -----------------------------------------------------------------------------------------


def max_pool(
    input: ArrayT,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Padding,
    data_format: DataFormat | None = None,
    name: str | None = None,
) -> ArrayT:
    """Reduce each window of one to three dimensions to its largest element.

    ``y[o] = max x[i]`` over the elements of window o. Names, order and defaults of the arguments are
    TensorFlow's.

    Parameters
    ----------
    input : ndarray, shape (N, ..., C)
        The input: a batch, one to three pooled axes and channels; (N, C, ...) for a `data_format` with the
        channels first.
    ksize : int or sequence of int
        Elements that a window covers: one number, one for each dimension, or one for each axis of the input.
        None is 1.
    strides : int or sequence of int
        Distance between the starts of windows, in the same forms. None is 1.
    padding : {"VALID", "SAME"} or sequence of (int, int)
        No padding, as much as gives ``ceil(n / stride)`` windows, or a (before, after) pair for every axis of
        the input; pairs in one and two dimensions alone.
    data_format : {"NWC", "NHWC", "NDHWC", "NCW", "NCHW", "NCDHW"}, optional
        Where the channels are; last by default.
    name : str, optional
        Taken and not used.

    Returns
    -------
    ndarray
        Of the kind and dtype of the input, with its axes.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or the input another number of axes.

    See Also
    --------
    fastpool.max_pool : The same with fastpool's arguments.
    pool : Windows that may be dilated.

    Notes
    -----
    A NaN wins, where TensorFlow on the CPU drops some.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.max_pool``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> tf_nn.max_pool(x, ksize=2, strides=2, padding="VALID").reshape(2, 2)
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return _sliding("max", input, _dimensions(input), ksize, strides, padding, data_format)


def max_pool1d(
    input: ArrayT,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Padding,
    data_format: DataFormat1D | None = "NWC",
    name: str | None = None,
) -> ArrayT:
    """Reduce each window of one dimension to its largest element.

    ``y[o] = max x[i]`` over the elements of window o. Names, order and defaults of the arguments are
    TensorFlow's.

    Parameters
    ----------
    input : ndarray, shape (N, ..., C)
        The input: a batch, one to three pooled axes and channels; (N, C, ...) for a `data_format` with the
        channels first.
    ksize : int or sequence of int
        Elements that a window covers: one number, one for each dimension, or one for each axis of the input.
        None is 1.
    strides : int or sequence of int
        Distance between the starts of windows, in the same forms. None is 1.
    padding : {"VALID", "SAME"} or sequence of (int, int)
        No padding, as much as gives ``ceil(n / stride)`` windows, or a (before, after) pair for every axis of
        the input; pairs in one and two dimensions alone.
    data_format : {"NWC", "NCW"}, optional
        Where the channels are; last by default.
    name : str, optional
        Taken and not used.

    Returns
    -------
    ndarray
        Of the kind and dtype of the input, with its axes.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or the input another number of axes.

    See Also
    --------
    fastpool.max_pool : The same with fastpool's arguments.
    pool : Windows that may be dilated.

    Notes
    -----
    A NaN wins, where TensorFlow on the CPU drops some.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.max_pool1d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> tf_nn.max_pool1d(np.ones((1, 4, 1)), 2, 2, "VALID").shape
    (1, 2, 1)
    """
    return _sliding("max", input, 1, ksize, strides, padding, data_format)


def max_pool2d(
    input: ArrayT,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Padding,
    data_format: DataFormat2D | None = "NHWC",
    name: str | None = None,
) -> ArrayT:
    """Reduce each window of two dimensions to its largest element.

    ``y[o] = max x[i]`` over the elements of window o. Names, order and defaults of the arguments are
    TensorFlow's.

    Parameters
    ----------
    input : ndarray, shape (N, ..., C)
        The input: a batch, one to three pooled axes and channels; (N, C, ...) for a `data_format` with the
        channels first.
    ksize : int or sequence of int
        Elements that a window covers: one number, one for each dimension, or one for each axis of the input.
        None is 1.
    strides : int or sequence of int
        Distance between the starts of windows, in the same forms. None is 1.
    padding : {"VALID", "SAME"} or sequence of (int, int)
        No padding, as much as gives ``ceil(n / stride)`` windows, or a (before, after) pair for every axis of
        the input; pairs in one and two dimensions alone.
    data_format : {"NHWC", "NCHW"}, optional
        Where the channels are; last by default.
    name : str, optional
        Taken and not used.

    Returns
    -------
    ndarray
        Of the kind and dtype of the input, with its axes.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or the input another number of axes.

    See Also
    --------
    fastpool.max_pool : The same with fastpool's arguments.
    pool : Windows that may be dilated.

    Notes
    -----
    A NaN wins, where TensorFlow on the CPU drops some.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.max_pool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> tf_nn.max_pool2d(np.ones((1, 4, 4, 1)), 2, 2, "VALID").shape
    (1, 2, 2, 1)
    """
    return _sliding("max", input, 2, ksize, strides, padding, data_format)


def max_pool3d(
    input: ArrayT,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: DataFormat3D | None = "NDHWC",
    name: str | None = None,
) -> ArrayT:
    """Reduce each window of three dimensions to its largest element.

    ``y[o] = max x[i]`` over the elements of window o. Names, order and defaults of the arguments are
    TensorFlow's.

    Parameters
    ----------
    input : ndarray, shape (N, ..., C)
        The input: a batch, one to three pooled axes and channels; (N, C, ...) for a `data_format` with the
        channels first.
    ksize : int or sequence of int
        Elements that a window covers: one number, one for each dimension, or one for each axis of the input.
        None is 1.
    strides : int or sequence of int
        Distance between the starts of windows, in the same forms. None is 1.
    padding : {"VALID", "SAME"}
        No padding, or as much as gives ``ceil(n / stride)`` windows.
    data_format : {"NDHWC", "NCDHW"}, optional
        Where the channels are; last by default.
    name : str, optional
        Taken and not used.

    Returns
    -------
    ndarray
        Of the kind and dtype of the input, with its axes.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or the input another number of axes.

    See Also
    --------
    fastpool.max_pool : The same with fastpool's arguments.
    pool : Windows that may be dilated.

    Notes
    -----
    A NaN wins, where TensorFlow on the CPU drops some.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.max_pool3d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> tf_nn.max_pool3d(np.ones((1, 4, 4, 4, 1)), 2, 2, "VALID").shape
    (1, 2, 2, 2, 1)
    """
    return _sliding("max", input, 3, ksize, strides, padding, data_format)


@overload
def avg_pool(
    input: NumpyArray,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: DataFormat | None = ...,
    name: str | None = ...,
) -> NumpyArray: ...
@overload
def avg_pool(
    input: ArrayT,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: DataFormat | None = ...,
    name: str | None = ...,
) -> ArrayT: ...
def avg_pool(
    input: AnyArray,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: DataFormat | None = None,
    name: str | None = None,
) -> Result:
    """Reduce each window of one to three dimensions to the mean of its own elements.

    ``y[o] = (sum of x[i]) / n[o]`` over the n[o] elements of window o; padding does not count. Names, order
    and defaults of the arguments are TensorFlow's.

    Parameters
    ----------
    input : ndarray, shape (N, ..., C)
        The input: a batch, one to three pooled axes and channels; (N, C, ...) for a `data_format` with the
        channels first.
    ksize : int or sequence of int
        Elements that a window covers: one number, one for each dimension, or one for each axis of the input.
        None is 1.
    strides : int or sequence of int
        Distance between the starts of windows, in the same forms. None is 1.
    padding : {"VALID", "SAME"}
        No padding, or as much as gives ``ceil(n / stride)`` windows.
    data_format : {"NWC", "NHWC", "NDHWC", "NCW", "NCHW", "NCDHW"}, optional
        Where the channels are; last by default.
    name : str, optional
        Taken and not used.

    Returns
    -------
    ndarray
        Of the kind and dtype of the input, with its axes.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or the input another number of axes.

    See Also
    --------
    fastpool.avg_pool : The same with fastpool's arguments.
    pool : Windows that may be dilated.

    Notes
    -----
    Floats are added up in float64; means of integers are rounded half up.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.avg_pool``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> tf_nn.avg_pool(np.array([[[1.0], [2.0], [6.0]]]), 2, 2, "SAME").reshape(-1)
    array([1.5, 6. ])
    """
    return _sliding("avg", input, _dimensions(input), ksize, strides, padding, data_format)


@overload
def avg_pool1d(
    input: NumpyArray,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: DataFormat1D | None = ...,
    name: str | None = ...,
) -> NumpyArray: ...
@overload
def avg_pool1d(
    input: ArrayT,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: DataFormat1D | None = ...,
    name: str | None = ...,
) -> ArrayT: ...
def avg_pool1d(
    input: AnyArray,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: DataFormat1D | None = "NWC",
    name: str | None = None,
) -> Result:
    """Reduce each window of one dimension to the mean of its own elements.

    ``y[o] = (sum of x[i]) / n[o]`` over the n[o] elements of window o; padding does not count. Names, order
    and defaults of the arguments are TensorFlow's.

    Parameters
    ----------
    input : ndarray, shape (N, ..., C)
        The input: a batch, one to three pooled axes and channels; (N, C, ...) for a `data_format` with the
        channels first.
    ksize : int or sequence of int
        Elements that a window covers: one number, one for each dimension, or one for each axis of the input.
        None is 1.
    strides : int or sequence of int
        Distance between the starts of windows, in the same forms. None is 1.
    padding : {"VALID", "SAME"}
        No padding, or as much as gives ``ceil(n / stride)`` windows.
    data_format : {"NWC", "NCW"}, optional
        Where the channels are; last by default.
    name : str, optional
        Taken and not used.

    Returns
    -------
    ndarray
        Of the kind and dtype of the input, with its axes.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or the input another number of axes.

    See Also
    --------
    fastpool.avg_pool : The same with fastpool's arguments.
    pool : Windows that may be dilated.

    Notes
    -----
    Floats are added up in float64; means of integers are rounded half up.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.avg_pool1d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> tf_nn.avg_pool1d(np.ones((1, 4, 1)), 2, 2, "VALID").shape
    (1, 2, 1)
    """
    return _sliding("avg", input, 1, ksize, strides, padding, data_format)


@overload
def avg_pool2d(
    input: NumpyArray,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: DataFormat2D | None = ...,
    name: str | None = ...,
) -> NumpyArray: ...
@overload
def avg_pool2d(
    input: ArrayT,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: DataFormat2D | None = ...,
    name: str | None = ...,
) -> ArrayT: ...
def avg_pool2d(
    input: AnyArray,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: DataFormat2D | None = "NHWC",
    name: str | None = None,
) -> Result:
    """Reduce each window of two dimensions to the mean of its own elements.

    ``y[o] = (sum of x[i]) / n[o]`` over the n[o] elements of window o; padding does not count. Names, order
    and defaults of the arguments are TensorFlow's.

    Parameters
    ----------
    input : ndarray, shape (N, ..., C)
        The input: a batch, one to three pooled axes and channels; (N, C, ...) for a `data_format` with the
        channels first.
    ksize : int or sequence of int
        Elements that a window covers: one number, one for each dimension, or one for each axis of the input.
        None is 1.
    strides : int or sequence of int
        Distance between the starts of windows, in the same forms. None is 1.
    padding : {"VALID", "SAME"}
        No padding, or as much as gives ``ceil(n / stride)`` windows.
    data_format : {"NHWC", "NCHW"}, optional
        Where the channels are; last by default.
    name : str, optional
        Taken and not used.

    Returns
    -------
    ndarray
        Of the kind and dtype of the input, with its axes.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or the input another number of axes.

    See Also
    --------
    fastpool.avg_pool : The same with fastpool's arguments.
    pool : Windows that may be dilated.

    Notes
    -----
    Floats are added up in float64; means of integers are rounded half up.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.avg_pool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> tf_nn.avg_pool2d(np.ones((1, 4, 4, 1)), 2, 2, "VALID").shape
    (1, 2, 2, 1)
    """
    return _sliding("avg", input, 2, ksize, strides, padding, data_format)


@overload
def avg_pool3d(
    input: NumpyArray,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: DataFormat3D | None = ...,
    name: str | None = ...,
) -> NumpyArray: ...
@overload
def avg_pool3d(
    input: ArrayT,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: DataFormat3D | None = ...,
    name: str | None = ...,
) -> ArrayT: ...
def avg_pool3d(
    input: AnyArray,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: DataFormat3D | None = "NDHWC",
    name: str | None = None,
) -> Result:
    """Reduce each window of three dimensions to the mean of its own elements.

    ``y[o] = (sum of x[i]) / n[o]`` over the n[o] elements of window o; padding does not count. Names, order
    and defaults of the arguments are TensorFlow's.

    Parameters
    ----------
    input : ndarray, shape (N, ..., C)
        The input: a batch, one to three pooled axes and channels; (N, C, ...) for a `data_format` with the
        channels first.
    ksize : int or sequence of int
        Elements that a window covers: one number, one for each dimension, or one for each axis of the input.
        None is 1.
    strides : int or sequence of int
        Distance between the starts of windows, in the same forms. None is 1.
    padding : {"VALID", "SAME"}
        No padding, or as much as gives ``ceil(n / stride)`` windows.
    data_format : {"NDHWC", "NCDHW"}, optional
        Where the channels are; last by default.
    name : str, optional
        Taken and not used.

    Returns
    -------
    ndarray
        Of the kind and dtype of the input, with its axes.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or the input another number of axes.

    See Also
    --------
    fastpool.avg_pool : The same with fastpool's arguments.
    pool : Windows that may be dilated.

    Notes
    -----
    Floats are added up in float64; means of integers are rounded half up.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.avg_pool3d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> tf_nn.avg_pool3d(np.ones((1, 4, 4, 4, 1)), 2, 2, "VALID").shape
    (1, 2, 2, 2, 1)
    """
    return _sliding("avg", input, 3, ksize, strides, padding, data_format)


@overload
def max_pool_with_argmax(
    input: NumpyArray,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: Literal["NHWC"] = ...,
    output_dtype: Any = ...,
    include_batch_in_index: bool = ...,
    name: str | None = ...,
) -> MaxPoolWithArgmax[NumpyArray]: ...
@overload
def max_pool_with_argmax(
    input: ArrayT,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: Literal["NHWC"] = ...,
    output_dtype: Any = ...,
    include_batch_in_index: bool = ...,
    name: str | None = ...,
) -> MaxPoolWithArgmax[ArrayT]: ...
def max_pool_with_argmax(
    input: Any,
    ksize: Integers | None,
    strides: Integers | None,
    padding: Words,
    data_format: Literal["NHWC"] = "NHWC",
    output_dtype: Any = np.int64,
    include_batch_in_index: bool = False,
    name: str | None = None,
) -> MaxPoolWithArgmax[Any]:
    """Reduce each window of two dimensions to its largest element, and say where it is.

    ``y[o] = max x[i]`` over the elements of window o. An index is ``(y W + x) C + c`` for row y, column x and
    channel c, and with `include_batch_in_index` ``((b H + y) W + x) C + c`` for image b.

    Parameters
    ----------
    input : ndarray, shape (N, H, W, C)
        The input.
    ksize : int or sequence of int
        Elements that a window covers: one number, one for each dimension, or one for each axis of the input.
        None is 1.
    strides : int or sequence of int
        Distance between the starts of windows, in the same forms. None is 1.
    padding : {"VALID", "SAME"}
        No padding, or as much as gives ``ceil(n / stride)`` windows.
    data_format : {"NHWC"}
        The channels are last.
    output_dtype : dtype
        Dtype of the indices, int64 or int32; TensorFlow's own objects are understood.
    include_batch_in_index : bool
        Whether indices count the images before their own.
    name : str, optional
        Taken and not used.

    Returns
    -------
    MaxPoolWithArgmax
        A named tuple ``(output, argmax)``.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or the input another number of axes.

    See Also
    --------
    fastpool.max_pool : The same with fastpool's arguments.
    fastpool.convert_indices : Indices of other frameworks.

    Notes
    -----
    Of ties the first element has the index. A NaN wins, where TensorFlow on the CPU drops some.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.max_pool_with_argmax``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> x = np.array([3.0, 1.0, 5.0, 2.0]).reshape(1, 2, 1, 2)
    >>> y, argmax = tf_nn.max_pool_with_argmax(x, [2, 1], 1, "VALID")
    >>> y.reshape(-1), argmax.reshape(-1)
    (array([5., 2.]), array([2, 3]))
    """
    if data_format != "NHWC":
        raise ValueError(f'data_format must be "NHWC", got {data_format!r}')
    dtype = np.dtype(getattr(output_dtype, "as_numpy_dtype", output_dtype))
    if dtype not in (np.int64, np.int32):
        raise ValueError(f"output_dtype must be int64 or int32, got {dtype}")
    _check_axes(input, 2)
    window, step = _per_axis("ksize", ksize, 2, 3), _per_axis("strides", strides, 2, 3)
    if window[1] != 1 or step[1] != 1:
        raise ValueError(f"ksize and strides of the channels must be 1, got {ksize!r} and {strides!r}")
    word, axes = _padding(padding, 2, 3, pairs=False), (1, 2)
    y, i = fp.max_pool(input, window[0], stride=step[0], padding=word, axes=axes, return_indices=True)
    return MaxPoolWithArgmax(y, _argmax(i, tuple(input.shape), include_batch_in_index, dtype))


@any_kind
def _argmax(
    i: NumpyArray, shape: tuple[int, ...], include_batch_in_index: bool, output_dtype: np.dtype[Any]
) -> NumpyArray:
    """Indices as TensorFlow numbers them."""
    argmax = fp.convert_indices(
        i, to="tensorflow", shape=shape, axes=(1, 2), include_batch=include_batch_in_index
    )
    if argmax.size and argmax.max() > np.iinfo(output_dtype).max:
        raise ValueError(f"output_dtype {output_dtype} is too small for indices of an input of shape {shape}")
    return argmax.astype(output_dtype, copy=False)


@overload
def pool(
    input: NumpyArray,
    window_shape: IntegerSequence,
    pooling_type: Literal["MAX", "AVG", "MIN"],
    strides: IntegerSequence | None = ...,
    padding: Padding = ...,
    data_format: DataFormat | None = ...,
    dilations: IntegerSequence | None = ...,
    name: str | None = ...,
) -> NumpyArray: ...
@overload
def pool(
    input: ArrayT,
    window_shape: IntegerSequence,
    pooling_type: Literal["MAX", "AVG", "MIN"],
    strides: IntegerSequence | None = ...,
    padding: Padding = ...,
    data_format: DataFormat | None = ...,
    dilations: IntegerSequence | None = ...,
    name: str | None = ...,
) -> ArrayT: ...
def pool(
    input: AnyArray,
    window_shape: IntegerSequence,
    pooling_type: Literal["MAX", "AVG", "MIN"],
    strides: IntegerSequence | None = None,
    padding: Padding = "VALID",
    data_format: DataFormat | None = None,
    dilations: IntegerSequence | None = None,
    name: str | None = None,
) -> Result:
    """Reduce windows of one to three dimensions, which may be dilated.

    ``y[o]`` is the largest, the mean or the smallest of the elements of window o. Names, order and defaults
    of the arguments are TensorFlow's.

    Parameters
    ----------
    input : ndarray, shape (N, ..., C)
        The input: a batch, one to three pooled axes and channels; (N, C, ...) for a `data_format` with the
        channels first.
    window_shape : sequence of int
        Elements that a window covers, one entry for each dimension.
    pooling_type : {"MAX", "AVG", "MIN"}
        What a window becomes.
    strides : sequence of int, optional
        Distance between the starts of windows, one entry for each dimension; 1 by default.
    padding : {"VALID", "SAME"} or sequence of (int, int)
        No padding, as much as gives ``ceil(n / stride)`` windows, or a (before, after) pair for every axis of
        the input; pairs in one and two dimensions alone. Pairs are not for ``"AVG"``.
    data_format : {"NWC", "NHWC", "NDHWC", "NCW", "NCHW", "NCDHW"}, optional
        Where the channels are; last by default.
    dilations : sequence of int, optional
        Distance between the elements of a window, one entry for each dimension; 1 by default.
    name : str, optional
        Taken and not used.

    Returns
    -------
    ndarray
        Of the kind and dtype of the input, with its axes.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or the input another number of axes.

    See Also
    --------
    fastpool.pool : Any operator, any axes.
    max_pool : Largest element of each window.
    avg_pool : Mean of each window.

    Notes
    -----
    A NaN wins. Averages do not count padding.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.pool``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> x = np.array([4.0, 1.0, 3.0, 2.0, 0.0]).reshape(1, 5, 1)
    >>> tf_nn.pool(x, [2], "MIN", dilations=[2]).reshape(-1)
    array([3., 1., 0.])
    """
    if not isinstance(window_shape, Sequence | np.ndarray) or isinstance(window_shape, str):
        raise TypeError(f"window_shape must be a sequence of integers, got {window_shape!r}")
    if len(window_shape) not in FORMATS:
        raise ValueError(f"window_shape must have 1 to 3 entries, got {window_shape!r}")
    if pooling_type not in KINDS:
        raise ValueError(f"pooling_type must be one of {', '.join(KINDS)}, got {pooling_type!r}")
    n = len(window_shape)
    given = {"window_shape": window_shape, "strides": strides, "dilations": dilations}
    each = {name: _one_a_dimension(name, value, n) for name, value in given.items()}
    return _sliding(
        KINDS[pooling_type],
        input,
        n,
        each["window_shape"],
        each["strides"],
        padding,
        data_format,
        each["dilations"],
    )


def _sliding(
    op: Op,
    x: ArrayT,
    n: int,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: Any,
    dilations: Any = 1,
) -> ArrayT:
    """What all functions of sliding windows of `n` dimensions do."""
    _check_axes(x, n)
    channel = _channel_axis(data_format, n)
    window, channels = _per_axis("ksize", ksize, n, channel)
    step, channel_step = _per_axis("strides", strides, n, channel)
    dilation, _ = _per_axis("dilations", dilations, n, channel)
    around = _padding(padding, n, channel, pairs=op != "avg" and n < 3)
    axes = [axis for axis in range(1, n + 2) if axis != channel]
    if channels == 1 and channel_step > 1:
        raise ValueError(f"strides of the channels must be 1 where their ksize is 1, got {strides!r}")
    if channels > 1:
        axes.append(channel)
        window, step, dilation = [*window, channels], [*step, channel_step], [*dilation, 1]
        around = around if isinstance(around, str) else [*around, (0, 0)]
    params: dict[str, Any] = {"count_include_pad": False} if op == "avg" else {}
    y: ArrayT = fp.pool(x, op, window, stride=step, padding=around, dilation=dilation, axes=axes, **params)
    return y


# Fractional windows --------------------------------------------------------------------------------------


def fractional_max_pool(
    value: NumpyArray,
    pooling_ratio: Ratios,
    pseudo_random: bool = False,
    overlapping: bool = False,
    seed: int | None = 0,
    name: str | None = None,
) -> FractionalPool:
    """Reduce windows of random lengths to their largest elements.

    There are ``floor(n / ratio)`` windows along an axis of n elements, of ``n // outputs`` elements or one
    more, the same for all images and channels (Graham 2014, arXiv 1412.6071).

    Parameters
    ----------
    value : ndarray, shape (N, H, W, C)
        The input.
    pooling_ratio : float or sequence of float
        At least 1: for rows and columns, or ``[1.0, rows, columns, 1.0]``.
    pseudo_random : bool
        Shift windows by one random number for each axis, instead of windows of two lengths in random order.
    overlapping : bool
        Windows also cover the first element of the next one.
    seed : int, optional
        The windows are those of TensorFlow for the same seed, where no global one is set. 0 and None draw
        fresh ones at each call.
    name : str, optional
        Taken and not used.

    Returns
    -------
    FractionalPool
        A named tuple ``(output, row_pooling_sequence, col_pooling_sequence)``; window i of an axis has the
        elements from entry i to entry i + 1 of its sequence.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or the input another number of axes.

    See Also
    --------
    fastpool.fractional_pool : Any operator, with a gradient.
    max_pool : Windows at even distances.

    Notes
    -----
    A NaN wins. `fastpool.vjp` does not pull a gradient through it.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.fractional_max_pool``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> y, rows, columns = tf_nn.fractional_max_pool(x, 1.5, seed=1)
    >>> rows, columns
    (array([0, 1, 3]), array([0, 1, 3]))
    >>> y.reshape(2, 2)
    array([[0., 2.],
           [6., 8.]])
    """
    rows, columns = _sequences(value, pooling_ratio, pseudo_random, seed)
    y = value
    for axis, sequence in ((1, rows), (2, columns)):
        begin, end = _regions(sequence, overlapping)
        places, own = _even_windows(begin, end)
        repeated = np.where(own, places, end[:, None] - 1)  # of short windows the last element
        y = fp.max_pool(np.take(y, repeated.reshape(-1), axis), repeated.shape[1], axes=axis)
    return FractionalPool(y, rows, columns)


def fractional_avg_pool(
    value: NumpyArray,
    pooling_ratio: Ratios,
    pseudo_random: bool = False,
    overlapping: bool = False,
    seed: int | None = 0,
    name: str | None = None,
) -> FractionalPool:
    """Reduce windows of random lengths to their means.

    There are ``floor(n / ratio)`` windows along an axis of n elements, of ``n // outputs`` elements or one
    more, the same for all images and channels (Graham 2014, arXiv 1412.6071).

    Parameters
    ----------
    value : ndarray, shape (N, H, W, C)
        The input.
    pooling_ratio : float or sequence of float
        At least 1: for rows and columns, or ``[1.0, rows, columns, 1.0]``.
    pseudo_random : bool
        Shift windows by one random number for each axis, instead of windows of two lengths in random order.
    overlapping : bool
        Windows also cover the first element of the next one.
    seed : int, optional
        The windows are those of TensorFlow for the same seed, where no global one is set. 0 and None draw
        fresh ones at each call.
    name : str, optional
        Taken and not used.

    Returns
    -------
    FractionalPool
        A named tuple ``(output, row_pooling_sequence, col_pooling_sequence)``; window i of an axis has the
        elements from entry i to entry i + 1 of its sequence.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, or the input another number of axes.

    See Also
    --------
    fastpool.fractional_pool : Any operator, with a gradient.
    avg_pool : Windows at even distances.

    Notes
    -----
    Integers are cut off towards 0, as in TensorFlow. `fastpool.vjp` does not pull a gradient through it.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.fractional_avg_pool``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import tensorflow as tf_nn
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> tf_nn.fractional_avg_pool(x, [1.0, 1.5, 1.5, 1.0], seed=1).output.reshape(2, 2)
    array([[0. , 1.5],
           [4.5, 6. ]])
    """
    rows, columns = _sequences(value, pooling_ratio, pseudo_random, seed)
    integers = value.dtype.kind in "iu"
    total, wide = value, None if integers else np.float64
    for axis, sequence in ((1, rows), (2, columns)):
        begin, end = _regions(sequence, overlapping)
        places, own = _even_windows(begin, end)
        zero = np.zeros_like(np.take(total, [0], axis))  # for what short windows lack
        longer, filled = np.concatenate([total, zero], axis), np.where(own, places, total.shape[axis])
        even = np.take(longer, filled.reshape(-1), axis)
        total = fp.sum_pool(even, filled.shape[1], axes=axis, dtype=wide)
    lengths = [np.subtract(*_regions(sequence, overlapping)[::-1]) for sequence in (rows, columns)]
    count = np.multiply.outer(*lengths)[:, :, None].astype(total.dtype)
    if integers:
        mean = total // count
        mean += (total < 0) & (mean * count != total)
    else:
        mean = total / count
    return FractionalPool(mean.astype(value.dtype), rows, columns)


def _sequences(
    value: Any, pooling_ratio: Any, pseudo_random: bool, seed: Any
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where windows begin along rows and columns, as TensorFlow draws it from a seed."""
    _check_axes(value, 2, "value")
    key, counter = _seeds(seed)
    found, block = [], 0
    for axis, ratio in zip((1, 2), _ratios(pooling_ratio), strict=True):
        n = value.shape[axis]
        outputs = int(np.float32(n) / np.float32(ratio))
        if outputs < 1:
            raise ValueError(f"pooling_ratio {ratio!r} leaves no window on axis {axis} of length {n}")
        draws = 2 if pseudo_random else outputs
        words = _words(key, counter, block, draws)
        block += -(-draws // 4)
        found.append(_pseudo_random(n, outputs, words) if pseudo_random else _random(n, outputs, words))
    return found[0], found[1]


def _random(n: int, outputs: int, words: list[int]) -> NDArray[np.int64]:
    """Windows of ``n // outputs`` elements and one more, shuffled (Fisher and Yates)."""
    short, longer = divmod(n, outputs)
    lengths = [short + 1] * longer + [short] * (outputs - longer)
    for own in range(outputs - 1):
        other = own + words[own] % (outputs - own)
        lengths[own], lengths[other] = lengths[other], lengths[own]
    return np.cumsum([0, *lengths])


def _pseudo_random(n: int, outputs: int, words: list[int]) -> NDArray[np.int64]:
    """``ceil(a (i + u)) - 1`` with ``a = n / outputs`` and one random `u`."""
    pace, short = n / outputs, n // outputs
    uniform = ((words[0] & 0xFFFFF) << 32 | words[1]) * 2.0**-52
    u = uniform * min((short + 2) / pace - 1, (n + 1 - short) / pace - (outputs - 1))
    inner = np.ceil(pace * (np.arange(1, outputs) + u)).astype(np.int64) - 1
    return np.concatenate([[0], inner, [n]])


def _regions(sequence: NDArray[np.int64], overlapping: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return sequence[:-1], np.minimum(sequence[1:] + bool(overlapping), sequence[-1])


def _even_windows(
    begin: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each window as many places as the longest has, and which of them are its own."""
    places = begin[:, None] + np.arange((end - begin).max())
    return places, places < end[:, None]


def _words(key: int, counter: int, block: int, count: int) -> list[int]:
    """Random words of Philox 4x32-10, from the block of four with a number on."""
    blocks = np.arange(block, block + -(-count // 4), dtype=np.uint64)
    halves = [random.low_word(key), random.high_word(key)]
    four = random.philox(blocks, np.uint64(0), random.low_word(counter), random.high_word(counter), *halves)
    return [int(word) for word in np.stack(four, 1).reshape(-1)[:count]]


def _seeds(seed: Any) -> tuple[int, int]:
    number = 0 if seed is None else _integer("seed", seed)
    if number == 0:
        key, counter = np.random.SeedSequence().generate_state(2, np.uint64)
        return int(key), int(counter)
    return GRAPH_SEED, number % SEEDS


def _ratios(value: Any) -> tuple[float, float]:
    """Ratios of rows and columns."""
    given = value if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) else None
    ratios = [1.0, value, value, 1.0] if given is None else list(given)
    if not all(isinstance(r, int | float | np.integer | np.floating) for r in ratios):
        raise TypeError(f"pooling_ratio must be a number or four numbers, got {value!r}")
    if len(ratios) != 4 or ratios[0] != 1 or ratios[-1] != 1:
        raise ValueError(f"pooling_ratio must be a number or [1.0, rows, columns, 1.0], got {value!r}")
    if not all(1 <= r < np.inf for r in ratios):
        raise ValueError(f"pooling_ratio must be at least 1 and finite, got {value!r}")
    return float(ratios[1]), float(ratios[2])


# Arguments -----------------------------------------------------------------------------------------------


def _dimensions(x: Any) -> int:
    n = _axes_of(x, "input") - 2
    if n not in FORMATS:
        raise ValueError(f"input must have 3 to 5 axes, got {n + 2}")
    return n


def _check_axes(x: Any, n: int, name: str = "input") -> None:
    if _axes_of(x, name) != n + 2:
        raise ValueError(f"{name} must have {n + 2} axes, got {x.ndim}")


def _axes_of(x: Any, name: str) -> int:
    if not isinstance(getattr(x, "ndim", None), int):
        raise TypeError(f"{name} must be an array, got {type(x).__name__}")
    return int(x.ndim)


def _channel_axis(data_format: Any, n: int) -> int:
    last, first = FORMATS[n]
    if data_format not in (None, last, first):
        raise ValueError(f"data_format must be {last!r}, {first!r} or None, got {data_format!r}")
    return 1 if data_format == first else n + 1


def _one_a_dimension(name: str, value: Any, n: int) -> list[int]:
    if value is None:
        return [1] * n
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
        raise TypeError(f"{name} must be a sequence of integers, got {value!r}")
    if len(value) != n:
        raise ValueError(f"{name} must have {n} entries, one a dimension, got {value!r}")
    return [_integer(name, entry) for entry in value]


def _per_axis(name: str, value: Any, n: int, channel: int) -> tuple[list[int], int]:
    """One positive number a dimension, and that of the channels."""
    if value is None:
        value = 1
    listed = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    numbers = [_integer(name, entry) for entry in (value if listed else [value])]
    if len(numbers) not in (1, n, n + 2):
        raise ValueError(f"{name} must have 1, {n} or {n + 2} entries, got {value!r}")
    if min(numbers) < 1:
        raise ValueError(f"{name} must be at least 1, got {value!r}")
    channels = 1
    if len(numbers) == n + 2:
        channels = numbers.pop(channel)
        if numbers.pop(0) != 1:
            raise ValueError(f"{name} of the batch must be 1, got {value!r}")
    return (numbers * n if len(numbers) == 1 else numbers), channels


def _padding(padding: Any, n: int, channel: int, *, pairs: bool) -> Any:
    """The word for `fastpool.pool`, or the pairs of the pooled axes."""
    if isinstance(padding, str):
        if padding not in WORDS:
            raise ValueError(f'padding must be "VALID", "SAME" or pairs, got {padding!r}')
        return WORDS[padding]
    if not pairs or not isinstance(padding, list | tuple):
        allowed = '"VALID", "SAME" or a list of pairs' if pairs else '"VALID" or "SAME"'
        raise TypeError(f"padding must be {allowed} here, got {padding!r}")
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in padding):
        raise ValueError(f"padding must consist of (before, after) pairs, got {padding!r}")
    if len(padding) != n + 2:
        raise ValueError(f"padding must have a pair for each of {n + 2} axes, got {padding!r}")
    each = [(_integer("padding", before), _integer("padding", after)) for before, after in padding]
    if each[0] != (0, 0) or each[channel] != (0, 0):
        raise ValueError(f"padding of batch and channels must be (0, 0), got {padding!r}")
    return [pair for axis, pair in enumerate(each) if axis not in (0, channel)]


def _integer(name: str, value: Any) -> int:
    if not isinstance(value, bool | np.bool_):
        try:
            return index(value)
        except TypeError:
            pass
    raise TypeError(f"{name} must be an integer or integers, got {value!r} of type {type(value).__name__}")
