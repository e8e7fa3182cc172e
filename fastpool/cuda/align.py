"""Bins at fractional places: what `fastpool.cpu.align` is on the CPU, with its tables.

Forward, a thread has one bin of one channel. Backward, it has one element, which gathers from the bins whose
samples read it: the tables turned around say which those are, box by box.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import cuda, types
from numpy.typing import NDArray

from ..aligned import MERGE, Part, Taps, computed
from ..windows import Integers
from . import device
from .array import DeviceArray
from .device import NOWHERE, Kernel
from .halves import READ, WRITE

BINS, SAMPLES, POSITIONS, MISSING = range(4)


def align_forward(op: str, x: DeviceArray, part: Part, y: DeviceArray, winners: DeviceArray | None) -> None:
    """Write the boxes of the part into `y`, and the numbers of the winning samples into `winners`, if any.

    All arrays are C-contiguous.
    """
    sizes = (*x.shape[1:], *y.shape[2:], part.numbers.size)
    boxes = device.upload(np.concatenate([part.numbers, part.images]))
    tables = [_forward_tables(taps) for taps in (part.rows, part.columns)]
    total = part.numbers.size * x.shape[1] * y.shape[2] * y.shape[3]
    stored = device.storage(x.dtype), device.raw_name(x.dtype), computed(x.dtype).name
    kernel = _forward(op, *stored, winners is not None)
    arrays = x.flat(), y.flat(), NOWHERE if winners is None else winners.flat()
    held = [device.address_of(each) for pair in tables for each in pair]
    kernel.launch(*device.grid(total), x.where, *arrays, *held, device.address_of(boxes), sizes, total)


def align_backward(gy: DeviceArray, part: Part, winners: DeviceArray | None, total: DeviceArray) -> None:
    """Add to `total` what the boxes of the part send back, in the order of the boxes.

    `total` has the dtype that is computed in; without `winners` it is a mean. All arrays are C-contiguous.
    """
    sizes = (*total.shape[1:], *gy.shape[2:], total.shape[0])
    boxes = device.upload(np.concatenate([part.begin, part.numbers]))
    lengths = zip((part.rows, part.columns), total.shape[2:], strict=True)
    tables = [_turned(taps, part.numbers.size, n) for taps, n in lengths]
    kernel = _backward(
        device.storage(gy.dtype), device.raw_name(gy.dtype), total.dtype.name, winners is not None
    )
    arrays = gy.flat(), total.flat(), NOWHERE if winners is None else winners.flat()
    held = [device.address_of(each) for pair in tables for each in pair]
    kernel.launch(
        *device.grid(total.size), gy.where, *arrays, *held, device.address_of(boxes), sizes, total.size
    )


def _forward_tables(taps: Taps) -> tuple[Any, Any]:
    """An axis' integers, after where each array of them begins, and its weights."""
    listed = [taps.bins, taps.samples, taps.positions, taps.missing]
    return device.upload(_joined(listed)), device.upload(_some(taps.weights))


def _joined(listed: Sequence[NDArray[Any]]) -> Integers:
    begins = len(listed) + np.cumsum([0, *(each.size for each in listed[:-1])])
    return np.concatenate([begins, *listed]).astype(np.int64)


def _some(weights: Any) -> Any:
    """Weights, and one where there are none, as no array of a device is empty."""
    return weights if weights.size else np.zeros(1, weights.dtype)


def _turned(taps: Taps, boxes: int, n: int) -> tuple[Any, Any]:
    """Of each box and element the samples that read it: their bins, numbers among the bin's, and weights."""
    samples = np.repeat(np.arange(taps.samples.size - 1), np.diff(taps.samples))
    bins = np.repeat(np.arange(taps.bins.size - 1), np.diff(taps.bins))
    per_box = (taps.bins.size - 1) // max(boxes, 1)
    key = bins[samples] // max(per_box, 1) * n + taps.positions
    order = np.argsort(key, kind="stable")
    bounds = np.searchsorted(key[order], np.arange(boxes * n + 1))
    own = bins[samples][order]
    numbers = samples[order] - taps.bins[own]
    listed = [bounds, own, numbers, np.diff(taps.bins)]
    return device.upload(_joined(listed)), device.upload(_some(taps.weights[order]))


