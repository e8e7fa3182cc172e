"""What kernels for regular windows share: which block of a plane a task is, and the plan that runs them."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import jit, reuse, threads, ways
from ..operators.line import Line, add, may_overflow, unlifted
from ..windows import Integers
from . import half, passes
from .memory import fields, flatten, raw
from .shape import Lead, Shape

Array = NDArray[Any]
NOWHERE, NONE = np.empty(0, np.int32), np.empty(0, np.int64)


class Grid(NamedTuple):
    """How many tasks there are: blocks, of the outputs of leading axes, of planes."""

    run: int  # planes in a run; their distances in input and output
    x_step: int
    y_step: int
    leads: int
    bands: int  # blocks down the rows of a plane, and along its columns
    tiles: int


GRID = len(Grid._fields)  # where a kernel's own numbers begin
read_grid = fields(Grid)


def begin(grid, task):
    """Where a task is: its tile, its band, its leading output, and its plane in which run."""
    tile, rest = task % grid.tiles, task // grid.tiles
    band, rest = rest % grid.bands, rest // grid.bands
    lead, plane = rest % grid.leads, rest // grid.leads
    return tile, band, lead, plane % grid.run, plane // grid.run


def following(grid, place):
    """Where the next task is; to divide takes as long as a short pass."""
    tile, band, lead, plane, run = place
    tile += 1
    if tile == grid.tiles:
        tile, band = 0, band + 1
        if band == grid.bands:
            band, lead = 0, lead + 1
            if lead == grid.leads:
                lead, plane = 0, plane + 1
                if plane == grid.run:
                    plane, run = 0, run + 1
    return tile, band, lead, plane, run


def located(grid, outer, leads, place):
    """Offsets of a task's plane in input and output."""
    _, _, lead, plane, run = place
    x = outer[0, run] + plane * grid.x_step + leads[0, lead]
    return x, outer[1, run] + plane * grid.y_step + leads[1, lead]


def parted(outputs: int, width: int) -> int:
    """The width of tiles along columns; all of them where what is left would be less than a tile."""
    return outputs if outputs <= 2 * width else width


def begun_at(origin: int, tables: tuple[Any, ...]) -> tuple[Any, ...]:
    """A plan's tables for an input that begins so far in its memory; the first one has offsets in it."""
    return (tables[0] + np.array([[origin], [0]]), *tables[1:]) if origin else tables


def scratch_of(memory: tuple[tuple[int, Any], ...]) -> tuple[tuple[Array, ...]]:
    """One argument of a kernel: buffers, of each of which the number of elements and the dtype are given."""
    return (tuple(reuse.empty((size,), dtype) for size, dtype in memory),)


def expressions_of(kind: Any, *, careful: bool) -> tuple[Any, ...]:
    """What merges, what finds NaNs, what finishes and writes results; and whether sums may overflow.

    A `kind` has a `line`, and names how the input (`source`) and the results (`target`) are stored.
    """
    line = kind.line
    merge = line.careful if careful else line.merge
    odd = half.IS_NAN[kind.source] if line.careful else passes.never
    return merge, odd, line.finish, half.WRITE[kind.target], may_overflow(line)


def take_of(kind: Any) -> Any:
    """What reads an element of the input as what rows of it merge in, before anything is added."""
    return (passes.TAKE_DOUBLE if kind.line.dtype == "float64" else passes.TAKE)[kind.source]


def named(how: str, kind: Any, *, careful: bool) -> str:
    """A kernel's name: how it goes, and what else it is compiled for."""
    return f"{how}{'_careful' if careful else ''}_{kind.source}_{kind.line.dtype}_{kind.target}"


class Plan(NamedTuple):
    """A kernel and its arguments but for the arrays of a call.

    Attributes
    ----------
    kernel : callable
    careful : callable
        What compiles the kernel for arrays with NaNs, where it is another one.
    tables : tuple
        Offsets of the planes and of the leading outputs, the grid and the kernel's own numbers, and more.
    like : ndarray
        What changes nothing, and the parameters, in the dtype that is computed in.
    memory : tuple of (int, dtype)
        Buffers that a thread works in: how many elements of which dtype.
    tasks, work : int
        As `threads.run` has them.
    again : callable or None
        What to do where sums overflow.
    name, why : str
        The kernel's, and why it serves, in the table that chooses.
    """

    kernel: Callable[..., None]
    careful: Callable[[], Callable[..., None]] | None
    tables: tuple[Any, ...]
    like: Array
    memory: tuple[tuple[int, Any], ...]
    tasks: int
    work: int
    again: Callable[[Array, Array], None] | None = None
    name: str = ""
    why: str = ""

    def run(self, x: Array, y: Array, places: Array | None) -> bool:
        """Reduce every window of `x` into the C-contiguous `y`, and the indices (or taps) into `places`.

        Returns whether sums may have overflowed, and nothing was done `again`.
        """
        values, origin = flatten(raw(x))
        met = np.zeros(1, np.int64)
        chosen = NOWHERE if places is None else places.ravel()
        arguments = ((values, raw(y).ravel(), chosen, self.like, met), begun_at(origin, self.tables))
        threads.run(self.kernel, arguments, self.tasks, self.work, self.scratch)
        if met[0] and self.careful:
            threads.run(self.careful(), arguments, self.tasks, self.work, self.scratch)
        if not met[0] or not self.again or np.isfinite(y).all():
            return bool(met[0])
        self.again(x, y)
        return False

    def scratch(self) -> tuple[tuple[Array, ...]]:
        """Memory for one thread."""
        return scratch_of(self.memory)

    def way(self) -> ways.Way:
        """What it says of itself."""
        outer, _, numbers = self.tables[:3]
        grid = Grid(*numbers[:GRID].tolist())
        counts = {"planes": outer.shape[1] * grid.run, "leading outputs": grid.leads}
        counts |= {"bands of rows": grid.bands, "tiles of columns": grid.tiles}
        cut = ways.product(counts)
        return ways.of_kernel(self.name, self.why, self.tasks, self.work, cut, self.scratch())


