"""An office that never rests, and somebody who watches what the service says of it all the time.

`Office.work` makes random changes at the simulator, `Office.watch` asks the service a few times a second and holds each
answer against the recorded truth.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.processes import PASSWORD, Server, Service
from benchmarks.programs import Programs
from benchmarks.truth import Truth, seconds
from service.core.presence.freshness import default_bound

STATES: Final = ("AVAILABLE", "BUSY", "AWAY", "DND", "UNAVAILABLE")
SAFETY: Final = 2.0
"""Seconds between fetches without a notification (fetch.safety_interval)."""
READ_TIMEOUT: Final = 1.0
LATE: Final = 2 * READ_TIMEOUT
"""How long after its time-out the service expects a request to be carried out still."""
BETWEEN_CHANGES: Final = 0.25
BETWEEN_ANSWERS: Final = 0.15


@dataclass(frozen=True)
class Answer:
    """What the service said of all contacts."""

    arrived: float
    contacts: Sequence[Mapping[str, Any]]  # Any: JSON


@dataclass
class Figures:
    """What the watcher counted."""

    answers: int = 0
    live: int = 0
    unanswered: int = 0
    oldest: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Office:
    """The contacts of both end users, one after the other, and their truth."""

    def __init__(
        self, server: Server, service: Service, users: Mapping[str, Sequence[str]], dice: random.Random
    ) -> None:
        self.server = server
        self.service = service
        self.users = users
        self.contacts = [contact for each in users.values() for contact in each]
        self.truth = Truth(self.contacts, STATES[0], time.time(), default_bound(SAFETY))
        self.figures = Figures()
        self.programs: Programs | None = None
        """Those that speak SOAP to the service's façade, where there are any."""
        self.live: dict[str, float] = {}
        """As of when each contact was live when the service last said that it is."""
        self.busy = asyncio.Event()
        """Whether changes are being made."""
        self._making = asyncio.Lock()
        self._dice = dice
        self._answered = asyncio.Condition()
        self._last: Answer | None = None

    async def furnish(self) -> None:
        """Put everybody into the simulator's world."""
        people = [{"contact": contact, "state": STATES[0]} for contact in self.contacts]
        await self.server.ask("POST", "/contacts", {"contacts": people})

    def program_notified(self, name: str) -> None:
        """A notification came for the program of that name."""
        if self.programs is not None:
            self.programs.notified(name)

    # Changes

    async def work(self) -> None:
        """Make random changes while `busy` is set, until cancelled."""
        while True:
            await self.busy.wait()
            await self.change(self._dice.choice(self.contacts))
            await asyncio.sleep(BETWEEN_CHANGES * (0.5 + self._dice.random()))

    async def change(self, contact: str) -> None:
        """Give a contact another state."""
        async with self._making:  # in one order here and there
            state = self._dice.choice([state for state in STATES if state != self.truth.now(contact)])
            change = self.truth.begin(contact, state, time.time())
            await self.server.change(contact, state)
            change.done = time.time()

    async def calm(self) -> None:
        """No more changes, but one for each end user to find out by whether the news still come."""
        self.busy.clear()
        for contacts in self.users.values():
            await self.change(self._dice.choice(contacts))

    # Answers

    async def watch(self) -> None:
        """Ask and check, until cancelled."""
        while True:
            asked = time.time()
            told = await self.service.get(f"/v1/presence?limit={len(self.contacts)}")
            arrived = time.time()
            if told is None:
                self.figures.unanswered += 1
            else:
                verdict = self.truth.check(told["contacts"], asked, arrived)
                self.figures.answers += 1
                self.figures.live += verdict.live
                self.figures.oldest = max(self.figures.oldest, verdict.oldest)
                self.figures.wrong += verdict.wrong
                for contact in told["contacts"]:
                    if contact["freshness"] == "live":
                        self.live[contact["contact"]] = seconds(contact["as_of"])
                async with self._answered:
                    self._last = Answer(arrived, told["contacts"])
                    self._answered.notify_all()
            await asyncio.sleep(BETWEEN_ANSWERS)

    async def next_answer(self, limit: float) -> Answer | None:
        """The next answer that comes, None when none does for `limit` seconds."""
        try:
            async with asyncio.timeout(limit), self._answered:
                await self._answered.wait()
                return self._last
        except TimeoutError:
            return None

    async def healed(self, since: float, bound: float) -> float | None:
        """The seconds after `since` at which all was well again; None when that took longer than `bound`.

        All is well, while changes go on, when every contact is live as of a later moment than `since`; and after
        `calm`, when every contact is live and in its last state.
        """
        while (left := since + bound - time.time()) > 0:
            answer = await self.next_answer(left)
            if answer is None or len(answer.contacts) != len(self.contacts):
                continue
            if self.busy.is_set():
                well = all(each["freshness"] == "live" and seconds(each["as_of"]) >= since for each in answer.contacts)
            else:
                well = not self._differences(answer)
            if well:
                return max(0.0, answer.arrived - since)
        return None

    async def differences(self) -> list[str]:
        """What the service does not know, or not for sure, at this moment."""
        answer = await self.next_answer(10.0)
        return ["no answer"] if answer is None else self._differences(answer)

    def _differences(self, answer: Answer) -> list[str]:
        """Of the service's answer, and of what programs take for true."""
        return self.truth.differences(answer.contacts) + (self.programs.differences() if self.programs else [])


def settings(server: Server, port: int) -> dict[str, dict[str, object]]:
    """A configuration whose time-outs are short, so that much can go wrong in a minute."""
    return {
        "server": {
            "nodes": server.nodes,
            "tls": False,
            "connect_timeout": READ_TIMEOUT,
            "read_timeout": READ_TIMEOUT,
        },
        "application": {"username": "pwsapp", "password": PASSWORD},
        "callback": {"url": f"http://127.0.0.1:{port}"},
        "http": {"host": "127.0.0.1", "port": port},
        "fetch": {"safety_interval": SAFETY, "reconcile_interval": 20},
    }
