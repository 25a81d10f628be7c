"""Why TLS failed, by real servers on loopback: each reason with its cure, on either event loop."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from cryptography import x509

from pws_soap.certificate import Shown
from pws_soap.client import PwsClient
from pws_soap.errors import Disconnected, PwsError, TlsFailed, UntrustedServer
from pws_soap.tls_problem import tls_problem
from pws_soap.trust import Trust, strictness
from tests.support.tls_servers import DAY, NOW, MadeCertificate, context, old_context, tls_server

LOCAL = (x509.IPAddress(ipaddress.ip_address("127.0.0.1")),)
PLAIN_HTTP = ("tls = false", "http://")
"""What no cure names where the server speaks TLS."""

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def login(request: pytest.FixtureRequest) -> Callable[..., PwsError | None]:
    """Logs in at a port; the error, None where the handshake came about."""

    def run(port: int, *, ca_file: Path | None = None, fingerprint: str | None = None) -> PwsError | None:
        async def work() -> PwsError | None:
            url = f"https://127.0.0.1:{port}"
            trust = {"ca_file": ca_file, "fingerprint": fingerprint}
            async with PwsClient(url, **trust, connect_timeout=30, read_timeout=30) as pws:  # type: ignore[arg-type]
                try:
                    await pws.login("pwsapp", "never to be seen")
                except Disconnected:
                    return None  # the server has taken the request and hung up
                except PwsError as error:
                    return error
            return None

        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(work())

    return run


def refused(error: PwsError | None, kind: type[TlsFailed], *said: str) -> None:
    """The error is of that kind and says all that; its cure does not lead to plain HTTP."""
    assert type(error) is kind
    for text in said:
        assert text in str(error)
    assert error.cure
    assert not any(text in error.cure for text in PLAIN_HTTP)


@pytest.fixture(scope="module")
def authority() -> MadeCertificate:
    """An authority without key identifiers, as old ones are."""
    return MadeCertificate("Example Authority", authority=True)


@pytest.fixture(scope="module")
def issued(authority: MadeCertificate) -> MadeCertificate:
    return MadeCertificate(issuer=authority, names=LOCAL)


@pytest.fixture
def ca_file(authority: MadeCertificate, tmp_path: Path) -> Path:
    return authority.write(tmp_path / "ca.pem")


Login = Callable[..., PwsError | None]


# How strict


@pytest.mark.parametrize("ca", [True, None], ids=["with the CA mark", "bare"])
def test_appliance_that_signs_its_own_certificate_is_taken(login: Login, tmp_path: Path, ca: bool | None) -> None:
    """Without key identifiers or any extension but its name, on every version of Python."""
    own = MadeCertificate(names=LOCAL, authority=ca)
    with tls_server(context(own, tmp_path)) as port:
        assert login(port, ca_file=own.write(tmp_path / "own.pem")) is None


def test_old_authority_without_key_identifiers_is_taken(
    login: Login, issued: MadeCertificate, ca_file: Path, tmp_path: Path
) -> None:
    with tls_server(context(issued, tmp_path)) as port:
        assert login(port, ca_file=ca_file) is None


def test_strictness_is_the_same_whatever_the_version_of_python_begins_with() -> None:
    """Its own defaults differ in both flags."""
    for flags in (ssl.VERIFY_DEFAULT, ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN):
        made = ssl.create_default_context()
        made.verify_flags |= flags
        strictness(made)
        assert not made.verify_flags & (ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN)
        assert made.minimum_version is ssl.TLSVersion.TLSv1_2
        assert made.verify_mode is ssl.CERT_REQUIRED
        strictness(made, named=True)
        assert made.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
        assert not made.verify_flags & ssl.VERIFY_X509_STRICT


def test_ca_file_may_hold_any_certificate_of_the_chain(
    login: Login, authority: MadeCertificate, tmp_path: Path
) -> None:
    """What signed the server's, which somebody else has signed; what signed that; and the server's own."""
    between = MadeCertificate("Issuing Authority", issuer=authority, authority=True)
    issued = MadeCertificate(issuer=between, names=LOCAL)
    for above in ((), (between,)):
        with tls_server(context(issued, tmp_path, *above)) as port:
            for named in (between, issued, *([authority] if above else [])):
                assert login(port, ca_file=named.write(tmp_path / "ca.pem")) is None
    with tls_server(context(issued, tmp_path)) as port:
        error = login(port, ca_file=authority.write(tmp_path / "ca.pem"))
    said = "its authority (CN=Issuing Authority) is not known; set ca_file to that authority's certificate"
    refused(error, UntrustedServer, said)


def test_what_ca_file_holds_is_checked_for_the_name_all_the_same(login: Login, tmp_path: Path) -> None:
    """The server's own certificate there is no pin."""
    other = MadeCertificate(names=(x509.DNSName("imp1.example.com"),))
    with tls_server(context(other, tmp_path)) as port:
        error = login(port, ca_file=other.write(tmp_path / "ca.pem"))
    refused(error, UntrustedServer, "it names another host: imp1.example.com")


