"""Regions of interest: the bins of 512 boxes on a detector's feature map, one method a direction."""

import numpy as np

import fastpool as fp

from .common import filled

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

    params = (["avg", "max"], [0, 2], ["float32", "float16"])
    param_names = ("operator", "samples", "dtype")
    timeout = 120

    def setup(self, operator, samples, dtype):
        self.x, _ = filled(SHAPE, dtype)
        self.boxes = boxes(BOXES)
        self.call = {"scale": SCALE, "samples": samples, "op": operator}
        self.gy, self.pull = fp.vjp(fp.roi_align, self.x, self.boxes, BINS, **self.call)
        self.pull(self.gy)

    def time_forward(self, operator, samples, dtype):
        fp.roi_align(self.x, self.boxes, BINS, **self.call)

    def time_backward(self, operator, samples, dtype):
        self.pull(self.gy)


class Pool:
    """Boxes rounded to whole elements."""

    params = (["max", "avg"], ["float32", "float16"])
    param_names = ("operator", "dtype")
    timeout = 120

    def setup(self, operator, dtype):
        self.x, _ = filled(SHAPE, dtype)
        self.boxes = boxes(BOXES)
        self.gy, self.pull = fp.vjp(fp.roi_pool, self.x, operator, self.boxes, BINS, scale=SCALE)
        self.pull(self.gy)

    def time_forward(self, operator, dtype):
        fp.roi_pool(self.x, operator, self.boxes, BINS, scale=SCALE)

    def time_backward(self, operator, dtype):
        self.pull(self.gy)
