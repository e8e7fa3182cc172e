"""Write the support table into README.md: every cell is a call that was made, none is typed.

python docs/support_table.py
"""

import re
from pathlib import Path

import numpy as np

import fastpool as fp
from fastpool.operators import OPERATORS

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- support table: docs/support_table.py -->\n", "<!-- end of the support table -->"
DTYPES = {
    "float16 to float64": (np.float16, np.float32, np.float64),
    "integers": (np.int8, np.uint8, np.int64, np.uint64),
    "bool": (np.bool_,),
}


def calls(op):
    """Each form's calls: forward, with indices, backward."""

    def sliding(x, **options):
        return fp.pool(x, op, 2, **options)

    def adaptive(x, **options):
        return fp.adaptive_pool(x, op, 2, **options)

    def whole(x, **options):
        return fp.global_pool(x, op, **options)

    return {"sliding": sliding, "adaptive": adaptive, "global": whole}


def works(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except (TypeError, ValueError):
        return False
    return True


def cell(form, op):
    x = np.ones((1, 1, 4, 4))
    call = calls(op)[form]
    marks = ["forward"] * works(call, x) + ["indices"] * works(call, x, return_indices=True)
    y, pull = fp.vjp(call, x)
    marks += ["backward"] * works(pull, y)
    if works(pull, y, params=True) and pull(y, params=True)[1]:
        marks.append("d/d" + ", d/d".join(pull(y, params=True)[1]))
    return ", ".join(marks)


def dtypes(op):
    groups = {
        name: all(works(fp.pool, np.ones((1, 1, 4), dtype), op, 2) for dtype in group)
        for name, group in DTYPES.items()
    }
    return ", ".join(name for name, taken in groups.items() if taken)


def table():
    forms = list(calls("max"))
    lines = [f"| operator | {' | '.join(forms)} | dtypes |", "|---|" + "---|" * (len(forms) + 1)]
    for op in OPERATORS:
        row = [cell(form, op) for form in forms]
        lines.append(f"| `{op}` | {' | '.join(row)} | {dtypes(op)} |")
    return "\n".join(lines) + "\n"


def written(text):
    """The text with its table replaced by a fresh one."""
    pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
    return re.sub(pattern, lambda _: BEGIN + table() + END, text, flags=re.DOTALL)


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
