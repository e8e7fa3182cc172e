"""Files in and out of the command line: no silent wrong result, no traceback, nothing half written."""

import io
import os
import random
import zlib

import numpy as np
import pytest
from typer.testing import CliRunner

import fastpool as fp
from fastpool.cli import app

Image = pytest.importorskip("PIL.Image")
tifffile = pytest.importorskip("tifffile")


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def pool(source, target, *words):
    result = run("pool", source, target, *words)
    assert result.exit_code == 0, result.output
    return result


def refused(result, message):
    """One line, no traceback."""
    assert result.exit_code in (1, 2), (result.exit_code, result.output, result.exception)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stderr.startswith("error: "), result.stderr
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


def pixels(path):
    with Image.open(path) as image:
        return image.mode, np.asarray(image)


def cells(x, axes=(0, 1), op="avg"):
    return fp.pool(x, op, 2, axes=axes)


@pytest.fixture
def x(rng):
    return rng.integers(0, 256, (8, 6, 3)).astype(np.uint8)


# What images mean ----------------------------------------------------------------------------------------

PALETTE = np.array([[250, 0, 0, 255], [0, 200, 0, 255], [0, 0, 150, 255], [9, 9, 9, 0]], np.uint8)


def palette_image(labels, colours):
    image = Image.fromarray(labels)
    image.putpalette(colours.tobytes(), "RGBA" if colours.shape[1] == 4 else "RGB")
    return image


@pytest.mark.parametrize("depth", [3, 4])
def test_a_palette_becomes_its_colours(x, tmp_path, depth):
    labels, colours = x[..., 0] % 4, np.ascontiguousarray(PALETTE[:, :depth])
    palette_image(labels, colours).save(tmp_path / "x.png")
    for op in ("avg", "max"):
        pool(tmp_path / "x.png", tmp_path / "y.png", "--op", op)
        mode, y = pixels(tmp_path / "y.png")
        assert mode == "RGBA"[:depth]
        np.testing.assert_array_equal(y, cells(colours[labels], op=op))
    pool(tmp_path / "x.png", tmp_path / "y.png", "--op", "mode")
    with Image.open(tmp_path / "y.png") as image:
        assert image.mode == "P"
        modes = cells(labels, op="mode")
        np.testing.assert_array_equal(np.asarray(image), modes)
        np.testing.assert_array_equal(np.asarray(image.convert("RGBA"))[..., :depth], colours[modes])


@pytest.mark.parametrize(("step", "dtype"), [(257, np.uint8), (256, np.uint8), (1, np.uint16)])
def test_a_palette_in_tiff(x, tmp_path, step, dtype):
    labels = x[..., 0] % 4
    table = np.arange(3 * 256, dtype=np.uint16).reshape(3, 256) % 251 * np.uint16(step)
    tifffile.imwrite(tmp_path / "x.tif", labels, photometric="palette", colormap=table)
    pool(tmp_path / "x.tif", tmp_path / "y.npy", "--op", "avg")
    y = np.load(tmp_path / "y.npy")
    assert y.dtype == dtype
    np.testing.assert_array_equal(
        y, cells((table.T // (step if dtype == np.uint8 else 1)).astype(dtype)[labels])
    )
    pool(tmp_path / "x.tif", tmp_path / "y.tif", "--op", "mode")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "y.tif"), cells(labels, op="mode"))


@pytest.mark.parametrize(
    ("shape", "axes", "rows", "options"),
    [
        ((5, 8, 6), "ZYX", 1, {}),
        ((5, 3, 8, 6), "ZCYX", 2, {}),
        ((5, 3, 8, 6), "ZCYX", 2, {"imagej": True}),
        ((5, 3, 8, 6), "ZCYX", 2, {"ome": True}),
        ((3, 8, 6), "SYX", 1, {"photometric": "rgb", "planarconfig": "separate"}),
        ((5, 8, 6, 3), "ZYXS", 1, {"photometric": "rgb"}),
        ((5, 8, 6), "QYX", 1, {"metadata": None}),
    ],
)
def test_rows_and_columns_of_tiff(rng, tmp_path, shape, axes, rows, options):
    x = rng.integers(0, 256, shape).astype(np.uint8)
    given = {"metadata": {"axes": axes}, "photometric": "minisblack", **options}
    tifffile.imwrite(tmp_path / "x.tif", x, **given)
    result = pool(tmp_path / "x.tif", tmp_path / "y.tif", "--op", "avg")
    assert f"axes ({rows}, {rows + 1})" in result.output
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        assert file.series[0].axes == axes or "metadata" in options  # names stay for the next call
        np.testing.assert_array_equal(file.asarray(), cells(x, (rows, rows + 1)))
    pool(tmp_path / "x.tif", tmp_path / "y.npy", "--op", "avg", "--axes", "0,1")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), cells(x))


