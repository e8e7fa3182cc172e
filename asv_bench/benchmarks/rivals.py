"""The same workloads by other libraries, where they are installed: library x workload."""

from fastpool import bench

from .common import ROWS

WORKLOADS = (  # the first is a fraction of a megabyte, so that trying the benchmark is quick
    "resnet one image max 3x3 s2",
    "resnet one image max 3x3 s2 NHWC",
    "inception avg 3x3 s1",
    "inception avg 3x3 s1 NHWC",
    "sppf max 5x5 s1",
    "c3d max 2x2x2",
    "image uint8 mean 2x2 s2",
    "image max 7x7 s1",
)


class Rivals:
    """A library that is absent, or does not have the workload, is skipped."""

    params = (list(bench.ENGINES), list(WORKLOADS))
    param_names = ("library", "workload")
    timeout = 120

    def setup(self, library, workload):
        self.call = bench.engines(ROWS[workload], [library]).get(library)
        if self.call is None:
            raise NotImplementedError(f"{library} is not installed or does not have this workload")
        self.call()

    def time_forward(self, library, workload):
        self.call()
