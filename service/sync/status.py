"""The living part put into words: a Status made of what the lifecycle and the pump know, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from pws_soap.lifecycle import USABLE, FailureKind, Key, Kind, Phase, Resource, State
from pws_soap.models import SessionKind
from service.core.clock import Clock, Moment
from service.core.engine import (
    EndpointStatus,
    EngineState,
    FetchCounters,
    NodeState,
    NodeStatus,
    NotificationCounters,
    SessionStatus,
    Status,
    SubscriptionStatus,
)
from service.core.engine import HealthProblem as Problem
from service.core.presence.freshness import Level
from service.core.presence.store import Store
from service.sync import federation
from service.sync.driver import LifecycleDriver
from service.sync.fetcher import Fetcher
from service.sync.subscriptions import TrackedSubscription, feed_of

_TO_FREE = (
    "the server has no room for more: remove what other programs left behind (pws delete --sweep 1-16), "
    "or wait until it expires"
)


def status(
    keeper: LifecycleDriver,
    pump: Fetcher,
    store: Store,
    levels: dict[Level, int],
    counters: NotificationCounters,
    clock: Clock,
) -> Status:
    """How it is doing; `levels` counts the contacts by freshness."""
    state = keeper.state
    return Status(
        state=overall(state, levels, muted=any(line.silent_since for line in pump.lines.values())),
        problems=tuple(problems(keeper, pump, store, levels, clock)),
        nodes=tuple(_nodes(state, clock)),
        sessions=tuple(_sessions(state, clock)),
        endpoints=tuple(_endpoints(state, clock)),
        subscriptions=tuple(_subscriptions(state, pump, clock)),
        notifications=counters,
        reading=FetchCounters(**asdict(pump.counters)),
    )


def overall(state: State, levels: dict[Level, int], *, muted: bool = False) -> EngineState:
    """One word for it. `muted`: the server's notifications do not come."""
    if state.stopping:
        return EngineState.STOPPING
    live, stale, unknown = (levels.get(each, 0) for each in (Level.LIVE, Level.STALE, Level.UNKNOWN))
    if live or not (stale or unknown):
        return EngineState.DEGRADED if stale or unknown or muted else EngineState.LIVE
    troubled = stale or any(each.error is not None for each in state.resources.values())
    return EngineState.DOWN if troubled else EngineState.STARTING


def problems(
    keeper: LifecycleDriver, pump: Fetcher, store: Store, levels: dict[Level, int], clock: Clock
) -> Iterator[Problem]:
    """What is wrong, and since when, the most general first."""
    state = keeper.state
    for name, node in state.nodes.items():
        if node.failing_since is not None:
            what = f"{name} does not answer ({_failed(node.failures)}): {node.error}"
            yield Problem(_wall(clock, node.failing_since), what)
    for key, resource in sorted(state.resources.items()):
        if resource.error is None:
            continue
        who = f"{key.kind} {key.user}".rstrip()
        what = f"{who} at {key.node} ({resource.phase}): {resource.error.text}"
        if resource.error.trouble is FailureKind.EXHAUSTED:
            what += f"; {_TO_FREE}"
        yield Problem(_wall(clock, resource.since), what)
    for line in pump.lines.values():
        if line.fetch_failures and line.last_error:
            what = f"subscription {line.live.id} of {line.feed} cannot be fetched: {line.last_error}"
            yield Problem(_wall(clock, line.failing_since), what)
        if line.poll_error is not None:
            what = f"contacts of {line.feed} cannot be read again: {line.poll_error}"
            yield Problem(_wall(clock, line.polls_failing_since), what)
        if line.silent_since:
            what = (
                f"subscription {line.live.id} of {line.feed} was not notified when it was made, which the server does "
                "at once: it does not reach the callback, or sends no notifications; look at callback.url, its port "
                "(80, 82 and 8080 are known to work) and the firewall between the server and this machine (pws doctor "
                f"checks them), and at the server's load; fetching every {line.interval:.0f} s instead"
            )
            yield Problem(_wall(clock, line.silent_since), what)
        if line.strange:
            times = "the last fetch" if line.strange == 1 else f"each of the last {line.strange} fetches"
            what = (
                f"{times} of subscription {line.live.id} of {line.feed} told of {line.strange_what}, which "
                "is none of its contacts: all of them are polled after each such fetch"
            )
            yield Problem(_wall(clock, line.strange_since), what)
        if line.missed:
            what = (
                f"notifications of subscription {line.live.id} of {line.feed} are being lost "
                f"({_counted(line.missed, 'change')} came without one): check that the server reaches the callback; "
                f"fetching every {line.interval:.0f} s instead"
            )
            yield Problem(_wall(clock, line.missed_since), what)
    users = {
        feed_of(Key(Kind.SUBSCRIPTION, "", user, slot)): user
        for user, each in state.users.items()
        for slot in range(len(each.slots))
    }
    for feed, (_, began, why) in pump.failing.items():
        if feed in users:
            yield Problem(_wall(clock, began), f"{feed} could not be fetched, and is subscribed anew: {why}")
    yield from federation.troubles(store.records(), users)
    for contact, refused in keeper.refused.items():
        yield Problem(_wall(clock, refused.since), f"{contact} is left out, the server refuses it: {refused.why}")
    stale = levels.get(Level.STALE, 0)
    if stale:
        whose = "contact is stale: its" if stale == 1 else "contacts are stale: their"
        what = f"{stale} {whose} last known state may no longer be true"
        since = _stale_since(store)
        yield Problem(since.wall if since is not None else clock.now(), what)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _failed(calls: int) -> str:
    return f"{calls} calls in a row" if calls != 1 else "1 call"


