"""The secrets of a configuration, wherever they stand: no log may show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from pydantic import BaseModel

from pws_soap.models import Secret


def secret_values(value: object) -> Iterator[Secret]:
    """All secrets in a configuration, or in a part of one."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secret_values(getattr(value, name))
    elif is_dataclass(value):
        for field in fields(value):
            yield from secret_values(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from secret_values(part)
    elif isinstance(value, list | tuple):
        for part in value:
            if not isinstance(part, str):  # contacts: a hundred thousand, perhaps, in one turn of the event loop
                yield from secret_values(part)
