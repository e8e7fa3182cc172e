"""Pooling of xarray objects: the public functions by names of dimensions, with coordinates and attributes.

``fp.max_pool(da, {"y": 2, "x": 2})``. The data may be in memory, on a GPU or of dask; it is pooled as such.
Nothing of xarray is imported before an xarray object arrives.

A coordinate of numbers, bools, datetimes or timedeltas along pooled dimensions becomes its mean over each
window's elements, as with ``coarsen``: NaN and NaT are left out, and are the mean where there is nothing
else. Of any other the first element of each window is kept: text, objects (cftime), times with a time zone,
categories, intervals, complex numbers, and the levels of a MultiIndex, which belong together.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any

import numpy as np

from .. import checks, jobs, kinds, ways

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
    """The coordinates of the result: means or firsts along pooled dimensions, the others as they are."""
    pooled = {x.dims[axis] for axis in words["axes"]}
    touched = {name: each for name, each in x.coords.items() if pooled.intersection(each.dims)}
    coords = x.coords.to_dataset()
    if function.__name__ == "global_pool" and not words.get("keepdims", False):
        return coords.drop_vars(touched).coords
    averaged = {name: each for name, each in touched.items() if _has_mean(x, name)}
    picked = {dim for name, each in touched.items() if name not in averaged for dim in each.dims}
    with jobs.recording(), ways.unasked():  # what `vjp` records, and `explain_call` notes, is not these
        means = {
            name: (each.dims, _mean(partial(_along, function, x, each.dims, words), each.data), each.attrs)
            for name, each in averaged.items()
        }
        firsts = {
            dim: _along(function, x, (dim,), words, np.arange(x.sizes[dim]), "min") for dim in picked & pooled
        }
    return coords.drop_vars(averaged).isel(firsts).assign_coords(means).coords


def _has_mean(x: Any, name: Hashable) -> bool:
    """Whether a coordinate is of plain numbers or times, and no part of an index of several."""
    data, indexes = x.coords[name].data, x.xindexes
    return (
        type(data).__module__.partition(".")[0] in ("numpy", "dask", "cupy")
        and data.dtype.kind in "iufbmM"
        and (name not in indexes or len(indexes.get_all_coords(name)) == 1)
    )


def _along(
    function: Callable[..., Any], x: Any, dims: Sequence[Hashable], words: dict[str, Any], data: Any, op: str
) -> Any:
    """Data with some of the dimensions of `x`, pooled as `x` along these."""
    numbers = [n for n, axis in enumerate(words["axes"]) if x.dims[axis] in dims]
    own = {
        name: [words[name][n] for n in numbers] if isinstance(words.get(name), tuple) else words[name]
        for name in (*LISTED, "axes", "ceil_mode", "keepdims")
        if name in words
    }
    own["axes"] = [dims.index(x.dims[axis]) for axis in own["axes"]]
    if op == "avg" and function.__name__ == "pool":
        own["count_include_pad"] = False
    return function(data, op, **own)


def _mean(along: Callable[[Any, str], Any], data: Any) -> Any:
    """The mean of a coordinate over each window, without NaN and NaT."""
    if data.dtype.kind in "mM":
        return _mean_time(along, data)
    dtype = data.dtype if data.dtype.kind == "f" and data.itemsize <= 8 else np.dtype(np.float64)
    numbers = data.astype(dtype)
    missing = np.isnan(numbers)
    if not hasattr(data, "dask") and not missing.any():
        return along(numbers, "avg")
    total = along(np.where(missing, 0, numbers).astype(np.float64), "sum")
    count = along((~missing).astype(np.int64), "sum")
    return (total / np.where(count > 0, count, np.nan)).astype(dtype)


def _mean_time(along: Callable[[Any, str], Any], data: Any) -> Any:
    """The mean of times, rounded to a tick: sums of their upper and lower 32 bits do not overflow."""
    missing = np.isnat(data)
    high, low = np.divmod(np.where(missing, 0, data.astype(np.int64)), 2**32)
    count = along((~missing).astype(np.int64), "sum")
    ones = np.maximum(count, 1)
    mean, rest = np.divmod(along(high, "sum"), ones)
    mean = mean * 2**32 + (rest * 2**32 + along(low, "sum") + ones // 2) // ones
    return np.where(count > 0, mean.astype(data.dtype), np.array("NaT", data.dtype))


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
