"""Pooling of xarray objects: the public functions by names of dimensions, with coordinates and attributes.

``fp.max_pool(da, {"y": 2, "x": 2})``. The data may be in memory, on a GPU or of dask; it is pooled as such. A
numeric or time coordinate along pooled dimensions becomes its mean over each window's elements, as with
``coarsen``; any other is dropped there. Nothing of xarray is imported before an xarray object arrives.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any

import numpy as np

from .. import checks, jobs, kinds

FUNCTIONS = {  # and the argument that says which axes are pooled
    "pool": "window",
    "adaptive_pool": "output_size",
    "global_pool": "",
    "pool_backward": "window",
    "adaptive_pool_backward": "output_size",
    "global_pool_backward": "",
}
DEFAULTS = {"padding": 0, "dilation": 1}  # of dimensions that a dict leaves out; a stride is the window
LISTED = ("window", "stride", "padding", "dilation", "output_size")


def call(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    """What a public function gives for DataArrays.

    Raises
    ------
    TypeError
        For functions other than those of sliding, adaptive and global windows, for other objects of xarray,
        and for arrays of two kinds.
    ValueError
        For names that are no dimensions, and whatever the function itself refuses.
    """
    if function.__name__ not in FUNCTIONS:
        raise TypeError(
            f"{function.__name__} takes no xarray objects; functions that do: {', '.join(FUNCTIONS)}"
        )
    signature(function).bind(**given)
    if given.get("out") is not None:
        raise TypeError("out must be None for xarray objects, whose results have coordinates of their own")
    for argument in ("gy", "x", "indices"):
        if given.get(argument) is not None or (argument in ("gy", "x") and argument in given):
            _check_kind(argument, given[argument])
    x = given["x"]
    words = _positional(x, FUNCTIONS[function.__name__], given)
    if "gy" in given:
        return _backward(function, x, words)
    return _forward(function, x, words)


def _check_kind(argument: str, array: Any) -> None:
    from xarray import DataArray  # noqa: PLC0415 - an extra

    if not isinstance(array, DataArray):
        kind = f"{type(array).__module__}.{type(array).__qualname__}"
        raise TypeError(f"the arrays of a call must all be xarray.DataArray, got {argument} of {kind}")


# Names to positions --------------------------------------------------------------------------------------


def _positional(x: Any, lead: str, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments with axes in numbers and one entry for each of them."""
    words = dict(given)
    if isinstance(words.get(lead), Mapping):
        if words.get("axes") is not None:
            raise ValueError(f"axes must be None where {lead} names the dimensions, got {words['axes']!r}")
        words["axes"] = list(words[lead])
    words["axes"] = _numbers(x, words.get("axes"), lead)
    window = words.get(lead) if lead else None
    counted = tuple(window.values()) if isinstance(window, Mapping) else window
    axes = checks.pooled_axes(lead, counted, words["axes"], x.ndim)
    dims = [x.dims[axis] for axis in axes]
    for name in LISTED:
        value = words.get(name)
        if value is not None and not isinstance(value, str):
            default = window if name == "stride" else DEFAULTS.get(name)
            words[name] = _entries(name, value, dims, default)
    return words | {"axes": axes}


def _numbers(x: Any, axes: Any, lead: str) -> Any:
    """Axes by name, or by number, as numbers."""
    if axes is None:
        return None
    listed = list(axes) if checks.is_sequence(axes) else [axes]
    for axis in listed:
        if isinstance(axis, str) and axis not in x.dims:
            name = lead or "axes"
            raise ValueError(f"{name} must name dimensions of x, which has {x.dims}, got {axis!r}")
    return tuple(x.get_axis_num(axis) if isinstance(axis, str) else axis for axis in listed)


def _entries(name: str, value: Any, dims: Sequence[Hashable], default: Any) -> tuple[Any, ...]:
    """One entry for each pooled dimension."""
    if not isinstance(value, Mapping):
        return tuple(checks.entries(name, value, len(dims)))
    unknown = [dim for dim in value if dim not in dims]
    if unknown:
        raise ValueError(f"{name} must name pooled dimensions, {tuple(dims)}, got {unknown[0]!r}")
    others = _entries(name, default, dims, None) if len(value) < len(dims) else (None,) * len(dims)
    return tuple(value.get(dim, other) for dim, other in zip(dims, others, strict=True))


