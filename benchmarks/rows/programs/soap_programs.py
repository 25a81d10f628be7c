"""Programs that speak SOAP, hundreds of them in one process: each is notified, fetches, and notes what it is told when.

    {"do": "begin"}   they log in, register, subscribe and fetch for the first time; `contacts`: how many each has told
    {"do": "told"}    since the last time: by contact the moments at which programs were told of it by a fetch, and at
                      which the stream of events had it; notifications, fetches, and codes of faults

Settings: `port` and `user`, `password` of the Presence Web Service; `service`, the port of the service's API; `names`,
how many contacts there are; `programs`; `each`, how many contacts a program has. SOAP is written and read by hand, so
that hundreds of programs take little time.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.rows.programs import control

_PWS: Final = "urn:cisco:cup:presence:soap"
_HEAD: Final = (
    "POST /presence-service/soap HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/xml; charset=utf-8\r\n"
    'SOAPAction: ""\r\nContent-Length: {}\r\n\r\n'
)
_ENVELOPE: Final = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header>'
    f'<k:session-key xmlns:k="{_PWS}">{{}}</k:session-key></e:Header><e:Body>{{}}</e:Body></e:Envelope>'
)
_LIST: Final = 100
"""Contacts in one list, as the WSDL allows."""
_KEY: Final = re.compile(rb"session-key>([^<]+)<")
_NUMBER: Final = re.compile(rb"ID>(\d+)<")
_CODE: Final = re.compile(rb"<code>(\d+)<")
_CONTACT: Final = re.compile(rb'contactURI="([^"]+)" presenceStatus="([^"]+)"')
_EVENT: Final = re.compile(rb'"contact":"([^"]+)"')
_AT_ONCE: Final = 20
"""Programs that begin at the same time."""


class _Board:
    """What is told to whom."""

    def __init__(self) -> None:
        self.fetched: dict[str, list[float]] = defaultdict(list)
        self.streamed: dict[str, float] = {}
        self.notifications = 0
        self.fetches = 0
        self.faults: Counter[str] = Counter()

    def taken(self) -> dict[str, Any]:  # Any: JSON
        """All of it, once."""
        found = {
            "fetched": dict(self.fetched),
            "streamed": self.streamed,
            "notifications": self.notifications,
            "fetches": self.fetches,
            "faults": dict(self.faults),
        }
        self.__init__()  # type: ignore[misc]  # begins anew
        return found


class _Program:
    """One program, on a connection of its own."""

    def __init__(self, number: int, contacts: Sequence[str], board: _Board) -> None:
        self.contacts = contacts
        self.news = asyncio.Event()
        self._number = number
        self._board = board
        self._subscription = ""
        self._key = ""

    async def begin(self, settings: dict[str, Any], callback: str) -> int:  # Any: JSON
        """Everything up to the first fetch; how many contacts that tells of."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", settings["port"], limit=2**24)
        who = f"<username>{settings['user']}</username><password>{settings['password']}</password>"
        application = _found(_KEY, await self._ask("", f'<login xmlns="{_PWS}">{who}</login>'))
        who = f"<username>user{self._number}</username><app-session-id>{application}</app-session-id>"
        self._key = _found(_KEY, await self._ask("", f'<login xmlns="{_PWS}">{who}</login>'))
        made = f"<url>{callback}/{self._number}</url><endPointID>0</endPointID><expiration>86399</expiration>"
        made = f'<registerEndPoint xmlns="{_PWS}">{made}</registerEndPoint>'
        endpoint = _found(_NUMBER, await self._ask(application, made))
        self._subscription = "0"
        for start in range(0, len(self.contacts), _LIST):
            some = "".join(f'<contact contactURI="{name}"/>' for name in self.contacts[start : start + _LIST])
            content = (
                f'<subscribe xmlns="{_PWS}"><contactsList>{some}</contactsList><subscriptionType>PRESENCE_NOTIFICATION'
                f"</subscriptionType><expiration>86400</expiration><endPointID>{endpoint}</endPointID>"
                f"<subscriptionID>{self._subscription}</subscriptionID></subscribe>"
            )
            self._subscription = _found(_NUMBER, await self._ask(self._key, content))
        return len(await self._fetch())

    async def run(self) -> None:
        """Fetch whenever it is notified."""
        while True:
            await self.news.wait()
            self.news.clear()
            found = await self._fetch()
            now = time.monotonic()
            self._board.fetches += 1
            for name, _state in found:
                self._board.fetched[name.decode()].append(now)

    async def _fetch(self) -> list[tuple[bytes, bytes]]:
        content = (
            f'<getSubscribedPresence xmlns="{_PWS}"><subscriptionID>{self._subscription}</subscriptionID>'
            "<presenceType>BASIC_PRESENCE</presenceType></getSubscribedPresence>"
        )
        return _CONTACT.findall(await self._ask(self._key, content))

    async def _ask(self, key: str, content: str) -> bytes:
        body = _ENVELOPE.format(key, content).encode()
        self._writer.write(_HEAD.format(len(body)).encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(re.findall(rb"(?i)content-length: *(\d+)", head)[0])
        reply = await self._reader.readexactly(length)
        for code in _CODE.findall(reply):
            self._board.faults[code.decode()] += 1
        return reply


class _Endpoint(asyncio.Protocol):
    """Where notifications come: nothing of them is read but whose they are."""

    def __init__(self, programs: Sequence[_Program], board: _Board) -> None:
        self._programs = programs
        self._board = board
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *whole, self._data = (self._data + data).split(b"\r\n\r\n")
        for head in whole:
            self._board.notifications += 1
            self._programs[int(head.partition(b"?")[0].rpartition(b"/")[2])].news.set()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")  # type: ignore[attr-defined]


async def _follow(port: int, board: _Board) -> None:
    """Read the service's stream of events, as the client beside the programs."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    writer.write(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
    while line := await reader.readline():
        if line.startswith(b"data:") and len(found := _EVENT.findall(line)) == 1:
            board.streamed[found[0].decode()] = time.monotonic()


def _found(pattern: re.Pattern[bytes], reply: bytes) -> str:
    found = pattern.search(reply)
    if found is None:
        raise RuntimeError(f"an answer that says something else: {reply[-600:]!r}")
    return found[1].decode()


async def main() -> None:
    """Begin, run, and say what was told."""
    settings = json.loads(sys.argv[1])
    board = _Board()
    dice = random.Random(1)  # noqa: S311  the same programs each time
    names = [f"p{number:06d}@example.com" for number in range(settings["names"])]
    programs = [_Program(number, dice.sample(names, settings["each"]), board) for number in range(settings["programs"])]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Endpoint(programs, board), "127.0.0.1", 0)
    callback = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    running = [asyncio.create_task(_follow(settings["service"], board))]
    room = asyncio.Semaphore(_AT_ONCE)

    async def begin_one(program: _Program) -> int:
        async with room:
            told = await program.begin(settings, callback)
        running.append(asyncio.create_task(program.run()))
        return told

    async def begin(_words: dict[str, Any]) -> object:
        return {"contacts": await asyncio.gather(*map(begin_one, programs)),
                "of": dict(Counter(name for program in programs for name in program.contacts))}  # fmt: skip

    async def told(_words: dict[str, Any]) -> object:
        for task in running:
            if task.done():
                task.result()
        return board.taken()

    await control.obey({"begin": begin, "told": told}, {"port": 0})


if __name__ == "__main__":
    control.run(main())
