# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
"""Bins at fractional places: weighted rows add up to a line, and weighted elements of the line to outputs.

Interpolation and its mean are separable, so each axis has a table of weights of its own. A bin has samples,
and a sample has taps, elements with a weight. A mean needs one sample a bin, which joins the weights of all;
a maximum looks at each sample.
"""

from collections.abc import Callable
from functools import cache
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import jit, threads
from ..windows import Integers
from . import half
from .memory import peek, poke, raw, storage

Array = NDArray[Any]
NOWHERE = np.empty(0, np.int64)


class Taps(NamedTuple):
    """What the bins of all boxes read along one axis; box by box, bin by bin.

    Attributes
    ----------
    bins : ndarray of int64
        Where each bin's samples begin, and their number.
    samples : ndarray of int64
        Where each sample's taps begin, and their number.
    positions : ndarray of int64
    weights : ndarray of a float dtype
    missing : ndarray of bool, one a bin
        Whether some of its samples lie outside of the input, or there are none.
    reach : ndarray of int64, shape (boxes, 2)
        The first position that a box reads and the one behind the last.
    """

    bins: Integers
    samples: Integers
    positions: Integers
    weights: Array
    missing: NDArray[np.bool_]
    reach: Integers


class Part(NamedTuple):
    """Some boxes, sorted by their image.

    Attributes
    ----------
    numbers : ndarray of int64
        Which boxes of the call they are.
    images : ndarray of int64
        The image of each.
    begin : ndarray of int64
        Where each image's boxes begin, and their number.
    rows, columns : Taps
        Box by box in this order.
    """

    numbers: Integers
    images: Integers
    begin: Integers
    rows: Taps
    columns: Taps


def computed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What bins of arrays of a dtype are computed in: its results are rounded once."""
    return _zero(storage(dtype)).dtype


def _zero(stored: str) -> np.float32 | np.float64:
    return np.float64(0) if stored == "native" else np.float32(0)


def forward(op: str, x: Array, part: Part, y: Array, winners: Integers = NOWHERE) -> None:
    """Write the boxes of the part into `y`, and the numbers of the winning samples into `winners`, if any.

    All arrays are C-contiguous.
    """
    _, channels, height, width = x.shape
    _, _, rows, columns = y.shape
    sizes = channels, height, width, rows, columns
    arrays = raw(x).reshape(-1), raw(y).reshape(-1), winners.reshape(-1)
    arguments = arrays, part.rows, part.columns, (part.numbers, part.images), sizes

    def scratch() -> tuple[Array, ...]:
        line, best = np.empty(width, computed(x.dtype)), np.empty(columns, computed(x.dtype))
        return line, best, np.empty(columns, np.int64)

    kernel = _forward(op, storage(x.dtype))
    threads.run(kernel, arguments, part.numbers.size * channels, _work(part, channels), scratch)


def backward(gy: Array, part: Part, winners: Integers, total: Array) -> None:
    """Add to `total` what the boxes of the part send back; a plane gets it in the order of its boxes.

    `total` has the dtype that is computed in; `winners` is empty for a mean. All arrays are C-contiguous.
    """
    images, channels, height, width = total.shape
    _, _, rows, columns = gy.shape
    sizes = channels, height, width, rows, columns
    arrays = raw(gy).reshape(-1), total.reshape(-1), winners.reshape(-1)
    arguments = arrays, part.rows, part.columns, (part.numbers, part.begin), sizes
    kernel = _backward(storage(gy.dtype))
    threads.run(
        kernel, arguments, images * channels, _work(part, channels), lambda: (np.empty(width, total.dtype),)
    )


def _work(part: Part, channels: int) -> int:
    widths = part.columns.reach[:, 1] - part.columns.reach[:, 0]
    taps = part.rows.positions.size + part.rows.missing.size
    return int(channels * taps * (1 + widths.mean()))


# Merging samples: the best value and its sample ----------------------------------------------------------


def add_sample(best, chosen, value, sample):
    """The sum; of a mean's one sample, that one."""
    return best + value, sample


def larger_sample(best, chosen, value, sample):
    """The first of equals, also of NaNs; the first of all where there is none yet, even if it is -inf."""
    take = (value > best) | ((value != value) & (best == best)) | ((chosen < 0) & (best == -inf))
    return value if take else best, sample if take else chosen


MERGE = {"avg": (add_sample, 0.0), "max": (larger_sample, -inf)}


