"""Rows 7 and 16: how long the event loop is held at most, in CPU time of its thread, garbage collection included.

Row 7: the first reading of one large subscription, from the reply's first byte until the store knows everybody. The
service without its HTTP, in this process; the server in another, which holds its reply back until the measure begins.

Row 16: `pws serve` as it is, in a process of its own, with a callback in its event loop that sees every turn; the
simulator in another. Every action is done to a service that has taken in a change since the last one, so that nothing
that is remembered makes it easy. "Start" is from the first answer on; before it nobody can be held up.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Final

from benchmarks.rich import Carrier
from benchmarks.rows.http_load import Connection, get, with_body
from benchmarks.rows.measure import Costs, Figure, Scale, Spread, Target, differences, take_turns_async, watched_turns
from benchmarks.rows.programs import control
from benchmarks.rows.samples import Office
from benchmarks.rows.serving import Whole, whole
from benchmarks.rows.synced import CannedServer, Synced, canned_server
from service.core.presence.records import Change, ChangeKind

_CARRIER: Final[Carrier] = "elements"
_USERS: Final = 20
_PATIENCE: Final = 60.0
_AFTERWARDS: Final = 0.3
"""Seconds after an action in which what follows from it is watched as well."""
_ACTIONS: Final = 3
"""How often each action is done, or as often as there are rounds, where that is less."""


def first_reading(scale: Scale) -> list[Figure]:
    """Row 7."""
    wrong: list[str] = []
    found: list[Costs] = []

    async def hold(server: CannedServer, office: Office, carrier: Carrier | None) -> float:
        server.reply(office.reply(carrier))
        came = server.child.ask("hold")
        service = Synced(server.port, office.contacts, rich=carrier is not None)
        done = asyncio.Event()
        read: set[str] = set()

        def took(changes: list[Change]) -> None:
            read.update(change.record.key for change in changes if change.kind is ChangeKind.CHANGED)
            if len(read) == len(office.contacts):
                done.set()

        service.store.changes.listen(took)  # type: ignore[arg-type]  # a sequence
        try:
            service.engine.start({"dispatcher": office.contacts})
            async with asyncio.timeout(_PATIENCE):
                while server.child.ask("fetches") == came:  # noqa: ASYNC110  # the event is another process's
                    await asyncio.sleep(0.05)
                loop = asyncio.get_running_loop()
                with watched_turns(loop) as turns:
                    server.child.ask("let")
                    await done.wait()
                    await asyncio.sleep(_AFTERWARDS)  # what is let go is let go meanwhile
            wrong.extend(differences("store", service.states(), office.states()))
        finally:
            server.child.ask("let")
            await service.engine.stop(_PATIENCE)
        return turns.longest

    async def work() -> None:
        office = Office(scale.contacts)
        with canned_server() as server:
            ways: dict[str, Callable[[int], Awaitable[float]]] = {
                "basic": lambda _number: hold(server, office, None),
                "rich": lambda _number: hold(server, office, _CARRIER),
            }
            found.append(await take_turns_async(scale.rounds, ways))

    control.run(work())
    (costs,) = found
    return [
        Figure(
            7,
            f"first reading of {scale.contacts} {name}",
            Spread.of(values).times(1000.0),
            "ms",
            Target(15.0),
            wrong=tuple(wrong),
        )
        for name, values in costs.items()
    ]


class Actions:
    """What is done to a whole service. Each leaves it as it was."""

    def __init__(self, service: Whole) -> None:
        self._service = service
        self._changes = 0
        self._clients: list[Connection] = []

    @property
    def count(self) -> int:
        """Contacts that are watched."""
        return len(self._service.names)

    def change(self) -> None:
        """Somebody changes, and the service knows."""
        service, self._changes = self._service, self._changes + 1
        name = service.names[self._changes % 100]
        state = ("BUSY", "AWAY")[self._changes // 100 % 2]
        service.change({name: state})
        target = f"/v1/presence/{name}"
        service.until(lambda: service.get(target)["state"] == state)

    def page(self) -> tuple[str, ...]:
        """A page of the list."""
        found = self._service.get("/v1/presence?limit=1000")["contacts"]
        return differences("contacts of the page", len(found), min(1000, self.count))

    def sorted_page(self) -> tuple[str, ...]:
        """A page in another order."""
        found = [
            each["changed_at"] for each in self._service.get("/v1/presence?sort=-changed_at&limit=1000")["contacts"]
        ]
        return differences("order", found, sorted(found, reverse=True))

    def summary(self) -> tuple[str, ...]:
        """The counts."""
        return differences("contacts in the summary", self._service.get("/v1/summary")["total"], self.count)

    def contacts(self) -> tuple[str, ...]:
        """Who is watched."""
        return differences("watched", len(self._service.get("/v1/contacts")["contacts"]), self.count)

    def status(self) -> tuple[str, ...]:
        """How it is doing."""
        found = self._service.get("/v1/status")
        return differences("subscriptions", len(found["subscriptions"]), len(self._service.files))

    def post(self) -> tuple[str, ...]:
        """One contact more, and gone again."""
        body = json.dumps({"contacts": ["new@example.com"], "end_user": "user0"}).encode()
        made = self._service.ask(with_body("POST", "/v1/contacts", body))
        time.sleep(_AFTERWARDS)
        gone = self._service.ask(with_body("DELETE", "/v1/contacts/new@example.com"))
        return differences("POST and DELETE", (made.status // 100, gone.status // 100), (2, 2))

    def hangup(self) -> tuple[str, ...]:
        """The configuration is read again, with one contact less, and once more as it was."""
        service, file = self._service, self._service.files[0]
        text = file.read_text("utf-8")
        gone = text.split("\n", 1)[0]
        target = get(f"/v1/presence/{gone}")
        file.write_text(text.split("\n", 1)[1], "utf-8")
        service.child.ask("hangup")
        service.until(lambda: service.ask(target).status == 404)
        file.write_text(text, "utf-8")
        service.child.ask("hangup")
        service.until(lambda: service.ask(target).status == 200)
        return ()

    def snapshot(self) -> tuple[str, ...]:
        """A stream begins."""
        client = Connection(self._service.port)
        text = client.stream(get("/v1/events"), b'"reason":"start"}')
        client.close()
        return differences("contacts of the snapshot", text.count(b'{"contact":"'), self.count)

    def lost(self) -> tuple[str, ...]:
        """The server is gone for good: everybody becomes stale."""
        client = Connection(self._service.port)
        client.stream(get("/v1/events?group=support"), b'"reason":"start"}')
        self._service.simulator.kill()
        self._service.ask(with_body("POST", "/v1/refresh"))
        wanted = min(len(self._service.support), self.count)
        stale = client.more_of(b'"freshness":"stale"', wanted)
        client.close()
        # Some may be told of more than once, as the reason becomes another.
        return differences("stale", min(stale, wanted), wanted)


def actions(scale: Scale) -> list[Figure]:
    """Row 16."""
    figures: list[Figure] = []
    with whole(scale.all_contacts, 2 if scale.quick else _USERS) as service:
        child = service.child
        before = child.ask("longest")
        child.ask("watch")
        service.until(service.has_read_all)
        child_longest = child.ask("longest")
        wrong = differences("live", service.is_live(), True)
        name = f"{scale.all_contacts} contacts"
        figures.append(_held(f"{name}, start until it answers", [before], wrong, None))
        figures.append(_held(f"{name}, start from then on", [child_longest], wrong))
        done = Actions(service)
        every: dict[str, Callable[[], tuple[str, ...]]] = {
            "list": done.page,
            "sorted list": done.sorted_page,
            "summary": done.summary,
            "contacts": done.contacts,
            "status": done.status,
            "POST of one contact": done.post,
            "SIGHUP": done.hangup,
            "snapshot": done.snapshot,
            "server lost": done.lost,
        }
        for action, do in every.items():
            times = 1 if action == "server lost" else min(_ACTIONS, scale.rounds)
            holds, wrong = [], ()
            for _ in range(times):
                done.change()
                time.sleep(_AFTERWARDS)
                child.ask("watch")
                wrong += do()
                time.sleep(_AFTERWARDS)
                holds.append(child.ask("longest"))
            figures.append(_held(f"{name}, {action}", holds, wrong))
    return figures


def _held(part: str, holds: list[list[float]], wrong: tuple[str, ...], target: float | None = 50.0) -> Figure:
    """A figure of several holds, each with the longest collection of garbage meanwhile."""
    wanted = None if target is None else Target(target)
    turns, collections = (Spread.of(times).times(1000.0) for times in zip(*holds, strict=True))
    return Figure(16, part, turns, "ms", wanted, {"collection of garbage": collections}, wrong=wrong)
