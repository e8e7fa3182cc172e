"""Segments: elements along an axis that belong together, by ids or between sorted offsets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, SupportsIndex, Unpack, overload

import numpy as np

from . import annotations as types
from . import arrays, checks, jobs, missing_jobs, ways, windows
from .annotations import AnyArray, ArrayT, Mask, Number, NumpyArray, Offsets, Op, Result
from .arrays import Array
from .grouping import Grouping, grouping
from .jobs import Job
from .kinds import any_kind
from .missing import ALL, Missing, Whole, asked, fill_value
from .windows import Geometry, Integers


@overload
def segment_pool(
    x: NumpyArray,
    ids: AnyArray | None,
    op: Op,
    num_segments: SupportsIndex | None = ...,
    *,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[types.Segments],
) -> NumpyArray: ...
@overload
def segment_pool(
    x: ArrayT,
    ids: AnyArray | None,
    op: Op,
    num_segments: SupportsIndex | None = ...,
    *,
    return_indices: Literal[False] = ...,
    **keywords: Unpack[types.Segments],
) -> ArrayT: ...
@overload
def segment_pool(
    x: NumpyArray,
    ids: AnyArray | None,
    op: Op,
    num_segments: SupportsIndex | None = ...,
    *,
    return_indices: Literal[True],
    **keywords: Unpack[types.Segments],
) -> tuple[NumpyArray, NumpyArray]: ...
@overload
def segment_pool(
    x: ArrayT,
    ids: AnyArray | None,
    op: Op,
    num_segments: SupportsIndex | None = ...,
    *,
    return_indices: Literal[True],
    **keywords: Unpack[types.Segments],
) -> tuple[ArrayT, ArrayT]: ...
@overload
def segment_pool(
    x: ArrayT,
    ids: AnyArray | None,
    op: Op,
    num_segments: SupportsIndex | None = ...,
    *,
    return_indices: bool,
    **keywords: Unpack[types.Segments],
) -> ArrayT | tuple[ArrayT, ArrayT]: ...
@any_kind
def segment_pool(
    x: AnyArray,
    ids: AnyArray | None,
    op: Op,
    num_segments: SupportsIndex | None = None,
    *,
    axis: SupportsIndex = 0,
    offsets: Offsets | None = None,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    return_indices: bool = False,
    **op_params: Any,
) -> Result:
    """Reduce the elements along an axis that have the same id, or lie between two offsets.

    Segment s has the elements i with ``ids[i] == s``, or with ``offsets[s] <= i < offsets[s + 1]``, in their
    order along the axis. ``y[s]`` is the operator's value of them, such as ``max x[i]``; along the other axes
    each element has a value of its own.

    Parameters
    ----------
    x : ndarray, of at least one axis
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch or JAX. Any strides, alignment and
        byte order; it is never written.
    ids : ndarray of int, one for each element along the axis, or None
        The segment of each element, from 0 to ``num_segments - 1``, in any order. None where `offsets` is
        given.
    op : {"max", "min", "count", "avg", "sum", "lp", "gem", "lse", "soft", "mixed", ...}
        The operator: one of these, ``"stochastic"``, ``"median"``, ``"quantile"``, ``"mode"``, ``"var"``,
        ``"std"`` or ``"nearest"``. ``"mean"`` is another word for ``"avg"``. Each has a function of its own,
        such as `max_pool`, whose page gives its formula and parameters.
    num_segments : int, optional
        Number of segments. By default it is ``max(ids) + 1``, or as `offsets` has it.
    axis : int
        The axis along which elements are grouped; a negative number counts from the end.
    offsets : sequence of int or ndarray of int, optional
        In place of `ids`: where each segment begins, and where the last one ends. They are sorted, at least
        0, and at most the length of the axis; elements before the first and after the last are in no segment.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a segment. A segment with fewer, or with none, gives `fill`, has index
        -1 and sends no gradient. With 0 the sum and the count of no elements are 0.
    fill : int or float, optional
        What a segment with too few elements gives. By default it is NaN for floats and the `nodata` value,
        where there is one, for integers. Counts are 0.
    return_indices : bool
        Also return where the chosen elements are.
    **op_params
        Parameters of the operator, as its own function names them; for avg, sum and count also `weights`.

    Returns
    -------
    y : ndarray
        Of the kind of `x`, C-contiguous, of its shape but for `num_segments` along the axis, and of the dtype
        that `pool` gives.
    indices : ndarray of int32 or int64
        Only with `return_indices`: the position of each chosen element along the axis of `x`, -1 where a
        segment has too few elements; int64 where the axis has 2**31 elements or more.

    Raises
    ------
    TypeError
        If an argument has a wrong type, `x` a dtype that the operator does not take, or if there is a
        parameter that the operator does not have.
    ValueError
        If an argument has a bad value, if not exactly one of `ids` and `offsets` is given, if ids have
        another length than the axis or are out of range, if offsets are not sorted, or if a segment of
        integers has too few elements and nothing says what to fill in.

    See Also
    --------
    pool : Windows of one size at equal distances.
    global_pool : One window over whole axes.
    roi_pool : Boxes at any place.
    segment_pool_backward : Gradient of this function.

    Notes
    -----
    Ties, NaN, rounding and gradients are those of the operator's own function: of equal elements the first
    along the axis has the index, wherever the others of its segment lie. A random draw depends on the seed
    and the place of its result alone.

    Ids that are not sorted are sorted once, with a stable sort on the host, and the elements are then copied
    in that order. Sorted ids and offsets need no copy. Ids and offsets on a GPU are copied to the host. The
    first call of a kernel compiles it, which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Blelloch 1990, Prefix sums and their applications, Carnegie Mellon University, CMU-CS-90-190
       (segmented operations).

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> x = np.array([4.0, 1.0, 7.0, 2.0, 6.0])
    >>> fp.segment_pool(x, np.array([2, 0, 2, 0, 0]), "max", 4)
    array([ 6., nan,  7., nan])
    >>> fp.segment_pool(x, None, "sum", offsets=[0, 2, 2, 5], min_count=0)
    array([ 5.,  0., 15.])
    """
    weights = op_params.pop("weights", None)
    array, call = _call(x, ids, op, num_segments, axis, offsets, op_params)
    missing = asked(call.job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    return call.forward(array, missing, return_indices)


@any_kind
def segment_pool_backward(
    gy: ArrayT,
    x: ArrayT,
    ids: AnyArray | None,
    op: Op,
    num_segments: SupportsIndex | None = None,
    *,
    axis: SupportsIndex = 0,
    offsets: Offsets | None = None,
    where: Mask | None = None,
    skipna: bool | None = False,
    nodata: Number | None = None,
    min_count: int = 1,
    fill: Number | None = None,
    indices: AnyArray | None = None,
    **op_params: Any,
) -> ArrayT:
    """Compute the gradient of `segment_pool` for `x`.

    ``gx[i] = gy[s] dy[s]/dx[i]`` with s the segment of element i, where y is
    ``segment_pool(x, ids, op, ...)`` with the same arguments. An element in no segment has gradient 0.

    Parameters
    ----------
    gy : ndarray, shape of the result
        Gradient for the result.
    x : ndarray, of at least one axis
        A NumPy array, a CUDA array of numba, or an array of CuPy, PyTorch or JAX. Any strides, alignment and
        byte order; it is never written.
    ids : ndarray of int, one for each element along the axis, or None
        The segment of each element, from 0 to ``num_segments - 1``, in any order. None where `offsets` is
        given.
    op : {"max", "min", "count", "avg", "sum", "lp", "gem", "lse", "soft", "mixed", ...}
        The operator: one of these, ``"stochastic"``, ``"median"``, ``"quantile"``, ``"mode"``, ``"var"``,
        ``"std"`` or ``"nearest"``. ``"mean"`` is another word for ``"avg"``. Each has a function of its own,
        such as `max_pool`, whose page gives its formula and parameters.
    num_segments : int, optional
        Number of segments. By default it is ``max(ids) + 1``, or as `offsets` has it.
    axis : int
        The axis along which elements are grouped; a negative number counts from the end.
    offsets : sequence of int or ndarray of int, optional
        In place of `ids`: where each segment begins, and where the last one ends. They are sorted, at least
        0, and at most the length of the axis; elements before the first and after the last are in no segment.
    where : ndarray of bool, optional
        True where an element takes part; its shape broadcasts to that of `x`. What `where`, `skipna` or
        `nodata` leaves out does not affect the result: it is no value and not counted. Its gradient is 0.
    skipna : bool
        Leave NaNs out.
    nodata : int or float, optional
        Leave elements of this value out. It is compared in the dtype of `x`, which must hold it.
    min_count : int
        Elements that must take part in a segment. A segment with fewer, or with none, gives `fill`, has index
        -1 and sends no gradient.
    fill : int or float, optional
        What a segment with too few elements gives. By default it is NaN for floats and the `nodata` value,
        where there is one, for integers. Counts are 0.
    indices : ndarray of int, optional
        What ``return_indices=True`` gave, for operators that choose an element. Without it the elements are
        chosen again.
    **op_params
        Parameters of the operator, as its own function names them; for avg, sum and count also `weights`.

    Returns
    -------
    ndarray, shape of `x`
        Of the kind of `x`, and of its dtype where that is a float, else of the dtype of `gy`; float64 where
        neither is a float.

    Raises
    ------
    TypeError
        If an argument has a wrong type, `x` a dtype that the operator does not take, or if the operator has
        no gradient.
    ValueError
        As `segment_pool` raises it, and if `gy` has another shape than the result, or `indices` another shape
        or entries outside their segments.

    See Also
    --------
    segment_pool : The function itself.
    vjp : The result and its way back.

    Notes
    -----
    Each operator sends its gradient as its own function says. Elements that are left out, and segments with
    too few elements, have gradient 0. The result is the same, bit for bit, for every number of threads. After
    a forward call `vjp` is faster, since it keeps what the call knew. The first call of a kernel compiles it,
    which takes seconds; numba keeps it in a cache on disk.

    References
    ----------
    .. [1] Griewank, Walther 2008, Evaluating Derivatives, second edition, SIAM.

    Examples
    --------
    >>> import numpy as np, fastpool as fp
    >>> ids = np.array([1, 0, 1, 0, 0])
    >>> fp.segment_pool_backward(np.array([6.0, 8.0]), np.zeros(5), ids, "avg")
    array([4., 2., 4., 2., 2.])
    """
    weights = op_params.pop("weights", None)
    array, call = _call(x, ids, op, num_segments, axis, offsets, op_params)
    missing = asked(call.job.operator, array, (where, skipna, nodata, min_count, fill), weights, op_params)
    return call.backward(gy, array, missing, indices)  # type: ignore[return-value]


@dataclass(frozen=True)
class Call:
    """A checked call, but for its input.

    Attributes
    ----------
    axis, length : int
        The axis of the input that is grouped, and its elements.
    segments : Grouping
    job : Job
        The operator over the elements segment by segment, of an axis with at least one element.
    """

    axis: int
    length: int
    segments: Grouping
    job: Job

    def forward(self, x: Array, missing: Missing | None, return_indices: object) -> Any:
        """The result, or the pair of result and indices."""
        jobs.wants_indices(self.job.operator, return_indices)
        value, tape = self._fill(x, missing), jobs.tape_for(self.job.operator)
        elements, own = self._ordered(x), self._missing(x, missing)
        found, pull = missing_jobs.part_of_call(
            self.job, elements, own, recorded=tape is not None, return_indices=return_indices
        )
        if tape is not None:
            weights = None if missing is None or missing.weights is None else missing.weights.shape
            tape.append(partial(self._pull, pull, weights))
        order, noted = self.segments.order, ways.ASKED.get()
        if noted is not None:
            if noted and order is not None:
                noted[-1] = noted[-1]._replace(x=x, way=ways.gathered(noted[-1].way))
            return found
        y, *indices = found if isinstance(found, tuple) else (found,)
        if missing is None and not self.job.geometry.covers:
            self._fill_empty(elements, y, value)
        if not indices:
            return y
        return y, indices[0] if order is None else arrays.looked_up(order, indices[0])

    def backward(self, gy: object, x: Array, missing: Missing | None, indices: object) -> Array:
        """The gradient for `x`, with a caller's indices or without."""
        own = None if indices is None else self._places(indices)
        if own is not None and not self.job.geometry.covers:
            missing = missing or ALL  # whose windows may be empty, and then have the index -1
        gx = missing_jobs.backward(self.job, gy, self._ordered(x), self._missing(x, missing), own)
        return self._back(gx)

    def _pull(
        self, pull: jobs.Pull, weights: tuple[int, ...] | None, gy: object, *, params: bool = False
    ) -> Any:
        """As `jobs.pull`; `weights` is the shape of the caller's."""
        wanted = checks.boolean("params", params)
        found = pull(gy, params=wanted)
        if not wanted:
            return self._back(found)
        gx, slopes = found
        if weights is not None and "weights" in slopes:
            slopes["weights"] = self._weights_back(slopes["weights"], weights)
        return self._back(gx), slopes

    # Empty segments -----------------------------------------------------------------------------------------

    def _fill(self, x: Array, missing: Missing | None) -> Any:
        """What segments without elements give.

        Raises
        ------
        ValueError
            Where nothing serves, and there is one.
        """
        own, row, empty = missing or ALL, self.job.operator, self.segments.first_empty
        target = arrays.result_dtype(row, x.dtype, None, weighed=own.weights is not None)
        value = fill_value(own, row, target)
        if value is None and own.least > 0 and empty is not None and 0 not in self.job.shape:
            raise ValueError(
                f"fill must be given, since {target} has no NaN: segment {empty} has no elements"
            )
        return value

    def _fill_empty(self, elements: Array, y: Array, value: Any) -> None:
        """Put a value where segments are empty."""
        if y.size:
            job = self.job
            counting = Job(missing_jobs.COUNT, job.geometry, job.divisors, job.params, job.shape)
            with jobs.unrecorded():
                counts = jobs.forward(counting, elements)
            arrays.backend(y).settle(counts, 1, None, [(y, value)])

    # There and back -----------------------------------------------------------------------------------------

    def _ordered(self, array: Array) -> Array:
        """Elements segment by segment; of an axis without any, one that is in no segment."""
        if not self.length:
            return arrays.zeros(self.job.geometry.shape, array.dtype, array)
        order = self.segments.order
        return array if order is None else arrays.gathered(array, order, self.axis)

    def _back(self, gx: Array) -> Array:
        """What `_ordered` put in order, as it was."""
        if not self.length:
            shape = tuple(0 if axis == self.axis else n for axis, n in enumerate(gx.shape))
            return arrays.empty(shape, gx.dtype, gx)
        places = self.segments.places
        return gx if places is None else arrays.gathered(gx, places, self.axis)

    def _places(self, indices: object) -> Any:
        """A caller's indices as places among the elements in their order."""
        jobs.check_chooses("indices are", self.job.operator)
        places = self.segments.places
        if places is None:
            return indices
        given = jobs.checked_indices("indices", indices, self.job.shape, self.length, least=-1)
        return arrays.looked_up(places, given)

    def _missing(self, x: Array, missing: Missing | None) -> Missing | None:
        """What a call says of missing data, of the elements in their order."""
        if missing is None:
            return None
        where, weights = missing.where, missing.weights
        if not self.length:
            where, weights = None, None if weights is None else arrays.zeros((1,), weights.dtype, x)
        elif self.segments.order is not None:
            where = None if where is None else self._ordered(where)
            weights = None if weights is None else self._weights(weights, self.segments.order)
        least, whole = min(missing.least, self.length + 1), Whole(0, (0,) * x.ndim)
        return missing._replace(where=where, weights=weights, least=least, whole=whole)

    def _weights(self, weights: Array, order: Integers) -> Array:
        """Weights in another order along the axis, where they have more than one there."""
        own = weights.ndim - len(self.job.shape) + self.axis
        return weights if own < 0 or weights.shape[own] == 1 else arrays.gathered(weights, order, own)

    def _weights_back(self, slope: Array, shape: tuple[int, ...]) -> Array:
        """The gradient for the caller's weights, of their shape."""
        if not self.length:
            return arrays.zeros(shape, slope.dtype, slope)
        places = self.segments.places
        return slope if places is None else self._weights(slope, places)


def _call(
    x: object,
    ids: object,
    op: object,
    num_segments: object,
    axis: object,
    offsets: Any,
    op_params: dict[str, Any],
) -> tuple[Array, Call]:
    """The input and the call with these arguments."""
    row, array = jobs.operands(op, x)
    if not array.ndim:
        raise ValueError("x must have at least one axis, got an array without any")
    along = checks.axis_of("axis", axis, array.ndim)
    length = array.shape[along]
    segments = grouping(length, ids, num_segments, offsets)
    row, params, (_, override) = jobs.settings(row, array.dtype, op_params)
    shape = tuple(max(n, 1) if own == along else n for own, n in enumerate(array.shape))
    table = windows.segments(shape[along], segments.offsets)
    if row.picks:
        table = windows.picked(table, middle=bool(params[0]))
    geometry = Geometry(shape, (along,), (table,))
    (divisors,) = windows.divisors(geometry.tables, override=override)
    divisors = np.where(divisors == 0, 1, divisors)  # of empty segments, whose averages are filled
    job = Job(row, geometry, (divisors,), params, geometry.output_shape)
    return array, Call(along, length, segments, job)
