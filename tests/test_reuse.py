"""Memory is used again when nobody refers to it any more, and not before; results own theirs."""

import gc
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

import fastpool as fp
from fastpool import reuse

SHAPE = (300, 800)  # of float32: 960,000 bytes


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    gc.collect()
    monkeypatch.setattr(reuse, "results", reuse.Kept(1 << 28))
    monkeypatch.setattr(reuse, "scratch", reuse.Kept(reuse.SCRATCH))


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize(("make", "kept"), [(reuse.result, "results"), (reuse.empty, "scratch")])
def test_the_next_array_takes_the_memory_of_the_last(make, kept, monkeypatch):
    first = make(SHAPE, np.float32)
    where = address(first)
    assert first.flags.carray
    del first
    monkeypatch.setattr(np, "empty", None)
    second = make(SHAPE, np.float32)
    assert address(second) == where
    assert len(getattr(reuse, kept).arrays) == 1


def test_scratch_memory_begins_at_a_cache_line():
    assert address(reuse.empty(SHAPE, np.float32)) % reuse.LINE == 0


@pytest.mark.parametrize("make", [reuse.result, reuse.empty])
def test_a_view_keeps_the_memory(make):
    first = make(SHAPE, np.float32)
    first[...] = 1
    row = first[7, 3:].T
    del first
    other = make(SHAPE, np.float32)
    other[...] = 2
    assert (row == 1).all()


@pytest.mark.parametrize(
    "hold",
    [
        memoryview,
        np.asarray,
        weakref.ref,
        lambda y: y.ctypes,
        lambda y: y.reshape(-1).view(np.uint8),
        lambda y: y.flags,
        lambda y: y.T,
        lambda y: np.frombuffer(y, np.uint8),
        lambda y: y.__dlpack__(),
        lambda y: [y],
    ],
)
def test_whatever_refers_to_a_result_keeps_it(hold):
    first = reuse.result(SHAPE, np.float32)
    where = address(first)
    held = hold(first)
    del first
    assert address(reuse.result(SHAPE, np.float32)) != where
    assert len(reuse.results.arrays) == 2
    del held
    gc.collect()
    both = [reuse.result(SHAPE, np.float32) for _ in range(2)]
    assert len(reuse.results.arrays) == 2
    assert where in map(address, both)


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y.setflags(write=False),
        lambda y: setattr(y, "shape", (800, 300)),
        lambda y: setattr(y, "dtype", np.int32),
        lambda y: y.resize((30, 80), refcheck=False),
    ],
)
@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")
def test_a_result_that_its_holder_changed_is_not_used_again(change):
    first = reuse.result(SHAPE, np.float32)
    change(first)
    del first
    other = reuse.result(SHAPE, np.float32)
    assert other.shape == SHAPE
    assert other.dtype == np.float32
    assert other.flags.writeable


def test_small_results_and_other_shapes_take_none():
    first = reuse.result(SHAPE, np.float32)
    where = address(first)
    del first
    assert address(reuse.result(SHAPE[::-1], np.float32)) != where
    reuse.result((10,), np.float32)
    assert len(reuse.results.arrays) == 2


def test_no_more_is_kept_than_the_limit(monkeypatch):
    monkeypatch.setattr(reuse.results, "most", 2_000_000)
    made = [reuse.result(SHAPE, np.float32) for _ in range(5)]
    assert len(reuse.results.arrays) == 2
    assert reuse.results.arrays[-1] is made[-1]


def test_whoever_finds_it_locked_goes_without():
    with reuse.results.lock:
        reuse.result(SHAPE, np.float32)
    assert reuse.results.arrays == []


def test_many_pieces_are_forgotten():
    made = [reuse.result(SHAPE, np.float32) for _ in range(100)]
    assert len(made) == 100
    assert len(reuse.results.arrays) == reuse.COUNT


def test_what_is_too_large_displaces_nothing(monkeypatch):
    monkeypatch.setattr(reuse.results, "most", 1_000_000)
    reuse.result(SHAPE, np.float32)
    reuse.result(SHAPE, np.float64)
    assert len(reuse.results.arrays) == 1


def test_what_is_kept_is_given_up_where_memory_is_short(monkeypatch):
    reuse.result(SHAPE, np.float32)
    made = np.empty

    def short(shape, dtype):
        if reuse.results.arrays:
            raise MemoryError
        return made(shape, dtype)

    monkeypatch.setattr(np, "empty", short)
    assert reuse.result(SHAPE[::-1], np.float32).shape == SHAPE[::-1]


@pytest.mark.parametrize(("wanted", "most"), [("0", 0), ("9", 9), ("", None), ("-1", None), ("²", None)])
def test_the_variable(monkeypatch, wanted, most):
    monkeypatch.setenv("FASTPOOL_KEPT_BYTES", wanted)
    kept = reuse._most()
    assert kept == most if most is not None else 0 < kept <= reuse.RESULTS


def test_nothing_is_kept_where_the_variable_says_so():
    program = (
        "import numpy as np; from fastpool import reuse;"
        "reuse.result((300, 800), np.float32); assert reuse.results.arrays == []"
    )
    subprocess.run([sys.executable, "-c", program], env={"FASTPOOL_KEPT_BYTES": "0"}, check=True)


def test_results_own_their_memory(rng):
    y = fp.max_pool(rng.standard_normal((4, 16, 192, 192), dtype=np.float32), 2)
    assert y.flags.owndata
    assert y.base is None


def test_results_stay_as_they_are(rng):
    x = rng.standard_normal((4, 16, 192, 192), dtype=np.float32)
    expected = x.reshape(4, 16, 96, 2, 96, 2).max((3, 5))
    kept = [fp.max_pool(x, 2) for _ in range(3)]
    for _ in range(20):
        fp.max_pool(-x, 2)
    assert len(reuse.results.arrays) < 6
    for y in kept:
        np.testing.assert_array_equal(y, expected)


def test_gradients_stay_as_they_are(rng):
    x = rng.standard_normal((4, 16, 192, 192), dtype=np.float32)
    y, pull = fp.vjp(fp.max_pool, x, 3, stride=2, padding=1)
    first = pull(y)
    expected = first.copy()
    for _ in range(5):
        fp.vjp(fp.max_pool, -x, 3, stride=2, padding=1)[1](y)
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(pull(y), expected)


def test_threads_do_not_share_results(rng):
    x = rng.standard_normal((4, 16, 96, 96), dtype=np.float32)
    wrong = []

    def pools(number):
        for _ in range(50):
            y = fp.sum_pool(x + number, 1)
            if not np.array_equal(y, x + number):
                wrong.append(number)

    workers = [threading.Thread(target=pools, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
