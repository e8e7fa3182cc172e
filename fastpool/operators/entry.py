"""What an entry of the operator table is: `Operator`, its parameters, and its partial results."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from .fold import NO_STATE, DType, Expression, Fold
from .line import Line, Params

FoldChoice = Callable[[DType, DType], Fold]
LineChoice = Callable[[DType, DType, int, int, Params], Line | None]
State = tuple[Any, ...]


class Range(NamedTuple):
    """The values that a parameter may have, and their description."""

    holds: Callable[[float], bool]
    words: str


ABOVE_ZERO = Range(lambda value: value > 0, "a number above 0")
FINITE_ABOVE_ZERO = Range(lambda value: 0 < value < math.inf, "a finite number above 0")
FINITE = Range(lambda value: abs(value) < math.inf, "a finite number")
NOT_NEGATIVE = Range(lambda value: 0 <= value < math.inf, "a finite number of at least 0")
NOT_ZERO = Range(lambda value: 0 < abs(value) < math.inf, "a finite number other than 0")
FRACTION = Range(lambda value: 0 <= value <= 1, "a number from 0 to 1")


class Parameter(NamedTuple):
    """A number that an operator takes: name, default (None: required), range, and d value / d parameter."""

    name: str
    default: float | None
    allowed: Range
    slope: Fold | None = None


class Partial(NamedTuple):
    """A value by way of a few numbers a chunk, for whole axes that are not in memory at once.

    States are arrays of float64 (exact integers for sums of integers) and end with how many elements they
    are of.

    Attributes
    ----------
    state : callable
        ``state(value, params)``: the numbers of a chunk, where ``value(op, **params)`` pools it whole.
    merge : callable
        ``merge(a, b, params)``.
    finish : callable
        ``finish(state, params)``.
    """

    state: Callable[[Callable[..., Any], dict[str, Any]], State]
    merge: Callable[[State, State, dict[str, Any]], State]
    finish: Callable[[State, dict[str, Any]], Any] = lambda state, _: state[0]


class Weighing(NamedTuple):
    """The way back of weighted elements, of an operator whose gradients return by states.

    Attributes
    ----------
    state : Fold
        To the three numbers that `Operator.pull` reads; what it sends is multiplied by the weight.
    slope : Fold
        To the three that `send` reads.
    send : callable
        What a window sends to the weight of one of its elements, as `Operator.pull`.
    """

    state: Fold
    slope: Fold
    send: Expression


def always(fold: Fold) -> Callable[..., Fold]:
    """The same fold for all dtypes."""
    return lambda *_: fold


class Operator(NamedTuple):
    """One entry of the table.

    Attributes
    ----------
    name : str
    fold : callable
        ``fold(source, target)`` gives the `Fold` for an input and an output dtype.
    backward : {"spread", "chosen", "states", "none"}
        How a gradient returns: shared by every element, to the chosen element (whose index is the fold's
        second result), or by `pull` from the results of `state`; "none" for an operator without a gradient.
    dtypes : {"all", "numbers", "floats"}
        Accepted input: "numbers" leaves out bool.
    pull : callable or None
        What a window sends to one of its elements.
    state : callable
        ``state(source)`` gives the fold to the three float64 numbers a window that `pull` reads, where the
        chosen index is not all.
    promotes : bool
        Whether integers and bool widen as in `numpy.sum`.
    to_floats : bool
        Whether the value of integers and bool is of float64.
    picks : bool
        Whether a window is one of its elements alone, which `params` says: 0 for the first, 1 for the middle.
    averages : bool
        Whether ``count_include_pad`` and ``divisor_override`` apply.
    params : tuple of Parameter
    fixed : tuple of float
        Parameters of the expressions that are not the user's, before them.
    line : callable or None
        ``line(source, target, elements, chain, params)`` gives the `Line` for windows of that many elements,
        each of which takes part in up to `chain` merges, or None where the general skeleton must serve.
    placed : callable or None
        ``placed(source)`` gives the `Line` whose elements are pairs of value and place.
    parts, join : tuple of such `line`, callable
        Where two lines make the value: ``join(their results, params)``; `wide` where those are float64.
    bears : callable or None
        ``bears(lowest, highest, params)``: whether lines serve input of that range.
    partial : Partial or None
        Whole axes chunk by chunk; None where all elements are needed at once.
    counts : bool
        Whether the value is a number of elements, of int64, or of float64 with weights.
    weighed : callable or None
        ``weighed(source, target)`` gives the fold whose elements are pairs of value and weight, and whose
        third result is the sum of weights; None where the operator takes no weights.
    weighing : Weighing or None
        What gradients with weights need, of an operator with weights and states.
    testing : Operator or None
        The entry for ``training=False``; an operator that has one draws at random.
    tied : Operator or None
        The entry for other ``ties`` than "smallest".
    """

    name: str
    fold: FoldChoice
    backward: str
    dtypes: str
    pull: Expression | None = None
    state: Callable[[DType], Fold] = always(NO_STATE)
    promotes: bool = False
    to_floats: bool = False
    picks: bool = False
    averages: bool = False
    params: tuple[Parameter, ...] = ()
    fixed: tuple[float, ...] = ()
    line: LineChoice | None = None
    placed: Callable[[DType], Line] | None = None
    parts: tuple[LineChoice, ...] = ()
    join: Callable[[list[Any], Params], Any] | None = None
    wide: bool = False
    bears: Callable[[float, float, Params], bool] | None = None
    partial: Partial | None = None
    counts: bool = False
    weighed: FoldChoice | None = None
    weighing: Weighing | None = None
    testing: "Operator | None" = None
    tied: "Operator | None" = None
