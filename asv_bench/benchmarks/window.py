"""Sliding windows in both directions: the table of workloads, one method a direction."""

import numpy as np

from .common import Benchmark, filled, fp, once, pool_of
from .workloads import WORKLOADS


class Window(Benchmark):
    """Guards the kernels that nearly every user runs, and the dispatch to them.

    A slower inner loop shows in the row of its window, dtype and layout; checks that cost more in "maps 14".
    """

    params = (list(WORKLOADS),)
    param_names = ("workload",)

    @once
    def setup(self, workload):
        row = WORKLOADS[workload]
        pool, x = pool_of(row.operator), filled(row.shape, row.dtype)
        y, pull = fp.vjp(pool, x, row.window, **row.call)
        gy = np.ones(y.shape, "float32") if row.dtype == "uint8" else y
        self.forward = lambda: pool(x, row.window, **row.call)
        self.backward = lambda: pull(gy)
        self.forward()
        self.backward()

    def time_forward(self, workload):
        self.forward()

    def time_backward(self, workload):
        self.backward()
