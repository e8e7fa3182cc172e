"""Speeds beside other libraries: networks' and images' poolings, timed in one process, interleaved.

Each engine is one small function that takes a row of the table and its input, and gives its library's fastest
call for them, or None where it has none. Libraries are optional, and imported by name where they are used.
"""

import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import fastpool as fp

from . import threads
from .arrays import Array

Call = Callable[[], Any]
Sizes = tuple[int, ...]

SMALLER = 16  # what a small row's channels, or an image's sides, are divided by
PEERS = (
    "numba-cuda",
    "torch",
    "onnxruntime",
    "openvino",
    "opencv-python-headless",
    "opencv-python",
    "scipy",
    "tinybrain",
)


@dataclass(frozen=True)
class Row:
    """One workload: an operator over sliding windows of one input.

    Attributes
    ----------
    name : str
    op : str
        An operator that `fastpool.pool` takes.
    shape : tuple of int
        Batch, channels and the pooled axes; only the pooled axes of an image.
    window, stride, padding : tuple of int
        One number a pooled axis.
    dtype : str
    last : bool
        The channels are behind the pooled axes.
    train : bool
        A forward call with what backward needs, and backward.
    """

    name: str
    op: str
    shape: Sizes
    window: Sizes
    stride: Sizes
    padding: Sizes
    dtype: str = "float32"
    last: bool = False
    train: bool = False

    @property
    def image(self) -> bool:
        """Has neither batch nor channels."""
        return len(self.shape) == len(self.window)

    @property
    def axes(self) -> Sizes:
        """The pooled axes."""
        end = len(self.shape) - self.last
        return tuple(range(end - len(self.window), end))

    @property
    def output(self) -> Sizes:
        """Shape of the result."""
        shape = list(self.shape)
        for axis, k, s, p in zip(self.axes, self.window, self.stride, self.padding, strict=True):
            shape[axis] = (shape[axis] + 2 * p - k) // s + 1
        return tuple(shape)

    @property
    def input_bytes(self) -> int:
        """Bytes of the input."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def moved_bytes(self) -> int:
        """Bytes of input and output; of their gradients too in training."""
        forward = self.input_bytes + math.prod(self.output) * np.dtype(self.dtype).itemsize
        return 2 * forward if self.train else forward


TRAINED = (
    Row("vgg max 2x2 s2", "max", (8, 64, 224, 224), (2, 2), (2, 2), (0, 0)),
    Row("resnet max 3x3 s2", "max", (32, 64, 112, 112), (3, 3), (2, 2), (1, 1)),
    Row("resnet one image max 3x3 s2", "max", (1, 64, 112, 112), (3, 3), (2, 2), (1, 1)),
    Row("inception max 3x3 s1", "max", (8, 256, 28, 28), (3, 3), (1, 1), (1, 1)),
    Row("densenet avg 2x2 s2", "avg", (16, 256, 56, 56), (2, 2), (2, 2), (0, 0)),
    Row("inception avg 3x3 s1", "avg", (8, 256, 28, 28), (3, 3), (1, 1), (1, 1)),
)
SLIDING = (
    *TRAINED,
    Row("sppf max 5x5 s1", "max", (8, 512, 20, 20), (5, 5), (1, 1), (2, 2)),
    Row("spp max 13x13 s1", "max", (8, 512, 20, 20), (13, 13), (1, 1), (6, 6)),
    Row("small maps max 2x2 s2", "max", (32, 512, 14, 14), (2, 2), (2, 2), (0, 0)),
    Row("whole maps avg 7x7", "avg", (64, 2048, 7, 7), (7, 7), (1, 1), (0, 0)),
    Row("c3d max 1x2x2", "max", (2, 64, 16, 112, 112), (1, 2, 2), (1, 2, 2), (0, 0, 0)),
    Row("c3d max 2x2x2", "max", (2, 128, 16, 56, 56), (2, 2, 2), (2, 2, 2), (0, 0, 0)),
    Row("audio max 4 s4", "max", (16, 128, 16000), (4,), (4,), (0,)),
)


def rows(only: str = "", *, small: bool = False) -> Iterator[Row]:
    """The workloads.

    Parameters
    ----------
    only : str
        A part of the names of those wanted.
    small : bool
        One input of the batch and few channels, or a small image.

    Yields
    ------
    Row

    Examples
    --------
    >>> from fastpool import bench
    >>> [row.name for row in bench.rows("vgg")]
    ['vgg max 2x2 s2', 'vgg max 2x2 s2 NHWC', 'train vgg max 2x2 s2']
    """
    for row in _table():
        if only in row.name:
            yield _smaller(row) if small else row


def _table() -> Iterator[Row]:
    for row in SLIDING:
        yield row
        if len(row.window) == 2:
            batch, channels, *pooled = row.shape
            yield replace(row, name=f"{row.name} NHWC", shape=(batch, *pooled, channels), last=True)
    for row in TRAINED:
        yield replace(row, name=f"train {row.name}", train=True)
    yield Row("image uint8 mean 2x2 s2", "avg", (4096, 4096), (2, 2), (2, 2), (0, 0), "uint8")
    for k in (3, 7, 31, 101):
        for op, word in (("max", "max"), ("avg", "mean")):
            yield Row(f"image {word} {k}x{k} s1", op, (2048, 2048), (k, k), (1, 1), (k // 2, k // 2))


def _smaller(row: Row) -> Row:
    if row.image:
        return replace(row, shape=tuple(n // SMALLER for n in row.shape))
    shape = [1, *row.shape[1:]]
    shape[-1 if row.last else 1] //= SMALLER
    return replace(row, shape=tuple(shape))


def filled(shape: Sizes, dtype: str) -> Array:
    """Random numbers, so that no page is the system's one page of zeros.

    Parameters
    ----------
    shape : tuple of int
    dtype : str

    Returns
    -------
    ndarray
        Normally distributed floats, or integers below 256.

    Examples
    --------
    >>> from fastpool import bench
    >>> bench.filled((2, 3), "uint8").shape
    (2, 3)
    """
    rng = np.random.default_rng(7)
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(shape, np.float32).astype(dtype)
    return rng.integers(0, 256, shape, dtype)


# Engines -------------------------------------------------------------------------------------------------


def _fastpool(row: Row, x: Array) -> Call:
    geometry: dict[str, Any] = {"stride": row.stride, "padding": row.padding, "axes": row.axes}
    if not row.train:
        out = np.empty(row.output, row.dtype)
        return partial(fp.pool, x, row.op, row.window, **geometry, out=out)
    gy = filled(row.output, row.dtype)

    def train() -> Array:
        _, pull = fp.vjp(fp.pool, x, row.op, row.window, **geometry)
        gradient: Array = pull(gy)
        return gradient

    return train


def _torch(row: Row, x: Array) -> Call | None:
    if row.image or row.last or row.dtype != "float32":
        return None
    torch = import_module("torch")
    return _torch_call(row, torch.from_numpy(x), torch.contiguous_format)


def _torch_last(row: Row, x: Array) -> Call | None:
    if not (row.last or row.train) or row.dtype != "float32":
        return None
    torch = import_module("torch")
    tensor = torch.from_numpy(x)
    return _torch_call(row, tensor.permute(0, 3, 1, 2) if row.last else tensor, torch.channels_last)


def _torch_call(row: Row, x: Any, layout: Any) -> Call:
    """Allocates its results: those of its functions that take ``out=`` are not faster with it."""
    torch = import_module("torch")
    torch.set_num_threads(fp.get_num_threads())
    pool = getattr(torch.nn.functional, f"{row.op}_pool{len(row.window)}d")
    x = x.contiguous(memory_format=layout)
    forward = partial(pool, x, row.window, row.stride, row.padding)
    if not row.train:
        return forward
    x.requires_grad_(True)
    gy = torch.from_numpy(filled(row.output, row.dtype)).contiguous(memory_format=layout)
    return lambda: torch.autograd.grad(forward(), x, gy)[0]


def _onnx_model(row: Row) -> bytes | None:
    """A network of the one pooling; None where the standard has none."""
    if row.image or row.last or row.train or row.dtype != "float32":
        return None
    onnx = import_module("onnx")
    options: dict[str, Any] = {"kernel_shape": row.window, "strides": row.stride, "pads": row.padding * 2}
    if row.op == "avg":
        options["count_include_pad"] = 1
    node = onnx.helper.make_node({"max": "MaxPool", "avg": "AveragePool"}[row.op], ["x"], ["y"], **options)
    ends = zip("xy", (row.shape, row.output), strict=True)
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in ends)
    graph = onnx.helper.make_graph([node], "pooling", [x], [y])
    opset = onnx.helper.make_opsetid("", 17)
    model: bytes = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()
    return model


def _onnxruntime(row: Row, x: Array) -> Call | None:
    model = _onnx_model(row)
    if model is None:
        return None
    ort = import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = fp.get_num_threads()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    y = np.empty(row.output, row.dtype)
    binding = session.io_binding()
    for bind, name, array in ((binding.bind_input, "x", x), (binding.bind_output, "y", y)):
        bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    return partial(_bound, partial(session.run_with_iobinding, binding), x, y)


def _openvino(row: Row, x: Array) -> Call | None:
    model = _onnx_model(row)
    if model is None:
        return None
    openvino = import_module("openvino")
    core = openvino.Core()
    options = {
        "INFERENCE_NUM_THREADS": fp.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(core.read_model(model), "CPU", options).create_infer_request()
    y = np.empty(row.output, row.dtype)
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    request.set_output_tensor(openvino.Tensor(y, shared_memory=True))
    return partial(_bound, partial(request.infer, share_outputs=True), x, y)


def _bound(call: Call, x: Array, y: Array) -> Array:
    """Run a call from x to y; both are held here, its library may have their addresses alone."""
    call()
    return y


def _opencv(row: Row, x: Array) -> Call | None:
    if not row.image:
        return None
    cv2 = import_module("cv2")
    cv2.setNumThreads(fp.get_num_threads())
    y = np.empty(row.output, row.dtype)
    if row.op == "avg" and row.stride == row.window:
        return partial(cv2.resize, x, y.shape[::-1], dst=y, interpolation=cv2.INTER_AREA)
    if not _filter(row):
        return None
    if row.op == "max":
        return partial(cv2.dilate, x, np.ones(row.window, np.uint8), dst=y)
    return partial(cv2.blur, x, row.window[::-1], dst=y, borderType=cv2.BORDER_CONSTANT)


def _scipy(row: Row, x: Array) -> Call | None:
    if not _filter(row):
        return None
    ndimage = import_module("scipy.ndimage")
    y = np.empty(row.output, row.dtype)
    run, border = (ndimage.maximum_filter, -np.inf) if row.op == "max" else (ndimage.uniform_filter, 0)
    return partial(_bound, partial(run, x, row.window, output=y, mode="constant", cval=border), x, y)


def _filter(row: Row) -> bool:
    """Gives an image of the same size, a centred window for each element."""
    return row.image and row.output == row.shape


def _tinybrain(row: Row, x: Array) -> Call | None:
    if not (row.image and row.dtype == "uint8" and row.window == row.stride == (2, 2)):
        return None
    tinybrain = import_module("tinybrain")
    volume = np.asfortranarray(x)[..., None, None]  # the layout that its compiled path takes
    return lambda: tinybrain.downsample_with_averaging(volume, (2, 2, 1))[0][..., 0, 0]


ENGINES: dict[str, Callable[[Row, Array], Call | None]] = {
    "fastpool": _fastpool,
    "torch": _torch,
    "torch channels-last": _torch_last,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "opencv": _opencv,
    "scipy": _scipy,
    "tinybrain": _tinybrain,
}


def engines(row: Row, names: Iterable[str] = ENGINES) -> dict[str, Call]:
    """Calls of a workload on one input: of each library that is installed and has it, and of a copy.

    Parameters
    ----------
    row : Row
    names : iterable of str
        The libraries, of `ENGINES`.

    Returns
    -------
    dict of str to callable
        ``"copy"``, a copy of the input, among them. All use as many threads as fastpool does now, those of
        scipy and tinybrain excepted, which have one.

    Examples
    --------
    >>> from fastpool import bench
    >>> list(bench.engines(next(bench.rows(small=True)), ["fastpool"]))
    ['fastpool', 'copy']
    """
    x = filled(row.shape, row.dtype)
    calls = {}
    for name in names:
        try:
            call = ENGINES[name](row, x)
        except ImportError:
            continue
        if call is not None:
            calls[name] = call
    calls["copy"] = _copy(x)
    return calls


def _copy(x: Array) -> Call:
    source, target = x.reshape(-1), np.empty(x.size, x.dtype)

    def part(first: int, last: int) -> None:
        np.copyto(target[first:last], source[first:last])

    return partial(threads.run, part, (), x.size, x.size)


# Timing --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """Best seconds of each engine, and of a copy of the input, on one workload."""

    row: Row
    seconds: dict[str, float]

    @property
    def peer(self) -> str | None:
        """The fastest other library; None where there is none."""
        peers = self.seconds.keys() - {"fastpool", "copy"}
        return min(peers, key=self.seconds.__getitem__, default=None)

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the fastest peer fastpool is."""
        return None if self.peer is None else self.seconds[self.peer] / self.seconds["fastpool"]

    @property
    def gigabytes_per_second(self) -> float:
        """Bytes that fastpool moves a second, each element of its arrays counted once."""
        return self.row.moved_bytes / self.seconds["fastpool"] / 1e9

    @property
    def share_of_copy(self) -> float:
        """That speed over the speed of a copy, which reads and writes as many bytes as the input has."""
        return self.gigabytes_per_second / (2 * self.row.input_bytes / self.seconds["copy"] / 1e9)


