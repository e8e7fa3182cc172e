"""Arguments of descriptors; every message names the argument, what came and what is allowed."""

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]


def one_of(name: str, value: object, allowed: Sequence[str]) -> str:
    """One of the words allowed."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def integer(name: str, value: Any) -> int:
    """An integer of at least 1."""
    if isinstance(value, bool | np.bool_) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer of at least 1, got {value!r}")
    if index(value) < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    return index(value)


def positive(name: str, value: Any) -> float:
    """A finite real number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a real number above 0, got {value!r}")
    if not 0 < value < np.inf:
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")
    return float(value)


def boolean(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def array(name: str, value: Any, axes: str, *, floats: bool = True) -> Any:
    """An array with the axes that `axes` spells, such as ``"N C H W"``; only the first may be empty."""
    shape = f"({', '.join(axes.split())})"
    if not hasattr(value, "dtype") or not hasattr(value, "shape"):
        raise TypeError(f"{name} must be an array of shape {shape}, got {type(value).__name__}")
    if floats and "float" not in str(value.dtype):
        raise TypeError(f"{name} must have a float dtype, got {value.dtype}")
    if len(value.shape) != len(axes.split()) or 0 in value.shape[1:]:
        raise ValueError(
            f"{name} must have shape {shape}, only the first of which may be 0, got {tuple(value.shape)}"
        )
    return value


def sets_of_rows(name: str, value: Any) -> list[Rows]:
    """Sets of vectors of one length: each an array of shape (number, length), in float64."""
    if not isinstance(value, list | tuple | np.ndarray):
        raise TypeError(f"{name} must be a sequence of arrays of shape (P, D), got {type(value).__name__}")
    sets = [np.asarray(rows) for rows in value]
    for rows in sets:
        if rows.dtype.kind not in "fiu" and str(rows.dtype) != "bfloat16":
            raise TypeError(f"{name} must hold arrays of real numbers, got {rows.dtype}")
        if rows.ndim != 2 or rows.shape[1] == 0:
            raise ValueError(f"{name} must hold arrays of shape (P, D), with D at least 1, got {rows.shape}")
        if rows.shape[1] != sets[0].shape[1]:
            raise ValueError(
                f"{name} must hold vectors of one length D, got {sets[0].shape[1]} and {rows.shape[1]}"
            )
    converted = [rows.astype(np.float64) for rows in sets]
    if not all(np.isfinite(rows).all() for rows in converted):
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return converted
