"""Fractional, pyramid, region-of-interest and mosaic forms: against the oracle, torch and their laws."""

import cases
import numpy as np
import pytest
import reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fastpool as fp

OPS = {
    "max": {},
    "min": {},
    "avg": {},
    "sum": {},
    "lp": {"p": 3.0},
    "gem": {"p": 2.0},
    "lse": {"r": 0.5},
    "soft": {"beta": 0.5},
    "mixed": {"alpha": 0.3},
    "stochastic": {"training": False},
    "median": {},
    "quantile": {"q": 0.3},
    "mode": {},
    "var": {},
    "std": {},
    "nearest": {"corner": "middle"},
}


def inputs(rng, shape, op):
    """Data with ties, and NaNs for the operators that choose; integers for mode."""
    x = rng.integers(-6, 7, shape) * 0.5
    if op == "mode":
        return rng.integers(0, 3, shape)
    return np.where(rng.random(shape) < 0.05, np.nan, x) if op in ("max", "min", "median", "nearest") else x


def agrees(found, expected, label=""):
    """Values of any kind, and indices where the form gave them."""
    if isinstance(found, tuple):
        np.testing.assert_array_equal(found[1], expected[1], err_msg=label)
        found = found[0]
    wanted = np.asarray(expected[0]).astype(found.dtype)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12, err_msg=label)


def indices_of(op):
    return {"return_indices": True} if op in ("max", "min", "nearest") else {}


def moved_back(pair, axes):
    """Results whose pooled axes are last, with those axes where they were."""
    last = range(-len(axes), 0)
    return tuple(np.moveaxis(a, last, axes) for a in pair)


# Fractional as torch defines it --------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("axes", [(2, 3), (1, 2), (0, 2)])
def test_fractional(rng, op, axes):
    x = inputs(rng, (3, 7, 9, 8), op)
    planes = np.moveaxis(x, axes, (-2, -1))
    samples = rng.random((*planes.shape[:2], 2))
    call = {"output_size": (2, 4), "window": (2, 3), "axes": axes, "samples": samples}
    parts, shape = reference.torch_fractional(planes.shape, (2, 4), (2, 3), samples)
    if axes == (0, 2):
        with pytest.raises(ValueError, match="axis 0"):  # 3 windows of 2 need 4 elements, and it has 3
            fp.fractional_pool(x, op, **{**call, "output_size": (3, 4)}, **OPS[op])
    expected = reference.pool_parts(planes, op, parts, shape, **cases.for_oracle(OPS[op]))
    y = fp.fractional_pool(x, op, **call, **OPS[op], **indices_of(op))
    agrees(y, moved_back(expected, axes))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_order_of_samples(rng, count):
    shape = (2, 7, 8, 9, 6)[: count + 1]
    x = rng.random(shape)
    sizes, window = (4, 3, 5, 4)[:count], (2, 3, 1, 2)[:count]
    samples = rng.random((2, count))
    parts, result = reference.torch_fractional(shape, sizes, window, samples)
    expected = reference.pool_parts(x, "max", parts, result)
    axes = tuple(range(1, count + 1))
    y = fp.fractional_pool(x, "max", sizes, window=window, samples=samples, axes=axes, return_indices=True)
    agrees(y, expected)


@pytest.mark.peer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [2, 3])
def test_fractional_is_torchs(rng, count, dtype):
    torch = pytest.importorskip("torch")
    peer = getattr(torch.nn.functional, f"fractional_max_pool{count}d")
    for _ in range(60):
        sizes = rng.integers(1, 9 if count == 2 else 5, count)
        window = rng.integers(1, 4, count)
        least = count - 2  # torch refuses windows that just fit in 3-D
        pooled = sizes + window - 1 + rng.integers(least, 12 if count == 2 else 5, count)
        x = rng.integers(-9, 9, (2, 3, *pooled)).astype(dtype)
        samples = rng.random((2, 3, count)).astype(dtype)
        size, k = tuple(sizes.tolist()), tuple(window.tolist())
        expected = peer(
            torch.from_numpy(x), k, size, return_indices=True, _random_samples=torch.from_numpy(samples)
        )
        y, i = fp.fractional_pool(x, "max", size, window=k, samples=samples, return_indices=True)
        np.testing.assert_array_equal(y, expected[0].numpy())
        np.testing.assert_array_equal(i, expected[1].numpy())


