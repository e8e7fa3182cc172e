"""What the benchmark classes share: fastpool's public names, threads, times, arrays and processes.

A commit is measured by a later commit's suite, which therefore asks fastpool for public names alone. What a
commit does not have, and a library that is not installed, skips the benchmark.
"""

import atexit
import functools
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import import_module

import numpy as np

# libraries.conf.json sets it in the environment that has other libraries, where all else skips itself.
LIBRARIES_ALONE = os.environ.get("FASTPOOL_BENCH_LIBRARIES") == "1"


class _Public:
    """fastpool, imported by the first name; a name that it does not have skips the benchmark."""

    def __getattr__(self, name):
        fastpool = import_module("fastpool")
        if name not in fastpool.__all__:
            raise NotImplementedError(f"this commit has no fastpool.{name}")
        return getattr(fastpool, name)


fp = _Public()


class Benchmark:
    """Settings of all classes: two processes a cell, each half a second of samples or three of them."""

    timeout = 120
    rounds = 2
    repeat = (3, 6, 0.5)
    sample_time = 0.02
    warmup_time = 0.05
    libraries = False  # needs other libraries


def once(setup):
    """A setup that runs once in a process: asv calls it before each sample, and a teardown, which none has.

    It first sets the number of threads: that of the parameter "threads", else one.
    """

    @functools.wraps(setup)
    def wrapped(self, *parameters):
        if vars(self).get("_parameters") == parameters:
            return
        if LIBRARIES_ALONE and not self.libraries:
            raise NotImplementedError("measured in the environment without other libraries")
        named = dict(zip(getattr(self, "param_names", ()), parameters, strict=False))
        try:
            fp.set_num_threads(named.get("threads", 1))
            setup(self, *parameters)
        except ImportError as error:
            raise NotImplementedError(str(error)) from None
        self._parameters = parameters

    return wrapped


def pool_of(operator):
    """The function of an operator, such as ``fp.max_pool``."""
    return getattr(fp, f"{operator}_pool")


def filled(shape, dtype="float32"):
    """Random numbers (never lazily mapped zeros): normally distributed floats, or integers below 100."""
    rng = np.random.default_rng(7)
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(shape, np.float32).astype(dtype, copy=False)
    return rng.integers(0, 100, shape).astype(dtype, copy=False)


def best(calls, repeat=7, least=0.01):
    """Seconds of each call, the best of some turns in which each call runs for so long."""
    numbers = {}
    for name, call in calls.items():
        call()
        numbers[name] = max(1, math.ceil(least / max(_seconds(call, 1), 1e-9)))
    found = dict.fromkeys(calls, math.inf)
    for _ in range(repeat):
        for name, call in calls.items():
            found[name] = min(found[name], _seconds(call, numbers[name]))
    return found


def _seconds(call, number):
    begin = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - begin) / number


def folder():
    """An empty folder that goes when the process ends."""
    path = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def python(code, *arguments, before=(), **environment):
    """What some code prints, in a process of its own with one thread."""
    one = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [*before, sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command, env={**os.environ, **one, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
