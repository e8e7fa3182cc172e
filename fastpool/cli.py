"""The command line, over the public functions: info, pool, pyramid, explain, demo, bench, warmup."""

import functools
import inspect
import json
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast, get_args

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from typer.models import OptionInfo

import fastpool as fp

from . import checks, files, jit, kinds, pyramid, threads, timing
from .annotations import Op
from .operators import OPERATORS

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pdf", ".svg")  # that matplotlib writes by itself

FILES, LOOK, SPEED = "Files", "Find out", "Speed"  # the groups of commands in the help

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog="Exit codes: 0 done; 1 the data, a file or the machine does not allow it; 2 wrong options.",
)
console = Console()


def _plainly(extra: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command that says in one line what is wrong with an argument or a file, or which extra it needs."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        names = [
            name
            for name, parameter in inspect.signature(command).parameters.items()
            if any(isinstance(note, OptionInfo) for note in get_args(parameter.annotation))
        ]

        @functools.wraps(command)
        def run(*args: Any, **kwargs: Any) -> None:
            try:
                command(*args, **kwargs)
            except ModuleNotFoundError as error:
                _fail(f"{error}; install what it needs with: pip install 'fastpool[{extra}]'")
            except BrokenPipeError:
                raise
            except (ValueError, TypeError, OSError, MemoryError) as error:
                _fail(_as_typed(str(error), names) or type(error).__name__)

        return run

    return decorate


NUMBERS = r"\((-?\d+(?:, -?\d+)*),?\)"  # a tuple of integers, as Python shows it


def _as_typed(message: str, names: Sequence[str]) -> str:
    """A message about arguments in the words of the command line: "--window 4,4", not "window=(4, 4)"."""
    for name in names:
        option = "--" + name.replace("_", "-")
        message = re.sub(rf"\b{name}=(?={NUMBERS}|-?\d)", f"{option} ", message)
        message = re.sub(rf"^{name}\b(?! of )", option, message)
    return re.sub(
        rf"(?<=--)([\w-]+|.*\bgot) {NUMBERS}", lambda m: f"{m[1]} {m[2].replace(', ', ',')}", message
    )


def _fail(message: str) -> NoReturn:
    line = escape(_printable(" ".join(message.split())))
    Console(stderr=True).print(f"[red]error:[/] {line}", highlight=False, soft_wrap=True)
    raise typer.Exit(1) from None


FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True}  # to a command of its own
CLONE = (
    "The benchmarks are not in the installed package. Type: git clone https://github.com/fastpool/fastpool"
    " && cd fastpool && pip install -e '.[bench]' && fastpool bench"
)
NODATA = "Leave out elements of this value: -9999, 255, nan."
MIN_COUNT = "Elements that must take part in a window; of fewer it is missing itself."


def _say(message: str) -> None:
    console.print(_printable(message), markup=False, highlight=False, soft_wrap=True)


def _printable(message: str) -> str:
    """Names of files that are not UTF-8 with escapes."""
    return message.encode("utf-8", "backslashreplace").decode()


def _version(asked: bool) -> None:
    if asked:
        _say(f"fastpool {fp.__version__}")
        raise typer.Exit


