"""docs/facade.md: its configurations serve programs as they stand, and say what the page says."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest
from cryptography.x509 import DNSName

from pws_soap import PwsClient
from pws_soap.errors import LoginRefused, RequestRefused, ServerTrouble
from pws_soap.models import PresenceState
from service.config import load
from tests.e2e.processes import PWS
from tests.e2e.simulated import Server, Service, configure
from tests.support.figures import ROOT
from tests.support.ports import free_port
from tests.support.tls_servers import MadeCertificate

PAGE: Final = (ROOT / "docs" / "facade.md").read_text("utf-8")
PLAIN, TLS = re.findall(r"```toml\n(\[facade\].*?)```", PAGE, re.DOTALL)
BASIC: Final = 'domain = "example.com"\ncontacts = ["ann", "joe"]\npresence_type = "BASIC_PRESENCE"'
GROUP: Final = {"groups.support": 'contacts = ["joe@example.com"]'}
ANN: Final = "ann@example.com"


def files(directory: Path) -> MadeCertificate:
    """The files that the page names."""
    for name in ("attendant-password", "board-password"):
        (directory / name).write_text(f"of the file {name}\n", "utf-8")
        (directory / name).chmod(0o600)
    certificate = MadeCertificate("presence", names=(DNSName("presence.example.com"),))
    for name in ("facade.pem", "facade.key"):
        certificate.write(directory / name, key=True).chmod(0o600)
    return certificate


def test_the_simple_configuration_is_right_and_says_what_stands_behind_it(tmp_path: Path) -> None:
    files(tmp_path)
    configure(tmp_path, 1)
    with (tmp_path / "pws.toml").open("a") as file:
        file.write(PLAIN)
    config = load(tmp_path / "pws.toml", {})
    assert config.facade.address == "http://127.0.0.1:8083"
    assert not [warning for warning in config.warnings if "facade" in warning]


@pytest.mark.long(ci=True)
def test_the_configuration_over_tls_serves_programs_as_it_stands(tmp_path: Path) -> None:
    """But for the port. Doctor finds it well, and what is said of codes, groups and endpoints is so."""
    certificate, port = files(tmp_path), free_port()
    with Server(tmp_path).ready() as server:
        server.put(ANN, state="BUSY", display_name="Ann Example")
        site = configure(tmp_path, server.port, tls=None, watch=BASIC, **GROUP)
        with (tmp_path / "pws.toml").open("a") as file:
            file.write(TLS.replace("8083", str(port)))
        with Service(tmp_path, site).ready() as service:
            service.sees(ANN, state="BUSY")
            asyncio.run(programs(f"https://127.0.0.1:{port}", certificate.digest))
            words = [PWS, "doctor", "--timeout", "10"]
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert "over SOAP attendant can log in as dispatcher, and a poll of one contact (" in done.stdout
            assert not re.findall(r"(?m)^ *(?:problem|PROBLEM).*facade.*$", done.stdout)


async def programs(url: str, fingerprint: str) -> None:
    """What two programs see, and what is refused to them."""
    async with PwsClient(url, fingerprint=fingerprint) as pws:
        with pytest.raises(LoginRefused) as refused:
            await pws.login("attendant", "wrong")
        assert refused.value.code == 114
        application = await pws.login("attendant", "of the file attendant-password")
        with pytest.raises(LoginRefused) as refused:
            await pws.login_end_user(application, "somebody")
        assert refused.value.code == 113
        user = await pws.login_end_user(application, "dispatcher")
        with pytest.raises(ServerTrouble, match="is in none of the networks where endpoints may be") as elsewhere:
            await pws.register_endpoint(application, "http://127.0.0.1:9000/told", expires=3600)
        assert elsewhere.value.code == 209
        (ann,) = await pws.get_polled_presence(user, [ANN])
        assert ann.state is PresenceState.BUSY
        with pytest.raises(RequestRefused, match="BASIC_PRESENCE") as basic:
            await pws.get_polled_presence(user, [ANN], rich=True)
        assert basic.value.code == 110

        board = await pws.login("board", "of the file board-password")
        anybody = await pws.login_end_user(board, "whoever")
        (unseen,) = await pws.get_polled_presence(anybody, [ANN])
        assert unseen.state is PresenceState.UNKNOWN
