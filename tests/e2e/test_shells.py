"""What an operator's shell and a container's probe see of a running service: completion and `pws health`."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.processes import PATIENCE, PWS, eventually
from tests.e2e.simulated import Server, Service, configure

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(pws completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -U compinit; compinit -u -D; eval "$(pws completion zsh)"'),
}


def environment(directory: Path) -> dict[str, str]:
    """Our command on the path, nothing of the developer's own shell."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PWS_")}
    path = f"{Path(PWS).parent}{os.pathsep}{os.environ['PATH']}"
    return clean | {"PATH": path, "HOME": str(directory), "TERM": "dumb", "PS1": "> "}


class Terminal:
    """An interactive shell at a terminal of its own."""

    def __init__(self, words: list[str], directory: Path) -> None:
        self._terminal, side = pty.openpty()
        self._process = subprocess.Popen(
            words,
            cwd=directory,
            env=environment(directory),
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,  # it takes none of the terminal that the tests run in
        )
        os.close(side)
        self._seen = b""

    def type(self, text: str) -> None:
        """Press these keys. What was shown before counts no longer."""
        self._seen = b""
        os.write(self._terminal, text.encode())

    def offers(self, typed: str, *texts: str) -> None:
        """Type this until all of it was shown: on a busy machine the service may be late, which offers nothing."""

        def offered() -> None:
            self.type(f"\x15{typed}")  # the line before is dropped
            self.shows(*texts, patience=PATIENCE / 6)

        eventually(offered)

    def shows(self, *texts: str, patience: float = PATIENCE) -> None:
        """Wait until all of it was shown."""
        deadline = time.monotonic() + patience
        while not all(text.encode() in self._seen for text in texts):
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"not shown: {texts}; but {self._seen!r}"
            self._seen += os.read(self._terminal, 65536)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        os.close(self._terminal)


@contextmanager
def terminal(shell: str, directory: Path) -> Iterator[Terminal]:
    """An interactive shell that completes `pws`."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here; Debian's package is {shell}")
    words, setup = SHELLS[shell]
    opened = Terminal(words, directory)
    try:
        opened.type(f"{setup}; echo SET''UP\n")
        opened.shows("SETUP")
        yield opened
    finally:
        opened.close()


@pytest.mark.parametrize(
    "shell", ["bash", *(pytest.param(each, marks=pytest.mark.long(ci=True)) for each in SHELLS if each != "bash")]
)
def test_a_shell_completes_commands_and_the_names_of_a_running_service(
    shell: str, server: Server, tmp_path: Path
) -> None:
    site = configure(tmp_path, server.port)
    with (tmp_path / "pws.toml").open("a") as file:
        for group in ("sales", "reception"):
            file.write(f'[groups.{group}]\ncontacts = ["joe@example.com"]\n')
    with Service(tmp_path, site) as service, terminal(shell, tmp_path) as at:
        service.ready()
        at.offers("pws wat\t", "pws watch")
        at.offers("pws config in\t", "pws config init")
        at.offers("pws set disp\t", "set dispatcher")
        at.offers("pws watch --group rec\t", "--group reception")
        at.offers("pws watch --group s\t\t", "sales", "support")
        at.offers("pws poll an\t", "poll ann@example.com")
        at.offers("pws poll rita@\t", "poll rita@example.com")
        assert service.stop() == 0


def test_fish_completes_too(server: Server, tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("there is no fish here; Debian's package is fish")
    site = configure(tmp_path, server.port)
    with Service(tmp_path, site) as service:
        service.ready()
        asked = 'complete -C "pws wat"; complete -C "pws watch --group s"; complete -C "pws poll ann"'

        def offered() -> None:
            script = f"pws completion fish | source; {asked}"
            done = called(["fish", "--no-config", "-c", script], tmp_path)
            names = [line.split("\t")[0] for line in done.stdout.splitlines()]
            assert (names, done.stderr) == (["watch", "support", "ann@example.com"], "")

        eventually(offered)
        assert service.stop() == 0


def called(words: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    """A command that has ended."""
    return subprocess.run(
        words,
        cwd=directory,
        env=environment(directory),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def health(directory: Path, *words: str) -> tuple[int, str]:
    """The exit code of `pws health`, and what it printed."""
    done = called([PWS, "health", "--timeout", "20", *words], directory)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_health_is_that_of_the_service_of_this_configuration(server: Server, tmp_path: Path) -> None:
    site = configure(tmp_path, server.port)
    assert health(tmp_path) == (1, f"no answer: {site.url}: Connection refused\n")
    with Service(tmp_path, site) as service:
        service.ready()
        assert health(tmp_path) == (0, f"ready: {site.url}\n")
        assert health(tmp_path, "--live", "--url", site.url) == (0, f"alive: {site.url}\n")
        assert service.stop() == 0
    assert health(tmp_path)[0] == 1
