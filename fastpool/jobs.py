"""A checked call: which operator runs over which windows, forward and backward.

The public functions turn their arguments into a `Job` here; `forward` and `backward` hand it to the backend
of the array. `vjp` listens on `TAPE`, where `forward` leaves the way back.
"""

import marshal
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from numpy.typing import NDArray

from . import arrays, checks, reuse, ways, windows
from .arrays import Array
from .operators import OPERATORS, TESTING, Operator
from .ways import ASKED
from .windows import Axis, Geometry, Integers, PlaneWindows

Pull = Callable[..., Any]
OUTSIDE = "indices must each lie in their own window; some do not"
TAPE: ContextVar[list[Pull] | None] = ContextVar("fastpool_tape", default=None)


@dataclass(frozen=True)
class Job:
    """One operator over one geometry.

    Attributes
    ----------
    operator : Operator
    geometry : Geometry
        Its output shape has every axis of the input.
    divisors : tuple of ndarray
        Per pooled axis a factor of each window's divisor.
    params : ndarray of float64
        The operator's parameters, in the table's order; one 0 where it has none.
    shape : tuple of int
        Shape of the result, which may lack the pooled axes.
    plans : dict
        What backends prepared for it: the next call on a like array starts from there.
    """

    operator: Operator
    geometry: Geometry
    divisors: tuple[Integers, ...]
    params: NDArray[np.float64]
    shape: tuple[int, ...]
    plans: dict[Any, Any] = field(default_factory=dict, compare=False)

    def prepared(self, key: Any, prepare: Callable[[], Any]) -> Any:
        """The plan of a key, prepared where there is none yet."""
        plan = self.plans.get(key, self)
        if plan is self:
            plan = self.plans[key] = prepare()
            _Held.bytes += ways.size(plan)
            if _Held.bytes > MOST:
                forget()
        return plan


# Jobs are kept: the same call on an array of the same shape, strides and dtype finds its own again ----------

SCALARS = frozenset((int, bool, float, str, type(None)))
DRAWS = frozenset(row.name for row in OPERATORS.values() if row.testing)  # anew at each call
LARGEST = 2**62  # elements of a window: a product of counts fits int64
FARTHEST = 2**31 - 1  # elements that a window or stride spans, or twice the axis: products of two fit int64
KEPT = 512  # jobs, after which all are forgotten, ...
MOST = 1 << 25  # ... or bytes of their plans
_jobs: dict[Any, Job] = {}


class _Held:
    """How much the plans of all jobs hold."""

    bytes = 0


def forget() -> None:
    """Forget all jobs; those of calls under way end with them."""
    _jobs.clear()
    _Held.bytes = 0


Form = Callable[..., tuple[Array, Job]]


def _remembered(form: Form) -> Form:
    """The form, which checks nothing again that it has checked already.

    Arguments other than plain Python values are checked at each call.
    """

    @wraps(form)
    def remembered(x: Any, *arguments: Any) -> tuple[Array, Job]:
        hosted = type(x) is ndarray
        if not (hosted or arrays.on_device(x)):
            return form(x, *arguments)
        place = x.flags.aligned if hosted else arrays.place(x)
        try:
            # Bytes, since True, 1 and 1.0 are equal, and the same key. Those of plain values and of others
            # differ: what marshal takes of these is written with codes of their own.
            key = (form, x.shape, x.strides, x.dtype, place, marshal.dumps(arguments, 2))
        except ValueError:
            return form(x, *arguments)
        job = _jobs.get(key)
        if job is not None:
            return x, job
        array, job = form(x, *arguments)
        # A view's view has the first one's base, unless that is no array.
        same = array is x or (hosted and array.base is not None and (array.base is x or array.base is x.base))
        *given, op_params = arguments
        plain = _plain((*given, *op_params.items())) and given[0] not in DRAWS
        if plain and same and array.strides == x.strides and array.dtype == x.dtype:
            if len(_jobs) >= KEPT:
                forget()
            _jobs[key] = job
        return array, job

    return remembered


def _plain(values: Sequence[Any]) -> bool:
    """Whether all values are exactly Python's own."""
    return SCALARS.issuperset(map(type, values)) or all(
        type(value) in SCALARS or (type(value) in (tuple, list) and _plain(value)) for value in values
    )


# Forms ---------------------------------------------------------------------------------------------------


