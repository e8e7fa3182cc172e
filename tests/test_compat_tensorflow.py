"""tf.nn's words: beside TensorFlow in a process of its own, where there is one, and against restated rules.

FASTPOOL_TENSORFLOW_PYTHON names a Python that has TensorFlow; without it the current one is asked.
"""

import importlib.util
import inspect
import os
import pickle
import random
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

import fastpool as fp
from fastpool.compat import tensorflow as tf_nn

HERE = Path(__file__).parent
SETS = 200  # argument sets a function
FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}
SLIDING = [f"{op}_pool{n}" for op in ("max", "avg") for n in ("", "1d", "2d", "3d")]
FRACTIONAL = ["fractional_max_pool", "fractional_avg_pool"]
FUNCTIONS = [*SLIDING, "max_pool_with_argmax", "pool", *FRACTIONAL]


# Random argument sets ------------------------------------------------------------------------------------


def numbers(rng, shape):
    """Small integers, so that ties are common and sums exact."""
    return np.random.default_rng(rng.randint(0, 10**9)).integers(-9, 10, shape).astype(np.float32)


def spelled(rng, values, channels_first):
    """One of the ways to write one number a dimension."""
    forms = [list(values), tuple(values)]
    forms.append([1, 1, *values] if channels_first else [1, *values, 1])
    if len(set(values)) == 1:
        forms += [values[0], [values[0]]]
    return rng.choice(forms)


def sliding_call(rng, name):
    n = int(name[-2]) if name[-1] == "d" else rng.randint(1, 3)
    sizes = [rng.randint(1, 9) for _ in range(n)]
    window = [rng.randint(1, 4) for _ in range(n)]
    stride = [rng.randint(1, 4) for _ in range(n)]
    kind = rng.choice(["VALID", "SAME", "pairs"])
    channels_first = rng.random() < 0.3
    if kind == "pairs" and (name.startswith("avg") or n == 3 or channels_first):
        kind = "SAME"  # refused by TensorFlow, in its channels-first layout on the CPU alone
    padding, pairs = kind, [(0, 0)] * n
    if kind == "pairs":
        pairs = [(rng.randint(0, k - 1), rng.randint(0, k - 1)) for k in window]
        padding = [[0, 0], *map(list, pairs), [0, 0]]
    if kind != "SAME":  # TensorFlow ends the process where no window fits
        window = [min(k, s + sum(p)) for k, s, p in zip(window, sizes, pairs, strict=True)]
        if kind == "pairs" and any(max(p) >= k for p, k in zip(pairs, window, strict=True)):
            padding = "VALID"
            window = [min(k, s) for k, s in zip(window, sizes, strict=True)]
    batch, channels = rng.randint(0, 2), rng.randint(1, 5)
    shape = [batch, channels, *sizes] if channels_first else [batch, *sizes, channels]
    data_format = FORMATS[n][channels_first]
    if not channels_first:
        data_format = rng.choice([data_format, None])
    ksize, strides = (spelled(rng, values, channels_first) for values in (window, stride))
    return (name, [numbers(rng, shape), ksize, strides, padding], {"data_format": data_format})


def argmax_call(rng, name):
    ksize, strides = sliding_call(rng, "avg_pool2d")[1][1:3]
    size = list(ksize[1:3]) if isinstance(ksize, list | tuple) and len(ksize) == 4 else ksize
    padding = rng.choice(["VALID", "SAME"])
    shape = (rng.randint(1, 3), rng.randint(4, 9), rng.randint(4, 9), rng.randint(1, 4))
    options = {
        "output_dtype": rng.choice(["int32", "int64"]),
        "include_batch_in_index": rng.random() < 0.5,
    }
    step = strides if not isinstance(strides, list | tuple) or len(strides) < 4 else list(strides[1:3])
    return name, [numbers(rng, shape), size, step, padding], options


