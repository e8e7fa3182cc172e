"""Second witnesses: torch and onnxruntime, where they agree with the rules. Skipped where they are absent."""

import random

import cases
import numpy as np
import pytest
import reference

import fastpool as fp

pytestmark = pytest.mark.peer
GEOMETRIES = 5000


@pytest.fixture(scope="module")
def torch():
    module = pytest.importorskip("torch")
    module.set_num_threads(1)
    return module


def random_geometry(rng):
    """Arguments of a torch pooling call: padding up to half the window, everything else free."""
    count = rng.randint(1, 3)
    k = [rng.randint(1, 4) for _ in range(count)]
    geometry = {
        "window": tuple(k),
        "stride": tuple(rng.randint(1, 4) for _ in k),
        "padding": tuple(rng.randint(0, n // 2) for n in k),
        "dilation": tuple(rng.randint(1, 3) for _ in k),
        "ceil_mode": rng.random() < 0.5,
    }
    return geometry, (rng.randint(1, 2), rng.randint(1, 3), *(rng.randint(1, 12) for _ in k))


def tables_of(geometry, lengths):
    each = zip(
        lengths,
        geometry["window"],
        geometry["stride"],
        geometry["padding"],
        geometry["dilation"],
        strict=True,
    )
    return [reference.taps(n, k, s, p, p, d, geometry["ceil_mode"]) for n, k, s, p, d in each]


def call(f, x, geometry, layout, **options):
    """A fastpool call on another layout of the channels-first array x, its results channels-first."""
    if layout != "channels-last":
        return f(cases.arrange(x, layout), **geometry, **options)
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    found = f(last, **geometry, **options, axes=tuple(range(1, x.ndim - 1)))
    if isinstance(found, tuple) and callable(found[1]):
        y, pull = found
        return np.moveaxis(y, -1, 1), lambda gy: np.moveaxis(pull(np.moveaxis(gy, 1, -1)), -1, 1)
    return tuple(np.moveaxis(part, -1, 1) for part in found)


def compare_max(torch, x, geometry, layout):
    y, i = call(fp.max_pool, x, geometry, layout, return_indices=True)
    tensor = torch.from_numpy(x).requires_grad_(True)
    names = ("window", "stride", "padding", "dilation", "ceil_mode")
    f = getattr(torch.nn.functional, f"max_pool{x.ndim - 2}d")
    expected, where = f(tensor, *(geometry[name] for name in names), return_indices=True)
    np.testing.assert_array_equal(y, expected.detach().numpy())
    np.testing.assert_array_equal(i, where.numpy())
    y, pull = call(lambda x, **kw: fp.vjp(fp.max_pool, x, **kw), x, geometry, layout)
    gy = np.random.default_rng(0).integers(-9, 9, y.shape).astype(x.dtype)
    expected.backward(torch.from_numpy(gy))
    np.testing.assert_array_equal(pull(gy), tensor.grad.numpy())


def compare_avg(torch, x, geometry, layout, include_pad):
    geometry = {name: value for name, value in geometry.items() if name != "dilation"}
    y, pull = call(
        lambda x, **kw: fp.vjp(fp.avg_pool, x, **kw), x, geometry, layout, count_include_pad=include_pad
    )
    tensor = torch.from_numpy(x).requires_grad_(True)
    names = ("window", "stride", "padding", "ceil_mode")
    f = getattr(torch.nn.functional, f"avg_pool{x.ndim - 2}d")
    expected = f(tensor, *(geometry[name] for name in names), count_include_pad=include_pad)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=2e-6, atol=1e-6)
    gy = np.random.default_rng(0).integers(-9, 9, y.shape).astype(x.dtype)
    expected.backward(torch.from_numpy(gy))
    np.testing.assert_allclose(pull(gy), tensor.grad.numpy(), rtol=2e-6, atol=1e-5)


@pytest.mark.parametrize("part", range(10))
def test_torch_on_random_geometries(torch, part):
    rng, checked = random.Random(part), 0
    layouts = ("C", "F", "sliced", "channels-last")
    while checked < GEOMETRIES // 10:
        geometry, shape = random_geometry(rng)
        data = np.random.default_rng(rng.randint(0, 10**9))
        x = data.integers(-20, 20, shape).astype(rng.choice([np.float32, np.float64]))
        layout = layouts[checked % 4]
        if None in tables_of(geometry, shape[2:]):
            continue  # torch gives -inf and bad indices where a window is empty
        compare_max(torch, x, geometry, layout)
        checked += 1
        undilated = {**geometry, "dilation": (1,) * len(geometry["window"])}
        smaller = any(n < k for n, k in zip(shape[2:], geometry["window"], strict=True))
        if smaller and len(shape) == 5:
            continue  # torch's average refuses in three dimensions what it takes in two
        compare_avg(torch, x, undilated, layout, rng.random() < 0.5)


@pytest.mark.parametrize("n", range(1, 41))
def test_torch_adaptive(torch, n):
    x = np.random.default_rng(n).integers(-9, 9, (2, 3, n)).astype(np.float32)
    functional = torch.nn.functional
    for o in range(1, 41):
        for op, f in [("max", functional.adaptive_max_pool1d), ("avg", functional.adaptive_avg_pool1d)]:
            tensor = torch.from_numpy(x).requires_grad_(True)
            y, pull = fp.vjp(fp.adaptive_pool, x, op, (o,))
            expected = f(tensor, o)
            np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-6, atol=1e-7)
            gy = np.random.default_rng(o).standard_normal(y.shape).astype(np.float32)
            expected.backward(torch.from_numpy(gy))
            np.testing.assert_allclose(pull(gy), tensor.grad.numpy(), rtol=1e-5, atol=1e-6)
        where = functional.adaptive_max_pool1d(torch.from_numpy(x), o, return_indices=True)[1]
        indices = fp.adaptive_pool(x, "max", (o,), return_indices=True)[1]
        np.testing.assert_array_equal(indices, where.numpy())


