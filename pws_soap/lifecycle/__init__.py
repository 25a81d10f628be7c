"""The lifecycle of sessions, endpoints and subscriptions, decided in pure code.

`step(state, event, now) -> (state, commands)`: no I/O, no clock, no random source. Expiry, renewal, redirect,
failover and back-off are decided here and only here; the table of all states and transitions is in `table`. It imports
the library's values and errors alone. What a class of errors means for what we hold at the server is `failures`; a new
PWS code of a known class needs no change here.
"""

from __future__ import annotations

from pws_soap.lifecycle.adoption import NOTHING_HANDED_OVER, HandedOver, handed_over
from pws_soap.lifecycle.events import (
    Adjust,
    CallReported,
    Command,
    Event,
    Failed,
    LoginRedirected,
    Move,
    Removed,
    Stop,
    Succeeded,
    Tick,
    Want,
)
from pws_soap.lifecycle.failures import failure_of
from pws_soap.lifecycle.memory import UNKNOWN, Memory, remember
from pws_soap.lifecycle.nodes import resolve
from pws_soap.lifecycle.step import begin, next_due, step
from pws_soap.lifecycle.table import USABLE, Act, Kind, Phase, ResourceEvent
from pws_soap.lifecycle.values import (
    LOST_OF,
    EndUser,
    Failure,
    FailureKind,
    Key,
    Leftover,
    NodeHealth,
    Resource,
    Settings,
    State,
)

__all__ = [
    "LOST_OF",
    "NOTHING_HANDED_OVER",
    "UNKNOWN",
    "USABLE",
    "Act",
    "Adjust",
    "CallReported",
    "Command",
    "EndUser",
    "Event",
    "Failed",
    "Failure",
    "FailureKind",
    "HandedOver",
    "Key",
    "Kind",
    "Leftover",
    "LoginRedirected",
    "Memory",
    "Move",
    "NodeHealth",
    "Phase",
    "Removed",
    "Resource",
    "ResourceEvent",
    "Settings",
    "State",
    "Stop",
    "Succeeded",
    "Tick",
    "Want",
    "begin",
    "failure_of",
    "handed_over",
    "next_due",
    "remember",
    "resolve",
    "step",
]
