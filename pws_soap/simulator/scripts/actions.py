"""Everything that can be injected, by name and from plain values, as the control interface and scenario files give it.

Faults of requests and notifications are those of `pws_soap.simulator.faults.kinds`; the rest happens to nodes at once.
`for` is after how many seconds it is undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pws_soap.simulator.bounds import MAX_COUNT, MAX_SECONDS, bounded, shown, type_words
from pws_soap.simulator.cluster.simulator import Simulator
from pws_soap.simulator.faults.kinds import NOTIFICATION_FAULTS, REQUEST_FAULTS, Fault
from pws_soap.simulator.faults.outages import NodeCondition

ACTIONS: Final[dict[str, str]] = {
    "kill-sessions": "end sessions with all that is theirs: of `user`, at `node`, or all",
    "forget-endpoints": "lose all endpoints, at `node` or everywhere",
    "forget-subscriptions": "lose all subscriptions, at `node` or everywhere",
    "restart": "break the connections and forget everything, at `node` or everywhere",
    "node-down": "close the node's socket and break its connections (`for` seconds)",
    "node-hang": "accept and never answer (`for` seconds)",
    "node-up": "bring a node back from either",
    "cpu": "set the load to `percent`: above 80 no notifications, from 95 on code 210 (`for` seconds)",
    "rate-limit": "take `per_second` requests a second, then code 212; without it no limit (`for` seconds)",
    "move-clock": "move the simulator's time by `seconds`",
    "clear": "switch off the faults of requests and notifications, or those of one `kind`",
}
"""What can be done to nodes."""

KINDS: Final = {**REQUEST_FAULTS, **NOTIFICATION_FAULTS, **ACTIONS}
"""Everything that can be injected, and what it does."""

_KEYS: Final[dict[str, dict[str, tuple[type, ...]]]] = {
    "kill-sessions": {"user": (str,), "node": (str,)},
    "forget-endpoints": {"node": (str,)},
    "forget-subscriptions": {"node": (str,)},
    "restart": {"node": (str,)},
    "node-down": {"node": (str,), "for": (int, float)},
    "node-hang": {"node": (str,), "for": (int, float)},
    "node-up": {"node": (str,)},
    "cpu": {"percent": (int, float), "node": (str,), "for": (int, float)},
    "rate-limit": {"per_second": (int,), "node": (str,), "for": (int, float)},
    "move-clock": {"seconds": (int, float)},
    "clear": {"kind": (str,)},
}
_LIMITS: Final[dict[str, tuple[float, float]]] = {"percent": (0, 100), "seconds": (-MAX_SECONDS, MAX_SECONDS)}
"""The least and the greatest value of a number."""
_REQUIRED: Final = {
    "node-down": "node",
    "node-hang": "node",
    "node-up": "node",
    "cpu": "percent",
    "move-clock": "seconds",
}


@dataclass(frozen=True, slots=True)
class Injected:
    """The result: the `number` of a fault that is on now, or how many things were `affected` at once."""

    number: int | None = None
    affected: int | None = None


def check(values: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the key, if `inject` would refuse the values whatever the simulator's nodes are."""
    kind = values.get("fault")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"fault: expected one of {', '.join(KINDS)}, got {kind!r}")
    seconds = values.get("for")
    if "for" in values and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0):
        raise ValueError(f"for: expected a number of seconds above 0, got {shown(seconds)}")
    if "for" in values:
        bounded("for", values["for"], 0, MAX_SECONDS, "a number of seconds")
    if kind not in ACTIONS:
        _fault(kind, values)
        return
    keys = _KEYS[kind]
    for key, value in values.items():
        if key == "fault":
            continue
        if key not in keys:
            raise ValueError(f"{key}: {kind} takes no such key, only {', '.join(keys)}")
        if isinstance(value, bool) or not isinstance(value, keys[key]):
            raise ValueError(f"{key}: expected {type_words(keys[key])}, got {shown(value)}")  # noqa: TRY004 - a file's value
        if key in _LIMITS and isinstance(value, int | float):
            bounded(key, value, *_LIMITS[key])
    cleared = values.get("kind")
    if kind == "clear" and cleared is not None and cleared not in {**REQUEST_FAULTS, **NOTIFICATION_FAULTS}:
        raise ValueError(
            f"kind: expected one of {', '.join({**REQUEST_FAULTS, **NOTIFICATION_FAULTS})}, got {shown(cleared)}"
        )
    required = _REQUIRED.get(kind)
    if required is not None and required not in values:
        raise ValueError(f"{required}: {kind} needs it")
    bounded("per_second", values.get("per_second", 1), 1, MAX_COUNT)


def inject(simulator: Simulator, values: Mapping[str, Any]) -> Injected:
    """Inject `values["fault"]`. Raises ValueError, naming the key that is wrong; nothing has happened then."""
    check(values)
    node = values.get("node")
    if node is not None:
        simulator.place(node)
    kind = values["fault"]
    seconds = values.get("for")
    if kind in ACTIONS:
        return Injected(affected=_act(simulator, kind, values, node, seconds))
    number = simulator.faults.add(_fault(kind, values))
    if seconds is not None:
        simulator.later(seconds, lambda: simulator.faults.remove(number))
    return Injected(number=number)


def _fault(kind: str, values: Mapping[str, Any]) -> Fault:
    return Fault.of({"kind": kind} | {key: value for key, value in values.items() if key not in ("fault", "for")})


def _act(simulator: Simulator, kind: str, values: Mapping[str, Any], node: str | None, seconds: float | None) -> int:
    match kind:
        case "kill-sessions":
            return simulator.kill_sessions(user=values.get("user"), node=node)
        case "forget-endpoints":
            return simulator.forget("endpoints", node=node)
        case "forget-subscriptions":
            return simulator.forget("subscriptions", node=node)
        case "restart":
            return simulator.forget("everything", node=node)
        case "node-down" | "node-hang" | "node-up":
            states = {"node-down": NodeCondition.DOWN, "node-hang": NodeCondition.HUNG, "node-up": NodeCondition.UP}
            simulator.set_state(values["node"], states[kind])
            if seconds is not None:
                simulator.later(seconds, lambda: simulator.set_state(values["node"], NodeCondition.UP))
            return 1
        case "cpu":
            simulator.set_cpu(values["percent"], node=node)
            if seconds is not None:
                simulator.later(seconds, lambda: simulator.set_cpu(0.0, node=node))
        case "rate-limit":
            simulator.set_rate_limit(values.get("per_second"), node=node)
            if seconds is not None:
                limit = simulator.options.requests_per_second
                simulator.later(seconds, lambda: simulator.set_rate_limit(limit, node=node))
        case "move-clock":
            simulator.move_clock(values["seconds"])
            return 1
        case _:
            return simulator.faults.clear(values.get("kind"))
    return len(simulator.places) if node is None else 1
