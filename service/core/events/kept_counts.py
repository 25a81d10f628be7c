"""The counts of a summary, kept as things happen: a summary costs what has changed, and not how many are watched.

Each event moves one contact from what was counted of it to what is counted now. Of whom the log is not certain that the
same would be said now, it is asked at the moment of the summary. So the counts are those of all records at that moment,
as `Reader.summary` finds them; that is what is asked where the log is uncertain of very many.

Counts are kept for each set of groups that somebody may see. They begin with a walk over all contacts in steps, and
each query meanwhile takes the next step of the same walk.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from service.core.clock import Clock
from service.core.events.event import Event
from service.core.events.log import EventLog
from service.core.events.validity import next_moment
from service.core.presence.counts import Summary, Tally
from service.core.presence.filters import Filter
from service.core.presence.query import Reader
from service.core.presence.snapshot import GroupedSnapshot
from service.core.presence.steps import SLICE
from service.core.presence.store import Store

_MOST: Final = 16
"""Sets of groups for which counts are kept; each costs a little with every event. Those used last stay."""
_MOST_UNCERTAIN: Final = SLICE
"""Contacts of whom it is asked at the moment of a summary; for more of them all are counted anew."""


class KeptCounts:
    """Follows the log, and answers summaries."""

    def __init__(self, store: Store, reader: Reader, log: EventLog, clock: Clock) -> None:
        self._store = store
        self._reader = reader
        self._log = log
        self._clock = clock
        self._views: OrderedDict[frozenset[str] | None, _View] = OrderedDict()
        log.follow(self._follow, immediate=True)

    def __repr__(self) -> str:
        return f"<KeptCounts for {len(self._views)} sets of groups>"

    async def summary(self, within: frozenset[str] | None = None) -> Summary:
        """Counts of all and by group, of the groups `within` only, where given; as `Reader.summary`."""
        view = self._views.get(within)
        if view is None:
            view = self._views[within] = _View(self._reader, within)
            if len(self._views) > _MOST:
                self._views.popitem(last=False)
        self._views.move_to_end(within)
        while not view.is_complete:
            self._walk(view)
            if not view.is_complete:
                await self._clock.sleep(0.0)
        # One that had to make room meanwhile has not heard of what happened since.
        known = self._now(view) if self._views.get(within) is view else None
        return known or await self._reader.summary(within)

    def summary_at_once(self, within: frozenset[str] | None = None) -> Summary | None:
        """The same; None where it takes more than a moment to say."""
        view = self._views.get(within)
        return None if view is None or not view.is_complete else self._now(view)

    def _walk(self, view: _View) -> None:
        """One step of the walk that the counts begin with."""
        records = self._store.records(view.place)[:SLICE]
        for record in records:
            view.count(self._log.snapshot(record.key), 1)
        view.place = records[-1].key if records else view.place
        view.is_complete = len(records) < SLICE

    def _now(self, view: _View) -> Summary | None:
        """The counts at this moment; None where the log is uncertain of very many."""
        uncertain = self._log.uncertain()
        if len(uncertain) > _MOST_UNCERTAIN:
            return None
        now, feeds, until = self._clock.monotonic(), self._store.feeds(), self._log.certain_until
        counted: list[tuple[GroupedSnapshot | None, GroupedSnapshot]] = []
        for key in uncertain:
            record = self._store.get(key)
            if record is not None:
                snapshot = self._reader.snapshot(record)
                counted.append((self._log.snapshot(key), snapshot))
                rules, bound = self._reader.rules(key), self._reader.bound
                until = min(until, next_moment(snapshot, feeds[record.feed], rules, bound, now))
        for before, after in counted:
            view.move(before, after)
        try:
            return view.summary(self._store.revision, until)
        finally:
            for before, after in counted:  # no event has told of it yet
                view.move(after, before)

    def _follow(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.key is not None:
                for view in self._views.values():
                    if view.is_complete or event.key <= view.place:  # else the walk will come to it
                        view.move(event.before, event.after)


class _View:
    """What somebody sees who may see the groups `within`: its counts, as far as the walk over all has come."""

    def __init__(self, reader: Reader, within: frozenset[str] | None) -> None:
        self._reader = reader
        self._wanted = Filter(within=within)
        self._whole = Tally()
        self._groups = {name: Tally() for name in reader.groups if within is None or name in within}
        self.place = ""
        self.is_complete = False

    def move(self, before: GroupedSnapshot | None, after: GroupedSnapshot | None) -> None:
        """A contact was counted as `before`, and is counted as `after` now; None: not at all."""
        self.count(before, -1)
        self.count(after, 1)

    def count(self, snapshot: GroupedSnapshot | None, times: int) -> None:
        """Count a contact so many times more."""
        contact = None if snapshot is None else self._reader.visible_to(snapshot, self._wanted)
        if snapshot is None or contact is None:
            return
        record, level = contact.record, contact.freshness.level
        self._whole.add(record, level, available=contact.verdict.available, times=times)
        for group, is_available in snapshot.available_by_group():
            if group in self._groups:
                self._groups[group].add(record, level, available=is_available, times=times)

    def summary(self, revision: int, until: float) -> Summary:
        """What was counted."""
        groups = {name: tally.counts() for name, tally in self._groups.items()}
        return Summary(self._whole.counts(), groups, revision, until)
