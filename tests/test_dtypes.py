"""Every dtype of the contract: exact where it is exact, one rounding where it rounds."""

import ml_dtypes
import numpy as np
import pytest
import reference
from numba import njit

import fastpool as fp
from fastpool import arrays
from fastpool.cpu import half

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [BFLOAT16 if name == "bfloat16" else np.dtype(name) for name in arrays.GROUPS["all"]]
INTEGERS = [dtype for dtype in DTYPES if dtype.kind in "iu"]
HALVES = [np.dtype(np.float16), BFLOAT16]
CALL = {"window": (3, 2), "stride": (2, 1), "padding": ((1, 1), (0, 1)), "ceil_mode": True}


def tables(x):
    return [
        reference.taps(x.shape[1], 3, 2, 1, 1, 1, True),
        reference.taps(x.shape[2], 2, 1, 0, 1, 1, True),
    ]


def anything(rng, dtype, shape=(3, 8, 9)):
    """Random bits, so that extremes, infinities, NaNs, subnormals and zeros of both signs occur."""
    if dtype == np.bool_:
        return rng.random(shape) < 0.5
    x = np.frombuffer(rng.bytes(int(np.prod(shape)) * dtype.itemsize), dtype).reshape(shape).copy()
    if arrays.is_float(dtype):
        x[0, :3, :3] = np.array([[0, -0.0, 0], [np.inf, -np.inf, np.nan], [-0.0, 0, 1]]).astype(dtype)
        return x
    x[0, 0] = np.iinfo(dtype).max
    x[0, 1] = np.iinfo(dtype).min
    return x


def bits(x):
    return x.view(f"u{x.itemsize}")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("op", ["max", "min"])
def test_extremes_are_bit_equal(rng, dtype, op):
    x = anything(rng, dtype)
    y, i = fp.pool(x, op, **CALL, return_indices=True)
    wide = x.astype(np.float64) if arrays.is_float(dtype) else x
    expected, where = reference.pool(wide, op, tables(x), (1, 2))
    np.testing.assert_array_equal(i, where)
    assert y.dtype == dtype
    chosen = np.take_along_axis(x.reshape(3, -1), where.reshape(3, -1), 1).reshape(y.shape)
    number = chosen == chosen
    np.testing.assert_array_equal(bits(y)[number], bits(chosen)[number])
    assert (y[~number] != y[~number]).all()
    if not arrays.is_float(dtype):
        np.testing.assert_array_equal(y, expected.astype(dtype))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integer_averages_are_exact(rng, dtype):
    x = anything(rng, dtype)
    for include_pad, override in [(True, None), (False, None), (True, -3), (True, 2**31 - 1)]:
        y = fp.avg_pool(x, **CALL, count_include_pad=include_pad, divisor_override=override)
        expected, _ = reference.pool(x, "avg", tables(x), (1, 2), include_pad=include_pad, override=override)
        wrapped = np.vectorize(lambda v: int(v) % 2 ** (8 * dtype.itemsize), otypes=[object])(expected)
        np.testing.assert_array_equal(y.view(f"u{dtype.itemsize}"), wrapped.astype(f"u{dtype.itemsize}"))
        assert y.dtype == dtype


def test_integer_averages_round_half_up():
    x = np.array([1, 2, -1, -2, -3, -2, 1, 1])
    assert fp.avg_pool(x, (2,)).tolist() == [2, -1, -2, 1]
    extremes = np.array([2**63 - 1, 2**63 - 1, -(2**63), -(2**63), 2**63 - 1, -(2**63)])
    assert fp.avg_pool(extremes, (2,)).tolist() == [2**63 - 1, -(2**63), 0]
    assert fp.avg_pool(np.full(4, 2**64 - 1, np.uint64), (4,)).tolist() == [2**64 - 1]


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integer_sums_promote_as_numpy(rng, dtype):
    x = anything(rng, dtype, (4, 6))
    y = fp.sum_pool(x, (1, 3))
    expected = x.reshape(4, 2, 3).sum(-1)
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", [np.dtype(name) for name in ("int8", "uint32", "int64", "uint64")], ids=str)
def test_integers_to_floats_are_not_rounded_on_the_way(rng, dtype):
    x = anything(rng, dtype, (4, 6))
    for op, scale in [("avg", 3), ("sum", 1)]:
        exact = np.array([[sum(map(int, row[i : i + 3])) / scale for i in (0, 3)] for row in x])
        np.testing.assert_allclose(fp.pool(x, op, (3,), dtype=np.float64), exact, rtol=1e-15)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("op", ["avg", "sum", "lp"])
