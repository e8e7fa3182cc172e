"""Arguments to plain Python numbers, before any allocation or kernel; every error message about them.

A bad value is a ValueError, a bad type a TypeError; the message names the argument, what came and what is
allowed.
"""

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from . import random
from .operators import OPERATORS, Operator, Parameter, Range

Pairs = tuple[tuple[int, int], ...]
CORNERS = ("first", "middle")
TIES = ("smallest", "first", "largest")  # as `operators.selection` numbers them
ANY = Range(lambda _: True, "a number")
PADDING_WORDS = ("valid", "same", "same_lower")
SYNONYMS = {"mean": "avg"}  # other words for operators


def integer(name: str, value: object, *, minimum: int) -> int:
    """`value` as a Python int; NumPy integers are taken, bool and float are not."""
    if not isinstance(value, bool | np.bool_):
        try:
            number = index(value)  # type: ignore[arg-type]
        except TypeError:
            pass
        else:
            if number < minimum:
                raise ValueError(f"{name} must be at least {minimum}, got {number}")
            return number
    raise TypeError(f"{name} must be an integer, got {_show(value)}")


def boolean(name: str, value: object) -> bool:
    """`value` as a Python bool."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {_show(value)}")
    return bool(value)


def number(name: str, value: object, allowed: Range) -> float:
    """`value` as a float within a range; bools, complex numbers and strings are not taken."""
    plain = value[()] if isinstance(value, np.ndarray) and not value.ndim else value
    if isinstance(plain, bool) or not isinstance(plain, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a real number, got {_show(value)}")
    try:
        result = float(plain)
    except OverflowError:
        raise ValueError(f"{name} must be {allowed.words}, got {value!r}") from None
    if not allowed.holds(result):
        raise ValueError(f"{name} must be {allowed.words}, got {value!r}")
    return result


def choice(name: str, value: object, allowed: Sequence[str]) -> str:
    """A string that must be one of a few."""
    words = f"{name} must be one of {', '.join(allowed)}"
    if not isinstance(value, str):
        raise TypeError(f"{words}, got {_show(value)}")
    if value not in allowed:
        raise ValueError(f"{words}, got {value!r}")
    return value


def is_sequence(value: object) -> bool:
    """Whether `value` lists entries: a tuple, a list, or an array with an axis (else it is a number)."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview)


def entries(name: str, value: Any, count: int) -> list[Any]:
    """One entry for each of `count` axes; a single value, or a sequence of one, serves them all."""
    if not is_sequence(value):
        return [value] * count
    if isinstance(value, np.ndarray) and value.ndim != 1:
        raise ValueError(f"{name} must have one entry an axis, got an array of {value.ndim} dimensions")
    listed = list(value)
    if len(listed) == 1:
        listed *= count
    if len(listed) != count:
        of_two = name == "padding" and count == 1 and [type(each) for each in listed] == [int, int]
        pair = f"; for before and after write [{tuple(listed)}]" if of_two else ""
        raise ValueError(f"{name} must have one entry for each of {count} pooled axes, got {value!r}{pair}")
    return listed


def pooled_axes(name: str, window: Any, axes: Any, ndim: int) -> tuple[int, ...]:
    """The axes that a window and an ``axes=`` argument name, in their order, as numbers from 0.

    `name` is what the window is called in messages, empty for a form without one.
    """
    if axes is not None:
        given = entries("axes", axes, len(axes) if is_sequence(axes) else 1)
        chosen = tuple(axis_of("axes", axis, ndim) for axis in given)
        if not chosen or len(set(chosen)) < len(chosen):
            raise ValueError(f"axes must be distinct, and at least one, got {axes!r}")
        return chosen
    if is_sequence(window):
        if not 1 <= len(window) <= ndim:
            raise ValueError(
                f"{name} must have 1 to {ndim} entries for an array of {ndim} axes, got {window!r}"
            )
        return tuple(range(ndim - len(window), ndim))
    least = 4 if name else 3  # (C, H, W) is as likely as (N, C, L) where an int is the window
    if ndim < least:
        ways = _ways(name, window, ndim)
        raise ValueError(f"x has {ndim} axes: from {least} on all after the first two are pooled. {ways}")
    return tuple(range(2, ndim))


def _ways(name: str, window: Any, ndim: int) -> str:
    """How a call says which of a few axes are pooled."""
    if ndim < 3:
        example = f", or pool the last ones with a tuple, {name}={(window,) * max(ndim, 1)}" if name else ""
        return f"Name the axes{example}"
    return (
        f"Give {name}={(window,)} for (N, C, L), {name}={(window,) * 2} for (C, H, W), "
        f"or name the axes, axes=(0, 1) of (H, W, C)"
    )


def axis_of(name: str, value: object, ndim: int) -> int:
    """One axis of an array, as a number from 0."""
    axis = integer(name, value, minimum=-ndim)
    if axis >= ndim:
        raise ValueError(f"{name} must be in {-ndim}..{ndim - 1} for an array of {ndim} axes, got {axis}")
    return axis % ndim


