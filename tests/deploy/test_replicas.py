"""Several replicas behind a load balancer: the files fit each other, and do what they promise when they are run."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import pytest
import yaml

from pws_soap.simulator.office.people import people
from service.cli.simulate.command import command as simulate
from service.config import Config, load
from service.runtime import access_rules
from service.runtime.replica import BESIDE
from tests.cluster.servers import binary
from tests.deploy.files import DEPLOY, run, tool
from tests.e2e.processes import Site, eventually
from tests.e2e.simulated import Server, Service
from tests.support.ports import free_port
from tests.support.sse import Reader, Sse

FOLDER: Final = DEPLOY / "replicas"
FILE: Final = FOLDER / "compose.yaml"
REPLICAS: Final = ("pws-1", "pws-2", "pws-3")
SECRETS: Final = {
    "password": "secret",
    "engine-password": "of the engine alone",
    "cluster-secret": "of the replicas alone",
}

Yaml = Any  # whatever the file holds


@pytest.fixture(scope="module")
def compose() -> Yaml:
    return yaml.safe_load(FILE.read_text())


@pytest.fixture(scope="module")
def services(compose: Yaml) -> Yaml:
    return compose["services"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets, as the comment in compose.yaml makes them."""
    made = tmp_path_factory.mktemp("replicas")
    for name, secret in SECRETS.items():
        (made / name).write_text(f"{secret}\n")
        (made / name).chmod(0o600)
    return made


def config_of(services: Yaml, name: str, folder: Path) -> Config:
    """What a replica makes of the file and of its environment."""
    file = folder / f"{name}.toml"
    file.write_text((FOLDER / "pws.toml").read_text().replace("/run/secrets", str(folder)))
    return load(file, services[name]["environment"])


def sections() -> dict[str, list[str]]:
    """The lines of haproxy.cfg by the section that they are in, without comments."""
    found: dict[str, list[str]] = {}
    for line in (FOLDER / "haproxy.cfg").read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            found[line] = lines = []
        elif line.strip() and not line.strip().startswith("#"):
            lines.append(line.strip())
    return found


# The files


def test_it_is_what_the_specification_describes(compose: Yaml) -> None:
    compose_spec = pytest.importorskip("compose_spec", reason="compose-spec is not installed")
    read = compose_spec.PyCompose.from_yaml(yaml.safe_dump(compose))  # which knows no merging of keys
    assert sorted(read.service_names()) == ["haproxy", "pws-1", "pws-2", "pws-3", "simulator", "valkey"]


def test_what_is_mounted_and_built_is_there(services: Yaml, compose: Yaml) -> None:
    mounted = [volume for service in services.values() for volume in service.get("volumes", [])]
    assert [each for each in mounted if each["type"] == "bind" and not (FOLDER / each["source"]).is_file()] == []
    build = services["simulator"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).is_file()
    assert {services[name]["image"] for name in REPLICAS} == {services["simulator"]["image"]}
    used = {secret for service in services.values() for secret in service.get("secrets", [])}
    assert used == set(compose["secrets"]) == set(SECRETS)
    for name, secret in compose["secrets"].items():
        assert f"deploy/replicas/{Path(secret['file'])}" in FILE.read_text(), name
    assert "deploy/replicas/secrets/" in (DEPLOY.parent / ".gitignore").read_text().splitlines()


def test_the_image_has_what_replicas_need() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text()
    assert "ARG EXTRAS=redis" in text
    assert '".[${EXTRAS}]"' in text


def test_only_this_machine_reaches_it_and_nothing_can_be_written(services: Yaml) -> None:
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert {name for name, service in services.items() if "ports" in service} == {"haproxy"}


def test_replicas_agree_in_all_but_their_address(services: Yaml, folder: Path) -> None:
    configs = {name: config_of(services, name, folder) for name in REPLICAS}
    for name, config in configs.items():
        assert access_rules.refusal(config) == ""
        assert config.cluster is not None
        assert config.cluster.advertise == f"http://{name}:{config.http.port}"
        assert config.cluster.address.hosts == (("valkey", 6379),)
        assert [warning.partition(" is ")[0] for warning in config.warnings] == [
            "server.tls",
            "access.anonymous_from_anywhere",
        ]
    assert len({repr(config.callback) for config in configs.values()}) == 1


