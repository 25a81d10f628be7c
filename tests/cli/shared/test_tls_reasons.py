"""Why TLS failed is told alike by `pws doctor`, by a command and in the service's log: one reason, one cure."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from pws_soap import lifecycle
from pws_soap.models import Secret
from service.cli.command_line import run
from service.cli.shared.sessions import client_of
from service.config import load
from service.core.clock import SystemClock
from service.sync.commands import Credentials
from service.sync.driver import LifecycleDriver
from service.sync.state_file import StateFile
from tests.support.tls_servers import DAY, NOW, MadeCertificate, context, old_context, tls_server

LOCAL = (x509.IPAddress(ipaddress.ip_address("127.0.0.1")),)
PAST = datetime.datetime(2025, 3, 4, 12, tzinfo=datetime.UTC)
REASONS = {
    "old": ("no version from 1.2 on", "switch TLS 1.2 on at the server"),
    "expired": ("certificate has expired on 2025-03-04 12:00 UTC", "renew the `cup` certificate"),
    "early": ("it is not valid yet", "correct the clock of this machine"),
    "weak": ("its key is too weak", "RSA of 2048 bits or more"),
    "name": (
        "it names another host: imp1.example.com",
        "name the node in server.nodes as it does, or set server.fingerprint",
    ),
    "unknown": ("is not known", "set server.ca_file to that authority's certificate, or server.fingerprint"),
    "client": ("the server wants a certificate of the client", "switch client certificates off"),
    "plain": ("the port does not speak TLS", "server.tls = false is for plain HTTP"),
}


@pytest.fixture(params=REASONS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """What is wrong, and a configuration for a server where it is."""
    authority = MadeCertificate("Example Authority", authority=True)
    authority.write(tmp_path / "ca.pem")
    MadeCertificate("Another Authority", authority=True).write(tmp_path / "other.pem")
    what = request.param
    made = MadeCertificate(
        issuer=authority,
        names=(x509.DNSName("imp1.example.com"),) if what == "name" else LOCAL,
        since={"expired": PAST - DAY, "early": NOW + DAY}.get(what, NOW - DAY),
        until={"expired": PAST, "early": NOW + 2 * DAY}.get(what, NOW + DAY),
        bits=1024 if what == "weak" else 2048,
    )
    tls: ssl.SSLContext | bytes = (old_context if what == "old" else context)(made, tmp_path)
    if what == "plain":
        tls = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    elif what == "client":
        assert isinstance(tls, ssl.SSLContext)
        tls.verify_mode = ssl.CERT_REQUIRED
    (tmp_path / "password").write_text("hunter2")
    with tls_server(tls) as port:
        config = tmp_path / "pws.toml"
        config.write_text(
            f'[server]\nnodes = ["127.0.0.1:{port}"]\nca_file = "{"other" if what == "unknown" else "ca"}.pem"\n'
            '[application]\nusername = "pwsapp"\npassword_file = "password"\n'
            '[callback]\nurl = "http://127.0.0.1:8080"\nsecret = "a-secret-of-at-least-16"\n'
            '[[watch]]\nend_user = "dispatcher"\ncontacts = ["ann@example.com"]\n'
        )
        yield what, config


def test_reason_and_cure_are_told_alike(
    case: tuple[str, Path], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    what, config = case
    reason, cure = REASONS[what]
    assert run(["doctor", "--config", str(config)]) == 1
    doctor = capsys.readouterr().out
    assert run(["poll", "ann@example.com", "--config", str(config)]) == 1
    command = capsys.readouterr().err
    with caplog.at_level(logging.WARNING, "pws.lifecycle"):
        asyncio.run(_fail_to_log_in(config))
    log = "\n".join(record.getMessage() for record in caplog.records)
    for place in (doctor, command, log):
        assert reason in place
        assert cure in place
        assert "hunter2" not in place


async def _fail_to_log_in(path: Path) -> None:
    """Let the service's driver try to log in, until that has failed."""
    config = load(path, {})
    credentials = Credentials("pwsapp", config.application.password, Secret("http://127.0.0.1:8080/pws/secret"))
    settings = lifecycle.Settings(config.server.urls())
    failed = asyncio.Event()

    def changed(_old: lifecycle.State, new: lifecycle.State) -> None:
        if any(resource.error is not None for resource in new.resources.values()):
            failed.set()

    driver = LifecycleDriver(
        settings, credentials, lambda url: client_of(config, url), SystemClock(), StateFile(None), changed
    )
    driver.want({"dispatcher": frozenset({"ann@example.com"})})
    await failed.wait()
    await driver.close()
