"""The windows of fractional pooling: against the rules stated anew, and PyTorch."""

import math
from itertools import pairwise

import numpy as np
import pytest

from fastpool import arrays, windows
from fastpool.fractional import (
    checked_samples,
    fixed,
    output_length,
    pseudo_sequence,
    random_sequence,
    regions,
    starts,
)
from fastpool.random import uniform


def plain_starts(n, outputs, window, u):
    """PyTorch's rule, one operation at a time in the type of `u`."""
    real = type(u)
    found = []
    for i in range(outputs - 1):
        pace = real(n - window) / real(outputs - 1)
        found.append(int(real(real(real(i) + u) * pace)) - int(real(u * pace)))
    return [*found, n - window]


def plain_pseudo(n, outputs, uniform):
    """TensorFlow's rule, boundaries from 1 to n + 1."""
    pace, k = n / outputs, n // outputs
    u = uniform * min((k + 2) / pace - 1, (n + 1 - k) / pace - (outputs - 1))
    return [1, *(math.ceil(pace * (i + u)) for i in range(1, outputs)), n + 1]


def geometries(rng, count, longest=60):
    for _ in range(count):
        window, outputs = int(rng.integers(1, 6)), int(rng.integers(1, 20))
        yield outputs + window - 1 + int(rng.integers(0, longest)), outputs, window


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_starts_follow_the_rule(rng, dtype):
    for n, outputs, window in geometries(rng, 300):
        samples = np.minimum(rng.random((2, 3)), 0.999).astype(dtype)
        found = starts(n, outputs, window, samples)
        assert found.shape == (2, 3, outputs)
        assert found.dtype == np.int64
        for place in np.ndindex(2, 3):
            assert found[place].tolist() == plain_starts(n, outputs, window, samples[place])
        assert found.min() >= 0
        assert (np.diff(found) >= 0).all()


@pytest.mark.peer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axes", [2, 3])
def test_starts_are_those_of_torch(rng, dtype, axes):
    torch = pytest.importorskip("torch")
    pool = getattr(torch.nn.functional, f"fractional_max_pool{axes}d")
    for _ in range(60):
        # With three axes torch refuses windows that fit in one way alone.
        lengths = [(n + (axes == 3), o, k) for n, o, k in geometries(rng, axes, longest=12)]
        shape, outputs, window = zip(*lengths, strict=True)
        # Ascending values: the index of a window's largest element is its last, and its start follows.
        x = (
            torch.arange(math.prod(shape), dtype=torch.float64)
            .reshape(1, 1, *shape)
            .to(getattr(torch, dtype))
        )
        x = x.expand(2, 3, *shape)
        samples = rng.random((2, 3, axes)).astype(dtype)
        _, indices = pool(
            x, window, output_size=outputs, return_indices=True, _random_samples=torch.tensor(samples)
        )
        last = arrays.positions(indices.numpy(), shape)
        for axis, (n, o, k) in enumerate(lengths):
            column = 1 - axis if axes == 2 else axis  # two axes take their samples in reverse
            expected = np.moveaxis(last[axis], axis + 2, -1).reshape(2, 3, -1, o)[:, :, 0] - (k - 1)
            np.testing.assert_array_equal(starts(n, o, k, samples[..., column]), expected)


def test_starts_stay_within_long_axes():
    for dtype, n in ((np.float16, 5003), (np.float16, 70_001), (np.float32, 2**24 + 7)):
        for u in (0.0, 0.3, 0.999):
            found = starts(n, 2500, 3, np.array(u, dtype))
            assert found.min() >= 0
            assert found.max() == n - 3
            assert (np.diff(found) >= 0).all()


def test_starts_in_bfloat16(rng):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for n, outputs, window in geometries(rng, 50):
        u = ml_dtypes.bfloat16(rng.random() * 0.99)
        expected = np.minimum(plain_starts(n, outputs, window, u), n - window)
        assert starts(n, outputs, window, np.array(u)).tolist() == expected.tolist()


