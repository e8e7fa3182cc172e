"""Accumulators as rows of 64-bit integers: how threads and blocks hand each other partial results.

An accumulator is a number or a nest of tuples of numbers. Floats travel by the bits of their float64.
"""

from typing import Any

import numpy as np

from .. import jit
from . import device


def count(acc: Any) -> int:
    """How many numbers an accumulator holds."""
    return sum(map(count, acc)) if isinstance(acc, tuple) else 1


if device.SIMULATED:

    def save(slots, at, gap, acc):
        """Write an accumulator to ``slots[at], slots[at + gap], ...``; where the next would go."""
        if isinstance(acc, tuple):
            for part in acc:
                at = save(slots, at, gap, part)
            return at
        floating = isinstance(acc, float | np.floating)
        slots[at] = np.float64(acc).view(np.int64) if floating else np.array(acc).astype(np.int64)[()]
        return at + gap

    def restore(slots, at, gap, like):
        """Read an accumulator of the types of `like`."""
        if isinstance(like, tuple):
            found: tuple[Any, ...] = ()
            for part in like:
                found += (restore(slots, at, gap, part),)
                at += gap * count(part)
            return found
        floating = isinstance(like, float | np.floating)
        value = np.int64(slots[at]).view(np.float64) if floating else np.int64(slots[at])
        return np.array(value).astype(np.asarray(like).dtype)[()]

else:
    from numba import types
    from numba.cuda.extending import overload

    def save(slots, at, gap, acc):
        """Write an accumulator to ``slots[at], slots[at + gap], ...``; where the next would go."""
        raise NotImplementedError

    def restore(slots, at, gap, like):
        """Read an accumulator of the types of `like`."""
        raise NotImplementedError

    def _size(kind: Any) -> int:
        return sum(map(_size, kind)) if isinstance(kind, types.BaseTuple) else 1

    def _save_float(slots, at, gap, acc):
        slots[at] = np.float64(acc).view(np.int64)
        return at + gap

    def _save_integer(slots, at, gap, acc):
        slots[at] = np.int64(acc)
        return at + gap

    def _save_nothing(slots, at, gap, acc):
        return at

    def _save_tuple(slots, at, gap, acc):
        return save(slots, save(slots, at, gap, acc[0]), gap, acc[1:])

    @overload(save, jit_options=jit.CUDA_INLINED)
    def _save(slots, at, gap, acc):
        if isinstance(acc, types.BaseTuple):
            return _save_tuple if len(acc) else _save_nothing
        return _save_float if isinstance(acc, types.Float) else _save_integer

    def _restore_nothing(slots, at, gap, like):
        return ()

    @overload(restore, jit_options=jit.CUDA_INLINED)
    def _restore(slots, at, gap, like):
        if isinstance(like, types.BaseTuple):
            if not len(like):
                return _restore_nothing
            skipped = _size(like[0])

            def restore_tuple(slots, at, gap, like):
                head = restore(slots, at, gap, like[0])
                return (head, *restore(slots, at + gap * skipped, gap, like[1:]))

            return restore_tuple
        kind = getattr(np, like.name)

        def restore_float(slots, at, gap, like):
            return kind(np.int64(slots[at]).view(np.float64))

        def restore_integer(slots, at, gap, like):
            return kind(slots[at])

        return restore_float if isinstance(like, types.Float) else restore_integer
