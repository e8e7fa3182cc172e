"""How often the gate alarms without a reason, and what it catches: ``python -m asv_bench.trials --help``.

A trial is a whole run of the gate between a commit and the same commit with a planted slowdown, or none. Each
run adds lines of JSON to a file, so that hours may be cut into pieces. ``--table`` sums such files up.
"""

import argparse
import contextlib
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from scipy import stats

from .continuous import compared
from .gate.__main__ import FULL, OURS, QUICK, TURNS, judge
from .gate.draws import Drawer
from .gate.suite import Suite

# Each call does a part of its tasks twice. A call has few of them, so some calls repeat one more than others.
PHASES = """from itertools import cycle
PHASES = cycle([n * 0.6180339887 % 1 for n in range(10946)])
"""
TWICE = """    twice = int({share} * tasks + next(PHASES))
    if twice:
        kernel(*arguments, *scratch(), 0, twice)
"""
REPEAT = {"import os\n": PHASES, "    if work <= SERIAL_WORK or tasks == 1:\n        return bool": TWICE}
SPLIT = {
    "    if alone and return_indices is False": "    x.max()\n",
    "    gx = arrays.empty(x.shape, floating, x)\n    g =": "    gy.max()\n",
}
SCALAR = """import numba
numba.config.LOOP_VECTORIZE = numba.config.SLP_VECTORIZE = 0
"""
PLANTS = {  # what it is; a file, and what is planted before which of its lines
    "none": ("README.md", {}),
    "repeat": ("fastpool/threads.py", REPEAT),
    "split": ("fastpool/jobs.py", SPLIT),
    "scalar": ("fastpool/jit.py", {"import numba\n": SCALAR}),
}
PLANTED = (  # rows that all plants slow down, whose calls take long enough to repeat a part of their tasks
    r"Window.time_(for|back)ward.'resnet one image max 3x3 s2'.$",
    r"Window.time_forward.'resnet one image max 3x3 s2 uint8'",
    r"cached.Forward.time_forward.'mode 2x2 uint64'",
    r"forms.Forms.time_forward.'global avg'",
)
MODES = {"full": FULL, "quick": QUICK}
COSTS = (1.03, 1.05, 1.08, 1.12, 1.2, 1.4, math.inf)  # between which slowdowns are counted together
BUSY = 1.7  # processes that wait for a processor, above which others than the gate's own do
BESIDE = "x = bytearray(1 << 20)\nwhile True: y = bytes(x)"


