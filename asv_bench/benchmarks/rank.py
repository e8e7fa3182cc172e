"""Medians, quantiles and modes: operator x window x dtype, and how cost grows with the window."""

import numpy as np

from .common import Benchmark, fp, once

IMAGE, SMALL = (512, 512), (64, 64)
VOLUME = (64, 64, 64)
CASES = {
    "median 3x3 uint8": ("median", IMAGE, 3, "uint8", {}),
    "median 3x3 uint8 small": ("median", SMALL, 3, "uint8", {}),
    "median 3x3 float32": ("median", IMAGE, 3, "float32", {}),
    "median 5x5 uint8": ("median", IMAGE, 5, "uint8", {}),
    "median 5x5 float32": ("median", IMAGE, 5, "float32", {}),
    "median 9x9 float32": ("median", IMAGE, 9, "float32", {}),
    "median 51x51 uint8": ("median", IMAGE, 51, "uint8", {}),
    "quantile 5x5 uint8": ("quantile", IMAGE, 5, "uint8", {"q": 0.9}),
    "quantile 5x5 float32": ("quantile", IMAGE, 5, "float32", {"q": 0.9}),
}


class Median(Benchmark):
    """Guards sorting networks (up to 9x9), the histograms of bytes above, and small images; stride 1."""

    params = (list(CASES),)
    param_names = ("case",)

    @once
    def setup(self, case):
        operator, shape, k, dtype, options = CASES[case]
        x = np.random.default_rng(7).integers(0, 256, shape).astype(dtype)
        pool = getattr(fp, f"{operator}_pool")
        self.call = lambda: pool(x, (k, k), stride=1, padding=k // 2, **options)
        self.call()

    def time_forward(self, case):
        self.call()


class Labels(Benchmark):
    """Guards steps of a pyramid of labels: blocks, where cells agree, and few values at random, where not."""

    params = (["blocks", "few"], ["uint8", "uint64"], ["C", "F"])
    param_names = ("labels", "dtype", "order")

    @once
    def setup(self, labels, dtype, order):
        rng = np.random.default_rng(7)
        if labels == "blocks":
            x = np.kron(rng.integers(0, 100, (8, 8, 8)), np.ones((8, 8, 8), int))
        else:
            x = rng.integers(0, 5, VOLUME)
        x, pool = np.array(x, dtype, order=order), fp.mode_pool
        self.call = lambda: pool(x, (2, 2, 2))
        self.call()

    def time_mode(self, labels, dtype, order):
        self.call()
