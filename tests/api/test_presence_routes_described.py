"""What the description of the API says of queries, beside what is true."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from service.api import models
from service.api.models.examples import EXAMPLES
from tests.support.bare_service import BareService

INNER: dict[str, type[BaseModel]] = {
    "ContactListView": models.ContactView,
    "ChosenListView": models.ChosenContactView,
    "BriefListView": models.BriefContactView,
    "HistoryView": models.TransitionView,
}
"""What the lists hold."""
PROBLEM = "application/problem+json"


@pytest.fixture(name="paths", scope="module")
def described_paths() -> Any:  # plain JSON
    """Of the description."""
    return BareService().app.openapi()["paths"]


def keys(view: type[BaseModel]) -> list[str]:
    """Of an answer of this kind, as they are told."""
    return [field.alias or name for name, field in view.model_fields.items()]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_possible(name: str) -> None:
    """Each has the keys of its kind, in their order; one of chosen fields has some of them."""
    example: Any = EXAMPLES[name]
    assert list(example) == keys(getattr(models, name))
    for inner in (*example.get("contacts", ()), *example.get("transitions", ())):
        expected = keys(INNER[name])
        assert list(inner) == [each for each in expected if each in inner]
        assert name == "ChosenListView" or len(inner) == len(expected)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/presence", {200, 304, 401, 403, 406, 410, 422, 429}),
        ("/v1/presence/{contact}", {200, 304, 401, 403, 404, 422, 429}),
        ("/v1/presence/{contact}/history", {200, 304, 401, 403, 404, 422, 429}),
        ("/v1/summary", {200, 304, 401, 403, 422, 429}),
    ],
)
def test_every_answer_is_described(paths: Any, path: str, expected: set[int]) -> None:
    """And every error as a problem document."""
    answers = paths[path]["get"]["responses"]
    assert {str(status) for status in expected} <= set(answers)
    assert all(list(answer["content"]) == [PROBLEM] for status, answer in answers.items() if status >= "4")
    assert "content" not in answers["304"]
    assert {"ETag", "Vary"} <= set(answers["200"]["headers"]) & set(answers["304"]["headers"])


def test_the_list_has_two_forms(paths: Any) -> None:
    """JSON and a table."""
    answer = paths["/v1/presence"]["get"]["responses"]["200"]
    assert set(answer["content"]) == {"application/json", "text/csv"}
    assert "Link" in answer["headers"]


def test_parameters_are_described_as_they_are(paths: Any) -> None:
    """Bounds, words, and no null: a query cannot say it."""
    schemas = {each["name"]: each["schema"] for each in paths["/v1/presence"]["get"]["parameters"]}
    assert (schemas["max_age"]["minimum"], schemas["max_age"]["maximum"]) == (0, 86400)
    assert (schemas["limit"]["minimum"], schemas["limit"]["maximum"]) == (1, 1000)
    assert schemas["cursor"]["minLength"] == schemas["q"]["minLength"] == 1
    assert schemas["available"]["type"] == "boolean"
    assert "-changed_at" in schemas["sort"]["enum"]
    assert "devices" in schemas["fields"]["items"]["enum"]
    assert "null" not in repr(schemas)
    assert {"If-None-Match", "Prefer"} <= set(schemas)


def test_no_operation_has_two_names(paths: Any) -> None:
    """HEAD is no operation of its own."""
    names = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(names) == len(set(names))
