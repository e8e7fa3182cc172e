"""The gallery: every picture is drawn, and the committed numbers are those that the code measures."""

import importlib.util
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")
DOCS = Path(__file__).parents[1] / "docs"
GUIDE = (DOCS / "guide.md").read_text()
STUDIES = ("retrieval", "gap_head")
peer = pytest.mark.peer

spec = importlib.util.spec_from_file_location("gallery", DOCS / "gallery.py")
gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gallery)


def cells(table):
    """Rows of a Markdown table by their first cell."""
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    return {name.strip("`"): [float(cell.removesuffix(" %")) for cell in found] for name, *found in rows}


def committed(name):
    return cells(GUIDE.split(f"<!-- measured: {name} -->\n")[1].split(f"<!-- end of {name} -->")[0])


def same(name, tolerance):
    fresh, known = cells(gallery.TABLES[name]()), committed(name)
    assert fresh.keys() == known.keys()
    for row, values in fresh.items():
        np.testing.assert_allclose(values, known[row], rtol=0, atol=tolerance, err_msg=row)


@pytest.mark.parametrize("name", [name for name in gallery.FIGURES if name not in STUDIES])
def test_pictures_are_drawn(name, tmp_path):
    path = tmp_path / "picture.png"
    gallery.save(gallery.FIGURES[name](), path)
    assert 5_000 < path.stat().st_size < 300_000


@pytest.mark.parametrize("name", ["keeps", "invariance"])
def test_the_guides_measured_tables(name):
    same(name, 0.011)


@peer
@pytest.mark.parametrize(("name", "tolerance"), [("retrieval", 0.015), ("gap_head", 3)])
def test_the_studies_tables(name, tolerance):
    """Sums of matrix products depend on the machine's BLAS: a few of 500 digits, one of 68 queries."""
    pytest.importorskip("sklearn")
    same(name, tolerance)


def test_what_the_guide_says_of_operators():
    kept = {name.split(",")[0]: np.array(values) for name, values in committed("keeps").items()}
    bright, dark, texture, spread, offset, outliers = range(6)
    assert max(kept, key=lambda op: kept[op][bright]) == "max"
    assert max(kept, key=lambda op: kept[op][dark]) == "min"
    assert kept["quantile"][dark] > kept["avg"][dark] > kept["max"][dark]
    assert kept["min"][bright] < kept["avg"][bright]
    for op in ("max", "min"):
        assert 1.9 < abs(kept[op][offset]) < 2.3
        assert 3.5 < kept[op][spread] / kept["avg"][spread] < 4.5
    assert kept["avg"][spread] == pytest.approx(1 / 8, abs=0.01)
    assert kept["avg"][offset] == kept["median"][outliers] == kept["mode"][outliers] == 0
    low, high = np.minimum(kept["avg"], kept["max"]), np.maximum(kept["avg"], kept["max"])
    for op in ("gem", "lse", "soft", "mixed"):
        assert (kept[op] >= low).all()
        assert (kept[op] <= high).all()
    assert kept["stochastic"][texture] > kept["avg"][texture]
    assert kept["stochastic"][spread] > 1


def test_what_the_guide_says_of_shifts():
    changes = {name: np.array(values) for name, values in committed("invariance").items()}
    blurred = changes.pop("max at stride 1, blurred, every 8th")
    assert all((blurred[1:] < values[1:]).all() for name, values in changes.items() if "window" not in name)
    assert (blurred[1:5] < changes["max, window 16 x 16"][1:5]).all()
    assert changes["avg"][1] < changes["max"][1]
    assert changes["avg"][8] > changes["max"][8]
    sizes = [changes[f"max, window {k} x {k}"] for k in (2, 4)] + [changes["max"]]
    sizes += [changes[f"max, window {k} x {k}"] for k in (16, 32)]
    assert all((large[1:] < small[1:]).all() for small, large in itertools.pairwise(sizes))
    assert all(changes[f"{name}, drawn anew"][0] > 0.1 for name in ("stochastic", "fractional max"))


def test_what_the_guide_says_of_the_studies():
    studies = committed("retrieval")
    scores = {name: score for name, (_, score) in studies.items()}
    short = [score for length, score in studies.values() if length <= 64]
    assert scores["avg+max"] == max(short) > max(scores["avg"], scores["max"])
    assert scores["avg+max"] == pytest.approx(scores["MOP"], abs=0.015)
    assert (studies["avg+max"][0], studies["MOP"][0]) == (64, 2208)
    assert scores["gem"] > max(scores["avg"], scores["max"])
    average, connected = committed("gap_head").values()
    assert average[1] == average[3] > connected[3] + 50
    assert average[1] < connected[1]


@pytest.mark.parametrize("path", ["../README.md", "guide.md", "gallery/README.md"])
def test_links_lead_somewhere(path):
    page = DOCS / path
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text()):
        name, _, place = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE) if place else []
        slugs = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
        assert not place or place in slugs, target


def test_the_gallery_shows_every_picture():
    shown = re.findall(r"!\[.+\]\((.+)\.png\)", (DOCS / "gallery" / "README.md").read_text())
    assert sorted(shown) == sorted(gallery.FIGURES)
