"""Multi-scale pyramids of images and volumes that need not fit memory: dask in, OME-Zarr 0.5 out.

Level l reduces cells of ``factor**l`` elements of level 0 itself, so that averages are rounded once, and
modes and medians are those of all elements. The extras (dask, zarr, tifffile) are imported where they are
used.
"""

import json
import math
import os
import re
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import api, checks, files, threads
from .annotations import Op

OPERATORS: dict[str, Op] = {
    "mean": "avg",
    "max": "max",
    "min": "min",
    "mode": "mode",
    "median": "median",
    "nearest": "nearest",
}
NESTED = ("max", "min", "nearest")  # the same from the level before as from level 0
TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
BY_NUMBER = {1: "x", 2: "yx", 3: "zyx", 4: "czyx", 5: "tczyx"}
OF_TIFF = str.maketrans("sqi", "czz")  # samples; axes without a name
CHUNK = {2: 1024, 3: 128}  # side of a chunk of a level, by the number of spatial axes
BLOCK_BYTES = 2**25  # of level 0 that a task reads
LONE_CELLS = 16  # a cell by itself takes the time of that many among all
SMALLEST = 256  # levels are added until no side is longer
# What zarr has in the folder of a pyramid, with what it leaves when it is killed.
WRITTEN = re.compile(r"zarr\.json|\d+(/zarr\.json|/c(/\d+)*)?|([\w/]*/)?\w+\.[0-9a-f]{32}\.partial")


def _nothing() -> None:
    """An image without an open file."""


class Image(NamedTuple):
    """Hold an image that is read block by block.

    `read` makes one from a file. Any array with ``shape``, ``dtype`` and slices will do as well.

    Parameters
    ----------
    array : array
        With ``shape``, ``dtype`` and slices; its memory is a file's.
    axes : str
        Letters of ``tczyx``, one for each axis.
    chunks : tuple of int
        What it can be read in without reading anything twice.
    close : callable, optional
        For when it has been read.
    path : Path, optional
        The file or folder.
    palette : bool
        Whether its values are numbers of colours, so that only modes of them mean anything.

    See Also
    --------
    read : Make one from a file.
    write : Write its pyramid.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.pyramid import Image
    >>> Image(np.zeros((4, 6), np.uint8), "yx", (1, 6)).axes
    'yx'
    """

    array: Any
    axes: str
    chunks: tuple[int, ...]
    close: Callable[[], None] = _nothing
    path: Path | None = None
    palette: bool = False


class Slices:
    """Read slices of an array in a file.

    A file that is damaged is a ValueError. A memory map lives for as long as a slice is copied from it, no
    longer.

    Parameters
    ----------
    path : Path
        The file, for messages.
    opened : callable
        Opens the array.
    *arguments
        What `opened` takes.

    See Also
    --------
    read : Makes one for each file.
    Image : Holds one.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from fastpool.pyramid import Slices
    >>> Slices(Path("zeros.npy"), np.zeros, (4, 6))[:2].shape
    (2, 6)
    """

    def __init__(self, path: Path, opened: Callable[..., Any], *arguments: Any) -> None:
        self.path, self.opened, self.arguments = path, opened, arguments
        array = opened(*arguments)
        self.shape, self.dtype, self.ndim = tuple(array.shape), array.dtype, len(array.shape)

    def __getitem__(self, place: Any) -> Any:
        with files.guarded("read", self.path):
            return np.array(self.opened(*self.arguments)[place])


def _itself(array: Any) -> Any:
    return array


# Reading -------------------------------------------------------------------------------------------------


