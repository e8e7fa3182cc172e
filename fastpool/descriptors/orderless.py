"""Multi-scale orderless pooling: patches of several sizes, each scale aggregated without its places."""
# ruff: noqa: ARG002 (scikit-learn passes y to every fit)
# mypy: disable-error-code="import-untyped"

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from . import checks
from .checks import Rows
from .estimator import Transformer
from .libraries import l2_normalized
from .vlad import VLAD, in_one_order


class MultiScaleOrderlessPooling(Transformer):
    """MOP: activations of patches at several scales, each scale a VLAD of its own (Gong et al. 2014).

    Every scale's patches, square and `stride` apart, go through `extract`; their activations are reduced by
    PCA, aggregated by soft `VLAD` and divided by their length; the scales' vectors are concatenated and again
    divided by their length. Where a scale has one patch, which is the whole image, that patch's activations
    stand in for PCA and VLAD, as on the paper's first level. PCA and centres are learned for each scale.

    The defaults are the paper's, for images of 256 x 256: 1, 25 and 49 patches, each descriptor shared by its
    5 nearest centres, and signed square roots. (``sigma=10`` is not from the paper's text: its authors' code
    weighs by a squared distance over 10.) `output_components` is the paper's last PCA, to 4096 for each scale
    with patches, here off by default, since it needs as many images to learn from.

    Parameters
    ----------
    extract : callable
        From patches, shape (P, C, side, side), to activations, shape (P, D), finite, row by row. Any function
        will do; `D` may depend on the side.
    scales : sequence of int
        Sides of the patches, in the order of their vectors.
    stride : int
        Between patches along both axes.
    n_components : int
        Dimensions that PCA keeps; all where there are fewer, or fewer patches.
    n_clusters : int
        Centres of each scale; at most as many as there are distinct patches.
    nearest, sigma : int, float
        As in `VLAD`; `sigma` is a distance between activations, so choose it to suit them.
    output_components : int or None
        Dimensions that a second PCA keeps of each scale's VLAD; all where there are fewer, or fewer images.
    random_state : int, numpy.random.RandomState or None
        Of k-means and PCA.

    Attributes
    ----------
    levels_ : list of (PCA, VLAD, PCA or None), or None where a scale has one patch

    See Also
    --------
    VLAD : The aggregation of one scale.
    GlobalDescriptor : Activations pooled over whole images.

    References
    ----------
    Gong, Wang, Guo, Lazebnik 2014, arXiv 1403.1840.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool import global_avg_pool
    >>> from fastpool.descriptors import MultiScaleOrderlessPooling
    >>> images = np.arange(36.0).reshape(1, 1, 6, 6) - [[[[0]], [[20]]]]
    >>> mop = MultiScaleOrderlessPooling(global_avg_pool, scales=(6,))  # other scales need scikit-learn
    >>> mop.fit_transform(images.reshape(1, 2, 6, 6)).round(4)
    array([[ 0.9899, -0.1414]])
    """

    def __init__(
        self,
        extract: Callable[[Any], Any],
        scales: Sequence[int] = (256, 128, 64),
        stride: int = 32,
        n_components: int = 500,
        n_clusters: int = 100,
        nearest: int = 5,
        sigma: float = 10.0,
        output_components: int | None = None,
        random_state: Any = None,
    ):
        self.extract = extract
        self.scales = scales
        self.stride = stride
        self.n_components = n_components
        self.n_clusters = n_clusters
        self.nearest = nearest
        self.sigma = sigma
        self.output_components = output_components
        self.random_state = random_state

    def fit(self, x: Any, y: Any = None) -> Self:
        """Learn PCA and centres of each scale, with scikit-learn.

        Parameters
        ----------
        x : ndarray, shape (N, C, H, W)
            Images of any dtype that `extract` takes, at least as large as the largest scale, at least one.
        y : None
            Ignored.

        Returns
        -------
        MultiScaleOrderlessPooling
            Itself.

        Raises
        ------
        TypeError, ValueError
            For a bad parameter, arrays of another shape, images smaller than a scale, activations that are
            not finite rows, one a patch, and fewer distinct patches of a scale than clusters.
        """
        self._learn(self._activations(x))
        return self

    def transform(self, x: Any) -> Rows:
        """The images' vectors.

        Parameters
        ----------
        x : ndarray, shape (N, C, H, W)
            Images; H and W may differ from those in `fit`, as long as no scale has one patch here and more
            there.

        Returns
        -------
        ndarray of float64, shape (N, sum of the scales' lengths)
            The order of an image's patches does not matter, but for rounding.

        Raises
        ------
        TypeError, ValueError
            As in `fit`; before it, and where a scale had one patch in `fit` and has more here, or the other
            way about.
        """
        self._fitted("levels_")
        return self._vectors(self._activations(x))

    def fit_transform(self, x: Any, y: Any = None) -> Rows:
        """`fit`, and `transform` of the same images, whose patches go through `extract` once."""
        activations = self._activations(x)
        self._learn(activations)
        return self._vectors(activations)

    def _activations(self, x: Any) -> list[Rows]:
        """Of each scale the activations, of shape (N, patches, D)."""
        images = checks.array("x", x, "N C H W", floats=False)
        if not isinstance(images, np.ndarray):
            raise TypeError(f"x must be a numpy.ndarray, got {type(x).__name__}")
        if len(images) == 0:
            raise ValueError("x must hold at least one image, got none")
        if not callable(self.extract):
            raise TypeError(f"extract must be a function of patches, got {self.extract!r}")
        if not isinstance(self.scales, list | tuple | np.ndarray) or len(self.scales) == 0:
            raise TypeError(f"scales must be a sequence of at least one integer, got {self.scales!r}")
        sides = [checks.integer("scales", side) for side in self.scales]
        stride = checks.integer("stride", self.stride)
        if max(sides) > min(images.shape[2:]):
            raise ValueError(f"scales must fit images of {images.shape[2:]}, got {self.scales!r}")
        return [np.stack([self._of_image(image, side, stride) for image in images]) for side in sides]

    def _of_image(self, image: NDArray[Any], side: int, stride: int) -> Rows:
        patches = square_patches(image, side, stride)
        rows = checks.sets_of_rows("what extract returns", [self.extract(patches)])[0]
        if len(rows) != len(patches):
            raise ValueError(f"extract must return a row for each of {len(patches)} patches, got {len(rows)}")
        return rows

    def _learn(self, activations: list[Rows]) -> None:
        components = checks.integer("n_components", self.n_components)
        checks.integer("n_clusters", self.n_clusters)
        if self.output_components is not None:
            checks.integer("output_components", self.output_components)
        self.levels_ = [self._level(sets, components) if sets.shape[1] > 1 else None for sets in activations]

    def _level(self, sets: Rows, components: int) -> tuple[Any, VLAD, Any]:
        vlad = VLAD(
            self.n_clusters,
            assignment="soft",
            nearest=self.nearest,
            sigma=self.sigma,
            random_state=self.random_state,
        )
        reduce = self._pca(in_one_order(sets.reshape(-1, sets.shape[2])), components)
        reduced = _each(reduce, sets)
        vectors = vlad.fit_transform(reduced)
        last = None if self.output_components is None else self._pca(vectors, self.output_components)
        return reduce, vlad, last

    def _pca(self, rows: Rows, components: int) -> Any:
        from sklearn.decomposition import PCA  # noqa: PLC0415

        return PCA(min(components, *rows.shape), random_state=self.random_state).fit(rows)

    def _vectors(self, activations: list[Rows]) -> Rows:
        parts: list[Rows] = []
        for side, level, sets in zip(self.scales, self.levels_, activations, strict=True):
            if (level is None) != (sets.shape[1] == 1):
                raise ValueError(
                    f"x must have one patch of scale {side} where it had one in fit, and more where it had "
                    f"more, got {sets.shape[1]}"
                )
            parts.append(l2_normalized(sets[:, 0] if level is None else _aggregated(sets, *level)))
        joined: Rows = l2_normalized(np.concatenate(parts, axis=1))
        return joined


def _each(reduce: Any, sets: Rows) -> Rows:
    """Every image's rows, in an order that depends on their values alone, through a PCA."""
    return np.stack([reduce.transform(in_one_order(rows)) for rows in sets])


def _aggregated(sets: Rows, reduce: Any, vlad: VLAD, last: Any) -> Any:
    vectors = vlad.transform(_each(reduce, sets))
    return vectors if last is None else last.transform(vectors)


def square_patches(image: NDArray[Any], side: int, stride: int) -> NDArray[Any]:
    """An image's patches, row by row: from (C, H, W) to (patches, C, side, side)."""
    views = np.lib.stride_tricks.sliding_window_view(image, (side, side), axis=(1, 2))
    places = views[:, ::stride, ::stride].transpose(1, 2, 0, 3, 4)
    return places.reshape(-1, len(image), side, side)
