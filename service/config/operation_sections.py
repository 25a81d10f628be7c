"""The sections about running the service: its log, its audit and its traces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, PlainValidator

from service.config import parsers, value_types


class LogSection(value_types.Section):
    """[log]: how the service writes its log, to standard error."""

    format: Annotated[str, PlainValidator(parsers.choice("text", "json"))] = Field(
        default="text",
        description="Whether a line is text for people or a JSON object for programs; docs/logs.md lists the events "
        "and their fields.",
    )
    level: Annotated[str, PlainValidator(parsers.choice("debug", "info", "warning", "error"))] = Field(
        default="info",
        description="From which level on lines are written. SIGHUP reads it again; `pws serve --log-level` beats it. "
        "At the level debug they name the contacts that changed.",
    )


class AuditSection(value_types.Section):
    """[audit]: who asked for whose presence, claimed whom, and changed what. None is kept unless a file is named."""

    file: Annotated[Path, PlainValidator(parsers.any_file)] | None = Field(
        default=None,
        description="File to which one JSON line is appended for each look at contacts, each claim and each change by "
        "an admin. It names contacts and keys: docs/privacy.md.",
        examples=["audit.jsonl"],
    )
    max_bytes: Annotated[int, PlainValidator(parsers.whole(0, 2**40, unit="bytes"))] = Field(
        default=0,
        description="A file that would be longer is renamed to FILE.1, and a new one begun; 0: never, logrotate and "
        "SIGUSR1 do it.",
    )
    keep: Annotated[int, PlainValidator(parsers.whole(1, 1000))] = Field(
        default=10, description="Renamed files that are kept, with `max_bytes`; an older one is deleted."
    )


class OtelSection(value_types.Section):
    """[otel]: traces for OpenTelemetry, from a notification over its fetch to the events."""

    enabled: value_types.Bool = Field(
        default=False,
        description="Whether spans are given to OpenTelemetry. It takes the extra `otel`, and an SDK that the program "
        "is started with, such as by `opentelemetry-instrument pws serve`.",
    )
