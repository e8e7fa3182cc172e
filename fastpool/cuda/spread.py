"""Backward of regular windows at the speed of memory: a thread gathers for several elements side by side.

The way back of `lines`, whose frame and table it shares: the line is that of the elements, and a loop over
the few windows of each axis that may cover them takes the place of the loop over a window's elements. Where
an index names the chosen element a gradient is taken by that one alone; else every element has its share.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import cuda, types

from ..windows import Geometry, Integers
from . import device, fold, wide
from .array import DeviceArray, c_strides
from .device import NOWHERE, Kernel
from .halves import READ, WRITE
from .lines import (
    BEFORE,
    COLUMNS,
    GROUPS,
    HEAD,
    LENGTH,
    LONGEST,
    OUTER,
    OUTPUTS,
    PLACE,
    PLANE,
    STRIDE,
    Frame,
    Shape,
    framed,
    together,
)

MANY = 64  # windows that may cover an element


def send_chosen(gy: DeviceArray, indices: DeviceArray, geometry: Geometry, gx: DeviceArray) -> bool:
    """Sum into each element the gradients of windows that chose it; False where that does not fit.

    `geometry` is the forward one; all arrays are C-contiguous.
    """
    return _send(gy, indices, geometry, 1.0, gx)


def send_shares(gy: DeviceArray, geometry: Geometry, divisors: Sequence[Integers], gx: DeviceArray) -> bool:
    """Sum into each element the shares of the windows that cover it.

    Divisors are the products of `divisors`; where they differ, or windows are irregular, the skeleton serves.
    """
    alike = all((factor == factor[0]).all() for factor in divisors)
    share = 1.0 / math.prod(int(factor[0]) for factor in divisors)
    if not (alike and _send(gy, None, geometry, share, gx)):
        fold.send_shares(gy, geometry, divisors, gx)
    return True


def _send(
    gy: DeviceArray, indices: DeviceArray | None, geometry: Geometry, share: float, gx: DeviceArray
) -> bool:
    plans = fold.TABLES.setdefault(geometry, {})
    key = ("spread", gx.itemsize)
    if key not in plans:
        frame = framed(geometry, c_strides(geometry.shape, 1))
        shape = frame and _shape(frame, gx)
        plans[key] = None if frame is None or shape is None else (shape, _held(frame, shape, geometry))
    if plans[key] is None:
        return False
    shape, held = plans[key]
    load = math.gcd(shape.load, together(gy.itemsize, gy.address))
    if indices:
        load = math.gcd(load, together(indices.itemsize, indices.address))
    store = math.gcd(shape.store, together(gx.itemsize, gx.address))
    shape = shape._replace(load=load, store=store)
    stored = [kind for a in (gy, gx) for kind in (device.storage(a.dtype), device.raw_name(a.dtype))]
    kernel = _gather(
        (stored[0], stored[1], stored[2], stored[3]), shape, indices.dtype.name if indices else "uint8"
    )
    total = gx.size // shape.lanes
    arrays = gy.flat(), gx.flat(), indices.flat() if indices else NOWHERE
    kernel.launch(*device.grid(total), gx.where, *arrays, device.address_of(held), share, total)
    return True


def _shape(frame: Frame, gx: DeviceArray) -> Shape | None:
    """What the kernel is compiled for; None where lines cannot be cut into a thread's elements."""
    n, outputs, (window, stride, before) = frame.line
    store = together(gx.itemsize, 0, n)
    lanes = store
    while lanes % stride:
        lanes += store
    windows, strides = (tuple(regular[i] for _, _, regular, _ in frame.loops) for i in (0, 1))
    many = math.prod(-(-k // s) for k, s in zip((*windows, window), (*strides, stride), strict=True))
    if n % lanes or lanes > LONGEST or many > MANY:
        return None
    load = together(gx.itemsize, 0, outputs) if not frame.pooled else 1
    large = max(gx.size, math.prod(own for _, own, *_ in frame.loops) * frame.outer[0] * outputs) >= PLANE
    return Shape(windows, strides, window, stride, before, frame.pooled, lanes, load, store, large)


def _held(frame: Frame, shape: Shape, geometry: Geometry) -> Any:
    """The table on the device: strides are those of the windows' results."""
    n, outputs, _ = frame.line
    results = c_strides([own for _, own, *_ in frame.loops] + [outputs], 1)
    outer = outputs * math.prod(own for _, own, *_ in frame.loops)
    places = c_strides(geometry.plane, 1)
    numbers = [n // shape.lanes, n, outputs, outer, 0]
    for number, (length, own, regular, _) in enumerate(frame.loops):
        numbers += [length, own, regular[2], results[number], places[number], 0]
    return device.upload(np.array(numbers, np.int64))


@cache
def _gather(stored: tuple[str, str, str, str], shape: Shape, places: str) -> Kernel:
    """The kernel; `places` is the dtype of indices, "uint8" without."""
    windows, strides, window, stride, before, pooled, lanes, load, store, large = shape
    read, write = READ[stored[0]], WRITE[stored[2]]
    chosen = places != "uint8"
    wide_sum = np.float64 if stored[3] == "float64" else np.float32
    summed = getattr(types, wide_sum.__name__)
    own_type, sent_type, place_type = (getattr(types, kind) for kind in (stored[3], stored[1], places))
    loops, room = len(windows), len(windows) + 1
    covers = tuple(-(-k // s) for k, s in zip(windows, strides, strict=True))
    along = -(-window // stride)
    taps = math.prod(covers)
    inner = tuple(math.prod(covers[axis + 1 :]) for axis in range(loops))
    columns = tuple(HEAD + COLUMNS * axis for axis in range(loops))
    lowest = (
        before // stride - along + 1
    )  # of the windows that may cover a thread's elements, from its first on
    reach = (lanes - 1 + before) // stride - lowest + 1
    step_of = lanes // stride  # windows from thread to thread
    vector = not pooled and load > 1
    number = np.uint64 if large else np.uint32
    bring, put = wide.loader(load), wide.storer(store)
    bring_places = wide.loader(load)

    def walk(gy, gx, indices, table, share, total):
        task, stride_of_tasks = np.int64(cuda.grid(1)), np.int64(cuda.gridsize(1))
        sums, results = cuda.local.array(lanes, summed), cuda.local.array(lanes, own_type)
        raws, sent = cuda.local.array(reach, sent_type), cuda.local.array(reach, summed)
        named, at = cuda.local.array(reach, place_type), cuda.local.array(room, types.int64)
        while task < total:
            groups, outputs = number(table[GROUPS]), table[OUTPUTS]
            row = number(number(task) // groups)
            group = np.int64(number(number(task) - row * groups))
            rest, place = row, np.int64(0)
            for axis in range(loops - 1, -1, -1):
                each = number(table[columns[axis] + LENGTH - 1])
                quotient = number(rest // each)
                i = np.int64(number(rest - quotient * each))
                rest = quotient
                at[axis] = i + table[columns[axis] + BEFORE]
                place += i * table[columns[axis] + PLACE]
            base = np.int64(rest) * table[OUTER]
            first = group * step_of + lowest
            for lane in range(lanes):
                sums[lane] = 0
            for tap in range(taps):
                offset, covered = base, True
                for axis in range(loops):
                    window_of = at[axis] // strides[axis] - tap // inner[axis] % covers[axis]
                    inside = (window_of >= 0) & (window_of < table[columns[axis] + OUTPUTS - 1])
                    covered = covered & inside & (at[axis] - window_of * strides[axis] < windows[axis])
                    offset += window_of * table[columns[axis] + STRIDE]
                if covered:
                    if vector:
                        for piece in range(lanes // load):
                            bring(raws, piece * load, gy, offset + first + piece * load)
                            if chosen:
                                bring_places(named, piece * load, indices, offset + first + piece * load)
                        for i in range(reach):
                            sent[i] = read(raws[i]) * wide_sum(share)
                    else:
                        for i in range(reach):
                            there = (first + i >= 0) & (first + i < outputs)
                            sent[i] = read(gy[offset + first + i]) * wide_sum(share) if there else 0
                            if chosen:
                                named[i] = indices[offset + first + i] if there else -1
                    for lane in range(lanes):
                        for back in range(along):
                            i = (lane + before) // stride - back - lowest
                            if lane + before - (i + lowest) * stride < window:
                                if chosen:
                                    own = place + (group * lanes + lane if pooled else 0)
                                    sums[lane] += sent[i] if named[i] == own else wide_sum(0)
                                else:
                                    sums[lane] += sent[i]
            start = np.int64(row) * table[LENGTH] + group * lanes
            for lane in range(lanes):
                results[lane] = write(sums[lane])
            for piece in range(lanes // store):
                put(gx, start + piece * store, results, piece * store)
            task += stride_of_tasks

    marks = "x".join(map(str, (*windows, window))) + "_s" + "x".join(map(str, (*strides, stride)))
    kind = stored[0] if stored[0] != "native" else stored[1]
    form = f"{'first' if pooled else 'last'}{lanes}_{load}_{store}{'_chosen' if chosen else ''}"
    arrays = stored[1], stored[3], places, "int64"
    return Kernel(walk, f"spread_{kind}_{marks}_{form}", *arrays, types.float64, types.int64)
