"""Pooling of dask arrays: equal to the call on the array in memory, whatever the chunks."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from threading import get_ident

import numpy as np
import pytest

import fastpool as fp
from fastpool import threads, windows
from fastpool.random import Draws

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

OPS = {
    "max": {},
    "min": {},
    "avg": {},
    "sum": {},
    "lp": {"p": 3},
    "gem": {"p": 2},
    "lse": {"r": 2},
    "soft": {"beta": 0.5},
    "mixed": {"alpha": 0.25},
    "stochastic": {"rng": 5},
    "median": {},
    "quantile": {"q": 0.3},
    "var": {},
    "std": {"ddof": 1},
    "nearest": {"corner": "middle"},
}
CHOOSING = ("max", "min", "stochastic", "nearest")
EXACT = (*CHOOSING, "median", "quantile")


@pytest.fixture(autouse=True)
def rechunked_by_tasks():
    """Another test's cluster, which may be closing still, does not move what threads compute here."""
    with dask.config.set({"array.rechunk.method": "tasks"}):
        yield


@pytest.fixture(autouse=True)
def _one_thread():
    with dask.config.set(scheduler="sync"):
        yield


def chunks(rng, shape, most=8):
    """Random chunks, in which boundaries cut windows."""
    sizes = []
    for n in shape:
        own = []
        while sum(own) < n:
            own.append(int(min(rng.integers(1, most), n - sum(own))))
        sizes.append(tuple(own))
    return tuple(sizes)


def lazy(rng, x):
    return da.from_array(x, chunks=chunks(rng, x.shape))


def close(got, expected, exact):
    assert got.dtype == expected.dtype
    if exact:
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def geometry(rng):
    """A random shape, window and other arguments."""
    shape = tuple(rng.integers(1, 24, rng.integers(1, 4)).tolist())
    count = int(rng.integers(1, len(shape) + 1))
    window, stride, dilation = (rng.integers(1, most, count).tolist() for most in (6, 7, 4))
    spans = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    pairs = [(int(rng.integers(0, span)), int(rng.integers(0, span))) for span in spans]
    call = {
        "stride": stride,
        "dilation": dilation,
        "padding": [pairs, "same", "same_lower", "valid"][rng.integers(4)],
        "ceil_mode": bool(rng.integers(2)),
        "axes": rng.permutation(len(shape))[:count].tolist(),
    }
    return shape, window, call


@pytest.mark.parametrize("op", OPS)
def test_random_cases_forward_and_backward(op):
    # 14 of each of 15 operators: 210 cases.
    rng, tried = np.random.default_rng(list(op.encode())), 0
    while tried < 14:
        shape, window, call = geometry(rng)
        options = dict(OPS[op])
        if op in ("avg", "mixed"):
            options["count_include_pad"] = bool(rng.integers(2))
            options["divisor_override"] = [None, None, 3][rng.integers(3)]
        x = rng.permutation(int(np.prod(shape))).reshape(shape) * 0.25 - 5
        d = lazy(rng, x)
        try:
            y, pull = fp.vjp(fp.pool, x, op, window, **call, **options)
        except ValueError as error:
            with pytest.raises(ValueError, match=re.escape(str(error))):
                fp.pool(d, op, window, **call, **options)
            continue
        tried += 1
        lazy_y, lazy_pull = fp.vjp(fp.pool, d, op, window, **call, **options)
        assert (lazy_y.shape, lazy_y.dtype) == (y.shape, y.dtype)
        close(lazy_y.compute(), y, op in EXACT)
        gy = rng.standard_normal(y.shape)
        gx, slopes = pull(gy, params=True)
        lazy_gx, lazy_slopes = lazy_pull(lazy(rng, gy), params=True)
        assert (lazy_gx.shape, lazy_gx.dtype) == (gx.shape, gx.dtype)
        close(lazy_gx.compute(), gx, False)
        assert set(lazy_slopes) == set(slopes)
        for name, slope in slopes.items():
            np.testing.assert_allclose(lazy_slopes[name].compute(), slope, rtol=1e-9, atol=1e-9)
        if op in CHOOSING:
            values, indices = fp.pool(x, op, window, return_indices=True, **call, **options)
            pair = fp.pool(d, op, window, return_indices=True, **call, **options)
            assert pair[1].dtype == indices.dtype
            found = dask.compute(*pair)
            close(found[0], values, True)
            close(found[1], indices, True)
            given = {"indices": lazy(rng, indices), **call, **options}
            close(fp.pool_backward(lazy(rng, gy), d, op, window, **given).compute(), gx, False)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("size", [(3, 5), (1, 1), (None, 1), (4, 11)])
def test_adaptive(op, size, rng):
    x = rng.standard_normal((2, 3, 13, 11))
    d = lazy(rng, x)
    y, pull = fp.vjp(fp.adaptive_pool, x, op, size, **OPS[op])
    lazy_y, lazy_pull = fp.vjp(fp.adaptive_pool, d, op, size, **OPS[op])
    close(lazy_y.compute(), y, op in EXACT)
    gy = rng.standard_normal(y.shape)
    close(lazy_pull(lazy(rng, gy)).compute(), pull(gy), False)
    back = fp.adaptive_pool_backward(lazy(rng, gy), d, op, size, **OPS[op])
    close(back.compute(), pull(gy), False)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axes", [None, (0, 3), (1,), (0, 1, 2, 3)])
