"""Arrays of other libraries: taken as views, and results given back as arrays of the same kind.

Nothing is imported to find out whose array it is; `fastpool.cuda` is imported when the first array on a GPU
arrives.
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from importlib import import_module
from inspect import signature
from typing import Any, ParamSpec, Protocol, TypeVar, cast

import numpy as np

from .checks import is_sequence
from .keywords import answer

P = ParamSpec("P")
R = TypeVar("R")

TAKEN = (
    "numpy.ndarray, a CUDA array of numba, cupy.ndarray, torch.Tensor, jax.Array, dask.array.Array or "
    "xarray.DataArray"
)
NUMPY = np.ndarray
MASKED = np.ma.MaskedArray
COMPOSED = ("dask", "xarray")  # libraries whose arrays are made of others: `interop` takes the whole call

# Names of arguments that are arrays.
ARGUMENTS = frozenset(
    ("x", "y", "gy", "gx", "i", "indices", "ids", "offsets", "boxes", "samples", "where", "weights", "out")
)


class Kind(Protocol):
    """What arrays of one library on one kind of device are called, and how they become ours and back."""

    name: str
    tracer: str  # the module of `interop` that may have to make the call: for a graph, a compiler, a batch

    def take(self, array: Any) -> Any:
        """A view for our own functions."""

    def give(self, array: Any) -> Any:
        """A result of ours as the library's array; what is no array stays."""

    def on(self, array: Any) -> AbstractContextManager[Any]:
        """While the device of one of our views is the current one."""


