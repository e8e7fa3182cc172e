"""The one loop nest: threads over outputs, and over the elements of an output's window.

Every kernel of `fold` and `rank` is this nest around a few functions. An output belongs to one thread or,
where windows are large and few, to a team of threads (a block), whose shares are merged in their order; the
largest windows are cut into parts for several blocks, whose results a second launch merges.

A kernel takes flat memory and one table of integers, of which `Layout` says what is where. Divisions, by
which a thread finds its output, are of 32 bits wherever the arrays allow.

Where a mask lists the elements that take part, one function skips the others, for folds and for every pass
of `rank` alike. A pass over the mask comes first: it counts them and finds the first, with which a window
begins.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import cuda, types

from ..halves import unchanged
from ..windows import Geometry, Integers
from . import device
from .array import DeviceArray, c_strides
from .leaves import restore, save

# Numbers at the head of a table: how far counts and divisors are behind the windows' first elements; and
# of planes with windows of their own, where their members' bounds and their places begin, and the members'
# bases and sets. Then come the axes, `COLUMNS` numbers each.
COUNTS, DIVISORS, MEMBERS, PLACES, BASES, SETS, HEAD = range(7)
LENGTH, KEPT_STRIDE, COLUMNS = 0, 1, 8
BEGIN, STRIDE, PLACE, HERE, STEP, PLACE_STEP, OWN = range(1, 8)  # of a pooled axis, after its length
KEPT = -1  # the role of an axis that is not pooled; others have their number among the pooled ones
LARGE = 512  # elements of a window from which on a team shares it
ENOUGH = 1024  # blocks that keep every device busy
# Which elements a kernel takes: all, those that a mask lists, or those with weights beside them.
ALL, LISTED, WEIGHED = "", "some", "weighed"


class Layout(NamedTuple):
    """What a kernel is compiled for.

    Attributes
    ----------
    roles : tuple of int
        Of each axis of the output, joined where possible: `KEPT`, or its number among the pooled ones.
    planes : bool
        Whether windows differ from plane to plane; the first axis is then the planes.
    wide : bool
        Whether outputs are counted in 64 bits.
    takes : str
        Which elements: `ALL`, `LISTED` or `WEIGHED`.
    """

    roles: tuple[int, ...]
    planes: bool
    wide: bool
    takes: str = ALL

    @property
    def axes(self) -> tuple[int, ...]:
        """Where in a table each pooled axis begins."""
        rank = sum(role != KEPT for role in self.roles)
        return tuple(HEAD + COLUMNS * self.roles.index(number) for number in range(rank))


class Tables(NamedTuple):
    """A geometry as kernels take it: layout, numbers on the device, outputs, elements of a window at most."""

    layout: Layout
    held: Any
    total: int
    largest: int


def tables(x: DeviceArray, geometry: Geometry, divisors: Sequence[Integers]) -> Tables:
    """The tables of windows over arrays like `x`."""
    pooled, shape = geometry.axes, geometry.output_shape
    strides = [stride // x.itemsize for stride in x.strides]
    places, own = c_strides(geometry.plane, 1), c_strides(shape, 1)
    within = c_strides([shape[axis] for axis in pooled], 1)
    rows: list[list[int]] = []
    roles: list[int] = []
    begin = 0
    for axis, n in enumerate(shape):
        if axis in pooled:
            number = pooled.index(axis)
            step = geometry.tables[number].step
            row = [n, begin, strides[axis], places[number], own[axis], strides[axis] * step]
            rows.append([*row, places[number] * step, within[number]])
            roles.append(number)
            begin += n
        elif n != 1:
            if roles and roles[-1] == KEPT and rows[-1][KEPT_STRIDE] == n * strides[axis]:
                rows[-1][:2] = [rows[-1][LENGTH] * n, strides[axis]]
            else:
                rows.append([n, strides[axis]])
                roles.append(KEPT)
    written = [
        (*table.at(0, len(table))[:2], table.spread(factor))
        for table, factor in zip(geometry.tables, divisors, strict=True)
    ]
    columns = [np.concatenate(each) for each in zip(*written, strict=True)]
    total = math.prod(shape)
    largest = math.prod(table.most for table in geometry.tables)
    layout = Layout(tuple(roles), False, total >= 2**31)
    return Tables(layout, _upload(layout, rows, columns, []), total, largest)


class Members(NamedTuple):
    """Planes of windows of their own: what each plane that is written reads.

    Attributes
    ----------
    bounds : ndarray of int64
        Where the members of each plane begin, and their number.
    places : ndarray of int64
        Where each plane is written.
    bases, sets : ndarray of int64
        Where each member is read, and which windows it has.
    """

    bounds: Integers
    places: Integers
    bases: Integers
    sets: Integers


def plane_tables(
    members: Members,
    windows: tuple[Sequence[Integers], Sequence[Integers], Sequence[Integers]],
    read: tuple[Sequence[int], Sequence[int]],
    written: Sequence[int],
) -> Tables:
    """The tables of planes whose windows are their own.

    `windows` are first elements, counts and divisors along each pooled axis, of the shape (sets, outputs);
    `read` the strides and the lengths of what is read, `written` the strides of what is written.
    """
    lo, count, divisors = windows
    lengths = [column.shape[1] for column in lo]
    places, within = c_strides(read[1], 1), c_strides(lengths, 1)
    planes = members.places.size
    rows = [[planes, 0]]
    begin = 0
    for number, n in enumerate(lengths):
        stride, place = read[0][number], places[number]
        rows.append([n, begin, stride, place, written[number], stride, place, within[number]])
        begin += lo[number].size
    columns = [np.concatenate([column.reshape(-1) for column in each]) for each in (lo, count, divisors)]
    total = planes * math.prod(lengths)
    layout = Layout((KEPT, *range(len(lengths))), True, total >= 2**31)
    largest = math.prod(int(each.max(initial=0)) for each in count)
    return Tables(layout, _upload(layout, rows, columns, list(members)), total, largest)


def _upload(layout: Layout, rows: list[list[int]], columns: list[Integers], lists: list[Integers]) -> Any:
    """Head, axes, columns and lists in one piece of the device's memory."""
    first = HEAD + COLUMNS * len(rows)
    axes = np.zeros((len(rows), COLUMNS), np.int64)
    for row, role, axis in zip(rows, layout.roles, axes, strict=True):
        axis[: len(row)] = row
        axis[BEGIN] += first if role != KEPT else 0
    width = columns[0].size
    ends = first + 3 * width + np.cumsum([0, *(each.size for each in lists)])
    head = np.zeros(HEAD, np.int64)
    head[COUNTS], head[DIVISORS] = width, 2 * width
    head[MEMBERS : MEMBERS + len(lists)] = ends[: len(lists)]
    return device.upload(np.concatenate([head, axes.reshape(-1), *columns, *lists]).astype(np.int64))


