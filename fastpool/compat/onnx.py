"""ONNX's pooling operators on plain arrays, node by node or as a backend for whole models.

Nodes are those of the onnx package, read by their fields, or those of `make_node`, which needs no package:
this module never imports onnx, but for a model's stored tensors, which its own functions decode.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex, TypeAlias

import numpy as np

import fastpool as fp
from fastpool.annotations import NumpyArray, Op

from .signatures import ModelProto, NodeProto

Attribute: TypeAlias = SupportsIndex | float | str | Sequence[SupportsIndex]
Inputs: TypeAlias = NumpyArray | Sequence[NumpyArray] | Mapping[str, NumpyArray]  # of a model

LATEST = 22  # the opset that last changed a pooling operator
DOMAINS = ("", "ai.onnx")
AUTO_PADS = {"NOTSET": "", "VALID": "valid", "SAME_UPPER": "same", "SAME_LOWER": "same_lower"}
KINDS = {1: "f", 2: "i", 3: "s", 7: "ints"}  # AttributeProto.type: the field that holds the value

# Of each operator: the opset that brought it, and those that brought its attributes.
WINDOWS = {"kernel_shape": 1, "strides": 1, "pads": 1, "auto_pad": 1}
ATTRIBUTES: dict[str, tuple[int, dict[str, int]]] = {
    "MaxPool": (1, {**WINDOWS, "storage_order": 8, "ceil_mode": 10, "dilations": 10}),
    "AveragePool": (1, {**WINDOWS, "count_include_pad": 7, "ceil_mode": 10, "dilations": 19}),
    "LpPool": (1, {**WINDOWS, "p": 1, "ceil_mode": 18, "dilations": 18}),
    "GlobalMaxPool": (1, {}),
    "GlobalAveragePool": (1, {}),
    "GlobalLpPool": (1, {"p": 1}),
    "MaxUnpool": (9, {"kernel_shape": 9, "strides": 9, "pads": 9}),
    "MaxRoiPool": (1, {"pooled_shape": 1, "spatial_scale": 1}),
    "RoiAlign": (
        10,
        {
            "mode": 10,
            "output_height": 10,
            "output_width": 10,
            "sampling_ratio": 10,
            "spatial_scale": 10,
            "coordinate_transformation_mode": 16,
        },
    ),
}
INPUTS = {"MaxUnpool": (2, 3), "MaxRoiPool": (2, 2), "RoiAlign": (3, 3)}  # fewest and most; else 1
SEQUENCES = ("kernel_shape", "strides", "pads", "dilations", "pooled_shape")
WORDS = ("auto_pad", "mode", "coordinate_transformation_mode")
REALS = ("p", "spatial_scale")  # `p` in the first opset alone


@dataclass(frozen=True)
class Node:
    """Hold what `run_node` needs of a node.

    Nodes of the onnx package are read into this, and `make_node` makes one without that package.

    Parameters
    ----------
    op_type : str
        The operator, such as ``"MaxPool"``.
    inputs : tuple of str
        Names of the inputs; an empty one for an input that is left out.
    outputs : tuple of str
        Names of the outputs.
    attributes : dict
        The attributes by name.
    domain : str
        The operator's domain; empty for ONNX's own.

    See Also
    --------
    make_node : Make a node in the words of the onnx package.
    run_node : Run a node.

    References
    ----------
    .. [1] ONNX operators, https://onnx.ai/onnx/operators.

    Examples
    --------
    >>> from fastpool.compat.onnx import Node
    >>> Node("GlobalMaxPool", ("x",), ("y",), {}).op_type
    'GlobalMaxPool'
    """

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    domain: str = ""


def make_node(op_type: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Attribute) -> Node:
    """Make a node in the words of ``onnx.helper.make_node``.

    The onnx package is not needed. Attributes are checked when the node runs, since they depend on the opset.

    Parameters
    ----------
    op_type : str
        The operator, such as ``"MaxPool"``.
    inputs : sequence of str
        Names of the inputs; an empty one for an input that is left out.
    outputs : sequence of str
        Names of the outputs.
    **attributes
        The operator's attributes.

    Returns
    -------
    Node
        For `run_node`.

    See Also
    --------
    run_node : Run a node.

    References
    ----------
    .. [1] ONNX operators, https://onnx.ai/onnx/operators.

    Examples
    --------
    >>> from fastpool.compat.onnx import make_node
    >>> make_node("GlobalLpPool", ["x"], ["y"], p=1).attributes
    {'p': 1}
    """
    return Node(op_type, tuple(inputs), tuple(outputs), attributes)


def run_node(
    node: Node | NodeProto, inputs: Iterable[NumpyArray | None], *, opset_version: int = LATEST
) -> tuple[NumpyArray, ...]:
    """Run a pooling node on its inputs.

    The result is what the operator of the given opset makes of the inputs, such as ``y[o] = max x[i]`` over
    window o for MaxPool. Indices are numbered as ONNX does it, flat in the whole array.

    Parameters
    ----------
    node : onnx.NodeProto or Node
        MaxPool, AveragePool, LpPool, GlobalMaxPool, GlobalAveragePool, GlobalLpPool, MaxUnpool, MaxRoiPool or
        RoiAlign.
    inputs : sequence of ndarray
        In the operator's order; None for one that is left out.
    opset_version : int
        Decides which attributes exist, and what stands for those that are absent.

    Returns
    -------
    tuple of ndarray
        One for each output of the node.

    Raises
    ------
    TypeError
        If an input or attribute has a wrong type.
    ValueError
        If the opset has no such operator or attribute, or an attribute has a bad value.

    See Also
    --------
    make_node : Make a node without the onnx package.
    Backend : Whole models.
    fastpool.pool : The same with fastpool's arguments.

    Notes
    -----
    Ties, NaN and rounding are those of fastpool's functions: a NaN wins, of ties the first element has the
    index.

    References
    ----------
    .. [1] ONNX operators, https://onnx.ai/onnx/operators.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.onnx import make_node, run_node
    >>> node = make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2], strides=[2])
    >>> run_node(node, [np.array([[[1.0, 5.0, 7.0, 2.0]], [[4.0, 3.0, 0.0, 9.0]]])])
    (array([[[5., 7.]],
    <BLANKLINE>
           [[4., 9.]]]), array([[[1, 2]],
    <BLANKLINE>
           [[4, 7]]]))
    """
    read = _read(node)
    given: tuple[Any, ...] = tuple(inputs)
    _check(read, given, opset_version)
    options = read.attributes
    if read.op_type.startswith("Global"):
        results = (_whole(read.op_type, given[0], options),)
    elif read.op_type == "MaxUnpool":
        results = (_max_unpool(*given, **options),)
    elif read.op_type == "MaxRoiPool":
        results = (_max_roi_pool(*given, **options),)
    elif read.op_type == "RoiAlign":
        old = {"coordinate_transformation_mode": "output_half_pixel"} if opset_version < 16 else {}
        results = (_roi_align(*given, **{**old, **options}),)
    elif read.op_type == "MaxPool" and len(read.outputs) > 1 and read.outputs[1]:
        return _max_pool_with_indices(given[0], **options)
    else:
        op, params = _operator(read.op_type, options)
        results = (fp.pool(given[0], op, **_windows(given[0], **options), **params),)
    return results


# Operators -----------------------------------------------------------------------------------------------


def _operator(op_type: str, options: dict[str, Any]) -> tuple[Op, dict[str, Any]]:
    """An operator of fastpool and its parameters, which leave `options`."""
    if op_type.endswith("MaxPool"):
        options.pop("storage_order", None)
        return "max", {}
    if op_type.endswith("AveragePool"):
        return "avg", {"count_include_pad": _flag("count_include_pad", options.pop("count_include_pad", 0))}
    return "lp", {"p": options.pop("p", 2)}


def _windows(
    x: Any,
    kernel_shape: Any = None,
    strides: Any = None,
    pads: Any = None,
    dilations: Any = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
) -> dict[str, Any]:
    """The arguments of `fastpool.pool` for a node's windows."""
    n = _spatial(x)
    if auto_pad not in AUTO_PADS:
        raise ValueError(f"auto_pad must be one of {', '.join(AUTO_PADS)}, got {auto_pad!r}")
    up = _flag("ceil_mode", ceil_mode)
    if auto_pad == "NOTSET":
        padding: Any = _pairs(pads, n)
    elif pads is not None and any(pads):
        raise ValueError(f"pads cannot be given with auto_pad {auto_pad}, got {pads!r}")
    else:
        padding, up = AUTO_PADS[auto_pad], False  # whose lengths are the same in either rounding
    return {
        "window": _one_an_axis("kernel_shape", kernel_shape, n),
        "stride": _one_an_axis("strides", strides or [1] * n, n),
        "dilation": _one_an_axis("dilations", dilations or [1] * n, n),
        "padding": padding,
        "ceil_mode": up,
    }


