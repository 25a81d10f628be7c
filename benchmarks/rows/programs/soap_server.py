"""A server whose replies to fetches may be given: everything else is answered by the simulator.

    {"do": "change", "states": {CONTACT: STATE}}   people of the simulator change; nobody is notified
    {"do": "reply", "file": PATH}   the reply to every fetch from now on, instead of the simulator's
    {"do": "hold"}, {"do": "let"}   fetches wait meanwhile
    {"do": "fetches"}               how many have come; `hold` and `let` answer the same

`POST /bare` is answered with the same reply, whatever is sent: the bare round trip.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final, cast

from benchmarks.rows.programs import control
from pws_soap.simulator import Simulator, State

NODE: Final = "imp1"
_FETCH: Final = b"getSubscribedPresence"
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: %d\r\n\r\n"


class Server:
    """What all connections share."""

    def __init__(self) -> None:
        self.simulator = Simulator(nodes=(NODE,), seed=1)
        self.reply = b""
        self.fetches = 0
        self.open = asyncio.Event()
        self.open.set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def take(self, words: dict[str, Any]) -> object:  # Any: JSON
        """The command `reply`."""
        body = Path(words["file"]).read_bytes()  # noqa: ASYNC240  # nobody else is served now
        self.reply = _HEAD % len(body) + body
        return len(body)

    async def change(self, words: dict[str, Any]) -> object:
        """The command `change`."""
        return self.simulator.change_many({name: {"state": State(state)} for name, state in words["states"].items()})

    async def hold(self, words: dict[str, Any]) -> object:
        """The command `hold`."""
        self.open.clear()
        return await self.count(words)

    async def let(self, words: dict[str, Any]) -> object:
        """The command `let`."""
        self.open.set()
        return await self.count(words)

    async def count(self, _words: dict[str, Any]) -> object:
        """The command `fetches`."""
        return self.fetches


class Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # that of a stream; uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, _ = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        headers = {}
        for line in bytes(head).split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            headers[name.strip().lower().decode()] = value.strip().decode()
        end = len(head) + 4 + int(headers.get("content-length", 0))
        if len(self._received) < end:
            return
        whole, self._received = bytes(self._received[:end]), self._received[end:]
        body = whole[len(head) + 4 :]
        is_fetch = self._server.reply != b"" and _FETCH in body
        if (is_fetch or whole.startswith(b"POST /bare")) and self._server.open.is_set():
            self._server.fetches += is_fetch
            self._transport.write(self._server.reply)
            return
        task = asyncio.get_running_loop().create_task(self._answer(headers, body, is_fetch=is_fetch))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    async def _answer(self, headers: dict[str, str], body: bytes, *, is_fetch: bool) -> None:
        if is_fetch:
            self._server.fetches += 1
            await self._server.open.wait()
            self._transport.write(self._server.reply)
            return
        reply = await self._server.simulator.post(NODE, headers, body)
        self._transport.write(_HEAD % len(reply.body) + reply.body)


async def main() -> None:
    """Listen, and obey."""
    server = Server()
    listening = await asyncio.get_running_loop().create_server(lambda: Connection(server), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        commands = {
            "change": server.change,
            "reply": server.take,
            "hold": server.hold,
            "let": server.let,
            "fetches": server.count,
        }
        await control.obey(commands, {"port": port})
    finally:
        listening.close()
        await server.simulator.aclose()


if __name__ == "__main__":
    control.run(main())
