"""Special cases of geometries and layouts, where sound parts meet: what passes read, and what they take."""

import ctypes
import mmap

import numpy as np
import pytest

import fastpool as fp

PAGE = mmap.PAGESIZE
LARGE = 64 * 64  # elements of a plane that takes the fast passes


@pytest.fixture
def between_guards():
    """A maker of arrays that end at an unreadable page, or begin right behind one."""
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

    def place(array, *, at_end):
        pages = -(-array.nbytes // PAGE)
        memory = mmap.mmap(-1, (pages + 2) * PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for page in (0, pages + 1):
            assert protect(base + page * PAGE, PAGE, 0) == 0
        at = PAGE + (pages * PAGE - array.nbytes if at_end else 0)
        placed = np.frombuffer(memory, array.dtype, array.size, at).reshape(array.shape)
        placed[...] = array
        return placed

    return place


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize(
    ("shape", "window", "stride", "padding"),
    [
        ((1, 1, 31 * 40 + 2, 64), (2, 2), (40, 2), 0),  # rows between windows, and none behind the last
        ((1, 1, 80, 128), (2, 2), (3, 2), 0),
        ((2, 2, 8, 27, 64), (2, 2, 2), (2, 5, 2), 0),
        ((1, 1, 64, 1024), (3, 3), (1, 1), 1),
        ((1, 1, 64, 1024), (3, 3), (2, 2), 1),
        ((3, 2, 56, 60), (5, 5), (4, 4), 2),
        ((1, 1, 60, 400), (7, 7), (1, 1), 3),
    ],
)
def test_passes_read_no_more_than_the_input(between_guards, rng, shape, window, stride, padding, at_end):
    x = rng.standard_normal(shape).astype(np.float32)
    placed = between_guards(x, at_end=at_end)
    call = {"stride": stride, "padding": padding}
    np.testing.assert_array_equal(fp.max_pool(placed, window, **call), fp.max_pool(x, window, **call))
    np.testing.assert_array_equal(fp.avg_pool(placed, window, **call), fp.avg_pool(x, window, **call))


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pitch", [0, 1, 3])
def test_rows_that_share_memory_are_read_within_it(between_guards, rng, pitch, stride, at_end):
    """Rows that are all one (`numpy.broadcast_to`), or begin a few elements after each other."""
    memory = rng.standard_normal(1024 + 63 * pitch).astype(np.float32)
    placed = between_guards(memory, at_end=at_end)
    x = np.lib.stride_tricks.as_strided(placed, (1, 1, 64, 1024), (0, 0, 4 * pitch, 4))
    got = fp.max_pool(x, 3, stride=stride, padding=1)
    np.testing.assert_array_equal(got, fp.max_pool(x.copy(), 3, stride=stride, padding=1))


@pytest.mark.parametrize("stride", [(1, 2), (2, 2), (3, 2), (1, 2, 2), (2, 1, 2)])
def test_a_nan_is_met_wherever_a_window_holds_it(stride):
    """One NaN at each place of a plane in turn: every window that covers it is NaN, and no other."""
    rank = len(stride)
    plane = (5, 48) if rank == 2 else (4, 4, 48)
    for place in np.ndindex(*plane[:-1]):
        for column in (0, 1, plane[-1] - 1):
            x = np.zeros((10, 10, *plane), np.float32)
            x[(3, 4, *place, column)] = np.nan
            got = np.isnan(fp.max_pool(x, (2,) * rank, stride=stride))
            expected = np.zeros(got.shape, bool)
            for output in np.ndindex(*got.shape[2:]):
                inside = [
                    o * s <= p <= o * s + 1 for o, s, p in zip(output, stride, (*place, column), strict=True)
                ]
                expected[(3, 4, *output)] = all(inside)
            np.testing.assert_array_equal(got, expected)


def test_windows_that_just_cover_axes_take_the_elements_that_they_name(rng):
    """With and without dilation, of planes, rows, channels and volumes of every size class."""
    cases = [
        ((256, 64, 3, 3), (2, 3)),
        ((9, 1046), (1,)),
        ((3, 70_001), (1,)),
        ((4, 64, 5, 100), (1, 2)),
        ((2, 100, 3, 70), (1, 2)),
        ((720, 800), (0, 1)),
        ((30, 4, 5, 6), (1, 2, 3)),
    ]
    for shape, axes in cases:
        x = rng.standard_normal(shape).astype(np.float32)
        window = tuple(x.shape[axis] for axis in axes)
        for dilation in (1, 2, 3):
            picked = tuple(
                slice(None, None, dilation) if axis in axes else slice(None) for axis in range(x.ndim)
            )
            call = {"axes": axes, "dilation": dilation, "stride": window}
            call["padding"] = [(0, (k - 1) * (dilation - 1)) for k in window]
            for op, wanted in (("max", np.max), ("min", np.min), ("sum", np.sum)):
                got = fp.pool(x, op, window, **call)
                want = wanted(x[picked].astype(np.float64), axis=axes, keepdims=True)
                np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("op", ["avg", "max", "sum", "lp", "median"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_whole_axes_of_every_memory_order(rng, op, keepdims):
    """Layout x axes x size x keepdims: equal to the call on a C-contiguous copy, forward and backward."""
    for shape in ((2, 3, 4, 5), (4, 16, 12, 30)):
        x = rng.standard_normal(shape).astype(np.float32)
        for order in ((0, 2, 3, 1), (3, 2, 1, 0), (1, 0, 2, 3), (2, 3, 0, 1), (0, 1, 3, 2)):
            view = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
            for axes in ((2, 3), (1,), (0, 1), (1, 2, 3)):
                y, pull = fp.vjp(fp.global_pool, view, op, axes=axes, keepdims=keepdims)
                expected, back = fp.vjp(fp.global_pool, x, op, axes=axes, keepdims=keepdims)
                np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
                np.testing.assert_allclose(pull(y), back(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("op", ["max", "avg", "sum", "median", "lse"])
def test_long_axes_are_as_short_ones(rng, op):
    """Axes beyond the longest table that is written out: equal to the same windows of pieces."""
    for window, stride, padding, dilation in ((3, 2, 1, 1), (4, 3, (2, 1), 2), (2, 5, 0, 1), (5, 1, 2, 1)):
        for shape, axes in (((2, 7001), (1,)), ((5003, 3), (0,)), ((3, 2600, 9), (1, 2))):
            x = rng.standard_normal(shape)
            call = {"axes": axes, "stride": stride, "dilation": dilation}
            before, after = (padding, padding) if isinstance(padding, int) else padding
            whole = fp.pool(x, op, window, padding=[(before, after)] * len(axes), **call)
            length = whole.shape[axes[0]]
            for first in (0, length // 2, length - 4):
                low = first * stride - before
                high = low + 3 * stride + (window - 1) * dilation + 1
                piece = x.take(range(max(low, 0), min(high, x.shape[axes[0]])), axis=axes[0])
                around = [(max(0, -low), max(0, high - x.shape[axes[0]]))] + [(before, after)] * (
                    len(axes) - 1
                )
                got = fp.pool(piece, op, window, padding=around, **call)
                expected = whole.take(range(first, first + 4), axis=axes[0])
                np.testing.assert_allclose(got.take(range(4), axis=axes[0]), expected, rtol=1e-12, atol=1e-12)
