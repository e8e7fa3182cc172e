"""The check of a GPU: its processes, records and way to go on, with tests of all fates; in the simulator."""

import os
import subprocess
import sys

import gpu_check
import pytest
from gpu_check import Group

FATES = """
import os, time
def test_passes(record_property): record_property("seen", [1, 2])
def test_fails(): assert "one" == "another"
def test_crashes(): os.abort()
def test_hangs(): time.sleep(60)
def test_after(): pass
"""


def outcomes(path):
    return {test.rpartition("::")[2]: record["outcome"] for test, record in gpu_check.read(path).items()}


def lines(path):
    return len(path.read_text().splitlines())


def test_every_fate_is_recorded_and_the_next_call_goes_on(tmp_path, capsys):
    tests, path = tmp_path / "fates.py", tmp_path / "found.jsonl"
    tests.write_text(FATES)
    path.write_text('{"test": "cut whil\n')
    all_of_it = [Group("first", [tests], ["passes|fails|crash"], 1, 2), Group("all", [tests], [""], 1, 1)]
    assert gpu_check.check(all_of_it, path, 60, stalled=2) == 1
    wanted = {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_crashes": "crashed",
        "test_hangs": "crashed",
    }
    assert outcomes(path) == wanted | {"test_after": "passed"}
    found = {test.rpartition("::")[2]: record for test, record in gpu_check.read(path).items()}
    assert found["test_passes"]["seen"] == [1, 2]
    assert "assert 'one' == 'another'" in found["test_fails"]["why"]
    assert "exit status -6" in found["test_crashes"]["why"]
    assert "2 passed" in capsys.readouterr().out
    tests.write_text(
        FATES.replace("'another'", "'one'").replace('"another"', '"one"').replace("os.abort()", "pass")
    )
    before = lines(path)
    assert gpu_check.check(all_of_it[:1], path, 60, stalled=2) == 1  # the one that hung is not in this group
    assert lines(path) == before + 4  # two tests, begun and passed
    assert outcomes(path) == dict.fromkeys(wanted, "passed") | {
        "test_hangs": "crashed",
        "test_after": "passed",
    }


def test_time_that_is_up_cuts_and_fails_nothing(tmp_path):
    tests, path = tmp_path / "fates.py", tmp_path / "found.jsonl"
    tests.write_text(FATES)
    path.touch()
    group = Group("all", [tests], ["passes|after", "hangs"], 1, 1)
    assert gpu_check.check([group], path, 6) == 0
    assert outcomes(path) == {"test_passes": "passed", "test_after": "passed", "test_hangs": "cut"}


def test_nothing_else_is_tried_where_nothing_passes(tmp_path):
    tests, path = tmp_path / "broken.py", tmp_path / "found.jsonl"
    tests.write_text("import nothing_of_this_name")
    path.touch()
    assert (
        gpu_check.check([Group("one", [tests], [""], 1, 1), Group("two", [tests], [""], 1, 1)], path, 60) == 1
    )
    (record,) = gpu_check.read(path).values()
    assert record["test"] == "group one"
    assert "nothing_of_this_name" in record["why"]
    tests.write_text("def test_one(): pass")
    assert gpu_check.check([Group("one", [tests], [""], 1, 1)], path, 60) == 0


@pytest.mark.cuda
@pytest.mark.skipif(os.environ.get("NUMBA_ENABLE_CUDASIM") != "1", reason="runs in numba's simulator")
def test_in_the_simulator(tmp_path):
    path = tmp_path / "found.jsonl"
    arguments = ["--json", path, "--group", "smoke", "--match", "sum|max"]
    command = [sys.executable, gpu_check.__file__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"device": "numba\'s simulator"' in path.read_text()
    assert list(outcomes(path).values()) == ["passed", "passed"]
    before = lines(path)
    subprocess.run(command, check=True)
    assert lines(path) == before + 2  # an empty line and the machine
