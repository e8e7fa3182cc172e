"""What a user waits for before the first result: the import, first calls of each family of kernels."""

import tempfile

from .common import Benchmark, folder, fp, once, python

FIRST_CALL = """
import sys, time, numpy as np, fastpool as fp
fp.set_num_threads(1)
x = np.ones((1, 8, 16, 16), np.float32)
call = eval("lambda: " + sys.argv[1])
begin = time.perf_counter()
call()
print(time.perf_counter() - begin)
"""
FAMILIES = {
    "tiny call": "fp.max_pool(x[:, :1, :8, :8], 2)",
    "max 2x2 s2": "fp.max_pool(x, 2)",
    "max 3x3 s2 p1": "fp.max_pool(x, 3, stride=2, padding=1)",
    "avg 3x3 s1": "fp.avg_pool(x, 3, stride=1)",
    "global avg": "fp.global_pool(x, 'avg')",
    "median 3x3": "fp.median_pool(x, 3, stride=1)",
    "mode 2x2x2 labels": "fp.mode_pool(x[0].astype('uint32'), (2, 2, 2))",
    "backward max 3x3 s2": "fp.pool_backward(x[:, :, :7, :7], x[:, :, :15, :15], 'max', 3, stride=2)",
    "roi_align": "fp.roi_align(x, np.array([[0, 1, 1, 9, 9.0]], np.float32), 4)",
}


class Compile(Benchmark):
    """Guards compile times: a family's first call, with an empty cache. A kernel that grows shows here."""

    params = (list(FAMILIES),)
    param_names = ("family",)
    timeout = 300

    @once
    def setup(self, family):
        self.call = FAMILIES[family]
        getattr(fp, self.call.split("(")[0].removeprefix("fp."))

    def track_first_call(self, family):
        with tempfile.TemporaryDirectory() as empty:
            return float(python(FIRST_CALL, self.call, NUMBA_CACHE_DIR=empty))

    track_first_call.unit = "seconds"


class Cached(Benchmark):
    """Guards loading from the cache: a first call of a process whose kernel another has compiled."""

    @once
    def setup(self):
        self.folder = folder()
        self.first_call()

    def first_call(self):
        return float(python(FIRST_CALL, FAMILIES["max 2x2 s2"], NUMBA_CACHE_DIR=self.folder))

    def track_first_call(self):
        return min(self.first_call() for _ in range(3))

    track_first_call.unit = "seconds"


class Import(Benchmark):
    """Guards the import: a module or a library that is loaded too early shows here."""

    repeat = (3, 5, 5)
    number = 1
    warmup_time = 0

    @once
    def setup(self):
        pass

    def timeraw_fastpool(self):
        return "import fastpool"

    def timeraw_fastpool_behind_numba(self):
        """The share of its own."""
        return "import fastpool", "import numba, numpy"

    def timeraw_compat_torch(self):
        return "import fastpool.compat.torch"
