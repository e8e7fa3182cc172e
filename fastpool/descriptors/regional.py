"""Regional maximum activations: maxima of square regions of several sizes, added up."""

from fractions import Fraction
from typing import Any

import fastpool as fp

from . import checks
from .libraries import as_dtype, l2_normalized, single

OVERLAP = Fraction(2, 5)  # of neighbouring regions of the first level, as near as their number allows
MOST_MORE = 6  # regions that the longer side may have more than the shorter


def rmac_regions(height: int, width: int, levels: int = 3) -> list[tuple[int, int, int]]:
    """The square regions of R-MAC (Tolias et al. 2016).

    Regions of level `l` have sides of ``floor(2 min(H, W) / (l + 1))`` and stand at even distances, `l` along
    the shorter side and ``l + m`` along the longer; region `i` of `n` starts at
    ``floor(i (length - side) / (n - 1))``. Of 1 to 6, `m` is the first for which neighbours of the first
    level overlap by nearest to 40 %: ``1 - (max(H, W) - min(H, W)) / (m min(H, W))``. A square has ``m = 0``.

    Parameters
    ----------
    height, width : int
        Of the activations, at least 1.
    levels : int
        At least 1. A level whose side would be 0 has no regions.

    Returns
    -------
    list of (top, left, side)
        Level by level, row by row. Computed in integers: where floating point would round a start or a tie,
        this does not.

    Raises
    ------
    TypeError, ValueError
        For anything but integers of at least 1.

    See Also
    --------
    regional_max : The descriptor of these regions.

    References
    ----------
    Tolias, Sicre, Jegou 2016, arXiv 1511.05879.

    Examples
    --------
    >>> from fastpool.descriptors import rmac_regions
    >>> rmac_regions(4, 6, levels=2)
    [(0, 0, 4), (0, 2, 4), (0, 0, 2), (0, 2, 2), (0, 4, 2), (2, 0, 2), (2, 2, 2), (2, 4, 2)]
    """
    height, width = checks.integer("height", height), checks.integer("width", width)
    shorter, longer = min(height, width), max(height, width)
    more = _more_along_the_longer(shorter, longer)
    regions = []
    for level in range(1, checks.integer("levels", levels) + 1):
        side = 2 * shorter // (level + 1)
        if side == 0:
            break
        tops = _starts(height, side, level + more * (height > width))
        lefts = _starts(width, side, level + more * (width > height))
        regions += [(top, left, side) for top in tops for left in lefts]
    return regions


def _more_along_the_longer(shorter: int, longer: int) -> int:
    def error(more: int) -> Fraction:
        return abs(1 - Fraction(longer - shorter, more * shorter) - OVERLAP)

    return min(range(1, MOST_MORE + 1), key=error)


def _starts(length: int, side: int, count: int) -> list[int]:
    return [i * (length - side) // max(count - 1, 1) for i in range(count)]


def regional_max(x: Any, levels: int = 3) -> Any:
    """R-MAC: maxima of the whole and of each of its regions, L2-normalised and added (Tolias et al. 2016).

    ::

        n(v) = v / ||v||        descriptor = n( n(max of all) + sum over regions R of n(max over R) )

    The regions are those of `rmac_regions`; the paper's whitening of each region's vector, which is learned,
    is left out.

    Parameters
    ----------
    x : array of floats, shape (N, C, H, W)
        Of any H and W above 0.
    levels : int
        Sizes of regions, at least 1.

    Returns
    -------
    array, shape (N, C)
        Of the dtype of `x` and length 1. A region of zeros adds nothing; a NaN makes its image's vector NaN.

    Raises
    ------
    TypeError, ValueError
        For arrays of another shape or dtype, and levels below 1.

    See Also
    --------
    rmac_regions : The regions.
    GlobalDescriptor : Activations pooled over whole images.

    References
    ----------
    Tolias, Sicre, Jegou 2016, arXiv 1511.05879.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.descriptors import regional_max
    >>> x = np.array([[[[3.0, 0.0], [0.0, 0.0]], [[4.0, 0.0], [0.0, 0.0]]]])
    >>> regional_max(x)
    array([[0.6, 0.8]])
    """
    x = checks.array("x", x, "N C H W")
    total = l2_normalized(single(fp.global_max_pool(x)))
    for top, left, side in rmac_regions(x.shape[2], x.shape[3], levels):
        region = x[:, :, top : top + side, left : left + side]
        total = total + l2_normalized(single(fp.global_max_pool(region)))
    return as_dtype(l2_normalized(total), x.dtype)
