"""Typical calls by other frameworks' names, which type checkers accept, and what they say of the results."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import fastpool as fp
from fastpool.compat import keras, onnx
from fastpool.compat import tensorflow as tf_nn
from fastpool.compat import torch as F  # noqa: N812


class Tensor:
    """An array of another library."""

    def __array__(self, dtype: Any = None) -> NDArray[Any]:
        return np.zeros(())


Floats = NDArray[np.float32]
Pair = tuple[NDArray[Any], NDArray[Any]]


def torch_functions(x: Floats, t: Tensor, indexed: bool) -> None:
    assert_type(F.max_pool2d(x, 2), Floats)
    assert_type(F.max_pool2d(t, (3, 3), 2, [1, 1], ceil_mode=True), Tensor)
    assert_type(F.max_pool2d(x, 2, return_indices=True), Pair)
    assert_type(F.max_pool3d(t, 2, None, 0, 1, False, True), tuple[Tensor, Tensor])
    assert_type(F.max_pool1d(t, 2, return_indices=indexed), Tensor | tuple[Tensor, Tensor])
    assert_type(F.max_pool2d_with_indices(x, 2), Pair)
    assert_type(F.avg_pool1d(t, np.int64(2), padding=1, count_include_pad=False), Tensor)
    assert_type(F.avg_pool2d(x, np.array([2, 3]), divisor_override=5), NDArray[Any])
    assert_type(F.lp_pool2d(x, 2, 3, stride=1), Floats)
    assert_type(F.adaptive_max_pool2d(t, (7, None), True), tuple[Tensor, Tensor])
    assert_type(F.adaptive_avg_pool3d(t, 7), Tensor)
    assert_type(F.fractional_max_pool2d(x, 2, output_ratio=(0.5, 0.7)), Floats)
    assert_type(F.fractional_max_pool3d(x, 2, 4, return_indices=True, _random_samples=x), Pair)
    y, i = F.max_pool2d(t, 2, return_indices=True)
    assert_type(F.max_unpool2d(y, i, 2, output_size=(8, 8)), Tensor)
    assert_type(fp.vjp(F.max_pool2d, x, 3, 2, 1)[0], Floats)


def torch_modules(x: Floats, t: Tensor, indexed: bool) -> None:
    assert_type(F.MaxPool2d(2)(x), Floats)
    assert_type(F.MaxPool2d(2, stride=1, return_indices=True)(t), tuple[Tensor, Tensor])
    assert_type(F.AdaptiveMaxPool1d(4, indexed)(t), Tensor | tuple[Tensor, Tensor])
    assert_type(F.FractionalMaxPool2d(2, 4, None, True)(x), Pair)
    assert_type(F.AvgPool2d((2, 2), padding=1)(t), Tensor)
    assert_type(F.MaxUnpool1d(2)(x, x, [8]), Floats)
    pool: F.MaxPool3d = F.MaxPool3d(2)
    assert_type(pool(t), Tensor)


def tensorflow_functions(x: Floats, t: Tensor) -> None:
    assert_type(tf_nn.max_pool2d(x, ksize=3, strides=[1, 2, 2, 1], padding="SAME"), Floats)
    assert_type(tf_nn.max_pool1d(t, 2, 2, [[0, 0], [1, 1], [0, 0]], data_format="NWC"), Tensor)
    assert_type(tf_nn.avg_pool(t, 2, None, "VALID"), Tensor)
    assert_type(tf_nn.pool(x, [2, 2], "AVG", dilations=(2, 2)), NDArray[Any])
    assert_type(tf_nn.max_pool_with_argmax(x, 2, 2, "VALID").argmax, NDArray[Any])
    assert_type(tf_nn.max_pool_with_argmax(t, 2, 2, "VALID").argmax, Tensor)
    y, rows, _ = tf_nn.fractional_max_pool(x, 1.44, seed=7)
    assert_type(y, NDArray[Any])
    assert_type(rows, NDArray[np.int64])


def keras_layers(x: Floats, t: Tensor) -> None:
    layer = keras.MaxPooling2D((2, 2), padding="same", data_format="channels_first")
    assert_type(layer(x), NDArray[Any])
    assert_type(layer.backward(x), NDArray[Any])
    assert_type(keras.AveragePooling1D(2)(t), Tensor)
    assert_type(keras.GlobalAveragePooling1D(keepdims=True)(x, mask=x > 0), NDArray[Any])
    assert_type(keras.GlobalAveragePooling1D()(t, mask=t), Tensor)
    assert_type(keras.AdaptiveAveragePooling2D([7, 7])(t), Tensor)


def onnx_nodes(x: Floats) -> None:
    node = onnx.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2], auto_pad="VALID", ceil_mode=1)
    assert_type(onnx.run_node(node, [x]), tuple[NDArray[Any], ...])
    assert_type(onnx.Backend.run_node(node, [x, None]), tuple[NDArray[Any], ...])
    model = onnx.PreparedModel(("x",), ("y",), (node,), {}, 22)
    assert_type(model.run({"x": x}), tuple[NDArray[Any], ...])
