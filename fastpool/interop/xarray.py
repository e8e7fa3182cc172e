"""Pooling of xarray objects: the public functions by names of dimensions, with coordinates and attributes.

``fp.max_pool(da, {"y": 2, "x": 2})``. The data may be in memory, on a GPU or of dask; it is pooled as such.
Nothing of xarray is imported before an xarray object arrives.

Missing data as xarray has it: ``skipna=None``, the default, leaves NaNs out of floats. So averages divide by
what takes part, not by padding; with ``skipna=False``, or a `divisor_override`, all elements take part.
`where` and `weights` may be DataArrays, by names of dimensions, whose indexes agree with those of `x`.

Datasets are pooled variable by variable, each along those of the pooled dimensions that it has, as with
``coarsen``; variables without any are kept as they are.

A coordinate of numbers, bools, datetimes or timedeltas along pooled dimensions becomes its mean over each
window's elements, as with ``coarsen``: NaN and NaT are left out, and are the mean where there is nothing
else. Of cells of `area_pool` it is the mean by area; `blur_pool` keeps those of every stride-th element. Of
any other the first element of each window is kept: text, objects (cftime), times with a time zone,
categories, intervals, complex numbers, and the levels of a MultiIndex, which belong together.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any

import numpy as np

from .. import arrays, checks, jobs, kinds, quantiles, ways

FUNCTIONS = {  # and the argument that says which axes are pooled
    "pool": "window",
    "adaptive_pool": "output_size",
    "global_pool": "",
    "pool_backward": "window",
    "adaptive_pool_backward": "output_size",
    "global_pool_backward": "",
    "area_pool": "output_size",
    "area_pool_backward": "output_size",
    "blur_pool": "window",
    "blur_pool_backward": "window",
}
DEFAULTS = {"padding": 0, "dilation": 1, "border": None}  # where a dict lacks them; a stride is the window
BLUR = {"window": 3, "stride": 2}
LISTED = ("window", "stride", "padding", "dilation", "border", "output_size", "ratio")
QUANTILE = "quantile"  # the dimension of several quantiles, as xarray has it
BESIDE = ("where", "weights")  # arrays that broadcast to `x`


def call(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    """What a public function gives for DataArrays.

    Raises
    ------
    TypeError
        For functions that are not in `FUNCTIONS`, for other objects of xarray than DataArrays and Datasets,
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
    if _is_dataset(given["x"]):
        return _variables(function, given["x"], given)
    for argument in ("gy", "x", "indices"):
        if given.get(argument) is not None or (argument in ("gy", "x") and argument in given):
            _check_kind(argument, given[argument])
    x = given["x"]
    words = _skipping(x, _positional(function, x, given))
    if "gy" in given:
        return _backward(function, x, words)
    return _forward(function, x, words)


def _check_kind(argument: str, array: Any) -> None:
    from xarray import DataArray  # noqa: PLC0415 - an extra

    if not isinstance(array, DataArray):
        kind = f"{type(array).__module__}.{type(array).__qualname__}"
        raise TypeError(f"the arrays of a call must all be xarray.DataArray, got {argument} of {kind}")


def _is_dataset(x: Any) -> bool:
    from xarray import Dataset  # noqa: PLC0415 - an extra

    return isinstance(x, Dataset)


def _lead(function: Callable[..., Any], given: dict[str, Any]) -> str:
    """The argument that says which axes are pooled."""
    by_ratio = function.__name__.startswith("area_pool") and given.get("ratio") is not None
    return "ratio" if by_ratio else FUNCTIONS[function.__name__]


# Missing data --------------------------------------------------------------------------------------------


def _skipping(x: Any, words: dict[str, Any]) -> dict[str, Any]:
    """The arguments with xarray's default: NaNs are left out of floats, and so no divisor counts padding."""
    if words.get("skipna") is not None:
        return words
    rest = {name: value for name, value in words.items() if name != "skipna"}
    if not arrays.is_float(x.dtype) or rest.get("divisor_override") is not None:
        return rest
    if rest.get("count_include_pad") is False:
        del rest["count_include_pad"]
    return rest | {"skipna": True}


