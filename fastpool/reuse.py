"""Memory that is used again: the system fills fresh pages with zeros, which takes as long as pooling.

Results and scratch memory that were handed out are remembered; what nobody else refers to any more is handed
out once more. A result so owns its memory, as NumPy's do, and a view of it, or anything else that holds it,
keeps it from being used again. The environment variable ``FASTPOOL_KEPT_BYTES`` says how many bytes of
results are remembered at most, 0 for none.
"""

import math
import os
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SMALL = 1 << 19  # bytes of a result, below which the allocator has pages at hand
SMALL_SCRATCH = 1 << 17  # the same of scratch memory
FEW, FEW_SCRATCH = SMALL // 8, SMALL_SCRATCH // 8  # elements that are so, of whatever dtype
LINE = 64  # bytes of a cache line, at which scratch memory begins
SPARE = 8  # scratch memory is at most 1 / 8 larger than what is asked for
COUNT = 64  # arrays that are remembered
SCRATCH = 1 << 26  # bytes of scratch memory, and ...
RESULTS = 1 << 28  # ... of results that are remembered, ...
SHARE = 64  # ... or this part of the machine's memory where it is less


def _references(arrays: list[Array], n: int) -> int:
    return sys.getrefcount(arrays[n])


ALONE = _references([np.empty(0)], 0)  # where only the list refers to an array
SAFE = getattr(sys, "_is_gil_enabled", lambda: True)()  # whether such counts are exact


class Kept:
    """Arrays that were handed out, the latest last; whoever finds them locked goes without."""

    def __init__(self, most: int) -> None:
        self.most = most if SAFE else 0
        self.unlock()
        self.forget()

    def unlock(self) -> None:
        """A new lock: in a forked child a thread that does not exist there may hold the old one."""
        self.lock = threading.Lock()

    def forget(self) -> None:
        """Remember nothing; arrays that nobody else refers to are gone with that."""
        self.arrays: list[Array] = []

    def take(self, fits: Callable[[Array], bool]) -> Array | None:
        """The latest array that fits and that nobody else refers to; None where there is none."""
        if not self.lock.acquire(blocking=False):
            return None
        try:
            arrays = self.arrays
            for n in range(len(arrays) - 1, -1, -1):
                # Weak references first: where there is none, nobody makes a reference of one meanwhile.
                if (
                    fits(arrays[n])
                    and not weakref.getweakrefcount(arrays[n])
                    and _references(arrays, n) == ALONE
                ):
                    arrays.append(arrays.pop(n))
                    return arrays[-1]
            return None
        finally:
            self.lock.release()

    def keep(self, array: Array) -> None:
        """Remember an array, and forget the oldest where that is too much."""
        if array.nbytes > self.most or not self.lock.acquire(blocking=False):
            return
        try:
            arrays = self.arrays  # not those of a thread that forgets them meanwhile
            arrays.append(array)
            while len(arrays) > COUNT or sum(each.nbytes for each in arrays) > self.most:
                arrays.pop(0)
        finally:
            self.lock.release()


def _most() -> int:
    """Bytes of results that are remembered."""
    wanted = os.environ.get("FASTPOOL_KEPT_BYTES", "")
    if wanted.isdecimal():
        return int(wanted)
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on every system
        return SCRATCH
    return min(RESULTS, memory // SHARE)


results, scratch = Kept(_most()), Kept(SCRATCH)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=results.unlock)
    os.register_at_fork(after_in_child=scratch.unlock)


def maker(shape: Sequence[int], dtype: Any) -> Callable[[], Array]:
    """What `result` calls, or itself, to be called again and again."""
    return partial(np.empty if _small(shape, dtype) else result, shape, dtype)


def _small(shape: Sequence[int], dtype: Any) -> bool:
    elements = math.prod(shape)
    return elements < FEW or elements * np.dtype(dtype).itemsize < SMALL  # the item's size takes longer


def result(shape: Sequence[int], dtype: Any) -> Array:
    """As `numpy.empty`; a large array may be an earlier one that nobody refers to any more."""
    if _small(shape, dtype):
        return np.empty(shape, dtype)
    shape, dtype = tuple(shape), np.dtype(dtype)

    def fits(array: Array) -> bool:
        flags = array.flags  # its holder may have changed them
        return array.shape == shape and array.dtype == dtype and flags.carray and flags.owndata

    found = results.take(fits)
    if found is None:
        found = _fresh(shape, dtype)
        results.keep(found)
    return found


def empty(shape: Sequence[int], dtype: Any) -> Array:
    """Scratch memory, which begins at a cache line where it is large."""
    elements = math.prod(shape)
    if elements < FEW_SCRATCH or elements * np.dtype(dtype).itemsize < SMALL_SCRATCH:
        return np.empty(shape, dtype)
    size = elements * np.dtype(dtype).itemsize + LINE
    memory = scratch.take(lambda array: size <= array.size <= size + size // SPARE)
    if memory is None:
        memory = _fresh((size,), np.uint8)
        scratch.keep(memory)
    return np.ndarray(shape, dtype, memory, -memory.ctypes.data % LINE)


def _fresh(shape: tuple[int, ...], dtype: Any) -> Array:
    """Memory of the system; what is remembered is not worth a failure."""
    try:
        return np.empty(shape, dtype)
    except MemoryError:
        results.forget()
        scratch.forget()
        return np.empty(shape, dtype)
