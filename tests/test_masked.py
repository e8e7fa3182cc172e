"""NumPy's masked arrays: the mask is what takes no part, and results are masked where too little does."""

import numpy as np
import pytest

import fastpool as fp

REDUCTIONS = {"max": "max", "min": "min", "avg": "mean", "sum": "sum"}


def masked(rng, shape, dtype=np.float64, part=0.4):
    """Random elements, of which a part is masked, with NaNs and extremes beneath the mask."""
    x = rng.permutation(int(np.prod(shape))).reshape(shape).astype(dtype) + 1
    mask = rng.random(shape) < part
    x[mask] = np.nan if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    return np.ma.masked_array(x, mask)


def blocks(x, window):
    """The windows of a matrix, one a row."""
    rows, columns = (n // k for n, k in zip(x.shape, window, strict=True))
    cut = x.reshape(rows, window[0], columns, window[1]).swapaxes(1, 2)
    return cut.reshape(rows, columns, -1)


def same(got, expected, **tolerance):
    assert type(got) is np.ma.MaskedArray
    np.testing.assert_array_equal(np.ma.getmaskarray(got), np.ma.getmaskarray(expected))
    np.testing.assert_allclose(got.filled(7), expected.filled(7), **tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8])
@pytest.mark.parametrize("op", REDUCTIONS)
def test_as_block_reductions_of_numpy(op, dtype, rng):
    for _ in range(8):
        window = tuple(rng.integers(1, 5, 2).tolist())
        shape = tuple((rng.integers(1, 5, 2) * window).tolist())
        x = masked(rng, shape, dtype, part=rng.choice([0.1, 0.5, 0.9]))
        expected = getattr(blocks(x, window), REDUCTIONS[op])(-1)
        if op == "avg" and np.dtype(dtype).kind != "f":
            expected = np.ma.floor(expected + 0.5)
        same(fp.pool(x, op, window), expected, rtol=1e-6)
        same(getattr(fp, f"{op}_pool")(x, window), expected, rtol=1e-6)


def test_medians_and_counts(rng):
    x = masked(rng, (8, 9))
    same(fp.median_pool(x, (2, 3)), np.ma.median(blocks(x, (2, 3)), axis=-1))
    counts = fp.count_pool(x, (2, 3))
    same(counts, np.ma.masked_array(blocks(x, (2, 3)).count(-1)))
    same(fp.count_pool(x, (2, 3), min_count=4), np.ma.masked_less(counts, 4))


def test_min_count_and_where(rng):
    x = masked(rng, (8, 9))
    where = rng.random(9) < 0.6
    both = np.ma.masked_array(x.data, x.mask | ~where)
    counts = blocks(both, (2, 3)).count(-1)
    expected = np.ma.masked_where(counts < 3, blocks(both, (2, 3)).sum(-1))
    same(fp.sum_pool(x, (2, 3), where=where, min_count=3), expected)
    y = fp.sum_pool(x, (2, 3), where=where, min_count=3, fill=-5)
    same(y, expected)
    np.testing.assert_array_equal(y.data[y.mask], -5)
    zeros = fp.sum_pool(x, (2, 3), where=where, min_count=0)
    same(zeros, np.ma.masked_array(blocks(both, (2, 3)).sum(-1).filled(0)))


def test_values_like_the_fill_are_no_masks():
    x = np.ma.masked_array([0.0, 0.0, 1.0, 1.0, 5.0, 5.0, np.nan, 2.0], [0, 1, 0, 0, 1, 1, 0, 0])
    for fill in (None, 0, 1, np.nan, 5):
        y = fp.max_pool(x, (2,), fill=fill)
        np.testing.assert_array_equal(np.ma.getmaskarray(y), [False, False, True, False])
        np.testing.assert_array_equal(y.data[[0, 1, 3]], [0, 1, np.nan])


def test_indices_and_draws(rng):
    x = masked(rng, (6, 6), part=0.7)
    y, indices = fp.max_pool(x, (2, 2), return_indices=True)
    same(y, fp.max_pool(x, (2, 2)))
    assert type(indices) is np.ndarray
    np.testing.assert_array_equal(indices == -1, np.ma.getmaskarray(y))
    chosen = indices[indices >= 0]
    np.testing.assert_array_equal(x.data.ravel()[chosen], y.compressed())
    drawn, pull = fp.vjp(fp.stochastic_pool, x, (2, 2))
    np.testing.assert_array_equal(drawn.mask, y.mask)
    assert pull(np.ones(y.shape)).sum() == y.count()
    fractional = fp.fractional_pool(x, "max", 3, window=2, axes=(0, 1))
    assert type(fractional) is np.ma.MaskedArray


