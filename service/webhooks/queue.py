"""What waits for a target, in lanes: one for each contact, and one for each thing that other events are about.

In a lane messages keep their order, since of each lane one at most is under way; a contact's lane holds its last event
alone. So whatever waits is bounded: by the contacts that are watched, and for all else by `most`, beyond which the
oldest is lost. Lanes take turns, so that a message that a target refuses holds up its own lane only.

What the target knows of a contact is kept beside the event that waits: a change that was undone before it was sent is
not sent. Where an attempt may have arrived without being acknowledged, that is not known, and something is sent.

A run begins with what an earlier one left, then comes the message that all may be out of date (`reset`), then what
happens now. Time is an argument; `now` is monotonic.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pws_soap.models import same_contact
from service.core.events.event import CHANGE, Event
from service.core.presence.snapshot import GroupedSnapshot
from service.webhooks import message
from service.webhooks.lanes import Entry, Lanes, oldest
from service.webhooks.message import WebhookMessage
from service.webhooks.subjects import subject_of

FIRST_READING: Final = 30.0
"""Seconds that a contact gets to be read for the first time, before a target is told that nothing is known of it."""


class TargetQueue:
    """What waits for one target. `coalesced` and `dropped` as in `core.webhooks.TargetStatus`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._earlier = Lanes()
        self._reset: Entry | None = None
        self._resetting = False
        self._passing = False
        """Whether one message may go before the reset."""
        self._live = Lanes()
        self._bounded: OrderedDict[Entry, None] = OrderedDict()
        """Those that may be lost and are not under way, the oldest first."""
        self._lost: Entry | None = None
        self._lost_count = 0
        self.is_restoring = False
        """Whether something of an earlier run is left, or was until `restored` is called."""
        self.coalesced = 0
        self.dropped = 0

    def __repr__(self) -> str:
        return f"<TargetQueue {len(self)}, {self.coalesced} coalesced, {self.dropped} dropped>"

    def __len__(self) -> int:
        return len(self._earlier) + (self._reset is not None) + len(self._live)

    @property
    def oldest_since(self) -> float | None:
        """Since when the oldest waits, wall time."""
        found = [entry.since for lanes in (self._earlier, self._live) for entry in oldest(lanes)]
        if self._reset is not None:
            found.append(self._reset.since)
        return min(found, default=None)

    # --- what comes in

    def restore(self, messages: Iterable[WebhookMessage], wall: float) -> None:
        """Messages that an earlier run left, in their order. They are sent before everything else."""
        for each in messages:
            lane = same_contact(each.contact) if each.contact else _lane(each.kind, each.subject or "")
            entry = Entry(lane, wall, self._earlier, message=each)
            self._earlier.others.setdefault(lane, deque()).append(entry)
            self._earlier.schedule(lane, 0.0)
            self.is_restoring = True

    def begin(self, reset: WebhookMessage) -> None:
        """What happens now comes behind this message."""
        self._reset = Entry("", reset.at, self._live, message=reset)

    def restored(self) -> None:
        """What an earlier run left is done with, and nobody remembers it any more."""
        self.is_restoring = False

    def put_contact(self, event: Event, now: float) -> None:
        """The last event of a contact, in the place of one that waits."""
        lane = event.key or ""
        is_unread = _is_unread(event)
        entry = self._live.contacts.get(lane)
        if entry is None:
            entry = Entry(lane, event.at.wall, self._live, event=event, known=event.before)
            entry.due = now + FIRST_READING if is_unread and event.before is None else 0.0
            self._live.contacts[lane] = entry
        else:
            self.coalesced += 1
            entry.event, entry.attempts, entry.failures, entry.begun = event, 0, 0, None
            entry.due = entry.due if is_unread else 0.0
        if not is_unread:
            self._supersede(lane, now)
        self._bound(entry, event.at.wall, now)
        self._live.schedule(lane, now)

    def put_other(self, event: Event, now: float) -> None:
        """An event beside the contacts."""
        lane = _lane_of(event)
        entry = Entry(lane, event.at.wall, self._live, event=event)
        self._live.others.setdefault(lane, deque()).append(entry)
        self._bound(entry, event.at.wall, now)
        self._live.schedule(lane, now)

    def is_waiting(self, key: str) -> bool:
        """Whether an event of the contact waits."""
        return key in self._live.contacts

    def put_contact_again(self, event: Event, witness: GroupedSnapshot, wall: float, now: float) -> None:
        """The last event of a contact, whatever the target may know of it, where no later one waits."""
        lane = event.key or ""
        entry = self._live.contacts.get(lane)
        if entry is None:
            entry = self._live.contacts[lane] = Entry(lane, wall, self._live, event=event)
        entry.unsure, entry.witness, entry.due = True, entry.witness or witness, 0.0
        self._bound(entry, wall, now)
        self._live.schedule(lane, now)

    def try_again(self, now: float) -> None:
        """Whatever failed may be sent at once."""
        if self._reset is not None:
            self._reset.due, self._reset.failures = now, 0
        self._earlier.try_again(now)
        self._live.try_again(now)

    def put_others_again(self, events: Sequence[Event], wall: float, now: float) -> int:
        """Events beside the contacts, each before later ones of its lane; how many of them did not wait already."""
        put = 0
        for event in events:
            lane = _lane_of(event)
            waiting = self._live.others.get(lane, deque())
            if any(entry.id == event.id for entry in waiting):
                continue
            entry = Entry(lane, wall, self._live, event=event)
            self._live.others[lane] = deque(sorted([*waiting, entry], key=lambda each: each.id))
            self._bound(entry, wall, now)
            self._live.schedule(lane, now)
            put += 1
        return put

    # --- what goes out

    def take(self, now: float) -> Entry | None:
        """What may be sent now, which is under way until one of the next methods is called with it."""
        if self.is_restoring:
            return self._taken(self._earlier.take(now))
        if self._reset is not None:
            if self._passing:
                self._passing = False
                return self._taken(self._live.take(now))
            if self._resetting or self._reset.due > now:
                return None
            self._resetting = True
            return self._reset
        return self._taken(self._live.take(now))

    def next_due(self, now: float) -> float | None:
        """When there will be something to take, if nothing else happens."""
        if self.is_restoring:
            return self._earlier.next_due(now)
        if self._reset is not None:
            return None if self._resetting else max(now, self._reset.due)
        return self._live.next_due(now)

    def is_reset(self, entry: Entry) -> bool:
        """Whether it is the reset, before which nothing of this run is sent."""
        return entry is self._reset

    def is_earlier(self, entry: Entry) -> bool:
        """Whether it is of an earlier run, before which nothing of this run is sent."""
        return entry.lanes is self._earlier

    def is_only(self, entry: Entry) -> bool:
        """Whether nothing else waits."""
        return len(self) == 1 and next(self._live.entries(), None) is entry

    def pass_reset(self, now: float) -> bool:
        """Let one message go before the reset, if there is one: whether there is.

        If the target takes it, it refuses the reset alone, which is lost then.
        """
        due = self._live.next_due(now)
        self._passing = due is not None and due <= now
        return self._passing

    @property
    def is_done_with_earlier(self) -> bool:
        """Whether nothing of an earlier run waits or is under way."""
        return not len(self._earlier)

    def delivered(self, entry: Entry, now: float) -> None:
        """The target has it."""
        if self._landed(entry):
            self._reset = None
            return
        if self._reset is not None and entry.lanes is self._live:
            reset, self._reset = self._reset, None
            self._lose(reset, reset.since, now)
        newer = self._newer(entry)
        if newer is not None and entry.event is not None:
            newer.known, newer.unsure, newer.witness = entry.event.after, False, None
            if newer.id == entry.id:  # it was to be sent again
                self._bounded.pop(newer, None)
                del self._live.contacts[newer.lane]
        entry.lanes.schedule(entry.lane, now)

    def failed(self, entry: Entry, due: float, now: float, arrived_as: str | None = None) -> None:
        """The target does not have it, and may be sent it from `due` on.

        `arrived_as`: the kind of the message, where the target may have it all the same.
        """
        if self._landed(entry):
            entry.due = due
            return
        if arrived_as is not None and entry.is_contact and entry.event is not None:
            entry.witness = entry.event.after if arrived_as == CHANGE else entry.witness or entry.known
            entry.unsure = True
        newer = self._newer(entry)
        if newer is not None:
            self.coalesced += 1
            newer.since = min(newer.since, entry.since)
            if not newer.unsure:
                newer.known, newer.unsure, newer.witness = entry.known, entry.unsure, entry.witness
            else:
                newer.witness = newer.witness or entry.witness
        elif entry.lanes is self._earlier and self._has_newer_than(entry.lane):
            self.coalesced += 1
        else:
            entry.due = due
            if entry.is_contact:
                self._live.contacts[entry.lane] = entry
                self._live.contacts.move_to_end(entry.lane, last=False)
            else:
                entry.lanes.others.setdefault(entry.lane, deque()).appendleft(entry)
            self._bound(entry, 0.0, now, is_oldest=True)
        entry.lanes.schedule(entry.lane, now)

    def unchanged(self, entry: Entry, now: float) -> None:
        """There is nothing to send: the target knows it as it is."""
        if not self._landed(entry):
            entry.lanes.schedule(entry.lane, now)

    def give_up(self, entry: Entry, wall: float, now: float) -> None:
        """The target will not take it: it is lost."""
        self._landed(entry)
        newer = self._newer(entry)
        if newer is not None:
            self.failed(entry, now, now, CHANGE)
            return
        self._lose(entry, wall, now)
        entry.lanes.schedule(entry.lane, now)

    def entries(self) -> Iterator[Entry]:
        """Everything that the target does not have, but for the reset, with which each run begins anew."""
        yield from self._earlier.entries()
        yield from self._live.entries()

    # --- inside

    def _taken(self, entry: Entry | None) -> Entry | None:
        if entry is not None:
            self._bounded.pop(entry, None)
            if entry is self._lost:
                self._lost = None
        return entry

    def _landed(self, entry: Entry) -> bool:
        """It is no longer under way; whether it is the reset."""
        if entry is self._reset:
            self._resetting = False
            return True
        entry.lanes.flying.pop(entry.lane, None)
        return False

    def _newer(self, entry: Entry) -> Entry | None:
        """The event that came after one that was under way, where it is one of a contact."""
        return self._live.contacts.get(entry.lane) if entry.is_contact else None

    def _has_newer_than(self, lane: str) -> bool:
        """Whether this run knows more of a contact than what an earlier one left."""
        entry = self._live.contacts.get(lane)
        return entry is not None and entry.event is not None and not _is_unread(entry.event)

    def _supersede(self, lane: str, now: float) -> None:
        for entry in tuple(self._earlier.others.get(lane, ())):
            self._earlier.remove(entry, now)
            self.coalesced += 1

    def _bound(self, entry: Entry, wall: float, now: float, *, is_oldest: bool = False) -> None:
        """Note whether the entry may be lost, and lose the oldest of too many."""
        if not entry.is_bounded or entry.lanes is self._earlier:
            self._bounded.pop(entry, None)
            return
        self._bounded.setdefault(entry, None)
        if is_oldest:
            self._bounded.move_to_end(entry, last=False)
        while len(self._bounded) > self._most:
            oldest, _ = self._bounded.popitem(last=False)
            oldest.lanes.remove(oldest, now)
            self._lose(oldest, wall or oldest.since, now)

    def _lose(self, entry: Entry, wall: float, now: float) -> None:
        """Count it as lost, and have the target told."""
        self.dropped += 1
        if entry.message is not None and entry.message.kind == message.LOST:
            return
        if self._lost is None:
            self._lost_count = 0
            self._lost = Entry(_lane(message.LOST, message.LOST), wall, self._live)
            self._live.others.setdefault(self._lost.lane, deque()).append(self._lost)
        self._lost_count += 1
        newest = max(entry.id, self._lost.id)
        self._lost.message = message.lost(newest, wall, self._lost_count)
        self._live.schedule(self._lost.lane, now)


def _lane(kind: str, subject: str) -> str:
    """No contact has a blank in it."""
    return f"{kind.partition('.')[0]} {subject}"


def _lane_of(event: Event) -> str:
    return _lane(event.name, subject_of(event))


def _is_unread(event: Event) -> bool:
    """Whether it says of a contact only that nothing is known of it yet."""
    return event.after is not None and event.after.contact.record.presence is None
