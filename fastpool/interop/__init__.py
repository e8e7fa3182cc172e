"""fastpool inside other libraries' machinery: PyTorch, JAX, dask and xarray."""

from importlib import import_module
from types import ModuleType

PARTS = ("dask", "jax", "torch", "xarray")  # loaded when used, with the library of that name


def __getattr__(name: str) -> ModuleType:
    if name in PARTS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(PARTS)
