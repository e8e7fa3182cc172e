"""The pooling layers of ``keras.layers``, on plain arrays.

Same names, arguments, defaults and results; Keras is not imported. Calling a layer pools, and
``layer.backward(grad)`` gives the gradient of its last call. ``docs/frameworks/keras.md`` lists the intended
differences.

Examples
--------
>>> import numpy as np
>>> from fastpool.compat import keras
>>> x = np.arange(9.0).reshape(1, 3, 3, 1)
>>> layer = keras.MaxPooling2D(2, padding="same")
>>> layer(x)[0, :, :, 0]
array([[4., 5.],
       [7., 8.]])
>>> layer.backward(np.ones((1, 2, 2, 1)))[0, :, :, 0]
array([[0., 0., 0.],
       [0., 1., 1.],
       [0., 1., 1.]])
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from operator import index
from typing import Any, ClassVar, Literal, Self, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike

import fastpool as fp
from fastpool.annotations import AnyArray, ArrayT, NumpyArray, Result

from .signatures import Integers

Lengths = tuple[int | None, ...]
Padding: TypeAlias = Literal["valid", "same"]
DataFormat: TypeAlias = Literal["channels_last", "channels_first"]

DATA_FORMATS = ("channels_last", "channels_first")
PADDINGS = ("valid", "same")
OF_KERAS = ("trainable", "dtype")  # entries of its configurations that mean nothing here
_named: Counter[str] = Counter()


# Arguments -----------------------------------------------------------------------------------------------


def _integers(name: str, value: Any, count: int) -> tuple[int, ...]:
    """An integer of at least 1 for each of `count` axes; one alone serves them all."""
    entries = tuple(value) if np.ndim(value) == 1 else (value,) * count
    if any(isinstance(entry, bool | np.bool_) or not hasattr(entry, "__index__") for entry in entries):
        raise TypeError(f"{name} must be an integer or {count} of them, got {value!r}")
    if len(entries) != count or min(entries) < 1:
        raise ValueError(f"{name} must be an integer of at least 1, or {count} of them, got {value!r}")
    return tuple(index(entry) for entry in entries)


def _word(name: str, value: Any, allowed: Sequence[str]) -> str:
    """One of the words allowed, in lower case."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    if value.lower() not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    return value.lower()


def _own_name(kind: str, name: Any) -> str:
    """The name given, or that of the layer's kind and, from the second on, a number."""
    if name is None:
        word = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
        _named[word] += 1
        return word if _named[word] == 1 else f"{word}_{_named[word] - 1}"
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {name!r}")
    if "/" in name:
        raise ValueError(f"name must not contain '/', got {name!r}")
    return name


def _real(inputs: AnyArray) -> AnyArray:
    """What is averaged: integers and bools as float32, as in Keras."""
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind in "iub":
        return inputs.astype(np.float32)
    return inputs


# Layers --------------------------------------------------------------------------------------------------