@_remembered
def sliding(
    x: object,
    op: object,
    window: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: object,
    axes: Any,
    op_params: dict[str, Any],
) -> tuple[Array, Job]:
    """The input and the job of a call with sliding windows."""
    row, array = operands(op, x)
    ceil = checks.boolean("ceil_mode", ceil_mode)
    tables: dict[int, Axis] = {}
    for axis, n, k, s, d, (before, after) in along(array, window, stride, padding, dilation, axes):
        tables[axis] = on_axis(axis, windows.sliding, n, k, s, before, after, d, ceil)
    return array, job(row, array, tables, op_params)


class Along(NamedTuple):
    """Sliding windows along one axis, in numbers; `n` is its length."""

    axis: int
    n: int
    window: int
    stride: int
    dilation: int
    padding: tuple[int, int]


def along(x: Array, window: Any, stride: Any, padding: Any, dilation: Any, axes: Any) -> list[Along]:
    """The windows along each pooled axis, in the order of the arguments."""
    pooled = checks.pooled_axes("window", window, axes, x.ndim)
    count = len(pooled)
    lengths = [checks.integer("window", k, minimum=1) for k in checks.entries("window", window, count)]
    steps = [checks.integer("dilation", d, minimum=1) for d in checks.entries("dilation", dilation, count)]
    strides = lengths
    if stride is not None:
        strides = [checks.integer("stride", s, minimum=1) for s in checks.entries("stride", stride, count)]
    if math.prod(lengths) > LARGEST:
        raise ValueError(f"window must have at most 2**62 elements, got {window!r}")
    around = checks.padding(padding, count)
    found = []
    for number, (axis, k, s, d) in enumerate(zip(pooled, lengths, strides, steps, strict=True)):
        n = x.shape[axis]
        own = around if isinstance(around, str) else around[number]
        found.append(Along(axis, n, k, s, d, padded(own, n, k, s, d, f" on axis {axis}")))
    return found


def padded(
    around: str | tuple[int, int], n: int, window: int, stride: int, dilation: int, where: str = ""
) -> tuple[int, int]:
    """The padding of an axis, of which a word or the numbers came, and whose windows are not too long."""
    span, most = dilation * (window - 1) + 1, max(FARTHEST, 2 * n)
    if max(span, stride) > most:
        raise ValueError(
            f"window, dilation and stride must span at most {most} elements{where}, "
            f"got {window}, {dilation} and {stride}"
        )
    if around == "valid":
        return 0, 0
    if isinstance(around, str):
        return windows.same_padding(n, window, stride, dilation, lower=around == "same_lower")
    if max(around) >= span:
        raise ValueError(f"padding must be less than the dilated window, {span}{where}, got {around}")
    return around


@_remembered
def adaptive(
    x: object, op: object, output_size: Any, axes: Any, op_params: dict[str, Any]
) -> tuple[Array, Job]:
    """The input and the job of a call with adaptive bins."""
    row, array = operands(op, x)
    pooled = checks.pooled_axes("output_size", output_size, axes, array.ndim)
    sizes = checks.entries("output_size", output_size, len(pooled))
    tables = {}
    for axis, size in zip(pooled, sizes, strict=True):
        n = array.shape[axis]
        outputs = n if size is None else checks.integer("output_size", size, minimum=1)
        tables[axis] = on_axis(axis, windows.adaptive, n, outputs)
    return array, job(row, array, tables, op_params)


@_remembered
def whole(x: object, op: object, axes: Any, keepdims: object, op_params: dict[str, Any]) -> tuple[Array, Job]:
    """The input and the job of a call over whole axes."""
    row, array = operands(op, x)
    keep = checks.boolean("keepdims", keepdims)
    pooled = checks.pooled_axes("", None, axes, array.ndim)
    tables = {axis: on_axis(axis, windows.adaptive, array.shape[axis], 1) for axis in pooled}
    return array, job(row, array, tables, op_params, keepdims=keep)


def operands(op: object, x: object) -> tuple[Operator, Array]:
    """The operator that `op` names, and the array, of a dtype that it takes."""
    row = checks.operator(op)
    array = arrays.take("x", x)
    arrays.check_dtype(row, array.dtype)
    return row, array


def on_axis(axis: int, table: Callable[..., Any], *arguments: Any) -> Any:
    """What `table` gives; its errors name the axis."""
    try:
        return table(*arguments)
    except ValueError as error:
        raise ValueError(f"axis {axis} of x: {error}") from None


def job(
    row: Operator, x: Array, tables: dict[int, Axis], op_params: dict[str, Any], *, keepdims: bool = True
) -> Job:
    """The job of an operator over one table for each pooled axis."""
    axes = tuple(sorted(tables))
    row, params, (include, override) = settings(row, x.dtype, op_params)
    own = tuple(tables[axis] for axis in axes)
    if row.picks:
        own = tuple(windows.picked(table, middle=bool(params[0])) for table in own)
    geometry = Geometry(x.shape, axes, own)
    divisors = windows.divisors(geometry.tables, count_include_pad=include, override=override)
    shape = geometry.output_shape
    if not keepdims:
        shape = tuple(n for axis, n in enumerate(shape) if axis not in axes)
    return Job(row, geometry, divisors, params, shape)


