"""How fast it is, beside what the machine allows: the table of docs/performance.md, measured.

    python benchmarks/performance.py [--rows 1,4] [--rounds 9] [--contacts 100000] [--quick] [--targets]
                                     [--json | --markdown]

Every row is a ratio to a limit that is measured in the same round: lxml on the same bytes, a program that sends the
same bytes. Both are proved to give the same. Exit code 1 when any result is wrong. Times decide nothing, unless
--targets is given: then a target that is missed is a failure as well.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

if __package__ in {None, ""}:  # run as a file: the checkout is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.rows import table
from benchmarks.rows.measure import Figure, Scale


def _rows(text: str) -> list[int]:
    try:
        found = [int(each) for each in text.split(",")]
    except ValueError:
        found = []
    if not found or not set(found) <= set(table.ROWS):
        raise argparse.ArgumentTypeError(f"numbers of rows such as 1,4; there are {', '.join(map(str, table.ROWS))}")
    return found


def failures(figures: list[Figure], *, targets: bool) -> list[str]:
    """Why the run has failed: results that differ, and with `targets` figures that miss theirs."""
    found = [f"row {figure.row}, {figure.part}: {problem}" for figure in figures for problem in figure.wrong[:3]]
    if targets:
        found += [
            f"row {figure.row}, {figure.part}: {table.number(figure.value.median, figure.unit)}, "
            f"not {table.wanted(figure)}"
            for figure in figures
            if figure.is_met is False
        ]
    return found


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Speeds beside their limits; see benchmarks/README.md")
    parser.add_argument("--rows", type=_rows, default=list(table.ROWS), metavar="N,...", help="only these rows")
    parser.add_argument("--rounds", type=int, default=None, help="rounds of each measure (9)")
    parser.add_argument("--contacts", type=int, default=100_000, help="of the largest service (rows 13, 15, 16)")
    parser.add_argument("--quick", action="store_true", help="little of everything: results count, times mean nothing")
    parser.add_argument("--targets", action="store_true", help="a target that is missed is a failure")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/performance.md")
    asked = parser.parse_args()
    scale = Scale(asked.rounds or (2 if asked.quick else 9), asked.quick, asked.contacts)
    logging.getLogger("pws").setLevel(logging.ERROR)  # a server whose notifications are ours to make is no news
    figures: list[Figure] = []
    for row in asked.rows:
        if sys.stderr.isatty():
            print(f"\r\x1b[Krow {row}: {table.ROWS[row].what}", end="", file=sys.stderr, flush=True)
        figures += table.measure(row, scale)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    failed = failures(figures, targets=asked.targets)
    if asked.json:
        print(json.dumps({"figures": table.as_json(figures), "failed": failed}, indent=1))
    else:
        print((table.markdown if asked.markdown else table.text)(figures))
        for problem in failed:
            print(f"FAILED: {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
