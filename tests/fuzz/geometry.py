"""Random calls as plain dictionaries: forms, windows and shapes near the thresholds that the code has."""

import math

import numpy as np

from fastpool import threads
from fastpool.arrays import GROUPS
from fastpool.cpu import choose
from fastpool.operators import OPERATORS

from . import memory
from .watch import ROOMS

MOST = 600_000  # elements of the largest input
USUAL = 9_000  # elements of most


def _thresholds():
    """Every number that a room of the fast paths names, its neighbours, and what it is in elements."""
    found = set()
    for room in (*ROOMS, threads):
        for name, value in vars(room).items():
            if name.isupper() and type(value) is int and 4 <= value <= MOST:
                for part in (value, value // 2, value // 4, value // 8):
                    found |= {part - 1, part, part + 1}
    for value in choose.USUAL:
        found |= {value - 1, value, value + 1}
    return np.array(sorted(n for n in found if n > 0))


THRESHOLDS = _thresholds()
LARGE = sorted({t for t in THRESHOLDS.tolist() if t > USUAL})


def pick(rng, choices):
    """One of a few, all alike; a tenth of the time of `rng.choice`."""
    return choices[int(rng.integers(len(choices)))]


def number(rng, low, high):
    """A number in a range: small, anywhere, or next to a threshold."""
    high = max(low, int(high))
    way = rng.random()
    if way < 0.35:
        return int(rng.integers(low, min(high, low + 7) + 1))
    if way < 0.6:
        return min(
            high, int(math.exp(rng.uniform(math.log(low or 1), math.log(high + 0.999 or 1)))) if high else 0
        )
    first, last = np.searchsorted(THRESHOLDS, [low, high + 1])
    return int(THRESHOLDS[rng.integers(first, last)]) if first < last else int(rng.integers(low, high + 1))


# Axes: (length, window, stride, dilation, before, after, ceil_mode), each template with a habit ----


def _axis(rng, limit, k, s, d=1, before=None, after=None, outputs=None, slack=None):
    """An axis of about so many outputs."""
    span = d * (k - 1) + 1
    if before is None:
        before = int(pick(rng, [0, 0, 0, (span - 1) // 2, span - 1, rng.integers(0, span)]))
    if after is None:
        after = before if rng.random() < 0.6 else int(rng.integers(0, span))
    if outputs is None:
        outputs = number(rng, 1, max(1, (limit - span) // s + 1))
    n = (outputs - 1) * s + span - before - after
    n += int(rng.integers(0, s)) if slack is None else slack
    return max(1, n), k, s, d, before, after


def any_axis(rng, limit):
    k = number(rng, 1, min(12, limit))
    s = int(pick(rng, [k, 1, 2, number(rng, 1, 2 * k + 2)]))
    return _axis(rng, limit, k, s, int(pick(rng, [1, 1, 1, 2, 3])))


def cells_axis(rng, limit):
    k = int(pick(rng, [2, 2, 2, 2, 3, 4, 4, number(rng, 2, 9)]))
    return _axis(rng, limit, k, k, 1, 0, 0, slack=0 if rng.random() < 0.75 else None)


def square_axis(rng, limit):
    return _axis(rng, limit, 2, int(pick(rng, [2, 2, 1, 3])), 1, 0, 0)


def around_axis(rng, limit):
    """Windows around every element."""
    k, d = int(pick(rng, [3, 3, 3, 5, 5, 7, 9, 11])), int(pick(rng, [1, 1, 1, 1, 2]))
    return _axis(rng, limit, k, 1, d, d * (k // 2), d * (k // 2))


def three_axis(rng, limit):
    """Windows of three at strides 1 and 2."""
    before = int(rng.integers(0, 2))
    return _axis(rng, limit, 3, 1 + int(rng.random() < 0.5), 1, before, int(pick(rng, [before, 0, 1, 2])))


def long_row_axis(rng, limit):
    """Windows of three to nine at stride 1, over long rows."""
    k = int(rng.integers(3, 10))
    before = int(rng.integers(0, k))
    return _axis(rng, limit, k, 1, 1, before, before, outputs=number(rng, min(140, limit), max(limit, 2)))


def whole_axis(rng, limit):
    """One window, which covers the axis or just the elements that dilation leaves."""
    n, d = number(rng, 1, limit), int(pick(rng, [1, 1, 1, 2, 3]))
    way = rng.random()
    if d == 1 or way < 0.3:
        return n, n, int(pick(rng, [1, n])), 1, 0, 0
    if way < 0.65:  # windows as long as the axis, that reach over its end
        over = (n - 1) * (d - 1)
        return (n, n, n + over, d, 0, over) if rng.random() < 0.5 else (n, n, n, d, over, 0)
    k = (n - 1) // d + 1
    return (k - 1) * d + 1, k, max(1, int(pick(rng, [k, 1, n]))), d, 0, 0


def long_axis(rng, limit):
    """Windows as long as a threshold, that overlap or lie side by side."""
    k = number(rng, 5, max(6, min(2_000, limit)))
    s = int(pick(rng, [1, 1, 2, max(1, k // 3), max(1, k // 4), k]))
    return _axis(
        rng, limit + k, k, s, int(pick(rng, [1, 1, 1, 2])), outputs=number(rng, 1, max(2, limit // s))
    )


def sparse_axis(rng, limit):
    """Strides above the window."""
    k = int(rng.integers(1, 4))
    return _axis(rng, limit, k, k + number(rng, 1, max(2, limit // 4)), int(pick(rng, [1, 1, 2])), 0, 0)


def short_axis(rng, limit):
    """Rows that are short, of overlapping windows at a stride."""
    k = int(rng.integers(3, 8))
    return _axis(rng, min(limit, 40), k, int(rng.integers(2, 5)), 1, outputs=int(rng.integers(1, 18)))


AXES = {
    "any": any_axis,
    "cells": cells_axis,
    "squares": square_axis,
    "around": around_axis,
    "three": three_axis,
    "long rows": long_row_axis,
    "whole": whole_axis,
    "long": long_axis,
    "sparse": sparse_axis,
    "short": short_axis,
}


# Geometries of all axes at once, for kernels that look at several: how networks and images are pooled ----


def small_planes(rng, limit):
    """Windows around every element of a small map."""
    k = int(pick(rng, [3, 3, 3, 5, 7, 9]))
    sides = [int(pick(rng, [7, 14, 28, number(rng, 2, 40)])) for _ in range(2)]
    return [(n, k, 1, 1, k // 2, k // 2) for n in sides]


def stems(rng, limit):
    """3x3 at stride 1 or 2, as a network begins, over rows of any length."""
    s, p = int(pick(rng, [1, 2, 2])), int(pick(rng, [0, 1, 1, 1]))
    rows = _axis(rng, 20, 3, s, 1, p, p)
    return [rows, _axis(rng, max(8, limit // rows[0]), 3, s, 1, p, p)]


def volumes(rng, limit):
    """2x2x2 cells."""
    found = [_axis(rng, 8, 2, 2, 1, 0, 0, slack=0) for _ in range(2)]
    left = max(4, limit // (found[0][0] * found[1][0]))
    return [*found, _axis(rng, left, 2, 2, 1, 0, 0, slack=int(rng.random() < 0.2))]


def deep_cells(rng, limit):
    """Cells of maps whose channels come last and are many."""
    k = int(pick(rng, [2, 2, 3, 4]))
    return [_axis(rng, 12, k, k, 1, 0, 0, slack=0) for _ in range(2)]


def deep_stems(rng, limit):
    """3x3 at stride 2 of maps whose channels come last and are many."""
    p = int(pick(rng, [0, 1, 1]))
    return [_axis(rng, 14, 3, 2, 1, p, p) for _ in range(2)]


def near_windows(rng, limit):
    """4x3 to 9x9 at stride 1, over long rows."""
    k, across = int(rng.integers(4, 10)), int(rng.integers(3, 10))
    rows, before = _axis(rng, 24, k, 1, 1), int(rng.integers(0, across))
    return [rows, _axis(rng, 400, across, 1, 1, before, before, outputs=number(rng, 140, 300))]


def tall_windows(rng, limit):
    """Windows far taller than wide, that overlap."""
    k = number(rng, 13, 40)
    rows = _axis(rng, max(k + 1, 60), k, int(rng.integers(1, 4)), 1)
    return [rows, _axis(rng, max(4, limit // rows[0]), int(rng.integers(1, 5)), 1, 1)]


SHAPED = {
    "small planes": small_planes,
    "stems": stems,
    "volumes": volumes,
    "deep cells": deep_cells,
    "deep stems": deep_stems,
    "near windows": near_windows,
    "tall windows": tall_windows,
}
LAST_ONLY = {"long": any_axis, "long rows": None}  # what the other axes are like, half the time


def empty_window(axis, ceil_mode):
    """Whether some window of an axis has no element, or the call is refused for another reason."""
    n, k, s, d, before, after = axis
    span = d * (k - 1) + 1
    room = n + before + after - span
    if room < 0 or max(before, after) >= span:
        return True
    outputs = (-(-room // s) if ceil_mode else room // s) + 1
    outputs -= ceil_mode and (outputs - 1) * s >= n + before
    begin = np.arange(outputs, dtype=np.int64) * s - before
    tap = np.maximum(0, -(begin // d))
    return bool(((tap >= k) | (begin + tap * d >= n)).any())


def _axes_of(rng, template, budget):
    count = int(rng.choice([1, 2, 3, 4], p=[0.3, 0.52, 0.13, 0.05]))
    found, left = [None] * count, budget
    for axis in rng.permutation(count):
        limit = max(2, int(left ** (1.0 if count == 1 else rng.uniform(0.3, 0.8))))
        own = AXES[template]
        if axis < count - 1 and template in LAST_ONLY and rng.random() < 0.5:
            own = LAST_ONLY[template] or own
        if template == "long rows" and axis < count - 1:
            limit = min(limit, 24)
        for _ in range(8):
            found[axis] = own(rng, limit)
            if found[axis][0] <= 2 * limit + 6 and not empty_window(found[axis], False):
                break
        else:
            found[axis] = (2, 2, 2, 1, 0, 0)
        left = max(2, left // found[axis][0])
    return found


# Shapes: pooled axes with others before, behind and between ----------------------------------------------


def _around(rng, lengths, template, least):
    """The shape around pooled axes: as many planes as bring the input to its size; and where they are."""
    channels = 1
    if template == "deep stems":
        channels = number(rng, 16, 140)
    elif template == "deep cells" or rng.random() < 0.4:
        channels = int(pick(rng, [rng.integers(2, 10), rng.integers(2, 10), number(rng, 60, 140)]))
    if math.prod(lengths) * channels > max(4 * USUAL, 4 * least):
        channels = min(channels, 3)
    plane = math.prod(lengths) * channels
    planes = max(1, -(-least // plane)) + int(pick(rng, [0, 0, 0, 1, -1]))
    planes = max(1, min(planes, MOST // plane or 1))
    outer = []
    if planes > 1 or rng.random() < 0.5:
        a = int(rng.integers(1, min(planes, 9) + 1))
        outer = [a, -(-planes // a)] if rng.random() < 0.7 else [planes]
    shape = [*outer, *lengths]
    axes = list(range(len(outer), len(shape)))
    if channels > 1:
        shape.append(channels)
    if template == "any" and rng.random() < 0.3:  # axes apart from each other
        order = rng.permutation(len(shape))
        shape = [shape[n] for n in order]
        axes = sorted(int(np.flatnonzero(order == axis)[0]) for axis in axes)
    return shape, axes


def sliding(rng, template, budget, least):
    found = SHAPED[template](rng, budget) if template in SHAPED else _axes_of(rng, template, budget)
    ceil_mode = bool(rng.random() < 0.25)
    if any(empty_window(axis, ceil_mode) for axis in found):
        ceil_mode = False
    shape, axes = _around(rng, [axis[0] for axis in found], template, least)
    if axes != sorted(axes) or [shape[a] for a in axes] != [axis[0] for axis in found]:
        found = _matched(found, [shape[a] for a in axes])
    _, k, s, d, before, after = (list(column) for column in zip(*found, strict=True))
    call = {"window": k, "stride": s, "axes": axes}
    if any(n > 1 for n in d):
        call["dilation"] = d
    if any(before) or any(after):
        call["padding"] = [list(pair) for pair in zip(before, after, strict=True)]
    if ceil_mode:
        call["ceil_mode"] = True
    return "sliding", shape, call


def _matched(found, lengths):
    """The axes in the order of their lengths in the shape."""
    left, ordered = list(found), []
    for n in lengths:
        own = next(axis for axis in left if axis[0] == n)
        left.remove(own)
        ordered.append(own)
    return ordered


def _plain_shape(rng, budget, least, most_axes=3):
    count = int(rng.integers(1, most_axes + 1))
    lengths, left = [], budget
    for axis in range(count):
        limit = left if axis == count - 1 else max(1, int(left ** rng.uniform(0.2, 0.7)))
        lengths.append(number(rng, 1, max(1, limit)))
        left = max(1, left // lengths[-1])
    return _around(rng, lengths, "plain", least)


def adaptive(rng, template, budget, least):
    shape, axes = _plain_shape(rng, budget, least)
    sizes = []
    for axis in axes:
        n = shape[axis]
        even = [o for o in (1, n // 2, n // 3, n // 4, n) if o and n % o == 0]
        sizes.append(int(pick(rng, [1, rng.integers(1, n + 1), pick(rng, even), min(n, 7), 2 * n])))
    return "adaptive", shape, {"output_size": sizes, "axes": axes}


def whole(rng, template, budget, least):
    shape, axes = _plain_shape(rng, budget, least)
    if rng.random() < 0.2:  # any axes
        axes = sorted(int(n) for n in rng.permutation(len(shape))[: rng.integers(1, len(shape) + 1)])
    return "global", shape, {"axes": axes, "keepdims": bool(rng.random() < 0.4)}


def mosaic(rng, template, budget, least):
    shape, axes = _plain_shape(rng, budget, least)
    return "mosaic", shape, {"cell": [number(rng, 1, 2 * shape[axis]) for axis in axes], "axes": axes}


def pyramid(rng, template, budget, least):
    shape, axes = _plain_shape(rng, budget, least)
    levels = [int(n) for n in rng.permutation([1, 2, 3, 4, 6])[: rng.integers(1, 4)]]
    return "pyramid", shape, {"levels": levels, "axes": axes}


def fractional(rng, template, budget, least):
    scheme = str(pick(rng, ["torch", "random", "pseudo"]))
    shape, axes = _plain_shape(rng, min(budget, 2_000), min(least, 2_500))
    call = {"scheme": scheme, "axes": axes, "rng": int(rng.integers(1 << 30))}
    if scheme == "torch":
        window = [int(rng.integers(1, min(5, shape[axis]) + 1)) for axis in axes]
        call["window"] = window
        room = [shape[axis] - k + 1 for axis, k in zip(axes, window, strict=True)]
        call["output_size"] = [int(rng.integers(1, max(1, most) + 1)) for most in room]
    else:
        call["output_size"] = [int(rng.integers(max(1, shape[axis] // 3), shape[axis] + 1)) for axis in axes]
        call["overlapping"] = bool(rng.random() < 0.5)
    return "fractional", shape, call


def _boxes(rng, shape):
    count = int(rng.integers(1, 5))
    images, _, height, width = shape
    first = rng.uniform(-4, 4 + max(height, width), (count, 2))
    size = rng.choice([-3.0, 0.0, 0.5, 3.0, 12.0, max(height, width)], (count, 1)) * rng.random((count, 2))
    corners = np.round(np.concatenate([first, first + size], 1) * 4) / 4
    return np.concatenate([rng.integers(0, images, (count, 1)), corners], 1).tolist()


def roi_pool(rng, template, budget, least):
    shape = [int(rng.integers(1, 3)), int(rng.integers(1, 10)), number(rng, 1, 40), number(rng, 1, 40)]
    size = [int(n) for n in rng.integers(1, 6, 2)]
    call = {"boxes": _boxes(rng, shape), "output_size": size, "scale": float(pick(rng, [1.0, 0.5, 0.3]))}
    return "roi_pool", shape, call


def roi_align(rng, template, budget, least):
    _, shape, call = roi_pool(rng, template, budget, least)
    return "roi_align", shape, call | {"samples": int(rng.integers(0, 4)), "aligned": bool(rng.integers(2))}


def segments(rng, template, budget, least):
    """Ids in any order, sorted, or almost; some segments may have no element."""
    shape, axes = _plain_shape(rng, min(budget, 20_000), min(least, 20_000))
    axis = int(pick(rng, axes))
    count = number(rng, 1, shape[axis])
    ids = np.sort(np.arange(shape[axis]) % count)
    if rng.random() < 0.6:
        ids = rng.permutation(ids)
    if rng.random() < 0.3:  # one long segment, and others without an element
        ids = np.where(rng.random(ids.size) < 0.5, ids, ids[0])
    call = {"ids": ids.tolist(), "axis": axis, "num_segments": count + int(rng.random() < 0.2)}
    return "segments", shape, call


def unpool(rng, template, budget, least):
    _, shape, call = sliding(rng, "cells", min(budget, 5_000), min(least, 3_000))
    return "unpool", shape, call | {"duplicates": str(pick(rng, ["last", "sum"]))}


FORMS = {
    "adaptive": adaptive,
    "global": whole,
    "mosaic": mosaic,
    "pyramid": pyramid,
    "fractional": fractional,
    "roi_pool": roi_pool,
    "roi_align": roi_align,
    "segments": segments,
    "unpool": unpool,
}
TEMPLATES = (*AXES, *SHAPED, *FORMS)
SIZES = ("small", "usual", "ranks", "large")

OPTIONS = {
    "avg": [{}, {}, {}, {"count_include_pad": False}, {"divisor_override": 3}, {"divisor_override": -2}],
    "lp": [{}, {}, {"p": 1.0}, {"p": 3.0}, {"p": 1.5}, {"p": math.inf}],
    "gem": [{}, {}, {"p": 1.0}, {"p": 2.0}, {"p": 0.5}, {"p": math.inf}],
    "lse": [{}, {"r": 2.0}, {"r": -1.5}],
    "soft": [{}, {"beta": 0.0}, {"beta": -2.0}],
    "mixed": [{}, {"alpha": 0.0}, {"alpha": 0.25}, {"count_include_pad": False}],
    "quantile": [{"q": 0.3}, {"q": 0.0}, {"q": 1.0}, {"q": 0.875}],
    "stochastic": [{"training": False}, {"rng": 7}],
    "var": [{}, {}, {"ddof": 1}],
    "std": [{}, {}, {"ddof": 1}],
    "nearest": [{}, {"corner": "middle"}],
}
PADDED = ("avg", "mixed")  # whose options of padding the forms without padding do not all take
OP_SHARES = {"max": 3, "min": 2, "avg": 3, "sum": 2}
DTYPES = (
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "uint8",
    "int8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "bool",
)
DTYPE_SHARES = (0.56, 0.08, 0.05, 0.04, 0.07, 0.03, 0.03, 0.03, 0.03, 0.02, 0.03, 0.01, 0.02)


RANKED = ("median", "quantile", "mode")
EVERYWHERE = (
    "max",
    "avg",
)  # in float32, over every template; others are narrower, since compiling takes long
GROUPED = (
    ("float16", "bfloat16"),
    ("float32",),
    ("float64",),
    ("uint8", "int8"),
    ("int16", "uint16", "int32", "uint32", "int64", "uint64"),
    ("bool",),
)


def _chosen(name, kind, choices, count):
    """Some of the choices, always the same ones of an operator and a kind."""
    rng = np.random.default_rng(list(f"{name} {kind}".encode()))
    return {choices[n] for n in rng.permutation(len(choices))[:count]}


def _templates(name, dtype):
    """The templates that an operator has with a dtype: each of them with some operator."""
    if name in RANKED or (dtype == "float32" and name in EVERYWHERE):
        return TEMPLATES
    windows, forms = (4, len(FORMS)) if dtype == "float32" else (2, 2)
    return _chosen(name, dtype, [*AXES, *SHAPED], windows) | _chosen(name, dtype, list(FORMS), forms)


def _dtypes(name, dtypes):
    """One dtype of each group that an operator takes."""
    taken = [d for d in dtypes if d in GROUPS[OPERATORS[name].dtypes]]
    groups = ([d for d in group if d in taken] for group in GROUPED)
    return [d for group in groups if group for d in _chosen(name, "dtypes", group, 1)]


ABSENT = 0.12  # of calls leave elements out
NAN = memory.VALUES["nan"]
OTHERS = [values for values in memory.VALUES if values != "nan"]
SHARES = [memory.VALUES[values] / (1 - NAN) for values in OTHERS]


def strata(dtypes=DTYPES, operators=None):
    """Everything that a call is drawn for: template, operator, dtype, size and values; and how often.

    NaN has kernels of its own, and so strata of its own.
    """
    found, weights = [], []
    share = dict(zip(DTYPES, DTYPE_SHARES, strict=True))
    for name in operators or OPERATORS:
        taken = _dtypes(name, dtypes)
        for template in TEMPLATES:
            if (template == "roi_align" and name not in ("avg", "max")) or (
                template == "unpool" and name != "max"
            ):
                continue
            for dtype in taken:
                if template not in _templates(name, dtype):
                    continue
                if template == "roi_align" and dtype not in GROUPS["floats"]:
                    continue
                for size, much in (("small", 0.06), ("usual", 0.9), ("ranks", 0.04), ("large", 0.002)):
                    ranked = name in RANKED
                    found += [(template, name, dtype, size, values) for values in ("nan", "others")]
                    by = (
                        OP_SHARES.get(name, 1)
                        * share[dtype]
                        / sum(share[d] for d in taken)
                        * (0.4 if template in FORMS else 1)
                    )
                    by *= {"usual": 0.6, "ranks": 0.3}.get(size, much) if ranked else much
                    weights += [by * NAN, by * (1 - NAN)]
    weights = np.array(weights)
    return found, weights / weights.sum()


def draw(rng, stratum, *, guard):
    """A call of a stratum, as a dictionary that JSON can hold."""
    template, op, dtype, size, kind = stratum
    budget, least = {
        "small": (600, 1),
        "usual": (USUAL, number(rng, 1_900, 4_000)),
        "ranks": (30_000, int(pick(rng, [19_999, 20_000, 20_001, 24_000]))),
        "large": (pick(rng, LARGE), 1),
    }[size]
    if size == "large" and rng.random() < 0.5:
        budget, least = MOST, pick(rng, LARGE)
    make = FORMS.get(template)
    form, shape, call = make(rng, template, budget, least) if make else sliding(rng, template, budget, least)
    options = OPTIONS.get(op, [{}])
    plain = op not in PADDED and template not in ("any", *FORMS)  # other options, other kernels
    options = dict(options[0 if plain and op != "quantile" else rng.integers(len(options))])
    if form != "sliding":
        options.pop("divisor_override", None)
        if form in ("roi_pool", "roi_align", "fractional", "unpool"):
            options.pop("count_include_pad", None)
    if form == "segments" and dtype not in GROUPS["floats"]:  # whose empty segments would be an error
        options.pop("count_include_pad", None)
        call["fill"] = 1
    if op == "mode" and rng.random() < 0.3:
        options["ignore"] = 1
    if op == "mode" and rng.random() < 0.3:
        options["ties"] = pick(rng, ["first", "largest"])
    if form == "fractional" and "rng" in options:
        options.pop("rng")
    missing: list[str] = []
    if form not in ("roi_align", "unpool") and rng.random() < ABSENT:
        missing = [way for way in ("where", "skipna", "nodata") if rng.random() < 0.45]
        for name in ("divisor_override", "count_include_pad"):
            if missing:
                options.pop(name, None)
    ndim = len(shape)
    return {
        "form": form,
        "op": op,
        "dtype": dtype,
        "shape": [int(n) for n in shape],
        "call": call,
        "options": options,
        "missing": missing,
        "values": str(rng.choice(OTHERS, p=SHARES)) if kind == "others" else kind,
        "seed": int(rng.integers(1 << 31)),
        "layout": memory.draw_layout(rng, ndim),
        "gradient": memory.draw_layout(rng, ndim, 0.7) if rng.random() < 0.6 else None,
        "whole_gradient": bool(rng.random() < 0.75),
        "out": memory.draw_layout(rng, ndim, 0.8) if rng.random() < 0.3 else None,
        "split": bool(rng.random() < 0.06),
        "oracle": bool(rng.random() < (0.04 if form in ("sliding", "adaptive", "global") else 0.15)),
        "guard": pick(rng, memory.PLACES) if guard else "",
        "stratum": list(stratum),
    }
