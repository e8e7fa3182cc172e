"""Speeds on a GPU beside PyTorch's own kernels, PyTorch's compiler and cuDNN: the workloads of `speeds`.

Data are torch tensors. Each engine is timed with the device's events over several inputs in turn, which
together are a few times the second-level cache, so that none is read from there.
"""

import ctypes
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

import fastpool as fp

from .speeds import Result, Row, filled, rows

Call = Callable[[Any], Any]  # of an input

CACHES = 4  # times the second-level cache that the inputs of a workload are together
MOST_INPUTS = 64
CUDNN = ("libcudnn.so.9", "libcudnn.so")
NCHW, FLOAT, HALF = 0, 0, 2  # numbers of cuDNN's enumerations
CUDNN_MODES = {"max": 0, "avg": 1}  # average over the padding too
PROPAGATE_NAN = 1


def workloads(only: str = "", *, small: bool = False) -> Iterator[Row]:
    """The rows of `speeds.rows` in float32 and, for networks, float16; images of uint8 stay.

    Examples
    --------
    >>> from asv_bench.rivals import gpu
    >>> [row.dtype for row in gpu.workloads("train vgg")]
    ['float32', 'float16']
    """
    for row in rows(only, small=small):
        yield row
        if not row.image and row.dtype == "float32":
            yield replace(row, name=f"{row.name} float16", dtype="float16")


# Engines -------------------------------------------------------------------------------------------------


def _fastpool(row: Row, gy: Any) -> Call:
    geometry: dict[str, Any] = {"stride": row.stride, "padding": row.padding, "axes": row.axes}
    if not row.train:
        return lambda x: fp.pool(x, row.op, row.window, **geometry)

    def train(x: Any) -> Any:
        _, pull = fp.vjp(lambda own: fp.pool(own, row.op, row.window, **geometry), x)
        return pull(gy)

    return train


def _torch(row: Row, gy: Any) -> Call | None:
    """PyTorch's own function; it takes channels last as a memory format, images with two axes in front."""
    torch = import_module("torch")
    if row.dtype == "uint8":
        return None
    function = getattr(torch.nn.functional, f"{row.op}_pool{len(row.window)}d")

    def forward(x: Any) -> Any:
        given = x[None, None] if row.image else x.movedim(-1, 1) if row.last else x
        return function(given, row.window, row.stride, row.padding)

    if not row.train:
        return forward

    def train(x: Any) -> Any:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(forward(x), x, gy)[0]

    return train


def _compiled(row: Row, gy: Any) -> Call | None:
    """PyTorch's compiler, which fuses what it can into kernels of Triton."""
    torch = import_module("torch")
    call = _torch(row, gy)
    return None if call is None else torch.compile(call)


def _cudnn(row: Row, gy: Any) -> Call | None:
    """CuDNN's forward pooling of planes, by its C functions."""
    if row.train or row.last or row.image or len(row.window) != 2 or row.dtype == "uint8":
        return None
    torch = import_module("torch")
    library = _first_library(CUDNN)
    handle, x_like, y_like, pooling = (ctypes.c_void_p() for _ in range(4))
    _done(library.cudnnCreate(ctypes.byref(handle)))
    kind = HALF if row.dtype == "float16" else FLOAT
    for like, shape in ((x_like, row.shape), (y_like, row.output)):
        _done(library.cudnnCreateTensorDescriptor(ctypes.byref(like)))
        _done(library.cudnnSetTensor4dDescriptor(like, NCHW, kind, *shape))
    _done(library.cudnnCreatePoolingDescriptor(ctypes.byref(pooling)))
    sizes = (*row.window, *row.padding, *row.stride)
    _done(library.cudnnSetPooling2dDescriptor(pooling, CUDNN_MODES[row.op], PROPAGATE_NAN, *sizes))
    one, zero = ctypes.c_float(1), ctypes.c_float(0)

    def forward(x: Any) -> Any:
        y = torch.empty(row.output, dtype=x.dtype, device=x.device)
        _done(library.cudnnSetStream(handle, ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)))
        source, target = ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(y.data_ptr())
        ends = ctypes.byref(one), x_like, source, ctypes.byref(zero), y_like, target
        _done(library.cudnnPoolingForward(handle, pooling, *ends))
        return y

    return forward


def _first_library(names: tuple[str, ...]) -> Any:
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise OSError(f"none of {', '.join(names)} can be loaded")


