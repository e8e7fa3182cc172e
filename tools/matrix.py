"""Install the built wheel for each Python that is here, with old and new numba and NumPy, and try it.

    python tools/matrix.py [FOLDER OF THE WHEEL] [--python 3.12] [--kept FOLDER]

For each Python there are two environments: one with the newest numba and NumPy, one with the oldest that both
have for it. Each imports fastpool, calls every form, runs the commands that README shows, compiles ahead with
`fastpool warmup`, times the first call after it, and works where nothing can be written. A table says what
passed. The exit status is 1 where something failed; a Python that is not here, or that numba has no wheels
for, is named and fails nothing. Needs rich and virtualenv.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

# The oldest that have wheels for a Python, and that pyproject.toml allows.
OLDEST = {
    "3.11": ("numba==0.61.*", "numpy==1.26.*"),
    "3.12": ("numba==0.61.*", "numpy==1.26.*"),
    "3.13": ("numba==0.61.*", "numpy==2.1.*"),
    "3.14": ("numba==0.63.*", "numpy==2.3.*"),
    "3.14t": ("numba==0.65.*", "numpy==2.3.*"),
}
NEWEST = ("numba", "numpy")
FIRST_CALL = 0.3  # seconds that the first call after `fastpool warmup` may take
FORMS = """
import numpy as np, fastpool as fp
x = np.random.default_rng(0).standard_normal((1, 2, 12, 12), np.float32)
y, pull = fp.vjp(fp.max_pool, x, 2)
assert y.shape == (1, 2, 6, 6) and pull(y).shape == x.shape
assert fp.max_pool(x, 3, stride=2, padding=1, return_indices=True)[1].shape == (1, 2, 6, 6)
assert fp.adaptive_pool(x, "avg", (5, 7)).shape == (1, 2, 5, 7)
assert fp.global_pool(x, "gem").shape == (1, 2)
assert fp.fractional_pool(x, "max", ratio=0.5, window=2, rng=0).shape == (1, 2, 6, 6)
assert fp.pyramid_pool(x, "max", (1, 2)).shape == (1, 10)
boxes = np.array([[0, 1, 2, 9, 8]])
assert fp.roi_pool(x, "max", boxes, 3).shape == fp.roi_align(x, boxes, 3).shape == (1, 2, 3, 3)
assert fp.mosaic(x, 2).shape == x.shape
assert fp.segment_pool(x, np.array([1, 0]), "avg", axis=1).shape == x.shape
assert fp.area_pool(x, (5, 5)).shape == (1, 2, 5, 5)
assert fp.blur_pool(x).shape == (1, 2, 6, 6)
np.testing.assert_allclose(fp.avg_pool(x, 2), x.reshape(1, 2, 6, 2, 6, 2).mean((3, 5)), 1e-5, 1e-6)
np.save("x.npy", x[0, 0])
"""
# Seconds of the first call, as on a machine where importing numba takes no more than 0.2 s.
TIMED = """
import time
begin = time.process_time()
import numba
slower = max(1, (time.process_time() - begin) / 0.2)
import numpy as np, fastpool as fp
x = np.ones((1, 3, 224, 224), np.float32)
begin = time.process_time()
fp.max_pool(x, 2)
print((time.process_time() - begin) / slower)
"""
COMMANDS = {
    "info": ["info"],
    "demo": ["demo", "--repeat", "1"],
    "explain": ["explain", "7", "--window", "3"],
    "pool": ["pool", "x.npy", "y.npy", "--op", "median", "--window", "2,2"],
    "pyramid": ["pyramid", "x.npy", "x.ome.zarr"],
    "warmup": ["warmup", "--op", "max", "--dtype", "float32"],
}
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd / && exec "$@"'


@dataclass
class Cell:
    """An environment: a Python with a numba and a NumPy, and what became of it."""

    python: str
    interpreter: Path
    pins: tuple[str, ...]
    versions: str = ""
    results: dict[str, str] = field(default_factory=dict)  # what failed says why
    skipped: str = ""


def interpreter(name: str) -> Path | None:
    """A Python of this version that starts: on the path, from `py`, or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = [shutil.which(f"python{name}"), *sorted(pyenv.glob(f"{name}.*/bin/python"), reverse=True)]
    for command in [[str(path)] for path in found if path] + [["py", f"-{name}"]]:
        ask = [*command, "-c", "import sys; print(sys.executable)"]
        try:
            done = subprocess.run(ask, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):  # pyenv has commands for what it does not use
            continue
        return Path(done.stdout.strip())
    return None


