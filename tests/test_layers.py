"""Threading layers: the same bits from each, safe together with threads, forks and interrupts.

Each of numba's layers that is installed has processes of its own, since a process has but one.
"""

import os
import subprocess
import sys
from importlib import import_module

import numba
import numpy as np
import pytest

import fastpool as fp
from fastpool import jit, parallel
from fastpool import threads as own

UNIX = pytest.mark.skipif(sys.platform == "win32", reason="neither forks nor such signals on Windows")


def installed(name):
    try:
        import_module(f"numba.np.ufunc.{'workqueue' if name == 'workqueue' else name + 'pool'}")
    except ImportError:
        return False
    return True


def of(name):
    missing = pytest.mark.skipif(not installed(name), reason=f"{name} is not installed")
    return pytest.param("numba", name, marks=missing)


LAYERS = pytest.mark.parametrize(
    ("layer", "name"), [("python", "default"), ("auto", "default"), *map(of, ("omp", "tbb", "workqueue"))]
)


def python(code, *arguments, **settings):
    environment = {key: value for key, value in os.environ.items() if key != "FASTPOOL_THREADING_LAYER"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment | settings,
    )


def printed(code, *arguments, **settings):
    done = python(code, *arguments, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.fixture
def layer():
    """Sets the layer for one test."""
    before = fp.get_threading_layer()
    yield fp.set_threading_layer
    fp.set_threading_layer(before)


# In one of numba's layers --------------------------------------------------------------------------------

CALLS = """
import sys, threading, numpy as np, fastpool as fp
from fastpool import parallel
rng = np.random.default_rng(5)
small = rng.standard_normal((2, 5, 130, 150)).astype(np.float32)
large = rng.standard_normal((3, 8, 260, 300)).astype(np.float32)
grey, labels = rng.integers(0, 255, (2, 300, 300), np.uint8), rng.integers(0, 4, (40, 80, 90), np.uint32)
boxes = np.array([[0, 3, 4, 140, 100], [1, 0, 9, 77, 120], [0, 50, 50, 90, 99]] * 20, np.float32)
def both(f, *args, **options):
    y, pull = fp.vjp(f, *args, **options)
    return y, pull(np.linspace(-1, 1, y.size, dtype=y.dtype).reshape(y.shape))
def results():
    yield from both(fp.max_pool, large, 3, stride=2, padding=1)  # cells or slides, and taps
    yield from both(fp.avg_pool, large, 7, stride=1)
    yield from both(fp.lp_pool, small, (5, 3), stride=2, p=3)
    yield from both(fp.adaptive_pool, small, "sum", (9, 11))  # the general skeleton
    yield from both(fp.lse_pool, small.astype(np.float16), 9, stride=2)
    yield from both(fp.roi_align, small, boxes, (5, 5))
    yield fp.median_pool(small, 5, stride=1)
    yield fp.median_pool(grey, (21, 21), stride=1)
    yield fp.mode_pool(labels, (2, 2, 2))
    yield fp.max_pool(large, 2, return_indices=True)[1]
    yield fp.max_pool(np.asfortranarray(large), 2)
    yield fp.stochastic_pool(small, 3, rng=7)
def bits():
    return [y.tobytes() for y in results()]
entered = []
run = parallel.run
parallel.run = lambda *given: entered.append(len(given[3])) or run(*given)
"""

EQUAL = """
fp.set_num_threads(1)
right = bits()
assert not entered
for number in 2, 3, 5:
    fp.set_num_threads(number)
    for layer in sys.argv[1], "python", "auto":
        fp.set_threading_layer(layer)
        assert bits() == right, (layer, number)
fp.set_threading_layer(sys.argv[1])
print(fp.threads.layer_in_use(), len(entered), max(entered, default=0))
"""

TOGETHER = """
fp.set_num_threads(3)
right, wrong = bits(), []
def works():
    if bits() != right: wrong.append(1)
several = [threading.Thread(target=works) for _ in range(8)]
for thread in several: thread.start()
for thread in several: thread.join()
print(len(wrong))
"""

FORK = """
import os
fp.set_num_threads(3)
right = bits()
entered.clear()
process = os.fork()
if process == 0:
    os._exit(int(bits() != right or len(entered) > 0))
assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
assert bits() == right
print("equal")
"""

INTERRUPT = """
import os, signal, time
fp.set_num_threads(2)
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever a parent ignores
x = np.random.default_rng(5).random((4, 16, 600, 600))
fp.gem_pool(x[0, :2, :140], (9, 9), stride=2, p=1.7)  # compiles
def interrupts():
    time.sleep(0.3)
    global sent
    sent = time.perf_counter()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupts, daemon=True).start()
try:
    fp.gem_pool(x, 41, stride=1, p=1.7)
    print("was not interrupted")
except KeyboardInterrupt:
    print(time.perf_counter() - sent)
right = bits()
fp.set_num_threads(1)
assert bits() == right
"""


def in_layer(code, layer, name):
    settings = {"FASTPOOL_THREADING_LAYER": layer, "NUMBA_THREADING_LAYER": name, "NUMBA_NUM_THREADS": "5"}
    return printed(CALLS + code, layer, **settings)


@LAYERS
def test_the_same_bits_from_every_layer_and_number_of_threads(layer, name):
    *used, calls, most = in_layer(EQUAL, layer, name)
    if layer == "numba":
        assert used == ["numba:", "numba,", name]
        assert int(calls) >= 3 * 12
        assert int(most) == 5
    elif layer == "python":
        assert used == ["python:", "own", "threads"]


@LAYERS
def test_eight_python_threads_at_once(layer, name):
    assert in_layer(TOGETHER, layer, name) == ["0"]


@UNIX
@LAYERS
def test_a_forked_child_takes_own_threads(layer, name):
    assert in_layer(FORK, layer, name) == ["equal"]


@UNIX
@LAYERS
def test_an_interrupt_ends_a_long_call(layer, name):
    """Of minutes; what comes next is right."""
    assert float(*in_layer(INTERRUPT, layer, name)) < 3


# Ranges --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def count():
    """A compiled kernel that counts how often each task is done, and returns whether one is above a limit."""

    def kernel(done, limit, scratch, first, last):
        met = False
        for task in range(first, last):
            scratch[0][0] = task
            done[int(scratch[0][0])] += 1
            met = met or task > limit
        return met

    return jit.kernel(kernel, "count")


def memory():
    return ((np.empty(1, np.int64), np.empty((2, 3))),)


@pytest.mark.parametrize("tasks", [2, 3, 1000, 100_003])
def test_every_task_once_and_what_kernels_return(count, layer, threads, tasks):
    threads(2)
    layer("numba")
    for limit, found in ((tasks, False), (tasks - 2, True)):
        done = np.zeros(tasks, np.int64)
        assert own.run(count, (done, limit), tasks, 10**9, memory) is found
        assert (done == 1).all()


def test_long_calls_are_cut(count, layer, threads, monkeypatch):
    threads(2)
    layer("numba")
    batches, run = [], parallel.run
    monkeypatch.setattr(parallel, "run", lambda *given: batches.append(given[2]) or run(*given))
    own.run(count, (np.zeros(600, np.int64), 600), 600, 600 << 20, memory)
    assert [task for batch in batches for task in batch] == list(range(600))
    assert len(batches[0]) == 2
    assert len(batches) < 20


def test_an_error_in_a_compiled_kernel(layer, threads):
    def fails(first, last):
        if last > 500:
            raise ValueError("no")

    threads(2)
    layer("numba")
    with pytest.raises(RuntimeError, match="fails"):
        own.run(jit.kernel(fails, "fails"), (), 1000, 10**7)
    assert own._Current.entering.acquire(blocking=False)
    own._Current.entering.release()


def test_who_does_not_enter(count, layer, threads, monkeypatch):
    """Calls of one thread, of Python, beside another call, and those that are to be alone."""

    def forbidden(*_):
        raise AssertionError

    def calls(kernel=count):
        done = np.zeros(1000, np.int64)
        own.run(kernel, (done, 1000), 1000, 10**7, memory)
        assert (done == 1).all()

    layer("numba")
    monkeypatch.setattr(parallel, "run", forbidden)
    threads(1)
    calls()
    threads(2)
    calls(count.py_func)
    with own.alone():
        calls()
    with own._Current.entering:
        calls()
    layer("python")
    calls()


def test_numbas_own_number_of_threads_stays(count, layer, threads):
    threads(2)
    layer("numba")
    numba.set_num_threads(1)
    try:
        own.run(count, (np.zeros(1000, np.int64), 0), 1000, 10**7, memory)
        assert numba.get_num_threads() == 1
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


# Which layer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cpus", "expected"),
    [
        ("tbb", 2, {2: 2, 8: 2}),
        ("omp", 64, {2: 1, 64: 1}),
        ("workqueue", 64, {8: 1, 64: 1}),
        ("", 64, {8: 1}),
    ],
)
def test_auto(layer, monkeypatch, name, cpus, expected):
    layer("auto")
    monkeypatch.setattr(parallel, "has_tbb", lambda: name == "tbb")
    monkeypatch.setattr(parallel, "most", lambda: cpus)
    monkeypatch.setattr(own, "_loaded", lambda: name)
    assert {hands: own._team(hands) for hands in expected} == expected


