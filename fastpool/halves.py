"""16-bit floats as bits, by integer arithmetic: for kernels of every device."""

import numpy as np


def from_half_in_software(bits):
    """Shift the exponent into place and scale by 2**112; infinities and NaNs get float32's exponent."""
    size = np.uint32(bits & 0x7FFF)
    scaled = np.uint32(size << np.uint32(13)).view(np.float32) * np.float32(2.0**112)
    special = np.uint32(0x7F800000) if size >= 0x7C00 else np.uint32(0)
    sign = np.uint32(np.uint32(bits & 0x8000) << np.uint32(16))
    return np.uint32(np.float32(scaled).view(np.uint32) | special | sign).view(np.float32)


def to_float32(value):
    """On the way to 16 bits: of the two float32 around a float64 the odd one, which is not rounded twice."""
    near = np.float32(value)
    bits = near.view(np.uint32)
    even, other = np.uint32(bits & np.uint32(1)) == 0, (near != value) & (value == value)
    further = np.uint32(bits + np.uint32(1)) if abs(near) < abs(value) else np.uint32(bits - np.uint32(1))
    return np.uint32(further if even & other else bits).view(np.float32)


def to_half_in_software(value):
    """Round to nearest even; the smallest halves by float32's own rounding at 0.5, whose ulp is theirs."""
    bits = np.float32(to_float32(value)).view(np.uint32)
    sign = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(0x8000))
    size = np.uint32(bits & np.uint32(0x7FFFFFFF))
    odd = np.uint32(np.uint32(size >> np.uint32(13)) & np.uint32(1))
    normal = np.uint32(np.uint32(size + np.uint32(0xC8000FFF) + odd) >> np.uint32(13))
    tiny = np.uint32(
        np.float32(np.uint32(size).view(np.float32) + np.float32(0.5)).view(np.uint32) - np.uint32(0x3F000000)
    )
    nan = np.uint32(np.uint32(0x7E00) | np.uint32(np.uint32(size >> np.uint32(13)) & np.uint32(0x3FF)))
    finite = tiny if size < 0x38800000 else normal
    kept = np.uint32(0x7C00) if size >= 0x477FF000 else finite
    return np.uint16((nan if size > 0x7F800000 else kept) | sign)


def from_bfloat16(bits):
    return np.uint32(np.uint32(bits) << np.uint32(16)).view(np.float32)


def to_bfloat16(value):
    """Round to nearest even in integers: the processor's own conversion flushes subnormals."""
    bits = np.float32(to_float32(value)).view(np.uint32)
    high = np.uint32(bits >> np.uint32(16))
    rounded = np.uint32(np.uint32(bits + np.uint32(0x7FFF) + np.uint32(high & np.uint32(1))) >> np.uint32(16))
    nan = np.uint32(bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    return np.uint16(np.uint32(high | np.uint32(0x40)) if nan else rounded)


def unchanged(value):
    return value
