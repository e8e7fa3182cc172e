"""Which photograph is this a view of? Pooled descriptors compared by mean average precision.

scikit-image's photographs are cut into quarters, each of which is a scene; views of a scene differ by crop,
scale, rotation, contrast and noise. A fixed filter bank gives the activations, which the descriptors pool.
Needs scikit-image and scikit-learn: ``python examples/retrieval.py``, a minute or two.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

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


def gabor_bank() -> Array:
    """Gaussians in the half plane of frequencies: three distances from 0, six directions."""
    y, x = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    filters = []
    for frequency in GABOR_FREQUENCIES:
        for angle in np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS:
            away = (x - frequency * np.cos(angle)) ** 2 + (y - frequency * np.sin(angle)) ** 2
            filters.append(np.exp(-away / (2 * (frequency / 3) ** 2)))
    return np.stack(filters).astype(np.float32)


def activations(images: Array) -> Array:
    """Gabor magnitudes, colours and oriented gradients, averaged over 4 x 4 pixels: 32 channels, all >= 0."""
    red, green, blue = images[:, 0], images[:, 1], images[:, 2]
    light = images.mean(1)
    spectrum = np.fft.fft2(light - light.mean((1, 2), keepdims=True))
    gabors = np.stack([np.abs(np.fft.ifft2(spectrum * window)) for window in gabor_bank()], axis=1)
    opposed = np.stack([red - green, blue - (red + green) / 2, light - 0.5], axis=1)
    colours = np.concatenate([np.maximum(opposed, 0), np.maximum(-opposed, 0)], axis=1)
    down, right = np.gradient(light, axis=(1, 2))
    angles = 2 * np.pi * np.arange(8) / 8
    slopes = np.stack([np.maximum(down * np.sin(a) + right * np.cos(a), 0) for a in angles], axis=1)
    maps = np.concatenate([gabors, colours, slopes], axis=1).astype(np.float32)
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


def mean_average_precision(similarity: NDArray[Any], relevant: NDArray[np.bool_]) -> float:
    """Of each row: the precision at each relevant column's rank, averaged; and the mean of the rows."""
    order = np.argsort(-similarity, axis=1, kind="stable")
    hits = np.take_along_axis(relevant, order, axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return float(((precision * hits).sum(1) / hits.sum(1)).mean())


def main() -> None:
    """Print the mean average precision of each descriptor."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photographs", type=int, default=len(PHOTOGRAPHS))
    parser.add_argument("--known", type=int, default=3, help="views of each scene to search among")
    parser.add_argument("--asked", type=int, default=1, help="views of each scene to search for")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    views = [
        [view(scene, rng) for _ in range(options.known + options.asked)]
        for scene in scenes(PHOTOGRAPHS[: options.photographs])
    ]
    known = activations(np.concatenate([each[: options.known] for each in views]))
    asked = activations(np.concatenate([each[options.known :] for each in views]))
    scale = known.std((0, 2, 3), keepdims=True)
    known, asked = known / scale, asked / scale
    owner = np.arange(len(views))
    relevant = np.repeat(owner, options.asked)[:, np.newaxis] == np.repeat(owner, options.known)
    print(f"{len(asked)} views searched among {len(known)} of {len(views)} scenes")
    print(f"{'':10}{'length':>8}{'mean average precision':>26}")
    for name, describe in descriptors(known).items():
        database, queries = describe(known), describe(asked)
        score = mean_average_precision(queries @ database.T, relevant)
        print(f"{name:10}{database.shape[1]:8}{score:26.3f}")


if __name__ == "__main__":
    main()
