"""fastpool in PyTorch: gradients by finite differences, memory formats, compiled calls, layers, training."""

import copy
import importlib
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastpool as fp
from fastpool.operators import OPERATORS

torch = pytest.importorskip("torch")

from torch._subclasses import FakeTensorMode  # noqa: E402
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402

from fastpool.interop import torch as layers  # noqa: E402

pytestmark = pytest.mark.peer

EXAMPLES = Path(__file__).parents[1] / "examples"
DIFFERENTIABLE = [op for op in OPERATORS if op not in ("mode", "count")]
OPTIONS = {"quantile": {"q": 0.3}, "stochastic": {"rng": 7}}
BOXES = torch.tensor([[0, 0.6, 0.7, 4.2, 3.9], [1, 1.0, 0.0, 3.0, 4.0]], dtype=torch.float64)
IDS = torch.tensor([2, 0, 2])
LINEAR = {  # of avg and sum
    "sliding": lambda x, op: fp.pool(x, op, 3, stride=2, padding=1, ceil_mode=True),
    "other axes": lambda x, op: fp.pool(x, op, (2, 2), axes=(0, -1)),
    "adaptive": lambda x, op: fp.adaptive_pool(x, op, (3, None)),
    "global": fp.global_pool,
    "fractional": lambda x, op: fp.fractional_pool(x, op, 2, window=2, rng=3),
    "pyramid": lambda x, op: fp.pyramid_pool(x, op, (1, 2)),
    "mosaic": lambda x, op: fp.mosaic(x, 2, op),
    "regions": lambda x, op: fp.roi_pool(x, op, BOXES, 2),
    "segments": lambda x, op: fp.segment_pool(x, 2 * torch.arange(x.shape[1]), op, axis=1)[:, ::2],
}
MAX = {
    "sliding": lambda x: fp.max_pool(x, 3, stride=1, padding=1),
    "min": lambda x: fp.min_pool(x, 2),
    "indices": lambda x: fp.max_pool(x, 2, return_indices=True)[0],
    "other axes": lambda x: fp.max_pool(x, (2, 2), axes=(3, 0)),
    "adaptive": lambda x: fp.adaptive_max_pool(x, 3),
    "global": fp.global_max_pool,
    "all axes": lambda x: fp.global_max_pool(x, axes=(0, 1, 2, 3)),
    "drawn": lambda x: fp.stochastic_pool(x, 2, rng=1),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def fresh():
    torch.manual_seed(0)
    torch.compiler.reset()


def distinct(*shape, dtype=torch.float64):
    """Positive values that differ by more than a step of the finite differences."""
    values = torch.randperm(int(np.prod(shape))).reshape(shape)
    return (values / values.numel() + 0.1).to(dtype).requires_grad_()


def compiled(f, **options):
    return torch.compile(f, fullgraph=True, backend="aot_eager", **options)


# Gradients -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", DIFFERENTIABLE)
def test_gradients_are_those_of_finite_differences(op):
    options, x = OPTIONS.get(op, {}), distinct(2, 2, 4, 5)
    assert gradcheck(lambda x: fp.pool(x, op, 2, stride=1, **options), x)
    if op == "stochastic":
        assert gradcheck(lambda x: fp.stochastic_pool(x, 2, training=False), x)
        return  # which element of a longer axis is drawn depends on all others
    assert gradcheck(lambda x: fp.adaptive_pool(x, op, 3, **options), x)
    assert gradcheck(lambda x: fp.global_pool(x, op, **options), x)


@pytest.mark.parametrize("op", ["avg", "sum"])
@pytest.mark.parametrize("form", LINEAR)
def test_linear_operators_have_second_derivatives(form, op):
    x, f = distinct(2, 2, 5, 5), LINEAR[form]
    assert gradcheck(lambda x: f(x, op), x)
    assert gradgradcheck(lambda x: f(x, op), x)


def test_roi_align_and_unpool_have_second_derivatives():
    x = distinct(2, 2, 5, 5)
    assert gradcheck(lambda x: fp.roi_align(x, BOXES, 2), x)
    assert gradgradcheck(lambda x: fp.roi_align(x, BOXES, 2), x)
    assert gradcheck(lambda x: fp.roi_align(x, BOXES, 2, op="max"), x)
    y, indices = fp.max_pool(x.detach(), 2, return_indices=True)
    assert gradgradcheck(lambda y: fp.unpool(y, indices, (5, 5)), y.requires_grad_())


@pytest.mark.parametrize("call", MAX)
def test_chosen_elements_have_derivatives_for_the_gradient(call):
    assert gradgradcheck(MAX[call], distinct(2, 2, 4, 4))


@pytest.mark.parametrize(
    ("op", "name"), [("lp", "p"), ("gem", "p"), ("lse", "r"), ("soft", "beta"), ("mixed", "alpha")]
)
def test_parameters_have_gradients(op, name):
    x, value = distinct(1, 2, 4, 4), torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x, v: fp.pool(x, op, 2, **{name: v}), (x, value))
    assert gradcheck(lambda v: fp.pyramid_pool(x.detach(), op, (1, 2), **{name: v}), value)


