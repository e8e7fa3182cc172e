"""Gradients of every operator in every form, for x and for every parameter, against finite differences."""

import functools

import cases
import numpy as np
import pytest
import reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fastpool as fp

SEED = 11
STEP = 1e-6
X = cases.distinct(np.random.default_rng(SEED), (2, 3, 7, 6))
SAMPLES = np.random.default_rng(SEED).random((2, 3, 2))
BOXES = np.array(
    [
        [0, 1.0, 1.0, 9.0, 7.0],
        [1, -4.0, 2.0, 5.0, 30.0],
        [1, 3.0, 3.0, 2.0, 1.0],
        [0, 40.0, 40.0, 50.0, 50.0],
        [0, 0.0, 0.0, 9.0, 12.0],
    ]
)
OPERATORS = {
    "max": {},
    "min": {},
    "avg": {},
    "sum": {},
    "lp": {"p": 2},
    "lp 3.5": {"p": 3.5},
    "lp 0.7": {"p": 0.7},
    "gem": {"p": 3},
    "gem 1.7": {"p": 1.7, "eps": 4.0},
    "lse": {"r": 1},
    "lse -0.3": {"r": -0.3},
    "soft": {"beta": 1},
    "soft -0.2": {"beta": -0.2},
    "mixed": {"alpha": 0.3},
    "stochastic": {"rng": SEED},
    "stochastic test": {"training": False},
    "median": {},
    "quantile": {"q": 0.3},
    "var": {},
    "std": {},
    "nearest": {},
    "nearest middle": {"corner": "middle"},
}
PARAMETERS = {"lp": "p", "gem": "p", "lse": "r", "soft": "beta", "mixed": "alpha"}
# Name: function, its stateless backward, arguments after the operator, keywords.
FORMS = {
    "sliding": (fp.pool, fp.pool_backward, ((3, 2),), {"stride": (2, 1), "padding": (1, 0)}),
    "adaptive": (fp.adaptive_pool, fp.adaptive_pool_backward, ((3, 4),), {}),
    "global": (fp.global_pool, fp.global_pool_backward, (), {}),
    "fractional": (
        fp.fractional_pool,
        fp.fractional_pool_backward,
        ((3, 4),),
        {"window": (3, 2), "samples": SAMPLES},
    ),
    "random": (
        fp.fractional_pool,
        fp.fractional_pool_backward,
        (),
        {"ratio": (1.6, 1.3), "scheme": "random", "rng": SEED},
    ),
    "pseudo": (
        fp.fractional_pool,
        fp.fractional_pool_backward,
        ((4, 4),),
        {"scheme": "pseudo", "overlapping": True, "rng": SEED},
    ),
    "pyramid": (fp.pyramid_pool, fp.pyramid_pool_backward, ((1, 3),), {}),
    "roi_pool": (fp.roi_pool, fp.roi_pool_backward, (BOXES, (2, 3)), {"scale": 0.5}),
    "mosaic": (
        lambda x, op, size, **options: fp.mosaic(x, size, op, **options),
        lambda gy, x, op, size, **options: fp.mosaic_backward(gy, x, size, op, **options),
        ((3, 4),),
        {},
    ),
    "segments": (
        lambda x, op, ids, **options: fp.segment_pool(x, ids, op, **options),
        lambda gy, x, op, ids, **options: fp.segment_pool_backward(gy, x, ids, op, **options),
        (np.array([3, 0, 1, 0, 3, 1, 0]),),
        {"axis": 2, "num_segments": 4, "fill": 0},
    ),
}


def directional(f, gy, at, direction, step=STEP):
    """Slope of <gy, f> at `at` along `direction`, by central differences."""
    return np.sum(gy * (f(at + step * direction) - f(at - step * direction))) / (2 * step)


def error(found, measured, gy):
    """Relative to the measured slope, or to the gradient sent where that is small."""
    return abs(found - measured) / max(abs(measured), np.abs(gy).max())


