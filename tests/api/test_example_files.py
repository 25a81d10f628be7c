"""The examples for tools that do not run here: what they ask is answered, and all that they name is in the answer.

The programs in `examples/` are run by `tests/e2e/test_examples.py`, the flow of Node-RED by `tests/toolkits`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import jinja2
import pytest
import tree_sitter
import tree_sitter_powershell
import yaml

from service.core.presence.availability import Availability, Rule
from tests.support.asgi import Answer
from tests.support.bare_service import AVAILABLE, BUSY, BareService, presence

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
ANN, JOE, RITA = "ann@example.com", "joe@example.com", "rita@example.com"
GROUPS: Final = {"support": (ANN, JOE)}


@pytest.fixture
def service() -> BareService:
    """Ann is on the phone, Joe is free, of Rita nothing was read."""
    service = BareService(GROUPS, availability=Availability(GROUPS, {}, Rule()))
    service.watch(ANN, JOE, RITA)
    service.read(
        [presence(ANN, BUSY, activities=("busy", "on-the-phone"), display_name="Ann"), presence(JOE, AVAILABLE)]
    )
    return service


def text(name: str) -> str:
    return (EXAMPLES / name).read_text("utf-8")


async def pages(service: BareService, target: str, most: int) -> list[dict[str, Any]]:
    """All contacts, `most` on a page, as an example follows `next_cursor`."""
    target = target.replace("limit=1000", f"limit={most}")
    answer = await service.get(target)
    contacts = list(answer.json()["contacts"])
    while cursor := answer.json()["next_cursor"]:
        answer = await service.get(f"{target}&{urlencode({'cursor': cursor})}")
        contacts += answer.json()["contacts"]
    return contacts


# PowerShell


def nodes(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


def test_the_powershell_script_is_powershell() -> None:
    """The grammar finds no error, and the parameters are those of Invoke-RestMethod in PowerShell 7."""
    language = tree_sitter.Language(tree_sitter_powershell.language())
    tree = tree_sitter.Parser(language).parse(text("Get-Presence.ps1").encode())
    assert [node for node in nodes(tree.root_node) if node.is_error or node.is_missing] == []
    (table,) = re.findall(r"\$ask = @\{(.*?)\}", text("Get-Presence.ps1"), re.DOTALL)
    assert re.findall(r"(\w+) = ", table) == [
        "Uri",
        "Headers",
        "SkipHttpErrorCheck",
        "StatusCodeVariable",
        "ResponseHeadersVariable",
    ]


async def test_the_powershell_script_reads_what_there_is(service: BareService) -> None:
    script = text("Get-Presence.ps1")
    (target,) = re.findall(r'\$list = "\$Url(.*)"', script)
    contacts = await pages(service, target, 1)
    assert [contact["contact"] for contact in contacts] == [ANN, JOE, RITA]
    (columns,) = re.findall(r"Format-Table ('.*)$", script, re.MULTILINE)
    assert {*re.findall(r"'(\w+)'", columns), "display_name"} <= set(contacts[0])
    assert {"available", "display_name"} == set(re.findall(r"(?:Where|Sort)-Object (\w+)", script))
    first = await service.get(f"{target}&group=support")
    assert {"contacts", "next_cursor"} <= set(re.findall(r"\$answer\.(\w+)", script)) & set(first.json())
    (etag,) = re.findall(r"\$received\['(\w+)'\]", script)
    again = await service.get(f"{target}&group=support", if_none_match=first.headers[etag.lower()])
    assert again.status == 304
    assert "detail" in (await service.get("/v1/presence?limit=0")).json()


# Power Query


async def test_the_power_query_reads_what_there_is(service: BareService) -> None:
    """It is parsed by Microsoft's parser in `tests/toolkits`."""
    query = text("presence.pq")
    (path,) = re.findall(r'RelativePath = "(.*)"', query)
    (fields,) = re.findall(r"Fields = \{(.*)\}", query)
    names: list[str] = re.findall(r'"(\w+)"', fields)
    target = f"/{path}?" + urlencode({"limit": "1000", "fields": ",".join(names)})
    contacts = await pages(service, target, 2)
    assert [contact["contact"] for contact in contacts] == [ANN, JOE, RITA]
    assert all(set(contact) == {"contact", *names} for contact in contacts)
    assert set(re.findall(r"each if \[(\w+)\]|Page\(\[(\w+)\]\)|each \[(\w+)\]", query)) == {
        ("next_cursor", "", ""),
        ("", "next_cursor", ""),
        ("", "", "contacts"),
    }
    typed = {"activities": list, "available": bool, "changed_at": str}
    assert set(re.findall(r'\{"(\w+)", (?:type|each)', query)) == typed.keys()
    assert all(isinstance(contacts[0][name], kind) for name, kind in typed.items())


