"""The row engine with places: indices and gradients of random geometries with many ties, by the oracle."""

import math

import numpy as np
import pytest
import reference

import fastpool as fp
from fastpool import jobs
from fastpool.cpu import choose, plans

LAST = 11
REACHED: list[str] = []  # by all seeds; windows at a stride of three take another kernel


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """Kernels even for small inputs, and none that was kept."""
    monkeypatch.setattr(plans, "WORTHWHILE", 0)
    monkeypatch.setattr(jobs, "_jobs", {})


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


@pytest.mark.parametrize("seed", range(LAST + 1))
def test_chosen(seed, kernels):
    rng = np.random.default_rng(seed)
    shape, axes, call = geometry(rng)
    tables = [
        reference.taps(shape[axis], k, s, *p, d, False)
        for axis, k, s, p, d in zip(axes, *call.values(), strict=True)
    ]
    dtype = np.dtype(("float32", "float16", "uint8")[seed % 3])
    x = rng.integers(0, 4, shape).astype(dtype)
    if dtype.kind == "f":
        x[rng.random(shape) < 0.3] = -np.inf
        x[rng.random(shape) < 0.05 * (seed % 2)] = np.nan
    limits = {"near": int(rng.choice([1, 50, 1_600])), "long": int(rng.choice([8, 40, 4_096]))}
    limits["task"] = int(rng.choice([1, 1_000, 100_000]))
    with choose.limited(plane=0, registers=10**6, slid=10**6, row=1, merged=1, **limits):
        expected, where = reference.pool(x.astype(np.float64), "max", tables, axes)
        found, indices = fp.max_pool(x, axes=axes, return_indices=True, **call)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(indices, where)
        if dtype.kind == "f":
            y, pull = fp.vjp(fp.max_pool, x, axes=axes, **call)
            gy = rng.integers(1, 9, y.shape).astype(dtype)
            gx = np.zeros((6, math.prod(shape[2:])))
            np.add.at(gx, (np.arange(6)[:, None], where.reshape(6, -1)), gy.reshape(6, -1))
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(pull(gy).reshape(6, -1), gx)
    REACHED.extend(kernels)
    if seed == LAST:
        assert REACHED.count("rows of places") > LAST
