"""Webhooks from a real process over TLS: what is undelivered at the end comes after the next start."""

from __future__ import annotations

import ipaddress
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.e2e.processes import eventually
from tests.e2e.simulated import Server, Service, configure
from tests.support import hook_server
from tests.support.hook_server import SECRET, HookAnswer, HookServer
from tests.support.tls_servers import MadeCertificate, context

ANN, JOE = "ann@example.com", "joe@example.com"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[HookServer]:
    """A receiver with a certificate of `ca.pem`."""
    authority = MadeCertificate("authority", authority=True)
    authority.write(tmp_path / "ca.pem")
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    shown = MadeCertificate(issuer=authority, names=(loopback,))
    with hook_server.hook_server(context(shown, tmp_path)) as found:
        yield found


@pytest.mark.long(ci=True)
def test_what_is_undelivered_at_the_end_comes_after_the_next_start(web: HookServer, tmp_path: Path) -> None:
    """The service ends although its target hangs, says what is left, and delivers it before anything newer."""
    with Server(tmp_path).ready() as server:
        secret = tmp_path / "hook.secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        block = f'name = "crm"\nurl = "{web.url}"\nsecret_file = "hook.secret"\nca_file = "ca.pem"'
        sections: dict[str, Any] = {"[webhooks]": block}
        site = configure(tmp_path, server.port, **sections)
        server.put(ANN, state="BUSY")
        server.put(JOE, state="BUSY")
        with Service(tmp_path, site).ready() as service:

            def both_are_told() -> None:
                assert web.states(ANN)[-1:] == web.states(JOE)[-1:] == ["BUSY"]

            eventually(both_are_told)
            assert web.messages[0].kind == "pws.presence.reset"
            web.answer = lambda _: HookAnswer(hangs=True)
            for contact in (ANN, JOE):
                server.put(contact, state="AWAY")
                service.sees(contact, state="AWAY")

            def is_under_way() -> None:
                assert len(web.messages) > len(web.taken())

            eventually(is_under_way)
            assert service.stop() == 0
            said = r"webhook crm: (\d) messages are undelivered; the next run sends \1 of them"
            assert re.search(said, service.output)
            output = service.output
        (file,) = tmp_path.glob("*.webhook-crm")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        kept = {f"crm-{message['id']}" for message in json.loads(file.read_text())["messages"]}

        count = len(web.messages)
        web.answer = lambda _: HookAnswer()
        with Service(tmp_path, site).ready() as service:

            def all_is_told() -> None:
                assert web.states(ANN)[-1:] == web.states(JOE)[-1:] == ["AWAY"]
                assert "pws.presence.reset" in [message.kind for message in web.messages[count:]]

            eventually(all_is_told)
            again = web.messages[count:]
            before = again[: [message.kind for message in again].index("pws.presence.reset")]
            assert kept == {message.id for message in before}
            assert not list(tmp_path.glob("*.webhook-crm"))
            assert service.stop() == 0
            output += service.output
        assert "in-the-query" not in output
        assert SECRET.removeprefix("whsec_") not in output
