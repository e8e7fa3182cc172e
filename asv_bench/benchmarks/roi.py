"""Regions of interest: the bins of 512 boxes on a detector's feature map, one method a direction."""

import numpy as np

from .common import Benchmark, filled, fp, once

SHAPE = (2, 256, 50, 84)  # an image of 800 x 1344, one pixel in 16 along each axis
SCALE = 1 / 16
BOXES = 512
BINS = 7
CASES = {
    "align avg float32": ("roi_align", "float32", {"op": "avg", "samples": 0}),
    "align avg 2x2 float32": ("roi_align", "float32", {"op": "avg", "samples": 2}),
    "align max 2x2 float32": ("roi_align", "float32", {"op": "max", "samples": 2}),
    "align avg 2x2 float16": ("roi_align", "float16", {"op": "avg", "samples": 2}),
    "pool max float32": ("roi_pool", "float32", {"op": "max"}),
}


def boxes(count):
    """Boxes with sides of 32 to 512 pixels, clipped to the image."""
    rng = np.random.default_rng(7)
    far = np.array([SHAPE[3], SHAPE[2]]) / SCALE
    centre = rng.uniform(0, far, (count, 2))
    half = np.exp(rng.uniform(np.log(16), np.log(256), (count, 2)))
    corners = [np.clip(centre - half, 0, far), np.clip(centre + half, 0, far)]
    images = rng.integers(0, SHAPE[0], (count, 1))
    return np.concatenate([images, *corners], 1).astype(np.float32)


class Regions(Benchmark):
    """Guards interpolation (align, as many samples as a bin is long, or 2x2) and bins of whole elements."""

    params = (list(CASES),)
    param_names = ("case",)

    @once
    def setup(self, case):
        name, dtype, options = CASES[case]
        function, x = getattr(fp, name), filled(SHAPE, dtype)
        call = {"boxes": boxes(BOXES), "output_size": BINS, "scale": SCALE, **options}
        self.forward = lambda: function(x, **call)
        gy, pull = fp.vjp(function, x, **call)
        self.backward = lambda: pull(gy)
        self.forward()
        self.backward()

    def time_forward(self, case):
        self.forward()

    def time_backward(self, case):
        self.backward()
