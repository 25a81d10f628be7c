"""Stories about the promise over real sockets: what is true is recorded, and every live answer is held against it.

`Truth` changes contacts at the simulator and records when each state was true. `Observer` asks the service for all
contacts without pause and collects every answer that says `live` with a state that was not true at any moment since its
`as_of`. `Proxy` stands between service and simulator where the simulator's own faults are not enough.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.e2e.processes import PATIENCE, PWS, Running, Site, eventually
from tests.e2e.simulated import Server, Service, configure
from tests.support.ports import free_port

PEOPLE: Final = ("ann", "joe", "rita")
ANN, JOE, RITA = (f"{name}@example.com" for name in PEOPLE)
CONTACTS: Final = (ANN, JOE, RITA)
FETCH: Final = "getSubscribedPresence"
POLL: Final = "getPolledPresence"
ROOM_FOR_ONE: Final = ("max_subscriptions=1", "max_endpoints=1")
_ROUNDING: Final = 0.002
"""Seconds: `as_of` is written in milliseconds."""
_PAUSE: Final = 0.03
"""Seconds between two answers that are checked."""
_ENDLESS: Final = float("inf")


class FaultyServer(Server):
    """`pws simulate` as a process, with `--option`s; its control interface injects faults."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = free_port()
        self.control = Site(free_port())
        words = [PWS, "simulate", "--port", str(self.port), "--control-port", str(self.control.port)]
        for option in options:
            words += ["--option", option]
        Running.__init__(self, words, directory, f"simulator-{self.port}.log")

    def fault(self, kind: str, **keys: object) -> None:
        """Inject a fault."""
        answer = self.control.ask("POST", "/control/faults", {"fault": kind, **keys})
        assert answer.status == 200, answer.body

    def clear(self) -> None:
        """Switch all faults off."""
        assert self.control.ask("DELETE", "/control/faults").status == 200

    def kill_sessions(self) -> None:
        """End all sessions, with everything in them."""
        assert self.control.ask("POST", "/control/sessions/kill", {}).status == 200

    def requests(self, operation: str) -> int:
        """How often an operation was asked for."""
        return int(self.counters()["requests"].get(operation, 0))

    def injected(self, kind: str) -> int:
        """How often a kind of fault has hit."""
        return int(self.counters()["injected"].get(kind, 0))


@dataclass
class _Reign:
    """A time during which a state may have been true, in seconds since the epoch."""

    state: str
    begin: float
    end: float = _ENDLESS


class Truth:
    """How the contacts really are. Every change goes through it, so that it knows when each state was true."""

    def __init__(self, server: Server, contacts: Sequence[str] = CONTACTS) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._reigns: dict[str, list[_Reign]] = {contact: [] for contact in contacts}
        for contact in contacts:
            self.change(contact, "AVAILABLE", activities=[])

    def change(self, contact: str, state: str, **more: object) -> None:
        """Change a contact. While the request is under way, either state may be true."""
        now = time.time()
        with self._lock:
            reigns = self._reigns[contact]
            before = reigns[-1] if reigns else None
            reigns.append(_Reign(state, now))
        self._server.put(contact, state=state, **more)
        if before is not None:
            with self._lock:
                before.end = time.time()

    def toggle(self, contact: str) -> None:
        """Change a contact to a state that it does not have."""
        self.change(contact, "BUSY" if self.now(contact) == "DND" else "DND")

    def now(self, contact: str) -> str:
        """The present state."""
        with self._lock:
            return self._reigns[contact][-1].state

    def contacts(self) -> tuple[str, ...]:
        return tuple(self._reigns)

    def held(self, contact: str, since: float, until: float) -> set[str]:
        """The states that were true at some moment between these."""
        with self._lock:
            return {each.state for each in self._reigns[contact] if each.begin <= until and each.end >= since}


class Observer:
    """Asks for all contacts again and again, and collects the live answers that were not true.

    `ahead` is by how many seconds the service's wall clock is ahead of ours.
    """

    def __init__(self, site: Site, truth: Truth, ahead: float = 0.0) -> None:
        self._site, self._truth, self._ahead = site, truth, ahead
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer")
        self.live = 0
        """Live answers that were checked."""
        self.wrong: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        if kind is None:
            self.check()
        elif self.wrong:
            print("\n".join(self.wrong[:10]))  # noqa: T201  # pytest shows it beside the failure

    def check(self) -> None:
        """No answer so far was live and wrong."""
        assert self.wrong == []

    def _run(self) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._site.port, timeout=PATIENCE)
            # The service may be down: it is killed and started in some stories.
            with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
                while not self._stop.wait(_PAUSE):
                    connection.request("GET", "/v1/presence")
                    answers = json.loads(connection.getresponse().read())["contacts"]
                    self._judge(answers, time.time())
            self._stop.wait(_PAUSE)

    def _judge(self, answers: list[dict[str, Any]], now: float) -> None:  # JSON is of any type
        for answer in answers:
            if answer["freshness"] != "live":
                continue
            self.live += 1
            since = datetime.fromisoformat(answer["as_of"]).timestamp() - self._ahead
            held = self._truth.held(answer["contact"], since - _ROUNDING, now)
            if answer["state"] not in held:
                self.wrong.append(
                    f"{answer['contact']} was shown {answer['state']}, but was {held} since {answer['as_of']}"
                )


