"""What is known of each watched contact, and how a reply changes it.

The hard part is order. Fetches overlap (a notification's, a poll's), the server looks at some moment between a request
and its reply, and a change-only fetch names a change once. So a reading counts from the moment it BEGAN; two readings
that overlapped and disagree leave the contact in doubt until one that began after both (`PutReport.contested`),
because nobody can tell which of them the server answered last.

How a fetch uses it:

    reading = store.begin()                     # before the request is sent
    replies = await client.get_subscribed_presence(...)
    report = store.put(replies, reading, source=Source.SUBSCRIBED)
    store.confirm("dispatcher", reading)        # after put: all others of this feed have not changed
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence, Set
from typing import Protocol

from pws_soap.models import Presence
from service.core.clock import Moment
from service.core.presence.changes import ChangeBus
from service.core.presence.freshness import Level
from service.core.presence.records import Change, Feed, PutReport, ReadingStart, Record, Source, StoreSummary


class Store(Protocol):
    """Watched contacts, their presence, and the health of what feeds them.

    Reading is local and immediate, in a shared store too: that one is a mirror kept up to date over the change bus.
    A feed is named for what it is for (an end user), not for a subscription's id: ids change, feeds stay.
    """

    @property
    def revision(self) -> int:
        """Counts changes; each change takes the next number."""
        ...

    @property
    def version(self) -> int:
        """Grows whenever a record, a feed or the revision changes: as long as it is the same, only time and claims can
        change an answer."""
        ...

    def stamp(self) -> int:
        """Take the next revision for something that happened beside the contacts: its place in the order."""
        ...

    @property
    def changes(self) -> ChangeBus:
        """Hands each change to its listeners."""
        ...

    def watch(self, contacts: Iterable[str], feed: str) -> list[Change]:
        """Watch these from now on. One that another feed had moves here, and is in doubt until it is read.

        Only readings that begin after this call make a contact live: with a subscription that is alive already, call it
        when the server has taken the contact in.
        """
        ...

    def unwatch(self, contacts: Iterable[str]) -> list[Change]:
        """Forget these; what is not watched is passed over."""
        ...

    def begin(self) -> ReadingStart:
        """To be called before a fetch is sent."""
        ...

    def put(self, presences: Sequence[Presence], reading: ReadingStart, *, source: Source) -> PutReport:
        """Take in a reply. Of a contact that it names twice, the last one counts; strangers are counted."""
        ...

    def put_in_steps(
        self, presences: Sequence[Presence], reading: ReadingStart, *, source: Source
    ) -> Generator[None, None, PutReport]:
        """The same, so that a long reply holds nobody up: between two steps anything else may be done.

        Each contact is taken in as if the reply had come at its step. What is said of all that the reply does not name
        (`confirm`, `trust`) is true only after the last one. Who gives up on the way has the rest of it lost.
        """
        ...

    def repeated(self, presences: Sequence[Presence]) -> Sequence[Presence] | None:
        """The reply taken in before, where these are the very same objects and all of whom it told have rested on it
        ever since, without doubt; None else."""
        ...

    def confirm(self, feed: str, reading: ReadingStart) -> None:
        """A change-only fetch succeeded: whatever of this feed it did not name had not changed when it began."""
        ...

    def doubt(self, feed: str, reason: str, since: Moment | None = None) -> None:
        """The feed is broken: all its contacts are stale until `trust`. The first `since` stays, the reason changes."""
        ...

    def trust(self, feed: str, *, anew: ReadingStart | None = None) -> None:
        """The feed works. `anew`: with a new subscription, begun by that reading, so that changes may have been missed
        before it: contacts not read since remain stale until they are."""
        ...

    def doubt_contacts(self, contacts: Iterable[str], reason: str) -> None:
        """A reply about these was lost: stale until a reading that begins after now."""
        ...

    def limit(self, feed: str, bound: float | None) -> None:
        """How long this feed's contacts count as live unconfirmed, in seconds; None: as long as usual."""
        ...

    def lapse(self) -> float | None:
        """Doubt the contacts whose document said something until now; the monotonic moment of the next one."""
        ...

    def get(self, contact: str) -> Record | None:
        """The contact, in any spelling; None when it is not watched."""
        ...

    def records(self, after: str = "") -> Sequence[Record]:
        """All contacts in the order of their keys, those beyond the key `after`. A view, valid until the store
        changes."""
        ...

    def ordered_keys(self) -> Sequence[str]:
        """The keys of all contacts in their order: a view, valid until the store changes."""
        ...

    def keys(self, feed: str) -> Collection[str]:
        """The keys of a feed's contacts, in no order: a view, valid until the store changes."""
        ...

    def feeds(self) -> Mapping[str, Feed]:
        """The feeds by name."""
        ...

    def unsettled(self, feed: str | None = None) -> list[str]:
        """Contacts (of one feed) that want reading: never read, or in doubt."""
        ...

    def unsettled_keys(self, feed: str) -> Set[str]:
        """The keys of a feed's contacts that want reading, in no order: a view, as `keys`."""
        ...

    def unknown(self, feed: str) -> Collection[str]:
        """The keys of a feed's contacts whose state was read as UNKNOWN, in no order: a view, as `keys`."""
        ...

    def known(self, feed: str) -> int:
        """How many of a feed's contacts have a state that is not UNKNOWN."""
        ...

    def levels(self, bound: float) -> Mapping[Level, int]:
        """How many contacts are live, stale and unknown now; `bound` as in `service.core.presence.freshness`."""
        ...

    def summary(self) -> StoreSummary:
        """Numbers for the status page."""
        ...
