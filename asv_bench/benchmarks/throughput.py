"""What moving memory costs: time a kilobyte of input and output, and beside a copy of the input."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .common import Benchmark, best, filled, once, pool_of
from .workloads import WORKLOADS

NAMES = ["resnet one image max 3x3 s2", "inception avg 3x3 s1", "vgg max 2x2 s2", "image uint8 mean 2x2 s2"]


def copy(x, threads):
    """A copy of an array by so many threads."""
    parts = list(
        zip(
            np.array_split(np.empty_like(x).ravel(), threads), np.array_split(x.ravel(), threads), strict=True
        )
    )
    if threads == 1:
        return lambda: np.copyto(*parts[0])
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(lambda part: np.copyto(*part), parts))


class Throughput(Benchmark):
    """Guards kernels that should be bound by memory, and what a second thread gains.

    The copy runs on as many threads, in turn with the pooling. Both figures fall when fastpool gets faster.
    """

    params = (NAMES, [1, 2])
    param_names = ("workload", "threads")

    @once
    def setup(self, workload, threads):
        self.row = WORKLOADS[workload]
        pool, x = pool_of(self.row.operator), filled(self.row.shape, self.row.dtype)
        out = np.empty(self.row.output, self.row.dtype)
        pooling = lambda: pool(x, self.row.window, **self.row.call, out=out)  # noqa: E731
        self.calls = {"pool": pooling, "copy": copy(x, threads)}

    def track_nanoseconds_a_kilobyte(self, workload, threads):
        return best(self.calls)["pool"] * 1e9 / (self.row.moved / 1e3)

    def track_time_over_copy(self, workload, threads):
        seconds = best(self.calls)
        return seconds["pool"] / seconds["copy"]

    track_nanoseconds_a_kilobyte.unit = "ns/kB"
    track_time_over_copy.unit = "copies"
