"""The command line's sharp edges: numbers out of range, a server that is stopped at work, TLS at the wrong port."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import trustme

from service.cli import run
from service.cli.shared.ranges import Real, Whole
from service.cli.simulate import command as simulate
from tests.cli.conftest import CommandOffice
from tests.cli.running import Running, ask


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo", "--port", "70000"], "'--port': expected a whole number from 0 to 65535, got '70000'"),
        (["demo", "--speed", "nan"], "'--speed': expected a number above 0, up to 1000000, got 'nan'"),
        (["simulate", "--nodes", "many"], "'--nodes': expected a whole number from 1 to 16, got 'many'"),
        (["fetch", "0"], "'ID': expected a whole number from 1 to 2147483647, got '0'"),
        (
            ["set", "joe", "BUSY", "--expires", "60"],
            "'--expires': expected a whole number from 3600 to 86400, got '60'",
        ),
    ],
)
def test_a_number_out_of_range_is_told_with_its_range(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Whole(), ""),
        (Whole(min=1), "from 1"),
        (Real(max=5), "up to 5"),
        (Real(0, 1, max_open=True), "from 0 below 1"),
        (Real(0.5, 2, min_open=True), "above 0.5, up to 2"),
    ],
)
def test_limits_in_words(kind: click.IntRange | click.FloatRange, words: str) -> None:
    assert kind._describe_range() == words


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


def test_plain_http_at_a_port_with_tls(make_office: Callable[..., CommandOffice], tmp_path: Path) -> None:
    """The hint names what to set; and the other way round."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "server.pem", tmp_path / "server.key"
    issued.cert_chain_pems[0].write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    office = make_office(tls=(str(chain), str(key)))
    office.write(server=f'nodes = ["{office.server.nodes[0].address}"]\ntls = false')
    result = office.pws("poll", "ann")
    assert result.code == 1
    assert "if the port speaks TLS (8083 does), server.tls must not be false" in result.err


def test_tls_at_a_port_without_it(office: CommandOffice) -> None:
    office.write(server=f'nodes = ["{office.server.nodes[0].address}"]')
    result = office.pws("poll", "ann")
    assert result.code == 1
    assert "does the port speak TLS? server.tls = false is for plain HTTP, whose port is 8082" in result.err


def test_an_override_is_said_to_be_above_the_devices(office: CommandOffice) -> None:
    result = office.pws("set", "dispatcher", "DND", "--override")
    assert result.out == "dispatcher says DND for 3600 s, above all the devices (override)\n"