def pool_call(rng, name):
    n = rng.randint(1, 3)
    sizes = [rng.randint(1, 9) for _ in range(n)]
    window = [rng.randint(1, min(4, size)) for size in sizes]
    channels_first = rng.random() < 0.3
    options = {"pooling_type": rng.choice(["MAX", "AVG"])}
    if rng.random() < 0.5:
        options["dilations"] = [
            rng.randint(1, 3 if k == 1 else max(1, (size - 1) // (k - 1)))
            for k, size in zip(window, sizes, strict=True)
        ]
    else:
        options["strides"] = [rng.randint(1, k) for k in window]
        options["padding"] = rng.choice(["VALID", "SAME"])
    if n == 2 and options["pooling_type"] == "MAX" and not channels_first and rng.random() < 0.3:
        options["padding"] = [
            [0, 0],
            *([rng.randint(0, k - 1), rng.randint(0, k - 1)] for k in window),
            [0, 0],
        ]
        options.pop("dilations", None)
    options["data_format"] = FORMATS[n][1] if channels_first else rng.choice([FORMATS[n][0], None])
    batch, channels = rng.randint(1, 2), rng.randint(1, 4)
    shape = [batch, channels, *sizes] if channels_first else [batch, *sizes, channels]
    return name, [numbers(rng, shape), window], options


def fractional_call(rng, name):
    x = numbers(rng, (rng.randint(1, 2), rng.randint(2, 20), rng.randint(2, 20), rng.randint(1, 3)))
    ratio = [1.0, *(rng.uniform(1, n**0.8) for n in x.shape[1:3]), 1.0]
    if name == "fractional_max_pool" and rng.random() < 0.3:
        ratio = min(ratio[1:3])
    seed = rng.choice([rng.randint(1, 99), rng.randint(-(10**12), -1), rng.randint(2**31 - 1, 2**40)])
    return name, [x, ratio, rng.random() < 0.5, rng.random() < 0.5, seed], {}


def spoilt(rng, call):
    """A call with one argument that TensorFlow refuses."""
    name, arguments, options = call
    x, *others = arguments
    if name in FRACTIONAL:
        wrong = rng.choice([[2.0, 1.0, 1.0, 1.0], [1.0, 0.5, 1.0, 1.0], [1.0, 99.0, 1.0, 1.0], "two"])
        return name, [x, wrong, *others[1:]], options
    changes = [
        ([x, *others], {"padding": rng.choice(["valid", "FULL", "", 1])}),
        ([x[..., None, None, None], *others], {}),
        ([x, rng.choice([0, -1, "2"]), *others[1:]], {}),
        ([x, [2] * 6, *others[1:]], {}),
    ]
    if x.ndim > 3 or name == "pool":  # in one dimension TensorFlow takes any word
        changes.append(([x, *others], {"data_format": rng.choice(["NHCW", "nwc", "NXYZC"])}))
    if name == "pool":
        changes[2] = ([x, [0] * len(others[0])], {})
        changes += [([x, *others], {"pooling_type": "MEDIAN"}), ([x, *others], {"strides": [0]})]
    else:
        changes += [([x, others[0], rng.choice([0, -2]), others[2]], {})]
    given, changed = rng.choice(changes)
    if "padding" in changed and name != "pool":
        given, changed = [*given[:3], changed["padding"]], {}
    return name, given, {**options, **changed}


MAKERS = {"max_pool_with_argmax": argmax_call, "pool": pool_call} | dict.fromkeys(FRACTIONAL, fractional_call)


def random_calls(name):
    rng = random.Random(zlib.crc32(name.encode()))
    calls = [MAKERS.get(name, sliding_call)(rng, name) for _ in range(SETS)]
    return [spoilt(rng, call) if number % 8 == 7 else call for number, call in enumerate(calls)]


# What TensorFlow does otherwise, which docs/frameworks/tensorflow.md lists --------------------------------

ONE = np.arange(48, dtype=np.float32).reshape(1, 4, 4, 3)
NAN = np.array([1, np.nan, 5, 2], np.float32).reshape(1, 2, 2, 1)
TAKEN = {  # by fastpool, refused by TensorFlow
    "MIN": ("pool", [ONE, [2, 2], "MIN"], {}),
    "strides with dilations": ("pool", [ONE, [2, 2], "MAX"], {"strides": [2, 2], "dilations": [2, 2]}),
    "strides beyond the window": ("pool", [ONE, [2, 2], "MAX"], {"strides": [3, 3]}),
    "SAME with dilations": ("pool", [ONE, [2, 2], "AVG"], {"padding": "SAME", "dilations": [2, 2]}),
    "pairs channels first": (
        "max_pool2d",
        [ONE, 2, 2, [[0, 0], [0, 0], [1, 0], [0, 1]]],
        {"data_format": "NCHW"},
    ),
    "channels with rows": ("max_pool2d", [ONE, [1, 2, 1, 3], [1, 2, 1, 3], "VALID"], {}),
    "channels that leave a rest": ("max_pool2d", [ONE, [1, 1, 1, 2], [1, 1, 1, 2], "VALID"], {}),
    "integers in averages": ("avg_pool2d", [ONE.astype(np.int32), 2, 2, "VALID"], {}),
    "float64 in three dimensions": ("max_pool3d", [ONE[..., None].astype(np.float64), 2, 2, "SAME"], {}),
    "bool": ("max_pool2d", [ONE > 3, 2, 2, "VALID"], {}),
    "an empty batch": ("max_pool_with_argmax", [ONE[:0], 2, 2, "VALID"], {}),
    "one ratio for averages": ("fractional_avg_pool", [ONE, 1.5], {"seed": 1}),
}
REFUSED = {  # by fastpool, taken by TensorFlow
    "floats for integers": ("max_pool2d", [ONE, 2.0, 2, "VALID"], {}),
    "bool for an integer": ("max_pool2d", [ONE, True, 1, "VALID"], {}),
    "a stride of channels alone": ("max_pool2d", [ONE, [1, 2, 2, 1], [1, 2, 2, 3], "VALID"], {}),
    "indices of pooled channels": ("max_pool_with_argmax", [ONE, [1, 1, 1, 3], [1, 1, 1, 3], "VALID"], {}),
    "an unknown data_format in one dimension": ("max_pool1d", [ONE[0], 2, 1, "SAME"], {"data_format": "HWC"}),
    "an empty axis": ("max_pool2d", [ONE[:, :0], 2, 2, "SAME"], {}),
    "two ratios": ("fractional_max_pool", [ONE, [1.0, 1.0]], {"seed": 1}),
    "pairs of four axes for three": (
        "pool",
        [ONE[0], [2], "MAX"],
        {"padding": [[0, 0], [0, 0], [1, 1], [0, 0]]},
    ),
}
OTHERWISE = {
    "NaN": ("max_pool2d", [NAN, 2, 2, "VALID"], {}),
    "NaN with index": ("max_pool_with_argmax", [NAN, 2, 2, "VALID"], {}),
    "averages of channels": ("avg_pool2d", [ONE, [1, 1, 1, 3], [1, 1, 1, 3], "VALID"], {}),
    "-inf": ("max_pool2d", [np.full((1, 2, 2, 1), -np.inf, np.float32), 2, 2, "VALID"], {}),
}
MORE = {  # equal beside the random sets
    "channels": ("max_pool2d", [ONE, [1, 1, 1, 3], [1, 1, 1, 3], "VALID"], {}),
    "None for 1": ("max_pool2d", [ONE, None, None, "SAME"], {}),
    "an array for a list": ("max_pool2d", [ONE, np.array([2, 3]), 2, "VALID"], {}),
    "-inf with index": (
        "max_pool_with_argmax",
        [np.full((1, 2, 2, 1), -np.inf, np.float32), 2, 2, "VALID"],
        {},
    ),
    **{
        f"{name} {dtype}": (name, [ONE.astype(dtype), 2, 1, "SAME"], {})
        for name in ("max_pool2d", "max_pool_with_argmax")
        for dtype in ("float16", "float64", "int8", "uint8", "uint16", "int32", "int64")
    },
    **{
        f"avg_pool2d {dtype}": ("avg_pool2d", [ONE.astype(dtype), 2, 1, "SAME"], {})
        for dtype in ("float16", "float64")
    },
    **{
        f"{name} {dtype}": (name, [(ONE - 20).astype(dtype), [1.0, 1.5, 1.7, 1.0], False, True, 3], {})
        for name in FRACTIONAL
        for dtype in ("float64", "int32", "int64")
    },
}
EXTRA = [TAKEN, REFUSED, OTHERWISE, MORE]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """TensorFlow's answers to all calls, by function or by the names of `EXTRA`."""
    python = os.environ.get("FASTPOOL_TENSORFLOW_PYTHON")
    if python is None and importlib.util.find_spec("tensorflow") is None:
        pytest.skip("no TensorFlow: set FASTPOOL_TENSORFLOW_PYTHON to a Python that has it")
    groups = [*map(random_calls, FUNCTIONS), *(list(calls.values()) for calls in EXTRA)]
    folder = tmp_path_factory.mktemp("tensorflow")
    (folder / "calls").write_bytes(pickle.dumps([call for group in groups for call in group]))
    command = [
        python or sys.executable,
        str(HERE / "tensorflow_calls.py"),
        folder / "calls",
        folder / "answers",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rest = iter(pickle.loads((folder / "answers").read_bytes()))
    found = {name: [next(rest) for _ in range(SETS)] for name in FUNCTIONS}
    for calls in EXTRA:
        found.update((name, next(rest)) for name in calls)
    return found


def ours(call):
    name, arguments, options = call
    try:
        result = getattr(tf_nn, name)(*arguments, **options)
    except (TypeError, ValueError) as error:
        return type(error).__name__
    return list(result) if isinstance(result, tuple) else [result]


def show(call):
    name, (x, *others), options = call
    return f"{name}({x.dtype}{x.shape}, {others}, {options})"


def compare(call, expected):
    found = ours(call)
    assert isinstance(found, str) == isinstance(expected, str), (show(call), found, expected)
    if isinstance(found, str):
        return
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.shape == theirs.shape, show(call)
        assert mine.dtype == theirs.dtype, show(call)
        rough = theirs.dtype == np.float16
        np.testing.assert_allclose(mine, theirs, rtol=1e-3 if rough else 2e-6, atol=1e-6, err_msg=show(call))


@pytest.mark.peer
@pytest.mark.parametrize("name", FUNCTIONS)
def test_random_arguments(answers, name):
    calls = random_calls(name)
    for call, expected in zip(calls, answers[name], strict=True):
        compare(call, expected)
    refused = sum(isinstance(expected, str) for expected in answers[name])
    assert refused >= SETS // 8
    assert len(calls) - refused >= SETS * 3 // 4


@pytest.mark.peer
@pytest.mark.parametrize("name", MORE)
def test_particular_arguments(answers, name):
    assert not isinstance(answers[name], str)
    compare(MORE[name], answers[name])


@pytest.mark.peer
def test_what_tensorflow_does_otherwise(answers):
    for name in TAKEN:
        assert isinstance(answers[name], str), name
    for name in REFUSED:
        assert not isinstance(answers[name], str), name
    assert answers["NaN"][0].item() == 5
    assert [part.item() for part in answers["NaN with index"]] == [5, 2]
    assert answers["averages of channels"][0].size == 0
    assert answers["-inf"][0].item() == np.finfo(np.float32).min


# Without TensorFlow --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TAKEN)
def test_taken_beyond_tensorflow(name):
    assert not isinstance(ours(TAKEN[name]), str)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_on_purpose(name):
    assert isinstance(ours(REFUSED[name]), str)


@pytest.mark.parametrize("library", ["torch", "jax.numpy"])
def test_argmax_of_other_libraries(library):
    of = pytest.importorskip(library)
    x = np.random.default_rng(4).standard_normal((2, 6, 8, 3), np.float32)
    for options in ({}, {"output_dtype": np.int32}, {"include_batch_in_index": True}):
        expected = tf_nn.max_pool_with_argmax(x, 2, 2, "SAME", **options)
        found = tf_nn.max_pool_with_argmax(of.asarray(x), 2, 2, "SAME", **options)
        assert all(type(each) is type(of.asarray(x)) for each in found)
        np.testing.assert_array_equal(np.asarray(found.output), expected.output)
        np.testing.assert_array_equal(np.asarray(found.argmax), expected.argmax)
        if library == "torch":
            assert np.asarray(found.argmax).dtype == expected.argmax.dtype


def test_values_that_differ_on_purpose():
    assert np.isnan(tf_nn.max_pool2d(NAN, 2, 2, "VALID")).all()
    y, argmax = tf_nn.max_pool_with_argmax(NAN, 2, 2, "VALID")
    assert np.isnan(y).all()
    assert argmax.item() == 1
    assert tf_nn.max_pool2d(np.full((1, 2, 2, 1), -np.inf), 2, 2, "VALID").item() == -np.inf
    y = tf_nn.avg_pool2d(ONE, [1, 1, 1, 3], [1, 1, 1, 3], "VALID")
    np.testing.assert_array_equal(y, ONE[..., 1:2])
    y = tf_nn.avg_pool2d(np.array([1, 2, 2, 2]).reshape(1, 2, 2, 1), 2, 2, "VALID")
    assert y.item() == 2  # rounded half up
    assert tf_nn.pool(ONE, [2, 2], "MIN")[0, 0, 0, 0] == 0
    y = tf_nn.pool(ONE, [2, 2], "MAX", strides=[2, 2], dilations=[2, 2])
    np.testing.assert_array_equal(y, ONE[:, 2:3, 2:3])
    y = tf_nn.max_pool2d(ONE, [1, 1, 1, 2], [1, 1, 1, 2], "VALID")
    np.testing.assert_array_equal(y, ONE[..., 1:2])


def rule(x, op, window, stride, padding):
    """One image of (H, W, C), windows clipped to it; SAME puts the surplus after."""
    outputs, starts = [], []
    for n, k, s, pair in zip(x.shape, window, stride, padding, strict=False):
        before, after = pair
        if pair == ("S", "S"):
            total = max((-(-n // s) - 1) * s + k - n, 0)
            before, after = total // 2, total - total // 2
        outputs.append((n + before + after - k) // s + 1)
        starts.append(before)
    y = np.empty((*outputs, x.shape[2]))
    for o in np.ndindex(*outputs):
        lo = [i * s - b for i, s, b in zip(o, stride, starts, strict=True)]
        part = x[tuple(slice(max(a, 0), a + k) for a, k in zip(lo, window, strict=True))]
        y[o] = getattr(part, op)((0, 1))
    return y


@pytest.mark.parametrize("part", range(4))
def test_restated_rules(part):
    rng = random.Random(part)
    for _ in range(50):
        x = numbers(rng, (rng.randint(1, 8), rng.randint(1, 8), 2))
        window, stride = ([rng.randint(1, m) for _ in range(2)] for m in (4, 3))
        word = rng.choice(["VALID", "SAME", "pairs"])
        pairs = [(rng.randint(0, k - 1), rng.randint(0, k - 1)) for k in window]
        if word != "pairs":
            pairs = [(0, 0) if word == "VALID" else ("S", "S")] * 2
        fits = word == "SAME" or all(k <= n + sum(p) for k, n, p in zip(window, x.shape, pairs, strict=False))
        padding = [(0, 0), *pairs, (0, 0)] if word == "pairs" else word
        if not fits:
            with pytest.raises(ValueError, match="does not fit length"):
                tf_nn.max_pool(x[None], window, stride, padding)
            continue
        expected = rule(x, "max", window, stride, pairs)
        np.testing.assert_array_equal(tf_nn.max_pool(x[None], window, stride, padding)[0], expected)
        first = np.moveaxis(x, 2, 0)[None]
        y = tf_nn.max_pool2d(
            first,
            [1, 1, *window],
            [1, 1, *stride],
            padding if word != "pairs" else [(0, 0), (0, 0), *pairs],
            data_format="NCHW",
        )
        np.testing.assert_array_equal(np.moveaxis(y[0], 0, 2), expected)
        if word != "pairs":
            expected = rule(x, "mean", window, stride, pairs)
            np.testing.assert_allclose(tf_nn.avg_pool(x[None], window, stride, word)[0], expected, rtol=1e-6)


def test_argmax_names_the_elements():
    x = np.random.default_rng(0).standard_normal((3, 5, 7, 2)).astype(np.float32)
    for include in (False, True):
        y, i = tf_nn.max_pool_with_argmax(x, 3, 2, "SAME", "NHWC", np.int32, include)
        assert i.dtype == np.int32
        images = x.reshape(1, -1) if include else x.reshape(3, -1)
        found = np.take_along_axis(images, i.reshape(len(images), -1).astype(np.int64), 1)
        np.testing.assert_array_equal(found.reshape(y.shape), y)


@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize("pseudo", [False, True])
@pytest.mark.parametrize("overlapping", [False, True])
def test_fractional_windows(op, pseudo, overlapping):
    x = np.random.default_rng(1).standard_normal((2, 9, 14, 3))
    f = getattr(tf_nn, f"fractional_{op}_pool")
    y, rows, columns = f(x, [1.0, 1.3, 2.6, 1.0], pseudo, overlapping, seed=5)
    assert y.shape == (2, 6, 5, 3)
    for sequence, n in ((rows, 9), (columns, 14)):
        assert (sequence[0], sequence[-1]) == (0, n)
        assert set(np.diff(sequence)) <= {n // (len(sequence) - 1) + more for more in range(1 + pseudo + 1)}
    for a, b in np.ndindex(6, 5):
        part = x[:, rows[a] : rows[a + 1] + overlapping, columns[b] : columns[b + 1] + overlapping]
        np.testing.assert_allclose(y[:, a, b], getattr(part, {"max": "max", "avg": "mean"}[op])((1, 2)))
    again = f(x, [1.0, 1.3, 2.6, 1.0], pseudo, overlapping, seed=5)
    np.testing.assert_array_equal(again.output, y)


def test_fractional_without_a_seed_differs_from_call_to_call():
    x = np.zeros((1, 200, 200, 1))
    found = {tuple(tf_nn.fractional_max_pool(x, 1.5).row_pooling_sequence) for _ in range(3)}
    assert len(found) == 3


def test_gradients():
    x = np.random.default_rng(2).standard_normal((1, 4, 4, 2))
    y, pull = fp.vjp(tf_nn.max_pool, x, 2, 2, "VALID")
    assert pull(np.ones_like(y)).sum() == y.size
    (y, _), pull = fp.vjp(tf_nn.max_pool_with_argmax, x, 2, 2, "VALID")
    assert np.count_nonzero(pull(np.ones_like(y))) == y.size
    with pytest.raises(TypeError, match="one pooling function"):
        fp.vjp(tf_nn.fractional_max_pool, x, 1.5, seed=1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tf_nn.max_pool([1.0], 2, 2, "VALID"), TypeError, "input must be an array, got list"),
        (lambda: tf_nn.max_pool(ONE[0, 0], 2, 2, "VALID"), ValueError, "input must have 3 to 5 axes, got 2"),
        (lambda: tf_nn.max_pool2d(ONE[0], 2, 2, "VALID"), ValueError, "input must have 4 axes, got 3"),
        (lambda: tf_nn.max_pool2d(ONE, 5, 1, "VALID"), ValueError, "window of 5 .* does not fit length 4"),
        (
            lambda: tf_nn.max_pool2d(ONE, 2, 2, "valid"),
            ValueError,
            'padding must be "VALID", "SAME" or pairs',
        ),
        (lambda: tf_nn.avg_pool2d(ONE, 2, 2, [[0, 0]] * 4), TypeError, 'must be "VALID" or "SAME" here'),
        (lambda: tf_nn.max_pool2d(ONE, 2, 2, [[0, 0]] * 2), ValueError, "a pair for each of 4 axes"),
        (lambda: tf_nn.max_pool2d(ONE, 2, 2, [[1, 0]] * 4), ValueError, "batch and channels must be"),
        (lambda: tf_nn.max_pool2d(ONE, 2, 2, [0, 0, 0, 0]), ValueError, r"\(before, after\) pairs"),
        (
            lambda: tf_nn.max_pool2d(ONE, [2, 2, 2], 2, "SAME"),
            ValueError,
            "ksize must have 1, 2 or 4 entries",
        ),
        (lambda: tf_nn.max_pool2d(ONE, [2, 2, 2, 1], 2, "SAME"), ValueError, "ksize of the batch must be 1"),
        (lambda: tf_nn.max_pool2d(ONE, 2, 0, "SAME"), ValueError, "strides must be at least 1, got 0"),
        (
            lambda: tf_nn.max_pool2d(ONE, 2, 2, "SAME", "NWHC"),
            ValueError,
            "data_format must be 'NHWC', 'NCHW'",
        ),
        (
            lambda: tf_nn.max_pool_with_argmax(ONE, 2, 2, "SAME", "NCHW"),
            ValueError,
            'data_format must be "NHWC"',
        ),
        (
            lambda: tf_nn.max_pool_with_argmax(ONE, 2, 2, "SAME", output_dtype=np.int16),
            ValueError,
            "output_dtype must be int64 or int32, got int16",
        ),
        (lambda: tf_nn.pool(ONE, 2, "MAX"), TypeError, "window_shape must be a sequence"),
        (lambda: tf_nn.pool(ONE, [1] * 4, "MAX"), ValueError, "window_shape must have 1 to 3 entries"),
        (lambda: tf_nn.pool(ONE, [2, 2], "max"), ValueError, "pooling_type must be one of MAX, AVG, MIN"),
        (lambda: tf_nn.pool(ONE, [2, 2], "MAX", [2]), ValueError, "strides must have 2 entries"),
        (lambda: tf_nn.fractional_max_pool(ONE, 0.5), ValueError, "pooling_ratio must be at least 1"),
        (lambda: tf_nn.fractional_max_pool(ONE, 5.0), ValueError, "leaves no window on axis 1 of length 4"),
        (lambda: tf_nn.fractional_max_pool(ONE, "2"), TypeError, "pooling_ratio must be a number or four"),
        (lambda: tf_nn.fractional_max_pool(ONE, 2.0, seed=1.5), TypeError, "seed must be an integer"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


SIGNATURES = {
    "max_pool": "input, ksize, strides, padding, data_format=None, name=None",
    "max_pool1d": "input, ksize, strides, padding, data_format='NWC', name=None",
    "max_pool2d": "input, ksize, strides, padding, data_format='NHWC', name=None",
    "max_pool3d": "input, ksize, strides, padding, data_format='NDHWC', name=None",
    "pool": "input, window_shape, pooling_type, strides=None, padding='VALID', data_format=None, "
    "dilations=None, name=None",
    "fractional_max_pool": "value, pooling_ratio, pseudo_random=False, overlapping=False, seed=0, name=None",
}
SIGNATURES |= {f"avg{name[3:]}": text for name, text in SIGNATURES.items() if name.startswith("max")}
SIGNATURES["fractional_avg_pool"] = SIGNATURES["fractional_max_pool"]
SIGNATURES["max_pool_with_argmax"] = (
    "input, ksize, strides, padding, data_format='NHWC', output_dtype=int64, include_batch_in_index=False, "
    "name=None"
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures(name):
    parameters = inspect.signature(getattr(tf_nn, name)).parameters.values()
    words = [
        p.name if p.default is p.empty else f"{p.name}={getattr(p.default, '__name__', repr(p.default))}"
        for p in parameters
    ]
    assert ", ".join(words) == SIGNATURES[name]


def test_importing_imports_no_framework():
    code = (
        "import sys, fastpool.compat.tensorflow, fastpool.compat.onnx; "
        "print(*({'tensorflow', 'onnx', 'torch', 'jax', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
