"""The façade before a service that works on a faulty server, in virtual time: two promises, checked all along.

No program is ever told a state that was not the contact's at some moment since the service's own `as_of`. And once the
server works again, every program hears of whatever it was not told: nobody stays silent for good, although each does
nothing but fetch when it is notified.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pws_soap import PwsClient
from pws_soap.errors import Fault as Refusal
from pws_soap.memory import MemoryTransport, SentRequest
from pws_soap.models import Secret, Session, Subscription
from pws_soap.server import Presence, Watcher
from pws_soap.server import State as Wire
from pws_soap.server.messages import GetSubscribedPresence, Outcome, PresenceList
from pws_soap.server.node.operations import Admitted
from pws_soap.simulator import Fault, NodeCondition
from pws_soap.transport import Reply
from service.core.presence.freshness import last_known
from service.core.wiring import Core
from service.facade.caller import CALLER, Caller
from service.facade.facade import SoapFacade
from service.facade.settings import FacadeSettings, FacadeUser
from tests.support.virtual_office import BOUND, STATES, VirtualOffice, all_faults, names
from tests.support.virtual_time import run

CONTACTS = names(8)
HERE = "10.0.0.1"
UNSURE_AFTER = 30.0
USERS = {"programs": FacadeUser(Secret("p"), frozenset({"*"}))}


@dataclass
class Program:
    """Fetches when it is notified, and knows what it was told last."""

    pws: PwsClient
    session: Session
    subscription: Subscription
    rich: bool
    check: Callable[[Mapping[str, str]], None]
    knows: dict[str, str] = field(default_factory=dict)
    fetches: int = 0
    refused: int = 0

    async def fetch(self) -> None:
        self.fetches += 1
        try:
            told = await self.pws.get_subscribed_presence(self.session, self.subscription, rich=self.rich)
        except Refusal as wait:
            assert wait.code == 210  # noqa: PT017  # which says nothing of anybody
            self.refused += 1
            return
        for each in told:
            assert each.problem is None
            self.knows[each.contact] = str(each.state)
        self.check(self.knows)


class Checked:
    """The façade of an office, with a check on whatever it tells."""

    def __init__(self, office: RichOffice) -> None:
        assert office.engine is not None
        core = office.core
        self.office = office
        self.programs: dict[int, Program] = {}
        self.fetching: set[asyncio.Task[None]] = set()
        self.told = 0
        settings = FacadeSettings("http://facade", USERS, unsure_after=UNSURE_AFTER)
        self.facade = SoapFacade(settings, core, office.engine, notify=self.notify)
        self.ticking = asyncio.create_task(core.log.run())
        world = self.facade.world
        presence_of = world.presence_of

        def checked(contact: str, watcher: Watcher) -> Presence | None:
            presence = presence_of(contact, watcher)
            if presence is not None and presence.state is not Wire.UNKNOWN:
                record = office.store.get(contact)
                assert record is not None
                as_of = last_known(record, office.store.feeds()[record.feed])
                assert as_of is not None
                assert str(presence.state) in office._held(contact, as_of.monotonic)
                self.told += 1
            return presence

        world.presence_of = checked  # type: ignore[method-assign]
        node = self.facade.service.node
        carry_out = node.carry_out

        def carried_out(admitted: Admitted, now: float) -> Outcome:
            """After a fetch nothing that the program knows is in doubt, be it named or not."""
            outcome = carry_out(admitted, now)
            if isinstance(admitted.call, GetSubscribedPresence) and isinstance(outcome.reply, PresenceList):
                subscription = node.registry.subscriptions[admitted.call.subscription]
                for key in subscription.contacts.keys() - subscription.unknown:
                    record = office.store.get(key)
                    assert record is not None
                    assert world.is_live(record), key
            return outcome

        node.carry_out = carried_out  # type: ignore[method-assign]
        self.facade.start()

    def check(self, knows: Mapping[str, str]) -> None:
        """What a program knows after a fetch was so at some moment since the service's own `as_of`.

        That is said of those whom the fetch did not name, too: to the program they have not changed.
        """
        for contact, state in knows.items():
            record = self.office.store.get(contact)
            assert record is not None
            as_of = last_known(record, self.office.store.feeds()[record.feed])
            if state != "UNKNOWN" and as_of is not None:
                assert state in self.office._held(contact, as_of.monotonic), contact

    async def notify(self, url: str, registered_from: str | None) -> str:
        number = int(parse_qs(urlsplit(url).query)["id"][0])
        if number in self.programs:
            task = asyncio.create_task(self.programs[number].fetch())
            self.fetching.add(task)
            task.add_done_callback(self._fetched)
        return ""

    def _fetched(self, task: asyncio.Task[None]) -> None:
        self.fetching.discard(task)
        task.result()

    async def program(self, name: str, *contacts: str, rich: bool) -> Program:
        async def post(sent: SentRequest) -> Reply:
            CALLER.set(Caller(HERE))
            reply = await self.facade.service.answer(sent.body, sent.headers)
            return Reply(reply.status, reply.body)

        clock = self.office.clock
        pws = PwsClient(
            "http://facade:8083",
            transport=MemoryTransport(post),
            now=lambda: datetime.fromtimestamp(clock.now(), UTC),
        )
        application = await pws.login("programs", "p")
        session = await pws.login_end_user(application, name)
        endpoint = await pws.register_endpoint(application, f"http://{HERE}:8080/{name}", expires=86399)
        subscription = await pws.subscribe(session, endpoint, contacts, expires=86400)
        made = self.programs[subscription.id] = Program(pws, session, subscription, rich, self.check)
        await made.fetch()
        return made

    async def close(self) -> None:
        await asyncio.gather(*self.fetching)
        self.ticking.cancel()
        await asyncio.gather(self.ticking, return_exceptions=True)
        await self.facade.stop()
        await self.office.stop()


class RichOffice(VirtualOffice):
    """Its clients keep the documents, as those of a service with a façade do."""

    core: Core
    """What follows the store of the service that runs."""

    def follow_store(self) -> None:
        self.core = Core.of(self.store, self.clock, BOUND, {})

    def _connect(self, node: str) -> PwsClient:
        pws = super()._connect(node)
        pws._calls._keeps_documents = pws._calls._readings.keeps_documents = True
        return pws


@pytest.mark.parametrize("seed", [0, 1, 42, 45])  # the latter two tell a fetch that is silent about a doubt
def test_whatever_happens_nobody_is_told_wrong_and_nobody_stays_silent(seed: int) -> None:
    """Half an hour of changes and faults; then the server is well, and every program knows the truth."""
    dice = random.Random(seed)  # noqa: S311  # it chooses a story
    rich = seed % 2 == 1

    async def story() -> None:
        office = RichOffice(CONTACTS, ("imp1", "imp2"), rich=rich)
        office.start()
        checked = Checked(office)
        await office.heal()
        programs = [
            await checked.program("one", *CONTACTS, rich=rich),
            await checked.program("two", *CONTACTS[:3], rich=False),
        ]
        answers: list[int | None] = []
        for _ in range(60):
            office.change(dice.choice(CONTACTS), dice.choice(STATES))
            match dice.randrange(8):
                case 0 | 1:
                    kind = dice.choice(list(all_faults()))
                    more: dict[str, Any] = (
                        {"seconds": dice.choice([0.2, 5.0, 15.0])} if kind.startswith("delay") else {}
                    )
                    office.simulator.faults.add(Fault(kind, count=dice.randint(1, 3), **more))
                case 2:
                    office.simulator.kill_sessions()
                case 3:
                    office.simulator.forget(dice.choice(["subscriptions", "everything"]))
                case 4:
                    node = dice.choice(office.nodes)
                    office.simulator.set_state(node, dice.choice([NodeCondition.DOWN, NodeCondition.UP]))
                case 6:
                    await dice.choice(programs).fetch()
                case 5:
                    program = dice.choice(programs)
                    try:
                        await program.pws.get_polled_presence(program.session, [dice.choice(CONTACTS)])
                        answers.append(None)
                    except Refusal as wait:
                        answers.append(wait.code)
                case _:
                    pass
            await office.pass_time(dice.choice([0.5, 3.0, 20.0, 90.0]))
        for node in office.nodes:
            office.simulator.set_state(node, NodeCondition.UP)
        office.simulator.faults.clear()
        await office.heal()
        await office.pass_time(5)
        await asyncio.gather(*checked.fetching)
        truth = {contact: history[-1][1] for contact, history in office.truth.items()}
        assert programs[0].knows == truth
        assert programs[1].knows == {contact: truth[contact] for contact in CONTACTS[:3]}
        assert checked.told > 20
        assert all(program.fetches > program.refused for program in programs)
        assert set(answers) <= {None, 210}
        await checked.close()

    run(story())
