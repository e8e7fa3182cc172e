"""The command ``fastpool bench``: tables of speeds, as text, JSON and a chart."""

from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

import fastpool as fp
from fastpool import checks, cli, files, kinds

from . import alone as processes
from . import geometries, gpu, speeds

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.command(epilog="Example: fastpool bench --only resnet --threads 1,2")
@cli._plainly("bench")
def run_bench(
    only: Annotated[
        str, typer.Option(metavar="SUBSTRING", help="Time the workloads with this in their name.")
    ] = "",
    threads: Annotated[
        str | None,
        typer.Option(help="Of every library: 2, or several numbers: 1,2. By default fastpool's own."),
    ] = None,
    repeat: Annotated[int, typer.Option(help="Timed calls an engine; the best counts.", min=1)] = 15,
    idle: Annotated[float, typer.Option(metavar="SECONDS", help="Sleep before each timed call.", min=0)] = 0,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all times here.")] = None,
    chart: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the ratios here.")] = None,
    small: Annotated[
        bool, typer.Option("--small", help="A small part of each workload: seconds, not minutes.")
    ] = False,
    alone: Annotated[
        bool, typer.Option("--alone", help="Each library alone in a process of its own.")
    ] = False,
    random: Annotated[
        int | None,
        typer.Option(metavar="N", help="N random geometries, beside torch and onnxruntime.", min=1),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of --random; by default 0.", min=0)] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Time fastpool beside the other libraries that are installed, on the poolings of networks and images.

    torch, onnxruntime (with onnx), openvino (with onnx), OpenCV, scipy and tinybrain take part where they are
    installed and have the workload. A ratio is fastpool's speed over the fastest other library's on the same
    layout (in training on any layout); "of copy" compares the bytes moved a second with a copy of the input.
    With several numbers of threads a second table shows what more of them gain, and what a copy gains; with
    --alone no other library's threads are there to spoil it. On a GPU (--device cuda) torch, its compiler and
    cuDNN take part, and --threads and --idle do not matter.
    """
    counts = _thread_counts(threads)
    _check_device(device, {"--alone": alone, "--random": random})
    if seed is not None and random is None:
        raise typer.BadParameter("goes with --random", param_hint="--seed")
    if json:
        files.check_output("--json", json)
    if chart:
        cli._check_picture("--chart", chart)
    if device == "cuda":
        _bench_cuda(only, repeat, json, chart, small=small)
        return
    rows = _workloads(only, random, seed or 0, small=small)
    names = geometries.ENGINES if random else tuple(speeds.ENGINES)
    results = _timed(rows, names, counts, repeat, idle, alone=alone)
    settings: dict[str, object] = {
        "threads": counts if len(counts) > 1 else counts[0],
        "repeat": repeat,
        "idle": idle,
        "small": small,
        **({"alone": True} if alone else {}),
        **({"random": random, "seed": seed or 0} if random else {}),
    }
    _show(results, settings)
    if random:
        _show_worst(results)
    if json:
        speeds.write_json(json, results, settings)
    if chart:
        speeds.draw(chart, results, f"threads: {settings['threads']}")


def _thread_counts(text: str | None) -> tuple[int, ...]:
    """Checked numbers, each once."""
    try:
        numbers = fp.get_num_threads() if text is None else cli._numbers(text, "--threads")
        counts = dict.fromkeys(numbers if isinstance(numbers, tuple) else (numbers,))
        return tuple(checks.integer("a number of threads", count, minimum=1) for count in counts)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--threads") from None


def _check_device(device: str, options: dict[str, object]) -> None:
    if device not in ("cpu", "cuda"):
        raise typer.BadParameter(f"cpu or cuda, not {device!r}", param_hint="--device")
    for name, given in options.items():
        if given and device == "cuda":
            raise typer.BadParameter("is for --device cpu", param_hint=name)


def _workloads(only: str, random: int | None, seed: int, *, small: bool) -> list[speeds.Row]:
    found = geometries.rows(random, seed, small=small) if random else speeds.rows(small=small)
    rows = [row for row in found if only in row.name]
    if not rows:
        raise typer.BadParameter(f"no workload has {only!r} in its name", param_hint="--only")
    return rows


def _bench_cuda(only: str, repeat: int, json: Path | None, chart: Path | None, *, small: bool) -> None:
    problem = kinds.cuda_problem()
    if problem:
        cli.console.print(f"nothing to time: {problem}")
        raise typer.Exit(1)
    rows, machine = list(gpu.workloads(only, small=small)), gpu.machine()
    results = _races(rows, lambda row: [gpu.race(row, repeat)])
    cli.console.print(_speeds(results, ", ".join(f"{name} {value}" for name, value in machine.items())))
    costs = gpu.launch_cost("cuda")
    shown = ", ".join(f"{name} {cost * 1e6:.1f} us" for name, cost in costs.items())
    cli.console.print(f"geometric mean of the ratios: {speeds.mean_ratio(results)}; a tiny call: {shown}")
    if json:
        settings = {"repeat": repeat, "small": small, "tiny_call_seconds": costs}
        speeds.write_json(json, results, settings, machine)
    if chart:
        speeds.draw(chart, results, machine["device"])


def _races(rows: list[speeds.Row], race: Callable[[speeds.Row], list[speeds.Result]]) -> list[speeds.Result]:
    results = []
    with cli._progress() as progress:
        task = progress.add_task("", total=len(rows))
        for row in rows:
            progress.update(task, description=escape(row.name))
            results += race(row)
            progress.advance(task)
    return results


def _timed(
    rows: list[speeds.Row],
    names: tuple[str, ...],
    counts: tuple[int, ...],
    repeat: int,
    idle: float,
    *,
    alone: bool,
) -> list[speeds.Result]:
    """Each workload with each number of threads, in this process or in one for each library."""
    if not alone:
        return _races(rows, lambda row: speeds.races(row, repeat, idle, names, counts))
    with processes.crew(rows, names, counts) as crew:
        return _races(rows, lambda row: crew.race(row, repeat, idle))


def _show(results: list[speeds.Result], settings: dict[str, object]) -> None:
    """A table and a mean for each number of threads, and what more of them gain."""
    for count in dict.fromkeys(result.threads for result in results):
        of_count = [result for result in results if result.threads == count]
        title = ", ".join(f"{name} {value}" for name, value in (settings | {"threads": count}).items())
        cli.console.print(_speeds(of_count, title))
        mean = speeds.mean_ratio(of_count)
        cli.console.print(
            f"geometric mean of the ratios: {mean:.2f}" if mean else "no other library takes part"
        )
    if settings["small"]:
        cli.console.print("--small shows that everything runs. Its inputs are too small to compare speeds.")
    gains = speeds.gains(results)
    if gains:
        cli.console.print(_gains(gains))
        _show_least("of all workloads", gains)
        _show_least(f"above {speeds.LARGE / 1e6:.0f} MB", [gain for gain in gains if gain.large])


def _show_worst(results: list[speeds.Result]) -> None:
    """The workloads that are slowest beside their peers."""
    for result in speeds.worst(results):
        cli._say(f"among the worst: {result.ratio:.2f}, {result.row.name}, threads: {result.threads}")


def _show_least(which: str, gains: list[speeds.Gain]) -> None:
    for word, figure in (("gain", attrgetter("own")), ("share of a copy's gain", attrgetter("share"))):
        if gains:
            least = min(gains, key=figure)
            cli._say(
                f"least {word} {which}: {figure(least):.2f}, {least.row.name}, threads: {least.threads[1]}"
            )


def _gains(gains: list[speeds.Gain]) -> Table:
    """A line a workload and number of threads."""
    table = Table(title="how many times as fast more threads are")
    for heading in ("workload", "MB", "threads", "fastpool", "copy", "of copy's"):
        table.add_column(heading, justify="left" if heading == "workload" else "right")
    for gain in gains:
        fewer, more = gain.threads
        speeds = (f"{number:.2f}" for number in (gain.own, gain.copy, gain.share))
        table.add_row(gain.row.name, f"{gain.row.input_bytes / 1e6:.1f}", f"{more} over {fewer}", *speeds)
    return table


def _speeds(results: list[speeds.Result], title: str) -> Table:
    """A line a workload."""
    table = Table(title=title)
    for heading in ("workload", "ms", "fastest peer", "its ms", "ratio", "GB/s", "of copy"):
        table.add_column(heading, justify="left" if heading in {"workload", "fastest peer"} else "right")
    for result in results:
        table.add_row(
            result.row.name,
            f"{result.seconds['fastpool'] * 1e3:.3f}",
            result.peer or "none",
            f"{result.seconds[result.peer] * 1e3:.3f}" if result.peer else "",
            f"{result.ratio:.2f}" if result.ratio else "",
            f"{result.gigabytes_per_second:.1f}",
            f"{result.share_of_copy:.2f}",
        )
    return table
