"""Whose array is this? Views in, results out, and the backend that computes on them."""

import sys
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import cpu, kinds, reuse
from .operators import Operator

Array = NDArray[Any]  # or a `fastpool.cuda.DeviceArray`, which has what calls need of it

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
GROUPS = {
    "all": (*FLOATS, *INTEGERS, "bool"),
    "numbers": (*FLOATS, *INTEGERS),
    "floats": FLOATS,
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
    if isinstance(array, np.ma.MaskedArray) or not (isinstance(array, np.ndarray) or on_device(array)):
        if kinds.of(array):
            shown = f"got {argument} of {kinds.named(array)} beside numpy.ndarray"
            raise TypeError(f"the arrays of a call must be of one kind, {shown}")
        listed = argument == "x" and isinstance(array, list | tuple | int | float)
        hint = "; use np.asarray(x)" if listed else ""
        raise TypeError(
            f"{argument} must be an array (one of {kinds.TAKEN}; without a mask), "
            f"got {kinds.named(array)}{hint}"
        )
    subclass = isinstance(array, np.ndarray) and type(array) is not np.ndarray
    plain: Any = array.view(np.ndarray) if subclass else array  # type: ignore[attr-defined]
    if name(plain.dtype) not in GROUPS["all"]:
        raise TypeError(
            f"{argument} must have one of the dtypes {', '.join(GROUPS['all'])}, got {plain.dtype}"
        )
    native = plain.dtype.newbyteorder("=")
    if on_device(plain):
        return plain if plain.regular else plain.astype(native)  # type: ignore[no-any-return]
    if not plain.dtype.isnative:
        plain = plain.astype(native)
    itemsize = plain.itemsize
    regular = plain.flags.aligned and all(stride % itemsize == 0 for stride in plain.strides)
    return plain if regular else plain.copy()  # type: ignore[no-any-return]


def on_device(array: object) -> bool:
    """Whether an array is a view of one on a GPU."""
    return type(array).__name__ == "DeviceArray" and not isinstance(array, np.ndarray)


def backend(array: Array) -> ModuleType:
    """The module whose kernels compute on this kind of array."""
    return cpu if isinstance(array, np.ndarray) else sys.modules["fastpool.cuda"]


def place(array: Array) -> Any:
    """What plans depend on beside shape, strides and dtype: the device, and an array's alignment there."""
    return array.flags.aligned if isinstance(array, np.ndarray) else (array.where.device, array.address % 16)


# What calls do with arrays of either device ---------------------------------------------------------------


def empty(shape: Sequence[int], dtype: Any, like: Array) -> Array:
    """A new C-contiguous array on the device of another."""
    return reuse.result(shape, dtype) if isinstance(like, np.ndarray) else like.empty(shape, dtype)


def zeros(shape: Sequence[int], dtype: Any, like: Array) -> Array:
    """As `empty`, of zeros."""
    return np.zeros(shape, dtype) if isinstance(like, np.ndarray) else like.zeros(shape, dtype)


def full(shape: Sequence[int], dtype: Any, value: float, like: Array) -> Array:
    """As `empty`, of one value."""
    return np.full(shape, value, dtype) if isinstance(like, np.ndarray) else like.full(shape, dtype, value)


def is_c(array: Array) -> bool:
    """Whether a kernel may write it as C-contiguous memory."""
    return bool(array.flags.carray if isinstance(array, np.ndarray) else array.contiguous and array.regular)


def written(out: Array) -> Array:
    """Where kernels write what `out` is to hold: there, if that is C-contiguous, else new memory."""
    plain = out.view(np.ndarray) if isinstance(out, np.ndarray) else out
    return plain if is_c(plain) else empty(out.shape, out.dtype, out)


def contiguous(array: Array, dtype: Any = None) -> Array:
    """The array, or a copy, C-contiguous and of a dtype."""
    if isinstance(array, np.ndarray):
        return np.ascontiguousarray(array, dtype)
    wanted = dtype or array.dtype
    return array if array.contiguous and array.dtype == wanted else array.astype(wanted)


def cast(array: Array, dtype: Any) -> Array:
    """The array, or a copy of another dtype."""
    return array if array.dtype == dtype else array.astype(dtype)


def assign(target: Array, source: Array) -> None:
    """Copy elements."""
    if isinstance(target, np.ndarray):
        target[...] = source
    else:
        backend(target).assign(target, source)


def accumulate(target: Array, source: Array) -> None:
    """Add elements to others."""
    if isinstance(target, np.ndarray):
        target += source
    else:
        backend(target).accumulate(target, source)


def beside(array: Array, other: Array) -> Array:
    """The array, for the stream that another's library computes on by now."""
    return array if isinstance(array, np.ndarray) else array.beside(other)


def spread_to(array: Array, shape: tuple[int, ...], argument: str) -> Array:
    """A view of another shape, of which axes that the array lacks or has once have a stride of 0.

    An array that has the shape is returned as it is.

    Raises
    ------
    ValueError
        Where the array does not broadcast to the shape.
    """
    if array.shape == shape:
        return array
    own = (1,) * (len(shape) - array.ndim) + tuple(array.shape)
    if array.ndim > len(shape) or any(n not in (1, length) for n, length in zip(own, shape, strict=True)):
        raise ValueError(f"{argument} must broadcast to the shape of x, {shape}, got shape {array.shape}")
    if isinstance(array, np.ndarray):
        return np.broadcast_to(array, shape)
    return array.spread_to(shape)


def row(array: Array, number: int) -> Array:
    """A view of one element of the first axis."""
    return array[number : number + 1] if isinstance(array, np.ndarray) else array.row(number)


def last_part(array: Array, first: int, last: int) -> Array:
    """A view of elements `first` to `last` of the last axis."""
    return array[..., first:last] if isinstance(array, np.ndarray) else array.part(first, last)


def cut(array: Array, starts: Sequence[int], lengths: Sequence[int], steps: Sequence[int]) -> Array:
    """A view of so many elements along each axis, from one on, at a distance, which may be negative."""
    if not isinstance(array, np.ndarray):
        found: Array = array.cut(starts, lengths, steps)
        return found
    ends = [a + n * step for a, n, step in zip(starts, lengths, steps, strict=True)]
    slices = [
        slice(a, end if end >= 0 else None, step) for a, end, step in zip(starts, ends, steps, strict=True)
    ]
    return array[tuple(slices)]


def added(parts: Sequence[Any]) -> Any:
    """The sum of numbers or arrays, those of 16 bits in float32."""
    first, *others = parts
    if isinstance(first, float):
        return sum(parts)
    total = first.astype(np.result_type(np.float32, first.dtype))
    for part in others:
        accumulate(total, part)
    return cast(total, first.dtype)


def to_host(array: Any) -> Any:
    """A copy of an array on a GPU, for which the call waits; anything else as it is."""
    return array.to_host() if on_device(array) else array


def copied(array: Array) -> Array:
    """A C-contiguous copy, which is ours alone."""
    return array.copy() if isinstance(array, np.ndarray) else array.astype(array.dtype)


def positions(flat: Array, lengths: Sequence[int]) -> list[Array]:
    """Flat C-order positions of an array of these lengths, as one array of positions an axis.

    `numpy.unravel_index` gives wrong ones for some arrays of more than 8,192 (NumPy 2.4).
    """
    found: list[Array] = []
    for n in reversed(lengths):
        flat, position = np.divmod(flat, max(n, 1))
        found.insert(0, position)
    return found


def gathered(array: Array, numbers: NDArray[np.int64], axis: int) -> Array:
    """The slices of an array along an axis that `numbers` lists, in that order; a C-contiguous copy."""
    if isinstance(array, np.ndarray):
        return np.ascontiguousarray(np.take(array, numbers, axis))
    found: Array = backend(array).gathered(array, numbers, axis)
    return found


def looked_up(table: NDArray[np.int64], indices: Array) -> Array:
    """The entries of a table that indices name, in their dtype; negative ones stay as they are."""
    if isinstance(indices, np.ndarray):
        return np.where(indices < 0, indices, table[indices].astype(indices.dtype))
    found: Array = backend(indices).looked_up(table, indices)
    return found


def raise_to(array: Array, least: int) -> None:
    """Replace what is less, in a C-contiguous array of int64."""
    if isinstance(array, np.ndarray):
        np.maximum(array, least, out=array)
    else:
        backend(array).raise_to(array, least)


def bounds(array: Array) -> tuple[int, int]:
    """Smallest and largest element of an array of integers that is not empty."""
    if isinstance(array, np.ndarray):
        return int(array.min()), int(array.max())
    low, high = backend(array).bounds(array)
    return low, high


def times(array: Array, factor: float) -> Array:
    """An array of float64 times a number."""
    if factor == 1:
        return array
    scaled: Array = backend(array).product(array, full(array.shape, np.float64, factor, array))
    return scaled


def inner(a: Array, b: Array) -> Any:
    """The sum of products: a float, or an array without axes on a GPU; `b` is of float64, and used up."""
    if isinstance(a, np.ndarray):
        return float(np.sum(a.astype(np.float64) * b))
    return backend(a).inner(a, b)


def check_dtype(row: Operator, dtype: np.dtype[Any]) -> None:
    """TypeError where an operator does not take a dtype."""
    if name(dtype) not in GROUPS[row.dtypes]:
        raise TypeError(f"{row.name} pooling takes {', '.join(GROUPS[row.dtypes])}, got x of {dtype}")


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype is one of `FLOATS` (bfloat16 has no kind of its own)."""
    return name(dtype) in FLOATS


def result_dtype(
    row: Operator, source: np.dtype[Any], wanted: Any, *, weighed: bool = False
) -> np.dtype[Any]:
    """Dtype of a result: `wanted`, else the input's, but for sums (as `numpy.sum`) and averages of bool.

    Counts are int64; with weights they, and sums and averages of integers, are float64.
    """
    if wanted is None:
        if (weighed and row.counts) or ((weighed or row.to_floats) and not is_float(source)):
            return np.dtype(np.float64)
        if row.counts:
            return np.dtype(np.int64)
        if is_float(source) or not (row.promotes or row.averages):
            return source
        if row.averages:
            return np.dtype(np.float64) if source == np.bool_ else source
        promoted: np.dtype[Any] = np.sum(np.empty(0, source)).dtype
        return promoted
    try:
        dtype: np.dtype[Any] = np.dtype(wanted)
    except (TypeError, ValueError):
        raise TypeError(f"dtype must be the result's, as numpy.dtype takes it, got {wanted!r}") from None
    allowed = FLOATS if (is_float(source) and not row.counts) or row.to_floats else GROUPS["numbers"]
    if source == np.bool_ and not (row.promotes or row.to_floats):
        allowed = FLOATS if row.averages else GROUPS["all"]
    if name(dtype) not in allowed or not dtype.isnative:
        raise TypeError(f"dtype must be one of {', '.join(allowed)} for x of {source}, got {dtype}")
    return dtype


def check_apart(out: Any, **inputs: Any) -> None:
    """ValueError where `out` shares memory with a user's own arrays, as they were before any conversion."""
    for argument, given in inputs.items():
        if any(_overlap(out, each) for each in (given if isinstance(given, list | tuple) else (given,))):
            raise ValueError(f"out must share no memory with {argument}")


def result(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], x: Array) -> Any:
    """A new C-contiguous array, or `out` after a check that the result may be written there."""
    if out is None:
        return empty(shape, dtype, x)
    if isinstance(out, np.ma.MaskedArray) or not (isinstance(out, np.ndarray) or on_device(out)):
        raise TypeError(f"out must be an array like the result, got {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out must have the result's shape {shape}, got {out.shape}")
    if out.dtype != dtype:
        raise ValueError(f"out must have the result's dtype {dtype}, got {out.dtype}")
    if not (out.flags.writeable if isinstance(out, np.ndarray) else out.writeable):
        raise ValueError("out must be writeable, got a read-only array")
    return out


def _overlap(out: Any, given: Any) -> bool:
    one, other = out, given
    if not (type(out) is type(given) is np.ndarray):  # the usual call takes 2 us less
        if not all(isinstance(array, np.ndarray) or on_device(array) for array in (out, given)):
            return False  # what is no array shares nothing, and is refused elsewhere
        one, other = (a if isinstance(a, np.ndarray) else a.placed() for a in (out, given))
    if not np.may_share_memory(one, other):
        return False
    try:
        return np.shares_memory(one, other, max_work=100_000)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True
