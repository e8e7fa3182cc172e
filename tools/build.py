"""Build what a release publishes, and check it: ``python tools/build.py [FOLDER]``.

The sdist and the wheel are built from this folder, and once more from the unpacked sdist. Both builds must
give the same bytes. The time stamp of all files is SOURCE_DATE_EPOCH, by default the time of the last commit.
The wheel must hold the package alone and stay under its limit, and ``validate-pyproject`` and ``twine check``
must be clean. The files then lie in FOLDER, by default ``dist``. Needs the extra ``release``.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LARGEST = 520_000  # bytes of the wheel


def build(source: Path, target: Path) -> dict[str, str]:
    """Names of the files that a build makes in a folder, with their digests."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(source)]
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SOURCE_DATE_EPOCH": epoch()}
    )
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(target.iterdir())}


def epoch() -> str:
    """Seconds since 1970 that all files have as their time."""
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return os.environ.get("SOURCE_DATE_EPOCH") or commit or "1580601600"  # hatchling's own, without git


def problem_of(wheel: Path) -> str:
    """What is wrong with the wheel; empty if nothing is."""
    with zipfile.ZipFile(wheel) as packed:
        roots = {name.partition("/")[0] for name in packed.namelist()}
    others = {root for root in roots if root != "fastpool" and not root.endswith(".dist-info")}
    if others:
        return f"the wheel holds {', '.join(sorted(others))} beside fastpool"
    size = wheel.stat().st_size
    return f"the wheel has {size:,} bytes, above {LARGEST:,}" if size > LARGEST else ""


def main(target: Path) -> str:
    """Build, check, and move the files to their folder; what is wrong."""
    with tempfile.TemporaryDirectory() as name:
        first, second, unpacked = (Path(name, folder) for folder in ("first", "second", "unpacked"))
        files = build(ROOT, first)
        (sdist,) = first.glob("*.tar.gz")
        (wheel,) = first.glob("*.whl")
        with tarfile.open(sdist) as archive:
            archive.extractall(unpacked, filter="data")
        (source,) = unpacked.iterdir()
        again = build(source, second)
        differ = [name for name in files if files[name] != again.get(name)]
        if differ:
            return f"a second build differs: {', '.join(differ)}"
        if problem := problem_of(wheel):
            return problem
        subprocess.run([sys.executable, "-m", "validate_pyproject", str(ROOT / "pyproject.toml")], check=True)
        subprocess.run(
            [sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)], check=True
        )
        target.mkdir(exist_ok=True)
        for path in (sdist, wheel):
            shutil.copy(path, target)
            print(f"{files[path.name]}  {path.stat().st_size:,} bytes  {path.name}")
    return ""


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist")) or 0)
