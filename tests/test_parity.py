"""Arrays on a GPU give what NumPy's give: values, dtypes, shapes, indices, gradients and errors.

Runs on a GPU or, with NUMBA_ENABLE_CUDASIM=1, in numba's simulator; the values of the CPU are themselves
compared with the oracle elsewhere, and `test_oracle` here compares the GPU's directly.
"""

import warnings
from inspect import signature

import cases
import ml_dtypes
import numpy as np
import pytest
import reference
import test_errors
import test_form_errors
import test_gradients
from numba import config, cuda

import fastpool as fp
from fastpool import kinds

SIMULATED = bool(config.ENABLE_CUDASIM)
pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not (SIMULATED or cuda.is_available()), reason="no GPU, and not the simulator"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # the simulator divides as Python does
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
FLOATS = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)
INTEGERS = (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.bool_)


def to_device(value):
    """A NumPy array on the GPU; anything else as it is."""
    return cuda.to_device(value.copy()) if isinstance(value, np.ndarray) else value


def to_host(value):
    """What came back, as NumPy's; an array that did not come from the GPU fails."""
    if isinstance(value, tuple):
        return tuple(map(to_host, value))
    if isinstance(value, dict):
        return {name: to_host(part) for name, part in value.items()}
    return value.copy_to_host()


def on_device(function, *args, **kwargs):
    """The function's result for the same arguments on the GPU."""
    moved = [to_device(value) for value in args], {name: to_device(value) for name, value in kwargs.items()}
    return to_host(function(*moved[0], **moved[1]))


def plain(function, *args, **kwargs):
    """The function's result for NumPy's arrays."""
    return function(*args, **kwargs)


def assert_same(found, wanted, tolerance=0.0):
    if isinstance(wanted, tuple):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other, tolerance)
        return
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    if tolerance == 0:
        np.testing.assert_array_equal(found, wanted)
    else:
        numbers = (np.asarray(a).astype(np.float64) for a in (found, wanted))
        np.testing.assert_allclose(*numbers, rtol=tolerance, atol=tolerance)


def random_values(rng, shape, dtype):
    if np.dtype(dtype) == np.bool_:
        return rng.integers(0, 2, shape).astype(bool)
    if np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    return rng.normal(size=shape).astype(dtype)


def tolerance_of(op, dtype):
    whole = np.dtype(dtype).kind in "iub"
    if whole and op == "var":  # of float64
        return 1e-12
    exact = op in ("max", "min", "median", "mode", "stochastic") or whole
    return 0.0 if exact else {2: 2e-2, 4: 2e-6, 8: 1e-12}[np.dtype(dtype).itemsize]


# Every operator in every form, forward and backward ----------------------------------------------------


@pytest.mark.parametrize("op", test_gradients.OPERATORS)
@pytest.mark.parametrize("form", test_gradients.FORMS)
def test_every_operator_in_every_form(form, op):
    function, stateless, args, options = test_gradients.FORMS[form]
    options = options | test_gradients.OPERATORS[op]
    call = (op.split()[0], *args)
    x = test_gradients.X.astype(np.float64)
    y, pull = fp.vjp(function, x, *call, **options)
    gy = np.random.default_rng(1).normal(size=y.shape)
    gx, slopes = pull(gy, params=True)
    moved = [to_device(value) for value in call], {name: to_device(v) for name, v in options.items()}
    found, pull_found = fp.vjp(function, to_device(x), *moved[0], **moved[1])
    gradient, slopes_found = to_host(pull_found(to_device(gy), params=True))
    assert_same(to_host(found), y, 1e-12)
    assert_same(gradient, gx, 1e-12)
    assert slopes_found.keys() == slopes.keys()
    for name, slope in slopes.items():
        np.testing.assert_allclose(slopes_found[name], slope, rtol=1e-9, atol=1e-9)
    again = to_host(stateless(to_device(gy), to_device(x), *moved[0], **moved[1]))
    np.testing.assert_array_equal(again, gradient)  # two runs, the same bits


