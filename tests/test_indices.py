"""Indices from one framework's numbering to another's: restated, round, and refused."""

import itertools

import numpy as np
import pytest

import fastpool as fp

NHWC, NCHW = {"axes": (1, 2)}, {}
LAYOUTS = ("torch", "tensorflow", "onnx")


def pooled(shape, **axes):
    x = np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype(np.float32)
    y, i = fp.max_pool(x, 2, **axes, return_indices=True)
    return x, y, i


def test_tensorflow_reads_images_channels_last():
    x, y, i = pooled((2, 4, 6, 3), **NHWC)
    there = fp.convert_indices(i, to="tensorflow", shape=x.shape, axes=(1, 2))
    assert there.dtype == np.int64
    np.testing.assert_array_equal(
        np.take_along_axis(x.reshape(2, -1), there.reshape(2, -1), 1), y.reshape(2, -1)
    )
    there = fp.convert_indices(i, to="tensorflow", shape=x.shape, axes=(1, 2), include_batch=True)
    np.testing.assert_array_equal(x.reshape(-1)[there], y)


def test_where_the_array_has_its_channels_does_not_matter():
    x, _, last = pooled((2, 4, 6, 3), **NHWC)
    _, first = fp.max_pool(np.moveaxis(x, 3, 1), 2, return_indices=True)
    for to in LAYOUTS:
        a = fp.convert_indices(last, to=to, shape=x.shape, axes=(1, 2))
        b = fp.convert_indices(first, to=to, shape=(2, 3, 4, 6))
        np.testing.assert_array_equal(np.moveaxis(a, 3, 1), b)


def test_onnx_reads_the_whole_tensor():
    x, y, i = pooled((2, 3, 4, 6, 2))
    there = fp.convert_indices(i, to="onnx", shape=x.shape)
    np.testing.assert_array_equal(x.reshape(-1)[there], y)
    there = fp.convert_indices(i, to="onnx", shape=x.shape, storage_order=1)
    np.testing.assert_array_equal(x.transpose(0, 1, 4, 3, 2).reshape(-1)[there], y)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((2, 3, 5, 4), None),
        ((2, 5, 4, 3), (1, 2)),
        ((7,), 0),
        ((3, 8), (1,)),
        ((2, 3, 4, 4, 6), (-1, 2)),
        ((4, 5), (0, 1)),
    ],
)
@pytest.mark.parametrize(("source", "to"), list(itertools.product(LAYOUTS, LAYOUTS)))
@pytest.mark.parametrize("options", [{}, {"include_batch": True, "storage_order": 1}])
def test_there_and_back(shape, axes, source, to, options):
    given = {"shape": shape, "axes": axes, **options}
    i = fp.max_pool(np.random.default_rng(1).standard_normal(shape), 2, axes=axes, return_indices=True)[1]
    here = fp.convert_indices(i, to=source, **given)
    there = fp.convert_indices(here, to=to, source=source, **given)
    np.testing.assert_array_equal(there, fp.convert_indices(i, to=to, **given))
    np.testing.assert_array_equal(fp.convert_indices(there, to="torch", source=to, **given), i)


def test_what_comes_back_unpools():
    x, y, i = pooled((2, 4, 6, 3), **NHWC)
    there = fp.convert_indices(i, to="tensorflow", shape=x.shape, axes=(1, 2))
    back = fp.convert_indices(
        there.astype(np.int32), to="torch", source="tensorflow", shape=x.shape, axes=(1, 2)
    )
    expected = fp.unpool(y, i, x.shape, axes=(1, 2))
    np.testing.assert_array_equal(fp.unpool(y, back, x.shape, axes=(1, 2)), expected)


def test_empty_batches():
    i = np.zeros((0, 3, 2, 2), np.int32)
    for to in LAYOUTS:
        assert fp.convert_indices(i, to=to, shape=(0, 3, 4, 4)).shape == i.shape


def test_planes_of_more_than_int32():
    shape = (1, 2, 2**17, 2**15)
    i = np.array([[[[2**32 - 1]], [[7]]]], np.int64)
    there = fp.convert_indices(i, to="onnx", shape=shape)
    assert there.reshape(-1).tolist() == [2**32 - 1, 2**32 + 7]
    np.testing.assert_array_equal(fp.convert_indices(there, to="torch", source="onnx", shape=shape), i)


ZEROS = np.zeros((1, 2, 2, 2), np.int32)


@pytest.mark.parametrize(
    ("i", "options", "error", "message"),
    [
        (ZEROS, {"to": "keras"}, ValueError, "to must be one of torch, tensorflow, onnx, got 'keras'"),
        (ZEROS, {"source": "numpy"}, ValueError, "source must be one of"),
        (ZEROS, {"to": 1}, TypeError, "to must be one of"),
        (ZEROS.astype(float), {}, TypeError, "i must be an array of integers, got float64"),
        (ZEROS.tolist(), {}, TypeError, "i must be an array"),
        (ZEROS, {"shape": 4}, TypeError, "shape must be a sequence"),
        (ZEROS, {"shape": (1, 3, 4, 4)}, ValueError, "i must have the axes of shape"),
        (ZEROS, {"shape": (2, 4, 4), "axes": (1, 2)}, ValueError, "i must have the axes of shape"),
        (ZEROS - 1, {}, ValueError, r"i must be in 0\.\.15, got -1"),
        (ZEROS + 16, {}, ValueError, r"i must be in 0\.\.15, got 16"),
        (ZEROS, {"source": "tensorflow"}, ValueError, "elsewhere on axis 1"),
        (ZEROS, {"include_batch": 1}, TypeError, "include_batch must be True or False"),
        (ZEROS, {"storage_order": 2}, ValueError, "storage_order must be 0"),
        (ZEROS, {"axes": (1, 1)}, ValueError, "axes must be distinct"),
    ],
)
def test_refused(i, options, error, message):
    with pytest.raises(error, match=message):
        fp.convert_indices(i, **{"to": "onnx", "shape": (1, 2, 4, 4), **options})