def any_kind(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function of NumPy arrays take arrays of other libraries, and return what it is given."""
    names = tuple(signature(function).parameters)
    places = tuple(number for number, name in enumerate(names) if name in ARGUMENTS)
    alone = names[0] != "gy"  # the first array tells the kind; beside a plain gradient `x` may be masked

    def of_several(*args: P.args, **kwargs: P.kwargs) -> R:
        from . import quantiles  # noqa: PLC0415 - which knows our arrays, as these know kinds

        return cast(R, quantiles.of_arrays(function, dict(zip(names, args, strict=False)) | kwargs))

    @wraps(function)
    def taking(*args: P.args, **kwargs: P.kwargs) -> R:
        run = of_several if "q" in kwargs and is_sequence(kwargs["q"]) else function
        if alone and args and type(args[0]) is NUMPY:
            try:
                return run(*args, **kwargs)
            except TypeError:
                answer(function, kwargs)
                raise
        answer(function, kwargs)
        arrays = {names[n]: args[n] for n in places if n < len(args) and args[n] is not None}
        for name in ARGUMENTS.intersection(kwargs):
            if kwargs[name] is not None:
                arrays[name] = kwargs[name]
        library = next(filter(None, map(_composed, arrays.values())), None)
        if library:
            interop: Any = import_module(f"{__package__}.interop.{library}")
            return cast(R, interop.call(taking, dict(zip(names, args, strict=False)) | kwargs))
        kind = next((kind for kind in map(of, arrays.values()) if kind), None)
        if kind is None:
            if any(isinstance(array, MASKED) for array in arrays.values()):
                from .interop import masked  # noqa: PLC0415 - only who has such arrays needs it

                return cast(R, masked.call(taking, dict(zip(names, args, strict=False)) | kwargs))
            first = _subclassed(names[0], arrays)
            result = run(*args, **kwargs)
            return result if first is None else cast(R, _wrapped(first, result))
        if kind.tracer:
            tracer = _tracer(kind)
            given = dict(zip(names, args, strict=False)) | kwargs
            if tracer.concerns(function.__name__, given):
                return cast(R, tracer.call(function.__name__, given))
        taken = {name: _taken(kind, name, value, arrays) for name, value in arrays.items()}
        _check_places(taken)
        own = [taken.get(name, value) for name, value in zip(names, args, strict=False)]
        others = kwargs | {name: value for name, value in taken.items() if name in kwargs}
        with kind.on(next(value for name, value in taken.items() if of(arrays[name]))):
            result = run(*own, *args[len(names) :], **others)  # type: ignore[arg-type]
            return cast(R, _with_out(given_back(kind, result), arrays.get("out")))

    return taking


def _tracer(kind: Kind) -> Any:
    """The module that makes calls whose graph is to be known; only who has its arrays has the library."""
    if kind.tracer == "torch":  # two statements: torch's compiler follows them
        from .interop import torch  # noqa: PLC0415

        return torch
    from .interop import jax  # noqa: PLC0415

    return jax


def of(array: object) -> Kind | None:
    """The kind of another library's array; None for NumPy's, our own and whatever is no array."""
    asks = _asks.get(type(array))
    if asks is None:
        asks = _asks[type(array)] = _who_knows(array)
    return asks(array)


_asks: dict[type, Callable[[Any], Kind | None]] = {}  # by type, what tells the kind of an array


def _who_knows(array: object) -> Callable[[Any], Kind | None]:
    if not isinstance(array, np.ndarray):
        for parent in type(array).__mro__:
            library = parent.__module__.partition(".")[0]
            if library in LIBRARIES:
                return LIBRARIES[library]
        if hasattr(array, "__cuda_array_interface__"):
            return _unknown
    return _no_array


def _no_array(array: Any) -> None:
    return None


def _unknown(array: Any) -> None:
    """Memory on a GPU of a library that is not known: where CUDA is missing, that is said first."""
    _cuda("an array on a GPU")


def named(array: object) -> str:
    """What an array's kind is called."""
    kind = of(array)
    return kind.name if kind else f"{type(array).__module__}.{type(array).__qualname__}"


def _composed(array: object) -> str | None:
    """Which of the libraries `COMPOSED` an array is of, if of one."""
    kind = type(array)
    if kind not in _composers:  # a dict: torch's compiler warns of functools.cache
        roots = (parent.__module__.partition(".")[0] for parent in kind.__mro__)
        _composers[kind] = next((root for root in roots if root in COMPOSED), None)
    return _composers[kind]


# Torch's compiler does not look into the types of sequences.
_composers: dict[type, str | None] = {list: None, tuple: None}


def pulling(array: object, pull: Callable[..., Any]) -> Callable[..., Any]:
    """A way back that takes and gives arrays of the kind of `array`."""
    kind = of(array)
    if kind is None:

        def pull_host(gy: Any, *, params: bool = False) -> Any:
            if type(gy) is NUMPY and type(array) is NUMPY:
                return pull(gy, params=params)
            if isinstance(gy, MASKED):
                gy = gy.filled(0)
            first = _subclassed("gy", {"gy": gy})
            if params is not False and (first is not None or _is_subclassed(array)):
                one = array if first is None else first
                raise TypeError(f"params must be False for {named(one)}: those gradients are plain numbers")
            result = pull(gy, params=params)
            return result if first is None else _wrapped(first, result)

        return pull_host

    def pull_kind(gy: Any, *, params: bool = False) -> Any:
        taken = _taken(kind, "gy", gy, {"x": array})
        with kind.on(taken):
            return given_back(kind, pull(taken, params=params))

    return pull_kind


# Subclasses of ndarray ------------------------------------------------------------------------------------


def _subclassed(name: str, arrays: dict[str, Any]) -> Any:
    """The first array of a call where results are to be of its class, a subclass of NumPy's; else None.

    Raises
    ------
    TypeError
        For `out` beside a subclass.
    """
    first = arrays.get(name)
    if not _is_subclassed(first):
        return None
    if arrays.get("out") is not None:
        raise TypeError(f"out must be None for {named(first)}, whose class makes the result")
    return first


def _is_subclassed(array: object) -> bool:
    """Whether results are to be of an array's own class; those of a memory map are plain.

    Of masked arrays, which `fastpool.interop.masked` takes, gradients are plain.
    """
    own = isinstance(array, np.ndarray) and type(array) is not NUMPY
    return own and not isinstance(array, np.memmap | MASKED)


def _wrapped(first: Any, result: Any) -> Any:
    """A result as the class of an array makes it; indices, which are positions, as they are."""
    if isinstance(result, tuple):
        return _wrapped(first, result[0]), *result[1:]
    return first.__array_wrap__(result)


# Libraries' arrays there and back --------------------------------------------------------------------------


def given_back(kind: Kind, result: Any) -> Any:
    """A result, and what is in it, as arrays of a kind."""
    if isinstance(result, tuple):
        return tuple(given_back(kind, part) for part in result)
    if isinstance(result, dict):
        return {name: given_back(kind, part) for name, part in result.items()}
    return kind.give(result)


def _taken(kind: Kind, name: str, value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, list | tuple):  # arrays, or numbers as they are
        return [_taken(kind, f"{name}[{n}]", each, arrays) for n, each in enumerate(value)]
    own = of(value)
    if own is kind:
        return kind.take(value)
    if own is None and not isinstance(value, np.ndarray):
        return value  # no array: what it is for decides
    first = next(name for name, array in arrays.items() if of(array) is kind)
    shown = f"got {first} of {kind.name} and {name} of {named(value)}"
    raise TypeError(f"the arrays of a call must be of one kind, {shown}")


def _check_places(taken: dict[str, Any]) -> None:
    """ValueError where the arrays of a call are on several devices."""
    if len(taken) > 1:
        places = {name: value.where.device for name, value in taken.items() if hasattr(value, "where")}
        if len(set(places.values())) > 1:
            raise ValueError(f"the arrays of a call must be on one device, got {places}")


def _with_out(result: Any, out: Any) -> Any:
    """The user's own `out` in place of our view of it."""
    if out is None:
        return result
    return (out, *result[1:]) if isinstance(result, tuple) else out


# Libraries -----------------------------------------------------------------------------------------------


class OnHost:
    """Arrays in the host's memory."""

    def on(self, array: Any) -> AbstractContextManager[Any]:  # noqa: ARG002 - there is one host
        """See `Kind`."""
        return nullcontext()


class TorchOnHost(OnHost):
    """PyTorch's tensors on the CPU; `fastpool.interop.torch` sees to gradients."""

    name = "torch.Tensor on the CPU"
    tracer = "torch"

    def take(self, array: Any) -> Any:
        """See `Kind`."""
        plain = array.detach().resolve_conj().resolve_neg()
        if str(plain.dtype) != "torch.bfloat16":
            return plain.numpy()
        return plain.view(sys.modules["torch"].int16).numpy().view(dtype_named("bfloat16"))

    def give(self, array: Any) -> Any:
        """See `Kind`."""
        torch = sys.modules["torch"]
        if not isinstance(array, np.ndarray):
            return array
        if array.dtype.name == "bfloat16":
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)


