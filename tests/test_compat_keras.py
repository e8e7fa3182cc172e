"""fastpool.compat.keras beside Keras 3: 200 random argument sets for each layer.

Keras runs on the backend that KERAS_BACKEND names, on PyTorch by default. Its backends are not alike: what
PyTorch's does not do as TensorFlow's and JAX's do is compared with the oracle instead.
"""

import inspect
import os
import random
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import reference

from fastpool.compat import keras as ours

SETS = 200
NAMES = [name for name in vars(ours) if re.fullmatch(r"[A-Z]\w+Pool(ing)?\dD", name)]
LAYERS = [name for name in NAMES if getattr(ours, name).__name__ == name]


@pytest.fixture(scope="module")
def keras():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
        if os.environ["KERAS_BACKEND"] == "torch":
            pytest.importorskip("torch").set_num_threads(1)
        yield pytest.importorskip("keras")


def axes_of(name):
    return int(name[-2])


# Random arguments ----------------------------------------------------------------------------------------


def some(rng, **arguments):
    return {name: value for name, value in arguments.items() if rng.random() < 0.7}


def each_axis(rng, count, choose):
    return choose() if rng.random() < 0.3 else rng.choice([tuple, list])(choose() for _ in range(count))


def arguments_of(name, rng):
    """Keyword arguments of a layer; those that Keras refuses are in a table below."""
    count = axes_of(name)
    layout = some(rng, data_format=rng.choice(["channels_last", "channels_first", None]))
    if name.startswith("Global"):
        return some(rng, keepdims=rng.random() < 0.5) | layout
    if name.startswith("Adaptive"):
        return {"output_size": each_axis(rng, count, lambda: rng.randint(1, 8))} | layout
    pool = each_axis(rng, count, lambda: rng.randint(1, 4))
    strides = rng.choice([None, each_axis(rng, count, lambda: rng.randint(1, 4))])
    return {"pool_size": pool} | some(rng, strides=strides, padding=rng.choice(["valid", "same"])) | layout


def array(rng, count, arguments, shortest=1):
    """Ties on purpose; rarely of a wrong number of axes."""
    spatial = [rng.randint(shortest, 8) for _ in range(count + (rng.random() < 0.02))]
    first = arguments.get("data_format") == "channels_first"
    shape = [rng.randint(1, 2), 3, *spatial] if first else [rng.randint(1, 2), *spatial, 3]
    return np.random.default_rng(rng.randrange(10**9)).integers(-9, 9, shape).astype(np.float32)


# Side by side --------------------------------------------------------------------------------------------


def original(keras, name, arguments, x, **called):
    """What Keras gives. Where its shapes refuse, backends crash or give nothing: they are not called."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, about Keras's own conversions and arithmetic
        layer = getattr(keras.layers, name)(**arguments)
        shape = layer.compute_output_shape(x.shape)
        found = keras.ops.convert_to_numpy(layer(x, **called))
    assert found.shape == shape
    return found


def result_of(f, *args, **kwargs):
    try:
        return f(*args, **kwargs)
    except (ValueError, TypeError) as error:
        return error


def tables_of(layer, lengths):
    """The layer's windows, for the oracle."""
    each = zip(lengths, layer.pool_size, layer.strides, strict=True)
    pads = [reference.same(n, k, s, 1, lower=False) for n, k, s in each]
    every = zip(lengths, layer.pool_size, layer.strides, pads, strict=True)
    return [reference.taps(n, k, s, *pad, 1, False) for n, k, s, pad in every]


def pytorch_differs(keras, layer, lengths):
    """Whether Keras on PyTorch gives other "same" averages, or none.

    Where one side is padded more it repeats the edge and counts it; in three dimensions it refuses windows
    that are longer than the input.
    """
    sliding = "AveragePooling" in type(layer).__name__ and hasattr(layer, "pool_size")
    if keras.backend.backend() != "torch" or not sliding or layer.padding != "same":
        return False
    each = list(zip(lengths, layer.pool_size, layer.strides, strict=True))
    pads = [reference.same(*axis, 1, lower=False) for axis in each]
    return any(pad[0] != pad[1] for pad in pads) or (len(each) == 3 and any(n < k for n, k, _ in each))