def test_fixed_windows_make_a_table():
    table = fixed(9, starts(9, 4, 2, np.array(0.5)), 2)
    assert (table.size, len(table), table.step, table.regular) == (9, 4, 1, None)
    assert table.lo.tolist() == [0, 2, 4, 7]
    assert table.count.tolist() == [2] * 4
    covers = windows.inverse(table)
    assert covers.count.tolist() == [1, 1, 1, 1, 1, 1, 0, 1, 1]


def test_random_sequences(rng):
    for n, outputs, _ in geometries(rng, 200):
        uniforms = rng.random(outputs)
        sequence = random_sequence(n, outputs, uniforms)
        assert sequence.dtype == np.int64
        assert (sequence[0], sequence[-1], sequence.size) == (0, n, outputs + 1)
        k = n // outputs
        lengths = np.diff(sequence)
        assert sorted(lengths) == [k] * (outputs - n % outputs) + [k + 1] * (n % outputs)
        if 0 < n % outputs < outputs:
            assert uniforms[lengths == k + 1].max() < uniforms[lengths == k].min()


def test_random_sequences_are_all_equally_likely():
    """Two of four windows are long: six orders, drawn with the numbers of a seed."""
    counts = {}
    for draw in range(3000):
        numbers = uniform(9, 0, np.arange(4 * draw, 4 * draw + 4))
        order = tuple(np.diff(random_sequence(10, 4, numbers)))
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert sum((count - 500) ** 2 / 500 for count in counts.values()) < 20.5  # 5 degrees of freedom


def test_pseudo_sequences(rng):
    for n, outputs, _ in geometries(rng, 300):
        number = rng.random()
        sequence = pseudo_sequence(n, outputs, number)
        assert sequence.dtype == np.int64
        assert (sequence + 1).tolist() == plain_pseudo(n, outputs, number)
        lengths = np.diff(sequence)
        assert lengths.min() >= n // outputs
        assert lengths.max() <= n // outputs + 1


def test_pseudo_sequences_have_no_empty_window():
    for number in (0.0, 2.0**-53, 1 - 2.0**-53):
        for n in range(1, 30):
            for outputs in range(1, n + 1):
                sequence = pseudo_sequence(n, outputs, number)
                assert (sequence[0], sequence[-1], sequence.size) == (0, n, outputs + 1)
                assert np.diff(sequence).min() >= 1


@pytest.mark.parametrize("overlapping", [False, True])
def test_regions(rng, overlapping):
    for n, outputs, _ in geometries(rng, 100):
        sequence = random_sequence(n, outputs, rng.random(outputs))
        table = regions(sequence, overlapping=overlapping)
        expected = [range(a, min(b + overlapping, n)) for a, b in pairwise(sequence.tolist())]
        assert [range(a, a + c) for a, c in zip(table.lo, table.count, strict=True)] == expected
        assert (table.size, table.step, table.regular) == (n, 1, None)
        assert np.array_equal(table.extent, table.count)
        covered = windows.inverse(table)
        for i in range(n):
            assert list(range(covered.lo[i], covered.lo[i] + covered.count[i])) == [
                o for o, span in enumerate(expected) if i in span
            ]


