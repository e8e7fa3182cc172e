"""The operators beyond max, min, avg, sum and lp: the oracle, dtypes, extremes, identities."""

import itertools
import warnings

import cases
import numpy as np
import pytest
import reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fastpool as fp

OPS = {
    "gem": {},
    "lse": {},
    "soft": {},
    "mixed": {},
    "stochastic": {"training": False},
    "median": {},
    "quantile": {"q": 0.3},
}


def values(rng, shape, nan=False):
    """Small multiples of 1/2, so that ties occur; NaNs on request."""
    x = rng.integers(-6, 7, shape) * 0.5
    return np.where(rng.random(shape) < 0.15, np.nan, x) if nan else x


# Against the oracle --------------------------------------------------------------------------------------


@settings(max_examples=500)
@given(
    cases.geometries(),
    cases.operators(),
    st.sampled_from(cases.LAYOUTS),
    st.integers(0, 10**6),
    st.booleans(),
)
def test_sliding(geometry, operator, layout, seed, nan):
    call, shape, axes, tables = geometry
    op, options = operator
    x = cases.arrange(values(np.random.default_rng(seed), shape, nan), layout)
    if None in tables:
        with pytest.raises(ValueError, match=r"axis \d of x"):
            fp.pool(x, op, **call, **options)
        return
    before = x.copy()
    y = fp.pool(x, op, **call, **options)
    explicit = {"count_include_pad": True, **options} if op == "mixed" else options
    expected, _ = reference.pool(x, op, tables, axes, **cases.for_oracle(explicit))
    assert y.dtype == np.float64
    assert y.flags.c_contiguous
    assert y.flags.owndata
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(x, before)


TIES = ("smallest", "first", "largest")


@settings(max_examples=200)
@given(
    cases.geometries(),
    st.integers(0, 10**6),
    st.sampled_from([None, 0, 1, -1]),
    st.sampled_from(["int32", "bool", "float64"]),
    st.sampled_from(TIES),
)
def test_mode(geometry, seed, ignore, dtype, ties):
    call, shape, axes, tables = geometry
    assume(None not in tables)
    assume(dtype != "bool" or ignore != -1)
    rng = np.random.default_rng(seed)
    x = rng.integers(-1, 3, shape)
    x = x > 0 if dtype == "bool" else x.astype(dtype)
    if dtype == "float64":
        x[rng.random(shape) < 0.1] = np.nan
        x[rng.random(shape) < 0.2] *= -1  # zeros of both signs too
    y = fp.mode_pool(x, **call, ignore=ignore, ties=ties)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, reference.pool(x, "mode", tables, axes, ignore=ignore, ties=ties)[0])


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "uint8", "int16", "uint64"])
@pytest.mark.parametrize("ties", TIES)
def test_modes_of_dtypes(rng, name, ties):
    dtype = np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else name)
    x = rng.integers(0, 5, (2, 3, 90, 80)).astype(dtype)  # more elements than networks need
    if dtype.kind in "iub":
        x += np.array(np.iinfo(dtype).max - 7, dtype)
    window = {"stride": 2, "padding": 1}
    tables = [reference.taps(n, 3, 2, 1, 1, 1, False) for n in (90, 80)]
    for ignore in (None, x[0, 0, 0, 0].item()):
        y = fp.mode_pool(x, (3, 3), **window, ties=ties, ignore=ignore)
        assert y.dtype == dtype
        plain = x if dtype.kind in "iub" else x.astype(np.float64)
        expected = reference.pool(plain, "mode", tables, (2, 3), ties=ties, ignore=ignore)[0]
        np.testing.assert_array_equal(y.astype(plain.dtype), expected.astype(plain.dtype))


