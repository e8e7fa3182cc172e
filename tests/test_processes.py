"""Many threads at once, forks, other processes, the interpreter's end and interrupts.

FASTPOOL_TEST_SECONDS says how long the threads pool, 2 seconds unless told else, and FASTPOOL_TEST_CALLS how
many calls of changing shapes there are, 2,000.
"""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastpool as fp
from fastpool import jit

SECONDS = float(os.environ.get("FASTPOOL_TEST_SECONDS", "2"))
INTERRUPTS = pytest.mark.skipif(sys.platform == "win32", reason="no signals that interrupt on Windows")
FORKS = pytest.mark.skipif(sys.platform == "win32", reason="no fork on Windows")
pytestmark = pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")


def python(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def helpers():
    return sum(thread.name == "fastpool" for thread in threading.enumerate())


def pooled(x):
    """Results of several kernels and sizes, all exact."""
    y, pull = fp.vjp(fp.max_pool, x, 3, stride=2, padding=1)
    return [y, pull(np.ones_like(y)), fp.max_pool(x[:, :, ::2], 2)]


# Threads -------------------------------------------------------------------------------------------------


def test_sixteen_threads_with_every_result_checked(rng, threads):
    threads(3)
    shapes = [(1, 1, 9, 9), (2, 4, 200, 220), (3, 1, 150, 700), (1, 16, 260, 260)]
    inputs = [rng.integers(-99, 99, shape).astype(np.float32) for shape in shapes]
    expected = [pooled(x) for x in inputs]
    end = time.monotonic() + SECONDS

    def works(number):
        turn = number
        while time.monotonic() < end:
            turn += 1
            if number == 0:
                threads(1 + turn % 5)
            for mine, right in zip(pooled(inputs[turn % 4]), expected[turn % 4], strict=True):
                np.testing.assert_array_equal(mine, right)
        return turn - number

    with ThreadPoolExecutor(16) as executor:
        assert min(executor.map(works, range(16))) > 0


def test_the_number_set_from_several_threads_leaves_no_helpers(threads):
    before = max(helpers(), 6)
    done = []

    def sets(number):
        for turn in range(100):
            threads(1 + (turn + number) % 7)
            fp.threads.run(lambda _, first, last: done.append(last - first), (0,), 50, 10**6)

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(sets, range(8)))
    assert sum(done) == 8 * 100 * 50
    assert helpers() <= before


@pytest.mark.parametrize(("tasks", "work", "most"), [(3, 10**9, 2), (1000, 150_000, 14), (10**6, 10**9, 255)])
def test_only_threads_that_have_work_start(tasks, work, most):
    code = (
        "import sys, threading, fastpool as fp\n"
        "tasks, work = int(sys.argv[1]), int(sys.argv[2])\n"
        "assert threading.active_count() == 1\n"
        "fp.set_num_threads(3000)\n"
        "fp.threads.run(lambda _, first, last: None, (0,), tasks, work)\n"
        "assert fp.get_num_threads() == 3000\n"
        "print(threading.active_count() - 1)\n"
    )
    assert int(python(code, str(tasks), str(work))) <= max(most, (os.cpu_count() or 1) * (most > 254))


def test_where_no_thread_starts_the_caller_does_all(monkeypatch, threads):
    def refuses(_):
        raise RuntimeError("can't start new thread")

    threads(200)
    monkeypatch.setattr(fp.threads._Current, "crew", fp.threads._Crew())
    monkeypatch.setattr(threading.Thread, "start", refuses)
    done = []
    fp.threads.run(lambda _, first, last: done.extend(range(first, last)), (0,), 1000, 10**7)
    assert done == list(range(1000))


@pytest.mark.parametrize("number", [1, 4])
def test_an_error_ends_a_call_early(number, threads):
    threads(number)
    done = []

    def fails(_, first, last):
        time.sleep(0.001)
        done.append(last - first)
        if last > 500:
            raise MemoryError("no memory")

    with pytest.raises(MemoryError, match="no memory"):
        fp.threads.run(fails, (0,), 100_000, 10**11)
    assert sum(done) < 20_000


@pytest.mark.parametrize("number", [1, 3])
def test_long_calls_are_cut_and_small_ones_are_not(number, threads):
    threads(number)
    calls = []

    def takes_a_while(_, first, last):
        begun = time.perf_counter()
        time.sleep((last - first) * 1e-3)
        calls.append((first, last, time.perf_counter() - begun))

    fp.threads.run(takes_a_while, (0,), 600, 600 << 20)
    assert [task for first, last, _ in sorted(calls) for task in range(first, last)] == list(range(600))
    assert max(seconds for *_, seconds in calls) < 0.5
    assert len(calls) < 60
    calls.clear()
    fp.threads.run(takes_a_while, (0,), 600, fp.threads.SERIAL_WORK)
    assert len(calls) == 1


