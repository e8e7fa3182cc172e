"""What several kernels share: passes over rows that are `pitch` elements apart, and how results are given."""

import numpy as np

from .. import jit
from . import half
from .memory import ahead, apart, move_4, move_8, peek, pointer, pointers, poke

BLOCK = 48  # rows that merge one group after the other

read_half, read_bfloat16 = half.READ["float16"], half.READ["bfloat16"]


def never(*arguments):
    """In place of the question whether an element is NaN, of operators that lose none."""
    return False


def scan(odd, x, count, repeat, pitch):
    """Whether there is a NaN."""
    apart()
    found = False
    if pitch == count:  # rows run on
        count, repeat = count * repeat, 1
    for r in range(repeat):
        for j in range(count):
            found = bool(found | odd(peek(x, r * pitch + j)))
    return found


def fill(out, blank, count):
    """One value everywhere."""
    apart()
    for j in range(count):
        poke(out, j, blank)


def convert(odd, read, lift, knobs, out, x, count):
    """A row of input as what is computed with, and whether there is a NaN."""
    apart()
    found = False
    for j in range(count):
        value = peek(x, j)
        found = bool(found | odd(value))
        poke(out, j, lift(read(value), knobs))
    return found


# Merging: one pass over up to four rows, or over three more onto what is there ------------------------------


def merge_in(expression, take, give, uses, out, rows, count, repeat, pitches):
    """Rows merged by an expression, of what `take` reads; `give` makes of each what is written."""
    apart()
    (a, b, c, d), (out_pitch, a_pitch, pitch) = rows, pitches
    for r in range(repeat):
        for j in range(count):
            o, first, i = r * out_pitch + j, r * a_pitch + j, r * pitch + j
            poke(out, o, give(uses, expression(uses[0], take, out, o, a, first, b, c, d, i)))


def of_1(merge, take, out, o, a, first, b, c, d, i):
    """One row."""
    return take(a, first)


def of_2(merge, take, out, o, a, first, b, c, d, i):
    """Two rows."""
    return merge(take(a, first), take(b, i))


def of_3(merge, take, out, o, a, first, b, c, d, i):
    """Three rows."""
    return merge(merge(take(a, first), take(b, i)), take(c, i))


def of_4(merge, take, out, o, a, first, b, c, d, i):
    """Four rows."""
    return merge(merge(take(a, first), take(b, i)), merge(take(c, i), take(d, i)))


def onto_3(merge, take, out, o, a, first, b, c, d, i):
    """Three more, which merge first: so what is there goes through one merge."""
    return merge(peek(out, o), merge(merge(take(b, i), take(c, i)), take(d, i)))


def as_line(x, i):
    """An element of a line."""
    return peek(x, i)


def as_half(x, i):
    """A float16 of the input."""
    return read_half(peek(x, i))


def as_bfloat16(x, i):
    """A bfloat16 of the input."""
    return read_bfloat16(peek(x, i))


def as_double(x, i):
    """An element of the input as a float64."""
    return np.float64(peek(x, i))


def half_as_double(x, i):
    """A float16 of the input as a float64."""
    return np.float64(read_half(peek(x, i)))


def bfloat16_as_double(x, i):
    """A bfloat16 of the input as a float64."""
    return np.float64(read_bfloat16(peek(x, i)))


TAKE = {"native": as_line, "float16": as_half, "bfloat16": as_bfloat16}
TAKE_DOUBLE = {"native": as_double, "float16": half_as_double, "bfloat16": bfloat16_as_double}


def unfinished(uses, value):
    """Of a line."""
    return value


def finished(uses, value):
    """Of the result; all are scaled alike."""
    _, finish, write, scale, knobs = uses
    return write(finish(value, scale, knobs))


