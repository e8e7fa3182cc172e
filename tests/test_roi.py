"""Regions of interest: against the formulas stated plainly, examples of ONNX, and differences."""

import itertools
import math

import numpy as np
import pytest
from cases import arrange, distinct

import fastpool as fp
from fastpool import regions
from fastpool.align import roi_align, roi_align_backward
from fastpool.regions import pool_tables

WORKED = np.arange(36.0).reshape(1, 1, 6, 6)
CORNER = np.array([[0.0, 0, 0, 3, 3]])


# The rules, sample by sample -----------------------------------------------------------------------------


def places(start, end, outputs, samples, aligned):
    """For each bin where its samples lie, and how many they are."""
    size = end - start if aligned else max(end - start, 1.0)
    length = size / outputs
    grid = samples or max(math.ceil(length), 0)
    return [[start + p * length + (i + 0.5) * length / grid for i in range(grid)] for p in range(outputs)]


def interpolate(plane, *sample):
    if any(at < -1 or at > n for at, n in zip(sample, plane.shape, strict=True)):
        return 0.0
    neighbours = []
    for place, n in zip(sample, plane.shape, strict=True):
        at = min(max(place, 0.0), n - 1)
        low = int(at)
        pair = ((low, 1 - (at - low)), (low + 1, at - low))
        neighbours.append([(element, weight) for element, weight in pair if weight > 0])
    total = 0.0
    for found in itertools.product(*neighbours):
        elements, weights = zip(*found, strict=True)
        total += math.prod(weights) * plane[elements]
    return total


def plain_align(x, boxes, output_size, scale=1.0, samples=0, aligned=True, op="avg"):
    y = np.zeros((len(boxes), x.shape[1], *output_size))
    rank = x.ndim - 2
    for k, (image, *box) in enumerate(boxes.astype(np.float64).tolist()):
        corners = [coordinate * scale - 0.5 * aligned for coordinate in box]
        low, high = corners[:rank][::-1], corners[rank:][::-1]
        each = zip(low, high, output_size, strict=True)
        along = [places(lo, hi, count, samples, aligned) for lo, hi, count in each]
        for channel, *bins in np.ndindex(y.shape[1:]):
            plane = x[int(image), channel].astype(np.float64)
            own = [found[bin_] for found, bin_ in zip(along, bins, strict=True)]
            values = [interpolate(plane, *sample) for sample in itertools.product(*own)]
            if op == "avg":
                y[k, channel, *bins] = sum(values) / max(len(values), 1)
            elif values:
                y[k, channel, *bins] = math.nan if any(map(math.isnan, values)) else max(values)
    return y


def plain_bins(start, end, scale, outputs, n):
    def nearest(number):
        return math.copysign(math.floor(abs(number) + 0.5), number)

    low, high = nearest(start * scale), nearest(end * scale)
    length = max(high - low + 1, 1) / outputs
    spans = [(math.floor(p * length) + low, math.ceil((p + 1) * length) + low) for p in range(outputs)]
    return [range(*(int(min(max(edge, 0), n)) for edge in span)) for span in spans]


def random_boxes(rng, count, images, *plane):
    """Inside, outside, empty, with exchanged corners, on whole and half places."""
    rank = len(plane)
    first = rng.uniform(-6, 6 + max(plane), (count, rank))
    size = rng.choice([-3.0, 0.0, 0.5, 3.0, 12.0], (count, 1)) * rng.random((count, rank))
    corners = np.concatenate([first, first + size], 1)
    corners = np.where(rng.random((count, 1)) < 0.3, np.round(corners * 2) / 2, corners)
    return np.concatenate([rng.integers(0, images, (count, 1)), corners], 1)


def calls(rng, count):
    """Random inputs, boxes and options."""
    for _ in range(count):
        images, channels = (int(n) for n in rng.integers(1, 3, 2))
        height, width = (int(n) for n in rng.integers(1, 8, 2))
        boxes = random_boxes(rng, int(rng.integers(1, 5)), images, height, width)
        options = {
            "output_size": tuple(int(n) for n in rng.integers(1, 4, 2)),
            "scale": float(rng.choice([1.0, 0.5, 0.3])),
            "samples": int(rng.integers(0, 4)),
            "aligned": bool(rng.integers(2)),
            "op": str(rng.choice(["avg", "max"])),
        }
        yield distinct(rng, (images, channels, height, width)), boxes, options


