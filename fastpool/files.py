"""Files of arrays and images: what they hold, checked before the work; results appear whole or not at all.

Pillow and tifffile (extras) are imported where they are used.
"""

import logging
import os
import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

IMAGES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
TIFFS = (".tif", ".tiff")
SUFFIXES = (".npy", *IMAGES, *TIFFS)

URL = re.compile(r"[A-Za-z][\w+.-]+:(:|[/\\])")  # longer than a drive's letter
ASIDE = {"Thumbnail", "Label", "Macro", "Map"}  # what scanners of slides put beside the image
DOUBTS = re.compile("shape|missing|expected|incomplete|index|offset", re.IGNORECASE)  # tifffile on data
FEW = 4  # an axis without a name, as short as this, may be one of colours
BOMB_BYTES, BOMB_RATIO = 2**32, 1000  # a file this small does not hold that much
HOLDS = {
    "PNG": "grey or colours of uint8, or grey of uint16 or bool",
    "JPEG": "grey or three colours of uint8",
}


class Picture(NamedTuple):
    """An array from a file, and what the file says about it.

    Attributes
    ----------
    array : ndarray
        As the file stores it, but upright.
    axes : str
        TIFF's letters: Y, X, S for samples, Q and I for axes without a name; empty for ``.npy``.
    colours : str
        TIFF's name of what the samples mean: minisblack, rgb, separated; empty for ``.npy``.
    extras : tuple of int
        TIFF's numbers for further samples; 2 is alpha.
    palette : ndarray or None
        The colours of labels: a row of 3 or 4 bytes each.
    """

    array: NDArray[Any]
    axes: str = ""
    colours: str = ""
    extras: tuple[int, ...] = ()
    palette: NDArray[np.uint8] | None = None

    def plane(self) -> tuple[int, int] | None:
        """The axes of an image's rows and columns; None for ``.npy``."""
        if not self.axes:
            return None
        shape, last = self.array.shape, self.array.ndim - 1
        if "Y" not in self.axes or "X" not in self.axes:
            raise ValueError(f"IN names no rows and columns but {self.axes!r}, of shape {shape}: say axes")
        if unnamed(self.axes) and last > 1 and shape[-1] <= FEW:
            raise ValueError(
                f"IN has the shape {shape} and no names of its axes: say axes {last - 2},{last - 1} if the "
                f"last one holds colours, axes {last - 1},{last} if it holds columns"
            )
        return self.axes.index("Y"), self.axes.index("X")

    def holding(self, array: NDArray[Any]) -> "Picture":
        """The same with another array; with fewer samples they are no colours any more."""
        samples = self.axes.find("S")
        if samples >= 0 and array.shape[samples] != self.array.shape[samples]:
            return Picture(array)
        return self._replace(array=array)


def unnamed(axes: str) -> bool:
    """Whether a TIFF file leaves open what some of its axes are."""
    return not {"Q", "I"}.isdisjoint(axes) and "S" not in axes


# Checks --------------------------------------------------------------------------------------------------


def local(name: str, path: str | os.PathLike[str]) -> Path:
    """`path` as a Path; a URL is refused."""
    if URL.match(os.fspath(path)):
        raise ValueError(
            f"{name} must be a file or folder of this machine, not a URL, got {os.fspath(path)!r}"
        )
    return Path(path)


def check_input(path: Path) -> None:
    """Refuse what is not a regular file: a pipe would be waited for."""
    local("IN", path)
    os.stat(path)  # where there is nothing, the system's own message
    if not path.is_file():
        raise ValueError(f"IN must be a file, got {str(path)!r}")


def check_folder(name: str, path: Path) -> None:
    """Refuse a URL, and a path in a folder that does not exist or cannot be written to."""
    folder = Path(os.path.realpath(local(name, path))).parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{name} must lie in a folder that exists, got {str(path)!r}")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{name} must lie in a folder that can be written to, got {str(path)!r}")


def check_output(name: str, path: Path, suffixes: Collection[str] = (), *inputs: Path | None) -> None:
    """Refuse, before the work, a file that could not be written after it, or that is an input."""
    check_folder(name, path)
    if suffixes and path.suffix.lower() not in suffixes:
        raise ValueError(f"{name} must end in {_listed(suffixes)}, got {path.name!r}")
    if path.exists():
        if not path.is_file() or not os.access(path, os.W_OK):
            raise PermissionError(f"{name} must be a file that can be written, got {str(path)!r}")
        if any(given is not None and os.path.samefile(given, path) for given in inputs):
            raise ValueError(f"{name} must be another file than the input, got {str(path)!r}")


def _listed(suffixes: Collection[str]) -> str:
    *most, last = suffixes
    return f"{', '.join(most)} or {last}"