@pytest.mark.peer
def test_ratio_is_torchs(rng):
    torch = pytest.importorskip("torch")
    x = rng.random((1, 2, 23, 17))
    samples = rng.random((1, 2, 2))
    for ratio in ((0.3, 0.3), (0.5, 0.71), (0.9, 0.25)):
        expected = torch.nn.functional.fractional_max_pool2d(
            torch.from_numpy(x), 2, output_ratio=ratio, _random_samples=torch.from_numpy(samples)
        )
        y = fp.fractional_pool(x, "max", ratio=ratio, window=2, samples=samples)
        np.testing.assert_array_equal(y, expected.numpy())


def test_each_plane_has_windows_of_its_own(rng):
    x = np.broadcast_to(np.arange(50.0), (40, 50))
    y = fp.fractional_pool(x, "min", 20, window=2, axes=1, rng=5)
    assert len(np.unique(y, axis=0)) > 1
    assert (y[:, 0] == 0).all()  # int((0 + u) alpha) - int(u alpha)
    assert (y[:, -1] == 48).all()
    assert (np.diff(y, axis=1) >= 2).all()  # alpha is 48 / 19
    assert (np.diff(y, axis=1) <= 3).all()
    np.testing.assert_array_equal(fp.fractional_pool(x, "min", 20, window=2, axes=1, rng=5), y)
    assert (fp.fractional_pool(x, "min", 20, window=2, axes=1, rng=6) != y).any()


@pytest.mark.parametrize("u", [0.0, np.nextafter(1.0, 0.0)])
def test_samples_at_their_limits(u):
    for n, o, k in [(7, 3, 2), (9, 9, 1), (5, 1, 5), (5, 1, 2), (10, 4, 3)]:
        x = np.arange(float(n))
        starts = reference.torch_starts(n, o, k, u, np.float64)
        y = fp.fractional_pool(x, "min", o, window=k, samples=np.array([u]), axes=0)
        assert y.tolist() == starts


# Fractional as TensorFlow defines it ---------------------------------------------------------------------


def boundaries(n, scheme, overlapping, **call):
    """First and last element of each window, which the smallest and largest of an arange show."""
    x = np.arange(float(n))
    first, last = (
        fp.fractional_pool(x, op, scheme=scheme, overlapping=overlapping, axes=0, **call)
        for op in ("min", "max")
    )
    return first.astype(int).tolist(), last.astype(int).tolist()


@settings(max_examples=200)
@given(
    st.integers(1, 60),
    st.floats(1, 8, width=32),
    st.integers(0, 10**6),
    st.sampled_from(["random", "pseudo"]),
    st.booleans(),
)
def test_rules_of_sequences(n, ratio, seed, scheme, overlapping):
    o = int(np.float32(n) / np.float32(ratio))  # as TensorFlow computes it
    if o == 0:
        with pytest.raises(ValueError, match="ratio"):
            boundaries(n, scheme, overlapping, ratio=ratio, rng=seed)
        return
    first, last = boundaries(n, scheme, overlapping, ratio=ratio, rng=seed)
    sequence = [*first, n]
    lengths = np.diff(sequence)
    k = n // o
    assert len(first) == o
    assert first[0] == 0
    assert set(lengths) <= {k, k + 1}
    if scheme == "random":
        assert (lengths == k + 1).sum() == n % o
    assert last == [min(stop - 1 + overlapping, n - 1) for stop in sequence[1:]]
    assert (first, last) == boundaries(n, scheme, overlapping, ratio=ratio, rng=seed)


