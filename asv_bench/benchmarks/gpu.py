"""CUDA kernels, where numba finds a GPU: the kernel families in both directions."""

from .common import Benchmark, filled, fp, once, pool_of

SHAPE = (8, 64, 112, 112)
CASES = {
    "max 2x2 s2": ("max", {"window": 2}),
    "max 3x3 s2": ("max", {"window": 3, "stride": 2}),
    "avg 3x3 s1": ("avg", {"window": 3, "stride": 1, "padding": 1}),
    "lp 3x3 s2": ("lp", {"window": 3, "stride": 2}),
    "median 3x3 s2": ("median", {"window": 3, "stride": 2}),
}


class Cuda(Benchmark):
    """Guards kernels and launches on a GPU; the wait for it is inside what is timed."""

    params = (list(CASES),)
    param_names = ("case",)

    @once
    def setup(self, case):
        from numba import cuda  # noqa: PLC0415 - absent where there is no CUDA, which skips the class

        if not cuda.is_available():
            raise NotImplementedError("numba finds no GPU")
        operator, call = CASES[case]
        pool, x = pool_of(operator), cuda.to_device(filled(SHAPE))
        self.finish = cuda.synchronize
        self.forward = lambda: pool(x, **call)
        gy, pull = fp.vjp(pool, x, **call)
        self.backward = lambda: pull(gy)
        self.forward()
        self.backward()

    def time_forward(self, case):
        self.forward()
        self.finish()

    def time_backward(self, case):
        self.backward()
        self.finish()
