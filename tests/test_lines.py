"""The passes over lines: the oracle's results, on geometries that reach every branch of the plans."""

import contextlib

import cases
import ml_dtypes
import numpy as np
import pytest
import reference

import fastpool as fp
from fastpool import jobs
from fastpool.cpu import choose, planes, plans

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)

# Shape, axes, and per axis window, stride, (before, after), dilation.
GEOMETRIES = {
    "cells": ((3, 6, 8), (1, 2), [(2, 2, (0, 0), 1)] * 2),
    "cells with a rest": ((3, 7, 9), (1, 2), [(2, 2, (0, 0), 1)] * 2),
    "long rows of cells": ((3, 6, 60), (1, 2), [(2, 2, (0, 0), 1)] * 2),
    "long rows of cells with a rest": ((3, 7, 61), (1, 2), [(2, 3, (0, 0), 1), (2, 2, (0, 0), 1)]),
    "volume of long rows": ((2, 6, 6, 60), (1, 2, 3), [(2, 2, (0, 0), 1)] * 3),
    "volume of long rows with a rest": ((2, 5, 7, 61), (1, 2, 3), [(2, 2, (0, 0), 1)] * 3),
    "cells with gaps": ((3, 9, 12), (1, 2), [(2, 3, (0, 0), 1)] * 2),
    "one long line": ((3, 9, 20), (1, 2), [(3, 1, (1, 1), 1)] * 2),
    "one long line, lopsided": ((3, 9, 20), (1, 2), [(4, 1, (3, 0), 1), (2, 1, (0, 1), 1)]),
    "stride 1, no padding": ((3, 9, 20), (1, 2), [(3, 1, (0, 0), 1)] * 2),
    "stride 2, overlapping": ((3, 9, 37), (1, 2), [(3, 2, (1, 1), 1)] * 2),
    "cells of channels": ((3, 7, 8, 20), (1, 2), [(2, 2, (0, 0), 1)] * 2),
    "cells of channels with gaps": ((3, 7, 9, 20), (1, 2), [(2, 3, (0, 0), 1)] * 2),
    "long cells": ((3, 18, 40), (1, 2), [(9, 9, (0, 0), 1), (10, 10, (0, 0), 1)]),
    "long cells with a rest": ((3, 5, 47), (1, 2), [(2, 2, (0, 0), 1), (15, 15, (0, 0), 1)]),
    "whole planes": ((40, 7, 9), (1, 2), [(7, 1, (0, 0), 1), (9, 1, (0, 0), 1)]),
    "whole planes of channels": ((3, 7, 9, 20), (1, 2), [(7, 1, (0, 0), 1), (9, 1, (0, 0), 1)]),
    "stacked": ((2, 5, 7, 70), (1, 2), [(5, 1, (0, 0), 1), (7, 1, (0, 0), 1)]),
    "stacked, in layers": ((1, 17, 4_100), (1,), [(17, 17, (0, 0), 1)]),
    "swept": ((2, 60, 33), (1, 2), [(14, 1, (6, 13), 1), (3, 1, (1, 1), 1)]),
    "cells, padded before": ((3, 12, 15), (1, 2), [(3, 3, (1, 1), 1)] * 2),
    "cells, padded above alone": ((3, 7, 8), (1, 2), [(2, 2, (1, 0), 1), (2, 2, (0, 0), 1)]),
    "swept, columns at a stride": ((2, 40, 37), (1, 2), [(14, 1, (6, 7), 1), (3, 2, (1, 0), 1)]),
    "swept, channels behind": ((1, 31, 6, 70), (1, 2), [(13, 1, (0, 0), 1), (2, 2, (0, 0), 1)]),
    "swept, an axis before channels": ((2, 50, 70), (1,), [(15, 1, (14, 3), 1)]),
    "one large plane": ((2, 9, 64), (1, 2), [(9, 1, (0, 0), 1), (64, 1, (0, 0), 1)]),
    "stride 4": ((3, 66), (1,), [(4, 4, (0, 0), 1)]),
    "stride 5 and six elements": ((3, 70), (1,), [(6, 5, (2, 2), 1)]),
    "dilated": ((3, 12, 18), (1, 2), [(3, 1, (2, 2), 2), (2, 2, (1, 0), 3)]),
    "one row of windows": ((3, 1, 40), (1, 2), [(1, 1, (0, 0), 1), (3, 2, (1, 1), 1)]),
    "stride across rows": ((3, 9, 20), (1, 2), [(1, 2, (0, 0), 1), (3, 1, (1, 1), 1)]),
    "channels behind": ((3, 9, 10, 5), (1, 2), [(3, 2, (1, 1), 1)] * 2),
    "channels behind, stride 1": ((3, 9, 10, 5), (1, 2), [(3, 1, (1, 1), 1)] * 2),
    "cells of few channels": ((3, 12, 15, 3), (1, 2), [(4, 4, (0, 0), 1), (5, 5, (0, 0), 1)]),
    "cells of few channels with a rest": ((2, 7, 35, 2), (1, 2), [(2, 2, (0, 0), 1), (3, 3, (0, 0), 1)]),
    "long cells of few channels, padded": ((2, 9, 50, 3), (1, 2), [(2, 2, (0, 0), 1), (12, 12, (5, 4), 1)]),
    "few channels, dilated": ((2, 9, 31, 8), (1, 2), [(3, 1, (1, 1), 1), (3, 2, (2, 2), 2)]),
    "few channels, lopsided": ((2, 9, 31, 3), (1, 2), [(3, 2, (0, 1), 1), (7, 5, (4, 6), 1)]),
    "few channels, short rows": ((2, 9, 9, 3), (1, 2), [(3, 2, (1, 1), 1)] * 2),
    "long strides": ((3, 11, 47), (1, 2), [(2, 2, (1, 1), 1), (6, 5, (3, 2), 1)]),
    "few channels, a corner in the padding": ((7, 13, 6), (0, 1), [(3, 3, (2, 2), 1), (6, 6, (5, 1), 1)]),
    "rows first, padded, in layers": ((2, 31, 33, 10), (1, 2), [(8, 8, (0, 0), 1), (16, 5, (12, 1), 1)]),
    "few channels, swept": ((1, 40, 21, 3), (1, 2), [(14, 1, (6, 7), 1), (3, 2, (1, 0), 1)]),
    "volume of few channels": ((2, 6, 7, 14, 3), (1, 2, 3), [(2, 2, (0, 0), 1)] * 2 + [(3, 2, (1, 1), 1)]),
    "volume": ((2, 6, 6, 8), (1, 2, 3), [(2, 2, (0, 0), 1)] * 3),
    "volume, overlapping": ((2, 5, 6, 8), (1, 2, 3), [(3, 1, (1, 1), 1)] * 3),
    "four axes": ((4, 4, 4, 6), (0, 1, 2, 3), [(2, 2, (0, 0), 1)] * 4),
    "doubling": ((3, 14, 15), (1, 2), [(7, 1, (3, 3), 1)] * 2),
    "doubling, lopsided": ((3, 14, 20), (1, 2), [(13, 1, (12, 6), 1), (5, 1, (0, 4), 1)]),
    "doubling, stride 2 and dilated": ((2, 30, 31), (1, 2), [(9, 2, (4, 5), 1), (6, 2, (5, 3), 2)]),
    "doubling, channels behind": ((2, 12, 13, 70), (1, 2), [(6, 1, (2, 2), 1)] * 2),
    "doubling, volume": (
        (1, 4, 12, 13),
        (1, 2, 3),
        [(2, 1, (0, 0), 1), (6, 1, (3, 2), 1), (7, 1, (3, 3), 1)],
    ),
}


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """Lines even for small inputs, and small blocks and tiles, so that both are cut."""
    monkeypatch.setattr(plans, "WORTHWHILE", 0)
    monkeypatch.setattr(plans, "LARGE", 0)
    monkeypatch.setattr(jobs, "_jobs", {})