@settings(max_examples=200)
@given(st.integers(1, 60), st.data(), st.floats(0.001, 0.999), st.booleans())
def test_pseudo_sequence_of_a_sample(n, data, u, overlapping):
    o = data.draw(st.integers(1, n))
    sequence = reference.pseudo_sequence(n, o, u)
    found = boundaries(n, "pseudo", overlapping, output_size=o, samples=np.array([u]))
    assert found[0] == sequence[:-1]
    assert found[1] == [elements[-1] for elements, _ in reference.between(sequence, overlapping)]


def test_pseudo_sequence_of_zero_has_no_empty_window():
    for n, o in [(4, 4), (6, 3), (7, 3), (5, 1)]:
        first, _ = boundaries(n, "pseudo", False, output_size=o, samples=np.zeros(1))
        assert first[0] == 0
        assert (np.diff([*first, n]) >= 1).all()


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("overlapping", [False, True])
def test_pseudo(rng, op, overlapping):
    x = inputs(rng, (2, 3, 9, 11), op)
    samples = np.array([0.3, 0.8])
    tables = [
        reference.between(reference.pseudo_sequence(n, o, u), overlapping)
        for n, o, u in zip((9, 11), (4, 5), samples, strict=True)
    ]
    expected = reference.pool(x, op, tables, (2, 3), **cases.for_oracle(OPS[op]))
    call = {"scheme": "pseudo", "samples": samples, "overlapping": overlapping}
    y = fp.fractional_pool(x, op, (4, 5), **call, **OPS[op], **indices_of(op))
    agrees(y, expected)
    y = fp.fractional_pool(x, op, ratio=(2.2, 2.1), **call, **OPS[op], **indices_of(op))
    agrees(y, expected)


@pytest.mark.parametrize("scheme", ["random", "pseudo"])
def test_one_sequence_an_axis_for_the_batch(scheme):
    x = np.broadcast_to(np.arange(41.0)[:, None], (3, 4, 41, 41))
    y = fp.fractional_pool(x, "min", ratio=1.5, scheme=scheme, rng=3)
    assert (y == y[:1, :1, :, :1]).all()
    across = fp.fractional_pool(x.swapaxes(2, 3), "min", ratio=1.5, scheme=scheme, rng=3)
    assert (across[0, 0, 0] != y[0, 0, :, 0]).any()  # the axes have sequences of their own
    assert (fp.fractional_pool(x, "min", ratio=1.5, scheme=scheme, rng=4) != y).any()


def test_random_sequences_are_shuffled_evenly():
    """The one long window of 13 = 2 + 2 + ... + 3 is equally often at each of 6 places."""
    counts = np.zeros(6)
    for seed in range(600):
        first, _ = boundaries(13, "random", False, output_size=6, rng=seed)
        counts[np.flatnonzero(np.diff([*first, 13]) == 3)] += 1
    assert counts.sum() == 600
    assert np.sum((counts - 100) ** 2 / 100) < 20.515  # 5 degrees of freedom, p = 0.001


@pytest.mark.parametrize("scheme", ["torch", "random", "pseudo"])
def test_generators_and_fresh_sequences(scheme):
    x = np.arange(200.0)
    call = {"scheme": scheme, "axes": 0, **({"window": 2} if scheme == "torch" else {})}
    ratio = 0.6 if scheme == "torch" else 1.7

    def pooled(rng):
        return fp.fractional_pool(x, "min", ratio=ratio, rng=rng, **call).tolist()

    assert pooled(np.random.default_rng(1)) == pooled(np.random.default_rng(1))
    generator = np.random.default_rng(1)
    assert pooled(generator) != pooled(generator)
    assert any(pooled(None) != pooled(None) for _ in range(5))


def test_fractional_stochastic_draws_from_the_same_rng(rng):
    x = rng.random((2, 3, 12, 12))
    call = {"output_size": (5, 5), "window": 2, "rng": 8, "return_indices": True}
    y, i = fp.fractional_pool(x, "stochastic", **call)
    np.testing.assert_array_equal(
        np.take_along_axis(x.reshape(2, 3, -1), i.reshape(2, 3, -1), -1).reshape(y.shape), y
    )
    again = fp.fractional_pool(x, "stochastic", **call)
    np.testing.assert_array_equal(again[1], i)
    top = fp.fractional_pool(x, "max", **call)[0]  # the same windows
    bottom = fp.fractional_pool(x, "min", **call)[0]
    assert ((bottom <= y) & (y <= top)).all()