def _done(status: int) -> None:
    if status:
        raise OSError(f"cuDNN answers with status {status}")


ENGINES: dict[str, Callable[[Row, Any], Call | None]] = {
    "fastpool": _fastpool,
    "torch": _torch,
    "torch.compile": _compiled,
    "cuDNN": _cudnn,
}


# Timing --------------------------------------------------------------------------------------------------


def race(row: Row, repeat: int) -> Result:
    """Median time of each engine, and of a copy of the input, once their results agree.

    Parameters
    ----------
    row : Row
    repeat : int
        Rounds over the inputs.

    Returns
    -------
    Result
        Engines that do not load, or do not have the workload, are left out.

    Raises
    ------
    AssertionError
        Where an engine's result is not fastpool's.
    """
    torch = import_module("torch")
    inputs, gy = tensors(row, "cuda")
    calls = {"copy": _copy(inputs[0])} | _calls(row, gy)
    expected = calls["fastpool"](inputs[0])
    for name in calls.keys() - {"fastpool", "copy"}:
        agree(row, calls[name](inputs[0]), expected, name)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeat):
        for name, call in calls.items():
            times[name].append(_seconds(torch, call, inputs))
    return Result(row, {name: statistics.median(found) for name, found in times.items()})


def _calls(row: Row, gy: Any) -> dict[str, Call]:
    found = {}
    for name, engine in ENGINES.items():
        try:
            call = engine(row, gy)
        except OSError:  # a library that is not there
            continue
        if call is not None:
            found[name] = call
    return found


def tensors(row: Row, device: str) -> tuple[list[Any], Any]:
    """Random inputs, so many that they are `CACHES` times the second-level cache, and a gradient."""
    torch = import_module("torch")
    first = torch.from_numpy(filled(row.shape, row.dtype)).to(device)
    cache = torch.cuda.get_device_properties(device).L2_cache_size if device == "cuda" else 0
    count = min(math.ceil(CACHES * cache / row.input_bytes) + 1, MOST_INPUTS)
    gy = torch.from_numpy(filled(row.output, row.dtype)).to(device) if row.train else None
    return [first.clone() for _ in range(count)], gy


def agree(row: Row, found: Any, expected: Any, name: str) -> None:
    """AssertionError where a result is not fastpool's."""
    moved = found[0, 0] if row.image else found.movedim(1, -1) if row.last and not row.train else found
    low = {"float16": 2e-2}.get(row.dtype, 1e-4)
    one, other = (each.double().cpu().numpy() for each in (moved, expected))
    np.testing.assert_allclose(one, other, low, low, err_msg=f"{name} on {row.name}")


def _copy(x: Any) -> Call:
    copy: Call = import_module("torch").empty_like(x).copy_
    return copy


def _seconds(torch: Any, call: Call, inputs: list[Any]) -> float:
    """Seconds of one call, over all inputs in turn."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    call(inputs[0])
    torch.cuda.synchronize()
    begin.record()
    for x in inputs:
        call(x)
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3 / len(inputs)


def launch_cost(device: str, calls: int = 1000) -> dict[str, float]:
    """Seconds that the host spends on a warm call of a tiny input, by engine."""
    row = Row("tiny", "max", (1, 1, 8, 8), (2, 2), (2, 2), (0, 0))
    torch = import_module("torch")
    (x, *_), gy = tensors(row, device)
    costs = {}
    for name, engine in (("fastpool", _fastpool), ("torch", _torch)):
        call = engine(row, gy)
        assert call is not None
        for _ in range(10):
            call(x)
        begin = time.perf_counter()
        for _ in range(calls):
            call(x)
        costs[name] = (time.perf_counter() - begin) / calls
        if device == "cuda":
            torch.cuda.synchronize()
    return costs


def machine() -> dict[str, str]:
    """The device, its driver and what matters of the versions."""
    torch = import_module("torch")
    properties = torch.cuda.get_device_properties("cuda")
    return {
        "device": properties.name,
        "multiprocessors": str(properties.multi_processor_count),
        "compute capability": f"{properties.major}.{properties.minor}",
        "memory": f"{properties.total_memory / 2**30:.0f} GiB",
        "CUDA of torch": str(torch.version.cuda),
        "driver": driver(),
    }


def driver() -> str:
    """The driver's version of CUDA, 13000 being 13.0."""
    number = ctypes.c_int()
    _first_library(("libcuda.so.1",)).cuDriverGetVersion(ctypes.byref(number))
    return str(number.value)