def test_worked_example():
    y = roi_align(WORKED, CORNER, 2, aligned=False)
    assert y.reshape(-1).tolist() == [5.25, 6.75, 14.25, 15.75]
    y = roi_align(WORKED, CORNER, (2, 2))
    assert y.reshape(-1).tolist() == [2.1875, 3.625, 10.8125, 12.25]


def test_random_calls_follow_the_rule(rng):
    for x, boxes, options in calls(rng, 500):
        expected = plain_align(x, boxes, **options)
        y = roi_align(x, boxes, **options)
        assert y.dtype == x.dtype
        assert y.flags.c_contiguous
        np.testing.assert_allclose(
            y, expected, rtol=1e-12, atol=1e-12, err_msg=str((x.shape, boxes, options))
        )


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")  # other operators' examples are made as well
def test_examples_of_onnx():
    helper = pytest.importorskip("onnx.helper")
    cases = pytest.importorskip("onnx.backend.test.case.node")
    found = {
        case.name: case for case in cases.collect_testcases("RoiAlign")
    }  # and what others collected before
    compared = 0
    for case in (case for name, case in found.items() if "roialign" in name):
        (node,) = case.model.graph.node
        given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        (x, corners, images), (expected,) = case.data_sets[0]
        y = roi_align(
            x,
            np.concatenate([images[:, None], corners], 1),
            (given["output_height"], given["output_width"]),
            scale=given["spatial_scale"],
            samples=given["sampling_ratio"],
            aligned=given["coordinate_transformation_mode"] == b"half_pixel",
            op={b"avg": "avg", b"max": "max_neighbour"}[given.get("mode", b"avg")],
        )
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-4)  # the example has four digits
        compared += 1
    assert compared == 3


@pytest.mark.parametrize(("dtype", "within"), [("float16", 1e-3), ("bfloat16", 8e-3), ("float32", 1e-6)])
@pytest.mark.parametrize("op", ["avg", "max"])
def test_dtypes(rng, dtype, within, op):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    x = rng.standard_normal((2, 3, 9, 8)).astype(dtype)
    boxes = random_boxes(rng, 12, 2, 9, 8)
    wide = x.astype(np.float64)
    expected, expected_pull = fp.vjp(roi_align, wide, boxes, 3, op=op)
    y, pull = fp.vjp(roi_align, x, boxes, 3, op=op)
    assert y.dtype == x.dtype
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=within, atol=within)
    gx = pull(np.ones_like(y))
    assert gx.dtype == x.dtype
    if op == "avg":
        np.testing.assert_allclose(
            gx.astype(np.float64), expected_pull(np.ones_like(expected)), rtol=within, atol=within
        )


def test_many_gradients_of_16_bits_add_up():
    """4096 boxes send 1 each to one element, which float16 itself would stop counting at 2048."""
    boxes = np.tile([[0.0, 0, 0, 1, 1]], (4096, 1))
    gx = roi_align_backward(
        np.ones((4096, 1, 1, 1), np.float16), np.zeros((1, 1, 1, 1), np.float16), boxes, 1
    )
    assert gx == 4096


@pytest.mark.parametrize("layout", ["C", "F", "sliced", "reversed", "readonly", "unaligned", "swapped"])
def test_layouts(rng, layout):
    x = rng.standard_normal((2, 3, 5, 6)).astype(np.float32)
    boxes = random_boxes(rng, 6, 2, 5, 6).astype(np.float32)
    given = arrange(x, layout)
    expected, expected_pull = fp.vjp(roi_align, x, boxes, 2)
    y, pull = fp.vjp(roi_align, given, arrange(boxes, layout), 2)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(given, x)
    np.testing.assert_array_equal(pull(arrange(y, layout)), expected_pull(y))


