"""Write the support table into docs/support.md: every cell is a call that was made, none is typed.

python docs/support_table.py
"""

import functools
import re
from pathlib import Path

import numpy as np

import fastpool as fp
from fastpool.operators import OPERATORS

PAGE = Path(__file__).parent / "support.md"
BEGIN, END = "<!-- support table: docs/support_table.py -->\n", "<!-- end of the support table -->"
DTYPES = {
    "floats": (np.float16, np.float32, np.float64),
    "integers": (np.int8, np.uint8, np.int64, np.uint64),
    "bool": (np.bool_,),
}


BOXES = np.array([[0, 0, 0, 2, 3], [0, 1, 1, 3, 3]])
REQUIRED = {"quantile": {"q": 0.25}, "stochastic": {"rng": 0}}


def calls(op):
    """Each form's call: forward, with indices, backward."""
    given = REQUIRED.get(op, {})
    forms = {
        "sliding": (fp.pool, op, 2),
        "adaptive": (fp.adaptive_pool, op, 2),
        "global": (fp.global_pool, op),
        "fractional": (fp.fractional_pool, op, 3),
        "pyramid": (fp.pyramid_pool, op, (1, 2)),
        "regions": (fp.roi_pool, op, BOXES, 2),
        "mosaic": (fp.mosaic, 2, op),
        "segments": (fp.segment_pool, np.array([1]), op),
    }
    options = {"fractional": {"window": 2}, "segments": {"fill": 1}}
    found = {
        form: functools.partial(_call, f, arguments, {**given, **options.get(form, {})})
        for form, (f, *arguments) in forms.items()
    }
    if op in ("avg", "max"):
        found["regions, aligned"] = functools.partial(_call, fp.roi_align, (BOXES, 2), {"op": op})
    return found


def _call(f, arguments, options, x, **more):
    return f(x, *arguments, **options, **more)


def works(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except (TypeError, ValueError):
        return False
    return True


def cell(call, dtype):
    x = np.ones((1, 1, 4, 4), dtype)
    marks = ["F"] * works(call, x) + ["I"] * works(call, x, return_indices=True)
    if works(fp.vjp, call, x):
        y, pull = fp.vjp(call, x)
        marks += ["B"] * works(pull, y)
        marks += [f"*{name}*" for name in pull(y, params=True)[1]]
    return " ".join(marks) or "-"


def dtypes(call):
    groups = {
        name: all(works(call, np.ones((1, 1, 4, 4), dtype)) for dtype in group)
        for name, group in DTYPES.items()
    }
    return ", ".join(name for name, taken in groups.items() if taken)


def table():
    forms = list(calls("max"))
    lines = [f"| operator | {' | '.join(forms)} | dtypes |", "|---|" + "---|" * (len(forms) + 1)]
    for op in OPERATORS:
        found = calls(op)
        dtype = np.int64 if op == "mode" else np.float64
        row = [cell(found[form], dtype) if form in found else "-" for form in forms]
        lines.append(f"| `{op}` | {' | '.join(row)} | {dtypes(found['sliding'])} |")
    return "\n".join(lines) + "\n"


def written(text):
    """The text with its table replaced by a fresh one."""
    pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
    return re.sub(pattern, lambda _: BEGIN + table() + END, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