def test_second_derivatives_that_are_not_there_say_so():
    x = distinct(1, 1, 4, 4)
    (gx,) = torch.autograd.grad(fp.lse_pool(x, 2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"lse pooling \(pool\) has no second derivative"):
        gx.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("op", ["max", "avg", "soft"])
def test_sixteen_bits(op, dtype):
    if dtype == torch.bfloat16:
        pytest.importorskip("ml_dtypes")
    x = distinct(2, 3, 4, 6, dtype=dtype)
    wide = x.detach().double().requires_grad_()
    y, expected = fp.pool(x, op, 2), fp.pool(wide, op, 2)
    y.sum().backward()
    expected.sum().backward()
    assert y.dtype == x.grad.dtype == dtype
    torch.testing.assert_close(y.double(), expected, rtol=0.01, atol=0)
    torch.testing.assert_close(x.grad.double(), wide.grad, rtol=0.01, atol=0.01)


def test_what_is_recorded_and_what_is_not():
    x = distinct(1, 1, 4, 4)
    y, indices = fp.max_pool(x, 2, return_indices=True)
    assert y.requires_grad
    assert not indices.requires_grad
    with torch.no_grad():
        assert not fp.max_pool(x, 2).requires_grad
        assert fp.gem_pool(x, 2, p=torch.tensor(2.0, requires_grad=True)).equal(fp.gem_pool(x, 2, p=2))
    assert not fp.max_pool(x.detach(), 2).requires_grad
    y, pull = fp.vjp(fp.max_pool, x, 2)
    assert not y.requires_grad
    assert pull(torch.ones_like(y)).sum() == 4


def test_a_gradient_twice_and_an_input_changed_in_between():
    x = distinct(1, 1, 4, 4)
    y = fp.stochastic_pool(x, 2).sum()
    (first,) = torch.autograd.grad(y, x, retain_graph=True)
    (again,) = torch.autograd.grad(y, x)
    assert first.equal(again)
    assert first.sum() == 4
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    changed = x * 1
    y = fp.max_pool(changed, 2).sum()
    changed += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_what_backward_reads_is_pytorchs_to_watch():
    layer = layers.MaxPool(2, return_indices=True)
    for f in (lambda x: fp.max_pool(x, 2, return_indices=True), layer, compiled(layer)):
        for layout in (torch.contiguous_format, torch.channels_last):
            x = distinct(2, 3, 4, 4).detach().contiguous(memory_format=layout).requires_grad_()
            recorded = f is not layer and isinstance(f, torch.nn.Module)  # compiled calls start anew from x
            y, indices = f(x)
            indices.fill_(2**30)
            if recorded:
                y.sum().backward()
                assert x.grad.sum() == 24
            else:
                with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                    y.sum().backward()
            changed = x * 1
            y, indices = f(changed)
            changed += 1
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                y.sum().backward()
            if not recorded:
                y, indices = f(x)
                y.relu_().sum().backward()  # the result is nobody's but the user's
                assert x.grad.sum() == 24
    y, indices = fp.max_pool(distinct(1, 1, 4, 4), 2, return_indices=True)
    z = fp.unpool(y, indices, (4, 4))
    indices += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_the_seed_of_torch_governs_draws():
    x = distinct(2, 3, 8, 8)
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(fp.stochastic_pool(x, 4))
    assert draws[0].equal(draws[1])
    assert not draws[0].equal(draws[2])
    generator = np.random.default_rng(0)
    drawn, again = (fp.stochastic_pool(x, 4, rng=generator) for _ in range(2))
    assert not drawn.equal(again)


def test_refusals():
    x = distinct(1, 1, 4, 4)
    with pytest.raises(ValueError, match="out must be None"):
        fp.max_pool(x, 2, out=torch.empty(1, 1, 2, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="p must be a number above 0, got -1"):
        fp.lp_pool(x, 2, p=torch.tensor(-1.0))
    with pytest.raises(TypeError, match=r"one kind, got x of torch\.Tensor on the CPU and boxes of numpy"):
        fp.roi_align(x, BOXES.numpy(), 2)
    with pytest.raises(ValueError, match="learnable is for the operators lp, gem, lse, soft, mixed"):
        layers.MaxPool(2, learnable=True)


# Memory formats ------------------------------------------------------------------------------------------

FORMATS = {
    "max": lambda x: fp.max_pool(x, 3, stride=2, padding=1),
    "axes": lambda x: fp.avg_pool(x, (2, 3), axes=(-1, 2)),
    "channels": lambda x: fp.max_pool(x, 2, axes=(1, 2)),
    "adaptive": lambda x: fp.adaptive_pool(x, "gem", 3),
    "mosaic": lambda x: fp.mosaic(x, 2),
    "drawn": lambda x: fp.stochastic_pool(x, 2, rng=5),
}


@pytest.mark.parametrize("call", FORMATS)
@pytest.mark.parametrize("recorded", [True, False])
def test_channels_last_is_kept(call, recorded):
    f, first = FORMATS[call], distinct(2, 4, 6, 6)
    last = first.detach().contiguous(memory_format=torch.channels_last).requires_grad_(recorded)
    y, expected = f(last), f(first)
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, expected, rtol=1e-14, atol=0)
    if recorded:
        gy = torch.randn_like(expected)
        y.backward(gy)
        expected.backward(gy)
        assert last.grad.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(last.grad, first.grad, rtol=1e-14, atol=1e-14)


def test_channels_last_indices_and_volumes():
    x = distinct(2, 3, 4, 4, 4).detach().contiguous(memory_format=torch.channels_last_3d)
    y, indices = fp.max_pool(x, 2, return_indices=True)
    expected, where = torch.nn.functional.max_pool3d(x, 2, return_indices=True)
    assert y.equal(expected)
    assert indices.equal(where.int())
    assert indices.is_contiguous(memory_format=torch.channels_last_3d)


# Transformations and tracers ------------------------------------------------------------------------------

SMALL = {
    "max": lambda x: fp.max_pool(x, (2, 2)),
    "average": lambda x: fp.avg_pool(x, (3, 2), axes=(-1, 0)),
    "indices": lambda x: fp.max_pool(x, (2, 2), return_indices=True)[0],
    "whole": lambda x: fp.global_pool(x, "max", axes=(1, 2)),
    "adaptive": lambda x: fp.adaptive_pool(x, "min", (3, None)),
    "drawn": lambda x: fp.stochastic_pool(x, (2, 2), rng=1),
    "mosaic": lambda x: fp.mosaic(x, (2, 2)),
    "regions": lambda x: fp.roi_align(x[None], BOXES[:1], 2),
    "round trip": lambda x: fp.unpool(*fp.max_pool(x, (2, 2), return_indices=True), x.shape),
}


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch.func.jvp uses it
@pytest.mark.parametrize("call", SMALL)
def test_transformations(call):
    f, batch = SMALL[call], distinct(2, 2, 4, 4).detach()
    vmap, func = torch.func.vmap, torch.func
    torch.testing.assert_close(vmap(f)(batch), torch.stack([f(x) for x in batch]))
    moved = vmap(f, in_dims=2, out_dims=1)(batch.movedim(0, 2))
    torch.testing.assert_close(moved, torch.stack([f(x) for x in batch], 1))
    twice = vmap(vmap(f))(torch.stack([batch, batch]))
    torch.testing.assert_close(twice, torch.stack([vmap(f)(batch)] * 2))

    def loss(x):
        return (f(x) ** 2).sum()

    each = torch.stack([torch.autograd.functional.jacobian(loss, x) for x in batch])
    torch.testing.assert_close(vmap(func.grad(loss))(batch), each)
    torch.testing.assert_close(func.grad(lambda x: (vmap(f)(x) ** 2).sum())(batch), each)
    backward = func.jacrev(f)(batch[0])
    torch.testing.assert_close(torch.autograd.functional.jacobian(f, batch[0]), backward)
    if call not in ("regions", "round trip"):
        torch.testing.assert_close(func.jacfwd(f)(batch[0]), backward)
        twice = torch.autograd.functional.hessian(loss, batch[0])
        torch.testing.assert_close(func.hessian(loss)(batch[0]), twice)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(batch[0], batch[1])
        change = torch.autograd.forward_ad.unpack_dual(f(dual)).tangent
        torch.testing.assert_close(change, torch.einsum("...abc,abc->...", backward, batch[1]))


def test_transformations_of_parameters():
    x, p = distinct(2, 4, 4).detach(), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)

    def f(x, p):
        return (fp.gem_pool(x, (2, 2), p=p) ** 2).sum()

    expected = torch.stack([f(x, each) for each in p])
    torch.testing.assert_close(torch.func.vmap(f, (None, 0))(x, p), expected)
    slopes = torch.func.vmap(torch.func.grad(f, 1), (0, None))(x, p[1])
    expected = [torch.func.grad(f, 1)(each, p[1]) for each in x]
    torch.testing.assert_close(slopes, torch.stack(expected))
    drawn = torch.func.vmap(lambda x: fp.stochastic_pool(x, (2, 2)), randomness="different")
    assert not torch.equal(*drawn(torch.stack([x, x])))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_what_transformations_do_not_take():
    x = distinct(2, 4, 4).detach()
    with pytest.raises(RuntimeError, match=r"lse pooling \(pool\) has no forward-mode derivative"):
        torch.func.jvp(lambda x: fp.lse_pool(x, (2, 2)), (x,), (x,))
    p = torch.tensor(2.0)
    with pytest.raises(RuntimeError, match="pool has forward-mode derivatives for x alone, not for p"):
        torch.func.jvp(lambda p: fp.gem_pool(x, (2, 2), p=p), (p,), (p,))
    with pytest.raises(TypeError, match=r"fastpool\.vjp takes plain tensors"):
        torch.func.vmap(lambda x: fp.vjp(fp.max_pool, x, (2, 2))[0])(x)
    for f in (torch.func.vmap, compiled):
        with pytest.raises(Exception, match=r"fastpool\.pool_backward takes plain tensors"):
            f(lambda x: fp.pool_backward(x[..., :2, :2], x, "max", (2,), axes=-1))(x)


