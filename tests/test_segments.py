"""Segments by ids and by offsets: against the oracle, other libraries and finite differences."""

import cases
import ml_dtypes
import numpy as np
import pytest
import reference
import test_gradients
import test_missing
import test_parity as parity
from hypothesis import given, settings
from hypothesis import strategies as st
from test_missing import close, oracle

import fastpool as fp
from fastpool import windows

OPS = test_missing.OPS
CHOOSING = test_missing.CHOOSING
WAYS = ("where", "skipna", "nodata", "all")


def grouped(rng, n, by):
    """Arguments that group `n` elements, and the same as ids: -1 of an element in no segment."""
    number = int(rng.integers(1, n + 3))
    if by == "offsets":
        offsets = np.sort(rng.integers(0, n + 1, number + 1))
        own = np.searchsorted(offsets, np.arange(n), "right") - 1
        return {"ids": None, "offsets": offsets}, np.where(own < number, own, -1), number
    ids = rng.integers(0, number, n)
    return {"ids": np.sort(ids) if by == "sorted ids" else ids, "num_segments": number}, ids, number


def drawn(rng, by):
    """A shape, an axis, the arguments that group it, and what the oracle takes."""
    shape = [int(n) for n in rng.integers(1, 4, rng.integers(1, 4))]
    axis = int(rng.integers(len(shape)))
    shape[axis] = int(rng.integers(1, 12))
    call, ids, number = grouped(rng, shape[axis], by)
    ids = ids if call["ids"] is None else call["ids"]
    return tuple(shape), axis, {**call, "axis": axis}, reference.segments(ids, number)


def checked(x, op, axis, call, table, mask, absent):
    """Values, indices and gradients, beside the oracle's; `absent` is what the call says of missing data."""
    label = f"{x.shape} {call} {absent}"
    y, indices, _ = oracle(x, op, absent, mask, (axis,), [table])
    found = fp.segment_pool(x, op=op, **call, **OPS[op], **absent)
    close(found, y, label)
    assert found.flags.c_contiguous
    given = {**call, **OPS[op], **absent}
    if op in CHOOSING:
        value, places = fp.segment_pool(x, op=op, **given, return_indices=True)
        close(value, y, label)
        np.testing.assert_array_equal(places, indices, err_msg=label)
        assert places.dtype == np.int32
    if op in ("count", "mode"):
        return
    gy = np.random.default_rng(1).normal(size=y.shape)
    least, options = max(absent.get("min_count", 1), 1), cases.for_oracle(OPS[op])
    plain = np.where(mask, x, 0)
    gx = reference.pull_some(gy, plain, op, [table], (axis,), mask, least=least, **options)[0]
    close(fp.vjp(fp.segment_pool, x, op=op, **given)[1](gy), gx, label)
    close(fp.segment_pool_backward(gy, x, op=op, **given), gx, label)
    if op in CHOOSING:
        close(fp.segment_pool_backward(gy, x, op=op, **given, indices=places), gx, label)


@pytest.mark.parametrize("by", ["ids", "sorted ids", "offsets"])
@pytest.mark.parametrize("op", OPS)
def test_every_operator(op, by):
    rng = np.random.default_rng([*map(ord, op + by)])
    for _ in range(3 * test_missing.SEEDS):
        shape, axis, call, table = drawn(rng, by)
        x, _, _ = test_missing.holed(rng, shape, op, "")
        fill = {"fill": 77} if x.dtype.kind == "i" else {}
        checked(x, op, axis, call, table, np.ones(shape, bool), fill)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("op", OPS)
def test_missing_data(op, way):
    rng = np.random.default_rng([*map(ord, op + way)])
    for _ in range(2 * test_missing.SEEDS):
        shape, axis, call, table = drawn(rng, str(rng.choice(["ids", "sorted ids", "offsets"])))
        x, absent, mask = test_missing.holed(rng, shape, op, way)
        checked(x, op, axis, call, table, mask, absent)


