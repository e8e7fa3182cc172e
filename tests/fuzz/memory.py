"""Arrays in any layout, between canaries or beside unreadable pages."""

import ctypes
import math
import mmap
import tempfile
import threading
import weakref

import numpy as np

PAGE = mmap.PAGESIZE
MARGIN = 64  # bytes of a canary
MARK, POISON = 0xA5, 0xCB
PLACES = ("begin", "end")
LIBC = ctypes.CDLL(None, use_errno=True)


class Harmed(AssertionError):  # noqa: N818
    """Memory beside an array has been written."""


class Block:
    """Pages between two that nobody may touch."""

    def __init__(self, pages):
        self.size = pages * PAGE
        self.pages = mmap.mmap(-1, self.size + 2 * PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.pages))
        for at in (0, self.size + PAGE):
            if LIBC.mprotect(ctypes.c_void_p(base + at), PAGE, 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.owner = None

    def take(self, nbytes, place):
        """Bytes at an end of the pages, as long as any view of them is alive."""
        inner = np.ndarray((self.size,), np.uint8, self.pages, PAGE)
        start = self.size - nbytes if place == "end" else 0
        canary = start - MARGIN if place == "end" else nbytes
        inner[canary : canary + MARGIN] = MARK
        self.canary = inner[canary : canary + MARGIN]
        found = np.ndarray((nbytes,), np.uint8, self.pages, PAGE + start)
        found[...] = POISON
        self.owner = weakref.ref(found)
        return found


class Guarded:
    """Memory that ends at, or begins behind, an unreadable page; with a canary on its other side."""

    def __init__(self):
        self.blocks = {}
        self.lock = threading.Lock()  # threads of a call have scratch memory of their own

    def take(self, nbytes, place):
        with self.lock:
            return self._take(nbytes, place)

    def _take(self, nbytes, place):
        pages = 1 << (-(-(nbytes + MARGIN) // PAGE) - 1).bit_length()
        row = self.blocks.setdefault(pages, [])
        block = next((each for each in row if each.owner is None or each.owner() is None), None)
        if block is None:
            block = Block(pages)
            row.append(block)
        return block.take(nbytes, place)

    def check(self):
        """Harmed where a canary has changed."""
        for row in self.blocks.values():
            for block in row:
                if block.owner is not None and (block.canary != MARK).any():
                    block.owner = None
                    raise Harmed("bytes beside an array have changed")


class Plain:
    """Memory of the heap between two canaries."""

    def __init__(self):
        self.taken = []

    def take(self, nbytes, _):
        memory = np.full(nbytes + 2 * MARGIN, MARK, np.uint8)
        memory[MARGIN : MARGIN + nbytes] = POISON
        self.taken.append(memory)
        return memory[MARGIN : MARGIN + nbytes]

    def check(self):
        for memory in self.taken:
            if (memory[:MARGIN] != MARK).any() or (memory[-MARGIN:] != MARK).any():
                raise Harmed("bytes beside an array have changed")
        self.taken.clear()


# Layouts -------------------------------------------------------------------------------------------------

C = {}  # a layout says what differs from C order


def draw_layout(rng, ndim, share=0.5):
    """A layout: the order of axes in memory, how far apart elements are, and what else is odd of it."""
    if rng.random() < share:
        return C
    kind = rng.choice(["order", "pitch", "sliced", "reversed", "broadcast", "odd", "mixed"])
    layout = {}
    if kind in ("order", "mixed"):
        layout["order"] = [int(n) for n in rng.permutation(ndim)]
    if kind in ("pitch", "mixed"):
        layout["slack"] = [int(rng.choice([0, 0, 1, 3, 16])) for _ in range(ndim)]
    if kind in ("sliced", "mixed"):
        layout["step"] = [int(rng.choice([1, 1, 2, 3])) for _ in range(ndim)]
    if kind in ("reversed", "mixed"):
        layout["back"] = [int(axis) for axis in range(ndim) if rng.random() < 0.5]
    if kind == "broadcast":
        layout["zero"] = [int(axis) for axis in range(ndim) if rng.random() < 0.4] or [
            int(rng.integers(ndim))
        ]
    if kind == "odd":
        layout["odd"] = str(rng.choice(["unaligned", "swapped", "readonly", "memmap"]))
    return layout


def arranged(memory, layout, shape, dtype, place, fill):
    """An array of that layout, whose memory `fill` writes, all that it spans."""
    odd = layout.get("odd")
    if odd == "memmap" and min(shape, default=0) > 0:
        with tempfile.NamedTemporaryFile() as file:
            fill(math.prod(shape)).tofile(file)
            file.flush()
            return np.memmap(file.name, dtype, "r", shape=tuple(shape))
    ndim = len(shape)
    strides, pitch = [0] * ndim, 1
    for axis in reversed(layout.get("order", range(ndim))):
        if axis not in layout.get("zero", ()):
            strides[axis] = pitch * layout.get("step", [1] * ndim)[axis]
            pitch = strides[axis] * shape[axis] + layout.get("slack", [0] * ndim)[axis]
    reach = [(n - 1) * stride for n, stride in zip(shape, strides, strict=True)]
    back = layout.get("back", ())
    span = 1 + sum(reach) if min(shape, default=1) else 0
    first = sum(reach[axis] for axis in back) if span else 0
    skip = int(odd == "unaligned")
    own = dtype.newbyteorder() if odd == "swapped" else dtype
    raw = memory.take(span * dtype.itemsize + skip, place)
    flat = np.ndarray((span,), own, raw, skip)
    flat[...] = fill(span)
    signed = [-s if axis in back else s for axis, s in enumerate(strides)]
    array = np.ndarray(shape, own, raw, skip + first * dtype.itemsize, [s * dtype.itemsize for s in signed])
    if odd == "readonly":
        array.flags.writeable = False
    return array


# Values --------------------------------------------------------------------------------------------------

VALUES = {  # and how often
    "normal": 0.45,
    "few": 0.12,
    "constant": 0.05,
    "nan": 0.12,
    "infinite": 0.06,
    "zeros": 0.06,
    "subnormal": 0.06,
    "extreme": 0.08,
}


def values(kind, seed, size, dtype):
    """So many values of a kind."""
    rng = np.random.default_rng(seed)
    if dtype == np.bool_:
        return rng.random(size) < {"constant": 0.0, "few": 0.05}.get(kind, 0.5)
    if dtype.kind in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        if kind in ("few", "zeros"):
            return rng.integers(0, 3, size).astype(dtype)
        if kind == "constant":
            return np.full(size, rng.integers(low, high, endpoint=True, dtype=dtype), dtype)
        if kind == "extreme":
            return np.where(rng.random(size) < 0.5, np.array(low, dtype), np.array(high, dtype))
        return rng.integers(low, high, size, dtype, endpoint=True)
    wide = np.dtype(np.float64 if dtype == np.float64 else np.float32)
    info = np.finfo(np.float16 if dtype == np.float16 else wide)
    found = rng.standard_normal(size, wide)
    if kind == "few":
        found = np.rint(found)
    elif kind == "constant":
        found[...] = found[:1]
    elif kind == "zeros":
        found = np.copysign(np.where(found > 1, found, 0).astype(wide), rng.standard_normal(size, wide))
    elif kind == "subnormal":
        found *= info.tiny / 4
    elif kind == "extreme":
        found = np.clip(found, -1, 1) * np.where(rng.random(size) < 0.5, info.max * 0.99, 1).astype(wide)
    elif kind in ("nan", "infinite") and size:
        at = rng.integers(0, size, 1 + size // 500)
        at[0] = rng.choice([0, size - 1, at[0]])
        found[at] = np.nan if kind == "nan" else np.where(rng.random(at.size) < 0.5, np.inf, -np.inf)
    with np.errstate(over="ignore"):
        return found.astype(dtype, copy=False)
