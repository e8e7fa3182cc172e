"""The benchmarks run: each class and method on its smallest parameters, so that none of them rots."""

import importlib.util
import itertools
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "asv_bench" / "benchmarks"
PREFIXES = ("time_", "track_", "timeraw_", "peakmem_")


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
            if hasattr(bench, "setup"):
                bench.setup(*parameters)
        except NotImplementedError:
            continue
        return bench, parameters
    raise AssertionError(f"{kind.__name__} skips all its parameters")


@pytest.mark.parametrize(("kind", "method"), list(benchmarks()))
def test_benchmark_runs(kind, method):
    bench, parameters = smallest(kind)
    try:
        found = getattr(bench, method)(*parameters)
    finally:
        if hasattr(bench, "teardown"):
            bench.teardown(*parameters)
    if method.startswith("track_"):
        assert found > 0
