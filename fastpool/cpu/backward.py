"""Backward of operators that share a gradient among a window's elements, or send it to the one they chose.

Along a regular axis tap ``t`` of window ``o`` is element ``o * stride - before + t * step``. So elements that
are a stride apart, a phase, have the same taps, of windows that follow each other: a phase is a sum of lines
of the gradient, each of them shifted, and rows are woven out of phases. Additions go in the order of the
windows, or along one axis after the other: the bits depend neither on threads nor on blocks.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import jit, threads, windows
from ..halves import unchanged
from ..operators import OPERATORS, Operator
from ..windows import Axis, Geometry, Integers
from . import fold, half, passes, plans
from .memory import (
    GATHERED,
    ahead,
    apart,
    choose,
    fields,
    gather_1,
    gather_2,
    peek,
    pointer,
    poke,
    raw,
    storage,
    wide_registers,
)
from .tasks import scratch_of
from .walk import NO_REPEAT, repeated

Array = NDArray[Any]

NONE = np.uint8(255)  # no tap
TAPS = 25  # of the largest window whose taps are kept
LINES = 1_000_000  # elements of all lines of a block
BLOCK = 1_000  # elements of a block of phases: of larger ones rows are not written one after the other
FLAT = 4_000  # the same of one phase that is the result
TILE = 4_096  # elements of a row that a task writes, unless the row is not twice as long
BAND = 32_768  # elements that a task writes
SLOW = 262_144  # those, at most, that are added up in other memory
LISTED = 100_000  # entries of the table of leading outputs, at most
POOLED = 20_000  # elements, from which shares at stride 1 are pooled
NARROW = 9  # channels, from which those of one window are worth a pass
LINE = 16  # elements of four bytes of a cache line
WOVEN = 8  # phases of a row, at most
CHAIN = 40  # float32 gradients, at most, that add up one after the other


class Call(NamedTuple):
    """Gradients on their way back.

    Attributes
    ----------
    operator, geometry, divisors, params
        As `jobs.Job` has them.
    gy : ndarray
        A C-contiguous array like the gradients of the windows.
    target : dtype
        Of the gradients of the elements.
    kept : {"taps", "indices", "shares"}
        What tells where a gradient goes: taps of regular windows, indices, or nothing, since all elements
        have a share.
    """

    operator: Operator
    geometry: Geometry
    divisors: Sequence[Integers]
    params: NDArray[np.float64]
    gy: Array
    target: np.dtype[Any]
    kept: str

    @property
    def consecutive(self) -> bool:
        """Whether pooled axes follow each other."""
        axes = self.geometry.axes
        return axes == tuple(range(axes[0], axes[-1] + 1))

    @property
    def planes(self) -> int:
        """How many planes there are."""
        return math.prod(self.geometry.shape[: self.geometry.axes[0]])

    @property
    def channels(self) -> int:
        """Elements behind the pooled axes."""
        return math.prod(self.geometry.shape[self.geometry.axes[-1] + 1 :])

    @property
    def computed(self) -> np.dtype[Any]:
        """What few gradients add up in."""
        return np.dtype(np.float64 if self.target == np.float64 else np.float32)

    def adds_up_in(self, chain: int) -> np.dtype[Any]:
        """What so many gradients, one after the other, add up in: many would lose bits of float32."""
        return self.computed if chain <= CHAIN else np.dtype(np.float64)


class Plan(NamedTuple):
    """A kernel and its arguments but for the arrays of a call."""

    kernel: Callable[..., None]
    tables: tuple[Any, ...]
    memory: tuple[tuple[int, Any], ...]
    tasks: int

    def run(self, gy: Array, chosen: Array | None, gx: Array) -> None:
        """Send gradients to `gx`; all arrays are C-contiguous."""
        named = () if chosen is None else (chosen.reshape(-1),)
        arrays = (raw(gy).reshape(-1), *named, raw(gx).reshape(-1))
        work = threads.vector_work(gx.size, gx.itemsize)
        threads.run(self.kernel, (arrays, *self.tables), self.tasks, work, self.scratch)

    def scratch(self) -> tuple[tuple[Array, ...]]:
        """Memory for one thread."""
        return scratch_of(self.memory)


# Passes --------------------------------------------------------------------------------------------------


def convert(way, out, x, count):
    """A line as what is computed with, or as it is stored."""
    apart()
    for j in range(count):
        poke(out, j, way(peek(x, j)))


def add(read, out, x, count):
    """Add a line to another."""
    apart()
    for j in range(count):
        poke(out, j, peek(out, j) + read(peek(x, j)))


def total(read, out, x, number, far, count):
    """The sum of lines that are `far` apart."""
    if number == 0:
        passes.fill(out, 0, count)
        return
    convert(read, out, x, count)
    for n in range(1, number):
        add(read, out, ahead(x, n * far), count)


def divide(line, divisor, inverse, count):
    """Divide a line, or multiply it by the inverse of a power of two."""
    apart()
    if inverse != 0:
        for j in range(count):
            poke(line, j, peek(line, j) * inverse)
    else:
        for j in range(count):
            poke(line, j, peek(line, j) / divisor)


def weave(write, out, lines, at, stride, size, channels):
    """A row out of the lines of its phases, which begin `at` places among the `lines`."""
    apart()
    if channels == 1 and stride == 1:
        a = ahead(lines, peek(at, 0))
        for i in range(size):
            poke(out, i, write(peek(a, i)))
    elif channels == 1 and stride == 2:
        a, b = ahead(lines, peek(at, 0)), ahead(lines, peek(at, 1))
        for i in range(size // 2):
            poke(out, 2 * i, write(peek(a, i)))
            poke(out, 2 * i + 1, write(peek(b, i)))
        if size % 2:
            poke(out, size - 1, write(peek(a, size // 2)))
    else:
        place = 0
        for first in range(0, size, stride):
            for phase in range(min(stride, size - first)):
                line, to = ahead(lines, peek(at, phase) + place), ahead(out, (first + phase) * channels)
                if channels == 1:  # a loop of one or three takes longer to begin than to run
                    poke(to, 0, write(peek(line, 0)))
                elif channels == 3:
                    poke(to, 0, write(peek(line, 0)))
                    poke(to, 1, write(peek(line, 1)))
                    poke(to, 2, write(peek(line, 2)))
                else:
                    for c in range(channels):
                        poke(to, c, write(peek(line, c)))
            place += channels


# Taps: each element gathers what the few windows around it chose -------------------------------------------


class Taps(NamedTuple):
    """Along one axis, the phase and the shift of every tap, in windows."""

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

    @property
    def lines(self) -> int:
        """Elements of the longest phase, or windows."""
        return max(self.outputs, -(-self.size // self.stride))

    @property
    def reach(self) -> tuple[int, int]:
        """How many windows before an element of a phase, and behind it, may cover it."""
        return max(0, int(self.shifts.max())), max(0, -int(self.shifts.min()))


SINGLE = Taps(1, 1, 1, np.zeros(1, np.int64), np.zeros(1, np.int64))  # where but one axis is pooled


class Block(NamedTuple):
    """Sizes of a block of the lines of phases, and where it is: what the kernel of taps reads."""

    size: int  # rows of a plane, of its windows, and of all phases together
    outputs: int
    stride: int
    rows: int
    across: int  # the same of columns
    windows: int
    jump: int
    columns: int
    channels: int
    planes: int
    height: int  # lines of a block, and windows of each
    width: int
    tiles: int
    above: int  # windows around it, which reach into it
    below: int
    left: int
    right: int
    pitch: int  # from line to line, and from phase to phase
    phase: int
    turns: int  # phases that are computed in turns, and those of a row that are left to weave
    woven: int
    direct: bool  # whether the lines of all planes are one, as they lie
    here: bool  # and their gradients are read where they are
    flat: bool  # whether the one phase is the result

    @classmethod
    def of(cls, geometry: Geometry, *, native: bool = True) -> "Block":
        """The blocks of regular windows."""
        first, last, tables = geometry.axes[0], geometry.axes[-1], geometry.tables
        row, column = (Taps.of(tables[0]) if len(tables) == 2 else SINGLE), Taps.of(tables[-1])
        channels, planes = math.prod(geometry.shape[last + 1 :]), math.prod(geometry.shape[:first])
        each = row.stride * column.stride * channels
        width = column.lines if each * column.lines <= 2 * TILE else max(1, TILE // each)
        direct = column.lines == column.outputs and row.lines == row.outputs
        direct = direct and (native or width == column.lines)
        flat = native and direct and (row.stride, column.stride) == (1, 1)
        flat = flat and (row.lines, column.lines) == (row.size, column.size)
        near = FLAT if flat else BLOCK
        height = max(1, min(planes * row.lines, near // (each * width))) if width == column.lines else 1
        aligned = LINE // math.gcd(width * channels, LINE)  # lines, after which one begins a cache line
        height -= height % aligned if height > aligned else 0
        margins = (*row.reach, *column.reach)
        pitch = (column.outputs if direct else sum(margins[2:]) + width) * channels
        phase = (height - 1) * pitch + width * channels
        turns = 2 if column.stride == 2 and channels == 1 else 1
        rows = *row[:3], row.lines, *column[:3], column.lines, channels, planes
        cut = height, width, -(-column.lines // width), *margins, pitch, phase
        return cls(*rows, *cut, turns, column.stride // turns, direct, direct and native, flat)

    def memory(self) -> tuple[int, int]:
        """Elements of the lines of all phases, and of the gradients that reach into them."""
        rows = self.above + self.height + self.below
        span = rows * self.pitch if not self.direct else (rows - 1) * self.pitch + self.reached()
        return self.stride * self.jump * self.phase, span

    def reached(self) -> int:
        """Elements of a line of gradients."""
        return (self.left + self.width + self.right) * self.channels


def has_taps(geometry: Geometry) -> bool:
    """Whether windows are small and regular, of one or two axes that follow each other, and blocks small."""
    axes = geometry.axes
    regular = [table.regular for table in geometry.tables if table.regular]
    if len(regular) < len(axes) or len(axes) > 2 or axes[-1] - axes[0] != len(axes) - 1:
        return False
    small = math.prod(window for window, _, _ in regular) <= TAPS
    return small and max(Block.of(geometry).memory()) <= LINES


def plan_taps(call: Call) -> Plan:
    """How to gather for each element the gradients of the windows that chose it."""
    tables, native = call.geometry.tables, call.computed == call.target
    row, column = (Taps.of(tables[0]) if len(tables) == 2 else SINGLE), Taps.of(tables[-1])
    block = Block.of(call.geometry, native=native)
    own = np.arange(row.phases.size * column.phases.size)[::-1]  # in the order of the windows
    r, c = np.divmod(own, column.phases.size)
    phases = row.phases[r] * column.stride + column.phases[c]
    order = np.argsort(phases, kind="stable")
    far = -(row.shifts[r] * block.pitch + column.shifts[c] * block.channels)[order]
    count = row.stride * column.stride
    begins = np.searchsorted(phases[order], np.arange(count + 1))
    at = np.arange(0, count, block.turns) * block.phase
    lines, span = block.memory()
    memory = (lines, call.computed), (span, call.computed), (span, np.uint8)
    arrays = far.astype(np.int64), own[order].astype(np.uint8), begins.astype(np.int64), at.astype(np.int64)
    tasks = -(-call.planes * row.lines // block.height) * block.tiles
    return Plan(_gather_taps(storage(call.target)), (arrays, np.array(block, np.int64)), memory, tasks)


def name_none(names, count):
    """Nothing is chosen."""
    apart()
    for j in range(count):
        poke(names, j, NONE)


def bring(read, g, names, gy, chosen, count):
    """A line of gradients as what is computed with, and what they chose."""
    convert(read, g, gy, count)
    convert(unchanged, names, chosen, count)


def bring_lines(read, g, names, gy, chosen, b, top, left):
    """Lines of a block and of its margins, to lines that are as long."""
    low, high = max(0, left - b.left), min(b.windows, left + b.width + b.right)
    for line in range(max(0, top - b.above), min(b.planes * b.rows, top + b.height + b.below)):
        plane, row = line // b.rows, line % b.rows
        if row < b.outputs and high > low:
            to = (line - top + b.above) * b.pitch + (low - left + b.left) * b.channels
            at = ((plane * b.outputs + row) * b.windows + low) * b.channels
            count = (high - low) * b.channels
            bring(read, ahead(g, to), ahead(names, to), ahead(gy, at), ahead(chosen, at), count)


def gather(zero, turns, lanes, out, g, names, far, own, begins, count):
    """Elements of one phase, or of two in turns: the gradients of the windows that chose them."""
    apart()
    j = 0
    while count >= lanes and j < count:
        at = min(j, count - lanes)  # the last ones once more, rather than few alone
        if turns == 2:
            gather_2(ahead(out, 2 * at), ahead(g, at), ahead(names, at), far, own, begins)
        else:
            gather_1(ahead(out, at), ahead(g, at), ahead(names, at), far, own, begins)
        j += lanes
    while j < count:
        for turn in range(turns):
            total = zero
            for tap in range(peek(begins, turn), peek(begins, turn + 1)):
                at = j + peek(far, tap)
                if peek(names, at) == peek(own, tap):
                    total += peek(g, at)
            poke(out, turns * j + turn, total)
        j += 1


@cache
def _gather_taps(stored: str) -> Callable[..., None]:
    """Gradients of small regular windows of one or two axes: a task is a tile of rows and columns.

    Gradients and taps of the tile and its halo are copied to buffers, unless they can be read in place. One
    pass for each phase of the strides, or for two, reads a gradient and a tap for each window that may cover
    an element, and writes the element's sum. A last pass reads the sums of all phases and writes each row of
    the result. A single phase that is the result needs no last pass.
    """
    read, write, digest = half.READ[stored], half.WRITE[stored], jit.source_digest()

    def walk(arrays, tables, numbers, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        gy_all, chosen_all, gx_all = arrays
        lines_all, b = pointer(memory[0]), read_block(numbers, 0)
        far, own, begins, at = pointer(tables[0]), pointer(tables[1]), pointer(tables[2]), pointer(tables[3])
        zero, lanes = memory[0].dtype.type(0), GATHERED // memory[0].itemsize
        band, tile = first // b.tiles, first % b.tiles
        for _ in range(first, last):
            top, left = band * b.height, tile * b.width
            tile += 1
            if tile == b.tiles:
                band, tile = band + 1, 0
            high, wide = min(b.height, b.planes * b.rows - top), min(b.width, b.columns - left)
            count, line = (high - 1) * b.pitch + wide * b.channels, (top * b.columns + left) * b.channels
            low = line - b.above * b.pitch - b.left * b.channels
            end_at = line + count + b.below * b.pitch + b.right * b.channels
            g = choose(True, ahead(pointer(gy_all), line), pointer(memory[1]))
            names = ahead(pointer(chosen_all), line)
            if not b.here or low < 0 or end_at > gy_all.size:
                g, names = pointer(memory[1]), pointer(memory[2])
                name_none(names, memory[2].size)
                if b.direct:
                    begin, end = max(low, 0), min(end_at, gy_all.size)
                    to = begin - low
                    gy, chosen = ahead(pointer(gy_all), begin), ahead(pointer(chosen_all), begin)
                    bring(read, ahead(g, to), ahead(names, to), gy, chosen, end - begin)
                else:
                    bring_lines(read, g, names, pointer(gy_all), pointer(chosen_all), b, top, left)
                inner = b.above * b.pitch + b.left * b.channels
                g, names = ahead(g, inner), ahead(names, inner)
            for phase in range(0, b.stride * b.jump, b.turns):
                acc = ahead(lines_all, phase * b.phase)
                out = choose(b.flat, ahead(pointer(gx_all), line), acc)
                gather(zero, b.turns, lanes, out, g, names, far, own, ahead(begins, phase), count)
            size = min(wide * b.jump, b.across - left * b.jump)
            plane, row = top // b.rows, top % b.rows * b.stride
            for r in range(0 if b.flat else high):
                for i in range(row, min(row + b.stride, b.size)):
                    to = ((plane * b.size + i) * b.across + left * b.jump) * b.channels
                    out = ahead(pointer(gx_all), to)
                    own_lines = ahead(lines_all, (i - row) * b.jump * b.phase + r * b.turns * b.pitch)
                    weave(write, out, own_lines, at, b.woven, size, b.channels)
                row += b.stride
                if row == b.rows * b.stride:
                    plane, row = plane + 1, 0

    return jit.kernel(walk, f"gather_taps_{stored}")


# Indices: each gradient goes straight to the element that was chosen ----------------------------------------


def plan_indices(call: Call) -> Plan:
    """How to add each gradient to the element that its index names."""
    geometry, channels = call.geometry, call.channels
    table = geometry.tables[0]
    row = math.prod(geometry.plane[1:]) * channels
    inner = math.prod(len(other) for other in geometry.tables[1:])
    computed = call.adds_up_in(math.prod(axis.most for axis in geometry.inverse().tables))
    native = computed == call.target
    height = max(1, BAND // row, 2 * table.most * table.step)
    height = min(table.size, height if native else max(1, min(height, SLOW // row)))
    edges = np.append(np.arange(0, table.size, height), table.size)
    bands = np.stack([edges[:-1] * row, edges[1:] * row, *(n * inner for n in _reaching(table, edges))])
    numbers = np.array([table.size * row, len(table) * inner, channels], np.int64)
    memory = (0 if native else height * row, computed)
    return Plan(_scatter(storage(call.target)), (bands, numbers), (memory,), call.planes * bands.shape[1])


def _reaching(table: Axis, edges: Integers) -> tuple[Integers, Integers]:
    """The first window that reaches into each part of an axis, and the one behind the last."""
    if table.regular:
        window, stride, before = table.regular
        span = (window - 1) * table.step + 1
        first, last = (edges[:-1] + before - span) // stride + 1, (edges[1:] - 1 + before) // stride + 1
    else:
        lo, count, _ = table.at(0, len(table))
        first = np.searchsorted(lo + (count - 1) * table.step, edges[:-1], "left")
        last = np.searchsorted(lo, edges[1:], "left")
    return np.clip(first, 0, len(table)), np.clip(last, 0, len(table))


def add_chosen(read, out, gy, indices, begin, size, first, last, channels):
    """Gradients of windows to elements that are in the band."""
    for window in range(first, last):
        for c in range(window * channels, (window + 1) * channels):
            place = np.int64(peek(indices, c)) * channels + c - window * channels - begin
            if 0 <= place < size:
                poke(out, place, peek(out, place) + read(peek(gy, c)))


@cache
def _scatter(stored: str) -> Callable[..., None]:
    """Gradients of any windows whose indices are kept: a task is a band of rows of a plane.

    One pass writes zeros. The next reads the index of each window that may reach into the band, and where it
    lies there, adds the gradient to the element: two reads and a write. Where sums have another dtype than
    the result, they are in a buffer, and a last pass reads and writes each element once more.
    """
    read, write, digest = half.READ[stored], half.WRITE[stored], jit.source_digest()

    def walk(arrays, bands, numbers, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        gy_all, indices_all, gx_all = arrays
        elements, of_plane, channels = numbers[0], numbers[1], numbers[2]
        apart_from = memory[0].size > 0
        for task in range(first, last):
            plane, band = task // bands.shape[1], task % bands.shape[1]
            begin, size = bands[0, band], bands[1, band] - bands[0, band]
            at, out = plane * of_plane * channels, ahead(pointer(gx_all), plane * elements + begin)
            sums = choose(not apart_from, out, pointer(memory[0]))
            passes.fill(sums, 0, size)
            gy, indices = ahead(pointer(gy_all), at), ahead(pointer(indices_all), at)
            add_chosen(read, sums, gy, indices, begin, size, bands[2, band], bands[3, band], channels)
            if apart_from:
                convert(write, out, sums, size)

    return jit.kernel(walk, f"scatter_{stored}")


# Cells: each element has the share of one window -----------------------------------------------------------


class Spread(NamedTuple):
    """Sizes of a plane: what the kernel of cells reads."""

    rows: int  # of elements, and of windows
    outputs: int
    windows: int  # of a row
    stride: int
    channels: int
    height: int  # rows that a task writes


def are_cells(call: Call) -> bool:
    """Whether windows lie side by side and cover their axes, and are worth a pass of their own."""
    tables = call.geometry.tables
    alike = all(
        axis.regular is not None
        and axis.regular == (axis.regular[1], axis.regular[1], 0)
        and (axis.step, axis.size) == (1, len(axis) * axis.regular[1])
        for axis in tables
    )
    narrow = 1 < call.channels < NARROW or tables[-1].size > WOVEN * len(tables[-1])
    listed = math.prod(axis.size for axis in tables[:-1]) <= LISTED
    return alike and listed and call.consecutive and not narrow


def plan_cells(call: Call) -> Plan:
    """How to give each element the share of its window."""
    *leading, column = call.geometry.tables
    owners = np.zeros(1, np.int64)
    for axis in leading:
        owners = np.add.outer(owners * len(axis), np.arange(axis.size) // (axis.size // len(axis))).ravel()
    height = min(owners.size, max(1, BAND // (column.size * call.channels)))
    outputs, stride = math.prod(map(len, leading)), column.size // len(column)
    spread = Spread(owners.size, outputs, len(column), stride, call.channels, height)
    divisor = math.prod(int(factor[0]) for factor in call.divisors)
    exact = divisor & (divisor - 1) == 0  # a power of two
    tables = owners, np.array(spread), np.array([1 / divisor if exact else divisor], call.computed)
    kernel = _spread(storage(call.gy.dtype), storage(call.target), exact=exact)
    return Plan(kernel, (tables,), (), call.planes * -(-owners.size // height))


def spread_pairs(share, out, gy, owners, factor, rows, s):
    """Pairs of elements of a row."""
    apart()
    for r in range(rows):
        at, to = peek(owners, r) * s.windows, 2 * r * s.windows
        for j in range(s.windows):
            own = share(peek(gy, at + j), factor)
            poke(out, to + 2 * j, own)
            poke(out, to + 2 * j + 1, own)


def spread_any(share, out, gy, owners, factor, rows, s):
    """Any number of elements, of any channels."""
    apart()
    for r in range(rows):
        for j in range(s.windows):
            at = (peek(owners, r) * s.windows + j) * s.channels
            for i in range(s.stride):
                to = ((r * s.windows + j) * s.stride + i) * s.channels
                for c in range(s.channels):
                    poke(out, to + c, share(peek(gy, at + c), factor))


@cache
def _spread(source: str, target: str, *, exact: bool) -> Callable[..., None]:
    """Shares of windows that lie side by side and cover their axes: a task is some rows of a plane.

    One pass writes each element once. It reads the window's gradient for each element, or for two where
    windows are two elements wide. There is no buffer.
    """
    read, write, digest = half.READ[source], half.WRITE[target], jit.source_digest()
    divided = by_inverse if exact else by_divisor

    def share(value, factor):
        return write(divided(read(value), factor))

    jit.expression(share)

    def walk(arrays, tables, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        (gy_all, gx_all), (owners, numbers, factors) = arrays, tables
        s, factor = read_spread(numbers, 0), factors[0]
        bands = -(-s.rows // s.height)
        for task in range(first, last):
            plane, top = task // bands, task % bands * s.height
            gy = ahead(pointer(gy_all), plane * s.outputs * s.windows * s.channels)
            out = ahead(pointer(gx_all), (plane * s.rows + top) * s.windows * s.stride * s.channels)
            rest = share, out, gy, ahead(pointer(owners), top), factor, min(s.height, s.rows - top), s
            if s.stride == 2 and s.channels == 1:
                spread_pairs(*rest)
            else:
                spread_any(*rest)

    return jit.kernel(walk, f"spread_{source}_{target}" + "_exact" * exact)


def by_inverse(value, factor):
    """A share of a power of two."""
    return value * factor


def by_divisor(value, factor):
    """A share."""
    return value / factor


# Shares: rows of the gradient add up, and then along the row ------------------------------------------------


class Runs(NamedTuple):
    """Elements of an axis that follow each other and are in the same windows, which are `step` apart.

    Of each run its begin and length, its first window and how many. Columns repeat as `windows.Repeat` has
    it; each time they are the last of `repeat` elements, and `further` windows further on.
    """

    columns: Integers
    repeat: tuple[int, int, int, int, int]
    step: int

    @classmethod
    def of(cls, table: Axis, longest: int) -> "Runs":
        """Those of an axis, none longer than so many elements."""
        found = windows.inverse(table)
        lo, count, _ = found.columns
        first, period, times, further = found.repeat or (lo.size, 0, 0, 0)
        breaks = np.flatnonzero((np.diff(lo) != 0) | (np.diff(count) != 0)) + 1
        breaks = np.concatenate([breaks, np.arange(0, lo.size, longest), [first, first + period]])
        begins = np.unique(breaks[breaks < lo.size])
        columns = np.stack([begins, np.diff(begins, append=lo.size), lo[begins], count[begins]])
        if not times:
            return cls(columns, (*NO_REPEAT, 0), found.step)
        own, end = np.searchsorted(begins, [first, first + period]).tolist()
        return cls(columns, (own, end - own, times, period, further), found.step)

    @property
    def number(self) -> int:
        """How many there are."""
        _, period, times, _, _ = self.repeat
        return int(self.columns.shape[1]) + period * times

    def at(self, first: int, last: int) -> Integers:
        """The columns of some runs, written out."""
        own, period, times, advance, further = self.repeat
        runs = np.arange(first, last)
        turns = np.clip((runs - own) // period, 0, times)
        found = self.columns[:, runs - turns * period]
        found[0] += turns * advance
        found[2] += turns * further
        return found

    def tiles(self, each: int) -> Integers:
        """The tiles of so many runs: each column is a `Tile`."""
        found = []
        for first in range(0, self.number, each):
            last = min(first + each, self.number)
            begins, lengths, lo, count = self.at(first, last)
            lo, count = lo[count > 0], count[count > 0]
            low = int(lo.min(initial=0 if not lo.size else lo[0]))
            end = int((lo + (count - 1) * self.step).max(initial=low - 1)) + 1
            found.append([begins[0], begins[-1] + lengths[-1] - begins[0], low, end - low, first, last])
        return np.array(found).T


class Tile(NamedTuple):
    """A tile of a row: its first element and how many, its first window and how many, and its runs.

    Or, in place of runs, how many elements of each phase.
    """

    left: int
    size: int
    window: int
    windows: int
    runs: int
    end: int


class Along(NamedTuple):
    """How a line, to which rows of the gradient add up, becomes a row of elements.

    Columns of `tiles` are each a `Tile`.
    """

    walk: Callable[..., None]
    tiles: Integers
    columns: Integers
    repeat: Integers
    gap: int
    stride: int
    memory: int  # elements for sums, in channels


class Shares(NamedTuple):
    """Sizes of a plane and of its blocks: what the kernel of shares reads."""

    leads: int  # leading outputs of the way back, and the windows'
    slabs: int
    rows: int
    outputs: int
    across: int
    windows: int
    channels: int
    runs: int  # of rows, and how many a task has
    height: int
    tiles: int
    step: int  # from window to window that covers an element, down the rows and along them
    gap: int
    stride: int
    line: int  # elements of the line that rows add up to


def leads_of(tables: Sequence[Axis]) -> tuple[Integers, Integers] | None:
    """Where the leading outputs that cover each leading element begin in a list of them, and the list."""
    covers = [np.zeros(1, np.int64)]
    for table in tables:
        found = windows.inverse(table)
        if len(covers) * len(found) > LISTED:
            return None
        lo, count, _ = found.at(0, len(found))
        own = [first + np.arange(n) * found.step for first, n in zip(lo, count, strict=True)]
        covers = [np.add.outer(cover * len(table), each).ravel() for cover in covers for each in own]
        if sum(cover.size for cover in covers) > LISTED:
            return None
    return np.cumsum([0, *(cover.size for cover in covers)]), np.concatenate(covers)


def phases_of(table: Axis, channels: int) -> Along:
    """Regular windows: phases, each of a first window, a number of them, and where its line begins."""
    taps = Taps.of(table)
    many, high, low = -(-table.size // taps.stride), int(taps.shifts.max()), int(taps.shifts.min())
    width = many if table.size * channels <= 2 * TILE else max(1, TILE // (taps.stride * channels))
    begins = np.arange(0, many, width)
    sizes = np.minimum(width * taps.stride, table.size - begins * taps.stride)
    counts = np.minimum(width, many - begins)
    tiles = np.stack([begins * taps.stride, sizes, begins - high, counts + high - low, counts, counts])
    columns = []
    for phase in range(taps.stride):
        own = taps.shifts[taps.phases == phase]
        first, line = high - int(own.max(initial=low)), width + high - low + phase * width
        columns.append([first, own.size, (first if own.size == 1 else line) * channels])
    gap = table.step // math.gcd(table.step, taps.stride)
    table_of = np.array(columns).T.copy()
    return Along(weave_phases, tiles, table_of, begins[:1], gap, taps.stride, taps.stride * width)


def runs_of(table: Axis, channels: int) -> Along:
    """Any windows: runs of elements that are in the same ones."""
    runs, size = Runs.of(table, TILE), table.size * channels
    each = runs.number if size <= 2 * TILE else max(1, TILE * runs.number // size)
    return Along(
        repeat_runs, runs.tiles(each), runs.columns, np.array(runs.repeat, np.int64), runs.step, 1, 1
    )


def plan_shares(call: Call) -> Plan | None:
    """How to add up the shares of each element; None where the tables would be large."""
    axes, channels = call.geometry.tables, call.channels
    if all(len(table) == 1 and table.fewest == table.size for table in axes):  # one axis as well
        axes = (windows.adaptive(math.prod(call.geometry.plane), 1),)
    column, leads = axes[-1], leads_of(axes[:-2])
    row = axes[-2] if len(axes) > 1 else windows.adaptive(1, 1)
    woven = column.regular is not None and column.regular[1] <= WOVEN and channels < NARROW
    along = phases_of(column, channels) if woven else runs_of(column, channels)
    line = int(along.tiles[3].max()) * channels
    if leads is None or line + along.memory * channels > LINES:
        return None
    widest = int(along.tiles[1].max()) * channels
    runs = Runs.of(row, max(1, BAND // widest))
    height = max(1, BAND // (widest * int(runs.columns[1].max())))
    shares = Shares(
        leads=leads[0].size - 1,
        slabs=math.prod(len(table) for table in axes[:-2]),
        rows=row.size,
        outputs=len(row),
        across=column.size,
        windows=len(column),
        channels=channels,
        runs=runs.number,
        height=height,
        tiles=along.tiles.shape[1],
        step=runs.step,
        gap=along.gap,
        stride=along.stride,
        line=line,
    )
    divisor = math.prod(int(factor[0]) for factor in call.divisors)
    *down, across = (windows.inverse(axis).most for axis in axes)
    computed = call.adds_up_in(math.prod(down) + across)
    inverse = 1 / divisor if divisor & (divisor - 1) == 0 else 0
    tables = (
        leads,
        (runs.columns, np.array(runs.repeat, np.int64)),
        (along.columns, along.repeat),
        along.tiles.T.copy(),
    )
    tasks = call.planes * shares.leads * -(-shares.runs // height) * shares.tiles
    kernel = _share(storage(call.gy.dtype), storage(call.target), along.walk)
    numbers = np.array(shares, np.int64), np.array([divisor, inverse], computed)
    return Plan(kernel, (tables, *numbers), ((line + along.memory * channels, computed),), tasks)


def table_of(table):
    """Pointers to the columns of a table and to how they repeat, and how many columns there are."""
    columns, repeat = table
    return pointer(columns), pointer(repeat), columns.shape[1]


def run_of(runs, run):
    """The begin and the length of a run, its first window and how many."""
    columns, repeat, count = runs
    column, turns = run, 0
    if run >= peek(repeat, 0):
        column, turns = repeated(run, peek(repeat, 0), peek(repeat, 1), peek(repeat, 2))
    begin = peek(columns, column) + turns * peek(repeat, 3)
    lo = peek(columns, 2 * count + column) + turns * peek(repeat, 4)
    return begin, peek(columns, count + column), lo, peek(columns, 3 * count + column)


def weave_phases(write, out, lines, phases, tile, s):
    """A row out of phases; one with a single window is the line itself."""
    columns, _, stride = phases
    for phase in range(stride):
        number, first = peek(columns, stride + phase), peek(columns, phase) * s.channels
        if number != 1:
            line, step = ahead(lines, peek(columns, 2 * stride + phase)), s.gap * s.channels
            total(unchanged, line, ahead(lines, first), number, step, tile.runs * s.channels)
    weave(write, out, lines, ahead(columns, 2 * stride), stride, tile.size, s.channels)


def repeat_runs(write, out, lines, runs, tile, s):
    """A row of runs, in each of which all elements have the same sum."""
    for run in range(tile.runs, tile.end):
        begin, count, lo, number = run_of(runs, run)
        x, sums = ahead(lines, (lo - tile.window) * s.channels), ahead(lines, s.line)
        to = ahead(out, (begin - tile.left) * s.channels)
        if number == 1:
            sums = x
        else:
            total(unchanged, sums, x, number, s.gap * s.channels, s.channels)
        if s.channels == 1:
            passes.fill(to, write(peek(sums, 0)), count)
            continue
        for i in range(count):
            convert(write, ahead(to, i * s.channels), sums, s.channels)


@cache
def _share(source: str, target: str, along: Callable[..., None]) -> Callable[..., None]:
    """Shares of any windows of axes that follow each other: a task is a tile of some rows of a plane.

    A column pass adds up the rows of gradients whose windows cover a row of elements: each gradient is read,
    and the line of sums read and written. One more pass divides the line. A row pass adds up the sums of the
    windows that cover an element, in a second buffer, and writes each element once. Rows in the same windows
    are copies of the first.
    """
    read, write, digest = half.READ[source], half.WRITE[target], jit.source_digest()

    def walk(arrays, tables, numbers, divisors, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        (gy_all, gx_all), ((begins, slabs), down, across, tiles) = arrays, tables
        s, lines, divisor, inverse = read_shares(numbers, 0), pointer(memory[0]), divisors[0], divisors[1]
        bands = -(-s.runs // s.height)
        down, across, begins, slabs = table_of(down), table_of(across), pointer(begins), pointer(slabs)
        gy_at, gx_at = pointer(gy_all), pointer(gx_all)
        for task in range(first, last):
            tile, rest = task % s.tiles, task // s.tiles
            band, rest = rest % bands, rest // bands
            lead, plane = rest % s.leads, rest // s.leads
            own = read_tile(tiles, tile * TILE_FIELDS)
            low, high = max(own.window, 0), min(own.window + own.windows, s.windows)
            to, width = ahead(lines, (low - own.window) * s.channels), (high - low) * s.channels
            passes.fill(lines, 0, own.windows * s.channels)
            from_slab, end_slab = peek(begins, lead), peek(begins, lead + 1)
            for run in range(band * s.height, min((band + 1) * s.height, s.runs)):
                top, repeat, lo, number = run_of(down, run)
                if number * (end_slab - from_slab) == 0:
                    passes.fill(to, 0, width)
                for n in range(from_slab, end_slab):
                    row = (plane * s.slabs + peek(slabs, n)) * s.outputs + lo
                    for t in range(number):
                        at = ((row + t * s.step) * s.windows + low) * s.channels
                        if n > from_slab or t > 0:
                            add(read, to, ahead(gy_at, at), width)
                        else:
                            convert(read, to, ahead(gy_at, at), width)
                if divisor != 1:
                    divide(to, divisor, inverse, width)
                row = (plane * s.leads + lead) * s.rows + top
                out = ahead(gx_at, (row * s.across + own.left) * s.channels)
                along(write, out, lines, across, own, s)
                for r in range(1, repeat):
                    convert(unchanged, ahead(out, r * s.across * s.channels), out, own.size * s.channels)

    return jit.kernel(walk, f"share_{along.__name__}_{source}_{target}")


# Which way -----------------------------------------------------------------------------------------------


class Pooled(NamedTuple):
    """A plan of the way forward, over the inverse windows."""

    plan: Any

    def run(self, gy: Array, _: Array | None, gx: Array) -> None:
        """As `Plan.run`."""
        self.plan.run(gy, gx, None)


def plan_pooled(call: Call) -> Pooled:
    """The sum of the shares of all windows that cover an element: a sum pooling of the gradient."""
    row, inverse = OPERATORS["avg" if call.operator.averages else "sum"], call.geometry.inverse()
    each = [
        np.full(table.columns.shape[1], factor[0])
        for table, factor in zip(inverse.tables, call.divisors, strict=True)
    ]
    return Pooled(plans.plan(row, call.gy, inverse, each, call.params, call.target, ""))


class Divided(NamedTuple):
    """A plan for shares of windows with divisors of their own: shares are rounded once, as a sum."""

    plan: Any
    factors: tuple[Array, ...]

    def run(self, gy: Array, _: Array | None, gx: Array) -> None:
        """As `Plan.run`."""
        divisors = math.prod(self.factors[1:], start=self.factors[0])
        self.plan.run(np.divide(gy, divisors, dtype=divisors.dtype), None, gx)


def plan_divided(call: Call, add_up: Callable[[Call], Any] | None = None) -> Divided:
    """How to divide, and then to add up."""
    ndim = len(call.geometry.shape)
    factors = tuple(
        table.spread(factor).reshape([-1 if axis == own else 1 for own in range(ndim)]).astype(call.computed)
        for axis, table, factor in zip(call.geometry.axes, call.geometry.tables, call.divisors, strict=True)
    )
    ones = [np.ones_like(factor) for factor in call.divisors]
    like = np.empty(call.geometry.output_shape, call.computed)
    sums = call._replace(operator=OPERATORS["sum"], divisors=ones, gy=like)
    return Divided(add_up(sums) if add_up else plan(sums)[1], factors)


class Gathered(NamedTuple):
    """How each element gathers from any windows that cover it."""

    call: Call

    def run(self, gy: Array, chosen: Array | None, gx: Array) -> None:
        """As `Plan.run`."""
        row, inverse, states = self.call.operator, self.call.geometry.inverse(), (chosen,) * 3
        fold.gather(row.name, row.pull, gy, gx, states, inverse, self.call.params, gx)  # type: ignore[arg-type]


class Choice(NamedTuple):
    """A way back, what it is for, and why."""

    name: str
    fits: Callable[[Call], bool]
    plan: Callable[[Call], Any]
    why: str


def slide_by_1(call: Call) -> bool:
    """Regular windows at each element, of large arrays."""
    axes = [table.regular and (table.regular[1], table.step) for table in call.geometry.tables]
    return all(axis == (1, 1) for axis in axes) and math.prod(call.geometry.shape) >= POOLED


def differ(call: Call) -> bool:
    """Windows with divisors of their own."""
    return any((factor != factor[0]).any() for factor in call.divisors)


CHOICES = (
    Choice(
        "taps",
        lambda call: call.kept == "taps",
        plan_taps,
        "each element gathers what the few windows around it chose",
    ),
    Choice(
        "scatter",
        lambda call: call.kept == "indices" and call.consecutive,
        plan_indices,
        "an index names the element that a gradient goes to",
    ),
    Choice(
        "gather",
        lambda call: call.kept == "indices",
        lambda call: Gathered(call._replace(gy=np.empty(0))),
        "planes that do not lie together: each element looks for its index in the windows around it",
    ),
    Choice("divided", differ, plan_divided, "windows have divisors of their own: shares first, then sums"),
    Choice("cells", are_cells, plan_cells, "windows side by side: each element has the share of one"),
    Choice("pooled", slide_by_1, plan_pooled, "at stride 1 the windows of an element slide as well"),
    Choice(
        "shares",
        lambda call: call.consecutive,
        plan_shares,
        "rows of gradients add up, and then along the row",
    ),
    Choice("pooled", lambda _: True, plan_pooled, "elements pool the gradients of their windows"),
)


def plan(call: Call) -> tuple[Choice, Any]:
    """The first choice that fits and has a plan for gradients to go back, and that."""
    found = ((choice, choice.plan(call)) for choice in CHOICES if choice.fits(call))
    return next(pair for pair in found if pair[1] is not None)


def plan_backward(*like: Any) -> Any:
    """The plan for what a `Call` has."""
    return plan(Call(*like))[1]


jit.register(half)
jit.register(fold)
jit.register(__name__, passes="apart")
read_block, read_spread, read_shares, read_tile = fields(Block), fields(Spread), fields(Shares), fields(Tile)
TILE_FIELDS = len(Tile._fields)