@app.callback()
def start(
    asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    """Pooling on arrays: every operator, any axes, exact rules."""


@app.command(rich_help_panel=LOOK, epilog="Example: fastpool info --json")
def info(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for scripts.")] = False,
) -> None:
    """Show versions, threads, CUDA devices and the folder that keeps compiled kernels."""
    found = {name: version(name) for name in ("fastpool", "numpy", "numba", "llvmlite")} | {
        "Python": f"{platform.python_version()} on {platform.platform()}",
        "threads": str(fp.get_num_threads()),
        "threading layer": threads.layer_in_use(),
        "CUDA devices": _cuda_devices(),
        "cache folder": jit.cache_folder() or "none can be written; kernels are compiled each time",
    }
    if as_json:
        _say(json.dumps(found, indent=1))
        return
    table = Table(show_header=False)
    for name, text in found.items():
        table.add_row(name, text)
    console.print(table)


def _cuda_devices() -> str:
    problem = kinds.cuda_problem()
    if problem:
        return f"none: {problem}".splitlines()[0]
    from numba import cuda  # noqa: PLC0415  (a GPU library, imported only when asked for)

    return ", ".join(str(getattr(device, "name", "numba's simulator")) for device in cuda.gpus)


@app.command(
    name="pool",
    rich_help_panel=FILES,
    epilog="Example: fastpool pool photo.jpg small.png --op avg --window 4",
)
@_plainly("cli")
def pool_file(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A .npy, PNG, JPEG or TIFF file.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Where the result goes; its suffix decides.")],
    op: Annotated[str, typer.Option(help=f"One of {', '.join(OPERATORS)}.")] = "max",
    window: Annotated[str, typer.Option(help="Elements: 2, or one an axis: 2,3.")] = "2",
    stride: Annotated[str | None, typer.Option(help="Distance of windows; by default the window.")] = None,
    padding: Annotated[str, typer.Option(help="Elements, one an axis, valid, same or same_lower.")] = "0",
    axes: Annotated[
        str | None,
        typer.Option(help="Pooled axes: 0,1. By default an image's rows and columns."),
    ] = None,
    params: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=NUMBER", help="Of the operator: q=0.25.")
    ] = None,
    nodata: Annotated[str | None, typer.Option(help=NODATA)] = None,
    skipna: Annotated[bool, typer.Option("--skipna", help="Leave NaNs out.")] = False,
    min_count: Annotated[int, typer.Option(help=MIN_COUNT)] = 1,
    fill: Annotated[str | None, typer.Option(help="What windows with fewer elements give.")] = None,
) -> None:
    """Pool an array or an image from a file to a file.

    Every colour is pooled by itself; mode alone takes the numbers behind an image's palette. Images are
    turned upright. OUT is written whole, or not at all.
    """
    given: dict[str, Any] = dict(_parameter(text) for text in params or ())
    given |= _missing(nodata, skipna=skipna, min_count=min_count, fill=fill)
    files.check_output("OUT", target, files.SUFFIXES, source)
    picture = files.read(source, labels=op == "mode")
    x, named = picture.array, _numbers(axes, "--axes")
    if named is None:
        named = picture.plane()
    words: Any = padding if not padding[:1].isdigit() else _numbers(padding, "--padding")
    y = fp.pool(
        x,
        cast(Op, op),
        _numbers(window, "--window"),
        stride=_numbers(stride, "--stride"),
        padding=words,
        axes=named,
        **given,
    )
    files.write(target, picture.holding(y))
    pooled = f", axes {named} of {picture.axes}" if picture.axes else ""
    _say(f"{x.shape} {x.dtype} -> {y.shape} {y.dtype}{pooled}, written to {target}")


@app.command(
    name="pyramid",
    rich_help_panel=FILES,
    epilog="Example: fastpool pyramid volume.tif volume.ome.zarr --op mean --factor 1,2,2",
)
@_plainly("pyramid")
def write_pyramid(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A .npy or TIFF file, or a Zarr folder.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The OME-Zarr folder to make: x.ome.zarr.")],
    op: Annotated[str, typer.Option(help=f"One of {', '.join(pyramid.OPERATORS)}.")] = "mean",
    levels: Annotated[
        int | None, typer.Option(help="With the first; by default until no side is longer than 256.")
    ] = None,
    factor: Annotated[str, typer.Option(help="From level to level: 2, or one an axis: 1,2,2.")] = "2",
    axes: Annotated[str | None, typer.Option(help="Of IN, letters of tczyx; by default its own.")] = None,
    chunk: Annotated[str | None, typer.Option(help="Sides of the chunks of OUT, in space.")] = None,
    scale: Annotated[str | None, typer.Option(help="Size of an element along each axis of OUT.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a pyramid of fastpool's once all is written.")
    ] = False,
    nodata: Annotated[str | None, typer.Option(help=NODATA)] = None,
    skipna: Annotated[bool, typer.Option("--skipna", help="Leave NaNs out.")] = False,
    min_count: Annotated[int, typer.Option(help=MIN_COUNT)] = 1,
) -> None:
    """Write an image or volume that need not fit memory as a multi-scale OME-Zarr 0.5 image.

    Every level is exact: cells of level 0, not of the level before. Use mode for labels. Until it is complete
    the result is called OUT.partial; a run that was cut off is started anew by the same command. Only what
    fastpool wrote is ever removed.
    """
    given = {
        "factor": _numbers(factor, "--factor"),
        "chunk": _numbers(chunk, "--chunk"),
        "scale": _floats(scale),
        "missing": _missing(nodata, skipna=skipna, min_count=min_count, fill=None),
    }
    with closing(pyramid.read(source, axes)) as image, _dask_progress():
        shapes = pyramid.write(image, target, op=op, levels=levels, overwrite=overwrite, **given)
    for number, shape in enumerate(shapes):
        _say(f"level {number}: {shape}")
    _say(f"{op} of {image.array.dtype}, axes {image.axes}, written to {target}")


