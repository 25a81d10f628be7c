"""Whom the client trusts: a private authority, a pinned certificate, nobody else; to others nothing is sent."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pws_soap import errors
from pws_soap.client import PwsClient
from pws_soap.codes import Policy
from pws_soap.errors import ArgumentError, UntrustedServer
from pws_soap.memory import MemoryTransport
from pws_soap.transport import HttpTransport
from pws_soap.trust import Trust, read_fingerprint
from tests.soap.loopback import Act, Loopback, http
from tests.soap.samples import NODE, PASSWORD, application, logged_in, status

GOOD = http(logged_in())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "cup.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def digest(certificate: trustme.LeafCert) -> str:
    """The SHA-256 of a certificate, as tools print it."""
    der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
    return ":".join(f"{byte:02X}" for byte in hashlib.sha256(der).digest())


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """What a server makes for itself: signed by nobody, for another name, and expired; with its SHA-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cupserver")])
    now = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("self") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, certificate.fingerprint(hashes.SHA256()).hex()


async def login(server: Loopback, *, ca_file: Path | None = None, fingerprint: str | None = None) -> None:
    async with PwsClient(server.url, ca_file=ca_file, fingerprint=fingerprint) as pws:
        await pws.login("pwsapp", PASSWORD)


async def test_private_authority_is_accepted(authority: trustme.CA, ca_file: Path) -> None:
    """Its name is checked against the address, and one connection carries several calls."""
    tls = server_context(authority.issue_cert("127.0.0.1"))
    closed = http(status("logout"))
    async with Loopback([GOOD, closed], tls=tls) as server, PwsClient(server.url, ca_file=ca_file) as pws:
        await pws.login("pwsapp", PASSWORD)
        await pws.logout(application(server.url))
    assert (server.connections, len(server.received)) == (1, 2)


async def test_untrusted_server_is_told_with_its_fingerprint(authority: trustme.CA) -> None:
    """And with what to set; nothing was sent to it, not even when its certificate was looked at."""
    certificate = authority.issue_cert("127.0.0.1")
    async with Loopback([GOOD], tls=server_context(certificate)) as server:
        with pytest.raises(UntrustedServer) as caught:
            await login(server)
    message = str(caught.value)
    assert digest(certificate).replace(":", "") in message.replace(":", "")
    assert "not trusted: unable to get local issuer certificate" in message
    assert "; set ca_file to that authority's certificate, or fingerprint to its SHA-256" in message
    assert message.startswith("login at 127.0.0.1:")
    assert caught.value.policy is Policy.GIVE_UP
    assert (server.received, server.bytes_in) == ([], 0)


