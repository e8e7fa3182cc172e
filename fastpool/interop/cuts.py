"""Where an axis in chunks is cut, so that each block of outputs finds its windows in one block of inputs.

Pure NumPy, on the tables of `fastpool.windows`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .. import windows
from ..windows import Axis, Integers

Range = tuple[int, int]


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
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    reads: Range = (0, 0)
    uses: Range = (0, 0)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Lengths of the blocks of inputs."""
        return tuple(np.diff(self.inputs).tolist())

    @property
    def output_chunks(self) -> tuple[int, ...]:
        """Lengths of the blocks of outputs."""
        return tuple(np.diff(self.outputs).tolist())


def plain(chunks: Sequence[int]) -> Cut:
    """An axis that is not pooled, in its own chunks."""
    edges = tuple(np.cumsum([0, *chunks]).tolist())
    return Cut(edges, edges)


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
        covers = [covering(inverse, *each) for each in pairwise(edges.tolist())]
        covers = [each if each[1] else (o, o) for each, o in zip(covers, outputs.tolist(), strict=False)]
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
            return Cut(_numbers(edges), _numbers(outputs), around, uses)
        edges = joined


def _with_outputs(begins: Integers, edges: Integers) -> tuple[Integers, Integers]:
    """The last edges before the first output of each block, and those outputs."""
    firsts = np.searchsorted(begins, edges)
    last_of_each = np.append(np.diff(firsts) > 0, True)
    inputs, outputs = edges[last_of_each], firsts[last_of_each]
    inputs[0] = 0
    return inputs, outputs


def covering(inverse: Axis, first: int, last: int) -> Range:
    """The outputs whose windows cover the inputs `first` to `last`; (0, 0) where there are none."""
    lo, count, _ = inverse.at(first, last)
    lo, count = lo[count > 0], count[count > 0]
    if not lo.size:
        return 0, 0
    return int(lo.min()), int((lo + (count - 1) * inverse.step).max()) + 1


def _read(table: Axis, first: int, last: int) -> Range:
    """The inputs that a range of windows covers, of which none may be needed."""
    if first >= last:
        return table.size, 0
    lo, count, _ = table.at(first, last)
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
