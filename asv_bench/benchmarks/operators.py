"""Every operator on one window, forward and backward: a row a line of the operator table."""

from .common import Benchmark, filled, fp, once, pool_of

SHAPE = (2, 64, 112, 112)
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
    "var": {},
    "std": {},
    "nearest": {},
}
# Those whose gradients share another's kernel, and mode, which has none, are left out.
SHARED = ("min", "sum", "gem p=2.5", "quantile", "mode", "var", "nearest")
PULLED = [operator for operator in OPTIONS if operator not in SHARED]


class Forward(Benchmark):
    """Guards each operator's expressions: one that no longer vectorises, or calls pow, shows in its row."""

    params = (list(OPTIONS),)
    param_names = ("operator",)

    @once
    def setup(self, operator):
        pool, options = pool_of(operator.split()[0]), {**CALL, **OPTIONS[operator]}
        x = filled(SHAPE, "uint8" if operator == "mode" else "float32")
        self.call = lambda: pool(x, **options)
        self.call()

    def time_forward(self, operator):
        self.call()


class Backward(Benchmark):
    """Guards the pull alone: what the forward call kept is at hand, so that keeping less shows here."""

    params = (PULLED,)
    param_names = ("operator",)

    @once
    def setup(self, operator):
        pool = pool_of(operator.split()[0])
        gy, pull = fp.vjp(pool, filled(SHAPE), **CALL, **OPTIONS[operator])
        self.call = lambda: pull(gy)
        self.call()

    def time_backward(self, operator):
        self.call()
