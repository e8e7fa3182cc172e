"""Copies from one memory order to another, tile by tile, so that each cache line is read and written once."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import jit, threads
from ..windows import Geometry, Integers
from .memory import (
    ahead,
    apart,
    c_strides,
    flatten,
    offsets,
    peek,
    pointer,
    poke,
    raw,
    side,
    steps,
    turn_square,
    wide_registers,
)

Array = NDArray[Any]

ACROSS = 64  # bytes along which the input is read
RUN = 1_024  # bytes of the output that are written at once: 4 times as fast as 64 that are a power of 2 apart
LEAST = 4_096  # elements of arrays that are turned by tiles
PAD = 16  # elements behind a run, since rows a power of 2 apart would push each other out of a cache


def turn(turned, x, places, rows, columns, pitch):
    """Columns of rows that begin at the places, square by square; the last ones twice rather than in part."""
    size = side(x)
    if rows < size or columns < size:
        for j in range(columns):
            for i in range(rows):
                poke(turned, j * pitch + i, peek(x, peek(places, i) + j))
        return
    for top in range(0, rows, size):
        i = min(top, rows - size)
        for left in range(0, columns, size):
            j = min(left, columns - size)
            turn_square(ahead(turned, j * pitch + i), ahead(x, j), ahead(places, i), pitch)


def give(out, turned, rows, columns, out_pitch, pitch):
    """Write them along the output's memory."""
    apart()
    for j in range(columns):
        for i in range(rows):
            poke(out, j * out_pitch + i, peek(turned, j * pitch + i))


@cache
def _kernel(itemsize: int) -> Callable[..., None]:
    """Copies of planes whose rows become columns: a task is a stripe of `ACROSS` bytes of each row.

    Two passes copy a tile, which is `RUN` bytes of the output long. The first reads each element of the input
    and writes it to a buffer, square by square. The second reads the buffer and writes each element of the
    output once. The last squares of a tile may overlap others, whose elements are then copied to the buffer
    twice.
    """
    digest = jit.source_digest()
    across, run = ACROSS // itemsize, RUN // itemsize

    def walk(arrays, outer, places, numbers, scratch, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        columns, out_pitch, x_at, y_at = numbers
        x, y, turned = ahead(pointer(arrays[0]), x_at), ahead(pointer(arrays[1]), y_at), pointer(scratch)
        rows, stripes = places.size, -(-columns // across)
        for task in range(first, last):
            unit, left = task // stripes, task % stripes * across
            source, target = ahead(x, outer[0, unit] + left), ahead(y, outer[1, unit] + left * out_pitch)
            width = min(across, columns - left)
            for top in range(0, rows, run):
                height = min(run, rows - top)
                turn(turned, source, ahead(pointer(places), top), height, width, run + PAD)
                give(ahead(target, top), turned, height, width, out_pitch, run + PAD)

    return jit.kernel(walk, f"turn_{itemsize}")


jit.register(__name__, forceinline=False)


class Plan(NamedTuple):
    """Where rows of tiles are in arrays of one shape and strides, and how far apart columns are written."""

    outer: Integers
    places: Integers
    columns: int
    pitch: int

    def run(self, into: Array, to: int, x: Array, at: int = 0) -> None:
        """Copy flat memory, from elements `to` and `at` on."""
        across, run, dtype = ACROSS // x.itemsize, RUN // x.itemsize, raw(x).dtype
        arguments = ((raw(x), raw(into)), self.outer, self.places, (self.columns, self.pitch, at, to))
        tasks = self.outer.shape[1] * -(-self.columns // across)
        work = self.outer.shape[1] * self.places.size * self.columns
        size = across * (run + PAD)
        threads.run(_kernel(x.itemsize), arguments, tasks, work, lambda: (np.empty(size, dtype),))


def plan(shape: tuple[int, ...], strides: tuple[int, ...], into: tuple[int, ...]) -> Plan | None:
    """How to copy between arrays of the given strides, in elements; None where it is not worth a plan.

    The input is contiguous along one axis, the output along those behind that.
    """
    near = next((axis for axis, n in enumerate(shape) if strides[axis] == 1 and n > 1), len(shape) - 1)
    behind = c_strides(shape[near + 1 :]) if near + 1 < len(shape) else ()
    if not behind or into[near + 1 :] != behind or min(strides) < 0 or math.prod(shape) < LEAST:
        return None
    outer = offsets(shape, (strides, into), range(near))
    places = offsets(shape, (strides,), range(near + 1, len(shape)))[0]  # of what follows in the output
    return Plan(outer, places, shape[near], into[near])


def copy(into: Array, x: Array) -> None:
    """Copy `x` into an array of its shape and dtype; fast where both are contiguous in some order."""
    found = plan(x.shape, steps(x), c_strides(into.shape)) if into.flags.carray else None
    if found is None:
        into[...] = x
        return
    flat, origin = flatten(x)
    found.run(into.reshape(-1), 0, flat, origin)


def memory_order(x: Array) -> tuple[int, ...]:
    """The order of the axes in which the array is C-contiguous; empty where it is that anyway, or nowhere."""
    order = tuple(sorted(range(x.ndim), key=lambda axis: (-x.strides[axis], axis)))
    return order if not x.flags.c_contiguous and x.transpose(order).flags.c_contiguous else ()


def reordered(geometry: Geometry, order: tuple[int, ...]) -> Geometry:
    """The same windows over the axes in an order; an empty one leaves them as they are."""
    if not order:
        return geometry
    pairs = zip(geometry.axes, geometry.tables, strict=True)
    found = sorted(((order.index(axis), table) for axis, table in pairs), key=lambda pair: pair[0])
    axes, tables = zip(*found, strict=True)
    return Geometry(tuple(geometry.shape[axis] for axis in order), axes, tables)
