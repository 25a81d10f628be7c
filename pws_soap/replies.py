"""Reads the two replies of unbounded length, get...PresenceResponse, from the parsed XML with lxml.

zeep's own decoding ends at the WSDL's 100 contacts (it raises, or drops the rest in silence) and takes 30 microseconds
a contact; this walk takes any number. It goes contact by contact and then to what the contact holds, so a contact
without a state is kept and never given its neighbour's. A test holds it equal to zeep's reading.

Nothing in a reply is passed over in silence: whatever is not an entry about one contact becomes a Presence with a
`problem`, without a contact where none is named. A caller that confirms by what a reply does not name must know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import Final, TypeAlias

from lxml import etree
from msgspec.structs import replace

from pws_soap import entries, pidf, surroundings
from pws_soap.envelope import local, local_of, namespace
from pws_soap.errors import UnexpectedReply
from pws_soap.models import Presence, PresenceState, PresenceType
from pws_soap.pidf.elements import SPACE, is_space

MAX_ENTRIES: Final = 50_000
"""Entries of one reply that are read: ten times the contacts of the largest subscription."""
_PER_STEP: Final = 500
"""Contacts read between two places to pause, in about a millisecond."""
_DOCUMENTS_PER_STEP: Final = 10
"""Rich documents read between two places to pause: about a millisecond; much more for the largest that are read."""
_LOOKED_AT: Final = 1000
"""Elements that are looked through at a time for what a reply has once."""
Steps: TypeAlias = Generator[list[Presence], None, None]
"""Entries, some at a time, perhaps none: where one ends is a place to pause."""

_STATES: Final = {state.value: state for state in PresenceState}
_LISTS: Final = {"basicpresencelist": PresenceType.BASIC, "richpresencelist": PresenceType.RICH}
_LIST_TYPES: Final = {
    PresenceType.BASIC: frozenset({"basicpresencelist"}),
    PresenceType.RICH: frozenset({"anytype", "string"}),
}
"""The types that the WSDL gives the lists; in a list of anyType a text is a string."""
_RESPONSE_TYPES: Final = frozenset({"presenceresponse"})
_PARTS: Final = frozenset({"contacturi", "presencestatus"})
_CONTENT: Final = etree.XPath("boolean(*/node())")
"""Whether any contact of a list has content: for all of them in a hundredth of the time that they are read in."""
_TEXT: Final = etree.XPath("boolean(text())")
"""Whether any text stands in an element, white space too."""
_MORE_ATTRIBUTES: Final = etree.XPath("boolean(*/@*[3])")
"""Whether any contact of a list has more than two attributes."""
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
    return chain.from_iterable(presences_in_steps(payload, asked, now))


def presences_in_steps(
    payload: etree._Element,
    asked: PresenceType | None = None,
    now: datetime | None = None,
    lists: Callable[[etree._Element, PresenceType], Steps] | None = None,
    *,
    keeps_documents: bool = False,
) -> Iterator[list[Presence]]:
    """As `presences`, some at a time: each after some milliseconds of work at most.

    `lists` reads a list, where that is not to be done from its elements. `keeps_documents`: each presence of a rich
    list holds its document.
    """
    count = 0
    from_elements = partial(_from_elements, now=now, keeps_documents=keeps_documents)
    for found in _entries(payload, asked, lists or from_elements):
        count += len(found)
        if count > MAX_ENTRIES:
            raise UnexpectedReply(f"the reply has more than {MAX_ENTRIES} entries")
        yield found


def presences_of_cut(
    payload: etree._Element, reader: entries.EntryReader, asked: PresenceType
) -> Iterator[list[Presence]]:
    """As `presences_in_steps`, of a reply whose entries are cut out. Raises NotCut."""
    cut = reader.cut
    places = 0

    def listed(element: etree._Element, kind: PresenceType) -> Steps:
        nonlocal places
        basic = cut.carrier is entries.Carrier.CONTACTS
        if not entries.is_place(cut, element) or basic is not (kind is PresenceType.BASIC):
            raise entries.NotCut
        places += 1
        return reader.in_steps()

    yield from presences_in_steps(payload, asked, lists=listed)
    if places != 1:
        raise entries.NotCut


def _from_elements(
    element: etree._Element, kind: PresenceType, now: datetime | None, *, keeps_documents: bool
) -> Steps:
    return _basic(element) if kind is PresenceType.BASIC else _rich(element, now, keeps_documents=keeps_documents)


def _entries(
    payload: etree._Element, asked: PresenceType | None, lists: Callable[[etree._Element, PresenceType], Steps]
) -> Steps:
    operation = local(payload).removesuffix("Response")
    if str(payload.tag).startswith("{") and not str(payload.tag).startswith("{urn:cisco:"):
        raise UnexpectedReply("the reply is in another namespace", operation=operation)
    responses = [each for each in islice(payload, _LOOKED_AT) if isinstance(each.tag, str)]
    if len(responses) != 1 or local(responses[0]).lower() != "presenceresponse":
        what = "no presenceResponse" if len(responses) < 2 else "more than one element"
        raise UnexpectedReply(f"the reply has {what}", operation=operation)
    (response,) = responses
    stated = next((each for each in islice(response, _LOOKED_AT) if local(each).lower() == "presencetype"), None)
    kind = (stated.text or "").strip(SPACE) if stated is not None else ""
    if asked is not None and kind and kind != asked:
        raise UnexpectedReply(f"the reply has {_OTHER_TYPE.format(kind[:40], asked)}", operation=operation)
    entries, beside = 0, "" if kind else "no presenceType"
    more = surroundings.more_around(payload) or surroundings.more_in(response, _RESPONSE_TYPES)
    space = namespace(payload)
    more = more or ("" if namespace(response) in {"", space} else "a presenceResponse in another namespace")
    for count, element in enumerate(response, 1):
        if count % _PER_STEP == 0:
            yield []
        name = local(element).lower()
        if name in _LISTS:
            kind_of_list = _LISTS[name]
            for found in lists(element, kind_of_list):
                entries += len(found)
                yield found if asked in {None, kind_of_list} else [_as_other_type(entry, asked) for entry in found]
            if asked not in {None, _LISTS[name]}:
                beside = f"a <{name}>"
            more = more or surroundings.more_in(element, _LIST_TYPES[kind_of_list])
        elif name == "presencetype":
            more = more or ("" if element is stated and not len(element) else "more than one presenceType")
            more = more or surroundings.more_in(element, frozenset({"presencetype"}))
        elif name:
            inside = list(islice(element.iter(), _LOOKED_AT))
            holds = len(inside) == _LOOKED_AT or any(local(inner).lower() in _ENTRIES for inner in inside)
            more = more or f"an element <{name[:40]}>{' that holds presence and is no list of it' if holds else ''}"
        if name and namespace(element) not in {"", space}:
            more = more or f"a <{name[:40]}> in another namespace"
    more = more or (yield from _text_in(response))
    # A reply confirms every contact that it does not name, so it has to say explicitly that it is all.
    if not entries and (more or beside):
        yield [nameless(f"{more or beside} and no entry")]
    elif more:
        yield [nameless(more)]


def _as_other_type(entry: Presence, asked: PresenceType | None) -> Presence:
    """An entry of a list of another type than requested: with a problem, and be it only that."""
    return replace(entry, problem=entry.problem or _OTHER_TYPE.format(entry.type, asked))


def _basic(contacts: etree._Element) -> Steps:
    found: list[Presence] = []
    tag = None  # of the contacts: of all the same, so that its parts are looked at once
    spaces = {"", namespace(contacts)}
    is_large = len(contacts) > MAX_ENTRIES  # and refused; in one go they would hold up others
    is_bare = not is_large and not _MORE_ATTRIBUTES(contacts)
    is_empty = not is_large and not _CONTENT(contacts)
    for count, node in enumerate(contacts, 1):
        if count % _PER_STEP == 0:
            yield found
            found = []
        name = node.tag
        if name != tag and local(node).lower() == "contact" and namespace(node) in spaces:
            tag = name
        if name == tag:
            found.append(_contact(node, is_bare=is_bare and is_empty))
            if not is_empty and (what := _more_in_contact(node)):
                found.append(nameless(what))
        elif local(node):
            found.append(nameless(f"an element <{local(node)[:40]}> that is no contact"))
    yield found
    if what := (yield from _text_in(contacts)):
        yield [nameless(what)]


def _contact(node: etree._Element, *, is_bare: bool) -> Presence:
    """A contact of a basic list. `is_bare`: it is known to have two attributes at most, and no content."""
    uri = node.get("contactURI")
    state = _STATES.get(node.get("presenceStatus") or "")
    if uri and state is not None and uri == uri.strip() and (is_bare or len(node.attrib) == 2):
        return Presence(uri, state)
    names = [local_of(str(key)).lower() for key in node.attrib]
    names += [local(each).lower() for each in islice(node, _LOOKED_AT)]
    uri = _value(node, "contactURI")
    status = _value(node, "presenceStatus")
    state = _STATES.get(status.upper())
    problem = None
    if not uri:
        problem = "a contact without contactURI"
    elif names.count("contacturi") > 1:
        uri, problem = "", "a contact with more than one contactURI"
    elif not status:
        problem = "no presenceStatus"
    elif state is None:
        problem = f"presenceStatus {status[:40]!r} is none of the seven states"
    elif names.count("presencestatus") > 1 or surroundings.is_elsewhere(node):
        state, problem = None, "a contact that may say something else in another place"
    return Presence(uri, state or PresenceState.UNKNOWN, problem=problem)


def _more_in_contact(node: etree._Element) -> str:
    """What stands in a contact beside its own parts."""
    if any(local(each).lower() not in _PARTS or len(each) for each in islice(node, _LOOKED_AT)):
        return "an element in a contact"
    texts = (node.text, *(each.tail for each in islice(node, _LOOKED_AT)))
    return "" if all(map(is_space, texts)) and len(node) <= _LOOKED_AT else "text in a contact"


def nameless(problem: str) -> Presence:
    """What a reply holds and may be about anybody."""
    return Presence("", PresenceState.UNKNOWN, problem=problem)


def _text_in(place: etree._Element) -> Generator[list[Presence], None, str]:
    """A text where only elements belong; empty where there is none."""
    if len(place) <= MAX_ENTRIES and not _TEXT(place):
        return ""
    found = not is_space(place.text)
    for count, node in enumerate(place, 1):
        if found:
            break
        found = not is_space(node.tail)
        if count % _LOOKED_AT == 0:
            yield []
    return "text between the elements" if found else ""


def _value(contact: etree._Element, name: str) -> str:
    """An attribute, as our WSDL has it, or a child element of that name, as another release may."""
    text = contact.get(name)
    if text is None:
        node = next((each for each in islice(contact, _LOOKED_AT) if local(each).lower() == name.lower()), None)
        text = node.text if node is not None else None
    return (text or "").strip()


def _rich(documents: etree._Element, now: datetime | None, *, keeps_documents: bool) -> Steps:
    found: list[Presence] = []
    for reading in pidf.read_list_in_steps(documents, now, keeps_documents=keeps_documents):
        if reading is not None:
            found.append(pidf.to_presence(reading))
        if reading is None or len(found) == _DOCUMENTS_PER_STEP:
            yield found
            found = []
    yield found
