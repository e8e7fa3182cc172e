"""Cells that cut elements in two, and binomial blurs: exact fractions, other libraries and differences."""

import math
import warnings
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import reference
from cases import LAYOUTS, arrange
from numba import config, cuda
from test_whole import between_guards

import fastpool as fp
from fastpool.cpu import weighted as kernels

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = (np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64))
INTEGERS = [np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)]


def values(rng, shape, dtype):
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        low = -90 if dtype.kind == "i" else 0
        return rng.integers(low, 127, shape).astype(dtype)
    return (rng.standard_normal(shape) * 8).astype(dtype)


def half_up(value):
    return math.floor(value + Fraction(1, 2))


def expected(found, dtype, fill=math.nan):
    """Of an oracle's fractions, what the result is to be before it is rounded to a float."""
    if np.dtype(dtype).kind in "iu":
        return np.vectorize(lambda v: fill if v is None else half_up(v), otypes=[object])(found)
    return np.vectorize(lambda v: fill if v is None else float(v), otypes=[np.float64])(found)


def assert_close(y, want, x, ulps=2):
    """Integers are equal; floats within some ulp of the largest element."""
    if y.dtype.kind in "iu":
        assert (y.astype(object) == want).all()
        return
    finfo = ml_dtypes.finfo(y.dtype)
    finite = np.abs(x.astype(np.float64)[np.isfinite(x.astype(np.float64))])
    scale = max(float(finite.max(initial=0.0)), float(np.nanmax(np.abs(want), initial=0.0)), 1e-30)
    np.testing.assert_allclose(y.astype(np.float64), want, rtol=0, atol=ulps * float(finfo.eps) * scale)


def random_geometry(rng):
    """A shape, its pooled axes in some order, and a size for each."""
    ndim = int(rng.integers(1, 5))
    count = int(rng.integers(1, min(ndim, 3) + 1))
    axes = [int(axis) for axis in rng.permutation(ndim)[:count]]
    shape = [int(n) for n in rng.integers(1, 4, ndim)]
    for axis in axes:
        shape[axis] = int(rng.integers(1, 9))
    return tuple(shape), axes, [int(n) for n in rng.integers(1, 10, count)]


def random_parts(rng, x):
    """Arguments about missing data, which elements take part, and their weights."""
    given, taken = {}, np.ones(x.shape, bool)
    if rng.random() < 0.5:
        shape = tuple(n if rng.random() < 0.7 else 1 for n in x.shape)[int(rng.integers(0, x.ndim)) :]
        given["where"] = rng.random(shape) < 0.7
        taken &= np.broadcast_to(given["where"], x.shape)
    if x.dtype.kind == "f" and rng.random() < 0.4:
        x[rng.random(x.shape) < 0.2] = np.nan
        given["skipna"] = True
        taken &= ~np.isnan(x)
    if rng.random() < 0.4:
        given["nodata"] = x.reshape(-1)[0].item()
        if given["nodata"] == given["nodata"]:
            taken &= x != given["nodata"]
        else:
            taken &= ~np.isnan(x)
    weights = None
    if rng.random() < 0.4:
        shape = tuple(n if rng.random() < 0.7 else 1 for n in x.shape)
        given["weights"] = rng.integers(0, 4, shape).astype(rng.choice([np.float32, np.float64, np.int8]))
        weights = np.broadcast_to(given["weights"], x.shape)
    return given, taken, weights


@pytest.fixture
def narrow(monkeypatch):
    """Short tiles, so that lines are cut, and few channels that are many."""
    monkeypatch.setattr(kernels, "LINE", 8)
    monkeypatch.setattr(kernels, "WIDE", 3)


@pytest.fixture(params=["usual", "narrow"])
def tiles(request):
    """Both ways to cut lines."""
    if request.param == "narrow":
        request.getfixturevalue("narrow")


# Values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int16"])
def test_random_cells(rng, dtype, tiles):
    for _ in range(60):
        shape, axes, sizes = random_geometry(rng)
        x = arrange(values(rng, shape, dtype), rng.choice(LAYOUTS))
        op = str(rng.choice(["avg", "sum"]))
        tables = [reference.area_parts(shape[axis], size) for axis, size in zip(axes, sizes, strict=True)]
        before = x.tobytes()
        y = fp.area_pool(x, sizes, op=op, axes=axes)
        assert x.tobytes() == before
        assert y.flags.c_contiguous
        assert y.dtype == (np.float64 if op == "sum" and x.dtype.kind in "iu" else x.dtype.newbyteorder("="))
        want = expected(reference.weighted(x, op, tables, axes)[0], y.dtype)
        assert_close(y, want, x)