def test_halves_round_once(rng, dtype, op):
    x = rng.standard_normal((3, 40, 41)).astype(dtype)
    y = fp.pool(x, op, (7, 5), stride=3)
    assert y.dtype == dtype
    once = fp.pool(x.astype(np.float32), op, (7, 5), stride=3).astype(dtype)
    steps = bits(y).astype(int) - bits(once).astype(int)
    assert np.abs(steps).max() <= 1


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_halves_do_not_saturate(dtype):
    x = np.full((512, 512), 300.5, np.float32).astype(dtype)
    assert float(fp.avg_pool(x, (512, 512))[0, 0]) == float(x[0, 0])


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_half_gradients(rng, dtype):
    x = rng.standard_normal((2, 1, 8, 8)).astype(dtype)
    for op in ("max", "avg", "lp"):
        y, pull = fp.vjp(fp.pool, x, op, 3, stride=2)
        gy = rng.standard_normal(y.shape).astype(dtype)
        gx = pull(gy)
        assert gx.dtype == dtype
        _, wide = fp.vjp(fp.pool, x.astype(np.float64), op, 3, stride=2)
        exact = wide(gy.astype(np.float64))
        np.testing.assert_allclose(gx.astype(np.float64), exact, rtol=2e-2, atol=1e-2)


def test_large_windows_are_accurate():
    for dtype, tolerance in [(np.float32, 1e-6), (np.float64, 1e-15)]:
        tenth = np.full((4096, 4096), 0.1, dtype)
        assert abs(float(fp.avg_pool(tenth, (4096, 4096))[0, 0]) / float(dtype(0.1)) - 1) <= tolerance
    x = np.array([1e16, 1.0, 1.0, -1e16])
    assert fp.sum_pool(x, (4,)).tolist() == [2]
    assert fp.sum_pool(np.array([np.inf, 1.0, -np.inf, 2.0]), (2,)).tolist() == [np.inf, -np.inf]


def test_dtype_argument():
    x = np.array([[250, 251], [252, 254]], np.uint8)
    assert fp.avg_pool(x, (2, 2), dtype=np.float32).tolist() == [[251.75]]
    assert fp.sum_pool(x, (2, 2), dtype="uint8").tolist() == [[1007 % 256]]
    assert fp.max_pool(x, (2, 2), dtype=np.int64).dtype == np.int64
    assert fp.max_pool(x > 0, (2, 2), dtype=np.float64).tolist() == [[1.0]]
    assert fp.avg_pool(np.float16([1, 2]), (2,), dtype=np.float64).tolist() == [1.5]
    assert fp.max_pool(np.float32([1, 2]), (2,), dtype=BFLOAT16).dtype == BFLOAT16
    y, pull = fp.vjp(fp.avg_pool, np.float32([1, 2]), (2,), dtype=np.float64)
    assert pull(y).dtype == np.float32
    for wrong in (np.int32, np.complex128, "U3", bool, ">f4"):
        with pytest.raises(TypeError, match="dtype must be one of"):
            fp.max_pool(np.float32([1, 2]), (2,), dtype=wrong)


@pytest.mark.parametrize("dtype", [np.dtype(bool), np.dtype(np.int32), BFLOAT16], ids=str)
def test_operators_refuse_dtypes_they_do_not_take(dtype):
    x = np.zeros((1, 1, 4), dtype)
    allowed = {
        "bool": {"max", "min", "avg", "sum"},
        "int32": {"max", "min", "avg", "sum"},
        "bfloat16": {"max", "min", "avg", "sum", "lp"},
    }
    for op in ("max", "min", "avg", "sum", "lp"):
        if op in allowed[dtype.name]:
            assert fp.pool(x, op, (2,)).shape == (1, 1, 2)
        else:
            with pytest.raises(TypeError, match=f"{op} pooling takes float16"):
                fp.pool(x, op, (2,))


