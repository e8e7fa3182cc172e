"""Windows that slide over rows of input: passes that read a row, compute, and write another, in one loop.

To read from memory, to compute and to write in one loop is done at once, and in several it is not.
"""

import numpy as np

from .. import jit
from .memory import ahead, apart, choose, lanes, load, peek, poke, precedes, prefetch, store, values

PIECE = 8  # registers of a plane's results between which some of the next one are asked for
NEXT = 1_000  # elements of the largest plane that stays in the first-level cache beside the next one

# Windows of 3x3 ------------------------------------------------------------------------------------------


def slide_3(uses, blank, out, places, kept, length, x, scale, across, down, slid, stride):
    """Windows of 3x3 over a block, of whose last rows of input windows of three are `kept`.

    The rows of input are read in the order of addresses, a register of windows at a time, the last of them
    twice rather than few alone. Windows at the ends read on, and what is outside they take for blank.
    """
    (size, step, start, first, last, count), (rows, top, pitch, outputs, out_pitch) = across, down
    begin, end, empty = borders(blank, ahead(values(kept), 3 * length), x, size, step, rows, pitch)
    a, b, c = kept, ahead(kept, length), ahead(kept, 2 * length)
    low, high, together = start + step, start + step + stride * count, lanes(kept)
    found = ends(uses[0], x, low, high, size, rows, pitch)
    for row in range(-top, stride * outputs + 3 - stride - top):
        line = row_at(x, begin, end, empty, row, rows, pitch)
        # A row of output is written until it is right. The stride is 1 or 2: to divide takes as long as a row
        to = max(0, (row + top - 3 + stride) >> (stride - 1)) * out_pitch
        for j in range(0, count, together):
            at = min(j, count - together)
            y, chosen, own = ahead(out, to + at), ahead(places, to + at), ahead(c, j)
            sources = ahead(a, j), ahead(b, j), ahead(line, start + stride * at)
            rest = scale, step, first - at, last - at, 3 * max(0, -row)
            found = bool(found | slid(uses, blank, y, chosen, own, *sources, *rest))
        a, b, c = b, c, a
    return found


def borders(blank, to, x, size, step, rows, pitch):
    """Copies of the first and the last row, beyond which may be no memory, and a row of blanks."""
    margin = 2 * step
    begin = ahead(to, margin)
    end, empty = ahead(begin, size + 2 * margin), ahead(begin, 2 * (size + 2 * margin))
    frame(begin, x, blank, size, size, margin)
    frame(end, ahead(x, (rows - 1) * pitch), blank, size, size, margin)
    frame(empty, x, blank, 0, size, margin)
    return begin, end, empty


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


def ends(odd, x, low, high, size, rows, pitch):
    """Whether there is a NaN in the elements of rows before `low`, or from `high` on."""
    found = False
    for row in range(rows if low > 0 or high < size else 0):
        line = ahead(x, row * pitch)
        for j in range(low):
            found = bool(found | odd(peek(line, j)))
        for j in range(high, size):
            found = bool(found | odd(peek(line, j)))
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


# Windows around each element of planes whose rows are short ------------------------------------------------