class _Layer:
    """What layers share: a name, the place of the pooled axes, and the way back of the last call."""

    count: ClassVar[int]  # of pooled axes

    def __init__(self, data_format: Any, name: Any) -> None:
        given = DATA_FORMATS[0] if data_format is None else data_format
        self.data_format = _word("data_format", given, DATA_FORMATS)
        self.name = _own_name(type(self).__name__, name)
        self._pull: Callable[[Any], Any] | None = None

    @overload
    def __call__(self, inputs: NumpyArray) -> NumpyArray: ...
    @overload
    def __call__(self, inputs: ArrayT) -> ArrayT: ...
    def __call__(self, inputs: AnyArray) -> Result:
        """Pool an array of a batch, channels and the pooled axes."""
        self._check(inputs)
        y, self._pull = fp.vjp(self.call, inputs)
        return y

    def call(self, inputs: AnyArray) -> AnyArray:
        """The layer's one call of fastpool."""
        raise NotImplementedError

    @overload
    def backward(self, grad: NumpyArray) -> NumpyArray: ...
    @overload
    def backward(self, grad: ArrayT) -> ArrayT: ...
    def backward(self, grad: AnyArray) -> Result:
        """The gradient for the inputs of the last call, from that for its result."""
        if self._pull is None:
            raise ValueError(f"backward needs a call before it, and {self.name} has had none")
        return self._pull(grad)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Lengths:
        """The shape of the result for inputs of a shape, in which None stands for any length."""
        shape = tuple(input_shape)
        self._check_shape("input_shape", shape)
        first = self._axes[0]
        return shape[:first] + self._lengths(shape[first : first + self.count]) + shape[first + self.count :]

    def _lengths(self, lengths: Lengths) -> Lengths:
        raise NotImplementedError

    @property
    def _axes(self) -> tuple[int, ...]:
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.count))

    def _check(self, inputs: Any) -> None:
        if not hasattr(inputs, "shape"):
            raise TypeError(f"inputs must be an array, got {type(inputs).__name__}")
        self._check_shape("inputs", inputs.shape)

    def _check_shape(self, argument: str, shape: tuple[Any, ...]) -> None:
        if len(shape) != self.count + 2:
            raise ValueError(f"{argument} must have {self.count + 2} axes for {self.name}, got {shape}")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, which Keras's layer of the same name takes as well."""
        shown = {key: value for key, value in vars(self).items() if not key.startswith("_")}
        return {"name": shown.pop("name"), **shown}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A layer from what `get_config` gave, here or in Keras; ``trainable`` and ``dtype`` are left out."""
        return cls(**{key: value for key, value in config.items() if key not in OF_KERAS})

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({shown})"


class _Pooling(_Layer):
    """Sliding windows."""

    def __init__(
        self,
        pool_size: Integers,
        strides: Integers | None = None,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        name: str | None = None,
    ) -> None:
        self.pool_size = _integers("pool_size", pool_size, self.count)
        self.strides = self.pool_size if strides is None else _integers("strides", strides, self.count)
        self.padding = _word("padding", padding, PADDINGS)
        super().__init__(data_format, name)

    def _windows(self) -> dict[str, Any]:
        return {
            "window": self.pool_size,
            "stride": self.strides,
            "padding": self.padding,
            "axes": self._axes,
        }

    def _lengths(self, lengths: Lengths) -> Lengths:
        each = zip(lengths, self.pool_size, self.strides, strict=True)
        if self.padding == "same":
            return tuple(None if n is None else -(-n // s) for n, _, s in each)
        outputs = tuple(None if n is None else (n - k) // s + 1 for n, k, s in each)
        if any(o is not None and o < 1 for o in outputs):
            raise ValueError(
                f"input_shape must have room for a window of {self.pool_size}, got lengths {lengths}"
            )
        return outputs


class _MaxPooling(_Pooling):
    def call(self, inputs: AnyArray) -> AnyArray:
        """The largest elements of windows."""
        y: AnyArray = fp.max_pool(inputs, **self._windows())
        return y


class MaxPooling1D(_MaxPooling):
    """Reduce each window along one axis to its largest element.

    ``y[o] = max x[i]`` over the elements of window o. A call takes an array of a batch, the pooled axes and
    channels; `backward` gives the gradient of the last call.

    Parameters
    ----------
    pool_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    strides : int or sequence of int, optional
        Distance between the starts of windows; `pool_size` by default.
    padding : {"valid", "same"}
        No padding, or as much as gives ``ceil(n / stride)`` windows.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.max_pool : The same with fastpool's arguments.
    AveragePooling1D : Mean of each window.

    Notes
    -----
    Of ties the first element has the gradient. A NaN wins.

    References
    ----------
    .. [1] Keras, ``keras.layers.MaxPooling1D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> layer = keras.MaxPooling1D(2, padding="same")
    >>> layer(np.array([[[3.0], [1.0], [4.0]]])).tolist()
    [[[3.0], [4.0]]]
    >>> layer.compute_output_shape((None, 7, 16))
    (None, 4, 16)
    """

    count = 1

    def __init__(
        self,
        pool_size: Integers = 2,
        strides: Integers | None = None,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name)


class MaxPooling2D(_MaxPooling):
    """Reduce each window along two axes to its largest element.

    ``y[o] = max x[i]`` over the elements of window o. A call takes an array of a batch, the pooled axes and
    channels; `backward` gives the gradient of the last call.

    Parameters
    ----------
    pool_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    strides : int or sequence of int, optional
        Distance between the starts of windows; `pool_size` by default.
    padding : {"valid", "same"}
        No padding, or as much as gives ``ceil(n / stride)`` windows.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.max_pool : The same with fastpool's arguments.
    AveragePooling2D : Mean of each window.

    Notes
    -----
    Of ties the first element has the gradient. A NaN wins.

    References
    ----------
    .. [1] Keras, ``keras.layers.MaxPooling2D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.MaxPooling2D(2)(np.ones((1, 4, 4, 1))).shape
    (1, 2, 2, 1)
    """

    count = 2

    def __init__(
        self,
        pool_size: Integers = (2, 2),
        strides: Integers | None = None,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name)


class MaxPooling3D(_MaxPooling):
    """Reduce each window along three axes to its largest element.

    ``y[o] = max x[i]`` over the elements of window o. A call takes an array of a batch, the pooled axes and
    channels; `backward` gives the gradient of the last call.

    Parameters
    ----------
    pool_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    strides : int or sequence of int, optional
        Distance between the starts of windows; `pool_size` by default.
    padding : {"valid", "same"}
        No padding, or as much as gives ``ceil(n / stride)`` windows.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.max_pool : The same with fastpool's arguments.
    AveragePooling3D : Mean of each window.

    Notes
    -----
    Of ties the first element has the gradient. A NaN wins.

    References
    ----------
    .. [1] Keras, ``keras.layers.MaxPooling3D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.MaxPooling3D(2)(np.ones((1, 4, 4, 4, 1))).shape
    (1, 2, 2, 2, 1)
    """

    count = 3

    def __init__(
        self,
        pool_size: Integers = (2, 2, 2),
        strides: Integers | None = None,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name)


class _AveragePooling(_Pooling):
    def call(self, inputs: AnyArray) -> AnyArray:
        """The means of windows; padding counts for nothing."""
        return fp.avg_pool(_real(inputs), **self._windows(), count_include_pad=False)


class AveragePooling1D(_AveragePooling):
    """Reduce each window along one axis to the mean of its own elements.

    ``y[o] = (sum of x[i]) / n[o]`` over the n[o] elements of window o; padding does not count. A call takes
    an array of a batch, the pooled axes and channels; `backward` gives the gradient of the last call.

    Parameters
    ----------
    pool_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    strides : int or sequence of int, optional
        Distance between the starts of windows; `pool_size` by default.
    padding : {"valid", "same"}
        No padding, or as much as gives ``ceil(n / stride)`` windows.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.avg_pool : The same with fastpool's arguments.
    MaxPooling1D : Largest element of each window.

    Notes
    -----
    Integers and bools are averaged as float32, as in Keras.

    References
    ----------
    .. [1] Keras, ``keras.layers.AveragePooling1D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.AveragePooling1D(2, padding="same")(np.array([[[3.0], [1.0], [4.0]]])).tolist()
    [[[2.0], [4.0]]]
    """

    count = 1


class AveragePooling2D(_AveragePooling):
    """Reduce each window along two axes to the mean of its own elements.

    ``y[o] = (sum of x[i]) / n[o]`` over the n[o] elements of window o; padding does not count. A call takes
    an array of a batch, the pooled axes and channels; `backward` gives the gradient of the last call.

    Parameters
    ----------
    pool_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    strides : int or sequence of int, optional
        Distance between the starts of windows; `pool_size` by default.
    padding : {"valid", "same"}
        No padding, or as much as gives ``ceil(n / stride)`` windows.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.avg_pool : The same with fastpool's arguments.
    MaxPooling2D : Largest element of each window.

    Notes
    -----
    Integers and bools are averaged as float32, as in Keras.

    References
    ----------
    .. [1] Keras, ``keras.layers.AveragePooling2D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.AveragePooling2D(2)(np.ones((1, 4, 4, 1))).shape
    (1, 2, 2, 1)
    """

    count = 2


class AveragePooling3D(_AveragePooling):
    """Reduce each window along three axes to the mean of its own elements.

    ``y[o] = (sum of x[i]) / n[o]`` over the n[o] elements of window o; padding does not count. A call takes
    an array of a batch, the pooled axes and channels; `backward` gives the gradient of the last call.

    Parameters
    ----------
    pool_size : int or sequence of int
        Elements that a window covers along each pooled axis.
    strides : int or sequence of int, optional
        Distance between the starts of windows; `pool_size` by default.
    padding : {"valid", "same"}
        No padding, or as much as gives ``ceil(n / stride)`` windows.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.avg_pool : The same with fastpool's arguments.
    MaxPooling3D : Largest element of each window.

    Notes
    -----
    Integers and bools are averaged as float32, as in Keras.

    References
    ----------
    .. [1] Keras, ``keras.layers.AveragePooling3D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.AveragePooling3D(2)(np.ones((1, 4, 4, 4, 1))).shape
    (1, 2, 2, 2, 1)
    """

    count = 3


class _GlobalPooling(_Layer):
    """Whole axes."""

    def __init__(
        self, data_format: DataFormat | None = None, keepdims: bool = False, name: str | None = None
    ) -> None:
        super().__init__(data_format, name)
        if not isinstance(keepdims, bool):
            raise TypeError(f"keepdims must be True or False, got {keepdims!r}")
        self.keepdims = keepdims

    def _lengths(self, lengths: Lengths) -> Lengths:
        return (1,) * len(lengths) if self.keepdims else ()


class _GlobalMaxPooling(_GlobalPooling):
    def call(self, inputs: AnyArray) -> AnyArray:
        """The largest elements of planes."""
        return fp.global_max_pool(inputs, axes=self._axes, keepdims=self.keepdims)


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """Reduce one axis to its largest element.

    ``y = max x[i]`` over all elements of a channel. A call takes an array of a batch, the pooled axes and
    channels; `backward` gives the gradient of the last call.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    keepdims : bool
        Keep the pooled axes, with length 1.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.global_max_pool : The same with fastpool's arguments.
    GlobalAveragePooling1D : Mean over whole axes.

    Notes
    -----
    Of ties the first element has the gradient. A NaN wins.

    References
    ----------
    .. [1] Keras, ``keras.layers.GlobalMaxPooling1D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.GlobalMaxPooling1D()(np.array([[[3.0, 0.0], [1.0, 7.0]]]))
    array([[3., 7.]])
    """

    count = 1


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """Reduce two axes to their largest element.

    ``y = max x[i]`` over all elements of a channel. A call takes an array of a batch, the pooled axes and
    channels; `backward` gives the gradient of the last call.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    keepdims : bool
        Keep the pooled axes, with length 1.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.global_max_pool : The same with fastpool's arguments.
    GlobalAveragePooling2D : Mean over whole axes.

    Notes
    -----
    Of ties the first element has the gradient. A NaN wins.

    References
    ----------
    .. [1] Keras, ``keras.layers.GlobalMaxPooling2D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.GlobalMaxPooling2D()(np.ones((1, 4, 4, 1))).shape
    (1, 1)
    """

    count = 2


class GlobalMaxPooling3D(_GlobalMaxPooling):
    """Reduce three axes to their largest element.

    ``y = max x[i]`` over all elements of a channel. A call takes an array of a batch, the pooled axes and
    channels; `backward` gives the gradient of the last call.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    keepdims : bool
        Keep the pooled axes, with length 1.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.global_max_pool : The same with fastpool's arguments.
    GlobalAveragePooling3D : Mean over whole axes.

    Notes
    -----
    Of ties the first element has the gradient. A NaN wins.

    References
    ----------
    .. [1] Keras, ``keras.layers.GlobalMaxPooling3D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.GlobalMaxPooling3D()(np.ones((1, 4, 4, 4, 1))).shape
    (1, 1)
    """

    count = 3


class _GlobalAveragePooling(_GlobalPooling):
    def call(self, inputs: AnyArray) -> AnyArray:
        """The means of planes."""
        return fp.global_avg_pool(_real(inputs), axes=self._axes, keepdims=self.keepdims)


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """Reduce one axis to the mean of its elements.

    ``y = (sum of x[i]) / n`` over the n elements of a channel. A call takes a mask of shape (batch, steps) as
    well, which says what takes part. A call takes an array of a batch, the pooled axes and channels;
    `backward` gives the gradient of the last call.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    keepdims : bool
        Keep the pooled axes, with length 1.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.global_avg_pool : The same with fastpool's arguments.
    GlobalMaxPooling1D : Largest element of whole axes.

    Notes
    -----
    Integers and bools are averaged as float32, as in Keras.

    References
    ----------
    .. [1] Keras, ``keras.layers.GlobalAveragePooling1D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> x = np.array([[[3.0], [1.0], [8.0]]])
    >>> keras.GlobalAveragePooling1D()(x), keras.GlobalAveragePooling1D()(x, mask=np.array([[1, 1, 0]]))
    (array([[4.]]), array([[2.]]))
    """

    count = 1

    @overload
    def __call__(self, inputs: NumpyArray, mask: ArrayLike | None = ...) -> NumpyArray: ...
    @overload
    def __call__(self, inputs: ArrayT, mask: AnyArray | None = ...) -> ArrayT: ...
    def __call__(self, inputs: Any, mask: Any = None) -> Result:
        """The mean of each row's steps, or of those that `mask`, (batch, steps), marks; NaN for none."""
        if mask is None:
            return super().__call__(inputs)
        self._check(inputs)
        (steps,) = self._axes
        kept = np.asarray(mask) if isinstance(inputs, np.ndarray) else mask
        if tuple(kept.shape) != (inputs.shape[0], inputs.shape[steps]):
            raise ValueError(
                f"mask must have the shape (batch, steps), {(inputs.shape[0], inputs.shape[steps])}, "
                f"got {tuple(kept.shape)}"
            )
        where = kept[:, :, None] if steps == 1 else kept[:, None]
        y, self._pull = fp.vjp(
            fp.global_pool, _real(inputs), "avg", axes=steps, keepdims=self.keepdims, where=where != 0
        )
        return y


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """Reduce two axes to the mean of their elements.

    ``y = (sum of x[i]) / n`` over the n elements of a channel. A call takes an array of a batch, the pooled
    axes and channels; `backward` gives the gradient of the last call.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    keepdims : bool
        Keep the pooled axes, with length 1.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.global_avg_pool : The same with fastpool's arguments.
    GlobalMaxPooling2D : Largest element of whole axes.

    Notes
    -----
    Integers and bools are averaged as float32, as in Keras.

    References
    ----------
    .. [1] Keras, ``keras.layers.GlobalAveragePooling2D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.GlobalAveragePooling2D()(np.ones((1, 4, 4, 1))).shape
    (1, 1)
    """

    count = 2


