"""The benchmarks run: each class and method on its smallest parameters, so that none of them rots.

And `fastpool bench` with each library alone, and on random geometries; `test_cli` runs its table.
"""

import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import fastpool as fp
from asv_bench.rivals import alone, geometries, speeds
from fastpool.cli import app

FOLDER = Path(__file__).parents[1] / "asv_bench" / "benchmarks"
PREFIXES = ("time_", "track_", "timeraw_", "peakmem_")
ELSEWHERE = {"Cuda", "Tinybrain", "Instructions"}  # need what a machine may lack


def load(name):
    """A module of the benchmark package, which is not installed."""
    package = "fastpool_benchmarks"
    if package not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            package, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
        )
        sys.modules[package] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{package}.{name}")


def benchmarks():
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        for name, kind in vars(load(path.stem)).items():
            if isinstance(kind, type):
                for method in vars(kind):
                    if method.startswith(PREFIXES):
                        yield pytest.param(kind, method, id=f"{path.stem}.{name}.{method}")


def smallest(kind):
    """The first parameters that the benchmark does not skip; shapes and sizes ascend."""
    for parameters in itertools.product(*getattr(kind, "params", ())):
        bench = kind()
        try:
            bench.setup(*parameters)
        except NotImplementedError:
            continue
        return bench, parameters
    if kind.__name__ in ELSEWHERE:
        pytest.skip("this machine lacks what the benchmark needs")
    raise AssertionError(f"{kind.__name__} skips all its parameters")


@pytest.fixture(autouse=True)
def _threads():
    before = fp.get_num_threads()
    fp.set_num_threads(before + 3)
    yield
    fp.set_num_threads(before)


@pytest.fixture
def prepared(request):
    """A benchmark with its smallest parameters."""
    return smallest(request.param)


# Counting instructions takes a minute: `test_counts_are_equal_and_rise` does it.
RUN = [each for each in benchmarks() if each.values[0].__name__ != "Instructions"]


@pytest.mark.parametrize(("prepared", "method"), RUN, indirect=["prepared"])
def test_benchmark_runs(prepared, method):
    bench, parameters = prepared
    named = dict(zip(getattr(bench, "param_names", ()), parameters, strict=True))
    assert fp.get_num_threads() == named.get("threads", 1)
    bench.setup(*parameters)  # asv does before each sample
    found = getattr(bench, method)(*parameters)
    if method.startswith("track_"):
        assert found > 0


@pytest.mark.parametrize(("kind", "method"), list(benchmarks()))
def test_says_what_it_guards(kind, method):
    assert kind.__doc__
    if method.startswith("track_"):
        assert getattr(kind, method).unit


# What gets worse -------------------------------------------------------------------------------------------


def thrice(bench, monkeypatch):
    """The pooling does its work three times."""
    call = bench.calls["pool"]
    monkeypatch.setitem(bench.calls, "pool", lambda: [call() for _ in range(3)])


def sleepy(bench, monkeypatch):
    """The first call waits, three times as long as it takes: compile times vary on a busy machine."""
    module = sys.modules[type(bench).__module__]
    planted = "\ntime.sleep(1 + 3 * (time.perf_counter() - begin))\nprint("
    monkeypatch.setattr(module, "FIRST_CALL", module.FIRST_CALL.replace("\nprint(", planted))


def fatter(bench, monkeypatch, tmp_path):
    """The package has one more file."""
    folder = tmp_path / "fastpool"
    shutil.copytree(bench.folder, folder)
    (folder / "more.bin").write_bytes(bytes(range(256)) * 100)
    monkeypatch.setattr(bench, "folder", folder)


def longer(bench, monkeypatch):
    """Windows cut the chunks."""
    build = bench.build
    monkeypatch.setattr(bench, "build", lambda: fp.max_pool(build(), (3, 3), stride=2))


