"""Which kernels a call runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from ..windows import Geometry, Integers
from . import fold, lines
from .array import DeviceArray


def plan(
    row: Operator,
    x: DeviceArray,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
    chosen: str,
) -> fold.Plan | lines.Plan | None:
    """How to reduce the windows of arrays like `x`: by lines where they fit, else by the skeleton.

    With indices where `chosen` is "places"; taps there are none.
    """
    if chosen == "taps":
        return None
    found = lines.plan(row, x, geometry, divisors, params, target, placed=chosen == "places")
    return found or fold.plan(row.name, row.fold(x.dtype, target), x, geometry, divisors, params, target)


def plan_taps(geometry: Geometry, divisors: Sequence[Integers] | None, dtype: np.dtype[Any]) -> None:
    """Gradients do not travel tap by tap here."""
    return
