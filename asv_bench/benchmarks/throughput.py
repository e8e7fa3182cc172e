"""Bytes moved a second, and their share of what a copy of the input moves beside it: workload x dtype."""

from dataclasses import replace

from fastpool import bench

from .common import ROWS

REPEAT = 7


class Throughput:
    """The copy runs on as many threads, in turn with the pooling."""

    params = (
        ["resnet one image max 3x3 s2", "inception avg 3x3 s1", "vgg max 2x2 s2", "image uint8 mean 2x2 s2"],
        ["float32", "float16", "uint8"],
    )
    param_names = ("workload", "dtype")
    timeout = 120

    def setup(self, workload, dtype):
        self.row = replace(ROWS[workload], dtype=dtype)
        self.calls = bench.engines(self.row, ["fastpool"])
        for call in self.calls.values():
            call()

    def track_gigabytes_per_second(self, workload, dtype):
        return self._result().gigabytes_per_second

    def track_share_of_copy(self, workload, dtype):
        return self._result().share_of_copy

    track_gigabytes_per_second.unit = "GB/s"
    track_share_of_copy.unit = "share"

    def _result(self):
        return bench.Result(self.row, bench.measure(self.calls, REPEAT))