@pytest.mark.parametrize("sizes", [(3, 7), (5, None), (1, 1), (9, 12)])
def test_torch_adaptive_2d(torch, sizes):
    x = np.random.default_rng(1).standard_normal((2, 3, 7, 11))
    functional = torch.nn.functional
    y, i = fp.adaptive_max_pool(x, sizes, return_indices=True)
    expected, where = functional.adaptive_max_pool2d(torch.from_numpy(x), sizes, return_indices=True)
    np.testing.assert_array_equal(y, expected.numpy())
    np.testing.assert_array_equal(i, where.numpy())
    expected = functional.adaptive_avg_pool2d(torch.from_numpy(x), sizes)
    np.testing.assert_allclose(fp.adaptive_avg_pool(x, sizes), expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_torch_lp(torch, p):
    x = np.random.default_rng(2).random((2, 3, 8, 9))
    expected = torch.nn.functional.lp_pool2d(torch.from_numpy(x), p, (3, 2), 2)
    np.testing.assert_allclose(fp.lp_pool(x, (3, 2), p=p, stride=2), expected.numpy(), rtol=1e-12)


def test_torch_unpool(torch):
    x = np.random.default_rng(3).standard_normal((2, 3, 8, 10))
    y, i = fp.max_pool(x, 2, return_indices=True)
    expected = torch.nn.functional.max_unpool2d(torch.from_numpy(y), torch.from_numpy(i.astype(np.int64)), 2)
    np.testing.assert_array_equal(fp.unpool(y, i, x.shape), expected.numpy())


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_onnxruntime_same_padding(op, auto_pad):
    runtime, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    rng = random.Random(op + auto_pad)
    for _ in range(150):
        count = rng.randint(1, 3)
        k = [rng.randint(1, 4) for _ in range(count)]
        s = [rng.randint(1, n) for n in k]  # onnxruntime refuses longer strides where they leave a rest
        shape = [2, 2, *(rng.randint(1, 12) for _ in range(count))]
        x = np.random.default_rng(rng.randint(0, 10**9)).standard_normal(shape).astype(np.float32)
        node = onnx.helper.make_node(op, ["x"], ["y"], kernel_shape=k, strides=s, auto_pad=auto_pad)
        kind = onnx.TensorProto.FLOAT
        graph = onnx.helper.make_graph(
            [node],
            "pooling",
            [onnx.helper.make_tensor_value_info("x", kind, shape)],
            [onnx.helper.make_tensor_value_info("y", kind, [None] * len(shape))],
        )
        model = onnx.helper.make_model(
            graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
        ).SerializeToString()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        (expected,) = session.run(None, {"x": x})
        word = "same" if auto_pad == "SAME_UPPER" else "same_lower"
        extra = {"count_include_pad": False} if op == "AveragePool" else {}
        y = fp.pool(x, "max" if op == "MaxPool" else "avg", tuple(k), stride=s, padding=word, **extra)
        np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
