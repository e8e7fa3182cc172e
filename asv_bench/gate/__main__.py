"""Tell whether one commit is slower than another, by the benchmarks of an asv suite.

Both commits are built into environments of their own with the same versions of everything else. Each
benchmark then runs in pairs of fresh processes, base and head in turns ABBA. A row alarms where its head is
slower by more than 3 % in the median, with p < 0.001 after Holm's correction, in two draws.
Exit codes: 0 no regression, 1 a regression, 2 some row could not be measured.
"""

import argparse
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from . import decide, report
from .draws import Drawer
from .suite import Suite

OURS = Path(__file__).parents[1] / "asv.conf.json"
WIDTH = 140  # of the table in a file
FULL, QUICK, TURNS = 30, 20, 7  # pairs, pairs with --quick, and turns of each
CONFIRMS = 1.5  # times as many pairs in the second draw, which few rows need


def parser():
    found = argparse.ArgumentParser(prog="python -m asv_bench.gate", description=__doc__.replace("%", "%%"))
    found.add_argument("--base", help="the commit to compare with; default: that of the file BASELINE")
    found.add_argument("--head", help="the commit to judge; default: the work tree as it is")
    found.add_argument("--only", action="append", metavar="REGEX", help="rows whose name it matches")
    found.add_argument(
        "--quick",
        action="store_true",
        help="the rows of the file QUICK, in fewer pairs",
    )
    found.add_argument(
        "--pairs", type=int, help=f"pairs of processes a row; default {FULL}, {QUICK} with --quick"
    )
    found.add_argument(
        "--turns",
        type=int,
        default=TURNS,
        help=f"turns of a pair for each row, more where they vary; default {TURNS}",
    )
    found.add_argument("--processors", type=int, default=1, help="that a benchmark uses: 2 for two threads")
    found.add_argument(
        "--moves", type=float, default=0.1, help="drop pairs whose control moves by more than this part"
    )
    found.add_argument("--config", default=OURS, help="the suite's asv.conf.json; default: this project's")
    found.add_argument("--seed", type=int, default=0, help="of the order of the rows")
    found.add_argument("--json", metavar="FILE", help="write all that was measured")
    found.add_argument("--markdown", metavar="FILE", help="write the table")
    return found


@dataclass
class Found:
    """What a run of the gate ends with."""

    rows: list
    verdicts: dict
    draws: dict
    first: dict  # verdicts of the first draw alone

    @property
    def code(self):
        """The exit code. What only the head cannot run is a regression too."""
        broken = any(set(draw.errors) == {"head"} for draw in self.draws.values())
        found = {one.verdict for one in self.verdicts.values()}
        return 1 if broken or "slower" in found else 2 if "unmeasured" in found or not self.rows else 0


def judge(drawer, rows, pairs, console=None):
    """Draw all rows, and what moved once more.

    Parameters
    ----------
    drawer : Drawer
    rows : sequence of Row
    pairs : int
        Of each row in the first draw.
    console : rich.console.Console, optional
        Where progress is shown.

    Returns
    -------
    Found
    """
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=console is None, transient=True) as progress:

        def drawn(rows, pairs, name):
            task = progress.add_task(name, total=drawer.count(rows, pairs))
            return drawer.draw(rows, pairs, lambda: progress.advance(task))

        draws = drawn(rows, pairs, "pairs")
        verdicts = first = decide.decide(rows, draws, pairs)
        moved = [row for row in rows if verdicts[row.id].verdict in ("slower", "faster")]
        if moved:
            more = round(CONFIRMS * pairs)
            again = drawn(moved, more, "once more")
            verdicts = decide.confirmed(verdicts, decide.decide(moved, again, more))
            draws |= again
    return Found(rows, verdicts, draws, first)


def main(arguments=None):
    given = parser().parse_args(arguments)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    suite = Suite(given.config)
    base = given.base or next(iter(suite.text("BASELINE")), "HEAD~1")
    pairs = given.pairs or (QUICK if given.quick else FULL)
    settings = {name: getattr(given, name) for name in ("turns", "moves", "processors", "seed")}
    commits = [suite.commit(base), suite.commit(given.head)]
    title = f"{commits[1][:9]} against {commits[0][:9]}"
    console.print(f"{title}: {pairs} pairs of processes a row")
    sides = suite.install(commits)
    only = given.only or (suite.text("QUICK") if given.quick else None)
    rows = suite.rows(commits[1], only)
    found = judge(Drawer(sides, **settings), rows, pairs, console)
    console.print(report.table(rows, found.verdicts, found.draws))
    console.print(report.summary(found.verdicts))
    if given.markdown:
        Path(given.markdown).write_text(report.markdown(title, rows, found.verdicts, found.draws))
    if given.json:
        about = {"base": commits[0], "head": commits[1], "pairs": pairs, **settings, "code": found.code}
        report.write_json(given.json, about, rows, found.verdicts, found.draws)
    return found.code


def interrupted(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except ValueError as error:
        Console(stderr=True).print(f"{error}")
        sys.exit(2)
