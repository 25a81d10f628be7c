"""Says of each change in the store, and of each event that follows, to which notification or poll it goes back.

Both are told in the turn in which they happen, so that the trace is that of the fetch or poll which found the change.
What changes with time alone has none. Which contact changed is logged at the level debug, and never to what.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from service.core.events.event import Event
from service.core.events.log import EventLog
from service.core.presence.records import Change
from service.core.presence.store import Store
from service.core.tracing import Tracer, current_trace

_changes = logging.getLogger("pws.presence")
_events = logging.getLogger("pws.events")


def follow_changes(store: Store) -> None:
    """Log changes from now on. Call it before the event log is made, so that a change is logged before its event."""
    store.changes.listen(_log_changes)


def follow_events(log: EventLog, tracer: Tracer) -> None:
    """Log events from now on, and give each batch of events of a trace a span."""

    def told(events: Sequence[Event]) -> None:
        if current_trace() is None:
            _log_events(events)
            return
        with tracer.span("events", events=len(events), first_id=events[0].id, last_id=events[-1].id):
            _log_events(events)

    log.follow(told)


def _log_changes(changes: Sequence[Change]) -> None:
    if not _changes.isEnabledFor(logging.DEBUG):
        return
    for change in changes:
        _changes.debug(
            "%(contact)s: %(kind)s, revision %(revision)d",
            {"contact": change.record.contact, "kind": change.kind, "revision": change.revision},
            extra={"event": "contact.changed"},
        )


def _log_events(events: Sequence[Event]) -> None:
    if not _events.isEnabledFor(logging.DEBUG):
        return
    for event in events:
        _events.debug(
            "event %(id)d: %(name)s%(_of)s",
            {"id": event.id, "name": event.name, "contact": event.key, "_of": f" of {event.key}" if event.key else ""},
            extra={"event": "event.told"},
        )
