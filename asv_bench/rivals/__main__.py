"""``python -m asv_bench.rivals``."""

from .command import app

app(prog_name="python -m asv_bench.rivals")