def test_global(op, keepdims, axes, rng):
    x = rng.standard_normal((2, 3, 13, 11))
    d = lazy(rng, x)
    call = {"axes": axes, "keepdims": keepdims, **OPS[op]}
    y, pull = fp.vjp(fp.global_pool, x, op, **call)
    lazy_y, lazy_pull = fp.vjp(fp.global_pool, d, op, **call)
    assert lazy_y.shape == y.shape
    close(np.asarray(lazy_y.compute()), y, op in EXACT)
    gy = rng.standard_normal(y.shape)
    lazy_gy = da.from_array(gy, chunks=-1)
    close(lazy_pull(lazy_gy).compute(), pull(gy), False)
    close(fp.global_pool_backward(lazy_gy, d, op, **call).compute(), pull(gy), False)


@pytest.mark.parametrize(
    ("op", "options"),
    [
        *OPS.items(),
        ("lp", {"p": np.inf}),
        ("soft", {"beta": 0}),
        ("lse", {"r": -3}),
        ("stochastic", {"training": False}),
    ],
)
def test_global_of_hard_values(op, options, rng):
    # A value of all chunks together neither overflows nor hides a NaN, where the call in memory does not.
    dtype = {"sum": "float16", "avg": "float16", "lp": "float32"}.get(op, "float64")
    x = rng.standard_normal((6, 4, 30)).astype(dtype)
    x[0] *= 200
    x[1, :, 3] = np.nan
    x[2, :, 7] = np.inf
    x[3] = 0
    x[4, :, ::2] = -np.inf if op in ("max", "min", "avg", "sum") else -5
    expected = fp.global_pool(x, op, axes=2, **options)
    got = fp.global_pool(da.from_array(x, chunks=(2, 3, 7)), op, axes=2, **options).compute()
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=2e-3 if dtype == "float16" else 2e-6)


@pytest.mark.parametrize(
    ("dtype", "op"),
    [
        *itertools.product(["uint8", "int64"], ["max", "avg", "sum", "median", "mode"]),
        *itertools.product(["bool"], ["max", "sum"]),
        *itertools.product(["uint64"], ["max", "avg"]),
        *itertools.product(["int16"], ["min", "quantile"]),
    ],
)
def test_integers_are_exact(dtype, op, rng):
    options = OPS.get(op, {})
    info = None if dtype == "bool" else np.iinfo(dtype)
    low, high = (0, 1) if info is None else (max(info.min, -(2**62)), min(info.max, 2**62))
    x = rng.integers(low, high, (4, 21, 19), endpoint=True).astype(dtype)
    if op == "mode" and info is not None:
        x = rng.integers(0, 4, x.shape).astype(dtype)
    d = lazy(rng, x)
    call = {"stride": 2, "padding": 1, "ceil_mode": True, **options}
    close(fp.pool(d, op, (3, 4), **call).compute(), fp.pool(x, op, (3, 4), **call), True)
    for form in (fp.global_pool, fp.adaptive_pool):
        size = () if form is fp.global_pool else ((3, 3),)
        keywords = {"axes": (1, 2), **options} if form is fp.global_pool else options
        expected = form(x, op, *size, **keywords)
        close(form(d, op, *size, **keywords).compute(), expected, True)


def test_other_dtypes_and_result_dtype(rng):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for dtype in (ml_dtypes.bfloat16, np.float16, ">f4"):
        x = rng.standard_normal((9, 14)).astype(dtype)
        d = da.from_array(x, chunks=(4, 5))
        for op in ("max", "avg"):
            expected = fp.pool(x, op, (2, 3), stride=1)
            close(fp.pool(d, op, (2, 3), stride=1).compute(), expected, True)
    y = fp.avg_pool(da.from_array(x.astype("f4"), chunks=3), (2, 2), dtype="float64")
    assert y.dtype == y.compute().dtype == np.float64


def test_draws_are_those_of_the_whole_array(rng):
    x = rng.random((3, 20, 22))
    for split in ((1, 20, 22), (3, 5, 22), (2, 7, 3)):
        d = da.from_array(x, chunks=split)
        for seed in (3, Draws(9, 2**40)):
            y, indices = fp.stochastic_pool(x, (3, 2), stride=2, rng=seed, return_indices=True)
            found = dask.compute(fp.stochastic_pool(d, (3, 2), stride=2, rng=seed, return_indices=True))[0]
            close(found[0], y, True)
            close(found[1], indices, True)
    y, pull = fp.vjp(fp.stochastic_pool, d, (2, 2))  # a fresh seed, drawn once
    close(y.compute(), y.compute(), True)
    assert ((pull(da.ones_like(y)).compute() * x).sum() - y.sum().compute()) < 1e-9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: fp.max_pool(x, (30, 1)), "axis 0 of x: a window of 30"),
        (lambda x: fp.max_pool(x, 2), "from 4 on all after the first two are pooled"),
        (lambda x: fp.max_pool(x, (0, 1)), "window must be at least 1"),
        (lambda x: fp.max_pool(x, (2, 2), padding=2), "padding must be less than the dilated window"),
        (lambda x: fp.max_pool(x[x[:, 0] > 0], (2, 2)), "x must have known chunk sizes"),
        (lambda x: fp.adaptive_pool(x, "max", (0, 1)), "output_size must be at least 1"),
        (lambda x: fp.global_pool(x, "max", axes=2), "axes must be in -2..1"),
        (lambda x: fp.pool_backward(x, x, "max", (2, 2)), "gy must have the result's shape"),
    ],
)
def test_bad_values_are_refused_before_any_task_runs(call, message):
    with pytest.raises(ValueError, match=message):
        call(untouched())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: fp.max_pool(x, (2, 2), out=np.empty((10, 10))), "out must be None for dask arrays"),
        (lambda x: fp.vjp(fp.mode_pool, x.astype("i4"), (2, 2)), "mode pooling has no gradient"),
        (lambda x: fp.pyramid_pool(x, "max"), "pyramid_pool takes no dask arrays; functions that do: pool, "),
        (lambda x: fp.max_pool(x.astype("c16"), (2, 2)), "x must have one of the dtypes"),
        (
            lambda x: fp.pool_backward(x, np.ones((20, 20)), "max", (1, 1)),
            "must all be dask.array.Array, got x",
        ),
        (
            lambda x: fp.vjp(fp.max_pool, x, (2, 2))[1](np.ones((10, 10))),
            "must all be dask.array.Array, got gy",
        ),
        (lambda x: fp.max_pool(x, (2, 2), q=1), "q"),
        (lambda x: fp.pool_backward(x, None, "max", (1, 1)), "got x of builtins.NoneType"),
        (lambda x: fp.pool_backward(x, x, "max", (1, 1), indices=x), "indices must be integers"),
    ],
)
def test_bad_types_are_refused_before_any_task_runs(call, message):
    with pytest.raises(TypeError, match=message):
        call(untouched())