def merge_few(take, give, uses, out, rows, number, count, repeat, pitches):
    """One to four rows merged."""
    if number == 1:
        merge_in(of_1, take, give, uses, out, rows, count, repeat, pitches)
    elif number == 2:
        merge_in(of_2, take, give, uses, out, rows, count, repeat, pitches)
    elif number == 3:
        merge_in(of_3, take, give, uses, out, rows, count, repeat, pitches)
    else:
        merge_in(of_4, take, give, uses, out, rows, count, repeat, pitches)


def four(x, taps, number):
    """The rows at the first of some taps; the last where there are fewer."""
    a, b = ahead(x, peek(taps, 0)), ahead(x, peek(taps, min(1, number - 1)))
    return a, b, ahead(x, peek(taps, min(2, number - 1))), ahead(x, peek(taps, min(3, number - 1)))


def merge_all(take, uses, out, x, taps, count, size, repeat, out_pitch, pitch):
    """Merge the rows at `taps`, as `take` reads them: so many that threes are left, then these."""
    done = count if count < 3 else 2 + (count + 1) % 3  # 2, 3 or 4
    first = four(x, taps, count)
    merge_few(take, unfinished, uses, out, first, done, size, repeat, (out_pitch, pitch, pitch))
    while done < count:
        b, c, d = ahead(x, peek(taps, done)), ahead(x, peek(taps, done + 1)), ahead(x, peek(taps, done + 2))
        merge_in(onto_3, take, unfinished, uses, out, (b, b, c, d), size, repeat, (out_pitch, pitch, pitch))
        done += 3


def merge_onto(uses, out, x, count):
    """Merge a row onto another."""
    apart()
    merge = uses[0]
    for j in range(count):
        poke(out, j, merge(peek(out, j), peek(x, j)))


def merge_blocks(take, uses, out, spare, x, taps, count, size, repeat, out_pitch, pitch):
    """As `merge_all`, block by block, so that no row goes through many merges; `spare` holds a block."""
    done = 0
    while done < count:
        own, to = min(BLOCK, count - done), out if done == 0 else spare
        merge_all(take, uses, to, x, ahead(taps, done), own, size, repeat, out_pitch, pitch)
        for r in range(repeat if done > 0 else 0):
            merge_onto(uses, ahead(out, r * out_pitch), ahead(spare, r * out_pitch), size)
        done += own


def merge_to(give, uses, out, spare, x, taps, count, size, repeat, out_pitch, pitch):
    """As `merge_all`, and give what was merged; `spare` holds what is not finished."""
    if count <= 4:
        first = four(x, taps, count)
        merge_few(as_line, give, uses, out, first, count, size, repeat, (out_pitch, pitch, pitch))
        return
    merge_all(as_line, uses, spare, x, taps, count - 3, size, repeat, size, pitch)
    _, b, c, d = four(x, ahead(taps, count - 4), 4)
    merge_in(of_4, as_line, give, uses, out, (spare, b, c, d), size, repeat, (out_pitch, size, pitch))


# Along a row -----------------------------------------------------------------------------------------------


def merge_cells(expression, give, uses, out, x, count, repeat, out_pitch, pitch):
    """Neighbours merged by an expression."""
    apart()
    for r in range(repeat):
        row = ahead(x, r * pitch)
        for j in range(count):
            poke(out, r * out_pitch + j, give(uses, expression(uses[0], row, j)))


def pair(merge, x, j):
    """Two neighbours."""
    return merge(peek(x, 2 * j), peek(x, 2 * j + 1))


def triple(merge, x, j):
    """Three neighbours."""
    return merge(merge(peek(x, 3 * j), peek(x, 3 * j + 1)), peek(x, 3 * j + 2))


def split_2(out, far, x, count):
    """Every second element to a line of its own, `far` from the other one."""
    apart()
    other = ahead(out, far)
    for j in range(count):
        poke(out, j, peek(x, 2 * j))
        poke(other, j, peek(x, 2 * j + 1))


