"""One process of a pair: measures benchmarks, turn by turn, in the environment of its commit.

It runs as a script there, and needs nothing but `asv_runner`. Each line of its input asks for one thing:
`setup` of a row, a `sample` of that row, or `teardown`. A line of JSON answers.
"""

import json
import mmap
import os
import random
import sys
import time
import timeit
import tracemalloc
from functools import partial
from pathlib import Path

from asv_runner.discovery import get_benchmark_from_name

SMALLEST, LARGEST = 1 << 14, 1 << 26  # bytes that the first control copies
PAGE = mmap.PAGESIZE
SHARED = 2 * LARGEST + PAGE  # of what both processes copy: how fast a copy is depends on its pages
LOOPED = 5_000  # turns of the second control
MOST = 1 << 24  # calls of one sample
ANEW = 2  # times a sample that a setup may take to be made again for each one, with memory elsewhere
PAD = 1 << 18  # bytes at most by which that memory moves
CONTROL = 0.25  # of the seconds of a sample, for each control: two processes are told apart to a part in ten
PIECES = 8  # of a sample, each timed on its own: their lower quartile is the figure of the sample
SHORTEST = 1e-9  # seconds that anything takes


class Timed:
    """A benchmark that is set up, and its controls: work that no commit changes."""

    def __init__(self, benchmark, shared, size, number, least):
        self.take(benchmark)
        self.number = number or self.calibrated(least)
        clock = getattr(benchmark, "timer", timeit.default_timer)
        source, target = shared[:size], shared[LARGEST + PAGE // 2 :][:size]
        source[:] = os.urandom(SMALLEST) * (size // SMALLEST)

        def copy():
            target[:] = source

        def loop():
            total = 0
            for n in range(LOOPED):
                total += n & 7

        self.controls = {}
        for name, work in {"copy": copy, "loop": loop}.items():
            timer = timeit.Timer(work, timer=clock)
            number = max(1, round(CONTROL * least / max(min(timer.repeat(3, 1)), SHORTEST)))
            self.controls[name] = partial(per_call, timer.timeit, number)

    def take(self, benchmark):
        """A benchmark that is set up; the same one, set up once more, has its memory elsewhere."""
        self.benchmark = benchmark
        self.timer = benchmark._get_timer(*benchmark._build_params())
        self.seconds(1)  # what a first call does once

    def seconds(self, number):
        """Of some calls in turn. A benchmark that asks for `number = 1` is set up anew before each."""
        self.benchmark._redo_setup_next &= self.benchmark.number == 1
        return self.timer.timeit(number)

    def calibrated(self, least):
        """How many calls take so many seconds, by the fastest of three tries."""
        if self.benchmark.number == 1:
            return 1
        number = 1
        while True:
            taken = max(min(self.seconds(number) for _ in range(3)), SHORTEST)
            if number >= MOST or taken >= least / 4:
                return max(1, min(MOST, round(number * least / taken)))
            number = min(MOST, 4 * number)

    def sample(self):
        found = {name: control() for name, control in self.controls.items()}
        return found | {"time": per_call(self.seconds, self.number)}


def per_call(timed, calls):
    """Seconds of a call: the lower quartile of the pieces of a sample, some of which interrupts lengthen."""
    pieces = min(PIECES, calls)
    each = round(calls / pieces)
    times = sorted(max(timed(each), SHORTEST) / each for _ in range(pieces))
    return times[len(times) // 4]


class Process:
    """What one process does when it is asked."""

    def __init__(self, root, least, file):
        self.root, self.least = root, least
        self.shared = memoryview(mmap.mmap(file, SHARED))
        self.benchmark = self.timed = None
        self.pads, self.seconds = [], 0.0

    def setup(self, row):
        """Set a row up: what its samples and copies take, its value where it has one, or "skipped"."""
        self.row, self.cache = row["id"], ()
        self.benchmark = get_benchmark_from_name(self.root, self.row)
        if self.benchmark.setup_cache_key is not None:
            self.cache = (self.benchmark.do_setup_cache(),)
            self.benchmark.set_cache(*self.cache)
        size = row.get("size")
        skipped, size = held(self.benchmark) if size is None else (self.benchmark.do_setup(), size)
        if skipped:
            self.benchmark = None
            return {"skipped": True}
        if self.benchmark.type == "time":
            self.timed = Timed(self.benchmark, self.shared, size, row.get("number"), self.least)
            return {"number": self.timed.number, "size": size}
        value = peak(self.benchmark) if self.benchmark.type == "peakmemory" else self.benchmark.do_run()
        return {"skipped": True} if value is None or value != value else {"value": value}

    def sample(self, _):
        if self.seconds < ANEW * self.least:
            self.again()
        return self.timed.sample()

    def again(self):
        """Set the row up once more, in other memory: the speed of a call depends on where that is."""
        begin = time.perf_counter()
        self.pads.append(bytearray(random.randrange(PAD)))
        benchmark = get_benchmark_from_name(self.root, self.row)
        if self.cache:
            benchmark.set_cache(*self.cache)
        benchmark.do_setup()
        self.timed.take(benchmark)
        self.benchmark.do_teardown()
        self.benchmark = benchmark
        self.seconds = time.perf_counter() - begin

    def teardown(self, _):
        if self.benchmark is not None:
            self.benchmark.do_teardown()
        self.benchmark = self.timed = None
        self.pads.clear()
        self.seconds = 0.0
        return {}


def held(benchmark):
    """Set a benchmark up: whether it skips itself, and how large the largest thing is that it made."""
    tracemalloc.start()
    skipped = benchmark.do_setup()
    size = max((trace.size for trace in tracemalloc.take_snapshot().traces), default=0)
    tracemalloc.stop()
    return skipped, min(LARGEST, max(SMALLEST, size // SMALLEST * SMALLEST))


def peak(benchmark):
    """Bytes that this process held at most; asv's own figure includes the process that started this one."""
    value = benchmark.do_run()
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        value = 1024 * int(line.split()[1])
    return value


def main(root, least, file):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what benchmarks print goes nowhere
    process = Process(root, float(least), int(file))
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = getattr(process, asked["do"])(asked.get("row"))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
