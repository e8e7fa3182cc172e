"""Sequences of calls give what each of them gives alone: nothing that is kept belongs to another call."""

import hashlib
import json
import math
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

import fastpool as fp
from fastpool.arrays import GROUPS
from fastpool.operators import OPERATORS

from . import check, geometry, memory

ROOT = Path(__file__).resolve().parents[2]
FRESH = 40  # sequences of which one sends calls to processes of their own
TARGETS = {
    "float32": ["float64", "float16"],
    "uint8": ["uint8", "uint16", "float32"],
    "int32": ["int32", "int64"],
}
ALIKE = 5  # calls of one geometry
LARGER = 0.15  # of the geometries are not small


def forget():
    """No call has been made: neither jobs nor tables are kept. Kernels stay compiled."""
    for name, module in list(sys.modules.items()):
        if name.startswith("fastpool.") and not name.startswith("fastpool.cpu"):
            for label, value in list(vars(module).items()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
                elif name == "fastpool.jobs" and label[0] == "_" != label[1] and hasattr(value, "clear"):
                    value.clear()


def variants(rng, dtypes, operators):
    """Calls of one geometry, which share as much as they may."""
    strata, weights = geometry.strata(dtypes, operators)
    small = [one for one in strata if one[3] == "small" and one[0] not in ("unpool", "roi_align")]
    stratum = geometry.pick(rng, small)
    if rng.random() < LARGER:
        stratum = strata[int(rng.choice(len(strata), p=weights))]
    base = geometry.draw(rng, stratum, guard=False)
    found, op, dtype = [], base["op"], base["dtype"]
    for _ in range(ALIKE):
        if rng.random() < 0.5:
            op = geometry.pick(rng, operators)
            dtype = geometry.pick(rng, [d for d in dtypes if d in GROUPS[OPERATORS[op].dtypes]])
        options = base["options"] if op == base["op"] else dict(geometry.OPTIONS.get(op, [{}])[0])
        if base["form"] == "fractional":
            options.pop("rng", None)
        case = base | {"op": op, "dtype": dtype, "options": options}
        if rng.random() < 0.2:
            case["layout"] = memory.draw_layout(rng, len(base["shape"]))
        how = geometry.pick(
            rng, ["forward", "forward", "indices", "vjp", "backward", "dtype", "dtype", "out"]
        )
        if how == "dtype":
            how += ":" + geometry.pick(rng, TARGETS.get(dtype, [dtype]))
        found.append([how, case])
    return found


def answer(how, case):
    """A digest of what a call gives, or the error that it raises."""
    place = memory.Plain()
    dtype = check.dtype_of(case["dtype"])
    fill = lambda n: memory.values(case["values"], case["seed"], n, dtype)  # noqa: E731
    x = memory.arranged(place, case["layout"], tuple(case["shape"]), dtype, "", fill)
    calls = check.Calls(case, place)
    try:
        with np.errstate(all="ignore"):
            return _digest(_made(how, calls, x))
    except (ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


def _made(how, calls, x):
    if how == "indices":
        return calls(calls.forward, x, return_indices=True)
    if how.startswith("dtype:"):
        return calls(calls.forward, x, dtype=how[6:])
    y = calls(calls.forward, x)
    if how == "out":
        return calls(calls.forward, x, out=np.zeros_like(y))
    gy = np.ones(y.shape, np.float32)
    if how == "backward":
        return calls(calls.back, gy, x)
    if how == "vjp":
        y, pull = fp.vjp(calls.forward, x, op=calls.case["op"], **calls.keywords)
        return y, pull(gy)
    return y


def _digest(found):
    found = found if isinstance(found, tuple) else (found,)
    told = hashlib.sha256()
    for array in found:
        told.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return told.hexdigest()


def compared(calls):
    """What calls give alone, and where one gives something else in order or in reverse."""
    alone = []
    for one in calls:
        forget()
        alone.append(answer(*one))
    forget()
    forward = [answer(*one) for one in calls]
    forget()
    backward = [answer(*one) for one in reversed(calls)][::-1]
    wrong = []
    for name, found in (("in order", forward), ("in reverse", backward)):
        for one, got, want in zip(calls, found, alone, strict=True):
            if got != want:
                wrong.append(f"{name}: {got}, alone {want}, of {json.dumps(one)}")
    return alone, wrong


def shortest(calls):
    """Two of the calls that are enough, or all."""
    pairs = ([one, other] for one in calls for other in calls if one is not other)
    return next((pair for pair in pairs if compared(pair)[1]), calls)


def work(job, note, tell):
    """So many sequences; see `drive.work`."""
    dtypes = job["dtypes"] or ["float32", "uint8", "int32", "float64", "bool"]
    operators = job["operators"] or [name for name in OPERATORS if name != "stochastic"]  # that draws anew
    count, told = job["done"], time.monotonic()
    end = told + job["seconds"] if job["seconds"] else math.inf
    for number in range(job["first"], job["order"]):
        if time.monotonic() > end:
            break
        rng = np.random.default_rng([job["seed"], 1, number])
        calls = [one for _ in range(2) for one in variants(rng, dtypes, operators)]
        calls = [calls[n] for n in rng.permutation(len(calls))]
        note.write(f"{number} {json.dumps(calls)}")
        alone, wrong = compared(calls)
        for failure in wrong:
            tell(failure=failure, case={"sequence": shortest(calls)}, number=number)
        count += 3 * len(calls)
        if number % FRESH == 0:
            one = calls[int(rng.integers(len(calls)))]
            fresh, own = _apart(one), alone[calls.index(one)]
            count += 1
            if fresh != own:
                tell(
                    failure=f"in a process of its own: {fresh}, not {own}, of {json.dumps(one)}",
                    case={"sequence": calls},
                    number=number,
                )
        if time.monotonic() - told > 2:
            tell(count=count, number=number + 1, refused=0, table={})
            told = time.monotonic()
    tell(count=count, number=job["order"], refused=0, table=Counter(), end=True)
    return 0


def _apart(one):
    command = [sys.executable, "-m", "tests.fuzz", "--answer", json.dumps(one)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
