"""The ports of tests that run at once."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.ports import SIZE, Ports

ANOTHER = """
import sys
from pathlib import Path
from tests.support.ports import Ports
ports = Ports(Path(sys.argv[1]), int(sys.argv[2]), blocks=2)
print(*[ports.free() for _ in range(3)], flush=True)
sys.stdin.read()
"""


FIRST = 10000 + 2 * SIZE * random.SystemRandom().randrange(90)
"""Outside of what `free_port` gives to the tests that run meanwhile."""


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    return Ports(tmp_path, FIRST, blocks=2)


def test_no_port_is_given_twice_while_others_are_left(ports: Ports) -> None:
    given = [ports.free() for _ in range(2 * SIZE)]
    assert sorted(given) == list(range(FIRST, FIRST + 2 * SIZE))
    assert ports.free() == given[0], "then the one that was given first"
    ports.close()


def test_a_port_that_is_in_use_is_passed_over(ports: Ports) -> None:
    given = {ports.free() for _ in range(2 * SIZE)}
    with socket.create_server(("127.0.0.1", FIRST + 7)):
        assert {ports.free() for _ in range(2 * SIZE - 1)} == given - {FIRST + 7}
    ports.close()


def test_ports_in_a_row_are_given_to_nobody_else(ports: Ports) -> None:
    before = ports.free()
    first = ports.in_a_row(3)
    rest = {ports.free() for _ in range(2 * SIZE - 4)}
    assert len({before, first, first + 1, first + 2} | rest) == 2 * SIZE
    ports.close()


def test_two_processes_are_never_given_the_same(ports: Ports, tmp_path: Path) -> None:
    """The other one's block is free again as soon as that process has ended, by SIGKILL too."""
    words = [sys.executable, "-c", ANOTHER, str(tmp_path), str(FIRST)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        assert len(theirs) == 3
        ours = {ports.free() for _ in range(2 * SIZE)}
        assert len(ours) == SIZE
        assert not ours & theirs
        with pytest.raises(AssertionError, match="every block"):
            Ports(tmp_path, FIRST, blocks=2).free()
        other.kill()
    assert {ports.free() for _ in range(2 * SIZE)} - ours >= theirs
    ports.close()
