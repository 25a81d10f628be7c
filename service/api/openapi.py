"""What OpenAPI says beyond what FastAPI finds out by itself.

Which scope each operation needs, and how it answers those who are not let in; that errors are problem documents;
examples with nulls. `openapi_dialect` then says the same in the words that generators of clients understand.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from service.access.authentication import Authenticator
from service.access.principal import Principal
from service.api.models.examples import EXAMPLES
from service.api.openapi_dialect import for_generators
from service.api.problems import MEDIA_TYPE
from service.core.presence.freshness import Level

# Any: an OpenAPI document is plain JSON.
_Json = dict[str, Any]

_PROBLEM: Final[_Json] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemView"}}}
_OTHER_MEDIA_TYPES: Final = {
    "ProblemView": MEDIA_TYPE,
    "NotEnoughProblemView": MEDIA_TYPE,
    "StreamEvent": "text/event-stream",
}
"""By the model: what is not `application/json`."""
_FREE: Final = frozenset({"/livez", "/readyz"})
_RETRY: Final[_Json] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
_CHALLENGE: Final[_Json] = {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "how to send a key"}}


def _add_access(document: _Json, anonymous: Principal | None) -> None:
    """Complete the description of a service to which `anonymous` may come without a key (None: nobody).

    Operations that need a scope are those to which FastAPI has given a `security`.
    """
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers: _Json = operation["responses"]
            if path not in _FREE:
                answers.setdefault("421", _answer("The service does not go by this name"))
            security = operation.get("security")
            if not security:
                continue
            scopes = sorted({scope for way in security for scopes in way.values() for scope in scopes})
            if anonymous is not None and anonymous.scopes.issuperset(scopes):
                security.append({})
            answers.setdefault("401", _answer("A key is needed, or nobody has this one", _CHALLENGE))
            words = f"The key lacks the scope {' or '.join(scopes)}, or must not do or see this"
            if method != "get":
                words += "; or there is no key, and a page of another origin asks"
            answers.setdefault("403", _answer(words))
            answers.setdefault("429", _answer("Too many requests, or too many open streams", _RETRY))
            operation["responses"] = dict(sorted(answers.items()))


def _answer(words: str, headers: _Json | None = None) -> _Json:
    return {"description": words, **({"headers": headers} if headers else {}), "content": _PROBLEM}


def describe(app: FastAPI, authenticator: Authenticator) -> None:
    """Let OpenAPI say what FastAPI cannot: other media types than JSON's, and nulls in an example."""
    made = app.openapi
    described_for = authenticator.rules.anonymous

    # Any: an OpenAPI document is plain JSON.
    def openapi() -> dict[str, Any]:
        nonlocal described_for
        if described_for != authenticator.rules.anonymous:  # the configuration was read again
            app.openapi_schema, described_for = None, authenticator.rules.anonymous
        if app.openapi_schema is None:
            document = made()
            _add_access(document, authenticator.rules.anonymous)
            answers = [
                answer
                for path in document["paths"].values()
                for operation in path.values()
                for answer in operation["responses"].values()
            ]
            for answer in answers:
                content = answer.get("content", {})
                model = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
                if model in _OTHER_MEDIA_TYPES:
                    content[_OTHER_MEDIA_TYPES[model]] = content.pop("application/json")
            for name, example in EXAMPLES.items():
                document["components"]["schemas"][name]["examples"] = [example]
            document["components"]["schemas"][Level.__name__]["title"] = "Freshness"
            app.openapi_schema = for_generators(document)
        return app.openapi_schema

    # FastAPI's documented way to extend the description.
    app.openapi = openapi  # type: ignore[method-assign]
