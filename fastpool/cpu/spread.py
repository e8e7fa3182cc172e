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
from ..windows import Geometry, Integers
from . import half
from .memory import peek, poke, raw, storage, wide_registers

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
    inverses = geometry.inverse().tables
    planes, channels = _planes(geometry)
    if planes < 0 or any(table.most > 1 for table in inverses):
        return False
    owners = [np.where(count > 0, lo, -1) for lo, count, _ in (table.at(0, len(table)) for table in inverses)]
    shares = [
        table.spread(factor)[owner].astype(np.float64)
        for table, factor, owner in zip(geometry.tables, divisors, owners, strict=True)
    ]
    rows, row_divisors = np.zeros(1, np.int64), np.ones(1)
    for table, owner, share in zip(geometry.tables[:-1], owners, shares, strict=False):
        joined = rows[:, None] * len(table) + owner
        rows = np.where((rows[:, None] < 0) | (owner < 0), -1, joined).reshape(-1)
        row_divisors = np.multiply.outer(row_divisors, share).reshape(-1)
    computed = np.float64 if gx.dtype == np.float64 else np.float32
    arguments = (
        raw(gy).reshape(planes, -1),
        raw(gx).reshape(planes, -1),
        (rows, owners[-1]),
        (row_divisors.astype(computed), shares[-1].astype(computed)),
        len(geometry.tables[-1]) * channels,
        channels,
    )
    work = threads.vector_work(gx.size, gx.itemsize)
    threads.run(_expand(storage(gx.dtype)), arguments, planes * rows.size, work)
    return True


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

    def walk(gy, gx, owners, divisors, pitch, channels, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        rows, columns = owners
        row_divisors, column_divisors = divisors
        width = columns.size * channels
        for task in range(first, last):
            plane, row = task // rows.size, task % rows.size
            source, out, at = gy[plane], gx[plane], row * width
            owner = rows[row]
            if owner < 0:
                for j in range(width):
                    poke(out, at + j, write(0))
            elif row > 0 and task > first and rows[row - 1] == owner:
                for j in range(width):
                    poke(out, at + j, peek(out, at - width + j))
            else:
                for column in range(columns.size):
                    from_, divisor = owner * pitch + columns[column] * channels, column_divisors[column]
                    if columns[column] < 0:
                        for c in range(channels):
                            poke(out, at + column * channels + c, write(0))
                    else:
                        for c in range(channels):
                            share = read(peek(source, from_ + c)) / (divisor * row_divisors[row])
                            poke(out, at + column * channels + c, write(share))

    return jit.kernel(walk, f"expand_{stored}")
