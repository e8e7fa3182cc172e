"""Regular windows as passes over contiguous lines: what makes pooling as fast as reading its input.

A window is reduced along the last axis first and then over its rows, so that of equal elements the first in
row-major order wins. Every pass is a loop over contiguous memory that the compiler turns into vector code.
Two plans:

direct    each row's windows, a few elements apiece, go to a line in cache; lines merge into a row of outputs
doubling  a tile is copied with its padding, and its windows double: 1, 2, 4, ... elements, or one more.
          Cost grows with the logarithm of the window.

Both leave further pooled axes (depth) as a loop over slabs, and treat the channels behind the last pooled
axis as part of the line. Kernels merge by expressions that may lose a NaN and say whether they met one; if so
the call is made once more by expressions that keep it.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from .. import jit
from ..operators import Line
from . import half
from .memory import empty, load, peek, poke, store

# Fields of an axis in numbers, as `plans.Regular` lists them.
SIZE, OUTPUTS, WINDOW, STRIDE, BEFORE, STEP, PITCH, OUT_PITCH, BEGIN, END = range(10)


INLINED = ("along", "reduce_rows")  # by numba: what carries a constant stride


class Kind(NamedTuple):
    """What a kernel is compiled for; a stride or step of 0 is a run-time number.

    Keyed kernels merge keys of value and place, and write both.
    """

    name: str
    line: Line
    careful: bool
    source: str
    target: str
    stride: int
    step: int
    placed: bool


# Passes over lines: `count` values of an array from an offset --------------------------------------------


def lifted(read, element, x, at, base):
    """What lines hold of an element: its value, or the pair of it and its offset in the plane."""
    return element(read(peek(x, at)), at - base)


def join(merge, out, o, x, a, b, count):
    for j in range(count):
        store(out, o + j, merge(load(x, a + j), load(x, b + j)))


def join_more(merge, out, o, x, a, count):
    for j in range(count):
        store(out, o + j, merge(load(out, o + j), load(x, a + j)))


def join_three(merge, out, o, x, a, b, z, c, count):
    for j in range(count):
        store(out, o + j, merge(merge(load(x, a + j), load(x, b + j)), load(z, c + j)))


def copy(out, o, x, a, count):
    for j in range(count):
        store(out, o + j, load(x, a + j))


def take(read, element, out, o, x, a, base, count):
    for j in range(count):
        store(out, o + j, lifted(read, element, x, a + j, base))


def fill(out, o, value, count):
    for j in range(count):
        store(out, o + j, value)


def count_nans(odd, x, a, count):
    found = np.int32(0)
    for j in range(count):
        found += np.int32(1) if odd(peek(x, a + j)) else np.int32(0)
    return found


def put(finish, write, out, o, line, a, scales, s, factor, count):
    for j in range(count):
        poke(out, o + j, write(finish(load(line, a + j), peek(scales, s + j) * factor)))


def put_placed(write, out, o, places, line, a, channels, count):
    for j in range(count):
        value, offset = load(line, a + j)
        poke(out, o + j, write(value))
        poke(places, o + j, offset if channels == 1 else offset // channels)


def put_uniform(finish, write, out, o, line, a, scale, count):
    for j in range(count):
        poke(out, o + j, write(finish(load(line, a + j), scale)))


def join_apart(merge, read, element, out, o, x, a, base, stride, count):
    """One more element of each window; not among `INLINED`: with a constant stride this would be a gather."""
    for j in range(count):
        store(out, o + j, merge(load(out, o + j), lifted(read, element, x, a + j * stride, base)))


def along(merge, read, element, out, o, x, a, base, window, stride, step, count):
    """Windows at a regular distance, all of them within the values from `a` on."""
    done = min(window, 3)
    if stride > 4:  # too far apart for vectors: one window after the other
        done = window
        for j in range(count):
            cell = lifted(read, element, x, a + j * stride, base)
            for tap in range(1, window):
                cell = merge(cell, lifted(read, element, x, a + j * stride + tap * step, base))
            store(out, o + j, cell)
    elif window == 1:
        for j in range(count):
            store(out, o + j, lifted(read, element, x, a + j * stride, base))
    elif window == 3 and stride == 1:  # at other strides the third load would be a gather
        for j in range(count):
            at = a + j * stride
            pair = merge(lifted(read, element, x, at, base), lifted(read, element, x, at + step, base))
            store(out, o + j, merge(pair, lifted(read, element, x, at + 2 * step, base)))
    elif window == 4:
        done = 4
        for j in range(count):
            at = a + j * stride
            pair = merge(lifted(read, element, x, at, base), lifted(read, element, x, at + step, base))
            at += 2 * step
            last = merge(lifted(read, element, x, at, base), lifted(read, element, x, at + step, base))
            store(out, o + j, merge(pair, last))
    else:
        done = 2
        for j in range(count):
            at = a + j * stride
            left, right = lifted(read, element, x, at, base), lifted(read, element, x, at + step, base)
            store(out, o + j, merge(left, right))
    for tap in range(done, window):
        join_apart(merge, read, element, out, o, x, a + tap * step, base, stride, count)


def at_the_edge(merge, read, element, out, o, x, a, base, rows, pitch, output, axis, channels):
    """One window of each row, that reaches into the padding; `o` and `a` are where the rows begin."""
    start = output * axis[STRIDE] - axis[BEFORE]
    first = max(0, -(start // axis[STEP]))
    taps = min(axis[WINDOW], -((start - axis[SIZE]) // axis[STEP])) - first
    step = axis[STEP] * channels
    for i in range(rows):
        at = a + i * pitch + start * channels + first * step
        for c in range(channels):
            cell = lifted(read, element, x, at + c, base)
            for tap in range(1, taps):
                cell = merge(cell, lifted(read, element, x, at + c + tap * step, base))
            store(out, o + (i * axis[OUTPUTS] + output) * channels + c, cell)


def reduce_rows(merge, read, element, out, o, x, a, base, rows, pitch, axis, channels, stride, step):
    """Every window along `rows` rows that are `pitch` apart, the results one row after the other.

    Rows are cut into runs of windows that one pass serves: cells of channels, rows, or all rows at once where
    no window leaves its cell, or at stride 1, where those across two rows are replaced by the edges' own.
    """
    outputs, begin = axis[OUTPUTS], axis[BEGIN]
    inside = max(0, axis[END] - begin)
    contiguous = pitch == axis[SIZE] * channels
    cells = contiguous and inside == outputs and axis[SIZE] == outputs * axis[STRIDE]
    lines, pieces = rows, 1
    count, advance = inside * channels, channels
    if contiguous and axis[STRIDE] == 1 and outputs == axis[SIZE]:
        lines, count = 1, max(0, (rows * outputs - (axis[WINDOW] - 1) * axis[STEP]) * channels)
        begin = axis[BEFORE]
    elif cells and channels == 1:
        lines, count = 1, rows * outputs
    elif channels > 1 and axis[STRIDE] > 1:
        pieces, count = inside, channels
    for i in range(lines):
        into = o + (i * outputs + begin) * channels
        corner = a + i * pitch + (begin * axis[STRIDE] - axis[BEFORE]) * channels
        for j in range(pieces):
            at, near = into + j * advance, corner + j * axis[STRIDE] * channels
            along(merge, read, element, out, at, x, near, base, axis[WINDOW], stride, step, count)
    for output in range(outputs):
        if output < axis[BEGIN] or output >= axis[END]:
            at_the_edge(merge, read, element, out, o, x, a, base, rows, pitch, output, axis, channels)


def merge_rows(merge, out, o, rows, top, bottom, width, axis, first):
    """Output rows top..bottom from lines of input rows, the first of them input row `first`."""
    output = top
    while output < bottom:
        start = output * axis[STRIDE] - axis[BEFORE]
        tap = max(0, -(start // axis[STEP]))
        last = min(axis[WINDOW], -((start - axis[SIZE]) // axis[STEP]))
        a = (start + tap * axis[STEP] - first) * width
        step = axis[STEP] * width
        together = 1
        if axis[STRIDE] == 1 and axis[BEGIN] <= output < axis[END]:
            together = min(bottom, axis[END]) - output  # whole windows at stride 1 are one long line
        count, into = together * width, o + (output - top) * width
        if last - tap == 1:
            copy(out, into, rows, a, count)
        else:
            join(merge, out, into, rows, a, a + step, count)
            for more in range(2, last - tap):
                join_more(merge, out, into, rows, a + more * step, count)
        output += together


def double(merge, x, a, b, size, window, step):
    """Windows of `window` values `step` apart, by doubling: 1, 2 or 3, ... as the bits of `window` say.

    Returns the buffer that holds them, two that are free, and how many values are valid.
    """
    bits = 0
    while window >> bits > 1:
        bits += 1
    found, target, spare = x, a, b
    for bit in range(bits - 1, -1, -1):
        have, more = window >> (bit + 1), window >> bit
        size -= (more - have) * step
        if more == 2 * have:
            join(merge, target, 0, found, 0, have * step, size)
        else:
            join_three(merge, target, 0, found, 0, have * step, x, 2 * have * step, size)
        found, target, spare = target, spare, target
    return found, target, x if bits else b, size


# Kernels -------------------------------------------------------------------------------------------------


@cache
def direct(kind: Kind) -> Callable[..., None]:
    """The kernel of the direct plan."""
    line = kind.line
    merge = line.careful if kind.careful and line.careful else line.merge
    finish, read, write, element = line.finish, half.READ[kind.source], half.WRITE[kind.target], line.element
    odd, looks = half.IS_NAN[kind.source], line.careful is not None and not kind.careful
    fixed_stride, fixed_step, digest = kind.stride, kind.step, jit.source_digest()
    placed = kind.placed

    def walk(arrays, tables, numbers, weights, channels, first, last):
        _ = digest  # captured, and so part of the cache key
        values, out, places, like, met = arrays
        outer, slabs, lead = tables
        row, columns, tile = numbers
        scales, factors, uniform = weights
        stride = fixed_stride if fixed_stride else columns[STRIDE]
        step = fixed_step if fixed_step else columns[STEP] * channels
        height, width, length = tile[0], columns[OUTPUTS] * channels, columns[SIZE] * channels
        blocks = (row[OUTPUTS] + height - 1) // height
        alone = row[WINDOW] == 1 and row[STRIDE] == 1
        lines = empty(((height - 1) * row[STRIDE] + (row[WINDOW] - 1) * row[STEP] + 1) * width, like, placed)
        block, total = empty(height * width, like, placed), empty(height * width, like, placed)
        nans = 0
        for task in range(first, last):
            number, rest = task % blocks, task // blocks
            depth, plane = rest % lead.shape[0], rest // lead.shape[0]
            top = number * height
            bottom = min(top + height, row[OUTPUTS])
            above = top * row[STRIDE] - row[BEFORE]
            low = max(0, above)
            reach = (bottom - 1 - top) * row[STRIDE] + (row[WINDOW] - 1) * row[STEP]
            count, size = min(row[SIZE], above + reach + 1) - low, (bottom - top) * width
            done, base = block, outer[0, plane]
            for slab in range(lead[depth, 0], lead[depth, 1]):
                corner = base + slabs[slab] + low * row[PITCH]
                if looks:
                    pieces = 1 if row[PITCH] == length else count
                    for i in range(pieces):
                        nans += count_nans(odd, values, corner + i * row[PITCH], count * length // pieces)
                if alone:
                    done = lines
                pitch = row[PITCH]
                reduce_rows(
                    merge,
                    read,
                    element,
                    lines,
                    0,
                    values,
                    corner,
                    base,
                    count,
                    pitch,
                    columns,
                    channels,
                    stride,
                    step,
                )
                if not alone:
                    merge_rows(merge, block, 0, lines, top, bottom, width, row, low)
                if lead[depth, 1] - lead[depth, 0] > 1:
                    if slab == lead[depth, 0]:
                        copy(total, 0, done, 0, size)
                    else:
                        join_more(merge, total, 0, done, 0, size)
            if lead[depth, 1] - lead[depth, 0] > 1:
                done = total
            start = outer[1, plane] + lead[depth, 2]
            if placed:
                at = start + top * width
                put_placed(write, out, at, places, done, 0, channels, size)
                continue
            if uniform and row[OUT_PITCH] == width:
                at = start + top * width
                put_uniform(finish, write, out, at, done, 0, scales[0] * factors[depth, 0], size)
                continue
            for output in range(top, bottom):
                at, a, factor = (
                    start + output * row[OUT_PITCH],
                    (output - top) * width,
                    factors[depth, output],
                )
                put(finish, write, out, at, done, a, scales, 0, factor, width)
        if nans:
            met[0] = 1

    return jit.kernel(walk, f"direct_{_label(kind)}_s{kind.stride}_d{kind.step}")


@cache
def doubling(kind: Kind) -> Callable[..., None]:
    """The kernel of the doubling plan."""
    line = kind.line
    merge = line.careful if kind.careful and line.careful else line.merge
    finish, read, write, element = line.finish, half.READ[kind.source], half.WRITE[kind.target], line.element
    odd, looks = half.IS_NAN["native"], line.careful is not None and not kind.careful
    placed, digest = kind.placed, jit.source_digest()

    def walk(arrays, tables, numbers, weights, channels, first, last):
        _ = digest  # captured, and so part of the cache key
        values, out, places, like, met = arrays
        outer, slabs, lead = tables
        row, columns, tile = numbers
        scales, factors, _ = weights
        height, width, deep = tile[0], tile[1], tile[2]
        down, across = (row[OUTPUTS] + height - 1) // height, (columns[OUTPUTS] + width - 1) // width
        layers = (channels + deep - 1) // deep
        most = ((height - 1) * row[STRIDE] + (row[WINDOW] - 1) * row[STEP] + 1) * deep
        most *= (width - 1) * columns[STRIDE] + (columns[WINDOW] - 1) * columns[STEP] + 1
        a, b, c = empty(most, like, placed), empty(most, like, placed), empty(most, like, placed)
        total = empty(most if slabs.size > lead.shape[0] else 0, like, placed)
        blank, nans = element(like[0], 0), 0
        for task in range(first, last):
            layer, rest = task % layers, task // layers
            column, rest = rest % across, rest // across
            line, rest = rest % down, rest // down
            depth, plane = rest % lead.shape[0], rest // lead.shape[0]
            top, left, front = line * height, column * width, layer * deep
            bottom, right = min(top + height, row[OUTPUTS]), min(left + width, columns[OUTPUTS])
            thick = min(deep, channels - front)
            high = (bottom - top - 1) * row[STRIDE] + (row[WINDOW] - 1) * row[STEP] + 1
            wide = (right - left - 1) * columns[STRIDE] + (columns[WINDOW] - 1) * columns[STEP] + 1
            y0, x0 = top * row[STRIDE] - row[BEFORE], left * columns[STRIDE] - columns[BEFORE]
            skip, stop = max(0, -x0), max(0, min(wide, columns[SIZE] - x0))
            pitch = wide * thick
            found, size, origin = a, 0, outer[0, plane]
            for slab in range(lead[depth, 0], lead[depth, 1]):
                corner = origin + slabs[slab] + front
                for i in range(high):
                    if y0 + i < 0 or y0 + i >= row[SIZE]:
                        fill(a, i * pitch, blank, pitch)
                        continue
                    fill(a, i * pitch, blank, skip * thick)
                    fill(a, i * pitch + stop * thick, blank, (wide - stop) * thick)
                    at = corner + (y0 + i) * row[PITCH] + (x0 + skip) * channels
                    if thick == channels:
                        take(
                            read,
                            element,
                            a,
                            i * pitch + skip * thick,
                            values,
                            at,
                            origin,
                            (stop - skip) * thick,
                        )
                    else:
                        for j in range(skip, stop):
                            pixel = at + (j - skip) * channels
                            take(read, element, a, i * pitch + j * thick, values, pixel, origin, thick)
                size = high * pitch
                if looks:
                    nans += count_nans(odd, a[0] if placed else a, 0, size)
                found, free, other, size = double(
                    merge, a, b, c, size, columns[WINDOW], columns[STEP] * thick
                )
                found, free, other, size = double(
                    merge, found, free, other, size, row[WINDOW], row[STEP] * pitch
                )
                if lead[depth, 1] - lead[depth, 0] > 1:
                    if slab == lead[depth, 0]:
                        copy(total, 0, found, 0, size)
                    else:
                        join_more(merge, total, 0, found, 0, size)
                    found = total
            for output in range(top, bottom):
                at = outer[1, plane] + lead[depth, 2] + output * row[OUT_PITCH] + left * channels + front
                base, weight = (output - top) * row[STRIDE] * pitch, left * channels + front
                factor, whole = factors[depth, output], columns[STRIDE] == 1 and thick == channels
                if placed:
                    # A row at once, or cell by cell.
                    cells = (right - left) * channels if whole else thick
                    for j in range(1 if whole else right - left):
                        cell, over = base + j * columns[STRIDE] * thick, j * channels
                        put_placed(write, out, at + over, places, found, cell, channels, cells)
                    continue
                if whole:
                    cells = (right - left) * channels
                    put(finish, write, out, at, found, base, scales, weight, factor, cells)
                    continue
                for j in range(right - left):
                    cell = base + j * columns[STRIDE] * thick
                    over = j * channels
                    put(finish, write, out, at + over, found, cell, scales, weight + over, factor, thick)
        if nans:
            met[0] = 1

    return jit.kernel(walk, f"doubling_{_label(kind)}")


def _label(kind: Kind) -> str:
    careful = "_careful" if kind.careful else "_placed" if kind.placed else ""
    return f"{kind.name}{careful}_{kind.source}_{kind.line.dtype}_{kind.target}"


jit.register(half)
jit.register(__name__)
