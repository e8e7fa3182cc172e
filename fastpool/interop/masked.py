"""NumPy's masked arrays: the mask says what takes part, results are masked where too little does.

Every function that takes `where` takes a masked `x`. Gradients are plain arrays, 0 for masked elements; a
masked gradient of the result counts as 0. Indices are plain as well, -1 where the result is masked. Counts
are masked only where `min_count` is above 1: of masked elements there are 0.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np

from .. import checks, jobs, missing, random, ways

MASKED = np.ma.MaskedArray


def call(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    """What a public function gives for masked arrays.

    Raises
    ------
    TypeError
        For functions without `where`, for masks of other arguments than `x` and `gy`, and for `out`.
    """
    for name, value in given.items():
        if isinstance(value, MASKED) and name not in ("x", "gy"):
            raise TypeError(
                f"{name} must be an array without a mask, which would be lost: give {name}.filled(...); "
                f"got {type(value).__module__}.{type(value).__qualname__}"
            )
    if "where" not in signature(function).parameters:
        raise TypeError(f"{function.__name__} takes no masked arrays: give x.filled(...)")
    signature(function).bind(**given)
    words, x = dict(given), given["x"]
    if isinstance(x, MASKED):
        words["x"] = np.ma.getdata(x)
        words["where"] = _taking_part(x, words.get("where"))
    if "gy" in words:
        return function(**words | {"gy": filled(words["gy"])})
    if words.get("out") is not None:
        raise TypeError("out must be None for a masked array, whose results have masks of their own")
    return _forward(function, x, words)


def filled(gy: Any) -> Any:
    """A gradient without a mask: 0 where it was masked."""
    return gy.filled(0) if isinstance(gy, MASKED) else gy


def _taking_part(x: Any, where: Any) -> Any:
    """What is not masked and, where that is given, listed by `where`."""
    mask = np.ma.getmask(x)
    if mask is np.ma.nomask or x.dtype.names:  # nothing masked, or a dtype that is refused later
        return where
    return ~mask if where is None else ~mask & missing.checked_where(where, np.ma.getdata(x))


def _forward(function: Callable[..., Any], x: Any, words: dict[str, Any]) -> Any:
    words = _same_draws(function, words)
    if words.get("op") == "count" and words.get("min_count", 1) == 1:  # of nothing that takes part: 0
        words["min_count"] = 0
    if not _leaves_out(words):
        plain = function(**words)
        return (_masked(x, plain[0], None), plain[1]) if isinstance(plain, tuple) else _masked(x, plain, None)
    words["fill"] = 0 if words.get("fill") is None else words["fill"]
    result = function(**words)
    if ways.ASKED.get() is not None:
        return result
    if isinstance(result, tuple):
        y, indices = result
        return _masked(x, y, indices == -1), indices
    return _masked(x, result, _where_filled(function, words, result))


def _same_draws(function: Callable[..., Any], words: dict[str, Any]) -> dict[str, Any]:
    """The arguments with a seed, so that two calls draw the same."""
    drawing = words.get("op") == "stochastic" and checks.boolean("training", words.get("training", True))
    if drawing or "rng" in signature(function).parameters:
        return words | {"rng": random.Draws(*random.seed_of(words.get("rng")))}
    return words


def _leaves_out(words: dict[str, Any]) -> bool:
    """Whether a window may have too few elements: else the call is that of a plain array."""
    named = ("where", "nodata", "fill", "weights", "ids", "offsets")  # a segment may be empty
    return (
        any(words.get(name) is not None for name in named)
        or words.get("skipna", False) is not False
        or words.get("min_count", 1) != 1
        or words.get("ddof", 0) != 0
    )


def _where_filled(function: Callable[..., Any], words: dict[str, Any], y: Any) -> Any:
    """Where a result was filled: where it changes with `fill`, which is seen by a second call."""
    fill = words["fill"]
    if not np.any(np.isnan(y) if fill != fill else y == np.asarray(fill).astype(y.dtype)):
        return None
    other = 0 if 0.5 < fill < 1.5 else 1
    with jobs.unrecorded(), ways.unasked():  # what `vjp` records is the first call
        again = function(**words | {"fill": other})
    return (again == other) & (y != other)


def _masked(x: Any, y: Any, mask: Any) -> Any:
    """A masked array; with the fill value of `x` where that is set, and the dtype the same."""
    given = getattr(x, "_fill_value", None) if x.dtype == y.dtype else None
    nothing = mask is None or not np.any(mask)
    return MASKED(y, mask=np.ma.nomask if nothing else mask, fill_value=given)
