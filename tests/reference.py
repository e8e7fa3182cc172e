"""The oracle: pooling by slices, in float64 or Python integers, one window at a time.

Written from the rules alone; it must never import fastpool (a test greps for that). Slow and obvious.
"""

import itertools
import math

import numpy as np


def taps(n, k, s, before, after, d, ceil_mode):
    """For each window its elements and its extent within the padded input; None where one is empty."""
    room = n + before + after - d * (k - 1) - 1
    length = (math.ceil(room / s) if ceil_mode else room // s) + 1
    if ceil_mode and (length - 1) * s >= n + before:
        length -= 1
    found = []
    for o in range(length):
        ideal = [o * s - before + j * d for j in range(k)]
        real = [t for t in ideal if 0 <= t < n]
        found.append((real, len([t for t in ideal if t < n + after])))
    return found if found and all(real for real, _ in found) else None


def same(n, k, s, d, lower):
    total = max((math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n, 0)
    return (total - total // 2, total // 2) if lower else (total // 2, total - total // 2)


def bins(n, o):
    """Adaptive bins, in the form of `taps`."""
    spans = [range(i * n // o, math.ceil((i + 1) * n / o)) for i in range(o)]
    return [(list(span), len(span)) for span in spans]


def first_extreme(block, sign):
    """Position along the last axis of the first NaN, else of the first largest of sign * block."""
    best = np.zeros(block.shape[:-1], np.int64)
    for place in np.ndindex(best.shape):
        row = block[place].tolist()
        nans = [j for j, v in enumerate(row) if v != v]
        best[place] = nans[0] if nans else row.index(max(row) if sign > 0 else min(row))
    return best


def pool(x, op, tables, axes, *, include_pad=False, override=None, p=2.0):
    """Values in float64 (or exact integers for integer input), and indices for max and min.

    `tables` has one list of (elements, extent) for each of `axes`, which ascend.
    """
    y = np.zeros(_shape(x, tables, axes), object if x.dtype.kind in "iub" else np.float64)
    indices = np.zeros(y.shape, np.int64)
    for where, block, positions, divisor in _windows(x, tables, axes, include_pad, override):
        if op in ("max", "min"):
            best = first_extreme(block, 1 if op == "max" else -1)
            y[where] = np.take_along_axis(block, best[..., None], -1)[..., 0]
            indices[where] = positions[best]
        elif x.dtype.kind in "iu":
            total = block.astype(object).sum(-1)
            y[where] = (2 * total + divisor) // (2 * divisor) if op == "avg" else total
        elif op in ("avg", "sum"):
            total = np.vectorize(math.fsum, signature="(n)->()")(block.astype(np.float64))
            y[where] = total / divisor if op == "avg" else total
        else:
            y[where] = norm(block.astype(np.float64), p)
    return y, indices


def norm(block, p):
    top = np.abs(block).max(-1)
    if p == math.inf:
        return top
    scaled = np.abs(block) / np.where(top == 0, 1, top)[..., None]
    return top * (scaled**p).sum(-1) ** (1 / p)


def pull(gy, x, op, tables, axes, *, include_pad=False, override=None, p=2.0):
    """The gradient for x, window by window, in float64."""
    gx = np.zeros(x.shape)
    planes = np.moveaxis(gx, axes, range(-len(axes), 0))
    flat = planes.reshape(*planes.shape[: -len(axes)], -1)  # a copy where axes moved
    for where, block, positions, divisor in _windows(x, tables, axes, include_pad, override):
        g = np.asarray(gy[where], np.float64)[..., None]
        if op in ("max", "min"):
            best = first_extreme(block, 1 if op == "max" else -1)
            share = (np.arange(block.shape[-1]) == best[..., None]) * 1.0
        elif op in ("avg", "sum"):
            share = np.ones(block.shape) / (divisor if op == "avg" else 1)
        else:
            value = norm(block.astype(np.float64), p)[..., None]
            ratio = np.abs(block.astype(np.float64)) / np.where(value == 0, 1, value)
            share = np.sign(block) * np.where(ratio == 0, 0, np.where(ratio == 0, 1, ratio) ** (p - 1))
        flat[..., positions] += g * share
    return np.moveaxis(flat.reshape(planes.shape), range(-len(axes), 0), axes)


def _shape(x, tables, axes):
    lengths = dict(zip(axes, map(len, tables), strict=True))
    return tuple(lengths.get(axis, n) for axis, n in enumerate(x.shape))


def _windows(x, tables, axes, include_pad, override):
    """Each window: where it is in the output, its elements last, their flat positions, its divisor."""
    planes = np.moveaxis(x, axes, range(-len(axes), 0))
    shape = planes.shape[-len(axes) :]
    for output in itertools.product(*(range(len(table)) for table in tables)):
        elements = [table[o][0] for table, o in zip(tables, output, strict=True)]
        extents = [table[o][1] for table, o in zip(tables, output, strict=True)]
        block = planes[(..., *np.ix_(*elements))].reshape(*planes.shape[: -len(axes)], -1)
        positions = np.ravel_multi_index(np.meshgrid(*elements, indexing="ij"), shape).reshape(-1)
        divisor = override or math.prod(extents if include_pad else map(len, elements))
        where = [slice(None)] * x.ndim
        for axis, o in zip(axes, output, strict=True):
            where[axis] = o
        yield tuple(where), block, positions, divisor
