"""Random calls: ``python -m tests.fuzz --calls 300000 --seed 0 [--guard] [--json FILE]``.

Calls run in a process of their own; where it crashes the call is told, and another one goes on behind it.
"""

import argparse
import json
import sys

from . import drive

parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
parser.add_argument("--calls", type=int, default=20_000, help="calls to make, those of witnesses not counted")
parser.add_argument(
    "--seconds", type=float, default=0, help="stop after so many seconds, if that comes first"
)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--guard", action="store_true", help="arrays lie beside unreadable pages")
parser.add_argument(
    "--order", type=int, metavar="N", default=0, help="N sequences of calls in both orders and alone"
)
parser.add_argument("--operators", nargs="+", help="these alone")
parser.add_argument("--dtypes", nargs="+", help="these alone")
parser.add_argument("--json", help="write counts and failures there")
parser.add_argument("--markdown", nargs="+", metavar="FILE", help="show the sum of such files as tables")
parser.add_argument("--replay", metavar="CALL", help="make one call, as a failure shows it")
parser.add_argument("--worker", help=argparse.SUPPRESS)
parser.add_argument("--answer", help=argparse.SUPPRESS)


def main():
    arguments = parser.parse_args()
    if arguments.markdown:
        print(drive.tables(arguments.markdown))
        return 0
    if arguments.worker:
        return drive.work(json.loads(arguments.worker))
    if arguments.answer:
        from . import order  # noqa: PLC0415

        print(order.answer(*json.loads(arguments.answer)))
        return 0
    if arguments.replay:
        return drive.replay(arguments.replay)
    return drive.lead(arguments)


if __name__ == "__main__":
    sys.exit(main())
