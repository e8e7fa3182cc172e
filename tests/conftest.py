"""Fixtures and strategies that several test files share."""

import numpy as np
import pytest
from hypothesis import settings

import fastpool as fp

settings.register_profile("fastpool", deadline=None, derandomize=True, database=None)
settings.load_profile("fastpool")


@pytest.fixture
def rng():
    return np.random.default_rng(20261123)


@pytest.fixture
def threads():
    """Sets the number of threads for one test."""
    before = fp.get_num_threads()
    yield fp.set_num_threads
    fp.set_num_threads(before)