def test_a_stop_has_more_time_than_a_replica_takes(services: Yaml, folder: Path) -> None:
    """Three seconds for what comes before and behind: connections, the audit file."""
    for name in REPLICAS:
        config = config_of(services, name, folder)
        assert services[name]["stop_grace_period"] == "30s"
        assert config.lifecycle.stop_timeout + BESIDE + 3 < 30


def test_names_and_ports_fit_each_other(services: Yaml, folder: Path) -> None:
    config = config_of(services, "pws-1", folder)
    assert config.server.urls() == ("http://simulator:8082",)
    simulator = simulate.make_context("simulate", list(services["simulator"]["command"][1:])).params
    assert config.application.username == simulator["user"]
    (watch,) = config.watch
    assert set(watch.contacts) == {person.contact for person in people(24, "example.com")}

    found = sections()
    callback = urlsplit(config.callback.url)
    assert callback.hostname == "haproxy"
    assert found["frontend notifications"][0] == f"bind :{callback.port}"
    assert found["frontend api"][0] == "bind :8000"
    assert services["haproxy"]["ports"] == ["127.0.0.1:8000:8000"]
    for backend in ("ready", "living", "callback"):
        servers = [line.split()[1:] for line in found[f"backend {backend}"] if line.startswith("server ")]
        port = config.callback.listen_port if backend == "callback" else config.http.port
        behind = [["no-check", "track", f"living/{name}", "backup"] for name in REPLICAS] if backend == "ready" else []
        assert [words[1] for words in servers] == [f"{name}:{port}" for name in REPLICAS] * (2 if behind else 1)
        assert [words[0] for words in servers[:3]] == [*REPLICAS]
        assert all(words[2:] in ([], ["port", str(config.http.port)]) for words in servers[:3])
        assert [words[2:] for words in servers[3:]] == behind


def test_ready_ones_get_requests_and_living_ones_where_none_is_ready() -> None:
    found = sections()
    assert any("uri /readyz" in line for line in found["backend ready"])
    for backend in ("living", "callback"):  # a follower takes notifications too, ready or not
        assert any("uri /livez" in line for line in found[f"backend {backend}"])
    assert found["frontend api"][2:] == ["default_backend ready"]
    assert "option allbackups" in found["backend ready"]


def test_haproxy_accepts_its_configuration(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text(re.sub(r"\bpws-\d:", "127.0.0.1:", (FOLDER / "haproxy.cfg").read_text()))
    done = run([tool("haproxy"), "-c", "-f", file])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr


# All of it, run


class Toy(http.server.BaseHTTPRequestHandler):
    """A replica that lives, and is ready as long as its server is; other requests wait until the test lets them go."""

    server: ToyServer

    def do_GET(self) -> None:
        code = 200 if self.path != "/readyz" or self.server.is_ready else 503
        if self.path.startswith("/v1/"):
            self.server.waiting.release()
            self.server.lets_go.wait()
        with contextlib.suppress(OSError):  # the balancer has gone away
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_words: object) -> None:
        pass


class ToyServer(http.server.ThreadingHTTPServer):
    """The server of a toy, on a port of its own."""

    daemon_threads = True

    def __init__(self, lets_go: threading.Event) -> None:
        super().__init__(("127.0.0.1", 0), Toy)
        self.is_ready = True
        self.lets_go = lets_go
        self.waiting = threading.Semaphore(0)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.mark.long
def test_a_question_goes_on_at_one_that_lives_where_none_is_ready_any_more(tmp_path: Path) -> None:
    haproxy, lets_go = tool("haproxy"), threading.Event()
    toys = [ToyServer(lets_go) for _ in REPLICAS]
    api, notifications = Site(free_port()), free_port()
    text = (FOLDER / "haproxy.cfg").read_text()
    text = text.replace("bind :8000", f"bind 127.0.0.1:{api.port}").replace(
        "bind :8080", f"bind 127.0.0.1:{notifications}"
    )
    for name, toy in zip(REPLICAS, toys, strict=True):
        text = re.sub(rf"{name}:80[08]0", f"127.0.0.1:{toy.server_port}", text).replace(" port 8000", "")
    (tmp_path / "haproxy.cfg").write_text(text)
    statuses: list[int] = []
    with Program([haproxy, "-f", tmp_path / "haproxy.cfg"], tmp_path / "haproxy.log") as balancer:
        balancer.ready(api.port)
        questions = [
            threading.Thread(target=lambda: statuses.append(api.get("/v1/presence").status), daemon=True) for _ in toys
        ]
        for question in questions:
            question.start()
        for toy in toys:  # each has got one
            assert toy.waiting.acquire(timeout=30)
            toy.is_ready = False
        for _ in toys:  # and is asked once more, as one that lives
            assert any(toy.waiting.acquire(timeout=10) for toy in toys)
        lets_go.set()
        for question in questions:
            question.join(30)
    for toy in toys:
        toy.shutdown()
        toy.server_close()
    assert statuses == [200, 200, 200]


