"""Arrays of other libraries: taken, given back, and refused by a sentence that says what is missing."""

import subprocess
import sys
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from numba import config

import fastpool as fp
from fastpool import kinds

X = np.random.default_rng(0).normal(size=(1, 2, 6, 8)).astype(np.float32)


class Pointed:
    """An array on a GPU of a library that nobody knows."""

    @property
    def __cuda_array_interface__(self):
        return {"shape": (1, 1, 4, 4), "typestr": "<f4", "data": (512, False), "version": 3}


@pytest.mark.skipif(not kinds.cuda_problem(), reason="CUDA arrays are taken here")
def test_cuda_arrays_name_the_extra_that_they_need():
    with pytest.raises(ImportError, match=r'pip install "fastpool\[cuda\]"'):
        fp.max_pool(Pointed(), 2)
    with pytest.raises(ImportError, match=r"fastpool\[cuda\]"):
        fp.vjp(fp.max_pool, Pointed(), 2)


def test_nothing_of_cuda_is_imported_for_arrays_on_the_host():
    code = (
        "import sys, numpy as np, fastpool as fp\n"
        "y, pull = fp.vjp(fp.max_pool, np.ones((1, 1, 4, 4)), 2); pull(y)\n"
        "found = [name for name in sys.modules if name.startswith(('fastpool.cuda', 'numba.cuda', 'cupy'))]\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_things_are_no_arrays():
    for wrong in ([[1.0]], 3.0, "abc", None, object()):
        with pytest.raises(TypeError, match="x must be an array"):
            fp.max_pool(wrong, 2)


@pytest.mark.peer
def test_tensors_come_back_as_tensors():
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(X)
    y, indices = fp.max_pool(x, 2, return_indices=True)
    assert isinstance(y, torch.Tensor)
    assert indices.dtype == torch.int32
    np.testing.assert_array_equal(y.numpy(), fp.max_pool(X, 2))
    half = x.to(torch.bfloat16)
    assert fp.avg_pool(half, 2).dtype == torch.bfloat16
    out = torch.empty(1, 2, 3, 4)
    assert fp.max_pool(x, 2, out=out) is out
    y, pull = fp.vjp(fp.gem_pool, x, 2)
    gx, slopes = pull(torch.ones_like(y), params=True)
    assert gx.shape == x.shape
    assert isinstance(slopes["p"], float)
    with pytest.raises(TypeError, match=r"got x of torch\.Tensor on the CPU and out of numpy\.ndarray"):
        fp.max_pool(x, 2, out=np.empty((1, 2, 3, 4), np.float32))
    with pytest.raises(TypeError, match=r"dense torch\.Tensor"):
        fp.max_pool(x.to_sparse(), 2)


# Subclasses of ndarray ------------------------------------------------------------------------------------


class Measured(np.ndarray):
    """An array with a unit, which NumPy's own protocol carries on."""

    unit = None

    def __array_finalize__(self, other):
        self.unit = getattr(other, "unit", None)


def measured(values, unit="m"):
    array = np.asarray(values).view(Measured)
    array.unit = unit
    return array


def is_measured(array, values, unit="m"):
    assert (type(array), array.unit) == (Measured, unit)
    np.testing.assert_array_equal(np.asarray(array), values)


def test_units_are_kept_forward_and_backward():
    x, boxes = measured(X), np.array([[0, 0, 0, 4.0, 4]])
    calls = {
        fp.max_pool: (2,),
        fp.avg_pool: ((2, 2),),
        fp.median_pool: (2,),
        fp.adaptive_pool: ("max", 2),
        fp.global_pool: ("avg",),
        fp.fractional_pool: ("max", 2),
        fp.pyramid_pool: ("max",),
        fp.mosaic: (2,),
        fp.roi_pool: ("max", boxes, 2),
        fp.roi_align: (boxes, 2),
    }
    for f, given in calls.items():
        options = {"window": 2, "rng": 1} if f is fp.fractional_pool else {}
        expected = f(X, *given, **options)
        is_measured(f(x, *given, **options), expected)
    is_measured(fp.max_pool(x=x, window=2), fp.max_pool(X, 2))
    y, indices = fp.max_pool(x, 2, return_indices=True)
    is_measured(y, fp.max_pool(X, 2))
    assert type(indices) is np.ndarray
    is_measured(fp.unpool(y, indices, X.shape), fp.unpool(np.asarray(y), indices, X.shape))
    # A gradient has the unit of what it is given: that of the loss over the result's, which is x's.
    gy = measured(y, "J/m")
    expected = fp.pool_backward(np.asarray(y), X, "max", 2)
    is_measured(fp.pool_backward(gy, x, "max", 2), expected, "J/m")
    is_measured(fp.pool_backward(gy, X, "max", 2), expected, "J/m")
    assert type(fp.pool_backward(np.asarray(y), x, "max", 2)) is np.ndarray
    for source in (x, X):
        pull = fp.vjp(fp.max_pool, source, 2)[1]
        is_measured(pull(gy), expected, "J/m")
        assert type(pull(np.asarray(y))) is np.ndarray


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_other_subclasses():
    for one in (np.matrix(X[0, 0]), X[0, 0].view(np.recarray)):
        y = fp.max_pool(one, (2, 2))
        assert type(y) is type(one)
        np.testing.assert_array_equal(np.asarray(y), fp.max_pool(X[0, 0], (2, 2)))


def test_memory_maps_are_plain_arrays(tmp_path):
    x = np.memmap(tmp_path / "x", X.dtype, "w+", shape=X.shape)
    x[...] = X
    out = np.memmap(tmp_path / "y", X.dtype, "w+", shape=(1, 2, 3, 4))
    assert fp.max_pool(x, 2, out=out) is out
    y, pull = fp.vjp(fp.max_pool, x, 2)
    assert type(y) is type(pull(y)) is np.ndarray
    np.testing.assert_array_equal(y, out)
    np.testing.assert_array_equal(pull(out), pull(y))


def test_what_a_subclass_would_lose_is_refused():
    x = measured(X)
    y = fp.max_pool(X, 2)
    with pytest.raises(TypeError, match=r"out must be None for .*Measured, whose class makes the result"):
        fp.max_pool(x, 2, out=np.empty_like(y))
    y, pull = fp.vjp(fp.lp_pool, x, 2)
    for gy in (y, np.asarray(y)):
        with pytest.raises(TypeError, match=r"params must be False for .*Measured"):
            pull(gy, params=True)


@pytest.mark.peer
def test_units_of_astropy():
    units = pytest.importorskip("astropy.units")
    y = fp.avg_pool(X * units.m, 2)
    assert y.unit == units.m
    np.testing.assert_array_equal(y.value, fp.avg_pool(X, 2))
    assert fp.vjp(fp.avg_pool, X * units.m, 2)[1](y / units.s).unit == units.m / units.s


@pytest.mark.peer
def test_units_of_pint():
    pint = pytest.importorskip("pint")
    with pytest.raises(TypeError, match=r"x must be an array .*got pint"):
        fp.avg_pool(pint.Quantity(X, "m"), 2)


# Libraries of GPU arrays, as far as they can be played without them --------------------------------------


class PlayedArray:
    """What CuPy's arrays tell of themselves, of memory of the host."""

    def __init__(self, held):
        self.held, self.shape, self.strides, self.dtype = held, held.shape, held.strides, held.dtype
        self.data, self.device = SimpleNamespace(ptr=held.ctypes.data), SimpleNamespace(id=0)


PlayedArray.__module__ = "cupy._core"


@pytest.mark.cuda
@pytest.mark.skipif(not config.ENABLE_CUDASIM, reason="plays a library for the simulator")
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")
def test_cupy(monkeypatch):
    cupy = ModuleType("cupy")
    cupy.ndarray = PlayedArray
    cupy.empty = lambda shape, dtype: PlayedArray(np.empty(shape, dtype))
    cupy.cuda = SimpleNamespace(get_current_stream=lambda: SimpleNamespace(ptr=0), Device=nullcontext)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    for held in (X, np.asfortranarray(X), X[:, ::-1, :, ::2]):
        y, pull = fp.vjp(fp.avg_pool, PlayedArray(held), 2)
        assert isinstance(y, PlayedArray)
        np.testing.assert_allclose(y.held, fp.avg_pool(held, 2), rtol=1e-6)
        gx = pull(y)
        np.testing.assert_allclose(gx.held, fp.vjp(fp.avg_pool, held, 2)[1](y.held), rtol=1e-6)
    with pytest.raises(TypeError, match=r"got x of cupy\.ndarray and out of numpy\.ndarray"):
        fp.max_pool(PlayedArray(X), 2, out=np.empty((1, 2, 3, 4), np.float32))
