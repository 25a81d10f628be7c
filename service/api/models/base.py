"""What all answers have in common: frozen models, and times as RFC 3339 writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema

EXAMPLE_TIME: Final = "2026-11-21T10:00:03.120Z"


@lru_cache(maxsize=4096)
def rfc3339(wall: float) -> str:
    """Seconds since the epoch as the API shows time: UTC, milliseconds, Z."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[
    float,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": [EXAMPLE_TIME]}),
]
"""Wall time inside, RFC 3339 outside."""


class View(BaseModel):
    """An answer."""

    model_config = ConfigDict(frozen=True, from_attributes=True)