def settings(
    row: Operator, dtype: np.dtype[Any], op_params: dict[str, Any]
) -> tuple[Operator, NDArray[np.float64], tuple[bool, int | None]]:
    """The operator that runs, its parameters, and whether padding counts and what overrides the divisor."""
    given = dict(op_params)
    include, override = False, None
    if row.averages:
        include = checks.boolean("count_include_pad", given.pop("count_include_pad", True))
        override = checks.divisor_override(given.pop("divisor_override", None))
    if row.tied and checks.ties(given) != checks.TIES[0]:
        row = row.tied
    training = not row.testing or checks.boolean("training", given.pop("training", True))
    params = np.array(checks.parameters(row, given, dtype) or (0.0,))
    return row if training or not row.testing else row.testing, params, (include, override)


# Both directions -----------------------------------------------------------------------------------------


def forward(
    job: Job, x: Array, *, return_indices: object = False, out: object = None, dtype: Any = None
) -> Any:
    """The job's result, or the pair of result and indices."""
    alone = TAPE.get() is None and ASKED.get() is None  # nobody listens
    if alone and return_indices is False and dtype is None:
        usual = job.plans.get(x.strides)
        if usual is not None:  # nothing is to be asked again
            make, kind, plan = usual
            if out is None:
                y = make()
                plan.run(x, y, None)
                return y
            if type(out) is ndarray and out.shape == job.shape and out.dtype == kind and out.flags.carray:
                plan.run(x, out, None)
                return out
    row = job.operator
    indexed = wants_indices(row, return_indices)
    target = arrays.result_dtype(row, x.dtype, dtype)
    y = arrays.empty(job.shape, target, x) if out is None else arrays.result(out, job.shape, target, x)
    tape = tape_for(row)
    chosen = "places" if indexed else ""
    if tape is not None and row.backward == "chosen" and not indexed:
        chosen = "taps" if _keeps_taps(job, x, target) else "places"
    indices = None
    if chosen:
        kind = np.uint8 if chosen == "taps" else index_dtype(job.geometry)
        indices = arrays.empty(job.shape, kind, x)
    direct = y if out is None else arrays.written(y)
    if ASKED.get() is not None:
        words = ways.in_words(job.geometry.tables)
        ways.note(row.name, words, x, y, indices, lambda: _plan(job, x, target, chosen).way())
    elif y.size:
        plan = _plan(job, x, target, chosen)
        plan.run(x, direct, indices)
        if dtype is None and not chosen and type(x) is ndarray:
            job.plans[x.strides] = reuse.maker(job.shape, target), target, plan
        if out is not None and not arrays.is_c(y):
            arrays.assign(y, direct)
    if tape is not None:
        own: Chosen = None
        if indices is not None:
            own = (
                Taps(indices) if chosen == "taps" else Indices(arrays.copied(indices) if indexed else indices)
            )
        tape.append(partial(pull, job, Kept.of(x), own))
    return (y, indices) if indexed else y


class Taps(NamedTuple):
    """Which element of its window each window chose, as a number among them: one byte, never a caller's."""

    array: Array
    kind: str = "taps"


class Indices(NamedTuple):
    """Where in its plane the element is that each window chose."""

    array: Array
    kind: str = "indices"


Chosen = Taps | Indices | None  # nothing, of operators that choose none and of calls that kept none


class Kept(NamedTuple):
    """An input that a way back reads again, and what it was like."""

    array: Array
    form: tuple[Any, ...]

    @classmethod
    def of(cls, x: Array) -> "Kept":
        """The array as it is now."""
        return cls(x, (x.shape, x.strides, x.dtype))

    def beside(self, gradient: Array) -> Array:
        """The array, for the stream of the gradient; ValueError where it is another by now."""
        x = self.array
        if (x.shape, x.strides, x.dtype) != self.form:
            raise ValueError(
                f"x must stay as it was until the pull, of shape {self.form[0]} and {self.form[2]}, "
                f"got shape {x.shape} and {x.dtype}"
            )
        return arrays.beside(x, gradient)


@contextmanager
def recording() -> Iterator[list[Pull]]:
    """Keep the ways back of the calls inside from whoever else listens."""
    tape: list[Pull] = []
    token = TAPE.set(tape)
    try:
        yield tape
    finally:
        TAPE.reset(token)


