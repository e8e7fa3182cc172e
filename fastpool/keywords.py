"""Another library's keyword is answered with ours."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

OURS = {  # what other libraries call our arguments: the first that a function has is meant
    "axes": ("axis",),
    "axis": ("axes",),
    "dilations": ("dilation",),
    "dim": ("axes", "axis"),
    "dim_size": ("num_segments",),
    "divisor": ("divisor_override",),
    "index": ("ids",),
    "indptr": ("offsets",),
    "kernel": ("window",),
    "kernel_size": ("window",),
    "keepdim": ("keepdims",),
    "ksize": ("window",),
    "labels": ("ids",),
    "mask": ("where",),
    "mode": ("border",),
    "pads": ("padding",),
    "pool_size": ("window",),
    "reduce": ("op",),
    "segment_ids": ("ids",),
    "size": ("window",),
    "strides": ("stride",),
    "window_shape": ("window",),
}


def answer(function: Callable[..., Any], given: dict[str, Any]) -> None:
    """TypeError that names our keyword, where a call has another library's."""
    for name in OURS.keys() & given:
        known = signature(function).parameters
        meant = next((own for own in OURS[name] if own in known), None)
        if meant and name not in known:
            raise TypeError(f"{function.__name__} takes no argument {name!r}; say {meant}=") from None


def ours(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function answer another library's keyword."""

    @wraps(function)
    def answering(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TypeError:
            answer(function, kwargs)
            raise

    return answering