@pytest.mark.parametrize("op", ["avg", "sum", "count"])
def test_weights(op):
    rng = np.random.default_rng([*map(ord, op)])
    for _ in range(4 * test_missing.SEEDS):
        shape, axis, call, table = drawn(rng, str(rng.choice(["ids", "offsets"])))
        x, absent, mask = test_missing.holed(rng, shape, op, "skipna")
        absent["min_count"] = max(absent.get("min_count", 1), 1)
        own = tuple(n if rng.random() < 0.6 else 1 for n in shape)[rng.integers(len(shape)) :]
        weights = rng.integers(0, 3, own) * 0.5
        given = {**call, **absent, "weights": weights}
        y = oracle(x, op, absent, mask, (axis,), [table], weights)[0]
        close(fp.segment_pool(x, op=op, **given), y, str((shape, given)))
        if op == "count":
            continue
        gy, least = rng.normal(size=y.shape), max(absent.get("min_count", 1), 1)
        gx, gw = reference.pull_some(
            gy, np.where(mask, x, 0), op, [table], (axis,), mask, least=least, weights=weights
        )
        spread = (1,) * (len(shape) - len(own)) + own
        along = tuple(a for a, (n, m) in enumerate(zip(spread, shape, strict=True)) if n != m)
        found, slopes = fp.vjp(fp.segment_pool, x, op=op, **given)[1](gy, params=True)
        close(found, gx)
        close(slopes["weights"], gw.sum(along, keepdims=True).reshape(own))
        close(fp.segment_pool_backward(gy, x, op=op, **given), gx)


@pytest.mark.parametrize("operator", test_gradients.OPERATORS)
@pytest.mark.parametrize("by", ["ids", "offsets"])
def test_finite_differences(operator, by):
    op, options = operator.split()[0], test_gradients.OPERATORS[operator]
    rng = np.random.default_rng(test_gradients.SEED)
    x = cases.distinct(rng, (3, 12, 2))
    call = {"ids": rng.permutation(np.arange(12) % 4), "num_segments": 6}
    if by == "offsets":
        call = {"ids": None, "offsets": (1, 1, 5, 6, 11)}
    call |= {"axis": 1, **options}

    def pooled(x, **others):
        return np.nan_to_num(fp.segment_pool(x, op=op, **{**call, **others}))

    y, pull = fp.vjp(fp.segment_pool, x, op=op, **call)
    gy, direction = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    gx, slopes = pull(gy, params=True)
    np.testing.assert_array_equal(fp.segment_pool_backward(gy, x, op=op, **call), gx)
    measured = test_gradients.directional(pooled, gy, x, direction)
    assert test_gradients.error(np.sum(gx * direction), measured, gy) < 1e-6
    assert list(slopes) == [name for own, name in test_gradients.PARAMETERS.items() if own == op]
    for name, slope in slopes.items():
        along = test_gradients.directional(
            lambda p, name=name: pooled(x, **{name: p}), gy, options[name], 1.0
        )
        assert test_gradients.error(slope, along, gy) < 1e-6


@settings(max_examples=200)
@given(st.data())
def test_tables_and_their_inverses(data):
    n = data.draw(st.integers(1, 9))
    offsets = np.array(sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=8))))
    table = windows.segments(n, offsets)
    inverse = windows.inverse(table)
    assert ((table.lo >= 0) & (table.lo < n)).all()
    first, last = table.bounds
    assert (np.diff(first) >= 0).all()
    assert (np.diff(last) >= 0).all()
    np.testing.assert_array_equal(last - first + 1 > 0, table.count > 0)
    for element in range(n):
        own = [s for s in range(offsets.size - 1) if offsets[s] <= element < offsets[s + 1]]
        assert inverse.count[element] == len(own)
        if own:
            assert inverse.lo[element] == own[0]


# Rules ---------------------------------------------------------------------------------------------------


def test_by_hand():
    x, ids = np.array([4.0, 1.0, 7.0, 2.0, 6.0]), np.array([2, 0, 2, 0, 0])
    y, i = fp.segment_pool(x, ids, "max", 4, return_indices=True)
    np.testing.assert_array_equal(y, [6, np.nan, 7, np.nan])
    assert i.tolist() == [4, -1, 2, -1]
    assert fp.segment_pool(x, ids, "count", 4).tolist() == [3, 0, 2, 0]
    assert fp.segment_pool(x, ids, "sum", 4, min_count=0).tolist() == [9, 0, 11, 0]
    assert fp.segment_pool(x, ids, "avg", fill=-1).tolist() == [3, -1, 5.5]
    assert fp.segment_pool(x, None, "sum", offsets=(1, 1, 4)).tolist()[1:] == [10]
    columns = np.arange(8.0).reshape(2, 4)
    assert fp.segment_pool(columns, np.array([1, 0, 1, 0]), "sum", axis=-1).tolist() == [[4, 2], [12, 10]]
    assert fp.segment_pool(columns, np.array([1, 1]), "max", axis=0)[1].tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64, ">i4"])