@pytest.mark.parametrize("op", ["avg", "max"])
@pytest.mark.parametrize("channels", [7, 8, 19])
def test_channels_are_independent(rng, op, channels):
    x = rng.standard_normal((2, channels, 7, 6))
    boxes = random_boxes(rng, 10, 2, 7, 6)
    y, pull = fp.vjp(roi_align, x, boxes, 3, op=op)
    gx = pull(y)
    for channel in range(channels):
        own, own_pull = fp.vjp(roi_align, x[:, channel : channel + 1], boxes, 3, op=op)
        np.testing.assert_array_equal(y[:, channel : channel + 1], own)
        np.testing.assert_array_equal(gx[:, channel : channel + 1], own_pull(own))


def test_boxes_of_every_kind_of_number(rng):
    x = rng.standard_normal((3, 2, 6, 6))
    boxes = np.array([[0, 0, 1, 4, 5], [2, 1, 1, 3, 6]])
    expected = roi_align(x, boxes.astype(np.float64), 2)
    for dtype in (np.int8, np.uint16, np.int64, np.float16, np.float32):
        np.testing.assert_array_equal(roi_align(x, boxes.astype(dtype), 2), expected)


# Backward ------------------------------------------------------------------------------------------------


def test_gradients_by_differences(rng):
    step = 1e-4
    for x, boxes, options in calls(rng, 60):
        y, pull = fp.vjp(roi_align, x, boxes, **options)
        gy = rng.standard_normal(y.shape)
        gx = pull(gy)
        assert gx.shape == x.shape
        for place in np.ndindex(x.shape):
            above, below = x.copy(), x.copy()
            above[place] += step
            below[place] -= step
            slope = (roi_align(above, boxes, **options) - roi_align(below, boxes, **options)) / (2 * step)
            assert abs((slope * gy).sum() - gx[place]) < 1e-6, (place, boxes, options)
        np.testing.assert_array_equal(roi_align_backward(gy, x, boxes, **options), gx)


def test_pull_has_no_parameters(rng):
    y, pull = fp.vjp(roi_align, WORKED, CORNER, 2)
    gx, slopes = pull(y, params=True)
    assert slopes == {}
    np.testing.assert_array_equal(gx, pull(y))
    assert pull(y.astype(np.int32)).dtype == np.float64


def test_the_first_of_ties_and_nans_has_the_gradient():
    x = np.array([[[[1.0, 2.0, 2.0, 0.0]]]])
    boxes = np.array([[0.0, 0.5, 0, 4.5, 1]])  # samples at 0.5, 1.5, 2.5, 3.5
    y, pull = fp.vjp(roi_align, x, boxes, 1, op="max")
    assert y == 2
    assert pull(y).reshape(-1).tolist() == [0, 1, 1, 0]
    x[0, 0, 0, 3] = np.nan
    y, pull = fp.vjp(roi_align, x, boxes, 1, op="max")
    assert np.isnan(y)
    assert pull(np.ones_like(y)).reshape(-1).tolist() == [0, 0, 0.5, 0.5]
    y, pull = fp.vjp(roi_align, np.full((1, 1, 1, 4), -np.inf), boxes, 1, op="max")
    assert y == -np.inf
    assert pull(np.ones_like(y)).reshape(-1).tolist() == [0.5, 0.5, 0, 0]


def test_samples_outside_count_as_zero_without_gradient():
    x = np.full((1, 1, 2, 2), -3.0)
    boxes = np.array([[0.0, -4, 0, 4, 2]])
    y, pull = fp.vjp(roi_align, x, boxes, 1, op="max")
    assert y == 0
    assert not pull(np.ones_like(y)).any()
    x[...] = 3
    y, pull = fp.vjp(roi_align, x, boxes, 1, op="max")
    assert y == 3
    assert pull(np.ones_like(y)).sum() == 1


def test_an_element_of_weight_zero_is_not_read():
    x = np.array([[[[1.0, np.inf, 3.0]]]])
    boxes = np.array([[0.0, 0, 0, 1, 1]])  # its sample lies on the first element
    for op in ("avg", "max"):
        assert roi_align(x, boxes, 1, op=op) == 1
    apart = np.array([[0.0, -0.5, 0, 5.5, 1]])  # samples at 0 and 2 (after the move into the axis)
    assert roi_align(x, apart - [0, 0.5, 0, 0.5, 0], 1, samples=2) == 1.0 * 0.5 + 3.0 * 0.5


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("op", ["avg", "max"])
def test_bit_equal_for_every_number_of_threads(rng, threads, dtype, op):
    x = rng.standard_normal((3, 16, 20, 30)).astype(dtype)
    boxes = random_boxes(rng, 100, 3, 20, 30)
    results = []
    for n in (1, 2, 3):
        threads(n)
        y, pull = fp.vjp(roi_align, x, boxes, 5, op=op)
        results.append((y, pull(y)))
    for y, gx in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(gx, results[0][1])


