"""Sessions, endpoints and subscriptions of one node: who owns them and when they expire.

Expiry is absolute and is checked whenever the node is used (protocol section 2, Endpoints and subscriptions).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from pws_soap.server.codes import Refused
from pws_soap.server.options import ServerOptions
from pws_soap.server.presence import Watcher


@dataclass(slots=True)
class Session:
    """A login. `application` is the key of the session that logged this end user in; None for an application user's.

    `used` is the time of the last request.
    """

    key: str = field(repr=False)
    user: str
    application: str | None = field(repr=False)
    application_user: str
    used: float

    @property
    def is_application(self) -> bool:
        """Whether this is an application user's session."""
        return self.application is None

    @property
    def watcher(self) -> Watcher:
        """Who asks for presence in this session."""
        return Watcher(self.user, self.application_user)


@dataclass(slots=True)
class Endpoint:
    """Where notifications go. `session` is the key of the application user's session."""

    id: int
    url: str = field(repr=False)
    session: str = field(repr=False)
    expires: float


@dataclass(slots=True)
class Subscription:
    """The contacts that an end user watches, each by its key (`PresenceSource.contact_key`).

    `pending` are the keys of contacts that changed since the last fetch. `silent` is the latch: a notification has been
    sent, and no other is sent before the next fetch.
    """

    id: int
    session: str = field(repr=False)
    endpoint: int
    expires: float
    contacts: dict[str, str] = field(default_factory=dict, repr=False)
    pending: dict[str, None] = field(default_factory=dict, repr=False)
    silent: bool = False


class Registry:
    """Sessions, endpoints and subscriptions of a node."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self.sessions: dict[str, Session] = {}
        self.endpoints: dict[int, Endpoint] = {}
        self.subscriptions: dict[int, Subscription] = {}
        self._watchers: dict[str, set[int]] = {}
        self._sip_subscriptions = 0
        self._last_endpoint = 0
        self._last_subscription = 0
        self._next_expiry = math.inf

    # Sessions

    def session_of(self, user: str, *, application: bool) -> Session | None:
        """The newest session of a user, or None."""
        found = [each for each in self.sessions.values() if each.user == user and each.is_application is application]
        return found[-1] if found else None

    def add_session(self, session: Session) -> None:
        """Add a session."""
        self.sessions[session.key] = session
        if self._options.session_idle_timeout is not None:
            self._next_expiry = min(self._next_expiry, session.used + self._options.session_idle_timeout)

    def end_session(self, key: str) -> None:
        """End a session with all that belongs to it; an application user's takes its end users along."""
        session = self.sessions.pop(key, None)
        if session is None:
            return
        for endpoint in [each for each in self.endpoints.values() if each.session == key]:
            self.end_endpoint(endpoint.id)
        for subscription in [each for each in self.subscriptions.values() if each.session == key]:
            self.end_subscription(subscription.id)
        for other in [each.key for each in self.sessions.values() if each.application == key]:
            self.end_session(other)

    # Endpoints

    def add_endpoint(self, url: str, session: str, expires: float) -> Endpoint:
        """Make an endpoint; code 138 when there is no room."""
        if len(self.endpoints) >= self._options.max_endpoints:
            raise Refused(138)
        self._last_endpoint = self._free(self.endpoints, self._last_endpoint)
        endpoint = Endpoint(self._last_endpoint, url, session, expires)
        self.endpoints[endpoint.id] = endpoint
        self._next_expiry = min(self._next_expiry, expires)
        return endpoint

    def endpoint_of(self, number: int, session: str) -> Endpoint:
        """The endpoint, which must be that session's: codes 132 and 136."""
        endpoint = self.endpoints.get(number)
        if endpoint is None:
            raise Refused(132)
        if endpoint.session != session:
            raise Refused(136)
        return endpoint

    def end_endpoint(self, number: int) -> None:
        """End an endpoint; its subscriptions go with it, or live on without notifications."""
        del self.endpoints[number]
        if self._options.subscriptions_die_with_endpoint:
            for subscription in [each for each in self.subscriptions.values() if each.endpoint == number]:
                self.end_subscription(subscription.id)

    # Subscriptions

    def add_subscription(self, session: str, endpoint: int, contacts: dict[str, str], expires: float) -> Subscription:
        """Make a subscription; codes 139 and 211 when there is no room."""
        if len(self.subscriptions) >= self._options.max_subscriptions:
            raise Refused(139)
        self._check_sip(len(contacts))
        self._last_subscription = self._free(self.subscriptions, self._last_subscription)
        subscription = Subscription(self._last_subscription, session, endpoint, expires)
        self.subscriptions[subscription.id] = subscription
        self._next_expiry = min(self._next_expiry, expires)
        self.add_contacts(subscription, contacts)
        return subscription

    def subscription_of(self, number: int, session: str) -> Subscription:
        """The subscription, which must be that session's: codes 133 and 137."""
        subscription = self.subscriptions.get(number)
        if subscription is None:
            raise Refused(133)
        if subscription.session != session:
            raise Refused(137)
        return subscription

    def end_subscription(self, number: int) -> None:
        """End a subscription."""
        subscription = self.subscriptions.pop(number)
        self.remove_contacts(subscription, list(subscription.contacts))

    def add_contacts(self, subscription: Subscription, contacts: dict[str, str]) -> bool:
        """Add contacts, which then count as changed; codes 135 and 211. Whether there were new ones."""
        new = {key: contact for key, contact in contacts.items() if key not in subscription.contacts}
        together, limit = len(subscription.contacts) + len(new), self._options.max_contacts
        if together > limit:
            raise Refused(135, f"The subscription would have {together} of them; {limit} are the limit.")
        self._check_sip(len(new))
        self._sip_subscriptions += len(new)
        subscription.contacts.update(new)
        subscription.pending.update(dict.fromkeys(new))
        for key in new:
            self._watchers.setdefault(key, set()).add(subscription.id)
        return bool(new)

    def remove_contacts(self, subscription: Subscription, keys: Iterable[str]) -> None:
        """Take contacts, by key, out of a subscription that has them."""
        for key in keys:
            del subscription.contacts[key]
            subscription.pending.pop(key, None)
            self._sip_subscriptions -= 1
            watchers = self._watchers[key]
            watchers.discard(subscription.id)
            if not watchers:
                del self._watchers[key]

    def watching(self, key: str) -> list[Subscription]:
        """The subscriptions that have a contact, by its key."""
        return [self.subscriptions[number] for number in sorted(self._watchers.get(key, ()))]

    # Time

    def expire(self, now: float) -> None:
        """Remove what has expired."""
        if now < self._next_expiry:
            return
        idle = self._options.session_idle_timeout
        if idle is not None:
            for key in [each.key for each in self.sessions.values() if each.used + idle <= now]:
                self.end_session(key)
        for number in [each.id for each in self.subscriptions.values() if each.expires <= now]:
            self.end_subscription(number)
        for number in [each.id for each in self.endpoints.values() if each.expires <= now]:
            self.end_endpoint(number)
        times = [each.expires for each in self.subscriptions.values()]
        times += [each.expires for each in self.endpoints.values()]
        if idle is not None:
            times += [each.used + idle for each in self.sessions.values()]
        self._next_expiry = min(times, default=math.inf)

    def _check_sip(self, more: int) -> None:
        limit = self._options.max_sip_subscriptions
        if limit is not None and self._sip_subscriptions + more > limit:
            raise Refused(211)

    def _free(self, taken: dict[int, Endpoint] | dict[int, Subscription], last: int) -> int:
        if self._options.ids == "increasing":
            return last + 1
        number = 1
        while number in taken:
            number += 1
        return number
