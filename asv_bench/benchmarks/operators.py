"""Every operator on one window, forward and backward: a row a line of the operator table."""

import fastpool as fp

from .common import BACKENDS, filled, finish, placed

SHAPE = (8, 64, 112, 112)
CALL = {"window": 3, "stride": 2}
OPTIONS = {
    "max": {},
    "min": {},
    "avg": {},
    "sum": {},
    "lp": {},
    "gem": {},
    "gem p=2.5": {"p": 2.5},
    "lse": {},
    "soft": {},
    "mixed": {},
    "stochastic": {"rng": 1},
    "stochastic test": {"training": False},
    "median": {},
    "quantile": {"q": 0.3},
    "mode": {},
}


class Forward:
    """Values of float32, and of uint8 for mode."""

    params = (BACKENDS, list(OPTIONS))
    param_names = ("backend", "operator")
    timeout = 120

    def setup(self, backend, operator):
        self.operator = operator.split()[0]
        self.call = {**CALL, **OPTIONS[operator]}
        x, _ = filled(SHAPE, "uint8" if operator == "mode" else "float32")
        self.x = placed(x, backend)
        self.time_forward(backend, operator)

    def time_forward(self, backend, operator):
        fp.pool(self.x, self.operator, **self.call)
        finish(backend)


class Backward:
    """The pull alone: what the forward call kept is at hand."""

    params = (BACKENDS, [operator for operator in OPTIONS if operator != "mode"])
    param_names = ("backend", "operator")
    timeout = 120

    def setup(self, backend, operator):
        x = placed(filled(SHAPE, "float32")[0], backend)
        self.gy, self.pull = fp.vjp(fp.pool, x, operator.split()[0], **CALL, **OPTIONS[operator])
        self.time_backward(backend, operator)

    def time_backward(self, backend, operator):
        self.pull(self.gy)
        finish(backend)