def untouched():
    """An array whose blocks no one may ask for."""

    def fail(block):
        raise AssertionError("a task ran")

    return da.zeros((20, 20), chunks=7).map_blocks(fail, dtype=float, meta=np.empty((0, 0)))


def test_foreign_indices_are_refused(rng):
    x = rng.random((6, 6))
    indices = fp.max_pool(x, (2, 2), return_indices=True)[1]
    indices[0, 0], indices[2, 2] = 35, 0
    d, wrong = da.from_array(x, chunks=2), da.from_array(indices, chunks=1)
    gx = fp.pool_backward(da.ones((3, 3), chunks=1), d, "max", (2, 2), indices=wrong)
    with pytest.raises(ValueError, match="indices must"):
        gx.compute()


def test_empty_batches_and_chunks():
    y = fp.max_pool(da.zeros((0, 2, 8, 8), chunks=3), 2)
    assert y.compute().shape == (0, 2, 4, 4)
    x = da.from_array(np.arange(6.0), chunks=((0, 2, 0, 4, 0),))
    assert fp.sum_pool(x, (3,)).compute().tolist() == [3, 12]
    assert fp.global_sum_pool(x, axes=0).compute() == 15


def test_graphs_are_small():
    x = da.zeros((4096, 4096), chunks=256)
    blocks = x.npartitions

    def tasks(y):
        (optimised,) = dask.optimize(y)
        return len(dict(optimised.__dask_graph__()))

    assert tasks(fp.max_pool(x, (2, 2))) <= 1.1 * blocks  # aligned: one each, with the block's own
    assert tasks(fp.max_pool(x, (3, 3), stride=2)) <= 7 * blocks  # four pieces, and one block of them
    assert tasks(fp.max_pool(x, (3, 3), stride=1, padding="same")) <= 7 * blocks
    assert tasks(fp.global_max_pool(x, axes=(0, 1))) <= 1.5 * blocks
    small = da.zeros((512, 512), chunks=256)
    assert tasks(fp.max_pool(small, (2, 2))) == tasks(fp.max_pool(small, (16, 16)))


def test_only_what_windows_share_is_brought():
    # An aligned pooling takes the blocks as they are; a 3x3 window at stride 1 two more rows and columns.
    seen = []

    def note(block, block_info=None):
        seen.append(block.shape)
        return block

    x = da.zeros((64, 64), chunks=16).map_blocks(note, dtype=float, meta=np.empty((0, 0)))
    assert fp.max_pool(x, (4, 2)).chunks == ((4,) * 4, (8,) * 4)
    fp.max_pool(x, (3, 3), stride=1).compute()
    assert set(seen) == {(16, 16)}
    assert len(seen) == 16
    from fastpool.interop import cuts  # noqa: PLC0415

    cut = cuts.forward(windows.sliding(64, 3, 1, 0, 0), (16,) * 4)
    assert (cut.reads, cut.output_chunks) == ((0, 2), (16, 16, 16, 14))
    cut = cuts.forward(windows.sliding(64, 40, 40, 0, 16), (16,) * 4)
    assert (cut.chunks, cut.output_chunks, cut.reads) == ((32, 32), (1, 1), (0, 8))


def test_tasks_use_one_thread():
    before = fp.get_num_threads()
    ran, callers = [], set()

    def kernel(first, last):
        ran.append((first, last))
        callers.add(get_ident())

    fp.set_num_threads(4)
    try:
        with threads.alone():
            threads.run(kernel, (), 100, 10**9)
        assert [first for first, _ in ran] == [0, *(last for _, last in ran[:-1])]  # one after the other
        assert ran[-1][1] == 100
        assert len(callers) == 1
        ran.clear()
        threads.run(kernel, (), 100, 10**9)
        assert len(ran) > 2
    finally:
        fp.set_num_threads(before)


def test_threads_of_dask_at_once(rng):
    x = rng.standard_normal((8, 300, 300)).astype(np.float32)
    with dask.config.set(scheduler="threads", num_workers=4):
        y = fp.avg_pool(da.from_array(x, chunks=(1, 77, 64)), (5, 5), stride=2).compute()
    np.testing.assert_allclose(y, fp.avg_pool(x, (5, 5), stride=2), rtol=1e-6, atol=1e-6)


