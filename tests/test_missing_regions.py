"""`roi_align` with missing data and weights, against samples and their four neighbours one by one."""

import math
from itertools import chain, product

import ml_dtypes
import numpy as np
import pytest
import reference
from numba import config, cuda

import fastpool as fp

BOXES = np.array(
    [[0, 0.5, 1, 5, 6.5], [1, -2, 2, 3, 9], [1, 3, 3, 3.4, 3.2], [0, 20, 20, 24, 23], [0, 5, 4, 5, 4]]
)
FLOATS = (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)


def neighbours(place, n):
    """Of a sample along one axis the elements and their weights; none outside."""
    if not -1 <= place <= n:
        return []
    place = min(max(place, 0.0), n - 1)
    low = int(place)
    return [(at, w) for at, w in ((low, 1 - (place - low)), (low + 1, place - low)) if w > 0]


def samples_of(start, size, outputs, bin_, samples, n):
    """Each sample of a bin along one axis."""
    length = size / outputs
    grid = samples or max(math.ceil(length), 0)
    return [neighbours(start + bin_ * length + (i + 0.5) * length / grid, n) for i in range(grid)]


def bins(x, boxes, sizes, samples, scale=1.0):
    """Of each bin its place in the result, its image and its samples: lists of (element, weight)."""
    rank = len(sizes)
    for k, box in enumerate(boxes):
        corners = [float(v) * scale for v in box[1:]]
        low, high = corners[:rank][::-1], corners[rank:][::-1]
        for bin_ in product(*map(range, sizes)):
            each = zip(low, high, sizes, bin_, x.shape[2:], strict=True)
            along = [samples_of(lo - 0.5, hi - lo, count, p, samples, n) for lo, hi, count, p, n in each]
            found = [[joined(taps) for taps in product(*sample)] for sample in product(*along)]
            yield (k, *bin_), int(box[0]), found


def joined(taps):
    """The element of a neighbour along each axis, and its weight."""
    element, weights = zip(*taps, strict=True)
    return element, math.prod(weights)


def oracle(x, boxes, sizes, op, mask, weights, least, fill, samples):
    """The result; and of each window the elements with their shares of its gradient."""
    y, shares = np.full((len(boxes), x.shape[1], *sizes), np.nan), {}
    for (k, *bin_), image, found in bins(x, boxes, sizes, samples):
        for c in range(x.shape[1]):
            here = k, c, *bin_
            shares[here] = []
            if not any(found):
                y[here] = 0
                continue
            own = [[(e, v * weights[image, c, *e]) for e, v in one if mask[image, c, *e]] for one in found]
            taking = {e for one in own for e, _ in one}
            groups = [list(chain.from_iterable(own))] if op == "avg" else [one for one in own if one]
            totals = [sum(v for _, v in group) for group in groups]
            if len(taking) < least or not groups or not any(totals):
                y[here] = fill
                continue
            means = [
                sum(v * float(x[image, c, *e]) for e, v in g) / t for g, t in zip(groups, totals, strict=True)
            ]
            best = next((i for i, m in enumerate(means) if m != m), int(np.argmax(means)))
            y[here] = means[best]
            shares[here] = [((image, c, *e), v / totals[best]) for e, v in groups[best]]
    return y, shares


def sent(gy, shares, shape):
    gx = np.zeros(shape)
    for here, parts in shares.items():
        for at, share in parts:
            gx[at] += gy[here] * share
    return gx


def holes(rng, dtype, nan=True):
    x = rng.standard_normal((2, 3, 7, 8)).astype(dtype)
    if nan:
        x[rng.random(x.shape) < 0.2] = np.nan
    where = rng.random((2, 1, 7, 8)) < 0.7
    where[0, :, :3] = False
    return x, where


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("samples", [0, 1, 2])
@pytest.mark.parametrize("op", ["avg", "max"])
def test_values_and_gradients(op, samples, seed):
    rng = np.random.default_rng([seed, samples])
    x, where = holes(rng, np.float64)
    options = [{"skipna": True}, {"where": where, "skipna": True}, {"nodata": x[0, 0, 4, 4], "where": where}][
        seed % 3
    ]
    least, fill = int(rng.integers(1, 3)), 7.0
    mask = reference.taking_part(x, **options)
    given = {"samples": samples, "op": op, "min_count": least, "fill": fill} | options
    want, shares = oracle(x, BOXES, (2, 3), op, mask, np.ones(x.shape), least, fill, samples)
    y, pull = fp.vjp(fp.roi_align, x, BOXES, (2, 3), **given)
    np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-12)
    assert np.array_equal(y, fp.roi_align(x, BOXES, (2, 3), **given), equal_nan=True)
    gy = rng.standard_normal(y.shape)
    gx = pull(gy)
    np.testing.assert_allclose(gx, sent(gy, shares, x.shape), rtol=1e-11, atol=1e-12)
    assert np.array_equal(fp.roi_align_backward(gy, x, BOXES, (2, 3), **given), gx)
    assert not gx[~mask].any()


