"""Fractional pooling's windows along one axis: as PyTorch and as TensorFlow choose them.

Graham 2014, Fractional max-pooling: windows at random places whose average distance is a fraction. Chance
comes in as uniform numbers in [0, 1); what leaves is a table. Pure NumPy.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .windows import Axis, Integers, table

SCHEMES = ("torch", "random", "pseudo")
SAMPLES = ("float16", "bfloat16", "float32", "float64")
LARGEST_HALF = 65504


def output_length(n: int, outputs: int | None, ratio: Any, scheme: str) -> int:
    """Number of windows on an axis of length `n`, given as such or as a ratio.

    Scheme "torch" makes ``floor(n ratio)`` with ``0 < ratio < 1``. The others make ``floor(n / ratio)`` with
    ``ratio >= 1``, divided in float32 as TensorFlow does: 144 / 1.44 makes 99.

    Raises
    ------
    TypeError, ValueError
        Where both or neither are given, for a ratio that is no number or out of range, and for a length that
        is not in ``1..n``.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, got {scheme!r}")
    if (outputs is None) == (ratio is None):
        raise ValueError(
            "exactly one of output_size and ratio must be given, "
            f"got output_size={outputs!r}, ratio={ratio!r}"
        )
    source = f"output_size {outputs}"
    if outputs is None:
        source = f"ratio {ratio!r}"
        outputs = _scaled(n, ratio, torch=scheme == "torch")
    if not 1 <= outputs <= n:
        raise ValueError(f"{source} makes {outputs} windows; an axis of length {n} allows 1 to {n}")
    return outputs


def _scaled(n: int, ratio: Any, *, torch: bool) -> int:
    if isinstance(ratio, bool | np.bool_) or not isinstance(ratio, int | float | np.integer | np.floating):
        raise TypeError(f"ratio must be a real number, got {ratio!r} of type {type(ratio).__name__}")
    value = float(ratio)
    if torch:
        if not 0 < value < 1:
            raise ValueError(f'ratio must be above 0 and below 1 with scheme="torch", got {ratio!r}')
        return int(n * value)
    if not 1 <= value < np.inf:
        raise ValueError(
            f'ratio must be at least 1 and finite with scheme="random" or "pseudo", got {ratio!r}'
        )
    if value > n:
        return 0
    return min(n, int(np.float32(n) / np.float32(value)))


def checked_samples(samples: object, shape: tuple[int, ...]) -> NDArray[Any]:
    """A user's samples as an array: of `shape`, a float dtype, and in [0, 1)."""
    if not isinstance(samples, np.ndarray) or samples.dtype.name not in SAMPLES:
        kind = samples.dtype if isinstance(samples, np.ndarray) else type(samples).__name__
        raise TypeError(f"samples must be an array of {', '.join(SAMPLES)}, got {kind}")
    if samples.shape != shape:
        raise ValueError(f"samples must have the shape {shape}, got {samples.shape}")
    within = (samples >= 0) & (samples < 1)
    if not within.all():
        raise ValueError(f"samples must be in [0, 1), got {samples[~within][0]}")
    return samples