def test_tensors_without_memory_and_tracers():
    x = distinct(2, 3, 4, 4).detach().contiguous(memory_format=torch.channels_last)

    def f(x):
        y, indices = fp.max_pool(x, 3, stride=1, return_indices=True)
        return y * 2, indices

    y, indices = f(x)
    for empty in (f(x.to("meta")), f(FakeTensorMode().from_tensor(x))):
        for one, other in zip(empty, (y, indices), strict=True):
            assert (one.shape, one.dtype, one.stride()) == (other.shape, other.dtype, other.stride())
    other, vmap = torch.randn_like(x), torch.func.vmap
    assert make_fx(f)(x)(other)[0].equal(f(other)[0])  # a graph, and no constant
    assert make_fx(vmap(f))(x[None])(other[None])[0][0].equal(f(other)[0])

    class Own(torch.Tensor):
        pass

    assert type(f(x.as_subclass(Own))[0]) is Own
    with pytest.raises(TypeError, match=r"fastpool\.vjp takes plain tensors"):
        fp.vjp(fp.max_pool, x.to("meta"), 2)


# Compiled calls ------------------------------------------------------------------------------------------


def loss_and_gradients(f, x, parameters=()):
    y = f(x)
    loss = ((y[0] if isinstance(y, tuple) else y) ** 2).sum()
    return loss, *torch.autograd.grad(loss, [x, *parameters])


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("form", ["pool", "adaptive_pool", "global_pool"])
def test_compiled_calls_do_not_break_the_graph(form, op):
    options = {"quantile": {"q": 0.3}}.get(op, {})
    lengths = {"global_pool": ()}.get(form, (2,))

    def f(x):
        return getattr(fp, form)(x, op, *lengths, **options)

    if op in ("mode", "count"):
        labels = torch.randint(0, 3, (2, 3, 4, 4))
        assert compiled(f)(labels).equal(f(labels))
        return
    x = distinct(2, 3, 4, 4)
    torch.manual_seed(1)
    expected = loss_and_gradients(f, x)
    torch.manual_seed(1)
    for one, other in zip(loss_and_gradients(compiled(f), x), expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("op", DIFFERENTIABLE)
@pytest.mark.parametrize("channels_last", [False, True])
def test_what_is_left_out_and_weights_have_gradients(op, channels_last):
    x = distinct(2, 3, 4, 6).detach()
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    where = torch.rand(4, 6, generator=torch.Generator().manual_seed(1)) < 0.7
    options = OPTIONS.get(op, {}) | {"where": where, "fill": 0.0}
    assert gradcheck(lambda x: fp.pool(x, op, 2, **options), (x,))
    if op in ("avg", "sum"):
        weights = torch.rand(6, dtype=torch.float64, requires_grad=True)
        assert gradcheck(lambda x, w: fp.pool(x, op, 2, weights=w, **options), (x, weights))


def test_missing_data_in_compiled_and_batched_calls():
    x, where = distinct(2, 3, 4, 6), torch.ones(2, 3, 4, 6, dtype=torch.bool)
    where[..., :3] = False

    def f(x, where):
        return fp.max_pool(x, 2, where=where, fill=-1.0)

    for one, other in zip(
        loss_and_gradients(lambda x: compiled(f)(x, where), x),
        loss_and_gradients(lambda x: f(x, where), x),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
    batched = torch.func.vmap(lambda x, where: fp.max_pool(x, (2, 2), where=where, fill=-1.0))
    torch.testing.assert_close(batched(x.detach(), where), f(x.detach(), where))
    assert fp.count_pool(x, 2, where=where).dtype == torch.int64
    area = compiled(lambda x: fp.area_pool(x, (3, 5)))
    torch.testing.assert_close(area(x.detach()), fp.area_pool(x.detach(), (3, 5)))


COMPILED = {
    "named function": lambda x: fp.max_pool(x * 2, 2) + 1,
    "indices": lambda x: fp.max_pool(x, 2, return_indices=True),
    "round trip": lambda x: fp.unpool(*fp.max_pool(x, 2, return_indices=True), x.shape),
    "pyramid": lambda x: fp.pyramid_pool(x, "max"),
    "fractional": lambda x: fp.fractional_pool(x, "avg", ratio=0.7, window=2, rng=3),
    "mosaic": lambda x: fp.mosaic(x, (3, 2), "gem"),
    "regions": lambda x: fp.roi_pool(x, "max", BOXES, 2),
    "aligned": lambda x: fp.roi_align(x, BOXES, (2, 3)),
    "segments": lambda x: fp.segment_pool(x, IDS, "max", 4, axis=1, fill=0.0),
    "offsets": lambda x: fp.segment_pool(x, None, "lse", axis=2, offsets=(0, 1, 5)),
    "all axes": lambda x: fp.global_pool(x, "lse", axes=(0, 1, 2, 3)),
    "infinite": lambda x: fp.lp_pool(x, (2, 2), p=float("inf")),
}


@pytest.mark.parametrize("call", COMPILED)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_more_compiled_calls(call, layout):
    f = COMPILED[call]
    x = distinct(2, 3, 5, 6).detach().contiguous(memory_format=layout).requires_grad_()
    for one, other in zip(loss_and_gradients(compiled(f), x), loss_and_gradients(f, x), strict=True):
        torch.testing.assert_close(one, other)
        assert one.stride() == other.stride()


@pytest.mark.parametrize("call", ["max", "regions", "round trip"])
def test_a_compiled_vmap(call):
    f, batch = SMALL[call], distinct(2, 2, 4, 4).detach()
    torch.testing.assert_close(compiled(torch.func.vmap(f))(batch), torch.func.vmap(f)(batch))


def test_a_compiled_function_takes_batches_of_any_length():
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    f = torch.compile(lambda x: fp.avg_pool(x, 2) * 2, fullgraph=True, backend=counter, dynamic=True)
    for n in (2, 3, 5):
        x = distinct(n, 3, 4, 4)
        assert f(x).equal(fp.avg_pool(x, 2) * 2)
    assert counter.frame_count == 1


def test_a_wrong_argument_is_found_while_compiling():
    with pytest.raises(Exception, match="padding must be less than the dilated window, 2 on axis 2"):
        compiled(lambda x: fp.max_pool(x, 2, padding=2))(distinct(1, 1, 4, 4))


def test_pytorch_finds_nothing_wrong_with_the_operator():
    text = layers.calls.written("pool", ("x",), {"op": "max", "window": [2, 2], "return_indices": True})
    base = distinct(2, 3, 6, 6).detach()
    for x in (base, base.contiguous(memory_format=torch.channels_last), base.transpose(2, 3)):
        torch.library.opcheck(torch.ops.fastpool.call.default, ([x.clone().requires_grad_()], text))


@pytest.mark.skipif(not shutil.which("g++"), reason="inductor needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inductor imports what it deprecates
def test_inductor_compiles_a_model():
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), layers.GemPool(2, learnable=True))
    x = distinct(2, 1, 6, 6, dtype=torch.float32)

    def f(x):
        return model(x).clamp(min=0)

    expected = loss_and_gradients(f, x, model.parameters())
    found = loss_and_gradients(torch.compile(f, fullgraph=True), x, model.parameters())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


# Layers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("form", ["", "Adaptive", "Global"])
def test_layers_of_every_operator(form, op):
    layer_of = getattr(layers, f"{form}{op.capitalize()}Pool")
    assert layer_of.__name__ == f"{form}{op.capitalize()}Pool"
    options = {"quantile": {"q": 0.3}, "stochastic": {"rng": 4}}.get(op, {})
    lengths, function = (() if form == "Global" else (2,)), f"{form.lower()}_pool".strip("_")
    layer, x = layer_of(*lengths, **options), distinct(2, 3, 6, 6).detach()
    x = (x * 9).int() if op == "mode" else x
    expected = getattr(fp, function)(x, op, *lengths, **options)
    for own in (layer, pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert own(x).equal(expected)
    assert f"op='{op}'" in repr(layer)


@pytest.mark.parametrize(
    ("layer", "name", "value"),
    [
        (layers.LpPool(2, p=3, learnable=True), "p", 3),
        (layers.GemPool(2, learnable=True), "p", 3),
        (layers.LsePool(2, r=0.5, learnable=True), "r", 0.5),
        (layers.AdaptiveSoftPool(2, learnable=True), "beta", 1),
        (layers.GlobalMixedPool(alpha=0.25, learnable=True), "alpha", 0.25),
    ],
)
def test_parameters_are_learned(layer, name, value):
    assert [(found, p.item()) for found, p in layer.named_parameters()] == [(name, value)]
    x = distinct(2, 3, 4, 4, dtype=torch.float32)
    before = layer(x).square().mean()
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1)
    before.backward()
    optimiser.step()
    assert getattr(layer, name).item() != value
    assert layer(x).square().mean() < before
    eager = loss_and_gradients(layer, x, layer.parameters())
    for one, other in zip(loss_and_gradients(compiled(layer), x, layer.parameters()), eager, strict=True):
        torch.testing.assert_close(one, other)


def test_alpha_is_clipped_and_comes_back():
    layer, x = layers.MixedPool(2, alpha=1.5, learnable=True), distinct(1, 1, 4, 4)
    y = layer(x)
    assert y.equal(fp.max_pool(x, 2))
    y.sum().backward()
    assert layer.alpha.grad > 0


def test_stochastic_layers_draw_while_they_train():
    layer, x = layers.StochasticPool(4), distinct(2, 3, 8, 8)
    assert not layer(x).equal(layer(x))
    layer.eval()
    assert layer(x).equal(fp.stochastic_pool(x, 4, training=False))


def test_other_functions_as_layers():
    x = distinct(2, 3, 6, 6)
    align = layers.Layer("roi_align", output_size=2)
    assert align(x, boxes=BOXES).equal(fp.roi_align(x, BOXES, 2))
    assert layers.Layer("pyramid_pool", op="max", levels=(1, 3))(x).shape == (2, 30)
    assert repr(layers.Layer("mosaic", cell=2)) == "Layer('mosaic', cell=2)"


# What the documents say ----------------------------------------------------------------------------------


def test_a_plain_import_brings_neither_torch_nor_jax():
    code = "import sys, fastpool, fastpool.interop.calls; print({'torch', 'jax'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# A model -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    """The example, a network with two pooling layers."""
    pytest.importorskip("sklearn")
    sys.path.insert(0, str(EXAMPLES))
    yield importlib.import_module("digits_torch")
    sys.path.pop(0)


def accuracy(digits, first, second):
    torch.manual_seed(3)
    return digits.accuracy(digits.network(first, second), steps=200)


def test_a_network_learns_digits_as_with_torchs_own_layers(digits):
    own = accuracy(digits, torch.nn.MaxPool2d(2), torch.nn.AdaptiveAvgPool2d(2))
    ours = accuracy(digits, layers.MaxPool(2), layers.AdaptiveAvgPool(2))
    assert own > 85
    assert abs(ours - own) <= 1


def test_a_network_learns_digits_with_learnable_layers(digits):
    first = layers.GemPool(2, learnable=True)
    assert accuracy(digits, first, layers.AdaptiveMixedPool(2, learnable=True)) > 85
    assert first.p.item() != 3


def test_a_network_of_numpy_arrays_learns_digits_with_kerass_layers():
    pytest.importorskip("sklearn")
    command = [sys.executable, str(EXAMPLES / "digits_keras_style.py"), "--steps", "120"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout.split()[-2]) > 80