class GlobalAveragePooling3D(_GlobalAveragePooling):
    """Reduce three axes to the mean of their elements.

    ``y = (sum of x[i]) / n`` over the n elements of a channel. A call takes an array of a batch, the pooled
    axes and channels; `backward` gives the gradient of the last call.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    keepdims : bool
        Keep the pooled axes, with length 1.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.global_avg_pool : The same with fastpool's arguments.
    GlobalMaxPooling3D : Largest element of whole axes.

    Notes
    -----
    Integers and bools are averaged as float32, as in Keras.

    References
    ----------
    .. [1] Keras, ``keras.layers.GlobalAveragePooling3D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.GlobalAveragePooling3D()(np.ones((1, 4, 4, 4, 1))).shape
    (1, 1)
    """

    count = 3


class _AdaptivePooling(_Layer):
    """As many bins an axis as asked for."""

    def __init__(
        self, output_size: Integers, data_format: DataFormat | None = None, name: str | None = None
    ) -> None:
        self.output_size = _integers("output_size", output_size, self.count)
        super().__init__(data_format, name)

    def _lengths(self, lengths: Lengths) -> Lengths:  # noqa: ARG002
        return self.output_size


class _AdaptiveMaxPooling(_AdaptivePooling):
    def call(self, inputs: AnyArray) -> AnyArray:
        """The largest elements of bins."""
        return fp.adaptive_max_pool(inputs, self.output_size, axes=self._axes)


