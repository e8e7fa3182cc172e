"""Missing data and weights: every operator, form and way of leaving elements out, against the oracle."""

import itertools
import os

import cases
import numpy as np
import pytest
import reference
import test_forms
import test_parity as parity
from numba import cuda

import fastpool as fp

OPS = {"count": {}, **test_forms.OPS}
CHOOSING = ("max", "min", "nearest")
WAYS = ("where", "skipna", "nodata", "all")
SEEDS = int(os.environ.get("FASTPOOL_SEEDS", "3"))  # random calls an operator, form and way
GRADIENTS = [op for op in OPS if op not in ("count", "mode")]


def holed(rng, shape, op, way, dtype=np.float64):
    """An input with holes, the arguments that say so, and the oracle's mask."""
    kind = np.dtype(dtype).kind
    x = rng.integers(0, 4, shape) if op == "mode" or kind in "iub" else rng.integers(-6, 7, shape) * 0.5
    x = x.astype(np.int64 if op == "mode" and kind == "f" else dtype)
    given = {}
    if way in ("where", "all"):
        shorter = tuple(n if rng.random() < 0.7 else 1 for n in shape)[rng.integers(len(shape)) :]
        given["where"] = rng.random(shorter if rng.random() < 0.5 else shape) < 0.7
    if way in ("nodata", "all"):
        given["nodata"] = x.dtype.type(2)
    if way in ("skipna", "all"):
        given["skipna"] = True
        if x.dtype.kind not in "iub":
            x[rng.random(shape) < rng.choice([0.1, 0.4])] = np.nan
    mask = reference.taking_part(x, given.get("where"), way in ("skipna", "all"), given.get("nodata"))
    if rng.random() < 0.5:
        given["min_count"] = int(rng.integers(0, 2 if op == "nearest" else 3))
    given["fill"] = 77 if x.dtype.kind in "iub" else [None, 77][rng.integers(2)]
    if x.dtype == np.bool_:
        given["fill"] = 1
    return x, given, mask


def geometry(rng, form):
    """Arguments of a form, a shape, and what the oracle takes: parts of x and of y, with their tables."""
    count = int(rng.integers(1, 4))
    ndim = count + int(rng.integers(0, 3))
    axes = tuple(sorted(rng.permutation(ndim)[:count].tolist()))
    shape = [int(rng.integers(1, 4)) for _ in range(ndim)]
    for axis in axes:
        shape[axis] = int(rng.integers(1, 8))
    if form == "sliding":
        k, s, d = (rng.integers(1, m, count).tolist() for m in (4, 4, 3))
        around = [tuple(rng.integers(0, d * (k - 1) + 1, 2).tolist()) for k, d in zip(k, d, strict=True)]
        ceil = bool(rng.integers(2))
        tables = [
            reference.taps(shape[axis], *own[:2], *own[2], own[3], ceil)
            for axis, own in zip(axes, zip(k, s, around, d, strict=True), strict=True)
        ]
        if not all(tables):
            return geometry(rng, form)
        call = {"window": k, "stride": s, "padding": around, "dilation": d, "ceil_mode": ceil, "axes": axes}
        return fp.pool, call, tuple(shape), axes, tables
    if form == "adaptive":
        sizes = [int(rng.integers(1, 5)) for _ in axes]
        tables = [reference.bins(shape[axis], o) for axis, o in zip(axes, sizes, strict=True)]
        return fp.adaptive_pool, {"output_size": sizes, "axes": axes}, tuple(shape), axes, tables
    if form == "global":
        tables = [reference.bins(shape[axis], 1) for axis in axes]
        return fp.global_pool, {"axes": axes, "keepdims": True}, tuple(shape), axes, tables
    if form == "mosaic":
        cell = [int(rng.integers(1, 4)) for _ in axes]
        tables = [
            reference.taps(shape[axis], k, k, 0, 0, 1, True) for axis, k in zip(axes, cell, strict=True)
        ]
        return fp.mosaic, {"cell": cell, "axes": axes}, tuple(shape), axes, tables
    raise AssertionError(form)


def oracle(x, op, given, mask, axes, tables, weights=None):
    """Values in the result's dtype, indices and counts."""
    least = given.get("min_count", 1)
    least = least if op in ("sum", "count") else max(least, 1)
    fill = given.get("fill")
    fill = (0 if op == "count" else np.nan) if fill is None else fill
    options = cases.for_oracle(OPS[op])
    return reference.pool_some(x, op, tables, axes, mask, least=least, fill=fill, weights=weights, **options)


def close(found, expected, label=""):
    np.testing.assert_allclose(
        np.asarray(found, np.float64), expected.astype(np.float64), rtol=1e-12, atol=1e-12, err_msg=label
    )


def call_of(op, call):
    """Arguments for a form that takes `op` by its place."""
    return {"op": op, **call, **OPS[op]}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["sliding", "adaptive", "global", "mosaic"])