def test_modes_of_floats():
    inf, nan = np.inf, np.nan
    zeros = fp.mode_pool(np.array([-0.0, 0.0, 5, 5, 0.0]), (5,))
    assert zeros == 0
    assert not np.signbit(zeros)
    assert not np.signbit(fp.mode_pool(np.full(3, -0.0), (3,), ignore=0))
    assert fp.mode_pool(np.array([inf, -inf, inf, 1]), (4,)) == inf
    assert np.isnan(fp.mode_pool(np.array([1.0, 1, nan]), (3,)))
    assert fp.mode_pool(np.array([1.0, nan, nan]), (3,), skipna=True) == 1
    assert fp.mode_pool(np.array([1.0, nan, nan]), (3,), ignore=nan) == 1
    assert np.isnan(fp.mode_pool(np.array([nan, nan]), (2,), ignore=nan))
    assert np.isnan(fp.mode_pool(np.array([1.0, nan, nan]), (3,), ignore=1))
    assert fp.mode_pool(np.array([0.1, 0.1, 3], np.float32), (3,), ignore=0.1) == 3
    with pytest.raises(TypeError, match="mode pooling has no gradient"):
        fp.vjp(fp.mode_pool, np.ones(4), (2,), ties="first")


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8])
def test_modes_of_one_large_window(rng, dtype):
    x = rng.integers(0, 40, 9_000).astype(dtype)
    values, counts = np.unique(x, return_counts=True)
    top = counts.max()
    x = np.concatenate([x, np.repeat(values, np.maximum(top - counts, 0))[::-1]])  # all come equally often
    found = {ties: fp.mode_pool(x, (x.size,), ties=ties)[0] for ties in TIES}
    assert found == {"smallest": 0, "first": x[0], "largest": 39}


def test_scipy_finds_the_same_modes(rng):
    stats = pytest.importorskip("scipy.stats")
    x = rng.integers(0, 4, (20, 30)) * 0.5
    np.testing.assert_array_equal(fp.global_pool(x, "mode", axes=1), stats.mode(x, axis=1).mode)
    x[rng.random(x.shape) < 0.1] = np.nan
    expected = stats.mode(x, axis=1, nan_policy="omit").mode
    np.testing.assert_array_equal(fp.global_pool(x, "mode", axes=1, skipna=True), expected)


GEOMETRIES = {
    "2x2": ((2, 8, 40, 40), {"window": 2}, [(2, 2, 0)] * 2),
    "3x3 s2 p1": ((2, 8, 40, 40), {"window": 3, "stride": 2, "padding": 1}, [(3, 2, 1)] * 2),
    "3x3 s1 p1": ((2, 8, 40, 40), {"window": 3, "stride": 1, "padding": 1}, [(3, 1, 1)] * 2),
    "6x5 s1": ((2, 8, 40, 40), {"window": (6, 5), "stride": 1}, [(6, 1, 0), (5, 1, 0)]),
    "long lines": ((3, 3, 8, 300), {"window": 3, "stride": 1, "padding": 1}, [(3, 1, 1)] * 2),
    "one axis": ((4, 4, 1500), {"window": (4,), "stride": 3}, [(4, 3, 0)]),
    "three axes": ((2, 2, 12, 24, 24), {"window": 2}, [(2, 2, 0)] * 3),
    "channels last": (
        (2, 40, 40, 8),
        {"window": 3, "stride": 2, "padding": 1, "axes": (1, 2)},
        [(3, 2, 1)] * 2,
    ),
}


def large(rng, name):
    """More than 20,000 elements, where fast passes over lines take over; the oracle's tables and axes."""
    shape, call, triples = GEOMETRIES[name]
    axes = call.get("axes", tuple(range(len(shape) - len(triples), len(shape))))
    tables = [
        reference.taps(shape[axis], k, s, p, p, 1, False)
        for axis, (k, s, p) in zip(axes, triples, strict=True)
    ]
    return rng.standard_normal(shape).astype(np.float32), call, tables, axes


EVERYWHERE = ("gem", "lse", "median", "quantile", "lp 3")
SOMETIMES = ("soft", "mixed", "stochastic", "gem 2", "gem 2.5", "lse -2")
FEW = ("3x3 s2 p1", "6x5 s1", "one axis", "channels last")


@pytest.mark.parametrize(
    ("op", "name"), [*itertools.product(EVERYWHERE, GEOMETRIES), *itertools.product(SOMETIMES, FEW)]
)
def test_large(rng, name, op):
    op, *power = op.split()
    options = {{"gem": "p", "lp": "p", "lse": "r"}[op]: float(power[0])} if power else OPS[op]
    x, call, tables, axes = large(rng, name)
    explicit = {"include_pad": True} if op == "mixed" else cases.for_oracle(options)
    expected, _ = reference.pool(x, op, tables, axes, **explicit)
    y = fp.pool(x, op, **call, **options)
    assert y.dtype == np.float32
    cancels = op in ("lse", "soft", "mixed", "median", "quantile")
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6 if cancels else 0)


