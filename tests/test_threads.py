"""Threads: bit-equal for every number, safe from several Python threads, after fork and at exit."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastpool as fp


def results(x):
    out = []
    for op in ("max", "avg", "lp"):
        y, pull = fp.vjp(fp.pool, x, op, (5, 3), stride=2, padding=1)
        out += [y, pull(y)]
    out += [fp.adaptive_pool(x, "sum", (9, 11)), fp.global_pool(x, "avg", axes=(0, 1, 2))]
    return out


@pytest.mark.parametrize("shape", [(16, 96, 100), (1, 400, 400), (3, 7, 30_000)])
def test_bit_equal_for_every_number_of_threads(rng, threads, shape):
    x = rng.standard_normal(shape).astype(np.float32)
    threads(1)
    alone = results(x)
    for n in (2, 3, 7):
        threads(n)
        assert fp.get_num_threads() == n
        for mine, its in zip(results(x), alone, strict=True):
            np.testing.assert_array_equal(mine.view(np.uint32), its.view(np.uint32))


def test_several_python_threads_at_once(rng, threads):
    threads(3)
    inputs = [rng.standard_normal((8, 100, 200)).astype(np.float32) for _ in range(6)]
    expected = [results(x) for x in inputs]
    with ThreadPoolExecutor(6) as executor:
        for _ in range(3):
            for mine, its in zip(executor.map(results, inputs), expected, strict=True):
                for a, b in zip(mine, its, strict=True):
                    np.testing.assert_array_equal(a, b)


def _in_child(connection, x):
    connection.send(fp.max_pool(x, (3, 3)).sum())
    connection.close()


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
@pytest.mark.skipif(sys.platform == "win32", reason="no fork on Windows")
def test_fork_after_threads_have_run(rng, threads):
    threads(2)
    x = rng.standard_normal((8, 300, 300)).astype(np.float32)
    expected = fp.max_pool(x, (3, 3)).sum()
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_in_child, args=(there, x))
    child.start()
    assert here.poll(60)
    assert here.recv() == expected
    child.join(60)
    assert child.exitcode == 0


def test_calls_while_the_interpreter_shuts_down():
    code = (
        "import atexit, numpy as np, fastpool as fp\n"
        "fp.set_num_threads(2)\n"
        "x = np.ones((8, 300, 300), np.float32)\n"
        "atexit.register(lambda: print(fp.max_pool(x, (3, 3)).sum()))\n"
        "fp.max_pool(x, (3, 3))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == 80000
    assert not done.stderr


def test_default_follows_the_environment():
    code = "import fastpool as fp; print(fp.get_num_threads())"
    for value, expected in [("3", "3"), ("1", "1")]:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"NUMBA_NUM_THREADS": value, "PATH": ""},
        )
        assert done.stdout.strip() == expected


@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)]
)
def test_bad_numbers_of_threads(value, error):
    before = fp.get_num_threads()
    with pytest.raises(error, match="n must be"):
        fp.set_num_threads(value)
    assert fp.get_num_threads() == before
