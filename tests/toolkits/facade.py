"""`pws serve` with a façade, in front of `pws simulate`, asked and counted as a simulator is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.simulated import NOTHING, Certificate, Server, Service, configure
from tests.support.ports import free_port


@dataclass(frozen=True)
class FacadeServer:
    """The façade in a server's place. `port` is the façade's."""

    port: int
    service: Service

    def counters(self) -> Mapping[str, Any]:  # JSON is of any type
        """What it was asked for."""
        return {"requests": {name: count for name, count in self._status()["requests"].items() if count}}

    def holds(self) -> dict[str, int]:
        """How many sessions, endpoints and subscriptions there are."""
        status = self._status()
        return {name: status[name] for name in NOTHING}

    def _status(self) -> Any:
        return self.service.site.get("/v1/status").json["facade"]


@contextmanager
def facade(directory: Path, behind: Server, certificate: Certificate | None = None) -> Iterator[FacadeServer]:
    """A façade whose programs are those of the simulator behind it: the same user, password, end user, contacts."""
    port = free_port()
    lines = [f"listen_port = {port}"]
    if certificate is None:
        lines.append(f'address = "http://127.0.0.1:{port}"')
    else:
        lines += [f'certificate = "{certificate.chain}"', f'key_file = "{certificate.key}"']
        lines.append(f'address = "https://localhost:{port}"')
    sections = {
        "facade": "\n".join(lines),
        "facade.users.pwsapp": 'password_file = "password"\nend_users = ["dispatcher"]',
    }
    watch = 'contacts = ["ann@example.com", "joe@example.com"]\npresence_type = "RICH_PRESENCE"'
    with Service(directory, configure(directory, behind.port, tls=None, watch=watch, **sections)) as service:
        service.ready()
        yield FacadeServer(port, service)
        assert service.stop() == 0
