"""Philox against its published vectors, on every route; what may be given as rng."""

import numpy as np
import pytest
from numba import njit

from fastpool import jit, random
from fastpool.random import Draws, high_word, low_word, philox, seed_of, uniform

ONES = 0xFFFFFFFF
KNOWN = [  # Random123, kat_vectors: counter, key, result
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([ONES] * 4, [ONES] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]
SEEDS = (0, 1, 0x0123456789ABCDEF, 2**64 - 1)
INDICES = (0, 1, 2**31, 2**32 - 1, 2**32, 2**53 + 1, 2**63, 2**64 - 1)


@pytest.fixture(scope="module")
def compiled():
    """Kernels of the expressions: four words, and uniform numbers of an array of indices."""
    jit.register(random)

    def words(arguments, out):
        a = arguments
        out[0], out[1], out[2], out[3] = philox(a[0], a[1], a[2], a[3], a[4], a[5])

    def numbers(low, high, start, stream, out):
        for i in range(out.size):
            out[i] = uniform(low, high, start + np.uint64(i), stream)

    def first_stream(low, high, out):
        out[0] = uniform(low, high, 17)

    # Not from the disk cache, whose key does not cover what kernels call.
    return tuple(njit(**jit.OPTIONS)(function) for function in (words, numbers, first_stream))


def slow_philox(counter, key):
    """In Python's integers, from the paper."""
    a, b, c, d = counter
    k, m = key
    for _ in range(10):
        first, second = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (second >> 32) ^ b ^ k, second & ONES, (first >> 32) ^ d ^ m, first & ONES
        k, m = (k + 0x9E3779B9) & ONES, (m + 0xBB67AE85) & ONES
    return [a, b, c, d]


def slow_uniform(seed, index, stream):
    words = slow_philox([index & ONES, index >> 32, stream, 0], [seed & ONES, seed >> 32])
    return ((words[1] << 32 | words[0]) >> 11) / 2**53


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(compiled, counter, key, expected):
    assert slow_philox(counter, key) == expected
    words = philox(*map(np.uint32, counter + key))
    assert all(type(word) is np.uint32 for word in words)
    assert list(words) == expected
    arrays = philox(*(np.full((2, 3), value, np.uint32) for value in counter + key))
    for word, value in zip(arrays, expected, strict=True):
        assert word.dtype == np.uint32
        np.testing.assert_array_equal(word, np.full((2, 3), value))
    out = np.zeros(4, np.uint32)
    compiled[0](np.array(counter + key, np.uint32), out)
    assert out.tolist() == expected


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stream", [0, 3])
def test_uniform_is_the_same_everywhere(compiled, seed, stream):
    low, high, stream = low_word(seed), high_word(seed), np.uint32(stream)
    expected = [slow_uniform(seed, index, int(stream)) for index in INDICES]
    assert [uniform(low, high, index, stream) for index in INDICES] == expected
    array = uniform(low, high, np.array(INDICES, np.uint64), stream)
    assert array.dtype == np.float64
    assert array.tolist() == expected
    out = np.zeros(1)
    for index, value in zip(INDICES, expected, strict=True):
        compiled[1](low, high, np.uint64(index), stream, out)
        assert out[0] == value


def test_uniform_takes_every_width_of_index(compiled):
    low, high, stream = low_word(5), high_word(5), np.uint32(0)
    expected = [slow_uniform(5, i, 0) for i in range(1000)]
    for dtype in (np.int32, np.int64, np.uint32, np.uint64):
        assert uniform(low, high, np.arange(1000, dtype=dtype), stream).tolist() == expected
    out = np.zeros(1000)
    compiled[1](low, high, np.uint64(0), stream, out)
    assert out.tolist() == expected


def test_the_first_stream_is_the_default(compiled):
    low, high, out = low_word(5), high_word(5), np.zeros(1)
    compiled[2](low, high, out)
    assert out[0] == uniform(low, high, 17) == slow_uniform(5, 17, 0)


def test_uniform_is_uniform():
    low, high = low_word(1), high_word(1)
    numbers = np.concatenate([uniform(low, high, np.arange(100_000), np.uint32(s)) for s in (0, 1)])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, 100, (0, 1))[0]
    chi_squared = ((counts - 2000) ** 2 / 2000).sum()
    assert 60 < chi_squared < 150  # 99 degrees of freedom
    assert abs(np.corrcoef(numbers[:100_000], numbers[100_000:])[0, 1]) < 0.02
    assert uniform(0, 0, 0, 0).dtype == np.float64


def test_the_largest_uniform_is_below_one():
    assert np.float64((2**64 - 1) >> 11) * random.UNIT == 1 - 2.0**-53


def test_seeds():
    assert seed_of(0) == (0, 0)
    assert seed_of(2**64 - 1) == (2**64 - 1, 0)
    assert seed_of(np.uint64(2**64 - 1)) == (2**64 - 1, 0)
    assert seed_of(np.int8(3)) == (3, 0)
    assert seed_of(Draws(5)) == (5, 0)
    assert seed_of(Draws(seed=5, start=2**40)) == (5, 2**40)
    assert seed_of(Draws(np.int64(5), np.int64(9))) == (5, 9)
    assert seed_of(Draws(-1)) == seed_of(-1)


def test_seeds_beyond_64_bits_are_hashed():
    large = (-1, -2, -(2**64), -(2**64) + 1, 2**64, 2**64 + 1, 2**70, -(2**70), 10**100, np.int8(-3))
    seeds = [seed_of(number) for number in large]
    assert seeds == [seed_of(number) for number in large]
    assert len(set(seeds)) == len(large)
    assert all(0 <= seed < 2**64 and start == 0 for seed, start in seeds)


def test_no_seed_is_a_fresh_one():
    assert len({seed_of(None) for _ in range(20)}) == 20


def test_generators_give_their_next_bits():
    first = seed_of(np.random.default_rng(1))
    assert first == seed_of(np.random.default_rng(1))
    generator = np.random.Generator(np.random.MT19937(1))
    drawn = {seed_of(generator) for _ in range(20)}
    assert len(drawn) == 20
    assert max(seed for seed, _ in drawn) > 2**63


@pytest.mark.parametrize(
    "rng", [True, np.True_, 1.0, np.float64(1), "1", [1], (1, 0), np.random.RandomState(1)]
)
def test_other_kinds_of_rng(rng):
    allowed = "rng must be None, an integer, a numpy.random.Generator or Draws, got .* of type"
    with pytest.raises(TypeError, match=allowed):
        seed_of(rng)


def test_bad_draws():
    with pytest.raises(TypeError, match=r"rng\.seed must be an integer, got None"):
        seed_of(Draws(None))
    with pytest.raises(TypeError, match=r"rng\.start must be an integer, got True"):
        seed_of(Draws(1, True))
    with pytest.raises(ValueError, match=r"rng\.start must be in 0\.\.2\*\*64 - 1, got -1"):
        seed_of(Draws(1, -1))
    with pytest.raises(ValueError, match=r"rng\.start"):
        seed_of(Draws(1, 2**64))
