"""Copies between layouts and dtypes, and arithmetic between two arrays, element by element."""

import math
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, types
from numpy.typing import NDArray

from . import device
from .device import SIMULATED, Kernel
from .halves import READ, WRITE

if TYPE_CHECKING:
    from .array import DeviceArray


def replaced(old, new):
    return new


def added(old, new):
    return old + new


def multiplied(old, new):
    return old * new


def assign(target: "DeviceArray", source: "DeviceArray") -> None:
    """Copy `source` to `target`, which has its shape and, where both are regular, maybe another dtype."""
    if target.regular and source.regular:
        _run(replaced, target, source)
    else:
        _run(replaced, target.bytes(), source.bytes())


def accumulate(target: "DeviceArray", source: "DeviceArray") -> None:
    """Add `source` to `target`."""
    _run(added, target, source)


def multiply(target: "DeviceArray", source: "DeviceArray") -> None:
    """Multiply `target` by `source`."""
    _run(multiplied, target, source)


def fill(target: "DeviceArray", value: float) -> None:
    """Set every element of a C-contiguous array."""
    if target.size:
        kernel = _fill(device.raw_name(target.dtype))
        kernel.launch(*device.grid(target.size), target.where, target.flat(), value, target.size)


def to_host(source: "DeviceArray", host: Any) -> None:
    """Copy a C-contiguous array to a host array of its shape and dtype, and wait for it."""
    raw = host.view(device.raw_name(host.dtype)).reshape(-1)
    if SIMULATED:
        raw[...] = source.flat().copy_to_host()
        return
    stream = device.stream(source.where.stream)
    cuda.as_cuda_array(_Flat(source), sync=False).copy_to_host(raw, stream=stream)
    device.synchronize(source.where)


def gathered(source: "DeviceArray", numbers: NDArray[np.int64], axis: int) -> "DeviceArray":
    """The slices of an array along an axis that `numbers` lists, in that order; a C-contiguous copy."""
    local, shape = source.compact(), source.shape
    found = local.empty((*shape[:axis], numbers.size, *shape[axis + 1 :]), source.dtype)
    if found.size:
        held, inner = device.upload(numbers), math.prod(shape[axis + 1 :])
        kernel, arguments = _gather(device.raw_name(source.dtype)), (shape[axis], numbers.size, inner)
        arrays = found.flat(), local.flat(), device.address_of(held)
        kernel.launch(*device.grid(found.size), source.where, *arrays, *arguments, found.size)
    return found


def looked_up(table: NDArray[np.int64], indices: "DeviceArray") -> "DeviceArray":
    """The entries of a table that indices name, in their dtype; negative ones stay as they are."""
    found = indices.astype(indices.dtype)
    if found.size:
        held, kernel = device.upload(table), _look_up(indices.dtype.name)
        arrays = found.flat(), device.address_of(held)
        kernel.launch(*device.grid(found.size), found.where, *arrays, found.size)
    return found


class _Flat:
    """A C-contiguous array as its raw elements."""

    def __init__(self, array: "DeviceArray") -> None:
        self.__cuda_array_interface__ = {
            "shape": (array.size,),
            "typestr": np.dtype(device.raw_name(array.dtype)).str,
            "data": (array.address, False),
            "strides": None,
            "version": 3,
        }


def _run(merge: Callable[..., Any], target: "DeviceArray", source: "DeviceArray") -> None:
    if not target.size:
        return
    shape, *strides = _merged(
        target.shape,
        [stride // target.itemsize for stride in target.strides],
        [stride // source.itemsize for stride in source.strides],
    )
    stored = [(device.storage(a.dtype), device.raw_name(a.dtype)) for a in (target, source)]
    kernel = _copy(merge, *stored, len(shape))
    (into, here), (out_of, there) = target.memory(), source.memory()
    arguments = (into, out_of, shape, *strides, here, there, target.size)
    kernel.launch(*device.grid(target.size), target.where, *arguments)


def _merged(
    shape: tuple[int, ...], first: list[int], second: list[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Lengths and both strides with axes joined where both arrays run on from one into the next."""
    found: list[tuple[int, int, int]] = []
    for n, a, b in zip(shape, first, second, strict=True):
        if n == 1:
            continue
        if found and found[-1][1] == n * a and found[-1][2] == n * b:
            found[-1] = (found[-1][0] * n, a, b)
        else:
            found.append((n, a, b))
    lengths, one, two = zip(*(found or [(1, 0, 0)]), strict=True)
    return lengths, one, two


@cache
def _copy(merge: Callable[..., Any], target: tuple[str, str], source: tuple[str, str], ndim: int) -> Kernel:
    old, read, write = READ[target[0]], READ[source[0]], WRITE[target[0]]

    def copy(into, out_of, shape, strides, others, here, there, size):
        element, step = cuda.grid(1), cuda.gridsize(1)
        while element < size:
            rest, one, two = np.uint64(element), here, there
            for axis in range(ndim - 1, -1, -1):
                n = np.uint64(shape[axis])
                i = np.int64(rest % n)
                rest = np.uint64(rest // n)
                one += i * strides[axis]
                two += i * others[axis]
            into[one] = write(merge(old(into[one]), read(out_of[two])))
            element += step

    long = types.UniTuple(types.int64, ndim)
    name = f"copy_{merge.__name__}_{source[1]}_{target[1]}"
    return Kernel(copy, name, target[1], source[1], long, long, long, types.int64, types.int64, types.int64)


@cache
def _gather(stored: str) -> Kernel:
    def gather(into, out_of, numbers, length, listed, inner, size):
        element, step = cuda.grid(1), cuda.gridsize(1)
        while element < size:
            row, i = element // inner, element % inner
            outer, place = row // listed, row % listed
            into[element] = out_of[(outer * length + numbers[place]) * inner + i]
            element += step

    long = types.int64
    return Kernel(gather, f"gather_{stored}", stored, stored, "int64", long, long, long, long)


@cache
def _look_up(indices: str) -> Kernel:
    def look_up(into, table, size):
        element, step = cuda.grid(1), cuda.gridsize(1)
        while element < size:
            index = into[element]
            into[element] = index if index < 0 else table[index]
            element += step

    return Kernel(look_up, f"look_up_{indices}", indices, "int64", types.int64)


@cache
def _fill(target: str) -> Kernel:
    def fill_with(into, value, size):
        element, step = cuda.grid(1), cuda.gridsize(1)
        while element < size:
            into[element] = value
            element += step

    return Kernel(fill_with, f"fill_{target}", target, types.float64, types.int64)


device.register(__name__)
