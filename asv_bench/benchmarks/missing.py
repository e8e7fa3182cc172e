"""Missing data, weights and areas: what leaving out costs, and other libraries' calls beside ours."""

import warnings
from functools import partial
from importlib import import_module

import numpy as np

from .common import Benchmark, filled, fp, once, pool_of

SIZE, NODATA = 2048, np.float32(-9999)
CELLS = {"avg 2x2": ("avg", 2), "max 2x2": ("max", 2), "avg 8x8": ("avg", 8)}


def raster():
    """A raster, and where a tenth of it is missing."""
    x = filled((SIZE, SIZE))
    return x, np.random.default_rng(8).random(x.shape) < 0.1


def whole(x, hole):
    return x, {}


def skipna(x, hole):
    return np.where(hole, np.float32(np.nan), x), {"skipna": True}


def nodata(x, hole):
    return np.where(hole, NODATA, x), {"nodata": NODATA}


def where(x, hole):
    return x, {"where": ~hole}


def weights(x, hole):
    return x, {"weights": np.linspace(0.1, 1, SIZE)[:, None]}


WAYS = {way.__name__: way for way in (whole, skipna, nodata, where, weights)}


class Missing(Benchmark):
    """Guards calls with missing data: beside "whole", a row shows what they cost."""

    params = (list(CELLS), list(WAYS))
    param_names = ("cell", "way")

    @once
    def setup(self, cell, way):
        operator, k = CELLS[cell]
        if way == "weights" and operator == "max":
            raise NotImplementedError("weights are for averages and sums")
        fp.count_pool  # noqa: B018 - an older commit knows no missing data
        x, options = WAYS[way](*raster())
        pool = pool_of(operator)
        y, pull = fp.vjp(pool, x, (k, k), **options)
        self.forward = partial(pool, x, (k, k), **options)
        self.backward = partial(pull, np.ones_like(y))
        self.forward()
        self.backward()

    def time_forward(self, cell, way):
        self.forward()

    def time_backward(self, cell, way):
        self.backward()


PHOTOGRAPH = (3279, 4928, 3)
AREAS = {
    "area uint8 RGB": ("area_pool", PHOTOGRAPH, "uint8", {"output_size": (567, 852), "axes": (0, 1)}),
    "area float32 RGB": ("area_pool", PHOTOGRAPH, "float32", {"output_size": (567, 852), "axes": (0, 1)}),
    "blur float32": ("blur_pool", (8, 64, 112, 112), "float32", {"stride": 2}),
}


class Areas(Benchmark):
    """Guards weighted sums: cells of any size, and binomial blurs."""

    params = (list(AREAS),)
    param_names = ("call",)

    @once
    def setup(self, call):
        function, shape, dtype, options = AREAS[call]
        self.call = partial(getattr(fp, function), filled(shape, dtype), **options)
        self.call()

    def time_forward(self, call):
        self.call()


def fastpool(operator, k):
    x, options = skipna(*raster())
    return partial(pool_of(operator), x, (k, k), **options)


def xarray(operator, k):
    x, _ = skipna(*raster())
    cells = import_module("xarray").DataArray(x, dims=("y", "x")).coarsen(y=k, x=k)
    return getattr(cells, {"avg": "mean", "max": "max"}[operator])


def numbagg(operator, k):
    x, _ = skipna(*raster())
    blocks = x.reshape(SIZE // k, k, SIZE // k, k)
    return partial(
        getattr(import_module("numbagg"), {"avg": "nanmean", "max": "nanmax"}[operator]), blocks, axis=(1, 3)
    )


def rasterio(operator, k):
    warp, resampling = import_module("rasterio.warp"), import_module("rasterio.enums").Resampling
    x, _ = nodata(*raster())
    y = np.empty((SIZE // k, SIZE // k), np.float32)
    grids = [import_module("rasterio.transform").from_origin(0, SIZE, size, size) for size in (1, k)]
    options = {"src_crs": "EPSG:3857", "dst_crs": "EPSG:3857", "src_nodata": NODATA, "dst_nodata": NODATA}
    method = {"avg": resampling.average, "max": resampling.max}[operator]
    return partial(
        warp.reproject, x, y, src_transform=grids[0], dst_transform=grids[1], resampling=method, **options
    )


LIBRARIES = (fastpool, xarray, numbagg, rasterio)


class Rivals(Benchmark):
    """Cells with a tenth missing by other libraries: they tell the machine's changes from ours."""

    libraries = True
    params = ([library.__name__ for library in LIBRARIES], list(CELLS))
    param_names = ("library", "cell")

    @once
    def setup(self, library, cell):
        warnings.simplefilter("ignore")  # a cell of NaNs alone
        made = {each.__name__: each for each in LIBRARIES}
        self.call = made[library](*CELLS[cell])
        self.call()

    def time_forward(self, library, cell):
        self.call()


class AreaRivals(Benchmark):
    """`area_pool` beside OpenCV's INTER_AREA on one thread."""

    libraries = True
    params = (["fastpool", "opencv"], ["area uint8 RGB", "area float32 RGB"])
    param_names = ("library", "call")

    @once
    def setup(self, library, call):
        function, shape, dtype, options = AREAS[call]
        x = filled(shape, dtype)
        if library == "fastpool":
            self.call = partial(getattr(fp, function), x, **options)
        else:
            cv2 = import_module("cv2")
            cv2.setNumThreads(1)
            self.call = partial(cv2.resize, x, options["output_size"][::-1], interpolation=cv2.INTER_AREA)
        self.call()

    def time_forward(self, library, call):
        self.call()
