"""The unit and its companions, as systemd's own programs judge them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from service.config import load
from service.runtime.replica import BESIDE
from tests.deploy.files import DEPLOY, run, tool
from tests.e2e.processes import PWS
from tests.support.configuration import BASE

SYSTEMD = DEPLOY / "systemd"
UNIT = SYSTEMD / "pws.service"
SYSUSERS = SYSTEMD / "sysusers.d" / "pws.conf"
TMPFILES = SYSTEMD / "tmpfiles.d" / "pws.conf"
INSTALLED = "/opt/pws/bin/pws"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with the `pws` of this environment, since systemd looks whether it is there."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace(INSTALLED, PWS))
    return copy


def settings() -> list[tuple[str, str]]:
    """What the unit's [Service] says, in its order; a name may come several times."""
    text = UNIT.read_text().partition("[Service]")[2].partition("[Install]")[0]
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def test_unit_is_valid(unit: Path) -> None:
    """Not a word of complaint, such as of a setting that systemd does not know."""
    done = run([tool("systemd-analyze"), "verify", "--man=no", unit])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_unit_is_hardened(unit: Path) -> None:
    """Its exposure is below 2 of 10."""
    done = run([tool("systemd-analyze"), "security", "--offline=yes", "--threshold=19", unit])
    assert done.returncode == 0, done.stdout + done.stderr


def test_unit_waits_until_the_service_is_ready_and_watches_it() -> None:
    found = dict(settings())
    assert (found["Type"], found["NotifyAccess"]) == ("notify", "main")
    assert found["ExecStart"] == f"{INSTALLED} serve"
    assert found["RestartPreventExitStatus"] == "2"
    assert found["WatchdogSec"]


def test_unit_configures_the_service(tmp_path: Path) -> None:
    """Its environment names the files, and a stop has more time than a replica takes, and so one process:
    three seconds for what comes before and behind."""
    places = {"%S": str(tmp_path), "%d": str(tmp_path), "/etc": str(tmp_path)}
    environment = {}
    for name, value in settings():
        if name == "Environment":
            key, _, place = value.partition("=")
            for written, real in places.items():
                place = place.replace(written, real)
            environment[key] = place
    file = tmp_path / "pws" / "pws.toml"
    assert environment["PWS_CONFIG"] == str(file)
    file.parent.mkdir()
    file.write_text(BASE.replace('password = "hunter2"', ""))
    (tmp_path / "password").write_text("hunter2\n")
    config = load(file, {name: value for name, value in environment.items() if name != "PWS_CONFIG"})
    assert config.application.password.reveal() == "hunter2"
    assert config.state.file == tmp_path / "pws" / "state.json"
    assert dict(settings())["TimeoutStopSec"] == "30s"
    assert config.lifecycle.stop_timeout + BESIDE + 3 < 30


def test_password_is_roots_alone_and_reaches_the_service_as_a_credential() -> None:
    assert ("LoadCredential", "password:/etc/pws/password") in settings()
    rules = [line.split() for line in TMPFILES.read_text().splitlines() if not line.startswith("#")]
    assert ["z", "/etc/pws/password", "0600", "root", "root", "-"] in [rule + ["-"] * (6 - len(rule)) for rule in rules]


def test_user_of_the_unit_is_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    done = run([tool("systemd-sysusers"), f"--root={tmp_path}", "--dry-run", SYSUSERS])
    assert done.returncode == 0, done.stderr
    user = dict(settings())["User"]
    assert f"Creating user '{user}'" in done.stderr


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root gives files to others")
def test_configuration_is_readable_for_the_service_and_the_password_is_not(tmp_path: Path) -> None:
    directory = tmp_path / "etc" / "pws"
    directory.mkdir(parents=True)
    for name in ("pws.toml", "password"):
        (directory / name).touch(0o644)
    for done in (
        run([tool("systemd-sysusers"), f"--root={tmp_path}", SYSUSERS]),
        run([tool("systemd-tmpfiles"), f"--root={tmp_path}", "--create", TMPFILES]),
    ):
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    group = int((tmp_path / "etc" / "group").read_text().split("pws:x:")[1].split(":")[0])
    found = {path.name: path.stat() for path in (directory, *directory.iterdir())}
    assert {name: (oct(stat.st_mode & 0o777), stat.st_uid, stat.st_gid) for name, stat in found.items()} == {
        "pws": ("0o750", 0, group),
        "pws.toml": ("0o640", 0, group),
        "password": ("0o600", 0, 0),
    }