# The nest ------------------------------------------------------------------------------------------------


class Steps(NamedTuple):
    """What a kernel does with a window.

    ``begin(value, place, here, params)`` is the accumulator before its elements, ``value`` being its first
    one, ``through(acc, window, context)`` after them, and ``finish``, ``second`` and ``third`` of
    ``(acc, divisor, params)`` are the results. ``merge(earlier, later, params)`` is for teams.

    A window is ``(table, counts, corner, place, elements, share, parts, mask, taken)``: the geometry's
    numbers, elements along each axis, the first one's places in memory and plane, their number, which part of
    how many, what lists those that take part, and how many do. The context is ``(values, here, params)`` and,
    for a way back, ``(own place, own value, three states)``; on the way forward the first state is weights.
    """

    begin: Callable[..., Any]
    through: Callable[..., Any]
    finish: Callable[..., Any]
    second: Callable[..., Any]
    third: Callable[..., Any]
    merge: Callable[..., Any]


TAKEN = 8  # where a window has the number of elements that take part


def element_alone(value, weights, tap):
    """An element of most folds."""
    return value


def beside_weight(value, weights, tap):
    """An element of a fold with weights."""
    return value, weights[tap]


def element_of(layout: Layout) -> Callable[..., Any]:
    """What makes an element of a fold."""
    return beside_weight if layout.takes == WEIGHED else element_alone


def stepping(layout: Layout, advance: Callable[..., Any]) -> Callable[..., Any]:
    """A step to an element, which passes by those that a mask does not list."""

    def to_any(acc, window, tap, position, context):
        return advance(acc, tap, position, context)

    def to_listed(acc, window, tap, position, context):
        return advance(acc, tap, position, context) if window[7][tap] != 0 else acc

    return device.function(to_any if layout.takes == ALL else to_listed)


