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
from contextlib import contextmanager
from itertools import count
from queue import SimpleQueue
from typing import Any

from . import checks

SERIAL_WORK = 100_000  # elements read, up to which waking a thread (20 to 100 us) costs more than it saves
VECTOR = 32  # bytes that passes over contiguous memory have done when other code has read an element
RANGES_PER_THREAD = 4  # so that a thread that was held up does not hold up the call


def _default_threads() -> int:
    wanted = os.environ.get("NUMBA_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Part:
    """Work of a call that a helper begins, or the caller takes back, whoever comes first."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work: Callable[[], None] | None = work
        self.takers = count()
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def taken(self) -> Callable[[], None] | None:
        """The work, for the first who asks."""
        if next(self.takers):
            return None
        work, self.work = self.work, None
        return work

    def run(self) -> None:
        """Do it, unless the caller has it."""
        work = self.taken()
        if work:
            try:
                work()
            except BaseException as error:
                self.error = error
            finally:
                self.done.release()

    def wait(self) -> BaseException | None:
        """Until it is done, or nobody will do it; what went wrong."""
        if not self.taken():
            self.done.acquire()
        return self.error


def _help(parts: SimpleQueue[_Part | None]) -> None:
    """What a helper does as long as it lives."""
    while part := parts.get():
        part.run()
        del part


class _Team:
    """The number of threads, and the helpers, all but the calling one, that start with the first work."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.parts: SimpleQueue[_Part | None] = SimpleQueue()
        self.helpers: list[threading.Thread] = []
        self.starting = threading.Lock()

    def submit(self, work: Callable[[], None]) -> _Part:
        """Work for a helper; RuntimeError where no thread starts any more."""
        if len(self.helpers) < self.size - 1:
            self.start()
        part = _Part(work)
        self.parts.put(part)
        return part

    def start(self) -> None:
        """Start the helpers. They do not keep the interpreter from ending."""
        with self.starting:
            while len(self.helpers) < self.size - 1:
                helper = threading.Thread(target=_help, args=(self.parts,), name="fastpool", daemon=True)
                helper.start()
                self.helpers.append(helper)

    def dismiss(self) -> None:
        """No more work: what is under way is finished, and what comes late its caller does."""
        for _ in self.helpers:
            self.parts.put(None)


class _Current:
    """The team that calls use. Setting the number makes a new one: calls under way keep theirs."""

    team = _Team(_default_threads())


def _new_team() -> None:
    """In a forked child: the parent's threads do not exist here, the next call starts new ones."""
    _Current.team = _Team(_Current.team.size)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_team)


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
    before, _Current.team = _Current.team, _Team(checks.integer("n", n, minimum=1))
    before.dismiss()


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
        own: tuple[Any, ...] | None = None
        while (number := next(numbers)) < ranges:
            own = scratch() if own is None else own
            kernel(*arguments, *own, number * tasks // ranges, (number + 1) * tasks // ranges)

    try:
        parts = [team.submit(take) for _ in range(min(team.size, ranges) - 1)]
    except RuntimeError:  # the interpreter is shutting down and starts no more threads
        parts = []
    try:
        take()
    finally:  # a helper that has not begun by now would find nothing to do
        errors = [part.wait() for part in parts]
    for error in filter(None, errors):
        raise error