@pytest.mark.parametrize("dtype", ["float64", "uint8"])
def test_random_blurs(rng, dtype, tiles):
    for _ in range(60):
        shape, axes, windows = random_geometry(rng)
        x = arrange(values(rng, shape, dtype), rng.choice(LAYOUTS))
        strides = [int(s) for s in rng.integers(1, 5, len(axes))]
        tables = [
            reference.binomial_parts(shape[axis], *rest)
            for axis, *rest in zip(axes, windows, strides, strict=True)
        ]
        y = fp.blur_pool(x, windows, stride=strides, axes=axes)
        assert [y.shape[axis] for axis in axes] == [
            -(-shape[axis] // s) for axis, s in zip(axes, strides, strict=True)
        ]
        assert_close(y, expected(reference.weighted(x, "avg", tables, axes)[0], y.dtype), x)


def dense(table, n):
    """A list of (element, weight) for each output as a matrix, normalised."""
    found = np.zeros((len(table), n))
    for o, taps in enumerate(table):
        for element, weight in taps:
            found[o, element] = weight
    return found / found.sum(1, keepdims=True)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_long_axes(rng, dtype):
    """Most outputs have the same weights, and lines are of several tiles."""
    for _ in range(40):
        n, m = int(rng.integers(20, 300)), int(rng.choice([1, 3, 9_000]))
        shape = (m, n) if rng.random() < 0.5 or m == 9_000 else (n, m)
        axis = shape.index(n) if n != m else 0
        n = shape[axis]
        x = values(rng, shape, dtype)
        if rng.random() < 0.5:
            window, stride = int(rng.integers(1, 12)), int(rng.integers(1, 7))
            y = fp.blur_pool(x, window, stride=stride, axes=axis)
            same = fp.blur_pool(x, window, stride=stride, axes=axis, where=np.ones(shape, bool), min_count=1)
            matrix = dense(reference.binomial_parts(n, window, stride), n)
        else:
            size = n // int(rng.integers(1, 6))
            n = size * (n // size) if rng.random() < 0.5 else n
            x = x[:, :n] if axis else x[:n]
            y = fp.area_pool(x, size, axes=axis)
            same = fp.area_pool(x, size, axes=axis, where=np.ones(x.shape, bool))
            matrix = dense(reference.area_parts(n, size), n)
        want = np.moveaxis(np.tensordot(matrix, x.astype(np.float64), (1, axis)), 0, axis)
        if dtype == "uint8":
            assert np.abs(y - want).max() <= 0.5 + 1e-9
            assert (y == same).all()
        else:
            assert_close(y, want, x, ulps=3)
            assert_close(same, want, x, ulps=3)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_random_missing_data(rng, dtype, tiles):
    for _ in range(120):
        shape, axes, sizes = random_geometry(rng)
        x = values(rng, shape, dtype)
        given, taken, weights = random_parts(rng, x)
        x, op = arrange(x, rng.choice(LAYOUTS)), str(rng.choice(["avg", "sum"]))
        least = int(rng.integers(op == "avg", 3))
        tables = [reference.area_parts(shape[axis], size) for axis, size in zip(axes, sizes, strict=True)]
        most = math.prod(max(map(len, table)) for table in tables)
        least = min(least, most)
        found, _ = reference.weighted(x, op, tables, axes, taken, weights, least)
        call = {"op": op, "axes": axes, "min_count": least, "fill": 77, **given}
        y = fp.area_pool(x, sizes, **call)
        assert_close(y, expected(found, y.dtype, 77), np.where(taken, x, 1), ulps=4)


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, np.dtype(bool)], ids=str)
@pytest.mark.parametrize("op", ["avg", "sum"])
def test_dtypes(rng, dtype, op):
    x = values(rng, (3, 11, 7), dtype)
    tables = [reference.area_parts(11, 4), reference.area_parts(7, 3)]
    kind = np.float64 if dtype == np.bool_ or (op == "sum" and dtype.kind in "iu") else dtype
    found = reference.weighted(x, op, tables, (1, 2))[0]
    y = fp.area_pool(x, (4, 3), op=op)
    assert y.dtype == kind
    assert_close(y, expected(found, kind), x)
    if op == "sum":
        return
    where = rng.random(x.shape) < 0.8
    found = reference.weighted(x, op, tables, (1, 2), where)[0]
    y = fp.area_pool(x, (4, 3), op=op, where=where, fill=0)
    assert y.dtype == kind
    assert_close(y, expected(found, kind, 0), x)