WORSE = {
    "dask.Graph.track_tasks_a_block": longer,
    "instructions.Instructions.track_instructions": None,  # test_counts_are_equal_and_rise
    "size.Size.track_installed_size": fatter,
    "size.Size.track_wheel_size": fatter,
    "startup.Cached.track_first_call": sleepy,
    "startup.Compile.track_first_call": sleepy,
    "throughput.Throughput.track_nanoseconds_a_kilobyte": thrice,
    "throughput.Throughput.track_time_over_copy": thrice,
}


def test_all_figures_are_made_worse():
    assert WORSE.keys() == {each.id for each in benchmarks() if each.values[1].startswith("track_")}


@pytest.mark.parametrize(
    ("prepared", "method", "worsen"),
    [
        pytest.param(*each.values, WORSE[each.id], id=each.id)
        for each in RUN
        if each.values[1].startswith("track_")
    ],
    indirect=["prepared"],
)
def test_a_worse_figure_is_larger(prepared, method, worsen, monkeypatch, request):
    """asv takes a rise for a regression."""
    bench, parameters = prepared
    measure = getattr(bench, method)
    before = measure(*parameters)
    extra = [request.getfixturevalue("tmp_path")] if worsen is fatter else []
    worsen(bench, monkeypatch, *extra)
    assert measure(*parameters) > before


# What the classes share ------------------------------------------------------------------------------------


def test_calls_are_timed_in_batches():
    """Though each class has a setup."""
    time_module = pytest.importorskip("asv_runner.benchmarks.time")
    exec((FOLDER / "__init__.py").read_text(), {})
    calls = []

    class Short(load("common").Benchmark):
        @load("common").once
        def setup(self):
            calls.append("setup")

        def time_call(self):
            calls.append("call")

    short = Short()
    found = time_module.TimeBenchmark("Short.time_call", short.time_call, [short.time_call, short])
    assert not found.do_setup()
    assert found.run()["number"] > 1000
    assert calls.count("setup") == 1


def test_names_that_a_commit_lacks_are_skipped():
    common = load("common")
    for name in ("brand_new_pool", "bench", "__file__"):
        with pytest.raises(NotImplementedError):
            getattr(common.fp, name)
    assert common.fp.max_pool is fp.max_pool


def test_libraries_that_are_absent_are_skipped():
    common = load("common")

    class Needs(common.Benchmark):
        @common.once
        def setup(self):
            import a_library_that_nobody_has  # noqa: F401, PLC0415

    with pytest.raises(NotImplementedError, match="a_library_that_nobody_has"):
        Needs().setup()


def test_other_environments_measure_what_needs_libraries_alone(monkeypatch):
    monkeypatch.setattr(load("common"), "LIBRARIES_ALONE", True)
    with pytest.raises(NotImplementedError, match="without other libraries"):
        load("window").Window().setup("maps 14 max 2x2 s2")
    load("frameworks").Wrapping().setup("numpy_call")


def test_only_public_names_are_used():
    """An older commit has no others; `common` checks those that the others take from it."""
    private = re.compile(
        r"^\s*(?:from fastpool|import fastpool(?!$))|fp\._|fastpool\.(?:timing|kinds)", re.MULTILINE
    )
    for path in FOLDER.glob("*.py"):
        assert not private.search(path.read_text()), path.name


def test_best_is_the_least_of_each():
    slow, fast = (lambda: time.sleep(0.02)), (lambda: None)
    found = load("common").best({"slow": slow, "fast": fast}, repeat=2, least=0.001)
    assert found["slow"] >= 0.02 > found["fast"]


def test_processes_show_their_errors():
    with pytest.raises(RuntimeError, match="no such thing"):
        load("common").python("raise ValueError('no such thing')")


# Instructions ----------------------------------------------------------------------------------------------


