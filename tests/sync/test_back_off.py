"""A server is never hammered, under a virtual clock: pauses grow whatever alternation of failures comes.

A fetch may succeed and leave contacts in doubt, the poll that follows may fail and lead to the next fetch: neither may
end the other's pause. After the first reply that leaves nothing in doubt all is as prompt as before.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle, product, repeat

import pytest
from _pytest.mark.structures import ParameterSet

from pws_soap.errors import Disconnected, PwsError
from pws_soap.memory import SentRequest
from pws_soap.simulator import State as Wire
from pws_soap.transport import Reply
from tests.support.virtual_office import VirtualOffice, names
from tests.support.virtual_time import run

FETCH = "getSubscribedPresence"
POLL = "getPolledPresence"
MINUTES = 10
MOST = 110
"""Requests of one kind in `MINUTES` for each end user: about 9 while a pause grows to 30 seconds, of which chance takes
up to half away, and from then on at most four a minute by themselves, and as many that the other kind leads to."""
CONTACTS = names(3)

Outcome = Callable[[str], Reply | PwsError]
"""What comes in place of a reply to an operation."""


def listed(operation: str, *entries: str, rich: bool = False) -> Reply:
    """A reply of presence with these entries."""
    kind, tag = ("RICH_PRESENCE", "richPresenceList") if rich else ("BASIC_PRESENCE", "basicPresenceList")
    return enveloped(
        f"<p:{operation}Response><p:presenceResponse><p:presenceType>{kind}</p:presenceType>"
        f"<p:{tag}>{''.join(entries)}</p:{tag}></p:presenceResponse></p:{operation}Response>"
    )


def enveloped(content: str, status: int = 200) -> Reply:
    return Reply(
        status,
        (
            '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:p="urn:cisco:cup:presence:soap">'
            f"<e:Body>{content}</e:Body></e:Envelope>"
        ).encode(),
    )


def entry(contact: str, state: str = "BUSY") -> str:
    return f'<p:contact contactURI="{contact}" presenceStatus="{state}"/>'


def fault(code: int) -> Reply:
    return enveloped(
        "<e:Fault><faultcode>e:Server</faultcode><faultstring>x</faultstring><detail><p:description>"
        f"<p:code>{code}</p:code><p:message>m</p:message><p:fix>f</p:fix></p:description></detail></e:Fault>",
        500,
    )


ALL = entry(CONTACTS[0]) + entry(CONTACTS[1], "AVAILABLE") + entry(CONTACTS[2], "AVAILABLE")
"""The truth: the first contact has become busy."""
FETCHED: dict[str, Outcome] = {
    "a stranger": lambda operation: listed(operation, ALL, entry("zed@example.com")),
    "nobody": lambda operation: listed(operation, ALL, '<p:contact presenceStatus="BUSY"/>'),
    "twins": lambda operation: listed(operation, ALL, entry(CONTACTS[0], "AWAY")),
    "no state": lambda operation: listed(operation, ALL, entry(CONTACTS[0], "LURKING")),
    "an unreadable document": lambda operation: listed(
        operation, f'&lt;presence entity="sip:{CONTACTS[0]}"&gt;&lt;1x&gt;&lt;/presence&gt;', rich=True
    ),
}
"""Replies to a fetch that leave contacts in doubt."""
POLLED: dict[str, Outcome] = {
    "a page": lambda _operation: Reply(502, b"<html><body>Bad Gateway</body></html>"),
    "a reset": lambda operation: Disconnected("the connection broke", node="imp1", operation=operation),
    "nothing": lambda operation: enveloped(f"<p:{operation}Response><p:presenceResponse/></p:{operation}Response>"),
    "an unknown code": lambda _operation: fault(999),
    "a throttle": lambda _operation: fault(210),
    "a lost session": lambda _operation: fault(101),
    "a stranger": lambda operation: listed(operation, entry("zed@example.com")),
}
"""Replies to a poll that settle nobody."""


class Hostile(VirtualOffice):
    """An office whose server answers what it is told to."""

    outcomes: dict[str, Iterator[Outcome]]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.outcomes = {}
        self.sent: Counter[str] = Counter()

    async def _post(self, sent: SentRequest) -> Reply | PwsError:
        self.sent[sent.operation] += 1
        reply = await super()._post(sent)
        outcome = self.outcomes.get(sent.operation)
        return reply if outcome is None else next(outcome)(sent.operation)

    async def endure(self, fetched: Iterator[Outcome], polled: Iterator[Outcome]) -> Counter[str]:
        """Let a change come while each reply is one of these; what was sent in `MINUTES`."""
        self.start()
        await self.heal()
        await self.pass_time(5)
        self.outcomes = {FETCH: fetched, POLL: polled}
        before = self.sent.copy()
        self.change(self.contacts[0], Wire.BUSY)
        await self.pass_time(60.0 * MINUTES, step=5.0)
        return self.sent - before

    async def recover(self) -> None:
        """The server works again: all is live within the longest pause, and the next change at once."""
        self.outcomes = {}
        await self.heal()
        await self.pass_time(5)
        for state in (Wire.DND, Wire.AWAY):
            self.change(self.contacts[0], state)
            assert await self.heal() <= 1.0


def pairs() -> list[ParameterSet]:
    """Each with each; every day only as many as it takes to have each of them once."""
    everyday = set(zip(cycle(FETCHED), POLLED, strict=False))
    in_ci = pytest.mark.long(ci=True)
    return [pytest.param(*pair, marks=() if pair in everyday else in_ci) for pair in product(FETCHED, POLLED)]


@pytest.mark.parametrize(("fetched", "polled"), pairs())
def test_a_fetch_that_leaves_doubts_and_a_poll_that_settles_none_do_not_end_each_others_pause(
    fetched: str, polled: str
) -> None:
    async def story() -> None:
        office = Hostile(CONTACTS, rich="document" in fetched)
        sent = await office.endure(repeat(FETCHED[fetched]), repeat(POLLED[polled]))
        assert sent[POLL] > 5  # it has not given up either
        assert sent.total() <= 4 * MOST, sent
        assert max(sent.values()) <= MOST, sent
        await office.recover()

    run(story())


@pytest.mark.parametrize("seed", range(4))
def test_no_alternation_of_failures_ends_the_pauses(seed: int) -> None:
    """Each reply is another one, by chance, and fetches fail as polls do."""

    async def story() -> None:
        chance = random.Random(seed)  # noqa: S311  # chooses outcomes, guards nothing
        fetches = [*FETCHED.values(), *POLLED.values()]
        polls = list(POLLED.values())
        office = Hostile(CONTACTS)
        sent = await office.endure(iter(lambda: chance.choice(fetches), None), iter(lambda: chance.choice(polls), None))
        assert max(sent.values()) <= 2 * MOST, sent
        await office.recover()

    run(story())


def test_a_fetch_that_succeeds_in_turn_with_one_that_fails_does_not_end_the_pauses() -> None:
    async def story() -> None:
        office = Hostile(CONTACTS)
        fetched = cycle([FETCHED["a stranger"], POLLED["a throttle"]])
        sent = await office.endure(fetched, repeat(POLLED["a page"]))
        assert max(sent.values()) <= MOST, sent
        await office.recover()

    run(story())


def test_many_subscriptions_of_a_node_do_not_end_each_others_pauses() -> None:
    """A poll that fails checks all of them: each with pauses that grow for the node as a whole."""

    async def story() -> None:
        users = tuple(f"user{number}" for number in range(8))
        office = Hostile(names(16), users=users)
        sent = await office.endure(repeat(FETCHED["a stranger"]), repeat(POLLED["a reset"]))
        assert sent[FETCH] <= len(users) * MOST, sent
        assert sent[POLL] <= len(users) * MOST, sent
        await office.recover()

    run(story())
