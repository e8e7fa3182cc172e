"""Random calls for a while (docs/reliability.md), and that what they are there to find is found."""

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fuzz import check, drive, geometry, memory, order

from fastpool.cpu import choose, plans, whole

ROOT = Path(__file__).parent.parent
SECONDS = 20  # of each run, most of which go into compiling kernels
CASE = {
    "form": "sliding",
    "op": "max",
    "dtype": "float32",
    "shape": [2, 9, 8],
    "call": {"window": [3, 2], "stride": [2, 2], "axes": [1, 2]},
    "options": {},
    "values": "normal",
    "seed": 1,
    "layout": {},
    "gradient": {},
    "whole_gradient": True,
    "out": {},
    "split": False,
    "oracle": True,
    "guard": "end",
}


def fuzz(*arguments):
    command = [sys.executable, "-m", "tests.fuzz", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--calls", 20_000, "--operators", "max", "avg", "--dtypes", "float32", "--seed", 1),
        ("--calls", 20_000, "--operators", "max", "--dtypes", "float32", "uint8", "--seed", 2, "--guard"),
        ("--order", 300, "--operators", "max", "sum", "avg", "--dtypes", "float32", "uint8"),
    ],
    ids=["plain", "guarded", "order"],
)
def test_random_calls_are_right(arguments):
    done = fuzz(*arguments, "--seconds", SECONDS)
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]


def test_a_crash_is_told_with_its_call_and_the_next_call_follows(monkeypatch, tmp_path):
    """What `lead` does where the process under it ends in the middle of a call."""
    notes = []

    def listen(job, state, begin):
        notes.append(job["first"])
        if len(notes) == 1:
            drive.Note(job["note"]).write(f"7 {json.dumps(CASE)}")
            return False, "Segmentation fault", -11
        return True, "", 0

    monkeypatch.setattr(drive, "_listen", listen)
    file = tmp_path / "found.json"
    given = {"calls": 1, "seconds": 0, "seed": 0, "guard": True, "json": file}
    given |= dict.fromkeys(("operators", "dtypes", "order"))
    assert drive.lead(type("Arguments", (), given)) == 1
    assert notes == [0, 8]
    assert json.loads(file.read_text())["failures"] == [{"failure": "crash, exit -11", "case": CASE}]


def test_a_read_behind_an_array_ends_the_process():
    """Of what `Guarded` gives, the next byte is no memory."""
    text = (
        "import ctypes; from tests.fuzz.memory import Guarded; place = Guarded();"
        "own = place.take(100, {!r}); print('here', flush=True);"
        "ctypes.string_at(own.ctypes.data + {}, 1); print('there')"
    )
    for place, at in (("end", 100), ("begin", -1)):
        command = [sys.executable, "-c", text.format(place, at)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["here"], done.stderr
        assert done.returncode < 0


@pytest.mark.parametrize("place", [memory.Guarded(), memory.Plain()], ids=["guarded", "plain"])
def test_a_write_beside_an_array_is_found(place):
    own = place.take(100, "end")
    ctypes.memset(own.ctypes.data - 1, 0, 1)
    with pytest.raises(memory.Harmed):
        place.check()


def test_wrong_results_are_found(monkeypatch):
    assert drive.attempt(check, CASE) > 4
    right = check.Calls.__call__

    def wrong(self, f, *arrays, anew=False, **more):
        found = right(self, f, *arrays, anew=anew, **more)
        if not anew and isinstance(found, np.ndarray):
            found.reshape(-1)[-1] += 1
        return found

    monkeypatch.setattr(check.Calls, "__call__", wrong)
    assert drive.attempt(check, CASE).startswith("Wrong: forward, call 1: 1 of")


def test_a_call_that_remembers_another_is_found(monkeypatch):
    seen = []

    def answer(how, case):
        seen.append(how)
        return f"{how} after {seen[-2]}" if len(seen) > 1 and seen[-2] != how else how

    monkeypatch.setattr(order, "answer", answer)
    monkeypatch.setattr(order, "forget", seen.clear)
    _, wrong = order.compared([["forward", CASE], ["indices", CASE]])
    assert len(wrong) == 2


def test_every_template_and_threshold_is_drawn():
    """Calls are JSON, of every form and operator, and are the same ones for the same seed."""
    strata, weights = geometry.strata()
    assert weights.sum() == pytest.approx(1)
    assert {one[0] for one in strata} == set(geometry.TEMPLATES)
    for stratum in {one[:2]: one for one in strata}.values():
        one, again = (geometry.draw(np.random.default_rng(3), stratum, guard=True) for _ in range(2))
        assert json.loads(json.dumps(one)) == again
    known = {plans.WORTHWHILE - 1, plans.WORTHWHILE, whole.LONG + 1, choose.USUAL.slid}
    assert known <= set(geometry.THRESHOLDS.tolist())