def test_counts_are_equal_and_rise(tmp_path):
    module = load("instructions")
    if module.problem():
        pytest.skip(module.problem())
    pair = module.CASES["max 2x2 s2"]
    double = [f"(lambda call: lambda: (call(), call()))({text})" for text in pair]
    cases = {"once": pair, "again": pair, "double": double, "absent": ["forward('brand_new_pool', 1)"]}
    counts = module.counted(cases, tmp_path)
    assert counts.keys() == {"once", "again", "double"}
    assert module.counted(cases, tmp_path) == counts
    # Within a process Python's own share depends on addresses, by up to some 100 instructions.
    assert counts["again"] == pytest.approx(counts["once"], rel=0.005)
    assert counts["double"] == pytest.approx(2 * counts["once"], rel=0.02)


# Speeds beside other libraries, each alone, and of random geometries ----------------------------------------

PEERS = ("torch", "torch channels-last", "onnxruntime")
ROW = next(speeds.rows("resnet one", small=True))
HERE = ("fastpool", "copy")


def command(*words):
    """In a process of its own: other libraries' threads and warnings stay out of the tests'."""
    line = [sys.executable, "-m", "fastpool", "bench", *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def installed(*names):
    return {name for name in names if speeds.ENGINES[name].serves([ROW, replace(ROW, last=True)])}


def test_each_library_alone(tmp_path):
    path = tmp_path / "times.json"
    words = ("--alone", "--small", "--only", "audio", "--threads", "2,1", "--repeat", 4, "--json", path)
    output = command(*words)
    record = json.loads(path.read_text())
    assert record["settings"] == {"threads": [2, 1], "repeat": 4, "idle": 0, "small": True, "alone": True}
    assert [(row["name"], row["threads"]) for row in record["rows"]] == [
        ("audio max 4 s4", n) for n in (2, 1)
    ]
    everyone = {*HERE, *installed("torch", "onnxruntime", "openvino")}
    two, one = (row["seconds"] for row in record["rows"])
    assert two.keys() == one.keys() == everyone
    [gain] = record["gains"]
    assert (gain["name"], gain["threads"]) == ("audio max 4 s4", [1, 2])
    assert gain["fastpool"] == pytest.approx(one["fastpool"] / two["fastpool"])
    assert gain["copy"] == pytest.approx(one["copy"] / two["copy"])
    assert "least gain of all workloads" in output
    assert "too small to compare speeds" in " ".join(output.split())


def test_processes_are_as_many_as_are_needed_and_end():
    rows = [ROW, next(speeds.rows("uint8", small=True))]
    with alone.crew(rows, HERE, (1, 2)) as crew:
        ids = {process.process.pid for process in crew.processes.values()}
        assert crew.processes.keys() == set(itertools.product(HERE, (1, 2)))
        results = [result for row in rows for result in crew.race(row, 2)]
    assert len(ids - {os.getpid()}) == 4
    assert [(result.row, result.threads) for result in results] == list(itertools.product(rows, (1, 2)))
    assert all(result.seconds.keys() == set(HERE) for result in results)
    for process in ids:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
    with alone.crew([ROW], ["opencv", "scipy", "tinybrain"], (1,)) as crew:
        assert not crew.processes


def test_a_process_that_fails_is_named():
    with alone.crew([ROW], ["fastpool"], (1,)) as crew:
        with pytest.raises(
            ChildProcessError, match=r"fastpool \(1 threads\).*: ValueError: .*no such pooling"
        ):
            crew.race(replace(ROW, op="no such pooling"), 1)
        assert crew.race(ROW, 1)[0].ratio is None
        crew.processes["fastpool", 1].process.kill()
        with pytest.raises(ChildProcessError, match="ended with exit code -9"):
            crew.race(ROW, 1)


@pytest.mark.parametrize("repeat", [1, 2, 3, 7, 15])
def test_turns_are_all_calls(repeat):
    turns = alone._turns(repeat)
    assert sum(turns) == repeat
    assert min(turns) > 0


@pytest.mark.peer
@pytest.mark.skipif(not installed(*PEERS), reason="neither torch nor onnxruntime is here")
def test_libraries_agree_on_random_geometries():
    """And where no side tells which axis the channels are."""
    equal = speeds.Row("equal sides", "avg", (8, 8, 8, 8), (3, 2), (2, 1), (1, 0), last=True)
    rows = [equal, replace(equal, shape=(8, 8, 8), window=(3,), stride=(2,), padding=(1,))]
    rows += geometries.rows(10, 1, small=True)
    with alone.crew(rows, geometries.ENGINES, (1,)) as crew:
        found = set().union(*(crew.race(row, 1)[0].seconds for row in rows))
    assert found == {*HERE, *installed(*PEERS)}


def test_results_that_differ_are_told():
    expected = np.zeros((2, 3), np.float32)
    speeds.agree(ROW, "copy", None, expected)
    with pytest.raises(AssertionError, match=f"torch on {ROW.name}"):
        speeds.agree(ROW, "torch", expected + 1, expected)


def test_random_rows_are_drawn_from_a_seed_and_had_by_peers():
    rows = list(geometries.rows(300, 5))
    assert rows[:20] == list(geometries.rows(20, 5))
    assert rows[:20] != list(geometries.rows(20, 6))
    for row in rows:
        assert 2 <= min(row.window) <= max(row.window) <= 9
        assert 1 <= min(row.stride) <= max(row.stride) <= 5
        assert all(0 <= p <= k // 2 for k, p in zip(row.window, row.padding, strict=True))
        assert min(row.output) > 0
        assert any(speeds.ENGINES[name].has(row) for name in PEERS)
    assert {(len(row.window), row.dtype, row.last) for row in rows} >= set(
        itertools.product((1, 2, 3), ("float32", "float64"), (False, True))
    )
    assert {row.op for row in rows} == {"max", "avg"}
    assert {(row.op, row.last) for row in rows if row.dtype == "uint8"} == {("max", False)}
    assert max(row.input_bytes for row in geometries.rows(100, 5, small=True)) < 1 << 20


@pytest.mark.peer
@pytest.mark.skipif(installed(*PEERS) != set(PEERS), reason="torch or onnxruntime is not here")
def test_random_geometries_beside_peers(tmp_path):
    path = tmp_path / "times.json"
    words = ("--random", 6, "--seed", 2, "--small", "--threads", 1, "--repeat", 1, "--json", path)
    output = command(*words)
    record = json.loads(path.read_text())
    assert record["settings"]["random"] == 6
    assert record["settings"]["seed"] == 2
    rows = list(geometries.rows(6, 2, small=True))
    assert [(row["name"], tuple(row["shape"])) for row in record["rows"]] == [(r.name, r.shape) for r in rows]
    assert all(row["peer"] in PEERS for row in record["rows"])
    worst = min(record["rows"], key=lambda row: row["ratio"])
    assert f"among the worst: {worst['ratio']:.2f}, {worst['name']}" in output
    assert f"geometric mean of the ratios: {record['mean_ratio']:.2f}" in output


def test_random_geometries_without_peers(monkeypatch):
    for name in ("torch", "onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    words = ["bench", "--random", "2", "--small", "--repeat", "1", "--threads", "1,2"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "no other library takes part" in result.output
    assert "random 2, seed 0" in result.output
    assert "among the worst" not in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--threads", "0"), "must be at least 1, got 0"),
        (("--threads", "1,two"), "got '1,two'"),
        (("--random", "0"), "greater than or equal to 1"),
        (("--seed", "3"), "goes with --random"),
        (("--random", "3", "--seed", "-1"), "greater than or equal to 0"),
        (("--alone", "--device", "cuda"), "--alone: is for --device cpu"),
        (("--random", "3", "--device", "cuda"), "--random: is for --device cpu"),
        (("--random", "3", "--only", "absent"), "no workload has 'absent'"),
    ],
)
def test_wrong_options_are_refused(words, message):
    result = CliRunner().invoke(app, ["bench", *words])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
