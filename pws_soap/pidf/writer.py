"""Rich documents for `setPresence`, and the check that spares the server four refusals.

Set what a person is doing with `device_state` (one device among others: the server's rules compose the whole) or with
`override` (above all devices), give a `note`, and take it back with `clear`. Each gives a `RichDocument`: the bytes for
`richPresence` and the flag for `override`, which belong together. What the server would refuse raises ArgumentError
before anything is sent: AVAILABLE as an override (121), DND as a device's state (122), an override without a tuple
`pws-override` or `pws-persistent` (161), a tuple without the source `Presence Web Service` (162).

`write_document` writes a whole reading: what it writes reads as the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lxml import etree
from msgspec.structs import replace

from pws_soap.errors import ArgumentError
from pws_soap.models import SETTABLE_STATES, PresenceState, is_contact
from pws_soap.pidf import rule
from pws_soap.pidf.carrier import Document, read_document
from pws_soap.pidf.model import MAX_TEXT, MAX_WORD, Device, Reading

PIDF: Final = "urn:ietf:params:xml:ns:pidf"
PERSON: Final = "urn:cisco:params:xml:ns:pidf:rpid"
NAME: Final = "urn:ietf:params:xml:ns:pidf:cipid"
CAPABILITIES: Final = "urn:ietf:params:xml:ns:pidf:servcaps"
SOURCE: Final = "urn:cisco:params:xml:ns:pidf:source"
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"

OUR_SOURCE: Final = "Presence Web Service"
"""The `source` of every tuple that is set over this service (code 162)."""
DEVICE_ID: Final = "cisco-pws"
"""The id of the tuple that the server itself makes of a basic presence."""
OVERRIDE_ID: Final = "pws-override"
PERSISTENT_ID: Final = "pws-persistent"
CLEAR_ID: Final = "pws_override"
"""The id of the tuple, spelled so, with which Cisco's published collection takes back what was set."""
OVERRIDE_IDS: Final = frozenset({OVERRIDE_ID, PERSISTENT_ID})
"""The ids that an override may have (code 161)."""

_CLEAR: Final = "clear"
_NAME: Final = re.compile(r"[a-z][a-z0-9._-]{0,63}")
_NO_ACTIVITIES: Final = frozenset({"activity", "class", "im-status", "note", "phone-status", "user-input"})
"""Elements that stand among activities and are none."""
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class RichDocument:
    """What `setPresence` takes: the document as bytes of UTF-8 without a declaration, and the flag `override`."""

    xml: bytes
    override: bool

    def element(self) -> etree._Element:
        """The document as a new element, as `richPresence` holds it."""
        return etree.fromstring(self.xml)


def device_state(
    contact: str,
    state: PresenceState,
    *,
    activities: Sequence[str] = (),
    note: str | None = None,
    language: str | None = None,
    device_id: str = DEVICE_ID,
    timestamp: datetime | None = None,
) -> RichDocument:
    """The state of one device that this application stands for. `activities` are given beside it, as `on-the-phone`.

    The person's state follows from all devices by the server's presence rules; only UNAVAILABLE is not certain to
    become it. DND is refused (122): use `override`. Raises ArgumentError.
    """
    if device_id in OVERRIDE_IDS:
        raise ArgumentError("device_id", "a device's id; use override() for that", device_id)
    device = Device(device_id, basic=state is not PresenceState.UNAVAILABLE, timestamp=timestamp)
    return _document(contact, _words(state, activities), device, note, language, override=False)


def override(
    contact: str,
    state: PresenceState,
    *,
    activities: Sequence[str] = (),
    note: str | None = None,
    language: str | None = None,
    persistent: bool = False,
    timestamp: datetime | None = None,
) -> RichDocument:
    """A state above those of all devices: a call does not change it. `persistent` uses the tuple `pws-persistent`.

    AVAILABLE is refused (121): use `device_state`, or `clear` what overrides. Raises ArgumentError.
    """
    device = Device(
        PERSISTENT_ID if persistent else OVERRIDE_ID,
        basic=state is not PresenceState.UNAVAILABLE,
        timestamp=timestamp,
    )
    return _document(contact, _words(state, activities), device, note, language, override=True)