def test_nothing_is_imported():
    code = (
        "import sys, fastpool as fp, numpy as np; fp.max_pool(np.ones((4, 4)), (2, 2));"
        "print([name for name in ('dask', 'xarray', 'zarr', 'distributed') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Several processes ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "2GB", "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.mark.filterwarnings("ignore")
def test_processes(client, rng):
    x = rng.standard_normal((3, 4, 70, 61))
    d = da.from_array(x, chunks=(1, 4, 19, 23))
    with dask.config.set(scheduler=client):
        y, pull = fp.vjp(fp.max_pool, d, 3, stride=2, padding=1)
        expected, pull_whole = fp.vjp(fp.max_pool, x, 3, stride=2, padding=1)
        close(y.compute(), expected, True)
        gy = rng.standard_normal(expected.shape)
        gx = pull(da.from_array(gy, chunks=(2, 2, 9, 9))).compute()
        close(gx, pull_whole(gy), False)
        total = fp.global_avg_pool(d).compute()
        close(total, fp.global_avg_pool(x), False)


def slow(block):
    time.sleep(0.1)
    return block


@pytest.mark.filterwarnings("ignore")
def test_a_killed_worker_changes_nothing(client, rng):
    x = rng.standard_normal((600, 500))
    d = da.from_array(x, chunks=(60, 125)).map_blocks(slow, dtype=float, meta=np.empty((0, 0)))
    with dask.config.set(scheduler=client):
        future = client.compute(fp.avg_pool(d, (3, 3), stride=1))
        time.sleep(0.8)
        assert not future.done()
        victim = next(iter(client.run(os.getpid).values()))
        os.kill(victim, signal.SIGKILL)
        got = future.result(timeout=60)
    np.testing.assert_allclose(got, fp.avg_pool(x, (3, 3), stride=1), rtol=1e-12, atol=1e-14)


# Missing data and weights ---------------------------------------------------------------------------------


def absences(rng, x, d, op):
    """Random missing data and weights, for the array in memory and for the lazy one."""
    own, lazily = {"skipna": True}, {"skipna": True}
    shape = [n if rng.integers(3) else 1 for n in x.shape][int(rng.integers(x.ndim + 1)) :]
    if rng.integers(2):
        own["where"] = rng.random(shape) < 0.7
        lazily["where"] = own["where"] if rng.integers(2) else lazy(rng, own["where"])
    if op in ("avg", "sum", "count") and rng.integers(2):
        own["weights"] = rng.integers(0, 4, x.shape[1:]).astype([np.float64, np.int32][rng.integers(2)])
        lazily["weights"] = own["weights"] if rng.integers(2) else lazy(rng, own["weights"])
    for name, values in {"min_count": (0, 1, 2, 3), "fill": (None, 7, -1.5), "nodata": (None, 0.25)}.items():
        own[name] = lazily[name] = values[rng.integers(len(values))]
    return own, lazily


@pytest.mark.parametrize("op", [*OPS, "count"])
def test_missing_data_in_random_cases(op):
    # 8 of each of 16 operators: 128 cases.
    rng, tried = np.random.default_rng([7, *op.encode()]), 0
    while tried < 8:
        shape, window, call = geometry(rng)
        x = rng.permutation(int(np.prod(shape))).reshape(shape) * 0.25 - 5
        x[rng.random(shape) < 0.3] = np.nan
        d = lazy(rng, x)
        own, lazily = absences(rng, x, d, op)
        own |= OPS.get(op, {})
        lazily |= OPS.get(op, {})
        try:
            y = fp.pool(x, op, window, **call, **own)
        except ValueError as error:
            with pytest.raises(ValueError, match=re.escape(str(error))):
                fp.pool(d, op, window, **call, **lazily)
            continue
        tried += 1
        lazy_y = fp.pool(d, op, window, **call, **lazily)
        assert (lazy_y.shape, lazy_y.dtype) == (y.shape, y.dtype)
        close(lazy_y.compute(), y, op in EXACT)
        if op in CHOOSING:
            for got, expected in zip(
                dask.compute(*fp.pool(d, op, window, return_indices=True, **call, **lazily)),
                fp.pool(x, op, window, return_indices=True, **call, **own),
                strict=True,
            ):
                close(got, expected, True)
        if op == "count":
            continue
        gy = rng.standard_normal(y.shape)
        gx, slopes = fp.vjp(fp.pool, x, op, window, **call, **own)[1](gy, params=True)
        lazy_pull = fp.vjp(fp.pool, d, op, window, **call, **lazily)[1]
        lazy_gx, lazy_slopes = lazy_pull(lazy(rng, gy), params=True)
        close(lazy_gx.compute(), gx, False)
        assert set(lazy_slopes) == set(slopes)
        for name, slope in slopes.items():
            found = lazy_slopes[name].compute()
            assert np.shape(found) == np.shape(slope)
            np.testing.assert_allclose(found, slope, rtol=1e-9, atol=1e-9)
        gx = fp.pool_backward(lazy(rng, gy), d, op, window, **call, **lazily)
        close(gx.compute(), fp.pool_backward(gy, x, op, window, **call, **own), False)


@pytest.mark.parametrize("op", ["max", "min", "avg", "sum", "count", "lp", "median", "var"])
def test_missing_data_on_whole_axes_and_bins(op, rng):
    x = rng.standard_normal((3, 2, 11, 13))
    x[rng.random(x.shape) < 0.5] = np.nan
    x[0, 1] = np.nan
    d, where = lazy(rng, x), rng.random((11, 1)) < 0.8
    weights = {"weights": rng.random((2, 1, 13))} if op in ("avg", "sum", "count", "var") else {}
    for more in ({}, {"where": where}, {"min_count": 40}, weights):
        call = {"skipna": True, **more}
        expected = fp.global_pool(x, op, **call)
        found = fp.global_pool(d, op, **call)
        assert found.shape == expected.shape
        close(found.compute(), expected, op in EXACT)
        kept = fp.global_pool(d, op, axes=(1, 3), keepdims=True, skipna=True)
        close(kept.compute(), fp.global_pool(x, op, axes=(1, 3), keepdims=True, skipna=True), op in EXACT)
    close(
        fp.adaptive_pool(d, op, (3, 4), skipna=True, min_count=5).compute(),
        fp.adaptive_pool(x, op, (3, 4), skipna=True, min_count=5),
        op in EXACT,
    )
    if op != "count":
        gy = rng.standard_normal((3, 2))
        gx = fp.global_pool_backward(lazy(rng, gy), d, op, skipna=True, where=where)
        close(gx.compute(), fp.global_pool_backward(gy, x, op, skipna=True, where=where), False)


def test_given_indices_beside_missing_data(rng):
    x = rng.standard_normal((12, 15))
    x[rng.random(x.shape) < 0.5] = np.nan
    x[:4, :3] = np.nan
    d, call = lazy(rng, x), {"stride": 2, "skipna": True}
    y, indices = fp.max_pool(x, (4, 3), return_indices=True, **call)
    assert (indices == -1).any()
    gy = rng.standard_normal(y.shape)
    gx = fp.pool_backward(lazy(rng, gy), d, "max", (4, 3), indices=lazy(rng, indices), **call)
    close(gx.compute(), fp.pool_backward(gy, x, "max", (4, 3), indices=indices, **call), False)


def test_integers_with_missing_data(rng):
    x = rng.integers(0, 5, (9, 14)).astype(np.uint8)
    d = lazy(rng, x)
    for op in ("max", "avg", "sum", "mode"):
        close(
            fp.pool(d, op, (3, 4), nodata=0, fill=9).compute(), fp.pool(x, op, (3, 4), nodata=0, fill=9), True
        )
    d, where = da.from_array(x, chunks=3), x < 9
    where[6:9, 4:8] = False
    y = fp.max_pool(d, (3, 4), where=where)
    with pytest.raises(ValueError, match=r"fill must be given.* window \(2, 1\) of the max result has 0"):
        y.compute()


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, {"min_count": 7}, "min_count must be at most the window's 6 elements, got 7"),
        (ValueError, {"where": np.ones(4, bool)}, "where must broadcast to the shape of x"),
        (ValueError, {"where": da.ones(4, dtype=bool)}, "where must broadcast to the shape of x"),
        (TypeError, {"where": da.ones(8)}, "where must be of bool"),
        (TypeError, {"where": [True]}, "where must be an array"),
        (ValueError, {"weights": da.ones((9, 8))}, "weights must broadcast to the shape of x"),
        (TypeError, {"weights": da.ones(8, dtype=bool)}, "weights must be real numbers"),
        (ValueError, {"weights": -np.ones(8)}, "weights must be finite and at least 0"),
        (TypeError, {"op": "max", "weights": np.ones(8)}, "weights are for the operators"),
        (TypeError, {"skipna": None}, "skipna must be True or False"),
        (TypeError, {"fill": "a"}, "fill must be a number"),
        (TypeError, {"nodata": "a"}, "nodata must be one number"),
        (ValueError, {"skipna": True, "divisor_override": 2}, "divisor_override must be None"),
    ],
)
def test_missing_data_is_checked_before_any_task_runs(error, call, message):
    def never(block):
        raise AssertionError("a task ran")

    x = da.zeros((6, 8), chunks=3).map_blocks(never, dtype=float, meta=np.empty((0, 0)))
    with pytest.raises(error, match=message):
        fp.pool(x, window=(2, 3), **{"op": "avg", **call})


