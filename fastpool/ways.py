"""What plans say of themselves, and who asks: `explain_call` has calls prepared and noted, but not run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import threads
from .windows import Axis


class Way(NamedTuple):
    """How a plan reduces its windows.

    Attributes
    ----------
    kernel, why : str
        Its name, and a line that says why it serves.
    tasks : int
        Independent pieces of work, in which threads share.
    cut : str
        What is cut into tasks, where that is known.
    threads : int
        That would run.
    scratch : int
        Bytes that each of them works in.
    parts : tuple of Way
        What it is made of, or chooses from, where it has no kernel of its own.
    """

    kernel: str
    why: str
    tasks: int = 0
    cut: str = ""
    threads: int = 1
    scratch: int = 0
    parts: "tuple[Way, ...]" = ()


NOTHING = Way("none", "the result has no elements")


def of_kernel(kernel: str, why: str, tasks: int, work: int, cut: str = "", scratch: object = ()) -> Way:
    """The way of a kernel that `threads.run` gets; `scratch` is what a thread would get."""
    return Way(kernel, why, tasks, cut, threads.would_run(tasks, work), size(scratch))


def of_parts(kernel: str, why: str, parts: Sequence[Way]) -> Way:
    """The way of a plan that is made of others."""
    tasks, most = sum(part.tasks for part in parts), max(part.threads for part in parts)
    scratch = max(part.scratch for part in parts)
    return Way(kernel, why, tasks, "", most, scratch, tuple(parts))


def product(counts: dict[str, int]) -> str:
    """How tasks are cut: what there are several of."""
    return " x ".join(f"{n:,} {name}" for name, n in counts.items() if n > 1)


def turned(part: Way) -> Way:
    """The way of a plan for the axes in another order."""
    return of_parts("turned", "in the order of the input's memory; results are turned", [part])


def gathered(part: Way) -> Way:
    """The way of a plan for elements in another order than the input's."""
    return of_parts("gathered", "the elements of segments lie apart, and are gathered first", [part])


def extended(part: Way) -> Way:
    """The way of a plan for an input with a border of its own elements."""
    return of_parts(
        "extended", "the border holds elements of the input, which is copied with it first", [part]
    )


def stacked(part: Way, chunks: int) -> Way:
    """The way of a plan for the elements of footprints, a chunk of windows at a time."""
    why = f"the elements of a footprint are copied side by side first, in {chunks:,} chunks of windows"
    return of_parts("stacked", why, [part])


def size(arrays: object) -> int:
    """Bytes of all arrays in tuples of them, those once that are there several times."""
    found: dict[int, int] = {}
    left = [arrays]
    while left:
        each = left.pop()
        if isinstance(each, np.ndarray):
            found[id(each)] = each.nbytes
        elif isinstance(each, tuple | list) and id(each) not in found:
            found[id(each)] = 0
            left += each
    return sum(found.values())


# Who asks ------------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """A call that was prepared: its operator, windows and input, the bytes of its results, and its way."""

    operator: str
    windows: str
    x: Any
    writes: int
    way: Way


ASKED: ContextVar[list[Call] | None] = ContextVar("fastpool_asked", default=None)


@contextmanager
def asking() -> Iterator[list[Call]]:
    """Note the calls inside, which leave their results as they are."""
    asked: list[Call] = []
    token = ASKED.set(asked)
    try:
        yield asked
    finally:
        ASKED.reset(token)


@contextmanager
def unasked() -> Iterator[None]:
    """Run the calls inside, whoever asks."""
    token = ASKED.set(None)
    try:
        yield
    finally:
        ASKED.reset(token)


def note(operator: str, windows: str, x: Any, y: Any, indices: Any, way: Callable[[], Way]) -> None:
    """Keep a call, and its way where it has results, for who asks; its indices are 0."""
    if not isinstance(x, np.ndarray):
        raise TypeError(f"x must be on the CPU to be explained, got one on CUDA device {x.where.device}")
    writes = y.nbytes
    if indices is not None:
        indices[...] = 0
        writes += indices.nbytes
    asked = ASKED.get()
    if asked is not None:
        asked.append(Call(operator, windows, x, writes, way() if y.size else NOTHING))


def in_words(tables: Sequence[Axis]) -> str:
    """The windows along all pooled axes."""
    if any(table.regular is None for table in tables):
        return " by ".join(_range(table.fewest, table.most) for table in tables)
    lengths, strides, befores = zip(*(table.regular or (0, 0, 0) for table in tables), strict=True)
    words = _by(lengths) + f", stride {_by(strides)}" * (strides != lengths)
    if any(table.step > 1 for table in tables):
        words += f", dilation {_by([table.step for table in tables])}"
    return words + f", {_by(befores)} of padding before" * any(befores)


def of_planes_in_words(counts: Sequence[NDArray[Any]]) -> str:
    """Windows that differ from plane to plane, of so many elements along each pooled axis."""
    each = [_range(int(count.min()), int(count.max())) if count.size else "0" for count in counts]
    return f"{' by '.join(each)}, which differ from plane to plane"


def _range(fewest: int, most: int) -> str:
    return f"{fewest} to {most}" if fewest < most else str(most)


def _by(numbers: Sequence[int]) -> str:
    return "x".join(map(str, numbers))


def refuse_backward() -> None:
    """TypeError where somebody asks about a gradient."""
    if ASKED.get() is not None:
        raise TypeError("f must be a forward call: how gradients return is not explained")
