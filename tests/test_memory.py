"""What calls take of memory beside their input and their result, and what is kept between them."""

import gc
import tracemalloc

import numpy as np
import pytest

import fastpool as fp
from fastpool import jobs, reuse

SPARE = 2_500_000  # bytes: a few hundred kilobytes a thread, and the interpreter's own
LONG = (4_000_000,)  # as a second and a half of radio or 90 s of sound


def peak(call):
    """The most bytes that a call holds beside what it returns, once all is compiled."""
    call()
    jobs.forget()
    reuse.results.waiting.clear()
    reuse.scratch.waiting.clear()
    gc.collect()
    tracemalloc.start()
    try:
        result = call()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    kept = result if isinstance(result, tuple) else (result,)
    return most - sum(array.nbytes for array in kept)


FORWARD = {
    "cells of a row": (LONG, lambda x: fp.max_pool(x, (2,))),
    "at every element of a row": (LONG, lambda x: fp.max_pool(x, (3,), stride=1, padding=1)),
    "with indices": (LONG, lambda x: fp.max_pool(x, (3,), stride=2, return_indices=True)),
    "averages with edges": (LONG, lambda x: fp.avg_pool(x, (3,), padding=1, count_include_pad=False)),
    "averages of tall planes with edges": (
        (100_000, 40),
        lambda x: fp.avg_pool(x, (2, 2), padding=1, count_include_pad=False),
    ),
    "averages of bytes with edges": (
        (1_000, 4_000),
        lambda x: fp.avg_pool(x.view(np.uint8), (3, 3), stride=2, padding=1, count_include_pad=False),
    ),
    "dilated": (LONG, lambda x: fp.avg_pool(x, (3,), stride=2, dilation=3)),
    "the general kernel": (LONG, lambda x: fp.lse_pool(x, (4,))),
    "every second element": (LONG, lambda x: fp.max_pool(x[::2], (3,), stride=2)),
    "a reversed row": (LONG, lambda x: fp.avg_pool(x[::-1], (2,))),
    "adaptive": (LONG, lambda x: fp.adaptive_pool(x, "avg", (1_500_000,))),
    "median": (LONG, lambda x: fp.median_pool(x, (5,), stride=2)),
    "channels": ((1_000_000, 4), lambda x: fp.max_pool(x, 3, stride=2, axes=(0,))),
    "small planes": ((440_000, 3, 3), lambda x: fp.max_pool(x, 3, stride=1, padding=1, axes=(1, 2))),
    "small cells": ((440_000, 3, 3), lambda x: fp.max_pool(x, 2, stride=1, axes=(1, 2))),
    "strided planes": ((440_000, 3, 3), lambda x: fp.max_pool(x[::2], 2, stride=1, axes=(1, 2))),
    "images": ((4, 8, 350, 350), lambda x: fp.avg_pool(x, 3, stride=2, padding=1)),
    "whole": (LONG, lambda x: fp.global_pool(x, "max", axes=(0,))),
    "whole average": (LONG, lambda x: fp.global_pool(x, "avg", axes=(0,))),
    "whole median": (LONG, lambda x: fp.global_pool(x, "median", axes=(0,))),
    "whole median of bytes": (LONG, lambda x: fp.global_pool(x.view(np.uint8), "median", axes=(0,))),
    "whole mode of bytes": (LONG, lambda x: fp.global_pool(x.view(np.uint8), "mode", axes=(0,))),
    "whole sum of bytes": (LONG, lambda x: fp.global_pool(x.view(np.uint8), "sum", axes=(0,))),
}


@pytest.mark.parametrize("name", FORWARD)
def test_a_call_takes_little_memory_beside_its_input_and_result(name):
    shape, call = FORWARD[name]
    x = np.random.default_rng(0).random(shape, np.float32)
    assert peak(lambda: call(x)) < SPARE


BACKWARD = {
    "max of a row": (LONG, lambda x: fp.vjp(fp.max_pool, x, (3,), stride=2)),
    "avg of a row": (LONG, lambda x: fp.vjp(fp.avg_pool, x, (2,))),
    "avg at every element": (LONG, lambda x: fp.vjp(fp.avg_pool, x, (3,), stride=1)),
    "images": ((4, 8, 350, 350), lambda x: fp.vjp(fp.max_pool, x, 3, stride=2, padding=1)),
    "averages of images": ((4, 8, 350, 350), lambda x: fp.vjp(fp.avg_pool, x, 2)),
    "whole": (LONG, lambda x: fp.vjp(fp.global_pool, x, "avg", axes=(0,))),
}


@pytest.mark.parametrize("name", BACKWARD)
def test_so_does_the_way_back(name):
    shape, call = BACKWARD[name]
    y, pull = call(np.random.default_rng(0).random(shape, np.float32))
    gy = np.ones_like(y)
    assert peak(lambda: pull(gy)) < SPARE


def test_what_is_kept_is_bounded():
    """Calls on rows of ever other lengths, whose tables would fill memory."""
    x = np.zeros(300_000, np.float32)
    gc.collect()
    tracemalloc.start()
    try:
        for n in range(300):
            fp.max_pool(x[: x.size - n], (2001,), stride=1, padding=1000)
            fp.avg_pool(x[: x.size - n], (3,), stride=2, padding=1)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * jobs.MOST


def test_plans_are_forgotten_beyond_a_number_of_bytes(monkeypatch):
    monkeypatch.setattr(jobs, "MOST", 10_000)
    for n in range(200):
        fp.max_pool(np.zeros((40, 40 + n), np.float32), (3, 3), stride=1)
    assert 0 < len(jobs._jobs) < 60
