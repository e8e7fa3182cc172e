"""Memory that is used again: the system fills fresh pages with zeros, which takes as long as pooling.

A large result, or scratch memory, is a view of a lease. Every view of it, and whatever else sees its memory,
keeps the lease; when the last of them is gone, so is the lease, whose end puts the memory into its pool,
where the next array finds it. The environment variable ``FASTPOOL_KEPT_BYTES`` says how many bytes of results
wait in their pool at most, 0 for none.
"""

import math
import os
from collections.abc import Callable, Sequence
from ctypes import Array as Array_of_bytes
from ctypes import c_char
from functools import lru_cache, partial
from typing import Any
from weakref import getweakrefcount

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SMALL = 1 << 19  # bytes of a result, below which the allocator has pages at hand
SMALL_SCRATCH = 1 << 17  # the same of scratch memory
FEW, FEW_SCRATCH = SMALL // 8, SMALL_SCRATCH // 8  # elements that are so, of whatever dtype
PAGE = 1 << 12  # bytes, of which memory has a whole number
LINE = 64  # bytes of a cache line, at which memory begins: the widest stores are then of whole lines
SPARE = 8  # memory is at most 1 / 8 larger than what is asked for
COUNT = 64  # pieces of memory that wait
SCRATCH = 1 << 26  # bytes of scratch memory, and ...
RESULTS = 1 << 28  # ... of results that wait, ...
SHARE = 64  # ... or this part of the machine's memory where it is less


@lru_cache(2 * COUNT)
def _lease(pool: "Pool", size: int) -> Any:
    """The class of owners of so many bytes: what NumPy's views, and all other, keep alive.

    ctypes has objects that offer their memory as a buffer in their own name, which arrays and memoryviews
    of Python 3.11 do not: a view would then refer to the memory past its owner.
    """

    def end(lease: Any, give: Callable[[Array], None] = pool.give, seen: Any = getweakrefcount) -> None:
        if not seen(lease):
            give(lease.memory)

    return type("Lease", (Array_of_bytes,), {"_length_": size, "_type_": c_char, "__del__": end})


class Pool:
    """Memory that nobody sees, the latest last.

    Memory comes and goes in any thread and at any moment, that of other memory's coming included. So nothing
    waits for a lock: whoever takes memory out of the dictionary, in one step, has it.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.waiting: dict[int, Array] = {}

    def take(self, size: int) -> Any:
        """Memory of so many bytes, or a few more, as a buffer that comes back when nobody sees it."""
        memory = self._found(size)
        if memory is None:
            memory = self._fresh(-(-size // PAGE) * PAGE)
        lease = _lease(self, memory.size).from_buffer(memory)
        lease.memory = memory
        return lease

    def _found(self, size: int) -> Array | None:
        waiting = self.waiting.copy()
        for key in reversed(waiting):
            if size <= waiting[key].size <= size + size // SPARE:
                memory = self.waiting.pop(key, None)
                if memory is not None:
                    return memory
        return None

    def _fresh(self, size: int) -> Array:
        try:
            memory = np.empty(size + LINE, np.uint8)
        except MemoryError:  # what waits is not worth a failure
            results.waiting.clear()
            scratch.waiting.clear()
            memory = np.empty(size + LINE, np.uint8)
        begin = -memory.ctypes.data % LINE
        return memory[begin : begin + size]

    def give(self, memory: Array) -> None:
        """Keep memory, and let the oldest go where that is too much."""
        if memory.size > self.most:
            return
        self.waiting[id(memory)] = memory
        waiting = self.waiting.copy()
        size, count = sum([each.size for each in waiting.values()]), len(waiting)
        for key, each in waiting.items():
            if size <= self.most and count <= COUNT:
                break
            self.waiting.pop(key, None)
            size, count = size - each.size, count - 1


def _most() -> int:
    """Bytes of results that wait."""
    wanted = os.environ.get("FASTPOOL_KEPT_BYTES", "")
    if wanted.isdecimal():
        return int(wanted)
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on every system
        return SCRATCH
    return min(RESULTS, memory // SHARE)


results, scratch = Pool(_most()), Pool(SCRATCH)


def maker(shape: Sequence[int], dtype: Any) -> Callable[[], Array]:
    """What `result` calls, or itself, to be called again and again."""
    elements = math.prod(shape)
    small = elements < FEW or elements * np.dtype(dtype).itemsize < SMALL
    return partial(np.empty if small else result, shape, dtype)


def result(shape: Sequence[int], dtype: Any) -> Array:
    """As `numpy.empty`; a large array may have the memory of an earlier one that nobody sees any more."""
    elements = math.prod(shape)
    if (
        elements < FEW or (size := elements * np.dtype(dtype).itemsize) < SMALL
    ):  # the item's size takes longer
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, results.take(size))


def empty(shape: Sequence[int], dtype: Any) -> Array:
    """Scratch memory, which begins at a cache line where it is large."""
    elements = math.prod(shape)
    if elements < FEW_SCRATCH or (size := elements * np.dtype(dtype).itemsize) < SMALL_SCRATCH:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, scratch.take(size))
