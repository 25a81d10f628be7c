"""One call of the server: build, send, read, and name the place where it failed.

A call that changes nothing is sent a second time when the connection turns out to be closed, since the server closes
kept-alive connections as it likes (protocol section 2, Transport). Large replies are read in slices, so that they do
not hold the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, TypeVar

from lxml import etree
from msgspec.structs import replace

from pws_soap import codec, entries, envelope, pidf, replies
from pws_soap import contract as contracts
from pws_soap.contract import Contract, SoapVersion
from pws_soap.errors import (
    ContractError,
    Disconnected,
    Fault,
    ReplyTooLarge,
    TransportError,
    UnexpectedReply,
    UnreadableReply,
)
from pws_soap.kept_replies import KeptReplies, KeptReply
from pws_soap.models import Presence, PresenceState, PresenceType, Secret, Session, same_contact
from pws_soap.pidf import KeptReadings
from pws_soap.transport import Reply, Transport

T = TypeVar("T")

PATH: Final = "/presence-service/soap"
MAX_FIXED: Final = 4 * 1024 * 1024
"""Bytes of a live WSDL, or of the reply to a call whose reply does not grow with the contacts: honest ones have some
thousands."""
_OK: Final = 200
_FETCH: Final = "getSubscribedPresence"
_MAX_FETCHES: Final = 256
"""Fetches whose request is kept, each in a thousand bytes. It holds the session key, and is never shown."""
_GROWING: Final = frozenset({"getPolledPresence", _FETCH})
_CONTACT: Final = attrgetter("contact")
_TWICE: Final = "the reply names it twice, with different presence"


def _nothing(_record: logging.LogRecord) -> bool:
    return False


class Calls:
    """Sends the calls to one node over one transport. The WSDL is loaded once."""

    def __init__(
        self,
        node: str,
        transport: Transport,
        wsdl: str | Path,
        soap: SoapVersion,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        keeps_documents: bool = False,
    ) -> None:
        self.node = node
        self._keeps_documents = keeps_documents
        self._now = now
        self.wsdl = wsdl
        self.soap: SoapVersion = soap
        self._url = node + PATH
        self._transport = transport
        self._loaded: Contract | None = None
        self._loading = asyncio.Lock()
        self._readings = KeptReadings(keeps_documents=keeps_documents)
        self._replies = KeptReplies()
        self._fetch = lru_cache(maxsize=_MAX_FETCHES)(_fetch)
        # zeep logs a value that does not fit its type, with a traceback; it is a piece of a reply, and may be a secret.
        logging.getLogger("zeep.xsd.types.simple").addFilter(_nothing)

    async def contract(self) -> Contract:
        """Load the WSDL, once. Raises ContractError, or TransportError for a live one that cannot be fetched."""
        async with self._loading:
            if self._loaded is None:
                if self.wsdl == "bundled":
                    self._loaded = contracts.bundled(self.soap)
                elif self.wsdl == "live":
                    address = self._url + "?wsdl"
                    reply = await self._transport.get(address, operation="?wsdl")
                    if reply.status != 200:
                        raise ContractError(address, reason=f"cannot be fetched: HTTP {reply.status}")
                    if len(reply.body) > MAX_FIXED:
                        raise ContractError(address, reason=f"is longer than {MAX_FIXED} bytes")
                    self._loaded = contracts.load(reply.body, address, self.soap)
                else:
                    self._loaded = contracts.from_path(self.wsdl, self.soap)
            return self._loaded

    async def status(
        self,
        operation: str,
        sent: dict[str, Any],
        session: Session,
        *,
        repeatable: bool = False,
        rich: etree._Element | None = None,
    ) -> None:
        """A call whose response is SUCCESS or FAILURE; the latter is a fault without a code."""
        value = await self.small(operation, sent, session, repeatable=repeatable, rich=rich)
        if getattr(value, "status", value) != "SUCCESS":
            raise Fault.of(None, "status FAILURE", operation=operation, node=self.node)

    def given(self, operation: str, value: Any) -> int:
        """The id in a response with a single element, whose value zeep unwraps or not."""
        for name in ("endPointID", "subscriptionID"):
            value = getattr(value, name, value)
        if not isinstance(value, int) or value < 1:
            raise UnexpectedReply("the reply has no id", node=self.node, operation=operation)
        return value

    async def small(
        self,
        operation: str,
        sent: dict[str, Any],
        session: Session | None,
        *,
        repeatable: bool = False,
        rich: etree._Element | None = None,
    ) -> Any:
        """A call with a reply of fixed size, as zeep's typed value."""
        payload = await self._call(operation, sent, session, repeatable=repeatable, rich=rich)
        try:
            return codec.typed(await self.contract(), payload, operation)
        except UnexpectedReply as error:
            raise self._named(error, operation) from None

    async def presences(
        self, operation: str, sent: dict[str, Any], session: Session, *, repeatable: bool
    ) -> list[Presence]:
        """Read a reply of any length without holding the event loop. Each contact comes once.

        A contact that the reply names twice with different presence gets a problem, since either may be true.
        """
        asked = PresenceType(sent["presenceType"])
        request, reply = await self._exchange(operation, sent, session, repeatable=repeatable)
        cut = entries.cut(reply.body) if reply.status == _OK else None
        if cut is not None and self._keeps_documents and entries.inherits_namespace(cut):
            cut = None  # an entry would not be the whole of its document
        reader = None if cut is None else entries.EntryReader(cut, self._readings, self._now())
        before = self._replies.last(session, request.body) if reply.status == _OK else None
        if before is not None and (kept := await _with_pauses(before.followed_by(reply.body, reader))) is not None:
            if kept is not before:
                self._replies.keep(session, request.body, kept)
            return kept.presences.copy()
        found, kept = await self._read(request, reply, session, asked, reader)
        if kept is not None:
            self._replies.keep(session, request.body, kept)
        return found

    async def _read(
        self,
        request: codec.EncodedRequest,
        reply: Reply,
        session: Session,
        asked: PresenceType,
        reader: entries.EntryReader | None,
    ) -> tuple[list[Presence], KeptReply | None]:
        """Entry by entry where that can be, else as a whole; and what may be kept of it."""
        if reader is not None:
            with suppress(entries.NotCut, UnreadableReply, Fault):  # read as a whole, it shows what it is
                payload = await self._payload(request, Reply(reply.status, reader.cut.rest), session)
                found = await _each_once(replies.presences_of_cut(payload, reader, asked), asked)
                found += await _hidden(reader.cut.rest)
                return found, KeptReply.of_entries(reader, found)
        payload = await self._payload(request, reply, session)
        try:
            steps = replies.presences_in_steps(payload, asked, self._now(), keeps_documents=self._keeps_documents)
            found = await _each_once(steps, asked)
            lasting = pidf.is_timeless(reply.body) and all(each.valid_until is None for each in found)
            found += await _hidden(reply.body)
            return found, KeptReply.of_whole(reply.body, found) if lasting else None
        except UnreadableReply as error:
            raise self._named(error, request.operation) from None

    async def _call(
        self,
        operation: str,
        sent: dict[str, Any],
        session: Session | None,
        *,
        repeatable: bool,
        rich: etree._Element | None = None,
    ) -> etree._Element:
        request, reply = await self._exchange(operation, sent, session, repeatable=repeatable, rich=rich)
        return await self._payload(request, reply, session)

    async def _exchange(
        self,
        operation: str,
        sent: dict[str, Any],
        session: Session | None,
        *,
        repeatable: bool,
        rich: etree._Element | None = None,
    ) -> tuple[codec.EncodedRequest, Reply]:
        loaded = await self.contract()
        key = session.key if session else None
        if operation == _FETCH and key is not None:
            request = self._fetch(loaded, key, *sent.values())
        else:
            request = codec.encode(loaded, operation, sent, key, rich)
        try:
            try:
                return request, await self._send(request)
            except Disconnected:
                if not repeatable:
                    raise
                return request, await self._send(request)
        except TransportError as error:
            raise self._named(error, operation, secrets=request.secrets) from None

    async def _payload(self, request: codec.EncodedRequest, reply: Reply, session: Session | None) -> etree._Element:
        """The element inside the body of a reply."""
        operation = request.operation
        try:
            if not reply.body[: envelope.MAX_PROLOG].strip() and len(reply.body) <= envelope.MAX_PROLOG:
                raise codec.no_envelope(operation, reply.status)
            if operation not in _GROWING and len(reply.body) > MAX_FIXED:
                raise ReplyTooLarge(f"the reply is larger than {MAX_FIXED} bytes, which none to this call is")
            root = await _with_pauses(envelope.parse_in_slices(reply.body))
            return codec.payload(root, operation, reply.status, request.secrets, session.key if session else None)
        except UnreadableReply as error:
            if reply.status == 503:
                raise Fault.of(None, status=503, operation=operation, node=self.node) from None
            if any(secret.encode() in reply.body for secret in request.secrets):
                error = type(error)("the reply is unusable, and repeats what must not be shown")
            raise self._named(error, operation, reply.status) from None
        except Fault as fault:
            fault.node = self.node
            raise

    async def _send(self, request: codec.EncodedRequest) -> Reply:
        return await self._transport.post(self._url, request.body, request.headers, operation=request.operation)

    def _named(
        self, error: TransportError, operation: str, status: int = 200, secrets: tuple[str, ...] = ()
    ) -> TransportError:
        """The same error with node and operation, and without the secrets that its text may repeat."""
        text = codec.hide(str(error), secrets)
        if error.node:
            if text == str(error):
                return error
            text = text.removeprefix(f"{error.operation} at {error.node}: ")
        text = text.removeprefix(f"{operation}: ")
        if status != 200 and "HTTP" not in text:
            text = f"HTTP {status}: {text}"
        return type(error)(text, node=self.node, operation=operation)


