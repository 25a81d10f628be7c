"""The clients of `examples/soap/` against `pws simulate`, each built and run by the commands of its README."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.e2e.processes import free_port
from tests.e2e.simulated import NOTHING, Server
from tests.toolkits.recipes import TOOLKITS, Outcome, Toolkit, Workshop
from tests.toolkits.tap import tapped

pytestmark = [pytest.mark.toolkits, pytest.mark.long]

ENVELOPES: Final = {
    "1.1": b"http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": b"http://www.w3.org/2003/05/soap-envelope",
}
LENIENT: Final = ()
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


@pytest.fixture(scope="module", params=[LENIENT, GSOAP], ids=["lenient", "gsoap"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A simulator for all toolkits, with two contacts who are in."""
    with Server(tmp_path_factory.mktemp("server"), options=request.param) as server:
        server.ready()
        server.put("ann@example.com", state="BUSY", activities=[])
        server.put("joe@example.com", state="AVAILABLE", activities=[])
        yield server
        assert server.stop() == 0


def run(workshop: Workshop, toolkit: Toolkit, port: int, **environment: str) -> Outcome:
    """The client's process, ended; the test is skipped where the toolkit isn't installed."""
    if (reason := workshop.why_not(toolkit)) is not None:
        pytest.skip(reason)
    url = f"http://127.0.0.1:{port}/presence-service/soap"
    nobody = f"http://127.0.0.1:{free_port()}/presence"
    return workshop.run(toolkit, PWS_URL=url, PWS_CALLBACK=nobody, **environment)


@pytest.mark.parametrize(
    ("toolkit", "soap"),
    [
        pytest.param(toolkit, version, id=f"{toolkit.section}-{version}")
        for toolkit in TOOLKITS
        for version in toolkit.versions
    ],
)
def test_a_client_logs_in_subscribes_fetches_polls_and_leaves_nothing(
    workshop: Workshop, server: Server, toolkit: Toolkit, soap: str
) -> None:
    """All that it prints; the version on the wire; what the server has been asked; nothing is left there."""
    before = server.counters()["requests"]
    with tapped(server.port) as tap:
        outcome = run(workshop, toolkit, tap.port, PWS_SOAP=soap)
    assert outcome == Outcome(0, WHOLE, "")
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


@pytest.mark.parametrize("toolkit", [pytest.param(toolkit, id=toolkit.section) for toolkit in TOOLKITS])
def test_a_client_that_is_refused_fails_and_does_not_print_the_password(
    workshop: Workshop, server: Server, toolkit: Toolkit
) -> None:
    """It says why, in the server's words."""
    outcome = run(workshop, toolkit, server.port, PWS_PASSWORD="mistyped-password")
    assert outcome.code != 0
    assert "logged in" not in outcome.output
    assert "The login failed." in outcome.errors + outcome.output
    assert "mistyped-password" not in outcome.errors + outcome.output
    assert server.holds() == NOTHING
