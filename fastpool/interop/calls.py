"""What a call will give, said without making it: pooled axes, shapes and dtypes; and a call as text.

A call is the name of a public function and its arguments by their names, as a dict.
"""

import json
import math
from typing import Any

import numpy as np

import fastpool as fp
from fastpool import checks
from fastpool.random import Draws

Shape = tuple[int, ...]
Result = tuple[Shape, np.dtype[Any]]

LENGTHS = {  # of each function the arguments whose number of entries says how many axes are pooled
    "pool": ("window",),
    "adaptive_pool": ("output_size",),
    "global_pool": (),
    "fractional_pool": ("output_size", "ratio", "window"),
    "pyramid_pool": (),
    "mosaic": ("cell",),
    "area_pool": ("output_size", "ratio"),
    "blur_pool": ("window",),
}
FOLDED = (
    "pool",
    "adaptive_pool",
    "global_pool",
    "mosaic",
    "area_pool",
    "blur_pool",
)  # where a batch is one more axis in front
REGIONS = ("roi_pool", "roi_align")
ARRAYS = (  # arguments that stay arrays
    "x",
    "y",
    "boxes",
    "ids",
    "offsets",
    "indices",
    "samples",
    "where",
    "weights",
)
LEARNABLE = ("p", "r", "beta", "alpha", "weights")  # arguments that have gradients, beside the first
MISSING = {"where": None, "weights": None, "skipna": False, "nodata": None, "min_count": 1, "fill": None}


def first(function: str) -> str:
    """The name of the array that a function pools."""
    return "y" if function == "unpool" else "x"


def operator(function: str, given: dict[str, Any]) -> Any:
    """The name of the operator of a call."""
    return checks.usual(given.get("op", "avg" if function in ("mosaic", "roi_align") else None))


def leaves_out(given: dict[str, Any]) -> bool:
    """Whether a call says anything of missing data or weights."""
    return any(name in given and given[name] is not default for name, default in MISSING.items())


def is_linear(function: str, given: dict[str, Any]) -> bool:
    """Whether the result of a call is linear in its first array."""
    return function == "unpool" or operator(function, given) in ("avg", "sum", "nearest")


def draws(function: str, given: dict[str, Any]) -> bool:
    """Whether a call uses random numbers."""
    drawn = operator(function, given) == "stochastic" and given.get("training", True)
    return drawn or (function == "fractional_pool" and given.get("samples") is None)


def pooled_axes(function: str, given: dict[str, Any], ndim: int) -> Shape:
    """The axes that a call pools, as numbers from 0."""
    named = [name for name in LENGTHS[function] if given.get(name) is not None]
    name = next((name for name in named if checks.is_sequence(given[name])), named[0] if named else "")
    return checks.pooled_axes(name, given.get(name), given.get("axes"), ndim)


def with_joined_boxes(given: dict[str, Any], library: Any) -> dict[str, Any]:
    """The arguments with boxes that were a list, an array for each image, in one array of the library.

    Lists that a function refuses stay as they are.
    """
    boxes: Any = given.get("boxes")
    listed = isinstance(boxes, list | tuple) and 0 < len(boxes) == given["x"].shape[0]
    if not listed or any(getattr(each, "ndim", 0) != 2 for each in boxes):
        return given
    numbers = [each + 0.0 for each in boxes]  # of floats: so is the number of an image
    rows = [
        library.concatenate([library.full_like(each[:, :1], n), each], 1) for n, each in enumerate(numbers)
    ]
    return {**given, "boxes": library.concatenate(rows)}