# Certificates that are not trusted


def test_expired(login: Login, authority: MadeCertificate, ca_file: Path, tmp_path: Path) -> None:
    """With the day; the pin is a cure until it is renewed."""
    past = datetime.datetime(2025, 3, 4, 12, tzinfo=datetime.UTC)
    old = MadeCertificate(issuer=authority, names=LOCAL, since=past - DAY, until=past)
    with tls_server(context(old, tmp_path)) as port:
        refused(
            login(port, ca_file=ca_file),
            UntrustedServer,
            "certificate has expired on 2025-03-04 12:00 UTC; renew the `cup` certificate on the server",
        )
        assert login(port, fingerprint=old.digest) is None


def test_authority_that_has_expired_is_not_taken_for_the_server(login: Login, tmp_path: Path) -> None:
    """The server's certificate is good: what is old is the file."""
    past = datetime.datetime(2025, 3, 4, 12, tzinfo=datetime.UTC)
    old = MadeCertificate("Old Authority", authority=True, since=past - DAY, until=past)
    good = MadeCertificate(issuer=old, names=LOCAL)
    with tls_server(context(good, tmp_path)) as port:
        refused(
            login(port, ca_file=old.write(tmp_path / "ca.pem")),
            UntrustedServer,
            "the authority of ca_file, CN=Old Authority, expired on 2025-03-04",
            "set ca_file to its renewed certificate",
        )


def test_not_yet_valid(login: Login, authority: MadeCertificate, ca_file: Path, tmp_path: Path) -> None:
    """The clock of this machine is what most often is wrong then."""
    early = MadeCertificate(issuer=authority, names=LOCAL, since=NOW + DAY, until=NOW + 2 * DAY)
    with tls_server(context(early, tmp_path)) as port:
        error = login(port, ca_file=ca_file)
    refused(error, UntrustedServer, "it is not valid yet", f"before {NOW + DAY:%Y-%m-%d}", "correct the clock")


def test_weak_key(login: Login, authority: MadeCertificate, ca_file: Path, tmp_path: Path) -> None:
    weak = MadeCertificate(issuer=authority, names=LOCAL, bits=1024)
    with tls_server(context(weak, tmp_path)) as port:
        refused(login(port, ca_file=ca_file), UntrustedServer, "its key is too weak", "RSA of 2048 bits or more")
        assert login(port, fingerprint=weak.digest) is None


def test_weak_key_of_the_authority(login: Login, tmp_path: Path) -> None:
    weak = MadeCertificate("Weak Authority", authority=True, bits=1024)
    good = MadeCertificate(issuer=weak, names=LOCAL)
    with tls_server(context(good, tmp_path)) as port:
        error = login(port, ca_file=weak.write(tmp_path / "ca.pem"))
        pinned = login(port, fingerprint=good.digest)
    weak_one = "the key of its authority, CN=Weak Authority (RSA of 1024 bits) in ca_file, is too weak"
    refused(error, UntrustedServer, weak_one, "make a new certificate of that authority with RSA of 2048 bits")
    assert pinned is None


def test_weak_key_of_an_authority_in_between(login: Login, authority: MadeCertificate, tmp_path: Path) -> None:
    weak = MadeCertificate("Issuing Authority", issuer=authority, authority=True, bits=1024)
    good = MadeCertificate(issuer=weak, names=LOCAL)
    with tls_server(context(good, tmp_path, weak)) as port:
        error = login(port, ca_file=authority.write(tmp_path / "ca.pem"))
    said = "the key of its authority (CN=Issuing Authority), or of one above that, is too weak"
    refused(error, UntrustedServer, said, "make a new certificate of that authority")


def test_weak_signature(login: Login, authority: MadeCertificate, ca_file: Path, tmp_path: Path) -> None:
    """The server's own, or that of an authority: each is cured in another place."""
    own = MadeCertificate(issuer=authority, names=LOCAL, sha_1=True)
    with tls_server(context(own, tmp_path)) as port:
        error = login(port, ca_file=ca_file)
    refused(error, UntrustedServer, "its signature is too weak (SHA-1 or MD5)", "make a new `cup` certificate")
    weak = MadeCertificate("Issuing Authority", issuer=authority, authority=True, sha_1=True)
    good = MadeCertificate(issuer=weak, names=LOCAL)
    with tls_server(context(good, tmp_path, weak)) as port:
        error = login(port, ca_file=ca_file)
        cured = login(port, ca_file=weak.write(tmp_path / "weak.pem"))
    refused(error, UntrustedServer, "the signature of its authority (CN=Issuing Authority), or of one above that,")
    assert cured is None  # a signature of what is trusted itself does not count