def read(path: Path, axes: str | None = None) -> Image:
    """Open an image in a NumPy, TIFF or Zarr file.

    Nothing but the header is read; the image is read in blocks when it is used.

    Parameters
    ----------
    path : Path
        A ``.npy``, ``.tif`` or ``.tiff`` file, a Zarr array, or an OME-Zarr image, whose first level is
        taken.
    axes : str, optional
        Letters of ``tczyx``, in the file's order; by default what the file says, else ``zyx`` and the like.
        Three and more axes without names must be named where the last one, or the first of three, is as short
        as an axis of colours.

    Returns
    -------
    Image
        The open image.

    Raises
    ------
    ValueError
        If the file is of another kind or damaged, or if axes do not fit.
    OSError
        If it cannot be opened.

    See Also
    --------
    write : Write the pyramid of an image.

    Notes
    -----
    TIFF files need the extra ``fastpool[cli]``, Zarr ``fastpool[pyramid]``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from fastpool import pyramid
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder, "image.npy"), np.zeros((4, 6), np.uint8))
    ...     image = pyramid.read(Path(folder, "image.npy"))
    >>> image.axes, image.array.shape
    ('yx', (4, 6))
    """
    path = files.local("IN", path)
    suffix = path.suffix.lower()
    if path.is_dir() and any((path / name).exists() for name in ("zarr.json", ".zarray", ".zgroup")):
        opened = _read_zarr
    elif suffix in READERS:
        files.check_input(path)
        opened = READERS[suffix]
    else:
        raise ValueError(
            f"IN must be a .npy, .tif or .tiff file or a Zarr folder that exists, got {str(path)!r}"
        )
    with files.guarded("read", path):
        image = opened(path)
    try:
        return image._replace(axes=_checked_axes(axes or image.axes, image.array.shape), path=path)
    except BaseException:
        image.close()
        raise


def _read_npy(path: Path) -> Image:
    array = Slices(path, files.map_npy, path)
    return Image(array, "", (1,) * array.ndim)


def _map_tiff(path: Path, shape: tuple[int, ...], dtype: str, offset: int) -> Any:
    return np.memmap(path, dtype, "r", offset, shape)


def _read_tiff(path: Path) -> Image:
    import tifffile  # noqa: PLC0415 - an extra

    with files.open_tiff(path) as series:
        if (orientation := series.keyframe.tags.valueof(274, 1)) != 1:
            raise ValueError(f"it is stored turned or mirrored (orientation {orientation}): turn it first")
        shape, place, palette = series.shape, series.dataoffset, series.keyframe.photometric.name == "PALETTE"
        axes = "" if files.unnamed(series.axes) else series.axes.lower().translate(OF_TIFF)
        if place is not None:
            dtype = series.dtype.newbyteorder(series.keyframe.parent.byteorder).str
            array = Slices(path, _map_tiff, path, shape, dtype, place)
            return Image(array, axes, (1,) * len(shape), palette=palette)
        number = series.parent.series.index(series)
    import zarr  # noqa: PLC0415 - an extra

    store: Any = tifffile.imread(path, aszarr=True, series=number, level=0)
    try:
        found = zarr.open_array(store, mode="r")
    except BaseException:
        store.close()
        raise
    return Image(Slices(path, _itself, found), axes, found.chunks, store.close, palette=palette)


def _read_zarr(path: Path) -> Image:
    import zarr  # noqa: PLC0415 - an extra

    found: Any = zarr.open(path, mode="r")
    if isinstance(found, zarr.Group):
        ome = found.attrs.get("ome", found.attrs)
        if "multiscales" not in ome:
            raise ValueError("it must be a Zarr array or an OME-Zarr image, not another group")
        first: Any = ome["multiscales"][0]
        axes = "".join(axis["name"] for axis in first["axes"])
        found = found[first["datasets"][0]["path"]]
    else:
        names = getattr(found.metadata, "dimension_names", None) or ()
        axes = "".join(names) if all(names) else ""
    chunks = getattr(found, "shards", None) or found.chunks
    return Image(Slices(path, _itself, found), axes, chunks)


READERS = {".npy": _read_npy, **dict.fromkeys(files.TIFFS, _read_tiff)}


def _checked_axes(axes: str, shape: Sequence[int]) -> str:
    ndim = len(shape)
    if not axes and ndim not in BY_NUMBER:
        raise ValueError(f"IN must have 1 to 5 axes, got {ndim}")
    if not axes and ndim > 2 and (shape[-1] <= files.FEW or (ndim == 3 and shape[0] <= files.FEW)):
        last, first = BY_NUMBER[ndim - 1] + "c", BY_NUMBER[ndim]
        other = last if shape[-1] <= files.FEW else "cyx"
        raise ValueError(
            f"IN has the shape {tuple(shape)} and no names of its axes, which may be {other} (with colours "
            f"or channels) or {first}: say axes {other} or axes {first}"
        )
    axes = axes or BY_NUMBER[ndim]
    if len(axes) != ndim or len(set(axes)) < ndim or not set(axes) <= set(TYPES) or "x" not in axes:
        raise ValueError(
            f"axes must be different letters of tczyx, with x, one for each of {ndim} axes, got {axes!r}"
        )
    return axes


