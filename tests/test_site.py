"""The site builds without a warning, the search finds each public name, and links lead somewhere."""

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import fastpool as fp
from fastpool import descriptors, pyramid
from fastpool.compat import keras, onnx, tensorflow, torch

inventory = pytest.importorskip("sphinx.util.inventory")
for needed in ("myst_parser", "numpydoc", "pydata_sphinx_theme", "sphinx_copybutton", "sphinx_design"):
    pytest.importorskip(needed)
ROOT = Path(__file__).parents[1]


def own(module):
    """What a module without ``__all__`` defines and does not hide."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and value.__module__ == module.__name__
    ]


PUBLIC = [f"fastpool.{name}" for name in fp.__all__]
PUBLIC += [f"fastpool.descriptors.{name}" for name in descriptors.__all__]
PUBLIC += [
    f"{module.__name__}.{name}"
    for module in (torch, keras, tensorflow, onnx, pyramid)
    for name in own(module)
]


class Page(HTMLParser):
    """The places of a page that links may name, and its own links."""

    def __init__(self, path):
        super().__init__()
        self.places, self.links = set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.places.add(found.get("id"))
        if tag in ("a", "img"):
            self.links.add(found.get("href") or found.get("src") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(ROOT / "tools" / "site.py"), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_every_public_name_has_a_page_of_its_own(site):
    with (site / "objects.inv").open("rb") as file:
        found = inventory.InventoryFile.load(file, "", lambda base, uri: base + uri)
    kinds = ("py:function", "py:class", "py:attribute")  # an alias, as Keras has them, is an attribute
    pages = {name: item.uri for kind in kinds for name, item in found.get(kind, {}).items()}
    assert len(PUBLIC) > 150
    for name in PUBLIC:
        assert pages[name] == f"reference/generated/{name}.html#{name}", name
        assert f'id="{name}"' in (site / "reference" / "generated" / f"{name}.html").read_text()


def test_the_search_knows_every_public_name(site):
    index = (site / "searchindex.js").read_text()
    assert index.startswith("Search.setIndex(")
    for name in PUBLIC:
        assert f'"{name.rpartition(".")[2]}"' in index, name


def test_results_of_the_benchmarks_are_published(site):
    for folder in ("asv", "asv-libraries"):
        index = json.loads((site / folder / "index.json").read_text())
        assert index["project"] == "fastpool"
        assert index["benchmarks"]
        assert (site / folder / "index.html").exists()


def test_internal_links_lead_somewhere(site):
    ours = (path for path in site.rglob("*.html") if not path.is_relative_to(site / "asv"))
    pages = {path.resolve(): Page(path) for path in ours if not path.is_relative_to(site / "asv-libraries")}
    assert len(pages) > len(PUBLIC)
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), (path.name, link)
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].places, (path.name, link)
