"""`pws explain`: what a rich document says, and which element of it decided. Needs neither server nor configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from pws_soap import pidf
from pws_soap.pidf import Device, Reading
from service.cli.shared import output
from service.cli.shared.options import json_option

MAX_FILE: Final = 256 * 1024 * 1024
"""Longest file that is read, in bytes; a reply with 5000 contacts has some ten million."""


@click.command("explain")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--at", "at", metavar="TIME", help="The moment as of which `from` and `until` are judged; default: now.")
@json_option
def command(file: Path, at: str | None, as_json: bool) -> None:
    """Tell what rich presence documents say, and why.

    FILE holds one PIDF document or several, a whole richPresenceList, or a SOAP reply with one; - is standard input.
    For each document: the state that was made of it, what else it says, which element decided, and what became of
    every other. What is past its `until` or before its `from` does not count; where a document has such times, "as of"
    is the moment of reading and "valid until" the next moment at which the document says something else. Exit code 1
    when one of them cannot be read.

    \b
    Example:
      pws explain ann.xml
      pws explain - --json < reply.xml
      pws explain ann.xml --at 2026-05-30T12:00:00+02:00
    """
    moment = _moment(at)
    found = list(_readings(_content(file), moment))
    if not found:
        raise output.CommandFailed(f"{file}: there is no presence document in it")
    if as_json:
        output.document({"as_of": _time(moment), "documents": [_as_json(reading) for reading in found]})
    else:
        click.echo(output.printable("\n\n".join("\n".join(_lines(reading, moment)) for reading in found)))
    broken = sum(reading.problem is not None for reading in found)
    if broken:
        raise output.CommandFailed(f"{broken} of {len(found)} documents cannot be read")


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def _moment(at: str | None) -> datetime:
    if at is None:
        return now()
    moment = pidf.moment(at)
    if moment is None:
        raise output.Mistake(f"--at: expected a date and time such as 2026-05-30T12:00:00Z, got {at!r}")
    return moment


def _content(file: Path) -> bytes:
    try:
        with click.open_file(str(file), "rb") as stream:
            content: bytes = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise output.Mistake(f"{file}: {error.strerror or 'not readable'}") from None
    if len(content) > MAX_FILE:
        raise output.Mistake(f"{file}: expected at most {MAX_FILE} bytes")
    return content


def _readings(content: bytes, moment: datetime) -> Iterator[Reading]:
    """The documents of a SOAP reply, or else those in the text itself."""
    from pws_soap import envelope  # here, as lxml takes a while to import
    from pws_soap.errors import UnreadableReply

    try:
        root = envelope.parse(content)
    except UnreadableReply:
        root = None
    lists = [] if root is None else [each for each in root.iter() if envelope.local(each) == "richPresenceList"]
    if lists:
        for presence_list in lists:
            yield from pidf.read_list(presence_list, moment)
    else:
        yield from pidf.read_list(content, moment)


def _lines(reading: Reading, moment: datetime) -> Iterator[str]:
    """One document as lines of text."""
    yield f"{reading.contact or 'nobody named'}: {reading.state}"
    if reading.problem is not None:
        yield f"  cannot be read: {reading.problem}"
        return
    for title, text in (*_facts(reading), *_validity(reading, moment)):
        if text:
            yield f"  {title:<14}{text}"
    for device in reading.devices:
        yield f"  {'device':<14}{_device(device)}"
    for title, line in zip(["why"] + [""] * 1000, pidf.explain(reading), strict=False):
        yield f"  {title:<14}{line}"


def _facts(reading: Reading) -> Iterator[tuple[str, str]]:
    yield "name", reading.display_name or ""
    yield "activities", ", ".join(reading.activities)
    calls = [word for word, so in (("on the phone", reading.on_the_phone), ("in a meeting", reading.in_meeting)) if so]
    yield "so", ", ".join(calls)
    since = f" since {_time(reading.idle_since)}" if reading.idle_since else ""
    yield "input", {True: f"idle{since}", False: "active", None: ""}[reading.idle]
    yield "phone-status", reading.phone_status or ""
    yield "im-status", reading.im_status or ""
    yield "set", "by hand" if reading.manual else ""
    language = f" [{reading.note_language}]" if reading.note_language else ""
    yield "note", f"{json.dumps(reading.note, ensure_ascii=False)}{language}" if reading.note else ""
    yield "set aside", ", ".join(reading.unknown)


def _validity(reading: Reading, moment: datetime) -> Iterator[tuple[str, str]]:
    """The times of a document that has `from` or `until`; any other document always means the same."""
    if reading.times or reading.valid_until:
        yield "as of", _time(moment.replace(microsecond=0)) or ""
        yield "valid until", _time(reading.valid_until) or ""


def _device(device: Device) -> str:
    basic = {True: "open", False: "closed", None: "neither open nor closed"}[device.basic]
    able = [f"{name} {'yes' if so else 'no'}" for name, so in _abilities(device) if so is not None]
    facts = [
        basic,
        *able,
        f"priority {device.priority:g}" if device.priority is not None else "",
        " + ".join(device.activities),
        f"source {device.source}" if device.source else "",
        _time(device.timestamp) or "",
    ]
    return f"{device.id} ({device.kind.value}): {', '.join(fact for fact in facts if fact)}"


def _abilities(device: Device) -> tuple[tuple[str, bool | None], ...]:
    return (("audio", device.audio), ("video", device.video), ("text", device.text))


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment is not None else None


def _as_json(reading: Reading) -> dict[str, object]:
    """All fields of a reading."""
    return {
        "contact": reading.contact,
        "state": reading.state.value,
        "decided_by": reading.decided_by or None,
        "explain": list(pidf.explain(reading)),
        "activities": list(reading.activities),
        "on_the_phone": reading.on_the_phone,
        "in_meeting": reading.in_meeting,
        "idle": reading.idle,
        "idle_since": _time(reading.idle_since),
        "phone_status": reading.phone_status,
        "im_status": reading.im_status,
        "manual": reading.manual,
        "display_name": reading.display_name,
        "note": reading.note,
        "note_language": reading.note_language,
        "devices": [
            {
                "id": device.id,
                "kind": device.kind.value,
                "basic": {True: "open", False: "closed", None: None}[device.basic],
                **dict(_abilities(device)),
                "priority": device.priority,
                "activities": list(device.activities),
                "idle": device.idle,
                "idle_since": _time(device.idle_since),
                "address": device.contact,
                "model": device.model,
                "note": device.note,
                "timestamp": _time(device.timestamp),
                "source": device.source,
            }
            for device in reading.devices
        ],
        "unknown_elements": list(reading.unknown),
        "valid_until": _time(reading.valid_until),
        "problem": reading.problem,
    }
