"""float16 and bfloat16 in kernels: numba has neither, so both travel as uint16 and compute as float32."""

import platform

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from .. import halves, jit
from ..halves import (
    from_bfloat16,
    from_half_in_software,
    to_bfloat16,
    to_float32,
    to_half_in_software,
    unchanged,
)

ARM = platform.machine().lower() in {"arm64", "aarch64"}
# Without the instruction LLVM calls a library function that is not there, and the process dies.
IN_HARDWARE = ARM or (bool(binding.get_host_cpu_features().get("f16c")) and not numba.config.CPU_NAME)


@intrinsic
def _extend(typing_context, bits):
    def generate(context, builder, signature, arguments):
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), generate


@intrinsic
def _truncate(typing_context, value):
    def generate(context, builder, signature, arguments):
        return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), generate


def from_half(bits):
    return _extend(bits)


def to_half(value):
    return _truncate(to_float32(value))


READ = {
    "native": unchanged,
    "float16": from_half if IN_HARDWARE else from_half_in_software,
    "bfloat16": from_bfloat16,
}
WRITE = {
    "native": unchanged,
    "float16": to_half if IN_HARDWARE else to_half_in_software,
    "bfloat16": to_bfloat16,
}


def is_nan(value):
    return value != value


def is_nan_half(bits):
    return (bits & np.uint16(0x7FFF)) > np.uint16(0x7C00)


def is_nan_bfloat16(bits):
    return (bits & np.uint16(0x7FFF)) > np.uint16(0x7F80)


IS_NAN = {"native": is_nan, "float16": is_nan_half, "bfloat16": is_nan_bfloat16}


jit.register(halves)
