"""Write the table of errors into docs/accuracy.md: every cell is measured, against extended precision.

python docs/accuracy.py
"""

import math
import re
from pathlib import Path

import ml_dtypes
import numpy as np

import fastpool as fp

PAGE = Path(__file__).parent / "accuracy.md"
BEGIN, END = "<!-- accuracy: docs/accuracy.py -->\n", "<!-- end of accuracy -->"
DTYPES = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
}
OPERATORS = {
    "avg": {},
    "sum": {},
    "lp": {},
    "lp, p=1": {"p": 1},
    "gem": {},
    "gem, p=1": {"p": 1},
    "lse": {},
    "soft": {},
    "soft, beta=0": {"beta": 0},
    "mixed": {},
    "stochastic": {"training": False},
    "median": {},
    "quantile": {"q": 0.3},
    "var": {},
    "std": {},
}
WINDOWS = {  # (shape of x, window): small arrays take the general skeleton, large ones passes over lines
    "2x2, 64 windows": ((1, 1, 16, 16), (2, 2)),
    "2x2": ((1, 4, 96, 96), (2, 2)),
    "3x3": ((1, 4, 96, 96), (3, 3)),
    "5x5": ((1, 4, 96, 96), (5, 5)),
    "16x16": ((1, 4, 96, 96), (16, 16)),
    "global, 28,672": ((1, 1, 128, 224), (128, 224)),
    "global, 4,194,304": ((1, 1, 2048, 2048), (2048, 2048)),
}


def samples(dtype, shape):
    """The kinds of values: normal, constant, with a large offset, and of very different sizes."""
    rng = np.random.default_rng(7)
    normal = rng.standard_normal(shape)
    narrow = np.finfo(np.float32 if dtype == ml_dtypes.bfloat16 else dtype).max < 1e5
    offset, decades = (500, 2) if narrow else (1e4, 6)
    values = (
        normal,
        np.full(shape, 0.1),
        normal + offset,
        normal * 10 ** rng.uniform(-decades, decades, shape),
    )
    return [each.astype(dtype) for each in values]


def windows_of(x, window):
    """The elements of each window, in extended precision, along the last axis."""
    height, width = window
    x = x[..., : x.shape[-2] // height * height, : x.shape[-1] // width * width]
    rows, columns = x.shape[-2] // height, x.shape[-1] // width
    cells = x.reshape(-1, rows, height, columns, width).transpose(0, 1, 3, 2, 4)
    return cells.reshape(-1, rows, columns, height * width).astype(np.longdouble)


def exact(op, cells, p=None, q=0.5, beta=1.0, **_):  # noqa: PLR0911 - one an operator
    """Each window's value, and the size of what was added up for it: errors are told in its ulp."""
    size, largest = abs(cells), cells.max(-1, keepdims=True)
    if op in ("avg", "sum"):
        scale = 1 if op == "sum" else cells.shape[-1]
        return cells.sum(-1) / scale, size.sum(-1) / scale
    if op in ("lp", "gem"):
        p = p or (2 if op == "lp" else 3)
        powers = size**p if op == "lp" else np.maximum(cells, np.longdouble(1e-6)) ** p
        value = (powers.sum(-1) if op == "lp" else powers.mean(-1)) ** (1 / np.longdouble(p))
        return value, value
    if op == "lse":
        weights = np.exp(cells - largest)
        mean, change = weights.mean(-1), np.expm1(cells - largest).mean(-1)
        value = largest[..., 0] + np.where(mean < 0.5, np.log(mean), np.log1p(change))
        return value, np.maximum(abs(value), (weights * size).sum(-1) / weights.sum(-1))
    if op == "soft":
        steep = np.longdouble(beta) * cells
        weights = np.exp(steep - steep.max(-1, keepdims=True))
        total = weights.sum(-1)
        return (weights * cells).sum(-1) / total, (weights * size).sum(-1) / total
    if op == "mixed":
        return (largest[..., 0] + cells.mean(-1)) / 2, (abs(largest[..., 0]) + size.mean(-1)) / 2
    if op == "stochastic":
        weights = np.maximum(cells, 0)
        total = weights.sum(-1)
        value = (weights * weights).sum(-1) / np.where(total > 0, total, 1)
        return value, value
    if op in ("var", "std"):
        apart = cells - cells[..., :1]
        variance = ((apart - apart.mean(-1, keepdims=True)) ** 2).mean(-1)
        value = variance if op == "var" else np.sqrt(variance)
        return value, value
    ordered, place = np.sort(cells, -1), q * (cells.shape[-1] - 1)
    low, high = ordered[..., math.floor(place)], ordered[..., math.ceil(place)]
    share = np.longdouble(place) - math.floor(place)
    return low + (high - low) * share, np.maximum(abs(low), abs(high))


def ulps(found, value, size):
    """The largest error of a result, in units in the last place of its `size`."""
    info = ml_dtypes.finfo(found.dtype)
    with np.errstate(divide="ignore"):
        exponent = np.floor(np.log2(np.maximum(size, np.longdouble(info.smallest_normal))))
    unit = np.exp2(exponent) * np.longdouble(float(info.eps))
    found = found.reshape(value.shape).astype(np.float64).astype(np.longdouble)
    fits = abs(value) <= np.longdouble(float(info.max))
    return float(np.where(fits, abs(found - value) / unit, 0).max())


def error(operator, dtype, where):
    """The largest error of an operator over all kinds of values."""
    op, options, (shape, window) = operator.split(",")[0], OPERATORS[operator], WINDOWS[where]
    worst = 0.0
    for x in samples(DTYPES[dtype], shape):
        found = fp.pool(x, op, window, **options)
        worst = max(worst, ulps(found, *exact(op, windows_of(x, window), **options)))
    return worst


def table():
    """Operators and dtypes down, windows across."""
    rows = ["| operator | dtype | " + " | ".join(WINDOWS) + " |", "|---|---|" + "---:|" * len(WINDOWS)]
    for operator in OPERATORS:
        for dtype in DTYPES:
            cells = [f"{error(operator, dtype, where):.2g}" for where in WINDOWS]
            rows.append(f"| `{operator}` | {dtype} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def written(page, content):
    """The page with another table."""
    return re.sub(
        f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: BEGIN + content + END, page, flags=re.DOTALL
    )


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(), table()))
