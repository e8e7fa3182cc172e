"""One process of a draw: measures some benchmarks, in the environment of the commit that is measured.

It runs as a script there, and needs nothing but `asv_runner`. The job is a JSON file. Each benchmark that is
done adds one line of JSON to the job's output, so that a crash loses one benchmark alone.
"""

import json
import os
import sys
import timeit
import tracemalloc
from functools import partial
from pathlib import Path

from asv_runner.discovery import get_benchmark_from_name

SMALLEST, LARGEST = 1 << 14, 1 << 26  # bytes that the first control copies
LOOPED = 20_000  # turns of the second control
MOST = 1 << 24  # calls of one sample


def controls(clock, least, size):
    """Work that no commit changes, as long as a sample: a copy of memory, and a loop of the interpreter."""
    source, target = bytearray(os.urandom(SMALLEST) * (size // SMALLEST)), bytearray(size)

    def copy():
        target[:] = source

    def loop():
        total = 0
        for n in range(LOOPED):
            total += n & 7

    for name, work in {"copy": copy, "loop": loop}.items():
        timer = timeit.Timer(work, timer=clock)
        number = max(1, round(least / min(timer.repeat(3, 1))))
        yield name, partial(timer.timeit, number)


def seconds(benchmark, timer, number):
    """The time of some calls in turn. A benchmark that asks for `number = 1` is set up anew before each."""
    benchmark._redo_setup_next &= benchmark.number == 1
    return timer.timeit(number)


def calibrated(benchmark, timer, least):
    """How many calls a sample needs to take so many seconds."""
    number = 1
    while number < MOST:
        taken = seconds(benchmark, timer, number)
        if taken >= least or benchmark.number == 1:
            break
        number = min(MOST, max(2 * number, int(number * least / max(taken, 1e-9))))
    return number


def held(benchmark):
    """Bytes that a benchmark has made when it is ready, as the interpreter and NumPy tell."""
    tracemalloc.start()
    skipped = benchmark.do_setup()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return skipped, min(LARGEST, max(SMALLEST, size // SMALLEST * SMALLEST))


def timed(benchmark, samples, number, least, size):
    timer = benchmark._get_timer(*benchmark._build_params())
    seconds(benchmark, timer, 1)  # what a first call does once
    number = number or calibrated(benchmark, timer, least)
    clock = getattr(benchmark, "timer", timeit.default_timer)
    each = dict(controls(clock, least, size)) | {"samples": partial(seconds, benchmark, timer, number)}
    found = {name: [] for name in each}
    for _ in range(samples):
        for name, work in each.items():
            found[name].append(work())
    return {"number": number, "size": size, **found, "samples": [one / number for one in found["samples"]]}


def peak(benchmark):
    """Bytes that this process held at most; asv's own figure includes the process that started this one."""
    value = benchmark.do_run()
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        value = 1024 * int(line.split()[1])
    return value


def measured(root, row, samples, least):
    """What a benchmark gives: samples and controls, or that it skips itself."""
    benchmark = get_benchmark_from_name(root, row["id"])
    if benchmark.setup_cache_key is not None:
        benchmark.set_cache(benchmark.do_setup_cache())
    size = row.get("size")
    skipped, size = held(benchmark) if size is None else (benchmark.do_setup(), size)
    if skipped:
        return {"skipped": True}
    try:
        if benchmark.type == "time":
            return timed(benchmark, samples, row.get("number"), least, size)
        value = peak(benchmark) if benchmark.type == "peakmemory" else benchmark.do_run()
        return {"skipped": True} if value is None or value != value else {"samples": [value]}
    finally:
        benchmark.do_teardown()


def main(path):
    job = json.loads(Path(path).read_text())
    with open(job["output"], "a") as output:
        for row in job["rows"]:
            try:
                found = measured(job["root"], row, job["samples"], job["least"])
            except Exception as error:
                found = {"error": f"{type(error).__name__}: {error}"}
            output.write(json.dumps({"id": row["id"]} | found) + "\n")
            output.flush()


if __name__ == "__main__":
    main(sys.argv[1])
