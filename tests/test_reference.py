"""The oracle against numbers worked by hand, before it is trusted with anything."""

import re
from pathlib import Path

import numpy as np
import pytest
import reference


def line(values, op, *geometry, **options):
    x = np.array(values)
    y, i = reference.pool(x, op, [reference.taps(x.size, *geometry)], (0,), **options)
    return y.tolist(), i.tolist()


def test_oracle_is_independent():
    assert not re.search(r"^\s*(import|from) fastpool", Path(reference.__file__).read_text(), re.MULTILINE)


def test_max_by_hand():
    assert line([3.0, 1, 4, 1, 5], "max", 2, 2, 0, 0, 1, False) == ([3, 4], [0, 2])
    assert line([3.0, 1, 4, 1, 5], "max", 3, 2, 1, 1, 1, False) == ([3, 4, 5], [0, 2, 4])
    assert line([3.0, 1, 4, 1, 5], "max", 2, 1, 0, 0, 2, False) == ([4, 1, 5], [2, 1, 4])
    assert line([2.0, 2, 2], "max", 3, 1, 0, 0, 1, False) == ([2], [0])
    values, where = line([1.0, np.nan, 5, np.nan], "max", 4, 1, 0, 0, 1, False)
    assert np.isnan(values[0])
    assert where == [1]


def test_averages_by_hand():
    ones = [1.0] * 6
    assert line([1.0, 2, 3, 4, 5], "avg", 2, 2, 0, 0, 1, True, include_pad=True)[0] == [1.5, 3.5, 5]
    assert line(ones, "avg", 3, 2, 1, 1, 1, True, include_pad=True)[0] == [2 / 3, 1, 1, 1 / 2]
    assert line([*ones, 1.0], "avg", 4, 3, 2, 2, 1, True, include_pad=True)[0] == [0.5, 1, 0.75]
    assert line([*ones, 1.0], "avg", 4, 3, 2, 2, 1, True)[0] == [1, 1, 1]
    assert line([1, 2, 3, 5], "avg", 4, 1, 0, 0, 1, False)[0] == [3]  # 2.75
    assert line([-1, -2], "avg", 2, 1, 0, 0, 1, False)[0] == [-1]  # -1.5, half up
    assert line([1.0, 2, 3], "avg", 3, 1, 0, 0, 1, False, override=-2)[0] == [-3]


def test_norm_by_hand():
    assert line([3.0, -4], "lp", 2, 1, 0, 0, 1, False)[0] == [5]
    assert line([3.0, -4], "lp", 2, 1, 0, 0, 1, False, p=1)[0] == [7]
    assert line([3.0, -4], "lp", 2, 1, 0, 0, 1, False, p=np.inf)[0] == [4]


def test_tables_by_hand():
    assert reference.bins(7, 3) == [([0, 1, 2], 3), ([2, 3, 4], 3), ([4, 5, 6], 3)]
    assert reference.taps(1, 2, 1, 1, 1, 2, False) is None  # the window straddles the element
    assert reference.same(5, 3, 2, 1, False) == (1, 1)
    assert reference.same(5, 2, 1, 1, False) == (0, 1)
    assert reference.same(5, 2, 1, 1, True) == (1, 0)


def test_gradient_by_hand():
    x, g = np.array([1.0, 3, 2]), np.array([10.0, 20])
    tables = [reference.taps(3, 2, 1, 0, 0, 1, False)]
    assert reference.pull(g, x, "max", tables, (0,)).tolist() == [0, 30, 0]
    assert reference.pull(g, x, "avg", tables, (0,)).tolist() == [5, 15, 10]
    assert reference.pull(g, x, "lp", tables, (0,), p=1).tolist() == [10, 30, 20]