# Forward -------------------------------------------------------------------------------------------------


def _forward(function: Callable[..., Any], x: Any, words: dict[str, Any]) -> Any:
    tape = jobs.TAPE.get()
    recorded = len(tape or ())
    result = function(**words | {"x": x.data})
    if tape is not None and len(tape) > recorded:
        tape[-1] = partial(_pull, x, words, kinds.pulling(x.data, tape[-1]))
    coords = _coordinates(function, x, words)
    if isinstance(result, tuple):
        y, indices = result
        return _labelled(x, words, y, coords), _labelled(x, words, indices, coords).rename("indices")
    return _labelled(x, words, result, coords).assign_attrs(x.attrs)


def _labelled(x: Any, words: dict[str, Any], data: Any, coords: Any) -> Any:
    from xarray import DataArray  # noqa: PLC0415 - an extra

    return DataArray(data, dims=_dims(x, words, data.ndim), coords=coords, name=x.name)


def _dims(x: Any, words: dict[str, Any], ndim: int) -> tuple[Hashable, ...]:
    """The result's dimensions: those of `x`, or, of fewer, those that are not pooled."""
    return tuple(d for axis, d in enumerate(x.dims) if ndim == x.ndim or axis not in words["axes"])


def _coordinates(function: Callable[..., Any], x: Any, words: dict[str, Any]) -> Any:
    """The coordinates of the result: means along pooled dimensions, the others as they are."""
    pooled = {x.dims[axis] for axis in words["axes"]}
    touched = [name for name, each in x.coords.items() if pooled.intersection(each.dims)]
    kept = x.coords.to_dataset().drop_vars(touched)
    if function.__name__ == "global_pool" and not words.get("keepdims", False):
        return kept.coords
    with jobs.recording():  # what `vjp` records is not these
        means = {
            name: (x[name].dims, _mean(function, x, x[name], words), x[name].attrs)
            for name in touched
            if x[name].dtype.kind in "iufbmM"
        }
    return kept.assign_coords(means).coords


def _mean(function: Callable[..., Any], x: Any, coordinate: Any, words: dict[str, Any]) -> Any:
    """The mean of a coordinate over each window."""
    numbers = [n for n, axis in enumerate(words["axes"]) if x.dims[axis] in coordinate.dims]
    own = {
        name: [words[name][n] for n in numbers] if isinstance(words.get(name), tuple) else words[name]
        for name in (*LISTED, "axes", "ceil_mode", "keepdims")
        if name in words
    }
    own["axes"] = [coordinate.dims.index(x.dims[axis]) for axis in own["axes"]]
    if function.__name__ == "pool":
        own["count_include_pad"] = False
    dtype = coordinate.dtype
    wide = dtype if dtype.kind == "f" else np.dtype(np.int64 if dtype.kind in "mM" else np.float64)
    mean = function(coordinate.data.astype(wide), "avg", **own)
    return mean.astype(dtype) if dtype.kind in "mM" else mean


# Backward ------------------------------------------------------------------------------------------------


def _backward(function: Callable[..., Any], x: Any, words: dict[str, Any]) -> Any:
    given = {name: _aligned(x, words, name) for name in ("gy", "indices") if words.get(name) is not None}
    return _gradient(x, function(**words | given | {"x": x.data}))


def _pull(x: Any, words: dict[str, Any], pull: Callable[..., Any], gy: Any, *, params: bool = False) -> Any:
    """The way back of a call that `vjp` recorded; see `jobs.pull`."""
    _check_kind("gy", gy)
    result = pull(_aligned(x, {**words, "gy": gy}, "gy"), params=params)
    return (_gradient(x, result[0]), result[1]) if params else _gradient(x, result)


def _aligned(x: Any, words: dict[str, Any], name: str) -> Any:
    """The data of `gy` or `indices`, the dimensions in the order of the result's."""
    array = words[name]
    dims = _dims(x, words, array.ndim)
    if set(array.dims) != set(dims):
        raise ValueError(f"{name} must have the result's dimensions {dims}, got {array.dims}")
    return array.transpose(*dims).data


def _gradient(x: Any, data: Any) -> Any:
    """An array with the dimensions and coordinates of `x`."""
    return x.copy(data=data).drop_attrs()