def _fetch(loaded: Contract, key: Secret, subscription: int, kind: str) -> codec.EncodedRequest:
    """The request of a fetch, which is made again and again, word for word."""
    return codec.encode(loaded, _FETCH, {"subscriptionID": subscription, "presenceType": kind}, key)


async def _with_pauses(steps: Generator[None, None, T]) -> T:
    """What `steps` come to, with a turn of the loop for others between them."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            made: T = done.value
            return made
        await asyncio.sleep(0)


async def _hidden(reply: bytes) -> list[Presence]:
    """An entry about nobody, where a reply holds what its tree does not show and what may be about anybody."""
    what = await _with_pauses(envelope.passed_over(reply))
    return [] if what is None else [replies.nameless(what)]


async def _each_once(steps: Iterator[list[Presence]], asked: PresenceType) -> list[Presence]:
    """Each contact once, and behind them what names none; with a pause after each step."""
    found: dict[str, Presence] = {}
    nameless: list[Presence] = []
    for number, some in enumerate(steps):
        if number:
            await asyncio.sleep(0)
        once = dict(zip(map(same_contact, map(_CONTACT, some)), some, strict=True))
        if len(once) == len(some) and "" not in once and found.keys().isdisjoint(once):
            found |= once
        else:
            for entry in some:
                key = same_contact(entry.contact)
                if not entry.contact:
                    nameless.append(entry)
                elif (known := found.setdefault(key, entry)) != replace(entry, contact=known.contact):
                    found[key] = Presence(known.contact, PresenceState.UNKNOWN, asked, problem=_TWICE)
    return [*found.values(), *nameless]
