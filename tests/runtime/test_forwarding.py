"""What is passed on to the owner, how it gets there, and what a client is told where there is none."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from pws_soap.models import Secret
from service.access.authentication import AccessRules, Authenticator
from service.access.keys import KeyRing, hash_of
from service.access.principal import Principal
from service.access.principal import Scope as Right
from service.access.rate_limit import RateLimiter
from service.api.disconnect import wait_for_disconnect
from service.core.presence.cursors import cursor_after, cursor_at, replica_mark
from service.runtime.forward_seal import BeatMoment, Seal
from service.runtime.forwarding import Forwarding, ForwardOutcome
from service.runtime.owners import Owner
from tests.support.peers import Client, MemoryPeers
from tests.support.virtual_time import LoopClock, run

SECRET = Secret("a secret of the replicas")


@dataclass
class Known:
    """Who owns, as a test says."""

    now: Owner | None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    beat: BeatMoment = field(default_factory=lambda: BeatMoment(7, 100))
    there: dict[bytes, str] = field(default_factory=dict)
    will_be: bool = False
    leaves: bool = False

    def owner(self) -> Owner | None:
        return self.now

    async def gone(self, owner: Owner) -> None:
        while self.now == owner:
            await self.changed.wait()

    def is_coming(self) -> bool:
        return self.will_be

    def is_leaving(self) -> bool:
        return self.leaves

    def moment(self) -> BeatMoment:
        return self.beat

    def address_of(self, mark: bytes) -> str | None:
        return self.there.get(mark)


@dataclass
class Replica:
    """A program that tells what it was asked, behind a forwarding."""

    name: str
    seen: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    waits: asyncio.Event | None = None
    left: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        client = scope["client"][0] if scope["client"] is not None else None
        said = {"client": client, "headers": headers, "body": body.decode(), "path": scope["path"]}
        self.seen.append({**said, "query": scope["query_string"].decode()})
        self.asked.set()
        if self.waits is not None:
            gone = asyncio.ensure_future(wait_for_disconnect(receive))
            ready = asyncio.ensure_future(self.waits.wait())
            await asyncio.wait({gone, ready}, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if gone.done():
                self.left += 1
                return
            gone.cancel()
        reply = json.dumps({"by": self.name}).encode() + b" " * 3000
        headers_sent = [(b"x-by", self.name.encode()), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers_sent})
        await send({"type": "http.response.body", "body": reply})


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


class Lab:
    """Two replicas; `one` forwards to `two`, which owns."""

    def __init__(
        self,
        root_path: str = "",
        secrets: tuple[Secret, Secret] = (SECRET, SECRET),
        authenticator: Authenticator | None = None,
    ) -> None:
        self.cut: set[str] = set()
        self.stalled: set[str] = set()
        self.programs: dict[str, Any] = {}
        self.peers = MemoryPeers(self.programs, self.cut, self.stalled)
        self.owners = [Known(Owner(7, "http://two", is_self=False)), Known(Owner(7, "http://two", is_self=True))]
        self.one, self.two = Replica("one"), Replica("two")
        for program, owners, secret in zip((self.one, self.two), self.owners, secrets, strict=True):
            let_in = authenticator or Authenticator()
            forwarding = Forwarding(program, owners, self.peers, secret, let_in, root_path=root_path, max_body=100)
            self.programs[f"http://{program.name}"] = forwarding

    async def ask(self, client: Client, of: str = "one") -> Any:
        return await client.ask(self.programs[f"http://{of}"])


@pytest.mark.parametrize(
    ("method", "target", "goes"),
    [
        ("POST", "/v1/claims", True),
        ("POST", "/v1/claims/ab12/renew", True),
        ("DELETE", "/v1/claims/ab12", True),
        ("POST", "/v1/claims/", True),
        ("POST", "/v1/claimsheet", False),
        ("OPTIONS", "/v1/claims", False),
        ("PUT", "/v1/claims", False),
        ("POST", "/v1/refresh/", False),
        ("GET", "/v1/claims", False),
        ("GET", "/v1/webhooks", True),
        ("POST", "/v1/webhooks/crm/replay", True),
        ("OPTIONS", "/v1/webhooks", False),
        ("POST", "/v1/contacts", True),
        ("DELETE", "/v1/contacts?contact=ann@example.com", True),
        ("GET", "/v1/contacts", False),
        ("POST", "/v1/refresh", True),
        ("POST", "/v1/failover", True),
        ("GET", "/v1/presence", False),
        ("GET", "/v1/presence?max_age=5&available=true", True),
        ("HEAD", "/v1/presence/ann@example.com?max_age=0", True),
        ("GET", "/v1/presence?max%5Fage=5", True),
        ("GET", "/v1/presence?q=max_age=", False),
        ("GET", "/v1/summary", False),
        ("GET", "/livez", False),
        ("GET", "/pws/secret?id=1&eventType=PRESENCE", False),
    ],
)
async def test_what_is_passed_on(method: str, target: str, *, goes: bool) -> None:
    """Only what the owner alone can answer; and by the owner it is answered at once."""
    lab = Lab()
    answer = await lab.ask(Client(method, target))
    assert json.loads(answer.body)["by"] == ("two" if goes else "one")
    await lab.ask(Client(method, target), "two")
    path, _, query = target.partition("?")
    assert [(each["path"], each["query"]) for each in (lab.two if goes else lab.one).seen[:1]] == [(path, query)]


async def test_it_goes_as_it_is() -> None:
    """Headers, body, client, status and headers of the answer."""
    lab = Lab()
    lab.two.status = 201
    headers = {"Authorization": "Bearer key", "Prefer": "wait=5", "Idempotency-Key": "k", "Connection": "close"}
    answer = await lab.ask(Client("POST", "/v1/claims", headers, b'{"group": "support"}', client="2001:db8::5"))
    (seen,) = lab.two.seen
    assert seen["client"] == "2001:db8::5"
    assert seen["body"] == '{"group": "support"}'
    assert {"authorization": "Bearer key", "prefer": "wait=5", "idempotency-key": "k"}.items() <= seen[
        "headers"
    ].items()
    assert not {"connection", "pws-forwarded"} & seen["headers"].keys()
    assert (answer.status, answer.headers["x-by"], len(answer.body)) == (201, "two", 3013)


async def test_below_a_path() -> None:
    """With it and without, as proxies do; the owner's own address has what leads to it."""
    lab = Lab("/presence")
    for path in ("/presence/v1/claims", "/v1/claims"):
        await lab.ask(Client("POST", path))
    assert [each["path"] for each in lab.two.seen] == ["/v1/claims", "/v1/claims"]


