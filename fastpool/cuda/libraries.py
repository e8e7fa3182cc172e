"""The libraries whose arrays live on GPUs: views of their arrays, and new ones from their allocators."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numba import cuda as numba_cuda

from ..kinds import dtype_named
from .array import DeviceArray, Dtype, c_strides
from .device import SIMULATED, Where, stream, synchronize


class _Library:
    """What most libraries have in common."""

    tracer = ""

    def give(self, array: Any) -> Any:
        """A result as a user takes it; what is no array stays."""
        if not isinstance(array, DeviceArray):
            return array
        return array.owner if array.exact else array.astype(array.dtype).owner

    def on(self, array: DeviceArray) -> AbstractContextManager[Any]:
        """While the device of an array is numba's current one."""
        if SIMULATED or len(numba_cuda.gpus) == 1:
            return nullcontext()
        context: AbstractContextManager[Any] = numba_cuda.gpus[array.where.device]
        return context


class Numba(_Library):
    """numba's device arrays; calls run on the stream that an array names, else on the default one."""

    name = "a CUDA array of numba"

    def take(self, array: Any) -> DeviceArray:
        """See `Library`."""
        if SIMULATED:
            host = array._ary
            address, readonly = host.__array_interface__["data"]
            return DeviceArray(
                address, host.shape, host.strides, host.dtype, array, self, Where((0, 0)), not readonly
            )
        own = getattr(array, "stream", 0)
        address = int(getattr(own, "handle", 0) or 0) if own else 0
        where = Where((numba_cuda.get_current_device().id, address))
        begin, readonly = array.__cuda_array_interface__["data"]
        shape, strides, dtype = tuple(array.shape), tuple(array.strides), np.dtype(array.dtype)
        return DeviceArray(begin or 0, shape, strides, dtype, array, self, where, not readonly)

    def empty(self, shape: tuple[int, ...], dtype: Dtype, where: Where) -> Any:
        """See `Library`."""
        return numba_cuda.device_array(shape, dtype, stream=stream(where.stream))


class CuPy(_Library):
    """CuPy's arrays, on its current stream."""

    name = "cupy.ndarray"

    def take(self, array: Any) -> DeviceArray:
        """See `Library`."""
        current = sys.modules["cupy"].cuda.get_current_stream()
        where = Where((array.device.id, current.ptr))
        return DeviceArray(array.data.ptr, array.shape, array.strides, array.dtype, array, self, where)

    def empty(self, shape: tuple[int, ...], dtype: Dtype, where: Where) -> Any:
        """See `Library`."""
        cupy = sys.modules["cupy"]
        with cupy.cuda.Device(where.device):
            return cupy.empty(shape, dtype)


class Torch(_Library):
    """PyTorch's CUDA tensors, on its current stream."""

    name = "torch.Tensor on CUDA"
    tracer = "torch"

    def take(self, array: Any) -> DeviceArray:
        """See `Library`."""
        array = array.detach().resolve_neg()
        number = array.device.index
        current = sys.modules["torch"].cuda.current_stream(number).cuda_stream
        dtype = dtype_named(str(array.dtype).removeprefix("torch."))
        strides = tuple(step * dtype.itemsize for step in array.stride())
        where = Where((number, current))
        return DeviceArray(array.data_ptr(), tuple(array.shape), strides, dtype, array, self, where)

    def empty(self, shape: tuple[int, ...], dtype: Dtype, where: Where) -> Any:
        """See `Library`."""
        torch = sys.modules["torch"]
        return torch.empty(shape, dtype=getattr(torch, dtype.name), device=f"cuda:{where.device}")


class Jax(_Library):
    """JAX's arrays.

    JAX does not tell its stream, so calls wait for their input and for their result; and its arrays do not
    change, so results are numba's until they are given to it.
    """

    name = "jax.Array on CUDA"
    tracer = "jax"

    def take(self, array: Any) -> DeviceArray:
        """See `Library`."""
        if not hasattr(array, "block_until_ready"):
            found = numba.take(array)
            found.library = self
            return found
        array.block_until_ready()
        (device,) = array.devices()
        shape, dtype = tuple(array.shape), np.dtype(array.dtype)
        address = array.unsafe_buffer_pointer()
        where = Where((device.local_hardware_id, 0))
        return DeviceArray(address, shape, c_strides(shape, dtype.itemsize), dtype, array, self, where)

    def empty(self, shape: tuple[int, ...], dtype: Dtype, where: Where) -> Any:
        """See `Library`."""
        return numba.empty(shape, dtype, where)

    def give(self, array: Any) -> Any:
        """See `Library`."""
        if not isinstance(array, DeviceArray):
            return array
        owner = super().give(array)
        synchronize(array.where)
        return owner if hasattr(owner, "block_until_ready") else sys.modules["jax"].numpy.asarray(owner)


numba, cupy, torch, jax = Numba(), CuPy(), Torch(), Jax()
