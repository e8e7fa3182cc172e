"""Copies from one memory order to another, tile by tile, so that each cache line is read and written once."""

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import jit, threads
from .memory import ahead, apart, c_strides, flatten, offsets, peek, peek_8, pointer, poke, poke_8, raw, steps

Array = NDArray[Any]

TILE = 64  # rows of a tile; rows of memory a power of 2 apart would push each other out of a cache
ACROSS = 256  # and columns, along which the input is read
PITCH = ACROSS + 8  # of a tile's rows in scratch memory

# Distances in bits, and which bits are exchanged at each.
HALF, HALVES = np.uint64(32), np.uint64(0x00000000FFFFFFFF)
QUARTER, QUARTERS = np.uint64(16), np.uint64(0x0000FFFF0000FFFF)
EIGHTH, EIGHTHS = np.uint64(8), np.uint64(0x00FF00FF00FF00FF)


def take(tile, x, places, rows, columns):
    """Read a tile along the input's memory, whose rows begin at the places."""
    apart()
    for i in range(rows):
        at = peek(places, i)
        for j in range(columns):
            poke(tile, i * PITCH + j, peek(x, at + j))


def give(out, tile, rows, columns, out_pitch):
    """Write it along the output's."""
    apart()
    for j in range(columns):
        for i in range(rows):
            poke(out, j * out_pitch + i, peek(tile, i * PITCH + j))


def exchange(a, b, shift, mask):
    """Exchange those bits of `b` that the mask names with those of `a` that are `shift` further."""
    differ = ((a >> shift) ^ b) & mask
    return a ^ (differ << shift), b ^ differ


def give_bytes(out, tile, rows, columns, out_pitch):
    """As `give`, of bytes: eight rows of eight turn in registers, by halves, quarters and single bytes."""
    apart()
    high, wide = rows - rows % 8, columns - columns % 8
    for j in range(0, wide, 8):
        for i in range(0, high, 8):
            at, to = i * PITCH + j, j * out_pitch + i
            a, b, c, d = (
                peek_8(tile, at),
                peek_8(tile, at + PITCH),
                peek_8(tile, at + 2 * PITCH),
                peek_8(tile, at + 3 * PITCH),
            )
            at += 4 * PITCH
            e, f, g, h = (
                peek_8(tile, at),
                peek_8(tile, at + PITCH),
                peek_8(tile, at + 2 * PITCH),
                peek_8(tile, at + 3 * PITCH),
            )
            a, e = exchange(a, e, HALF, HALVES)
            b, f = exchange(b, f, HALF, HALVES)
            c, g = exchange(c, g, HALF, HALVES)
            d, h = exchange(d, h, HALF, HALVES)
            a, c = exchange(a, c, QUARTER, QUARTERS)
            b, d = exchange(b, d, QUARTER, QUARTERS)
            e, g = exchange(e, g, QUARTER, QUARTERS)
            f, h = exchange(f, h, QUARTER, QUARTERS)
            a, b = exchange(a, b, EIGHTH, EIGHTHS)
            c, d = exchange(c, d, EIGHTH, EIGHTHS)
            e, f = exchange(e, f, EIGHTH, EIGHTHS)
            g, h = exchange(g, h, EIGHTH, EIGHTHS)
            poke_8(out, to, a)
            poke_8(out, to + out_pitch, b)
            poke_8(out, to + 2 * out_pitch, c)
            poke_8(out, to + 3 * out_pitch, d)
            to += 4 * out_pitch
            poke_8(out, to, e)
            poke_8(out, to + out_pitch, f)
            poke_8(out, to + 2 * out_pitch, g)
            poke_8(out, to + 3 * out_pitch, h)
    for j in range(columns):
        for i in range(high if j < wide else 0, rows):
            poke(out, j * out_pitch + i, peek(tile, i * PITCH + j))


@cache
def _kernel(single: bool) -> Callable[..., None]:
    digest, gives = jit.source_digest(), give_bytes if single else give

    def walk(arrays, outer, places, columns, scratch, first, last):
        _ = digest  # captured, and so part of the cache key
        x, y, tile = pointer(arrays[0]), pointer(arrays[1]), pointer(scratch)
        rows = places.size
        stripes = -(-columns // ACROSS)
        for task in range(first, last):
            unit, left = task // stripes, task % stripes * ACROSS
            source, target = ahead(x, outer[0, unit] + left), ahead(y, outer[1, unit] + left * rows)
            width = min(ACROSS, columns - left)
            for top in range(0, rows, TILE):
                height = min(TILE, rows - top)
                take(tile, source, ahead(pointer(places), top), height, width)
                gives(ahead(target, top), tile, height, width, rows)

    return jit.kernel(walk, "turn_bytes" if single else "turn")


jit.register(__name__, forceinline=False)


def copy(into: Array, x: Array) -> None:
    """Copy `x` into an array of its shape and dtype; fast where both are contiguous in some order."""
    strides = steps(x)
    near = next((axis for axis in range(x.ndim) if strides[axis] == 1 and x.shape[axis] > 1), x.ndim - 1)
    last = into.ndim - 1
    if near == last or not into.flags.carray or min(strides) < 0 or x.size < TILE * TILE:
        into[...] = x
        return
    outer = offsets(x.shape, (strides, c_strides(into.shape)), range(near))
    places = offsets(x.shape, (strides,), range(near + 1, x.ndim))[0]  # of what follows in the output
    flat, origin = flatten(raw(x))
    outer[0] += origin
    arrays = (flat, raw(into).reshape(-1))
    tasks = outer.shape[1] * -(-x.shape[near] // ACROSS)
    tile = np.empty(TILE * PITCH, flat.dtype)
    kernel = _kernel(flat.itemsize == 1 and sys.byteorder == "little")
    arguments = (arrays, outer, places, x.shape[near])
    threads.run(kernel, arguments, tasks, x.size, lambda: (np.empty_like(tile),))