# Writing -------------------------------------------------------------------------------------------------


def write(
    source: Image,
    target: Path,
    *,
    op: str = "mean",
    levels: int | None = None,
    factor: int | Sequence[int] = 2,
    chunk: int | Sequence[int] | None = None,
    scale: Sequence[float] | None = None,
    missing: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> list[tuple[int, ...]]:
    """Write an image and its reductions as one OME-Zarr 0.5 image.

    Level l reduces cells of ``factor**l`` elements of level 0 itself, so that averages are rounded once and
    modes and medians are those of all elements. The result appears under its name when it is complete: until
    then it is `target` with ``.partial`` behind its name, which a later call removes. Reads and writes are
    tasks of dask's current scheduler.

    Parameters
    ----------
    source : Image
        From `read`, or any array with slices in an `Image`.
    target : Path
        A folder that does not exist yet.
    op : {"mean", "max", "min", "mode", "median", "nearest"}
        What a cell becomes.
    levels : int, optional
        Number of levels, level 0 among them. By default until no side is longer than 256; at most until no
        level is smaller than the one before.
    factor : int or sequence of int
        From level to level; one for all spatial axes, or one for each of them.
    chunk : int or sequence of int, optional
        Sides of the chunks that are written, of the spatial axes.
    scale : sequence of float, optional
        Size of an element of level 0 along each axis.
    missing : dict, optional
        ``nodata``, ``skipna`` and ``min_count`` as in `fastpool.pool`. Such elements are left out, and cells
        without enough others are missing themselves: they have the value ``nodata`` where there is one, else
        NaN.
    overwrite : bool
        Replace the pyramid at `target`, once the result is complete. Only what this function wrote, with
        nothing else in it, is ever removed.

    Returns
    -------
    list of tuple of int
        The shapes of the levels.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or the image a dtype that the operator does not take.
    ValueError
        If arguments do not fit the image.
    FileExistsError
        If `target` exists, or anything else is in the way.
    FileNotFoundError
        If the folder of `target` does not exist.
    PermissionError
        If the folder of `target` cannot be written to.

    See Also
    --------
    read : Open an image.
    fastpool.pyramid_pool : Bins of several levels, which is another thing.

    Notes
    -----
    Means of integers are rounded half up; modes, for labels, take the smallest of ties; ``"nearest"`` takes
    the first element of each cell. All are exact at every level. It needs the extra ``fastpool[pyramid]``.

    References
    ----------
    .. [1] Moore et al. 2023, OME-Zarr: a cloud-optimized bioimaging file format with international community
       support, Histochemistry and Cell Biology 160.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from fastpool import pyramid
    >>> image = pyramid.Image(np.zeros((64, 96), np.uint8), "yx", (64, 96))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pyramid.write(image, Path(folder, "out.zarr"), levels=3)
    [(64, 96), (32, 48), (16, 24)]
    """
    import dask.array as da  # noqa: PLC0415 - an extra

    target = files.local("OUT", target)
    partial = target.with_name(f"{target.name}.partial")
    op = "mean" if op == "avg" else op
    if op not in OPERATORS:
        raise ValueError(f"op must be one of {', '.join(OPERATORS)}, got {op!r}")
    if np.dtype(source.array.dtype).kind not in "biuf":
        raise TypeError(f"IN must hold numbers, got {source.array.dtype}")
    if source.palette and op not in ("mode", "nearest"):
        raise ValueError(f"IN has a palette: its values are numbers of colours, of which {op} means nothing")
    _check_target(source, target, partial, overwrite)
    axes = "".join(letter for letter in TYPES if letter in source.axes)
    spatial = [axis for axis, letter in enumerate(axes) if TYPES[letter] == "space"]
    order = [source.axes.index(letter) for letter in axes]
    shape = tuple(source.array.shape[axis] for axis in order)
    if math.prod(shape) == 0:
        raise ValueError(f"IN must not be empty, got the shape {shape}")
    steps = _spread("factor", factor, spatial, len(shape))
    longest = max(2, *(shape[axis] for axis in spatial))
    if max(steps) > longest:
        raise ValueError(f"factor must be at most the longest side, {longest}, got {factor}")
    sides = _spread("chunk", CHUNK[max(2, len(spatial))] if chunk is None else chunk, spatial, len(shape))
    sizes = _scale(scale, len(shape))
    count = _levels(shape, steps, SMALLEST)
    if levels is not None:
        count, most = checks.integer("levels", levels, minimum=1), _levels(shape, steps, 1)
        if count > most:
            raise ValueError(f"levels must be at most {most} for the shape {shape}, got {count}")
    chunks = tuple(min(side, n) for side, n in zip(sides, shape, strict=True))
    blocks = _blocks(source, order, shape, chunks, [step ** (count - 1) for step in steps])
    own = tuple(blocks[order.index(axis)] for axis in range(len(shape)))
    x = da.from_array(source.array, chunks=own, asarray=True, name=False).transpose(order)
    pyramid = _reduce(x, op, steps, spatial, count, missing or {})
    attributes = _metadata(target, axes, op, steps, sizes, count)
    _check_own(partial)
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir()
    try:
        _store(partial, pyramid, attributes, axes, chunks)
        _check_own(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if target.exists():
        shutil.rmtree(target)
    os.replace(partial, target)
    return [level.shape for level in pyramid]


def _check_target(source: Image, target: Path, partial: Path, overwrite: bool) -> None:
    """Refuse, before the work, a target that could not be written after it."""
    files.check_folder("OUT", target)
    if source.path is not None and _overlap(source.path, target):
        raise ValueError(f"OUT must not be IN, lie in it or hold it, got {str(target)!r}")
    if os.path.lexists(target) and not overwrite:
        raise FileExistsError(f"OUT exists: {str(target)!r}; say overwrite to replace it")
    _check_own(target, partial)


def _overlap(one: Path, other: Path) -> bool:
    """Whether they are one file or folder, by whatever names, or one lies in the other."""
    parts = [Path(os.path.realpath(path)) for path in (one, other)]
    return any(a == b or a in b.parents for a, b in (parts, reversed(parts))) or (
        other.exists() and os.path.samefile(one, other)
    )


def _check_own(*paths: Path) -> None:
    """Refuse to remove what `write` did not write: every file in it, as its attributes say."""
    for path in paths:
        if os.path.lexists(path) and not _is_own(path):
            raise FileExistsError(f"{str(path)!r} is not, or not only, what fastpool wrote: move it away")


def _is_own(path: Path) -> bool:
    try:
        image = json.loads((path / "zarr.json").read_bytes())["attributes"]["ome"]["multiscales"][0]
        if path.is_symlink() or not image["metadata"]["method"].startswith("fastpool."):
            return False
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False
    for folder, folders, names in os.walk(path):
        for each in (Path(folder, name) for name in folders + names):
            if each.is_symlink() or not WRITTEN.fullmatch(each.relative_to(path).as_posix()):
                return False
    return True


def _spread(name: str, value: Any, spatial: Sequence[int], ndim: int) -> tuple[int, ...]:
    """A number for each axis: 1 for those that are not spatial."""
    entries = [checks.integer(name, entry, minimum=1) for entry in checks.entries(name, value, len(spatial))]
    given = dict(zip(spatial, entries, strict=True))
    return tuple(given.get(axis, 1) for axis in range(ndim))


def _scale(scale: Sequence[float] | None, ndim: int) -> tuple[float, ...]:
    sizes = tuple(map(float, scale or (1,) * ndim))
    if len(sizes) != ndim or not all(0 < size < math.inf for size in sizes):
        raise ValueError(f"scale must have a number above 0 for each of {ndim} axes, got {scale!r}")
    return sizes


def _levels(shape: Sequence[int], steps: Sequence[int], smallest: int) -> int:
    """Until no side that shrinks is longer than `smallest`."""
    count, sides = 1, list(shape)
    while any(n > smallest and step > 1 for n, step in zip(sides, steps, strict=True)):
        sides = [-(-n // step) for n, step in zip(sides, steps, strict=True)]
        count += 1
    return count


def _blocks(
    source: Image, order: Sequence[int], shape: Sequence[int], chunks: Sequence[int], cells: Sequence[int]
) -> list[int]:
    """Sides of the blocks that are read: whole chunks of both files, whole cells, some `BLOCK_BYTES`."""
    least = (
        math.lcm(chunk, cell, source.chunks[axis])
        for axis, chunk, cell in zip(order, chunks, cells, strict=True)
    )
    units = [min(unit, n) for unit, n in zip(least, shape, strict=True)]
    blocks = list(units)
    itemsize = np.dtype(source.array.dtype).itemsize
    for axis in reversed(range(len(shape))):  # whole rows first: files keep them together
        room = BLOCK_BYTES // (math.prod(blocks) * itemsize)
        blocks[axis] = min(max(room, 1) * blocks[axis], shape[axis])
    return blocks


def _reduce(
    x: Any, op: str, steps: Sequence[int], spatial: Sequence[int], count: int, missing: dict[str, Any]
) -> list[Any]:
    """The levels; where cells must have several elements, each is made of those of level 0."""
    levels = [x]
    if missing.get("nodata") is not None:  # one file has one value for what is missing, at every level
        missing = {"fill": missing["nodata"]} | missing
    for number in range(1, count):
        if (
            op == "mode" and x.dtype.kind in "iub" and number > 2 and not missing
        ):  # of few elements the kernel is the faster way
            levels.append(_lazy_modes(x, steps, number))
            continue
        nested = op in NESTED and missing.get("min_count", 1) == 1
        window = tuple(steps[axis] if nested else steps[axis] ** number for axis in spatial)
        source = levels[-1] if nested else x
        levels.append(api.pool(source, OPERATORS[op], window, axes=tuple(spatial), ceil_mode=True, **missing))
    return levels


def _lazy_modes(x: Any, steps: Sequence[int], number: int) -> Any:
    cell = [step**number for step in steps]
    chunks = tuple(tuple(-(-n // k) for n in own) for own, k in zip(x.chunks, cell, strict=True))
    return x.map_blocks(modes, steps=steps, number=number, chunks=chunks, dtype=x.dtype, meta=x._meta)


def modes(x: Any, *, steps: Sequence[int], number: int) -> Any:
    """Reduce large cells of labels to their modes, by two guesses.

    The first guess is the mode of modes of small cells, the second the same without the first. The more
    frequent of them is the mode where fewer elements are left than it has; elsewhere the kernel counts all
    values.

    Parameters
    ----------
    x : ndarray of int
        Whole cells, but at its end.
    steps : sequence of int
        From level to level, one for each axis.
    number : int
        The level; cells have ``step**number`` elements along an axis.

    Returns
    -------
    ndarray
        The modes, of the dtype of `x`; of ties the smallest.

    See Also
    --------
    fastpool.mode_pool : The same result, one window at a time.
    write : What uses it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.pyramid import modes
    >>> modes(np.array([5, 1, 1, 2, 2, 2, 2, 3, 3, 4]), steps=(2,), number=3)
    array([2, 3])
    """
    axes = tuple(range(x.ndim))
    cell = tuple(step**number for step in steps)
    with threads.alone():
        parts = x
        for _ in range(number - 1):
            parts = api.mode_pool(parts, tuple(steps), axes=axes, ceil_mode=True)
        first = api.mode_pool(parts, tuple(steps), axes=axes, ceil_mode=True)
        marked = parts ^ _enlarged(first, steps, parts.shape)  # 0 where a part agrees with the first guess
        second = first ^ api.mode_pool(marked, tuple(steps), axes=axes, ceil_mode=True, ignore=0)
        own = _count(x == _enlarged(first, cell, x.shape), cell)
        other = np.where(second == first, 0, _count(x == _enlarged(second, cell, x.shape), cell))
        left = _sizes(x.shape, cell) - own - other
        unsure = np.maximum(own, other) <= left
        if np.count_nonzero(unsure) * LONE_CELLS > unsure.size:
            return api.mode_pool(x, cell, axes=axes, ceil_mode=True)
        y = np.where(own > other, first, np.where(own < other, second, np.minimum(first, second)))
        for place in np.argwhere(unsure):
            elements = x[tuple(slice(i * k, (i + 1) * k) for i, k in zip(place, cell, strict=True))]
            y[tuple(place)] = api.global_pool(elements, "mode", axes=axes)
    return y


def _count(which: Any, cell: Sequence[int]) -> Any:
    """How many elements of each cell are True: an axis at a time, in as few bits as serve."""
    whole = [(0, -n % k) for n, k in zip(which.shape, cell, strict=True)]
    counts, most = (np.pad(which, whole) if any(map(any, whole)) else which).view(np.uint8), 1
    for axis, k in enumerate(cell):
        most *= k
        split = (*counts.shape[:axis], -1, k, *counts.shape[axis + 1 :])
        counts = np.add.reduce(counts.reshape(split), axis + 1, np.min_scalar_type(most))
    return counts.astype(np.int64)


def _sizes(shape: Sequence[int], cell: Sequence[int]) -> Any:
    """How many elements each cell has."""
    sides = [np.minimum(k, n - np.arange(0, n, k)) for n, k in zip(shape, cell, strict=True)]
    return math.prod(np.ix_(*sides))


def _enlarged(y: Any, cell: Sequence[int], shape: Sequence[int]) -> Any:
    """Each value over its cell."""
    for axis, (k, n) in enumerate(zip(cell, shape, strict=True)):
        if k > 1:
            y = np.repeat(y, k, axis)[(slice(None),) * axis + (slice(n),)]
    return y


def _store(
    path: Path, pyramid: Sequence[Any], attributes: dict[str, Any], axes: str, chunks: Sequence[int]
) -> None:
    """Write all levels at once, so that each block of level 0 is read once."""
    import dask  # noqa: PLC0415 - an extra
    import dask.array as da  # noqa: PLC0415 - an extra
    import zarr  # noqa: PLC0415 - an extra

    group = zarr.open_group(path, mode="w", zarr_format=3, attributes=attributes)
    arrays = []
    for number, level in enumerate(pyramid):
        sides = tuple(min(side, n) for side, n in zip(chunks, level.shape, strict=True))
        arrays.append(
            group.create_array(
                str(number),
                shape=level.shape,
                dtype=level.dtype,
                chunks=sides,
                dimension_names=list(axes),
                compressors=zarr.codecs.ZstdCodec(level=1),  # files as small as level 3's, in half its time
            )
        )
    # Blocks of whole chunks: no two tasks write to one chunk.
    whole = [
        level.rechunk(
            tuple(-(-block[0] // side) * side for block, side in zip(level.chunks, array.chunks, strict=True))
        )
        for level, array in zip(pyramid, arrays, strict=True)
    ]
    # The pool waits for tasks that still run when one has failed: they would open the closed input again.
    with ThreadPoolExecutor(dask.system.CPU_COUNT) as pool, dask.config.set(pool=pool):
        dask.compute(da.store(whole, arrays, lock=False, compute=False))


def _metadata(
    target: Path, axes: str, op: str, steps: Sequence[int], sizes: Sequence[float], count: int
) -> dict[str, Any]:
    """The attributes of an OME-Zarr 0.5 image: where elements of each level lie, by their centres."""
    datasets = []
    for number in range(count):
        cells = [step**number for step in steps]
        scale = [size * cell for size, cell in zip(sizes, cells, strict=True)]
        shift = [size * (cell - 1) / 2 for size, cell in zip(sizes, cells, strict=True)]
        transformations = [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": shift},
        ]
        datasets.append({"path": str(number), "coordinateTransformations": transformations})
    image = {
        "name": target.name.removesuffix(".zarr").removesuffix(".ome"),
        "axes": [{"name": letter, "type": TYPES[letter]} for letter in axes],
        "datasets": datasets,
        "type": op,
        "metadata": {"method": f"fastpool.{OPERATORS[op]}_pool", "description": "cells of level 0"},
    }
    return {"ome": {"version": "0.5", "multiscales": [image]}}
