"""Whether a sum overflowed, from the processor: a flag stays set from the first operation that did.

So kernels need not look at results. Infinities that were there before do not set it. Where the flag cannot
be read the answer is always yes, and callers look at results themselves.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

import platform

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

binding.initialize_native_asmparser()
MACHINE = platform.machine().lower()
INTEL, ARM = MACHINE in {"x86_64", "amd64"}, MACHINE in {"arm64", "aarch64"}
WORD = ir.IntType(64 if ARM else 32)
FLAG = 4 if ARM else 8


def _read(builder):
    """The register with the flag, after all that was stored before."""
    if ARM:
        return builder.asm(ir.FunctionType(WORD, []), "mrs $0, fpsr", "=r,~{memory}", [], side_effect=True)
    place = cgutils.alloca_once(builder, WORD)
    kind = ir.FunctionType(ir.VoidType(), [place.type])
    builder.asm(kind, "stmxcsr ($0)", "r,~{memory}", [place], side_effect=True)
    return builder.load(place)


def _write(builder, value):
    if ARM:
        kind = ir.FunctionType(ir.VoidType(), [WORD])
        builder.asm(kind, "msr fpsr, $0", "r,~{memory}", [value], side_effect=True)
        return
    place = cgutils.alloca_once(builder, WORD)
    builder.store(value, place)
    kind = ir.FunctionType(ir.VoidType(), [place.type])
    builder.asm(kind, "ldmxcsr ($0)", "r,~{memory}", [place], side_effect=True)


@intrinsic
def clear_overflow(typing_context):
    """Nothing has overflowed."""

    def generate(context, builder, signature, arguments):
        if INTEL or ARM:
            _write(builder, builder.and_(_read(builder), WORD(~FLAG)))
        return context.get_dummy_value()

    return types.none(), generate


@intrinsic
def overflowed(typing_context):
    """Whether a result has overflowed since."""

    def generate(context, builder, signature, arguments):
        if not (INTEL or ARM):
            return cgutils.true_bit
        flag = builder.and_(_read(builder), WORD(FLAG))
        return builder.icmp_unsigned("!=", flag, WORD(0))

    return types.boolean(), generate
