"""Docstrings of all that a user calls: numpydoc's validation, all of it, and what each function must say."""

import importlib
import inspect
import re

import pytest

import fastpool
from fastpool.operators import OPERATORS

MODULES = (
    "fastpool",
    "fastpool.compat.keras",
    "fastpool.compat.onnx",
    "fastpool.compat.tensorflow",
    "fastpool.compat.torch",
    "fastpool.descriptors",
    "fastpool.pyramid",
)


def public(module):
    """The names of a module's functions and classes that users call, those of other modules left out."""
    found = importlib.import_module(module)
    given = getattr(found, "__all__", None)
    return given or [
        name
        for name, value in vars(found).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module
        and value.__name__ == name  # not another library's second name for the same
    ]


NAMES = [f"{module}.{name}" for module in MODULES for name in public(module)]


def loaded(name):
    module, _, own = name.rpartition(".")
    return getattr(importlib.import_module(module), own)


@pytest.mark.parametrize("name", NAMES)
def test_numpydoc_finds_nothing(name):
    validate = pytest.importorskip("numpydoc.validate")
    assert validate.validate(name)["errors"] == []


@pytest.mark.parametrize("name", [name for name in NAMES if inspect.isfunction(loaded(name))])
def test_a_function_has_parameters_results_and_an_example(name):
    function = loaded(name)
    given, text = inspect.signature(function), inspect.getdoc(function)
    assert ("\nParameters\n---" in text) == bool(given.parameters)
    assert ("\nReturns\n---" in text) == (given.return_annotation not in (None, "None"))
    assert "\n>>> " in text


@pytest.mark.parametrize("library", ["dask", "xarray"])
def test_functions_name_the_libraries_whose_arrays_they_take(library):
    pytest.importorskip(library)
    taking = importlib.import_module(f"fastpool.interop.{library}").FUNCTIONS
    sliding = {f"{op}_pool" for op in OPERATORS}
    for name in fastpool.__all__:
        described = re.search(r"^x : .*?(?=^\w)", inspect.getdoc(getattr(fastpool, name)), re.S | re.M)
        general = re.sub(r"^(adaptive|global)_(avg|max|sum)_pool$", r"\1_pool", name)
        if described:
            assert (library in described[0]) == (name in sliding or general in taking), name


def test_the_same_parameter_has_the_same_sentence():
    """Of the functions of one operator, whose shared parameters mean the same in all."""
    docscrape = pytest.importorskip("numpydoc.docscrape")
    shared = (
        "x",
        "window",
        "stride",
        "padding",
        "dilation",
        "ceil_mode",
        "axes",
        "border",
        "footprint",
        "where",
        "skipna",
        "nodata",
    )
    functions = [fastpool.pool, *(getattr(fastpool, f"{op}_pool") for op in OPERATORS)]
    found = [docscrape.FunctionDoc(function)["Parameters"] for function in functions]
    texts = [{p.name: (p.type, p.desc) for p in own if p.name in shared} for own in found]
    assert len(texts[0]) == len(shared)
    assert all(text == texts[0] for text in texts)
