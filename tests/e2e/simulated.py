"""A simulated server in a process of its own, and the service pointed at it by a configuration file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tests.e2e.processes import PWS, Running, Site, eventually
from tests.support.ports import free_port

PASSWORD: Final = "secret"
"""The password of the simulator's application user `pwsapp`."""
SECRET: Final = "a-callback-secret-of-the-tests"
NOTHING: Final = {"sessions": 0, "endpoints": 0, "subscriptions": 0}
EVERYTHING: Final = {"sessions": 2, "endpoints": 1, "subscriptions": 1}
"""What the service has at the server: the application's session and one end user's, an endpoint, a subscription."""


@dataclass(frozen=True)
class Certificate:
    """Files of a server's certificate chain and its key."""

    chain: Path
    key: Path


class Server(Running):
    """`pws simulate` as a process."""

    def __init__(
        self,
        directory: Path,
        certificate: Certificate | None = None,
        port: int | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """`options` are of the form NAME=VALUE."""
        self.port = port or free_port()
        self.tls = certificate is not None
        self.control = Site(free_port())
        words = [PWS, "simulate", "--port", str(self.port), "--control-port", str(self.control.port)]
        if certificate is not None:
            words += ["--tls-cert", str(certificate.chain), "--tls-key", str(certificate.key)]
        words += [word for option in options for word in ("--option", option)]
        super().__init__(words, directory, f"simulator-{self.port}.log")

    def ready(self) -> Self:
        """Wait until it listens."""

        def listens() -> None:
            assert self.runs, self.output
            self.control.get("/control/nodes")

        eventually(listens)
        return self

    def put(self, contact: str, **values: object) -> None:
        """Change a contact's presence."""
        answer = self.control.ask("PUT", f"/control/contacts/{contact}", values)
        assert answer.status == 200, answer.body

    def node(self, state: str) -> None:
        """Take the node down, let it hang, bring it up."""
        assert self.control.ask("POST", f"/control/nodes/imp1/{state}", {}).status == 200

    def holds(self) -> dict[str, int]:
        """How many sessions, endpoints and subscriptions there are."""
        (node,) = self.control.get("/control/nodes").json["nodes"]
        return {name: node[name] for name in NOTHING}

    def counters(self) -> Any:  # JSON is of any type
        return self.control.get("/control/counters").json

    def forget(self) -> None:
        """Begin anew: nobody is logged in."""
        assert self.control.ask("POST", "/control/forget", {"what": "everything"}).status == 200


class Service(Running):
    """`pws serve` as a process."""

    def __init__(self, directory: Path, site: Site, *words: str) -> None:
        self.site = site
        number = len(list(directory.glob("service-*.log")))
        super().__init__([PWS, "serve", "--config", "pws.toml", *words], directory, f"service-{number}.log")

    def readiness(self) -> tuple[int, str]:
        """The status of /readyz, and the reason."""
        answer = self.site.get("/readyz")
        return answer.status, answer.json["reason"]

    def ready(self) -> Self:
        """Wait until it answers with live presence."""

        def is_ready() -> None:
            assert self.runs, self.output
            assert self.readiness() == (200, "live")

        eventually(is_ready)
        return self

    def sees(self, contact: str, **expected: object) -> dict[str, Any]:  # JSON is of any type
        """Wait until a contact is as expected in /v1/presence/{contact}; the whole of it."""

        def as_expected() -> dict[str, Any]:
            answer = self.site.get(f"/v1/presence/{contact}")
            assert answer.status == 200, answer.body
            seen: dict[str, Any] = answer.json
            assert {name: seen[name] for name in expected} == expected
            return seen

        return eventually(as_expected)


def configure(
    directory: Path,
    port: int,
    *,
    tls: Mapping[str, object] | None = None,
    watch: str = 'domain = "example.com"\ncontacts = ["ann", "joe", "rita"]',
    **changes: str,
) -> Site:
    """Write pws.toml for a server on that port; where the service will listen. `changes` replace whole sections."""
    site = Site(free_port())
    trust = "tls = false" if tls is None else "\n".join(f'{name} = "{value}"' for name, value in tls.items())
    sections = {
        "server": f'nodes = ["127.0.0.1:{port}"]\n{trust}\nread_timeout = 5',
        "application": 'username = "pwsapp"\npassword_file = "password"',
        "callback": f'url = "{site.url}"\nsecret_file = "callback-secret"',
        "http": f"port = {site.port}",
        "lifecycle": "stop_timeout = 30",  # far more than an end takes: nothing may be left then
        "[watch]": f'end_user = "dispatcher"\n{watch}',
        "groups.support": 'contacts = ["ann@example.com", "joe@example.com"]',
    } | changes
    text = "\n".join(f"[{name}]\n{lines}\n" for name, lines in sections.items())
    (directory / "pws.toml").write_text(text, "utf-8")
    for name, secret in (("password", PASSWORD), ("callback-secret", SECRET)):
        file = directory / name
        file.write_text(f"{secret}\n", "utf-8")
        file.chmod(0o600)
    return site
