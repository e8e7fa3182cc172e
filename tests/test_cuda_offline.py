"""CUDA kernels are compiled without a GPU, and what the compiler reports of them is read.

Calls run with arrays that have an address and no memory: the kernels that they would launch are collected,
compiled to PTX, and assembled for two architectures. Needs numba-cuda, and NVIDIA's assembler and
disassembler (the packages nvidia-cuda-nvcc and nvidia-cuda-nvdisasm).
"""

import importlib.util
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest
import test_gradients
from numba import config

import fastpool as fp

if importlib.util.find_spec("numba_cuda") is None or config.ENABLE_CUDASIM:
    pytest.skip("needs numba-cuda, and not its simulator", allow_module_level=True)
TOOLS = importlib.util.find_spec("nvidia")
FOLDERS = (
    [path for root in TOOLS.submodule_search_locations or () for path in Path(root).glob("cu*/bin")]
    if TOOLS
    else []
)
if not any((folder / "ptxas").exists() and (folder / "nvdisasm").exists() for folder in FOLDERS):
    pytest.skip("needs ptxas and nvdisasm", allow_module_level=True)

from numba import cuda  # noqa: E402
from numba.cuda import dispatcher  # noqa: E402

from fastpool.cuda import copies, device  # noqa: E402
from fastpool.cuda.array import DeviceArray, c_strides  # noqa: E402
from fastpool.cuda.device import Where  # noqa: E402

BIN = next(folder for folder in FOLDERS if (folder / "ptxas").exists())
ARCHITECTURES = ("sm_80", "sm_90")


class Nowhere:
    """A library of arrays that have an address alone."""

    name = "nowhere"

    def take(self, array):
        return array

    def empty(self, shape, dtype, _device=0):
        strides = c_strides(shape, np.dtype(dtype).itemsize)
        return DeviceArray(512, tuple(shape), strides, np.dtype(dtype), None, self, Where((0, 0)))


NOWHERE = Nowhere()


def nowhere(value):
    """An array of the shape and dtype of NumPy's; anything else as it is."""
    return NOWHERE.empty(value.shape, value.dtype) if isinstance(value, np.ndarray) else value


def array(shape, dtype):
    return NOWHERE.empty(shape, dtype)


@pytest.fixture(scope="module")
def collected():
    """Collects kernels that calls would launch."""
    kernels = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=(8, 0)))
        patch.setattr(device.Kernel, "launch", lambda self, *_: kernels.setdefault(id(self), self))
        held = SimpleNamespace(__cuda_array_interface__={"data": (512, False)})
        patch.setattr(device, "upload", lambda _: held)
        patch.setattr(copies, "to_host", lambda _, host: host.fill(0))
        yield kernels


def report(kernel, *, code=False):
    """Of a kernel for each architecture: bytes of stack and of spills, registers, its code if wanted."""
    ptx, _ = cuda.compile_ptx(kernel.plain, kernel.signature, cc=(8, 0))
    found = []
    for architecture in ARCHITECTURES:
        source, cubin = Path(f"{id(kernel)}.ptx"), Path(f"{id(kernel)}.cubin")
        source.write_text(ptx)
        command = [BIN / "ptxas", f"-arch={architecture}", "-v", source, "-o", cubin]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        stack, stores, loads = re.search(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", said
        ).groups()
        registers, text = int(re.search(r"Used (\d+) registers", said)[1]), ""
        if code:
            command = [BIN / "nvdisasm", "-c", cubin]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found.append((int(stack), int(stores) + int(loads), registers, text))
    return found


def check(kernels):
    """Every kernel compiles, keeps all in registers, and leaves room for 4 blocks of 256 threads."""
    assert kernels
    for kernel in kernels.values():
        for stack, spills, registers, _ in report(kernel):
            assert (stack, spills) == (0, 0), kernel.name
            assert registers <= 128, kernel.name
    kernels.clear()


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("form", ["sliding", "global", "roi_pool"])
def test_every_operator_forward_and_backward(collected, form):
    """The skeleton: windows of one thread, of teams and of several blocks, and windows of planes."""
    collected.clear()
    function, _, args, options = test_gradients.FORMS[form]
    x = array((2, 3, 40, 40) if form == "global" else test_gradients.X.shape, np.float32)
    for op, given in test_gradients.OPERATORS.items():
        y, pull = fp.vjp(function, x, op.split()[0], *args, **options, **given)
        pull(array(y.shape, y.dtype), params=True)
    labels = array(x.shape, np.uint32)
    function(labels, "mode", *args, **options)
    check(collected)


@pytest.mark.parametrize(
    "dtype", [np.float16, ml_dtypes.bfloat16, np.float64, np.uint8, np.int64, np.uint64, np.bool_]
)
def test_every_group_of_dtypes(collected, dtype):
    collected.clear()
    x = array((2, 3, 9, 9), dtype)
    names = ["max", "min", "avg", "sum", "median", *(["mode"] if np.dtype(dtype).kind in "iub" else ["lse"])]
    for op in names:
        fp.pool(x, op, 3, dilation=2)
    gy = array((2, 3, 2, 2), np.float32 if np.dtype(dtype).kind in "iub" else dtype)
    for op in ("max", "avg"):
        fp.pool_backward(gy, x, op, 3, dilation=2)
    check(collected)


