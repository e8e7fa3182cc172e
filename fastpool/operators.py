"""The operator table: one entry an operator, for every form, dtype, direction and device.

An entry names expressions: `folds` has those that reduce any window element by element and send gradients
back, `merges` those for regular windows of whole lines.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import folds, merges
from .folds import Expression, Fold
from .merges import Line

FoldChoice = Callable[[np.dtype[Any], np.dtype[Any]], Fold]
LineChoice = Callable[[np.dtype[Any], np.dtype[Any], int, int, merges.Params], Line | None]


class Range(NamedTuple):
    """The values that a parameter may have, and their description."""

    holds: Callable[[float], bool]
    words: str


ABOVE_ZERO = Range(lambda value: value > 0, "a number above 0")
FINITE_ABOVE_ZERO = Range(lambda value: 0 < value < math.inf, "a finite number above 0")
FINITE = Range(lambda value: abs(value) < math.inf, "a finite number")
NOT_ZERO = Range(lambda value: 0 < abs(value) < math.inf, "a finite number other than 0")
FRACTION = Range(lambda value: 0 <= value <= 1, "a number from 0 to 1")


class Parameter(NamedTuple):
    """A number that an operator takes: name, default (None: required), range, and d value / d parameter."""

    name: str
    default: float | None
    allowed: Range
    slope: Fold | None = None


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
    dtypes : {"all", "numbers", "floats", "discrete"}
        Accepted input: "numbers" leaves out bool, "discrete" is integers and bool.
    pull : callable or None
        What a window sends to one of its elements.
    state : callable
        ``state(source)`` gives the fold to the three float64 numbers a window that `pull` reads, where the
        chosen index is not all.
    promotes : bool
        Whether integers and bool widen as in `numpy.sum`.
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
    testing : Operator or None
        The entry for ``training=False``; an operator that has one draws at random.
    """

    name: str
    fold: FoldChoice
    backward: str
    dtypes: str
    pull: Expression | None = None
    state: Callable[[np.dtype[Any]], Fold] = folds.no_state
    promotes: bool = False
    averages: bool = False
    params: tuple[Parameter, ...] = ()
    fixed: tuple[float, ...] = ()
    line: LineChoice | None = None
    placed: Callable[[np.dtype[Any]], Line] | None = None
    parts: tuple[LineChoice, ...] = ()
    join: Callable[[list[Any], merges.Params], Any] | None = None
    wide: bool = False
    bears: Callable[[float, float, merges.Params], bool] | None = None
    testing: "Operator | None" = None


def always(fold: Fold) -> FoldChoice:
    """The same fold for all dtypes."""

    def choice(source: np.dtype[Any], target: np.dtype[Any]) -> Fold:
        return fold

    return choice


def always_state(fold: Fold) -> Callable[[np.dtype[Any]], Fold]:
    """The same fold for all dtypes."""
    return lambda _: fold


TESTING = Operator(
    "stochastic_testing",
    always(folds.EXPECTED),
    "states",
    "floats",
    pull=folds.expected_pull,
    state=always_state(folds.EXPECTED_STATE),
)

OPERATORS = {
    operator.name: operator
    for operator in (
        Operator(
            "max",
            always(folds.MAX),
            "chosen",
            "all",
            pull=folds.to_chosen,
            line=merges.max_line,
            placed=merges.max_placed,
        ),
        Operator(
            "min",
            always(folds.MIN),
            "chosen",
            "all",
            pull=folds.to_chosen,
            line=merges.min_line,
            placed=merges.min_placed,
        ),
        Operator(
            "avg",
            folds.avg_fold,
            "spread",
            "all",
            pull=folds.to_all,
            state=always_state(folds.AVG_STATE),
            averages=True,
            line=merges.avg_line,
        ),
        Operator(
            "sum",
            folds.sum_fold,
            "spread",
            "all",
            pull=folds.to_all,
            state=always_state(folds.SUM_STATE),
            promotes=True,
            line=merges.sum_line,
        ),
        Operator(
            "lp",
            always(folds.LP),
            "states",
            "floats",
            pull=folds.lp_pull,
            state=always_state(folds.LP_STATE),
            params=(Parameter("p", 2.0, ABOVE_ZERO, folds.LP_SLOPE),),
            line=merges.lp_line,
        ),
        Operator(
            "gem",
            always(folds.GEM),
            "states",
            "floats",
            pull=folds.gem_pull,
            state=always_state(folds.GEM_STATE),
            params=(
                Parameter("p", 3.0, ABOVE_ZERO, folds.GEM_SLOPE),
                Parameter("eps", 1e-6, FINITE_ABOVE_ZERO),
            ),
            line=merges.gem_line,
        ),
        Operator(
            "lse",
            always(folds.LSE),
            "states",
            "floats",
            pull=folds.lse_pull,
            state=always_state(folds.LSE_STATE),
            params=(Parameter("r", 1.0, NOT_ZERO, folds.LSE_SLOPE),),
            line=merges.lse_line,
            bears=merges.tame,
        ),
        Operator(
            "soft",
            always(folds.SOFT),
            "states",
            "floats",
            pull=folds.soft_pull,
            state=always_state(folds.SOFT_STATE),
            params=(Parameter("beta", 1.0, FINITE, folds.SOFT_SLOPE),),
            parts=(merges.weighted_line, merges.weight_line),
            join=merges.quotient,
            wide=True,
            bears=merges.bounded,
        ),
        Operator(
            "mixed",
            always(folds.MIXED),
            "states",
            "floats",
            pull=folds.mixed_pull,
            state=always_state(folds.MIXED_STATE),
            averages=True,
            params=(Parameter("alpha", 0.5, FRACTION, folds.MIXED_SLOPE),),
            parts=(merges.max_line, merges.avg_line),
            join=merges.mixture,
        ),
        Operator("stochastic", always(folds.DRAW), "chosen", "floats", pull=folds.to_chosen, testing=TESTING),
        Operator(
            "median",
            folds.quantile_fold,
            "states",
            "all",
            pull=folds.quantile_pull,
            state=folds.quantile_state,
            fixed=(0.5,),
        ),
        Operator(
            "quantile",
            folds.quantile_fold,
            "states",
            "numbers",
            pull=folds.quantile_pull,
            state=folds.quantile_state,
            params=(Parameter("q", None, FRACTION),),
        ),
        Operator("mode", always(folds.MODE), "none", "discrete"),
    )
}