def test_fractional_out_and_dtypes(rng):
    x = rng.random((2, 3, 9, 9)).astype(np.float32)
    call = {"output_size": 4, "window": 2, "rng": 1}
    y = fp.fractional_pool(x, "max", **call)
    assert y.dtype == np.float32
    out = np.empty((2, 3, 4, 4), np.float32)
    assert fp.fractional_pool(x, "max", **call, out=out) is out
    np.testing.assert_array_equal(out, y)
    i = fp.fractional_pool(x, "max", **call, return_indices=True)[1]
    assert i.dtype == np.int32
    restored = fp.unpool(y, i, x.shape)
    np.testing.assert_array_equal(restored[restored != 0], x[restored != 0])
    labels = rng.integers(0, 255, (2, 3, 9, 9)).astype(np.uint8)
    assert fp.fractional_pool(labels, "avg", 4, window=2, rng=1).dtype == np.uint8


# Pyramids ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPS)
def test_pyramid(rng, op):
    x = inputs(rng, (2, 3, 7, 5), op)
    for levels, axes in [((1, 2, 4), None), ((3,), None), ([1, 2], (1, 2)), ((2, 1), (0, 3)), ((1, 9), (3,))]:
        pooled = axes or (2, 3)
        planes = np.moveaxis(x, pooled, range(-len(pooled), 0))
        parts, shape = reference.pyramid(planes.shape, levels, len(pooled))
        expected = reference.pool_parts(planes, op, parts, shape, **cases.for_oracle(OPS[op]))
        y = fp.pyramid_pool(x, op, levels, axes=axes, **OPS[op], **indices_of(op))
        agrees(y, expected, f"{levels} {axes}")


def test_pyramid_shapes():
    x = np.arange(24.0).reshape(4, 6)
    assert fp.pyramid_pool(np.ones((2, 3, 8, 8)), "max").shape == (2, 3 * 21)
    assert fp.pyramid_pool(np.ones((0, 3, 8, 8)), "max").shape == (0, 3 * 21)
    assert fp.pyramid_pool(np.ones((2, 0, 8, 8)), "max").shape == (2, 0)
    assert fp.pyramid_pool(np.ones((2, 3, 4, 8)), "avg", (1, 2), axes=(3,)).shape == (2, 3 * 4 * 3)
    assert fp.pyramid_pool(x, "max", (1, 2), axes=(0, 1)).tolist() == [23, 8, 11, 20, 23]
    assert fp.pyramid_pool(x, "max", (1, 2), axes=(1,)).tolist() == [
        [5, 2, 5],
        [11, 8, 11],
        [17, 14, 17],
        [23, 20, 23],
    ]
    y, pull = fp.vjp(fp.pyramid_pool, x, "sum", (1, 2), axes=(0, 1))
    np.testing.assert_array_equal(pull(np.ones_like(y)), np.full((4, 6), 2.0))


def test_pyramid_of_one_level_is_adaptive(rng):
    x = rng.random((2, 3, 9, 7))
    np.testing.assert_array_equal(
        fp.pyramid_pool(x, "gem", (4,)), fp.adaptive_pool(x, "gem", 4).reshape(2, -1)
    )
    np.testing.assert_array_equal(fp.pyramid_pool(x, "max", (1,)), fp.global_max_pool(x))


# Mosaics -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPS)
def test_mosaic(rng, op):
    x = inputs(rng, (2, 7, 5, 3), op)
    for cell, axes in [((2, 3), None), ((4, 4), (1, 2)), ((9,), (1,)), ((1, 5), (0, 2))]:
        pooled = axes or (2, 3)
        planes = np.moveaxis(x, pooled, range(-len(pooled), 0))
        tables = reference.cells(planes.shape, cell)
        last = tuple(range(x.ndim - len(cell), x.ndim))
        small, _ = reference.pool(planes, op, tables, last, **cases.for_oracle(OPS[op]))
        expected = np.moveaxis(reference.spread(small, planes.shape, cell), last, pooled)
        y = fp.mosaic(x, cell, op, axes=axes, **OPS[op])
        agrees(y, (expected,), f"{cell} {axes}")