def _max_pool_with_indices(x: Any, storage_order: int = 0, **options: Any) -> tuple[Any, Any]:
    y, i = fp.max_pool(x, **_windows(x, **options), return_indices=True)
    axes = tuple(range(2, x.ndim))
    return y, fp.convert_indices(i, to="onnx", shape=x.shape, axes=axes, storage_order=storage_order)


def _whole(op_type: str, x: Any, options: dict[str, Any]) -> Any:
    _spatial(x)
    op, params = _operator(op_type, options)
    params.pop("count_include_pad", None)
    return fp.global_pool(x, op, axes=tuple(range(2, x.ndim)), keepdims=True, **params)


def _max_unpool(
    x: Any,
    indices: Any,
    output_shape: Any = None,
    *,
    kernel_shape: Any,
    strides: Any = None,
    pads: Any = None,
) -> Any:
    """Values to the elements that the indices name, in `output_shape` or the shape that the windows imply."""
    n = _spatial(x)
    if indices.shape != x.shape:
        raise ValueError(f"I must have the shape of X, {x.shape}, got {indices.shape}")
    window = _one_an_axis("kernel_shape", kernel_shape, n)
    step = _one_an_axis("strides", strides or [1] * n, n)
    around = _pairs(pads, n)
    lengths = [
        (o - 1) * s + k - before - after
        for o, s, k, (before, after) in zip(x.shape[2:], step, window, around, strict=True)
    ]
    implied = (*x.shape[:2], *lengths)
    full = implied if output_shape is None else _output_shape(output_shape, x.shape)
    read = full
    if full != implied and all(a >= b for a, b in zip(full, implied, strict=True)):
        begins = [before for before, _ in around]
        fits = [_in_windows(indices, shape, window, step, begins) for shape in (full, implied)]
        read = implied if fits == [False, True] else full
    axes = tuple(range(2, x.ndim))
    flat = fp.convert_indices(indices, to="torch", source="onnx", shape=read, axes=axes)
    y = fp.unpool(x, flat, read, axes=axes)
    if read == full:
        return y
    larger = np.zeros(full, y.dtype)
    larger[tuple(map(slice, read))] = y
    return larger


