"""Draw the pictures of docs/gallery and write the measured tables of docs/guide.md: no number is typed.

python docs/gallery.py [NAME ...]
"""

import argparse
import functools
import io
import runpy
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from PIL import Image
from skimage import color, data

import fastpool as fp
from fastpool.descriptors import GlobalPoolClassifier, class_activation_map
from fastpool.operators import OPERATORS as ROWS

DOCS = Path(__file__).parent
GUIDE = DOCS / "guide.md"
PARAMETERS = {
    "lp": {"p": 2},
    "gem": {"p": 3},
    "lse": {"r": 10},
    "soft": {"beta": 10},
    "mixed": {"alpha": 0.5},
    "stochastic": {"rng": 0},
    "quantile": {"q": 0.25},
}
LEVELS = 8  # of grey, for mode

DULL = ("count", "var", "std", "nearest")  # say nothing of brightness, or look like the input
OPERATORS = [op for op in ROWS if op not in DULL]


@functools.cache
def example(name):
    """The names of a script in examples/."""
    return SimpleNamespace(**runpy.run_path(str(DOCS.parent / "examples" / f"{name}.py")))


def photograph(name):
    """Grey, from 0 to 1."""
    image = getattr(data, name)()
    return (color.rgb2gray(image[..., :3]) if image.ndim == 3 else image / 255).astype(np.float32)


def pooled(op, x, window):
    """Divided by the value of a white window, so that sums and norms are comparable with the others."""
    if op == "mode":
        return fp.mode_pool((x * (LEVELS - 1)).round().astype(np.uint8), window) / np.float32(LEVELS - 1)
    given = PARAMETERS.get(op, {})
    return fp.pool(x, op, window, **given) / fp.pool(np.ones(window, x.dtype), op, window, **given)


def titled(op):
    named = [f"{name} = {value}" for name, value in PARAMETERS.get(op, {}).items() if name != "rng"]
    return ", ".join([op, *named])


def show(panel, picture, title, **options):
    panel.set_title(title, fontsize=9)
    return panel.imshow(
        picture, **{"cmap": "gray", "vmin": 0, "vmax": 1, "interpolation": "nearest", **options}
    )


def in_pixels(panel, picture):
    """Ticks at the first and the last element of a picture."""
    height, width = picture.shape[:2]
    panel.set(xticks=[0, width - 1], yticks=[0, height - 1])
    panel.tick_params(labelsize=7, length=2)


def markdown(heads, rows, decimals):
    """A table of numbers."""
    lines = [f"| {' | '.join(heads)} |", "|---" + "|---:" * len(decimals) + "|"]
    for name, values in rows.items():
        cells = (f"{value:.{digits}f}" for value, digits in zip(values, decimals, strict=True))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


# Operators -----------------------------------------------------------------------------------------------


def operators():
    """Every operator on one photograph."""
    x, window = photograph("camera")[60:220, 150:310], (5, 5)
    pictures = {"photograph": x, **{titled(op): pooled(op, x, window) for op in OPERATORS}}
    figure, panels = plt.subplots(2, 7, figsize=(12, 4.1), layout="constrained")
    for panel, (title, picture) in zip(panels.flat, pictures.items(), strict=True):
        shown = show(panel, picture, title)
        in_pixels(panel, picture)
    figure.colorbar(shown, ax=panels, label="grey value, 0 black to 1 white", shrink=0.9, pad=0.01)
    figure.supxlabel("column, pixels of the picture drawn", fontsize=9)
    figure.supylabel("row, pixels of the picture drawn", fontsize=9)
    figure.suptitle(f"160 x 160 pixels in windows of {window[0]} x {window[1]}")
    return figure


CONTENTS = {"bright points": "hubble_deep_field", "dark strokes": "page", "texture": "gravel"}
MEASURES = [
    *(f"contrast:\n{content},\nratio" for content in CONTENTS),
    *("noise:\nspread,\nof its own", "noise:\noffset,\nof its spread", "outliers:\nerror,\ngrey value"),
]
DECIMALS = (2, 2, 2, 2, 2, 3)