def test_new_operators_by_hand():
    whole = (3, 1, 0, 0, 1, False)
    np.testing.assert_allclose(line([1.0, 2, 3], "gem", *whole, p=1)[0], [2])
    np.testing.assert_allclose(line([1.0, -2, 3], "gem", *whole, p=2, eps=2)[0], [(17 / 3) ** 0.5])
    assert line([1.0, 2, 3], "gem", *whole, p=np.inf)[0] == [3]
    np.testing.assert_allclose(line([0.0, np.log(2), np.log(3)], "lse", *whole)[0], [np.log(2)])
    np.testing.assert_allclose(line([0.0, np.log(2), np.log(3)], "lse", *whole, r=-1)[0], [-np.log(11 / 18)])
    weighted = (np.log(2) * 2 + np.log(3) * 3) / 6
    np.testing.assert_allclose(line([0.0, np.log(2), np.log(3)], "soft", *whole)[0], [weighted])
    assert line([1.0, 2, 3], "soft", *whole, beta=0)[0] == [2]
    assert line([1.0, 2, 6], "mixed", *whole, alpha=0.25)[0] == [3.75]
    assert line([1.0, -2, 3], "stochastic", *whole)[0] == [2.5]
    assert line([-1.0, -2, 0], "stochastic", *whole)[0] == [0]
    assert line([4.0, 1, 2], "median", *whole)[0] == [2]
    assert line([4, 1, 2, 9], "median", 4, 1, 0, 0, 1, False)[0] == [2]
    assert line([4.0, 1, 2], "quantile", *whole, q=0.75)[0] == [3]
    assert line([3, 1, 1, 3, 0, 0, 0], "mode", 4, 3, 0, 0, 1, False)[0] == [1, 0]
    assert line([0, 0, 7], "mode", *whole, ignore=0)[0] == [7]
    assert line([0, 0, 0], "mode", *whole, ignore=0)[0] == [0]
    assert line([3.0, 1, 1, 3], "mode", 4, 3, 0, 0, 1, False)[0] == [1]
    assert line([3.0, 1, 1, 3], "mode", 4, 3, 0, 0, 1, False, ties="largest")[0] == [3]
    assert line([2, 5, 1, 1, 5], "mode", 5, 1, 0, 0, 1, False, ties="first")[0] == [5]
    assert line([0.0, -0.0, 2], "mode", *whole, ties="largest")[0] == [0]
    assert np.isnan(line([2.0, 2, np.nan], "mode", *whole)[0])
    assert line([2.0, np.nan, np.nan], "mode", *whole, ignore=np.nan)[0] == [2]
    assert line([1.0, 5, 3], "var", *whole)[0] == [8 / 3]
    assert line([1, 5, 3], "var", *whole, ddof=1)[0] == [4]
    assert line([1.0, 5, 3], "std", *whole, ddof=1)[0] == [2]
    assert np.isnan(line([1.0, 5, 3], "var", *whole, ddof=3)[0])


def test_extremes_by_hand():
    huge, tiny = np.array([[1e300, 1e300]]), np.array([[1e-30, 3e-30]])
    np.testing.assert_allclose(reference.lse(tiny), [2e-30])
    np.testing.assert_allclose(reference.lse(huge, 1e7), [1e300])
    np.testing.assert_allclose(reference.soft(tiny), [2e-30])
    np.testing.assert_allclose(reference.norm(huge, 200), [1e300 * 2**0.005])
    np.testing.assert_allclose(reference.gem(huge, 1e-8), [1e300])
    np.testing.assert_allclose(reference.gem(np.array([[1.0, 4.0]]), 1e-12), [2])  # the geometric mean
    infinite = np.array([[np.inf, 1.0, -np.inf]])
    assert reference.lse(infinite) == reference.soft(infinite) == reference.gem(infinite) == np.inf
    assert reference.lse(-infinite[:, :2], -1) == -np.inf
    for f in (reference.lse, reference.soft, reference.gem, reference.norm, reference.stochastic):
        assert np.isnan(f(np.array([[1.0, np.nan, -2]])))