def _beside(x: Any, words: dict[str, Any]) -> dict[str, Any]:
    """The data of `where` and `weights`, with an axis for each dimension of `x`."""
    return {name: _spread(x, name, words[name]) for name in BESIDE if words.get(name) is not None}


def _spread(x: Any, name: str, value: Any) -> Any:
    from xarray import DataArray, align  # noqa: PLC0415 - an extra

    if not isinstance(value, DataArray):
        return value
    unknown = [dim for dim in value.dims if dim not in x.dims]
    if unknown:
        raise ValueError(f"{name} must have dimensions of x, {x.dims}, got {unknown[0]!r}")
    for dim in value.dims:
        if value.sizes[dim] != x.sizes[dim]:
            raise ValueError(
                f"{name} must be as long as x along {dim!r}, {x.sizes[dim]}, got {value.sizes[dim]}"
            )
    try:
        align(x, value, join="exact", copy=False)
    except ValueError as error:
        raise ValueError(f"{name} must have the coordinates of x: {error}") from None
    ordered = value.transpose(*(dim for dim in x.dims if dim in value.dims)).data
    return ordered.reshape(tuple(value.sizes.get(dim, 1) for dim in x.dims))


def _like_given(x: Any, words: dict[str, Any], slopes: Any) -> Any:
    """The gradients for the parameters, that for weights as these were given."""
    weights: Any = words.get("weights")
    if "weights" not in slopes or not hasattr(weights, "dims"):
        return slopes
    ordered = weights.transpose(*(dim for dim in x.dims if dim in weights.dims))
    slope = ordered.copy(data=slopes["weights"].reshape(ordered.shape)).drop_attrs()
    return {**slopes, "weights": slope.transpose(*weights.dims)}


# Names to positions --------------------------------------------------------------------------------------