class AdaptiveMaxPooling1D(_AdaptiveMaxPooling):
    """Reduce each of `output_size` bins along one axis to its largest element.

    ``y[o] = max x[i]`` over bin o, which covers ``floor(o n / outputs)`` to
    ``ceil((o + 1) n / outputs) - 1``. A call takes an array of a batch, the pooled axes and channels;
    `backward` gives the gradient of the last call.

    Parameters
    ----------
    output_size : int or sequence of int
        Bins along each pooled axis.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.adaptive_max_pool : The same with fastpool's arguments.
    AdaptiveAveragePooling1D : Mean of each bin.

    Notes
    -----
    Of ties the first element has the gradient. A NaN wins.

    References
    ----------
    .. [1] Keras, ``keras.layers.AdaptiveMaxPooling1D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.AdaptiveMaxPooling1D(2)(np.array([[[3.0], [1.0], [4.0], [1.0], [5.0]]])).tolist()
    [[[4.0], [5.0]]]
    """

    count = 1


class AdaptiveMaxPooling2D(_AdaptiveMaxPooling):
    """Reduce each of `output_size` bins along two axes to its largest element.

    ``y[o] = max x[i]`` over bin o, which covers ``floor(o n / outputs)`` to
    ``ceil((o + 1) n / outputs) - 1``. A call takes an array of a batch, the pooled axes and channels;
    `backward` gives the gradient of the last call.

    Parameters
    ----------
    output_size : int or sequence of int
        Bins along each pooled axis.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.adaptive_max_pool : The same with fastpool's arguments.
    AdaptiveAveragePooling2D : Mean of each bin.

    Notes
    -----
    Of ties the first element has the gradient. A NaN wins.

    References
    ----------
    .. [1] Keras, ``keras.layers.AdaptiveMaxPooling2D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.AdaptiveMaxPooling2D(2)(np.ones((1, 4, 4, 1))).shape
    (1, 2, 2, 1)
    """

    count = 2


