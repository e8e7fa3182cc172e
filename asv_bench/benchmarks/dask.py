"""Pooling of dask arrays beside the call on the array in memory: chunks x windows, and the graph alone."""

import numpy as np

from .common import Benchmark, fp, once

SHAPE = (4096, 4096)
WINDOWS = {"aligned 2x2": (2, 2), "cut 3x3 s2": (3, 2)}
WORKERS = 2


def image(chunks):
    import dask.array as da  # noqa: PLC0415 - absent in the environment without other libraries

    return da.from_array(np.random.default_rng(7).random(SHAPE, np.float32), chunks=chunks)


class Chunks(Benchmark):
    """Guards what a chunk costs, by two workers: small ones show what a task costs, large ones the kernel."""

    libraries = True
    params = ([256, 2048], list(WINDOWS))
    param_names = ("chunk", "window")

    @once
    def setup(self, chunk, window):
        k, stride = WINDOWS[window]
        self.y = fp.max_pool(image(chunk), (k, k), stride=stride)
        self.time_forward(chunk, window)

    def time_forward(self, chunk, window):
        self.y.compute(scheduler="threads", num_workers=WORKERS)


class Overlap(Benchmark):
    """Guards the halo: windows of more and more elements at stride 1 cut the same chunks."""

    libraries = True
    params = ([3, 33],)
    param_names = ("window",)

    @once
    def setup(self, window):
        self.y = fp.max_pool(image(1024), (window, window), stride=1)
        self.time_forward(window)

    def time_forward(self, window):
        self.y.compute(scheduler="threads", num_workers=WORKERS)


class Graph(Benchmark):
    """Guards the graph of an array far larger than memory: time to make it, tasks a block. No task runs."""

    libraries = True
    params = ([64], list(WINDOWS))
    param_names = ("chunks an axis", "window")

    @once
    def setup(self, chunks, window):
        import dask  # noqa: PLC0415 - absent in the environment without other libraries
        import dask.array as da  # noqa: PLC0415

        self.optimize = dask.optimize
        x, pool = da.zeros((chunks * 4096,) * 2, chunks=4096, dtype=np.float32), fp.max_pool
        k, stride = WINDOWS[window]
        self.blocks = x.npartitions
        self.build = lambda: pool(x, (k, k), stride=stride)

    def time_build(self, chunks, window):
        self.build()

    def track_tasks_a_block(self, chunks, window):
        (y,) = self.optimize(self.build())
        return len(dict(y.__dask_graph__())) / self.blocks

    track_tasks_a_block.unit = "tasks"
