"""Regions of interest: the bins of 512 boxes on a detector's feature map, one method a direction."""

import numpy as np

import fastpool as fp

from .common import BACKENDS, filled, finish, placed

SHAPE = (2, 256, 50, 84)  # an image of 800 x 1344, one pixel in 16 along each axis
SCALE = 1 / 16
BOXES = 512
BINS = 7


def boxes(count):
    """Boxes with sides of 32 to 512 pixels, clipped to the image."""
    rng = np.random.default_rng(7)
    far = np.array([SHAPE[3], SHAPE[2]]) / SCALE
    centre = rng.uniform(0, far, (count, 2))
    half = np.exp(rng.uniform(np.log(16), np.log(256), (count, 2)))
    corners = [np.clip(centre - half, 0, far), np.clip(centre + half, 0, far)]
    images = rng.integers(0, SHAPE[0], (count, 1))
    return np.concatenate([images, *corners], 1).astype(np.float32)


class Align:
    """Interpolated samples: as many as the bin is long, or four a bin."""

    params = (BACKENDS, ["avg", "max"], [0, 2], ["float32", "float16"])
    param_names = ("backend", "operator", "samples", "dtype")
    timeout = 120

    def setup(self, backend, operator, samples, dtype):
        self.x = placed(filled(SHAPE, dtype)[0], backend)
        self.boxes = placed(boxes(BOXES), backend)
        self.call = {"scale": SCALE, "samples": samples, "op": operator}
        self.gy, self.pull = fp.vjp(fp.roi_align, self.x, self.boxes, BINS, **self.call)
        self.pull(self.gy)

    def time_forward(self, backend, operator, samples, dtype):
        fp.roi_align(self.x, self.boxes, BINS, **self.call)
        finish(backend)

    def time_backward(self, backend, operator, samples, dtype):
        self.pull(self.gy)
        finish(backend)


class Pool:
    """Boxes rounded to whole elements."""

    params = (BACKENDS, ["max", "avg"], ["float32", "float16"])
    param_names = ("backend", "operator", "dtype")
    timeout = 120

    def setup(self, backend, operator, dtype):
        self.x = placed(filled(SHAPE, dtype)[0], backend)
        self.boxes = placed(boxes(BOXES), backend)
        self.gy, self.pull = fp.vjp(fp.roi_pool, self.x, operator, self.boxes, BINS, scale=SCALE)
        self.pull(self.gy)

    def time_forward(self, backend, operator, dtype):
        fp.roi_pool(self.x, operator, self.boxes, BINS, scale=SCALE)
        finish(backend)

    def time_backward(self, backend, operator, dtype):
        self.pull(self.gy)
        finish(backend)
