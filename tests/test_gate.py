"""The gate against slower commits: its decisions, its processes, and runs on another project's suite."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asv.benchmarks
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # asv_bench is not installed

from asv_bench import trials  # noqa: E402
from asv_bench.gate import decide, draws, report, sample  # noqa: E402
from asv_bench.gate.__main__ import Found, main  # noqa: E402
from asv_bench.gate.suite import SIDES, Row, Side, Suite, rows_of  # noqa: E402

PAIRS = 20


def row(name="a", kind="time"):
    return Row(name, name, kind, "seconds")


def drawn(ratio, noise=0.01, pairs=PAIRS, seed=0):
    """A draw of pairs whose head takes so many times as long as its base."""
    rng = np.random.default_rng(seed)
    base, head = np.exp(rng.normal(0, noise, (2, pairs)))
    return made(zip(base, ratio * head, strict=True))


def made(pairs):
    return draws.Draw(pairs=[draws.Pair(base, head, head / base if base else 0) for base, head in pairs])


def verdict(draw, kind="time", others=0):
    rows = [row(kind=kind), *(row(str(n)) for n in range(others))]
    found = {"a": draw} | {str(n): drawn(1, seed=n + 1) for n in range(others)}
    return decide.decide(rows, found, PAIRS)["a"]


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(1.0, "unchanged"), (1.02, "unchanged"), (1.1, "slower"), (2.0, "slower"), (0.9, "faster")],
)
def test_verdict_by_the_ratio(ratio, expected):
    found = verdict(drawn(ratio), others=100)
    assert found.verdict == expected
    assert found.low <= ratio * 1.02
    assert found.high >= ratio / 1.02


def test_random_pairs_alarm_no_more_often_than_is_said():
    rows, alarms = [row(str(n)) for n in range(50)], 0
    for seed in range(40):
        found = decide.decide(rows, {str(n): drawn(1, 0.2, seed=50 * seed + n) for n in range(50)}, PAIRS)
        alarms += sum(one.verdict != "unchanged" for one in found.values())
    assert alarms <= 2  # 40 draws at 0.001 each way: 0.08 are to be expected


def test_some_pairs_that_take_far_longer_do_not_alarm():
    draw = drawn(1)
    draw.pairs[:6] = [one._replace(ratio=8 * one.ratio) for one in draw.pairs[:6]]
    assert verdict(draw).verdict == "unchanged"


def test_pairs_that_do_not_vary():
    assert verdict(made([(1.0, 1.0)] * PAIRS)).verdict == "unchanged"
    assert verdict(made([(1.0, 1.1)] * PAIRS)).verdict == "slower"
    assert verdict(made([(1.1, 1.0)] * PAIRS)).verdict == "faster"


def test_what_was_not_measured():
    assert verdict(drawn(2, pairs=PAIRS - 1)).verdict == "unmeasured"
    assert verdict(made([(0.0, 1.0)] * PAIRS)).verdict == "unmeasured"
    broken = verdict(draws.Draw(errors={"head": "ValueError: no"}))
    assert (broken.verdict, broken.why) == ("unmeasured", "head: ValueError: no")
    assert verdict(draws.Draw(skipped=True)).verdict == "skipped"


def test_memory_alarms_where_all_of_one_side_lies_beyond_the_other():
    steady = [(100e6, 100e6)] * 5
    assert verdict(made(steady), "peakmemory").verdict == "unchanged"
    assert verdict(made([(100e6, 110e6)] * 5), "peakmemory").verdict == "slower"
    assert verdict(made([*steady[1:], (100e6, 190e6)]), "peakmemory").verdict == "unchanged"
    assert verdict(made([(110e6, 100e6)] * 5), "peakmemory").verdict == "faster"


def test_holm_stops_at_the_first_that_it_keeps():
    assert decide.holm([0.01, 0.04, 0.03], alpha=0.05) == [True, False, False]
    assert decide.holm([0.01, 0.02, 0.03], alpha=0.06) == [True, True, True]
    assert decide.holm([]) == []


def test_an_alarm_needs_both_draws():
    slow, fast, same = (verdict(drawn(ratio)) for ratio in (1.2, 0.8, 1))
    unsure = decide.Verdict("unmeasured")
    for again, expected in [
        (slow, "slower"),
        (same, "unchanged"),
        (fast, "unchanged"),
        (unsure, "unmeasured"),
    ]:
        assert decide.confirmed({"a": slow}, {"a": again})["a"].verdict == expected


def test_pairs_whose_control_moved_are_dropped():
    draw, usual = draws.Draw(), {"time": 0.1, "copy": 0.01, "loop": 0.01}
    slow = usual | {"time": 0.3}
    draw.add([(usual, slow), (usual, slow), (usual, usual | {"time": 9, "copy": 9})], 0.1)
    draw.add([(usual, usual | {"copy": 0.012})] * 3, 0.1)
    draw.add([(usual | {"loop": 0.012}, usual)] * 3, 0.1)
    assert [tuple(pair) for pair in draw.pairs] == [(0.1, 0.3, pytest.approx(3))]
    assert draw.dropped == 2
    assert len(draw.controls) == 3


@pytest.mark.parametrize(
    ("verdicts", "errors", "code"),
    [
        (["unchanged", "faster", "skipped"], {}, 0),
        (["unchanged", "slower", "unmeasured"], {}, 1),
        (["unchanged", "unmeasured"], {}, 2),
        (["unmeasured"], {"head": "fails"}, 1),
        (["unmeasured"], {"base": "fails"}, 2),
        (["unmeasured"], {"base": "fails", "head": "fails"}, 2),
        ([], {}, 2),
    ],
)
def test_exit_code(verdicts, errors, code):
    rows = [row(str(n)) for n in range(len(verdicts))]
    found = Found(
        rows,
        {one.id: decide.Verdict(name) for one, name in zip(rows, verdicts, strict=True)},
        {one.id: draws.Draw(errors=errors) for one in rows},
        {},
    )
    assert found.code == code


def test_report_shows_slower_rows_first(tmp_path):
    rows = [row("same"), row("slow"), row("gone")]
    found = {"same": drawn(1), "slow": drawn(1.5), "gone": draws.Draw(skipped=True)}
    verdicts = decide.decide(rows, found, PAIRS)
    text = report.markdown("title", rows, verdicts, found)
    assert text.index("| slower | slow | 1.5") < text.index("| unchanged | same")
    assert "1 slower, 1 unchanged, 1 skipped" in text
    report.write_json(tmp_path / "found.json", {"code": 1}, rows, verdicts, found)
    assert json.loads((tmp_path / "found.json").read_text())["rows"][1]["verdict"]["verdict"] == "slower"


# Another project's suite ---------------------------------------------------------------------------------

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "counting"
version = "0.1"
[tool.setuptools]
packages = ["counting"]
"""
PACKAGE = """
def fast(n):
    return sum(range(n))

def slow(n):
    total = 0
    for i in range(n):
        total += i & 3
    return total
"""
CONFIG = """{
    // a comment, which asv allows
    "version": 1,
    "project": "counting",
    "repo": "..",
    "branches": ["HEAD"],
    "environment_type": "virtualenv",
    "build_command": ["python -m pip wheel -q --no-deps -w {build_cache_dir} {build_dir}"],
    "env_dir": ".asv/env"
}
"""
BENCHMARKS = """
import time

import counting


class Counting:
    params = [100, 10_000]
    timer = time.process_time

    def setup(self, n):
        self.n = n

    def time_fast(self, n):
        counting.fast(self.n)

    def time_slow(self, n):
        counting.slow(self.n)


def peakmem_list():
    return list(range(1_000_000))


def track_half():
    return 0.5
"""
ODDITIES = """
import os


class Cached:
    def setup_cache(self):
        return {"calls": 3}

    def track_calls(self, cache):
        return cache["calls"]


class Once:
    number = 1

    def setup(self):
        self.items = [1]

    def time_pop(self):
        self.items.pop()


class Absent:
    def setup(self):
        raise NotImplementedError

    def time_nothing(self):
        pass


def track_absent():
    return float("nan")


def timeraw_import():
    return "import json"


def time_fails():
    raise ValueError("no")


def track_ends():
    os._exit(3)


def track_after():
    return 1
"""