def with_plain_footprint(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments with a footprint as lists, where it was an array of whatever library."""
    footprint: Any = given.get("footprint")
    return {**given, "footprint": footprint.tolist()} if hasattr(footprint, "tolist") else given


def results(function: str, given: dict[str, Any], shapes: dict[str, Shape], dtype: Any) -> list[Result]:
    """Shape and dtype of each array that a call gives.

    Parameters
    ----------
    function : str
        The name of a pooling function.
    given : dict
        Its arguments, without those in `shapes`.
    shapes : dict
        Of each argument that is an array the shape; () for a parameter.
    dtype : dtype
        Of the array that is pooled.

    Raises
    ------
    TypeError, ValueError
        As the call itself, but for what depends on values.

    Examples
    --------
    >>> from fastpool.interop import calls
    >>> given = {"op": "max", "window": 3, "stride": 2, "return_indices": True}
    >>> calls.results("pool", given, {"x": (8, 64, 112, 112)}, "float32")
    [((8, 64, 55, 55), dtype('float32')), ((8, 64, 55, 55), dtype('int32'))]
    """
    shape = shapes[first(function)]
    if function == "unpool":
        return [(_unpooled(shape, given), np.dtype(dtype))]
    scalars: dict[str, Any] = dict.fromkeys(set(shapes).difference(ARRAYS, ("rng",)), 0.5)  # any may be that
    if "weights" in shapes:
        scalars["weights"] = np.ones(())
    if function in REGIONS:
        probe = np.empty((shape[0], 0, *shape[2:]), dtype)
        found = getattr(fp, function)(probe, boxes=np.empty((0, 2 * len(shape) - 3)), **given, **scalars)
        return [((shapes["boxes"][0], shape[1], *part.shape[2:]), part.dtype) for part in _listed(found)]
    if function == "segment_pool":
        return _segments(given, scalars, shapes, dtype)
    pooled = pooled_axes(function, given, len(shape))
    if function == "pyramid_pool":
        return _pyramid(given, scalars, shape, pooled, dtype)
    probe = np.empty(_probe(shape, pooled), dtype)
    found = getattr(fp, function)(probe, **{**given, **scalars, "axes": pooled})
    return [(_restored(part.shape[:-1], shape, pooled), part.dtype) for part in _listed(found)]


def _probe(shape: Shape, pooled: Shape) -> Shape:
    """A shape with the same pooled axes and no elements: nothing is computed for it."""
    return (*(n if axis in pooled else 1 for axis, n in enumerate(shape)), 0)


def _restored(probed: Shape, shape: Shape, pooled: Shape) -> Shape:
    """The shape of a result, from that of a probe."""
    if len(probed) < len(shape):
        return tuple(n for axis, n in enumerate(shape) if axis not in pooled)
    return tuple(probed[axis] if axis in pooled else n for axis, n in enumerate(shape))


def _pyramid(
    given: dict[str, Any], scalars: dict[str, Any], shape: Shape, pooled: Shape, dtype: Any
) -> list[Result]:
    probe = np.empty((0, 1, *(shape[axis] for axis in pooled)), dtype)
    found = fp.pyramid_pool(probe, **{**given, **scalars, "axes": tuple(range(2, probe.ndim))})
    kept = [n for axis, n in enumerate(shape) if axis not in pooled]
    bins = math.prod(kept[1:]) * _listed(found)[0].shape[1]
    return [((*kept[:1], bins), part.dtype) for part in _listed(found)]


def _segments(
    given: dict[str, Any], scalars: dict[str, Any], shapes: dict[str, Shape], dtype: Any
) -> list[Result]:
    """Of an array with no other axis that has elements; the number of segments tells the rest."""
    shape, own = shapes["x"], {**given, **scalars}
    axis, number = checks.axis_of("axis", own.pop("axis", 0), len(shape)), own.pop("num_segments", None)
    offsets = own.pop("offsets", None)
    if number is None and "offsets" in shapes:
        number = shapes["offsets"][0] - 1
    elif number is None and offsets is not None:
        number = len(offsets) - 1
    if number is None:
        raise TypeError("num_segments must be given where the values of ids are not known, got None")
    probe = np.empty((shape[axis], 0), dtype)
    found = fp.segment_pool(probe, **{**own, "ids": None, "offsets": [0] * (number + 1)})
    lengths = tuple(number if each == axis else n for each, n in enumerate(shape))
    return [(lengths, part.dtype) for part in _listed(found)]


def _unpooled(shape: Shape, given: dict[str, Any]) -> Shape:
    lengths = tuple(given["shape"])
    if len(lengths) == len(shape):
        return lengths
    pooled = checks.pooled_axes("shape", lengths, given.get("axes"), len(shape))
    new = dict(zip(pooled, lengths, strict=True))
    return tuple(new.get(axis, n) for axis, n in enumerate(shape))


def _listed(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


# Text, which is all that compilers take beside arrays -----------------------------------------------------


def written(function: str, names: tuple[str, ...], options: dict[str, Any]) -> str:
    """A call apart from its arrays, which have names alone.

    Examples
    --------
    >>> from fastpool.interop import calls
    >>> calls.written("pool", ("x",), {"op": "max", "window": (2, 2)})
    '["pool", ["x"], {"op": "max", "window": [2, 2]}]'
    """
    try:
        return json.dumps([function, names, options], default=_plain)
    except TypeError:
        raise TypeError(f"a compiled {function} takes arrays, numbers and strings, got {options}") from None


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else np.dtype(value).name


def read(text: str) -> tuple[str, list[str], dict[str, Any]]:
    """Function, names of arrays and other arguments of a call that was `written`."""
    function, names, options = json.loads(text)
    if isinstance(options.get("rng"), list):
        options["rng"] = Draws(*options["rng"])
    return function, names, options


def number(name: str, array: Any) -> int | float:
    """The value of an argument that came as an array of one element."""
    return int(array) if name == "rng" else float(array)
