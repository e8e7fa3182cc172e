"""Random calls: geometry, layout and data, for the oracle and for the peers."""

import numpy as np
import reference
from hypothesis import strategies as st

LAYOUTS = ("C", "F", "sliced", "reversed", "readonly", "unaligned", "swapped")


def arrange(x, layout):
    """The same values in another memory layout."""
    if layout == "F":
        return np.asfortranarray(x)
    if layout == "sliced":
        roomy = np.zeros([2 * n + 1 for n in x.shape], x.dtype)
        roomy[tuple(slice(1, None, 2) for _ in x.shape)] = x
        return roomy[tuple(slice(1, None, 2) for _ in x.shape)]
    if layout == "reversed":
        return x[tuple(slice(None, None, -1) for _ in x.shape)].copy()[
            tuple(slice(None, None, -1) for _ in x.shape)
        ]
    if layout == "readonly":
        x = x.copy()
        x.flags.writeable = False
    if layout == "unaligned":
        raw = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
        raw[...] = x
        return raw
    if layout == "swapped":
        return x.astype(x.dtype.newbyteorder())
    return x


def distinct(rng, shape, dtype=np.float64):
    """Distinct values far enough apart that a small step changes no order."""
    values = rng.permutation(int(np.prod(shape))).reshape(shape)
    return ((values - values.size // 2) * 0.25 + 0.125).astype(dtype)


@st.composite
def geometries(draw, max_axes=3, max_length=9):
    """Keyword arguments of a sliding call, its input shape, pooled axes and the oracle's tables."""
    count = draw(st.integers(1, max_axes))
    ndim = draw(st.integers(count, count + 2))
    axes = sorted(draw(st.permutations(range(ndim)))[:count])
    shape = [draw(st.integers(1, 3)) for _ in range(ndim)]
    ceil_mode = draw(st.booleans())
    word = draw(st.sampled_from([None, None, None, "valid", "same", "same_lower"]))
    window, stride, dilation, padding, tables = [], [], [], [], []
    for axis in axes:
        k, s, d = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
        n = draw(st.integers(1, max_length))
        span = d * (k - 1) + 1
        around = {None: (0, 0), "valid": (0, 0)}.get(word) or reference.same(n, k, s, d, word == "same_lower")
        if word is None:
            around = (draw(st.integers(0, span - 1)), draw(st.integers(0, span - 1)))
        shape[axis] = n
        window.append(k)
        stride.append(s)
        dilation.append(d)
        padding.append(around)
        tables.append(reference.taps(n, k, s, *around, d, ceil_mode))
    call = {
        "window": tuple(window),
        "stride": tuple(stride),
        "dilation": tuple(dilation),
        "padding": word or tuple(padding),
        "ceil_mode": ceil_mode,
        "axes": tuple(axes),
    }
    return call, tuple(shape), tuple(axes), tables


def for_oracle(options):
    """An operator's options in the oracle's words; its "stochastic" is always the test mode."""
    names = {"count_include_pad": "include_pad", "divisor_override": "override"}
    return {names.get(name, name): v for name, v in options.items() if name not in ("training", "rng")}


@st.composite
def operators(draw):
    """An operator of floats beyond max, min, avg, sum and lp, and its options."""
    op = draw(st.sampled_from(list(OPTIONS)))
    options = dict(draw(st.sampled_from(OPTIONS[op])))
    if op == "mixed":
        options["count_include_pad"] = draw(st.booleans())
        options["divisor_override"] = draw(st.sampled_from([None, None, 3, -2]))
    return op, options


OPTIONS = {
    "gem": [{}, {"p": 1}, {"p": 2, "eps": 0.75}, {"p": 3.5}, {"p": 0.5}, {"p": np.inf}],
    "lse": [{}, {"r": 2}, {"r": -1.5}, {"r": 50.0}],
    "soft": [{}, {"beta": 0}, {"beta": -2.0}, {"beta": 50}],
    "mixed": [{}, {"alpha": 0}, {"alpha": 0.25}, {"alpha": 1.0}],
    "stochastic": [{"training": False}],
    "median": [{}],
    "quantile": [{"q": 0.3}, {"q": 0}, {"q": 1}, {"q": 0.875}],
    "var": [{}, {"ddof": 1}],
    "std": [{}, {"ddof": 1}],
}
