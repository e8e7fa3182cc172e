"""Which kernel a call takes: each is named for a call that reaches it, and nothing is run."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import config, cuda
from typer.testing import CliRunner

import fastpool as fp
from fastpool import threads as pool_of_threads
from fastpool.cli import app
from fastpool.cpu import choose
from fastpool.operators import OPERATORS

X = np.zeros((2, 3, 64, 96), np.float32)
BYTES = np.zeros((200, 200), np.uint8)
BOXES = np.array([[0, 1, 1, 20, 30], [1, 4, 4, 8, 8]])
SMALL = {"stride": 1, "padding": "same", "axes": (-2, -1)}
CHOSEN = {
    "squares": (fp.max_pool, X, 2, {}),
    "cubes": (fp.avg_pool, np.zeros((2, 8, 64, 64), np.float32), (2, 2, 2), {}),
    "squares of channels": (fp.max_pool, np.zeros((64, 64, 16), np.float32), 2, {"axes": (0, 1)}),
    "planes": (fp.max_pool, np.zeros((8, 20, 20), np.float32), 5, SMALL),
    "slides by 1": (fp.max_pool, X, 3, SMALL),
    "slides by 2": (fp.avg_pool, X, 3, {"stride": 2, "count_include_pad": True}),
    "chosen cells": (fp.max_pool, X, 3, {"return_indices": True}),
    "slides over channels": (
        fp.max_pool,
        np.zeros((64, 64, 16), np.float32),
        3,
        {"axes": (0, 1), "stride": 2, "padding": 1, "return_indices": True},
    ),
    "slides of up to 9x9": (fp.min_pool, np.zeros((64, 256), np.float32), 5, SMALL),
    "rows of ones": (fp.avg_pool, X, 5, {"stride": 1}),
    "rows of cells": (fp.max_pool, X, 3, {}),
    "rows of phases": (fp.avg_pool, X, 5, {"stride": 3}),
    "rows of picked ones": (fp.max_pool, np.zeros((64, 64, 3), np.float32), 2, {"axes": (0, 1)}),
    "rows of channels": (fp.avg_pool, np.zeros((64, 64, 16), np.float32), 5, {"axes": (0, 1)}),
    "doubling": (fp.avg_pool, X, 9, {"stride": 1}),
    "doubling of what is left": (
        fp.max_pool,
        np.zeros((2, 100, 1000), np.uint8),
        (16, 1000),
        {"stride": (3, 500), "axes": (1, 2)},
    ),
    "neighbours": (fp.max_pool, X, (1, 32), {}),
    "groups of rows": (fp.avg_pool, X, (64, 96), {}),
    "rows of places": (fp.max_pool, X, 6, {"return_indices": True}),
}
OTHERS = {
    "general": lambda: fp.explain_call(fp.max_pool, X[:1, :1, :8, :8], 2),
    "picked": lambda: fp.explain_call(fp.nearest_pool, X, 3),
    "in two": lambda: fp.explain_call(fp.global_avg_pool, np.zeros((1, 1, 1000, 1000), np.float32)),
    "joined": lambda: fp.explain_call(fp.mixed_pool, X, 3),
    "by range": lambda: fp.explain_call(fp.lse_pool, X, 3),
    "turned": lambda: fp.explain_call(fp.avg_pool, X.T, 3, axes=(0, 1)),
    "slabs": lambda: fp.explain_call(fp.avg_pool, np.zeros((8, 256, 1024, 4)).T, (2, 2), axes=(1, 2)),
    "sorting networks": lambda: fp.explain_call(fp.median_pool, X, 3),
    "histograms": lambda: fp.explain_call(fp.median_pool, BYTES, (21, 21), stride=1),
    "histograms of 16 bits": lambda: fp.explain_call(
        fp.median_pool, BYTES.astype(np.uint16), (21, 21), stride=1
    ),
    "interpolation": lambda: fp.explain_call(fp.roi_align, X, BOXES, 5, op="max"),
    "indexing": lambda: fp.explain_call(fp.unpool, X, np.zeros(X.shape, int), X.shape),
    "3 calls": lambda: fp.explain_call(fp.pyramid_pool, X, "max"),
    "none": lambda: fp.explain_call(fp.max_pool, X[:0], 2),
}


@pytest.mark.parametrize("choice", choose.CHOICES, ids=lambda choice: choice.name)
def test_kernels_of_the_table_are_named(choice, kernels):
    f, x, window, options = CHOSEN[choice.name]
    found = fp.explain_call(f, x, window, **options)
    assert (found.kernel, found.why, found.parts) == (choice.name, choice.why, ())
    assert kernels in ([], [choice.name])  # none where the plan is kept already
    assert found.tasks >= 1
    assert found.reads == x.nbytes
    assert f"kernel    {choice.name}: {choice.why}\n" in str(found)


@pytest.mark.parametrize("kernel", OTHERS)
def test_other_kernels_are_named(kernel):
    found = OTHERS[kernel]()
    assert found.kernel == kernel
    assert found.why in str(found)
    assert found.threads >= 1
    assert all(part.kernel in str(found) for part in found.parts)
    assert bool(found.parts) == (kernel in {"in two", "joined", "by range", "turned", "slabs", "3 calls"})


ARGUMENTS = {
    **{f"{op}_pool": (X, 3) for op in OPERATORS if op not in ("quantile", "mode")},
    "mode_pool": (BYTES, (3, 3)),
    "pool": (X, "max", 3),
    "adaptive_pool": (X, "avg", 7),
    "adaptive_avg_pool": (X, 7),
    "area_pool": (X, 7),
    "blur_pool": (X, 3),
    "adaptive_max_pool": (X, 7),
    "global_pool": (X, "lp"),
    "global_avg_pool": (X,),
    "global_max_pool": (X,),
    "global_sum_pool": (X,),
    "fractional_pool": (X, "max", 7),
    "pyramid_pool": (X, "avg"),
    "roi_pool": (X, "max", BOXES, 3),
    "roi_align": (X, BOXES, 3),
    "mosaic": (X, 5),
    "segment_pool": (X, np.array([1, 0]), "max"),
    "unpool": (X, np.zeros(X.shape, int), X.shape),
    "vjp": (fp.max_pool, X, 3),
}
OPTIONS = {"quantile_pool": {"q": 0.25}, "fractional_pool": {"window": 3, "rng": 0}}
ARGUMENTS["quantile_pool"] = ARGUMENTS["max_pool"]
SETTINGS = {f"{what}_{name}" for what in ("get", "set") for name in ("num_threads", "threading_layer")}
WITHOUT = {"convert_indices", "explain", "explain_call"} | SETTINGS  # windows


def test_every_public_function_is_explained_or_refused():
    refused = {name for name in fp.__all__ if name.endswith("_backward")}
    assert set(fp.__all__) == set(ARGUMENTS) | refused | WITHOUT


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_function(name):
    found = fp.explain_call(getattr(fp, name), *ARGUMENTS[name], **OPTIONS.get(name, {}))
    lines = str(found).splitlines()
    assert [line[:10].strip() for line in lines if line[0] != " "] == HEADINGS
    assert max(map(len, lines)) < 150
    assert found.writes > 0
    assert found.tasks > 0


HEADINGS = ["operator", "windows", "input", "kernel", "tasks", "memory"]


def test_the_whole_text():
    found = fp.explain_call(fp.mixed_pool, X, 3, stride=2, padding=1, dilation=2)
    assert str(found) == repr(found)
    assert "windows   3x3, stride 2x2, dilation 2x2, 1x1 of padding before\n" in str(found)
    found = fp.explain_call(fp.adaptive_pool, X, "max", (7, 96))
    assert "windows   10 by 1\n" in str(found)
    assert found.why == "windows differ in length or distance"


@pytest.mark.parametrize(
    ("x", "layout"),
    [
        (X, "C order"),
        (np.asfortranarray(X), "Fortran order"),
        (X.transpose(0, 2, 3, 1), "axes 0, 3, 1, 2 in memory"),
        (X[:, :, ::2, ::2], "strides of 73728, 24576, 768, 8 bytes"),
    ],
)
def test_layouts(x, layout):
    found = fp.explain_call(fp.sum_pool, x, 3)
    assert found.layout == layout
    assert f"input     {x.shape} float32, {layout}\n" in str(found)


def test_reasons_of_the_general_kernel():
    reasons = [
        fp.explain_call(f, x, window, **options).why
        for f, x, window, options in [
            (fp.max_pool, X[:1, :1, :8], 2, {}),
            (fp.median_pool, X[:1, :1], 2, {}),
            (fp.stochastic_pool, X, 2, {}),
            (fp.max_pool, X[..., ::2], 2, {}),
        ]
    ]
    assert [reason[:30] for reason in reasons] == [
        "fewer than 2,000 elements, for",
        "fewer than 20,000 elements, fo",
        "no other kernel has this opera",
        "no other kernel takes this mem",
    ]


def test_what_a_gradient_needs_is_part_of_the_call():
    alone = fp.explain_call(fp.max_pool, X, 3, stride=2)
    kept = fp.explain_call(fp.vjp, fp.max_pool, X, 3, stride=2)
    assert kept.kernel == alone.kernel == "slides by 2"
    assert kept.writes == alone.writes + alone.writes // 4  # a byte for each value of four
    indexed = fp.explain_call(fp.max_pool, X, 3, stride=2, return_indices=True)
    assert indexed.writes == 2 * alone.writes


def test_nothing_is_run_and_nothing_written():
    x, out = np.arange(8192, dtype=np.float32).reshape(64, 128), np.full((32, 64), -1, np.float32)
    turned = np.full((64, 32), -1, np.float32).T
    for into in (out, turned):
        fp.explain_call(fp.max_pool, x, (2, 2), out=into)
        fp.explain_call(fp.fractional_pool, x, "max", (32, 64), window=2, out=into)
        assert (into == -1).all()
    np.testing.assert_array_equal(fp.max_pool(x, (2, 2)), x[1::2, 1::2])
    fp.explain_call(fp.max_pool, x, (2, 2))  # whose plan is kept by now
    np.testing.assert_array_equal(fp.max_pool(x, (2, 2), out=turned), x[1::2, 1::2])


def test_threads_are_those_that_would_run(threads, monkeypatch):
    x = np.zeros((8, 512, 512), np.float32)
    for wanted in (1, 3):
        threads(wanted)
        assert fp.explain_call(fp.max_pool, x, (2, 2)).threads == wanted
        assert fp.explain_call(fp.max_pool, x[:1], (2, 2)).threads == 1  # too little work
    threads(500)
    found = fp.explain_call(fp.max_pool, x, (2, 2))
    assert 1 < found.threads <= found.tasks
    helpers = []
    crew = pool_of_threads._Current.crew
    monkeypatch.setattr(crew, "grow", lambda number: helpers.append(number) or 0)
    fp.max_pool(x, (2, 2))
    assert helpers == [found.threads - 1]
    with pool_of_threads.alone():
        assert fp.explain_call(fp.max_pool, x, (2, 2)).threads == 1


def test_functions_that_call_several():
    found = fp.explain_call(lambda x: fp.unpool(*fp.max_pool(x, 2, return_indices=True), x.shape), X)
    assert found.operator == "max; unpool"
    assert [part.kernel for part in found.parts] == ["chosen cells", "indexing"]
    assert found.reads == X.nbytes + X.nbytes // 4


@pytest.mark.parametrize(
    ("f", "arguments", "message"),
    [
        (3, (X,), "f must be a pooling function, got 3"),
        (np.max, (X,), "f must call a pooling function of fastpool"),
        (fp.pool_backward, (X, X, "max", 1), "f must be a forward call"),
        (fp.unpool_backward, (X, X, np.zeros(X.shape, int), X.shape), "f must be a forward call"),
        (fp.roi_align_backward, (np.zeros((2, 3, 2, 2)), X, BOXES, 2), "f must be a forward call"),
        (fp.pyramid_pool_backward, (np.zeros((2, 63)), X, "max"), "f must be a forward call"),
        (lambda x: fp.vjp(fp.max_pool, x, 1)[1](x), (X,), "f must be a forward call"),
        (fp.max_pool, ([1, 2], 2), "x must be an array"),
        (fp.max_pool, (X, 2.5), "window must be an integer"),
    ],
)
def test_errors(f, arguments, message):
    with pytest.raises(TypeError, match=message):
        fp.explain_call(f, *arguments)
    assert fp.max_pool(X[:1, :1, :4, :4], 2).shape == (1, 1, 2, 2)  # calls run again


def test_arrays_of_libraries():
    xarray = pytest.importorskip("xarray")
    names = {"y": [f"row {n}" for n in range(64)], "x": np.arange(96.0)}
    for coords in ({}, names):
        x = xarray.DataArray(X, dims=("image", "band", "y", "x"), coords=coords)
        assert fp.explain_call(fp.max_pool, x, 3, skipna=False).kernel == "rows of cells"
    dask = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match="on an array in memory"):
        fp.explain_call(fp.max_pool, dask.from_array(X), 3)


@pytest.mark.cuda
@pytest.mark.skipif(not config.ENABLE_CUDASIM, reason="no device is needed to say that")
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")
def test_an_array_on_a_gpu():
    with pytest.raises(TypeError, match="x must be on the CPU to be explained, got one on CUDA device 0"):
        fp.explain_call(fp.max_pool, cuda.to_device(X), 3)


LENGTHS = [1, 2, 3, 4, 7, 14, 16, 28, 56, 64, 100, 224, 256, 365, 1000, 1024, 4096, 30000]
WINDOWS = [1, 2, 2, 3, 3, 4, 5, 7, 8, 9, 13, 16, 31, 60, 200, 1000]


@pytest.mark.parametrize("seed", range(200))
def test_no_large_call_is_left_to_the_general_kernel_or_takes_much_memory(seed):
    """Of pooled axes that are neighbours, whatever lies before and behind them."""
    rng = np.random.default_rng(seed)
    shape = (0,)
    while not 200_000 < np.prod(shape) < 8_000_000:
        shape = tuple(int(n) for n in rng.choice(LENGTHS, rng.integers(2, 6)))
    count = int(rng.integers(1, min(4, len(shape) + 1)))
    first = int(rng.integers(0, len(shape) - count + 1))
    axes = tuple(range(first, first + count))
    most = [WINDOWS] * count
    most[:-2] = [WINDOWS[:-3]] * (count - 2)  # sums of hundreds of slabs are left to it
    window = tuple(min(shape[axis], int(rng.choice(own))) for axis, own in zip(axes, most, strict=True))
    stride = tuple(int(rng.choice([1, 1, 2, 3, max(1, k // 5), max(1, k // 2), k, 2 * k])) for k in window)
    padding = tuple((int(n), int(n)) for n in (int(rng.choice([0, 0, k // 2])) for k in window))
    x = np.zeros(shape, rng.choice(["float32", "float64", "uint8"]))
    op = str(rng.choice(["max", "avg", "sum"]))
    indices = {"return_indices": True} if op == "max" and seed % 3 == 0 else {}
    call = {"stride": stride, "padding": padding, "axes": axes, **indices}
    told = fp.explain_call(fp.pool, x, op, window, **call)
    if np.prod(window) > 1:
        assert told.kernel != "general", told
    assert told.scratch <= 2_000_000, told


# The command ---------------------------------------------------------------------------------------------


def run(*words):
    return CliRunner().invoke(app, ["explain", *words])


def test_the_command():
    result = run("2,3,64,96", "--kernel", "max", "--window", "3,2", "--padding", "1,0", "--dtype", "uint8")
    assert result.exit_code == 0, result.output
    x = X.astype(np.uint8)
    assert result.stdout == f"{fp.explain_call(fp.pool, x, 'max', (3, 2), padding=(1, 0))}\n"
    words = ("--axes", "0,1", "--param", "q=0.25", "--stride", "1", "--dilation", "2", "--ceil")
    result = run("300,300,3", "--kernel", "quantile", "--window", "3", *words)
    assert "windows   3x3, stride 1x1, dilation 2x2\n" in result.stdout
    assert "(300, 300, 3) float32" in result.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("64,64", "--kernel", "best", "--window", "3"), 1, "op must be one of max, min"),
        (("64,x", "--kernel", "max", "--window", "3"), 1, "LENGTH must be an integer"),
        (("64,-1", "--kernel", "max", "--window", "3"), 1, "negative dimensions"),
        (("64,64", "--kernel", "max", "--window", "65,65"), 1, "does not fit length 64"),
        (("64,64", "--kernel", "max", "--window", "3,3", "--dtype", "float31"), 1, "float31"),
        (("64,64", "--window", "3"), 1, "n must be an integer, got (64, 64)"),
        (("64", "--window", "3", "--dtype", "uint8"), 2, "go with --kernel"),
    ],
)
def test_errors_of_the_command(words, code, message):
    result = run(*words)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output


KEYS = """
import hashlib
from numba.core.serialize import dumps
from test_explain_call import CHOSEN
import fastpool as fp
from fastpool.cpu import choose

found, plan = [], choose.plan
choose.plan = lambda reduction: found.append(plan(reduction)) or found[-1]
for f, x, window, options in CHOSEN.values():
    fp.explain_call(f, x, window, **options)
for name, one in zip(CHOSEN, found, strict=True):
    captured = tuple(cell.cell_contents for cell in one.kernel.py_func.__closure__)
    print(name, one.kernel.__name__, hashlib.sha256(dumps(captured)).hexdigest())
"""


def test_kernels_are_found_in_the_cache_by_another_process():
    """What a kernel captures is a part of its key, and the same in each process."""
    command = [sys.executable, "-c", KEYS]
    where = {"cwd": Path(__file__).parent, "capture_output": True, "text": True}
    first, second = (subprocess.run(command, check=True, **where).stdout for _ in range(2))
    assert first.count("\n") == len(choose.CHOICES)
    assert first == second
