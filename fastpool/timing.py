"""Best times of calls that take turns, so that what slows the machine down slows all of them."""

import math
import time
from collections.abc import Callable
from typing import Any

Call = Callable[[], Any]


def seconds(call: Call) -> float:
    """Wall-clock time of one call.

    Parameters
    ----------
    call : callable

    Returns
    -------
    float

    Examples
    --------
    >>> from fastpool import timing
    >>> timing.seconds(dict) >= 0
    True
    """
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def measure(calls: dict[str, Call], repeat: int, idle: float = 0.0) -> dict[str, float]:
    """Best time of each call, all of them in turn.

    Parameters
    ----------
    calls : dict of str to callable
    repeat : int
        Turns.
    idle : float
        Seconds of sleep before each call. Threads of a library that has just run may go on spinning, at the
        cost of the next; a sleep ends that, and shows what a call costs that does not follow another at once.

    Returns
    -------
    dict of str to float
        Seconds.

    Examples
    --------
    >>> from fastpool import timing
    >>> list(timing.measure({"list": list, "dict": dict}, 2))
    ['list', 'dict']
    """
    best = dict.fromkeys(calls, math.inf)
    for _ in range(repeat):
        for name, call in calls.items():
            if idle:
                time.sleep(idle)
            best[name] = min(best[name], seconds(call))
    return best
