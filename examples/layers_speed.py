"""What each threading layer makes of a short call: back to back, and after 20 ms of idleness.

    python examples/layers_speed.py [--threads 2 4 8] [--repeat 3] [--milliseconds 0.5]

A call of 512 tasks, which takes so many milliseconds on one thread. Each layer and number of threads has
processes of its own, one a repetition; shown is the median of a process in microseconds, the best of them.
Layers of numba that are not installed are left out (`pip install tbb`).
"""

import argparse
import os
import subprocess
import sys
import time
import timeit

import numpy as np

import fastpool as fp
from fastpool import jit, threads

TASKS = 512
IDLE = 0.02
LAYERS = ("python", "tbb", "omp", "workqueue")


def spin(out, turns, first, last):
    """Tasks of so many steps, each of which waits for the one before."""
    for task in range(first, last):
        value = out[task]
        for _ in range(turns):
            value = value * 0.999 + 0.001
        out[task] = value


def median(call, count, idle):
    """Microseconds of a call."""
    seconds = []
    for _ in range(count):
        time.sleep(idle)
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds)) * 1e6


def measure(milliseconds):
    """Hot and idle, of the layer and the number of threads that the environment names."""
    out, kernel = np.zeros(TASKS), jit.kernel(spin, "spin")
    kernel(out, 1, 0, TASKS)
    best = min(timeit.repeat(lambda: kernel(out, 100, 0, TASKS), number=1, repeat=200))
    turns = max(1, round(milliseconds / best / 10))

    def call():
        threads.run(kernel, (out, turns), TASKS, 10**7)

    median(call, 20, 0)
    print(f"{median(call, 300, 0)} {median(call, 50, IDLE)}")


def process(layer, count, milliseconds):
    """What a process measures; None where the layer is not installed."""
    settings = {"NUMBA_NUM_THREADS": str(count), "FASTPOOL_THREADING_LAYER": "python"}
    if layer != "python":
        settings |= {"NUMBA_THREADING_LAYER": layer, "FASTPOOL_THREADING_LAYER": "numba"}
    command = [sys.executable, "-W", "error", __file__, "--measure", "--milliseconds", str(milliseconds)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | settings, check=False)
    return None if done.returncode else [float(word) for word in done.stdout.split()]


def main():
    """The table, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--milliseconds", type=float, default=0.5)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.milliseconds)
        return
    print(f"fastpool {fp.__version__}, {os.cpu_count()} CPUs")
    print("| layer | " + " | ".join(f"{count} threads" for count in given.threads) + " |")
    print("|---|" + "---:|" * len(given.threads))
    for layer in LAYERS:
        cells = []
        for count in given.threads:
            found = [process(layer, count, given.milliseconds) for _ in range(given.repeat)]
            best = [min(pair) for pair in zip(*filter(None, found), strict=True)]
            cells.append(" / ".join(f"{number:.0f}" for number in best) or "-")
        print(f"| {layer} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
