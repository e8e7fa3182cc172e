"""Medians, quantiles and modes: operator x window x dtype, and how cost grows with the window."""

import numpy as np

import fastpool as fp

from .common import BACKENDS, finish, placed

IMAGE = (512, 512)
VOLUME = (64, 64, 64)


def image(dtype):
    return np.random.default_rng(7).integers(0, 256, IMAGE).astype(dtype)


class Median:
    """At stride 1, windows clipped at the edges: networks up to 9x9, histograms of bytes above."""

    params = (BACKENDS, ["median", "quantile"], [3, 5, 9, 51, 101], ["uint8", "float32"])
    param_names = ("backend", "operator", "window", "dtype")
    timeout = 120

    def setup(self, backend, operator, window, dtype):
        if dtype == "float32" and window > 9:
            raise NotImplementedError("large windows are for bytes")
        x, call = placed(image(dtype), backend), {"stride": 1, "padding": window // 2}
        if operator == "median":
            self.call = lambda: fp.median_pool(x, (window, window), **call)
        else:
            self.call = lambda: fp.quantile_pool(x, (window, window), q=0.9, **call)
        self.call()

    def time_forward(self, backend, operator, window, dtype):
        self.call()
        finish(backend)


class Labels:
    """A pyramid's step of a volume of labels: blocks, or a few values at random."""

    params = (BACKENDS, ["blocks", "few"], ["uint8", "uint32", "uint64"], ["C", "F"])
    param_names = ("backend", "labels", "dtype", "order")
    timeout = 120

    def setup(self, backend, labels, dtype, order):
        rng = np.random.default_rng(7)
        if labels == "blocks":
            x = np.kron(rng.integers(0, 100, (8, 8, 8)), np.ones((8, 8, 8), int))
        else:
            x = rng.integers(0, 5, VOLUME)
        self.x = placed(np.array(x, dtype, order=order), backend)
        self.time_mode(backend, labels, dtype, order)

    def time_mode(self, backend, labels, dtype, order):
        fp.mode_pool(self.x, (2, 2, 2))
        finish(backend)