def padding(value: Any, count: int) -> str | Pairs:
    """A word of `PADDING_WORDS` in lower case, or one (before, after) pair an axis."""
    if isinstance(value, str):
        if value.lower() not in PADDING_WORDS:
            raise ValueError(f"padding must be an integer, pairs, or one of {PADDING_WORDS}, got {value!r}")
        return value.lower()
    return tuple(_pair(entry) for entry in entries("padding", value, count))


def _pair(entry: Any) -> tuple[int, int]:
    before, after = _two(entry) if is_sequence(entry) else (entry, entry)
    return integer("padding", before, minimum=0), integer("padding", after, minimum=0)


def _two(entry: Any) -> tuple[Any, Any]:
    if len(entry) != 2:
        raise ValueError(f"padding of an axis must be an integer or a (before, after) pair, got {entry!r}")
    return entry[0], entry[1]


def usual(op: object) -> object:
    """The operator's own name, where another word for it came."""
    return SYNONYMS.get(op, op) if isinstance(op, str) else op


def operator(op: object) -> Operator:
    """The row of the operator table that `op` names."""
    op = usual(op)
    if not isinstance(op, str):
        raise TypeError(f"op must be a string, one of {', '.join(OPERATORS)}, got {_show(op)}")
    if op not in OPERATORS:
        raise ValueError(f"op must be one of {', '.join(OPERATORS)}, got {op!r}")
    return OPERATORS[op]


def parameters(row: Operator, given: dict[str, Any], dtype: np.dtype[Any]) -> tuple[float, ...]:
    """What the operator's expressions take: its parameters in the table's order, the defaults filled in."""
    if row.testing:
        return _draws(given)
    if row.name == "mode":
        return _ignored(given, dtype)
    if row.picks:
        _only(row.name, given, ["corner"], [])
        return (float(CORNERS.index(choice("corner", given.get("corner", CORNERS[0]), CORNERS))),)
    _only(
        row.name,
        given,
        [p.name for p in row.params],
        ["count_include_pad", "divisor_override"] * row.averages,
    )
    missing = [p.name for p in row.params if p.default is None and p.name not in given]
    if missing:
        raise TypeError(f"{row.name} pooling needs a parameter {missing[0]!r}")
    return row.fixed + tuple(parameter(each, given) for each in row.params)


def parameter(each: Parameter, given: dict[str, Any]) -> float:
    """The value of one parameter."""
    return number(each.name, given.get(each.name, each.default), each.allowed)


def _draws(given: dict[str, Any]) -> tuple[float, ...]:
    """Halves of the seed, and of the first flat output index, of an operator that draws at random."""
    _only("stochastic", given, ["rng"], ["training"])
    numbers = random.seed_of(given.get("rng"))
    return tuple(float(half) for number in numbers for half in (number & 0xFFFFFFFF, number >> 32))


def _ignored(given: dict[str, Any], dtype: np.dtype[Any]) -> tuple[float, ...]:
    """Whether a value is ignored, halves of its 64 bits or the float itself, and which of ties wins."""
    _only("mode", given, ["ignore", "ties"], [])
    which = float(TIES.index(ties(given)))
    if given.get("ignore") is None:
        return 0.0, 0.0, 0.0, which
    if dtype.kind not in "iub":
        return 1.0, _as_float("ignore", given["ignore"], dtype), 0.0, which
    value, (low, high) = given["ignore"], (0, 1)
    value = int(value) if dtype == np.bool_ and isinstance(value, bool | np.bool_) else value
    if dtype != np.bool_:
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    bits = integer("ignore", value, minimum=low)
    if bits > high:
        raise ValueError(f"ignore must be in {low}..{high} for x of {dtype}, got {bits}")
    return 1.0, float(bits >> 32 & 0xFFFFFFFF), float(bits & 0xFFFFFFFF), which


def ties(given: dict[str, Any]) -> str:
    """Which of the most frequent values wins."""
    return choice("ties", given.get("ties", TIES[0]), TIES)


def _as_float(name: str, value: object, dtype: np.dtype[Any]) -> float:
    """A number as the nearest one of a float dtype, which must not be infinite for it."""
    plain = number(name, value, ANY)
    with np.errstate(over="ignore"):
        found = float(dtype.type(plain))
    if np.isinf(found) and not np.isinf(plain):
        raise ValueError(f"{name} must be a value that x's dtype, {dtype}, can hold, got {value!r}")
    return found


def _only(op: str, given: dict[str, Any], allowed: list[str], others: list[str]) -> None:
    """TypeError for a parameter that an operator does not take."""
    for name in given:
        if name not in allowed:
            known = ", ".join(allowed + others) or "none"
            raise TypeError(f"{op} pooling takes no parameter {name!r}; it takes: {known}")


def divisor_override(value: object) -> int | None:
    """None, or an integer other than 0 that fits 32 bits."""
    if value is None:
        return None
    override = integer("divisor_override", value, minimum=1 - 2**31)
    if override == 0 or override >= 2**31:
        raise ValueError(f"divisor_override must be a 32-bit integer other than 0, or None, got {override}")
    return override


def _show(value: object) -> str:
    return f"{value!r} of type {type(value).__name__}"
