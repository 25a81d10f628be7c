"""docs/install.md and docs/release.md: what they show is valid, and the files that they name are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from service.access.keys import hash_of
from service.config import load
from service.runtime import access_rules
from tests.deploy.files import DEPLOY, ROOT, run, tool
from tests.e2e.processes import PWS
from tests.support.configuration import BASE

PAGES: Final = [ROOT / "docs" / "install.md", ROOT / "docs" / "release.md"]
INSTALL: Final = PAGES[0].read_text("utf-8")


def blocks(kind: str) -> list[str]:
    """The blocks of docs/install.md that are of that kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", INSTALL, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_it_names_are_there(page: Path) -> None:
    named = set(re.findall(r"(?:deploy|tests|docs)/[\w./-]*\w", page.read_text("utf-8")))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_drop_in_is_valid(tmp_path: Path) -> None:
    """Beside the unit, as `systemctl edit` puts them."""
    program = tool("systemd-analyze")
    drop_ins = blocks("ini")
    assert len(drop_ins) == 4
    for number, drop_in in enumerate(drop_ins):
        unit = tmp_path / str(number) / "pws.service"
        folder = unit.parent / "pws.service.d"
        folder.mkdir(parents=True)
        unit.write_text((DEPLOY / "systemd" / "pws.service").read_text().replace("/opt/pws/bin/pws", PWS))
        (folder / "override.conf").write_text(drop_in)
        done = run([program, "verify", "--man=no", unit])
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), drop_in


def test_the_settings_for_a_container_start_with_a_key(tmp_path: Path) -> None:
    (settings,) = blocks("toml")
    (tmp_path / "pws.toml").write_text(
        re.sub(r"\[callback\]\nurl.*\n", "", BASE) + settings + f'[keys.app]\nhash = "{hash_of("a key")}"\n'
    )
    config = load(tmp_path / "pws.toml", {})
    assert access_rules.refusal(config) == ""
    ports = {str(port) for port in (config.http.port, config.callback.listen_port)}
    published = re.findall(r"--publish (\S+)", INSTALL)
    assert {each.rpartition(":")[2] for each in published} == ports


def test_the_order_of_systemds_commands_installs_the_files_of_the_folder() -> None:
    commands = blocks("sh")[0]
    assert {path.relative_to(ROOT).as_posix() for path in (DEPLOY / "systemd").rglob("*") if path.is_file()} == set(
        re.findall(r"install -m 644 (\S+)", commands)
    )
    assert commands.index("install -m") < commands.index("systemd-sysusers") < commands.index("systemd-tmpfiles")
    assert commands.index("daemon-reload") < commands.index("enable --now")
