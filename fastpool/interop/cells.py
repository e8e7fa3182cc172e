"""`area_pool` and `blur_pool` in parts: the windows of a block of outputs, and the weights of their elements.

An element at the end of a cell counts by the part of it that lies inside, which follows from the length of
the whole axis. So a part has rows of the whole call's tables (`fastpool.weighted`), moved to where it begins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .. import area, arrays, jobs, windows
from ..arrays import Array
from ..jobs import Job
from ..missing import Missing
from ..operators import OPERATORS, Operator
from ..weighted import Table
from ..windows import Axis
from .cuts import Range


class Rows(NamedTuple):
    """Outputs `first` to `last` along an axis, whose table follows from a few numbers.

    Attributes
    ----------
    make : tuple
        What `area.new_table` makes the table of the whole axis from.
    """

    make: tuple[str, int, int, int]
    first: int
    last: int

    def table(self) -> Table:
        """Their table, for an axis that begins with the first element that they read."""
        whole = _whole_table(*self.make)
        own = slice(self.first, self.last)
        lo, count, begin = whole.lo[own], whole.count[own], whole.begin[own]
        start, low = int(lo.min()), int(begin.min())
        return Table(
            int((lo + count).max()) - start,
            lo - start,
            count,
            begin - low,
            whole.weights[low : int((begin + count).max())],
            whole.total[own],
            whole.divisor[own],
        )


_whole_table = lru_cache(8)(area.new_table)  # which takes longer than a small block, and more memory


@dataclass(frozen=True)
class WeightedJob(Job):
    """A job whose windows have a weight for each element.

    Attributes
    ----------
    rows : dict of Rows
        Of each pooled axis which elements its outputs add up, and with which weights.
    """

    rows: dict[int, Rows] = field(default_factory=dict)

    @property
    def tables(self) -> dict[int, Table]:
        """The table of each pooled axis."""
        return {axis: rows.table() for axis, rows in self.rows.items()}

    @property
    def alike(self) -> bool:
        """Whether all elements of all windows weigh the same."""
        return all(np.ptp(table.weights) == 0 for table in self.tables.values())

    def of_part(self, part: Job, outputs: Sequence[Range]) -> "WeightedJob":
        """The windows of outputs in a range of each axis, with their weights."""
        return _weighted(part, {axis: Rows(rows.make, *outputs[axis]) for axis, rows in self.rows.items()})


def area_job(
    x: object, op: object, output_size: Any, ratio: Any, axes: Any, op_params: dict[str, Any]
) -> tuple[Array, WeightedJob]:
    """The input and the job of a call of `area_pool`."""
    array = arrays.take("x", x)
    row, sizes = area.area_sizes(array, output_size, ratio, op, axes)
    making = {axis: ("area", array.shape[axis], size, int(row.averages)) for axis, size in sizes.items()}
    return array, _job(row, array, making, lambda n, size, _: windows.adaptive(n, size))


def blur_job(
    x: object, op: object, window: Any, stride: Any, axes: Any, op_params: dict[str, Any]
) -> tuple[Array, WeightedJob]:
    """The input and the job of a call of `blur_pool`, as if it were not of maxima."""
    array = arrays.take("x", x)
    area.is_of_maxima(op)
    steps = area.blur_steps(array, window, stride, axes)
    making = {axis: ("binomial", array.shape[axis], *each) for axis, each in steps.items()}
    return array, _job(OPERATORS["avg"], array, making, _sliding)


def _sliding(n: int, window: int, stride: int) -> Axis:
    """Windows around every `stride`-th element."""
    before, last = window // 2, (n - 1) // stride * stride
    return windows.sliding(n, window, stride, before, max(last - before + window - n, 0))


def _job(
    row: Operator, x: Array, making: dict[int, tuple[str, int, int, int]], along: Callable[..., Axis]
) -> WeightedJob:
    """The job of tables that are made so, whose windows are those `along` an axis."""
    rows = {}
    for axis, make in making.items():
        outputs = jobs.on_axis(axis, _whole_table, *make).outputs
        rows[axis] = Rows(make, 0, outputs)
    return _weighted(jobs.job(row, x, {axis: along(*make[1:]) for axis, make in making.items()}, {}), rows)


def _weighted(job: Job, rows: dict[int, Rows]) -> WeightedJob:
    own = {each.name: getattr(job, each.name) for each in fields(Job) if each.name != "plans"}
    return WeightedJob(**own, rows=rows)


def result_dtype(job: Job, source: np.dtype[Any], wanted: Any, *, weighed: bool) -> np.dtype[Any]:
    """Dtype of a job's result, as `fastpool.arrays.result_dtype`."""
    find = area.result_dtype if isinstance(job, WeightedJob) else arrays.result_dtype
    return find(job.operator, source, wanted, weighed=weighed)


def forward(job: WeightedJob, x: Array, missing: Missing | None, dtype: Any) -> Array:
    """The result of a part."""
    return area.checked(x, job.operator, job.tables, missing, dtype).result()


def backward(job: WeightedJob, gy: Array, x: Array, missing: Missing | None, of: str) -> Array:
    """The gradient of a part for its input, or ``of="weights"``."""
    call = area.checked(x, job.operator, job.tables, missing, None)
    gx, slopes = area.backward(call, gy, wanted=of != "x")
    return gx if of == "x" else slopes[of]
