"""The targets of the configuration made into deliveries. Where there are none nothing imports it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from urllib.parse import urlsplit

from service import __version__
from service.access.principal import Principal, Scope
from service.api.sse.view import FrameCache, SubscriberView
from service.api.writers.contact import ContactJson
from service.config import Config
from service.core.clock import Clock, SystemClock
from service.core.events.event import Event
from service.core.meter import Meter
from service.core.presence.query import Reader
from service.core.presence.snapshot import GroupedSnapshot
from service.core.presence.store import Store
from service.core.webhooks import NoSuchTarget
from service.core.wiring import Core
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


def deliveries(config: Config, core: Core, clock: Clock, meter: Meter) -> Deliveries:
    """The deliveries to the targets."""
    files = None if config.state_path is None else WebhookFiles(config.state_path)

    def connect(settings: WebhookSettings) -> HttpSender:
        return HttpSender(settings, _AGENT)

    targets = [(settings, StreamView(core.reader, core.store, settings)) for settings in settings_of(config)]
    a_second = max(LEAST_A_SECOND, MOST_A_SECOND / max(1, len(targets)))
    around = Surroundings(clock, source_of(config), meter, random.random, core.log.tell, a_second)
    return Deliveries(targets, core.log, around, connect, Leftovers(files))


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