class AdaptiveMaxPooling3D(_AdaptiveMaxPooling):
    """Reduce each of `output_size` bins along three axes to its largest element.

    ``y[o] = max x[i]`` over bin o, which covers ``floor(o n / outputs)`` to
    ``ceil((o + 1) n / outputs) - 1``. A call takes an array of a batch, the pooled axes and channels;
    `backward` gives the gradient of the last call.

    Parameters
    ----------
    output_size : int or sequence of int
        Bins along each pooled axis.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.adaptive_max_pool : The same with fastpool's arguments.
    AdaptiveAveragePooling3D : Mean of each bin.

    Notes
    -----
    Of ties the first element has the gradient. A NaN wins.

    References
    ----------
    .. [1] Keras, ``keras.layers.AdaptiveMaxPooling3D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.AdaptiveMaxPooling3D(2)(np.ones((1, 4, 4, 4, 1))).shape
    (1, 2, 2, 2, 1)
    """

    count = 3


class _AdaptiveAveragePooling(_AdaptivePooling):
    def call(self, inputs: AnyArray) -> AnyArray:
        """The means of bins."""
        return fp.adaptive_avg_pool(_real(inputs), self.output_size, axes=self._axes)


class AdaptiveAveragePooling1D(_AdaptiveAveragePooling):
    """Reduce each of `output_size` bins along one axis to the mean of its elements.

    ``y[o] = (sum of x[i]) / n[o]`` over the n[o] elements of bin o, which covers ``floor(o n / outputs)`` to
    ``ceil((o + 1) n / outputs) - 1``. A call takes an array of a batch, the pooled axes and channels;
    `backward` gives the gradient of the last call.

    Parameters
    ----------
    output_size : int or sequence of int
        Bins along each pooled axis.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.adaptive_avg_pool : The same with fastpool's arguments.
    AdaptiveMaxPooling1D : Largest element of each bin.

    Notes
    -----
    Integers and bools are averaged as float32, as in Keras.

    References
    ----------
    .. [1] Keras, ``keras.layers.AdaptiveAveragePooling1D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.AdaptiveAveragePooling1D(2)(np.ones((1, 4, 1))).shape
    (1, 2, 1)
    """

    count = 1


