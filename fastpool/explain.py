"""One axis' windows drawn, and what PyTorch, TensorFlow, ONNX and Caffe make of the same numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, SupportsIndex

from . import checks, jobs, windows
from .annotations import Padding

MOST_WINDOWS = 24  # that are drawn, the last four among them
MOST_COLUMNS = 96
MOST_LISTED = 2**20
SHOWN = 12  # divisors of a framework


class Window(NamedTuple):
    """One window: its elements, where it begins and ends with padding, and its divisors."""

    elements: range
    begin: int
    end: int
    with_padding: int
    without_padding: int


class Answer(NamedTuple):
    """What a framework gives: outputs, divisors of an average, None where it refuses, and a remark."""

    name: str
    outputs: int | None
    divisors: tuple[int, ...] | None
    remark: str


@dataclass(frozen=True, repr=False)
class Explanation:
    """Windows along an axis and the frameworks' answers; printed, it draws them.

    Attributes
    ----------
    n, window, stride, dilation : int
    padding : (int, int)
        Before and after.
    ceil_mode : bool
    windows : tuple of Window
    answers : tuple of Answer
        fastpool's, and those of torch, TensorFlow, ONNX and Caffe.
    """

    n: int
    window: int
    stride: int
    padding: tuple[int, int]
    dilation: int
    ceil_mode: bool
    windows: tuple[Window, ...]
    answers: tuple[Answer, ...]

    def __repr__(self) -> str:
        return "\n".join([*_drawing(self), "", *_comparison(self.answers)])


def explain(
    n: SupportsIndex,
    window: SupportsIndex,
    *,
    stride: SupportsIndex | None = None,
    padding: Padding = 0,
    dilation: SupportsIndex = 1,
    ceil_mode: bool = False,
    count_include_pad: bool | None = None,
) -> Explanation:
    """Show the windows along one axis and where frameworks disagree about them.

    Window o covers ``o stride - before + k dilation`` for k from 0 to ``window - 1``. The drawing shows each
    window's elements, its padding and its two divisors; the table below it what PyTorch, TensorFlow, ONNX and
    Caffe make of the same numbers.

    Parameters
    ----------
    n : int
        Length of the axis.
    window : int
        Elements that a window covers.
    stride : int, optional
        Distance between the starts of windows; the window by default.
    padding : int, (int, int), or {"valid", "same", "same_lower"}
        Elements added before and after; see `pool`.
    dilation : int
        Distance between the elements of a window.
    ceil_mode : bool
        Round the number of windows up instead of down.
    count_include_pad : bool, optional
        Whether averages count padding, for fastpool, PyTorch and ONNX. By default each one's own default:
        True, True and False.

    Returns
    -------
    Explanation
        Printed, it is the drawing and the table; its attributes `windows` and `answers` hold the numbers.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument has a bad value, if a window would cover no element, or if there are more than 2**20
        windows.

    See Also
    --------
    explain_call : Show which kernel a call takes.
    pool : The call itself.
    avg_pool : The divisors in use.

    Notes
    -----
    No kernel is compiled or run. TensorFlow and ONNX never count padding unless asked to; Caffe always rounds
    up.

    References
    ----------
    .. [1] Dumoulin, Visin 2016, A guide to convolution arithmetic for deep learning, arXiv 1603.07285.

    Examples
    --------
    >>> import fastpool as fp
    >>> fp.explain(6, 3, stride=2, padding=1, ceil_mode=True)
    6 elements, window 3, stride 2, padding (1, 1), dilation 1, rounded up: 4 outputs
    <BLANKLINE>
    output  p012345p   elements  divisor with padding  without
         0  oxx        0..1                         3        2
         1    xxx      1..3                         3        3
         2      xxx    3..5                         3        3
         3        xo+  5                            2        1
    x element, o padding, + past the padding (no divisor counts it)
    <BLANKLINE>
                outputs  divisors of an average
    fastpool          4  3 3 3 2
    torch             4  3 3 3 2
    TensorFlow        3  none                    rounds down; explicit padding is for max_pool alone
    ONNX              4  2 3 3 1
    Caffe             4  3 3 3 2
    They disagree on the number of outputs (3 or 4) and on the divisors.
    """
    length = checks.integer("n", n, minimum=1)
    k = checks.integer("window", window, minimum=1)
    step = k if stride is None else checks.integer("stride", stride, minimum=1)
    gap = checks.integer("dilation", dilation, minimum=1)
    up = checks.boolean("ceil_mode", ceil_mode)
    include = None if count_include_pad is None else checks.boolean("count_include_pad", count_include_pad)
    around, span = _around(padding), gap * (k - 1) + 1
    word = around if isinstance(around, str) else None
    before, after = jobs.padded(around, length, k, step, gap)
    if windows.output_length(length, k, step, before, after, gap, up) > MOST_LISTED:
        raise ValueError(
            f"n must make at most {MOST_LISTED} windows, which are listed one by one, got {length}"
        )
    axis = windows.sliding(length, k, step, before, after, gap, up)
    drawn = tuple(
        Window(range(lo, lo + count * gap, gap), o * step - before, o * step - before + span, extent, count)
        for o, (lo, count, extent) in enumerate(
            zip(axis.lo.tolist(), axis.count.tolist(), axis.extent.tolist(), strict=True)
        )
    )
    call = _Call(length, k, step, word, before, after, gap, up, include, drawn)
    answers = tuple(ask(call) for ask in (_fastpool, _torch, _tensorflow, _onnx, _caffe))
    return Explanation(length, k, step, (before, after), gap, up, drawn, answers)


def _around(padding: Any) -> str | tuple[int, int]:
    """The word, or the padding before and after."""
    if checks.is_sequence(padding) and len(padding) == 2 and not any(map(checks.is_sequence, padding)):
        padding = [tuple(padding)]  # one pair, not one number for each of two axes
    checked = checks.padding(padding, 1)
    return checked if isinstance(checked, str) else checked[0]


# Frameworks ----------------------------------------------------------------------------------------------


class _Call(NamedTuple):
    n: int
    window: int
    stride: int
    word: str | None
    before: int
    after: int
    dilation: int
    ceil_mode: bool
    include: bool | None
    windows: tuple[Window, ...]

    def divisors(self, *, include: bool) -> tuple[int, ...]:
        return tuple(w.with_padding if include else w.without_padding for w in self.windows)

    def length(self, *, ceil_mode: bool) -> int:
        numbers = (self.n, self.window, self.stride, self.before, self.after, self.dilation)
        return windows.output_length(*numbers, ceil_mode)


def _fastpool(call: _Call) -> Answer:
    return Answer("fastpool", len(call.windows), call.divisors(include=call.include is not False), "")


def _torch(call: _Call) -> Answer:
    if call.before != call.after:
        return Answer("torch", None, None, "takes one number for both sides")
    if call.before > call.window // 2:
        return Answer("torch", None, None, "takes padding of at most half the window")
    if call.dilation > 1:
        return Answer("torch", len(call.windows), None, "averages take no dilation")
    return Answer("torch", len(call.windows), call.divisors(include=call.include is not False), "")


def _tensorflow(call: _Call) -> Answer:
    if call.word == "same_lower":
        return Answer("TensorFlow", None, None, "has no SAME with the surplus before")
    if call.dilation > 1 and (call.stride > 1 or call.word == "same"):
        return Answer("TensorFlow", None, None, "takes dilation at stride 1 and without SAME")
    outputs = call.length(ceil_mode=False)
    if outputs < 1:
        return Answer("TensorFlow", None, None, "rounds down: no window fits")
    remarks = ["rounds down"] * (outputs < len(call.windows))
    if call.word is None and call.before + call.after:
        remarks.append("explicit padding is for max_pool alone")
        return Answer("TensorFlow", outputs, None, "; ".join(remarks))
    return Answer("TensorFlow", outputs, call.divisors(include=False)[:outputs], "; ".join(remarks))


def _onnx(call: _Call) -> Answer:
    remark = "averages since opset 19" if call.dilation > 1 else ""
    return Answer("ONNX", len(call.windows), call.divisors(include=bool(call.include)), remark)


def _caffe(call: _Call) -> Answer:
    """Always rounded up; the last window is left out only where there is padding."""
    if call.dilation > 1 or call.before != call.after:
        return Answer("Caffe", None, None, "takes no dilation and one number for both sides")
    padded = call.n + call.after
    outputs = -(-(padded + call.before - call.window) // call.stride) + 1
    if call.before and (outputs - 1) * call.stride >= call.n + call.before:
        outputs -= 1
    starts = [o * call.stride - call.before for o in range(outputs)]
    divisors = tuple(max(min(start + call.window, padded) - start, 0) for start in starts)
    remarks = ["always rounds up"] * (not call.ceil_mode and outputs > len(call.windows))
    if starts[-1] >= call.n:
        remarks.append("the last window has no element")
    return Answer("Caffe", outputs, divisors, "; ".join(remarks))


# Text ----------------------------------------------------------------------------------------------------


def _drawing(of: Explanation) -> Iterator[str]:
    rounded = "rounded up" if of.ceil_mode else "rounded down"
    count = len(of.windows)
    yield (
        f"{of.n} elements, window {of.window}, stride {of.stride}, padding {of.padding}, "
        f"dilation {of.dilation}, {rounded}: {count} output{'s' * (count > 1)}"
    )
    yield ""
    first, last = -of.padding[0], max(of.n + of.padding[1], of.windows[-1].end)
    columns = range(first, last) if last - first <= MOST_COLUMNS else range(0)
    ruler = "".join(_place(of, place) for place in columns)
    each = list(enumerate(of.windows))
    shown = each if count <= MOST_WINDOWS else [*each[: MOST_WINDOWS - 4], *each[-4:]]
    spans = [_span(w.elements) for _, w in shown]
    wide = max(map(len, [*spans, "elements"]))
    yield f"output  {ruler}  {'elements':<{wide}}  divisor with padding  without"
    for number, ((o, w), text) in enumerate(zip(shown, spans, strict=True)):
        if number and o > shown[number - 1][0] + 1:
            yield f"{'...':>6}"
        marks = "".join(_mark(of, w, place) for place in columns)
        yield f"{o:6}  {marks}  {text:<{wide}}  {w.with_padding:20}  {w.without_padding:7}"
    if columns:
        yield "x element, o padding, + past the padding (no divisor counts it)"


def _span(elements: range) -> str:
    if len(elements) == 1:
        return str(elements[0])
    return f"{elements[0]}..{elements[-1]}" + f" by {elements.step}" * (elements.step > 1)


def _place(of: Explanation, place: int) -> str:
    if 0 <= place < of.n:
        return str(place % 10)
    return "p" if place < of.n + of.padding[1] else " "


def _mark(of: Explanation, w: Window, place: int) -> str:
    if not w.begin <= place < w.end or (place - w.begin) % of.dilation:
        return " "
    if 0 <= place < of.n:
        return "x"
    return "o" if place < of.n + of.padding[1] else "+"


def _comparison(answers: Sequence[Answer]) -> Iterator[str]:
    texts = [_divisors(answer.divisors) for answer in answers]
    wide = max(map(len, [*texts, "divisors of an average"]))
    yield f"{'':10}  outputs  divisors of an average"
    for answer, text in zip(answers, texts, strict=True):
        outputs = "none" if answer.outputs is None else str(answer.outputs)
        yield f"{answer.name:10}  {outputs:>7}  {text:<{wide}}  {answer.remark}".rstrip()
    yield _verdict(answers)


def _divisors(divisors: tuple[int, ...] | None) -> str:
    if divisors is None:
        return "none"
    if len(divisors) <= SHOWN:
        return " ".join(map(str, divisors))
    return " ".join([*map(str, divisors[: SHOWN - 2]), "...", str(divisors[-1])])


def _verdict(answers: Sequence[Answer]) -> str:
    lengths = sorted({answer.outputs for answer in answers if answer.outputs is not None})
    divisors = {answer.divisors for answer in answers if answer.divisors is not None}
    subjects = []
    if len(lengths) > 1:
        subjects.append(f"the number of outputs ({' or '.join(map(str, lengths))})")
    if len({d[: lengths[0]] for d in divisors}) > 1:
        subjects.append("the divisors")
    if not subjects:
        return "All that take these arguments agree."
    return f"They disagree on {' and on '.join(subjects)}."
