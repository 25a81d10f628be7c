"""An OpenAPI description in the dialect that generators of clients read: 3.0.3, made of FastAPI's 3.1.

3.1 is younger than most programs that read descriptions, and openapi-generator calls its own support of it beta. What
our models say of themselves fits into 3.0: a null is `nullable`, an example is one, and a number says how long it is,
since generators take a whole one that does not for 32 bits, and revisions need more.
"""

from __future__ import annotations

from typing import Any, Final

# Any: an OpenAPI document is plain JSON.
_Json = dict[str, Any]

VERSION: Final = "3.0.3"
CLIENT_NAMES: Final = {
    "for": "purpose",
    "from": "origin",
    "in": "location",
    "event": "kind",
    "data": "payload",
    "error": "failure",
}
"""Names of members that are words of some language, and how generated code should call them.

The description says it as `x-ms-client-name`, which generators of the AutoRest kind read; `clients/` says it to
openapi-generator.
"""
_REF: Final = "#/components/schemas/"
_BIGGEST_INT32: Final = 2**31 - 1
_HOLDS_ONE: Final = ("items", "additionalProperties", "not")
_HOLDS_SEVERAL: Final = ("allOf", "anyOf", "oneOf")


def for_generators(document: _Json) -> _Json:
    """The same description in OpenAPI 3.0.3, each component under its title."""
    components = document["components"]["schemas"]
    names = {name: _name(name, schema) for name, schema in components.items()}
    if len(set(names.values())) != len(names):
        raise ValueError(f"two components have the same title: {sorted(names.values())}")
    schemas = {names[name]: _schema(schema, names) for name, schema in components.items()}
    paths: _Json = _outside(document["paths"], names)
    for path in paths.values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"].pop("nullable", None)  # a query or a header cannot say null
    return {
        **document,
        "openapi": VERSION,
        "paths": paths,
        "components": document["components"] | {"schemas": dict(sorted(schemas.items()))},
    }


def _name(name: str, schema: _Json) -> str:
    """A component's name in generated code: its title, without our own word for models of answers."""
    return str(schema.get("title", name)).removesuffix("View")


def _outside(part: Any, names: dict[str, str]) -> Any:
    """A part of the document around schemas."""
    if isinstance(part, list):
        return [_outside(each, names) for each in part]
    if not isinstance(part, dict):
        return part
    return {key: _schema(value, names) if key == "schema" else _outside(value, names) for key, value in part.items()}


def _schema(schema: Any, names: dict[str, str]) -> Any:
    """A schema as 3.0 says it."""
    if not isinstance(schema, dict):  # additionalProperties may be true or false
        return schema
    found: _Json = dict(schema)
    if "$ref" in found:
        reference = {"$ref": _REF + names[found.pop("$ref").removeprefix(_REF)]}
        return {"allOf": [reference], **_schema(found, names)} if found else reference
    found.pop("propertyNames", None)
    for key in _HOLDS_ONE:
        if key in found:
            found[key] = _schema(found[key], names)
    for key in _HOLDS_SEVERAL:
        if key in found:
            found[key] = [_schema(each, names) for each in found[key]]
    if "discriminator" in found:
        mapping = found["discriminator"]["mapping"].items()
        renamed = {value: _REF + names[reference.removeprefix(_REF)] for value, reference in mapping}
        found["discriminator"] = found["discriminator"] | {"mapping": renamed}
    if "properties" in found:
        found["properties"] = {name: _member(name, each, names) for name, each in found["properties"].items()}
    if "examples" in found:
        found["example"] = found.pop("examples")[0]
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if found.get("type") == "integer" and found.get("maximum", _BIGGEST_INT32 + 1) > _BIGGEST_INT32:
        found["format"] = "int64"
    if found.get("type") == "number":
        found["format"] = "double"
    return _nullable(found)


def _member(name: str, schema: Any, names: dict[str, str]) -> _Json:
    hint = {"x-ms-client-name": CLIENT_NAMES[name]} if name in CLIENT_NAMES else {}
    found: _Json = _schema({**schema, **hint}, names)
    return found


def _nullable(schema: _Json) -> _Json:
    """`anyOf` with a null, as a schema that is `nullable`."""
    choices = schema.get("anyOf", [])
    rest = [choice for choice in choices if choice != {"type": "null"}]
    if len(rest) == len(choices):
        return schema
    around = {key: value for key, value in schema.items() if key != "anyOf"}
    if len(rest) > 1:
        return {"anyOf": rest, "nullable": True, **around}
    if "$ref" in rest[0]:
        return {"allOf": rest, "nullable": True, **around}
    return {**rest[0], "nullable": True, **around}