def test_other_result_dtypes(rng):
    x = values(rng, (9,), "float32")
    assert fp.area_pool(x, (4,), dtype=np.float64).dtype == np.float64
    assert fp.area_pool(x, (4,), dtype=BFLOAT16).dtype == BFLOAT16
    small = values(rng, (9,), "uint8")
    want = expected(reference.weighted(small, "avg", [reference.area_parts(9, 4)], (0,))[0], np.float64)
    np.testing.assert_allclose(fp.area_pool(small, (4,), dtype=np.float32), want, rtol=1e-6)
    assert fp.area_pool(small, (4,), op="sum", dtype=np.float32).dtype == np.float32
    assert fp.area_pool(small, (4,), weights=np.ones(9)).dtype == np.float64


def test_an_output_within_one_element_is_that_element(rng):
    x = rng.standard_normal((5, 4)) * 1e300
    assert (fp.area_pool(x, (15, 12)) == np.repeat(np.repeat(x, 3, 0), 3, 1)).all()
    large = np.array([2**63 - 1, -(2**63), 2**53 + 1])
    assert (fp.area_pool(large, (6,)) == np.repeat(large, 2)).all()
    where = np.array([True, False, True])
    assert (
        fp.area_pool(large, (6,), where=where, fill=5) == [large[0], large[0], 5, 5, large[2], large[2]]
    ).all()
    assert (fp.area_pool(x, (None, 4)) == x).all()


def test_ratios():
    x = np.arange(10.0)
    for ratio, n in ((2, 5), (3, 3), (4, 2), (0.5, 20), (100, 1), (9.9, 1)):
        assert (fp.area_pool(x, ratio=(ratio,)) == fp.area_pool(x, (n,))).all()
    image = np.arange(60.0).reshape(5, 4, 3)
    assert fp.area_pool(image, ratio=2, axes=(0, 1)).shape == (2, 2, 3)
    assert fp.area_pool(image[None], ratio=2).shape == (1, 5, 2, 2)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_extremes_stay_finite(dtype):
    top = ml_dtypes.finfo(dtype).max
    x = np.full((23, 31), top, dtype)
    large = [
        fp.area_pool(x, (5, 7)),
        -fp.area_pool(-x, (5, 7), where=np.ones((23, 31), bool)),
        fp.blur_pool(x, (7, 4)),
        fp.area_pool(x, (5, 7), weights=np.full((1, 31), 1e300)),
    ]
    for y in large:
        np.testing.assert_allclose(
            y.astype(np.float64), float(top), rtol=4 * float(ml_dtypes.finfo(dtype).eps)
        )
    if dtype.itemsize > 2:
        assert np.isinf(fp.area_pool(x[0, :4], (1,), op="sum")).all()


def test_constants_stay(rng):
    for value in (0.1, 1 / 3, 7.7):
        x = np.full((40, 50), value, np.float32)
        assert (fp.area_pool(x, (7, 9)) == x[0, 0]).all()
        assert (fp.blur_pool(x, (5, 3)) == x[0, 0]).all()


def test_infinities_and_nans_pass():
    x = np.array([1.0, np.inf, 2.0, np.nan, 1.0, 1.0])
    np.testing.assert_array_equal(fp.area_pool(x, (3,)), [np.inf, np.nan, 1.0])
    np.testing.assert_array_equal(fp.area_pool(x, (3,), skipna=True), [np.inf, 2.0, 1.0])
    np.testing.assert_array_equal(fp.area_pool(x, (4,))[:2], [np.inf, np.inf])


def test_long_cells_are_right_to_a_few_ulp():
    x = np.full((3000, 3000), 0.1, np.float32)
    assert fp.area_pool(x, (1, 1))[0, 0] == np.float32(0.1)
    wide = np.random.default_rng(0).random(1_000_003)
    np.testing.assert_allclose(fp.area_pool(wide, (1,)), math.fsum(wide) / wide.size, rtol=4e-15)


