"""fastpool.compat.torch beside torch: 200 random argument sets for each function and module."""

import inspect
import pickle
import random
import re
import subprocess
import sys

import numpy as np
import pytest

import fastpool as fp
from fastpool import compat
from fastpool.compat import torch as ours

SETS = 200
FUNCTIONS = [name for name in vars(ours) if re.fullmatch(r"[a-z]\w+_\w*pool\dd(_with_indices)?", name)]
MODULES = [name for name in vars(ours) if re.fullmatch(r"[A-Z]\w+ool\dd", name)]
REFUSALS = (RuntimeError, ValueError, TypeError, ZeroDivisionError, IndexError)


@pytest.fixture(scope="module")
def torch():
    module = pytest.importorskip("torch")
    module.set_num_threads(1)
    return module


# Random arguments ----------------------------------------------------------------------------------------


def each_axis(rng, count, choose):
    """A number, a sequence with one an axis, or rarely one too many."""
    if rng.random() < 0.3:
        return choose()
    return rng.choice([tuple, list])(choose() for _ in range(count + (rng.random() < 0.02)))


def array(rng, count, shortest=None, longest=9):
    """Ties on purpose; with a batch, without, and rarely of a wrong number of axes or an empty batch."""
    shape = [rng.randint(1, 3), *(rng.randint(shortest or count, longest) for _ in range(count))]
    if rng.random() < 0.6:
        shape = [rng.choice([0, 1, 2, 2, 2]), *shape]
    if rng.random() < 0.03:
        shape = rng.choice([shape[2:], [1, 2, *shape]])
    data = np.random.default_rng(rng.randrange(10**9))
    return data.integers(-9, 9, shape).astype(np.float32)


def some(rng, **arguments):
    """Some of the arguments; torch's defaults are tested with the others."""
    return {name: value for name, value in arguments.items() if rng.random() < 0.7}


