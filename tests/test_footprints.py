"""Borders and footprints: against an oracle window by window, SciPy, and finite differences."""

import itertools

import cases
import numpy as np
import pytest
import reference
import test_gradients
import test_missing
import test_parity as parity

import fastpool as fp
from fastpool import borders, footprints

WORDS = ("reflect", "mirror", "edge", "wrap")
SCIPY = {"reflect": "reflect", "mirror": "mirror", "edge": "nearest", "wrap": "wrap"}
OPS = {op: options for op, options in test_missing.OPS.items() if op != "nearest"}  # which has its own
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)


# The oracle ----------------------------------------------------------------------------------------------


def element(i, n, word):
    """The element of an axis at position i of its border, by walking there; None where there is none."""
    row = {  # two lengths of the axis, or less, and what is behind the last
        "reflect": [*range(n), *reversed(range(n))],
        "mirror": [*range(n), *reversed(range(1, n - 1))],
        "wrap": list(range(n)),
    }
    if 0 <= i < n:
        return i
    if word == "edge":
        return 0 if i < 0 else n - 1
    return None if word is None else row[word][i % len(row[word])]


def along(n, k, s, around, d, ceil, word):
    """For each window along an axis its taps: the element, and whether the tap is in the padded input."""
    before, after = around
    room = n + before + after - d * (k - 1) - 1
    count = (-(-room // s) if ceil else room // s) + 1
    count -= bool(ceil and (count - 1) * s >= n + before)
    places = [[o * s + t * d - before for t in range(k)] for o in range(count)]
    own = lambda p: element(p, n, word) if p < n + after else None  # noqa: E731
    return [[(own(p), p < n + after) for p in window] for window in places]


def windows_of(plane, tables, footprint):
    """For each window the flat places of its elements, and how many taps are in the padded input."""
    found = {}
    for place in itertools.product(*(range(len(table)) for table in tables)):
        taps = [table[o] for table, o in zip(tables, place, strict=True)]
        elements, extent = [], 0
        for tap in np.argwhere(footprint):
            each = [own[t] for own, t in zip(taps, tap, strict=True)]
            extent += all(inside for _, inside in each)
            if all(e is not None for e, _ in each):
                elements.append(int(np.ravel_multi_index([e for e, _ in each], plane)))
        found[place] = elements, extent
    return found


def pooled(
    x, op, found, shape, mask, gy=None, *, include=True, override=None, least=1, fill=np.nan, **params
):
    """Values, indices and gradient of an array whose last axes are pooled; `mask` of None takes all."""
    planes = x.reshape(-1, int(np.prod(x.shape[x.ndim - len(shape) :])))
    part = np.ones(planes.shape, bool) if mask is None else mask.reshape(planes.shape)
    y = np.zeros((len(planes), *shape), object)
    indices, gx = np.zeros(y.shape, np.int64), np.zeros(planes.shape)
    sent = None if gy is None else gy.reshape(y.shape)
    for n, (place, (elements, extent)) in itertools.product(range(len(planes)), found.items()):
        taken = np.array([i for i in elements if part[n, i]], np.int64)
        at = (n, *place)
        if len(taken) < least:
            y[at], indices[at] = fill, -1
            continue
        divisor = len(taken) if mask is not None or not include else extent
        block = planes[n, taken][None]
        y[at] = reference.values(op, block, override or divisor, **params)[0] if len(taken) else 0
        if op in ("max", "min"):
            indices[at] = taken[reference.first_extreme(block, 1 if op == "max" else -1)[0]]
        if sent is not None and len(taken):
            share = sent[at] * reference.SHARES[op](block.astype(float), override or divisor, **params)[0]
            np.add.at(gx[n], taken, share)
    lead = x.shape[: x.ndim - len(shape)]
    return y.reshape(*lead, *shape), indices.reshape(*lead, *shape), gx.reshape(x.shape)


def drawn(rng, *, footprint):
    """Arguments of a call, the shape of the input, and the oracle's windows; pooled axes are the last."""
    count = int(rng.integers(1, 3))
    plane = [int(n) for n in rng.integers(1, 7, count)]
    k, s, d = (rng.integers(1, m, count).tolist() for m in (5, 4, 3))
    around = [tuple(rng.integers(0, d * (k - 1) + 1, 2).tolist()) for k, d in zip(k, d, strict=True)]
    words = [str(rng.choice(WORDS)) for _ in plane]
    if footprint:
        words = [None if rng.random() < 0.6 else word for word in words]
    ceil, mask = bool(rng.integers(2)), np.ones(k, bool)
    if footprint:
        mask = rng.random(k) < 0.6
    if (
        any(d * (k - 1) + 1 > n + sum(p) for n, k, d, p in zip(plane, k, d, around, strict=True))
        or not mask.any()
    ):
        return drawn(rng, footprint=footprint)
    centred = [
        (d * (k // 2), d * (k - 1) - d * (k // 2)) if word and s == 1 and pads == (0, 0) else pads
        for k, s, d, pads, word in zip(k, s, d, around, words, strict=True)
    ]
    tables = [along(*own, ceil, word) for *own, word in zip(plane, k, s, centred, d, words, strict=True)]
    found = windows_of(plane, tables, mask)
    if not all(elements for elements, _ in found.values()):
        return drawn(rng, footprint=footprint)
    call = {"window": k, "stride": s, "padding": around, "dilation": d, "ceil_mode": ceil}
    given = call | {"border": words} | ({"footprint": mask} if footprint else {})
    return given, (int(rng.integers(1, 3)), *plane), found, tuple(map(len, tables))


def checked(x, op, call, found, shape, mask, absent):
    """All that a call gives, beside the oracle."""
    options, label = cases.for_oracle(OPS[op]), f"{x.shape} {call} {absent}"
    options["include"] = options.pop("include_pad", True)
    if op not in ("avg", "mixed"):
        options.pop("include")
    least = absent.get("min_count", 1)
    least = least if op in ("sum", "count") else max(least, 1)
    fill = 0 if op == "count" else np.nan
    fill = fill if absent.get("fill") is None else absent["fill"]
    gy = np.random.default_rng(1).normal(size=(x.shape[0], *shape))
    backward = op not in ("count", "mode")
    plain = x if mask is None else np.where(mask, x, 0)
    y, indices, gx = pooled(
        plain, op, found, shape, mask, gy if backward else None, least=least, fill=fill, **options
    )
    given = {**call, **OPS[op], **absent}
    close = test_missing.close
    close(fp.pool(x, op, **given), y, label)
    if op in ("max", "min"):
        value, places = fp.pool(x, op, **given, return_indices=True)
        close(value, y, label)
        np.testing.assert_array_equal(places, indices, err_msg=label)
        close(fp.pool_backward(gy, x, op, **given, indices=places), gx, label)
    if backward:
        close(fp.vjp(fp.pool, x, op, **given)[1](gy), gx, label)
        close(fp.pool_backward(gy, x, op, **given), gx, label)


CALLS = [*((op, True) for op in OPS), *((op, False) for op in ("max", "avg", "mixed", "median"))]


@pytest.mark.parametrize(("op", "footprint"), CALLS)
def test_every_operator(op, footprint):
    """Borders alone go through the kernels of all other calls."""
    rng = np.random.default_rng([*map(ord, op), footprint])
    for way in ("", "all"):
        for _ in range(4):
            call, shape, found, outputs = drawn(rng, footprint=footprint)
            x, absent, mask = test_missing.holed(rng, shape, op, way)
            if not way:
                absent, mask = {}, None
            absent.pop("min_count", None)
            checked(x, op, call, found, outputs, mask, absent)


# Rules ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", WORDS)
def test_places_are_numpys(word):
    """Which has other words for them, and reflects as often as it takes."""
    theirs = {"reflect": "symmetric", "mirror": "reflect", "edge": "edge", "wrap": "wrap"}[word]
    for n, before, after in itertools.product((1, 2, 3, 5), (0, 1, 4, 13), (0, 2, 7)):
        table = borders.places(word, n, before, after)
        np.testing.assert_array_equal(table, np.pad(np.arange(n), (before, after), theirs))
        seen = []
        for place, first, length, step in borders.runs(table, before, n):
            seen += range(place, place + length)
            assert table[place : place + length].tolist() == [first + i * step for i in range(length)]
        assert seen == [*range(before), *range(before + n, len(table))]


@pytest.mark.parametrize("word", WORDS)
def test_scipy(rng, word):
    ndimage = pytest.importorskip("scipy.ndimage")
    x = rng.standard_normal((7, 9)).astype(np.float32)
    given, theirs = {"stride": 1, "border": word}, {"mode": SCIPY[word]}
    for window in ((3, 3), (4, 15), (1, 2)):
        expected = ndimage.maximum_filter(x, window, **theirs)
        np.testing.assert_array_equal(fp.max_pool(x, window, **given), expected)
        expected = ndimage.uniform_filter(x, window, **theirs)
        np.testing.assert_allclose(fp.avg_pool(x, window, **given), expected, rtol=1e-5, atol=1e-6)
    for footprint in (CROSS, rng.random((4, 5)) < 0.5):
        given["footprint"] = footprint
        own = {**theirs, "footprint": footprint}
        y = fp.max_pool(x, footprint.shape, **given)
        np.testing.assert_array_equal(y, ndimage.maximum_filter(x, **own))
        if footprint.sum() % 2:
            y = fp.median_pool(x, footprint.shape, **given)
            np.testing.assert_array_equal(y, ndimage.median_filter(x, **own))


def test_by_hand():
    x = np.array([5.0, 1.0, 3.0])
    y, i = fp.max_pool(x, (3,), stride=1, border="reflect", return_indices=True)
    assert (y.tolist(), i.tolist()) == ([5, 5, 3], [0, 0, 2])
    assert fp.sum_pool(x, (3,), stride=1, border="mirror").tolist() == [7, 9, 5]
    assert fp.avg_pool(x, (2,), padding=[(1, 0)], border="wrap").tolist() == [4, 2]
    assert fp.sum_pool(x, (3,), stride=1, border="edge", padding="valid").tolist() == [9]
    assert fp.sum_pool(x, (3,), stride=2, border="edge", padding="same").tolist() == [11, 7]
    assert fp.sum_pool(x, (3,), stride=3, border="edge").tolist() == [9]
    pull = fp.vjp(fp.sum_pool, x, (3,), stride=1, border="reflect")[1]
    assert pull(np.array([1.0, 10, 100])).tolist() == [12, 111, 210]
    ends = np.array([True, False, True])
    assert fp.sum_pool(x, (3,), footprint=ends).tolist() == [8]
    assert fp.avg_pool(x, (3,), stride=1, padding=1, footprint=ends).tolist() == [0.5, 4, 0.5]
    pair = {"stride": 1, "padding": 1, "footprint": ends}
    assert fp.avg_pool(x, (3,), **pair, count_include_pad=False).tolist() == [1, 4, 1]
    assert fp.avg_pool(x, (3,), **pair, divisor_override=4).tolist() == [0.25, 2, 0.25]
    assert fp.avg_pool(np.array([1, 2, 4]), (3,), **pair).tolist() == [1, 3, 1]
    assert fp.mixed_pool(x, (3,), **pair, alpha=0.5).tolist() == [0.75, 4.5, 0.75]


def test_the_first_of_ties_gets_all():
    x = np.ones((3, 3), np.float32)
    given = {"stride": 1, "border": "edge", "footprint": CROSS}
    (y, i), pull = fp.vjp(fp.max_pool, x, (3, 3), **given, return_indices=True)
    assert i.tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5]]
    assert pull(y).tolist() == [[2, 2, 2], [1, 1, 1], [0, 0, 0]]
    y, i = fp.max_pool(x, (3, 3), stride=1, border="wrap", return_indices=True)
    assert i[0].tolist() == [8, 6, 7]


def test_a_whole_footprint_and_no_border_are_the_plain_call(rng):
    x = rng.standard_normal((2, 3, 8, 9)).astype(np.float32)
    plain = fp.vjp(fp.max_pool, x, 3, stride=1, padding=1)
    given = {"footprint": np.ones((3, 3), bool), "border": (None, None)}
    found = fp.vjp(fp.max_pool, x, 3, stride=1, padding=1, **given)
    np.testing.assert_array_equal(found[0], plain[0])
    np.testing.assert_array_equal(found[1](plain[0]), plain[1](plain[0]))
    told = fp.explain_call(fp.max_pool, x, 3, stride=1, padding=1, **given)
    assert told.kernel == fp.explain_call(fp.max_pool, x, 3, stride=1, padding=1).kernel


@pytest.mark.parametrize("op", ["max", "avg", "lse"])
def test_chunks_axes_and_layouts(rng, monkeypatch, op):
    """Of whatever size chunks are, and wherever the pooled axes are: the same bits."""
    x = rng.standard_normal((2, 6, 3, 7)).astype(np.float32)
    given = {"stride": (2, 1), "padding": 1, "border": (None, "wrap"), "footprint": CROSS | (np.eye(3) > 0)}
    results = []
    for size in (1 << 22, 400, 1):
        monkeypatch.setattr(footprints, "ON_HOST", size)
        y, pull = fp.vjp(fp.pool, x, op, (3, 3), axes=(1, 3), **given)
        results.append((y, pull(y)))
    turned = {**given, "stride": (1, 2), "border": ("wrap", None), "footprint": given["footprint"].T}
    y, pull = fp.vjp(fp.pool, cases.arrange(x, "F"), op, (3, 3), axes=(3, 1), **turned)
    results.append((y, pull(y)))
    out = np.zeros_like(y)
    results.append((fp.pool(x, op, (3, 3), axes=(1, 3), **given, out=out), results[0][1]))
    assert results[-1][0] is out
    for y, gx in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(gx, results[0][1])


def test_bit_equal_for_every_number_of_threads(rng, threads):
    x = rng.standard_normal((300, 400)).astype(np.float32)
    results = []
    for n in (1, 2, 3):
        threads(n)
        for given in ({}, {"footprint": CROSS}):
            y, pull = fp.vjp(fp.avg_pool, x, (3, 3), stride=1, border="edge", **given)
            results.append((y, pull(y)))
    for n, (y, gx) in enumerate(results):
        np.testing.assert_array_equal(y, results[n % 2][0])
        np.testing.assert_array_equal(gx, results[n % 2][1])


def test_draws_do_not_depend_on_chunks(rng, monkeypatch):
    x = np.abs(rng.standard_normal((3, 8, 8)))
    given = {"stride": 1, "border": "wrap", "footprint": CROSS, "rng": 7, "return_indices": True}
    y, i = fp.stochastic_pool(x, (3, 3), **given)
    monkeypatch.setattr(footprints, "ON_HOST", 500)
    again, places = fp.stochastic_pool(x, (3, 3), **given)
    np.testing.assert_array_equal(again, y)
    np.testing.assert_array_equal(places, i)
    np.testing.assert_array_equal(np.take_along_axis(x.reshape(3, -1), i.reshape(3, -1), 1), y.reshape(3, -1))


@pytest.mark.parametrize("footprint", [None, CROSS], ids=["border", "footprint"])
@pytest.mark.parametrize("operator", ["avg", "gem", "lse"])
def test_finite_differences(rng, operator, footprint):
    options = test_gradients.OPERATORS[operator]
    x = cases.distinct(rng, (2, 5, 6)) + (100 if operator == "gem" else 0)
    x = x * (0.01 if operator != "avg" else 1)
    call = {"stride": 1, "border": ("reflect", "edge"), "footprint": footprint, **options}

    def pooled_of(x, **others):
        return fp.pool(x, operator, (3, 3), **{**call, **others})

    y, pull = fp.vjp(fp.pool, x, operator, (3, 3), **call)
    gy, direction = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    gx, slopes = pull(gy, params=True)
    measured = test_gradients.directional(pooled_of, gy, x, direction)
    assert test_gradients.error(np.sum(gx * direction), measured, gy) < 1e-6
    for name, slope in slopes.items():
        change = test_gradients.directional(lambda p, n=name: pooled_of(x, **{n: p}), gy, options[name], 1.0)
        assert test_gradients.error(slope, change, gy) < 1e-6


@pytest.mark.parametrize("footprint", [None, CROSS], ids=["border", "footprint"])
def test_weights(rng, footprint):
    """Those of elements in the border are those of what they repeat, and so are their gradients."""
    x, weights = rng.standard_normal((2, 5, 6)), rng.integers(1, 4, (5, 1)) * 0.5
    call = {"stride": 1, "border": ("reflect", "edge"), "footprint": footprint}

    def pooled_of(weights):
        return fp.avg_pool(x, (3, 3), weights=weights, **call)

    y, pull = fp.vjp(fp.avg_pool, x, (3, 3), weights=weights, **call)
    sums = [fp.sum_pool(each, (3, 3), **call) for each in (x * weights, np.broadcast_to(weights, x.shape))]
    np.testing.assert_allclose(y, sums[0] / sums[1])
    gy, direction = rng.standard_normal(y.shape), rng.standard_normal(weights.shape)
    gx, slopes = pull(gy, params=True)
    assert slopes["weights"].shape == weights.shape
    measured = test_gradients.directional(pooled_of, gy, weights, direction)
    assert test_gradients.error(np.sum(slopes["weights"] * direction), measured, gy) < 1e-6
    share = fp.vjp(fp.sum_pool, x, (3, 3), **call)[1](gy / sums[1])
    np.testing.assert_allclose(gx, share * weights)


def test_mixed_with_padding_that_counts(rng):
    x = cases.distinct(rng, (6, 7))
    given = {"stride": 2, "padding": 1, "footprint": CROSS}
    y, pull = fp.vjp(fp.mixed_pool, x, (3, 3), alpha=0.25, **given)
    most, pull_most = fp.vjp(fp.max_pool, x, (3, 3), **given)
    mean, pull_mean = fp.vjp(fp.avg_pool, x, (3, 3), **given)
    np.testing.assert_allclose(y, 0.25 * most + 0.75 * mean)
    gx, slopes = pull(y, params=True)
    np.testing.assert_allclose(gx, 0.25 * pull_most(y) + 0.75 * pull_mean(y))
    np.testing.assert_allclose(slopes["alpha"], np.sum(y * (most - mean)))
    np.testing.assert_allclose(fp.pool_backward(y, x, "mixed", (3, 3), alpha=0.25, **given), gx)


def test_windows_without_elements():
    x, ends = np.arange(4.0), np.array([True, False, False])
    call = {"stride": 1, "padding": 2, "footprint": ends}
    with pytest.raises(
        ValueError, match=r"footprint must cover an element in each window, window \(0,\) has"
    ):
        fp.max_pool(x, (3,), **call)
    y, i = fp.max_pool(x, (3,), **call, skipna=True, return_indices=True)
    np.testing.assert_array_equal(y, [np.nan, np.nan, 0, 1, 2, 3])
    assert i.tolist() == [-1, -1, 0, 1, 2, 3]
    assert fp.pool_backward(y, x, "max", (3,), **call, skipna=True, indices=i).tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"fill must be given.* window \(0,\) of the max result has 0"):
        fp.max_pool(np.arange(4), (3,), **call, where=True)


BAD = {
    "word": ({"border": "nearest"}, ValueError, "border must be one of reflect, mirror, edge, wrap"),
    "number": ({"border": 0}, TypeError, "border must be one of"),
    "words": ({"border": ("edge", "wrap", "edge")}, ValueError, "border must have one entry for each of 2"),
    "ints": ({"footprint": np.ones((3, 3), int)}, TypeError, "footprint must be a bool array"),
    "shape": ({"footprint": np.ones((3, 2), bool)}, ValueError, "footprint must be a bool array .*got shape"),
    "nothing": ({"footprint": np.zeros((3, 3), bool)}, ValueError, "footprint must .*got one without"),
    "text": ({"footprint": "cross"}, TypeError, "footprint must .*got str"),
    "ragged": ({"footprint": [[True], [True, False]]}, ValueError, "footprint must"),
    "SciPy's": ({"mode": "reflect"}, TypeError, "max_pool takes no argument 'mode'; say border="),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case):
    given, kind, message = BAD[case]
    with pytest.raises(kind, match=message):
        fp.max_pool(np.zeros((5, 5)), (3, 3), **given)


@pytest.mark.parametrize("given", [{"border": "wrap"}, {"border": "wrap", "footprint": CROSS}])
def test_indices_that_come_back_are_checked(rng, given):
    x = rng.standard_normal((2, 6, 6)).astype(np.float32)
    given = {"stride": 1, **given}
    (y, i), pull = fp.vjp(fp.max_pool, x, (3, 3), **given, return_indices=True)
    gx = fp.pool_backward(y, x, "max", (3, 3), **given, indices=i)
    np.testing.assert_allclose(gx, pull(y), rtol=1e-6)
    i[0, 0, 0] = 14
    with pytest.raises(ValueError, match="indices must each lie in their own window"):
        fp.pool_backward(y, x, "max", (3, 3), **given, indices=i)


def test_what_it_says_of_itself():
    x = np.zeros((64, 64), np.float32)
    told = fp.explain_call(fp.max_pool, x, (3, 3), stride=1, border="edge")
    assert (told.kernel, told.parts[0].kernel, told.shape) == ("extended", "slides by 1", x.shape)
    told = fp.explain_call(fp.max_pool, x, (3, 3), stride=1, border="edge", footprint=CROSS)
    assert told.kernel == "stacked"
    assert told.windows.endswith("5 elements of each")
    assert told.writes == x.nbytes


# Other libraries -----------------------------------------------------------------------------------------


def test_dask(rng):
    da = pytest.importorskip("dask.array")
    x, mask = rng.standard_normal((20, 14)).astype(np.float32), rng.random((20, 14)) < 0.8
    for given in (
        {"stride": 1, "border": ("mirror", "edge")},
        {"stride": 2, "padding": 2, "border": "wrap", "where": mask},
        {"stride": 1, "padding": 1, "border": ("reflect", None)},
    ):
        expected = fp.max_pool(x, (3, 5), **given)
        y = fp.max_pool(da.from_array(x, chunks=(7, 14)), (3, 5), **given)
        np.testing.assert_array_equal(y.compute(), expected)
    with pytest.raises(TypeError, match="footprint must be None for dask arrays"):
        fp.max_pool(da.from_array(x), (3, 3), footprint=CROSS)
    with pytest.raises(TypeError, match="border must be None for gradients of dask arrays"):
        fp.vjp(fp.max_pool, da.from_array(x), (3, 3), border="edge")


def test_xarray(rng):
    xarray = pytest.importorskip("xarray")
    x = rng.standard_normal((6, 8)).astype(np.float32)
    array, footprint = (
        xarray.DataArray(x, dims=("y", "x"), coords={"x": np.arange(8.0)}),
        rng.random((5, 3)) < 0.6,
    )
    y = fp.max_pool(array, {"x": 5, "y": 3}, stride=1, border={"x": "wrap"}, footprint=footprint)
    expected = fp.max_pool(x, (3, 5), stride=1, border=(None, "wrap"), footprint=footprint.T)
    np.testing.assert_array_equal(y, expected)
    assert y.dims == ("y", "x")
    assert y.x.size == 8


@pytest.mark.peer
def test_torch(rng):
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((2, 3, 8, 8)).astype(np.float32)
    given = {"stride": 1, "border": ("edge", "wrap")}
    y, pull = fp.vjp(fp.max_pool, x, 3, **given, footprint=CROSS)
    gx = pull(y)

    listed = CROSS.tolist()  # PyTorch's compiler makes tensors of NumPy's arrays

    def pooled_of(t):
        return fp.max_pool(t, 3, **given, footprint=listed)

    for f in (pooled_of, torch.compile(pooled_of, backend="aot_eager", fullgraph=True)):
        for layout in (torch.contiguous_format, torch.channels_last):
            tensor = torch.tensor(x).to(memory_format=layout).requires_grad_()
            found = f(tensor)
            np.testing.assert_array_equal(found.detach().numpy(), y)
            found.backward(torch.from_numpy(y))
            np.testing.assert_allclose(tensor.grad.numpy(), gx, rtol=1e-6)
    found = fp.max_pool(torch.from_numpy(x), 3, **given, footprint=torch.from_numpy(CROSS))
    np.testing.assert_array_equal(found.numpy(), y)


@pytest.mark.peer
def test_jax(rng):
    jax = pytest.importorskip("jax")
    x = rng.standard_normal((3, 8, 8)).astype(np.float32)
    given = {"stride": 1, "border": "mirror", "footprint": CROSS}
    y, pull = fp.vjp(fp.max_pool, x, (3, 3), **given)
    found = jax.jit(lambda a: fp.max_pool(a, (3, 3), **given))(x)
    np.testing.assert_array_equal(np.asarray(found), y)
    gx = jax.grad(lambda a: fp.max_pool(a, (3, 3), **given).sum())(x)
    np.testing.assert_allclose(np.asarray(gx), pull(np.ones_like(y)), rtol=1e-6)


# Arrays on a GPU: what the CPU gives ---------------------------------------------------------------------

ON_GPU = {
    "max border": ("max", {"border": ("reflect", "edge"), "return_indices": True}),
    "max": ("max", {"border": ("wrap", None), "footprint": CROSS, "padding": 1, "return_indices": True}),
    "avg": ("avg", {"footprint": CROSS, "padding": 1}),
    "avg weights": ("avg", {"footprint": CROSS, "border": "mirror", "weights": np.full((4, 1), 0.5)}),
    "lse where": ("lse", {"footprint": CROSS, "padding": 1, "where": np.arange(20).reshape(5, 4).T % 3 > 0}),
    "mixed": ("mixed", {"footprint": CROSS, "padding": 1}),
}


@test_missing.on_cuda
@pytest.mark.parametrize("case", ON_GPU)
def test_cuda(rng, case):
    op, given = ON_GPU[case]
    x = cases.distinct(rng, (2, 4, 5)) * 0.1
    given = {"op": op, "window": (3, 3), "stride": 1, **given}
    footprint = given.pop("footprint", None)
    function = fp.pool
    y, pull = fp.vjp(function, x, **given, footprint=footprint)
    on_gpu = {name: parity.to_device(value) for name, value in given.items()}
    found, pull_found = fp.vjp(function, parity.to_device(x), **on_gpu, footprint=footprint)
    parity.assert_same(parity.to_host(found), y, 1e-12)
    values = y[0] if isinstance(y, tuple) else y
    gx, slopes = pull(values, params=True)
    gradient, others = parity.to_host(pull_found(parity.to_device(values), params=True))
    parity.assert_same(gradient, gx, 1e-12)
    for name, slope in slopes.items():
        np.testing.assert_allclose(others[name], slope, rtol=1e-9)


def test_nearest(rng):
    """The first and the middle one of the footprint's elements."""
    x, cross = rng.standard_normal((2, 9, 11)), np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
    y, indices = fp.nearest_pool(x, (3, 3), stride=2, footprint=cross, return_indices=True)
    np.testing.assert_array_equal(y, x[:, 0:7:2, 1:10:2])
    np.testing.assert_array_equal(x.reshape(2, -1)[np.arange(2)[:, None, None], indices], y)
    centre = fp.nearest_pool(x, (3, 3), stride=1, border="reflect", footprint=cross, corner="middle")
    np.testing.assert_array_equal(centre, x)
    gy = rng.standard_normal(y.shape)
    gx = np.zeros_like(x)
    gx[:, 0:7:2, 1:10:2] = gy
    np.testing.assert_array_equal(fp.vjp(fp.nearest_pool, x, (3, 3), stride=2, footprint=cross)[1](gy), gx)
    for given in ({}, {"indices": indices}):
        back = fp.pool_backward(gy, x, "nearest", (3, 3), stride=2, footprint=cross, **given)
        np.testing.assert_array_equal(back, gx)
    with pytest.raises(ValueError, match="padding and ceil_mode must keep each window inside"):
        fp.nearest_pool(x, (3, 3), padding=1, footprint=cross)
