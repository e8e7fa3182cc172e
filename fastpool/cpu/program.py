"""What a kernel of `lines` does to one block: its steps, written once for every shape of block."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..windows import Integers
from . import lines
from .lines import FIELDS

CHAIN = 4  # taps that are merged one after the other where windows overlap much; twice that for channels
LONGEST = 16  # taps that are merged so at all, along an axis
MOST_SWEPT = 256  # and of the longest: writing steps for each row takes longer than it saves
SWEPT = 13  # rows of the shortest window that is swept
PLANE = 4_000  # elements of the largest plane that slides as one block, and may be taken as one line
DOUBLED = 1_000  # and of the shortest where they double so
STACKED = 256  # rows at most that are stacked
LANES = 8  # elements that are reduced side by side
REDUCED = 160  # longest window that is reduced alone: 20 additions in a row and a tail
GROUP = 16  # elements of a long row that are reduced at once (each register adds once, as halves do), or rows
HALVED = 256  # longest window that doubles where it is the whole row
PIECE = 4_096  # elements of a whole row that merge at a time
SPLITS = {2: lines.SPLIT_2, 3: lines.SPLIT_3, 4: lines.SPLIT_4}
PICKED = 8  # elements that are picked at once, at most
READ = 4  # times as many elements are read at a time where rows merge as they lie
NARROW = 9  # elements below which a pass runs down the rows in place of along them

SCRATCH, INPUT = 0, 1

_FIELDS = "from out a b c count repeat out_pitch a_pitch pitch a_shift b_shift c_shift"
PLACE = {name: getattr(lines, name.upper()) for name in _FIELDS.split()}  # of a step's fields


class Regular(NamedTuple):
    """A regular axis in numbers; the pitches are distances between its elements in input and output."""

    size: int
    outputs: int
    window: int
    stride: int
    before: int
    step: int
    pitch: int
    out_pitch: int
    few: int = CHAIN  # taps that are merged one after the other where windows overlap much
    chained: bool = False  # never to double
    reduced: bool = False  # each window alone, its elements in no order
    swept: bool = False  # as `swept` has it
    stacked: bool = False  # as `stacked` has it
    slides: bool = False  # as `slides` has it
    dense: bool = False  # as `filled` has it
    every: int = 1  # of the outputs that are wanted of such an axis

    def whole(self) -> bool:
        """Whether there is one window, of every element."""
        every = self.window == self.size and (self.step == 1 or self.size == 1)
        return self.outputs == 1 and every and self.before == 0

    def padded(self) -> bool:
        """Whether a window reaches out of the axis."""
        return (
            self.before > 0 or (self.outputs - 1) * self.stride + (self.window - 1) * self.step >= self.size
        )

    def centred(self) -> bool:
        """Whether there is a window around every element, of neither one nor an even number."""
        half, odd = self.window // 2, self.window % 2 == 1
        alike = self.stride == 1 and self.outputs == self.size and self.before == half * self.step
        return alike and odd and 1 <= half <= self.size

    def cells(self) -> bool:
        """Whether windows lie side by side and cover the axis."""
        fits = self.window == self.stride and self.step == 1 and self.before == 0
        return fits and self.outputs * self.stride == self.size

    def halves(self, *, narrow: bool) -> bool:
        """Whether one long window is the whole axis, of single elements."""
        return narrow and self.whole() and self.window > HALVED

    def reducible(self, *, narrow: bool) -> bool:
        """Whether windows that keep no order reduce each alone: long ones, side by side."""
        side_by_side = self.outputs == 1 or self.stride == self.window
        fits = narrow and self.step == 1 and self.before == 0 and side_by_side
        return fits and LANES <= self.window <= REDUCED and not self.padded()

    def filled(self) -> "Regular":
        """The axis with windows at every element, of which those at the stride are picked in the end."""
        if not self.dense:
            return self
        outputs = (self.outputs - 1) * self.stride + 1
        return self._replace(outputs=outputs, stride=1, every=self.stride, dense=False)

    def sweeps(self) -> bool:
        """Whether, of rows, `swept` is cheaper than doubling."""
        return SWEPT <= self.window <= MOST_SWEPT and self.stride == self.step == 1 < self.outputs

    def doubles(self, narrow: bool) -> bool:
        """Whether doubling is cheaper than merging each window's elements; `narrow` along single elements."""
        if self.dense:
            return self.filled().doubles(narrow)
        if self.chained or self.reduced or self.stacked:
            return False
        overlaps = self.outputs > 1 and self.stride * 3 <= self.window
        return self.window > self.few and (
            overlaps or self.window > LONGEST or (narrow and self.stride > CHAIN)
        )

    def parts(
        self, height: int, *, narrow: bool = False
    ) -> "tuple[list[Part], Integers, Integers, Integers]":
        """The outputs in runs of `height`: one of each shape; each run's shape, first output, first input."""
        first = np.arange(0, self.outputs, height)
        last = np.minimum(first + height, self.outputs)
        start, stop = first * self.stride - self.before, (last - 1) * self.stride - self.before + self.span
        low, high = np.maximum(start, 0), np.minimum(stop, self.size)
        shapes = np.stack([last - first, start - low, high - low, stop - high], 1)
        usual = shapes[len(first) // 2]
        kinds: dict[Any, int] = {tuple(usual.tolist()): 0}
        kind = np.zeros(len(first), np.int64)
        for run in np.flatnonzero((shapes != usual).any(1)):
            kind[run] = kinds.setdefault(tuple(shapes[run].tolist()), len(kinds))
        parts = [Part(self, count, start, inputs, after, narrow) for count, start, inputs, after in kinds]
        return parts, kind, first, low

    @property
    def span(self) -> int:
        """Distance from a window's first element to behind its last."""
        return (self.window - 1) * self.step + 1


class Part(NamedTuple):
    """A run of outputs along an axis and the inputs that they cover."""

    axis: Regular
    outputs: int
    start: int  # where the first window begins, from the first input; below 0 in the padding
    inputs: int
    after: int  # elements of padding behind the inputs
    narrow: bool = False  # whether elements are single, not channels

    def filled(self) -> "Part":
        """As `Regular.filled`."""
        outputs = (self.outputs - 1) * self.axis.stride + 1 if self.axis.dense else self.outputs
        return self._replace(axis=self.axis.filled(), outputs=outputs)

    def taps(self, output: int) -> list[tuple[int, int]]:
        """The inputs that a window covers, from the first input on, and which of its elements they are."""
        begin, step = self.start + output * self.axis.stride, self.axis.step
        places = ((begin + tap * step, tap) for tap in range(self.axis.window))
        return [(place, tap) for place, tap in places if 0 <= place < self.inputs]

    def doubles(self) -> bool:
        """Whether windows along this axis double."""
        return self.axis.doubles(narrow=self.narrow) and not self.halves()

    def halves(self) -> bool:
        """Whether one long window is the whole axis."""
        return self.axis.halves(narrow=self.narrow)

    def pairs(self) -> bool:
        """Whether windows lie side by side and have two or four elements."""
        axis, (first, last) = self.axis, self.inside()
        return (
            self.narrow
            and axis.step == 1
            and axis.window == axis.stride in (2, 4)
            and last - first == self.outputs
        )

    def twos(self) -> bool:
        """Whether all windows are two neighbours."""
        return self.axis.window == 2 and self.axis.step == 1 and self.inside() == (0, self.outputs)

    def inside(self) -> tuple[int, int]:
        """The first output with a whole window, and the one after the last."""
        first = -(min(self.start, 0) // self.axis.stride)
        last = min(self.outputs, (self.inputs - self.axis.span - self.start) // self.axis.stride + 1)
        return (first, last) if first < last else (0, 0)


class Span(NamedTuple):
    """Rows of elements: where they are, from which offset, how far apart; `shift` is added to places.

    Those of `bare` ones are 0: of input and of lines that are as it is.
    """

    where: int
    at: int
    pitch: int
    shift: int = 0
    bare: bool = False

    def on(self, elements: int, shift: int = 0) -> "Span":
        """The span from `elements` on, its places `shift` further."""
        return self._replace(at=self.at + elements, shift=self.shift + shift)


class Writer:
    """Writes steps, and counts the scratch memory that they need."""

    def __init__(self, *, fused: bool, placed: bool) -> None:
        self.fused, self.placed = fused, placed
        self.steps: list[tuple[int, ...]] = []
        self.size = 0
        self.spare: dict[str, tuple[int, int]] = {}

    def step(self, op: int, **fields: int) -> None:
        """One step; what is not named is 0."""
        row = [0] * FIELDS
        row[lines.OP] = op
        for name, value in fields.items():
            row[PLACE[name]] = value
        self.steps.append(tuple(row))

    def region(self, elements: int, pitch: int) -> Span:
        """Scratch memory of its own."""
        at = self.size
        self.size += -(-elements // 16) * 16
        return Span(SCRATCH, at, pitch)

    def temporary(self, name: str, elements: int, pitch: int) -> Span:
        """Scratch memory that others of that name, and no longer, overwrite."""
        if self.spare.get(name, (0, 0))[1] < elements:
            self.spare[name] = (self.region(elements, pitch).at, elements)
        return Span(SCRATCH, self.spare[name][0], pitch)

    def join(self, taps: list[Span], count: int, repeat: int, out: Span) -> Span:
        """Merge the taps, first to last, into `out`; one tap alone stays where it is."""
        down = count < NARROW and repeat > count
        if self.placed and not down and len(taps) > 3 and all(tap.bare for tap in taps):
            taps = self._threes(taps, count, repeat, out.pitch)
        first, rest, turn = taps[0], taps[1:], 0
        while rest:
            more = rest[: 1 if down else 2]
            rest = rest[len(more) :]
            to = out
            if rest:
                to, turn = self.temporary(f"merge {turn}", repeat * out.pitch + count, out.pitch), 1 - turn
            op = lines.JOIN_DOWN if down else lines.JOIN if len(more) == 1 else lines.JOIN_THREE
            self._merge(op, first, more, to, count=count, repeat=repeat)
            first = to
        return first

    def _threes(self, taps: list[Span], count: int, repeat: int, pitch: int) -> list[Span]:
        """Bare taps merged three, or two, at a time: merging them with others would need their places."""
        found = []
        for number, three in enumerate(np.array_split(np.arange(len(taps)), -(-len(taps) // 3))):
            to = self.temporary(f"three {number}", repeat * pitch + count, pitch)
            found.append(self.join([taps[n] for n in three], count, repeat, to))
        return found

    def _merge(self, op: int, first: Span, more: list[Span], out: Span, **fields: int) -> None:
        b, c = more[0], more[-1]
        # `JOIN_DOWN` reads places: it is for windows at the edges, of input, and for whole rows
        bare = lines.BARE * (op != lines.JOIN_DOWN and all(span.bare for span in (first, *more)))
        self.step(
            op,
            **{"from": first.where + 2 * b.where + 4 * c.where + bare},
            out=out.at,
            a=first.at,
            b=b.at,
            c=c.at,
            out_pitch=out.pitch,
            a_pitch=first.pitch,
            pitch=b.pitch,
            a_shift=first.shift,
            b_shift=b.shift,
            c_shift=c.shift,
            **fields,
        )

    def stack(self, source: Span, out: Span, count: int, repeat: int, *, onto: bool) -> None:
        """Merge rows to one, `onto` what is there or not."""
        at = {"from": source.where, "a": source.at, "b": self.temporary("stack", count, count).at}
        rows = {"pitch": source.pitch, "count": count, "repeat": repeat}
        self.step(lines.STACK, **at, out=out.at, c=onto, **rows)

    def windows(self, name: str, line: Span, size: int, window: int, step: int, shift: int) -> list[Span]:
        """Windows along one long line by doubling: 1, 2 or 3, ... elements, as the bits of `window` say.

        Returns what the last doubling merges. `step` is the distance of a window's elements.
        """
        found, taps = line, [line]
        for bit in range(window.bit_length() - 2, -1, -1):
            have, more = window >> (bit + 1), window >> bit
            if found != taps[0] or len(taps) > 1:
                found = self.temporary(f"{name} {bit % 2}", size, line.pitch)
                self.join(taps, size, 1, found)
            taps = [found, found.on(have * step, have * shift)]
            if more > 2 * have:
                taps.append(line.on(2 * have * step, 2 * have * shift))
            size -= (more - have) * step
        return taps

    def look(self, source: Span, count: int, repeat: int) -> None:
        """Scan for NaNs, which also brings the input into cache in the order of its addresses."""
        count, repeat = (count * repeat, 1) if source.pitch == count else (count, repeat)
        self.step(lines.SCAN, a=source.at, count=count, repeat=repeat, pitch=source.pitch)

    def pair(self, op: int, source: Span, out: Span, count: int, repeat: int, shift: int) -> None:
        """Merge each two neighbours."""
        at = {"from": source.where + lines.BARE * source.bare, "a": source.at, "out": out.at}
        pitches = {"out_pitch": out.pitch, "pitch": source.pitch}
        self.step(op, **at, **pitches, b_shift=shift, count=count, repeat=repeat)

    def reduce(self, source: Span, window: int, outputs: int, rows: int, out: Span) -> None:
        """Windows that lie side by side, each to one element."""
        once = rows == 1 or (source.pitch == outputs * window and out.pitch == outputs)
        for row in range(1 if once else rows):
            at = {"from": source.where, "a": source.at + row * source.pitch, "out": out.at + row * out.pitch}
            repeat = (rows if once else 1) * outputs
            self.step(lines.REDUCE, **at, out_pitch=1, pitch=window, count=window, repeat=repeat)

    def split(self, op: int, source: Span, out: Span, apart: int, count: int, repeat: int) -> None:
        """Every second, third or fourth element of the source to a line of its own, `apart` from the next."""
        at = {"from": source.where + lines.BARE * source.bare, "a": source.at, "b": apart, "out": out.at}
        pitches = {"out_pitch": out.pitch, "pitch": source.pitch}
        self.step(op, **at, **pitches, count=count, repeat=repeat)

    def take(self, source: Span, out: Span, count: int, repeat: int) -> None:
        """Copy rows, of the input or of lines, into others."""
        if source.where == SCRATCH:
            self.copy(source, out, count, repeat)
            return
        if source.pitch == out.pitch == count:
            count, repeat = count * repeat, 1
        pitches = {"out_pitch": out.pitch, "pitch": source.pitch}
        self.step(lines.TAKE, a=source.at, out=out.at, count=count, repeat=repeat, **pitches)

    def taken(self, taps: list[Span], count: int, repeat: int) -> list[Span]:
        """Rows of the input in lines, merged two at a time."""
        found = []
        for number in range(0, len(taps), 2):
            two, out = taps[number : number + 2], self.temporary(f"taken {number}", count * repeat, count)
            if len(two) == 1:
                self.take(two[0], out, count, repeat)
            else:
                at = {"a": two[0].at, "b": two[1].at, "out": out.at}
                pitches = {"out_pitch": count, "pitch": two[0].pitch}
                self.step(lines.JOIN_IN, **at, **pitches, count=count, repeat=repeat)
            found.append(out)
        return found

    def fill(self, out: Span, count: int, repeat: int) -> None:
        """Fill rows with what changes nothing."""
        if count:
            self.step(lines.FILL, out=out.at, count=count, repeat=repeat, out_pitch=out.pitch)

    def copy(self, source: Span, out: Span, count: int, repeat: int) -> None:
        """Copy columns, bare ones, where they are not in place already."""
        if source != out:
            at = {"from": source.where + lines.BARE * source.bare, "a": source.at, "out": out.at}
            pitches = {"out_pitch": out.pitch, "pitch": source.pitch}
            op = lines.SAMPLE if count < NARROW else lines.COPY
            self.step(op, **at, **pitches, a_shift=source.shift, count=count, repeat=repeat)

    def picked(self, taps: list[Span], columns: Part, deep: int, rows: int) -> Span:
        """The taps of windows at every element merged, and of them those at the stride."""
        stride, outputs = columns.axis.stride, columns.outputs
        length = outputs * stride * deep
        found = self.temporary("every", rows * length, length)
        found = self.join(taps, length - (stride - 1) * deep, rows, found)
        out = self.temporary("picked", rows * outputs * deep + PICKED, outputs * deep)
        runs_on = found.pitch == length
        for i in range(1 if runs_on else rows):
            at = {"from": SCRATCH, "a": found.at + i * found.pitch, "out": out.at + i * out.pitch}
            repeat = outputs * (rows if runs_on else 1)
            op = lines.PICK_4 if deep <= 4 else lines.PICK_8
            self.step(op, **at, pitch=stride * deep, out_pitch=deep, count=deep, repeat=repeat)
        return out._replace(shift=found.shift)

    def put(self, taps: list[Span], count: int, repeat: int, out: int, out_pitch: int, row: int = 0) -> None:
        """Merge the taps, finish and write rows of output, the first of them the block's row `row`."""
        flat = repeat == 1 or taps[0].pitch == count
        if self.fused and flat and out_pitch == count:
            count, repeat = count * repeat, 1
        if self.fused and len(taps) > 1:
            head = max(1, len(taps) - 2)
            taps = [self._gather(taps[:head], count, repeat, flat=flat), *taps[head:]]
            if repeat == 1 or taps[0].pitch == taps[1].pitch:
                op = lines.PUT_2 if len(taps) == 2 else lines.PUT_3
                self._merge(op, taps[0], taps[1:], Span(SCRATCH, out, out_pitch), count=count, repeat=repeat)
                return
        line = self._gather(taps, count, repeat, flat=flat)
        self._put(line, count, repeat, out, out_pitch, c=row, b_shift=1)

    def put_cells(
        self, taps: list[Span], count: int, repeat: int, out: int, out_pitch: int, row: int
    ) -> None:
        """As `put`, for the cells of one row, which are `out_pitch` apart in output and scales."""
        line = self._gather(taps, count, repeat, flat=taps[0].pitch == count)
        self._put(line, count, repeat, out, out_pitch, c=row, a_shift=out_pitch)

    def _put(self, line: Span, count: int, repeat: int, out: int, out_pitch: int, **fields: int) -> None:
        at = {"from": line.where, "a": line.at, "out": out}
        pitches = {"out_pitch": out_pitch, "pitch": line.pitch}
        fields = {} if self.fused else fields
        self.step(lines.PUT, **at, **pitches, count=count, repeat=repeat, c_shift=line.shift, **fields)

    def _gather(self, taps: list[Span], count: int, repeat: int, *, flat: bool) -> Span:
        if len(taps) == 1:
            return taps[0]
        out = self.temporary("gathered", count * repeat, count)
        if flat:
            self.join(taps, count * repeat, 1, out)
        else:
            self.join(taps, count, repeat, out)
        return out


# Blocks --------------------------------------------------------------------------------------------------


class Frame(NamedTuple):
    """What all blocks of a call have in common."""

    channels: int
    units: tuple[int, int]  # what a window's next row and next column add to places
    scans: bool  # for NaNs
    converts: bool  # input to another dtype
    placed: bool  # elements are pairs of value and place
    fused: bool  # results are all scaled alike, or places told from their window
    near: int  # elements that are read at a time
    commutes: bool  # elements may merge in any order
    grouped: bool  # and those of long rows do in groups


Offsets = Sequence[tuple[int, int]]  # of slabs, in the input and of places


def block(frame: Frame, slabs: Offsets, rows: Part, columns: Part, deep: int) -> Writer:
    """A block of `deep` channels, in the way that is cheapest."""
    writer, row, offset = Writer(fused=frame.fused, placed=frame.placed), rows.axis, slabs[0][0]
    if row.swept:
        swept(writer, frame, rows, columns, deep, offset)
    elif row.slides:
        doubled_down(writer, frame, rows, columns, offset)
    elif row.stacked:
        stacked(writer, frame, rows, columns, deep, offset)
    elif deep == frame.channels and _rows_first(frame, row, columns.axis):
        rows_first(writer, frame, rows, columns, slabs)
    else:
        columns_first(writer, frame, rows, columns, deep, slabs)
    return writer


def columns_first(writer: Writer, frame: Frame, rows: Part, columns: Part, deep: int, slabs: Offsets) -> None:
    """Windows in row-major order: rows are reduced along the columns, a few at a time, then over rows."""
    row, channels, doubles = rows.axis, frame.channels, rows.axis.doubles(narrow=False)
    above, below = (-min(rows.start, 0), rows.after) if doubles else (0, 0)
    pitch = line_pitch(columns, deep)
    high = above + rows.inputs + below
    pieces = max(1, round(rows.inputs * columns.inputs * deep / frame.near))
    few = -(-rows.inputs // min(pieces, rows.inputs))
    found: list[Span] = []
    for offset, shift in slabs:
        line = writer.region(high * pitch, pitch)
        writer.fill(line, above * pitch, 1)
        writer.fill(line.on((above + rows.inputs) * pitch), below * pitch, 1)
        for top in range(0, rows.inputs, few):
            count = min(few, rows.inputs - top)
            source = Span(INPUT, offset + top * row.pitch, row.pitch, bare=True)
            along(writer, frame, source, count, columns.filled(), deep, line.on((above + top) * pitch))
        taps = [line]
        if doubles:
            down = row.step * pitch, frame.units[0]
            taps = writer.windows(f"rows {len(found)}", line, high * pitch, row.window, *down)
        found += [tap._replace(shift=tap.shift + shift) for tap in taps]
    if len(slabs) > 1 and frame.commutes and not doubles:  # in long lines first
        line = writer.region(high * pitch, pitch)
        found = [writer.join(found, high * pitch, 1, line)]
    first, last = (0, rows.outputs) if doubles else rows.inside()
    output = 0
    while output < rows.outputs:
        together = last - output if first <= output < last else 1
        places = [(output * row.stride, 0)] if doubles else rows.taps(output)
        taps = [
            span.on(at * pitch, tap * frame.units[0])._replace(pitch=row.stride * pitch)
            for span in found
            for at, tap in places
        ]
        deliver(writer, taps, rows, columns, deep, channels, output, together)
        output += together


def _rows_first(frame: Frame, rows: Regular, columns: Regular) -> bool:
    """Whether windows, of what keeps no order, merge their rows before the elements of a row."""
    once = rows.stride >= rows.window and (frame.channels > 1 or columns.window > CHAIN)
    fits = frame.commutes and rows.window > 1 < rows.stride and not rows.doubles(narrow=False)
    return fits and (once or columns.dense or not frame.converts)


def rows_first(writer: Writer, frame: Frame, rows: Part, columns: Part, slabs: Offsets) -> None:
    """Windows in any order: rows merge as they lie in the input, and then along the one that is left."""
    row, deep = rows.axis, frame.channels
    size, filled = columns.inputs * deep, columns.filled()
    pitch, (first, last) = line_pitch(columns, deep), rows.inside()
    few = max(1, READ * frame.near // (row.stride * size * len(slabs)))
    merged, line = writer.region(few * size, size)._replace(bare=True), writer.region(few * pitch, pitch)
    output = 0
    while output < rows.outputs:
        together = min(few, last - output) if first <= output < last else 1
        places = [offset + at * row.pitch for offset, _ in slabs for at, _ in rows.taps(output)]
        taps = [Span(INPUT, at, row.stride * row.pitch, bare=True) for at in places]
        if frame.converts:
            taps = writer.taken(taps, size, together)
        found = writer.join(taps, size, together, merged)
        along(writer, frame._replace(converts=False), found, together, filled, deep, line)
        deliver(writer, [line], rows, columns, deep, deep, output, together)
        output += together


def slides(frame: Frame, rows: Regular, columns: Regular) -> bool:
    """Whether to double along and down long rows of values, row by row."""
    fits = frame.fused and not frame.placed and rows.stride == columns.stride == 1
    down = rows.outputs > 4 * rows.span and rows.sweeps() and not rows.swept
    return fits and down and columns.outputs * frame.channels > DOUBLED


class Ring:
    """Rows of scratch memory that take turns."""

    def __init__(self, writer: Writer, rows: int, length: int) -> None:
        pitch = length + 16  # rows of 8 KB would all be in the same few lines of the cache
        self.first, self.rows = writer.region(rows * pitch, pitch), rows

    def __getitem__(self, row: int) -> Span:
        """Where the row is, as long as no later one has taken its turn."""
        return self.first.on(row % self.rows * self.first.pitch)


def doubled_down(writer: Writer, frame: Frame, rows: Part, columns: Part, offset: int) -> None:
    """Windows double along each row and then down the rows; each level keeps what the next one needs."""
    axis, deep, across = rows.axis, frame.channels, columns.axis
    count, size, left = columns.outputs * deep, columns.inputs * deep, -columns.start * deep
    wide = (columns.outputs - 1 + across.span) * deep
    taken = writer.region(wide, 0)
    writer.fill(taken, left, 1)
    writer.fill(taken.on(left + size), wide - left - size, 1)
    levels = [axis.window >> bit for bit in range(axis.window.bit_length() - 1, -1, -1)]
    rings = [Ring(writer, (more - have) * axis.step + 1, count) for have, more in pairwise(levels)]
    for row in range(rows.outputs - 1 + axis.span):
        at, line = row + rows.start, rings[0][row]
        if 0 <= at < rows.inputs:
            writer.take(Span(INPUT, offset + at * axis.pitch, 0), taken.on(left), size, 1)
            taps = writer.windows("columns", taken, wide, across.window, across.step * deep, 0)
            writer.copy(writer.join(taps, count, 1, line), line, count, 1)
        else:
            writer.fill(line, count, 1)
        for level, (have, more) in enumerate(pairwise(levels)):
            begin = row - (more - 1) * axis.step
            if begin < 0:
                break
            taps = [rings[level][begin], rings[level][begin + have * axis.step]]
            taps += [line] * (more - 2 * have)
            if more == axis.window:
                writer.put(taps, count, 1, begin * axis.out_pitch, axis.out_pitch)
            else:
                writer.join(taps, count, 1, rings[level + 1][begin])


def stacked(writer: Writer, frame: Frame, rows: Part, columns: Part, deep: int, offset: int) -> None:
    """One window of many rows, in groups, so that they are read once and in the order of addresses."""
    total, groups = writer.region(deep, deep), -(-rows.inputs // GROUP)
    for group in np.array_split(np.arange(rows.inputs), groups):
        top, count = int(group[0]), len(group)
        source = Span(INPUT, offset + top * rows.axis.pitch, rows.axis.pitch)
        if frame.converts:
            taken = writer.temporary("taken", GROUP * deep, deep)
            writer.take(source, taken, deep, count)
            source = taken
        writer.stack(source, total, deep, count, onto=top > 0)
    deliver(writer, [total], rows, columns, deep, frame.channels, 0, 1)


def deliver(
    writer: Writer,
    taps: list[Span],
    rows: Part,
    columns: Part,
    deep: int,
    channels: int,
    output: int,
    together: int,
) -> None:
    """Merge the taps into rows of output, from the block's row `output` on."""
    pitch = rows.axis.out_pitch
    out = output * pitch
    if columns.axis.dense:
        taps = [writer.picked(taps, columns, deep, together)]
    if deep == channels:
        writer.put(taps, columns.outputs * deep, together, out, pitch, output)
        return
    for i in range(together):
        at = [tap.on(i * tap.pitch)._replace(pitch=deep) for tap in taps]
        writer.put_cells(at, deep, columns.outputs, out + i * pitch, channels, output + i)


def swept(writer: Writer, frame: Frame, rows: Part, columns: Part, deep: int, offset: int) -> None:
    """Windows of many rows at stride 1 in three merges a row, however many (van Herk 1992, Gil 1993).

    Rows are taken in groups of as many as a window has. A window is the end of one group, which is merged
    from its last row upwards, and the beginning of the next, which is merged downwards as its rows come.
    """
    window, pitch = rows.axis.window, line_pitch(columns, deep)
    above, bottom = -min(rows.start, 0), rows.outputs + window - 1
    few = min(window, max(1, frame.near // (columns.inputs * deep)))
    held, ends = writer.region(window * pitch, pitch), writer.region(window * pitch, pitch)
    turns = writer.region(few * pitch, pitch), writer.region(few * pitch, pitch)
    latest = held
    for group in range(0, bottom, window):
        end, top = min(group + window, bottom), group
        while top < end:
            at, row = top - group, top - above
            line, begun = held.on(at * pitch), turns[0]
            turns = turns[::-1]
            inside = 0 <= row < rows.inputs
            count = min(few, end - top, (rows.inputs if inside else 0) - row if row < rows.inputs else few)
            if inside:
                source = Span(INPUT, offset + row * rows.axis.pitch, rows.axis.pitch, bare=True)
                along(writer, frame, source, count, columns.filled(), deep, line)
            else:
                writer.fill(line, count * pitch, 1)
            for i in range(count):
                taps = [line.on(i * pitch)] if at + i == 0 else [latest, line.on(i * pitch)]
                latest = begun.on(i * pitch)
                writer.copy(writer.join(taps, pitch, 1, latest), latest, pitch, 1)
            whole = at + count == window  # the last row's window is the group
            if group and count > whole:
                windows = [ends.on((at + 1) * pitch), begun]
                deliver(writer, windows, rows, columns, deep, frame.channels, top - window + 1, count - whole)
            if whole:
                deliver(writer, [latest], rows, columns, deep, frame.channels, group, 1)
            top += count
        if end < bottom:
            last = ends.on((window - 1) * pitch)
            writer.copy(held.on((window - 1) * pitch), last, pitch, 1)
            for row in range(window - 2, 0, -1):
                last = writer.join([held.on(row * pitch), last], pitch, 1, ends.on(row * pitch))


def line_pitch(columns: Part, channels: int) -> int:
    """Distance of the rows that `along` writes."""
    axis = columns.axis
    if axis.dense:
        return columns.outputs * axis.stride * channels
    if channels == 1 and axis.stride > 1 and not (columns.pairs() or columns.doubles() or axis.reduced):
        return max(columns.outputs, -(-columns.inputs // axis.stride))
    return columns.outputs * channels


def along(writer: Writer, frame: Frame, source: Span, rows: int, columns: Part, deep: int, out: Span) -> None:
    """Every window along a few rows of the input."""
    inputs, axis = columns.inputs, columns.axis
    width, wide = inputs * deep, (columns.outputs - 1) * axis.stride + axis.span
    padded = columns.doubles() and wide != inputs
    apart = deep < frame.channels
    direct = frame.converts and columns.pairs() and not apart
    piecewise = columns.halves() and not axis.reduced  # which converts, and looks, piece by piece
    converted = frame.converts and not direct and not piecewise
    copied = padded or converted or apart or (columns.doubles() and source.pitch != width)
    jumps = deep > 1 and axis.stride > 1 and width * rows <= 4 * frame.near  # read out of order, and in cache
    looks = source.where == INPUT and (frame.scans or jumps)
    if looks and not copied and not piecewise:
        writer.look(source, width, rows)
    if copied:
        left = -min(columns.start, 0) if padded else 0
        right = wide - left - inputs if padded else 0
        taken = writer.temporary(
            "taken", rows * (left + inputs + right) * deep, (left + inputs + right) * deep
        )
        writer.fill(taken, left * deep, rows)
        writer.fill(taken.on((left + inputs) * deep), right * deep, rows)
        inner = taken.on(left * deep)
        if apart:
            for i in range(rows):
                cells = source.on(i * source.pitch)._replace(pitch=frame.channels)
                writer.take(cells, inner.on(i * inner.pitch)._replace(pitch=deep), deep, inputs)
        else:
            writer.take(source, inner, width, rows)
        source = taken._replace(bare=True)
    unit = frame.units[1]
    if axis.reduced:
        writer.reduce(source, axis.window, columns.outputs, rows, out)
    elif columns.halves():
        halved(writer, frame, source, rows, inputs, unit, out)
    elif columns.doubles():
        doubled(writer, source, rows, columns, deep, unit, out)
    elif columns.pairs():
        paired(writer, source, rows, columns, unit, out, lines.PAIR_IN if direct else lines.PAIR)
    elif deep == 1 and axis.stride > 1:
        phased(writer, source, rows, columns, unit, out)
    else:
        chained(writer, source, rows, columns, deep, unit, out)


def run_on(count: int, rows: int, source: Span, out: Span) -> tuple[int, int]:
    """Elements and rows of a pass at stride 1, which is one row where rows run on."""
    return ((rows - 1) * out.pitch + count, 1) if source.pitch == out.pitch else (count, rows)


def doubled(
    writer: Writer, source: Span, rows: int, columns: Part, channels: int, unit: int, out: Span
) -> None:
    """Windows by doubling, out of which those at the stride are outputs; rows run on, and none is clipped."""
    axis, outputs = columns.axis, columns.outputs
    size = rows * source.pitch
    taps = writer.windows("columns", source, size, axis.window, axis.step * channels, unit)
    if outputs == 1 or axis.stride == 1:
        writer.join(taps, *run_on(outputs * channels, rows, source, out), out)
        return
    for i in range(rows):
        cells = [tap.on(i * source.pitch)._replace(pitch=axis.stride * channels) for tap in taps]
        writer.join(cells, channels, outputs, out.on(i * out.pitch)._replace(pitch=channels))


def halved(writer: Writer, frame: Frame, source: Span, rows: int, size: int, unit: int, out: Span) -> None:
    """Whole rows: neighbours merge, and their results, until few are left; a piece of the row at a time.

    Groups of what keeps no order are reduced before.
    """
    if size > PIECE:
        pieces = -(-size // PIECE)
        found = writer.region(rows * pieces, pieces)
        for piece in range(pieces):
            start = piece * PIECE
            one = source.on(start, start * unit)
            length, to = min(PIECE, size - start), found.on(piece)
            halved(writer, frame, one, rows, length, unit, to)
        merged = frame._replace(scans=False, converts=False, grouped=False)
        halved(writer, merged, found, rows, pieces, 0, out)
        return
    if frame.converts:
        taken = writer.temporary("taken", rows * size, size)
        writer.take(source, taken, size, rows)
        source = taken._replace(shift=source.shift, bare=True)
    elif frame.scans:
        writer.look(source, size, rows)
    if frame.grouped and size % GROUP == 0:
        groups = size // GROUP
        found = writer.temporary("groups", rows * groups, groups)
        writer.reduce(source, GROUP, groups, rows, found)
        source, size = found, groups
    rests: list[Span] = []
    line, step = source, unit
    while size > CHAIN:
        half, runs_on = size // 2, size % 2 == 0 and line.pitch == size
        to = writer.temporary(f"halves {len(rests)} {half}", rows * half, half)
        writer.pair(lines.PAIR, line, to, rows * half if runs_on else half, 1 if runs_on else rows, step)
        if size % 2:
            rests.insert(0, line.on(size - 1, (size - 1) * step))
        line, size, step = to._replace(shift=line.shift), half, 2 * step
    taps = [line.on(tap, tap * step) for tap in range(size)] + rests
    writer.copy(writer.join(taps, 1, rows, out), out, 1, rows)


def paired(writer: Writer, source: Span, rows: int, columns: Part, unit: int, out: Span, op: int) -> None:
    """Windows of two at stride 2, or of four at stride 4, as pairs and pairs of pairs."""
    outputs, source = columns.outputs, source.on(columns.start)
    every = source.pitch == outputs * columns.axis.stride
    count, repeat = (rows * outputs, 1) if every else (outputs, rows)
    if columns.axis.window == 4:
        pairs = writer.temporary("pairs", 2 * rows * outputs, 2 * outputs)
        writer.pair(op, source, pairs, 2 * count, repeat, unit)
        source, op = pairs, lines.PAIR
    writer.pair(op, source, out, count, repeat, columns.axis.window // 2 * unit)


def phased(writer: Writer, source: Span, rows: int, columns: Part, unit: int, out: Span) -> None:
    """Windows at a stride: the elements of each phase of it become a line, and windows merge lines."""
    axis, (first, last), length = columns.axis, columns.inside(), out.pitch
    stride, inputs = axis.stride, columns.inputs
    every = source.pitch == length * stride == inputs
    size = -(-rows * length // 16) * 16 + 16
    base = writer.temporary("phases", stride * size, length)._replace(bare=True)
    whole = inputs // stride
    if stride in SPLITS:
        count, repeat = (rows * length, 1) if every else (whole, rows)
        writer.split(SPLITS[stride], source, base, size, count, repeat)
        for phase in range(inputs % stride):
            to = base.on(phase * size + whole)
            writer.copy(source.on(whole * stride + phase), to, 1, rows)
    else:
        for phase in sorted({(columns.start + tap * axis.step) % stride for tap in range(axis.window)}):
            for i in range(1 if every else rows):
                count = rows * length if every else -(-(inputs - phase) // stride)
                cells = source.on(i * source.pitch + phase)._replace(pitch=stride)
                writer.copy(cells, base.on(phase * size + i * length)._replace(pitch=1), 1, count)
    if last > first:
        begin, taps = columns.start + first * stride, []
        for tap in range(axis.window):
            turn, phase = divmod(begin + tap * axis.step, stride)
            taps.append(base.on(phase * size + turn, tap * unit))
        to, count = out.on(first), (rows - 1) * length + last - first
        writer.copy(writer.join(taps, count, 1, to), to, count, 1)
    at_the_edges(writer, source, rows, columns, 1, unit, out)


def chained(
    writer: Writer, source: Span, rows: int, columns: Part, channels: int, unit: int, out: Span
) -> None:
    """Windows at stride 1, or of channels: elements merge as they lie."""
    axis, (first, last) = columns.axis, columns.inside()
    inputs, outputs, stride = columns.inputs, columns.outputs, columns.axis.stride
    begin = columns.start + first * stride
    taps = [source.on((begin + tap * axis.step) * channels, tap * unit) for tap in range(axis.window)]
    to = out.on(first * channels)
    if last > first and stride == 1:
        count, repeat = run_on((last - first) * channels, rows, source, out)
        writer.copy(writer.join(taps, count, repeat, to), to, count, repeat)
    elif last > first:
        runs_on = source.pitch == inputs * channels and out.pitch == outputs * channels
        together = runs_on and inputs == outputs * stride and last - first == outputs
        for i in range(1 if together else rows):
            cells = [tap.on(i * source.pitch)._replace(pitch=stride * channels) for tap in taps]
            into, repeat = (
                to.on(i * out.pitch)._replace(pitch=channels),
                (rows if together else 1) * (last - first),
            )
            writer.copy(writer.join(cells, channels, repeat, into), into, channels, repeat)
    at_the_edges(writer, source, rows, columns, channels, unit, out)


def at_the_edges(
    writer: Writer, source: Span, rows: int, columns: Part, channels: int, unit: int, out: Span
) -> None:
    """The windows that reach into the padding, one of each row at a time."""
    axis, (first, last) = columns.axis, columns.inside()
    for output in (*range(first), *range(last, columns.outputs)):
        if output % axis.every:
            continue
        taps = [source.on(at * channels, tap * unit) for at, tap in columns.taps(output)]
        to = out.on(output * channels)
        writer.copy(writer.join(taps, channels, rows, to), to, channels, rows)
