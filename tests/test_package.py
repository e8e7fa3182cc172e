"""What is published: metadata, the built files, and the files that a code host reads."""

import email
import importlib.util
import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import fastpool as fp

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
FORMS = sorted(GITHUB.glob("ISSUE_TEMPLATE/[!c]*.yml"))  # without config.yml


def read(path):
    return yaml.safe_load((ROOT / path).read_text())


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The files that a release publishes, built twice and checked."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, str(ROOT / "tools" / "build.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def metadata(built):
    with zipfile.ZipFile(built[1]) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
        return email.message_from_bytes(wheel.read(name))


def test_metadata_name_authors_and_addresses(metadata):
    assert metadata["Version"] == fp.__version__
    assert metadata["Author"] == "The fastpool developers"
    kinds = {address.partition(",")[0] for address in metadata.get_all("Project-URL")}
    assert kinds == {"Homepage", "Documentation", "Source", "Changelog", "Issues"}


def test_an_index_shows_the_pictures_and_finds_the_pages(metadata):
    readme, shown = (ROOT / "README.md").read_text(), metadata.get_payload()
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", readme)
    assert pictures
    for path in pictures:
        assert (ROOT / path).is_file()
        assert f"(https://raw.githubusercontent.com/fastpool/fastpool/v{fp.__version__}/{path})" in shown
    targets = re.findall(r"\]\(([^)]+)\)", shown)
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []


def test_the_wheel_holds_the_package_alone(built):
    with zipfile.ZipFile(built[1]) as wheel:
        names = set(wheel.namelist())
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "fastpool").rglob("*.py")}
    assert {name for name in names if ".dist-info/" not in name} == ours | {"fastpool/py.typed"}
    assert not [name for name in names if "rivals" in name]


def test_the_sdist_holds_what_the_tests_read(built):
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = ["CITATION.cff", ".zenodo.json", "SECURITY.md", "CODE_OF_CONDUCT.md", "conda.recipe/recipe.yaml"]
    wanted += ["tools/build.py", "asv_bench/rivals/speeds.py", "tests/test_package.py"]
    wanted += [str(path.relative_to(ROOT)) for path in WORKFLOWS + FORMS]
    assert set(wanted) <= names


@pytest.mark.parametrize(
    ("names", "size", "message"),
    [
        (("fastpool/a.py", "asv_bench/b.py"), 10, "the wheel holds asv_bench beside fastpool"),
        (("fastpool/a.py", "fastpool-1.dist-info/RECORD"), 540_000, "bytes, above 520,000"),
        (("fastpool/a.py", "fastpool-1.dist-info/RECORD"), 10, ""),
    ],
)
def test_a_wheel_with_more_or_too_much_is_refused(tmp_path, names, size, message):
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as wheel:
        for name in names:
            wheel.writestr(name, bytes(size))
    found = tool("build").problem_of(tmp_path / "x.whl")
    assert message in found
    assert bool(message) == bool(found)


def test_one_version_everywhere():
    changes = (ROOT / "CHANGELOG.md").read_text()
    released = re.findall(r"^## \[(\d[^\]]*)\] - (\d{4}-\d\d-\d\d)$", changes, re.MULTILINE)
    citation = read("CITATION.cff")
    assert released[0] == (fp.__version__, citation["date-released"])
    assert citation["version"] == fp.__version__
    assert read("conda.recipe/recipe.yaml")["context"]["version"] == fp.__version__
    assert f"\n[{fp.__version__}]: https://" in changes


def test_changes_are_grouped():
    kinds = re.findall(r"^### (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_zenodo_and_citation_name_the_same():
    zenodo, citation = json.loads((ROOT / ".zenodo.json").read_text()), read("CITATION.cff")
    assert [each["name"] for each in zenodo["creators"]] == [each["name"] for each in citation["authors"]]
    assert zenodo["license"] == citation["license"] == PROJECT["license"]
    assert zenodo["keywords"] == citation["keywords"]


def requirements(lines):
    """Names and bounds, ``numba >=0.61`` and ``numba>=0.61`` alike."""
    return {re.sub(r"\s", "", line) for line in lines}


def test_the_recipe_has_the_projects_requirements():
    recipe = read("conda.recipe/recipe.yaml")
    run = requirements(recipe["requirements"]["run"])
    assert run == requirements(PROJECT["dependencies"]) | {f"python{PROJECT['requires-python']}"}
    limits = requirements(recipe["requirements"]["run_constraints"])
    extra = PROJECT["optional-dependencies"]["cli"]
    assert limits == requirements(line.replace("matplotlib", "matplotlib-base") for line in extra)
    host = requirements(recipe["requirements"]["host"])
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert requirements(build) <= host


def test_each_python_is_classified_and_tested():
    classified = re.findall(r"Python :: (3\.\d+)\b", "\n".join(PROJECT["classifiers"]))
    jobs = read(".github/workflows/tests.yml")["jobs"]
    assert jobs["tests"]["strategy"]["matrix"]["python"] == classified
    assert [name for name in tool("matrix").OLDEST if not name.endswith("t")] == classified
    assert set(jobs["tests"]["strategy"]["matrix"]["system"]) == {
        "ubuntu-latest",
        "macos-latest",
        "windows-latest",
    }


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_pin_actions_and_run_what_is_there(path):
    workflow = yaml.safe_load(path.read_text())
    assert True in workflow  # how YAML 1.1 reads the key "on"
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 180
        needs = job.get("needs", [])
        assert {*([needs] if isinstance(needs, str) else needs)} <= workflow["jobs"].keys()
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", step["uses"])
            for name in re.findall(r"(?:python |pytest | )((?:tools|tests)/\w+\.py)", step.get("run", "")):
                assert (ROOT / name).is_file(), name


def test_workflows_have_their_triggers():
    triggers = {path.stem: yaml.safe_load(path.read_text())[True] for path in WORKFLOWS}
    assert triggers["gate"] == {"pull_request": {"types": ["labeled", "synchronize"]}}
    assert triggers["release"] == {"push": {"tags": ["v*"]}}
    assert triggers["tests"].keys() == triggers["docs"].keys() == {"push", "pull_request"}


def test_only_publishing_may_ask_for_an_identity():
    jobs = read(".github/workflows/release.yml")["jobs"]
    assert [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})] == ["publish"]
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["environment"]["name"] == "pypi"
    assert not re.search(r"secrets\.|password", (GITHUB / "workflows" / "release.yml").read_text())


def test_the_parts_that_workflows_run_are_parts():
    parts = read(".github/workflows/tests.yml")["jobs"]["parts"]["strategy"]["matrix"]["part"]
    script = (ROOT / ".ci" / "run").read_text()
    named = set(re.findall(r"\w+", " ".join(re.findall(r"^    ([\w| ]+)\)", script, re.MULTILINE))))
    assert set(parts) < named


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_forms(path):
    form = yaml.safe_load(path.read_text())
    assert form.keys() == {"name", "description", "labels", "body"}
    names = [field["id"] for field in form["body"]]
    assert len(names) == len(set(names)) > 1
    assert form["body"][0]["validations"] == {"required": True}
    assert all(field["attributes"]["label"] for field in form["body"])


def test_the_matrix_calls_what_the_package_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(tool("matrix").FORMS, "FORMS", "exec"), {})
    assert (tmp_path / "x.npy").is_file()
