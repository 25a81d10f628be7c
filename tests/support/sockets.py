"""The transport of a connection, without a socket."""

from __future__ import annotations

import asyncio


class FakeSocket(asyncio.Transport):
    """Keeps what is written; says whether reading is paused, and whether it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.paused = False
        self.closed = False
        self.written = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
