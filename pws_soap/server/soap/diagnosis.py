"""Why a request is refused that the schema refuses: the server's code for it, and the validator's words.

The code is that of the first mistake which has one of its own, else 102 (protocol section 3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lxml import etree

from pws_soap.server.presence import State
from pws_soap.server.soap.contract import PWS

_SETTABLE: Final = frozenset(State) - {State.UNKNOWN}
_LONGEST: Final = 300
"""Characters of a reason that are given; a name in it may be of any length."""
_NAMED: Final = 5
"""Headers that are named where there are more of them."""
_VALUE: Final = re.compile(
    r"(^|\bvalue )'(?:.*'(?= (?:is|must|has|does|of)\b)|.*)|(\bkey-sequence )\[.*\]", flags=re.DOTALL
)
"""A value from the request in the validator's words, up to the last quote that can end it, else up to the end."""


def complaint(text: str) -> str:
    """The validator's words without the values of the request, any of which may be a password."""
    place, colon, what = text.partition("': ")
    return words(place + colon + _VALUE.sub(r"\1\2'...'", what))


def words(text: str) -> str:
    """Words about names in a request, fit for a fault and a log: one line, not too long, without our namespace."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text.replace(f"{{{PWS}}}", ""))
    return plain if len(plain) <= _LONGEST else plain[:_LONGEST] + "..."


def listed(tags: Sequence[str]) -> str:
    """Names of headers, `{namespace}name`, for a fault and a log: the first few, and how many more there are."""
    names = [etree.QName(tag) for tag in tags[:_NAMED]]
    text = ", ".join(words(f"{name.localname} ({name.namespace or 'no namespace'})") for name in names)
    return text if len(tags) <= _NAMED else f"{text} and {len(tags) - _NAMED} more"


def outside(element: etree._Element) -> str:
    """Says that an element is not in our namespace, the most frequent mistake of all."""
    name = etree.QName(element)
    where = f"in the namespace {name.namespace}" if name.namespace else "in no namespace"
    return words(f"{name.localname} is {where}") + f", and {PWS} is expected."


def _child(parent: etree._Element, name: str) -> etree._Element | None:
    return parent.find(f"{{{PWS}}}{name}")


def _text(parent: etree._Element, name: str) -> str | None:
    element = _child(parent, name)
    return None if element is None else element.text or ""


def diagnosis(operation: str, root: etree._Element) -> int:
    """The code for a request that the schema refuses: that of the first mistake which has one of its own, else 102."""
    if operation == "login":
        return _login_diagnosis(root)
    if operation == "unsubscribe":
        inner = _child(root, "unsubscribeRequest")
        return 102 if inner is None else _contacts_diagnosis(inner, required=_child(inner, "unsubscribeAll") is None)
    if operation in ("subscribe", "getPolledPresence"):
        code = _contacts_diagnosis(root, required=operation == "getPolledPresence")
        if code != 102:
            return code
    if operation in ("getSubscribedPresence", "getPolledPresence", "setPresence") and _text(
        root, "presenceType"
    ) not in ("BASIC_PRESENCE", "RICH_PRESENCE"):
        return 110
    if operation == "setPresence":
        code = _set_presence_diagnosis(root)
        if code != 102:
            return code
    if operation in ("registerEndPoint", "subscribe", "setPresence"):
        return _expiration_diagnosis(root, below=86400 if operation == "registerEndPoint" else 86401)
    return 102


def _login_diagnosis(root: etree._Element) -> int:
    if not (_text(root, "username") or "").strip():
        return 113
    if (_child(root, "password") is None) == (_child(root, "app-session-id") is None):
        return 112
    return 102


def _contacts_diagnosis(parent: etree._Element, *, required: bool) -> int:
    listed = _child(parent, "contactsList")
    if listed is None:
        return 146 if required else 102
    contacts = list(listed.iterchildren("*"))
    if not contacts:
        return 146
    if any(contact.tag != f"{{{PWS}}}contact" for contact in contacts):
        return 147
    if any(name != "contactURI" for contact in contacts for name in contact.attrib):
        return 148
    return 102


def _set_presence_diagnosis(root: etree._Element) -> int:
    info = _child(root, "presenceInfo")
    if info is None:
        return 115
    if (_text(info, "override") or "").strip() not in ("true", "false", "1", "0"):
        return 125
    basic = _text(info, "basicPresence")
    if basic is not None and basic not in _SETTABLE:
        return 120
    return 102


def _expiration_diagnosis(root: etree._Element, *, below: int) -> int:
    text = _text(root, "expiration")
    if text is None:
        return 102
    try:
        return 102 if 3600 <= int(text) < below else 131
    except ValueError:
        return 131
