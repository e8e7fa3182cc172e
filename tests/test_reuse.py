"""Memory is used again when nobody sees it any more, and not before, whatever keeps it in sight."""

import copy
import ctypes
import gc
import pickle
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
def nothing_waits(monkeypatch):
    gc.collect()
    monkeypatch.setattr(reuse, "results", reuse.Pool(1 << 28))
    monkeypatch.setattr(reuse, "scratch", reuse.Pool(reuse.SCRATCH))


def address(array):
    return array.__array_interface__["data"][0]


def large():
    return reuse.result(SHAPE, np.float32)


@pytest.mark.parametrize(("make", "pool"), [(reuse.result, "results"), (reuse.empty, "scratch")])
def test_the_next_array_takes_the_memory_of_the_last(make, pool, monkeypatch):
    first = make(SHAPE, np.float32)
    where = address(first)
    assert first.flags.carray
    assert type(first) is np.ndarray
    del first
    monkeypatch.setattr(np, "empty", None)
    for _ in range(5):
        again = make(SHAPE, np.float32)
        assert address(again) == where
        assert not getattr(reuse, pool).waiting
        del again
    assert len(getattr(reuse, pool).waiting) == 1


def test_memory_serves_other_shapes_and_dtypes():
    where = address(large())
    assert address(reuse.result((800, 299), np.int32)) == where
    assert address(reuse.result((119_000,), np.float64)) == where
    assert address(reuse.result((400, 800), np.float32)) != where


@pytest.mark.parametrize("make", [reuse.empty, reuse.result])
def test_memory_begins_at_a_cache_line(make):
    assert address(make(SHAPE, np.float32)) % reuse.LINE == 0


def torch_tensor(y):
    return pytest.importorskip("torch").from_numpy(y)


def torch_slice_by_dlpack(y):
    return pytest.importorskip("torch").from_dlpack(y)[3:, 5:]


def pointer_by_cast(y):
    return ctypes.cast(np.ctypeslib.as_ctypes(y), ctypes.POINTER(ctypes.c_float))


def iterator(y):
    rows = iter(y)
    next(rows)
    return rows


class Holder:
    def __init__(self, y):
        self.y = y
        self.myself = self


VIEWS = [
    lambda y: y,
    lambda y: y[7, 3:],
    lambda y: y[::-2, ::3].T,
    lambda y: y.reshape(-1).view(np.uint8)[5:],
    lambda y: np.lib.stride_tricks.sliding_window_view(y, (3, 3))[5],
    lambda y: np.broadcast_to(y[0], (7, 800)),
    lambda y: y.view(np.recarray),
    np.ma.masked_array,
    lambda y: np.ndarray.__new__(np.matrix, (5, 5), np.float32, y),
    lambda y: y.real,
    lambda y: y.flat,
    lambda y: y.flags,
    lambda y: y.data,
    lambda y: y.base,
    lambda y: np.asarray(y.base),
    lambda y: memoryview(y.base)[3:],
    lambda y: ctypes.c_char.from_buffer(y.base),
    memoryview,
    lambda y: memoryview(memoryview(y)[5:]).cast("B"),
    lambda y: np.frombuffer(y, np.uint8),
    lambda y: np.frombuffer(memoryview(y)[3:], np.float32),
    pickle.PickleBuffer,
    lambda y: pickle.PickleBuffer(y).raw(),
    lambda y: y.ctypes,
    lambda y: y.ctypes.data_as(ctypes.c_void_p),
    np.ctypeslib.as_ctypes,
    pointer_by_cast,
    lambda y: ctypes.c_float.from_buffer(y, 40),
    lambda y: y.__dlpack__(),
    lambda y: np.from_dlpack(y)[5:],
    torch_tensor,
    torch_slice_by_dlpack,
    iterator,
    np.nditer,
    lambda y: y.sum,
    lambda y: [{"y": (y,)}],
    Holder,
]


@pytest.mark.parametrize("hold", VIEWS)
def test_whatever_sees_a_result_keeps_it(hold):
    first = large()
    first[...] = 1
    where = address(first)
    held = hold(first)
    del first
    gc.collect()
    others = [large() for _ in range(3)]
    assert where not in map(address, others)
    del held
    gc.collect()
    assert where in map(address, [*others, large()])


def test_a_view_sees_what_the_result_was():
    y = large()
    y[...] = np.arange(240_000).reshape(SHAPE)
    row, seen = y[7, 3:].T, memoryview(y)[9:]
    expected = row.copy(), seen.tolist()
    del y
    for _ in range(5):
        large()[...] = -1
    np.testing.assert_array_equal(row, expected[0])
    assert seen.tolist() == expected[1]


def test_weak_references_die_with_the_result():
    ended = []
    first = large()
    where, reference = address(first), weakref.ref(first, ended.append)
    weakref.finalize(first, ended.append, "finalized")
    del first
    assert reference() is None
    assert len(ended) == 2
    assert address(large()) == where


def test_memory_whose_owner_has_weak_references_is_not_used_again():
    first = large()
    where, reference = address(first), weakref.ref(first.base)
    del first
    assert reference() is None
    assert not reuse.results.waiting
    assert where  # it was freed


