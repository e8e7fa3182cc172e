"""Sizes of the package that is installed.

An environment has no wheel any more, but the files that it held: they are packed here as wheels are, which
gives the size of the wheel but for its entries about itself, some kilobytes that hardly change.
"""

import io
import zipfile
from importlib.util import find_spec
from pathlib import Path

from .common import Benchmark, once

COMPILED = {".pyc", ".nbi", ".nbc"}


def files(folder):
    """What a package's folder holds, without what running it has written there."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in COMPILED)


class Size(Benchmark):
    """Guards against what slips into the wheel: data, generated code."""

    @once
    def setup(self):
        self.folder = Path(find_spec("fastpool").origin).parent

    def track_wheel_size(self):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel:
            for path in files(self.folder):
                wheel.writestr(str(path.relative_to(self.folder.parent)), path.read_bytes())
        return len(packed.getvalue()) / 1e3

    def track_installed_size(self):
        return sum(path.stat().st_size for path in files(self.folder)) / 1e3

    track_wheel_size.unit = track_installed_size.unit = "kB"
