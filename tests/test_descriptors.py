"""Descriptors against plain NumPy statements of their formulas."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastpool as fp
from fastpool.descriptors import (
    VLAD,
    GlobalDescriptor,
    GlobalPoolClassifier,
    MultiScaleOrderlessPooling,
    class_activation_map,
    cross_dimensional_sum,
    cross_dimensional_weights,
    regional_max,
    rmac_regions,
)
from fastpool.descriptors.orderless import square_patches

EXAMPLES = Path(__file__).parents[1] / "examples"
peer = pytest.mark.peer


@pytest.fixture
def sklearn():
    return pytest.importorskip("sklearn")


@pytest.fixture
def x(rng):
    return np.maximum(rng.standard_normal((3, 5, 7, 9)), 0)


def unit(v):
    """Each row by its length."""
    length = np.sqrt((v**2).sum(-1, keepdims=True))
    return np.divide(v, length, out=np.zeros_like(v), where=length > 0)


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


# Whole images --------------------------------------------------------------------------------------------


STATEMENTS = {
    "sum": lambda x: unit(x.sum((2, 3))),
    "avg": lambda x: unit(x.mean((2, 3))),
    "max": lambda x: unit(x.max((2, 3))),
    "gem": lambda x: unit((np.maximum(x, 1e-6) ** 3).mean((2, 3)) ** (1 / 3)),
    "avg+max": lambda x: np.hstack([unit(x.mean((2, 3))), unit(x.max((2, 3)))]) / np.sqrt(2),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", STATEMENTS)
def test_global_descriptors(kind, dtype, x):
    got = GlobalDescriptor(kind).fit_transform(x.astype(dtype))
    assert got.dtype == dtype
    close(got, STATEMENTS[kind](x))


def test_a_global_descriptors_exponent(x):
    close(GlobalDescriptor("gem", p=5).transform(x), unit((np.maximum(x, 1e-6) ** 5).mean((2, 3)) ** 0.2))


def test_images_of_zeros_and_no_images():
    zeros = np.zeros((2, 3, 4, 4))
    for kind in ("sum", "avg", "max", "avg+max"):
        assert not GlobalDescriptor(kind).transform(zeros).any()
    assert not regional_max(zeros).any()
    assert not cross_dimensional_sum(zeros).any()
    assert GlobalDescriptor("avg+max").transform(zeros[:0]).shape == (0, 6)
    assert regional_max(zeros[:0]).shape == (0, 3)


# R-MAC ---------------------------------------------------------------------------------------------------


def published_regions(height, width, levels):
    """The rule as its authors compute it: steps, centres and sides in float64."""
    w = min(height, width)
    steps = np.arange(2, 8)
    overlap = (w**2 - w * (max(height, width) - w) / (steps - 1)) / w**2
    more = int(np.argmin(np.abs(overlap - 0.4))) + 1
    regions = []
    for level in range(1, levels + 1):
        side = np.floor(2 * w / (level + 1))
        half = np.floor(side / 2 - 1)
        starts = []
        for length, other in ((height, width), (width, height)):
            count = level + more * (length > other)
            step = (length - side) / (count - 1) if count > 1 else 0
            starts.append(np.floor(half + np.arange(count) * step + 1e-9) - half)
        if side > 0:
            regions += [(int(top), int(left), int(side)) for top in starts[0] for left in starts[1]]
    return regions


SIZES = [tuple(size) for size in np.random.default_rng(0).integers(1, 70, (45, 2)).tolist()]
SIZES += [(1, 1), (2, 2), (1, 40), (32, 24), (24, 32)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_regions_are_the_published_ones(height, width):
    regions = rmac_regions(height, width, 4)
    assert regions == published_regions(height, width, 4)
    assert all(0 <= top <= height - side and 0 <= left <= width - side for top, left, side in regions)


@pytest.mark.parametrize("shape", [(7, 9), (9, 7), (6, 6), (1, 5), (2, 1)])
def test_regional_maxima(shape, rng):
    x = rng.standard_normal((2, 4, *shape))
    total = unit(x.max((2, 3)))
    for top, left, side in published_regions(*shape, 3):
        total += unit(x[:, :, top : top + side, left : left + side].max((2, 3)))
    close(regional_max(x), unit(total))


# CroW ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), [(2, 2), (1, 1), (3.5, 2)])
def test_cross_dimensional_weights(a, b, x):
    x[1, 2] = 0
    spatial, channel = cross_dimensional_weights(x, a=a, b=b)
    for image, s, c in zip(x, spatial, channel, strict=True):
        places = image.sum(0)
        close(s, (places / (places**a).sum() ** (1 / a)) ** (1 / b))
        share = (image > 0).mean((1, 2))
        close(c, [np.log(share.sum() / q) if q else 0 for q in share])
    close(
        cross_dimensional_sum(x, a=a, b=b),
        unit((spatial[:, None] * x).sum((2, 3)) * channel),
    )


# VLAD ----------------------------------------------------------------------------------------------------


def stated_vlad(rows, centers, soft, intra, power, nearest=5, sigma=10.0):
    """One descriptor after the other."""
    blocks = np.zeros_like(centers)
    for row in rows:
        distances = np.linalg.norm(row - centers, axis=1)
        order = sorted(range(len(centers)), key=distances.__getitem__)[: nearest if soft else 1]
        weights = np.exp(-(distances[order] ** 2) / (2 * sigma**2)) if soft else np.ones(1)
        for k, weight in zip(order, weights / weights.sum(), strict=True):
            blocks[k] += weight * (row - centers[k])
    blocks = np.sign(blocks) * np.abs(blocks) ** power
    return unit((unit(blocks) if intra else blocks).ravel())


def known(centers, **params):
    """A VLAD whose centres are given."""
    vlad = VLAD(len(centers), **params)
    vlad.centers_ = np.asarray(centers, np.float64)
    return vlad


@pytest.mark.parametrize("power", [1.0, 0.5])
@pytest.mark.parametrize("intra", [False, True])
@pytest.mark.parametrize("assignment", ["hard", "soft"])
def test_vlad(assignment, intra, power, rng):
    centers, sets = rng.standard_normal((8, 4)), [rng.standard_normal((n, 4)) for n in (1, 3, 40)]
    vlad = known(centers, assignment=assignment, intra_normalize=intra, power=power, sigma=2.0)
    expected = [stated_vlad(rows, centers, assignment == "soft", intra, power, sigma=2.0) for rows in sets]
    close(vlad.transform(sets), expected)
    shuffled = [rng.permutation(rows) for rows in sets]
    assert np.array_equal(vlad.transform(sets), vlad.transform(shuffled))


def test_vlad_of_ties_duplicates_and_nothing():
    vlad = known([[0.0], [2.0], [2.0], [9.0]], power=1.0)
    tie, twice, none = vlad.transform([[[1.0]], [[3.0], [3.0], [1.0]], np.empty((0, 1))])
    assert tie.tolist() == [1, 0, 0, 0]  # as near to 0 as to 2: the first
    close(twice, unit(np.array([1.0, 2.0, 0.0, 0.0])))  # the first of equal centres has all
    assert not none.any()
    assert not vlad.transform([[[2.0]]]).any()
    assert vlad.transform([]).shape == (0, 4)


def test_soft_vlad_far_from_every_centre():
    vlad = known([[0.0], [1.0], [2.0]], assignment="soft", nearest=2, sigma=0.01, power=1.0)
    close(vlad.transform([[[1e4]]]), [[0, 0, 1]])  # weights that underflow before they are divided


@peer
def test_vlad_learns_its_centres(sklearn, rng):
    places = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])
    sets = [places[rng.integers(0, 3, 30)] + rng.standard_normal((30, 2)) for _ in range(6)]
    vlad = VLAD(3, random_state=0).fit(sets)
    assert np.linalg.norm(vlad.centers_[:, None] - places, axis=-1).min(0).max() < 1
    again = VLAD(3, random_state=0).fit([rng.permutation(rows) for rows in sets[::-1]])
    assert np.array_equal(vlad.centers_, again.centers_)
    with pytest.raises(ValueError, match=r"n_clusters must be at most .* got 3 for 2"):
        VLAD(3).fit([[[0.0, 1.0]] * 5, [[1.0, 1.0]]])


# MOP -----------------------------------------------------------------------------------------------------


def channel_moments(patches):
    """Activations that tell patches apart."""
    return np.hstack([patches.mean((2, 3)), patches.std((2, 3)), patches.max((2, 3)), patches[:, :, 0, 0]])


def test_the_defaults_are_the_papers():
    mop = MultiScaleOrderlessPooling(channel_moments)
    assert (mop.scales, mop.stride, mop.n_components, mop.n_clusters) == ((256, 128, 64), 32, 500, 100)
    assert (mop.nearest, mop.sigma) == (5, 10)
    picture = np.zeros((1, 256, 256))
    assert [len(square_patches(picture, side, mop.stride)) for side in mop.scales] == [1, 25, 49]


@peer
@pytest.mark.parametrize("output", [None, 5])
def test_multi_scale_orderless_pooling(output, sklearn, rng):
    KMeans = pytest.importorskip("sklearn.cluster").KMeans  # noqa: N806
    PCA = pytest.importorskip("sklearn.decomposition").PCA  # noqa: N806
    images = rng.standard_normal((12, 2, 16, 16))
    mop = MultiScaleOrderlessPooling(
        channel_moments, (16, 8), 4, n_components=3, n_clusters=6, output_components=output, random_state=0
    )
    got = mop.fit_transform(images)
    close(mop.transform(images), got)
    sets = [
        np.vstack(
            [channel_moments(image[None, :, i : i + 8, j : j + 8]) for i in (0, 4, 8) for j in (0, 4, 8)]
        )
        for image in images
    ]
    pca = PCA(3).fit(np.vstack(sets))
    sets = [pca.transform(rows) for rows in sets]
    centers = mop.levels_[1][1].centers_
    close(KMeans(6, init=centers, n_init=1).fit(np.vstack(sets)).cluster_centers_, centers)  # they stay
    vectors = np.array([stated_vlad(rows, centers, True, False, 0.5) for rows in sets])
    if output:
        vectors = unit(PCA(output).fit_transform(vectors))
    close(got, np.hstack([unit(channel_moments(images)), vectors]) / np.sqrt(2))


@peer
def test_the_order_of_patches_does_not_matter(sklearn, rng):
    images = rng.standard_normal((6, 1, 16, 16))
    tiles = images.reshape(6, 1, 4, 4, 4, 4).transpose(0, 1, 2, 4, 3, 5).reshape(6, 1, 16, 4, 4)
    tiles = np.stack([image[:, rng.permutation(16)] for image in tiles])
    moved = tiles.reshape(6, 1, 4, 4, 4, 4).transpose(0, 1, 2, 4, 3, 5).reshape(images.shape)
    make = {"scales": (4,), "stride": 4, "n_clusters": 5, "random_state": 0}
    mop = MultiScaleOrderlessPooling(channel_moments, **make).fit(images)
    close(mop.transform(moved), mop.transform(images))
    close(MultiScaleOrderlessPooling(channel_moments, **make).fit_transform(moved), mop.transform(images))


@peer
def test_multi_scale_orderless_pooling_of_other_sizes(sklearn, rng):
    mop = MultiScaleOrderlessPooling(channel_moments, (8, 4), 4, n_clusters=3, random_state=0)
    mop.fit(rng.standard_normal((5, 2, 16, 16)))
    assert mop.transform(rng.standard_normal((2, 2, 12, 20))).shape == (2, 2 * 3 * 8)
    with pytest.raises(ValueError, match="x must have one patch of scale 8 where"):
        mop.transform(rng.standard_normal((2, 2, 8, 8)))


# Class activation maps and the head -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pool", ["avg", "max"])
def test_the_mean_of_a_class_activation_map_is_the_logit(pool, dtype, rng):
    features = rng.standard_normal((3, 6, 5, 8)).astype(dtype)
    weights = rng.standard_normal((4, 6)).astype(dtype)
    maps = class_activation_map(features, weights, pool=pool)
    assert maps.dtype == dtype
    assert maps.shape == (3, 4, 5, 8)
    pooled = features.mean((2, 3)) if pool == "avg" else features.max((2, 3))
    logits = pooled @ weights.T
    np.testing.assert_allclose(maps.mean((2, 3)), logits, rtol=0, atol=1e-6 if dtype == np.float32 else 1e-12)
    if pool == "avg":
        close(maps.astype(np.float64), np.einsum("kc,nchw->nkhw", weights, features.astype(np.float64)))


def test_enlarged_class_activation_maps(rng):
    features, weights = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3))
    maps = class_activation_map(features, weights)
    got = class_activation_map(features, weights, (11, 15))
    for axis, (n, o) in enumerate([(4, 11), (5, 15)], 2):
        places = (np.arange(o) + 0.5) * n / o - 0.5
        maps = np.apply_along_axis(lambda line, at=places, n=n: np.interp(at, range(n), line), axis, maps)
    close(got, maps)
    close(class_activation_map(features, weights, (4, 5)), class_activation_map(features, weights))


def stated_loss(maps, y):
    logits = maps.mean((2, 3))
    return np.mean([np.log(np.exp(row - row[label]).sum()) for row, label in zip(logits, y, strict=True)])


def test_the_heads_loss_and_gradient(rng):
    maps, y = 3 * rng.standard_normal((4, 3, 2, 5)), np.array([2, 0, 1, 1])
    head = GlobalPoolClassifier().fit(maps, y)
    loss, gradient = head.loss_and_gradient(maps, y)
    close(loss, stated_loss(maps, y))
    logits = maps.mean((2, 3))
    close(head.decision_function(maps), logits)
    close(head.predict_proba(maps), np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    slopes, step = np.empty_like(maps), 1e-6
    for place in np.ndindex(maps.shape):
        ahead, behind = maps.copy(), maps.copy()
        ahead[place] += step
        behind[place] -= step
        slopes[place] = (stated_loss(ahead, y) - stated_loss(behind, y)) / (2 * step)
    close(gradient, slopes)


def test_the_head_takes_any_size_and_any_labels(rng):
    head = GlobalPoolClassifier().fit(rng.standard_normal((2, 2, 3, 3)), ["b", "a"])
    maps = np.zeros((2, 2, 6, 1), np.float32)
    maps[0, 1] = 2000
    assert head.predict(maps).tolist() == ["b", "a"]  # of ties the first
    assert head.predict_proba(maps).tolist() == [[0, 1], [0.5, 0.5]]
    assert head.score(maps, ["b", "b"]) == 0.5
    loss, gradient = head.loss_and_gradient(maps, ["a", "a"])
    assert gradient.dtype == np.float32
    assert loss == pytest.approx((2000 + np.log(2)) / 2)


# Other libraries and scikit-learn -------------------------------------------------------------------------


@peer
@pytest.mark.parametrize(("library", "of"), [("torch", "as_tensor"), ("jax.numpy", "asarray")])
def test_other_libraries_arrays_stay_theirs(library, of, x, rng):
    theirs = getattr(pytest.importorskip(library), of)
    x, weights = x.astype(np.float32), rng.standard_normal((4, 5)).astype(np.float32)
    tensor = theirs(x)
    head = GlobalPoolClassifier().fit(x[:, :3], [0, 1, 2])
    calls = [
        (GlobalDescriptor("avg+max").transform, ()),
        (regional_max, ()),
        (cross_dimensional_sum, ()),
        (class_activation_map, (weights, (9, 9))),
        (lambda maps: head.predict_proba(maps[:, :3]), ()),
        (lambda maps: head.loss_and_gradient(maps[:, :3], [0, 0, 2])[1], ()),
    ]
    for call, others in calls:
        got = call(tensor, *map(theirs, others[:1]), *others[1:])
        assert type(got) is type(tensor)
        close(np.asarray(got), call(x, *others))


@peer
def test_estimators_are_scikit_learns(sklearn, x):
    base = pytest.importorskip("sklearn.base")
    clone, make_pipeline = base.clone, pytest.importorskip("sklearn.pipeline").make_pipeline
    neighbors = pytest.importorskip("sklearn.neighbors")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    for made in (
        GlobalDescriptor("max", p=2),
        VLAD(7, "soft"),
        MultiScaleOrderlessPooling(channel_moments, (8,)),
    ):
        copy = clone(made)
        assert copy is not made
        assert copy.get_params() == made.get_params()
        assert repr(copy) == repr(made)
    assert clone(VLAD(7).set_params(power=1.0)).power == 1
    assert base.is_classifier(clone(GlobalPoolClassifier()))
    labels = [0, 1, 2]
    nearest = make_pipeline(GlobalDescriptor("avg"), neighbors.KNeighborsClassifier(1)).fit(x, labels)
    assert nearest.predict(x).tolist() == labels
    assert nearest.set_params(globaldescriptor__kind="max").fit(x, labels).score(x, labels) == 1
    places = preprocessing.FunctionTransformer(
        lambda maps: maps.reshape(*maps.shape[:2], -1).transpose(0, 2, 1)
    )
    local = make_pipeline(places, VLAD(4, random_state=0), neighbors.KNeighborsClassifier(1)).fit(x, labels)
    assert local.predict(x).tolist() == labels
    whole = make_pipeline(GlobalPoolClassifier()).fit(x[:, :3], labels)
    assert whole.predict_proba(x[:, :3]).shape == (3, 3)


# Bad arguments -------------------------------------------------------------------------------------------


GOOD = np.ones((2, 3, 4, 4))
HEAD = GlobalPoolClassifier().fit(GOOD[:, :2], [0, 1])
BAD = [
    (lambda: GlobalDescriptor("mean").transform(GOOD), ValueError, "kind must be one of sum, .* 'mean'"),
    (lambda: GlobalDescriptor(3).transform(GOOD), TypeError, "kind must be one of .* 3"),
    (lambda: GlobalDescriptor("gem", p=0).transform(GOOD), ValueError, "p must be .* above 0, got 0"),
    (lambda: GlobalDescriptor("gem", p="3").transform(GOOD), TypeError, "p must be a real number"),
    (
        lambda: GlobalDescriptor().transform(GOOD[0]),
        ValueError,
        r"x must have shape \(N, C, H, W\).*\(3, 4, 4\)",
    ),
    (lambda: GlobalDescriptor().transform(GOOD[..., :0]), ValueError, "x must have shape"),
    (
        lambda: GlobalDescriptor().transform(GOOD.astype(int)),
        TypeError,
        "x must have a float dtype, got int64",
    ),
    (lambda: GlobalDescriptor().transform([[1.0]]), TypeError, "x must be an array of shape .* got list"),
    (lambda: GlobalDescriptor().set_params(q=1), ValueError, "has no parameter 'q'; it has: kind, p"),
    (lambda: rmac_regions(0, 3), ValueError, "height must be an integer of at least 1, got 0"),
    (lambda: rmac_regions(3, 3.0), TypeError, "width must be an integer"),
    (lambda: regional_max(GOOD, levels=0), ValueError, "levels must be"),
    (lambda: cross_dimensional_weights(-GOOD), ValueError, "x must be at least 0 everywhere"),
    (lambda: cross_dimensional_weights(GOOD, a=np.inf), ValueError, "a must be a finite number above 0"),
    (lambda: VLAD().transform([GOOD[0, 0]]), ValueError, "VLAD has not been fitted"),
    (
        lambda: known(GOOD[0, 0], assignment="both").transform([GOOD[0, 0]]),
        ValueError,
        "assignment must be one",
    ),
    (
        lambda: known(GOOD[0, 0], intra_normalize=1).transform([GOOD[0, 0]]),
        TypeError,
        "intra_normalize must be",
    ),
    (lambda: known(GOOD[0, 0], power=-1).transform([GOOD[0, 0]]), ValueError, "power must be"),
    (lambda: known(GOOD[0, 0], nearest=0).transform([GOOD[0, 0]]), ValueError, "nearest must be"),
    (lambda: known(GOOD[0, 0], sigma=np.nan).transform([GOOD[0, 0]]), ValueError, "sigma must be"),
    (lambda: known(GOOD[0, 0]).transform(GOOD), ValueError, r"shape \(P, D\), .* got \(3, 4, 4\)"),
    (lambda: known(GOOD[0, 0]).transform("x"), TypeError, "x must be a sequence of arrays"),
    (lambda: known(GOOD[0, 0]).transform([[["a"]]]), TypeError, "x must hold arrays of real numbers"),
    (lambda: known(GOOD[0, 0]).transform([[[1, 2]]]), ValueError, "x must hold vectors of length 4"),
    (lambda: known(GOOD[0, 0]).transform([[[1]], [[1, 2]]]), ValueError, "of one length D, got 1 and 2"),
    (lambda: known(GOOD[0, 0]).transform([[[np.nan] * 4]]), ValueError, "x must be finite"),
    (lambda: class_activation_map(GOOD, np.ones((2, 5))), ValueError, r"weights must have shape \(K, 3\)"),
    (
        lambda: class_activation_map(GOOD, np.ones((2, 3), np.float32)),
        TypeError,
        "weights must be of .* dtype",
    ),
    (lambda: class_activation_map(GOOD, np.ones((2, 3)), 4), TypeError, "output_shape must be a pair"),
    (lambda: class_activation_map(GOOD, np.ones((2, 3)), (4, 0)), ValueError, "output_shape must be"),
    (
        lambda: class_activation_map(GOOD, np.ones((2, 3)), pool="gem"),
        ValueError,
        "pool must be one of avg, max",
    ),
    (lambda: GlobalPoolClassifier().predict(GOOD), ValueError, "GlobalPoolClassifier has not been fitted"),
    (lambda: GlobalPoolClassifier().fit(GOOD, [0, 1]), ValueError, "y must have 3 distinct labels, .* got 2"),
    (lambda: GlobalPoolClassifier().fit(GOOD, [0]), ValueError, r"y must have shape \(2,\)"),
    (lambda: HEAD.predict(GOOD), ValueError, "x must have 2 maps, one a class, got 3"),
    (lambda: HEAD.loss_and_gradient(GOOD[:, :2], [0, 5]), ValueError, r"y must hold .* among \[0, 1\]"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("params", "x", "error", "message"),
    [
        ({"extract": 3}, GOOD, TypeError, "extract must be a function"),
        ({"scales": ()}, GOOD, TypeError, "scales must be a sequence"),
        ({"scales": 4}, GOOD, TypeError, "scales must be a sequence"),
        ({"scales": (4, 5)}, GOOD, ValueError, r"scales must fit images of \(4, 4\), got \(4, 5\)"),
        ({"scales": (0,)}, GOOD, ValueError, "scales must be an integer of at least 1"),
        ({"stride": 0}, GOOD, ValueError, "stride must be"),
        ({"n_components": 0}, GOOD, ValueError, "n_components must be"),
        ({"n_clusters": "2"}, GOOD, TypeError, "n_clusters must be"),
        ({"output_components": 0}, GOOD, ValueError, "output_components must be"),
        ({"extract": lambda p: p}, GOOD, ValueError, "what extract returns must hold arrays of shape"),
        (
            {"extract": lambda p: fp.global_avg_pool(p)[1:]},
            GOOD,
            ValueError,
            "a row for each of 1 patches, got 0",
        ),
        ({}, GOOD[0], ValueError, "x must have shape"),
        ({}, GOOD[:0], ValueError, "x must hold at least one image"),
        ({}, "image", TypeError, "x must be an array"),
    ],
)
def test_bad_arguments_of_multi_scale_orderless_pooling(params, x, error, message):
    params = {"extract": fp.global_avg_pool, "scales": (4,), **params}
    with pytest.raises(error, match=message):
        MultiScaleOrderlessPooling(**params).fit(x)


# Examples ------------------------------------------------------------------------------------------------


def printed(script, figure, *arguments):
    """The rows of the Markdown table that a script prints, by their first cell."""
    command = [sys.executable, str(EXAMPLES / script), "--figure", str(figure), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert figure.read_bytes().startswith(b"\x89PNG")
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    return {name: [float(cell.removesuffix(" %")) for cell in cells] for name, *cells in rows[1:]}


@peer
def test_descriptors_find_photographs(sklearn, tmp_path):
    pytest.importorskip("skimage")
    rows = printed("retrieval.py", tmp_path / "figure.png", "--photographs", "2", "--known", "2")
    assert set(rows) == {"sum", "avg", "max", "gem", "avg+max", "CroW", "R-MAC", "MOP"}
    assert all(0.5 < score <= 1 for _, score in rows.values())


@peer
def test_an_averaging_head_has_few_parameters_and_does_not_mind_motion(sklearn, tmp_path):
    rows = printed("gap_head.py", tmp_path / "figure.png", "--steps", "100")
    average, connected = rows["global average"], rows["fully connected"]
    assert average[0] * 100 < connected[0]
    assert average[1] == average[2] == average[3]  # digits moved by 0, 1 and 2 pixels
    assert average[3] > connected[3] + 30