async def test_a_hang_up_goes_on_to_the_owner() -> None:
    """A claim that nobody waits for any more must hold nobody."""
    lab = Lab()
    lab.two.waits = asyncio.Event()
    client = Client("POST", "/v1/claims", {"Prefer": "wait=30"})
    asking = asyncio.create_task(lab.ask(client))
    await lab.two.asked.wait()
    client.hang_up()
    assert await asking is None
    assert lab.two.left == 1


async def test_nobody_owns() -> None:
    """503, with a moment to try again."""
    lab = Lab()
    lab.owners[0].now = None
    answer = await lab.ask(Client("POST", "/v1/claims"))
    assert (answer.status, answer.headers["retry-after"]) == (503, "3")
    assert answer.json()["type"] == "/problems/no-owner"
    assert answer.headers["cache-control"] == "no-store"


async def test_the_owner_cannot_be_reached() -> None:
    """Nothing was done, and the client is told so."""
    lab = Lab()
    lab.cut.add("http://two")
    answer = await lab.ask(Client("DELETE", "/v1/claims/ab"))
    assert answer.status == 503
    assert "nothing was done" in answer.json()["detail"]


async def test_a_series_of_failures_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """And once more where the owner has answered in between."""
    lab = Lab()
    for cut, logged in ((True, 1), (True, 1), (False, 1), (True, 2)):
        (lab.cut.add if cut else lab.cut.discard)("http://two")
        await lab.ask(Client("POST", "/v1/refresh"))
        assert sum(getattr(record, "event", "") == "forward.failed" for record in caplog.records) == logged


async def test_the_owner_falls_silent() -> None:
    """Nobody waits longer than it takes to know that."""
    lab = Lab()
    lab.stalled.add("http://two")
    asking = asyncio.create_task(lab.ask(Client("POST", "/v1/claims")))
    await asyncio.sleep(0)
    lab.owners[0].now = None
    lab.owners[0].changed.set()
    answer = await asking
    assert answer.status == 503
    assert "Idempotency-Key" in answer.json()["detail"]


def test_the_service_stops_while_the_owner_has_not_answered() -> None:
    """Nobody waits until the connection is broken off."""

    async def story() -> None:
        lab = Lab()
        lab.stalled.add("http://two")
        asking = asyncio.create_task(lab.ask(Client("POST", "/v1/claims")))
        await asyncio.sleep(10)
        assert not asking.done()
        lab.programs["http://one"].let_go()
        answer = await asking
        assert (answer.status, answer.json()["type"]) == (503, "/problems/stopping")
        assert "Idempotency-Key" in answer.json()["detail"]

    run(story())


async def test_no_request_goes_round() -> None:
    """Each takes the other for the owner: the second refuses."""
    lab = Lab()
    lab.owners[1].now = Owner(6, "http://one", is_self=False)
    answer = await lab.ask(Client("POST", "/v1/claims"))
    assert answer.status == 503
    assert not lab.one.seen
    assert not lab.two.seen


