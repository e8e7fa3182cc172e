"""Which rows are slower, faster or unchanged: log-ratios of pairs, a one-sided test, Holm's correction."""

import math
import statistics
from dataclasses import dataclass

import numpy as np
from scipy import stats

ALPHA = 1e-3  # of one draw, over all its rows
TRIMMED = 0.2  # of the pairs, at either end
RATIO = 1.03  # what the median of the ratios must exceed
VERDICTS = ("slower", "faster", "unchanged", "unmeasured", "skipped")


@dataclass(frozen=True)
class Verdict:
    """What a draw says of one row.

    Attributes
    ----------
    verdict : str
        One of `VERDICTS`.
    ratio, low, high : float
        Head over base: the median of the pairs, and its interval at 95 %; NaN where nothing was measured.
    p : float
        The smaller of both one-sided p-values, before Holm's correction.
    why : str
        Why a row is unmeasured.
    """

    verdict: str
    ratio: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    why: str = ""


def decide(rows, draws, pairs):
    """A verdict for each row.

    Parameters
    ----------
    rows : sequence of Row
    draws : mapping of str to Draw
    pairs : int
        How many pairs a timed row wants; with fewer it is unmeasured.

    Returns
    -------
    dict of str to Verdict
    """
    found, times = {}, []
    for row in rows:
        draw = draws[row.id]
        if draw.errors:
            sides = "; ".join(f"{side}: {error}" for side, error in sorted(draw.errors.items()))
            found[row.id] = Verdict("unmeasured", why=sides)
        elif draw.skipped:
            found[row.id] = Verdict("skipped")
        elif row.kind == "peakmemory":
            found[row.id] = memory(draw)
        elif len(draw.pairs) < pairs or not all(pair.ratio > 0 for pair in draw.pairs):
            why = f"{draw.dropped} of {draw.dropped + len(draw.pairs)} pairs were disturbed"
            why = why if len(draw.pairs) < pairs else "figures must be positive"
            found[row.id] = Verdict("unmeasured", why=why)
        else:
            times.append(row)
    return found | timed(times, draws)


def timed(rows, draws):
    """Verdicts on rows that vary: times, and figures that are tracked."""
    logs = {row.id: log_ratios(draws[row.id]) for row in rows}
    slower = holm([p_value(logs[row.id], "greater") for row in rows])
    faster = holm([p_value(logs[row.id], "less") for row in rows])
    found = {}
    for row, up, down in zip(rows, slower, faster, strict=True):
        ratio, low, high = (math.exp(one) for one in median(logs[row.id]))
        verdict = "unchanged"
        if up and ratio > RATIO:
            verdict = "slower"
        elif down and ratio < 1 / RATIO:
            verdict = "faster"
        p = min(p_value(logs[row.id], way) for way in ("greater", "less"))
        found[row.id] = Verdict(verdict, ratio, low, high, p)
    return found


def memory(draw):
    """A verdict on peaks of memory, which hardly vary: all of one side must lie beyond all of the other."""
    base, head = sorted(pair.base for pair in draw.pairs), sorted(pair.head for pair in draw.pairs)
    verdict = "unchanged"
    if head[0] > RATIO * base[-1]:
        verdict = "slower"
    elif base[0] > RATIO * head[-1]:
        verdict = "faster"
    ratio = statistics.median(head) / statistics.median(base)
    return Verdict(verdict, ratio, head[0] / base[-1], head[-1] / base[0], math.nan)


def log_ratios(draw):
    """Logarithms of head over base, one a pair."""
    return np.log([pair.ratio for pair in draw.pairs])


def p_value(logs, alternative):
    """Of Yuen's test of a trimmed mean: the outer fifths do not count, for pairs that something disturbed.

    Student's test of what is left, with the variance of the winsorised sample (Yuen 1974). 1 where nothing
    varies and nothing moved.
    """
    count, cut = len(logs), int(TRIMMED * len(logs))
    ordered = np.sort(logs)
    kept = ordered[cut : count - cut]
    mean = kept.mean() if alternative == "greater" else -kept.mean()
    deviation = np.clip(logs, kept[0], kept[-1]).std(ddof=1)
    if deviation == 0:
        return 0.0 if mean > 0 else 1.0
    error = deviation / ((1 - 2 * cut / count) * math.sqrt(count))
    return float(stats.t.sf(mean / error, len(kept) - 1))


def median(logs):
    """The median and its interval at 95 % by order statistics."""
    interval = stats.quantile_test(logs, p=0.5).confidence_interval(0.95)
    return float(np.median(logs)), float(interval.low), float(interval.high)


def holm(values, alpha=ALPHA):
    """Whether each hypothesis is rejected by Holm's procedure.

    Examples
    --------
    >>> holm([0.0004, 0.2, 0.0006], alpha=0.001)
    [True, False, False]
    """
    rejected = [False] * len(values)
    for rank, n in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        if values[n] > alpha / (len(values) - rank):
            break
        rejected[n] = True
    return rejected


def confirmed(first, second):
    """Verdicts of both draws together: what the second did not repeat is unchanged."""
    found = dict(first)
    for row_id, again in second.items():
        if again.verdict == first[row_id].verdict or again.verdict == "unmeasured":
            found[row_id] = again
        else:
            found[row_id] = Verdict("unchanged", again.ratio, again.low, again.high, again.p)
    return found
