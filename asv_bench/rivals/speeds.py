"""Speeds beside other libraries: networks' and images' poolings, timed in one process, interleaved.

Each engine says which rows of the table its library has, and makes of a row and its input the library's
fastest call. Libraries are optional, and imported by name where they are used. `alone` runs the same
engines in processes of their own, `geometries` gives them other rows.
"""

import json
import math
import platform
import statistics
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

import fastpool as fp
from fastpool import threads
from fastpool.annotations import Op
from fastpool.arrays import Array
from fastpool.timing import Call, measure

Sizes = tuple[int, ...]

LARGE = 10_000_000  # bytes of input, which most caches do not hold
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
    op: Op
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
    >>> from asv_bench.rivals import speeds
    >>> [row.name for row in speeds.rows("vgg")]
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
        words: dict[Op, str] = {"max": "max", "avg": "mean"}
        for op, word in words.items():
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
    >>> from asv_bench.rivals import speeds
    >>> speeds.filled((2, 3), "uint8").shape
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
        _, pull = fp.vjp(lambda own: fp.pool(own, row.op, row.window, **geometry), x)
        gradient: Array = pull(gy)
        return gradient

    return train


def _in_torch(row: Row) -> bool:
    """Channels first: floats, and maxima of bytes along two axes and three."""
    bytes_too = row.op == "max" and len(row.window) > 1
    return not (row.image or row.last) and (_float(row) or (row.dtype == "uint8" and bytes_too))


def _torch(row: Row, x: Array) -> Call:
    torch = import_module("torch")
    return _torch_call(row, torch.from_numpy(x), torch.contiguous_format)


def _in_torch_last(row: Row) -> bool:
    return (row.last or row.train) and _float(row)


def _torch_last(row: Row, x: Array) -> Call:
    torch = import_module("torch")
    plane = _plane(row)
    tensor = torch.from_numpy(x).reshape(plane.shape)
    layout = torch.channels_last if len(plane.window) == 2 else torch.channels_last_3d
    return _torch_call(plane, tensor.movedim(-1, 1) if row.last else tensor, layout)


def _plane(row: Row) -> Row:
    """One axis before the channels as two, the second of length 1: torch has a layout for two and three."""
    if not row.last or len(row.window) > 1:
        return row
    *front, channels = row.shape
    window, stride, padding = (*row.window, 1), (*row.stride, 1), (*row.padding, 0)
    return replace(row, shape=(*front, 1, channels), window=window, stride=stride, padding=padding)


def _float(row: Row) -> bool:
    return row.dtype in {"float32", "float64"}


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


def _in_onnxruntime(row: Row) -> bool:
    """Means of float32 alone, maxima of others too."""
    wide = row.op == "max" and row.dtype in {"float64", "uint8"}
    return not (row.image or row.last or row.train) and (row.dtype == "float32" or wide)


def _in_openvino(row: Row) -> bool:
    return row.dtype == "float32" and _in_onnxruntime(row)


def _onnx_model(row: Row) -> bytes:
    """A network of the one pooling."""
    onnx = import_module("onnx")
    options: dict[str, Any] = {"kernel_shape": row.window, "strides": row.stride, "pads": row.padding * 2}
    if row.op == "avg":
        options["count_include_pad"] = 1
    node = onnx.helper.make_node({"max": "MaxPool", "avg": "AveragePool"}[row.op], ["x"], ["y"], **options)
    ends = zip("xy", (row.shape, row.output), strict=True)
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(row.dtype))
    x, y = (onnx.helper.make_tensor_value_info(name, kind, shape) for name, shape in ends)
    graph = onnx.helper.make_graph([node], "pooling", [x], [y])
    opset = onnx.helper.make_opsetid("", 17)
    model: bytes = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()
    return model


def _onnxruntime(row: Row, x: Array) -> Call:
    model = _onnx_model(row)
    ort = import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = fp.get_num_threads()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    y = np.empty(row.output, row.dtype)
    binding = session.io_binding()
    for bind, name, array in ((binding.bind_input, "x", x), (binding.bind_output, "y", y)):
        bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    return partial(_bound, partial(session.run_with_iobinding, binding), x, y)


def _openvino(row: Row, x: Array) -> Call:
    model = _onnx_model(row)
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


def _cells(row: Row) -> bool:
    """Means of cells of an image that lie side by side."""
    return row.image and row.op == "avg" and row.stride == row.window


def _in_opencv(row: Row) -> bool:
    return _cells(row) or _filter(row)


def _opencv(row: Row, x: Array) -> Call:
    cv2 = import_module("cv2")
    cv2.setNumThreads(fp.get_num_threads())
    y = np.empty(row.output, row.dtype)
    if _cells(row):
        return partial(cv2.resize, x, y.shape[::-1], dst=y, interpolation=cv2.INTER_AREA)
    if row.op == "max":
        return partial(cv2.dilate, x, np.ones(row.window, np.uint8), dst=y)
    return partial(cv2.blur, x, row.window[::-1], dst=y, borderType=cv2.BORDER_CONSTANT)


