"""ONNX's words: the project's own node tests, onnxruntime on random nodes, and the rules restated."""

import random
import re
import unittest
import warnings
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import reference

import fastpool as fp
from fastpool.compat import onnx as words
from fastpool.compat.onnx import Backend, make_node, run_node

OPERATORS = list(words.ATTRIBUTES)
NODE_TESTS = {"1.23": 56}  # what a version of onnx brings for these operators
NODES = 150  # random ones an operator


def run(op_type, inputs, *, outputs=("y",), opset_version=words.LATEST, **attributes):
    names = [f"x{number}" for number in range(len(inputs))]
    return run_node(make_node(op_type, names, outputs, **attributes), inputs, opset_version=opset_version)


# The project's own tests ---------------------------------------------------------------------------------


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_onnx_own_node_tests():
    onnx = pytest.importorskip("onnx")
    runner = pytest.importorskip("onnx.backend.test")
    loader = pytest.importorskip("onnx.backend.test.loader")
    own = [
        case.name
        for case in loader.load_model_tests(kind="node")
        if case.model is not None and all(node.op_type in OPERATORS for node in case.model.graph.node)
    ]
    tests = runner.BackendTest(Backend, __name__)
    for name in own:
        tests.include(rf"^{name}_cpu$")
    result = unittest.TestResult()
    tests.test_suite.run(result)
    passed = result.testsRun - len(result.skipped)
    assert not result.failures, result.failures[0][1]
    assert not result.errors, result.errors[0][1]
    assert passed == len(own)
    version = ".".join(onnx.__version__.split(".")[:2])
    assert passed == NODE_TESTS.get(version, passed)
    assert passed >= 50


# onnxruntime ---------------------------------------------------------------------------------------------


def session(onnx, runtime, node, arrays, opset):
    helper = onnx.helper
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in zip(node.input, arrays, strict=True)
    ]
    kinds = [
        onnx.TensorProto.INT64 if name == "i" else inputs[0].type.tensor_type.elem_type
        for name in node.output
    ]
    outputs = [
        helper.make_tensor_value_info(name, kind, None) for name, kind in zip(node.output, kinds, strict=True)
    ]
    graph = helper.make_graph([node], "pooling", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    made = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return made.run(None, dict(zip(node.input, arrays, strict=True)))


def random_node(rng, op_type):
    """Inputs, attributes and opset of a node that onnxruntime takes."""
    n = rng.randint(1, 3)
    shape = (rng.randint(1, 2), rng.randint(1, 3), *(rng.randint(1, 9) for _ in range(n)))
    data = np.random.default_rng(rng.randint(0, 10**9))
    x = data.integers(-9, 10, shape).astype(np.float32)
    opset = rng.choice([11, 12, 18, 19, 21])
    if op_type.startswith("Global"):
        return [x], ({"p": rng.randint(1, 3)} if op_type == "GlobalLpPool" else {}), opset
    if op_type in ("MaxRoiPool", "RoiAlign"):
        return random_boxes(rng, op_type, data, shape)
    kernel = [rng.randint(1, 4) for _ in range(n)]
    attributes = {"kernel_shape": kernel, "strides": [rng.randint(1, 3) for _ in range(n)]}
    if rng.random() < 0.3:
        attributes["auto_pad"] = rng.choice(["VALID", "SAME_UPPER", "SAME_LOWER"])
        attributes["strides"] = [min(s, k) for s, k in zip(attributes["strides"], kernel, strict=True)]
    else:
        attributes["pads"] = [rng.randint(0, k - 1) for k in kernel * 2]
    _, known = words.ATTRIBUTES[op_type]
    if opset >= known["dilations"] and "auto_pad" not in attributes and rng.random() < 0.5:
        attributes["dilations"] = [rng.randint(1, 3) for _ in range(n)]
    if opset >= known["ceil_mode"] and "auto_pad" not in attributes:
        attributes["ceil_mode"] = rng.randint(0, 1)
    if op_type == "AveragePool":
        attributes["count_include_pad"] = 0 if "auto_pad" in attributes else rng.randint(0, 1)
    if op_type == "LpPool":
        attributes["p"] = rng.randint(1, 4)
    if op_type == "MaxPool":
        attributes["storage_order"] = rng.randint(0, 1)
    return [x], attributes, opset


def random_boxes(rng, op_type, data, shape):
    x = data.standard_normal((*shape[:2], rng.randint(2, 9), rng.randint(2, 9))).astype(np.float32)
    count = rng.randint(1, 4)
    images = data.integers(0, shape[0], count)
    first = data.uniform(0, 5, (count, 2))
    corners = np.concatenate([first, first + data.uniform(0, 5, (count, 2))], 1).astype(np.float32)
    size = [rng.randint(1, 3), rng.randint(1, 3)]
    scale = rng.choice([1.0, 0.5])
    if op_type == "MaxRoiPool":
        rois = np.concatenate([images[:, None].astype(np.float32), np.round(corners)], 1)
        return [x, rois], {"pooled_shape": size, "spatial_scale": scale}, 12
    opset = rng.choice([10, 16, 21])
    attributes = {"output_height": size[0], "output_width": size[1], "spatial_scale": scale}
    attributes["sampling_ratio"] = rng.randint(0, 3)
    if opset >= 16 and rng.random() < 0.7:
        attributes["coordinate_transformation_mode"] = rng.choice(["half_pixel", "output_half_pixel"])
    return [x, corners, images.astype(np.int64)], attributes, opset


@pytest.mark.peer
@pytest.mark.parametrize("op_type", [name for name in OPERATORS if name != "MaxUnpool"])
def test_onnxruntime(op_type):
    runtime, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    rng, compared = random.Random(zlib.crc32(op_type.encode())), 0
    while compared < NODES:
        inputs, attributes, opset = random_node(rng, op_type)
        outputs = ["y", "i"] if op_type == "MaxPool" else ["y"]
        node = onnx.helper.make_node(op_type, [f"x{k}" for k in range(len(inputs))], outputs, **attributes)
        try:
            found = run_node(node, inputs, opset_version=opset)
        except ValueError as error:
            if not re.search("does not fit|covers? no element", str(error)):
                raise
            continue  # onnxruntime gives an empty array, or the smallest number
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = session(onnx, runtime, node, inputs, opset)
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected, strict=True):
            assert mine.dtype == theirs.dtype
            message = f"{node} {inputs[0].shape} opset {opset}"
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5, err_msg=message)
        compared += 1


