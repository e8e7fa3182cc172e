"""Missing data beside the calls of other libraries: means and maxima of 4096 x 4096, a tenth missing.

    python examples/missing_speed.py [--repeat 15] [--size 4096]

One thread each, in random order, best of so many. Libraries that are not installed are left out.
"""

import argparse
import importlib
import time
import warnings

import numpy as np
from numba import njit

import fastpool as fp

NODATA = np.float32(-9999)


@njit(nogil=True, cache=True)
def plain_loop(x, nodata):
    """The mean of 2x2 with nodata as one writes it in numba."""
    rows, columns = x.shape[0] // 2, x.shape[1] // 2
    y = np.empty((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            total, count = np.float32(0), 0
            for k in range(2):
                for m in range(2):
                    value = x[2 * i + k, 2 * j + m]
                    if value != nodata:
                        total += value
                        count += 1
            y[i, j] = total / np.float32(count) if count else nodata
    return y


def optional(name):
    """A library, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def calls(x, hole, op, k):
    """What is compared, by name; each has an array of its own, so that none finds another's in cache."""
    name = {"avg": "mean", "max": "max"}[op]
    holed, marked, plain, listed = x.copy(), x.copy(), x.copy(), x.copy()
    holed[hole], marked[hole], mask = np.nan, NODATA, ~hole
    blocks = holed.copy().reshape(x.shape[0] // k, k, x.shape[1] // k, k)
    found = {
        "fastpool, nothing missing": lambda: fp.pool(plain, op, (k, k)),
        "fastpool, skipna": lambda: fp.pool(holed, op, (k, k), skipna=True),
        "fastpool, nodata": lambda: fp.pool(marked, op, (k, k), nodata=NODATA),
        "fastpool, where": lambda: fp.pool(listed, op, (k, k), where=mask),
        f"numpy.nan{name}": lambda: getattr(np, f"nan{name}")(blocks, (1, 3)),
    }
    xarray, numbagg = optional("xarray"), optional("numbagg")
    warp = optional("rasterio.warp")
    if xarray:
        windows = xarray.DataArray(holed.copy(), dims=("y", "x")).coarsen(y=k, x=k)
        found["xarray coarsen"] = getattr(windows, name)
    if numbagg:
        found["numbagg"] = lambda: getattr(numbagg, f"nan{name}")(blocks, axis=(1, 3))
    if warp:
        found["rasterio"] = lambda: resampled(warp, marked, {"avg": "average"}.get(op, op), k)
    if op == "avg" and k == 2:
        found["a loop in numba"] = lambda: plain_loop(marked, NODATA)
    return found


def resampled(warp, x, method, k):
    """The same by GDAL."""
    rasterio = importlib.import_module("rasterio")
    y = np.empty((x.shape[0] // k, x.shape[1] // k), np.float32)
    grids = [rasterio.transform.from_origin(0, x.shape[0], size, size) for size in (1, k)]
    options = {"src_crs": "EPSG:3857", "dst_crs": "EPSG:3857", "src_nodata": NODATA, "dst_nodata": NODATA}
    method = getattr(rasterio.enums.Resampling, method)
    warp.reproject(x, y, src_transform=grids[0], dst_transform=grids[1], resampling=method, **options)
    return y


def main():
    """Time and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--repeat", type=int, default=15)
    options.add_argument("--size", type=int, default=4096)
    given = options.parse_args()
    warnings.simplefilter("ignore")
    fp.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((given.size, given.size), dtype=np.float32)
    hole = rng.random(x.shape) < 0.1
    for op in ("avg", "max"):
        for k in (2, 8):
            timed = calls(x, hole, op, k)
            best = dict.fromkeys(timed, np.inf)
            for turn in range(given.repeat):
                for name in rng.permutation(list(timed)).tolist():
                    call = timed[name]
                    if turn > 3 and best[name] > 0.2:  # slow ones a few times
                        continue
                    begun = time.perf_counter()
                    call()
                    best[name] = min(best[name], time.perf_counter() - begun)
            base = best["fastpool, nothing missing"]
            print(f"{op} {k}x{k} of {given.size} x {given.size} float32")
            for name, seconds in best.items():
                print(f"  {name:28} {seconds * 1e3:8.2f} ms  {seconds / base:6.2f}")


if __name__ == "__main__":
    main()
