"""Which elements windows chose, as indices: kernels write taps, and here these become places in the plane.

A tap numbers the elements of a window in row-major order. A kernel writes the taps of a task where its
indices belong, and calls `to_indices` while they are still in cache.
"""

from typing import Any, NamedTuple

import numpy as np

from .. import jit
from .memory import ahead, apart, fields, peek, poke

SHIFT = np.int32(16)  # tap // window is tap * factor >> SHIFT, for taps and windows below 2 ** (SHIFT / 2)


class Places(NamedTuple):
    """How taps become places in a plane."""

    factor: int  # by which taps are divided into the rows of their window
    row: int  # places from the last element of a window's row to the first of its next, and from a column
    column: int
    down: int  # from a row of windows to the next, and from a window to the next along a row
    across: int
    first: int  # the place of the first window, which may begin in the padding
    high: int  # rows of windows of a plane; planes of cells are taken as one


read_places = fields(Places)


def places_of(shape: Any) -> Places:
    """The numbers of windows of one slab."""
    row, columns = shape.row, shape.columns
    return Places(
        factor=(1 << SHIFT) // columns.window + 1,
        row=row.step * row.place - columns.window * columns.step * columns.place,
        column=columns.step * columns.place,
        down=row.stride * row.place,
        across=columns.stride * columns.place,
        first=-row.before * row.place - columns.before * columns.place,
        high=len(shape.tables[-2]) if len(shape.tables) > 1 else 1,
    )


def leave(numbers, at, taps, top, rows, left, columns, channels, pitch):
    """Taps are wanted, or nothing."""


def to_indices(numbers, at, taps, top, rows, left, columns, channels, pitch):
    """The taps of a block of windows, from a row and a column on; `pitch` from a row to the next."""
    p = read_places(numbers, at)
    for r in range(rows):
        corner = p.first + (top + r) % p.high * p.down + left * p.across
        in_row(p, corner, ahead(taps, r * pitch), columns * channels, np.float32(1 / channels))


def in_row(p, corner, taps, count, columns):
    """Those along a row; an element is in column ``floor((j + 1/2) columns)``, a fraction of its number."""
    apart()
    factor, column, down, across = np.int32(p.factor), np.int32(p.column), np.int32(p.row), np.int32(p.across)
    begin = np.int32(corner)
    for j in range(count):
        tap = peek(taps, j)
        row = np.int32(np.int32(tap * factor) >> SHIFT)
        within = np.int32(np.int32(tap * column) + np.int32(row * down))
        at = np.int32((np.float32(np.int32(j)) + np.float32(0.5)) * columns)
        poke(taps, j, np.int32(np.int32(begin + np.int32(at * across)) + within))


TOLD = {"": leave, "taps": leave, "places": to_indices}

jit.register(__name__, forceinline=False)
