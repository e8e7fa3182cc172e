"""How kernels are compiled."""

import numpy as np
from numba import njit
from numba.core.codegen import CPUCodeLibrary

from fastpool import jit


def test_functions_that_kernels_call_get_no_machine_code(monkeypatch):
    """Of their own: they are a part of the kernel's, and compiling them twice took as long again."""
    made, finish = [], CPUCodeLibrary._finalize_final_module

    def finalize(library):
        made.append(library.name)
        finish(library)

    def doubled(number):
        return 2 * number

    def apart(numbers):
        for place in range(numbers.size):
            numbers[place] = doubled(numbers[place])

    def kernel(numbers):
        apart(numbers)

    monkeypatch.setattr(CPUCodeLibrary, "_finalize_final_module", finalize)
    jit.expression(doubled)
    jit.outlined(apart)
    numbers = np.arange(5.0)
    njit(**jit.OPTIONS)(kernel)(numbers)
    assert {"doubled", "apart", "kernel"} & {name.rpartition(".")[2] for name in made} == {"kernel"}
    assert numbers.tolist() == [0, 2, 4, 6, 8]