@contextmanager
def unrecorded() -> Iterator[None]:
    """Run the calls inside as if nobody listened, operators without a gradient too."""
    token = TAPE.set(None)
    try:
        yield
    finally:
        TAPE.reset(token)


def wants_indices(row: Operator, return_indices: object) -> bool:
    """Whether indices are asked for, of an operator that has them."""
    if return_indices is False or not checks.boolean("return_indices", return_indices):
        return False
    check_chooses("return_indices is", row)
    return True


def check_chooses(argument: str, row: Operator) -> None:
    """ValueError where an operator has no indices."""
    if row.backward != "chosen" and not row.picks:
        shown = "'stochastic' with training=False" if row.name == TESTING.name else repr(row.name)
        raise ValueError(f"{argument} for operators that choose an element, got op={shown}")


def tape_for(row: Operator) -> list[Pull] | None:
    """Where to leave the way back, if somebody listens; TypeError for an operator that has none."""
    tape = TAPE.get()
    if tape is not None:
        check_has_gradient(row)
    return tape


def check_has_gradient(row: Operator) -> None:
    """TypeError for an operator without a gradient."""
    if row.backward == "none":
        raise TypeError(f"{row.name} pooling has no gradient")


def _plan(job: Job, x: Array, target: np.dtype[Any], chosen: str) -> Any:
    """How the backend reduces the windows of arrays like `x`; None where that is not to be had."""
    key = (x.dtype, x.strides, target, chosen)
    like = job.operator, x, job.geometry, job.divisors, job.params, target, chosen
    return job.prepared(key, lambda: arrays.backend(x).plan(*like))


def _keeps_taps(job: Job, x: Array, target: np.dtype[Any]) -> bool:
    """Whether the way back can go by taps, and the way forward finds them."""
    fits = job.prepared("taps", lambda: arrays.backend(x).has_taps(job.geometry))
    return fits and _plan(job, x, target, "taps") is not None


def pull(job: Job, kept: Kept, chosen: Chosen, gy: object, *, params: bool = False) -> Any:
    """The gradient for `x` of a call that was recorded; with ``params=True`` also for the parameters.

    Parameters
    ----------
    gy : ndarray
        Gradient for the result, of its shape.
    params : bool
        Return ``(gx, {name: gradient})``.

    Returns
    -------
    ndarray or (ndarray, dict of float)
    """
    gradient = checked_gradient(gy, job.shape)
    x = kept.beside(gradient)
    if chosen is not None:
        chosen = chosen._replace(array=arrays.beside(chosen.array, gradient))
    gx = backward(job, gradient, x, chosen)
    return (gx, slopes(job, gradient, x)) if checks.boolean("params", params) else gx


def backward(job: Job, gy: Array, x: Array, chosen: Chosen) -> Array:
    """The gradient for `x`; `chosen` is what the forward call kept, if it chose."""
    row, geometry = job.operator, job.geometry
    check_has_gradient(row)
    floating = next((a.dtype for a in (x, gy) if arrays.is_float(a.dtype)), np.dtype(np.float64))
    if gy.size == 0:
        return arrays.zeros(x.shape, floating, x)
    gx = arrays.empty(x.shape, floating, x)
    g = arrays.contiguous(gy.reshape(geometry.output_shape), floating)
    if row.backward == "states":
        _backward_by_states(job, g, x, gx)
        return gx
    if row.picks:
        chosen = None  # the windows say it
    if row.backward == "chosen" and chosen is None:
        chosen = Indices(forward_indices(job, x))
    if chosen is not None and not geometry.covers:  # other ways want windows in the order of their elements
        states = [chosen.array] * 3
        arrays.backend(x).gather(row.name, row.pull, g, gx, states, geometry.inverse(), job.params, gx)
        return gx
    kept = chosen.kind if chosen else "shares"

    def planned() -> Any:
        divisors = job.divisors if row.averages else tuple(map(np.ones_like, job.divisors))
        return arrays.backend(x).plan_backward(row, geometry, divisors, job.params, g, floating, kept)

    plan = job.prepared(("back", kept, floating, arrays.place(g)), planned)
    plan.run(g, chosen.array if chosen else None, gx)
    return gx


def _backward_by_states(job: Job, gy: Array, x: Array, gx: Array) -> None:
    """Each element gathers what an expression makes of it and of numbers of its windows, computed anew."""
    row, geometry, backend = job.operator, job.geometry, arrays.backend(x)
    states = [arrays.empty(geometry.output_shape, np.float64, x) for _ in range(3)]
    state = row.state(x.dtype)
    backend.reduce(f"{row.name}_state", state, x, geometry, job.divisors, job.params, *states)
    local, inverse = arrays.contiguous(x), geometry.inverse()
    backend.gather(row.name, row.pull, gy, local, states, inverse, job.params, gx)


