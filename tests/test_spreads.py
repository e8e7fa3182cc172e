"""Variance and standard deviation: values, precision, dtypes, what is missing, weights, gradients."""

import cases
import ml_dtypes
import numpy as np
import pytest
import reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fastpool as fp

OPS = ("var", "std")
ULP = np.finfo(np.float64).eps


def moments(op, x, ddof=0):
    """NumPy's own over the last axis; NaN where it divides by 0."""
    with np.errstate(all="ignore"):
        return np.where(x.shape[-1] > ddof, getattr(np, op)(x, -1, ddof=ddof), np.nan)


# Values --------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(
    cases.geometries(),
    st.sampled_from(OPS),
    st.sampled_from([0, 0, 1, 1.5, 3]),
    st.sampled_from([0, 1e6, -1e15]),
    st.sampled_from(cases.LAYOUTS),
    st.integers(0, 10**6),
)
def test_sliding(geometry, op, ddof, offset, layout, seed):
    call, shape, axes, tables = geometry
    assume(None not in tables)
    x = cases.arrange(np.random.default_rng(seed).integers(-9, 10, shape) * 0.5 + offset, layout)
    y = fp.pool(x, op, **call, ddof=ddof)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, reference.pool(x, op, tables, axes, ddof=ddof)[0], rtol=16 * ULP)


@pytest.mark.parametrize("ddof", [0, 1, 2])
@pytest.mark.parametrize("op", OPS)
def test_numpy_says_the_same(rng, op, ddof):
    x = rng.standard_normal((2, 3, 9, 8))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 2), (2, 3)).reshape(2, 3, 7, 7, 6)
    np.testing.assert_allclose(
        fp.pool(x, op, (3, 2), stride=1, ddof=ddof), moments(op, windows, ddof), rtol=1e-13
    )
    flat = x.reshape(2, 3, -1)
    np.testing.assert_allclose(fp.global_pool(x, op, ddof=ddof), moments(op, flat, ddof), rtol=1e-13)


@pytest.mark.parametrize(
    "name",
    ["float16", "bfloat16", "float32", "int8", "uint8", "int16", "uint32", "int64", "uint64", "bool"],
)
def test_dtypes(rng, name):
    dtype = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
    floats = dtype.kind not in "iub"
    x = (10 * rng.standard_normal((2, 5, 12)) if floats else rng.integers(0, 90, (2, 5, 12))).astype(dtype)
    tables = [reference.taps(n, 3, 2, 1, 1, 1, False) for n in (5, 12)]
    for op in OPS[: 2 if name in ("float32", "uint8") else 1]:
        y = fp.pool(x, op, (3, 3), stride=2, padding=1)
        assert y.dtype == (dtype if floats else np.float64)
        expected = reference.pool(x, op, tables, (1, 2))[0].astype(np.float64)
        error = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24}.get(name, 4 * ULP)
        np.testing.assert_allclose(y.astype(np.float64), expected, rtol=1.01 * error)


def test_dtypes_of_results(rng):
    x = rng.integers(0, 9, (4, 6)).astype(np.uint8)
    assert fp.var_pool(x, (2, 2), dtype=np.float32).dtype == np.float32
    assert fp.var_pool(x > 3, (2, 2), dtype=np.float32).dtype == np.float32
    assert fp.var_pool(x.astype(np.float32), (2, 2), dtype=np.float64).dtype == np.float64
    for each in (x, x > 3, x.astype(np.float32)):
        with pytest.raises(TypeError, match=r"\bdtype\b.*float16"):
            fp.var_pool(each, (2, 2), dtype=np.int64)
    out = np.empty((2, 3))
    assert fp.std_pool(x, (2, 2), out=out) is out
    np.testing.assert_array_equal(out, fp.std_pool(x, (2, 2)))


def test_equal_elements_have_none():
    for value in (0.1, -7.3, 1e308, 5e-324, 1e-200):
        x = np.full((50, 60), value)
        for op in OPS:
            assert not fp.pool(x, op, (3, 7), stride=1).any()
            assert fp.global_pool(x, op, axes=(0, 1)) == 0
            assert not fp.pool(x, op, (5, 4), weights=np.linspace(0.1, 2, 60)).any()
    assert not fp.var_pool(np.full((9, 9), 0.1, np.float32), (4, 4)).any()
    assert fp.var_pool(np.full(4096, 2**64 - 1, np.uint64), (4096,)) == 0


