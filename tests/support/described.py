"""What the description of the API says of events, as a check: each event is held to the schema of its kind.

The schemas are those of `/openapi.json`, read more strictly than a client should: nothing may be there that is not
described.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import jsonschema_rs

from tests.support.bare_service import BareService

# Any: JSON, and what describes it.
_REF: Final = "#/components/schemas/"


def closed(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as JSON Schema says it, in which an object has no other members than those described."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(each) for name, each in schema.items() if name not in {"example", "nullable"}}
    if isinstance(schema.get("properties"), dict):
        found["additionalProperties"] = False
    return {"anyOf": [found, {"type": "null"}]} if schema.get("nullable") is True else found


@cache
def description() -> dict[str, Any]:
    """`/openapi.json` of any service."""
    return BareService().app.openapi()


@cache
def _checks() -> dict[str, Callable[[object], None]]:
    """By the name of an event: raises ValidationError where one does not fit its schema."""
    components = {"schemas": {name: closed(each) for name, each in description()["components"]["schemas"].items()}}
    kinds: dict[str, str] = components["schemas"]["StreamEvent"]["discriminator"]["mapping"]
    return {
        name: jsonschema_rs.Draft202012Validator(
            {"$ref": reference, "components": components}, validate_formats=True
        ).validate
        for name, reference in kinds.items()
    }


def event_names() -> frozenset[str]:
    """All kinds of events that are described."""
    return frozenset(_checks())


def hold(name: str, id: str, data: object) -> None:  # noqa: A002  # the event's own word
    """Check an event against its schema. Tests invent kinds of events; there is nothing to hold these to."""
    check = _checks().get(name)
    if check is not None:
        check({"event": name, "id": id, "data": data})