def planted(suite, commit, kind, share):
    """The hash of a commit with a slowdown; no branch, no index and no file knows it."""
    path, plants = PLANTS[kind]
    root = ["git", "-C", str(suite.folder.parent)]
    with tempfile.TemporaryDirectory() as folder:
        who = {
            f"GIT_{role}_{what}": "trial" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        variables = os.environ | who | {"GIT_INDEX_FILE": str(Path(folder, "index"))}

        def git(*arguments, **options):
            done = subprocess.run(
                [*root, *arguments], check=True, capture_output=True, text=True, env=variables, **options
            )
            return done.stdout

        source = git("show", f"{commit}:{path}")
        for before, text in plants.items():
            if before not in source:
                raise ValueError(f"{path} of {commit[:9]} has no line {before!r} to plant {kind} before")
            source = source.replace(before, text.format(share=share) + before, 1)
        blob = git("hash-object", "-w", "--stdin", input=source).strip()
        git("read-tree", commit)
        git("update-index", "--cacheinfo", f"100644,{blob},{path}")
        tree = git("write-tree").strip()
        return git("commit-tree", tree, "-p", commit, "-m", f"{kind} {share}").strip()


@contextlib.contextmanager
def busy(count):
    """Processes that keep cores busy meanwhile."""
    others = [subprocess.Popen([sys.executable, "-c", BESIDE]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


class Redrawn:
    """What a drawer drew, again: who wants fewer pairs of a row gets the first ones.

    The drawer tries for the larger number of pairs. So fewer rows are unmeasured than if it had tried for the
    smaller one alone.
    """

    def __init__(self, drawer):
        self.drawer, self.draws, self.turn = drawer, ({}, {}), 0  # first and second draws
        self.count = drawer.count

    def draw(self, rows, pairs, advance):
        kept, self.turn = self.draws[self.turn], self.turn + 1
        missing = [row for row in rows if row.id not in kept]
        if missing:
            kept |= self.drawer.draw(missing, pairs, advance)
        return {row.id: replace(kept[row.id], pairs=kept[row.id].pairs[:pairs]) for row in rows}


def trial(drawer, rows, modes, about):
    """One run of the gate, as a record for each mode: one that wants fewer pairs gets the first of them."""
    drawer = Redrawn(drawer)
    for mode in modes:
        drawer.turn = 0
        found = judge(drawer, rows, MODES[mode])
        yield about | {
            "mode": mode,
            "code": found.code,
            "load": os.getloadavg()[0],  # of the last minute: 1 is the gate alone
            "rows": {
                row.label: [
                    found.first[row.id].verdict,
                    found.verdicts[row.id].verdict,
                    round(found.first[row.id].ratio, 4),
                ]
                for row in rows
            },
        }


def interval(hits, count):
    """Clopper and Pearson's interval at 95 % of a share."""
    found = stats.binomtest(hits, count).proportion_ci(0.95, "exact")
    return found.low, found.high


def runs_of(paths):
    """The records of files, by plant and settings."""
    groups = defaultdict(list)
    for path in paths:
        for line in Path(path).read_text().splitlines():
            one = json.loads(line)
            beside = "yes" if one["beside"] or one["load"] > BUSY else "no"
            groups[one["kind"], one["share"], one["mode"], beside].append(one)
    return dict(sorted(groups.items()))


def table(paths):
    """Shares of alarms in Markdown, by plant and settings."""
    lines = [
        "| plant | share | by | busy beside | runs | rows compared | ratio | alarms | share, 95 % "
        "| first draw | unmeasured |",
        "|---" * 11 + "|",
    ]
    for (kind, share, mode, beside), runs in runs_of(paths).items():
        rows = list(itertools.chain.from_iterable(one["rows"].values() for one in runs))
        counts = Counter(final for _, final, _ in rows)
        first = sum(first == "slower" for first, _, _ in rows)
        count = len(rows) - counts["unmeasured"] - counts["skipped"]
        low, high = interval(counts["slower"], count) if count else (0, 1)
        ratios = [ratio for _, _, ratio in rows if not math.isnan(ratio)]
        lines.append(
            f"| {kind} | {share:g} | {mode} | {beside} | {len(runs)} | {count} | {np.median(ratios):.3f} "
            f"| {counts['slower']} | {low:.2%} to {high:.2%} | {first} | {counts['unmeasured']} |"
        )
    return "\n".join(lines)


def by_slowdown(paths):
    """Shares of planted slowdowns that were found, in Markdown, by what they cost.

    That is the median of a row's ratios over all runs of a plant: of a small call a plant takes less than its
    share, since it repeats the kernel alone.
    """
    bins = defaultdict(list)
    for (kind, _, mode, _), runs in runs_of(paths).items():
        drawn = [pair for one in runs if kind != "none" for pair in one["rows"].items()]
        for label in dict(drawn):  # not all runs need have the same rows
            found = [row for name, row in drawn if name == label and row[1] != "unmeasured"]
            cost = np.median([ratio for _, _, ratio in found]) if found else math.nan
            step = next((step for step in itertools.pairwise(COSTS) if step[0] <= cost < step[1]), 0)
            if step:
                bins[mode, step].append([verdict for _, verdict, _ in found])
    lines = ["| by | slowdown | rows | comparisons | found | share, 95 % |", "|---" * 6 + "|"]
    for (mode, (low, high)), rows in sorted(bins.items()):
        verdicts = list(itertools.chain.from_iterable(rows))
        hits = verdicts.count("slower")
        least, most = interval(hits, len(verdicts))
        span = f"{low - 1:.0%} and more" if high == math.inf else f"{low - 1:.0%} to {high - 1:.0%}"
        lines.append(
            f"| {mode} | {span} | {len(rows)} | {len(verdicts)} | {hits} | {least:.1%} to {most:.1%} |"
        )
    return "\n".join(lines)


def parser():
    found = argparse.ArgumentParser(prog="python -m asv_bench.trials", description=__doc__)
    found.add_argument("--plant", choices=PLANTS, default="none", help="the slowdown; default: none")
    found.add_argument("--share", type=float, default=0.05, help="of the work that `repeat` does twice")
    found.add_argument("--runs", type=int, default=10)
    found.add_argument("--commit", help="default: the work tree as it is")
    found.add_argument(
        "--quick", action="store_true", help="the quick gate alone; a trial of the full one counts for both"
    )
    found.add_argument("--asv", action="store_true", help="by `asv continuous` in place of the gate")
    found.add_argument(
        "--only",
        action="append",
        metavar="REGEX",
        help="default: the rows of `cached`; with a plant, five rows that all plants slow down",
    )
    found.add_argument("--beside", type=int, default=0, metavar="N", help="busy processes beside the gate")
    found.add_argument("--moves", type=float, default=0.1, help="as the gate has it")
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--json", metavar="FILE", help="add a line for each run")
    found.add_argument("--table", nargs="+", metavar="FILE", help="sum such files up, in Markdown")
    return found


def main(arguments=None):
    given = parser().parse_args(arguments)
    console = Console(width=200)
    if given.table:
        for text in (table(given.table), "", by_slowdown(given.table)):
            console.print(text, markup=False, soft_wrap=True)
        return
    suite = Suite(OURS)
    modes = ["quick"] if given.quick else ["full", "quick"]
    commit = suite.commit(given.commit)
    other = planted(suite, commit, given.plant, given.share)
    about = {
        "kind": given.plant,
        "share": given.share if given.plant == "repeat" else 0,
        "beside": given.beside,
        "moves": given.moves,
        "commit": commit,
    }
    sides = suite.install([commit, other])
    rows = suite.rows(other, given.only or (["cached"] if given.plant == "none" else PLANTED))
    with busy(given.beside):
        for number in range(given.runs):
            if given.asv:
                by = compared(suite, [commit, other], rows)
                load = {"load": os.getloadavg()[0]}
                found = [about | load | {"mode": name, "rows": verdicts} for name, verdicts in by.items()]
            else:
                drawer = Drawer(sides, turns=TURNS, moves=given.moves, seed=given.seed + number)
                found = trial(drawer, rows, modes, about)
            for one in found:
                verdicts = Counter(final for _, final, _ in one["rows"].values())
                console.print(number, one["mode"], dict(verdicts))
                if given.json:
                    with open(given.json, "a") as file:
                        file.write(json.dumps(one) + "\n")


if __name__ == "__main__":
    main()
