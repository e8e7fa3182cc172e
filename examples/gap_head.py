"""A head of one map a class, averaged, against a fully connected one: parameters and accuracy.

Handwritten digits go through a fixed filter bank; a linear layer learns on top, either at every place, the
places then averaged (Network in Network's head), or over all places at once. The second learns where strokes
stand, and is lost once the digits move. Needs scikit-learn: ``python examples/gap_head.py``, a minute.
"""

import argparse

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import fastpool as fp
from fastpool.descriptors import GlobalPoolClassifier

Array = NDArray[np.float32]

SIDE = 16  # of the canvas that a digit of 8 x 8 pixels stands on
TESTED = 500


def canvases(digits: Array, shifts: NDArray[np.int64]) -> Array:
    """Digits on empty squares, moved from the middle."""
    middle = (SIDE - digits.shape[1]) // 2
    result = np.zeros((len(digits), 1, SIDE, SIDE), np.float32)
    for canvas, digit, (down, right) in zip(result, digits, middle + shifts, strict=True):
        canvas[0, down : down + 8, right : right + 8] = digit
    return result


# A fixed filter bank -------------------------------------------------------------------------------------


def slopes(maps: Array, reach: int) -> Array:
    """Of every channel the differences between neighbours in 8 directions, where they are positive."""
    padded = np.pad(maps, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    height, width = maps.shape[2:]
    steps = [(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)]
    moved = [
        padded[:, :, reach * (1 + y) : reach * (1 + y) + height, reach * (1 + x) : reach * (1 + x) + width]
        for y, x in steps
    ]
    opposite = moved[4:] + moved[:4]
    return np.concatenate([np.maximum(a - b, 0) for a, b in zip(moved, opposite, strict=True)], axis=1)


def activations(images: Array) -> Array:
    """Edges, and edges of the edges two pixels apart: 1 + 8 + 64 channels, maxima of 2 x 2."""
    edges = slopes(images, 1)
    maps = np.concatenate([images, edges, slopes(edges, 2)], axis=1)
    pooled: Array = fp.max_pool(maps, 2, stride=1)
    return pooled


# Heads ---------------------------------------------------------------------------------------------------


def at_every_place(features: Array) -> Array:
    """The linear layer of the averaging head sees one place at a time: (N, C, H, W)."""
    return features


def at_once(features: Array) -> Array:
    """That of the fully connected head sees them all, and is a head with one place: (N, C H W, 1, 1)."""
    return features.reshape(len(features), -1, 1, 1)


def class_maps(features: Array, weights: Array) -> Array:
    """A linear layer over the channels, the last weight of each class being its bias."""
    n, c, h, w = features.shape
    maps = weights[:, :-1] @ features.reshape(n, c, h * w) + weights[:, -1:]
    return maps.reshape(n, -1, h, w)


def learned(features: Array, labels: NDArray[np.int64], head: GlobalPoolClassifier, steps: int) -> Array:
    """Weights (K, C + 1) by Adam on batches of 64."""
    rng = np.random.default_rng(0)
    weights = np.zeros((len(head.classes_), features.shape[1] + 1), np.float32)
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, steps + 1):
        batch = rng.integers(0, len(features), 64)
        x = features[batch]
        _, g = head.loss_and_gradient(class_maps(x, weights), labels[batch])
        g, x = g.reshape(*g.shape[:2], -1), x.reshape(*x.shape[:2], -1)
        gradient = np.column_stack([(g @ x.transpose(0, 2, 1)).sum(0), g.sum((0, 2))])
        mean += 0.1 * (gradient - mean)
        square += 0.01 * (gradient**2 - square)
        rate = 0.03 * (1 - step / (steps + 1))
        weights -= rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return weights


def main() -> None:
    """Print parameters and accuracy of both heads, on digits that stand where they stood, and elsewhere."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1000)
    steps = parser.parse_args().steps
    digits = load_digits()
    pixels, labels = (digits.images / 16).astype(np.float32), digits.target
    shifts = np.random.default_rng(0).integers(-2, 3, (len(pixels), 2))
    maps = {"centred": activations(canvases(pixels, 0 * shifts))}
    maps["moved"] = activations(canvases(pixels[-TESTED:], shifts[-TESTED:]))
    scale = maps["centred"].mean((2, 3), keepdims=True).std(0)  # the averages then differ by about 1
    print(f"{'':18}{'parameters':>12}{'centred':>10}{'moved':>10}")
    for name, arranged in (("global average", at_every_place), ("fully connected", at_once)):
        centred, moved = (arranged(part / scale) for part in maps.values())
        head = GlobalPoolClassifier().fit(np.zeros((10, 10, 1, 1)), np.arange(10))
        weights = learned(centred[:-TESTED], labels[:-TESTED], head, steps)
        found = [
            head.score(class_maps(part[-TESTED:], weights), labels[-TESTED:]) for part in (centred, moved)
        ]
        print(f"{name:18}{weights.size:12}{100 * found[0]:8.1f} %{100 * found[1]:8.1f} %")


if __name__ == "__main__":
    main()
