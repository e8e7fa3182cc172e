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
    # coarsen refuses coordinates of letters along pooled dimensions; they are dropped here.
    window = {"y": 2, "x": 3} if boundary == "exact" else {"x": 4, "y": 3}
    plain = image.drop_vars("label")
    expected = getattr(plain.coarsen(window, boundary=boundary), reduction)()
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
        (TypeError, lambda x: fp.max_pool(x.to_dataset(), {"y": 2}), "must all be xarray.DataArray, got x"),
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