@pytest.mark.parametrize(
    "op", ["max", "min", "avg", "sum", "lp", "lse", "soft", "mixed", "gem", "var", "std"]
)
def test_oracle(op):
    x = cases.distinct(np.random.default_rng(3), (2, 2, 6, 5))
    tables = [reference.taps(6, 3, 2, 1, 1, 1, False), reference.taps(5, 2, 1, 0, 1, 1, False)]
    wanted = reference.pool(x, op, tables, (2, 3), include_pad=True)
    wanted = wanted[0] if isinstance(wanted, tuple) else wanted
    found = on_device(fp.pool, x, op, (3, 2), stride=(2, 1), padding=((1, 1), (0, 1)))
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS], ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("op", ["max", "min", "avg", "sum", "median", "mode", "var"])
def test_dtypes(op, dtype):
    kind = np.dtype(dtype)
    rng = np.random.default_rng(5)
    x = random_values(rng, (2, 3, 6, 8), dtype)
    if op == "mode":
        x = x & x.dtype.type(1) if kind.kind in "iub" else np.round(x)
    for options in ({"window": 2}, {"window": 3, "stride": 2, "padding": 1}):
        wanted = fp.pool(x, op, **options)
        assert_same(on_device(fp.pool, x, op, **options), wanted, tolerance_of(op, dtype))
    if kind.kind not in "iub" and op != "mode":
        wanted, pull = fp.vjp(fp.pool, x, op, 2)
        gy = random_values(rng, wanted.shape, dtype)
        _, moved = fp.vjp(fp.pool, to_device(x), op, 2)
        assert_same(to_host(moved(to_device(gy))), pull(gy), {2: 2e-2}.get(kind.itemsize, 1e-6))


