"""Memory that is used again goes back when the last view is gone, and not before; results own theirs."""

import gc
import threading

import numpy as np
import pytest

import fastpool as fp
from fastpool import reuse

SHAPE = (300, 400)  # of float32: 480,000 bytes


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    gc.collect()
    monkeypatch.setattr(reuse, "_kept", reuse._Kept())


def address(array):
    return array.__array_interface__["data"][0]


def test_the_next_result_takes_the_memory_of_the_last():
    first = reuse.empty(SHAPE, np.float32)
    where = address(first)
    assert first.flags.carray
    assert where % reuse.LINE == 0
    del first
    assert len(reuse._kept.memory) == 1
    assert address(reuse.empty(SHAPE, np.float32)) == where


def test_a_view_keeps_the_memory():
    first = reuse.empty(SHAPE, np.float32)
    first[...] = 1
    row = first[7, 3:].T
    del first
    other = reuse.empty(SHAPE, np.float32)
    other[...] = 2
    assert (row == 1).all()
    del row, other
    assert len(reuse._kept.memory) == 2


def test_small_results_and_other_sizes_take_none():
    first = reuse.empty(SHAPE, np.float32)
    where = address(first)
    del first
    half = reuse.empty((150, 400), np.float32)
    assert len(reuse._kept.memory) == 1
    assert address(half) != where
    assert reuse.empty((10,), np.float32).base is None


def test_no_more_is_kept_than_the_limit(monkeypatch):
    monkeypatch.setattr(reuse._kept, "most", 1_000_000)
    results = [reuse.empty(SHAPE, np.float32) for _ in range(5)]
    del results
    assert len(reuse._kept.memory) == 2


def test_whoever_finds_it_locked_goes_without():
    with reuse._kept.lock:
        reuse.empty(SHAPE, np.float32)
    assert reuse._kept.memory == []


def test_many_small_pieces_are_forgotten():
    pieces = [reuse.empty(SHAPE, np.uint16) for _ in range(100)]
    del pieces
    assert len(reuse._kept.memory) == reuse.COUNT
    assert reuse._kept.total == sum(memory.size for memory in reuse._kept.memory)


def test_what_is_too_large_displaces_nothing(monkeypatch):
    monkeypatch.setattr(reuse._kept, "most", 600_000)
    reuse.empty(SHAPE, np.float32)
    reuse.empty(SHAPE, np.float64)
    assert len(reuse._kept.memory) == 1


@pytest.mark.parametrize(
    ("wanted", "kept"), [("", False), ("0", False), ("-1", False), ("²", False), ("9", True)]
)
def test_the_variable(monkeypatch, wanted, kept):
    monkeypatch.setenv("FASTPOOL_KEPT_BYTES", wanted)
    assert reuse._Kept().of_results is kept


def test_results_own_their_memory(rng):
    y = fp.max_pool(rng.standard_normal((4, 16, 96, 96), dtype=np.float32), 2)
    assert y.flags.owndata
    assert y.base is None


@pytest.fixture
def leased(monkeypatch):
    """Results take the memory of earlier ones."""
    monkeypatch.setenv("FASTPOOL_KEPT_BYTES", str(1 << 28))
    monkeypatch.setattr(reuse, "_kept", reuse._Kept())


@pytest.mark.usefixtures("leased")
def test_results_stay_as_they_are(rng):
    x = rng.standard_normal((4, 16, 96, 96), dtype=np.float32)
    expected = x.reshape(4, 16, 48, 2, 48, 2).max((3, 5))
    kept = [fp.max_pool(x, 2) for _ in range(3)]
    for _ in range(20):
        fp.max_pool(-x, 2)
    for y in kept:
        np.testing.assert_array_equal(y, expected)


@pytest.mark.usefixtures("leased")
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
