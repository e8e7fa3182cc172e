"""Which kernels a call runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from ..windows import Geometry, Integers
from . import fold
from .array import DeviceArray


def plan(
    row: Operator,
    x: DeviceArray,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    target: np.dtype[Any],
    chosen: str,
) -> fold.Plan | None:
    """How to reduce the windows of arrays like `x`, with indices where `chosen` is "places"; no taps here."""
    if chosen == "taps":
        return None
    return fold.plan(row.name, row.fold(x.dtype, target), x, geometry, divisors, params, target)


def plan_taps(geometry: Geometry, divisors: Sequence[Integers] | None, dtype: np.dtype[Any]) -> None:
    """Gradients do not travel tap by tap here."""
    return


def send_chosen(gy: DeviceArray, indices: DeviceArray, geometry: Geometry, gx: DeviceArray) -> bool:
    """Gradients are gathered here, not sent."""
    return False
