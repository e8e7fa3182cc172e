"""The benchmarks run: each class and method on its smallest parameters, so that none of them rots."""

import importlib.util
import itertools
import re
import shutil
import sys
import time
from pathlib import Path

import pytest

import fastpool as fp

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
        r"^\s*(?:from fastpool|import fastpool(?!$))|fp\._|fastpool\.(?:bench|kinds)", re.MULTILINE
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