async def test_replicas_with_different_secrets() -> None:
    """Neither answers for the other, and nothing goes round either; a client is told that it may come back."""
    lab = Lab(secrets=(SECRET, Secret("another secret of replicas")))
    for owner in (lab.owners[1].now, Owner(6, "http://one", is_self=False)):
        lab.owners[1].now = owner
        assert (await lab.ask(Client("POST", "/v1/claims"))).status == 503
    assert not lab.two.seen
    assert lab.programs["http://one"].outcomes == Counter({ForwardOutcome.NOT_A_REPLICA: 2})
    assert lab.programs["http://two"].outcomes == Counter({ForwardOutcome.FORGED: 2})


@pytest.mark.parametrize("value", ["", "7;192.0.2.9;00", "7.100;192.0.2.9;ab;00", "\xff", ";" * 500])
async def test_the_header_of_somebody_else(value: str) -> None:
    """It gives nobody another address, whatever is asked."""
    lab = Lab()
    for target in ("/v1/claims", "/v1/presence"):
        answer = await lab.ask(Client("POST", target, {"Pws-Forwarded": value}), "two")
        assert answer.status == 403
    assert not lab.two.seen


async def test_a_header_that_was_seen_serves_no_other_request() -> None:
    """It counts for one method and one target, in one tenure, for some seconds."""
    lab = Lab()
    value = Seal(SECRET).request("POST", "/v1/claims", "192.0.2.9", BeatMoment(7, 95)).decode()
    headers = {"Pws-Forwarded": value}
    assert (await lab.ask(Client("POST", "/v1/claims", headers), "two")).status == 200
    assert lab.two.seen[0]["client"] == "192.0.2.9"
    for method, target in (("POST", "/v1/contacts"), ("DELETE", "/v1/claims"), ("POST", "/v1/claims?a=b")):
        assert (await lab.ask(Client(method, target, headers), "two")).status == 403
    for beat in (BeatMoment(7, 106), BeatMoment(8, 95), BeatMoment(6, 95)):
        lab.owners[1].beat = beat
        answer = await lab.ask(Client("POST", "/v1/claims", headers), "two")
        assert (answer.status, answer.headers["retry-after"]) == (503, "3")
    assert len(lab.two.seen) == 1


async def test_what_is_no_replica_answers_for_none(caplog: pytest.LogCaptureFixture) -> None:
    """Something else listens at the owner's address, or what answers cannot sign."""
    lab = Lab()
    lab.programs["http://two"] = lab.two
    answer = await lab.ask(Client("POST", "/v1/claims"))
    assert answer.status == 503
    assert "no replica" in caplog.text
    assert "by" not in answer.json()

    async def repeats(scope: Scope, receive: Receive, send: Send) -> None:
        """Gives the header back that it was sent."""
        lab.two.headers = [(b"pws-forwarded", dict(scope["headers"])[b"pws-forwarded"])]
        await lab.two(scope, receive, send)

    lab.programs["http://two"] = repeats
    assert (await lab.ask(Client("POST", "/v1/claims"))).status == 503


KEY = "pws_" + "a" * 43


def with_keys(per_second: float = 0.0, origins: tuple[str, ...] = ()) -> Authenticator:
    rules = AccessRules(KeyRing([(hash_of(KEY), Principal("wallboard", frozenset(Right)))]), None, origins=origins)
    limiter = RateLimiter(LoopClock(), per_second, 1) if per_second else None
    return Authenticator(rules=rules, rate_limiter=limiter)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer pws_wrong"}, {"X-API-Key": "pws_wrong"}])