@cache
def _forward(op: str, stored: str) -> Callable[..., None]:
    merge, neutral = MERGE[op]
    read, write, digest = half.READ[stored], half.WRITE[stored], jit.source_digest()
    zero = _zero(stored)

    def walk(arrays, rows, columns, boxes, sizes, line, best, chosen, first, last):  # noqa: PLR0912
        _ = digest  # captured, and so part of the cache key
        x, y, winners = arrays
        row_bins, row_samples, row_positions, row_weights, row_missing, _ = rows
        bins, samples, positions, weights, missing, reach = columns
        numbers, images = boxes
        channels, height, width, out_rows, out_columns = sizes
        for task in range(
            first, last
        ):  # the boxes of a channel one after the other: its plane stays in cache
            channel, box = task // numbers.size, task % numbers.size
            plane = (images[box] * channels + channel) * height * width
            lo, hi = reach[box, 0], reach[box, 1]
            for row in range(out_rows):
                row_bin = box * out_rows + row
                for q in range(out_columns):
                    outside = row_missing[row_bin] | missing[box * out_columns + q]
                    poke(best, q, 0.0 if outside else neutral)
                    poke(chosen, q, -1)
                begin, end = row_bins[row_bin], row_bins[row_bin + 1]
                for s in range(begin, end):
                    for c in range(lo, hi):
                        poke(line, c, 0)
                    for tap in range(row_samples[s], row_samples[s + 1]):
                        at, weight = plane + row_positions[tap] * width, row_weights[tap]
                        for c in range(lo, hi):
                            poke(line, c, peek(line, c) + weight * read(peek(x, at + c)))
                    for q in range(out_columns):
                        column_bin = box * out_columns + q
                        own, behind = bins[column_bin], bins[column_bin + 1]
                        for t in range(own, behind):
                            value = zero
                            for tap in range(samples[t], samples[t + 1]):
                                value += peek(weights, tap) * peek(line, peek(positions, tap))
                            sample = (s - begin) * (behind - own) + t - own
                            merged = merge(peek(best, q), peek(chosen, q), value, sample)
                            poke(best, q, merged[0])
                            poke(chosen, q, merged[1])
                out = ((numbers[box] * channels + channel) * out_rows + row) * out_columns
                for q in range(out_columns):
                    poke(y, out + q, write(peek(best, q)))
                if winners.size:
                    for q in range(out_columns):
                        poke(winners, out + q, peek(chosen, q))

    return jit.kernel(walk, f"align_{op}_{stored}")


@cache
def _backward(stored: str) -> Callable[..., None]:
    read, digest = half.READ[stored], jit.source_digest()

    def walk(arrays, rows, columns, boxes, sizes, line, first, last):
        _ = digest  # captured, and so part of the cache key
        gy, total, winners = arrays
        row_bins, row_samples, row_positions, row_weights, _, _ = rows
        bins, samples, positions, weights, _, reach = columns
        numbers, image_begin = boxes
        channels, height, width, out_rows, out_columns = sizes
        for task in range(first, last):
            image, channel = task // channels, task % channels
            plane = task * height * width
            for box in range(image_begin[image], image_begin[image + 1]):
                lo, hi = reach[box, 0], reach[box, 1]
                for row in range(out_rows):
                    out = ((numbers[box] * channels + channel) * out_rows + row) * out_columns
                    begin = row_bins[box * out_rows + row]
                    for s in range(begin, row_bins[box * out_rows + row + 1]):
                        sent = False
                        for c in range(lo, hi):
                            poke(line, c, 0)
                        for q in range(out_columns):
                            own = bins[box * out_columns + q]
                            number = bins[box * out_columns + q + 1] - own
                            chosen = peek(winners, out + q) if winners.size else 0
                            place = chosen - (s - begin) * number
                            if chosen >= 0 and 0 <= place < number:
                                sent = True
                                gradient = read(peek(gy, out + q))
                                for tap in range(samples[own + place], samples[own + place + 1]):
                                    at = peek(positions, tap)
                                    poke(line, at, peek(line, at) + peek(weights, tap) * gradient)
                        if sent:
                            for tap in range(row_samples[s], row_samples[s + 1]):
                                at, weight = plane + row_positions[tap] * width, row_weights[tap]
                                for c in range(lo, hi):
                                    poke(total, at + c, peek(total, at + c) + weight * peek(line, c))

    return jit.kernel(walk, f"align_pull_{stored}")


jit.register(half)
jit.register(__name__)
