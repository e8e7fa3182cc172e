"""One call, in every way that there is to make it, against its witnesses."""

import math
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

import fastpool as fp
from fastpool import cpu, reuse, threads
from fastpool.cpu import backward, plans
from fastpool.operators import OPERATORS

from . import memory
from .memory import Guarded, Plain, arranged, values
from .watch import watch

sys.path.append(str(Path(__file__).parent.parent))
import reference
from test_roi import plain_align

GRADIENT = {"nan": "normal", "infinite": "normal", "extreme": "normal"}
ORACLE_WORK = 30_000  # elements of all windows, at most
SLACK = 16  # eps of the sum of magnitudes: lines add float32 in chains of 40


class Wrong(AssertionError):  # noqa: N818
    """A result that differs from its witness."""


class Refused(Exception):  # noqa: N818
    """A call that fastpool does not take, nor should."""


class Anew(str):
    """An operator's name that no job is kept under."""

    __slots__ = ()


# Witnesses -----------------------------------------------------------------------------------------------


def _by_elements(*like):
    return plans._by_elements(plans.Call(*like))


def _back_by_elements(*like):
    call = backward.Call(*like)
    if call.kept == "indices":
        return backward.Gathered(call)
    if backward.differ(call):
        return backward.plan_divided(call, backward.plan_pooled)
    return backward.plan_pooled(call)  # which takes the skeleton's plan here


@contextmanager
def changed(owner, **others):
    """An owner with other attributes."""
    before = {name: getattr(owner, name) for name in others}
    for name, value in others.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


@contextmanager
def skeleton():
    """The general skeleton alone does what is called inside, with jobs that nobody keeps."""
    no = {
        "has_taps": lambda _: False,
        "plan_backward": _back_by_elements,
        "plan_present": lambda *_: None,
    }
    on, watch.on = watch.on, False
    with changed(cpu, plan=_by_elements, **no):
        yield
    watch.on = on