def test_bad_values_of_lazy_weights_are_found_by_tasks():
    y = fp.avg_pool(da.ones((6, 8), chunks=3), (2, 2), weights=-da.ones(8, chunks=3))
    with pytest.raises(ValueError, match="weights must be finite and at least 0"):
        y.compute()


# Whole axes, of which elements may be missing ---------------------------------------------------------------


@pytest.fixture
def largest():
    """How many elements the largest result of a task has."""

    def run(*arrays):
        sizes = []

        def note(key, result, *_):
            sizes.append(result.size if isinstance(result, np.ndarray) else 0)

        with dask.callbacks.Callback(posttask=note):
            dask.persist(*arrays, optimize_graph=False)
        return max(sizes)

    return run


def random_absence(rng, x, op):
    """Random missing data and weights for an array whose elements may be NaN."""
    given = {"skipna": bool(rng.integers(3))}
    if rng.integers(2):
        given["where"] = rng.random(x.shape[int(rng.integers(x.ndim)) :]) < 0.6
    if op in ("avg", "sum", "count") and rng.integers(2):
        given["weights"] = rng.integers(0, 3, x.shape[1:]).astype(float) * (rng.random(x.shape[1:]) < 0.6)
    for name, choices in {"min_count": (0, 1, 5), "fill": (None, 7), "nodata": (None, 0.25)}.items():
        given[name] = choices[rng.integers(len(choices))]
    return given


def lazily(rng, given):
    """The same arguments, of which some arrays are lazy."""
    arrays = {name: each for name, each in given.items() if isinstance(each, np.ndarray)}
    return given | {name: lazy(rng, each) for name, each in arrays.items() if rng.integers(2)}


def check_both_ways(rng, function, x, /, *arguments, exact=False, gradient=True, **given):
    """Whether the call in memory gives a result, which the lazy one then gives as well, and its gradients."""
    d, lazy_given = lazy(rng, x), lazily(rng, given)
    try:
        y = function(x, *arguments, **given)
    except ValueError as error:  # of several windows with too few elements any may be the first
        with pytest.raises(ValueError, match=re.escape(str(error).partition(": window")[0])):
            function(d, *arguments, **lazy_given).compute()
        return False
    lazy_y = function(d, *arguments, **lazy_given)
    assert (lazy_y.shape, lazy_y.dtype) == (y.shape, y.dtype)
    close(np.asarray(lazy_y.compute()), y, exact or y.dtype.kind in "iub")
    if not gradient:
        return True
    gy = np.asarray(rng.standard_normal(y.shape))
    gx, slopes = fp.vjp(function, x, *arguments, **given)[1](gy, params=True)
    lazy_gy = lazy(rng, gy)
    lazy_gx, lazy_slopes = fp.vjp(function, d, *arguments, **lazy_given)[1](lazy_gy, params=True)
    assert (lazy_gx.shape, lazy_gx.dtype) == (gx.shape, gx.dtype)
    close(lazy_gx.compute(), gx, False)
    assert set(lazy_slopes) == set(slopes)
    for name, slope in slopes.items():
        found = lazy_slopes[name].compute()
        assert np.shape(found) == np.shape(slope)
        assert np.asarray(found).dtype == np.asarray(slope).dtype
        np.testing.assert_allclose(found, slope, rtol=1e-9, atol=1e-9)
    back = getattr(fp, f"{function.__name__}_backward")
    if function in (fp.area_pool, fp.blur_pool):  # whose gradients take no fill
        lazy_given.pop("fill", None)
    close(back(lazy_gy, d, *arguments, **lazy_given).compute(), gx, False)
    return True