@pytest.fixture
def limits():
    """Sets other limits for a test."""
    with contextlib.ExitStack() as stack:
        yield lambda **others: stack.enter_context(choose.limited(**others))


@pytest.fixture
def used(monkeypatch):
    """Whether lines serve, a plan at a time."""
    served = []
    original = plans.plan

    def plan(*arguments):
        found = original(*arguments)
        served.append(isinstance(found, plans.Lines))
        return found

    monkeypatch.setattr(fp.cpu, "plan", plan)
    return served


def arguments(name):
    shape, axes, geometry = GEOMETRIES[name]
    window, stride, padding, dilation = zip(*geometry, strict=True)
    call = {"window": window, "stride": stride, "padding": padding, "dilation": dilation, "axes": axes}
    each = zip(axes, geometry, strict=True)
    tables = [reference.taps(shape[axis], k, s, *p, d, False) for axis, (k, s, p, d) in each]
    return shape, axes, call, tables


def numbers(shape, nan=False):
    rng = np.random.default_rng(3)
    x = rng.integers(-9, 9, shape) * rng.choice([0.5, -0.5], shape)  # zeros of both signs
    return np.where(rng.random(shape) < 0.03, np.nan, x) if nan else x


WITH_NAN = (
    "cells",
    "stride 2, overlapping",
    "channels behind",
    "few channels, lopsided",
    "doubling",
    "doubling, volume",
    "swept",
)


