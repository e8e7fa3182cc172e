"""The guide: its Python runs, its formulas hold, each row of its migration tables compares equal calls."""

import itertools
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fastpool as fp
from fastpool.compat import keras as layers
from fastpool.compat import tensorflow
from fastpool.compat import torch as functional

DOCS = Path(__file__).parents[1] / "docs"
GUIDE, MIGRATION = (DOCS / "guide.md").read_text(), (DOCS / "migration.md").read_text()
peer = pytest.mark.peer


def rows(library):
    """Their call and ours of every row of a library's table."""
    section = MIGRATION.split(f"\n## From {library}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    found = [re.match(r"\| `([^`]+)` \| `([^`]+)` \|", line) for line in lines]
    assert found
    assert all(found)
    return [match.groups() for match in found]


def compare(theirs, ours, names, their_names=None):
    names = {"np": np, "fp": fp, **names}
    expected, y = eval(theirs, {**names, **(their_names or {})}), eval(ours, names)
    expected = np.asarray(expected)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


@pytest.fixture
def images(rng):
    """The arrays that the guide names for scikit-image and SciPy."""
    return {
        "x": rng.random((24, 36)),
        "r": rng.random((23, 35)),
        "u": rng.integers(0, 255, (23, 35), dtype=np.uint8),
        "labels": rng.integers(0, 4, (23, 35), dtype=np.uint8),
        "square": np.ones((5, 5), np.uint8),
        "cross": np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool),
        "blocks": np.kron(np.arange(6).reshape(2, 3), np.ones((12, 12), int)),
        "groups": rng.permutation(np.arange(24) % 5),
    }


@pytest.fixture
def batches(rng):
    """Those that it names for the frameworks, as their own functions take them."""
    nchw = rng.random((2, 3, 12, 15)).astype(np.float32)
    y, i = fp.max_pool(nchw, 3, return_indices=True)
    samples = rng.random((2, 3, 2)).astype(np.float32)
    return {
        "nchw": nchw,
        "nhwc": rng.random((2, 12, 15, 3)),
        "samples": samples,
        "y": y,
        "i": i.astype(np.int64),
    }


def test_the_guides_code_runs_and_its_formula_holds():
    names = {}
    for code in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL):
        exec(compile(code, "guide.md", "exec"), names)
    checked = 0
    for n, k, s, d, up in itertools.product(range(1, 10), (1, 2, 3, 4), (1, 2, 3, 5), (1, 2), (False, True)):
        span = d * (k - 1) + 1
        full = (span - 1, span - 1)
        for padding in {(0, 0), (1, 1), (0, 1), (2, 1), full, "same", "same_lower"}:
            try:
                shown = fp.explain(n, k, stride=s, padding=padding, dilation=d, ceil_mode=up)
            except ValueError:
                continue  # padding as long as the window, or a window without an element
            checked += 1
            if isinstance(padding, str):
                assert len(shown.windows) == -(-n // s)
                continue
            assert len(shown.windows) == names["outputs"](n, k, s, padding, d, up)
            if padding == full and not up:
                assert len(shown.windows) == (n + span - 2) // s + 1
    assert checked > 1000


@pytest.mark.parametrize(("theirs", "ours"), rows("scikit-image"))
def test_scikit_image(theirs, ours, images):
    measure, transform = pytest.importorskip("skimage.measure"), pytest.importorskip("skimage.transform")
    morphology = pytest.importorskip("skimage.morphology")
    names = {
        "block_reduce": measure.block_reduce,
        "downscale_local_mean": transform.downscale_local_mean,
        "resize_local_mean": transform.resize_local_mean,
        "view_as_blocks": pytest.importorskip("skimage.util").view_as_blocks,
        "rank": pytest.importorskip("skimage.filters").rank,
        "dilation": morphology.dilation,
        "erosion": morphology.erosion,
    }
    compare(theirs, ours, {**names, **images})


@pytest.mark.parametrize(("theirs", "ours"), rows("SciPy"))
def test_scipy(theirs, ours, images):
    modules = {name: pytest.importorskip(f"scipy.{name}") for name in ("ndimage", "stats")}
    compare(theirs, ours, {**modules, **images})


@pytest.mark.parametrize(("theirs", "ours"), rows("NumPy and xarray"))
def test_numpy_and_xarray(theirs, ours, images):
    x = images["x"]
    da = pytest.importorskip("xarray").DataArray(x, dims=("y", "x"))
    compare(theirs, ours, {"cells": x.reshape(12, 2, 12, 3), "da": da, **images})


@pytest.mark.parametrize(("theirs", "ours"), rows("Pillow"))
def test_pillow(theirs, ours, images):
    image = pytest.importorskip("PIL.Image")
    compare(theirs, ours, {"picture": image.fromarray(images["labels"][:20]), "Image": image, **images})


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_other_nearest_neighbours(images, batches):
    functional = pytest.importorskip("torch.nn.functional")
    x = batches["nchw"]
    for size in ((5, 4), (12, 15), (6, 7), 1):
        theirs = functional.interpolate(pytest.importorskip("torch").from_numpy(x), size)
        np.testing.assert_array_equal(fp.adaptive_pool(x, "nearest", size), theirs)
    rasterio = pytest.importorskip("rasterio")
    labels, form = images["labels"][:20], {"driver": "GTiff", "dtype": "uint8", "count": 1}
    with rasterio.io.MemoryFile() as memory:
        with memory.open(height=20, width=35, **form) as file:
            file.write(labels, 1)
        with memory.open() as file:
            found = file.read(1, out_shape=(5, 7), resampling=rasterio.enums.Resampling.nearest)
    np.testing.assert_array_equal(fp.nearest_pool(labels, (4, 5), corner="middle"), found)


@pytest.mark.parametrize(("theirs", "ours"), rows("NumPy"))
def test_numpy(theirs, ours, images):
    compare(theirs, ours, images)


@peer
@pytest.mark.parametrize(("theirs", "ours"), rows("JAX"))
def test_jax(theirs, ours, images):
    names = {"np": np, "fp": fp, "jax": pytest.importorskip("jax"), **images}
    np.testing.assert_allclose(eval(ours, names), eval(theirs, names), rtol=1e-5)


def test_even_windows_have_their_surplus_where_the_guide_says(images):
    ndimage, filters = pytest.importorskip("scipy.ndimage"), pytest.importorskip("skimage.filters")
    u = images["u"]
    before = {"stride": 1, "padding": "same_lower"}
    largest = fp.max_pool(u, (4, 4), **before)
    np.testing.assert_array_equal(ndimage.maximum_filter(u, 4), largest)
    np.testing.assert_array_equal(filters.rank.maximum(u, np.ones((4, 4), np.uint8)), largest)
    np.testing.assert_array_equal(ndimage.grey_erosion(u, 4), fp.min_pool(u, (4, 4), **before))
    after = fp.max_pool(u, (4, 4), stride=1, padding="same")
    np.testing.assert_array_equal(ndimage.grey_dilation(u, 4), after)


def test_medians_of_even_counts_are_what_the_guide_says(images):
    ndimage, filters = pytest.importorskip("scipy.ndimage"), pytest.importorskip("skimage.filters")
    x, u, square = images["x"], images["u"], images["square"]
    corner = np.sort(u[:3, :4], axis=None)  # what the window around (0, 1) has of the image
    around = {"stride": 1, "padding": "same"}
    assert filters.rank.median(u, square)[0, 1] == corner[6]
    assert fp.median_pool(u, (5, 5), **around)[0, 1] == corner[5]
    assert filters.rank.percentile(u, square, p0=0.25)[0, 1] == corner[3]
    assert fp.quantile_pool(u, (5, 5), q=0.25, **around)[0, 1] == corner[2]
    pair = np.sort(x[4, 4:6])
    assert ndimage.median_filter(x, (1, 2))[4, 5] == pair[1]
    assert fp.median_pool(x[4:5, 4:6], (1, 2))[0, 0] == pytest.approx(pair.mean())
    assert ndimage.percentile_filter(x, 40, (1, 2))[4, 5] in pair
    assert fp.quantile_pool(x[4, 4:6], (2,), q=0.4)[0] == pytest.approx(0.6 * pair[0] + 0.4 * pair[1])


@pytest.mark.parametrize(
    ("theirs", "ours"), [row for library in ("PyTorch", "Keras", "TensorFlow") for row in rows(library)]
)
def test_frameworks_words(theirs, ours, batches):
    words = {"F": functional, "layers": layers, "tf": SimpleNamespace(nn=tensorflow)}
    compare(theirs, ours, {**words, **batches})


@peer
@pytest.mark.parametrize(("theirs", "ours"), rows("PyTorch"))
def test_torch_itself(theirs, ours, batches):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(array) for name, array in batches.items()}
    names = {"F": torch.nn.functional, **batches}
    names = {"np": np, "fp": fp, **names}
    expected = eval(theirs, {**names, **tensors}).numpy()
    np.testing.assert_allclose(eval(ours, names), expected, rtol=1e-6)