def split_3(out, far, x, count):
    """Every third element to a line of its own."""
    apart()
    second, third = ahead(out, far), ahead(out, 2 * far)
    for j in range(count):
        poke(out, j, peek(x, 3 * j))
        poke(second, j, peek(x, 3 * j + 1))
        poke(third, j, peek(x, 3 * j + 2))


def split_4(out, far, x, count):
    """Every fourth element to a line of its own."""
    apart()
    second, third, fourth = ahead(out, far), ahead(out, 2 * far), ahead(out, 3 * far)
    for j in range(count):
        poke(out, j, peek(x, 4 * j))
        poke(second, j, peek(x, 4 * j + 1))
        poke(third, j, peek(x, 4 * j + 2))
        poke(fourth, j, peek(x, 4 * j + 3))


def split(out, far, x, stride, phases, count):
    """The elements of each of the first phases of a stride to a line of its own, `far` from the next one."""
    if stride == 2:
        split_2(out, far, x, count)
    elif stride == 3:
        split_3(out, far, x, count)
    elif stride == 4:
        split_4(out, far, x, count)
    else:
        for phase in range(phases):
            every(ahead(out, phase * far), ahead(x, phase), stride, count)


def split_cells(out, far, x, stride, channels, count):
    """As `split`, of cells of channels; up to three elements behind the last line are overwritten."""
    for phase in range(stride):
        to, source = ahead(out, phase * far), ahead(x, phase * channels)
        if channels <= 4:
            pick_cells(move_4, to, source, channels, stride * channels, count)
        elif channels <= 8:
            pick_cells(move_8, to, source, channels, stride * channels, count)
        else:
            for i in range(count):
                copy(ahead(to, i * channels), ahead(source, i * stride * channels), channels)


def copy(out, x, count):
    """A line."""
    apart()
    for j in range(count):
        poke(out, j, peek(x, j))


def every(out, x, stride, count):
    """The elements at a stride."""
    apart()
    for j in range(count):
        poke(out, j, peek(x, j * stride))


def pick_cells(move, out, x, size, step, count):
    """Cells of `size` elements, each with what follows it, which the next cell overwrites."""
    apart()
    for i in range(count):
        move(out, i * size, x, i * step)


def give_line(give, uses, out, x, count):
    """Elements of a line as results."""
    apart()
    for j in range(count):
        poke(out, j, give(uses, peek(x, j)))


def pick(give, uses, out, x, stride, count, repeat, out_pitch, pitch):
    """The elements at a stride, as results."""
    apart()
    for r in range(repeat):
        for j in range(count):
            poke(out, r * out_pitch + j, give(uses, peek(x, r * pitch + j * stride)))


def scaled(uses, out, x, across, down, count, repeat, out_pitch, pitch):
    """Results of which each has a scale of its own."""
    apart()
    _, finish, write, _, knobs = uses
    for r in range(repeat):
        for j in range(count):
            value = finish(peek(x, r * pitch + j), peek(across, j) * peek(down, r), knobs)
            poke(out, r * out_pitch + j, write(value))


def give(finish, knobs, write, out, places, j, found, scale):
    """A result; there are no `places`."""
    poke(out, j, write(finish(found, scale, knobs)))


def give_placed(finish, knobs, write, out, places, j, found, scale):
    """A value and its tap."""
    poke(out, j, write(found[0]))
    poke(places, j, found[1])


def moved(pair, shift):
    """A pair of value and tap, the tap so much further."""
    return pair[0], np.int32(pair[1] + shift)


def line_of(memory):
    """The memory of lines of values."""
    return pointer(memory[0])


def line_of_pairs(memory):
    """The memory of lines of values and places."""
    return pointers(memory)


def number(rows: int) -> int:
    """How many passes `merge_all` takes."""
    return 1 + max(0, rows - 2) // 3


def chain(rows: int) -> int:
    """The longest chain of merges that one of so many rows goes through in `merge_blocks`."""
    return 3 + min(rows, BLOCK) // 3 + rows // BLOCK


jit.register(half)
jit.register(__name__, forceinline=False)