@pytest.mark.parametrize("shape", [(2, 3, 7, 8), (7, 1), (8,), ()])
def test_weights(shape):
    rng = np.random.default_rng(len(shape))
    x, where = holes(rng, np.float64, nan=False)
    weights = np.asarray(rng.random(shape) + 0.1)
    full = np.broadcast_to(weights, x.shape)
    mask = reference.taking_part(x, where=where)
    want, shares = oracle(x, BOXES, (3, 2), "avg", mask, full, 1, -3.0, 2)
    given = {"samples": 2, "where": where, "fill": -3.0}
    y, pull = fp.vjp(fp.roi_align, x, BOXES, (3, 2), weights=weights, **given)
    np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-12)
    gy = rng.standard_normal(y.shape)
    gx, slopes = pull(gy, params=True)
    np.testing.assert_allclose(gx, sent(gy, shares, x.shape), rtol=1e-11, atol=1e-12)
    step = 1e-6 * rng.standard_normal(shape)
    ends = [fp.roi_align(x, BOXES, (3, 2), weights=np.asarray(weights + s * step), **given) for s in (1, -1)]
    assert np.sum(slopes["weights"] * step) == pytest.approx(np.sum(gy * (ends[0] - ends[1])) / 2, rel=1e-6)


@pytest.mark.parametrize("op", ["avg", "max"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_dtypes_round_once(dtype, op):
    x, where = holes(np.random.default_rng(5), dtype)
    y = fp.roi_align(x, BOXES, 2, op=op, where=where, skipna=True, fill=0)
    wide = fp.roi_align(x.astype(np.float64), BOXES, 2, op=op, where=where, skipna=True, fill=0)
    assert y.dtype == x.dtype
    assert np.array_equal(y, wide.astype(dtype))


@pytest.mark.parametrize("op", ["avg", "max"])
def test_nothing_missing_inside_is_the_plain_call(op):
    x = np.random.default_rng(6).standard_normal((2, 3, 7, 8))
    inside = np.array([[0, 1.0, 1, 5, 6], [1, 2, 2, 7.5, 6]])
    y, want = (fp.roi_align(x, inside, 3, op=op, samples=2, skipna=skipna) for skipna in (True, False))
    np.testing.assert_allclose(y, want, rtol=1e-13)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("samples", [0, 3])
@pytest.mark.parametrize("op", ["avg", "max"])
def test_places_are_those_of_the_plain_call(op, samples, aligned):
    """Rounding decides of samples at -1 and at the end of an axis: in the same way with missing data."""
    rng = np.random.default_rng([samples, aligned])
    x = 7.0 + rng.random((1, 1, 4, 5))
    corners = rng.integers(-4, 12, (400, 4)) / 2
    boxes = np.concatenate([np.zeros((400, 1)), corners], 1)
    call = {"op": op, "samples": samples, "aligned": aligned}
    y = fp.roi_align(x, boxes, 3, where=np.True_, **call)
    plain = fp.roi_align(x, boxes, 3, **call)
    assert ((y >= 7) | (plain == 0)).all()
    if op == "max":
        np.testing.assert_allclose(y[plain > 0], plain[plain > 0], rtol=1e-12)


@pytest.mark.parametrize("size", [1e300, 1e-300, 5e-324])
def test_weights_of_any_size(size):
    x, _ = holes(np.random.default_rng(10), np.float64, nan=False)
    weights = np.array([1.0, 0.5, 0, 1, 1, 0.25, 1, 1]) if size > 1e-310 else np.ones(8)
    y, pull = fp.vjp(fp.roi_align, x, BOXES, 2, weights=weights * size)
    want, pull_want = fp.vjp(fp.roi_align, x, BOXES, 2, weights=weights)
    np.testing.assert_allclose(y, want, rtol=1e-12)
    np.testing.assert_allclose(pull(np.ones_like(y)), pull_want(np.ones_like(y)), rtol=1e-12, atol=1e-15)


def test_boxes_that_hold_less_than_is_asked_for():
    x, far = np.ones((2, 3, 8, 9)), np.array([[0, 20, 20, 30, 30.0]])
    assert fp.roi_align(x, np.zeros((0, 5)), 2, min_count=2).shape == (0, 3, 2, 2)
    assert not fp.roi_align(x, far, 2, min_count=2).any()
    assert not fp.roi_pool(x, "max", far, 2, min_count=2).any()


def test_weights_have_no_gradient_from_what_no_bin_reads():
    x = np.ones((1, 1, 8, 9))
    x[0, 0, 7, 7:] = np.nan, np.inf
    y, pull = fp.vjp(fp.roi_align, x, np.array([[0, 0, 0, 3, 3.0]]), 1, weights=np.ones((1, 1)))
    assert pull(np.ones_like(y), params=True)[1]["weights"].item() == 0
    y, pull = fp.vjp(fp.avg_pool, x, (2, 2), stride=7, weights=np.ones((8, 1)))
    assert np.isfinite(pull(np.ones_like(y), params=True)[1]["weights"]).all()


def test_infinities_that_are_left_out():
    x, where = holes(np.random.default_rng(11), np.float64, nan=False)
    x[~np.broadcast_to(where, x.shape)] = np.inf
    y, pull = fp.vjp(fp.roi_align, x, BOXES, 2, where=where, weights=where[0, 0] * 1.0, fill=0)
    assert np.isfinite(y).all()
    assert np.isfinite(pull(np.ones_like(y))).all()


def test_a_nan_that_takes_part_wins():
    x = np.ones((1, 1, 6, 6))
    x[0, 0, 2, 2] = np.nan
    for op in ("avg", "max"):
        assert np.isnan(fp.roi_align(x, BOXES[:1], 1, op=op, where=np.True_)).all()


BAD = {
    "max_neighbour": ({"op": "max_neighbour", "skipna": True}, ValueError, "max_neighbour"),
    "weights of a maximum": ({"op": "max", "weights": np.ones(8)}, TypeError, "weights are for"),
    "min_count": ({"min_count": 1000}, ValueError, "min_count must be at most"),
    "where of floats": ({"where": np.ones((7, 8))}, TypeError, "where must be of bool"),
    "where of another shape": ({"where": np.ones((3, 3), bool)}, ValueError, "where must broadcast"),
    "fill": ({"skipna": True, "fill": "x"}, TypeError, "fill must be"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case):
    options, error, words = BAD[case]
    with pytest.raises(error, match=words):
        fp.roi_align(np.ones((2, 3, 7, 8)), BOXES, 2, **options)


def test_boxes_with_too_many_samples():
    far = np.array([[0, 0, 0, 1e6, 1e6]])
    with pytest.raises(ValueError, match="samples each for maxima where data is missing"):
        fp.roi_align(np.ones((1, 1, 4, 4)), far, 1, op="max", skipna=True)
    assert fp.roi_align(np.ones((1, 1, 4, 4)), far, 1, skipna=True).item() == pytest.approx(1)


def test_masked_arrays():
    x, where = holes(np.random.default_rng(7), np.float64, nan=False)
    where[1, :, 1:6, 1:6] = False
    y = fp.roi_align(np.ma.masked_array(x, np.broadcast_to(~where, x.shape)), BOXES, 2)
    want = fp.roi_align(x, BOXES, 2, where=where)
    assert np.isnan(want).any()
    assert np.array_equal(y.mask, np.isnan(want))
    assert np.array_equal(y.filled(np.nan), want, equal_nan=True)


@pytest.mark.peer
def test_torch():
    torch = pytest.importorskip("torch")
    x, where = holes(np.random.default_rng(8), np.float64, nan=False)
    options = {"where": torch.from_numpy(where), "fill": 0.0}
    t, boxes = torch.from_numpy(x).requires_grad_(), torch.from_numpy(BOXES)
    assert torch.autograd.gradcheck(lambda a: fp.roi_align(a, boxes, 2, **options), t)
    weights = torch.rand(7, 8, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a, w: fp.roi_align(a, boxes, 2, weights=w, **options), (t, weights)
    )


@pytest.mark.cuda
@pytest.mark.skipif(not (config.ENABLE_CUDASIM or cuda.is_available()), reason="no GPU and no simulator")
@pytest.mark.parametrize("op", ["avg", "max"])
def test_cuda(op):
    rng = np.random.default_rng(9)
    x, where = holes(rng, np.float32)
    options = {"op": op, "skipna": True, "min_count": 2, "fill": 5.0}
    weights = {"weights": rng.random((7, 8))} if op == "avg" else {}
    want, pull = fp.vjp(fp.roi_align, x, BOXES[:3], 2, where=where, **options, **weights)
    on_device = {name: cuda.to_device(value) for name, value in weights.items()}
    y, pull_own = fp.vjp(
        fp.roi_align,
        cuda.to_device(x),
        cuda.to_device(BOXES[:3]),
        2,
        where=cuda.to_device(where),
        **options,
        **on_device,
    )
    np.testing.assert_allclose(y.copy_to_host(), want, rtol=1e-6)
    gy = rng.standard_normal(want.shape).astype(np.float32)
    np.testing.assert_allclose(pull_own(cuda.to_device(gy)).copy_to_host(), pull(gy), rtol=1e-5, atol=1e-6)
