"""What the result of a command means: for the resource it was about, and for all that hangs on it."""

from __future__ import annotations

from dataclasses import replace

from pws_soap.lifecycle import nodes
from pws_soap.lifecycle.adoption import adopted, waiting_sessions
from pws_soap.lifecycle.backoff import pause, renewal
from pws_soap.lifecycle.events import Failed, LoginRedirected, Removed, Succeeded
from pws_soap.lifecycle.plan import contacts_of, owner, parents, session_of, wanted
from pws_soap.lifecycle.table import SESSIONS, USABLE, Kind, Phase, ResourceEvent
from pws_soap.lifecycle.values import (
    LOST_OF,
    Failure,
    FailureKind,
    Key,
    NodeHealth,
    Resource,
)
from pws_soap.lifecycle.work import StepInProgress


class Results(StepInProgress):
    """A step that takes in the result of a command."""

    def succeeded(self, event: Succeeded) -> None:
        key = event.key
        self.state = nodes.reached(self.state, key.node)
        resource = self._current(key, event.seq)
        if resource is None:
            if event.id is not None and not self._those_with(key, event.id):
                # made after all, but no longer waited for: remove it
                self._leave(key, event.id, event.asked_at + self._life(key))
            return
        made = resource.phase in {Phase.MAKING, Phase.LEAVING}
        changed = replace(resource, failures=0, error=None)
        if made:
            changed = replace(changed, generation=event.seq, id=event.id, made_at=self.now)
        if key.kind not in SESSIONS and (made or resource.phase is Phase.RENEWING):
            life = self._life(key)
            expires_at = event.asked_at + life
            due = event.asked_at + renewal(self.state.settings, life, key, event.seq)
            changed = replace(changed, expires_at=expires_at, outlasts=expires_at, due=due)
        if event.contacts is not None:
            want = contacts_of(key, self.state)  # the very set where it is the same: it is compared at every step
            changed = replace(changed, contacts=want if event.contacts == want else event.contacts, unsure=frozenset())
        if failure := event.failure:
            alter_due = self.now + pause(self.state.settings, failure.kind, 1, key, event.seq)
            unsure = resource.unsure - changed.contacts
            changed = replace(changed, alter_due=alter_due, error=failure, unsure=unsure)
        self._put(changed)
        if made and not self._holds(changed):
            self._event(key, ResourceEvent.LOST)
        else:
            self._event(key, ResourceEvent.OK)
        if key.kind in SESSIONS:
            if made:
                self._adopt(key, is_handed_over=event.is_handed_over)
                self._logged_in(key, event.backup)
            else:
                self._logged_out(key)
        elif event.failure is not None and event.failure.may_have_acted:
            self._taint(session_of(key), event.failure)

    def _adopt(self, key: Key, *, is_handed_over: bool) -> None:
        """Go on with what lives in a session that was just begun, if it is the one that was handed over."""
        if key not in waiting_sessions(key.node, self.state):
            return
        if not is_handed_over:
            self._give_adoption_up(key.node)
            return
        found = [each for each in self.state.adoptable if session_of(each.key) == key]
        rest = tuple(each for each in self.state.adoptable if session_of(each.key) != key)
        self.state = replace(self.state, adoptable=rest)
        for each in found:
            self._put(adopted(each, self.state, self._next_seq(), self.now))
        if key.kind is Kind.APPLICATION:
            self.state = replace(self.state, clean=self.state.clean | {key.node})

    def _holds(self, made: Resource) -> bool:
        """Whether what was just made can be relied on."""
        if made.id is None:
            return True
        if made.outlasts <= self.now:
            return False  # the machine has slept meanwhile
        others = [each for each in self._those_with(made.key, made.id) if each.key != made.key]
        if others:
            # The server has forgotten one of them and given its id again: to begin anew is the one way to tell them
            # apart.
            text = f"the server gave id {made.id} twice"
            until = max(each.outlasts for each in (made, *others))
            for other in others:
                self._lose(other.key, Failure(FailureKind.SUBSCRIPTION_LOST, text))
            self._leave(made.key, made.id, until)
            return False
        self._not_left(made.key, made.id)
        return True

    def _those_with(self, key: Key, id: int) -> list[Resource]:  # noqa: A002  # the server's own word
        return [each for each in self.state.resources.values() if each.id == id and each.key[:3] == key[:3]]

    def _logged_in(self, key: Key, backup: str | None) -> None:
        if key.kind is Kind.APPLICATION:
            named = nodes.named(backup, key.node, self.state.settings)
            health = replace(self.state.nodes.get(key.node, NodeHealth()), backup=named)
            self.state = replace(self.state, nodes={**self.state.nodes, key.node: health})
            if self.state.needs_reset(key.node):
                self._event(key, ResourceEvent.TAINTED)
        elif (user := self.state.users.get(key.user)) and user.node == key.node:
            named = nodes.named(backup, key.node, self.state.settings) or user.backup
            users = {**self.state.users, key.user: replace(user, path=(), tours=0, backup=named)}
            self.state = replace(self.state, users=users)

    def failed(self, event: Failed) -> None:
        key, failure = event.key, event.failure
        self._heard(key.node, failure)
        resource = self._current(key, event.seq)
        if resource is None:
            return  # had it made anything, that went with the session that it was sent in
        if resource.phase in {Phase.REMOVING, Phase.RESETTING}:
            self._removal_failed(resource, failure)
            return
        self.ended = key
        made = resource.phase in {Phase.MAKING, Phase.LEAVING}
        gone = LOST_OF.get(failure.kind, frozenset())
        if key.kind in gone and not made:
            self._lose(key, failure)
        elif parent := next((each for each in parents(key) if each.kind in gone), None):
            if made:
                self._lose(key, failure)  # the server said no: it was not made
            self._blame(parent, failure, event.seq)  # and `key` is lost with it
        else:
            self._fail(resource, failure)
            if key.kind in SESSIONS:  # a login that is asked for again gives the same session
                if key.kind is Kind.APPLICATION and resource.phase is Phase.LEAVING and failure.may_have_acted:
                    self._suspect(key.node)  # nobody asks again: it may be there, and nobody logs it out
                return
            if failure.may_have_acted and (made or resource.phase is Phase.ALTERING):
                self._taint(session_of(key), failure)
            elif resource.phase is Phase.MAKING and failure.kind is FailureKind.EXHAUSTED:
                self._reclaim(key, failure)

    def _reclaim(self, key: Key, failure: Failure) -> None:
        """The server has no room. What we know of has been swept: a reset frees what we have forgotten, once.

        It costs nothing that works: what could not be made is the only thing in the session, or another one of the same
        end user. After that only the operator can help, or time.
        """
        session = self.state.resources.get(session_of(key))
        known = any(session_of(Key(*owner(each))) == session_of(key) for each in self.state.leftovers)
        if session is None or known:
            return
        last = session.reclaimed_at
        if last is None or self.now - last >= self.state.settings.reclaim_after:
            self._put(replace(session, reclaimed_at=self.now))
            self._put(replace(self.state.resources[key], due=self.now))
            self._taint(session.key, failure)

    def _lose(self, key: Key, failure: Failure) -> None:
        self._put(replace(self.state.resources[key], error=failure))
        self._event(key, ResourceEvent.LOST)
        if key.kind is Kind.APPLICATION:
            self._is_clean(key.node)

    def _blame(self, key: Key, failure: Failure, seq: int) -> None:
        """What request `seq` needed is lost, unless that has been noticed before, and it is another one by now."""
        resource = self.state.resources.get(key)
        if resource is not None and resource.phase in USABLE and resource.generation < seq:
            self._lose(key, failure)

    def _fail(self, resource: Resource, failure: Failure) -> None:
        failures = resource.failures + 1
        wait = pause(self.state.settings, failure.kind, failures, resource.key, resource.seq)
        later = self.now + wait
        due, alter_due = resource.due, resource.alter_due
        due, alter_due = (due, later) if resource.phase is Phase.ALTERING else (later, alter_due)
        self._put(replace(resource, failures=failures, error=failure, due=due, alter_due=alter_due))
        self._event(resource.key, ResourceEvent.FAILED)

    def _removal_failed(self, resource: Resource, failure: Failure) -> None:
        """What the server no longer knows is removed; what goes with its session anyway is not tried again."""
        key, session = resource.key, session_of(resource.key)
        gone = LOST_OF.get(failure.kind, frozenset())
        if key.kind in gone:
            self._lose(key, failure)
        elif session.kind in gone:
            self._event(key, ResourceEvent.LOST)
            self._blame(session, failure, resource.seq)
        elif resource.phase is Phase.REMOVING and session != key and session not in wanted(self.state):
            self._event(session, ResourceEvent.TAINTED)
            self._event(key, ResourceEvent.LOST)
        else:
            if resource.expires_at is None and resource.phase is Phase.REMOVING:
                settings = self.state.settings
                tried = max(settings.linger, settings.endpoint_expires, settings.subscription_expires)
                self._put(replace(resource, expires_at=self.now + tried))
            self._fail(self.state.resources[key], failure)

    def redirected(self, event: LoginRedirected) -> None:
        key = event.key
        self.state = nodes.reached(self.state, key.node)
        resource = self._current(key, event.seq)
        if resource is None:
            return
        user = self.state.users.get(key.user)
        if key.kind is not Kind.END_USER:
            self._fail(resource, Failure(FailureKind.SERVER, "redirected, which only end users are"))
            return
        if user is not None and user.node == key.node:
            names = event.primary, event.backup
            self.state, why = nodes.redirected(self.state, key.user, *names, self.now)
            if why is not None:
                tours = self.state.users[key.user].tours
                self._fail(replace(resource, failures=max(resource.failures, tours - 1)), why)
                return
        elif key in wanted(self.state):
            # The login was only to remove what an earlier run left there, and the user is at home elsewhere by now.
            # What it left goes with the application user's session instead.
            self._event(key, ResourceEvent.LOST)
            self._event(session_of(key), ResourceEvent.TAINTED)
            return
        self._event(key, ResourceEvent.LOST)

    def removed(self, event: Removed) -> None:
        failure = event.failure
        each = next((each for each in self.state.leftovers if each.seq == event.seq), None)
        if each is None:
            return
        self._heard(each.node, failure)
        key = Key(*owner(each))
        rest = [other for other in self.state.leftovers if other is not each]
        gone = LOST_OF.get(failure.kind, frozenset()) if failure else frozenset()
        if failure is not None and key.kind not in gone and session_of(key).kind not in gone:
            wait = pause(self.state.settings, failure.kind, each.failures + 1, key, each.seq)
            rest.append(replace(each, seq=0, failures=each.failures + 1, due=self.now + wait))
        self.state = replace(self.state, leftovers=tuple(rest))
        if failure is not None and session_of(key).kind in gone:
            self._blame(session_of(key), failure, each.seq)
