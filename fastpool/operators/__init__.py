"""The operator table: one entry an operator, for every form, dtype, direction and device.

A file here holds a family of operators: expressions that reduce any window element by element and send
gradients back (`fold`), those for regular windows of whole lines (`line`), and the entries. All of it is
plain Python; what kernels call is in the modules of `EXPRESSIONS`.
"""

from . import (
    compensated,
    draws,
    elementary,
    exponentials,
    extremes,
    fold,
    line,
    mixed,
    nearest,
    powers,
    ranks,
    rounding,
    selection,
    spreads,
    sums,
)
from .draws import TESTING
from .entry import Operator, Parameter, Partial, Range, always

__all__ = ["EXPRESSIONS", "OPERATORS", "TESTING", "Operator", "Parameter", "Partial", "Range", "always"]

ENTRIES = (
    *(extremes.MAX, extremes.MIN, sums.COUNT, sums.AVG, sums.SUM, powers.LP, powers.GEM, exponentials.LSE),
    *(exponentials.SOFT, mixed.MIXED, draws.STOCHASTIC, ranks.MEDIAN, ranks.QUANTILE, ranks.MODE),
    *(spreads.VAR, spreads.STD, nearest.NEAREST),
)
OPERATORS = {entry.name: entry for entry in ENTRIES}
EXPRESSIONS = (
    *(compensated, draws, elementary, exponentials, extremes, fold, line, mixed, powers, ranks, rounding),
    *(selection, spreads, sums),
)
