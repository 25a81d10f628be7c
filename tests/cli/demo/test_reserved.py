"""Ports that are kept for processes which are started later: nobody else is given them, and they can be listened on."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Iterator

import pytest

from service.cli.demo.reserved import ReservedPort
from service.runtime.server import listen

IP_LOCAL_PORT_RANGE = 51
"""Of `setsockopt`, since Linux 6.3: from which ports the kernel chooses one for this socket."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems keep no port")


@pytest.fixture
def reserved() -> Iterator[ReservedPort]:
    port = ReservedPort()
    yield port
    port.close()


def offered(port: int) -> socket.socket:
    """A socket for which the kernel may choose this port alone."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", port | port << 16))
    except OSError:
        found.close()
        pytest.skip("this kernel cannot be told from which ports to choose")
    return found


def test_no_connection_takes_it(reserved: ReservedPort) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, offered(reserved.number) as client:
        with pytest.raises(OSError) as caught:
            client.connect(server.getsockname())
        assert caught.value.errno == errno.EADDRNOTAVAIL


def test_nobody_is_given_it_who_asks_for_any(reserved: ReservedPort) -> None:
    with offered(reserved.number) as other:
        with pytest.raises(OSError) as caught:
            other.bind(("127.0.0.1", 0))
        assert caught.value.errno == errno.EADDRINUSE


def test_what_is_given_back_is_free(reserved: ReservedPort) -> None:
    reserved.close()
    with offered(reserved.number) as other:
        other.bind(("127.0.0.1", 0))
        assert other.getsockname()[1] == reserved.number


def test_its_process_listens_there_again_and_again(reserved: ReservedPort) -> None:
    """Nobody is heard in between: a connection is refused."""
    for _ in range(2):
        with listen("127.0.0.1", reserved.number), socket.create_connection(("127.0.0.1", reserved.number)):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", reserved.number))


def test_a_port_at_which_somebody_listens_is_not_reserved() -> None:
    with listen("127.0.0.1", 0) as other, pytest.raises(OSError, match="in use"):
        ReservedPort(other.getsockname()[1])