def test_signer_that_is_no_authority(login: Login, authority: MadeCertificate, ca_file: Path, tmp_path: Path) -> None:
    """No ca_file cures that: the same is said where it holds the signer."""
    signer = MadeCertificate("Not An Authority", issuer=authority, authority=False)
    issued = MadeCertificate(issuer=signer, names=LOCAL)
    with tls_server(context(issued, tmp_path, signer)) as port:
        for named in (ca_file, signer.write(tmp_path / "signer.pem")):
            refused(
                login(port, ca_file=named),
                UntrustedServer,
                "what signed it (CN=Not An Authority), or one above that, is not marked as a certificate authority",
                "have a certificate authority sign the `cup` certificate",
            )
        assert login(port, fingerprint=issued.digest) is None


def test_more_authorities_than_are_allowed(login: Login, tmp_path: Path) -> None:
    """Both cures cure: the signer named itself, and the pin."""
    root = MadeCertificate("Root", authority=True, below=0)
    between = MadeCertificate("Issuing Authority", issuer=root, authority=True)
    issued = MadeCertificate(issuer=between, names=LOCAL)
    with tls_server(context(issued, tmp_path, between)) as port:
        error = login(port, ca_file=root.write(tmp_path / "root.pem"))
        assert login(port, ca_file=between.write(tmp_path / "between.pem")) is None
        assert login(port, fingerprint=issued.digest) is None
    cure = "set ca_file to the certificate of what signed it (CN=Issuing Authority), or fingerprint"
    refused(error, UntrustedServer, "an authority above it allows fewer authorities below itself", cure)


def test_authority_that_may_not_sign_for_the_name(
    login: Login, authority: MadeCertificate, ca_file: Path, tmp_path: Path
) -> None:
    """Its limit holds where ca_file names it, too."""
    elsewhere = x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))
    limited = MadeCertificate("Limited Authority", issuer=authority, authority=True, only=elsewhere)
    issued = MadeCertificate(issuer=limited, names=LOCAL)
    with tls_server(context(issued, tmp_path, limited)) as port:
        for named in (ca_file, limited.write(tmp_path / "limited.pem")):
            refused(
                login(port, ca_file=named),
                UntrustedServer,
                "CN=Limited Authority, or one above that, may not",
                "have an authority sign the `cup` certificate that may sign for the name",
            )
        assert login(port, fingerprint=issued.digest) is None


def test_extension_that_nobody_understands(
    login: Login, authority: MadeCertificate, ca_file: Path, tmp_path: Path
) -> None:
    """No ca_file cures that."""
    made = MadeCertificate(issuer=authority, names=LOCAL, unknown=True)
    with tls_server(context(made, tmp_path)) as port:
        error = login(port, ca_file=ca_file)
        assert login(port, fingerprint=made.digest) is None
    refused(error, UntrustedServer, "an extension that must be understood", "make a new `cup` certificate without")
    assert isinstance(error, UntrustedServer)
    assert "ca_file" not in error.cure


def test_another_name(login: Login, authority: MadeCertificate, ca_file: Path, tmp_path: Path) -> None:
    """The names that it has are told, also where the old field alone holds one."""
    other = MadeCertificate("x", issuer=authority, names=(x509.DNSName("imp1.example.com"),))
    bare = MadeCertificate("cupserver", issuer=authority)
    for made, names in (
        (other, "it names another host: imp1.example.com"),
        (bare, "it names another host: CN=cupserver"),
    ):
        with tls_server(context(made, tmp_path)) as port:
            refused(login(port, ca_file=ca_file), UntrustedServer, names, "name the node in nodes as it does")


def test_unknown_authority(login: Login, issued: MadeCertificate, tmp_path: Path) -> None:
    """With its name and the server's SHA-256; both cures that it names work."""
    other = MadeCertificate("Another Authority", authority=True).write(tmp_path / "other.pem")
    with tls_server(context(issued, tmp_path)) as port:
        for ca in (None, other):
            refused(
                login(port, ca_file=ca),
                UntrustedServer,
                "its authority (CN=Example Authority) is not known; set ca_file to that authority's certificate",
                bytes.fromhex(issued.digest).hex(":").upper(),
            )
        assert login(port, fingerprint=issued.digest) is None


def test_server_that_signed_itself(login: Login, tmp_path: Path) -> None:
    own = MadeCertificate(names=LOCAL)
    with tls_server(context(own, tmp_path)) as port:
        error = login(port)
    refused(error, UntrustedServer, "the server has signed it itself; set ca_file to that certificate")