@pytest.mark.parametrize("op", ["avg", "max"])
def test_boxes_a_few_at_a_time(rng, monkeypatch, op):
    x = rng.standard_normal((3, 4, 9, 8))
    boxes = random_boxes(rng, 40, 3, 9, 8)
    expected, pull = fp.vjp(roi_align, x, boxes, 3, op=op)
    expected_gx = pull(expected)
    monkeypatch.setattr(regions, "PART", 100)
    y, pull = fp.vjp(roi_align, x, boxes, 3, op=op)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(pull(y), expected_gx)


def test_no_boxes_and_no_images():
    y, pull = fp.vjp(roi_align, WORKED, np.zeros((0, 5)), (2, 3))
    assert y.shape == (0, 1, 2, 3)
    assert not pull(y).any()
    y, pull = fp.vjp(roi_align, np.zeros((0, 3, 4, 4)), np.zeros((0, 5)), 2, op="max")
    assert (y.shape, pull(y).shape) == ((0, 3, 2, 2), (0, 3, 4, 4))
    y, pull = fp.vjp(roi_align, np.zeros((1, 0, 4, 4)), CORNER, 2)
    assert (y.shape, pull(y).shape) == ((1, 0, 2, 2), (1, 0, 4, 4))


@pytest.mark.parametrize("op", ["avg", "max"])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("samples", [0, 2])
def test_boxes_far_away(op, aligned, samples):
    x = np.full((1, 1, 4, 4), 5.0)
    for box in (
        [1e30] * 4,
        [-1e30] * 4,
        [1e30, 0, 2e30, 3],
        [-1e308, -1e308, -9e307, 1e30],
        [1e15, 1e15, 2e15, 2e15],
    ):
        y, pull = fp.vjp(
            roi_align, x, np.array([[0.0, *box]]), 2, op=op, aligned=aligned, samples=samples, scale=3
        )
        assert not y.any()
        assert not pull(np.ones_like(y)).any()


def test_huge_boxes_read_what_is_there():
    x = np.full((1, 2, 4, 4), 5.0)
    for corner in (1e5, 1e10, 1e30, 1e308):
        box = np.array([[0, -corner, -corner, corner, corner]])
        y = roi_align(x, box, 1)
        assert (y >= 0).all()
        assert y.max() < 5 * (7 / min(corner, 1e12)) ** 2
        assert (roi_align(x, box, 3, op="max")[..., 1, 1] == 5).all()
    wide = np.array([[0.0, 0, 0, 1000, 4]])
    np.testing.assert_allclose(roi_align(x, wide, 1), plain_align(x, wide, (1, 1)), rtol=1e-12)


def test_exchanged_corners():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    box = np.array([[0.0, 3, 3, 1, 1]])
    y, pull = fp.vjp(roi_align, x, box, 2)
    assert not y.any()
    assert not pull(np.ones_like(y)).any()
    assert roi_align(x, box, 2, samples=2).all()
    assert roi_align(x, box, 2, aligned=False).all()


# roi_pool's bins -----------------------------------------------------------------------------------------


def test_pool_bins_follow_the_rule(rng):
    for _ in range(500):
        shape = (3, 1, int(rng.integers(1, 10)), int(rng.integers(1, 10)))
        outputs, scale = tuple(int(n) for n in rng.integers(1, 5, 2)), float(rng.choice([1.0, 0.5, 0.25]))
        boxes = random_boxes(rng, 4, 3, *shape[2:])
        tables = pool_tables(boxes, outputs, scale, shape)
        assert all(column.dtype == np.int64 for column in (tables.images, *tables.lo, *tables.counts))
        np.testing.assert_array_equal(tables.images, boxes[:, 0])
        for k, (_, x1, y1, x2, y2) in enumerate(boxes):
            for start, end, count, n, lo, covered in (
                (y1, y2, outputs[0], shape[2], tables.lo[0][k], tables.counts[0][k]),
                (x1, x2, outputs[1], shape[3], tables.lo[1][k], tables.counts[1][k]),
            ):
                expected = plain_bins(start, end, scale, count, n)
                assert covered.tolist() == [len(span) for span in expected]
                assert lo.tolist() == [min(span.start, n - 1) for span in expected]