async def test_certificate_that_cannot_be_looked_at_is_told_without(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look is a courtesy: when it fails, the error is the same without the fingerprint."""

    async def refused(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    async with Loopback([GOOD], tls=server_context(authority.issue_cert("127.0.0.1"))) as server:
        monkeypatch.setattr(asyncio, "open_connection", refused)
        with pytest.raises(UntrustedServer, match="the server's certificate is not trusted: unable to get"):
            await login(server)


async def test_authority_of_somebody_else_is_not_accepted(authority: trustme.CA, tmp_path: Path) -> None:
    """A ca_file is the only authority then."""
    path = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    async with Loopback([GOOD], tls=server_context(authority.issue_cert("127.0.0.1"))) as server:
        with pytest.raises(UntrustedServer, match="ca_file"):
            await login(server, ca_file=path)
    assert server.bytes_in == 0


@pytest.mark.parametrize("name", ["imp2.example.com", "127.0.0.2", "localhost"])
async def test_certificate_for_another_name_is_refused(authority: trustme.CA, ca_file: Path, name: str) -> None:
    """Signed by the right authority, for another host."""
    async with Loopback([GOOD], tls=server_context(authority.issue_cert(name))) as server:
        with pytest.raises(UntrustedServer, match=r"is not valid for '127\.0\.0\.1'"):
            await login(server, ca_file=ca_file)
    assert server.bytes_in == 0


async def test_expired_certificate_is_refused(authority: trustme.CA, ca_file: Path) -> None:
    """The message says that this is what is wrong."""
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    tls = server_context(authority.issue_cert("127.0.0.1", not_after=past))
    async with Loopback([GOOD], tls=tls) as server:
        with pytest.raises(UntrustedServer, match="expired"):
            await login(server, ca_file=ca_file)


async def test_pinned_certificate_is_accepted(self_signed: tuple[ssl.SSLContext, str]) -> None:
    """Self-signed, for another name, expired: the pin alone counts, in any spelling."""
    context, pin = self_signed
    spaced = ":".join(pin[at : at + 2] for at in range(0, 64, 2)).upper()
    for fingerprint in (pin, spaced, f"sha256:{pin}", f" SHA256:{spaced} "):
        async with Loopback([GOOD], tls=context) as server:
            await login(server, fingerprint=fingerprint)
        assert len(server.received) == 1


async def test_wrong_pin_is_refused_before_anything_is_sent(self_signed: tuple[ssl.SSLContext, str]) -> None:
    """The message shows the certificate that was met."""
    context, pin = self_signed
    async with Loopback([GOOD], tls=context) as server:
        with pytest.raises(UntrustedServer, match="it is not the pinned one") as caught:
            await login(server, fingerprint="ab" * 32)
    assert pin.upper() in str(caught.value).replace(":", "").upper()
    assert (server.received, server.bytes_in) == ([], 0)


async def test_pin_is_refused_where_an_authority_would_do(authority: trustme.CA) -> None:
    """A good certificate by a known authority that is not the pinned one is refused as well."""
    first, second = authority.issue_cert("127.0.0.1"), authority.issue_cert("127.0.0.1")
    async with Loopback([GOOD], tls=server_context(first)) as server:
        with pytest.raises(UntrustedServer):
            await login(server, fingerprint=digest(second))
        assert server.bytes_in == 0
        await login(server, fingerprint=digest(first))


async def test_plain_port_spoken_to_with_tls() -> None:
    """Plain text where a handshake was expected: the message says so."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    other = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    async with other, PwsClient(f"https://127.0.0.1:{port}", connect_timeout=30) as pws:
        with pytest.raises(errors.Unreachable, match="TLS failed: the port does not speak TLS"):
            await pws.login("pwsapp", PASSWORD)


async def test_tls_port_spoken_to_in_plain(authority: trustme.CA) -> None:
    """The server hangs up: an error of the connection, not of the reply."""
    async with Loopback([GOOD], tls=server_context(authority.issue_cert("127.0.0.1"))) as server:
        pws = PwsClient(f"http://127.0.0.1:{server.port}", read_timeout=30)
        with pytest.raises(errors.OutcomeUnknown):
            await pws.login("pwsapp", PASSWORD)
        await pws.close()
    assert not server.received


async def test_handshake_that_hangs_is_unreachable() -> None:
    """The connect time-out covers it; nothing was sent."""
    async with Loopback([Act.SILENCE]) as server:
        pws = PwsClient(f"https://127.0.0.1:{server.port}", connect_timeout=0.1)
        with pytest.raises(errors.Unreachable, match=r"no connection within 0.1 s"):
            await pws.login("pwsapp", PASSWORD)
        await pws.close()
    assert not server.received


def test_http_with_a_certificate_is_a_mistake(ca_file: Path) -> None:
    """Anybody who names an authority means TLS: nothing goes out in plain."""
    for trust in ({"ca_file": ca_file}, {"fingerprint": "ab" * 32}):
        with pytest.raises(ArgumentError, match="base_url: expected https://") as caught:
            PwsClient("http://imp1.example.com", **trust)
        assert caught.value.argument == "base_url"


def test_authority_and_pin_together_are_a_mistake(ca_file: Path) -> None:
    """Only one of them would be checked: which, would be a guess."""
    with pytest.raises(ArgumentError, match="ca_file or fingerprint, not both"):
        PwsClient(NODE, ca_file=ca_file, fingerprint="ab" * 32)


def test_transport_of_one_s_own_does_not_swallow_an_authority(ca_file: Path) -> None:
    """It would be ignored without a word."""
    with pytest.raises(ArgumentError, match="transport"):
        PwsClient(NODE, ca_file=ca_file, transport=MemoryTransport())


def test_ca_file_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    """Missing, a directory, not PEM, empty: before any call."""
    text, empty = tmp_path / "text.pem", tmp_path / "empty.pem"
    text.write_text("not a certificate")
    empty.touch()
    for path in (tmp_path / "gone.pem", tmp_path, text, empty):
        with pytest.raises(ArgumentError, match="ca_file: expected a file with certificates in PEM") as caught:
            PwsClient(NODE, ca_file=path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "ab", "ab" * 31, "ab" * 33, "zz" * 32, "sha1:" + "ab" * 20, "é" * 64])
def test_fingerprint_that_is_none_is_refused_at_once(text: str) -> None:
    """64 hexadecimal digits, and nothing like it."""
    with pytest.raises(ArgumentError, match="SHA-256 of a certificate, 64 hexadecimal digits"):
        PwsClient(NODE, fingerprint=text)


def test_fingerprint_is_read_in_the_spellings_of_tools() -> None:
    """openssl, browsers, certutil."""
    expected = bytes(range(32))
    plain = expected.hex()
    spaced = " ".join(plain[at : at + 2] for at in range(0, 64, 2))
    for text in (plain, plain.upper(), spaced, spaced.replace(" ", ":"), f"SHA256:{plain}"):
        assert read_fingerprint(text) == expected


def test_there_is_no_switch_for_verification() -> None:
    """By default the system's authorities and the name count."""
    context = Trust().context()
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_transport_shows_how_it_trusts(ca_file: Path) -> None:
    """Its repr is fit for a log."""
    assert repr(HttpTransport(Trust(ca_file=ca_file))) == f"HttpTransport(ca_file={ca_file}, pinned=False)"
    assert repr(HttpTransport(Trust(fingerprint="ab" * 32))) == "HttpTransport(ca_file=None, pinned=True)"


@pytest.mark.parametrize(
    ("name", "value"),
    [("connect_timeout", 0), ("read_timeout", -1), ("read_timeout", float("inf")), ("connect_timeout", float("nan"))],
)
def test_time_outs_have_to_be_positive_and_finite(name: str, value: float) -> None:
    """There is no call without a time-out."""
    with pytest.raises(ArgumentError, match=f"{name}: expected a number of seconds above 0"):
        PwsClient(NODE, **{name: value})  # type: ignore[arg-type]  # either of the two


def test_cap_on_replies_has_to_be_positive() -> None:
    """A cap of nothing would refuse everything."""
    with pytest.raises(ArgumentError, match="max_reply_bytes: expected at least 1"):
        PwsClient(NODE, max_reply_bytes=0)