@pytest.mark.parametrize(
    ("op", "options"), [*OPS.items(), ("count", {}), ("stochastic", {"training": False})]
)
def test_missing_data_on_whole_axes_in_random_cases(op, options):
    # 6 of each of 16 operators, of which one has two ways: 102 cases.
    rng = np.random.default_rng([8, *op.encode()])
    for _ in range(6):
        shape = tuple(rng.integers(2, 15, rng.integers(2, 5)).tolist())
        count = int(rng.integers(1, len(shape) + 1))
        call = {"axes": rng.permutation(len(shape))[:count].tolist(), "keepdims": bool(rng.integers(2))}
        call |= options
        x = rng.permutation(int(np.prod(shape))).reshape(shape) * 0.25 - 5
        x[rng.random(shape) < 0.3] = np.nan
        x[0] = np.nan
        given = random_absence(rng, x, op)
        most = 1 if op == "nearest" else int(np.prod([shape[axis] for axis in call["axes"]]))
        given["min_count"] = min(given["min_count"], most)
        settings = {"exact": op in EXACT and options != {"training": False}, "gradient": op != "count"}
        assert check_both_ways(rng, fp.global_pool, x, op, **settings, **call, **given)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "bool"])
@pytest.mark.parametrize("op", ["max", "min", "avg", "sum", "count"])
def test_integers_with_missing_data_on_whole_axes(op, dtype, rng):
    x = rng.integers(0, 100, (4, 3, 11, 13)).astype(dtype)
    d, where = lazy(rng, x), rng.random((4, 1, 11, 13)) < 0.4
    where[2] = False
    many = {"where": ~where, "nodata": 1}
    for given in ({"where": where, "fill": 1}, many, {"where": where, "nodata": 0}, {"skipna": True}):
        close(fp.global_pool(d, op, **given).compute(), fp.global_pool(x, op, **given), True)
    if op in ("avg", "sum", "count") and dtype != "bool":
        given = {"weights": rng.random((11, 13)), "nodata": 3}
        close(fp.global_pool(d, op, **given).compute(), fp.global_pool(x, op, **given), False)
    if op in ("max", "min") and dtype != "bool":
        y = fp.global_pool(d, op, where=where)
        with pytest.raises(ValueError, match=rf"window \(2, \d, 0, 0\) of the {op} result has 0 elements"):
            y.compute()


def test_averages_of_whole_axes_have_the_dtype_that_is_asked_for(rng):
    x = rng.integers(0, 100, (5, 8)).astype("int16")
    for own in (x, x > 50):
        d = da.from_array(own, chunks=3)
        for dtype in ("float64", "float32"):
            expected = fp.avg_pool(own, own.shape, dtype=dtype)
            close(fp.avg_pool(d, own.shape, dtype=dtype).compute(), expected, True)


def test_weights_of_nothing_on_whole_axes():
    # The first chunk weighs nothing, and a NaN without weight is still one.
    x = np.array([[1.0, 2, 3, 4], [np.nan, 2, 3, 4], [1, 2, 3, 4]])
    weights = np.array([[0.0, 0, 1, 3], [0, 0, 1, 1], [0, 0, 0, 0]])
    d = da.from_array(x, chunks=(1, 2))
    for op in ("avg", "sum", "count"):
        for given in ({}, {"skipna": True}, {"min_count": 0}, {"min_count": 0, "skipna": True}):
            expected = fp.global_pool(x, op, axes=1, weights=weights, **given)
            got = fp.global_pool(d, op, axes=1, weights=weights, **given).compute()
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "op", ["max", "min", "avg", "sum", "count", "lp", "gem", "lse", "soft", "mixed", "var", "std"]
)
def test_whole_axes_with_missing_data_stay_in_chunks(op, largest):
    x = da.random.default_rng(1).random((4, 60, 50), chunks=(2, 5, 10))
    given = {"skipna": True, "where": x > 0.3, "min_count": 3}
    if op in ("avg", "sum", "count", "var", "std"):
        given["weights"] = da.random.default_rng(2).random((60, 50), chunks=(5, 10))
    assert largest(fp.global_pool(x, op, axes=(1, 2), **given)) <= 200  # weights of a chunk, for all planes
    if op in ("avg", "sum"):
        pull = fp.vjp(fp.global_pool, x, op, axes=(1, 2), **given)[1]
        gx, slopes = pull(da.ones(4, chunks=2), params=True)
        assert largest(gx, slopes["weights"]) <= 200


# Cells, blurs and mosaics ---------------------------------------------------------------------------------


def values(rng, shape):
    """Random values, of which some of the floats are NaN, and what is to be said of these."""
    dtype = np.dtype(str(rng.choice(["float64", "float64", "uint8"])))
    if dtype != np.float64:
        return rng.integers(0, 50, shape).astype(dtype), {}
    x = rng.permutation(int(np.prod(shape))).reshape(shape) * 0.25 - 5
    x[rng.random(shape) < 0.2] = np.nan
    return x, {"skipna": bool(rng.integers(4))}