@contextmanager
def guarded(verb: str, path: Path) -> Iterator[None]:
    """Whatever a library raises over a file, as one ValueError that names it.

    Decoders of damaged files raise errors of every type; a missing library, and what the system says about a
    path, stay as they are.
    """
    try:
        yield
    except ModuleNotFoundError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        kind = "" if isinstance(error, ValueError | OSError | MemoryError) else f"{type(error).__name__}: "
        raise ValueError(f"cannot {verb} {str(path)!r}: {kind}{said[:300]}") from error


# Reading -------------------------------------------------------------------------------------------------


def read(path: Path, *, labels: bool = False) -> Picture:
    """The array or image in a file.

    Parameters
    ----------
    path : Path
        ``.npy``, PNG, JPEG or TIFF.
    labels : bool
        Keep the numbers of an image with a palette; otherwise they become its colours.

    Raises
    ------
    ValueError
        For any other file, a damaged one, and one whose content would be changed by reading it.
    OSError
        Where it cannot be opened.
    """
    suffix = local("IN", path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"IN must end in {_listed(SUFFIXES)}, got {path.name!r}")
    check_input(path)
    with guarded("read", path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of descriptions that cannot be read, and of large images
        if suffix == ".npy":
            return Picture(np.asarray(map_npy(path)))
        return _read_image(path, labels) if suffix in IMAGES else _read_tiff(path, labels)


def map_npy(path: Path) -> NDArray[Any]:
    """The array of a ``.npy`` file as a read-only memory map."""
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise ValueError("it is a .npz archive: save one of its arrays with numpy.save")
    return np.lib.format.open_memmap(path, mode="r")


def _read_image(path: Path, labels: bool) -> Picture:
    from PIL import Image  # noqa: PLC0415  (an extra)

    with path.open("rb") as file:
        head = file.read(25)
    with Image.open(path, formats=("PNG", "JPEG")) as image:
        png = image.format == "PNG"
        if png and getattr(image, "is_animated", False):
            raise ValueError("it is an animation")
        clear = "transparency" in image.info
        if png and head[24] == 16 and (clear or not image.mode.startswith("I")):
            raise ValueError(
                "it has colours or transparency of 16 bits, where Pillow reads 8: save it as TIFF"
            )
        orientation = image.getexif().get(0x0112, 1)
        palette = None
        if image.mode == "P" and labels:
            image.apply_transparency()
            mode = image.palette.mode
            palette = np.array(image.getpalette(mode), np.uint8).reshape(-1, len(mode))
        elif image.mode == "P":
            image = image.convert("RGBA" if clear else "RGB")  # noqa: PLW2901
        elif clear:
            image = image.convert("RGBA" if image.mode == "RGB" else "LA")  # noqa: PLW2901
        array = np.asarray(image)
        mode = image.mode
    if mode == "I":  # grey of 16 bits in older Pillow
        array = array.astype(np.uint16)
    colours = {"RGB": "rgb", "RGBA": "rgb", "CMYK": "separated"}.get(mode, "minisblack")
    extras = (2,) if mode.endswith("A") else ()
    return Picture(_upright(array, orientation, 0, 1), "YXS"[: array.ndim], colours, extras, palette)


def _upright(array: NDArray[Any], orientation: int, rows: int, columns: int) -> NDArray[Any]:
    """A view turned by the orientation of EXIF and TIFF: where the stored first row and column belong."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(rows, columns)
    if orientation in (3, 4, 7, 8):
        array = np.flip(array, rows)
    if orientation in (2, 3, 6, 7):
        array = np.flip(array, columns)
    return array


@contextmanager
def open_tiff(path: Path) -> Iterator[Any]:
    """The one image of a TIFF file, as tifffile's series, once all its data is known to lie in the file."""
    import tifffile  # noqa: PLC0415  (an extra)

    records = _Records()
    logger = logging.getLogger("tifffile")
    logger.addHandler(records)
    try:
        with tifffile.TiffFile(path) as file:
            images = [series for series in file.series if series.name not in ASIDE]
            if len(images) != 1:
                raise ValueError(f"it holds {len(images)} images that do not make one array")
            _check_segments(images[0])
            yield images[0]
    finally:
        logger.removeHandler(records)
    if records.doubts:
        raise ValueError(records.doubts[0])


class _Records(logging.Handler):
    """What tifffile says of data that it reads in part, or guesses."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.doubts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or DOUBTS.search(record.getMessage()):
            self.doubts.append(record.getMessage())


def _check_segments(series: Any) -> None:
    if series.dataoffset is not None:
        spans = [(series.keyframe, (series.dataoffset,), (series.nbytes,))]
    else:
        spans = [(page, page and page.dataoffsets, page and page.databytecounts) for page in series.pages]
    for page, offsets, counts in spans:
        if page is None:
            raise ValueError("planes are missing")
        size = page.parent.filehandle.size
        if len(offsets) != len(counts) or any(
            start + n > size for start, n in zip(offsets, counts, strict=True)
        ):
            raise ValueError("it ends before its data does")


def _read_tiff(path: Path, labels: bool) -> Picture:
    with open_tiff(path) as series:
        page, axes = series.keyframe, series.axes
        if series.nbytes > BOMB_BYTES and series.nbytes > BOMB_RATIO * path.stat().st_size:
            raise ValueError(f"it would unpack to {series.nbytes:,} bytes: too many for its size")
        array = np.asarray(series.asarray())
        colours, palette = page.photometric.name.lower(), None
        if colours == "ycbcr" and page.compression in (6, 7):
            colours = "rgb"  # as JPEG is decoded
        if colours == "palette":
            table = _smallest(np.asarray(page.colormap).T)
            if labels:
                colours, palette = "minisblack", table if table.dtype == np.uint8 else None
            else:
                array, axes, colours = np.take(table, array, 0), axes + "S", "rgb"
        orientation = page.tags.valueof(274, 1)
        if orientation != 1:
            array = _upright(array, orientation, axes.index("Y"), axes.index("X"))
        return Picture(array, axes, colours, tuple(map(int, page.extrasamples)), palette)


def _smallest(table: NDArray[np.uint16]) -> NDArray[Any]:
    """Colours of 16 bits as bytes where they are bytes: times 257, or 256."""
    for step in (257, 256):
        if not (table % step).any():
            return (table // step).astype(np.uint8)
    return table


# Writing -------------------------------------------------------------------------------------------------


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what takes the place of `path` once it is whole."""
    place = Path(os.path.realpath(path))
    with TemporaryDirectory(dir=place.parent, prefix=".fastpool-") as folder:
        part = Path(folder) / path.name
        yield part
        os.replace(part, place)


def write(path: Path, picture: Picture) -> None:
    """Write an array or image; a file of that name is replaced when all is written.

    Parameters
    ----------
    path : Path
        ``.npy``, PNG, JPEG or TIFF.
    picture : Picture
        What to write.

    Raises
    ------
    ValueError
        For what such a file cannot hold.
    """
    suffix = path.suffix.lower()
    with guarded("write", path), replacing(path) as part:
        if suffix == ".npy":
            with part.open("wb") as file:  # a name would get another .npy behind .NPY
                np.save(file, picture.array, allow_pickle=False)
        elif suffix in IMAGES:
            _write_image(part, picture, IMAGES[suffix])
        else:
            _write_tiff(part, picture)


def _write_image(path: Path, picture: Picture, kind: str) -> None:
    from PIL import Image  # noqa: PLC0415  (an extra)

    array, axes, colours, extras, palette = picture
    if axes == "SYX":
        array = np.moveaxis(array, 0, -1)
    grey = array.ndim == 2
    samples = (2, 3, 4) if kind == "PNG" else (3,)
    held = (grey and array.dtype in ((np.uint8, np.uint16, bool) if kind == "PNG" else (np.uint8,))) or (
        array.ndim == 3 and array.dtype == np.uint8 and array.shape[2] in samples
    )
    if not held or axes not in ("", "YX", "YXS", "SYX"):
        raise ValueError(
            f"{kind} holds {HOLDS[kind]}; the result is {array.dtype} of shape {array.shape}: "
            "use .npy or .tif"
        )
    if colours not in ("", "minisblack", "rgb") or extras not in ((), (2,)):
        raise ValueError(f"{kind} does not hold the samples of IN ({colours} {extras}): use .npy or .tif")
    image = Image.fromarray(np.ascontiguousarray(array))
    if palette is not None:
        image.putpalette(palette.tobytes(), "RGBA" if palette.shape[1] == 4 else "RGB")
        if kind == "JPEG":
            image = image.convert("RGB")
    image.save(path, kind)


def _write_tiff(path: Path, picture: Picture) -> None:
    import tifffile  # noqa: PLC0415  (an extra)

    array, axes, colours, extras, _ = picture
    if not colours:
        colours = "rgb" if array.ndim == 3 and array.shape[2] in (3, 4) else "minisblack"
    named = axes and set(axes) <= set("TZCYXS")
    tifffile.imwrite(
        path,
        array,
        photometric=colours,
        planarconfig="separate" if "S" in axes[:-1] else None,
        extrasamples=extras or None,
        metadata={"axes": axes} if named else {},
    )