def test_mosaic_by_hand():
    x = np.array([[1.0, 3, 5], [5, 7, 9]])
    assert fp.mosaic(x, (2, 2)).tolist() == [[4, 4, 7], [4, 4, 7]]
    assert fp.mosaic(x, (2, 2), "max").tolist() == [[7, 7, 9], [7, 7, 9]]
    assert fp.mosaic(x.astype(np.uint8), (2, 2)).dtype == np.uint8
    assert fp.mosaic(x.astype(np.uint8), 2, axes=1).tolist() == [[2, 2, 5], [6, 6, 9]]
    assert fp.mosaic(np.ones((0, 4, 4, 3)), (2, 2), axes=(1, 2)).shape == (0, 4, 4, 3)
    y, pull = fp.vjp(fp.mosaic, x, (2, 2))
    assert pull(np.array([[1.0, 2, 3], [4, 5, 6]])).tolist() == [[3, 3, 4.5], [3, 3, 4.5]]
    y, pull = fp.vjp(fp.mosaic, x, (2, 2), "max")
    assert pull(np.ones_like(y)).tolist() == [[0, 0, 0], [0, 4, 2]]
    assert fp.mosaic(np.ones((1, 1, 5, 5)), 2, "sum")[0, 0, 0, 0] == 4
    assert y.flags.c_contiguous
    again = fp.mosaic(fp.mosaic(x, (2, 2)), (2, 2))
    np.testing.assert_array_equal(again, fp.mosaic(x, (2, 2)))


# Regions of interest -------------------------------------------------------------------------------------


def random_boxes(rng, count, batch):
    """Within, across the edges, inverted, outside, of halves and whole numbers."""
    boxes = np.zeros((count, 5))
    boxes[:, 0] = rng.integers(0, batch, count)
    corners = rng.uniform(-6, 14, (count, 4))
    kinds = rng.integers(0, 5, count)
    corners[kinds == 1] = np.round(corners[kinds == 1] * 2) / 2
    corners[kinds == 2] += 40
    corners[kinds == 3] = np.round(corners[kinds == 3])
    straight = kinds != 4
    corners[straight, 2:] = corners[straight, :2] + np.abs(corners[straight, 2:])
    boxes[:, 1:] = corners
    return boxes


