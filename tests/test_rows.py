"""The row engine: random geometries of every kind, in both layouts, cut into tiles and blocks."""

import numpy as np
import pytest
import reference

import fastpool as fp
from fastpool import jobs, reuse
from fastpool.cpu import choose

pytestmark = pytest.mark.usefixtures("kernels_for_small_inputs")
SEEDS = range(18)
LIMITS = {"plane": 0, "row_of_cells": 10**6, "registers": 10**6, "slid": 10**6}
CHANNELS = {
    "ones": [1, 1, 3, 12],
    "cells": [1],
    "phases": [1],
    "channels": [9, 17],
    "picked ones": [1, 2, 3, 4, 5, 8],
}


def geometry(rng, along):
    """Shape, axes, and per axis window, stride, padding, dilation and length."""
    count, channels = int(rng.integers(1, 4)), int(rng.choice(CHANNELS[along]))
    found = []
    for axis in range(count):
        stride = int(rng.integers(1, 6))
        window = (
            int(rng.integers(1, min(16, max(5, 4 * stride)) + 1)) if count < 3 else int(rng.integers(1, 4))
        )
        dilation = int(rng.choice([1, 1, 1, 2, 3]))
        if axis == count - 1 and along == "ones":
            stride, window = 1, min(window, 5)
        elif axis == count - 1 and along == "cells":
            stride = window = int(rng.choice([2, 3, 4, 6, 8, 9, 12, 16]))
            dilation = 1
        elif axis == count - 1:
            stride = int(rng.integers(2, 9 if channels == 1 else 6))
        span = (window - 1) * dilation + 1
        before, after = (int(n) for n in rng.integers(0, window, 2)) if rng.integers(2) else (0, 0)
        least = max(1, span - before - after)
        most = {1: 300, 2: 60, 3: 14}[count]
        found.append((window, stride, (before, after), dilation, least + int(rng.integers(0, most))))
    window, stride, padding, dilation, lengths = zip(*found, strict=True)
    shape = (2, *lengths) if channels == 1 else (2, *lengths, channels)
    axes = tuple(range(1, 1 + count))
    return shape, axes, {"window": window, "stride": stride, "padding": padding, "dilation": dilation}