@pytest.mark.parametrize(
    ("name", "nan"), [(name, False) for name in GEOMETRIES] + [(name, True) for name in WITH_NAN]
)
def test_max_and_places(name, nan, used):
    shape, axes, call, tables = arguments(name)
    x = numbers(shape, nan).astype(np.float32)
    expected, where = reference.pool(x.astype(np.float64), "max", tables, axes)
    y = fp.max_pool(x, **call)
    with_places, places = fp.max_pool(x, **call, return_indices=True)
    assert used == [True, True]
    np.testing.assert_array_equal(places, where)
    for found in (y, with_places):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["doubling"])
def test_min(name, used):
    shape, axes, call, tables = arguments(name)
    x = numbers(shape, nan=True).astype(np.float32)
    expected, where = reference.pool(x.astype(np.float64), "min", tables, axes)
    y, places = fp.min_pool(x, **call, return_indices=True)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(fp.min_pool(x, **call), expected)
    np.testing.assert_array_equal(places, where)
    assert used == [True, True]


@pytest.mark.parametrize("name", GEOMETRIES)
def test_averages_and_sums(name, used):
    shape, axes, call, tables = arguments(name)
    x = numbers(shape).astype(np.float32)
    for include_pad in (True, False):
        expected, _ = reference.pool(x, "avg", tables, axes, include_pad=include_pad)
        y = fp.avg_pool(x, **call, count_include_pad=include_pad)
        np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
    if name in WITH_NAN:  # each kind of kernel once: compiling is what takes the time
        expected, _ = reference.pool(x, "sum", tables, axes)
        np.testing.assert_allclose(fp.sum_pool(x, **call), expected, rtol=1e-6, atol=1e-5)
    assert all(used)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("stride 2, overlapping", np.float16),
        ("stride 2, overlapping", np.uint8),
        ("doubling", BFLOAT16),
        ("long cells", np.int8),
        ("cells of few channels", np.uint8),
        ("few channels, lopsided", np.float16),
        ("doubling", np.float64),
        ("doubling", np.bool_),
    ],
)
def test_dtypes(name, dtype, used):
    shape, axes, call, tables = arguments(name)
    x = np.abs(numbers(shape)).astype(dtype) if dtype is not np.bool_ else numbers(shape) > 3
    wide = x.astype(np.float64) if x.dtype.kind not in "iub" else x
    expected, where = reference.pool(wide, "max", tables, axes)
    y, places = fp.max_pool(x, **call, return_indices=True)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y.astype(np.float64), expected.astype(np.float64))
    np.testing.assert_array_equal(places, where)
    if dtype not in (np.bool_, np.float64):
        y = fp.avg_pool(x, **call)
        expected = reference.pool(wide, "avg", tables, axes, include_pad=True)[0]
        assert y.dtype == x.dtype
        tolerance = 0 if x.dtype.kind in "iu" else 1e-2
        np.testing.assert_allclose(y.astype(np.float64), expected.astype(np.float64), rtol=tolerance)
        assert used == [True, True]


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [
        ("cells", np.uint8, None),
        ("doubling", np.int8, np.int32),
        ("cells of few channels", np.uint16, None),
        ("stride 2, overlapping", np.int32, None),
        ("whole planes", np.uint32, None),
    ],
)
def test_sums_of_integers(name, source, target, used):
    shape, axes, call, tables = arguments(name)
    rng, limits = np.random.default_rng(7), np.iinfo(source)
    x = rng.integers(limits.min, limits.max, shape, endpoint=True, dtype=limits.dtype)
    x.flat[:9] = limits.max
    x >>= max(0, limits.bits - 45)  # float64 holds the sums
    expected, _ = reference.pool(x.astype(np.float64), "sum", tables, axes)
    y = fp.sum_pool(x, **call, dtype=target)
    assert y.dtype == (target or np.sum(x).dtype)
    np.testing.assert_array_equal(y, expected)
    assert used == [True]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_integer_averages_round_half_up_on_every_sum(dtype, used):
    """Random sums, so that halves and their neighbours are met; and the extremes."""
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(1)
    for window in (6, 7):
        x = rng.integers(limits.min, limits.max, (40, 60 * window), dtype, endpoint=True)
        x[0] = limits.max
        x[1] = limits.min
        total = x.reshape(40, 60, window).astype(np.int64).sum(-1)
        np.testing.assert_array_equal(fp.avg_pool(x, (window,)), (2 * total + window) // (2 * window))
    assert used == [True] * 2


def test_cropped_and_readonly_inputs(used):
    shape, _, call, _ = arguments("stride 2, overlapping")
    whole = numbers([n + 3 for n in shape]).astype(np.float32)
    crop = whole[1:-2, 2:-1, 1:-2]
    crop.flags.writeable = False
    np.testing.assert_array_equal(fp.max_pool(crop, **call), fp.max_pool(crop.copy(), **call))
    assert used == [True, True]
    np.testing.assert_array_equal(
        fp.max_pool(crop, **call, return_indices=True)[1],
        fp.max_pool(crop.copy(), **call, return_indices=True)[1],
    )


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("op", ["max", "avg"])
def test_gradients(name, op):
    shape, axes, call, tables = arguments(name)
    x = cases.distinct(np.random.default_rng(2), shape, np.float32)
    y, pull = fp.vjp(fp.pool, x, op, **call)
    gy = np.random.default_rng(4).integers(-9, 9, y.shape).astype(np.float32)
    options = {"include_pad": True} if op == "avg" else {}
    expected = reference.pull(gy, x, op, tables, axes, **options)
    gx = pull(gy)
    assert gx.dtype == np.float32
    np.testing.assert_allclose(gx, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize("name", ["cells", "stride 2, overlapping", "one long line", "doubling"])
def test_bit_equal_for_every_number_of_threads(name, op, threads, monkeypatch):
    monkeypatch.setattr(fp.threads, "SERIAL_WORK", 0)
    shape, _, call, _ = arguments(name)
    x = np.random.default_rng(5).standard_normal((9, *shape[1:])).astype(np.float32)
    results = []
    for n in (1, 2, 3):
        threads(n)
        y, pull = fp.vjp(fp.pool, x, op, **call)
        results.append((y.tobytes(), pull(y).tobytes()))
    assert results[0] == results[1] == results[2]


def test_ties_at_the_padding_choose_an_element(used):
    """Where all elements are as low as padding is, the first of them is chosen, not the padding."""
    for dtype, low in ((np.uint8, 0), (np.float32, -np.inf)):
        x = np.full((2, 9, 11), low, dtype)
        for window, padding in (((3, 3), 1), ((7, 7), 3)):
            options = {"window": window, "stride": 1, "padding": padding, "axes": (1, 2)}
            _, places = fp.max_pool(x, **options, return_indices=True)
            rows, columns = (np.maximum(np.arange(n) - padding, 0) for n in (9, 11))
            np.testing.assert_array_equal(places, np.broadcast_to(rows[:, None] * 11 + columns, (2, 9, 11)))
    assert used == [True] * 4


def test_gradients_that_are_not_finite_stay_where_they_belong():
    x = cases.distinct(np.random.default_rng(2), (2, 8, 12), np.float32)
    y, pull = fp.vjp(fp.max_pool, x, (2, 2), stride=1)
    gy = np.ones_like(y)
    gy[0, 3, 4] = np.inf
    gx = pull(gy)
    assert np.isinf(gx).sum() == 1
    assert not np.isnan(gx).any()


@pytest.mark.parametrize("order", [(2, 1, 0), (0, 2, 1), (1, 2, 0)])
@pytest.mark.parametrize(("op", "dtype"), [("max", np.float32), ("avg", np.float32), ("avg", np.uint8)])
def test_memory_in_another_order(op, dtype, order, used):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 99, (9, 10, 11)).astype(dtype)
    turned = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
    for window in ((2, 3), (2, 1), (3, 2, 2)):
        y = fp.pool(turned, op, window, padding=1 if min(window) > 1 else 0)
        assert y.flags.c_contiguous
        np.testing.assert_array_equal(y, fp.pool(x, op, window, padding=1 if min(window) > 1 else 0))
    if op == "max":
        for found, expected in zip(
            fp.pool(turned, op, (2, 2), return_indices=True),
            fp.pool(x, op, (2, 2), return_indices=True),
            strict=True,
        ):
            np.testing.assert_array_equal(found, expected)
    else:
        assert all(used)


def random_call(rng):
    """A random geometry of 1 to 3 pooled axes, at any place of an array, that has no empty window."""
    pooled = int(rng.integers(1, 4))
    first = int(rng.integers(0, 2))
    behind = int(rng.integers(0, 2))
    shape, geometry = [3] * first, []
    for _ in range(pooled):
        k, d, s = (int(rng.integers(1, top)) for top in (9 if pooled == 3 else 20, 3, 6))
        if rng.random() < 0.3:
            d, s = 1, k
        n = int(rng.integers(d * (k - 1) + 1, 45))
        before, after = (int(rng.integers(0, min(d * (k - 1) + 1, k))) if d == 1 else 0 for _ in range(2))
        shape.append(n)
        geometry.append((k, s, (before, after), d))
    shape += [int(rng.choice([5, 20]))] * behind
    axes = tuple(range(first, first + pooled))
    tables = [
        reference.taps(shape[axis], k, s, *p, d, False)
        for axis, (k, s, p, d) in zip(axes, geometry, strict=True)
    ]
    window, stride, padding, dilation = zip(*geometry, strict=True)
    call = {"window": window, "stride": stride, "padding": padding, "dilation": dilation, "axes": axes}
    return tuple(shape), axes, call, tables


@pytest.mark.parametrize("seed", range(48))
def test_random_geometries(seed):
    rng = np.random.default_rng(seed)
    shape, axes, call, tables = random_call(rng)
    x = cases.distinct(rng, shape, np.float32)
    expected, where = reference.pool(x.astype(np.float64), "max", tables, axes)
    y, places = fp.max_pool(x, **call, return_indices=True)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(places, where)
    np.testing.assert_array_equal(fp.max_pool(x, **call), expected)
    average, _ = reference.pool(x, "avg", tables, axes, include_pad=False)
    found, pull = fp.vjp(fp.avg_pool, x, **call, count_include_pad=False)
    np.testing.assert_allclose(found, average, rtol=1e-5, atol=1e-6 * np.abs(x).max())
    gy = rng.integers(-9, 9, y.shape).astype(np.float32)
    gradient = reference.pull(gy, x, "avg", tables, axes, include_pad=False)
    np.testing.assert_allclose(pull(gy), gradient, rtol=1e-4, atol=1e-4)
    _, pull = fp.vjp(fp.max_pool, x, **call)
    np.testing.assert_allclose(pull(gy), reference.pull(gy, x, "max", tables, axes), rtol=1e-5, atol=1e-5)


def check(rng, x, call, tables):
    """Values and gradients of an array filled with ties, infinities, zeros of both signs, and then NaN."""
    shape, floats = x.shape, x.dtype.kind == "f"
    x[:] = rng.integers(0, 9, shape)
    if floats:
        x *= rng.choice(np.array([0.5, -0.5], x.dtype), shape)
        x[rng.random(shape) < 0.05 * rng.integers(0, 4)] = -np.inf
        x[:, : rng.integers(0, 5), : rng.integers(0, 9)] = -np.inf
    for nan in (False, True)[: 1 + floats]:
        if nan:
            x[rng.random(shape) < 0.002] = np.nan
            x[0, shape[1] - 1, shape[2] - 1] = np.nan
        exact = x.astype(np.float64)
        for op in ("max", "min")[: 1 + (x.dtype == np.float32)]:
            expected, _ = reference.pool(exact, op, tables, (1, 2))
            found = fp.pool(x, op, **call)
            np.testing.assert_array_equal(found, expected)
            if floats:
                found, pull = fp.vjp(fp.pool, x, op, **call)
                np.testing.assert_array_equal(found, expected)
                gy = rng.integers(1, 99, expected.shape).astype(x.dtype)
                np.testing.assert_array_equal(pull(gy), reference.pull(gy, exact, op, tables, (1, 2)))
        if x.dtype == np.float32 and not np.isinf(x).any():
            expected, _ = reference.pool(exact, "sum", tables, (1, 2))
            np.testing.assert_allclose(fp.sum_pool(x, **call), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seed", range(36))
def test_windows_of_3x3_in_one_pass(seed, limits, kernels):
    """At strides 1 and 2, cut into blocks and parts: values, and the elements that gradients go to."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(rng.choice(["float32", "float32", "float64", "int32" if seed % 2 else "float32"]))
    limits(plane=0, registers=1, long=int(rng.choice([80, 4_000])), low=int(rng.choice([5, 128])))
    stride, channels = (1, int(rng.choice([1, 3]))) if seed % 2 else (2, 1)
    step = int(rng.integers(1, 3)) if stride == 1 else 1
    shape, geometry = [2], []
    for axis, most in ((0, 40), (1, 150)):
        least = max(16, 64 // dtype.itemsize) * stride + 2 * step if axis else 3
        ceil_mode = bool(stride == 2 and seed % 3 == 0)
        around = tuple(int(n) for n in rng.integers(0, 2, 2))
        shape.append(int(rng.integers(least, least + most)))
        if axis and ceil_mode and (shape[-1] + around[0]) % 2:  # no two elements outside
            shape[-1] += 1
        geometry.append((3, stride, around, step if axis else 1))
    shape += [channels] * (channels > 1)
    tables = [
        reference.taps(n, k, s, *p, d, ceil_mode)
        for n, (k, s, p, d) in zip(shape[1:3], geometry, strict=True)
    ]
    window, strides, padding, dilation = zip(*geometry, strict=True)
    call = {"window": window, "stride": strides, "padding": padding, "dilation": dilation, "axes": (1, 2)}
    call["ceil_mode"] = ceil_mode
    floats = dtype.kind == "f"
    around = np.full([2, shape[1] + 4, shape[2] + 6, *shape[3:]], np.nan if floats else 99).astype(dtype)
    x = around[:, 2:-2, 3:-3] if seed % 5 == 0 else np.empty(shape, dtype)
    check(rng, x, call, tables)
    assert f"slides by {stride}" in kernels


@pytest.mark.parametrize("seed", range(24))
def test_planes_of_short_rows_as_one_line(seed, kernels):
    """Windows of 3x3 and larger around every element, of high planes too and of rows of few elements."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(("float32", "float32", "float64", "uint8", "int8")[seed % 5])
    step, channels = (int(rng.integers(1, 3)), int(rng.choice([1, 5])))
    high, wide = (3, 3) if seed % 2 else (int(n) for n in rng.choice([3, 5, 7, 9, 13, 15, 23], 2))
    most = (23 if seed % 2 else planes.COLUMNS) // channels
    columns = int(rng.integers(max(2 * step, wide // 2), most + 1))
    most = choose.USUAL.plane // (columns * channels)
    least, most = (most // 2, most) if seed < 8 else (high // 2 + 1, min(40, most))
    shape = [3, int(rng.integers(least, most + 1)), columns]
    shape += [channels] * (channels > 1)
    padding, dilation = (high // 2, wide // 2 * step), (1, step)
    call = {"window": (high, wide), "stride": 1, "padding": padding, "dilation": dilation, "axes": (1, 2)}
    tables = [
        reference.taps(n, k, 1, p, p, d, False)
        for n, k, p, d in zip(shape[1:3], (high, wide), padding, dilation, strict=True)
    ]
    check(rng, np.empty(shape, dtype), call, tables)
    assert "planes" in kernels


@pytest.mark.parametrize("seed", range(24))
def test_windows_that_slide_row_by_row(seed, limits, kernels):
    """Few rows and short ones, cut into blocks and parts: up to 9x9, and long ones, which double."""
    long = int(np.random.default_rng(seed).choice([20, 4_000]))
    limits(plane=0, slid=16, low=10, long=long)  # 16 are a register
    rng = np.random.default_rng(seed)
    high, wide = rng.integers(3, 10, 2) if seed % 2 else (15, 4)
    shape, geometry = [2], []
    for k, least in ((int(high), 5), (int(wide), 1)):
        d = int(rng.integers(1, 3))
        before, after = (int(n) for n in rng.integers(0, k, 2)) if d == 1 else [k // 2] * 2
        shape.append(int(least * (d * (k - 1) + 1) + rng.integers(1, 25)))
        geometry.append((k, 1, (before, after), d))
    shape += [3] * (seed // 2 % 2)
    tables = [
        reference.taps(n, k, s, *p, d, False) for n, (k, s, p, d) in zip(shape[1:3], geometry, strict=True)
    ]
    window, stride, padding, dilation = zip(*geometry, strict=True)
    call = {"window": window, "stride": stride, "padding": padding, "dilation": dilation, "axes": (1, 2)}
    dtype = np.int32 if seed % 10 == 9 else np.float32
    x = rng.integers(0, 99, shape).astype(dtype) * rng.choice(np.array([1, -1], dtype), shape)
    for nan in (False, True)[: 1 + (x.dtype.kind == "f")]:
        if nan:
            x[rng.random(shape) < 0.002] = np.nan
            x[0, shape[1] - 1, shape[2] - 1] = np.nan
        for op in ("max", "min"):
            expected, _ = reference.pool(x.astype(np.float64), op, tables, (1, 2))
            found = fp.pool(x, op, **call)
            np.testing.assert_array_equal(found, expected)
        expected, _ = reference.pool(x.astype(np.float64), "sum", tables, (1, 2))
        np.testing.assert_allclose(fp.sum_pool(x, **call), expected, rtol=3e-6, atol=1e-3)
        found = fp.avg_pool(x, **call)
        if x.dtype.kind == "f":
            expected, _ = reference.pool(x.astype(np.float64), "avg", tables, (1, 2), include_pad=True)
            np.testing.assert_allclose(found, expected, rtol=3e-6, atol=1e-5)
    if dilation[0] == 1 and np.prod(found.shape[2:]) >= 16:
        assert high == 3 or {"slides of up to 9x9", "doubling"} & set(kernels)
    else:
        assert "slides of up to 9x9" not in kernels


def test_windows_that_are_too_long_take_the_skeleton_where_places_are_wanted(used):
    x = np.random.default_rng(0).standard_normal((2, 1500)).astype(np.float32)
    y, places = fp.max_pool(x, (1400,), stride=50, return_indices=True)
    windows = np.lib.stride_tricks.sliding_window_view(x, 1400, 1)[:, ::50]
    np.testing.assert_array_equal(y, windows.max(2))
    np.testing.assert_array_equal(places, windows.argmax(2) + 50 * np.arange(3))
    assert used == [False]


def test_long_windows_before_other_elements_are_rows(used):
    x = np.random.default_rng(0).standard_normal((2, 1500, 40)).astype(np.float32)
    y, places = fp.max_pool(x, (1500,), axes=1, return_indices=True)
    np.testing.assert_array_equal(y, x.max(1, keepdims=True))
    np.testing.assert_array_equal(places, x.argmax(1)[:, None])
    assert used == [True]


@pytest.mark.parametrize("shape", [(3, 2, 41, 23), (2, 1000), (5, 64, 4)])
def test_whole_planes(shape, used):
    x = numbers(shape).astype(np.float32)
    axes = tuple(range(1 if len(shape) < 4 else 2, len(shape)))
    flat = x.reshape(*shape[: axes[0]], -1)
    for nan in (False, True):
        if nan:
            flat[0, ..., 70] = np.nan
        y, places = fp.adaptive_pool(x, "max", (1,) * len(axes), axes=axes, return_indices=True)
        np.testing.assert_array_equal(places.reshape(flat.shape[:-1]), np.argmax(flat, -1))
        first = np.take_along_axis(flat, np.argmax(flat, -1)[..., None], -1).reshape(y.shape)
        for found in (y, fp.global_max_pool(x, axes=axes, keepdims=True)):
            np.testing.assert_array_equal(found, first)
    x = np.nan_to_num(x)
    np.testing.assert_allclose(fp.global_avg_pool(x, axes=axes), x.mean(axes, np.float64), atol=1e-6)
    assert all(used)


CUBES, SLABS, IMAGES = ((9, 51, 61), (2, 2, 2)), ((2, 31, 55), (1, 2, 2)), ((5, 9, 70, 20), (2, 2))


@pytest.mark.parametrize(
    ("shape", "window", "dtype"),
    [(*each, dtype) for each in (CUBES, SLABS, IMAGES) for dtype in (np.uint8, np.float32)]
    + [(*CUBES, np.int8), (*SLABS, np.float16), (*IMAGES, np.uint16)],
)
def test_cells_and_what_is_left_at_the_ends(dtype, shape, window, used):
    """Odd extents, rounded up: some blocks are cells, straight from the input, and others are not."""
    x = (numbers(shape) * 8 + (40 if np.dtype(dtype).kind == "u" else 0)).astype(dtype)
    axes = (0, 1, 2) if len(window) == 3 else (1, 2)
    for ceil_mode in (False, True):
        each = [reference.taps(shape[a], k, k, 0, 0, 1, ceil_mode) for a, k in zip(axes, window, strict=True)]
        call = {"axes": axes, "ceil_mode": ceil_mode}
        exact = x.astype(np.float64)
        for op in ("max", "min", "avg") if dtype is np.float32 else ("max", "avg"):
            expected, _ = reference.pool(exact, op, each, axes)
            if x.dtype.kind in "iu":
                expected = np.floor(expected + 0.5)
            np.testing.assert_array_equal(fp.pool(x, op, window, **call), expected.astype(dtype))
    assert all(used)


@pytest.mark.parametrize("form", ["values", "taps", "indices"])
@pytest.mark.parametrize(
    ("shape", "axes"), [((3, 8, 64), (1, 2)), ((2, 4, 6, 50), (1, 2, 3)), ((2, 6, 10, 18), (1, 2))]
)
def test_a_nan_at_any_place_of_a_cell(shape, axes, form, rng):
    """The passes over cells look at each element themselves."""
    clean = rng.standard_normal(shape).astype(np.float32)
    cells = [(n // 2, 2) if axis in axes else (n, 1) for axis, n in enumerate(shape)]
    within = tuple(range(1, 2 * len(shape), 2))
    for corner in np.ndindex(*(2 if axis in axes else 1 for axis in range(len(shape)))):
        at = tuple(
            2 * int(rng.integers(n // 2)) + c if axis in axes else int(rng.integers(n))
            for axis, (n, c) in enumerate(zip(shape, corner, strict=True))
        )
        x = clean.copy()
        x[at] = np.nan
        expected = x.reshape(sum(cells, ())).max(within)
        if form == "values":
            y = fp.max_pool(x, 2, axes=axes)
        elif form == "indices":
            y, indices = fp.max_pool(x, 2, axes=axes, return_indices=True)
            hole = tuple(i // 2 if axis in axes else i for axis, i in enumerate(at))
            plane = [i for axis, i in enumerate(at) if axis in axes]
            assert indices[hole] == np.ravel_multi_index(plane, [shape[axis] for axis in axes])
        else:
            y, pull = fp.vjp(fp.max_pool, x, 2, axes=axes)
            assert pull(np.ones_like(y))[at] == 1
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_places_of_volumes_with_ties(dtype, rng, used):
    x = rng.integers(0, 4, (2, 6, 9, 10)).astype(dtype)
    for window, stride in ((2, 2), (3, 1)):
        tables = [reference.taps(n, window, stride, 0, 0, 1, False) for n in x.shape[1:]]
        expected, where = reference.pool(x.astype(np.float64), "max", tables, (1, 2, 3))
        y, places = fp.max_pool(x, window, stride=stride, axes=(1, 2, 3), return_indices=True)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(places, where)
    assert used == [True, True]
