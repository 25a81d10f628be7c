"""`python -m tests.model [--long]` prints the numbers of every exploration, and the counterexamples."""

from __future__ import annotations

import sys
from time import perf_counter

from tests.model.cases import DROPPED, KINDS, MENDED, MENDED_LONG, OTHERS


def main(arguments: list[str]) -> int:
    """Returns 1 if any result differs from what the tests expect."""
    bad = 0
    mended = MENDED + (MENDED_LONG if "--long" in arguments else ())
    for case in mended:
        began = perf_counter()
        seen = case.explore()
        right = seen.complete and seen.wrong is None and seen.unhealed is None
        bad += not right
        sys.stdout.write(f"{case}: {seen}, {perf_counter() - began:.1f} s\n{seen.wrong or ''}{seen.unhealed or ''}")
        sys.stdout.flush()
    for title, cases in (("rule as before", KINDS), ("older rule missing", OTHERS), ("assumption dropped", DROPPED)):
        for name, case in cases.items():
            seen = case.explore()
            bad += seen.wrong is None
            sys.stdout.write(f"\n{title}: {name}: {case}\n{seen.wrong}\n")
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
