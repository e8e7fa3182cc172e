"""`asv continuous` on the rows and commits of a trial, as it comes: what the gate's figures stand beside."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from asv.config import Config

FACTORS = {"asv continuous": 1.1, "asv, factor 1.03": 1.03}  # asv's default, and the gate's


def compared(suite, commits, rows):
    """Run `asv continuous` once: what it says of each row, by each of the `FACTORS`.

    Parameters
    ----------
    suite : gate.suite.Suite
    commits : sequence of str
        Base and head, which must differ.
    rows : sequence of gate.suite.Row

    Returns
    -------
    dict of str to dict
        By factor, of each row what its first and only draw says, as the gate has it, and the ratio.
    """
    benchmarks = [argument for row in rows for argument in ("--bench", f"^{_escaped(row.label)}$")]
    with tempfile.TemporaryDirectory(prefix="asv-") as folder:
        config = _config(suite, Path(folder))

        def asv(command, *arguments):
            line = [sys.executable, "-m", "asv", command, "--config", str(config), *arguments]
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            if done.returncode not in (0, 1):
                raise RuntimeError(f"asv {command} ended with {done.returncode}: {done.stderr[-500:]}")
            return done.stdout

        asv("machine", "--yes")
        asv("continuous", *benchmarks, *commits)
        return {
            name: _rows(asv("compare", "--factor", str(factor), *commits), rows)
            for name, factor in FACTORS.items()
        }


def _escaped(label):
    return "".join(f"\\{one}" if one in ".()[]+*?" else one for one in label)


def _config(suite, folder):
    """The suite's settings with the first environment alone, which is kept, and results that are not."""
    conf = dict(vars(Config.load(str(suite.config))))
    own = {
        "repo": str((suite.folder / conf["repo"]).resolve()),
        "benchmark_dir": str((suite.folder / conf["benchmark_dir"]).resolve()),
        "env_dir": str(suite.environments / "asv"),
        "results_dir": str(folder / "results"),
        "html_dir": str(folder / "html"),
        "include": [],
        "version": 1,
    }
    kept = "project branches launch_method environment_type install_timeout pythons matrix build_command"
    path = folder / "asv.conf.json"
    path.write_text(json.dumps({name: conf[name] for name in kept.split()} | own))
    return path


def _rows(text, rows):
    """What the table of `asv compare` says: the change, before, after, the ratio and the benchmark."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        label = cells[-1]
        if line.startswith("|") and any(row.label == label for row in rows):
            mark, ratio = line.split("|")[1].strip(), cells[-2].lstrip("~")
            verdict = {"+": "slower", "-": "faster", "": "unchanged"}.get(mark, "unmeasured")
            found[label] = verdict, verdict, float(ratio) if ratio != "n/a" else float("nan")
    missing = "unmeasured", "unmeasured", float("nan")
    return {row.label: found.get(row.label, missing) for row in rows}
