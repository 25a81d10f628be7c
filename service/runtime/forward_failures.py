"""Which replicas have not answered what was passed on to them: for the log, once a series, and for the status."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, NamedTuple

RECENT: Final = 60.0
"""Seconds for which a failure is a problem, unless an answer comes."""

log = logging.getLogger("pws.cluster")


class _Failure(NamedTuple):
    reason: str
    at: float


class ForwardFailures:
    """By address. Of a series only the first is logged: it may be as long as the patience of clients."""

    def __init__(self) -> None:
        self._failures: dict[str, _Failure] = {}

    def __repr__(self) -> str:
        return f"<ForwardFailures of {sorted(self._failures)}>"

    def fails(self, address: str, reason: str) -> None:
        """The replica at this address has not answered."""
        if address not in self._failures:
            log.warning(
                "a request was not passed on to the replica at %(replica)s: %(error)s",
                {"replica": address, "error": reason},
                extra={"event": "forward.failed"},
            )
        self._failures[address] = _Failure(reason, asyncio.get_running_loop().time())

    def works(self, address: str) -> None:
        """It has answered."""
        self._failures.pop(address, None)

    def problem(self, address: str) -> str | None:
        """Why it has not answered lately; None: it has, or was not asked."""
        failure = self._failures.get(address)
        is_old = failure is None or asyncio.get_running_loop().time() - failure.at > RECENT
        return None if failure is None or is_old else failure.reason
