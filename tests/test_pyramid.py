"""Pyramids: exact at every level, valid OME-Zarr, and never half written under their name."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import pytest
from typer.testing import CliRunner

import fastpool as fp
from fastpool import pyramid
from fastpool.cli import app

zarr = pytest.importorskip("zarr")
dask = pytest.importorskip("dask")
pytest.importorskip("dask.array")
tifffile = pytest.importorskip("tifffile")


def run(*words):
    return CliRunner().invoke(app, ["pyramid", *map(str, words)])


def refused(result, message):
    """One line, no traceback."""
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


@pytest.fixture
def volume(rng):
    return rng.integers(0, 256, (20, 130, 147)).astype(np.uint8)


def write(x, target, axes="", **call):
    axes = axes or pyramid.BY_NUMBER[x.ndim]
    return pyramid.write(pyramid.Image(x, axes, (1,) * x.ndim), target, **call)


def validate(path):
    models = pytest.importorskip("ome_zarr_models.v05")
    return models.Image.from_zarr(zarr.open_group(path, mode="r"))


@pytest.mark.parametrize("op", pyramid.OPERATORS)
def test_every_level_is_exact(op, volume, tmp_path):
    if op == "mode":
        volume //= 64
    path = tmp_path / "x.ome.zarr"
    shapes = write(volume, path, op=op, levels=4, chunk=32)
    assert shapes == [(20, 130, 147), (10, 65, 74), (5, 33, 37), (3, 17, 19)]
    for number in range(4):
        expected = fp.pool(volume, pyramid.OPERATORS[op], (2**number,) * 3, ceil_mode=True)
        level = zarr.open_array(path / str(number), mode="r")
        np.testing.assert_array_equal(level[:], expected)
        assert level.chunks == tuple(min(32, n) for n in level.shape)
    assert not (tmp_path / "x.ome.zarr.partial").exists()
    validate(path)


@pytest.mark.parametrize("kind", ["npy", "tif", "compressed.tif", "big-endian.tif", "zarr", "ome.zarr"])
def test_sources(kind, volume, tmp_path):
    source, target = tmp_path / f"in.{kind}", tmp_path / "out.ome.zarr"
    if kind == "npy":
        np.save(source, volume)
    elif kind == "zarr":
        zarr.create_array(source, data=volume, chunks=(7, 50, 64))
    elif kind == "ome.zarr":
        write(volume, source, levels=2, chunk=40)
    elif kind == "compressed.tif":
        tifffile.imwrite(source, volume, compression="zlib", tile=(64, 64), metadata={"axes": "ZYX"})
    elif kind == "big-endian.tif":
        volume = volume.astype(np.uint16) * 3
        tifffile.imwrite(source, volume, byteorder=">", metadata={"axes": "ZYX"})
    else:
        tifffile.imwrite(source, volume)
    result = run(source, target, "--levels", 3, "--op", "max")
    assert result.exit_code == 0, result.stderr
    assert "level 2: (5, 33, 37)" in result.output
    np.testing.assert_array_equal(zarr.open_array(target / "0", mode="r")[:], volume)
    np.testing.assert_array_equal(
        zarr.open_array(target / "2", mode="r")[:], fp.max_pool(volume, (4, 4, 4), ceil_mode=True)
    )
    validate(target)


def test_colours_channels_and_scale(rng, tmp_path):
    x = rng.integers(0, 256, (300, 520, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", x, photometric="rgb")
    words = ("--scale", "1,0.5,0.25", "--chunk", 64)
    result = run(tmp_path / "rgb.tif", tmp_path / "rgb.zarr", *words)
    assert result.exit_code == 0, result.stderr
    image = validate(tmp_path / "rgb.zarr")
    group = zarr.open_group(tmp_path / "rgb.zarr", mode="r")
    assert group["1"].shape == (3, 150, 260)
    np.testing.assert_array_equal(group["1"][:], fp.avg_pool(x.transpose(2, 0, 1), (2, 2), ceil_mode=True))
    assert group["1"].metadata.dimension_names == ("c", "y", "x")
    (multiscale,) = image.ome_attributes.multiscales
    assert multiscale.name == "rgb"
    scale, translation = multiscale.datasets[1].coordinateTransformations
    assert (scale.scale, translation.translation) == ([1, 1, 0.5], [0, 0.25, 0.125])
    assert len(multiscale.datasets) == 3  # 520, 260, 130
    swapped = pyramid.Image(x, "yxc", (1, 1, 1))
    assert pyramid.write(swapped, tmp_path / "again.zarr", factor=(1, 4), levels=2)[1] == (3, 300, 130)


def test_each_block_is_read_once_and_in_bounds(tmp_path):
    reads = []

    class Source:
        shape, dtype, ndim = (64, 1024, 1024), np.dtype(np.uint8), 3

        def __getitem__(self, place):
            lengths = [s.stop - s.start for s in place]
            reads.append((np.prod(lengths), tuple((s.start, s.stop) for s in place)))
            return np.zeros(lengths, np.uint8)

    source = pyramid.Image(Source(), "zyx", (1, 1, 1))
    block = 2**22
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid, "BLOCK_BYTES", block)
        pyramid.write(source, tmp_path / "x.zarr", levels=4, op="mean", chunk=64)
    assert len({place for _, place in reads}) == len(reads)
    assert sum(size for size, _ in reads) == 64 * 1024 * 1024
    assert max(size for size, _ in reads) <= block


def test_a_name_is_taken_only_when_all_is_written(volume, tmp_path, monkeypatch):
    path = tmp_path / "x.zarr"
    write(volume, path, levels=2)
    with pytest.raises(FileExistsError, match="OUT exists"):
        write(volume, path)

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(pyramid, "_store", fail)
    with pytest.raises(OSError, match="no space"):
        write(volume, path, overwrite=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x.zarr"]
    monkeypatch.undo()
    write(volume + 1, path, overwrite=True)
    np.testing.assert_array_equal(zarr.open_array(path / "0", mode="r")[:], volume + 1)


def test_a_killed_process_leaves_no_finished_name(rng, tmp_path):
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (48, 512, 1024)).astype(np.uint8))
    target = tmp_path / "x.ome.zarr"
    words = [
        "pyramid",
        str(tmp_path / "x.npy"),
        str(target),
        "--op",
        "median",
        "--levels",
        "4",
        "--chunk",
        "16",
    ]
    process = subprocess.Popen([sys.executable, "-m", "fastpool", *words], stdout=subprocess.DEVNULL)
    partial = tmp_path / "x.ome.zarr.partial"
    while not (partial / "0" / "c").exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert partial.exists()
    assert not target.exists()
    result = run(*words[1:])
    assert result.exit_code == 0, result.stderr
    assert not partial.exists()
    assert zarr.open_array(target / "3", mode="r").shape == (6, 64, 128)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("x.npy", "--op", "best"), "op must be one of mean, max, min, mode, median"),
        (("x.npy", "--factor", "0"), "factor must be at least 1"),
        (("x.npy", "--factor", "2,2,2"), "factor must have one entry for each of 2"),
        (("x.npy", "--factor", "9" * 400), "factor must be at most the longest side, 400"),
        (("x.npy", "--levels", "0"), "levels must be at least 1"),
        (("x.npy", "--levels", "11"), "levels must be at most 10 for the shape (400, 400)"),
        (("x.npy", "--levels", "2", "--factor", "1"), "levels must be at most 1"),
        (("x.npy", "--chunk", "0"), "chunk must be at least 1"),
        (("s3://bucket/x.zarr",), "IN must be a file or folder of this machine, not a URL"),
        (("x.npy", "--axes", "xx"), "axes must be different letters of tczyx"),
        (("x.npy", "--scale", "1,0"), "scale must have a number above 0 for each of 2 axes"),
        (("x.npy", "--scale", "a"), "expected numbers"),
        (("absent.npy",), "No such file"),
        (("x.gif",), "IN must be a .npy, .tif or .tiff file or a Zarr folder"),
        (("empty.npy",), "IN must not be empty"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(tmp_path, words, message):
    np.save(tmp_path / "x.npy", np.zeros((400, 400)))
    np.save(tmp_path / "empty.npy", np.zeros((0, 4)))
    source = words[0] if ":" in words[0] else tmp_path / words[0]
    refused(run(source, tmp_path / "y.zarr", *words[1:]), message)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["empty.npy", "x.npy"]


def tree(path):
    return {str(each): each.lstat().st_mtime_ns for each in sorted(path.rglob("*"))}


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("s3://bucket/y.zarr", "OUT must be a file or folder of this machine, not a URL"),
        ("no/where.zarr", "OUT must lie in a folder that exists"),
        ("x.npy", "OUT must not be IN, lie in it or hold it"),
        ("link.npy", "OUT must not be IN, lie in it or hold it"),
        ("holds", "OUT must not be IN, lie in it or hold it"),
        ("mine", "not only, what fastpool wrote"),
        ("empty", "not only, what fastpool wrote"),
        ("notes.txt", "not only, what fastpool wrote"),
        ("other.zarr", "not only, what fastpool wrote"),
        ("labelled.zarr", "not only, what fastpool wrote"),
        ("noted.zarr", "not only, what fastpool wrote"),
        ("linked.zarr", "not only, what fastpool wrote"),
        ("hollow.zarr", "not only, what fastpool wrote"),
        ("dangling.zarr", "not only, what fastpool wrote"),
        ("new.zarr", "new.zarr.partial' is not, or not only, what fastpool wrote"),
        ("newer.zarr", "newer.zarr.partial' is not, or not only, what fastpool wrote"),
    ],
)
def test_overwrite_removes_only_what_fastpool_wrote(tmp_path, monkeypatch, out, message):
    monkeypatch.chdir(tmp_path)
    x = np.zeros((40, 40), np.uint8)
    np.save("x.npy", x)
    os.symlink("x.npy", "link.npy")
    for folder in ("holds", "mine", "empty", "new.zarr.partial", "hollow.zarr"):
        os.mkdir(folder)
    np.save("holds/x.npy", x)
    for file in ("mine/thesis.txt", "notes.txt", "newer.zarr.partial", "hollow.zarr/zarr.json"):
        (tmp_path / file).write_text('{"attributes": []}')
    zarr.create_array("other.zarr", data=x)
    for name in ("labelled.zarr", "noted.zarr", "real.zarr"):
        write(x, tmp_path / name)
    (tmp_path / "labelled.zarr" / "labels").mkdir()
    (tmp_path / "noted.zarr" / "0" / "notes").write_text("keep")
    os.symlink("real.zarr", "linked.zarr")
    os.symlink("absent", "dangling.zarr")
    before = tree(tmp_path)
    source = "holds/x.npy" if out == "holds" else "x.npy"
    refused(run(source, out, "--overwrite"), message)
    assert tree(tmp_path) == before
    assert run("x.npy", "real.zarr", "--overwrite").exit_code == 0


def test_a_pyramid_is_not_written_over_its_source(volume, tmp_path):
    path = tmp_path / "x.zarr"
    write(volume, path, levels=2)
    before = tree(tmp_path)
    for source, target in ((path, path), (path / "0", path), (path, path / "y.zarr"), (path, tmp_path)):
        refused(run(source, target, "--overwrite"), "OUT must not be IN, lie in it or hold it")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("shape", "readings"),
    [((40, 60, 3), ("yxc", "zyx")), ((3, 40, 60), ("cyx", "zyx")), ((9, 40, 60, 3), ("zyxc", "czyx"))],
)
@pytest.mark.parametrize("kind", ["npy", "zarr", "tif"])
def test_axes_that_may_be_colours_must_be_said(rng, tmp_path, shape, readings, kind):
    x, source = rng.integers(0, 256, shape).astype(np.uint8), tmp_path / f"x.{kind}"
    if kind == "npy":
        np.save(source, x)
    elif kind == "zarr":
        zarr.create_array(source, data=x)
    else:
        tifffile.imwrite(source, x, photometric="minisblack")
    refused(run(source, tmp_path / "y.zarr"), "say axes {} or axes {}".format(*readings))
    for axes in readings:
        order = [axes.index(letter) for letter in "czyx" if letter in axes]
        result = run(source, tmp_path / "y.zarr", "--axes", axes, "--levels", 2, "--overwrite")
        assert result.exit_code == 0, result.stderr
        y = zarr.open_array(tmp_path / "y.zarr" / "1", mode="r")[:]
        spatial = sum(letter in "zyx" for letter in axes)
        np.testing.assert_array_equal(y, fp.avg_pool(x.transpose(order), (2,) * spatial, ceil_mode=True))


def test_names_of_axes_in_zarr(rng, tmp_path):
    x = rng.integers(0, 256, (40, 60, 3)).astype(np.uint8)
    zarr.create_array(tmp_path / "x.zarr", data=x, dimension_names=["y", "x", "c"])
    assert run(tmp_path / "x.zarr", tmp_path / "y.zarr", "--levels", 2).exit_code == 0
    assert zarr.open_array(tmp_path / "y.zarr" / "1", mode="r").shape == (3, 20, 30)


def test_palettes_and_turned_images(rng, tmp_path):
    x = rng.integers(0, 4, (40, 60)).astype(np.uint8)
    table = np.zeros((3, 256), np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", x, photometric="palette", colormap=table)
    refused(run(tmp_path / "x.tif", tmp_path / "y.zarr"), "IN has a palette")
    assert run(tmp_path / "x.tif", tmp_path / "y.zarr", "--op", "mode", "--levels", 2).exit_code == 0
    np.testing.assert_array_equal(
        zarr.open_array(tmp_path / "y.zarr" / "1", mode="r")[:], fp.mode_pool(x, (2, 2))
    )
    tifffile.imwrite(tmp_path / "t.tif", x, photometric="minisblack", extratags=[(274, 3, 1, 6, True)])
    refused(run(tmp_path / "t.tif", tmp_path / "z.zarr"), "stored turned or mirrored")


@pytest.mark.parametrize("kind", ["chunk", "group", "text", "tif"])
def test_damage_is_one_line_and_leaves_nothing(volume, tmp_path, kind):
    source = tmp_path / "x.zarr"
    write(volume, source, levels=2, chunk=64)
    if kind == "chunk":
        (source / "0" / "c" / "0" / "1" / "1").write_bytes(b"junk")
    elif kind == "group":
        (source / "zarr.json").write_text(
            '{"zarr_format": 3, "node_type": "group", "attributes": {"ome": 3}}'
        )
    elif kind == "text":
        (source / "zarr.json").write_text("{")
    else:
        source = tmp_path / "x.tif"
        tifffile.imwrite(
            source, volume, compression="zlib", photometric="minisblack", metadata={"axes": "ZYX"}
        )
        data = bytearray(source.read_bytes())
        data[len(data) // 2] ^= 255
        source.write_bytes(data)
    before = sorted(each.name for each in tmp_path.iterdir())
    message = "decompressing" if kind == "tif" else f"cannot read {str(source)!r}"
    refused(run(source, tmp_path / "y.zarr"), message)
    assert sorted(each.name for each in tmp_path.iterdir()) == before


def test_no_task_runs_on_after_an_error(tmp_path, monkeypatch):
    """It would open the input again, which is closed by then."""
    started, ended = [], []

    def block(x, block_info):
        if block_info[0]["chunk-location"] == (0, 0):
            time.sleep(0.05)
            raise OSError("damaged")
        started.append(1)
        time.sleep(0.3)
        ended.append(1)
        return x

    monkeypatch.setattr(dask.system, "CPU_COUNT", 4)
    level = dask.array.zeros((4, 64), chunks=(4, 8)).map_blocks(block, dtype=float)
    with pytest.raises(OSError, match="damaged"):
        pyramid._store(tmp_path / "y.zarr", [level], {}, "yx", (4, 8))
    assert len(started) == len(ended) > 0


@pytest.mark.parametrize("op", ["max", "min", "mean", "median"])
def test_what_is_missing_has_one_value_at_every_level(tmp_path, op):
    x = np.ones((8, 8), np.float32)
    x[2:4, 4:6] = -9999
    np.save(tmp_path / "x.npy", x)
    image = pyramid.read(tmp_path / "x.npy", "yx")
    pyramid.write(image, tmp_path / "y.zarr", op=op, levels=3, missing={"nodata": -9999})
    levels = [zarr.open_array(tmp_path / "y.zarr" / number, mode="r")[:] for number in "12"]
    assert (levels[0] == [[1, 1, 1, 1], [1, 1, -9999, 1], [1] * 4, [1] * 4]).all()
    assert (levels[1] == 1).all()


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.zeros((4, 4)))
    monkeypatch.setitem(sys.modules, "zarr", None)
    result = run(tmp_path / "x.npy", tmp_path / "y.zarr")
    assert result.exit_code == 1
    assert "pip install 'fastpool[pyramid]'" in result.stderr


def test_read_says_what_it_read(volume, tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", volume, metadata={"axes": "CYX"})
    with closing(pyramid.read(tmp_path / "x.tif")) as image:
        assert (image.axes, image.array.shape) == ("cyx", volume.shape)
    assert pyramid.read(tmp_path / "x.tif", "zyx").axes == "zyx"


@pytest.mark.filterwarnings("ignore")
def test_a_killed_worker_changes_nothing(rng, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    x = rng.integers(0, 256, (64, 512, 1024)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr(pyramid, "BLOCK_BYTES", 2**20)
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        victim = next(iter(client.run(os.getpid).values()))

        def kill():
            while not (tmp_path / "y.zarr.partial" / "0" / "c").exists():
                time.sleep(0.01)
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        pyramid.write(pyramid.read(tmp_path / "x.npy"), tmp_path / "y.zarr", levels=4, chunk=32)
        killer.join()
    for number in range(4):
        expected = fp.avg_pool(x, (2**number,) * 3, ceil_mode=True)
        np.testing.assert_array_equal(
            zarr.open_array(tmp_path / "y.zarr" / str(number), mode="r")[:], expected
        )


def test_modes_of_large_cells(rng):
    for _ in range(60):
        shape = rng.integers(1, 40, 3)
        x = np.repeat(rng.integers(0, 3, shape), rng.integers(1, 5), 2).astype(rng.choice(["u1", "u8", "i2"]))
        steps, number = tuple(rng.integers(1, 4, 3).tolist()), int(rng.integers(1, 4))
        cell = tuple(step**number for step in steps)
        expected = fp.mode_pool(x, cell, ceil_mode=True)
        np.testing.assert_array_equal(pyramid.modes(x, steps=steps, number=number), expected)
