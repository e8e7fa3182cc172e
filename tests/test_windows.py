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
    grid = windows.divisor_grid((axis.count, axis.count), (0, 2), 4)
    assert grid.shape == (3, 1, 3, 1)
    assert grid[:, 0, :, 0].tolist() == np.multiply.outer(axis.count, axis.count).tolist()
