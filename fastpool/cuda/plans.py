"""Which kernels a call runs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from ..windows import Geometry, Integers
from . import fold, lines, spread
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
    found = lines.plan(row, x, geometry, divisors, params, target, placed=chosen == "places")
    return found or fold.plan(row.name, row.fold(x.dtype, target), x, geometry, divisors, params, target)


def has_taps(geometry: Geometry) -> bool:
    """Gradients do not travel tap by tap here."""
    return False


class Back(NamedTuple):
    """How gradients return, by `indices` or, without, in shares."""

    row: Operator
    geometry: Geometry
    divisors: Sequence[Integers]
    params: NDArray[np.float64]

    def run(self, gy: DeviceArray, indices: DeviceArray | None, gx: DeviceArray) -> None:
        """Send gradients to `gx`; all arrays are C-contiguous."""
        row, geometry = self.row, self.geometry
        if indices is None:
            spread.send_shares(gy, geometry, self.divisors, gx)
        elif not spread.send_chosen(gy, indices, geometry, gx):
            states, inverse = (indices, indices, indices), geometry.inverse()
            fold.gather(row.name, row.pull, gy, gx, states, inverse, self.params, gx)  # type: ignore[arg-type]


def plan_backward(
    row: Operator,
    geometry: Geometry,
    divisors: Sequence[Integers],
    params: NDArray[np.float64],
    gy: DeviceArray,
    target: np.dtype[Any],
    kept: str,
) -> Back:
    """How to send gradients like `gy` back to elements of the dtype `target`."""
    return Back(row, geometry, divisors, params)
