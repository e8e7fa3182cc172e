"""Fixtures and strategies that several test files share."""

import gc

import numpy as np
import pytest
from hypothesis import settings

import fastpool as fp
from fastpool import jobs
from fastpool.cpu import backward, choose, plans

settings.register_profile("fastpool", deadline=None, derandomize=True, database=None)
settings.load_profile("fastpool")


@pytest.fixture
def rng():
    return np.random.default_rng(20261123)


@pytest.fixture(scope="module", autouse=True)
def quick_collections():
    """Collections of garbage leave out what earlier files compiled, which is gigabytes."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def threads():
    """Sets the number of threads for one test."""
    before = fp.get_num_threads()
    yield fp.set_num_threads
    fp.set_num_threads(before)


@pytest.fixture
def kernels(monkeypatch):
    """The kernels that serve, by their names in the table that chooses."""
    names = []
    original = choose.plan

    def plan(reduction):
        found = original(reduction)
        names.append(found.name if found else "")
        return found

    monkeypatch.setattr(choose, "plan", plan)
    return names


@pytest.fixture
def ways_back(monkeypatch):
    """The ways that gradients take back, by their names in the table that chooses."""
    names = []
    original = backward.plan

    def plan(call):
        choice, found = original(call)
        names.append(choice.name)
        return choice, found

    monkeypatch.setattr(backward, "plan", plan)
    return names


@pytest.fixture
def kernels_for_small_inputs(monkeypatch):
    """Kernels even for small inputs, and none that was kept."""
    monkeypatch.setattr(plans, "WORTHWHILE", 0)
    monkeypatch.setattr(jobs, "_jobs", {})
