"""JSON without spaces and line breaks, in ASCII, so that no string can break an answer or an event."""

from __future__ import annotations

import json
from typing import Final

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


def compact(value: object) -> bytes:
    """JSON on one line."""
    return _encode(value).encode("ascii")
