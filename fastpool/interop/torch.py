"""fastpool in PyTorch: its functions keep the graph, `torch.compile` takes them, and there are layers.

Any fastpool function on a tensor that requires a gradient comes here (`fastpool.kinds`), so that
``fp.max_pool(x, 2)`` is differentiable as it is. In eager mode and under the transformations of `torch.func`
a `torch.autograd.Function` keeps what `fastpool.vjp` gives; where PyTorch compiles or traces, and for tensors
that are more or less than memory (subclasses, fake and meta tensors), the call is the custom operator
``fastpool::call``, whose gradient is ``fastpool::pull``. Parameters (p, r, beta, alpha) that are tensors have
gradients as well.
"""

# mypy: disable-error-code="import-not-found", disallow-untyped-calls=False, disallow-untyped-decorators=False
# mypy: disallow-subclassing-any=False, warn-unused-ignores=False

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

import fastpool as fp
from fastpool import jobs, kinds, quantiles
from fastpool.operators import OPERATORS
from fastpool.random import Draws, seed_of

from . import calls

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
CHOOSING = ("pool", "adaptive_pool", "global_pool")  # functions where a chosen element's index is at hand
KEEP_FORMAT = ("pool", "adaptive_pool", "mosaic")  # functions whose results have the memory format of x
PLAIN = (Tensor, torch.nn.Parameter)
LEARNED = {
    row.name: {parameter.name: parameter.default for parameter in row.params if parameter.slope}
    for row in OPERATORS.values()
}


def concerns(function: str, given: dict[str, Any]) -> bool:
    """Whether a call is to be made by `call`: for its gradient, a tracer, or the memory format of x.

    Raises
    ------
    TypeError
        Where a tracer meets `fastpool.vjp` or a function that starts backward anew.
    """
    x = given.get(calls.first(function))
    if not isinstance(x, Tensor):
        return False
    tensors = [value for value in given.values() if isinstance(value, Tensor)]
    backward = function.endswith("_backward")
    taped = not torch.compiler.is_compiling() and jobs.TAPE.get() is not None
    if _traced(tensors) or _transformed(tensors):
        if backward or taped:
            name = "vjp" if taped else function
            raise TypeError(
                f"fastpool.{name} takes plain tensors, and those outside of torch.compile and torch.func; "
                "others have PyTorch's gradients (autograd, torch.func.vjp) of the pooling functions"
            )
        return True
    if backward or taped:
        return False
    if any(tensor.requires_grad for tensor in tensors) and not _has_none(function, given):
        return True
    if any(isinstance(value, Tensor) and name not in kinds.ARGUMENTS for name, value in given.items()):
        return True  # a number as a tensor
    return function in KEEP_FORMAT and given.get("out") is None and _format(x) != torch.contiguous_format


def _has_none(function: str, given: dict[str, Any]) -> bool:
    """Whether the operator of a call has no gradient."""
    row = OPERATORS.get(str(calls.operator(function, given)))
    return row is not None and row.backward == "none"


def _traced(tensors: Sequence[Tensor]) -> bool:
    """Whether the dispatcher has to see the call: for a compiler, a tracer, or what is no plain memory."""
    return (
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack() > 0
        or any(type(tensor) not in PLAIN or tensor.is_meta for tensor in tensors)
    )


def _transformed(tensors: Sequence[Tensor]) -> bool:
    """Whether a transformation of `torch.func` is under way, or forward-mode differentiation."""
    return torch._C._are_functorch_transforms_active() or any(
        unpack_dual(tensor).tangent is not None for tensor in tensors
    )


