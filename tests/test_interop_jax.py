"""fastpool in JAX: traced calls against plain ones, gradients by finite differences, vmap against loops."""

import os
import subprocess
import sys

import numpy as np
import pytest

import fastpool as fp
from fastpool import threads
from fastpool.operators import OPERATORS

jax = pytest.importorskip("jax")

from jax import numpy as jnp  # noqa: E402

from fastpool.interop import jax as traced  # noqa: E402

pytestmark = pytest.mark.peer

DIFFERENTIABLE = [op for op in OPERATORS if op not in ("mode", "count")]
OPTIONS = {"quantile": {"q": 0.3}, "stochastic": {"rng": 7}}
BOXES = np.array([[0, 0.6, 0.7, 4.2, 3.9], [1, 1.0, 0.0, 3.0, 4.0]], np.float32)
CALLS = {
    "max": lambda m, x: m.max_pool(x, (3, 3), stride=1, padding="same"),
    "axes": lambda m, x: m.avg_pool(x, (2, 3), axes=(-1, 0), ceil_mode=True),
    "array": lambda m, x: m.lp_pool(x, np.array([2, 2]), p=3),
    "adaptive": lambda m, x: m.adaptive_pool(x, "gem", (3, None)),
    "global": lambda m, x: m.global_pool(x, "lse", axes=(1, 3), keepdims=True),
    "fractional": lambda m, x: m.fractional_pool(x, "avg", ratio=0.7, window=2, rng=3),
    "pyramid": lambda m, x: m.pyramid_pool(x, "soft", (1, 3)),
    "mosaic": lambda m, x: m.mosaic(x, 2),
    "regions": lambda m, x: m.roi_pool(x, "max", BOXES, 2),
    "aligned": lambda m, x: m.roi_align(x, BOXES, (2, 3), samples=2),
    "segments": lambda m, x: m.segment_pool(x, np.array([2, 0, 2, 0]), "avg", 4, axis=1, fill=0.5),
    "offsets": lambda m, x: m.segment_pool(x, None, "max", axis=2, offsets=(0, 2, 5)),
}


@pytest.fixture(autouse=True)
def wide():
    jax.config.update("jax_enable_x64", True)  # the context manager does not reach callbacks' threads
    yield
    jax.config.update("jax_enable_x64", False)


def distinct(*shape, dtype=np.float64, seed=0):
    values = np.random.default_rng(seed).permutation(int(np.prod(shape))).reshape(shape)
    return jnp.asarray(values / values.size + 0.1, dtype)


