"""The one loop nest of the general kernel: over outputs, and over the elements of each one's window.

Arrays are flat, and axes are numbers of a layout, so that any number of pooled axes, any strides and any
order of memory take the same compiled kernel.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .. import jit, random
from ..operators import EXPRESSIONS
from ..operators.fold import Expression, Fold
from ..windows import Integers
from . import half
from .flags import clear_overflow, overflowed
from .memory import Runs, fields, peek, pointer, pointers, poke

# Which elements a kernel takes: all, those that a mask lists, or those with weights beside them.
ALL, LISTED, WEIGHED = "", "some", "weighed"


# Layouts -------------------------------------------------------------------------------------------------

LARGEST = 2**62  # outputs, more than there are
SEGMENT = 1024  # outputs along the last pooled axis that one task computes


class Head(NamedTuple):
    """The sizes at the beginning of a layout.

    A layout is what a kernel reads in place of several arrays, each of which costs a call 0.1 us. The arrays
    follow the sizes, one after the other: planes, cells, `AxisNumbers` of each pooled axis, tables, groups.
    Planes and cells are at few places each, from which more go on at equal distances.
    """

    rank: int  # pooled axes
    segments: int  # `SEGMENT` outputs or fewer each, in a row of outputs
    planes: int  # places of planes
    facts: int  # what is told of each: its place in the input, in the output, and which table it has
    cells: int  # places behind the last pooled axis
    width: int  # of the tables
    groups: int  # of planes that one task has; 0 where it has a segment
    plane_run: int  # planes that go on from each place, and their distances in input and output
    plane_step: int
    plane_out: int
    cell_run: int
    cell_step: int
    cell_out: int


class AxisNumbers(NamedTuple):
    """A pooled axis in a layout."""

    length: int  # outputs
    begin: int  # its first column in the tables
    stride: int  # distances of elements in the input, in its plane, and of outputs
    place: int
    out: int
    step: int  # of a window's elements in the input, and in its plane
    place_step: int
    own: int  # of outputs in the windows' plane
    repeats: int  # which columns repeat, as `windows.Repeat` has it
    period: int
    times: int
    advance: int


HEAD, FIELDS = len(Head._fields), len(AxisNumbers._fields)
read_head, read_axis = fields(Head), fields(AxisNumbers)
NO_REPEAT = (LARGEST, 1, 0, 0)


def layout_of(
    segments: int,
    outer: Runs,
    inner: Runs,
    axes: Sequence[tuple[int, ...]],
    columns: Sequence[Integers],
    groups: Integers,
) -> Integers:
    """All numbers of a plan in one array."""
    table = np.concatenate(columns, axis=1)
    facts, planes = outer.begins.shape
    sizes = len(axes), segments, planes, facts, inner.begins.shape[1], table.shape[1], groups.size
    head = *sizes, outer.length, *outer.steps, inner.length, *inner.steps
    parts = outer.begins, inner.begins, np.array(axes), table, groups
    return np.concatenate([np.array(head), *(part.ravel() for part in parts)]).astype(np.int64)


def repeated(output, first, period, times):
    """The column of an output, of those from the first that repeats on, and how often it has come before."""
    turns = min(output - first if period == 1 else (output - first) // period, times)
    return output - turns * period, turns


# Where windows are ----------------------------------------------------------------------------------------


class Parts(NamedTuple):
    """Where the arrays of a layout begin."""

    cells: int
    axes: int
    lows: int  # a window's first element, the number of its elements, and its share of the divisor
    counts: int
    divisors: int
    groups: int


class Row(NamedTuple):
    """A row of windows, along the last pooled axis: where it begins, and what its windows have in common."""

    corner: int  # the first element in the input
    place: int  # that in its plane
    here: int  # the first output
    own: int  # that in the windows' plane
    rows: int  # of elements in a window
    divisor: int
    table: int


class Window(NamedTuple):
    """A window."""

    corner: int
    place: int
    here: int
    own: int
    rows: int
    size: int  # elements of a row
    divisor: int


def parts_of(head):
    """Where the arrays of a layout begin."""
    cells = HEAD + head.facts * head.planes
    axes = cells + 2 * head.cells
    lows = axes + head.rank * FIELDS
    return Parts(cells, axes, lows, lows + head.width, lows + 2 * head.width, lows + 3 * head.width)


def column_of(axis, table, output):
    """An output's column in the tables, and how much further than they say its window begins.

    `axis` has the length, the first column and the repeats of an axis; `table` says which of several tables.
    """
    column, further = output, 0
    if output >= axis.repeats:
        column, turns = repeated(output, axis.repeats, axis.period, axis.times)
        further = turns * axis.advance
    return column + axis.begin + table * axis.length, further


def row_of(layout, head, at, counts, plane, rest):
    """A row of windows of a plane, of which `rest` is the number.

    `counts` gets the elements of its windows along all pooled axes but the last.
    """
    table = layout[HEAD + 2 * head.planes + plane] if head.facts > 2 else 0
    further = 0
    if head.plane_run > 1:
        further, plane = plane % head.plane_run, plane // head.plane_run
    corner = layout[HEAD + plane] + further * head.plane_step
    here = layout[HEAD + head.planes + plane] + further * head.plane_out
    place, own, rows, divisor = 0, 0, 1, 1
    for number in range(head.rank - 2, -1, -1):
        axis, output = read_axis(layout, at.axes + number * FIELDS), rest
        if number > 0:
            output, rest = rest % axis.length, rest // axis.length
        column, low = column_of(axis, table, output)
        low += layout[at.lows + column]
        corner += low * axis.stride
        place += low * axis.place
        here += output * axis.out
        own += output * axis.own
        counts[number] = layout[at.counts + column]
        rows *= layout[at.counts + column]
        divisor *= layout[at.divisors + column]
    return Row(corner, place, here, own, rows, divisor, table)


def elements_of(layout, head, at, counts, window, rest):
    """Where a row of a window's elements begins, in the input and in its plane; `rest` is its number."""
    tap, position = window.corner, window.place
    for number in range(head.rank - 2, -1, -1):
        axis, i = read_axis(layout, at.axes + number * FIELDS), rest
        if number > 0:
            i, rest = rest % counts[number], rest // counts[number]
        tap += i * axis.step
        position += i * axis.place_step
    return tap, position


