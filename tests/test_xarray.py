"""Pooling by names of dimensions: what coarsen gives, and more."""

import numpy as np
import pytest

import fastpool as fp

xr = pytest.importorskip("xarray")


@pytest.fixture(params=["memory", "dask"])
def image(request):
    """An image with coordinates of every kind."""
    rng = np.random.default_rng(3)
    days = np.arange(9).astype("datetime64[D]").astype("datetime64[ns]")
    x = xr.DataArray(
        rng.standard_normal((2, 8, 9)),
        dims=("band", "y", "x"),
        coords={
            "band": ["red", "green"],
            "y": ("y", np.arange(8) * 10, {"units": "m"}),
            "x": days,
            "flag": ("y", np.arange(8) % 3 == 0),
            "latitude": (("y", "x"), rng.random((8, 9)).astype(np.float32)),
            "label": ("x", list("abcdefghi")),
            "height": 5,
        },
        attrs={"units": "K"},
        name="temperature",
    )
    if request.param == "memory":
        return x
    pytest.importorskip("dask")
    return x.chunk({"band": 1, "y": 3, "x": 4})


def same(got, expected):
    """Identical; coordinates that are means, to rounding."""
    assert (got.name, got.attrs, got.dims) == (expected.name, expected.attrs, expected.dims)
    assert set(got.coords) == set(expected.coords)
    for name in expected.coords:
        assert got[name].dtype == expected[name].dtype
        assert got[name].attrs == expected[name].attrs
        assert got[name].dims == expected[name].dims
    xr.testing.assert_allclose(got.compute(), expected.compute(), rtol=1e-6)


@pytest.mark.parametrize("boundary", ["exact", "trim"])
@pytest.mark.parametrize(
    ("op", "reduction"), [("max", "max"), ("min", "min"), ("avg", "mean"), ("sum", "sum")]
)
def test_as_coarsen(image, op, reduction, boundary):
    window = {"y": 2, "x": 3} if boundary == "exact" else {"x": 4, "y": 3}
    image = image.drop_vars("label")  # coarsen refuses letters along pooled dimensions
    expected = getattr(image.coarsen(window, boundary=boundary), reduction)()
    same(fp.pool(image, op, window), expected.transpose(*image.dims))
    same(getattr(fp, f"{op}_pool")(image.transpose(), window), expected.transpose())


def test_lazy_stays_lazy(image):
    y = fp.max_pool(image, {"y": 2, "x": 2})
    assert (y.chunks is None) == (image.chunks is None)


def test_medians_and_modes():
    x = xr.DataArray(np.arange(24).reshape(4, 6) % 5, dims=("y", "x"))
    window = {"y": 2, "x": 3}
    np.testing.assert_array_equal(fp.mode_pool(x, window), fp.mode_pool(x.data, (2, 3)))
    y = x.astype(float)
    same(fp.median_pool(y, window), y.coarsen(window).median())


def test_other_arguments_by_name(image):
    call = {"stride": {"y": 1}, "padding": {"x": (1, 0)}, "dilation": {"y": 2}, "ceil_mode": True}
    y, indices = fp.max_pool(image, {"y": 2, "x": 3}, return_indices=True, **call)
    plain = {"stride": (1, 3), "padding": ((0, 0), (1, 0)), "dilation": (2, 1), "ceil_mode": True}
    expected = fp.max_pool(np.asarray(image), (2, 3), return_indices=True, **plain)
    np.testing.assert_array_equal(y, expected[0])
    np.testing.assert_array_equal(indices, expected[1])
    assert indices.name == "indices"
    assert indices.attrs == {}
    np.testing.assert_array_equal(y.y, (image.y.data[:-2] + image.y.data[2:]) / 2)  # the tapped elements
    np.testing.assert_array_equal(indices.x, y.x)
    same(fp.max_pool(image, 2, axes=("y", "x")), fp.max_pool(image, {"y": 2, "x": 2}))
    same(fp.max_pool(image, (2, 3), axes=["y", "x"]), fp.max_pool(image, {"y": 2, "x": 3}))
    same(fp.max_pool(image, (2, 3)), fp.max_pool(image, {"y": 2, "x": 3}))
    padded = fp.avg_pool(image, {"x": 4}, padding="same")
    assert padded.sizes == {"band": 2, "y": 8, "x": 3}


