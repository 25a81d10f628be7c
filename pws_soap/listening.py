"""How a listening socket is closed, for every one of this project.

asyncio takes some turns of its loop to make a connection of a socket that it has accepted. A server that is closed
meanwhile never gets that connection, and nobody closes it: its client waits, and the process keeps the socket until
garbage is collected (python/cpython#109564). So nothing more is accepted first, and
the server is closed when what was accepted has been made.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final

TURNS: Final = 3
"""Of the event loop: after so many a socket that was accepted is a connection, and the server is closed."""


def stop_listening(server: asyncio.Server) -> None:
    """Refuse further clients at once; close the server in the next turn of its loop, in which this is called.

    Connections that were accepted are made, and stay open.
    """
    loop = asyncio.get_running_loop()
    removed = False
    for each in server.sockets:
        with contextlib.suppress(NotImplementedError):  # Windows: its loop has no readers
            if loop.remove_reader(each.fileno()):
                removed = True
                with contextlib.suppress(OSError):  # only Linux lets go of the port here, others in the next turn
                    each.shutdown(socket.SHUT_RDWR)
    if removed:
        loop.call_soon(server.close)
    else:  # uvloop, where a socket that was accepted is a connection at once
        server.close()


async def stopped_listening(server: asyncio.Server) -> None:
    """The same, and wait until all connections that were accepted are made."""
    stop_listening(server)
    for _ in range(TURNS):
        await asyncio.sleep(0)
