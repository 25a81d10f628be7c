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
    if not isinstance(asked, s.Call) or told.code is not None:
        return None
    why = _NOT_CALLED.get(asked.makes_endpoint_at or "")
    return None if why is None else fault(209, f"Nothing can be sent to it: {why} (facade.endpoints).", asked.soap)


def _spelling(asked: Asked, told: Told) -> Told | None:
    if not isinstance(asked, s.Call) or asked.operation not in ("getSubscribedPresence", "getPolledPresence"):
        return None
    body = told.body.replace(f'entity="sip:{s.SPELLED}"', f'entity="sip:{s.WATCHED[0]}"')
    return replace(told, body=body.replace(f'contactURI="{s.SPELLED}"', f'contactURI="{s.WATCHED[0]}"'))


def _set_presence(asked: Asked, told: Told) -> Told | None:
    if not isinstance(asked, s.Call) or asked.operation != "setPresence" or told.code is not None:
        return None
    return fault(120, SET_PRESENCE_IS_OFF, asked.soap)


SET_PRESENCE_IS_OFF: Final = "This service does not pass setPresence on to the presence server (facade.set_presence)."
_ADDRESS: Final = Difference(
    "`?wsdl`",
    "`soap:address` is a placeholder",
    "`soap:address` is `facade.address`",
    "a program that takes the address from the WSDL finds the façade",
    _wsdl,
)
_ENDPOINT: Final = Difference(
    "`registerEndPoint` with a URL to which nothing may be sent",
    "an endpoint, whose notifications go astray",
    "code 209, to everybody",
    "nobody is called but where `facade.endpoints` allows it, and the program learns of it at once",
    _endpoint,
    lambda call: s.unregister(call.by, s.Id(-1)),
)
_SPELLING: Final = Difference(
    "a contact that the server does not know, asked for in another spelling than it is watched in",
    "named as it was asked for",
    "named as it is watched",
    "the service knows a contact by one name; those that exist have the server's spelling on both sides",
    _spelling,
)
_SETTING: Final = Difference(
    "`setPresence`, where `set_presence` is not set",
    "sets the presence",
    "code 120",
    "who may read need not be allowed to speak for others",
    _set_presence,
)
DIFFERENCES: Final[tuple[Difference, ...]] = (_ADDRESS, _ENDPOINT, _SPELLING)
"""Those that hold with every configuration."""
WITHOUT_SET_PRESENCE: Final = (*DIFFERENCES, _SETTING)

OPTIONS: Final[dict[str, tuple[str, str, str, str]]] = {
    "ids": (
        "ids of endpoints and subscriptions",
        "the lowest free one (likely)",
        "one more than the last, which never comes again",
        "a program that missed the end of its subscription must not fetch another's",
    ),
    "held_elsewhere": (
        "an end user whom another application user has logged in",
        "code 160; with `force`, the other session ends",
        "a session beside it, which stays",
        "programs with names of their own need not know of each other",
    ),
    "session_idle_timeout": (
        "a session without requests",
        "lives on (unknown)",
        "ends after 25 hours",
        "no subscription lives so long without one, and what nobody uses must not pile up",
    ),
    "contacts_per_list": ("contacts in one list", "100", "5000", "the documentation says 5000, the WSDL 100"),
    "max_endpoints": ("endpoints", "few (unknown)", "10000 (`max_endpoints`)", "there are many programs"),
    "max_subscriptions": ("subscriptions", "few (unknown)", "20000 (`max_subscriptions`)", "there are many programs"),
    "max_request_bytes": ("the longest request", "unknown", "2 MB (`max_body_bytes`)", "5000 contacts are half of it"),
    "requests_per_connection": (
        "requests on one connection",
        "about 100 (gSOAP)",
        "any number",
        "a new TLS connection costs more than a request",
    ),
}
"""Options of `pws_soap.server` that the façade sets otherwise than by default: what it is about, both sides, why."""


def difference(asked: Asked, told: Told, table: tuple[Difference, ...]) -> tuple[Difference, Told] | None:
    """The row that holds, and what the façade must answer; None where it must answer the same."""
    for row in table:
        if (other := row.expected(asked, told)) is not None and other != told:
            return row, other
    return None


def markdown() -> str:
    """The table as docs/facade.md has it."""
    lines = ["| | the server | the façade | because |", "|---|---|---|---|"]
    lines += [f"| {row.about} | {row.server} | {row.facade} | {row.why} |" for row in WITHOUT_SET_PRESENCE]
    lines += [f"| {' | '.join(row)} |" for row in OPTIONS.values()]
    return "\n".join(lines) + "\n"
