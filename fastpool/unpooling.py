"""Unpooling: values back to the places that indices name, the inverse of ``return_indices``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, SupportsIndex, overload

import numpy as np

from . import arrays, checks, jobs, ways
from .annotations import AnyArray, ArrayT, Axes, Duplicates, NumpyArray, Result
from .arrays import Array
from .kinds import any_kind

RULES = ("last", "sum", "error")
WAY = ways.Way("indexing", "NumPy writes values to the places of their indices", tasks=1)


@overload
def unpool(
    y: NumpyArray,
    indices: AnyArray,
    shape: Sequence[SupportsIndex],
    *,
    axes: Axes | None = ...,
    duplicates: Duplicates = ...,
) -> NumpyArray: ...
@overload
def unpool(
    y: ArrayT,
    indices: AnyArray,
    shape: Sequence[SupportsIndex],
    *,
    axes: Axes | None = ...,
    duplicates: Duplicates = ...,
) -> ArrayT: ...
@any_kind
def unpool(
    y: AnyArray,
    indices: AnyArray,
    shape: Sequence[SupportsIndex],
    *,
    axes: Axes | None = None,
    duplicates: Duplicates = "last",
) -> Result:
    """Write each value to the element that its index names, and 0 everywhere else.

    ``x[indices[o]] = y[o]`` in each plane: the inverse of pooling with ``return_indices=True``.

    Parameters
    ----------
    y : ndarray, shape (N, C, ...) or any other
        Values, of any dtype that pooling takes.
    indices : ndarray of int, shape of `y`
        Positions of the values, flat in C order within the pooled axes of a plane, as ``return_indices=True``
        gives them.
    shape : sequence of int
        Shape of the result, or the lengths of its pooled axes alone.
    axes : int or sequence of int, optional
        The pooled axes. By default they are the last ``len(shape)`` axes where `shape` is shorter than
        ``y.shape``; else every axis after the first two, or from the first axis whose length changes if that
        comes first.
    duplicates : {"last", "sum", "error"}
        What happens where two values of a plane name the same element: the last one in C order stays, they
        add up (floats of 16 bits in float32), or a ValueError is raised.

    Returns
    -------
    ndarray
        Of the kind and dtype of `y`, and of the asked shape.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or indices are not of integers.
    ValueError
        If indices have another shape than `y` or lie outside their plane, if a shape does not fit, or if
        indices repeat with ``duplicates="error"``.

    See Also
    --------
    max_pool : Gives values and indices.
    unpool_backward : Gradient of this function.
    mosaic : Write each value over its whole cell.
    convert_indices : Indices of other frameworks.

    Notes
    -----
    Values are copied as they are, NaN too. The gradient of a value is that of its element, and 0 for a value
    that another one replaced. On the CPU the values are written by NumPy, on one thread.

    References
    ----------
    .. [1] Zeiler, Fergus 2014, Visualizing and understanding convolutional networks, arXiv 1311.2901
       (unpooling).

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.array([[1, 5], [7, 2], [0, 3], [4, 6]])
    >>> y, i = fp.max_pool(x, (2, 2), return_indices=True)
    >>> fp.unpool(y, i, x.shape)
    array([[0, 0],
           [7, 0],
           [0, 0],
           [0, 6]])
    """
    values = arrays.take("y", y)
    if not isinstance(duplicates, str):
        raise TypeError(f"duplicates must be one of {', '.join(RULES)}, got {duplicates!r}")
    if duplicates not in RULES:
        raise ValueError(f"duplicates must be one of {', '.join(RULES)}, got {duplicates!r}")
    if values.ndim < 1:
        raise ValueError("y must have at least one axis")
    full, pooled = _full_shape(values.shape, shape, axes)
    if math.prod(full) * values.itemsize > jobs.LARGEST:
        raise ValueError(f"shape must have at most 2**62 bytes, got {full} of {values.dtype}")
    plane = [full[axis] for axis in pooled]
    flat = jobs.checked_indices("indices", indices, values.shape, math.prod(plane))
    result: Array | None
    read: Callable[[Array], Array]
    if ways.ASKED.get() is not None:
        result, read = arrays.zeros(full, values.dtype, values), np.asarray
        ways.note("unpool", "single elements, by index", values, result, None, lambda: WAY)
    elif not isinstance(values, np.ndarray):
        backend = arrays.backend(values)
        result, read = backend.unpool(values, flat, full, pooled, duplicates)
    else:
        result, read = _written(values, _places(flat, full, pooled), full, duplicates)
    if result is None:
        raise ValueError('indices name an element twice, which duplicates="error" forbids')
    tape = jobs.TAPE.get()
    if tape is not None:
        tape.append(partial(_pull, read, full))
    return result


@any_kind
def unpool_backward(
    gx: ArrayT,
    y: AnyArray,
    indices: AnyArray,
    shape: Sequence[SupportsIndex],
    *,
    axes: Axes | None = None,
    duplicates: Duplicates = "last",
) -> ArrayT:
    """Compute the gradient of `unpool` for `y`.

    ``gy[o] = gx[indices[o]]``, and 0 for values that another one replaced.

    Parameters
    ----------
    gx : ndarray, shape of the result
        Gradient for the result of `unpool`.
    y : ndarray, shape (N, C, ...) or any other
        Values, of any dtype that pooling takes.
    indices : ndarray of int, shape of `y`
        Positions of the values, flat in C order within the pooled axes of a plane, as ``return_indices=True``
        gives them.
    shape : sequence of int
        Shape of the result, or the lengths of its pooled axes alone.
    axes : int or sequence of int, optional
        The pooled axes. By default they are the last ``len(shape)`` axes where `shape` is shorter than
        ``y.shape``; else every axis after the first two, or from the first axis whose length changes if that
        comes first.
    duplicates : {"last", "sum", "error"}
        What happens where two values of a plane name the same element: the last one in C order stays, they
        add up (floats of 16 bits in float32), or a ValueError is raised.

    Returns
    -------
    ndarray, shape of `y`
        Of the kind and dtype of `gx`.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or indices are not of integers.
    ValueError
        As `unpool` raises it, and if `gx` has another shape than the result.

    See Also
    --------
    unpool : The function itself.
    vjp : The result and its way back.

    Notes
    -----
    Nothing is added up, and so nothing is rounded.

    References
    ----------
    .. [1] Zeiler, Fergus 2014, Visualizing and understanding convolutional networks, arXiv 1311.2901
       (unpooling).

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> y, i = np.array([7.0, 6.0]), np.array([1, 3])
    >>> fp.unpool_backward(np.array([0.1, 0.2, 0.3, 0.4]), y, i, (4,))
    array([0.2, 0.4])
    """
    with jobs.recording() as tape:
        unpool(y, indices, shape, axes=axes, duplicates=duplicates)
    gradient: Array = tape[0](gx)
    return gradient  # type: ignore[return-value]


def _pull(read: Callable[[Array], Array], shape: tuple[int, ...], gx: object, *, params: bool = False) -> Any:
    gy = read(jobs.checked_gradient(gx, shape, name="gx"))
    return (gy, {}) if checks.boolean("params", params) else gy


def _written(
    values: Array, places: Array, full: tuple[int, ...], duplicates: str
) -> tuple[Array | None, Callable[[Array], Array]]:
    """The result, None where a repetition forbids it; and what reads a gradient for the result back."""
    result = np.zeros(full, values.dtype)
    if duplicates == "sum":
        wide = np.zeros(full, np.float32) if values.dtype.name in ("float16", "bfloat16") else result
        np.add.at(wide.reshape(-1), places, values)
        result = wide.astype(values.dtype, copy=False)
    elif duplicates == "error" and np.unique(places).size < places.size:
        return None, np.asarray
    else:
        result.reshape(-1)[places.reshape(-1)] = values.reshape(-1)

    def read(gradient: Array) -> Array:
        flat = gradient.reshape(-1)
        gy = flat[places]
        if duplicates == "last":
            writer = np.zeros(flat.size, np.int64)
            order = np.arange(places.size).reshape(places.shape)
            writer[places.reshape(-1)] = order.reshape(-1)
            gy = np.where(writer[places] == order, gy, np.zeros((), gy.dtype))
        return gy

    return result, read


def _full_shape(given: tuple[int, ...], shape: Any, axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The result's shape and its pooled axes, ascending."""
    if not checks.is_sequence(shape):
        raise TypeError(f"shape must be a sequence of integers, got {shape!r}")
    lengths = tuple(checks.integer("shape", n, minimum=0) for n in shape)
    if axes is not None:
        pooled = checks.pooled_axes("shape", lengths, axes, len(given))
    elif len(lengths) == len(given):
        changed = [axis for axis, (a, b) in enumerate(zip(given, lengths, strict=True)) if a != b]
        pooled = tuple(range(min([2, len(given) - 1, *changed]), len(given)))
    else:
        pooled = checks.pooled_axes("shape", lengths, None, len(given))
    if len(lengths) == len(given):
        full = lengths
    elif len(lengths) == len(pooled):
        new = dict(zip(pooled, lengths, strict=True))
        full = tuple(new.get(axis, n) for axis, n in enumerate(given))
    else:
        raise ValueError(
            f"shape must have {len(given)} entries, or one for each of {len(pooled)} pooled axes, "
            f"got {lengths}"
        )
    wrong = [axis for axis, n in enumerate(given) if axis not in pooled and full[axis] != n]
    if wrong:
        raise ValueError(f"shape {full} and y of shape {given} differ on axes {wrong}, which are not pooled")
    return full, tuple(sorted(pooled))


def _places(flat: Array, full: tuple[int, ...], pooled: tuple[int, ...]) -> Array:
    """Positions in the whole C-ordered result for positions in planes."""
    strides = [int(np.prod(full[axis + 1 :], dtype=np.int64)) for axis in range(len(full))]
    places = np.zeros((1,) * len(full), np.int64)
    for axis, position in zip(pooled, arrays.positions(flat, [full[axis] for axis in pooled]), strict=True):
        places = places + position * strides[axis]
    for axis in set(range(len(full))) - set(pooled):
        along = tuple(-1 if axis == own else 1 for own in range(len(full)))
        places = places + (np.arange(full[axis]) * strides[axis]).reshape(along)
    return places
