"""Pairs of fresh processes, one of each commit, which take turns: only one of them works at a time.

A pair shares its seconds and its processor: what changes from second to second, or from one core to another,
changes both. What differs from process to process, as where memory lies, differs from pair to pair.
"""

import contextlib
import json
import math
import os
import random
import select
import signal
import statistics
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .sample import SHARED
from .suite import environment

SCRIPT = Path(__file__).with_name("sample.py")
BATCH = 24  # rows that one pair of processes measures
TRIES = 2  # pairs at most, for each one that is wanted
LEAST = 0.002  # seconds of work a sample
MORE = 4  # times as many turns as usual, at most, until ...
KNOWN = 0.01  # ... the standard error of a pair's log-ratio is below that
TIMEOUT = 600  # seconds that one answer may take
MEMORY_PAIRS = 5  # pairs for what a process holds at its peak, which hardly varies
CONTROLS = ("copy", "loop")


class Pair(NamedTuple):
    """What one pair of processes says of a row: seconds, or what it tracks, and the ratio of the turns."""

    base: float
    head: float
    ratio: float


@dataclass
class Draw:
    """What was measured of one row."""

    pairs: list[Pair] = field(default_factory=list)
    controls: list[list[float]] = field(default_factory=list)  # ratios of both controls, of all pairs
    dropped: int = 0  # pairs whose control moved
    skipped: bool = False  # the benchmark skips itself
    errors: dict[str, str] = field(default_factory=dict)  # by side

    def wants(self, pairs):
        """Whether more pairs are wanted and can be had."""
        return not (self.skipped or self.errors) and len(self.pairs) < pairs

    def add(self, turns, moves):
        """Keep what a pair says in its turns, unless a control moved by more than `moves`, say 0.1.

        Parameters
        ----------
        turns : sequence of (dict, dict)
            What base and head answered, turn by turn.
        moves : float
        """
        controls = [_ratio(turns, name) for name in CONTROLS]
        self.controls.append(controls)
        if any(abs(math.log(one)) > math.log1p(moves) for one in controls):
            self.dropped += 1
        else:
            times = (statistics.median(side["time"] for side in sides) for sides in zip(*turns, strict=True))
            self.pairs.append(Pair(*times, _ratio(turns, "time")))


def _ratio(turns, name):
    return statistics.median(head[name] / base[name] for base, head in turns)


def _error(turns):
    """The standard error of the median of the turns' log-ratios, by their quartiles."""
    low, _, high = statistics.quantiles([math.log(head["time"] / base["time"]) for base, head in turns])
    return (high - low) / math.sqrt(len(turns))  # of a normal distribution: 0.93 times that


class Ended(Exception):  # noqa: N818
    """A process that ended, or does not answer."""


class Process:
    """A process of one side, which answers line by line; it and its children end with us."""

    def __init__(self, side, folder, file):
        self.side = side
        self.errors = open(folder / side.name, "w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [side.python, str(SCRIPT), side.root, str(LEAST), str(file)],
            cwd=folder,
            env=environment(side),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,
            pass_fds=[file] if file >= 0 else [],
        )

    def ask(self, what, row=None):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"do": what, "row": row}) + "\n")
            self.process.stdin.flush()

    def answer(self):
        ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
        line = self.process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        if not ready:
            raise Ended(f"no answer in {TIMEOUT} s")
        code = self.process.wait()
        self.errors.seek(0)
        raise Ended(f"exit code {code}: {self.errors.read().strip()[-500:]}")

    def keep_on(self, processors):
        """Run all threads of the process on these processors, where the system can."""
        with contextlib.suppress(OSError, AttributeError):
            for thread in os.listdir(f"/proc/{self.process.pid}/task"):
                os.sched_setaffinity(int(thread), processors)

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


@contextlib.contextmanager
def started(sides):
    """A process of each side."""
    with tempfile.TemporaryDirectory(prefix="gate-") as folder, contextlib.ExitStack() as stack:
        file = -1
        if hasattr(os, "memfd_create"):
            file = os.memfd_create("gate")
            stack.callback(os.close, file)
            os.truncate(file, SHARED)
        processes = []
        for side in sides:
            processes.append(Process(side, Path(folder), file))
            stack.callback(processes[-1].end)
        yield processes


