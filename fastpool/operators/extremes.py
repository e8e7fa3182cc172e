"""The largest and the smallest element: one definition, whose direction is two comparisons."""

import math
from collections.abc import Callable
from operator import ge, gt, le, lt

import numpy as np

from .entry import LineChoice, Operator, Partial, always
from .fold import DType, Expression, Fold, chosen_position, chosen_value, lift_choice, to_chosen
from .line import Line, Params, as_it_is, same_or_wider, value_alone


def comparing(beats: Expression, reaches: Expression) -> tuple[Expression, ...]:
    """The better of two, where `beats` is > and `reaches` >=, or < and <=: of elements, values and pairs."""

    def better(a, b, params):
        """The first of equals; a NaN beats every number and the NaNs after it."""
        take = beats(b[0], a[0]) | ((b[0] != b[0]) & (a[0] == a[0]))
        return b[0] if take else a[0], b[1] if take else a[1]

    def keep(a, b):
        return b if beats(b, a) else a

    def keep_or_nan(a, b):
        return a if reaches(a, b) | (a != a) else b

    def pick(a, b):
        take = beats(b[0], a[0])
        return b[0] if take else a[0], b[1] if take else a[1]

    def pick_or_nan(a, b):
        return better(a, b, 0)

    return better, keep, keep_or_nan, pick, pick_or_nan


def value_and_place(value, offset):
    return value, np.int32(offset)


def lines(found: tuple[Expression, ...], *, largest: bool) -> tuple[LineChoice, Callable[[DType], Line]]:
    """Which lines fit: of values, and of pairs of value and place."""
    _, keep, keep_or_nan, pick, pick_or_nan = found

    def bare(source: DType) -> Line:
        if source.kind in "iub":
            stored = np.dtype(np.uint8) if source == np.bool_ else source
            limits = np.iinfo(stored)
            return Line(keep, None, as_it_is, limits.min if largest else limits.max, stored.name, value_alone)
        computed = "float32" if source.itemsize == 2 else source.name
        return Line(keep, keep_or_nan, as_it_is, -math.inf if largest else math.inf, computed, value_alone)

    def line(source: DType, target: DType, elements: int, chain: int, params: Params) -> Line | None:
        return bare(source) if same_or_wider(source, target) else None

    def placed(source: DType) -> Line:
        of_values = bare(source)
        careful = of_values.careful and pick_or_nan
        return of_values._replace(merge=pick, careful=careful, element=value_and_place)

    return line, placed


def extreme(
    name: str, better: Expression, line: LineChoice, placed: Callable[[DType], Line], merge: Expression
) -> Operator:
    """The entry."""
    return Operator(
        name,
        always(Fold(lift_choice, lift_choice, better, chosen_value, chosen_position)),
        "chosen",
        "all",
        pull=to_chosen,
        line=line,
        placed=placed,
        partial=Partial(lambda value, _: (value(name),), lambda a, b, _: (merge(a[0], b[0]),)),
    )


# Each expression has a name here: `jit.register` goes through the names of a module.
LARGER = larger, keep_larger, keep_larger_or_nan, pick_larger, pick_larger_or_nan = comparing(gt, ge)
SMALLER = smaller, keep_smaller, keep_smaller_or_nan, pick_smaller, pick_smaller_or_nan = comparing(lt, le)
max_line, max_placed = lines(LARGER, largest=True)
min_line, min_placed = lines(SMALLER, largest=False)

MAX = extreme("max", larger, max_line, max_placed, np.maximum)
MIN = extreme("min", smaller, min_line, min_placed, np.minimum)