def test_half_conversions_in_software():
    read, write = njit(half.from_half_in_software), njit(half.to_half_in_software)
    every = np.arange(2**16, dtype=np.uint16)
    exact = every.view(np.float16).astype(np.float32)
    got = np.array([read(b) for b in every], np.float32)
    np.testing.assert_array_equal(got, exact)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(exact))
    rng = np.random.default_rng(5)
    near = np.concatenate(
        [exact[np.isfinite(exact)] * np.float32(s) for s in (1, 1 + 2**-12, 1 - 2**-12, 1.00049)]
        + [rng.integers(0, 2**32, 100_000, np.uint32).view(np.float32)]
    )
    near = near[~np.isnan(near)]
    with np.errstate(over="ignore"):
        expected = near.astype(np.float16)
    got = np.array([write(v) for v in near], np.uint16)
    np.testing.assert_array_equal(got, expected.view(np.uint16))
    assert np.isnan(np.array([write(np.float32(np.nan))], np.uint16).view(np.float16)).all()


def test_bfloat16_conversions():
    read, write = njit(half.from_bfloat16), njit(half.to_bfloat16)
    every = np.arange(2**16, dtype=np.uint16)
    got = np.array([read(b) for b in every], np.float32)
    np.testing.assert_array_equal(got, every.view(BFLOAT16).astype(np.float32))
    rng = np.random.default_rng(5)
    floats = rng.integers(0, 2**32, 100_000, np.uint32).view(np.float32)
    floats = floats[~np.isnan(floats)]
    written = np.array([write(v) for v in floats], np.uint16)
    np.testing.assert_array_equal(written, floats.astype(BFLOAT16).view(np.uint16))


# Bool: an average is the fraction that is True, a sum their number ------------------------------------------

BITS = np.random.default_rng(5).random((2, 3, 8, 8)) < 0.4
OF_BITS = {
    "pool": lambda x, op: fp.pool(x, op, 2),
    "adaptive": lambda x, op: fp.adaptive_pool(x, op, 3),
    "global": fp.global_pool,
    "pyramid": lambda x, op: fp.pyramid_pool(x, op, (1, 2)),
    "fractional": lambda x, op: fp.fractional_pool(x, op, 3, window=2, rng=0),
    "pseudo": lambda x, op: fp.fractional_pool(x, op, 3, scheme="pseudo", rng=0),
    "regions": lambda x, op: fp.roi_pool(x, op, np.array([[1, 0, 0, 5, 6]]), 2),
    "cells": lambda x, op: fp.mosaic(x, 3, op),
    "segments": lambda x, op: fp.segment_pool(x, np.array([1, 0, 1]), op, axis=1),
}


@pytest.mark.parametrize("form", OF_BITS.values(), ids=OF_BITS)
def test_fractions_and_numbers_of_bits(form):
    averages, counts = form(BITS, "avg"), form(BITS, "sum")
    assert averages.dtype == np.float64
    assert counts.dtype == np.sum(BITS).dtype
    np.testing.assert_array_equal(averages, form(BITS.astype(float), "avg"))
    np.testing.assert_array_equal(counts, form(BITS.astype(float), "sum"))


def test_bits_to_other_dtypes():
    assert fp.avg_pool(BITS, 2, dtype=np.float32).dtype == np.float32
    assert fp.sum_pool(BITS, 2, dtype=np.uint8).dtype == np.uint8
    np.testing.assert_array_equal(fp.avg_pool(BITS, 2, dtype=np.float32), fp.avg_pool(BITS, 2))
    for op, dtype in (("avg", bool), ("avg", np.int8), ("sum", bool)):
        with pytest.raises(TypeError, match=r"dtype must be one of .* for x of bool"):
            fp.pool(BITS, op, 2, dtype=dtype)
    y, pull = fp.vjp(fp.avg_pool, BITS, 2)
    np.testing.assert_array_equal(pull(np.ones_like(y)), np.full(BITS.shape, 0.25))
