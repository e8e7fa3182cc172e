"""One element of each window: against the oracle, striding and, for gradients, the exact scatter."""

import cases
import numpy as np
import pytest
import reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fastpool as fp
from fastpool import windows

CORNERS = ("first", "middle")
NAMES = ("float16", "bfloat16", "float32", "float64", "uint8", "int16", "uint32", "int64", "bool")


@settings(max_examples=60)
@given(
    cases.geometries(),
    st.sampled_from(CORNERS),
    st.sampled_from(cases.LAYOUTS),
    st.integers(0, 10**6),
)
def test_sliding(geometry, corner, layout, seed):
    call, shape, axes, tables = geometry
    assume(None not in tables)
    rng = np.random.default_rng(seed)
    x = cases.arrange(np.where(rng.random(shape) < 0.1, np.nan, rng.standard_normal(shape)), layout)
    y, indices = fp.pool(x, "nearest", **call, corner=corner, return_indices=True)
    wanted, places = reference.pool(x, "nearest", tables, axes, corner=corner)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(indices, places)
    np.testing.assert_array_equal(fp.pool(x, "nearest", **call, corner=corner), y)
    gy = rng.integers(-9, 10, y.shape) * 1.0
    gx = reference.pull(gy, x, "nearest", tables, axes, corner=corner)
    np.testing.assert_array_equal(fp.vjp(fp.pool, x, "nearest", **call, corner=corner)[1](gy), gx)
    for given_indices in (None, indices):
        back = fp.pool_backward(gy, x, "nearest", **call, corner=corner, indices=given_indices)
        np.testing.assert_array_equal(back, gx)


@pytest.mark.parametrize("name", NAMES)
def test_striding_says_the_same(rng, name):
    x = (rng.standard_normal((3, 61, 70)) * 9).astype(fp_dtype(name))
    for k, m in ((1, 2), (2, 2), (3, 5), (61, 70)):
        y = fp.nearest_pool(x, (k, m), ceil_mode=True)
        assert y.dtype == x.dtype
        assert y.flags.c_contiguous
        assert y.tobytes() == x[:, ::k, ::m].tobytes()
        inside = x[:, : 61 // k * k, : 70 // m * m]
        assert fp.nearest_pool(x, (k, m)).tobytes() == inside[:, ::k, ::m].tobytes()
        middle = fp.nearest_pool(x, (k, m), corner="middle")
        assert middle.tobytes() == inside[:, k // 2 :: k, m // 2 :: m].tobytes()
    y, pull = fp.vjp(fp.nearest_pool, x, (2, 3), corner="middle")
    gx = pull(np.ones(y.shape, np.float32))
    assert np.count_nonzero(gx) == y.size
    assert (gx[:, 1::2, 1::3][:, :30, :23] == 1).all()


def fp_dtype(name):
    if name == "bfloat16":
        return pytest.importorskip("ml_dtypes").bfloat16
    return np.dtype(name)


def test_another_dtype_out_and_whole_axes(rng):
    x = rng.standard_normal((4, 6)) * 1e5
    with np.errstate(over="ignore"):
        narrow = x[::2, ::2].astype(np.float16)
    np.testing.assert_array_equal(fp.nearest_pool(x, (2, 2), dtype=np.float16), narrow)
    out = np.empty((3, 2)).T
    assert fp.nearest_pool(x, (2, 2), out=out) is out
    np.testing.assert_array_equal(out, x[::2, ::2])
    assert fp.global_pool(x, "nearest", axes=(0, 1)) == x[0, 0]
    assert fp.global_pool(x, "nearest", axes=(0, 1), corner="middle") == x[2, 3]


def test_long_axes_stay_short():
    """Tables of many windows, which repeat: as those that are written out."""
    for axis in (
        windows.sliding(9000, 4, 3, 3, 2, 2),
        windows.adaptive(6000, 4000),
        windows.adaptive(8000, 4000),
    ):
        for middle in (False, True):
            found = windows.picked(axis, middle=middle)
            assert found.columns.shape[1] == axis.columns.shape[1] < 100
            lo = axis.lo + axis.count // 2 * axis.step * middle
            np.testing.assert_array_equal(found.lo, lo)
            every = windows.evenly(found)
            assert (every is not None) == (len(set(np.diff(lo))) == 1)
            assert every is None or list(range(9000)[every]) == lo.tolist()
            assert found.regular == ((1, 2, 0) if len(axis) == 4000 and every and not middle else None)


def test_what_is_left_out(rng):
    x = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    y, indices = fp.nearest_pool(x, (2, 2), nodata=3, return_indices=True)
    np.testing.assert_array_equal(y, [[1, np.nan]])
    assert indices.tolist() == [[0, -1]]
    gx = fp.pool_backward(np.array([[4.0, 5.0]]), x, "nearest", (2, 2), nodata=3)
    assert gx.tolist() == [[4, 0, 0, 0], [0, 0, 0, 0]]
    with pytest.raises(ValueError, match="min_count must be at most the window's 1 elements, got 2"):
        fp.nearest_pool(x, (2, 2), min_count=2)
    x = rng.standard_normal((40, 60))
    where = rng.random(x.shape) < 0.5
    expected = np.where(where, x, -1)[::2, ::3]
    np.testing.assert_array_equal(fp.nearest_pool(x, (2, 3), where=where, fill=-1), expected)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"corner": "last"}, ValueError, "corner must be one of first, middle, got 'last'"),
        ({"corner": 1}, TypeError, "corner must be one of first, middle, got 1"),
        ({"weights": np.ones(4)}, TypeError, "weights are for the operators"),
        ({"ties": "first"}, TypeError, "nearest pooling takes no parameter 'ties'; it takes: corner"),
    ],
)
def test_errors(given, error, words):
    with pytest.raises(error, match=words):
        fp.pool(np.ones(4), "nearest", (2,), **given)


def test_indices_of_other_windows_are_refused():
    y, indices = fp.nearest_pool(np.arange(8.0), (4,), return_indices=True)
    with pytest.raises(ValueError, match="indices"):
        fp.pool_backward(y, np.arange(8.0), "nearest", (4,), indices=indices + 1)