def test_500_random_box_sets(rng):
    ops = list(OPS)
    for number in range(500):
        op = ops[number % len(ops)]
        x = inputs(rng, (*rng.integers(1, 4, 2), *rng.integers(1, 10, 2)), op)
        x = np.nan_to_num(x, nan=9.0) if number % 2 else x
        boxes = random_boxes(rng, rng.integers(0, 6), len(x))
        sizes, scale = tuple(rng.integers(1, 5, 2).tolist()), (1.0, 0.5, 0.25)[number % 3]
        options = cases.for_oracle(OPS[op])
        parts, shape = reference.roi(x.shape, boxes, sizes, scale)
        expected = reference.pool_parts(x, op, parts, shape, **options)
        y = fp.roi_pool(x, op, boxes, sizes, scale=scale, **OPS[op], **indices_of(op))
        agrees(y, expected, f"{op} {x.shape} {boxes.tolist()} {sizes} {scale}")
        if op == "mode" or np.isnan(x).any():
            continue
        gy = rng.standard_normal(shape)
        gx = fp.roi_pool_backward(gy, x, op, boxes, sizes, scale=scale, **OPS[op])
        wanted = reference.pull_parts(gy, x, op, parts, **options)
        np.testing.assert_allclose(gx, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.peer
def test_roi_pool_is_torchvisions(rng):
    torch = pytest.importorskip("torch")
    vision = pytest.importorskip("torchvision.ops")
    for _ in range(100):
        x = rng.standard_normal((2, 3, *rng.integers(1, 10, 2)))
        boxes = random_boxes(rng, 4, 2)
        size, scale = tuple(rng.integers(1, 5, 2).tolist()), rng.choice([1.0, 0.5, 0.25])
        expected = vision.roi_pool(torch.from_numpy(x), torch.from_numpy(boxes), size, float(scale))
        y = fp.roi_pool(x, "max", boxes, size, scale=float(scale))
        np.testing.assert_array_equal(y, expected.numpy())


def test_roi_pool_by_hand():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    boxes = np.array([[0, 0, 0, 3, 3], [0, 10, 10, 12, 12], [0, 1, 1, 0, 0], [0, 3, 3, 6, 6]])
    y, i = fp.roi_pool(x, "max", boxes, 2, return_indices=True)
    assert y.shape == (4, 1, 2, 2)
    assert y[:, 0].tolist() == [[[5, 7], [13, 15]], [[0, 0], [0, 0]], [[5, 5], [5, 5]], [[15, 0], [0, 0]]]
    assert i[1].max() == -1
    assert i[3, 0].tolist() == [[15, -1], [-1, -1]]
    assert i.dtype == np.int32
    far = np.array([[0, -1e30, -1e30, 1e30, 1e30], [0, 1e30, 1e30, 2e30, 2e30], [0, 5.0, 1e30, -1e30, -3.0]])
    y, i = fp.roi_pool(x, "max", far, 1, return_indices=True)
    assert y.reshape(-1).tolist() == [15, 0, 0]
    assert i.reshape(-1).tolist() == [15, -1, -1]


def test_roi_pool_without_boxes_or_channels(rng):
    none = np.zeros((0, 5))
    assert fp.roi_pool(np.ones((2, 3, 4, 4)), "avg", none, (2, 3)).shape == (0, 3, 2, 3)
    assert fp.roi_pool(np.ones((2, 0, 4, 4)), "max", np.zeros((4, 5)), 2).shape == (4, 0, 2, 2)
    assert fp.roi_pool(np.ones((0, 3, 4, 4)), "max", none, 2).shape == (0, 3, 2, 2)
    x = np.ones((2, 3, 4, 4))
    y, pull = fp.vjp(fp.roi_pool, x, "max", none, 2)
    np.testing.assert_array_equal(pull(y), np.zeros_like(x))


def test_roi_pool_takes_other_dtypes(rng):
    x = rng.integers(0, 200, (2, 3, 8, 8)).astype(np.uint8)
    boxes = random_boxes(rng, 5, 2)
    parts, shape = reference.roi(x.shape, boxes, (2, 2))
    for op in ("max", "avg", "median", "mode"):
        y = fp.roi_pool(x, op, boxes, 2)
        assert y.dtype == np.uint8
        np.testing.assert_array_equal(y, reference.pool_parts(x, op, parts, shape)[0])
    as_float32 = fp.roi_pool(x.astype(np.float32), "max", np.round(boxes).astype(np.float32), 2)
    as_integers = fp.roi_pool(x.astype(np.float32), "max", np.round(boxes).astype(np.int64), 2)
    np.testing.assert_array_equal(as_float32, as_integers)


# Laws ----------------------------------------------------------------------------------------------------


@st.composite
def calls(draw):
    """A form with everything it takes after the operator, and the shape of its input."""
    shape = (
        draw(st.integers(1, 2)),
        draw(st.integers(1, 3)),
        draw(st.integers(3, 9)),
        draw(st.integers(3, 9)),
    )
    seed = draw(st.integers(0, 10**6))
    form = draw(st.sampled_from(["torch", "random", "pseudo", "pyramid", "roi_pool", "mosaic"]))
    if form == "torch":
        size = tuple(draw(st.integers(1, n - 1)) for n in shape[2:])
        return form, shape, seed, (size,), {"window": 2, "rng": seed}
    if form in ("random", "pseudo"):
        ratio = draw(st.floats(1, 3))
        return form, shape, seed, (), {"ratio": ratio, "scheme": form, "rng": seed}
    if form == "pyramid":
        return form, shape, seed, (tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))),), {}
    if form == "roi_pool":
        boxes = random_boxes(np.random.default_rng(seed), draw(st.integers(0, 4)), shape[0])
        return form, shape, seed, (boxes, (draw(st.integers(1, 4)), draw(st.integers(1, 4)))), {}
    return form, shape, seed, ((draw(st.integers(1, 5)), draw(st.integers(1, 5))),), {}


