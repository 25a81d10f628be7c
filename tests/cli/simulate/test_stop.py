"""`pws simulate` told to stop while a request is under way."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from service.cli.simulate import command as simulate
from tests.cli.running import Running, ask


def test_a_server_that_is_stopped_at_work_ends_quietly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A request hangs at it: one last line, and no trace."""
    monkeypatch.chdir(tmp_path)
    with Running(monkeypatch, simulate, ["simulate", "--port", "0", "--control-port", "0"]) as running:
        address = running.out.having("imp1 ").split("//")[1].partition("/")[0]
        control = running.out.having("control ").split()[1]
        running.err.having("Ctrl-C")
        ask(f"{control}/faults", "POST", {"fault": "delay-request", "seconds": 100, "count": 1})
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as hanging:
            hanging.sendall(b"POST /presence-service/soap HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n<x/>")
            while ask(f"{control}/faults")["faults"]:  # until it has hit
                assert running.code is None
            assert running.stop() == 0
    assert running.err.all == ["Ctrl-C ends it.", "Stopped."]
