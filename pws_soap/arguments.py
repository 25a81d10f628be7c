"""Checks arguments before anything is sent; each error names the argument and its limit.

Limits are the WSDL's (protocol section 1) and the faults' (section 3): 130 131 135 142 143 121 122 124.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from pws_soap.contact import is_contact, same_contact, sent_contact
from pws_soap.errors import ArgumentError
from pws_soap.models import (
    MAX_CONTACTS_PER_REQUEST,
    MAX_CONTACTS_PER_SUBSCRIPTION,
    MAX_EXPIRES,
    MIN_EXPIRES,
    SETTABLE_STATES,
    PresenceState,
    Secret,
)

MAX_ID = 2**31 - 1
_MAX_TEXT = 1024
_NOT_IN_XML = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def text(name: str, value: object) -> str:
    """A user name: not empty, no control characters, no white space around it (it is an xsd:token)."""
    if not isinstance(value, str) or not value or value != value.strip() or len(value) > _MAX_TEXT:
        raise ArgumentError(name, f"1 to {_MAX_TEXT} characters without white space around them", value)
    if not value.isprintable():
        raise ArgumentError(name, "printable characters only", value)
    return value


def secret(name: str, value: str | Secret) -> Secret:
    """A password or session key: not empty, since an empty one is dropped from the request, and never shown."""
    held = _held(name, value)
    shown = held.reveal()
    if not shown or len(shown) > _MAX_TEXT or _NOT_IN_XML.search(shown):
        raise ArgumentError(name, f"1 to {_MAX_TEXT} characters without control characters", held)
    return held


def _held(name: str, value: object) -> Secret:
    if not isinstance(value, str | Secret):
        raise ArgumentError(name, "text", type(value))  # its type only: it may still be a secret
    return Secret(value)


def flag(name: str, value: object) -> bool:
    """True or False, and no other truthy or falsy value (125)."""
    if not isinstance(value, bool):
        raise ArgumentError(name, "True or False", value)
    return value


def number(name: str, value: object) -> int:
    """An id that the server gave: a positive xsd:int."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_ID:
        raise ArgumentError(name, f"a whole number from 1 to {MAX_ID}", value)
    return value


def expires(value: object, highest: int = MAX_EXPIRES) -> int:
    """A life in seconds (131)."""
    if not isinstance(value, int) or isinstance(value, bool) or not MIN_EXPIRES <= value <= highest:
        raise ArgumentError("expires", f"{MIN_EXPIRES} to {highest} seconds", value)
    return value


def endpoint_url(value: str | Secret) -> Secret:
    """Where notifications go (130, 142). The server appends `?id=...`, so the URL has no query of its own."""
    held = _held("url", value)
    url = held.reveal()
    expected = "an absolute http:// or https:// URL without spaces, query or fragment, of at most 1024 characters"
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or any(char in url for char in " ?#<>\"'\\"):
        raise ArgumentError("url", expected, held)
    if len(url) > _MAX_TEXT:
        raise ArgumentError("url", expected, held)
    return held


def contacts(value: Iterable[str], *, most: int = MAX_CONTACTS_PER_SUBSCRIPTION) -> tuple[str, ...]:
    """Contact URIs (124, 143, 135): each once, in any spelling, as `user@domain` (`contact.sent_contact`)."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ArgumentError("contacts", "a list of contact URIs, not one string", value)
    found: dict[str, str] = {}
    for index, each in enumerate(value):
        uri = sent_contact(each) if isinstance(each, str) else ""
        if not is_contact(uri):
            raise ArgumentError(f"contacts[{index}]", "a contact URI, user@domain", each)
        found.setdefault(same_contact(uri), uri)
    if not found:
        raise ArgumentError("contacts", "at least one contact", list(value))
    if len(found) > most:
        raise ArgumentError("contacts", f"at most {most} contacts", f"{len(found)} of them")
    return tuple(found.values())


def lists(uris: Sequence[str], most: int = MAX_CONTACTS_PER_REQUEST) -> Iterator[list[str]]:
    """The contacts, split into lists of at most `most`."""
    for start in range(0, len(uris), most):
        yield list(uris[start : start + most])


def settable(state: PresenceState | str, *, override: bool) -> PresenceState:
    """A state that can be set, and its override (121: AVAILABLE never, 122: DND always)."""
    try:
        known = PresenceState(state)
    except ValueError:
        known = PresenceState.UNKNOWN
    flag("override", override)
    if known not in SETTABLE_STATES:
        raise ArgumentError("state", "one of " + ", ".join(sorted(SETTABLE_STATES)), str(state))
    if known is PresenceState.AVAILABLE and override:
        raise ArgumentError("override", "False with AVAILABLE", override)
    if known is PresenceState.DND and not override:
        raise ArgumentError("override", "True with DND", override)
    return known


def base_url(value: str) -> str:
    """A node's address, `https://host[:port]`, without path, user or query; the port defaults to 8083, or 8082."""
    expected = "a node's address such as https://imp1.example.com:8083"
    if not isinstance(value, str):
        raise ArgumentError("base_url", expected, value)
    shown = value if "@" not in value else "an address with a user in it"  # and perhaps a password
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ArgumentError("base_url", expected, shown) from None
    extra = parts.query or parts.fragment or parts.username or parts.password or parts.path.strip("/")
    if parts.scheme not in {"http", "https"} or not parts.hostname or extra or any(c.isspace() for c in value):
        raise ArgumentError("base_url", expected, shown)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port or (8083 if parts.scheme == 'https' else 8082)}"
