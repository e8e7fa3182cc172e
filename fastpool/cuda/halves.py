"""float16 and bfloat16 in kernels: they travel as uint16 and compute as float32."""

import numpy as np

from .. import halves
from ..halves import from_bfloat16, to_bfloat16, to_float32, unchanged
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

    # As PTX: NVVM fails on LLVM's half where wide loads bring it.

    @intrinsic
    def from_half(typing_context, bits):
        def generate(context, builder, signature, arguments):
            kind = ir.FunctionType(ir.FloatType(), [ir.IntType(16)])
            return builder.call(ir.InlineAsm(kind, "cvt.f32.f16 $0, $1;", "=f,h"), arguments)

        return types.float32(types.uint16), generate

    @intrinsic
    def _rounded(typing_context, value):
        def generate(context, builder, signature, arguments):
            kind = ir.FunctionType(ir.IntType(16), [ir.FloatType()])
            return builder.call(ir.InlineAsm(kind, "cvt.rn.f16.f32 $0, $1;", "=h,f"), arguments)

        return types.uint16(types.float32), generate

    def to_half(value):
        return _rounded(to_float32(value))

    device.function(to_half)


device.register(halves)

READ = {"native": unchanged, "float16": from_half, "bfloat16": from_bfloat16}
WRITE = {"native": unchanged, "float16": to_half, "bfloat16": to_bfloat16}