def test_adaptive_and_global(image):
    y = fp.adaptive_pool(image, "avg", {"x": 3, "y": None})
    assert y.sizes == {"band": 2, "y": 8, "x": 3}
    same(y, fp.avg_pool(image, {"x": 3, "y": 1}))
    same(
        fp.global_avg_pool(image, axes=("y", "x")), image.drop_vars("label").mean(("y", "x"), keep_attrs=True)
    )
    kept = fp.global_max_pool(image, axes="y", keepdims=True)
    assert kept.sizes == {"band": 2, "y": 1, "x": 9}
    np.testing.assert_array_equal(kept.y, [35.0])
    assert list(kept.label.data) == list("abcdefghi")
    total = fp.global_sum_pool(image, axes=("band", "y", "x"))
    np.testing.assert_allclose(total, float(image.sum()))
    assert set(total.coords) == {"height"}


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("kind", ["M8[ns]", "m8[us]", "f8", "f4", "f2", ">f8", "longdouble", "bool", "u8"])
def test_means_of_coordinates_leave_out_what_is_missing(kind, lazy):
    values = np.array([3, 0, 2**62, 2**62 + 5, 7, 0, 0, 0, -(2**61), -9])
    missing = np.zeros(10, bool)
    if kind[-2:] in ("f8", "f4", "f2", "s]", "le"):
        missing[[1, 5, 6, 7]] = True  # of one window one element, of another all
    times = kind[0] in "Mm"
    values = (values if times else values % 4).astype(kind)
    values[missing] = np.array("NaT" if times else 0 if kind in ("bool", "u8") else "nan").astype(kind)
    x = xr.DataArray(np.arange(10.0), dims="t", coords={"at": ("t", values)})
    if lazy:
        pytest.importorskip("dask")
        x["at"] = x["at"].chunk(t=4)
    found = fp.max_pool(x, {"t": 3}, stride=1).at
    assert bool(found.chunks) == lazy
    expected = []
    for begin in range(8):
        left = x.at.values[begin : begin + 3][~missing[begin : begin + 3]]
        if times:
            ticks = [int(tick) for tick in left.astype(np.int64)]
            mean = (2 * sum(ticks) + len(ticks)) // (2 * len(ticks)) if ticks else -(2**63)
            expected.append(np.int64(mean).astype(x.at.dtype))
        else:
            expected.append(left.astype(float).mean() if left.size else np.nan)
    if times:
        np.testing.assert_array_equal(found.values, expected)
    else:
        tolerance = {"f2": 1e-3, "f4": 1e-6}.get(kind, 1e-14)
        np.testing.assert_allclose(found.values.astype(float), expected, rtol=tolerance)


def test_other_coordinates_keep_the_first_of_each_window():
    pd = pytest.importorskip("pandas")
    levels = pd.MultiIndex.from_product([[1, 2, 3], ["a", "b"]], names=["number", "letter"])
    anything = np.empty(6, object)
    anything[:] = [None, "a", 3, [1], {}, object()]
    x = xr.DataArray(np.arange(24.0).reshape(6, 4), dims=("t", "y"))
    indexes = {
        "zone": pd.date_range("2024-03-31", periods=6, freq="h", tz="Europe/Berlin"),
        "month": pd.period_range("2024-01", periods=6, freq="M"),
        "interval": pd.interval_range(0, 6),
        "category": pd.CategoricalIndex(list("abcabc")),
        "nullable": pd.array([1, None, 3, 4, None, 6], dtype="Int64"),
        "object": anything,
        "complex": np.arange(6) * 1j,
        "levels": xr.Coordinates.from_pandas_multiindex(levels, "t"),
    }
    for name, index in indexes.items():
        own = index if name == "levels" else {"t": ("t", index) if name == "object" else index}
        named = x.assign_coords(own)
        for y, first in (
            (fp.avg_pool(named, {"t": 3}, stride=2, padding=1), [0, 1, 3]),
            (fp.adaptive_pool(named, "max", {"t": 4}), [0, 1, 3, 4]),
            (fp.global_pool(named, "max", axes="t", keepdims=True), [0]),
        ):
            expected = named.isel(t=first).coords.to_dataset()
            xr.testing.assert_identical(y.coords.to_dataset(), expected)
    text = np.array([[f"{row}{column}" for column in range(4)] for row in range(6)])
    both = x.assign_coords(place=(("y", "t"), text.T))
    y = fp.max_pool(both, {"y": 2, "t": 3})
    np.testing.assert_array_equal(y.place.transpose("t", "y"), text[::3, ::2])
    assert y.place.dims == ("y", "t")


