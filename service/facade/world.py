"""What a program is told of a contact at this moment: the one place that decides it.

| the contact | is told as |
|---|---|
| nobody watches it, or it is in none of the program's groups | UNKNOWN |
| live | what it is |
| has not been live for less than `unsure_after` seconds | not at all: it stays pending |
| has not been live for longer | UNKNOWN |

It is asked for each contact of each reply, at the moment at which that is put together, so nothing that is told is
older than the service's own "live".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Final

from pws_soap.models import Presence as KnownPresence
from pws_soap.models import PresenceState, PresenceType, same_contact
from pws_soap.server import ManualPresence, Presence, Refused, SetPresence, State, Watcher
from service.core.clock import Clock
from service.core.engine import NotAvailable, PresenceNotSet, PresenceSetter, PresenceToSet
from service.core.presence.freshness import Level, assess, not_live_since
from service.core.presence.query import Reader
from service.core.presence.records import Record
from service.core.presence.store import Store
from service.facade.documents import ToldPresence, presence_of_record
from service.facade.unsure import Unsure

_UNWATCHED: Final = 16_384
"""Contacts that nobody watches whose UNKNOWN is kept written."""


class FacadeWorld:
    """Presence as the façade tells it (`pws_soap.server.PresenceSource`).

    `groups` are those that each façade user sees, None for all. `setter` is what presence is set with; None: it is not.
    """

    def __init__(
        self,
        store: Store,
        reader: Reader,
        clock: Clock,
        groups: Mapping[str, frozenset[str] | None],
        unsure_after: float,
        setter: PresenceSetter | None = None,
    ) -> None:
        self._store = store
        self._reader = reader
        self._clock = clock
        self._bound = reader.bound
        self._groups = groups
        self.unsure_after = unsure_after
        self._setter = setter
        self._told: dict[str, ToldPresence] = {}
        self._ending: set[str] = set()
        """Keys of contacts that were told by a document that holds until a moment."""
        self._documented: set[str] = set()
        """Keys of contacts whose document was told."""
        self.unsure = Unsure()

    # --- as the server asks

    def contact_key(self, contact: str) -> str:
        """As the service compares them."""
        return same_contact(contact)

    def presence_of(self, contact: str, watcher: Watcher) -> Presence | None:
        """What is told of it now; None: nothing."""
        record = self.visible(contact, watcher.application_user)
        if record is None:
            return _unknown(contact)
        if self.is_live(record) and record.presence is not None:
            return self._as_told(record, record.presence)
        if self.is_given_up(record):
            self.unsure.tell_unknown(record)
            return _unknown(record.contact)
        self.unsure.wait_for(record)
        return None

    def in_doubt(self, contacts: Mapping[str, str], watcher: Watcher) -> list[str]:
        """Those of whom it cannot be said now that they are as they were told (`pws_soap.server.Doubts`)."""
        found = []
        for key in self._suspects(contacts):
            record = self.visible(contacts[key], watcher.application_user)
            if record is not None and not self.is_live(record):
                found.append(key)
        return found

    def _suspects(self, contacts: Mapping[str, str]) -> Iterable[str]:
        """The keys of those who may not be live: nobody else has to be looked at.

        One contact whose document can never be read must not have thousands looked at with each change.
        """
        now, store = self._clock.monotonic(), self._store
        among: list[Collection[str]] = [self._ending]
        for name, feed in store.feeds().items():
            bound = self._bound if feed.bound is None else min(self._bound, feed.bound)
            if feed.doubt is not None or feed.confirmed is None or not 0 <= now - feed.confirmed.monotonic <= bound:
                return contacts
            among.append(store.unsettled_keys(name))
        return [key for keys in among for key in _in_both(keys, contacts)]

    async def set_presence(self, user: str, manual: ManualPresence | None, sent: SetPresence) -> None:
        """Pass it on to the presence server, where that is allowed, and its refusals back.

        210 where the server cannot be asked, or where it is not known whether it was set: the program sends it again.
        """
        if self._setter is None:
            raise Refused(
                120, "This service does not pass setPresence on to the presence server (facade.set_presence)."
            )
        rich = sent.type == "RICH_PRESENCE"
        wanted = PresenceToSet(
            None if rich or sent.basic is None else PresenceState(sent.basic),
            sent.rich if rich else None,
            sent.override,
            sent.expiration,
        )
        try:
            await self._setter.set_presence(user, wanted)
        except PresenceNotSet as refused:
            raise Refused(refused.code, refused.reason) from None
        except NotAvailable as why:
            raise Refused(210, f"The presence server did not confirm it: {why.reason}") from None

    # --- as the façade asks

    def visible(self, contact: str, user: str) -> Record | None:
        """The record of a contact, if it is watched and this façade user may see it."""
        record = self._store.get(contact)
        groups = self._groups.get(user)
        return record if record is None or self._reader.is_visible(record.key, groups) else None

    def may_see(self, key: str, watcher: Watcher) -> bool:
        """Whether a watcher may see a contact, by its key: else it is not even told when that one changes."""
        return self._reader.is_visible(key, self._groups.get(watcher.application_user))

    def sees_all(self, user: str) -> bool:
        """Whether a façade user sees all contacts that are watched."""
        return self._groups.get(user) is None

    def is_unwatched(self, contact: str) -> bool:
        """Whether nobody watches it."""
        return self._store.get(contact) is None

    def is_given_up(self, record: Record) -> bool:
        """Whether one that is not live has not been for so long that it is told as UNKNOWN."""
        now, feed = self._clock.monotonic(), self._store.feeds()[record.feed]
        return now >= not_live_since(record, feed, now, self._bound) + self.unsure_after

    def is_live(self, record: Record) -> bool:
        """Whether a contact could be told now as it is: what `assess` says, by the short way where that is enough."""
        feed = self._store.feeds()[record.feed]
        presence, rests_on, confirmed = record.presence, record.rests_on, feed.confirmed
        if presence is None or rests_on is None or record.doubt is not None or feed.doubt is not None:
            return False
        if presence.valid_until is None and confirmed is not None and feed.bound is None:
            now = self._clock.monotonic()
            if rests_on.start.at.monotonic <= now and 0 <= now - confirmed.monotonic <= self._bound:
                return True
        return assess(record, feed, self._clock.monotonic(), self._bound).level is Level.LIVE

    def has_feed_doubt(self, record: Record) -> bool:
        """Whether nothing of the contact's feed can be live, however often it is read."""
        return self._store.feeds()[record.feed].doubt is not None

    def is_basic(self, record: Record) -> bool:
        """Whether no rich document of it is to be had, as it is watched with basic presence."""
        return record.presence is not None and record.presence.type is PresenceType.BASIC

    def write(self, record: Record) -> None:
        """Have its document ready, so that a reply of thousands need not be written in one turn of the event loop."""
        if record.presence is not None:
            self._as_told(record, record.presence).document  # noqa: B018  # it is kept once it was asked for
            self._documented.add(record.key)

    def replaced(self, keys: Iterable[str]) -> list[str]:
        """These have another record although their presence is as it was; those of them that have another document.

        Much of a document is in no answer of the service's own, and makes no change there.
        """
        changed = []
        for key in keys:
            told, record = self._told.get(key), self._store.get(key)
            presence = None if record is None else record.presence
            if told is None or told.origin is None or presence is None or presence is told.origin:
                continue
            if presence.valid_until is not None:
                self._ending.add(key)
            if key in self._documented and presence.document != told.origin.document:
                changed.append(key)
        return changed

    def limit(self, groups: Mapping[str, frozenset[str] | None]) -> list[str]:
        """Façade users see these groups from now on; those for whom that is something else."""
        changed = [user for user in groups.keys() & self._groups.keys() if groups[user] != self._groups[user]]
        self._groups = groups
        return changed

    def forget(self, keys: Iterable[str]) -> None:
        """These are watched no longer."""
        for key in keys:
            self._told.pop(key, None)
            self._ending.discard(key)
            self._documented.discard(key)
            self.unsure.is_sure(key)

    def _as_told(self, record: Record, presence: KnownPresence) -> ToldPresence:
        """The presence of a record as it is written, made once for all programs."""
        told = self._told.get(record.key)
        if told is None or told.origin is not presence:
            told = self._told[record.key] = presence_of_record(record.contact, presence)
            if presence.valid_until is None:
                self._ending.discard(record.key)
            else:
                self._ending.add(record.key)
        return told


def _in_both(one: Collection[str], other: Collection[str]) -> list[str]:
    """What is in both, in a time that the smaller one takes."""
    few, many = (one, other) if len(one) <= len(other) else (other, one)
    return [each for each in few if each in many]


@lru_cache(maxsize=_UNWATCHED)
def _unknown(contact: str) -> Presence:
    """What the server says of a contact that it does not know."""
    return Presence(contact, State.UNKNOWN)