# Home Assistant


class Configuration(yaml.SafeLoader):
    """Reads `!secret NAME` as the name."""


Configuration.add_constructor("!secret", lambda loader, node: f"secret {node.value}")

SENSORS: Final[list[dict[str, Any]]] = yaml.load(text("home-assistant.yaml"), Configuration)["rest"]  # noqa: S506 - a safe one
RESOURCE_KEYS: Final = {"resource", "params", "headers", "scan_interval", "sensor"}
SENSOR_KEYS: Final = {
    *("name", "unique_id", "value_template", "availability", "json_attributes", "unit_of_measurement")
}


def rendered(template: str, answer: Answer) -> str:
    """What Home Assistant makes of a template; for it an undefined value is an error too."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - no page
    return environment.from_string(template).render(value=answer.body.decode(), value_json=answer.json())


async def asked(service: BareService, sensor: dict[str, Any]) -> Answer:
    assert sensor["headers"] == {"Authorization": "secret pws_authorization"}
    path = sensor["resource"].removeprefix("http://127.0.0.1:8000")
    return await service.get(f"{path}?{urlencode(sensor.get('params', {}))}")


async def test_the_sensors_of_home_assistant_read_what_there_is(service: BareService) -> None:
    """Keys that its schema has; every attribute is in the answer, every template renders."""
    said = {}
    for resource in SENSORS:
        assert resource.keys() <= RESOURCE_KEYS
        answer = await asked(service, resource)
        assert answer.status == 200
        for sensor in resource["sensor"]:
            assert sensor.keys() <= SENSOR_KEYS
            assert set(sensor.get("json_attributes", [])) <= set(answer.json())
            state = rendered(sensor["value_template"], answer)
            said[sensor["name"]] = (state, rendered(sensor["availability"], answer))
    assert said == {"Ann": ("BUSY", "True"), "Free in support": ("1", "True")}


async def test_what_is_not_live_is_unavailable_in_home_assistant(service: BareService) -> None:
    """Also what is not watched, and answers that are problems."""
    service.store.doubt("dispatcher", "the server cannot be reached")
    ann, group = SENSORS
    (sensor,) = ann["sensor"]
    assert rendered(sensor["availability"], await asked(service, ann)) == "False"
    gone = await asked(service, ann | {"resource": "http://127.0.0.1:8000/v1/presence/eve@example.com"})
    assert (gone.status, rendered(sensor["availability"], gone)) == (404, "False")
    assert rendered(sensor["value_template"], gone) == "UNKNOWN"
    wrong = await asked(service, group | {"params": {"group": "nobody"}})
    assert (wrong.status, rendered(group["sensor"][0]["availability"], wrong)) == (422, "False")


# Node-RED


def test_the_flow_of_node_red_is_whole() -> None:
    """Every wire leads to a node, and all nodes are of those that come with Node-RED."""
    flow = json.loads(text("node-red.json"))
    ids = [node["id"] for node in flow]
    assert len(set(ids)) == len(ids)
    assert {node["type"] for node in flow} == {"tab", "inject", "function", "http request", "delay", "debug"}
    assert {target for node in flow for output in node.get("wires", []) for target in output} < set(ids)
