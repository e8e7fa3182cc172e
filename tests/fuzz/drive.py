"""The process that makes calls, and the one that starts it anew where a call crashes."""

import contextlib
import faulthandler
import json
import math
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
NOTE = 1 << 16  # bytes of the note of the call that is under way
BALANCED = 0.6  # of the calls are drawn for the kernel that has been met least


class Note:
    """What a process is doing, for the one that started it, whatever becomes of it."""

    def __init__(self, path):
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), NOTE)

    def write(self, text):
        data = text.encode()[: NOTE - 1]
        self.map[: len(data) + 1] = data + b"\0"

    @staticmethod
    def read(path):
        return Path(path).read_bytes().split(b"\0")[0].decode()


class Chooser:
    """Which stratum comes next: at random, or where the kernel that has been met least was met before."""

    def __init__(self, strata, weights):
        self.strata, self.weights = strata, weights
        self.met, self.tries, self.hits = Counter(), Counter(), {}

    def next(self, rng):
        if self.met and rng.random() < BALANCED:
            rare = sorted(self.met, key=lambda key: (self.met[key], key))
            key = rare[min(len(rare) - 1, int(rng.exponential(3)))]
            where = self.hits[key]
            names = sorted(where)
            # once more that stratum, in proportion to how often it met the kernel
            share = np.array([where[name] / self.tries[name] for name in names])
            return names[int(rng.choice(len(names), p=share / share.sum()))]
        return self.strata[int(rng.choice(len(self.strata), p=self.weights))]

    def learn(self, stratum, met):
        self.tries[stratum] += 1
        for key in met:
            self.met[key] += 1
            self.hits.setdefault(key, Counter())[stratum] += 1


def work(job):
    """Make calls, and print what comes of them as lines of JSON."""
    from . import check, geometry, order, watch  # noqa: PLC0415

    faulthandler.enable()
    watch.start()
    if job["order"]:
        return order.work(job, Note(job["note"]), _tell)
    chooser = Chooser(*geometry.strata(job["dtypes"] or geometry.DTYPES, job["operators"]))
    note, count, number, table = Note(job["note"]), job["done"], job["first"], Counter()
    refused, told = 0, time.monotonic()
    end = time.time() + job["seconds"] if job["seconds"] else math.inf
    while count < job["calls"] and time.time() < end:
        rng = np.random.default_rng([job["seed"], number])
        case = geometry.draw(rng, chooser.next(rng), guard=job["guard"])
        text = json.dumps(case)
        note.write(f"{number} {text}")
        watch.watch.on = True
        failure = attempt(check, case)
        watch.watch.on = False
        met = watch.watch.take()
        if isinstance(failure, int):
            count += failure
            table[f"calls|{case['op']}|{case['form']}"] += failure
        elif failure == "refused":
            refused += 1
        elif failure:
            _tell(failure=failure, case=shrunk(check, case, failure), number=number)
        chooser.learn(tuple(case["stratum"]), met)
        for key, times in met.items():
            table[f"{key}|{case['op']}|{case['form']}"] += times
        number += 1
        if time.monotonic() - told > 2:
            _tell(count=count, number=number, refused=refused, table=table, cpu=time.process_time())
            table, refused, told = Counter(), 0, time.monotonic()
    _tell(count=count, number=number, refused=refused, table=table, cpu=time.process_time(), end=True)
    return 0


def attempt(check, case):
    """The number of calls made; or "refused", or what is wrong."""
    try:
        return check.run(case)
    except check.Refused:
        return "refused"
    except Exception as error:
        if isinstance(error, AssertionError):
            return f"{type(error).__name__}: {error}"
        at = error.__traceback__
        while at.tb_next:
            at = at.tb_next
        where = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}"
        return f"{type(error).__name__} at {where}: {error}"


def shrunk(check, case, failure):
    """The case with fewer oddities, as long as it fails in the same way."""
    head = failure.split(":")[0:2]
    for change in (
        {"layout": {}},
        {"values": "normal"},
        {"values": "few"},
        {"gradient": None},
        {"out": None},
        {"split": False},
        {"oracle": False},
        {"options": {}},
        {"gradient": {}},
        {"guard": ""},
        *(
            {"shape": [1 if axis == n else size for axis, size in enumerate(case["shape"])]}
            for n in range(len(case["shape"]))
            if n not in case["call"].get("axes", range(9))
        ),
    ):
        smaller = case | change
        if smaller != case:
            found = attempt(check, smaller)
            if isinstance(found, str) and found.split(":")[0:2] == head:
                case = smaller
    return case


def _tell(**what):
    print(json.dumps(what), flush=True)


