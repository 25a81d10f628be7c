"""One step: an event in; the new state, and what to send, out. Pure: the same input gives the same output.

The event is applied to the thing it concerns, by the table; what hangs on a lost thing is lost with it; then what
is wanted is compared with what is there, until nothing more is to be done. The caller sends the commands, reports each
result with its `seq`, and calls again at `next_due` at the latest.
"""

from __future__ import annotations

from dataclasses import replace

from pws_soap.lifecycle.adoption import NOTHING_HANDED_OVER, HandedOver, prepared
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
    Want,
)
from pws_soap.lifecycle.memory import NOTHING_LEFT, Memory
from pws_soap.lifecycle.nodes import may_go_to
from pws_soap.lifecycle.plan import adjust, next_due, session_of, spread
from pws_soap.lifecycle.results import Results
from pws_soap.lifecycle.table import Kind
from pws_soap.lifecycle.values import (
    LOST_OF,
    EndUser,
    Key,
    NodeHealth,
    Settings,
    State,
)

__all__ = ["begin", "next_due", "step"]


def begin(
    settings: Settings, now: float, memory: Memory = NOTHING_LEFT, left: HandedOver = NOTHING_HANDED_OVER
) -> State:
    """The state of a fresh start; `memory` is what an earlier process may have left behind.

    To clean up at a node is to log in there: a remembered one that the settings no longer name is forgotten.
    What was `left` at a remembered node is gone on with, once the login there has given the same session.
    """
    until = now + settings.leftover_life
    suspected = frozenset(node for node in memory.nodes if may_go_to(node, settings))
    state = State(settings, suspected=suspected, unknown=memory.unknown, clean=memory.clean, suspects_until=until)
    return prepared(state, left)


def step(state: State, event: Event, now: float) -> tuple[State, list[Command]]:
    """Apply one event at time `now`. Times must not go backwards; a smaller `now` makes nothing happen early."""
    work = _Step(state, now)
    match event:
        case Want():
            work.want(event)
        case Adjust():
            work.adjust(event)
        case Move():
            work.move(event)
        case Stop():
            work.state = replace(work.state, stopping=True)
        case Succeeded():
            work.succeeded(event)
        case Failed():
            work.failed(event)
        case LoginRedirected():
            work.redirected(event)
        case CallReported():
            work.call_reported(event)
        case Removed():
            work.removed(event)
    if work.state is not state or not isinstance(event, CallReported):
        work.settle()  # a report that says nothing new leaves what is due to the next tick: there are many of them
    return work.state, work.commands


class _Step(Results):
    """What is wanted, and how calls went that are not the lifecycle's own, applied to what they concern."""

    def want(self, event: Want) -> None:
        settings = self.state.settings
        users = {}
        for name, contacts in event.contacts.items():
            old = self.state.users.get(name)
            slots = spread(old.slots if old else (), contacts, settings.contacts_per_subscription)
            users[name] = EndUser(slots, settings.nodes[0]) if old is None else replace(old, slots=slots)
        self.state = replace(self.state, users=users)

    def adjust(self, event: Adjust) -> None:
        user = self.state.users[event.user]
        slots = adjust(user.slots, event.add, event.drop, self.state.settings.contacts_per_subscription)
        self.state = replace(self.state, users={**self.state.users, event.user: replace(user, slots=slots)})

    def move(self, event: Move) -> None:
        users = {
            name: replace(user, node=event.node, path=(), backup=None)
            if event.user in {None, name} and user.node != event.node
            else user
            for name, user in self.state.users.items()
        }
        old = self.state.nodes.get(event.node, NodeHealth())
        health = {**self.state.nodes, event.node: NodeHealth(backup=old.backup)}
        self.state = replace(self.state, users=users, nodes=health)

    def call_reported(self, event: CallReported) -> None:
        key, failure = event.key, event.failure
        self._heard(key.node, failure)
        if failure is not None and failure.may_have_acted and event.consumes:
            session = self.state.resources.get(session_of(key))
            if session is not None and session.generation == event.session:
                self._taint(session.key, failure)
        resource = self.state.resources.get(key)
        if resource is None or resource.generation != event.generation:
            return
        if failure is None:
            endpoint = self.state.resources.get(Key(Kind.ENDPOINT, key.node))
            if event.unheard and endpoint is not None:
                self._put(replace(endpoint, due=min(endpoint.due, self.now)))
            return
        gone = LOST_OF.get(failure.kind, frozenset())
        if key.kind in gone:
            self._lose(key, failure)
        elif session_of(key).kind in gone:
            self._blame(session_of(key), failure, self.state.seq + 1)