class JaxOnHost(OnHost):
    """JAX's arrays on the CPU."""

    name = "jax.Array on the CPU"
    tracer = "jax"

    def take(self, array: Any) -> Any:
        """See `Kind`."""
        return np.asarray(array)

    def give(self, array: Any) -> Any:
        """See `Kind`."""
        return sys.modules["jax"].numpy.asarray(array) if isinstance(array, np.ndarray) else array


TORCH, JAX = TorchOnHost(), JaxOnHost()


def _torch(array: Any) -> Kind | None:
    torch = sys.modules["torch"]
    if not isinstance(array, torch.Tensor):
        return None
    if array.layout != torch.strided or array.device.type not in ("cpu", "cuda", "meta"):
        raise TypeError(
            f"x must be a dense torch.Tensor on cpu or cuda, got {array.layout} on {array.device}"
        )
    here = type(array) in (torch.Tensor, torch.nn.Parameter) and array.is_cuda  # of others PyTorch takes care
    return _cuda("torch.Tensor on CUDA").torch if here else TORCH


def _jax(array: Any) -> Kind | None:
    jax = sys.modules["jax"]
    if not isinstance(array, jax.Array):
        return None
    if isinstance(array, jax.core.Tracer):  # which is nowhere
        return JAX
    platform = next(iter(array.devices())).platform
    return JAX if platform == "cpu" else _cuda("jax.Array on CUDA").jax


def _cupy(array: Any) -> Kind | None:
    return _cuda("cupy.ndarray").cupy if isinstance(array, sys.modules["cupy"].ndarray) else None


def _numba(array: Any) -> Kind | None:
    return _cuda("a CUDA array of numba").numba if hasattr(array, "__cuda_ndarray__") else None


LIBRARIES = {
    "torch": _torch,
    "jax": _jax,
    "jaxlib": _jax,
    "cupy": _cupy,
    "numba": _numba,
    "numba_cuda": _numba,
}


def cuda_problem() -> str:
    """Why arrays on GPUs cannot be taken, in a sentence; empty where they can."""
    try:
        from numba import config, cuda  # noqa: PLC0415 - as late as an array needs it
    except Exception as error:
        return f"numba.cuda does not load: {error}"
    if config.ENABLE_CUDASIM:
        return ""
    if getattr(cuda, "implementation", "") != "NVIDIA":
        return "numba-cuda is not installed"
    return "" if cuda.is_available() else "no CUDA device or driver was found"


def _cuda(kind: str) -> Any:
    """The kinds of arrays on GPUs; an ImportError that names the extra where they cannot be taken."""
    loaded = sys.modules.get("fastpool.cuda.libraries")
    if loaded is not None:
        return loaded
    problem = cuda_problem()
    if problem:
        raise ImportError(f'{kind} needs fastpool\'s CUDA kernels, pip install "fastpool[cuda]": {problem}')
    from .cuda import libraries  # noqa: PLC0415 - only an array on a GPU needs it

    return libraries


def dtype_named(dtype: str) -> np.dtype[Any]:
    """A dtype by its name; bfloat16 is one of ml_dtypes."""
    if dtype == "bfloat16":
        import ml_dtypes  # noqa: PLC0415 - only who has such arrays needs it

        return cast(np.dtype[Any], np.dtype(ml_dtypes.bfloat16))
    return np.dtype(dtype)
