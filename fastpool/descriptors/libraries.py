"""What descriptors do to arrays of any library besides pooling."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastpool as fp


def library(x: Any) -> Any:
    """The module that made an array, with its `concatenate`, `log` and `exp`."""
    root = type(x).__module__.partition(".")[0]
    return sys.modules["jax.numpy" if root.startswith("jax") else root]


def beside(x: Any, values: NDArray[Any]) -> Any:
    """NumPy's `values` as an array of the library and on the device of `x`."""
    if isinstance(x, np.ndarray):
        return values
    made = library(x)
    return made.asarray(values, device=x.device) if made.__name__ == "torch" else made.asarray(values)


def on_host(x: Any) -> NDArray[Any]:
    """An array as one of NumPy."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
    return np.asarray(x.get() if hasattr(x, "get") else x)


def single(x: Any) -> Any:
    """Floats of 16 bits as float32, in which descriptors add up and are normalised; others as they are."""
    return as_dtype(x, library(x).float32) if "float16" in str(x.dtype) else x


def as_dtype(x: Any, dtype: Any) -> Any:
    """The same numbers in another dtype of their library."""
    return x.to(dtype) if hasattr(x, "detach") else x.astype(dtype)


def l2_normalized(x: Any) -> Any:
    """Each vector along the last axis divided by its length; zeros stay."""
    length = fp.global_pool(x, "lp", p=2, axes=-1, keepdims=True)
    return x / (length + (length == 0))
