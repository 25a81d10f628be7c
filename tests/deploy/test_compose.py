"""The services that are started at once: a valid file, names and ports that fit each other, nothing open to others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from pws_soap.simulator.office.people import people
from service.cli.simulate.command import command as simulate
from service.config import Config, load
from service.runtime import access_rules
from tests.deploy.files import DEPLOY, run, tool

FOLDER = DEPLOY / "compose"
FILE = FOLDER / "compose.yaml"

Yaml = Any  # whatever the file holds


@pytest.fixture(scope="module")
def services() -> Yaml:
    return yaml.safe_load(FILE.read_text())["services"]


@pytest.fixture
def config(services: Yaml) -> Config:
    """What the service makes of its file and of its environment."""
    return load(FOLDER / "pws.toml", services["pws"]["environment"])


def sources(services: Yaml) -> Iterator[Path]:
    for service in services.values():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                yield FOLDER / volume["source"]


def test_it_is_what_the_specification_describes() -> None:
    compose_spec = pytest.importorskip("compose_spec", reason="compose-spec is not installed")
    plain = yaml.safe_dump(yaml.safe_load(FILE.read_text()))  # which knows no merging of keys
    read = compose_spec.PyCompose.from_yaml(plain)
    assert sorted(read.service_names()) == ["grafana", "prometheus", "pws", "simulator"]


def test_what_is_mounted_and_built_is_there(services: Yaml) -> None:
    assert [source for source in sources(services) if not source.exists()] == []
    build = services["simulator"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).is_file()
    assert services["simulator"]["image"] == services["pws"]["image"]


def test_only_this_machine_reaches_it_and_nothing_can_be_written(services: Yaml) -> None:
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_service_starts_without_a_key_and_warns_of_what_is_meant(config: Config) -> None:
    assert access_rules.refusal(config) == ""
    assert [warning.partition(" is ")[0] for warning in config.warnings] == [
        "server.tls",
        "access.anonymous_from_anywhere",
    ]


def test_names_and_ports_fit_each_other(config: Config, services: Yaml) -> None:
    assert config.server.urls() == ("http://simulator:8082",)
    simulator = simulate.make_context("simulate", list(services["simulator"]["command"][1:])).params
    assert (simulator["host"], simulator["name"]) == ("0.0.0.0", "simulator")
    callback = urlsplit(config.callback.url)
    assert (callback.hostname, callback.port) == ("pws", config.callback.listen_port)
    assert services["pws"]["ports"] == [f"127.0.0.1:{config.http.port}:{config.http.port}"]
    assert config.application.username == simulator["user"]
    assert config.application.password.reveal() == simulator["password"]


def test_everybody_who_is_watched_exists(config: Config) -> None:
    (watch,) = config.watch
    assert set(watch.contacts) == {person.contact for person in people(24, "example.com")}


def test_prometheus_reads_the_service_and_its_rules(config: Config, services: Yaml) -> None:
    prometheus = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    (job,) = prometheus["scrape_configs"]
    ((target,),) = [each["targets"] for each in job["static_configs"]]
    host, _, port = target.partition(":")
    assert host in config.http.allowed_hosts
    assert int(port) == config.http.port
    mounted = {volume["target"]: FOLDER / volume["source"] for volume in services["prometheus"]["volumes"][:2]}
    for rules in prometheus["rule_files"]:
        folder, _, name = rules.rpartition("/")
        assert (mounted[folder] / name).is_file()


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    program = tool("promtool")
    file = tmp_path / "prometheus.yml"
    file.write_text(
        (FOLDER / "prometheus.yml").read_text().replace("/etc/prometheus/rules", str(DEPLOY / "prometheus"))
    )
    done = run([program, "check", "config", file])
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_prometheus_and_the_dashboards(services: Yaml) -> None:
    provisioning = FOLDER / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert urlsplit(source["url"]).hostname in services
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "presence.yaml").read_text())["providers"]
    mounted = {volume["target"]: FOLDER / volume["source"] for volume in services["grafana"]["volumes"]}
    assert list(mounted[provider["options"]["path"]].glob("*.json"))