def _output_shape(given: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The second shape of MaxUnpool, whose batch and channels are those of X."""
    if given.dtype.kind not in "iu":
        raise TypeError(f"output_shape must be integers, got {given.dtype}")
    full = tuple(map(int, given.reshape(-1)))
    if len(full) != len(shape) or full[:2] != shape[:2] or min(full[2:]) < 1:
        raise ValueError(
            f"output_shape must have {len(shape)} lengths, those of batch and channels {shape[:2]} as X has "
            f"them, got {full}"
        )
    return full


def _in_windows(
    indices: Any, shape: Sequence[int], window: Sequence[int], step: Sequence[int], begins: Sequence[int]
) -> bool:
    """Whether each index, flat in `shape`, lies in its own window."""
    rest = indices.astype(np.int64)
    for axis in range(indices.ndim - 1, 1, -1):
        rest, position = np.divmod(rest, shape[axis])
        along = [-1 if axis == own else 1 for own in range(indices.ndim)]
        first = (np.arange(indices.shape[axis]) * step[axis - 2] - begins[axis - 2]).reshape(along)
        if ((position < first) | (position >= first + window[axis - 2])).any():
            return False
    return True


def _max_roi_pool(x: Any, rois: Any, *, pooled_shape: Any, spatial_scale: float = 1.0) -> Any:
    return fp.roi_pool(x, "max", rois, tuple(pooled_shape), scale=spatial_scale)


def _roi_align(
    x: Any,
    rois: Any,
    batch_indices: Any,
    *,
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
    coordinate_transformation_mode: str = "half_pixel",
) -> Any:
    if mode not in ("avg", "max"):
        raise ValueError(f'mode must be "avg" or "max", got {mode!r}')
    if coordinate_transformation_mode not in ("half_pixel", "output_half_pixel"):
        raise ValueError(
            'coordinate_transformation_mode must be "half_pixel" or "output_half_pixel", '
            f"got {coordinate_transformation_mode!r}"
        )
    if rois.ndim != 2 or rois.shape[1] != 4 or batch_indices.shape != rois.shape[:1]:
        raise ValueError(
            "rois must have the shape (K, 4) and batch_indices (K,), "
            f"got {rois.shape} and {batch_indices.shape}"
        )
    boxes = np.concatenate([batch_indices[:, None].astype(np.float64), rois.astype(np.float64)], 1)
    return fp.roi_align(
        x,
        boxes,
        (output_height, output_width),
        scale=spatial_scale,
        samples=sampling_ratio,
        aligned=coordinate_transformation_mode == "half_pixel",
        op="max_neighbour" if mode == "max" else "avg",
    )


# Nodes and arguments -------------------------------------------------------------------------------------


def _read(node: Any) -> Node:
    """A node of the onnx package, or one of ours, as one of ours with attributes of its own."""
    if isinstance(node, Node):
        return Node(node.op_type, node.inputs, node.outputs, dict(node.attributes), node.domain)
    if not hasattr(node, "op_type") or not hasattr(node, "attribute"):
        raise TypeError(f"node must be an onnx.NodeProto or made by make_node, got {type(node).__name__}")
    attributes = {attribute.name: _value(attribute) for attribute in node.attribute}
    return Node(node.op_type, tuple(node.input), tuple(node.output), attributes, node.domain)


def _value(attribute: Any) -> Any:
    if attribute.type not in KINDS:
        raise TypeError(
            f"attribute {attribute.name} must be a number, integers or a string, got type {attribute.type}"
        )
    value = getattr(attribute, KINDS[attribute.type])
    if attribute.type == 3:
        return value.decode()
    return list(value) if attribute.type == 7 else value


def _check(node: Node, inputs: tuple[Any, ...], opset: int) -> None:
    """ValueError or TypeError for a node that the opset does not have."""
    if node.op_type not in ATTRIBUTES or node.domain not in DOMAINS:
        raise ValueError(
            f"node must be one of {', '.join(ATTRIBUTES)}, got {node.op_type!r} of domain {node.domain!r}"
        )
    since, known = ATTRIBUTES[node.op_type]
    if not _is_integer(opset):
        raise TypeError(f"opset_version must be an integer, got {opset!r}")
    if opset < since:
        raise ValueError(f"opset_version must be at least {since} for {node.op_type}, got {opset}")
    for name, value in node.attributes.items():
        if name not in known or opset < known[name]:
            there = ", ".join(own for own, version in known.items() if version <= opset) or "none"
            raise ValueError(f"{node.op_type} of opset {opset} has the attributes: {there}; got {name!r}")
        _check_type(name, value)
    for name in ("kernel_shape", "pooled_shape"):
        if name in known and name not in node.attributes:
            raise ValueError(f"{node.op_type} needs the attribute {name}")
    fewest, most = INPUTS.get(node.op_type, (1, 1))
    if not fewest <= len(inputs) <= most:
        raise ValueError(f"inputs of {node.op_type} must be {fewest} to {most}, got {len(inputs)}")
    for number, array in enumerate(inputs):
        if not isinstance(array, np.ndarray) and not (array is None and number >= fewest):
            raise TypeError(f"inputs must be arrays, got {type(array).__name__} as number {number}")


def _check_type(name: str, value: Any) -> None:
    if name in WORDS:
        kind, fits = "a string", isinstance(value, str)
    elif name in SEQUENCES:
        kind = "a sequence of integers"
        fits = isinstance(value, Sequence) and all(_is_integer(entry) for entry in value)
    elif name in REALS:
        kind, fits = "a real number", _is_integer(value) or isinstance(value, float)
    else:
        kind, fits = "an integer", _is_integer(value)
    if not fits:
        raise TypeError(f"{name} must be {kind}, got {value!r}")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _flag(name: str, value: int) -> bool:
    if value not in (0, 1):
        raise ValueError(f"{name} must be 0 or 1, got {value!r}")
    return bool(value)


def _spatial(x: Any) -> int:
    """Number of axes behind batch and channels."""
    if x.ndim < 3:
        raise ValueError(f"X must have the axes (N, C, ...) and at least one more, got {x.ndim} axes")
    return int(x.ndim) - 2


def _one_an_axis(name: str, value: Any, n: int) -> tuple[int, ...]:
    if len(value) != n:
        raise ValueError(f"{name} must have {n} entries, one a spatial axis, got {value!r}")
    return tuple(value)


def _pairs(pads: Any, n: int) -> list[tuple[int, int]]:
    """``[begins..., ends...]`` as (before, after) an axis."""
    if not pads:
        return [(0, 0)] * n
    if len(pads) != 2 * n:
        raise ValueError(f"pads must have {2 * n} entries, all begins and then all ends, got {pads!r}")
    return list(zip(pads[:n], pads[n:], strict=True))


# Models --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PreparedModel:
    """Hold a model whose nodes are pooling operators, ready to run.

    `Backend.prepare` makes it from an ``onnx.ModelProto``. Its method `run` takes one array, a sequence of
    them, or a dict of their names, and can be called again and again.

    Parameters
    ----------
    inputs : tuple of str
        Names of the inputs.
    outputs : tuple of str
        Names of the outputs.
    nodes : tuple of Node
        The nodes in the order in which they run.
    constants : dict
        Stored tensors by name.
    opset_version : int
        The opset of the nodes.

    See Also
    --------
    Backend : Makes it.
    run_node : Run one node.

    References
    ----------
    .. [1] ONNX operators, https://onnx.ai/onnx/operators.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.onnx import PreparedModel, make_node
    >>> model = PreparedModel(("x",), ("y",), (make_node("GlobalMaxPool", ["x"], ["y"]),), {}, 22)
    >>> model.run(np.arange(6.0).reshape(1, 2, 3))
    (array([[[2.],
            [5.]]]),)
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: dict[str, NumpyArray]
    opset_version: int

    def run(self, inputs: Inputs, **_: Any) -> tuple[NumpyArray, ...]:
        """The model's outputs for its inputs: one array, a sequence of them or a dict of their names."""
        if isinstance(inputs, np.ndarray):
            inputs = [inputs]
        named = inputs if isinstance(inputs, Mapping) else dict(zip(self.inputs, inputs, strict=True))
        missing = [name for name in self.inputs if name not in named]
        if missing:
            raise ValueError(f"inputs must have {', '.join(self.inputs)}; {missing[0]} is missing")
        values = {**self.constants, **named}
        for node in self.nodes:
            given = [values[name] if name else None for name in node.inputs]
            results = run_node(node, given, opset_version=self.opset_version)
            values.update(zip(node.outputs, results, strict=False))
        return tuple(values[name] for name in self.outputs)


class Backend:
    """Put fastpool behind the interface of ``onnx.backend.base.Backend``.

    The official backend tests of ONNX call it. Its methods are class methods: `is_compatible`, `prepare`,
    `run_model`, `run_node` and `supports_device`.

    See Also
    --------
    run_node : Run one node.
    PreparedModel : What `prepare` gives.

    Notes
    -----
    Models may have pooling nodes alone, and the device is the CPU.

    References
    ----------
    .. [1] ONNX, ``onnx.backend.base``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat.onnx import Backend, make_node
    >>> Backend.run_node(make_node("GlobalMaxPool", ["x"], ["y"]), [np.arange(6.0).reshape(1, 2, 3)])
    (array([[[2.],
            [5.]]]),)
    """

    @classmethod
    def is_compatible(cls, model: ModelProto, device: str = "CPU", **_: Any) -> bool:
        """Whether all nodes of a model are pooling operators, and the device is the CPU."""
        return cls.supports_device(device) and all(
            node.op_type in ATTRIBUTES and node.domain in DOMAINS for node in _graph(model).node
        )

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", **_: Any) -> PreparedModel:
        """An ``onnx.ModelProto`` that can be run.

        Raises
        ------
        TypeError
            For anything else, such as a file's bytes.
        ValueError
            Where a node is no pooling operator.
        """
        cls._check_device(device)
        graph = _graph(model)
        nodes = tuple(map(_read, graph.node))
        for node in nodes:
            if node.op_type not in ATTRIBUTES or node.domain not in DOMAINS:
                raise ValueError(f"model must have pooling nodes alone, got {node.op_type!r}")
        constants = _constants(graph.initializer)
        inputs = tuple(own.name for own in graph.input if own.name not in constants)
        outputs = tuple(own.name for own in graph.output)
        versions = [own.version for own in model.opset_import if own.domain in DOMAINS]
        return PreparedModel(inputs, outputs, nodes, constants, max(versions, default=LATEST))

    @classmethod
    def run_model(
        cls, model: ModelProto, inputs: Inputs, device: str = "CPU", **options: Any
    ) -> tuple[NumpyArray, ...]:
        """Prepare a model and run it once."""
        return cls.prepare(model, device, **options).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: Node | NodeProto,
        inputs: Iterable[NumpyArray | None],
        device: str = "CPU",
        outputs_info: Any = None,  # noqa: ARG003  (part of the interface)
        *,
        opset_version: int = LATEST,
        **_: Any,
    ) -> tuple[NumpyArray, ...]:
        """Run one node; see the function `run_node`."""
        cls._check_device(device)
        return run_node(node, inputs, opset_version=opset_version)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether a device, as in ``"CPU"`` or ``"CUDA:1"``, is the CPU."""
        return device.partition(":")[0] == "CPU"

    @classmethod
    def _check_device(cls, device: str) -> None:
        if not cls.supports_device(device):
            raise ValueError(f'device must be "CPU", got {device!r}')


def _graph(model: Any) -> Any:
    graph = getattr(model, "graph", None)
    if not hasattr(graph, "node") or not hasattr(model, "opset_import"):
        raise TypeError(
            f"model must be an onnx.ModelProto (onnx.load, onnx.load_from_string), got {type(model).__name__}"
        )
    return graph


def _constants(initializers: Iterable[Any]) -> dict[str, Any]:
    """A model's stored tensors; onnx, which made the model, is imported where it has any."""
    tensors = list(initializers)
    if not tensors:
        return {}
    from onnx import numpy_helper  # noqa: PLC0415  (only with a model that has tensors)

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in tensors}
