"""The row engine with places: indices and gradients of random geometries with many ties, by the oracle."""

import math

import numpy as np
import pytest
import reference

import fastpool as fp
from fastpool.cpu import choose

pytestmark = pytest.mark.usefixtures("kernels_for_small_inputs")
SEEDS = range(12)


def geometry(rng):
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
    return (2, 3, *lengths), tuple(range(2, 2 + count)), call


def case(seed):
    """An array of many ties, with one NaN where it may have any; axes, windows, and limits of kernels."""
    rng = np.random.default_rng(seed)
    shape, axes, call = geometry(rng)
    dtype = np.dtype(("float32", "float16", "uint8")[seed % 3])
    x = rng.integers(0, 4, shape).astype(dtype)
    if dtype.kind == "f":
        x[rng.random(shape) < 0.3] = -np.inf
        if seed % 2:
            x[tuple(rng.integers(shape))] = np.nan
    limits = {"near": int(rng.choice([1, 50, 1_600])), "long": int(rng.choice([8, 40, 4_096]))}
    limits["task"] = int(rng.choice([1, 1_000, 100_000]))
    return x, axes, call, choose.limited(plane=0, registers=10**6, slid=10**6, row=1, merged=1, **limits)


@pytest.mark.parametrize("seed", SEEDS)
def test_chosen(seed):
    x, axes, call, limited = case(seed)
    tables = [
        reference.taps(x.shape[axis], k, s, *p, d, False)
        for axis, k, s, p, d in zip(axes, *call.values(), strict=True)
    ]
    with limited:
        expected, where = reference.pool(x.astype(np.float64), "max", tables, axes)
        found, indices = fp.max_pool(x, axes=axes, return_indices=True, **call)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(indices, where)
        if x.dtype.kind == "f":
            y, pull = fp.vjp(fp.max_pool, x, axes=axes, **call)
            gy = np.random.default_rng(seed).integers(1, 9, y.shape).astype(x.dtype)
            gx = np.zeros((6, math.prod(x.shape[2:])))
            np.add.at(gx, (np.arange(6)[:, None], where.reshape(6, -1)), gy.reshape(6, -1))
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(pull(gy).reshape(6, -1), gx)


def test_most_of_these_geometries_reach_it(kernels):
    for seed in SEEDS:
        x, axes, call, limited = case(seed)
        with limited:
            fp.explain_call(fp.max_pool, x, axes=axes, return_indices=True, **call)
    assert kernels.count("rows of places") > len(SEEDS) // 2
