"""Median, quantile and mode by networks and histograms: every window's value by NumPy's sort or a Counter."""

from collections import Counter

import ml_dtypes
import numpy as np
import pytest
import reference

import fastpool as fp
from fastpool import windows
from fastpool.cpu import histograms, networks, rank

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
CALLS = {"median": 0.5, "quantile": 0.3, "mode": None}


# The rule, a window at a time ----------------------------------------------------------------------------


def geometry(shape, axes, sizes, ceil_mode=False):
    """`sizes`: per axis window, stride, (before, after), dilation."""
    tables = [
        windows.sliding(shape[axis], window, stride, *around, dilation, ceil_mode)
        for axis, (window, stride, around, dilation) in zip(axes, sizes, strict=True)
    ]
    return windows.Geometry(tuple(shape), tuple(axes), tuple(tables))


def elements(x, form, output):
    """What one window covers."""
    tables = dict(zip(form.axes, form.tables, strict=True))
    index = [
        tables[axis].lo[i] + np.arange(tables[axis].count[i]) * tables[axis].step if axis in tables else [i]
        for axis, i in enumerate(output)
    ]
    return x[np.ix_(*index)].ravel()


def most_frequent(window, ignore):
    counts = Counter(int(v) for v in window if ignore is None or v != ignore)
    return min(counts, key=lambda v: (-counts[v], v)) if counts else ignore


def ranked(window, q, target):
    place = q * (window.size - 1)
    at = int(place)
    if window.dtype.kind in "iub" and window.dtype == target:
        return np.sort(window)[at]
    values = np.sort(window.astype(np.float64))
    if np.isnan(values).any():
        return np.nan
    a, b, t = values[at], values[min(at + 1, window.size - 1)], place - at
    if t == 0 or a == b:
        return a
    if np.isinf(a) and np.isinf(b):
        return np.nan
    if np.isinf(a) or np.isinf(b):  # next to an infinity it is that
        return a if np.isinf(a) else b
    if t == 0.5:
        return a / 2 + b / 2
    return a + (b - a) * t if t < 0.5 else b - (b - a) * (1 - t)


def parameters(name, q, ignore):
    if name != "mode":
        return np.array([q])
    bits = 0 if ignore is None else ignore % 2**64
    return np.array([float(ignore is not None), float(bits >> 32), float(bits % 2**32)])


def check(threads, x, form, name, q=0.5, ignore=None, target=None):
    target = np.dtype(target or x.dtype)
    plan = rank.plan(name, x, form, parameters(name, q, ignore), target)
    assert plan is not None
    expected = np.empty(form.output_shape, target)
    with np.errstate(invalid="ignore"):
        for output in np.ndindex(*form.output_shape):
            window = elements(x, form, output)
            value = most_frequent(window, ignore) if name == "mode" else ranked(window, q, target)
            expected[output] = value
    results = []
    for count in (1, 2, 3):
        threads(count)
        y = np.empty(form.output_shape, target)
        plan.run(x, y)
        results.append(y)
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()
    if target.kind in "iub":
        np.testing.assert_array_equal(results[0], expected)
    else:
        np.testing.assert_array_equal(results[0].astype(np.float64), expected.astype(np.float64))
    return plan


def numbers(rng, shape, dtype, crowded=False, special=True):
    """Any values of the dtype, or `crowded`: few, the extreme ones among them."""
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if crowded:
            return rng.choice(np.array([limits.min, limits.max, 0, 1, 2], dtype), shape)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    x = (rng.integers(-2, 3, shape) if crowded else rng.standard_normal(shape)).astype(dtype)
    if special:
        for value, share in ((np.inf, 0.08), (-np.inf, 0.08), (np.nan, 0.02)):
            x[rng.random(shape) < share] = value
    return x


def random_geometry(rng, longest=4, dilations=3):
    while True:
        count = int(rng.integers(1, 4))
        ndim = count + int(rng.integers(0, 3))
        axes = sorted(rng.permutation(ndim)[:count].tolist())
        shape = rng.integers(1, 4, ndim).tolist()
        sizes = []
        for axis in axes:
            window, stride = int(rng.integers(1, longest + 1)), int(rng.integers(1, 4))
            dilation = int(rng.integers(1, dilations))
            span = dilation * (window - 1) + 1
            around = tuple(rng.integers(0, span, 2).tolist())
            shape[axis] = int(rng.integers(1, 26 if count < 3 else 9))
            sizes.append((window, stride, around, dilation))
        try:
            return geometry(shape, axes, sizes, bool(rng.integers(0, 2)))
        except ValueError:  # no window fits
            continue


