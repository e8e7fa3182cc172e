"""Arrays as flat memory: what every kernel reads and writes."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from .. import jit
from ..windows import Integers
from . import half

Array = NDArray[Any]
LAST_NATIVE = np.dtype(np.float64).num  # NumPy numbers bool 0, the integers, then float32 and float64


@cache
def storage(dtype: np.dtype[Any]) -> str:
    """How elements are stored: "float16", "bfloat16" or "native"."""
    return dtype.name if dtype.name in half.READ else "native"


@cache
def _bits(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype == np.bool_:
        return np.dtype(np.uint8)
    return dtype if storage(dtype) == "native" else np.dtype(np.uint16)


def raw(array: Array) -> Array:
    """The array as a dtype that numba knows: float16, bfloat16 and bool by their bits."""
    dtype = array.dtype
    if 0 < dtype.num <= LAST_NATIVE:
        return array
    return array.view(_bits(dtype))


def flatten(array: Array) -> tuple[Array, int]:
    """1-D view of the memory an array spans, and the offset of its first element.

    It counts as writeable, so that one compiled kernel serves all; kernels do not write to their input.
    """
    flags = array.flags
    if flags.carray:
        return array.ravel(), 0
    if flags.c_contiguous:
        flat, origin = array.ravel(), 0
    else:
        strides = steps(array)
        upward = array[tuple(slice(None, None, -1 if stride < 0 else 1) for stride in strides)]
        reach = [(n - 1) * stride for n, stride in zip(array.shape, strides, strict=True)]
        span = 1 + sum(map(abs, reach))
        origin = -sum(way for way in reach if way < 0)
        flat = np.lib.stride_tricks.as_strided(upward, (span,), (array.itemsize,))
    return (flat if flat.flags.writeable else np.asarray(_Writeable(flat))), origin


class _Writeable:
    """A read-only array as one that is not, at the same address."""

    def __init__(self, array: Array) -> None:
        self.array = array
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}


def steps(array: Array) -> tuple[int, ...]:
    """An array's strides, in elements."""
    return tuple(stride // array.itemsize for stride in array.strides)


def c_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a C-contiguous array, in elements."""
    strides = [1]
    for n in reversed(shape[1:]):
        strides.append(strides[-1] * n)
    return tuple(reversed(strides[: len(shape)]))


def offsets(shape: Sequence[int], strides: Sequence[Sequence[int]], axes: Sequence[int]) -> Integers:
    """Flat offsets of all positions along `axes`, in C order: one row for each of the given strides."""
    found = np.zeros((len(strides), 1), np.int64)
    for axis in axes:
        ways = np.multiply.outer(np.array([s[axis] for s in strides]), np.arange(shape[axis]))
        found = (found[:, :, None] + ways[:, None, :]).reshape(len(strides), -1)
    return found


class Runs(NamedTuple):
    """Offsets of which each begins a run of `length`, `steps` apart: one for each of the given strides."""

    begins: Integers
    length: int
    steps: tuple[int, ...]

    def __len__(self) -> int:
        return int(self.begins.shape[1]) * self.length


def runs(shape: Sequence[int], strides: Sequence[Sequence[int]], axes: Sequence[int]) -> Runs:
    """As `offsets`, the last axes that lie evenly in a run."""
    left = [axis for axis in axes if shape[axis] != 1]
    count, steps = 1, tuple(0 for _ in strides)
    while left and (
        count == 1 or all(s[left[-1]] == count * step for s, step in zip(strides, steps, strict=True))
    ):
        axis = left.pop()
        if count == 1:
            steps = tuple(s[axis] for s in strides)
        count *= shape[axis]
    return Runs(offsets(shape, strides, left), count, steps)


def _data(context, builder, kind, value):
    """The first element's address of an array, or of a pointer itself.

    What is read through it lies in C order, which the type of an array tells.
    """
    if isinstance(kind, types.CPointer):
        return value
    if kind.layout != "C":
        raise TypeError(f"kernels take C-contiguous arrays by their address, got {kind}")
    return context.make_array(kind)(context, builder, value).data


@intrinsic
def peek(typing_context, array, index):
    """``array[index]`` without NumPy's negative indices, whose test keeps loops from being vectorised."""

    def generate(context, builder, signature, arguments):
        kind = signature.args[0]
        place = builder.gep(_data(context, builder, kind, arguments[0]), [arguments[1]], inbounds=True)
        return context.unpack_value(builder, kind.dtype, place)

    return array.dtype(array, types.intp), generate


@intrinsic
def peek_two(typing_context, array, index):
    """Bytes ``2 * index`` and the next one as a number of 16 bits, of which the first byte is the lower half.

    Loops that take its halves apart fill registers; those that read every second byte do not.
    """

    def generate(context, builder, signature, arguments):
        data = _data(context, builder, signature.args[0], arguments[0])
        two = builder.bitcast(data, ir.IntType(16).as_pointer())
        return builder.load(builder.gep(two, [arguments[1]], inbounds=True), align=1)

    return types.uint16(array, types.intp), generate


@cache
def reread(wanted: Any) -> Any:
    """What reads the bits of a number as a number of another type, as long."""

    @intrinsic
    def read(typing_context, number):
        def generate(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], context.get_value_type(wanted))

        return wanted(number), generate

    jit.name_intrinsic(read, f"{__name__}.reread.{wanted}")
    return read


