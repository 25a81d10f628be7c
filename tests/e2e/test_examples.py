"""The programs in examples/, as they stand, against a real service; and what they do when something is lost."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from examples import claim_somebody
from examples.who_is_free import who_is_free
from tests.e2e.processes import PATIENCE, Running, Site, eventually
from tests.e2e.simulated import Server, Service, configure

ROOT: Final = Path(__file__).parents[2]
ANN, JOE = "ann@example.com", "joe@example.com"


def example(name: str, directory: Path, site: Site, *words: str) -> Running:
    """An example as a process, with the address in its environment."""
    return Running(
        ["env", f"PWS_URL={site.url}", sys.executable, str(ROOT / "examples" / name), *words], directory, f"{name}.log"
    )


def says(program: Running, *lines: str) -> None:
    """Wait until these are the last lines that it has printed."""

    def as_expected() -> None:
        assert program.output.splitlines()[-len(lines) :] == list(lines)

    eventually(as_expected)


@pytest.mark.long(ci=True)
def test_who_is_free_follows_a_group_through_a_restart_of_the_service(server: Server, tmp_path: Path) -> None:
    """Each change; not sure while there is no service; afterwards who is free then, and not who was before."""
    site = configure(tmp_path, server.port)
    with example("who_is_free.py", tmp_path, site, "support") as program:
        says(program, "not sure")
        with Service(tmp_path, site) as service:
            service.ready()
            says(program, f"free: {ANN}, {JOE}")
            server.put(ANN, state="BUSY")
            says(program, f"free: {JOE}")
            assert service.stop() == 0
        says(program, f"free: {JOE}", "not sure")
        server.put(JOE, state="AWAY")
        server.put(ANN, state="AVAILABLE")
        with Service(tmp_path, site) as service:
            service.ready()
            says(program, f"free: {ANN}")
            assert service.stop() == 0
        assert program.interrupt() == 0


def test_who_is_free_ends_with_what_the_service_says_where_asking_again_is_no_use(
    server: Server, tmp_path: Path
) -> None:
    """A group that there is not."""
    site = configure(tmp_path, server.port)
    with Service(tmp_path, site) as service:
        service.ready()
        with example("who_is_free.py", tmp_path, site, "nobody") as program:
            assert program.ended() == 1
            assert program.output.startswith("422: {")
        assert service.stop() == 0


class Script:
    """A server that gives each connection the next of some answers, and then says nothing more until it is closed."""

    def __init__(self, *answers: bytes) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self.requests: list[str] = []
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, args=(answers,))
        self._thread.start()

    def _serve(self, answers: tuple[bytes, ...]) -> None:
        for answer in answers:
            connection, _ = self._listening.accept()
            self._connections.append(connection)
            self.requests.append(connection.recv(65536).decode())
            connection.sendall(answer)

    def close(self) -> None:
        self._thread.join(PATIENCE)
        for opened in (*self._connections, self._listening):
            opened.close()


HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 1000\n\n"
SNAPSHOT: Final = b'event: snapshot\nid: 7\ndata: {"contacts":[{"contact":"ann@example.com"}],"reason":"start"}\n\n'


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none is made."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    return pauses


def connected_in_time(request: Request, timeout: float) -> Any:  # as urlopen
    """Only what comes behind the head of the answer may come too late."""
    answer = urlopen(request, timeout=PATIENCE)  # noqa: S310  # of a server of the test
    answer.fp.raw._sock.settimeout(timeout)
    return answer


def test_silence_makes_who_is_free_unsure_and_it_resumes(
    no_pause: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came in half an event does not count; with nothing missed, the first sign of life makes it sure again."""
    monkeypatch.setattr("examples.who_is_free.urlopen", connected_in_time)
    half = b'event: removed\nid: 8\ndata: {"contact":"ann@'
    with closing(Script(HEAD + SNAPSHOT + half, HEAD + b": keep-alive\n\n")) as script:
        following: Iterator[frozenset[str] | None] = who_is_free(script.url, "support", silence=0.2)
        assert [next(following) for _ in range(3)] == [{ANN}, None, {ANN}]
        following.close()  # type: ignore[attr-defined]  # it is a generator
    assert "last-event-id: 7" in script.requests[1].lower()
    assert no_pause == [1.0]


def test_who_is_free_waits_as_long_as_it_is_told_to(no_pause: list[float]) -> None:
    """429 and 503 with Retry-After."""
    busy = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 4\r\nContent-Length: 0\r\n\r\n"
    with closing(Script(busy, HEAD + SNAPSHOT)) as script:
        following = who_is_free(script.url, "support", "a-key", silence=PATIENCE)
        assert [next(following), next(following)] == [None, {ANN}]
        following.close()  # type: ignore[attr-defined]
    assert "authorization: bearer a-key" in script.requests[0].lower()
    assert no_pause == [4.0]


def test_claim_somebody_says_whom_and_lets_go(server: Server, tmp_path: Path) -> None:
    """As a program: standard input is at its end, so that it lets go at once."""
    site = configure(tmp_path, server.port)
    with Service(tmp_path, site) as service:
        service.ready()
        with example("claim_somebody.py", tmp_path, site, "support", "ticket 4711") as program:
            assert program.ended() == 0
            assert program.output.startswith((ANN, JOE))
        assert site.get("/v1/claims").json["claims"] == []
        assert service.stop() == 0


def test_an_answer_that_was_lost_claims_nobody_else(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second try has the same key, and gets the claim that the first had made."""
    site = configure(tmp_path, server.port)
    lost: list[bytes] = []
    pauses: list[float] = []

    def loses_the_first(request: Request, timeout: float) -> Any:  # as urlopen
        answer = urlopen(request, timeout=timeout)  # noqa: S310  # of the service above
        if lost:
            return answer
        with answer:
            lost.append(answer.read())
        raise ConnectionResetError

    with Service(tmp_path, site) as service:
        service.ready()
        with monkeypatch.context() as patch:
            patch.setattr("examples.claim_somebody.urlopen", loses_the_first)
            patch.setattr("time.sleep", pauses.append)
            with claim_somebody.Service(site.url).claimed("support", "ticket 4711") as claim:
                assert lost
                assert pauses == [1.0]
                (held,) = site.get("/v1/claims").json["claims"]
                assert (held["id"], held["for"]) == (claim["id"], "ticket 4711")
        assert site.get("/v1/claims").json["claims"] == []
        with pytest.raises(HTTPError) as refusal, claim_somebody.Service(site.url).claimed("nobody", "x"):
            pass
        assert refusal.value.code == 422
        refusal.value.close()
        assert service.stop() == 0