def test_a_mean_far_from_0_costs_nothing(rng):
    steps = rng.integers(-3, 4, 64)
    expected = float(reference.var(steps))
    assert fp.var_pool(1e15 + steps, (64,)) == pytest.approx(expected, rel=4 * ULP)
    assert fp.var_pool(2**62 + 7 + steps, (64,)) == pytest.approx(expected, rel=4 * ULP)
    large = np.uint64(2**64 - 9) + (steps + 3).astype(np.uint64)
    assert fp.var_pool(large, (64,)) == pytest.approx(expected, rel=4 * ULP)
    assert fp.var_pool(np.array([-(2**63), 2**63 - 1]), (2,)) == pytest.approx(2.0**126)
    assert fp.std_pool(1e16 + np.array([0.0, 2.0, 4.0]), (3,)) == pytest.approx((8 / 3) ** 0.5, rel=4 * ULP)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_window_is_accurate(rng, dtype):
    x = (rng.standard_normal(10**6) + 1e4).astype(dtype)
    exact = np.var(x.astype(np.longdouble))
    for window in ((10**6,), (1000, 1000)):
        y = fp.global_pool(x.reshape(window), "var", axes=tuple(range(len(window))))
        assert abs(y - exact) <= 4 * np.spacing(dtype(1))


def test_what_is_large_stays_finite_where_it_can():
    x = np.array([1e200, -1e200, 1e200, -1e200])
    assert fp.std_pool(x, (4,)) == pytest.approx(1e200, rel=4 * ULP)
    assert fp.var_pool(x, (4,)) == np.inf
    assert fp.std_pool(1.7e108 * x, (4,)) == pytest.approx(1.7e308, rel=4 * ULP)
    assert fp.var_pool(1e308 + 1e299 * np.arange(4), (4,)) == np.inf
    assert fp.var_pool(1e308 + np.zeros(4), (4,)) == 0
    assert fp.std_pool(np.array([1e154, 3e154]), (2,), weights=np.array([1e20, 1e20])) == pytest.approx(1e154)
    top = np.finfo(np.float32).max
    assert fp.std_pool(np.array([top, -top], np.float32), (2,)) == top
    pull = fp.vjp(fp.std_pool, x, (4,))[1]
    np.testing.assert_allclose(pull(np.ones(1)), [0.25, -0.25, 0.25, -0.25], rtol=4 * ULP)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nans_and_infinities_give_nan(op, bad):
    for place in range(4):
        x = np.array([1.0, 2, 4, 8, 1, 2, 4, 8])
        x[place] = bad
        for own in (x, x.astype(np.float32)):
            y, pull = fp.vjp(fp.pool, own, op, (4,))
            assert np.isnan(y).tolist() == [True, False]
            assert np.isnan(pull(np.ones_like(y))).tolist() == [True] * 4 + [False] * 4
    assert np.isnan(fp.pool(np.full(4, bad), op, (1,))).all()


# A window without elements to spare ------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPS)
def test_windows_of_no_more_than_ddof_elements(op):
    x = np.array([1.0, 5, 2, 2, np.nan])
    call = {"stride": 2, "ceil_mode": True, "ddof": 1}
    np.testing.assert_array_equal(np.isnan(fp.pool(x, op, (2,), **call)), [False, False, True])
    y = fp.pool(x, op, (2,), **call, fill=-1)
    assert np.isnan(y).tolist() == [False, False, False]
    assert y[2] == -1
    y, pull = fp.vjp(fp.pool, x[:3], op, (2,), **call)
    assert np.isnan(y[1])
    assert pull(np.ones(2))[2] == 0  # and not NaN
    assert fp.pool(x, op, (3,), skipna=True, ddof=1.5, stride=3, ceil_mode=True, fill=7)[1] == 7
    assert fp.pool(x, op, (2,), skipna=True, ddof=2, fill=7).tolist() == [7, 7]
    masked = fp.pool(np.ma.array([1.0, 5, 2, 2], mask=[0, 0, 0, 1]), op, (2,), ddof=1)
    assert masked.mask.tolist() == [False, True]
    assert fp.pool(np.ma.array([1.0, 5, 2]), op, (2,), **call).mask.tolist() == [False, True]
    with pytest.raises(ValueError, match=r"min_count must be at most the window's 2 elements, got 3"):
        fp.pool(x, op, (2,), ddof=2, min_count=3)


