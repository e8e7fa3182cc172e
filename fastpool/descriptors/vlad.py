"""Vectors of locally aggregated descriptors."""
# ruff: noqa: ARG002 (scikit-learn passes y to every fit)
# mypy: disable-error-code="import-untyped"

from typing import Any, Self

import numpy as np

from . import checks
from .checks import Rows
from .estimator import Transformer
from .libraries import l2_normalized

ASSIGNMENTS = ("hard", "soft")


class VLAD(Transformer):
    """How an image's local descriptors deviate from the centres of k-means, in one vector.

    ::

        v[k] = sum over j of a[j, k] (x[j] - centre[k])        blocks of D, one a centre
        v = sign(v) |v|**power,   v = v / ||v||

    ``"hard"``: ``a[j, k]`` is 1 for the nearest centre and else 0 (Jegou et al. 2010). ``"soft"``: it is
    ``exp(-d**2 / (2 sigma**2))`` of the distance `d` for the `nearest` centres, and else 0, divided by its
    sum over the centres (Gong et al. 2014). With `intra_normalize` each block is divided by its own length
    between the power and the last division (Arandjelovic and Zisserman 2013).

    Of equally near centres the first counts as the nearer. A centre without descriptors has a block of zeros,
    as has a block whose deviations cancel; an image without descriptors has zeros. Duplicates count as often
    as they come. The order of descriptors does not matter, not to the last bit: they are sorted first.

    Parameters
    ----------
    n_clusters : int
        Centres; at most as many as there are distinct descriptors to learn from.
    assignment : {"hard", "soft"}
        Whether a descriptor belongs to one centre or to several.
    intra_normalize : bool
        Divide each block by its own length.
    power : float
        Above 0; 1 leaves the values as they are.
    nearest : int
        Centres that share a descriptor, for ``"soft"``; all where there are fewer.
    sigma : float
        Distance at which a centre's share has fallen to ``exp(-0.5)``, for ``"soft"``.
    random_state : int, numpy.random.RandomState or None
        Of k-means.

    Attributes
    ----------
    centers_ : ndarray of float64, shape (n_clusters, D)

    See Also
    --------
    MultiScaleOrderlessPooling : Patches of several sizes, each a VLAD.
    GlobalDescriptor : Activations pooled over whole images.

    References
    ----------
    Jegou, Douze, Schmid, Perez 2010, Aggregating local descriptors into a compact image representation.
    Arandjelovic, Zisserman 2013, All about VLAD. Gong, Wang, Guo, Lazebnik 2014, arXiv 1403.1840.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.descriptors import VLAD
    >>> vlad = VLAD(2, power=1.0)
    >>> vlad.centers_ = np.array([[0.0, 0.0], [10.0, 10.0]])  # or fit, with scikit-learn
    >>> vlad.transform([np.array([[1.0, 2.0], [2.0, 2.0]])])
    array([[0.6, 0.8, 0. , 0. ]])
    """

    def __init__(
        self,
        n_clusters: int = 64,
        assignment: str = "hard",
        intra_normalize: bool = False,
        power: float = 0.5,
        nearest: int = 5,
        sigma: float = 10.0,
        random_state: Any = None,
    ):
        self.n_clusters = n_clusters
        self.assignment = assignment
        self.intra_normalize = intra_normalize
        self.power = power
        self.nearest = nearest
        self.sigma = sigma
        self.random_state = random_state

    def fit(self, x: Any, y: Any = None) -> Self:
        """Learn the centres from the descriptors of all images, with scikit-learn's k-means.

        Parameters
        ----------
        x : sequence of ndarray, each of shape (P, D), or ndarray of shape (N, P, D)
            Descriptors of each image: finite real numbers, any number of them an image.
        y : None
            Ignored.

        Returns
        -------
        VLAD
            Itself.

        Raises
        ------
        TypeError, ValueError
            For a bad parameter, arrays of another shape or dtype, vectors of differing lengths, NaN or
            infinity, and fewer distinct descriptors than clusters.
        """
        from sklearn.cluster import KMeans  # noqa: PLC0415

        self._check()
        sets = checks.sets_of_rows("x", x)
        rows = in_one_order(np.concatenate(sets)) if sets else np.empty((0, 1))
        distinct = len(np.unique(rows, axis=0))
        if distinct < self.n_clusters:
            raise ValueError(
                "n_clusters must be at most the number of distinct descriptors, "
                f"got {self.n_clusters} for {distinct}"
            )
        means = KMeans(self.n_clusters, random_state=self.random_state).fit(rows)
        self.centers_ = means.cluster_centers_
        return self

    def transform(self, x: Any) -> Rows:
        """The images' vectors.

        Parameters
        ----------
        x : sequence of ndarray, each of shape (P, D), or ndarray of shape (N, P, D)
            As in `fit`; an image may have no descriptors.

        Returns
        -------
        ndarray of float64, shape (N, n_clusters * D)

        Raises
        ------
        TypeError, ValueError
            As in `fit`; before it, and for vectors of another length than there.
        """
        centers = self._fitted("centers_")
        self._check()
        sets = checks.sets_of_rows("x", x)
        if sets and sets[0].shape[1] != centers.shape[1]:
            raise ValueError(
                f"x must hold vectors of length {centers.shape[1]}, as in fit, got {sets[0].shape[1]}"
            )
        vectors = [self._vector(in_one_order(rows), centers) for rows in sets]
        return np.array(vectors).reshape(len(sets), centers.size)

    def _check(self) -> None:
        checks.integer("n_clusters", self.n_clusters)
        checks.one_of("assignment", self.assignment, ASSIGNMENTS)
        checks.boolean("intra_normalize", self.intra_normalize)
        checks.positive("power", self.power)
        checks.integer("nearest", self.nearest)
        checks.positive("sigma", self.sigma)

    def _vector(self, rows: Rows, centers: Rows) -> Rows:
        shares = self._shares(rows, centers)
        blocks = np.stack([a @ (rows - center) for a, center in zip(shares.T, centers, strict=True)])
        blocks = np.sign(blocks) * np.abs(blocks) ** self.power
        if self.intra_normalize:
            blocks = l2_normalized(blocks)
        vector: Rows = l2_normalized(blocks.ravel())
        return vector

    def _shares(self, rows: Rows, centers: Rows) -> Rows:
        """``a[j, k]``: how much of descriptor `j` goes to centre `k`."""
        squares = np.stack([((rows - center) ** 2).sum(1) for center in centers], axis=1)
        count = self.nearest if self.assignment == "soft" else 1
        chosen = np.argsort(squares, axis=1, kind="stable")[:, :count]
        near = np.take_along_axis(squares, chosen, axis=1)
        weights = np.exp((near[:, :1] - near) / (2 * self.sigma**2))  # of the nearest 1: none vanish
        shares = np.zeros_like(squares)
        np.put_along_axis(shares, chosen, weights / weights.sum(1, keepdims=True), axis=1)
        return shares


def in_one_order(rows: Rows) -> Rows:
    """The same rows in an order that depends on their values alone."""
    rows = np.ascontiguousarray(rows + 0.0)  # -0.0 becomes 0.0
    as_bytes = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    return rows[np.argsort(as_bytes, kind="stable")]