def check_gradient(f, x):
    """The gradient of a jitted function along a few directions."""
    gradient = jax.jit(jax.grad(f))(x)
    for seed in range(3):
        along, step = jax.random.normal(jax.random.key(seed), jnp.shape(x)), 1e-6
        slope = (f(x + step * along) - f(x - step * along)) / (2 * step)
        np.testing.assert_allclose((gradient * along).sum(), slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("op", DIFFERENTIABLE)
def test_gradients_of_jitted_functions_are_those_of_finite_differences(op):
    options, x = OPTIONS.get(op, {}), distinct(2, 3, 6, 6)
    check_gradient(jax.jit(lambda x: (traced.pool(x, op, 2, **options) ** 2).sum()), x)
    check_gradient(jax.jit(lambda x: (traced.adaptive_pool(x, op, 2, **options) ** 2).sum()), x)
    if op != "stochastic":  # which element of a longer axis is drawn depends on all others
        check_gradient(jax.jit(lambda x: (traced.global_pool(x, op, **options) ** 2).sum()), x)


@pytest.mark.parametrize(
    ("op", "name"), [("lp", "p"), ("gem", "p"), ("lse", "r"), ("soft", "beta"), ("mixed", "alpha")]
)
def test_parameters_have_gradients(op, name):
    x = distinct(2, 3, 4, 4)
    check_gradient(jax.jit(lambda v: (traced.pool(x, op, 2, **{name: v}) ** 2).sum()), jnp.float64(0.7))


@pytest.mark.parametrize("call", CALLS)
def test_jit_vmap_and_grad_are_what_the_plain_calls_give(call):
    f, batch = CALLS[call], distinct(3, 2, 4, 5, 6)

    def loss(x):
        return (f(traced, x) ** 2).sum()

    expected = np.stack([f(fp, np.asarray(x)) for x in batch])
    for m in (traced, fp):  # plain calls find out that JAX traces
        np.testing.assert_allclose(jax.jit(jax.vmap(lambda x, m=m: f(m, x)))(batch), expected, rtol=1e-14)
    for result in (jax.vmap(lambda x: f(traced, x)), jax.vmap(lambda x: f(fp, x))):
        np.testing.assert_allclose(result(batch), expected, rtol=1e-14)
    y, pull = fp.vjp(lambda x: f(fp, x), np.asarray(batch[1]))
    gradients = jax.jit(jax.vmap(jax.grad(loss)))(batch)
    np.testing.assert_allclose(gradients[1], pull(2 * y), rtol=1e-12, atol=1e-14)
    plain = jax.grad(lambda x: (f(fp, x) ** 2).sum())(batch[1])
    np.testing.assert_allclose(gradients[1], plain, rtol=1e-12, atol=1e-14)
    assert jax.eval_shape(lambda x: f(fp, x), batch[0]).shape == y.shape


def test_vmap_of_vmap_of_another_axis_and_of_parameters():
    x = distinct(3, 2, 4, 4, 5)
    expected = fp.max_pool(np.asarray(x), (2, 2))
    twice = jax.vmap(jax.vmap(lambda x: traced.max_pool(x, (2, 2)), in_axes=2, out_axes=2))
    moved = jnp.moveaxis(x, 1, 3)
    np.testing.assert_array_equal(jnp.moveaxis(twice(moved), 3, 1), expected)
    powers = jnp.array([1.0, 2.0, 3.5])
    found = jax.vmap(lambda p: traced.gem_pool(x[0], 2, p=p))(powers)
    np.testing.assert_array_equal(found, [fp.gem_pool(np.asarray(x[0]), 2, p=float(p)) for p in powers])


def test_indices_and_unpool():
    x = distinct(2, 3, 4, 6)

    def round_trip(x):
        y, indices = traced.max_pool(x, 2, return_indices=True)
        assert indices.dtype == jnp.int32
        return traced.unpool(y**2, indices, x.shape)

    y, indices = fp.max_pool(np.asarray(x), 2, return_indices=True)
    np.testing.assert_array_equal(jax.jit(round_trip)(x), fp.unpool(y**2, indices, x.shape))
    gradient = jax.jit(jax.grad(lambda x: round_trip(x).sum()))(x)
    np.testing.assert_array_equal(gradient, fp.unpool(2 * y, indices, x.shape))


def test_draws_by_keys_and_seeds():
    x = distinct(2, 3, 8, 8)
    draw = jax.jit(lambda x, key: traced.stochastic_pool(x, 4, rng=key))
    first, again, other = (draw(x, jax.random.key(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    np.testing.assert_array_equal(draw(x, 5), fp.stochastic_pool(np.asarray(x), 4, rng=5))
    both = jax.vmap(lambda x: traced.stochastic_pool(x, 4, rng=5))(jnp.stack([x, x]))
    assert (both[0] == both[1]).all()
    gradient = jax.jit(jax.grad(lambda x: traced.stochastic_pool(x, 4, rng=jax.random.key(1)).sum()))(x)
    assert (x[gradient == 1].sort() == first.ravel().sort()).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "int32", "uint8"])
def test_dtypes(dtype):
    x = (distinct(2, 3, 4, 4) * 100).astype(dtype)
    for op in ("max", "sum"):
        y, expected = jax.jit(lambda x, op=op: traced.pool(x, op, 2))(x), fp.pool(np.asarray(x), op, 2)
        assert y.dtype == expected.dtype
        np.testing.assert_array_equal(y, expected)


def test_integers_without_64_bits():
    jax.config.update("jax_enable_x64", False)
    y = jax.jit(lambda x: traced.sum_pool(x, 2))(jnp.ones((1, 1, 4, 4), "int32"))
    assert (y.dtype, y.max()) == ("int32", 4)


def test_labels():
    labels = jax.random.randint(jax.random.key(0), (2, 3, 4, 4), 0, 3)
    found = jax.jit(lambda x: traced.mode_pool(x, 2, ignore=0))(labels)
    np.testing.assert_array_equal(found, fp.mode_pool(np.asarray(labels), 2, ignore=0))


@pytest.mark.skipif(threads.processors() == 1, reason="JAX's own callbacks wait for ever on one processor")
def test_large_arrays_do_not_wait_for_each_other():
    x = jnp.ones((4, 8, 256, 256), "float32")
    f = jax.jit(jax.grad(lambda x: traced.max_pool(traced.avg_pool(x * 2, 3, stride=1), 2).sum()))
    assert f(x).sum() == f(x + 1).sum()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no way to run on one processor")
@pytest.mark.parametrize("dispatch", ["True", "False"])
def test_one_processor(dispatch):
    """Callbacks of large arrays wait for ever: this is said, and what to do, which helps."""
    side = 2 if dispatch == "True" else 256  # small arrays do not wait
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import jax, jax.numpy as jnp, fastpool as fp, warnings\n"
        f"jax.config.update('jax_cpu_enable_async_dispatch', {dispatch})\n"
        "with warnings.catch_warnings(record=True) as told:\n"
        "    warnings.simplefilter('always')\n"
        f"    y = jax.jit(lambda x: fp.max_pool(x * 2, 2).sum())(jnp.ones((4, 8, {side}, {side})))\n"
        "print([str(each.message) for each in told if 'waits for ever' in str(each.message)], float(y))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert ("waits for ever" in done.stdout) == (dispatch == "True")


def test_refusals():
    x = distinct(1, 1, 4, 4)
    with pytest.raises(ValueError, match="padding must be less than the dilated window, 2 on axis 2"):
        jax.jit(lambda x: traced.max_pool(x, 2, padding=2))(x)
    with pytest.raises(TypeError, match=r"rng must be an integer or a key of jax\.random, got None"):
        traced.stochastic_pool(x, 2)
    for one, name in (
        (lambda x: fp.vjp(fp.max_pool, x, 2)[0], "vjp"),
        (lambda x: fp.pool_backward(x[..., :2, :2], x, "max", 2), "pool_backward"),
    ):
        with pytest.raises(TypeError, match=f"fastpool.{name} takes no arrays that JAX traces"):
            jax.jit(one)(x)
    with pytest.raises(ValueError, match="out must be None"):
        traced.max_pool(x, 2, out=np.empty((1, 1, 2, 2)))
    with pytest.raises(TypeError, match="lp pooling takes no parameter 'r'"):
        traced.pool(x, "lp", 2, r=1)
    with pytest.raises(TypeError, match="missing a required argument: 'window'"):
        traced.max_pool(x)


def test_missing_data_and_weights():
    x = jnp.asarray(np.random.default_rng(0).random((2, 3, 4, 6)))
    where, weights = jnp.arange(6) != 2, jnp.linspace(0.5, 1, 6)

    def f(x, weights):
        return fp.avg_pool(x, 2, where=where, weights=weights, fill=0.0).sum()

    expected, pull = fp.vjp(
        fp.avg_pool, np.asarray(x), 2, where=np.asarray(where), weights=np.asarray(weights)
    )
    gx, slopes = pull(np.ones_like(expected), params=True)
    found = jax.jit(jax.grad(f, (0, 1)))(x, weights)
    np.testing.assert_allclose(found[0], gx, rtol=1e-5)
    np.testing.assert_allclose(found[1], slopes["weights"], rtol=1e-5, atol=1e-6)
    y = jax.jit(lambda x: fp.max_pool(x, 2, skipna=True))(x)
    np.testing.assert_array_equal(y, fp.max_pool(np.asarray(x), 2))
    y = jax.jit(lambda x: fp.area_pool(x, (3, 5)))(x)
    np.testing.assert_allclose(y, fp.area_pool(np.asarray(x), (3, 5)), rtol=1e-6)
