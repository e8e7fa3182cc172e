"""Sorting and selection networks as data: which pairs of lines to compare, and into which lines.

A network is a list of exchanges, each of which puts the smaller of two values in one place and the larger in
another; carried out on whole lines of values it sorts as many windows at once as a line has elements. The
exchanges are those of Batcher's odd-even merge (Knuth, The Art of Computer Programming, volume 3, 5.3.4),
less all that the wanted ranks do not depend on.

Windows that overlap share work. A value is a node and a shift along the lines; the minimum of two values is
named by what it is the minimum of, after their common shift. So a sorted column is found to be the same one,
a place further on, as the neighbouring window's, and a merged pair of columns as well.
"""

# ruff: noqa: D103 - the expressions at the end say what they do
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

MINIMUM, MAXIMUM, BOTH = range(3)  # of two lines
SORT_THREE, MIDDLE_OF_NINE = range(3, 5)


class Value(NamedTuple):
    """What a node holds, `shift` elements further on; nodes below 0 are the lines that are read."""

    node: int
    shift: int


class Node(NamedTuple):
    """The smaller or the larger of two values."""

    operation: int
    a: Value
    b: Value


class Step(NamedTuple):
    """One pass over two lines; `low` and `high` are the lines it writes, where its operation does.

    `SORT_THREE` takes as well the line as far behind `b` as that is behind `a`, and writes one as far behind
    `high`. `MIDDLE_OF_NINE` writes `low`, from the smallest of each column, at `a`, the middle ones, at
    `high`, and the largest, as far behind those; the columns are as far apart as `b` and `a`.
    """

    operation: int
    low: int
    high: int
    a: int
    a_shift: int
    b: int
    b_shift: int


class Program(NamedTuple):
    """The passes, and in which lines (and how far on) the wanted ranks are; the first lines are the input."""

    steps: tuple[Step, ...]
    results: tuple[Value, ...]
    lines: int


Values = list[Value]


class _Graph:
    """All values that were asked for, each of them once."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.known: dict[Node, int] = {}

    def value(self, operation: int, a: Value, b: Value) -> Value:
        shift = min(a.shift, b.shift)
        first, second = sorted(Value(v.node, v.shift - shift) for v in (a, b))
        if first == second:
            return Value(first.node, shift)
        node = Node(operation, first, second)
        if node not in self.known:
            self.known[node] = len(self.nodes)
            self.nodes.append(node)
        return Value(self.known[node], shift)

    def exchange(self, a: Value, b: Value) -> Values:
        return [self.value(MINIMUM, a, b), self.value(MAXIMUM, a, b)]

    def merge(self, a: Values, b: Values) -> Values:
        """Batcher's merge of two sorted lists of any lengths."""
        if not a or not b:
            return a or b
        if len(a) == len(b) == 1:
            return self.exchange(a[0], b[0])
        even, odd = self.merge(a[::2], b[::2]), self.merge(a[1::2], b[1::2])
        merged = even[:1]
        for low, high in zip(odd, even[1:], strict=False):
            merged += self.exchange(low, high)
        paired = min(len(odd), len(even) - 1)
        return merged + odd[paired:] + even[paired + 1 :]

    def sort(self, values: Values) -> Values:
        if len(values) < 2:
            return values
        half = len(values) // 2
        return self.merge(self.sort(values[:half]), self.sort(values[half:]))

    def needed(self, results: Sequence[Value]) -> set[int]:
        """The nodes that the results depend on."""
        found: set[int] = set()
        waiting = [value.node for value in results]
        while waiting:
            node = waiting.pop()
            if node >= 0 and node not in found:
                found.add(node)
                waiting += (self.nodes[node].a.node, self.nodes[node].b.node)
        return found


# The most common window, 3x3 at stride 1, in two passes in place of fourteen: neighbouring medians share
# their sorted columns, and the rest stays in registers.
COLUMNS_SORTED = Step(SORT_THREE, 3, 4, 0, 0, 1, 0)
MIDDLE = Program((COLUMNS_SORTED, Step(MIDDLE_OF_NINE, 6, 4, 3, 0, 3, 1)), (Value(6, 0),), 7)