def checked_backward(job: Job, gy: object, x: Array, indices: object) -> Array:
    """The gradient for `x`, with a caller's indices or without."""
    gradient = checked_gradient(gy, job.shape)
    return backward(job, gradient, x, None if indices is None else Indices(chosen_indices(job, indices)))


def forward_indices(job: Job, x: Array) -> Array:
    """The indices of the chosen elements."""
    indices: Array = forward(job, x, return_indices=True)[1]
    return indices


def slopes(job: Job, gy: Array, x: Array) -> dict[str, Any]:
    """The gradients for the operator's parameters."""
    slopes = {}
    for parameter in job.operator.params:
        if parameter.slope is None:
            continue
        slope = arrays.zeros(job.geometry.output_shape, np.float64, x)
        if slope.size:
            name = f"{job.operator.name}_{parameter.name}"
            arrays.backend(x).reduce(name, parameter.slope, x, job.geometry, job.divisors, job.params, slope)
        slopes[parameter.name] = arrays.inner(gy, slope.reshape(job.shape))
    return slopes


def index_dtype(windows: Geometry | PlaneWindows) -> type[np.int32] | type[np.int64]:
    """int32 while a plane has fewer than 2**31 elements."""
    return plane_dtype(windows.plane)


def plane_dtype(plane: Sequence[int]) -> type[np.int32] | type[np.int64]:
    """As `index_dtype`, of a plane of these lengths."""
    return np.int32 if math.prod(plane) < 2**31 else np.int64


# Checks of what comes back from the caller ---------------------------------------------------------------


def checked_gradient(gy: object, shape: Sequence[int], *, name: str = "gy") -> Array:
    """A gradient of the expected shape and a numeric dtype."""
    ways.refuse_backward()
    gradient = arrays.take(name, gy)
    if gradient.dtype == np.bool_:
        raise TypeError(f"{name} must be numeric, got bool")
    if gradient.shape != tuple(shape):
        raise ValueError(f"{name} must have the result's shape {tuple(shape)}, got {gradient.shape}")
    return gradient


def checked_indices(name: str, indices: object, shape: Sequence[int], limit: int, *, least: int = 0) -> Array:
    """A C-contiguous copy as int64 of indices of the expected shape, all within ``least..limit-1``."""
    array = arrays.take(name, indices)
    if array.dtype.name not in arrays.INTEGERS:
        raise TypeError(f"{name} must be integers, got {array.dtype}")
    if array.shape != tuple(shape):
        raise ValueError(f"{name} must have the shape {tuple(shape)}, got {array.shape}")
    own = arrays.copied(array)  # before they are looked at: nobody else can write to it
    if own.size:
        low, high = arrays.bounds(own)
        if low < least or high >= limit:
            raise ValueError(f"{name} must be in {least}..{limit - 1}, got {low}..{high}")
    return arrays.cast(own, np.int64)


def chosen_indices(job: Job, indices: object) -> Array:
    """A caller's indices, each of them an element of its own window, or -1 where that is empty."""
    check_chooses("indices are", job.operator)
    geometry = job.geometry
    plane = geometry.plane
    limit, least = math.prod(plane), 0 if geometry.covers else -1
    given = checked_indices("indices", indices, job.shape, limit, least=least)
    flat = given.reshape(geometry.output_shape)
    if not isinstance(flat, np.ndarray):
        if not arrays.backend(flat).within_windows(flat, geometry):
            raise ValueError(OUTSIDE)
        return flat
    positions = arrays.positions(np.maximum(flat, 0), plane)
    empty, outside = np.zeros(flat.shape, bool), np.zeros(flat.shape, bool)
    for axis, table, position in zip(geometry.axes, geometry.tables, positions, strict=True):
        along = tuple(-1 if axis == own else 1 for own in range(flat.ndim))
        offset = position - table.lo.reshape(along)
        last = ((table.count - 1) * table.step).reshape(along)
        outside |= (offset < 0) | (offset > last) | (offset % table.step != 0)
        empty |= last < 0
    check_within(flat, empty, outside)
    return flat


def check_within(indices: Array, empty: NDArray[np.bool_], outside: NDArray[np.bool_]) -> None:
    """ValueError for indices `outside` their windows, or other ones than -1 of `empty` windows."""
    if np.where(empty, indices != -1, outside | (indices < 0)).any():
        raise ValueError(OUTSIDE)
