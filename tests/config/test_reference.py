"""What is said of each key: every one is described, and an undescribed one is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, PlainValidator

from pws_soap.models import Secret
from service.config import parsers, reference, value_types
from service.config.sections import BLOCKS, Sections
from service.config.sources import SECRETS


def test_every_section_and_key_is_described() -> None:
    """In whole sentences; an error says which is not."""
    for section in reference.sections():
        assert section.description[0].isupper()
        assert section.description.endswith(".")
        assert [key.name for key in section.keys if not key.file_of] == list(BLOCKS[section.name].model_fields)
        for key in section.keys:
            assert key.description[0].isupper() or key.description[0] == "`", f"{section.name}.{key.name}"
            assert key.description.endswith("."), f"{section.name}.{key.name}"
            assert key.values
            assert key.required or key.default is not None or key.example is not None


def test_units_and_ranges_are_those_that_the_parsers_check() -> None:
    found = {f"{section.name}.{key.name}": key for section in reference.sections() for key in section.keys}
    assert found["fetch.heartbeat_interval"].unit == "seconds"
    assert found["fetch.heartbeat_interval"].values == "a number of at least 1 seconds, or 0 (never)"
    assert found["limits.max_body_bytes"].unit == "bytes"
    assert found["available.free_states"].values.endswith('"UNAVAILABLE" or "VACATION"')
    assert reference.default_text(found["server.connect_timeout"]) == "5"
    assert reference.default_text(found["server.nodes"]) == "required"
    assert reference.default_text(found["callback.allow_from"]) == "none"


def test_every_secret_may_stand_in_a_file_of_its_own() -> None:
    """Whatever the model keeps as a Secret, also as one that may be left out."""
    secrets = {
        (name, key)
        for name, block in BLOCKS.items()
        for key, field in block.model_fields.items()
        if f"{Secret.__module__}.{Secret.__name__}" in repr(field.annotation)
    }
    assert secrets == set(SECRETS)


def _path(value: object) -> Path:
    return Path(str(value))


class Log(value_types.Section):
    """[log]: how the service writes its log."""

    level: Annotated[str, PlainValidator(parsers.choice("info", "debug"))] = Field(
        default="info", description="How much is written."
    )


class Bare(value_types.Section):
    """[log]: how the service writes its log."""

    level: Annotated[str, PlainValidator(parsers.choice("info", "debug"))] = "info"


class Silent(value_types.Section):
    """[log]: how the service writes its log."""

    file: Annotated[Path, PlainValidator(_path)] = Field(default=Path("x"), description="Where it is written.")


class Empty(value_types.Section):
    """[log]: how the service writes its log."""

    file: Annotated[Path, PlainValidator(parsers.any_file)] | None = Field(default=None, description="Where.")


class Untold(value_types.Section):
    level: value_types.Bool = Field(default=True, description="How much is written.")


def added(monkeypatch: pytest.MonkeyPatch, model: type[value_types.Section]) -> reference.SectionReference:
    """The reference of a section [log] that the model gets."""
    monkeypatch.setitem(Sections.model_fields, "log", Field(default=None))
    return reference._section("log", model)


def test_a_new_section_is_its_class_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    section = added(monkeypatch, Log)
    assert (section.header, section.description) == ("[log]", "How the service writes its log.")
    assert section.keys == (
        reference.KeyReference(
            "level",
            "How much is written.",
            '"info" or "debug"',
            {"type": "string", "enum": ["info", "debug"]},
            default="info",
        ),
    )


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Bare, "log.level has no description"),
        (Silent, "log.file: its parser does not say what it takes"),
        (Empty, "log.file has no default to show, and no example"),
        (Untold, "Untold: the docstring has to begin with [log]: "),
    ],
)
def test_a_new_key_must_be_described(
    monkeypatch: pytest.MonkeyPatch, model: type[value_types.Section], told: str
) -> None:
    with pytest.raises(TypeError) as caught:
        added(monkeypatch, model)
    assert told in str(caught.value)