def seconds(call: Call) -> float:
    """Wall-clock time of one call.

    Parameters
    ----------
    call : callable

    Returns
    -------
    float

    Examples
    --------
    >>> from fastpool import bench
    >>> bench.seconds(dict) >= 0
    True
    """
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def measure(calls: dict[str, Call], repeat: int, idle: float = 0.0) -> dict[str, float]:
    """Best time of each call, all of them in turn.

    Parameters
    ----------
    calls : dict of str to callable
    repeat : int
        Turns.
    idle : float
        Seconds of sleep before each call. Threads of a library that has just run may go on spinning, at the
        cost of the next; a sleep ends that, and shows what a call costs that does not follow another at once.

    Returns
    -------
    dict of str to float
        Seconds.

    Examples
    --------
    >>> from fastpool import bench
    >>> list(bench.measure({"list": list, "dict": dict}, 2))
    ['list', 'dict']
    """
    best = dict.fromkeys(calls, math.inf)
    for _ in range(repeat):
        for name, call in calls.items():
            if idle:
                time.sleep(idle)
            best[name] = min(best[name], seconds(call))
    return best


def race(row: Row, repeat: int, idle: float = 0.0) -> Result:
    """Time a workload by every library that has it, once their results agree.

    Parameters
    ----------
    row : Row
    repeat, idle
        As in `measure`.

    Returns
    -------
    Result

    Raises
    ------
    AssertionError
        Where a library's result is not fastpool's.
    """
    calls = engines(row)
    _compare(row, calls)
    return Result(row, measure(calls, repeat, idle))