@pytest.mark.peer
@pytest.mark.parametrize("name", LAYERS)
def test_layer_and_its_original(keras, name):
    if "Adaptive" in name and keras.backend.backend() == "tensorflow":
        pytest.skip("more bins than elements end the process")
    rng, agreed, count = random.Random(name), 0, axes_of(name)
    for _ in range(SETS):
        arguments = arguments_of(name, rng)
        x = array(rng, count, arguments)
        shown = f"{name}({arguments}) of {x.shape}"
        layer = getattr(ours, name)(**arguments)
        found = result_of(layer, x)
        if isinstance(found, Exception):
            assert isinstance(found, ValueError), shown
            assert isinstance(result_of(original, keras, name, arguments, x), Exception), shown
            continue
        first = 1 if layer.data_format == "channels_last" else 2
        lengths, axes = x.shape[first : first + count], tuple(range(first, first + count))
        if pytorch_differs(keras, layer, lengths):
            expected = reference.pool(x, "avg", tables_of(layer, lengths), axes)[0]
        else:
            expected = original(keras, name, arguments, x)
        assert found.dtype == np.float32
        np.testing.assert_allclose(
            found, expected, rtol=0 if "Max" in name else 2e-6, atol=1e-6, err_msg=shown
        )
        assert layer.compute_output_shape(x.shape) == found.shape
        agreed += 1
    assert agreed > SETS / 2


@pytest.mark.peer
def test_masked_mean_and_its_original(keras):
    rng = random.Random(7)
    for _ in range(SETS):
        arguments = arguments_of("GlobalAveragePooling1D", rng)
        x = array(rng, 1, arguments)
        if x.ndim != 3:
            continue
        steps = 2 if arguments.get("data_format") == "channels_first" else 1
        mask = np.random.default_rng(rng.randrange(99)).integers(0, 2, (x.shape[0], x.shape[steps]))
        mask = mask.astype(rng.choice([bool, np.int64, np.float32]))
        found = ours.GlobalAveragePooling1D(**arguments)(x, mask=mask)
        expected = original(keras, "GlobalAveragePooling1D", arguments, x, mask=mask)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.peer
@pytest.mark.parametrize("name", LAYERS)
def test_shapes_with_unknown_lengths(keras, name):
    rng, count = random.Random(name), axes_of(name)
    for _ in range(SETS):
        arguments = arguments_of(name, rng)
        shape = tuple(rng.choice([None, rng.randint(1, 9)]) for _ in range(count + 2))
        found = result_of(getattr(ours, name)(**arguments).compute_output_shape, shape)
        expected = result_of(getattr(keras.layers, name)(**arguments).compute_output_shape, shape)
        assert isinstance(found, ValueError) if isinstance(expected, Exception) else found == expected


