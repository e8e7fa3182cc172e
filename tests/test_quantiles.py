"""Several quantiles in one call: a first axis, in every form, direction, library, and with missing data."""

import numpy as np
import pytest
import test_gradients

import fastpool as fp

Q = [0.9, 0, 0.25]
FORMS = test_gradients.FORMS
X = test_gradients.X


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("missing", [{}, {"where": X > -20, "min_count": 2, "fill": 7}], ids=["all", "some"])
def test_each_form_stacks_them(form, missing):
    f, backward, arguments, keywords = FORMS[form]
    call = {**keywords, **missing}
    if form == "roi_pool" or form == "global":
        call.pop("min_count", None)
    each = [fp.vjp(f, X, "quantile", *arguments, q=q, **call) for q in Q]
    y, pull = fp.vjp(f, X, "quantile", *arguments, q=Q, **call)
    np.testing.assert_array_equal(y, [one for one, _ in each])
    assert y.flags.c_contiguous
    gy = np.random.default_rng(3).standard_normal(y.shape)
    gx = pull(gy)
    np.testing.assert_allclose(gx, sum(own(g) for (_, own), g in zip(each, gy, strict=True)), rtol=1e-13)
    np.testing.assert_array_equal(backward(gy, X, "quantile", *arguments, q=Q, **call), gx)
    assert pull(gy, params=True)[1] == {}


def test_numpy_says_the_same(rng):
    x = rng.standard_normal((4, 5, 6))
    np.testing.assert_allclose(fp.global_pool(x, "quantile", axes=1, q=Q), np.quantile(x, Q, 1), rtol=1e-13)
    found = fp.quantile_pool(x, (6,), q=np.array(Q, np.float32))
    np.testing.assert_allclose(found[..., 0], np.quantile(x, np.float32(Q).astype(float), -1), rtol=1e-13)
    assert fp.quantile_pool(x, (2,), q=(0.5,)).shape == (1, 4, 5, 3)
    assert fp.global_pool(x, "quantile", axes=(0, 1, 2), q=Q).shape == (3,)
    assert fp.quantile_pool(x[:0], (2,), q=Q).shape == (3, 0, 5, 3)


def test_integers_out_and_dtype(rng):
    x = rng.integers(0, 99, (6, 8)).astype(np.uint8)
    y = fp.quantile_pool(x, (3, 4), q=Q)
    assert y.dtype == np.uint8
    out = np.zeros((3, 2, 2), np.uint8)
    assert fp.quantile_pool(x, (3, 4), q=Q, out=out) is out
    np.testing.assert_array_equal(out, y)
    wide = np.zeros((2, 2, 3)).transpose(2, 0, 1)
    assert fp.pool(x.astype(float), "quantile", (3, 4), q=Q, out=wide) is wide
    np.testing.assert_array_equal(wide, fp.quantile_pool(x.astype(float), (3, 4), q=Q))
    assert fp.quantile_pool(x, (3, 4), q=Q, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match=r"out must have the result's shape \(3, 2, 2\)"):
        fp.quantile_pool(x, (3, 4), q=Q, out=out[0])
    with pytest.raises(ValueError, match="out must share no memory with x"):
        fp.quantile_pool(x, (3, 4), q=Q, out=x[:3, :4].reshape(3, 2, 2))


@pytest.mark.parametrize(
    "call", [fp.quantile_pool, lambda x, window, **k: fp.pool(x, "quantile", window, **k)]
)
@pytest.mark.parametrize(
    ("q", "error"),
    [
        ([], ValueError),
        ([0.5, 1.5], ValueError),
        ([0.5, np.nan], ValueError),
        (np.ones((2, 2)), ValueError),
        (["0.5"], TypeError),
        ([True], TypeError),
        ([[0.5]], TypeError),
        ("0.5", TypeError),
    ],
    ids=str,
)
def test_what_q_may_be(call, q, error):
    with pytest.raises(error, match=r"\bq\b"):
        call(np.ones((4, 4)), (2, 2), q=q)


def test_errors_of_gradients_and_indices():
    x = np.ones((4, 4))
    y, pull = fp.vjp(fp.quantile_pool, x, (2, 2), q=Q)
    for bad in (y[:2], y[0]):
        with pytest.raises(ValueError, match="gy must have"):
            pull(bad)
        with pytest.raises(ValueError, match="gy must have"):
            fp.pool_backward(bad, x, "quantile", (2, 2), q=Q)
    with pytest.raises(ValueError, match="return_indices"):
        fp.pool(x, "quantile", (2, 2), q=Q, return_indices=True)
    with pytest.raises(TypeError, match="'q'"):
        fp.pool(x, "median", (2, 2), q=Q)
    with pytest.raises(TypeError, match="out"):
        fp.global_pool(x, "quantile", axes=0, q=Q, out=np.ones((3, 4)))


@pytest.mark.parametrize("rng", [None, np.random.default_rng(4)], ids=["fresh", "a generator"])
@pytest.mark.parametrize("scheme", ["torch", "random"])
def test_all_have_the_same_random_windows(rng, scheme):
    x = np.arange(300.0)
    call = {"window": 2} if scheme == "torch" else {}
    y = fp.fractional_pool(x, "quantile", 90, q=[0, 0, 1], scheme=scheme, axes=0, rng=rng, **call)
    np.testing.assert_array_equal(y[0], y[1])
    assert (y[2] >= y[0]).all()


