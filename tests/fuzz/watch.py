"""Which kernels, plans and programs a call took: counted where they run."""

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


def family(number):
    """The passes of a family of kernels, by their names."""
    lines, names = ROOM["lines"], {}
    for name, value in vars(lines).items():
        if name.isupper() and type(value) is int:
            names.setdefault(value, name)  # passes come first; fields of steps have the same numbers
    passes = sorted(lines.FAMILIES[number])
    shown = "+".join(names[one] for one in passes[:3])
    return f"{number:02d} {shown}{'+...' if len(passes) > 3 else ''}"


@functools.cache
def kernel_name(name):
    """A kernel's name without operators and dtypes, for those that are made of lines."""
    if name.startswith("lines"):
        how = " placed" * name.startswith("lines_placed") + " careful" * ("_careful_" in name)
        return f"lines {family(int(name.rsplit('_', 1)[1]))}{how}"
    return DTYPE.sub("", name).strip("_")


def known():
    """The kernels of the table, and those of lines: each family, with places or not, careful or not."""
    for choice in ROOM["choose"].CHOICES:
        yield f"choice {choice.name}"
    lines = ROOM["lines"]
    for number, passes in enumerate(lines.FAMILIES):
        for how in ("", " careful", " placed", " placed careful"):
            if "placed" not in how or passes - lines.ALONE:
                yield f"kernel lines {family(number)}{how}"


def start():
    """Wrap what runs kernels, every plan's `run` and every function that writes a program."""
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
    program = ROOM["program"]
    for name, function in list(vars(program).items()):
        if (
            inspect.isfunction(function)
            and next(iter(inspect.signature(function).parameters), "") == "writer"
        ):
            setattr(program, name, _seen(function, f"program {name}"))


def _seen(function, key):
    @functools.wraps(function)
    def seen(*arguments, **options):
        watch.see(key)
        return function(*arguments, **options)

    return seen
