"""fastpool in JAX: its functions under `jax.jit`, `jax.grad` and `jax.vmap`.

Any fastpool function comes here where JAX traces one of its arguments (`fastpool.kinds`); the functions
of this module, with the same names and arguments, always do so. A traced call becomes a
`jax.pure_callback` with shapes from fastpool's geometry, and its gradient (`jax.custom_vjp`) another one.
The parameters p, r, beta and alpha, and weights, have gradients where they are JAX arrays. Callbacks run
on the host: an array on a GPU travels there and back, which outside of `jax.jit` it does not
(`fastpool.max_pool(x, 2)`).
"""

# mypy: disable-error-code="import-not-found", disallow-untyped-calls=False, disallow-untyped-decorators=False

import inspect
import warnings
from collections.abc import Callable
from functools import cache, partial, wraps
from typing import Any

import jax
import numpy as np

import fastpool as fp
from fastpool import jobs, quantiles, threads
from fastpool.operators import OPERATORS

from . import calls


def concerns(function: str, given: dict[str, Any]) -> bool:
    """Whether a call is to be made by `call`: whether JAX traces one of its arguments.

    Raises
    ------
    TypeError
        Where JAX traces, for `fastpool.vjp` and the functions that start backward anew.
    """
    if not any(isinstance(value, jax.core.Tracer) for value in given.values()):
        return False
    taped = jobs.TAPE.get() is not None
    if taped or function.endswith("_backward"):
        name = "vjp" if taped else function
        raise TypeError(
            f"fastpool.{name} takes no arrays that JAX traces; fastpool's pooling functions have gradients "
            "there by jax.grad and jax.vjp"
        )
    return True


def call(function: str, given: dict[str, Any]) -> Any:
    """Call a fastpool function so that JAX can trace, differentiate and batch it.

    Parameters
    ----------
    function : str
        Name of a pooling function of fastpool, such as ``"pool"``.
    given : dict
        Its arguments by their names. Arrays, parameters and `rng` (an integer or a key of `jax.random`) may
        be traced; the others are plain Python values.

    Returns
    -------
    jax.Array or tuple of jax.Array
        What the function returns.

    Raises
    ------
    TypeError, ValueError
        As the function; for `out`, and for random draws without `rng`.
    """
    if given.get("out") is not None:
        raise ValueError("out must be None: arrays of JAX are not written")
    if calls.draws(function, given) and not isinstance(given.get("rng"), int | np.integer | jax.Array):
        raise TypeError(f"rng must be an integer or a key of jax.random, got {given.get('rng')!r}")
    if quantiles.several(given):
        return jax.numpy.stack([call(function, given | {"q": q}) for q in quantiles.listed(given["q"])])
    given = calls.with_joined_boxes(calls.with_plain_footprint(given), jax.numpy)
    given = {name: _array(name, value) for name, value in given.items()}
    own = calls.first(function)
    x = given[own]
    if function in calls.FOLDED:
        given["axes"] = [axis - x.ndim for axis in calls.pooled_axes(function, given, x.ndim)]
    names = (own, *(name for name in given if isinstance(given[name], jax.Array) and name != own))
    options = {name: value for name, value in given.items() if name not in names}
    results = _call(calls.written(function, names, options), *(given[name] for name in names))
    return results[0] if len(results) == 1 else tuple(results)


def _array(name: str, value: Any) -> Any:
    """An argument, as a JAX array where it is one of the function's arrays, or a key."""
    if isinstance(value, np.ndarray) and name in calls.ARRAYS:
        return jax.numpy.asarray(value)
    if (
        name == "rng"
        and isinstance(value, jax.Array)
        and jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key)
    ):
        return jax.random.bits(value, (), "uint32")
    return value


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _call(text: str, *arrays: Any) -> Any:
    function, names, options = calls.read(text)
    arrays = tuple(map(jax.numpy.asarray, arrays))
    shapes = {name: array.shape for name, array in zip(names, arrays, strict=True)}
    found = calls.results(function, options, shapes, arrays[0].dtype)
    expected = [jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(dtype)) for shape, dtype in found]
    return _on_host(_forward, text, expected, arrays)


def _kept(text: str, *arrays: Any) -> Any:
    return _call(text, *arrays), tuple(map(jax.numpy.asarray, arrays))


