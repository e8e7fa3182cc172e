"""What a `Fold` is, and expressions that several operators share: over the elements of any window.

A reduction is a monoid. `Fold` names its expressions; all of them are plain Python on scalars and tuples, so
that the CPU and the CUDA compiler both take them, and expressions: an ``if`` statement where an expression
would do costs a factor of three.

=========== ======================================== ====================================================
expression  arguments                                gives
=========== ======================================== ====================================================
``start``   value, position, here, params            the accumulator of no element (a first value is at
                                                     hand for those that need one, and may be counted again)
``lift``    value, position, here, params            the accumulator of one element
``combine`` earlier, later, params                   the accumulator of both, in row-major order
``finish``  accumulator, divisor, params             the window's value
``second``  accumulator, divisor, params             a second result: the chosen element's index, or a
                                                     number that backward needs
``third``   accumulator, divisor, params             a third result, for backward
``turns``                                            how often a window's elements are walked, at most
``again``   accumulator, params                      the accumulator with which the next turn begins
``goes``    accumulator, params                      whether there is to be one
=========== ======================================== ====================================================

``position`` is the element's flat position in its plane, ``here`` the window's flat position in the output
(the counter of a random operator), ``params`` the operator's parameters in the table's order. Operators that
need the whole window at once (`ranks.RANKS`) have ``params = (params, values, places)``, the last two being
memory for the elements of one window.

What a window sends back to one of its elements is ``pull(gradient, value, position, first, second, third,
params)``; the three numbers are the results of another fold, the operator's state.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Expression = Callable[..., Any]
DType = np.dtype[Any]


def nothing(acc, divisor, params):
    return 0


def as_before(acc, params):
    return acc


def no_more(acc, params):
    return False


class Fold(NamedTuple):
    """The expressions that reduce a window."""

    start: Expression
    lift: Expression
    combine: Expression
    finish: Expression
    second: Expression = nothing
    third: Expression = nothing
    turns: int = 1
    again: Expression = as_before
    goes: Expression = no_more
    wide: Any = None  # the fold for calls in which the sums of this one overflow


# Accumulators of one number -------------------------------------------------------------------------------


def zero(value, position, here, params):
    return np.float64(0)


def zero_integer(value, position, here, params):
    return np.int64(0)


def lift_float(value, position, here, params):
    return np.float64(value)


def plus(a, b, params):
    return a + b


def accumulated(acc, divisor, params):
    return acc


def inverse_divisor(acc, divisor, params):
    return 1.0 / divisor


def as_sent(gradient, value, position, first, second, third, params):
    return gradient


GATHER = Fold(zero, lift_float, plus, accumulated)  # backward: the sum of what windows send
NO_STATE = Fold(zero, zero, plus, accumulated)


# Accumulators of an element: (value, position) ------------------------------------------------------------


def lift_choice(value, position, here, params):
    return value, position


def chosen_value(acc, divisor, params):
    return acc[0]


def chosen_position(acc, divisor, params):
    return acc[1]


def to_chosen(gradient, value, position, chosen, second, third, params):
    return np.float64(gradient) if chosen == position else 0.0


# Numbers --------------------------------------------------------------------------------------------------


def two_sum(a, b):
    """The rounded sum, and what the rounding lost (Knuth)."""
    total = a + b
    seen = total - a
    return total, (a - (total - seen)) + (b - seen)


def scaled(value, weight):
    """The product, and 0 for an infinite value without weight."""
    return value * weight if weight != 0 else 0.0


def scale_of(a, b, step):
    """The scale of two together: that of the first, but for a larger one, or a NaN."""
    return b if (b > a * step) | (b != b) else a


def weighted_sum(a, b, weight_a, weight_b):
    """As `scaled`, of arrays."""
    return np.where(weight_a == 0, 0, a * weight_a) + np.where(weight_b == 0, 0, b * weight_b)
