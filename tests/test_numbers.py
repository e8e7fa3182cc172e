"""Numbers at their ends: sums that overflow, rounding, infinities, integers that do not fit."""

import importlib.util
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import fastpool as fp
from fastpool import windows
from fastpool.descriptors import GlobalDescriptor, class_activation_map, cross_dimensional_sum, regional_max

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
LARGE = {np.float32: 3e38, np.float64: 1.7e308, BFLOAT16: 3e38}
CALLS = [  # shape, window, stride, axes: each another way through the kernels
    ((1, 1, 8, 8), (3, 3), 1, (2, 3)),
    ((2, 2, 64, 64), (2, 2), 2, (2, 3)),
    ((2, 160, 160), (3, 3), 1, (1, 2)),
    ((8, 14, 14, 64), (2, 2), 2, (1, 2)),
    ((700, 800), (700, 800), 1, (0, 1)),
]


@pytest.mark.parametrize(
    ("dtype", "call"),
    [(np.float32, call) for call in CALLS]
    + [(np.float64, CALLS[n]) for n in (0, 1, 4)]
    + [(BFLOAT16, CALLS[1])],
    ids=str,
)
def test_averages_of_finite_numbers_are_finite(dtype, call):
    shape, window, stride, axes = call
    x = np.full(shape, LARGE[dtype], dtype)
    x[..., ::2, :1] *= -1
    y = fp.avg_pool(x, window, stride=stride, axes=axes)
    small = fp.avg_pool(x.astype(np.float64) * 2.0**-100, window, stride=stride, axes=axes)
    np.testing.assert_allclose(y.astype(np.float64) * 2.0**-100, small, rtol=8 * float(eps(dtype)))
    x[..., :1] = np.inf
    assert np.isinf(fp.avg_pool(x, window, stride=stride, axes=axes)).any()


def eps(dtype):
    return ml_dtypes.finfo(dtype).eps


def test_gradients_of_averages_are_finite():
    for dtype, shape, window in ((np.float32, (1, 1, 160, 160), 3), (np.float64, (1, 1, 6, 6), 2)):
        y, pull = fp.vjp(fp.avg_pool, np.ones(shape, dtype), window, stride=1)
        gx = pull(np.full(y.shape, LARGE[dtype], dtype))
        np.testing.assert_allclose(gx[0, 0, 3:-3, 3:-3] / dtype(LARGE[dtype]), 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16], ids=str)
def test_gradients_of_16_bit_averages_are_rounded_once(dtype, rng):
    """Windows of differing divisors too, in every way that shares go back."""
    calls = [
        {"window": (3, 3), "stride": 1, "padding": 1, "count_include_pad": False},
        {"window": (1, 5), "stride": (4, 1), "padding": ((0, 0), (0, 1)), "count_include_pad": False},
        {"window": (2, 2), "ceil_mode": True, "count_include_pad": False},
        {"window": (3, 2), "stride": 2, "dilation": 2},
    ]
    for shape, axes in [((2, 3, 19, 33), (2, 3)), ((1, 19, 33, 4), (1, 2)), ((19, 3, 33), (0, 2))]:
        x = np.zeros(shape, dtype)
        for call in calls:
            y = fp.avg_pool(x, **call, axes=axes)
            gy = rng.integers(-4, 5, y.shape).astype(dtype)
            exact = fp.pool_backward(gy.astype(np.float64), x.astype(np.float64), "avg", **call, axes=axes)
            found = fp.pool_backward(gy, x, "avg", **call, axes=axes).astype(np.float64)
            np.testing.assert_allclose(found, exact, rtol=0.51 * float(eps(dtype)), atol=1e-6)


def test_what_is_averaged_beside_a_maximum_is_finite():
    for dtype, size in ((np.float32, 64), (np.float64, 8)):
        x = np.full((1, 1, size, size), LARGE[dtype], dtype)
        np.testing.assert_allclose(fp.mixed_pool(x, 2) / x.flat[0], 1, rtol=1e-6)


def test_the_mean_of_a_constant_is_the_constant(rng):
    assert fp.global_avg_pool(np.full((546, 1077), 255, np.float32), axes=(0, 1)) == 255
    for value in rng.random(20):
        x = np.full((3, 7, 11), value)
        for op in ("avg", "gem", "lse", "soft", "mixed"):
            assert (fp.global_pool(x, op, axes=(1, 2)) == value).all()


