"""Bad input: the rows of the peers' bad-input list that touch what is built, by type and message.

The numbers are the rows of that list (reference/peers.md section 4).
"""

import numpy as np
import pytest

import fastpool as fp

X = np.arange(32.0).reshape(1, 2, 4, 4)
HUGE = 2**40


def sliding(match, error=ValueError, x=X, op="max", window=2, **options):
    return pytest.param(lambda: fp.pool(x, op, window, **options), error, match)


CALLS = {
    "1 window 0": sliding("window must be at least 1, got 0", window=0),
    "2 window -1": sliding("window must be at least 1, got -1", window=(2, -1)),
    "3 stride 0": sliding("stride must be at least 1, got 0", stride=0),
    "3 stride -1": sliding("stride must be at least 1, got -1", stride=(1, -1)),
    "4 dilation 0": sliding("dilation must be at least 1, got 0", dilation=0),
    "5 dilation 2**31 - 1": sliding("axis 2 of x: .* does not fit length 4", dilation=2**31 - 2),
    "5 dilation 2**70": sliding("span at most 2147483647 elements on axis 2", dilation=2**70),
    "5 dilation and padding": sliding("cover no element", dilation=2**31 - 2, padding=2**31 - 2),
    "6 padding -1": sliding("padding must be at least 0, got -1", padding=-1),
    "6 padding pair -1": sliding("padding must be at least 0, got -1", padding=((0, -1), (0, 0))),
    "7 padding beyond the window": sliding("padding must be less than the dilated window, 2", padding=2),
    "7 padding one-sided": sliding("padding must be less .* axis 3, got \\(0, 5\\)", padding=(0, (0, 5))),
    "8 window larger than the input": sliding(
        "axis 2 of x: a window of 5 .* does not fit length 4", window=5
    ),
    "9 window larger, 3 axes": sliding("does not fit length 2", window=(3, 2, 2), op="avg"),
    "10 window 2**31 - 1": sliding("does not fit", window=2**31 - 1),
    "10 window 2**31": sliding("window, dilation and stride must span at most", window=2**31),
    "10 window 2**40 padded": sliding("window must have at most", window=HUGE, stride=1, padding=HUGE - 1),
    "10 stride 2**62": sliding("must span at most", stride=2**62),
    "10 three windows of 2**31 - 1": sliding(
        "window must have at most 2\\*\\*62 elements", window=(2**31 - 1,) * 3, padding=2**30
    ),
    "11 three windows for two axes": sliding("one entry for each of 2", window=(2, 2, 2), axes=(2, 3)),
    "11 three strides": sliding("stride must have one entry for each of 2 pooled axes", stride=(1, 1, 1)),
    "11 too many windows": sliding("window must have 1 to 4 entries", window=(1,) * 5),
    "11 no window": sliding("window must have 1 to 4 entries", window=()),
    "12 window 2.0": sliding("window must be an integer, got 2.0 of type float", TypeError, window=2.0),
    "12 window '2'": sliding("window must be an integer, got '2'", TypeError, window="2"),
    "12 window None": sliding("window must be an integer, got None", TypeError, window=None),
    "12 window True": sliding("window must be an integer, got True", TypeError, window=True),
    "12 stride np.True_": sliding("stride must be an integer", TypeError, stride=np.True_),
    "13 window of floats": sliding("window must be an integer", TypeError, window=np.array([2.0, 2.0])),
    "13 window of two dimensions": sliding("window must have one entry an axis", window=np.ones((2, 2), int)),
    "14 divisor 0": sliding("divisor_override must be .* other than 0", op="avg", divisor_override=0),
    "14 divisor 2**31": sliding("divisor_override must be a 32-bit", op="avg", divisor_override=2**31),
    "14 divisor -2**31": sliding("divisor_override must be at least", op="avg", divisor_override=-(2**31)),
    "14 divisor 1.5": sliding(
        "divisor_override must be an integer", TypeError, op="avg", divisor_override=1.5
    ),
    "15 padding word": sliding(
        "padding must be .* one of \\('valid', 'same', 'same_lower'\\)", padding="smae"
    ),
    "15 padding triple": sliding("\\(before, after\\) pair, got", padding=((1, 1, 1), 0)),
    "19 the same axis twice": sliding("axes must be distinct", axes=(1, -3)),
    "19 axis out of range": sliding("axes must be in -4..3 .* got 4", axes=4),
    "19 axis below range": sliding("axes must be at least -4, got -5", axes=-5),
    "19 no axis": sliding("axes must be distinct, and at least one", axes=()),
    "19 axis 1.0": sliding("axes must be an integer", TypeError, axes=1.0),
    "21 two axes and an int window": sliding("x has 2 axes.*window=\\(2, 2\\)", x=X[0, 0]),
    "21 three axes and an int window": sliding(
        r"window=\(2,\) for \(N, C, L\), window=\(2, 2\) for \(C, H, W\), or name the axes, axes=", x=X[0]
    ),
    "21 three axes and an int output_size": pytest.param(
        lambda: fp.adaptive_avg_pool(X[0], 2), ValueError, r"output_size=\(2, 2\) for \(C, H, W\)"
    ),
    "21 three axes and an int cell": pytest.param(
        lambda: fp.mosaic(X[0], 2), ValueError, r"cell=\(2, 2\) for \(C, H, W\)"
    ),
    "21 no axes": sliding("x has 0 axes", x=np.array(1.0)),
    "22 list": sliding("x must be an array .* got builtins.list", TypeError, x=[[1.0, 2.0]]),
    "22 list, and what to do": sliding(r"got builtins.list; use np.asarray\(x\)", TypeError, x=[[1.0]]),
    "a pair for one axis": sliding(
        r"padding must have .* write \[\(3, 0\)\]", x=X[0, 0], window=(4,), padding=(3, 0)
    ),
    "another library's word": sliding("takes no argument 'strides'; say stride=", TypeError, strides=2),
    "another library's window": sliding("'kernel_size'; say window=", TypeError, kernel_size=2),
    "22 scalar": sliding("x must be an array", TypeError, x=3.0),
    "22 string": sliding("x must be an array", TypeError, x="abc"),
    "22 None": sliding("x must be an array", TypeError, x=None),
    "22 masked out": sliding(
        "out must be an array .*got MaskedArray", TypeError, out=np.ma.ones((1, 2, 2, 2))
    ),
    "25 length 0": sliding("axis 2 of x: an axis of length 0 cannot be pooled", x=np.ones((1, 2, 0, 4))),
    "25 length 0, padded": sliding("axis of length 0", x=np.ones((1, 2, 0, 4)), padding=1),
    "49 complex": sliding("x must have one of the dtypes .*float16.* got complex128", TypeError, x=X + 0j),
    "49 strings": sliding("x must have one of the dtypes", TypeError, x=np.array([["a", "b"]])),
    "49 objects": sliding("x must have one of the dtypes", TypeError, x=X.astype(object)),
    "49 dates": sliding("x must have one of the dtypes", TypeError, x=X.astype("M8[s]")),
    "49 longdouble": sliding("x must have one of the dtypes", TypeError, x=X.astype(np.longdouble)),
    "51 out of another shape": sliding(
        "out must have the result's shape \\(1, 2, 2, 2\\)", out=np.ones((1, 2, 2, 3))
    ),
    "51 out of another dtype": sliding(
        "out must have the result's dtype float64", out=np.ones((1, 2, 2, 2), "f4")
    ),
    "51 out is x": sliding("out must share no memory with x", window=1, out=X),
    "51 out within x": sliding("out must share no memory with x", out=X[:, :, ::2, ::2]),
    "51 out is a list": sliding("out must be an array", TypeError, out=[1]),
    "54 p 0": sliding("p must be a number above 0, got 0", op="lp", p=0),
    "54 p nan": sliding("p must be a number above 0, got nan", op="lp", p=float("nan")),
    "54 p negative": sliding("p must be a number above 0", op="lp", p=-1.0),
    "54 p '2'": sliding("p must be a real number, got '2'", TypeError, op="lp", p="2"),
    "54 p complex": sliding("p must be a real number", TypeError, op="lp", p=np.complex64(1)),
    "58 a dilated window without an element": sliding(
        "axis 0 of x: window 0, .* covers no element", x=np.ones(1), window=(2,), dilation=2, padding=1
    ),
    "60 window 0 of an image": sliding("window must be at least 1", x=X[0, 0], window=(0, 0)),
    "op unknown": sliding(
        "op must be one of max, min, count, avg, sum, lp, .* mode, .* nearest, got 'mode_'", op="mode_"
    ),
    "op of another type": sliding("op must be a string", TypeError, op=max),
    "op and its parameters": sliding("max pooling takes no parameter 'p'; it takes: none", TypeError, p=2),
    "parameters of avg": sliding("it takes: count_include_pad, divisor_override", TypeError, op="avg", q=2),
    "ceil_mode 1": sliding("ceil_mode must be True or False, got 1", TypeError, ceil_mode=1),
    "count_include_pad 0": sliding(
        "count_include_pad must be True", TypeError, op="avg", count_include_pad=0
    ),
    "return_indices of avg": sliding(
        "return_indices is for operators that choose", op="avg", return_indices=True
    ),
    "return_indices 1": sliding("return_indices must be True or False", TypeError, return_indices=1),
    "23 empty batch, bad window": sliding("does not fit", x=np.ones((0, 2, 4, 4)), window=5),
    "26 global over nothing": pytest.param(
        lambda: fp.global_avg_pool(np.ones((2, 2, 0)), axes=2), ValueError, "axis of length 0"
    ),
    "26 global of two axes": pytest.param(
        lambda: fp.global_pool(X[0, 0], "max"), ValueError, "Name the axes$"
    ),
    "26 keepdims 1": pytest.param(
        lambda: fp.global_pool(X, "max", keepdims=1), TypeError, "keepdims must be"
    ),
    "27 output 0": pytest.param(
        lambda: fp.adaptive_pool(X, "avg", 0), ValueError, "output_size must be at least 1"
    ),
    "28 output -1": pytest.param(
        lambda: fp.adaptive_pool(X, "max", -1), ValueError, "output_size must be at least 1"
    ),
    "29 output 2**40": pytest.param(lambda: fp.adaptive_pool(X, "avg", HUGE), ValueError, "more than"),
    "30 three outputs": pytest.param(
        lambda: fp.adaptive_pool(X, "avg", (1, 1, 1), axes=(2, 3)),
        ValueError,
        "output_size must have one entry",
    ),
    "30 output 2.0": pytest.param(
        lambda: fp.adaptive_pool(X, "avg", 2.0), TypeError, "output_size must be an integer"
    ),
}