@pytest.mark.peer
def test_onnxruntime_unpools():
    runtime, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 10)).astype(np.float32)
    attributes = {"kernel_shape": [2, 2], "strides": [2, 2]}
    y, i = run("MaxPool", [x], outputs=("y", "i"), **attributes)
    node = onnx.helper.make_node("MaxUnpool", ["y", "i"], ["z"], **attributes)
    (expected,) = session(onnx, runtime, node, [y, i], 11)
    np.testing.assert_array_equal(run_node(node, [y, i])[0], expected)


@pytest.mark.peer
@pytest.mark.parametrize(
    ("shape", "window", "step", "pads", "up"),
    [
        ((2, 3, 9, 7), [2, 2], [2, 2], [0, 0, 0, 0], 0),
        ((2, 2, 7, 9), [3, 3], [2, 2], [1, 1, 1, 1], 0),
        ((2, 1, 6, 8), [3, 3], [1, 2], [0, 0, 0, 0], 0),
        ((2, 2, 11), [3], [3], [0, 0], 0),
        ((1, 2, 5, 6, 7), [2, 2, 2], [2, 2, 2], [0] * 6, 0),
        ((2, 2, 5, 7), [2, 2], [2, 2], [0, 0, 0, 0], 1),
    ],
)
def test_unpooling_to_an_output_shape_inverts_the_pooling(shape, window, step, pads, up):
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    attributes = {"kernel_shape": window, "strides": step, "pads": pads}
    y, i = run("MaxPool", [x], outputs=("y", "i"), ceil_mode=up, **attributes)
    given = [y, i, np.array(shape)]
    (z,) = run("MaxUnpool", given, **attributes)
    expected = np.zeros(x.size, x.dtype)
    expected[i] = y
    np.testing.assert_array_equal(z, expected.reshape(shape))
    if not up:  # for which onnxruntime takes no shape that is smaller than what the windows imply
        runtime, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
        node = onnx.helper.make_node("MaxUnpool", ["y", "i", "shape"], ["z"], **attributes)
        np.testing.assert_array_equal(z, session(onnx, runtime, node, given, 11)[0])
        places = np.random.default_rng(4).permutation(x[0].size // shape[1])[: i[0, 0].size]
        planes = np.arange(shape[0] * shape[1]) * (x[0].size // shape[1])
        anywhere = (planes[:, None] + places).reshape(i.shape)  # of no pooling: in the shape as well
        expected = session(onnx, runtime, node, [y, anywhere, given[2]], 11)[0]
        np.testing.assert_array_equal(run("MaxUnpool", [y, anywhere, given[2]], **attributes)[0], expected)


@pytest.mark.peer
def test_what_onnxruntime_does_otherwise():
    runtime, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")

    def ask(node, *arrays):
        return session(onnx, runtime, node, arrays, 12)[0]

    node = onnx.helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3])
    x = np.array([[[1, np.nan, 3]]], np.float32)
    assert ask(node, x).item() == 3
    assert np.isnan(run_node(node, [x])[0]).all()
    shape = np.array([1, 1, 5, 5])
    attributes = {"kernel_shape": [2, 2], "strides": [2, 2]}
    node = onnx.helper.make_node("MaxUnpool", ["x", "j", "shape"], ["y"], **attributes)
    x, i = np.array([[[[5, 6], [7, 8]]]], np.float32), np.array([[[[5, 7], [13, 15]]]])
    assert np.flatnonzero(ask(node, x, i, shape)).tolist() == [5, 7, 13, 15]
    # No pooling of 5 x 5 gives these indices: 13 is no element of the third window there, but is in 4 x 4.
    assert np.flatnonzero(run_node(node, [x, i, shape])[0]).tolist() == [6, 8, 16, 18]
    node = onnx.helper.make_node("MaxUnpool", ["x", "j"], ["y"], kernel_shape=[2], strides=[2])
    x, i = np.array([[[1]], [[2]]], np.float32), np.array([[[1]], [[0]]])
    assert ask(node, x, i).reshape(-1).tolist() == [2, 1, 0, 0]
    with pytest.raises(ValueError, match="elsewhere on axis 0"):
        run_node(node, [x, i])
    node = onnx.helper.make_node("LpPool", ["x"], ["y"], kernel_shape=[2], p=200)
    x = np.full((1, 1, 2), 10, np.float32)
    assert np.isinf(ask(node, x)).all()
    np.testing.assert_allclose(run_node(node, [x])[0].item(), 10 * 2 ** (1 / 200), rtol=1e-6)


