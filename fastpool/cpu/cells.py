"""Windows side by side in one pass: 2x2, 2x2x2, 2x2 of channels, and small ones with the chosen elements.

Each element is read once and each result is written at once, so nothing is kept. The same pass looks for
NaNs. Another pass looks for them before in 2x2 cells of neighbours, and in cells of neighbours whose chosen
elements are wanted. It brings their rows into the first-level cache in the order of their addresses.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from .. import jit
from ..operators.line import Line
from . import half, passes, places, tasks
from .flags import clear_overflow, overflowed
from .memory import ahead, apart, fields, peek, pointer, poke, wide_registers
from .tasks import GRID, Plan, Reduction, begin, following, located, parted, read_grid


class Cells(NamedTuple):
    """Numbers of a call."""

    rows: int  # of output
    columns: int
    channels: int
    band: int  # rows and columns of output of a task, of which so many rows are taken at a time
    width: int
    height: int
    window: int  # rows and columns of a window
    across: int
    stride: int  # of the rows
    step: int  # of the columns
    pitch: int  # of the rows of input, and of output
    out_pitch: int
    slab: int  # distance of two slabs


read_cells = fields(Cells)


# Passes: some rows and columns of output, and whether there is a NaN in their windows ----------------------


def squares(uses, out, taps, x, g, scale, rows, count):
    """Cells of 2x2: four reads and a write each."""
    apart()
    (merge, _, _, finish, knobs, write, _), found = uses, False
    for r in range(rows):
        for j in range(count):
            at = r * g.stride * g.pitch + 2 * j
            upper, odd_above = two(uses, x, at, at + 1)
            lower, odd_below = two(uses, x, at + g.pitch, at + g.pitch + 1)
            found = bool(found | odd_above | odd_below)
            poke(out, r * g.out_pitch + j, write(finish(merge(upper, lower), scale, knobs)))
    return found


def cubes(uses, out, taps, x, g, scale, rows, count):
    """Cells of 2x2x2: eight reads and a write each."""
    apart()
    (merge, _, _, finish, knobs, write, _), found = uses, False
    for r in range(rows):
        for j in range(count):
            at = r * g.stride * g.pitch + 2 * j
            far = at + g.slab
            first, odd_first = two(uses, x, at, at + 1)
            second, odd_second = two(uses, x, at + g.pitch, at + g.pitch + 1)
            third, odd_third = two(uses, x, far, far + 1)
            fourth, odd_fourth = two(uses, x, far + g.pitch, far + g.pitch + 1)
            found = bool(found | odd_first | odd_second | odd_third | odd_fourth)
            value = merge(merge(first, second), merge(third, fourth))
            poke(out, r * g.out_pitch + j, write(finish(value, scale, knobs)))
    return found


def squares_of_channels(uses, out, taps, x, g, scale, rows, count):
    """Cells of 2x2 of channels: four reads and a write each."""
    apart()
    (merge, _, _, finish, knobs, write, _), found = uses, False
    for r in range(rows):
        for i in range(count):
            for j in range(g.channels):
                at = r * g.stride * g.pitch + i * g.step * g.channels + j
                upper, odd_above = two(uses, x, at, at + g.channels)
                lower, odd_below = two(uses, x, at + g.pitch, at + g.pitch + g.channels)
                found = bool(found | odd_above | odd_below)
                value = finish(merge(upper, lower), scale, knobs)
                poke(out, r * g.out_pitch + i * g.channels + j, write(value))
    return found


def two(uses, x, first, second):
    """Two elements of the input, merged, and whether one is NaN."""
    merge, read, lift, _, knobs, _, odd = uses
    a, b = peek(x, first), peek(x, second)
    return merge(lift(read(a), knobs), lift(read(b), knobs)), bool(odd(a) | odd(b))


def look(odd, x, g, rows, count):
    """Whether there is a NaN in the windows of some rows and columns of output."""
    length, found = (count - 1) * g.step + g.across, False
    if g.stride > g.window:  # what is between the windows is nobody's, and may be no memory
        for t in range(g.window):
            found = bool(found | passes.scan(odd, ahead(x, t * g.pitch), length, rows, g.stride * g.pitch))
        return found
    return passes.scan(odd, x, length, (rows - 1) * g.stride + g.window, g.pitch)


# Passes with the chosen elements ---------------------------------------------------------------------------


class Cell(NamedTuple):
    """A size that is compiled in, and whether cells are of channels.

    Taps are in numbers as long as what is compared, which fill registers alike.
    """

    height: int
    width: int
    of_channels: bool
    tap: str  # the dtype of taps


@cache
def chosen(width: int, dtype: str, count: int) -> Callable[..., Any]:
    """The value and the tap of the first `count` elements of a cell, and whether one is NaN."""
    row, column = divmod(count - 1, width)
    tap = np.dtype(dtype).type(count - 1)

    def element(uses, x, at, pitch, step):
        _, read, _, _, _, _, odd = uses
        bits = peek(x, at + row * pitch + column * step)
        return (read(bits), tap), odd(bits)

    jit.expression(element)
    if count == 1:
        return element
    earlier = chosen(width, dtype, count - 1)

    def merged(uses, x, at, pitch, step):
        first, odd_before = earlier(uses, x, at, pitch, step)
        second, odd = element(uses, x, at, pitch, step)
        return uses[0](first, second), bool(odd_before | odd)

    jit.expression(merged)
    return merged


@cache
def with_taps(cell: Cell) -> Callable[..., bool]:
    """What finds the value and the tap of each cell of some rows."""
    found_in, width = chosen(cell.width, cell.tap, cell.height * cell.width), cell.width

    def in_a_row(uses, out, taps, x, g, scale, rows, count):
        apart()
        (_, _, _, _, _, write, _), met = uses, False
        for r in range(rows):
            for j in range(count):
                found, odd = found_in(uses, x, r * g.stride * g.pitch + width * j, g.pitch, 1)
                met = bool(met | odd)
                poke(out, r * g.out_pitch + j, write(found[0]))
                poke(taps, r * g.out_pitch + j, np.int32(found[1]))
        return met

    def of_channels(uses, out, taps, x, g, scale, rows, count):
        apart()
        (_, _, _, _, _, write, _), met = uses, False
        for r in range(rows):
            for i in range(count):
                for j in range(g.channels):
                    at = r * g.stride * g.pitch + i * g.step * g.channels + j
                    found, odd = found_in(uses, x, at, g.pitch, g.channels)
                    met = bool(met | odd)
                    poke(out, r * g.out_pitch + i * g.channels + j, write(found[0]))
                    poke(taps, r * g.out_pitch + i * g.channels + j, np.int32(found[1]))
        return met

    one_pass = of_channels if cell.of_channels else in_a_row
    jit.outlined(one_pass)
    return one_pass


# Kernels -------------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """What a kernel is compiled for: what is wanted, the operator, and how elements are stored."""

    form: str  # of the cells
    one_pass: Callable[..., bool]
    looks: bool  # for NaNs before the pass
    chosen: str
    name: str
    line: Line
    source: str
    target: str


FIRST = GRID + len(Cells._fields)  # where the numbers of places are


@cache
def kernel(kind: Kind, *, careful: bool) -> Callable[..., None]:
    """All cells of some tasks: a pass reads each element once and writes each result once.

    Where the kernel `looks` for NaNs, extremes have another pass before. It brings a few rows into cache, and
    the second pass reads them there again. There is no buffer.
    """
    line, one_pass, digest = kind.line, kind.one_pass, jit.source_digest()
    merge, odd, finish, write, watches = tasks.expressions_of(kind, careful=careful)
    odd = passes.never if careful else odd  # that there are NaNs is known then
    read, lift, tell, placed = half.READ[kind.source], line.lift, places.TOLD[kind.chosen], bool(kind.chosen)
    before, inside = (look, passes.never) if kind.looks else (passes.never, odd)

    def walk(arrays, tables, memory, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        if watches:
            clear_overflow()
        x_all, y_all, taps_all, like, met = arrays
        outer, leads, numbers, scales, _, _ = tables
        grid, g = read_grid(numbers, 0), read_cells(numbers, GRID)
        uses = merge, read, lift, finish, (like[1], like[2], like[3]), write, inside
        scale, found = scales[0], False
        place = begin(grid, first)
        for _ in range(first, last):
            x_at, y_at = located(grid, outer, leads, place)
            tile, band, _, _, _ = place
            left, end = tile * g.width, min((band + 1) * g.band, g.rows)
            count = min(g.width, g.columns - left)
            for top in range(band * g.band, end, g.height):
                rows, at = min(g.height, end - top), y_at + top * g.out_pitch + left * g.channels
                x = ahead(pointer(x_all), x_at + top * g.stride * g.pitch + left * g.step * g.channels)
                out, taps = ahead(pointer(y_all), at), ahead(pointer(taps_all), at if placed else 0)
                found = bool(found | before(odd, x, g, rows, count))
                found = bool(found | one_pass(uses, out, taps, x, g, scale, rows, count))
                tell(numbers, FIRST, taps, top, rows, left, count, g.channels, g.out_pitch)
            place = following(grid, place)
        if overflowed() if watches else found:
            met[0] = 1

    how = f"{kind.form}_{kind.name}" + f"_{kind.chosen}" * placed
    return jit.kernel(walk, tasks.named(how, kind, careful=careful))


# Which windows -------------------------------------------------------------------------------------------


def pairs_of_rows(r: Reduction) -> bool:
    """Whether windows are of two rows, none in the padding, and all scaled alike."""
    row = r.shape.row
    inside = row.window == 2 and row.step == 1 and not row.padded()
    return inside and r.uniform and not r.placed and len({lead.slabs for lead in r.leads}) == 1


def side_by_side(r: Reduction) -> bool:
    """Whether windows along the columns are pairs of single elements that lie side by side."""
    columns = r.shape.columns
    fits = r.shape.channels == 1 and columns.window == columns.stride == 2 and columns.step == 1
    least = r.limits.row_of_lifted if r.lifted else r.limits.row_of_cells
    return fits and not columns.padded() and columns.outputs >= least


def are_squares(r: Reduction) -> bool:
    """Values of 2x2 of single elements, whose columns lie side by side; none is in the padding."""
    return pairs_of_rows(r) and side_by_side(r) and len(r.leads[0].slabs) == 1


def are_cubes(r: Reduction) -> bool:
    """Values of 2x2x2 of single elements, whose columns lie side by side; none is in the padding."""
    return pairs_of_rows(r) and side_by_side(r) and len(r.leads[0].slabs) == 2


def are_squares_of_channels(r: Reduction) -> bool:
    """Values of 2x2 of many channels at any stride; none is in the padding."""
    columns = r.shape.columns
    fits = (
        r.shape.channels >= r.limits.channels
        and columns.window == 2
        and columns.step == 1
        and not columns.padded()
    )
    return pairs_of_rows(r) and fits and len(r.leads[0].slabs) == 1


SIZES = frozenset(((2, 2), (3, 3), (4, 4), (1, 2), (1, 3), (1, 4)))  # that are compiled in


def are_chosen(r: Reduction) -> bool:
    """Cells of one of the `SIZES` whose chosen elements are wanted, none of them in the padding.

    They lie side by side in a row, or are of many channels at any stride.
    """
    row, columns = r.shape.row, r.shape.columns
    single = r.placed and len(r.leads) == 1 and not r.shape.leading and row.step == columns.step == 1
    inside = not row.padded() and not columns.padded() and (row.window, columns.window) in SIZES
    beside = columns.window == columns.stride and columns.outputs >= r.limits.row_of_cells
    return single and inside and (beside if r.shape.channels == 1 else r.shape.channels >= r.limits.channels)


def plan_chosen(r: Reduction) -> Plan:
    """How to find values and chosen elements of cells."""
    tap = "float32" if r.line.itemsize >= 4 else f"int{8 * r.line.itemsize}"
    cell = Cell(r.shape.row.window, r.shape.columns.window, r.shape.channels > 1, tap)
    form = f"cells_{cell.height}x{cell.width}" + "_of_channels" * cell.of_channels
    return plan(with_taps(cell), r, form=form, looks=not cell.of_channels)


def plan(one_pass: Callable[..., bool], r: Reduction, *, form: str = "", looks: bool = False) -> Plan:
    """How to reduce cells by one of the passes; `form` names these, if the pass does not."""
    numbers, blocks = numbers_of(r)
    kind = Kind(form or one_pass.__name__, one_pass, looks, r.chosen, r.name, r.line, r.source, r.target)
    return r.plan(partial(kernel, kind), (*numbers, *places.places_of(r.shape)), blocks)


READ, MOST_READ = 4_000, 1_000  # bytes of input, and elements, that are read at a time


def numbers_of(r: Reduction) -> tuple[Cells, tuple[int, int]]:
    """The numbers of a call, and how many blocks a plane has."""
    shape, slabs = r.shape, r.leads[0].slabs
    row, columns, channels = shape.row, shape.columns, shape.channels
    size = row.stride * columns.size * channels * len(slabs)
    near = min(MOST_READ, READ // shape.itemsize)
    near *= min(4, shape.itemsize) if shape.leading else 1  # slabs that take turns stop the read-ahead
    height = min(row.outputs, max(1, round(near / size)))
    band = min(row.outputs, height * max(1, r.limits.block // (height * size)))
    width = parted(columns.outputs, max(1, r.limits.whole_row // (4 * channels)))
    numbers = Cells(
        row.outputs,
        columns.outputs,
        channels,
        band,
        width,
        height,
        row.window,
        columns.window,
        row.stride,
        columns.stride,
        row.pitch,
        row.out_pitch,
        slabs[-1][0] - slabs[0][0],
    )
    return numbers, (-(-row.outputs // band), -(-columns.outputs // width))


jit.register(__name__, passes="apart")
