"""Missing data beside NumPy's NaN functions, masked arrays, xarray and rasterio, where they say the same."""

import warnings

import numpy as np
import pytest

import fastpool as fp

SHAPE, CELL = (24, 36), (4, 6)
NAMES = {"avg": "mean"} | {
    op: op for op in ("max", "min", "sum", "median", "count", "var", "std")
}  # our operators in the words of others


@pytest.fixture
def holed(rng):
    """A raster of which a third is missing, and one cell wholly."""
    x = rng.normal(size=SHAPE)
    x[rng.random(SHAPE) < 0.3] = np.nan
    x[:4, :6] = np.nan
    return x


def blocks(x, cell=CELL):
    """The elements of each cell along a last axis."""
    (rows, columns), (k, m) = x.shape, cell
    return x.reshape(rows // k, k, columns // m, m).swapaxes(1, 2).reshape(rows // k, columns // m, -1)


@pytest.mark.parametrize("op", ["avg", "max", "min", "median", "quantile", "sum", "var", "std"])
def test_numpys_nan_functions(holed, op):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of cells of NaNs alone
        given = {"quantile": {"q": 0.3}, "sum": {"min_count": 0}}.get(op, {})
        own = {"quantile": lambda b: np.nanquantile(b, 0.3, -1)}
        wanted = own.get(op, lambda b: getattr(np, f"nan{NAMES.get(op)}")(b, -1))(blocks(holed))
    np.testing.assert_allclose(fp.pool(holed, op, CELL, skipna=True, **given), wanted, rtol=1e-12)


@pytest.mark.parametrize("op", ["avg", "max", "min", "sum", "median", "count", "var", "std"])
@pytest.mark.parametrize("least", [1, 9])
def test_xarrays_coarsen(holed, op, least):
    xarray = pytest.importorskip("xarray")
    windows = xarray.DataArray(holed, dims=("y", "x")).coarsen(y=CELL[0], x=CELL[1])
    wanted = getattr(windows, NAMES[op])().data
    if op != "count":  # of which coarsen knows no least one
        wanted = np.where(windows.count().data >= least, wanted, np.nan)
    own = {"min_count": 0} if op == "count" else {"min_count": least}
    np.testing.assert_allclose(fp.pool(holed, op, CELL, skipna=True, **own), wanted, rtol=1e-12)


@pytest.mark.parametrize("op", ["avg", "max", "min", "sum"])
@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_numpys_masked_arrays(rng, op, dtype):
    x = rng.integers(-9, 9, SHAPE).astype(dtype)
    mask = rng.random(SHAPE) < 0.4
    mask[:4, :6] = True
    masked = np.ma.array(blocks(x), mask=blocks(mask))
    wanted = getattr(masked, NAMES[op])(-1).filled(77)
    found = fp.pool(x, op, CELL, where=~mask, fill=77, dtype=np.float64 if op == "avg" else None)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # rasterio's own use of affine
def test_rasterios_average(holed):
    rasterio = pytest.importorskip("rasterio")
    warp = pytest.importorskip("rasterio.warp")
    source = np.where(np.isnan(holed), -9999, holed).astype(np.float32)
    wanted = np.full((SHAPE[0] // CELL[0], SHAPE[1] // CELL[1]), -1, np.float32)
    transform = rasterio.transform.from_origin(0, SHAPE[0], 1, 1)
    warp.reproject(
        source,
        wanted,
        src_transform=transform,
        dst_transform=rasterio.transform.from_origin(0, SHAPE[0], CELL[1], CELL[0]),
        src_crs="EPSG:3857",
        dst_crs="EPSG:3857",
        src_nodata=-9999,
        dst_nodata=-9999,
        resampling=rasterio.enums.Resampling.average,
    )
    np.testing.assert_allclose(
        fp.avg_pool(source, CELL, nodata=-9999, fill=-9999), wanted, rtol=1e-5, atol=1e-6
    )


def test_area_weighted_means_of_a_globe(rng):
    xarray = pytest.importorskip("xarray")
    latitudes = np.linspace(-89.5, 89.5, 180)
    field = xarray.DataArray(
        (rng.normal(size=(180, 360)) + 280).astype(np.float32), dims=("lat", "lon"), coords={"lat": latitudes}
    )
    weights = np.cos(np.deg2rad(field.lat)).astype(np.float32)
    wanted = float(field.astype(np.float64).weighted(weights.astype(np.float64)).mean())
    found = fp.global_pool(field.data, "avg", axes=(0, 1), weights=weights.data[:, None])
    assert found == pytest.approx(wanted, rel=1e-6)


def test_the_pages_rows_of_xarray():
    xarray = pytest.importorskip("xarray")
    rng = np.random.default_rng(3)
    series = xarray.DataArray(rng.normal(size=(200, 3)), dims=("time", "place"))
    series[5, 0] = np.nan
    rolled = fp.avg_pool(series, {"time": 24}, stride={"time": 6}, min_count=24)
    np.testing.assert_allclose(rolled, series.rolling(time=24).mean()[23::6])
    weights = xarray.DataArray(rng.random(200), dims="time")
    mean = fp.global_pool(series, "avg", axes=series.dims, weights=weights)
    np.testing.assert_allclose(mean, series.weighted(weights).mean())


def test_the_pages_rows_of_bottleneck_and_numbagg(holed):
    bottleneck, numbagg = pytest.importorskip("bottleneck"), pytest.importorskip("numbagg")
    moving = bottleneck.move_mean(holed[5], 5, min_count=1)[4:]
    np.testing.assert_allclose(fp.avg_pool(holed[5], (5,), stride=1, skipna=True), moving)
    np.testing.assert_allclose(fp.avg_pool(holed, CELL, skipna=True), numbagg.nanmean(blocks(holed), axis=-1))