def _positional(function: Callable[..., Any], x: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments with axes in numbers and one entry for each of them."""
    blurs, lead = function.__name__.startswith("blur_pool"), _lead(function, given)
    words = {**BLUR, **given} if blurs else dict(given)
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
            default = DEFAULTS.get(name, BLUR["stride"] if blurs else window)
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
    result = function(**words | _beside(x, words) | {"x": x.data})
    if tape is not None and len(tape) > recorded:
        tape[-1] = partial(_pull, x, words, kinds.pulling(x.data, tape[-1]))
    coords = _coordinates(function, x, [x.dims[axis] for axis in words["axes"]], words)
    if isinstance(result, tuple):
        y, indices = result
        return _labelled(x, words, y, coords), _labelled(x, words, indices, coords).rename("indices")
    return _labelled(x, words, result, coords).assign_attrs(x.attrs)


def _labelled(x: Any, words: dict[str, Any], data: Any, coords: Any) -> Any:
    from xarray import DataArray  # noqa: PLC0415 - an extra

    # A name of None is that of dask's array.
    labelled = DataArray(data, dims=_dims(x, words, data.ndim), coords=coords).rename(x.name)
    return _with_quantiles(labelled, words)


def _dims(x: Any, words: dict[str, Any], ndim: int) -> tuple[Hashable, ...]:
    """The result's dimensions: those of `x`, or, of fewer, those that are not pooled, behind quantiles."""
    first = (QUANTILE,) if quantiles.several(words) else ()
    kept = ndim - len(first) == x.ndim
    return (*first, *(d for axis, d in enumerate(x.dims) if kept or axis not in words["axes"]))


def _with_quantiles(result: Any, words: dict[str, Any]) -> Any:
    """A result with the quantiles as a coordinate, where there are several."""
    return result.assign_coords({QUANTILE: words["q"]}) if quantiles.several(words) else result


def _coordinates(
    function: Callable[..., Any], x: Any, dims: Sequence[Hashable], words: dict[str, Any]
) -> Any:
    """The coordinates of the result: means or firsts along pooled dimensions, the others as they are.

    `dims` are the pooled dimensions, in the order of what `words` says of them.
    """
    pooled = set(dims)
    touched = {name: each for name, each in x.coords.items() if pooled.intersection(each.dims)}
    coords = x.coords.to_dataset()
    if function.__name__ == "global_pool" and not words.get("keepdims", False):
        return coords.drop_vars(touched).coords
    if function.__name__ == "blur_pool":
        steps = checks.entries("stride", words["stride"], len(dims))
        kept = {dim: slice(None, None, step) for dim, step in zip(dims, steps, strict=True)}
        return coords.isel({dim: kept[dim] for dim in dims if dim in coords.dims}).coords
    averaged = {name: each for name, each in touched.items() if _has_mean(x, name)}
    picked = {dim for name, each in touched.items() if name not in averaged for dim in each.dims}
    with jobs.unrecorded(), ways.unasked():  # what `vjp` records, and `explain_call` notes, is not these
        means = {
            name: (each.dims, _mean(partial(_along, function, dims, each.dims, words), each.data), each.attrs)
            for name, each in averaged.items()
        }
        firsts = {dim: _firsts(function, x.sizes[dim], dims, dim, words) for dim in picked & pooled}
    return coords.drop_vars(averaged).isel(firsts).assign_coords(means).coords


def _firsts(
    function: Callable[..., Any], n: int, dims: Sequence[Hashable], dim: Hashable, words: dict[str, Any]
) -> Any:
    """The first element of each window along a dimension."""
    found = _along(function, dims, (dim,), words, np.arange(n), "min")
    return found if function.__name__ != "area_pool" else np.arange(found.size) * n // found.size


def _has_mean(x: Any, name: Hashable) -> bool:
    """Whether a coordinate is of plain numbers or times, and no part of an index of several."""
    data, indexes = x.coords[name].data, x.xindexes
    return (
        type(data).__module__.partition(".")[0] in ("numpy", "dask", "cupy")
        and data.dtype.kind in "iufbmM"
        and (name not in indexes or len(indexes.get_all_coords(name)) == 1)
    )


def _along(
    function: Callable[..., Any],
    pooled: Sequence[Hashable],
    dims: Sequence[Hashable],
    words: dict[str, Any],
    data: Any,
    op: str,
) -> Any:
    """Data with some of the pooled dimensions, pooled along these."""
    own = _of_dims(pooled, dims, words)
    own = {name: own[name] for name in (*LISTED, "axes", "ceil_mode", "keepdims") if name in own}
    if function.__name__ == "area_pool":
        if op == "min":  # only how many cells there are is asked for
            return function(data, **own)
        return function(data, op=op, **own)
    if op == "avg" and function.__name__ == "pool":
        own["count_include_pad"] = False
    return function(data, op, **own)


def _of_dims(pooled: Sequence[Hashable], dims: Sequence[Hashable], words: dict[str, Any]) -> dict[str, Any]:
    """The arguments for an array of other dimensions, which has some of the pooled ones."""
    numbers = [n for n, dim in enumerate(pooled) if dim in dims]
    own = {
        name: [value[n] for n in numbers] if name in LISTED and isinstance(value, tuple) else value
        for name, value in words.items()
    }
    return own | {"axes": [dims.index(pooled[n]) for n in numbers]}


def _mean(along: Callable[[Any, str], Any], data: Any) -> Any:
    """The mean of a coordinate over each window, without NaN and NaT."""
    if data.dtype.kind in "mM":
        return _mean_time_by_area(along, data) if _by_area(along) else _mean_time(along, data)
    dtype = data.dtype if data.dtype.kind == "f" and data.itemsize <= 8 else np.dtype(np.float64)
    numbers = data.astype(dtype)
    missing = np.isnan(numbers)
    if not hasattr(data, "dask") and not missing.any():
        return along(numbers, "avg")
    total = along(np.where(missing, 0, numbers).astype(np.float64), "sum")
    count = along((~missing).astype(np.int64), "sum")
    return (total / np.where(count > 0, count, np.nan)).astype(dtype)


def _by_area(along: Any) -> bool:
    """Whether elements count by the part of them that lies in a cell."""
    return bool(along.args[0].__name__ == "area_pool")


def _mean_time(along: Callable[[Any, str], Any], data: Any) -> Any:
    """The mean of times, rounded to a tick: sums of their upper and lower 32 bits do not overflow."""
    missing = np.isnat(data)
    high, low = np.divmod(np.where(missing, 0, data.astype(np.int64)), 2**32)
    count = along((~missing).astype(np.int64), "sum")
    ones = np.maximum(count, 1)
    mean, rest = np.divmod(along(high, "sum"), ones)
    mean = mean * 2**32 + (rest * 2**32 + along(low, "sum") + ones // 2) // ones
    return np.where(count > 0, mean.astype(data.dtype), np.array("NaT", data.dtype))


def _mean_time_by_area(along: Callable[[Any, str], Any], data: Any) -> Any:
    """The mean of times, some of which count in part: of float64, as distances from the first."""
    missing, ticks = np.isnat(data), data.astype(np.int64)
    first = np.where(missing, np.iinfo(np.int64).max, ticks).min()
    distances = np.where(missing, 0, ticks - first).astype(np.float64)
    total, area = along(distances, "sum"), along((~missing).astype(np.float64), "sum")
    mean = np.rint(total / np.where(area > 0, area, 1)).astype(np.int64)
    return np.where(area > 0, (first + mean).astype(data.dtype), np.array("NaT", data.dtype))


# Datasets ------------------------------------------------------------------------------------------------


def _variables(function: Callable[..., Any], x: Any, given: dict[str, Any]) -> Any:
    """A Dataset of its variables, pooled along those of the pooled dimensions that they have."""
    from xarray import DataArray, Dataset  # noqa: PLC0415 - an extra

    if "gy" in given or jobs.TAPE.get() is not None:
        raise TypeError("x must be a DataArray where a gradient is wanted, got a Dataset: pool a variable")
    lead = _lead(function, given)
    axes: Any = given.get("axes")
    listed = tuple(axes) if checks.is_sequence(axes) else (axes,)
    if not isinstance(given.get(lead), Mapping) and not all(isinstance(axis, str) for axis in listed):
        raise TypeError(
            f"{lead or 'axes'} must name dimensions of a Dataset, got {given.get(lead or 'axes')!r}"
        )
    names = DataArray(np.empty((1,) * len(x.sizes)), dims=tuple(x.sizes))
    words = _positional(function, names, given)
    pooled = [names.dims[axis] for axis in words["axes"]]
    kept: dict[Hashable, Any] = {}
    others: dict[Hashable, Any] = {}
    for name, variable in x.data_vars.items():
        if not set(pooled).intersection(variable.dims):
            kept[name] = variable.variable
            continue
        own = _skipping(variable, _of_dims(pooled, variable.dims, words))
        try:
            result = function(**own | _beside(variable, own) | {"x": variable.data})
        except (TypeError, ValueError) as error:
            error.add_note(f"x is the variable {name!r}")
            raise
        y, *indices = result if isinstance(result, tuple) else (result,)
        dims = _dims(variable, own, y.ndim)
        kept[name] = dims, y, variable.attrs
        if indices:
            others[name] = dims, indices[0]
    coords = _coordinates(function, x, pooled, words)
    result = _with_quantiles(Dataset(kept, coords, x.attrs), words)
    return (result, Dataset(others, coords)) if others else result


# Backward ------------------------------------------------------------------------------------------------


def _backward(function: Callable[..., Any], x: Any, words: dict[str, Any]) -> Any:
    given = {name: _aligned(x, words, name) for name in ("gy", "indices") if words.get(name) is not None}
    return _gradient(x, function(**words | given | _beside(x, words) | {"x": x.data}))


def _pull(x: Any, words: dict[str, Any], pull: Callable[..., Any], gy: Any, *, params: bool = False) -> Any:
    """The way back of a call that `vjp` recorded; see `jobs.pull`."""
    _check_kind("gy", gy)
    result = pull(_aligned(x, {**words, "gy": gy}, "gy"), params=params)
    return (_gradient(x, result[0]), _like_given(x, words, result[1])) if params else _gradient(x, result)


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
