"""Long windows that overlap: random geometries, in both layouts, cut into tiles, bands and blocks."""

import numpy as np
import pytest
import reference

import fastpool as fp
from fastpool.cpu import choose, doubling

pytestmark = pytest.mark.usefixtures("kernels_for_small_inputs")
SEEDS = range(30)


def geometry(rng):
    """Shape, axes, and per axis window, stride, padding and dilation."""
    count, channels = int(rng.integers(1, 4)), int(rng.choice([1, 1, 3, 12]))
    found = []
    for axis in range(count):
        stride = int(rng.choice([1, 1, 1, 2, 3, 10 if axis == count - 1 else 1]))
        window = int(rng.choice([1, 2, 3, 9] if count == 3 and axis == 0 else [1, 3, 9, 13, 20, 31, 45]))
        dilation = int(rng.choice([1, 1, 1, 2, 3]))
        span = (window - 1) * dilation + 1
        before, after = (int(n) for n in rng.integers(0, window, 2)) if rng.integers(2) else (0, 0)
        least = max(1, span - before - after)
        most = {1: 300, 2: 40, 3: 12}[count]
        found.append((window, stride, (before, after), dilation, least + int(rng.integers(0, most))))
    window, stride, padding, dilation, lengths = zip(*found, strict=True)
    shape = (2, *lengths) if channels == 1 else (2, *lengths, channels)
    call = {"window": window, "stride": stride, "padding": padding, "dilation": dilation}
    return shape, tuple(range(1, 1 + count)), call


def case(seed):
    """An array with one NaN, where it may have any, its axes and windows, and the limits of kernels."""
    rng = np.random.default_rng(seed)
    shape, axes, call = geometry(rng)
    dtype = np.dtype(("float32", "float16", "uint8")[seed % 3])
    x = rng.integers(1, 200, shape).astype(dtype)
    if dtype.kind == "f" and seed % 2:
        x[tuple(rng.integers(shape))] = np.nan
    limits = {"kept": int(rng.choice([1, 3_000, 100_000])), "near": int(rng.choice([1, 50, 1_600]))}
    limits |= {"long": int(rng.choice([8, 40, 4_096])), "task": int(rng.choice([1, 1_000, 100_000]))}
    return x, axes, call, choose.limited(plane=0, slid=10**6, **limits)


@pytest.mark.parametrize("seed", SEEDS)
def test_doubling(seed):
    x, axes, call, limited = case(seed)
    tables = [
        reference.taps(x.shape[axis], k, s, *p, d, False)
        for axis, k, s, p, d in zip(axes, *call.values(), strict=True)
    ]
    exact, whole = x.astype(np.float64), x.dtype.kind in "iu"
    with limited:
        for op in ("max", "avg") if whole or seed % 4 > 1 else ("max", "avg", "lp"):
            include = op != "avg" or seed % 4 > 0
            expected, _ = reference.pool(exact, op, tables, axes, include_pad=include)
            found = fp.pool(x, op, axes=axes, **call, **({} if include else {"count_include_pad": False}))
            if op == "avg" and whole:
                expected = np.floor(expected + 0.5)
            tolerance = 0 if op == "max" or whole else 1e-3 if x.dtype == "float16" else 2e-6
            np.testing.assert_allclose(found, expected, rtol=tolerance)


def test_most_of_these_geometries_reach_it():
    for pooling in (fp.max_pool, fp.avg_pool):
        reached = 0
        for seed in SEEDS:
            x, axes, call, limited = case(seed)
            with limited:
                reached += fp.explain_call(pooling, x, axes=axes, **call).kernel.startswith("doubling")
        assert reached > len(SEEDS) // 3, pooling


@pytest.mark.parametrize("repeats", [False, True])
def test_windows_grow_to_their_length_and_cover_each_element(repeats):
    for window in range(1, 300):
        covered = [1]
        for each in doubling.growths(window, 1, 1, repeats=repeats):
            shorter, times = len(covered), np.zeros(each.length, np.int64)
            for tap, begin in enumerate((0, each.b, each.c, each.d)[: each.taps]):
                times[begin : begin + (shorter if tap < each.windows else 1)] += 1
            assert times.min() == 1
            assert repeats or times.max() == 1
            covered = times.tolist()
        assert len(covered) == window
