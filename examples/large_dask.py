"""Pool an array that fits no memory here, on processes that may use little: tasks, traffic and memory.

    python examples/large_dask.py                 # 20 GB, 2x2 windows, 1 GB a worker
    python examples/large_dask.py --window 3      # windows that chunk boundaries cut

Blocks are random numbers, made by the tasks themselves. The result is compared, block by block, with NumPy's
maximum of the same blocks (for windows that chunks do not cut).
"""

import argparse
import math
import time

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

import fastpool as fp


def block(shape, number):
    """Random numbers that depend on the block's place alone."""
    return np.random.Generator(np.random.Philox(number)).random(shape, np.float32)


def made(block_info=None):
    """One block of the input."""
    info = block_info[None]
    return block(info["chunk-shape"], np.ravel_multi_index(info["chunk-location"], info["num-chunks"]))


def differences(x, y, window):
    """How many values of a pooled block are not NumPy's."""
    rows, columns = (n // window for n in x.shape)
    cells = x[: rows * window, : columns * window].reshape(rows, window, columns, window)
    return np.array([[np.count_nonzero(cells.max((1, 3)) != y)]])


def peak():
    """Most memory that a worker's process had at once, in bytes."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def sent(dask_worker):
    """Bytes that a worker has sent to others, by its own count."""
    return dask_worker.transfer_outgoing_bytes_total


def main():
    """Build, count, compute and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=20)
    parser.add_argument("--chunk", type=int, default=4096)
    parser.add_argument("--window", type=int, default=2)
    parser.add_argument("--stride", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", default="1GB", help="memory of a worker")
    given = parser.parse_args()
    stride = given.stride or given.window
    side = math.ceil((given.gigabytes * 1e9 / 4) ** 0.5 / given.chunk) * given.chunk
    chunks = da.core.normalize_chunks(given.chunk, (side, side))
    x = da.map_blocks(made, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0), np.float32))
    y = fp.max_pool(x, (given.window, given.window), stride=stride)
    result = y.sum(dtype=float)
    cut = stride != given.window or given.chunk % given.window
    if not cut:
        ones = tuple((1,) * len(own) for own in x.chunks)
        result = da.map_blocks(differences, x, y, window=given.window, chunks=ones, dtype=int).sum()
    options = {"n_workers": given.workers, "threads_per_worker": 1, "memory_limit": given.limit}
    with LocalCluster(**options, dashboard_address=None) as cluster, Client(cluster) as client:
        (optimised,) = dask.optimize(y)
        print(f"{x.nbytes / 1e9:.1f} GB in {x.npartitions} blocks of {given.chunk}, {given.workers} workers")
        print(f"{len(dict(optimised.__dask_graph__()))} tasks")
        begin = time.perf_counter()
        found = client.compute(result).result()
        seconds = time.perf_counter() - begin
        print(f"{'sum' if cut else 'differences from NumPy'}: {found}")
        print(f"{seconds:.1f} s, {x.nbytes / seconds / 1e9:.2f} GB/s")
        print(f"most memory of a worker's process: {max(client.run(peak).values()) / 1e6:.0f} MB")
        print(f"between workers: {sum(client.run(sent).values()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
