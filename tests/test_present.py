"""Rows of what takes part: against the general skeleton, wherever regular windows of large arrays are."""

import os

import cases
import numpy as np
import pytest
import reference
from test_whole import between_guards

import fastpool as fp
from fastpool import jobs
from fastpool.cpu import choose, plans, present


@pytest.fixture
def made(monkeypatch):
    """The ways along lines of the plans that were made; plans are not kept from call to call."""
    names = []
    original = present.kernel

    def kernel(kind):
        names.append(kind.along.__name__)
        return original(kind)

    monkeypatch.setattr(present, "kernel", kernel)
    jobs.forget()
    return names


def by_skeleton(monkeypatch, call):
    """The same call by the general skeleton."""
    with monkeypatch.context() as patch:
        patch.setattr(plans, "WORTHWHILE", 10**9)
        jobs.forget()
        result = call()
    jobs.forget()
    return result


def geometry(rng):
    """A large array's shape and a sliding call of its neighbouring axes."""
    count = int(rng.integers(1, 4))
    ndim = count + int(rng.integers(0, 3))
    first = int(rng.integers(0, ndim - count + 1))
    axes = tuple(range(first, first + count))
    shape = [int(rng.integers(1, 5)) for _ in range(ndim)]
    channels = int(np.prod(shape[axes[-1] + 1 :]))
    long = int(rng.integers(5, 9)) if count == 3 else int(rng.integers(9, 40))
    for axis in axes:
        shape[axis] = max(1, int(rng.integers(long // 2, 2 * long)) // (channels if axis == axes[-1] else 1))
    window, stride, dilation, padding = [], [], [], []
    for axis in axes:
        k = min(int(rng.choice([1, 2, 2, 3, 4, 5, 6, 8, 11])), shape[axis])
        s = int(rng.choice([k, k, 1, 2, 3, 5, 7]))
        d = int(rng.choice([1, 1, 2])) if shape[axis] > 2 * k else 1
        window.append(k)
        stride.append(s)
        dilation.append(d)
        padding.append(tuple(rng.integers(0, d * (k - 1) + 1, 2).tolist()) if rng.random() < 0.4 else (0, 0))
    call = {"window": window, "stride": stride, "dilation": dilation, "padding": padding, "axes": axes}
    call["ceil_mode"] = bool(rng.integers(2))
    tables = [
        reference.taps(shape[axis], k, s, *around, d, call["ceil_mode"])
        for axis, k, s, around, d in zip(axes, window, stride, padding, dilation, strict=True)
    ]
    return (call, shape) if all(tables) and np.prod(shape) >= 2_000 else geometry(rng)


def holes(rng, x, way, first):
    """Arguments that leave elements out, some of whose windows are empty, or weigh them.

    A mask and weights may be those of one plane, or of one row.
    """
    given = {"fill": 99}
    shapes = [x.shape, x.shape[-1:], x.shape[first:], x.shape[max(first - 1, 0) :]]
    if "where" in way:
        given["where"] = rng.random(shapes[rng.integers(4)]) < rng.choice([0.4, 0.9])
    if "weights" in way:
        weights = rng.integers(0, 3, shapes[rng.integers(4)]) * rng.choice([0.5, 0.3])
        given["weights"] = weights.astype(rng.choice(["float32", "float64", "float16"]))
    if "skipna" in way:
        x[rng.random(x.shape) < 0.3] = np.nan
        given["skipna"] = True
    if "nodata" in way:
        given["nodata"] = x.dtype.type(3)
    return given


def agree(monkeypatch, made, rng, op, dtype, way, call, shape):
    """The rows give what the skeleton gives."""
    x = (rng.integers(0, 7, shape) - (0 if dtype == "uint8" else 2)).astype(dtype)
    given = holes(rng, x, way, min(call["axes"]))
    if "weights" not in given and np.prod(call["window"]) > 1 and rng.random() < 0.3:
        given["min_count"] = 2
    before = len(made)
    found = fp.pool(x, op, **call, **given)
    assert len(made) > before, f"{op} {call} {shape}"
    wanted = by_skeleton(monkeypatch, lambda: fp.pool(x, op, **call, **given))
    assert found.dtype == wanted.dtype
    error = 1e-3 if dtype == "float16" else 1e-6
    np.testing.assert_allclose(found, wanted, rtol=error, atol=error, err_msg=f"{op} {call} {shape}")


@pytest.mark.parametrize("seed", range(int(os.environ.get("FASTPOOL_SEEDS", "16"))))
def test_rows_are_what_the_skeleton_gives(monkeypatch, made, seed):
    """Any geometry, of few kernels."""
    rng = np.random.default_rng(seed)
    limits = {"long": [16, 64, 4096][seed % 3], "near": [20, 1600][seed % 2], "task": [300, 10**5][seed % 2]}
    with choose.limited(**limits):
        for op, way in (("max", "skipna"), ("avg", "where"), ("max", "skipna"), ("avg", "weights where")):
            agree(monkeypatch, made, rng, op, "float32", way, *geometry(rng))


@pytest.mark.parametrize(
    ("op", "dtype", "way"),
    [
        *(("avg", "float32", "where skipna nodata"), ("count", "float32", "skipna")),
        *(("max", "float16", "nodata"), ("min", "float64", "where"), ("lp", "float32", "skipna")),
        *(("avg", "uint8", "nodata"), ("max", "uint8", "where nodata")),
        *(("sum", "int16", "nodata"), ("avg", "int32", "where")),
        *(("sum", "float32", "weights skipna"), ("avg", "float64", "weights"), ("avg", "float16", "weights")),
    ],
)
def test_operators_and_dtypes(monkeypatch, made, rng, op, dtype, way):
    """Any operator, dtype and way of leaving elements out, of few geometries."""
    call = {"window": (2, 2), "axes": (1, 2), "padding": (1, 0)}
    agree(monkeypatch, made, rng, op, dtype, way, call, (3, 30, 40))


@pytest.mark.parametrize("task", [500, 10**5])
@pytest.mark.parametrize(
    ("op", "dtype", "way"),
    [
        *(("avg", "float32", "where"), ("max", "float32", "where"), ("avg", "float64", "where")),
        *(("avg", "uint8", "where"), ("sum", "float16", "where"), ("count", "float32", "where")),
        *(
            ("avg", "float32", "skipna"),
            ("avg", "float32", "where skipna nodata"),
            ("avg", "float32", "weights"),
        ),
    ],
)
def test_squares(monkeypatch, made, rng, op, dtype, way, task):
    """2x2 side by side: rows of an odd length, planes taken as one, masks of a plane and of a row."""
    for shape, axes in (
        ((33, 77), (0, 1)),
        ((3, 30, 40), (1, 2)),
        ((3, 31, 41), (1, 2)),
        ((2, 900, 2), (1, 2)),
    ):
        for _ in range(3):
            call = {"window": (2, 2), "axes": axes}
            with choose.limited(task=task):
                agree(monkeypatch, made, rng, op, dtype, way, call, shape)
            assert made[-1] == "squares"


def test_every_way_along_lines_is_reached(made, rng):
    x = rng.random((64, 96, 4), np.float32)
    calls = {
        "squares": ((64, 384), (2, 2), (2, 2), (0, 1)),
        "pair": ((64, 384), (4, 2), (4, 2), (0, 1)),
        "cells": ((64, 384), (2, 6), (2, 6), (0, 1)),
        "ones": ((64, 384), (3, 3), (1, 1), (0, 1)),
        "phases": ((64, 384), (3, 3), (2, 2), (0, 1)),
        "channels": ((64, 2, 192), (3, 2), (2, 2), (0, 1)),
        "picked": ((64, 96, 4), (3, 3), (2, 2), (0, 1)),
    }
    for name, (shape, window, stride, axes) in calls.items():
        y = fp.max_pool(x.reshape(shape), window, stride=stride, axes=axes, skipna=True)
        np.testing.assert_array_equal(y, fp.max_pool(x.reshape(shape), window, stride=stride, axes=axes))
        assert made[-1] == name
    assert {way.__name__ for _, way in present.ALONG} == set(calls)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize(
    ("shape", "window", "stride"),
    [
        ((40, 60), (2, 2), (2, 2)),
        ((41, 61), (3, 3), (2, 2)),
        ((40, 60), (5, 5), (1, 1)),
        ((10, 10, 30), (2, 2, 3), (2, 2, 3)),
    ],
)
def test_nothing_beyond_the_arrays_is_read(rng, shape, window, stride, at_end):
    x = rng.random(shape, np.float32)
    where = (rng.random(shape) < 0.7).view(np.uint8)
    placed, mask = (between_guards(each, at_end=at_end) for each in (x, where))
    for op in ("max", "avg", "count"):
        call = {"stride": stride, "fill": -1}
        wanted = fp.pool(x, op, window, **call, where=where.view(bool))
        np.testing.assert_array_equal(fp.pool(placed, op, window, **call, where=mask.view(bool)), wanted)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize(
    ("shape", "window", "stride"),
    [
        ((5, 40, 60), (2, 2), (2, 2)),  # planes become one
        ((5, 41, 61), (3, 3), (2, 2)),
        ((5, 600), (2,), (2,)),  # rows become one
        ((2, 3, 10, 10, 30), (2, 2, 3), (1, 1, 1)),
    ],
)
def test_what_planes_share_is_read_once_and_not_beyond_its_end(rng, shape, window, stride, at_end):
    x, plane = rng.random(shape, np.float32), shape[-len(window) :]
    where, weights = (rng.random(plane) < 0.7).view(np.uint8), rng.random(plane)
    mask, weighs = (between_guards(each, at_end=at_end) for each in (where, weights))
    for op, given in (("max", {}), ("avg", {}), ("avg", {"weights": weighs})):
        call = {"window": window, "stride": stride, "fill": -1}
        full = {name: np.broadcast_to(each, shape).copy() for name, each in given.items()}
        wanted = fp.pool(x, op, **call, **full, where=np.broadcast_to(where, shape).copy().view(bool))
        np.testing.assert_array_equal(fp.pool(x, op, **call, **given, where=mask.view(bool)), wanted)


@pytest.mark.parametrize("layout", cases.LAYOUTS)
def test_layouts(rng, layout):
    x = rng.random((3, 40, 50, 4), np.float32)
    x[rng.random(x.shape) < 0.3] = np.nan
    odd = cases.arrange(x, layout)
    for axes in ((1, 2), (2,), (0, 1, 2)):
        call = {"window": 2, "axes": axes, "skipna": True}
        np.testing.assert_array_equal(fp.avg_pool(odd, **call), fp.avg_pool(x, **call))


def test_threads_give_the_same_bits(rng, threads):
    x = rng.random((700, 700), np.float32)
    x[rng.random(x.shape) < 0.3] = np.nan
    found = []
    for count in (1, 2):
        threads(count)
        found.append(fp.avg_pool(x, (3, 3), stride=2, skipna=True))
    np.testing.assert_array_equal(*found)


def test_integer_holes_write_nothing(rng):
    x = rng.integers(0, 9, (64, 64)).astype(np.int16)
    where = np.ones(x.shape, bool)
    where[20:22, 30:32] = False
    out = np.full((32, 32), 42, np.int16)
    with pytest.raises(ValueError, match=r"window \(10, 15\) of the max result has 0 elements"):
        fp.max_pool(x, (2, 2), where=where, out=out)
    assert (out == 42).all()
    fp.max_pool(x, (2, 2), where=where, out=out, fill=-1)
    assert out[10, 15] == -1


def test_sums_that_overflow_are_right(rng):
    x = np.full((50, 50), 3e38, np.float32)
    x[::3] = np.nan
    y = fp.avg_pool(x, (5, 5), skipna=True)
    np.testing.assert_allclose(y, 3e38, rtol=1e-6)


def test_gradients_of_large_arrays(rng):
    x = rng.random((60, 70), np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan
    y, pull = fp.vjp(fp.avg_pool, x, (3, 3), stride=2, skipna=True)
    gy = rng.random(y.shape, np.float32)
    mask = ~np.isnan(x)
    tables = [reference.taps(n, 3, 2, 0, 0, 1, False) for n in x.shape]
    wanted, _ = reference.pull_some(gy, x, "avg", tables, (0, 1), mask)
    np.testing.assert_allclose(pull(gy), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("byte", [2, 128, 254, 255])
def test_bools_that_are_other_bytes(byte, rng):
    """As NumPy has them: any byte but 0 is True."""
    x, mask = rng.random((64, 96), np.float32), rng.integers(0, 2, (64, 96), np.uint8)
    given = (mask * np.uint8(byte)).view(bool)
    for window in ((2, 2), (3, 3), (4, 2)):
        wanted = fp.avg_pool(x, window, where=mask.astype(bool), fill=-1)
        np.testing.assert_array_equal(fp.avg_pool(x, window, where=given, fill=-1), wanted)