LONG_CALL = """
import os, signal, sys, threading, time, numpy as np, fastpool as fp
fp.set_num_threads(int(sys.argv[1]))
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever a parent ignores
x = np.random.default_rng(5).random((4, 16, 600, 600))
small = x[0, :2, :140]
right = fp.gem_pool(small, (9, 9), stride=2, p=1.7)  # compiles
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
for _ in range(3):
    np.testing.assert_array_equal(fp.gem_pool(small, (9, 9), stride=2, p=1.7), right)
"""


@INTERRUPTS
@pytest.mark.parametrize("number", [1, 3])
def test_an_interrupt_ends_a_long_call(number):
    """Of minutes; what comes next is right."""
    assert float(python(LONG_CALL, str(number))) < 3


# Processes -----------------------------------------------------------------------------------------------


def child(connection, x):
    """What a child computes, with a kernel that it may have to compile as well."""
    connection.send([y.sum() for y in pooled(x)])
    connection.close()


def answer(context, x):
    here, there = context.Pipe()
    process = context.Process(target=child, args=(there, x))
    process.start()
    there.close()
    assert here.poll(120), "the child hangs"
    sums = here.recv()
    process.join(60)
    assert process.exitcode == 0
    return sums


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_pool(rng, threads, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    threads(2)
    x = rng.integers(-99, 99, (2, 4, 200, 220)).astype(np.float32)
    expected = [y.sum() for y in pooled(x)]
    assert answer(multiprocessing.get_context(method), x) == expected


@FORKS
def test_a_fork_waits_for_the_thread_that_compiles():
    compiling, found = threading.Event(), []

    def compiles():
        with jit.global_compiler_lock:
            compiling.set()
            time.sleep(0.5)
            found.append("compiled")

    thread = threading.Thread(target=compiles)
    thread.start()
    compiling.wait()
    process = os.fork()
    if process == 0:
        took = jit.global_compiler_lock._lock.acquire(timeout=20)
        os._exit(0 if took and found else 1)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


@FORKS
def test_forks_while_other_threads_pool_and_compile(rng, threads):
    threads(2)
    x = rng.integers(-99, 99, (2, 4, 200, 220)).astype(np.float32)
    expected = [y.sum() for y in pooled(x)]
    stop = threading.Event()

    def works(number):
        turn = 0
        while not stop.is_set():
            pooled(x)
            turn += 1

            def nothing(x, turn=turn):
                x[0] = turn

            jit.kernel(nothing, f"nothing_{number}")(np.zeros(1))

    def forks(_):
        return answer(multiprocessing.get_context("fork"), x)

    with ThreadPoolExecutor(3) as executor:
        workers = [executor.submit(works, number) for number in range(2)]
        try:
            for _ in range(4):
                assert forks(x) == expected
        finally:
            stop.set()
        for worker in workers:
            worker.result()


ENDS = """
import threading, time, numpy as np, fastpool as fp
fp.set_num_threads(3)
x = np.random.default_rng(5).random((2, 8, 300, 300))
fp.gem_pool(x[:, :, :90, :90], 9, stride=1, p=1.7)
def works():
    while True:
        fp.gem_pool(x, 15, stride=1, p=1.7), fp.max_pool(x, 2)
for _ in range(3):
    threading.Thread(target=works, daemon=True).start()
time.sleep(0.4)
"""


@pytest.mark.parametrize("how", ["", "raise SystemExit(0)", "import sys; sys.exit()"])
def test_the_interpreter_ends_while_threads_pool(how):
    python(ENDS + how)


# Memory --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_calls_of_changing_shapes_do_not_grow():
    code = (
        "import os, numpy as np, fastpool as fp\n"
        "rng = np.random.default_rng(0)\n"
        "x = rng.random((2, 600, 600), dtype=np.float32)\n"
        "def resident():\n"
        "    return int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE')\n"
        "def call():\n"
        "    c, h, w = rng.integers((1, 20, 20), (3, 600, 600))\n"
        "    return fp.max_pool(x[:c, :h, :w], (1 + h % 2, 1), stride=1)\n"
        "for turn in range(int(os.environ.get('FASTPOOL_TEST_CALLS', '2000'))):\n"
        "    call()\n"
        "    if turn == 500: before = resident()\n"
        "print(resident() - before)\n"
    )
    assert int(python(code)) < 200 << 20