@pytest.mark.parametrize("op", OPS)
def test_large_with_nans_and_infinities(rng, op):
    x, call, tables, axes = large(rng, "3x3 s1 p1")
    chance = rng.random(x.shape)
    x[chance < 0.01] = np.nan
    if op in ("gem", "lse", "soft", "mixed"):
        x[chance > 0.99] = np.inf
    explicit = {"include_pad": True} if op == "mixed" else cases.for_oracle(OPS[op])
    expected, _ = reference.pool(x, op, tables, axes, **explicit)
    y = fp.pool(x, op, **call, **OPS[op])
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("op", OPS)
def test_large_global_and_adaptive(rng, op):
    x = rng.standard_normal((3, 4, 50, 60)).astype(np.float32)
    options = cases.for_oracle(OPS[op])
    for sizes in [(1, 1), (7, 8)]:
        tables = [reference.bins(n, o) for n, o in zip((50, 60), sizes, strict=True)]
        expected, _ = reference.pool(x, op, tables, (2, 3), **options)
        y = fp.adaptive_pool(x, op, sizes, **OPS[op])
        np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
    y = fp.global_pool(x, op, keepdims=True, **OPS[op])
    expected, _ = reference.pool(x, op, [reference.bins(50, 1), reference.bins(60, 1)], (2, 3), **options)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("op", "dtype"),
    [(op, dtype) for op in OPS for dtype in ("float16", "float32")]
    + [("gem", "bfloat16"), ("quantile", "bfloat16")],
)
def test_other_floats(rng, op, dtype):
    dtype = pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    x = rng.standard_normal((2, 3, 9, 8)).astype(dtype)
    tables = [reference.taps(n, 3, 2, 1, 1, 1, False) for n in (9, 8)]
    explicit = {"include_pad": True} if op == "mixed" else cases.for_oracle(OPS[op])
    expected, _ = reference.pool(x.astype(np.float64), op, tables, (2, 3), **explicit)
    y = fp.pool(x, op, 3, stride=2, padding=1, **OPS[op])
    assert y.dtype == dtype
    rounding = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24}[np.dtype(dtype).name]
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=1.1 * rounding, atol=rounding * 1e-2)


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        ("median", np.int16),
        ("median", bool),
        ("mode", np.uint32),
    ],
)
def test_integers(rng, op, dtype):
    x = rng.integers(0, 2 if dtype is bool else 9, (2, 3, 9, 8)).astype(dtype)
    tables = [reference.taps(n, 3, 2, 1, 1, 1, False) for n in (9, 8)]
    expected, _ = reference.pool(x, op, tables, (2, 3))
    y = fp.pool(x, op, 3, stride=2, padding=1)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, expected)


def test_dtypes_that_are_refused():
    x = np.ones((4, 4))
    for op in ("gem", "lse", "soft", "mixed", "stochastic"):
        for dtype in (np.int32, bool):
            with pytest.raises(TypeError, match=r"\bx\b"):
                fp.pool(x.astype(dtype), op, (2, 2))
    with pytest.raises(TypeError, match=r"\bx\b"):
        fp.quantile_pool(x > 0, (2, 2), q=0.5)


# The calls of a row --------------------------------------------------------------------------------------


def test_named_functions_are_pool(rng):
    x = rng.standard_normal((2, 3, 6, 6))
    for op, options in OPS.items():
        named = getattr(fp, f"{op}_pool")(x, 3, stride=2, padding=1, **options)
        np.testing.assert_array_equal(named, fp.pool(x, op, 3, stride=2, padding=1, **options))
        out = np.empty_like(named)
        assert getattr(fp, f"{op}_pool")(x, 3, stride=2, padding=1, out=out, **options) is out
        np.testing.assert_array_equal(out, named)
    labels = rng.integers(0, 4, (2, 3, 6, 6))
    np.testing.assert_array_equal(fp.mode_pool(labels, 2, ignore=1), fp.pool(labels, "mode", 2, ignore=1))