@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")
@pytest.mark.parametrize(
    "change",
    [
        lambda y: y.setflags(write=False),
        lambda y: setattr(y, "shape", (800, 300)),
        lambda y: setattr(y, "dtype", np.int32),
    ],
)
def test_what_its_holder_changed_comes_back_as_new(change):
    first = large()
    where = address(first)
    change(first)
    del first
    other = large()
    assert address(other) == where
    assert (other.shape, other.dtype, other.flags.writeable) == (SHAPE, np.float32, True)


def test_a_result_behaves_as_an_array_of_its_own(rng):
    y = fp.max_pool(rng.standard_normal((4, 16, 192, 192), dtype=np.float32), 2)
    assert type(y) is np.ndarray
    assert y.flags.carray
    with pytest.raises(ValueError, match="does not own its data"):
        y.resize((3, 3), refcheck=False)
    y.setflags(write=False)
    y.setflags(write=True)
    for other in (copy.copy(y), copy.deepcopy(y), pickle.loads(pickle.dumps(y, 5)), y.copy()):
        np.testing.assert_array_equal(other, y)
        assert not np.shares_memory(other, y)


def test_cycles_give_memory_back_when_they_are_collected():
    gc.disable()
    try:
        holder = Holder(large())
        where = address(holder.y)
        del holder
        other = large()
        assert address(other) != where
        gc.collect()
        assert address(large()) == where
    finally:
        gc.enable()


def test_what_a_finalizer_saves_from_a_cycle_stays():
    class Saver(Holder):
        def __del__(self):
            saved.append(self.y)

    saved = []
    saver = Saver(large())
    saver.y[...] = 5
    del saver
    gc.collect()
    large()[...] = 7
    assert (saved[0] == 5).all()


def test_results_of_a_finalizer_and_of_its_thread():
    """Memory that comes back while other memory is handed out."""

    class Pools:
        def __init__(self):
            self.y = large()

        def __del__(self):
            large()[...] = 3

    for _ in range(20):
        first = Pools()
        first.myself = first
        del first
        y = large()
        y[...] = 1
        gc.collect()
        assert (y == 1).all()


def test_small_results_take_none():
    del_later = large()
    del del_later
    assert reuse.result((10,), np.float32).base is None
    assert len(reuse.results.waiting) == 1


def test_no_more_waits_than_the_limit(monkeypatch):
    monkeypatch.setattr(reuse.results, "most", 2_000_000)
    made = [large() for _ in range(5)]
    last = address(made[-1])
    assert not reuse.results.waiting
    while made:
        del made[0]
    assert len(reuse.results.waiting) == 2
    assert address(large()) == last


def test_many_pieces_are_forgotten():
    made = [reuse.result((600 << 10,), np.uint8) for _ in range(100)]
    del made
    assert len(reuse.results.waiting) == reuse.COUNT


def test_what_is_too_large_displaces_nothing(monkeypatch):
    monkeypatch.setattr(reuse.results, "most", 1_000_000)
    large()
    reuse.result(SHAPE, np.float64)
    assert [memory.size for memory in reuse.results.waiting.values()] == [235 * reuse.PAGE]


def test_what_waits_is_given_up_where_memory_is_short(monkeypatch):
    large()
    made = np.empty

    def short(shape, dtype):
        if reuse.results.waiting:
            raise MemoryError
        return made(shape, dtype)

    monkeypatch.setattr(np, "empty", short)
    assert reuse.result((300, 1000), np.float32).shape == (300, 1000)


@pytest.mark.parametrize(("wanted", "most"), [("0", 0), ("9", 9), ("", None), ("-1", None), ("²", None)])
def test_the_variable(monkeypatch, wanted, most):
    monkeypatch.setenv("FASTPOOL_KEPT_BYTES", wanted)
    kept = reuse._most()
    assert kept == most if most is not None else 0 < kept <= reuse.RESULTS


def test_nothing_waits_where_the_variable_says_so():
    program = (
        "import numpy as np; from fastpool import reuse;"
        "reuse.result((300, 800), np.float32); assert not reuse.results.waiting"
    )
    subprocess.run([sys.executable, "-c", program], env={"FASTPOOL_KEPT_BYTES": "0"}, check=True)


def test_results_at_the_end_of_the_interpreter():
    """What refers to a result, or pools, while modules are taken down."""
    program = (
        "import atexit, sys, numpy as np; from fastpool import reuse\n"
        "class Late:\n"
        "    def __init__(self, make): self.make, self.y = make, make((300, 800), np.float32)\n"
        "    def __del__(self): self.make((300, 800), np.float32)[...] = 1; self.y[...] = 2\n"
        "sys.late = late = Late(reuse.result); late.myself = late\n"
        "other = Late(reuse.result); atexit.register(reuse.result, (300, 800), np.float32)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_results_stay_as_they_are(rng):
    x = rng.standard_normal((4, 16, 192, 192), dtype=np.float32)
    expected = x.reshape(4, 16, 96, 2, 96, 2).max((3, 5))
    kept = [fp.max_pool(x, 2) for _ in range(3)]
    for _ in range(20):
        fp.max_pool(-x, 2)
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


def test_threads_do_not_share_memory():
    """Several take and drop, at their own pace, and each sees only what it wrote itself."""
    wrong = []

    def works(number):
        kept = []
        for turn in range(200):
            y = large()
            y[::50, ::50] = number * 1000 + turn
            kept.append((number * 1000 + turn, y[:, ::2]))
            wrong.extend(1 for value, seen in kept if (seen[::50, ::25] != value).any())
            del kept[: turn % 3]

    workers = [threading.Thread(target=works, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