def _scipy(row: Row, x: Array) -> Call:
    ndimage = import_module("scipy.ndimage")
    y = np.empty(row.output, row.dtype)
    run, border = (ndimage.maximum_filter, -np.inf) if row.op == "max" else (ndimage.uniform_filter, 0)
    return partial(_bound, partial(run, x, row.window, output=y, mode="constant", cval=border), x, y)


def _filter(row: Row) -> bool:
    """Gives an image of the same size, a centred window for each element."""
    return row.image and row.output == row.shape


def _in_tinybrain(row: Row) -> bool:
    return _cells(row) and row.dtype == "uint8" and row.window == (2, 2)


def _tinybrain(row: Row, x: Array) -> Call:
    tinybrain = import_module("tinybrain")
    volume = np.asfortranarray(x)[..., None, None]  # the layout that its compiled path takes
    return lambda: tinybrain.downsample_with_averaging(volume, (2, 2, 1))[0][..., 0, 0]


def _copy(_: Row, x: Array) -> Call:
    """As many threads as fastpool has share it."""
    source, target = x.reshape(-1), np.empty(x.size, x.dtype)

    def part(first: int, last: int) -> None:
        np.copyto(target[first:last], source[first:last])

    def run() -> None:
        threads.run(part, (), x.size, x.size)

    return run


def _always(_: Row) -> bool:
    return True


@dataclass(frozen=True)
class Engine:
    """A library, or a copy of the input.

    Attributes
    ----------
    has : callable
        Whether it has the pooling of a row.
    call : callable
        Its fastest call of a row that it has, on an input.
    needs : tuple of str
        Modules that must be there.
    """

    has: Callable[[Row], bool]
    call: Callable[[Row, Array], Call]
    needs: tuple[str, ...] = ()

    def serves(self, rows: Iterable[Row]) -> bool:
        """It is installed, by what can be found without an import, and has one of the rows."""
        return all(_found(name) for name in self.needs) and any(self.has(row) for row in rows)


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False


ENGINES = {
    "fastpool": Engine(_always, _fastpool),
    "torch": Engine(_in_torch, _torch, ("torch",)),
    "torch channels-last": Engine(_in_torch_last, _torch_last, ("torch",)),
    "onnxruntime": Engine(_in_onnxruntime, _onnxruntime, ("onnx", "onnxruntime")),
    "openvino": Engine(_in_openvino, _openvino, ("onnx", "openvino")),
    "opencv": Engine(_in_opencv, _opencv, ("cv2",)),
    "scipy": Engine(_filter, _scipy, ("scipy.ndimage",)),
    "tinybrain": Engine(_in_tinybrain, _tinybrain, ("tinybrain",)),
    "copy": Engine(_always, _copy),
}


def engines(row: Row, names: Iterable[str] = ENGINES) -> dict[str, Call]:
    """Calls of a workload on one input, of each engine that is installed and has it.

    Parameters
    ----------
    row : Row
    names : iterable of str
        The engines, of `ENGINES`.

    Returns
    -------
    dict of str to callable
        All use as many threads as fastpool does now, those of scipy and tinybrain excepted, which have one.

    Examples
    --------
    >>> from asv_bench.rivals import speeds
    >>> list(speeds.engines(next(speeds.rows(small=True)), ["fastpool", "scipy", "copy"]))
    ['fastpool', 'copy']
    """
    x = filled(row.shape, row.dtype)
    calls = {}
    for name in names:
        if ENGINES[name].has(row):
            try:
                calls[name] = ENGINES[name].call(row, x)
            except ImportError:
                continue
    return calls


# Timing --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """Best seconds of each engine, and of a copy of the input, on one workload; of so many threads."""

    row: Row
    seconds: dict[str, float]
    threads: int | None = None

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


def race(row: Row, repeat: int, idle: float = 0.0, names: Iterable[str] = ENGINES) -> Result:
    """Time a workload by every library that has it, once their results agree.

    Parameters
    ----------
    row : Row
    repeat, idle
        As in `fastpool.timing.measure`.
    names : iterable of str
        The engines, of `ENGINES`.

    Returns
    -------
    Result

    Raises
    ------
    AssertionError
        Where a library's result is not fastpool's.
    """
    calls = engines(row, names)
    expected = outcome(row, "fastpool", calls["fastpool"])
    for name, call in calls.items():
        if name != "fastpool":
            agree(row, name, outcome(row, name, call), expected)
    return Result(row, measure(calls, repeat, idle), fp.get_num_threads())


def races(row: Row, repeat: int, idle: float, names: Iterable[str], counts: Iterable[int]) -> list[Result]:
    """Time a workload as `race` does, with each number of threads.

    Parameters
    ----------
    row, repeat, idle, names
        As in `race`.
    counts : iterable of int
        Numbers of threads of every library.

    Returns
    -------
    list of Result
        One for each number.
    """
    results = []
    for count in counts:
        with _using(count):
            results.append(race(row, repeat, idle, names))
    return results