def test_masked_arrays(rng):
    x = np.ma.array(rng.standard_normal((6, 8)), mask=rng.random((6, 8)) < 0.6)
    x[:2, :2] = np.ma.masked
    y = fp.quantile_pool(x, (2, 2), q=Q)
    for one, q in zip(y, Q, strict=True):
        own = fp.quantile_pool(x, (2, 2), q=q)
        np.testing.assert_array_equal(one.mask, own.mask)
        np.testing.assert_array_equal(one.filled(0), own.filled(0))


def test_a_call_that_is_only_explained():
    out = np.zeros((3, 8, 8))
    found = fp.explain_call(fp.quantile_pool, np.ones((16, 16)), (2, 2), q=Q, out=out)
    assert found.kernel == "3 calls"
    assert not out.any()


# Other libraries -----------------------------------------------------------------------------------------


def test_xarray(rng):
    xarray = pytest.importorskip("xarray")
    x = xarray.DataArray(rng.standard_normal((6, 8)), dims=("y", "x"), name="t", attrs={"units": "m"})
    x = x.assign_coords(x=np.arange(8) * 10)
    y, pull = fp.vjp(fp.quantile_pool, x, {"x": 4}, q=Q)
    assert y.dims == ("quantile", "y", "x")
    assert (y.name, y.attrs) == ("t", {"units": "m"})
    np.testing.assert_array_equal(y.coords["quantile"], Q)
    np.testing.assert_array_equal(y.coords["x"], [15, 55])
    np.testing.assert_array_equal(y.sel(quantile=0.25), fp.quantile_pool(x, {"x": 4}, q=0.25))
    gx = pull(y.transpose("x", "quantile", "y"))
    np.testing.assert_allclose(gx, fp.vjp(fp.quantile_pool, x.data, 4, axes=1, q=Q)[1](y.data))
    whole = fp.global_pool(x, "quantile", axes="y", q=Q)
    xarray.testing.assert_allclose(whole, x.quantile(Q, "y", keep_attrs=True))
    both = fp.pool(xarray.Dataset({"t": x, "u": x[0], "k": x[:, 0]}), "quantile", {"x": 4}, q=Q)
    assert both["u"].dims == ("quantile", "x")
    assert both["k"].dims == ("y",)
    np.testing.assert_array_equal(both["t"], y)
    np.testing.assert_array_equal(both["quantile"], Q)


def test_dask(rng):
    da = pytest.importorskip("dask.array")
    x = rng.standard_normal((6, 9))
    lazy = da.from_array(x, chunks=(3, 4))
    y, pull = fp.vjp(fp.quantile_pool, x, (2, 3), q=Q, skipna=True)
    lazy_y, lazy_pull = fp.vjp(fp.quantile_pool, lazy, (2, 3), q=Q, skipna=True)
    np.testing.assert_array_equal(lazy_y.compute(scheduler="sync"), y)
    gy = da.from_array(y, chunks=(1, 2, 2))
    np.testing.assert_allclose(lazy_pull(gy).compute(scheduler="sync"), pull(y))
    back = fp.pool_backward(gy, lazy, "quantile", (2, 3), q=Q)
    np.testing.assert_allclose(back.compute(scheduler="sync"), pull(y))
    with pytest.raises(ValueError, match="first axis of 3 quantiles"):
        fp.pool_backward(gy[:2], lazy, "quantile", (2, 3), q=Q)


@pytest.mark.peer
def test_torch():
    torch = pytest.importorskip("torch")
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    wanted = torch.from_numpy(fp.quantile_pool(x.numpy(), 2, q=Q))
    for own in (x, x.contiguous(memory_format=torch.channels_last)):
        assert fp.quantile_pool(own, 2, q=Q).equal(wanted)
    y, pull = fp.vjp(fp.quantile_pool, x, 2, q=Q)
    x.requires_grad_()
    fp.quantile_pool(x, 2, q=Q).backward(y)
    torch.testing.assert_close(x.grad, pull(y))
    f = torch.compile(lambda x: fp.quantile_pool(x, 2, q=[0.9, 0.1]) * 2, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(f(x), 2 * fp.quantile_pool(x, 2, q=[0.9, 0.1]))
    batched = torch.func.vmap(lambda x: fp.quantile_pool(x, (2, 2), q=Q), out_dims=1)
    torch.testing.assert_close(batched(x.detach()), wanted)


@pytest.mark.peer
def test_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # which with one processor waits for ever
    x = np.random.default_rng(2).standard_normal((3, 4, 6)).astype(np.float32)
    wanted, pull = fp.vjp(fp.quantile_pool, x, (2, 3), q=Q)

    def f(x):
        return fp.quantile_pool(x, (2, 3), q=Q)

    np.testing.assert_array_equal(f(jax.numpy.asarray(x)), wanted)
    np.testing.assert_array_equal(jax.jit(f)(x), wanted)
    np.testing.assert_array_equal(jax.vmap(f, out_axes=1)(x), wanted)
    np.testing.assert_allclose(jax.vjp(f, jax.numpy.asarray(x))[1](wanted)[0], pull(wanted), rtol=1e-6)
