"""A network of NumPy arrays learns handwritten digits with Keras's pooling layers, without Keras.

The layers of `fastpool.compat.keras` have `backward`; two dense layers around them are a few lines of NumPy.
Needs scikit-learn, whose digits it reads: ``python examples/digits_keras_style.py``, seconds.
"""

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from fastpool.compat import keras as layers

Array = NDArray[np.float64]


class Dense:
    """``x @ weights + bias`` over the last axis, which learns by plain gradient descent."""

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator):
        self.weights = rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs)
        self.bias = np.zeros(outputs)

    def __call__(self, x: Array) -> Array:
        """The weighted sums."""
        self.x = x
        return x @ self.weights + self.bias

    def backward(self, grad: Array, rate: float = 0.2) -> Array:
        """The gradient for the input; takes a step."""
        gx: Array = grad @ self.weights.T
        flat, gradients = self.x.reshape(-1, self.x.shape[-1]), grad.reshape(-1, grad.shape[-1])
        self.weights -= rate * flat.T @ gradients
        self.bias -= rate * gradients.sum(0)
        return gx


class Relu:
    """``max(x, 0)``."""

    def __call__(self, x: Array) -> Array:
        """The positive part."""
        self.mask = x > 0
        return x * self.mask

    def backward(self, grad: Array) -> Array:
        """The gradient for the input."""
        return grad * self.mask


class Patches:
    """Every 3 x 3 neighbourhood of an image as channels, which makes a dense layer a convolution."""

    def __call__(self, x: Array) -> Array:
        """The neighbourhoods, by image, row and column."""
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        return views.reshape(*x.shape[:3], -1)

    def backward(self, grad: Array) -> Array:
        """Not needed: nothing learns before it."""
        return grad


class Flatten:
    """All axes but the first as one."""

    def __call__(self, x: Array) -> Array:
        """Vectors."""
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, grad: Array) -> Array:
        """The gradient for the input."""
        return grad.reshape(self.shape)


def run(network: list[Any], x: Array) -> Array:
    """The network's scores."""
    for layer in network:
        x = layer(x)
    return x


def main() -> None:
    """Train on 1297 digits, and count the others that are recognised."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=300)
    steps = parser.parse_args().steps
    digits, rng = load_digits(), np.random.default_rng(0)
    x, labels = digits.images[..., None] / 16, digits.target
    network = [
        Patches(),
        Dense(9, 16, rng),
        Relu(),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.AveragePooling2D(pool_size=(2, 2), strides=(1, 1), padding="same"),
        Flatten(),
        Dense(4 * 4 * 16, 10, rng),
    ]
    for step in range(steps):
        batch = np.arange(step * 64, step * 64 + 64) % (len(x) - 500)
        scores = run(network, x[batch])
        weights = np.exp(scores - scores.max(1, keepdims=True))
        grad = (weights / weights.sum(1, keepdims=True) - np.eye(10)[labels[batch]]) / len(batch)
        for layer in reversed(network):
            grad = layer.backward(grad)
    found = run(network, x[-500:]).argmax(1)
    print(f"max, average{100 * (found == labels[-500:]).mean():6.1f} %")


if __name__ == "__main__":
    main()
