"""Reads the two replies of unbounded length, get...PresenceResponse, from the parsed XML with lxml.

zeep's own decoding ends at the WSDL's 100 contacts (it raises, or drops the rest in silence) and takes 30 microseconds
a contact; this walk takes any number. It goes contact by contact and then to what the contact holds, so a contact
without a state is kept and never given its neighbour's. A test holds it equal to zeep's reading.

Nothing in a reply is passed over in silence: whatever is not an entry about one contact becomes a Presence with a
`problem`, without a contact where none is named. A caller that confirms by what a reply does not name must know of it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import datetime
from itertools import islice
from typing import Final, TypeAlias

from lxml import etree
from msgspec.structs import replace

from pws_soap import pidf
from pws_soap.envelope import local, local_of
from pws_soap.errors import UnexpectedReply
from pws_soap.models import Presence, PresenceState, PresenceType

MAX_ENTRIES: Final = 50_000
"""Entries of one reply that are read: ten times the contacts of the largest subscription."""
_PER_STEP: Final = 50
"""Contacts read between two places to pause: well under a millisecond."""
_DOCUMENTS_PER_STEP: Final = 5
"""Rich documents read between two places to pause: about a millisecond; much more for the largest that are read."""
_LOOKED_AT: Final = 1000
"""Elements that are looked through at a time for what a reply has once."""
Steps: TypeAlias = Generator["Presence | None", None, None]
"""Entries, and None as a place to pause."""

_STATES: Final = {state.value: state for state in PresenceState}
_LISTS: Final = {"basicpresencelist": PresenceType.BASIC, "richpresencelist": PresenceType.RICH}
_ENTRIES: Final = frozenset({"contact", "presence"})
_OTHER_TYPE: Final = "{} where {} was asked for"


def presences(
    payload: etree._Element, asked: PresenceType | None = None, now: datetime | None = None
) -> Iterator[Presence]:
    """The entries of a get...PresenceResponse, read lazily.

    An absent or empty list yields nothing: nothing changed (protocol section 2, Fetching). A contact that is named
    twice comes twice. Raises UnexpectedReply for a reply without content, or of another type than `asked`: that is the
    reply to another request. `now` (in UTC) is the moment as of which the times in rich documents are read.
    """
    return (entry for entry in presences_in_steps(payload, asked, now) if entry is not None)


def presences_in_steps(
    payload: etree._Element, asked: PresenceType | None = None, now: datetime | None = None
) -> Iterator[Presence | None]:
    """As `presences`; None is a place to pause: after some milliseconds of work at most."""
    entries = 0
    for entry in _entries(payload, asked, now):
        entries += entry is not None
        if entries > MAX_ENTRIES:
            raise UnexpectedReply(f"the reply has more than {MAX_ENTRIES} entries")
        yield entry


def _entries(payload: etree._Element, asked: PresenceType | None, now: datetime | None) -> Steps:
    operation = local(payload).removesuffix("Response")
    if str(payload.tag).startswith("{") and not str(payload.tag).startswith("{urn:cisco:"):
        raise UnexpectedReply("the reply is in another namespace", operation=operation)
    responses = [each for each in islice(payload, _LOOKED_AT) if isinstance(each.tag, str)]
    if len(responses) != 1 or local(responses[0]).lower() != "presenceresponse":
        what = "no presenceResponse" if len(responses) < 2 else "more than one element"
        raise UnexpectedReply(f"the reply has {what}", operation=operation)
    (response,) = responses
    stated = next((each for each in islice(response, _LOOKED_AT) if local(each).lower() == "presencetype"), None)
    kind = (stated.text or "").strip() if stated is not None else ""
    if asked is not None and kind and kind != asked:
        raise UnexpectedReply(f"the reply has {_OTHER_TYPE.format(kind[:40], asked)}", operation=operation)
    entries, beside = 0, "" if kind else "no presenceType"
    for count, element in enumerate(response, 1):
        if count % _PER_STEP == 0:
            yield None
        name = local(element).lower()
        if name in _LISTS:
            found = _basic(element) if _LISTS[name] is PresenceType.BASIC else _rich(element, now)
            for entry in _typed(found, asked):
                entries += entry is not None
                yield entry
            if asked not in {None, _LISTS[name]}:
                beside = f"a <{name}>"
        elif name and name != "presencetype":
            beside = f"an element <{name[:40]}>"
            inside = list(islice(element.iter(), _LOOKED_AT))
            if len(inside) == _LOOKED_AT or any(local(inner).lower() in _ENTRIES for inner in inside):
                entries += 1
                yield _nameless(f"{beside} that holds presence and is no list of it")
    if any(local_of(key) == "nil" for key in response.attrib):
        beside = "xsi:nil"
    if not entries and beside:  # "nothing changed" confirms every contact, so the reply has to say it explicitly
        yield _nameless(f"{beside} and no entry")
    yield from _texts(response)


def _typed(entries: Steps, asked: PresenceType | None) -> Steps:
    """The entries; one of another presence type than requested gets a problem."""
    for entry in entries:
        if entry is None or asked is None or entry.type is asked or entry.problem is not None:
            yield entry
        else:
            yield replace(entry, problem=_OTHER_TYPE.format(entry.type, asked))


def _basic(contacts: etree._Element) -> Steps:
    for count, node in enumerate(contacts, 1):
        if count % _PER_STEP == 0:
            yield None
        name = local(node)
        if not name:
            continue
        if name.lower() != "contact":
            yield _nameless(f"an element <{name[:40]}> that is no contact")
            continue
        uri = _value(node, "contactURI")
        status = _value(node, "presenceStatus")
        state = _STATES.get(status.upper())
        problem = None
        if not uri:
            problem = "a contact without contactURI"
        elif not status:
            problem = "no presenceStatus"
        elif state is None:
            problem = f"presenceStatus {status[:40]!r} is none of the seven states"
        yield Presence(uri, state or PresenceState.UNKNOWN, PresenceType.BASIC, problem=problem)
    yield from _texts(contacts)


def _nameless(problem: str) -> Presence:
    return Presence("", PresenceState.UNKNOWN, PresenceType.BASIC, problem=problem)


def _texts(place: etree._Element) -> Steps:
    """A text where only elements belong."""
    found = bool(place.text and not place.text.isspace())
    for count, node in enumerate(place, 1):
        if found:
            break
        found = bool(node.tail and not node.tail.isspace())
        if count % _LOOKED_AT == 0:
            yield None
    if found:
        yield _nameless("text between the elements")


def _value(contact: etree._Element, name: str) -> str:
    """An attribute, as our WSDL has it, or a child element of that name, as another release may."""
    text = contact.get(name)
    if text is None:
        node = next((each for each in islice(contact, _LOOKED_AT) if local(each).lower() == name.lower()), None)
        text = node.text if node is not None else None
    return (text or "").strip()


def _rich(documents: etree._Element, now: datetime | None) -> Steps:
    for count, reading in enumerate(pidf.read_list_in_steps(documents, now), 1):
        yield pidf.to_presence(reading) if reading is not None else None
        if count % _DOCUMENTS_PER_STEP == 0:
            yield None