# The next one, 5x5, as well: no steps, since its own kernel sorts columns, into lines 5 to 9, and selects.
FIVE = 5
MIDDLE_25 = Program((), (Value(2 * FIVE, 0),), 2 * FIVE + 1)


# Ways to find ranks --------------------------------------------------------------------------------------


def _flat(graph: _Graph, columns: list[Values], ranks: Sequence[int]) -> Values:
    """All values at once."""
    found = graph.sort([value for column in columns for value in column])
    return [found[rank] for rank in ranks]


def _merged(graph: _Graph, columns: list[Values], ranks: Sequence[int]) -> Values:
    """Sorted columns, merged by neighbours."""
    lists = [graph.sort(column) for column in columns]
    while len(lists) > 1:
        odd = lists[len(lists) & ~1 :]
        lists = [graph.merge(a, b) for a, b in zip(lists[::2], lists[1::2], strict=False)] + odd
    return [lists[0][rank] for rank in ranks]


def _crossed(graph: _Graph, columns: list[Values], ranks: Sequence[int]) -> Values:
    """Sorted columns, then sorted rows of them.

    Sorting the rows leaves the columns sorted, so the value in row i and column j, counted from 0, has
    (i + 1) (j + 1) - 1 values that are not larger, and as many not smaller counted from the other corner:
    the corners cannot be in the middle and take no part in the merging.
    """
    return _of_sorted(graph, [graph.sort(column) for column in columns], ranks)


def _of_sorted(graph: _Graph, sorted_columns: list[Values], ranks: Sequence[int]) -> Values:
    """As `_crossed`, of columns that are sorted."""
    height, width = len(sorted_columns[0]), len(sorted_columns)
    below, lists = 0, []
    for i in range(height):
        row = graph.sort([column[i] for column in sorted_columns])
        last = [height * width - (height - i) * (width - j) for j in range(width)]  # the highest rank
        too_low = sum(rank < min(ranks) for rank in last)
        fits = [j for j in range(too_low, width) if (i + 1) * (j + 1) - 1 <= max(ranks)]
        below += too_low
        lists.append([row[j] for j in fits])
    while len(lists) > 1:
        lists.sort(key=len)
        lists = [*lists[2:], graph.merge(lists[0], lists[1])]
    return [lists[0][rank - below] for rank in ranks]


