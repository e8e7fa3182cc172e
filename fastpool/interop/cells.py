"""`area_pool` and `blur_pool` in parts: the windows of a block of outputs, and the weights of their elements.

An element at the end of a cell counts by the part of it that lies inside, which follows from the length of
the whole axis. So a part has rows of the whole call's tables (`fastpool.weighted`), moved to where it begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from .. import area, arrays, jobs, windows
from ..arrays import Array
from ..jobs import Job
from ..missing import Missing
from ..operators import OPERATORS, Operator
from ..weighted import Table
from ..windows import Axis
from .cuts import Range


@dataclass(frozen=True)
class WeightedJob(Job):
    """A job whose windows have a weight for each element.

    Attributes
    ----------
    tables : dict of Table
        Of each pooled axis which elements its outputs add up, and with which weights.
    """

    tables: dict[int, Table] = field(default_factory=dict)

    @property
    def alike(self) -> bool:
        """Whether all elements of all windows weigh the same."""
        return all(np.ptp(table.weights) == 0 for table in self.tables.values())

    def of_part(self, part: Job, outputs: Sequence[Range]) -> "WeightedJob":
        """The windows of outputs in a range of each axis, with their weights."""
        tables = {axis: _rows(table, *outputs[axis]) for axis, table in self.tables.items()}
        return _weighted(part, tables)


def area_job(
    x: object, op: object, output_size: Any, ratio: Any, axes: Any, op_params: dict[str, Any]
) -> tuple[Array, WeightedJob]:
    """The input and the job of a call of `area_pool`."""
    array = arrays.take("x", x)
    row, sizes = area.area_sizes(array, output_size, ratio, op, axes)
    tables = area.area_tables(array, row, sizes)
    along = {axis: windows.adaptive(array.shape[axis], size) for axis, size in sizes.items()}
    return array, _job(row, array, along, tables)


def blur_job(
    x: object, op: object, window: Any, stride: Any, axes: Any, op_params: dict[str, Any]
) -> tuple[Array, WeightedJob]:
    """The input and the job of a call of `blur_pool`, as if it were not of maxima."""
    array = arrays.take("x", x)
    area.is_of_maxima(op)
    steps = area.blur_steps(array, window, stride, axes)
    tables = area.blur_tables(array, steps)
    along = {axis: _sliding(array.shape[axis], *each) for axis, each in steps.items()}
    return array, _job(OPERATORS["avg"], array, along, tables)


def _sliding(n: int, window: int, stride: int) -> Axis:
    """Windows around every `stride`-th element."""
    before, last = window // 2, (n - 1) // stride * stride
    return windows.sliding(n, window, stride, before, max(last - before + window - n, 0))


def _job(row: Operator, x: Array, along: dict[int, Axis], tables: dict[int, Table]) -> WeightedJob:
    return _weighted(jobs.job(row, x, along, {}), tables)


def _weighted(job: Job, tables: dict[int, Table]) -> WeightedJob:
    own = {each.name: getattr(job, each.name) for each in fields(Job) if each.name != "plans"}
    return WeightedJob(**own, tables=tables)


def _rows(table: Table, first: int, last: int) -> Table:
    """The outputs `first` to `last` of a table, which read an axis that begins where they do."""
    lo, count, begin = (each[first:last] for each in (table.lo, table.count, table.begin))
    start, low = int(lo.min()), int(begin.min())
    return Table(
        int((lo + count).max()) - start,
        lo - start,
        count,
        begin - low,
        table.weights[low : int((begin + count).max())],
        table.total[first:last],
        table.divisor[first:last],
    )


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
