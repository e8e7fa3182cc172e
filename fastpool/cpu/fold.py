"""The general skeleton: any operator over any table of intervals, forward and backward.

Forward reads the input and writes outputs; backward reads the gradient and writes the input's gradient over
the inverse tables. Both are one loop nest over flat arrays, so that any number of pooled axes, any strides
and any layout take the same compiled kernel: one for each operator and dtype.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import jit, operators, threads
from ..operators import GATHER, Expression, Fold
from ..windows import Geometry, Integers
from . import half
from .memory import c_strides, flatten, offsets, raw, steps, storage

jit.register(operators)
jit.register(half)

Array = NDArray[Any]
NOWHERE = np.empty(0, np.int32)

SEGMENT = 1024  # outputs along the last pooled axis that one task computes


class Plan(NamedTuple):
    """A kernel and its arguments but for the arrays of a call."""

    walk: Callable[..., None]
    outer: Integers
    tables: tuple[Any, ...]
    tasks: int
    work: int

    def run(self, x: Array, y: Array, second: Array | None = None) -> None:
        """Reduce every window of `x` into `y`, and the second results into `second`; both C-contiguous."""
        flat, origin = flatten(raw(x))
        extra = NOWHERE if second is None else second.ravel()
        arrays = flat, raw(y).ravel(), extra
        outer = self.outer + np.array([[origin], [0]]) if origin else self.outer
        threads.run(self.walk, (arrays, outer, *self.tables), self.tasks, self.work)

    def gather(self, gy: Array, x: Array, first: Array, second: Array, gx: Array) -> None:
        """Sum into each `gx` what its windows send; every array C-contiguous."""
        own, saved = raw(x).reshape(-1), (first.reshape(-1), second.reshape(-1))
        arrays = flatten(raw(gy))[0], raw(gx).reshape(-1), NOWHERE, own, *saved
        threads.run(self.walk, (arrays, self.outer, *self.tables), self.tasks, self.work)


def plan(
    name: str,
    operator: Fold,
    x: Array,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
) -> Plan:
    """How to reduce the windows of arrays like `x` to results of the dtype `target`."""
    walk = _walk(name, operator, None, storage(x.dtype), storage(target))
    return _plan(walk, steps(x), geometry, divisors, params)


def reduce(
    name: str,
    operator: Fold,
    x: Array,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    y: Array,
    second: Array | None = None,
) -> None:
    """Reduce every window of `x` into `y`, and the second results into `second`; both C-contiguous."""
    plan(name, operator, x, geometry, divisors, params, y.dtype).run(x, y, second)


def gather(
    name: str,
    pull: Expression,
    gy: Array,
    x: Array,
    first: Array,
    second: Array,
    geometry: Geometry,
    params: NDArray[np.float64],
    gx: Array,
) -> None:
    """Sum into each `gx` what `pull` sends from the windows that cover it; every array C-contiguous.

    `geometry` is the inverse one. `first` and `second` have the shape of `gy`, `x` that of `gx`.
    """
    walk = _walk(name, GATHER, pull, storage(gy.dtype), storage(gx.dtype))
    counts = [table.count for table in geometry.tables]
    _plan(walk, steps(gy), geometry, counts, params).gather(gy, x, first, second, gx)


@cache
def _walk(
    name: str, operator: Fold, pull: Expression | None, source: str, target: str
) -> Callable[..., None]:
    """The loop nest for one operator; `pull` makes it the backward one, `source`, `target` name dtypes."""
    start, lift, combine, finish, second = operator
    read, write, send = half.READ[source], half.WRITE[target], pull or lift
    backward = pull is not None
    mine, one, two = (3, 4, 5) if backward else (0, 0, 0)  # where arrays are that only backward reads
    digest = jit.source_digest()

    def walk(arrays, outer, table, axes, inner, params, segments, first, last):
        _ = digest  # captured, and so part of the cache key
        values, out, extra = arrays[0], arrays[1], arrays[2]
        local, saved, scale = arrays[mine], arrays[one], arrays[two]
        rank = axes.shape[0]
        length, begin = axes[rank - 1, 0], axes[rank - 1, 1]
        stride, place_stride, out_stride = axes[rank - 1, 2], axes[rank - 1, 3], axes[rank - 1, 4]
        step, place_step = axes[rank - 1, 5], axes[rank - 1, 6]
        counts = np.empty(rank, np.int64)
        for task in range(first, last):
            segment, rest = task % segments, task // segments
            base, place0, here0, own0, divisor0, rows = 0, 0, 0, 0, 1, 1
            for axis in range(rank - 2, -1, -1):
                output, rest = rest % axes[axis, 0], rest // axes[axis, 0]
                column = axes[axis, 1] + output
                base += table[0, column] * axes[axis, 2]
                place0 += table[0, column] * axes[axis, 3]
                here0 += output * axes[axis, 4]
                own0 += output * axes[axis, 7]
                counts[axis] = table[1, column]
                rows *= table[1, column]
                divisor0 *= table[2, column]
            base += outer[0, rest]
            here0 += outer[1, rest]
            for output in range(segment * SEGMENT, min((segment + 1) * SEGMENT, length)):
                lo, count = table[0, begin + output], table[1, begin + output]
                divisor = divisor0 * table[2, begin + output]
                for column in range(inner.shape[1]):
                    corner = base + lo * stride + inner[0, column]
                    place = place0 + lo * place_stride
                    here = here0 + output * out_stride + inner[1, column]
                    acc = start(read(values[corner]), place, params)
                    for row in range(rows):
                        tap, position, rest_row = corner, place, row
                        for axis in range(rank - 2, -1, -1):
                            i = rest_row if axis == 0 else rest_row % counts[axis]
                            rest_row = 0 if axis == 0 else rest_row // counts[axis]
                            tap += i * axes[axis, 5]
                            position += i * axes[axis, 6]
                        for _ in range(count):
                            value = read(values[tap])
                            if backward:
                                own = own0 + output
                                value = send(value, read(local[here]), own, saved[tap], scale[tap], params)
                            acc = combine(acc, lift(value, position, here, params), params)
                            tap += step
                            position += place_step
                    out[here] = write(finish(acc, divisor, params))
                    if extra.size:
                        extra[here] = second(acc, divisor, params)

    direction = "pull" if backward else "fold"
    return jit.kernel(walk, f"{direction}_{name}_{source}_{target}")


def _plan(
    walk: Callable[..., None],
    strides: tuple[int, ...],
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
) -> Plan:
    pooled = geometry.axes
    out_shape = geometry.output_shape
    out_strides = c_strides(out_shape)
    outer_axes = [axis for axis in range(pooled[-1]) if axis not in pooled]
    inner_axes = range(pooled[-1] + 1, len(out_shape))
    outer = offsets(out_shape, (strides, out_strides), outer_axes)
    inner = offsets(out_shape, (strides, out_strides), inner_axes)
    place_strides = c_strides(geometry.plane)
    own_strides = c_strides([out_shape[axis] for axis in pooled])
    table = np.concatenate(
        [(t.lo, t.count, divisor) for t, divisor in zip(geometry.tables, divisors, strict=True)], axis=1
    )
    begin = np.cumsum([0, *map(len, geometry.tables)])
    axes = np.array(
        [
            (
                len(t),
                begin[number],
                strides[axis],
                place_strides[number],
                out_strides[axis],
                strides[axis] * t.step,
                place_strides[number] * t.step,
                own_strides[number],
            )
            for number, (axis, t) in enumerate(zip(pooled, geometry.tables, strict=True))
        ],
        np.int64,
    )
    lengths = [len(t) for t in geometry.tables]
    segments = -(-lengths[-1] // SEGMENT)
    tasks = outer.shape[1] * math.prod(lengths[:-1]) * segments
    taps = [int(t.count.sum()) for t in geometry.tables]
    work = outer.shape[1] * inner.shape[1] * math.prod(taps)
    return Plan(walk, outer, (table, axes, inner, params, segments), tasks, work)
