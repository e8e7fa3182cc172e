"""How Sphinx builds the site: `python -m sphinx -W --keep-going -b html docs OUT`."""

import re

import fastpool

project = "fastpool"
author = "the fastpool developers"
project_copyright = author
release = version = fastpool.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "myst_parser",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]
default_role = "py:obj"  # `pool` in a docstring is a link
toc_object_entries_show_parents = "hide"
html_theme = "pydata_sphinx_theme"
html_title = "fastpool"
html_show_sourcelink = False
html_theme_options = {
    "github_url": "https://github.com/fastpool/fastpool",
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {page: [] for page in ("getting-started", "performance")}  # they have no pages below them
html_context = {"default_mode": "auto"}

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# A page of its own for each public name; the docstrings say the types, so signatures need not.
autosummary_generate = True
autodoc_typehints = "none"
templates_path = ["_templates"]
numpydoc_show_class_members = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

CODE = re.compile(r"(`+[^`]*`+)")
STAR = re.compile(r"(?<![\w*\\])\*(?=[a-z_]+[,)])")  # of a shape: (N, C, *spatial)


def escape_shapes(_app, _what, _name, _object, _options, lines):
    """Stars in shapes as stars, which would be emphasis in reStructuredText. Code keeps its own."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = CODE.split(line.replace(" `` ", "`` "))  # a space before the end is no end
            parts[::2] = [STAR.sub(r"\\*", part) for part in parts[::2]]
            lines[number] = "".join(parts)


def setup(app):
    app.connect("autodoc-process-docstring", escape_shapes, priority=400)  # before numpydoc, at 500
