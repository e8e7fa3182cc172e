"""Several quantiles in one call: a call each, whose results become one array with a first axis."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from . import arrays, checks, jobs, kinds, random, ways
from .arrays import Array
from .operators.entry import FRACTION


class Parts(NamedTuple):
    """How arrays of a library become one with a first axis, how that is taken apart, and how they add up."""

    joined: Callable[[list[Any]], Any]
    rows: Callable[[Any, int], Sequence[Any]]
    added: Callable[[list[Any]], Any]


def several(given: Mapping[str, Any]) -> bool:
    """Whether the arguments of a call ask for more than one quantile, or for a list of one."""
    return "q" in given and checks.is_sequence(given["q"])


def listed(q: Any) -> list[float]:
    """The quantiles of a sequence, each from 0 to 1."""
    if (isinstance(q, np.ndarray) and q.ndim != 1) or not len(q):
        raise ValueError(f"q must be a number from 0 to 1, or a sequence of at least one, got {q!r}")
    return [checks.number("q", each, FRACTION) for each in q]


def one_draw(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with one seed for all quantiles, of a function that draws its windows."""
    rng = given.get("rng")
    if "rng" not in signature(function).parameters or not (
        rng is None or isinstance(rng, np.random.Generator)
    ):
        return dict(given)
    return {**given, "rng": random.Draws(*random.seed_of(rng))}


def each(function: Callable[..., Any], given: Mapping[str, Any], parts: Parts) -> Any:
    """What a public function gives for each quantile, as one array; or of a gradient of such an array."""
    words = one_draw(function, given)
    numbers = listed(words.pop("q"))
    if "gy" in words:
        rows = parts.rows(words.pop("gy"), len(numbers))
        return parts.added([function(**words, gy=gy, q=q) for gy, q in zip(rows, numbers, strict=True)])
    tape = jobs.TAPE.get()
    if tape is None:
        return parts.joined([function(**words, q=q) for q in numbers])
    results, pulls = [], []
    for q in numbers:
        with jobs.recording() as own:
            results.append(function(**words, q=q))
        pulls += own
    tape.append(partial(_pull, pulls, parts))
    return parts.joined(results)


def _pull(pulls: list[jobs.Pull], parts: Parts, gy: Any, *, params: bool = False) -> Any:
    """As `jobs.pull`: quantiles have no gradient of their own."""
    rows = parts.rows(gy, len(pulls))
    gx = parts.added([pull(row) for pull, row in zip(pulls, rows, strict=True)])
    return (gx, {}) if checks.boolean("params", params) else gx


def check_rows(gy: Any, count: int) -> None:
    """ValueError for a gradient that does not begin with an axis of the quantiles."""
    if not gy.ndim or gy.shape[0] != count:
        raise ValueError(f"gy must have a first axis of {count} quantiles, as the result has, got {gy.shape}")


# Our own arrays, and the views of other libraries' ---------------------------------------------------------


def of_arrays(function: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """As `each`; the result is written to `out` where that is given."""
    out = given.get("out")
    if out is None or "out" not in signature(function).parameters:
        return each(function, given, OURS)
    inputs = {name: given[name] for name in kinds.ARGUMENTS - {"out"} if given.get(name) is not None}
    arrays.check_apart(out, **inputs)
    y = each(function, {name: value for name, value in given.items() if name != "out"}, OURS)
    arrays.result(out, y.shape, y.dtype, y)
    if ways.ASKED.get() is None:
        arrays.assign(out, y)
    return out


def _joined(results: list[Array]) -> Array:
    first = results[0]
    joined = arrays.empty((len(results), *first.shape), first.dtype, first)
    for number, result in enumerate(results):
        arrays.assign(arrays.row(joined, number), result.reshape((1, *first.shape)))
    return joined


def _rows(gy: Any, count: int) -> list[Array]:
    gradient = arrays.contiguous(arrays.take("gy", gy))
    check_rows(gradient, count)
    return [arrays.row(gradient, number).reshape(gradient.shape[1:]) for number in range(count)]


OURS = Parts(_joined, _rows, arrays.added)
