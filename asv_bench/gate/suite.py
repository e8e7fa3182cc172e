"""The commits and their environments, and the rows of the suite: asv's own machinery, a folder a side."""

import contextlib
import itertools
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from asv.benchmarks import Benchmarks
from asv.config import Config
from asv.environment import get_environments
from asv.repo import get_repo

SIDES = ("base", "head")  # names of one length: so are the paths that the processes see


@dataclass(frozen=True)
class Row:
    """One benchmark with one choice of its parameters."""

    id: str  # as asv_runner takes it
    label: str  # as asv shows it
    kind: str  # "time", "track" or "peakmemory"
    unit: str


@dataclass(frozen=True)
class Side:
    """One commit, installed."""

    name: str
    commit: str
    python: str
    variables: dict[str, str]
    root: str  # the folder of the benchmarks


class Suite:
    """An `asv.conf.json`, its repository, and where the gate keeps its environments."""

    def __init__(self, config):
        self.config = Path(config).resolve()
        self.folder = self.config.parent
        with contextlib.chdir(self.folder):
            self.conf = Config.load(self.config.name)
            self.repo = get_repo(self.conf)
        self.environments = (self.folder / self.conf.env_dir).parent / "gate"

    def text(self, name):
        """A file beside the configuration without comments and empty lines; nothing where it is absent."""
        path = self.folder / name
        lines = path.read_text().splitlines() if path.is_file() else []
        return [line for line in (line.split("#")[0].strip() for line in lines) if line]

    def commit(self, name):
        """The full hash of a commit; of the work tree as it is, with what is not committed, for None."""
        if name is None:
            made = self._git("stash", "create")
            return made or self._git("rev-parse", "HEAD")
        return self._git("rev-parse", "--verify", f"{name}^{{commit}}")

    def _tree(self, commit):
        """What a commit holds; a work tree with changes becomes another commit each time."""
        return commit and self._git("rev-parse", "--verify", f"{commit}^{{tree}}")

    def _git(self, *arguments):
        command = ["git", "-C", str(self.folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def install(self, commits):
        """Both commits in environments of their own that have the same versions of all else."""
        with contextlib.chdir(self.folder):
            with ThreadPoolExecutor(len(SIDES)) as pool:
                found = list(pool.map(self._installed, SIDES, commits))
            versions = [self._versions(environment) for environment in found]
            if versions[0] != versions[1]:
                found[0].run(["-m", "pip", "install", "--no-deps", *versions[1]])
        self.head = found[1]
        root = str((self.folder / self.conf.benchmark_dir).resolve())
        return [
            Side(name, commit, one.find_executable("python"), one.env_vars, root)
            for name, commit, one in zip(SIDES, commits, found, strict=True)
        ]

    def _installed(self, name, commit):
        conf = Config.load(self.config.name)
        conf.env_dir = str(self.environments / name)
        conf.wheel_cache_size = 0
        environment = next(iter(get_environments(conf, "")))
        try:
            environment.create()
            if self._tree(environment.installed_commit_hash) != self._tree(commit):
                forget_kernels(conf.env_dir)
            environment.install_project(conf, self.repo, commit)
        except BaseException:
            shutil.rmtree(conf.env_dir, ignore_errors=True)
            raise
        return environment

    def _versions(self, environment):
        lines = environment.run(["-m", "pip", "freeze"]).splitlines()
        return [line for line in lines if "==" in line and not line.startswith(f"{self.conf.project}==")]

    def rows(self, commit, only=None):
        """The rows of the suite as the head finds them; those alone that one of the expressions matches."""
        with contextlib.chdir(self.folder):
            found = Benchmarks.discover(self.conf, self.repo, [self.head], [commit])
        expressions = [re.compile(one) for one in only or [""]]
        return [
            row for row in rows_of(found) if any(expression.search(row.label) for expression in expressions)
        ]


def forget_kernels(folder):
    """Remove what numba compiled of an earlier commit.

    pip leaves these files, and not every change of a project makes numba compile its kernels anew.
    """
    for path in Path(folder).rglob("*.nb[ci]"):
        path.unlink()


def rows_of(benchmarks):
    """What asv's discovery found, a row for each choice of parameters."""
    for name, one in sorted(benchmarks.items()):
        if one["type"] not in ("time", "track", "peakmemory"):
            continue
        if not one["params"]:
            yield Row(name, name, one["type"], one["unit"])
            continue
        for number, values in enumerate(itertools.product(*one["params"])):
            yield Row(f"{name}-{number}", f"{name}({', '.join(values)})", one["type"], one["unit"])


def environment(side):
    """What a process of a side finds in its environment: the same for both, but for paths of one length."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_"))}
    return kept | side.variables | {"PYTHONHASHSEED": "0"}
