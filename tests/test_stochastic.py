"""Stochastic pooling: how often each element is drawn, and that a draw depends on seed and place alone."""

import numpy as np
import pytest
import reference

import fastpool as fp
from fastpool import random

DRAWS = 100_000
# Chi-square values that chance exceeds once in a thousand, by degrees of freedom.
LIMITS = {1: 10.828, 2: 13.816, 3: 16.266, 4: 18.467, 5: 20.515, 8: 26.124, 15: 37.697, 24: 51.179}


def chi_square(counts, probabilities):
    expected = np.asarray(probabilities) * counts.sum()
    assert (counts[expected == 0] == 0).all()
    counts, expected = counts[expected > 0], expected[expected > 0]
    return np.sum((counts - expected) ** 2 / expected), len(counts) - 1


def fits(counts, probabilities):
    statistic, freedom = chi_square(counts, probabilities)
    assert statistic < LIMITS[freedom], (counts, probabilities)


WEIGHTS = {
    "equal": [1.0, 1, 1, 1],
    "rising": [1.0, 2, 3, 4, 5],
    "with negatives": [-1.0, 3, -0.5, 1, 0, 2],
    "one large": [0.01, 0.99, 0.01],
    "tiny": [1e-30, 3e-30],
    "huge": [1e30, 3e30, 1e29],
    "a falling row": [9.0, 8, 7, 6, 5, 4, 3, 2, 1],
    "a long one": [float(w) for w in range(1, 26)],
}


@pytest.mark.parametrize("seed", [0, 1, 2**63 + 5])
@pytest.mark.parametrize("name", WEIGHTS)
def test_frequencies(name, seed):
    weights = np.array(WEIGHTS[name])
    x = np.tile(weights, (DRAWS, 1))
    y, i = fp.stochastic_pool(x, (len(weights),), rng=seed, return_indices=True)
    np.testing.assert_array_equal(y, weights[i])
    positive = np.maximum(weights, 0)
    fits(np.bincount(i[:, 0], minlength=len(weights)), positive / positive.sum())


def test_frequencies_in_other_layouts():
    """Whatever the geometry and layout, each window draws by its own weights."""
    weights = np.array([[1.0, 2, 0], [3, -4, 2]])
    probabilities = np.maximum(weights, 0).reshape(-1) / 8
    tiled = np.tile(weights, (200, 500))
    _, i = fp.stochastic_pool(tiled, (2, 3), rng=4, return_indices=True)
    places = 3 * (i // 1500 % 2) + i % 1500 % 3
    fits(np.bincount(places.reshape(-1), minlength=6), probabilities)
    inner = np.repeat(weights.reshape(2, 3, 1), DRAWS, -1)
    _, i = fp.stochastic_pool(inner, (2, 3), axes=(0, 1), rng=4, return_indices=True)
    fits(np.bincount(i.reshape(-1), minlength=6), probabilities)
    outer = np.repeat(weights.reshape(1, 2, 3), DRAWS, 0)
    y = fp.global_pool(outer, "stochastic", axes=(1, 2), rng=4)
    values, counts = np.unique(y, return_counts=True)
    assert values.tolist() == [1, 2, 3]
    fits(counts, [1 / 8, 4 / 8, 3 / 8])


def test_overlapping_windows_draw_apart():
    x = np.ones((1, DRAWS + 1))
    _, i = fp.stochastic_pool(x, (2,), stride=1, rng=9, return_indices=True)
    offsets = i[0] - np.arange(DRAWS)
    fits(np.bincount(2 * offsets[:-1:2] + offsets[1::2], minlength=4), [1 / 4] * 4)


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 7])
def test_neighbours_are_independent(lag):
    _, i = fp.stochastic_pool(np.ones((DRAWS + lag, 4)), (4,), rng=21, return_indices=True)
    i = i[:, 0]
    fits(np.bincount(4 * i[:-lag] + i[lag:], minlength=16), [1 / 16] * 16)


@pytest.mark.parametrize("other", [6, 5 + 2**32, -5, 5 + 2**64])
def test_seeds_are_independent(other):
    x = np.ones((DRAWS, 4))
    first, second = (
        fp.stochastic_pool(x, (4,), rng=seed, return_indices=True)[1][:, 0] for seed in (5, other)
    )
    if (first == second).all():  # seeds are taken to 64 bits
        assert other % 2**64 == 5
        return
    fits(np.bincount(4 * first + second, minlength=16), [1 / 16] * 16)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_draw_does_not_depend_on_the_dtype(dtype):
    weights = np.array([1, 2, 0, -1, 5, 8])
    x = np.tile(weights, (2000, 1))
    y, i = fp.stochastic_pool(x.astype(dtype), (6,), rng=3, return_indices=True)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, weights[i].astype(dtype))
    expected = fp.stochastic_pool(x.astype(np.float64), (6,), rng=3, return_indices=True)[1]
    np.testing.assert_array_equal(i, expected)


