"""Arrays on a GPU, of whatever library: what calls know of them, and results of the same kind."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from . import copies
from .device import Where, memory

Dtype = np.dtype[Any]


class Library(Protocol):
    """A library whose arrays live on GPUs."""

    def take(self, array: Any) -> "DeviceArray":
        """What a call knows of one of its arrays; no data moves."""

    def empty(self, shape: tuple[int, ...], dtype: Dtype, where: Where) -> Any:
        """A new C-contiguous array of its own, from its own allocator."""


@dataclass(eq=False, slots=True)
class DeviceArray:
    """An array on a GPU: where it lies, and whose it is.

    Attributes
    ----------
    address : int
        Of the first element.
    shape, strides : tuple of int
        As NumPy's: strides in bytes.
    dtype : numpy.dtype
    owner : object
        The library's own array, which keeps the memory.
    library : Library
    where : Where
        The device, and the stream that calls run on.
    writeable : bool
    exact : bool
        Whether the owner has this very shape and these strides.
    """

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: Dtype
    owner: Any
    library: Library
    where: Where
    writeable: bool = True
    exact: bool = True

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    @property
    def contiguous(self) -> bool:
        """Whether it is C-contiguous."""
        return self.size == 0 or all(
            n == 1 or own == stride
            for n, own, stride in zip(
                self.shape, self.strides, c_strides(self.shape, self.itemsize), strict=True
            )
        )

    def memory(self) -> tuple[Any, int]:
        """What a kernel takes, and how many elements from there the first one is."""
        return memory(self.address, self.shape, self.strides, self.dtype)

    def flat(self) -> Any:
        """What a kernel takes, of a C-contiguous array."""
        return self.memory()[0]

    def empty(self, shape: Sequence[int], dtype: Any) -> "DeviceArray":
        """A new array of the same library on the same device, for the same stream."""
        owner = self.library.empty(tuple(shape), np.dtype(dtype), self.where)
        found = self.library.take(owner)
        found.where = self.where
        return found

    def beside(self, other: "DeviceArray") -> "DeviceArray":
        """The array for the stream of another."""
        return self if self.where == other.where else replace(self, where=other.where)

    def zeros(self, shape: Sequence[int], dtype: Any) -> "DeviceArray":
        """As `empty`, of zeros."""
        return self.full(shape, dtype, 0)

    def full(self, shape: Sequence[int], dtype: Any, value: float) -> "DeviceArray":
        """As `empty`, of one value."""
        found = self.empty(shape, dtype)
        copies.fill(found, value)
        return found

    def astype(self, dtype: Any) -> "DeviceArray":
        """A C-contiguous copy, of another dtype."""
        found = self.empty(self.shape, dtype)
        copies.assign(found, self)
        return found

    def compact(self) -> "DeviceArray":
        """The array, or a copy, C-contiguous."""
        return self if self.contiguous else self.astype(self.dtype)

    @property
    def regular(self) -> bool:
        """Whether kernels can read it: aligned, of whole elements, in the machine's byte order."""
        steps = (self.address, *self.strides)
        return self.dtype.isnative and all(step % self.itemsize == 0 for step in steps)

    def placed(self) -> Any:
        """An array of NumPy's at its addresses, to be compared with others and never read."""
        return np.asarray(_Placed(self))

    def bytes(self) -> "DeviceArray":
        """Its bytes along a new last axis, the last one of an element first where its order is another's."""
        turned = not self.dtype.isnative
        address = self.address + turned * (self.itemsize - 1)
        shape, strides = (*self.shape, self.itemsize), (*self.strides, -1 if turned else 1)
        return replace(
            self, address=address, shape=shape, strides=strides, dtype=np.dtype(np.uint8), exact=False
        )

    def transpose(self, order: Sequence[int]) -> "DeviceArray":
        """A view with its axes in another order."""
        shape, strides = (tuple(each[axis] for axis in order) for each in (self.shape, self.strides))
        return self._view(self.address, shape, strides)

    def reshape(self, shape: Sequence[int]) -> "DeviceArray":
        """A view of another shape, or a copy where strides do not allow one."""
        lengths = tuple(shape)
        long = [(n, stride) for n, stride in zip(self.shape, self.strides, strict=True) if n != 1]
        if self.contiguous:
            return self._view(self.address, lengths, c_strides(lengths, self.itemsize))
        if [n for n in lengths if n != 1] == [n for n, _ in long]:
            own = iter([stride for _, stride in long])
            return self._view(self.address, lengths, tuple(0 if n == 1 else next(own) for n in lengths))
        return self.astype(self.dtype).reshape(lengths)

    def spread_to(self, shape: Sequence[int]) -> "DeviceArray":
        """A view of another shape, to which its own broadcasts."""
        missing = len(shape) - self.ndim
        own = zip((1,) * missing + self.shape, (0,) * missing + self.strides, shape, strict=True)
        return self._view(self.address, tuple(shape), tuple(0 if n != m else step for n, step, m in own))

    def row(self, number: int) -> "DeviceArray":
        """A view of one element of the first axis."""
        return self._view(self.address + number * self.strides[0], (1, *self.shape[1:]), self.strides)

    def part(self, first: int, last: int) -> "DeviceArray":
        """A view of elements `first` to `last` of the last axis."""
        shape = (*self.shape[:-1], last - first)
        return self._view(self.address + first * self.strides[-1], shape, self.strides)

    def cut(self, starts: Sequence[int], lengths: Sequence[int], steps: Sequence[int]) -> "DeviceArray":
        """A view of so many elements along each axis, from one on, at a distance, which may be negative."""
        first = self.address + sum(n * stride for n, stride in zip(starts, self.strides, strict=True))
        strides = tuple(n * stride for n, stride in zip(steps, self.strides, strict=True))
        return self._view(first, tuple(lengths), strides)

    def to_host(self) -> Any:
        """A copy on the host; waits for the device."""
        host = np.empty(self.shape, self.dtype)
        if host.size:
            copies.to_host(self.compact(), host)
        return host

    def _view(self, address: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> "DeviceArray":
        same = (address, shape, strides) == (self.address, self.shape, self.strides)
        return replace(self, address=address, shape=shape, strides=strides, exact=self.exact and same)


class _Placed:
    """Where an array lies, as NumPy puts it."""

    def __init__(self, array: DeviceArray) -> None:
        self.__array_interface__ = {
            "shape": array.shape,
            "strides": array.strides,
            "typestr": f"|V{array.itemsize}",
            "data": (array.address, True),
            "version": 3,
        }


def c_strides(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Strides of a C-contiguous array, in bytes."""
    strides = [itemsize]
    for n in reversed(shape[1:]):
        strides.append(strides[-1] * n)
    return tuple(reversed(strides[: len(shape)]))
