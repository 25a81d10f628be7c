"""Reads the values of a request to the control interface; an error names the value that is wrong.

An unreadable body is an HTTPException 400; a wrong value is a ValueError, which becomes 422.
"""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

from pws_soap.simulator.bounds import MAX_COUNT, MAX_SECONDS, bounded, shown

_DIGITS: Final = 30
"""Digits of a number that is read exactly."""
Json = dict[str, Any]
"""A JSON object, its values not yet checked."""


async def json_object(request: Request, *keys: str) -> Json:
    """The body as a JSON object; no body is an empty object. With `keys`, other keys are refused."""
    body = await whole_body(request)
    try:
        values = json.loads(body, parse_int=_whole) if body else {}
    except RecursionError:
        raise HTTPException(400, "the body is not JSON: too many brackets inside each other") from None
    except ValueError as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise HTTPException(400, "the body is not a JSON object")
    for key in values if keys else ():
        if key not in keys:
            raise ValueError(f"{key}: no such key, expected some of {', '.join(keys)}")
    return values


async def whole_body(request: Request) -> bytes:
    """The body; 400 where another length was announced, since a request must not be obeyed as one without a body."""
    body = await request.body()
    announced = request.headers.get("content-length", "")[:_DIGITS]
    if announced.isascii() and announced.isdigit() and int(announced) != len(body):
        raise HTTPException(400, f"the body has {len(body)} bytes, its Content-Length is {announced}")
    return body


def query_number(request: Request, name: str, default: int) -> int:
    """A number of the query."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS or int(text) > MAX_COUNT:
        raise ValueError(f"{name}: expected a whole number from 0 to {MAX_COUNT}, got {shown(text)}")
    return int(text)


def integer(values: Json, name: str, default: int | None, least: int, most: int) -> int:
    """A whole number within bounds; without a default it must be there."""
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name}: expected a whole number from {least} to {most}, got {shown(value)}")
    return value


def number(
    values: Json, name: str, default: float | None, least: float = -MAX_SECONDS, most: float = MAX_SECONDS
) -> float:
    """A number within bounds; without a default it must be there."""
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name}: expected a number, got {shown(value)}")  # noqa: TRY004 - becomes 422
    return float(bounded(name, value, least, most))


def _whole(text: str) -> float:
    """A whole number of JSON; one that no key takes is infinite, so that the key is named (422)."""
    return int(text) if len(text) <= _DIGITS else float(text)