@pytest.mark.peer
@pytest.mark.parametrize("name", LAYERS)
def test_gradient_and_its_original(keras, name):
    if keras.backend.backend() != "torch":
        pytest.skip("gradients are compared on PyTorch")
    torch, rng = pytest.importorskip("torch"), random.Random(name)
    for _ in range(20):
        arguments = arguments_of(name, rng)
        if "Average" in name:
            arguments.pop("padding", None)
        x = array(rng, axes_of(name), arguments, shortest=4)
        if x.ndim != axes_of(name) + 2:
            continue
        x += (
            np.random.default_rng(1).random(x.shape, np.float32) / 2
        )  # PyTorch shares global maxima among ties
        layer, tensor = getattr(ours, name)(**arguments), torch.from_numpy(x).requires_grad_(True)
        y, expected = layer(x), getattr(keras.layers, name)(**arguments)(tensor)
        gy = np.random.default_rng(2).standard_normal(y.shape).astype(np.float32)
        expected.backward(torch.from_numpy(gy))
        np.testing.assert_allclose(layer.backward(gy), tensor.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_masked_gradient():
    x = np.arange(12.0).reshape(2, 3, 2)
    for layout, keepdims in [("channels_last", False), ("channels_last", True), ("channels_first", True)]:
        layer = ours.GlobalAveragePooling1D(layout, keepdims)
        inputs = x if layout == "channels_last" else np.moveaxis(x, 1, 2)
        y = layer(inputs, mask=np.array([[1, 1, 0], [0, 0, 0]]))
        assert np.isnan(y[1]).all()
        gx = layer.backward(np.ones_like(y))
        gx = gx if layout == "channels_last" else np.moveaxis(gx, 1, 2)
        np.testing.assert_array_equal(gx[:, :, 0], [[0.5, 0.5, 0], [0, 0, 0]])


@pytest.mark.parametrize("library", ["torch", "jax.numpy"])
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_masked_mean_of_other_libraries(library, layout):
    """The mask and the result are of the kind of the input."""
    of = pytest.importorskip(library)
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    inputs = x if layout == "channels_last" else np.ascontiguousarray(np.moveaxis(x, 1, 2))
    mask = np.array([[1, 1, 0], [0, 0, 1]])
    layer = ours.GlobalAveragePooling1D(layout)
    expected = layer(inputs, mask=mask)
    gradient = layer.backward(np.ones_like(expected))
    for marked in (mask, mask.astype(bool)):
        found = layer(of.asarray(inputs), mask=of.asarray(marked))
        assert type(found) is type(of.asarray(inputs))
        np.testing.assert_array_equal(np.asarray(found), expected)
        back = layer.backward(of.asarray(np.ones_like(expected)))
        np.testing.assert_array_equal(np.asarray(back), gradient)


# Signatures, configurations, names -----------------------------------------------------------------------


@pytest.mark.peer
def test_every_pooling_name_of_keras_is_here(keras):
    named = [name for name in dir(keras.layers) if re.search(r"Pool(ing)?\dD", name)]
    assert sorted(NAMES) == sorted(named)
    for name in NAMES:
        assert getattr(ours, name).__name__ == getattr(keras.layers, name).__name__


@pytest.mark.peer
@pytest.mark.parametrize("name", LAYERS)
def test_signature_is_keras(keras, name):
    """Of Keras's other keywords (``**kwargs``) only the name is taken."""
    mine = [(p.name, p.default) for p in inspect.signature(getattr(ours, name)).parameters.values()]
    theirs = inspect.signature(getattr(keras.layers, name)).parameters.values()
    theirs = [(p.name, p.default) for p in theirs if p.kind is not inspect.Parameter.VAR_KEYWORD]
    assert mine == theirs + [("name", None)] * (("name", None) not in theirs)


@pytest.mark.peer
@pytest.mark.parametrize("name", LAYERS)
def test_configurations_travel_both_ways(keras, name):
    arguments = {**arguments_of(name, random.Random(name)), "name": "pool"}
    mine, theirs = getattr(ours, name)(**arguments), getattr(keras.layers, name)(**arguments)
    config = theirs.get_config()
    for key in ours.OF_KERAS:
        config.pop(key)
    assert mine.get_config() == config
    assert getattr(ours, name).from_config(theirs.get_config()).get_config() == config
    back = getattr(keras.layers, name).from_config(mine.get_config()).get_config()
    assert {key: back[key] for key in config} == config


@pytest.mark.parametrize("name", LAYERS)
def test_names_count_up_as_in_keras(name):
    layer = getattr(ours, name)
    given = {} if "Global" in name else {"output_size" if "Adaptive" in name else "pool_size": 2}
    first, second = layer(**given).name, layer(**given).name
    word = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    assert re.fullmatch(rf"{word}(_\d+)?", first)
    assert int(second.removeprefix(f"{word}_")) == int(first.removeprefix(word).lstrip("_") or 0) + 1
    assert layer(**given, name="mine").name == "mine"


# Refusals and intended differences: those of docs/frameworks/keras.md ------------------------------------

X = np.arange(48, dtype=np.float32).reshape(2, 3, 4, 2)
REFUSED = [
    (
        "MaxPooling2D",
        {"pool_size": 0},
        ValueError,
        "pool_size must be an integer of at least 1, or 2 of them",
    ),
    ("MaxPooling2D", {"pool_size": (2,)}, ValueError, "pool_size must be"),
    ("MaxPooling2D", {"pool_size": (2.0, 2)}, TypeError, "pool_size must be an integer or 2 of them"),
    ("MaxPooling2D", {"pool_size": None}, TypeError, "pool_size must be"),
    ("MaxPooling2D", {"strides": 0}, ValueError, "strides must be an integer of at least 1"),
    ("MaxPooling2D", {"padding": "full"}, ValueError, "padding must be one of valid, same, got 'full'"),
    ("MaxPooling2D", {"padding": 1}, TypeError, "padding must be one of valid, same, got 1"),
    (
        "MaxPooling2D",
        {"data_format": "NHWC"},
        ValueError,
        "data_format must be one of channels_last, channels_first",
    ),
    ("MaxPooling2D", {"name": "a/b"}, ValueError, "name must not contain '/'"),
    ("MaxPooling2D", {"name": 3}, TypeError, "name must be a string"),
    ("MaxPooling1D", {}, ValueError, "inputs must have 3 axes"),
    ("AveragePooling3D", {"pool_size": 2}, ValueError, "inputs must have 5 axes"),
    ("MaxPooling2D", {"pool_size": 4}, ValueError, "axis 1"),
    ("GlobalMaxPooling2D", {"data_format": "last"}, ValueError, "data_format must be one of"),
    ("AdaptiveMaxPooling2D", {"output_size": (3,)}, ValueError, "output_size must be"),
    ("AdaptiveMaxPooling2D", {"output_size": -1}, ValueError, "output_size must be"),
    ("AdaptiveMaxPooling2D", {"output_size": (None, 2)}, TypeError, "output_size must be"),
    ("AdaptiveMaxPooling2D", {"output_size": 2.0}, TypeError, "output_size must be"),
]


@pytest.mark.parametrize(("name", "arguments", "error", "message"), REFUSED)
def test_refusals_name_the_argument(name, arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        getattr(ours, name)(**arguments)(X)


@pytest.mark.peer
@pytest.mark.parametrize(("name", "arguments"), [row[:2] for row in REFUSED])
def test_keras_refuses_the_same(keras, name, arguments):
    if keras.backend.backend() != "torch":
        pytest.skip("TensorFlow takes some, and has errors of its own kinds")
    with pytest.raises((ValueError, TypeError, RuntimeError, AttributeError, ArithmeticError)):
        original(keras, name, arguments, X)


def test_refusals_of_calls():
    layer = ours.MaxPooling2D()
    with pytest.raises(TypeError, match="inputs must be an array, got list"):
        layer(X.tolist())
    with pytest.raises(ValueError, match="backward needs a call before it"):
        layer.backward(X)
    layer(X)
    with pytest.raises(ValueError, match="gy"):
        layer.backward(X[:1])
    with pytest.raises(ValueError, match="input_shape must have 4 axes"):
        layer.compute_output_shape((None, 3))
    with pytest.raises(ValueError, match="input_shape must have room for a window"):
        layer.compute_output_shape((None, 1, 4, 2))
    with pytest.raises(TypeError, match="keepdims must be True or False"):
        ours.GlobalMaxPooling2D(keepdims=1)
    with pytest.raises(ValueError, match=r"mask must have the shape \(batch, steps\), \(3, 4\)"):
        ours.GlobalAveragePooling1D()(X[0], mask=np.ones((3, 5)))
    with pytest.raises(TypeError, match="pool_size must be an integer"):
        ours.AveragePooling2D(True)
    with pytest.raises(ValueError, match="output_size must be an integer of at least 1"):
        ours.AdaptiveMaxPooling2D(0)
    with pytest.raises(TypeError, match="dtype"):
        ours.MaxPooling2D(dtype="float32")


@pytest.mark.parametrize("dtype", ["float16", "float64", "int16"])
def test_dtypes_are_kept(dtype):
    assert ours.MaxPooling2D()(X.astype(dtype)).dtype == dtype
    assert ours.AveragePooling2D(2)(X.astype(dtype)).dtype == ("float32" if dtype == "int16" else dtype)


@pytest.mark.peer
def test_keras_computes_in_its_own_dtype(keras):
    assert original(keras, "MaxPooling2D", {}, X.astype(np.float64)).dtype == np.float32
    integers = original(keras, "GlobalAveragePooling2D", {}, X.astype(np.int32))
    np.testing.assert_array_equal(ours.GlobalAveragePooling2D()(X.astype(np.int32)), integers)
    assert integers.dtype == np.float32


def test_words_in_any_case():
    layer = ours.MaxPooling2D(padding="SAME", data_format="Channels_First")
    assert (layer.padding, layer.data_format) == ("same", "channels_first")
    assert repr(ours.MaxPooling1D(name="m")) == (
        "MaxPooling1D(name='m', pool_size=(2,), strides=(2,), padding='valid', data_format='channels_last')"
    )


def test_of_equal_elements_the_first_gets_the_gradient():
    for layer in [ours.MaxPooling1D(4), ours.GlobalMaxPooling1D(keepdims=True), ours.AdaptiveMaxPooling1D(1)]:
        gx = layer.backward(np.ones_like(layer(np.array([[[1.0], [7], [2], [7]]]))))
        np.testing.assert_array_equal(gx[0, :, 0], [0, 1, 0, 0])


def test_an_empty_batch():
    layer = ours.MaxPooling2D()
    assert layer(X[:0]).shape == (0, 1, 2, 2)
    assert layer.backward(np.zeros((0, 1, 2, 2), np.float32)).shape == (0, 3, 4, 2)


@pytest.mark.peer
def test_keras_on_pytorch_repeats_edges(keras):
    x, arguments = np.array([[[1.0], [2], [3], [4], [6]]], np.float32), {"pool_size": 3, "padding": "same"}
    np.testing.assert_array_equal(ours.AveragePooling1D(**arguments)(x)[0, :, 0], [2, 5])
    expected = [2, 16 / 3] if keras.backend.backend() == "torch" else [2, 5]
    found = original(keras, "AveragePooling1D", arguments, x)[0, :, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


# Documents -----------------------------------------------------------------------------------------------


def test_importing_brings_no_framework():
    code = "import sys, fastpool.compat.keras; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "tensorflow", "keras", "jax"} & set(done.stdout.split())
