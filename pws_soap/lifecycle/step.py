"""One step: something happened, here is the new state and what to send. Pure: the same input gives the same output.

The happening is applied to the thing it concerns, by the table; what hangs on a lost thing is lost with it; then what
is wanted is compared with what is there, until nothing more is to be done. The caller sends the commands, reports each
result with its `seq`, and calls again at `next_due` at the latest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pws_soap.lifecycle import nodes
from pws_soap.lifecycle.backoff import pause, renewal
from pws_soap.lifecycle.plan import next_due, parents, session_of, spread, wanted
from pws_soap.lifecycle.table import SESSIONS, Event, Kind, Phase
from pws_soap.lifecycle.values import (
    LOST_OF,
    Command,
    Doubt,
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
    Trouble,
    Used,
    User,
    Want,
)
from pws_soap.lifecycle.work import Work

__all__ = ["begin", "next_due", "step"]


def begin(
    settings: Settings,
    now: float,
    leftovers: Iterable[Leftover] = (),
    doubtful: Iterable[Doubt] = (),
) -> State:
    """The state of a fresh start; `leftovers` and `doubtful` are what an earlier run left behind."""
    alive = tuple(each for each in leftovers if each.expires_at > now)
    return State(settings, leftovers=alive, doubtful=tuple(each for each in doubtful if each.until > now))


def step(state: State, happening: Happening, now: float) -> tuple[State, list[Command]]:
    """Apply one happening at time `now`. Times must not go backwards; a smaller `now` makes nothing happen early."""
    work = _Happened(state, now)
    match happening:
        case Want():
            work.want(happening)
        case Move():
            work.move(happening)
        case Stop():
            work.state = replace(work.state, stopping=True)
        case Succeeded():
            work.succeeded(happening)
        case Failed():
            work.failed(happening)
        case Sent():
            work.sent(happening)
        case Used():
            work.used(happening)
        case Removed():
            work.removed(happening)
    work.settle()
    return work.state, work.commands


class _Happened(Work):
    """What happened, applied to the thing it concerns."""

    def want(self, happening: Want) -> None:
        settings = self.state.settings
        users = {}
        for name, contacts in happening.contacts.items():
            old = self.state.users.get(name)
            slots = spread(old.slots if old else (), contacts, settings.contacts_per_subscription)
            users[name] = User(slots, settings.nodes[0]) if old is None else replace(old, slots=slots)
        self.state = replace(self.state, users=users)

    def move(self, happening: Move) -> None:
        users = {
            name: replace(user, node=happening.node, path=(), backup=None)
            if happening.user in {None, name} and user.node != happening.node
            else user
            for name, user in self.state.users.items()
        }
        health = {**self.state.nodes, happening.node: Node()}
        self.state = replace(self.state, users=users, nodes=health)

    def succeeded(self, happening: Succeeded) -> None:
        key = happening.key
        self.state = nodes.reached(self.state, key.node)
        resource = self._current(key, happening.seq)
        if resource is None:
            if happening.id is not None:  # made after all, for somebody who no longer waits: remove it
                self._leave(key, happening.id, happening.asked_at + self._life(key))
            return
        phase = resource.phase
        made = phase in {Phase.MAKING, Phase.LEAVING}
        life = self._life(key)
        changes: dict[str, object] = {"failures": 0, "error": None}
        if made:
            changes |= {"generation": happening.seq, "id": happening.id, "made_at": self.now}
        if key.kind not in SESSIONS and phase in {Phase.MAKING, Phase.LEAVING, Phase.RENEWING}:
            changes["expires_at"] = happening.asked_at + life
            changes["due"] = happening.asked_at + renewal(self.state.settings, life, key, happening.seq)
        if happening.contacts is not None:
            changes["contacts"] = happening.contacts
        if happening.failure is not None:
            wait = pause(self.state.settings, happening.failure.trouble, 1, key, happening.seq)
            changes |= {"alter_due": self.now + wait, "error": happening.failure}
        self._put(replace(resource, **changes))  # type: ignore[arg-type]  # a dict of the fields' own types
        self._event(key, Event.OK)
        if made and key.kind in SESSIONS:
            self._logged_in(key, happening.backup)

    def _logged_in(self, key: Key, backup: str | None) -> None:
        if key.kind is Kind.APPLICATION:
            named = nodes.resolve(backup, key.node, self.state.settings)
            health = replace(self.state.nodes.get(key.node, Node()), backup=named)
            self.state = replace(self.state, nodes={**self.state.nodes, key.node: health})
        elif key.user in self.state.users:
            user = replace(self.state.users[key.user], path=())
            self.state = replace(self.state, users={**self.state.users, key.user: user})
        sure = tuple(each for each in self.state.doubtful if (each.node, each.user) != (key.node, key.user))
        if sure != self.state.doubtful:
            self.state = replace(self.state, doubtful=sure)
            self._event(key, Event.TAINTED)

    def failed(self, happening: Failed) -> None:
        key, failure = happening.key, happening.failure
        self._heard(key.node, failure)
        resource = self._current(key, happening.seq)
        if resource is None:
            if failure.trouble is Trouble.UNKNOWN_OUTCOME and key.kind not in SESSIONS:
                self._event(session_of(key), Event.TAINTED)  # it may hold what nobody knows the id of
            return
        phase = resource.phase
        if phase in {Phase.REMOVING, Phase.RESETTING}:
            self._removal_failed(resource, failure)
            return
        gone = LOST_OF.get(failure.trouble, frozenset())
        if key.kind in gone and phase is not Phase.MAKING:
            self._event(key, Event.LOST)
        elif culprit := next((parent for parent in parents(key) if parent.kind in gone), None):
            self._event(culprit, Event.LOST)  # and `key` with it
        if self._current(key, happening.seq) is None:
            return
        self._fail(resource, failure)
        made = phase in {Phase.MAKING, Phase.LEAVING} and key.kind not in SESSIONS
        if made and failure.trouble is Trouble.UNKNOWN_OUTCOME:
            self._event(session_of(key), Event.TAINTED)

    def _fail(self, resource: Resource, failure: Failure) -> None:
        failures = resource.failures + 1
        wait = pause(self.state.settings, failure.trouble, failures, resource.key, resource.seq)
        later = self.now + wait
        due, alter_due = resource.due, resource.alter_due
        due, alter_due = (due, later) if resource.phase is Phase.ALTERING else (later, alter_due)
        self._put(replace(resource, failures=failures, error=failure, due=due, alter_due=alter_due))
        self._event(resource.key, Event.FAILED)

    def _removal_failed(self, resource: Resource, failure: Failure) -> None:
        """What the server no longer knows is removed; what goes with its session anyway is not tried again."""
        key = resource.key
        moot = failure.trouble in LOST_OF
        above = session_of(key)
        if resource.phase is Phase.REMOVING and above != key and above not in wanted(self.state):
            moot = True
        if moot:
            self._event(key, Event.LOST)
            return
        if resource.expires_at is None and resource.phase is Phase.REMOVING:
            self._put(replace(resource, expires_at=self.now + self.state.settings.linger))
        self._fail(self.state.resources[key], failure)

    def sent(self, happening: Sent) -> None:
        key = happening.key
        self.state = nodes.reached(self.state, key.node)
        resource = self._current(key, happening.seq)
        if resource is None:
            return
        user = self.state.users.get(key.user)
        if user is None or user.node != key.node:
            self._cannot_return(key)
            return
        why: Failure | None = Failure(Trouble.SERVER, "redirected, and no longer wanted")
        if resource.phase is Phase.MAKING:
            self.state, why = nodes.redirected(self.state, key.user, happening.primary, happening.backup, self.now)
        if why is None:
            self._event(key, Event.LOST)
        else:
            self._fail(resource, why)

    def _cannot_return(self, key: Key) -> None:
        """A login that was only to remove what an earlier run left there: the user is at home elsewhere by now.

        What it left goes with the application user's session, which is therefore reset.
        """
        place = (key.node, key.user)
        self.state = replace(
            self.state,
            leftovers=tuple(each for each in self.state.leftovers if (each.node, each.user) != place),
            doubtful=tuple(each for each in self.state.doubtful if (each.node, each.user) != place),
        )
        self._event(key, Event.LOST)
        self._event(session_of(Key(Kind.END_USER, *place)), Event.TAINTED)

    def used(self, happening: Used) -> None:
        key, failure = happening.key, happening.failure
        self._heard(key.node, failure)
        resource = self.state.resources.get(key)
        if failure is None or resource is None or resource.generation != happening.generation:
            return
        gone = LOST_OF.get(failure.trouble, frozenset())
        if key.kind in gone:
            self._put(replace(resource, error=failure))
            self._event(key, Event.LOST)
        elif failure.trouble is Trouble.SESSION_LOST:
            self._event(session_of(key), Event.LOST)

    def removed(self, happening: Removed) -> None:
        kept = []
        for each in self.state.leftovers:
            if each.seq != happening.seq:
                kept.append(each)
                continue
            failure = happening.failure
            if failure is None or failure.trouble in LOST_OF or failure.trouble is Trouble.REFUSED:
                continue
            key = Key(each.kind, each.node, each.user)
            wait = pause(self.state.settings, failure.trouble, each.failures + 1, key, each.seq)
            kept.append(replace(each, seq=0, failures=each.failures + 1, due=self.now + wait))
            self._heard(each.node, failure)
        self.state = replace(self.state, leftovers=tuple(kept))