def oracle(case, x):
    """Value, indices and gradient function by the oracle; None where it would take long, or does not know."""
    form, op, call = case["form"], case["op"], case["call"]
    options = {k: v for k, v in case["options"].items() if k not in ("training", "rng")}
    names = {"count_include_pad": "include_pad", "divisor_override": "override"}
    options = {names.get(k, k): v for k, v in options.items()}
    if op in ("avg", "mixed"):
        options.setdefault("include_pad", form in ("sliding", "mosaic"))
    if op == "stochastic" and case["options"].get("training", True):
        return None
    if (
        op
        not in (
            *reference.VALUES,
            *reference.RANKS,
            *reference.SPREADS,
            *("max", "min", "avg", "sum", "mixed", "nearest"),
        )
        or x.dtype == bool
    ):
        return None
    tables, axes = _tables(case, x)
    if tables is None:
        return None
    work = math.prod(sum(len(elements) for elements, _ in table) for table in tables)
    outer = x.size // math.prod(x.shape[axis] for axis in axes)
    per = max(1, math.prod(map(len, tables)) // 20)
    if work * outer > ORACLE_WORK or per > 200:
        return None
    with np.errstate(all="ignore"):
        y, indices = reference.pool(x, op, tables, axes, **options)
    if form == "global" and not call["keepdims"]:
        y, indices = y.reshape(np.squeeze(y, axes).shape), indices.reshape(np.squeeze(y, axes).shape)
    if form == "mosaic":
        for axis, k in zip(axes, call["cell"], strict=True):
            y = np.take(y, np.arange(x.shape[axis]) // k, axis)
        return y, None, None

    def pull(gy):
        shape = [len(tables[axes.index(a)]) if a in axes else n for a, n in enumerate(x.shape)]
        with np.errstate(all="ignore"):
            return reference.pull(gy.reshape(shape), x, op, tables, axes, **options)

    return y, indices, pull if op in reference.SHARES and np.isfinite(x.astype(np.float64)).all() else None


def _tables(case, x):
    """The oracle's tables of a form, and the axes; None for forms that differ from plane to plane."""
    form, call = case["form"], case["call"]
    axes = tuple(call.get("axes", ()))
    lengths = [x.shape[axis] for axis in axes]
    if form == "adaptive":
        return [reference.bins(n, o) for n, o in zip(lengths, call["output_size"], strict=True)], axes
    if form == "global":
        return [reference.bins(n, 1) for n in lengths], axes
    if form == "mosaic":
        cells = [min(n, k) for n, k in zip(lengths, call["cell"], strict=True)]
        return [reference.taps(n, k, k, 0, 0, 1, True) for n, k in zip(lengths, cells, strict=True)], axes
    if form == "segments":
        table = reference.segments(call["ids"], call["num_segments"])
        return [table] if all(count for _, count in table) else None, (call["axis"],)
    if form != "sliding":
        return None, axes
    found = []
    for number, n in enumerate(lengths):
        before, after = call.get("padding", [(0, 0)] * len(axes))[number]
        around = (before, after, call.get("dilation", [1] * len(axes))[number], call.get("ceil_mode", False))
        found.append(reference.taps(n, call["window"][number], call["stride"][number], *around))
    return found, axes


# Comparing -----------------------------------------------------------------------------------------------


def same(what, got, want, scale=None, slack=SLACK):
    """Wrong where values differ, by more than `slack` eps of the `scale` (a function) if that is given."""
    if got.shape != want.shape:
        raise Wrong(f"{what}: shape {got.shape}, not {want.shape}")
    if got.dtype == want.dtype and got.dtype.kind in "iub":
        off = got != want
    else:
        a, b = got.astype(np.float64), want.astype(np.float64)
        off = ~((a == b) | ((a != a) & (b != b)))
        if off.any() and scale is not None and got.dtype.kind not in "iub":
            info = np.finfo(np.float32) if got.dtype.name == "bfloat16" else np.finfo(got.dtype)
            eps = 2.0**-7 if got.dtype.name == "bfloat16" else float(info.eps)
            inner = min(eps, 2.0**-23)  # what is computed in
            size, whole = scale()
            with np.errstate(all="ignore"):
                most = eps * np.abs(b) + slack * inner * size + 4 * float(info.smallest_subnormal)
                off &= ~(np.abs(a - b) <= most)
                if whole is not None:  # sums that overflow, or may on the way
                    off &= ~(whole >= float(info.max) / 4)
    if off.any():
        at = tuple(int(n) for n in np.argwhere(off)[0])
        raise Wrong(f"{what}: {int(off.sum())} of {off.size} differ; at {at} {got[at]!r}, not {want[at]!r}")


# Calls ---------------------------------------------------------------------------------------------------

FUNCTIONS = {
    "sliding": (fp.pool, fp.pool_backward),
    "adaptive": (fp.adaptive_pool, fp.adaptive_pool_backward),
    "global": (fp.global_pool, fp.global_pool_backward),
    "mosaic": (fp.mosaic, fp.mosaic_backward),
    "pyramid": (fp.pyramid_pool, fp.pyramid_pool_backward),
    "fractional": (fp.fractional_pool, fp.fractional_pool_backward),
    "roi_pool": (fp.roi_pool, fp.roi_pool_backward),
    "roi_align": (fp.roi_align, fp.roi_align_backward),
    "segments": (fp.segment_pool, fp.segment_pool_backward),
}


class Calls:
    """The calls of a case, counted."""

    def __init__(self, case, memory):
        self.case, self.memory, self.count = case, memory, 0
        self.row = OPERATORS[case["op"]]
        self.forward, self.back = FUNCTIONS.get(case["form"], (fp.pool, fp.pool_backward))
        call = {
            k: tuple(map(tuple, v)) if k == "padding" else tuple(v) if isinstance(v, list) else v
            for k, v in case["call"].items()
        }
        for name in ("boxes", "ids"):
            if name in call:
                call[name] = np.array(case["call"][name])
        self.duplicates = call.pop("duplicates", None)
        self.keywords = call | case["options"]
        drawn = self.row.testing and case["options"].get("training", True)
        chooses = self.row.backward == "chosen" or self.row.picks
        self.chosen = chooses and case["options"].get("training", True)
        self.indexed = self.chosen and case["form"] not in ("mosaic", "roi_align", "global")
        self.slopes = self.row.backward != "none" and not (drawn and "rng" not in self.keywords)
        self.outs = case["form"] in ("sliding", "adaptive", "fractional", "roi_pool")

    def __call__(self, f, *arrays, anew=False, **more):
        self.count += not anew
        return f(*arrays, op=Anew(self.case["op"]) if anew else self.case["op"], **self.keywords, **more)


def absent(case, x, place):
    """Arguments that leave elements out; the mask lies beside unreadable pages, as the input does."""
    ways, seed = case.get("missing") or (), case["seed"] + 2
    found = {}
    if "where" in ways:
        listed = np.random.default_rng(seed).random(x.size) < 0.8
        raw = place.take(x.size, case["guard"])
        found["where"] = np.ndarray(x.shape, np.bool_, raw)
        found["where"][...] = listed.reshape(x.shape)
    if "skipna" in ways:
        found["skipna"] = True
    if "nodata" in ways and x.size:
        sentinel = x.reshape(-1)[seed % x.size]
        found["nodata"] = 0 if sentinel != sentinel else sentinel
    if found:
        found["fill"] = 1
    return found


def dtype_of(name):
    if name == "bfloat16":
        import ml_dtypes  # noqa: PLC0415

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


@contextmanager
def surroundings(case, guarded):
    """Where results and scratch memory lie, and how work is split, for a case."""
    with ExitStack() as stack:
        if case["guard"]:

            def own(shape, dtype):
                shape = (shape,) if isinstance(shape, int) else tuple(shape)
                dtype = np.dtype(dtype)
                raw = guarded.take(math.prod(shape) * dtype.itemsize, case["guard"])
                return np.ndarray(shape, dtype, raw)

            more = {name: own for name in ("result", "empty") if hasattr(reuse, name)}
            if hasattr(reuse, "maker"):
                more["maker"] = lambda shape, dtype: lambda: own(shape, dtype)
            stack.enter_context(changed(reuse, **more))
        if case["split"]:
            stack.enter_context(changed(threads, SERIAL_WORK=0))
        yield


GUARDED = Guarded()


def run(case):
    """Make the calls of a case; Wrong, Harmed or a call's own error where one is wrong. Their number."""
    place = GUARDED if case["guard"] else Plain()
    calls = Calls(case, place)
    dtype, shape, seed = dtype_of(case["dtype"]), tuple(case["shape"]), case["seed"]
    x = arranged(
        place, case["layout"], shape, dtype, case["guard"], lambda n: values(case["values"], seed, n, dtype)
    )
    plain = np.array(x, dtype, copy=True, order="C")
    calls.keywords |= absent(case, plain, place)
    with skeleton():
        try:
            want = calls(calls.forward, plain, anew=True)
        except ValueError as error:
            raise Refused(str(error)) from None
        chosen = calls(calls.forward, plain, anew=True, return_indices=True)[1] if calls.indexed else None
    with surroundings(case, place):
        _forward(calls, case, x, plain, want, chosen, place)
        if case["gradient"] is not None and calls.slopes:
            _backward(calls, case, x, plain, want, chosen, place)
        if case["form"] == "unpool":
            _unpool(calls, case, want, chosen, place)
    same("the input, which a call changed", np.array(x, dtype), plain)
    place.check()
    if case["oracle"] and not case.get("missing"):
        _oracle(case, calls, plain, want, chosen)
    return calls.count


def _scale(calls, case, plain, sign=1):
    """The magnitude that errors are measured by: what is added up, or the largest element."""
    wide = np.abs(plain.astype(np.float64 if plain.dtype == np.float64 else np.float32))

    def scale():
        with skeleton(), np.errstate(all="ignore"):
            op = case["op"] if case["op"] in ("avg", "sum") else "max"
            keywords = {k: v for k, v in calls.keywords.items() if op == "avg" or k not in case["options"]}
            size = np.abs(calls.forward(wide, op=Anew(op), **keywords).astype(np.float64))
            size = size + 1 / abs(calls.keywords.get("r", 1.0)) if case["op"] == "lse" else size
            size = size * size if case["op"] == "var" else size
        return size, size if case["op"] == "sum" else None

    return scale


def _forward(calls, case, x, plain, want, chosen, place):
    scale = _scale(calls, case, plain)
    exact = case["op"] in ("max", "min", "mode", "count", "stochastic", "nearest")
    limit = None if exact else scale
    for turn in range(2):  # the second time by what the first one kept
        got = calls(calls.forward, x)
        if got.dtype != want.dtype:
            raise Wrong(f"forward: dtype {got.dtype}, not {want.dtype}")
        same(f"forward, call {turn + 1}", got, want, limit)
        if case["form"] not in ("pyramid",) and not got.flags.c_contiguous:
            raise Wrong("forward: the result is not C-contiguous")
    if chosen is not None:
        got, indices = calls(calls.forward, x, return_indices=True)
        same("forward with indices", got, want, limit)
        same("indices", indices, chosen)
        if indices.dtype != chosen.dtype:
            raise Wrong(f"indices: dtype {indices.dtype}, not {chosen.dtype}")
    if case["out"] is not None and calls.outs:
        layout = {k: v for k, v in case["out"].items() if k not in ("zero", "odd")}
        out = (
            arranged(place, layout, want.shape, want.dtype, case["guard"], lambda n: np.zeros(n, want.dtype))
            if len(case["out"].get("order", want.shape)) == want.ndim
            else None
        )
        if out is not None:
            got = calls(calls.forward, x, out=out)
            if got is not out:
                raise Wrong("out: another array came back")
            same("out", got, want, limit)


def _backward(calls, case, x, plain, want, chosen, place):
    floats = plain.dtype.name in ("float16", "bfloat16", "float32", "float64")
    dtype = plain.dtype if floats else np.dtype(np.float32)
    layout = case["gradient"] if len(case["shape"]) == want.ndim else memory.C

    def fill(n):
        rng = np.random.default_rng(case["seed"] + 1)
        return (rng.integers(-4, 5, n) if case["whole_gradient"] else rng.standard_normal(n)).astype(dtype)

    gy = arranged(place, layout, want.shape, dtype, case["guard"], fill)
    flat = np.array(gy, dtype, copy=True, order="C")
    with skeleton(), np.errstate(all="ignore"):
        expected = calls(calls.back, flat, plain, anew=True)

    def scale():
        spread = calls.row.backward == "spread"
        with skeleton(), np.errstate(all="ignore"):
            if spread or calls.row.backward == "chosen":
                size = np.abs(calls(calls.back, np.abs(flat), plain, anew=True).astype(np.float64))
            else:  # what is added up may cancel
                added = np.abs(calls(calls.back, np.abs(flat), plain, anew=True).astype(np.float64))
                size = np.abs(expected.astype(np.float64)) * 4 + added
                size += 1e-5 * np.abs(flat.astype(np.float64)).max(initial=0)
        return size, None

    arrays = gy, x
    got = calls(calls.back, *arrays)
    same("gradient", got, expected, scale, 2 * SLACK)
    if got.dtype != expected.dtype:
        raise Wrong(f"gradient: dtype {got.dtype}, not {expected.dtype}")
    if chosen is not None:
        raw = place.take(chosen.nbytes, case["guard"])
        own = np.ndarray(chosen.shape, chosen.dtype, raw)
        own[...] = chosen
        same("gradient by indices", calls(calls.back, *arrays, indices=own), expected, scale, 2 * SLACK)
        same("the indices, which a call changed", own, chosen)
    calls.count += 1
    y, pull = fp.vjp(calls.forward, x, op=case["op"], **calls.keywords)
    exact = case["op"] in ("max", "min", "mode", "count", "stochastic", "nearest")
    same("result of vjp", y, want, None if exact else _scale(calls, case, plain))
    same("gradient of vjp", pull(gy), expected, scale, 2 * SLACK)
    if calls.indexed and case["out"] is not None:
        calls.count += 1
        (y, indices), pull = fp.vjp(calls.forward, x, op=case["op"], return_indices=True, **calls.keywords)
        same("indices of vjp", indices, chosen)
        same("gradient of vjp with indices", pull(gy), expected, scale, 2 * SLACK)
    same("the gradient, which a call changed", np.array(gy, dtype), flat)


def _unpool(calls, case, y, indices, place):
    """Values back at their places, by plain arithmetic."""
    axes, shape = case["call"]["axes"], tuple(case["shape"])
    place_of, rest = np.zeros(y.shape, np.int64), indices.astype(np.int64)
    at = [
        np.arange(n).reshape([-1 if a == own else 1 for a in range(y.ndim)]) for own, n in enumerate(y.shape)
    ]
    for axis in reversed(axes):
        rest, at[axis] = np.divmod(rest, shape[axis])
    for axis in range(y.ndim):
        place_of = place_of * shape[axis] + at[axis]
    order, flat = place_of.reshape(-1), y.reshape(-1)
    if calls.duplicates == "last" or y.dtype == np.bool_:
        want = np.zeros(math.prod(shape), y.dtype)
        want[order] = flat
    else:
        wide = np.zeros(
            math.prod(shape), np.float32 if y.dtype.itemsize == 2 and y.dtype.kind not in "iu" else y.dtype
        )
        np.add.at(wide, order, flat.astype(wide.dtype))
        want = wide.astype(y.dtype)
    calls.count += 1
    duplicates = "last" if y.dtype == np.bool_ else calls.duplicates
    with np.errstate(all="ignore"):
        got = fp.unpool(y, indices, shape, axes=tuple(axes), duplicates=duplicates)
        same("unpool", got.reshape(-1), want)
        if y.dtype.kind == "f" and calls.duplicates == "sum":
            calls.count += 1
            g = np.arange(want.size, dtype=np.float32).reshape(shape) % 1000
            back = fp.unpool_backward(g, y, indices, shape, axes=tuple(axes), duplicates="sum")
            same("gradient of unpool", back.reshape(-1), g.reshape(-1)[order])


def _oracle(case, calls, plain, want, chosen):
    """The witness itself against the oracle."""
    form = case["form"]
    if form == "roi_align":
        if plain.dtype == np.float32 and case["values"] in ("normal", "few", "constant"):
            c = case["call"]
            y = plain_align(
                plain,
                np.array(c["boxes"]),
                tuple(c["output_size"]),
                c["scale"],
                c["samples"],
                c["aligned"],
                case["op"],
            )
            same("oracle", want, y, lambda: (np.full(y.shape, np.abs(plain).max(initial=0)), None), 64)
        return
    if form == "roi_pool":
        parts, shape = reference.roi(
            plain.shape, np.array(case["call"]["boxes"]), case["call"]["output_size"], case["call"]["scale"]
        )
        if (
            case["op"] not in ("max", "min", "avg", "sum")
            or plain.dtype == np.bool_
            or math.prod(shape) > 300
        ):
            return
        with np.errstate(all="ignore"):
            y, indices = reference.pool_parts(plain, case["op"], parts, shape)
        found = y, indices, None
    else:
        found = oracle(case, plain)
    if found is None:
        return
    watch.see("oracle")
    y, indices, pull = found
    if want.dtype.kind in "iub":
        off = want.dtype.itemsize * 8
        got = np.array([int(v) % 2**off for v in want.reshape(-1)], object)
        y = np.array([int(v) % 2**off for v in y.reshape(-1)], object)
        if (got != y).any():
            raise Wrong(f"oracle: integers differ, {got[got != y][:3]}, not {y[got != y][:3]}")
    else:
        limit = None if case["op"] in ("max", "min") else _scale(calls, case, plain)
        with np.errstate(over="ignore"):
            same("oracle", want, y.astype(np.float64).astype(want.dtype), limit, 64)
    if chosen is not None and indices is not None:
        same("indices of the oracle", chosen, indices.astype(chosen.dtype))
    if (
        pull
        and calls.slopes
        and calls.row.backward != "none"
        and case["values"] in ("normal", "few")
        and plain.dtype.kind == "f"
    ):
        gy = np.random.default_rng(case["seed"] + 1).integers(-4, 5, want.shape).astype(plain.dtype)
        with skeleton():
            got = calls(calls.back, gy, plain, anew=True)
        expected = pull(gy)
        most = np.abs(expected) * 2 + np.abs(plain).max(initial=1) * 20
        with np.errstate(all="ignore"):
            same("gradient of the oracle", got, expected.astype(got.dtype), lambda: (most, None), 256)