def test_axes_that_may_be_colours_must_be_said(x, tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", x, photometric="minisblack")  # eight planes of six rows
    refused(run("pool", tmp_path / "x.tif", tmp_path / "y.npy"), "say axes 0,1 if the last one holds colours")
    pool(tmp_path / "x.tif", tmp_path / "y.npy", "--axes", "0,1", "--op", "avg")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), cells(x))


UPRIGHT = [  # by EXIF: what is stored, of an image x
    lambda x: x,
    lambda x: x[:, ::-1],
    lambda x: x[::-1, ::-1],
    lambda x: x[::-1],
    lambda x: np.swapaxes(x, 0, 1),
    np.rot90,
    lambda x: np.swapaxes(x, 0, 1)[::-1, ::-1],
    lambda x: np.rot90(x, -1),
]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_turned_images_come_upright(x, tmp_path, suffix, orientation):
    stored, source = UPRIGHT[orientation - 1](x), tmp_path / f"x{suffix}"
    if suffix == ".tif":
        stored = np.ascontiguousarray(stored)
        tags = [(274, 3, 1, orientation, True)]
        tifffile.imwrite(source, stored, photometric="rgb", extratags=tags)
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.repeat(stored, 8, 0).repeat(8, 1)).save(
            source, exif=exif, quality=100, subsampling=0
        )
    words = ("--op", "avg", "--window", 2 if suffix == ".tif" else 16)
    pool(source, tmp_path / "y.npy", *words)
    y = np.load(tmp_path / "y.npy").astype(int)
    np.testing.assert_allclose(y, cells(x), atol=2 if suffix == ".jpg" else 1)


DEEP = np.arange(48, dtype=np.uint16).reshape(8, 6) * 1300


