"""What `roi_align` reads, as tables of weighted elements, and how samples merge: for every device."""

from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .windows import Integers

Array = NDArray[Any]


class Taps(NamedTuple):
    """What the bins of all boxes read along one axis; box by box, bin by bin.

    Attributes
    ----------
    bins : ndarray of int64
        Where each bin's samples begin, and their number.
    samples : ndarray of int64
        Where each sample's taps begin, at least one, and their number.
    positions : ndarray of int64
    weights : ndarray of a float dtype
    missing : ndarray of bool, one a bin
        Whether some of its samples lie outside of the input, or there are none.
    reach : ndarray of int64, shape (boxes, 2)
        The first position that a box reads and the one behind the last.
    """

    bins: Integers
    samples: Integers
    positions: Integers
    weights: Array
    missing: NDArray[np.bool_]
    reach: Integers


class Part(NamedTuple):
    """Some boxes, sorted by their image.

    Attributes
    ----------
    numbers : ndarray of int64
        Which boxes of the call they are.
    images : ndarray of int64
        The image of each.
    begin : ndarray of int64
        Where each image's boxes begin, and their number.
    rows, columns : Taps
        Box by box in this order.
    """

    numbers: Integers
    images: Integers
    begin: Integers
    rows: Taps
    columns: Taps


def computed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What bins of arrays of a dtype are computed in: its results are rounded once."""
    return np.dtype(np.float32 if dtype.itemsize == 2 else np.float64)


# Merging samples: the best value and its sample ----------------------------------------------------------


def add_sample(best, chosen, value, sample):
    """The sum; of a mean's one sample, that one."""
    return best + value, sample


def larger_sample(best, chosen, value, sample):
    """The first of equals, also of NaNs; the first of all where there is none yet, even if it is -inf."""
    take = (value > best) | ((value != value) & (best == best)) | ((chosen < 0) & (best == -inf))
    return value if take else best, sample if take else chosen


MERGE = {"avg": (add_sample, 0.0), "max": (larger_sample, -inf)}
