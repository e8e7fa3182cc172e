"""Backward of small regular windows.

Tap ``t`` of window ``o`` is element ``o * stride - before + t * step``; at a stride, elements a stride apart
are a phase, and in its phase that element is at ``o`` and a shift that depends on the tap alone. So what a
tap sends is one line of the gradient, shifted, and a line of a phase is the sum of some of them. Gradients
that one element takes are gathered, all taps of an element in registers; shares of all are added tap by tap.
Phases are woven into rows at the end. Additions go in the order of the windows: the bits depend neither on
threads nor on blocks.
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
from .memory import (
    GATHERED,
    ahead,
    apart,
    choose,
    gather_1,
    gather_2,
    peek,
    pointer,
    poke,
    raw,
    storage,
    wide_registers,
)

Array = NDArray[Any]

TAPS = 25  # largest window
NONE = np.uint8(255)  # no tap
NO_TAPS = np.empty(0, np.uint8)
PIECE = 65_536  # elements of a piece of a row that is longer than two
LINES = 1_000_000  # elements of the lines of all phases
BLOCK = 1_000  # elements of a block of phases: of larger ones rows are not written one after the other
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
        return cls.between(table, 0, table.size)[0]

    @classmethod
    def between(cls, table: Axis, first: int, last: int) -> "tuple[Taps, int]":
        """Those of a range of its elements, and the first of the windows that cover them."""
        window, stride, before = table.regular or (1, 1, 0)
        begin = max(0, -(((window - 1) * table.step - first - before) // stride))
        end = max(begin, min(len(table), (last - 1 + before) // stride + 1))
        at = np.arange(window) * table.step - before + begin * stride - first
        return cls(last - first, end - begin, stride, at % stride, at // stride), begin

    def cells(self) -> bool:
        """Whether every element is in one window."""
        regular = self.phases.size == self.stride and not self.shifts.any()
        return bool(regular and self.size == self.outputs * self.stride)


def fits(geometry: Geometry) -> bool:
    """Whether windows are small and regular, of one or two axes that follow each other, and lines short."""
    first, last = geometry.axes[0], geometry.axes[-1]
    axes = [table.regular for table in geometry.tables if table.regular]
    consecutive = geometry.axes == tuple(range(first, last + 1))
    if len(axes) < len(geometry.axes) or len(axes) > 2 or not consecutive:
        return False
    windows, strides, _ = zip(*axes, strict=True)
    if math.prod(windows) > TAPS or max(strides) > PIECE:
        return False
    rows = strides[0] * math.prod(geometry.shape[last:]) if len(axes) == 2 else 0  # one of them of each phase
    return rows <= LINES


class Plan(NamedTuple):
    """A kernel and its arguments but for the arrays of a call."""

    kernel: Callable[..., None]
    tables: tuple[Any, ...]
    sizes: tuple[tuple[int, np.dtype[Any]], ...]
    tasks: int

    def run(self, gy: Array, taps: Array, gx: Array) -> None:
        """Add each gradient to the element that its tap names, or its shares to all; all C-contiguous."""
        arrays = raw(gy).ravel(), taps.ravel(), raw(gx).ravel()
        work = threads.vector_work(gx.size, gx.itemsize)
        threads.run(self.kernel, (arrays, *self.tables), self.tasks, work, self.scratch)

    def scratch(self) -> tuple[Array, ...]:
        """Lines of the phases, and of gradients and taps, or shares."""
        return tuple(reuse.empty((size,), dtype) for size, dtype in self.sizes)


SINGLE = Taps(1, 1, 1, np.zeros(1, np.int64), np.zeros(1, np.int64))  # where but one axis is pooled


class Piece(NamedTuple):
    """Elements of a long row, the windows that cover them, and how to send gradients from these to those."""

    elements: slice
    windows: slice
    plan: Plan


class Pieces(NamedTuple):
    """Plans for the pieces of long rows, so that lines stay short."""

    pieces: list[Piece]
    planes: int

    def run(self, gy: Array, taps: Array, gx: Array) -> None:
        """As `Plan.run`."""
        arrays = tuple(a.reshape(self.planes, -1) if a.size else None for a in (gy, taps, gx))
        work = threads.vector_work(gx.size, gx.itemsize)
        threads.run(self.send, (arrays,), self.planes * len(self.pieces), work)

    def send(self, arrays: tuple[Array | None, ...], first: int, last: int) -> None:
        """Some of the pieces."""
        gy, taps, gx = arrays
        with threads.alone():
            for number in range(first, last):
                plane, own = divmod(number, len(self.pieces))
                elements, covers, plan = self.pieces[own]
                chosen = NO_TAPS if taps is None else taps[plane, covers]
                plan.run(gy[plane, covers], chosen, gx[plane, elements])  # type: ignore[index]


def _pieces(
    table: Axis, planes: int, channels: int, divisors: Sequence[Integers] | None, dtype: np.dtype[Any]
) -> Pieces:
    """Pieces of whole strides, so that most of them are alike and have one plan."""
    _, stride, _ = table.regular or (1, 1, 0)
    length = max(1, PIECE // (channels * stride)) * stride
    plans: dict[Any, Plan] = {}
    pieces = []
    for start in range(0, table.size, length):
        stop = min(start + length, table.size)
        own, begin = Taps.between(table, start, stop)
        end, shares = begin + own.outputs, None
        if divisors:
            shares = [table.spread(divisors[0], begin, end)]
        key = (own[:3], *(part.tobytes() for part in (*own[3:], *(shares or ()))))
        if key not in plans:
            plans[key] = (
                _shares(SINGLE, own, channels, 1, shares, dtype)
                if shares
                else _chosen(SINGLE, own, channels, 1, dtype)
            )
        elements = slice(start * channels, stop * channels)
        pieces.append(Piece(elements, slice(begin * channels, end * channels), plans[key]))
    return Pieces(pieces, planes)


def plan(
    geometry: Geometry, divisors: Sequence[Integers] | None, dtype: np.dtype[Any]
) -> Plan | Pieces | None:
    """How to send gradients of a dtype to taps, or with `divisors` to share them among all elements.

    `geometry` is the forward one. None where windows are large, or not regular.
    """
    if not fits(geometry):
        return None
    first, last = geometry.axes[0], geometry.axes[-1]
    steps = [table.step * table.regular[1] for table in geometry.tables if table.regular]
    if divisors and math.prod(steps) == 1 and math.prod(geometry.shape) >= POOLED:
        return None
    channels, planes = math.prod(geometry.shape[last + 1 :]), math.prod(geometry.shape[:first])
    if len(geometry.axes) == 1 and geometry.tables[0].size * channels > 2 * PIECE:
        return _pieces(geometry.tables[0], planes, channels, divisors, dtype)
    row, column = Taps.of(geometry.tables[0]), Taps.of(geometry.tables[-1])
    if len(geometry.axes) == 1:
        row = SINGLE
    if divisors:
        spread = [table.spread(factor) for table, factor in zip(geometry.tables, divisors, strict=True)]
        return _shares(row, column, channels, planes, spread, dtype)
    return _chosen(row, column, channels, planes, dtype)


def _chosen(row: Taps, column: Taps, channels: int, planes: int, dtype: np.dtype[Any]) -> Plan:
    computed = np.dtype(np.float64 if dtype == np.float64 else np.float32)
    pitch, lines = (max(axis.outputs, -(-axis.size // axis.stride)) for axis in (column, row))
    length, each = pitch * channels, row.stride * column.stride
    height = max(1, min(-(-row.size // row.stride), BLOCK // (each * length)))
    blocks = -(-row.size // row.stride // height)
    own = np.arange(row.phases.size * column.phases.size)[::-1]  # in the order of the windows
    r, c = np.divmod(own, column.phases.size)
    phases = row.phases[r] * column.stride + column.phases[c]
    order = np.argsort(phases, kind="stable")
    far = -(row.shifts[r] * pitch + column.shifts[c])[order].astype(np.int64) * channels
    begins = np.searchsorted(phases[order], np.arange(each + 1))
    margin = -(-int(np.abs(far).max()) // length) * length
    turns = 2 if column.stride == 2 and channels == 1 else 1
    together = pitch == column.outputs and lines == row.outputs and computed == dtype
    flat = each == 1 and pitch == column.size and computed == dtype
    sizes = [*row[:3], *column[:3], channels, length, height, margin, blocks, turns, together, flat]
    tables = (far, own[order].astype(np.uint8), begins.astype(np.int64)), np.array(sizes)
    copied = height * length + 2 * margin
    scratch = (each * height * length, computed), (copied, computed), (copied, np.dtype(np.uint8))
    return Plan(_send(storage(dtype)), tables, scratch, planes * blocks)


def _shares(
    row: Taps, column: Taps, channels: int, planes: int, divisors: Sequence[Integers], dtype: np.dtype[Any]
) -> Plan:
    left, reach = max(0, -int(column.shifts.min())), max(0, int(column.shifts.max()))
    pitch = left + max(column.outputs + reach, -(-column.size // column.stride))
    rows = -(-row.size // row.stride)
    height = max(1, min(rows, BLOCK // (row.stride * column.stride * pitch * channels)))
    margin = (left + int(np.abs(column.shifts).max())) * channels
    blocks, cells = -(-rows // height), row.cells() and column.cells()
    numbers = np.array([*row[:3], *column[:3], channels, pitch, left, height, margin, blocks, cells])
    computed = np.dtype(np.float64 if dtype == np.float64 else np.float32)
    down = divisors[0].astype(computed) if len(divisors) == 2 else np.ones(1, computed)
    across = np.repeat(divisors[-1], channels).astype(computed)
    tables = (row.phases, row.shifts, column.phases, column.shifts), numbers, (down, across)
    phases = row.stride * column.stride * (height * pitch * channels + 2 * margin)
    shares = (height + int(np.ptp(row.shifts))) * pitch * channels
    return Plan(_share(storage(dtype)), tables, ((phases, computed), (shares, computed)), planes * blocks)


# Passes --------------------------------------------------------------------------------------------------


def clear(acc, count):
    """Zeros."""
    for j in range(count):
        poke(acc, j, 0)


def gather(zero, turns, lanes, out, g, taps, far, own, begins, count):
    """Elements of one phase, or of two in turns: the gradients of the windows that chose them."""
    apart()
    j = 0
    while count >= lanes and j < count:
        at = min(j, count - lanes)  # the last ones once more, rather than few alone
        if turns == 2:
            gather_2(ahead(out, 2 * at), ahead(g, at), ahead(taps, at), far, own, begins)
        else:
            gather_1(ahead(out, at), ahead(g, at), ahead(taps, at), far, own, begins)
        j += lanes
    while j < count:
        for turn in range(turns):
            total = zero
            for tap in range(peek(begins, turn), peek(begins, turn + 1)):
                at = j + peek(far, tap)
                if peek(taps, at) == peek(own, tap):
                    total += peek(g, at)
            poke(out, turns * j + turn, total)
        j += 1


def copy_chosen(read, line, tags, g, taps, width, repeat, at, pitch, size):
    """Rows of gradients and taps, the first of them `at`, and nothing that is chosen around them."""
    apart()
    for j in range(size):
        poke(tags, j, NONE)
    for r in range(repeat):
        for j in range(width):
            poke(line, at + r * pitch + j, read(peek(g, r * width + j)))
            poke(tags, at + r * pitch + j, peek(taps, r * width + j))


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
def _send(stored: str) -> Callable[..., None]:
    read, write, digest = half.READ[stored], half.WRITE[stored], jit.source_digest()

    def walk(arrays, tables, numbers, lines, buffer, tags, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        gy_all, taps_all, gx_all = arrays
        size, outputs, stride = numbers[0], numbers[1], numbers[2]
        across, windows, step, channels = numbers[3], numbers[4], numbers[5], numbers[6]
        length, height, margin, blocks = numbers[7], numbers[8], numbers[9], numbers[10]
        turns, together, flat = numbers[11], numbers[12] != 0, numbers[13] != 0
        width, wide, block = windows * channels, across * channels, height * length
        zero, lanes = lines.dtype.type(0), GATHERED // lines.itemsize
        far, own, all_begins = pointer(tables[0]), pointer(tables[1]), pointer(tables[2])
        for task in range(first, last):
            plane, top = task // blocks, task % blocks * height
            rows = min(height, -(-size // stride) - top)
            at, count = (plane * outputs + top) * width, rows * length
            g, taps = (
                choose(True, ahead(pointer(gy_all), at), 0, pointer(buffer)),
                ahead(pointer(taps_all), at),
            )
            if not together or at < margin or at + count + margin > gy_all.size:
                begin, end = max(0, top - margin // length), min(outputs, top + rows + margin // length)
                at, to = (plane * outputs + begin) * width, margin + (begin - top) * length
                copied, near = ahead(pointer(gy_all), at), ahead(pointer(taps_all), at)
                g, taps = pointer(buffer), pointer(tags)
                repeat, span = max(0, end - begin), count + 2 * margin
                copy_chosen(read, g, taps, copied, near, width, repeat, to, length, span)
                g, taps = ahead(g, margin), ahead(taps, margin)
            for phase in range(0, stride * step, turns):
                begins, acc = ahead(all_begins, phase), ahead(pointer(lines), phase * block)
                out = choose(flat, ahead(pointer(gx_all), (plane * size + top) * wide), 0, acc)
                gather(zero, turns, lanes, out, g, taps, far, own, begins, count)
            for i in range(top * stride, 0 if flat else min(size, (top + rows) * stride)):
                out, line = ahead(pointer(gx_all), (plane * size + i) * wide), i // stride - top
                acc = ahead(pointer(lines), i % stride * step * block + line * turns * length)
                weave(write, out, acc, block, step // turns, across, channels)

    return jit.kernel(walk, f"send_taps_{stored}")


@cache
def _share(stored: str) -> Callable[..., None]:
    read, write, digest = half.READ[stored], half.WRITE[stored], jit.source_digest()

    def walk(arrays, tables, numbers, scales, lines, buffer, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        gy_all, _, gx_all = arrays
        row_phases, row_shifts, phases, shifts = tables
        size, outputs, stride = numbers[0], numbers[1], numbers[2]
        across, windows, step, channels = numbers[3], numbers[4], numbers[5], numbers[6]
        pitch, left, height, margin, blocks = numbers[7], numbers[8], numbers[9], numbers[10], numbers[11]
        cells = numbers[12] != 0
        width, length = windows * channels, pitch * channels
        plane_of = height * length + 2 * margin
        low, high = row_shifts.min(), row_shifts.max()
        acc_all, shares = pointer(lines), pointer(buffer)
        for task in range(first, last):
            plane, top = task // blocks, task % blocks * height
            bottom = min(top + height, -(-size // stride))
            if not cells:
                clear(acc_all, lines.size)
            begin, end = max(0, top - high), min(outputs, bottom - low)
            if begin < end:
                g = ahead(pointer(gy_all), (plane * outputs + begin) * width)
                down = ahead(pointer(scales[0]), begin)
                divide(read, shares, g, down, pointer(scales[1]), width, end - begin, length)
            for r in range(-1 if cells else row_shifts.size - 1, -1, -1):
                start, stop = max(0, top - row_shifts[r]), min(outputs, bottom - row_shifts[r])
                if start >= stop:
                    continue
                for c in range(shifts.size - 1, -1, -1):
                    phase = row_phases[r] * step + phases[c]
                    at = (start + row_shifts[r] - top) * length + (left + shifts[c]) * channels
                    acc = ahead(acc_all, phase * plane_of + margin + at)
                    add_shares(acc, ahead(shares, (start - begin) * length), (stop - start) * length)
            for i in range(top * stride, min(size, bottom * stride)):
                out, line = ahead(pointer(gx_all), (plane * size + i) * across * channels), i // stride - top
                if cells:  # every phase is the line of shares itself
                    weave(write, out, ahead(shares, line * length), 0, step, across, channels)
                    continue
                acc = ahead(acc_all, i % stride * step * plane_of + margin + line * length + left * channels)
                weave(write, out, acc, plane_of, step, across, channels)

    return jit.kernel(walk, f"share_taps_{stored}")


jit.register(half)
jit.register(__name__, forceinline=False)
