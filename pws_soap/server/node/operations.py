"""One node's answers: the semantics of the nine operations, without XML, sockets or a clock of its own.

A request and the time go in, a reply and the notifications to send come out (protocol sections 2 and 3).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from pws_soap.server import messages as m
from pws_soap.server.codes import UNREADABLE, Refused
from pws_soap.server.node.logins import Logins, must_be_application, must_be_end_user
from pws_soap.server.node.notifications import Notifications
from pws_soap.server.node.registry import Registry, Session, Subscription
from pws_soap.server.options import ServerOptions
from pws_soap.server.ports import Accounts, Doubts, NodeDirectory, PresenceSource
from pws_soap.server.presence import ManualPresence, Presence, State, Watcher
from pws_soap.server.soap import pidf_reader

MIN_EXPIRATION: Final = 3600
MAX_EXPIRATION: Final = 86400
"""Bounds of an expiration, in seconds. That of an endpoint must be less than the greater one (protocol section 2)."""
_CONTACT: Final = re.compile(r"[^\s@<>\"]+(?:@[^\s@<>\"]+){1,2}")
"""A user ID may be an e-mail address itself: user@mail.example@im.example."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call whose session is good."""

    call: m.SessionCall
    session: Session


class Node:
    """One node: its sessions, endpoints and subscriptions."""

    def __init__(
        self,
        name: str,
        options: ServerOptions,
        *,
        presence: PresenceSource,
        accounts: Accounts,
        directory: NodeDirectory,
        new_key: Callable[[], str],
        doubts: Doubts | None = None,
    ) -> None:
        self.name = name
        self.options = options
        self._presence = presence
        self._doubts = doubts
        self._logins = Logins(name, options, accounts, directory, new_key)
        self.cpu = 0.0
        """Load in percent."""
        self.requests_per_second = options.requests_per_second
        """Requests that are answered within a second, the others get code 212; None: all."""
        self._recent: deque[float] = deque()
        self.notifications = Notifications(name, options)
        self.registry = Registry(options)

    def __repr__(self) -> str:
        registry = self.registry
        return (
            f"Node({self.name!r}, sessions={len(registry.sessions)}, endpoints={len(registry.endpoints)}, "
            f"subscriptions={len(registry.subscriptions)})"
        )

    def forget(self) -> None:
        """Forget everything, as a restart does."""
        self.registry = Registry(self.options)
        self._recent.clear()

    def handle(self, request: m.Request, now: float) -> m.Outcome:
        """Answer a request; a refusal is an outcome too."""
        admitted = self.admit(request, now)
        return admitted if isinstance(admitted, m.Outcome) else self.carry_out(admitted, now)

    def admit(self, request: m.Request, now: float) -> Admitted | m.Outcome:
        """The call of a request, once all is checked that comes before it; the outcome where there is nothing more to
        do: a refusal, or that of a login."""
        try:
            return self._admit(request, now)
        except Refused as refused:
            return m.Outcome(m.Refusal(refused.code, refused.reason))

    def is_refused(self, admitted: Admitted) -> bool:
        """Whether a call is refused whatever is prepared for it. The contacts of a poll are not looked at."""
        call, session = admitted.call, admitted.session
        try:
            match call:
                case m.GetPolledPresence() if not self.options.application_may_poll:
                    must_be_end_user(session)
                case m.Subscribe():
                    self._check_subscribe(call, session)
                case m.RegisterEndPoint():
                    self._check_register(call, session)
                case _:
                    pass
        except Refused:
            return True
        return False

    def carry_out(self, admitted: Admitted, now: float) -> m.Outcome:
        """What the call leads to. It may be a while after the call was admitted."""
        try:
            self.registry.expire(now)
            if self.registry.sessions.get(admitted.session.key) is not admitted.session:
                raise Refused(101)  # noqa: TRY301  # as each refusal
            return self._dispatch(admitted.call, admitted.session, now)
        except Refused as refused:
            return m.Outcome(m.Refusal(refused.code, refused.reason))

    def _admit(self, request: m.Request, now: float) -> Admitted | m.Outcome:
        self._throttle(now)
        if request.not_understood:
            return m.Outcome(m.NotUnderstood(request.not_understood))
        if request.problem in UNREADABLE:
            raise Refused(request.problem or 102, request.reason)
        self.registry.expire(now)
        if request.operation == "login":
            if not isinstance(request.call, m.Login):
                raise Refused(request.problem or 102, request.reason)
            return m.Outcome(self._logins.answer(request.call, self.registry, now))
        session = self._session(request, now)
        if request.call is None or isinstance(request.call, m.Login):
            raise Refused(request.problem or 102, request.reason)
        return Admitted(request.call, session)

    def contacts_changed(self, contacts: Iterable[str], now: float) -> tuple[m.Notification, ...]:
        """Mark contacts as changed in the subscriptions that have them; the notifications to send."""
        return self.keys_changed(map(self._presence.contact_key, contacts), now)

    def keys_changed(
        self, keys: Iterable[str], now: float, may_see: Callable[[str, Watcher], bool] | None = None
    ) -> tuple[m.Notification, ...]:
        """The same for contacts by their keys. `may_see`: whether a watcher is told of a change of one."""
        self.registry.expire(now)
        touched: dict[int, Subscription] = {}
        for key in keys:
            for subscription in self.registry.watching(key):
                if may_see is None or may_see(key, self.registry.sessions[subscription.session].watcher):
                    subscription.pending[key] = None
                    touched[subscription.id] = subscription
        return self._notify(touched.values(), now)

    def keys_settled(self, keys: Iterable[str], now: float) -> tuple[m.Notification, ...]:
        """Contacts, by their keys, can be told that could not: the notifications to send where they still are to be."""
        self.registry.expire(now)
        touched: dict[int, Subscription] = {}
        for key in keys:
            for subscription in self.registry.watching(key):
                if key in subscription.pending:
                    touched[subscription.id] = subscription
        return self._notify(touched.values(), now)

    def _notify(self, subscriptions: Iterable[Subscription], now: float) -> tuple[m.Notification, ...]:
        return self.notifications.of(subscriptions, self.registry, self.cpu, now, self._can_be_told)

    def _can_be_told(self, subscription: Subscription) -> bool:
        """Whether a fetch would tell of any contact that has changed. The last that changed is the likeliest."""
        watcher = self.registry.sessions[subscription.session].watcher
        contacts, presence_of = subscription.contacts, self._presence.presence_of
        if any(presence_of(contacts[key], watcher) is None for key in self._doubtful(subscription, watcher)):
            return False
        return any(presence_of(contacts[key], watcher) is not None for key in reversed(subscription.pending))

    def _doubtful(self, subscription: Subscription, watcher: Watcher) -> list[str]:
        """The contacts of which a fetch must not be silent, as the program knows something of them: they are pending
        from now on."""
        if self._doubts is None:
            return []
        doubtful = [
            key for key in self._doubts.in_doubt(subscription.contacts, watcher) if key not in subscription.unknown
        ]
        subscription.pending.update(dict.fromkeys(doubtful))
        return doubtful

    def _throttle(self, now: float) -> None:
        if self.cpu >= self.options.cpu_request_limit:
            raise Refused(210)
        if self.requests_per_second is None:
            return
        while self._recent and not now - 1 < self._recent[0] <= now:  # also when the clock was set back
            self._recent.popleft()
        if len(self._recent) >= self.requests_per_second:
            raise Refused(212)
        self._recent.append(now)

    def _session(self, request: m.Request, now: float) -> Session:
        if not request.key:
            raise Refused(100, "" if request.problem else request.reason)
        session = self.registry.sessions.get(request.key)
        if session is None:
            raise Refused(101)
        session.used = now
        if session.application is not None:  # a request of an end user counts for the application's session too
            self.registry.sessions[session.application].used = now
        return session

    def _dispatch(self, call: m.SessionCall, session: Session, now: float) -> m.Outcome:
        match call:
            case m.Logout():
                self.registry.end_session(session.key)
                return m.Outcome(m.Done("logout"))
            case m.RegisterEndPoint():
                return self._register(call, session, now)
            case m.UnregisterEndPoint():
                must_be_application(session)
                self.registry.end_endpoint(self.registry.endpoint_of(call.endpoint, session.key).id)
                return m.Outcome(m.Done("unregisterEndPoint"))
            case m.Subscribe():
                return self._subscribe(call, session, now)
            case m.Unsubscribe():
                return self._unsubscribe(call, session, now)
            case m.GetSubscribedPresence():
                return self._fetch(call, session, now)
            case m.GetPolledPresence():
                return self._poll(call, session)
            case m.SetPresence():
                return self._set_presence(call, session, now)

    # Endpoints

    def _check_register(self, call: m.RegisterEndPoint, session: Session) -> None:
        must_be_application(session)
        if not MIN_EXPIRATION <= call.expiration < MAX_EXPIRATION:
            raise Refused(131)
        if call.endpoint == 0:
            if not call.url or not call.url.strip():
                raise Refused(130)
            if re.search(r"\s", call.url):
                raise Refused(142)
        elif call.url is not None and call.url.strip():  # an empty one says nothing (protocol section 2)
            raise Refused(123)

    def _register(self, call: m.RegisterEndPoint, session: Session, now: float) -> m.Outcome:
        self._check_register(call, session)
        if call.endpoint == 0:
            endpoint = self.registry.add_endpoint(call.url or "", session.key, now + call.expiration)
        else:
            endpoint = self.registry.endpoint_of(call.endpoint, session.key)
            self.registry.refresh(endpoint, now + call.expiration)
        return m.Outcome(m.EndPoint(endpoint.id))

    # Subscriptions

    def _check_subscribe(self, call: m.Subscribe, session: Session) -> dict[str, str]:
        """The contacts by their keys."""
        application = must_be_end_user(session)
        if call.event != "PRESENCE_NOTIFICATION":
            raise Refused(134)
        contacts = self._checked(call.contacts or ())
        if call.expiration and not MIN_EXPIRATION <= call.expiration <= MAX_EXPIRATION:
            raise Refused(131)
        self.registry.endpoint_of(call.endpoint, application)
        if call.subscription == 0:
            if not contacts:
                raise Refused(146)
            if not call.expiration:
                raise Refused(131)
        else:
            self.registry.subscription_of(call.subscription, session.key)
            if not contacts and not call.expiration:
                raise Refused(145)
        return contacts

    def _subscribe(self, call: m.Subscribe, session: Session, now: float) -> m.Outcome:
        contacts = self._check_subscribe(call, session)
        if call.subscription == 0:
            expires = now + (call.expiration or 0)
            subscription = self.registry.add_subscription(session.key, call.endpoint, contacts, expires)
            touched = True
        else:
            subscription = self.registry.subscription_of(call.subscription, session.key)
            touched = self.registry.add_contacts(subscription, contacts)
            if call.expiration:
                self.registry.refresh(subscription, now + call.expiration)
            if self.options.refresh_moves_endpoint:
                self.registry.move_to_endpoint(subscription, call.endpoint)
        notifications = self._notify((subscription,) if touched else (), now)
        return m.Outcome(m.Subscribed(subscription.id), notifications)

    def _unsubscribe(self, call: m.Unsubscribe, session: Session, now: float) -> m.Outcome:
        must_be_end_user(session)
        subscription = self.registry.subscription_of(call.subscription, session.key)
        if call.contacts is not None:
            contacts = self._checked(call.contacts)
            if any(key not in subscription.contacts for key in contacts):
                raise Refused(144)
            self.registry.remove_contacts(subscription, contacts)
        if call.contacts is None or (self.options.empty_subscription_ends and not subscription.contacts):
            self.registry.end_subscription(subscription.id)
        elif self._doubts is not None and subscription.pending:  # what is left out may have held back the others
            return m.Outcome(m.Done("unsubscribe"), self._notify((subscription,), now))
        return m.Outcome(m.Done("unsubscribe"))

    # Presence

    def _fetch(self, call: m.GetSubscribedPresence, session: Session, now: float) -> m.Outcome:
        must_be_end_user(session)
        subscription = self.registry.subscription_of(call.subscription, session.key)
        self._doubtful(subscription, session.watcher)
        keys = subscription.contacts if self.options.fetch == "all" else subscription.pending
        contacts: list[Presence] = []
        waiting: dict[str, None] = {}
        told: dict[str, State] = {}
        for key in keys:
            presence = self._presence.presence_of(subscription.contacts[key], session.watcher)
            if presence is None:
                waiting[key] = None
            else:
                contacts.append(presence)
                told[key] = presence.basic if call.type == "BASIC_PRESENCE" else presence.state
        subscription.silent = False
        withheld = sum(key not in subscription.unknown for key in waiting)
        if withheld:
            raise Refused(210, f"{withheld} of the contacts cannot be told at the moment.")
        subscription.pending = waiting
        subscription.unknown.difference_update(told)
        subscription.unknown.update(key for key, state in told.items() if state is State.UNKNOWN)
        subscription.fetched = now
        absent = not contacts and self.options.nothing_changed == "absent"
        return m.Outcome(m.PresenceList("getSubscribedPresence", call.type, tuple(contacts), absent))

    def _poll(self, call: m.GetPolledPresence, session: Session) -> m.Outcome:
        if not self.options.application_may_poll:
            must_be_end_user(session)
        asked = self._checked(call.contacts)
        contacts = [self._presence.presence_of(contact, session.watcher) for contact in asked.values()]
        told = [presence for presence in contacts if presence is not None]
        if len(told) < len(contacts):
            raise Refused(210, f"{len(contacts) - len(told)} of the contacts cannot be told at the moment.")
        if self.options.poll_touches_latch:
            for subscription in self.registry.subscriptions_of(session.key):
                if not asked.keys().isdisjoint(subscription.contacts):
                    subscription.pending = {key: None for key in subscription.pending if key not in asked}
                    subscription.silent = False
        return m.Outcome(m.PresenceList("getPolledPresence", call.type, tuple(told)))

    def _set_presence(self, call: m.SetPresence, session: Session, now: float) -> m.Outcome:
        must_be_end_user(session)
        if not MIN_EXPIRATION <= call.expiration <= MAX_EXPIRATION:
            raise Refused(131)
        until = now + call.expiration
        if call.type == "RICH_PRESENCE":
            if not call.rich:
                raise Refused(120, "RICH_PRESENCE needs a richPresence with a document in it.")
            read = pidf_reader.read(call.rich, override=call.override)
            state, activities, note, device = read.state, read.activities, read.note, read.device
        else:
            if call.basic is None:
                raise Refused(115)
            state, activities, note, device = call.basic, (), None, None
        if state is State.AVAILABLE and call.override:
            raise Refused(121)
        if state is State.DND and not call.override:
            raise Refused(122)
        manual = None
        if state is not None:
            manual = ManualPresence(state, call.override, until, activities, note, None if call.override else device)
        return m.Outcome(m.Done("setPresence"), presence_set=m.PresenceSet(session.user, manual, call))

    # Checks

    def _checked(self, contacts: Iterable[str]) -> dict[str, str]:
        checked: dict[str, str] = {}
        for contact in contacts:
            if not contact.strip():
                raise Refused(143)
            if not _CONTACT.fullmatch(contact) or contact[:4].lower() == "sip:":
                raise Refused(124)
            checked.setdefault(self._presence.contact_key(contact), contact)
        if len(checked) > self.options.max_contacts:
            raise Refused(135, f"There are {len(checked)} of them; {self.options.max_contacts} are the limit.")
        return checked
