"""What the gate found: a table on the screen, JSON and Markdown."""

import json
import math
import statistics
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

ORDER = ("slower", "unmeasured", "faster", "unchanged", "skipped")
COLOURS = {"slower": "red", "faster": "green", "unmeasured": "yellow"}
HEADS = ("verdict", "benchmark", "head / base", "95 % interval", "base", "head", "dropped")


def lines(rows, verdicts, draws):
    """The rows of the table: slower ones first, then by ratio."""

    def key(row):
        verdict = verdicts[row.id]
        return ORDER.index(verdict.verdict), -(verdict.ratio if verdict.ratio == verdict.ratio else 0)

    for row in sorted(rows, key=key):
        verdict, draw = verdicts[row.id], draws[row.id]
        if verdict.verdict == "skipped":
            continue
        if math.isnan(verdict.ratio):
            yield verdict.verdict, row.label, "", verdict.why, "", "", str(draw.dropped)
            continue
        base = statistics.median(pair.base for pair in draw.pairs)
        head = statistics.median(pair.head for pair in draw.pairs)
        yield (
            verdict.verdict,
            row.label,
            f"{verdict.ratio:.3f}",
            f"{verdict.low:.3f} to {verdict.high:.3f}",
            shown(base, row),
            shown(head, row),
            str(draw.dropped),
        )


def shown(value, row):
    """A figure with its unit.

    Examples
    --------
    >>> from asv_bench.gate.suite import Row
    >>> shown(0.00123, Row("a", "a", "time", "seconds")), shown(5e6, Row("b", "b", "peakmemory", "bytes"))
    ('1.23 ms', '5 MB')
    """
    scales = {
        "time": ((1, "s"), (1e-3, "ms"), (1e-6, "us"), (0, "ns")),
        "peakmemory": ((1e9, "GB"), (1e6, "MB"), (0, "kB")),
    }
    for scale, unit in scales.get(row.kind, ()):
        if value >= scale:
            return f"{value / (scale or {'ns': 1e-9, 'kB': 1e3}[unit]):.3g} {unit}"
    return f"{value:.4g} {row.unit}"


def table(rows, verdicts, draws):
    """The table on the screen."""
    found = Table(*HEADS)
    found.columns[1].overflow = "fold"
    for line in lines(rows, verdicts, draws):
        found.add_row(*line, style=COLOURS.get(line[0]))
    return found


def summary(verdicts):
    """One line of counts."""
    counts = {name: sum(one.verdict == name for one in verdicts.values()) for name in ORDER}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no benchmarks"


def markdown(title, rows, verdicts, draws):
    """The same table for a pull request."""
    found = [f"### {title}", "", summary(verdicts), ""]
    found += ["| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|"]
    return "\n".join(found + ["| " + " | ".join(line) + " |" for line in lines(rows, verdicts, draws)]) + "\n"


def write_json(path, about, rows, verdicts, draws):
    """Everything that was measured."""
    found = [
        {"row": asdict(row)} | {"verdict": asdict(verdicts[row.id]), "draw": asdict(draws[row.id])}
        for row in rows
    ]
    Path(path).write_text(json.dumps(about | {"rows": found}, indent=1) + "\n")
