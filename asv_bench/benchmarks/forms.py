"""Every form, forward and backward."""

import numpy as np

from .common import Benchmark, filled, fp, once

SHAPE = (4, 64, 56, 56)


def boxes(count):
    """In two images, boxes of 8 to 40 elements a side, as detectors propose them."""
    rng = np.random.default_rng(7)
    corners = rng.uniform(0, 16, (count, 2))
    images = rng.integers(0, 2, (count, 1))
    return np.hstack([images, corners, corners + rng.uniform(8, 40, (count, 2))])


def corners(shape):
    """Indices of the first element of each cell of 2x2, and the length of the axes that they are from."""
    height, width = 2 * shape[2], 2 * shape[3]
    first = np.arange(height * width, dtype=np.int32).reshape(height, width)[::2, ::2]
    return np.ascontiguousarray(np.broadcast_to(first, shape)), (height, width)


BOXES = boxes(128)

# The function, its arguments behind x, or what makes them for an x of some shape, and its keywords.
FORMS = {
    "sliding max 3x3 s2": ("pool", ("max", 3), {"stride": 2}),
    "adaptive avg 7": ("adaptive_pool", ("avg", 7), {}),
    "adaptive max 10": ("adaptive_pool", ("max", 10), {}),
    "global avg": ("global_pool", ("avg",), {}),
    "global max": ("global_pool", ("max",), {}),
    "fractional max torch": ("fractional_pool", ("max",), {"ratio": 0.7, "window": 2, "rng": 1}),
    "fractional avg pseudo": (
        "fractional_pool",
        ("avg",),
        {"ratio": 1.4, "scheme": "pseudo", "overlapping": True, "rng": 1},
    ),
    "pyramid max 1 2 4": ("pyramid_pool", ("max",), {}),
    "roi_pool max 7": ("roi_pool", ("max", BOXES, 7), {}),
    "roi_align avg 7": ("roi_align", (BOXES, 7), {}),
    "mosaic avg 8": ("mosaic", (8, "avg"), {}),
    "unpool 2x2": ("unpool", corners, {}),
}


def calls(form, shape):
    """On one x: the forward call, the backward call of a gradient, and the call that records for a pull."""
    name, behind, keywords = FORMS[form]
    function, pull = getattr(fp, name), getattr(fp, f"{name}_backward")
    arguments = filled(shape), *(behind(shape) if callable(behind) else behind)
    return (
        lambda: function(*arguments, **keywords),
        lambda gy: pull(gy, *arguments, **keywords),
        lambda: fp.vjp(function, *arguments, **keywords),
    )


class Forms(Benchmark):
    """Guards how a form finds its windows, and the kernels that only it has (adaptive, regions, unpool)."""

    params = (list(FORMS),)
    param_names = ("form",)

    @once
    def setup(self, form):
        self.forward, _, record = calls(form, SHAPE)
        gy, pull = record()
        self.backward = lambda: pull(gy)
        self.forward()
        self.backward()

    def time_forward(self, form):
        self.forward()

    def time_backward(self, form):
        self.backward()