@cache
def _forward(op: str, stored: str, raw: str, wide: str, keep: bool) -> Kernel:
    merge, neutral = MERGE[op]
    read, write, number = READ[stored], WRITE[stored], getattr(np, wide)
    merge = device.function(merge)

    def walk(x, y, winners, rows, row_weights, columns, weights, boxes, sizes, total):
        channels, height, width, out_rows, out_columns, many = sizes
        task, stride = cuda.grid(1), cuda.gridsize(1)
        while task < total:
            q, rest = task % out_columns, task // out_columns
            p, rest = rest % out_rows, rest // out_rows
            channel, box = rest % channels, rest // channels
            plane = (boxes[many + box] * channels + channel) * height * width
            row_bin, bin_ = box * out_rows + p, box * out_columns + q
            first, behind = rows[rows[BINS] + row_bin], rows[rows[BINS] + row_bin + 1]
            own, end = columns[columns[BINS] + bin_], columns[columns[BINS] + bin_ + 1]
            outside = rows[rows[MISSING] + row_bin] + columns[columns[MISSING] + bin_] > 0
            best, chosen = number(0.0 if outside else neutral), np.int64(-1)
            for s in range(first, behind):
                for t in range(own, end):
                    value = number(0)
                    for column in range(columns[columns[SAMPLES] + t], columns[columns[SAMPLES] + t + 1]):
                        at = plane + columns[columns[POSITIONS] + column]
                        line = number(0)
                        for row in range(rows[rows[SAMPLES] + s], rows[rows[SAMPLES] + s + 1]):
                            line += row_weights[row] * number(
                                read(x[at + rows[rows[POSITIONS] + row] * width])
                            )
                        value += weights[column] * line
                    best, chosen = merge(best, chosen, value, (s - first) * (end - own) + t - own)
            out = ((boxes[box] * channels + channel) * out_rows + p) * out_columns + q
            y[out] = write(best)
            if keep:
                winners[out] = chosen
            task += stride

    six = types.UniTuple(types.int64, 6)
    arrays = raw, raw, "int64", "int64", wide, "int64", wide, "int64"
    return Kernel(walk, f"align_{op}_{raw}{'_kept' if keep else ''}", *arrays, six, types.int64)


@cache
def _backward(stored: str, raw: str, wide: str, chosen: bool) -> Kernel:
    read, number = READ[stored], getattr(np, wide)

    def walk(gy, total, winners, rows, row_weights, columns, weights, boxes, sizes, elements):
        channels, height, width, out_rows, out_columns, images = sizes
        task, stride = cuda.grid(1), cuda.gridsize(1)
        while task < elements:
            w, rest = task % width, task // width
            h, rest = rest % height, rest // height
            channel, image = rest % channels, rest // channels
            sent = number(0)
            for box in range(boxes[image], boxes[image + 1]):
                out = (boxes[images + 1 + box] * channels + channel) * out_rows
                for e in range(rows[rows[0] + box * height + h], rows[rows[0] + box * height + h + 1]):
                    p, s = rows[rows[1] + e] - box * out_rows, rows[rows[2] + e]
                    for f in range(
                        columns[columns[0] + box * width + w], columns[columns[0] + box * width + w + 1]
                    ):
                        bin_, t = columns[columns[1] + f], columns[columns[2] + f]
                        at = (out + p) * out_columns + bin_ - box * out_columns
                        sample = s * columns[columns[3] + bin_] + t
                        mine = winners[at] == sample if chosen else True
                        share = row_weights[e] * (weights[f] * number(read(gy[at])))
                        sent += share if mine else number(0)
            total[task] += sent
            task += stride

    six = types.UniTuple(types.int64, 6)
    arrays = raw, wide, "int64", "int64", wide, "int64", wide, "int64"
    return Kernel(walk, f"align_pull_{raw}{'_chosen' if chosen else ''}", *arrays, six, types.int64)
