"""Ports of loopback that are kept for processes which are started later, and perhaps again."""

from __future__ import annotations

import socket
import sys
from typing import Final

from service.cli.demo.loopback import HOST

_KEEPS: Final = sys.platform == "linux"
"""Whether the system lets a program listen where another socket is merely bound, both with SO_REUSEADDR."""


class ReservedPort:
    """A port of loopback that nobody else is given: neither another program that asks for any free port, nor a
    connection that this machine opens. A connection to it is refused as long as no process listens there.

    Where the system has no such thing, the port was merely free when it was asked for.
    """

    def __init__(self, wanted: int = 0) -> None:
        """0: any. Raises OSError where it is not free."""
        self._socket = socket.socket()
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((HOST, wanted))
            self.number: int = self._socket.getsockname()[1]
        except BaseException:
            self._socket.close()
            raise
        if not _KEEPS:
            self._socket.close()

    def __repr__(self) -> str:
        return f"<ReservedPort {self.number}>"

    def close(self) -> None:
        """Give it back."""
        self._socket.close()