GY = np.ones((1, 2, 2, 2))
CHOSEN = fp.max_pool(X, 2, return_indices=True)[1]


def backward(match, error=ValueError, gy=GY, x=X, op="max", window=2, **options):
    return pytest.param(lambda: fp.pool_backward(gy, x, op, window, **options), error, match)


def unpooled(match, error=ValueError, y=GY, indices=CHOSEN, shape=X.shape, **options):
    return pytest.param(lambda: fp.unpool(y, indices, shape, **options), error, match)


CALLS |= {
    "35 index 10**9": backward("indices must be in 0..15, got 10000000\\d\\d", indices=CHOSEN + 10**9),
    "35 index -10**9": backward("indices must be in 0..15, got -9999999\\d\\d", indices=CHOSEN - 10**9),
    "35 index of another window": backward("indices must each lie in their own window", indices=CHOSEN * 0),
    "35 float indices": backward("indices must be integers, got float64", TypeError, indices=CHOSEN * 1.0),
    "35 indices of another shape": backward("indices must have the shape", indices=CHOSEN[..., :1]),
    "35 indices as a list": backward("indices must be an array", TypeError, indices=CHOSEN.tolist()),
    "35 indices of avg": backward("indices are for operators that choose", op="avg", indices=CHOSEN),
    "36 gradient of another shape": backward(
        "gy must have the result's shape \\(1, 2, 2, 2\\)", gy=GY[..., :1]
    ),
    "36 gradient of a huge window": backward("does not fit", window=10**9),
    "36 gradient of another rank": backward("gy must have the result's shape", gy=GY[0]),
    "36 gradient as a list": backward("gy must be an array", TypeError, gy=GY.tolist()),
    "36 bool gradient": backward("gy must be numeric, got bool", TypeError, gy=GY > 0),
    "36 complex gradient": backward("gy must have one of the dtypes", TypeError, gy=GY + 0j),
    "40 empty gradient": backward("gy must have the result's shape", gy=np.ones((0, 2, 2, 2))),
    "36 adaptive": pytest.param(
        lambda: fp.adaptive_pool_backward(GY, X, "max", 3), ValueError, "gy must have the result's shape"
    ),
    "36 global": pytest.param(
        lambda: fp.global_pool_backward(GY, X, "max"), ValueError, "gy must have the result's shape"
    ),
    "35 global index": pytest.param(
        lambda: fp.global_pool_backward(np.ones((1, 2)), X, "max", indices=np.full((1, 2), 16)),
        ValueError,
        "indices must be in 0..15",
    ),
    "35 adaptive index": pytest.param(
        lambda: fp.adaptive_pool_backward(GY, X, "max", 2, indices=np.full(GY.shape, -1)),
        ValueError,
        "indices must be in 0..15",
    ),
    "36 pull": pytest.param(
        lambda: fp.vjp(fp.max_pool, X, 2)[1](GY[0]), ValueError, "gy must have the result's shape"
    ),
    "36 pull params": pytest.param(
        lambda: fp.vjp(fp.max_pool, X, 2)[1](GY, params=1), TypeError, "params must be True or False"
    ),
    "42 unpool index -1": unpooled("indices must be in 0..15, got -1", indices=CHOSEN - 6),
    "42 unpool index beyond": unpooled("indices must be in 0..15, got .*16", indices=CHOSEN + 1),
    "43 unpool float indices": unpooled("indices must be integers", TypeError, indices=CHOSEN * 1.0),
    "43 unpool shapes": unpooled("indices must have the shape", indices=CHOSEN[0]),
    "43 unpool shape of another rank": unpooled("shape must have 4 entries", shape=(4, 4), axes=1),
    "43 unpool shape of another batch": unpooled("differ on axes \\[0\\]", shape=(2, 2, 4, 4), axes=(2, 3)),
    "43 unpool shape of negative length": unpooled("shape must be at least 0, got -4", shape=(1, 2, 4, -4)),
    "43 unpool shape 16": unpooled("shape must be a sequence of integers, got 16", TypeError, shape=16),
    "44 unpool rule": unpooled("duplicates must be one of last, sum, error, got 'max'", duplicates="max"),
    "44 unpool scalar": unpooled("y must have at least one axis", y=np.array(1.0)),
    "22 unpool list": unpooled("y must be an array", TypeError, y=[1.0]),
}