def windows(rng, count):
    kernel = each_axis(rng, count, lambda: rng.randint(0 if rng.random() < 0.02 else 1, 4))
    smallest = kernel if isinstance(kernel, int) else min(kernel)
    padding = rng.randint(-1 if rng.random() < 0.05 else 0, smallest // 2 + (rng.random() < 0.05))
    return kernel, some(
        rng, stride=each_axis(rng, count, lambda: rng.randint(rng.random() > 0.02, 4)), padding=padding
    )


def max_arguments(rng, count):
    kernel, more = windows(rng, count)
    more |= some(rng, dilation=each_axis(rng, count, lambda: rng.randint(rng.random() > 0.02, 3)))
    more |= some(rng, ceil_mode=rng.random() < 0.5, return_indices=rng.random() < 0.5)
    return array(rng, count).astype(rng.choice(["float32", "float64"])), {"kernel_size": kernel, **more}


def avg_arguments(rng, count):
    kernel, more = windows(rng, count)
    more |= some(rng, ceil_mode=rng.random() < 0.5, count_include_pad=rng.random() < 0.5)
    if count > 1 and rng.random() < 0.3:
        more["divisor_override"] = rng.randint(-3, 5)
    return array(rng, count), {"kernel_size": kernel, **more}


def lp_arguments(rng, count):
    kernel, more = windows(rng, count)
    more.pop("padding", None)
    more |= some(rng, ceil_mode=rng.random() < 0.5)
    p = rng.choice([1, 2, 2.0, 3, 4, 2.5, -2, 0, np.inf, -np.inf])
    kernel = kernel[0] if count == 1 and not isinstance(kernel, int) else kernel
    return array(rng, count), {"norm_type": p, "kernel_size": kernel, **more}


def adaptive_arguments(rng, count, *, indices):
    size = each_axis(rng, count, lambda: rng.randint(1, 11) * (-1 if rng.random() < 0.01 else 1))
    if count > 1 and isinstance(size, tuple) and rng.random() < 0.3:
        size = (None, *size[1:])
    more = some(rng, return_indices=rng.random() < 0.5) if indices else {}
    return array(rng, count), {"output_size": size, **more}


def fractional_arguments(rng, count):
    x = array(rng, count, shortest=4, longest=12)
    more = some(rng, return_indices=rng.random() < 0.5)
    if rng.random() < 0.5:
        more["output_size"] = each_axis(rng, count, lambda: rng.randint(1, 5))
    if "output_size" not in more and rng.random() < 0.95:
        more["output_ratio"] = tuple(rng.uniform(0.3, 0.7) for _ in range(count))
    kernel = each_axis(rng, count, lambda: rng.randint(1, 4))
    batch = x.shape[0] if x.ndim == count + 2 else 1
    data = np.random.default_rng(rng.randrange(10**9))
    columns = count + (rng.random() < 0.02)
    samples = data.random((batch, x.shape[-count - 1] if x.ndim > count else 1, columns))
    return x, {"kernel_size": kernel, **more, "_random_samples": samples.astype(x.dtype)}


def unpool_arguments(rng, count):
    y = array(rng, count, shortest=1, longest=4)
    kernel, stride = rng.randint(1, 3), rng.choice([None, rng.randint(1, 3)])
    more = {"stride": stride, "padding": rng.choice([0, 0, kernel // 2])}
    lengths = [(n - 1) * (stride or kernel) + kernel - 2 * more["padding"] for n in y.shape[-count:]]
    if rng.random() < 0.5:
        lengths = [n + rng.randint(-1, 1) for n in lengths]
        more["output_size"] = rng.choice([lengths, tuple(lengths), [1, 1, *lengths]])
    data = np.random.default_rng(rng.randrange(10**9))
    places = int(np.prod(y.shape[-count:]))  # distinct: torch's duplicates are in no order
    plane = max(int(np.prod(lengths)) + (rng.random() < 0.05), places)
    each = [data.choice(plane, places, replace=False) for _ in range(y.size // places)]
    return y, {"indices": np.array(each, np.int64).reshape(y.shape), "kernel_size": kernel, **more}


FAMILIES = {
    "adaptive_max_pool": lambda rng, count: adaptive_arguments(rng, count, indices=True),
    "adaptive_avg_pool": lambda rng, count: adaptive_arguments(rng, count, indices=False),
    "fractional_max_pool": fractional_arguments,
    "max_unpool": unpool_arguments,
    "max_pool": max_arguments,
    "avg_pool": avg_arguments,
    "lp_pool": lp_arguments,
}


def arguments_of(name):
    """What draws arguments for a function or module of one of the families."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("lppool", "lp_pool")
    return FAMILIES[words[: re.search(r"\dd", words).start()]]


def axes_of(name):
    return int(re.search(r"(\d)d", name)[1])


# Side by side --------------------------------------------------------------------------------------------


def result_of(f, *args, **kwargs):
    """The arrays that a call gives, or its error."""
    try:
        found = f(*args, **kwargs)
    except REFUSALS as error:
        return error
    return [np.asarray(part) for part in (found if isinstance(found, tuple) else (found,))]


def as_tensors(torch, arguments):
    return {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for name, value in arguments.items()
    }


def intended(name, x, arguments, found, expected):
    """Whether only one of the two refuses, as docs/frameworks/pytorch.md says."""
    count, kernel = axes_of(name), arguments.get("kernel_size")
    if isinstance(found, Exception):
        if "avg" in name.lower() and "output_size" in arguments:
            return "input must have" in str(found) and np.all(np.equal(arguments["output_size"], 1))
        if "unpool" in name.lower():
            return "below 1" in str(found) and expected[0].size == 0
        empty = "covers no element" in str(found)
        return empty and (np.isneginf(expected[0]).any() or expected[0].size == 0)
    if re.match(r"avg_pool3d|AvgPool3d|lp_pool3d|LPPool3d", name):
        return bool((x.shape[-count:] < np.broadcast_to(kernel, count)).any())
    filled = np.array(found[0].shape[-count:]) + kernel - 1 == x.shape[-count:]
    return re.match(r"fractional_max_pool3d|FractionalMaxPool3d", name) and filled.any()


def compare(name, x, arguments, found, expected):
    """True where both give the same, False where both refuse."""
    shown = f"{name} of {x.shape} {x.dtype} with {arguments}: {found} and {expected}"
    if isinstance(found, Exception) != isinstance(expected, Exception):
        assert intended(name, x, arguments, found, expected), shown
        return False
    if isinstance(found, Exception):
        assert isinstance(found, ValueError | TypeError), shown
        return False
    assert len(found) == len(expected), shown
    exact = "max" in name.lower()
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == theirs.dtype, shown
        assert mine.shape == theirs.shape, shown
        if exact:
            np.testing.assert_array_equal(mine, theirs, shown)
        else:
            tolerance = 2e-6 if "lp" not in name.lower() else 1e-5
            np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=1e-6, err_msg=shown)
    return True


@pytest.mark.peer
@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_and_its_original(torch, name):
    rng, draw, agreed = random.Random(name), arguments_of(name), 0
    for _ in range(SETS):
        x, arguments = draw(rng, axes_of(name))
        given = as_tensors(torch, arguments)
        expected = result_of(getattr(torch.nn.functional, name), torch.from_numpy(x), **given)
        found = result_of(getattr(ours, name), x, **arguments)
        agreed += compare(name, x, arguments, found, expected)
    assert agreed > SETS / 2


@pytest.mark.peer
@pytest.mark.parametrize("name", MODULES)
def test_module_and_its_original(torch, name):
    rng, draw, agreed = random.Random(name), arguments_of(name), 0
    for _ in range(SETS):
        x, arguments = draw(rng, axes_of(name))
        of_call = ("indices", "output_size") if "Unpool" in name else ()
        called = {key: arguments.pop(key) for key in of_call if key in arguments}
        given, tensors = as_tensors(torch, arguments), as_tensors(torch, called)
        theirs, mine = getattr(torch.nn, name), getattr(ours, name)
        expected = result_of(lambda x, f=theirs: f(**given)(x, **tensors), torch.from_numpy(x))  # noqa: B023
        found = result_of(lambda x, f=mine: f(**arguments)(x, **called), x)  # noqa: B023
        agreed += compare(name, x, {**arguments, **called}, found, expected)
    assert agreed > SETS / 2


@pytest.mark.peer
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(torch, dtype):
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 9)).astype(np.float32)
    half = torch.from_numpy(x).to(getattr(torch, dtype))
    mine = (
        half.float()
        .numpy()
        .astype(pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype)
    )
    for name, arguments in [("max_pool2d", (3, 2, 1)), ("avg_pool2d", (3, 2, 1))]:
        expected = getattr(torch.nn.functional, name)(half, *arguments)
        found = getattr(ours, name)(mine, *arguments)
        assert str(found.dtype) == dtype
        np.testing.assert_allclose(found.astype(np.float32), expected.float().numpy(), rtol=2**-7)


# Signatures and refusals ---------------------------------------------------------------------------------


def shape_of(signature):
    return [(p.name, p.default) for p in signature.parameters.values()]


@pytest.mark.peer
@pytest.mark.parametrize("name", FUNCTIONS + MODULES)
def test_signature_is_torchs(torch, name):
    """Some of torch's dispatch through ``(*args, **kwargs)``: their ``_with_indices`` have the names."""
    original = getattr(torch.nn.functional, name, None) or getattr(torch.nn, name)
    mine = shape_of(inspect.signature(getattr(ours, name)))
    try:
        theirs = inspect.signature(original)
    except ValueError:  # built in: the first line of its documentation
        given = ", ".join(
            key if default is inspect.Parameter.empty else f"{key}={default}" for key, default in mine
        )
        assert original.__doc__.strip().startswith(f"{name}({given}) -> Tensor")
        return
    if "args" in theirs.parameters:
        theirs = inspect.signature(getattr(torch.nn.functional, f"{name}_with_indices"))
    assert mine == shape_of(theirs)


@pytest.mark.peer
def test_every_pooling_name_of_torch_is_here(torch):
    named = [name for name in dir(torch.nn.functional) if re.search(r"pool\dd", name) and name[0] != "_"]
    assert sorted(FUNCTIONS) == sorted(named)
    named = [name for name in dir(torch.nn) if re.search(r"ool\dd", name)]
    assert sorted(MODULES) == sorted(named)


X = np.arange(84, dtype=np.float32).reshape(2, 6, 7)
INDICES = np.zeros((2, 6, 7), np.int64)
REFUSED = [
    ("max_pool2d", (X, 0), ValueError, "kernel_size must be at least 1, got 0"),
    ("max_pool2d", (X, True), TypeError, "kernel_size must be an integer"),
    ("max_pool2d", (X, 2.0), TypeError, "kernel_size must be an integer or a sequence of them, got 2.0"),
    ("max_pool2d", (X, "2"), TypeError, "kernel_size"),
    ("max_pool2d", (X, None), TypeError, "kernel_size"),
    ("max_pool2d", (X, (2, 2, 2)), ValueError, "kernel_size must be an integer or 2 integers"),
    ("max_pool2d", (X, 2, 0), ValueError, "stride must be at least 1"),
    ("max_pool2d", (X, 2, 2, -1), ValueError, "padding must be at least 0"),
    ("max_pool2d", (X, 3, 2, 2), ValueError, "padding must be at most half of kernel_size"),
    ("max_pool2d", (X, 3, 2, 2, 2), ValueError, "padding must be at most half of kernel_size"),
    ("max_pool2d", (X, 2, 2, 0, 0), ValueError, "dilation must be at least 1"),
    ("max_pool2d", (X, 2, 2, 0, 1, 1), TypeError, "ceil_mode must be True or False"),
    ("max_pool2d", (X, 8), ValueError, "axis 1"),
    ("max_pool2d", (X[0], 2), ValueError, "input must have 4 axes, or 3 without a batch"),
    ("max_pool2d", (X[None, None], 2), ValueError, "input must have 4 axes"),
    ("max_pool2d", (X.tolist(), 2), TypeError, "input must be an array, got list"),
    ("max_pool2d", (X[:, :0], 2), ValueError, "axis 1"),
    ("avg_pool2d", (X, 2, 2, 0, False, True, 0), ValueError, "divisor_override"),
    ("avg_pool2d", (X, 2, 2, 0, False, True, 2.5), TypeError, "divisor_override"),
    ("avg_pool2d", (X, 2, 2, 0, False, 1), TypeError, "count_include_pad"),
    ("lp_pool2d", (X, 0, 2), ValueError, "norm_type must be a number other than 0"),
    ("lp_pool2d", (X, "2", 2), TypeError, "norm_type must be a real number"),
    ("adaptive_avg_pool2d", (X, None), TypeError, "output_size"),
    ("adaptive_avg_pool2d", (X, (3,)), ValueError, "output_size must be an integer or 2 of them"),
    ("adaptive_max_pool2d", (X, -1), ValueError, "output_size must be at least 1"),
    ("adaptive_max_pool2d", (X, 2.0), TypeError, "output_size"),
    ("fractional_max_pool2d", (X, 2), ValueError, "output_size or output_ratio"),
    ("fractional_max_pool2d", (X, 2, 6), ValueError, "output_size"),
    ("fractional_max_pool2d", (X, 2, None, (0.5, 1.5)), ValueError, "output_ratio"),
    ("fractional_max_pool2d", (X, 2, None, (0.5,) * 3), ValueError, "output_ratio"),
    ("fractional_max_pool2d", (X, 2, 2, None, False, np.zeros((1, 2, 2))), TypeError, "_random_samples"),
    (
        "fractional_max_pool2d",
        (X, 2, 2, None, False, np.zeros((2, 2), X.dtype)),
        ValueError,
        "_random_samples",
    ),
    ("max_unpool2d", (X, INDICES[:1], 2), ValueError, "indices"),
    ("max_unpool2d", (X, INDICES - 1, 2), ValueError, "indices"),
    ("max_unpool2d", (X, INDICES + 999, 2), ValueError, "indices"),
    ("max_unpool2d", (X, INDICES.astype(np.float32), 2), TypeError, "indices"),
    ("max_unpool2d", (X, INDICES, 2, 2, 0, 12), TypeError, "output_size must be a sequence"),
    ("max_unpool2d", (X, INDICES, 2, 2, 0, (12,)), ValueError, "output_size must have 2 or 4 entries"),
    (
        "max_unpool2d",
        (X, INDICES, 2, 2, 0, (12, 16)),
        ValueError,
        "output_size must be between 13 and 15, got 16",
    ),
    ("max_unpool2d", (X, INDICES, 2, 2, 9), ValueError, "below 1"),
]


@pytest.mark.parametrize(("name", "arguments", "error", "message"), REFUSED)
def test_refusals_name_the_argument(name, arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        getattr(ours, name)(*arguments)


@pytest.mark.peer
@pytest.mark.parametrize(("name", "arguments"), [row[:2] for row in REFUSED])
def test_torch_refuses_the_same(torch, name, arguments):
    given = [torch.from_numpy(value) if isinstance(value, np.ndarray) else value for value in arguments]
    with pytest.raises(REFUSALS):
        getattr(torch.nn.functional, name)(*given)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((2,), ValueError),
        ((2, 3, 0.5), ValueError),
        ((2, None, 1.0), ValueError),
        ((2, None, "a"), TypeError),
    ],
)
def test_fractional_modules_refuse_when_they_are_made(arguments, error):
    with pytest.raises(error, match="output_"):
        ours.FractionalMaxPool2d(*arguments)


# Intended differences: those of docs/frameworks/pytorch.md -----------------------------------------------


@pytest.mark.peer
def test_the_first_nan_gives_the_index(torch):
    x = np.array([[1, np.nan, np.nan, 2]], np.float32)
    y, i = ours.max_pool1d(x, 4, return_indices=True)
    expected, where = torch.nn.functional.max_pool1d(torch.from_numpy(x), 4, return_indices=True)
    assert np.isnan(y).all()
    assert np.isnan(expected.numpy()).all()
    assert (i.item(), where.item()) == (1, 2)


@pytest.mark.peer
def test_a_window_without_elements_is_refused(torch):
    x = np.zeros((1, 1), np.float32)
    with pytest.raises(ValueError, match="covers no element"):
        ours.max_pool1d(x, 2, 1, 1, 2)
    assert torch.nn.functional.max_pool1d(torch.from_numpy(x), 2, 1, 1, 2).item() == -np.inf


@pytest.mark.peer
def test_integer_averages_round_half_up(torch):
    x = np.array([[1, 2, -1, -2]])
    np.testing.assert_array_equal(ours.avg_pool1d(x, 2), [[2, -1]])
    np.testing.assert_array_equal(torch.nn.functional.avg_pool1d(torch.from_numpy(x), 2), [[1, -1]])


@pytest.mark.peer
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("max_pool1d", (X.astype(np.int32), 2)),
        ("avg_pool2d", (X.astype(np.int16), 2)),
        ("max_pool2d", (X.astype(bool), 2)),
        ("avg_pool3d", (X[None], (3, 2, 2), 1, 1)),
        ("max_pool2d", (X[:, None][:, :0], 2)),
        ("lp_pool2d", (X, 2, (2,))),
        ("fractional_max_pool2d", (X, 2, None, 0.5)),
        ("fractional_max_pool2d", (X, (2,), (3,))),
        ("fractional_max_pool3d", (X[None], 2, (1, 5, 3))),
        ("max_unpool2d", (X[:1, :1, :1], INDICES[:1, :1, :1].astype(np.int32), 2)),
        ("max_unpool2d", (X[:1, :1, :1].astype(np.int64), INDICES[:1, :1, :1], 2)),
    ],
)
def test_taken_here_and_refused_by_torch(torch, name, arguments):
    assert isinstance(getattr(ours, name)(*arguments), np.ndarray)
    given = [torch.from_numpy(value) if isinstance(value, np.ndarray) else value for value in arguments]
    with pytest.raises(REFUSALS):
        getattr(torch.nn.functional, name)(*given)


@pytest.mark.peer
@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("adaptive_max_pool2d", (X, 0), "output_size must be at least 1"),
        ("fractional_max_pool2d", (X, 2, 0), "output_size must be at least 1"),
        ("fractional_max_pool2d", (X, 0, 2), "kernel_size must be at least 1"),
        ("fractional_max_pool2d", (X, 2, 2, None, False, np.ones((1, 2, 2), X.dtype)), "samples must be in"),
        ("max_unpool2d", (X[:, :1, :1], INDICES[:, :1, :1], 2, 2, 1), "below 1"),
        ("max_unpool2d", (X, INDICES, 2, 2, -1), "padding must be at least 0"),
        ("lp_pool2d", (X, np.nan, 2), "norm_type"),
        ("adaptive_avg_pool2d", (X[None, None], 1), "input must have 4 axes"),
    ],
)
def test_refused_here_and_taken_by_torch(torch, name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(ours, name)(*arguments)
    given = [torch.from_numpy(value) if isinstance(value, np.ndarray) else value for value in arguments]
    getattr(torch.nn.functional, name)(*given)


@pytest.mark.peer
def test_high_powers_do_not_overflow(torch):
    x = np.full((1, 2), 10, np.float32)
    np.testing.assert_allclose(ours.lp_pool1d(x, 200, 2), [[10 * 2 ** (1 / 200)]], rtol=1e-6)
    assert torch.nn.functional.lp_pool1d(torch.from_numpy(x), 200, 2).item() == np.inf


# Gradients, spellings, documents -------------------------------------------------------------------------

DIFFERENTIABLE = [
    ("max_pool1d", {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("max_pool2d", {"kernel_size": (3, 2), "dilation": 2, "ceil_mode": True}),
    ("avg_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("lp_pool2d", {"norm_type": 2, "kernel_size": 3, "stride": 2}),
    ("adaptive_max_pool2d", {"output_size": (3, None)}),
    ("adaptive_avg_pool3d", {"output_size": (1, 3, 4)}),
    (
        "fractional_max_pool2d",
        {"kernel_size": 2, "output_size": 3, "_random_samples": np.full((1, 2, 2), 0.3, np.float32)},
    ),
]


@pytest.mark.peer
@pytest.mark.parametrize(("name", "arguments"), DIFFERENTIABLE)
def test_vjp_gives_torchs_gradient(torch, name, arguments):
    data = np.random.default_rng(5)
    x = data.standard_normal((1, 2, 6, 7) if "3d" in name else (2, 6, 7)).astype(np.float32)
    y, pull = fp.vjp(getattr(ours, name), x, **arguments)
    tensor = torch.from_numpy(x).requires_grad_(True)
    expected = getattr(torch.nn.functional, name)(tensor, **as_tensors(torch, arguments))
    gy = data.standard_normal(y.shape).astype(np.float32)
    expected.backward(torch.from_numpy(gy))
    np.testing.assert_allclose(pull(gy), tensor.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.peer
def test_vjp_of_unpooling(torch):
    x = np.random.default_rng(5).standard_normal((2, 6, 8))
    y, indices = ours.max_pool2d(x, 2, return_indices=True)
    gx, pull = fp.vjp(ours.max_unpool2d, y, indices, 2)
    tensor = torch.from_numpy(y).requires_grad_(True)
    gx = np.random.default_rng(6).standard_normal(gx.shape)
    torch.nn.functional.max_unpool2d(tensor, torch.from_numpy(indices), 2).backward(torch.from_numpy(gx))
    np.testing.assert_array_equal(pull(gx), tensor.grad.numpy())


@pytest.mark.parametrize(("p", "options"), [(3, {}), (-np.inf, {}), (2, {"stride": 4, "ceil_mode": True})])
def test_vjp_refuses_powers_that_it_cannot_see(p, options):
    x = np.random.default_rng(5).standard_normal((2, 6, 7))
    with pytest.raises(TypeError, match="must call one pooling function"):
        fp.vjp(ours.lp_pool2d, x, p, 3, **options)


def test_repeated_indices_keep_the_last_value():
    y = ours.max_unpool1d(np.array([[3.0, 4.0]]), np.array([[1, 1]]), 2)
    np.testing.assert_array_equal(y, [[0, 4, 0, 0]])


def test_compat_has_the_spellings_by_dimension():
    assert compat.__all__ == sorted(name for name in FUNCTIONS if not name.endswith("_with_indices"))
    for name in compat.__all__:
        assert getattr(compat, name) is getattr(ours, name)


def test_modules_show_what_they_were_given():
    pool = ours.MaxPool2d((3, 2), return_indices=True)
    assert pool.stride == (3, 2)
    assert repr(pool).startswith("MaxPool2d(kernel_size=(3, 2), stride=(3, 2), padding=0")
    assert repr(ours.FractionalMaxPool3d(2, output_ratio=0.5)).count("_random_samples") == 0
    assert repr(ours.MaxUnpool1d(2)) == "MaxUnpool1d(kernel_size=2, stride=2, padding=0)"


@pytest.mark.peer
@pytest.mark.parametrize("name", ["max_pool2d", "adaptive_max_pool2d", "fractional_max_pool2d"])
def test_tensors_come_back_with_indices_as_torch_has_them(torch, name):
    x = torch.from_numpy(np.random.default_rng(0).random((1, 2, 9, 9), np.float32))
    arguments = (3, 2) if name.startswith("fractional") else (3,)
    y, indices = getattr(ours, name)(x, *arguments, return_indices=True)
    assert (type(y), y.dtype, indices.dtype) == (torch.Tensor, x.dtype, torch.int64)
    flat = x.reshape(1, 2, -1).gather(2, indices.reshape(1, 2, -1))
    assert torch.equal(flat.reshape(y.shape), y)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_travel_between_processes(name):
    function = getattr(ours, name)
    assert pickle.loads(pickle.dumps(function)) is function
    assert function.__doc__


@pytest.mark.parametrize("module", ["fastpool.compat", "fastpool.compat.torch"])
def test_importing_brings_no_framework(module):
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "tensorflow", "keras", "jax"} & set(done.stdout.split())
