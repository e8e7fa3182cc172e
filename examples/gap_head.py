"""A head of one map a class, averaged, against a fully connected one: parameters and accuracy.

Handwritten digits go through a fixed filter bank; a linear layer learns on top, either at every place, the
places then averaged (Network in Network's head), or over all places at once. The second learns where strokes
stand, and is lost once the digits move. Needs ``fastpool[cli,descriptors]``: ``python examples/gap_head.py``,
a minute. It prints a table and draws it to gap_head.png.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import fastpool as fp
from fastpool.descriptors import GlobalPoolClassifier

Array = NDArray[np.float32]

SIDE = 20  # of the canvas that a digit of 8 x 8 pixels stands on
TESTED = 500
SHIFTS = range((SIDE - 8) // 2 + 1)  # in pixels; the last brings a digit to the border


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
        gradient = np.column_stack([np.tensordot(g, x, ([0, 2], [0, 2])), g.sum((0, 2))])
        mean += 0.1 * (gradient - mean)
        square += 0.01 * (gradient**2 - square)
        rate = 0.03 * (1 - step / (steps + 1))
        weights -= rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return weights


# The study -----------------------------------------------------------------------------------------------


def moved(count: int, distance: int) -> NDArray[np.int64]:
    """Shifts of `count` digits in one of 8 directions each: by `distance` pixels along one axis or both."""
    rng = np.random.default_rng(0)
    steps = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)])
    shifts: NDArray[np.int64] = distance * steps[rng.integers(0, len(steps), count)]
    return shifts


def study(steps: int) -> dict[str, tuple[int, list[float]]]:
    """By head its number of parameters, and its accuracy in per cent at each of `SHIFTS`."""
    digits = load_digits()
    pixels, labels = (digits.images / 16).astype(np.float32), digits.target
    train, test = activations(canvases(pixels[:-TESTED], moved(len(pixels) - TESTED, 0))), pixels[-TESTED:]
    scale = train.mean((2, 3), keepdims=True).std(0)  # the averages then differ by about 1
    tests = [activations(canvases(test, moved(TESTED, distance))) / scale for distance in SHIFTS]
    results = {}
    for name, arranged in (("global average", at_every_place), ("fully connected", at_once)):
        head = GlobalPoolClassifier().fit(np.zeros((10, 10, 1, 1)), np.arange(10))
        weights = learned(arranged(train / scale), labels[:-TESTED], head, steps)
        maps = [class_maps(arranged(part), weights) for part in tests]
        results[name] = weights.size, [100 * head.score(part, labels[-TESTED:]) for part in maps]
    return results


def table(results: dict[str, tuple[int, list[float]]]) -> str:
    """Parameters and accuracies, in Markdown."""
    lines = [
        f"| head | parameters | {' | '.join(f'{d} px' for d in SHIFTS)} |",
        "|---" + "|---:" * (len(SHIFTS) + 1) + "|",
    ]
    for name, (size, accuracies) in results.items():
        lines.append(f"| {name} | {size} | {' | '.join(f'{each:.1f} %' for each in accuracies)} |")
    return "\n".join(lines)


def draw(results: dict[str, tuple[int, list[float]]]) -> Any:
    """Accuracy against the shift, and the numbers of parameters."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained", width_ratios=(3, 2))
    for name, (_, accuracies) in results.items():
        left.plot(SHIFTS, accuracies, marker="o", label=name)
    left.axhline(10, color="grey", linestyle=":", label="chance")
    left.set(xticks=SHIFTS, ylim=(0, 100), xlabel="shift of the digits tested, pixels", ylabel="accuracy, %")
    left.set_title("Learned on digits in the middle")
    left.legend(loc="upper right")
    sizes = {name: size for name, (size, _) in results.items()}
    bars = right.bar(list(sizes), list(sizes.values()), color=["C0", "C1"], log=True)
    right.bar_label(bars, fmt="{:,.0f}", padding=2)
    right.set(ylim=(100, 1e6), ylabel="parameters, logarithmic")
    right.set_title("What the head has to learn")
    return figure


def main() -> None:
    """Print parameters and accuracy of both heads, on digits in the middle and elsewhere, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--figure", type=Path, default=Path("gap_head.png"))
    options = parser.parse_args()
    results = study(options.steps)
    print(table(results))
    draw(results).savefig(options.figure, dpi=100)
    print(f"figure written to {options.figure}")


if __name__ == "__main__":
    main()