def test_ids_and_offsets_of_every_dtype(kind):
    x, ids = np.arange(6.0), np.array([3, 0, 0, 1, 3, 0])
    expected = fp.segment_pool(x, ids, "sum", 4)
    np.testing.assert_array_equal(fp.segment_pool(x, ids.astype(kind), "sum"), expected)
    np.testing.assert_array_equal(fp.segment_pool(x, np.repeat(ids, 2).astype(kind)[::2], "sum"), expected)
    offsets = np.array([0, 2, 2, 5])
    expected = fp.segment_pool(x, None, "sum", offsets=offsets)
    np.testing.assert_array_equal(fp.segment_pool(x, None, "sum", offsets=offsets.astype(kind)), expected)
    np.testing.assert_array_equal(fp.segment_pool(x, None, "sum", offsets=[np.int8(0), 2, 2, 5]), expected)


def test_the_first_of_ties_and_nans_is_that_of_the_input():
    ids = np.array([1, 0, 1, 0, 1, 0])
    x = np.array([5.0, 2.0, 5.0, 2.0, 1.0, 2.0])
    y, i = fp.segment_pool(x, ids, "max", return_indices=True)
    assert (y.tolist(), i.tolist()) == ([2, 5], [1, 0])
    x[[2, 4]] = np.nan
    y, i = fp.segment_pool(x, ids, "min", return_indices=True)
    assert np.isnan(y[1])
    assert i.tolist() == [1, 2]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.int8, np.uint64, np.bool_])
