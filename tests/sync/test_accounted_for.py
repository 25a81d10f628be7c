"""What becomes of contacts while fetches bring replies that may say more than they name, under a virtual clock.

The promise is checked at every step: no answer is live and wrong. The reply hides a change that the server considers
told, so no further fetch brings it: only a poll does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from pws_soap.errors import PwsError
from pws_soap.memory import SentRequest
from pws_soap.simulator import Fault, Options
from pws_soap.simulator import State as Wire
from pws_soap.transport import Reply
from service.core.presence.freshness import Level, assess
from tests.support.virtual_office import BOUND, VirtualOffice, names
from tests.support.virtual_time import run

FETCH = "getSubscribedPresence"
POLL = "getPolledPresence"
LISTS = ("<ns1:richPresenceList>", "</ns1:richPresenceList>")


@dataclass
class Gateway(VirtualOffice):
    """The office behind a gateway that rewrites replies to fetches."""

    rewrite: Callable[[str], str] | None = None
    rewritten: list[str] = field(default_factory=list)

    async def _post(self, sent: SentRequest) -> Reply | PwsError:
        reply = await super()._post(sent)
        if self.rewrite is None or sent.operation != FETCH or not isinstance(reply, Reply):
            return reply
        body = self.rewrite(reply.body.decode())
        self.rewritten.append(body)
        return replace(reply, body=body.encode())

    def levels(self) -> set[Level]:
        """The freshness of all contacts."""
        now, feeds = self.clock.monotonic(), self.store.feeds()
        return {assess(record, feeds[record.feed], now, BOUND).level for record in self.store.records()}


def instead(content: str, attributes: str = "") -> Callable[[str], str]:
    """A rich reply with this in its list, and nothing of what was there."""

    def rewrite(body: str) -> str:
        before, _, rest = body.partition(LISTS[0])
        _, _, behind = rest.partition(LISTS[1])
        return f"{before}{LISTS[0][:-1]}{attributes}>{content}{LISTS[1]}{behind}"

    return rewrite


def nested(body: str) -> str:
    """The last document of a reply lies in the one before it."""
    first, end, rest = body.partition("</presence>")
    second, _, behind = rest.partition("</presence>")
    return f"{first}<x>{second}{end}</x>{end}{behind}" if second.startswith("<presence") else body


SHAPES: dict[str, Callable[[str], str]] = {
    "an escaped error": instead("&lt;error code='x'/&gt;"),
    "an error in CDATA": instead("<![CDATA[<more/>]]>"),
    "an attachment": instead("", " href='cid:1'"),
    "a list that is nil": instead("", ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"'),
    "a list in a list": instead("<ns1:richPresenceList href='cid:1'/>"),
    "a declaration": instead("&lt;?xml version='1.0'?&gt;"),
    "a no-break space": instead("&#160;"),
    "an instruction": instead("<?truncated?>"),
    "a document in a document": nested,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_change_that_a_reply_hides_is_never_called_live_as_it_was(shape: str) -> None:
    """Nobody is live while polls fail too; once they work, everybody is live and true, though fetches go on so."""

    async def story() -> None:
        office = Gateway(names(4), rich=True, options=Options(rich_carrier="elements"))
        engine = office.start()
        await office.heal()
        await office.pass_time(5)
        office.rewrite = SHAPES[shape]
        office.simulator.faults.add(Fault("http-503", operation=POLL))
        for contact in office.contacts[:2]:
            office.change(contact, Wire.BUSY)
        await office.pass_time(3, step=0.1)
        assert office.rewritten
        assert Level.LIVE not in office.levels()
        assert engine.status().reading.unattributed
        office.simulator.faults.clear()
        await office.heal(90)
        assert [each for each in engine.status().problems if " returned an entry without a contact" in each.what]
        office.rewrite = None
        office.change(office.contacts[0], Wire.AWAY)
        await office.heal(30)
        assert [each for each in engine.status().problems if " returned " in each.what] == []

    run(story())


def test_an_equal_reply_to_one_that_confirmed_nobody_confirms_nobody() -> None:
    """The client does not read it again, and the store takes equal replies in at once: it still proves as little."""

    async def story() -> None:
        office = Gateway(names(3), rich=True, safety=20.0)
        engine = office.start()
        await office.heal()
        await office.pass_time(5)
        office.simulator.faults.add(Fault("http-503", operation=POLL))
        whole: list[str] = []

        def same(body: str) -> str:
            whole.append(body)
            return whole[0].replace(LISTS[1], LISTS[1] + "<ns1:more/>")

        office.rewrite = same
        for contact in office.contacts:
            office.change(contact, Wire.BUSY)
        await office.pass_time(2, step=0.1)
        counted = engine.status().reading.unattributed
        assert counted
        office.change(office.contacts[0], Wire.DND)
        await office.pass_time(60, step=0.5)
        assert len(set(office.rewritten[1:])) <= 1
        assert len(office.rewritten) > 2
        assert engine.status().reading.unattributed == len(office.rewritten)
        assert Level.LIVE not in office.levels()
        office.simulator.faults.clear()
        await office.heal(90)

    run(story())