@pytest.mark.parametrize(("call", "error", "match"), CALLS.values(), ids=CALLS)
def test_bad_input(call, error, match):
    before = X.copy()
    with pytest.raises(error, match=match):
        call()
    np.testing.assert_array_equal(X, before)


def test_mean_is_another_word_for_avg():
    np.testing.assert_array_equal(fp.pool(X, "mean", 2), fp.pool(X, "avg", 2))
    np.testing.assert_array_equal(fp.area_pool(X, 3, op="mean"), fp.area_pool(X, 3))


@pytest.mark.parametrize("wrong", [np.full((1, 2, 2, 3), 7.0), np.full((1, 2, 2, 2), 7.0, np.float32)])
def test_a_refused_out_is_left_alone(wrong):
    with pytest.raises(ValueError, match="out must have"):
        fp.max_pool(X, 2, out=wrong)
    assert (wrong == 7).all()


def test_a_read_only_out_is_refused():
    out = np.full((1, 2, 2, 2), 7.0)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writeable"):
        fp.max_pool(X, 2, out=out)


def test_what_the_rows_accept():
    """Rows where a peer refuses or misreads and the contract takes the input."""
    assert fp.max_pool(X, np.array([2, 2])).shape == (1, 2, 2, 2)  # 13
    assert fp.max_pool(X, (np.uint8(2),), stride=[np.int64(2)]).shape == (1, 2, 4, 2)  # 12
    assert fp.avg_pool(X, 2, divisor_override=-4)[0, 0, 0, 0] == -2.5  # 14: a negative divisor negates
    assert fp.avg_pool(X, (3, 3, 3), padding=1, ceil_mode=True).shape == (1, 1, 2, 2)  # 9
    assert fp.max_pool(X, 2, dilation=4, padding=2).shape == (1, 2, 2, 2)  # 7: less than the dilated window
    assert fp.max_pool(X, 2, stride=3, dilation=2).shape == (1, 2, 1, 1)  # 52
    assert fp.min_pool(X, 2)[0, 0, 0, 0] == 0  # 53
    assert fp.max_pool(X, (1, 2), axes=(0, 1)).shape == (1, 1, 4, 4)  # 19
    for dtype in (">f8", ">f4", ">i2", ">f2"):  # 50
        swapped = X.astype(dtype)
        y = fp.max_pool(swapped, 2)
        assert y.dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(y, fp.max_pool(X, 2))
    still = np.broadcast_to(np.arange(4.0), (1, 2, 4, 4))  # 50: strides of 0
    np.testing.assert_array_equal(fp.avg_pool(still, 2), fp.avg_pool(still.copy(), 2))


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("f", "given", "ours"),
    [
        (fp.max_pool, {"kernel_size": 2}, "window"),
        (fp.avg_pool, {"window": 2, "strides": 2}, "stride"),
        (fp.median_pool, {"window": 2, "pads": 1}, "padding"),
        (fp.mode_pool, {"window": 2, "axis": 1}, "axes"),
        (fp.global_max_pool, {"keepdim": True}, "keepdims"),
        (fp.adaptive_avg_pool, {"output_size": 2, "axis": 2}, "axes"),
        (fp.area_pool, {"ratio": 2, "mask": None}, "where"),
    ],
)
def test_another_librarys_keyword_is_answered(kind, f, given, ours):
    x = np.ones((1, 1, 4, 4), np.float32)
    if kind == "torch":
        x = pytest.importorskip("torch").from_numpy(x)
    with pytest.raises(TypeError, match=f"say {ours}="):
        f(x, **given)
