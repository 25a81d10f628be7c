"""One node of the server: each of its nine operations is a method, typed and checked before anything is sent.

A client keeps no state but its connections: sessions, endpoints and subscriptions are values that the caller holds
(`pws_soap.lifecycle` decides what to do with them).

Calls that change nothing are sent a second time when the connection turns out to be closed: the server closes
kept-alive connections as it likes (protocol section 2, Transport). For all others the outcome is then unknown, and the
error says so; after such a `get_subscribed_presence` the contacts must be read again with `get_polled_presence`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from lxml import etree

from pws_soap import arguments, envelope
from pws_soap.calls import Calls
from pws_soap.contract import SOAP_VERSIONS, SoapVersion
from pws_soap.errors import ArgumentError, PartlySubscribed, PwsError, Redirected, UnexpectedReply, UnreadableReply
from pws_soap.models import (
    MAX_EXPIRES,
    Endpoint,
    Presence,
    PresenceState,
    PresenceType,
    Secret,
    Session,
    SessionKind,
    Subscription,
    same_contact,
)
from pws_soap.notification import EVENT_TYPE
from pws_soap.pidf import writer
from pws_soap.transport import (
    DEFAULT_CONNECT_TIMEOUT,
    DEFAULT_MAX_REPLY_BYTES,
    DEFAULT_READ_TIMEOUT,
    HttpTransport,
    Transport,
)
from pws_soap.trust import Trust

DEFAULT_EXPIRES: Final = 3600


class PwsClient:
    """A node of IM&P, as `https://host:8083` (or `http://host:8082`).

    `ca_file` names a private authority in PEM; `fingerprint` pins the server's own certificate by its SHA-256 instead.
    Verification cannot be switched off. `wsdl` is "bundled", "live" (the node's own, fetched once), or a path.
    Time-outs are in seconds; `now` is the time in UTC, for rich documents that say from when or until when something
    holds. `keeps_documents`: each `Presence` of a rich reply holds its `document`, an element in UTF-8. Use it as an
    asynchronous context manager, or call `close`.

    Every method raises PwsError only; see `pws_soap.errors` for the tree.
    """

    def __init__(
        self,
        base_url: str,
        *,
        ca_file: str | Path | None = None,
        fingerprint: str | None = None,
        wsdl: str | Path = "bundled",
        soap: SoapVersion = "1.1",
        connect_timeout: float = DEFAULT_CONNECT_TIMEOUT,
        read_timeout: float = DEFAULT_READ_TIMEOUT,
        max_reply_bytes: int = DEFAULT_MAX_REPLY_BYTES,
        transport: Transport | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        keeps_documents: bool = False,
    ) -> None:
        self.node = arguments.base_url(base_url)
        if soap not in SOAP_VERSIONS:
            raise ArgumentError("soap", " or ".join(SOAP_VERSIONS), soap)
        if (ca_file or fingerprint) and self.node.startswith("http:"):
            raise ArgumentError("base_url", "https:// where ca_file or fingerprint is given", base_url)
        if transport is not None and (ca_file or fingerprint):
            raise ArgumentError(
                "transport", "no ca_file and no fingerprint beside it, which it would not use", transport
            )
        self._transport: Transport = transport or HttpTransport(
            Trust(ca_file, fingerprint),
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            max_reply_bytes=max_reply_bytes,
        )
        self._calls = Calls(self.node, self._transport, wsdl, soap, now, keeps_documents=keeps_documents)

    def __repr__(self) -> str:
        return f"PwsClient({self.node!r}, wsdl={str(self._calls.wsdl)!r}, soap={self._calls.soap!r})"

    async def __aenter__(self) -> Self:
        try:
            await self._calls.contract()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. Sessions live on at the server: nothing is logged out."""
        await self._transport.close()

    # Sessions

    async def login(self, username: str, password: str | Secret, *, force: bool = False) -> Session:
        """Log in an application user (it needs the group "Admin-3rd Party API").

        `force=False`, the recommended setting, gives the same session again where there is one; `force=True` a new one
        each time. Raises LoginRefused for a wrong user name or password.
        """
        user = arguments.text("username", username)
        held = arguments.secret("password", password)
        return await self._login(user, SessionKind.APPLICATION, {"password": held.reveal()}, force=force)

    async def login_end_user(self, application: Session, username: str, *, force: bool = False) -> Session:
        """Log in an end user by the session of an application user.

        Raises Redirected when the end user is homed on another node, AlreadyLoggedIn (160) when another application
        holds it.
        """
        self._expect(application, SessionKind.APPLICATION)
        user = arguments.text("username", username)
        key = application.key.reveal()
        return await self._login(user, SessionKind.END_USER, {"app-session-id": key}, force=force)

    async def logout(self, session: Session) -> None:
        """Log out. All that belongs to the session goes; an application user takes its end users along."""
        self._expect(session)
        await self._calls.status("logout", {}, session)

    async def _login(self, user: str, kind: SessionKind, proof: dict[str, str], *, force: bool) -> Session:
        sent = {"username": user, "force": arguments.flag("force", force), **proof}
        value = await self._calls.small("login", sent, None, repeatable=not force)
        success, redirect = getattr(value, "success", None), getattr(value, "redirect", None)  # zeep forgets empty ones
        if success is not None:
            key = str(success["session-key"] or "")
            if not key:
                raise UnexpectedReply("a login without a session key", node=self.node, operation="login")
            return Session(user, kind, self.node, Secret(key), _name(getattr(success, "backupServer", None)))
        if redirect is None:
            raise UnexpectedReply("neither success nor redirect", node=self.node, operation="login")
        names = (_name(getattr(redirect, name, None)) for name in ("primaryServer", "backupServer"))
        raise Redirected(user, *names)

    # Endpoints

    async def register_endpoint(
        self, application: Session, url: str | Secret, *, expires: int = DEFAULT_EXPIRES
    ) -> Endpoint:
        """Register a new endpoint: a URL to which the server appends `?id=...&eventType=...`.

        `expires` is 3600 to 86399 seconds, counted from now and not by inactivity. The URL's path should be a secret.
        """
        self._expect(application, SessionKind.APPLICATION)
        held = arguments.endpoint_url(url)
        life = arguments.expires(expires, MAX_EXPIRES - 1)
        sent = {"url": held.reveal(), "endPointID": 0, "expiration": life}
        value = await self._calls.small("registerEndPoint", sent, application)
        return Endpoint(self._calls.given("registerEndPoint", value), held, life)

    async def renew_endpoint(
        self, application: Session, endpoint: Endpoint | int, *, expires: int | None = None
    ) -> int:
        """Give an endpoint a new life of `expires` seconds (its own by default); its URL is not sent again (123).

        Returns the id. Raises EndpointLost when the server does not know it.
        """
        self._expect(application, SessionKind.APPLICATION)
        life = (
            expires if expires is not None else endpoint.expires if isinstance(endpoint, Endpoint) else DEFAULT_EXPIRES
        )
        life = arguments.expires(life, MAX_EXPIRES - 1)
        sent = {"endPointID": _id("endpoint", endpoint), "expiration": life}
        return self._calls.given(
            "registerEndPoint", await self._calls.small("registerEndPoint", sent, application, repeatable=True)
        )

    async def unregister_endpoint(self, application: Session, endpoint: Endpoint | int) -> None:
        """Remove an endpoint. Raises EndpointLost when the server does not know it."""
        self._expect(application, SessionKind.APPLICATION)
        await self._calls.status("unregisterEndPoint", {"endPointID": _id("endpoint", endpoint)}, application)

    # Subscriptions

    async def subscribe(
        self,
        user: Session,
        endpoint: Endpoint | int,
        contacts: Iterable[str],
        *,
        expires: int = DEFAULT_EXPIRES,
    ) -> Subscription:
        """Subscribe to 1 to 5000 contacts, in as many requests of at most 100 as it takes.

        `expires` is 3600 to 86400 seconds. Where a later request fails, PartlySubscribed holds what was made.
        """
        self._expect(user, SessionKind.END_USER)
        uris = arguments.contacts(contacts)
        life = arguments.expires(expires)
        where = _id("endpoint", endpoint)
        first, *rest = await self._lists(uris)
        made = self._calls.given("subscribe", await self._subscribe(user, where, 0, first, life))
        done = len(first)
        for uri_list in rest:
            try:
                await self._add(user, where, made, uri_list)
            except PwsError as error:
                raise PartlySubscribed(Subscription(made, uris[:done], life), uris[done:], error) from error
            done += len(uri_list)
        return Subscription(made, uris, life)

    async def add_contacts(
        self, user: Session, endpoint: Endpoint | int, subscription: Subscription | int, contacts: Iterable[str]
    ) -> None:
        """Add contacts to a subscription, whose time is left alone. Raises SubscriptionLost."""
        self._expect(user, SessionKind.END_USER)
        where, which = _id("endpoint", endpoint), _id("subscription", subscription)
        for uri_list in await self._lists(arguments.contacts(contacts)):
            await self._add(user, where, which, uri_list, repeatable=True)

    async def renew_subscription(
        self,
        user: Session,
        endpoint: Endpoint | int,
        subscription: Subscription | int,
        *,
        expires: int | None = None,
    ) -> int:
        """Give a subscription a new life of `expires` seconds (its own by default). Returns the id.

        Raises SubscriptionLost when the server does not know it.
        """
        self._expect(user, SessionKind.END_USER)
        own = subscription.expires if isinstance(subscription, Subscription) else DEFAULT_EXPIRES
        life = arguments.expires(own if expires is None else expires)
        where, which = _id("endpoint", endpoint), _id("subscription", subscription)
        return self._calls.given("subscribe", await self._subscribe(user, where, which, None, life, repeatable=True))

    async def unsubscribe(
        self, user: Session, subscription: Subscription | int, contacts: Iterable[str] | None = None
    ) -> None:
        """End a subscription, or take `contacts` out of it. Raises SubscriptionLost."""
        self._expect(user, SessionKind.END_USER)
        which = _id("subscription", subscription)
        if contacts is None:
            asked: list[dict[str, Any]] = [{"unsubscribeAll": True}]  # zeep drops an empty one (fault 146)
        else:
            asked = [{"contactsList": _contacts(each)} for each in await self._lists(arguments.contacts(contacts))]
        for removal in asked:
            await self._calls.status("unsubscribe", {"unsubscribeRequest": {"subscriptionID": which, **removal}}, user)

    async def _add(
        self, user: Session, endpoint: int, subscription: int, uris: list[str], *, repeatable: bool = False
    ) -> None:
        value = await self._subscribe(user, endpoint, subscription, uris, None, repeatable=repeatable)
        if (answered := self._calls.given("subscribe", value)) != subscription:
            message = f"the contacts of subscription {subscription} went to subscription {answered}"
            raise UnexpectedReply(message, node=self.node, operation="subscribe")

    async def _lists(self, uris: tuple[str, ...]) -> list[list[str]]:
        return list(arguments.lists(uris, (await self._calls.contract()).contacts_per_request))

    async def _subscribe(
        self,
        user: Session,
        endpoint: int,
        subscription: int,
        uris: list[str] | None,
        life: int | None,
        *,
        repeatable: bool = False,
    ) -> Any:
        sent: dict[str, Any] = {
            "subscriptionType": EVENT_TYPE,
            "endPointID": endpoint,
            "subscriptionID": subscription,
        }
        if uris is not None:
            sent["contactsList"] = _contacts(uris)
        if life is not None:
            sent["expiration"] = life
        return await self._calls.small("subscribe", sent, user, repeatable=repeatable)

    # Presence

    async def get_subscribed_presence(
        self, user: Session, subscription: Subscription | int, *, rich: bool = False
    ) -> list[Presence]:
        """Fetch a subscription: all contacts the first time, then those that changed since the last fetch.

        It re-arms the notifications of this subscription. After an OutcomeUnknown the changes of this fetch may be
        gone: read the contacts with `get_polled_presence`.
        """
        self._expect(user, SessionKind.END_USER)
        sent = {"subscriptionID": _id("subscription", subscription), "presenceType": _type(rich)}
        return await self._calls.presences("getSubscribedPresence", sent, user, repeatable=False)

    async def get_polled_presence(
        self, user: Session, contacts: Iterable[str], *, rich: bool = False
    ) -> list[Presence]:
        """Read the present state of any number of contacts, in requests of at most 100. No notification is re-armed.

        A reply that names nobody who was asked for is an UnexpectedReply.
        """
        self._expect(user, SessionKind.END_USER)
        found: list[Presence] = []
        for uri_list in await self._lists(arguments.contacts(contacts, most=10**9)):
            sent = {"contactsList": _contacts(uri_list), "presenceType": _type(rich)}
            presences = await self._calls.presences("getPolledPresence", sent, user, repeatable=True)
            asked = set(map(same_contact, uri_list))
            if presences and not any(same_contact(one.contact) in asked for one in presences if one.contact):
                message = "the reply names nobody who was asked for"
                raise UnexpectedReply(message, node=self.node, operation="getPolledPresence")
            found += presences
        return found

    async def set_presence(
        self,
        user: Session,
        state: PresenceState | str,
        *,
        override: bool = False,
        expires: int = DEFAULT_EXPIRES,
    ) -> None:
        """Set the basic presence of the end user for `expires` seconds (3600 to 86400).

        AVAILABLE only without override (121), DND only with it (122).
        """
        self._expect(user, SessionKind.END_USER)
        known = arguments.settable(state, override=override)
        info = {"basicPresence": str(known), "override": override}
        sent = {"presenceType": _type(rich=False), "presenceInfo": info, "expiration": arguments.expires(expires)}
        await self._calls.status("setPresence", sent, user, repeatable=True)

    async def set_rich_presence(
        self, user: Session, document: bytes | str, *, override: bool = False, expires: int = DEFAULT_EXPIRES
    ) -> None:
        """Set the presence of the end user by a PIDF document for `expires` seconds (3600 to 86400)."""
        self._expect(user, SessionKind.END_USER)
        rich = _document(document)
        info = {"richPresence": "", "override": arguments.flag("override", override)}
        sent = {"presenceType": _type(rich=True), "presenceInfo": info, "expiration": arguments.expires(expires)}
        await self._calls.status("setPresence", sent, user, repeatable=True, rich=rich)

    async def clear_presence(self, user: Session, contact: str, *, expires: int = DEFAULT_EXPIRES) -> None:
        """Take back the presence that was set for the end user, an override or not; what was before holds again.

        `contact` is the end user as user@domain. It sends the document of `pws_soap.pidf.writer.clear`.
        """
        document = writer.clear(contact)
        await self.set_rich_presence(user, document.xml, override=document.override, expires=expires)

    def _expect(self, session: Session, kind: SessionKind | None = None) -> None:
        if not isinstance(session, Session):
            raise ArgumentError("session", "a session, as login returns it", type(session))
        if kind is not None and session.kind is not kind:
            who = "an application user" if kind is SessionKind.APPLICATION else "an end user"
            raise ArgumentError("session", f"the session of {who} (codes 140, 141)", session)
        if session.node != self.node:
            raise ArgumentError("session", f"a session of {self.node}", session)


def _id(name: str, value: Endpoint | Subscription | int) -> int:
    wanted = Endpoint if name == "endpoint" else Subscription
    return arguments.number(name, value.id if isinstance(value, wanted) else value)


def _document(document: bytes | str) -> etree._Element:
    """The root of a PIDF document (RFC 3863)."""
    if not isinstance(document, bytes | str):
        raise ArgumentError("document", "a PIDF document", type(document))
    try:
        rich = envelope.parse(document.encode() if isinstance(document, str) else document)
    except (UnreadableReply, UnicodeEncodeError) as error:
        raise ArgumentError("document", f"a PIDF document ({error})", document) from None
    if envelope.local(rich) != "presence":
        raise ArgumentError("document", "a PIDF document, whose root is presence", document)
    return rich


def _type(rich: bool) -> str:
    return str(PresenceType.RICH if rich else PresenceType.BASIC)


def _contacts(uris: list[str]) -> dict[str, Any]:
    return {"contact": [{"contactURI": uri} for uri in uris]}


def _name(text: object) -> str | None:
    """A server's name in a reply, None where it is missing or empty."""
    return str(text).strip() or None if text is not None else None
