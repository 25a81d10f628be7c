"""The engine's status: made of what the lifecycle knows and how reading its subscriptions goes, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from service.sync.subscriptions import Subscriptions, TrackedSubscription, feed_of

_TO_FREE = (
    "the server has no room for more: remove what other programs left behind (pws delete --sweep 1-16), "
    "or wait until it expires"
)


def status(
    driver: LifecycleDriver,
    subscriptions: Subscriptions,
    store: Store,
    levels: Mapping[Level, int],
    counters: NotificationCounters,
    clock: Clock,
    *,
    with_problems: bool = True,
) -> Status:
    """How it is doing; `levels` counts the contacts by freshness."""
    state = driver.state
    feeds = _users_of_feeds(state)
    waiting = (lag.oldest for feed, lag in subscriptions.lags.items() if feed in feeds)
    oldest = min((since for since in waiting if since is not None), default=None)
    return Status(
        state=overall(state, levels, muted=any(tracked.silent_since for tracked in subscriptions)),
        problems=tuple(problems(driver, subscriptions, store, levels, clock)) if with_problems else (),
        nodes=tuple(_nodes(state, clock)),
        sessions=tuple(_sessions(state, clock)),
        endpoints=tuple(_endpoints(state, clock)),
        subscriptions=tuple(_subscriptions(state, subscriptions, clock)),
        notifications=counters,
        reading=FetchCounters(**asdict(subscriptions.counters)),
        oldest_notification=0.0 if oldest is None else clock.monotonic() - oldest,
    )


def overall(state: State, levels: Mapping[Level, int], *, muted: bool = False) -> EngineState:
    """One word for it. `muted`: the server's notifications do not come."""
    if state.stopping:
        return EngineState.STOPPING
    live, stale, unknown = (levels.get(each, 0) for each in (Level.LIVE, Level.STALE, Level.UNKNOWN))
    if live or not (stale or unknown):
        return EngineState.DEGRADED if stale or unknown or muted else EngineState.LIVE
    troubled = stale or any(each.error is not None for each in state.resources.values())
    return EngineState.DOWN if troubled else EngineState.STARTING


def problems(
    driver: LifecycleDriver, subscriptions: Subscriptions, store: Store, levels: Mapping[Level, int], clock: Clock
) -> Iterator[Problem]:
    """What is wrong, and since when, the most general first."""
    state = driver.state
    for name, node in state.nodes.items():
        if node.failing_since is not None:
            what = f"{name} {node.words} ({_failed(node.failures)}): {node.error}"
            yield Problem(_wall(clock, node.failing_since), what)
    for key, resource in sorted(state.resources.items()):
        if resource.error is None:
            continue
        who = f"{key.kind} {key.user}".rstrip()
        what = f"{who} at {key.node} ({resource.phase}): {resource.error.text}"
        if resource.error.kind is FailureKind.EXHAUSTED:
            what += f"; {_TO_FREE}"
        yield Problem(_wall(clock, resource.since), what)
    for tracked in subscriptions:
        if tracked.fetch_failures and tracked.last_error:
            what = f"{tracked.name} cannot be fetched: {tracked.last_error}"
            yield Problem(_wall(clock, tracked.failing_since), what)
        if tracked.poll_error is not None:
            what = f"contacts of {tracked.feed} cannot be polled: {tracked.poll_error}"
            yield Problem(_wall(clock, tracked.polls_failing_since), what)
        if tracked.silent_since:
            what = (
                f"{tracked.name} was not notified when it was made, which the server does "
                "at once: it does not reach the callback, or sends no notifications; look at callback.url, its port "
                "(80, 82 and 8080 are known to work) and the firewall between the server and this machine (pws doctor "
                f"checks them), and at the server's load; fetching every {tracked.interval:.0f} s instead"
            )
            yield Problem(_wall(clock, tracked.silent_since), what)
        if tracked.unattributed:
            times = (
                "the last fetch" if tracked.unattributed == 1 else f"each of the last {tracked.unattributed} fetches"
            )
            what = (
                f"{times} of {tracked.name} returned {tracked.unattributed_entry}: "
                "all its contacts are polled after each such fetch"
            )
            yield Problem(_wall(clock, tracked.unattributed_since), what)
        if tracked.missed:
            what = (
                f"notifications of {tracked.name} are being lost "
                f"({_counted(tracked.missed, 'change')} came without one): check that the server reaches the callback; "
                f"fetching every {tracked.interval:.0f} s instead"
            )
            yield Problem(_wall(clock, tracked.missed_since), what)
    users = _users_of_feeds(state)
    for feed, failing in subscriptions.failing.items():
        if feed in users and failing.failures:
            what = f"{feed} could not be fetched, and is subscribed anew: {failing.error}"
            yield Problem(_wall(clock, failing.since), what)
    yield from federation.problems(store, users)
    for contact, refused in driver.refused.items():
        yield Problem(
            _wall(clock, refused.since), f"{contact} is not subscribed to, the server refuses it: {refused.why}"
        )
    stale = levels.get(Level.STALE, 0)
    if stale:
        whose = "contact is stale: its" if stale == 1 else "contacts are stale: their"
        what = f"{stale} {whose} last known state may no longer be true"
        since = _stale_since(store)
        yield Problem(since.wall if since is not None else clock.now(), what)