def test_defaults_are_those_of_the_contract(rng):
    x = rng.standard_normal((2, 3, 6, 6))
    for op, options in {
        "gem": {"p": 3, "eps": 1e-6},
        "lse": {"r": 1},
        "soft": {"beta": 1},
        "mixed": {"alpha": 0.5, "count_include_pad": True, "divisor_override": None},
    }.items():
        np.testing.assert_array_equal(
            fp.pool(x, op, 3, stride=2, padding=1), fp.pool(x, op, 3, stride=2, padding=1, **options)
        )
    with pytest.raises(TypeError, match=r"\bq\b"):
        fp.quantile_pool(x, 2)
    with pytest.raises(TypeError, match=r"\bq\b"):
        fp.pool(x, "quantile", 2)


@pytest.mark.parametrize("op", [*OPS, "mode"])
def test_empty_batches_and_many_axes(rng, op):
    options = OPS.get(op, {})
    kind = np.int32 if op == "mode" else np.float64
    for shape in [(0, 3, 4, 4), (2, 0, 4, 4)]:
        x = np.zeros(shape, kind)
        assert fp.pool(x, op, 2, **options).shape == (*shape[:2], 2, 2)
        assert fp.adaptive_pool(x, op, 3, **options).shape == (*shape[:2], 3, 3)
        assert fp.global_pool(x, op, **options).shape == shape[:2]
    shape = (3, 4, 3, 2, 3, 2)
    x = (8 * rng.random(shape)).astype(kind)
    tables = [reference.taps(n, 2, 2, 1, 0, 1, False) for n in shape]
    expected, _ = reference.pool(x, op, tables, tuple(range(6)), **cases.for_oracle(options))
    more = {"count_include_pad": False} if op == "mixed" else {}
    y = fp.pool(x, op, (2,) * 6, padding=((1, 0),) * 6, **options, **more)
    np.testing.assert_allclose(y, expected.astype(y.dtype), rtol=1e-12)


@pytest.mark.parametrize("op", OPS)
def test_moving_the_axes_and_the_layout(rng, op):
    x = rng.standard_normal((5, 6, 4, 7))
    call = {"window": (2, 3), "axes": (1, 3)}
    y = fp.pool(x, op, **call, **OPS[op])
    for order in [(0, 2, 1, 3), (3, 1, 0, 2), (2, 3, 1, 0)]:
        moved = {"window": (2, 3), "axes": (order.index(1), order.index(3))}
        np.testing.assert_allclose(
            fp.pool(x.transpose(order), op, **moved, **OPS[op]), y.transpose(order), rtol=1e-13
        )


# Extremes ------------------------------------------------------------------------------------------------


def scattered(rng, shape):
    """Log-uniform magnitudes of 1e-30 to 1e30, of either sign."""
    return (rng.choice([-1, 1], shape) * 10 ** rng.uniform(-30, 30, shape)).astype(np.float32)


FIELDS = {
    "scattered": scattered,
    "positive": lambda rng, shape: np.abs(scattered(rng, shape)),
    "huge": lambda rng, shape: (rng.uniform(1, 10, shape) * 1e29).astype(np.float32),
    "huge of either sign": lambda rng, shape: (rng.uniform(-1, 1, shape) * 1e30).astype(np.float32),
    "tiny": lambda rng, shape: (rng.uniform(1, 10, shape) * 1e-30).astype(np.float32),
    "tiny of either sign": lambda rng, shape: (rng.uniform(-1, 1, shape) * 1e-30).astype(np.float32),
    "one a window": lambda rng, shape: scattered(rng, shape) * (np.arange(shape[-1]) % 4 == 1),
    "near each other": lambda rng, shape: (1e30 * (1 + 1e-3 * rng.random(shape))).astype(np.float32),
}
EXTREMES = {
    "lp": [{"p": p} for p in (1, 2, 3, 200, 2.5, 0.5, 0.02, 1e-3)],
    "gem": [{"p": p, "eps": eps} for p in (1, 2, 3, 200, 2.5, 0.5, 1e-3) for eps in (1e-6, 1e-37)],
    "lse": [{"r": r} for r in (1, -1, 2.5, 1e-3, 200.0, 1e-30)],
    "soft": [{"beta": beta} for beta in (1, -1, 0, 2.5, 1e-3, 200.0, 1e-30)],
}
TRUTH = {"lp": reference.norm, "gem": reference.gem, "lse": reference.lse, "soft": reference.soft}


