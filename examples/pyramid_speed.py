"""Million voxels a second of pyramids: the kernels alone, and from a .npy file to OME-Zarr.

    python examples/pyramid_speed.py [--side 2048] [--depth 64] [--repeat 3]

Beside tinybrain (kernels) and ngff-zarr (end to end) where they are installed; taking turns, the best of the
repetitions. Images are waves with noise, labels are blocks of 16 voxels with 1 % noise.
"""

import argparse
import tempfile
import time
from pathlib import Path

import dask
import dask.array as da
import numpy as np

import fastpool as fp
from fastpool import pyramid

try:
    import tinybrain
except ImportError:
    tinybrain = None
try:
    import ngff_zarr
except ImportError:
    ngff_zarr = None

LEVELS = 5
METHODS = {"mean": ("DASK_BIN_SHRINK", "ITKWASM_BIN_SHRINK"), "mode": ("DASK_IMAGE_MODE",)}


def image(shape):
    """uint8, planes of waves and noise."""
    rng = np.random.default_rng(1)
    z, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij", sparse=True)
    out = np.empty(shape, np.uint8)
    for i in range(shape[0]):
        waves = 100 + 60 * np.sin(y[0] / 97 + z[i] / 9) + 60 * np.cos(x[0] / 61 - z[i] / 13)
        out[i] = np.clip(waves + rng.normal(0, 8, shape[1:]), 0, 255)
    return out


def labels(shape):
    """uint64, blocks of 16 voxels with noise."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(1, 2**40, [-(-n // 16) for n in shape], np.uint64)
    out = coarse
    for axis, n in enumerate(shape):
        out = np.repeat(out, 16, axis).take(range(n), axis)
    flat = out.reshape(-1)
    flat[rng.integers(0, flat.size, flat.size // 100)] = 7
    return out


def race(calls, voxels, repeat):
    """Million voxels a second of each call, which take turns."""
    best = dict.fromkeys(calls, np.inf)
    for _ in range(repeat):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - begin)
    return {name: voxels / seconds / 1e6 for name, seconds in best.items()}


def kernels(x, op, cell):
    """One step of a pyramid in memory; the axes are x, y, z, as tinybrain has them."""
    calls = {"fastpool": lambda: fp.pool(x, pyramid.OPERATORS[op], cell)}
    if tinybrain and op == "mean":
        calls["tinybrain"] = lambda: tinybrain.downsample_with_averaging(x, cell, num_mips=1)
    elif tinybrain:
        calls["tinybrain"] = lambda: tinybrain.downsample_segmentation(x, cell, num_mips=1)
    return calls


def files(folder, op):
    """From a file to a pyramid."""
    source = folder / "in.npy"

    def ours():
        pyramid.write(
            pyramid.read(source), folder / "fastpool.ome.zarr", op=op, levels=LEVELS, overwrite=True
        )

    def theirs(method):
        x = np.load(source, mmap_mode="r")
        first = ngff_zarr.to_ngff_image(da.from_array(x, chunks=(64, 128, -1)), dims=["z", "y", "x"])
        factors = [2**level for level in range(1, LEVELS)]
        chunks = (64, 128, 128)
        scales = ngff_zarr.to_multiscales(first, factors, ngff_zarr.Methods[method], chunks)
        ngff_zarr.to_ngff_zarr(folder / "ngff.ome.zarr", scales, version="0.5")

    calls = {"fastpool": ours}
    if ngff_zarr:
        calls |= {f"ngff-zarr {name}": lambda name=name: theirs(name) for name in METHODS[op]}
    return calls


def show(what, speeds):
    """A line a race."""
    print(f"{what:<34}" + ", ".join(f"{name} {speed:.0f}" for name, speed in speeds.items()), flush=True)


def main():
    """Both kinds of volume, both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--depth", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    shape = (given.depth, given.side, given.side)
    print(f"{shape}, {fp.get_num_threads()} threads; million voxels a second")
    for op, make in (("mean", image), ("mode", labels)):
        x = make(shape)
        voxels, dtype = x.size, x.dtype
        for order, array in (("F", x.T), ("C", np.ascontiguousarray(x.T))):
            for cell in ((2, 2, 1), (2, 2, 2)):
                show(f"{dtype} {op} {cell} {order}", race(kernels(array, op, cell), voxels, given.repeat))
            del array
        with tempfile.TemporaryDirectory() as name:
            np.save(Path(name) / "in.npy", x)
            del x
            with dask.config.set(scheduler="threads", num_workers=fp.get_num_threads()):
                calls = files(Path(name), op)
                show(
                    f"{dtype} {op}, {LEVELS} levels to OME-Zarr",
                    race(calls, voxels, max(1, given.repeat - 1)),
                )


if __name__ == "__main__":
    main()
