"""What ends `pws serve` at its start, with which code and which words; and what does not end it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trustme

from tests.e2e.conftest import Certificates, fingerprint
from tests.e2e.processes import eventually
from tests.e2e.simulated import EVERYTHING, NOTHING, Server, Service, configure
from tests.support.ports import free_port


def error_of(service: Service) -> str:
    """What it says at its end."""
    return service.output.partition("Error: ")[2]


def test_a_wrong_password_ends_it_with_a_message_that_says_so(server: Server, tmp_path: Path) -> None:
    site = configure(tmp_path, server.port)
    (tmp_path / "password").write_text("not-the-password")
    with Service(tmp_path, site) as service:
        assert service.ended() == 1
        assert "wrong user name or password" in error_of(service)
        assert "not-the-password" not in service.output
    assert server.holds() == NOTHING


@pytest.mark.parametrize(
    "trust",
    [
        "another authority",
        *(
            pytest.param(trust, marks=pytest.mark.long(ci=True))
            for trust in ("the system's authorities", "another fingerprint")
        ),
    ],
)
def test_a_certificate_that_is_not_trusted_ends_it_and_is_shown(
    tls_server: Server, certificates: Certificates, tmp_path: Path, trust: str
) -> None:
    """The message says which certificate it is and what to set; nothing, and no password, was sent there."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    settings: dict[str, dict[str, object]] = {
        "the system's authorities": {},
        "another authority": {"ca_file": other},
        "another fingerprint": {"fingerprint": "ab" * 32},
    }
    tls_server.control.ask("DELETE", "/control/counters")
    with Service(tmp_path, configure(tmp_path, tls_server.port, tls=settings[trust])) as service:
        assert service.ended() == 1
        said = error_of(service)
    assert fingerprint(certificates.issued).upper() in said.replace(":", "")
    assert ("ca_file" in said) is (trust != "another fingerprint")  # another authority would not help
    assert "fingerprint" in said
    assert tls_server.counters()["requests"] == {}


def test_an_unreachable_server_is_waited_for(tmp_path: Path) -> None:
    """It keeps running and says what is wrong; when the server comes up, it is ready without any help."""
    port = free_port()
    with Service(tmp_path, configure(tmp_path, port)) as service:

        def says_why() -> None:
            assert service.runs
            status, reason = service.readiness()
            assert status == 503
            assert f"127.0.0.1:{port}" in reason
            assert "connection refused" in reason

        eventually(says_why)
        assert service.site.get("/livez").status == 200
        seen = service.site.get("/v1/presence/ann@example.com").json
        assert (seen["state"], seen["freshness"]) == ("UNKNOWN", "unknown")
        assert service.site.ask("POST", "/v1/refresh").status == 503
        with Server(tmp_path, port=port) as server:
            server.ready().put("ann@example.com", state="AWAY")
            service.ready()
            assert service.sees("ann@example.com", state="AWAY")["freshness"] == "live"
            assert server.holds() == EVERYTHING
            assert service.stop() == 0
            assert server.holds() == NOTHING


@pytest.mark.long(ci=True)
def test_an_unreachable_server_does_not_keep_it_from_stopping(tmp_path: Path) -> None:
    with Service(tmp_path, configure(tmp_path, free_port())) as service:
        eventually(lambda: service.site.get("/livez"))
        assert service.stop() == 0


@pytest.mark.long(ci=True)
def test_a_port_in_use_ends_it(tmp_path: Path) -> None:
    site = configure(tmp_path, free_port())
    with socket.create_server(("127.0.0.1", site.port)), Service(tmp_path, site) as service:
        assert service.ended() == 1
        assert f"cannot listen on 127.0.0.1:{site.port}" in error_of(service)
        assert "in use" in error_of(service)


def test_every_mistake_of_a_configuration_is_told_at_once(tmp_path: Path) -> None:
    site = configure(
        tmp_path,
        0,
        server='nodes = ["imp1.example.com", "imp1.example.com"]\nca_file = "nowhere.pem"',
        application='username = "pwsapp"',
        callback='url = "nonsense"',
        http="port = 99999",
        surprise="key = 1",
    )
    with Service(tmp_path, site) as service:
        assert service.ended() == 2
        said = error_of(service)
    for key in ("server.nodes", "server.ca_file", "application.password", "callback.url", "http.port", "surprise"):
        assert f"\n  {key}: expected" in said


def test_a_configuration_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    site = configure(tmp_path, 0)
    (tmp_path / "pws.toml").unlink()
    with Service(tmp_path, site) as service:
        assert service.ended() == 2
        assert "there is no configuration file pws.toml" in error_of(service)


@pytest.mark.long(ci=True)
def test_a_second_service_with_the_same_state_file_does_not_start(server: Server, tmp_path: Path) -> None:
    """It would take the first one's sessions away; a killed one is in nobody's way."""
    site = configure(tmp_path, server.port)
    with Service(tmp_path, site) as first:
        first.ready()
        with Service(tmp_path, configure(tmp_path, server.port)) as second:
            assert second.ended() == 1
            assert f"another service (process {first.pid}) runs with the state file pws.state.json" in error_of(second)
        assert server.holds() == EVERYTHING
        first.kill()
    with Service(tmp_path, configure(tmp_path, server.port)) as third:
        third.ready()
        assert third.stop() == 0
    assert server.holds() == NOTHING