def test_integers_are_rounded_half_up():
    assert fp.area_pool(np.array([0, 1, -1, 0, -1, -2, 3, 4], np.int8), (4,)).tolist() == [1, 0, -1, 4]
    assert fp.area_pool(np.array([2**40, 2**40 + 1]), (1,)).tolist() == [2**40 + 1]
    top = np.full((9, 7), 255, np.uint8)
    assert (fp.area_pool(top, (2, 3)) == 255).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axes", [(0, 1), (1, 2), (2, 0), (0,), (3,), (0, 1, 2, 3)])
def test_layouts(rng, layout, axes):
    x = values(rng, (6, 7, 5, 4), "float32")
    want = fp.area_pool(x, 3, axes=axes)
    np.testing.assert_allclose(fp.area_pool(arrange(x, layout), 3, axes=axes), want, rtol=1e-6, atol=1e-6)
    turned = x.transpose(2, 0, 3, 1)
    own = [(2, 0, 3, 1).index(axis) for axis in axes]
    got = fp.area_pool(turned, 3, axes=own).transpose(1, 3, 0, 2)
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_reads_no_memory_but_its_own(rng, at_end, dtype):
    for shape, axes in (((5, 7, 3), (0, 1)), ((2, 9, 11), (1, 2)), ((13,), (0,)), ((7, 70), (0,))):
        x = values(rng, shape, dtype)
        placed = between_guards(x, at_end=at_end)
        where = between_guards(np.ones(shape, bool), at_end=at_end)
        assert (fp.area_pool(placed, 3, axes=axes) == fp.area_pool(x, 3, axes=axes)).all()
        masked = fp.area_pool(placed, 3, axes=axes, where=where, weights=placed * 0 + 1)
        np.testing.assert_allclose(
            masked, fp.area_pool(x, 3, axes=axes), atol=0.51 if dtype == "uint8" else 1e-4
        )
        fp.blur_pool(placed, 3, axes=axes)


def test_threads_do_not_change_bits(rng, threads):
    x = rng.standard_normal((3, 300, 501)).astype(np.float32)
    image = rng.integers(0, 256, (400, 500, 3)).astype(np.uint8)
    where = rng.random(x.shape) < 0.9

    def results():
        y, pull = fp.vjp(fp.area_pool, x, (37, 41), where=where, weights=np.abs(x))
        return [
            fp.area_pool(x, (37, 41)),
            fp.area_pool(image, 47, axes=(0, 1)),
            fp.blur_pool(x, (5, 3), op="max"),
            y,
            *pull(y, params=True)[0:1],
            pull(y, params=True)[1]["weights"],
            fp.area_pool_backward(y, x, (37, 41)),
        ]

    threads(1)
    alone = results()
    threads(2)
    for one, other in zip(alone, results(), strict=True):
        assert one.tobytes() == other.tobytes()


def test_empty_batches():
    assert fp.area_pool(np.zeros((0, 3, 8, 8)), 4).shape == (0, 3, 4, 4)
    assert fp.area_pool_backward(np.zeros((0, 3, 4, 4)), np.zeros((0, 3, 8, 8)), 4).shape == (0, 3, 8, 8)


def test_out(rng):
    x = values(rng, (7, 9), "float32")
    want = fp.area_pool(x, (3, 4))
    for out in (
        np.empty((3, 4), np.float32),
        np.empty((4, 3), np.float32).T,
        np.empty((6, 8), np.float32)[::2, ::2],
    ):
        assert fp.area_pool(x, (3, 4), out=out) is out
        assert (out == want).all()
        assert fp.area_pool(x, (3, 4), out=out, where=x > 0, fill=1) is out


# Missing data --------------------------------------------------------------------------------------------


def test_integers_without_a_fill_name_the_first_cell():
    x = np.arange(12, dtype=np.uint8).reshape(2, 6)
    where = np.ones((2, 6), bool)
    where[1, 2:4] = False
    out = np.full((2, 3), 99, np.uint8)
    with pytest.raises(
        ValueError, match=r"fill must be given, since uint8 has no NaN: window \(1, 1\).*has 0 elements"
    ):
        fp.area_pool(x, (3,), where=where, out=out)
    assert (out == 99).all()
    with pytest.raises(ValueError, match="fill must be given"):
        fp.area_pool(x.T, 3, axes=0, where=where.T)
    assert fp.area_pool(x, (3,), where=where, fill=7)[1, 1] == 7
    assert fp.area_pool(x, (3,), where=where, nodata=250)[1, 1] == 250
    large = fp.area_pool(x.astype(np.int64), (3,), where=where, fill=2**62 + 1)
    assert large[1, 1] == 2**62 + 1


