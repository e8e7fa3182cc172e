"""What the signatures of other frameworks' functions say of their arguments and results.

A function that serves one, two and three axes is made once for each; a protocol here says how all of them are
called. An array comes back as the kind that went in, as in `fastpool.annotations`.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from fastpool.annotations import AnyArray, ArrayT, NumpyArray, Ratios

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # that of `typing` has defaults from Python 3.13 on

    # The type of a module's `return_indices`, which tells whether a call returns a pair.
    Indexed = TypeVar("Indexed", Literal[False], Literal[True], bool, default=Literal[False])
else:
    from typing import TypeVar

    Indexed = TypeVar("Indexed")

IntegerSequence: TypeAlias = Sequence[SupportsIndex] | NDArray[np.integer[Any]]
Integers: TypeAlias = SupportsIndex | IntegerSequence  # one for all axes, or one for each
OutputSize: TypeAlias = Integers | Sequence[SupportsIndex | None]


class MaxPoolFunction(Protocol):
    """`max_pool1d`, `max_pool2d` and `max_pool3d`."""

    @overload
    def __call__(
        self,
        input: ArrayT,
        kernel_size: Integers,
        stride: Integers | None = ...,
        padding: Integers = ...,
        dilation: Integers = ...,
        ceil_mode: bool = ...,
        return_indices: Literal[False] = ...,
    ) -> ArrayT: ...
    @overload
    def __call__(
        self,
        input: NumpyArray,
        kernel_size: Integers,
        stride: Integers | None = ...,
        padding: Integers = ...,
        dilation: Integers = ...,
        ceil_mode: bool = ...,
        return_indices: Literal[True] = ...,
    ) -> tuple[NumpyArray, NumpyArray]: ...
    @overload
    def __call__(
        self,
        input: ArrayT,
        kernel_size: Integers,
        stride: Integers | None = ...,
        padding: Integers = ...,
        dilation: Integers = ...,
        ceil_mode: bool = ...,
        return_indices: Literal[True] = ...,
    ) -> tuple[ArrayT, ArrayT]: ...
    @overload
    def __call__(
        self,
        input: ArrayT,
        kernel_size: Integers,
        stride: Integers | None = ...,
        padding: Integers = ...,
        dilation: Integers = ...,
        ceil_mode: bool = ...,
        return_indices: bool = ...,
    ) -> ArrayT | tuple[ArrayT, ArrayT]: ...


class MaxPoolWithIndicesFunction(Protocol):
    """`max_pool1d_with_indices` and its like, which return a pair whatever `return_indices` says."""

    @overload
    def __call__(
        self,
        input: NumpyArray,
        kernel_size: Integers,
        stride: Integers | None = ...,
        padding: Integers = ...,
        dilation: Integers = ...,
        ceil_mode: bool = ...,
        return_indices: bool = ...,
    ) -> tuple[NumpyArray, NumpyArray]: ...
    @overload
    def __call__(
        self,
        input: ArrayT,
        kernel_size: Integers,
        stride: Integers | None = ...,
        padding: Integers = ...,
        dilation: Integers = ...,
        ceil_mode: bool = ...,
        return_indices: bool = ...,
    ) -> tuple[ArrayT, ArrayT]: ...


class AvgPoolFunction(Protocol):
    """`avg_pool2d` and `avg_pool3d`."""

    @overload
    def __call__(
        self,
        input: NumpyArray,
        kernel_size: Integers,
        stride: Integers | None = ...,
        padding: Integers = ...,
        ceil_mode: bool = ...,
        count_include_pad: bool = ...,
        divisor_override: int | None = ...,
    ) -> NumpyArray: ...
    @overload
    def __call__(
        self,
        input: ArrayT,
        kernel_size: Integers,
        stride: Integers | None = ...,
        padding: Integers = ...,
        ceil_mode: bool = ...,
        count_include_pad: bool = ...,
        divisor_override: int | None = ...,
    ) -> ArrayT: ...


class LPPoolFunction(Protocol):
    """`lp_pool1d`, `lp_pool2d` and `lp_pool3d`."""

    def __call__(
        self,
        input: ArrayT,
        norm_type: float,
        kernel_size: Integers,
        stride: Integers | None = ...,
        ceil_mode: bool = ...,
    ) -> ArrayT:
        """Power averages of windows."""


class AdaptiveMaxPoolFunction(Protocol):
    """`adaptive_max_pool1d`, `adaptive_max_pool2d` and `adaptive_max_pool3d`."""

    @overload
    def __call__(
        self, input: ArrayT, output_size: OutputSize, return_indices: Literal[False] = ...
    ) -> ArrayT: ...
    @overload
    def __call__(
        self, input: NumpyArray, output_size: OutputSize, return_indices: Literal[True]
    ) -> tuple[NumpyArray, NumpyArray]: ...
    @overload
    def __call__(
        self, input: ArrayT, output_size: OutputSize, return_indices: Literal[True]
    ) -> tuple[ArrayT, ArrayT]: ...
    @overload
    def __call__(
        self, input: ArrayT, output_size: OutputSize, return_indices: bool
    ) -> ArrayT | tuple[ArrayT, ArrayT]: ...


class AdaptiveMaxPoolWithIndicesFunction(Protocol):
    """`adaptive_max_pool1d_with_indices` and its like, which return a pair in any case."""

    @overload
    def __call__(
        self, input: NumpyArray, output_size: OutputSize, return_indices: bool = ...
    ) -> tuple[NumpyArray, NumpyArray]: ...
    @overload
    def __call__(
        self, input: ArrayT, output_size: OutputSize, return_indices: bool = ...
    ) -> tuple[ArrayT, ArrayT]: ...


class AdaptiveAvgPoolFunction(Protocol):
    """`adaptive_avg_pool1d`, `adaptive_avg_pool2d` and `adaptive_avg_pool3d`."""

    @overload
    def __call__(self, input: NumpyArray, output_size: OutputSize) -> NumpyArray: ...
    @overload
    def __call__(self, input: ArrayT, output_size: OutputSize) -> ArrayT: ...


class FractionalMaxPoolFunction(Protocol):
    """`fractional_max_pool2d` and `fractional_max_pool3d`."""

    @overload
    def __call__(
        self,
        input: ArrayT,
        kernel_size: Integers,
        output_size: Integers | None = ...,
        output_ratio: Ratios | None = ...,
        return_indices: Literal[False] = ...,
        _random_samples: AnyArray | None = ...,
    ) -> ArrayT: ...
    @overload
    def __call__(
        self,
        input: NumpyArray,
        kernel_size: Integers,
        output_size: Integers | None = ...,
        output_ratio: Ratios | None = ...,
        return_indices: Literal[True] = ...,
        _random_samples: AnyArray | None = ...,
    ) -> tuple[NumpyArray, NumpyArray]: ...
    @overload
    def __call__(
        self,
        input: ArrayT,
        kernel_size: Integers,
        output_size: Integers | None = ...,
        output_ratio: Ratios | None = ...,
        return_indices: Literal[True] = ...,
        _random_samples: AnyArray | None = ...,
    ) -> tuple[ArrayT, ArrayT]: ...
    @overload
    def __call__(
        self,
        input: ArrayT,
        kernel_size: Integers,
        output_size: Integers | None = ...,
        output_ratio: Ratios | None = ...,
        return_indices: bool = ...,
        _random_samples: AnyArray | None = ...,
    ) -> ArrayT | tuple[ArrayT, ArrayT]: ...


class FractionalMaxPoolWithIndicesFunction(Protocol):
    """`fractional_max_pool2d_with_indices` and its like, which return a pair in any case."""

    @overload
    def __call__(
        self,
        input: NumpyArray,
        kernel_size: Integers,
        output_size: Integers | None = ...,
        output_ratio: Ratios | None = ...,
        return_indices: bool = ...,
        _random_samples: AnyArray | None = ...,
    ) -> tuple[NumpyArray, NumpyArray]: ...
    @overload
    def __call__(
        self,
        input: ArrayT,
        kernel_size: Integers,
        output_size: Integers | None = ...,
        output_ratio: Ratios | None = ...,
        return_indices: bool = ...,
        _random_samples: AnyArray | None = ...,
    ) -> tuple[ArrayT, ArrayT]: ...


class MaxUnpoolFunction(Protocol):
    """`max_unpool1d`, `max_unpool2d` and `max_unpool3d`."""

    def __call__(
        self,
        input: ArrayT,
        indices: AnyArray,
        kernel_size: Integers,
        stride: Integers | None = ...,
        padding: Integers = ...,
        output_size: IntegerSequence | None = ...,
    ) -> ArrayT:
        """Values where their indices say."""


class NodeProto(Protocol):
    """What is read of a node of the onnx package."""

    @property
    def op_type(self) -> str:
        """The operator."""

    @property
    def domain(self) -> str:
        """The operator's domain."""

    @property
    def input(self) -> Iterable[str]:
        """Names of the inputs."""

    @property
    def output(self) -> Iterable[str]:
        """Names of the outputs."""

    @property
    def attribute(self) -> Iterable[Any]:
        """The attributes, each with its name."""


class ModelProto(Protocol):
    """What is read of a model of the onnx package."""

    @property
    def graph(self) -> Any:
        """The nodes, inputs, outputs and stored tensors."""

    @property
    def opset_import(self) -> Iterable[Any]:
        """The opsets of the operators' domains."""
