"""Every numba option in one place: how kernels are compiled, named and cached."""

import hashlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from numba import njit
from numba.extending import register_jitable

# error_model: division as in NumPy, no test for a zero divisor. No fast-math: NaN, infinities and the order
# of additions are part of the contract. nogil: kernels are what our own threads run side by side.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

# The same of CUDA kernels. fastmath=False also keeps subnormal numbers and exact divisions.
CUDA_OPTIONS: dict[str, Any] = {"fastmath": False}
CUDA_INLINED: dict[str, Any] = {"forceinline": True}


@cache
def source_digest() -> int:
    """A number that changes with the source of any expression a kernel is built from.

    numba's cache key covers the file that defines a kernel, not the helpers it calls; kernels capture this
    number, so that an edited operator misses the cache.
    """
    room = Path(__file__).parent
    shared = (room / f"{name}.py" for name in ("folds", "halves", "merges", "selection", "random"))
    text = b"".join(path.read_bytes() for path in sorted([*shared, *room.glob("cpu/*.py")]))
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big")


def register(module: ModuleType | str, **options: bool) -> None:
    """Let kernels call the plain functions that a module defines; they are inlined, unless told else."""
    found = sys.modules[module] if isinstance(module, str) else module
    for function in vars(found).values():
        if isinstance(function, FunctionType) and function.__module__ == found.__name__:
            register_jitable(**(options or {"forceinline": True}))(function)


def kernel(function: Callable[..., None], name: str) -> Callable[..., None]:
    """Compile lazily under `name`, with the on-disk cache where some folder can be written."""
    function.__name__ = function.__qualname__ = name
    try:
        compiled: Callable[..., None] = njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # numba: "no locator available", as on a read-only installation
        compiled = njit(**OPTIONS)(function)
    return compiled


def cache_folder() -> str:
    """Where compiled kernels are kept; empty where no folder can be written."""

    def probe() -> None:
        pass

    compiled: Any = kernel(probe, "probe")
    return str(compiled.stats.cache_path or "")
