"""Which kernel reduces regular windows: the first of a table whose question is answered with yes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import NamedTuple

from . import cells, chosen, doubling, planes, rows, slides, whole
from .shape import Shape
from .tasks import Plan, Reduction


class Limits(NamedTuple):
    """Sizes at which another kernel, or another block, is faster, in elements if nothing else is said."""

    row_of_cells: int = 4  # outputs of the shortest row of small cells that are one pass
    row_of_lifted: int = 16  # the same of powers and exponentials, which shorter rows compute one by one
    channels: int = 9  # fewest channels that are worth a pass
    block: int = 8_192  # input of a task, but of whole rows where these have no more than ...
    whole_row: int = 65_536
    plane: int = 4_000  # largest plane that is one task, and stays in cache beside its lines
    low: int = 128  # rows of output of a task, at least
    long: int = 4_096  # row of a task, at most
    near: int = 1_600  # lines that rows are merged to at a time, of 4 bytes and more
    task: int = 100_000  # input of a task of rows, about
    registers: int = 3  # that the shortest row fills over which 3x3 slide at stride 1; below are `planes`
    kept: int = 200_000  # lines that long windows keep, and stay in the second-level cache
    swept: int = 8  # rows of the shortest windows that merge in runs, if rows are long
    slid: int = 150  # shortest row over which larger windows slide


USUAL = Limits()
_limits: ContextVar[Limits] = ContextVar("limits", default=USUAL)


def limits() -> Limits:
    """The limits of the calls that are prepared now."""
    return _limits.get()


@contextmanager
def limited(**others: int) -> Iterator[None]:
    """Other limits, so that tests reach each kernel with small arrays; kept calls keep theirs."""
    token = _limits.set(USUAL._replace(**others))
    try:
        yield
    finally:
        _limits.reset(token)


class Choice(NamedTuple):
    """A kernel, which windows it is for, and why."""

    name: str
    fits: Callable[[Reduction], bool]
    plan: Callable[[Reduction], Plan]
    why: str


CHOICES = (
    Choice(
        "neighbours",
        whole.are_neighbours,
        whole.plan_neighbours,
        "windows that are short runs of memory: eight of their elements merge side by side",
    ),
    Choice(
        "groups of rows",
        whole.are_groups,
        whole.plan_groups,
        "large windows that share little: eight rows merge at a time, and their results pair by pair",
    ),
    Choice(
        "squares",
        cells.are_squares,
        partial(cells.plan, cells.squares, looks=True),
        "2x2 windows side by side: read, merged and written in one pass; extremes look for NaN first",
    ),
    Choice(
        "cubes",
        cells.are_cubes,
        partial(cells.plan, cells.cubes),
        "2x2x2 windows side by side: read, merged and written in one pass",
    ),
    Choice(
        "squares of channels",
        cells.are_squares_of_channels,
        partial(cells.plan, cells.squares_of_channels),
        "2x2 windows of channels: read, merged and written in one pass",
    ),
    Choice(
        "chosen cells",
        cells.are_chosen,
        cells.plan_chosen,
        "chosen elements of small cells: read, compared and written in one pass; some look for NaN first",
    ),
    Choice(
        "planes",
        planes.are_small,
        planes.plan,
        "windows around each element of small planes: a plane is one line, since its rows are too short",
    ),
    Choice(
        "slides by 1",
        slides.are_3x3_by_1,
        partial(slides.plan, slides.by_1),
        "3x3 windows at stride 1: each row is read once, where a row is written",
    ),
    Choice(
        "slides by 2",
        slides.are_3x3_by_2,
        partial(slides.plan, slides.by_2),
        "3x3 windows at stride 2: each row is read once, where a row is written",
    ),
    Choice(
        "slides over channels",
        slides.are_3x3_over_channels,
        partial(slides.plan, slides.by_2_over_channels),
        "3x3 windows of channels at stride 2: each row is read once, where a row is written",
    ),
    Choice(
        "slides of up to 9x9",
        slides.are_up_to_9x9,
        partial(slides.plan, slides.by_up_to_9),
        "windows that overlap share pairs of rows; two rows are read where two are written",
    ),
    Choice(
        "doubling",
        doubling.are_fewer_passes,
        doubling.plan,
        "fewer passes than row by row: shorter windows merge to longer ones, or long rows merge in runs",
    ),
    Choice(
        "rows of ones", rows.are_ones, partial(rows.plan, rows.ones), "stride 1: rows merge, then neighbours"
    ),
    Choice(
        "rows of cells",
        rows.are_cells,
        partial(rows.plan, rows.cells),
        "windows side by side: rows merge, then two or three neighbours at a time",
    ),
    Choice(
        "rows of phases",
        rows.are_phases,
        partial(rows.plan, rows.phases),
        "a stride: rows merge, each phase of the stride becomes a line, and lines merge",
    ),
    Choice(
        "rows of channels",
        rows.are_channels,
        partial(rows.plan, rows.channels),
        "channels at a stride: rows merge, then cells of channels",
    ),
    Choice(
        "rows of picked ones",
        rows.are_picked,
        partial(rows.plan, rows.picked),
        "few channels, or a long stride: rows merge, then neighbours at every element, and cells are picked",
    ),
    Choice(
        "doubling of what is left",
        doubling.are_left,
        doubling.plan,
        "too long for rows: shorter windows merge to longer ones, or long rows merge in runs",
    ),
    Choice(
        "rows of places",
        chosen.fit,
        chosen.plan,
        "chosen elements: rows merge in their order, and then neighbours",
    ),
)


def plan(reduction: Reduction) -> Plan | None:
    """By the first kernel that fits; None where none does."""
    for choice in CHOICES:
        if choice.fits(reduction):
            return choice.plan(reduction)._replace(name=choice.name, why=choice.why)
    return None


def chain(shape: Shape) -> int:
    """The longest chain of merges that an element of a window goes through, in sums."""
    if whole.fits(shape):
        return whole.chain(shape)
    return doubling.chain(shape) if doubling.take_fewer_passes(shape, repeats=False) else rows.chain(shape)
