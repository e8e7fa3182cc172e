"""The command line, as a user types it."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

import fastpool as fp
from asv_bench.rivals import speeds
from fastpool import cli, jit
from fastpool.cli import app


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_info():
    result = run("info")
    assert result.exit_code == 0
    for word in (fp.__version__, np.__version__, "threads", "CUDA devices", "cache folder"):
        assert word in result.output


def test_info_for_scripts():
    found = json.loads(run("info", "--json").output)
    assert found["numpy"] == np.__version__
    assert found.keys() >= {"fastpool", "threads", "CUDA devices", "cache folder"}


def test_version():
    assert run("--version").output == f"fastpool {fp.__version__}\n"


def test_help_has_groups_and_exit_codes():
    output = run("--help").output
    assert [word for word in re.findall(r"[A-Z]\w+(?: out)?(?= ─)", output) if word != "Options"] == [
        "Find out",
        "Files",
        "Speed",
    ]
    assert "Exit codes: 0 done; 1 " in output


@pytest.mark.parametrize("command", ["info", "pool", "pyramid", "explain", "demo", "bench", "warmup"])
def test_each_command_shows_an_example(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert re.search(rf"Examples?: fastpool {command} ", result.output)


def test_the_shell_completes_commands():
    words = {"_FASTPOOL_COMPLETE": "complete_bash", "COMP_WORDS": "fastpool py", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "fastpool"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **words})
    assert done.stdout.split() == ["pyramid"]


def test_demo_writes_a_table_and_a_picture(tmp_path):
    result = run("demo", "--output", tmp_path / "demo.png", "--repeat", 1)
    assert result.exit_code == 0
    for op in ("max", "min", "avg", "sum", "lp"):
        assert f" {op} " in result.output
    with Image.open(tmp_path / "demo.png") as picture:
        assert picture.size[0] > 600


def test_demo_takes_a_photograph(tmp_path):
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "grey.png")
    result = run("demo", "--image", tmp_path / "grey.png", "--output", tmp_path / "out.png", "--window", 4)
    assert result.exit_code == 0
    assert "(4, 4)" in result.output


def test_pool_arrays(tmp_path):
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 9))
    np.save(tmp_path / "x.npy", x)
    calls = [
        ((), {"window": 2}, "max"),
        (("--op", "lp", "--window", "3,2", "--stride", 1, "--padding", "1,0"), {"window": (3, 2)}, "lp"),
        (("--op", "min", "--window", 3, "--padding", "same", "--axes", "1,3"), {"window": 3}, "min"),
    ]
    rest = [{}, {"stride": 1, "padding": (1, 0)}, {"padding": "same", "axes": (1, 3)}]
    for (words, window, op), others in zip(calls, rest, strict=True):
        result = run("pool", tmp_path / "x.npy", tmp_path / "y.npy", *words)
        assert result.exit_code == 0, result.output
        np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), fp.pool(x, op, **window, **others))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".jpg"])
def test_pool_images(tmp_path, suffix):
    x = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    source, target = tmp_path / f"x{suffix}", tmp_path / f"y{suffix}"
    if suffix.startswith(".tif"):
        tifffile.imwrite(source, x)
    else:
        Image.fromarray(x).save(source)
    result = run("pool", source, target, "--op", "avg", "--window", 4)
    assert result.exit_code == 0, result.output
    y = tifffile.imread(target) if suffix.startswith(".tif") else np.asarray(Image.open(target))
    assert y.shape == (3, 4, 3)
    if suffix != ".jpg":
        np.testing.assert_array_equal(y, fp.avg_pool(x, 4, axes=(0, 1)))


@pytest.mark.parametrize(
    ("source", "target", "words", "message"),
    [
        ("x.npy", "y.npy", ("--window", 9), "does not fit length 4"),
        ("x.npy", "y.npy", ("--op", "best"), "error: --op must be one of max, min, count, avg"),
        ("x.npy", "y.npy", ("--stride", "1,2,3,4,5"), "--stride must have one entry"),
        ("x.npy", "y.npy", ("--stride", "1,2,3"), "got 1,2,3"),
        ("x.npy", "y.npy", ("--skipna", "--min-count", "9"), "--min-count must be at most"),
        ("x.npy", "y.npy", ("--window", "two"), "--window must be an integer"),
        ("x.npy", "y.npy", ("--padding", "smae"), "--padding must be"),
        (
            "x.npy",
            "y.png",
            (),
            "PNG holds grey or colours of uint8, or grey of uint16 or bool; the result is float64",
        ),
        ("x.npy", "y.gif", (), "OUT must end in .npy"),
        ("x.gif", "y.npy", (), "IN must end in .npy"),
        ("absent.npy", "y.npy", (), "No such file"),
    ],
)
def test_errors_are_one_line(tmp_path, source, target, words, message):
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 4, 4)))
    result = run("pool", tmp_path / source, tmp_path / target, *words)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / target).exists()


def test_bench_beside_the_libraries_that_are_installed(tmp_path):
    # In a process of its own: other libraries' threads and warnings stay out of the tests'.
    files = ["--json", str(tmp_path / "times.json"), "--chart", str(tmp_path / "chart.png")]
    command = [sys.executable, "-m", "fastpool", "bench", "--small", "--repeat", "1", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "times.json").read_text())
    assert [row["name"] for row in record["rows"]] == [row.name for row in speeds.rows()]
    for row in record["rows"]:
        peers = {name: time for name, time in row["seconds"].items() if name not in {"fastpool", "copy"}}
        assert row["peer"] == min(peers, key=peers.get, default=None)
        assert row["share_of_copy"] > 0
    assert record["versions"]["fastpool"] == fp.__version__
    with Image.open(tmp_path / "chart.png") as picture:
        assert picture.size[0] > 600


def test_bench_alone(tmp_path, monkeypatch, threads):
    for name in ("torch", "onnx", "onnxruntime", "openvino", "cv2", "scipy.ndimage", "tinybrain"):
        monkeypatch.setitem(sys.modules, name, None)
    threads(1)
    files = ("--json", tmp_path / "times.json", "--chart", tmp_path / "chart.png")
    words = ("--small", "--repeat", 2, "--threads", 2, "--idle", 0.001)
    result = run("bench", "--only", "uint8", *words, *files)
    assert result.exit_code == 0, result.output
    assert "no other library takes part" in result.output
    record = json.loads((tmp_path / "times.json").read_text())
    assert record["settings"] == {"threads": 2, "repeat": 2, "idle": 0.001, "small": True}
    assert [list(row["seconds"]) for row in record["rows"]] == [["fastpool", "copy"]]
    assert (tmp_path / "chart.png").stat().st_size > 0
    assert fp.get_num_threads() == 1
    result = run("bench", "--only", "absent workload")
    assert result.exit_code == 2
    assert "no workload has" in result.stderr


def test_bench_without_a_clone_says_how_to_get_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "asv_bench.rivals.command", None)
    for words in ((), ("--small", "--threads", 1), ("--help",)):
        result = run("bench", *words)
        assert result.exit_code == 1
        assert "git clone https://github.com/fastpool/fastpool && cd fastpool" in result.stderr


def test_module_and_missing_extra():
    command = [sys.executable, "-m", "fastpool", "info"]
    assert fp.__version__ in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    code = "import sys; sys.modules['typer'] = None; from fastpool.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "The command line needs typer; install it with: pip install 'fastpool[cli]'"
    )


def test_warmup_fails_where_nothing_can_be_kept(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(jit, "cache_folder", lambda: "")
        result = run("warmup")
    assert result.exit_code == 1
    assert "NUMBA_CACHE_DIR" in result.output
    monkeypatch.setattr(cli, "_compile", lambda *_: None)
    monkeypatch.setattr(jit.Unkept, "problem", "No space left on device")
    result = run("warmup", "--op", "max", "--dtype", "float32")
    assert result.exit_code == 1
    assert "No space left on device" in result.output


def test_warmup_compiles_what_is_asked_for():
    result = run("warmup", "--op", "max", "--dtype", "float32")
    assert result.exit_code == 0, result.output
    assert "compiled kernels are in" in result.output
    assert run("warmup", "--op", "lp", "--dtype", "uint8").exit_code == 2
    assert run("warmup", "--op", "best").exit_code == 2


# A typical call of such work, on another shape than those that `warmup` has.
TYPICAL = {
    "images": "fp.avg_pool(np.ones((300, 400, 3), np.uint8), 4, axes=(0, 1))",
    "networks": "y, pull = fp.vjp(fp.avg_pool, np.ones((2, 3, 112, 112), np.float32), 3, stride=2, padding=1)"
    "; pull(y)",
    "labels": "fp.mode_pool(np.ones((20, 128, 128), np.uint32), (1, 2, 2))",
}


@pytest.mark.parametrize(
    ("profile", "op", "dtype"),
    [("images", "avg", "uint8"), ("networks", "avg", "float32"), ("labels", "mode", "uint32")],
)
def test_nothing_is_compiled_after_the_warmup_of_a_profile(tmp_path, profile, op, dtype):
    def python(*words):
        place = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, check=False, env=place
        )
        assert done.returncode == 0, done.stderr
        return {path.name for path in tmp_path.rglob("*.nbc")}

    words = ("--profile", profile, "--op", op, "--dtype", dtype)
    kept = python("-m", "fastpool", "warmup", *words)
    assert kept
    assert python("-c", f"import numpy as np, fastpool as fp; {TYPICAL[profile]}") == kept


def test_profiles_are_named():
    result = run("warmup", "--profile", "everything")
    assert result.exit_code == 2
    assert "images, networks, labels" in " ".join(result.stderr.split())
