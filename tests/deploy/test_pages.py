"""Pages on installing and releasing: what they show is valid, and the files that they name are there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Final

import pytest

from service.access.keys import hash_of
from service.config import load
from service.runtime import access_rules
from tests.deploy.files import DEPLOY, ROOT, run, tool
from tests.e2e.processes import PWS
from tests.support.configuration import BASE

PAGES: Final = [ROOT / "docs" / f"{name}.md" for name in ("install", "release", "cluster")]
INSTALL: Final = PAGES[0].read_text("utf-8")
CLUSTER: Final = PAGES[2].read_text("utf-8")


def blocks(kind: str, page: str = INSTALL) -> list[str]:
    """The blocks of a page that are of that kind."""
    found = re.findall(rf"^ *```{kind}\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(each) for each in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_it_names_are_there(page: Path) -> None:
    named = set(re.findall(r"(?:deploy|tests|docs)/[\w./-]*\w", page.read_text("utf-8")))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_drop_in_is_valid(tmp_path: Path) -> None:
    """Beside the unit, as `systemctl edit` puts them."""
    program = tool("systemd-analyze")
    drop_ins = [*blocks("ini"), *blocks("ini", CLUSTER)]
    assert len(drop_ins) == 5
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


def test_replicas_start_with_the_settings_of_their_page(tmp_path: Path) -> None:
    """With the drop-in's environment, whose secrets systemd hands over."""
    (settings,) = blocks("toml", CLUSTER)
    base = re.sub(r"\[callback\]\nurl.*\n", "", BASE)
    assert "sha256:..." in settings
    (tmp_path / "pws.toml").write_text(base + settings.replace("sha256:...", hash_of("a key")))
    for name in ("engine-password", "cluster-secret"):
        (tmp_path / name).write_text("a secret of some length\n")
        (tmp_path / name).chmod(0o600)
    (drop_in,) = blocks("ini", CLUSTER)
    given = dict(re.findall(r"^Environment=(\w+)=(.*)$", drop_in.replace("%d", str(tmp_path)), re.MULTILINE))
    assert {name for name in given if name.endswith("_FILE")} == {
        "PWS_CLUSTER__PASSWORD_FILE",
        "PWS_CLUSTER__SECRET_FILE",
    }
    assert set(re.findall(r"LoadCredential=([\w-]+):", drop_in)) == {"cluster-secret", "engine-password"}
    config = load(tmp_path / "pws.toml", given)
    assert access_rules.refusal(config) == ""
    assert config.cluster is not None
    assert config.cluster.advertise == f"http://10.0.0.5:{config.http.port}"
    assert f"http://10.0.0.30:{config.callback.listen_port}" == config.callback.url


def test_caddy_accepts_what_the_page_of_replicas_shows(tmp_path: Path) -> None:
    (caddyfile,) = blocks("caddy", CLUSTER)
    file = tmp_path / "Caddyfile"
    file.write_text(caddyfile)
    done = run([tool("caddy"), "adapt", "--config", file, "--adapter", "caddyfile"])
    assert done.returncode == 0, done.stderr
    assert "10.0.0.7:8080" in done.stdout
