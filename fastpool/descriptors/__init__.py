"""What pooling is for: descriptors of whole images, retrieval, localisation, classification.

Built on fastpool's public functions, with scikit-learn's conventions: parameters in the constructor, checked
by `fit` and `transform`, so that the classes can be cloned and put into pipelines. Only `VLAD` and
`MultiScaleOrderlessPooling` need scikit-learn, to fit (``pip install "fastpool[descriptors]"``), and NumPy
arrays; the rest takes arrays of NumPy, CuPy, PyTorch and JAX, and gives the same kind back.
"""

from .classifier import GlobalPoolClassifier
from .global_descriptor import GlobalDescriptor
from .localisation import class_activation_map
from .orderless import MultiScaleOrderlessPooling
from .regional import regional_max, rmac_regions
from .vlad import VLAD
from .weighting import cross_dimensional_sum, cross_dimensional_weights

__all__ = [
    "VLAD",
    "GlobalDescriptor",
    "GlobalPoolClassifier",
    "MultiScaleOrderlessPooling",
    "class_activation_map",
    "cross_dimensional_sum",
    "cross_dimensional_weights",
    "regional_max",
    "rmac_regions",
]
