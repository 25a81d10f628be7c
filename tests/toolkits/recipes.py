"""The toolkits of `examples/soap/README.md`: what each needs, and the commands of its section, run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
CLIENTS: Final = ROOT / "examples" / "soap"
PATIENCE: Final = 240
"""Seconds for one command: npm installs, and javac compiles, on a busy machine."""


def commands(page: Path, section: str) -> list[list[str]]:
    """The lines of each block of commands in a section of that page."""
    _, _, rest = page.read_text("utf-8").partition(f"\n## {section}\n")
    own, _, _ = rest.partition("\n## ")
    blocks: list[str] = re.findall(r"^```sh\n(.*?)^```", own, re.MULTILINE | re.DOTALL)
    return [block.splitlines() for block in blocks]


@dataclass(frozen=True)
class Toolkit:
    """One section of the README."""

    section: str
    versions: tuple[str, ...]
    probe: str
    """A shell command that succeeds where the toolkit is installed."""
    wanted: str
    """What to install, as said where it is missing."""
    fetched: bool = False
    """Its build installs from a registry, which may be out of reach."""

    @property
    def building(self) -> list[str]:
        """The commands that build it; none for a language without."""
        return self._commands(0)[:-1]

    @property
    def running(self) -> str:
        """The command that runs it."""
        return self._commands(0)[-1]

    @property
    def trusting(self) -> list[str]:
        """The commands, before the one that runs it, after which it trusts `authority.pem`."""
        return self._commands(1)

    def _commands(self, block: int) -> list[str]:
        """The lines of one of its section's blocks."""
        return commands(CLIENTS / "README.md", self.section)[block]


@dataclass(frozen=True)
class Outcome:
    """What a client has done: its exit code and both streams."""

    code: int
    output: str
    errors: str


@dataclass
class Workshop:
    """A copy of the clients in which they are built, each once."""

    directory: Path
    _built: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        made = shutil.ignore_patterns("build", "node_modules", "Presence.cs", "*.exe", "authority.*")
        shutil.copytree(CLIENTS, self._here, ignore=made)
        shutil.copytree(ROOT / "wsdl", self.directory / "wsdl")

    @property
    def _here(self) -> Path:
        return self.directory / "examples" / "soap"

    def why_not(self, toolkit: Toolkit) -> str | None:
        """Build the toolkit's client, unless that has been done; why it can't be had here, or None.

        Raises AssertionError where everything is installed and the client doesn't compile.
        """
        if toolkit.section not in self._built:
            self._built[toolkit.section] = self._build(toolkit)
        return self._built[toolkit.section]

    def run(self, toolkit: Toolkit, **environment: str) -> Outcome:
        """The client's process, from its start to its end."""
        return self._shell(toolkit.running, environment)

    def run_trusting(self, toolkit: Toolkit, authority: bytes, home: Path, **environment: str) -> Outcome:
        """The same, with that authority trusted; `home` is where a toolkit may remember it."""
        for earlier in self._here.glob("authority.*"):  # of another server
            earlier.unlink()
        self._here.joinpath("authority.pem").write_bytes(authority)
        words = environment | {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}
        return self._shell("\n".join(["set -e", *toolkit.trusting, toolkit.running]), words)

    def _build(self, toolkit: Toolkit) -> str | None:
        if self._shell(toolkit.probe).code != 0:
            return f"{toolkit.section}: {toolkit.wanted} is not installed"
        for command in toolkit.building:
            done = self._shell(command)
            if done.code != 0 and toolkit.fetched:
                return f"{toolkit.section}: this failed: {command}: {done.errors.strip()[-300:]}"
            assert done.code == 0, f"{command}\n{done.output}\n{done.errors}"
        return None

    def _shell(self, command: str, environment: dict[str, str] | None = None) -> Outcome:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PWS_", "SOAP_"))}
        try:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self._here,
                env=clean | (environment or {}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Outcome(124, "", f"not done within {PATIENCE} s")
        return Outcome(done.returncode, done.stdout, done.stderr)


BOTH: Final = ("1.1", "1.2")
TOOLKITS: Final = (
    Toolkit("PHP", BOTH, "php -r 'exit(extension_loaded(\"soap\") ? 0 : 1);'", "php-cli with php-soap"),
    Toolkit("Perl", BOTH, "perl -MSOAP::Lite -e 1", "libsoap-lite-perl"),
    Toolkit(
        "Node",
        BOTH,
        "command -v npm && node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)'",
        "Node 20 or later with npm",
        fetched=True,
    ),
    Toolkit("C#", BOTH, "command -v mcs && command -v mono && wsdl -help | grep -q Mono", "mono-devel"),
    Toolkit(
        "Java",
        ("1.1",),
        "command -v javac && command -v wsimport && test -e /usr/share/java/jaxws-rt.jar",
        "openjdk-17-jdk-headless with jaxws and libjaxws-java",
    ),
)