def test_set_and_get(layer):
    for name in ("numba", "python", "auto"):
        layer(name)
        assert fp.get_threading_layer() == name


@pytest.mark.parametrize(("value", "error"), [("tbb", ValueError), ("", ValueError), (None, TypeError)])
def test_bad_layers(value, error):
    before = fp.get_threading_layer()
    with pytest.raises(error, match=f"layer must be one of auto, numba, python, got {value!r}"):
        fp.set_threading_layer(value)
    assert fp.get_threading_layer() == before


LAYER = "import fastpool as fp; print(fp.get_threading_layer())"


@pytest.mark.parametrize(("value", "expected"), [("", "auto"), ("python", "python"), ("numba", "numba")])
def test_the_environment(value, expected):
    assert printed(LAYER, FASTPOOL_THREADING_LAYER=value) == [expected]


def test_a_bad_environment():
    done = python(LAYER, FASTPOOL_THREADING_LAYER="omp")
    assert done.stdout.strip() == "auto"
    assert "FASTPOOL_THREADING_LAYER must be one of auto, numba, python, got 'omp'" in done.stderr


@pytest.mark.skipif(installed("tbb"), reason="TBB is installed")
def test_where_numba_has_no_layer():
    settings = {"NUMBA_THREADING_LAYER": "tbb", "NUMBA_NUM_THREADS": "2"}
    code = "import fastpool as fp; fp.set_threading_layer('numba')"
    assert "layer must be auto or python here, got 'numba'" in python(code, **settings).stderr
    done = python(CALLS + "bits(); print(len(entered))", FASTPOOL_THREADING_LAYER="numba", **settings)
    assert done.stdout.strip() == "0"
    assert "RuntimeWarning: fastpool takes its own threads" in done.stderr


def test_auto_loads_nothing_for_few_threads():
    code = (
        "bits(); import numba\n"
        "try: print(numba.threading_layer(), parallel.has_tbb())\n"
        "except ValueError: print('none')\n"
    )
    assert printed(CALLS + code, NUMBA_NUM_THREADS="2") in (["none"], ["tbb", "True"])
