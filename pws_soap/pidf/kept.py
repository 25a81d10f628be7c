"""Remembers what documents mean, by their bytes: a document that comes again unchanged is not read again.

A reply names everybody who is watched when a subscription is new or contacts are polled, and hardly any of them has
changed. Of each document a digest is kept, not the document, beside the presence that was read of it; of each contact
the last document alone.

Only a reading that depends on nothing but the document is kept. One with a `from` or `until` depends on the moment (RFC
4480), so such a document is read each time.
"""

from __future__ import annotations

import re
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Final

from lxml import etree
from msgspec.structs import replace

from pws_soap.errors import PidfError
from pws_soap.models import Presence
from pws_soap.pidf import shapes
from pws_soap.pidf.carrier import is_single, read_list, to_presence
from pws_soap.pidf.elements import SPACE
from pws_soap.pidf.model import MAX_KEPT_DOCUMENT
from pws_soap.pidf.reader import read_element
from pws_soap.pidf.shapes import Divided, KnownShapes
from pws_soap.pidf.source import DocumentParser
from pws_soap.pidf.split import START

MAX_KEPT: Final = 131_072
"""Documents whose reading is kept, in some 300 bytes each beside the presence itself; beyond, the oldest go."""

_PROLOG: Final = re.compile(
    rb"[ \t\r\n]*(?:<\?xml\s+version\s*=\s*[\"']1\.[01][\"'](?:\s+encoding\s*=\s*[\"'](?:utf-8|us-ascii)[\"'])?"
    rb"(?:\s+standalone\s*=\s*[\"'](?:yes|no)[\"'])?\s*\?>[ \t\r\n]*)?(?=<)",
    re.IGNORECASE,
)
"""What may precede a document in a text: white space, and a declaration of an encoding that is UTF-8."""
_TIMES: Final = re.compile(rb"(?:from|until)\s*=")


_SPACE: Final = SPACE.encode()
_MAX_SEARCHED: Final = 2 * 1024 * 1024


def digest_of(piece: bytes, *, in_text: bool, escaped: bool = False) -> bytes:
    """The digest of a document without its end tag, which its first tag names.

    The same bytes mean another thing in a text than as an element, since wrong namespaces are allowed to the first
    alone, and another where they are not escaped.
    """
    digest = sha256(piece).digest()
    return digest + (b"e" if escaped else b"t") if in_text else digest


class KeptReadings:
    """Reads documents, and remembers the last of each contact.

    `keeps_documents`: each presence holds its document.
    """

    def __init__(self, most: int = MAX_KEPT, *, keeps_documents: bool = False) -> None:
        self.keeps_documents = keeps_documents
        self._most = most // 2
        self._young: dict[bytes, Presence] = {}  # by digest
        self._old: dict[bytes, Presence] = {}
        self._shapes = KnownShapes()
        self._last: dict[str, bytes] = {}  # the digest of each contact's document
        self.read = 0
        """Documents that were read, since they were not known."""
        self.passing = 0
        """Those of them whose reading is not kept."""

    def __repr__(self) -> str:
        return f"<KeptReadings of {len(self)} documents>"

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def known(self, digest: bytes) -> Presence | None:
        """What a document with this digest was read as, if it is the last of its contact."""
        presence = self._young.get(digest)
        if presence is None and (presence := self._old.get(digest)) is not None:
            self._keep(digest, presence)
        return presence

    def presence(
        self,
        source: DocumentParser,
        document: bytes,
        digest: bytes,
        now: datetime,
        *,
        in_text: bool,
        escaped: bool = False,
    ) -> Presence | None:
        """What a document with this `digest` means, before which nothing but white space stands (and a declaration,
        where it is `in_text`).

        None where that cannot be told from these bytes alone.
        """
        in_escapes = shapes.divided(document.lstrip(_SPACE), escaped=True) if escaped else None
        # Where documents are kept, this one is needed without escapes in any case.
        if in_escapes is not None and not self.keeps_documents:
            key = self._shapes.without_escapes(in_escapes[0])
            if key is not None:
                without_escapes = key, shapes.without_escapes_of(in_escapes[1])
                presence = self._by_shape(without_escapes, digest, document, in_text=in_text)
                if presence is not None:
                    return presence
        try:
            document = source.unescaped(document) if escaped else document
        except PidfError:
            return None
        prolog = _PROLOG.match(document)
        start = prolog.end() if prolog is not None else 0
        if prolog is None or (start and not in_text and not document[:start].isspace()):
            return None
        document = document[start:]
        divided = shapes.divided(document)
        if divided is not None:
            if in_escapes is not None:
                self._shapes.put_escaped(in_escapes, divided)
            presence = self._by_shape(divided, digest, document, in_text=in_text)
            if presence is not None:
                return presence
        lowered = document.lower()
        plain = is_single(lowered)
        if not (START.match(document) and (plain or _is_one(document))) or b"<?" in document:
            return None  # a text is divided into documents by rules of its own (`split`)
        self.read += 1
        try:
            reading = read_element(source.parse(document, strict=not in_text), now, plain=plain)
        except PidfError:
            # What is wrong with it may be another's fault, or the whole reply's.
            if not in_text or b"<!" in document or not _is_text(document):
                return None
            readings = list(read_list(document, now))
            if len(readings) != 1:
                return None
            (reading,) = readings
        if reading.contact is None:
            return None
        presence = to_presence(reading)
        if presence.problem is None and is_timeless(document):
            if divided is not None and self._shapes.is_to_learn(divided[0], in_text=in_text):
                self._shapes.put(divided[0], shapes.learned(*divided, presence), in_text=in_text)
            presence = self._with_document(presence, document)
            self._keep(digest, presence)
        else:
            self.passing += 1
            presence = self._with_document(presence, document)
        return presence

    def _with_document(self, presence: Presence, document: bytes) -> Presence:
        if not self.keeps_documents or presence.problem is not None or len(document) > MAX_KEPT_DOCUMENT:
            return presence
        return replace(presence, document=document)

    def _by_shape(self, divided: Divided, digest: bytes, document: bytes, *, in_text: bool) -> Presence | None:
        """What a document means whose shape is known."""
        shape = self._shapes.get(divided[0], in_text=in_text)
        presence = shape.presence_of(divided[1]) if shape is not None else None
        if presence is not None:
            self.read += 1
            presence = self._with_document(presence, document)
            self._keep(digest, presence)
        return presence

    def _keep(self, digest: bytes, presence: Presence) -> None:
        before = self._last.get(presence.contact)
        if before is not None:
            self._young.pop(before, None)
            self._old.pop(before, None)
        elif len(self._young) >= self._most:
            self._young, self._old = {}, self._young
            self._last = {kept.contact: each for each, kept in self._old.items()}
        self._young[digest] = presence
        self._last[presence.contact] = digest


def _is_one(document: bytes) -> bool:
    """Whether no other document begins in it."""
    return len(list(islice(START.finditer(document), 2))) == 1


def is_timeless(text: bytes) -> bool:
    """Whether documents, or a reply with documents, say nowhere from or until when something holds.

    Where they might, which is as good as never, one search decides; a text too long for that is taken as if they did.
    """
    if len(text) > _MAX_SEARCHED:
        return False
    lowered = text.lower()
    return (b"until" not in lowered and b"from" not in lowered) or _TIMES.search(lowered) is None


def _is_text(document: bytes) -> bool:
    """Whether XML can have these characters at all."""
    try:
        etree.fromstring(b"<t><![CDATA[" + document + b"]]></t>")
    except etree.XMLSyntaxError:
        return False
    return True
