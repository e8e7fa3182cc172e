"""Where an axis in chunks is cut, so that each block of outputs finds its windows in one block of inputs.

Pure NumPy, on the tables of `fastpool.windows`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .. import windows
from ..windows import Axis, Integers
from .parts import Range


class Cut(NamedTuple):
    """The blocks of an axis.

    Attributes
    ----------
    inputs, outputs : tuple of int
        Block b owns the inputs ``inputs[b]`` to ``inputs[b + 1]``, and the outputs likewise. An output
        belongs to the block in which its window begins.
    reads : (before, after)
        How many inputs beside its own a block needs at most.
    uses : (before, after)
        How many outputs beside its own a block needs at most, on the way back.
    covers : tuple of (first, last)
        The outputs whose windows cover inputs that a block owns; on the way back.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    reads: Range = (0, 0)
    uses: Range = (0, 0)
    covers: tuple[Range, ...] = ()

    @property
    def chunks(self) -> tuple[int, ...]:
        """Lengths of the blocks of inputs."""
        return tuple(np.diff(self.inputs).tolist())

    @property
    def output_chunks(self) -> tuple[int, ...]:
        """Lengths of the blocks of outputs."""
        return tuple(np.diff(self.outputs).tolist())

    def own(self, block: int) -> Range:
        """The outputs that a block owns."""
        return self.outputs[block], self.outputs[block + 1]

    def own_inputs(self, block: int) -> Range:
        """The inputs that a block owns."""
        return self.inputs[block], self.inputs[block + 1]

    def begin(self, block: int) -> int:
        """The first input that a block holds beside its own."""
        return self.inputs[block] - (self.reads[0] if block else 0)

    def begin_outputs(self, block: int) -> int:
        """The first output that a block holds beside its own."""
        return self.outputs[block] - (self.uses[0] if block else 0)


def plain(chunks: Sequence[int]) -> Cut:
    """An axis that is not pooled, in its own chunks."""
    edges = tuple(np.cumsum([0, *chunks]).tolist())
    return Cut(edges, edges, covers=tuple(pairwise(edges)))


def forward(table: Axis, chunks: Sequence[int]) -> Cut:
    """The blocks of a pooled axis: its chunks, where none is smaller than what its neighbour reads of it."""
    edges = np.unique(np.cumsum([0, *chunks]))
    begins = np.minimum.accumulate(table.lo[::-1])[::-1]
    ends = table.lo + (table.count - 1) * table.step + 1
    while True:
        edges, outputs = _with_outputs(begins, edges)
        after = _beyond(np.maximum.reduceat(ends, outputs[:-1]), edges[1:])
        joined = _joined(edges, outputs, after, 0)
        if joined.size == edges.size:
            return Cut(_numbers(edges), _numbers(outputs), (0, after))
        edges = joined


def backward(table: Axis, chunks: Sequence[int]) -> Cut:
    """As `forward`, where a block also needs all outputs that cover its inputs, and all inputs of those."""
    edges = np.unique(np.cumsum([0, *chunks]))
    begins = np.minimum.accumulate(table.lo[::-1])[::-1]
    inverse = windows.inverse(table)
    while True:
        edges, outputs = _with_outputs(begins, edges)
        covers = _covers(inverse, edges, outputs, len(table))
        reads = [_read(table, *each) for each in covers]
        around = (
            _beyond(edges[:-1], np.array([first for first, _ in reads])),
            _beyond(np.array([last for _, last in reads]), edges[1:]),
        )
        uses = (
            _beyond(outputs[:-1], np.array([first for first, _ in covers])),
            _beyond(np.array([last for _, last in covers]), outputs[1:]),
        )
        joined = _joined(edges, outputs, max(around), max(uses))
        if joined.size == edges.size:
            return Cut(_numbers(edges), _numbers(outputs), around, uses, covers)
        edges = joined


def _with_outputs(begins: Integers, edges: Integers) -> tuple[Integers, Integers]:
    """The last edges before the first output of each block, and those outputs."""
    firsts = np.searchsorted(begins, edges)
    last_of_each = np.append(np.diff(firsts) > 0, True)
    inputs, outputs = edges[last_of_each], firsts[last_of_each]
    inputs[0] = 0
    return inputs, outputs


def _covers(inverse: Axis, edges: Integers, outputs: Integers, count: int) -> tuple[Range, ...]:
    covered = inverse.count > 0
    last = np.where(covered, inverse.lo + (inverse.count - 1) * inverse.step + 1, 0)
    first = np.where(covered, inverse.lo, count)
    firsts = np.minimum.reduceat(first, edges[:-1])
    lasts = np.maximum.reduceat(last, edges[:-1])
    none = lasts == 0
    firsts, lasts = np.where(none, outputs[:-1], firsts), np.where(none, outputs[:-1], lasts)
    return tuple(zip(firsts.tolist(), lasts.tolist(), strict=True))


def _read(table: Axis, first: int, last: int) -> Range:
    """The inputs that a range of windows covers, of which none may be needed."""
    if first >= last:
        return table.size, 0
    lo, count = table.lo[first:last], table.count[first:last]
    return int(lo.min()), int((lo + (count - 1) * table.step).max()) + 1


def _beyond(reach: Integers, edge: Integers) -> int:
    return max(0, int((reach - edge).max()))


def _joined(edges: Integers, outputs: Integers, inputs_least: int, outputs_least: int) -> Integers:
    """The edges without those that make a block of fewer inputs or outputs."""
    kept = [0]
    for b in range(1, edges.size):
        own = edges[b] - edges[kept[-1]], outputs[b] - outputs[kept[-1]]
        if own[0] >= inputs_least and own[1] >= outputs_least:
            kept.append(b)
    if kept[-1] != edges.size - 1:  # what is left joins the block before
        kept[len(kept) - 1 or 1 :] = [edges.size - 1]
    return edges[kept]


def _numbers(edges: Integers) -> tuple[int, ...]:
    return tuple(edges.tolist())
