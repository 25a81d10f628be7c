"""The way to a node that redirects, fails or cannot be trusted, where the simulator cannot play the part."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pws_soap import errors
from pws_soap.errors import Fault, Redirected
from pws_soap.models import Secret, Session, SessionKind
from service.cli.command_line import run
from service.cli.shared import output, sessions
from service.config import load
from tests.cli.configured import configure

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PWS_")]:
        monkeypatch.delenv(name)
    return tmp_path


class StubClient:
    """A client that fails or redirects as the test says: errors by the node's host."""

    def __init__(self, url: str, failures: dict[str, errors.PwsError]) -> None:
        self.url = url
        self.failures = failures

    async def __aenter__(self) -> StubClient:
        if self.url in self.failures:
            raise self.failures[self.url]
        return self

    async def __aexit__(self, *_error: object) -> None:
        pass

    async def login(self, username: str, _password: Secret, *, force: bool) -> Session:
        return Session(username, SessionKind.APPLICATION, self.url, Secret(f"force={force}"))

    async def login_end_user(self, _application: Session, user: str, *, force: bool) -> Session:
        failure = self.failures.get(f"{user} at {self.url}")
        if failure is not None:
            raise failure
        return Session(user, SessionKind.END_USER, self.url, Secret(f"force={force}"))

    async def logout(self, _session: Session) -> None:
        raise Fault.of(101, operation="logout")  # ended meanwhile


async def seat(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    failures: dict[str, errors.PwsError],
    redirect_to: str = '["imp2.example.com", "IMP3.example.com"]',
) -> tuple[str, str]:
    """Take the dispatcher's seat in a cluster with these failures."""
    environ = {"PWS_SERVER__REDIRECT_TO": redirect_to} if redirect_to else {}
    config = load(configure(directory, "imp1.example.com"), environ)
    monkeypatch.setattr(sessions, "client_of", lambda _config, url: StubClient(url, failures))
    async with sessions.NodeSessions(config) as cluster:
        found = await cluster.seat("dispatcher")
        return found.node.url, f"{found.session.user} at {found.session.node}, {found.session.key.reveal()}"


IMP1, IMP2, IMP3 = (f"https://imp{number}.example.com:8083" for number in (1, 2, 3))
MOVED = Redirected("dispatcher", "imp2.example.com", "imp3.example.com")


async def test_a_redirect_is_followed_and_told(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    found = await seat(elsewhere, monkeypatch, {f"dispatcher at {IMP1}": MOVED})
    assert found == (IMP2, f"dispatcher at {IMP2}, force=False")
    assert "dispatcher is homed on imp2.example.com" in capsys.readouterr().err


async def test_a_redirect_to_a_host_that_nobody_named_is_not_followed(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password would go there. The backup is used where that one is named."""
    failures: dict[str, errors.PwsError] = {f"dispatcher at {IMP1}": MOVED}
    said = "is homed on imp3.example.com, which server.nodes and server.redirect_to do not name; nothing was sent there"
    with pytest.raises(output.CommandFailed, match=said):
        await seat(elsewhere, monkeypatch, failures, "")
    assert (await seat(elsewhere, monkeypatch, failures, "imp3.example.com"))[0] == IMP3
    assert (await seat(elsewhere, monkeypatch, failures, "any"))[0] == IMP2


def test_delete_goes_to_no_host_that_nobody_named(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    configure(elsewhere, "imp1.example.com")
    visited: list[str] = []

    def client(_config: object, url: str) -> StubClient:
        visited.append(url)
        return StubClient(url, {f"dispatcher at {IMP1}": MOVED})

    monkeypatch.setattr(sessions, "client_of", client)
    assert run(["delete"]) == 1
    assert (
        "dispatcher is homed on imp2.example.com, which server.nodes and server.redirect_to" in capsys.readouterr().err
    )
    assert visited == [IMP1]


async def test_the_backup_is_used_when_the_home_node_is_down(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = {f"dispatcher at {IMP1}": MOVED, IMP2: errors.Unreachable("down")}
    assert (await seat(elsewhere, monkeypatch, failures))[0] == IMP3


async def test_a_certificate_of_the_home_node_that_is_not_trusted_is_no_reason_to_go_on(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = {f"dispatcher at {IMP1}": MOVED, IMP2: errors.UntrustedServer("not trusted")}
    with pytest.raises(errors.UntrustedServer):
        await seat(elsewhere, monkeypatch, failures)


async def test_a_second_redirect_is_not_followed(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Redirected):
        await seat(elsewhere, monkeypatch, {f"dispatcher at {IMP1}": MOVED, f"dispatcher at {IMP2}": MOVED})


async def test_a_redirect_to_nowhere_is_told(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Redirected):
        await seat(elsewhere, monkeypatch, {f"dispatcher at {IMP1}": Redirected("dispatcher", None, None)})
    with pytest.raises(output.CommandFailed, match="which is not a host"):
        await seat(elsewhere, monkeypatch, {f"dispatcher at {IMP1}": Redirected("dispatcher", "im p2", None)})
    moved = Redirected("dispatcher", "imp2.example.com", None)
    with pytest.raises(errors.Unreachable):
        await seat(elsewhere, monkeypatch, {f"dispatcher at {IMP1}": moved, IMP2: errors.Unreachable("down")})


def test_delete_reports_a_home_node_that_is_no_host(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    configure(elsewhere, "imp1.example.com")
    failures: dict[str, errors.PwsError] = {f"dispatcher at {IMP1}": Redirected("dispatcher", "im p2", None)}
    monkeypatch.setattr(sessions, "client_of", lambda _config, url: StubClient(url, failures))
    assert run(["delete", "--json"]) == 1
    out, err = capsys.readouterr()
    assert "'im p2' is not a host" in err
    assert [row["user"] for row in json.loads(out)["logged_out"]] == ["pwsapp"]