@dataclass
class Story:
    """A simulator, a service in front of it, and the truth."""

    server: FaultyServer
    service: Service
    truth: Truth
    kind: str = ""
    """What kind of presence it is about, where a test must know."""

    def status(self) -> Any:  # JSON is of any type
        """What /v1/status says."""
        return self.service.site.get("/v1/status").json

    def reading(self, counter: str) -> int:
        """A counter of /v1/status."""
        return int(self.status()["reading"][counter])

    def problems(self) -> list[str]:
        """The problems of /v1/status, in words."""
        return [each["what"] for each in self.status()["problems"]]

    def contacts(self) -> dict[str, dict[str, Any]]:  # JSON is of any type
        """All contacts as they are answered, by name."""
        return {each["contact"]: each for each in self.service.site.get("/v1/presence").json["contacts"]}

    def levels(self) -> dict[str, str]:
        """The freshness of each contact."""
        return {contact: each["freshness"] for contact, each in self.contacts().items()}

    def is_true(self) -> None:
        """Everything is live, and as the simulator has it."""
        seen = {name: (each["freshness"], each["state"]) for name, each in self.contacts().items()}
        assert seen == {name: ("live", self.truth.now(name)) for name in self.truth.contacts()}, self.problems()

    def is_well(self) -> None:
        """And no problem is left, no change waits, and the next change will be notified."""
        self.is_true()
        assert self.problems() == []
        subscriptions = self.server.control.get("/control/subscriptions").json["subscriptions"]
        assert [(each["silent"], each["pending"]) for each in subscriptions] == [(False, [])]

    def heals(self) -> None:
        """Wait until everything is live and true."""
        eventually(self.is_true)

    def recovers(self) -> None:
        """Wait until everything is live and true, no problem is left, and the next change will be notified."""
        eventually(self.is_well)

    def refresh(self) -> int:
        """Order a fetch; the status of the answer."""
        return self.service.site.ask("POST", "/v1/refresh").status

    @contextlib.contextmanager
    def observed(self) -> Iterator[Observer]:
        """Check every answer while the block runs, and until everything is live and true again."""
        with Observer(self.service.site, self.truth) as observer:
            yield observer
            self.heals()
            seen = observer.live
            eventually(lambda: _is_more(observer.live, seen))


def _is_more(number: int, than: int) -> None:
    assert number > than


def quick(
    directory: Path,
    port: int,
    *,
    rich: bool = False,
    safety: float = 600.0,
    heartbeat: float = 0.0,
    read_timeout: float = 5.0,
    names: Sequence[str] = PEOPLE,
    callback: str = "",
) -> Site:
    """Write a configuration whose waits are short. The sweep is off, so that it hides nothing."""
    kind = "RICH_PRESENCE" if rich else "BASIC_PRESENCE"
    sections = {
        "server": f'nodes = ["127.0.0.1:{port}"]\ntls = false\nread_timeout = {read_timeout}',
        "fetch": f"safety_interval = {safety}\nheartbeat_interval = {heartbeat}\nreconcile_interval = 0",
        "lifecycle": "stop_timeout = 30\nrequests_per_second = 500",
        "limits": "requests_per_second = 0",
    }
    if callback:
        sections["callback"] = callback
    watch = f'domain = "example.com"\ncontacts = {json.dumps(list(names))}\npresence_type = "{kind}"'
    return configure(directory, port, tls=None, watch=watch, **sections)


@contextlib.contextmanager
def playing(directory: Path, *options: str, **settings: Any) -> Iterator[Story]:  # of `quick`
    """A simulator with these options and a service that is ready. At the end nothing is left at the simulator."""
    with FaultyServer(directory, *options) as server:
        server.ready()
        with Service(directory, quick(directory, server.port, **settings)) as service:
            truth = Truth(server)
            service.ready()
            yield Story(server, service, truth)
            server.clear()
            assert service.stop() == 0
        assert not any(server.holds().values()), server.holds()
        assert server.stop() == 0


