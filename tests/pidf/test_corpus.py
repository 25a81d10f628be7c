"""Every document of `tests/data/pidf` reads as the file beside it says.

`NAME.xml` is what a server sent: the text itself, or a `richPresenceList` (carrier "element"). `NAME.expected.toml`
says why the document is there and what it must read as; what is not named there has its default. `now` is the moment
as of which it is read; without it times are not judged. Of a parser's own words, which differ between its versions,
only the beginning is compared.
"""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from msgspec.structs import replace

from pws_soap.models import PresenceState
from pws_soap.pidf import (
    Device,
    DeviceKind,
    PidfError,
    Reading,
    explain,
    explanation,
    read_document,
    read_list,
    to_presence,
)

CORPUS = Path(__file__).parent.parent / "data" / "pidf"
NAMES = sorted(path.stem for path in CORPUS.glob("*.xml"))


def _values(table: dict[str, Any]) -> dict[str, Any]:  # TOML's types are known only when it is read
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def _device(table: dict[str, Any]) -> Device:
    return Device(**{**_values(table), "kind": DeviceKind(table.get("kind", "other"))})


def _expected(table: dict[str, Any]) -> Reading:
    devices = tuple(_device(one) for one in table.get("devices", []))
    values = {"contact": None, **_values(table), "state": PresenceState(table["state"]), "devices": devices}
    return Reading(**values)


def _load(name: str) -> tuple[str | bytes | etree._Element, list[Reading], datetime | None]:
    content = (CORPUS / f"{name}.xml").read_bytes()
    expected = tomllib.loads((CORPUS / f"{name}.expected.toml").read_text("utf-8"))
    assert expected["why"], "a document of the corpus says why it is there"
    readings = [_expected(one) for one in expected["reading"]]
    content_or_list = etree.fromstring(content) if expected["carrier"] == "element" else content
    return content_or_list, readings, expected.get("now")


@pytest.mark.parametrize("name", NAMES)
def test_document_reads_as_written_beside_it(name: str) -> None:
    """All fields of all readings are equal to the expected ones, and their order too."""
    content, expected, now = _load(name)
    got = list(read_list(content, now))
    assert len(got) == len(expected)
    for reading, wanted in zip(got, expected, strict=True):
        if wanted.problem is not None:
            assert (reading.problem or "").startswith(wanted.problem)
            reading = replace(reading, problem=wanted.problem)  # compared above
        assert reading == wanted


@pytest.mark.parametrize("name", NAMES)
def test_explanation_and_presence_agree_with_the_reading(name: str) -> None:
    """The explanation begins with state and decider; the presence has the same state, or the problem."""
    content, _, now = _load(name)
    for reading in read_list(content, now):
        first = explain(reading)[0]
        assert first.startswith(reading.state)
        assert reading.decided_by in first
        presence = to_presence(reading, contact="fallback@example.com")
        assert presence.contact in {reading.contact, "fallback@example.com"}
        assert presence.state is reading.state
        silent = reading.problem is None and not reading.decided_by and "unknown" not in reading.said
        assert presence.problem == ("the document says nothing about the state" if silent else reading.problem)
        if presence.problem is None:
            assert presence.valid_until == reading.valid_until
            assert explanation(presence) == explain(reading)
        else:
            assert explanation(presence) == ()


@pytest.mark.parametrize("name", NAMES)
def test_one_document_alone_reads_the_same(name: str) -> None:
    """`read_document` gives what `read_list` gives of a single document, and its own error for anything else."""
    content, expected, now = _load(name)
    if len(expected) == 1 and expected[0].problem is None and not isinstance(content, etree._Element):
        assert read_document(content, now) == expected[0]
    else:
        with pytest.raises(PidfError):
            read_document(content)


def test_the_corpus_is_large_and_complete() -> None:
    """At least 60 documents, each with its reading, and no reading without its document."""
    assert len(NAMES) >= 60
    assert sorted(path.name.removesuffix(".expected.toml") for path in CORPUS.glob("*.toml")) == NAMES


def test_every_state_occurs_in_the_corpus() -> None:
    """Each of the seven states is the reading of some document."""
    states = {reading.state for name in NAMES for reading in _load(name)[1]}
    assert states == set(PresenceState)


def test_the_whole_corpus_in_one_text_loses_nobody() -> None:
    """All text documents joined: every contact reads as it does alone, since none costs its neighbours."""
    texts: list[bytes] = []
    expected: list[Reading] = []
    for name in NAMES:
        content, readings, now = _load(name)
        alone = now is None and isinstance(content, bytes) and not content.startswith((b"\xff\xfe", b"&lt;"))
        if alone and isinstance(content, bytes):
            texts.append(content)
            expected += readings
    got = list(read_list(b"\n".join(texts)))
    assert [(one.contact, one.state) for one in got if one.contact] == [
        (one.contact, one.state) for one in expected if one.contact
    ]