def note(contact: str, text: str, *, language: str | None = None, device_id: str = DEVICE_ID) -> RichDocument:
    """A note without a state: the devices go on deciding that. An empty text takes the note back.

    That a server keeps the state as it is, follows from the document alone and was not seen. Raises ArgumentError.
    """
    return _document(
        contact, (), Device(device_id, basic=True), text or None, language, override=device_id in OVERRIDE_IDS
    )


def clear(contact: str, *, device_id: str | None = None) -> RichDocument:
    """Takes back what was set, an override or not, so that what was before holds again.

    The document is that of Cisco's published REST collection: an empty `clear`, a tuple `pws_override`, no override.
    With a `device_id` (also an override's) it is the other form: that tuple, closed, which says nothing. That a server
    forgets what was set by either over SOAP was not seen; in any case it ends with the expiration it was set with.
    Raises ArgumentError.
    """
    if device_id is None:
        return _document(contact, (_CLEAR,), Device(CLEAR_ID, basic=False), None, None, override=False)
    return _document(contact, (), Device(device_id, basic=False), None, None, override=device_id in OVERRIDE_IDS)


def check(document: Document, override: bool) -> Reading:
    """Refuses what the server would refuse: codes 121, 122, 161 and 162. Returns the reading of the document.

    Raises ArgumentError, and PidfError for what is no presence document.
    """
    reading = read_document(document)
    states = {rule.WORDS[word].state for word in reading.activities if word in rule.WORDS}
    if override and PresenceState.AVAILABLE in states:
        raise ArgumentError("override", "False with AVAILABLE (code 121)", override)
    if not override and PresenceState.DND in states:
        raise ArgumentError("override", "True with DND (code 122)", override)
    ids = [device.id for device in reading.devices]
    if override and OVERRIDE_IDS.isdisjoint(ids):
        raise ArgumentError("tuple", "a tuple with the id pws-override or pws-persistent (code 161)", ids)
    if not ids:
        raise ArgumentError("tuple", f"a tuple with the source {OUR_SOURCE!r} (code 162)", ids)
    for device in reading.devices:
        if device.source != OUR_SOURCE:
            raise ArgumentError(
                "source", f"{OUR_SOURCE!r} in the tuple {device.id[:MAX_WORD]!r} (code 162)", device.source
            )
    return reading


def _words(state: PresenceState, activities: Sequence[str]) -> tuple[str, ...]:
    if state not in SETTABLE_STATES:
        raise ArgumentError("state", "one of " + ", ".join(sorted(SETTABLE_STATES)), state)
    for word in activities:
        if not _NAME.fullmatch(word) or word in _NO_ACTIVITIES:
            raise ArgumentError("activities", "lower-case names such as on-the-phone", word)
    return tuple(dict.fromkeys((state.value.lower(), *activities)))


