"""Which service `pws watch` follows, and what is said of its key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from service.cli.watch.address import address_of


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PWS_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.mark.parametrize(
    ("toml", "environment", "url"),
    [
        (None, {}, "http://127.0.0.1:8080"),
        ('[http]\nhost = "0.0.0.0"\nport = 9090\n', {}, "http://127.0.0.1:9090"),
        ('[http]\nhost = "::"\n[server]\nwrong = true\n', {}, "http://[::1]:8080"),
        ("[http]\nport = 9090\n", {"PWS_HTTP__PORT": "9191"}, "http://127.0.0.1:9191"),
        ("[http]\nport = 9090\n", {"PWS_URL": "https://presence.example.com/"}, "https://presence.example.com"),
        ("not toml", {}, "http://127.0.0.1:8080"),
        ("http = 5", {}, "http://127.0.0.1:8080"),
    ],
)
def test_the_address_is_that_of_the_configuration(
    toml: str | None, environment: Mapping[str, str], url: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else is in it; a service that listens everywhere is here too."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if toml is not None:
        (elsewhere / "pws.toml").write_text(toml)
    address = address_of(os.environ.get("PWS_URL"), None, None, Path("pws.toml"))
    assert address.url == url


def test_a_key_in_the_clear_is_warned_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on loopback."""
    monkeypatch.setenv("PWS_KEY", "pws_abcdefgh")
    address_of("http://127.0.0.1:8080", None, None, Path("pws.toml"))
    assert capsys.readouterr().err == ""
    address = address_of("http://presence.example.com", None, None, Path("pws.toml"))
    assert "the key travels in the clear" in capsys.readouterr().err
    assert "abcdefgh" not in repr(address)
