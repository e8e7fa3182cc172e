"""Missing data: which elements take part, with what weights, and what windows without enough of them give."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import arrays, checks, jobs, ways
from .arrays import Array
from .operators import OPERATORS, Operator

EMPTY_SUMS = ("sum", "count")  # operators that have a value for no elements: 0
ONE = 1  # the default of `min_count`: small integers are one object each, and all others are looked at
DIVISORS = {"count_include_pad": True, "divisor_override": None}  # arguments that then keep their defaults


class Whole(NamedTuple):
    """A call that is computed in parts, as a part knows it.

    Attributes
    ----------
    most : int
        Elements of its largest window; 0 where `min_count` may be more than any window has.
    begins : tuple of int
        Where in its result the part begins.
    place : callable or None
        Where in its result a window of the part is, if that is no matter of where the part begins.
    """

    most: int
    begins: tuple[int, ...]
    place: Callable[[Sequence[int]], tuple[int, ...]] | None = None


class Missing(NamedTuple):
    """What a call says of missing data, checked.

    Attributes
    ----------
    where : Array or None
        Bool, of the input's shape by strides of 0: elements that may take part.
    skipna : bool
        NaNs are left out.
    nodata : number of the input's dtype, or None
        Elements of this value are left out.
    least : int
        Elements that a window needs, else it gives `fill`.
    fill : int, float or None
        As the caller gave it.
    weights : Array or None
        Real numbers, of a shape that broadcasts to the input's.
    whole : Whole or None
        Of a part, the call.
    ddof : float
        A window needs more elements than these as well.
    """

    where: Array | None
    skipna: bool
    nodata: Any
    least: int
    fill: Any
    weights: Array | None
    whole: Whole | None = None
    ddof: float = 0.0

    @property
    def masks(self) -> bool:
        """Whether elements may be left out."""
        return self.where is not None or self.skipna or self.nodata is not None

    @property
    def needed(self) -> int:
        """Elements below which a window gives `fill`."""
        return max(self.least, int(self.ddof) + 1) if self.ddof else self.least

    def in_whole(self, place: Sequence[int]) -> tuple[int, ...]:
        """Where in the result a window is; of a part, where in that of the whole call."""
        if self.whole and self.whole.place:
            return self.whole.place(place)
        begins = self.whole.begins if self.whole else (0,) * len(place)
        return tuple(n + begin for n, begin in zip(place, begins, strict=True))


ALL = Missing(None, False, None, 1, None, None)  # of a call that leaves no element out


def asked(
    row: Operator, x: Array, absent: tuple[Any, ...], weights: Any, op_params: dict[str, Any]
) -> Missing | None:
    """What a call says of missing data, checked beside its input; None where it says nothing.

    `absent` are its arguments ``where, skipna, nodata, min_count, fill``.

    Raises
    ------
    TypeError, ValueError
        For an argument of a wrong type or value.
    """
    where, skipna, nodata, min_count, fill = absent
    silent = where is None and nodata is None and fill is None and weights is None
    if silent and skipna is False and min_count is ONE:
        return None
    skips = checks.boolean("skipna", skipna) and arrays.is_float(x.dtype)
    sentinel = None if nodata is None else checked_nodata(nodata, x.dtype)
    if sentinel is not None and sentinel != sentinel:
        skips, sentinel = True, None
    least = checks.integer("min_count", min_count, minimum=0)
    if least < 1 and row.name not in EMPTY_SUMS:
        least = 1
    if fill is not None and not _is_number(fill):
        raise TypeError(f"fill must be a number or None, got {fill!r} of type {type(fill).__name__}")
    part = None if where is None else checked_where(where, x)
    ddof = _ddof(row, op_params) if row.params else 0.0
    weighed = None
    if weights is not None:
        if row.weighed is None:
            takers = ", ".join(each.name for each in OPERATORS.values() if each.weighed)
            raise TypeError(f"weights are for the operators {takers}, got weights with op={row.name!r}")
        if ddof:
            raise ValueError(f"ddof must be 0 with weights, which do not tell how many elements, got {ddof}")
        weighed = checked_weights(weights, x)
    found = Missing(part, skips, sentinel, least, fill, weighed, None, ddof)
    if not (found.masks or weighed is not None or min_count != 1 or fill is not None or skipna):
        return None
    for name, default in DIVISORS.items():
        if op_params.get(name, default) is not default:
            raise ValueError(
                f"{name} must be {default} where elements may be left out, or weighted: averages divide by "
                f"what takes part; got {op_params[name]!r}"
            )
    return found


def _ddof(row: Operator, op_params: dict[str, Any]) -> float:
    """The elements that a window needs more than, by the operator's parameters."""
    return next((checks.parameter(each, op_params) for each in row.params if each.name == "ddof"), 0.0)


