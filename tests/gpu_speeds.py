"""The rows of `fastpool bench --device cuda` as tests, the most telling first; `gpu_check` runs them."""

import pytest
from numba import config

from asv_bench.rivals import gpu, speeds


@pytest.fixture(autouse=True)
def on_a_gpu():
    pytest.importorskip("torch")
    if config.ENABLE_CUDASIM:
        pytest.skip("times a GPU, not the simulator")


def test_tiny_call(record_property):
    record_property("call_seconds", gpu.launch_cost("cuda"))


@pytest.mark.parametrize(
    "row",
    sorted(gpu.workloads(), key=lambda row: (row.last, row.dtype == "float16")),
    ids=lambda row: row.name,
)
def test_speed(row, record_property):
    record_property("speed", speeds.record(gpu.race(row, 15)))
