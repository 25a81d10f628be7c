"""docs/getting-started.md, carried out as it is written, in a shell: each command ends well and prints what is said."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.support.sample_scripts import samples

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "getting-started.md").read_text("utf-8")
PATIENCE: Final = 120.0
"""Seconds: all commands take half a minute."""


@dataclass
class Command:
    """A command, with what the page says that it prints."""

    text: str
    expected: list[str] = field(default_factory=list)

    def prints(self, output: str) -> bool:
        """Whether the output is as the page has it; `...` stands for anything."""
        pattern = "\n".join(
            ".*" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") for line in self.expected
        )
        return not self.expected or re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


def commands(page: str) -> Iterator[Command]:
    """All commands of the page, in their order."""
    for block in re.findall(r"^ *```console\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE):
        found: Command | None = None
        for line in (each.strip() for each in block.splitlines()):
            if line.startswith("$ "):
                if found is not None:
                    yield found
                found = Command(line[2:])
            elif found is not None and line.startswith(">"):
                found.text += "\n" + line[2:]
            elif found is not None:
                found.expected.append(line)
        if found is not None:
            yield found


ALONE: Final = ("unshare", "--net", "--map-root-user", "bash", "-c", 'ip link set lo up && exec "$@"', "bash")
"""Runs a program in a network of its own: the page's ports may be taken in ours."""


def alone() -> tuple[str, ...]:
    """Words before a program that give it a network of its own, none where this system refuses."""
    try:
        done = subprocess.run([*ALONE, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return ()
    return ALONE if done.returncode == 0 else ()


class Shell:
    """One bash for all commands, as a reader has."""

    def __init__(self, directory: Path) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PWS_")}
        self._shell = subprocess.Popen(
            [*alone(), "bash", "--norc", "--noprofile"],  # the reader's
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=environment | {"PATH": path, "LC_ALL": "C.UTF-8"},
            text=True,
            start_new_session=True,
        )

    def run(self, text: str) -> tuple[int, str]:
        """The exit code of a command, and what it printed."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f'{text}\ncode=$?; echo; echo "=== $code"\n')
        self._shell.stdin.flush()
        printed: list[str] = []
        for line in self._shell.stdout:
            if line.startswith("=== "):
                return int(line.split()[1]), "".join(printed)
            printed.append(line)
        raise AssertionError(f"the shell ended: {''.join(printed)}")

    def close(self) -> None:
        """End it with all that it started."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGTERM)
        self._shell.wait()
        self._shell.stdout.close()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / "samples").mkdir()
    samples(tmp_path / "samples")
    made = Shell(tmp_path)
    yield made
    made.close()


@pytest.mark.long(ci=True)
@pytest.mark.timeout(PATIENCE * 2)
def test_every_command_works_as_it_is_written(shell: Shell) -> None:
    """But for the installation, which the README's commands are tried with, and in whose environment the tests run."""
    every = list(commands(PAGE))
    assert len(every) > 20
    made = [
        each
        for each in every
        if "venv" not in each.text and "pip install" not in each.text and "activate" not in each.text
    ]
    assert len(made) == len(every) - 3
    for command in made:
        if command.text.startswith("pws migrate"):
            assert shell.run("mkdir own; mv samples own; cd own")[0] == 0
        code, printed = shell.run(command.text)
        assert code == 0, (command.text, printed)
        assert command.prints(printed), (command.text, command.expected, printed)
