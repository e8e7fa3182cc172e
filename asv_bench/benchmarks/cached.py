"""Small inputs, which stay in the second-level cache: what kernels compute, whatever memory does."""

import numpy as np

from .common import Benchmark, filled, fp, once, pool_of

PLANES, MAPS = (1, 16, 56, 56), (1, 56, 56, 16)
LAST = {"axes": (1, 2)}
CASES = {  # operator, shape, dtype, arguments and keywords
    "max 2x2 s2 tiny": ("max", (1, 1, 8, 8), "float32", (2,), {}),
    "max 2x2 s2": ("max", PLANES, "float32", (2,), {}),
    "max 3x3 s2": ("max", PLANES, "float32", (3,), {"stride": 2, "padding": 1}),
    "max 3x3 s2 NHWC": ("max", MAPS, "float32", (3,), {"stride": 2, "padding": 1, **LAST}),
    "avg 3x3 s1": ("avg", PLANES, "float32", (3,), {"stride": 1, "padding": 1}),
    "max 5x5 s1": ("max", (1, 96, 20, 20), "float32", (5,), {"stride": 1, "padding": 2}),
    "avg 2x2 s2 uint8": ("avg", (512, 512), "uint8", ((2, 2),), {}),
    "max 2x2x2": ("max", (1, 8, 16, 20, 20), "float32", ((2, 2, 2),), {}),
    "lse 3x3 s2": ("lse", (1, 4, 40, 40), "float32", (3,), {"stride": 2}),
    "median 3x3 uint8": ("median", (256, 256), "uint8", ((3, 3),), {"stride": 1, "padding": 1}),
    "mode 2x2 uint64": ("mode", (128, 128), "uint64", ((2, 2),), {}),
}


class Forward(Benchmark):
    """Guards every family of kernels with figures that hardly vary: rows of the quick gate."""

    params = (list(CASES),)
    param_names = ("case",)

    @once
    def setup(self, case):
        operator, shape, dtype, arguments, keywords = CASES[case]
        pool, x = pool_of(operator), filled(shape, dtype)
        self.call = lambda: pool(x, *arguments, **keywords)
        self.call()

    def time_forward(self, case):
        self.call()


class Backward(Benchmark):
    """Guards the ways back: taps, cells, ranks and the general one; rows of the quick gate too."""

    params = ([case for case, (operator, *_) in CASES.items() if operator != "mode"],)
    param_names = ("case",)

    @once
    def setup(self, case):
        operator, shape, dtype, arguments, keywords = CASES[case]
        y, pull = fp.vjp(pool_of(operator), filled(shape, dtype), *arguments, **keywords)
        gy = np.ones(y.shape, "float32") if dtype == "uint8" else y
        self.call = lambda: pull(gy)
        self.call()

    def time_backward(self, case):
        self.call()
