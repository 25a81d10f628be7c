"""What the façade does otherwise than the server, on purpose: all of it, each with its reason.

A row decides by what was asked and what the server answers whether it holds, and then says what the façade must answer,
to the last word. It never sees what the façade has answered, so it can excuse nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from pws_soap.server.http.app import PATH
from tests.fidelity import steps as s
from tests.fidelity.told import Told, fault
from tests.support.facade_office import ADDRESS

Asked = s.Call | s.Exchange


@dataclass(frozen=True)
class Difference:
    """One row: what the server does, what the façade does, and why."""

    about: str
    server: str
    facade: str
    why: str
    expected: Callable[[Asked, Told], Told | None]
    """What the façade must answer where the server gives this answer to this request; None: the same."""
    undo: Callable[[s.Call], s.Call] | None = None
    """What to ask of the server so that it forgets what it has made, and the façade has not."""


def _wsdl(asked: Asked, told: Told) -> Told | None:
    if not isinstance(asked, s.Exchange) or asked.method not in ("GET", "HEAD") or told.status != 200:
        return None
    return replace(told, body=told.body.replace(f"http://cupserver:8081{PATH}", ADDRESS + PATH))


_NOT_CALLED: Final = {
    **dict.fromkeys(s.NO_SERVERS, "its URL is not that of an HTTP server"),
    "http://127.0.0.1:port/seven": "its URL cannot be read",
    s.OUTSIDE: "192.0.2.7 is not the address that it is registered from",
}


def _endpoint(asked: Asked, told: Told) -> Told | None:
    if not isinstance(asked, s.Call) or told.code not in (None, 141):
        return None
    why = _NOT_CALLED.get(asked.makes_endpoint_at or "")
    return None if why is None else fault(209, f"Nothing can be sent to it: {why} (facade.endpoints).", asked.soap)


def _spelling(asked: Asked, told: Told) -> Told | None:
    if not isinstance(asked, s.Call) or asked.operation not in ("getSubscribedPresence", "getPolledPresence"):
        return None
    body = told.body.replace(f'entity="sip:{s.SPELLED}"', f'entity="sip:{s.WATCHED[0]}"')
    return replace(told, body=body.replace(f'contactURI="{s.SPELLED}"', f'contactURI="{s.WATCHED[0]}"'))


DIFFERENCES: Final[tuple[Difference, ...]] = (
    Difference(
        "`?wsdl`",
        "`soap:address` is a placeholder",
        "`soap:address` is `facade.address`",
        "a program that takes the address from the WSDL finds the façade",
        _wsdl,
    ),
    Difference(
        "`registerEndPoint` with a URL to which nothing may be sent",
        "an endpoint, whose notifications go astray",
        "code 209, whoever asks",
        "the façade calls nobody but where `facade.endpoints` allows it, and the program learns of it at once",
        _endpoint,
        lambda call: s.unregister(call.by, s.Id(-1)),
    ),
    Difference(
        "a contact that the server does not know, asked for in another spelling than it is watched in",
        "named as it was asked for",
        "named as it is watched",
        "the service knows a contact by one name; those that exist have the server's spelling on both sides",
        _spelling,
    ),
)


def difference(asked: Asked, told: Told, table: tuple[Difference, ...]) -> tuple[Difference, Told] | None:
    """The row that holds, and what the façade must answer; None where it must answer the same."""
    for row in table:
        if (other := row.expected(asked, told)) is not None and other != told:
            return row, other
    return None


def markdown(table: tuple[Difference, ...] = DIFFERENCES) -> str:
    """The table as docs/facade.md has it."""
    lines = ["| | the server | the façade | because |", "|---|---|---|---|"]
    lines += [f"| {row.about} | {row.server} | {row.facade} | {row.why} |" for row in table]
    return "\n".join(lines) + "\n"
