"""Bad input of the operators and forms beyond sliding windows, by type and by the argument the message names.

The numbers are the rows of the peers' bad-input list (reference/peers.md section 4).
"""

import numpy as np
import pytest

import fastpool as fp
from fastpool import random

X = np.arange(72.0).reshape(1, 2, 6, 6)
NAN, INF = float("nan"), float("inf")
BOX = np.array([[0, 0.0, 0, 3, 3]])
SAMPLES = np.full((1, 2, 2), 0.5)


def rejects(call, names, error=ValueError):
    """A call that must fail with a message that names an argument."""
    return pytest.param(call, error, rf"\b{names}\b")


def op(name, argument, error=ValueError, x=X, **options):
    return rejects(lambda: fp.pool(x, name, 2, **options), argument, error)


def fractional(names, error=ValueError, x=X, size=None, **options):
    return rejects(lambda: fp.fractional_pool(x, "max", size, **options), names, error)


def torchs(names, error=ValueError, x=X, size=(3, 3), **options):
    return fractional(names, error, x, size, **{"window": 2, **options})


def tensorflows(names, error=ValueError, x=X, **options):
    return fractional(names, error, x, **{"scheme": "pseudo", **options})


def boxes(given, names="boxes", error=ValueError, x=X, size=2, **options):
    return rejects(lambda: fp.roi_pool(x, "max", given, size, **options), names, error)


def aligned(given, names="boxes", error=ValueError, x=X, size=2, **options):
    return rejects(lambda: fp.roi_align(x, given, size, **options), names, error)


def box(*entries):
    return np.array([entries], np.float64)


def samples(*u):
    return np.broadcast_to(np.array(u), (1, 2, 2))


