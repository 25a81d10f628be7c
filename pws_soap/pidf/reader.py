"""One document's element into one `Reading`: which element means what, and where it may stand.

Elements are known by local name wherever they stand: `activities` in a person, beside one, in a tuple or in its status;
`note`, `user-input` and `class` likewise. What is not known is set aside by its path and costs nothing. The state is
not decided here but in `rule`, nor which element counts at the moment, but in `times`.
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Final

from lxml import etree

from pws_soap.errors import PidfError
from pws_soap.pidf import rule
from pws_soap.pidf.elements import attribute, contact_of, language_of, local_name, text_of, word_of
from pws_soap.pidf.model import MAX_NODES, MAX_WORD, Device, Reading
from pws_soap.pidf.times import Times
from pws_soap.pidf.tuples import Aside, Idle, activity_of, basic_of, read_tuple

_NAMES: Final = frozenset({"display-name", "displayname", "display_name"})


def read_element(root: etree._Element, now: datetime | None, *, counted: bool = False) -> Reading:
    """The reading of one `presence` element as of `now`. Raises PidfError when it is something else.

    `counted`: it is known to have no more than MAX_NODES elements.
    """
    name = local_name(root.tag)
    if name != "presence":
        raise PidfError(f"the root is <{name[:MAX_WORD]}>, not <presence>")
    if not counted and next(islice(root.iter(), MAX_NODES, None), None) is not None:
        raise PidfError(f"more than {MAX_NODES} elements", contact_of(attribute(root, "entity")))
    found = _Found(Times(now))
    for name, child in found.times.children(root, ""):
        if name == "tuple":
            found.devices.append(read_tuple(child, found.aside, found.times))
        elif name == "person":
            found.take_person(child)
        elif name in _NAMES:
            found.display_name = found.display_name or text_of(child)
        elif name == "note":
            found.take_note("presence", child)
        elif name == "activities":
            found.take_activities(child)
        elif name == "device":
            found.take_device(child)
        elif not found.take_state(name, child):
            found.aside.put("presence", name)
    return found.reading(contact_of(attribute(root, "entity")))


class _Found:
    """What was met so far in one document."""

    __slots__ = (
        "aside",
        "basic",
        "devices",
        "display_name",
        "idle",
        "im_status",
        "inputs",
        "manual",
        "notes",
        "phone_status",
        "said",
        "times",
    )

    def __init__(self, times: Times) -> None:
        self.times = times
        self.aside = Aside()
        self.said: dict[str, None] = {}  # in order, each once
        self.basic: bool | None = None
        self.devices: list[Device] = []
        self.idle = Idle()
        self.inputs: list[Idle] = []  # of devices in the sense of RFC 4479, which are no tuples
        self.phone_status: str | None = None
        self.im_status: str | None = None
        self.manual = False
        self.display_name: str | None = None
        self.notes: dict[str, tuple[str, str | None]] = {}  # by where: person or presence

    def take_person(self, person: etree._Element) -> None:
        for name, child in self.times.children(person, "person"):
            if name == "activities":
                self.take_activities(child)
            elif name == "note":
                self.take_note("person", child)
            elif name == "status":  # phones have one here, as a tuple has
                self._take_status(child)
            elif name in _NAMES:
                self.display_name = self.display_name or text_of(child)
            elif not self.take_state(name, child) and name != "timestamp":
                if name in rule.WORDS:  # an activity that lost the element around it
                    self.said[name] = None
                else:
                    self.aside.put("person", name)

    def _take_status(self, status: etree._Element) -> None:
        for name, child in self.times.children(status, "person/status"):
            if name == "basic":
                self.basic = basic_of(child, self.basic)
            elif name == "activities":
                self.take_activities(child)
            else:
                self.aside.put("person/status", name)

    def take_activities(self, activities: etree._Element) -> None:
        for name, child in self.times.children(activities, "person/activities"):
            if name == "note":
                self.take_note("person", child)
            elif not self.take_state(name, child):
                word = activity_of(name, child)
                if word is not None:
                    self.said[word] = None

    def take_state(self, name: str, element: etree._Element) -> bool:
        """Takes what may stand in a person's activities or beside them, and says whether it was one of these."""
        if name == "user-input":
            self.idle.take(element)
        elif name == "phone-status":
            self.phone_status = self.phone_status or word_of(element)
        elif name == "im-status":
            self.im_status = self.im_status or word_of(element)
        elif name == "class":
            self.manual = self.manual or word_of(element) == "manual"
        else:
            return False
        return True

    def take_device(self, device: etree._Element) -> None:
        """Takes the `user-input` of a `device` of the data model (RFC 4479 section 3.5)."""
        idle = Idle()
        for name, child in self.times.children(device, "device"):
            if name == "user-input":
                idle.take(child)
            elif name not in ("deviceid", "timestamp"):
                self.aside.put("device", name)
        self.inputs.append(idle)

    def take_note(self, where: str, element: etree._Element) -> None:
        text = text_of(element)
        if text is not None and where not in self.notes:
            self.notes[where] = (text, language_of(element))

    def reading(self, contact: str | None) -> Reading:
        """All of it, and what follows from it."""
        said = tuple(self.said)
        devices = tuple(self.devices)
        sense = rule.sense_of(said, self.phone_status, self.im_status, devices, self.basic)
        idle, since = self.idle.idle, self.idle.since
        if idle is None:
            idle, since = _idle_of(devices, self.inputs)
        note, language = self.notes.get("person") or self.notes.get("presence") or _note_of(devices)
        return Reading(
            contact,
            sense.state,
            sense.activities,
            sense.on_the_phone,
            sense.in_meeting,
            idle,
            since,
            self.phone_status,
            self.im_status,
            self.manual,
            note,
            language,
            self.display_name,
            devices,
            sense.decided_by,
            said,
            self.basic,
            tuple(self.aside.paths),
            times=self.times.lines,
            valid_until=self.times.valid_until,
        )


def _idle_of(devices: tuple[Device, ...], inputs: list[Idle]) -> tuple[bool | None, datetime | None]:
    """Idle as the devices know it: input at one of them is input of the person; idle since the last of them is."""
    stated = [(one.idle, one.idle_since) for one in devices if one.idle is not None and one.basic is not False]
    stated += [(one.idle, one.since) for one in inputs if one.idle is not None]
    if not stated:
        return None, None
    if not all(idle for idle, _ in stated):
        return False, None
    return True, max((since for _, since in stated if since is not None), default=None)


def _note_of(devices: tuple[Device, ...]) -> tuple[str | None, str | None]:
    for device in devices:
        if device.note is not None:
            return device.note, device.note_language
    return None, None
