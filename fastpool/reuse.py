"""Memory that is used again: the system fills fresh pages with zeros, which takes as long as pooling.

Scratch memory always is. Results own their memory, as NumPy's do, unless the environment variable
``FASTPOOL_KEPT_BYTES`` says how much may be kept for them: then a large result's memory goes back when the
last view of it is gone, and the next result of about its size takes it.
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
LINE = 64  # bytes of a cache line, at which arrays begin
SPARE = 8  # an array takes memory of at most 1 / 8 more than it needs
COUNT = 64  # arrays whose memory is kept
SCRATCH = 1 << 26  # bytes that are kept without being asked


class _Kept:
    """Memory that nobody uses, the latest last; whoever finds it locked goes without."""

    def __init__(self) -> None:
        wanted = os.environ.get("FASTPOOL_KEPT_BYTES", "")
        self.of_results = wanted.isdecimal() and int(wanted) > 0
        self.most = int(wanted) if self.of_results else SCRATCH
        self.memory: list[Bytes] = []
        self.total = 0
        self.unlock()

    def unlock(self) -> None:
        """A new lock: in a forked child a thread that does not exist there may hold the old one."""
        self.lock = threading.Lock()

    def give_back(self, memory: Bytes) -> None:
        """Keep memory, and forget the oldest where that is too much."""
        if memory.size > self.most or not self.lock.acquire(blocking=False):
            return
        try:
            self.memory.append(memory)
            self.total += memory.size
            while self.total > self.most or len(self.memory) > COUNT:
                self.total -= self.memory.pop(0).size
        finally:
            self.lock.release()

    def take(self, size: int) -> Bytes | None:
        """The least memory that fits a size; None where there is none."""
        if not self.lock.acquire(blocking=False):
            return None
        try:
            fits = [n for n, memory in enumerate(self.memory) if size <= memory.size <= size + size // SPARE]
            if not fits:
                return None
            found = self.memory.pop(min(fits, key=lambda n: self.memory[n].size))
            self.total -= found.size
            return found
        finally:
            self.lock.release()


_kept = _Kept()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kept.unlock)


class _Lease:
    """What an array's memory belongs to; views of the array keep it alive."""

    def __init__(self, memory: Bytes, kept: _Kept) -> None:
        self.memory, self.kept = memory, kept
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        self.kept.give_back(self.memory)


def result(shape: Sequence[int], dtype: Any) -> NDArray[Any]:
    """As `numpy.empty`."""
    return empty(shape, dtype) if _kept.of_results else np.empty(shape, dtype)


def empty(shape: Sequence[int], dtype: Any) -> NDArray[Any]:
    """As `numpy.empty`, but a large array begins at a cache line, and its memory is used again after it."""
    elements = math.prod(shape)
    if elements * WIDEST < LARGE:  # asking for the item's size would take as long as all this
        return np.empty(shape, dtype)
    size = elements * np.dtype(dtype).itemsize
    if size < LARGE:
        return np.empty(shape, dtype)
    memory = _kept.take(size + LINE)
    if memory is None:
        memory = np.empty(size + LINE, np.uint8)
    before = -memory.ctypes.data % LINE
    return np.ndarray(shape, dtype, np.asarray(_Lease(memory, _kept)), before)
