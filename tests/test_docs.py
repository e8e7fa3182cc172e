"""What the documents say is true: the generated table, the code, the public names."""

import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from numba import cuda

import fastpool as fp
from fastpool import checks
from fastpool.operators import OPERATORS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SUPPORT = (ROOT / "docs" / "support.md").read_text()
ELSEWHERE = ("extending.md", "guide.md")  # pages whose code has a test of its own
MARKS = {"gpu.md": [pytest.mark.cuda], "torch.md": [pytest.mark.peer], "jax.md": [pytest.mark.peer]}
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name not in ELSEWHERE]
RUNNABLE = [page for page in PAGES if "```python\n" in page.read_text()]
CHECKS = """
x = np.random.default_rng(0).standard_normal((3, 40, 60)).astype(np.float32)
cells = x.astype(np.float64).reshape(3, 10, 4, 12, 5)
expected = np.sqrt(np.square(cells).mean((2, 4)))
np.testing.assert_allclose(fp.pool(x, "rms", (4, 5)), expected, rtol=1e-6)
np.testing.assert_allclose(fp.pool(x.astype(np.float64), "rms", (4, 5)), expected, rtol=1e-6)
assert "general" not in str(fp.explain_call(fp.pool, x, "rms", (4, 5)))
"""


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_support_table_is_what_the_code_does():
    spec = importlib.util.spec_from_file_location("support_table", ROOT / "docs" / "support_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.written(SUPPORT) == SUPPORT
    assert "| `lp` | F B *p* | F B *p* |" in SUPPORT


def test_the_readmes_commands_are_one_line_each():
    install, test = blocks("bash")[:2]
    assert install.count("\n") == test.count("\n") == 1
    assert "fastpool demo" in install
    assert "pytest" in test


def test_the_readme_is_short():
    assert README.count("\n") <= 120


def test_the_readmes_code_runs():
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=MARKS.get(page.name, ()), id=page.name) for page in RUNNABLE]
)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    """Python, and the commands that read and write files, in the page's order and in one folder."""
    monkeypatch.chdir(tmp_path)
    if page.name == "gpu.md" and not (os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" or cuda.is_available()):
        pytest.skip("no GPU, and not the simulator")
    names = {}
    for language, code in re.findall(
        r"^```(python|sh)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE
    ):
        if language == "python":
            for name in re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE):
                pytest.importorskip(name)
            exec(compile(code, page.name, "exec"), names)
        for line in re.findall(r"^fastpool (p.*)$", code, re.MULTILINE) if language == "sh" else ():
            subprocess.run([sys.executable, "-m", "fastpool", *shlex.split(line, comments=True)], check=True)


def test_the_page_about_extending_runs(tmp_path):
    page = (ROOT / "docs" / "extending.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    told = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    edited = code.replace("math.sqrt(total / divisor)", "2 * math.sqrt(total / divisor)", 1)
    for source, expected in ((code + CHECKS, told), (edited, ["[[10.0, 0.0]]", told[1]])):
        (tmp_path / "extension.py").write_text(source)
        command = sys.executable, "-B", "-c", "import extension"
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == expected


def test_all_lists_what_is_public():
    public = {name for name, value in vars(fp).items() if callable(value) and not name.startswith("_")}
    assert public == set(fp.__all__)
    assert fp.__all__ == sorted(fp.__all__)


@pytest.mark.parametrize("name", fp.__all__)
def test_every_public_function_has_an_example(name):
    assert ">>> " in getattr(fp, name).__doc__


def test_every_operator_has_its_function_and_parameters():
    for op, row in OPERATORS.items():
        f = getattr(fp, f"{op}_pool")
        for parameter in row.params:
            default = inspect.signature(f).parameters[parameter.name].default
            assert parameter.default == (None if default is inspect.Parameter.empty else default)
    assert set(checks.PADDING_WORDS) == set(re.findall(r'"(\w+)"', fp.pool.__doc__)) & set(
        checks.PADDING_WORDS
    )


def test_documents_name_no_place_of_a_machine():
    for path in [*ROOT.glob("*.md"), *ROOT.rglob("docs/**/*.md"), *ROOT.rglob("fastpool/**/*.py")]:
        assert not re.search(r"/(root|home|tmp|work)/", path.read_text()), path
