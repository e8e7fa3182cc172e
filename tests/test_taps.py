"""Backward of small windows in vector registers: wide rows, short ones, rows and planes that run on."""

import ml_dtypes
import numpy as np
import pytest

import fastpool as fp

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
GEOMETRIES = {  # shape, axes, window, stride, padding, dilation
    "cells": ((3, 2, 64, 96), (2, 3), 2, 2, 0, 1),
    "stride 2, rows run on": ((5, 3, 56, 60), (2, 3), 3, 2, 1, 1),
    "stride 2, odd": ((5, 3, 57, 61), (2, 3), 3, 2, 1, 1),
    "stride 2, rows apart": ((3, 3, 51, 75), (2, 3), 3, 2, 0, 1),
    "stride 1, rows run on": ((30, 28, 28), (1, 2), 3, 1, 1, 1),
    "stride 1, short rows": ((90, 40, 7), (1, 2), 3, 1, 1, 1),
    "stride 1, no padding": ((20, 30, 40), (1, 2), (5, 4), 1, 0, 1),
    "stride 1, much padding": ((20, 30, 40), (1, 2), (4, 5), 1, 2, 1),
    "stride 3": ((20, 30, 40), (1, 2), (4, 5), 3, (2, 1), 1),
    "between windows": ((20, 30, 41), (1, 2), (1, 2), (2, 4), 0, 1),
    "dilated": ((20, 30, 41), (1, 2), 3, 2, 2, (2, 3)),
    "a row": ((3, 40_000), (1,), 5, 2, 2, 1),
    "few tasks": ((1, 200, 300), (1, 2), 3, 2, 1, 1),
    "planes of few elements": ((2000, 5, 5), (1, 2), 3, 1, 1, 1),
    "planes of few elements, stride 2": ((2000, 5, 5), (1, 2), 3, 2, 1, 1),
    "channels": ((4, 20, 21, 40), (1, 2), 3, 2, 1, 1),
    "channels at stride 1": ((4, 20, 21, 40), (1, 2), 3, 1, 1, 1),
    "few channels": ((4, 60, 61, 3), (1, 2), 3, 2, 1, 1),
}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, np.float32) for name in GEOMETRIES]
    + [
        (name, dtype)
        for name in ("stride 2, odd", "stride 1, rows run on", "planes of few elements")
        for dtype in DTYPES[1:]
    ],
)
def test_each_gradient_goes_to_the_chosen_element(name, dtype, threads, ways_back, monkeypatch):
    shape, axes, *call = GEOMETRIES[name]
    call = dict(zip(("window", "stride", "padding", "dilation"), call, strict=True), axes=axes)
    rng = np.random.default_rng(5)
    x = rng.integers(-9, 9, shape).astype(dtype)
    monkeypatch.setattr(fp.threads, "SERIAL_WORK", 0)
    y, pull = fp.vjp(fp.max_pool, x, **call)
    gy = rng.integers(-3, 4, y.shape).astype(dtype)
    threads(1)
    gx = pull(gy)
    assert ways_back == ["taps"]
    threads(3)
    np.testing.assert_array_equal(pull(gy), gx)
    _, indices = fp.max_pool(x, **call, return_indices=True)
    plane = tuple(range(x.ndim - len(axes), x.ndim))
    expected = np.zeros(shape)
    view = np.moveaxis(expected, axes, plane)
    planes, places, sent = (np.moveaxis(a, axes, plane) for a in (expected, indices, gy.astype(float)))
    for outer in np.ndindex(view.shape[: x.ndim - len(axes)]):
        total = np.zeros(planes[outer].size)
        np.add.at(total, places[outer].ravel(), sent[outer].ravel())
        view[outer] = total.reshape(planes[outer].shape)
    np.testing.assert_array_equal(gx.astype(float), expected)


@pytest.mark.parametrize("op", [fp.max_pool, fp.avg_pool])
def test_axes_that_follow_each_other_in_memory_alone(op):
    base = np.random.default_rng(6).integers(-9, 9, (4, 60, 60, 8)).astype(np.float32)
    y, pull = fp.vjp(op, base.transpose(0, 1, 3, 2), 2, axes=(1, 3))
    gx = pull(y)
    expected, back = fp.vjp(op, base, 2, axes=(1, 2))
    np.testing.assert_array_equal(y, expected.transpose(0, 1, 3, 2))
    np.testing.assert_array_equal(gx, back(expected).transpose(0, 1, 3, 2))


def test_a_gradient_that_is_not_finite_stays_with_its_element():
    x = np.zeros((8, 4, 56, 60), np.float32)
    y, pull = fp.vjp(fp.max_pool, x, 3, stride=2, padding=1)
    gy = np.zeros_like(y)
    gy[3, 2, 5, 6], gy[7, 3, -1, -1] = np.nan, np.inf
    gx = pull(gy)
    assert np.isnan(gx[3, 2, 9, 11])
    assert np.isinf(gx[7, 3, -3, -3])
    assert np.isfinite(gx).sum() == gx.size - 2
