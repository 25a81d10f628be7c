"""What the façade does otherwise than the server, on purpose: all of it, each with its reason.

A difference decides by what was asked alone whether it holds, and then says what the façade must answer. It never
looks at what the façade has answered, so it can excuse nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tests.fidelity.steps import Call, Exchange


@dataclass(frozen=True)
class Told:
    """A reply, with keys and ids by their place in the order in which they were given."""

    status: int
    kind: str
    """The content type."""
    close: bool
    body: str


@dataclass(frozen=True)
class Difference:
    """One row: what the server does, what the façade does, and why."""

    about: str
    server: str
    facade: str
    why: str
    expected: Callable[[Call | Exchange, Told], Told | None]
    """What the façade must answer where the server gives this answer to this request; None: the same."""


def _wsdl(asked: Call | Exchange, told: Told) -> Told | None:
    if not isinstance(asked, Exchange) or told.status != 200 or asked.method not in ("GET", "HEAD"):
        return None
    return replace(told, body=told.body.replace(SERVERS_ADDRESS, FACADES_ADDRESS))


SERVERS_ADDRESS: Final = "http://cupserver:8081/presence-service/soap"
FACADES_ADDRESS: Final = "https://presence.example.com:8083/presence-service/soap"

DIFFERENCES: Final[tuple[Difference, ...]] = (
    Difference(
        "`?wsdl`",
        "`soap:address` is a placeholder",
        "`soap:address` is `facade.address`",
        "a program that takes the address from the WSDL finds the façade",
        _wsdl,
    ),
)


def expected(asked: Call | Exchange, told: Told, table: tuple[Difference, ...] = DIFFERENCES) -> tuple[Told, str]:
    """What the façade must answer where the server answers `told`, and what the difference is about, or nothing."""
    for row in table:
        if (other := row.expected(asked, told)) is not None and other != told:
            return other, row.about
    return told, ""


def markdown(table: tuple[Difference, ...] = DIFFERENCES) -> str:
    """The table as docs/facade.md has it."""
    lines = ["| | the server | the façade | because |", "|---|---|---|---|"]
    lines += [f"| {row.about} | {row.server} | {row.facade} | {row.why} |" for row in table]
    return "\n".join(lines) + "\n"