def call(function: str, given: dict[str, Any]) -> Any:
    """Call a fastpool function so that PyTorch knows what happens.

    Parameters
    ----------
    function : str
        Name of a pooling function of fastpool, such as ``"pool"``.
    given : dict
        Its arguments by their names. Parameters may be tensors of one element, and so may `rng`, a seed;
        without `rng` the seed comes from PyTorch's generator.

    Returns
    -------
    Tensor or tuple of Tensor
        What the function returns; for sliding, adaptive and mosaic pooling in the memory format of x.

    Raises
    ------
    TypeError, ValueError
        As the function; for `out`, which cannot be differentiated.
    """
    if given.get("out") is not None:
        raise ValueError("out must be None where gradients are recorded or the call is compiled")
    if calls.draws(function, given) and given.get("rng") is None:
        given = {**given, "rng": torch.randint(2**63 - 1, ())}
    if quantiles.several(given):
        given = quantiles.one_draw(getattr(fp, function), given)
        return torch.stack([call(function, given | {"q": q}) for q in quantiles.listed(given["q"])])
    given = calls.with_joined_boxes(calls.with_plain_footprint(given), torch)
    own = calls.first(function)
    names = [own, *(name for name, value in given.items() if isinstance(value, Tensor) and name != own)]
    tensors = [given[name].detach() if _has_none(function, given) else given[name] for name in names]
    options = {name: value for name, value in given.items() if name not in names}
    if _traced(tensors):
        results = _call(tensors, _text(function, tuple(names), options))
    elif _transformed(tensors) or (torch.is_grad_enabled() and any(each.requires_grad for each in tensors)):
        results = _Pool.apply(Call(function, names, options), *tensors)
    else:
        results = Call(function, names, options).forward(tensors)
    return results[0] if len(results) == 1 else tuple(results)


class Call:
    """A call apart from its tensors, whose names it knows."""

    def __init__(self, function: str, names: list[str], options: dict[str, Any]):
        if isinstance(options.get("rng"), np.random.Generator):  # one seed for both directions
            options = {**options, "rng": Draws(*seed_of(options["rng"]))}
        self.function, self.names, self.options = function, names, options
        self.pull: Callable[..., Any] | None = None

    def text(self) -> str:
        """The call as compilers take it."""
        return calls.written(self.function, tuple(self.names), self.options)

    def again(self, **options: Any) -> "Call":
        """The same call, of which nothing is kept yet; with other options where such are given."""
        return Call(self.function, self.names, self.options | options)

    def forward(self, tensors: list[Tensor], *, keep: bool = False) -> tuple[Tensor, ...]:
        """The results; `keep` the way back for `gradients`."""
        x, arguments, order = self._arguments(tensors)
        f = getattr(fp, self.function)
        if keep:
            results, self.pull = fp.vjp(f, x, **arguments)
        else:
            results = f(x, **arguments)
        listed = results if isinstance(results, tuple) else (results,)
        if order:
            listed = tuple(_back(y, order) for y in listed)
        if self.function in KEEP_FORMAT:
            listed = tuple(y.contiguous(memory_format=_format(tensors[0])) for y in listed)
        return tuple(_own(y) for y in listed)

    def gradients(self, gy: Tensor, tensors: list[Tensor]) -> list[Tensor | None]:
        """The gradients for all tensors that have one.

        What `forward` kept is used once, so that the memory is free as soon as PyTorch's own.
        """
        if self.pull is None:
            self.forward(tensors, keep=True)
        pull, self.pull = self.pull, None
        assert pull is not None
        order = self._arguments(tensors)[2]
        wanted = any(name in calls.LEARNABLE for name in self.names)
        pulled = pull(gy.detach().permute(order) if order else gy.detach(), params=wanted)
        gx, slopes = pulled if wanted else (pulled, {})
        found = [gx if not order else _back(gx, order)]
        for name, tensor in zip(self.names[1:], tensors[1:], strict=True):
            slope = slopes.get(name)
            found.append(None if slope is None else _like(slope, tensor))
        return found

    def _arguments(self, tensors: list[Tensor]) -> tuple[Tensor, dict[str, Any], tuple[int, ...]]:
        """The first tensor, the other arguments, and the order of axes in which the first comes.

        A channels-last tensor comes with its channels as the last axis, where this changes no number.
        """
        x, *others = tensors
        numbers = zip(self.names[1:], others, strict=True)
        arguments = self.options | {
            name: tensor.detach() if name in calls.ARRAYS else calls.number(name, tensor)
            for name, tensor in numbers
        }
        own, x = _format(x), x.detach()
        if self.function not in KEEP_FORMAT or own == torch.contiguous_format:
            return x, arguments, ()
        pooled = calls.pooled_axes(self.function, arguments, x.ndim)
        if 1 in pooled or calls.draws(self.function, arguments) or calls.leaves_out(arguments):
            return x.contiguous(), arguments, ()
        order = (0, *range(2, x.ndim), 1)
        return x.permute(order), arguments | {"axes": tuple(order.index(axis) for axis in pooled)}, order


