"""The targets of the configuration made into deliveries. Where there are none nothing imports it."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from urllib.parse import urlsplit

from service import __version__
from service.access.principal import Principal, Scope
from service.api.sse.view import FrameCache, SubscriberView
from service.api.writers.contact import ContactJson
from service.config import Config
from service.core.clock import Clock, Moment, SystemClock
from service.core.engine import NotAvailable
from service.core.events.commits import NotCommitted
from service.core.events.event import CHANGE, Event, EventData
from service.core.meter import Meter
from service.core.presence.query import Reader
from service.core.presence.snapshot import GroupedSnapshot
from service.core.presence.store import Store
from service.core.webhooks import NoSuchTarget, TargetStatus
from service.core.wiring import Core
from service.runtime.owners_shelf import MOST_BYTES, OwnersShelf
from service.runtime.webhook_files import WebhookFiles
from service.webhooks.deliveries import Deliveries
from service.webhooks.leftovers import Leftovers
from service.webhooks.probe import ProbeResult, probe
from service.webhooks.retries import LEAST_A_SECOND, MOST_A_SECOND
from service.webhooks.sender import HttpSender
from service.webhooks.settings import WebhookSettings
from service.webhooks.target import Surroundings
from service.webhooks.view import RenderedEvent

_AGENT = f"pws-presence/{__version__}"


def deliveries(config: Config, core: Core, clock: Clock, meter: Meter, shelf: OwnersShelf | None = None) -> Deliveries:
    """The deliveries to the targets; of a replica, what is undelivered goes to the `shelf`."""
    files = None if shelf is not None or config.state_path is None else WebhookFiles(config.state_path)

    def connect(settings: WebhookSettings) -> HttpSender:
        return HttpSender(settings, _AGENT)

    targets = [(settings, StreamView(core.reader, core.store, settings)) for settings in settings_of(config)]
    a_second = max(LEAST_A_SECOND, MOST_A_SECOND / max(1, len(targets)))

    def tell(name: str, data: EventData, keys: Iterable[str]) -> None:
        if not core.log.follows:  # else the tenure has just ended, and another replica tells
            core.log.tell(name, data, keys)

    around = Surroundings(clock, source_of(config), meter, random.random, tell, a_second)
    return Deliveries(targets, core.log, around, connect, leftovers(shelf) if shelf is not None else Leftovers(files))


def leftovers(shelf: OwnersShelf) -> Leftovers:
    """Those of a replica: each tenure begins with everybody, so that no contact has to be kept."""
    return Leftovers(shelf, most=MOST_BYTES, has_contacts=False)


class OwnersDeliveries:
    """The deliveries of a replica (`core.webhooks.Webhooks`): each tenure has its own, and a follower sends nothing.

    A tenure begins as a service does: with what the owner before has left, `reset`, and then everybody. `make` makes
    the deliveries of a tenure.
    """

    def __init__(self, make: Callable[[OwnersShelf], Deliveries], core: Core) -> None:
        self._make = make
        self._core = core
        self._now: Deliveries | None = None
        self._is_closing = False

    def status(self) -> Sequence[TargetStatus]:
        """See Webhooks; none of a follower, which knows nothing of them."""
        return () if self._now is None else self._now.status()

    def replay(self, name: str, after: int) -> int:
        """See Webhooks. Raises NotAvailable where another replica sends."""
        if self._now is None:
            raise NotAvailable("another replica sends to the targets", 3.0)
        return self._now.replay(name, after)

    def begin(self, shelf: OwnersShelf) -> None:
        """This replica owns."""
        if self._now is None and not self._is_closing:
            self._now = self._make(shelf)
            # The newest event may be one that the owner before has sent: by its id nobody would take the reset.
            self._now.start(partial(everybody, self._core), self._core.log.stamp())

    def let_go(self) -> None:
        """It does no longer, or the service is about to stop: begin nothing more."""
        if self._now is not None:
            self._now.let_go()

    async def rest(self) -> None:
        """It is about to hand over: wait for the answers that are to come."""
        if self._now is not None:
            await self._now.rest()

    async def leave(self) -> None:
        """It ends as it should: the next owner delivers what is undelivered. Where it is broken off, `end` ends it."""
        now, self._now = self._now, None
        if now is not None:
            try:
                await now.stop()
            except asyncio.CancelledError:
                self._now = now
                raise

    async def end(self) -> None:
        """It does no longer: the next owner begins anew, and what was undelivered is lost, but for the contacts."""
        now, self._now = self._now, None
        if now is not None:
            await now.abandon()

    async def stop(self) -> None:
        """The service stops: begin nothing more. What is undelivered is left when the ownership ends."""
        self._is_closing = True
        self.let_go()


async def everybody(core: Core) -> Sequence[Event]:
    """All contacts as they are, each as a change with an id of its own. Raises NotCommitted."""
    log, journal = core.log, core.journal
    if log.follows or journal is None:
        raise NotCommitted
    snapshots, at = log.everybody(), Moment.of(core.clock)
    events = [Event(log.stamp(), CHANGE, at, each.contact.record.key, each) for each in snapshots]
    if events:
        # Nothing is told with an id that the engine has not reached: the next owner gives none of these again.
        journal.cover(snapshots[-1].contact.record.key)
    await log.accepted(log.newest_entry)
    return events


async def send_test(config: Config, name: str, clock: Clock | None = None) -> ProbeResult:
    """Send one message to a target, which says nothing. Raises NoSuchTarget."""
    found = {settings.name: settings for settings in settings_of(config)}
    if name not in found:
        raise NoSuchTarget(name, found)
    settings = found[name]
    return await probe(settings, HttpSender(settings, _AGENT), clock or SystemClock(), source_of(config))


def settings_of(config: Config) -> tuple[WebhookSettings, ...]:
    """The targets, in the order of the configuration."""
    return tuple(
        WebhookSettings(
            name=section.name,
            url=section.url.whole(),
            secrets=section.secret,
            events=frozenset(section.events),
            wanted=section.filter,
            details=section.details,
            ca_file=section.ca_file,
            addresses=tuple(section.addresses),
            timeout=section.timeout,
            give_up_after=section.give_up_after,
            parallel=section.parallel,
        )
        for section in config.webhooks
    )


def source_of(config: Config) -> str:
    """The URI that names this service in messages: where the presence server reaches it, without a path."""
    url = urlsplit(config.callback.url)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"


class StreamView:
    """A target sees what a stream with its filter shows (`service.webhooks.view.TargetView`)."""

    def __init__(self, reader: Reader, store: Store, settings: WebhookSettings) -> None:
        self._reader = reader
        self._settings = settings
        who = Principal(f"webhook {settings.name}", frozenset({Scope.READ}), details=settings.details)
        # Each event is written once or never, so that nothing is kept.
        self._view = SubscriberView(reader, store, ContactJson(0), FrameCache(0), settings.wanted, who)

    @property
    def digest(self) -> str:
        """See TargetView: the filter, the groups that it names with their members, the kinds and the limits."""
        settings, wanted = self._settings, self._settings.wanted
        sets: list[object] = [
            sorted(map(str, found))
            for found in (wanted.states, wanted.activities, wanted.groups, wanted.levels, settings.events)
        ]
        members = [(name, sorted(self._reader.groups.get(name, ()))) for name in sorted(wanted.groups)]
        told = repr((sets, wanted.text, wanted.available, settings.details, members))
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def concerning(self, events: Sequence[Event]) -> Sequence[Event]:
        """See TargetView."""
        return self._view.visible(events)

    def shows(self, snapshot: GroupedSnapshot) -> bool:
        """See TargetView."""
        return self._reader.visible_to(snapshot, self._settings.wanted) is not None

    def render(self, event: Event, before: GroupedSnapshot | None) -> RenderedEvent | None:
        """See TargetView."""
        rendered = self._view.rendered(event, before)
        return None if rendered is None else RenderedEvent(*rendered)
