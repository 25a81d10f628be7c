"""Ends that are not clean: what a killed service left behind is removed by the next, and a stop is always bounded."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

import pytest

from tests.e2e.processes import eventually
from tests.e2e.simulated import EVERYTHING, NOTHING, PASSWORD, SECRET, Server, Service, configure


def test_what_a_killed_service_left_is_removed_by_the_next(server: Server, tmp_path: Path) -> None:
    """Nothing doubles, however often it is killed."""
    site = configure(tmp_path, server.port)
    for _ in range(2):
        with Service(tmp_path, site) as service:
            service.ready()
            assert server.holds() == EVERYTHING
            service.kill()
        assert server.holds() == EVERYTHING
    with Service(tmp_path, site) as service:
        service.ready()
        assert server.holds() == EVERYTHING
        server.put("ann@example.com", state="DND")
        service.sees("ann@example.com", state="DND")
        assert service.stop() == 0
    assert server.holds() == NOTHING
    state = json.loads((tmp_path / "pws.state.json").read_text())
    assert (state["nodes"], state["clean"]) == ([], [f"http://127.0.0.1:{server.port}"])


@pytest.mark.long(ci=True)
def test_what_was_being_made_when_it_was_killed_is_removed_too(tmp_path: Path) -> None:
    """Nobody knows the id of a subscription whose reply never came: its session is reset."""
    with Server(tmp_path) as server:
        fault = {"fault": "delay-reply", "operation": "subscribe", "seconds": 600, "count": 1}
        assert server.ready().control.ask("POST", "/control/faults", fault).status == 200
        site = configure(tmp_path, server.port)
        with Service(tmp_path, site) as service:
            eventually(lambda: holds_everything(server))
            service.kill()
        with Service(tmp_path, site) as service:
            service.ready()
            assert server.holds() == EVERYTHING
            assert service.stop() == 0
        assert server.holds() == NOTHING


def holds_everything(server: Server) -> None:
    assert server.holds() == EVERYTHING


def test_the_file_that_remembers_holds_nodes_and_no_secret(server: Server, tmp_path: Path) -> None:
    with Service(tmp_path, configure(tmp_path, server.port)) as service:
        service.ready()
        text = (tmp_path / "pws.state.json").read_text()
        assert json.loads(text)["nodes"] == [f"http://127.0.0.1:{server.port}"]
        keys = [session["key"].rstrip(".") for session in server.control.get("/control/sessions").json["sessions"]]
        assert len(keys) == 2
        for secret in (PASSWORD, SECRET, *keys):
            assert f'"{secret}' not in text
        assert service.stop() == 0


@pytest.mark.long(ci=True)
def test_stopping_is_bounded_when_the_server_hangs(server: Server, tmp_path: Path) -> None:
    """What could not be removed then is removed by the next start."""
    site = configure(tmp_path, server.port, lifecycle="stop_timeout = 1")
    with Service(tmp_path, site) as service:
        service.ready()
        server.node("hang")
        assert service.stop() == 0
        assert "what is left on the server is removed at the next start" in service.output
    assert server.holds() == EVERYTHING
    server.node("up")
    with Service(tmp_path, site) as service:
        service.ready()
        assert server.holds() == EVERYTHING
        assert service.stop() == 0
    assert server.holds() == NOTHING


@pytest.mark.long(ci=True)
def test_stopping_is_bounded_when_a_client_never_ends_its_request(server: Server, tmp_path: Path) -> None:
    """Half a head, half a body, and a connection that is only kept: none of them holds it up, or breaks its end."""
    head = b"POST /v1/refresh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    with Service(tmp_path, configure(tmp_path, server.port)) as service, contextlib.ExitStack() as stack:
        service.ready()
        for sent in (b"GET /livez HTTP/1.1\r\nHost:", head, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", service.site.port)))
            client.sendall(sent)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        assert service.stop() == 0
    assert server.holds() == NOTHING


def test_a_state_file_that_is_broken_is_set_aside(server: Server, tmp_path: Path) -> None:
    site = configure(tmp_path, server.port)
    (tmp_path / "pws.state.json").write_text('{"version": 1, "leftovers": [')
    with Service(tmp_path, site) as service:
        service.ready()
        assert "pws.state.json.broken" in service.output
        assert service.stop() == 0
    assert (tmp_path / "pws.state.json.broken").read_text().startswith('{"version"')
    assert server.holds() == NOTHING


@pytest.mark.long(ci=True)
def test_without_a_place_for_the_state_file_it_serves_all_the_same(server: Server, tmp_path: Path) -> None:
    site = configure(tmp_path, server.port, state='file = "no/such/directory/state.json"')
    with Service(tmp_path, site) as service:
        service.ready()
        assert service.output.count("cannot be written") == 1
        assert service.stop() == 0
    assert server.holds() == NOTHING


def test_a_server_that_forgets_everything_is_taken_up_again(server: Server, tmp_path: Path) -> None:
    """A restart of the server, as the service sees it: the next fetch tells, and all is made anew."""
    with Service(tmp_path, configure(tmp_path, server.port)) as service:
        service.ready()
        server.forget()
        server.put("joe@example.com", state="VACATION")
        service.site.ask("POST", "/v1/refresh")
        service.sees("joe@example.com", state="VACATION", freshness="live")
        assert server.holds() == EVERYTHING
        assert service.stop() == 0
    assert server.holds() == NOTHING