def _back(y: Tensor, order: tuple[int, ...]) -> Tensor:
    """A result with its axes where those of the input were; one that lacks pooled axes as it is."""
    return y.permute([order.index(axis) for axis in range(len(order))])


def _own(y: Tensor) -> Tensor:
    """A result that is nobody's view, so that it may be changed in place."""
    return y.new_empty(0).set_(y) if y._is_view() else y


def _like(slope: Any, parameter: Tensor) -> Tensor:
    return torch.as_tensor(slope, dtype=parameter.dtype, device=parameter.device).reshape(parameter.shape)


def _format(x: Tensor) -> torch.memory_format:
    """The memory format of a tensor, as far as results have it too."""
    last = FORMATS.get(x.ndim)
    if last is None or x.is_contiguous() or not x.is_contiguous(memory_format=last):
        return torch.contiguous_format
    return last


# Eager mode ----------------------------------------------------------------------------------------------


class _Pool(torch.autograd.Function):
    """A call; all results but the first are indices, which are kept as x is, for backward reads them."""

    @staticmethod
    def forward(call: Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        return call.forward(list(tensors), keep=True)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.call, *tensors = inputs
        ctx.shape, ctx.indices = output[0].shape, len(output) - 1
        ctx.save_for_backward(*tensors, *output[1:])
        ctx.save_for_forward(*tensors)
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)  # None tells what does not change

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        call = ctx.call
        if grads[0] is None:
            return None, *(None,) * len(call.names)
        return None, *_Pull.apply(call, grads[0], *ctx.saved_tensors[: len(call.names)])

    @staticmethod
    def jvp(ctx: Any, *changes: Any) -> Any:
        call, (_, change, *others) = ctx.call, changes
        if change is None or any(each is not None for each in others):
            names = ", ".join(call.names[1:])
            raise RuntimeError(f"{call.function} has forward-mode derivatives for x alone, not for {names}")
        y = _change(call, change, ctx.saved_tensors, ctx.shape, "forward-mode derivative")
        return y, *(None,) * ctx.indices

    @staticmethod
    def vmap(info: Any, in_dims: Any, call: Call, *tensors: Tensor) -> Any:
        return _batch(_Pool.apply, info, in_dims[1:], call, tensors)


class _Pull(torch.autograd.Function):
    """The gradients of a call. They are linear in the gradient of its result."""

    @staticmethod
    def forward(call: Call, gy: Tensor, *tensors: Tensor) -> tuple[Tensor | None, ...]:
        return tuple(call.gradients(gy, list(tensors)))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:  # noqa: ARG004 - PyTorch's signature
        ctx.call, gy, *tensors = inputs
        ctx.shape = gy.shape
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """The gradient for gy, which is what the call would give for a small change of x."""
        call, change, tensors = ctx.call, grads[0], ctx.saved_tensors
        if any(grad is not None for grad in grads[1:]):
            raise RuntimeError(_missing(call, "second derivative"))
        ggy = None if change is None else _change(call, change, tensors, ctx.shape, "second derivative")
        return None, ggy, *(None,) * len(tensors)

    @staticmethod
    def jvp(ctx: Any, *changes: Any) -> Any:
        call, (_, change, *others) = ctx.call, changes
        if any(each is not None for each in others) and not (_linear(call) or _chooses(call)):
            raise RuntimeError(_missing(call, "second derivative"))
        if change is None:
            return tuple(None for _ in others)
        return _Pull.apply(call.again(), change, *ctx.saved_tensors)

    @staticmethod
    def vmap(info: Any, in_dims: Any, call: Call, *tensors: Tensor) -> Any:
        return _batch(_Pull.apply, info, in_dims[1:], call, tensors)


