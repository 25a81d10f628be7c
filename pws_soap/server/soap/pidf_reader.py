"""Reads the PIDF document that an end user sets with `setPresence`, and refuses what the server refuses.

Elements are found by local name in any namespace, since clients write what they have seen in replies (protocol
sections 2 and 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lxml import etree

from pws_soap.server.codes import Refused
from pws_soap.server.presence import State
from pws_soap.server.soap.encoding import as_utf8
from pws_soap.server.soap.limits import parsed

OVERRIDES: Final = frozenset({"pws-override", "pws-persistent"})
SOURCE: Final = "Presence Web Service"
MAX_DOCUMENT: Final = 65_536
"""Bytes of one document. It is read by the thread of the event loop, for about 10 milliseconds at most."""

CLEAR: Final = "clear"
"""The element that takes back what was set, as Cisco's published collection sends it, in a tuple `pws_override`."""
_OVERRIDE_LIKE: Final = OVERRIDES | {"pws_override"}

_STATES: Final = {state.value.lower(): state for state in State if state is not State.UNKNOWN}
_STRONGEST: Final = (State.VACATION, State.DND, State.BUSY, State.AWAY, State.UNAVAILABLE, State.AVAILABLE)
_NOT_ACTIVITIES: Final = frozenset({"user-input", "phone-status", "im-status"})


@dataclass(frozen=True, slots=True)
class Document:
    """The presence that a document sets. `state` None takes back what was set before (protocol section 2).

    That is a document with an element `clear`, one whose override tuple is closed, and one that names no state.
    """

    state: State | None
    activities: tuple[str, ...]
    note: str | None
    device: str | None = None
    """The id of the first tuple that is a device's."""


def read(content: bytes, *, override: bool) -> Document:
    """Read a document. Raises `Refused` with 120 (no document), 161 (override without its tuple) or 162 (source)."""
    root = _parse(content)
    tuples = list(root.iter("{*}tuple"))
    if override and not any(element.get("id") in OVERRIDES for element in tuples):
        raise Refused(161)
    for element in tuples:
        if element.get("id") not in OVERRIDES and _text(element, "source") != SOURCE:
            raise Refused(162)
    if next(root.iter("{*}" + CLEAR, "{*}" + CLEAR.title()), None) is not None:
        return Document(None, (), None)
    names = [
        etree.QName(activity).localname
        for activities in root.iter("{*}activities")
        for activity in activities.iterchildren("*")
    ]
    states = [_STATES[name.lower()] for name in names if name.lower() in _STATES]
    basic = {
        word
        for element in tuples
        if (word := (_text(element, "basic") or "").lower()) != "closed" or element.get("id") not in _OVERRIDE_LIKE
    }
    state = min(states, key=_STRONGEST.index) if states else None
    if state is None and "open" in basic:
        state = State.AVAILABLE
    elif state is None and "closed" in basic:
        state = State.UNAVAILABLE
    others = tuple(name for name in names if name.lower() not in _STATES and name not in _NOT_ACTIVITIES)
    device = next((element.get("id") for element in tuples if element.get("id") not in _OVERRIDE_LIKE), None)
    return Document(state, others, _text(root, "note"), device or None)


def _parse(content: bytes) -> etree._Element:
    if len(content) > MAX_DOCUMENT:
        raise Refused(120, f"The document has more than {MAX_DOCUMENT} bytes.")
    root = parsed(as_utf8(content, "utf-8"), 120)  # it was text in a request, whatever it declares
    if etree.QName(root).localname != "presence":
        raise Refused(120, "The document's root element is not presence.")
    return root


def _text(element: etree._Element, name: str) -> str | None:
    found = next(element.iter(f"{{*}}{name}"), None)
    return None if found is None else (found.text or "").strip() or None