def test_counts_of_elements_in_part():
    x = np.arange(3.0)
    assert np.isnan(
        fp.area_pool(x, (2,), where=[False, True, True] @ np.eye(3, dtype=bool), min_count=2)
    ).tolist() == [
        True,
        False,
    ]
    gone = np.zeros(3, bool)
    assert np.isnan(fp.area_pool(x, (2,), where=gone, op="sum")).all()
    assert (fp.area_pool(x, (2,), where=gone, op="sum", min_count=0) == 0).all()
    assert np.isnan(fp.area_pool(x, (1,), weights=np.zeros(3))).all()
    assert fp.area_pool(x, (1,), weights=np.zeros(3), op="sum", min_count=0).tolist() == [0.0]


def test_blurs_of_maxima_with_missing_data():
    x = np.array([1.0, np.nan, 5.0, 2.0, np.nan, np.nan])
    got = fp.blur_pool(x, (1,), stride=1, op="max", skipna=True)
    np.testing.assert_array_equal(got, [1.0, 5.0, 5.0, 2.0, np.nan, np.nan])
    _, pull = fp.vjp(fp.blur_pool, x, (1,), stride=1, op="max", skipna=True)
    np.testing.assert_array_equal(pull(np.ones(6)), [1.0, 0.0, 2.0, 1.0, 0.0, 0.0])
    small = np.array([0, 3, 9, 0], np.uint8)
    assert fp.blur_pool(small, (1,), stride=1, op="max", nodata=9, fill=0).tolist() == [3, 3, 0, 0]


def test_blurs_of_maxima(rng):
    x = values(rng, (2, 3, 7, 6), "float64")
    peaks = fp.max_pool(x, 2, stride=1, padding=((0, 1), (0, 1)))
    assert (fp.blur_pool(x, 3, op="max") == fp.blur_pool(peaks, 3)).all()


# Gradients -----------------------------------------------------------------------------------------------


STEP = 1e-6


def slope(f, begin, arguments, direction, gy, **given):
    """What a step in a direction changes, weighed by a gradient."""
    ahead, behind = (f(begin + step * direction, arguments, **given) for step in (STEP, -STEP))
    return float(np.sum(gy * (ahead - behind)) / (2 * STEP))


def of_weights(weights, arguments, x, sizes, **given):
    return fp.area_pool(x, sizes, weights=weights, **given)


@pytest.mark.parametrize("op", ["avg", "sum"])
def test_gradients_of_cells(rng, op):
    for _ in range(40):
        shape, axes, sizes = random_geometry(rng)
        x = arrange(values(rng, shape, "float64"), rng.choice(LAYOUTS))
        given = {"op": op, "axes": axes}
        y, pull = fp.vjp(fp.area_pool, x, sizes, **given)
        gy, direction = rng.standard_normal(y.shape), rng.standard_normal(shape)
        want = slope(fp.area_pool, x, sizes, direction, gy, **given)
        gx = pull(gy)
        assert gx.shape == x.shape
        assert float(np.sum(gx * direction)) == pytest.approx(want, rel=1e-6, abs=1e-6)
        assert (fp.area_pool_backward(gy, x, sizes, **given) == gx).all()
        assert pull(gy, params=True)[1] == {}


