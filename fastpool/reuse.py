"""Memory of large results, used again: the system fills fresh pages with zeros, as slowly as pooling is.

Memory goes back when the last view of a result is gone, and the next result of about its size takes it. What
nobody uses is at most ``FASTPOOL_KEPT_BYTES`` (an environment variable; 0 keeps none).
"""

import math
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

LARGE = 1 << 17  # bytes of an array, below which the allocator has pages at hand
WIDEST = 8  # bytes of an element, at most
LINE = 64  # bytes of a cache line, at which results begin
SPARE = 8  # a result takes memory of at most 1 / 8 more than it needs


def _most() -> int:
    wanted = os.environ.get("FASTPOOL_KEPT_BYTES", "")
    return int(wanted) if wanted.isdigit() else 1 << 28


class _Kept:
    """Memory that nobody uses, the latest last; whoever finds it locked goes without."""

    lock = threading.Lock()
    memory: list[Bytes] = []  # noqa: RUF012
    most = _most()


class _Lease:
    """What a result's memory belongs to; arrays over it keep it alive."""

    def __init__(self, memory: Bytes) -> None:
        self.memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        if _Kept.lock.acquire(blocking=False):
            try:
                kept = _Kept.memory
                kept.append(self.memory)
                while sum(memory.size for memory in kept) > _Kept.most:
                    del kept[0]
            finally:
                _Kept.lock.release()


def empty(shape: Sequence[int], dtype: Any) -> NDArray[Any]:
    """As `numpy.empty`; a large result begins at a cache line, and its memory is used again after it."""
    elements = math.prod(shape)
    if elements * WIDEST < LARGE:  # asking for the item's size would take as long as all this
        return np.empty(shape, dtype)
    size = elements * np.dtype(dtype).itemsize
    if size < LARGE:
        return np.empty(shape, dtype)
    memory = _taken(size + LINE)
    if memory is None:
        memory = np.empty(size + LINE, np.uint8)
    before = -memory.ctypes.data % LINE
    return np.ndarray(shape, dtype, np.asarray(_Lease(memory)), before)


def _taken(size: int) -> Bytes | None:
    """The least of the kept memory that fits a size."""
    if not _Kept.lock.acquire(blocking=False):
        return None
    try:
        kept = _Kept.memory
        fits = [n for n, memory in enumerate(kept) if size <= memory.size <= size + size // SPARE]
        return kept.pop(min(fits, key=lambda n: kept[n].size)) if fits else None
    finally:
        _Kept.lock.release()
