"""Which kernels, and plans a call took: counted where they run."""

import functools
import inspect
import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import fastpool
from fastpool import threads

CPU = Path(fastpool.__file__).parent / "cpu"
ROOMS = [
    import_module(f"fastpool.cpu.{path.stem}") for path in sorted(CPU.glob("*.py")) if path.stem != "__init__"
]
ROOM = {room.__name__.rsplit(".", 1)[1]: room for room in ROOMS}
DTYPE = re.compile(r"_(native|float\d+|bfloat16|u?int\d+|bool)(?=_|$)")


class Watch:
    """What has been met since the last `take`."""

    def __init__(self):
        self.met = Counter()
        self.on = False

    def see(self, key):
        if self.on:
            self.met[key] += 1

    def take(self):
        met, self.met = self.met, Counter()
        return met


watch = Watch()


@functools.cache
def kernel_name(name):
    """A kernel's name without dtypes."""
    return DTYPE.sub("", name).strip("_")


def known():
    """The kernels of the table."""
    for choice in ROOM["choose"].CHOICES:
        yield f"choice {choice.name}"


def start():
    """Wrap what runs kernels, and every plan's `run`."""
    run = threads.run

    @functools.wraps(run)
    def running(kernel, *arguments, **options):
        name = getattr(kernel, "py_func", kernel).__name__
        watch.see(f"kernel {kernel_name(name)}")
        return run(kernel, *arguments, **options)

    threads.run = running
    plan = ROOM["tasks"].Plan
    run_plan = plan.run

    @functools.wraps(run_plan)
    def chosen(self, *arguments):
        watch.see(f"choice {self.name}")
        return run_plan(self, *arguments)

    plan.run = chosen
    for short, room in ROOM.items():
        for name, cls in vars(room).items():
            own = inspect.isclass(cls) and cls.__module__ == room.__name__
            for way in ("run", "gather", "send"):
                if own and way in vars(cls):
                    setattr(cls, way, _seen(vars(cls)[way], f"plan {short}.{name}.{way}"))


def _seen(function, key):
    @functools.wraps(function)
    def seen(*arguments, **options):
        watch.see(key)
        return function(*arguments, **options)

    return seen
