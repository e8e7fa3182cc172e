"""Threads: ranges of a kernel's tasks run side by side, on threads of our own.

Kernels are serial and release the GIL; a call cuts its tasks into ranges that the calling thread and the
pool's threads take one after the other. numba's own parallel layers were measured and left aside: GNU
OpenMP stalls for 1 to 8 ms after 20 ms of idleness on two cores and kills forked children, the workqueue
layer aborts the process when two Python threads enter it, and a parallel kernel takes longer
to compile (docs/architecture.md).
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

from . import checks

SERIAL_WORK = 100_000  # elements read, up to which waking a thread (20 to 100 us) costs more than it saves
VECTOR = 64  # bytes that passes over contiguous memory have done when other code has read an element
RANGES_PER_THREAD = 4  # so that a thread that was held up does not hold up the call


def _default_threads() -> int:
    wanted = os.environ.get("NUMBA_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Team:
    """The number of threads and the pool that supplies all but the calling one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.pool: ThreadPoolExecutor | None = None

    def helpers(self) -> ThreadPoolExecutor:
        if self.pool is None:
            self.pool = ThreadPoolExecutor(max(self.size - 1, 1), thread_name_prefix="fastpool")
        return self.pool


class _Current:
    """The team that calls use. Setting the number makes a new one: calls under way keep theirs."""

    team = _Team(_default_threads())


def _forget_pool() -> None:
    """In a forked child: the parent's threads do not exist here, the next call starts new ones."""
    _Current.team.pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def get_num_threads() -> int:
    """Number of threads that a call may use.

    Returns
    -------
    int
        As last set; at first ``NUMBA_NUM_THREADS`` where that is set, else the CPUs this process may use.

    Examples
    --------
    >>> import fastpool as fp
    >>> fp.get_num_threads() >= 1
    True
    """
    return _Current.team.size


def set_num_threads(n: int) -> None:
    """Set the number of threads that a call may use, for the whole process.

    Results do not depend on it, bit for bit. Small work runs on the calling thread whatever the number.

    Parameters
    ----------
    n : int
        At least 1; more than the machine's CPUs is allowed.

    Raises
    ------
    TypeError, ValueError
        Where `n` is not an integer or is below 1.

    Examples
    --------
    >>> import fastpool as fp
    >>> before = fp.get_num_threads()
    >>> fp.set_num_threads(1)
    >>> fp.get_num_threads()
    1
    >>> fp.set_num_threads(before)
    """
    _Current.team = _Team(checks.integer("n", n, minimum=1))


class _Here(threading.local):
    """Whether the calls of this thread leave the other threads alone."""

    alone = False


_here = _Here()


@contextmanager
def alone() -> Iterator[None]:
    """Keep the calls inside on the calling thread, for who runs several of them side by side already."""
    before, _here.alone = _here.alone, True
    try:
        yield
    finally:
        _here.alone = before


def vector_work(size: int, itemsize: int) -> int:
    """The work of a pass over contiguous memory, for `run`."""
    return -(-size * itemsize // VECTOR)


def run(
    kernel: Callable[..., None],
    arguments: tuple[Any, ...],
    tasks: int,
    work: int,
    scratch: Callable[[], tuple[Any, ...]] = tuple,
) -> None:
    """Call ``kernel(*arguments, *scratch(), first, last)`` so that every task is in exactly one range.

    Parameters
    ----------
    tasks : int
        Independent tasks: which range a task is in does not change its result.
    work : int
        Elements that all of them read, to tell small work.
    scratch : callable
        Makes the memory that a thread works in.
    """
    if work <= SERIAL_WORK or tasks == 1 or _Current.team.size == 1 or _here.alone:
        kernel(*arguments, *scratch(), 0, tasks)
        return
    team = _Current.team
    ranges = min(tasks, team.size * RANGES_PER_THREAD)
    numbers = count()

    def take() -> None:
        own = scratch()
        while (number := next(numbers)) < ranges:
            kernel(*arguments, *own, number * tasks // ranges, (number + 1) * tasks // ranges)

    try:
        helpers = [team.helpers().submit(take) for _ in range(min(team.size, ranges) - 1)]
    except RuntimeError:  # the interpreter is shutting down and starts no more threads
        helpers = []
    try:
        take()
    finally:  # helpers that have not begun by now would find nothing to do
        begun = [helper for helper in helpers if not helper.cancel()]
        for helper in begun:
            helper.result()
