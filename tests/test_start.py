"""Starting: what an import costs and brings, and the on-disk cache of compiled kernels."""

import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import fastpool as fp
from fastpool import jit

PACKAGE = Path(fp.__file__).parent
FIRST_CALL = """
import time, numpy as np, fastpool as fp
from fastpool.cpu import walk
from fastpool.operators.extremes import MAX
begin = time.process_time()
y = fp.max_pool(np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4), 2)
seconds = time.process_time() - begin
kernel = walk.kernel("max", MAX.fold(None, None), None, walk.FORWARD, "native", "native", walk.ALL)
print(seconds, sum(kernel.stats.cache_hits.values()), y.ravel().tolist())
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


def test_first_call_from_the_cache_and_from_a_damaged_one(tmp_path, limit):
    folder = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert first_call(**folder)[1:] == (0, "[5.0, 7.0, 13.0, 15.0]")
    runs = [first_call(**folder) for _ in range(3)]
    assert [run[1] for run in runs] == [1, 1, 1]
    assert min(run[0] for run in runs) < limit
    for path in tmp_path.rglob("*.nb?"):
        os.truncate(path, 10)
    assert first_call(**folder)[1:] == (0, "[5.0, 7.0, 13.0, 15.0]")
    assert first_call(**folder)[1] == 1


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache folder of this process, which starts with nothing said."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jit.Unkept, "problem", "")
    return tmp_path


def start(step=1, dtype=np.int64):
    """Whether a kernel came from the cache, as at the start of a process; it gives the right result."""

    def add(x, first, last):
        for i in range(first, last):
            x[i] += step

    compiled = jit.kernel(add, f"add_{step}")
    x = np.zeros(3, dtype)
    compiled(x, 0, 2)
    assert x.tolist() == [step, step, 0]
    return sum(compiled.stats.cache_hits.values()) == 1


def file_of(folder, step=1):
    (path,) = folder.rglob(f"*add_{step}-*.nbc")
    return path


def flip_a_bit(path):
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 8
    path.write_bytes(contents)


def another_kernels(path):
    start(5)
    shutil.copy(file_of(path.parent, 5), path)


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: os.truncate(path, 10),
        lambda path: os.truncate(path, path.stat().st_size - 1),
        lambda path: path.write_bytes(path.read_bytes() + b"0"),
        lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
        lambda path: path.write_bytes(pickle.dumps((1, 2))),
        flip_a_bit,
        another_kernels,
    ],
)
def test_whatever_is_in_the_place_of_a_file_fails_no_start(folder, damage):
    assert not start()
    assert start()
    damage(file_of(folder))
    assert not start()
    assert start()


def test_a_file_that_may_not_be_read_is_written_anew(folder, monkeypatch):
    """Tests may run as root, who may read anything."""
    start()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda path: (_ for _ in ()).throw(PermissionError(path)))
        assert not start()
    assert start()


def test_a_folder_in_the_place_of_a_file_is_said_once(folder):
    start()
    path = file_of(folder)
    path.unlink()
    path.mkdir()
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        assert not start()
    assert not start()
    assert list(folder.rglob("*add_1-*")) == [path]


def test_files_of_another_numba_are_not_read(folder, monkeypatch):
    assert not start()
    monkeypatch.setattr(numba, "__version__", "0.0")
    assert not start()
    assert start()


def test_signatures_and_kernels_have_their_own_files(folder):
    cases = [(1, np.int64), (2, np.int64), (1, np.float32), (2, np.uint8)]
    assert not any(start(*case) for case in cases)
    assert all(start(*case) for case in cases)


MADE_BY_FUNCTIONS = """
import gc, numpy as np, fastpool as fp
from fastpool import jit
from numba.core.registry import CPUDispatcher
x = np.random.default_rng(0).random((1, 1, 150, 150), np.float32)
fp.global_pool(x, "median", axes=(2, 3)), fp.median_pool(x, 3), fp.max_pool(x, 3, where=x > 0.5)
fp.area_pool(x, (40, 40), axes=(2, 3)), fp.lse_pool(x, 2), fp.soft_pool(x[:, :, :9, :9], 2)
compiled = [each for each in gc.get_objects() if isinstance(each, CPUDispatcher) and each.signatures]
kernels = [each.stats for each in compiled if isinstance(each._cache, jit.Cache)]
misses, hits = [len(each.cache_misses) for each in kernels], [len(each.cache_hits) for each in kernels]
print(sum(misses), sum(hits))
"""


def test_kernels_are_found_again_whatever_functions_made_them(tmp_path):
    """numba names what a function makes at random, and such names are part of a kernel's key."""
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    missed, hits = map(int, python(MADE_BY_FUNCTIONS, **place).split())
    assert missed >= 6
    assert hits == 0
    assert python(MADE_BY_FUNCTIONS, **place).split() == ["0", str(missed)]


