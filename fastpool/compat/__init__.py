"""Other frameworks' words for pooling, over fastpool's own functions; no framework is imported.

`fastpool.compat.torch`, `.keras`, `.tensorflow` and `.onnx` have their framework's names, arguments, defaults
and results, on plain arrays. The 1d, 2d and 3d spellings here are those of `fastpool.compat.torch`.

Examples
--------
>>> import numpy as np
>>> from fastpool.compat import max_pool2d
>>> max_pool2d(np.arange(16.0).reshape(1, 4, 4), 2)
array([[[ 5.,  7.],
        [13., 15.]]])
"""

from importlib import import_module
from types import ModuleType

from .torch import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    fractional_max_pool2d,
    fractional_max_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)

PARTS = ("keras", "onnx", "tensorflow", "torch")  # loaded when used

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]


def __getattr__(name: str) -> ModuleType:
    if name in PARTS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *PARTS])
