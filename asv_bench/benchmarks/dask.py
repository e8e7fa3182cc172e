"""Pooling of dask arrays beside the call on the array in memory: chunks x windows, and the graph alone."""

import numpy as np

import fastpool as fp

try:
    import dask
    import dask.array as da
except ImportError:
    dask = None

SHAPE = (4096, 4096)
WINDOWS = {"aligned 2x2": (2, 2), "cut 3x3 s2": (3, 2), "cut 5x5 s1": (5, 1)}


class Chunks:
    """One image in chunks, by threads; "memory" is the plain call, with fastpool's own threads."""

    params = (["memory", 256, 512, 1024, 2048], list(WINDOWS), ["max", "avg"])
    param_names = ("chunk", "window", "operator")
    timeout = 120

    def setup(self, chunk, window, operator):
        if dask is None:
            raise NotImplementedError("dask is not installed")
        x = np.random.default_rng(7).random(SHAPE, np.float32)
        k, stride = WINDOWS[window]
        if chunk == "memory":
            self.call = lambda: fp.pool(x, operator, (k, k), stride=stride)
        else:
            y = fp.pool(da.from_array(x, chunks=chunk), operator, (k, k), stride=stride)
            threads = fp.get_num_threads()
            self.call = lambda: y.compute(scheduler="threads", num_workers=threads)
        self.call()

    def time_forward(self, chunk, window, operator):
        self.call()


class Overlap:
    """What a wider halo costs: the same chunks, windows of more and more elements at stride 1."""

    params = ([1, 3, 9, 33, 129],)
    param_names = ("window",)

    def setup(self, window):
        if dask is None:
            raise NotImplementedError("dask is not installed")
        x = da.from_array(np.random.default_rng(7).random(SHAPE, np.float32), chunks=1024)
        self.y = fp.max_pool(x, (window, window), stride=1)
        self.time_forward(window)

    def time_forward(self, window):
        self.y.compute(scheduler="threads", num_workers=fp.get_num_threads())


class Graph:
    """Making the graph of an array far larger than memory; no task runs."""

    params = ([64, 256], list(WINDOWS))
    param_names = ("chunks an axis", "window")

    def setup(self, chunks, window):
        if dask is None:
            raise NotImplementedError("dask is not installed")
        self.x = da.zeros((chunks * 4096,) * 2, chunks=4096, dtype=np.float32)
        self.k, self.stride = WINDOWS[window]

    def time_build(self, chunks, window):
        fp.max_pool(self.x, (self.k, self.k), stride=self.stride)

    def track_tasks_a_block(self, chunks, window):
        (y,) = dask.optimize(fp.max_pool(self.x, (self.k, self.k), stride=self.stride))
        return len(dict(y.__dask_graph__())) / self.x.npartitions