class Tiles(NamedTuple):
    """The blocks of a plane: all of one shape have the same scales, so that a table has those of each once.

    Of rows of outputs, and of columns: where each shape first occurs, and how many outputs it has.
    """

    rows: list[tuple[int, int]]
    columns: list[tuple[int, int]]


def tiled(counts: Sequence[int], kind: Integers, first: Integers) -> list[tuple[int, int]]:
    """The shapes of blocks along an axis, of what `Regular.parts` returns."""
    return [(int(first[np.argmax(kind == n)]), count) for n, count in enumerate(counts)]


def beginnings(shapes: list[tuple[int, int]]) -> Integers:
    """Where in a table what belongs to each shape begins."""
    return np.cumsum([0, *(count for _, count in shapes[:-1])])


class Reduction(NamedTuple):
    """Regular windows of an array, and how an operator reduces them.

    Attributes
    ----------
    name : str
        Of the operator, for that of the kernel.
    line : Line
        The operator's expressions.
    shape : Shape
        Planes of rows and columns.
    leads : list of Lead
        The slabs that each output along the leading axes covers.
    source, target : str
        How elements are stored.
    converts : bool
        Whether lines have another dtype than the array, or lifted values.
    floats : bool
        Whether the array has floats.
    chosen : str
        "places" or "taps" where the chosen elements are wanted too.
    scale : ndarray or None
        By which all results are scaled; None where windows have scales of their own.
    weigh : callable
        What makes these for a shape and some tiles: one for each output of a row and one for each row of each
        leading output, whose products they are.
    like : ndarray
        As `Plan` has it.
    work, again
        As `Plan` has them.
    limits : Limits
        Sizes at which other kernels and blocks are faster.
    """

    name: str
    line: Line
    shape: Shape
    leads: list[Lead]
    source: str
    target: str
    converts: bool
    floats: bool
    chosen: str
    scale: Array | None
    weigh: Callable[[Shape, Tiles], tuple[Array, Array]]
    like: Array
    work: int
    again: Callable[[Array, Array], None] | None
    limits: Any

    def across_planes(self) -> "Reduction":
        """As `Shape.across_planes` has it."""
        shape = self.shape.across_planes(self.limits.near)
        return self if shape is self.shape else self._replace(shape=shape, leads=shape.leads())

    @property
    def placed(self) -> bool:
        """Whether the chosen elements are wanted too."""
        return bool(self.chosen)

    def lines(self, elements: int) -> tuple[tuple[int, Any], ...]:
        """Memory for lines of so many elements in all, with their places where these are wanted."""
        values = elements, self.line.dtype
        return (values, (elements, np.int32)) if self.placed else (values,)

    @property
    def lifted(self) -> bool:
        """Whether what is merged is computed from each element."""
        return self.line.lift is not unlifted

    @property
    def repeats(self) -> bool:
        """Whether merging an element more than once changes nothing."""
        return self.line.merge is not add

    @property
    def uniform(self) -> bool:
        """Whether all results are scaled alike: not those of averages in which padding does not count."""
        return self.scale is not None

    def plan(
        self,
        kernel: Callable[..., Callable[..., None]],
        numbers: tuple[int, ...],
        blocks: tuple[int, int],
        memory: tuple[tuple[int, Any], ...] = (),
        scales: tuple[Array | None, Integers] | None = None,
    ) -> Plan:
        """A kernel over blocks of the rows and of the columns of all planes, which may have own `scales`."""
        outer = self.shape.outer
        x_step, y_step = outer.steps
        grid = Grid(outer.length, x_step, y_step, len(self.leads), *blocks)
        counts = [len(lead.slabs) for lead in self.leads]
        begins = [sum(counts[:n]) for n in range(len(counts))]
        leads = np.array(
            [
                [lead.first for lead in self.leads],
                [lead.out for lead in self.leads],
                begins,
                counts,
            ]
        )
        places = [lead.first + offset for lead in self.leads for offset, _ in lead.slabs]
        fresh = np.zeros(len(places), np.int64)  # 1 where no earlier leading output reads this slab
        fresh[np.unique(places, return_index=True)[1]] = 1
        slabs = np.array([*(offset for lead in self.leads for offset, _ in lead.slabs), *fresh], np.int64)
        scales = scales or (self.scale, NONE)
        tables = outer.begins, leads, np.array([*grid, *numbers], np.int64), *scales, slabs
        tasks = len(outer) * len(self.leads) * math.prod(blocks)
        careful = partial(kernel, careful=True) if self.line.careful else None
        return Plan(kernel(careful=False), careful, tables, self.like, memory, tasks, self.work, self.again)


jit.register(__name__)