@pytest.mark.parametrize("along", CHANNELS)
@pytest.mark.parametrize("seed", SEEDS)
def test_rows(seed, along):
    rng = np.random.default_rng([seed, len(along)])
    shape, axes, call = geometry(rng, along)
    tables = [
        reference.taps(shape[axis], k, s, *p, d, False)
        for axis, k, s, p, d in zip(axes, *call.values(), strict=True)
    ]
    dtype = np.dtype(("float32", "float16", "uint8")[seed % 3])
    x = rng.integers(0, 200, shape).astype(dtype)
    if dtype.kind == "f" and seed % 2:
        x[tuple(rng.integers(shape))] = np.nan  # a second one would hide that none was seen
    limits = {"near": int(rng.choice([1, 50, 1_600])), "long": int(rng.choice([8, 40, 4_096]))}
    limits["task"] = int(rng.choice([1, 1_000, 100_000]))
    exact = x.astype(np.float64)
    with choose.limited(**LIMITS, **limits):
        for op in ("max", "avg", "lp") if seed % 6 == 0 else ("max", "avg"):
            include = op != "avg" or seed % 4 > 0
            expected, _ = reference.pool(exact, op, tables, axes, include_pad=include)
            found = fp.pool(x, op, axes=axes, **call, **({} if include else {"count_include_pad": False}))
            if op == "avg" and dtype.kind in "iu":
                expected = np.floor(expected + 0.5)
            exactly = op == "max" or dtype.kind in "iu"
            np.testing.assert_allclose(
                found, expected, rtol=0 if exactly else 1e-3 if dtype == "float16" else 2e-6
            )


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [2, 3])
@pytest.mark.parametrize("window", [2, 3])
def test_dilated_windows_in_the_padding_see_each_row(window, dilation, stride):
    """There, a window may begin behind the first row of the next one."""
    call = {
        "window": (window, 3),
        "stride": (stride, 1),
        "padding": (window // 2, 1),
        "dilation": (dilation, 1),
    }
    for row in (0, 1, 2, 3, 7, 18):
        x = np.random.default_rng(row).random((1, 19, 40), np.float32)
        for op in ("max", "lp"):
            x[0, row, 20] = np.nan if op == "max" else 50
            tables = [
                reference.taps(n, k, s, p, p, d, False)
                for n, k, s, p, d in zip(x.shape[1:], *call.values(), strict=True)
            ]
            expected, _ = reference.pool(x.astype(np.float64), op, tables, (1, 2))
            with choose.limited(**LIMITS):
                np.testing.assert_allclose(fp.pool(x, op, axes=(1, 2), **call), expected, rtol=2e-6)


def test_each_way_along_rows_is_reached(kernels):
    rng = np.random.default_rng(0)
    x, last = rng.random((2, 3, 40, 40), np.float32), rng.random((2, 40, 40, 12), np.float32)
    fp.max_pool(x, 3, stride=(2, 1), padding=1)
    fp.max_pool(x, 3)
    fp.max_pool(x, 3, stride=(1, 2), padding=1)
    fp.max_pool(last, 3, stride=2, axes=(1, 2))
    fp.max_pool(last[..., :4].copy(), 3, stride=2, axes=(1, 2))
    assert kernels == [f"rows of {along}" for along in CHANNELS]


@pytest.mark.parametrize("along", [*CHANNELS, "doubling"])
@pytest.mark.parametrize("seed", range(3))
def test_bits_do_not_depend_on_what_was_in_memory(seed, along, monkeypatch):
    """An infinity makes a sum look as if it overflowed: then what scratch memory held must not decide."""
    rng = np.random.default_rng([seed, len(along)])
    if along == "doubling":  # rows between windows are left out
        shape, axes, call = (3, 50 + 7 * seed, 80), (1, 2), {"window": (2, 9), "stride": (5, 1)}
    else:
        shape, axes, call = geometry(rng, along)
    x = rng.random(shape, np.float32)
    x[tuple(rng.integers(shape))] = np.inf
    original, results = reuse.empty, []
    for held in (0, 3e38):

        def empty(*arguments, held=held):
            found = original(*arguments)
            found[:] = held if found.dtype.kind == "f" else 1
            return found

        monkeypatch.setattr(reuse, "empty", empty)
        monkeypatch.setattr(jobs, "_jobs", {})
        with choose.limited(**LIMITS):
            results.append(fp.sum_pool(x, axes=axes, **call).tobytes())
    assert results[0] == results[1]


def few_axes(rng):
    """Windows of one or two axes before many elements, or of a short last axis."""
    if rng.integers(3) == 0:
        window = int(rng.integers(2, 10))
        shape = int(rng.integers(2, 300)), int(rng.integers(1, 4)), window * int(rng.integers(1, 3))
        return shape, (1, 2), {"window": (1, window), "stride": (1, window)}
    found, count = [], int(rng.integers(1, 3))
    for _ in range(count):
        stride, dilation = int(rng.choice([1, 1, 2, 3, 7])), int(rng.choice([1, 1, 2]))
        window = int(rng.choice([1, 2, 3, 5, 7, 9, 13, 31, 40] if count == 1 else [1, 2, 3, 5]))
        before, after = (int(n) for n in rng.integers(0, window, 2)) if rng.integers(2) else (0, 0)
        length = max(1, (window - 1) * dilation + 1 - before - after) + int(rng.integers(0, 60 // count**2))
        found.append((window, stride, (before, after), dilation, length))
    window, stride, padding, dilation, lengths = zip(*found, strict=True)
    shape = int(rng.integers(1, 9)), *lengths, int(rng.choice([2, 10, 16, 32, 64, 300, 1_500]))
    call = {"window": window, "stride": stride, "padding": padding, "dilation": dilation}
    return shape, tuple(range(1, 1 + count)), call


@pytest.mark.parametrize("seed", range(60))
def test_few_axes_before_many_elements_or_a_short_last_one(seed, monkeypatch):
    rng = np.random.default_rng([seed, 1])
    shape, axes, call = few_axes(rng)
    monkeypatch.setattr("fastpool.cpu.shape.WIDER", 150)
    numbers = call["window"], call["stride"], call.get("padding", ((0, 0),) * 2), call.get("dilation", (1, 1))
    tables = [
        reference.taps(shape[axis], k, s, *p, d, False)
        for axis, k, s, p, d in zip(axes, *numbers, strict=False)
    ]
    x = rng.integers(0, 60_000, shape).astype(np.float32)
    if seed % 2:
        x[tuple(rng.integers(shape))] = np.nan
    with choose.limited(**LIMITS, near=int(rng.choice([50, 1_600])), task=int(rng.choice([1_000, 100_000]))):
        for op in ("max", "avg"):
            include = op != "avg" or seed % 4 > 1
            options = {} if include else {"count_include_pad": False}
            expected, places = reference.pool(x.astype(np.float64), op, tables, axes, include_pad=include)
            np.testing.assert_allclose(
                fp.pool(x, op, axes=axes, **call, **options), expected, rtol=0 if op == "max" else 2e-6
            )
            if op == "max":
                found, indices = fp.pool(x, op, axes=axes, return_indices=True, **call)
                np.testing.assert_array_equal(found, expected)
                np.testing.assert_array_equal(indices, places)
            gradient = rng.integers(1, 9, expected.shape).astype(np.float32)
            _, pull = fp.vjp(fp.pool, x, op, axes=axes, **call, **options)
            exact = reference.pull(gradient, x, op, tables, axes, include_pad=op == "avg" and include)
            np.testing.assert_allclose(pull(gradient), exact, rtol=2e-5)


@pytest.mark.parametrize("near", [1, 60, 1_600])
@pytest.mark.parametrize(
    ("window", "stride"), [((2, 2), (2, 2)), ((3, 3), (1, 1)), ((3, 2), (2, 2)), ((2, 3), (3, 3))]
)
def test_short_rows_of_powers_and_exponentials(window, stride, near, rng):
    """Rows that lie one behind the other are lifted together, until the ring of lifted rows ends."""
    x = rng.random((5, 67, 6)).astype(np.float32)
    tables = [
        reference.taps(n, k, s, 0, 0, 1, False) for n, k, s in zip((67, 6), window, stride, strict=True)
    ]
    with choose.limited(near=near, **LIMITS):
        for op, params in (("lp", {"p": 3}), ("gem", {"p": 3}), ("lse", {"r": 1.0})):
            expected, _ = reference.pool(x.astype(np.float64), op, tables, (1, 2), **params)
            found = fp.pool(x, op, window, stride=stride, axes=(1, 2), **params)
            np.testing.assert_allclose(found, expected, rtol=2e-6)