# What is done with windows and their elements -------------------------------------------------------------

# What the loop nest is for: windows to results; gradients of windows, gathered by each element; or gradients
# sent by each window to its elements, where one thread has all windows of a plane.
FORWARD, PULL, SEND = "fold", "pull", "send"


class Arrays(NamedTuple):
    """Where the arrays of a call begin, and whether further results are wanted."""

    values: Any
    out: Any
    second: Any
    third: Any
    has_second: bool
    has_third: bool
    # FORWARD with a mask: the mask, weights, and numbers of what took part, written. PULL: x, three states,
    # and the mask if there is one. SEND: gradients, three states, the mask, and which windows send.
    others: Any


def at_each(arrays, at):
    """The three states of a window."""
    _, one, two, three = arrays.others[:4]
    return peek(one, at), peek(two, at), peek(three, at)


MASK = {FORWARD: 0, PULL: 4, SEND: 4}  # which of the others it is


class Kind(NamedTuple):
    """What a kernel is compiled for."""

    operator: Fold
    pull: Expression | None  # what a window sends to an element; None forward
    way: str
    source: str  # how input and results are stored
    target: str
    takes: str

    @property
    def divides(self) -> bool:
        """Whether results are divided by how many elements take part, and these numbers written too."""
        return self.way == FORWARD and self.takes != ALL


def _taken(kind: Kind) -> Expression:
    """Whether an element takes part."""
    mask = MASK[kind.way]

    def always(arrays, tap):
        return True

    def where_listed(arrays, tap):
        return peek(arrays.others[mask], tap) != 0

    return always if kind.takes == ALL else where_listed


def _element(kind: Kind) -> Expression:
    """What a fold reads: a value, with its weight where there are weights."""
    read = half.READ[kind.source]

    def alone(arrays, tap):
        return read(peek(arrays.values, tap))

    def beside_weight(arrays, tap):
        return read(peek(arrays.values, tap)), peek(arrays.others[1], tap)

    return beside_weight if kind.takes == WEIGHED else alone


def _visit(kind: Kind, element: Expression) -> tuple[Expression, Expression]:
    """What is read of a window once, and what is done with each of its elements.

    The second gets the element's place in the input (`tap`) and in its plane (`position`), what was read of
    the window (`told`), and whether the element is the first that takes part (`fresh`). It gives the
    accumulator after the element, which `SEND` leaves as it is.
    """
    start, lift, combine = kind.operator[:3]
    read, give, some = half.READ[kind.source], kind.pull or lift, kind.takes != ALL

    def nothing(arrays, window):
        return 0

    def fold(arrays, acc, fresh, tap, position, window, told, params):
        value = element(arrays, tap)
        if some:
            acc = start(value, position, window.here, params) if fresh else acc
        return combine(acc, lift(value, position, window.here, params), params)

    def value_of(arrays, window):
        return read(peek(arrays.others[0], window.here))

    def pull(arrays, acc, fresh, tap, position, window, told, params):
        sent = give(read(peek(arrays.values, tap)), told, window.own, *at_each(arrays, tap), params)
        return combine(acc, lift(sent, position, window.here, params), params)

    def gradient_of(arrays, window):
        sends = peek(arrays.others[5], window.here) != 0 if some else True
        return sends, peek(arrays.others[0], window.here), at_each(arrays, window.here)

    def send(arrays, acc, fresh, tap, position, window, told, params):
        sends, gradient, states = told
        if sends:
            sent = give(gradient, read(peek(arrays.values, tap)), position, *states, params)
            poke(arrays.out, tap, peek(arrays.out, tap) + sent)
        return acc

    return {FORWARD: (nothing, fold), PULL: (value_of, pull), SEND: (gradient_of, send)}[kind.way]


