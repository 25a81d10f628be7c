"""The model of take-overs: a lease that may be over at any moment, and an owner that does not know it.

The old owner goes on fetching until the server refuses its key. Nothing is made without the lease, but what was sent
with it may be executed long after. Replies are lost, requests wait in the server, the engine may forget a take-over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from tests.model.explorer import Explored, Move, explore
from tests.model.takeover_values import (
    NEVER,
    NOBODY,
    Asked,
    Call,
    Cluster,
    HandedOver,
    HandOverRule,
    Outcome,
    Replica,
    Said,
    TakeOverRule,
    TakeOverRules,
)

_NAMES = ("A", "B")
_WORDS = {
    Call.LOGIN: "log in",
    Call.LOGOUT: "log out key {key}",
    Call.REMOVE: "remove subscription {id} under key {key}",
    Call.SUBSCRIBE: "subscribe under key {key}",
    Call.FETCH: "fetch subscription {id} under key {key}",
    Call.POLL: "poll under key {key}",
}
_BEGIN = (Call.LOGIN, Call.SUBSCRIBE)
_RESET = (Call.LOGIN, Call.LOGOUT, *_BEGIN)


def words(asked: Asked) -> str:
    """What a request asks for."""
    return _WORDS[asked.call].format(key=asked.key, id=asked.id)


def answer(outcome: Outcome) -> str:
    """What the server said."""
    if outcome.said is Said.NO_SESSION:
        return "101, no such session"
    if outcome.said is Said.NO_SUBSCRIPTION:
        return "133, no such subscription"
    if outcome.key:
        return f"key {outcome.key}"
    if outcome.id:
        return f"subscription {outcome.id}"
    return "nothing new" if outcome.state == NEVER else f"state {outcome.state}"


@dataclass(frozen=True)
class TakeOverModel:
    """The model with its rules and bounds."""

    rules: TakeOverRules = field(default_factory=TakeOverRules)

    def __str__(self) -> str:
        rules = self.rules
        return (
            f"{rules.after.value}; adopts: {rules.hand_over.value}; {rules.changes} changes, {rules.tenures} tenures, "
            f"{rules.losses} lost, {rules.rewinds} rewinds, {rules.oblivions} leases forgotten"
        )

    def explore(self, most: int = 5_000_000) -> Explored:
        """Explore until a state is wrong, or completely."""
        return explore(self.start(), self.moves, self.wrong, most=most)

    def start(self) -> Cluster:
        """Nobody owns, and the server has nothing of ours."""
        rules = self.rules
        left = rules.changes, rules.tenures, rules.losses, rules.rewinds, rules.oblivions
        return Cluster(0, 0, 0, (), NOBODY, 0, None, None, (), (Replica(), Replica()), *left)

    def wrong(self, world: Cluster) -> str | None:
        """The promise: what is called live was true at some moment since its `as_of`."""
        for name, replica in zip(_NAMES, world.replicas, strict=True):
            if replica.shown != NEVER and replica.shown < replica.as_of:
                return f"{name} calls {replica.shown} live, which was {replica.as_of} at `as_of`"
        return None

    def moves(self, world: Cluster) -> Iterator[Move[Cluster]]:
        """What may happen next."""
        for who, replica in enumerate(world.replicas):
            for asked in (replica.control, replica.reading):
                if asked is None:
                    continue
                name, text = _NAMES[who], words(asked)
                if asked.outcome is not None:
                    yield Move(
                        f"{name} receives the reply to {text!r}: {answer(asked.outcome)}", self._read(world, who, asked)
                    )
                else:
                    after, outcome = _executed(world, asked)
                    done = _with(after, who, _replaced(replica, asked, asked._replace(outcome=outcome)))
                    yield Move(f"the server executes for {name}: {text}", done)
                if world.losses:
                    lost = _abandoned(world, who, asked)._replace(losses=world.losses - 1)
                    yield Move(f"{name} gives up: {text}", self._unknown(lost, who, asked), True)
            yield from self._sent(world, who)
        for place, (who, asked) in enumerate(world.late):
            rest = world._replace(late=world.late[:place] + world.late[place + 1 :])
            after, outcome = _executed(rest, asked)
            took = f" (takes {outcome.state})" if outcome.state != NEVER else ""
            yield Move(f"the server executes for {_NAMES[who]}, who has given up: {words(asked)}{took}", after, True)
        yield from self._leases(world)
        if world.changes:
            told = tuple((number, True) for number, _ in world.subs)
            after = world._replace(truth=world.truth + 1, subs=told, changes=world.changes - 1)
            yield Move(f"the contact changes to {after.truth}", after, True)

    def _leases(self, world: Cluster) -> Iterator[Move[Cluster]]:
        for who, replica in enumerate(world.replicas):
            if replica.owns and who != world.lease:
                yield Move(
                    f"{_NAMES[who]} hears that it owns nothing", _with(world, who, replica._replace(owns=False)), True
                )
        if world.lease != NOBODY:
            owner = world.replicas[world.lease]
            name, other = _NAMES[world.lease], 1 - world.lease
            if world.tenures:
                over = _with(world, world.lease, owner._replace(owns=False))._replace(lease=NOBODY)
                yield Move(f"the lease of {name} is over, which goes on reading", over, True)
            if world.oblivions and world.tenures:
                after = world._replace(lease=NOBODY, oblivions=world.oblivions - 1)
                yield Move(f"the engine forgets the lease of {name}, which does not know it", after, True)
            is_quiet = owner.control is None and owner.reading is None and not owner.plan
            is_quiet = is_quiet and all(who != world.lease for who, _ in world.late)
            if self.rules.hand_over is not HandOverRule.NOBODY and is_quiet and owner.sub and world.tenures:
                number = self.rules.tenures - world.tenures
                left = HandedOver(other, owner.sub, owner.key, number, owner.shown, owner.as_of)
                after = _with(world, world.lease, Replica())._replace(lease=NOBODY, handed=left, released=left)
                yield Move(f"{name} hands over to {_NAMES[other]}", after, True)
            if world.rewinds and world.released is not None and world.handed is None:
                after = world._replace(lease=NOBODY, handed=world.released, rewinds=world.rewinds - 1)
                yield Move("the engine goes back to the hand-over", after, True)
        elif world.tenures:
            for who in range(2):
                yield self._taken(world._replace(tenures=world.tenures - 1), who)

    def _taken(self, world: Cluster, who: int) -> Move[Cluster]:
        replica, handed, name = world.replicas[who], world.handed, _NAMES[who]
        for asked in (replica.control, replica.reading):
            if asked is not None:
                world = _abandoned(world, who, asked)
        world = world._replace(lease=who, handed=None)
        fresh = Replica(used=replica.used, owns=True)
        if handed is not None and self._may_adopt(handed, who, replica):
            expects = handed.key if self.rules.hand_over is HandOverRule.SAME_KEY else 0
            adopted = fresh._replace(plan=(Call.LOGIN,), sub=handed.sub, used=handed.number, expects=expects)
            adopted = adopted._replace(shown=handed.shown, as_of=handed.as_of)
            return Move(
                f"{name} takes the lease and goes on with subscription {handed.sub}", _with(world, who, adopted)
            )
        if world.remembered == 0 and world.keys == 0:
            return Move(f"{name} takes the lease, the first one", _with(world, who, fresh._replace(plan=_BEGIN)))
        match self.rules.after:
            case TakeOverRule.RESET:
                begun = fresh._replace(plan=_RESET)
            case TakeOverRule.ADOPT if world.remembered:
                begun = fresh._replace(plan=(Call.LOGIN,), sub=world.remembered)
            case TakeOverRule.CLEAN_UP if world.remembered:
                begun = fresh._replace(plan=(Call.LOGIN, Call.REMOVE, Call.SUBSCRIBE), sub=world.remembered)
            case _:
                begun = fresh._replace(plan=_BEGIN)
        return Move(f"{name} takes the lease, to {self.rules.after.value}", _with(world, who, begun))

    def _may_adopt(self, handed: HandedOver, who: int, replica: Replica) -> bool:
        match self.rules.hand_over:
            case HandOverRule.ANYBODY:
                return True
            case HandOverRule.NAMED:
                return handed.to == who
            case HandOverRule.NAMED_ONCE | HandOverRule.SAME_KEY:
                return handed.to == who and handed.number > replica.used
            case HandOverRule.NOBODY:
                return False

    def _sent(self, world: Cluster, who: int) -> Iterator[Move[Cluster]]:
        """Make, with the lease; read, with a key in hand."""
        replica = world.replicas[who]
        if replica.control is not None:
            return
        if replica.plan:
            if replica.owns:
                asked = Asked(replica.plan[0], replica.key, replica.sub if replica.plan[0] is Call.REMOVE else 0)
                after = replica._replace(control=asked)
                yield Move(f"{_NAMES[who]} sends: {words(asked)}", _with(world, who, after))
        elif replica.key and replica.sub and replica.reading is None:
            call = Call.POLL if replica.fetched and replica.shown == NEVER else Call.FETCH
            asked = Asked(call, replica.key, replica.sub if call is Call.FETCH else 0, world.truth)
            yield Move(f"{_NAMES[who]} sends: {words(asked)}", _with(world, who, replica._replace(reading=asked)))

    def _read(self, world: Cluster, who: int, asked: Asked) -> Cluster:
        replica, outcome = _replaced(world.replicas[who], asked, None), asked.outcome
        assert outcome is not None
        if outcome.said is not Said.DONE and asked.call is not Call.LOGOUT and asked.call is not Call.REMOVE:
            return self._refused(world, who, outcome.said)
        match asked.call:
            case Call.FETCH | Call.POLL:
                shown = replica.shown if outcome.state == NEVER else outcome.state
                replica = replica._replace(fetched=True, shown=shown)
                if shown != NEVER:
                    replica = replica._replace(as_of=max(replica.as_of, asked.began))
            case Call.LOGIN:
                replica = replica._replace(key=outcome.key)
            case Call.LOGOUT:
                replica = replica._replace(key=0)
            case Call.REMOVE:
                replica = replica._replace(sub=0)
            case Call.SUBSCRIBE:
                replica = replica._replace(sub=outcome.id)
        if asked.call in {Call.FETCH, Call.POLL}:
            return _with(world, who, replica)
        replica = replica._replace(plan=replica.plan[1:])
        if not replica.owns:  # its deadline is over: it uses nothing that it was given since
            return _with(world, who, Replica(used=replica.used))
        if asked.call is Call.LOGIN and replica.expects not in {0, replica.key}:
            replica = replica._replace(plan=_RESET[1:], sub=0, shown=NEVER)
        replica = replica._replace(expects=0)
        if asked.call is Call.SUBSCRIBE:
            world = world._replace(remembered=outcome.id)
        return _with(world, who, replica)

    def _refused(self, world: Cluster, who: int, said: Said) -> Cluster:
        """The key or the subscription is gone: with the lease it is made anew."""
        replica = world.replicas[who]
        fresh = Replica(used=replica.used, owns=replica.owns)
        if replica.owns:
            again = said is Said.NO_SUBSCRIPTION
            fresh = fresh._replace(plan=(Call.SUBSCRIBE,), key=replica.key) if again else fresh._replace(plan=_BEGIN)
        return _with(world, who, fresh)

    def _unknown(self, world: Cluster, who: int, asked: Asked) -> Cluster:
        """A request of unknown outcome: with the lease the session is reset, without it nothing more is read."""
        replica = world.replicas[who]
        for other in (replica.control, replica.reading):
            if other is not None and other is not asked:
                world = _abandoned(world, who, other)
        return _with(world, who, Replica(plan=_RESET if replica.owns else (), used=replica.used, owns=replica.owns))


def _executed(world: Cluster, asked: Asked) -> tuple[Cluster, Outcome]:
    """What the server does: an unforced login gives the key that is there, a logout destroys all in the session, an id
    is the lowest free one, a change is told once."""
    if asked.call is Call.LOGIN:
        if not world.key:
            world = world._replace(key=world.keys + 1, keys=world.keys + 1)
        return world, Outcome(key=world.key)
    if asked.key != world.key:
        return world, Outcome(Said.NO_SESSION)
    subs = dict(world.subs)
    match asked.call:
        case Call.LOGOUT:
            late = tuple(each for each in world.late if each[1].key != world.key)
            return world._replace(key=0, subs=(), late=late), Outcome()
        case Call.SUBSCRIBE:
            new = next(number for number in count(1) if number not in subs)
            subs[new] = True
            return world._replace(subs=tuple(sorted(subs.items()))), Outcome(id=new)
        case Call.POLL:
            return world, Outcome(state=world.truth)
    if asked.id not in subs:
        return world, Outcome(Said.NO_SUBSCRIPTION)
    if asked.call is Call.REMOVE:
        del subs[asked.id]
        return world._replace(subs=tuple(sorted(subs.items()))), Outcome()
    is_new, subs[asked.id] = subs[asked.id], False
    return world._replace(subs=tuple(sorted(subs.items()))), Outcome(state=world.truth if is_new else NEVER)


def _abandoned(world: Cluster, who: int, asked: Asked) -> Cluster:
    """Nobody waits for it any more. If it was not executed yet, it still may be."""
    matters = asked.call is not Call.POLL and (asked.call is Call.LOGIN or asked.key == world.key)
    if asked.outcome is not None or not matters:
        return world
    return world._replace(late=tuple(sorted((*world.late, (who, asked)))))


def _replaced(replica: Replica, asked: Asked, by: Asked | None) -> Replica:
    return replica._replace(control=by) if asked is replica.control else replica._replace(reading=by)


def _with(world: Cluster, who: int, replica: Replica) -> Cluster:
    other = world.replicas[1 - who]
    return world._replace(replicas=(replica, other) if who == 0 else (other, replica))