def about(rng, x, weighs):
    """Random missing data and weights."""
    given = {}
    shape = [n if rng.integers(3) else 1 for n in x.shape][int(rng.integers(x.ndim + 1)) :]
    if rng.integers(2):
        given["where"] = rng.random(shape) < 0.7
    if weighs and rng.integers(2):
        given["weights"] = rng.integers(0, 4, shape).astype([np.float64, np.int32][rng.integers(2)])
    if rng.integers(2):
        given |= {"min_count": int(rng.integers(3)), "nodata": 1, "fill": [None, 1][rng.integers(2)]}
    return given


def some_axes(rng):
    """A random shape, and some of its axes in random order."""
    shape = tuple(rng.integers(1, 24, rng.integers(1, 4)).tolist())
    return shape, rng.permutation(len(shape))[: int(rng.integers(1, len(shape) + 1))].tolist()


@pytest.mark.parametrize("op", ["avg", "sum"])
def test_cells_in_random_cases(op):
    rng, made = np.random.default_rng([9, *op.encode()]), 0
    for number in range(30):
        shape, axes = some_axes(rng)
        x, given = values(rng, shape)
        given |= about(rng, x, True) if number % 3 else {}
        if number % 2:
            given["output_size"] = [int(rng.integers(1, 30)) for _ in axes]
        else:
            given["ratio"] = [float(rng.choice([0.6, 1.0, 1.5, 2.25, 5.0, 40.0])) for _ in axes]
        made += check_both_ways(rng, fp.area_pool, x, op=op, axes=axes, **given)
    assert made > 20


@pytest.mark.parametrize("op", [None, "max"])
def test_blurs_in_random_cases(op):
    rng, made = np.random.default_rng([10, op is None]), 0
    for number in range(24):
        shape, axes = some_axes(rng)
        x, given = values(rng, shape)
        given |= about(rng, x, op is None) if number % 3 else {}
        windows, given["stride"] = (rng.integers(1, most, len(axes)).tolist() for most in (8, 6))
        made += check_both_ways(rng, fp.blur_pool, x, windows, op=op, axes=axes, **given)
    assert made > 15


@pytest.mark.parametrize("op", ["max", "avg", "sum", "lp", "median", "stochastic", "count", "mode"])
def test_mosaics_in_random_cases(op):
    rng, made = np.random.default_rng([11, *op.encode()]), 0
    for number in range(6):
        shape, axes = some_axes(rng)
        x, given = values(rng, shape)
        if op == "mode" or op not in ("max", "min", "avg", "sum", "median", "count"):
            x = np.nan_to_num(x * 1.0).astype(int if op == "mode" else float)
        given |= about(rng, x, op in ("avg", "sum", "count")) if number % 3 else {}
        cell = rng.integers(1, 9, len(axes)).tolist()
        given |= {"op": op, "axes": axes, **OPS.get(op, {})}
        made += check_both_ways(rng, fp.mosaic, x, cell, gradient=op not in ("count", "mode"), **given)
    assert made > 2


def test_other_dtypes_of_cells(rng):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for dtype in (ml_dtypes.bfloat16, np.float32, ">f8"):
        x = rng.standard_normal((19, 14)).astype(dtype)
        x[3:5, 2] = 0.5
        d, gy = da.from_array(x, chunks=(4, 5)), rng.standard_normal((19, 15)).astype(dtype)
        for function, arguments, given in (
            (fp.area_pool, ((7, 15),), {"nodata": 0.5}),
            (fp.blur_pool, ((3, 4),), {"op": "max", "nodata": 0.5}),
            (fp.mosaic, ((3, 4), "avg"), {"nodata": 0.5}),
        ):
            y, pull = fp.vjp(function, x, *arguments, **given)
            lazy_y, lazy_pull = fp.vjp(function, d, *arguments, **given)
            g = gy[: y.shape[0], : y.shape[1]]
            for got, expected in (
                (lazy_y.compute(), y),
                (lazy_pull(da.from_array(g, chunks=3)).compute(), pull(g)),
            ):
                assert got.dtype == expected.dtype
                wide = [each.astype(np.float64) for each in (got, expected)]
                np.testing.assert_allclose(*wide, rtol=1e-2 if got.itemsize == 2 else 1e-6, atol=1e-6)
    x = rng.integers(0, 9, (19, 14))
    y = fp.area_pool(da.from_array(x, chunks=4), (3, 4), op="sum", dtype="float32")
    close(y.compute(), fp.area_pool(x, (3, 4), op="sum", dtype="float32"), True)


def test_windows_of_cells_and_blurs_are_those_of_their_tables(rng):
    from fastpool.interop import cells  # noqa: PLC0415

    for _ in range(300):
        n, first, second = (int(rng.integers(1, most)) for most in (60, 90, 12))
        x = np.broadcast_to(np.float64(0), (n,))
        for job in (
            cells.area_job(x, "avg", (first,), None, None, {})[1],
            cells.blur_job(x, None, (second,), int(rng.integers(1, 9)), None, {})[1],
        ):
            (table,), (windows_of,) = job.tables.values(), job.geometry.tables
            np.testing.assert_array_equal(windows_of.lo, table.lo)
            np.testing.assert_array_equal(windows_of.count, table.count)