def test_a_float64_is_rounded_once():
    """Halfway between two halves, and a little more than float32 can tell."""
    ties = np.array(
        [1 + 2.0**-11 + 2.0**-40, 1 + 3 * 2.0**-11 - 2.0**-40, 2.0**-25 * (1 + 2.0**-30), 1e39, -1e-60]
    )
    with np.errstate(over="ignore"):
        expected = ties.astype(np.float16)
    np.testing.assert_array_equal(fp.max_pool(ties, (1,), dtype=np.float16), expected)
    np.testing.assert_array_equal(fp.sum_pool(ties, (1,), dtype=np.float16), expected)
    wide = fp.max_pool(np.array([1 + 2.0**-8 + 2.0**-40, 1 + 3 * 2.0**-8 - 2.0**-40]), (1,), dtype=BFLOAT16)
    np.testing.assert_array_equal(wide.astype(np.float64), [1 + 2.0**-7, 1 + 2.0**-7])


def test_quantiles_beside_infinities(rng):
    x = rng.standard_normal((2, 64, 160))
    x[rng.random(x.shape) < 0.2] = np.inf
    x[rng.random(x.shape) < 0.1] = -np.inf
    cells = x.reshape(2, 32, 2, 80, 2).transpose(0, 1, 3, 2, 4).reshape(2, 32, 80, 4)
    with np.errstate(invalid="ignore"):
        median, quantile = np.median(cells, -1), np.quantile(cells, 0.3, -1)
    for part in (slice(None), slice(0, 1)):  # by networks, and by elements
        np.testing.assert_array_equal(fp.median_pool(x[part], (2, 2)), median[part])
        found = fp.quantile_pool(x[part], (2, 2), q=0.3)
        number = ~np.isnan(quantile[part])
        np.testing.assert_allclose(found[number], quantile[part][number], rtol=1e-14)
    assert fp.quantile_pool(np.array([-np.inf, 1.0]), (2,), q=0.3) == -np.inf
    assert np.isnan(fp.quantile_pool(np.array([-np.inf, np.inf]), (2,), q=0.3))
    assert fp.median_pool(np.array([-1.7e308, 1.7e308]), (2,)) == 0
    for q in (0.25, 0.7):
        far = fp.quantile_pool(np.array([-1.7e308, 1.7e308]), (2,), q=q)
        np.testing.assert_allclose(far, 1.7e308 * (2 * q - 1), rtol=1e-14)


def test_zeros_of_medians_do_not_depend_on_the_layout(rng):
    x = np.where(rng.random((4, 48, 104)) < 0.5, 0.0, -0.0)
    for window in ((1, 2), (2, 2), (3, 1)):
        for laid in (x, np.asfortranarray(x), x[:1]):
            assert not np.signbit(fp.median_pool(laid, window)).any()


def test_soft_without_slope_is_the_mean():
    x = np.array([1.0, np.inf])
    y, pull = fp.vjp(fp.soft_pool, x, (2,), beta=0)
    assert y == np.inf
    assert pull(np.ones(1)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("dtype", [np.dtype(name) for name in ("int8", "uint32", "uint64")], ids=str)
def test_integer_averages_that_do_not_fit_wrap(dtype):
    limits = np.iinfo(dtype)
    bits = limits.bits
    for end in (limits.max, limits.min or limits.max):
        for size, window in ((8, 2), (48, 2), (48, 5)):
            x = np.full((2, size, size), end, dtype)
            exact = (2 * int(end) * window * window + 3) // 6 % 2**bits
            for laid in (x, np.asfortranarray(x), x[:, ::-1]):
                y = fp.avg_pool(laid, (window, window), divisor_override=3)
                assert (y.view(f"u{dtype.itemsize}") == exact).all()


def test_integer_averages_of_large_divisors():
    for dtype, value in ((np.int64, 2**62), (np.int64, -(2**63)), (np.uint64, 2**64 - 1), (np.int32, 2**30)):
        x = np.full((4, 4), value, dtype)
        for window in (2**15, 2**16, 2**20, 2**30):
            y = fp.avg_pool(x, (window, window), stride=window, padding=window - 1)
            table = windows.sliding(4, window, window, window - 1, window - 1)
            pairs = zip(table.count.tolist(), table.extent.tolist(), strict=True)
            lines = [(count, size) for count, size in pairs]
            expected = [(2 * value * a * b + m * n) // (2 * m * n) for a, m in lines for b, n in lines]
            assert y.ravel().tolist() == expected


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16], ids=str)
def test_descriptors_of_16_bits_compute_in_float32(rng, dtype):
    x = (rng.random((2, 4, 64, 64)) * 50).astype(dtype)
    for describe in (GlobalDescriptor("sum").fit_transform, regional_max, cross_dimensional_sum):
        found = describe(x)
        assert found.dtype == dtype
        wanted = describe(x.astype(np.float64))
        np.testing.assert_allclose(found.astype(np.float64), wanted, rtol=2 * float(eps(dtype)))
    maps = class_activation_map(x, np.ones((1, 4), dtype))
    assert maps.dtype == dtype
    assert np.isfinite(maps.astype(np.float32)).all()


