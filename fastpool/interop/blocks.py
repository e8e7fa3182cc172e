"""Blocks of dask arrays: tasks over them, what they read of their neighbours, and where they lie."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import and_
from typing import Any, NamedTuple

import numpy as np

from ..missing import Missing
from .cuts import Cut, Range


class Beside(NamedTuple):
    """What a call says of missing data and weights; None where it says nothing.

    Attributes
    ----------
    where, weights : array of dask or None
        In the shape of the input; the weights of float64.
    given : array or None
        The weights as the caller gave them.
    known : Missing or None
        What else it says, checked; its arrays only stand for those of the call.
    """

    where: Any = None
    weights: Any = None
    given: Any = None
    known: Missing | None = None

    def arrays(self) -> dict[str, Any]:
        """Those of the input's shape that there are, by name."""
        found = {"where": self.where, "weights": self.weights}
        return {name: each for name, each in found.items() if each is not None}

    def chunked(self, chunks: Any) -> "Beside":
        """The same, with arrays in these chunks."""
        return self._replace(**{name: each.rechunk(chunks) for name, each in self.arrays().items()})

    def unfilled(self) -> "Beside":
        """The same, where no window has too few elements."""
        assert self.known is not None
        return self._replace(known=self.known._replace(least=0, fill=None))

    def taken(self, x: Any) -> Any:
        """Which elements of the input take part; None where all do."""
        known, masks = self.known, [] if self.where is None else [self.where]
        if known is not None and known.skipna:
            masks.append(x == x)
        if known is not None and known.nodata is not None:
            masks.append(x != known.nodata)
        return reduce(and_, masks) if masks else None


def check_kind(argument: str, array: Any) -> None:
    """TypeError for what is no array of dask, ValueError for one of unknown chunks."""
    from dask.array import Array  # noqa: PLC0415 - an extra

    if not isinstance(array, Array):
        kind = f"{type(array).__module__}.{type(array).__qualname__}"
        raise TypeError(f"the arrays of a call must all be dask.array.Array, got {argument} of {kind}")
    if any(np.isnan(n) for chunks in array.chunks for n in chunks):
        raise ValueError(
            f"{argument} must have known chunk sizes, got {array.chunks}: "
            f"call {argument}.compute_chunk_sizes() first"
        )


def stand_in(array: Any) -> Any:
    """An array of the same shape and dtype, of no memory."""
    return np.broadcast_to(np.zeros((), array.dtype.newbyteorder("=")), array.shape)


def like(x: Any, ndim: int, dtype: Any) -> Any:
    """An empty array of the kind that the blocks of `x`, or an array itself, are."""
    return np.empty_like(getattr(x, "_meta", x), shape=(0,) * ndim, dtype=dtype)


def mapped(function: Callable[..., Any], *blocks: Any, name: str, chunks: Any, kind: Any, dtype: Any) -> Any:
    """A task a block, whose results are arrays of the kind of another."""
    import dask.array as da  # noqa: PLC0415 - an extra

    meta = like(kind, len(chunks), dtype)
    return da.map_blocks(function, *blocks, name=None, token=name, chunks=chunks, dtype=dtype, meta=meta)


def spread(value: Any, shape: tuple[int, ...]) -> Any:
    """An array, of dask or not, in a shape to which it broadcasts."""
    import dask.array as da  # noqa: PLC0415 - an extra

    return da.broadcast_to(da.asarray(value), shape)


def over_whole(values: Any, x: Any, pooled: Sequence[int]) -> Any:
    """One value for all elements along pooled axes, in the chunks of the input."""
    import dask.array as da  # noqa: PLC0415 - an extra

    own = values.rechunk(tuple((1,) if axis in pooled else each for axis, each in enumerate(x.chunks)))
    return da.broadcast_to(own, x.shape, chunks=x.chunks)


def shared(x: Any, along: Sequence[Cut]) -> Any:
    """The array in the cuts' blocks of inputs, each with what it reads of its neighbours."""
    return _overlapped(x.rechunk(tuple(each.chunks for each in along)), [each.reads for each in along])


def shared_outputs(gy: Any, along: Sequence[Cut]) -> Any:
    """The array in the cuts' blocks of outputs, each with what it uses of its neighbours."""
    return _overlapped(gy.rechunk(tuple(each.output_chunks for each in along)), [each.uses for each in along])


def _overlapped(x: Any, around: Sequence[Range]) -> Any:
    from dask.array.overlap import overlap  # noqa: PLC0415 - an extra

    if not any(map(any, around)):
        return x
    depth = dict(enumerate(around))
    return overlap(x, depth=depth, boundary=dict.fromkeys(depth, "none"), allow_rechunk=False)


def ranges(place: Any) -> list[Range]:
    """Where a block lies, by dask's account of it."""
    return [(int(first), int(last)) for first, last in place["array-location"]]


def begins(place: Any, around: Sequence[Range]) -> list[int]:
    """Where a block with parts of its neighbours begins; dask counts those parts, of all blocks before."""
    located = zip(ranges(place), place["chunk-location"], around, strict=True)
    return [first - int(block) * (before + after) for (first, _), block, (before, after) in located]
