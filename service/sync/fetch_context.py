"""What all that reads subscriptions works with: fetcher, poller, tracker and silence of one engine share it."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.clock import Clock
from service.core.presence.store import Store
from service.sync.driver import LifecycleDriver
from service.sync.inbox import Inbox
from service.sync.subscriptions import FetchSettings, Subscriptions


@dataclass(frozen=True, slots=True)
class FetchContext:
    """What is read, by which rules and clock, where the news come from, and where what was read goes."""

    settings: FetchSettings
    subscriptions: Subscriptions
    driver: LifecycleDriver
    store: Store
    inbox: Inbox
    clock: Clock
