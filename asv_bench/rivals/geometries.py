"""Workloads of random geometries for `speeds`: what no table of well-known layers asks for."""

import math
from collections.abc import Iterator
from typing import cast

import numpy as np

from fastpool.annotations import Op

from .speeds import Row

ENGINES = ("fastpool", "torch", "torch channels-last", "onnxruntime", "copy")  # of `speeds.ENGINES`
DTYPES = ("float32", "float64", "uint8")
WINDOWS, STRIDES, BATCHES, CHANNELS = (2, 9), (1, 5), (1, 4), (3, 96)  # the least and the most
ELEMENTS = (1 << 16, 1 << 21)
FEW_ELEMENTS = (1 << 10, 1 << 13)


def rows(number: int, seed: int, *, small: bool = False) -> Iterator[Row]:
    """Random poolings of one to three axes, each of which torch or ONNX Runtime has.

    Parameters
    ----------
    number : int
    seed : int
        The same one gives the same rows, and fewer rows are the first of more.
    small : bool
        Inputs of thousands of elements in place of up to two million.

    Yields
    ------
    Row

    Examples
    --------
    >>> from asv_bench.rivals import geometries
    >>> [row.name for row in geometries.rows(2, 0)] == [row.name for row in geometries.rows(3, 0)][:2]
    True
    """
    rng = np.random.default_rng(seed)
    for _ in range(number):
        yield _drawn(rng, FEW_ELEMENTS if small else ELEMENTS)


def _drawn(rng: np.random.Generator, elements: tuple[int, int]) -> Row:
    axes = _between(rng, (1, 3))
    dtype = DTYPES[_between(rng, (0, len(DTYPES) - 1))]
    floats = dtype != "uint8"  # of bytes, peers have maxima alone, channels first
    op = "avg" if floats and rng.random() < 0.5 else "max"
    last = bool(floats and rng.random() < 0.5)
    window = tuple(_between(rng, WINDOWS) for _ in range(axes))
    stride = tuple(_between(rng, STRIDES) for _ in range(axes))
    padded = rng.random() < 0.5
    padding = tuple(_between(rng, (0, k // 2)) if padded else 0 for k in window)  # torch takes no more
    batch, channels = _between(rng, BATCHES), round(_scaled(rng, CHANNELS))
    plane = _sides(rng, _scaled(rng, elements) / (batch * channels), window)
    shape = (batch, *plane, channels) if last else (batch, channels, *plane)
    by = f"{_joined(window)} s{_joined(stride)} p{_joined(padding)}"
    name = f"{op} {by} of {_joined(shape)} {dtype}{' channels last' if last else ''}"
    return Row(name, cast(Op, op), shape, window, stride, padding, dtype, last)


def _sides(rng: np.random.Generator, elements: float, window: tuple[int, ...]) -> tuple[int, ...]:
    """Of a plane of about so many elements, none shorter than its window."""
    mean = elements ** (1 / len(window))
    return tuple(max(k, round(mean * _scaled(rng, (0.7, 1.4)))) for k in window)


def _between(rng: np.random.Generator, ends: tuple[int, int]) -> int:
    return int(rng.integers(ends[0], ends[1], endpoint=True))


def _scaled(rng: np.random.Generator, ends: tuple[float, float]) -> float:
    """As likely between 1 and 2 as between 2 and 4."""
    return math.exp(rng.uniform(math.log(ends[0]), math.log(ends[1])))


def _joined(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))