def _users_of_feeds(state: State) -> dict[str, str]:
    """The end user of each feed that is wanted."""
    return {
        feed_of(Key(Kind.SUBSCRIPTION, "", user, slot)): user
        for user, each in state.users.items()
        for slot in range(len(each.slots))
    }


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _failed(calls: int) -> str:
    return f"{calls} calls in a row" if calls != 1 else "1 call"


def _stale_since(store: Store) -> Moment | None:
    """When the oldest doubt began that is still there; None where it is age alone."""
    doubts = [feed.doubt for feed in store.feeds().values() if store.keys(feed.name)]
    doubts += [record.doubt for record in map(store.get, store.unsettled()) if record is not None]
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
        since, usable = _wall(clock, resource.since), resource.phase in USABLE
        yield SessionStatus(key.node, user, kind, str(resource.phase), since, _error(resource), usable)


def _endpoints(state: State, clock: Clock) -> Iterator[EndpointStatus]:
    for key, resource in sorted(state.resources.items()):
        if key.kind is Kind.ENDPOINT:
            expiry, usable = _expiry(clock, resource), resource.phase in USABLE
            yield EndpointStatus(key.node, resource.id, str(resource.phase), expiry, _error(resource), usable)


def _subscriptions(state: State, subscriptions: Subscriptions, clock: Clock) -> Iterator[SubscriptionStatus]:
    for key, resource in sorted(state.resources.items()):
        if key.kind is not Kind.SUBSCRIPTION:
            continue
        tracked = subscriptions.get(key)
        yield SubscriptionStatus(
            node=key.node,
            end_user=key.user,
            id=resource.id,
            state=str(resource.phase),
            contacts=len(resource.contacts),
            expires_at=_expiry(clock, resource),
            last_notification_at=tracked.last_notification.wall if tracked and tracked.last_notification else None,
            last_fetch_at=tracked.last_fetch.wall if tracked and tracked.last_fetch else None,
            last_error=_error(resource) or _last_error(tracked),
            notifications=tracked.notifications if tracked else 0,
            fetches=tracked.fetches if tracked else 0,
            feed=feed_of(key),
            usable=resource.phase in USABLE,
        )


def _last_error(tracked: TrackedSubscription | None) -> str | None:
    return tracked.last_error if tracked else None


def _error(resource: Resource) -> str | None:
    return resource.error.text if resource.error is not None else None


def _expiry(clock: Clock, resource: Resource) -> float | None:
    if resource.expires_at is None or resource.phase in {Phase.ABSENT, Phase.WAITING}:
        return None
    return _wall(clock, resource.expires_at)


def _wall(clock: Clock, monotonic: float) -> float:
    return clock.now() - clock.monotonic() + monotonic
