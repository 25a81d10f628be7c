"""What is in force, and where each value comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.config import ConfigError, Setting, SettingSource, in_force
from tests.support.configuration import BASE

DEFAULT, FILE, ENVIRONMENT = SettingSource.DEFAULT, SettingSource.FILE, SettingSource.ENVIRONMENT


def settings(path: Path | None, environ: dict[str, str]) -> dict[str, Setting]:
    return {setting.key: setting for setting in in_force(path, environ)[1]}


def test_every_key_has_its_place(tmp_path: Path) -> None:
    path = tmp_path / "pws.toml"
    (tmp_path / "secret").write_text("a-secret-of-at-least-16\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "more").write_text("rita@example.com\n")
    text = BASE.replace("[callback]\n", '[callback]\nsecret_file = "secret"\n')
    path.write_text(
        text.replace('contacts = ["joe@example.com"]\n', 'contacts = ["joe@example.com"]\ncontacts_file = "more"\n')
        + '[groups.Support]\ncontacts = ["joe@example.com"]\n',
        "utf-8",
    )
    found = settings(
        path,
        {
            "PWS_HTTP__PORT": "9000",
            "PWS_GROUPS__SUPPORT__MIN_FREE": "1",
            "PWS_APPLICATION__USERNAME": "other",
            "PWS_LIMITS": '{"burst": 7}',
        },
    )

    def of(key: str) -> tuple[object, str, str]:
        setting = found[key]
        return setting.value, setting.source, setting.place

    assert of("server.nodes") == (("imp1.example.com", "imp2.example.com:9083"), FILE, f"{path}:3")
    assert of("server.tls") == (True, DEFAULT, "")
    assert of("application.username") == ("other", ENVIRONMENT, "PWS_APPLICATION__USERNAME")
    assert of("application.password")[1:] == (FILE, f"{path}:6")
    assert of("callback.secret")[1:] == (
        SettingSource.SECRET_FILE,
        f"{tmp_path / 'secret'}, named by {path}:8",
    )
    assert of("http.port") == (9000, ENVIRONMENT, "PWS_HTTP__PORT")
    assert of("limits.burst") == (7, ENVIRONMENT, "PWS_LIMITS")
    assert of("limits.streams") == (200, DEFAULT, "")
    assert of("watch[0].contacts") == (
        ("joe@example.com", "rita@example.com"),
        FILE,
        f"{path}:12, and {tmp_path / 'more'}",
    )
    assert of("groups.Support.min_free") == (1, ENVIRONMENT, "PWS_GROUPS__SUPPORT__MIN_FREE")
    assert of("groups.Support.contacts")[2] == f"{path}:15"
    assert of("groups.Support.dwell") == (None, DEFAULT, "")
    assert "hunter2" not in repr(found)


def test_contacts_of_a_file_alone_come_from_there(tmp_path: Path) -> None:
    path = tmp_path / "pws.toml"
    (tmp_path / "more").write_text("rita@example.com\n")
    path.write_text(BASE.replace('contacts = ["joe@example.com"]', 'contacts_file = "more"'), "utf-8")
    contacts = settings(path, {})["watch[0].contacts"]
    assert (contacts.value, contacts.place) == (("rita@example.com",), str(tmp_path / "more"))


def test_the_environment_alone(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("hunter2")
    password.chmod(0o600)
    found = settings(
        None,
        {
            "PWS_SERVER__NODES": "imp1.example.com",
            "PWS_APPLICATION__USERNAME": "pwsapp",
            "PWS_APPLICATION__PASSWORD_FILE": str(password),
            "PWS_CALLBACK__URL": "http://10.0.0.5:8080",
            "PWS_WATCH": '[{"end_user": "dispatcher", "contacts": ["joe@example.com"]}]',
        },
    )
    assert found["watch[0].end_user"].place == "PWS_WATCH"
    assert found["watch[0].domain"].source == DEFAULT
    assert found["application.password"].place == f"{password}, named by PWS_APPLICATION__PASSWORD_FILE"


def test_a_wrong_configuration_is_none(tmp_path: Path) -> None:
    path = tmp_path / "pws.toml"
    path.write_text("[server]\n")
    with pytest.raises(ConfigError):
        in_force(path, {})
