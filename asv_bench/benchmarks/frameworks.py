"""What wrapping costs: the same small pooling by fastpool's own words and by other libraries'."""

from importlib import import_module

import numpy as np

from .common import Benchmark, filled, fp, once

SHAPE = (1, 1, 8, 8)


def numpy_call(x):
    pool = fp.max_pool
    return lambda: pool(x, 2)


def numpy_vjp(x):
    pool, vjp = fp.max_pool, fp.vjp
    gy = np.ones_like(pool(x, 2))
    return lambda: vjp(pool, x, 2)[1](gy)


def compat_torch(x):
    module = import_module("fastpool.compat.torch")
    return lambda: module.max_pool2d(x, 2)


def compat_keras(x):
    layer = import_module("fastpool.compat.keras").MaxPooling2D(data_format="channels_first")
    return lambda: layer(x)


def compat_tensorflow(x):
    module = import_module("fastpool.compat.tensorflow")
    return lambda: module.max_pool2d(x, 2, 2, "VALID", data_format="NCHW")


def tensor(x, *, requires_grad=False):
    return import_module("torch").from_numpy(x.copy()).requires_grad_(requires_grad)


def torch_tensor(x):
    t, pool = tensor(x), fp.max_pool
    return lambda: pool(t, 2)


def torch_recorded(x):
    t, pool = tensor(x, requires_grad=True), fp.max_pool
    return lambda: pool(t, 2)


def torch_layer(x):
    t, layer = tensor(x), import_module("fastpool.interop.torch").MaxPool(2)
    return lambda: layer(t)


def torch_gradient(x):
    torch, t, pool = import_module("torch"), tensor(x, requires_grad=True), fp.max_pool
    gy = torch.ones_like(pool(t, 2))
    return lambda: torch.autograd.grad(pool(t, 2), t, gy)


def torch_compiled(x):
    torch, t, pool = import_module("torch"), tensor(x), fp.max_pool
    compiled = torch.compile(lambda t: pool(t, 2), fullgraph=True, backend="eager")
    return lambda: compiled(t)


def jax_array(x):
    a, pool = import_module("jax.numpy").asarray(x), fp.max_pool
    return lambda: pool(a, 2)


def jax_jitted(x):
    jax, module = import_module("jax"), import_module("fastpool.interop.jax")
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


class Wrapping(Benchmark):
    """Guards dispatch by kind of array: on 64 elements, a call is its checks and conversions."""

    libraries = True
    params = (list(CALLS),)
    param_names = ("call",)

    @once
    def setup(self, call):
        self.call = CALLS[call](filled(SHAPE))
        self.call()

    def time_call(self, call):
        self.call()
