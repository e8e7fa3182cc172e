"""Windows that slide over rows of input: passes that read a row, compute, and write another, in one loop.

To read from memory, to compute and to write in one loop is done at once, and in several it is not.
"""

import numpy as np

from .. import jit
from .memory import ahead, apart, lanes, load, peek, poke, precedes, store, values

# Windows of 3x3 ------------------------------------------------------------------------------------------


def slide_3(slid, uses, blank, out, places, kept, length, x, scale, across, down, stride):
    """Windows of 3x3 over a block, of whose last rows of input windows of three are `kept`.

    The rows of input are read in the order of addresses, a register of windows at a time, the last of them
    twice rather than few alone. Windows at the ends read on, and what is outside they take for blank. Of the
    first and the last row there are copies, since before the one and behind the other may be no memory.
    """
    odd, (size, step, start, first, last, count) = uses[0], across
    rows, top, pitch, outputs, out_pitch = down
    margin = 2 * step
    begin = ahead(values(kept), 3 * length + margin)
    end, empty = ahead(begin, size + 2 * margin), ahead(begin, 2 * (size + 2 * margin))
    frame(begin, x, blank, size, size, margin)
    frame(end, ahead(x, (rows - 1) * pitch), blank, size, size, margin)
    frame(empty, x, blank, 0, size, margin)
    a, b, c = kept, ahead(kept, length), ahead(kept, 2 * length)
    found, together = False, lanes(kept)
    if start + step > 0 or start + step + stride * count < size:
        for row in range(rows):
            line = ahead(x, row * pitch)
            found = bool(found | ends(odd, line, start + step, start + step + stride * count, size))
    for row in range(-top, stride * outputs + 3 - stride - top):
        line = row_at(x, begin, end, empty, row, rows, pitch)
        # A row of output is written until it is right
        to = max(0, (row + top - 3 + stride) // stride) * out_pitch
        for j in range(0, count, together):
            at = min(j, count - together)
            y, chosen, own = ahead(out, to + at), ahead(places, to + at), ahead(c, j)
            sources = ahead(a, j), ahead(b, j), ahead(line, start + stride * at)
            rest = scale, step, first - at, last - at, 3 * max(0, -row)
            found = bool(found | slid(uses, blank, y, chosen, own, *sources, *rest))
        a, b, c = b, c, a
    return found


def frame(out, x, blank, inside, size, margin):
    """So many elements of `x`, in a row that has blanks behind them and a margin of blanks around it."""
    apart()
    for j in range(-margin, size + margin):
        poke(out, j, blank)
    for j in range(inside):
        poke(out, j, peek(x, j))


def row_at(x, begin, end, empty, row, rows, pitch):
    """A row of input, or one of blanks."""
    if row < 0 or row >= rows:
        return empty
    return begin if row == 0 else end if row == rows - 1 else ahead(x, row * pitch)


def ends(odd, x, low, high, size):
    """Whether there is a NaN in the elements of a row before `low`, or from `high` on."""
    found = False
    for j in range(low):
        found = bool(found | odd(peek(x, j)))
    for j in range(high, size):
        found = bool(found | odd(peek(x, j)))
    return found


def slid_by_1(uses, blank, out, places, kept, a, b, x, scale, step, first, last, shift):
    """Windows along a row at stride 1, merged with those of two rows before."""
    apart()
    odd, merge, element, moved, give, finish, knobs, write = uses
    found = False
    for j in range(lanes(kept)):
        found = bool(found | odd(peek(x, j + step)))
        row = three(merge, element, blank, x, j, step, precedes(first, j + 1), precedes(j + 1, last + 1))
        above = merge(load(a, j, 0), load(b, j, 3))
        give(finish, knobs, write, out, places, j, merge(above, moved(row, 6)), scale)
        store(kept, j, moved(row, shift))
    return found


def slid_by_2(uses, blank, out, places, kept, a, b, x, scale, step, first, last, shift):
    """As `slid_by_1`, at stride 2."""
    apart()
    odd, merge, element, moved, give, finish, knobs, write = uses
    found = False
    for j in range(lanes(kept)):
        at = 2 * j
        for tap in range(
            -1, 3
        ):  # whole pairs of elements are read at once, and what is between others is not
            found = bool(found | odd(peek(x, at + tap)))
        row = three(merge, element, blank, x, at, 1, precedes(first, j + 1), precedes(j + 1, last + 1))
        above = merge(load(a, j, 0), load(b, j, 3))
        give(finish, knobs, write, out, places, j, merge(above, moved(row, 6)), scale)
        store(kept, j, moved(row, shift))
    return found


def three(merge, element, blank, x, at, step, first, last):
    """One window of three along a row, the first and the last of which may be outside."""
    left, middle, right = peek(x, at), peek(x, at + step), peek(x, at + 2 * step)
    start = element(left, 0) if first else element(blank, 1)
    return merge(merge(start, element(middle, 1)), element(right if last else blank, 2))


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


jit.register(__name__)