def _compare(row: Row, calls: dict[str, Call]) -> None:
    """Every library's result with fastpool's; libraries round means of integers either way."""
    expected = calls["fastpool"]()
    for name, call in calls.items():
        if name in {"fastpool", "copy"}:
            continue
        found = np.asarray(call())
        if row.last:  # torch keeps its axes' order in every layout
            found = np.moveaxis(found, 1, -1)
        atol = 1e-5 if row.dtype == "float32" else 1
        np.testing.assert_allclose(found, expected, 1e-4, atol, err_msg=f"{name} on {row.name}")


# Reports -------------------------------------------------------------------------------------------------


def mean_ratio(results: Iterable[Result]) -> float | None:
    """Geometric mean of the ratios; None where no workload has a peer.

    Parameters
    ----------
    results : iterable of Result

    Returns
    -------
    float or None

    Examples
    --------
    >>> from fastpool import bench
    >>> row = next(bench.rows())
    >>> times = ({"fastpool": 1.0, "torch": 2.0, "copy": 1.0}, {"fastpool": 1.0, "torch": 8.0, "copy": 1.0})
    >>> bench.mean_ratio(bench.Result(row, seconds) for seconds in times)
    4.0
    """
    ratios = [result.ratio for result in results if result.ratio is not None]
    return statistics.geometric_mean(ratios) if ratios else None