def compare(y, windows, op, options, label):
    """Within 1e-5, and infinite only where the truth is beyond float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the truth may leave float32
        truth = TRUTH[op](windows.astype(np.longdouble), **options)
        expected = truth.astype(np.float32)
    fits = np.abs(truth) < 3.4e38
    assert np.isfinite(y[fits]).all(), label
    np.testing.assert_allclose(y[fits], expected[fits], rtol=1e-5, atol=1e-44, err_msg=label)
    assert not np.isnan(y).any(), label
    assert (np.abs(y[~fits]) > 3e38).all(), label


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("op", EXTREMES)
def test_extremes(rng, op, field):
    few = FIELDS[field](rng, (40, 12))
    many = FIELDS[field](rng, (160, 160))
    squares = many.reshape(80, 2, 80, 2).swapaxes(1, 2).reshape(80, 80, 4)
    for options in EXTREMES[op]:
        y = fp.pool(few, op, (4,), **options)
        compare(y, few.reshape(40, 3, 4), op, options, f"few {options}")
        compare(fp.global_pool(few, op, axes=1, **options), few, op, options, f"global {options}")
        compare(fp.pool(many, op, (2, 2), **options), squares, op, options, f"many {options}")


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("op", EXTREMES)
def test_gradients_of_extremes_are_finite(rng, op, field):
    x = FIELDS[field](rng, (160, 160))
    for options in EXTREMES[op]:
        if options.get("p", 1) < 1:  # |x|^(p-1) itself leaves float32
            continue
        y, pull = fp.vjp(fp.pool, x, op, (2, 2), **options)
        gx, slopes = pull(np.ones_like(y), params=True)
        assert np.isfinite(gx).all(), options
        if op in ("lp", "lse", "gem"):
            assert (np.abs(gx) <= 1.00001).all(), options
        if op in ("lp", "gem"):
            assert np.isfinite(slopes["p"]), options


def test_infinities():
    x = np.array([np.inf, 1.0])
    assert fp.gem_pool(x, (2,)) == np.inf
    assert fp.gem_pool(-x, (2,), eps=0.5) == 0.5
    assert fp.lse_pool(x, (2,)) == np.inf
    assert fp.lse_pool(-x, (2,), r=-1) == -np.inf
    np.testing.assert_allclose(fp.lse_pool(x, (2,), r=-1), [1 + np.log(2)])
    np.testing.assert_allclose(fp.lse_pool(-x, (2,)), [-1 - np.log(2)])
    assert fp.soft_pool(x, (2,)) == np.inf
    assert fp.soft_pool(-x, (2,)) == -1
    assert fp.soft_pool(x, (2,), beta=-1) == 1
    assert fp.mixed_pool(x, (2,)) == np.inf
    assert fp.lse_pool(np.full(2, -np.inf), (2,)) == -np.inf
    assert fp.soft_pool(np.full(2, -np.inf), (2,)) == -np.inf
    assert fp.median_pool(np.array([np.inf, np.inf]), (2,)) == np.inf
    assert fp.median_pool(np.array([1, -np.inf, np.inf]), (3,)) == 1
    assert fp.quantile_pool(np.array([1.0, np.inf]), (2,), q=0) == 1


@pytest.mark.parametrize("op", [*OPS, "stochastic in training", "lp"])
def test_nan_wins(op):
    options = {"rng": 3} if op == "stochastic in training" else OPS.get(op, {})
    for place in range(4):
        for beside in (1.0, np.inf, -np.inf, 0.0, -1.0):
            x = np.full(8, beside)
            x[place] = np.nan
            x[4:] = 1.0
            y = fp.pool(x, op.split()[0], (4,), **options)
            assert np.isnan(y[0])
            assert not np.isnan(y[1])


# Identities ----------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(cases.geometries(), st.integers(0, 10**6))
def test_identities(geometry, seed):
    call, shape, _, tables = geometry
    assume(None not in tables)
    x = np.random.default_rng(seed).standard_normal(shape)
    close = {"rtol": 1e-12, "atol": 1e-13}
    mean = fp.avg_pool(x, **call, count_include_pad=False)
    top, bottom = fp.max_pool(x, **call), fp.min_pool(x, **call)
    clamped = np.maximum(x, 0.1)
    np.testing.assert_allclose(
        fp.gem_pool(x, **call, p=1, eps=0.1), fp.avg_pool(clamped, **call, count_include_pad=False), **close
    )
    np.testing.assert_array_equal(fp.gem_pool(x, **call, p=np.inf, eps=0.1), fp.max_pool(clamped, **call))
    np.testing.assert_allclose(fp.soft_pool(x, **call, beta=0), mean, **close)
    np.testing.assert_allclose(fp.soft_pool(x, **call, beta=1e6), top, rtol=0, atol=1e-5)
    assert (fp.lse_pool(x, **call, r=1e6) <= top + 1e-12).all()
    np.testing.assert_allclose(fp.lse_pool(x, **call, r=1e6), top, rtol=0, atol=1e-5)
    np.testing.assert_allclose(fp.lse_pool(x, **call, r=-1e6), bottom, rtol=0, atol=1e-5)
    np.testing.assert_allclose(fp.lse_pool(x, **call, r=1e-12), mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(fp.mixed_pool(x, **call, alpha=1), top, **close)
    np.testing.assert_allclose(fp.mixed_pool(x, **call, alpha=0), fp.avg_pool(x, **call), **close)
    np.testing.assert_array_equal(fp.quantile_pool(x, **call, q=0), bottom)
    np.testing.assert_array_equal(fp.quantile_pool(x, **call, q=1), top)
    np.testing.assert_array_equal(fp.quantile_pool(x, **call, q=0.5), fp.median_pool(x, **call))


@settings(max_examples=100)
@given(cases.geometries(), st.integers(0, 10**6))
def test_sandwich_and_constants(geometry, seed):
    call, shape, _, tables = geometry
    assume(None not in tables)
    x = np.abs(np.random.default_rng(seed).standard_normal(shape)) + 0.1
    bottom, top = fp.min_pool(x, **call), fp.max_pool(x, **call)
    for op, options in {**OPS, "mixed": {"count_include_pad": False}}.items():
        y = fp.pool(x, op, **call, **options)
        assert (bottom <= y * (1 + 1e-12)).all(), op
        assert (y <= top * (1 + 1e-12)).all(), op
        same = fp.pool(np.full(shape, 2.5), op, **call, **options)
        np.testing.assert_allclose(same, 2.5, rtol=1e-14, err_msg=op)
    shifted = fp.lse_pool(x + 1000, **call), fp.soft_pool(x + 1000, **call)
    np.testing.assert_allclose(shifted[0] - 1000, fp.lse_pool(x, **call), rtol=1e-9)
    np.testing.assert_allclose(shifted[1] - 1000, fp.soft_pool(x, **call), rtol=1e-9)


@pytest.mark.parametrize("op", ["gem", "lse", "soft", "mixed", "stochastic"])
def test_a_large_window_is_accurate(op):
    x = np.full((1, 1, 1000, 1000), 0.1, np.float32)
    y = fp.global_pool(x, op, **OPS[op])
    np.testing.assert_allclose(y, np.float32(0.1), rtol=3e-7)


@pytest.mark.parametrize("op", ["gem", "soft", "mixed", "median"])
def test_equal_bits_for_every_number_of_threads(rng, threads, op):
    x = rng.standard_normal((3, 5, 130, 70)).astype(np.float32)
    seen = []
    for count in (1, 2, 3):
        threads(count)
        y, pull = fp.vjp(fp.pool, x, op, 3, stride=2, padding=1, **OPS[op])
        gx, slopes = pull(y, params=True)
        seen.append((y.tobytes(), gx.tobytes(), slopes))
    assert seen[0] == seen[1] == seen[2]


def test_medians_are_half_quantiles_large_and_small(rng):
    x = rng.standard_normal((200, 200))
    x[0, :2] = 1e308, 1.5e308
    large = fp.median_pool(x, (2, 2))
    np.testing.assert_array_equal(large, fp.quantile_pool(x, (2, 2), q=0.5))
    np.testing.assert_array_equal(large[:4, :4], fp.median_pool(x[:8, :8], (2, 2)))
    assert np.isfinite(large).all()


def test_mixed_halves_are_not_rounded_before_they_are_joined():
    x = np.full((200, 200), 20000, np.float16)
    y = fp.mixed_pool(x, (2, 2), alpha=0.9, divisor_override=1)
    np.testing.assert_array_equal(y, fp.mixed_pool(x[:4, :4], (2, 2), alpha=0.9, divisor_override=1)[0, 0])
    assert np.isfinite(y).all()
