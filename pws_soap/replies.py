"""The two replies that grow, get...PresenceResponse, read with lxml from the parsed reply.

zeep's own decoding ends at the WSDL's 100 contacts (it raises, or drops the rest in silence) and takes 30 microseconds
a contact; this walk takes any number. It goes contact by contact and then to what the contact holds, so a contact
without a state is kept and never given its neighbour's. A test holds it equal to zeep's reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lxml import etree

from pws_soap import pidf
from pws_soap.envelope import child, local
from pws_soap.errors import UnexpectedReply
from pws_soap.models import Presence, PresenceState, PresenceType

_STATES: Final = {state.value: state for state in PresenceState}


def presences(payload: etree._Element) -> Iterator[Presence]:
    """What a get...PresenceResponse says, one contact after the other, read as it is consumed.

    An absent or empty list yields nothing: nothing changed (protocol section 2, Fetching). Where a contact stands in
    both lists the caller gets both, the rich one last.
    """
    operation = local(payload).removesuffix("Response")
    response = child(payload, "presenceResponse")
    if response is None:
        raise UnexpectedReply("the reply has no presenceResponse", operation=operation)
    basic, rich = child(response, "basicPresenceList"), child(response, "richPresenceList")
    if basic is not None:
        yield from _basic(basic)
    if rich is not None:
        yield from _rich(rich)


def _basic(contacts: etree._Element) -> Iterator[Presence]:
    for node in contacts:
        if local(node) != "contact":
            continue
        uri = _value(node, "contactURI")
        status = _value(node, "presenceStatus")
        state = _STATES.get(status.upper())
        problem = None
        if not uri:
            problem = "a contact without contactURI"
        elif status and state is None:
            problem = f"presenceStatus {status[:40]!r} is none of the seven states"
        yield Presence(uri, state or PresenceState.UNKNOWN, PresenceType.BASIC, problem=problem)


def _value(contact: etree._Element, name: str) -> str:
    """An attribute, as our WSDL has it, or a child element of that name, as another release may."""
    text = contact.get(name)
    if text is None:
        node = child(contact, name)
        text = node.text if node is not None else None
    return (text or "").strip()


def _rich(documents: etree._Element) -> Iterator[Presence]:
    for reading in pidf.read_list(documents):
        yield pidf.to_presence(reading)
