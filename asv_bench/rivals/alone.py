"""The workloads of `speeds` with each library alone in a process of its own.

Threads of a library that has just run may go on spinning for milliseconds, at the cost of the next one's. So
each library has a fresh process for each number of threads, and only one of them works at a time. Each makes
its arrays, all from one seed, and its results are compared with fastpool's. Then they take turns of a few
timed calls, each after a rest in which the threads of the one before go to sleep.
"""

import itertools
import math
import multiprocessing
import signal
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import Any

import fastpool as fp
from fastpool.arrays import Array
from fastpool.timing import Call, measure

from . import speeds
from .speeds import Result, Row

TURNS = 3  # of a process and workload
REST = 0.05  # seconds before each

Key = tuple[str, int]  # an engine and its number of threads


class _Server:
    """What a process does when asked: one engine's calls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: dict[str, Call] = {}

    def prepare(self, row: Row) -> tuple[bool, Array | None]:
        """Whether the engine has the workload, and its result."""
        self.calls = speeds.engines(row, [self.name])
        if not self.calls:
            return False, None
        return True, speeds.outcome(row, self.name, self.calls[self.name])

    def forget(self) -> None:
        """The workload, and its arrays."""
        self.calls = {}

    def measure(self, repeat: int, idle: float) -> float:
        """Best seconds of a turn, after a call that is not timed."""
        time.sleep(REST)
        self.calls[self.name]()
        return measure(self.calls, repeat, idle)[self.name]


def serve(connection: Connection, name: str, threads: int) -> None:
    """Answer what a `Crew` asks until it ends.

    Parameters
    ----------
    connection : multiprocessing.connection.Connection
    name : str
        An engine of `speeds.ENGINES`.
    threads : int
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks ends this process
    fp.set_num_threads(threads)
    server = _Server(name)
    while True:
        try:
            word, given = connection.recv()
        except EOFError:
            return
        try:
            answer = getattr(server, word)(*given), ""
        except Exception as error:
            answer = None, f"{type(error).__name__}: {error}"
        connection.send(answer)


class _Process:
    """A library's process, from the side of who asks."""

    def __init__(self, name: str, threads: int) -> None:
        self.title = f"{name} ({threads} threads) in a process of its own"
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, name, threads), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, word: str, *given: object) -> Any:
        """An answer of `_Server`."""
        try:
            self.connection.send((word, given))
            answer, problem = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            raise ChildProcessError(f"{self.title} ended with exit code {self.process.exitcode}") from None
        if problem:
            raise ChildProcessError(f"{self.title}: {problem}")
        return answer

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.join()
        self.process.close()
        self.connection.close()


class Crew:
    """A process for each engine and number of threads. Made by `crew`."""

    def __init__(self, processes: dict[Key, _Process]) -> None:
        self.processes = processes

    def race(self, row: Row, repeat: int, idle: float = 0.0) -> list[Result]:
        """Time a workload in each process that has it, once their results agree.

        Parameters
        ----------
        row : Row
        repeat, idle
            As in `fastpool.timing.measure`.

        Returns
        -------
        list of Result
            One for each number of threads.

        Raises
        ------
        AssertionError
            Where a library's result is not fastpool's.
        ChildProcessError
            Where a process ends or its library fails.
        """
        best = dict.fromkeys(self._ready(row), math.inf)
        for calls in _turns(repeat):
            for key in best:
                best[key] = min(best[key], self.processes[key].ask("measure", calls, idle))
        seconds: dict[int, dict[str, float]] = {}
        for (name, count), found in best.items():
            self.processes[name, count].ask("forget")
            seconds.setdefault(count, {})[name] = found
        return [Result(row, times, count) for count, times in seconds.items()]

    def _ready(self, row: Row) -> Iterator[Key]:
        """Those that have the workload, fastpool first, with its arrays made."""
        expected = None
        for (name, count), process in self.processes.items():
            has, found = process.ask("prepare", row) if speeds.ENGINES[name].has(row) else (False, None)
            if expected is None:
                expected = found
            speeds.agree(row, name, found, expected)
            if has:
                yield name, count


@contextmanager
def crew(rows: Collection[Row], names: Iterable[str], counts: Collection[int]) -> Iterator[Crew]:
    """Processes of engines, which end with the context.

    Parameters
    ----------
    rows : collection of Row
        Those that will be timed.
    names : iterable of str
        Of `speeds.ENGINES`, fastpool first; those that are not installed, or have no row, have no process.
    counts : collection of int
        Numbers of threads, each of which has processes of its own.
    """
    with ExitStack() as stack:
        processes = {}
        wanted = [name for name in names if speeds.ENGINES[name].serves(rows)]
        for key in itertools.product(wanted, counts):
            processes[key] = _Process(*key)
            stack.callback(processes[key].close)
        yield Crew(processes)


def _turns(repeat: int) -> list[int]:
    """Calls of each turn."""
    turns = min(TURNS, repeat)
    return [repeat // turns + (turn < repeat % turns) for turn in range(turns)]