def git(folder, *arguments):
    who = {f"GIT_{role}_{what}": "counting" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | who)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A repository whose second commit does three times the work in one of two functions."""
    folder = tmp_path_factory.mktemp("counting")
    files = {
        "pyproject.toml": PROJECT,
        "counting/__init__.py": PACKAGE,
        "bench/asv.conf.json": CONFIG,
        "bench/BASELINE": "HEAD~1  # before it became slower\n",
        "bench/QUICK": "Counting.*slow\n",
        "bench/benchmarks/__init__.py": "",
        "bench/benchmarks/counting.py": BENCHMARKS,
        ".gitignore": ".asv/\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "fast")
    (folder / "counting/__init__.py").write_text(PACKAGE.replace("range(n):", "range(3 * n):"))
    git(folder, "commit", "-qam", "slow")
    return folder


def gate(project, *arguments):
    files = ["--json", str(project / ".asv/found.json"), "--markdown", str(project / ".asv/found.md")]
    (project / ".asv").mkdir(exist_ok=True)
    loose = ["--pairs", "8", "--turns", "5", "--moves", "9"]  # other tests keep the machine busy
    code = main(["--config", str(project / "bench/asv.conf.json"), *files, *loose, *arguments])
    found = json.loads((project / ".asv/found.json").read_text())
    return code, {one["row"]["label"]: one["verdict"]["verdict"] for one in found["rows"]}


def test_the_gate_finds_what_is_slower_in_another_project(project, capsys):
    code, found = gate(project)
    slow = {f"counting.Counting.time_slow({n})" for n in (100, 10000)}
    assert {label for label, verdict in found.items() if verdict == "slower"} == slow
    assert {verdict for label, verdict in found.items() if label not in slow} == {"unchanged"}
    assert len(found) == 6
    assert code == 1
    assert "time_slow(10000)" in capsys.readouterr().out
    assert "2 slower, 4 unchanged" in (project / ".asv/found.md").read_text()


def test_the_swapped_commits_are_faster(project):
    code, found = gate(project, "--base", "HEAD", "--head", "HEAD~1", "--quick")
    assert set(found.values()) == {"faster"}
    assert code == 0


def test_the_work_tree_counts_as_it_is(project):
    changed = project / "counting/__init__.py"
    changed.write_text(PACKAGE.replace("range(n):", "range(9 * n):"))
    try:
        code, found = gate(project, "--base", "HEAD", "--only", "slow.10000")
    finally:
        git(project, "checkout", "-q", ".")
    assert found == {"counting.Counting.time_slow(10000)": "slower"}
    assert code == 1


def test_an_unknown_commit_is_told(project):
    with pytest.raises(ValueError, match="no-such-commit"):
        gate(project, "--base", "no-such-commit")


def test_kernels_of_another_commit_are_forgotten(project):
    """pip leaves them, and numba would find them again where it does not know what has changed."""
    suite = Suite(project / "bench/asv.conf.json")
    commits = [suite.commit("HEAD")] * 2
    suite.install(commits)
    (package,) = (suite.environments / "head").glob("*/lib/python*/site-packages/counting")
    kernel = package / "__pycache__" / "counting.cached-1.py311.1.nbc"
    kernel.parent.mkdir(exist_ok=True)
    kernel.write_bytes(b"")
    suite.install(commits)
    assert kernel.exists()
    suite.install([commits[0], suite.commit("HEAD~1")])
    assert not kernel.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_no_process_and_no_file(project, tmp_path, number):
    command = [sys.executable, "-m", "asv_bench.gate", "--config", str(project / "bench/asv.conf.json")]
    run = subprocess.Popen(
        [*command, "--pairs", "1000"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
    while not list(tmp_path.glob("gate-*")) and run.poll() is None:
        time.sleep(0.05)
    started = [int(pid) for pid in children.read_text().split()]
    os.kill(run.pid, number)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130, errors
    assert not list(tmp_path.iterdir())
    end = time.monotonic() + 60  # one that was just being started ends when it finds nobody to answer
    while [pid for pid in started if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_sample_is_not_what_interrupts_made_of_it():
    slow = iter([5.0, 1.0, 1.1, 9.0, 1.2, 1.3, 1.4, 1.5])
    asked = []

    def timed(calls):
        asked.append(calls)
        return calls * next(slow)

    assert sample.per_call(timed, 83) == pytest.approx(1.2)
    assert asked == [10] * sample.PIECES
    assert sample.per_call(float, 1) == 1


@pytest.mark.parametrize(("noise", "turns"), [(0.001, 7), (0.5, 28)])
def test_pairs_take_more_turns_where_they_vary(noise, turns):
    rng = np.random.default_rng(0)
    drawer = draws.Drawer(SIDES, turns=7)
    drawer._turn = lambda *_: tuple({"time": np.exp(rng.normal(0, noise))} for _ in SIDES)
    assert len(drawer._turns((), 0, draws.Draw())) == turns


def suite_of(folder, module, text):
    """A folder of benchmarks with one module."""
    root = folder / "benchmarks"
    root.mkdir()
    (root / "__init__.py").touch()
    (root / f"{module}.py").write_text(text)
    return root


def test_what_a_sample_takes_is_counted_after_the_first_pair(tmp_path):
    """What compiles, or waits for a process that does, says nothing of the calls of a sample."""
    root = suite_of(
        tmp_path,
        "slow",
        "import pathlib, time\nPATH = pathlib.Path(__file__).with_name('seen')\n"
        "class Slow:\n    def setup(self):\n        self.first = not PATH.exists()\n"
        "        PATH.touch()\n    def time_it(self):\n        time.sleep(0.02 * self.first)\n",
    )
    sides = [Side(name, "", sys.executable, {}, str(root)) for name in SIDES]
    drawer = draws.Drawer(sides, turns=1, moves=9)
    drawer.draw([row("slow.Slow.time_it")], 1)
    assert drawer.settled["slow.Slow.time_it"]["number"] > 10


def test_one_process_measures_every_kind_of_benchmark(tmp_path):
    root = suite_of(tmp_path, "odd", ODDITIES)
    names = [
        "Cached.track_calls",
        "Once.time_pop",
        "Absent.time_nothing",
        "track_absent",
        "timeraw_import",
        "time_fails",
        "track_ends",
        "track_after",
    ]
    kinds = ["track" if "track" in name else "time" for name in names]
    rows = [row(f"odd.{name}", kind) for name, kind in zip(names, kinds, strict=True)]
    sides = [Side(name, "", sys.executable, {}, str(root)) for name in SIDES]
    drawer = draws.Drawer(sides, turns=2, moves=9)
    found = {name.split(".", 1)[1]: one for name, one in drawer.draw(rows, 1).items()}
    assert [tuple(pair) for pair in found["Cached.track_calls"].pairs] == [(3, 3, 1)]
    assert drawer.settled["odd.Once.time_pop"]["number"] == 1
    assert len(found["Once.time_pop"].pairs) == len(found["timeraw_import"].pairs) == 1
    assert found["timeraw_import"].pairs[0].base > 0
    assert found["Absent.time_nothing"].skipped
    assert found["track_absent"].skipped
    assert found["time_fails"].errors == dict.fromkeys(SIDES, "ValueError: no")
    assert found["track_ends"].errors["base"].startswith("exit code 3")
    assert [tuple(pair) for pair in found["track_after"].pairs] == [(1, 1, 1)]


# This project's files ------------------------------------------------------------------------------------


def test_every_slowdown_can_be_planted():
    suite = Suite(ROOT / "asv_bench" / "asv.conf.json")
    for kind in trials.PLANTS:
        commit = trials.planted(suite, suite.commit("HEAD"), kind, 0.05)
        changed = git(ROOT, "diff", "--name-only", "HEAD", commit).splitlines()
        assert len(changed) == (kind != "none")
        for path in changed:
            compile(git(ROOT, "show", f"{commit}:{path}"), path, "exec")


def test_a_trial_of_the_full_gate_counts_for_the_quick_one():
    class Drawer:
        """Draws a row that becomes slower behind the pairs of the quick gate."""

        def __init__(self):
            self.drawn = []

        def count(self, rows, pairs):
            return len(rows) * pairs

        def draw(self, rows, pairs, advance):
            advance()
            self.drawn.append(([row.id for row in rows], pairs))
            made = {"same": drawn(1, pairs=pairs), "slow": drawn(1.2, pairs=pairs)}
            made["late"] = drawn(1, pairs=pairs)
            made["late"].pairs[12:] = drawn(1.3, pairs=pairs - 12).pairs
            return {row.id: made[row.id] for row in rows}

    drawer = Drawer()
    rows = [row(name) for name in ("same", "slow", "late")]
    full, quick = trials.trial(drawer, rows, ["full", "quick"], {"kind": "none"})
    assert (full["mode"], quick["mode"]) == ("full", "quick")
    assert [full["rows"][name][1] for name in ("same", "slow")] == ["unchanged", "slower"]
    assert [quick["rows"][name][1] for name in ("same", "slow", "late")] == [
        "unchanged",
        "slower",
        "unchanged",
    ]
    assert full["rows"]["late"][1] == "slower"
    wanted = ["same", "slow", "late"], trials.FULL
    assert drawer.drawn == [wanted, (["slow", "late"], 45)]  # nothing for the quick one alone


def test_table_of_trials(tmp_path):
    about = {"kind": "repeat", "share": 0.1, "mode": "quick", "beside": 0, "load": 2.2}
    rows = {"a": ("slower", "slower", 1.1), "b": ("slower", "unchanged", 1.1)}
    runs = [{"rows": rows} for _ in range(5)]
    (tmp_path / "runs.json").write_text("\n".join(json.dumps(about | run) for run in runs))
    assert "| repeat | 0.1 | quick | yes | 5 | 10 | 1.100 | 5 | 18.71% to 81.29% | 10 | 0 |" in trials.table(
        [tmp_path / "runs.json"]
    )


def test_planted_slowdowns_are_counted_by_what_they_cost(tmp_path):
    about = {"kind": "repeat", "share": 0.1, "mode": "full", "beside": 0, "load": 1}
    rows = {"a": ("slower", "slower", 1.1), "tiny": ("unchanged", "unchanged", 1.04), "same": ("", "", 1.0)}
    none = about | {"kind": "none", "rows": {"a": ("slower", "slower", 1.1)}}
    other = about | {"rows": {"another": ("slower", "slower", 1.3)}}
    runs = [*(about | {"rows": rows} for _ in range(10)), none, other]
    (tmp_path / "runs.json").write_text("\n".join(map(json.dumps, runs)))
    found = trials.by_slowdown([tmp_path / "runs.json"]).splitlines()[2:]
    assert found == [
        "| full | 3% to 5% | 1 | 10 | 0 | 0.0% to 30.8% |",
        "| full | 8% to 12% | 1 | 10 | 10 | 69.2% to 100.0% |",
        "| full | 20% to 40% | 1 | 1 | 1 | 2.5% to 100.0% |",
    ]


def test_the_rows_of_the_quick_gate_are_there():
    """Each line of QUICK names one row of the suite as asv reads it, by the interpreter that runs here."""
    suite = Suite(ROOT / "asv_bench" / "asv.conf.json")
    command = [sys.executable, str(Path(asv.benchmarks.runner.BENCHMARK_RUN_SCRIPT)), "discover"]
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "found.json")
        subprocess.run([*command, str(ROOT / "asv_bench/benchmarks"), str(found)], check=True, cwd=folder)
        rows = list(rows_of({one["name"]: one for one in json.loads(found.read_text())}))
    for line in suite.text("QUICK"):
        assert len([one for one in rows if re.search(line, one.label)]) == 1, line


def test_the_baseline_is_a_commit():
    suite = Suite(ROOT / "asv_bench" / "asv.conf.json")
    (line,) = suite.text("BASELINE")
    assert suite.commit(line)
