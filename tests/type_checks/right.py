"""Twenty typical calls, which type checkers accept, and what they say of the results."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import fastpool as fp


class Tensor:
    """An array of another library."""

    def __array__(self, dtype: Any = None) -> NDArray[Any]:
        return np.zeros(())


Pair = tuple[NDArray[Any], NDArray[Any]]


def calls(x: NDArray[np.float32], t: Tensor, labels: NDArray[np.uint8], indexed: bool) -> None:
    assert_type(fp.max_pool(x, 2), NDArray[Any])
    assert_type(fp.max_pool(t, 2), Tensor)
    assert_type(fp.max_pool(x, (3, 3), stride=2, padding=1, return_indices=True), Pair)
    assert_type(fp.min_pool(t, [3, 3], axes=(-2, -1), return_indices=True), tuple[Tensor, Tensor])
    assert_type(fp.max_pool(t, 2, return_indices=indexed), Tensor | tuple[Tensor, Tensor])
    assert_type(fp.avg_pool(x, (4, 4), padding="same", count_include_pad=False), NDArray[Any])
    assert_type(fp.avg_pool(x, 2, where=x > 0, skipna=True, min_count=2, fill=-1), NDArray[Any])
    assert_type(fp.sum_pool(labels, (2,), dtype=np.int64, out=np.zeros(3, np.int64)), NDArray[Any])
    assert_type(fp.pool(x, "quantile", 2, q=0.75, padding=((0, 1), (1, 0))), NDArray[Any])
    assert_type(fp.pool(t, "stochastic", 2, rng=7, return_indices=True), tuple[Tensor, Tensor])
    assert_type(fp.mode_pool(labels, (2, 2), ignore=0, nodata=255), NDArray[Any])
    assert_type(fp.gem_pool(t, 2, p=t), Tensor)
    assert_type(fp.adaptive_pool(x, "avg", (7, None)), NDArray[Any])
    assert_type(fp.adaptive_max_pool(t, 7, return_indices=True), tuple[Tensor, Tensor])
    assert_type(fp.global_avg_pool(t, keepdims=True), Tensor)
    assert_type(fp.fractional_pool(x, "max", ratio=0.7, window=2, rng=np.random.default_rng(0)), NDArray[Any])
    assert_type(fp.roi_align(t, t, (7, 7), scale=1 / 16, samples=2), Tensor)
    assert_type(fp.segment_pool(x, labels, "max", 4, axis=1), NDArray[Any])
    assert_type(fp.segment_pool(t, None, "sum", offsets=[0, 2], return_indices=True), tuple[Tensor, Tensor])
    assert_type(fp.area_pool(x, ratio=(1.5, 1.5), op="sum"), NDArray[Any])
    y, i = fp.max_pool(x, 2, return_indices=True)
    assert_type(fp.unpool(y, i, x.shape), NDArray[Any])
    assert_type(fp.pool_backward(t, t, "max", 2, indices=t), Tensor)
    y, pull = fp.vjp(fp.max_pool, x, 2, stride=1)
    assert_type(y, NDArray[Any])
    assert_type(pull(y), NDArray[np.float32])
    assert_type(pull(y, params=True), tuple[NDArray[np.float32], dict[str, Any]])
    z, pull_t = fp.vjp(fp.max_pool, t, (2, 2), return_indices=True)
    assert_type(z, tuple[Tensor, Tensor])
    assert_type(pull_t(z[0]), Tensor)