def starts(n: int, outputs: int, window: int, samples: NDArray[Any]) -> Integers:
    """First elements of windows of one length, as PyTorch places them.

    ``start[i] = int((i + u) a) - int(u a)`` with ``a = (n - window) / (outputs - 1)``; the last window ends
    with the axis. Every operation is rounded to the dtype of the samples, as PyTorch's are, which computes in
    the dtype of its input. Where a dtype cannot count as far as `n` and a start would come out too large, the
    window is moved back into the axis, and float16 is left for float32 beyond its largest number.

    Parameters
    ----------
    n, outputs, window : int
        ``outputs + window - 1 <= n``.
    samples : ndarray
        Uniform numbers, of any shape: one a plane.

    Returns
    -------
    ndarray of int64
        Of the samples' shape and a last axis of `outputs`; ascending along it.

    Raises
    ------
    ValueError
        For a window below 1, and where the windows do not fit at different places.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.fractional import starts
    >>> starts(9, 4, 2, np.array([0.0, 0.9]))
    array([[0, 2, 4, 7],
           [0, 2, 4, 7]])
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    if outputs < 1 or outputs + window - 1 > n:
        raise ValueError(
            f"output_size + window - 1 must be at most the axis' length {n}, "
            f"got output_size {outputs} and window {window}"
        )
    last = np.full((*samples.shape, outputs), n - window, np.int64)
    if outputs == 1:
        return last
    if samples.dtype == np.float16 and n > LARGEST_HALF:
        samples = samples.astype(np.float32)
    dtype = samples.dtype
    u = samples[..., None]
    pace = np.asarray(n - window).astype(dtype) / np.asarray(outputs - 1).astype(dtype)
    places = (np.arange(outputs - 1).astype(dtype) + u) * pace
    first = (u * pace).astype(np.int64)
    last[..., :-1] = np.minimum(places.astype(np.int64) - first, n - window)
    return last


def fixed(n: int, start: Integers, window: int) -> Axis:
    """The table of windows of one length that begin at `start`."""
    return _axis(n, start, np.full(start.shape, window, np.int64))


def random_sequence(n: int, outputs: int, uniforms: NDArray[np.float64]) -> Integers:
    """Boundaries of windows of ``k = n // outputs`` and ``k + 1`` elements in random order (TensorFlow).

    Parameters
    ----------
    n, outputs : int
        ``1 <= outputs <= n``.
    uniforms : ndarray of float64, shape (outputs,)
        Their order is the permutation: the ``n % outputs`` windows with the smallest numbers are long.

    Returns
    -------
    ndarray of int64, shape (outputs + 1,)
        From 0 to `n`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.fractional import random_sequence
    >>> random_sequence(8, 3, np.array([0.4, 0.9, 0.1]))
    array([0, 3, 5, 8])
    """
    _check_outputs(n, outputs)
    lengths = np.full(outputs, n // outputs)
    lengths[np.argsort(uniforms, kind="stable")[: n % outputs]] += 1
    return _boundaries(np.cumsum(lengths))


def pseudo_sequence(n: int, outputs: int, uniform: float) -> Integers:
    """Boundaries that one random number shifts (TensorFlow's pseudo-random regions).

    ``c[i] = ceil(a (i + u)) - 1`` with ``a = n / outputs``, ``k = n // outputs`` and `u` the given number
    times ``min((k + 2) / a - 1, (n + 1 - k) / a - (outputs - 1))``; from 0 to `n`. A window that would be
    empty by rounding or by `u` = 0 (at ``a = 1``) gets one element.

    Examples
    --------
    >>> from fastpool.fractional import pseudo_sequence
    >>> pseudo_sequence(8, 3, 0.1)
    array([0, 2, 5, 8])
    """
    _check_outputs(n, outputs)
    pace, k = n / outputs, n // outputs
    u = uniform * min((k + 2) / pace - 1, (n + 1 - k) / pace - (outputs - 1))
    i = np.arange(1, outputs)
    places = np.ceil(pace * (i + u)).astype(np.int64) - 1
    spare = np.maximum.accumulate(np.clip(places - i, 0, n - outputs))
    return _boundaries(np.append(i + spare, n))


def regions(sequence: Integers, *, overlapping: bool) -> Axis:
    """The table of windows between the boundaries; `overlapping`: with the first element of the next."""
    n = int(sequence[-1])
    ends = np.minimum(sequence[1:] + overlapping, n)
    return _axis(n, sequence[:-1], ends - sequence[:-1])


def _check_outputs(n: int, outputs: int) -> None:
    if not 1 <= outputs <= n:
        raise ValueError(f"output_size must be in 1..{n} for an axis of length {n}, got {outputs}")


def _boundaries(ends: Integers) -> Integers:
    return np.concatenate([np.zeros(1, np.int64), ends])


def _axis(n: int, lo: Integers, count: Integers) -> Axis:
    return table(n, lo, count, count, 1)
