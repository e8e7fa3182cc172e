"""Regions of interest on one and three axes, and boxes listed image by image."""

import itertools

import cases
import numpy as np
import pytest
import reference
import test_missing
import test_missing_regions
import test_parity as parity
from test_missing import close
from test_roi import plain_align, random_boxes

import fastpool as fp

RANKS = (1, 3)
POOLED = {"max": {}, "min": {}, "avg": {}, "sum": {}, "lse": {"r": 2}, "median": {}}
FAR = {1: [0, 20, 30], 3: [0, 20, 20, 20, 30, 30, 30]}  # a box outside


def drawn(rng, rank, most=7):
    """An input, boxes and numbers of bins."""
    plane = [int(n) for n in rng.integers(1, most, rank)]
    shape = (*(int(n) for n in rng.integers(1, 3, 2)), *plane)
    boxes = random_boxes(rng, int(rng.integers(1, 5)), shape[0], *plane)
    return cases.distinct(rng, shape), boxes, tuple(int(n) for n in rng.integers(1, 4, rank))


@pytest.mark.parametrize("op", ["avg", "max"])
@pytest.mark.parametrize("rank", RANKS)
def test_align_follows_the_rule(rng, rank, op):
    for _ in range(60):
        x, boxes, sizes = drawn(rng, rank, 6)
        options = {
            "scale": float(rng.choice([1.0, 0.5, 0.3])),
            "samples": int(rng.integers(0, 3)),
            "aligned": bool(rng.integers(2)),
        }
        y, pull = fp.vjp(fp.roi_align, x, boxes, sizes, op=op, **options)
        expected = plain_align(x, boxes, sizes, op=op, **options)
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12, err_msg=str((boxes, sizes, options)))
        gy, along = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
        gx = pull(gy)
        np.testing.assert_array_equal(fp.roi_align_backward(gy, x, boxes, sizes, op=op, **options), gx)
        ends = [fp.roi_align(x + step * along, boxes, sizes, op=op, **options) for step in (1e-5, -1e-5)]
        slope = ((ends[0] - ends[1]) * gy).sum() / 2e-5
        assert (gx * along).sum() == pytest.approx(slope, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("op", ["avg", "max"])
@pytest.mark.parametrize("samples", [0, 1])
def test_one_axis_is_a_row(rng, op, samples):
    x = rng.standard_normal((2, 3, 11))
    boxes = random_boxes(rng, 20, 2, 11)
    rows = np.insert(np.insert(boxes, 2, 0, 1), 4, 1, 1)  # (image, x1, 0, x2, 1)
    y, pull = fp.vjp(fp.roi_align, x, boxes, 3, op=op, samples=samples)
    wide, pull_wide = fp.vjp(fp.roi_align, x[:, :, None], rows, (1, 3), op=op, samples=samples)
    np.testing.assert_array_equal(y, wide[:, :, 0])
    np.testing.assert_array_equal(pull(y), pull_wide(wide)[:, :, 0])


def test_the_largest_neighbour():
    """Of one axis a sample has two neighbours, of three eight, and what each weighs is compared."""
    y, pull = fp.vjp(
        fp.roi_align, np.array([[[4.0, 8.0, 1.0]]]), np.array([[0, 0.5, 1.0]]), 1, op="max_neighbour"
    )
    assert y == 0.75 * 4  # of a sample at 0.25
    assert pull(np.ones_like(y)).tolist() == [[[0.75, 0, 0]]]
    cube, box = np.arange(8.0).reshape(1, 1, 2, 2, 2), np.array([[0, 0.5, 0.5, 0.5, 1.5, 1.5, 1.5]])
    y, pull = fp.vjp(fp.roi_align, cube, box, 1, op="max_neighbour")
    assert y == 7 / 8
    assert pull(np.ones_like(y)).reshape(-1).tolist() == [0] * 7 + [1 / 8]


def test_volumes_of_one_layer_are_images(rng):
    x = rng.standard_normal((2, 9, 7, 8))
    boxes = random_boxes(rng, 20, 2, 7, 8)
    deep = np.insert(np.insert(boxes, 3, 0, 1), 6, 1, 1)  # (image, x1, y1, 0, x2, y2, 1)
    for op in ("avg", "max"):
        y, pull = fp.vjp(fp.roi_align, x, boxes, 3, op=op)
        volume, pull_volume = fp.vjp(fp.roi_align, x[:, :, None], deep, (1, 3, 3), op=op)
        np.testing.assert_array_equal(y, volume[:, :, 0])
        np.testing.assert_array_equal(pull(y), pull_volume(volume)[:, :, 0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_align_dtypes_threads_and_parts(rng, threads, monkeypatch, dtype):
    x = rng.standard_normal((2, 5, 6, 7, 8)).astype(dtype)
    boxes = random_boxes(rng, 30, 2, 6, 7, 8)
    wide = fp.roi_align(x.astype(np.float64), boxes, 2)
    results = []
    for n, most in ((1, 2**20), (2, 2**20), (2, 50)):
        threads(n)
        monkeypatch.setattr("fastpool.regions.PART", most)
        y, pull = fp.vjp(fp.roi_align, x, boxes, 2)
        assert y.dtype == dtype
        results.append((y, pull(y)))
    within = 2e-3 if dtype == np.float16 else 1e-6
    np.testing.assert_allclose(results[0][0].astype(np.float64), wide, rtol=within, atol=within)
    for y, gx in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(gx, results[0][1])


@pytest.mark.parametrize("op", POOLED)
@pytest.mark.parametrize("rank", RANKS)
def test_pool_follows_the_rule(rng, rank, op):
    for _ in range(30):
        x, boxes, sizes = drawn(rng, rank)
        boxes = np.concatenate([boxes, [FAR[rank]]])
        scale = float(rng.choice([1.0, 0.5]))
        parts, shape = reference.roi(x.shape, boxes, sizes, scale)
        expected, indices = reference.pool_parts(x, op, parts, shape, **POOLED[op])
        given = {"scale": scale, **POOLED[op]}
        y, pull = fp.vjp(fp.roi_pool, x, op, boxes, sizes, **given)
        close(y, expected)
        gy = rng.standard_normal(shape)
        gx = reference.pull_parts(gy, x, op, parts, **POOLED[op])
        close(pull(gy), gx)
        if op in ("max", "min"):
            found = fp.roi_pool(x, op, boxes, sizes, **given, return_indices=True)[1]
            np.testing.assert_array_equal(found, indices)
            close(fp.roi_pool_backward(gy, x, op, boxes, sizes, **given, indices=found), gx)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("op", ["max", "avg", "sum", "median"])
def test_pool_with_missing_data(rng, rank, op):
    for way in test_missing.WAYS:
        shape = (2, 2, *(int(n) for n in rng.integers(3, 6, rank)))
        x, absent, mask = test_missing.holed(rng, shape, op, way)
        absent["min_count"], boxes = 1, random_boxes(rng, 4, 2, *shape[2:])
        parts, result = reference.roi(shape, boxes, (2,) * rank)
        y = np.zeros(result, object)
        for source, tables, target in parts:
            axes = tuple(range(1, rank + 1))
            own = test_missing.oracle(x[source], op, absent, mask[source], axes, tables)[0]
            y[target] = own.reshape(y[target].shape)
        close(fp.roi_pool(x, op, boxes, 2, **absent), y, str((boxes, absent)))


@pytest.mark.parametrize("op", ["avg", "max"])
@pytest.mark.parametrize("samples", [0, 2])
@pytest.mark.parametrize("rank", RANKS)
def test_align_with_missing_data(rng, rank, samples, op):
    shape = (2, 2, *(5, 4, 6)[:rank])
    x, boxes = rng.standard_normal(shape), random_boxes(rng, 3, 2, *shape[2:])
    x[rng.random(shape) < 0.3] = np.nan
    weights = {"weights": rng.random(shape[2:]) + 0.1} if op == "avg" else {}
    full = np.broadcast_to(weights.get("weights", 1.0), shape)
    mask, sizes, given = ~np.isnan(x), (2,) * rank, {"op": op, "samples": samples, "skipna": True, "fill": 7}
    want, shares = test_missing_regions.oracle(x, boxes, sizes, op, mask, full, 1, 7.0, samples)
    y, pull = fp.vjp(fp.roi_align, x, boxes, 2, **given, **weights)
    np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-12)
    gy = rng.standard_normal(y.shape)
    np.testing.assert_allclose(pull(gy), test_missing_regions.sent(gy, shares, shape), rtol=1e-11, atol=1e-12)


# Boxes of each image by themselves -----------------------------------------------------------------------


def listed(boxes, images):
    """An array of boxes without their image for each image; and all of them in that order."""
    own = [boxes[boxes[:, 0] == n] for n in range(images)]
    return [each[:, 1:] for each in own], np.concatenate(own)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_lists(rng, rank):
    x = rng.standard_normal((4, 2, *(6, 5, 7)[:rank]))
    boxes = random_boxes(rng, 9, 4, *x.shape[2:])
    boxes = boxes[boxes[:, 0] != 1]  # an image without a box
    each, joined = listed(boxes, 4)
    assert each[1].shape == (0, 2 * rank)
    for f, lead in ((fp.roi_pool, ("max",)), (fp.roi_align, ())):
        y, pull = fp.vjp(f, x, *lead, each, 2)
        expected, expected_pull = fp.vjp(f, x, *lead, joined, 2)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(pull(y), expected_pull(y))
        np.testing.assert_array_equal(f(x, *lead, tuple(each), 2), expected)
        back = getattr(fp, f"{f.__name__}_backward")
        np.testing.assert_array_equal(back(y, x, *lead, each, 2), expected_pull(y))
    assert fp.roi_align(x[:0], [], 2).shape == (0, 2, *(2,) * rank)
    assert fp.roi_align(x, [np.zeros((0, 2 * rank), int)] * 4, 2).shape == (0, 2, *(2,) * rank)


def test_lists_share_no_memory_with_the_result():
    boxes = [np.zeros((1, 4))]
    with pytest.raises(ValueError, match="out must share no memory with boxes"):
        fp.roi_pool(np.ones((1, 1, 4, 4)), "max", boxes, 1, out=boxes[0][:, :1, None, None])


@pytest.mark.peer
def test_lists_of_tensors(rng):
    torch = pytest.importorskip("torch")
    x, boxes = rng.standard_normal((2, 3, 6, 7)), random_boxes(rng, 7, 2, 6, 7)
    each, joined = listed(boxes, 2)
    t, tensors = torch.from_numpy(x).requires_grad_(), [torch.from_numpy(one) for one in each]
    for f in (
        lambda a, b: fp.roi_align(a, b, 2),
        lambda a, b: fp.roi_pool(a, "max", b, 2),
        torch.compile(lambda a, b: fp.roi_align(a, b, 2), fullgraph=True, backend="aot_eager"),
    ):
        y, expected = f(t, tensors), f(t, torch.from_numpy(joined))
        torch.testing.assert_close(y, expected)
        gy = torch.randn_like(y)
        (gx,), (wanted,) = (torch.autograd.grad(one, t, gy) for one in (y, expected))
        torch.testing.assert_close(gx, wanted)
    assert isinstance(fp.roi_align(t.detach(), tensors, 2), torch.Tensor)
    with pytest.raises(
        TypeError, match=r"got x of torch\.Tensor on the CPU and boxes\[1\] of numpy\.ndarray"
    ):
        fp.roi_align(t.detach(), [tensors[0], each[1]], 2)


@pytest.mark.peer
def test_lists_in_jax(rng):
    jax = pytest.importorskip("jax")
    x, boxes = rng.standard_normal((2, 3, 6, 7)).astype(np.float32), random_boxes(rng, 7, 2, 6, 7)
    each, joined = listed(boxes.astype(np.float32), 2)
    expected = fp.roi_align(x, joined, 2)
    given = [jax.numpy.asarray(one) for one in each]
    np.testing.assert_allclose(fp.roi_align(jax.numpy.asarray(x), given, 2), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(lambda a: fp.roi_align(a, given, 2))(x), expected, rtol=1e-6)


# Arrays on a GPU: what the CPU gives ---------------------------------------------------------------------


@test_missing.on_cuda
@pytest.mark.parametrize("rank", RANKS)
def test_cuda(rank):
    rng = np.random.default_rng(rank)
    for _ in range(3):
        x, boxes, sizes = drawn(rng, rank, 5)
        boxes = np.concatenate([boxes, [FAR[rank]]])
        given = {"boxes": boxes, "output_size": sizes}
        for op in ("avg", "max"):
            y, pull = fp.vjp(fp.roi_align, x, op=op, **given)
            found, pull_found = fp.vjp(
                fp.roi_align, parity.to_device(x), parity.to_device(boxes), sizes, op=op
            )
            parity.assert_same(parity.to_host(found), y, 1e-12)
            gy = rng.standard_normal(y.shape)
            parity.assert_same(parity.to_host(pull_found(parity.to_device(gy))), pull(gy), 1e-12)
        for op, more in itertools.product(("max", "avg"), ({}, {"where": rng.random(x.shape) < 0.6})):
            indexed = {"return_indices": True} if op == "max" else {}
            test_missing.assert_same_pulls(fp.roi_pool, x, {"op": op, **given, **more, **indexed})


@test_missing.on_cuda
def test_cuda_lists():
    rng = np.random.default_rng(9)
    x, boxes = rng.standard_normal((2, 2, 5, 6)), random_boxes(rng, 6, 2, 5, 6)
    each, joined = listed(boxes, 2)
    moved = [parity.to_device(one) for one in each]
    found = fp.roi_align(parity.to_device(x), moved, 2, skipna=True)
    parity.assert_same(parity.to_host(found), fp.roi_align(x, joined, 2, skipna=True), 1e-12)
    found = fp.roi_pool(parity.to_device(x), "max", moved, 2)
    parity.assert_same(parity.to_host(found), fp.roi_pool(x, "max", joined, 2))
