"""Sessions, endpoints and subscriptions of one node: who owns them and when they expire.

Expiry is absolute and is checked whenever the node is used (protocol section 2, Endpoints and subscriptions). What
belongs to a session is kept with it, and what expires next in a heap, so that nothing here takes longer for there being
ten thousand others.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, Literal

from pws_soap.server.codes import Refused
from pws_soap.server.options import ServerOptions
from pws_soap.server.presence import Watcher


@dataclass(slots=True)
class Session:
    """A login. `application` is the key of the session that logged this end user in; None for an application user's.

    `used` is the time of the last request, `since` that of the login.
    """

    key: str = field(repr=False)
    user: str
    application: str | None = field(repr=False)
    application_user: str
    used: float
    since: float = field(init=False)
    watcher: Watcher = field(init=False, repr=False)
    """Who asks for presence in this session."""

    def __post_init__(self) -> None:
        """It begins when it is first used."""
        self.since = self.used
        self.watcher = Watcher(self.user, self.application_user)

    @property
    def is_application(self) -> bool:
        """Whether this is an application user's session."""
        return self.application is None


@dataclass(slots=True)
class Endpoint:
    """Where notifications go. `session` is the key of the application user's session."""

    id: int
    url: str = field(repr=False)
    session: str = field(repr=False)
    expires: float


_SWEPT: Final = 500
"""Contacts of ended subscriptions that are forgotten with each later call, so that none has to forget all of them."""


@dataclass(slots=True, eq=False)
class Subscription:
    """The contacts that an end user watches, each by its key (`PresenceSource.contact_key`).

    `pending` are the keys of contacts that changed since the last fetch, `unknown` those of contacts of which no
    fetch has told anything so far, or UNKNOWN the last time. `silent` is the latch: a notification has been
    sent, and no other is sent before the next fetch. `notified` and `fetched` are the times of the last of each,
    `notifications` counts how many were made.
    """

    id: int
    session: str = field(repr=False)
    endpoint: int
    expires: float
    contacts: dict[str, str] = field(default_factory=dict, repr=False)
    pending: dict[str, None] = field(default_factory=dict, repr=False)
    unknown: set[str] = field(default_factory=set, repr=False)
    silent: bool = False
    notified: float | None = None
    fetched: float | None = None
    notifications: int = 0


@dataclass(slots=True)
class _Belongings:
    """The ids of what belongs to a session, in the order in which it was made, and the sessions that it has begun."""

    endpoints: dict[int, None] = field(default_factory=dict)
    subscriptions: dict[int, None] = field(default_factory=dict)
    sessions: dict[str, None] = field(default_factory=dict, repr=False)


_Kind = Literal["session", "endpoint", "subscription"]


