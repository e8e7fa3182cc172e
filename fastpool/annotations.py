"""What the signatures of public functions say of their arguments and results.

An array comes back as the kind that went in: a NumPy array of any dtype and shape for a NumPy array, a tensor
for a tensor. Overloads say so. They name the keywords that many functions share by the dictionaries here;
each function's own signature spells all of them out.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, SupportsIndex, TypeAlias, TypedDict, TypeVar, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .random import Draws


class AnyArray(Protocol):
    """An array of any library; lists and numbers are none."""

    def __array__(self) -> Any:
        """The method that NumPy calls for the array's elements."""


ArrayT = TypeVar("ArrayT", bound=AnyArray)
ArrayT_co = TypeVar("ArrayT_co", bound=AnyArray, covariant=True)
NumpyArray: TypeAlias = NDArray[Any]
Result: TypeAlias = Any  # of an implementation, whose overloads say which array it is

Op: TypeAlias = Literal[
    "max",
    "min",
    "count",
    "avg",
    "mean",
    "sum",
    "lp",
    "gem",
    "lse",
    "soft",
    "mixed",
    "stochastic",
    "median",
    "quantile",
    "mode",
    "var",
    "std",
    "nearest",
]
Lengths: TypeAlias = SupportsIndex | Sequence[SupportsIndex] | NDArray[np.integer[Any]] | Mapping[Any, int]
Sizes: TypeAlias = (
    SupportsIndex | Sequence[SupportsIndex | None] | NDArray[np.integer[Any]] | Mapping[Any, int]
)
Ratios: TypeAlias = float | Sequence[float]
Axes: TypeAlias = SupportsIndex | str | Sequence[SupportsIndex] | Sequence[str]
Words: TypeAlias = Literal["valid", "same", "same_lower"]
Padding: TypeAlias = (
    Words | Lengths | Sequence[SupportsIndex | tuple[int, int]] | Mapping[Any, tuple[int, int]]
)
BorderWord: TypeAlias = Literal["reflect", "mirror", "edge", "wrap"]
Border: TypeAlias = BorderWord | Sequence[BorderWord | None] | Mapping[Any, BorderWord]
Footprint: TypeAlias = AnyArray | Sequence[Any]  # of bool
Rois: TypeAlias = AnyArray | Sequence[AnyArray]
Offsets: TypeAlias = AnyArray | Sequence[SupportsIndex]
Number: TypeAlias = float | np.number[Any] | np.bool_
Mask: TypeAlias = AnyArray | bool
Parameter: TypeAlias = float | AnyArray  # which may be a tensor with a gradient
Quantiles: TypeAlias = float | Sequence[float] | NDArray[np.floating[Any]]
Rng: TypeAlias = int | np.random.Generator | Draws | None
Corner: TypeAlias = Literal["first", "middle"]
Ties: TypeAlias = Literal["smallest", "first", "largest"]
Scheme: TypeAlias = Literal["torch", "random", "pseudo"]
Duplicates: TypeAlias = Literal["last", "sum", "error"]


class Pull(Protocol[ArrayT_co]):
    """The way back of a call: from the gradient of its result to that of its input."""

    @overload
    def __call__(self, gy: Any, *, params: Literal[False] = ...) -> ArrayT_co: ...
    @overload
    def __call__(self, gy: Any, *, params: Literal[True]) -> tuple[ArrayT_co, dict[str, Any]]: ...


class Absent(TypedDict, total=False):
    """Which elements take part, and what windows without enough of them give."""

    where: Mask | None
    skipna: bool | None
    nodata: Number | None
    min_count: int
    fill: Number | None


class Params(TypedDict, total=False):
    """The parameters of all operators."""

    p: Parameter
    eps: float
    r: Parameter
    beta: Parameter
    alpha: Parameter
    q: Quantiles
    rng: Rng
    training: bool
    ignore: Number | None
    ties: Ties
    ddof: float
    corner: Corner
    count_include_pad: bool
    divisor_override: int | None
    weights: AnyArray | None


class Sliding(Absent, total=False):
    """Keywords of the functions of one operator over sliding windows."""

    stride: Lengths | None
    padding: Padding
    dilation: Lengths
    ceil_mode: bool
    axes: Axes | None
    border: Border | None
    footprint: Footprint | None
    out: AnyArray | None
    dtype: DTypeLike | None


class Pooling(Sliding, Params, total=False):
    """Keywords of `pool`."""


class Adaptive(Absent, Params, total=False):
    """Keywords of `adaptive_pool`."""

    axes: Axes | None
    out: AnyArray | None


class Global(Absent, Params, total=False):
    """Keywords of `global_pool`."""

    axes: Axes | None
    keepdims: bool


class Fractional(Adaptive, total=False):
    """Keywords of `fractional_pool`."""

    ratio: Ratios | None
    window: Lengths | None
    scheme: Scheme
    overlapping: bool
    samples: AnyArray | None


class Cells(Absent, Params, total=False):
    """Keywords of `pyramid_pool` and `mosaic`."""

    axes: Axes | None


class Segments(Absent, Params, total=False):
    """Keywords of `segment_pool`."""

    axis: SupportsIndex
    offsets: Offsets | None


class Boxes(Absent, Params, total=False):
    """Keywords of `roi_pool`."""

    scale: float
    out: AnyArray | None


class Align(Absent, total=False):
    """Keywords of `roi_align`."""

    scale: float
    samples: int
    aligned: bool
    op: Literal["avg", "mean", "max", "max_neighbour"]
    weights: AnyArray | None


class Area(Absent, total=False):
    """Keywords of `area_pool`."""

    ratio: Ratios | None
    op: Literal["avg", "mean", "sum"]
    axes: Axes | None
    weights: AnyArray | None
    out: AnyArray | None
    dtype: DTypeLike | None


class Blur(Absent, total=False):
    """Keywords of `blur_pool`."""

    stride: Lengths
    op: Literal["max"] | None
    axes: Axes | None
    weights: AnyArray | None
    out: AnyArray | None
    dtype: DTypeLike | None
