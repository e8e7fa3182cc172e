"""What wrapping costs: the same pooling by fastpool's own words and by other libraries'; call x elements."""

import importlib

import numpy as np

import fastpool as fp

SHAPES = {"64": (1, 1, 8, 8), "100k": (1, 8, 112, 112)}


def numpy_call(x):
    return lambda: fp.max_pool(x, 2)


def numpy_vjp(x):
    gy = np.ones_like(fp.max_pool(x, 2))
    return lambda: fp.vjp(fp.max_pool, x, 2)[1](gy)


def compat_torch(x):
    module = importlib.import_module("fastpool.compat.torch")
    return lambda: module.max_pool2d(x, 2)


def compat_keras(x):
    layer = importlib.import_module("fastpool.compat.keras").MaxPooling2D(data_format="channels_first")
    return lambda: layer(x)


def compat_tensorflow(x):
    module = importlib.import_module("fastpool.compat.tensorflow")
    return lambda: module.max_pool2d(x, 2, 2, "VALID", data_format="NCHW")


def tensor(x, *, requires_grad=False):
    return importlib.import_module("torch").from_numpy(x.copy()).requires_grad_(requires_grad)


def torch_tensor(x):
    t = tensor(x)
    return lambda: fp.max_pool(t, 2)


def torch_recorded(x):
    t = tensor(x, requires_grad=True)
    return lambda: fp.max_pool(t, 2)


def torch_layer(x):
    t, layer = tensor(x), importlib.import_module("fastpool.interop.torch").MaxPool(2)
    return lambda: layer(t)


def torch_gradient(x):
    torch, t = importlib.import_module("torch"), tensor(x, requires_grad=True)
    gy = torch.ones_like(fp.max_pool(t, 2))
    return lambda: torch.autograd.grad(fp.max_pool(t, 2), t, gy)


def torch_compiled(x):
    torch, t = importlib.import_module("torch"), tensor(x)
    compiled = torch.compile(lambda t: fp.max_pool(t, 2), fullgraph=True, backend="eager")
    return lambda: compiled(t)


def jax_array(x):
    a = importlib.import_module("jax.numpy").asarray(x)
    return lambda: fp.max_pool(a, 2)


def jax_jitted(x):
    jax, module = importlib.import_module("jax"), importlib.import_module("fastpool.interop.jax")
    a, jitted = jax.numpy.asarray(x), jax.jit(lambda a: module.max_pool(a, 2))
    return lambda: jitted(a).block_until_ready()


CALLS = {
    call.__name__: call
    for call in (
        numpy_call,
        numpy_vjp,
        compat_torch,
        compat_keras,
        compat_tensorflow,
        torch_tensor,
        torch_recorded,
        torch_layer,
        torch_gradient,
        torch_compiled,
        jax_array,
        jax_jitted,
    )
}


class Wrapping:
    """A call whose library is absent is skipped."""

    params = (list(CALLS), list(SHAPES))
    param_names = ("call", "elements")
    timeout = 120

    def setup(self, call, elements):
        x = np.random.default_rng(7).standard_normal(SHAPES[elements]).astype(np.float32)
        try:
            self.call = CALLS[call](x)
        except ImportError as error:
            raise NotImplementedError(str(error)) from None
        self.call()

    def time_call(self, call, elements):
        self.call()