def _change(call: Call, change: Tensor, tensors: Sequence[Tensor], shape: Sequence[int], what: str) -> Tensor:
    """What the result of a call changes by, for a small change of its first tensor."""
    if _linear(call):
        zero = {"fill": 0} if call.function == "segment_pool" else {}  # what is filled in does not change
        y: Tensor = _Pool.apply(call.again(**zero), change, *tensors[1:])[0]
        return y
    if _chooses(call):
        return _chosen(call, change, tensors).reshape(shape)
    raise RuntimeError(_missing(call, what))


def _linear(call: Call) -> bool:
    return calls.is_linear(call.function, call.options) and not _leaves_out(call)


def _leaves_out(call: Call) -> bool:
    """Whether a call leaves elements out or weighs them: what does not change with x."""
    return calls.leaves_out(call.options | dict.fromkeys(call.names, True))


def _chooses(call: Call) -> bool:
    """Whether indices tell all: which elements a small change of x reaches."""
    operator = calls.operator(call.function, call.options)
    return (
        call.function in CHOOSING
        and (operator in ("max", "min") or calls.draws(call.function, call.options))
        and not _leaves_out(call)
    )


def _missing(call: Call, what: str) -> str:
    return f"{calls.operator(call.function, call.options)} pooling ({call.function}) has no {what}"


def _chosen(call: Call, values: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    """The elements of `values` at the places that a call chose, which it repeats."""
    function, options = call.function, call.options
    axes = calls.pooled_axes(function, options, values.ndim)
    if function == "global_pool":  # the same in words that give indices
        function, options = "adaptive_pool", {k: v for k, v in options.items() if k != "keepdims"}
        options |= {"output_size": 1, "axes": axes}
    indices = _Pool.apply(Call(function, call.names, options | {"return_indices": True}), *tensors)[1]
    order = (*(axis for axis in range(values.ndim) if axis not in axes), *sorted(axes))
    places, planes = (part.permute(order).flatten(-len(axes)) for part in (indices, values))
    shape = [indices.shape[axis] for axis in order]
    return _back(planes.gather(-1, places.long()).reshape(shape), order)


def _batch(run: Callable[..., Any], info: Any, in_dims: Any, call: Call, tensors: Sequence[Tensor]) -> Any:
    """What `run` gives for a batch: at once where that is one more axis in front, else one by one."""
    batched = list(zip(tensors, in_dims, strict=True))
    if (
        call.function in calls.FOLDED
        and len(call.names) == 1
        and not calls.draws(call.function, call.options)
    ):
        parts = [
            each.expand(info.batch_size, *each.shape) if dim is None else each.movedim(dim, 0)
            for each, dim in batched
        ]
        axes = calls.pooled_axes(call.function, call.options, parts[-1].ndim - 1)
        results = run(call.again(axes=[axis + 1 for axis in axes]), *parts)
    else:
        each_run = [
            run(call.again(), *(each if dim is None else each.select(dim, n) for each, dim in batched))
            for n in range(info.batch_size)
        ]
        results = tuple(
            None if column[0] is None else torch.stack(column) for column in zip(*each_run, strict=True)
        )
    return results, tuple(None if result is None else 0 for result in results)


# While PyTorch compiles ----------------------------------------------------------------------------------


_text = torch.compiler.assume_constant_result(calls.written)


def _read(text: str) -> Call:
    return Call(*calls.read(text))


@torch.library.custom_op("fastpool::call", mutates_args=())
def _call(tensors: list[Tensor], text: str) -> list[Tensor]:
    return list(_read(text).forward(tensors))


@torch.library.custom_op("fastpool::pull", mutates_args=())
def _pull(gy: Tensor, tensors: list[Tensor], text: str) -> list[Tensor]:
    return [gradient for gradient in _read(text).gradients(gy, tensors) if gradient is not None]


@_call.register_fake
def _(tensors: list[Tensor], text: str) -> list[Tensor]:
    call, x = _read(text), tensors[0]
    shapes = {name: tuple(tensor.shape) for name, tensor in zip(call.names, tensors, strict=True)}
    found = calls.results(call.function, call.options, shapes, _name(x.dtype))
    layout = _format(x) if call.function in KEEP_FORMAT else torch.contiguous_format
    return [
        torch.empty(shape, dtype=getattr(torch, dtype.name), device=x.device, memory_format=layout)
        for shape, dtype in found
    ]


@_pull.register_fake
def _(gy: Tensor, tensors: list[Tensor], text: str) -> list[Tensor]:
    call, x = _read(text), tensors[0]
    layout = _format(x) if call.function in KEEP_FORMAT else torch.contiguous_format
    gx = torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=layout)
    parameters = zip(call.names, tensors, strict=True)
    return [gx, *(torch.empty_like(tensor) for name, tensor in parameters if name in calls.LEARNABLE)]