def run(cell: Cell, step: str, command: list[str], **options: object) -> str:
    """Run a step and note how it ended; what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    cell.results[step] = "" if done.returncode == 0 else (done.stderr or done.stdout)[-2000:] or "failed"
    return done.stdout


def fill(cell: Cell, wheel: Path, folder: Path) -> None:
    """Make the environment, install the wheel, and try all of it."""
    place = folder / "environment"
    made = [sys.executable, "-m", "virtualenv", "-q", "-p", str(cell.interpreter), str(place)]
    subprocess.run(made, check=True)
    scripts = place / ("Scripts" if os.name == "nt" else "bin")
    python, fastpool = str(scripts / "python"), str(scripts / "fastpool")
    words = ["install", "-q", "--disable-pip-version-check", "--only-binary", "numba,numpy,llvmlite"]
    wanted = [f"{wheel}[cli,pyramid]", *cell.pins]
    done = subprocess.run([python, "-m", "pip", *words, *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        cell.skipped = next(
            (line for line in done.stderr.splitlines() if line.startswith("ERROR")), done.stderr[-300:]
        )
        return
    asked = "import numba, numpy; print(numba.__version__, numpy.__version__)"
    work = folder / "work"
    work.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    options = {"cwd": work, "env": environment | {"NUMBA_CACHE_DIR": str(folder / "cache")}}
    cell.versions = run(cell, "import", [python, "-c", f"import fastpool; {asked}"], **options).strip()
    run(cell, "forms", [python, "-W", "error", "-c", FORMS], **options)
    for step, words in COMMANDS.items():
        run(cell, step, [fastpool, *words], **options)
    times = [float(run(cell, "first call", [python, "-c", TIMED], **options) or "inf") for _ in range(3)]
    if min(times) > FIRST_CALL:
        cell.results["first call"] = f"{min(times):.2f} s after warmup"
    read_only(cell, place, python)


def read_only(cell: Cell, place: Path, python: str) -> None:
    """A call where neither the installation nor a home can be written; root needs a mount for that."""
    home = place / "home"
    home.mkdir()
    command = [python, "-W", "ignore", "-c", TIMED]
    if sys.platform != "linux":
        return
    if os.geteuid() == 0:
        command = ["unshare", "-m", "sh", "-c", READ_ONLY, str(place), *command]
    else:
        for path in [place, *place.rglob("*")]:
            path.chmod(path.stat().st_mode & ~0o222)
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    run(cell, "read-only", command, env=kept | {"HOME": str(home), "XDG_CACHE_HOME": str(home)})
    if os.geteuid():
        for path in [place, *place.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)


def table(cells: list[Cell]) -> Table:
    """A line an environment."""
    steps = list(dict.fromkeys(step for cell in cells for step in cell.results))
    found = Table()
    for heading in ("Python", "numba", "NumPy", *steps):
        found.add_column(heading)
    for cell in cells:
        if cell.skipped:
            continue
        words = ["" if step not in cell.results else "no" if cell.results[step] else "yes" for step in steps]
        found.add_row(cell.python, *cell.versions.split(), *words)
    return found


def main() -> int:
    """Fill all cells and show the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", default="dist", type=Path, help="of the wheel; default: dist")
    parser.add_argument("--python", action="append", choices=OLDEST, help="only this version")
    parser.add_argument("--kept", type=Path, help="keep the environments here")
    given = parser.parse_args()
    console = Console(width=160)
    (wheel,) = given.folder.resolve().glob("*.whl")
    cells = []
    for name in given.python or OLDEST:
        found = interpreter(name)
        if found is None:
            console.print(f"Python {name}: not on this machine")
            continue
        cells += [Cell(name, found, pins) for pins in (OLDEST[name], NEWEST)]
    with tempfile.TemporaryDirectory() as temporary:
        for number, cell in enumerate(cells):
            folder = (given.kept or Path(temporary)).resolve() / f"{number}-{cell.python}"
            folder.mkdir(parents=True)
            begin = time.monotonic()
            fill(cell, wheel, folder)
            failed = {step: why for step, why in cell.results.items() if why}
            took = f"{time.monotonic() - begin:.0f} s"
            said = cell.skipped or f"{', '.join(failed) or 'nothing'} failed"
            console.print(f"Python {cell.python} with {', '.join(cell.pins)}: {said} ({took})", markup=False)
            for why in failed.values():
                console.print(why, markup=False)
    console.print(table(cells))
    return int(
        any(why for cell in cells for why in cell.results.values()) or not any(c.results for c in cells)
    )


if __name__ == "__main__":
    sys.exit(main())