@pytest.mark.parametrize("op", OPS)
def test_values_indices_and_gradients(op, form, way):
    rng = np.random.default_rng([len(op), *map(ord, op + form + way)])
    for _ in range(SEEDS):
        function, call, shape, axes, tables = geometry(rng, form)
        x, given, mask = holed(rng, shape, op, way)
        given["min_count"] = min(
            given.get("min_count", 1), max(np.prod([max(len(e) for e, _ in t) for t in tables]), 1)
        )
        given["min_count"] = int(given["min_count"])
        y, indices, _ = oracle(x, op, given, mask, axes, tables)
        label = f"{call} {shape} {given}"
        if form == "mosaic":
            wanted = reference.spread(
                np.moveaxis(y, axes, range(-len(axes), 0)), *spread_shape(x, axes, call)
            )
            y = np.moveaxis(wanted, range(-len(axes), 0), axes)
        found = function(x, **call_of(op, call), **given)
        close(found, y, label)
        if op in CHOOSING and form in ("sliding", "adaptive"):
            value, places = function(x, **call_of(op, call), **given, return_indices=True)
            close(value, y, label)
            np.testing.assert_array_equal(places, indices, err_msg=label)
        if op in ("count", "mode"):
            continue
        gy = rng.normal(size=y.shape)
        sent = gy
        if form == "mosaic":  # a cell's value has the gradients of all its elements
            sent = reference.pool(gy, "sum", tables, axes)[0].astype(np.float64)
        least = max(given.get("min_count", 1), 1)
        options = cases.for_oracle(OPS[op])
        gx = reference.pull_some(sent, np.where(mask, x, 0), op, tables, axes, mask, least=least, **options)[
            0
        ]
        _, pull = fp.vjp(function, x, **call_of(op, call), **given)
        close(pull(gy), gx, label)
        back = getattr(fp, f"{function.__name__}_backward")
        close(back(gy, x, **call_of(op, call), **given), gx, label)


def spread_shape(x, axes, call):
    moved = np.moveaxis(x, axes, range(-len(axes), 0))
    return moved.shape, call["cell"]