def test_output_lengths():
    assert output_length(10, 3, None, "torch") == 3
    assert output_length(10, None, 0.75, "torch") == 7
    assert output_length(100, None, 0.29, "torch") == int(100 * 0.29) == 28
    assert output_length(10, None, 1.44, "random") == 6
    assert output_length(10, None, 1, "pseudo") == 10
    assert output_length(144, None, 1.44, "pseudo") == 99  # as in TensorFlow, which has float32 ratios
    assert output_length(10, None, np.float32(2.5), "random") == 4
    assert output_length(10, None, 10.0, "random") == 1
    assert output_length(2**24 + 1, None, 1, "random") == 2**24


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((9, 3, 0.5, "torch"), ValueError, "exactly one of output_size and ratio must be given"),
        ((9, None, None, "torch"), ValueError, "exactly one of output_size and ratio .* ratio=None"),
        (
            (9, 0, None, "torch"),
            ValueError,
            "output_size 0 makes 0 windows; an axis of length 9 allows 1 to 9",
        ),
        ((9, -1, None, "random"), ValueError, "output_size -1"),
        ((9, 10, None, "random"), ValueError, "output_size 10 makes 10 windows"),
        ((9, 3, None, "caffe"), ValueError, "scheme must be one of torch, random, pseudo, got 'caffe'"),
        (
            (9, None, 1.0, "torch"),
            ValueError,
            'ratio must be above 0 and below 1 with scheme="torch", got 1.0',
        ),
        ((9, None, 0.0, "torch"), ValueError, "ratio must be above 0"),
        ((9, None, -0.5, "torch"), ValueError, "ratio must be above 0"),
        ((9, None, 0.01, "torch"), ValueError, "ratio 0.01 makes 0 windows"),
        ((9, None, 0.99, "random"), ValueError, "ratio must be at least 1 and finite .* got 0.99"),
        ((9, None, math.inf, "random"), ValueError, "ratio must be at least 1 and finite"),
        ((9, None, math.nan, "pseudo"), ValueError, "ratio must be at least 1 .* got nan"),
        ((9, None, math.nan, "torch"), ValueError, "ratio must be above 0 .* got nan"),
        ((1, None, 1.0000014, "random"), ValueError, "ratio 1.0000014 makes 0 windows"),
        ((9, None, 1e300, "random"), ValueError, r"ratio 1e\+300 makes 0 windows"),
        ((9, None, True, "random"), TypeError, "ratio must be a real number, got True of type bool"),
        ((9, None, "2", "random"), TypeError, "ratio must be a real number, got '2'"),
        ((9, None, (2.0, 2.0), "random"), TypeError, "ratio must be a real number"),
        ((9, None, 2 + 0j, "random"), TypeError, "ratio must be a real number"),
    ],
)
def test_bad_lengths(arguments, error, message):
    with pytest.raises(error, match=message):
        output_length(*arguments)


@pytest.mark.parametrize("bad", [1.0, -0.1, 1e30, -50.0, np.nan, np.inf])
def test_samples_out_of_range(bad):
    samples = np.full((2, 3, 2), 0.5, np.float32)
    assert checked_samples(samples, (2, 3, 2)) is samples
    samples[1, 2, 0] = bad
    with pytest.raises(ValueError, match=r"samples must be in \[0, 1\), got"):
        checked_samples(samples, (2, 3, 2))


def test_samples_of_another_kind():
    with pytest.raises(ValueError, match=r"samples must have the shape \(2, 3, 2\), got \(2, 3, 3\)"):
        checked_samples(np.zeros((2, 3, 3)), (2, 3, 2))
    with pytest.raises(ValueError, match=r"samples must have the shape .* got \(0,\)"):
        checked_samples(np.zeros(0), (2, 3, 2))
    with pytest.raises(TypeError, match=r"samples must be an array of float16.* got int64"):
        checked_samples(np.zeros((2, 3, 2), np.int64), (2, 3, 2))
    with pytest.raises(TypeError, match=r"samples must be an array of .* got float"):
        checked_samples(0.5, (2, 3, 2))


def test_windows_that_do_not_fit():
    for n, outputs, window in ((9, 8, 3), (9, 0, 2), (9, -1, 2), (9, 1, 10), (9, 2**40, 2)):
        with pytest.raises(ValueError, match=r"output_size \+ window - 1 must be at most"):
            starts(n, outputs, window, np.array(0.5))
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        starts(9, 3, 0, np.array(0.5))
    for sequence, number in ((random_sequence, np.zeros(3)), (pseudo_sequence, 0.5)):
        with pytest.raises(ValueError, match=r"output_size must be in 1\.\.9 for an axis of length 9, got"):
            sequence(9, 10, number)
        with pytest.raises(ValueError, match="output_size must be in"):
            sequence(9, 0, number)