class Registry:
    """Sessions, endpoints and subscriptions of a node."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self.sessions: dict[str, Session] = {}
        self.endpoints: dict[int, Endpoint] = {}
        self.subscriptions: dict[int, Subscription] = {}
        self._of_user: dict[tuple[str, bool], dict[str, None]] = {}
        """The keys of the sessions of a user, by its name and whether they are an application user's."""
        self._of_session: dict[str, _Belongings] = {}
        self._at_endpoint: dict[int, set[int]] = {}
        self._watchers: dict[str, dict[Subscription, None]] = {}
        """The subscriptions of each contact; some of them may have ended."""
        self._ended: deque[tuple[Subscription, list[str]]] = deque()
        """Subscriptions that have ended, with the keys of contacts under which they still stand."""
        self._sip_subscriptions = 0
        self._free_endpoints = _Ids(options)
        self._free_subscriptions = _Ids(options)
        self._expiries: list[tuple[float, _Kind, str | int]] = []
        """When to look at what may have expired, the first first. What lives longer by then is put in anew."""

    # Sessions

    def session_of(self, user: str, *, application: bool, of: str | None = None) -> Session | None:
        """The newest session of a user, or None. `of`: only one that this application user has begun."""
        for key in reversed(self._of_user.get((user, application), {})):
            session = self.sessions[key]
            if of is None or session.application_user == of:
                return session
        return None

    def applications_of(self, user: str) -> list[Session]:
        """The sessions of an application user."""
        return [self.sessions[key] for key in self._of_user.get((user, True), ())]

    def add_session(self, session: Session) -> None:
        """Add a session."""
        self.sessions[session.key] = session
        self._of_user.setdefault((session.user, session.is_application), {})[session.key] = None
        if session.application is not None:
            self._belongings(session.application).sessions[session.key] = None
        if self._options.session_idle_timeout is not None:
            self._look_at(session.used + self._options.session_idle_timeout, "session", session.key)

    def end_session(self, key: str) -> None:
        """End a session with all that belongs to it; an application user's takes its end users along."""
        session = self.sessions.pop(key, None)
        if session is None:
            return
        of_user = self._of_user[session.user, session.is_application]
        del of_user[key]
        if not of_user:
            del self._of_user[session.user, session.is_application]
        if session.application in self._of_session:
            self._of_session[session.application].sessions.pop(key, None)
        belongings = self._of_session.pop(key, _Belongings())
        for endpoint in list(belongings.endpoints):
            self.end_endpoint(endpoint)
        for subscription in list(belongings.subscriptions):
            self.end_subscription(subscription)
        for other in list(belongings.sessions):
            self.end_session(other)

    def give_to(self, application: str, session: Session) -> None:
        """Have an end user's session belong to a newer session of its application user, given by its key."""
        if session.application in self._of_session:
            self._of_session[session.application].sessions.pop(session.key, None)
        session.application = application
        self._belongings(application).sessions[session.key] = None

    def sessions_of(self, application: str) -> list[Session]:
        """The end users' sessions that belong to an application user's, by its key."""
        belongings = self._of_session.get(application)
        return [] if belongings is None else [self.sessions[key] for key in belongings.sessions]

    # Endpoints

    def add_endpoint(self, url: str, session: str, expires: float) -> Endpoint:
        """Make an endpoint; code 138 when there is no room."""
        if len(self.endpoints) >= self._options.max_endpoints:
            raise Refused(138)
        endpoint = Endpoint(self._free_endpoints.take(), url, session, expires)
        self.endpoints[endpoint.id] = endpoint
        self._belongings(session).endpoints[endpoint.id] = None
        self._look_at(expires, "endpoint", endpoint.id)
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
        endpoint = self.endpoints.pop(number)
        self._free_endpoints.give_back(number)
        if endpoint.session in self._of_session:
            self._of_session[endpoint.session].endpoints.pop(number, None)
        subscriptions = self._at_endpoint.pop(number, set())
        if self._options.subscriptions_die_with_endpoint:
            for subscription in sorted(subscriptions):
                self.end_subscription(subscription)

    # Subscriptions

    def add_subscription(self, session: str, endpoint: int, contacts: dict[str, str], expires: float) -> Subscription:
        """Make a subscription; codes 139 and 211 when there is no room."""
        if len(self.subscriptions) >= self._options.max_subscriptions:
            raise Refused(139)
        self._check_sip(len(contacts))
        subscription = Subscription(self._free_subscriptions.take(), session, endpoint, expires)
        self.subscriptions[subscription.id] = subscription
        self._belongings(session).subscriptions[subscription.id] = None
        self._at_endpoint.setdefault(endpoint, set()).add(subscription.id)
        self._look_at(expires, "subscription", subscription.id)
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

    def subscriptions_of(self, session: str) -> list[Subscription]:
        """The subscriptions of a session, by its key."""
        belongings = self._of_session.get(session)
        return [] if belongings is None else [self.subscriptions[number] for number in belongings.subscriptions]

    def endpoints_of(self, session: str) -> list[Endpoint]:
        """The endpoints of a session, by its key."""
        belongings = self._of_session.get(session)
        return [] if belongings is None else [self.endpoints[number] for number in belongings.endpoints]

    def end_subscription(self, number: int) -> None:
        """End a subscription."""
        subscription = self.subscriptions.pop(number)
        self._free_subscriptions.give_back(number)
        if subscription.session in self._of_session:
            self._of_session[subscription.session].subscriptions.pop(number, None)
        self._leave_endpoint(subscription)
        self._sip_subscriptions -= len(subscription.contacts)
        self._ended.append((subscription, list(subscription.contacts)))

    def move_to_endpoint(self, subscription: Subscription, endpoint: int) -> None:
        """Have a subscription notify another endpoint."""
        self._leave_endpoint(subscription)
        subscription.endpoint = endpoint
        self._at_endpoint.setdefault(endpoint, set()).add(subscription.id)

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
        subscription.unknown.update(new)
        for key in new:
            self._watchers.setdefault(key, {})[subscription] = None
        self._sweep()
        return bool(new)

    def remove_contacts(self, subscription: Subscription, keys: Iterable[str]) -> None:
        """Take contacts, by key, out of a subscription that has them."""
        for key in keys:
            del subscription.contacts[key]
            subscription.pending.pop(key, None)
            subscription.unknown.discard(key)
            self._sip_subscriptions -= 1
            self._forget_watcher(key, subscription)

    def watching(self, key: str) -> list[Subscription]:
        """The subscriptions that have a contact, by its key, in the order of their ids."""
        found = [each for each in self._watchers.get(key, ()) if self._is_alive(each)]
        found.sort(key=_ID)
        return found

    def is_watched(self, key: str) -> bool:
        """Whether any subscription has a contact, by its key."""
        return any(map(self._is_alive, self._watchers.get(key, ())))

    # Time

    def refresh(self, resource: Endpoint | Subscription, expires: float) -> None:
        """Have an endpoint or a subscription end at another time."""
        earlier = expires < resource.expires
        resource.expires = expires
        if earlier:
            self._look_at(expires, "endpoint" if isinstance(resource, Endpoint) else "subscription", resource.id)

    def expire(self, now: float) -> None:
        """Remove what has expired."""
        self._sweep()
        expiries = self._expiries
        if not expiries or now < expiries[0][0]:
            return
        due: dict[_Kind, dict[str | int, None]] = {"session": {}, "subscription": {}, "endpoint": {}}
        while expiries and expiries[0][0] <= now:
            _, kind, name = heapq.heappop(expiries)
            due[kind][name] = None
        for kind, names in due.items():
            for name in names:
                self._expire(kind, name, now)

    def _expire(self, kind: _Kind, name: str | int, now: float) -> None:
        until = self._until(kind, name)
        if until is None:
            return
        if until > now:
            self._look_at(until, kind, name)
        elif isinstance(name, str):
            self.end_session(name)
        elif kind == "subscription":
            self.end_subscription(name)
        else:
            self.end_endpoint(name)

    def _until(self, kind: _Kind, name: str | int) -> float | None:
        """When it ends, if it is there."""
        if isinstance(name, str):
            session, idle = self.sessions.get(name), self._options.session_idle_timeout
            return None if session is None or idle is None else session.used + idle
        resource = self.subscriptions.get(name) if kind == "subscription" else self.endpoints.get(name)
        return None if resource is None else resource.expires

    def _look_at(self, when: float, kind: _Kind, name: str | int) -> None:
        heapq.heappush(self._expiries, (when, kind, name))

    # Inside

    def _is_alive(self, subscription: Subscription) -> bool:
        return self.subscriptions.get(subscription.id) is subscription

    def _forget_watcher(self, key: str, subscription: Subscription) -> None:
        watchers = self._watchers.get(key)
        if watchers is not None:
            watchers.pop(subscription, None)
            if not watchers:
                del self._watchers[key]

    def _sweep(self) -> None:
        """Forget some contacts of subscriptions that have ended."""
        room = _SWEPT
        while self._ended and room > 0:
            subscription, keys = self._ended[0]
            part = keys[-room:]
            del keys[-room:]
            for key in part:
                self._forget_watcher(key, subscription)
            room -= len(part)
            if not keys:
                self._ended.popleft()

    def _belongings(self, session: str) -> _Belongings:
        found = self._of_session.get(session)
        if found is None:
            found = self._of_session[session] = _Belongings()
        return found

    def _leave_endpoint(self, subscription: Subscription) -> None:
        there = self._at_endpoint.get(subscription.endpoint)
        if there is not None:
            there.discard(subscription.id)
            if not there:
                del self._at_endpoint[subscription.endpoint]

    def _check_sip(self, more: int) -> None:
        limit = self._options.max_sip_subscriptions
        if limit is not None and self._sip_subscriptions + more > limit:
            raise Refused(211)


_ID: Final = attrgetter("id")


class _Ids:
    """Gives ids: the lowest one that is free, or one more than the last."""

    def __init__(self, options: ServerOptions) -> None:
        self._increasing = options.ids == "increasing"
        self._last = 0
        self._freed: list[int] = []

    def take(self) -> int:
        """An id that nothing has."""
        if self._freed:
            return heapq.heappop(self._freed)
        self._last += 1
        return self._last

    def give_back(self, number: int) -> None:
        """Nothing has this id any more."""
        if not self._increasing:
            heapq.heappush(self._freed, number)
