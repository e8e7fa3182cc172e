"""Regular windows as passes over contiguous lines: what makes pooling as fast as reading its input.

`program` writes, for every shape of block, a short list of steps; the kernel here carries it out for each
block. A step is one pass: a loop over contiguous memory that the compiler turns into vector code. Input is
read in blocks that fit the first-level cache, so every pass after the first works in cache. Windows are
reduced along the last axis first and then over rows and slabs, so that of equal elements the first in
row-major order wins; rows merge first only where no order shows.

Kernels merge by expressions that may lose a NaN and say whether they met one; if so the call is made once
more by expressions that keep it. Those that add say whether a sum overflowed; if so, and if a result is not
finite, the general skeleton makes the call once more.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

import numpy as np

from .. import jit
from ..operators.line import Line, may_overflow
from . import half
from .flags import clear_overflow, overflowed
from .memory import (
    ahead,
    apart,
    bare,
    choose,
    load,
    peek,
    pointer,
    pointers,
    poke,
    store,
    values,
    wide_registers,
)
from .passes import scan

# Steps, and their fields. `OUT` and the sources `A`, `B`, `C` are offsets; a pass repeats over rows that are
# the pitches apart. `FROM` tells where sources are: `A`, `B` and `C` in the input (1, 2, 4) or in scratch
# memory, and that all are `BARE`, values alone, where elements are pairs of value and place.
SCAN, TAKE, FILL, COPY, SAMPLE, PAIR, SPLIT_2, SPLIT_3, SPLIT_4 = range(9)
JOIN, JOIN_DOWN, JOIN_THREE, PUT, PUT_2, PUT_3, PAIR_IN, REDUCE, STACK = range(9, 18)
JOIN_IN, PICK_4, PICK_8 = range(18, 21)
OP, FROM, OUT, A, B, C, COUNT, REPEAT, OUT_PITCH, A_PITCH, PITCH, A_SHIFT, B_SHIFT, C_SHIFT = range(14)
FIELDS = 14
BARE = 8
# `SPLIT` writes phases `B` apart. `PUT` scales by B + r * A_SHIFT + j and by factor C + r * B_SHIFT. `STACK`
# needs a line at `B`, and merges rows with what is at `OUT` if `C` is 1. `JOIN_IN` reads the input at `A` and
# at `B`.

# A kernel has the passes of one family, since compiling takes about 0.1 s each: 2x2 of short rows; of other
# dtypes; with places; whole planes, and of channels; few channels; small windows else; all.
FAMILIES = (
    frozenset((SCAN, PAIR, PUT_2)),
    frozenset((PAIR, PAIR_IN, PUT_2)),
    frozenset((SCAN, PAIR, JOIN, PUT)),
    frozenset((TAKE, REDUCE, PUT)),
    frozenset((TAKE, STACK, PUT)),
    frozenset((SCAN, TAKE, JOIN, JOIN_IN, JOIN_THREE, PICK_4, PICK_8, PUT)),
    frozenset((SCAN, COPY, JOIN, JOIN_DOWN, JOIN_THREE, PUT, PUT_2, PUT_3)),
    frozenset(range(PICK_8 + 1)),
)
NAMES = (
    "pairs",
    "converted pairs",
    "pairs with places",
    "windows along rows",
    "stacked rows",
    "lines of which cells are picked",
    "lines that are copied and joined",
    "all passes",
)
# Passes that pairs of value and place do not have.
ALONE = frozenset((REDUCE, STACK, JOIN_IN))

# A block: its steps, offsets of input and output, its first row in `factors` and column in `scales`, and the
# place of its first window.
BEGIN, END, X, Y, ROW, COLUMN, PLACE = range(7)
BLOCK = 7


class Kind(NamedTuple):
    """What a kernel is compiled for; `placed` ones carry the places of chosen elements with the values."""

    name: str
    line: Line
    careful: bool
    source: str
    target: str
    placed: bool
    family: int


def family(steps: Iterable[int]) -> int:
    """The first of the `FAMILIES` that has all steps."""
    return next(number for number, passes in enumerate(FAMILIES) if passes.issuperset(steps))


# Passes over lines ---------------------------------------------------------------------------------------


def take(odd, read, lift, element, knobs, out, x, count, repeat, out_pitch, pitch):
    """Input to scratch memory, and whether there is a NaN."""
    apart()
    found = False
    for r in range(repeat):
        for j in range(count):
            value = peek(x, r * pitch + j)
            found = bool(found | odd(value))
            store(out, r * out_pitch + j, element(lift(read(value), knobs), 0))
    return found


def fill(out, blank, count, repeat, out_pitch):
    apart()
    for r in range(repeat):
        for j in range(count):
            store(out, r * out_pitch + j, blank)


def copy(out, a, shift, count, repeat, out_pitch, pitch):
    apart()
    for r in range(repeat):
        for j in range(count):
            store(out, r * out_pitch + j, load(a, r * pitch + j, shift))


def sample(out, a, shift, count, repeat, out_pitch, pitch):
    apart()
    for j in range(count):
        for r in range(repeat):
            store(out, r * out_pitch + j, load(a, r * pitch + j, shift))


def pick(out, a, size, repeat, out_pitch, pitch):
    """Cells of up to `size` elements, with what follows each: the next one, or nobody, overwrites that."""
    apart()
    for r in range(repeat):
        for j in range(size):
            store(out, r * out_pitch + j, load(a, r * pitch + j, 0))


def join(merge, out, a, b, a_shift, b_shift, count, repeat, out_pitch, a_pitch, pitch):
    apart()
    for r in range(repeat):
        for j in range(count):
            later = load(b, r * pitch + j, b_shift)
            store(out, r * out_pitch + j, merge(load(a, r * a_pitch + j, a_shift), later))


def join_down(merge, out, a, b, a_shift, b_shift, count, repeat, out_pitch, a_pitch, pitch):
    apart()
    for j in range(count):
        for r in range(repeat):
            later = load(b, r * pitch + j, b_shift)
            store(out, r * out_pitch + j, merge(load(a, r * a_pitch + j, a_shift), later))


def join_three(merge, out, a, b, c, shifts, count, repeat, pitches):
    apart()
    out_pitch, a_pitch, pitch = pitches
    for r in range(repeat):
        for j in range(count):
            first = merge(load(a, r * a_pitch + j, shifts[0]), load(b, r * pitch + j, shifts[1]))
            store(out, r * out_pitch + j, merge(first, load(c, r * pitch + j, shifts[2])))


def stack(merge, out, held, a, onto, count, repeat, pitch):
    """Rows, at least 2, merged in a line that stays in cache, and then written, or `onto` what is there."""
    apart()
    for j in range(count):
        store(held, j, load(a, j, 0))
    for r in range(1, repeat - 1):
        for j in range(count):
            store(held, j, merge(load(held, j, 0), load(a, r * pitch + j, 0)))
    for j in range(count):
        found = merge(load(held, j, 0), load(a, (repeat - 1) * pitch + j, 0))
        store(out, j, merge(load(out, j, 0), found) if onto else found)


def pair(merge, out, a, shift, count, repeat, out_pitch, pitch):
    apart()
    for r in range(repeat):
        for j in range(count):
            at = r * pitch + 2 * j
            store(out, r * out_pitch + j, merge(load(a, at, 0), load(a, at + 1, shift)))


def reduce(merge, out, a, count, repeat, out_pitch, pitch):
    """A window of neighbours, at least 8, to one: eight of them side by side, which fill a register."""
    apart()
    whole = count - count % 8
    for r in range(repeat):
        x = ahead(a, r * pitch)
        a0, a1, a2, a3 = load(x, 0, 0), load(x, 1, 0), load(x, 2, 0), load(x, 3, 0)
        a4, a5, a6, a7 = load(x, 4, 0), load(x, 5, 0), load(x, 6, 0), load(x, 7, 0)
        for j in range(8, whole, 8):
            a0, a1 = merge(a0, load(x, j, 0)), merge(a1, load(x, j + 1, 0))
            a2, a3 = merge(a2, load(x, j + 2, 0)), merge(a3, load(x, j + 3, 0))
            a4, a5 = merge(a4, load(x, j + 4, 0)), merge(a5, load(x, j + 5, 0))
            a6, a7 = merge(a6, load(x, j + 6, 0)), merge(a7, load(x, j + 7, 0))
        even, odd = merge(merge(a0, a4), merge(a2, a6)), merge(merge(a1, a5), merge(a3, a7))
        total = merge(even, odd)
        for j in range(whole, count):
            total = merge(total, load(x, j, 0))
        store(out, r * out_pitch, total)


def pair_in(merge, read, lift, element, knobs, out, x, shift, count, repeat, out_pitch, pitch):
    """As `pair`, of input in another dtype."""
    apart()
    for r in range(repeat):
        for j in range(count):
            at = r * pitch + 2 * j
            first, second = lift(read(peek(x, at)), knobs), lift(read(peek(x, at + 1)), knobs)
            store(out, r * out_pitch + j, merge(element(first, 0), element(second, shift)))


def join_in(merge, read, lift, element, knobs, out, x, y, count, repeat, out_pitch, pitch):
    """As `join`, of input in another dtype."""
    apart()
    for r in range(repeat):
        for j in range(count):
            at = r * pitch + j
            first, second = lift(read(peek(x, at)), knobs), lift(read(peek(y, at)), knobs)
            store(out, r * out_pitch + j, merge(element(first, 0), element(second, 0)))


def split_2(out, other, a, count, repeat, out_pitch, pitch):
    apart()
    for r in range(repeat):
        for j in range(count):
            at = r * pitch + 2 * j
            store(out, r * out_pitch + j, load(a, at, 0))
            store(other, r * out_pitch + j, load(a, at + 1, 0))


def split_3(out, second, third, a, count, repeat, out_pitch, pitch):
    apart()
    for r in range(repeat):
        for j in range(count):
            at = r * pitch + 3 * j
            store(out, r * out_pitch + j, load(a, at, 0))
            store(second, r * out_pitch + j, load(a, at + 1, 0))
            store(third, r * out_pitch + j, load(a, at + 2, 0))


def split_4(out, second, third, fourth, a, count, repeat, out_pitch, pitch):
    apart()
    for r in range(repeat):
        for j in range(count):
            at = r * pitch + 4 * j
            store(out, r * out_pitch + j, load(a, at, 0))
            store(second, r * out_pitch + j, load(a, at + 1, 0))
            store(third, r * out_pitch + j, load(a, at + 2, 0))
            store(fourth, r * out_pitch + j, load(a, at + 3, 0))


def put(finish, knobs, write, out, places, a, scales, factors, count, repeat, pitches):
    """Finished values; there are no `places`."""
    apart()
    out_pitch, pitch, scale_pitch, factor_pitch, _ = pitches
    for r in range(repeat):
        factor = peek(factors, r * factor_pitch)
        for j in range(count):
            value = finish(load(a, r * pitch + j, 0), peek(scales, r * scale_pitch + j) * factor, knobs)
            poke(out, r * out_pitch + j, write(value))


def put_placed(finish, knobs, write, out, places, a, corners, rows, count, repeat, pitches):
    """Values, and their places: the corner of the window and where in the window the element is."""
    apart()
    out_pitch, pitch, corner_pitch, row_pitch, further = pitches
    for r in range(repeat):
        row = np.int32(peek(rows, r * row_pitch) + further)
        for j in range(count):
            value, shift = load(a, r * pitch + j, 0)
            poke(out, r * out_pitch + j, write(value))
            corner = np.int32(peek(corners, r * corner_pitch + j) + row)
            poke(places, r * out_pitch + j, np.int32(corner + shift))


def put_2(merge, finish, knobs, write, out, places, a, b, scale, shifts, count, repeat, out_pitch, pitch):
    apart()
    for r in range(repeat):
        for j in range(count):
            at = r * pitch + j
            value = merge(load(a, at, 0), load(b, at, 0))
            poke(out, r * out_pitch + j, write(finish(value, scale, knobs)))


def put_2_placed(
    merge, finish, knobs, write, out, places, a, b, scale, shifts, count, repeat, out_pitch, pitch
):
    """Values and taps, which are places that no corner is added to."""
    apart()
    for r in range(repeat):
        for j in range(count):
            at = r * pitch + j
            value, tap = merge(load(a, at, shifts[0]), load(b, at, shifts[1]))
            poke(out, r * out_pitch + j, write(value))
            poke(places, r * out_pitch + j, tap)


def put_3(merge, finish, knobs, write, out, places, a, b, c, scale, shifts, count, repeat, out_pitch, pitch):
    apart()
    for r in range(repeat):
        for j in range(count):
            at = r * pitch + j
            value = merge(merge(load(a, at, 0), load(b, at, 0)), load(c, at, 0))
            poke(out, r * out_pitch + j, write(finish(value, scale, knobs)))


def put_3_placed(
    merge, finish, knobs, write, out, places, a, b, c, scale, shifts, count, repeat, out_pitch, pitch
):
    apart()
    for r in range(repeat):
        for j in range(count):
            at = r * pitch + j
            first = merge(load(a, at, shifts[0]), load(b, at, shifts[1]))
            value, tap = merge(first, load(c, at, shifts[2]))
            poke(out, r * out_pitch + j, write(value))
            poke(places, r * out_pitch + j, tap)


# The kernel ----------------------------------------------------------------------------------------------


@cache
def kernel(kind: Kind) -> Callable[..., None]:
    """The kernel that carries out programs on lines of one kind."""
    line, placed, digest = kind.line, kind.placed, jit.source_digest()
    merge = line.careful if kind.careful and line.careful else line.merge
    finish, lift, element, read, write = (
        line.finish,
        line.lift,
        line.element,
        half.READ[kind.source],
        half.WRITE[kind.target],
    )
    odd = half.IS_NAN[kind.source]

    # Each tells whether the kernel has a pass; numba drops what is behind `if False` before it looks at it.
    has = (FAMILIES[kind.family] - (ALONE if placed else frozenset())).__contains__
    scans, takes, fills, copies, samples = map(has, (SCAN, TAKE, FILL, COPY, SAMPLE))
    picks_4, picks_8 = has(PICK_4), has(PICK_8)
    joins, joins_down, joins_three, stacks, reduces = map(has, (JOIN, JOIN_DOWN, JOIN_THREE, STACK, REDUCE))
    pairs, pairs_in, joins_in, splits = map(has, (PAIR, PAIR_IN, JOIN_IN, SPLIT_2))
    puts, puts_2, puts_3 = map(has, (PUT, PUT_2, PUT_3))
    watches = may_overflow(line)
    give_1, give_2, give_3 = (put_placed, put_2_placed, put_3_placed) if placed else (put, put_2, put_3)

    def walk(arrays, program, weights, scratch, zeros, first, last):
        _ = digest  # captured, and so part of the cache key
        wide_registers()
        if watches:
            clear_overflow()
        x_all, y_all, places_all, like, met = arrays
        steps, blocks, outer, run = program
        scales, factors = weights
        lines, zero = pointers(scratch), pointer(zeros)
        scale = peek(pointer(scales), 0) * peek(pointer(factors), 0)
        knobs = like[1], like[2], like[3]
        found, each = False, blocks.shape[0]
        unit, turn = first // each, first % each
        further, unit = unit % run[0], unit // run[0]
        for _ in range(first, last):
            block = ahead(pointer(blocks), turn * BLOCK)
            x = ahead(pointer(x_all), outer[0, unit] + further * run[1] + peek(block, X))
            at = outer[1, unit] + further * run[2] + peek(block, Y)
            y, places = ahead(pointer(y_all), at), ahead(pointer(places_all), at if placed else 0)
            for number in range(peek(block, BEGIN), peek(block, END)):
                step = ahead(pointer(steps), number * FIELDS)
                op, where, count, repeat = (
                    peek(step, OP),
                    peek(step, FROM),
                    peek(step, COUNT),
                    peek(step, REPEAT),
                )
                out_pitch, a_pitch, pitch = peek(step, OUT_PITCH), peek(step, A_PITCH), peek(step, PITCH)
                a = ahead(choose(where & 1, x, zero, lines), peek(step, A))
                b = ahead(choose(where & 2, x, zero, lines), peek(step, B))
                c = ahead(choose(where & 4, x, zero, lines), peek(step, C))
                out, to = ahead(lines, peek(step, OUT)), ahead(y, peek(step, OUT))
                a_shift, b_shift = peek(step, A_SHIFT), peek(step, B_SHIFT)
                shifts, pitches = (a_shift, b_shift, peek(step, C_SHIFT)), (out_pitch, a_pitch, pitch)
                if joins and op == JOIN:
                    if placed and where & BARE:
                        join(merge, out, bare(a), bare(b), a_shift, b_shift, count, repeat, *pitches)
                    else:
                        join(merge, out, a, b, a_shift, b_shift, count, repeat, *pitches)
                elif joins_three and op == JOIN_THREE:
                    if placed and where & BARE:
                        join_three(merge, out, bare(a), bare(b), bare(c), shifts, count, repeat, pitches)
                    else:
                        join_three(merge, out, a, b, c, shifts, count, repeat, pitches)
                elif joins_down and op == JOIN_DOWN:
                    join_down(merge, out, a, b, a_shift, b_shift, count, repeat, *pitches)
                elif pairs and op == PAIR:
                    if placed and where & BARE:
                        pair(merge, out, bare(a), b_shift, count, repeat, out_pitch, pitch)
                    else:
                        pair(merge, out, a, b_shift, count, repeat, out_pitch, pitch)
                elif puts_2 and op == PUT_2:
                    rest = (scale, shifts, count, repeat, out_pitch, pitch)
                    give_2(merge, finish, knobs, write, to, ahead(places, peek(step, OUT)), a, b, *rest)
                elif puts_3 and op == PUT_3:
                    rest = (scale, shifts, count, repeat, out_pitch, pitch)
                    give_3(merge, finish, knobs, write, to, ahead(places, peek(step, OUT)), a, b, c, *rest)
                elif puts and op == PUT:
                    along = ahead(pointer(scales), peek(block, COLUMN) + peek(step, B))
                    down = ahead(pointer(factors), peek(block, ROW) + peek(step, C))
                    corner = shifts[2] + peek(block, PLACE)
                    chosen, apart_by = ahead(places, peek(step, OUT)), (out_pitch, pitch, *shifts[:2], corner)
                    give_1(finish, knobs, write, to, chosen, a, along, down, count, repeat, apart_by)
                elif stacks and op == STACK:
                    held, onto = ahead(lines, peek(step, B)), peek(step, C) == 1
                    stack(merge, out, held, a, onto, count, repeat, pitch)
                elif reduces and op == REDUCE:
                    reduce(merge, out, a, count, repeat, out_pitch, pitch)
                elif scans and op == SCAN:
                    found = bool(found | scan(odd, ahead(x, peek(step, A)), count, repeat, pitch))
                elif takes and op == TAKE:
                    of = odd, read, lift, element, knobs, out, ahead(x, peek(step, A))
                    found = bool(found | take(*of, count, repeat, out_pitch, pitch))
                elif pairs_in and op == PAIR_IN:
                    two = merge, read, lift, element, knobs, out, ahead(x, peek(step, A)), b_shift
                    pair_in(*two, count, repeat, out_pitch, pitch)
                elif joins_in and op == JOIN_IN:
                    rows = ahead(x, peek(step, A)), ahead(x, peek(step, B))
                    join_in(merge, read, lift, element, knobs, out, *rows, count, repeat, out_pitch, pitch)
                elif fills and op == FILL:
                    fill(out, element(like[0], 0), count, repeat, out_pitch)
                elif copies and op == COPY:
                    copy(out, bare(a), a_shift, count, repeat, out_pitch, pitch)
                elif samples and op == SAMPLE:
                    sample(out, bare(a), a_shift, count, repeat, out_pitch, pitch)
                elif picks_4 and op == PICK_4:
                    pick(out, a, 4, repeat, out_pitch, pitch)
                elif picks_8 and op == PICK_8:
                    pick(out, a, 8, repeat, out_pitch, pitch)
                elif splits:
                    source, far, onto = values(a), peek(step, B), values(out)
                    second, third, fourth = ahead(onto, far), ahead(onto, 2 * far), ahead(onto, 3 * far)
                    if op == SPLIT_2:
                        split_2(onto, second, source, count, repeat, out_pitch, pitch)
                    elif op == SPLIT_3:
                        split_3(onto, second, third, source, count, repeat, out_pitch, pitch)
                    else:
                        split_4(onto, second, third, fourth, source, count, repeat, out_pitch, pitch)
            turn += 1  # to divide takes as long as a short pass
            if turn == each:
                turn, further = 0, further + 1
            if further == run[0]:
                unit, further = unit + 1, 0
        if watches:
            found = overflowed()
        if found:
            met[0] = 1

    careful = "_careful" if kind.careful else ""
    form = "lines_placed" if placed else "lines"
    name = f"{form}_{kind.name}{careful}_{kind.source}_{line.dtype}_{kind.target}_{kind.family}"
    return jit.kernel(walk, name)


jit.register(half)
jit.register(__name__, forceinline=False)