@pytest.mark.parametrize("op", ["max", "min"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint8], ids=lambda dtype: np.dtype(dtype).name)
def test_indices_ties_and_nans(op, dtype):
    rng = np.random.default_rng(6)
    x = rng.integers(0, 3, (2, 2, 8, 8)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        x[rng.random(x.shape) < 0.1] = np.nan
        x[rng.random(x.shape) < 0.1] = -np.inf
    for options in ({"window": 2}, {"window": 3, "stride": 1, "padding": 1}, {"window": 2, "dilation": 2}):
        wanted = fp.pool(x, op, return_indices=True, **options)
        assert_same(on_device(fp.pool, x, op, return_indices=True, **options), wanted)
        indices = wanted[1]
        gy = rng.normal(size=indices.shape).astype(np.float32)
        given = {name: value for name, value in options.items() if name != "window"}
        arguments = (gy, x, op, options["window"])
        wanted_back = fp.pool_backward(*arguments, indices=indices, **given)
        found = on_device(fp.pool_backward, *arguments, indices=indices, **given)
        assert_same(found, wanted_back, 2e-2 if x.dtype == np.float16 else 1e-6)


# Geometry, layout, and large windows -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_geometries(seed):
    """Random windows of one to three axes, channels first and last, for all kernels."""
    rng = np.random.default_rng(seed)
    rank, last = int(rng.integers(1, 4)), bool(rng.integers(2))
    plane = [int(n) for n in rng.integers(3, 12, rank)]
    plane[-1] = int(rng.choice([plane[-1], 8]))
    channels = int(rng.choice([1, 3, 4, 8]))
    shape = (2, *plane, channels) if last else (2, channels, *plane)
    window = tuple(int(rng.integers(1, min(4, n) + 1)) for n in plane)
    options = {
        "stride": tuple(int(s) for s in rng.integers(1, 4, rank)),
        "padding": tuple((int(rng.integers(0, k)), int(rng.integers(0, k))) for k in window),
        "axes": tuple(range(1, 1 + rank) if last else range(2, 2 + rank)),
        "ceil_mode": bool(rng.integers(2)),
    }
    op, dtype = str(rng.choice(["max", "min", "avg", "sum"])), FLOATS[int(rng.integers(4))]
    if op == "avg":
        options["count_include_pad"] = bool(rng.integers(2))
    x = random_values(rng, shape, dtype)
    if rng.integers(3) == 0:
        x.flat[rng.integers(x.size)] = np.nan
    y, pull = fp.vjp(fp.pool, x, op, window, **options)
    found, pull_found = fp.vjp(fp.pool, to_device(x), op, window, **options)
    tolerance = {2: 2e-2}.get(np.dtype(dtype).itemsize, 1e-6)
    assert_same(to_host(found), y, 0.0 if op in ("max", "min") else tolerance)
    gy = random_values(rng, y.shape, dtype)
    gradients = [to_host(pull_found(to_device(gy))) for _ in range(2)]
    assert_same(gradients[0], pull(gy), tolerance)
    np.testing.assert_array_equal(gradients[0], gradients[1])


@pytest.mark.parametrize("layout", ["C", "F", "sliced"])
def test_layouts(layout):
    x = cases.arrange(np.random.default_rng(8).normal(size=(2, 3, 6, 8)).astype(np.float32), layout)
    if layout == "sliced":
        moved = cuda.to_device(np.ascontiguousarray(x.base if x.base is not None else x))
        moved = moved[tuple(slice(1, None, 2) for _ in x.shape)]
    else:
        moved = cuda.to_device(x)
    for op in ("max", "avg", "soft"):
        wanted, pull = fp.vjp(fp.pool, x, op, 3, stride=2, padding=1)
        found, pull_found = fp.vjp(fp.pool, moved, op, 3, stride=2, padding=1)
        assert_same(to_host(found), wanted, 1e-6)
        gy = np.asfortranarray(np.random.default_rng(9).normal(size=wanted.shape).astype(np.float32))
        assert_same(to_host(pull_found(cuda.to_device(gy))), pull(gy), 1e-6)


@pytest.mark.parametrize("op", ["max", "avg", "sum", "lse", "soft", "mixed", "gem", "median", "var", "std"])
def test_large_windows(op):
    """Windows that teams share and, but for the median, that several blocks have parts of."""
    x = np.random.default_rng(10).normal(size=(1, 2, 24, 30))
    x[0, 1, 3, 4] = np.nan if op == "max" else 0.5
    assert_same(on_device(fp.global_pool, x, op), fp.global_pool(x, op), 1e-12)
    assert_same(on_device(fp.pool, x, op, (23, 29)), fp.pool(x, op, (23, 29)), 1e-12)
    if op == "max":
        options = {"return_indices": True}
        assert_same(on_device(fp.pool, x, op, (23, 29), **options), fp.pool(x, op, (23, 29), **options))


@pytest.mark.parametrize("axes", [(0,), (1, 3), (0, 2, 3), (0, 1, 2, 3)])
def test_axes(axes):
    x = np.random.default_rng(11).normal(size=(4, 5, 6, 3))
    for op in ("max", "avg", "median"):
        wanted = fp.pool(x, op, 2, axes=axes, stride=1)
        assert_same(on_device(fp.pool, x, op, 2, axes=axes, stride=1), wanted, 1e-12)


def test_six_axes():
    x = np.random.default_rng(12).normal(size=(3, 2, 2, 3, 2, 2))
    for op in ("max", "lse"):
        wanted, pull = fp.vjp(fp.pool, x, op, (2, 2, 2, 2, 2, 2), stride=1)
        found, pull_found = fp.vjp(fp.pool, to_device(x), op, (2, 2, 2, 2, 2, 2), stride=1)
        assert_same(to_host(found), wanted, 1e-12)
        gy = np.ones_like(wanted)
        assert_same(to_host(pull_found(to_device(gy))), pull(gy), 1e-12)


@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize("last", ["plane", "rows", "channels"])
def test_beyond_two_to_the_31_elements(op, last):
    """In one plane, whose places need 64 bits; in planes of lines; and with channels last."""
    side = 16 if SIMULATED else 2**15
    shape, axes = {
        "plane": ((1, 1, 2 * side, side + 2), (2, 3)),
        "rows": ((2, 1, side, side + 2), (2, 3)),
        "channels": ((2, side + 2, side // 8, 8), (1, 2)),
    }[last]
    shape = shape if SIMULATED or last != "channels" else (16, *shape[1:])
    size = np.prod(shape)
    if not SIMULATED and cuda.current_context().get_memory_info().free < 10 * size:
        pytest.skip("needs an array of 2 GiB, its gradient of 4, and indices on the GPU")
    rng = np.random.default_rng(26)
    x = np.resize(rng.integers(0, 256, 1_000_003, np.uint8), shape)
    y, pull = fp.vjp(fp.pool, x, op, 2, axes=axes)
    found, pull_found = fp.vjp(fp.pool, cuda.to_device(x), op, 2, axes=axes)
    assert_same(found.copy_to_host(), y)
    gy = np.resize(rng.integers(1, 9, 1_000_003).astype(np.float16), y.shape)
    np.testing.assert_array_equal(
        to_host(pull_found(cuda.to_device(gy))).view(np.int16), pull(gy).view(np.int16)
    )


# What the forms add ------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["avg", "max", "max_neighbour"])
@pytest.mark.parametrize("samples", [0, 2])
def test_roi_align(op, samples):
    x = np.random.default_rng(13).normal(size=(2, 2, 7, 6))
    call = {"scale": 0.5, "samples": samples, "op": op}
    boxes = test_gradients.BOXES
    y, pull = fp.vjp(fp.roi_align, x, boxes, (2, 3), **call)
    found, pull_found = fp.vjp(fp.roi_align, to_device(x), to_device(boxes), (2, 3), **call)
    assert_same(to_host(found), y, 1e-12)
    gy = np.random.default_rng(14).normal(size=y.shape)
    assert_same(to_host(pull_found(to_device(gy))), pull(gy), 1e-12)
    half = x.astype(np.float16)
    wanted = fp.roi_align(half, boxes, (2, 3), **call)
    assert_same(on_device(fp.roi_align, half, boxes, (2, 3), **call), wanted, 2e-3)


@pytest.mark.parametrize("duplicates", ["last", "sum"])
@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int16])
def test_unpool(duplicates, dtype):
    rng = np.random.default_rng(15)
    x = random_values(rng, (2, 3, 6, 6), dtype)
    y, indices = fp.max_pool(x, 3, stride=2, return_indices=True)
    call = (y, indices, x.shape)
    wanted = fp.unpool(*call, duplicates=duplicates)
    assert_same(on_device(fp.unpool, *call, duplicates=duplicates), wanted)
    gx = rng.normal(size=x.shape).astype(np.float32)
    wanted = fp.unpool_backward(gx, *call, duplicates=duplicates)
    assert_same(on_device(fp.unpool_backward, gx, *call, duplicates=duplicates), wanted)
    with pytest.raises(ValueError, match="name an element twice"):
        on_device(fp.unpool, y, indices * 0, x.shape, duplicates="error")


def test_mode_ignores():
    x = np.random.default_rng(16).integers(0, 4, (1, 1, 6, 6)).astype(np.uint32)
    for ignore in (None, 0, 3):
        wanted = fp.mode_pool(x, 3, stride=2, ignore=ignore)
        assert_same(on_device(fp.mode_pool, x, 3, stride=2, ignore=ignore), wanted)
    assert_same(on_device(fp.mode_pool, x * 0 + 2, 3, ignore=2), fp.mode_pool(x * 0 + 2, 3, ignore=2))


@pytest.mark.parametrize("ties", ["smallest", "first", "largest"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64], ids=str)
def test_modes_of_ties_zeros_and_nans(dtype, ties):
    rng = np.random.default_rng(26)
    x = rng.integers(-2, 3, (1, 2, 9, 9)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        x[rng.random(x.shape) < 0.3] *= -1
        x[0, 1][rng.random((9, 9)) < 0.1] = np.nan
    for options in ({}, {"ignore": 0}, {"ignore": 1, "where": rng.random(x.shape) < 0.8, "fill": 5}):
        wanted = fp.mode_pool(x, 3, stride=2, ties=ties, **options)
        found = on_device(fp.mode_pool, x, 3, stride=2, ties=ties, **options)
        assert_same(found, wanted)
        assert_same(np.signbit(found), np.signbit(wanted))
    if np.dtype(dtype).kind == "f":
        assert_same(*(call(fp.mode_pool, x, 3, ignore=np.nan, ties=ties) for call in (on_device, plain)))
    wanted = fp.global_pool(x, "mode", axes=(0, 1, 2, 3), ties=ties, skipna=True)
    found = on_device(fp.global_pool, x, "mode", axes=(0, 1, 2, 3), ties=ties, skipna=True)
    assert_same(found, wanted)


def test_several_quantiles():
    x, q = np.random.default_rng(27).normal(size=(2, 3, 6, 8)), [0.9, 0.0, 0.25]
    wanted, pull = fp.vjp(fp.quantile_pool, x, 2, q=q)
    found, pull_found = fp.vjp(fp.quantile_pool, to_device(x), 2, q=q)
    assert_same(to_host(found), wanted)
    assert_same(to_host(pull_found(to_device(wanted))), pull(wanted), 1e-12)
    gx = on_device(fp.pool_backward, wanted, x, "quantile", 2, q=q)
    assert_same(gx, pull(wanted), 1e-12)
    out = to_device(np.zeros(wanted.shape))
    assert fp.quantile_pool(to_device(x), 2, q=q, out=out) is out
    assert_same(to_host(out), wanted)


def test_quantiles_of_ties_zeros_and_nans():
    rng = np.random.default_rng(17)
    x = rng.integers(-1, 2, (1, 2, 7, 7)) * 0.0 + rng.integers(-2, 3, (1, 2, 7, 7))
    x[0, 0, 0] = -0.0
    x[0, 1, 2, 2] = np.nan
    for q in (0.0, 0.25, 0.5, 0.9, 1.0):
        wanted = fp.quantile_pool(x, 3, q=q, stride=2)
        found = on_device(fp.quantile_pool, x, 3, q=q, stride=2)
        assert_same(found, wanted)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


def test_stochastic_draws_the_same():
    x = np.abs(np.random.default_rng(18).normal(size=(2, 3, 6, 6)))
    for seed in (0, 2**40 + 5):
        wanted = fp.stochastic_pool(x, 2, rng=seed, return_indices=True)
        assert_same(on_device(fp.stochastic_pool, x, 2, rng=seed, return_indices=True), wanted)


def test_out_and_empty_batch():
    x = np.random.default_rng(19).normal(size=(2, 3, 4, 4))
    out = cuda.to_device(np.zeros((2, 3, 2, 2)))
    assert fp.max_pool(to_device(x), 2, out=out) is out
    assert_same(out.copy_to_host(), fp.max_pool(x, 2))
    moved = to_device(x)
    with pytest.raises(ValueError, match="share no memory"):
        fp.max_pool(moved, 1, out=moved)
    empty = np.zeros((0, 3, 4, 4))
    assert_same(on_device(fp.avg_pool, empty, 2), fp.avg_pool(empty, 2))
    wanted = fp.pool_backward(np.zeros((0, 3, 2, 2)), empty, "max", 2)
    assert_same(on_device(fp.pool_backward, np.zeros((0, 3, 2, 2)), empty, "max", 2), wanted)


# Errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        (fp.pool, np.ones((1, 1, 4, 4)), "max", 0),
        (fp.pool, np.ones((1, 1, 4, 4)), "max", 5),
        (fp.pool, np.ones((1, 1, 4, 4)), "median", 2.5),
        (fp.pool, np.ones((1, 1, 4, 4), complex), "max", 2),
        (fp.pool, np.ones((4, 4)), "max", 2),
        (fp.pool, np.ones((1, 1, 4, 4), bool), "lp", 2),
        (fp.pool_backward, np.ones((1, 1, 2, 3)), np.ones((1, 1, 4, 4)), "max", 2),
        (fp.unpool, np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), 16), (4, 4)),
        (fp.unpool, np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), -1), (4, 4)),
        (fp.roi_pool, np.ones((1, 1, 4, 4)), "max", np.array([[1.0, 0, 0, 1, 1]]), 2),
        (fp.roi_align, np.ones((1, 1, 4, 4)), np.array([[0, np.nan, 0, 1, 1]]), 2),
    ],
)
def test_errors_are_the_same(call):
    function, *arguments = call
    with pytest.raises((ValueError, TypeError)) as wanted:
        function(*arguments)
    with pytest.raises(type(wanted.value)) as found:
        on_device(function, *arguments)
    assert str(found.value) == str(wanted.value)


