"""What the benchmark classes share: workloads, filled arrays and layouts."""

import numpy as np

from fastpool import bench, kinds

BACKENDS = ["cpu", "cuda"]

ROWS = {row.name: row for row in bench.rows()}


def placed(array, backend):
    """A NumPy array where the backend computes; a backend that is not there is skipped."""
    if backend == "cpu":
        return array
    problem = kinds.cuda_problem()
    if problem:
        raise NotImplementedError(problem)
    from numba import cuda  # noqa: PLC0415 - only where there is a GPU

    return cuda.to_device(array)


def finish(backend):
    """Wait for a GPU, inside what is timed."""
    if backend == "cuda":
        from numba import cuda  # noqa: PLC0415 - only where there is a GPU

        cuda.synchronize()


def filled(shape, dtype, layout="first"):
    """Random numbers (never lazily mapped zeros), channels first or last; axes to pool.

    Channels-last keeps the same extents, so that both layouts move the same bytes.
    """
    rng = np.random.default_rng(7)
    if np.dtype(dtype).kind == "f":
        x = rng.standard_normal(shape).astype(dtype)
    else:
        x = rng.integers(0, 100, shape).astype(dtype)
    axes = tuple(range(2, len(shape)))
    if layout == "last":
        return np.ascontiguousarray(np.moveaxis(x, 1, -1)), tuple(axis - 1 for axis in axes)
    return x, axes
