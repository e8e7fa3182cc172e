"""Threads: ranges of a kernel's tasks run side by side, on threads of our own or on those of numba's layer.

Kernels are serial and release the GIL; a call cuts its tasks into ranges that the calling thread and others
take one after the other. Our own threads wait at a queue. numba's layer is entered by one call at a time, and
never in a forked child: numba ends a child that enters GNU OpenMP, and the work queue aborts the process when
two Python threads enter it (docs/architecture.md).
"""

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from queue import SimpleQueue
from time import perf_counter
from typing import Any

from . import checks, parallel

SERIAL_WORK = 100_000  # elements read, up to which waking a thread (20 to 100 us) costs more than it saves
VECTOR = 32  # bytes that passes over contiguous memory have done when other code has read an element
WORTHWHILE = 10_000  # elements that a thread reads, at least
RANGES_PER_THREAD = 4  # so that a thread that was held up does not hold up the call
MOST = max(256, os.cpu_count() or 1)  # threads of a call
LAYERS = ("auto", "numba", "python")
FORKED = 0x40  # Linux's flag of a process that was forked and runs the same program

# An interrupt, or an error, ends a call when the kernels under way return. They get as many tasks as read so
# many elements, and twice as many after each run of less than so many seconds.
BRIEF, SECONDS = 1 << 20, 0.05


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _default_threads() -> int:
    wanted = os.environ.get("NUMBA_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else processors()


def _default_layer() -> str:
    wanted = os.environ.get("FASTPOOL_THREADING_LAYER") or "auto"
    if wanted in LAYERS:
        return wanted
    warnings.warn(
        f"FASTPOOL_THREADING_LAYER must be one of {', '.join(LAYERS)}, got {wanted!r}; auto is taken",
        RuntimeWarning,
        stacklevel=2,
    )
    return "auto"


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
        taken = False
        try:
            taken = self.taken() is not None
        finally:  # an interrupt may come between the two
            if taken:
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
        if self.helpers < wanted and self.starting.acquire(blocking=False):  # who waits may be who starts
            try:
                with suppress(RuntimeError):
                    while self.helpers < wanted:
                        # They do not keep the interpreter from ending.
                        threading.Thread(
                            target=_help, args=(self.parts,), name="fastpool", daemon=True
                        ).start()
                        self.helpers += 1
            finally:
                self.starting.release()
        return min(self.helpers, wanted)

    def submit(self, work: Callable[[], None]) -> _Part:
        """Work for a helper."""
        part = _Part(work)
        self.parts.put(part)
        return part


def _is_forked() -> bool:
    """Whether this process was forked before fastpool was imported, where the system tells."""
    try:
        with open("/proc/self/stat") as file:
            flags = int(file.read().rsplit(")", 1)[1].split()[6])
    except (OSError, ValueError, IndexError):
        return False
    return bool(flags & FORKED)


class _Current:
    """The number of threads, the layer, and the helpers."""

    size = _default_threads()
    layer = _default_layer()
    crew = _Crew()
    entering = threading.Lock()  # held by the call that is in numba's layer
    forked = _is_forked()


def _after_fork() -> None:
    """In a forked child: the parent's threads do not exist here, the next call starts new ones of our own."""
    _Current.crew = _Crew()
    _Current.forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def get_num_threads() -> int:
    """Return the number of threads that a call may use.

    It is as last set. At first it is ``NUMBA_NUM_THREADS`` where that is set, else the number of CPUs that
    this process may use.

    Returns
    -------
    int
        At least 1.

    See Also
    --------
    set_num_threads : Set it.
    get_threading_layer : Whose threads calls take.

    Examples
    --------
    >>> import fastpool as fp
    >>> fp.get_num_threads() >= 1
    True
    """
    return _Current.size


def set_num_threads(n: int) -> None:
    """Set the number of threads that a call may use, for the whole process.

    Results do not depend on it, bit for bit. Small work runs on the calling thread, whatever the number.

    Parameters
    ----------
    n : int
        At least 1; more than the CPUs of the machine is allowed. Threads start when work first needs them: at
        most 256, or as many as there are CPUs if that is more.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is below 1.

    See Also
    --------
    get_num_threads : Return it.
    set_threading_layer : Set whose threads calls take.
    explain_call : Show how many threads a call takes.

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


def get_threading_layer() -> str:
    """Return whose threads calls take.

    It is as last set. At first it is the environment variable ``FASTPOOL_THREADING_LAYER``, else "auto".

    Returns
    -------
    {"auto", "numba", "python"}
        See `set_threading_layer`.

    See Also
    --------
    set_threading_layer : Set it.
    get_num_threads : How many threads a call may use.

    Examples
    --------
    >>> import fastpool as fp
    >>> fp.get_threading_layer() in ("auto", "numba", "python")
    True
    """
    return _Current.layer


def set_threading_layer(layer: str) -> None:
    """Set whose threads calls take, for the whole process.

    Results do not depend on it, bit for bit. "python" is threads of fastpool itself. "numba" is the layer
    that numba has loaded, or loads now. "auto" is numba's layer where that is faster and safe, which is TBB
    wherever it is installed, and else fastpool's own threads.

    Parameters
    ----------
    layer : {"auto", "numba", "python"}
        Whose threads.

    Raises
    ------
    TypeError
        If `layer` is not a string.
    ValueError
        If `layer` is not one of these, or numba can load no layer.

    See Also
    --------
    get_threading_layer : Return it.
    set_num_threads : Set how many threads a call may use.

    Notes
    -----
    numba's layer is TBB, OpenMP or its work queue, as ``NUMBA_THREADING_LAYER`` says, with at most
    ``numba.config.NUMBA_NUM_THREADS`` threads. Only one call at a time enters it, and none in a forked child:
    others take fastpool's own threads. While it is the work queue, no other parallel function of numba may
    run in another thread. The first call of a kernel in numba's layer compiles up to half a second more.

    Examples
    --------
    >>> import fastpool as fp
    >>> before = fp.get_threading_layer()
    >>> fp.set_threading_layer("python")
    >>> fp.get_threading_layer()
    'python'
    >>> fp.set_threading_layer(before)
    """
    wanted = checks.choice("layer", layer, LAYERS)
    if wanted == "numba":
        try:
            parallel.layer()
        except ValueError as error:
            raise ValueError(f"layer must be auto or python here, got 'numba': {error}") from error
    _Current.layer = wanted


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
    """How many threads `run` wishes for, the calling one among them."""
    if work <= SERIAL_WORK or tasks == 1 or _here.alone:
        return 1
    return min(_Current.size, tasks, work // WORTHWHILE, MOST)


def would_run(tasks: int, work: int) -> int:
    """How many threads a call has, in the layer that it takes."""
    wanted = hands(tasks, work)
    team = 1 if wanted == 1 or _Current.forked else _team(wanted)
    return team if team > 1 else wanted


def layer_in_use() -> str:
    """The layer as set, and what it is here and now for a call with work for all threads."""
    own = _Current.forked or _team(_Current.size) == 1
    return f"{_Current.layer}: {'own threads' if own else 'numba, ' + _loaded()}"


@cache
def _loaded() -> str:
    """Numba's layer, which is loaded: "tbb", "omp" or "workqueue"; "" where none can be."""
    try:
        return parallel.layer()
    except ValueError as error:
        if _Current.layer == "numba":  # of the environment's wish
            warnings.warn(f"fastpool takes its own threads: {error}", RuntimeWarning, stacklevel=2)
        return ""


def _team(hands: int) -> int:
    """How many threads of numba's layer a call takes; 1 where it is one for our own."""
    if _Current.layer == "python":
        return 1
    if _Current.layer == "numba":
        return min(hands, parallel.most()) if _loaded() else 1
    if parallel.has_tbb() and _loaded() == "tbb":
        return min(hands, parallel.most())
    return 1


def run(
    kernel: Callable[..., bool | None],
    arguments: tuple[Any, ...],
    tasks: int,
    work: int,
    scratch: Callable[[], tuple[Any, ...]] = tuple,
) -> bool:
    """Call ``kernel(*arguments, *scratch(), first, last)`` so that every task is in exactly one range.

    Returns whether any of these calls returned True.

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
        return bool(kernel(*arguments, *scratch(), 0, tasks))
    wanted = hands(tasks, work)
    if wanted == 1 and work <= BRIEF:
        return bool(kernel(*arguments, *scratch(), 0, tasks))
    pace = max(1, tasks * BRIEF // work)
    if wanted > 1 and not _Current.forked and parallel.takes(kernel):
        team, entered = _team(wanted), False
        try:
            entered = team > 1 and _Current.entering.acquire(blocking=False)
            if entered:
                return _run_in_numba(kernel, arguments, tasks, pace, [scratch() for _ in range(team)])
        finally:
            if entered:
                _Current.entering.release()
    return _run_here(kernel, arguments, tasks, pace, scratch, wanted)


def _run_in_numba(
    kernel: Callable[..., bool | None],
    arguments: tuple[Any, ...],
    tasks: int,
    pace: int,
    scratch: list[tuple[Any, ...]],
) -> bool:
    """On threads of numba's layer, one for each scratch; an interrupt is seen between two batches."""
    first, batch, found = 0, pace * len(scratch), False
    while first < tasks:
        begun, stop = perf_counter(), min(tasks, first + batch)
        ranges = min(stop - first, RANGES_PER_THREAD * len(scratch))
        found |= parallel.run(kernel, arguments, range(first, stop), scratch, ranges)
        first = stop
        if perf_counter() - begun < SECONDS:
            batch *= 2
    return found


def _run_here(
    kernel: Callable[..., bool | None],
    arguments: tuple[Any, ...],
    tasks: int,
    pace: int,
    scratch: Callable[[], tuple[Any, ...]],
    wanted: int,
) -> bool:
    """On the calling thread and our own."""
    ranges = min(tasks, wanted * RANGES_PER_THREAD) if wanted > 1 else 1
    numbers = count()
    found: list[bool] = []
    errors: list[BaseException] = []  # where there is one, everybody stops

    def take() -> None:
        own, size = None, pace
        try:
            while (number := next(numbers)) < ranges:
                own = scratch() if own is None else own
                first, last = number * tasks // ranges, (number + 1) * tasks // ranges
                while first < last and not errors:
                    begun, stop = perf_counter(), min(last, first + size)
                    if kernel(*arguments, *own, first, stop):
                        found.append(True)
                    first = stop
                    if perf_counter() - begun < SECONDS:
                        size *= 2
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
    return bool(found)