def outcome(call, *args, **kwargs):
    """What a call gives, or its error."""
    try:
        return call(*args, **kwargs)
    except ValueError as error:
        return str(error)


CHOOSING = {name: form for name, form in test_gradients.FORMS.items() if name not in ("global", "mosaic")} | {
    "dilated": (fp.pool, fp.pool_backward, (2,), {"dilation": 2, "stride": 1, "padding": 1}),
    "channels last": (fp.pool, fp.pool_backward, (3,), {"axes": (1, 2), "stride": 1}),
}


@pytest.mark.parametrize("form", CHOOSING)
def test_indices_that_come_back(form):
    """A pull does not read those that were handed out; a caller's own are looked at, each of them."""
    function, backward, args, options = CHOOSING[form]
    rng, x = np.random.default_rng(27), test_gradients.X
    given = {name: to_device(value) for name, value in options.items()}
    moved_args = [to_device(value) for value in args]
    (y, indices), pull = fp.vjp(function, to_device(x), "max", *moved_args, return_indices=True, **given)
    right, gy = indices.copy_to_host(), rng.normal(size=y.shape)
    wanted = backward(gy, x, "max", *args, indices=right, **options)
    indices.copy_to_device(np.full_like(right, 2**30))
    assert_same(to_host(pull(to_device(gy))), wanted, 1e-12)
    for _ in range(8):
        wrong = right.copy()
        wrong.flat[rng.integers(wrong.size)] = rng.integers(-2, 7 * 6 + 1)
        call = (backward, gy, x, "max", *args)
        found, wanted = (outcome(c, *call, indices=wrong, **options) for c in (on_device, plain))
        if isinstance(wanted, str):
            assert found == wanted
        else:
            assert_same(found, wanted, 1e-12)