# Between service and simulator


Forward = Callable[[bytes], bytes]
Send = Callable[[bytes], None]


@dataclass(frozen=True)
class Exchange:
    """One request on its way through the proxy. `forward` gives the raw reply of the simulator, `send` sends it on."""

    operation: str
    body: bytes
    forward: Forward
    send: Send


Rule = Callable[[Exchange], None]
"""What happens to a request; without a rule, `exchange.send(exchange.forward(exchange.body))`."""
_OPERATION: Final = re.compile(rb"<(?:[\w-]+:)?Body[^>]*>\s*<(?:[\w-]+:)?(\w+)")


@dataclass
class Held:
    """A request that waits at the proxy, whatever becomes of its sender."""

    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)
    """The simulator has carried it out, or has refused it."""
    reply: bytes = b""

    def __call__(self, exchange: Exchange) -> None:
        self.arrived.set()
        assert self.released.wait(PATIENCE)
        self.reply = exchange.forward(exchange.body)
        self.answered.set()
        exchange.send(self.reply)

    def has_arrived(self) -> None:
        """Wait until the request is here."""
        assert self.arrived.wait(PATIENCE)

    def release(self) -> bytes:
        """Let the simulator have it; its reply."""
        self.released.set()
        assert self.answered.wait(PATIENCE)
        return self.reply


class _Handler(socketserver.StreamRequestHandler):
    """A connection of the service. Each request goes to the simulator on a connection of its own."""

    server: _Listener

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the service has closed it, or was killed
            while line := self.rfile.readline():
                method, target, _ = line.decode().split()
                headers = http.client.parse_headers(self.rfile)
                body = self.rfile.read(int(headers["Content-Length"] or 0))
                found = _OPERATION.search(body)
                sent = {name: value for name, value in headers.items() if name.lower() != "host"}

                def forward(body: bytes, method: str = method, target: str = target, sent: Any = sent) -> bytes:
                    return self.server.proxy.forward(method, target, sent, body)

                operation = found[1].decode() if found else ""
                rule = self.server.proxy.rule(operation)
                rule(Exchange(operation, body, forward, self._send))

    def _send(self, reply: bytes) -> None:
        self.wfile.write(reply)
        self.wfile.flush()


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    proxy: Proxy


class Proxy:
    """Forwards requests to a simulator, on a port of its own; `once` and `always` say what else happens to them."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._once: dict[str, list[Rule]] = {}
        self._always: dict[str, Rule] = {}
        self._listener = _Listener(("127.0.0.1", 0), _Handler)
        self._listener.proxy = self
        self.port: int = self._listener.server_address[1]
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), name="proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join(PATIENCE)

    def once(self, operation: str, rule: Rule) -> None:
        """The next request of this operation, that no earlier rule waits for, is handled by the rule."""
        self._once.setdefault(operation, []).append(rule)

    def always(self, operation: str, rule: Rule | None) -> None:
        """Each request of this operation is handled by the rule; None: by none."""
        if rule is None:
            self._always.pop(operation, None)
        else:
            self._always[operation] = rule

    def hold(self, operation: str) -> Held:
        """The next request of this operation waits until it is released."""
        held = Held()
        self.once(operation, held)
        return held

    def rule(self, operation: str) -> Rule:
        """What happens to a request that has just come."""
        waiting = self._once.get(operation)
        return waiting.pop(0) if waiting else self._always.get(operation, _passed_on)

    def forward(self, method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
        """The simulator's reply, whole. Raises OSError where the connection breaks before it."""
        connection = http.client.HTTPConnection("127.0.0.1", self._target, timeout=PATIENCE)
        try:
            connection.request(method, target, body, headers | {"Content-Length": str(len(body))})
            reply = connection.getresponse()
            content = reply.read()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from None
        finally:
            connection.close()
        return replied(content, reply.status, reply.headers.get("Content-Type", "text/xml; charset=utf-8"))


def _passed_on(exchange: Exchange) -> None:
    exchange.send(exchange.forward(exchange.body))


def replied(content: bytes, status: int = 200, kind: str = "text/xml; charset=utf-8") -> bytes:
    """A reply as it goes over the wire."""
    head = f"HTTP/1.1 {status} {http.client.responses[status]}\r\nContent-Type: {kind}\r\nContent-Length: "
    return f"{head}{len(content)}\r\n\r\n".encode() + content


def rewriting(change: Callable[[bytes], bytes]) -> Rule:
    """A rule that changes the body of the reply."""

    def rule(exchange: Exchange) -> None:
        _, _, content = exchange.forward(exchange.body).partition(b"\r\n\r\n")
        exchange.send(replied(change(content)))

    return rule
