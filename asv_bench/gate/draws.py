"""Fresh processes in turns ABBA: each pair measures the same rows by both commits, one after the other."""

import contextlib
import json
import math
import os
import random
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .suite import environment

SCRIPT = Path(__file__).with_name("sample.py")
BATCH = 16  # rows that one process measures
TRIES = 2  # rounds at most, for each pair that is wanted
LEAST = 0.004  # seconds of work a sample
TIMEOUT = 1200  # seconds that one process may take
MEMORY_PAIRS = 5  # pairs for what a process holds at its peak, which hardly varies
CONTROLS = ("copy", "loop")


@dataclass
class Draw:
    """What was measured of one row: pairs of seconds (or of what it tracks), base first."""

    pairs: list[tuple[float, float]] = field(default_factory=list)
    controls: list[tuple[float, float]] = field(default_factory=list)  # log-ratios of both controls
    dropped: int = 0  # pairs whose control moved
    skipped: bool = False  # the benchmark skips itself
    errors: dict[str, str] = field(default_factory=dict)  # by side

    def add(self, base, head, moves):
        """Keep the pair, unless a control moved between its two processes by more than `moves`, say 0.1."""
        moved = [math.log(_best(head, name) / _best(base, name)) for name in CONTROLS if name in base]
        if any(abs(one) > math.log1p(moves) for one in moved):
            self.dropped += 1
        else:
            self.pairs.append((_best(base, "samples"), _best(head, "samples")))
            self.controls.append(tuple(moved))

    def wants(self, pairs):
        """Whether more pairs are wanted and can be had."""
        return not (self.skipped or self.errors) and len(self.pairs) < pairs

    def absorb(self, found, moves):
        """Take in what both processes of a pair say."""
        for side, one in found.items():
            if "error" in one:
                self.errors[side] = one["error"]
            self.skipped |= "skipped" in one
        if not self.errors and not self.skipped:
            self.add(found["base"], found["head"], moves)


def _best(found, name):
    return min(found[name])


class Drawer:
    """Draws pairs of rows for two commits.

    Parameters
    ----------
    sides : sequence of Side
        The base and the head.
    pairs : int
        Pairs of processes that a row wants.
    samples : int
        Samples in each process.
    moves : float
        How far a control may move between the two processes of a pair, as a part of its time.
    seed : int
        Of the order of the rows, which both processes of a pair share.
    """

    def __init__(self, sides, *, pairs, samples, moves, seed=0):
        self.sides, self.pairs, self.samples, self.moves = list(sides), pairs, samples, moves
        self.random = random.Random(seed)
        self.settled = {}  # by row, the calls of a sample and the bytes of a copy

    def draw(self, rows, advance=lambda: None):
        """Measure all rows; `advance` is called after each round of `rounds(rows)`.

        Returns
        -------
        dict of str to Draw
            By the identity of the row.
        """
        draws = {row.id: Draw() for row in rows}
        for batch in batches(rows):
            pairs = self._wanted(batch)
            self._warm(batch, draws)
            advance()
            for turn in range(TRIES * pairs):
                wanted = [row for row in batch if draws[row.id].wants(pairs)]
                if wanted:
                    for row_id, found in self._pair(wanted, turn).items():
                        draws[row_id].absorb(found, self.moves)
                if wanted or turn < pairs:
                    advance()
        return draws

    def rounds(self, rows):
        """How often `draw` advances where no control moves."""
        return sum(1 + self._wanted(batch) for batch in batches(rows))

    def _wanted(self, batch):
        return MEMORY_PAIRS if batch[0].kind == "peakmemory" else self.pairs

    def _warm(self, batch, draws):
        """Compile, both sides at once, what first calls compile, and settle what samples and copies take."""
        for side, found in zip(self.sides, self._processes(self.sides, batch, samples=1), strict=True):
            for row_id, one in found.items():
                if "error" in one:
                    draws[row_id].errors[side.name] = one["error"]
                draws[row_id].skipped |= "skipped" in one
                for name in ("number", "size"):
                    if name in one:
                        settled = self.settled.setdefault(row_id, {})
                        settled[name] = max(one[name], settled.get(name, 0))

    def _pair(self, rows, turn):
        rows = self.random.sample(rows, len(rows))
        sides = self.sides if turn % 2 == 0 else self.sides[::-1]
        found = {side.name: self._processes([side], rows, self.samples)[0] for side in sides}
        return {row.id: {name: by_row[row.id] for name, by_row in found.items()} for row in rows}

    def _processes(self, sides, rows, samples):
        """What a process of each side says of each row; the processes run side by side."""
        with tempfile.TemporaryDirectory(prefix="gate-") as folder:
            jobs = [self._job(Path(folder, str(n)), side, rows, samples) for n, side in enumerate(sides)]
            ends = run(jobs)
            found = []
            for job, end in zip(jobs, ends, strict=True):
                lines = (job.folder / "output.json").read_text().splitlines()
                said = {one["id"]: one for one in map(json.loads, lines)}
                found.append({row.id: said.get(row.id, {"error": end}) for row in rows})
        return found

    def _job(self, folder, side, rows, samples):
        folder.mkdir()
        output = folder / "output.json"
        output.touch()
        job = {
            "root": side.root,
            "rows": [{"id": row.id} | self.settled.get(row.id, {}) for row in rows],
            "samples": samples,
            "least": LEAST,
            "output": str(output),
        }
        (folder / "job.json").write_text(json.dumps(job))
        return Job([side.python, str(SCRIPT), str(folder / "job.json")], folder, environment(side))


class Job(NamedTuple):
    """A process to start."""

    command: list[str]
    folder: Path
    variables: dict[str, str]


def batches(rows):
    """Rows that one process measures together: some of the times, and each peak of memory alone."""
    alone = [[row] for row in rows if row.kind == "peakmemory"]
    others = [row for row in rows if row.kind != "peakmemory"]
    return [others[n : n + BATCH] for n in range(0, len(others), BATCH)] + alone


def run(jobs):
    """Run processes side by side and tell how each ended. They and their children end with us."""
    with contextlib.ExitStack() as stack:
        started = []
        for job in jobs:
            errors = stack.enter_context(open(job.folder / "errors", "w+"))
            process = subprocess.Popen(
                job.command,
                cwd=job.folder,
                env=job.variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
            stack.callback(_end, process)
            started.append((process, errors))
        return [_ended(*one) for one in started]


def _ended(process, errors):
    try:
        process.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        return f"took more than {TIMEOUT} s"
    errors.seek(0)
    return f"exit code {process.returncode}: {errors.read().strip()[-500:]}"


def _end(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
