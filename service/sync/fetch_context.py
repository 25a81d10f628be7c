"""What all that reads subscriptions works with: fetcher, poller, tracker and silence of one engine share it."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.clock import Clock
from service.core.meter import NO_METER, Meter
from service.core.presence.store import Store
from service.core.tracing import ID_TRACER, Tracer
from service.sync.driver import LifecycleDriver
from service.sync.inbox import Inbox
from service.sync.subscriptions import FetchSettings, Subscriptions


@dataclass(frozen=True, slots=True)
class FetchContext:
    """What is read, by which rules and clock, where the news come from, where what was read goes, and who counts.

    `tracer` begins a span for each piece of work.
    """

    settings: FetchSettings
    subscriptions: Subscriptions
    driver: LifecycleDriver
    store: Store
    inbox: Inbox
    clock: Clock
    meter: Meter = NO_METER
    tracer: Tracer = ID_TRACER