@pytest.mark.parametrize(
    ("array", "mode"),
    [
        (DEEP, "I;16"),
        (DEEP.astype(np.uint8), "L"),
        (DEEP > 30000, "1"),
        (np.stack([DEEP.astype(np.uint8)] * 2, -1), "LA"),
        (np.stack([DEEP.astype(np.uint8)] * 4, -1), "RGBA"),
    ],
)
def test_kinds_of_png(tmp_path, array, mode):
    Image.fromarray(array).save(tmp_path / "x.png")
    pool(tmp_path / "x.png", tmp_path / "y.png")
    found, y = pixels(tmp_path / "y.png")
    assert found == mode
    np.testing.assert_array_equal(y, cells(array, op="max"))
    pool(tmp_path / "x.png", tmp_path / "y.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "y.tif"), cells(array, op="max"))
    pool(tmp_path / "y.tif", tmp_path / "z.png", "--window", 1)
    assert pixels(tmp_path / "z.png")[0] == mode


def test_a_transparent_colour_becomes_alpha(x, tmp_path):
    x[0, 0] = 7
    Image.fromarray(x).save(tmp_path / "x.png", transparency=(7, 7, 7))
    pool(tmp_path / "x.png", tmp_path / "y.npy", "--op", "min")
    y = np.load(tmp_path / "y.npy")
    assert y.shape == (4, 3, 4)
    assert y[0, 0, 3] == 0
    assert y[-1, -1, 3] == 255


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_stays_cmyk_or_is_refused(tmp_path, suffix):
    x = np.full((8, 6, 4), 40, np.uint8)
    if suffix == ".jpg":
        Image.frombytes("CMYK", (6, 8), x.tobytes()).save(tmp_path / "x.jpg")
    else:
        tifffile.imwrite(tmp_path / "x.tif", x, photometric="separated")
    for target in ("y.png", "y.jpg"):
        refused(run("pool", tmp_path / f"x{suffix}", tmp_path / target), "use .npy or .tif")
    pool(tmp_path / f"x{suffix}", tmp_path / "y.tif")
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        assert file.pages[0].photometric.name == "SEPARATED"
        assert file.asarray().shape == (4, 3, 4)


@pytest.mark.parametrize(
    "options", [{"photometric": "miniswhite"}, {"photometric": "rgb", "extrasamples": ["assocalpha"]}]
)
def test_samples_keep_their_meaning(tmp_path, options):
    x = np.full((8, 6, 4) if "extrasamples" in options else (8, 6), 9, np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", x, **options)
    refused(run("pool", tmp_path / "x.tif", tmp_path / "y.png"), "does not hold the samples of IN")
    pool(tmp_path / "x.tif", tmp_path / "y.tif")
    with tifffile.TiffFile(tmp_path / "x.tif") as one, tifffile.TiffFile(tmp_path / "y.tif") as other:
        for name in ("photometric", "extrasamples"):
            assert getattr(one.pages[0], name) == getattr(other.pages[0], name)


def test_pooled_colours_are_no_colours(tmp_path):
    Image.fromarray(np.zeros((8, 6, 4), np.uint8)).save(tmp_path / "x.png")
    words = ("--axes", 2, "--window", 2)
    pool(tmp_path / "x.png", tmp_path / "y.npy", *words)
    pool(tmp_path / "x.png", tmp_path / "y.tif", *words)
    assert np.load(tmp_path / "y.npy").shape == tifffile.imread(tmp_path / "y.tif").shape == (8, 6, 2)


def test_suffixes_in_capitals(x, tmp_path):
    Image.fromarray(x).save(tmp_path / "X.PNG")
    for name in ("UP.NPY", "UP.TIF", "UP.PNG", "UP.JPG"):
        pool(tmp_path / "X.PNG", tmp_path / name)
        assert (tmp_path / name).is_file()
    assert len(list(tmp_path.iterdir())) == 5
    pool(tmp_path / "UP.NPY", tmp_path / "y.npy", "--axes", "0,1")


# Bad files -----------------------------------------------------------------------------------------------


def png_of(width, height, depth, colour, data=b""):
    """A PNG file whose header may lie."""

    def chunk(name, body):
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, colour, 0, 0, 0])
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def npy_of(header, data=b"\0" * 96):
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def npz():
    file = io.BytesIO()
    np.savez(file, x=np.zeros(3))
    return file.getvalue()


def pickled():
    file = io.BytesIO()
    np.save(file, np.array([{}]), allow_pickle=True)
    return file.getvalue()


def tiff_of(*arrays, **options):
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for array in arrays:
            writer.write(array, **options)
    return file.getvalue()


def animation():
    file = io.BytesIO()
    frames = [Image.new("L", (4, 4), level) for level in (0, 99)]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    return file.getvalue()


def lying(width):
    """A TIFF file that says it is wider than its data."""
    data = bytearray(tiff_of(np.zeros((8, 8), np.uint8), metadata=None))
    place = data.index(b"\x00\x01\x04\x00\x01\x00\x00\x00\x08") + 8  # ImageWidth
    data[place : place + 4] = width.to_bytes(4, "little")
    return bytes(data)


def one_plane_missing():
    data = tiff_of(*np.zeros((3, 8, 8), np.uint8), metadata=None, compression="zlib")
    return data[: len(data) - 100]


