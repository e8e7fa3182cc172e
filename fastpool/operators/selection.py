"""Order in a window's memory: the k-th element, the next one, the longest run of equals.

Plain Python on arrays, for kernels of every device. Elements are pairs of ``values`` and ``places``; of equal
values the one with the lower place comes first, so that no two elements are alike.
"""


def has_nan(values, count):
    """Where the first NaN is; -1 where there is none."""
    for i in range(count):
        if values[i] != values[i]:
            return i
    return -1


def precedes(value, place, other, other_place):
    """Whether an element comes before another."""
    return (value < other) | ((value == other) & (place < other_place))


def select(values, places, count, rank):
    """Put the element of a rank where sorting would, none before it larger; quickselect (Hoare 1961)."""
    first, last = 0, count - 1
    while first < last:
        middle = (first + last) // 2
        pivot, pivot_place = values[middle], places[middle]
        i, j = first, last
        while i <= j:
            while precedes(values[i], places[i], pivot, pivot_place):
                i += 1
            while precedes(pivot, pivot_place, values[j], places[j]):
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                places[i], places[j] = places[j], places[i]
                i += 1
                j -= 1
        first, last = (i if rank > j else first), (j if rank < i else last)
    return rank


def next_place(values, places, count, rank):
    """Where the element after a selected one is."""
    best = rank + 1
    for i in range(rank + 2, count):
        best = i if precedes(values[i], places[i], values[best], places[best]) else best
    return best


def sort(insert, values, places, count):
    """Put the elements in order; `insert` puts one of them among those at a distance. Shell's sort (1959)."""
    gap = count // 2
    while gap > 0:
        for i in range(gap, count):
            insert(values, places, i, gap)
        gap = 1 if gap == 2 else gap * 5 // 11


def insert_value(values, places, i, gap):
    value, j = values[i], i
    while j >= gap and values[j - gap] > value:
        values[j] = values[j - gap]
        j -= gap
    values[j] = value


def insert_element(values, places, i, gap):
    value, place, j = values[i], places[i], i
    while j >= gap and precedes(value, place, values[j - gap], places[j - gap]):
        values[j], places[j] = values[j - gap], places[j - gap]
        j -= gap
    values[j], places[j] = value, place


SMALLEST, FIRST, LARGEST = 0.0, 1.0, 2.0  # which of values that come equally often


def most_frequent(values, places, count, ties):
    """Where, among the elements once sorted, the most frequent value begins; 0 of none."""
    sort(insert_element, values, places, count)
    best, longest, start = 0, 0, 0
    for i in range(count):
        start = start if values[i] == values[start] else i
        length = i - start + 1
        earlier = (ties == FIRST) & (places[start] < places[best])
        if (length > longest) | ((length == longest) & (earlier | (ties == LARGEST))):
            best, longest = start, length
    return best


def largest_run(values, count):
    """Where, among the values once sorted, the most frequent one is, of equals the smallest; 0 of none."""
    sort(insert_value, values, values, count)
    best, longest, start = 0, 0, 0
    for i in range(count):
        start = start if values[i] == values[start] else i
        if i - start + 1 > longest:
            best, longest = i, i - start + 1
    return best
