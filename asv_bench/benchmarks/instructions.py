"""Instructions of serial kernels, counted by valgrind: the same number each time, on a busy machine too."""

import json
import platform
import re
import shutil
import tempfile
from pathlib import Path

from . import common
from .common import Benchmark, once, python

# `getpgrp` does next to nothing, and nothing else calls it; before it, callgrind writes what it has counted
# since the last time.
COUNT = """
import gc, json, os, sys
import numpy as np, fastpool as fp

fp.set_num_threads(1)
rng = np.random.default_rng(7)

def nothing():
    return lambda: None

def forward(name, planes, *arguments, side=64, dtype="float32", **keywords):
    x = rng.integers(0, 256, (1, planes, side, side)).astype(dtype)
    pool = getattr(fp, name)
    return lambda: pool(x, *arguments, **keywords)

def backward(name, planes, *arguments, **keywords):
    x = rng.integers(0, 256, (1, planes, 64, 64)).astype("float32")
    y, pull = fp.vjp(getattr(fp, name), x, *arguments, **keywords)
    return lambda: pull(y)

found, calls = [], []
for case, texts in json.loads(sys.argv[1]).items():
    try:
        pair = [eval(text) for text in texts]
        for call in pair:
            for _ in range(20):
                call()
    except (AttributeError, TypeError, ValueError):
        continue  # an older commit does not have it
    found.append(case)
    calls += pair
gc.collect()
gc.disable()
for call in calls:
    for _ in range(int(sys.argv[2])):
        os.getpgrp()
        call()
os.getpgrp()
print(json.dumps(found))
"""
TURNS = 5  # of each call, the least of which counts: now and then one also does what the next need not
PLANES = 8, 16  # medians of fewer have another kernel
# Two calls that do the same in Python: what the larger needs more is the kernel's.
CASES = {
    "tiny call": ["nothing()", "forward('max_pool', 1, 2, side=8)"],
    "max 2x2 s2": [f"forward('max_pool', {n}, 2)" for n in PLANES],
    "max 3x3 s2 p1": [f"forward('max_pool', {n}, 3, stride=2, padding=1)" for n in PLANES],
    "avg 3x3 s1": [f"forward('avg_pool', {n}, 3, stride=1)" for n in PLANES],
    "median 3x3 uint8": [f"forward('median_pool', {n}, 3, stride=1, dtype='uint8')" for n in PLANES],
    "backward max 3x3 s2": [f"backward('max_pool', {n}, 3, stride=2)" for n in PLANES],
}
# valgrind knows no AVX-512. Addresses are the same each time, and so are the orders of sets of strings.
SETTINGS = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "", "PYTHONHASHSEED": "0"}


def problem():
    """Why nothing can be counted; empty where it can."""
    missing = [tool for tool in ("valgrind", "setarch") if shutil.which(tool) is None]
    if missing or platform.machine() != "x86_64":
        return f"counting needs x86_64 and {', '.join(missing) or 'nothing else'}"
    return ""


def counted(cases, folder):
    """Instructions that the second call of each case takes more than the first one; compiled code is kept."""
    settings = {**SETTINGS, "NUMBA_CACHE_DIR": str(Path(folder, "cache"))}
    given = json.dumps(cases), TURNS
    python(COUNT, *given, **settings)  # compiles
    with tempfile.TemporaryDirectory(dir=folder) as place:
        output = Path(place, "counts")
        tool = "valgrind", "--tool=callgrind", "--dump-before=getpgrp", f"--callgrind-out-file={output}"
        found = json.loads(python(COUNT, *given, before=("setarch", "x86_64", "-R", *tool), **settings))
        parts = [_total(Path(f"{output}.{2 + part}")) for part in range(2 * TURNS * len(found))]
    least = [min(parts[first : first + TURNS]) for first in range(0, len(parts), TURNS)]
    return {case: least[2 * i + 1] - least[2 * i] for i, case in enumerate(found)}


def _total(part):
    return int(re.search(r"^(?:summary|totals): (\d+)", part.read_text(), re.MULTILINE)[1])


class Instructions(Benchmark):
    """Guards inner loops against a few instructions more, which no clock shows.

    The figure is for eight planes of 64 x 64; that of "tiny call" is for all that a call does.
    """

    params = (list(CASES),)
    param_names = ("case",)

    def setup_cache(self):
        """All cases in one process: the import takes valgrind a minute."""
        if problem() or common.LIBRARIES_ALONE:
            return {}
        with tempfile.TemporaryDirectory() as folder:
            return counted(CASES, folder)

    setup_cache.timeout = 900

    @once
    def setup(self, counts, case):
        if case not in counts:
            raise NotImplementedError(problem() or f"this commit has no {case}")

    def track_instructions(self, counts, case):
        return counts[case]

    track_instructions.unit = "instructions"