@contextmanager
def _dask_progress() -> Iterator[None]:
    """A bar that counts the tasks of dask's threads, as many as fastpool has."""
    import dask  # noqa: PLC0415  (an extra)
    from dask.callbacks import Callback  # noqa: PLC0415

    with _progress() as progress, dask.config.set(scheduler="threads", num_workers=fp.get_num_threads()):
        task = progress.add_task("blocks", total=None)

        def start(graph: Any) -> None:
            progress.update(task, total=len(graph))

        def done(*_: Any) -> None:
            progress.advance(task)

        with Callback(start=start, posttask=done):
            yield


@app.command(
    rich_help_panel=LOOK,
    epilog="Examples: fastpool explain 7 --window 3 --stride 2; "
    "fastpool explain 8,64,56,56 --kernel max --window 2",
)
@_plainly("cli")
def explain(
    n: Annotated[
        str, typer.Argument(metavar="LENGTH", help="Of the axis; with --kernel a shape: 8,64,56,56.")
    ],
    window: Annotated[str, typer.Option(help="Elements a window covers.")],
    stride: Annotated[str | None, typer.Option(help="Distance of windows; by default the window.")] = None,
    padding: Annotated[
        str, typer.Option(help="Elements on both sides, before,after, valid, same or same_lower.")
    ] = "0",
    dilation: Annotated[str, typer.Option(help="Distance between the elements of a window.")] = "1",
    ceil: Annotated[bool, typer.Option("--ceil", help="Round the number of windows up.")] = False,
    kernel: Annotated[
        str | None, typer.Option(metavar="OP", help=f"Name the kernel instead: {', '.join(OPERATORS)}.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="With --kernel; by default float32.")] = None,
    axes: Annotated[str | None, typer.Option(help="With --kernel, the pooled axes: 1,2.")] = None,
    params: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=NUMBER", help="With --kernel: q=0.25.")
    ] = None,
) -> None:
    """Draw the windows along an axis, with what torch, TensorFlow, ONNX and Caffe would give.

    With --kernel, say which kernel pools an array in C order, and why, without pooling. LENGTH is then a
    shape, and numbers of the windows may be one an axis: 2,3.
    """
    around = padding if not padding[:1].isdigit() else _numbers(padding, "--padding")
    rules = {
        "stride": _numbers(stride, "--stride"),
        "padding": around,
        "dilation": _numbers(dilation, "--dilation"),
        "ceil_mode": ceil,
    }
    if kernel is not None:
        x = np.empty(_numbers(n, "LENGTH"), kinds.dtype_named(dtype or "float32"))
        given = dict(_parameter(text) for text in params or ())
        _say(
            str(
                fp.explain_call(
                    fp.pool,
                    x,
                    kernel,
                    _numbers(window, "--window"),
                    axes=_numbers(axes, "--axes"),
                    **rules,
                    **given,
                )
            )
        )
    elif dtype or axes or params:
        raise typer.BadParameter("--dtype, --axes and --param go with --kernel")
    else:
        _say(str(fp.explain(_numbers(n, "LENGTH"), _numbers(window, "--window"), **rules)))


def _numbers(text: str | None, name: str) -> Any:
    """``"2"`` as 2, ``"2,3"`` as (2, 3)."""
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"{name} must be an integer, or integers with commas between them, got {text!r}"
        ) from None
    return numbers[0] if len(numbers) == 1 else numbers


def _missing(nodata: str | None, *, skipna: bool, min_count: int, fill: str | None) -> dict[str, Any]:
    """What is said of missing data, in the words of `fastpool.pool`; nothing where it is the default."""
    found: dict[str, Any] = {"skipna": True} if skipna else {}
    found |= {"min_count": min_count} if min_count != 1 else {}
    for name, text in (("nodata", nodata), ("fill", fill)):
        if text is not None:
            found[name] = _number(f"--{name}", text)
    return found


def _floats(text: str | None) -> tuple[float, ...] | None:
    """``"1,0.5"`` as (1.0, 0.5)."""
    try:
        return None if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"expected numbers with commas between them, got {text!r}") from None