def test_float16_frequencies():
    weights = np.array([1, 2, 3, 2000], np.float16)
    _, i = fp.stochastic_pool(np.tile(weights, (DRAWS, 1)), (4,), rng=12, return_indices=True)
    fits(np.bincount(i[:, 0], minlength=4), weights.astype(float) / 2006)


# What a draw depends on ----------------------------------------------------------------------------------


@pytest.fixture
def x(rng):
    return rng.standard_normal((6, 5, 40, 42)).astype(np.float32)


CALL = {"window": 3, "stride": 2, "padding": 1}


def draw(x, rng, **options):
    return fp.pool(x, "stochastic", **CALL, rng=rng, return_indices=True, **options)


def test_threads(x, threads):
    seen = []
    for count in (1, 2, 3):
        threads(count)
        y, pull = fp.vjp(fp.pool, x, "stochastic", **CALL, rng=7)
        seen.append((y.tobytes(), draw(x, 7)[1].tobytes(), pull(y).tobytes()))
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_a_split_batch(x, cut):
    y, i = draw(x, 7)
    whole = draw(x, random.Draws(7, 0))
    np.testing.assert_array_equal(whole[1], i)
    start = y[:cut].size
    for part, first in ((slice(None, cut), 0), (slice(cut, None), start)):
        values, indices = draw(x[part], random.Draws(7, first))
        np.testing.assert_array_equal(indices, i[part])
        np.testing.assert_array_equal(values, y[part])


@pytest.mark.parametrize("start", [2**32 - 100, 2**40])
def test_far_into_the_sequence(start):
    x = np.ones((300, 4))
    _, whole = fp.stochastic_pool(x, (4,), rng=random.Draws(7, start), return_indices=True)
    _, rest = fp.stochastic_pool(x[150:], (4,), rng=random.Draws(7, start + 150), return_indices=True)
    np.testing.assert_array_equal(rest, whole[150:])
    _, near = fp.stochastic_pool(x, (4,), rng=7, return_indices=True)
    assert (near != whole).any()


def test_other_forms_of_a_split_batch(x):
    for f, arguments in [(fp.adaptive_pool, ((3, 5),)), (fp.global_pool, ())]:
        y = f(x, "stochastic", *arguments, rng=7)
        later = f(x[2:], "stochastic", *arguments, rng=random.Draws(7, y[:2].size))
        np.testing.assert_array_equal(later, y[2:])


def test_seeds(x):
    first = draw(x, 7)[1]
    np.testing.assert_array_equal(draw(x, 7)[1], first)
    np.testing.assert_array_equal(draw(x, np.int64(7))[1], first)
    for other in (8, -7, 7 + 2**32, 2**63, 10**30):
        assert (draw(x, other)[1] != first).any()
        np.testing.assert_array_equal(draw(x, other)[1], draw(x, other)[1])
    generated = [draw(x, np.random.default_rng(5))[1] for _ in range(2)]
    np.testing.assert_array_equal(*generated)
    generator = np.random.default_rng(5)
    np.testing.assert_array_equal(draw(x, generator)[1], generated[0])
    assert (draw(x, generator)[1] != generated[0]).any()
    assert (draw(x, None)[1] != draw(x, None)[1]).any()
    assert (fp.stochastic_pool(x, 2) != fp.stochastic_pool(x, 2)).any()


def test_layouts_draw_alike(x):
    y, i = draw(x, 7)
    for other in (np.asfortranarray(x), x[:, :, ::-1].copy()[:, :, ::-1], x.astype(">f4")):
        values, indices = draw(other, 7)
        np.testing.assert_array_equal(values, y)
        np.testing.assert_array_equal(indices, i)