@functools.cache
def cell(operator, form):
    """The error of each gradient of one operator in one form: {"x": ..., "p": ...}."""
    f, backward, arguments, keywords = FORMS[form]
    op, options = operator.split()[0], OPERATORS[operator]
    rng = np.random.default_rng(SEED)
    call = {**keywords, **options}
    y, pull = fp.vjp(f, X, op, *arguments, **call)
    gy, direction = rng.standard_normal(y.shape), rng.standard_normal(X.shape)
    gx, slopes = pull(gy, params=True)
    assert gx.shape == X.shape
    assert np.array_equal(pull(gy), gx)
    assert np.array_equal(backward(gy, X, op, *arguments, **call), gx)
    assert set(slopes) == {PARAMETERS[op]} if op in PARAMETERS else slopes == {}
    measured = directional(lambda x: f(x, op, *arguments, **call), gy, X, direction)
    errors = {"x": error(np.sum(gx * direction), measured, gy)}
    for name, slope in slopes.items():
        assert np.shape(slope) == ()
        along = directional(
            lambda p, name=name: f(X, op, *arguments, **{**call, name: p}), gy, options[name], 1.0
        )
        errors[name] = error(slope, along, gy)
    return errors


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_finite_differences(operator, form):
    for name, off in cell(operator, form).items():
        assert off < 1e-6, name


def aligned(mode):
    """The error of the gradient of `roi_align`."""
    rng = np.random.default_rng(SEED)
    worst = 0.0
    for options in ({}, {"aligned": False, "samples": 2}):
        call = {"op": mode, "scale": 0.5, **options}
        y, pull = fp.vjp(fp.roi_align, X, BOXES, (2, 3), **call)
        gy, direction = rng.standard_normal(y.shape), rng.standard_normal(X.shape)
        gx = pull(gy)
        assert np.array_equal(fp.roi_align_backward(gy, X, BOXES, (2, 3), **call), gx)
        call_at = functools.partial(fp.roi_align, boxes=BOXES, output_size=(2, 3), **call)
        measured = directional(call_at, gy, X, direction)
        worst = max(worst, error(np.sum(gx * direction), measured, gy))
    return worst


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_roi_align(mode):
    assert aligned(mode) < 1e-6


def test_every_cell_of_the_table(capsys):
    """Prints the largest error of each cell: operator x form, for x and for the parameter."""
    lines = ["", "finite differences, relative error".ljust(24) + "".join(f"{form:>20}" for form in FORMS)]
    for operator in OPERATORS:
        found = [cell(operator, form) for form in FORMS]
        shown = [" ".join(f"{name} {off:.0e}" for name, off in errors.items()) for errors in found]
        lines.append(operator.ljust(24) + "".join(f"{text:>20}" for text in shown))
        assert all(off < 1e-6 for errors in found for off in errors.values())
    lines += [f"roi_align {mode}".ljust(24) + f"{f'x {aligned(mode):.0e}':>20}" for mode in ("avg", "max")]
    with capsys.disabled():
        print("\n".join(lines))


def test_every_operator_is_in_the_table():
    listed = {operator.split()[0] for operator in OPERATORS}
    with pytest.raises(ValueError, match="op must be one of") as caught:
        fp.pool(X, "none", 2)
    text = str(caught.value)
    named = text[text.index("one of") + 7 : text.index(", got")].split(", ")
    assert set(named) == listed | {"mode", "count"}


@pytest.mark.parametrize("form", FORMS)
def test_mode_has_no_gradient(form):
    f, _, arguments, keywords = FORMS[form]
    labels = np.arange(252).reshape(X.shape) % 5
    with pytest.raises(TypeError, match="mode"):
        fp.vjp(f, labels, "mode", *arguments, **keywords)


def test_mode_pool_has_no_gradient():
    with pytest.raises(TypeError, match="mode"):
        fp.vjp(fp.mode_pool, np.ones((4, 4), int), (2, 2))
    with pytest.raises(TypeError, match="mode"):
        fp.pool_backward(np.ones((2, 2)), np.ones((4, 4), int), "mode", (2, 2))