def replay(text):
    from . import check  # noqa: PLC0415

    faulthandler.enable()
    case = json.loads(text)
    if "sequence" in case:
        from . import order  # noqa: PLC0415

        wrong = order.compared(case["sequence"])[1]
        print(*wrong or ["right"], sep="\n")
        return int(bool(wrong))
    found = attempt(check, case)
    print(found if isinstance(found, str) else f"right, {found} calls")
    return int(isinstance(found, str))


def lead(arguments):
    """Start processes until all calls are made; print progress and what is wrong; 1 where anything is."""
    job = {
        name: getattr(arguments, name)
        for name in ("calls", "seconds", "seed", "guard", "operators", "dtypes", "order")
    }
    begin, state = time.time(), {"count": 0, "number": 0, "refused": 0, "table": Counter(), "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder, "note")
        end = False
        while not end:
            note.write_bytes(bytes(NOTE))
            left = job["seconds"] and max(1.0, job["seconds"] - (time.time() - begin))
            one = job | {"note": str(note), "done": state["count"], "first": state["number"], "seconds": left}
            before = state["number"]
            end, errors, code = _listen(one, state, begin)
            if not end:
                number, _, text = Note.read(note).partition(" ")
                print(f"CRASH (exit {code})\n  --replay '{text}'\n{errors[-2000:]}", flush=True)
                state["failures"].append({"failure": f"crash, exit {code}", "case": _parsed(text)})
                state["number"] = int(number or before) + 1
                end = not number or len(state["failures"]) > 200
    seconds = time.time() - begin
    print(
        f"{state['count']} calls in {seconds:.0f} s, "
        f"{state['refused']} refused, {len(state['failures'])} wrong"
    )
    if arguments.json:
        result = {
            "seed": arguments.seed,
            "guard": arguments.guard,
            "seconds": seconds,
            "calls": state["count"],
        }
        Path(arguments.json).write_text(
            json.dumps(result | {"table": state["table"], "failures": state["failures"]})
        )
    return int(bool(state["failures"]))


def _parsed(text):
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text


def _listen(job, state, begin):
    """Run one process to its end; whether that was the end of the work, what it said, and how it ended."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", "tests.fuzz", "--worker", json.dumps(job)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, env=environment
        )
        end = False
        for line in process.stdout:
            if not line.startswith("{"):
                continue
            told = json.loads(line)
            if "failure" in told:
                state["failures"].append(told)
                print(f"WRONG {told['failure']}\n  --replay '{json.dumps(told['case'])}'", flush=True)
                continue
            new = told["count"] - state["count"]
            state["count"], state["number"] = told["count"], told["number"]
            state["refused"] += told["refused"]
            state["table"].update(told["table"])
            end = told.get("end", False)
            rate, cpu = (
                told["count"] / (time.time() - begin),
                (told["count"] - job["done"]) / told.get("cpu", 1),
            )
            speed = f"{rate:.0f} a second ({cpu:.0f} of CPU)"
            print(f"{told['count']} calls ({new} new), {speed}, {told['number']} cases", flush=True)
        code = process.wait()
        errors.seek(0)
        return end, errors.read(), code


# Tables --------------------------------------------------------------------------------------------------


def tables(paths):
    """Counts of several runs in Markdown: by operator and form, and by kernel."""
    from . import watch  # noqa: PLC0415

    runs = [json.loads(Path(path).read_text()) for path in paths]
    table = Counter()
    for run in runs:
        table.update(run["table"])
    kernels, forms = Counter(), Counter()
    operators = Counter()
    for key, times in table.items():
        what, op, form = key.split("|")
        kernels[what] += times
        if what.startswith("calls"):
            forms[op, form] += times
        else:
            operators.setdefault(what, Counter())[op] += times
    shown = [
        f"| {'guarded' if r['guard'] else 'plain'}, seed {r['seed']} | {r['calls']:,} "
        f"| {len(r['failures'])} |"
        for r in runs
    ]
    lines = ["| run | calls | wrong |", "|---|---|---|", *shown, ""]
    names = sorted({form for _, form in forms})
    lines += ["| operator | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for op in sorted({op for op, _ in forms}):
        lines.append(f"| {op} | " + " | ".join(f"{forms[op, name]:,}" for name in names) + " |")
    lines += ["", "| kernel or plan | times | by operator |", "|---|---|---|"]
    for key in sorted(key for key in {*kernels, *watch.known()} if not key.startswith("calls")):
        by = ", ".join(
            f"{op} {n:,}" for op, n in sorted(operators.get(key, {}).items(), key=lambda pair: -pair[1])[:6]
        )
        lines.append(f"| {key} | {kernels[key]:,} | {by} |")
    return "\n".join(lines)
