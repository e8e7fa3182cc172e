"""Results depend neither on earlier calls nor on what became of the arrays that came and went."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import fastpool as fp
from fastpool import arrays, jobs

BYTES = (np.arange(36, dtype=np.uint8) * 7 % 251).reshape(1, 1, 6, 6)
FLOATS = BYTES.astype(np.float32)
ROWS = np.asfortranarray(BYTES)
OUT = np.empty((1, 1, 3, 3), np.uint8)
GY = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)


def pulled(f, x, *args, gy=GY, **options):
    y, pull = fp.vjp(f, x, *args, **options)
    return y, pull(gy)


CALLS = {
    "sum": lambda: fp.sum_pool(BYTES, (2, 2)),
    "sum to bytes": lambda: fp.sum_pool(BYTES, (2, 2), dtype=np.uint8),
    "sum to uint64": lambda: fp.sum_pool(BYTES, (2, 2), dtype=np.uint64),
    "sum to float32": lambda: fp.sum_pool(BYTES, (2, 2), dtype=np.float32),
    "sum of bits": lambda: fp.sum_pool(BYTES.view(bool), (2, 2)),
    "sum of signed": lambda: fp.sum_pool(BYTES.view(np.int8), (2, 2)),
    "sum, Fortran": lambda: fp.sum_pool(ROWS, (2, 2)),
    "sum, Fortran, to bytes": lambda: fp.sum_pool(ROWS, (2, 2), dtype=np.uint8),
    "avg": lambda: fp.avg_pool(BYTES, (2, 2)),
    "avg to float32": lambda: fp.avg_pool(BYTES, (2, 2), dtype=np.float32),
    "avg of bits": lambda: fp.avg_pool(BYTES.view(bool), (2, 2)),
    "avg into": lambda: fp.avg_pool(BYTES, (2, 2), out=OUT).copy(),
    "avg, divisor": lambda: fp.avg_pool(BYTES, (2, 2), divisor_override=1),
    "avg, divisor True": lambda: fp.avg_pool(BYTES, (2, 2), divisor_override=True),
    "avg, pulled": lambda: pulled(fp.avg_pool, BYTES, (2, 2)),
    "avg, pulled by float64": lambda: pulled(fp.avg_pool, BYTES, (2, 2), gy=GY.astype(float)),
    "max": lambda: fp.max_pool(BYTES, (2, 2)),
    "max to float32": lambda: fp.max_pool(BYTES, (2, 2), dtype=np.float32),
    "max, stride 1": lambda: fp.max_pool(BYTES, (2, 2), stride=1),
    "max, stride True": lambda: fp.max_pool(BYTES, (2, 2), stride=True),
    "max, stride 1.0": lambda: fp.max_pool(BYTES, (2, 2), stride=1.0),
    "max, ceil_mode 0": lambda: fp.max_pool(BYTES, (2, 2), ceil_mode=0),
    "max, indices": lambda: fp.max_pool(BYTES, (2, 2), return_indices=True),
    "max, pulled": lambda: pulled(fp.max_pool, BYTES, (2, 2)),
    "max of floats": lambda: fp.max_pool(FLOATS, (2, 2)),
    "max of floats, pulled": lambda: pulled(fp.max_pool, FLOATS, (2, 2)),
    "max, refused": lambda: fp.max_pool(BYTES, (2, 2), dtype=bool),
    "avg, NaNs left out": lambda: fp.avg_pool(FLOATS, (2, 2), skipna=True),
    "avg, NaNs left out, float64": lambda: fp.avg_pool(FLOATS.astype(float), (2, 2), skipna=True),
    "avg to float64, NaNs left out": lambda: fp.avg_pool(FLOATS, (2, 2), skipna=True, dtype=float),
    "avg with weights": lambda: fp.avg_pool(FLOATS, (2, 2), weights=GY[0, 0, 0, 0] + FLOATS),
    "lse, pulled": lambda: pulled(fp.lse_pool, FLOATS, (2, 2)),
    "lse of float64, pulled": lambda: pulled(fp.lse_pool, FLOATS.astype(float), (2, 2)),
    "lse, pulled, with r": lambda: pulled(fp.lse_pool, FLOATS, (2, 2), r=0.5),
    "lse, pulled, NaNs left out": lambda: pulled(fp.lse_pool, FLOATS, (2, 2), skipna=True),
    "adaptive sum": lambda: fp.adaptive_pool(BYTES, "sum", (3, 3)),
    "cells": lambda: fp.mosaic(BYTES, (2, 2)),
    "cells, pulled": lambda: pulled(fp.mosaic, BYTES, (2, 2), gy=FLOATS),
}


def told(call):
    """Bits, dtypes and shapes of what a call gives, or its error."""
    try:
        given = call()
    except (TypeError, ValueError) as error:
        return type(error), str(error)
    found = given if isinstance(given, tuple) else (given,)
    return [(array.dtype, array.shape, array.tobytes()) for array in found]


@pytest.fixture(scope="module")
def alone():
    found = {}
    for name, call in CALLS.items():
        jobs._jobs.clear()
        found[name] = told(call)
    return found


def test_a_call_knows_nothing_of_the_one_before(alone):
    for first, second in itertools.permutations(CALLS, 2):
        jobs._jobs.clear()
        told(CALLS[first])
        assert told(CALLS[second]) == alone[second], (first, second)


def test_sequences_of_calls(alone, rng):
    names = list(CALLS)
    for name in rng.choice(names, 2_000):
        assert told(CALLS[name]) == alone[name], name


# What the user got, and what the user gave, may be written to ----------------------------------------------

X = np.random.default_rng(0).permutation(16 * 64 * 64).reshape(16, 1, 64, 64).astype(np.float32)
BOXES = np.array([[n, 0.0, 0, 40, 40] for n in range(16)])
CHOOSING = {
    "straight to the place": (fp.max_pool, X, 2, {}),
    "of one plane": (fp.max_pool, X[:1], 2, {}),
    "windows that overlap": (fp.max_pool, X[:1], 3, {"stride": 2, "padding": 1}),
    "of large windows": (fp.max_pool, X[:1], 9, {"stride": 2}),
    "adaptive": (fp.adaptive_max_pool, X, 5, {}),
    "fractional": (fp.fractional_pool, X, "max", {"output_size": 9, "window": 7, "rng": 0}),
    "pyramid": (fp.pyramid_pool, X, "max", {}),
    "regions": (fp.roi_pool, X, "max", {"boxes": BOXES, "output_size": 5}),
    "segments": (fp.segment_pool, X, None, {"op": "max", "offsets": (0, 9, 64), "axis": 2}),
    "drawn": (fp.stochastic_pool, X, 2, {"rng": 0}),
}


@pytest.mark.parametrize(("f", "x", "lead", "options"), CHOOSING.values(), ids=CHOOSING)
@pytest.mark.parametrize("value", [2**30, -(2**31), 0])
def test_indices_that_were_written_to(f, x, lead, options, value):
    y, pull = fp.vjp(f, x, lead, **options)
    expected = pull(np.ones_like(y))
    (y, i), pull = fp.vjp(f, x, lead, **options, return_indices=True)
    gy = np.ones_like(y)
    y[...], i[...] = np.nan, value
    np.testing.assert_array_equal(pull(gy), expected)


def test_given_indices_that_were_written_to():
    y, i = fp.max_pool(X, 2, return_indices=True)
    given = i.astype(np.int64)
    restored, pull = fp.vjp(fp.unpool, y, given, X.shape)
    given[...] = 2**40
    np.testing.assert_array_equal(pull(restored), y)


CHANGES = {
    "shape": lambda x: setattr(x, "shape", (1, 1, 8, 8)),
    "dtype": lambda x: setattr(x, "dtype", np.int32),
    "half the items": lambda x: setattr(x, "dtype", np.float16),
    "shorter": lambda x: x.resize((1, 1, 1, 1), refcheck=False),
    "longer": lambda x: x.resize((1, 1, 32, 32), refcheck=False),
}
READING = {
    "max": (fp.max_pool, 2, {}),
    "lp": (fp.lp_pool, 2, {}),
    "fractional": (fp.fractional_pool, "lp", {"output_size": 2, "window": 2, "rng": 0}),
    "regions": (fp.roi_pool, "lp", {"boxes": BOXES[:1], "output_size": 2}),
    "aligned": (fp.roi_align, BOXES[:1], {"output_size": 2}),
    "pyramid": (fp.pyramid_pool, "lp", {}),
    "cells": (fp.mosaic, 2, {"op": "lp"}),
}


@pytest.mark.filterwarnings("ignore:Setting the (shape|dtype):DeprecationWarning")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(("f", "lead", "options"), READING.values(), ids=READING)
def test_an_input_of_another_form(f, lead, options, change):
    for _ in range(2):  # the second call finds the job of the first
        x = np.zeros((1, 1, 4, 16), np.float32)
        y, pull = fp.vjp(f, x, lead, **options)
        gy = np.ones_like(y)
        change(x)
        with pytest.raises(ValueError, match="x must stay as it was until the pull"):
            pull(gy)


@pytest.mark.parametrize(("f", "lead", "options"), READING.values(), ids=READING)
def test_an_input_of_other_values(f, lead, options):
    x = np.ones((1, 1, 4, 16), np.float32)
    y, pull = fp.vjp(f, x, lead, **options)
    x[...] = np.nan
    assert pull(np.ones_like(y)).shape == x.shape


# `out` ------------------------------------------------------------------------------------------------------


def arranged(layout):
    """A writeable x of 8 x 8 float32 in its own memory, and an array over all of that."""
    memory = np.zeros(2 * 64 * 4 + 1, np.uint8)
    if layout == "unaligned":
        x = memory[1 : 1 + 64 * 4].view(np.float32)
    elif layout == "swapped":
        x = memory[: 64 * 4].view(np.dtype(np.float32).newbyteorder())
    elif layout == "apart":
        x = memory[: 2 * 64 * 4].view(np.float32)[::2]
    else:
        x = memory[: 64 * 4].view(np.float32)
    x[...] = np.arange(64)
    return x.reshape(1, 1, 8, 8), memory[: 2 * 64 * 4].view(np.float32)


INTO = {
    "pool": lambda x, out: fp.pool(x, "max", 2, out=out),
    "max_pool": lambda x, out: fp.max_pool(x, 2, out=out),
    "adaptive": lambda x, out: fp.adaptive_max_pool(x, 4, out=out),
    "fractional": lambda x, out: fp.fractional_pool(x, "max", 4, window=2, rng=0, out=out),
    "pseudo": lambda x, out: fp.fractional_pool(x, "max", 4, scheme="pseudo", rng=0, out=out),
    "regions": lambda x, out: fp.roi_pool(x, "max", np.array([[0, 0, 0, 7, 7]]), 4, out=out),
}


@pytest.mark.parametrize("layout", ["plain", "unaligned", "swapped", "apart"])
@pytest.mark.parametrize("into", INTO.values(), ids=INTO)
def test_out_over_the_input(into, layout):
    x, memory = arranged(layout)
    before = x.copy()
    with pytest.raises(ValueError, match="out must share no memory with x"):
        into(x, memory[:16].reshape(1, 1, 4, 4))
    np.testing.assert_array_equal(x, before)


def test_out_between_the_elements_of_the_input():
    x, memory = arranged("apart")
    expected = fp.max_pool(x, 2)
    out = memory[1:33:2].reshape(1, 1, 4, 4)
    assert fp.max_pool(x, 2, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_out_over_boxes_and_samples():
    boxes = np.zeros((4, 5))
    with pytest.raises(ValueError, match="out must share no memory with boxes"):
        fp.roi_pool(np.ones((1, 1, 4, 4)), "max", boxes, 1, out=boxes[:, 1:2, None, None])
    samples = np.zeros((1, 4, 2))
    with pytest.raises(ValueError, match="out must share no memory with samples"):
        fp.fractional_pool(
            np.ones((1, 4, 2, 2)), "max", 1, window=2, samples=samples, out=samples[..., :1, None]
        )


def test_out_of_a_subclass(tmp_path):
    class Own(np.ndarray):
        pass

    for out in (
        np.memmap(tmp_path / "out", np.float32, "w+", shape=(4, 4)),
        np.zeros((4, 4), "f4").view(Own),
    ):
        assert fp.max_pool(X[0, 0, :8, :8], (2, 2), out=out) is out
        np.testing.assert_array_equal(out, fp.max_pool(X[0, 0, :8, :8], (2, 2)))


# Positions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "window"),
    [((128, 128, 4, 4), 4), ((128, 100, 8), (8,)), ((64, 64, 8, 8), 4), ((2, 20_000, 1, 4), (1, 2))],
)
def test_many_positions(shape, window):
    """NumPy's `unravel_index` is wrong for some arrays of more than 8,192 elements."""
    x = np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype(np.float32) + 1
    axes = (2, 3)[: len(shape) - 2]
    y, i = fp.max_pool(x, window, axes=axes, return_indices=True)
    back = fp.unpool(y, i, x.shape, axes=axes)
    kept = back != 0
    assert kept.sum() == y.size
    np.testing.assert_array_equal(back[kept], x[kept])
    np.testing.assert_array_equal(fp.unpool_backward(x, y, i, x.shape, axes=axes), y)
    given = fp.pool_backward(np.ones_like(y), x, "max", window, axes=axes, indices=i)
    np.testing.assert_array_equal(given, kept)
    there = fp.convert_indices(i, to="onnx", shape=shape, axes=axes)
    np.testing.assert_array_equal(x.reshape(-1)[there], y)


def test_positions_of_many_regions():
    x = np.random.default_rng(0).permutation(9_000 * 16).reshape(9_000, 1, 4, 4).astype(np.float32)
    boxes = np.array([[n, 0, 0, 3, 3] for n in range(9_000)])
    y, i = fp.roi_pool(x, "max", boxes, 1, return_indices=True)
    gx = fp.roi_pool_backward(np.ones_like(y), x, "max", boxes, 1, indices=i)
    np.testing.assert_array_equal(gx, x == x.max((2, 3), keepdims=True))


def test_positions_are_found_in_one_room():
    lengths, flat = (3, 1, 5), np.arange(15)
    found = [position.tolist() for position in arrays.positions(flat, lengths)]
    assert found == [(flat // 5).tolist(), [0] * 15, (flat % 5).tolist()]
    users = {
        path.name
        for path in Path(fp.__file__).parent.rglob("*.py")
        if re.search(r"np\.(un)?ravel_(multi_)?index", path.read_text())
    }
    assert not users
