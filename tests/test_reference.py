"""The oracle against numbers worked by hand, before it is trusted with anything."""

import re
from pathlib import Path

import numpy as np
import reference


def line(values, op, *geometry, **options):
    x = np.array(values)
    y, i = reference.pool(x, op, [reference.taps(x.size, *geometry)], (0,), **options)
    return y.tolist(), i.tolist()


def test_oracle_is_independent():
    assert not re.search(r"^\s*(import|from) fastpool", Path(reference.__file__).read_text(), re.MULTILINE)


def test_max_by_hand():
    assert line([3.0, 1, 4, 1, 5], "max", 2, 2, 0, 0, 1, False) == ([3, 4], [0, 2])
    assert line([3.0, 1, 4, 1, 5], "max", 3, 2, 1, 1, 1, False) == ([3, 4, 5], [0, 2, 4])
    assert line([3.0, 1, 4, 1, 5], "max", 2, 1, 0, 0, 2, False) == ([4, 1, 5], [2, 1, 4])
    assert line([2.0, 2, 2], "max", 3, 1, 0, 0, 1, False) == ([2], [0])
    values, where = line([1.0, np.nan, 5, np.nan], "max", 4, 1, 0, 0, 1, False)
    assert np.isnan(values[0])
    assert where == [1]


def test_averages_by_hand():
    ones = [1.0] * 6
    assert line([1.0, 2, 3, 4, 5], "avg", 2, 2, 0, 0, 1, True, include_pad=True)[0] == [1.5, 3.5, 5]
    assert line(ones, "avg", 3, 2, 1, 1, 1, True, include_pad=True)[0] == [2 / 3, 1, 1, 1 / 2]
    assert line([*ones, 1.0], "avg", 4, 3, 2, 2, 1, True, include_pad=True)[0] == [0.5, 1, 0.75]
    assert line([*ones, 1.0], "avg", 4, 3, 2, 2, 1, True)[0] == [1, 1, 1]
    assert line([1, 2, 3, 5], "avg", 4, 1, 0, 0, 1, False)[0] == [3]  # 2.75
    assert line([-1, -2], "avg", 2, 1, 0, 0, 1, False)[0] == [-1]  # -1.5, half up
    assert line([1.0, 2, 3], "avg", 3, 1, 0, 0, 1, False, override=-2)[0] == [-3]


def test_norm_by_hand():
    assert line([3.0, -4], "lp", 2, 1, 0, 0, 1, False)[0] == [5]
    assert line([3.0, -4], "lp", 2, 1, 0, 0, 1, False, p=1)[0] == [7]
    assert line([3.0, -4], "lp", 2, 1, 0, 0, 1, False, p=np.inf)[0] == [4]


def test_tables_by_hand():
    assert reference.bins(7, 3) == [([0, 1, 2], 3), ([2, 3, 4], 3), ([4, 5, 6], 3)]
    assert reference.taps(1, 2, 1, 1, 1, 2, False) is None  # the window straddles the element
    assert reference.same(5, 3, 2, 1, False) == (1, 1)
    assert reference.same(5, 2, 1, 1, False) == (0, 1)
    assert reference.same(5, 2, 1, 1, True) == (1, 0)


def test_gradient_by_hand():
    x, g = np.array([1.0, 3, 2]), np.array([10.0, 20])
    tables = [reference.taps(3, 2, 1, 0, 0, 1, False)]
    assert reference.pull(g, x, "max", tables, (0,)).tolist() == [0, 30, 0]
    assert reference.pull(g, x, "avg", tables, (0,)).tolist() == [5, 15, 10]
    assert reference.pull(g, x, "lp", tables, (0,), p=1).tolist() == [10, 30, 20]