def write_json(
    path: Path,
    results: Collection[Result],
    settings: Mapping[str, object],
    device: Mapping[str, str] | None = None,
) -> None:
    """Everything that was timed, with the machine and the versions.

    Parameters
    ----------
    path : Path
    results : collection of Result
    settings : mapping of str to object
        How it was timed.
    device : mapping of str to str, optional
        What is known of the GPU that was timed.
    """
    machine = {
        "processor": platform.machine(),
        "system": platform.system(),
        "Python": platform.python_version(),
    } | dict(device or {})
    table = {
        "settings": dict(settings),
        "machine": machine,
        "versions": {
            name: found for name in ("fastpool", "numpy", "numba", *PEERS) if (found := _version(name))
        },
        "mean_ratio": mean_ratio(results),
        "rows": [record(result) for result in results],
    }
    path.write_text(json.dumps(table, indent=1) + "\n")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def record(result: Result) -> dict[str, Any]:
    """What is kept of a result."""
    return {
        "name": result.row.name,
        "shape": result.row.shape,
        "dtype": result.row.dtype,
        "seconds": result.seconds,
        "peer": result.peer,
        "ratio": result.ratio,
        "gigabytes_per_second": result.gigabytes_per_second,
        "share_of_copy": result.share_of_copy,
    }


def draw(path: Path, results: Collection[Result], title: str) -> None:
    """A bar a workload: fastpool's speed over its fastest peer's, from the line at 1.

    Parameters
    ----------
    path : Path
        Of a format that matplotlib writes.
    results : collection of Result
        Those without a peer are left out.
    title : str
    """
    import matplotlib as mpl  # noqa: PLC0415  (an extra)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    bars = [(result.row.name, result.ratio, result.peer) for result in results if result.ratio is not None]
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.25 * len(bars)), layout="constrained")
    drawn = axes.barh([name for name, _, _ in bars], [ratio - 1 for _, ratio, _ in bars], left=1)
    axes.bar_label(drawn, [f"{ratio:.2f} x {peer}" for _, ratio, peer in bars], padding=3, fontsize=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    ratios = [ratio for _, ratio, _ in bars]
    axes.set_xlim(min([1, *ratios]) / 4, max([1, *ratios]) * 5)  # room for the labels
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlabel("speed of fastpool over the fastest other library")
    axes.set_title(title)
    figure.savefig(path, dpi=110)
    plt.close(figure)
