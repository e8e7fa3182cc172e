"""Whole axes and long cells: random geometries of every layout, in both kernels, beside the oracle."""

import ctypes
import mmap

import numpy as np
import pytest
import reference

import fastpool as fp
from fastpool.cpu import choose

pytestmark = pytest.mark.usefixtures("kernels_for_small_inputs")
SEEDS = range(30)
KERNELS = {"neighbours", "groups of rows"}
FORMS = ("plane", "channels", "cells", "rows", "volume", "few channels")


def geometry(rng, form):
    """Shape, axes, and the windows, strides and padding."""
    n = int(rng.integers(1, 4))
    if form in ("plane", "volume"):
        lengths = tuple(
            int(k) for k in rng.integers(3, 30 if form == "plane" else 12, 2 + (form == "volume"))
        )
        return (n, 2, *lengths), tuple(range(2, 2 + len(lengths))), lengths, lengths, (0,) * len(lengths)
    if form in ("channels", "few channels"):
        lengths = tuple(int(k) for k in rng.integers(6, 15, 2))
        deep = int(rng.choice([2, 3, 5, 16] if form == "few channels" else [64, 65, 200, 2500]))
        return (n, *lengths, deep), (1, 2), lengths, lengths, (0, 0)
    if form == "cells":
        window = int(rng.choice([8, 13, 49, 64, 127, 128, 200, 601, 1300]))
        stride = window + int(rng.choice([0, 0, 3, window]))
        padding = int(rng.choice([0, 0, window // 2 - 1]))
        return (n, stride * int(rng.integers(1, 5)) + window), (1,), (window,), (stride,), (padding,)
    wide, window = int(rng.integers(32, 80)), int(rng.integers(8, 14))
    padding = int(rng.choice([0, 3]))
    return (n, 4 * window, wide), (1, 2), (window, wide), (window, wide), (padding, 0)


def case(seed):
    """An array, with exactly one NaN where it may have any, its axes and windows."""
    rng = np.random.default_rng(seed)
    form, dtype = FORMS[seed % 6], np.dtype(("float32", "float16", "uint8", "float64", "int32")[seed % 5])
    shape, axes, window, stride, padding = geometry(rng, form)
    cut = int(rng.choice([0, 0, 5])) if form != "cells" else 0
    x = rng.integers(1, 200, (*shape[:-1], shape[-1] + cut)).astype(dtype)[..., : shape[-1]]
    if dtype.kind == "f" and seed % 4 == 1:
        x[tuple(rng.integers(shape))] = np.nan
    return x, axes, {"window": window, "stride": stride, "padding": padding}, rng


@pytest.mark.parametrize("seed", SEEDS)
def test_whole(seed):
    x, axes, call, rng = case(seed)
    tables = [
        reference.taps(x.shape[axis], k, s, p, p, 1, False)
        for axis, k, s, p in zip(axes, *call.values(), strict=True)
    ]
    exact, whole = x.astype(np.float64), x.dtype.kind in "iu"
    with choose.limited(task=int(rng.choice([1, 1_000, 100_000])), near=int(rng.choice([1, 200, 1_600]))):
        for op in ("max", "avg") if whole or seed % 10 else ("max", "avg", "lp"):
            include = seed % 4 > 0
            expected, _ = reference.pool(exact, op, tables, axes, include_pad=include)
            option = {} if include or op != "avg" else {"count_include_pad": False}
            found = fp.pool(x, op, axes=axes, **call, **option)
            if op == "avg" and whole:
                expected = np.floor(expected + 0.5)
            tolerance = 0 if op in ("max", "min") or whole else 1e-3 if x.dtype == "float16" else 2e-6
            np.testing.assert_allclose(found, expected, rtol=tolerance)


@pytest.mark.parametrize("seed", range(40))
def test_axes_of_one_element_that_lie_apart(seed):
    """Whole axes, some of one element, of an array that is cut out of a larger one along any axis."""
    rng = np.random.default_rng(seed)
    shape = (2, 3, *(int(rng.choice([1, 1, 2, 9, 30])) for _ in range(3)))
    behind = rng.choice([0, 0, 1, 16], 5)
    large = rng.integers(1, 99, np.add(shape, behind)).astype(np.float32)
    x = large[tuple(slice(0, n) for n in shape)]
    for axes in ((2, 3, 4), (3, 4), (2, 3), (2, 4), (4,)):
        for op, reduce in (("max", np.max), ("avg", np.mean), ("sum", np.sum)):
            expected = reduce(x.astype(np.float64), axis=axes, keepdims=True)
            found = fp.global_pool(x, op, axes=axes, keepdims=True)
            np.testing.assert_allclose(found, expected, rtol=2e-6)
        y, places = fp.adaptive_pool(x, "max", (1,) * len(axes), axes=axes, return_indices=True)
        moved = np.moveaxis(x, axes, range(5 - len(axes), 5)).reshape(*y.squeeze(axes).shape, -1)
        np.testing.assert_array_equal(places.squeeze(axes), moved.argmax(-1))
        np.testing.assert_array_equal(y.squeeze(axes), moved.max(-1))


def test_most_of_these_geometries_reach_the_kernels():
    reached = []
    for seed in SEEDS:
        x, axes, call, _ = case(seed)
        reached.append(fp.explain_call(fp.max_pool, x, axes=axes, **call).kernel)
    assert {*reached} >= KERNELS
    assert sum(name in KERNELS for name in reached) > len(SEEDS) // 2


@pytest.mark.parametrize("op", ["max", "avg", "sum"])
@pytest.mark.parametrize("size", [49, 196, 600, 601, 5_000])
def test_a_nan_or_an_infinity_is_met_wherever_it_is(op, size):
    x = np.random.default_rng(size).random((64, size), np.float32)
    for place in {0, 7, 8, size // 2, size - 9, size - 1}:
        for value in (np.nan, np.inf):
            y = x.copy()
            y[40, place] = value
            found = fp.pool(y, op, (size,))
            np.testing.assert_array_equal(found[40, 0], value)
            np.testing.assert_array_equal(np.delete(found, 40, 0), fp.pool(np.delete(y, 40, 0), op, (size,)))


@pytest.mark.parametrize("size", [60, 400, 3_000, 70_000])
@pytest.mark.parametrize("layout", ["plane", "channels"])
def test_sums_are_right_to_a_few_units_and_where_they_overflow(rng, size, layout):
    x = rng.standard_normal((40, size, 1 if layout == "plane" else 70)).astype(np.float32)
    exact, large = x.astype(np.float64), np.abs(x).sum(1, keepdims=True, dtype=np.float64)
    assert (
        np.abs(fp.sum_pool(x, size, axes=(1,)) - exact.sum(1, keepdims=True)) <= 16 * 1.2e-7 * large
    ).all()
    x[3, :2] = 3e38
    x[3, -1] = -3e38
    assert np.isfinite(fp.avg_pool(x, size, axes=(1,))).all()


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize(
    ("shape", "axes", "window", "stride"),
    [
        ((64, 7, 7), (1, 2), (7, 7), (7, 7)),
        ((9, 56, 56), (1, 2), (56, 56), (56, 56)),
        ((3, 14, 14, 65), (1, 2), (14, 14), (14, 14)),
        ((5, 1_003), (1,), (64,), (100,)),
        ((5, 3_001), (1,), (700,), (750,)),
    ],
)
def test_nothing_beyond_the_input_is_read(rng, shape, axes, window, stride, at_end):
    for dtype in ("float32", "uint8", "float16"):
        x = rng.integers(0, 200, shape).astype(dtype)
        placed = between_guards(x, at_end=at_end)
        for op in ("max", "avg"):
            call = {"stride": stride, "axes": axes}
            np.testing.assert_array_equal(fp.pool(placed, op, window, **call), fp.pool(x, op, window, **call))


@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize(
    ("shape", "zero", "axes", "window", "stride"),
    [
        ((6, 4, 47, 1, 2), (3,), (1, 2, 3, 4), (4, 47, 1, 2), (1, 47, 1, 1)),
        ((6, 4, 47, 1, 2), (0, 3), (1, 2, 3, 4), (4, 47, 1, 2), (1, 47, 1, 1)),
        ((9, 300, 8), (1,), (1, 2), (1, 8), (1, 8)),
        ((9, 300, 8), (0, 1), (1, 2), (1, 8), (2, 8)),
        ((1, 1, 5_000), (0, 1), (0, 1, 2), (1, 1, 40), (1, 1, 40)),
        ((40, 1, 90), (1,), (0, 1), (5, 1), (5, 1)),
        ((1, 60, 1, 90), (0, 2), (1, 2, 3), (2, 1, 2), (2, 1, 2)),
        ((8, 30, 30), (0,), (1, 2), (3, 3), (1, 1)),
    ],
)
def test_strides_of_0(rng, op, shape, zero, axes, window, stride):
    """Axes that repeat one element, and those of one element, whose strides may be anything."""
    own = rng.integers(0, 9, [1 if axis in zero else n for axis, n in enumerate(shape)]).astype(np.float32)
    strides = [0 if axis in zero else step for axis, step in enumerate(own.strides)]
    x = np.lib.stride_tricks.as_strided(own, shape, strides, writeable=False)
    call = {"stride": stride, "axes": axes}
    wanted = fp.pool(np.ascontiguousarray(x), op, window, **call)
    np.testing.assert_allclose(fp.pool(x, op, window, **call), wanted, rtol=1e-6)
    gy = rng.random(wanted.shape, np.float32)
    pulls = [fp.vjp(fp.pool, each, op, window, **call)[1](gy) for each in (x, np.ascontiguousarray(x))]
    np.testing.assert_allclose(*pulls, rtol=1e-6)


def between_guards(array, *, at_end):
    """The array, ending at an unreadable page or beginning behind one."""
    page = mmap.PAGESIZE
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    pages = -(-array.nbytes // page)
    memory = mmap.mmap(-1, (pages + 2) * page)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for number in (0, pages + 1):
        assert protect(base + number * page, page, 0) == 0
    at = page + (pages * page - array.nbytes if at_end else 0)
    placed = np.frombuffer(memory, array.dtype, array.size, at).reshape(array.shape)
    placed[...] = array
    return placed
