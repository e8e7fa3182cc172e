"""One vector an image: activations pooled over all places."""

from typing import Any

import fastpool as fp

from . import checks
from .estimator import Transformer
from .libraries import as_dtype, l2_normalized, library, single

KINDS = ("sum", "avg", "max", "gem", "avg+max")


class GlobalDescriptor(Transformer):
    """Activations pooled over the whole image to a vector of length 1.

    ::

        v[c] = pool over h, w of x[c, h, w]        descriptor = v / ||v||

    Sum pooling is SPoC (Babenko and Lempitsky 2015), max pooling MAC (Tolias et al. 2016), generalised means
    are GeM (Radenovic et al. 2019). ``"avg+max"`` normalises both halves, concatenates them, and normalises
    again. The lengths being normalised, sum and average agree but for rounding.

    Parameters
    ----------
    kind : {"sum", "avg", "max", "gem", "avg+max"}
    p : float
        Exponent of ``"gem"``, above 0.

    See Also
    --------
    regional_max : Maxima of regions, added up.
    cross_dimensional_sum : Weighted sums over places.
    fastpool.global_pool : The pooling itself.

    References
    ----------
    Babenko, Lempitsky 2015, arXiv 1510.07493. Tolias, Sicre, Jegou 2016, arXiv 1511.05879.
    Radenovic, Tolias, Chum 2019, arXiv 1711.02512.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.descriptors import GlobalDescriptor
    >>> x = np.array([[[[1.0, 3.0]], [[0.0, 4.0]]]])
    >>> GlobalDescriptor("max").fit_transform(x)
    array([[0.6, 0.8]])
    """

    requires_fit = False

    def __init__(self, kind: str = "gem", p: float = 3.0):
        self.kind = kind
        self.p = p

    def transform(self, x: Any) -> Any:
        """The descriptors.

        Parameters
        ----------
        x : array of floats, shape (N, C, H, W)
            Of any H and W above 0.

        Returns
        -------
        array, shape (N, C), or (N, 2 C) for ``"avg+max"``
            Of the dtype of `x`, computed in float32 where that has 16 bits. An image of zeros has zeros,
            for ``"gem"`` equal entries; NaN stays NaN.

        Raises
        ------
        TypeError, ValueError
            For an unknown kind, an exponent that is not above 0, and arrays of another shape or dtype.
        """
        kind = checks.one_of("kind", self.kind, KINDS)
        options: dict[str, dict[str, Any]] = {"gem": {"p": checks.positive("p", self.p)}}
        ops: list[Any] = kind.split("+")
        x = checks.array("x", x, "N C H W")
        wide = single(x)
        pooled = (fp.global_pool(wide, op, axes=(2, 3), **options.get(op, {})) for op in ops)
        parts = [l2_normalized(part) for part in pooled]
        whole = parts[0] if len(parts) == 1 else l2_normalized(library(x).concatenate(parts, -1))
        return as_dtype(whole, x.dtype)
