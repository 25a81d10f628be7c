"""One `tuple` of a document into one `Device`, and the small readings that a tuple shares with a person.

RFC 3863 puts `basic` into `status` and the rest beside it; real documents have everything in either, so the two are
read as one.
"""

from __future__ import annotations

from datetime import datetime

from lxml import etree

from pws_soap.pidf.elements import (
    NAMES,
    attribute,
    input_of,
    language_of,
    local_name,
    moment,
    priority_of,
    since_of,
    text_of,
    truth_of,
    word_of,
)
from pws_soap.pidf.model import MAX_TEXT, MAX_UNKNOWN, MAX_WORD, Device, kind_of
from pws_soap.pidf.times import Times


class Aside:
    """The names of elements that nobody here knows, as paths; only so many are kept."""

    __slots__ = ("paths",)

    def __init__(self) -> None:
        self.paths: dict[str, None] = {}

    def put(self, where: str, name: str) -> None:
        """Notes an element called `name` within `where`."""
        if len(self.paths) < MAX_UNKNOWN:
            self.paths[f"{where}/{name[:MAX_WORD]}"] = None


class Idle:
    """What the `user-input` elements of one place say together: idle if one does, since the first that says when."""

    __slots__ = ("idle", "since")

    def __init__(self) -> None:
        self.idle: bool | None = None
        self.since: datetime | None = None

    def take(self, element: etree._Element) -> None:
        """Takes one `user-input`."""
        idle = input_of(element)
        if idle:
            self.idle = True
            self.since = self.since or since_of(element)
        elif idle is False and self.idle is None:
            self.idle = False


def basic_of(element: etree._Element, before: bool | None) -> bool | None:
    """A basic status, after another perhaps: of two that contradict each other closed, the less available."""
    word = word_of(element)
    if word == "closed" or before is False:
        return False
    return True if word == "open" else before


def activity_of(name: str, element: etree._Element) -> str | None:
    """The activity that an element names: itself, or the text of an `activity` as the drafts of RFC 4480 had it."""
    return word_of(element) if name == "activity" else name if len(name) <= MAX_WORD else None


class _Tuple:
    """What was met so far in one tuple."""

    __slots__ = (
        "activities",
        "aside",
        "audio",
        "basic",
        "contact",
        "idle",
        "language",
        "model",
        "note",
        "priority",
        "source",
        "text",
        "times",
        "timestamp",
        "video",
        "where",
    )

    def __init__(self, where: str, aside: Aside, times: Times) -> None:
        self.where = where
        self.aside = aside
        self.times = times
        self.activities: dict[str, None] | None = None  # in order, each once
        self.basic: bool | None = None
        self.audio: bool | None = None
        self.video: bool | None = None
        self.text: bool | None = None
        self.priority: float | None = None
        self.timestamp: datetime | None = None
        self.source: str | None = None
        self.contact: str | None = None
        self.model: str | None = None
        self.note: str | None = None
        self.language: str | None = None
        self.idle: Idle | None = None

    def take(self, name: str, element: etree._Element) -> None:
        """Takes one element of the tuple or of its status; of two with the same name the first that says something."""
        if name == "basic":
            self.basic = basic_of(element, self.basic)
        elif name == "servcaps":
            self._capabilities(element)
        elif name == "contact":
            self.contact = self.contact or text_of(element)
            self.priority = priority_of(element) if self.priority is None else self.priority
        elif name == "timestamp":
            self.timestamp = self.timestamp or moment(element.text)
        elif name == "activities":
            self._activities(element)
        elif name == "user-input":
            self.idle = self.idle or Idle()
            self.idle.take(element)
        elif name == "note":
            if self.note is None:
                self.note = text_of(element)
                self.language = language_of(element) if self.note is not None else None
        elif name == "source":
            self.source = self.source or text_of(element)
        elif name == "model":
            self.model = self.model or text_of(element)
        elif name in ("show", "im"):  # beside `basic`: XMPP's (RFC 7248 section 4.2), and that of RFC 3863 section 5.2
            self._act(word_of(element))
        elif name != "deviceid":
            self.aside.put("tuple", name)

    def _capabilities(self, element: etree._Element) -> None:
        for child in element:
            name = NAMES.get(child.tag) or local_name(child.tag)
            if name == "audio":
                self.audio = truth_of(child)
            elif name == "video":
                self.video = truth_of(child)
            elif name == "text":
                self.text = truth_of(child)

    def _activities(self, element: etree._Element) -> None:
        for name, child in self.times.children(element, f"{self.where}/status/activities"):
            if name in ("user-input", "note"):
                self.take(name, child)
            elif name in ("phone-status", "im-status"):  # a person has channels; of a device's, nobody says the meaning
                self.aside.put("tuple/activities", name)
            else:
                self._act(activity_of(name, child))

    def _act(self, word: str | None) -> None:
        if word is not None:
            if self.activities is None:
                self.activities = {}
            self.activities[word] = None


def read_tuple(element: etree._Element, aside: Aside, times: Times) -> Device:
    """The device that a tuple describes, of what counts in it. What is not known of it goes aside."""
    identity = (attribute(element, "id") or "").strip()[:MAX_TEXT]
    where = f"tuple[{identity[:MAX_WORD]}]"
    got = _Tuple(where, aside, times)
    for name, child in times.children(element, where):
        if name == "status":
            for inner, grandchild in times.children(child, where + "/status"):
                got.take(inner, grandchild)
        else:
            got.take(name, child)
    idle = got.idle
    return Device(
        identity,
        kind_of(identity),
        got.basic,
        got.audio,
        got.video,
        got.text,
        got.priority,
        () if got.activities is None else tuple(got.activities),
        got.timestamp,
        got.source,
        got.contact,
        got.model,
        got.note,
        got.language,
        None if idle is None else idle.idle,
        None if idle is None else idle.since,
    )
