"""The oracle: pooling by slices, in float64 or Python integers, one window at a time.

Written from the rules alone; it must never import fastpool (a test greps for that). Slow and obvious.
"""

import itertools
import math
from fractions import Fraction

import numpy as np


def taps(n, k, s, before, after, d, ceil_mode):
    """For each window its elements and its extent within the padded input; None where one is empty."""
    room = n + before + after - d * (k - 1) - 1
    length = (math.ceil(room / s) if ceil_mode else room // s) + 1
    if ceil_mode and (length - 1) * s >= n + before:
        length -= 1
    found = []
    for o in range(length):
        ideal = [o * s - before + j * d for j in range(k)]
        real = [t for t in ideal if 0 <= t < n]
        found.append((real, len([t for t in ideal if t < n + after])))
    return found if found and all(real for real, _ in found) else None


def same(n, k, s, d, lower):
    total = max((math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n, 0)
    return (total - total // 2, total // 2) if lower else (total // 2, total - total // 2)


def bins(n, o):
    """Adaptive bins, in the form of `taps`."""
    spans = [range(i * n // o, math.ceil((i + 1) * n / o)) for i in range(o)]
    return [(list(span), len(span)) for span in spans]


def segments(ids, number):
    """The elements of each id, in the form of `taps`; some may have none."""
    places = [[i for i, own in enumerate(ids) if own == segment] for segment in range(number)]
    return [(own, len(own)) for own in places]


def first_extreme(block, sign):
    """Position along the last axis of the first NaN, else of the first largest of sign * block."""
    best = np.zeros(block.shape[:-1], np.int64)
    for place in np.ndindex(best.shape):
        row = block[place].tolist()
        nans = [j for j, v in enumerate(row) if v != v]
        best[place] = nans[0] if nans else row.index(max(row) if sign > 0 else min(row))
    return best


def share(values, divisor):
    """The sum of float64 numbers, rounded once, over a divisor."""
    try:
        return math.fsum(values) / divisor
    except ValueError:  # infinities of both signs
        return math.nan
    except OverflowError:  # of the sum, which the divisor may bring back
        return math.fsum(values * 2.0**-64) / divisor * 2.0**64


def pool(x, op, tables, axes, *, include_pad=False, override=None, **params):
    """Values in float64 (or exact integers for integer input), and indices for max, min and nearest.

    `tables` has one list of (elements, extent) for each of `axes`, which ascend. "stochastic" is its test
    mode, the mean weighted by the positive values.
    """
    if op == "nearest":
        tables, op, params = one_each(tables, **params), "max", {}
    y = np.zeros(_shape(x, tables, axes), object if x.dtype.kind in "iub" else np.float64)
    indices = np.zeros(y.shape, np.int64)
    for where, block, positions, divisor in _windows(x, tables, axes, include_pad, override):
        if op in ("max", "min"):
            indices[where] = positions[first_extreme(block, 1 if op == "max" else -1)]
        y[where] = values(op, block, divisor, **params)
    return y, indices


def one_each(tables, corner="first"):
    """Windows of one element: the first inside the input, or of n the one with the number n // 2."""
    half = {"first": 0, "middle": 1}[corner]
    return [[(own[half * len(own) // 2 :][:1], extent) for own, extent in windows] for windows in tables]


def values(op, block, divisor, **params):
    """The values of windows."""
    if op in ("max", "min"):
        best = first_extreme(block, 1 if op == "max" else -1)
        return np.take_along_axis(block, best[..., None], -1)[..., 0]
    if op in RANKS:
        return RANKS[op](block, **params)
    if op in SPREADS:
        return SPREADS[op](block, **params)
    if op == "count":
        return np.full(block.shape[:-1], block.shape[-1])
    if block.dtype.kind in "iu":
        total = block.astype(object).sum(-1)
        return (2 * total + divisor) // (2 * divisor) if op == "avg" else total
    if op in ("avg", "sum", "mixed"):
        shares = np.vectorize(share, signature="(n),()->()")
        average = shares(block.astype(np.float64), 1 if op == "sum" else divisor)
        return mixed(average, block, **params) if op == "mixed" else average
    return VALUES[op](block.astype(np.float64), **params)


def pull(gy, x, op, tables, axes, *, include_pad=False, override=None, **params):
    """The gradient for x, window by window, in float64."""
    if op == "nearest":
        tables, op, params = one_each(tables, **params), "sum", {}
    gx = np.zeros(x.shape)
    planes = np.moveaxis(gx, axes, range(-len(axes), 0))
    flat = planes.reshape(*planes.shape[: -len(axes)], -1)  # a copy where axes moved
    for where, block, positions, divisor in _windows(x, tables, axes, include_pad, override):
        g = np.asarray(gy[where], np.float64)[..., None]
        flat[..., positions] += g * SHARES[op](block.astype(np.float64), divisor, **params)
    return np.moveaxis(flat.reshape(planes.shape), range(-len(axes), 0), axes)


# Missing data: windows of what takes part ---------------------------------------------------------------


def taking_part(x, where=None, skipna=False, nodata=None):
    """Which elements nothing leaves out."""
    mask = np.broadcast_to(True if where is None else where, x.shape).copy()
    if skipna and x.dtype.kind not in "iub":
        mask &= ~np.isnan(x)
    if nodata is not None:
        mask &= ~np.isnan(x) if nodata != nodata else x != nodata
    return mask


def _some(x, tables, axes, mask, weights=None):
    """Each window of each plane: its place in the output, and its elements that take part.

    They come with their flat positions, their weights, and where they are in x.
    """
    places = np.arange(x.size).reshape(x.shape)
    beside = np.ones(x.shape) if weights is None else np.broadcast_to(weights, x.shape)
    blocks = [_windows(array, tables, axes, False, None) for array in (x, mask, beside, places)]
    outputs = np.arange(math.prod(_shape(x, tables, axes))).reshape(_shape(x, tables, axes))
    for (where, block, positions, _), (_, part, _, _), (_, weight, _, _), (_, at, _, _) in zip(
        *blocks, strict=True
    ):
        here = outputs[where]
        for plane in np.ndindex(here.shape):
            taken = part[plane]
            yield here[plane], block[plane][taken], positions[taken], weight[plane][taken], at[plane][taken]


def pool_some(x, op, tables, axes, mask, *, least=1, fill=None, weights=None, **params):
    """As `pool`, of what `mask` lists, and how many elements that is; windows with too few give `fill`."""
    if op == "nearest":
        tables, op, params = one_each(tables, **params), "max", {}
    shape = _shape(x, tables, axes)
    y = np.zeros(math.prod(shape), object)
    indices, counts = np.zeros(y.shape, np.int64), np.zeros(y.shape, np.int64)
    for here, block, positions, weight, _ in _some(x, tables, axes, mask, weights):
        counts[here] = len(block)
        none = weights is not None and least > 0 and not weight.sum()
        if len(block) < least or none:
            y[here], indices[here] = fill, -1
        elif not len(block):
            y[here] = 0
        elif weights is None:
            y[here] = values(op, block[None], len(block), **params)[0]
            if op in ("max", "min"):
                indices[here] = positions[first_extreme(block[None], 1 if op == "max" else -1)[0]]
        else:
            y[here] = weighted_value(op, block, weight)
    return y.reshape(shape), indices.reshape(shape), counts.reshape(shape)


def weighted_value(op, block, weight):
    if op in SPREADS:
        return SPREADS[op](block[None], weights=weight[None])[0]
    products = block.astype(np.float64) * weight
    if op == "avg":
        return share(products, math.fsum(weight))
    return share(products if op == "sum" else weight, 1)


def pull_some(gy, x, op, tables, axes, mask, *, least=1, weights=None, **params):
    """The gradients for x and for the weights, of x's shape."""
    if op == "nearest":
        tables, op, params = one_each(tables, **params), "sum", {}
    gx, gw, flat = np.zeros(x.size), np.zeros(x.size), np.asarray(gy, np.float64).reshape(-1)
    for here, block, _, weight, at in _some(x, tables, axes, mask, weights):
        if len(block) < max(least, 1) or (weights is not None and not weight.sum()):
            continue
        values_in_window = block.astype(np.float64)
        if weights is None:
            gx[at] += flat[here] * SHARES[op](values_in_window[None], len(block), **params)[0]
            continue
        total = weight.sum() if op not in ("sum", "count") else 1.0
        mean = 0.0 if op in ("sum", "count") else weighted_value("avg", block, weight)
        if op in SPREADS:  # d (sum w (x - m)^2 / W) / dw = ((x - m)^2 - var) / W, since sum w (x - m) = 0
            distance, y = values_in_window - mean, weighted_value(op, block, weight)
            slope = 1.0 if op == "var" else 0.0 if y == 0 else 0.5 / y
            gx[at] += flat[here] * slope * 2 * weight * distance / total
            gw[at] += flat[here] * slope * (distance**2 - weighted_value("var", block, weight)) / total
            continue
        gx[at] += flat[here] * weight / total
        gw[at] += flat[here] * (values_in_window - mean) / total
    return gx.reshape(x.shape), gw.reshape(x.shape)


# Values of windows, whose elements are last ------------------------------------------------------------


def norm(block, p=2.0):
    return _norm(np.abs(block), p)


def _norm(size, p):
    top = size.max(-1)
    if p == math.inf:
        return top
    with np.errstate(over="ignore"):
        return top * (_parts(size, top) ** p).sum(-1) ** (1 / p)


def _parts(size, top):
    """size / top, with 0 / 0 = 0 and inf / inf = 1."""
    top = top[..., None]
    with np.errstate(invalid="ignore"):
        part = size / np.where(top == 0, 1, top)
    return np.where((size == top) & np.isinf(size), 1, part)


def gem(block, p=3.0, eps=1e-6):
    """mean(r^p)^(1/p) as exp(log1p(mean(expm1(p log r))) / p), right for the smallest p."""
    clamped = np.maximum(block, block.dtype.type(eps))
    top = clamped.max(-1)
    if p == math.inf:
        return top
    with np.errstate(divide="ignore"):
        change = np.expm1(p * np.log(_parts(clamped, top)))
    return top * np.exp(np.log1p(change.mean(-1)) / p)


def lse(block, r=1.0):
    """(top + log1p(mean(expm1(r x - top)))) / r, right for tiny values too."""
    scaled = r * block
    top = scaled.max(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        below = np.where(scaled == top[..., None], 0, scaled - top[..., None])
        return (top + np.log1p(np.expm1(below).mean(-1))) / r


def softmax(scaled):
    top = scaled.max(-1)[..., None]
    with np.errstate(invalid="ignore", under="ignore"):
        weight = np.where(scaled == top, 1, np.exp(scaled - top))
    return weight / weight.sum(-1)[..., None]


def _weighted(weight, block):
    """Sum of weight * block, where a weight of 0 leaves out an infinity."""
    with np.errstate(invalid="ignore"):
        return np.where(weight == 0, 0, weight * block).sum(-1)


def soft(block, beta=1.0):
    return _weighted(softmax(beta * block if beta else np.where(block != block, block, 0)), block)


def mixed(average, block, alpha=0.5):
    return _scaled(block.max(-1), alpha) + _scaled(average, 1 - alpha)


def _scaled(value, weight):
    """The product, where a weight of 0 leaves out an infinity."""
    return weight * value if weight else np.zeros_like(value)


def stochastic(block):
    """Sum of weight * block / sum of weight, weight = max(block, 0): infinite where an element is."""
    weight = np.where(block <= 0, 0, block)
    total = weight.sum(-1)
    with np.errstate(invalid="ignore"):
        mean = _weighted(weight, block) / np.where(total == 0, 1, total)
    return np.where(total == np.inf, np.inf, mean)


def _rank(q, count):
    """Two ranks and how far the quantile lies between them."""
    at = q * (count - 1)
    low = math.floor(at)
    return low, min(low + 1, count - 1), at - low


def quantile(block, q):
    ordered = np.sort(block, -1)
    low, high, far = _rank(q, block.shape[-1])
    low, high = ordered[..., low], ordered[..., high]
    if block.dtype.kind in "iub":
        return low
    low, high = low.astype(np.float64), high.astype(np.float64)
    between = low if far == 0 else np.where(low == high, low, (1 - far) * low + far * high)
    return np.where(np.isnan(block).any(-1), np.nan, between)


def median(block):
    return quantile(block, 0.5)


def mode(block, ignore=None, ties="smallest"):
    """The most frequent value, a NaN if there is one; `ignore` where nothing else is there."""
    result = np.zeros(block.shape[:-1], object)
    ignore = ignore if ignore is None else block.dtype.type(ignore).item()
    for place in np.ndindex(result.shape):
        row = block[place].tolist()
        kept = [v for v in row if not (v == ignore or (v != v and ignore is not None and ignore != ignore))]
        most = [v for v in kept if v != v or kept.count(v) == max(map(kept.count, kept))]
        if any(v != v for v in kept):
            result[place] = math.nan
        elif kept:
            result[place] = {"smallest": min, "largest": max, "first": lambda tied: tied[0]}[ties](most)
        else:
            result[place] = ignore
    return result


def var(block, ddof=0, weights=None):
    """Of exact numbers, rounded once; NaN of no more than `ddof` elements, and of infinities and NaNs."""
    found = [_spread(*each, ddof, _rounded) for each in _rows(block, weights)]
    return np.array(found, np.float64).reshape(block.shape[:-1])


def std(block, ddof=0, weights=None):
    found = [_spread(*each, ddof, _root) for each in _rows(block, weights)]
    return np.array(found, np.float64).reshape(block.shape[:-1])


def _rows(block, weights):
    """The elements of each window, and their weights."""
    weights = np.ones(block.shape) if weights is None else weights
    block = block if block.dtype.kind in "iub" else block.astype(np.float64)
    for place in np.ndindex(block.shape[:-1]):
        yield block[place].tolist(), weights[place].tolist()


def _spread(row, weights, ddof, finish):
    if not all(math.isfinite(value) for value in row):
        return math.nan
    row, weights = [Fraction(value) for value in row], [Fraction(weight) for weight in weights]
    total = sum(weights)
    if total <= ddof:
        return math.nan
    mean = sum(w * value for w, value in zip(weights, row, strict=True)) / total
    squares = sum(w * (value - mean) ** 2 for w, value in zip(weights, row, strict=True))
    return finish(squares / (total - Fraction(ddof)))


def _rounded(value):
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _root(square):
    """The root of a fraction of any size, by integers of at least 110 bits."""
    shift = (112 - square.numerator.bit_length() + square.denominator.bit_length()) // 2
    up, down = 4 ** max(shift, 0), 4 ** max(-shift, 0)
    return math.ldexp(math.isqrt(square.numerator * up // (square.denominator * down)), -shift)


VALUES = {"lp": norm, "gem": gem, "lse": lse, "soft": soft, "stochastic": stochastic}
RANKS = {"median": median, "quantile": quantile, "mode": mode}
SPREADS = {"var": var, "std": std}


# d value / d element -------------------------------------------------------------------------------------


def chosen_share(block, sign):
    return (np.arange(block.shape[-1]) == first_extreme(block, sign)[..., None]) * 1.0


def norm_share(block, _, p=2.0):
    if p == math.inf:
        return np.sign(block) * _top_share(np.abs(block))
    ratio = _parts(np.abs(block), norm(block, p))
    return np.sign(block) * np.where(ratio == 0, 0, np.where(ratio == 0, 1, ratio) ** (p - 1))


def _top_share(size):
    """The largest share alike: what the shares of a power tend to as it grows."""
    top = size == size.max(-1)[..., None]
    return top / top.sum(-1)[..., None]


def gem_share(block, _, p=3.0, eps=1e-6):
    if p == math.inf:
        return np.where(block < eps, 0, _top_share(np.maximum(block, eps)))
    ratio = np.maximum(block, eps) / gem(block, p, eps)[..., None]
    return np.where(block < eps, 0, ratio ** (p - 1)) / block.shape[-1]


def soft_share(block, _, beta=1.0):
    return softmax(beta * block) * (1 + beta * (block - soft(block, beta)[..., None]))


def stochastic_share(block, _):
    total = np.maximum(block, 0).sum(-1)[..., None]
    return np.where(block > 0, (2 * block - stochastic(block)[..., None]) / np.where(total == 0, 1, total), 0)


def quantile_share(block, _, q):
    low, high, far = _rank(q, block.shape[-1])
    order = np.argsort(block, -1, kind="stable")
    share = np.zeros(block.shape)
    np.put_along_axis(share, order[..., [high]], far, -1)
    np.put_along_axis(share, order[..., [low]], 1 - far, -1)  # the same place only where `far` is 0
    return share


def var_share(block, _, ddof=0):
    if block.shape[-1] <= ddof:
        return np.zeros(block.shape)
    mean = np.array([share(row, len(row)) for row in block.reshape(-1, block.shape[-1])])
    return 2 * (block - mean.reshape(*block.shape[:-1], 1)) / (block.shape[-1] - ddof)


def std_share(block, _, ddof=0):
    y = std(block, ddof)[..., None]
    return var_share(block, _, ddof) / np.where(y > 0, 2 * y, np.inf)


SHARES = {
    "max": lambda block, _: chosen_share(block, 1),
    "min": lambda block, _: chosen_share(block, -1),
    "avg": lambda block, divisor: np.ones(block.shape) / divisor,
    "sum": lambda block, _: np.ones(block.shape),
    "mixed": lambda block, divisor, alpha=0.5: alpha * chosen_share(block, 1) + (1 - alpha) / divisor,
    "lse": lambda block, _, r=1.0: softmax(r * block),
    "median": lambda block, _: quantile_share(block, _, 0.5),
    "lp": norm_share,
    "gem": gem_share,
    "soft": soft_share,
    "stochastic": stochastic_share,
    "quantile": quantile_share,
    "var": var_share,
    "std": std_share,
}


# Other forms: lists of (part of x, tables for its last axes, part of y) ---------------------------------


def pool_parts(x, op, parts, shape, **options):
    """Values and indices of a result of that shape; 0 and -1 where no part writes."""
    y = np.zeros(shape, object if x.dtype.kind in "iub" else np.float64)
    indices = np.full(shape, -1)
    for source, tables, target in parts:
        value, where = pool(x[source], op, tables, _last(x[source], tables), **options)
        y[target] = value.reshape(y[target].shape)
        indices[target] = where.reshape(y[target].shape)
    return y, indices


def pull_parts(gy, x, op, parts, **options):
    gx = np.zeros(x.shape)
    for source, tables, target in parts:
        axes = _last(x[source], tables)
        g = gy[target].reshape(_shape(x[source], tables, axes))
        gx[source] += pull(g, x[source], op, tables, axes, **options)
    return gx


def _last(x, tables):
    return tuple(range(x.ndim - len(tables), x.ndim))


def spans(starts, stops):
    return [(list(range(lo, hi)), hi - lo) for lo, hi in zip(starts, stops, strict=True)]


def pyramid(shape, levels, count):
    """Parts of x, whose last `count` axes are pooled, and the shape of y."""
    outer, pooled, done, parts = shape[:-count], shape[-count:], 0, []
    channels = math.prod(outer[1:])
    for level in levels:
        width = channels * level**count
        parts.append((..., [bins(n, level) for n in pooled], (..., slice(done, done + width))))
        done += width
    return parts, (*outer[:1], done)


def torch_starts(n, o, k, u, kind):
    """Starts of fractional windows, in the arithmetic of dtype `kind`."""
    if o == 1:
        return [n - k]
    alpha = kind(n - k) / kind(o - 1)
    inner = [int((kind(i) + kind(u)) * alpha) - int(kind(u) * alpha) for i in range(o - 1)]
    return [*inner, n - k]


def torch_fractional(shape, sizes, window, samples, kind=np.float64):
    """Parts of x, whose last axes are pooled: each plane has windows of its own."""
    count = len(sizes)
    outer, pooled, parts = shape[:-count], shape[-count:], []
    for plane in np.ndindex(outer):
        u = samples[plane][::-1] if count == 2 else samples[plane]
        tables = []
        for number, (n, o, k) in enumerate(zip(pooled, sizes, window, strict=True)):
            starts = torch_starts(n, o, k, u[number], kind)
            tables.append(spans(starts, [start + k for start in starts]))
        parts.append((plane, tables, plane))
    return parts, (*outer, *sizes)


def pseudo_sequence(n, o, sample):
    """TensorFlow's pseudorandom boundaries, from 0 to n."""
    alpha, k = n / o, n // o
    u = sample * min((k + 2) / alpha - 1, (n + 1 - k) / alpha - (o - 1))
    return [0, *(math.ceil(alpha * (i + u)) - 1 for i in range(1, o)), n]


def between(sequence, overlapping):
    """Windows between boundaries, with the boundary itself where they overlap."""
    return spans(sequence[:-1], [min(hi + overlapping, sequence[-1]) for hi in sequence[1:]])


def _round(value):
    """Half away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def roi_bins(lo, hi, scale, count, n):
    start = _round(lo * scale)
    size = max(_round(hi * scale) - start + 1, 1)
    starts = [start + p * size // count for p in range(count)]
    stops = [start - (-(p + 1) * size // count) for p in range(count)]
    clipped = [(min(max(lo, 0), n), min(max(hi, 0), n)) for lo, hi in zip(starts, stops, strict=True)]
    return [(list(range(lo, hi)), hi - lo) for lo, hi in clipped]


def roi(shape, boxes, sizes, scale=1.0):
    """Parts of x (N, C, H, W), or of other axes behind C, without the empty bins, and the shape of y."""
    parts, rank = [], len(shape) - 2
    for number, (image, *corners) in enumerate(np.asarray(boxes).tolist()):
        low, high = corners[:rank][::-1], corners[rank:][::-1]  # x is the last axis
        each = zip(low, high, sizes, shape[2:], strict=True)
        tables = [roi_bins(lo, hi, scale, count, n) for lo, hi, count, n in each]
        kept = [[i for i, (elements, _) in enumerate(table) if elements] for table in tables]
        if all(kept):
            full = [[table[i] for i in keep] for table, keep in zip(tables, kept, strict=True)]
            parts.append((int(image), full, np.ix_([number], range(shape[1]), *kept)))
    return parts, (len(boxes), shape[1], *sizes)


def cells(shape, cell):
    """Tables of mosaic cells for the last axes."""
    return [taps(n, k, k, 0, 0, 1, True) for n, k in zip(shape[-len(cell) :], cell, strict=True)]


def spread(y, shape, cell):
    """Each cell's value over its cell."""
    for axis, k in zip(range(-len(cell), 0), cell, strict=True):
        y = np.take(y, np.arange(shape[axis]) // k, axis)
    return y


def _shape(x, tables, axes):
    lengths = dict(zip(axes, map(len, tables), strict=True))
    return tuple(lengths.get(axis, n) for axis, n in enumerate(x.shape))


def _windows(x, tables, axes, include_pad, override):
    """Each window: where it is in the output, its elements last, their flat positions, its divisor."""
    planes = np.moveaxis(x, axes, range(-len(axes), 0))
    shape = planes.shape[-len(axes) :]
    for output in itertools.product(*(range(len(table)) for table in tables)):
        elements = [table[o][0] for table, o in zip(tables, output, strict=True)]
        extents = [table[o][1] for table, o in zip(tables, output, strict=True)]
        block = planes[(..., *np.ix_(*elements))].reshape(*planes.shape[: -len(axes)], -1)
        positions = np.arange(math.prod(shape)).reshape(shape)[np.ix_(*elements)].reshape(-1)
        divisor = override or math.prod(extents if include_pad else map(len, elements))
        where = [slice(None)] * x.ndim
        for axis, o in zip(axes, output, strict=True):
            where[axis] = o
        yield tuple(where), block, positions, divisor


def area_parts(n, outputs):
    """For each cell its elements and the part of each that lies inside."""
    length = Fraction(n, outputs)
    cells = [(i * length, (i + 1) * length) for i in range(outputs)]
    spans = [range(math.floor(low), math.ceil(high)) for low, high in cells]
    return [
        [(j, min(j + 1, high) - max(j, low)) for j in span]
        for (low, high), span in zip(cells, spans, strict=True)
    ]


def binomial_parts(n, window, stride):
    """For each output its elements and their binomial weights."""
    found = []
    for centre in range(0, n, stride):
        taps = [(centre - window // 2 + k, Fraction(math.comb(window - 1, k))) for k in range(window)]
        found.append([(j, weight) for j, weight in taps if 0 <= j < n])
    return found


def weighted(x, op, tables, axes, taken=None, weights=None, least=1):
    """Exact sums or means by parts, None where too few elements take part; and how many do.

    `tables` has for each of `axes` a list of (element, part) for each output.
    """
    shape = list(x.shape)
    for axis, table in zip(axes, tables, strict=True):
        shape[axis] = len(table)
    y, counts = np.empty(shape, object), np.zeros(shape, np.int64)
    for where in np.ndindex(*shape):
        total = weight = Fraction(0)
        for taps in itertools.product(*(t[where[axis]] for axis, t in zip(axes, tables, strict=True))):
            place = list(where)
            for axis, (element, _) in zip(axes, taps, strict=True):
                place[axis] = element
            place = tuple(place)
            if taken is not None and not taken[place]:
                continue
            share = math.prod(part for _, part in taps)
            share *= 1 if weights is None else Fraction(float(weights[place]))
            counts[where] += 1
            weight += share
            value = x[place].item() if x.dtype.kind in "iub" else float(x[place])
            total += share * Fraction(value)
        if counts[where] < least or (weight == 0 and least > 0):
            y[where] = None
        else:
            y[where] = total / weight if op == "avg" else total
    return y, counts