def test_pool_bins_round_halves_away_from_zero():
    halves = [0.5, 1.5, 2.5, 0.49999999999999994, -0.5, -0.49]
    boxes = np.array([[0.0, 0, half, 0, half] for half in halves])
    tables = pool_tables(boxes, 1, 1.0, (1, 1, 6, 6))
    assert tables.lo[0][:, 0].tolist() == [1, 2, 3, 0, 0, 0]
    assert tables.counts[0][:, 0].tolist() == [1, 1, 1, 1, 0, 1]
    assert tables.counts[1].tolist() == [[1]] * 6


def test_pool_bins_of_huge_boxes():
    boxes = np.array([[0, -1e30, 1e30, 1e30, 2e30], [0, -1e308, -1e308, 1e308, -1e300]])
    tables = pool_tables(boxes, (2, 3), 1e3, (1, 1, 6, 8))
    assert tables.counts[0].tolist() == [[0, 0], [0, 0]]
    assert tables.lo[0].max() <= 5
    assert tables.counts[1].tolist() == [[0, 8, 0], [0, 8, 0]]
    assert pool_tables(np.zeros((0, 5)), 2, 1.0, (1, 1, 4, 4)).lo[0].shape == (0, 2)


# Bad input -----------------------------------------------------------------------------------------------


def changed(column, value):
    boxes = np.array([[0.0, 0, 0, 3, 3], [0.0, 1, 1, 2, 2]])
    boxes[1, column] = value
    return boxes


BOXES = {
    "NaN": (changed(3, np.nan), ValueError, r"boxes must be finite, got .* in row 1"),
    "infinite": (changed(1, -np.inf), ValueError, "boxes must be finite"),
    "NaN image": (changed(0, np.nan), ValueError, "boxes must be finite"),
    "image 1 of 1": (changed(0, 1), ValueError, r"boxes must begin .* integer in 0\.\.0, got 1 in row 1"),
    "image -1": (changed(0, -1), ValueError, "boxes must begin with the number of an image"),
    "image 0.5": (changed(0, 0.5), ValueError, r"boxes must begin .* got 0\.5"),
    "image 1e30": (changed(0, 1e30), ValueError, "boxes must begin"),
    "four columns": (np.zeros((3, 4)), ValueError, r"boxes must have the shape \(K, 5\), .* got \(3, 4\)"),
    "one axis": (np.zeros(5), ValueError, r"boxes must have the shape \(K, 5\)"),
    "list": ([[0, 0, 0, 1, 1]], TypeError, r"boxes\[0\] must be an array"),
    "two arrays": (
        [np.zeros((1, 4))] * 2,
        ValueError,
        "an array for each of the 1 images of x, got 2 arrays",
    ),
    "no arrays": ([], ValueError, "an array for each of the 1 images of x, got 0 arrays"),
    "array of five": ([np.zeros((1, 5))], ValueError, r"boxes\[0\] must have the shape \(k, 4\).* \(1, 5\)"),
    "NaN in a list": ([np.full((1, 4), np.nan)], ValueError, r"boxes\[0\] must be finite, got .* in row 0"),
    "bool": (np.zeros((1, 5), np.bool_), TypeError, "boxes must be real numbers, got bool"),
    "complex": (np.zeros((1, 5), np.complex64), TypeError, "boxes must have one of the dtypes"),
}
SHARED = {
    "output_size 0": ({"output_size": 0}, ValueError, "output_size must be at least 1, got 0"),
    "output_size -1": ({"output_size": (2, -1)}, ValueError, "output_size must be at least 1, got -1"),
    "output_size 2.0": ({"output_size": 2.0}, TypeError, "output_size must be an integer"),
    "output_size True": ({"output_size": True}, TypeError, "output_size must be an integer"),
    "three of them": (
        {"output_size": (1, 2, 3)},
        ValueError,
        "output_size must have one entry for each of 2",
    ),
    "output_size 2**40": ({"output_size": 2**40}, ValueError, "output_size.* must be at most"),
    "scale 0": ({"scale": 0}, ValueError, "scale must be a finite number above 0, got 0"),
    "scale -1": ({"scale": -1.0}, ValueError, "scale must be a finite number above 0"),
    "scale NaN": ({"scale": math.nan}, ValueError, "scale must be a finite number above 0, got nan"),
    "scale infinite": ({"scale": math.inf}, ValueError, "scale must be a finite number above 0, got inf"),
    "scale '1'": ({"scale": "1"}, TypeError, "scale must be a real number"),
}
ALIGN = {
    "samples -1": ({"samples": -1}, ValueError, "samples must be at least 0, got -1"),
    "samples 1.5": ({"samples": 1.5}, TypeError, r"samples must be an integer, got 1\.5"),
    "samples 2**40": ({"samples": 2**40}, ValueError, "output_size times samples must be at most 16777216"),
    "samples 2**20": ({"samples": 2**20}, ValueError, "must make at most 2147483648 samples of a box"),
    "aligned 1": ({"aligned": 1}, TypeError, "aligned must be True or False, got 1"),
    "op sum": ({"op": "sum"}, ValueError, "op must be one of avg, max, max_neighbour, got 'sum'"),
    "op None": ({"op": None}, TypeError, "op must be one of avg, max, max_neighbour, got None"),
    "x of integers": ({"x": WORKED.astype(int)}, TypeError, "roi_align takes x of float16.* got int64"),
    "x of bool": ({"x": WORKED > 3}, TypeError, "roi_align takes x of float16.* got bool"),
    "x a list": ({"x": [[[[1.0]]]]}, TypeError, "x must be an array"),
    "x of three axes": (
        {"x": WORKED[0]},
        ValueError,
        r"boxes must have the shape \(K, 3\), \(batch, x1, x2\)",
    ),
    "x of two axes": ({"x": WORKED[0, 0]}, ValueError, r"x must have the axes \(N, C, L\), .* got 2 axes"),
    "x of six axes": ({"x": WORKED[None, None]}, ValueError, r"x must have the axes .* got 6 axes"),
    "x without rows": ({"x": WORKED[:, :, :0]}, ValueError, "axis 2 of x: an axis of length 0"),
}


