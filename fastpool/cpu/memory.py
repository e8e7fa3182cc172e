"""Arrays as flat memory: what every kernel reads and writes."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from ..windows import Integers
from . import half

Array = NDArray[Any]


@cache
def _storage(dtype: np.dtype[Any]) -> str:
    return dtype.name if dtype.name in half.READ else "native"


def storage(array: Array) -> str:
    """How elements are stored: "float16", "bfloat16" or "native"."""
    return _storage(array.dtype)


def raw(array: Array) -> Array:
    """The array as a dtype that numba knows: float16, bfloat16 and bool by their bits."""
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    return array if storage(array) == "native" else array.view(np.uint16)


def flatten(array: Array) -> tuple[Array, int, tuple[int, ...]]:
    """Read-only 1-D view of the memory an array spans, the offset of its first element, its strides."""
    strides = tuple(stride // array.itemsize for stride in array.strides)
    if array.flags.c_contiguous:
        flat, origin = array.reshape(-1), 0
    else:
        upward = array[tuple(slice(None, None, -1 if stride < 0 else 1) for stride in strides)]
        reach = [(n - 1) * stride for n, stride in zip(array.shape, strides, strict=True)]
        span = 1 + sum(map(abs, reach))
        origin = -sum(way for way in reach if way < 0)
        flat = np.lib.stride_tricks.as_strided(upward, (span,), (array.itemsize,), writeable=False)
    flat = flat.view()
    flat.flags.writeable = False  # one compiled kernel for writeable and read-only input
    return flat, origin, strides


def c_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a C-contiguous array, in elements."""
    strides = [1]
    for n in reversed(shape[1:]):
        strides.append(strides[-1] * n)
    return tuple(reversed(strides[: len(shape)]))


def offsets(shape: Sequence[int], strides: Sequence[Sequence[int]], axes: Sequence[int]) -> Integers:
    """Flat offsets of all positions along `axes`, in C order: one row for each of the given strides."""
    found = np.zeros((len(strides), 1), np.int64)
    for axis in axes:
        ways = np.multiply.outer(np.array([s[axis] for s in strides]), np.arange(shape[axis]))
        found = (found[:, :, None] + ways[:, None, :]).reshape(len(strides), -1)
    return found


@intrinsic
def peek(typing_context, array, index):
    """``array[index]`` without NumPy's negative indices, whose test keeps loops from being vectorised."""

    def generate(context, builder, signature, arguments):
        kind = signature.args[0]
        data = context.make_array(kind)(context, builder, arguments[0]).data
        place = builder.gep(data, [arguments[1]], inbounds=True)
        return context.unpack_value(builder, kind.dtype, place)

    return array.dtype(array, types.intp), generate


@intrinsic
def poke(typing_context, array, index, value):
    """``array[index] = value``, as `peek`."""

    def generate(context, builder, signature, arguments):
        kind = signature.args[0]
        data = context.make_array(kind)(context, builder, arguments[0]).data
        place = builder.gep(data, [arguments[1]], inbounds=True)
        context.pack_value(builder, kind.dtype, arguments[2], place)
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), generate


# Lines: arrays, or for elements that are pairs of value and place, pairs of arrays -----------------------


def load(line, index):
    """Element `index` of a line."""
    raise NotImplementedError


def store(line, index, element):
    """Write element `index` of a line."""
    raise NotImplementedError


def empty(size, like, placed):
    """A line of the dtype of `like`, with int32 places where `placed` is True."""
    raise NotImplementedError


@overload(load, jit_options={"forceinline": True})
def _load(line, index):
    if isinstance(line, types.BaseTuple):
        return lambda line, index: (peek(line[0], index), peek(line[1], index))
    return lambda line, index: peek(line, index)  # noqa: PLW0108  (an overload must have an implementation)


@overload(store, jit_options={"forceinline": True})
def _store(line, index, element):
    if isinstance(line, types.BaseTuple):

        def store_pair(line, index, element):
            poke(line[0], index, element[0])
            poke(line[1], index, element[1])

        return store_pair
    return lambda line, index, element: poke(line, index, element)  # noqa: PLW0108


@overload(empty, prefer_literal=True)
def _empty(size, like, placed):
    if placed.literal_value:
        return lambda size, like, placed: (  # noqa: ARG005
            np.empty(size, like.dtype),
            np.empty(size, np.int32),
        )
    return lambda size, like, placed: np.empty(size, like.dtype)  # noqa: ARG005
