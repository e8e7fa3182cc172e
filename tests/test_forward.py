"""Every operator and form against the oracle: values, indices, dtypes, layouts."""

import itertools
from collections import namedtuple
from enum import IntEnum
from typing import Any

import cases
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

import fastpool as fp
from fastpool import jobs

OPS = ("max", "min", "avg", "sum", "lp")


def values(seed, shape, nan=False):
    """Small multiples of 1/2, so that ties occur and sums are exact; NaNs on request."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-6, 7, shape) * 0.5
    return np.where(rng.random(shape) < 0.15, np.nan, x) if nan else x


def check(call, x, op, tables, axes, options):
    y = fp.pool(x, op, **call, **options)
    names = {"count_include_pad": "include_pad", "divisor_override": "override", "p": "p"}
    expected, where = reference.pool(x, op, tables, axes, **{names[k]: v for k, v in options.items()})
    assert y.dtype == np.float64
    assert y.flags.c_contiguous
    assert y.flags.owndata
    if op in ("max", "min"):
        pair = fp.pool(x, op, **call, return_indices=True)
        assert pair[1].dtype == np.int32
        np.testing.assert_array_equal(pair[1], where)
        np.testing.assert_array_equal(pair[0], y)
        np.testing.assert_array_equal(y, expected)
    else:
        np.testing.assert_allclose(y, expected, rtol=1e-14, atol=0)


@settings(max_examples=600)
@given(
    cases.geometries(),
    st.sampled_from(OPS),
    st.sampled_from(cases.LAYOUTS),
    st.integers(0, 10**6),
    st.booleans(),
    st.sampled_from([None, None, 3, -2]),
    st.sampled_from([2.0, 1.0, 3.5, 0.5, np.inf]),
)
def test_sliding(geometry, op, layout, seed, include_pad, override, p):
    call, shape, axes, tables = geometry
    x = cases.arrange(values(seed, shape, nan=op in ("max", "min")), layout)
    before = x.copy()
    if None in tables:
        with pytest.raises(ValueError, match=r"axis \d of x"):
            fp.pool(x, op, **call)
        return
    options = {"avg": {"count_include_pad": include_pad, "divisor_override": override}, "lp": {"p": p}}
    check(call, x, op, tables, axes, options.get(op, {}))
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("op", OPS)
def test_adaptive_and_global(op):
    x = values(1, (2, 3, 7, 5), nan=op in ("max", "min"))
    for sizes in itertools.product((1, 3, 7, 9, None), (2, 5, None)):
        tables = [reference.bins(n, o or n) for n, o in zip(x.shape[2:], sizes, strict=True)]
        expected, where = reference.pool(x, op, tables, (2, 3))
        np.testing.assert_allclose(fp.adaptive_pool(x, op, sizes), expected, rtol=1e-14)
        if op in ("max", "min"):
            indices = fp.adaptive_pool(x, op, sizes, return_indices=True)[1]
            np.testing.assert_array_equal(indices, where)
    for axes, keepdims in itertools.product([None, 0, (1, -1), (3, 1, 0, 2)], (False, True)):
        pooled = (2, 3) if axes is None else tuple(sorted(np.atleast_1d(axes) % 4))
        expected = reference.pool(x, op, [reference.bins(x.shape[axis], 1) for axis in pooled], pooled)[0]
        expected = expected if keepdims else expected.squeeze(pooled)
        y = fp.global_pool(x, op, axes=axes, keepdims=keepdims)
        assert y.shape == expected.shape
        np.testing.assert_allclose(y, expected, rtol=1e-14)


def test_axes_choose_themselves():
    x = values(2, (2, 3, 4, 6))
    np.testing.assert_array_equal(fp.max_pool(x, 2), fp.max_pool(x, (2, 2)))
    np.testing.assert_array_equal(fp.max_pool(x, [2, 2]), fp.max_pool(x, np.array([2, 2])))
    np.testing.assert_array_equal(fp.max_pool(x, 2, axes=(-1, 2)), fp.max_pool(x, 2))
    np.testing.assert_array_equal(
        fp.max_pool(x, (2, 3), axes=(3, 0), stride=(1, 2), padding=((0, 1), (1, 2))),
        fp.max_pool(x, (3, 2), axes=(0, 3), stride=(2, 1), padding=((1, 2), (0, 1))),
    )
    np.testing.assert_array_equal(fp.max_pool(x, (2,), axes=(2, 3)), fp.max_pool(x, 2))
    np.testing.assert_array_equal(fp.max_pool(x, 2, padding="SAME"), fp.max_pool(x, 2, padding="same"))
    assert fp.max_pool(x, (2,)).shape == (2, 3, 4, 3)
    assert fp.max_pool(x, (np.int8(1), 2, 1, 1)).shape == (2, 1, 4, 6)
    assert fp.max_pool(x, 2, axes=1).shape == (2, 1, 4, 6)


@pytest.mark.parametrize("ndim", range(1, 7))
def test_one_to_six_pooled_axes(ndim):
    shape = (5, 4, 3, 4, 3, 2)[:ndim]
    x = values(ndim, (2, *shape))
    tables = [reference.taps(n, 2, 2, 1, 0, 1, False) for n in shape]
    axes = tuple(range(1, ndim + 1))
    for op in ("max", "avg"):
        call = {"window": (2,) * ndim, "padding": ((1, 0),) * ndim}
        check(call, x, op, tables, axes, {"count_include_pad": True} if op == "avg" else {})


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4)])
def test_empty_batches(shape):
    x = np.zeros(shape, np.float32)
    for op in OPS:
        assert fp.pool(x, op, 2).shape == (*shape[:2], 2, 2)
        assert fp.adaptive_pool(x, op, 3).shape == (*shape[:2], 3, 3)
        assert fp.global_pool(x, op).shape == shape[:2]
        y, pull = fp.vjp(fp.pool, x, op, 2)
        assert pull(y).shape == shape


def test_named_functions_are_pool():
    x = values(3, (2, 3, 6, 6)) + 7
    for op in OPS:
        np.testing.assert_array_equal(
            getattr(fp, f"{op}_pool")(x, 3, stride=2, padding=1), fp.pool(x, op, 3, stride=2, padding=1)
        )
    for op in ("avg", "max"):
        same = fp.adaptive_pool(x, op, (2, None))
        np.testing.assert_array_equal(getattr(fp, f"adaptive_{op}_pool")(x, (2, None)), same)
    for op in ("avg", "max", "sum"):
        np.testing.assert_array_equal(getattr(fp, f"global_{op}_pool")(x), fp.global_pool(x, op))


def test_out_is_filled_and_returned(rng):
    x = rng.random((2, 3, 6, 6))
    expected = fp.max_pool(x, 2)
    for out in (np.empty((2, 3, 3, 3)), np.empty((3, 3, 3, 2)).transpose(3, 0, 1, 2)):
        assert fp.max_pool(x, 2, out=out) is out
        np.testing.assert_array_equal(out, expected)
    out = np.empty((2, 3, 3, 3))
    y, i = fp.max_pool(x, 2, out=out, return_indices=True)
    assert y is out
    np.testing.assert_array_equal(i, fp.max_pool(x, 2, return_indices=True)[1])
    np.testing.assert_array_equal(fp.adaptive_pool(x, "avg", 3, out=out), fp.avg_pool(x, 2))
    interleaved = np.zeros((2, 8))
    interleaved[0] = np.arange(8.0)
    fp.max_pool(interleaved[0, ::2], (2,), out=interleaved[1, ::4])
    assert interleaved[1, ::4].tolist() == [2, 6]


def test_subclasses_are_plain_results(tmp_path):
    stored = np.memmap(tmp_path / "x", np.float32, "w+", shape=(4, 4))
    stored[...] = np.arange(16).reshape(4, 4)
    y = fp.max_pool(stored, (2, 2))
    assert type(y) is np.ndarray
    assert y.tolist() == [[5, 7], [13, 15]]


def test_a_long_axis_is_cut_into_tasks(rng, threads):
    x = rng.standard_normal(300_001)
    threads(3)
    y, i = fp.max_pool(x, (5,), stride=1, padding=2, return_indices=True)
    padded = np.pad(x, 2, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 5)
    np.testing.assert_array_equal(y, windows.max(-1))
    np.testing.assert_array_equal(i, windows.argmax(-1) + np.arange(x.size) - 2)


def test_values_that_are_not_pythons_own_are_checked_at_each_call():
    x = np.arange(64.0).reshape(8, 8)
    expected = fp.max_pool(x, (2, 2), stride=1)
    jobs._jobs.clear()
    pair = namedtuple("pair", "high wide")
    for window in (
        np.array([2, 2]),
        pair(2, 2),
        [np.int64(2), np.uint8(2)],
        (IntEnum("Size", "one two")(2), 2),
    ):
        np.testing.assert_array_equal(fp.max_pool(x, window, stride=1), expected)
    assert not jobs._jobs
    for _ in range(2):
        fp.max_pool(x, (2, 2), stride=1)
        for bad in (True, 1.0, np.float64(1), b"1", "1", [1, True]):
            with pytest.raises((TypeError, ValueError), match="stride"):
                fp.max_pool(x, (2, 2), stride=bad)
        looped: list[Any] = []
        looped.append(looped)
        with pytest.raises((TypeError, ValueError), match="window"):
            fp.max_pool(x, looped)
    assert len(jobs._jobs) == 1


def test_calls_on_views_find_their_job_again():
    whole = np.zeros((3, 2, 3, 8, 8), np.float32)
    jobs._jobs.clear()
    for image in whole:
        fp.max_pool(image, 2)
        fp.pyramid_pool(image, "avg", (1, 2))
    foreign = np.frombuffer(bytearray(4096), np.float32).reshape(1, 1, 32, 32)  # its base is no array
    for image in (foreign, foreign[:]):
        fp.max_pool(image, 2)
    assert len(jobs._jobs) == 4