def _document(
    contact: str, words: tuple[str, ...], device: Device, text: str | None, language: str | None, *, override: bool
) -> RichDocument:
    if not is_contact(contact) or _NOT_XML.search(contact):
        raise ArgumentError("contact", "user@domain", contact)
    if not 0 < len(device.id) <= MAX_WORD or _NOT_XML.search(device.id) or device.id != device.id.strip():
        raise ArgumentError("device_id", f"1 to {MAX_WORD} characters", device.id)
    if text is not None and (len(text) > MAX_TEXT or _NOT_XML.search(text)):
        raise ArgumentError("note", f"at most {MAX_TEXT} characters that XML allows", text)
    if language is not None and not re.fullmatch(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", language):
        raise ArgumentError("language", "a language tag such as en or de-CH", language)
    device = replace(device, source=OUR_SOURCE)
    xml = write_document(
        Reading(contact, said=words, note=text, note_language=language if text else None, devices=(device,))
    )
    check(xml, override)
    return RichDocument(xml, override)


def write_document(reading: Reading) -> bytes:
    """The document that reads as `reading`, in the namespaces of the standards, UTF-8, without a declaration.

    `state`, `activities`, `decided_by` and what else follows from the rest is not written; nor is what was set aside.
    Raises ValueError for texts that XML cannot hold.
    """
    root = etree.Element(f"{{{PIDF}}}presence", nsmap={None: PIDF, "r": PERSON, "sc": CAPABILITIES, "so": SOURCE})
    if reading.contact is not None:
        root.set("entity", "sip:" + reading.contact)
    _person(root, reading)
    if reading.display_name is not None:
        _text(root, NAME, "display-name", reading.display_name)
    for device in reading.devices:
        _tuple(root, device)
    etree.cleanup_namespaces(root)
    return etree.tostring(root, encoding="utf-8")


def _text(parent: etree._Element, namespace: str, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{namespace}}}{name}")
    element.text = text
    return element


def _person(root: etree._Element, reading: Reading) -> None:
    person = _text(root, PERSON, "person")
    if reading.contact is not None:
        person.set("id", reading.contact.rpartition("@")[0])
    if reading.basic is not None:
        _text(_text(person, PERSON, "status"), PERSON, "basic", "open" if reading.basic else "closed")
    activities = _text(person, PERSON, "activities")
    _input(activities, PERSON, reading.idle, reading.idle_since)
    for word in reading.said:
        _text(activities, PERSON, word)
    if reading.phone_status is not None:
        _text(activities, PERSON, "phone-status", reading.phone_status)
    if reading.im_status is not None:
        _text(activities, PERSON, "im-status", reading.im_status)
    if reading.manual:
        _text(person, PERSON, "class", "manual")
    _note(person, PERSON, reading.note, reading.note_language)


def _tuple(root: etree._Element, device: Device) -> None:
    element = _text(root, PIDF, "tuple")
    element.set("id", device.id)
    status = _text(element, PIDF, "status")
    if device.basic is not None:
        _text(status, PIDF, "basic", "open" if device.basic else "closed")
    if device.activities:
        activities = _text(status, PERSON, "activities")
        for word in device.activities:
            _text(activities, PERSON, word)
    said = [(name, getattr(device, name)) for name in ("audio", "video", "text") if getattr(device, name) is not None]
    if said:
        capabilities = _text(element, CAPABILITIES, "servcaps")
        for name, value in said:
            _text(capabilities, CAPABILITIES, name, "true" if value else "false")
    if device.source is not None:
        _text(element, SOURCE, "source", device.source)
    if device.model is not None:
        _text(element, PERSON, "model", device.model)
    _input(element, PERSON, device.idle, device.idle_since)
    if device.contact is not None or device.priority is not None:
        address = _text(element, PIDF, "contact", device.contact)
        if device.priority is not None:
            address.set("priority", format(device.priority, ".3f").rstrip("0").rstrip(".") or "0")
    _note(element, PIDF, device.note, device.note_language)
    if device.timestamp is not None:
        _text(element, PIDF, "timestamp", device.timestamp.isoformat().replace("+00:00", "Z"))


def _input(parent: etree._Element, namespace: str, idle: bool | None, since: datetime | None) -> None:
    if idle is not None:
        element = _text(parent, namespace, "user-input", "idle" if idle else "active")
        if idle and since is not None:
            element.set("since", since.isoformat().replace("+00:00", "Z"))


def _note(parent: etree._Element, namespace: str, text: str | None, language: str | None) -> None:
    if text is not None:
        element = _text(parent, namespace, "note", text)
        if language is not None:
            element.set(_LANG, language)
