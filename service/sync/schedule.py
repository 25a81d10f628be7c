"""Decides what is read now and when to look again. Pure: values in, a decision out; no clock, no task.

- A subscription is fetched when it has news or when its fetch is due. After a failure its pause comes first, whatever
  the news.
- Two fetches never run under one session key and subscription id: each would take changes from the other.
- At most `max_parallel` fetches run at once. Among those that are due, the one whose last fetch began longest ago goes
  first: so none is passed over for ever, however busy the others are.
- What is in doubt is polled, then what a sweep has left; a heartbeat is sent only where nothing else is to be read. One
  of them at a time for each subscription, and none is begun while it is being fetched, since the fetch may settle it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from pws_soap.lifecycle import Key

FIRST_PAUSE: Final = 0.5
"""Seconds after a first failure; each further one doubles them."""
LONGEST_PAUSE: Final = 30.0
"""Seconds at most between two tries."""
_DOUBLINGS: Final = 10


class Work(StrEnum):
    """What a subscription needs."""

    FETCH = "fetch"
    """Read it with getSubscribedPresence."""
    SWEEP = "sweep"
    """Take down all its contacts for polling; READ_AGAIN polls them."""
    READ_AGAIN = "read-again"
    """Poll what is in doubt, and what a sweep has left."""
    HEARTBEAT = "heartbeat"
    """Poll one contact, to learn whether the server answers at all."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be read at once, and what is read without need."""

    max_parallel: int
    sweeps: bool = True
    heartbeats: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the schedule must know of one subscription. Times are those of the monotonic clock."""

    key: Key
    target: Hashable
    """The session key and subscription id under which it is fetched."""
    turn: int
    """The number of its last fetch, counted over all subscriptions; 0 before the first one."""
    has_news: bool
    backs_off: bool
    """Whether its last fetch failed: until `fetch_due` it is not fetched."""
    fetching: bool
    """A fetch is under way."""
    polling: bool
    """A poll or a heartbeat is under way."""
    in_doubt: bool
    """Some of its contacts are in doubt and have to be polled."""
    sweeping: bool
    """A sweep has left contacts to poll."""
    fetched: bool
    """Whether a fetch has ever succeeded."""
    has_contacts: bool
    fetch_due: float
    poll_due: float
    sweep_due: float
    heartbeat_due: float


class Start(NamedTuple):
    """One thing to begin now."""

    key: Key
    work: Work


class Decision(NamedTuple):
    """What to begin now, in this order, and when to decide again even if nothing happens; None: not before then."""

    starts: tuple[Start, ...]
    look_again: float | None


def decide(now: float, limits: Limits, candidates: Iterable[Candidate], busy: Iterable[Hashable] = ()) -> Decision:
    """What is due at `now`. `busy` are the targets under which a request is under way, also of subscriptions that are
    gone. Ask again at `look_again`, and whenever a candidate changes: one that waits for a free place, or for a request
    that is under way, waits for that request to end."""
    ordered = sorted(candidates, key=lambda candidate: candidate.turn)
    free = limits.max_parallel - sum(candidate.fetching for candidate in ordered)
    taken = set(busy)
    starts: list[Start] = []
    later: list[float] = []
    for candidate in ordered:
        fetching = candidate.fetching
        if not fetching and candidate.target not in taken:
            due = now if candidate.has_news and not candidate.backs_off else candidate.fetch_due
            if due > now:
                later.append(due)
            elif free > 0:
                free -= 1
                fetching = True
                taken.add(candidate.target)
                starts.append(Start(candidate.key, Work.FETCH))
        if not fetching and not candidate.polling:
            polls, times = _polls(now, limits, candidate)
            starts += [Start(candidate.key, work) for work in polls]
            later += times
    return Decision(tuple(starts), min(later, default=None))


def _polls(now: float, limits: Limits, candidate: Candidate) -> tuple[list[Work], list[float]]:
    """What is polled now of a subscription that is not being read, and when there may be more."""
    work = []
    sweeping = candidate.sweeping
    if limits.sweeps and candidate.sweep_due <= now and not sweeping and candidate.has_contacts:
        sweeping = True
        work.append(Work.SWEEP)
    if sweeping or candidate.in_doubt:
        if candidate.poll_due <= now:
            return [*work, Work.READ_AGAIN], []
        return work, [candidate.poll_due]
    later = [candidate.sweep_due] if limits.sweeps and candidate.sweep_due > now else []
    if limits.heartbeats and candidate.fetched and not candidate.backs_off:
        if candidate.heartbeat_due <= now:
            work.append(Work.HEARTBEAT)
        else:
            later.append(candidate.heartbeat_due)
    return work, later


def retry_pause(failures: int, chance: float) -> float:
    """Seconds to wait after the `failures`-th failure in a row. `chance`, from 0 to 1, takes away up to half of them,
    so that what failed together is not tried again together."""
    full = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, _DOUBLINGS))
    return full * (0.5 + 0.5 * chance)