# Against the oracle --------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(
    cases.geometries(),
    cases.operators(),
    st.integers(0, 10**6),
    st.sampled_from(["C", "F", "reversed"]),
)
def test_sliding(geometry, operator, seed, layout):
    call, shape, axes, tables = geometry
    assume(None not in tables)
    op, options = operator
    assume(options.get("p") != np.inf)
    rng = np.random.default_rng(seed)
    x = cases.arrange(rng.integers(-6, 7, shape) * 0.5, layout)
    y, pull = fp.vjp(fp.pool, x, op, **call, **options)
    gy = cases.arrange(rng.integers(-9, 10, y.shape) * 1.0, layout)
    explicit = {"count_include_pad": True, **options} if op == "mixed" else options
    expected = reference.pull(gy, x, op, tables, axes, **cases.for_oracle(explicit))
    gx = pull(gy)
    assert gx.dtype == np.float64
    assert gx.flags.c_contiguous
    np.testing.assert_allclose(gx, expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(fp.pool_backward(gy, x, op, **call, **options), gx)


REGULAR = {
    "2x2": ({"window": 2}, (2, 2, 0)),
    "3x3 s2 p1": ({"window": 3, "stride": 2, "padding": 1}, (3, 2, 1)),
    "3x3 s1 p1": ({"window": 3, "stride": 1, "padding": 1}, (3, 1, 1)),
}


@pytest.mark.parametrize("name", REGULAR)
@pytest.mark.parametrize(
    "operator", [o for o in OPERATORS if o.split()[0] in ("lp", "gem", "lse", "soft", "mixed", "median")]
)
def test_large(rng, operator, name):
    call, (k, s, p) = REGULAR[name]
    op, options = operator.split()[0], OPERATORS[operator]
    x = cases.distinct(rng, (2, 8, 40, 40), np.float32) / 2000
    x = np.abs(x) + 1 if operator == "lp 0.7" else x  # whose slope has a pole at 0
    tables = [reference.taps(40, k, s, p, p, 1, False)] * 2
    y, pull = fp.vjp(fp.pool, x, op, **call, **options)
    gy = rng.standard_normal(y.shape).astype(np.float32)
    explicit = {"include_pad": True} if op in ("avg", "mixed") else {}
    expected = reference.pull(gy, x, op, tables, (2, 3), **cases.for_oracle(options), **explicit)
    gx = pull(gy)
    assert gx.dtype == np.float32
    np.testing.assert_allclose(gx, expected, rtol=1e-5, atol=1e-5)


# Ties, zeros and dtypes ----------------------------------------------------------------------------------


def gradient(op, values, g=6.0, **options):
    _, pull = fp.vjp(fp.pool, np.array(values), op, (len(values),), **options)
    return pull(np.array([g])).tolist()


def test_ties():
    assert gradient("max", [1.0, 5, 5, 5]) == [0, 6, 0, 0]
    assert gradient("min", [5.0, 1, 1, 5]) == [0, 6, 0, 0]
    assert gradient("mixed", [5.0, 5, 1], alpha=0.5) == [4, 1, 1]
    assert gradient("median", [2.0, 1, 2, 2, 3]) == [0, 0, 6, 0, 0]  # ranks: 1, 2, 2, 2, 3
    assert gradient("median", [2.0, 2, 2, 2]) == [0, 3, 3, 0]
    assert gradient("median", [4.0, 1, 3, 2]) == [0, 0, 3, 3]
    assert gradient("median", [1.0, 1, 1]) == [0, 6, 0]
    assert gradient("quantile", [3.0, 3, 3, 3, 3], q=0.75) == [0, 0, 0, 6, 0]
    assert gradient("quantile", [7.0, 5, 5], q=0.25) == [0, 3, 3]
    assert gradient("quantile", [7.0, 5, 5], q=0) == [0, 6, 0]
    assert gradient("quantile", [5.0, 7, 7], q=1) == [0, 0, 6]


def test_where_values_are_clamped_or_zero():
    assert gradient("gem", [1.0, 1, 0, -3], p=1, eps=0.5) == [1.5, 1.5, 0, 0]
    assert gradient("gem", [-1.0, -2]) == [0, 0]
    assert gradient("lp", [0.0, 0]) == [0, 0]
    assert gradient("stochastic", [-1.0, 0, -2], training=False) == [0, 0, 0]
    assert gradient("stochastic", [-1.0, 0, 2], training=False) == [0, 0, 6]
    assert gradient("stochastic", [1.0, 3, -1], training=False) == [6 * (2 - 2.5) / 4, 6 * (6 - 2.5) / 4, 0]
    assert gradient("stochastic", [-1.0, 0, -2], rng=1) == [6, 0, 0]
    assert gradient("stochastic", [-1.0, 0, 2], rng=1) == [0, 0, 6]
    assert gradient("gem", [1.0, 3, 2], p=np.inf) == [0, 6, 0]


def test_gradients_of_parameters_by_hand():
    def slope(op, values, **options):
        _, pull = fp.vjp(fp.pool, np.array(values), op, (len(values),), **options)
        return pull(np.array([2.0]), params=True)[1]

    assert slope("mixed", [1.0, 5], alpha=0.25) == {"alpha": 2 * (5 - 3)}
    np.testing.assert_allclose(slope("soft", [1.0, 5], beta=0)["beta"], 2 * 4)  # the variance
    np.testing.assert_allclose(slope("lse", [1.0, 5], r=1e-5)["r"], 2 * 4 / 2, rtol=1e-4)  # half of it
    for equal in ([3.0, 3, 3], [-1.0, -1, -1]):
        np.testing.assert_allclose(slope("gem", equal)["p"], 0, atol=1e-12)
    assert slope("max", [1.0, 5]) == slope("median", [1.0, 5]) == slope("stochastic", [1.0, 5], rng=1) == {}
    assert slope("quantile", [1.0, 5], q=0.5) == {}


def test_dtype_of_the_gradient():
    for x, gy, expected in [
        (np.float32, np.float64, np.float32),
        (np.float64, np.float32, np.float64),
        (np.float16, np.float16, np.float16),
    ]:
        _, pull = fp.vjp(fp.gem_pool, np.array([1, 3, 3, 4], x), (2,))
        gx = pull(np.array([5, 6], gy))
        assert gx.dtype == expected
        assert np.isfinite(gx).all()


def test_gradient_of_an_integer_median():
    x = np.array([4, 1, 3, 2], np.uint8)
    _, pull = fp.vjp(fp.median_pool, x, (4,))
    gx = pull(np.array([6.0]))
    assert gx.dtype == np.float64
    assert gx.tolist() == [0, 0, 0, 6]  # the lower middle alone
    _, pull = fp.vjp(fp.quantile_pool, x, (4,), q=0.7)
    assert pull(np.array([6.0])).tolist() == [0, 0, 6, 0]


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("global", "mosaic")])
@pytest.mark.parametrize("op", ["max", "min", "stochastic"])
def test_backward_from_indices(form, op):
    f, backward, arguments, keywords = FORMS[form]
    call = {**keywords, **({"rng": SEED} if op == "stochastic" else {})}
    (y, indices), pull = fp.vjp(f, X, op, *arguments, return_indices=True, **call)
    gy = np.random.default_rng(SEED).standard_normal(y.shape)
    np.testing.assert_array_equal(backward(gy, X, op, *arguments, indices=indices, **call), pull(gy))


@pytest.mark.parametrize("op", ["max", "avg", "gem", "median", "stochastic"])
def test_gradient_mass(op):
    """Every window passes on what it is sent, where the weights sum to 1; an empty box sends nothing."""
    options = {"p": 1, "eps": 1e-9} if op == "gem" else {"rng": 3} if op == "stochastic" else {}
    x = np.abs(X)
    for form, (f, _, arguments, keywords) in FORMS.items():
        call = {**keywords, **options}
        if form == "sliding" and op == "avg":
            call["count_include_pad"] = False
        y, pull = fp.vjp(f, x, op, *arguments, **call)
        gy = np.random.default_rng(SEED).standard_normal(y.shape)
        sent = np.where(y == 0, 0, gy).sum()  # no value of x is 0
        np.testing.assert_allclose(pull(gy).sum(), sent, rtol=1e-9, atol=1e-9, err_msg=form)