def test_against_numpy_and_scipy(rng):
    x = rng.standard_normal((50, 7))
    for q in (0, 0.1, 0.5, 0.77, 1):
        np.testing.assert_allclose(reference.quantile(x, q), np.quantile(x, q, axis=-1), rtol=1e-13)
    np.testing.assert_array_equal(reference.median(x), np.median(x, -1))
    for ddof in (0, 1):
        for wide in (x, 1e200 * x, 1e-160 * x):
            scale = abs(wide).max()
            expected = scale * np.std(wide / scale, -1, ddof=ddof)
            np.testing.assert_allclose(reference.std(wide, ddof), expected, rtol=1e-13)
        np.testing.assert_allclose(reference.var(x, ddof), np.var(x, -1, ddof=ddof), rtol=1e-13)
    special = pytest.importorskip("scipy.special")
    for r in (1.0, -2.0, 30.0):
        expected = special.logsumexp(r * x, axis=-1, b=1 / 7) / r
        np.testing.assert_allclose(reference.lse(x, r), expected, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(reference.softmax(r * x), special.softmax(r * x, axis=-1), rtol=1e-12)


GRADIENTS = {
    "lp": {"p": 3.5},
    "gem": {"p": 2.5, "eps": 0.5},
    "lse": {"r": -0.7},
    "soft": {"beta": 1.5},
    "mixed": {"alpha": 0.3},
    "stochastic": {},
    "median": {},
    "quantile": {"q": 0.37},
    "var": {"ddof": 1},
    "std": {"ddof": 0.5},
}


@pytest.mark.parametrize("op", GRADIENTS)
def test_gradients_by_differences(rng, op):
    x = rng.permutation(24).reshape(2, 12) * 0.25 - 2.9
    tables, options = [reference.taps(12, 4, 3, 1, 0, 1, True)], GRADIENTS[op]
    g, direction = rng.standard_normal((2, len(tables[0]))), rng.standard_normal(x.shape)
    step = 1e-6 * direction
    ahead, behind = (reference.pool(x + s, op, tables, (1,), **options)[0] for s in (step, -step))
    measured = np.sum(g * (ahead - behind)) / 2e-6
    gx = reference.pull(g, x, op, tables, (1,), **options)
    np.testing.assert_allclose(np.sum(gx * direction), measured, rtol=1e-7)


def test_forms_by_hand():
    x = np.arange(6.0).reshape(1, 1, 6)
    parts, shape = reference.pyramid(x.shape, (1, 2), 1)
    assert reference.pool_parts(x, "max", parts, shape)[0].tolist() == [[5, 2, 5]]
    gx = reference.pull_parts(np.array([[1.0, 10, 100]]), x, "max", parts)
    assert gx.tolist() == [[[0, 0, 10, 0, 0, 101]]]
    assert reference.torch_starts(10, 4, 2, 0.5, np.float64) == [0, 3, 5, 8]
    assert reference.torch_starts(10, 1, 2, 0.5, np.float64) == [8]
    assert reference.pseudo_sequence(7, 3, 0.2) == [0, 2, 4, 7]  # ceil(7/3 (i + 0.8 / 7)) - 1
    assert reference.pseudo_sequence(7, 3, 0.8) == [0, 3, 5, 7]
    assert reference.between([0, 2, 7], True) == [([0, 1, 2], 3), ([2, 3, 4, 5, 6], 5)]
    assert [e for e, _ in reference.roi_bins(-2.5, 4, 0.5, 2, 4)] == [[0], [1, 2]]  # -1..2
    assert [e for e, _ in reference.roi_bins(9, 2, 1, 1, 4)] == [[]]
    parts, shape = reference.roi((1, 1, 2, 2), [[0, 0, 0, 1, 5], [0, 9, 9, 9, 9]], (2, 1))
    y, indices = reference.pool_parts(np.arange(4.0).reshape(1, 1, 2, 2), "max", parts, shape)
    assert y.reshape(2, 2).tolist() == [[3, 0], [0, 0]]
    assert indices.reshape(2, 2).tolist() == [[3, -1], [-1, -1]]
    assert reference.spread(np.array([1, 2]), (3,), (2,)).tolist() == [1, 1, 2]
