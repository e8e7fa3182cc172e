"""Arrays in Fortran order: results computed and turned slab by slab, at odd sizes, of all itemsizes."""

import numpy as np
import pytest

import fastpool as fp
from fastpool.cpu import slabs, turn

SHAPES = [
    ((43, 130, 21), (2, 2, 1), 1),
    ((43, 130, 21), (2, 3, 2), 1),
    ((300, 801), (3, 2), 1),
    ((35, 61, 9, 8), (2, 1, 2, 1), 1),
    ((60, 50, 40), (3, 1, 1), 2),  # its stride is not the window's, along an axis that is not cut
]


@pytest.fixture
def cut(monkeypatch):
    """Slabs of few outputs, and how many threads' shares of them were computed."""
    monkeypatch.setattr(slabs, "SLAB", 2_000)
    monkeypatch.setattr(turn, "LEAST", 1)
    shares = []
    original = slabs.Slabs.reduce
    monkeypatch.setattr(slabs.Slabs, "reduce", lambda *a: (shares.append(a[-2:]), original(*a)))
    return shares


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("shape", "window", "stride"), SHAPES)
def test_slabs_are_as_the_whole(rng, threads, cut, shape, window, stride, dtype):
    x = np.asfortranarray(rng.integers(-90, 90, shape).astype(dtype))
    stride = window if stride == 1 else stride
    call = {"window": window, "stride": stride}
    for count, op in enumerate(("max", "avg", "sum"), 1):
        if op == "sum" and x.dtype.kind != "f":
            continue
        threads(count)
        found, expected = fp.pool(x, op, **call), fp.pool(np.ascontiguousarray(x), op, **call)
        assert found.flags.c_contiguous
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype != np.float16 else 1e-3)
        if op == "max":
            np.testing.assert_array_equal(found, expected)
    assert cut or shape == (60, 50, 40)


def test_slabs_with_a_nan(rng, cut):
    x = np.asfortranarray(rng.standard_normal((64, 120, 18)).astype(np.float32))
    x[3, 119, 17] = np.nan
    y = fp.max_pool(x, 2, axes=1)  # of one axis alone, whose order no other memory order changes
    np.testing.assert_array_equal(y, fp.max_pool(np.ascontiguousarray(x), 2, axes=1))
    assert np.isnan(y[3, 59, 17])
    assert np.isnan(y).sum() == 1
    assert cut


def test_axes_that_are_not_cells_are_not_cut(rng, cut):
    x = np.asfortranarray(rng.standard_normal((50, 60, 30)).astype(np.float32))
    for call in ({"window": (2, 3, 2), "stride": 2}, {"window": (2, 2, 2), "padding": (0, 1, 0)}):
        np.testing.assert_array_equal(fp.max_pool(x, **call), fp.max_pool(np.ascontiguousarray(x), **call))
    assert not cut
