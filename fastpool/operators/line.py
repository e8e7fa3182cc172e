"""What a `Line` is, and expressions that several operators share: passes over whole lines of memory.

What a `Fold` does element by element with bookkeeping in tuples, these expressions do on what fills a vector
register, for regular windows. A tuple of three numbers, `knobs`, holds the operator's first parameters, or
for rounded averages the constants of a division (`rounding.in_shares`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .fold import DType, Expression

Params = NDArray[np.float64]


def unlifted(value, knobs):
    return value


class Line(NamedTuple):
    """How lines are reduced.

    ``lift(value, knobs)`` is what is merged. ``merge(earlier, later)`` combines two values and may lose NaNs;
    ``careful`` keeps them, and is None where `merge` does. ``finish(value, scale, knobs)`` makes the result;
    `scales` says what `scale` is: the window's "divisor", its "inverse", or "none". `neutral` changes
    nothing, `dtype` is what the passes compute in. ``element(value, offset)`` is what a line holds: the value
    itself, or the pair of it and its offset in the plane.
    """

    merge: Expression
    careful: Expression | None
    finish: Expression
    neutral: float
    dtype: str
    element: Expression
    scales: str = "none"
    lift: Expression = unlifted

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return np.dtype(self.dtype).itemsize


def value_alone(value, offset):
    return value


def as_it_is(value, scale, knobs):
    return value


def divided(value, scale, knobs):
    return value / scale


def add(a, b):
    return a + b


def adding(dtype: str, finish: Expression, scales: str = "none", lift: Expression = unlifted) -> Line:
    """The line of a sum."""
    return Line(add, None, finish, 0, dtype, value_alone, scales, lift)


def may_overflow(line: Line) -> bool:
    """Whether merging finite elements may give infinity."""
    adds = line.merge is add and line.lift is unlifted and line.scales != "inverse"
    return adds and np.dtype(line.dtype).kind == "f"


def same_or_wider(source: DType, target: DType) -> bool:
    """Whether lines give the dtype: the input's, or float32 for floats of 16 bits."""
    halves = source.kind not in "iub" and source.itemsize == 2
    return source == target or (halves and target == np.float32)
