"""Which photograph is this a view of? Pooled descriptors compared by mean average precision.

scikit-image's photographs are cut into quarters, each of which is a scene; views of a scene differ by crop,
scale, rotation, contrast and noise. A fixed filter bank gives the activations, which the descriptors pool.
Needs ``fastpool[cli,descriptors]``: ``python examples/retrieval.py``, a minute. It prints a table and draws
it, with two queries, to retrieval.png.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage import data, transform

import fastpool as fp
from fastpool.descriptors import (
    GlobalDescriptor,
    MultiScaleOrderlessPooling,
    cross_dimensional_sum,
    regional_max,
)

Array = NDArray[np.float32]

PHOTOGRAPHS = [
    *("astronaut", "brick", "camera", "cell", "chelsea", "clock", "coffee", "coins", "grass", "gravel"),
    *("hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "rocket", "text"),
]
SIDE = 128  # of a view
GABOR_FREQUENCIES = (0.3, 0.15, 0.075)  # in cycles a pixel
ORIENTATIONS = 6


# Views ---------------------------------------------------------------------------------------------------


def scenes(photographs: list[str]) -> Iterator[NDArray[Any]]:
    """The quarters of each photograph, in colour, from 0 to 1."""
    for name in photographs:
        image = np.asarray(getattr(data, name)()) / 255
        image = image[..., :3] if image.ndim == 3 else np.repeat(image[..., np.newaxis], 3, axis=2)
        middle, centre = image.shape[0] // 2, image.shape[1] // 2
        for rows in (slice(middle), slice(middle, None)):
            for columns in (slice(centre), slice(centre, None)):
                yield image[rows, columns]


def view(scene: NDArray[Any], rng: np.random.Generator) -> Array:
    """A square part of a scene: turned by up to 20 degrees, 60 to 95 % of its side, noisy."""
    height, width = scene.shape[:2]
    part = rng.uniform(0.6, 0.95) * min(height, width)
    left, top = rng.uniform(0, width - part), rng.uniform(0, height - part)
    centre = np.array([left + part / 2, top + part / 2])
    turn = np.deg2rad(rng.uniform(-20, 20))
    to_middle = transform.AffineTransform(translation=(-SIDE / 2, -SIDE / 2))
    from_middle = transform.AffineTransform(scale=part / SIDE, rotation=turn, translation=centre)
    pixels = transform.warp(scene, to_middle + from_middle, output_shape=(SIDE, SIDE), mode="reflect")
    pixels = (pixels - 0.5) * rng.uniform(0.7, 1.2) + 0.5 + rng.normal(0, 0.03, pixels.shape)
    return np.clip(pixels, 0, 1).transpose(2, 0, 1).astype(np.float32)


# A fixed filter bank -------------------------------------------------------------------------------------


def gabor_bank(height: int, width: int) -> Array:
    """Gaussians in the half plane of frequencies: three distances from 0, six directions."""
    y, x = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    filters = []
    for frequency in GABOR_FREQUENCIES:
        for angle in np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS:
            away = (x - frequency * np.cos(angle)) ** 2 + (y - frequency * np.sin(angle)) ** 2
            filters.append(np.exp(-away / (2 * (frequency / 3) ** 2)))
    return np.stack(filters).astype(np.float32)


def slopes(light: Array) -> Array:
    """Of pictures (N, H, W) the gradient along 8 directions, where it is positive."""
    down, right = np.gradient(light, axis=(1, 2))
    angles = 2 * np.pi * np.arange(8) / 8
    return np.stack([np.maximum(down * np.sin(a) + right * np.cos(a), 0) for a in angles], axis=1)


def activations(images: Array) -> Array:
    """Gabor magnitudes, colours and oriented gradients, averaged over 4 x 4 pixels: 32 channels, all >= 0."""
    red, green, blue = images[:, 0], images[:, 1], images[:, 2]
    light = images.mean(1)
    spectrum = np.fft.fft2(light - light.mean((1, 2), keepdims=True))
    bank = gabor_bank(*light.shape[1:])
    gabors = np.stack([np.abs(np.fft.ifft2(spectrum * window)) for window in bank], axis=1)
    opposed = np.stack([red - green, blue - (red + green) / 2, light - 0.5], axis=1)
    colours = np.concatenate([np.maximum(opposed, 0), np.maximum(-opposed, 0)], axis=1)
    maps = np.concatenate([gabors, colours, slopes(light)], axis=1).astype(np.float32)
    pooled: Array = fp.avg_pool(maps, (4, 4))
    return pooled


def patch_activations(patches: Array) -> Array:
    """A patch's channels, averaged over the whole and over its quarters."""
    quarters = fp.adaptive_avg_pool(patches, 2)
    return np.hstack([fp.global_avg_pool(patches), quarters.reshape(len(patches), -1)])


# Descriptors and their ranks -----------------------------------------------------------------------------


def descriptors(known: Array) -> dict[str, Callable[[Array], Any]]:
    """By name, functions from activations to vectors of length 1; MOP learns from those that are known."""
    mop = MultiScaleOrderlessPooling(
        patch_activations, (32, 16, 8), stride=4, n_components=64, n_clusters=16, random_state=0
    )
    return {
        **{kind: GlobalDescriptor(kind).transform for kind in ("sum", "avg", "max", "gem", "avg+max")},
        "CroW": cross_dimensional_sum,
        "R-MAC": regional_max,
        "MOP": mop.fit(known).transform,
    }