@pytest.mark.parametrize("duplicates", ["last", "sum"])
def test_unpool_reads_indices_once(duplicates):
    x = np.random.default_rng(28).normal(size=(2, 3, 6, 6))
    y, indices = fp.max_pool(x, 3, stride=1, return_indices=True)
    moved, gx = to_device(indices), np.random.default_rng(29).normal(size=x.shape)
    _, pull = fp.vjp(fp.unpool, to_device(y), moved, x.shape, duplicates=duplicates)
    moved.copy_to_device(np.full_like(indices, -(2**30)))
    wanted = fp.unpool_backward(gx, y, indices, x.shape, duplicates=duplicates)
    assert_same(to_host(pull(to_device(gx))), wanted)


def test_two_kinds_in_one_call():
    x = to_device(np.ones((1, 1, 4, 4)))
    with pytest.raises(TypeError, match=r"got x of a CUDA array of numba and out of numpy\.ndarray"):
        fp.max_pool(x, 2, out=np.ones((1, 1, 2, 2)))
    with pytest.raises(TypeError, match=r"got x of a CUDA array of numba and gy of numpy\.ndarray"):
        fp.pool_backward(np.ones((1, 1, 2, 2)), x, "max", 2)


def moved_vjp(function, x, *args, **kwargs):
    y, pull = fp.vjp(function, to_device(x), *args, **kwargs)
    return y, lambda gy, **options: pull(to_device(gy), **options)