def _parameter(text: str) -> tuple[str, Any]:
    """``"q=0.25"`` as ("q", 0.25)."""
    name, _, value = text.partition("=")
    try:
        return name, _number(name, value)
    except ValueError:
        raise ValueError(f"expected NAME=NUMBER, got {text!r}") from None


def _number(name: str, text: str) -> int | float:
    """``"2"`` as 2, ``"0.5"``, ``"1e3"``, ``"nan"`` and ``"inf"`` as floats."""
    try:
        return float(text) if {".", "e", "n"} & set(text.lower()) else int(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, got {text!r}") from None


SHOWN: dict[str, dict[str, Any]] = {"quantile": {"q": 0.25}, "stochastic": {"rng": 0}}  # with parameters
LABELS = 8  # grey levels that take the place of labels


def _softmax(windows: NDArray[Any]) -> NDArray[Any]:
    weights = np.exp(windows - windows.max((-2, -1), keepdims=True))
    mean: NDArray[Any] = (weights * windows).sum((-2, -1)) / weights.sum((-2, -1))
    return mean


def _drawn(windows: NDArray[Any]) -> NDArray[Any]:
    flat = windows.reshape(*windows.shape[:-2], -1)
    total = flat.cumsum(-1)
    chosen = (total < np.random.default_rng(0).random(total.shape[:-1])[..., None] * total[..., -1:]).sum(-1)
    drawn: NDArray[Any] = np.take_along_axis(flat, chosen[..., None], -1)[..., 0]
    return drawn


NUMPY: dict[Op, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "max": lambda windows: windows.max((-2, -1)),
    "min": lambda windows: windows.min((-2, -1)),
    "avg": lambda windows: windows.mean((-2, -1)),
    "sum": lambda windows: windows.sum((-2, -1)),
    "lp": lambda windows: np.sqrt((windows * windows).sum((-2, -1))),
    "gem": lambda windows: np.cbrt((np.maximum(windows, 1e-6) ** 3).mean((-2, -1))),
    "lse": lambda windows: np.log(np.exp(windows).mean((-2, -1))),
    "soft": _softmax,
    "mixed": lambda windows: 0.5 * windows.max((-2, -1)) + 0.5 * windows.mean((-2, -1)),
    "stochastic": _drawn,
    "median": lambda windows: np.median(windows, (-2, -1)),
    "quantile": lambda windows: np.quantile(windows, 0.25, (-2, -1)),
    "mode": lambda windows: np.argmax(
        [(windows == level).sum((-2, -1)) for level in range(LABELS)], 0
    ).astype(np.uint8),
    "var": lambda windows: windows.var((-2, -1), np.float64),
    "std": lambda windows: windows.std((-2, -1), np.float64),
    "nearest": lambda windows: windows[..., 0, 0],
}


@app.command(rich_help_panel=LOOK, epilog="Example: fastpool demo --image photo.jpg --output pooled.png")
@_plainly("cli")
def demo(
    image: Annotated[Path | None, typer.Option(help="A photograph; by default scikit-image's.")] = None,
    output: Annotated[Path, typer.Option(help="The picture of the results.")] = Path("fastpool-demo.png"),
    window: Annotated[int, typer.Option(help="Side of the square windows.", min=1)] = 8,
    repeat: Annotated[int, typer.Option(help="Timed calls an operator; the best counts.", min=1)] = 7,
) -> None:
    """Pool a photograph with every operator: a table of speeds, and one picture of the results."""
    _check_picture("--output", output, image)
    x = _photograph(image)
    table = Table(title=f"{x.shape} {x.dtype}, window {window}x{window}, {fp.get_num_threads()} threads")
    for heading in ("operator", "output shape", "ms", "GB/s", "times faster than NumPy"):
        table.add_column(heading, justify="left" if heading == "operator" else "right")
    results: dict[str, NDArray[Any]] = {}
    with _progress() as progress:
        task = progress.add_task("", total=len(NUMPY))
        for op in NUMPY:
            progress.update(task, description=f"{op}: compiling, then timing")
            image_or_labels = (x * (LABELS - 1)).round().astype(np.uint8) if op == "mode" else x
            y, seconds, other = _race(op, image_or_labels, window, repeat)
            results[op] = y / np.float32(LABELS - 1) if op == "mode" else y
            speed = (image_or_labels.nbytes + y.nbytes) / seconds / 1e9
            row = (op, str(y.shape), f"{seconds * 1e3:.2f}", f"{speed:.1f}", f"{other / seconds:.1f}")
            table.add_row(*row)
            progress.advance(task)
    console.print(table)
    _draw(x, results, output)
    _say(f"picture written to {output}")


def _check_picture(name: str, path: Path, *inputs: Path | None) -> None:
    """Refuse, before the work, a picture that could not be written after it."""
    import matplotlib as mpl  # noqa: F401, PLC0415  (an extra)

    files.check_output(name, path, PICTURES, *inputs)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=console, transient=True)


