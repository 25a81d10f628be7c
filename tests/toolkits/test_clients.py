"""The clients of `examples/soap/`, each built and run by the commands of its README, unchanged against both servers:
`pws simulate`, and the façade of a `pws serve` in front of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import trustme

from tests.e2e.simulated import NOTHING, Certificate, Server
from tests.support.ports import free_port
from tests.toolkits.facade import FacadeServer, facade
from tests.toolkits.recipes import TOOLKITS, Outcome, Toolkit, Workshop
from tests.toolkits.tap import tapped

pytestmark = [pytest.mark.toolkits, pytest.mark.long]

ENVELOPES: Final = {
    "1.1": b"http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": b"http://www.w3.org/2003/05/soap-envelope",
}
GSOAP: Final = ("strict=true", "fault_status=500", "repeat_session_key=must-understand", "nothing_changed=empty")
"""What toolkits stumble over: requests to the letter of the schema alone, and all that gSOAP may do in its replies."""
WHOLE: Final = """\
logged in
endpoint 1, subscription 1
fetched: ann@example.com BUSY
fetched: joe@example.com AVAILABLE
polled: ann@example.com BUSY
polled: joe@example.com AVAILABLE
fault 101: the session is over, log in again
logged out
"""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Where the clients are built, for all tests."""
    return Workshop(tmp_path_factory.mktemp("toolkits"))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A private authority, which nobody trusts by himself."""
    return trustme.CA()


@contextmanager
def simulator(directory: Path, certificate: Certificate | None = None, options: Sequence[str] = ()) -> Iterator[Server]:
    """A simulator with two contacts who are in."""
    with Server(directory, certificate, options=options) as server:
        server.ready()
        server.put("ann@example.com", state="BUSY", activities=[])
        server.put("joe@example.com", state="AVAILABLE", activities=[])
        yield server
        assert server.stop() == 0


@pytest.fixture(scope="module", params=["simulator", "facade"])
def tls_server(
    request: pytest.FixtureRequest, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server | FacadeServer]:
    """A server with a certificate of that authority."""
    directory = tmp_path_factory.mktemp("tls-server")
    issued = authority.issue_cert("localhost")
    certificate = Certificate(directory / "server.pem", directory / "server.key")
    issued.cert_chain_pems[0].write_to_path(certificate.chain)
    issued.private_key_pem.write_to_path(certificate.key)
    if request.param == "simulator":
        with simulator(directory, certificate) as server:
            yield server
    else:
        with simulator(directory) as behind, facade(directory, behind, certificate) as server:
            yield server


@pytest.fixture(scope="module", params=["lenient", "gsoap", "facade"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server | FacadeServer]:
    """A server for all toolkits."""
    directory = tmp_path_factory.mktemp("server")
    if request.param == "facade":
        with simulator(directory) as behind, facade(directory, behind) as server:
            yield server
    else:
        with simulator(directory, options=GSOAP if request.param == "gsoap" else ()) as server:
            yield server


def wanted(workshop: Workshop, toolkit: Toolkit) -> None:
    """Skip the test where the toolkit isn't installed."""
    if (reason := workshop.why_not(toolkit)) is not None:
        pytest.skip(reason)


def with_first_ids(output: str, server: Server | FacadeServer) -> str:
    """What a client printed, with the ids of the first one: those of a façade never come again."""
    if isinstance(server, Server):
        return output
    return re.sub(r"(?m)^endpoint [1-9]\d*, subscription [1-9]\d*$", "endpoint 1, subscription 1", output)


def address(port: int, scheme: str = "http", host: str = "127.0.0.1") -> dict[str, str]:
    """Where the server is, and a callback at which nobody listens."""
    nobody = f"http://127.0.0.1:{free_port()}/presence"
    return {"SOAP_URL": f"{scheme}://{host}:{port}/presence-service/soap", "SOAP_CALLBACK": nobody}


@pytest.mark.parametrize(
    ("toolkit", "soap"),
    [
        pytest.param(toolkit, version, id=f"{toolkit.section}-{version}")
        for toolkit in TOOLKITS
        for version in toolkit.versions
    ],
)
def test_a_client_logs_in_subscribes_fetches_polls_and_leaves_nothing(
    workshop: Workshop, server: Server | FacadeServer, toolkit: Toolkit, soap: str
) -> None:
    """All that it prints; the version on the wire; what the server has been asked; nothing is left there."""
    wanted(workshop, toolkit)
    before = server.counters()["requests"]
    with tapped(server.port) as tap:
        outcome = workshop.run(toolkit, **address(tap.port), SOAP_VERSION=soap)
    assert replace(outcome, output=with_first_ids(outcome.output, server)) == Outcome(0, WHOLE, "")
    assert {version for version, envelope in ENVELOPES.items() if envelope in tap.sent} == {soap}
    assert tap.sent.count(b'force="false"') == 2
    after = server.counters()["requests"]
    assert {name: count - before.get(name, 0) for name, count in after.items()} == {
        "login": 2,
        "registerEndPoint": 1,
        "subscribe": 1,
        "getSubscribedPresence": 1,
        "getPolledPresence": 2,
        "unsubscribe": 1,
        "unregisterEndPoint": 1,
        "logout": 2,
    }
    assert server.holds() == NOTHING


EACH = pytest.mark.parametrize("toolkit", [pytest.param(toolkit, id=toolkit.section) for toolkit in TOOLKITS])


@EACH
def test_a_client_that_is_refused_fails_and_does_not_print_the_password(
    workshop: Workshop, server: Server | FacadeServer, toolkit: Toolkit
) -> None:
    """It says why, in the server's words."""
    wanted(workshop, toolkit)
    outcome = workshop.run(toolkit, **address(server.port), SOAP_PASSWORD="mistyped-password")
    assert outcome.code != 0
    assert "logged in" not in outcome.output
    assert "The login failed." in outcome.errors + outcome.output
    assert "mistyped-password" not in outcome.errors + outcome.output
    assert server.holds() == NOTHING


@EACH
def test_a_client_speaks_tls_to_a_server_that_it_is_told_to_trust(
    workshop: Workshop, tls_server: Server | FacadeServer, authority: trustme.CA, tmp_path: Path, toolkit: Toolkit
) -> None:
    """And to no other: without that it says nothing to the server."""
    wanted(workshop, toolkit)
    where = address(tls_server.port, "https", "localhost")
    before = tls_server.counters()["requests"]
    refused = workshop.run(toolkit, **where)
    assert refused.code != 0
    assert tls_server.counters()["requests"] == before
    outcome = workshop.run_trusting(toolkit, authority.cert_pem.bytes(), tmp_path, **where)
    # Mono's tool says something before it.
    said = with_first_ids(outcome.output, tls_server).splitlines()[-8:]
    assert (outcome.code, said) == (0, WHOLE.splitlines()), outcome.errors
    assert tls_server.holds() == NOTHING