def _stale_since(store: Store) -> Moment | None:
    """When the oldest doubt began that is still there; None where it is age alone."""
    feeds = store.feeds()
    doubts = [doubt for record in store.records() for doubt in (record.doubt, feeds[record.feed].doubt)]
    return min((doubt.since for doubt in doubts if doubt is not None), default=None)


def _nodes(state: State, clock: Clock) -> Iterator[NodeStatus]:
    used = {key.node for key in state.resources}
    now = clock.monotonic()
    for name in dict.fromkeys((*state.settings.nodes, *sorted(used))):
        node = state.nodes.get(name)
        if node is not None and (node.failing_since is not None or node.down_until > now):
            since = _wall(clock, node.failing_since) if node.failing_since is not None else None
            yield NodeStatus(name, NodeState.DOWN, node.failures, node.error, since)
        else:
            usable = any(key.node == name and each.phase in USABLE for key, each in state.resources.items())
            yield NodeStatus(name, NodeState.UP if usable else NodeState.UNUSED)


def _sessions(state: State, clock: Clock) -> Iterator[SessionStatus]:
    for key, resource in sorted(state.resources.items()):
        if key.kind is Kind.APPLICATION:
            user, kind = "", SessionKind.APPLICATION
        elif key.kind is Kind.END_USER:
            user, kind = key.user, SessionKind.END_USER
        else:
            continue
        yield SessionStatus(key.node, user, kind, str(resource.phase), _wall(clock, resource.since), _error(resource))


def _endpoints(state: State, clock: Clock) -> Iterator[EndpointStatus]:
    for key, resource in sorted(state.resources.items()):
        if key.kind is Kind.ENDPOINT:
            yield EndpointStatus(key.node, resource.id, str(resource.phase), _expiry(clock, resource), _error(resource))


def _subscriptions(state: State, pump: Fetcher, clock: Clock) -> Iterator[SubscriptionStatus]:
    for key, resource in sorted(state.resources.items()):
        if key.kind is not Kind.SUBSCRIPTION:
            continue
        line = pump.lines.get(key)
        yield SubscriptionStatus(
            node=key.node,
            end_user=key.user,
            id=resource.id,
            state=str(resource.phase),
            contacts=len(resource.contacts),
            expires_at=_expiry(clock, resource),
            last_notification_at=line.last_notification.wall if line and line.last_notification else None,
            last_fetch_at=line.last_fetch.wall if line and line.last_fetch else None,
            last_error=_error(resource) or _last_error(line),
            notifications=line.notifications if line else 0,
            fetches=line.fetches if line else 0,
        )


def _last_error(line: TrackedSubscription | None) -> str | None:
    return line.last_error if line else None


def _error(resource: Resource) -> str | None:
    return resource.error.text if resource.error is not None else None


def _expiry(clock: Clock, resource: Resource) -> float | None:
    if resource.expires_at is None or resource.phase in {Phase.ABSENT, Phase.WAITING}:
        return None
    return _wall(clock, resource.expires_at)


def _wall(clock: Clock, monotonic: float) -> float:
    return clock.now() - clock.monotonic() + monotonic
