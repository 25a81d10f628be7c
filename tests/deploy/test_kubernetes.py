"""The manifests: what Kubernetes' schemas say of them, and that they fit the image, the API and the configuration."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from pws_soap.models import Secret
from service import __version__
from service.access.keys import hash_of
from service.config import Config, ConfigError, load
from service.runtime import access_rules
from tests.deploy.files import DEPLOY, run, tool

FOLDER = DEPLOY / "kubernetes"

Yaml = Any  # whatever the files hold


@pytest.fixture(scope="module")
def manifests() -> dict[tuple[str, str], Yaml]:
    """All of them by kind and name, as they are before kustomize."""
    resources = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    documents = [each for name in resources for each in yaml.safe_load_all((FOLDER / name).read_text())]
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


@pytest.fixture(scope="module")
def pod(manifests: dict[tuple[str, str], Yaml]) -> Yaml:
    return manifests["StatefulSet", "pws"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod: Yaml) -> Yaml:
    (found,) = pod["containers"]
    return found


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """What the service makes of the file, once the key's hash is in it."""
    text = (FOLDER / "pws.toml").read_text().replace("<hash>", hash_of("a key"))
    (tmp_path / "pws.toml").write_text(text.replace("/run/secrets/pws", str(tmp_path)))
    for name in ("password", "cup.pem"):
        (tmp_path / name).write_text("secret\n")
        (tmp_path / name).chmod(0o440)
    return load(tmp_path / "pws.toml", {})


def accept(*files: Path) -> None:
    """Every resource is one of Kubernetes, with nothing in it that Kubernetes does not know."""
    checked = run([tool("kubernetes-validate"), "--strict", "--quiet", *files])
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_schemas_accept_what_is_written() -> None:
    """But for the StatefulSet, whose selector kustomize adds."""
    accept(*(FOLDER / name for name in ("namespace.yaml", "services.yaml", "network-policy.yaml")))


def test_schemas_accept_what_kustomize_makes_of_it_and_selectors_find_the_pod(tmp_path: Path) -> None:
    made = run([tool("kubectl"), "kustomize", FOLDER])
    assert (made.returncode, made.stderr) == (0, "")
    found = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(made.stdout)}
    labels = found["StatefulSet", "pws"]["spec"]["template"]["metadata"]["labels"].items()
    for kind, name in (("Service", "pws"), ("Service", "pws-callback")):
        assert found[kind, name]["spec"]["selector"].items() <= labels
    for each in (found["StatefulSet", "pws"]["spec"]["selector"], found["NetworkPolicy", "pws"]["spec"]["podSelector"]):
        assert each["matchLabels"].items() <= labels
    file = tmp_path / "all.yaml"
    file.write_text(made.stdout)
    accept(file)


def test_there_is_never_more_than_one(manifests: dict[tuple[str, str], Yaml]) -> None:
    assert manifests["StatefulSet", "pws"]["spec"]["replicas"] == 1


def test_pod_is_what_the_restricted_standard_asks_for(pod: Yaml, container: Yaml) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False


def test_pod_runs_as_the_images_user_who_may_write_the_state_and_read_the_secrets(pod: Yaml) -> None:
    image = (DEPLOY / "container" / "Containerfile").read_text()
    who = pod["securityContext"]
    assert f"USER {who['runAsUser']}:{who['runAsGroup']}\n" in image
    assert who["fsGroup"] == who["runAsGroup"]
    modes = [volume["secret"]["defaultMode"] for volume in pod["volumes"] if "secret" in volume]
    assert modes == [0o440]


def test_no_variable_of_kubernetes_is_taken_for_a_setting(pod: Yaml) -> None:
    """For a Service called pws it would set PWS_PORT and more."""
    assert pod["enableServiceLinks"] is False


def test_ports_and_probes_are_those_of_the_configuration(
    container: Yaml, config: Config, manifests: dict[tuple[str, str], Yaml]
) -> None:
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"api": config.http.port, "callback": config.callback.listen_port}
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: (probe["path"], probe["port"]) for name, probe in probes.items()} == {
        "startup": ("/livez", "api"),
        "liveness": ("/livez", "api"),
        "readiness": ("/readyz", "api"),
    }
    (port,) = manifests["Service", "pws-callback"]["spec"]["ports"]
    assert (port["targetPort"], port["port"]) == ("callback", config.callback.port)


def test_notifications_reach_a_pod_that_is_not_ready_yet(manifests: dict[tuple[str, str], Yaml]) -> None:
    """And show the address that they come from."""
    found = manifests["Service", "pws-callback"]["spec"]
    assert (found["publishNotReadyAddresses"], found["externalTrafficPolicy"]) == (True, "Local")


def test_who_may_notify_is_the_same_in_the_policy_and_in_the_configuration(
    config: Config, manifests: dict[tuple[str, str], Yaml]
) -> None:
    rules = {rule["ports"][0]["port"]: rule for rule in manifests["NetworkPolicy", "pws"]["spec"]["ingress"]}
    allowed = {each["ipBlock"]["cidr"] for each in rules["callback"]["from"]}
    assert allowed == {str(network) for network in config.callback.allow_from}


def test_stop_has_time_to_leave_the_server_clean(pod: Yaml, config: Config) -> None:
    assert pod["terminationGracePeriodSeconds"] > config.lifecycle.stop_timeout + 3


def test_configuration_starts_with_a_key_and_not_without(config: Config, tmp_path: Path) -> None:
    assert (access_rules.refusal(config), config.warnings) == ("", ())
    assert config.application.password == Secret("secret")
    assert tomllib.loads((FOLDER / "pws.toml").read_text())["keys"]["app"]["hash"] == "<hash>"
    with pytest.raises(ConfigError, match=r"keys\.app\.hash"):
        load(FOLDER / "pws.toml", {})


def test_image_is_of_this_version(container: Yaml) -> None:
    (image,) = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["images"]
    assert (image["name"], image["newTag"]) == (container["image"], __version__)