def test_processes_that_write_at_once_do_not_mix(folder):
    """An index that two of them write would lose or swap entries."""
    code = (
        "import sys, numpy as np; from fastpool import jit; import test_start\n"
        "sys.stdin.readline()\n"
        "print([test_start.start(dtype=np.dtype(name)) for name in sys.argv[1:]])"
    )
    names = ["int64", "float32", "uint8", "float64"]
    command = [sys.executable, "-c", code]
    place = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(Path(__file__).parent)}
    processes = [
        subprocess.Popen([*command, *names[n:], *names[:n]], stdin=-1, stdout=-1, text=True, env=place)
        for n in (0, 1, 2)
    ]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=100)
        assert process.returncode == 0
    assert all(start(dtype=np.dtype(name)) for name in names)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on Windows")
def test_a_full_disk_fails_no_call(tmp_path):
    limit = "import resource, warnings; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    listen = "said = warnings.catch_warnings(record=True).__enter__(); warnings.simplefilter('always')\n"
    told = "print([str(each.message) for each in said])"
    out = python(limit + listen + FIRST_CALL + told, NUMBA_CACHE_DIR=str(tmp_path))
    assert "[5.0, 7.0, 13.0, 15.0]" in out
    assert out.count("NUMBA_CACHE_DIR") == 1
    assert "too large" in out
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_edited_operator_misses_the_cache(tmp_path):
    copy = copy_of_the_package(tmp_path)
    place = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    assert first_call(**place)[1:] == (0, "[5.0, 7.0, 13.0, 15.0]")
    assert first_call(**place)[1] == 1
    extremes = copy / "operators" / "extremes.py"
    source = extremes.read_text()
    edited = source.replace("take = beats(b[0], a[0]) |", "take = beats(a[0], b[0]) |")
    assert edited != source
    extremes.write_text(edited)
    assert first_call(**place)[1:] == (0, "[0.0, 2.0, 8.0, 10.0]")


def test_edited_options_of_the_compiler_miss_the_cache(tmp_path):
    copy = copy_of_the_package(tmp_path)
    place = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    assert first_call(**place)[1] == 0
    options = copy / "jit.py"
    source = options.read_text()
    edited = source.replace('"error_model": "numpy"', '"error_model": "numpy", "boundscheck": True')
    assert edited != source
    options.write_text(edited)
    assert first_call(**place)[1] == 0
    assert first_call(**place)[1] == 1


def test_an_image_of_a_container_keeps_the_cache(tmp_path):
    """It keeps the times of files in whole seconds."""
    copy = copy_of_the_package(tmp_path)
    place = {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    place |= {"PYTHONDONTWRITEBYTECODE": "1"}
    assert first_call(**place)[1] == 0
    for path in copy.rglob("*.py"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert first_call(**place)[1] == 1


def test_a_cache_folder_may_be_read_alone(tmp_path):
    """Tests may run as root, who may write anywhere: numba is told that it may not."""
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert first_call(**place)[1] == 0
    code = (
        "from numba.core import caching\n"
        "names = 'UserProvidedCacheLocator', '_UserProvidedCacheLocator'\n"
        "(locator,) = [getattr(caching, name) for name in names if hasattr(caching, name)]\n"
        "locator.ensure_cache_path = lambda self: (_ for _ in ()).throw(OSError('read-only'))\n"
    )
    assert python(code + FIRST_CALL, **place).split()[1] == "1"


def test_a_read_only_installation_works_and_says_so_once(tmp_path):
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
    listen = "import warnings; said = warnings.catch_warnings(record=True).__enter__()\n"
    told = "fp.jit.kernel(lambda: None, 'nothing'); print([str(each.message) for each in said])"
    out = python(code + listen + "warnings.simplefilter('always')\n" + FIRST_CALL + told, **place)
    assert " 0 [5.0, 7.0, 13.0, 15.0]" in out
    assert out.count("NUMBA_CACHE_DIR") == 1
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


@pytest.mark.parametrize("module", ["windows", "operators/fold", "operators/selection", "random"])
def test_tables_and_numbers_import_nothing_of_ours(module):
    assert not re.search(
        r"^\s*(from \.|from fastpool|import fastpool)", (PACKAGE / f"{module}.py").read_text(), re.M
    )


def test_every_numba_option_is_in_one_place():
    for path in PACKAGE.rglob("*.py"):
        assert ("njit(" in path.read_text()) == (path.name == "jit.py"), path


def test_public_names_alone_and_parts_when_used():
    code = (
        "import sys, fastpool as fp\n"
        "assert set(fp.__all__) < set(dir(fp)) and not {'jobs', 'api'} & set(dir(fp)), dir(fp)\n"
        "fp.compat.max_pool2d, fp.compat.keras.MaxPooling2D, fp.compat.onnx, fp.interop, fp.descriptors\n"
        "assert {'keras', 'max_pool2d'} < set(dir(fp.compat)) and 'torch' in dir(fp.interop)\n"
        "assert not any(hasattr(package, 'nothing') for package in (fp, fp.compat, fp.interop))\n"
        "print(*{'torch', 'jax', 'keras', 'tensorflow', 'onnx', 'dask', 'xarray'} & set(sys.modules))"
    )
    assert not python(code).split()
