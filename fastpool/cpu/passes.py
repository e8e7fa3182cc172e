"""What several kernels share: passes over rows that are `pitch` elements apart, and how results are given."""

import numpy as np

from .. import jit, merges
from . import half
from .memory import apart, peek, pointer, pointers, poke


def never(*arguments):
    """In place of the question whether an element is NaN, of operators that lose none."""
    return False


def scan(odd, x, count, repeat, pitch):
    """Whether there is a NaN."""
    apart()
    found = False
    for r in range(repeat):
        for j in range(count):
            found = bool(found | odd(peek(x, r * pitch + j)))
    return found


def give(finish, knobs, write, out, places, j, found, scale):
    """A result; there are no `places`."""
    poke(out, j, write(finish(found, scale, knobs)))


def give_placed(finish, knobs, write, out, places, j, found, scale):
    """A value and its tap."""
    poke(out, j, write(found[0]))
    poke(places, j, found[1])


def moved(pair, shift):
    """A pair of value and tap, the tap so much further."""
    return pair[0], np.int32(pair[1] + shift)


def line_of(memory):
    """The memory of lines of values."""
    return pointer(memory[0])


def line_of_pairs(memory):
    """The memory of lines of values and places."""
    return pointers(memory)


jit.register(half)
jit.register(merges)
jit.register(__name__, forceinline=False)
