"""Reads the values of a request to the control interface; an error names the value that is wrong.

An unreadable body is an HTTPException 400; a wrong value is a ValueError, which becomes 422.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

Json = dict[str, Any]
"""A JSON object, its values not yet checked."""


async def json_object(request: Request, *keys: str) -> Json:
    """The body as a JSON object; no body is an empty object. With `keys`, other keys are refused."""
    body = await request.body()
    try:
        values = json.loads(body) if body else {}
    except ValueError as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise HTTPException(400, "the body is not a JSON object")
    for key in values if keys else ():
        if key not in keys:
            raise ValueError(f"{key}: no such key, expected some of {', '.join(keys)}")
    return values


def query_number(request: Request, name: str, default: int) -> int:
    """A number of the query."""
    text = request.query_params.get(name, str(default))
    if not text.isdigit():
        raise ValueError(f"{name}: expected a number, got {text!r}")
    return int(text)


def integer(values: Json, name: str, default: int | None, least: int, most: int) -> int:
    """A whole number within bounds; without a default it must be there."""
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name}: expected a whole number from {least} to {most}, got {value!r}")
    return value


def number(values: Json, name: str, default: float) -> float:
    """A number."""
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name}: expected a number, got {value!r}")  # noqa: TRY004 - becomes 422
    return float(value)
