"""What the control interface shows of a simulator, as plain values. Session keys are shortened, URLs without path."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pws_soap.server.node.registry import Registry
from pws_soap.simulator.cluster.simulator import Simulator


def nodes(simulator: Simulator) -> list[dict[str, Any]]:
    """The nodes, with how many sessions, endpoints and subscriptions they have."""
    return [
        {
            "node": name,
            "address": place.address,
            "state": place.state.value,
            "backup": None if (backup := simulator.backup_of(name)) is None else simulator.address_of(backup),
            "cpu": place.node.cpu,
            "requests_per_second": place.node.requests_per_second,
            "sessions": len(place.node.registry.sessions),
            "endpoints": len(place.node.registry.endpoints),
            "subscriptions": len(place.node.registry.subscriptions),
        }
        for name, place in simulator.places.items()
    ]


def sessions(simulator: Simulator) -> list[dict[str, Any]]:
    """All sessions that have not expired."""
    now = simulator.now()
    return [
        {
            "node": name,
            "user": session.user,
            "kind": "application" if session.is_application else "end-user",
            "application": session.application_user,
            "key": _shortened(session.key),
            "idle_seconds": round(now - session.used, 3),
        }
        for name, registry in _registries(simulator)
        for session in registry.sessions.values()
    ]


def endpoints(simulator: Simulator) -> list[dict[str, Any]]:
    """All endpoints."""
    now = simulator.now()
    return [
        {
            "node": name,
            "id": endpoint.id,
            "user": registry.sessions[endpoint.session].user,
            "url": _without_path(endpoint.url),
            "expires_in": round(endpoint.expires - now, 3),
        }
        for name, registry in _registries(simulator)
        for endpoint in registry.endpoints.values()
    ]


def subscriptions(simulator: Simulator) -> list[dict[str, Any]]:
    """All subscriptions; `silent` is the latch, `pending` the contacts that a fetch would return."""
    now = simulator.now()
    return [
        {
            "node": name,
            "id": subscription.id,
            "user": registry.sessions[subscription.session].user,
            "endpoint": subscription.endpoint,
            "expires_in": round(subscription.expires - now, 3),
            "contacts": len(subscription.contacts),
            "pending": [subscription.contacts[key] for key in subscription.pending],
            "silent": subscription.silent,
        }
        for name, registry in _registries(simulator)
        for subscription in registry.subscriptions.values()
    ]


def counters(simulator: Simulator) -> dict[str, Any]:
    """Requests, replies, faults by code, notifications."""
    withheld: dict[str, int] = {}
    for place in simulator.places.values():
        for reason, count in place.node.notifications.withheld.items():
            withheld[reason] = withheld.get(reason, 0) + count
    return {
        "requests": dict(simulator.counters.requests),
        "replies": dict(simulator.counters.replies),
        "faults": {str(code): count for code, count in sorted(simulator.counters.faults.items())},
        "notifications": {"sent": 0, "failed": 0, "dropped": 0} | dict(simulator.delivery.counts),
        "notifications_withheld": withheld,
        "injected": dict(simulator.faults.hits),
        "contacts": len(simulator.world),
        "changes": simulator.world.changes,
    }


def reset_counters(simulator: Simulator) -> None:
    """Count from zero."""
    for counter in (simulator.counters.requests, simulator.counters.replies, simulator.counters.faults):
        counter.clear()
    simulator.delivery.counts.clear()
    simulator.faults.hits.clear()
    for place in simulator.places.values():
        place.node.notifications.withheld.clear()


def faults(simulator: Simulator) -> list[dict[str, Any]]:
    """The faults that are switched on."""
    return [{"id": number, "left": left} | fault.shown() for number, (fault, left) in simulator.faults.active().items()]


def _registries(simulator: Simulator) -> list[tuple[str, Registry]]:
    found = []
    for name, place in simulator.places.items():
        place.node.registry.expire(simulator.now())
        found.append((name, place.node.registry))
    return found


def _shortened(key: str) -> str:
    return key[:4] + "..."


def _without_path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "..."
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/..."