def parts_of(rng, form):
    """A form's function and arguments, the shape of x and, for the oracle, parts of x, y and y's shape."""
    outer = tuple(int(n) for n in rng.integers(1, 3, 2))
    pooled = tuple(int(n) for n in rng.integers(4, 9, 2))
    shape = (*outer, *pooled)
    if form == "pyramid":
        parts, result = reference.pyramid(shape, (1, 2), 2)
        return fp.pyramid_pool, {"levels": (1, 2)}, shape, parts, result
    if form == "torch":
        sizes, window = (2, 3), (2, 2)
        samples = rng.random((*outer, 2))
        parts, result = reference.torch_fractional(shape, sizes, window, samples)
        return (
            fp.fractional_pool,
            {"output_size": sizes, "window": window, "samples": samples},
            shape,
            parts,
            result,
        )
    if form == "tensorflow":
        samples = rng.random(2)
        each = [reference.pseudo_sequence(n, 3, u) for n, u in zip(pooled, samples, strict=True)]
        tables = [reference.between(sequence, False) for sequence in each]
        call = {"output_size": (3, 3), "scheme": "pseudo", "samples": samples}
        return fp.fractional_pool, call, shape, [(..., tables, ...)], (*outer, 3, 3)
    corners = np.sort(rng.uniform(-2, 9, (3, 2, 2)), axis=1).reshape(3, 4)
    boxes = np.column_stack([rng.integers(0, outer[0], 3), corners])
    parts, result = reference.roi(shape, boxes, (2, 2))
    return fp.roi_pool, {"boxes": boxes, "output_size": (2, 2)}, shape, parts, result


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["pyramid", "torch", "tensorflow", "roi"])
@pytest.mark.parametrize("op", OPS)
def test_forms_of_parts(op, form, way):
    rng = np.random.default_rng([len(op), *map(ord, op + form + way)])
    for _ in range(max(SEEDS // 3, 1)):
        function, call, shape, parts, result = parts_of(rng, form)
        x, given, mask = holed(rng, shape, op, way)
        given["min_count"] = min(given.get("min_count", 1), 1)
        y, indices = np.zeros(result, object), np.full(result, -1)
        for source, tables, target in parts:
            value, places, _ = oracle(x[source], op, given, mask[source], last(x[source], tables), tables)
            y[target], indices[target] = value.reshape(y[target].shape), places.reshape(y[target].shape)
        label = f"{call} {shape} {given}"
        close(function(x, **call_of(op, call), **given), y, label)
        if op in CHOOSING:
            value, places = function(x, **call_of(op, call), **given, return_indices=True)
            close(value, y, label)
            np.testing.assert_array_equal(places, indices, err_msg=label)
        if op not in GRADIENTS:
            continue
        gy, gx = rng.normal(size=result), np.zeros(shape)
        for source, tables, target in parts:
            axes = last(x[source], tables)
            sent = gy[target].reshape(value_shape(x[source], tables))
            options = cases.for_oracle(OPS[op])
            gx[source] += reference.pull_some(sent, x[source], op, tables, axes, mask[source], **options)[0]
        _, pull = fp.vjp(function, x, **call_of(op, call), **given)
        close(pull(gy), gx, label)
        back = getattr(fp, f"{function.__name__}_backward")
        close(back(gy, x, **call_of(op, call), **given), gx, label)
        if op in CHOOSING:
            close(back(gy, x, **call_of(op, call), **given, indices=places), gx, label)


def last(x, tables):
    return tuple(range(x.ndim - len(tables), x.ndim))


def value_shape(x, tables):
    return (*x.shape[: x.ndim - len(tables)], *map(len, tables))


DTYPES = ("float16", "bfloat16", "float32", "int8", "uint8", "int16", "uint32", "int64", "uint64", "bool")


def of_dtype(x, name):
    if name == "bfloat16":
        return x.astype(pytest.importorskip("ml_dtypes").bfloat16)
    return x.astype(name)


FEW = ("bfloat16", "float32", "uint8", "int64")


@pytest.mark.parametrize(
    ("op", "name"),
    [
        *itertools.product(["max", "avg", "sum"], DTYPES),
        *itertools.product(["median", "mode", "var"], FEW),
        *itertools.product(["count"], ["float16", "uint64"]),
        *itertools.product(["soft"], DTYPES[:2]),
        ("var", "bool"),
    ],
)
def test_dtypes(rng, op, name):
    floats = name in ("float16", "bfloat16", "float32")
    x = of_dtype(rng.integers(0, 2 if name == "bool" else 5, (2, 3, 6, 7)), name)
    where = rng.random(x.shape) < 0.6
    given = {"where": where, "nodata": x.dtype.type(1), "fill": 1}
    mask = where & (x != 1)
    plain = x if name in ("bool", "uint64", "int64") else x.astype(np.float64 if floats else np.int64)
    plain = plain.astype(np.int64) if name == "bool" and op in ("sum", "median", "mode", "max") else plain
    tables = [reference.taps(n, 3, 2, 1, 1, 1, False) for n in (6, 7)]
    y, indices, _ = reference.pool_some(plain, op, tables, (2, 3), mask, fill=1)
    found = fp.pool(x, op, 3, stride=2, padding=1, **given)
    if name == "bool" and op in ("avg", "var"):
        y = reference.pool_some(x.astype(np.float64), op, tables, (2, 3), mask, fill=1)[0]
    wanted = {"count": np.int64}.get(op, fp.pool(x, op, 3).dtype)
    assert found.dtype == wanted
    error = {"float16": 1e-3, "bfloat16": 1e-2, "float32": 1e-6}.get(name, 1e-15 if op == "var" else 0)
    np.testing.assert_allclose(found.astype(np.float64), y.astype(np.float64), rtol=error)
    if op == "max":
        assert (fp.max_pool(x, 3, stride=2, padding=1, **given, return_indices=True)[1] == indices).all()


def test_sentinels_compare_in_their_own_dtype():
    label = 2**62 + 1
    x = np.array([label, 2**62, label, 5], np.int64)
    assert fp.max_pool(x, (4,), nodata=label) == 2**62  # as float64 both would be alike
    assert fp.count_pool(x, (4,), nodata=np.int64(label)) == 2
    big = np.array([2**64 - 1, 2**64 - 2], np.uint64)
    assert fp.max_pool(big, (2,), nodata=2**64 - 1) == 2**64 - 2
    x = np.array([0.1, 0.1, 3], np.float32)
    assert fp.count_pool(x, (3,), nodata=0.1) == 1  # 0.1 of float32 is not that of float64
    assert fp.count_pool(np.array([np.nan, 1, 2]), (3,), nodata=np.nan) == 2
    assert fp.count_pool(np.array([255, 1], np.uint8), (2,), nodata=255.0) == 1


@pytest.mark.parametrize(
    ("op", "name"),
    [
        *itertools.product(("avg", "sum", "count"), ("float32", "float64", "int16", "bool")),
        *(("var", "float64"), ("var", "int16"), ("std", "float32")),  # whose kernels take long to compile
    ],
)
@pytest.mark.parametrize("way", ["none", *WAYS])
def test_weights(op, way, name):
    rng = np.random.default_rng([*map(ord, op + way + name)])
    for _ in range(SEEDS):
        function, call, shape, axes, tables = geometry(rng, "sliding")
        x, given, mask = holed(rng, shape, "avg", way, name)
        given.pop("min_count", 0)
        given["fill"] = 77
        shorter = shape if rng.random() < 0.5 else (*(1 for _ in shape[1:]), shape[-1])
        weights = rng.integers(0, 3, shorter) * 0.5
        y, _, _ = oracle(x.astype(np.float64), op, given, mask, axes, tables, weights)
        found = function(x, op, **call, **given, weights=weights)
        assert found.dtype == (name if name.startswith("float") and op != "count" else "float64")
        scale = 1e-6 if name == "float32" else 1e-12
        np.testing.assert_allclose(found, y.astype(np.float64), rtol=scale, atol=scale, err_msg=f"{call}")
        if op == "count":
            continue
        gy = rng.normal(size=y.shape)
        gx, gw = reference.pull_some(
            gy,
            np.nan_to_num(x.astype(np.float64)),
            op,
            tables,
            axes,
            mask,
            weights=np.broadcast_to(weights, shape),
        )
        found, slopes = fp.vjp(function, x, op, **call, **given, weights=weights)[1](gy, params=True)
        np.testing.assert_allclose(found, gx, rtol=scale, atol=scale)
        lost = tuple(axis for axis in range(x.ndim) if shorter[axis] != shape[axis])
        np.testing.assert_allclose(slopes["weights"], gw.sum(lost, keepdims=True), rtol=1e-9, atol=1e-9)
        assert slopes["weights"].shape == shorter
        back = fp.pool_backward(gy, x, op, **call, **given, weights=weights)
        np.testing.assert_allclose(back, gx, rtol=scale, atol=scale)


def test_weights_in_regions_of_their_own(rng):
    x, weights = rng.normal(size=(2, 2, 6, 6)), rng.random((6, 1))
    boxes = np.array([[0, 1, 1, 4, 5], [1, 0, 2, 3, 3]])
    y, pull = fp.vjp(fp.roi_pool, x, "avg", boxes, 2, weights=weights)
    gy, step = rng.normal(size=y.shape), 1e-6
    gx, slopes = pull(gy, params=True)
    for direction in rng.normal(size=(3, *x.shape)):
        ends = [
            fp.roi_pool(x + sign * step * direction, "avg", boxes, 2, weights=weights) for sign in (1, -1)
        ]
        assert np.sum(gy * (ends[0] - ends[1])) / (2 * step) == pytest.approx(
            np.sum(gx * direction), rel=1e-6
        )
    for direction in rng.normal(size=(3, *weights.shape)):
        ends = [
            fp.roi_pool(x, "avg", boxes, 2, weights=weights + sign * step * direction) for sign in (1, -1)
        ]
        rise = np.sum(gy * (ends[0] - ends[1])) / (2 * step)
        assert rise == pytest.approx(np.sum(slopes["weights"] * direction), rel=1e-6)


@pytest.mark.parametrize("op", GRADIENTS)
def test_slopes_of_parameters(rng, op):
    names = {"lp": "p", "gem": "p", "lse": "r", "soft": "beta", "mixed": "alpha"}
    if op not in names:
        pytest.skip("an operator without such parameters")
    x = cases.distinct(rng, (2, 6, 6))
    x[rng.random(x.shape) < 0.3] = np.nan
    name, value, step = names[op], OPS[op][names[op]], 1e-6
    call = {"window": (3, 3), "stride": 2, "skipna": True, "fill": 0.0, "min_count": 2}
    y, pull = fp.vjp(fp.pool, x, op, **call, **OPS[op])
    gy = rng.normal(size=y.shape)
    ends = [fp.pool(x, op, **call, **{name: value + sign * step}) for sign in (1, -1)]
    rise = np.sum(gy * (ends[0] - ends[1])) / (2 * step)
    assert pull(gy, params=True)[1][name] == pytest.approx(rise, rel=1e-5)


@pytest.mark.parametrize("layout", cases.LAYOUTS)
@pytest.mark.parametrize("op", ["max", "avg", "soft", "median"])
def test_layouts(rng, op, layout):
    x = rng.normal(size=(3, 9, 8, 4)).astype(np.float32)
    x[rng.random(x.shape) < 0.3] = np.nan
    where = rng.random(x.shape) < 0.8
    given = {"where": where, "skipna": True, "axes": (1, 2)}
    wanted = fp.pool(x, op, 3, **given)
    before = x.copy()
    odd, mask = cases.arrange(x, layout), cases.arrange(where, "F")
    np.testing.assert_array_equal(fp.pool(odd, op, 3, **{**given, "where": mask}), wanted)
    gy = rng.normal(size=wanted.shape).astype(np.float32)
    pulls = [fp.vjp(fp.pool, each, op, 3, **given)[1](gy) for each in (x, odd)]
    np.testing.assert_array_equal(*pulls)
    np.testing.assert_array_equal(x, before)


def test_none_missing_is_the_call_without(rng):
    """Asking changes nothing where nothing is missing; divisors are then the elements' number."""
    x = rng.normal(size=(2, 3, 8, 9))
    for op, options in OPS.items():
        data = rng.integers(0, 4, x.shape) if op == "mode" else x
        whole = {"where": np.ones(x.shape, bool), "skipna": True, "nodata": 77}
        wanted = fp.pool(data, op, 3, stride=2, padding=0, **options)
        np.testing.assert_allclose(fp.pool(data, op, 3, stride=2, **options, **whole), wanted, rtol=1e-15)
    boxes = np.array([[0, 20, 20, 30, 30]])  # beside the image
    for given in ({}, {"skipna": True}):
        assert (fp.roi_pool(x, "avg", boxes, 2, **given) == 0).all()


def test_stochastic_draws_what_takes_part(rng):
    x = np.abs(rng.normal(size=(4, 400)))
    x[:, ::4] = np.nan
    y, indices = fp.stochastic_pool(x, (4,), rng=3, skipna=True, return_indices=True)
    assert not np.isnan(y).any()
    assert (indices % 4 != 0).all()
    np.testing.assert_array_equal(y, np.take_along_axis(x, indices, 1))
    shares = np.bincount(indices.ravel() % 4, minlength=4) / indices.size
    assert (shares[1:] > 0.25).all()
    gx = fp.vjp(fp.stochastic_pool, x, (4,), rng=3, skipna=True)[1](np.ones_like(y))
    assert (np.take_along_axis(gx, indices, 1) == 1).all()
    assert gx.sum() == y.size


def test_large_windows_of_ranks(rng):
    """Windows that are counted, not kept: medians of many elements."""
    x = rng.normal(size=(2, 9_000)).astype(np.float32)
    x[rng.random(x.shape) < 0.4] = np.nan
    np.testing.assert_allclose(
        fp.global_pool(x, "median", axes=1, skipna=True), np.nanmedian(x, 1), rtol=1e-6
    )
    labels = rng.integers(0, 200, (2, 70_000)).astype(np.uint8)
    common = [np.bincount(row[row != 9], minlength=200).argmax() for row in labels]
    np.testing.assert_array_equal(fp.global_pool(labels, "mode", axes=1, nodata=9), common)
    gx = fp.vjp(fp.global_pool, x, "median", axes=1, skipna=True)[1](np.ones(2, np.float32))
    np.testing.assert_allclose(np.nansum(gx * np.nan_to_num(x), 1), np.nanmedian(x, 1), rtol=1e-5)


@pytest.mark.parametrize("op", ["median", "mode"])
def test_large_windows_of_ranks_without_an_element(op):
    x = np.zeros((3, 70_000), np.int16)
    x[1] = 7
    np.testing.assert_array_equal(fp.global_pool(x, op, axes=1, nodata=0), [0, 7, 0])
    if op == "median":
        floats = np.where(x, x, np.nan).astype(np.float32)
        y, pull = fp.vjp(fp.global_pool, floats, op, axes=1, skipna=True)
        np.testing.assert_array_equal(y, [np.nan, 7, np.nan])
        np.testing.assert_array_equal(pull(np.ones_like(y)).sum(1), [0, 1, 0])


def test_threads_give_the_same_bits(rng, threads):
    x = rng.normal(size=(64, 50, 50)).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan
    found = []
    for count in (1, 2):
        threads(count)
        y, pull = fp.vjp(fp.soft_pool, x, (3, 3), stride=2, skipna=True)
        found.append((y, pull(np.ones_like(y))))
    np.testing.assert_array_equal(*[each[0] for each in found])
    np.testing.assert_array_equal(*[each[1] for each in found])


# Bad input -----------------------------------------------------------------------------------------------

X = np.arange(16, dtype=np.float32).reshape(4, 4)
LABELS = np.array([[1, 2], [3, 4]], np.uint8)
BAD = {
    "where of another shape": (X, {"where": np.ones((3, 4), bool)}, ValueError, "where must broadcast"),
    "where of more axes": (X, {"where": np.ones((2, 4, 4), bool)}, ValueError, "where must broadcast"),
    "where of integers": (X, {"where": np.ones((4, 4), int)}, TypeError, "where must be of bool"),
    "where of a list": (X, {"where": [True]}, TypeError, "where must be an array"),
    "skipna of a number": (X, {"skipna": 1}, TypeError, "skipna must be True or False"),
    "nodata too large": (LABELS, {"nodata": 256}, ValueError, "nodata must be a value that x's dtype, uint8"),
    "nodata between integers": (LABELS, {"nodata": 1.5}, ValueError, "nodata must be a value"),
    "NaN as nodata of integers": (LABELS, {"nodata": np.nan}, ValueError, "nodata must be a value"),
    "nodata beyond float32": (X, {"nodata": 1e300}, ValueError, "nodata must be a value"),
    "nodata of a string": (X, {"nodata": "0"}, TypeError, "nodata must be one number"),
    "negative min_count": (X, {"min_count": -1}, ValueError, "min_count must be at least 0"),
    "min_count above the window": (
        X,
        {"min_count": 5},
        ValueError,
        "min_count must be at most the window's 4",
    ),
    "min_count of a float": (X, {"min_count": 1.0}, TypeError, "min_count must be an integer"),
    "fill of a string": (X, {"skipna": True, "fill": "0"}, TypeError, "fill must be a number"),
    "NaN as fill of integers": (LABELS, {"nodata": 1, "fill": np.nan}, ValueError, "fill must be a value"),
    "fill too large": (LABELS, {"nodata": 1, "fill": 300}, ValueError, "fill must be a value"),
    "weights of bool": (X, {"weights": X > 1}, TypeError, "weights must be real numbers"),
    "negative weights": (X, {"weights": -X}, ValueError, "weights must be finite and at least 0"),
    "NaN weights": (X, {"weights": X * np.nan}, ValueError, "weights must be finite"),
    "weights of another shape": (X, {"weights": np.ones(3)}, ValueError, "weights must broadcast"),
    "a divisor beside skipna": (
        X,
        {"skipna": True, "divisor_override": 3},
        ValueError,
        "divisor_override must",
    ),
    "padding beside skipna": (
        X,
        {"skipna": True, "count_include_pad": False},
        ValueError,
        "count_include_pad",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case):
    x, given, error, words = BAD[case]
    out = np.full((x.shape[0] // 2, x.shape[1] // 2), 42, x.dtype)
    with pytest.raises(error, match=words):
        fp.avg_pool(x, (2, 2), **given, out=out)
    assert (out == 42).all()


def test_weights_are_for_sums():
    with pytest.raises(
        TypeError, match="weights are for the operators count, avg, sum, var, std, got weights with op='max'"
    ):
        fp.pool(X, "max", (2, 2), weights=X)


def test_integer_holes_need_a_fill():
    out = np.full((1, 2), 42, np.uint8)
    x = np.array([[1, 2, 9, 9], [3, 4, 9, 9]], np.uint8)
    where = x < 9
    with pytest.raises(
        ValueError, match=r"fill must be given.*window \(0, 1\) of the max result has 0 elements"
    ):
        fp.max_pool(x, (2, 2), where=where, out=out)
    assert (out == 42).all()
    np.testing.assert_array_equal(fp.max_pool(x, (2, 2), nodata=9, out=out), [[4, 9]])  # the sentinel fills
    np.testing.assert_array_equal(fp.max_pool(x, (2, 2), where=where, fill=0), [[4, 0]])
    np.testing.assert_array_equal(fp.sum_pool(x, (2, 2), where=where, min_count=0), [[10, 0]])
    with pytest.raises(ValueError, match="fill must be given"):
        fp.sum_pool(x, (2, 2), where=where)


def test_masks_are_inputs(rng):
    x = rng.normal(size=(4, 4))
    mask = np.ones((4, 4), bool)
    with pytest.raises(ValueError, match="out must share no memory with where"):
        fp.max_pool(x > 0, (2, 2), where=mask, out=mask[:2, :2])
    weights = np.ones((4, 4))
    with pytest.raises(ValueError, match="out must share no memory with weights"):
        fp.avg_pool(x, (2, 2), weights=weights, out=weights[:2, :2])


def test_indices_that_come_back_are_checked():
    x = np.array([[np.nan, np.nan, 1.0, 2.0]])
    y, indices = fp.max_pool(x, (2,), skipna=True, return_indices=True)
    np.testing.assert_array_equal(indices, [[-1, 3]])
    for wrong in ([[0, 3]], [[-1, -1]], [[-1, 1]], [[-1, 4]]):
        with pytest.raises(ValueError, match="indices must"):
            fp.pool_backward(y, x, "max", (2,), skipna=True, indices=np.array(wrong))
    gx = fp.pool_backward(np.ones((1, 2)), x, "max", (2,), skipna=True, indices=indices)
    np.testing.assert_array_equal(gx, [[0, 0, 0, 1]])


def test_finite_averages_of_the_largest_floats():
    x = np.array([1.7e308, 1.6e308, np.nan, 1.7e308])
    assert fp.avg_pool(x, (4,), skipna=True) == pytest.approx(1.6666666666666667e308)
    assert fp.avg_pool(x, (4,), skipna=True, weights=np.array([2.0, 1, 1, 1])) == pytest.approx(1.675e308)


# Arrays on a GPU: what the CPU gives ---------------------------------------------------------------------


def on_cuda(test):
    """The marks of tests that run on a GPU or in the simulator."""
    for mark in parity.pytestmark:
        test = mark(test)
    return test


SHAPE = (2, 1, 5, 4)
BOXES = np.array([[0, 0.0, 0.0, 2.0, 3.0], [1, -4.0, 2.0, 1.0, 9.0], [1, 20.0, 20.0, 30.0, 30.0]])
SAMPLES = np.random.default_rng(31).random((2, 1, 2))
FORMS = {
    "sliding": (fp.pool, {"window": (3, 2), "stride": (2, 1), "padding": (1, 0)}),
    "adaptive": (fp.adaptive_pool, {"output_size": (2, 3)}),
    "global": (fp.global_pool, {}),
    "roi_pool": (fp.roi_pool, {"boxes": BOXES, "output_size": 2}),
    "fractional": (fp.fractional_pool, {"output_size": (3, 2), "window": 2, "samples": SAMPLES}),
    "pyramid": (fp.pyramid_pool, {"levels": (1, 2)}),
    "mosaic": (fp.mosaic, {"cell": (2, 3)}),
    "segments": (fp.segment_pool, {"ids": np.array([1, 0, 0, 3, 1]), "axis": 2}),
}
WITHOUT_INDICES = ("global", "mosaic")


def holed_by(way, op, shape=SHAPE, dtype=np.float64):
    """An input with a hole and single elements left out, and the arguments that say so."""
    rng = np.random.default_rng([*map(ord, way + op)])
    x, mask = cases.distinct(rng, shape).astype(dtype), rng.random(shape) < 0.7
    mask[0, ..., :3, :2] = False
    if op == "mode":
        x = rng.integers(0, 4, shape)
    several = way == "where" and op != "nearest"  # whose windows have one element
    given = {"fill": 77} if op == "mode" else {"min_count": 2} if several else {}
    if way == "where":
        return x, {"where": mask, **given}
    x[~mask] = np.nan if way == "skipna" else 99
    return x, {"skipna": True, **given} if way == "skipna" else {"nodata": 99, **given}


def moved(options):
    """Options with their arrays on the GPU."""
    return {name: parity.to_device(value) for name, value in options.items()}


def assert_same_pulls(function, x, options, tolerance=1e-12):
    """Values, indices, and gradients for the input and all else.

    The stateless backward gives the bits of a pull without the others.
    """
    y, pull = fp.vjp(function, x, **options)
    found, pull_found = fp.vjp(function, parity.to_device(x), **moved(options))
    parity.assert_same(parity.to_host(found), y, tolerance)
    values = y[0] if isinstance(y, tuple) else y
    gy = np.random.default_rng(32).normal(size=values.shape)
    gx, slopes = pull(gy, params=True)
    gradient, slopes_found = parity.to_host(pull_found(parity.to_device(gy), params=True))
    parity.assert_same(gradient, gx, tolerance)
    assert slopes_found.keys() == slopes.keys()
    for name, slope in slopes.items():
        assert np.shape(slopes_found[name]) == np.shape(slope)
        np.testing.assert_allclose(slopes_found[name], slope, rtol=1e-9, atol=1e-9)
    stateless = getattr(fp, f"{function.__name__}_backward")
    given = {name: value for name, value in options.items() if name != "return_indices"}
    if isinstance(y, tuple):
        given["indices"] = y[1]
    again = parity.on_device(stateless, gy, x, **given)
    alone = parity.to_host(pull_found(parity.to_device(gy)))
    parity.assert_same(again, gx, tolerance)
    np.testing.assert_array_equal(again, alone)


CUDA_CALLS = {
    **{(op, form, "where"): None for op in [*OPS, "stochastic draws"] for form in ("sliding", "roi_pool")},
    **{(op, form, way): None for op in ("max", "avg", "median") for form in FORMS for way in WAYS[:3]},
}


@on_cuda
@pytest.mark.parametrize(("op", "form", "way"), CUDA_CALLS)
def test_cuda_in_every_form(op, form, way):
    function, options = FORMS[form]
    x, given = holed_by(way, op)
    options = {"op": op.split()[0], **options, **OPS.get(op, {"rng": 7}), **given}
    if op in ("count", "mode"):
        wanted = function(x, **options)
        return parity.assert_same(parity.on_device(function, x, **options), wanted)
    if op in (*CHOOSING, "stochastic draws") and form not in WITHOUT_INDICES:
        options["return_indices"] = True
    return assert_same_pulls(function, x, options)


@on_cuda
@pytest.mark.parametrize("shape", [SHAPE, (4,), (5, 1), (2, 1, 1, 1)], ids=str)
@pytest.mark.parametrize("form", ["sliding", "roi_pool"])
@pytest.mark.parametrize("op", ["avg", "sum", "count"])
def test_cuda_weights(op, form, shape):
    function, options = FORMS[form]
    x, given = holed_by("skipna", op)
    weights = np.random.default_rng(33).integers(0, 3, shape) * 0.5
    for absent in (given, {"fill": 0.5}):
        own = {"op": op, **options, **absent, "weights": weights}
        data = np.nan_to_num(x) if "fill" in absent else x
        if op == "count":
            parity.assert_same(parity.on_device(function, data, **own), function(data, **own), 1e-12)
        else:
            assert_same_pulls(function, data, own)


@on_cuda
@pytest.mark.parametrize("op", ["avg", "sum"])
def test_cuda_weights_where_pooled_axes_are_not_the_last(op):
    """Kernels have the axes in another order than the input."""
    x, given = holed_by("skipna", op, (2, 5, 4, 3))
    samples = np.random.default_rng(35).random((2, 3, 2))
    options = {"op": op, "output_size": (3, 2), "window": 2, "samples": samples, "axes": (1, 2), **given}
    assert_same_pulls(fp.fractional_pool, x, {**options, "weights": np.arange(3.0)})


@on_cuda
@pytest.mark.parametrize("name", ["float32", "int16", "bool"])
def test_cuda_weights_of_dtypes(name):
    x, weights = of_dtype(np.random.default_rng(34).integers(0, 2, (2, 6, 6)), name), np.arange(6.0)
    for op in ("avg", "sum"):
        options = {
            "op": op,
            "window": (2, 2),
            "weights": weights.astype(np.float32),
            "where": x == 1,
            "fill": 3,
        }
        assert_same_pulls(fp.pool, x, options, 2e-6)


@on_cuda
@pytest.mark.parametrize("name", [*DTYPES, "float64"])
@pytest.mark.parametrize("op", ["max", "avg", "sum", "median", "count", "mode"])
def test_cuda_dtypes(op, name):
    floats = name in ("float16", "bfloat16", "float32", "float64")
    if op == "mode" and floats:
        pytest.skip("not a dtype of the operator")
    rng = np.random.default_rng(35)
    x = of_dtype(rng.integers(0, 2 if name == "bool" else 5, (2, 3, 5)), name)
    options = {"op": op, "window": (2, 2), "where": rng.random(x.shape) < 0.7, "nodata": x.dtype.type(1)}
    options |= {"fill": 1, "skipna": True}
    if floats:
        x[0, 1, ::2] = np.nan
    tolerance = parity.tolerance_of(op, x.dtype)
    parity.assert_same(parity.on_device(fp.pool, x, **options), fp.pool(x, **options), tolerance)
    if floats and op not in ("count", "mode"):
        assert_same_pulls(fp.pool, x, options, max(tolerance, 2e-6))


@on_cuda
def test_cuda_sentinels_compare_in_their_own_dtype():
    label = 2**62 + 1
    x = np.array([label, 2**62, label, 5], np.int64)
    assert parity.on_device(fp.max_pool, x, (4,), nodata=label) == 2**62
    big = np.array([2**64 - 1, 2**64 - 2], np.uint64)
    assert parity.on_device(fp.max_pool, big, (2,), nodata=2**64 - 1) == 2**64 - 2
    x = np.array([0.1, 0.1, 3], np.float32)
    assert parity.on_device(fp.count_pool, x, (3,), nodata=0.1) == 1


@on_cuda
@pytest.mark.parametrize("op", ["max", "avg", "soft", "median", "mode", "weights", "stochastic"])
def test_cuda_large_windows(op):
    """Windows that teams share."""
    rng = np.random.default_rng(36)
    x = rng.normal(size=(2, 24, 30)).astype(np.float32)
    if op == "mode":
        x = rng.integers(0, 4, x.shape, np.uint8)
    where = rng.random(x.shape) < 0.6
    where[0, :7] = False
    where[1] = np.arange(720).reshape(24, 30) == 701  # one element
    options = {"op": op, "axes": (1, 2), "where": where, "fill": 9}
    if op == "weights":
        options |= {"op": "avg", "weights": rng.random((24, 1))}
    if op == "stochastic":
        x, options["rng"] = abs(x), 5
    if op == "mode":
        return parity.assert_same(
            parity.on_device(fp.global_pool, x, **options), fp.global_pool(x, **options)
        )
    return assert_same_pulls(fp.global_pool, x, options, 2e-6)


@on_cuda
@pytest.mark.parametrize("op", ["max", "avg", "soft", "median"])
@pytest.mark.parametrize("layout", ["F", "last"])
def test_cuda_layouts(op, layout):
    rng = np.random.default_rng(37)
    x = rng.normal(size=(2, 6, 5, 3)).astype(np.float32)
    x[rng.random(x.shape) < 0.3] = np.nan
    where = rng.random((6, 1, 3)) < 0.8
    options = {"op": op, "window": 2, "axes": (1, 2), "where": where, "skipna": True}
    if layout == "F":
        x, options["where"] = np.asfortranarray(x), np.asfortranarray(where)
    y, pull = fp.vjp(fp.pool, x, **options)
    found, pull_found = fp.vjp(fp.pool, cuda.to_device(x), **moved(options))
    parity.assert_same(parity.to_host(found), y, 2e-6)
    gy = rng.normal(size=y.shape).astype(np.float32)
    parity.assert_same(parity.to_host(pull_found(parity.to_device(gy))), pull(gy), 2e-6)


@on_cuda
@pytest.mark.parametrize("case", BAD)
def test_cuda_bad_arguments(case):
    x, given, error, words = BAD[case]
    with pytest.raises(error, match=words):
        parity.on_device(fp.avg_pool, x, (2, 2), **given)


@on_cuda
def test_cuda_integer_holes_need_a_fill():
    x = np.array([[1, 2, 9, 9], [3, 4, 9, 9]], np.uint8)
    out = cuda.to_device(np.full((1, 2), 42, np.uint8))
    data, where = cuda.to_device(x), cuda.to_device(x < 9)
    words = r"fill must be given.*window \(0, 1\) of the max result has 0 elements"
    with pytest.raises(ValueError, match=words):
        fp.max_pool(data, (2, 2), where=where, out=out)
    assert (out.copy_to_host() == 42).all()
    fp.max_pool(data, (2, 2), nodata=9, out=out)
    np.testing.assert_array_equal(out.copy_to_host(), [[4, 9]])
    found = fp.sum_pool(data, (2, 2), where=where, min_count=0)
    np.testing.assert_array_equal(found.copy_to_host(), [[10, 0]])
    mask = cuda.to_device(np.ones((2, 4), bool))
    with pytest.raises(ValueError, match="out must share no memory with where"):
        fp.max_pool(where, (2, 2), where=mask, out=mask[:1, :2])


@on_cuda
def test_cuda_indices_that_come_back_are_checked():
    x = np.array([[np.nan, np.nan, 1.0, 2.0]])
    y, indices = parity.on_device(fp.max_pool, x, (2,), skipna=True, return_indices=True)
    np.testing.assert_array_equal(indices, [[-1, 3]])
    for wrong in ([[0, 3]], [[-1, -1]], [[-1, 1]], [[-1, 4]], [[-2, 3]]):
        with pytest.raises(ValueError, match="indices must"):
            parity.on_device(fp.pool_backward, y, x, "max", (2,), skipna=True, indices=np.array(wrong))
    ones = np.ones((1, 2))
    gx = parity.on_device(fp.pool_backward, ones, x, "max", (2,), skipna=True, indices=indices)
    np.testing.assert_array_equal(gx, [[0, 0, 0, 1]])


@on_cuda
def test_cuda_without_elements():
    x, empty = np.full((1, 4, 4), np.nan), np.zeros((0, 4, 4))
    for op in ("max", "avg", "soft", "median"):
        assert_same_pulls(fp.pool, x, {"op": op, "window": (2, 2), "skipna": True})
        parity.assert_same(
            parity.on_device(fp.pool, empty, op, (2, 2), skipna=True), fp.pool(empty, op, (2, 2), skipna=True)
        )
