"""One step in progress: the bookkeeping, and what follows from a change until nothing more is to be done.

What happened is applied by the subclass in `pws_soap.lifecycle.step`; here is what follows from it: transitions by the
table, what is lost along with something else, what is due, and the commands.
"""

from __future__ import annotations

from dataclasses import replace

from pws_soap.lifecycle import nodes
from pws_soap.lifecycle.backoff import pause
from pws_soap.lifecycle.plan import children, ready, removable, wanted
from pws_soap.lifecycle.table import PAUSED, SESSIONS, UNDER_WAY, USABLE, Act, Event, Kind, Phase, follow
from pws_soap.lifecycle.values import Command, Failure, Key, Leftover, Resource, State, Trouble

_SOON = 60.0
"""Seconds; what lives longer than this has not been lost again."""


class Work:
    """One step in progress. It lives for one call of `step`."""

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now
        self.commands: list[Command] = []

    def settle(self) -> None:
        """Compare what is wanted with what is there, until nothing changes."""
        if not self.state.stopping:
            self.state = nodes.leave_failed(self.state, self.now)
        alive = tuple(each for each in self.state.leftovers if each.expires_at > self.now)
        doubtful = tuple(each for each in self.state.doubtful if each.until > self.now)
        if len(alive) != len(self.state.leftovers) or len(doubtful) != len(self.state.doubtful):
            self.state = replace(self.state, leftovers=alive, doubtful=doubtful)
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
        phase, now = resource.phase, self.now
        if not is_wanted and not any(child in self.state.resources for child in children(key, self.state)):
            self._event(key, Event.UNWANTED)
            resource = self.state.resources.get(key)
            if resource is None or resource.phase is not phase:
                return
        if (
            resource.expires_at is not None
            and now >= resource.expires_at
            and phase not in {Phase.ABSENT, Phase.WAITING}
        ):
            self._event(key, Event.EXPIRED)
        elif phase in PAUSED:
            if now >= resource.due and (phase in {Phase.SUSPECT, Phase.LINGERING} or ready(key, self.state)):
                self._event(key, Event.READY)
        elif phase is Phase.LIVE and key.kind not in SESSIONS and now >= resource.due:
            self._event(key, Event.DUE)
        elif phase is Phase.LIVE and is_wanted and now >= resource.alter_due and self._differs(resource):
            self._event(key, Event.ALTERED)

    def _differs(self, resource: Resource) -> bool:
        return resource.key.kind is Kind.SUBSCRIPTION and resource.contacts != self._contacts(resource.key)

    def _event(self, key: Key, event: Event) -> None:
        resource = self.state.resources.get(key)
        if resource is None:
            return
        phase, act = follow(resource.phase, event)
        if phase is resource.phase and act is Act.NOTHING:
            return
        changed = replace(resource, phase=phase, since=self.now)
        if phase is Phase.ABSENT:
            changed = self._emptied(changed, event)
        elif phase is Phase.SUSPECT and event is Event.TAINTED:
            changed = replace(changed, due=self.now)
        if phase is Phase.GONE:
            self._drop(key)
        else:
            self._put(changed)
        if act is not Act.NOTHING:
            self._send(act, key)
        if resource.phase in USABLE and phase not in USABLE and event is not Event.UNWANTED:
            for child in children(key, self.state):
                self._lost_with(child, key)

    def _emptied(self, resource: Resource, event: Event) -> Resource:
        """Something that is no longer there. What is lost again soon after it was made is not made at once."""
        soon = event is Event.LOST and resource.generation and self.now - resource.made_at < _SOON
        losses = resource.losses + 1 if soon else 0
        wait = pause(self.state.settings, Trouble.SERVER, losses - 1, resource.key, resource.seq) if losses > 1 else 0.0
        return replace(
            resource,
            id=None,
            expires_at=None,
            due=self.now + wait,
            contacts=frozenset(),
            generation=0,
            losses=losses,
        )

    def _lost_with(self, child: Key, parent: Key) -> None:
        """A subscription of a lost endpoint is still on the server and is removed; a session takes its own along."""
        resource = self.state.resources[child]
        if parent.kind is Kind.ENDPOINT and resource.id is not None and resource.phase in USABLE:
            self._leave(child, resource.id, resource.expires_at or self.now + self._life(child))
        self._event(child, Event.LOST)

    def _leave(self, key: Key, id: int, expires_at: float) -> None:  # noqa: A002  # the server's own word
        gone = Leftover(key.kind, key.node, key.user, id, expires_at, due=self.now)
        self.state = replace(self.state, leftovers=(*self.state.leftovers, gone))

    def _remove_leftovers(self) -> None:
        for each in self.state.leftovers:
            if self.now < each.due or not removable(each, self.state):
                continue
            seq = self._next_seq()
            under_way = replace(each, seq=seq)
            self.state = replace(
                self.state, leftovers=tuple(under_way if other is each else other for other in self.state.leftovers)
            )
            key = Key(each.kind, each.node, each.user)
            self.commands.append(Command(Act.REMOVE, key, seq, id=each.id, leftover=True))

    def _send(self, act: Act, key: Key) -> None:
        resource = replace(self.state.resources[key], seq=self._next_seq())
        self._put(resource)
        command = Command(act, key, resource.seq, id=resource.id)
        if key.kind not in SESSIONS and act in {Act.MAKE, Act.RENEW}:
            command = replace(command, expires=self._life(key))
        if key.kind is Kind.SUBSCRIPTION:
            endpoint = self.state.resources.get(Key(Kind.ENDPOINT, key.node))
            want = self._contacts(key) if act in {Act.MAKE, Act.ALTER} else frozenset()
            have = resource.contacts if act is Act.ALTER else frozenset()
            command = replace(command, endpoint=endpoint.id if endpoint else None, add=want - have, drop=have - want)
        held = resource.error is not None and resource.error.trouble is Trouble.HELD
        if act is Act.MAKE and held and self.state.settings.take_over:
            command = replace(command, force=True)
        self.commands.append(command)

    def _current(self, key: Key, seq: int) -> Resource | None:
        resource = self.state.resources.get(key)
        if resource is None or resource.seq != seq or resource.phase not in UNDER_WAY:
            return None
        return resource

    def _heard(self, node: str, failure: Failure | None) -> None:
        if failure is not None and failure.trouble in {Trouble.UNREACHABLE, Trouble.UNKNOWN_OUTCOME}:
            self.state = nodes.missed(self.state, node, failure.text, self.now)
        else:
            self.state = nodes.reached(self.state, node)

    def _contacts(self, key: Key) -> frozenset[str]:
        user = self.state.users.get(key.user)
        return user.slots[key.slot] if user and key.slot < len(user.slots) else frozenset()

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
