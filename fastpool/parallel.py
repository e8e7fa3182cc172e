"""A kernel's tasks on the threads of numba's layer: OpenMP, TBB or its own work queue.

One parallel region serves all kernels. On each of its threads it calls a worker by its address, which takes
ranges of tasks until none is left and calls the kernel by its address. So a kernel is compiled once for all
layers, and what is compiled beside it, a worker for each set of argument types, is short.
"""

from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from itertools import count
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba._dispatcher import compute_fingerprint
from numba.core import cgutils
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic
from numba.np.ufunc.parallel import NUM_THREADS
from numpy.typing import NDArray

from . import jit

Array = NDArray[Any]
Entry = tuple[int, bool | None]

TAKEN, FOUND, FAILED = range(3)  # of a call's state: ranges begun, whether a kernel returned True, or raised


def layer() -> str:
    """Numba's layer, which is loaded: "tbb", "omp" or "workqueue"; ValueError where none can be."""
    numba.get_num_threads()
    return str(numba.threading_layer())


def most() -> int:
    """The threads of numba's layer, which were started when it was loaded; the setting may change later."""
    layer()
    return min(int(NUM_THREADS), int(numba.config.NUMBA_NUM_THREADS))


@cache
def has_tbb() -> bool:
    """Whether numba finds TBB, with nothing started."""
    try:
        import_module("numba.np.ufunc.tbbpool")
    except ImportError:
        return False
    return True


def takes(kernel: object) -> bool:
    """Whether `run` takes it: compiled code, not Python."""
    return isinstance(kernel, Dispatcher)


def run(
    kernel: Any,
    arguments: tuple[Any, ...],
    tasks: range,
    scratch: list[tuple[Any, ...]],
    ranges: int,
) -> bool:
    """Call a kernel for ranges of tasks, a thread for each scratch: whether any call returned True."""
    address, returned = _entry(kernel, (*arguments, *scratch[0], 0, 0))
    places = np.array([list(_addresses(own)) for own in scratch], np.int64)
    state = np.zeros(3, np.int64)
    share = tasks.start, len(tasks), ranges
    region, start = _compiled()
    job = address, returned, arguments, scratch[0], places, share, state
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(len(scratch))
        start(region, len(scratch), job)
    finally:
        numba.set_num_threads(before)
    if state[FAILED] or state[TAKEN] < ranges:
        raise RuntimeError(f"{kernel.__name__} failed, as kernels do where there is no memory left")
    return bool(state[FOUND])


def _addresses(scratch: Any) -> Iterator[int]:
    """Where the arrays in nested tuples begin."""
    for each in scratch:
        if isinstance(each, tuple):
            yield from _addresses(each)
        else:
            yield each.__array_interface__["data"][0]


_entries: dict[tuple[Any, Any], Entry] = {}


def _entry(kernel: Any, arguments: tuple[Any, ...]) -> Entry:
    """The address of the kernel that is compiled for such arguments, and an example of what it returns."""
    key = kernel, compute_fingerprint(arguments)
    found = _entries.get(key)
    if found is None:
        kinds = tuple(map(kernel.typeof_pyval, arguments))
        kernel.compile(kinds)
        compiled = kernel.overloads[kinds]
        address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
        returned = None if compiled.signature.return_type == types.none else False
        found = _entries[key] = address, returned
    return found


# Compiled ------------------------------------------------------------------------------------------------


@intrinsic
def call(typing_context, address, returned, parts):
    """Call compiled code with arguments in tuples: 1 where it returned True, -1 where it raised, else 0.

    `returned` is an example of what it returns, None or a bool.
    """
    kinds = tuple(kind for part in parts for kind in part)

    def generate(context, builder, signature, values):
        convention, arguments = context.call_conv, []
        for part, kind in zip(cgutils.unpack_tuple(builder, values[2], len(parts)), parts, strict=True):
            arguments += cgutils.unpack_tuple(builder, part, len(kind))
        kind = convention.get_function_type(returned, kinds).as_pointer()
        function = builder.inttoptr(values[0], kind)
        status, result = convention.call_function(builder, function, returned, kinds, arguments)
        number = context.get_value_type(types.intp)
        true = builder.zext(result, number) if returned == types.boolean else ir.Constant(number, 0)
        return builder.select(status.is_error, ir.Constant(number, -1), true)

    return types.intp(address, returned, parts), generate


@intrinsic
def shared(typing_context, job):
    """Addresses of a worker for such a job, and of the job, which stays there as long as the caller runs."""

    def generate(context, builder, signature, values):
        place = cgutils.alloca_once(builder, context.get_data_type(job))
        context.pack_value(builder, job, values[0], place)
        compiled = context.compile_subroutine(builder, work, types.none(types.CPointer(job), types.intp))
        worker = context.declare_function(builder.module, compiled.fndesc)
        number = context.get_value_type(types.intp)
        addresses = [builder.ptrtoint(each, number) for each in (worker, place)]
        return context.make_tuple(builder, signature.return_type, addresses)

    return types.UniTuple(types.intp, 2)(job), generate


@intrinsic
def load(typing_context, pointer):
    """What is at an address."""

    def generate(context, builder, signature, values):
        value = context.unpack_value(builder, pointer.dtype, values[0])
        context.nrt.incref(builder, pointer.dtype, value)
        return value

    return pointer.dtype(pointer), generate


@intrinsic
def increased(typing_context, array, index):
    """An element of integers, which is then one more; no two threads get the same."""

    def generate(context, builder, signature, values):
        data = context.make_array(array)(context, builder, values[0]).data
        place = builder.gep(data, [values[1]])
        return builder.atomic_rmw("add", place, ir.Constant(place.type.pointee, 1), "monotonic")

    return array.dtype(array, types.intp), generate


@intrinsic
def moved(typing_context, scratch, addresses):
    """The arrays in nested tuples, with the memory at other addresses."""

    def generate(context, builder, signature, values):
        table = context.make_array(addresses)(context, builder, values[1]).data
        number = count()

        def each(kind, value):
            if isinstance(kind, types.BaseTuple):
                parts = cgutils.unpack_tuple(builder, value, len(kind))
                return context.make_tuple(builder, kind, [*map(each, kind, parts)])
            array = context.make_array(kind)(context, builder, value)
            place = builder.load(builder.gep(table, [ir.Constant(ir.IntType(64), next(number))]))
            array.data = builder.inttoptr(place, array.data.type)
            array.meminfo = cgutils.get_null_value(array.meminfo.type)
            return array._getvalue()

        return each(scratch, values[0])

    return scratch(scratch, addresses), generate


def work(pointer, hand):
    """Take ranges of a job until none is left."""
    kernel, returned, arguments, scratch, places, share, state = load(pointer)
    start, tasks, ranges = share
    own = moved(scratch, places[hand])
    number = increased(state, TAKEN)
    while number < ranges:
        first, last = start + number * tasks // ranges, start + (number + 1) * tasks // ranges
        result = call(kernel, returned, (arguments, own, (first, last)))
        if result:
            state[FOUND if result > 0 else FAILED] = 1
        number = increased(state, TAKEN)


def _region(worker, job, hands):
    for hand in numba.prange(hands):
        call(worker, None, ((job, hand),))


def _start(region, hands, job):
    worker, place = shared(job)
    call(region, None, ((worker, place, hands),))


@cache
def _compiled() -> tuple[int, Callable[..., None]]:
    """The address of the one parallel region, and what starts it."""
    region, _ = _entry(jit.kernel(_region, "parallel_region", parallel=True), (0, 0, 0))
    return region, jit.kernel(_start, "parallel_start")