def test_regions_copies_and_unpooling(collected):
    collected.clear()
    boxes = np.array([[0, 1.0, 1.0, 9.0, 7.0]])
    for dtype in (np.float16, np.float32):
        x = array((1, 2, 12, 12), dtype)
        for op in ("avg", "max"):
            y, pull = fp.vjp(fp.roi_align, x, boxes, 2, op=op)
            pull(array(y.shape, dtype))
        y, indices = fp.max_pool(x, 2, return_indices=True)
        for duplicates in ("last", "sum"):
            fp.unpool_backward(array(x.shape, dtype), y, indices, x.shape, duplicates=duplicates)
        fp.pyramid_pool(x, "max", (1, 2))
        fp.mosaic(x, 5, "avg")
    check(collected)


@pytest.mark.parametrize("form", ["sliding", "global"])
def test_missing_data_forward_and_backward(collected, form):
    """The skeleton where a mask lists elements: windows of one thread and of teams, and windows of planes."""
    collected.clear()
    function, _, args, options = test_gradients.FORMS[form]
    x = array((2, 3, 40, 40) if form == "global" else test_gradients.X.shape, np.float32)
    given = {"where": array(x.shape, np.bool_), "skipna": True, "nodata": 1.0}
    for op in ("max", "avg", "soft", "median"):
        y, pull = fp.vjp(function, x, op, *args, **options, **given)
        pull(array(y.shape, y.dtype), params=True)
    for op in ("avg", "sum"):
        y, pull = fp.vjp(function, x, op, *args, **options, **given, weights=array(x.shape[2:], np.float32))
        pull(array(y.shape, y.dtype), params=True)
    function(x, "count", *args, **options, **given)
    function(array(x.shape, np.uint32), "mode", *args, **options, nodata=1)
    check(collected)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint8, np.bool_])
def test_missing_data_of_every_group_of_dtypes(collected, dtype):
    collected.clear()
    x, given = array((2, 3, 9, 9), dtype), {"skipna": True, "nodata": 1, "fill": 1}
    for op in ("max", "avg", "sum", "median"):
        fp.pool(x, op, 3, **given)
    fp.pool(x, "avg", 3, **given, weights=array((9, 9), dtype if dtype != np.bool_ else np.uint8))
    gy = array((2, 3, 3, 3), np.float32)
    for op in ("max", "avg", "median"):
        fp.pool_backward(gy, x, op, 3, **given)
    indices = array(gy.shape, np.int32)
    with pytest.raises(ValueError, match="indices must"):  # what comes back to the host here is 0
        fp.pool_backward(gy, x, "max", 3, **given, indices=indices)
    check(collected)


LINES = [
    (op, dtype, window, stride, padding, last)
    for op, dtypes in (("max", ("float16", "float32", "uint8")), ("avg", ("float32",)))
    for dtype in dtypes
    for window, stride, padding in ((2, 2, 0), (3, 2, 1), (3, 1, 1))
    for last in (False, True)
]


@pytest.mark.parametrize(("op", "dtype", "window", "stride", "padding", "last"), LINES)
def test_regular_windows_load_and_store_16_bytes(collected, op, dtype, window, stride, padding, last):
    collected.clear()
    shape = (8, 112, 112, 64) if last else (8, 64, 112, 128)
    axes = (1, 2) if last else (2, 3)
    x = array(shape, dtype)
    y = fp.pool(x, op, (window, window), stride=stride, padding=padding, axes=axes)
    (kernel,) = collected.values()
    assert kernel.name.startswith(f"lines_{op}_{dtype}_")
    for stack, spills, registers, code in report(kernel, code=True):
        assert (stack, spills) == (0, 0)
        assert registers <= 96
        assert "LDG.E.128" in code
        assert "STG.E.128" in code
    collected.clear()
    if dtype != "uint8":
        options = {"stride": stride, "padding": padding, "axes": axes}
        fp.pool_backward(array(y.shape, dtype), x, op, (window, window), **options)
        (kernel,) = (each for each in collected.values() if each.name.startswith("spread_"))
        for stack, spills, registers, code in report(kernel, code=True):
            assert (stack, spills) == (0, 0)
            assert registers <= 96
            assert "STG.E.128" in code
            assert "RED." not in code  # no atomic addition
            assert "ATOM" not in code


def test_integers_stay_integers(collected):
    collected.clear()
    for op in ("max", "min"):
        for dtype in (np.uint64, np.int64, np.uint32):
            fp.pool(array((1, 1, 9, 9), dtype), op, 3, stride=2, padding=1)
    for kernel in collected.values():
        ptx, _ = cuda.compile_ptx(kernel.plain, kernel.signature, cc=(8, 0))
        assert "cvt.rn.f64" not in ptx, kernel.name


def test_large_arrays_count_in_64_bits(collected):
    collected.clear()
    fp.pool(array((2**14, 2**10, 2**8), np.uint8), "max", (2, 2))
    fp.pool(array((2**14, 2**10, 2**8), np.uint8), "median", (2, 2), stride=1)
    check(collected)
