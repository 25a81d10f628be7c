"""The lifecycle of sessions, endpoints and subscriptions, decided in pure code.

`step(state, happening, now) -> (state, commands)`: no I/O, no clock, no random source. Expiry, renewal, redirect,
failover and back-off are decided here and only here; the table of all states and transitions is in `table`.
"""

from __future__ import annotations

from pws_soap.lifecycle.failures import failure_of
from pws_soap.lifecycle.memory import UNKNOWN, Memory, remember
from pws_soap.lifecycle.nodes import resolve
from pws_soap.lifecycle.step import begin, next_due, step
from pws_soap.lifecycle.table import USABLE, Act, Event, Kind, Phase
from pws_soap.lifecycle.values import (
    LOST_OF,
    Command,
    Failed,
    Failure,
    Happening,
    Key,
    Leftover,
    Move,
    Node,
    Removed,
    Resource,
    Sent,
    Settings,
    State,
    Stop,
    Succeeded,
    Tick,
    Trouble,
    Used,
    User,
    Want,
)

__all__ = [
    "LOST_OF",
    "UNKNOWN",
    "USABLE",
    "Act",
    "Command",
    "Event",
    "Failed",
    "Failure",
    "Happening",
    "Key",
    "Kind",
    "Leftover",
    "Memory",
    "Move",
    "Node",
    "Phase",
    "Removed",
    "Resource",
    "Sent",
    "Settings",
    "State",
    "Stop",
    "Succeeded",
    "Tick",
    "Trouble",
    "Used",
    "User",
    "Want",
    "begin",
    "failure_of",
    "next_due",
    "remember",
    "resolve",
    "step",
]