@pytest.mark.parametrize("op", ["max", "avg", "sum", "median", "count"])
def test_dtypes_are_those_of_pool(op, dtype):
    """Values and dtypes of windows of one size, whichever way they are given."""
    rng = np.random.default_rng(3)
    x = parity.random_values(rng, (12, 5), dtype)
    expected = fp.pool(x, op, 3, axes=0)
    order = rng.permutation(12)
    for call in ({"ids": np.arange(12) // 3}, {"ids": None, "offsets": (0, 3, 6, 9, 12)}):
        y = fp.segment_pool(x, op=op, **call)
        assert y.dtype == expected.dtype
        np.testing.assert_array_equal(y, expected)
    mixed = fp.segment_pool(x[order], (np.arange(12) // 3)[order], op)
    assert mixed.dtype == expected.dtype
    tolerance = 0 if np.dtype(dtype).kind in "iub" else 1e-2
    np.testing.assert_allclose(
        mixed.astype(np.float64), expected.astype(np.float64), rtol=tolerance, atol=tolerance
    )
    wide = fp.segment_pool(x, np.arange(12) // 3, op, 6, fill=1)
    assert wide.dtype == expected.dtype
    np.testing.assert_array_equal(wide[:4], expected)
    assert (wide[4:] == 1).all()


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_an_empty_segment_of_integers_is_named(dtype):
    x = np.ones((4, 2), dtype)
    with pytest.raises(
        ValueError, match=r"fill must be given, since .* has no NaN: segment 1 has no elements"
    ):
        fp.segment_pool(x, np.array([0, 2, 2, 0]), "max")
    with pytest.raises(ValueError, match=r"segment 3 has no elements"):
        fp.segment_pool(x, None, "sum", offsets=[0, 1, 2, 4, 4])
    with pytest.raises(ValueError, match=r"window \(1, 0\) of the max result has 0 elements"):
        fp.segment_pool(x, np.array([0, 1, 0, 1]), "max", where=np.array([1, 0, 1, 0], bool)[:, None])
    nodata = x.dtype.type(1)
    assert (fp.segment_pool(x, np.array([0, 2, 2, 0]), "max", nodata=nodata) == 1).all()
    assert fp.segment_pool(x, np.array([0, 2, 2, 0]), "sum", min_count=0).tolist() == [[2, 2], [0, 0], [2, 2]]
    assert fp.segment_pool(x[:, :0], np.array([0, 2, 2, 0]), "max").shape == (3, 0)


def test_a_divisor_of_ones_own():
    x, ids = np.arange(6.0), np.array([0, 2, 0, 2, 2, 0])
    y, pull = fp.vjp(fp.segment_pool, x, ids, "avg", divisor_override=2)
    np.testing.assert_array_equal(y, [3.5, np.nan, 4])
    assert pull(np.ones(3)).tolist() == [0.5] * 6
    with pytest.raises(ValueError, match="divisor_override must be None"):
        fp.segment_pool(x, ids, "avg", divisor_override=2, skipna=True)


def test_more_elements_may_be_asked_for_than_there_are():
    x, ids = np.arange(5.0), np.array([0, 1, 1, 1, 0])
    np.testing.assert_array_equal(fp.segment_pool(x, ids, "sum", min_count=3), [np.nan, 6])
    assert np.isnan(fp.segment_pool(x, ids, "max", min_count=9)).all()
    assert fp.segment_pool_backward(np.ones(2), x, ids, "sum", min_count=3).tolist() == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("op", OPS)
def test_axes_without_elements_and_no_segments(op):
    dtype = np.int64 if op == "mode" else np.float64
    none, fill = np.zeros(0, np.int64), {"fill": 5} if op == "mode" else {}
    for x, call, shape in (
        (np.zeros((0, 3), dtype), {"ids": none, "num_segments": 2}, (2, 3)),
        (np.zeros((0, 3), dtype), {"ids": none}, (0, 3)),
        (np.zeros((0, 3), dtype), {"ids": None, "offsets": [0, 0, 0]}, (2, 3)),
        (np.zeros((4, 3), dtype), {"ids": None, "offsets": [2]}, (0, 3)),
        (np.zeros((4, 0), dtype), {"ids": np.array([0, 3, 0, 0])}, (4, 0)),
        (np.zeros((0, 0), dtype), {"ids": none, "num_segments": 3}, (3, 0)),
        (np.zeros((4, 3), dtype), {"ids": None, "offsets": [4, 4, 4]}, (2, 3)),
    ):
        for absent in ({}, {"where": np.ones(x.shape, bool), "min_count": 2, "fill": 5}):
            given = {**call, **OPS[op], **fill, **absent}
            y = fp.segment_pool(x, op=op, **given)
            assert y.shape == shape
            filled = 0 if op == "count" and not absent else 5 if "fill" in given else np.nan
            np.testing.assert_array_equal(y, np.full(shape, filled))
            if op in ("count", "mode"):
                continue
            y, pull = fp.vjp(fp.segment_pool, x, op=op, **given)
            gx, _ = pull(np.ones(shape), params=True)
            assert gx.shape == x.shape
            assert not gx.any()
            assert fp.segment_pool_backward(np.ones(shape), x, op=op, **given).shape == x.shape
        if op in CHOOSING:
            assert (fp.segment_pool(x, op=op, **call, return_indices=True)[1] == -1).all()


def test_weights_of_no_elements():
    y, pull = fp.vjp(
        fp.segment_pool, np.zeros((0, 3)), np.zeros(0, int), "avg", 2, weights=np.ones(3, np.float32)
    )
    assert np.isnan(y).all()
    gx, slopes = pull(np.ones((2, 3)), params=True)
    assert gx.shape == (0, 3)
    assert slopes["weights"].tolist() == [0, 0, 0]
    assert slopes["weights"].dtype == np.float32


@pytest.mark.parametrize("layout", cases.LAYOUTS)
def test_layouts(rng, layout):
    x, ids = rng.standard_normal((3, 20, 4)).astype(np.float32), rng.integers(0, 5, 20)
    for call in ({"ids": ids}, {"ids": np.sort(ids)}, {"ids": None, "offsets": [2, 9, 9, 20]}):
        for op in ("max", "avg"):
            expected, expected_pull = fp.vjp(fp.segment_pool, x, op=op, axis=1, **call)
            given = cases.arrange(x, layout)
            y, pull = fp.vjp(fp.segment_pool, given, op=op, axis=1, **call)
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(pull(cases.arrange(y, layout)), expected_pull(y))
            np.testing.assert_array_equal(given, x)


@pytest.mark.parametrize("op", ["max", "sum", "lse", "median", "stochastic"])
def test_bit_equal_for_every_number_of_threads(rng, threads, op):
    """Many segments of very different lengths, some of them empty."""
    x, ids = rng.standard_normal((6_000, 3)).astype(np.float32), rng.integers(0, 3_000, 6_000)
    ids[:2_000], results = 7, []
    options = {"rng": 5} if op == "stochastic" else {}
    for n in (1, 2, 3):
        threads(n)
        y, pull = fp.vjp(fp.segment_pool, x, ids, op, 3_100, **options)
        results.append((y, pull(np.nan_to_num(y))))
    for y, gx in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(gx, results[0][1])
    if op == "sum":
        expected = np.zeros((3_100, 3))
        np.add.at(expected, ids, x.astype(np.float64))
        np.testing.assert_allclose(np.nan_to_num(results[0][0]), expected, rtol=1e-6, atol=1e-5)


def test_gradients_of_rows_that_are_bands_of_their_own(rng):
    """So long that the last element along the axis is a task by itself, behind which segments are empty."""
    x = rng.standard_normal((3, 200_000)).astype(np.float16)
    call = {"ids": None, "offsets": [0, 2, 3, 3, 3]}
    y, pull = fp.vjp(fp.segment_pool, x, op="max", **call)
    gx = pull(np.ones_like(y))
    assert gx[2].all()
    np.testing.assert_array_equal(gx[:2].sum(0), np.ones(200_000))


def test_draws_depend_on_the_seed_and_the_place_of_the_result(rng):
    x, ids = np.abs(rng.standard_normal((40, 3))), rng.integers(0, 6, 40)
    given = {"rng": 11, "return_indices": True}
    y, i = fp.segment_pool(x, ids, "stochastic", 8, **given)
    order = np.argsort(ids, kind="stable")
    offsets = np.searchsorted(ids[order], np.arange(9))
    sorted_y, places = fp.segment_pool(x[order], None, "stochastic", offsets=offsets, **given)
    np.testing.assert_array_equal(y, sorted_y)
    kept = i >= 0
    np.testing.assert_array_equal(i[kept], order[places[kept]])
    np.testing.assert_array_equal(np.take_along_axis(x, i, 0)[kept], y[kept])
    masked = fp.segment_pool(x, ids, "stochastic", 8, where=np.ones(40, bool)[:, None], **given)
    np.testing.assert_array_equal(masked[1], i)


def test_what_came_in_is_as_it_was_and_may_change(rng):
    x, ids = rng.standard_normal((9, 2)), np.array([1, 0, 2, 0, 1, 0, 2, 2, 1])
    before = x.copy(), ids.copy()
    (y, i), pull = fp.vjp(fp.segment_pool, x, ids, "max", return_indices=True)
    expected = pull(np.ones_like(y))
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(ids, before[1])
    gy = np.ones_like(y)
    x[...], ids[...], y[...], i[...] = np.nan, 0, np.nan, 2**30
    np.testing.assert_array_equal(pull(gy), expected)
    offsets = np.array([0, 4, 9])
    _, pull = fp.vjp(fp.segment_pool, before[0], None, "max", offsets=offsets)
    offsets[...] = 0
    assert pull(np.ones((2, 2))).sum() == 4


def test_what_it_says_of_itself(rng):
    x, ids = rng.standard_normal((500, 8)).astype(np.float32), rng.integers(0, 50, 500)
    told = fp.explain_call(fp.segment_pool, x, ids, "max", 60)
    assert told.kernel == "gathered"
    assert told.parts[0].kernel == "general"
    assert told.shape == x.shape
    told = fp.explain_call(fp.segment_pool, x, np.sort(ids), "max", 60)
    assert told.kernel == "general"
    assert told.windows.startswith("0 to ")
    even = fp.explain_call(fp.segment_pool, x, None, "max", offsets=range(0, 501, 5))
    assert even.kernel != "general"


# Other libraries -----------------------------------------------------------------------------------------


@pytest.fixture
def labelled(rng):
    """Values, and ids of which none is without an element."""
    return rng.standard_normal((60, 4)).astype(np.float32), rng.permutation(np.arange(60) % 7)


def test_numpy(labelled):
    x, ids = labelled
    starts = np.array([0, 7, 8, 30])
    for op, ufunc in (("sum", np.add), ("max", np.maximum), ("min", np.minimum)):
        y = fp.segment_pool(x, None, op, offsets=[*starts, 60])
        np.testing.assert_allclose(y, ufunc.reduceat(x, starts), rtol=1e-5, atol=1e-6)
    counted = np.bincount(ids, weights=x[:, 0])
    np.testing.assert_allclose(fp.segment_pool(x[:, 0], ids, "sum"), counted, rtol=1e-5, atol=1e-6)


def test_scipy(labelled):
    ndimage = pytest.importorskip("scipy.ndimage")
    x, ids = labelled[0][:, 0], labelled[1]
    for op, theirs in (
        ("max", ndimage.maximum),
        ("min", ndimage.minimum),
        ("sum", ndimage.sum_labels),
        ("avg", ndimage.mean),
        ("median", ndimage.median),
    ):
        expected = theirs(x, ids, range(7))
        np.testing.assert_allclose(fp.segment_pool(x, ids, op), expected, rtol=1e-5, atol=1e-6)
    places = fp.segment_pool(x, ids, "max", return_indices=True)[1]
    assert places.tolist() == [place for (place,) in ndimage.maximum_position(x, ids, range(7))]


@pytest.mark.peer
def test_jax(labelled):
    ops = pytest.importorskip("jax.ops")
    x, ids = labelled
    for op, theirs in (("max", ops.segment_max), ("min", ops.segment_min), ("sum", ops.segment_sum)):
        expected = np.asarray(theirs(x, ids, 9))
        y = fp.segment_pool(x, ids, op, 9)
        np.testing.assert_allclose(y[:7], expected[:7], rtol=1e-5, atol=1e-6)
        assert np.isnan(y[7:]).all()  # there -inf, inf and 0


@pytest.mark.peer
def test_tensorflow(labelled):
    tf = pytest.importorskip("tensorflow")
    x, ids = labelled
    for op, theirs in (
        ("max", tf.math.unsorted_segment_max),
        ("min", tf.math.unsorted_segment_min),
        ("sum", tf.math.unsorted_segment_sum),
        ("avg", tf.math.unsorted_segment_mean),
    ):
        expected = theirs(x, ids, 7).numpy()
        np.testing.assert_allclose(fp.segment_pool(x, ids, op), expected, rtol=1e-5, atol=1e-6)
    expected = tf.math.segment_max(x, np.sort(ids)).numpy()
    np.testing.assert_array_equal(fp.segment_pool(x, np.sort(ids), "max"), expected)


@pytest.mark.peer
def test_torch(labelled):
    torch = pytest.importorskip("torch")
    x, ids = map(torch.from_numpy, labelled)
    own = x.clone().requires_grad_()
    spread = ids[:, None].expand_as(x)
    for op, reduce in (("max", "amax"), ("min", "amin"), ("sum", "sum"), ("avg", "mean")):
        theirs = torch.zeros(7, 4).scatter_reduce(0, spread, own, reduce, include_self=False)
        y = fp.segment_pool(own, ids, op)
        assert isinstance(y, torch.Tensor)
        torch.testing.assert_close(y, theirs)
        gy = torch.randn(7, 4)
        (expected,), (found,) = (torch.autograd.grad(each, own, gy) for each in (theirs, y))
        torch.testing.assert_close(found, expected)
    y, i = fp.segment_pool(own, ids, "max", return_indices=True)
    torch.testing.assert_close(y, own.gather(0, i.long()))


# Errors --------------------------------------------------------------------------------------------------

X, IDS = np.arange(5.0), np.array([0, 1, 1, 0, 2])
WRONG = [
    ((X, None, "max"), {}, ValueError, "exactly one of ids and offsets must be given, got none of them"),
    ((X, IDS, "max"), {"offsets": [0, 5]}, ValueError, "exactly one of ids and offsets .* got both"),
    ((X, IDS[:4], "max"), {}, ValueError, r"ids must have one entry for each of the 5 elements .*\(4,\)"),
    ((X, IDS[:, None], "max"), {}, ValueError, r"ids must have one entry .*\(5, 1\)"),
    ((X, IDS - 1, "max"), {}, ValueError, r"ids must be at least 0, got -1\.\.1"),
    ((X, IDS, "max", 2), {}, ValueError, r"ids must be at least 0 and below num_segments, 2, got 0\.\.2"),
    ((X, IDS, "max", 0), {}, ValueError, r"below num_segments, 0, got 0\.\.2"),
    ((X, IDS * 1.0, "max"), {}, TypeError, "ids must be integers, got float64"),
    ((X, IDS > 0, "max"), {}, TypeError, "ids must be integers, got bool"),
    ((X, [0, 1, 1, 0, 2], "max"), {}, TypeError, r"ids must be an array .*got builtins\.list"),
    ((X, IDS + 2**40, "max"), {}, ValueError, "ids must make fewer than 2147483648 segments"),
    ((X, IDS.astype(np.uint64) << 62, "max"), {}, ValueError, "ids must make fewer than"),
    ((X, IDS, "max", -1), {}, ValueError, "num_segments must be at least 0, got -1"),
    ((X, IDS, "max", 2.0), {}, TypeError, "num_segments must be an integer, got 2.0"),
    ((X, IDS, "max", 2**40), {}, ValueError, "num_segments must make fewer than 2147483648 segments"),
    (
        (X, None, "max", 3),
        {"offsets": [0, 5]},
        ValueError,
        "num_segments must be 1, as offsets has it.*got 3",
    ),
    ((X, None, "max"), {"offsets": []}, ValueError, r"offsets must have one axis.*got shape \(0,\)"),
    ((X, None, "max"), {"offsets": [[0, 5]]}, TypeError, "offsets must be an integer"),
    (
        (X, None, "max"),
        {"offsets": np.zeros((1, 2), int)},
        ValueError,
        r"offsets must have one axis.*\(1, 2\)",
    ),
    ((X, None, "max"), {"offsets": 5}, TypeError, "offsets must be an array"),
    ((X, None, "max"), {"offsets": [0.0, 5]}, TypeError, "offsets must be an integer, got 0.0"),
    ((X, None, "max"), {"offsets": np.array([0.0])}, TypeError, "offsets must be integers, got float64"),
    ((X, None, "max"), {"offsets": [0, 6]}, ValueError, r"offsets must be in 0\.\.5, .*got 0\.\.6"),
    ((X, None, "max"), {"offsets": [-1, 5]}, ValueError, "offsets must be at least 0, got -1"),
    (
        (X, None, "max"),
        {"offsets": np.array([-1, 5])},
        ValueError,
        r"offsets must be in 0\.\.5, .*got -1\.\.5",
    ),
    ((X, None, "max"), {"offsets": [0, 2**70]}, ValueError, r"offsets must be in 0\.\.5"),
    ((X, None, "max"), {"offsets": [0, 3, 2, 5]}, ValueError, "offsets must be sorted, got 2 after 3"),
    ((X, IDS, "max"), {"axis": 1}, ValueError, r"axis must be in -1\.\.0 for an array of 1 axes, got 1"),
    ((X, IDS, "max"), {"axis": None}, TypeError, "axis must be an integer, got None"),
    ((X, IDS, "max"), {"axis": True}, TypeError, "axis must be an integer, got True"),
    ((X[0:1].reshape(()), IDS[:1], "max"), {}, ValueError, "x must have at least one axis"),
    ((X, IDS, "best"), {}, ValueError, "op must be one of max, min"),
    ((X, IDS, "max"), {"p": 2}, TypeError, "max pooling takes no parameter 'p'"),
    ((X, IDS, "avg"), {"return_indices": True}, ValueError, "return_indices is for operators that choose"),
    ((X, IDS, "max"), {"where": np.ones(4, bool)}, ValueError, "where must broadcast to the shape of x"),
    ((X, IDS, "max"), {"axes": 0}, TypeError, "segment_pool takes no argument 'axes'; say axis="),
    ((X, IDS, "max"), {"dim_size": 3}, TypeError, "takes no argument 'dim_size'; say num_segments="),
]


@pytest.mark.parametrize(("arguments", "options", "error", "message"), WRONG)
def test_errors(arguments, options, error, message):
    with pytest.raises(error, match=message):
        fp.segment_pool(*arguments, **options)


def test_errors_backward():
    i = fp.segment_pool(X, IDS, "max", 5, return_indices=True)[1]
    assert i.tolist() == [3, 2, 4, -1, -1]
    with pytest.raises(ValueError, match=r"gy must have the result's shape \(5,\), got \(3,\)"):
        fp.segment_pool_backward(np.ones(3), X, IDS, "max", 5)
    for wrong in ([3, 2, 4, -1, 0], [3, 2, -1, -1, -1], [1, 2, 4, -1, -1]):
        with pytest.raises(ValueError, match="indices must each lie in their own window"):
            fp.segment_pool_backward(np.ones(5), X, IDS, "max", 5, indices=np.array(wrong))
    with pytest.raises(ValueError, match=r"indices must be in -1\.\.4, got -1\.\.5"):
        fp.segment_pool_backward(np.ones(5), X, IDS, "max", 5, indices=np.array([3, 2, 5, -1, -1]))
    with pytest.raises(ValueError, match=r"indices must be in"):
        fp.segment_pool_backward(np.ones(3), X, np.sort(IDS), "max", indices=np.array([3, 2, 5]))
    with pytest.raises(ValueError, match="indices are for operators that choose an element, got op='avg'"):
        fp.segment_pool_backward(np.ones(5), X, IDS, "avg", 5, indices=i)
    with pytest.raises(TypeError, match="count pooling has no gradient"):
        fp.vjp(fp.segment_pool, X, IDS, "count")


def test_masked_arrays(rng):
    x = np.ma.masked_array(rng.standard_normal(8), rng.random(8) < 0.4)
    ids = np.array([3, 0, 3, 0, 1, 3, 0, 3])
    y = fp.segment_pool(x, ids, "sum", 5)
    assert y.mask[[2, 4]].all()
    for s in (0, 1, 3):
        assert y[s] == pytest.approx(x[ids == s].sum()) or (y.mask[s] and x[ids == s].mask.all())
    y = fp.segment_pool(np.ma.masked_array([4, 2, 3], [False] * 3), np.array([0, 2, 2]), "max")
    assert y.mask.tolist() == [False, True, False]
    assert y.compressed().tolist() == [4, 3]


# Arrays on a GPU: what the CPU gives ---------------------------------------------------------------------


@test_missing.on_cuda
@pytest.mark.parametrize("by", ["ids", "sorted ids", "offsets"])
@pytest.mark.parametrize("way", ["", "where", "skipna"])
@pytest.mark.parametrize("op", ["max", "avg", "sum", "lse", "median", "stochastic", "count"])
def test_cuda(op, way, by):
    rng = np.random.default_rng([*map(ord, op + way + by)])
    options = {"rng": 7} if op == "stochastic" else {}
    for _ in range(3):
        shape, _, call, _ = drawn(rng, by)
        x, absent, _ = test_missing.holed(rng, shape, op, way)
        given = {"op": op, **call, **options, **(absent if way else {})}
        if op == "count":
            wanted = fp.segment_pool(x, **given)
            parity.assert_same(parity.on_device(fp.segment_pool, x, **given), wanted)
            continue
        if op in (*CHOOSING, "stochastic"):
            given["return_indices"] = True
        test_missing.assert_same_pulls(fp.segment_pool, x, given)


@test_missing.on_cuda
@pytest.mark.parametrize("op", ["avg", "sum"])
def test_cuda_weights(op):
    rng = np.random.default_rng(4)
    for own in ((9,), (4, 1), (4, 9), (1, 1)):
        x, weights = rng.standard_normal((4, 9)), rng.integers(0, 3, own) * 0.5
        given = {"op": op, "ids": rng.integers(0, 4, 9), "num_segments": 5, "axis": 1, "weights": weights}
        test_missing.assert_same_pulls(fp.segment_pool, x, given)


@test_missing.on_cuda
@pytest.mark.parametrize("op", ["max", "avg", "lse"])
def test_cuda_teams(op):
    """Windows that a team shares, or several blocks, beside empty ones."""
    rng = np.random.default_rng(5)
    x, ids = rng.standard_normal((700, 1)), np.where(rng.random(700) < 0.9, 3, rng.integers(0, 3, 700))
    test_missing.assert_same_pulls(fp.segment_pool, x, {"op": op, "ids": ids, "num_segments": 6})
    where = rng.random((700, 1)) < 0.7
    given = {"op": op, "ids": ids, "num_segments": 6, "where": where}
    test_missing.assert_same_pulls(fp.segment_pool, x, given)


@test_missing.on_cuda
@pytest.mark.parametrize("dtype", [np.float16, np.int16, np.bool_])
@pytest.mark.parametrize("op", ["max", "sum", "avg"])
def test_cuda_dtypes(op, dtype):
    rng = np.random.default_rng(6)
    x, ids = parity.random_values(rng, (11, 3), dtype), rng.integers(0, 4, 11)
    given = {"op": op, "ids": ids, "num_segments": 6, "fill": 1}
    wanted = fp.segment_pool(x, **given)
    tolerance = parity.tolerance_of(op, dtype)
    parity.assert_same(parity.on_device(fp.segment_pool, x, **given), wanted, tolerance)
    gy = rng.standard_normal(wanted.shape).astype(np.float32)
    gradient = fp.segment_pool_backward(gy, x, **given)
    found = parity.on_device(fp.segment_pool_backward, gy, x, **given)
    parity.assert_same(found, gradient, 2e-2 if x.dtype == np.float16 else 1e-6)


@test_missing.on_cuda
def test_cuda_errors_and_indices_that_come_back():
    rng = np.random.default_rng(7)
    for arguments, options, error, _ in WRONG:
        with pytest.raises(error) as wanted:
            fp.segment_pool(*arguments, **options)
        with pytest.raises(error) as found:
            parity.on_device(fp.segment_pool, *arguments, **options)
        assert str(found.value) == str(wanted.value)
    x, ids = rng.standard_normal((9, 2)), np.array([0, 3, 1, 0, 3, 3, 1, 0, 0])
    right = fp.segment_pool(x, ids, "max", return_indices=True)[1]
    for _ in range(20):
        wrong = right.copy()
        wrong.flat[rng.integers(wrong.size)] = rng.integers(-2, 10)
        call = (fp.segment_pool_backward, rng.standard_normal(right.shape), x, ids, "max")
        found, wanted = (parity.outcome(c, *call, indices=wrong) for c in (parity.on_device, parity.plain))
        if isinstance(wanted, str):
            assert found == wanted
        else:
            parity.assert_same(found, wanted, 1e-12)
    for absent in ({}, {"where": rng.random((0, 2)) < 0.5}):
        empty = parity.on_device(fp.segment_pool, np.zeros((0, 2)), np.zeros(0, int), "sum", 2, **absent)
        assert np.isnan(empty).all()
