"""What type checkers say of calls, and whether the overloads say what the functions take."""

import importlib.util
import inspect
import json
import re
import subprocess
import sys
import typing
from pathlib import Path
from types import SimpleNamespace

import pytest

import fastpool as fp
from fastpool import annotations, checks, compat
from fastpool.operators import OPERATORS

RIGHT = sorted((Path(__file__).parent / "type_checks").glob("*.py"))
WRONG = {
    "a list": "fp.max_pool([[1.0, 2.0]], 2)",
    "a window of floats": "fp.max_pool(x, 2.0)",
    "a window in words": 'fp.avg_pool(x, "2")',
    "no window": "fp.min_pool(x)",
    "another operator": 'fp.pool(x, "maximum", 2)',
    "the keyword of another library": "fp.max_pool(x, 2, strides=2)",
    "another padding": 'fp.max_pool(x, 2, padding="full")',
    "indices of averages": "fp.avg_pool(x, 2, return_indices=True)",
    "a quantile without q": "fp.quantile_pool(x, 2)",
    "one of a pair": "y: np.ndarray = fp.max_pool(x, 2, return_indices=True)",
    "arguments that the function of vjp does not take": "fp.vjp(fp.avg_pool, x, 2, q=0.5)",
    "a parameter of another operator": "fp.lp_pool(x, 2, beta=1)",
    "torch: a kernel of floats": "F.max_pool2d(x, 2.0)",
    "torch: one of a pair": "y: np.ndarray = F.max_pool2d(x, 2, return_indices=True)",
    "torch: no bins": "F.adaptive_avg_pool2d(x, None)",
    "torch: one of a module's pair": "y: np.ndarray = F.MaxPool2d(2, return_indices=True)(x)",
    "TensorFlow: another padding": 'tf_nn.max_pool2d(x, 2, 2, "FULL")',
    "TensorFlow: padding of averages": "tf_nn.avg_pool2d(x, 2, 2, [[0, 0], [1, 1], [1, 1], [0, 0]])",
    "Keras: a list": "keras.MaxPooling2D(2)([[1.0, 2.0]])",
    "ONNX: no arrays": "onnx.run_node(onnx.make_node('GlobalMaxPool', ['x'], ['y']), [[1.0, 2.0]])",
}
HEAD = """
import numpy as np
import fastpool as fp
from fastpool.compat import keras, onnx, tensorflow as tf_nn, torch as F
x = np.zeros((1, 1, 4, 4))
"""


def mypy(folder, *files):
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache"), *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode < 2, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if ": error: " in line]


def pyright(folder, *files):
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(
        [*command, *map(str, files)], capture_output=True, text=True, check=False, cwd=folder
    )
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright does not run here: {done.stderr[-200:]}")
    found = json.loads(done.stdout)["generalDiagnostics"]
    return [f"{one['file']}: {one['message']}" for one in found if one["severity"] == "error"]


def checker(name):
    missing = importlib.util.find_spec(name) is None
    return pytest.param(globals()[name], marks=pytest.mark.skipif(missing, reason=f"{name} is missing"))


@pytest.mark.parametrize("check", [checker("mypy"), checker("pyright")])
def test_checkers_accept_right_calls_and_reject_each_wrong_one(check, tmp_path):
    files = {name: tmp_path / f"wrong{number}.py" for number, name in enumerate(WRONG)}
    for name, file in files.items():
        file.write_text(f"{HEAD}{WRONG[name]}\n")
    errors = check(tmp_path, *RIGHT, *files.values())
    assert not [error for error in errors if any(file.name in error.partition(":")[0] for file in RIGHT)]
    accepted = [name for name, file in files.items() if not any(file.name in error for error in errors)]
    assert not accepted


def overloads(name):
    return typing.get_overloads(inspect.unwrap(getattr(fp, name)))


OVERLOADED = [name for name in fp.__all__ if overloads(name)]


def keywords(overload):
    """The names of all arguments, those of the dictionary among them."""
    names = {}
    for name, parameter in inspect.signature(overload).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            (group,) = typing.get_args(typing.get_type_hints(overload)[name])
            names |= dict.fromkeys(typing.get_type_hints(group))
        else:
            names[name] = None
    return set(names)


@pytest.mark.parametrize("name", OVERLOADED)
def test_overloads_take_what_the_function_takes(name):
    spelled = {n for n in inspect.signature(getattr(fp, name)).parameters if n != "op_params"}
    if "op_params" in inspect.signature(getattr(fp, name)).parameters:
        spelled |= set(typing.get_type_hints(annotations.Params))
    for overload in overloads(name):
        assert keywords(overload) | {"return_indices"} == spelled | {"return_indices"}, overload


@pytest.mark.parametrize("name", fp.__all__)
def test_no_result_is_any(name):
    function = inspect.unwrap(getattr(fp, name))
    for each in overloads(name) or [function]:
        assert typing.get_type_hints(each)["return"] is not typing.Any, each


def seen(function):
    """What type checkers see of a function, or of the call of a protocol: its overloads, or itself."""
    if inspect.isclass(function):  # the call of a protocol has overloads and no body
        name = f"{function.__qualname__}.__call__"
        call = SimpleNamespace(__module__=function.__module__, __qualname__=name)
        return typing.get_overloads(call) or [function.__call__]
    return typing.get_overloads(function) or [function]


def compat_functions():
    """All functions and methods that users of `compat` call, by name, and what type checkers see of each."""
    for module in (compat.keras, compat.onnx, compat.tensorflow, compat.torch):
        declared = typing.get_type_hints(module)  # the protocols of functions that a factory makes
        for name, value in vars(module).items():
            own = name[0] != "_" and getattr(value, "__module__", "") == module.__name__
            if own and inspect.isfunction(value):
                yield f"{module.__name__}.{name}", value, seen(declared.get(name, value))
            if own and inspect.isclass(value) and value.__name__ == name:
                for part, method in inspect.getmembers(value):
                    function = getattr(method, "__func__", method)
                    if inspect.isfunction(function) and re.search(
                        r"\.(__call__|[a-z]\w*)$", function.__qualname__
                    ):
                        yield f"{module.__name__}.{name}.{part}", function, seen(function)


COMPAT = [pytest.param(function, each, id=name) for name, function, each in compat_functions()]


@pytest.mark.parametrize(("function", "each"), COMPAT)
def test_no_result_of_compat_is_any(function, each):
    for one in each:
        assert typing.get_type_hints(one)["return"] is not typing.Any
        taken = [name for name in inspect.signature(one).parameters if name != "self"]
        assert taken == [name for name in inspect.signature(function).parameters if name != "self"]


def test_a_module_with_its_type_is_the_module():
    """A call hands on all attributes of a module: the type must not be among them."""
    assert compat.torch.MaxPool2d[typing.Literal[True]] is compat.torch.MaxPool2d


def test_every_operator_has_its_word_and_parameters():
    assert set(typing.get_args(annotations.Op)) == {*OPERATORS, *checks.SYNONYMS}
    named = set(typing.get_type_hints(annotations.Params))
    assert {parameter.name for row in OPERATORS.values() for parameter in row.params} <= named
