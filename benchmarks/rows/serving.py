"""The whole service as a process, with a simulator in another: configuration, start, and what it says of itself."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.rows import configuration
from benchmarks.rows.http_load import Answer, connections, get
from benchmarks.rows.processes import Child
from tests.support.ports import free_port

_PATIENCE: Final = 300.0
_MORE: Final = """\
[limits]
requests_per_second = 0
[lifecycle]
requests_per_second = 10000
[groups.support]
contacts = {support}
"""
_SUPPORT: Final = 200
"""Contacts of the group: the last ones."""


class Whole:
    """A running service and its simulator. `names` are the contacts, `files` those of each end user.

    `more` is what else its configuration has.
    """

    def __init__(self, directory: Path, contacts: int, users: int, more: str = "") -> None:
        self.names = [f"p{number:06d}@example.com" for number in range(contacts)]
        self.simulator = Child("simulator", contacts=contacts)
        self.port = free_port()
        self.files = [directory / f"contacts-{number}.list" for number in range(users)]
        for number, file in enumerate(self.files):
            file.write_text("\n".join(self.names[number::users]) + "\n", "utf-8")
        self.support = self.names[-_SUPPORT:]
        config = directory / "pws.toml"
        watched = {f"user{number}": configuration.contacts_file(file) for number, file in enumerate(self.files)}
        more = _MORE.format(support=json.dumps(self.support)) + more
        configuration.write(config, port=self.port, node=self.simulator.port, more=more, **watched)
        self.child = Child("whole_service", config=str(config))
        self._begun()

    def ask(self, request: bytes) -> Answer:
        """What it answers, on a new connection: it closes those that are idle for some seconds."""
        with connections(self.port, 1) as (connection,):
            return connection.ask(request)

    def get(self, target: str) -> Any:  # JSON
        """What it answers."""
        answer = self.ask(get(target))
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def until(self, check: Callable[[], bool]) -> None:
        """Look again until it is so."""
        until = time.monotonic() + _PATIENCE
        while not check():
            if time.monotonic() > until:
                raise TimeoutError
            time.sleep(0.2)

    def is_live(self) -> bool:
        """Whether everybody is."""
        return bool(self.get("/v1/summary")["by_freshness"]["live"] == len(self.names))

    def has_read_all(self) -> bool:
        """Whether the last contact of each end user was read, which says less and costs the service less."""
        users = len(self.files)
        answers = [self.ask(get(f"/v1/presence/{name}")) for name in self.names[-users:]]
        return all(answer.status == 200 and json.loads(answer.body)["freshness"] == "live" for answer in answers)

    def change(self, states: dict[str, str]) -> float:
        """People change, and the service is notified; the clock before."""
        told = self.simulator.ask("change", states=states)
        assert told["changed"] == len(states)
        return float(told["at"])

    def close(self) -> None:
        """End both."""
        self.child.close()
        self.simulator.close()

    def _begun(self) -> None:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(ConnectionRefusedError):
                self.ask(get("/livez"))
                return
            time.sleep(0.02)
        raise TimeoutError("pws serve does not listen")


@contextlib.contextmanager
def whole(contacts: int, users: int = 1, more: str = "") -> Iterator[Whole]:
    """Start both, and end them."""
    with tempfile.TemporaryDirectory() as directory:
        service = Whole(Path(directory), contacts, users, more)
        try:
            yield service
        finally:
            service.close()
