"""What `pws doctor` finds on the way to targets of webhooks, to which it sends nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography.x509 import IPAddress

from service.cli.doctor import webhooks
from service.cli.shared.findings import Blame, Finding, Severity
from service.config import Config, load
from tests.support.configuration import BASE
from tests.support.hook_server import SECRET, hook_server
from tests.support.ports import free_port
from tests.support.tls_servers import NOW, MadeCertificate, context

Configured = Callable[..., Config]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """A configuration with targets at these addresses."""

    def configured(*urls: str, lines: str = "") -> Config:
        blocks = [
            f'[[webhooks]]\nname = "t{number}"\nurl = "{url}"\nsecret = "{SECRET}"\n{lines}\n'
            for number, url in enumerate(urls)
        ]
        path = tmp_path / "pws.toml"
        path.write_text(BASE + "\n".join(blocks), "utf-8")
        return load(path, {})

    return configured


async def found(config: Config) -> list[Finding]:
    findings: list[Finding] = []
    await webhooks.look(config, findings.append)
    return findings


async def test_without_targets_there_is_nothing_to_say(configured: Configured) -> None:
    assert await found(configured()) == []


async def test_a_target_that_can_be_reached_is_well_and_gets_nothing(configured: Configured) -> None:
    with hook_server() as web:
        findings = await found(configured(web.url))
        assert web.messages == []
    assert {(finding.check, finding.level) for finding in findings} == {("webhook t0", Severity.OK)}
    assert findings[-1].what == "1 secret to sign with; `pws webhooks test t0` sends one message"


async def test_each_target_is_looked_at_whatever_the_one_before_has(configured: Configured) -> None:
    with hook_server() as web:
        findings = await found(configured(f"http://127.0.0.1:{free_port()}/", web.url))
    problems = [finding for finding in findings if finding.level is Severity.PROBLEM]
    assert [(problem.check, problem.fault) for problem in problems] == [("webhook t0", Blame.SERVER)]
    assert "connection refused" in problems[0].what
    assert problems[0].fix == "start the receiver, or correct url"
    assert findings[-1].check == "webhook t1"


async def test_a_certificate_that_expires_soon_is_a_warning(configured: Configured, tmp_path: Path) -> None:
    loopback = (IPAddress(ip_address("127.0.0.1")),)
    certificate = MadeCertificate(names=loopback, until=NOW + timedelta(days=5))
    certificate.write(tmp_path / "own.pem")
    with hook_server(context(certificate, tmp_path)) as web:
        findings = await found(configured(web.url, lines='ca_file = "own.pem"'))
    assert [(finding.level, finding.what) for finding in findings if finding.level is not Severity.OK] == [
        (Severity.WARNING, "its certificate expires in 4 days")
    ]
    assert "the certificate is trusted" in [finding.what for finding in findings]


async def test_an_address_that_is_not_allowed_is_told(configured: Configured) -> None:
    with hook_server() as web:
        (problem,) = await found(configured(web.url, lines='addresses = ["10.0.0.0/8", "::1"]'))
    assert problem.what == "its address 127.0.0.1 is not one of `addresses`"