@pytest.mark.parametrize(("boxes", "error", "message"), BOXES.values(), ids=BOXES)
def test_bad_boxes(boxes, error, message):
    with pytest.raises(error, match=message):
        roi_align(WORKED, boxes, 2)
    with pytest.raises(error, match=message):
        roi_align_backward(np.ones((1, 1, 2, 2)), WORKED, boxes, 2)
    with pytest.raises(error, match=message):
        pool_tables(boxes, 2, 1.0, WORKED.shape)


@pytest.mark.parametrize(("options", "error", "message"), SHARED.values(), ids=SHARED)
def test_bad_options_of_both(options, error, message):
    with pytest.raises(error, match=message):
        roi_align(**{"x": WORKED, "boxes": CORNER, "output_size": 2, **options})
    with pytest.raises(error, match=message):
        pool_tables(**{"boxes": CORNER, "output_size": 2, "scale": 1.0, "shape": WORKED.shape, **options})


@pytest.mark.parametrize(("options", "error", "message"), ALIGN.values(), ids=ALIGN)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        roi_align(**{"x": WORKED, "boxes": CORNER, "output_size": 2, **options})


def test_bad_gradients():
    _, pull = fp.vjp(roi_align, WORKED, CORNER, 2)
    with pytest.raises(
        ValueError, match=r"gy must have the result's shape \(1, 1, 2, 2\), got \(1, 1, 2, 3\)"
    ):
        pull(np.ones((1, 1, 2, 3)))
    with pytest.raises(TypeError, match="gy must be numeric, got bool"):
        roi_align_backward(np.ones((1, 1, 2, 2), np.bool_), WORKED, CORNER, 2)
    with pytest.raises(TypeError, match="gy must be an array"):
        pull([1.0])
    with pytest.raises(TypeError, match="params must be True or False"):
        pull(np.ones((1, 1, 2, 2)), params=1)