async def test_who_is_not_let_in_is_refused_where_they_ask(headers: dict[str, str]) -> None:
    """Nothing of it goes to the owner; the program says why."""
    lab = Lab(authenticator=with_keys())
    answer = await lab.ask(Client("POST", "/v1/claims", headers))
    assert answer.headers["x-by"] == "one"
    lab.owners[0].now = None
    answer = await lab.ask(Client("POST", "/v1/claims", headers))
    assert answer.headers["x-by"] == "one"
    for good in ({"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY}):
        lab.owners[0].now = Owner(7, "http://two", is_self=False)
        assert (await lab.ask(Client("POST", "/v1/claims", good))).headers["x-by"] == "two"


async def test_what_is_refused_here_is_counted_and_pages_may_read_it() -> None:
    """As all that the program refuses: forwarding's own answers too."""
    lab = Lab(authenticator=with_keys(0.001, ("https://wall.example.com",)))
    lab.owners[0].now = None
    headers = {"X-API-Key": KEY, "Origin": "https://wall.example.com"}
    answer = await lab.ask(Client("POST", "/v1/claims", headers))
    assert answer.status == 503
    assert answer.headers["access-control-allow-origin"] == "https://wall.example.com"
    assert "Retry-After" in answer.headers["access-control-expose-headers"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    answer = await lab.ask(Client("POST", "/v1/claims", headers))
    assert answer.status == 429
    assert answer.headers["access-control-allow-origin"] == "https://wall.example.com"


async def test_a_read_that_the_owner_cannot_answer_is_answered_here() -> None:
    """With what is known here: a state that cannot be confirmed is still shown."""
    lab = Lab()
    lab.cut.add("http://two")
    assert (await lab.ask(Client("GET", "/v1/presence?max_age=5"))).headers["x-by"] == "one"
    lab.owners[0].now = None
    assert (await lab.ask(Client("GET", "/v1/presence?max_age=5"))).headers["x-by"] == "one"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/v1/contacts/ann%40example.com", "/v1/contacts/ann@example.com"),
        ("/v1/contacts/a%2Fb%3F%23%25%20%C3%A9@example.com", "/v1/contacts/a/b?#% \u00e9@example.com"),
        ("/%761/contacts/x@example.com", "/v1/contacts/x@example.com"),
        ("/v1/contacts/%FF@example.com", "/v1/contacts/\ufffd@example.com"),
    ],
)
async def test_escaped_paths(target: str, path: str) -> None:
    """The owner's program sees the path that the client's spelling means."""
    lab = Lab()
    await lab.ask(Client("DELETE", target))
    assert [each["path"] for each in lab.two.seen] == [path]


async def test_headers_of_the_connection_stay_behind() -> None:
    """Also those that the client calls so; and HTTP/1.0 needs no Host."""
    lab = Lab()
    client = Client("POST", "/v1/claims", {"Connection": "close, X-Mine", "X-Mine": "1", "Expect": "100-continue"})
    await lab.ask(client)
    assert lab.two.seen[0]["headers"].keys() == {"host"}
    old = Client("POST", "/v1/claims")
    old.scope["http_version"], old.scope["headers"] = "1.0", []
    assert (await lab.ask(old)).headers["x-by"] == "two"
    for version, hosts in (("1.1", 0), ("1.1", 2), ("1.0", 2)):
        wrong = Client("POST", "/v1/claims")
        wrong.scope["http_version"], wrong.scope["headers"] = version, [(b"host", b"localhost")] * hosts
        assert (await lab.ask(wrong)).headers["x-by"] == "one"


async def test_a_client_whose_address_is_not_known() -> None:
    """Behind a socket that has none."""
    lab = Lab()
    client = Client("POST", "/v1/claims")
    client.scope["client"] = None
    await lab.ask(client)
    assert lab.two.seen[0]["client"] is None


class Walk:
    """`one` is asked for a page of an order that `two` keeps."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.mark = replica_mark("two 1234")
        self.lab.owners[0].there[self.mark] = "http://two"
        self.cursor = cursor_at(b"q" * 8, b"o" * 12, 50, self.mark)

    async def ask(self, cursor: str | None = None) -> str:
        query = f"sort=state&cursor={self.cursor if cursor is None else cursor}"
        answer = await self.lab.ask(Client("GET", f"/v1/presence?{query}"))
        return str(answer.headers["x-by"])


async def test_a_page_of_an_order_is_given_by_who_keeps_it() -> None:
    """Wherever it is asked for; other cursors are good everywhere."""
    walk = Walk()
    assert await walk.ask() == "two"
    assert await walk.ask(walk.cursor.replace("A", "%41")) == "two"
    for other in ("", "x", "%FF", cursor_after(b"q" * 8, "ann"), cursor_at(b"q" * 8, b"o" * 12, 50)):
        assert await walk.ask(other) == "one"
    walk.lab.owners[0].now = None  # any owner, or none
    assert await walk.ask() == "two"


async def test_a_page_of_an_order_whose_keeper_has_gone() -> None:
    """The program here says what it is worth: it is kept no longer."""
    walk = Walk()
    walk.lab.cut.add("http://two")
    assert await walk.ask() == "one"
    walk.lab.owners[0].there.clear()
    assert await walk.ask() == "one"


def test_a_page_of_an_order_whose_keeper_stands_still() -> None:
    """Nobody waits for it for long."""

    async def story() -> None:
        walk = Walk()
        walk.lab.stalled.add("http://two")
        assert await walk.ask() == "one"
        assert walk.lab.programs["http://one"].outcomes == Counter({ForwardOutcome.UNREACHABLE: 1})

    run(story())


async def test_a_body_that_is_too_long_is_the_programs_to_refuse() -> None:
    """Nothing of it goes to the owner."""
    lab = Lab()
    answer = await lab.ask(Client("POST", "/v1/claims", body=b"x" * 101))
    assert json.loads(answer.body)["by"] == "one"
    assert lab.one.seen[0]["body"] == "x" * 101
    assert not lab.two.seen