def test_backward(image):
    window = {"y": 2, "x": 3}
    y, pull = fp.vjp(fp.lp_pool, image, window)
    gx, slopes = pull(y.transpose(), params=True)
    expected_y, expected_pull = fp.vjp(fp.lp_pool, np.asarray(image), (2, 3))
    expected, expected_slopes = expected_pull(expected_y, params=True)
    np.testing.assert_allclose(gx, expected, rtol=1e-12)
    np.testing.assert_allclose(float(slopes["p"]), expected_slopes["p"], rtol=1e-9)
    assert gx.dims == image.dims
    assert set(gx.coords) == set(image.coords)
    np.testing.assert_allclose(fp.pool_backward(y, image, "lp", window), expected, rtol=1e-12)
    gy = fp.global_max_pool(image, axes=("y", "x"))
    gx = fp.global_pool_backward(gy, image, "max", axes=("y", "x"))
    assert int((gx != 0).sum()) == 2


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda x: fp.max_pool(x, {"z": 2}), "window must name dimensions of x.*got 'z'"),
        (
            ValueError,
            lambda x: fp.max_pool(x, {"y": 2}, stride={"x": 2}),
            "stride must name pooled dimensions",
        ),
        (ValueError, lambda x: fp.max_pool(x, {"y": 2}, axes="y"), "axes must be None where window names"),
        (ValueError, lambda x: fp.global_max_pool(x, axes="z"), "axes must name dimensions of x"),
        (ValueError, lambda x: fp.max_pool(x, {"y": 20}), "axis 1 of x: a window of 20"),
        (ValueError, lambda x: fp.vjp(fp.max_pool, x, {"y": 2})[1](x[0, 0]), "gy must"),
        (TypeError, lambda x: fp.max_pool(x, {"y": 2}, out=x), "out must be None"),
        (TypeError, lambda x: fp.vjp(fp.max_pool, x.to_dataset(), {"y": 2}), "pool a variable"),
        (TypeError, lambda x: fp.max_pool(x.to_dataset(), 2), "window must name dimensions of a Dataset"),
        (TypeError, lambda x: fp.mosaic(x, 2), "mosaic takes no xarray objects"),
        (
            TypeError,
            lambda x: fp.vjp(fp.max_pool, x, {"y": 2})[1](x.data[:, ::2]),
            "must all be xarray.DataArray",
        ),
        (TypeError, lambda x: fp.pool_backward(x, None, "max", {"y": 2}), "got x of builtins.NoneType"),
    ],
)
def test_errors(image, error, call, message):
    with pytest.raises(error, match=message):
        call(image)


# Missing data and weights ---------------------------------------------------------------------------------


def coarsened(x, window, reduction, **options):
    """What coarsen gives, with options of reductions, which coarsen itself does not take."""
    coarse = x.coarsen(window)
    cut = coarse.construct({dim: (dim, f"in_{dim}") for dim in window})
    values = getattr(cut, reduction)([f"in_{dim}" for dim in window], **options)
    return coarse.max().copy(data=values.data)


