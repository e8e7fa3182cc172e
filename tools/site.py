"""Build the website: ``python tools/site.py [FOLDER]``.

The documentation comes to the folder, by default ``build/site``, and asv's pages of results to ``asv`` and
``asv-libraries`` in it. A warning is an error. Needs the extra ``docs`` and the project's git history.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = {"asv": "asv.conf.json", "asv-libraries": "libraries.conf.json"}


def document(target: Path) -> None:
    """The documentation."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    subprocess.run([*command, "-d", f"{target}-trees", str(ROOT / "docs"), str(target)], check=True)


def publish(target: Path) -> None:
    """The results of the benchmarks over the history."""
    for folder, config in RESULTS.items():
        command = [sys.executable, "-m", "asv", "--config", config, "publish", "--no-pull"]
        subprocess.run([*command, "--html-dir", str(target / folder)], cwd=ROOT / "asv_bench", check=True)


if __name__ == "__main__":
    out = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").resolve()
    document(out)
    publish(out)
    print(f"The site is in {out}; open index.html.")
