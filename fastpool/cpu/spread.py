"""Backward without a search: gradients go straight to the elements they belong to.

The general backward gathers, for each input, from every window that covers it. Where an index names the
element, or no windows overlap, each gradient's place is known, and reading it once is enough. A plane belongs
to one task, and its gradients are added in their order, so the bits do not depend on the number of threads.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import jit, threads
from ..windows import Axis, Geometry, Integers
from . import half
from .fold import NO_REPEAT, repeated
from .memory import ahead, apart, peek, pointer, poke, raw, storage, wide_registers
from .passes import fill

Array = NDArray[Any]

FEW_PLANES = 8  # below which whole planes would leave threads without work


def send_chosen(gy: Array, indices: Array, geometry: Geometry, gx: Array) -> bool:
    """Add each gradient to the element that its index names; False where that does not fit.

    `geometry` is the forward one; all arrays are C-contiguous.
    """
    planes, channels = _planes(geometry)
    if gx.dtype.kind != "f" or gx.itemsize < 4 or planes < FEW_PLANES:
        return False  # 16-bit sums need a wider accumulator
    threads.run(
        _scatter(),
        (gy.reshape(planes, -1), indices.reshape(planes, -1), gx.reshape(planes, -1), channels),
        planes,
        gx.size,
    )
    return True


def send_shares(gy: Array, geometry: Geometry, divisors: Sequence[Integers], gx: Array) -> bool:
    """Give each element the share of the one window that covers it; False where windows overlap.

    `geometry` is the forward one; all arrays are C-contiguous.
    """
    tables = geometry.tables
    planes, channels = _planes(geometry)
    if planes < 0 or any(table.step > 1 or _overlaps(table) for table in tables):
        return False
    rows, row_divisors = np.zeros(1, np.int64), np.ones(1)
    for table, factor in zip(tables[:-1], divisors, strict=False):
        owner, share = _owners(table, factor)
        joined = rows[:, None] * len(table) + owner
        rows = np.where((rows[:, None] < 0) | (owner < 0), -1, joined).reshape(-1)
        row_divisors = np.multiply.outer(row_divisors, share).reshape(-1)
    computed = np.float64 if gx.dtype == np.float64 else np.float32
    columns = tables[-1]
    arguments = (
        raw(gy).reshape(planes, -1),
        raw(gx).reshape(planes, -1),
        (rows, row_divisors.astype(computed)),
        (columns.columns, divisors[-1].astype(computed), columns.repeat or NO_REPEAT),
        (len(columns), columns.size, channels),
    )
    work = threads.vector_work(gx.size, gx.itemsize)
    threads.run(_expand(storage(gx.dtype)), arguments, planes * rows.size, work)
    return True


def _overlaps(table: Axis) -> bool:
    """Whether a window begins before the one before it has ended."""
    lo, count, _ = table.columns
    ends = lo + count
    if table.repeat:
        first, period, _, advance = table.repeat
        last = ends[first + period - 1] - advance
        if last > lo[first]:
            return True
    return bool((ends[:-1] > lo[1:]).any())


def _owners(table: Axis, factor: Integers) -> tuple[Integers, NDArray[np.float64]]:
    """The window that covers each element, -1 where there is none, and its divisor."""
    lo, count, _ = table.at(0, len(table))
    owner = np.full(table.size, -1)
    elements = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - lo, count)
    owner[elements] = np.repeat(np.arange(len(table)), count)
    return owner, table.spread(factor)[owner].astype(np.float64)


def _planes(geometry: Geometry) -> tuple[int, int]:
    """How many planes of consecutive pooled axes there are (-1 where they are not), and the channels."""
    first, last = geometry.axes[0], geometry.axes[-1]
    channels = math.prod(geometry.shape[last + 1 :])
    planes = math.prod(geometry.shape[:first])
    return (planes if geometry.axes == tuple(range(first, last + 1)) else -1), channels


@cache
def _scatter() -> Callable[..., None]:
    digest = jit.source_digest()

    def walk(gy, indices, gx, channels, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        for plane in range(first, last):
            row, where, out = gy[plane], indices[plane], gx[plane]
            for i in range(out.size):
                poke(out, i, 0)
            for o in range(row.size // channels):
                for c in range(o * channels, (o + 1) * channels):
                    place = np.int64(peek(where, c)) * channels + c - o * channels
                    poke(out, place, peek(out, place) + peek(row, c))

    return jit.kernel(walk, "scatter")


@cache
def _expand(stored: str) -> Callable[..., None]:
    read, write, digest = half.READ[stored], half.WRITE[stored], jit.source_digest()

    def walk(gy, gx, owners, columns, sizes, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        rows, row_divisors = owners
        table, divisors, (repeats, period, times, advance) = columns
        outputs, size, channels = sizes
        for task in range(first, last):
            plane, row = task // rows.size, task % rows.size
            out, owner = ahead(pointer(gx[plane]), row * size * channels), rows[row]
            if task > first and row > 0 and owner >= 0 and rows[row - 1] == owner:
                repeat(out, size * channels)
                continue
            source, end = ahead(pointer(gy[plane]), owner * outputs * channels), 0
            for output in range(outputs if owner >= 0 else 0):
                column, turns = output, 0
                if output >= repeats:
                    column, turns = repeated(output, repeats, period, times)
                begin = table[0, column] + turns * advance
                fill(ahead(out, end * channels), write(0), (begin - end) * channels)
                end, divisor = begin + table[1, column], divisors[column] * row_divisors[row]
                if channels == 1:
                    share = write(read(peek(source, output)) / divisor)
                    fill(ahead(out, begin), share, end - begin)
                else:
                    own = ahead(source, output * channels)
                    give(read, write, ahead(out, begin * channels), own, divisor, end - begin, channels)
            fill(ahead(out, end * channels), write(0), (size - end) * channels)

    return jit.kernel(walk, f"expand_{stored}")


def give(read, write, out, source, divisor, count, channels):
    """The shares of a window of channels to each of its elements."""
    apart()
    for i in range(count):
        for c in range(channels):
            poke(out, i * channels + c, write(read(peek(source, c)) / divisor))


def repeat(out, size):
    """The row before once more."""
    for j in range(size):
        poke(out, j, peek(out, j - size))


jit.register(__name__, forceinline=False)
