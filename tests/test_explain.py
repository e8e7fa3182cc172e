"""The drawing of windows, and what it says about other frameworks: restated, and asked of torch and ONNX."""

import random

import numpy as np
import pytest
import reference
from typer.testing import CliRunner

import fastpool as fp
from fastpool.cli import app

TEXT = """\
7 elements, window 3, stride 2, padding (1, 1), dilation 1, rounded up: 4 outputs

output  p0123456p  elements  divisor with padding  without
     0  oxx        0..1                         3        2
     1    xxx      1..3                         3        3
     2      xxx    3..5                         3        3
     3        xxo  5..6                         3        2
x element, o padding, + past the padding (no divisor counts it)

            outputs  divisors of an average
fastpool          4  3 3 3 3
torch             4  3 3 3 3
TensorFlow        4  none                    explicit padding is for max_pool alone
ONNX              4  2 3 3 2
Caffe             4  3 3 3 3
They disagree on the divisors.
"""


def answers(*arguments, **options):
    return {answer.name: answer for answer in fp.explain(*arguments, **options).answers}


def test_the_command():
    words = ["explain", "7", "--window", "3", "--stride", "2", "--padding", "1", "--ceil"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.stdout == TEXT
    assert repr(fp.explain(7, 3, stride=2, padding=1, ceil_mode=True)) + "\n" == TEXT


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["2", "--window", "3"], "does not fit length 2"),
        (["9", "--window", "3", "--padding", "3"], "padding must be less than the dilated window"),
        (["9", "--window", "3", "--padding", "full"], "padding must be an integer, pairs, or one of"),
        (["9", "--window", "3", "--padding", "1,x"], "--padding must be an integer"),
    ],
)
def test_errors_of_the_command_are_one_line(words, message):
    result = CliRunner().invoke(app, ["explain", *words])
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_words_and_pairs_of_the_command():
    result = CliRunner().invoke(app, ["explain", "7", "--window", "4", "--padding", "same_lower"])
    assert "padding (1, 0)" in result.stdout
    assert "TensorFlow     none  none" in result.stdout
    result = CliRunner().invoke(app, ["explain", "7", "--window", "3", "--padding", "0,2", "--dilation", "2"])
    assert "padding (0, 2), dilation 2" in result.stdout


def test_windows_are_those_of_the_rules():
    rng = random.Random(0)
    for _ in range(300):
        n, k, s, d = rng.randint(1, 20), rng.randint(1, 5), rng.randint(1, 5), rng.randint(1, 3)
        pads, ceil = (rng.randint(0, d * (k - 1)), rng.randint(0, d * (k - 1))), rng.random() < 0.5
        expected = reference.taps(n, k, s, *pads, d, ceil)
        options = {"stride": s, "padding": pads, "dilation": d, "ceil_mode": ceil}
        if expected is None:
            with pytest.raises(ValueError, match=r"fit|no element"):
                fp.explain(n, k, **options)
            continue
        found = fp.explain(n, k, **options)
        ones = np.ones(n)
        sums = fp.sum_pool(ones, (k,), **(options | {"padding": [pads]}))
        assert [w.without_padding for w in found.windows] == sums.tolist()
        mean = fp.avg_pool(ones, (k,), **(options | {"padding": [pads]}))
        assert [len(w.elements) / w.with_padding for w in found.windows] == pytest.approx(mean.tolist())
        drawn = str(found).split("\n\n")[1]
        if len(found.windows) <= 24:
            assert drawn.split("x element")[0].count("x") == sums.sum()


def test_what_each_framework_is_known_for():
    assert answers(7, 2, stride=2)["Caffe"].outputs == 4  # always rounds up
    assert answers(7, 2, stride=2)["TensorFlow"].outputs == 3
    assert answers(7, 2, stride=2, ceil_mode=True)["TensorFlow"].remark == "rounds down"
    assert answers(5, 1, stride=3)["Caffe"].divisors == (1, 1, 0)  # clips only where there is padding
    assert answers(6, 3, stride=2, padding="same")["torch"].outputs is None  # (0, 1)
    assert answers(6, 3, stride=2, padding="same")["TensorFlow"].divisors == (3, 3, 2)
    assert answers(6, 3, padding="same_lower")["ONNX"].outputs == 2
    assert answers(9, 3, dilation=2)["torch"].divisors is None
    assert answers(9, 3, dilation=2, stride=1)["TensorFlow"].divisors == (3,) * 5
    assert answers(9, 3, dilation=2)["Caffe"].outputs is None
    assert answers(9, 3, padding=2)["torch"].outputs is None  # more than half the window
    assert answers(2, 3, stride=2, ceil_mode=True, padding=(0, 1))["TensorFlow"].outputs == 1
    assert answers(2, 3, stride=2, ceil_mode=True, padding=(0, 0), dilation=1)["TensorFlow"].outputs is None


