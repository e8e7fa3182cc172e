"""Results in another memory order than the input's: computed and turned slab by slab, in cache."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import reuse, threads, ways, windows
from ..windows import Geometry
from . import turn
from .memory import c_strides

Array = NDArray[Any]

SLAB = 1 << 20  # bytes of a slab's results
LEAST = 4  # slabs, of fewer the results are turned at once
RUN = 64  # bytes of the result's memory, at least, that are written one after the other


class Slab(NamedTuple):
    """How to reduce a slab of so many outputs, and how to turn the results."""

    plan: Any
    shape: tuple[int, ...]
    turn: turn.Plan


class Slabs(NamedTuple):
    """Plans for slabs along one axis, the last one perhaps lower; `order` is that of the input's memory."""

    order: tuple[int, ...]
    shape: tuple[int, ...]  # of the result, with every axis
    axis: int
    stride: int
    height: int
    usual: Slab
    last: Slab
    dtype: np.dtype[Any]
    work: int

    def run(self, x: Array, y: Array, places: Array | None) -> None:  # noqa: ARG002
        """As `plans.Plan.run`; there are no `places`."""
        threads.run(self.reduce, (x, y), self.tasks, self.work)

    @property
    def tasks(self) -> int:
        """One a slab."""
        return -(-self.shape[self.axis] // self.height)

    def way(self) -> ways.Way:
        """What it says of itself."""
        with threads.alone():
            part = self.usual.plan.way()
        why = "in the order of the input's memory; slabs of results are turned in cache"
        return ways.of_kernel("slabs", why, self.tasks, self.work, "slabs")._replace(
            scratch=part.scratch, parts=(part,)
        )

    def reduce(self, x: Array, y: Array, first: int, last: int) -> None:
        """Some of the slabs."""
        flat, outputs = y.reshape(-1), self.shape[self.axis]
        pitch = math.prod(self.shape[self.axis + 1 :])
        with threads.alone():
            results = reuse.result(self.usual.shape, self.dtype)
            for number in range(first, last):
                top, slab = number * self.height, self.usual
                if top + self.height > outputs:
                    slab = self.last
                    results = reuse.result(slab.shape, self.dtype)
                stop = min(outputs, top + self.height)
                piece = x[(slice(None),) * self.axis + (slice(top * self.stride, stop * self.stride),)]
                slab.plan.run(piece.transpose(self.order), results, None)
                slab.turn.run(flat, top * pitch, results.reshape(-1))


def plan(call: Any, planned: Callable[[Any], Any]) -> Slabs | None:
    """Slabs along the axis behind that along which the input is contiguous; None where that does not fit.

    The `call` is a `plans.Call` in the order of memory, and `planned` gives the plan of such a call.
    """
    x, target, order, geometry = call.x, call.target, call.order, call.geometry
    axis = order[-1] + 1
    if axis == x.ndim:
        return None
    own = order.index(axis)
    stride = _cell(geometry, own)
    outputs = geometry.output_shape[own]
    size = math.prod(geometry.output_shape) * target.itemsize
    height = max(1, SLAB * outputs // size, RUN // target.itemsize if axis == x.ndim - 1 else 1)
    if not stride or outputs < LEAST * height:
        return None
    back = tuple(np.argsort(order))
    whole = tuple(geometry.output_shape[n] for n in back)
    slabs = []
    for count in (height, outputs % height or height):
        shape = tuple(count * stride if n == own else length for n, length in enumerate(geometry.shape))
        tables = tuple(
            windows.sliding(count * stride, stride, stride, 0, 0) if n == own else table
            for n, table in zip(geometry.axes, geometry.tables, strict=True)
        )
        divisors = [  # cells are whole, and so all have one divisor
            np.full(table.columns.shape[1], factor[0]) if n == own else factor
            for n, table, factor in zip(geometry.axes, tables, call.divisors, strict=True)
        ]
        smaller = Geometry(shape, geometry.axes, tables)
        piece = x[(slice(None),) * axis + (slice(count * stride),)]
        found = planned(call._replace(x=piece, geometry=smaller, divisors=divisors))
        shape = smaller.output_shape
        strides = c_strides(shape)
        turned = turn.plan(tuple(shape[n] for n in back), tuple(strides[n] for n in back), c_strides(whole))
        if found is None or turned is None:
            return None
        slabs.append(Slab(found, shape, turned))
    usual, last = slabs
    return Slabs(order, whole, axis, stride, height, usual, last, target, x.size)


def _cell(geometry: Geometry, axis: int) -> int:
    """The stride of cells along an axis that they cover from its first element on; 0 where they do not."""
    if axis not in geometry.axes:
        return 1
    table = geometry.tables[geometry.axes.index(axis)]
    window, stride, before = table.regular or (0, 1, 0)
    cells = window == stride and before == 0 and table.step == 1 and len(table) * stride <= table.size
    return stride if cells else 0