@cache
def fields(kind: Any) -> Any:
    """What reads a named tuple of integers from an array of 64-bit ones, from place `first` on."""
    count = len(kind._fields)

    @intrinsic
    def read(typing_context, array, first):
        wanted = types.NamedUniTuple(types.int64, count, kind)
        if array.dtype != types.int64:
            raise TypeError(f"{kind.__name__} is read from 64-bit integers, got {array}")

        def generate(context, builder, signature, arguments):
            data = builder.gep(_data(context, builder, array, arguments[0]), [arguments[1]])
            found = [builder.load(builder.gep(data, [ir.Constant(ir.IntType(64), n)])) for n in range(count)]
            return context.make_tuple(builder, wanted, found)

        return wanted(array, types.intp), generate

    return read


@intrinsic
def prefetch(typing_context, array, index):
    """Ask for the cache line of ``array[index]``, which may be no memory, and go on meanwhile."""

    def generate(context, builder, signature, arguments):
        place = builder.gep(_data(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        number, bytes_at = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [bytes_at, number, number, number])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(
            ask, [builder.bitcast(place, bytes_at), number(0), number(3), number(1)]
        )  # read, level 1
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def poke(typing_context, array, index, value):
    """``array[index] = value``, as `peek`."""

    def generate(context, builder, signature, arguments):
        kind = signature.args[0]
        place = builder.gep(_data(context, builder, kind, arguments[0]), [arguments[1]], inbounds=True)
        context.pack_value(builder, kind.dtype, arguments[2], place)
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), generate


def _mover(count):
    @intrinsic
    def moved(typing_context, out, index, x, place):
        def generate(context, builder, signature, arguments):
            to, at, source, begin = arguments
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.asm(nothing, "", "", [], True, "stay").attributes.add("convergent")
            piece = ir.VectorType(source.type.pointee, count).as_pointer()
            found = builder.load(builder.bitcast(builder.gep(source, [begin]), piece), align=1)
            builder.store(found, builder.bitcast(builder.gep(to, [at]), piece), align=1)
            return context.get_dummy_value()

        return types.void(out, types.intp, x, types.intp), generate

    return moved


# So many elements at once, from a place in one line to a place in another of their kind. The compiler does
# not unroll loops of it, since it would run out of registers for the addresses.
move_4, move_8 = _mover(4), _mover(8)


SQUARE = 16  # bytes of a side of a square that is turned in registers