def _is_number(value: Any) -> bool:
    """Whether a value is a real number; bfloat16 is one of NumPy's kinds only by its name."""
    plain = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return plain or type(value).__name__ == "bfloat16"


def checked_where(where: Any, x: Array) -> Array:
    """A bool array of the shape of `x`, by strides of 0 where it has fewer elements."""
    if isinstance(where, bool | np.bool_):
        where = np.array(bool(where)) if isinstance(x, np.ndarray) else where
    array = arrays.take("where", where)
    if array.dtype != np.bool_:
        raise TypeError(f"where must be of bool, True where an element takes part, got {array.dtype}")
    return arrays.spread_to(array, x.shape, "where")


def checked_weights(weights: Any, x: Array) -> Array:
    """Finite real numbers from 0 on, of a shape that broadcasts to that of `x`."""
    array = arrays.take("weights", weights)
    if array.dtype == np.bool_:
        raise TypeError("weights must be real numbers, got bool; where= takes a mask")
    arrays.spread_to(array, x.shape, "weights")
    low, high = extremes(array)
    if not 0 <= low <= high < math.inf:
        raise ValueError(f"weights must be finite and at least 0, got values from {low} to {high}")
    return array


def extremes(array: Array) -> tuple[float, float]:
    """Smallest and largest element, or NaN; 0 of an empty array."""
    if not array.size:
        return 0.0, 0.0
    flat = array.reshape((array.size,))
    with jobs.recording(), ways.unasked():
        found = [jobs.forward(jobs.whole(flat, op, 0, True, {})[1], flat) for op in ("min", "max")]
    low, high = (float(arrays.to_host(each)[0]) for each in found)
    return low, high


def checked_nodata(value: Any, dtype: np.dtype[Any]) -> Any:
    """A value as a number of a dtype that holds it; of floats the nearest one."""
    plain = value[()] if isinstance(value, np.ndarray) and not value.ndim else value
    known = isinstance(plain, np.generic) and arrays.name(plain.dtype) in arrays.GROUPS["all"]
    if not (known or isinstance(plain, bool | int | float)):
        raise TypeError(f"nodata must be one number of x's dtype, {dtype}, got {value!r}")
    _check_size("nodata", plain)
    if arrays.is_float(dtype):
        with np.errstate(over="ignore"):
            found = dtype.type(plain)
        fits = bool(np.isinf(np.float64(found))) == bool(np.isinf(float(plain)))
    else:
        low, high = (0, 1) if dtype == np.bool_ else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
        fits = math.isfinite(plain) and int(plain) == plain and low <= int(plain) <= high
        found = dtype.type(int(plain)) if fits else None
    if not fits:
        raise ValueError(f"nodata must be a value that x's dtype, {dtype}, can hold, got {value!r}")
    return found


def fill_value(missing: Missing, row: Operator, target: np.dtype[Any]) -> Any:
    """What windows with too few elements give, as a number of the result's dtype; None where nothing serves.

    Raises
    ------
    ValueError
        Where the dtype does not hold the `fill` that the caller gave.
    """
    if missing.fill is not None:
        return _held("fill", missing.fill, target)
    if row.counts:
        return target.type(0)
    if arrays.is_float(target):
        return target.type(math.nan)
    if missing.nodata is not None:
        try:
            return _held("nodata", missing.nodata, target)
        except ValueError:
            return None
    return None


def _held(argument: str, value: Any, target: np.dtype[Any]) -> Any:
    """A number as one of the result's dtype."""
    _check_size(argument, value)
    if arrays.is_float(target):
        with np.errstate(over="ignore"):
            return target.type(value)
    low, high = (0, 1) if target == np.bool_ else (int(np.iinfo(target).min), int(np.iinfo(target).max))
    if not math.isfinite(value) or int(value) != value or not low <= int(value) <= high:
        raise ValueError(
            f"{argument} must be a value that the result's dtype, {target}, can hold, got {value!r}"
        )
    return target.type(int(value))


def _check_size(argument: str, value: Any) -> None:
    """ValueError for an integer beyond all floats."""
    try:
        float(value)
    except OverflowError:
        raise ValueError(f"{argument} must be a number that a float can hold, got {value!r}") from None


def check_least(missing: Missing, most: int) -> None:
    """ValueError where no window has as many elements as a call wants: the largest of the whole call.

    Boxes that all lie outside have no elements, and ask for nothing.
    """
    most = most if missing.whole is None else missing.whole.most
    if most and missing.least > most:
        raise ValueError(f"min_count must be at most the window's {most} elements, got {missing.least}")


def too_few(first: Sequence[int], row: Operator, target: np.dtype[Any], count: int, least: int) -> ValueError:
    """The error of a result without a value for windows with too few elements."""
    return ValueError(
        f"fill must be given, since {target} has no NaN: window {tuple(first)} of the {row.name} result has "
        f"{count} elements that take part, fewer than {max(least, 1)}"
    )