HUGE_BATCH = box(2**40, 0, 0, 1, 1)
PARAMETERS = {
    "54 gem p 0": op("gem", "p", p=0),
    "54 gem p nan": op("gem", "p", p=NAN),
    "54 gem p negative": op("gem", "p", p=-3),
    "54 gem p -inf": op("gem", "p", p=-INF),
    "54 gem p '3'": op("gem", "p", TypeError, p="3"),
    "54 gem p None": op("gem", "p", TypeError, p=None),
    "54 gem p True": op("gem", "p", TypeError, p=True),
    "54 gem p complex": op("gem", "p", TypeError, p=1j),
    "54 gem p an array": op("gem", "p", TypeError, p=np.array([3.0, 4])),
    "54 gem eps 0": op("gem", "eps", eps=0),
    "54 gem eps nan": op("gem", "eps", eps=NAN),
    "54 gem eps inf": op("gem", "eps", eps=INF),
    "54 gem eps negative": op("gem", "eps", eps=-1e-6),
    "54 gem eps None": op("gem", "eps", TypeError, eps=None),
    "54 lp p -inf": op("lp", "p", p=-INF),
    "lse r 0": op("lse", "r", r=0),
    "lse r nan": op("lse", "r", r=NAN),
    "lse r inf": op("lse", "r", r=INF),
    "lse r '1'": op("lse", "r", TypeError, r="1"),
    "lse r False": op("lse", "r", TypeError, r=False),
    "soft beta nan": op("soft", "beta", beta=NAN),
    "soft beta inf": op("soft", "beta", beta=-INF),
    "soft beta None": op("soft", "beta", TypeError, beta=None),
    "mixed alpha -0.1": op("mixed", "alpha", alpha=-0.1),
    "mixed alpha 1.1": op("mixed", "alpha", alpha=1.1),
    "mixed alpha nan": op("mixed", "alpha", alpha=NAN),
    "mixed alpha True": op("mixed", "alpha", TypeError, alpha=True),
    "mixed divisor_override 0": op("mixed", "divisor_override", divisor_override=0),
    "mixed count_include_pad 1": op("mixed", "count_include_pad", TypeError, count_include_pad=1),
    "quantile q 1.5": op("quantile", "q", q=1.5),
    "quantile q -0.1": op("quantile", "q", q=-0.1),
    "quantile q nan": op("quantile", "q", q=NAN),
    "quantile q '0.5'": op("quantile", "q", TypeError, q="0.5"),
    "quantile q None": op("quantile", "q", TypeError, q=None),
    "quantile q True": op("quantile", "q", TypeError, q=True),
    "quantile without q": op("quantile", "q", TypeError),
    "median takes no q": op("median", "q", TypeError, q=0.5),
    "mode ignore 0.5": op("mode", "ignore", TypeError, x=X.astype(int), ignore=0.5),
    "mode ignore '0'": op("mode", "ignore", TypeError, x=X.astype(int), ignore="0"),
    "mode ignore True": op("mode", "ignore", TypeError, x=X.astype(int), ignore=True),
    "mode ignore beyond the dtype": op("mode", "ignore", x=X.astype(np.uint8), ignore=300),
    "mode ignore beyond the float": op("mode", "ignore", x=X.astype(np.float16), ignore=1e6),
    "mode ignore '0' of floats": op("mode", "ignore", TypeError, ignore="0"),
    "mode ignore True of floats": op("mode", "ignore", TypeError, ignore=True),
    "mode ties last": op("mode", "ties", ties="last"),
    "mode ties 0": op("mode", "ties", TypeError, ties=0),
    "median takes no ties": op("median", "ties", TypeError, ties="first"),
    "quantile of bool": op("quantile", "x", TypeError, x=X > 4, q=0.5),
    "49 gem of integers": op("gem", "x", TypeError, x=X.astype(int)),
    "49 lse of complex": op("lse", "x", TypeError, x=X + 0j),
    "median has no indices": op("median", "return_indices", return_indices=True),
    "gem has no indices": op("gem", "return_indices", return_indices=True),
    "mode has no indices": op("mode", "return_indices", x=X.astype(int), return_indices=True),
    "stochastic indices in test mode": op(
        "stochastic", "return_indices", training=False, return_indices=True
    ),
    "stochastic training 1": op("stochastic", "training", TypeError, training=1),
    "56 rng 1.5": op("stochastic", "rng", TypeError, rng=1.5),
    "56 rng '1'": op("stochastic", "rng", TypeError, rng="1"),
    "56 rng True": op("stochastic", "rng", TypeError, rng=True),
    "56 rng of max": op("max", "rng", TypeError, rng=1),
    "56 Draws of a negative start": op("stochastic", "rng", rng=random.Draws(1, -1)),
    "56 Draws of a float": op("stochastic", "rng", TypeError, rng=random.Draws(1.5, 0)),
}
FRACTIONAL = {
    "31 both": torchs("ratio", ratio=0.5),
    "31 neither": torchs("ratio", size=None),
    "31 both, random": tensorflows("ratio", size=3, ratio=1.5),
    "31 neither, random": tensorflows("ratio"),
    "32 torch ratio 1": torchs("ratio", size=None, ratio=1.0),
    "32 torch ratio 1.5": torchs("ratio", size=None, ratio=1.5),
    "32 torch ratio 0": torchs("ratio", size=None, ratio=0.0),
    "32 torch ratio nan": torchs("ratio", size=None, ratio=NAN),
    "32 torch ratio of no window": torchs("ratio", size=None, ratio=0.1),
    "32 ratio True": torchs("ratio", TypeError, size=None, ratio=True),
    "32 ratio '0.5'": torchs("ratio", TypeError, size=None, ratio="0.5"),
    "32 three ratios": torchs("ratio", size=None, ratio=(0.5, 0.5, 0.5), axes=(2, 3)),
    "32 tensorflow ratio 0.9": tensorflows("ratio", ratio=0.9),
    "32 tensorflow ratio nan": tensorflows("ratio", ratio=(NAN, 1.5)),
    "32 tensorflow ratio inf": tensorflows("ratio", ratio=INF),
    "32 tensorflow ratio 7": tensorflows("ratio", ratio=7.0),
    "32 tensorflow ratio None in a pair": tensorflows("ratio", TypeError, ratio=(None, 1.5)),
    "33 too many windows": torchs("axis 2", size=6),
    "33 output 0": torchs("output_size", size=0),
    "33 output -1": torchs("output_size", size=(3, -1)),
    "33 output 2**40": torchs("axis 2", size=2**40),
    "33 output 2.0": torchs("output_size", TypeError, size=2.0),
    "33 window 0": torchs("window", window=0),
    "33 window -1": torchs("window", window=(2, -1)),
    "33 window 7": torchs("axis 2", window=7),
    "33 no window": fractional("window", (ValueError, TypeError), size=3),
    "33 a window of tensorflow's": tensorflows("window", ratio=1.5, window=2),
    "33 more outputs than elements": tensorflows("axis 2", size=7),
    "33 overlapping torch": torchs("overlapping", overlapping=True),
    "33 overlapping 1": tensorflows("overlapping", TypeError, ratio=1.5, overlapping=1),
    "33 an axis of length 0": torchs("axis 2", x=np.ones((1, 2, 0, 6)), size=1, window=1),
    "34 samples of 1": torchs("samples", samples=samples(0.5, 1.0)),
    "34 samples of -0.1": torchs("samples", samples=samples(-0.1, 0.5)),
    "34 samples of nan": torchs("samples", samples=samples(NAN, 0.5)),
    "34 samples of 1e30": torchs("samples", samples=samples(1e30, 0.5)),
    "34 samples of -50": torchs("samples", samples=samples(-50, 0.5)),
    "34 samples of another length": torchs("samples", samples=np.full((1, 2, 3), 0.5)),
    "34 samples of another batch": torchs("samples", samples=np.full((2, 2, 2), 0.5)),
    "34 samples of no plane": torchs("samples", samples=np.zeros((0, 2, 2))),
    "34 samples of too few axes": torchs("samples", samples=np.full((2, 2), 0.5)),
    "34 samples of strings": torchs("samples", TypeError, samples=SAMPLES.astype(str)),
    "34 complex samples": torchs("samples", TypeError, samples=SAMPLES + 0j),
    "34 samples '0.5'": torchs("samples", TypeError, samples="0.5"),
    "34 pseudo samples of 1": tensorflows("samples", ratio=1.5, samples=np.array([0.5, 1.0])),
    "34 pseudo samples of nan": tensorflows("samples", ratio=1.5, samples=np.array([0.5, NAN])),
    "34 pseudo samples for each plane": tensorflows("samples", ratio=1.5, samples=SAMPLES),
    "34 random samples": tensorflows("samples", ratio=1.5, scheme="random", samples=SAMPLES[0, 0]),
    "scheme": torchs("scheme", scheme="keras"),
    "scheme None": torchs("scheme", TypeError, scheme=None),
    "56 rng": torchs("rng", TypeError, rng=1.5),
    "56 rng of a scheme": tensorflows("rng", TypeError, ratio=1.5, rng="1"),
    "22 list": torchs("x", TypeError, x=[[1.0]]),
    "49 complex": torchs("x", TypeError, x=X + 0j),
    "21 two axes": torchs("x has 2 axes", x=X[0, 0], size=3),
    "51 out": torchs("out", out=np.ones((1, 2, 3, 4))),
    "return_indices of avg": rejects(
        lambda: fp.fractional_pool(X, "avg", 3, window=2, return_indices=True), "return_indices"
    ),
    "36 gradient of another shape": rejects(
        lambda: fp.fractional_pool_backward(np.ones((1, 2, 3, 4)), X, "max", 3, window=2, rng=1), "gy"
    ),
    "35 index beyond": rejects(
        lambda: fp.fractional_pool_backward(
            np.ones((1, 2, 3, 3)), X, "max", 3, window=2, rng=1, indices=np.full((1, 2, 3, 3), 36)
        ),
        "indices",
    ),
}
BOXES = {
    "roi_pool 45 batch index 1": boxes(box(1, 0, 0, 1, 1)),
    "roi_pool 45 batch index -1": boxes(box(-1, 0, 0, 1, 1)),
    "roi_pool 45 batch index 2**40": boxes(HUGE_BATCH),
    "roi_pool 45 batch index 0.5": boxes(box(0.5, 0, 0, 1, 1)),
    "roi_pool 45 batch index nan": boxes(box(NAN, 0, 0, 1, 1)),
    "roi_pool 45 batch index of an empty batch": boxes(BOX, x=np.ones((0, 2, 4, 4))),
    "roi_pool 46 nan": boxes(box(0, 0, NAN, 1, 1)),
    "roi_pool 47 inf": boxes(box(0, 0, 0, INF, 1)),
    "roi_pool 47 -inf": boxes(box(0, -INF, 0, 1, 1)),
    "roi_pool boxes of 4": boxes(np.ones((3, 4))),
    "roi_pool boxes of one axis": boxes(BOX[0]),
    "roi_pool boxes of three axes": boxes(BOX[None]),
    "roi_pool complex boxes": boxes(BOX + 0j, error=TypeError),
    "roi_pool boxes of strings": boxes(BOX.astype(str), error=TypeError),
    "roi_pool boxes None": boxes(None, error=TypeError),
    "roi_pool 28 output -1": boxes(BOX, "output_size", size=-1),
    "roi_pool 27 output 0": boxes(BOX, "output_size", size=(2, 0)),
    "roi_pool 30 output of three": boxes(BOX, "output_size", size=(2, 2, 2)),
    "roi_pool 30 output 2.0": boxes(BOX, "output_size", TypeError, size=2.0),
    "roi_pool scale 0": boxes(BOX, "scale", scale=0),
    "roi_pool scale -1": boxes(BOX, "scale", scale=-1.0),
    "roi_pool scale nan": boxes(BOX, "scale", scale=NAN),
    "roi_pool scale inf": boxes(BOX, "scale", scale=INF),
    "roi_pool scale '1'": boxes(BOX, "scale", TypeError, scale="1"),
    "roi_pool scale True": boxes(BOX, "scale", TypeError, scale=True),
    "roi_pool 21 three axes": boxes(BOX, "boxes", x=X[0]),
    "roi_pool 21 five axes": boxes(BOX, "boxes", x=X[None]),
    "roi_pool 21 two axes": boxes(BOX, "x", x=X[0, 0]),
    "roi_pool 21 six axes": boxes(BOX, "x", x=X[None, None]),
    "roi_pool 22 list": boxes(BOX, "x", TypeError, x=[[1.0]]),
    "roi_pool 25 length 0": boxes(BOX, "x", x=np.ones((1, 2, 0, 4))),
    "roi_pool no indices of avg": rejects(
        lambda: fp.roi_pool(X, "avg", BOX, 2, return_indices=True), "return_indices"
    ),
    "roi_pool 36 gradient": rejects(
        lambda: fp.roi_pool_backward(np.ones((1, 2, 2, 3)), X, "max", BOX, 2), "gy"
    ),
    "roi_pool 35 index beyond": rejects(
        lambda: fp.roi_pool_backward(
            np.ones((1, 2, 2, 2)), X, "max", BOX, 2, indices=np.full((1, 2, 2, 2), 36)
        ),
        "indices",
    ),
    "roi_pool 35 index -2": rejects(
        lambda: fp.roi_pool_backward(
            np.ones((1, 2, 2, 2)), X, "max", BOX, 2, indices=np.full((1, 2, 2, 2), -2)
        ),
        "indices",
    ),
    "roi_align 45 batch index 1": aligned(box(1, 0, 0, 1, 1)),
    "roi_align 45 batch index -1": aligned(box(-1, 0, 0, 1, 1)),
    "roi_align 46 nan": aligned(box(0, 0, NAN, 1, 1), samples=2),
    "roi_align 47 inf": aligned(box(0, 0, 0, INF, 1)),
    "roi_align boxes of 4": aligned(np.ones((3, 4))),
    "roi_align op sum": aligned(BOX, "op", op="sum"),
    "roi_align op None": aligned(BOX, "op", TypeError, op=None),
    "roi_align samples -1": aligned(BOX, "samples", samples=-1),
    "roi_align samples 1.5": aligned(BOX, "samples", TypeError, samples=1.5),
    "roi_align aligned 1": aligned(BOX, "aligned", TypeError, aligned=1),
    "roi_align scale 0": aligned(BOX, "scale", scale=0),
    "roi_align output 0": aligned(BOX, "output_size", size=0),
    "roi_align integers": aligned(BOX, "x", TypeError, x=X.astype(int)),
    "roi_align three axes": aligned(BOX, "boxes", x=X[0], size=(2,)),
    "roi_align two axes": aligned(BOX, "x", x=X[0, 0]),
    "roi_align gradient": rejects(lambda: fp.roi_align_backward(np.ones((1, 2, 2, 3)), X, BOX, 2), "gy"),
}
OTHERS = {
    "pyramid level 0": rejects(lambda: fp.pyramid_pool(X, "max", (1, 0)), "levels"),
    "pyramid level -1": rejects(lambda: fp.pyramid_pool(X, "max", (-1,)), "levels"),
    "pyramid level 1.5": rejects(lambda: fp.pyramid_pool(X, "max", (1.5,)), "levels", TypeError),
    "pyramid level True": rejects(lambda: fp.pyramid_pool(X, "max", (True,)), "levels", TypeError),
    "pyramid without levels": rejects(lambda: fp.pyramid_pool(X, "max", ()), "levels"),
    "pyramid levels '12'": rejects(lambda: fp.pyramid_pool(X, "max", "12"), "levels", TypeError),
    "pyramid of two axes": rejects(lambda: fp.pyramid_pool(X[0, 0], "max"), "x has 2 axes"),
    "pyramid axis 4": rejects(lambda: fp.pyramid_pool(X, "max", axes=4), "axes"),
    "pyramid of nothing": rejects(lambda: fp.pyramid_pool(np.ones((1, 2, 0, 4)), "max"), "axis 2"),
    "pyramid indices of avg": rejects(
        lambda: fp.pyramid_pool(X, "avg", return_indices=True), "return_indices"
    ),
    "pyramid gradient": rejects(lambda: fp.pyramid_pool_backward(np.ones((1, 41)), X, "max"), "gy"),
    "pyramid index beyond": rejects(
        lambda: fp.pyramid_pool_backward(np.ones((1, 2)), X, "max", (1,), indices=np.full((1, 2), 36)),
        "indices",
    ),
    "60 cell 0": rejects(lambda: fp.mosaic(X, 0), "cell"),
    "60 cell -1": rejects(lambda: fp.mosaic(X, (2, -1)), "cell"),
    "60 cell 2.0": rejects(lambda: fp.mosaic(X, 2.0), "cell", TypeError),
    "60 cell None": rejects(lambda: fp.mosaic(X, None), "cell", TypeError),
    "60 five cells": rejects(lambda: fp.mosaic(X, (1,) * 5), "cell"),
    "mosaic of two axes": rejects(lambda: fp.mosaic(X[0, 0], 2), "x has 2 axes"),
    "mosaic op": rejects(lambda: fp.mosaic(X, 2, "best"), "op"),
    "mosaic parameter": rejects(lambda: fp.mosaic(X, 2, "avg", p=2), "p", TypeError),
    "mosaic gradient": rejects(lambda: fp.mosaic_backward(X[:, :, :5], X, 2), "gy"),
    "mosaic of nothing": rejects(lambda: fp.mosaic(np.ones((1, 2, 0, 4)), 2), "axis 2"),
}
CALLS = PARAMETERS | FRACTIONAL | BOXES | OTHERS