def _photograph(path: Path | None) -> NDArray[np.float32]:
    """Rows, columns and colours between 0 and 1."""
    if path is None:
        from skimage import data  # noqa: PLC0415  (an extra)

        photograph: NDArray[Any] = data.astronaut()
    else:
        photograph = files.read(path).array
    if photograph.dtype != np.uint8 or (photograph.ndim, *photograph.shape[2:]) not in {(2,), (3, 3), (3, 4)}:
        raise typer.BadParameter(f"expected an 8-bit image, got {photograph.shape} of {photograph.dtype}")
    floats: NDArray[np.float32] = photograph.astype(np.float32)
    return floats / np.float32(255)


def _race(op: Op, x: NDArray[Any], window: int, repeat: int) -> tuple[NDArray[Any], float, float]:
    """The pooled image, and the best seconds of fastpool and of NumPy on the same windows."""
    view = np.lib.stride_tricks.sliding_window_view(x, (window, window), (0, 1))[::window, ::window]

    def ours() -> NDArray[Any]:
        y: NDArray[Any] = fp.pool(x, op, window, axes=(0, 1), **SHOWN.get(op, {}))
        return y

    y = ours()
    if op != "stochastic":
        np.testing.assert_allclose(y, NUMPY[op](view), rtol=1e-3, atol=1e-6)
    best = timing.measure({"fastpool": ours, "numpy": lambda: NUMPY[op](view)}, repeat)
    return y, best["fastpool"], best["numpy"]


