"""A classifier's head without parameters: one map a class, averaged."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

import fastpool as fp

from . import checks
from .estimator import Estimator
from .libraries import beside, library, on_host


class GlobalPoolClassifier(Estimator):
    """Network in Network's head: the mean of each class's map, then softmax (Lin et al. 2014).

    ::

        logit[k] = mean over h, w of maps[k, h, w]        probability = exp(logit) / sum exp(logit)

    It has no parameters, so it takes maps of any size, and does not overfit. What learns is what made the
    maps: hand it `loss_and_gradient`.

    Attributes
    ----------
    classes_ : ndarray, shape (K,)
        The labels in order; map `k` is that of ``classes_[k]``.

    See Also
    --------
    class_activation_map : Where in an image is the evidence for a class.
    fastpool.global_avg_pool : The pooling itself.

    References
    ----------
    Lin, Chen, Yan 2014, arXiv 1312.4400.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.descriptors import GlobalPoolClassifier
    >>> maps = np.array([[[[0.0, 2.0]], [[1.0, 1.0]]], [[[0.0, 0.0]], [[5.0, 1.0]]]])
    >>> head = GlobalPoolClassifier().fit(maps, ["cat", "dog"])
    >>> head.predict_proba(maps).round(3)
    array([[0.5  , 0.5  ],
           [0.047, 0.953]])
    >>> loss, gradient = head.loss_and_gradient(maps, ["cat", "dog"])
    >>> gradient[0, :, 0]
    array([[-0.125, -0.125],
           [ 0.125,  0.125]])
    """

    estimator_type = "classifier"

    def fit(self, x: Any, y: Any) -> Self:
        """Note which labels there are; nothing else is learned.

        Parameters
        ----------
        x : array of floats, shape (N, K, H, W)
            Maps of K classes.
        y : array_like, shape (N,)
            Labels, K of them distinct.

        Returns
        -------
        GlobalPoolClassifier
            Itself.

        Raises
        ------
        TypeError, ValueError
            For arrays of another shape or dtype, and another number of distinct labels than maps.
        """
        maps = checks.array("x", x, "N K H W")
        classes = np.unique(_labels(y, len(maps)))
        if len(classes) != maps.shape[1]:
            raise ValueError(f"y must have {maps.shape[1]} distinct labels, one a map, got {len(classes)}")
        self.classes_ = classes
        return self

    def decision_function(self, x: Any) -> Any:
        """The logits, shape (N, K), of maps of any H and W; of the dtype of `x`."""
        maps = checks.array("x", x, "N K H W")
        classes = self._fitted("classes_")
        if maps.shape[1] != len(classes):
            raise ValueError(f"x must have {len(classes)} maps, one a class, got {maps.shape[1]}")
        return fp.global_avg_pool(maps)

    def predict_proba(self, x: Any) -> Any:
        """The probabilities of the classes, shape (N, K); no logit is too large."""
        return library(x).exp(_log_softmax(self.decision_function(x)))

    def predict(self, x: Any) -> NDArray[Any]:
        """The label of each image's largest logit, of ties the first, in a NumPy array."""
        labels: NDArray[Any] = self._fitted("classes_")[on_host(self.decision_function(x)).argmax(1)]
        return labels

    def score(self, x: Any, y: Any) -> float:
        """The share of images whose label is found."""
        return float((self.predict(x) == _labels(y, len(x))).mean())

    def loss_and_gradient(self, x: Any, y: Any) -> tuple[float, Any]:
        """Mean cross-entropy, and its gradient for the maps.

        ::

            loss = -1/N sum over images of log probability[y]
            gradient[k, h, w] = (probability[k] - (k is y)) / (N H W)

        Parameters
        ----------
        x : array of floats, shape (N, K, H, W)
            At least one image.
        y : array_like, shape (N,)
            Labels among `classes_`.

        Returns
        -------
        loss : float
        gradient : array, shape (N, K, H, W)
            Of the dtype of `x`.

        Raises
        ------
        TypeError, ValueError
            Before `fit`; for arrays of another shape or dtype, and labels that `fit` has not seen.
        """
        self.decision_function(x)
        labels, classes = _labels(y, len(x)), self.classes_
        if len(x) == 0 or not np.isin(labels, classes).all():
            raise ValueError(f"y must hold at least one label, all among {classes.tolist()}, got {y!r}")
        true = beside(x, (labels[:, np.newaxis] == classes).astype(np.uint8))
        logits, pull = fp.vjp(fp.global_avg_pool, x)
        logs = _log_softmax(logits)
        loss = -float((logs * true).sum()) / len(x)
        return loss, pull((library(x).exp(logs) - true) / len(x))


def _log_softmax(logits: Any) -> Any:
    below = logits - fp.global_max_pool(logits, axes=1, keepdims=True)  # small numbers keep their digits
    log_of_mean = fp.global_pool(below, "lse", r=1, axes=1, keepdims=True)
    return below - (log_of_mean + float(np.log(logits.shape[1])))


def _labels(y: Any, count: int) -> NDArray[Any]:
    labels = np.asarray(y)
    if labels.shape != (count,):
        raise ValueError(f"y must have shape ({count},), one label an image, got {labels.shape}")
    return labels