def test_certificate_for_clients_only(login: Login, authority: MadeCertificate, ca_file: Path, tmp_path: Path) -> None:
    made = MadeCertificate(issuer=authority, names=LOCAL, for_clients=True)
    with tls_server(context(made, tmp_path)) as port:
        refused(login(port, ca_file=ca_file), UntrustedServer, "purpose", "extended key usage serverAuth")


def test_authority_renewed_under_its_name(login: Login, issued: MadeCertificate, tmp_path: Path) -> None:
    """Another key: the present certificate of the same authority cures it."""
    renewed = MadeCertificate("Example Authority", authority=True).write(tmp_path / "renewed.pem")
    with tls_server(context(issued, tmp_path)) as port:
        error = login(port, ca_file=renewed)
    refused(error, UntrustedServer, "set ca_file to the present certificate of what signed it (CN=Example Authority)")


# Handshakes that do not come about


def test_tls_1_0_only(login: Login, issued: MadeCertificate, tmp_path: Path) -> None:
    """It does speak TLS: the password must not go out in the clear for that."""
    with tls_server(old_context(issued, tmp_path)) as port:
        error = login(port)
    refused(error, TlsFailed, "the server speaks TLS, but no version from 1.2 on", "switch TLS 1.2 on at the server")


@pytest.mark.parametrize("alert", ["15030100020246", "15030000020246", "15030300020246"])
def test_alert_of_the_version(login: Login, alert: str) -> None:
    with tls_server(bytes.fromhex(alert)) as port:
        refused(login(port), TlsFailed, "the server speaks TLS, but no version from 1.2 on")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_server_that_wants_a_client_certificate(
    login: Login, issued: MadeCertificate, ca_file: Path, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """In TLS 1.3 it says so only after our side of the handshake is done."""
    tls = context(issued, tmp_path)
    tls.maximum_version = version
    tls.verify_mode = ssl.CERT_REQUIRED
    with tls_server(tls) as port:
        for trust in ({"ca_file": ca_file}, {"fingerprint": issued.digest}):
            refused(login(port, **trust), TlsFailed, "wants a certificate of the client", "switch client certificates")


def test_request_sent_to_a_server_that_only_asks_for_a_client_certificate_may_have_been_carried_out(
    login: Login, issued: MadeCertificate, ca_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks after the request; that another handshake then fails in some way says nothing of it."""
    failed = ssl.SSLError(1, "a handshake that failed")
    failed.reason = "UNEXPECTED_EOF_WHILE_READING"
    shown = Shown(answered=True, speaks_tls=True, chose=True, asked_for_ours=True, error=failed)

    async def look(_host: str, _port: int, _limit: float) -> Shown:
        return shown

    monkeypatch.setattr("pws_soap.certificate.look", look)
    with tls_server(context(issued, tmp_path)) as port:
        assert login(port, ca_file=ca_file) is None, "Disconnected: the outcome is unknown"
        failed.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
        refused(login(port, ca_file=ca_file), TlsFailed, "wants a certificate of the client")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("15030300020270", "the server has no certificate for the name 127.0.0.1"),
        ("15030300020228", "shares neither a version from 1.2 on nor a cipher with us"),
        ("15030300020250", "the server speaks TLS, and ended the handshake (tlsv1 alert internal error)"),
        ("15030300020274", "wants a certificate of the client"),
        ("", "the connection was closed when TLS began"),
    ],
)
def test_other_alerts(login: Login, answer: str, said: str) -> None:
    with tls_server(bytes.fromhex(answer)) as port:
        refused(login(port), TlsFailed, said)


def test_no_cipher_shared(login: Login, issued: MadeCertificate, tmp_path: Path) -> None:
    tls = context(issued, tmp_path)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls.set_ciphers("AES128-SHA:@SECLEVEL=0")
    with tls_server(tls) as port:
        refused(login(port), TlsFailed, "shares neither a version from 1.2 on nor a cipher with us")


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 mail.example.com ESMTP\r\n", b"\0\0\0\x04"]
)
def test_port_without_tls(login: Login, answer: bytes) -> None:
    """Here alone plain HTTP is named, with its port, after the port of TLS."""
    with tls_server(answer) as port:
        error = login(port)
    assert type(error) is TlsFailed
    assert "the port does not speak TLS" in str(error)
    assert "TLS is at 8083" in error.cure


def test_settings_are_named_as_who_configured_them_does() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 20, "unable to get local issuer certificate"
    problem = tls_problem(error, "imp1", Trust(section="server."))
    assert "set server.ca_file to that authority's certificate, or server.fingerprint" in problem.cure
    assert "set ca_file to that authority's certificate, or fingerprint" in tls_problem(error, "imp1", Trust()).cure
