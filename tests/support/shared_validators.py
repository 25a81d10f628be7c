"""Validators that all programs of a test process share.

FastAPI makes one for every parameter and every answer of every route, each time a program is put together: a third of a
test of a route went there. A validator depends on nothing but the type and what is declared beside it.
"""

from __future__ import annotations

from typing import Any

from fastapi._compat import v2
from pydantic import TypeAdapter

_made: dict[tuple[Any, ...], tuple[Any, TypeAdapter[Any]]] = {}
"""By the type and what is declared beside it, which are kept: a function there is told apart by its address."""


def _shared(annotated: Any, **rest: Any) -> TypeAdapter[Any]:
    if any(getattr(each, "default_factory", None) for each in annotated.__metadata__):
        return TypeAdapter(annotated, **rest)  # shown without its address
    key = annotated.__origin__, repr(annotated.__metadata__), repr(rest)
    if key not in _made:
        _made[key] = annotated, TypeAdapter(annotated, **rest)
    return _made[key][1]


def share() -> None:
    """From now on; with a FastAPI that is built in another way everything is only slower."""
    if hasattr(v2, "TypeAdapter"):
        v2.TypeAdapter = _shared
