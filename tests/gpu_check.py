"""The check of a GPU that is at hand for minutes: parity and speeds by priority, one JSON record a line.

    python tests/gpu_check.py --json FILE [--seconds 540] [--group NAME] [--match REGEX]

Groups of tests run one after the other, each by a share of the time at the latest, in processes of their
own. Where a test crashes or hangs, or leaves the GPU in error, a new process goes on behind it. Records are
written at once, so that a run that is cut leaves all that it found. The same command with the same file
goes on: it skips what passed and tries the rest again. Exit status 1 where something failed. In numba's
simulator (NUMBA_ENABLE_CUDASIM=1) everything but the speeds runs.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PARITY, SPEEDS = ([ROOT / "tests" / name] for name in ("test_parity.py", "gpu_speeds.py"))
MISSING = [ROOT / "tests" / "test_missing.py"]
VERSIONS = ("numba", "numba-cuda", "numpy", "cuda-bindings", "ml_dtypes", "torch", "triton")
FINISHED = (10, 11, 15)  # exit statuses: 10 and pytest's own for passed, failed, and nothing to do
BROKEN = 9  # exit status where the GPU takes no more work from the process
STALLED = 150  # seconds of one test after which it counts as hung
ENDED = ("passed", "skipped", "failed", "crashed")


class Group(NamedTuple):
    """Tests that run together.

    Attributes
    ----------
    name : str
    paths : sequence of Path
    patterns : sequence of str
        What their names have; those with the first one run first.
    until : float
        Share of the time by which they end.
    workers : int
        Processes among which they are dealt out.
    """

    name: str
    paths: Sequence[Path]
    patterns: Sequence[str]
    until: float
    workers: int


def groups() -> tuple[Group, ...]:
    """What is checked, the most telling first; compiling takes most of the time, hence the processes."""
    many = max(1, min(8, (os.cpu_count() or 1) // 2))
    forms = "in_every_form|unpool|roi_align|regions|mode|draws"
    backward = "geometries|indices|dtypes|layouts|gradients"
    return (
        Group("smoke", PARITY, [r"in_every_form\[sliding-"], 0.25, many),
        Group("parity", PARITY, [forms, backward, "^(?!.*beyond)"], 0.6, many),
        Group("missing", MISSING, [r"test_cuda_in_every_form\[.*-sliding-", "^test_cuda_"], 0.72, many),
        Group("large", PARITY, ["beyond"], 0.8, 1),
        Group("speeds", SPEEDS, [""], 1.0, 1),
    )


# Records -------------------------------------------------------------------------------------------------


def write(path: Path, **record: object) -> None:
    with path.open("a") as file:
        file.write(json.dumps({**record, "time": time.time()}) + "\n")


def read(path: Path) -> dict[str, dict]:
    """The last record of each test; a line that was cut is none."""
    found = {}
    for line in path.read_text().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if "test" in record:
            found[record["test"]] = record
    return found


class Recorder:
    """Pytest's plugin: takes a process's share of the tests that are to be run, and writes what they did."""

    def __init__(self, spec: dict) -> None:
        self.path, self.run, self.worker = Path(spec["path"]), spec["run"], spec["worker"]
        self.workers, self.patterns, self.match = spec["workers"], spec["patterns"], spec["match"]

    def pytest_collection_modifyitems(self, items):
        records, wanted = read(self.path), []
        for pattern in self.patterns:
            wanted += [item for item in items if re.search(pattern, item.name) and item not in wanted]
        own = [item for item in wanted if re.search(self.match, item.name)][self.worker :: self.workers]
        items[:] = [item for item in own if not self._done(records, item)]

    def _done(self, records, item):
        last = records.get(item.nodeid, {})
        outcome = last.get("outcome")
        return outcome == "passed" or (last.get("run") == self.run and outcome in ENDED)

    def _write(self, test, outcome, **more):
        write(self.path, test=test, outcome=outcome, run=self.run, worker=self.worker, **more)

    def pytest_runtest_logstart(self, nodeid):
        self._write(nodeid, "started")

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            why = {} if report.passed else {"why": report.longreprtext[-2000:]}
            more = why | dict(report.user_properties)
            self._write(report.nodeid, report.outcome, seconds=round(report.duration, 3), **more)
        if report.failed and (cuda := sys.modules.get("numba.cuda")):
            try:
                cuda.synchronize()
            except Exception:
                os._exit(BROKEN)


def work(spec: dict) -> int:
    """A process of a group."""
    options = ["-q", "-p", "no:cacheprovider", "-W", "default", "-c", str(ROOT / "pyproject.toml")]
    options += ["--rootdir", str(ROOT), *spec["paths"]]
    return 10 + int(pytest.main(options, plugins=[Recorder(spec)]))


# Processes -----------------------------------------------------------------------------------------------


class Worker:
    """A process of a group, and what it says."""

    def __init__(self, spec: dict) -> None:
        self.spec, self.log = spec, tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the worker
        self.process = python("--work", json.dumps(spec), stdout=self.log, stderr=subprocess.STDOUT)

    def end(self) -> str:
        """End it, if it runs; its last words."""
        self.process.kill()
        self.process.wait()
        with self.log:
            self.log.seek(0)
            return f"exit status {self.process.returncode}; {self.log.read()[-1500:]}"


def python(*arguments: str, **options: object) -> subprocess.Popen:
    """This script again."""
    folders = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": folders, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-X", "faulthandler", __file__, *arguments]
    return subprocess.Popen(command, env=environment, cwd=ROOT, text=True, **options)


def watch(group: Group, path: Path, run: str, deadline: float, match: str, stalled: float) -> None:
    """Run a group until it is done or its time is up."""
    spec = {"path": str(path), "run": run, "match": match, "workers": group.workers}
    spec |= {"paths": list(map(str, group.paths)), "patterns": group.patterns}
    alive = [Worker({**spec, "worker": number}) for number in range(group.workers)]
    while alive:
        time.sleep(0.1)
        records, late = read(path).values(), time.monotonic() > deadline
        for worker in list(alive):
            code, own = worker.process.poll(), {"run": run, "worker": worker.spec["worker"]}
            started = [r for r in records if r["outcome"] == "started" and own.items() <= r.items()]
            hung = any(time.time() - r["time"] > stalled for r in started)
            if code is None and not (late or hung):
                continue
            alive.remove(worker)
            words = worker.end()
            if code in FINISHED:
                continue
            started = [r for r in read(path).values() if r in started]  # it may have ended meanwhile
            for record in started:
                write(path, test=record["test"], outcome="cut" if late else "crashed", why=words, **own)
            if not late and (started or code == BROKEN):
                alive.append(Worker(worker.spec))
            elif not late:
                write(path, test=f"group {group.name}", outcome="failed", why=words, **own)


def check(
    wanted: Sequence[Group], path: Path, seconds: float, match: str = "", stalled: float = STALLED
) -> int:
    """Run groups for so many seconds; the exit status."""
    begin, run = time.monotonic(), f"{time.time():.3f}"
    for group in wanted:
        deadline = begin + seconds * group.until
        if time.monotonic() < deadline:
            print(f"{time.monotonic() - begin:5.0f} s {group.name}", flush=True)
            watch(group, path, run, deadline, match, stalled)
        if group is wanted[0] and not any(r["outcome"] == "passed" for r in read(path).values()):
            print("nothing passed, and nothing else is tried")
            break
    groups_failed = {f"group {group.name}" for group in wanted}
    records = [r for test, r in read(path).items() if test not in groups_failed or r["run"] == run]
    bad = [record for record in records if record["outcome"] in ("failed", "crashed")]
    for record in bad[:30]:
        lines = record["why"].splitlines()
        said = [line for line in lines if line.startswith("E ")] or lines
        print("", record["test"], record["outcome"], *said[:4], sep="\n  ")
    counts = Counter(record["outcome"] for record in records)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "nothing ran")
    return int(bool(bad) or not counts["passed"])


def machine() -> dict[str, object]:
    """The GPU, its driver and versions; what cannot be found is its error. SystemExit where there is none."""
    from numba import config, cuda  # noqa: PLC0415 - the process that starts all others holds no GPU

    from asv_bench.rivals import gpu  # noqa: PLC0415
    from fastpool import kinds  # noqa: PLC0415

    def fact(find: Callable[[], object]) -> object:
        try:
            return find()
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    problem = kinds.cuda_problem()
    if problem:
        sys.exit(problem)
    found: dict[str, object] = {"Python": platform.python_version(), "versions": {}}
    for name in VERSIONS:
        try:
            found["versions"][name] = version(name)
        except PackageNotFoundError:
            continue
    if config.ENABLE_CUDASIM:
        return found | {"device": "numba's simulator"}
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    return found | {
        "device": fact(lambda: str(cuda.get_current_device().name)),
        "compute capability": fact(lambda: list(cuda.get_current_device().compute_capability)),
        "driver": fact(lambda: subprocess.check_output(query, text=True).strip()),
        "CUDA of the driver": fact(gpu.driver),
        "CUDA runtime": fact(lambda: list(cuda.runtime.get_version())),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--json", type=Path, default=Path("gpu_check.jsonl"), metavar="FILE")
    parser.add_argument("--seconds", type=float, default=540, help="all together, 540 by default")
    parser.add_argument(
        "--group", default="", choices=[group.name for group in groups()], help="only this one"
    )
    parser.add_argument("--match", default="", metavar="REGEX", help="only tests whose name has this")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--machine", action="store_true", help="print what is known of the GPU, and end")
    given = parser.parse_args()
    if given.work:
        return work(json.loads(given.work))
    if given.machine:
        print(json.dumps(machine()))
        return 0
    path = given.json.resolve()
    with path.open("a+") as file:
        file.write("\n")  # the last line may have been cut
    with python("--machine", stdout=subprocess.PIPE) as process:
        said = process.communicate()[0]
    print(said, end="")
    if process.returncode:
        return 1
    write(path, machine=json.loads(said))
    wanted = [group for group in groups() if given.group in ("", group.name)]
    return check(wanted, path, given.seconds, given.match)


if __name__ == "__main__":
    sys.exit(main())
