"""The GPU: how kernels are compiled, what they are given, and how they are launched.

Everything that differs between a card and numba's simulator (``NUMBA_ENABLE_CUDASIM=1``, which runs kernels
as Python) is here: on a card kernels take addresses, in the simulator flat NumPy arrays.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import config, cuda, types
from numba.core.errors import NumbaPerformanceWarning
from numpy.typing import NDArray

from .. import jit

SIMULATED = bool(config.ENABLE_CUDASIM)
TEAM = 4 if SIMULATED else 256  # threads that share a window or a block of outputs
RAW = {"bool": "uint8", "float16": "uint16", "bfloat16": "uint16"}  # dtypes that kernels know by their bits


@cache
def raw_name(dtype: np.dtype[Any]) -> str:
    """The dtype that kernels see."""
    return RAW.get(dtype.name, dtype.name)


@cache
def storage(dtype: np.dtype[Any]) -> str:
    """How elements are stored: "float16", "bfloat16" or "native"."""
    return dtype.name if dtype.name in ("float16", "bfloat16") else "native"


# Functions that kernels call ---------------------------------------------------------------------------


def function(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Let kernels call a plain function; it is inlined."""
    if not SIMULATED:
        from numba.cuda.extending import register_jitable  # noqa: PLC0415 - the simulator has none

        register_jitable(**jit.CUDA_INLINED)(plain)
    return plain


def register(module: ModuleType | str) -> None:
    """Let kernels call the plain functions that a module defines."""
    found = sys.modules[module] if isinstance(module, str) else module
    for member in list(vars(found).values()):
        if isinstance(member, FunctionType) and member.__module__ == found.__name__:
            function(member)


# Kernels -------------------------------------------------------------------------------------------------


def pointer(dtype: str) -> Any:
    """The type of an array's address."""
    return types.CPointer(getattr(types, dtype))


class Kernel:
    """A kernel and the types of its arguments, compiled at its first launch on each device.

    Parameters
    ----------
    plain : callable
        The kernel as a Python function.
    name : str
        What profilers show.
    *signature : str or numba type
        Names of dtypes are addresses of arrays.
    """

    def __init__(self, plain: Callable[..., None], name: str, *signature: Any) -> None:
        plain.__name__ = plain.__qualname__ = name
        self.plain = plain
        self.name = name
        self.signature = tuple(pointer(kind) if isinstance(kind, str) else kind for kind in signature)
        self._compiled: dict[int, Any] = {}
        self._configured: dict[tuple[Any, ...], Any] = {}

    def launch(self, blocks: int, threads: int, where: "Where", *arguments: Any) -> None:
        """Start it on a stream; arguments are Python numbers, tuples of them, and `memory`."""
        key = (blocks, threads, where)
        configured = self._configured.get(key)
        if configured is None:
            if len(self._configured) >= 1024:
                self._configured.clear()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NumbaPerformanceWarning)  # a small array takes a small grid
                configured = self._on(where.device)[blocks, threads, stream(where.stream)]
            self._configured[key] = configured
        configured(*arguments)

    def _on(self, number: int) -> Any:
        if number not in self._compiled:
            if SIMULATED:
                self._compiled[number] = cuda.jit(self.plain)
            else:
                self._compiled[number] = cuda.jit(self.signature, **jit.CUDA_OPTIONS)(self.plain)
        return self._compiled[number]


class Where(tuple[int, int]):
    """A device's number and the address of a stream on it."""

    __slots__ = ()

    @property
    def device(self) -> int:
        """Number of the device."""
        return self[0]

    @property
    def stream(self) -> int:
        """Address of the stream; 0 is the default one."""
        return self[1]


@cache
def stream(address: int) -> Any:
    """A stream of whatever library, for numba."""
    return cuda.external_stream(address) if address else 0


def synchronize(where: Where) -> None:
    """Wait until all work on a stream is done."""
    (stream(where.stream) or cuda.default_stream()).synchronize()


def grid(threads: int) -> tuple[int, int]:
    """Blocks and threads of a block for so many threads; kernels loop where there are more."""
    if SIMULATED:
        return 1, 1
    return min(-(-threads // TEAM), 2**31 - 1), TEAM


def upload(table: NDArray[Any]) -> Any:
    """A host table's copy on the current device, for `memory` and as long as it is kept."""
    held = cuda.to_device(np.ascontiguousarray(table))
    if not SIMULATED:
        cuda.default_stream().synchronize()  # other streams may not wait for this one
    return held


def address_of(held: Any) -> Any:
    """What a kernel takes for an uploaded table."""
    return held if SIMULATED else held.__cuda_array_interface__["data"][0]


# Memory --------------------------------------------------------------------------------------------------


class Span:
    """Memory at an address as NumPy sees it, in the simulator."""

    def __init__(self, address: int, size: int, dtype: str) -> None:
        kind = np.dtype(dtype)
        self.__array_interface__ = {
            "shape": (size,),
            "typestr": kind.str,
            "data": (address, False),
            "version": 3,
        }


def memory(
    address: int, shape: Sequence[int], strides: Sequence[int], dtype: np.dtype[Any]
) -> tuple[Any, int]:
    """What a kernel takes for an array: where its lowest element lies, and how far from there the first is.

    `strides` are in bytes, the distance in elements.
    """
    below = sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True) if stride < 0)
    lowest = address + below
    if not SIMULATED:
        return lowest, -below // dtype.itemsize
    reach = sum((n - 1) * abs(stride) for n, stride in zip(shape, strides, strict=True))
    span = Span(lowest, reach // dtype.itemsize + 1 if 0 not in shape else 0, raw_name(dtype))
    return SimulatedArray(np.asarray(span)), -below // dtype.itemsize


SimulatedArray: Any = type(cuda.to_device(np.zeros(1))) if SIMULATED else None
NOWHERE: Any = SimulatedArray(np.zeros(1, np.uint8)) if SIMULATED else 0  # for what a kernel does not use