@pytest.mark.parametrize(
    ("ddof", "error"), [(-1, ValueError), (np.nan, ValueError), (np.inf, ValueError), ("1", TypeError)]
)
def test_what_ddof_may_be(ddof, error):
    for more in ({}, {"skipna": True}):
        with pytest.raises(error, match=r"\bddof\b"):
            fp.var_pool(np.ones(4), (2,), ddof=ddof, **more)
        with pytest.raises(error, match=r"\bddof\b"):
            fp.pyramid_pool(np.ones((1, 1, 4, 4)), "std", ddof=ddof, **more)
    with pytest.raises(TypeError, match="count_include_pad"):
        fp.pool(np.ones(4), "var", (2,), count_include_pad=False)


# Weights -------------------------------------------------------------------------------------------------


def test_weights_are_numbers_of_elements(rng):
    x, times = rng.standard_normal((5, 4)), rng.integers(0, 4, (5, 4))
    times[:, 0] += 1
    for op in OPS:
        expected = [moments(op, np.repeat(*row)) for row in zip(x, times, strict=True)]
        np.testing.assert_allclose(fp.global_pool(x, op, axes=1, weights=times), expected, rtol=1e-13)
    mean = np.average(x, -1, times)[:, None]
    expected = np.average((x - mean) ** 2, -1, times)
    np.testing.assert_allclose(fp.var_pool(x, (4,), weights=times)[:, 0], expected, rtol=1e-13)


def test_ddof_and_weights_do_not_go_together():
    with pytest.raises(ValueError, match="ddof must be 0 with weights"):
        fp.var_pool(np.ones(4), (2,), ddof=1, weights=np.ones(4))
    assert np.isnan(fp.var_pool(np.ones(4), (4,), weights=np.zeros(4)))


def test_a_large_element_without_weight_is_nothing():
    x, weights = np.array([1e300, 1.0, 3.0, -1e300]), np.array([0.0, 1, 1, 0])
    assert fp.var_pool(x, (4,), weights=weights) == 1


# Gradients -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("op", OPS)
def test_gradients(rng, op, ddof):
    x = rng.integers(-9, 10, (2, 9, 8)) * 0.25
    tables = [reference.taps(n, 3, 2, 1, 1, 1, False) for n in (9, 8)]
    y, pull = fp.vjp(fp.pool, x, op, (3, 3), stride=2, padding=1, ddof=ddof)
    gy = rng.standard_normal(y.shape)
    expected = reference.pull(gy, x, op, tables, (1, 2), ddof=ddof)
    np.testing.assert_allclose(pull(gy), expected, rtol=1e-12, atol=1e-13)
    assert pull(gy, params=True)[1] == {}
    whole = (4 * x).astype(np.int32)
    found = fp.pool_backward(gy, whole, op, (3, 3), stride=2, padding=1, ddof=ddof)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected * (4 if op == "var" else 1), rtol=1e-12, atol=1e-12)


def test_gradients_of_equal_elements_are_0():
    for op in OPS:
        assert not fp.pool_backward(np.ones(2), np.full(6, 0.1), op, (3,)).any()


@pytest.mark.parametrize("op", OPS)
def test_equal_bits_for_every_number_of_threads(rng, threads, op):
    x = rng.standard_normal((3, 5, 130, 70)).astype(np.float32)
    seen = []
    for count in (1, 2, 3):
        threads(count)
        y, pull = fp.vjp(fp.pool, x, op, 3, stride=2, padding=1)
        seen.append((y.tobytes(), pull(y).tobytes()))
    assert seen[0] == seen[1] == seen[2]
