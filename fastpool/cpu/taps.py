"""Backward of small regular windows: each tap of the window is a pass over a block of gradients.

Tap ``t`` of window ``o`` is element ``o * stride - before + t * step``; at a stride, elements a stride apart
are a phase, and in its phase that element is at ``o`` and a shift that depends on the tap alone. So a tap's
gradients are one line of the gradient, shifted and added to a line of their phase, and phases are woven into
rows at the end. Additions go in the order of the windows: the bits depend neither on threads nor on blocks.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import jit, reuse, threads
from ..windows import Axis, Geometry, Integers
from . import half
from .memory import ahead, apart, peek, pointer, poke, raw, storage

Array = NDArray[Any]

TAPS = 25  # largest window
BLOCK = 8_000  # elements of a block of gradients' phases
POOLED = (
    20_000  # elements, from which shares at stride 1 are pooled by `lines`: a pass an axis, not one a tap
)


class Taps(NamedTuple):
    """Along one axis, the phase and the shift of every tap."""

    size: int
    outputs: int
    stride: int
    phases: Integers
    shifts: Integers

    @classmethod
    def of(cls, table: Axis) -> "Taps":
        """Those of a regular axis."""
        window, stride, before = table.regular or (1, 1, 0)
        at = np.arange(window) * table.step - before
        return cls(table.size, len(table), stride, at % stride, at // stride)

    def cells(self) -> bool:
        """Whether every element is in one window."""
        regular = self.phases.size == self.stride and not self.shifts.any()
        return bool(regular and self.size == self.outputs * self.stride)


class Plan(NamedTuple):
    """A kernel and its arguments but for the arrays of a call."""

    kernel: Callable[..., None]
    tables: tuple[Any, ...]
    sizes: tuple[int, int]
    computed: np.dtype[Any]
    tasks: int

    def run(self, gy: Array, taps: Array, gx: Array) -> None:
        """Add each gradient to the element that its tap names, or its shares to all; all C-contiguous."""
        arrays = raw(gy).ravel(), taps.ravel(), raw(gx).ravel()
        threads.run(self.kernel, (arrays, *self.tables), self.tasks, gx.size, self.scratch)

    def scratch(self) -> tuple[Array, ...]:
        """Lines of the phases, and of shares."""
        return tuple(reuse.empty((size,), self.computed) for size in self.sizes)


def plan(geometry: Geometry, divisors: Sequence[Integers] | None, dtype: np.dtype[Any]) -> Plan | None:
    """How to send gradients of a dtype to taps, or with `divisors` to share them among all elements.

    `geometry` is the forward one. None where windows are large, or not regular.
    """
    axes = [table.regular for table in geometry.tables]
    first, last = geometry.axes[0], geometry.axes[-1]
    consecutive = geometry.axes == tuple(range(first, last + 1))
    if len(axes) > 2 or not consecutive or None in axes or math.prod(axis[0] for axis in axes if axis) > TAPS:
        return None
    steps = [table.step * axis[1] for table, axis in zip(geometry.tables, axes, strict=True) if axis]
    if divisors and math.prod(steps) == 1 and math.prod(geometry.shape) >= POOLED:
        return None
    channels, planes = math.prod(geometry.shape[last + 1 :]), math.prod(geometry.shape[:first])
    row, column = Taps.of(geometry.tables[0]), Taps.of(geometry.tables[-1])
    if len(axes) == 1:
        row = Taps(1, 1, 1, np.zeros(1, np.int64), np.zeros(1, np.int64))
    left = max(0, -int(column.shifts.min())) if divisors else 0
    reach = max(0, int(column.shifts.max())) if divisors else 0
    pitch = left + max(column.outputs + reach, -(-column.size // column.stride))
    rows = -(-row.size // row.stride)
    height = max(1, min(rows, BLOCK // (row.stride * column.stride * pitch * channels)))
    margin = (left + int(np.abs(column.shifts).max())) * channels
    blocks, cells = -(-rows // height), row.cells() and column.cells()
    numbers = np.array([*row[:3], *column[:3], channels, pitch, left, height, margin, blocks, cells])
    computed = np.dtype(np.float64 if dtype == np.float64 else np.float32)
    down, across = np.ones((2, 1), computed)
    if divisors:
        down = divisors[0].astype(computed) if len(axes) == 2 else down
        across = np.repeat(divisors[-1], channels).astype(computed)
    tables = (row.phases, row.shifts, column.phases, column.shifts), numbers, (down, across)
    phases = row.stride * column.stride * (height * pitch * channels + 2 * margin)
    shares = (height + int(np.ptp(row.shifts))) * pitch * channels if divisors else 0
    kernel = _kernel(divisors is not None, storage(dtype))
    return Plan(kernel, tables, (phases, shares), computed, planes * blocks)


# Passes --------------------------------------------------------------------------------------------------


def clear(acc, count):
    """Zeros."""
    for j in range(count):
        poke(acc, j, 0)


def add_chosen(read, acc, g, taps, tap, zero, once, count, repeat, pitch):
    """The gradients of the windows that chose a tap; alone where each element has one window, `once`."""
    apart()
    for r in range(repeat):
        for j in range(count):
            gradient = read(peek(g, r * count + j))
            own = gradient if peek(taps, r * count + j) == tap else zero
            poke(acc, r * pitch + j, own if once else peek(acc, r * pitch + j) + own)


def add_shares(acc, shares, count):
    """The shares of one tap."""
    apart()
    for j in range(count):
        poke(acc, j, peek(acc, j) + peek(shares, j))


def divide(read, shares, g, down, across, count, repeat, pitch):
    """Shares of the windows in rows that are longer by zeros."""
    apart()
    for r in range(repeat):
        scale = peek(down, r)
        for j in range(count):
            poke(shares, r * pitch + j, read(peek(g, r * count + j)) / (peek(across, j) * scale))
        for j in range(count, pitch):
            poke(shares, r * pitch + j, 0)


def weave(write, out, acc, apart_by, stride, size, channels):
    """A row out of the lines of its phases."""
    apart()
    if channels > 1:
        for i in range(size):
            line, at = ahead(acc, i % stride * apart_by), i // stride * channels
            for c in range(channels):
                poke(out, i * channels + c, write(peek(line, at + c)))
    elif stride == 1:
        for i in range(size):
            poke(out, i, write(peek(acc, i)))
    elif stride == 2:
        for i in range(size // 2):
            poke(out, 2 * i, write(peek(acc, i)))
            poke(out, 2 * i + 1, write(peek(acc, apart_by + i)))
        if size % 2:
            poke(out, size - 1, write(peek(acc, size // 2)))
    else:
        for i in range(size):
            poke(out, i, write(peek(acc, i % stride * apart_by + i // stride)))


@cache
def _kernel(shared: bool, stored: str) -> Callable[..., None]:
    read, write, digest = half.READ[stored], half.WRITE[stored], jit.source_digest()

    def walk(arrays, tables, numbers, scales, lines, buffer, first, last):
        _ = digest  # captured, and so part of the cache key
        gy_all, taps_all, gx_all = arrays
        row_phases, row_shifts, phases, shifts = tables
        size, outputs, stride = numbers[0], numbers[1], numbers[2]
        across, windows, step, channels = numbers[3], numbers[4], numbers[5], numbers[6]
        pitch, left, height, margin, blocks = numbers[7], numbers[8], numbers[9], numbers[10], numbers[11]
        cells = numbers[12] != 0
        width, length = windows * channels, pitch * channels
        plane_of = height * length + 2 * margin
        low, high = row_shifts.min(), row_shifts.max()
        acc_all, shares, zero = pointer(lines), pointer(buffer), lines.dtype.type(0)
        for task in range(first, last):
            plane, top = task // blocks, task % blocks * height
            bottom = min(top + height, -(-size // stride))
            if not cells:
                clear(acc_all, lines.size)
            begin, end = max(0, top - high), min(outputs, bottom - low)
            g_all = ahead(pointer(gy_all), plane * outputs * width)
            if shared and begin < end:
                g, down = ahead(g_all, begin * width), ahead(pointer(scales[0]), begin)
                divide(read, shares, g, down, pointer(scales[1]), width, end - begin, length)
            for r in range(-1 if shared and cells else row_shifts.size - 1, -1, -1):
                start, stop = max(0, top - row_shifts[r]), min(outputs, bottom - row_shifts[r])
                if start >= stop:
                    continue
                for c in range(shifts.size - 1, -1, -1):
                    phase = row_phases[r] * step + phases[c]
                    at = (start + row_shifts[r] - top) * length + (left + shifts[c]) * channels
                    acc = ahead(acc_all, phase * plane_of + margin + at)
                    if shared:
                        add_shares(acc, ahead(shares, (start - begin) * length), (stop - start) * length)
                    else:
                        g, tap = ahead(g_all, start * width), np.uint8(r * shifts.size + c)
                        taps = ahead(pointer(taps_all), (plane * outputs + start) * width)
                        count, repeat = (stop - start) * width, 1
                        if width != length:
                            count, repeat = width, stop - start
                        add_chosen(read, acc, g, taps, tap, zero, cells, count, repeat, length)
            for i in range(top * stride, min(size, bottom * stride)):
                out, line = ahead(pointer(gx_all), (plane * size + i) * across * channels), i // stride - top
                if shared and cells:  # every phase is the line of shares itself
                    weave(write, out, ahead(shares, line * length), 0, step, across, channels)
                    continue
                acc = ahead(acc_all, i % stride * step * plane_of + margin + line * length + left * channels)
                weave(write, out, acc, plane_of, step, across, channels)

    form = "share_taps" if shared else "send_taps"
    return jit.kernel(walk, f"{form}_{stored}")


jit.register(half)
jit.register(__name__, forceinline=False)