@_call.register_vmap
def _(info: Any, in_dims: Any, tensors: list[Tensor], text: str) -> Any:
    def run(call: Call, *parts: Tensor) -> list[Tensor]:
        results: list[Tensor] = _call(list(parts), call.text())
        return results

    results, dims = _batch(run, info, in_dims[0], _read(text), tensors)
    return list(results), list(dims)


@_pull.register_vmap
def _(info: Any, in_dims: Any, gy: Tensor, tensors: list[Tensor], text: str) -> Any:
    def run(call: Call, gy: Tensor, *parts: Tensor) -> list[Tensor]:
        results: list[Tensor] = _pull(gy, list(parts), call.text())
        return results

    results, dims = _batch(run, info, [in_dims[0], *in_dims[1]], _read(text), [gy, *tensors])
    return list(results), list(dims)


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    tensors, ctx.text = inputs
    ctx.save_for_backward(*tensors)


def _gradients(ctx: Any, grads: list[Tensor]) -> Any:
    names = _read(ctx.text).names[1:]
    gx, *slopes = _pull(grads[0], list(ctx.saved_tensors), ctx.text)
    found = iter(slopes)
    return [gx, *(next(found) if name in calls.LEARNABLE else None for name in names)], None


_call.register_autograd(_gradients, setup_context=_setup)


def _name(dtype: torch.dtype) -> np.dtype[Any]:
    return kinds.dtype_named(str(dtype).removeprefix("torch."))


# Layers --------------------------------------------------------------------------------------------------


class Layer(torch.nn.Module):
    """Any pooling function of fastpool as a layer.

    Parameters
    ----------
    function : str
        The function's name, such as ``"pyramid_pool"``.
    learnable : bool
        Make the operator's parameters with a gradient (p, r, beta, alpha) parameters of the module, which
        begin at the given or default values. Other bounds than those of alpha, 0 and 1, to which its value is
        clipped, are the optimiser's affair: p above 0, r not 0.
    **options
        The function's arguments after x. The layer of an operator that draws does so while it is training.
    """

    def __init__(self, function: str, *, learnable: bool = False, **options: Any):
        super().__init__()
        self.function, self.options = function, options
        self.learned: tuple[str, ...] = ()
        if learnable:
            begin = LEARNED.get(calls.operator(function, options), {})
            if not begin:
                allowed = ", ".join(op for op, names in LEARNED.items() if names)
                raise ValueError(f"learnable is for the operators {allowed}, got op={options.get('op')!r}")
            self.learned = tuple(begin)
            for name in begin:
                value = float(options.pop(name, begin[name]))
                self.register_parameter(name, torch.nn.Parameter(torch.tensor(value)))

    def forward(self, x: Tensor, **arrays: Tensor) -> Any:
        """The function of x and, where it takes more arrays, of these by their names."""
        given: dict[str, Any] = {calls.first(self.function): x, **self.options, **arrays}
        if given.get("op") == "stochastic":
            given.setdefault("training", self.training)
        for name in self.learned:
            value = getattr(self, name)
            if name == "alpha":  # clipped, and yet with its gradient: the second term is 0
                value = value.detach().clamp(0, 1) + (value - value.detach())
            given[name] = value
        return call(self.function, given)

    def extra_repr(self) -> str:
        """See `torch.nn.Module`."""
        shown = [f"{name}={value!r}" for name, value in self.options.items()]
        own = [repr(self.function)] if type(self) is Layer else []
        return ", ".join([*own, *shown, *(f"{name}=learnable" for name in self.learned)])


class Pool(Layer):
    """`fastpool.pool` as a layer: ``Pool("gem", 2, stride=1, learnable=True)``; see `Layer`."""

    def __init__(self, op: str, window: Any, **options: Any):
        super().__init__("pool", op=op, window=window, **options)