@pytest.mark.parametrize("op", ["avg", "sum"])
def test_gradients_with_missing_data(rng, op):
    for _ in range(40):
        shape, axes, sizes = random_geometry(rng)
        x = values(rng, shape, "float64")
        given, _, weights = random_parts(rng, x)
        given.pop("nodata", None)  # a step would make it another value
        given |= {"op": op, "axes": axes, "fill": 0.0}
        if weights is not None:
            given["weights"] = given["weights"] + 0.5
        y, pull = fp.vjp(fp.area_pool, x, sizes, **given)
        gy, direction = rng.standard_normal(y.shape), rng.standard_normal(shape)
        gx, slopes = pull(gy, params=True)
        want = slope(fp.area_pool, x, sizes, direction, gy, **given)
        assert float(np.sum(gx * direction)) == pytest.approx(want, rel=1e-5, abs=1e-5)
        if "where" in given:
            assert (gx[~np.broadcast_to(given["where"], shape)] == 0).all()
        if weights is None:
            assert slopes == {}
            continue
        own = given.pop("weights").astype(np.float64)
        assert slopes["weights"].shape == own.shape
        turn = rng.standard_normal(own.shape)
        want = slope(of_weights, own, None, turn, gy, x=x, sizes=sizes, **given)
        assert float(np.sum(slopes["weights"] * turn)) == pytest.approx(want, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("op", [None, "max"])
def test_gradients_of_blurs(rng, op):
    for _ in range(30):
        shape, axes, windows = random_geometry(rng)
        x = rng.permutation(math.prod(shape)).reshape(shape) * 0.5
        given = {"stride": int(rng.integers(1, 12)), "axes": axes, "op": op}
        y, pull = fp.vjp(fp.blur_pool, x, windows, **given)
        gy, direction = rng.standard_normal(y.shape), rng.standard_normal(shape)
        want = slope(fp.blur_pool, x, windows, direction, gy, **given)
        assert float(np.sum(pull(gy) * direction)) == pytest.approx(want, rel=1e-6, abs=1e-6)
        assert (fp.blur_pool_backward(gy, x, windows, **given) == pull(gy)).all()


@pytest.mark.parametrize("dtype", ["float16", BFLOAT16, "float32", "uint8"], ids=str)
def test_gradients_have_the_input_s_dtype(rng, dtype):
    x = values(rng, (7, 9), dtype)
    y, pull = fp.vjp(fp.area_pool, x, (3, 4))
    gx = pull(np.ones(y.shape, np.float32))
    assert gx.dtype == (np.float32 if dtype == "uint8" else x.dtype)
    assert gx.astype(np.float64).sum() == pytest.approx(12, rel=0.02)


def test_a_changed_input_is_refused(rng):
    x = values(rng, (8,), "float32")
    _, pull = fp.vjp(fp.area_pool, x, (3,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy 2.5
        x.shape = (2, 4)
    with pytest.raises(ValueError, match="x must stay"):
        pull(np.ones(3))


# Other libraries -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("size", [(7, 11), (20, 13), (8, 10), (41, 3)])
def test_opencv(rng, dtype, size):
    cv2 = pytest.importorskip("cv2")
    x = values(rng, (41, 53, 3), dtype)
    want = cv2.resize(x, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float64)
    got = fp.area_pool(x, size, axes=(0, 1)).astype(np.float64)
    assert np.abs(got - want).max() <= (1e-3 if dtype == "float32" else 1)
    assert np.abs(got - want).mean() <= 0.1


def test_pillow(rng):
    """Of whole cells alone: Pillow's box weighs an element by whether its middle is inside."""
    image = pytest.importorskip("PIL.Image")
    x = values(rng, (40, 52), "float32")
    for size in ((10, 13), (20, 4), (40, 26)):
        own = np.asarray(image.fromarray(x).resize(size[::-1], image.Resampling.BOX))
        np.testing.assert_allclose(fp.area_pool(x, size), own, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "bool", "float32", "int32"])
def test_blurs_of_maxima_send_nothing_to_what_is_left_out(rng, dtype):
    """Though it is as low as what takes part."""
    x = rng.integers(0, 3, (9, 12)).astype(dtype)
    if dtype == "float32":
        x[x == 0] = -np.inf
    where = rng.random(x.shape) < 0.7
    where[:2, :2] = True
    gy = np.ones(x.shape)
    got = fp.blur_pool_backward(gy, x, (1, 1), stride=1, op="max", where=where)
    want = fp.pool_backward(gy, x, "max", (2, 2), stride=1, padding="same", where=where, fill=0)
    assert not got[~where].any()
    np.testing.assert_allclose(got, want, rtol=1e-12)


# CUDA ----------------------------------------------------------------------------------------------------


def on_gpu(value):
    return cuda.to_device(value) if isinstance(value, np.ndarray) else value


def assert_same(found, want):
    host = found.copy_to_host()
    assert (host.dtype, host.shape) == (want.dtype, want.shape)
    if want.dtype.kind in "iu":
        assert (host == want).all()
    else:
        eps = 4 * float(ml_dtypes.finfo(want.dtype).eps)
        np.testing.assert_allclose(host.astype(np.float64), want.astype(np.float64), rtol=eps, atol=64 * eps)


@pytest.mark.cuda
@pytest.mark.skipif(
    not (config.ENABLE_CUDASIM or cuda.is_available()), reason="no GPU, and not the simulator"
)
class TestOnGPU:
    @pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int64", "bool"])
    @pytest.mark.parametrize("op", ["avg", "sum"])
    def test_cells(self, rng, dtype, op):
        x = values(rng, (2, 5, 7, 3), dtype)
        mask, weights = rng.random(x.shape) < 0.6, rng.random((1, 7, 1)).astype(np.float32)
        for given in (
            {},
            {"where": mask, "fill": 1, "min_count": 2},
            {"weights": weights, "fill": 1},
            {"nodata": x.reshape(-1)[0].item(), "skipna": True, "where": mask, "weights": weights, "fill": 0},
        ):
            call = {"axes": (1, 2), "op": op, **given}
            moved = {name: on_gpu(value) for name, value in call.items()}
            assert_same(fp.area_pool(on_gpu(x), (3, 9), **moved), fp.area_pool(x, (3, 9), **call))
        y, pull = fp.vjp(fp.area_pool, x, (3, 4), axes=(1, 2), op=op)
        _, pull_moved = fp.vjp(fp.area_pool, on_gpu(x), (3, 4), axes=(1, 2), op=op)
        gy = rng.standard_normal(y.shape).astype(np.float32)
        assert_same(pull_moved(on_gpu(gy)), pull(gy))

    @pytest.mark.parametrize("largest", [1, 40])
    @pytest.mark.parametrize("op", ["avg", "sum"])
    def test_gradients_with_missing_data(self, rng, op, largest):
        x = values(rng, (2, 5, 7, 3), "float64")
        x[rng.random(x.shape) < 0.2] = np.nan
        weights = rng.random((1, 7, 1)) * largest
        given = {"axes": (1, 2), "op": op, "skipna": True, "weights": weights, "min_count": 2}
        given["where"] = rng.random(x.shape) < 0.7
        y, pull = fp.vjp(fp.area_pool, x, (3, 4), **given)
        moved = {name: on_gpu(value) for name, value in given.items()}
        _, pull_moved = fp.vjp(fp.area_pool, on_gpu(x), (3, 4), **moved)
        gy = rng.standard_normal(y.shape)
        gx, slopes = pull(gy, params=True)
        gx_moved, slopes_moved = pull_moved(on_gpu(gy), params=True)
        assert_same(gx_moved, gx)
        np.testing.assert_allclose(slopes_moved["weights"].copy_to_host(), slopes["weights"], rtol=1e-12)

    def test_blurs_of_maxima_with_missing_data(self, rng):
        x = values(rng, (2, 3, 7, 6), "float32")
        x[rng.random(x.shape) < 0.4] = np.nan
        y, pull = fp.vjp(fp.blur_pool, x, 3, op="max", skipna=True)
        found, pull_moved = fp.vjp(fp.blur_pool, on_gpu(x), 3, op="max", skipna=True)
        assert_same(found, y)
        gy = rng.standard_normal(y.shape).astype(np.float32)
        assert_same(pull_moved(on_gpu(gy)), pull(gy))

    @pytest.mark.parametrize("op", [None, "max"])
    def test_blurs(self, rng, op):
        x = values(rng, (2, 3, 7, 6), "float32")
        given = {"stride": 2, "op": op}
        assert_same(fp.blur_pool(on_gpu(x), 3, **given), fp.blur_pool(x, 3, **given))
        gy = rng.standard_normal((2, 3, 4, 3)).astype(np.float32)
        found = fp.blur_pool_backward(on_gpu(gy), on_gpu(x), 3, **given)
        assert_same(found, fp.blur_pool_backward(gy, x, 3, **given))

    def test_what_is_said_of_cells_without_elements(self):
        x, where = np.arange(6, dtype=np.uint8), np.array([True, True, False, False, True, True])
        out = on_gpu(np.full(3, 99, np.uint8))
        with pytest.raises(ValueError, match=r"fill must be given.*\(1,\).*has 0 elements"):
            fp.area_pool(on_gpu(x), (3,), where=on_gpu(where), out=out)
        assert (out.copy_to_host() == 99).all()


# Errors --------------------------------------------------------------------------------------------------

X = np.arange(16.0).reshape(1, 1, 4, 4)
ERRORS = {
    "neither": (lambda: fp.area_pool(X), ValueError, "exactly one of output_size and ratio"),
    "both": (lambda: fp.area_pool(X, 2, ratio=2), ValueError, "exactly one of output_size and ratio"),
    "size 0": (lambda: fp.area_pool(X, 0), ValueError, "output_size must be at least 1, got 0"),
    "size 1.5": (lambda: fp.area_pool(X, 1.5), TypeError, "output_size must be an integer"),
    "size 2**40": (lambda: fp.area_pool(X, (2**40,)), ValueError, "output_size must give at most"),
    "ratio 0": (lambda: fp.area_pool(X, ratio=0), ValueError, "ratio must be"),
    "ratio tiny": (lambda: fp.area_pool(X, ratio=1e-320), ValueError, "ratio must give at most"),
    "sizes 2**62": (lambda: fp.area_pool(X, (2**62, 2**62)), ValueError, "output_size must give at most"),
    "sizes 2**31": (lambda: fp.area_pool(X, (2**31 - 1,) * 3), ValueError, "output_size must give at most"),
    "ratio None": (lambda: fp.area_pool(X, ratio=(None, 2)), TypeError, "ratio must be a real number"),
    "op": (lambda: fp.area_pool(X, 2, op="max"), ValueError, "op must be one of avg, sum, got 'max'"),
    "blur's op": (lambda: fp.blur_pool(X, op="avg"), ValueError, "op must be one of max"),
    "list": (lambda: fp.area_pool([1, 2], (1,)), TypeError, "x must be an array"),
    "empty axis": (
        lambda: fp.area_pool(np.zeros((2, 0)), (2,)),
        ValueError,
        "axis 1 of x: an axis of length 0",
    ),
    "kept": (lambda: fp.area_pool(np.zeros((2, 0)), (None,)), ValueError, "axis 1 of x: an axis of length 0"),
    "dtype": (lambda: fp.area_pool(X, 2, dtype="int32"), TypeError, "dtype must be one of"),
    "sum's dtype": (
        lambda: fp.area_pool(X.astype(int), 2, op="sum", dtype=int),
        TypeError,
        "dtype must be one of",
    ),
    "window 0": (lambda: fp.blur_pool(X, 0), ValueError, "window must be at least 1"),
    "window 129": (lambda: fp.blur_pool(X, 129), ValueError, "window must be at most 128"),
    "stride 0": (lambda: fp.blur_pool(X, 3, stride=0), ValueError, "stride must be at least 1"),
    "stride 2**40": (
        lambda: fp.blur_pool(X, 3, stride=2**40),
        ValueError,
        "stride and the axis must be at most",
    ),
    "three axes": (lambda: fp.blur_pool(X[0], 3), ValueError, r"Give window=\(3,\)"),
    "where": (lambda: fp.area_pool(X, 2, where=X), TypeError, "where must be of bool"),
    "where's shape": (lambda: fp.area_pool(X, 2, where=np.ones(3, bool)), ValueError, "where must broadcast"),
    "weights": (lambda: fp.area_pool(X, 2, weights=-X), ValueError, "weights must be finite and at least 0"),
    "NaN weights": (lambda: fp.area_pool(X, 2, weights=X * np.nan), ValueError, "weights must be finite"),
    "maxima's weights": (lambda: fp.blur_pool(X, 3, op="max", weights=X), ValueError, "weights must be None"),
    "min_count": (lambda: fp.area_pool(X, 2, min_count=5), ValueError, "min_count must be at most"),
    "fill": (lambda: fp.area_pool(X.astype(np.uint8), 2, fill=256), ValueError, "fill must be a value"),
    "out": (
        lambda: fp.area_pool(X, 2, out=np.zeros((1, 1, 2, 3))),
        ValueError,
        "out must have the result's shape",
    ),
    "out is x": (lambda: fp.area_pool(X, 4, out=X), ValueError, "out must share no memory with x"),
    "gy": (lambda: fp.area_pool_backward(X, X, 2), ValueError, "gy must have the result's shape"),
}


@pytest.mark.parametrize(("call", "error", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