@functools.cache
def kept():
    """Of each operator, in windows of 8 x 8: what is left of contents, noise and outliers."""
    window, noise, rng = (8, 8), np.float32(0.05), np.random.default_rng(0)
    smooth = photograph("moon") / 2 + np.float32(0.25)
    noisy = smooth + noise * rng.standard_normal(smooth.shape, dtype=np.float32)
    struck = np.where(rng.random(smooth.shape) < 0.01, rng.integers(0, 2, smooth.shape), smooth)
    rows = {}
    for op in OPERATORS:
        images = map(photograph, CONTENTS.values())
        contrasts = [pooled(op, image, window).std() / image.std() for image in images]
        clean = pooled(op, smooth, window)
        error = (pooled(op, noisy, window) - clean) / noise
        outliers = np.abs(pooled(op, struck.astype(np.float32), window) - clean).mean()
        found = [*contrasts, error.std(), error.mean(), outliers]
        rows[op] = [round(float(each), digits) + 0.0 for each, digits in zip(found, DECIMALS, strict=True)]
    return rows


def keeps():
    """What each operator keeps and loses, in numbers."""
    values = np.array(list(kept().values()))
    sizes = np.abs(values)
    figure, panel = plt.subplots(figsize=(8.5, 5.2), layout="constrained")
    shades = panel.imshow(sizes / sizes.max(0), cmap="Blues", vmin=0, vmax=1.5, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        panel.text(column, row, f"{value:.{DECIMALS[column]}f}", ha="center", va="center")
    panel.set_xticks(range(len(MEASURES)), MEASURES)
    panel.set_yticks(range(len(OPERATORS)), [titled(op) for op in kept()])
    panel.tick_params(length=0)
    panel.set(xlabel="measured quantity", ylabel="operator")
    figure.colorbar(
        shades, label="size over the column's largest", boundaries=np.linspace(0, 1, 65), ticks=[0, 0.5, 1]
    )
    figure.suptitle("What is left in windows of 8 x 8 pixels")
    return figure


def keeps_table():
    heads = ["operator", *(measure.replace("\n", " ") for measure in MEASURES)]
    rows = {f"`{titled(op)}`": values for op, values in kept().items()}
    return markdown(heads, rows, DECIMALS)


# Invariance ----------------------------------------------------------------------------------------------


SHIFTS = range(9)
SIDE = 128


@functools.cache
def crops():
    """Oriented gradients of 24 squares of 8 photographs, with room for the shifts, of spread 1."""
    rng, found = np.random.default_rng(0), []
    for name in ("astronaut", "brick", "camera", "coffee", "coins", "grass", "gravel", "chelsea"):
        maps = example("retrieval").slopes(photograph(name)[np.newaxis])[0]
        for _ in range(3):
            y, x = (rng.integers(0, length - SIDE - max(SHIFTS)) for length in maps.shape[1:])
            part = maps[:, y : y + SIDE, x : x + SIDE + max(SHIFTS)]
            found.append(part / part.std())
    return np.stack(found)


def change(reduce):
    """By shift, how far the pooled features move: 1 is the distance between squares of different places.

    ``reduce(maps, number)`` pools; the number differs from call to call, for what is drawn anew.
    """
    first = reduce(crops()[..., :SIDE], 0)
    others = np.mean([np.linalg.norm(a - b) for i, a in enumerate(first) for b in first[:i]])
    moved = (reduce(crops()[..., shift : shift + SIDE], shift + 1) for shift in SHIFTS)
    return [
        float(np.mean([np.linalg.norm(a - b) for a, b in zip(first, maps, strict=True)]) / others)
        for maps in moved
    ]


@functools.cache
def changes():
    """By method, windows and stride of 8; and of max pooling by window."""
    methods = {
        "every 8th element": lambda x, _: x[..., ::8, ::8],
        "stochastic, drawn anew": lambda x, n: fp.stochastic_pool(x, 8, rng=n),
        "fractional max, drawn anew": lambda x, n: fp.fractional_pool(x, "max", 17, window=8, rng=n),
        "max": lambda x, _: fp.max_pool(x, 8),
        "stochastic, expected value": lambda x, _: fp.stochastic_pool(x, 8, training=False),
        "avg": lambda x, _: fp.avg_pool(x, 8),
        "max at stride 1, blurred, every 8th": lambda x, _: fp.avg_pool(fp.max_pool(x, 8, stride=1), 8),
    }
    windows = {f"{k} x {k}": (lambda x, _, k=k: fp.max_pool(x, k)) for k in (2, 4, 8, 16, 32)}
    return tuple({name: change(reduce) for name, reduce in each.items()} for each in (methods, windows))


def invariance():
    """How pooled features change as the picture moves."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 5.6), layout="constrained", sharey=True)
    titles = ("Seven ways to keep one value of 8 x 8", "Max pooling by window (stride = window)")
    for panel, title, curves in zip(panels, titles, changes(), strict=True):
        for name, values in curves.items():
            panel.plot(SHIFTS, values, marker="o", markersize=4, label=name)
        panel.axhline(1, color="grey", linestyle=":", label="another place")
        panel.set(xlabel="shift, pixels", xticks=SHIFTS, ylim=(0, 1.05), title=title)
        panel.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    panels[0].set_ylabel("change, relative to another place's features")
    return figure


def invariance_table():
    methods, windows = changes()
    others = {f"max, window {k}": values for k, values in windows.items() if k != "8 x 8"}
    return markdown(["method", *(f"{shift} px" for shift in SHIFTS)], methods | others, [2] * len(SHIFTS))


# Levels and cells ----------------------------------------------------------------------------------------


def hierarchy():
    """A photograph and its contours, pooled again and again."""
    x = photograph("camera")
    edges = np.hypot(*np.gradient(x))
    edges = np.minimum(edges / np.quantile(edges, 0.99), 1).astype(np.float32)
    rows = {
        "photograph, avg": (x, "avg"),
        "photograph, max": (x, "max"),
        "contours, max": (edges, "max"),
        "contours, avg": (edges, "avg"),
    }
    figure, panels = plt.subplots(4, 7, figsize=(12, 7.4), layout="constrained")
    for row, (line, (name, (picture, op))) in enumerate(zip(panels, rows.items(), strict=True)):
        line[0].set_ylabel(name)
        for level, panel in enumerate(line):
            picture = fp.pool(picture, op, (2, 2)) if level else picture  # noqa: PLW2901
            title = f"level {level}: {len(picture)} x {len(picture)}\n1 value of {2**level} x {2**level} px"
            shown = show(panel, picture, "" if row else title)
            panel.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=panels, label="value, 0 black to 1 white", shrink=0.6, pad=0.01)
    figure.suptitle("Windows of 2 x 2, pooled again from level to level")
    return figure


def mosaic():
    """Each cell's value written back over the cell."""
    x = data.astronaut() / np.float32(255)
    hidden, face = x.copy(), (slice(60, 180), slice(170, 280))
    hidden[face] = fp.mosaic(x[face], 12, axes=(0, 1))
    pictures = {"photograph, 512 x 512": x}
    pictures |= {f"avg, cells of {cell} x {cell}": fp.mosaic(x, cell, axes=(0, 1)) for cell in (8, 20, 60)}
    pictures |= {"avg of 12 x 12, over the face alone": hidden}
    pictures |= {
        f"{op}, cells of 20 x 20": fp.mosaic(x, 20, op, axes=(0, 1)) for op in ("max", "min", "median")
    }
    figure, panels = plt.subplots(2, 4, figsize=(11, 5.9), layout="constrained")
    for panel, (title, picture) in zip(panels.flat, pictures.items(), strict=True):
        show(panel, picture, title)
        in_pixels(panel, picture)
    figure.supxlabel("column, pixels", fontsize=9)
    figure.supylabel("row, pixels", fontsize=9)
    figure.suptitle("Each cell's value written over the cell: fp.mosaic")
    return figure


# How-to pages --------------------------------------------------------------------------------------------


def downsample():
    """Every 8th pixel, means and maxima of a photograph."""
    x = photograph("camera")
    pictures = {
        "photograph, 512 x 512": x,
        "every 8th pixel": x[4::8, 4::8],
        "avg_pool, 8 x 8": fp.avg_pool(x, (8, 8)),
        "max_pool, 8 x 8": fp.max_pool(x, (8, 8)),
    }
    figure, panels = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
    for panel, (title, picture) in zip(panels, pictures.items(), strict=True):
        show(panel, picture, title)
        in_pixels(panel, picture)
    return figure


def labels():
    """Regions with numbers. Means are numbers of other regions, modes are not."""
    seeds = np.random.default_rng(3).random((9, 2)) * 128
    places = np.stack(np.mgrid[:128, :128], axis=-1)[..., None, :]
    found = np.linalg.norm(places - seeds, axis=-1).argmin(-1).astype(np.uint8)
    found = np.random.default_rng(4).permutation(9).astype(np.uint8)[found]
    pictures = {
        "labels, 128 x 128": found,
        "avg_pool, 8 x 8: labels that are not there": fp.avg_pool(found, (8, 8)),
        "mode_pool, 8 x 8": fp.mode_pool(found, (8, 8)),
    }
    figure, panels = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    for panel, (title, picture) in zip(panels, pictures.items(), strict=True):
        show(panel, picture, title, cmap="tab10", vmax=9)
        in_pixels(panel, picture)
    return figure


# Class activation maps -----------------------------------------------------------------------------------


TEXTURES = ("brick", "grass", "gravel")


def features(pictures):
    """Of grey pictures (N, H, W): 32 channels of the retrieval study's filter bank, at every 4th place."""
    return example("retrieval").activations(np.repeat(pictures[:, np.newaxis], 3, axis=1))


@functools.cache
def texture_weights():
    """Scale of the channels, and weights (K, C) of a linear layer on patches with a global average."""
    rng, patches = np.random.default_rng(0), []
    for name in TEXTURES:
        left = photograph(name)[:, :256]
        for y, x in rng.integers(0, (512 - 64, 256 - 64), (60, 2)):
            patches.append(left[y : y + 64, x : x + 64])
    x, y = features(np.stack(patches)), np.repeat(TEXTURES, 60)
    scale = x.std((0, 2, 3), keepdims=True) + np.float32(1e-6)  # the colours are 0
    x = x / scale
    weights = np.zeros((len(TEXTURES), x.shape[1]), np.float32)
    head = GlobalPoolClassifier().fit(x[:, : len(TEXTURES)], y)
    for _ in range(300):
        _, gradient = head.loss_and_gradient(class_activation_map(x, weights), y)
        weights -= np.einsum("nkhw,nchw->kc", gradient, x)
    return scale, weights


def collages():
    """Pictures of several sizes made of the textures' right halves, with the texture of each pixel."""
    layouts = {(128, 128): [[0, 1]], (96, 240): [[1, 2, 0]], (192, 192): [[2, 0], [0, 1]]}
    for (height, width), layout in layouts.items():
        truth = np.kron(layout, np.ones((height // len(layout), width // len(layout[0])), int))
        right = np.stack([photograph(name)[:height, 256 : 256 + width] for name in TEXTURES])
        yield np.take_along_axis(right, truth[np.newaxis], 0)[0], truth


def maps_of(picture):
    """Class activation maps, at every 4th place and enlarged to the picture."""
    scale, weights = texture_weights()
    x = features(picture[np.newaxis]) / scale
    return class_activation_map(x, weights)[0], class_activation_map(x, weights, picture.shape)[0]


def activation_maps():
    """Class activation maps over pictures of three sizes."""
    rows = [(picture, truth, *maps_of(picture)) for picture, truth in collages()]
    limit = np.quantile(np.abs(np.concatenate([maps.ravel() for *_, maps, _ in rows])), 0.99)
    figure, panels = plt.subplots(
        3, 4, figsize=(11, 7.4), layout="constrained", height_ratios=[len(row[0]) + 40 for row in rows]
    )
    for line, (picture, truth, maps, enlarged) in zip(panels, rows, strict=True):
        height, width = picture.shape
        share = 100 * (enlarged.argmax(0) == truth).mean()
        show(
            line[0],
            picture,
            f"{height} x {width} pixels: the largest map\nis the true one at {share:.0f} % of them",
        )
        for panel, name, values, large in zip(line[1:], TEXTURES, maps, enlarged, strict=True):
            title = f"map of {name}\nmean = logit = {values.mean():.2f}"
            shown = show(
                panel, large, title, cmap=mpl.colormaps["RdBu_r"].resampled(17), vmin=-limit, vmax=limit
            )
        for panel in line:
            in_pixels(panel, picture)
    figure.colorbar(
        shown,
        ax=panels,
        label="class activation, whose mean is the logit",
        extend="both",
        shrink=0.6,
        pad=0.01,
    )
    figure.supxlabel("column, pixels", fontsize=9)
    figure.supylabel("row, pixels", fontsize=9)
    figure.suptitle("A linear layer and a global average, learned on 64 x 64 patches")
    return figure


# Windows -------------------------------------------------------------------------------------------------


def covered(f, n, *arguments, **options):
    """Which elements (columns) each output (row) covers: the gradient of a sum."""
    y, pull = fp.vjp(f, np.zeros(n), "sum", *arguments, **options)
    return np.stack([pull(one) for one in np.eye(len(y))])


def windows():
    """The elements that each output covers."""
    fractional = functools.partial(covered, fp.fractional_pool, 15)
    tables = {
        "sliding: window 3, stride 2": covered(fp.pool, 15, (3,), stride=2),
        "adaptive: 15 to 4": covered(fp.adaptive_pool, 15, (4,)),
        "adaptive: 15 to 6": covered(fp.adaptive_pool, 15, (6,)),
        "adaptive: 5 to 8": covered(fp.adaptive_pool, 5, (8,)),
        "fractional, torch: window 2, seed 0": fractional((9,), window=(2,), rng=0),
        "fractional, torch: window 2, seed 1": fractional((9,), window=(2,), rng=1),
        "fractional, random: ratio 1.6": fractional(ratio=(1.6,), scheme="random", rng=0),
        "the same, overlapping": fractional(ratio=(1.6,), scheme="random", overlapping=True, rng=0),
    }
    figure, panels = plt.subplots(2, 4, figsize=(12, 5.6), layout="constrained")
    for panel, (title, table) in zip(panels.flat, tables.items(), strict=True):
        outputs, elements = table.shape
        sharers = table * table.sum(0)
        shown = show(
            panel,
            sharers,
            title,
            cmap=mpl.colormaps["YlGnBu"].resampled(4),
            vmin=-0.5,
            vmax=3.5,
            aspect="auto",
        )
        panel.set_xticks(range(0, elements, 2))
        panel.set_yticks(range(outputs))
        panel.set_xticks(np.arange(elements) - 0.5, minor=True)
        panel.set_yticks(np.arange(outputs) - 0.5, minor=True)
        panel.grid(which="minor", color="white", linewidth=1)
        panel.tick_params(which="both", length=0, labelsize=8)
    figure.colorbar(
        shown, ax=panels, label="outputs that cover the element", ticks=range(4), shrink=0.8, pad=0.01
    )
    figure.supxlabel("element of the input", fontsize=10)
    figure.supylabel("output", fontsize=10)
    return figure


# One call, forward and backward --------------------------------------------------------------------------


def numbers(panel, values, title, marked=None):
    """Cells with their numbers, the marked ones framed."""
    strongest = np.abs(values).max()
    show(panel, values, title, cmap="RdBu_r", vmin=-2 * strongest, vmax=2 * strongest)
    for (row, column), value in np.ndenumerate(values):
        weight = "bold" if marked is not None and marked[row, column] else "normal"
        panel.text(column, row, f"{round(value, 2):g}", ha="center", va="center", fontsize=10, weight=weight)
        if weight == "bold":
            panel.add_patch(
                mpl.patches.Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, linewidth=1.5)
            )
    panel.set(xticks=range(values.shape[1]), yticks=range(values.shape[0]))
    panel.tick_params(length=0, labelsize=7)
    for edge in range(2, len(values), 2):
        panel.axhline(edge - 0.5, color="black", linewidth=0.8)
        panel.axvline(edge - 0.5, color="black", linewidth=0.8)


def steps():
    """Forward and backward of three operators on 4 x 4 numbers."""
    x = np.random.default_rng(0).permutation(16).reshape(4, 4).astype(float)
    gy = np.array([[1.0, 2.0], [3.0, 4.0]])
    calls = {
        "max": (fp.max_pool, {}, "weight", lambda pull: pull(np.ones((2, 2)))),
        "avg": (fp.avg_pool, {}, "weight", lambda pull: pull(np.ones((2, 2)))),
        "stochastic": (
            fp.stochastic_pool,
            {"rng": 3},
            "probability",
            lambda _: x / fp.mosaic(x, (2, 2), "sum"),
        ),
    }
    figure, panels = plt.subplots(3, 5, figsize=(11, 7.2), layout="constrained")
    for line, (name, (f, options, word, weights)) in zip(panels, calls.items(), strict=True):
        y, pull = fp.vjp(f, x, (2, 2), **options)
        gx = pull(gy)
        chosen = None if name == "avg" else gx != 0
        numbers(line[0], x, f"{name}: input x", chosen)
        numbers(line[1], weights(pull), f"{word} of each element", chosen)
        numbers(line[2], y, "output y")
        numbers(line[3], gy, "gradient of y")
        numbers(line[4], gx, "gradient of x", chosen)
    figure.supxlabel("column", fontsize=9)
    figure.supylabel("row", fontsize=9)
    figure.suptitle(
        "Windows of 2 x 2: forward (left three) and backward (right two); framed: the element chosen"
    )
    return figure


# Examples, files -----------------------------------------------------------------------------------------


@functools.cache
def retrieved():
    script = example("retrieval")
    return script.study(script.PHOTOGRAPHS, known=3, asked=1)


@functools.cache
def heads():
    return example("gap_head").study(steps=1000)


FIGURES = {
    "operators": operators,
    "keeps": keeps,
    "invariance": invariance,
    "hierarchy": hierarchy,
    "mosaic": mosaic,
    "downsample": downsample,
    "labels": labels,
    "activation_maps": activation_maps,
    "windows": windows,
    "steps": steps,
    "retrieval": lambda: example("retrieval").draw(retrieved()),
    "gap_head": lambda: example("gap_head").draw(heads()),
}
TABLES = {
    "keeps": keeps_table,
    "invariance": invariance_table,
    "retrieval": lambda: example("retrieval").table(retrieved()),
    "gap_head": lambda: example("gap_head").table(heads()),
}


def save(figure, path):
    """As a PNG of 256 colours, a third of the size."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    plt.close(figure)
    Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def written(text, names):
    """The text with its tables of these names replaced by fresh ones."""
    for name in names:
        begin, end = f"<!-- measured: {name} -->\n", f"\n<!-- end of {name} -->"
        before, rest = text.split(begin)
        text = before + begin + TABLES[name]() + end + rest.split(end)[1]
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *FIGURES], help="by default all")
    names = parser.parse_args().names or list(FIGURES)
    mpl.use("Agg")
    for name in names:
        save(FIGURES[name](), DOCS / "gallery" / f"{name}.png")
        print(f"docs/gallery/{name}.png")
    GUIDE.write_text(written(GUIDE.read_text(), [name for name in names if name in TABLES]))


if __name__ == "__main__":
    main()