def test_count_include_pad_is_for_those_that_take_it():
    given = {flag: answers(7, 3, padding=1, count_include_pad=flag) for flag in (None, True, False)}
    divisors = {flag: {name: own.divisors for name, own in each.items()} for flag, each in given.items()}
    assert divisors[None]["torch"] == divisors[True]["ONNX"] == (3, 3, 3)
    assert divisors[None]["ONNX"] == divisors[False]["torch"] == divisors[False]["fastpool"] == (2, 3, 2)
    assert divisors[False]["Caffe"] == (3, 3, 3)


def test_agreement_is_said():
    assert str(fp.explain(6, 2)).endswith("All that take these arguments agree.")
    assert str(fp.explain(7, 2)).endswith("They disagree on the number of outputs (3 or 4).")


def test_long_axes_are_abridged():
    text = str(fp.explain(10_000, 3, stride=2))
    assert len(text.splitlines()) < 40
    assert "   ..." in text
    assert "9994..9996" in text
    with pytest.raises(ValueError, match="at most 1048576 windows"):
        fp.explain(2**40, 3)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((0, 3), {}, ValueError, "n must be at least 1"),
        ((7.0, 3), {}, TypeError, "n must be an integer"),
        ((7, 0), {}, ValueError, "window must be at least 1"),
        ((7, 3), {"stride": 0}, ValueError, "stride must be at least 1"),
        ((7, 3), {"padding": -1}, ValueError, "padding must be at least 0"),
        ((7, 3), {"padding": (1, 1, 1)}, ValueError, "padding must have one entry"),
        ((7, 3), {"ceil_mode": 1}, TypeError, "ceil_mode must be True or False"),
        ((7, 3), {"count_include_pad": 1}, TypeError, "count_include_pad must be True or False"),
    ],
)
def test_refused(arguments, options, error, message):
    with pytest.raises(error, match=message):
        fp.explain(*arguments, **options)


@pytest.mark.peer
def test_torch_gives_what_is_said():
    functional = pytest.importorskip("torch").nn.functional
    torch = pytest.importorskip("torch")
    rng, compared = random.Random(1), 0
    while compared < 300:
        n, k, s, d = rng.randint(1, 20), rng.randint(1, 5), rng.randint(1, 5), rng.randint(1, 2)
        p, ceil, include = rng.randint(0, k - 1), rng.random() < 0.5, rng.random() < 0.5
        options = {"stride": s, "padding": p, "dilation": d, "ceil_mode": ceil}
        try:
            said = answers(n, k, **options, count_include_pad=include)["torch"]
        except ValueError:
            continue
        ones = torch.ones(1, 1, n)
        if said.outputs is None:
            with pytest.raises(RuntimeError):
                functional.max_pool1d(ones, k, s, p, d, ceil)
            continue
        assert functional.max_pool1d(ones, k, s, p, d, ceil).shape[2] == said.outputs
        if said.divisors is not None:
            summed = fp.sum_pool(np.ones(n), (k,), stride=s, padding=p, ceil_mode=ceil)
            mean = functional.avg_pool1d(ones, k, s, p, ceil, include).numpy().reshape(-1)
            np.testing.assert_allclose(mean, summed / said.divisors, rtol=1e-6)
        compared += 1


@pytest.mark.peer
def test_onnx_gives_what_is_said():
    pytest.importorskip("onnxruntime")
    from fastpool.compat.onnx import make_node, run_node  # noqa: PLC0415  (compared with onnxruntime elsewhere)

    rng = random.Random(2)
    for _ in range(100):
        n, k, s = rng.randint(4, 20), rng.randint(1, 4), rng.randint(1, 4)
        pads = [rng.randint(0, k - 1), rng.randint(0, k - 1)]
        said = answers(n, k, stride=s, padding=pads, ceil_mode=True)["ONNX"]
        node = make_node("AveragePool", ["x"], ["y"], kernel_shape=[k], strides=[s], pads=pads, ceil_mode=1)
        (y,) = run_node(node, [np.arange(float(n)).reshape(1, 1, n)])
        summed = fp.sum_pool(np.arange(float(n)), (k,), stride=s, padding=[pads], ceil_mode=True)
        np.testing.assert_allclose(y.reshape(-1), summed / said.divisors)