@lru_cache(maxsize=256)
def select(rows: int, columns: tuple[tuple[int, int], ...], ranks: tuple[int, ...]) -> Program:
    """The shortest program found that gives the values of some ranks in windows of rows and columns.

    Parameters
    ----------
    rows : int
        Elements of a window in each of its columns.
    columns : tuple of (phase, shift)
        Element `i` of a column is in line ``i * phases + phase``, `shift` further on than the window.
    ranks : tuple of int
        Ascending, from 0.
    """
    if (rows, columns, ranks) == (3, ((0, 0), (0, 1), (0, 2)), (4,)):
        return MIDDLE
    if (rows, columns, ranks) == (FIVE, tuple((0, shift) for shift in range(FIVE)), (FIVE * FIVE // 2,)):
        return MIDDLE_25
    phases = 1 + max(phase for phase, _ in columns)
    taps = [[Value(-1 - (i * phases + phase), shift) for i in range(rows)] for phase, shift in columns]
    ways: list[Callable[[_Graph, list[Values], Sequence[int]], Values]] = [_merged]
    if 1 <= len(ranks) <= 2:
        ways += [_crossed, _flat]
    found = []
    for way in ways:
        graph = _Graph()
        results = way(graph, taps, ranks)
        found.append((len(graph.needed(results)), graph, results))
    _, graph, results = min(found, key=lambda entry: entry[0])
    return _assign(graph, results, rows * phases)


def middle_of_sorted(size: int) -> list[tuple[int, int, int]]:
    """What finds the middle of as many sorted columns: operations on two values, the last of which gives it.

    Values are what operations give, from 0 on, and what is read: element `i` of column `j` is
    ``-1 - i * size - j``.
    """
    graph = _Graph()
    columns = [[Value(-1 - i * size - j, 0) for i in range(size)] for j in range(size)]
    needed = sorted(graph.needed(_of_sorted(graph, columns, (size * size // 2,))))
    place = {node: number for number, node in enumerate(needed)}
    nodes = [graph.nodes[number] for number in needed]
    return [(op, place.get(a.node, a.node), place.get(b.node, b.node)) for op, a, b in nodes]


def _assign(graph: _Graph, results: Values, inputs: int) -> Program:
    """Give every value a line that nothing else needs by then; a pass never writes a line that it reads."""
    needed = sorted(graph.needed(results))
    last_use = {value.node: number for number in needed for value in graph.nodes[number][1:]}
    last_use |= {value.node: len(graph.nodes) for value in results}
    place = {-1 - line: line for line in range(inputs)}
    free: list[int] = []
    lines, steps, done = inputs, [], set()
    for number in needed:
        if number in done:
            continue
        operation, a, b = graph.nodes[number]
        twin = graph.known.get(Node(MAXIMUM if operation == MINIMUM else MINIMUM, a, b), -1)
        pair = [number, twin] if twin in last_use else [number]
        if len(pair) == 2:  # the twin is read by whoever reads it, and both read a and b now
            operation = BOTH
        done.update(pair)
        for node in pair:
            if not free:
                free.append(lines)
                lines += 1
            place[node] = free.pop()
        low, high = (pair[0], pair[-1]) if graph.nodes[number].operation == MINIMUM else (pair[-1], pair[0])
        steps.append(Step(operation, place[low], place[high], place[a.node], a.shift, place[b.node], b.shift))
        for value in {a.node, b.node}:
            if last_use[value] <= max(pair):
                free.append(place[value])
    return Program(tuple(steps), tuple(Value(place[v.node], v.shift) for v in results), lines)


# Networks of one window in registers, for kernels -----------------------------------------------------------


def in_order(a, b):
    return (a if a < b else b), (b if a < b else a)


def middle_of_three(a, b, c):
    a, b = in_order(a, b)
    return in_order(a, in_order(b, c)[0])[1]


def sort_4(a, b, c, d):
    a, b = in_order(a, b)
    c, d = in_order(c, d)
    a, c = in_order(a, c)
    b, d = in_order(b, d)
    b, c = in_order(b, c)
    return a, b, c, d


def sort_5(a, b, c, d, e):
    a, b = in_order(a, b)
    d, e = in_order(d, e)
    c, e = in_order(c, e)
    c, d = in_order(c, d)
    b, e = in_order(b, e)
    a, d = in_order(a, d)
    a, c = in_order(a, c)
    b, d = in_order(b, d)
    b, c = in_order(b, c)
    return a, b, c, d, e


def merge_4(v, w):
    """Batcher's merge of two sorted fours."""
    a, e = in_order(v[0], w[0])
    c, g = in_order(v[2], w[2])
    c, e = in_order(e, c)
    b, f = in_order(v[1], w[1])
    d, h = in_order(v[3], w[3])
    d, f = in_order(f, d)
    b, c = in_order(b, c)
    d, e = in_order(d, e)
    f, g = in_order(f, g)
    return a, b, c, d, e, f, g, h


def most_frequent(values, everything, ignore):
    """Of sorted values the first that begins a run of the greatest length: longer ones overrule shorter.

    Where not `everything` counts, `ignore` does not.
    """
    best = values[len(values) - 1]
    for further in range(len(values)):
        for i in range(len(values) - 1 - further, -1, -1):
            runs = (values[i] == values[i + further]) & (everything | (values[i] != ignore))
            best = values[i] if runs else best
    return best
