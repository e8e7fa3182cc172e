"""Laws that relate operators, forms and layouts to each other, for any geometry."""

import cases
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fastpool as fp


@st.composite
def calls(draw):
    """A geometry without empty windows, and data without ties."""
    call, shape, axes, tables = draw(cases.geometries())
    assume(None not in tables)
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    return call, axes, tables, cases.distinct(rng, shape), rng


@given(calls())
def test_min_is_minus_max_of_minus(case):
    call, _, _, x, _ = case
    np.testing.assert_array_equal(fp.min_pool(x, **call), -fp.max_pool(-x, **call))


@given(calls())
def test_sum_of_ones_counts_and_average_times_count_is_sum(case):
    call, axes, tables, x, _ = case
    counts = fp.sum_pool(np.ones_like(x), **call)
    for axis, table in zip(axes, tables, strict=True):
        along = np.moveaxis(counts, axis, 0)
        sizes = np.array([len(elements) for elements, _ in table])
        np.testing.assert_array_equal(along * sizes[0], along[:1] * sizes.reshape(-1, *[1] * (x.ndim - 1)))
    mean = fp.avg_pool(x, **call, count_include_pad=False)
    np.testing.assert_allclose(mean * counts, fp.sum_pool(x, **call), rtol=1e-12, atol=1e-12)


@given(calls(), st.sampled_from(["sum", "avg"]))
def test_linear_operators_and_their_adjoint(case, op):
    call, _, _, x, rng = case
    y, pull = fp.vjp(fp.pool, x, op, **call)
    g = rng.standard_normal(y.shape)
    np.testing.assert_allclose(np.vdot(y, g), np.vdot(x, pull(g)), rtol=1e-9, atol=1e-9)


@given(calls(), st.sampled_from(["max", "min", "avg"]))
def test_gradient_mass_is_conserved(case, op):
    call, _, _, x, rng = case
    options = {"count_include_pad": False} if op == "avg" else {}
    y, pull = fp.vjp(fp.pool, x, op, **call, **options)
    g = rng.standard_normal(y.shape)
    np.testing.assert_allclose(pull(g).sum(), g.sum(), rtol=1e-9, atol=1e-9)


@given(calls())
def test_lp_of_one_is_the_sum_of_magnitudes_and_of_infinity_the_largest(case):
    call, _, _, x, _ = case
    total = fp.sum_pool(np.abs(x), **call)
    np.testing.assert_allclose(fp.lp_pool(x, **call, p=1), total, rtol=1e-12)
    np.testing.assert_array_equal(fp.lp_pool(x, **call, p=np.inf), fp.max_pool(np.abs(x), **call))


@given(calls(), st.sampled_from(["max", "avg", "lp"]), st.sampled_from(cases.LAYOUTS))
def test_layout_does_not_matter(case, op, layout):
    call, _, _, x, _ = case
    np.testing.assert_array_equal(fp.pool(cases.arrange(x, layout), op, **call), fp.pool(x, op, **call))


@given(calls(), st.sampled_from(["max", "avg", "lp"]))
def test_moving_the_axes_commutes(case, op):
    call, axes, _, x, rng = case
    order = rng.permutation(x.ndim)
    moved = {**call, "axes": tuple(int(np.flatnonzero(order == axis)[0]) for axis in axes)}
    y = fp.pool(x.transpose(order), op, **moved)
    np.testing.assert_allclose(y, fp.pool(x, op, **call).transpose(order), rtol=1e-14)


LONG = {
    "max": "uint8",
    "avg": "float32",
    "lp": "float32",
    "lse": "float32",
    "median": "float32",
    "mode": "uint8",
}


@pytest.mark.parametrize("op", LONG)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_long_axes_give_what_their_pieces_give(op, axis):
    """Tables of more than 1,024 outputs tell of columns that repeat."""
    rng = np.random.default_rng(axis)
    for others in ((3, 4), (9, 3)):
        shape = [*others[:axis], 1_300, *others[axis:]]
        x = rng.integers(0, 40, shape).astype(LONG[op])
        pieces = [x.take(range(602), axis), x.take(range(600, 1_300), axis)]
        parts = [fp.pool(piece, op, (3, 3, 3), stride=1) for piece in pieces]
        y = fp.pool(x, op, (3, 3, 3), stride=1)
        np.testing.assert_allclose(y, np.concatenate(parts, axis), rtol=1e-6)


@given(calls())
def test_indices_point_at_the_values(case):
    call, axes, _, x, _ = case
    y, i = fp.max_pool(x, **call, return_indices=True)
    last = range(-len(axes), 0)
    planes = np.moveaxis(x, axes, last)
    planes = planes.reshape(*planes.shape[: x.ndim - len(axes)], -1)
    where = np.moveaxis(i, axes, last).reshape(*planes.shape[:-1], -1)
    values = np.moveaxis(y, axes, last).reshape(*planes.shape[:-1], -1)
    np.testing.assert_array_equal(np.take_along_axis(planes, where, -1), values)


@settings(max_examples=50)
@given(calls())
def test_nan_of_the_output_is_any_nan_of_the_window(case):
    call, _, _, x, rng = case
    hole = rng.random(x.shape) < 0.2
    holes = fp.max_pool(hole, **call)
    for op in ("max", "min", "avg", "lp"):
        y = fp.pool(np.where(hole, np.nan, x), op, **call)
        np.testing.assert_array_equal(np.isnan(y), holes)


@given(st.integers(1, 9), st.integers(1, 9))
def test_forms_that_coincide(n, m):
    x = cases.distinct(np.random.default_rng(n * 10 + m), (2, n, m))
    for op in ("max", "avg", "sum", "lp"):
        np.testing.assert_array_equal(fp.adaptive_pool(x, op, (n, m)), fp.pool(x, op, (1, 1)))
        whole = fp.global_pool(x, op, axes=(1, 2), keepdims=True)
        np.testing.assert_array_equal(fp.pool(x, op, (n, m)), whole)
        np.testing.assert_array_equal(fp.adaptive_pool(x, op, (1, 1)), whole)
    np.testing.assert_array_equal(fp.max_pool(x, (1, 1), stride=1), x)
    np.testing.assert_allclose(fp.global_avg_pool(x, axes=(1, 2)), x.mean((1, 2)), rtol=1e-12, atol=1e-12)


def test_translating_by_the_stride_translates_the_output(rng):
    x = rng.standard_normal((3, 40))
    y = fp.max_pool(x, (5,), stride=3)
    np.testing.assert_array_equal(fp.max_pool(x[:, 3:], (5,), stride=3), y[:, 1:])