def mosaic(x, op, cell, **options):
    return fp.mosaic(x, cell, op, **options)


FUNCTIONS = {"pyramid": fp.pyramid_pool, "roi_pool": fp.roi_pool, "mosaic": mosaic}


def function(form):
    return FUNCTIONS.get(form, fp.fractional_pool)


@given(calls())
def test_relations_between_operators(case):
    form, shape, seed, arguments, call = case
    f = function(form)
    x = cases.distinct(np.random.default_rng(seed), shape)
    found = {op: f(x, op, *arguments, **call) for op in ("max", "min", "median", "avg", "sum")}
    np.testing.assert_array_equal(found["min"], -f(-x, "max", *arguments, **call))
    assert (found["min"] <= found["median"]).all()
    assert (found["median"] <= found["max"]).all()
    counts = f(np.ones(shape), "sum", *arguments, **call)
    assert (counts == np.round(counts)).all()
    np.testing.assert_allclose(found["avg"] * counts, found["sum"], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(f(np.ones(shape), "avg", *arguments, **call), np.minimum(counts, 1))


@given(calls(), st.sampled_from(["sum", "avg"]))
def test_linear_operators_and_their_adjoint(case, op):
    form, shape, seed, arguments, call = case
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    y, pull = fp.vjp(function(form), x, op, *arguments, **call)
    g = rng.standard_normal(y.shape)
    np.testing.assert_allclose(np.vdot(y, g), np.vdot(x, pull(g)), rtol=1e-9, atol=1e-9)


@given(calls(), st.sampled_from(["max", "min", "avg", "median"]))
def test_gradient_mass_is_conserved(case, op):
    form, shape, seed, arguments, call = case
    rng = np.random.default_rng(seed)
    x = cases.distinct(rng, shape)
    y, pull = fp.vjp(function(form), x, op, *arguments, **call)
    filled = function(form)(np.ones(shape), "max", *arguments, **call)  # 0 where a box is empty
    g = rng.standard_normal(y.shape)
    np.testing.assert_allclose(pull(g).sum(), np.vdot(g, filled), rtol=1e-9, atol=1e-9)


@given(calls(), st.sampled_from(["max", "gem", "median"]))
def test_permuting_channels_commutes(case, op):
    form, shape, seed, arguments, call = case
    rng = np.random.default_rng(seed)
    x, order = rng.standard_normal(shape), rng.permutation(shape[1])
    if form == "torch":  # whose windows belong to the planes
        samples = rng.random((*shape[:2], 2))
        call = {"window": 2, "samples": samples}
        permuted = {"window": 2, "samples": samples[:, order]}
    else:
        permuted = call
    y = function(form)(x, op, *arguments, **call)
    z = function(form)(x[:, order], op, *arguments, **permuted)
    if form == "pyramid":
        done = 0
        for level in arguments[0]:
            block = slice(done, done + shape[1] * level**2)
            cut = y[:, block].reshape(shape[0], shape[1], -1)[:, order]
            np.testing.assert_array_equal(z[:, block], cut.reshape(shape[0], -1))
            done = block.stop
    else:
        np.testing.assert_array_equal(z, y[:, order])


@given(calls(), st.sampled_from(["max", "avg"]))
def test_permuting_the_batch_commutes(case, op):
    form, shape, seed, arguments, call = case
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if form == "torch":
        call = {"window": 2, "samples": np.full((*shape[:2], 2), rng.random())}
    y = function(form)(x, op, *arguments, **call)
    if form == "roi_pool":
        boxes = arguments[0].copy()
        boxes[:, 0] = shape[0] - 1 - boxes[:, 0]
        np.testing.assert_array_equal(fp.roi_pool(x[::-1], op, boxes, arguments[1]), y)
    else:
        np.testing.assert_array_equal(function(form)(x[::-1], op, *arguments, **call), y[::-1])


@given(calls())
def test_indices_point_at_the_values(case):
    form, shape, seed, arguments, call = case
    assume(form != "mosaic")
    x = cases.distinct(np.random.default_rng(seed), shape)
    y, i = function(form)(x, "max", *arguments, return_indices=True, **call)
    planes = x.reshape(*shape[:2], -1)
    assert (y[i < 0] == 0).all()
    for place in zip(*np.nonzero(i >= 0), strict=True):
        image, channel = place[:2]
        if form == "pyramid":
            image, channel = place[0], np.flatnonzero((planes[place[0]] == y[place]).any(-1))[0]
        if form == "roi_pool":
            image = int(arguments[0][place[0], 0])
        assert planes[image, channel, i[place]] == y[place]


@given(calls(), st.sampled_from(cases.LAYOUTS), st.sampled_from(["max", "soft"]))
def test_layout_does_not_matter(case, layout, op):
    form, shape, seed, arguments, call = case
    x = np.random.default_rng(seed).standard_normal(shape)
    y = function(form)(x, op, *arguments, **call)
    z = function(form)(cases.arrange(x, layout), op, *arguments, **call)
    assert y.flags.c_contiguous
    np.testing.assert_allclose(z, y, rtol=1e-13)


@pytest.mark.parametrize("form", ["torch", "random", "pyramid", "roi_pool", "mosaic"])
def test_equal_bits_for_every_number_of_threads(rng, threads, form):
    x = rng.standard_normal((2, 8, 60, 60)).astype(np.float32)
    arguments, call = {
        "torch": (((20, 20),), {"window": 4, "rng": 1}),
        "random": ((), {"ratio": 1.5, "scheme": "random", "overlapping": True, "rng": 1}),
        "pyramid": (((1, 7),), {}),
        "roi_pool": ((random_boxes(rng, 30, 2) * [1, 4, 4, 4, 4], (5, 5)), {}),
        "mosaic": (((7, 7),), {}),
    }[form]
    seen = []
    for count in (1, 2, 3):
        threads(count)
        for op in ("max", "lse"):
            y, pull = fp.vjp(function(form), x, op, *arguments, **call)
            seen.append((count, op, y.tobytes(), pull(y).tobytes()))
    assert [s[2:] for s in seen[:2]] == [s[2:] for s in seen[2:4]] == [s[2:] for s in seen[4:]]


def test_the_input_is_never_written(rng):
    x = rng.standard_normal((1, 2, 8, 8))
    x.flags.writeable = False
    before = x.copy()
    boxes = np.array([[0, 1.0, 1, 5, 5]])
    boxes.flags.writeable = False
    samples = rng.random((1, 2, 2))
    samples.flags.writeable = False
    fp.roi_pool(x, "max", boxes, 2)
    fp.roi_align(x, boxes, 2)
    fp.mosaic(x, 3, "median")
    fp.pyramid_pool(x, "stochastic", rng=1)
    fp.fractional_pool(x, "max", 4, window=2, samples=samples)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("dtype", [np.float16, "bfloat16"])
def test_mosaic_adds_up_gradients_of_16_bits_in_more(dtype):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    x = np.zeros((1, 1, 512, 512), dtype)
    gx = fp.mosaic_backward(np.ones_like(x), x, 512)
    assert gx.dtype == dtype
    assert (gx == 1).all()


def test_windows_beyond_64_bits_are_refused():
    with pytest.raises(ValueError, match="window"):
        fp.max_pool(np.zeros((1, 1, 200)), 2**70, ceil_mode=True)
    assert fp.mosaic(np.zeros((2, 3, 8, 8)), 2**70).shape == (2, 3, 8, 8)


def test_bins_that_no_memory_holds_are_refused_at_once():
    boxes = np.zeros((10, 5))
    with pytest.raises(MemoryError):
        fp.roi_pool(np.zeros((2, 3, 8, 8)), "max", boxes, (2**24, 2**24))