def test_values_lie_at_the_indices(x):
    y, i = draw(x, 7)
    planes = x.reshape(6, 5, -1)
    np.testing.assert_array_equal(np.take_along_axis(planes, i.reshape(6, 5, -1), -1).reshape(y.shape), y)
    tables = [reference.taps(n, 3, 2, 1, 1, 1, False) for n in (40, 42)]
    for row, (rows, _) in enumerate(tables[0]):
        for column, (columns, _) in enumerate(tables[1]):
            place = i[:, :, row, column]
            assert np.isin(place // 42, rows).all()
            assert np.isin(place % 42, columns).all()
    assert (y[fp.max_pool(x, **CALL) > 0] > 0).all()


def test_without_positive_elements():
    x = -np.ones((2, 6))
    x[1, 2] = x[0, 4] = 0
    y, i = fp.stochastic_pool(x, (3,), rng=1, return_indices=True)
    assert y.tolist() == [[-1, -1], [-1, -1]]
    assert i.tolist() == [[0, 3], [0, 3]]
    padded = fp.stochastic_pool(x, (3,), stride=2, padding=1, rng=1, return_indices=True)[1]
    assert padded.tolist() == [[0, 1, 3], [0, 1, 3]]
    assert fp.stochastic_pool(x, (3,), training=False).tolist() == [[0, 0], [0, 0]]


def test_test_mode_is_the_mean_by_probability():
    np.testing.assert_allclose(fp.stochastic_pool(np.array([1.0, 3, -2, 0]), (4,), training=False), [2.5])
    x = np.random.default_rng(1).standard_normal((3, 12))
    y = fp.stochastic_pool(x, (4,), training=False)
    weight = np.maximum(x, 0).reshape(3, 3, 4)
    np.testing.assert_allclose(y, (weight**2).sum(-1) / np.maximum(weight.sum(-1), 1e-300))
    np.testing.assert_array_equal(fp.stochastic_pool(x, (4,), training=False, rng=3), y)


def test_the_mean_of_draws_is_the_test_mode():
    x = np.tile([0.5, 2.0, 1.0, -3.0], (DRAWS, 1))
    y = fp.stochastic_pool(x, (4,), rng=2)
    expected = fp.stochastic_pool(x[:1], (4,), training=False)[0, 0]
    np.testing.assert_allclose(y.mean(), expected, rtol=0.01)  # 8 standard errors


def test_the_gradient_goes_to_what_was_drawn(x):
    (y, i), pull = fp.vjp(fp.pool, x, "stochastic", **CALL, return_indices=True)  # a fresh seed
    gx = pull(np.ones_like(y))
    expected = np.zeros((6, 5, 40 * 42))
    for plane in np.ndindex(6, 5):
        np.add.at(expected[plane], i[plane].reshape(-1), 1)
    np.testing.assert_array_equal(gx, expected.reshape(x.shape))


def test_indices_only_in_training():
    with pytest.raises(ValueError, match="return_indices"):
        fp.stochastic_pool(np.ones(4), (2,), training=False, return_indices=True)


@pytest.mark.parametrize("wrong", [True, 1.5, "1", [1], np.random.RandomState(1)])
def test_other_kinds_of_rng_are_refused(wrong):
    with pytest.raises(TypeError, match="rng"):
        fp.stochastic_pool(np.ones(4), (2,), rng=wrong)


def test_training_must_be_a_bool():
    with pytest.raises(TypeError, match="training"):
        fp.stochastic_pool(np.ones(4), (2,), training=1)


def test_weights_that_add_up_to_more_than_float64_holds():
    x = np.full(4, 1e308)
    drawn = [fp.stochastic_pool(x, (4,), rng=seed, return_indices=True)[1][0] for seed in range(400)]
    assert np.bincount(drawn, minlength=4).min() > 60


@pytest.mark.parametrize("op", ["max", "stochastic"])
@pytest.mark.parametrize("options", [{"window": 2}, {"scheme": "random"}, {"scheme": "pseudo"}])
def test_fractional_windows_of_a_split_batch(rng, op, options):
    x = rng.standard_normal((4, 2, 23, 21))
    whole = fp.fractional_pool(x, op, 7, rng=5, **options)
    rest = fp.fractional_pool(x[2:], op, 7, rng=random.Draws(5, start=whole[:2].size), **options)
    np.testing.assert_array_equal(rest, whole[2:])


def test_pyramids_of_a_split_batch(rng):
    x = rng.standard_normal((4, 2, 9, 8))
    whole = fp.pyramid_pool(x, "stochastic", rng=5)
    rest = fp.pyramid_pool(x[1:], "stochastic", rng=random.Draws(5, start=whole[:1].size))
    np.testing.assert_array_equal(rest, whole[1:])


def test_planes_are_keyed_by_the_output_s_flat_position():
    x = np.ones((1, 8, 8, 3))
    samples = np.zeros((1, 3, 2))
    options = {"axes": (1, 2), "rng": 5, "return_indices": True}
    _, indices = fp.fractional_pool(x, "stochastic", (6, 6), window=3, samples=samples, **options)
    np.testing.assert_array_equal(indices, fp.pool(x, "stochastic", (3, 3), stride=1, **options)[1])


def test_a_generator_gives_its_next_64_bits():
    x = np.arange(40.0)
    seed = int(np.random.default_rng(3).integers(0, 2**64, dtype=np.uint64))
    given = fp.fractional_pool(x, "max", (7,), window=2, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(given, fp.fractional_pool(x, "max", (7,), window=2, rng=seed))