spec = importlib.util.spec_from_file_location("accuracy", Path(__file__).parents[1] / "docs" / "accuracy.py")
accuracy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(accuracy)


@pytest.mark.parametrize("operator", ["avg", "lp, p=1", "gem, p=1", "lse", "soft", "stochastic", "quantile"])
def test_a_few_ulp(operator):
    assert accuracy.error(operator, "float64", "global, 28,672") <= 4
    assert accuracy.error(operator, "float64", "2x2, 64 windows") <= 4


@pytest.mark.parametrize("where", ["3x3", "5x5", "16x16"])
def test_averages_over_lines_are_right_to_a_few_ulp(where):
    assert accuracy.error("avg", "float32", where) <= 4


@pytest.mark.parametrize(
    ("window", "stride", "shape"),
    [
        ((8, 8, 8), (2, 1, 1), (20, 20, 20)),
        ((9, 9, 9), (4, 4, 4), (40, 40, 40)),
        ((300, 5), (40, 5), (1000, 40)),
        ((100, 3), (3, 1), (400, 30)),
        ((31, 31), (1, 1), (60, 200)),
        ((1, 120), (1, 7), (20, 2000)),
        ((1, 100), (1, 9), (20, 2000)),
        ((60, 1), (3, 1), (300, 40)),
        ((7, 8, 9, 2), (3, 2, 1, 1), (12, 14, 40, 20)),
    ],
)
@pytest.mark.parametrize(("dtype", "wide"), [("float32", np.float64), ("float64", np.longdouble)])
def test_sums_of_long_windows_are_right_to_a_few_ulp(dtype, wide, window, stride, shape, rng):
    axes = tuple(range(len(shape)))
    for x in (rng.random(shape).astype(dtype), np.full(shape, 0.1, dtype)):
        _right_to_a_few_ulp(x, wide, window, stride, axes)


def _right_to_a_few_ulp(x, wide, window, stride, axes):
    dtype = x.dtype
    covered = np.lib.stride_tricks.sliding_window_view(x.astype(wide), window)
    covered = covered[tuple(slice(None, None, step) for step in stride)]
    expected = covered.mean(axis=tuple(n + len(axes) for n in axes))
    assert fp.explain_call(fp.avg_pool, x, window, stride=stride, axes=axes).kernel != "general"
    for skipna in (False, True) if stride[-1] == 1 else (False,):  # of one kernel
        found = fp.avg_pool(x, window, stride=stride, axes=axes, skipna=skipna)
        assert np.all(np.abs(found - expected) <= 4 * np.spacing(expected.astype(dtype)))


def test_sums_of_long_windows_cancel_in_float64():
    x = np.ones((9, 9, 40, 70), np.float32)
    x[0::4], x[1::4] = 1e8, -1e8
    for window in ((8, 8, 32, 32), (9, 9, 40, 3)):
        found = fp.avg_pool(x, window, stride=1, axes=(0, 1, 2, 3))
        np.testing.assert_allclose(found[0], x[: window[0]].mean(dtype=np.float64), rtol=1e-6)
