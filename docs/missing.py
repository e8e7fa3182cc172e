"""Draw docs/missing.png: a raster with holes, pooled in five ways.

python docs/missing.py
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np

import fastpool as fp

mpl.use("Agg")
from matplotlib import pyplot as plt

CELL = 12


def raster(rng):
    """Hills of 240 by 360 with clouds cut out of them, and a coast behind which there is nothing."""
    y, x = np.mgrid[:240, :360] / 60
    hills = np.sin(2 * x + y) + np.cos(1.3 * y * y - x) + 0.2 * rng.normal(size=y.shape)
    noise = fp.blur_pool(fp.blur_pool(rng.normal(size=y.shape), (33, 33), stride=1), (33, 33), stride=1)
    hills[noise > np.quantile(noise, 0.75)] = np.nan
    hills[y + 0.3 * np.sin(5 * x) > 3.4] = np.nan
    return hills


def main():
    x = raster(np.random.default_rng(4))
    cell = (CELL, CELL)
    pictures = {
        "the raster: white is missing": x,
        "avg_pool(x, (12, 12)): a NaN wins": fp.avg_pool(x, cell),
        "avg_pool(x, (12, 12), skipna=True)": fp.avg_pool(x, cell, skipna=True),
        "... min_count=72: half of each cell": fp.avg_pool(x, cell, skipna=True, min_count=72),
        "max_pool(x, (12, 12), skipna=True)": fp.max_pool(x, cell, skipna=True),
        "count_pool(x, (12, 12), skipna=True) / 144": fp.count_pool(x, cell, skipna=True) / CELL**2,
    }
    figure, panels = plt.subplots(2, 3, figsize=(11, 5.6), layout="constrained")
    for panel, (title, picture) in zip(panels.flat, pictures.items(), strict=True):
        limits = (
            {"vmin": 0, "vmax": 1, "cmap": "gray"} if title.startswith("count") else {"vmin": -2, "vmax": 2}
        )
        panel.imshow(picture, interpolation="nearest", **limits)
        panel.set_title(title, fontsize=10)
        panel.axis("off")
    figure.savefig(Path(__file__).with_name("missing.png"), dpi=80)


if __name__ == "__main__":
    main()
