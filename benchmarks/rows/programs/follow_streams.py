"""A client of several streams of events, which notes what came when.

    {"do": "told"}    since the last time: of each stream [[contact, state, id, moment], ...] of its changes
    {"do": "count"}   of each stream how many changes have come so far, and the moment at which the last one came

Settings: `ports`, one for each stream; `notes`, false where only counts are asked for. Moments are monotonic, taken
when the bytes came.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import Any, Final

from benchmarks.rows.programs import control

_CHANGE: Final = re.compile(rb'event: change\nid: (\d+)[^\n]*\ndata: \{"contact":"([^"]+)","state":"([^"]+)"')
_END: Final = b"\n\n"


class _Stream(asyncio.Protocol):
    """One of them, read as it comes. The snapshot at its beginning is passed over."""

    def __init__(self, *, notes: bool) -> None:
        self.told: list[tuple[str, str, int, float]] = []
        self.count = 0
        self.last = 0.0
        self.begun = asyncio.Event()
        self._notes = notes
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        whole, end, rest = (self._data + data).rpartition(_END)
        if not end:
            self._data = rest
            return
        self._data = rest
        if not self.begun.is_set() and b"event: snapshot" in whole:
            self.begun.set()
        found = _CHANGE.findall(whole + end)
        if found:
            self.count += len(found)
            self.last = now
        if self._notes:
            self.told += [(contact.decode(), state.decode(), int(id_), now) for id_, contact, state in found]


async def main() -> None:
    """Follow, and say what came."""
    settings = json.loads(sys.argv[1])
    loop = asyncio.get_running_loop()
    streams = []
    for port in settings["ports"]:
        _, stream = await loop.create_connection(lambda: _Stream(notes=settings["notes"]), "127.0.0.1", port)
        streams.append(stream)
    for stream in streams:
        await stream.begun.wait()

    async def told(_words: dict[str, Any]) -> object:  # Any: JSON
        found = [stream.told for stream in streams]
        for stream in streams:
            stream.told = []
        return found

    async def count(_words: dict[str, Any]) -> object:
        return [[stream.count, stream.last] for stream in streams]

    await control.obey({"told": told, "count": count}, {"streams": len(streams)})


if __name__ == "__main__":
    control.run(main())