@intrinsic
def side(typing_context, line):
    """Elements of a side of a square, a number that is compiled in."""

    def generate(context, builder, signature, arguments):
        return ir.Constant(ir.IntType(64), SQUARE * 8 // line.dtype.bitwidth)

    return types.intp(line), generate


@intrinsic
def turn_square(typing_context, out, x, places, out_pitch):
    """Write the columns of a square of elements as rows; the rows that are read begin at the places.

    Rows take turns with those half a square further, element by element; after as many rounds as the
    logarithm of the side has bits, rows are columns.
    """

    def generate(context, builder, signature, arguments):
        to, source, begins, far = arguments
        size = SQUARE * 8 // x.dtype.bitwidth
        number, place = ir.IntType(64), ir.IntType(32)
        row = ir.VectorType(source.type.pointee, size)
        halves = [
            [n for i in range(size // 2) for n in (i + half, i + half + size)] for half in (0, size // 2)
        ]
        order = [ir.Constant(ir.VectorType(place, size), half) for half in halves]

        def at(line, index):
            return builder.bitcast(builder.gep(line, [index]), row.as_pointer())

        rows = [builder.load(builder.gep(begins, [number(n)])) for n in range(size)]
        rows = [builder.load(at(source, begin), align=1) for begin in rows]
        for _ in range(size.bit_length() - 1):
            pairs = zip(rows[: size // 2], rows[size // 2 :], strict=True)
            rows = [builder.shuffle_vector(*pair, half) for pair in pairs for half in order]
        for n, found in enumerate(rows):
            builder.store(found, at(to, builder.mul(far, number(n))), align=1)
        return context.get_dummy_value()

    return types.void(out, x, places, types.intp), generate


REGISTER = 64  # bytes
GATHERED = 128  # bytes of sums of one phase that are in registers at once


def _gatherer(turns):
    @intrinsic
    def gathered(typing_context, out, values, names, offsets, wanted, begins):
        width = GATHERED * 8 // values.dtype.bitwidth

        def generate(context, builder, signature, arguments):
            to, x, tags, far, own, first = arguments
            number, place = ir.IntType(64), ir.IntType(32)
            lane, label = ir.VectorType(x.type.pointee, width), ir.VectorType(tags.type.pointee, width)
            zeros, everywhere = ir.Constant(lane, [0.0] * width), ir.VectorType(place, width)
            aligned = values.dtype.bitwidth // 8

            def at(line, index, kind):
                return builder.bitcast(builder.gep(line, [index]), kind.as_pointer())

            sums = []
            for turn in range(turns):
                total = cgutils.alloca_once_value(builder, zeros)
                begin, end = (builder.load(builder.gep(first, [number(turn + n)])) for n in (0, 1))
                with cgutils.for_range_slice(builder, begin, end, number(1)) as (tap, _):
                    offset = builder.load(builder.gep(far, [tap]))
                    name = builder.load(builder.gep(own, [tap]))
                    one = builder.insert_element(ir.Constant(label, ir.Undefined), name, place(0))
                    name = builder.shuffle_vector(one, one, ir.Constant(everywhere, [0] * width))
                    chosen = builder.icmp_unsigned("==", builder.load(at(tags, offset, label), align=1), name)
                    value = builder.load(at(x, offset, lane), align=aligned)
                    sent = builder.select(chosen, value, zeros)
                    builder.store(builder.fadd(builder.load(total), sent), total)
                sums.append(builder.load(total))
            row = sums[0]
            if turns == 2:
                order = [n + width * turn for n in range(width) for turn in range(2)]
                row = builder.shuffle_vector(*sums, ir.Constant(ir.VectorType(place, 2 * width), order))
            builder.store(row, at(to, number(0), row.type), align=aligned)
            return context.get_dummy_value()

        return types.void(out, values, names, offsets, wanted, begins), generate

    return gathered


# Sums of what chose each of so many elements, all of an element's taps one by one. Element ``j`` is the sum
# of ``values[j + offsets[t]]`` over the t from ``begins[0]`` to ``begins[1]`` for which
# ``names[j + offsets[t]] == wanted[t]``; of two phases, the second's taps from ``begins[1]`` on, elements
# take turns.
gather_1, gather_2 = _gatherer(1), _gatherer(2)


@intrinsic
def pointer(typing_context, array):
    """Where an array begins: no reference is counted, and whoever takes it keeps the array alive."""

    def generate(context, builder, signature, arguments):
        return _data(context, builder, signature.args[0], arguments[0])

    return types.CPointer(array.dtype)(array), generate


def lanes_of(itemsize: int) -> int:
    """Elements that are computed at once, in one register or two: 16 of float32, 32 or 64 bytes.

    Loops of eight would be unrolled before they are vectorised.
    """
    return max(16, REGISTER // itemsize)


@intrinsic
def lanes(typing_context, line):
    """How many elements of a line are computed at once; compiled in, so that loops over them have no rest."""
    values = line[0] if isinstance(line, types.BaseTuple) else line

    def generate(context, builder, signature, arguments):
        return ir.Constant(ir.IntType(64), lanes_of(values.dtype.bitwidth // 8))

    return types.intp(line), generate


@intrinsic
def precedes(typing_context, first, second):
    """Whether ``first < second``, of numbers of 32 bits, of which a register holds more than of 64."""

    def generate(context, builder, signature, arguments):
        return builder.icmp_signed("<", *(builder.trunc(n, ir.IntType(32)) for n in arguments))

    return types.boolean(types.intp, types.intp), generate


def _widen(function):
    """Let a function have registers of 64 bytes, which LLVM leaves aside on processors that once slowed down.

    llvmlite knows no attributes with values, and writes what it is given.
    """
    set.add(function.attributes, '"prefer-vector-width"="512"')


@intrinsic
def wide_registers(typing_context):
    """As `apart`, of the registers alone: for kernels, into which passes may be inlined."""

    def generate(context, builder, signature, arguments):
        _widen(builder.function)
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def apart(typing_context):
    """Tell the compiler that what the calling function writes is nowhere that it reads.

    Loops then need no tests for overlapping memory, which LLVM gives up on where they are many. Its registers
    may be of 64 bytes, which take a fifth less time than those of 32 for what is in cache.
    """

    def generate(context, builder, signature, arguments):
        _widen(builder.function)
        for argument in builder.function.args:
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def once(typing_context):
    """Let a function that is called from several places be compiled for all of them once."""

    def generate(context, builder, signature, arguments):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate


# Lines: pointers, or for elements that are pairs of value and place, pairs of pointers. Each is an intrinsic,
# since numba compiles overloads one by one -----------------------------------------------------------------


def _parts(builder, kind, line):
    """The pointers of a line, its values' first."""
    return cgutils.unpack_tuple(builder, line) if isinstance(kind, types.BaseTuple) else [line]


def _element(kind):
    """What `load` gives of a line, and how many values that is."""
    if isinstance(kind, types.BaseTuple):
        return types.Tuple((kind[0].dtype, types.int32))
    return kind.dtype


@intrinsic
def load(typing_context, line, index, shift):
    """Element `index` of a line, its place `shift` further on."""

    def generate(context, builder, signature, arguments):
        kind, parts = signature.args[0], _parts(builder, signature.args[0], arguments[0])
        kinds = kind.types if isinstance(kind, types.BaseTuple) else [kind]
        found = [
            context.unpack_value(builder, each.dtype, builder.gep(part, [arguments[1]], inbounds=True))
            for each, part in zip(kinds, parts, strict=True)
        ]
        if not isinstance(kind, types.BaseTuple):
            return found[0]
        place = builder.trunc(arguments[2], ir.IntType(32))
        found[1:] = [builder.add(each, place) for each in found[1:]] or [place]
        return context.make_tuple(builder, signature.return_type, found)

    return _element(line)(line, types.intp, types.intp), generate


@intrinsic
def store(typing_context, line, index, element):
    """Write element `index` of a line."""
    wanted = _element(line)

    def generate(context, builder, signature, arguments):
        kind, parts = signature.args[0], _parts(builder, signature.args[0], arguments[0])
        paired = isinstance(kind, types.BaseTuple)
        found = cgutils.unpack_tuple(builder, arguments[2]) if paired else [arguments[2]]
        for each, part, value in zip(kind.types if paired else [kind], parts, found, strict=True):
            place = builder.gep(part, [arguments[1]], inbounds=True)
            context.pack_value(builder, each.dtype, value, place)
        return context.get_dummy_value()

    return types.void(line, types.intp, wanted), generate


@intrinsic
def ahead(typing_context, line, count):
    """The line from element `count` on."""

    def generate(context, builder, signature, arguments):
        parts = _parts(builder, signature.args[0], arguments[0])
        parts = [builder.gep(part, [arguments[1]], inbounds=True) for part in parts]
        paired = isinstance(signature.args[0], types.BaseTuple)
        return context.make_tuple(builder, signature.return_type, parts) if paired else parts[0]

    return line(line, types.intp), generate


@intrinsic
def values(typing_context, line):
    """The pointer to a line's values."""

    def generate(context, builder, signature, arguments):
        return _parts(builder, signature.args[0], arguments[0])[0]

    return (line[0] if isinstance(line, types.BaseTuple) else line)(line), generate


@intrinsic
def pointers(typing_context, arrays):
    """The line that begins with `arrays`."""
    paired = isinstance(arrays, types.BaseTuple)
    kinds = [types.CPointer(each.dtype) for each in (arrays.types if paired else [arrays])]

    def generate(context, builder, signature, arguments):
        given = _parts(builder, signature.args[0], arguments[0])
        parts = [
            _data(context, builder, kind, each)
            for kind, each in zip(arrays.types if paired else [arrays], given, strict=True)
        ]
        return context.make_tuple(builder, signature.return_type, parts) if paired else parts[0]

    return (types.Tuple(kinds) if paired else kinds[0])(arrays), generate


@intrinsic
def choose(typing_context, wanted, x, line):
    """`x` where `wanted`, else the line; and this where dtypes differ."""

    def generate(context, builder, signature, arguments):
        if x != line:
            return arguments[2]
        return builder.select(context.is_true(builder, wanted, arguments[0]), *arguments[1:])

    return line(wanted, x, line), generate


jit.name_intrinsics(__name__)