# Models --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [b"model", None, "model.onnx", 3, make_node("MaxPool", ["x"], ["y"])])
def test_what_is_no_model_is_refused(wrong):
    for ask in (Backend.prepare, Backend.is_compatible, lambda model: Backend.run_model(model, [])):
        with pytest.raises(TypeError, match=r"model must be an onnx\.ModelProto .*, got"):
            ask(wrong)


@pytest.mark.peer
def test_a_model_of_several_nodes_with_a_stored_tensor():
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("MaxUnpool", ["y", "i", "shape"], ["z"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["z"], ["mean"]),
    ]
    x = np.arange(32, dtype=np.float32).reshape(1, 2, 4, 4)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "chain",
        [info("x", kinds.FLOAT, x.shape)],
        [info("mean", kinds.FLOAT, None), info("y", kinds.FLOAT, None)],
        [helper.make_tensor("shape", kinds.INT64, [4], [1, 2, 5, 5])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
    assert Backend.is_compatible(model)
    mean, y = Backend.run_model(model, [x])
    np.testing.assert_allclose(mean.reshape(-1), y.sum((2, 3)).reshape(-1) / 25)
    np.testing.assert_array_equal(Backend.prepare(model).run({"x": x})[1], fp.max_pool(x, 2))


def fake_model(*nodes, inputs=("x",), outputs=("y",), opset=22):
    named = [[SimpleNamespace(name=name) for name in names] for names in (inputs, outputs)]
    graph = SimpleNamespace(node=nodes, input=named[0], output=named[1], initializer=[])
    return SimpleNamespace(graph=graph, opset_import=[SimpleNamespace(domain="", version=opset)])


def fake_node(op_type, inputs=("x",), outputs=("y",), domain="", **attributes):
    kinds = {int: (2, "i"), float: (1, "f"), str: (3, "s"), list: (7, "ints")}
    fields = []
    for name, value in attributes.items():
        number, field = kinds[type(value)]
        stored = value.encode() if isinstance(value, str) else value
        fields.append(SimpleNamespace(name=name, type=number, **{field: stored}))
    return SimpleNamespace(op_type=op_type, input=inputs, output=outputs, domain=domain, attribute=fields)


def test_the_backend_without_onnx():
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    node = fake_node("AveragePool", kernel_shape=[2, 2], auto_pad="SAME_UPPER", count_include_pad=1)
    model = fake_model(node, fake_node("GlobalLpPool", ("y",), ("z",), p=1), outputs=("z",))
    assert Backend.is_compatible(model)
    prepared = Backend.prepare(model)
    (found,) = prepared.run(x)
    np.testing.assert_allclose(found.item(), fp.avg_pool(x, 2, stride=1, padding="same").sum())
    with pytest.raises(ValueError, match="x is missing"):
        prepared.run({"z": x})
    other = fake_model(fake_node("Conv", ("x", "w")))
    assert not Backend.is_compatible(other)
    with pytest.raises(ValueError, match="pooling nodes alone, got 'Conv'"):
        Backend.prepare(other)
    assert Backend.supports_device("CPU")
    assert not Backend.supports_device("CUDA:0")
    with pytest.raises(ValueError, match="device must be"):
        Backend.prepare(model, "CUDA")
    (y,) = Backend.run_node(fake_node("GlobalMaxPool"), [x], "CPU", opset_version=1)
    assert y.shape == (1, 1, 1, 1)


# Rules ---------------------------------------------------------------------------------------------------

X = np.random.default_rng(3).standard_normal((2, 3, 7, 6)).astype(np.float32)


def test_defaults_are_onnx_own():
    (y,) = run("MaxPool", [X], kernel_shape=[3, 2])
    np.testing.assert_array_equal(y, fp.max_pool(X, (3, 2), stride=1))
    (y,) = run("AveragePool", [X], kernel_shape=[3, 3], pads=[1, 0, 1, 2])
    expected = fp.avg_pool(X, 3, stride=1, padding=[(1, 1), (0, 2)], count_include_pad=False)
    np.testing.assert_array_equal(y, expected)
    (y,) = run("LpPool", [X], kernel_shape=[2, 2], opset_version=2)
    np.testing.assert_array_equal(y, fp.lp_pool(X, 2, p=2, stride=1))
    (y,) = run("GlobalLpPool", [X], p=2.5, opset_version=1)
    np.testing.assert_array_equal(y, fp.global_pool(X, "lp", p=2.5, keepdims=True))


@pytest.mark.parametrize("storage_order", [0, 1])
def test_indices_name_the_elements_of_the_whole_tensor(storage_order):
    y, i = run(
        "MaxPool", [X], outputs=("y", "i"), kernel_shape=[2, 3], strides=[2, 1], storage_order=storage_order
    )
    stored = X.swapaxes(2, 3) if storage_order else X
    assert i.dtype == np.int64
    np.testing.assert_array_equal(np.ascontiguousarray(stored).reshape(-1)[i], y)


@pytest.mark.parametrize("auto_pad", ["VALID", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("n", range(3, 9))
def test_auto_pad_ignores_ceil_mode(auto_pad, n):
    x = np.arange(float(n)).reshape(1, 1, n)
    for stride in (1, 2, 3):
        attributes = {"kernel_shape": [3], "strides": [stride], "auto_pad": auto_pad}
        (y,) = run("MaxPool", [x], ceil_mode=1, **attributes)
        (same,) = run("MaxPool", [x], **attributes)
        np.testing.assert_array_equal(y, same)
        fits = n - 2 if auto_pad == "VALID" else n
        assert y.shape[2] == -(-fits // stride)


def test_averages_with_dilation_count_only_their_own_padding():
    (y,) = run(
        "AveragePool",
        [np.ones((1, 1, 6))],
        kernel_shape=[3],
        dilations=[2],
        strides=[2],
        pads=[2, 0],
        ceil_mode=1,
        count_include_pad=1,
    )
    taps = reference.taps(6, 3, 2, 2, 0, 2, True)
    assert y.shape[2] == len(taps)
    np.testing.assert_allclose(y.reshape(-1), [2 / 3, 1, 1])  # the last window is 2, 4 and an overhang


def test_old_roi_align_has_no_half_pixel():
    x = np.arange(36.0).reshape(1, 1, 6, 6)
    boxes, images = np.array([[0.0, 0, 3, 3]]), np.array([0])
    size = {"output_height": 2, "output_width": 2}
    old, new = (run("RoiAlign", [x, boxes, images], opset_version=v, **size)[0] for v in (10, 16))
    np.testing.assert_allclose(old.reshape(-1), [5.25, 6.75, 14.25, 15.75])
    np.testing.assert_allclose(new.reshape(-1), [2.1875, 3.625, 10.8125, 12.25])


def test_unpool():
    x, i = np.array([[[[5.0, 6], [7, 8]]]]), np.array([[[[5, 7], [13, 15]]]])
    attributes = {"kernel_shape": [2, 2], "strides": [2, 2]}
    (y,) = run("MaxUnpool", [x, i], **attributes)
    (larger,) = run("MaxUnpool", [x, i, np.array([1, 1, 5, 6])], **attributes)  # of 4 x 4
    assert larger.shape == (1, 1, 5, 6)
    np.testing.assert_array_equal(larger[:, :, :4, :4], y)
    (same,) = run("MaxUnpool", [x, i, None], **attributes)
    np.testing.assert_array_equal(same, y)
    for wrong in ([1, 2, 5, 5], [1, 1, 5], [1, 1, 0, 5]):
        with pytest.raises(ValueError, match="output_shape must have 4 lengths, those of batch and channels"):
            run("MaxUnpool", [x, i, np.array(wrong)], **attributes)
    with pytest.raises(ValueError, match=r"i must be in 0\.\.8, got 13"):
        run("MaxUnpool", [x, i, np.array([1, 1, 3, 3])], **attributes)
    with pytest.raises(TypeError, match="output_shape must be integers, got float64"):
        run("MaxUnpool", [x, i, np.array([1.0, 1, 5, 5])], **attributes)
    with pytest.raises(ValueError, match=r"i must be in 0\.\.15, got 16"):
        run("MaxUnpool", [x, i + 1, None], **attributes)


def test_unpool_refuses_another_plane():
    y, i = np.ones((1, 2, 1)), np.array([[[0], [1]]])
    with pytest.raises(ValueError, match="elsewhere on axis 1"):
        run("MaxUnpool", [y, i], kernel_shape=[2], strides=[2])


def test_max_roi_pool():
    rois = np.array([[1, 0, 0, 5, 6], [0, 2, 2, 2, 2.0]])
    (y,) = run("MaxRoiPool", [X, rois], pooled_shape=[2, 1])
    np.testing.assert_array_equal(y, fp.roi_pool(X, "max", rois, (2, 1)))


def test_windows_within_padding_are_refused():
    with pytest.raises(ValueError, match="padding must be less than the dilated window"):
        run("MaxPool", [X], kernel_shape=[2, 2], pads=[2, 0, 0, 0])
    with pytest.raises(ValueError, match="does not fit length 6"):
        run("MaxPool", [X], kernel_shape=[2, 7])


def test_nan_wins():
    x = np.array([[[1.0, np.nan, 3.0]]])
    for op_type, more in (("MaxPool", {"kernel_shape": [3]}), ("GlobalMaxPool", {})):
        assert np.isnan(run(op_type, [x], **more)[0]).all()


@pytest.mark.parametrize(
    ("op_type", "attributes", "opset", "message"),
    [
        (
            "MaxPool",
            {"kernel_shape": [2, 2], "dilations": [1, 1]},
            8,
            "opset 8 has the attributes: kernel_shape",
        ),
        ("MaxPool", {"kernel_shape": [2, 2], "ceil_mode": 1}, 9, "got 'ceil_mode'"),
        ("MaxPool", {"kernel_shape": [2, 2], "storage_order": 1}, 1, "got 'storage_order'"),
        ("AveragePool", {"kernel_shape": [2, 2], "dilations": [1, 1]}, 18, "got 'dilations'"),
        ("AveragePool", {"kernel_shape": [2, 2], "count_include_pad": 1}, 6, "got 'count_include_pad'"),
        ("LpPool", {"kernel_shape": [2, 2], "ceil_mode": 1}, 11, "got 'ceil_mode'"),
        ("GlobalMaxPool", {"p": 2}, 22, "has the attributes: none; got 'p'"),
        ("MaxUnpool", {"kernel_shape": [2, 2]}, 8, "opset_version must be at least 9 for MaxUnpool, got 8"),
        ("RoiAlign", {"coordinate_transformation_mode": "half_pixel"}, 10, "got 'coordinate_transformation"),
        ("MaxPool", {}, 22, "MaxPool needs the attribute kernel_shape"),
        ("MaxPool", {"kernel_shape": [2]}, 22, "kernel_shape must have 2 entries"),
        ("MaxPool", {"kernel_shape": [2, 2], "strides": [2]}, 22, "strides must have 2 entries"),
        ("MaxPool", {"kernel_shape": [2, 2], "pads": [1, 1]}, 22, "pads must have 4 entries"),
        (
            "MaxPool",
            {"kernel_shape": [2, 2], "auto_pad": "SAME"},
            22,
            "auto_pad must be one of NOTSET, VALID",
        ),
        (
            "MaxPool",
            {"kernel_shape": [2, 2], "auto_pad": "VALID", "pads": [1] * 4},
            22,
            "pads cannot be given",
        ),
        ("MaxPool", {"kernel_shape": [2, 2], "ceil_mode": 2}, 22, "ceil_mode must be 0 or 1, got 2"),
        ("MaxPool", {"kernel_shape": [2, 2], "storage_order": 2}, 22, "storage_order must be 0"),
        ("Conv", {}, 22, "node must be one of MaxPool, AveragePool"),
    ],
)
def test_values_that_are_refused(op_type, attributes, opset, message):
    with pytest.raises(ValueError, match=message):
        run(op_type, [X], outputs=("y", "i"), opset_version=opset, **attributes)


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes", "message"),
    [
        ("MaxPool", [X.tolist()], {"kernel_shape": [2, 2]}, "inputs must be arrays, got list as number 0"),
        ("MaxPool", [X], {"kernel_shape": 2}, "kernel_shape must be a sequence of integers, got 2"),
        ("MaxPool", [X], {"kernel_shape": [2.0, 2]}, "kernel_shape must be a sequence of integers"),
        ("MaxPool", [X], {"kernel_shape": [2, 2], "auto_pad": 1}, "auto_pad must be a string, got 1"),
        ("MaxPool", [X], {"kernel_shape": [2, 2], "ceil_mode": "yes"}, "ceil_mode must be an integer"),
        ("GlobalLpPool", [X], {"p": "2"}, "p must be a real number"),
    ],
)
def test_types_that_are_refused(op_type, inputs, attributes, message):
    with pytest.raises(TypeError, match=message):
        run(op_type, inputs, **attributes)


def test_other_refusals():
    with pytest.raises(TypeError, match=r"node must be an onnx\.NodeProto"):
        run_node("MaxPool", [X])
    with pytest.raises(TypeError, match="opset_version must be an integer, got 'latest'"):
        run("GlobalMaxPool", [X], opset_version="latest")
    with pytest.raises(ValueError, match="inputs of GlobalMaxPool must be 1 to 1, got 2"):
        run("GlobalMaxPool", [X, X])
    with pytest.raises(ValueError, match="at least one more, got 2 axes"):
        run("GlobalMaxPool", [X[0, 0]])
    with pytest.raises(ValueError, match=r"of domain 'ai\.onnx\.ml'"):
        run_node(fake_node("MaxPool", domain="ai.onnx.ml", kernel_shape=[2, 2]), [X])
    with pytest.raises(ValueError, match="I must have the shape of X"):
        run("MaxUnpool", [X, np.zeros((1, 1, 1, 1), int)], kernel_shape=[2, 2])
    boxes, images = np.zeros((2, 4)), np.zeros(2, int)
    with pytest.raises(ValueError, match=r"rois must have the shape \(K, 4\)"):
        run("RoiAlign", [X, boxes, images[:1]])
    for name, value in {"mode": "min", "coordinate_transformation_mode": "pixel"}.items():
        with pytest.raises(ValueError, match=f"{name} must be"):
            run("RoiAlign", [X, boxes, images], **{name: value})
