"""Poolings of networks and images, frozen.

A row never changes: results are kept under its name. A new workload is a new row with a new name.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Workload:
    """One operator over sliding windows: (batch, channels, axes), channels last with `last`, or an image."""

    operator: str
    shape: tuple
    window: tuple
    stride: tuple
    padding: tuple
    dtype: str = "float32"
    last: bool = False

    @property
    def image(self):
        return len(self.shape) == len(self.window)

    @property
    def axes(self):
        end = len(self.shape) - self.last
        return tuple(range(end - len(self.window), end))

    @property
    def call(self):
        """Keywords for fastpool's functions."""
        return {"stride": self.stride, "padding": self.padding, "axes": self.axes}

    @property
    def output(self):
        shape = list(self.shape)
        for axis, k, s, p in zip(self.axes, self.window, self.stride, self.padding, strict=True):
            shape[axis] = (shape[axis] + 2 * p - k) // s + 1
        return tuple(shape)

    @property
    def moved(self):
        """Bytes of the input and of the output."""
        return (math.prod(self.shape) + math.prod(self.output)) * np.dtype(self.dtype).itemsize


def flat(operator, shape, k, stride, padding, dtype="float32", *, last=False):
    """A workload with square windows."""
    return Workload(operator, shape, (k, k), (stride, stride), (padding, padding), dtype, last)


# Small maps show what a call costs besides its kernel, large ones are out of cache.
WORKLOADS = {
    "maps 14 max 2x2 s2": flat("max", (1, 16, 14, 14), 2, 2, 0),
    "maps 14 avg 3x3 s1": flat("avg", (1, 16, 14, 14), 3, 1, 1),
    "resnet one image max 3x3 s2": flat("max", (1, 64, 112, 112), 3, 2, 1),
    "resnet one image max 3x3 s2 NHWC": flat("max", (1, 112, 112, 64), 3, 2, 1, last=True),
    "resnet one image max 3x3 s2 float16": flat("max", (1, 64, 112, 112), 3, 2, 1, "float16"),
    "resnet one image max 3x3 s2 uint8": flat("max", (1, 64, 112, 112), 3, 2, 1, "uint8"),
    "inception avg 3x3 s1": flat("avg", (8, 256, 28, 28), 3, 1, 1),
    "inception avg 3x3 s1 NHWC": flat("avg", (8, 28, 28, 256), 3, 1, 1, last=True),
    "inception avg 3x3 s1 float16": flat("avg", (8, 256, 28, 28), 3, 1, 1, "float16"),
    "sppf max 5x5 s1": flat("max", (8, 512, 20, 20), 5, 1, 2),
    "vgg max 2x2 s2": flat("max", (2, 64, 224, 224), 2, 2, 0),
    "whole maps avg 7x7": flat("avg", (64, 512, 7, 7), 7, 1, 0),
    "c3d max 2x2x2": Workload("max", (2, 64, 16, 56, 56), (2, 2, 2), (2, 2, 2), (0, 0, 0)),
    "audio max 4 s4": Workload("max", (4, 128, 16000), (4,), (4,), (0,)),
    "image uint8 mean 2x2 s2": flat("avg", (4096, 4096), 2, 2, 0, "uint8"),
    "image max 7x7 s1": flat("max", (2048, 2048), 7, 1, 3),
    "image mean 31x31 s1": flat("avg", (2048, 2048), 31, 1, 15),
}