class Program:
    """A program that is none of ours, with what it starts, in a session of its own; killed at the end of the `with`."""

    def __init__(self, words: Sequence[str | Path], log: Path) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ready(self, port: int) -> Self:
        """Wait until it listens there."""

        def listens() -> None:
            assert self._process.poll() is None, self._log.read_text()
            socket.create_connection(("127.0.0.1", port), 1).close()

        eventually(listens)
        return self


@dataclass
class Shop:
    """What compose.yaml describes, on free ports of this machine."""

    server: Server
    engine: int
    api: Site
    notifications: int
    folder: Path
    services: dict[str, Service] = field(default_factory=dict)
    sites: dict[str, Site] = field(default_factory=dict)
    callbacks: dict[str, int] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start a replica, or start it anew."""
        folder = self.folder / name
        if name not in self.sites:
            folder.mkdir()
            self.sites[name], self.callbacks[name] = Site(free_port()), free_port()
            changes = {
                '"simulator:8082"': f'"127.0.0.1:{self.server.port}"',
                "/run/secrets": str(self.folder),
                "http://haproxy:8080": f"http://127.0.0.1:{self.notifications}",
                "listen_port = 8080": f"listen_port = {self.callbacks[name]}",
                "0.0.0.0": "127.0.0.1",
                "port = 8000": f"port = {self.sites[name].port}",
                "valkey:6379": f"127.0.0.1:{self.engine}",
                "# advertise: PWS_CLUSTER__ADVERTISE": f'advertise = "{self.sites[name].url}"',
            }
            text = (FOLDER / "pws.toml").read_text()
            for old, new in changes.items():
                assert old in text, old
                text = text.replace(old, new)
            (folder / "pws.toml").write_text(text)
        self.services[name] = Service(folder, self.sites[name])
        self.services[name].__enter__()

    def balancer(self) -> Path:
        """haproxy.cfg with these ports."""
        text = (FOLDER / "haproxy.cfg").read_text()
        text = text.replace("bind :8000", f"bind 127.0.0.1:{self.api.port}")
        text = text.replace("bind :8080", f"bind 127.0.0.1:{self.notifications}")
        for name, site in self.sites.items():
            text = text.replace(f"{name}:8080 port 8000", f"127.0.0.1:{self.callbacks[name]} port {site.port}")
            text = text.replace(f"{name}:8000", f"127.0.0.1:{site.port}")
        file = self.folder / "haproxy.cfg"
        file.write_text(text)
        return file

    def owner(self) -> str:
        """The replica that owns the sessions."""

        def found() -> str:
            roles = {name: self.sites[name].get("/v1/status").json["cluster"]["role"] for name in self.services}
            assert "owner" in roles.values(), roles
            return next(name for name, role in roles.items() if role == "owner")

        return eventually(found)

    def ready(self) -> None:
        """Wait until all replicas are."""
        eventually(lambda: [service.ready() for service in self.services.values()])


@pytest.fixture
def shop(services: Yaml, folder: Path, tmp_path: Path) -> Iterator[Shop]:
    """Simulator, engine, three replicas and the balancer."""
    haproxy, program = tool("haproxy"), binary("valkey") or binary("redis")
    if program is None:
        pytest.skip("neither Valkey nor Redis is installed")
    for name in SECRETS:
        shutil.copy(folder / name, tmp_path / name)
    port = free_port()
    (tmp_path / "data").mkdir()
    conf = (FOLDER / "valkey.conf").read_text().replace("/data", str(tmp_path / "data"))
    conf = conf.replace("bind * -::*", "bind 127.0.0.1").replace("port 6379", f"port {port}")
    (tmp_path / "valkey.conf").write_text(conf)
    *shell, script = services["valkey"]["command"]
    for old, new in (("$$", "$"), ("/etc/valkey", tmp_path), ("/run/secrets", tmp_path), ("valkey-server", program)):
        assert old in script
        script = script.replace(old, str(new))
    with Program([*shell, script], tmp_path / "engine.log") as engine, Server(tmp_path) as server:
        engine.ready(port)
        server.ready()
        made = Shop(server, port, Site(free_port()), free_port(), tmp_path)
        try:
            for name in REPLICAS:
                made.start(name)
            made.ready()
            with Program([haproxy, "-f", made.balancer()], tmp_path / "haproxy.log") as balancer:
                balancer.ready(made.api.port)
                yield made
        finally:
            for service in made.services.values():
                service.__exit__(None, None, None)


class Client:
    """Asks and follows through the balancer, as an application does: each answer counts, and a stream that ends is
    opened again from where it was."""

    def __init__(self, site: Site) -> None:
        self.statuses: Counter[int | str] = Counter()
        self.events: list[Sse] = []
        self._site = site
        self._ends = threading.Event()
        self._stream: socket.socket | None = None
        self._threads = [threading.Thread(target=work) for work in (self._ask, self._follow)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ends.set()
        if self._stream is not None:
            with contextlib.suppress(OSError):
                self._stream.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._ends.wait(0.03):
            try:
                self.statuses[self._site.get("/v1/presence?available=true").status] += 1
            except (OSError, http.client.HTTPException) as error:
                self.statuses[repr(error)] += 1

    def _follow(self) -> None:
        last = ""
        while not self._ends.wait(0.1):
            connection = http.client.HTTPConnection("127.0.0.1", self._site.port, timeout=30)
            with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
                connection.request("GET", "/v1/events", headers={"Last-Event-ID": last} if last else {})
                self._stream = connection.sock
                with connection.getresponse() as answer:
                    reader = Reader()
                    while answer.status == 200 and (piece := answer.read1()):
                        self.events += reader.feed(piece)
                        last = reader.last_id or last

    def sees(self, contact: str, state: str) -> None:
        """Wait for the change."""

        def seen() -> None:
            told = [event.data for event in self.events if event.name == "change"]
            assert (contact, state) in [(data["contact"], data["state"]) for data in told], told[-2:]

        eventually(seen)

    def is_told(self) -> None:
        """Whether the stream has begun."""
        assert self.snapshots == 1

    @property
    def snapshots(self) -> int:
        """How often the stream began anew, instead of going on."""
        return len([event for event in self.events if event.name == "snapshot"])


@pytest.mark.long
def test_clients_go_on_when_the_owner_is_killed(shop: Shop) -> None:
    """Not one question without an answer, one stream in many pieces, and notifications by way of the balancer."""
    with Client(shop.api) as client:
        eventually(client.is_told)
        for state in ("BUSY", "AVAILABLE"):
            shop.server.put("ann@example.com", state=state)
            client.sees("ann@example.com", state)
        claim = eventually(lambda: _claimed(shop.api))
        owner = shop.owner()
        shop.services.pop(owner).kill()
        shop.server.put("joe@example.com", state="DND")
        client.sees("joe@example.com", "DND")
        assert shop.owner() != owner
        shop.ready()
        assert eventually(lambda: _holds(shop.api, claim)) == ["ann@example.com"]
        shop.start(owner)
        shop.ready()
        for name in REPLICAS:  # a rolling update
            assert shop.services.pop(name).stop() == 0
            shop.start(name)
            shop.ready()
        shop.server.put("rita@example.com", state="BUSY")
        client.sees("rita@example.com", "BUSY")
    assert client.snapshots == 1
    assert set(client.statuses) == {200}
    received = [site.get("/v1/status").json["notifications"]["received"] for site in shop.sites.values()]
    assert sum(received)


def _claimed(api: Site) -> str:
    answer = api.ask("POST", "/v1/claims", {"group": "support", "lease_seconds": 300})
    assert answer.status == 201, answer.body
    return str(answer.json["id"])


def _holds(api: Site, claim: str) -> list[str]:
    answer = api.get(f"/v1/claims/{claim}")
    assert answer.status == 200, answer.body
    return [person["contact"] for person in answer.json["contacts"]]
