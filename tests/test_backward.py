"""Gradients: against the oracle, finite differences and the rules for ties."""

import cases
import numpy as np
import pytest
import reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fastpool as fp

OPS = ("max", "min", "avg", "sum", "lp")


@settings(max_examples=300)
@given(
    cases.geometries(),
    st.sampled_from(OPS),
    st.integers(0, 10**6),
    st.booleans(),
    st.sampled_from([None, None, 3, -2]),
    st.sampled_from([2.0, 1.0, 3.5, 0.5]),
    st.sampled_from(["C", "F", "reversed"]),
)
def test_sliding_gradients(geometry, op, seed, include_pad, override, p, layout):
    call, shape, axes, tables = geometry
    assume(None not in tables)
    rng = np.random.default_rng(seed)
    x = cases.arrange(rng.integers(-6, 7, shape) * 0.5, layout)
    options = {"avg": {"count_include_pad": include_pad, "divisor_override": override}, "lp": {"p": p}}
    names = {"count_include_pad": "include_pad", "divisor_override": "override", "p": "p"}
    given_options = options.get(op, {})
    y, pull = fp.vjp(fp.pool, x, op, **call, **given_options)
    gy = cases.arrange(rng.integers(-9, 10, y.shape) * 1.0, layout)
    renamed = {names[k]: v for k, v in given_options.items()}
    expected = reference.pull(gy, x, op, tables, axes, **renamed)
    gx = pull(gy)
    assert gx.dtype == np.float64
    assert gx.flags.c_contiguous
    np.testing.assert_allclose(gx, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(fp.pool_backward(gy, x, op, **call, **given_options), gx)
    if op in ("max", "min"):
        indices = fp.pool(x, op, **call, return_indices=True)[1]
        again = fp.pool_backward(gy, x, op, **call, indices=indices.astype(np.uint64))
        np.testing.assert_array_equal(again, gx)


FORMS = {
    "sliding": (fp.pool, fp.pool_backward, {"window": (3, 2), "stride": (2, 1), "padding": (1, 0)}),
    "dilated": (fp.pool, fp.pool_backward, {"window": 2, "dilation": 2, "stride": 3, "axes": (1, 3)}),
    "adaptive": (fp.adaptive_pool, fp.adaptive_pool_backward, {"output_size": (3, 7)}),
    "global": (fp.global_pool, fp.global_pool_backward, {}),
    "global, kept": (fp.global_pool, fp.global_pool_backward, {"axes": (0, 2), "keepdims": True}),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("seed", range(8))
def test_windows_side_by_side(seed, dtype, ways_back, threads):
    """Each element has the share of its window: repeated, and divided where it is a mean."""
    rng = np.random.default_rng(seed)
    ndim, channels = int(rng.integers(1, 4)), int(rng.choice([1, 1, 9, 20]))
    window = [int(k) for k in rng.integers(1, 5, ndim)]
    if seed % 2:
        window[-1] = 2
    counts = [int(n) for n in rng.integers(1, 30 // ndim, ndim)]
    shape = (3, *(k * n for k, n in zip(window, counts, strict=True)), *((channels,) if channels > 1 else ()))
    axes = tuple(range(1, 1 + ndim))
    x = rng.standard_normal(shape).astype(dtype)
    for f, divisor in ((fp.avg_pool, np.prod(window)), (fp.sum_pool, 1)):
        y, pull = fp.vjp(f, x, window, axes=axes)
        gy = rng.standard_normal(y.shape).astype(dtype)
        expected = gy.astype(np.float64) / divisor
        for axis, k in zip(axes, window, strict=True):
            expected = expected.repeat(k, axis)
        for number in (1, 3):
            threads(number)
            least = 6e-8 if x.itemsize == 2 else 0  # the smallest float16
            np.testing.assert_allclose(pull(gy), expected, {2: 1e-3, 4: 1e-6, 8: 1e-14}[x.itemsize], least)
    assert set(ways_back) == {"cells"}


@pytest.mark.parametrize("window", [(900,), (40, 30), (7, 200), (9, 9, 9)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("form", ["avg", "sum", "indices"])
def test_many_gradients_of_one_element(window, stride, form):
    """They add up one after the other; equal ones would each be rounded the same way."""
    shape = tuple(2 * k + 5 for k in window)
    x = np.zeros(shape, np.float32)
    x[window] = 1  # which most windows choose
    call = {"window": window, "stride": stride}
    y, pull = fp.vjp(fp.sum_pool, x, **call)
    gy = np.full(y.shape, 2.654, np.float32)
    if form == "indices":
        _, indices = fp.max_pool(x, **call, return_indices=True)
        gx = fp.pool_backward(gy, x, "max", **call, indices=indices)
        expected = np.zeros(x.size)
        np.add.at(expected, indices.ravel(), gy.ravel().astype(np.float64))
        expected = expected.reshape(shape)
    else:
        if form == "avg":
            y, pull = fp.vjp(fp.avg_pool, x, **call)
        gx = pull(gy)
        expected = np.full(y.shape, float(gy.flat[0]) / (np.prod(window) if form == "avg" else 1))
        tables = [reference.taps(n, k, stride, 0, 0, 1, False) for n, k in zip(shape, window, strict=True)]
        expected = reference.pull(expected, x.astype(np.float64), "sum", tables, tuple(range(x.ndim)))
    np.testing.assert_allclose(gx, expected, rtol=4 * np.finfo(np.float32).eps)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("op", [*OPS, "lp 0.7", "lp 1", "lp inf"])
def test_finite_differences(rng, form, op):
    f, backward, call = FORMS[form]
    op, *power = op.split()
    call = {**call, "p": float(power[0])} if power else call
    x = cases.distinct(rng, (2, 3, 7, 6))
    y, pull = fp.vjp(f, x, op, **call)
    gy = rng.standard_normal(y.shape)
    direction = rng.standard_normal(x.shape)
    step = 1e-6
    ahead, behind = f(x + step * direction, op, **call), f(x - step * direction, op, **call)
    measured = np.sum(gy * (ahead - behind)) / (2 * step)
    np.testing.assert_allclose(np.sum(pull(gy) * direction), measured, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(backward(gy, x, op, **call), pull(gy))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("p", [0.7, 1.0, 2.0, 3.5])
def test_gradient_of_p(rng, form, p):
    f, _, call = FORMS[form]
    x = cases.distinct(rng, (2, 3, 7, 6))
    y, pull = fp.vjp(f, x, "lp", p=p, **call)
    gy = rng.standard_normal(y.shape)
    gx, slopes = pull(gy, params=True)
    np.testing.assert_array_equal(gx, pull(gy))
    step = 1e-6
    ahead, behind = f(x, "lp", p=p + step, **call), f(x, "lp", p=p - step, **call)
    np.testing.assert_allclose(slopes["p"], np.sum(gy * (ahead - behind)) / (2 * step), rtol=1e-6)


def test_operators_without_parameters_have_none():
    y, pull = fp.vjp(fp.max_pool, np.ones(4), (2,))
    assert pull(y, params=True)[1] == {}


def test_ties_go_to_the_first():
    x = np.array([[1.0, 1, 1], [1, 1, 1]])
    for op in ("max", "min"):
        _, pull = fp.vjp(fp.pool, x, op, (2, 2), stride=1)
        assert pull(np.array([[10.0, 1]])).tolist() == [[10, 1, 0], [0, 0, 0]]
    x = np.array([2.0, np.nan, 7, np.nan])
    y, pull = fp.vjp(fp.max_pool, x, (4,))
    assert np.isnan(y[0])
    assert pull(np.ones(1)).tolist() == [0, 1, 0, 0]


def test_largest_magnitudes_share_the_gradient_of_the_infinite_norm():
    _, pull = fp.vjp(fp.lp_pool, np.array([3.0, -3, 1, 3]), (4,), p=np.inf)
    np.testing.assert_allclose(pull(np.array([6.0])), [2, -2, 0, 2])


def test_lp_is_stable():
    x = np.array([[3.0, -4.0], [0.0, 0.0], [1e200, 1e200], [1e-200, 1e-200], [0.0, 5.0]])
    for p, factor in [(2, 2**0.5), (200, 2**0.005), (1e-2, 2.0**100)]:
        y, pull = fp.vjp(fp.lp_pool, x, (2,), p=p)
        np.testing.assert_allclose(y[2:4, 0], [1e200 * factor, 1e-200 * factor])
        assert y[1, 0] == 0
        gx = pull(np.ones_like(y))
        assert np.isfinite(gx).all()
        assert gx[1].tolist() == [0, 0]
        np.testing.assert_allclose(gx[2:4], factor / 2)
        assert gx[4].tolist() == [0, 1]
    y, pull = fp.vjp(fp.lp_pool, np.array([np.inf, 1.0, np.nan, 1.0]), (2,))
    assert y[0] == np.inf
    assert np.isnan(y[1])


def test_dtype_of_the_gradient():
    for x, gy, expected in [
        (np.float32, np.float64, np.float32),
        (np.float64, np.float32, np.float64),
        (np.int32, np.float32, np.float32),
        (np.float32, np.int64, np.float32),
        (np.uint8, np.int64, np.float64),
    ]:
        _, pull = fp.vjp(fp.max_pool, np.array([1, 3, 2, 4], x), (2,))
        gx = pull(np.array([5, 6], gy))
        assert gx.dtype == expected
        assert gx.tolist() == [0, 5, 0, 6]
    _, pull = fp.vjp(fp.avg_pool, np.array([1, 3, 2, 4]), (2,))
    assert pull(np.array([5, 6])).tolist() == [2.5, 2.5, 3, 3]


def test_vjp_takes_indices_and_functions_of_one_call(rng):
    x = rng.random((1, 1, 4, 4))
    (y, i), pull = fp.vjp(fp.max_pool, x, 2, return_indices=True)
    np.testing.assert_array_equal(i, fp.max_pool(x, 2, return_indices=True)[1])
    np.testing.assert_array_equal(pull(y), fp.pool_backward(y, x, "max", 2))
    _, pull = fp.vjp(lambda a: fp.avg_pool(a, 2), x)
    np.testing.assert_array_equal(pull(y), fp.pool_backward(y, x, "avg", 2))
    for wrong in (np.max, lambda a: fp.avg_pool(fp.avg_pool(a, 2), 2)):
        with pytest.raises(TypeError, match="f must call one pooling function"):
            fp.vjp(wrong, x)
    with pytest.raises(TypeError, match="f must be a pooling function"):
        fp.vjp("max", x, 2)


def test_unpool_is_the_inverse_of_return_indices(rng):
    x = cases.distinct(rng, (2, 3, 6, 8))
    for axes in [None, (2, 3), (1, 2), (3,), (0, 3)]:
        window = (2, 2) if axes is None else (2,) * len(axes)
        y, i = fp.max_pool(x, window, axes=axes, return_indices=True, ceil_mode=True)
        restored = fp.unpool(y, i, x.shape, axes=axes)
        kept = restored != 0
        np.testing.assert_array_equal(restored[kept], x[kept])
        assert kept.sum() == y.size
        if axes is not None:
            pooled = [x.shape[axis] for axis in axes]
            np.testing.assert_array_equal(fp.unpool(y, i, pooled, axes=axes), restored)
    y, i = fp.max_pool(x, 2, return_indices=True)
    np.testing.assert_array_equal(fp.unpool(y, i, (6, 8)), fp.unpool(y, i, x.shape))
    y, i = fp.max_pool(x[0], (2, 2, 2), ceil_mode=True, return_indices=True)
    assert (fp.unpool(y, i, x[0].shape) != 0).sum() == y.size


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int16, bool])
def test_unpool_duplicates(dtype):
    y, i = np.array([[1, 0, 1], [1, 1, 0]]).astype(dtype), np.array([[2, 0, 2], [1, 1, 1]], np.int32)
    last = fp.unpool(y, i, (2, 4), axes=1)
    assert last.dtype == dtype
    assert last.astype(int).tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    if dtype is not bool:
        total = fp.unpool(y, i, (2, 4), axes=1, duplicates="sum")
        assert total.dtype == dtype
        assert total.tolist() == [[0, 0, 2, 0], [0, 2, 0, 0]]
    with pytest.raises(ValueError, match="twice"):
        fp.unpool(y, i, (2, 4), axes=1, duplicates="error")


def test_unpool_gradient(rng):
    y, i = rng.random((2, 3)), np.array([[2, 0, 2], [1, 1, 3]])
    gx = rng.random((2, 4))
    rows = np.arange(2)[:, None]
    _, pull = fp.vjp(fp.unpool, y, i, (2, 4), axes=1, duplicates="sum")
    np.testing.assert_array_equal(pull(gx), gx[rows, i])
    _, pull = fp.vjp(fp.unpool, y, i, (2, 4), axes=1)
    np.testing.assert_array_equal(pull(gx), gx[rows, i] * [[0, 1, 1], [0, 1, 1]])
    np.testing.assert_array_equal(fp.unpool_backward(gx, y, i, (2, 4), axes=1), pull(gx))