def looping(layout: Layout, advance: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes an accumulator through elements `first` to `last` of a window, in their order.

    ``advance(acc, tap, position, context)`` is one step, to the element at `tap` in memory and `position` in
    the plane.
    """
    axes, step_to = layout.axes, stepping(layout, advance)
    rank = len(axes)

    def over(acc, window, first, last, context):
        table, counts, corner, place = window[0], window[1], window[2], window[3]
        columns = counts[rank - 1]
        step, place_step = table[axes[rank - 1] + STEP], table[axes[rank - 1] + PLACE_STEP]
        row = first // columns if first > 0 else np.int64(0)
        skipped, left = first - row * columns, last - first
        while left > 0:
            tap, position, rest = corner + skipped * step, place + skipped * place_step, row
            for axis in range(rank - 2, -1, -1):
                i = rest if axis == 0 else rest % counts[axis]
                rest = rest if axis == 0 else rest // counts[axis]
                tap += i * table[axes[axis] + STEP]
                position += i * table[axes[axis] + PLACE_STEP]
            taps = min(columns - skipped, left)
            for _ in range(taps):
                acc = step_to(acc, window, tap, position, context)
                tap += step
                position += place_step
            left -= taps
            skipped = np.int64(0)
            row += 1
        return acc

    return device.function(over)


def locating(layout: Layout) -> Callable[..., Any]:
    """A function that finds a window: its corner in memory and in the plane, its elements and its divisor."""
    axes, planes = layout.axes, layout.planes
    rank = len(axes)

    def locate(table, at, counts, base, member):
        own = table[table[SETS] + member] if planes else np.int64(0)
        corner = table[table[BASES] + member] if planes else base
        place, elements, divisor = np.int64(0), np.int64(1), np.int64(1)
        for axis in range(rank):
            row = axes[axis]
            column = table[row + BEGIN] + at[axis] + own * table[row + LENGTH]
            lo, taps = table[column], table[column + table[COUNTS]]
            corner += lo * table[row + STRIDE]
            place += lo * table[row + PLACE]
            counts[axis] = taps
            elements *= taps
            divisor *= table[column + table[DIVISORS]]
        return corner, place, elements, divisor

    return device.function(locate)


def lane_of():
    return cuda.threadIdx.x


def sharing(
    layout: Layout, advance: Callable[..., Any], team: int, across: Callable[..., Any]
) -> Callable[..., Any]:
    """What takes a team through a window, or one of its parts: each member takes a run of elements."""
    over = looping(layout, advance)

    def alone(acc, window, context):
        return over(acc, window, np.int64(0), window[4], context)

    def together(acc, window, context):
        elements, share, parts = window[4], window[5], window[6]
        run = max((elements + team * parts - 1) // (team * parts), 1)
        first = min((share * team + lane_of()) * run, elements)
        acc = over(acc, window, first, min(first + run, elements), context)
        used = (elements - share * team * run + run - 1) // run
        return across(acc, max(min(used, team), 1), context[2])

    return device.function(together if team > 1 else alone)


def merging(team: int, leaves: int, merge: Callable[..., Any]) -> Callable[..., Any]:
    """A function that merges the accumulators of a team's first `used` members, in order, for all to have."""
    # The simulator has one array for all that are made here.
    room = team * (12 if device.SIMULATED else leaves)

    def across(acc, used, params):
        slots = cuda.shared.array(room, types.int64)
        lane, gap = cuda.threadIdx.x, 1
        save(slots, lane, team, acc)
        cuda.syncthreads()
        while gap < used:
            if lane % (2 * gap) == 0 and lane + gap < used:
                acc = merge(acc, restore(slots, lane + gap, team, acc), params)
                save(slots, lane, team, acc)
            cuda.syncthreads()
            gap *= 2
        acc = restore(slots, 0, team, acc)
        cuda.syncthreads()
        return acc

    def alone(acc, used, params):
        return acc

    return device.function(across if team > 1 else alone)


def count_listed(acc, tap, position, context):
    """How many elements there are, and where the first one is in memory and plane."""
    fresh = acc[0] == 0
    return acc[0] + 1, tap if fresh else acc[1], position if fresh else acc[2]


def both_counts(earlier, later, params):
    """Those of two runs of elements."""
    fresh = earlier[0] == 0
    return earlier[0] + later[0], later[1] if fresh else earlier[1], later[2] if fresh else earlier[2]


def counting(layout: Layout, team: int, *, listed: bool) -> Callable[..., Any]:
    """What finds how many elements of a window take part, and the places of the first one.

    A window without any begins at its corner.
    """

    def all_of_them(window, context):
        return window[4], window[2], window[3]

    if not listed:
        return device.function(all_of_them)
    through = sharing(layout, count_listed, team, merging(team, 3, both_counts))

    def those_listed(window, context):
        return through((np.int64(0), window[2], window[3]), window, context)

    return device.function(those_listed)


# What a launch does: all, or a cut window's parts, or their merge.
WHOLE, PART, MERGE = "whole", "part", "merge"


def nest(
    layout: Layout,
    steps: Steps,
    read: Callable[..., Any],
    write: Callable[..., Any],
    *,
    team: int,
    stage: str = WHOLE,
    further: tuple[bool, bool] = (False, False),
    leaves: int = 1,
    pulls: bool = False,
    read_own: Callable[..., Any] | None = None,
) -> Callable[..., None]:
    """The kernel; `further` says whether there are a second and a third result.

    Where a mask lists elements it takes the place of `partial`, and windows are not cut into parts. On the
    way forward weights are then `state`, and `state_2` is written: how many elements took part, -1 for a
    region without an element. Windows in which none does give 0 and the place of their first element.
    """
    begin, through, finish, second, third, merge = steps
    roles, axes, planes = layout.roles, layout.axes, layout.planes
    rank, ndim = len(axes), len(layout.roles)
    number = np.uint64 if layout.wide else np.uint32
    locate = locating(layout)
    part_only, merges = stage == PART, stage == MERGE
    with_second, with_third = further
    teamed = team > 1
    read_mine = read_own or unchanged
    counts_listed = layout.takes != ALL and not pulls
    count, element = counting(layout, team, listed=counts_listed), element_of(layout)
    may_be_empty = not pulls

    def walk(
        values, out, extra, more, local, state, state_2, state_3, partial, table, params, origin, total, parts
    ):
        at, counts = cuda.local.array(rank, types.int64), cuda.local.array(rank, types.int64)
        task = np.int64(cuda.blockIdx.x) if teamed else np.int64(cuda.grid(1))
        stride = np.int64(cuda.gridDim.x) if teamed else np.int64(cuda.gridsize(1))
        while task < total * (parts if part_only else 1):
            output = task // parts if part_only else task
            share = task - output * parts if part_only else np.int64(0)
            rest, base, here, own, plane = number(output), origin, np.int64(0), np.int64(0), np.int64(0)
            for axis in range(ndim - 1, -1, -1):
                n = number(table[HEAD + axis * COLUMNS])
                quotient = number(rest // n) if axis > 0 else number(0)
                i = np.int64(number(rest - quotient * n))
                rest = quotient
                if roles[axis] < 0:
                    base += i * table[HEAD + axis * COLUMNS + KEPT_STRIDE]
                    plane = i
                else:
                    at[roles[axis]] = i
                    here += i * table[HEAD + axis * COLUMNS + HERE]
                    own += i * table[HEAD + axis * COLUMNS + OWN]
            member, last = np.int64(0), np.int64(1)
            if planes:
                member, last = table[table[MEMBERS] + plane], table[table[MEMBERS] + plane + 1]
                here += table[table[PLACES] + plane]
            else:
                here = output
            if member < last:
                corner, place, elements, divisor = locate(table, at, counts, base, member)
            else:
                corner, place, elements, divisor = origin, np.int64(0), np.int64(0), np.int64(1)
            mine = read_mine(local[here]) if pulls else 0
            context = values, here, params, own, mine, state, state_2, state_3
            window = table, counts, corner, place, elements, share, parts, partial, elements
            taken, tap, position = count(window, context)
            acc = begin(element(read(values[tap]), state, tap), position, here, params)
            if merges:
                acc = restore(partial, output * parts * leaves, 1, acc)
                for other in range(1, parts):
                    acc = merge(acc, restore(partial, (output * parts + other) * leaves, 1, acc), params)
            else:
                window = table, counts, corner, place, elements, share, parts, partial, taken
                acc = through(acc, window, context)
                member += 1
                while member < last:
                    corner, place, elements, divisor = locate(table, at, counts, base, member)
                    window = table, counts, corner, place, elements, share, parts, partial, elements
                    acc = through(acc, window, context)
                    member += 1
            if (not teamed) or cuda.threadIdx.x == 0:
                if counts_listed:
                    state_2[here] = taken if elements > 0 else -1
                    divisor = taken
                if part_only:
                    save(partial, task * leaves, 1, acc)
                elif may_be_empty and elements == 0:  # a region without an element
                    out[here] = write(0)
                    if with_second:
                        extra[here] = -1
                elif counts_listed and taken == 0:
                    out[here] = write(0)
                    if with_second:
                        extra[here] = place
                    if with_third:
                        more[here] = 0
                else:
                    out[here] = write(finish(acc, divisor, params))
                    if with_second:
                        extra[here] = second(acc, divisor, params)
                    if with_third:
                        more[here] = third(acc, divisor, params)
            task += stride

    return walk


device.register(__name__)