class AdaptivePool(Layer):
    """`fastpool.adaptive_pool` as a layer: ``AdaptivePool("avg", (7, None))``; see `Layer`."""

    def __init__(self, op: str, output_size: Any, **options: Any):
        super().__init__("adaptive_pool", op=op, output_size=output_size, **options)


class GlobalPool(Layer):
    """`fastpool.global_pool` as a layer: ``GlobalPool("gem", learnable=True)``; see `Layer`."""

    def __init__(self, op: str, **options: Any):
        super().__init__("global_pool", op=op, **options)


def _layer(form: type[Layer], op: str) -> type[Layer]:
    """The layer of one operator in one form: what the form takes after `op`."""

    class Own(form):  # type: ignore[valid-type, misc]
        def __init__(self, *arguments: Any, **options: Any):
            super().__init__(op, *arguments, **options)

    Own.__name__ = Own.__qualname__ = form.__name__.replace("Pool", f"{op.capitalize()}Pool")
    Own.__doc__ = f"`{form.__name__}` of the operator {op!r}."
    return Own


MaxPool = _layer(Pool, "max")
MinPool = _layer(Pool, "min")
CountPool = _layer(Pool, "count")
AvgPool = _layer(Pool, "avg")
SumPool = _layer(Pool, "sum")
LpPool = _layer(Pool, "lp")
GemPool = _layer(Pool, "gem")
LsePool = _layer(Pool, "lse")
SoftPool = _layer(Pool, "soft")
MixedPool = _layer(Pool, "mixed")
StochasticPool = _layer(Pool, "stochastic")
MedianPool = _layer(Pool, "median")
QuantilePool = _layer(Pool, "quantile")
ModePool = _layer(Pool, "mode")
VarPool = _layer(Pool, "var")
StdPool = _layer(Pool, "std")
NearestPool = _layer(Pool, "nearest")

AdaptiveMaxPool = _layer(AdaptivePool, "max")
AdaptiveMinPool = _layer(AdaptivePool, "min")
AdaptiveCountPool = _layer(AdaptivePool, "count")
AdaptiveAvgPool = _layer(AdaptivePool, "avg")
AdaptiveSumPool = _layer(AdaptivePool, "sum")
AdaptiveLpPool = _layer(AdaptivePool, "lp")
AdaptiveGemPool = _layer(AdaptivePool, "gem")
AdaptiveLsePool = _layer(AdaptivePool, "lse")
AdaptiveSoftPool = _layer(AdaptivePool, "soft")
AdaptiveMixedPool = _layer(AdaptivePool, "mixed")
AdaptiveStochasticPool = _layer(AdaptivePool, "stochastic")
AdaptiveMedianPool = _layer(AdaptivePool, "median")
AdaptiveQuantilePool = _layer(AdaptivePool, "quantile")
AdaptiveModePool = _layer(AdaptivePool, "mode")
AdaptiveVarPool = _layer(AdaptivePool, "var")
AdaptiveStdPool = _layer(AdaptivePool, "std")
AdaptiveNearestPool = _layer(AdaptivePool, "nearest")

GlobalMaxPool = _layer(GlobalPool, "max")
GlobalMinPool = _layer(GlobalPool, "min")
GlobalCountPool = _layer(GlobalPool, "count")
GlobalAvgPool = _layer(GlobalPool, "avg")
GlobalSumPool = _layer(GlobalPool, "sum")
GlobalLpPool = _layer(GlobalPool, "lp")
GlobalGemPool = _layer(GlobalPool, "gem")
GlobalLsePool = _layer(GlobalPool, "lse")
GlobalSoftPool = _layer(GlobalPool, "soft")
GlobalMixedPool = _layer(GlobalPool, "mixed")
GlobalStochasticPool = _layer(GlobalPool, "stochastic")
GlobalMedianPool = _layer(GlobalPool, "median")
GlobalQuantilePool = _layer(GlobalPool, "quantile")
GlobalModePool = _layer(GlobalPool, "mode")
GlobalVarPool = _layer(GlobalPool, "var")
GlobalStdPool = _layer(GlobalPool, "std")
GlobalNearestPool = _layer(GlobalPool, "nearest")
