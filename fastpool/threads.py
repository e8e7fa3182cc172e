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
from time import perf_counter
from typing import Any

from . import checks

SERIAL_WORK = 100_000  # elements read, up to which waking a thread (20 to 100 us) costs more than it saves
VECTOR = 32  # bytes that passes over contiguous memory have done when other code has read an element
WORTHWHILE = 10_000  # elements that a thread reads, at least
RANGES_PER_THREAD = 4  # so that a thread that was held up does not hold up the call
MOST = max(256, os.cpu_count() or 1)  # threads of a call

# An interrupt, or an error, ends a call when the kernels under way return. They get as many tasks as read so
# many elements, and twice as many after each run of less than so many seconds.
BRIEF, SECONDS = 1 << 20, 0.05


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
            finally:
                self.done.release()

    def wait(self) -> None:
        """Until it is done, or nobody will do it."""
        if self.taken():
            self.done.release()
        with self.done:
            pass


def _help(parts: SimpleQueue[_Part]) -> None:
    """What a helper does as long as it lives."""
    while True:
        part = parts.get()
        part.run()
        del part


class _Crew:
    """The helpers of all calls: as many as one call has needed, whatever the number was set to meanwhile."""

    def __init__(self) -> None:
        self.parts: SimpleQueue[_Part] = SimpleQueue()
        self.helpers = 0
        self.starting = threading.Lock()

    def grow(self, wanted: int) -> int:
        """Have so many helpers, or fewer where no thread starts any more, as when the interpreter ends."""
        if self.helpers < wanted:
            with self.starting:
                try:
                    while self.helpers < wanted:
                        # They do not keep the interpreter from ending.
                        threading.Thread(
                            target=_help, args=(self.parts,), name="fastpool", daemon=True
                        ).start()
                        self.helpers += 1
                except RuntimeError:
                    pass
        return min(self.helpers, wanted)

    def submit(self, work: Callable[[], None]) -> _Part:
        """Work for a helper."""
        part = _Part(work)
        self.parts.put(part)
        return part


class _Current:
    """The number of threads, and the helpers."""

    size = _default_threads()
    crew = _Crew()


def _new_crew() -> None:
    """In a forked child: the parent's threads do not exist here, the next call starts new ones."""
    _Current.crew = _Crew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_crew)


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
    return _Current.size


def set_num_threads(n: int) -> None:
    """Set the number of threads that a call may use, for the whole process.

    Results do not depend on it, bit for bit. Small work runs on the calling thread whatever the number.

    Parameters
    ----------
    n : int
        At least 1; more than the machine's CPUs is allowed. Threads start when work first needs them, at
        most 256, or one a CPU where there are more.

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
    _Current.size = checks.integer("n", n, minimum=1)


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


def hands(tasks: int, work: int) -> int:
    """How many threads `run` would have, the calling one among them."""
    if work <= SERIAL_WORK or tasks == 1 or _here.alone:
        return 1
    return min(_Current.size, tasks, work // WORTHWHILE, MOST)


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
    if work <= SERIAL_WORK or tasks == 1:
        kernel(*arguments, *scratch(), 0, tasks)
        return
    wanted = hands(tasks, work)
    ranges = min(tasks, wanted * RANGES_PER_THREAD) if wanted > 1 else 1
    numbers = count()
    errors: list[BaseException] = []  # where there is one, everybody stops

    def take() -> None:
        pace, own = max(1, tasks * BRIEF // work), None
        try:
            while (number := next(numbers)) < ranges:
                own = scratch() if own is None else own
                first, last = number * tasks // ranges, (number + 1) * tasks // ranges
                while first < last and not errors:
                    begun, stop = perf_counter(), min(last, first + pace)
                    kernel(*arguments, *own, first, stop)
                    first = stop
                    if perf_counter() - begun < SECONDS:
                        pace *= 2
        except BaseException as error:
            errors.append(error)

    crew, parts = _Current.crew, []
    try:
        for _ in range(crew.grow(min(wanted, ranges) - 1)):
            parts.append(crew.submit(take))
        take()
        for part in parts:  # a helper that has not begun by now would find nothing to do
            part.wait()
    except BaseException as error:  # an interrupt
        errors.append(error)
        for part in parts:
            part.wait()
    if errors:
        raise errors.pop(0)  # which would else refer to itself