class Moved:
    """The library, but that functions get their NumPy arrays on the GPU, where all can go there."""

    def __getattr__(self, name):
        function = getattr(fp, name)

        def moved(*args, **kwargs):
            names = [*signature(function).parameters][: len(args)]
            given = (*zip(names, args, strict=False), *kwargs.items())
            arrays = [v for n, v in given if is_array_argument(n, v)]
            if not all(type(a) is np.ndarray and a.dtype.kind in "biuf" and a.dtype.isnative for a in arrays):
                return function(*args, **kwargs)
            options = {n: to_device(v) if is_array_argument(n, v) else v for n, v in kwargs.items()}
            places = zip(names, args, strict=False)
            places = [to_device(v) if is_array_argument(n, v) else v for n, v in places]
            return function(*places, *args[len(names) :], **options)

        return moved_vjp if name == "vjp" else moved


def is_array_argument(name, value):
    return name in kinds.ARGUMENTS and isinstance(value, np.ndarray)


@pytest.mark.parametrize("module", [test_errors, test_form_errors], ids=lambda module: module.__name__)
def test_every_bad_input(module, monkeypatch):
    """The rows of the CPU's tables of bad input: the same errors with arrays on the GPU."""
    monkeypatch.setattr(module, "fp", Moved())
    assert len(module.CALLS) > 50
    for row in module.CALLS.values():
        call, error, match = row.values
        if "writeable" in match or "share no memory" in match:  # a copy on the GPU is writeable, and apart
            continue
        with pytest.raises(error, match=f"{match}|one kind|must be an array"):
            call()


def test_input_is_not_written():
    x = np.random.default_rng(20).normal(size=(1, 2, 8, 8)).astype(np.float32)
    moved = to_device(x)
    for op in ("max", "median", "soft"):
        y, pull = fp.vjp(fp.pool, moved, op, 2)
        pull(y)
    np.testing.assert_array_equal(moved.copy_to_host(), x)


