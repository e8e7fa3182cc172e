"""Arithmetic with what is missing, element by element, for arrays in the host's memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def mask_of(x: Array, where: Array | None, nodata: Any, *, skipna: bool) -> Array:
    """1 where an element takes part, else 0: uint8, C-contiguous."""
    mask = np.ones(x.shape, np.bool_) if where is None else np.array(where, order="C")
    if skipna:
        mask &= x == x
    if nodata is not None:
        mask &= x != nodata
    return mask.view(np.uint8)


def settle(counts: Array, least: int, sums: Array | None, results: list[tuple[Array, Any]]) -> Array:
    """1 where a window has enough elements, of uint8; each of the results gets its value where not.

    A region without an element, of the count -1, keeps what it has. Weights that add up to 0, in `sums`, are
    none; they matter where at least one element is wanted.
    """
    few = _few(counts, least, sums)
    for result, value in results:
        if value is not None:
            np.copyto(result, value, where=few)
    return (~few & (counts > 0)).view(np.uint8)


def _few(counts: Array, least: int, sums: Array | None) -> Array:
    """Whether each window has too few elements."""
    few = counts < least
    if sums is not None and least > 0:
        few |= sums == 0
    found: Array = few & (counts >= 0)
    return found


def first_few(counts: Array, least: int, sums: Array | None) -> tuple[tuple[int, ...], int] | None:
    """The first window with too few elements and their number; None where all have enough."""
    few = _few(counts, least, sums)
    if not few.any():
        return None
    flat, place = int(np.argmax(few)), []
    for n in reversed(few.shape):
        flat, at = divmod(flat, n)
        place.append(at)
    found = tuple(reversed(place))
    return found, int(counts[found])


def shared(gy: Array, enough: Array, divisors: Array | None, dtype: Any) -> Array:
    """Gradients by their windows' divisors, and 0 where there are too few elements: C-contiguous."""
    divided = np.zeros(gy.shape, np.float64)
    if divisors is None:
        np.copyto(divided, gy.astype(np.float64), where=enough.view(np.bool_))
    else:
        np.divide(gy.astype(np.float64), divisors, out=divided, where=enough.view(np.bool_))
    return divided.astype(dtype)


def product(a: Array, b: Array) -> Array:
    """Of two arrays of float64."""
    result: Array = a * b
    return result


def replaced(indices: Array, own: Array, enough: Array) -> Array | None:
    """A caller's indices with our `own` in place of -1, which windows without enough have; None if others."""
    if ((indices < 0) != (enough == 0)).any():
        return None
    return np.where(indices < 0, own, indices)


def keep(gx: Array, mask: Array, weights: Array | None) -> None:
    """Set what is left out to 0, and multiply the rest by its weights."""
    if weights is not None:
        np.multiply(gx, weights, out=gx, where=mask.view(np.bool_))
    np.copyto(gx, 0, where=mask == 0)


def slope_of_weights(
    x: Array, mask: Array, sent: Array, means: Array | None, shape: tuple[int, ...]
) -> Array:
    """The sum of ``x sent - means`` over what takes part, along the axes that `shape` has not or has once."""
    each = np.zeros(x.shape, np.float64)
    np.multiply(x, sent, out=each, where=sent != 0, dtype=np.float64)  # no window reads the others
    if means is not None:
        each -= means
    np.copyto(each, 0, where=mask == 0)
    return summed_to(each, shape)


def summed_to(array: Array, shape: tuple[int, ...]) -> Array:
    """An array summed along the axes that were broadcast, from this shape to its own."""
    own = (1,) * (array.ndim - len(shape)) + shape
    axes = tuple(axis for axis, (n, m) in enumerate(zip(own, array.shape, strict=True)) if n != m)
    found: Array = array.sum(axes, keepdims=True).reshape(shape)
    return found
