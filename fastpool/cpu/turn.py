"""Copies from one memory order to another, tile by tile, so that each cache line is read and written once."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import jit, threads
from .memory import ahead, apart, c_strides, flatten, offsets, peek, pointer, poke, raw, steps

Array = NDArray[Any]

TILE = (
    64  # elements along both axes; columns of memory a power of 2 apart would push each other out of a cache
)
PITCH = TILE + 8  # of a tile's rows in scratch memory


def gather(out, tile, x, rows, columns, out_pitch, pitch):
    """Read a tile along the input's memory, then write it along the output's."""
    apart()
    for i in range(rows):
        for j in range(columns):
            poke(tile, i * PITCH + j, peek(x, i * pitch + j))
    for j in range(columns):
        for i in range(rows):
            poke(out, j * out_pitch + i, peek(tile, i * PITCH + j))


@cache
def _kernel() -> Callable[..., None]:
    digest = jit.source_digest()

    def walk(arrays, outer, sizes, pitches, scratch, first, last):
        _ = digest  # captured, and so part of the cache key
        x, y, tile = pointer(arrays[0]), pointer(arrays[1]), pointer(scratch)
        rows, columns = sizes
        pitch, out_pitch = pitches
        stripes = -(-columns // TILE)
        for task in range(first, last):
            unit, left = task // stripes, task % stripes * TILE
            source, target = ahead(x, outer[0, unit] + left), ahead(y, outer[1, unit] + left * out_pitch)
            width = min(TILE, columns - left)
            for top in range(0, rows, TILE):
                height = min(TILE, rows - top)
                into = ahead(target, top)
                gather(into, tile, ahead(source, top * pitch), height, width, out_pitch, pitch)

    return jit.kernel(walk, "turn")


jit.register(__name__, forceinline=False)


def copy(into: Array, x: Array) -> None:
    """Copy `x` into an array of its shape and dtype; fast where both are contiguous in some order."""
    strides = steps(x)
    near = next((axis for axis in range(x.ndim) if strides[axis] == 1 and x.shape[axis] > 1), x.ndim - 1)
    last = into.ndim - 1
    if near == last or not into.flags.carray or min(strides) < 0 or x.size < TILE * TILE:
        into[...] = x
        return
    out_strides = c_strides(into.shape)
    outer = offsets(x.shape, (strides, out_strides), [a for a in range(x.ndim) if a not in (near, last)])
    flat, origin = flatten(raw(x))
    outer[0] += origin
    sizes, pitches = (x.shape[last], x.shape[near]), (strides[last], out_strides[near])
    arrays = (flat, raw(into).reshape(-1))
    tasks = outer.shape[1] * -(-x.shape[near] // TILE)
    tile = np.empty(TILE * PITCH, flat.dtype)
    threads.run(_kernel(), (arrays, outer, sizes, pitches), tasks, x.size, lambda: (np.empty_like(tile),))
