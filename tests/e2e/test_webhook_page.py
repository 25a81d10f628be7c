"""Webhooks as processes: the receiver of docs/webhooks.md as it stands, a service, a restart, and the command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.processes import PWS, Running, eventually
from tests.e2e.simulated import Server, Service, configure
from tests.support.hook_server import OTHER_SECRET, SECRET, TakenMessage, hook_server
from tests.support.ports import free_port

PAGE: Final = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
ANN, JOE, RITA = "ann@example.com", "joe@example.com", "rita@example.com"


def add_target(directory: Path, url: str, lines: str = "") -> None:
    """A target `crm` in the configuration."""
    with (directory / "pws.toml").open("a") as file:
        file.write(f'\n[[webhooks]]\nname = "crm"\nurl = "{url}"\nsecret_file = "crm.secret"\n{lines}\n')
    secret = directory / "crm.secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)


def states(messages: Iterable[TakenMessage]) -> dict[str | None, str]:
    """The last state of each contact, as a receiver knows it."""
    return {each.subject: each.data["state"] for each in messages if each.kind == "pws.presence.change"}


@pytest.mark.long(ci=True)
def test_the_receiver_of_the_page_gets_what_happens(server: Server, tmp_path: Path) -> None:
    """First `pws webhooks test`, then each contact, then a change: as somebody who reads the page does it."""
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found
    (tmp_path / "receiver.py").write_text(found[1], "utf-8")
    port = free_port()
    site = configure(tmp_path, server.port)
    add_target(tmp_path, f"http://127.0.0.1:{port}/presence")
    words = ["env", f"PORT={port}", sys.executable, "receiver.py"]
    with Running(words, tmp_path, "receiver.log") as receiver:

        def arrives() -> str:
            done = subprocess.run(
                [PWS, "webhooks", "test", "crm"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert re.search(r"answer  204 after \d+ ms\n", eventually(arrives))
        with Service(tmp_path, site) as service:
            service.ready()
            eventually(lambda: _has(receiver, f"pws.presence.change {RITA} AVAILABLE"))
            server.put(ANN, state="BUSY")
            eventually(lambda: _has(receiver, f"pws.presence.change {ANN} BUSY"))
            assert service.stop() == 0
            assert SECRET not in service.output
        (tmp_path / "crm.secret").write_text(OTHER_SECRET)
        done = subprocess.run(
            [PWS, "webhooks", "test", "crm", "--json"], cwd=tmp_path, capture_output=True, check=False, timeout=60
        )
        assert (done.returncode, json.loads(done.stdout)["status"]) == (1, 401)
    assert "pws.webhook.test None None" in receiver.output
    assert "pws.presence.reset None None" in receiver.output


def _has(program: Running, line: str) -> None:
    assert line in program.output.splitlines()


@pytest.mark.long(ci=True)
def test_what_a_target_missed_comes_after_a_restart_and_is_replayed_when_asked_for(
    server: Server, tmp_path: Path
) -> None:
    site = configure(tmp_path, server.port)
    port = free_port()
    add_target(
        tmp_path, f"http://127.0.0.1:{port}/hook?code=in-the-query", 'events = ["change", "removed", "claim.made"]'
    )
    with Service(tmp_path, site) as service:
        service.ready()
        server.put(ANN, state="AWAY")
        service.sees(ANN, state="AWAY")

        def fails() -> None:
            (target,) = site.get("/v1/status").json["webhooks"]
            assert (target["name"], target["state"], target["last_status"]) == ("crm", "retrying", None)
            assert target["queued"] >= 3
            assert target["last_error"].startswith("cannot connect: ")

        eventually(fails)
        assert service.stop() == 0
        assert "undelivered" in service.output
    with hook_server(port=port) as web, Service(tmp_path, site) as service:
        service.ready()

        def knows_everybody() -> None:
            assert states(web.messages) == {ANN: "AWAY", JOE: "AVAILABLE", RITA: "AVAILABLE"}

        eventually(knows_everybody)
        assert site.ask("POST", "/v1/claims", {"group": "support"}).status == 201

        def knows_the_claim() -> None:
            assert "pws.claim.made" in [each.kind for each in web.messages]
            changes = [each for each in web.messages if each.kind == "pws.presence.change"]
            assert any(each.event.get_data()["claim"] is not None for each in changes)  # who is held has changed

        eventually(knows_the_claim)
        of_joe = [int(each.event.get_id()) for each in web.messages if each.subject == JOE]
        assert of_joe == sorted(of_joe)

        def all_delivered() -> None:
            (target,) = site.get("/v1/webhooks").json["webhooks"]
            assert (target["state"], target["queued"]) == ("delivering", 0)
            assert target["attempts"][0]["status"] == 204
            assert target["address"] == f"http://127.0.0.1:{port}/hook"
            assert target["delivered"] == len(web.messages)

        eventually(all_delivered)
        assert site.get("/metrics").body.count(b'pws_webhook_state{state="delivering",target="crm"} 1.0') == 1
        gone = site.ask("POST", "/v1/webhooks/crm/replay", {"after": 1})
        assert (gone.status, gone.json["type"]) == (410, "/problems/events-not-kept")
        had = list(web.messages)
        again = site.ask("POST", "/v1/webhooks/crm/replay", {"after": gone.json["floor"]})
        assert again.status == 202
        assert again.json["queued"] > 0

        def has_come() -> list[TakenMessage]:
            come = web.messages[len(had) :]
            assert len(come) >= again.json["queued"]
            return come

        ids, newest = {message.id for message in had}, max(int(message.event.get_id()) for message in had)
        come = eventually(has_come)
        assert any(message.id in ids for message in come)  # with the ids that they had
        others = [message for message in come if message.id not in ids]
        assert all(int(message.event.get_id()) > newest for message in others)  # something happened meanwhile
        assert service.stop() == 0
        assert "in-the-query" not in service.output