def _close(kind: Kind) -> Expression:
    """What is written of a window: its value and further results, and how many elements took part."""
    finish, second, third = kind.operator[3:6]
    write, divides = half.WRITE[kind.target], kind.divides

    def close(arrays, acc, taken, window, params):
        here, elements, divisor = window.here, window.rows * window.size, window.divisor
        if divides:
            divisor = taken
            poke(arrays.others[2], here, taken if elements > 0 else -1)
        if elements == 0 or (divides and taken == 0):
            poke(arrays.out, here, write(0))
            if arrays.has_second:
                poke(arrays.second, here, window.place if elements > 0 else -1)
            if arrays.has_third:
                poke(arrays.third, here, 0)
        else:
            poke(arrays.out, here, write(finish(acc, divisor, params)))
            if arrays.has_second:
                poke(arrays.second, here, second(acc, divisor, params))
            if arrays.has_third:
                poke(arrays.third, here, third(acc, divisor, params))

    def nothing(arrays, acc, taken, window, params):
        pass

    return nothing if kind.way == SEND else close


def _reduce_window(kind: Kind) -> Expression:
    """The loops over the elements of a window."""
    element, is_taken, close = _element(kind), _taken(kind), _close(kind)
    tell, visit = _visit(kind, element)
    start, turns, again, goes = kind.operator[0], *kind.operator[6:9]
    for expression in (element, is_taken, tell, visit, close):
        jit.expression(expression)

    def reduce_window(arrays, layout, head, at, axis, counts, window, params):
        told, taken = tell(arrays, window), 0
        acc = start(element(arrays, window.corner), window.place, window.here, params)
        for turn in range(turns):
            if turn > 0:
                if taken == 0:
                    break
                acc = again(acc, params)
                if not goes(acc, params):
                    break
            for row in range(window.rows):
                tap, position = elements_of(layout, head, at, counts, window, row)
                for _ in range(window.size):
                    if is_taken(arrays, tap):
                        fresh = (taken == 0) & (turn == 0)
                        acc = visit(arrays, acc, fresh, tap, position, window, told, params)
                        taken += 1 if turn == 0 else 0
                    tap += axis.step
                    position += axis.place_step
        close(arrays, acc, taken, window, params)

    jit.expression(reduce_window)
    return reduce_window


@cache
def kernel(
    name: str, operator: Fold, pull: Expression | None, way: str, source: str, target: str, takes: str
) -> Callable[..., Any]:
    """The loop nest for one operator and way; `source` and `target` name dtypes, `takes` which elements.

    It says whether sums overflowed, of a fold for which there is a wide one.

    A task is up to `SEGMENT` windows of a row of outputs. One loop goes over the elements of a window, once
    or for several turns, and keeps nothing for the next window. Forward reads each element for each window
    that covers it, and writes each result once. `PULL` reads a gradient and its states for each window that
    covers an element, and writes the element once. `SEND` reads and writes each element of a window.
    """
    reduce_window = _reduce_window(Kind(operator, pull, way, source, target, takes))
    watches, digest = operator.wide is not None, jit.source_digest()

    def walk(values, out, second, third, saved, layout, params, first, last):
        _ = digest  # captured, and so part of the cache key
        if watches:
            clear_overflow()
        head = read_head(layout, 0)
        at = parts_of(head)
        axis, counts = read_axis(layout, at.lows - FIELDS), np.empty(head.rank, np.int64)
        wants, others, knobs = (second.size > 0, third.size > 0), pointers(saved), pointers(params)
        arrays = Arrays(pointer(values), pointer(out), pointer(second), pointer(third), *wants, others)
        per_plane = head.segments
        for number in range(head.rank - 1):
            per_plane *= read_axis(layout, at.axes + number * FIELDS).length
        if head.groups:
            first, last = layout[at.groups + first] * per_plane, layout[at.groups + last] * per_plane
        for task in range(first, last):
            plane, segment = task // per_plane, 0  # to divide takes as long as a window of 2x2
            rest = task - plane * per_plane
            if head.segments > 1:
                segment, rest = rest % head.segments, rest // head.segments
            row = row_of(layout, head, at, counts, plane, rest)
            for output in range(segment * SEGMENT, min((segment + 1) * SEGMENT, axis.length)):
                column, low = column_of(axis, row.table, output)
                low, count = low + layout[at.lows + column], layout[at.counts + column]
                place, divisor = row.place + low * axis.place, row.divisor * layout[at.divisors + column]
                for cell in range(head.cells):
                    corner = row.corner + low * axis.stride + layout[at.cells + cell]
                    here = row.here + output * axis.out + layout[at.cells + head.cells + cell]
                    for _ in range(head.cell_run):
                        window = Window(corner, place, here, row.own + output, row.rows, count, divisor)
                        reduce_window(arrays, layout, head, at, axis, counts, window, knobs)
                        corner += head.cell_step
                        here += head.cell_out
        return overflowed() if watches else False

    return jit.kernel(walk, f"{way}_{name}_{source}_{target}{takes and '_' + takes}")


for module in (*EXPRESSIONS, half, random, __name__):
    jit.register(module)
