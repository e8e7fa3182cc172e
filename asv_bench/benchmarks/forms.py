"""Every form with a choosing and an adding operator, forward and backward."""

import numpy as np

import fastpool as fp

from .common import BACKENDS, filled, finish, placed

SHAPE = (4, 64, 56, 56)


def boxes(count):
    """Boxes of 8 to 40 elements a side, as detectors propose them."""
    rng = np.random.default_rng(7)
    corners = rng.uniform(0, 16, (count, 2))
    images = rng.integers(0, SHAPE[0], (count, 1))
    return np.hstack([images, corners, corners + rng.uniform(8, 40, (count, 2))])


def like(x, array):
    """An array where another is."""
    return placed(array, "cpu" if isinstance(x, np.ndarray) else "cuda")


FORMS = {
    "sliding 3x3 s2": lambda x, op: fp.pool(x, op, 3, stride=2),
    "adaptive 7": lambda x, op: fp.adaptive_pool(x, op, 7),
    "global": fp.global_pool,
    "fractional torch": lambda x, op: fp.fractional_pool(x, op, ratio=0.7, window=2, rng=1),
    "fractional random": lambda x, op: fp.fractional_pool(x, op, ratio=1.4, scheme="random", rng=1),
    "fractional pseudo": lambda x, op: fp.fractional_pool(
        x, op, ratio=1.4, scheme="pseudo", overlapping=True, rng=1
    ),
    "pyramid 1 2 4": fp.pyramid_pool,
    "roi_pool 7": lambda x, op: fp.roi_pool(x, op, like(x, boxes(128)), 7),
    "roi_align 7": lambda x, op: fp.roi_align(x, like(x, boxes(128)), 7, op=op),
    "mosaic 8": lambda x, op: fp.mosaic(x, 8, op),
}


class Forms:
    """Form x operator on float32."""

    params = (BACKENDS, list(FORMS), ["max", "avg"])
    param_names = ("backend", "form", "operator")
    timeout = 120

    def setup(self, backend, form, operator):
        self.x = placed(filled(SHAPE, "float32")[0], backend)
        self.gy, self.pull = fp.vjp(FORMS[form], self.x, operator)
        self.pull(self.gy)

    def time_forward(self, backend, form, operator):
        FORMS[form](self.x, operator)
        finish(backend)

    def time_backward(self, backend, form, operator):
        self.pull(self.gy)
        finish(backend)
