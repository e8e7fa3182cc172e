"""Positions of chosen elements, as PyTorch, TensorFlow and ONNX number them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from . import arrays, checks
from .annotations import AnyArray, ArrayT, Axes, NumpyArray, Result
from .arrays import Array
from .kinds import any_kind

Layout: TypeAlias = Literal["torch", "tensorflow", "onnx"]
LAYOUTS = ("torch", "tensorflow", "onnx")


@overload
def convert_indices(
    i: NumpyArray,
    to: Layout,
    *,
    shape: Sequence[SupportsIndex],
    axes: Axes | None = ...,
    source: Layout = ...,
    include_batch: bool = ...,
    storage_order: int = ...,
) -> NDArray[np.int64]: ...
@overload
def convert_indices(
    i: ArrayT,
    to: Layout,
    *,
    shape: Sequence[SupportsIndex],
    axes: Axes | None = ...,
    source: Layout = ...,
    include_batch: bool = ...,
    storage_order: int = ...,
) -> ArrayT: ...
@any_kind
def convert_indices(
    i: AnyArray,
    to: Layout,
    *,
    shape: Sequence[SupportsIndex],
    axes: Axes | None = None,
    source: Layout = "torch",
    include_batch: bool = False,
    storage_order: int = 0,
) -> Result:
    """Convert indices of one framework's pooling to those of another.

    A layout is an order of axes in which an element's position is flat, the last axis fastest:

    - ``"torch"``, which is fastpool's own: the pooled axes, ``y W + x``;
    - ``"tensorflow"``: the pooled axes, then the channels, ``(y W + x) C + c``; with `include_batch` the
      batch before them, ``((b H + y) W + x) C + c``;
    - ``"onnx"``: the whole array, channels first, ``((b C + c) H + y) W + x``; with ``storage_order=1`` the
      pooled axes in reverse, ``((b C + c) W + x) H + y``.

    Of the axes that are not pooled the first is the batch, and the others are channels, wherever the array
    has them.

    Parameters
    ----------
    i : ndarray of int
        Indices, with the axes of the pooled array in its order: an array of NumPy, or of PyTorch or JAX in
        the memory of the CPU.
    to : {"torch", "tensorflow", "onnx"}
        The wanted layout.
    shape : sequence of int
        Shape of the array that was pooled.
    axes : int or sequence of int, optional
        Its pooled axes; by default every axis after the first two.
    source : {"torch", "tensorflow", "onnx"}
        The layout that `i` has.
    include_batch : bool
        What TensorFlow's ``include_batch_in_index`` was, or is to be.
    storage_order : {0, 1}
        The attribute of ONNX's MaxPool.

    Returns
    -------
    ndarray of int64, shape of `i`
        The same elements in the wanted layout, in an array of the kind of `i`; JAX has int32 unless its
        64-bit numbers are switched on.

    Raises
    ------
    TypeError
        If indices are not of integers or are on a GPU, or an argument has a wrong type.
    ValueError
        If a layout is unknown, a shape does not fit `i`, or an index lies outside of the array or names an
        element of another image or channel.

    See Also
    --------
    max_pool : Gives indices.
    unpool : Write values to where their indices say.
    fastpool.compat.tensorflow.max_pool_with_argmax : Indices as TensorFlow numbers them.

    Notes
    -----
    Indices are converted exactly, in 64 bits, by NumPy on one thread.

    References
    ----------
    .. [1] ONNX operators, MaxPool.
    .. [2] TensorFlow, ``tf.nn.max_pool_with_argmax``.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.arange(24.0).reshape(1, 4, 3, 2)  # one image of 4 x 3 with 2 channels last
    >>> y, i = fp.max_pool(x, (2, 3), axes=(1, 2), return_indices=True)
    >>> i.reshape(-1)
    array([ 5,  5, 11, 11], dtype=int32)
    >>> there = fp.convert_indices(i, to="tensorflow", shape=x.shape, axes=(1, 2))
    >>> there.reshape(-1)
    array([10, 11, 22, 23])
    >>> fp.convert_indices(there, to="torch", source="tensorflow", shape=x.shape, axes=(1, 2)).reshape(-1)
    array([ 5,  5, 11, 11])
    """
    flat = arrays.take("i", i)
    if not isinstance(flat, np.ndarray):
        raise TypeError("i must be in the memory of the CPU, got an array on a GPU")
    if flat.dtype.kind not in "iu":
        raise TypeError(f"i must be an array of integers, got {flat.dtype}")
    if not checks.is_sequence(shape):
        raise TypeError(f"shape must be a sequence of integers, got {shape!r}")
    lengths = tuple(checks.integer("shape", n, minimum=0) for n in shape)
    pooled = tuple(sorted(checks.pooled_axes("", None, axes, len(lengths))))
    others = tuple(axis for axis in range(len(lengths)) if axis not in pooled)
    if flat.ndim != len(lengths) or any(flat.shape[axis] != lengths[axis] for axis in others):
        raise ValueError(
            f"i must have the axes of shape {lengths}, of the same lengths where they are not pooled, "
            f"got {flat.shape}"
        )
    batch = checks.boolean("include_batch", include_batch)
    orders = {
        "torch": pooled,
        "tensorflow": others[:1] * batch + pooled + others[1:],
        "onnx": others + (pooled[::-1] if _storage_order(storage_order) else pooled),
    }
    found, wanted = orders[_layout("source", source)], orders[_layout("to", to)]
    own = dict(zip(range(flat.ndim), np.ogrid[tuple(map(slice, flat.shape))], strict=True))
    places = _places(flat, found, lengths)
    for axis in set(found) & set(others):
        if (places[axis] != own[axis]).any():
            raise ValueError(f"i names an element that is elsewhere on axis {axis}, which is not pooled")
    result = np.zeros(flat.shape, np.int64)
    for axis in wanted:
        result *= lengths[axis]
        result += places[axis] if axis in pooled else own[axis]
    return result


def _layout(name: str, layout: object) -> str:
    if not isinstance(layout, str):
        raise TypeError(f"{name} must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    if layout not in LAYOUTS:
        raise ValueError(f"{name} must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    return layout


def _storage_order(value: object) -> int:
    order = checks.integer("storage_order", value, minimum=0)
    if order > 1:
        raise ValueError(f"storage_order must be 0 (row major) or 1 (column major), got {order}")
    return order


def _places(flat: Array, order: tuple[int, ...], lengths: tuple[int, ...]) -> dict[int, Array]:
    """Each index as a position on every axis of an order."""
    size = int(np.prod([lengths[axis] for axis in order], dtype=object))
    outside = (flat < 0) | (flat >= size)
    if outside.any():
        raise ValueError(f"i must be in 0..{size - 1}, got {flat[outside][0]}")
    found = arrays.positions(flat.astype(np.int64), [lengths[axis] for axis in order])
    return dict(zip(order, found, strict=True))
