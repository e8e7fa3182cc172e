"""float16 and bfloat16 in kernels: they travel as uint16 and compute as float32."""

import numpy as np

from .. import halves
from ..halves import from_bfloat16, to_bfloat16, unchanged
from . import device

if device.SIMULATED:

    def from_half(bits):
        return np.float32(np.uint16(bits).view(np.float16))

    def to_half(value):
        return np.float16(value).view(np.uint16)

else:
    from llvmlite import ir
    from numba import types
    from numba.cuda.extending import intrinsic

    @intrinsic
    def from_half(typing_context, bits):
        def generate(context, builder, signature, arguments):
            return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

        return types.float32(types.uint16), generate

    @intrinsic
    def _rounded(typing_context, value):
        def generate(context, builder, signature, arguments):
            return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))

        return types.uint16(types.float32), generate

    def to_half(value):
        return _rounded(np.float32(value))

    device.function(to_half)


device.register(halves)

READ = {"native": unchanged, "float16": from_half, "bfloat16": from_bfloat16}
WRITE = {"native": unchanged, "float16": to_half, "bfloat16": to_bfloat16}
