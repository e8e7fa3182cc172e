"""Pyramids of images and labels: the kernels alone, and from file to OME-Zarr."""

from importlib import import_module
from pathlib import Path

import numpy as np

from .common import Benchmark, folder, fp, once

SHAPE = (512, 256, 64)  # x, y, z


def image():
    return np.random.default_rng(7).integers(0, 256, SHAPE).astype(np.uint8)


def labels(kind):
    rng = np.random.default_rng(7)
    if kind == "random":
        return rng.integers(0, 5, SHAPE).astype(np.uint64)
    blocks = rng.integers(0, 2**40, [n // 16 for n in SHAPE])
    return np.kron(blocks, np.ones((16, 16, 16), int)).astype(np.uint64)


STEPS = {
    "mean uint8 2x2x1": ("avg", image, (2, 2, 1)),
    "mean uint8 2x2x2": ("avg", image, (2, 2, 2)),
    "mode uint64 random 2x2x2": ("mode", lambda: labels("random"), (2, 2, 2)),
    "mode uint64 blocks 2x2x2": ("mode", lambda: labels("blocks"), (2, 2, 2)),
}


class Step(Benchmark):
    """Guards one step of a pyramid in memory, in the order of axes that files of volumes have."""

    params = (list(STEPS), ["C", "F"])
    param_names = ("step", "order")

    @once
    def setup(self, step, order):
        operator, array, window = STEPS[step]
        x, pool = np.asarray(array(), order=order), getattr(fp, f"{operator}_pool")
        self.call = lambda: pool(x, window)
        self.call()

    def time_step(self, step, order):
        self.call()


class Tinybrain(Benchmark):
    """The same steps by tinybrain, in the order that suits it: they tell the machine's changes from ours."""

    libraries = True
    params = (["mean uint8 2x2x1", "mean uint8 2x2x2", "mode uint64 random 2x2x2"],)
    param_names = ("step",)

    @once
    def setup(self, step):
        operator, array, window = STEPS[step]
        tinybrain, x = import_module("tinybrain"), np.asarray(array(), order="F")
        name = "downsample_with_averaging" if operator == "avg" else "downsample_segmentation"
        self.call = lambda: getattr(tinybrain, name)(x, window, num_mips=1)
        self.call()

    def time_step(self, step):
        self.call()


class EndToEnd(Benchmark):
    """Guards reading, chunks and writing: from a .npy file to a pyramid of four levels, by two workers."""

    libraries = True
    params = (["mean", "mode"],)
    param_names = ("reduction",)
    timeout = 300

    @once
    def setup(self, reduction):
        self.dask, self.pyramid = import_module("dask"), import_module("fastpool.pyramid")
        import_module("zarr")
        self.folder = Path(folder())
        x = image() if reduction == "mean" else labels("blocks").astype(np.uint8)
        np.save(self.folder / "in.npy", x.T)
        self.time_write(reduction)

    def time_write(self, reduction):
        with self.dask.config.set(scheduler="threads", num_workers=2):
            source = self.pyramid.read(self.folder / "in.npy")
            self.pyramid.write(source, self.folder / "out.ome.zarr", op=reduction, levels=4, overwrite=True)

    def peakmem_write(self, reduction):
        self.time_write(reduction)