def _pulled(text: str, arrays: Any, grads: Any) -> Any:
    _, names, _ = calls.read(text)
    wanted = [i for i, name in enumerate(names) if i == 0 or name in calls.LEARNABLE]
    expected = [jax.ShapeDtypeStruct(arrays[i].shape, arrays[i].dtype) for i in wanted]
    found = _on_host(_backward, text, expected, (*arrays, grads[0]))
    gradients = dict(zip(wanted, found, strict=True))
    return tuple(gradients.get(i) for i in range(len(arrays)))


_call.defvjp(_kept, _pulled)


@cache
def _warn_of_waiting() -> None:
    """Say once that JAX's callbacks may never end: with one processor they wait for its only thread."""
    if threads.processors() == 1 and jax.config.read("jax_cpu_enable_async_dispatch"):
        warnings.warn(
            "with one processor JAX waits for ever in callbacks of large arrays; before the first array call "
            'jax.config.update("jax_cpu_enable_async_dispatch", False)',
            RuntimeWarning,
            stacklevel=2,
        )


def _on_host(f: Callable[..., Any], text: str, expected: list[Any], arrays: Any) -> Any:
    """What `f` gives for arrays of NumPy, once for a whole batch where it is one more axis."""
    _warn_of_waiting()
    function, names, options = calls.read(text)
    folded = function in calls.FOLDED and len(names) == 1 and not calls.draws(function, options)
    dtypes = [each.dtype for each in expected]

    def on_host(*given: Any) -> list[Any]:
        results = f(function, names, options, *map(np.asarray, given))
        return [np.asarray(y, dtype) for y, dtype in zip(results, dtypes, strict=True)]

    return jax.pure_callback(
        on_host, expected, *arrays, vmap_method="broadcast_all" if folded else "sequential"
    )


def _arguments(names: list[str], options: dict[str, Any], arrays: Any) -> dict[str, Any]:
    numbers = zip(names, arrays, strict=True)
    return options | {
        name: array if name in calls.ARRAYS else calls.number(name, array) for name, array in numbers
    }


def _forward(function: str, names: list[str], options: dict[str, Any], *arrays: Any) -> Any:
    results = getattr(fp, function)(**_arguments(names, options, arrays))
    return results if isinstance(results, tuple) else (results,)


def _backward(function: str, names: list[str], options: dict[str, Any], *arrays: Any) -> Any:
    *given, gy = arrays
    arguments = _arguments(names, options, given)
    pull = fp.vjp(getattr(fp, function), arguments.pop(names[0]), **arguments)[1]
    gx, slopes = pull(gy, params=True)
    return [gx, *(slopes[name] for name in names if name in calls.LEARNABLE)]


# fastpool's functions -------------------------------------------------------------------------------------


def _traced(name: str) -> Callable[..., Any]:
    """A function of fastpool with arguments that may be traced."""
    own = getattr(fp, name)
    op = name.removesuffix("_pool")
    function, added = ("pool", {"op": op}) if op in OPERATORS else (name, {})
    signature = inspect.signature(own)

    @wraps(own)
    def traced(*args: Any, **kwargs: Any) -> Any:
        given = dict(signature.bind(*args, **kwargs).arguments)
        given |= given.pop("op_params", {})
        return call(function, added | given)

    return traced


pool = _traced("pool")
max_pool = _traced("max_pool")
min_pool = _traced("min_pool")
avg_pool = _traced("avg_pool")
sum_pool = _traced("sum_pool")
lp_pool = _traced("lp_pool")
gem_pool = _traced("gem_pool")
lse_pool = _traced("lse_pool")
soft_pool = _traced("soft_pool")
mixed_pool = _traced("mixed_pool")
stochastic_pool = _traced("stochastic_pool")
median_pool = _traced("median_pool")
quantile_pool = _traced("quantile_pool")
mode_pool = _traced("mode_pool")
var_pool = _traced("var_pool")
std_pool = _traced("std_pool")
nearest_pool = _traced("nearest_pool")
count_pool = _traced("count_pool")
area_pool = _traced("area_pool")
blur_pool = _traced("blur_pool")
adaptive_pool = _traced("adaptive_pool")
global_pool = _traced("global_pool")
fractional_pool = _traced("fractional_pool")
pyramid_pool = _traced("pyramid_pool")
mosaic = _traced("mosaic")
roi_pool = _traced("roi_pool")
roi_align = _traced("roi_align")
segment_pool = _traced("segment_pool")
unpool = _traced("unpool")