def test_cells_stay_in_chunks(largest):
    # A block of cells reads its chunk, and of its neighbours less than a cell.
    x = da.random.default_rng(1).random((60, 90), chunks=(10, 15))
    for y in (fp.area_pool(x, (24, 36)), fp.blur_pool(x, (3, 5)), fp.mosaic(x, (5, 3))):
        assert largest(y) <= 14 * 19
    assert fp.area_pool(x, (24, 36)).chunks == ((4,) * 6, (6,) * 6)
    pull = fp.vjp(fp.area_pool, x, (24, 36), skipna=True)[1]
    assert largest(pull(da.ones((24, 36), chunks=6))) <= 20 * 25
    whole = fp.area_pool(x, (1, 1)), fp.area_pool(x, (1, 1), skipna=True), fp.mosaic(x, (60, 90), "max")
    assert largest(*whole) == 150
    np.testing.assert_allclose(whole[0].compute(), x.mean(keepdims=True).compute())


def test_cells_of_arrays_that_no_memory_holds():
    x = da.zeros((10**6, 10**6), chunks=250_000)
    assert fp.area_pool(x, (700_000, 700_000)).chunks == ((175_000,) * 4,) * 2
    assert fp.blur_pool(x, (3, 3)).shape == (500_000, 500_000)
    assert fp.mosaic(x, (2, 2)).chunks == x.chunks
    ratio = fp.area_pool(x, ratio=(2.5, 2.5), skipna=True)
    np.testing.assert_array_equal(ratio[-2:, 5:7].shape, (2, 2))


def test_a_cell_without_a_value_is_named_in_the_whole_result(rng):
    x = rng.integers(0, 5, (20, 21))
    where = np.ones((20, 21), bool)
    where[12:18, 9:17] = False
    with pytest.raises(ValueError, match="fill must be given") as expected:
        fp.area_pool(x, (8, 8), where=where)
    y = fp.area_pool(da.from_array(x, chunks=(20, 21)), (8, 8), where=da.from_array(where, chunks=4))
    with pytest.raises(ValueError, match=re.escape(str(expected.value))):
        y.compute()
    y = fp.area_pool(da.from_array(x, chunks=(10, 9)), (8, 8), where=where)
    with pytest.raises(ValueError, match=r"window \((5|6), \d\) of the avg result has 0 elements"):
        y.compute()


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda x: fp.area_pool(x, (0, 3)), "output_size must be at least 1"),
        (ValueError, fp.area_pool, "exactly one of output_size and ratio"),
        (ValueError, lambda x: fp.area_pool(x, ratio=(0, 1)), "ratio must be a finite number above 0"),
        (ValueError, lambda x: fp.area_pool(x, (2, 3), op="max"), "op must be one of avg, sum"),
        (
            ValueError,
            lambda x: fp.area_pool(x, (2, 3), min_count=99),
            "min_count must be at most the window's",
        ),
        (ValueError, lambda x: fp.area_pool_backward(x, x, (2, 3)), "gy must have the result's shape"),
        (ValueError, lambda x: fp.area_pool(x, (2, 3), weights=-np.ones(20)), "weights must be finite"),
        (ValueError, lambda x: fp.area_pool(x[x[:, 0] > 0], (2, 2)), "x must have known chunk sizes"),
        (ValueError, lambda x: fp.blur_pool(x, (200, 3)), "window must be at most 128"),
        (ValueError, lambda x: fp.blur_pool(x, (3, 3), stride=0), "stride must be at least 1"),
        (
            ValueError,
            lambda x: fp.blur_pool(x, (3, 3), op="max", weights=x),
            "weights must be None with op='max'",
        ),
        (ValueError, lambda x: fp.blur_pool(x, (3, 3), op="min"), "op must be one of max"),
        (ValueError, lambda x: fp.mosaic(x, (0, 3)), "cell must be at least 1"),
        (ValueError, lambda x: fp.mosaic(x, 3), "from 4 on all after the first two are pooled"),
        (ValueError, lambda x: fp.mosaic_backward(x[:9], x, (2, 3)), "gy must have the result's shape"),
        (TypeError, lambda x: fp.area_pool(x, (2, 3), dtype="int8"), "dtype must be one of"),
        (TypeError, lambda x: fp.area_pool(x, (2, 3), out=np.empty((2, 3))), "out must be None for dask"),
        (TypeError, lambda x: fp.area_pool(x, (2, 3), skipna=None), "skipna must be True or False"),
        (
            TypeError,
            lambda x: fp.area_pool_backward(np.ones((2, 3)), x, (2, 3)),
            "must all be dask.array.Array",
        ),
        (
            TypeError,
            lambda x: fp.vjp(fp.mosaic, x, (2, 3))[1](np.ones((20, 20))),
            "must all be dask.array.Array",
        ),
        (TypeError, lambda x: fp.vjp(fp.mosaic, x, (2, 3), "count"), "count pooling has no gradient"),
        (TypeError, lambda x: fp.mosaic(x, (2, 3), "avg", q=1), "takes no parameter 'q'"),
    ],
)
def test_bad_arguments_of_cells_are_refused_before_any_task_runs(error, call, message):
    with pytest.raises(error, match=message):
        call(untouched())


def test_cells_are_lazy():
    x = untouched()
    for function, *arguments in ((fp.area_pool, (3, 7)), (fp.blur_pool, (3, 3)), (fp.mosaic, (3, 3), "max")):
        y, pull = fp.vjp(function, x, *arguments, where=x > 0, min_count=2)
        assert pull(da.ones(y.shape, chunks=2)).shape == x.shape
    y, pull = fp.vjp(fp.blur_pool, x, (3, 3), op="max", skipna=True)
    assert pull(da.ones(y.shape, chunks=2)).shape == x.shape


def test_blurs_of_maxima_of_integers_have_the_value_of_missing_data(rng):
    x = rng.integers(0, 3, (9, 11))
    x[:5, :6] = 2
    expected = fp.blur_pool(x, (3, 3), op="max", nodata=2)
    assert (expected == 2).any()
    close(fp.blur_pool(da.from_array(x, chunks=4), (3, 3), op="max", nodata=2).compute(), expected, True)
