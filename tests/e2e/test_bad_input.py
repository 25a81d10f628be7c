"""What strangers may send to a running service, and what it makes of it: an answer that tells nothing, and no harm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.processes import eventually
from tests.e2e.simulated import SECRET, Server, Service, configure

EVENT = "eventType=PRESENCE_NOTIFICATION"
CALLBACK = f"/pws/{SECRET}"


@dataclass(frozen=True)
class WatchedServer:
    """A server, a service that watches it, and the directory it runs in."""

    server: Server
    service: Service
    directory: Path

    def counted(self) -> Any:  # JSON is of any type
        return self.service.site.get("/v1/status").json["notifications"]


@pytest.fixture(scope="module")
def office(plain_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedServer]:
    """One for all tests of this module: none of them may leave a trace in it."""
    directory = tmp_path_factory.mktemp("office")
    plain_server.forget()
    plain_server.put("ann@example.com", state="AVAILABLE", activities=[])
    with Service(directory, configure(directory, plain_server.port), "--log-level", "debug") as service:
        yield WatchedServer(plain_server, service.ready(), directory)
        assert service.stop() == 0


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", id="nothing"),
        pytest.param(EVENT, id="no id"),
        pytest.param(f"id=&{EVENT}", id="empty id"),
        pytest.param(f"id=one&{EVENT}", id="not a number"),
        pytest.param(f"id=-1&{EVENT}", id="negative"),
        pytest.param(f"id=0&{EVENT}", id="zero"),
        pytest.param(f"id=1.0&{EVENT}", id="a fraction"),
        pytest.param(f"id=%D9%A1&{EVENT}", id="an Arabic digit"),
        pytest.param(f"id={'9' * 30}&{EVENT}", id="more than an int"),
        pytest.param(f"id=1&id=2&{EVENT}", id="two ids"),
        pytest.param("id=1", id="no event"),
        pytest.param("id=1&eventType=SOMETHING_ELSE", id="another event"),
        pytest.param(f"id=1&{EVENT}&padding={'x' * 10_000}", id="10 kB"),
        pytest.param("&".join(["a=b"] * 2500), id="2500 parameters"),
        pytest.param(f"id=1%00&{EVENT}", id="a null byte"),
        pytest.param(f"id=%FF%FE&{EVENT}", id="not UTF-8"),
        pytest.param("id=%31%&%=%zz", id="broken escapes"),
    ],
)
def test_a_query_that_is_no_notification_gets_an_empty_400(office: WatchedServer, query: str) -> None:
    before = office.counted()
    answer = office.service.site.get(f"{CALLBACK}?{query}")
    assert (answer.status, answer.body) == (400, b"")
    assert office.counted() == before | {"rejected": before["rejected"] + 1}


@pytest.mark.parametrize(
    "words",
    [
        "1;touch pwned",
        "1|touch pwned",
        "1&&touch pwned",
        "1`touch pwned`",
        "$(touch pwned)",
        "1\ntouch pwned",
        "'\"><!--",
    ],
)
def test_shell_characters_reach_no_shell(office: WatchedServer, words: str) -> None:
    """The sample scripts handed the id to a shell, which let anybody run anything."""
    answer = office.service.site.get(f"{CALLBACK}?id={quote(words)}&{EVENT}")
    assert (answer.status, answer.body) == (400, b"")
    assert not list(office.directory.glob("*pwned*"))
    assert "pwned" not in office.service.output


def test_shell_characters_that_are_not_escaped_reach_no_shell_either(office: WatchedServer) -> None:
    answer = office.service.site.get(f"{CALLBACK}?id=1;touch${{IFS}}pwned|`touch${{IFS}}pwned`&{EVENT}")
    assert (answer.status, answer.body) == (400, b"")
    assert not list(office.directory.glob("*pwned*"))


def test_an_id_that_nobody_knows_is_taken_and_asks_the_server_nothing(office: WatchedServer) -> None:
    """It may beat the reply to its subscribe, so it is no error; it is only counted."""
    asked, before = office.server.counters()["requests"], office.counted()
    answer = office.service.site.get(f"{CALLBACK}?id=4711&{EVENT}")
    assert (answer.status, answer.body) == (200, b"")
    assert office.counted() == before | {
        "received": before["received"] + 1,
        "unknown_id": before["unknown_id"] + 1,
    }
    assert office.server.counters()["requests"] == asked


def test_ids_without_end_take_no_memory_without_end(office: WatchedServer) -> None:
    """Three hundred unknown ids: all answered, and afterwards a change still arrives."""
    for number in range(1000, 1300):
        assert office.service.site.get(f"{CALLBACK}?id={number}&{EVENT}").status == 200
    office.server.put("ann@example.com", state="AWAY")
    office.service.sees("ann@example.com", state="AWAY", freshness="live")


@pytest.mark.parametrize(
    "path",
    [
        f"/pws/{SECRET[:-1]}",
        f"/pws/{SECRET}x",
        f"/pws/{SECRET.upper()}",
        "/pws/",
        "/pws",
        "/pws/%00",
        f"/pws/{'x' * 10_000}",
        f"/pws/{SECRET}/no%20node",
        f"/pws/{SECRET}/node/more",
        "/pws/../pws",
    ],
)
def test_without_the_secret_there_is_nothing_to_be_found(office: WatchedServer, path: str) -> None:
    before = office.counted()
    answer = office.service.site.get(f"{path}?id=1&{EVENT}")
    assert answer.status == 404
    assert answer.json["type"] == "/problems/not-found"
    assert SECRET not in answer.body.decode()
    assert office.counted() == before


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_a_notification_is_a_get(office: WatchedServer, method: str) -> None:
    answer = office.service.site.ask(method, f"{CALLBACK}?id=1&{EVENT}")
    assert answer.status == 405
    assert SECRET not in answer.body.decode()


def test_both_names_of_the_second_parameter_are_taken(office: WatchedServer) -> None:
    (subscription,) = office.service.site.get("/v1/status").json["subscriptions"]
    before = subscription["fetches"]
    for number, name in enumerate(("eventType", "etype"), 1):
        target = f"{CALLBACK}?id={subscription['id']}&{name}=PRESENCE_NOTIFICATION"
        assert office.service.site.get(target).status == 200
        eventually(partial(fetched, office, before + number))


def fetched(office: WatchedServer, least: int) -> None:
    (subscription,) = office.service.site.get("/v1/status").json["subscriptions"]
    assert subscription["fetches"] >= least


def test_a_contact_that_is_not_watched_is_404(office: WatchedServer) -> None:
    answer = office.service.site.get("/v1/presence/zoe@example.com")
    assert answer.status == 404
    assert answer.json["type"] == "/problems/contact-not-watched"
    assert "zoe@example.com" in answer.json["detail"]


@pytest.mark.parametrize(
    "contact",
    [
        "ann",
        "ann@",
        "@example.com",
        "ann@exa mple.com",
        "ann@@example.com",
        "ann@example.com\x00",
        "x" * 10_000,
    ],
)
def test_a_contact_that_is_none_is_422(office: WatchedServer, contact: str) -> None:
    answer = office.service.site.get(f"/v1/presence/{quote(contact)}")
    assert answer.status == 422, answer.body
    assert answer.json["type"] == "/problems/invalid-parameters"
    (error,) = answer.json["errors"]
    assert (error["in"], error["parameter"]) == ("path", "contact")


def test_a_path_out_of_the_house_leads_nowhere(office: WatchedServer) -> None:
    assert office.service.site.get("/v1/presence/..%2F..%2F..%2Fetc%2Fpasswd").status == 404
    assert office.service.site.get("/v1/presence/../../../etc/passwd").status == 404


def test_a_body_that_is_no_json_is_422(office: WatchedServer) -> None:
    answer = office.service.site.ask("POST", "/v1/refresh", ["ann@example.com"])
    assert answer.status == 422
    assert answer.json["type"] == "/problems/invalid-parameters"


def test_after_all_that_it_is_live_and_has_said_nothing_secret(office: WatchedServer) -> None:
    """Runs last: the tests before it share the service."""
    assert office.service.readiness() == (200, "live")
    assert SECRET not in office.service.output
    assert "ERROR" not in office.service.output
