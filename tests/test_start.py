"""Starting: what an import costs and brings, and the on-disk cache of compiled kernels."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastpool as fp

PACKAGE = Path(fp.__file__).parent
FIRST_CALL = """
import time, numpy as np, fastpool as fp
from fastpool.cpu import fold
begin = time.process_time()
y = fp.max_pool(np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4), 2)
seconds = time.process_time() - begin
walk = fold._walk("max", fp.folds.MAX, None, fold.FORWARD, "native", "native")
print(seconds, sum(walk.stats.cache_hits.values()), y.ravel().tolist())
"""


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def copy_of_the_package(folder):
    return shutil.copytree(PACKAGE, folder / "fastpool", ignore=shutil.ignore_patterns("__pycache__"))


def first_call(**environment):
    seconds, hits, y = python(FIRST_CALL, **environment).split(maxsplit=2)
    return float(seconds), int(hits), y.strip()


@pytest.fixture(scope="module")
def limit():
    """Half a second, or as much longer as numba's own import takes than the 0.2 s of a machine at rest."""
    code = "import time; begin = time.process_time(); import numba; print(time.process_time() - begin)"
    python(code)
    return 0.5 * max(1.0, min(float(python(code)) for _ in range(3)) / 0.2)


def test_import_is_quick_and_brings_no_other_library(limit):
    code = (
        "import sys, time; begin = time.process_time(); import fastpool\n"
        "print(time.process_time() - begin, *{name.partition('.')[0] for name in sys.modules},"
        " *(name for name in sys.modules if name.startswith('numba.cuda')))"
    )
    python(code)  # compiles bytecode
    runs = [python(code).split() for _ in range(3)]
    assert min(float(run[0]) for run in runs) < limit
    assert not {"torch", "cupy", "jax", "dask", "matplotlib", "rich", "typer", "numba.cuda"} & set(runs[0])


def test_first_call_from_the_cache(tmp_path, limit):
    folder = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert first_call(**folder)[1:] == (0, "[5.0, 7.0, 13.0, 15.0]")
    runs = [first_call(**folder) for _ in range(3)]
    assert [run[1] for run in runs] == [1, 1, 1]
    assert min(run[0] for run in runs) < limit


def test_an_edited_operator_misses_the_cache(tmp_path):
    copy = copy_of_the_package(tmp_path)
    place = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    assert first_call(**place)[1:] == (0, "[5.0, 7.0, 13.0, 15.0]")
    assert first_call(**place)[1] == 1
    folds = copy / "folds.py"
    source = folds.read_text()
    edited = source.replace("take = (b[0] > a[0])", "take = (b[0] < a[0])")
    assert edited != source
    folds.write_text(edited)
    assert first_call(**place)[1:] == (0, "[0.0, 2.0, 8.0, 10.0]")


def test_a_read_only_installation_works_silently(tmp_path):
    copy = copy_of_the_package(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    # Tests may run as root, who may write anywhere: numba is told that it may not.
    code = (
        "from numba.core import caching\n"
        "for locator in (caching.InTreeCacheLocator, caching.UserWideCacheLocator):\n"
        "    locator.ensure_cache_path = lambda self: (_ for _ in ()).throw(OSError('read-only'))\n"
    )
    for folder in [copy, home]:
        folder.chmod(0o555)
    place = {"PYTHONPATH": str(tmp_path), "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    place |= {"NUMBA_CACHE_DIR": ""}
    _, hits, y = python(code + FIRST_CALL, **place).split(maxsplit=2)
    assert (int(hits), y.strip()) == (0, "[5.0, 7.0, 13.0, 15.0]")
    assert not list(copy.rglob("*.nbi"))


def test_kernels_without_float16_instructions_agree():
    code = (
        "import numpy as np, fastpool as fp\n"
        "from fastpool.cpu import half\n"
        "x = np.random.default_rng(0).standard_normal((4, 6, 6)).astype(np.float16)\n"
        "print(half.IN_HARDWARE, fp.avg_pool(x, (3, 3)).view(np.uint16).ravel().tolist())\n"
    )
    native, generic = python(code), python(code, NUMBA_CPU_NAME="generic")
    assert generic.startswith("False")
    assert native.partition("[")[2] == generic.partition("[")[2]


@pytest.mark.parametrize("module", ["windows", "selection", "random"])
def test_tables_and_numbers_import_nothing_of_ours(module):
    assert not re.search(
        r"^\s*(from \.|from fastpool|import fastpool)", (PACKAGE / f"{module}.py").read_text(), re.M
    )


def test_every_numba_option_is_in_one_place():
    for path in PACKAGE.rglob("*.py"):
        assert ("njit(" in path.read_text()) == (path.name == "jit.py"), path
