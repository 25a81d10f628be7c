"""One step in progress: the bookkeeping, and what follows from a change until nothing more is to be done.

The event itself is applied by the subclasses in `results` and `step`; here is what follows from it: transitions by the
table, what is lost along with something else, what is due, and the commands.
"""

from __future__ import annotations

from dataclasses import replace

from pws_soap.lifecycle import nodes
from pws_soap.lifecycle.adoption import is_hopeless
from pws_soap.lifecycle.backoff import pause
from pws_soap.lifecycle.events import Command
from pws_soap.lifecycle.plan import children, coming, contacts_of, owner, removable, session_of, wanted
from pws_soap.lifecycle.table import SESSIONS, UNDER_WAY, USABLE, Act, Kind, Phase, ResourceEvent, follow
from pws_soap.lifecycle.values import Failure, FailureKind, Key, Leftover, Resource, State

_SOON = 60.0
"""Seconds; what lives longer than this has not been lost again."""


class StepInProgress:
    """One step in progress. It lives for one call of `step`."""

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now
        self.commands: list[Command] = []
        self.ended: Key | None = None
        """The thing whose request under way has just been answered."""

    def settle(self) -> None:
        """Compare what is wanted with what is there, until nothing changes."""
        if not self.state.stopping:
            self.state = nodes.leave_failed(self.state, self.now)
        alive = tuple(each for each in self.state.leftovers if each.expires_at > self.now)
        if len(alive) != len(self.state.leftovers):
            self.state = replace(self.state, leftovers=alive)
        if (self.state.suspected or self.state.unknown) and self.now >= self.state.suspects_until:
            self.state = replace(self.state, suspected=frozenset(), unknown=False)
        for node in {each.key.node for each in self.state.adoptable}:
            if self.state.stopping or is_hopeless(node, self.state):
                self._give_adoption_up(node)
        while True:
            before = self.state
            keys = wanted(self.state)
            for key in keys:
                if key not in self.state.resources:
                    self._put(Resource(key, since=self.now))
            for key in sorted(self.state.resources):
                self._consider(key, key in keys)
            self._remove_leftovers()
            if self.state is before:
                return

    def _consider(self, key: Key, is_wanted: bool) -> None:
        resource = self.state.resources.get(key)
        if resource is None:
            return
        phase = resource.phase
        if not is_wanted and not children(key, self.state):
            self._event(key, ResourceEvent.UNWANTED)
            resource = self.state.resources.get(key)
            if resource is None or resource.phase is not phase:
                return
        due = (event for at, event in coming(resource, is_wanted, self.state) if self.now >= at)
        if event := next(due, None):
            self._event(key, event)

    def _event(self, key: Key, event: ResourceEvent) -> None:
        resource = self.state.resources.get(key)
        if resource is None:
            return
        phase, act = follow(resource.phase, event)
        if phase is resource.phase and act is Act.NOTHING:
            return
        changed = replace(resource, phase=phase, since=self.now)
        if phase is Phase.ABSENT:
            if event is ResourceEvent.EXPIRED and resource.id is not None:
                self._leave(key, resource.id, resource.outlasts)
            changed = self._emptied(changed, event)
        elif phase is Phase.SUSPECT and event is ResourceEvent.TAINTED:
            changed = replace(changed, due=self.now)
        elif phase is Phase.REMOVING and resource.id is not None:
            changed = replace(changed, expires_at=resource.outlasts)
        if phase is Phase.GONE:
            self._drop(key)
            if event is ResourceEvent.EXPIRED and key.kind in SESSIONS:
                self._suspect(key.node)  # it could not be logged out, and may outlive what we know of it
        else:
            self._put(changed)
        if act is not Act.NOTHING:
            self._send(act, key)
        if resource.phase is Phase.ALTERING and phase is Phase.ABSENT and key != self.ended:
            # The request may yet reach the one that replaces it, which will bear the same id.
            failure = Failure(
                FailureKind.UNKNOWN_OUTCOME, "its contacts were being changed when it was lost", None, True
            )
            self._taint(session_of(key), failure)
        if resource.phase in USABLE and phase not in USABLE and event is not ResourceEvent.UNWANTED:
            for child in children(key, self.state):
                self._lost_with(child, key)

    def _taint(self, key: Key, failure: Failure) -> None:
        """A session in which something may have been made, or may still be taken, that nobody knows of: it is reset."""
        resource = self.state.resources.get(key)
        if resource is not None and resource.phase in USABLE:
            self._put(replace(resource, error=failure))
            self._event(key, ResourceEvent.TAINTED)

    def _suspect(self, node: str) -> None:
        """A session of ours may live on at a node: before anything is made there again, it is reset."""
        self.state = replace(self.state, left=self.state.left | {node})
        self._event(Key(Kind.APPLICATION, node), ResourceEvent.TAINTED)

    def _give_adoption_up(self, node: str) -> None:
        """What was handed over at a node is not gone on with: the session there is reset."""
        rest = tuple(each for each in self.state.adoptable if each.key.node != node)
        self.state = replace(self.state, adoptable=rest, clean=self.state.clean - {node})
        self._suspect(node)

    def _is_clean(self, node: str) -> None:
        """The application's session at a node is gone, by our own doing or by the server's word."""
        if self.state.needs_reset(node):
            self.state = replace(self.state, clean=self.state.clean | {node}, left=self.state.left - {node})

    def _emptied(self, resource: Resource, event: ResourceEvent) -> Resource:
        """Something that is no longer there. What is lost or reset again soon after it was made is not made at once.

        The pause counts from its making: that is what must not happen too often. Were it to count from the loss, the
        pauses of what hangs on each other, lost together and noticed one after the other, would add up.
        """
        losses = resource.losses
        if resource.generation:
            soon = event in {ResourceEvent.LOST, ResourceEvent.OK} and self.now - resource.made_at < _SOON
            losses = losses + 1 if soon else 0
        wait = (
            pause(self.state.settings, FailureKind.SERVER, losses - 1, resource.key, resource.seq)
            if losses > 1
            else 0.0
        )
        return replace(
            resource,
            id=None,
            expires_at=None,
            outlasts=0.0,
            due=max(self.now, resource.made_at + wait),
            alter_due=self.now,
            contacts=frozenset(),
            unsure=frozenset(),
            generation=0,
            losses=losses,
        )

    def _lost_with(self, child: Key, parent: Key) -> None:
        """A session takes along what it holds. What a lost endpoint served is still on the server, and is removed."""
        resource = self.state.resources.get(child)
        if resource is None:  # its session was reset with the loss of a sibling, and nobody wants it any more
            return
        if parent.kind is not Kind.ENDPOINT:
            self._event(child, ResourceEvent.LOST)
        elif resource.phase in USABLE and resource.id is not None:
            self._leave(child, resource.id, resource.outlasts)
            self._event(child, ResourceEvent.LOST)
        elif resource.phase is Phase.MAKING:
            self._event(child, ResourceEvent.UNWANTED)  # it may yet come to life: then it is removed and made anew
        after = self.state.resources.get(child)
        if after is not None and after.phase is Phase.ABSENT and resource.phase is not Phase.ABSENT:
            # It was not lost by itself: the pause, if any, is that of what it hangs on.
            self._put(replace(after, losses=resource.losses, due=self.now))

    def _leave(self, key: Key, id: int, expires_at: float) -> None:  # noqa: A002  # the server's own word
        if expires_at > self.now:
            gone = Leftover(key.kind, key.node, key.user, id, expires_at, due=self.now)
            self._not_left(key, id)
            self.state = replace(self.state, leftovers=(*self.state.leftovers, gone))

    def _not_left(self, key: Key, id: int) -> None:  # noqa: A002  # the server's own word
        """An id that the server has just given: whatever bore it before is no more."""
        rest = tuple(each for each in self.state.leftovers if (*owner(each), each.id) != (*key[:3], id))
        if len(rest) != len(self.state.leftovers):
            self.state = replace(self.state, leftovers=rest)

    def _logged_out(self, key: Key) -> None:
        """Nothing can be left in a session that is logged out; the application user takes its end users along."""
        every = key.kind is Kind.APPLICATION
        leftovers = tuple(
            each
            for each in self.state.leftovers
            if each.node != key.node or not (every or session_of(Key(*owner(each))) == key)
        )
        if len(leftovers) != len(self.state.leftovers):
            self.state = replace(self.state, leftovers=leftovers)
        if every:
            self._is_clean(key.node)

    def _remove_leftovers(self) -> None:
        for leftover in self.state.leftovers:
            if self.now < leftover.due or not removable(leftover, self.state):
                continue
            seq = self._next_seq()
            under_way = replace(leftover, seq=seq)
            self.state = replace(
                self.state, leftovers=tuple(under_way if other is leftover else other for other in self.state.leftovers)
            )
            self.commands.append(Command(Act.REMOVE, Key(*owner(leftover)), seq, id=leftover.id, leftover=True))

    def _send(self, act: Act, key: Key) -> None:
        resource = replace(self.state.resources[key], seq=self._next_seq())
        command = Command(act, key, resource.seq, id=resource.id)
        if key.kind not in SESSIONS and act in {Act.MAKE, Act.RENEW}:
            command = replace(command, expires=self._life(key))
        if act is Act.MAKE:
            resource = replace(resource, unsure=frozenset())  # what an earlier try may have added is no more
        if act is Act.RENEW:
            resource = replace(resource, outlasts=max(resource.outlasts, self.now + self._life(key)))
        if key.kind is Kind.SUBSCRIPTION:
            endpoint = self.state.resources.get(Key(Kind.ENDPOINT, key.node))
            add, drop = self._difference(resource) if act in {Act.MAKE, Act.ALTER} else (frozenset(), frozenset())
            resource = replace(resource, unsure=resource.unsure | add | drop)
            command = replace(command, endpoint=endpoint.id if endpoint else None, add=add, drop=drop)
        held = resource.error is not None and resource.error.kind is FailureKind.HELD
        if act is Act.MAKE and held and self.state.settings.take_over:
            command = replace(command, force=True)
        self._put(resource)
        self.commands.append(command)

    def _difference(self, resource: Resource) -> tuple[frozenset[str], frozenset[str]]:
        """The contacts to add and to take out. Where both at once may be too many, room is made first."""
        want = contacts_of(resource.key, self.state)
        perhaps = resource.contacts | resource.unsure
        add, drop = want - (resource.contacts - resource.unsure), perhaps - want
        if drop and len(perhaps | add) > self.state.settings.contacts_per_subscription:
            add &= perhaps
        return add, drop

    def _current(self, key: Key, seq: int) -> Resource | None:
        resource = self.state.resources.get(key)
        if resource is None or resource.seq != seq or resource.phase not in UNDER_WAY:
            return None
        return resource

    def _heard(self, node: str, failure: Failure | None) -> None:
        if failure is not None and failure.kind in {FailureKind.UNREACHABLE, FailureKind.UNKNOWN_OUTCOME}:
            self.state = nodes.missed(self.state, node, failure, self.now)
        else:
            self.state = nodes.reached(self.state, node)

    def _life(self, key: Key) -> int:
        settings = self.state.settings
        return settings.endpoint_expires if key.kind is Kind.ENDPOINT else settings.subscription_expires

    def _next_seq(self) -> int:
        self.state = replace(self.state, seq=self.state.seq + 1)
        return self.state.seq

    def _put(self, resource: Resource) -> None:
        self.state = replace(self.state, resources={**self.state.resources, resource.key: resource})

    def _drop(self, key: Key) -> None:
        rest = {other: each for other, each in self.state.resources.items() if other != key}
        self.state = replace(self.state, resources=rest)
