"""Values to the places that indices name, the same for every order in which threads run.

Each value links itself into a list of those with its place, or notes itself where it comes later than the
one noted there: atomic operations on integers, whose result no order changes, but for that of the lists. Then
each place takes the last value, or adds its list in the order of the values.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import cuda, types

from . import copies, device
from .array import DeviceArray, c_strides
from .device import Kernel
from .halves import READ, WRITE
from .whole import bounds

NOBODY = -1


def unpool(
    values: DeviceArray, flat: DeviceArray, full: Sequence[int], pooled: Sequence[int], duplicates: str
) -> tuple[DeviceArray | None, Callable[[DeviceArray], DeviceArray]]:
    """The result, None where ``duplicates="error"`` and one is there; and what reads a gradient back."""
    values = values.compact()
    count, size = values.size, int(np.prod(full, dtype=np.int64))
    heads, result = values.empty((size,), np.int64), values.zeros(full, values.dtype)
    places, following = (values.empty((count,), np.int64) for _ in range(2))
    copies.fill(heads, NOBODY)
    last = duplicates == "last"
    if count:
        own = c_strides(full, 1)
        plane = c_strides([full[axis] for axis in pooled], 1)
        within = iter(plane)
        steps = tuple(next(within) if axis in pooled else 0 for axis in range(len(full)))
        arrays = flat.flat(), places.flat(), heads.flat(), following.flat()
        tuples = tuple(values.shape), tuple(full), own, steps
        _link(len(full), last).launch(*device.grid(count), values.where, *arrays, *tuples, count)
        if duplicates == "error" and bounds(following)[1] != NOBODY:
            return None, unread
        stored = device.storage(values.dtype), device.raw_name(values.dtype)
        arrays = values.flat(), result.flat(), heads.flat(), following.flat()
        kernel = _collect(*stored, last, values.dtype == np.bool_)
        kernel.launch(*device.grid(size), values.where, *arrays, size)

    def read(gradient: DeviceArray) -> DeviceArray:
        source = gradient.compact()
        gy = source.empty(values.shape, source.dtype)
        if count:
            reading = _read(device.raw_name(source.dtype), last)
            given = source.flat(), gy.flat(), places.flat(), heads.flat()
            reading.launch(*device.grid(count), source.where, *given, count)
        return gy

    return result, read


def unread(gradient: DeviceArray) -> DeviceArray:
    return gradient


if device.SIMULATED:

    def exchange(numbers, place, value):
        return cuda.atomic.exch(numbers, place, value)

    def keep_largest(numbers, place, value):
        return cuda.atomic.max(numbers, place, value)

else:  # numba's are for arrays, and these numbers are an address
    from numba.cuda.extending import intrinsic

    def _atomic(operation: str) -> Any:
        @intrinsic
        def change(typing_context, numbers, place, value):
            def generate(context, builder, signature, arguments):
                at = builder.gep(arguments[0], [arguments[1]], inbounds=True)
                return builder.atomic_rmw(operation, at, arguments[2], "monotonic")

            return types.int64(numbers, place, types.int64), generate

        return change

    exchange, keep_largest = _atomic("xchg"), _atomic("max")


@cache
def _link(ndim: int, last: bool) -> Kernel:
    def link(flat, places, heads, following, shape, full, own, steps, count):
        value, stride = cuda.grid(1), cuda.gridsize(1)
        while value < count:
            rest, place, index = np.uint64(value), np.int64(0), np.int64(flat[value])
            for axis in range(ndim - 1, -1, -1):
                n = np.uint64(shape[axis])
                i = np.int64(rest % n)
                rest = np.uint64(rest // n)
                pooled = steps[axis] > 0
                position = index // max(steps[axis], 1) % full[axis]
                place += (position if pooled else i) * own[axis]
            places[value] = place
            following[value] = NOBODY
            if last:
                keep_largest(heads, place, np.int64(value))
            else:
                following[value] = exchange(heads, place, np.int64(value))
            value += stride

    long = types.UniTuple(types.int64, ndim)
    name = f"unpool_link_{ndim}{'_last' if last else ''}"
    return Kernel(link, name, *["int64"] * 4, long, long, long, long, types.int64)


def after(following, head, done):
    """The first value of a list that comes after value `done`; `NOBODY` where there is none."""
    nearest = np.int64(NOBODY)
    while head >= 0:
        nearest = head if (head > done) & ((nearest < 0) | (head < nearest)) else nearest
        head = following[head]
    return nearest


def truth(value):
    return value != 0


@cache
def _collect(stored: str, raw: str, last: bool, logical: bool) -> Kernel:
    read, write = READ[stored], truth if logical else WRITE[stored]

    def collect(values, out, heads, following, size):
        place, stride = cuda.grid(1), cuda.gridsize(1)
        while place < size:
            head = heads[place]
            if head >= 0:
                if last or following[head] < 0:
                    out[place] = values[head]
                else:
                    first = after(following, head, NOBODY)
                    total, value = read(values[first]), after(following, head, first)
                    while value >= 0:
                        total = total + read(values[value])
                        value = after(following, head, value)
                    out[place] = write(total)
            place += stride

    name = f"unpool_collect_{raw}{'_last' if last else ''}"
    return Kernel(collect, name, raw, raw, "int64", "int64", types.int64)


@cache
def _read(raw: str, last: bool) -> Kernel:
    def read_back(gradient, gy, places, heads, count):
        value, stride = cuda.grid(1), cuda.gridsize(1)
        while value < count:
            place = places[value]
            replaced = last and heads[place] != value
            gy[value] = 0 if replaced else gradient[place]
            value += stride

    return Kernel(
        read_back, f"unpool_read_{raw}{'_last' if last else ''}", raw, raw, "int64", "int64", types.int64
    )


device.register(__name__)
