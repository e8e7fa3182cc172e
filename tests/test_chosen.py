"""Kernels that find the chosen elements: indices and gradients of windows of many ties, by the oracle."""

import math

import numpy as np
import pytest
import reference

import fastpool as fp
from fastpool.cpu import choose

pytestmark = pytest.mark.usefixtures("kernels_for_small_inputs")
SEEDS = range(12)


def any_windows(rng):
    """Shape, axes, and per axis window, stride, padding and dilation."""
    count, found = int(rng.integers(1, 4)), []
    for _ in range(count):
        stride = int(rng.choice([1, 2, 4, 5]))
        window = int(rng.integers(1, 4)) if count == 3 else int(rng.choice([1, 2, 3, 4, 5, 7, stride]))
        dilation = int(rng.choice([1, 1, 1, 2, 3]))
        span = (window - 1) * dilation + 1
        before, after = (int(n) for n in rng.integers(0, window, 2)) if rng.integers(2) else (0, 0)
        length = max(1, span - before - after) + int(rng.integers(0, {1: 300, 2: 60, 3: 14}[count]))
        found.append((window, stride, (before, after), dilation, length))
    window, stride, padding, dilation, lengths = zip(*found, strict=True)
    call = {"window": window, "stride": stride, "padding": padding, "dilation": dilation}
    channels = int(rng.choice([1, 1, 2, 3, 7, 12]))
    return (2, 3, *lengths, *((channels,) * (channels > 1))), tuple(range(2, 2 + count)), call


def small_cells(rng):
    """Cells side by side, or of channels at any stride."""
    height, width = ((2, 2), (3, 3), (4, 4), (1, 2), (1, 3), (1, 4))[rng.integers(6)]
    high, wide = (int(n) for n in rng.integers((height, width), (40, 60)))
    channels = int(rng.choice([1, 9, 20]))
    strides = (int(rng.integers(height, 6)), width if channels == 1 else int(rng.integers(1, 6)))
    call = windows((height, width), strides, (0, 0), (1, 1))
    return (2, 3, high, wide, *((channels,) * (channels > 1))), (2, 3), call


def around(rng):
    """3x3 at strides 1 and 2, of channels or not, padded or not."""
    stride, channels = int(rng.integers(1, 3)), int(rng.choice([1, 1, 16, 21, 40]))
    high, wide = (int(n) for n in rng.integers((3, 3), (30, 80)))
    dilation = 1 if stride == 2 and channels == 1 else int(rng.integers(1, 3))
    before = int(rng.integers(0, 2))
    call = windows((3, 3), (stride, stride), (before, before * dilation), (1, dilation))
    return (2, 3, high, wide + 3, *((channels,) * (channels > 1))), (2, 3), call


def around_each(rng):
    """3x3 around each element of small planes."""
    channels, dilation = int(rng.choice([1, 1, 3])), int(rng.integers(1, 3))
    high, wide = (int(n) for n in rng.integers((3, 4), (40, 40)))
    call = windows((3, 3), (1, 1), (1, dilation), (1, dilation))
    return (2, 3, high, wide, *((channels,) * (channels > 1))), (2, 3), call


def windows(window, stride, before, dilation):
    """The arguments of a call with as much padding behind as before."""
    padding = tuple((n, n) for n in before)
    return {"window": window, "stride": stride, "padding": padding, "dilation": dilation}


ANY, WIDE = ("float32", "float16", "uint8"), ("float32", "int32", "float64")
# Of each family its windows, the limits by which kernels serve them, and these.
ROWS = {"plane": 0, "registers": 10**6, "slid": 10**6}
FAMILIES = {
    "rows": (any_windows, ROWS, {"rows of places", "chosen cells", "slides over channels"}),
    "cells": (small_cells, {"row_of_cells": 1, "plane": 0}, {"chosen cells"}),
    "slides": (around, {"plane": 0}, {"slides by 1", "slides by 2", "slides over channels"}),
    "planes": (around_each, {"registers": 10**6}, {"planes"}),
}


def case(family, seed):
    """An array of many ties, with one NaN where it may have any; axes, windows, and limits of kernels."""
    rng = np.random.default_rng(seed)
    geometry, own, _ = FAMILIES[family]
    shape, axes, call = geometry(rng)
    dtype = np.dtype((ANY if family in ("rows", "cells") else WIDE)[seed % 3])
    x = rng.integers(0, 4, shape).astype(dtype)
    if dtype.kind == "f":
        x[rng.random(shape) < 0.3] = -np.inf
        if seed % 2:
            x[tuple(rng.integers(shape))] = np.nan
    limits = {"near": int(rng.choice([1, 50, 1_600])), "long": int(rng.choice([8, 40, 4_096]))}
    limits |= {"task": int(rng.choice([1, 1_000, 100_000])), "block": int(rng.choice([100, 8_192]))}
    return x, axes, call, choose.limited(**(limits | own))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_chosen(family, seed):
    x, axes, call, limited = case(family, seed)
    tables = [
        reference.taps(x.shape[axis], k, s, *p, d, False)
        for axis, k, s, p, d in zip(axes, *call.values(), strict=True)
    ]
    with limited:
        expected, where = reference.pool(x.astype(np.float64), "max", tables, axes)
        found, indices = fp.max_pool(x, axes=axes, return_indices=True, **call)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(indices, where)
        np.testing.assert_array_equal(fp.max_pool(x, axes=axes, **call), expected)
        if x.dtype.kind == "f":
            y, pull = fp.vjp(fp.max_pool, x, axes=axes, **call)
            gy = np.random.default_rng(seed).integers(1, 9, y.shape).astype(x.dtype)
            planes, plane = math.prod(x.shape[:2]), x.shape[2 : axes[-1] + 1]
            gx = np.zeros((planes, math.prod(plane), math.prod(x.shape[axes[-1] + 1 :])))
            each = where.reshape(planes, -1, gx.shape[2])
            first, _, last = np.indices(each.shape)
            np.add.at(gx, (first, each, last), gy.reshape(each.shape))
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(pull(gy), gx.reshape(x.shape))


@pytest.mark.parametrize("family", FAMILIES)
def test_most_of_these_windows_reach_its_kernels(family, kernels):
    for seed in SEEDS:
        x, axes, call, limited = case(family, seed)
        with limited:
            fp.explain_call(fp.max_pool, x, axes=axes, return_indices=True, **call)
    wanted = FAMILIES[family][2]
    assert sum(name in wanted for name in kernels) > len(SEEDS) // 3
    assert family == "rows" or wanted <= set(kernels)