def arrange(x, number):
    """The same values in another memory layout."""
    if number % 4 == 1:
        return np.asfortranarray(x)
    if number % 4 == 2:
        roomy = np.zeros([2 * n + 1 for n in x.shape], x.dtype)
        inner = roomy[tuple(slice(1, None, 2) for _ in x.shape)]
        inner[...] = x
        return inner
    if number % 4 == 3:
        x = x[::-1]
        x.flags.writeable = False
    return x


# Networks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "taps", "step", "stride"),
    [(1, 1, 1, 1), (3, 3, 1, 1), (5, 5, 1, 1), (4, 2, 1, 2), (3, 4, 2, 3), (1, 49, 1, 1), (12, 1, 1, 1)],
)
def test_a_program_finds_its_ranks(rng, rows, taps, step, stride):
    count, size = rows * taps, 20
    phases = sorted({tap * step % stride for tap in range(taps)})
    columns = tuple((phases.index(tap * step % stride), tap * step // stride) for tap in range(taps))
    pair = (count // 3, count // 3 + 1) if count > 1 else (0,)
    for ranks in ((0,), (count // 2,), pair, tuple(range(count))):
        program = networks.select(rows, columns, ranks)
        if program is networks.MIDDLE_25:
            continue  # the kernel's own, in the next test
        lines = rng.integers(0, 30, (program.lines, size + 100))
        window = [
            lines[i * len(phases) + phase, shift:][:size] for i in range(rows) for phase, shift in columns
        ]
        expected = np.sort(window, axis=0)
        for operation, low, high, a, a_shift, b, b_shift in program.steps:
            assert {low, high}.isdisjoint({a, b}) or operation != networks.BOTH
            if operation == networks.SORT_THREE:
                lines[[low, high, 2 * high - low]] = np.sort(lines[[a, b, 2 * b - a]], 0)
                continue
            if operation == networks.MIDDLE_OF_NINE:
                assert a == b
                sorted_columns = [lines[line, i * b_shift :][:size] for line in range(3, 6) for i in range(3)]
                lines[low, :size] = np.sort(sorted_columns, 0)[4]
                continue
            length = lines.shape[1] - max(a_shift, b_shift)
            first, second = lines[a, a_shift:][:length], lines[b, b_shift:][:length]
            smaller, larger = np.minimum(first, second), np.maximum(first, second)
            if operation != networks.MAXIMUM:
                lines[low, :length] = smaller
            if operation != networks.MINIMUM:
                lines[high, :length] = larger
        for number, (line, shift) in zip(ranks, program.results, strict=True):
            np.testing.assert_array_equal(lines[line, shift:][:size], expected[number])


def test_the_middle_of_sorted_columns(rng):
    columns = np.sort(rng.integers(0, 30, (5, 5, 400)), 0)
    found = {-1 - i * 5 - j: columns[i, j] for i in range(5) for j in range(5)}
    operations = networks.middle_of_sorted(5)
    for number, (operation, a, b) in enumerate(operations):
        found[number] = (np.minimum if operation == networks.MINIMUM else np.maximum)(found[a], found[b])
    np.testing.assert_array_equal(found[len(operations) - 1], np.median(columns, (0, 1)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_middles_of_5x5(rng, dtype):
    """Windows that have a kernel of their own, inside and at the edges, of elements and of channels."""
    for shape in ((90, 240), (2, 60, 70, 3)):
        x = rng.integers(0, 120, shape).astype(dtype)
        axes = (0, 1) if len(shape) == 2 else (1, 2)
        form = geometry(shape, axes, [(5, 1, (2, 2), 1)] * 2)
        assert "5x5" in rank.plan("median", x, form, np.array([0.5]), x.dtype).walk.__name__
        tables = [reference.taps(shape[axis], 5, 1, 2, 2, 1, False) for axis in axes]
        expected, _ = reference.pool(x.astype(np.float64), "median", tables, axes)
        found = fp.median_pool(x, 5, stride=1, padding=2, axes=axes)
        if x.dtype.kind in "iu":  # windows at the edges have two middles, of which integers take the lower
            inside = (slice(2, -2), slice(2, -2)) if len(shape) == 2 else (slice(None), *[slice(2, -2)] * 2)
            found, expected = found[inside], expected[inside]
        np.testing.assert_array_equal(found, expected)


def test_overlapping_windows_share_what_they_sort():
    columns = tuple((0, tap) for tap in range(3))
    apart = tuple((tap, 0) for tap in range(3))
    assert len(networks.select(3, columns, (4,)).steps) < len(networks.select(3, apart, (4,)).steps)


# Values --------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Threads even for small work."""
    monkeypatch.setattr("fastpool.threads.SERIAL_WORK", 0)


@pytest.fixture
def narrow(monkeypatch):
    """Short lines, so that rows are cut."""
    monkeypatch.setattr(rank, "LEAST", 12)
    monkeypatch.setattr(rank, "CACHE", 600)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("name", CALLS)
def test_random_windows(rng, threads, dtype, name):
    if name == "mode" and dtype == np.float32:
        pytest.skip("modes of floats have no networks")
    for number in range(40):
        form = random_geometry(rng)
        x = arrange(numbers(rng, form.shape, dtype, crowded=number % 2 == 0, special=number % 3 > 0), number)
        if name == "mode":
            check(threads, x, form, name, ignore=int(x.flat[0]) if number % 3 else None)
        else:
            q = 0.5 if name == "median" else float(rng.choice([0, 1, 0.25, 0.9, rng.random()]))
            check(threads, x, form, name, q)


@pytest.mark.parametrize("name", ["median", "quantile"])
@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16, np.float64, np.uint16, bool])
def test_every_kind_of_dtype(rng, threads, dtype, name):
    if name == "quantile" and np.dtype(dtype).kind in "iub":
        pytest.skip("one kernel serves both")
    form = geometry((2, 9, 13), (1, 2), [(3, 2, (1, 1), 1), (4, 1, (2, 1), 1)])
    for crowded in (False, True):
        check(threads, numbers(rng, form.shape, dtype, crowded), form, name, CALLS[name])


def test_integers_with_a_float_result_interpolate(rng, threads):
    form = geometry((9, 13), (0, 1), [(2, 2, (0, 0), 1), (2, 1, (1, 1), 1)])
    check(threads, numbers(rng, form.shape, np.int16), form, "quantile", 0.6, target=np.float32)


def test_rows_of_windows_longer_than_a_line(rng, threads):
    form = geometry((4, 9000), (0, 1), [(2, 2, (0, 0), 1), (2, 1, (1, 1), 1)])
    x = numbers(rng, form.shape, np.uint8)
    y, padded = np.empty(form.output_shape, np.uint8), np.pad(x, ((0, 0), (1, 1)), "edge")
    rank.plan("median", x, form, np.array([0.0]), x.dtype).run(x, y)
    pairs = np.minimum(padded[:, 1:], padded[:, :-1])
    np.testing.assert_array_equal(y, np.minimum(pairs[::2], pairs[1::2]))


@pytest.mark.parametrize("name", CALLS)
def test_tables_that_repeat_beside_axes_of_few_outputs(rng, threads, name):
    """Tables of one column and of many were joined in an order of memory that no kernel reads."""
    short, long = (3, 1, (0, 0), 1), (3, 1, (1, 1), 1)
    for sizes, lengths in [
        ((long, short), (1_100, 3)),
        ((short, long), (3, 1_100)),
        ((long, short), (1_100, 4)),
    ]:
        form = geometry((2, *lengths, 2), (1, 2), sizes)
        check(threads, numbers(rng, form.shape, np.uint8), form, name, CALLS[name])


def test_irregular_bins(rng, threads):
    tables = windows.adaptive(11, 4), windows.adaptive(13, 5)
    form = windows.Geometry((3, 11, 13), (1, 2), tables)
    check(threads, numbers(rng, form.shape, np.float32), form, "median")


def test_median_is_numpys(rng):
    form = geometry((40, 50), (0, 1), [(4, 4, (0, 0), 1), (5, 5, (0, 0), 1)])
    x = numbers(rng, form.shape, np.float32, special=False)
    cells = x.reshape(10, 4, 10, 5).swapaxes(1, 2).reshape(10, 10, 20)
    for q in (0.0, 0.13, 0.5, 0.77, 1.0):
        y = np.empty(form.output_shape, x.dtype)
        rank.plan("quantile", x, form, np.array([q]), x.dtype).run(x, y)
        np.testing.assert_array_equal(y, np.quantile(cells.astype(np.float64), q, axis=-1).astype(np.float32))


# Modes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64, np.int8])
@pytest.mark.parametrize("sizes", [[2, 2], [2, 2, 2], [3, 2]])
def test_modes_of_labels(rng, threads, dtype, sizes):
    shape = [2, *(7 + 2 * k for k in sizes)]
    form = geometry(shape, range(1, len(shape)), [(k, k, (0, 0), 1) for k in sizes], ceil_mode=True)
    for number in range(3):
        x = arrange(numbers(rng, shape, dtype, crowded=number > 0), number)
        for ignore in (None, 0, int(np.iinfo(dtype).max)):
            check(threads, x, form, "mode", ignore=ignore)


def test_modes_of_floats_have_no_plan():
    form = geometry((8,), (0,), [(2, 2, (0, 0), 1)])
    assert rank.plan("mode", np.zeros(8), form, np.zeros(3), np.dtype(np.float64)) is None


def test_modes_are_tinybrains_where_there_are_no_ties(rng):
    tinybrain = pytest.importorskip("tinybrain")
    x = np.kron(rng.integers(1, 9, (5, 5, 5)), np.ones((3, 3, 3), int)).astype(np.uint32)
    x = np.ascontiguousarray(x[:14, :14, :14])
    form = geometry(x.shape, (0, 1, 2), [(2, 2, (0, 0), 1)] * 3)
    y = np.empty(form.output_shape, x.dtype)
    rank.plan("mode", x, form, np.zeros(3), x.dtype).run(x, y)
    theirs = tinybrain.downsample_segmentation(np.asfortranarray(x[..., None]), (2, 2, 2))[0][..., 0]
    for output in np.ndindex(*y.shape):
        counts = Counter(elements(x, form, output).tolist()).most_common(2)
        if len(counts) == 1 or counts[0][1] > counts[1][1]:
            assert y[output] == theirs[output]


# Histograms ----------------------------------------------------------------------------------------------


@pytest.fixture
def slid(monkeypatch):
    """Histograms for windows of any size, and small tasks."""
    monkeypatch.setattr(rank, "BYTES_LONGEST", {"lower": 0, "mode": 0})
    monkeypatch.setattr(histograms, "SHARED", 0)
    monkeypatch.setattr(histograms, "STRIPE", 5)
    monkeypatch.setattr(histograms, "ROWS", 1)


@pytest.mark.usefixtures("slid")
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, bool])
@pytest.mark.parametrize("name", CALLS)
def test_histograms(rng, threads, dtype, name):
    for number in range(12):
        form = random_geometry(rng, longest=7, dilations=2)
        x = arrange(numbers(rng, form.shape, dtype, crowded=number % 2 == 0), number)
        ignore = int(x.flat[0]) if name == "mode" and number % 3 else None
        plan = check(threads, x, form, name, float(rng.random()) if name == "quantile" else 0.5, ignore)
        assert isinstance(plan, rank.Turned)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
@pytest.mark.parametrize("name", ["median", "quantile"])
def test_histograms_of_16_bits(monkeypatch, rng, threads, dtype, name):
    monkeypatch.setattr(rank, "LONGEST", 0)
    monkeypatch.setattr(histograms, "SHARED", 0)
    for number in range(12):
        form = random_geometry(rng, longest=7, dilations=2)
        x = arrange(numbers(rng, form.shape, dtype, crowded=number % 2 == 0), number)
        plan = check(threads, x, form, name, float(rng.random()) if name == "quantile" else 0.5)
        assert isinstance(plan, rank.Turned)


@pytest.mark.usefixtures("slid")
def test_histograms_of_irregular_bins(rng, threads):
    form = windows.Geometry((17, 23), (0, 1), (windows.adaptive(17, 5), windows.adaptive(23, 6)))
    check(threads, numbers(rng, form.shape, np.uint8), form, "median")


def test_large_windows(rng, threads):
    form = geometry((70, 90), (0, 1), [(61, 9, (30, 30), 1), (81, 11, (40, 40), 1)])
    check(threads, numbers(rng, form.shape, np.uint8), form, "median")
    check(threads, numbers(rng, form.shape, np.uint8, crowded=True), form, "mode")


def test_windows_that_share_few_elements_have_no_histograms(rng):
    form = geometry((3000,), (0,), [(190, 100, (0, 0), 1)])
    for dtype in (np.uint8, np.uint16):
        assert rank.plan("median", numbers(rng, form.shape, dtype), form, np.array([0.5]), dtype) is None


def test_windows_of_more_than_a_counter_holds_have_no_plan(rng):
    form = geometry((260, 260), (0, 1), [(257, 1, (0, 0), 1)] * 2)
    assert rank.plan("median", numbers(rng, form.shape, np.uint8), form, np.array([0.5]), np.uint8) is None


@pytest.mark.parametrize("window", [3, 5, 51])
def test_medians_are_opencvs(rng, window):
    cv2 = pytest.importorskip("cv2")
    x, half = numbers(rng, (120, 150), np.uint8), window // 2
    form = geometry(x.shape, (0, 1), [(window, 1, (half, half), 1)] * 2)
    y = np.empty_like(x)
    rank.plan("median", x, form, np.array([0.5]), x.dtype).run(x, y)
    inner = (slice(half, -half),) * 2
    np.testing.assert_array_equal(y[inner], cv2.medianBlur(x, window)[inner])


def test_medians_are_scipys(rng):
    ndimage = pytest.importorskip("scipy.ndimage")
    x = numbers(rng, (20, 30), np.float32, special=False)
    form = geometry(x.shape, (0, 1), [(3, 1, (1, 1), 1)] * 2)
    y = np.empty_like(x)
    rank.plan("median", x, form, np.array([0.5]), x.dtype).run(x, y)
    np.testing.assert_array_equal(y[1:-1, 1:-1], ndimage.median_filter(x, 3)[1:-1, 1:-1])
