"""What `pws doctor` finds at the façade of a service that runs: a poll over SOAP, or what is in its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.x509 import DNSName

from service.cli.demo.loopback import FACADE_PASSWORD, FACADE_USER, Office, office
from service.cli.demo.simulated import DemoOptions
from service.cli.doctor import facade
from service.cli.shared.findings import Finding, Severity
from service.config import Config, load
from tests.support.configuration import BASE
from tests.support.ports import free_port
from tests.support.small_web import small_web
from tests.support.tls_servers import MadeCertificate, context, tls_server

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Office]:
    """A service with a façade."""
    async with office(DemoOptions(0, 3, 0.001, facade=True), asyncio.Event()) as it:
        await it.started()
        yield it


def configured(
    directory: Path, port: int, lines: str = "", *, password: str = FACADE_PASSWORD, more: str = ""
) -> Config:
    lines = lines or f'address = "http://127.0.0.1:{port}"'
    user = f'[facade.users.{FACADE_USER}]\npassword = "{password}"\nend_users = ["*"]\n{more}'
    base = BASE.replace("joe@", "ann@")
    (directory / "pws.toml").write_text(f"{base}[facade]\nlisten_port = {port}\n{lines}\n{user}", "utf-8")
    return load(directory / "pws.toml", {})


async def found(config: Config) -> list[tuple[Severity, str, str]]:
    findings: list[Finding] = []
    await facade.look(config, findings.append)
    return [(each.level, each.what, each.fix) for each in findings]


def port_of(running: Office) -> int:
    assert running.facade is not None
    return int(running.facade.split(":")[2].partition("/")[0])


async def test_a_running_facade_is_asked_as_a_program_asks(running: Office, tmp_path: Path) -> None:
    """In the name of the first end user of the configuration, where any name may be used."""
    ((level, what, _),) = await found(configured(tmp_path, port_of(running)))
    assert level is Severity.OK
    assert what.startswith("over SOAP attendant can log in as dispatcher, and a poll of one contact (")


async def test_a_password_that_the_running_service_does_not_have_is_told(running: Office, tmp_path: Path) -> None:
    ((level, what, fix),) = await found(configured(tmp_path, port_of(running), password="another"))
    assert level is Severity.PROBLEM
    assert f"127.0.0.1:{port_of(running)} refuses facade.users.attendant with code 114" in what
    assert "SIGHUP" in fix


async def test_a_facade_that_is_not_sure_answers_all_the_same(running: Office, tmp_path: Path) -> None:
    running.assembly.store.doubt("dispatcher", "the server is down")
    try:
        ((level, what, fix),) = await found(configured(tmp_path, port_of(running)))
    finally:
        running.assembly.store.trust("dispatcher")
    assert level is Severity.WARNING
    assert what.endswith("answers over SOAP, and asks to wait (code 210): whom it was asked for is not live")
    assert fix == "see what is found of the nodes and the callback"


async def test_a_user_who_sees_nobody_of_the_configuration_is_not_asked_about_anybody(
    running: Office, tmp_path: Path
) -> None:
    more = 'groups = ["away"]\n[groups.away]\ncontacts = ["zoe@example.com"]\n'
    ((level, what, _),) = await found(configured(tmp_path, port_of(running), more=more))
    assert (level, what) == (
        Severity.OK,
        "over SOAP attendant can log in as dispatcher, and sees no contact of the configuration",
    )


async def test_a_port_that_is_free_is_well(tmp_path: Path) -> None:
    port = free_port()
    ((level, what, _),) = await found(configured(tmp_path, port))
    assert (level, what) == (
        Severity.OK,
        f"127.0.0.1:{port} is free: pws serve is not running, and nothing was asked there",
    )


async def test_without_a_facade_or_a_port_nothing_is_asked(tmp_path: Path) -> None:
    assert await found(configured(tmp_path, 0, 'address = "http://127.0.0.1:8083"')) == []
    (tmp_path / "bare.toml").write_text(BASE, "utf-8")
    assert await found(load(tmp_path / "bare.toml", {})) == []


async def test_another_program_at_the_port_is_told(tmp_path: Path) -> None:
    with small_web(200, b"<html></html>") as web:
        ((level, what, fix),) = await found(configured(tmp_path, web.port))
    assert level is Severity.PROBLEM
    assert f"what listens at 127.0.0.1:{web.port} does not answer as a façade" in what
    assert "set facade.listen_host, facade.listen_port" in fix


async def test_another_certificate_than_that_of_the_configuration_is_told(tmp_path: Path) -> None:
    mine, other = MadeCertificate(names=(DNSName("localhost"),)), MadeCertificate()
    mine.write(tmp_path / "facade.pem", key=True)
    with tls_server(context(other, tmp_path)) as port:
        lines = f'certificate = "facade.pem"\nkey_file = "facade.pem"\naddress = "https://localhost:{port}"'
        ((level, what, fix),) = await found(configured(tmp_path, port, lines))
    assert level is Severity.PROBLEM
    assert "does not show facade.certificate" in what
    assert "SIGHUP" in fix