def _draw(x: NDArray[Any], results: dict[str, NDArray[Any]], output: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415  (an extra)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    pictures = {"photograph": x, **results}
    rows, columns = (len(pictures) + 4) // 5, min(5, len(pictures))
    figure, panels = plt.subplots(rows, columns, figsize=(11, 2.4 * rows), layout="constrained")
    for panel, (name, picture) in zip(panels.flat, pictures.items(), strict=False):
        shown = picture / max(float(picture.max()), 1.0)  # sums and norms exceed 1
        panel.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        panel.set_title(f"{name}, {picture.shape[0]} x {picture.shape[1]}", fontsize=10)
    for panel in panels.flat:
        panel.axis("off")
    figure.savefig(output, dpi=110)
    plt.close(figure)


@app.command(name="bench", rich_help_panel=SPEED, add_help_option=False, context_settings=FORWARDED)
@_plainly("bench")
def run_bench(context: typer.Context) -> None:
    """Time fastpool beside other libraries; in a clone of the repository, which has the benchmarks."""
    try:
        command = import_module("asv_bench.rivals.command")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("asv_bench"):
            raise
        raise FileNotFoundError(CLONE) from None
    command.app(context.args, prog_name=context.command_path)


@dataclass(frozen=True)
class Work:
    """What `warmup` compiles: calls whose shapes and arguments together reach the kernels of some work.

    Attributes
    ----------
    ops, dtypes : tuple of str
    calls : tuple
        A function that takes an array and an operator, the shape of the array, and further arguments.
    trains : bool
        Indices and gradients too.
    """

    ops: tuple[str, ...]
    dtypes: tuple[str, ...]
    calls: tuple[tuple[Callable[..., Any], tuple[int, ...], dict[str, Any]], ...]
    trains: bool = False


LAYERS = (
    (fp.pool, (1, 1, 8, 8), {"window": 3, "stride": 2, "padding": 1}),
    (fp.pool, (1, 1, 192, 192), {"window": 3, "stride": 2, "padding": 1}),
    (fp.pool, (1, 1, 192, 192), {"window": 3, "stride": 1, "padding": 1}),
    (fp.pool, (1, 1, 192, 192), {"window": 2}),
    (fp.pool, (1, 96, 96, 16), {"window": 2, "axes": (1, 2)}),
    (fp.pool, (512, 1, 7, 7), {"window": 7}),
)
SIDES = {"axes": (0, 1)}
PICTURES_POOLED = tuple(
    (fp.pool, (*sides, *colours), {"window": window, **SIDES})
    for sides in ((16, 16), (192, 192))
    for colours in ((), (3,))
    for window in (2, 3, 4, 8)
)
VOLUMES_POOLED = tuple(
    (fp.pool, shape, {"window": window, "axes": tuple(range(len(window)))})
    for shape, windows in (
        ((192, 192), ((2, 2), (4, 4))),
        ((16, 96, 96), ((2, 2, 2), (1, 2, 2), (4, 4, 4))),
    )
    for window in windows
)
EVERYTHING = Work(tuple(OPERATORS), ("float32", "uint8"), LAYERS, trains=True)
PROFILES = {
    "images": Work(("avg", "max", "min", "median"), ("uint8", "uint16", "float32"), PICTURES_POOLED),
    "networks": Work(
        ("max", "avg"),
        ("float32",),
        (
            *LAYERS,
            (fp.pool, (1, 8, 28, 28), {"window": 3, "stride": 1, "padding": 1}),
            (fp.pool, (1, 1, 192, 192), {"window": 3, "stride": 2}),
            (fp.pool, (1, 28, 28, 8), {"window": 3, "stride": 2, "axes": (1, 2)}),
            (fp.global_pool, (2, 64, 7, 7), {}),
            (fp.global_pool, (2, 7, 7, 64), {"axes": (1, 2)}),
            (fp.adaptive_pool, (1, 8, 14, 14), {"output_size": 6}),
        ),
        trains=True,
    ),
    "labels": Work(("mode", "max"), ("uint8", "uint16", "uint32"), VOLUMES_POOLED),
}


@app.command(rich_help_panel=SPEED, epilog="Example: fastpool warmup --profile networks")
def warmup(
    profile: Annotated[
        str | None,
        typer.Option(help=f"What such work needs: {', '.join(PROFILES)}; by default the layers of networks."),
    ] = None,
    ops: Annotated[
        list[str] | None,
        typer.Option("--op", help=f"One of {', '.join(OPERATORS)}; by default the profile's, or all."),
    ] = None,
    dtypes: Annotated[
        list[str] | None,
        typer.Option("--dtype", help="By default the profile's, or float32 and uint8 where taken."),
    ] = None,
) -> None:
    """Compile kernels now, into the cache folder, so that no first call has to.

    For each operator and dtype, small and large inputs; indices, and for floats the gradient, unless the
    profile is images or labels. Exit code 1 where compiled kernels cannot be kept.
    """
    if profile is not None and profile not in PROFILES:
        raise typer.BadParameter(f"one of {', '.join(PROFILES)}, not {profile!r}", param_hint="--profile")
    if not jit.cache_folder():
        _not_kept("no cache folder can be written")
    work = PROFILES[profile] if profile else EVERYTHING
    kernels = [(op, dtype) for op in ops or work.ops for dtype in dtypes or work.dtypes]
    with _progress() as progress:
        task = progress.add_task("", total=len(kernels))
        for op, dtype in kernels:
            progress.update(task, description=f"{op} {dtype}")
            try:
                _compile(cast(Op, op), np.dtype(dtype), work)
            except (TypeError, ValueError) as error:
                if ops or dtypes:
                    raise typer.BadParameter(str(error)) from None
            progress.advance(task)
    if jit.Unkept.problem:
        _not_kept(jit.Unkept.problem)
    console.print(f"compiled kernels are in {jit.cache_folder()}")


def _not_kept(problem: str) -> NoReturn:
    console.print(f"compiled kernels cannot be kept: {problem}; set NUMBA_CACHE_DIR to a folder that can")
    raise typer.Exit(1)


def _compile(op: Op, dtype: np.dtype[Any], work: Work) -> None:
    row = checks.operator(op)
    for form, shape, given in work.calls:
        options = {**given, **SHOWN.get(op, {})}
        x = np.ones(shape, dtype)
        if work.trains and dtype.kind == "f" and row.backward != "none":
            y, pull = fp.vjp(functools.partial(form, op=op, **options), x)
            pull(y)
        form(x, op, **options)
        if work.trains and row.backward == "chosen" and form is fp.pool:
            form(x, op, return_indices=True, **options)
