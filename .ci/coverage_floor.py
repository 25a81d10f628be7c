"""Whether each package is covered, by lines and by branches, by more than so many per cent.

    python .ci/coverage_floor.py coverage.json 90 PACKAGE...

coverage's own fail_under mixes lines with branches and all packages into one number, in which one can hide another.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(report: str, floor: float, packages: list[str]) -> int:
    """Print a line for each package; 1 when one of them is not above the floor."""
    files = json.loads(Path(report).read_text("utf-8"))["files"]
    failed = False
    for package in packages:
        summaries = [file["summary"] for name, file in files.items() if Path(name).parts[0] == package]
        for what, done, all_of_it in (
            ("lines", "covered_lines", "num_statements"),
            ("branches", "covered_branches", "num_branches"),
        ):
            total = sum(summary[all_of_it] for summary in summaries)
            percent = 100 * sum(summary[done] for summary in summaries) / total if total else 0.0
            low = percent <= floor
            failed |= low
            sys.stdout.write(f"{package:10} {what:8} {percent:6.2f} % of {total}{f'  NOT ABOVE {floor:g} %' * low}\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