@pytest.mark.skipif(not SIMULATED, reason="numba's arrays on a GPU are aligned, and of its byte order")
def test_unaligned_odd_and_swapped_arrays():
    """Memory that kernels cannot read as elements is copied byte by byte."""
    whole = np.random.default_rng(21).normal(size=(1, 1, 6, 9)).astype(np.float32)
    raw = np.zeros(whole.nbytes + 1, np.uint8)
    unaligned = raw[1:].view(np.float32).reshape(whole.shape)
    unaligned[...] = whole
    held = np.zeros(600, np.uint8)
    odd = np.ndarray(whole.shape, np.float32, held, strides=(360, 360, 60, 6))
    odd[...] = whole
    fake = type(cuda.to_device(whole))
    for x in (unaligned, odd, whole.astype(">f4")):
        assert_same(to_host(fp.max_pool(fake(x), 2)), fp.max_pool(np.array(x, np.float32), 2))
    out = raw[1 : 1 + 4 * 12].view(np.float32).reshape(1, 1, 3, 4)
    fp.max_pool(cuda.to_device(whole), 2, out=fake(out))
    np.testing.assert_array_equal(out, fp.max_pool(whole, 2))


def test_zeros_of_both_signs():
    """They tie: the first is the index, and the sign of the value is free."""
    rng = np.random.default_rng(22)
    x = np.where(rng.random((1, 2, 8, 8)) < 0.5, -0.0, 0.0).astype(np.float32)
    for op in ("max", "min"):
        assert_same(*(call(fp.pool, x, op, 2, return_indices=True) for call in (on_device, plain)))


def test_gradients_have_the_shape_of_what_they_are_for():
    x = np.random.default_rng(23).normal(size=(8, 1))
    for options in ({"scheme": "torch", "window": 2, "rng": 0}, {"scheme": "pseudo", "rng": 0}):
        y, pull = fp.vjp(fp.fractional_pool, x, "max", 3, axes=(0,), **options)
        found, pull_found = fp.vjp(fp.fractional_pool, to_device(x), "max", 3, axes=(0,), **options)
        assert_same(to_host(found), y)
        assert_same(to_host(pull_found(to_device(y))), pull(y))


@pytest.mark.parametrize("op", ["max", "avg", "lp", "median"])
def test_regions_that_leave_elements_uncovered(op):
    x = np.random.default_rng(24).normal(size=(1, 1, 4, 4))
    boxes = np.array([[0, 0, 0, 1, 1], [0, 2, 3, 3, 3], [0, -9, -9, -8, -8], [0, 9, 9, 9, 9]], np.float64)
    for end in range(1, 5):
        y, pull = fp.vjp(fp.roi_pool, x, op, boxes[:end], 3)
        found, pull_found = fp.vjp(fp.roi_pool, to_device(x), op, to_device(boxes[:end]), 3)
        assert_same(to_host(found), y, 1e-12)
        assert_same(to_host(pull_found(to_device(np.ones(y.shape)))), pull(np.ones(y.shape)), 1e-12)


def test_interleaved_out():
    both = np.random.default_rng(25).normal(size=(1, 1, 4, 8))
    moved = to_device(both)
    fp.max_pool(moved[..., ::2], 1, out=moved[..., 1::2])
    np.testing.assert_array_equal(to_host(moved)[..., 1::2], both[..., ::2])


def test_nothing_warns_but_division():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", RuntimeWarning)
        on_device(fp.max_pool, np.ones((1, 1, 4, 4)), 2)


@pytest.mark.parametrize(("dtype", "value"), [(np.float32, 3e38), (np.float64, 1.7e308)], ids=str)
def test_averages_of_finite_numbers_are_finite(dtype, value):
    """By lines, channels first and last and padded, by elements, and back."""
    x = np.full((2, 6, 7), value, dtype)
    for window, axes, padding in (((2, 2), (1, 2), 0), ((3, 2), (0, 1), 1), ((6, 7), (1, 2), 0)):
        options = {"axes": axes, "padding": padding, "count_include_pad": False}
        y = on_device(fp.avg_pool, x, window, **options)
        np.testing.assert_allclose(y / dtype(value), 1, rtol=1e-6)
    y, pull = fp.vjp(fp.avg_pool, to_device(x), (2, 2), stride=1)
    gx = to_host(pull(to_device(np.full(y.shape, value, dtype))))
    np.testing.assert_allclose(gx[:, 1:-1, 1:-1] / dtype(value), 1, rtol=1e-6)


def test_floats_are_rounded_once():
    for dtype, unit in ((np.float16, 2.0**-10), (ml_dtypes.bfloat16, 2.0**-7)):
        x = np.array([1 + unit / 2 + 2.0**-40, 1 + 3 * unit / 2 - 2.0**-40])
        y = on_device(fp.max_pool, x, (1,), dtype=dtype)
        np.testing.assert_array_equal(y.astype(np.float64), 1 + unit)