class Drawer:
    """Draws pairs of rows for two commits.

    Parameters
    ----------
    sides : sequence of Side
        The base and the head.
    turns : int
        Turns of the two processes of a pair for each row, and up to `MORE` times as many where they vary.
    moves : float
        How far a control may move between the two processes of a pair, as a part of its time.
    processors : int
        Processors that a benchmark uses. Both processes of a pair are kept on the same ones in their turns.
    seed : int
        Of the order of the rows.
    """

    def __init__(self, sides, *, turns, moves=0.1, processors=1, seed=0):
        self.sides, self.turns, self.moves = list(sides), turns, moves
        self.processors, self.random = processors, random.Random(seed)
        self.settled = {}  # by row, the calls of a sample and the bytes of a copy

    def draw(self, rows, pairs, advance=lambda: None):
        """Measure all rows, each in so many pairs.

        It calls `advance` for each pair: `count` times, or more often if it drops pairs.

        Returns
        -------
        dict of str to Draw
            By the identity of the row.
        """
        draws = {row.id: Draw() for row in rows}
        for batch in batches(rows):
            count = _wanted(batch, pairs)
            for number in range(-1, TRIES * count):  # the first one compiles, and is not counted
                wanted = [row for row in batch if draws[row.id].wants(count)]
                if wanted:
                    self._pair(self.random.sample(wanted, len(wanted)), draws, number)
                if wanted or number < count:
                    advance()
        return draws

    def count(self, rows, pairs):
        """How often `draw` advances where no control moves."""
        return sum(1 + _wanted(batch, pairs) for batch in batches(rows))

    def _pair(self, rows, draws, number):
        """What a pair of processes says of some rows; where one crashes another pair goes on behind it."""
        while rows:
            with started(self.sides) as processes:
                while rows:
                    row, rows = rows[0], rows[1:]
                    try:
                        self._row(processes, row, draws[row.id], number)
                    except Ended:
                        break

    def _row(self, processes, row, draw, number):
        if not self._set_up(processes, row, draw, number):
            return
        if row.kind == "time" and number >= 0:
            chosen = self._chosen(number)
            for process in processes:
                process.keep_on(chosen)
            turns = self._turns(processes, number, draw)
            if not draw.errors:
                draw.add(turns, self.moves)
            for process in processes:
                process.keep_on(PROCESSORS)
        for process in processes:
            process.ask("teardown")
            self._answer(process, draw)

    def _set_up(self, processes, row, draw, number):
        """Set a row up in both processes; False where it ends by that.

        The first time both compile, at once. Later they take turns: each tracks its figure with the processor
        to itself. The first one then also counts the calls that a sample takes.
        """
        found = {}
        if number < 0:
            for process in processes:
                process.ask("setup", {"id": row.id})
        for process in processes[::-1] if number > 0 and number % 2 else processes:
            if number >= 0:
                process.ask("setup", {"id": row.id} | self.settled.get(row.id, {}))
            one = found[process.side.name] = self._answer(process, draw)
            if number >= 0 and "number" in one:
                self.settled.setdefault(row.id, {name: one[name] for name in ("number", "size")})
        draw.skipped |= any("skipped" in one for one in found.values())
        if draw.errors or draw.skipped:
            return False
        base, head = (found[side.name].get("value") for side in self.sides)
        if base is not None and number >= 0:
            draw.pairs.append(Pair(base, head, head / base if base > 0 else math.nan))
        return True

    def _turns(self, processes, number, draw):
        """As many turns as a pair has at least, and more until their ratio is known well enough."""
        turns = []
        while not draw.errors and len(turns) < MORE * self.turns:
            if len(turns) >= max(2, self.turns) and _error(turns) < KNOWN:
                break
            turns.append(self._turn(processes, number + len(turns), draw))
        return turns

    def _turn(self, processes, turn, draw):
        """A sample of each process, one after the other: base first in every other turn."""
        found = {}
        for process in processes if turn % 2 == 0 else processes[::-1]:
            process.ask("sample")
            found[process.side.name] = self._answer(process, draw)
        return tuple(found[side.name] for side in self.sides)

    @staticmethod
    def _answer(process, draw):
        try:
            answer = process.answer()
        except Ended as error:
            draw.errors[process.side.name] = str(error)
            raise
        if "error" in answer:
            draw.errors[process.side.name] = answer["error"]
        return answer

    def _chosen(self, number):
        """The processors of a pair: others for the next one."""
        first = number * self.processors
        return {PROCESSORS[(first + n) % len(PROCESSORS)] for n in range(self.processors)}


def _wanted(batch, pairs):
    return MEMORY_PAIRS if batch[0].kind == "peakmemory" else pairs


PROCESSORS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


def batches(rows):
    """Rows that one pair of processes measures: some of the times together, each peak of memory alone."""
    alone = [[row] for row in rows if row.kind == "peakmemory"]
    others = [row for row in rows if row.kind != "peakmemory"]
    return [others[n : n + BATCH] for n in range(0, len(others), BATCH)] + alone
