"""Interval tables: pure NumPy, so thousands of geometries in milliseconds."""

import numpy as np
import pytest
import reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastpool import windows

LENGTHS = st.integers(1, 24)
SMALL = st.integers(1, 6)


def elements(axis):
    return [
        [int(lo) + j * axis.step for j in range(count)] for lo, count in zip(axis.lo, axis.count, strict=True)
    ]


def covering(axis):
    """For each input the outputs whose windows contain it, by looking at every window."""
    every = elements(axis)
    return [[o for o, window in enumerate(every) if i in window] for i in range(axis.size)]


@settings(max_examples=2000)
@given(st.data(), LENGTHS, SMALL, SMALL, SMALL, st.booleans())
def test_sliding_tables(data, n, k, s, d, ceil_mode):
    span = d * (k - 1) + 1
    before, after = data.draw(st.integers(0, span - 1)), data.draw(st.integers(0, span - 1))
    expected = reference.taps(n, k, s, before, after, d, ceil_mode)
    if expected is None:
        with pytest.raises(ValueError, match=r"does not fit|no element"):
            windows.sliding(n, k, s, before, after, d, ceil_mode)
        return
    axis = windows.sliding(n, k, s, before, after, d, ceil_mode)
    assert elements(axis) == [real for real, _ in expected]
    assert axis.extent.tolist() == [extent for _, extent in expected]
    assert elements(windows.inverse(axis)) == covering(axis)


@pytest.mark.parametrize("n", range(1, 41))
def test_adaptive_tables(n):
    for o in range(1, 41):
        axis = windows.adaptive(n, o)
        assert elements(axis) == [real for real, _ in reference.bins(n, o)]
        assert elements(windows.inverse(axis)) == covering(axis)


@given(LENGTHS, SMALL, SMALL, SMALL, st.booleans())
def test_same_padding_gives_one_output_a_stride(n, k, s, d, lower):
    around = windows.same_padding(n, k, s, d, lower=lower)
    assert around == reference.same(n, k, s, d, lower)
    assert windows.output_length(n, k, s, *around, d, False) == -(-n // s)
    assert windows.output_length(n, k, s, *around, d, True) == -(-n // s)


@given(LENGTHS, SMALL, SMALL, st.booleans())
def test_output_length_grows_with_the_axis(n, k, s, ceil_mode):
    assume(k <= n)
    lengths = [windows.output_length(m, k, s, 0, 0, 1, ceil_mode) for m in (n, n + 1)]
    assert lengths[0] <= lengths[1] <= lengths[0] + 1


def test_large_tables_are_exact_and_not_kept():
    axis = windows.adaptive(10**9 + 7, 10**6)
    assert axis.lo[-1] == (10**6 - 1) * (10**9 + 7) // 10**6
    assert axis.lo[-1] + axis.count[-1] == 10**9 + 7
    assert windows.adaptive(10**9 + 7, 10**6) is not axis
    assert windows.adaptive(7, 3) is windows.adaptive(7, 3)


def test_tables_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        windows.adaptive(7, 3).lo[0] = 1


@pytest.mark.parametrize(
    "geometry",
    [
        (4, 2, 1, 2**31 - 2, 2**31 - 2, 2**31 - 1),  # 2**31 windows, nearly all of them empty
        (4, 2**40, 1, 2**40 - 1, 2**40 - 1, 1),
    ],
)
def test_giant_geometries_are_refused_before_any_table(geometry):
    with pytest.raises(ValueError, match=r"no element|more than"):
        windows.sliding(*geometry)


def test_divisors():
    axis = windows.sliding(5, 3, 2, 1, 1, 1, True)
    assert windows.divisors([axis])[0].tolist() == axis.count.tolist()
    assert windows.divisors([axis], count_include_pad=True)[0].tolist() == axis.extent.tolist()
    override = windows.divisors([axis, axis], override=-7)
    assert np.multiply.outer(*override).tolist() == np.full((3, 3), -7).tolist()
    grid = windows.divisor_grid((axis.count, axis.count), (axis, axis), (0, 2), 4)
    assert grid.shape == (3, 1, 3, 1)
    assert grid[:, 0, :, 0].tolist() == np.multiply.outer(axis.count, axis.count).tolist()


def test_long_tables_repeat_columns():
    """A table with few columns is the one with all of them, and so is its inverse."""
    rng = np.random.default_rng(0)
    repeated = 0
    for _ in range(3000):
        k, s, d = (int(rng.integers(1, top)) for top in (9, 9, 5))
        span = d * (k - 1) + 1
        around = [int(v) for v in rng.integers(0, span, 2)]
        n = int(rng.integers(1, 200))
        arguments = (n, k, s, *around, d, bool(rng.integers(2)))
        if reference.taps(*arguments) is None:
            continue
        whole, short = windows.sliding(*arguments), windows.sliding(*arguments, written=0)
        check_same(short, whole)
        check_same(windows.inverse(short), windows.inverse(whole))
        repeated += windows.inverse(short).repeat is not None
    assert repeated > 1000
    for n in range(1, 60):
        for o in range(1, 60):
            whole, short = windows.adaptive(n, o), windows.adaptive(n, o, written=0)
            check_same(short, whole)
            check_same(windows.inverse(short), windows.inverse(whole))


def check_same(short, whole):
    assert (len(short), short.size, short.step, short.regular) == (
        len(whole),
        whole.size,
        whole.step,
        whole.regular,
    )
    covers = whole.count > 0
    assert np.array_equal(short.at(0, len(short))[:, covers], whole.columns[:, covers])
    assert np.array_equal(short.count, whole.count)
    assert (short.fewest, short.most, short.total) == (whole.fewest, whole.most, whole.total)
    half = len(short) // 2
    assert np.array_equal(short.at(half, len(short)), short.at(0, len(short))[:, half:])
    assert np.array_equal(short.spread(short.columns[2]), whole.columns[2])


@pytest.mark.parametrize("n", [10**6, 2**40])
def test_long_regular_axes_are_a_few_numbers(n):
    for axis in (windows.sliding(n, 3, 2, 1, 1, 2), windows.adaptive(n, n // 4)):
        assert axis.columns.nbytes < 1000
        assert windows.inverse(axis).columns.nbytes < 1000


def test_an_empty_window_of_a_long_axis_is_named():
    with pytest.raises(ValueError, match="window 19999, which starts at 19999 "):
        windows.sliding(19999, 2, 1, 0, 2, 1)
