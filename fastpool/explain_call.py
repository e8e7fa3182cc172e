"""Which kernel a call takes, and why: the call is prepared, and what its plan says of itself is told."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from . import ways
from .ways import Way


@dataclass(frozen=True, repr=False)
class CallExplanation:
    """What a call would do; printed, a few lines.

    Attributes
    ----------
    operator, windows : str
        What is done to the elements of a window, and what windows there are.
    shape, dtype, layout : tuple of int, str, str
        Of the array as the kernel reads it.
    kernel, why : str
        The kernel's name, and why it serves.
    tasks : int
        Independent pieces of work; `cut` says what they are, where that is known.
    cut : str
    threads : int
        That would run: no more than `get_num_threads`, and than the work is worth.
    reads, writes : int
        Bytes of the input, and of all results. A kernel that reads an element again finds it in cache.
    scratch : int
        Bytes of memory that each thread works in. Where the input's values choose one of two kernels, this,
        `tasks` and `threads` are those of the first.
    parts : tuple of Way
        Where several kernels make the result: each one's `kernel`, `why`, `tasks`, `cut`, `threads`,
        `scratch` and `parts`.
    """

    operator: str
    windows: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    kernel: str
    why: str
    tasks: int
    cut: str
    threads: int
    reads: int
    writes: int
    scratch: int
    parts: tuple[Way, ...]

    def __repr__(self) -> str:
        return "\n".join(f"{name:<10}{text}" for name, text in _lines(self))


def explain_call(f: Callable[..., Any], *args: Any, **kwargs: Any) -> CallExplanation:
    """Tell which kernel a call takes and why, without running it.

    The call is prepared as always: its arguments are checked and memory for the result is allocated. Then its
    plan is told instead of run. Nothing is written to the result, nor to `out`.

    Parameters
    ----------
    f : callable
        A pooling function of fastpool, or a function that calls some, as `vjp` does: then the call keeps what
        its gradient needs, which may take another kernel. Not the ``*_backward`` functions.
    *args
        Arguments of `f`.
    **kwargs
        Keyword arguments of `f`.

    Returns
    -------
    CallExplanation
        Printed, it is a few lines; its attributes hold the same.

    Raises
    ------
    TypeError
        If `f` is not callable, does not pool, pools an array on a GPU or of a library that makes the call
        later (dask, compiled JAX), or sends a gradient back; and as `f` raises it.
    ValueError
        As `f` raises it.

    See Also
    --------
    explain : Show the windows along one axis.
    set_num_threads : Set the number of threads that a call may use.
    vjp : The result and its way back.

    Notes
    -----
    No kernel is compiled or run, so that the answer takes well under a millisecond.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.zeros((1, 8, 112, 112), np.float32)
    >>> fp.explain_call(fp.max_pool, x, 3, stride=2, padding=1)  # doctest: +ELLIPSIS
    operator  max
    windows   3x3, stride 2x2, 1x1 of padding before
    input     (1, 8, 112, 112) float32, C order
    kernel    slides by 2: 3x3 windows at stride 2: each row is read once, where a row is written
    tasks     8 tasks (8 planes), 1 thread
    memory    401,408 bytes read, 100,352 written, ... of scratch a thread
    >>> fp.explain_call(fp.avg_pool, x, 2).kernel
    'squares'
    """
    if not callable(f):
        raise TypeError(f"f must be a pooling function, got {f!r}")
    with ways.asking() as calls:
        f(*args, **kwargs)
    if not calls:
        raise TypeError(f"f must call a pooling function of fastpool, on an array in memory, got {f!r}")
    x, way = calls[0].x, calls[0].way
    if len(calls) > 1:
        way = ways.of_parts(f"{len(calls)} calls", "one after the other", [call.way for call in calls])
    return CallExplanation(
        operator=_each(call.operator for call in calls),
        windows=_each(call.windows for call in calls),
        shape=x.shape,
        dtype=str(x.dtype),
        layout=_layout(x),
        reads=sum(call.x.nbytes for call in calls),
        writes=sum(call.writes for call in calls),
        **way._asdict(),
    )


def _each(texts: Iterable[str]) -> str:
    """All different ones."""
    return "; ".join(dict.fromkeys(texts))


def _layout(x: NDArray[Any]) -> str:
    """The order of memory."""
    order = sorted(range(x.ndim), key=lambda axis: (-x.strides[axis], axis))
    if x.flags.c_contiguous:
        return "C order"
    if x.flags.f_contiguous:
        return "Fortran order"
    if x.transpose(order).flags.c_contiguous:
        return f"axes {', '.join(map(str, order))} in memory"
    return f"strides of {', '.join(map(str, x.strides))} bytes"


# Text ----------------------------------------------------------------------------------------------------


def _lines(of: CallExplanation) -> Iterator[tuple[str, str]]:
    yield "operator", of.operator
    yield "windows", of.windows
    yield "input", f"{of.shape} {of.dtype}, {of.layout}"
    yield "kernel", f"{of.kernel}: {of.why}"
    yield from _parts(of.parts, 1)
    yield "tasks", f"{_counted(of.tasks, 'task')}{_cut(of.cut)}, {_counted(of.threads, 'thread')}"
    yield "memory", f"{of.reads:,} bytes read, {of.writes:,} written, {of.scratch:,} of scratch a thread"


def _parts(parts: tuple[Way, ...], depth: int) -> Iterator[tuple[str, str]]:
    for part in parts:
        shared = f"{_counted(part.tasks, 'task')}{_cut(part.cut)}, {_counted(part.threads, 'thread')}"
        yield "", f"{'  ' * depth}{part.kernel}: {part.why}; {shared}"
        yield from _parts(part.parts, depth + 1)


def _cut(cut: str) -> str:
    return f" ({cut})" if cut else ""


def _counted(number: int, name: str) -> str:
    return f"{number:,} {name}{'s' * (number != 1)}"
