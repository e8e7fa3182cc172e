"""Pyramids of images and labels: the kernels alone, and from file to OME-Zarr."""

import tempfile
from pathlib import Path

import numpy as np

import fastpool as fp
from fastpool import pyramid

try:
    import dask
    import zarr
except ImportError:
    dask = zarr = None
try:
    import tinybrain
except ImportError:
    tinybrain = None

SHAPE = (512, 512, 64)  # x, y, z
WINDOWS = {"2x2x1": (2, 2, 1), "2x2x2": (2, 2, 2)}


def image():
    return np.random.default_rng(7).integers(0, 256, SHAPE).astype(np.uint8)


def labels(kind):
    rng = np.random.default_rng(7)
    if kind == "random":
        return rng.integers(0, 5, SHAPE).astype(np.uint64)
    return np.kron(rng.integers(0, 2**40, [n // 16 for n in SHAPE]), np.ones((16, 16, 16), int)).astype(
        np.uint64
    )


class Kernel:
    """One step of a pyramid, in memory; tinybrain where it is installed."""

    params = (
        ["fastpool", "tinybrain"],
        ["mean uint8", "mode uint64 random", "mode uint64 blocks"],
        list(WINDOWS),
        ["C", "F"],
    )
    param_names = ("library", "reduction", "cell", "order")
    timeout = 120

    def setup(self, library, reduction, cell, order):
        if library == "tinybrain" and tinybrain is None:
            raise NotImplementedError("tinybrain is not installed")
        op, kind = reduction.split()[0], reduction.split()[-1]
        x = image() if op == "mean" else labels(kind)
        x, window = np.asarray(x, order=order), WINDOWS[cell]
        if library == "fastpool":
            self.call = lambda: fp.pool(x, pyramid.OPERATORS[op], window)
        elif op == "mean":
            self.call = lambda: tinybrain.downsample_with_averaging(x, window, num_mips=1)
        else:
            self.call = lambda: tinybrain.downsample_segmentation(x, window, num_mips=1)
        self.call()

    def time_step(self, library, reduction, cell, order):
        self.call()


class EndToEnd:
    """From a .npy file to a pyramid of four levels."""

    params = (list(pyramid.OPERATORS),)
    param_names = ("reduction",)
    timeout = 300

    def setup(self, reduction):
        if zarr is None:
            raise NotImplementedError("dask or zarr is not installed")
        self.folder = tempfile.TemporaryDirectory()
        x = image() if reduction != "mode" else labels("blocks").astype(np.uint8)
        np.save(Path(self.folder.name) / "in.npy", x.T)
        self.time_write(reduction)

    def teardown(self, reduction):
        self.folder.cleanup()

    def time_write(self, reduction):
        folder = Path(self.folder.name)
        with dask.config.set(scheduler="threads", num_workers=fp.get_num_threads()):
            source = pyramid.read(folder / "in.npy")
            pyramid.write(source, folder / "out.ome.zarr", op=reduction, levels=4, overwrite=True)

    def peakmem_write(self, reduction):
        self.time_write(reduction)
