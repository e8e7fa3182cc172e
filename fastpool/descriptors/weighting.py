"""Cross-dimensional weighting: places by their activation, channels by their rarity."""

from typing import Any

import numpy as np

import fastpool as fp

from . import checks
from .libraries import as_dtype, l2_normalized, library, single


def cross_dimensional_weights(x: Any, *, a: float = 2.0, b: float = 2.0) -> tuple[Any, Any]:
    """The weights of CroW: of each place, and of each channel (Kalantidis et al. 2016).

    ::

        S[h, w] = sum over c of x[c, h, w]              spatial = (S / (sum S**a)**(1/a)) ** (1/b)
        Q[c] = share of places where x[c] is not 0      channel = log(sum Q / Q[c])

    Parameters
    ----------
    x : array of floats, shape (N, C, H, W)
        Activations of at least 0, as after a rectifier.
    a : float
        Norm by which the places are normalised, above 0.
    b : float
        Root taken of their weights, above 0.

    Returns
    -------
    spatial : array, shape (N, H, W)
        Weights of the places, of the dtype of `x`.
    channel : array, shape (N, C)
        Weights of the channels, of the dtype of `x`. A channel without activations has weight 0, as have all
        places of an image of zeros. (The paper adds a small constant to `Q` instead; a silent channel
        contributes nothing either way.) A NaN makes weights of its image NaN.

    Raises
    ------
    TypeError, ValueError
        For arrays of another shape or dtype, negative activations, and `a` or `b` not above 0.

    See Also
    --------
    cross_dimensional_sum : The descriptor with these weights.

    References
    ----------
    Kalantidis, Mellina, Osindero 2016, arXiv 1512.04065.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.descriptors import cross_dimensional_weights
    >>> x = np.array([[[[3.0, 2.0]], [[0.0, 2.0]]]])
    >>> spatial, channel = cross_dimensional_weights(x, b=1)
    >>> spatial
    array([[[0.6, 0.8]]])
    >>> channel.round(4)
    array([[0.4055, 1.0986]])
    """
    a, b = checks.positive("a", a), checks.positive("b", b)
    x = checks.array("x", x, "N C H W")
    if (x < 0).any():
        raise ValueError("x must be at least 0 everywhere, as after a rectifier; got negative activations")
    spatial, channel = _weights(single(x), a, b)
    return as_dtype(spatial, x.dtype), as_dtype(channel, x.dtype)


def _weights(x: Any, a: float, b: float) -> tuple[Any, Any]:
    places = fp.global_pool(x, "sum", axes=1)
    norm = fp.global_pool(places, "lp", p=a, axes=(1, 2), keepdims=True)
    spatial = (places / (norm + (norm == 0))) ** (1 / b)
    active = fp.global_pool(x / (x + (x == 0)), "avg", axes=(2, 3))
    silent = active == 0
    total = fp.global_pool(active, "sum", axes=1, keepdims=True)
    channel = library(x).log((total + (total == 0)) / (active + silent))
    return spatial, channel * (active != 0)


def cross_dimensional_sum(x: Any, *, a: float = 2.0, b: float = 2.0) -> Any:
    """Add up the places of an image by their weights, weigh the channels, and normalise (CroW).

    ::

        v[c] = channel[c] * sum over h, w of spatial[h, w] x[c, h, w]        descriptor = v / ||v||

    The weights are those of `cross_dimensional_weights` (Kalantidis et al. 2016).

    Parameters
    ----------
    x : array of floats, shape (N, C, H, W)
        Activations of at least 0, as after a rectifier.
    a : float
        Norm by which the places are normalised, above 0.
    b : float
        Root taken of their weights, above 0.

    Returns
    -------
    array, shape (N, C)
        Of the dtype of `x`; zeros for an image of zeros.

    Raises
    ------
    TypeError, ValueError
        For arrays of another shape or dtype, negative activations, and `a` or `b` not above 0.

    See Also
    --------
    cross_dimensional_weights : The weights.
    GlobalDescriptor : Activations pooled over whole images.

    References
    ----------
    Kalantidis, Mellina, Osindero 2016, arXiv 1512.04065.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.descriptors import cross_dimensional_sum
    >>> cross_dimensional_sum(np.array([[[[3.0, 2.0]], [[0.0, 2.0]]]]), b=1).round(4)
    array([[0.6171, 0.7869]])
    """
    wide = single(checks.array("x", x, "N C H W"))
    spatial, channel = cross_dimensional_weights(wide, a=a, b=b)
    vector = l2_normalized(channel * fp.global_sum_pool(wide * spatial[:, np.newaxis]))
    return as_dtype(vector, x.dtype)
