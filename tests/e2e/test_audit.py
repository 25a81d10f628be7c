"""The audit of a real service: lines on disk, a new file at SIGUSR1, and a full disk that ends nothing."""

from __future__ import annotations

import http.client
import json
import signal
from pathlib import Path
from typing import Any, Final

import pytest

from service.access.keys import hash_of
from tests.e2e.processes import PATIENCE, Answer, Site, eventually
from tests.e2e.simulated import Server, Service, configure

KEY: Final = f"pws_{'k' * 43}"


def audited(directory: Path, server: Server, file: str) -> Site:
    """A configuration with an audit and one key."""
    site = configure(directory, server.port)
    with (directory / "pws.toml").open("a") as text:
        text.write(f'\n[audit]\nfile = "{file}"\n')
        text.write(f'\n[keys.board]\nhash = "{hash_of(KEY)}"\nscopes = ["read", "claim", "admin"]\n')
    return site


def lines(path: Path) -> list[dict[str, Any]]:  # JSON is of any type
    return [json.loads(line) for line in path.read_text().splitlines()]


def look(site: Site) -> Answer:
    answer = site.ask("GET", "/v1/presence/ann@example.com", key=KEY)
    assert answer.status == 200
    return answer


@pytest.mark.long(ci=True)
def test_looks_are_on_disk_and_in_a_new_file_after_the_signal(tmp_path: Path, server: Server) -> None:
    """A stream that is open at the end is written before the service ends, and no line holds the key."""
    site = audited(tmp_path, server, "audit.jsonl")
    path = tmp_path / "audit.jsonl"
    with Service(tmp_path, site) as service:
        service.ready()
        look(site)
        assert site.ask("POST", "/v1/claims", {"group": "support", "for": "ticket 1"}, key=KEY).status == 201

        def written() -> None:
            assert lines(path)[-1]["action"] == "claim.made"

        eventually(written)
        path.rename(tmp_path / "audit.jsonl.1")
        service.signal(signal.SIGUSR1)
        look(site)
        service.signal(signal.SIGHUP)

        def reloaded() -> None:
            assert [line["action"] for line in lines(path)] == ["look", "reload"]

        eventually(reloaded)
        look(site)
        stream = http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE)
        stream.request("GET", "/v1/events", headers={"Authorization": f"Bearer {KEY}"})
        assert stream.getresponse().status == 200
        assert service.stop() == 0
        stream.close()
    *looks, claim = lines(tmp_path / "audit.jsonl.1")
    assert {(line["action"], line["key"], line["address"], line["asked"], line["shown"]) for line in looks} == {
        ("look", "board", "127.0.0.1", "GET /v1/presence/ann@example.com", 1)
    }
    assert (claim["for"], claim["pick"]) == ("ticket 1", "longest-available")
    actions = [line["action"] for line in lines(path)]
    assert actions == ["look", "reload", "look", "stream.begun", "stream.ended"]
    assert KEY not in path.read_text() + (tmp_path / "audit.jsonl.1").read_text()


def test_a_full_disk_warns_and_ends_nothing(tmp_path: Path, server: Server) -> None:
    site = audited(tmp_path, server, "/dev/full")
    with Service(tmp_path, site) as service:
        eventually(lambda: look(site))

        def warned() -> None:
            assert "the audit file /dev/full cannot be written (No space left on device)" in service.output

        eventually(warned)
        for _ in range(50):
            look(site)
        assert service.stop() == 0
    assert service.output.count("cannot be written") == 1
    assert "audit entries could not be written to /dev/full and are lost" in service.output


def test_the_signal_ends_no_service_without_an_audit(tmp_path: Path, server: Server) -> None:
    """logrotate may send it to all services alike."""
    site = configure(tmp_path, server.port)
    with Service(tmp_path, site) as service:
        service.ready()
        service.signal(signal.SIGUSR1)
        assert site.get("/v1/presence").status == 200
        assert service.stop() == 0