@pytest.fixture
def gaps():
    """A field with NaNs, of which some windows have nothing else."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((8, 12))
    x[rng.random(x.shape) < 0.5] = np.nan
    x[:2, :3] = np.nan
    return xr.DataArray(
        x, dims=("y", "x"), coords={"y": np.arange(8.0), "x": np.arange(12)}, attrs={"units": "K"}
    )


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("op", "reduction"),
    [
        ("max", "max"),
        ("min", "min"),
        ("avg", "mean"),
        ("sum", "sum"),
        ("median", "median"),
        ("count", "count"),
        ("var", "var"),
        ("std", "std"),
    ],
)
def test_nans_are_left_out_as_with_coarsen(gaps, op, reduction, lazy):
    window = {"y": 2, "x": 3}
    least = {"min_count": 1} if op == "sum" else {}
    expected = coarsened(gaps, window, reduction, **least)
    same(expected if op == "sum" else getattr(gaps.coarsen(window), reduction)(), expected)
    x = gaps
    if lazy:
        pytest.importorskip("dask")
        x = gaps.chunk({"y": 3, "x": 5})
    for function in (lambda *a, **k: fp.pool(a[0], op, *a[1:], **k), getattr(fp, f"{op}_pool")):
        same(function(x, window), expected)
        same(function(x, window, skipna=None), expected)
        if op not in ("count", "median"):
            same(function(x, window, skipna=False), coarsened(gaps, window, reduction, skipna=False))
    if op == "sum":
        same(fp.sum_pool(x, window, min_count=0), gaps.coarsen(window).sum())
        same(fp.sum_pool(x, window, min_count=4), coarsened(gaps, window, "sum", min_count=4))
    y = fp.pool(x, op, window, min_count=3)
    np.testing.assert_array_equal(y == 0 if op == "count" else y.isnull(), gaps.coarsen(window).count() < 3)


def test_integers_and_divisors(gaps):
    numbers = gaps.fillna(3).astype(int)
    np.testing.assert_array_equal(fp.max_pool(numbers, {"y": 2}), fp.max_pool(numbers.data, (2,), axes=0))
    padded = {"y": 3, "x": 3}, {"padding": 1}
    full = gaps.fillna(1.0)
    y = fp.avg_pool(full, padded[0], **padded[1])
    np.testing.assert_allclose(y, fp.avg_pool(full.data, (3, 3), padding=1, count_include_pad=False))
    np.testing.assert_allclose(fp.avg_pool(full, padded[0], count_include_pad=False, **padded[1]), y)
    y = fp.avg_pool(full, padded[0], skipna=False, **padded[1])
    np.testing.assert_allclose(y, fp.avg_pool(full.data, (3, 3), padding=1))
    y = fp.avg_pool(full, padded[0], divisor_override=2, **padded[1])
    np.testing.assert_allclose(y, fp.avg_pool(full.data, (3, 3), padding=1, divisor_override=2))
    with pytest.raises(TypeError, match="skipna must be True or False"):
        fp.max_pool(full.data, (3, 3), skipna=None)


def test_indices_of_nothing(gaps):
    y, indices = fp.max_pool(gaps, {"y": 2, "x": 3}, return_indices=True)
    np.testing.assert_array_equal(indices == -1, y.isnull())
    chosen = indices.data[indices.data >= 0]
    np.testing.assert_array_equal(gaps.data.ravel()[chosen], y.data[indices.data >= 0])


def test_where_and_weights_by_name(gaps):
    where = xr.DataArray(np.arange(12) % 3 > 0, dims="x", coords={"x": gaps.x})
    weights = np.cos(gaps.y / 10)
    window = {"y": 4, "x": 3}
    y, pull = fp.vjp(fp.avg_pool, gaps, window, where=where, weights=weights)
    plain = {"where": where.data, "weights": weights.data[:, None], "skipna": True}
    expected, expected_pull = fp.vjp(fp.avg_pool, gaps.data, (4, 3), **plain)
    np.testing.assert_array_equal(y, expected)
    gx, slopes = pull(y.fillna(0), params=True)
    expected_gx, expected_slopes = expected_pull(np.nan_to_num(expected), params=True)
    np.testing.assert_array_equal(gx, expected_gx)
    assert slopes["weights"].dims == ("y",)
    np.testing.assert_array_equal(slopes["weights"], expected_slopes["weights"][:, 0])
    xr.testing.assert_equal(slopes["weights"].y, gaps.y)
    both = (weights * xr.ones_like(gaps.fillna(0))).transpose("x", "y")
    y, pull = fp.vjp(fp.avg_pool, gaps, window, where=where, weights=both)
    np.testing.assert_allclose(y, expected)
    slope = pull(y.fillna(0), params=True)[1]["weights"]
    assert slope.dims == ("x", "y")
    np.testing.assert_allclose(slope.sum("x"), slopes["weights"])
    gx = fp.pool_backward(y.fillna(0), gaps, "avg", window, where=where, weights=weights)
    np.testing.assert_allclose(gx, expected_gx)
    np.testing.assert_allclose(
        fp.global_pool(gaps, "avg", axes=("y", "x"), weights=weights), gaps.weighted(weights).mean()
    )
    np.testing.assert_array_equal(
        fp.max_pool(gaps, window, where=where.data),
        fp.max_pool(gaps.data, (4, 3), where=where.data, skipna=True),
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (xr.DataArray(np.ones(3), dims="z"), r"weights must have dimensions of x.*got 'z'"),
        (xr.DataArray(np.ones(3), dims="y"), r"weights must be as long as x along 'y', 8, got 3"),
        (
            xr.DataArray(np.ones(8), dims="y", coords={"y": np.arange(8) + 1.0}),
            "weights must have the coordinates",
        ),
        (xr.DataArray(-np.ones(8), dims="y"), "weights must be finite and at least 0"),
    ],
)
def test_weights_that_do_not_fit(gaps, weights, message):
    with pytest.raises(ValueError, match=message):
        fp.avg_pool(gaps, {"y": 2}, weights=weights)


def test_a_stride_by_name():
    hours = np.arange(
        np.datetime64("2024-01-01T00", "ns"), np.datetime64("2024-01-05T00", "ns"), np.timedelta64(1, "h")
    )
    x = xr.DataArray(np.arange(192.0).reshape(96, 2), dims=("time", "station"), coords={"time": hours})
    y = fp.avg_pool(x, {"time": 24}, stride={"time": 6})
    assert y.sizes == {"time": 13, "station": 2}
    expected = x.rolling(time=24).mean()[23::6]
    np.testing.assert_allclose(y, expected)
    np.testing.assert_array_equal(y.time, hours[:73:6] + np.timedelta64(690, "m"))
    same = fp.avg_pool(x, {"time": 24}, stride={"time": 6}, padding={"time": (6, 0)}, dilation={"time": 1})
    np.testing.assert_allclose(same[1:], y)


# Datasets --------------------------------------------------------------------------------------------------


def test_datasets_variable_by_variable(image):
    image = image.drop_vars(["label", "band"])
    data = xr.Dataset(
        {
            "a": image,
            "line": image.mean(("band", "x")),
            "count": (image * 10).astype(int).transpose("x", "band", "y"),
            "kept": ("band", np.arange(2)),
            "number": 3,
        },
        attrs={"title": "some"},
    )
    window = {"y": 2, "x": 3}
    y = fp.max_pool(data, window)
    expected = data.coarsen(window).max()
    assert y.attrs == data.attrs
    assert list(y) == list(data)
    xr.testing.assert_allclose(y.compute(), expected.compute(), rtol=1e-6)
    xr.testing.assert_identical(y["a"].compute(), fp.max_pool(data["a"], window).compute())
    y, indices = fp.max_pool(data, window, return_indices=True)
    assert set(indices) == {"a", "line", "count"}
    np.testing.assert_array_equal(indices["a"], fp.max_pool(data["a"], window, return_indices=True)[1])
    whole = fp.global_pool(data, "max", axes=("y", "x"))
    xr.testing.assert_allclose(whole.compute(), data.max(("y", "x")).compute())
    bins = fp.adaptive_pool(data, "avg", {"x": 3})
    assert bins.sizes == {"band": 2, "y": 8, "x": 3}
    np.testing.assert_array_equal(bins["line"], data["line"])


def test_datasets_name_the_variable():
    data = xr.Dataset({"text": ("t", list("abcd")), "number": ("t", np.arange(4))})
    with pytest.raises(TypeError, match="x must have one of the dtypes") as error:
        fp.max_pool(data, {"t": 2})
    assert error.value.__notes__ == ["x is the variable 'text'"]
    for call in (
        lambda: fp.pool_backward(data, data, "max", {"t": 2}),
        lambda: fp.vjp(fp.max_pool, data, {"t": 2}),
    ):
        with pytest.raises(TypeError, match="pool a variable"):
            call()


# Areas and blurs -------------------------------------------------------------------------------------------


def test_cells_of_any_size(gaps):
    gaps = gaps.assign_coords(
        name=("x", list("abcdefghijkl")), depth=(("y", "x"), np.arange(96.0).reshape(8, 12))
    )
    y, pull = fp.vjp(fp.area_pool, gaps, {"x": 5})
    np.testing.assert_array_equal(y, fp.area_pool(gaps.data, (5,), skipna=True))
    np.testing.assert_allclose(y.x, fp.area_pool(np.arange(12.0), (5,)))
    np.testing.assert_allclose(y.depth, fp.area_pool(gaps.depth.data, (5,)))
    assert list(y["name"].data) == list("acehj")
    xr.testing.assert_equal(y.y, gaps.y)
    gx = pull(y.fillna(0))
    np.testing.assert_array_equal(gx, fp.area_pool_backward(y.fillna(0).data, gaps.data, (5,), skipna=True))
    by_ratio = fp.area_pool(gaps, ratio={"y": 1.5}, op="sum")
    np.testing.assert_array_equal(by_ratio, fp.area_pool(gaps.data, ratio=1.5, axes=0, op="sum", skipna=True))
    weights = xr.DataArray(np.arange(8.0), dims="y")
    np.testing.assert_array_equal(
        fp.area_pool(gaps, {"y": 3}, weights=weights),
        fp.area_pool(gaps.data, 3, axes=0, weights=np.arange(8.0)[:, None], skipna=True),
    )


@pytest.mark.parametrize("call", [{"output_size": {"x": 5, "y": 3}}, {"ratio": {"x": 2.5}, "op": "sum"}])
def test_cells_of_lazy_data_and_coordinates(gaps, call):
    pytest.importorskip("dask")
    times = np.arange(96).astype("datetime64[m]").astype("datetime64[ns]").reshape(8, 12)
    times[0, :3] = np.datetime64("NaT")
    gaps = gaps.assign_coords(depth=(("y", "x"), np.arange(96.0).reshape(8, 12)), at=(("y", "x"), times))
    lazy = gaps.chunk({"y": 3, "x": 5})
    y, expected = fp.area_pool(lazy, **call), fp.area_pool(gaps, **call)
    assert all(each.chunks for each in (y, y.depth, y["at"]))
    same(y, expected)
    weights = np.cos(gaps.y / 10)
    same(fp.area_pool(lazy, **call, weights=weights), fp.area_pool(gaps, **call, weights=weights))
    same(fp.blur_pool(lazy, {"x": 3}, op="max"), fp.blur_pool(gaps, {"x": 3}, op="max"))


def test_times_of_cells():
    days = np.arange("2024-01-01", "2024-01-04", dtype="datetime64[D]").astype("datetime64[ns]")
    x = xr.DataArray(np.arange(3.0), dims="t", coords={"t": days, "gap": ("t", days.copy())})
    x["gap"].data[1] = np.datetime64("NaT")
    y = fp.area_pool(x, {"t": 2})
    np.testing.assert_array_equal(y.t, days[0] + np.array([8, 40], "m8[h]"))
    np.testing.assert_array_equal(y.gap, days[[0, 2]])


def test_blurs_keep_coordinates(gaps):
    y = fp.blur_pool(gaps, {"x": 3})
    np.testing.assert_array_equal(y, fp.blur_pool(gaps.data, (3,), skipna=True))
    xr.testing.assert_equal(y.x, gaps.x[::2])
    y = fp.blur_pool(gaps, {"x": 3, "y": 5}, stride={"y": 3})
    np.testing.assert_array_equal(y, fp.blur_pool(gaps.data, (3, 5), stride=(2, 3), axes=(1, 0), skipna=True))
    xr.testing.assert_equal(y.y, gaps.y[::3])
    y = fp.blur_pool(gaps, axes=("y", "x"))
    assert y.sizes == {"y": 4, "x": 6}
    data = fp.blur_pool(gaps.to_dataset(name="a"), {"x": 3})
    xr.testing.assert_equal(data["a"], fp.blur_pool(gaps, {"x": 3}))