BAD = {
    "bomb.png": (lambda: png_of(100_000, 100_000, 8, 0), "decompression bomb"),
    "short.png": (lambda: png_of(500, 500, 8, 0, b"\0" * 99), "truncated"),
    "colours16.png": (lambda: png_of(1, 1, 16, 2, b"\0" * 7), "16 bits"),
    "alpha16.png": (lambda: png_of(1, 1, 16, 4, b"\0" * 5), "16 bits"),
    "animation.png": (animation, "animation"),
    "empty.png": (bytes, "cannot identify"),
    "text.png": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "cannot identify"),
    "junk.jpg": (lambda: b"\xff\xd8\xff" + b"\x07" * 99, "cannot read"),
    "junk.tif": (lambda: b"II*\0\x08\0\0\0" + b"\xff" * 64, "cannot read"),
    "no page.tif": (lambda: b"II*\0\0\0\0\0", "cannot read"),
    "bytes.tif": (lambda: bytes(range(200)), "not a TIFF file"),
    "wide.tif": (lambda: lying(2**30), "it ends before its data does"),
    "wider.tif": (lambda: lying(64), "it ends before its data does"),
    "cut.tif": (lambda: tiff_of(np.zeros((64, 64), np.uint8))[:-1], "it ends before its data does"),
    "planes.tif": (one_plane_missing, "cannot read"),
    "two.tif": (lambda: tiff_of(np.zeros((8, 8), np.uint8), np.zeros((4, 4), np.uint8)), "2 images"),
    "zip.npy": (npz, "it is a .npz archive"),
    "pickle.npy": (pickled, "cannot read"),
    "empty.npy": (bytes, "cannot read"),
    "text.npy": (lambda: b"1,2,3\n4,5,6\n", "magic string"),
    "long.npy": (
        lambda: npy_of("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000)}"),
        "mmap",
    ),
    "huge.npy": (
        lambda: npy_of(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**30},)}}"),
        "cannot read",
    ),
    "minus.npy": (
        lambda: npy_of("{'descr': '<f8', 'fortran_order': False, 'shape': (-3, -4)}"),
        "cannot read",
    ),
    "deep.npy": (lambda: npy_of("{'descr': " + "(" * 3000 + ")" * 3000 + "}"), "cannot read"),
    "header.npy": (lambda: npy_of("{'descr': '<f8'"), "cannot read"),
    "fields.npy": (
        lambda: npy_of("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3, 4)}"),
        "dtype",
    ),
    "words.npy": (lambda: npy_of("{'descr': '<U2', 'fortran_order': False, 'shape': (3, 4)}"), "dtype"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line(tmp_path, name):
    make, message = BAD[name]
    source = tmp_path / name
    source.write_bytes(make())
    words = () if source.suffix in {".png", ".jpg", ".tif"} else ("--axes", 0)
    refused(run("pool", source, tmp_path / "y.npy", *words), message)
    if source.suffix in {".npy", ".tif"}:
        refused(run("pyramid", source, tmp_path / "y.zarr", "--axes", "yx"), "")
    assert [each.name for each in tmp_path.iterdir()] == [name]


def sound_files():
    x = np.random.default_rng(5).integers(0, 256, (16, 12, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    images = {
        "rgb.png": (Image.fromarray(x), {}),
        "deep.png": (Image.fromarray(x[..., 0].astype(np.uint16) * 200), {}),
        "palette.png": (palette_image(x[..., 0] % 4, PALETTE), {}),
        "turned.jpg": (Image.fromarray(x), {"exif": exif}),
        "progressive.jpg": (Image.fromarray(x[..., 0]), {"progressive": True}),
    }
    files = {}
    for name, (image, options) in images.items():
        file = io.BytesIO()
        image.save(file, {"png": "PNG", "jpg": "JPEG"}[name[-3:]], **options)
        files[name] = file.getvalue()
    planes, grey = x.transpose(2, 0, 1), {"photometric": "minisblack"}
    files["rgb.tif"] = tiff_of(x, photometric="rgb")
    files["tiles.tif"] = tiff_of(x, photometric="rgb", compression="zlib", tile=(16, 16))
    files["planes.tif"] = tiff_of(planes, metadata={"axes": "ZYX"}, **grey)
    files["pages.tif"] = tiff_of(planes, metadata=None, compression="zlib", **grey)
    file = io.BytesIO()
    np.save(file, x)
    files["x.npy"] = file.getvalue()
    return files


SOUND = sound_files()


def damaged(data, rng):
    """Cut short, with bits flipped, with bytes of the header changed, or with a hole."""
    data, place = bytearray(data), rng.randrange(len(data))
    kind = rng.randrange(4)
    if kind == 0:
        return data[:place]
    if kind == 1:
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(min(len(data), 200))] = rng.choice([0, 127, 128, 255])
    else:
        del data[place : place + rng.randint(1, 30)]
    return data


@pytest.mark.parametrize("name", SOUND)
def test_damaged_files(tmp_path, name):
    rng = random.Random(name)
    source, count = tmp_path / name, int(os.environ.get("FASTPOOL_FUZZ_FILES", "25"))
    for _ in range(count):
        data = damaged(SOUND[name], rng)
        source.write_bytes(data)
        target = tmp_path / f"y{rng.choice(['.npy', '.png', '.tif', '.jpg'])}"
        result = run("pool", source, target, *(("--axes", "0,1") if name.endswith("npy") else ()))
        left = {each.name for each in tmp_path.iterdir()} - {name}
        if result.exit_code == 0:
            assert left == {target.name}
            assert "written to" in result.output
            target.unlink()
        else:
            refused(result, "")
            assert not left


# Bad paths -----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(x, tmp_path, monkeypatch):
    """With a.png and b.npy, as the working folder."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(x).save("a.png")
    np.save("b.npy", x)
    os.symlink("a.png", "link.png")
    os.link("a.png", "hard.png")
    os.mkdir("dir.npy")
    os.mkfifo("pipe.npy")
    os.symlink("loop.npy", "loop.npy")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a.png", "a.png"), "must be another file than the input"),
        (("a.png", "./dir.npy/../a.png"), "must be another file than the input"),
        (("a.png", "link.png"), "must be another file than the input"),
        (("link.png", "a.png"), "must be another file than the input"),
        (("a.png", "hard.png"), "must be another file than the input"),
        (("a.png", "s3://bucket/y.npy"), "not a URL"),
        (("a.png", "file:///y.npy"), "not a URL"),
        (("https://host/a.png", "y.npy"), "not a URL"),
        (("a.png", "no/where/y.npy"), "must lie in a folder that exists"),
        (("a.png", "b.npy/y.npy"), "must lie in a folder that exists"),
        (("a.png", "dir.npy"), "must be a file that can be written"),
        (("a.png", "pipe.npy"), "must be a file that can be written"),
        (("a.png", "x" * 300 + ".npy"), "too long"),
        (("dir.npy", "y.npy"), "IN must be a file"),
        (("pipe.npy", "y.npy"), "IN must be a file"),
        (("loop.npy", "y.npy"), "loop.npy"),
        (("b.npy/x.npy", "y.npy"), "x.npy"),
        (("a\nb.npy", "y.npy"), "No such file"),
        (("[/red].npy", "y.npy"), "[/red].npy"),
        (("b\udcff.npy", "y.npy"), "No such file"),
    ],
)
def test_a_bad_path_is_one_line(folder, words, message):
    before = {each.name: each.lstat().st_mtime_ns for each in folder.iterdir()}
    refused(run("pool", *words), message)
    assert {each.name: each.lstat().st_mtime_ns for each in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["[/red].npy", "[red]y.npy", "b\udcff.npy", "with space.npy"])
def test_odd_names(folder, name):
    os.mkdir("[")  # for what looks like markup of the terminal
    result = pool("b.npy", name, "--axes", "0,1")
    assert os.path.lexists(name)
    assert name.replace("\udcff", r"\udcff") in result.output


def test_an_older_result_stays_until_the_new_one_is_whole(folder, monkeypatch):
    np.save("y.npy", np.ones(3))

    def save(file, *_, **__):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", save)
    refused(run("pool", "a.png", "y.npy"), "No space left")
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    np.testing.assert_array_equal(np.load("y.npy"), np.ones(3))
    os.symlink("y.npy", "y-link.npy")
    pool("a.png", "y-link.npy")
    assert os.path.islink("y-link.npy")
    assert np.load("y.npy").shape == (4, 3, 3)
    assert not [each for each in folder.iterdir() if each.name.startswith(".")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bench", "--json", "no/where.json"), "--json must lie in a folder that exists"),
        (("bench", "--chart", "no/where.png"), "--chart must lie in a folder that exists"),
        (("bench", "--chart", "chart"), "--chart must end in .png"),
        (("bench", "--json", "s3://bucket/x.json"), "not a URL"),
        (("demo", "--output", "no/where.png"), "--output must lie in a folder that exists"),
        (("demo", "--output", "y.docx"), "--output must end in .png"),
        (("demo", "--image", "a.png", "--output", "link.png"), "must be another file than the input"),
        (("demo", "--image", "absent.png"), "No such file"),
        (("demo", "--image", "b.npy/x.npy"), "x.npy"),
    ],
)
def test_outputs_are_checked_before_the_work(folder, monkeypatch, words, message):
    def work(*_, **__):
        raise AssertionError("work was done")

    monkeypatch.setattr("asv_bench.rivals.speeds.rows", work)
    monkeypatch.setattr("fastpool.cli._race", work)
    refused(run(*words), message)