def test_every_form_with_where(rng):
    x = masked(rng, (2, 3, 8, 8), part=0.8)
    boxes = np.array([[0, 0, 0, 5, 5], [1, 2, 2, 7, 7]], np.float64)
    forms = (
        lambda x, **more: fp.adaptive_pool(x, "avg", 3, **more),
        lambda x, **more: fp.global_pool(x, "min", **more),
        lambda x, **more: fp.pyramid_pool(x, "max", (1, 4), **more),
        lambda x, **more: fp.mosaic(x, 2, "sum", **more),
        lambda x, **more: fp.area_pool(x, 3, **more),
        lambda x, **more: fp.blur_pool(x, 3, **more),
        lambda x, **more: fp.fractional_pool(x, "avg", 3, window=2, rng=1, **more),
        lambda x, **more: fp.segment_pool(x, np.arange(8) % 3, "max", 4, axis=2, **more),
    )
    for form in forms:
        y, pull = fp.vjp(form, x)
        plain, plain_pull = fp.vjp(lambda data, form=form: form(data, where=~x.mask), x.data)
        np.testing.assert_array_equal(np.ma.getmaskarray(y), np.isnan(plain))
        np.testing.assert_array_equal(y.filled(np.nan), plain)
        gy = rng.standard_normal(y.shape)
        gx = pull(gy)
        assert type(gx) is np.ndarray
        np.testing.assert_array_equal(gx, plain_pull(gy))
        assert not gx[x.mask].any()
    filled = fp.roi_pool(x, "max", boxes, 3)
    assert type(filled) is np.ma.MaskedArray


def test_gradients(rng):
    x = masked(rng, (4, 6), part=0.5)
    y, pull = fp.vjp(fp.avg_pool, x, (2, 2))
    gy = np.ma.masked_array(rng.standard_normal(y.shape), rng.random(y.shape) < 0.3)
    gx = pull(gy)
    assert type(gx) is np.ndarray
    np.testing.assert_array_equal(gx, pull(gy.filled(0)))
    np.testing.assert_array_equal(gx, fp.pool_backward(gy, x, "avg", (2, 2)))
    np.testing.assert_array_equal(gx, fp.pool_backward(gy.filled(0), x, "avg", (2, 2)))
    np.testing.assert_array_equal(gx, fp.pool_backward(gy.filled(0), x.data, "avg", (2, 2), where=~x.mask))
    assert not gx[x.mask].any()
    plain_pull = fp.vjp(fp.max_pool, x.filled(0), (2, 2))[1]
    np.testing.assert_array_equal(plain_pull(gy), plain_pull(gy.filled(0)))
    weights = rng.random((4, 1))
    slopes = fp.vjp(fp.avg_pool, x, (2, 2), weights=weights)[1](gy, params=True)[1]
    assert slopes["weights"].shape == weights.shape


def test_without_a_mask(rng):
    plain = rng.standard_normal((1, 1, 4, 4))
    x = np.ma.masked_array(plain)
    assert x.mask is np.ma.nomask
    y = fp.avg_pool(x, 2, padding=1)  # divides by padding, as of plain arrays
    assert y.mask is np.ma.nomask
    np.testing.assert_array_equal(y.data, fp.avg_pool(plain, 2, padding=1))
    plain[0, 0, :2, :2] = np.nan
    y = fp.avg_pool(np.ma.masked_array(plain), 2, skipna=True)
    np.testing.assert_array_equal(y.mask, [[[[True, False], [False, False]]]])


def test_the_fill_value_is_kept():
    x = np.ma.masked_array([1, 2, 3, 4], [1, 1, 0, 0], fill_value=-9)
    assert fp.max_pool(x, (2,)).filled().tolist() == [-9, 4]
    assert fp.avg_pool(x, (2,), dtype=np.float64).fill_value == np.ma.masked_array([1.0]).fill_value


def test_what_is_refused():
    x = np.ma.masked_array(np.arange(16.0).reshape(1, 1, 4, 4), np.eye(4, dtype=bool)[None, None])
    refused = "must be an array without a mask, which would be lost"
    with pytest.raises(TypeError, match=f"out {refused}"):
        fp.max_pool(x, 2, out=x[..., :2, :2].copy())
    with pytest.raises(TypeError, match="out must be an array like the result, got MaskedArray"):
        fp.max_pool(x.data, 2, out=x[..., :2, :2].copy())
    with pytest.raises(TypeError, match="out must be None for a masked array"):
        fp.max_pool(x, 2, out=np.empty((1, 1, 2, 2)))
    with pytest.raises(TypeError, match=r"where must be an array .*without a mask"):
        fp.max_pool(x.data, 2, where=np.ma.masked_array([True]))
    with pytest.raises(TypeError, match=f"weights {refused}"):
        fp.avg_pool(x, 2, weights=x)
    with pytest.raises(TypeError, match="where must be of bool"):
        fp.max_pool(x, 2, where=np.ones(4))
    with pytest.raises(ValueError, match="where must broadcast"):
        fp.max_pool(x, 2, where=np.ones(3, bool))
    with pytest.raises(TypeError, match=f"y {refused}"):
        fp.unpool(x, np.zeros((1, 1, 4, 4), np.int64), (8, 8))
    with pytest.raises(TypeError, match="missing"):
        fp.pool(x)
