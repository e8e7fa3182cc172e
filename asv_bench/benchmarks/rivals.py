"""The same workloads by other libraries on one thread: they tell the machine's changes from ours.

Each library's function takes a row and its input and gives a call, the fastest that the library has.
"""

from functools import partial
from importlib import import_module

import numpy as np

from .common import Benchmark, filled, once, pool_of
from .workloads import WORKLOADS


def fastpool(row, x):
    return partial(pool_of(row.operator), x, row.window, **row.call, out=np.empty(row.output, row.dtype))


def torch(row, x):
    torch = import_module("torch")
    torch.set_num_threads(1)
    pool = getattr(torch.nn.functional, f"{row.operator}_pool{len(row.window)}d")
    tensor = torch.from_numpy(x)
    if row.last:
        tensor = tensor.permute(0, 3, 1, 2)
    return partial(pool, tensor, row.window, row.stride, row.padding)


def onnx_model(row):
    """A network of the one pooling."""
    helper, kind = import_module("onnx").helper, import_module("onnx").TensorProto.FLOAT
    options = {"kernel_shape": row.window, "strides": row.stride, "pads": row.padding * 2}
    if row.operator == "avg":
        options["count_include_pad"] = 1
    node = helper.make_node({"max": "MaxPool", "avg": "AveragePool"}[row.operator], ["x"], ["y"], **options)
    ends = {"x": row.shape, "y": row.output}
    x, y = (helper.make_tensor_value_info(name, kind, shape) for name, shape in ends.items())
    graph = helper.make_graph([node], "pooling", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def onnxruntime(row, x):
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(onnx_model(row), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})


def openvino(row, x):
    openvino = import_module("openvino")
    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(onnx_model(row)), "CPU", options)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    return partial(request.infer, share_outputs=True)


def opencv(row, x):
    cv2 = import_module("cv2")
    cv2.setNumThreads(1)
    y = np.empty(row.output, row.dtype)
    if row.stride == row.window:
        return partial(cv2.resize, x, y.shape[::-1], dst=y, interpolation=cv2.INTER_AREA)
    if row.operator == "max":
        return partial(cv2.dilate, x, np.ones(row.window, np.uint8), dst=y)
    return partial(cv2.blur, x, row.window[::-1], dst=y, borderType=cv2.BORDER_CONSTANT)


def scipy(row, x):
    ndimage, y = import_module("scipy.ndimage"), np.empty(row.output, row.dtype)
    if row.operator == "max":
        return partial(ndimage.maximum_filter, x, row.window, output=y, mode="constant", cval=-np.inf)
    return partial(ndimage.uniform_filter, x, row.window, output=y, mode="constant")


NETWORKS = ["resnet one image max 3x3 s2", "inception avg 3x3 s1", "sppf max 5x5 s1", "c3d max 2x2x2"]
LAST = ["resnet one image max 3x3 s2 NHWC", "inception avg 3x3 s1 NHWC"]
IMAGES = ["image max 7x7 s1", "image uint8 mean 2x2 s2", "image mean 31x31 s1"]
LIBRARIES = {
    fastpool: [*NETWORKS, *LAST, *IMAGES],
    torch: [*NETWORKS, *LAST],
    onnxruntime: NETWORKS,
    openvino: NETWORKS,
    opencv: IMAGES,
    scipy: [IMAGES[0], IMAGES[2]],
}
ENTRIES = {
    f"{library.__name__}: {name}": (library, name) for library, names in LIBRARIES.items() for name in names
}


class Rivals(Benchmark):
    """A library beside fastpool on a workload: what it does better shows as a lower row."""

    libraries = True
    params = (list(ENTRIES),)
    param_names = ("entry",)

    @once
    def setup(self, entry):
        library, name = ENTRIES[entry]
        row = WORKLOADS[name]
        self.call = library(row, filled(row.shape, row.dtype))
        self.call()

    def time_forward(self, entry):
        self.call()
