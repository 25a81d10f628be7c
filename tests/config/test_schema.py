"""The JSON Schema: it takes what `load` takes, and knows units, ranges and defaults."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from service.config import ConfigError, example_toml, load, schema
from service.config.schema import DIALECT
from tests.support.configuration import BASE

VALIDATOR = jsonschema_rs.Draft202012Validator(schema())


def keys(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:  # JSON is of any type
    """Every key with its schema."""
    for name, inner in part.get("properties", {}).items():
        table = inner.get("items", inner) if inner.get("type") == "array" and path == "" else inner
        table = table["additionalProperties"] if isinstance(table.get("additionalProperties"), dict) else table
        if "properties" in table:
            yield from keys(table, f"{name}.")
        else:
            yield path + name, inner


def test_it_is_a_valid_schema_of_its_dialect() -> None:
    assert schema()["$schema"] == DIALECT
    jsonschema_rs.meta.validate(schema())


def test_every_key_has_a_type_and_is_described() -> None:
    found = dict(keys(schema()))
    assert len(found) > 70
    for name, key in found.items():
        assert {"type", "anyOf"} & set(key), name
        assert "Default: " in key["description"], name
    assert found["application.password_file"]["type"] == "string"
    assert found["groups.pick"]["enum"][0] == found["groups.pick"]["default"] == "longest-available"
    timeout = found["server.connect_timeout"]
    assert (timeout["minimum"], timeout["maximum"], timeout["default"], timeout["x-unit"]) == (0.1, 3600, 5, "seconds")


def test_every_default_and_example_passes_its_own_schema() -> None:
    for name, key in keys(schema()):
        validator = jsonschema_rs.Draft202012Validator(
            {k: v for k, v in key.items() if k not in {"default", "examples"}}
        )
        for value in [*([key["default"]] if "default" in key else []), *key.get("examples", [])]:
            assert validator.is_valid(value) or str(value).endswith(("sha256:...", "whsec_...")), name


def test_files_that_load_pass(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    shown = re.search(r"```toml\n(.*?)```", readme, re.DOTALL)
    assert shown
    for text in (BASE, example_toml(), example_toml("./pws.schema.json"), shown[1]):
        assert [str(error) for error in VALIDATOR.iter_errors(tomllib.loads(text))] == []


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("server", "tls = 1"),
        ("server", "soap = 2"),
        ("server", "connect_timeout = 0"),
        ("server", "connect_timeout = 3601"),
        ("server", "max_reply_bytes = 65535"),
        ("server", "colour = 1"),
        ("server", "redirect_to = [7]"),
        ("application", "take_over = 'yes'"),
        ("callback", "secret = 'short'"),
        ("fetch", "heartbeat_interval = 0.5"),
        ("fetch", "max_parallel = 65"),
        ("limits", "requests_per_second = -1"),
        ("http", "port = '8080'"),
        ("http", "port = 65536"),
        ("http", "allowed_hosts = ['a b']"),
        ("available", "free_states = ['UNKNOWN']"),
        ("groups.support", "pick = 'any'"),
        ("groups.support", "contacts = 'joe'"),
        ("keys.board", "hash = 'secret'"),
        ("colours", "red = 1"),
    ],
)
def test_what_does_not_load_does_not_pass(tmp_path: Path, section: str, line: str) -> None:
    header = f"[{section}]\n"
    text = BASE.replace(header, f"{header}{line}\n") if header in BASE else f"{BASE}{header}{line}\n"
    path = tmp_path / "pws.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError):
        load(path, {})
    assert not VALIDATOR.is_valid(tomllib.loads(text))


@pytest.mark.parametrize("line", ["heartbeat_interval = 0", "heartbeat_interval = 1", "safety_interval = 1.5"])
def test_limits_pass(tmp_path: Path, line: str) -> None:
    text = f"{BASE}[fetch]\n{line}\n"
    path = tmp_path / "pws.toml"
    path.write_text(text, "utf-8")
    load(path, {})
    assert VALIDATOR.is_valid(tomllib.loads(text))


def test_what_is_required_is_required_but_for_secrets() -> None:
    """They may come from the environment; both the secret and its file may not stand there."""
    assert not VALIDATOR.is_valid(tomllib.loads(BASE.replace('username = "pwsapp"\n', "")))
    assert not VALIDATOR.is_valid(tomllib.loads(BASE.partition("[[watch]]")[0]))
    assert VALIDATOR.is_valid(tomllib.loads(BASE.replace('password = "hunter2"\n', "")))
    assert not VALIDATOR.is_valid(tomllib.loads(BASE.replace("password =", "password_file = 'x'\npassword =")))
