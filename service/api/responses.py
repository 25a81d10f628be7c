"""What OpenAPI says of the responses that several routes have in common."""

from __future__ import annotations

from typing import Any, Final

from service.api.problems import ProblemView

# Any: OpenAPI fragments, as FastAPI takes them.
Responses = dict[int | str, dict[str, Any]]

INVALID: Final[Responses] = {422: {"model": ProblemView, "description": "The request is not as expected"}}
NOT_WATCHED: Final[Responses] = {404: {"model": ProblemView, "description": "The contact is not watched"}}
NOT_ACCEPTABLE: Final[Responses] = {406: {"model": ProblemView, "description": "There is no such form of the answer"}}
EXPIRED: Final[Responses] = {410: {"model": ProblemView, "description": "The cursor's order is kept no longer"}}
NOT_AVAILABLE: Final[Responses] = {
    503: {
        "model": ProblemView,
        "description": "The presence server cannot be asked now",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds, where that is known"}},
    }
}
TOO_LARGE: Final[Responses] = {413: {"model": ProblemView, "description": "The body is too large"}}


def documented(view: Any, description: str) -> Responses:
    """What OpenAPI says of an answer with an entity tag. `view` is a model, or a union of models."""
    headers = {
        "ETag": {"schema": {"type": "string"}, "description": "of exactly this answer"},
        "Preference-Applied": {"schema": {"type": "string"}, "description": "wait=N, where somebody asked to wait"},
        "Vary": {"schema": {"type": "string"}, "description": "the headers of the request that the answer depends on"},
    }
    return {
        200: {"model": view, "description": description, "headers": headers},
        304: {"description": "Nothing changed since the answer with that entity tag", "headers": headers},
    }