def plane(uses, grown, blank, out, places, kept, x, scale, sizes, reach, fresh):
    """All windows of a plane as one line: three along its rows, `grown` ones, and three rows of these.

    Each element's column is kept, and blanks around two lines; they are written where memory is `fresh`.
    """
    size, width, step = sizes
    margin = max((reach[0] + 1) // 2 * step, (reach[1] + 1) // 2 * width)
    limits, line = values(kept), ahead(kept, 2 + size + margin)
    columns, other = ahead(limits, 2), ahead(line, size + 2 * margin)
    if fresh:
        for j in range(size):
            poke(columns, j, j % width)
        surround(uses[2], blank, line, size, width, step, margin)
        surround(uses[2], blank, other, size, width, step, margin)
    bound(limits, step, width)
    found = along_rows(uses, blank, line, x, limits, columns, size, step)
    line, apart_by = grown(uses[1], uses[2], blank, line, other, limits, columns, sizes, reach)
    piece = PIECE * lanes(out)
    for j in range(0, size, piece):
        if size <= NEXT:
            for k in range(0, piece, lanes(out)):
                prefetch(x, size + j + k)
                prefetch(out, size + j + k)
        y, chosen, count = ahead(out, j), ahead(places, j), min(piece, size - j)
        down_rows(uses, y, chosen, ahead(line, j), scale, count, apart_by)
    return found


def surround(element, blank, line, size, width, step, margin):
    """Blanks before and behind a line, with the places that they have in the row below them and above."""
    for j in range(margin):
        store(line, j - margin, element(blank, 4 if j < step else 3))
        store(line, size + j, element(blank, 0))


def bound(limits, distance, width):
    """The first column that has one so far before it, and the first that has none so far behind it."""
    poke(limits, 0, distance)
    poke(limits, 1, max(0, width - distance))


def along_rows(uses, blank, out, x, limits, columns, size, step):
    """Windows of three along the rows of a plane."""
    apart()
    odd, merge, element, low, high = uses[0], uses[1], uses[2], peek(limits, 0), peek(limits, 1)
    found = False
    for j in range(step):
        last = size - step + j
        found = bool(found | odd(peek(x, j)) | odd(peek(x, last)))
        first = merge(element(blank, 1), element(peek(x, j), 1))
        store(out, j, merge(first, element(peek(x, j + step), 2)))
        store(out, last, merge(element(peek(x, last - step), 0), element(peek(x, last), 1)))
    for j in range(step, size - step):
        column, middle = peek(columns, j), peek(x, j)
        left, right = peek(x, j - step), peek(x, j + step)
        found = bool(found | odd(middle))
        start = element(left, 0) if column >= low else element(blank, 1)
        row = merge(start, element(middle, 1))
        store(out, j, merge(row, element(right if column < high else blank, 2)))
    return found


def as_they_are(merge, element, blank, line, other, limits, columns, sizes, reach):
    """Windows of three, and the distance between rows."""
    return line, sizes[1]


def grown(merge, element, blank, line, other, limits, columns, sizes, reach):
    """Windows that reach further: those of elements on both sides merge, no further away than they are long.

    Of what may merge more than once. Returns windows and the distance of the three that are still to merge.
    """
    size, width, step = sizes
    across, down = reach
    have = 1
    while have < across:
        more = min(have + 1, across - have)
        bound(limits, more * step, width)
        wider(merge, element, blank, other, line, limits, columns, size, more * step)
        line, other, have = other, line, have + more
    have, more = 0, 1
    while have + more < down:
        taller(merge, other, line, size, more * width)
        line, other, have = other, line, have + more
        more = min(have + 1, down - have)
    return line, more * width


def wider(merge, element, blank, out, line, limits, columns, size, step):
    """Windows along rows and those of elements before and behind."""
    apart()
    low, high, none = peek(limits, 0), peek(limits, 1), element(blank, 0)
    for j in range(size):
        column, left, right = peek(columns, j), load(line, j - step, 0), load(line, j + step, 0)
        row = merge(left if column >= low else none, load(line, j, 0))
        store(out, j, merge(row, right if column < high else none))


def taller(merge, out, line, size, width):
    """Windows and those of rows above and below."""
    apart()
    for j in range(size):
        above = merge(load(line, j - width, 0), load(line, j, 0))
        store(out, j, merge(above, load(line, j + width, 0)))


def down_rows(uses, out, places, line, scale, size, width):
    """Three rows of windows, as results."""
    apart()
    merge, give, finish, knobs, write = uses[1], uses[4], uses[5], uses[6], uses[7]
    for j in range(size):
        above = merge(load(line, j - width, 0), load(line, j, 3))
        give(finish, knobs, write, out, places, j, merge(above, load(line, j + width, 6)), scale)


# Windows of up to 9x9 at stride 1, of what may merge more than once ----------------------------------------


def slide_9(uses, blank, out, places, kept, length, x, scale, across, down, window):
    """Two rows of output at a time, whose windows have most rows in common, from two new rows of input.

    Along a row a window is three windows of three, which may overlap; down the rows it is `half` pairs of
    them and, of an odd number, one more. Pairs are kept as long as windows need them, and their lower rows.
    """
    size, step, start, second, third, count = across
    rows, top, pitch, outputs, out_pitch = down
    half, together, left = window // 2, lanes(kept), max(-start, 2 * step)
    line = (count // together + 2) * together
    ring = (half + 1) * line
    upper, lower = ahead(kept, left), ahead(kept, left + length)
    pairs = ahead(kept, 2 * length)
    singles, unwanted = ahead(pairs, ring), ahead(pairs, 2 * ring)
    clear(kept, blank, 2 * length)
    found, newest = False, 0
    for row in range(0, 2 * half + outputs, 2):
        for new, at in ((upper, row - top), (lower, row + 1 - top)):
            if 0 <= at < rows:
                found = bool(found | triples(uses, blank, new, ahead(x, at * pitch), size, step))
            else:
                clear(ahead(new, -left), blank, length)
        output = row - 2 * half
        one = choose(output >= 0, ahead(out, output * out_pitch), 0, unwanted)
        two = ahead(out, (output + 1) * out_pitch)
        two = choose(0 <= output < outputs - 1, two, 0, ahead(unwanted, line))
        oldest, near = turned(newest + line, ring), turned(newest + 2 * line, ring)
        between, far = turned(newest + min(3, half) * line, ring), turned(newest + half * line, ring)
        for j in range(0, count, together):
            at = min(j, count - together)
            own, below = ahead(pairs, at), ahead(singles, at)
            common = ahead(own, near), ahead(own, between), ahead(own, far)
            begins = ahead(own, oldest), ahead(below, oldest)
            writes = ahead(one, at), ahead(two, at), ahead(own, newest), ahead(below, newest)
            reads = ahead(upper, start + at), ahead(lower, start + at), second, third
            two_rows(uses, scale, window % 2 != 0, reads, begins, common, writes)
        newest = oldest
    return found


def turned(at, ring):
    """A place in a ring; division takes as long as a row."""
    return at - ring if at >= ring else at


def two_rows(uses, scale, uneven, reads, begins, common, writes):
    """A register of windows of either row, which are of an `uneven` number of rows or not."""
    apart()
    merge, finish, knobs, write = uses[1], uses[5], uses[6], uses[7]
    upper, lower, second, third = reads
    for j in range(lanes(upper)):
        high = merge(merge(peek(upper, j), peek(upper, j + second)), peek(upper, j + third))
        low = merge(merge(peek(lower, j), peek(lower, j + second)), peek(lower, j + third))
        both = merge(high, low)
        middle = merge(merge(peek(common[0], j), peek(common[1], j)), peek(common[2], j))
        one, two = merge(peek(begins[0], j), middle), merge(peek(begins[1], j), middle)
        poke(writes[0], j, write(finish(merge(one, high) if uneven else one, scale, knobs)))
        poke(writes[1], j, write(finish(merge(two, both if uneven else high), scale, knobs)))
        poke(writes[2], j, both)
        poke(writes[3], j, low)


def triples(uses, blank, out, x, size, step):
    """Windows of three along a row of input that begin in it, or as far as they reach before it."""
    apart()
    odd, merge = uses[0], uses[1]
    found = False
    if size < 2 * step:
        for j in range(-2 * step, size):
            found = bool(found | odd(peek(x, max(j, 0))))
            poke(out, j, clipped(merge, blank, x, j, step, size))
        return found
    for j in range(size - 2 * step):
        found = bool(found | odd(peek(x, j + step)))
        poke(out, j, merge(merge(peek(x, j), peek(x, j + step)), peek(x, j + 2 * step)))
    return bool(found | outer_triples(odd, merge, out, x, size, step))


def outer_triples(odd, merge, out, x, size, step):
    """Those of which one or two elements are outside."""
    apart()
    found = False
    for j in range(step):
        last = size - step + j
        found = bool(found | odd(peek(x, j)) | odd(peek(x, last)))
        poke(out, j - 2 * step, peek(x, j))
        poke(out, j - step, merge(peek(x, j), peek(x, j + step)))
        poke(out, last - step, merge(peek(x, last - step), peek(x, last)))
        poke(out, last, peek(x, last))
    return found


def clipped(merge, blank, x, at, step, size):
    """A window of three, of its elements inside the row."""
    found = blank
    for tap in range(at, at + 3 * step, step):
        if 0 <= tap < size:
            found = merge(found, peek(x, tap))
    return found


def clear(out, blank, count):
    """Blanks."""
    for j in range(count):
        poke(out, j, blank)


jit.register(__name__, forceinline=False)
