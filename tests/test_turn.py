"""Copies between memory orders: any order of the axes, odd sizes, every itemsize."""

import itertools

import numpy as np
import pytest

from fastpool.cpu import turn


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.float16])
@pytest.mark.parametrize("shape", [(70, 80), (5, 130, 667), (64, 3, 65, 70), (1, 5000, 2)])
def test_copies_are_copies(rng, threads, shape, dtype):
    x = rng.integers(0, 200, shape).astype(dtype)
    for order, count in zip(
        itertools.permutations(range(len(shape))), itertools.cycle((1, 2, 3)), strict=False
    ):
        threads(count)
        turned = x.transpose(order)
        for source in (turned, turned[::-1], turned[..., 1:]):
            into = np.empty(source.shape, dtype)
            turn.copy(into, source)
            np.testing.assert_array_equal(into, source)