def average_precisions(similarity: NDArray[Any], relevant: NDArray[np.bool_]) -> NDArray[Any]:
    """Of each row: the precision at each relevant column's rank, averaged."""
    hits = np.take_along_axis(relevant, ranks(similarity), axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    found: NDArray[Any] = (precision * hits).sum(1) / hits.sum(1)
    return found


def ranks(similarity: NDArray[Any]) -> NDArray[np.int64]:
    """Of each row the columns, the most similar first."""
    return np.argsort(-similarity, axis=1, kind="stable")


# The study -----------------------------------------------------------------------------------------------


class Study(NamedTuple):
    """Views, which of them show one scene, and by descriptor its length and the similarities it finds."""

    scenes: int
    known: Array
    asked: Array
    relevant: NDArray[np.bool_]
    lengths: dict[str, int]
    similarities: dict[str, NDArray[Any]]

    def precisions(self) -> dict[str, NDArray[Any]]:
        """By descriptor the average precision of each query."""
        return {name: average_precisions(found, self.relevant) for name, found in self.similarities.items()}


def study(photographs: list[str], known: int, asked: int) -> Study:
    """Search for `asked` views of each scene among `known` others."""
    rng = np.random.default_rng(0)
    views = [[view(scene, rng) for _ in range(known + asked)] for scene in scenes(photographs)]
    pictures = [np.concatenate([each[part] for each in views]) for part in (slice(known), slice(known, None))]
    database, queries = map(activations, pictures)
    scale = database.std((0, 2, 3), keepdims=True)
    database, queries = database / scale, queries / scale
    owner = np.arange(len(views))
    relevant = np.repeat(owner, asked)[:, np.newaxis] == np.repeat(owner, known)
    lengths, similarities = {}, {}
    for name, describe in descriptors(database).items():
        vectors = describe(database)
        lengths[name], similarities[name] = vectors.shape[1], describe(queries) @ vectors.T
    return Study(len(views), *pictures, relevant, lengths, similarities)


def table(results: Study) -> str:
    """Mean average precision by descriptor, in Markdown."""
    lines = ["| descriptor | length | mean average precision |", "|---|---:|---:|"]
    for name, precisions in results.precisions().items():
        lines.append(f"| {name} | {results.lengths[name]} | {precisions.mean():.3f} |")
    return "\n".join(lines)


def draw(results: Study) -> Any:
    """Mean average precision as bars; beside them the queries on which the best and the worst differ most."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    precisions = results.precisions()
    means = {name: each.mean() for name, each in precisions.items()}
    best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    gain = precisions[best] - precisions[worst]
    figure = plt.figure(figsize=(11, 5.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(4, 7))

    panel = left.subplots()
    bars = panel.barh(
        list(means), list(means.values()), color=["C1" if name in (best, worst) else "C0" for name in means]
    )
    panel.bar_label(bars, fmt="%.3f", padding=2)
    panel.invert_yaxis()
    panel.set(xlim=(0, 1), xlabel="mean average precision", ylabel="descriptor")
    left.suptitle(f"{len(results.asked)} queries among {len(results.known)} views")

    rows = [(int(query), name) for query in (gain.argmax(), gain.argmin()) for name in (best, worst)]
    shown = 5
    for line, (query, name) in zip(right.subplots(len(rows), shown + 1), rows, strict=True):
        found = ranks(results.similarities[name])[query, :shown]
        for panel, picture in zip(line, [results.asked[query], *results.known[found]], strict=True):
            panel.imshow(picture.transpose(1, 2, 0))
            panel.set(xticks=[], yticks=[])
        line[0].set_ylabel(f"{name}\nAP {precisions[name][query]:.2f}", rotation=0, ha="right", va="center")
        line[0].set_title("query", fontsize=9)
        for rank, (panel, true) in enumerate(zip(line[1:], results.relevant[query, found], strict=True), 1):
            panel.set_title(f"{rank}: {'right' if true else 'wrong'}", fontsize=9)
            panel.spines[:].set(color="C2" if true else "C3", linewidth=3)
    right.suptitle(f"Views found first, where {best} gains most on {worst}, and where it loses most")
    return figure


def main() -> None:
    """Print the mean average precision of each descriptor, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photographs", type=int, default=len(PHOTOGRAPHS))
    parser.add_argument("--known", type=int, default=3, help="views of each scene to search among")
    parser.add_argument("--asked", type=int, default=1, help="views of each scene to search for")
    parser.add_argument("--figure", type=Path, default=Path("retrieval.png"))
    options = parser.parse_args()
    results = study(PHOTOGRAPHS[: options.photographs], options.known, options.asked)
    print(f"{len(results.asked)} views searched among {len(results.known)} of {results.scenes} scenes")
    print(table(results))
    draw(results).savefig(options.figure, dpi=100)
    print(f"figure written to {options.figure}")


if __name__ == "__main__":
    main()
