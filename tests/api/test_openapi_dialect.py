"""What generators of clients need of the description: words of OpenAPI 3.0, a name for everything, and hints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.api.openapi_dialect import CLIENT_NAMES, for_generators
from tests.support.described import description

CLIENTS = Path(__file__).parents[2] / "clients"
SETTINGS = sorted(CLIENTS.glob("*.yaml"))


def objects(part: Any) -> Iterator[dict[str, Any]]:
    """All objects in a part of the description: schemas, and what they are in."""
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from objects(inner)


def test_it_has_no_word_of_a_younger_openapi() -> None:
    """openapi-generator refuses a description of 3.0 that has one."""
    assert description()["openapi"] == "3.0.3"
    for schema in objects(description()["components"]["schemas"]):
        assert schema.get("type") != "null"
        assert not schema.keys() & {"const", "propertyNames", "contentSchema", "contentMediaType", "itemSchema"}
        assert "examples" not in schema or "properties" in schema
        assert "$ref" not in schema or list(schema) == ["$ref"]


def test_numbers_say_how_long_they_are() -> None:
    """A revision does not fit into 32 bits, which generators take where nothing is said."""
    properties = description()["components"]["schemas"]["Contact"]["properties"]
    assert properties["revision"]["format"] == "int64"
    for schema in objects(description()):
        if schema.get("type") == "integer" and schema.get("maximum", 2**31) >= 2**31:
            assert schema["format"] == "int64"


def test_no_model_has_to_be_invented() -> None:
    """Objects and unions in answers and bodies are components, each by its own name."""
    for operation in (each for path in description()["paths"].values() for each in path.values()):
        contents = [operation.get("requestBody", {}), *operation["responses"].values()]
        for schema in (form["schema"] for content in contents for form in content.get("content", {}).values()):
            assert schema.keys() & {"$ref", "type", "allOf"}, schema
            assert not schema.keys() & {"properties", "anyOf", "oneOf"}, schema


def test_operations_are_named_for_what_they_do() -> None:
    """A verb first, so that generated methods read well; not made of the path, so that they stay."""
    names = [each["operationId"] for path in description()["paths"].values() for each in path.values()]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch("[a-z]+([A-Z][a-z]+)+", name)] == []


def test_the_first_of_several_forms_is_the_one_that_says_most() -> None:
    """Generated Java tries them in the order of their names, and takes the first that fits."""
    components = description()["components"]["schemas"]
    unions = {name: schema["anyOf"] for name, schema in components.items() if "anyOf" in schema}
    assert unions
    for alternatives in unions.values():
        names = [each["$ref"].rpartition("/")[2] for each in alternatives]
        assert names[0] == min(names)
        members = [len(components[name]["properties"]) for name in names]
        assert members[0] == max(members)


def test_settings_rename_what_the_description_says_should_be_renamed() -> None:
    """Both are of one table, and each of its names is there."""
    properties = [each for schema in objects(description()) for each in schema.get("properties", {}).items()]
    hinted = {name: schema["x-ms-client-name"] for name, schema in properties if "x-ms-client-name" in schema}
    assert hinted == CLIENT_NAMES
    assert [path.stem for path in SETTINGS] == ["csharp", "java", "powershell", "typescript"]
    for path in SETTINGS:
        assert yaml.safe_load(path.read_text("utf-8"))["nameMappings"] == CLIENT_NAMES, path


def test_two_components_of_one_title_are_a_mistake() -> None:
    """One of them would be lost."""
    twins = {"One": {"title": "Same"}, "OtherView": {"title": "SameView"}}
    with pytest.raises(ValueError, match="the same title"):
        for_generators({"paths": {}, "components": {"schemas": twins}})
