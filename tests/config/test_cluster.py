"""The section of several replicas: what it may say, and that each mistake is told with its place and no secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from service.config import Config, ConfigError, Problem, example_toml, in_force, load, secret_values
from service.core.engine_address import EngineAddress
from tests.support.configuration import BASE

SECRET = "a secret of the replicas"
CLUSTER = f"""
[cluster]
url = "redis://10.0.0.20"
advertise = "http://10.0.0.5:8080/"
secret = "{SECRET}"
"""

Read = Callable[..., Config]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Load a configuration with this section."""

    def read(text: str = CLUSTER, environ: Mapping[str, str] | None = None) -> Config:
        path = tmp_path / "pws.toml"
        path.write_text(BASE + text)
        return load(path, environ or {})

    return read


def problems(read: Read, text: str) -> dict[str, Problem]:
    """What is wrong, by key."""
    with pytest.raises(ConfigError) as error:
        read(text)
    assert SECRET not in str(error.value)
    return {problem.key: problem for problem in error.value.problems}


def test_three_keys_are_enough(read: Read) -> None:
    """The others have defaults; without the section there is none."""
    cluster = read().cluster
    assert cluster is not None
    assert cluster.address == EngineAddress((("10.0.0.20", 6379),))
    assert cluster.advertise == "http://10.0.0.5:8080"
    assert (cluster.unit, cluster.durability, cluster.password_file, cluster.ca_file) == ("pws", "local", None, None)
    assert SECRET in [secret.reveal() for secret in secret_values(read())]
    assert read("").cluster is None


def test_the_environment_makes_one(read: Read, tmp_path: Path) -> None:
    """And the secret may stand in a file."""
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    environ = {
        "PWS_CLUSTER__URL": "rediss+sentinel://a,b/main",
        "PWS_CLUSTER__ADVERTISE": "https://one",
        "PWS_CLUSTER__SECRET_FILE": str(file),
    }
    cluster = read("", environ).cluster
    assert cluster is not None
    assert cluster.secret.reveal() == SECRET
    assert cluster.address.service == "main"


def test_all_that_is_missing_is_told(read: Read) -> None:
    """Each by its key."""
    found = problems(read, "[cluster]\n")
    assert set(found) == {"cluster.url", "cluster.advertise", "cluster.secret"}
    assert found["cluster.secret"].hint == "set secret_file or PWS_CLUSTER__SECRET"


@pytest.mark.parametrize(
    ("old", "new", "key", "hint"),
    [
        ("redis://10.0.0.20", "http://10.0.0.20", "url", "redis://"),
        ("redis://10.0.0.20", f"redis://pws:{SECRET}@10.0.0.20", "url", "password_file"),
        ("http://10.0.0.5:8080/", "10.0.0.5:8080", "advertise", "it begins with http:// or https://"),
        ("http://10.0.0.5:8080/", f"http://pws:{SECRET}@10.0.0.5", "advertise", "no user name"),
        ("http://10.0.0.5:8080/", "http://10.0.0.5/?a=b", "advertise", "no query"),
        ("http://10.0.0.5:8080/", "http://10.0.0.5:99999", "advertise", ""),
        ("http://10.0.0.5:8080/", "http://10.0.0.5/a b", "advertise", "percent-encode"),
        (SECRET, "short", "secret", "openssl"),
        (SECRET, "a secret with\\na second line", "secret", "openssl"),
        ("[cluster]", '[cluster]\nunit = "a{b}"', "unit", ""),
        ("[cluster]", '[cluster]\ndurability = "maybe"', "durability", ""),
        ("[cluster]", '[cluster]\npassword_file = "gone"', "password_file", ""),
        ("[cluster]", '[cluster]\nca_file = "pws.toml"', "ca_file", "rediss://"),
        ("[cluster]", '[cluster]\npeers_ca_file = "pws.toml"', "peers_ca_file", "https://"),
        ("[cluster]", '[cluster]\npeers_ca_file = "gone.pem"', "peers_ca_file", ""),
    ],
)
def test_a_wrong_value(read: Read, old: str, new: str, key: str, hint: str) -> None:
    """It is told where it is and what to write, and never with the secret."""
    found = problems(read, CLUSTER.replace(old, new))
    assert list(found) == [f"cluster.{key}"]
    assert hint in found[f"cluster.{key}"].hint


def test_replicas_that_reach_each_other_over_tls(read: Read) -> None:
    """The file lies beside the configuration."""
    section = '[cluster]\npeers_ca_file = "pws.toml"'
    found = read(CLUSTER.replace("[cluster]", section).replace("http://10.0.0.5", "https://10.0.0.5")).cluster
    assert found is not None
    assert found.peers_ca_file is not None
    assert found.peers_ca_file.is_absolute()


def test_what_does_not_go_together(read: Read) -> None:
    """The sessions of a façade would end with each owner; a state file is of no use; webhooks are the owner's."""
    users = '[facade.users.a]\npassword = "secret"\nend_users = ["dispatcher"]\n'
    facade = '[facade]\nlisten_port = 8083\naddress = "http://10.0.0.5:8083"\n'
    assert "cluster" in problems(read, CLUSTER + facade + users)
    target = f'[[webhooks]]\nname = "crm"\nurl = "https://crm.example.com"\nsecret = "whsec_{"QUJD" * 11}"\n'
    assert read(CLUSTER + target).webhooks
    found = read(CLUSTER + '[state]\nfile = "pws.state"\n')
    assert any("state.file is not used" in warning for warning in found.warnings)


def test_the_example_has_it_commented_out(tmp_path: Path) -> None:
    """Who writes an example runs one process; where the section is, its values are shown and its secret is not."""
    path = tmp_path / "pws.toml"
    path.write_text(example_toml())
    config, settings = in_force(path, {"PWS_APPLICATION__PASSWORD": "x"})
    assert config.cluster is None
    assert not [setting for setting in settings if setting.location[0] == "cluster"]
    path.write_text(BASE + CLUSTER)
    _, settings = in_force(path, {})
    shown = {setting.key: setting.value for setting in settings if setting.location[0] == "cluster"}
    assert shown["cluster.url"] == "redis://10.0.0.20"
    assert SECRET not in repr(shown)


def test_an_engine_password_that_everybody_may_read_is_a_warning(read: Read, tmp_path: Path) -> None:
    """As with every other secret's file."""
    file = tmp_path / "engine-password"
    file.write_text("hunter2\n")
    file.chmod(0o644)
    warning = f"cluster.password_file: everybody on this machine may read {file}; chmod 600 it"
    assert warning in read(f'{CLUSTER}password_file = "engine-password"\n').warnings
    file.chmod(0o600)
    assert warning not in read(f'{CLUSTER}password_file = "engine-password"\n').warnings
