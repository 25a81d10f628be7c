"""What faults do to the first entry of a presence reply. Pure.

Names and states are changed in the bytes of the reply, for basic lists and for rich documents in each of the three
carriers. An entry is doubled before the reply is written, so that its second document is whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from xml.sax.saxutils import escape, unescape

from pws_soap.server import messages as m
from pws_soap.server.presence import State

STRANGER: Final = "nobody@nowhere.invalid"
"""A contact that no client watches."""
UNKNOWN_WORD: Final = "lurking"
"""A state that is in no schema."""

_BASIC: Final = re.compile(r'<ns1:contact contactURI="[^"]*" presenceStatus="[^"]*"/>')
_PLAIN: Final = re.compile(r'<presence(?: xmlns="[^"]*")? entity="[^"]*"(?:/>|>.*?</presence>)', re.DOTALL)
_ESCAPED: Final = re.compile(
    r'&lt;presence(?: xmlns="[^"]*")? entity="[^"]*"(?:/&gt;|&gt;.*?&lt;/presence&gt;)', re.DOTALL
)
_NAME: Final = re.compile(r' (contactURI|entity)="([^"]*)"')
_STATUS: Final = re.compile(r' presenceStatus="[^"]*"')
_ACTIVITIES: Final = re.compile(r"<activities>.*?</activities>", re.DOTALL)
_OPEN: Final = re.compile(r"<basic>.*?</basic>")
_QUOTE: Final = {'"': "&quot;"}
_BYTES: Final = "surrogateescape"
"""The error handler by which a byte that is not UTF-8 is a character: U+DC00 and its value."""


def doubled(reply: m.PresenceList) -> m.PresenceList:
    """The first contact twice, the second time with another state."""
    first, *rest = reply.contacts
    other = State.AWAY if first.basic is State.AVAILABLE else State.AVAILABLE
    return replace(reply, contacts=(first, replace(first, state=other, federated=False), *rest))


def renamed(body: bytes, form: str) -> bytes:
    """The first contact is named in another way, see `FORMS["rename-entry"]`."""
    return _with_first(body, lambda entry: _NAME.sub(lambda found: _named(found[1], found[2], form), entry, count=1))


def emptied(body: bytes, form: str) -> bytes:
    """The first contact has no valid state, see `FORMS["empty-state"]`; an empty document stays as it is."""
    word = UNKNOWN_WORD if form == "unknown-word" else ""

    def without_state(entry: str) -> str:
        if form == "missing":
            status, activities, basic = "", "", ""
        else:
            status = f' presenceStatus="{word.upper()}"'
            activities = f"<activities>{f'<{word}/>' if word else ''}</activities>"
            basic = f"<basic>{word}</basic>"
        return _OPEN.sub(basic, _ACTIVITIES.sub(activities, _STATUS.sub(status, entry)))

    return _with_first(body, without_state)


def _with_first(body: bytes, change: Callable[[str], str]) -> bytes:
    """The reply with its first entry changed; unchanged if it has none."""
    text = body.decode()
    if (found := _BASIC.search(text) or _PLAIN.search(text)) is not None:
        changed = change(found[0])
    elif (found := _ESCAPED.search(text)) is not None:
        changed = escape(change(unescape(found[0])))
    else:
        return body
    return (text[: found.start()] + changed + text[found.end() :]).encode(errors=_BYTES)


def _named(attribute: str, value: str, form: str) -> str:
    """The attribute that names a contact."""
    if form == "nameless":
        return ""
    if form == "unreadable":  # a wrong attribute in a list, markup that is broken in a document
        return f' contactUIR="{value}"' if attribute == "contactURI" else f" entity={value}"
    scheme = "sip:" if attribute == "entity" else ""
    name = unescape(value, {"&quot;": '"'}).removeprefix(scheme)
    return f' {attribute}="{escape(_uri(name, scheme, form), _QUOTE)}"'


def _uri(name: str, scheme: str, form: str) -> str:
    match form:
        case "percent":
            return scheme + "".join(f"%{byte:02X}" for byte in name[0].encode()) + name[1:]
        case "port":
            return f"{scheme}{name}:5060"
        case "dot":
            return f"{scheme}{name}."
        case "brackets":
            return f"<sip:{name}>"
        case "sips":
            return f"sips:{name}"
        case "params":
            return f"{scheme}{name};transport=tls"
        case "upper":
            return scheme + name.upper()
        case "latin-1":
            return scheme + "\udcf6" + name[1:]
        case _:
            return scheme + STRANGER
