"""What type checkers say of calls, and whether the overloads say what the functions take."""

import importlib.util
import inspect
import json
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import fastpool as fp
from fastpool import annotations, checks
from fastpool.operators import OPERATORS

RIGHT = Path(__file__).parent / "type_checks" / "right.py"
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
}
HEAD = "import numpy as np\nimport fastpool as fp\nx = np.zeros((1, 1, 4, 4))\n"


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
    errors = check(tmp_path, RIGHT, *files.values())
    assert not [error for error in errors if RIGHT.name in error.partition(":")[0]]
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


def test_every_operator_has_its_word_and_parameters():
    assert set(typing.get_args(annotations.Op)) == {*OPERATORS, *checks.SYNONYMS}
    named = set(typing.get_type_hints(annotations.Params))
    assert {parameter.name for row in OPERATORS.values() for parameter in row.params} <= named
