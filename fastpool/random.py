"""Random numbers that depend on a seed and a position alone: Philox, and what users may give as ``rng``.

The expressions are plain Python with every width spelled out, so that compilers and NumPy arrays give the
same bits. Imports nothing of ours, as kernels are built from it.
"""

from operator import index as as_index
from typing import Any, NamedTuple

import numpy as np

ROUNDS = 10
WORD = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)  # bits of a word
FACTORS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
STEPS = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)  # golden ratio, sqrt(3) - 1
UNIT = 2.0**-53
STREAM = np.uint32(0)


class Draws(NamedTuple):
    """Random numbers of one seed, from an output other than the first on.

    A batch that is processed in parts draws what the whole would, where each part says at which flat output
    of the whole it begins.

    Parameters
    ----------
    seed : int
        Of any size and sign.
    start : int
        Flat index, in the whole, of the first output of the part; at least 0.

    Examples
    --------
    >>> from fastpool.random import Draws, seed_of
    >>> seed_of(Draws(7, start=1000))
    (7, 1000)
    """

    seed: int
    start: int = 0


def low_word(number: Any) -> Any:
    """The lower 32 bits of a 64-bit number."""
    return np.uint32(np.uint64(number) & WORD)


def high_word(number: Any) -> Any:
    """The upper 32 bits of a 64-bit number."""
    return np.uint32(np.uint64(number) >> HALF)


def philox(counter0: Any, counter1: Any, counter2: Any, counter3: Any, key0: Any, key1: Any) -> Any:
    """Four random words for a counter of four words and a key of two: Philox 4x32-10.

    Ten rounds of multiplications by two constants, whose high halves mix with the counter and the key
    (Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3). Scalars or arrays.
    """
    a, b, c, d = np.uint64(counter0), np.uint64(counter1), np.uint64(counter2), np.uint64(counter3)
    k, m = np.uint64(key0), np.uint64(key1)
    for _ in range(ROUNDS):
        first, second = a * FACTORS[0], c * FACTORS[1]
        a, b = (second >> HALF) ^ b ^ k, second & WORD
        c, d = (first >> HALF) ^ d ^ m, first & WORD
        k, m = (k + STEPS[0]) & WORD, (m + STEPS[1]) & WORD
    return np.uint32(a), np.uint32(b), np.uint32(c), np.uint32(d)


def uniform(low: Any, high: Any, index: Any, stream: Any = STREAM) -> Any:
    """A float64 of 53 random bits in [0, 1).

    ``(w1 2**32 + w0) >> 11`` of the first two words, times ``2**-53``.

    Parameters
    ----------
    low, high : uint32
        The words of the seed.
    index : uint64
        The counter: which number of the seed; scalar or array.
    stream : uint32
        Which of the independent sequences of the seed, where one seed serves several draws.
    """
    words = philox(low_word(index), high_word(index), stream, np.uint32(0), low, high)
    bits = (np.uint64(words[1]) << HALF) | np.uint64(words[0])
    return np.float64(bits >> np.uint64(11)) * UNIT


def seed_of(rng: object) -> tuple[int, int]:
    """The seed, below 2**64, and the flat index of the first output that `rng` stands for.

    Parameters
    ----------
    rng : None, int, numpy.random.Generator or Draws
        None: a fresh seed from the operating system. An integer from 0 to 2**64 - 1 is the seed; negative and
        larger ones are hashed to 64 bits by `numpy.random.SeedSequence`, sign and size apart. A generator
        gives its next 64 bits. `Draws`: its seed as an integer, and its start.

    Raises
    ------
    TypeError
        For anything else, bool, float and str included.
    ValueError
        For a start that is negative or does not fit 64 bits.

    Examples
    --------
    >>> from fastpool.random import seed_of
    >>> seed_of(42)
    (42, 0)
    >>> seed_of(-42)
    (11297472748907905915, 0)
    """
    if rng is None:
        return _word_of(np.random.SeedSequence()), 0
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(0, 2**64, dtype=np.uint64)), 0
    if isinstance(rng, Draws):
        start = _integer("rng.start", rng.start, "an integer")
        if not 0 <= start < 2**64:
            raise ValueError(f"rng.start must be in 0..2**64 - 1, got {start}")
        return _hashed(_integer("rng.seed", rng.seed, "an integer")), start
    return _hashed(_integer("rng", rng, "None, an integer, a numpy.random.Generator or Draws")), 0


def _integer(name: str, value: object, allowed: str) -> int:
    if not isinstance(value, bool | np.bool_):
        try:
            return as_index(value)  # type: ignore[arg-type]
        except TypeError:
            pass
    raise TypeError(f"{name} must be {allowed}, got {value!r} of type {type(value).__name__}")


def _hashed(number: int) -> int:
    if 0 <= number < 2**64:
        return number
    return _word_of(np.random.SeedSequence((int(number < 0), abs(number))))


def _word_of(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1, np.uint64)[0])
