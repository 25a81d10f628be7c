"""The keys of a fault in a chaos run, chosen by chance: how long, how much, which code, which form."""

from __future__ import annotations

import random
from typing import Final

from benchmarks.office import LATE, READ_TIMEOUT
from pws_soap.simulator.faults.kinds import FORMS

REFUSALS: Final = (101, 133, 137, 200)
"""Codes a fetch is refused with: no such session, no such subscription, somebody else's, server error."""
DETECTABLE: Final = {"stale-reply": ("age",)}
"""Forms that anything can be known by. A cache that answers a POST with an older reply and does not say so, which HTTP
forbids (RFC 9111 section 4), cannot be told from the server."""
FOREIGN_CODES: Final = (*range(200, 209), 999)
"""Codes of a fault after the request was carried out: it failed, so it is said; 999 is no code of the server."""


def details(kind: str, dice: random.Random) -> tuple[dict[str, object], float]:
    """The keys of a fault, and how many seconds it goes on after it has hit."""
    if kind in {"delay-request", "delay-reply", "slow-reply"}:
        # Within the time-out, or beyond it; but never so late that nobody expects it any more.
        seconds = dice.choice([0.3 * READ_TIMEOUT, READ_TIMEOUT + 0.5 * LATE])
        return {"seconds": seconds}, seconds
    values: dict[str, object] = {"form": dice.choice(DETECTABLE.get(kind, FORMS[kind]))} if kind in FORMS else {}
    lasting = 0.0
    match kind:
        case "http-503":
            values |= {"body": dice.choice(["envelope", "bare", "empty"]), "code": dice.choice([210, 212])}
        case "truncate-reply":
            values["fraction"] = dice.choice([0.1, 0.5, 0.95])
        case "refuse":
            values["code"] = dice.choice(REFUSALS)
        case "replace-reply":
            values["code"] = dice.choice(FOREIGN_CODES)
        case "double-reply":
            values["seconds"] = lasting = dice.choice([0.0, 0.03, 0.3])
    return values, lasting