@contextmanager
def _using(count: int) -> Iterator[None]:
    before = fp.get_num_threads()
    fp.set_num_threads(count)
    try:
        yield
    finally:
        fp.set_num_threads(before)


def outcome(row: Row, name: str, call: Call) -> Array | None:
    """What an engine's call gives, its axes in the order of the row's; None of a copy.

    Parameters
    ----------
    row : Row
    name : str
        The engine.
    call : callable
    """
    found = call()
    if found is None:
        return None
    array = np.asarray(found)
    # torch keeps its axes' order in every layout
    return np.moveaxis(array, 1, -1) if row.last and name != "fastpool" else array


def agree(row: Row, name: str, found: Array | None, expected: Array | None) -> None:
    """Compare a library's result with fastpool's; libraries round means of integers either way.

    Parameters
    ----------
    row : Row
    name : str
        The library.
    found, expected : ndarray or None
        The library's, and fastpool's. Where a library has no result, as a copy, there is nothing to compare.

    Raises
    ------
    AssertionError
        Where they differ.
    """
    if found is not None and expected is not None:
        atol = 1e-5 if _float(row) else 1
        np.testing.assert_allclose(
            found.reshape(expected.shape), expected, 1e-4, atol, err_msg=f"{name} on {row.name}"
        )


# Reports -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gain:
    """How many times as fast a workload is with more threads than with the fewest, and a copy of its input.

    Attributes
    ----------
    row : Row
    threads : tuple of int
        The fewest, and those compared with them.
    own, copy : float
        Of fastpool, and of the copy.
    """

    row: Row
    threads: tuple[int, int]
    own: float
    copy: float

    @property
    def large(self) -> bool:
        """The input is above `LARGE` bytes."""
        return self.row.input_bytes > LARGE

    @property
    def share(self) -> float:
        """The part of a copy's gain that fastpool has."""
        return self.own / self.copy


def gains(results: Iterable[Result]) -> list[Gain]:
    """What more threads gain on each workload that was timed with several numbers of them.

    Parameters
    ----------
    results : iterable of Result

    Returns
    -------
    list of Gain

    Examples
    --------
    >>> from asv_bench.rivals import speeds
    >>> row = next(speeds.rows())
    >>> times = {1: {"fastpool": 4.0, "copy": 6.0}, 2: {"fastpool": 2.0, "copy": 4.0}}
    >>> [gain] = speeds.gains(speeds.Result(row, seconds, count) for count, seconds in times.items())
    >>> gain.threads, gain.own, gain.copy
    ((1, 2), 2.0, 1.5)
    """
    runs: dict[Row, list[Result]] = {}
    for result in results:
        runs.setdefault(result.row, []).append(result)
    each = [sorted(run, key=_threads) for run in runs.values()]
    return [_gain(fewest, other) for fewest, *others in each for other in others]


def _threads(result: Result) -> int:
    return result.threads or 0


def _gain(fewer: Result, more: Result) -> Gain:
    own, copy = (fewer.seconds[name] / more.seconds[name] for name in ("fastpool", "copy"))
    return Gain(fewer.row, (_threads(fewer), _threads(more)), own, copy)


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
    >>> from asv_bench.rivals import speeds
    >>> row = next(speeds.rows())
    >>> times = ({"fastpool": 1.0, "torch": 2.0, "copy": 1.0}, {"fastpool": 1.0, "torch": 8.0, "copy": 1.0})
    >>> speeds.mean_ratio(speeds.Result(row, seconds) for seconds in times)
    4.0
    """
    ratios = [result.ratio for result in results if result.ratio is not None]
    return statistics.geometric_mean(ratios) if ratios else None


def worst(results: Iterable[Result], number: int = 5) -> list[Result]:
    """Those with the smallest ratios, the worst first.

    Parameters
    ----------
    results : iterable of Result
    number : int

    Returns
    -------
    list of Result

    Examples
    --------
    >>> from asv_bench.rivals import speeds
    >>> row = next(speeds.rows())
    >>> results = [speeds.Result(row, {"fastpool": 1.0, "torch": torch}) for torch in (2.0, 0.5, 1.0)]
    >>> [result.ratio for result in speeds.worst(results, 2)]
    [0.5, 1.0]
    """
    ranked = [(result.ratio, result) for result in results if result.ratio is not None]
    return [result for _, result in sorted(ranked, key=itemgetter(0))[:number]]


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
        "gains": [
            {"name": gain.row.name, "threads": gain.threads, "fastpool": gain.own, "copy": gain.copy}
            for gain in gains(results)
        ],
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
        **asdict(result.row),
        "threads": result.threads,
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

    several = len({result.threads for result in results}) > 1
    bars = [
        (
            f"{result.row.name}, threads: {result.threads}" if several else result.row.name,
            result.ratio,
            result.peer,
        )
        for result in results
        if result.ratio is not None
    ]
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
