"""Most memory that a process holds, for every form and direction."""

import json
from pathlib import Path

import numpy as np

from .common import Benchmark, once, python
from .forms import FORMS, calls

SHAPE = (16, 64, 128, 128)  # 64 MiB, so that one more array of the input's size is a fifth of the whole
SMALL = (2, 2, 128, 128)

# Compiles in another process, as a compiler needs memory too, and prints the result's shape.
COMPILE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from benchmarks import forms
import fastpool
fastpool.set_num_threads(1)
form, small, shape = sys.argv[2], *map(json.loads, sys.argv[3:])
forward, backward, record = forms.calls(form, tuple(small))
backward(forward())
y, pull = record()
pull(y)
print(json.dumps(forms.calls(form, tuple(shape))[0]().shape))
"""


class Memory(Benchmark):
    """Guards against copies: of inputs, of results, and of what is kept for a gradient.

    "backward" is the call without state, "training" the call that keeps what it needs, and its pull.
    """

    params = (list(FORMS),)
    param_names = ("form",)

    @once
    def setup(self, form):
        self.forward, self.backward, self.record = calls(form, SHAPE)
        shapes = json.dumps(SMALL), json.dumps(SHAPE)
        self.output = json.loads(python(COMPILE, Path(__file__).parents[1], form, *shapes))

    def peakmem_forward(self, form):
        self.forward()

    def peakmem_backward(self, form):
        self.backward(np.ones(self.output, "float32"))

    def peakmem_training(self, form):
        y, pull = self.record()
        pull(y)
