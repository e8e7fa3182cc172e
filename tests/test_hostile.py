"""Every argument of every public function, given what it was not made for: a result, or a clear error.

Nothing but ValueError and TypeError leaves a call, in our own words, which name an argument; and what came
in is as it was.
"""

import inspect
import re

import numpy as np
import pytest

import fastpool as fp

X = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
Y, CHOSEN = fp.max_pool(X, 2, return_indices=True)
BOXES = np.array([[0.0, 0, 0, 2, 2]])

VALUES = {
    "None": None,
    "True": True,
    "1.5": 1.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "-1": -1,
    "0": 0,
    "2**31": 2**31,
    "2**62": 2**62,
    "2**64": 2**64,
    "10**400": 10**400,
    "str": "spam",
    "bytes": b"spam",
    "complex": 2j,
    "[]": [],
    "[1, 2]": [1, 2],
    "(1, 2, 3)": (1, 2, 3),
    "[[1]]": [[1]],
    "[[]]": [[]],
    "[None]": [None],
    "[2**62, 2**62]": [2**62, 2**62],
    "(2,) * 100": (2,) * 100,
    "{}": {},
    "{2}": {2},
    "range": range(1, 3),
    "object": object(),
    "function": len,
    "Ellipsis": ...,
    "slice": slice(2),
    "float16": np.float16,
    "dtype": np.dtype("M8[s]"),
    "dtype >f4": np.dtype(">f4"),
    "np.array(2)": np.array(2),
    "np.array(2.0)": np.array(2.0),
    "np.array(True)": np.array(True),
    "np.array('a')": np.array("a"),
    "np.array(None)": np.array(None),
    "np.array([2.0])": np.array([2.0]),
    "np.array([2])": np.array([2]),
    "np.array([])": np.array([]),
    "np.array([[2, 2]])": np.array([[2, 2]]),
    "np.array of objects": np.array([2, "a"], object),
    "np.ma.array": np.ma.array([1, 2], mask=[True, False]),
    "np.zeros((4, 0))": np.zeros((4, 0)),
    "np.float32(2)": np.float32(2),
    "np.int8(2)": np.int8(2),
    "np.uint64(2**63)": np.uint64(2**63),
    "np.bool_": np.bool_(True),
    "np.str_": np.str_("max"),
    "np.datetime64": np.datetime64("nat"),
}

GIVEN = {  # of each argument without a default, what is right
    "x": X,
    "op": "max",
    "window": 2,
    "q": 0.5,
    "output_size": 2,
    "cell": 2,
    "boxes": BOXES,
    "ids": np.zeros(1, int),
    "y": Y,
    "i": CHOSEN,
    "indices": CHOSEN,
    "to": "tensorflow",
    "shape": X.shape,
    "f": fp.max_pool,
    "n": 4,
    "layer": "auto",
    "gy": {
        "mosaic_backward": X,
        "pyramid_pool_backward": np.ones((1, 21), np.float32),
        "global_pool_backward": np.ones((1, 1), np.float32),
        "roi_pool_backward": np.ones((1, 1, 2, 2), np.float32),
        "roi_align_backward": np.ones((1, 1, 2, 2), np.float32),
        "segment_pool_backward": X,
    },
    "gx": X,
}
ALSO = {  # what else a call needs
    "area_pool": {"output_size": 2},
    "area_pool_backward": {"output_size": 2},
    "fractional_pool": {"output_size": 2, "window": 2, "rng": 0},
    "fractional_pool_backward": {"output_size": 2, "window": 2, "rng": 0},
    "mosaic": {"op": "max"},
    "stochastic_pool": {"rng": 0},
    "vjp": {"window": 2},
    "explain_call": {"x": X, "window": 2},
}
WHOLE = {"mode_pool": X.astype(np.uint8), "median_pool": X}
FUNCTIONS = [name for name in fp.__all__ if name not in ("set_num_threads", "get_num_threads")]


def arguments_of(name):
    """The right arguments of a function by name, and the names of all."""
    names = [
        parameter.name
        for parameter in inspect.signature(getattr(fp, name)).parameters.values()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    signature = inspect.signature(getattr(fp, name)).parameters
    given = {n: GIVEN[n] for n in names if signature[n].default is inspect.Parameter.empty}
    if isinstance(given.get("gy"), dict):
        given["gy"] = given["gy"].get(name, Y)
    if "x" in given and name in WHOLE:
        given["x"] = WHOLE[name]
    return given | ALSO.get(name, {}), [*names, *(n for n in ALSO.get(name, {}) if n not in names)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_that_were_not_meant(name):
    given, names = arguments_of(name)
    function = getattr(fp, name)
    function(**given)  # the right ones work
    bad = []
    for argument in names:
        for label, value in VALUES.items():
            before = X.tobytes(), Y.tobytes(), CHOSEN.tobytes(), repr(value)
            try:
                function(**(given | {argument: value}))
            except (ValueError, TypeError) as error:
                if argument != "f" and not re.search(rf"\b({'|'.join(names)}|param)", str(error)):
                    bad.append(f"{argument}={label}: {type(error).__name__}: {error}")
            except Exception as error:  # what this is here to find
                bad.append(f"{argument}={label}: {type(error).__name__}: {error}")
            assert before == (X.tobytes(), Y.tobytes(), CHOSEN.tobytes(), repr(value)), (argument, label)
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_numbers_of_threads(value, threads):
    before = fp.get_num_threads()
    try:
        threads(value)
    except (ValueError, TypeError) as error:
        message = str(error)
        assert fp.get_num_threads() == before
        assert re.search(r"\bn\b|threads", message)
