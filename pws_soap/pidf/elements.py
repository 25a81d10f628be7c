"""Small readings of one element: its local name, its text, and the values a text can be.

Names are compared by their local part in lower case, since real documents put elements in the wrong namespace or in
none, and attributes too. An empty or unusable text is None: not said.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from lxml import etree

from pws_soap.contact import MAX_CONTACT_LENGTH, bare_contact, is_contact
from pws_soap.pidf.model import MAX_TEXT, MAX_WORD

SPACE: Final = " \t\r\n"
"""White space as XML has it."""
_NUMBER: Final = re.compile(r"[01]?\.?[0-9]{0,9}")
_MIDNIGHT: Final = re.compile(r"(?<=[T ])24(?=:00)")
"""The end of a day as xs:dateTime may write it."""
_USUAL_TIME: Final = len("2026-05-30T12:00:00Z")
_LEAP: Final = re.compile(r"(?<=:[0-9]{2}:)60")
_TRUTHS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_INPUTS: Final = {"idle": True, "inactive": True, "active": False}
_USUAL: Final = frozenset(
    {"true", "false", "open", "closed", "idle", "active", "manual"}
    | {"available", "away", "busy", "dnd", "unavailable", "vacation", "meeting", "on-the-phone"}
)
"""Texts that are a word as they stand."""


_USUAL_CONTACT: Final = re.compile(r"(?:sip:|pres:)?([A-Za-z0-9._~!$*+=-]+@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)")
"""The form of nearly all entities, of which `bare_contact` leaves all but the scheme, and which is a contact."""

_MAX_NAME: Final = 128
_MAX_NAMES: Final = 1024
NAMES: Final[dict[object, str]] = {}
"""Local names that `local_name` was asked for, of not too many and not too long tags: in a loop over all elements of a
document, to look here first saves a third of the time."""


def local_name(tag: object) -> str:
    """The local name, in lower case, of `{namespace}name`, `name`, or `prefix:name` with an undeclared prefix.

    Empty for the tag of a comment, an instruction or an entity, which is a function.
    """
    if not isinstance(tag, str):
        return ""
    name = tag[max(tag.rfind("}"), tag.rfind(":")) + 1 :].lower()
    if len(tag) < _MAX_NAME and len(NAMES) < _MAX_NAMES:
        NAMES[tag] = name
    return name


def attribute(element: etree._Element, name: str) -> str | None:
    """An attribute by its local name in any case and any namespace."""
    value = element.get(name)
    if value is None:
        for key in element.keys():  # noqa: SIM118  # an element is no mapping: iterating it gives its children
            if (NAMES.get(key) or local_name(key)) == name:
                return element.get(key)
    return value


def is_space(text: str | None) -> bool:
    """Whether a text is white space as XML has it, or nothing: other characters that show nothing are text."""
    return not text or not text.strip(SPACE)


def text_of(element: etree._Element) -> str | None:
    """The element's text, stripped and at most MAX_TEXT long, with that of elements in it; None when it is empty."""
    text = element.text
    if len(element):
        text = "".join(element.itertext())
    if text is None:
        return None
    return text.strip()[:MAX_TEXT] or None


def word_of(element: etree._Element) -> str | None:
    """The element's text as one word, in lower case; None when it is empty or too long to be one."""
    text = element.text
    if text in _USUAL and not len(element):
        return text
    text = text_of(element)
    return text.lower() if text is not None and len(text) <= MAX_WORD else None


def truth_of(element: etree._Element) -> bool | None:
    """`true` or `false` (also 1 and 0)."""
    return _TRUTHS.get(word_of(element) or "")


def input_of(element: etree._Element) -> bool | None:
    """Whether a `user-input` says idle (RFC 4480 section 3.14)."""
    return _INPUTS.get(word_of(element) or "")


def since_of(element: etree._Element) -> datetime | None:
    """Since when a `user-input` is idle: its attribute `since`, or the last input (RFC 4480 section 3.14)."""
    if not element.attrib:
        return None
    return moment(attribute(element, "since") or attribute(element, "last-input") or attribute(element, "from"))


def language_of(element: etree._Element) -> str | None:
    """The language of a text: `xml:lang` here, or on the elements around it."""
    around: etree._Element | None = element
    for _ in range(4):  # note, activities, person, presence
        if around is None:
            return None
        language = attribute(around, "lang")
        if language is not None:
            return language.strip() if 0 < len(language.strip()) <= MAX_WORD else None
        around = around.getparent()
    return None


def moment(text: str | None) -> datetime | None:
    """A date and time (RFC 3339, xs:dateTime) in UTC. Without an offset it is taken as UTC."""
    if text is not None and len(text) == _USUAL_TIME and text[-1] == "Z":
        try:  # not `suppress`, which takes longer than all else of it
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    text = text.strip().upper() if text is not None and len(text) < MAX_TEXT else ""
    if not 16 <= len(text) <= 48:
        return None
    plain, midnight = _MIDNIGHT.subn("00", text)
    plain, leap = _LEAP.subn("59", plain)
    try:
        value = datetime.fromisoformat(plain) + timedelta(days=midnight, seconds=leap)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def priority_of(element: etree._Element) -> float | None:
    """The `priority` of a tuple's contact, from 0 to 1 (RFC 3863 section 4.1.5)."""
    return _priority((attribute(element, "priority") or "").strip()[:MAX_WORD])


@lru_cache(maxsize=256)
def _priority(text: str) -> float | None:
    if not text or text == "." or not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if value <= 1.0 else None


def contact_of(uri: str | None) -> str | None:
    """`user@domain` of an entity in any spelling (`contact.bare_contact`); None when that is no contact."""
    if uri is None or len(uri) > MAX_TEXT:
        return None
    usual = _USUAL_CONTACT.fullmatch(uri)
    if usual is not None and len(usual[1]) <= MAX_CONTACT_LENGTH:
        return usual[1]
    contact = bare_contact(uri)
    return contact if is_contact(contact) else None


def entity_of(document: etree._Element) -> str | None:
    """The contact that a document names in its entity; None where it names none, or has two entities."""
    keys = document.keys()
    if len(keys) > 1 and sum((NAMES.get(key) or local_name(key)) == "entity" for key in keys) > 1:
        return None
    return contact_of(attribute(document, "entity"))


def is_nil(element: etree._Element) -> bool:
    """Whether an element says that it is absent (`xsi:nil`)."""
    return (attribute(element, "nil") or "").strip(SPACE) in ("true", "1")
