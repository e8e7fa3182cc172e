"""Loads and stores of up to 16 bytes, each one instruction.

NVVM makes no wide loads of narrow ones, as it cannot know what is aligned; who calls these does.
"""

from functools import cache
from typing import Any

from . import device

WORD = 4  # bytes of what wide loads are made of

if device.SIMULATED:

    @cache
    def loader(count: int) -> Any:
        """What copies `count` elements of memory, aligned as a whole, into a thread's own array."""

        def load(into, at, values, index):
            for i in range(count):
                into[at + i] = values[index + i]

        return load

    @cache
    def storer(count: int) -> Any:
        """What copies `count` elements of a thread's own array to memory, aligned as a whole."""

        def store(out, index, source, at):
            for i in range(count):
                out[index + i] = source[at + i]

        return store

else:
    from llvmlite import ir
    from numba import types
    from numba.cuda.extending import intrinsic

    def _own(context: Any, builder: Any, kind: Any, value: Any, at: Any) -> Any:
        """The address of an element of a thread's own array."""
        data = context.make_array(kind)(context, builder, value).data
        return builder.gep(data, [at], inbounds=True)

    # Elements are put into words, and taken out of them, one by one: what a thread's own array holds then
    # stays in registers, where a wide access to it would put it into memory.

    def _words(kind: Any, count: int) -> tuple[Any, int, int]:
        """The type of a wide access, the bits of a word of it, and the elements of a word."""
        bits = min(max(kind.bitwidth, 8 * WORD), count * kind.bitwidth)
        return ir.IntType(bits), bits, bits // kind.bitwidth

    def _as_integer(builder: Any, kind: Any, value: Any) -> Any:
        return builder.bitcast(value, ir.IntType(kind.bitwidth))

    def _unpacked(context: Any, builder: Any, kind: Any, count: int, source: Any, target: Any) -> None:
        """Load elements from an address that is aligned to all of them."""
        word, bits, each = _words(kind, count)
        vector = ir.VectorType(word, count // each)
        found = builder.load(builder.bitcast(source, vector.as_pointer()))
        found.align = count * kind.bitwidth // 8
        small, own = ir.IntType(kind.bitwidth), context.get_data_type(kind)
        for i in range(count):
            part = builder.extract_element(found, ir.Constant(ir.IntType(32), i // each))
            part = builder.lshr(part, ir.Constant(word, i % each * kind.bitwidth)) if i % each else part
            part = builder.trunc(part, small) if bits > kind.bitwidth else part
            place = builder.gep(target, [ir.Constant(ir.IntType(64), i)], inbounds=True)
            builder.store(builder.bitcast(part, own), place)

    def _packed(builder: Any, kind: Any, count: int, source: Any, target: Any) -> None:
        """Store elements to an address that is aligned to all of them."""
        word, bits, each = _words(kind, count)
        vector = ir.VectorType(word, count // each)
        whole = ir.Constant(vector, ir.Undefined)
        for first in range(0, count, each):
            total = None
            for i in range(each):
                place = builder.gep(source, [ir.Constant(ir.IntType(64), first + i)], inbounds=True)
                part = _as_integer(builder, kind, builder.load(place))
                part = builder.zext(part, word) if bits > kind.bitwidth else part
                part = builder.shl(part, ir.Constant(word, i * kind.bitwidth)) if i else part
                total = part if total is None else builder.or_(total, part)
            whole = builder.insert_element(whole, total, ir.Constant(ir.IntType(32), first // each))
        into = builder.store(whole, builder.bitcast(target, vector.as_pointer()))
        into.align = count * kind.bitwidth // 8

    @cache
    def loader(count: int) -> Any:
        """What copies `count` elements of memory, aligned as a whole, into a thread's own array."""

        @intrinsic
        def load(typing_context, into, at, values, index):
            def generate(context, builder, signature, arguments):
                target = _own(context, builder, signature.args[0], arguments[0], arguments[1])
                source = builder.gep(arguments[2], [arguments[3]], inbounds=True)
                _unpacked(context, builder, into.dtype, count, source, target)
                return context.get_dummy_value()

            return types.void(into, at, values, index), generate

        return load

    @cache
    def storer(count: int) -> Any:
        """What copies `count` elements of a thread's own array to memory, aligned as a whole."""

        @intrinsic
        def store(typing_context, out, index, source, at):
            def generate(context, builder, signature, arguments):
                start = _own(context, builder, signature.args[2], arguments[2], arguments[3])
                target = builder.gep(arguments[0], [arguments[1]], inbounds=True)
                _packed(builder, source.dtype, count, start, target)
                return context.get_dummy_value()

            return types.void(out, index, source, at), generate

        return store
