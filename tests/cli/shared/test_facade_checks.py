"""What `pws config check` and `pws doctor` say of [facade] before anything is asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import DNSName, GeneralName, IPAddress

from service.cli.shared import facade_checks
from service.cli.shared.facade_checks import names_host
from service.cli.shared.findings import Blame, Finding, Notebook, Severity
from service.config import load
from tests.support.configuration import BASE
from tests.support.tls_servers import DAY, NOW, MadeCertificate

USER = '[facade.users.attendant]\npassword = "seat"\nend_users = ["dispatcher"]\n'
PLAIN = 'listen_port = 8083\naddress = "http://127.0.0.1:8083"'
Look = Callable[..., list[Finding]]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """What is found of these lines of [facade], now or some days later."""

    def look(lines: str, days: int = 0) -> list[Finding]:
        (tmp_path / "pws.toml").write_text(f"{BASE}[facade]\n{lines}\n{USER}", "utf-8")
        findings: list[Finding] = []
        config = load(tmp_path / "pws.toml", {})
        facade_checks.look(config, Notebook("facade", findings.append), (NOW + days * DAY).timestamp())
        return findings

    return look


@pytest.fixture(scope="module")
def authority() -> MadeCertificate:
    return MadeCertificate("Example CA")


@pytest.fixture
def certified(tmp_path: Path, authority: MadeCertificate) -> Callable[..., str]:
    """Lines of [facade] with a certificate for these names."""

    def certified(*names: GeneralName, address: str = "https://presence.example.com:8083") -> str:
        MadeCertificate("presence", issuer=authority, names=names).write(tmp_path / "facade.pem", key=True)
        (tmp_path / "facade.pem").chmod(0o600)
        return (
            'listen_host = "0.0.0.0"\nlisten_port = 8083\ncertificate = "facade.pem"\nkey_file = "facade.pem"\n'
            f'address = "{address}"\nendpoints = ["10.1.0.0/16"]'
        )

    return certified


def troubles(findings: list[Finding]) -> list[tuple[Severity, str, str]]:
    return [(each.level, each.what, each.fix) for each in findings if each.level is not Severity.OK]


def test_on_loopback_all_is_well_and_said(look: Look) -> None:
    assert [finding.what for finding in look(PLAIN)] == [
        "programs reach it as http://127.0.0.1:8083 over plain HTTP; 1 user may log in",
        "a program's endpoint has to be at the address that it registers it from (facade.endpoints)",
    ]


def test_without_a_facade_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "pws.toml").write_text(BASE, "utf-8")
    findings: list[Finding] = []
    facade_checks.look(load(tmp_path / "pws.toml", {}), Notebook("facade", findings.append), 0)
    assert findings == []


def test_a_certificate_that_names_the_address_is_well_while_it_holds(look: Look, certified: Callable[..., str]) -> None:
    lines = certified(DNSName("presence.example.com"))
    findings = look(lines, days=-1)
    assert troubles(findings) == []
    assert re.search(r"certificate CN=presence, issued by CN=Example CA, good for 3[01] days$", findings[0].what)
    assert "over TLS; 1 user may log in" in findings[1].what
    (soon,) = troubles(look(lines, days=20))
    assert soon[0] is Severity.WARNING
    assert re.search(r"good for (9|10) days", soon[1])
    assert "SIGHUP" in soon[2]
    (over,) = troubles(look(lines, days=40))
    assert over[0] is Severity.PROBLEM
    assert "expired on" in over[1]
    (early,) = troubles(look(lines, days=-2))
    assert "does not hold before" in early[1]


def test_a_certificate_that_names_another_host_is_a_problem(look: Look, certified: Callable[..., str]) -> None:
    findings = look(certified(DNSName("imp1.example.com"), DNSName("*.lab.example.com")), days=-1)
    assert troubles(findings) == [
        (
            Severity.PROBLEM,
            "the certificate names imp1.example.com, *.lab.example.com, and facade.address is "
            "https://presence.example.com:8083: programs will not trust it",
            "have one made for presence.example.com, or set facade.address to what it names",
        )
    ]
    assert {finding.fault for finding in findings} == {None, Blame.CONFIGURATION}


def test_a_key_of_another_certificate_is_a_problem_with_its_cure(
    look: Look, certified: Callable[..., str], authority: MadeCertificate, tmp_path: Path
) -> None:
    lines = certified(DNSName("presence.example.com")).replace('key_file = "facade.pem"', 'key_file = "other.key"')
    authority.write(tmp_path / "other.key", key=True)
    (first, *_) = look(lines)
    assert first.what.endswith("facade.key_file cannot be used: the key is not that of the certificate")
    assert first.fix == "name a certificate in PEM and the private key that belongs to it, without a passphrase"


def test_a_key_with_a_passphrase_asks_nobody_for_it(look: Look, certified: Callable[..., str], tmp_path: Path) -> None:
    """OpenSSL would ask at the terminal, and wait for ever."""
    lines = certified(DNSName("presence.example.com")).replace('key_file = "facade.pem"', 'key_file = "locked.key"')
    key = rsa.generate_private_key(65537, 2048)
    locked = serialization.BestAvailableEncryption(b"a passphrase")
    form = serialization.PrivateFormat.PKCS8
    (tmp_path / "locked.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, locked))
    assert "the key has a passphrase" in look(lines)[0].what


def test_a_file_that_is_not_pem_is_told(look: Look, certified: Callable[..., str], tmp_path: Path) -> None:
    lines = certified(DNSName("presence.example.com"))
    (tmp_path / "facade.pem").write_text("no certificate", "utf-8")
    assert look(lines)[0].what.endswith("cannot be used: one of them is not in PEM")


def test_a_key_that_everybody_may_read_is_a_warning(look: Look, certified: Callable[..., str], tmp_path: Path) -> None:
    lines = certified(DNSName("presence.example.com"))
    (tmp_path / "facade.pem").chmod(0o644)
    (found,) = troubles(look(lines, days=-1))
    assert found[1].startswith("facade.key_file: everybody on this machine may read ")
    assert found[2] == "chmod 600 it"


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ('listen_host = "0.0.0.0"\nplain_http = true\nlisten_port = 8083\naddress = "http://127.0.0.1:8083"',
         "programs on other machines would look for it on their own"),
        ('listen_port = 8083\naddress = "http://presence.example.com:8083"', "only programs on this machine reach it"),
        ('listen_port = 8083\naddress = "http://127.0.0.1:8084"', "has port 8084, and facade.listen_port is 8083"),
        ('listen_port = 8083\naddress = "http://127.0.0.1"', "has port 80, and facade.listen_port is 8083"),
        (f'{PLAIN}\nendpoints = ["0.0.0.0/0"]', "facade.endpoints has 0.0.0.0/0: who may log in could have nearly any"),
        ('listen_host = "0.0.0.0"\nplain_http = true\nlisten_port = 8083\naddress = "http://h:8083"\n'
         'endpoints = ["127.0.0.0/8"]', "facade.endpoints has 127.0.0.0/8: programs elsewhere could have services of"),
        ('listen_host = "0.0.0.0"\nplain_http = true\nlisten_port = 8083\naddress = "http://h:8083"\n'
         'endpoints = ["169.254.169.254"]', "facade.endpoints has 169.254.169.254/32: programs elsewhere"),
    ],
)  # fmt: skip
def test_what_may_not_be_intended_is_a_warning(look: Look, lines: str, what: str) -> None:
    (found,) = troubles(look(lines))
    assert found[0] is Severity.WARNING
    assert what in found[1]
    assert found[2]


@pytest.mark.parametrize(
    ("names", "host", "is_named"),
    [
        (("presence.example.com",), "presence.example.com", True),
        (("Presence.Example.com",), "presence.example.com.", True),
        (("*.example.com",), "presence.example.com", True),
        (("*.example.com",), "a.presence.example.com", False),
        (("*.com",), "example.com", True),
        (("*.",), "presence", False),
        ((), "presence.example.com", False),
        (("10.1.2.3",), "10.1.2.3", True),
        (("*.2.3",), "10.1.2.3", False),
        (("2001:db8::1",), "2001:db8:0::1", True),
    ],
)
def test_a_name_stands_for_its_host_alone_and_a_star_for_one_part(
    names: tuple[str, ...], host: str, is_named: bool
) -> None:
    assert names_host(names, host) is is_named


def test_an_address_is_named_as_an_address(look: Look, certified: Callable[..., str]) -> None:
    lines = certified(IPAddress(ip_address("10.1.2.3")), address="https://10.1.2.3:8083")
    assert troubles(look(lines, days=-1)) == []