@pytest.mark.parametrize(("call", "error", "match"), CALLS.values(), ids=CALLS)
def test_bad_input(call, error, match):
    before = X.copy()
    with pytest.raises(error, match=match):
        call()
    np.testing.assert_array_equal(X, before)


def test_what_the_rows_accept():
    """Rows where a peer refuses or misreads and the contract takes the input."""
    assert fp.gem_pool(X, 2, p=np.float32(2.5)).shape == (1, 2, 3, 3)  # 54
    assert fp.gem_pool(X, 2, p=INF)[0, 0, 0, 0] == 7  # 54
    assert np.isfinite(fp.lp_pool(X, 2, p=1e4)).all()  # 54
    assert fp.stochastic_pool(-X, 2, rng=1)[0, 0, 0, 0] == 0  # 55: the first of a window without positives
    for seed in (-1, 0, 2**64, 10**40, np.uint64(2**64 - 1)):  # 56
        assert fp.stochastic_pool(X, 2, rng=seed).shape == (1, 2, 3, 3)
        assert fp.fractional_pool(X, "max", 3, window=2, rng=seed).shape == (1, 2, 3, 3)
    for dtype in (np.uint8, np.int64):  # 43
        y, i = fp.max_pool(X, 2, return_indices=True)
        np.testing.assert_array_equal(fp.unpool(y, i.astype(dtype), X.shape), fp.unpool(y, i, X.shape))
    assert fp.fractional_pool(X, "max", 5, window=2, rng=1).shape == (1, 2, 5, 5)  # 33: o + k - 1 = n
    assert fp.fractional_pool(X, "max", ratio=1, scheme="random", rng=1).tolist() == X.tolist()  # 32
    assert fp.fractional_pool(X, "max", ratio=6, scheme="pseudo", rng=1).shape == (1, 2, 1, 1)
    assert fp.roi_pool(X, "max", BOX - [0, 0, 0, 9, 9], 1)[0, 0, 0, 0] == 0  # 47: inverted is 1 x 1
    assert fp.mosaic(X, 100)[0, 1, 5, 5] == X[0, 1].mean()  # 60: a cell larger than the image
    assert fp.lse_pool(X, 2, r=1e300).shape == (1, 2, 3, 3)
