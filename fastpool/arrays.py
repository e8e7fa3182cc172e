"""Whose array is this? Views in, results out, and the backend that computes on them."""

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import cpu
from .operators import Operator

Array = NDArray[Any]

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
GROUPS = {
    "all": (*FLOATS, *INTEGERS, "bool"),
    "numbers": (*FLOATS, *INTEGERS),
    "floats": FLOATS,
    "discrete": (*INTEGERS, "bool"),
}


@cache
def name(dtype: np.dtype[Any]) -> str:
    """A dtype's name; NumPy makes it anew at each question."""
    return dtype.name


def take(argument: str, array: object) -> Array:
    """A user's array as a plain, native, aligned ndarray: a view wherever that is possible.

    Raises
    ------
    TypeError
        For anything that is not an array of a known kind.
    """
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        kind = f"{type(array).__module__}.{type(array).__qualname__}"
        raise TypeError(f"{argument} must be a NumPy array (numpy.ndarray, without a mask), got {kind}")
    plain = array.view(np.ndarray)
    if name(plain.dtype) not in GROUPS["all"]:
        raise TypeError(
            f"{argument} must have one of the dtypes {', '.join(GROUPS['all'])}, got {plain.dtype}"
        )
    if not plain.dtype.isnative:
        plain = plain.astype(plain.dtype.newbyteorder("="))
    itemsize = plain.itemsize
    regular = plain.flags.aligned and all(stride % itemsize == 0 for stride in plain.strides)
    return plain if regular else plain.copy()


def backend(array: Array) -> ModuleType:
    """The module whose kernels compute on this kind of array."""
    return cpu


def check_dtype(row: Operator, dtype: np.dtype[Any]) -> None:
    """TypeError where an operator does not take a dtype."""
    if name(dtype) not in GROUPS[row.dtypes]:
        raise TypeError(f"{row.name} pooling takes {', '.join(GROUPS[row.dtypes])}, got x of {dtype}")


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype is one of `FLOATS` (bfloat16 has no kind of its own)."""
    return name(dtype) in FLOATS


def result_dtype(row: Operator, source: np.dtype[Any], wanted: Any) -> np.dtype[Any]:
    """Dtype of an operator's result: as the input, or promoted as in `numpy.sum`, or `wanted`."""
    if wanted is None:
        if not row.promotes or is_float(source):
            return source
        promoted: np.dtype[Any] = np.sum(np.empty(0, source)).dtype
        return promoted
    dtype: np.dtype[Any] = np.dtype(wanted)
    allowed = FLOATS if is_float(source) else GROUPS["numbers"]
    allowed = (*allowed, "bool") if source == np.bool_ else allowed
    if name(dtype) not in allowed or not dtype.isnative:
        raise TypeError(f"dtype must be one of {', '.join(allowed)} for x of {source}, got {dtype}")
    return dtype


def result(out: object, shape: tuple[int, ...], dtype: np.dtype[Any], x: Array) -> Array:
    """A new C-contiguous array, or `out` after a check that the result may be written there."""
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out must be a NumPy array like the result, got {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out must have the result's shape {shape}, got {out.shape}")
    if out.dtype != dtype:
        raise ValueError(f"out must have the result's dtype {dtype}, got {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out must be writeable, got a read-only array")
    if _overlap(out, x):
        raise ValueError("out must share no memory with x")
    return out


def _overlap(out: Array, x: Array) -> bool:
    if not np.may_share_memory(out, x):
        return False
    try:
        return np.shares_memory(out, x, max_work=100_000)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True
