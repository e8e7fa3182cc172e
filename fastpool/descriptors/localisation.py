"""Where in an image is the evidence for a class?"""

from typing import Any

import numpy as np

import fastpool as fp

from . import checks
from .libraries import as_dtype, beside, single


def class_activation_map(features: Any, weights: Any, output_shape: Any = None, *, pool: str = "avg") -> Any:
    """What each place adds to a class's score, where the score is linear in globally pooled features.

    ::

        logit[k] = sum over c of weights[k, c] pool(features[c])
        map[k, h, w] = H W sum over c of weights[k, c] features[c, h, w] slope[c, h, w]

    where the slope is that of ``pool(features[c])`` for ``features[c, h, w]``, so that **the mean of a map is
    its logit** (without the bias). For ``"avg"`` the slope is ``1 / (H W)``, and the map as published:
    ``sum over c of weights[k, c] features[c, h, w]`` (Zhou et al. 2016). For ``"max"`` it is 1 at the
    maximum, the first of ties, and else 0: the map shows which places the maxima came from.

    Parameters
    ----------
    features : array of floats, shape (N, C, H, W)
        What the head pools.
    weights : array of floats, shape (K, C)
        Of the linear layer behind the pooling; of the library and dtype of `features`.
    output_shape : pair of int, optional
        Enlarge the maps to this height and width, as for laying them over the image: linear between the
        centres of places and constant beyond the outermost. The mean is then the logit's only roughly.
    pool : {"avg", "max"}

    Returns
    -------
    array, shape (N, K, H, W), or (N, K, *output_shape)
        Of the dtype of `features`. A NaN makes NaN of every place that it reaches.

    Raises
    ------
    TypeError, ValueError
        For arrays of another shape or dtype, a number of channels that differs, and another pool.

    See Also
    --------
    GlobalPoolClassifier : The head whose scores these maps explain.
    fastpool.roi_align : How maps are enlarged.

    References
    ----------
    Zhou, Khosla, Lapedriza, Oliva, Torralba 2016, arXiv 1512.04150.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.descriptors import class_activation_map
    >>> features = np.array([[[[1.0, 3.0]], [[0.0, 4.0]]]])
    >>> class_activation_map(features, np.array([[1.0, 0.5]]))
    array([[[[1., 5.]]]])
    >>> class_activation_map(features, np.array([[1.0, 0.5]]), pool="max")
    array([[[[ 0., 10.]]]])
    """
    pool = checks.one_of("pool", pool, ("avg", "max"))
    features = checks.array("features", features, "N C H W")
    weights = checks.array("weights", weights, "K C")
    if type(weights) is not type(features) or weights.dtype != features.dtype:
        raise TypeError(
            f"weights must be of the library and dtype of features, {type(features).__name__} of "
            f"{features.dtype}, got {type(weights).__name__} of {weights.dtype}"
        )
    dtype, features, weights = features.dtype, single(features), single(weights)
    n, c, h, w = features.shape
    if weights.shape[1] != c:
        raise ValueError(f"weights must have shape (K, {c}) for {c} channels, got {tuple(weights.shape)}")
    shares = features
    if pool == "max":
        maxima, pull = fp.vjp(fp.global_max_pool, features)
        shares = features * pull(maxima * 0 + h * w)
    maps = (weights @ shares.reshape(n, c, h * w)).reshape(n, weights.shape[0], h, w)
    return as_dtype(maps if output_shape is None else _enlarged(maps, output_shape), dtype)


def _enlarged(maps: Any, shape: Any) -> Any:
    if not isinstance(shape, list | tuple) or len(shape) != 2:
        raise TypeError(f"output_shape must be a pair of integers, got {shape!r}")
    height, width = (checks.integer("output_shape", length) for length in shape)
    n, _, h, w = maps.shape
    whole = np.array([(image, 0, 0, w, h) for image in range(n)], np.float64).reshape(n, 5)
    return fp.roi_align(maps, beside(maps, whole), (height, width), samples=1)
