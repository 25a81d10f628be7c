"""The server's own documents as elements of our replies: each stands by itself, and is well-formed.

A document that came as an element brings along what was declared around it (`pws_soap.pidf.carrier`). One that came in
a text was read although a prefix in it may be declared nowhere; in an element of ours that would break the whole reply,
so such a prefix is declared here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from lxml import etree

from pws_soap.models import Presence as KnownPresence
from pws_soap.models import PresenceType
from pws_soap.pidf import DeviceKind
from pws_soap.server import Presence, State
from pws_soap.server.options import ServerOptions
from pws_soap.server.soap import pidf_writer

_UNDECLARED: Final = "urn:undeclared:"
"""Begins the namespace of a prefix that a document uses and does not declare."""
_MOST_UNDECLARED: Final = 16
"""Such prefixes of one document that are declared; with more it is taken for broken."""
_FIRST_NAME: Final = re.compile(rb"\s*<[^\s/>]+")
_PREFIX: Final = re.compile(r"[A-Za-z_][\w.-]{0,63}")


@dataclass(frozen=True)
class ToldPresence(Presence):
    """The presence of a record, as it is written for all programs. `origin` is what it is made of.

    It belongs to no other: a record that is read anew has another origin, and its document with it.
    """

    origin: KnownPresence | None = field(default=None, repr=False, compare=False)

    @cached_property
    def document(self) -> bytes | None:  # made when it is first asked for
        """The server's own document, or one that says UNKNOWN where it cannot be passed on."""
        content = None if self.origin is None else self.origin.document
        whole = None if content is None else standing_by_itself(content)
        return unknown_document(self.contact) if whole is None else whole


def presence_of_record(contact: str, presence: KnownPresence) -> ToldPresence:
    """How a presence is told. With basic presence a contact of another system is UNKNOWN, as at the server."""
    return ToldPresence(contact, State(presence.state), federated=_is_federated(presence), origin=presence)


def _is_federated(presence: KnownPresence) -> bool:
    """Whether its document is that of another system's contact: it names no devices but a federation's."""
    kinds = {device.kind for device in presence.devices}
    return presence.type is PresenceType.RICH and kinds == {DeviceKind.FEDERATION.value}


def unknown_document(contact: str) -> bytes:
    """The document by which the server says that it knows nothing."""
    return pidf_writer.document(Presence(contact, State.UNKNOWN), ServerOptions()).encode()


def standing_by_itself(document: bytes) -> bytes | None:
    """The document as an element that needs nothing around it; None where that cannot be made of it."""
    if _is_well_formed(document):
        return document
    prefixes = _undeclared(document)
    name = _FIRST_NAME.match(document)
    if not prefixes or len(prefixes) > _MOST_UNDECLARED or name is None:
        return None
    declared = "".join(f' xmlns:{prefix}="{_UNDECLARED}{prefix}"' for prefix in sorted(prefixes)).encode()
    mended = document[: name.end()] + declared + document[name.end() :]
    return mended if _is_well_formed(mended) else None


def _is_well_formed(document: bytes) -> bool:
    try:
        etree.fromstring(document, _parser())
    except etree.XMLSyntaxError:
        return False
    return True


def _undeclared(document: bytes) -> set[str]:
    """The prefixes that are declared nowhere, as libxml2 reads on: it takes them for a part of the name."""
    try:
        root: etree._Element | None = etree.fromstring(document, _parser(recover=True))
    except etree.XMLSyntaxError:
        return set()
    if root is None:  # lxml's stubs do not know that it may be, where nothing could be recovered
        return set()
    names = [str(name) for element in root.iter("*") for name in (element.tag, *element.attrib)]
    found = {name.partition(":")[0] for name in names if ":" in name and not name.startswith("{")}
    return found if all(map(_PREFIX.fullmatch, found)) else set()


def _parser(*, recover: bool = False) -> etree.XMLParser[etree._Element]:
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, collect_ids=False, recover=recover
    )