class AdaptiveAveragePooling2D(_AdaptiveAveragePooling):
    """Reduce each of `output_size` bins along two axes to the mean of its elements.

    ``y[o] = (sum of x[i]) / n[o]`` over the n[o] elements of bin o, which covers ``floor(o n / outputs)`` to
    ``ceil((o + 1) n / outputs) - 1``. A call takes an array of a batch, the pooled axes and channels;
    `backward` gives the gradient of the last call.

    Parameters
    ----------
    output_size : int or sequence of int
        Bins along each pooled axis.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.adaptive_avg_pool : The same with fastpool's arguments.
    AdaptiveMaxPooling2D : Largest element of each bin.

    Notes
    -----
    Integers and bools are averaged as float32, as in Keras.

    References
    ----------
    .. [1] Keras, ``keras.layers.AdaptiveAveragePooling2D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.AdaptiveAveragePooling2D(2)(np.ones((1, 4, 4, 1))).shape
    (1, 2, 2, 1)
    """

    count = 2


class AdaptiveAveragePooling3D(_AdaptiveAveragePooling):
    """Reduce each of `output_size` bins along three axes to the mean of its elements.

    ``y[o] = (sum of x[i]) / n[o]`` over the n[o] elements of bin o, which covers ``floor(o n / outputs)`` to
    ``ceil((o + 1) n / outputs) - 1``. A call takes an array of a batch, the pooled axes and channels;
    `backward` gives the gradient of the last call.

    Parameters
    ----------
    output_size : int or sequence of int
        Bins along each pooled axis.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are: ``"channels_last"`` by default.
    name : str, optional
        Name of the layer; by default it is made from the class.

    See Also
    --------
    fastpool.adaptive_avg_pool : The same with fastpool's arguments.
    AdaptiveMaxPooling3D : Largest element of each bin.

    Notes
    -----
    Integers and bools are averaged as float32, as in Keras.

    References
    ----------
    .. [1] Keras, ``keras.layers.AdaptiveAveragePooling3D``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import keras
    >>> keras.AdaptiveAveragePooling3D(2)(np.ones((1, 4, 4, 4, 1))).shape
    (1, 2, 2, 2, 1)
    """

    count = 3


# Keras's other names for the same layers -----------------------------------------------------------------

MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
