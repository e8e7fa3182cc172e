"""Bins at fractional places: weighted rows add up to a line, and weighted elements of the line to outputs.

Interpolation and its mean are separable, so each axis has a table of weights of its own. A bin has samples,
and a sample has taps, elements with a weight. A mean needs one sample a bin, which joins the weights of all;
a maximum looks at each sample.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import aligned, jit, threads, ways
from ..aligned import MERGE, Part, computed
from . import half
from .memory import ahead, apart, peek, pointer, poke, raw, storage

Array = NDArray[Any]
NOWHERE = np.empty(0, np.int64)
LANES = 8  # channels at a time


def align_forward(op: str, x: Array, part: Part, y: Array, winners: Array | None) -> None:
    """Write the boxes of the part into `y`, and the numbers of the winning samples into `winners`, if any.

    All arrays are C-contiguous.
    """
    _, channels, height, width = x.shape
    _, _, rows, columns = y.shape
    sizes = channels, height, width, rows, columns
    arrays = raw(x).reshape(-1), raw(y).reshape(-1), _flat(winners)
    arguments = arrays, part.rows, part.columns, (part.numbers, part.images), sizes
    scratch = partial(_scratch, width, columns, computed(x.dtype))
    threads.run(_forward(op, storage(x.dtype)), arguments, *_sizes(part, channels), scratch)


def align_way(x: Array, part: Part, columns: int) -> ways.Way:
    """What `align_forward` does for so many bins in a row."""
    _, channels, _, width = x.shape
    why = "samples between elements: weighted rows, and then weighted elements of a row"
    cut = f"boxes of up to {LANES} channels"
    scratch = _scratch(width, columns, computed(x.dtype))
    return ways.of_kernel("interpolation", why, *_sizes(part, channels), cut, scratch)


def _scratch(width: int, columns: int, dtype: np.dtype[Any]) -> tuple[Array, ...]:
    flat = np.zeros(LANES * width, dtype)  # also read where there are fewer channels than lanes
    block, values, best = (np.empty(n * LANES, dtype) for n in (width, 1, columns))
    return flat, block, values, best, np.empty(columns * LANES, np.int64)


def _sizes(part: Part, channels: int) -> tuple[int, int]:
    """Tasks and work."""
    return part.numbers.size * -(-channels // LANES), _work(part, channels)


def align_backward(gy: Array, part: Part, winners: Array | None, total: Array) -> None:
    """Add to `total` what the boxes of the part send back; a plane gets it in the order of its boxes.

    `total` has the dtype that is computed in; without `winners` it is a mean. All arrays are C-contiguous.
    """
    images, channels, height, width = total.shape
    _, _, rows, columns = gy.shape
    sizes = channels, height, width, rows, columns
    arrays = raw(gy).reshape(-1), total.reshape(-1), _flat(winners)
    arguments = arrays, part.rows, part.columns, (part.numbers, part.begin), sizes
    kernel = _backward(storage(gy.dtype))
    threads.run(
        kernel, arguments, images * channels, _work(part, channels), lambda: (np.empty(width, total.dtype),)
    )


def _flat(winners: Array | None) -> Array:
    return NOWHERE if winners is None else winners.reshape(-1)


def _work(part: Part, channels: int) -> int:
    widths = part.columns.reach[:, 1] - part.columns.reach[:, 0]
    taps = part.rows.positions.size + part.rows.missing.size
    return int(channels * taps * (1 + widths.mean()))


# Passes: `LANES` channels go side by side, so that the short loops over a bin's elements work on vectors; one
# channel at a time took 1.6 times as long ----------------------------------------------------------------


def weigh_rows(read, out, x, pitch, count, positions, weights, begin, end):
    """The weighted sum of rows of the input."""
    apart()
    at, weight = peek(positions, begin) * pitch, peek(weights, begin)
    for c in range(count):
        poke(out, c, weight * read(peek(x, at + c)))
    for tap in range(begin + 1, end):
        at, weight = peek(positions, tap) * pitch, peek(weights, tap)
        for c in range(count):
            poke(out, c, peek(out, c) + weight * read(peek(x, at + c)))


def interleave(out, rows, pitch, count):
    """The rows of all lanes, element by element."""
    apart()
    for c in range(count):
        for lane in range(LANES):
            poke(out, c * LANES + lane, peek(rows, lane * pitch + c))


def weigh_elements(out, line, lo, positions, weights, begin, end):
    """The weighted sum of elements of the line, which begins with element `lo`, for all lanes."""
    apart()
    at, weight = (peek(positions, begin) - lo) * LANES, peek(weights, begin)
    for lane in range(LANES):
        poke(out, lane, weight * peek(line, at + lane))
    for tap in range(begin + 1, end):
        at, weight = (peek(positions, tap) - lo) * LANES, peek(weights, tap)
        for lane in range(LANES):
            poke(out, lane, peek(out, lane) + weight * peek(line, at + lane))


def merge_sample(merge, best, chosen, values, sample):
    """Merge a sample into the best of all lanes."""
    apart()
    for lane in range(LANES):
        merged = merge(peek(best, lane), peek(chosen, lane), peek(values, lane), sample)
        poke(best, lane, merged[0])
        poke(chosen, lane, merged[1])


@cache
def _forward(op: str, stored: str) -> Callable[..., None]:
    """Means or extremes of the samples in the bins of boxes: a task is a box, in up to `LANES` channels.

    For each row of samples a column pass adds up weighted rows of the box: it reads their elements once, and
    reads and writes a line of sums. A second pass puts the lines of all channels side by side. A row pass
    reads the elements of each sample in that buffer and merges the sample with the best of its bin. Each
    result, and the number of the sample that won, is written once.
    """
    merge, neutral = MERGE[op]
    read, write, digest = half.READ[stored], half.WRITE[stored], jit.source_digest()

    def walk(arrays, rows, columns, boxes, sizes, flat, block, values, best, chosen, first, last):
        _ = digest  # captured, and so part of the cache key
        x, y, winners = arrays
        row_bins, row_samples, row_positions, row_weights, row_missing, _ = rows
        bins, samples, positions, weights, missing, reach = columns
        numbers, images = boxes
        channels, height, width, out_rows, out_columns = sizes
        for task in range(first, last):  # the boxes of some channels in a row: their planes stay in cache
            channel, box = task // numbers.size * LANES, task % numbers.size
            lanes = min(LANES, channels - channel)
            plane = (images[box] * channels + channel) * height * width
            lo, count = reach[box, 0], reach[box, 1] - reach[box, 0]
            for row in range(out_rows):
                row_bin = box * out_rows + row
                for place in range(out_columns * LANES):
                    outside = row_missing[row_bin] | missing[box * out_columns + place // LANES]
                    poke(best, place, 0.0 if outside else neutral)
                    poke(chosen, place, -1)
                begin, end = row_bins[row_bin], row_bins[row_bin + 1]
                for s in range(begin, end):
                    taps = row_samples[s], row_samples[s + 1]
                    for lane in range(lanes):
                        out = ahead(pointer(flat), lane * width)
                        source = ahead(pointer(x), plane + lane * height * width + lo)
                        at, by = pointer(row_positions), pointer(row_weights)
                        weigh_rows(read, out, source, width, count, at, by, taps[0], taps[1])
                    interleave(pointer(block), pointer(flat), width, count)
                    for q in range(out_columns):
                        own, behind = bins[box * out_columns + q], bins[box * out_columns + q + 1]
                        held, won = ahead(pointer(best), q * LANES), ahead(pointer(chosen), q * LANES)
                        for t in range(own, behind):
                            line, at, by = pointer(block), pointer(positions), pointer(weights)
                            weigh_elements(pointer(values), line, lo, at, by, samples[t], samples[t + 1])
                            sample = (s - begin) * (behind - own) + t - own
                            merge_sample(merge, held, won, pointer(values), sample)
                for lane in range(lanes):
                    out = ((numbers[box] * channels + channel + lane) * out_rows + row) * out_columns
                    for q in range(out_columns):
                        poke(y, out + q, write(peek(best, q * LANES + lane)))
                    if winners.size:
                        for q in range(out_columns):
                            poke(winners, out + q, peek(chosen, q * LANES + lane))

    return jit.kernel(walk, f"align_{op}_{stored}")


@cache
def _backward(stored: str) -> Callable[..., None]:
    """Gradients of the bins of boxes: a task is a plane, to which its boxes send one after the other.

    For each row of samples a row pass reads the gradient of each bin and adds it to the elements of its
    sample, in a line: one read and one write each. A column pass adds that line to the rows that the samples
    weigh: one read and one write for each element of the box in them.
    """
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


jit.register(aligned)
jit.register(half)
jit.register(__name__)
