"""Sliding windows: operator x direction x shape x window x dtype x layout, one method a direction."""

import numpy as np

import fastpool as fp

from .common import BACKENDS, filled, finish, placed

# A small map (dispatch, short lines) and a network's stem (out of cache).
SHAPES = {"small": (1, 16, 14, 14), "stem": (8, 64, 112, 112)}
# Without overlap, and with overlap and padding. asv starts a process for each cell: keep the product small.
WINDOWS = {
    "2x2 s2": {"window": 2},
    "5x5 s1 p2": {"window": 5, "stride": 1, "padding": 2},
}


class Window:
    """Every operator on every kind of window."""

    params = (
        BACKENDS,
        ["max", "min", "avg", "sum", "lp"],
        list(SHAPES),
        list(WINDOWS),
        ["float32", "float16", "uint8"],
        ["first", "last"],
    )
    param_names = ("backend", "operator", "shape", "window", "dtype", "layout")
    timeout = 120

    def setup(self, backend, operator, shape, window, dtype, layout):
        if operator == "lp" and dtype == "uint8":
            raise NotImplementedError("lp takes floats")
        x, axes = filled(SHAPES[shape], dtype, layout)
        self.x = placed(x, backend)
        self.call = {**WINDOWS[window], "axes": axes}
        y, self.pull = fp.vjp(fp.pool, self.x, operator, **self.call)
        self.gy = placed(np.ones(y.shape, "float32"), backend) if dtype == "uint8" else y
        self.pull(self.gy)

    def time_forward(self, backend, operator, shape, window, dtype, layout):
        fp.pool(self.x, operator, **self.call)
        finish(backend)

    def time_backward(self, backend, operator, shape, window, dtype, layout):
        self.pull(self.gy)
        finish(backend)
