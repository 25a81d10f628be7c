"""Checks that routes have in common: of contacts, and of queries that a model cannot check."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import Path, Request
from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from pws_soap.models import MAX_CONTACT_LENGTH, is_contact, same_contact
from service.api.problems import InvalidParameters, WrongParameter

_CONTACT_CHARS: Final = r"[!$%()*+\-.0-9=A-Z\[\]^_`a-z{|}~]+"
ContactPath = Annotated[
    str,
    Path(
        description="user@domain, in any case",
        examples=["ann@example.com"],
        # Only in the description, which names ASCII alone: `contact_uri` decides, and has the better words.
        json_schema_extra={"pattern": f"^{_CONTACT_CHARS}@{_CONTACT_CHARS}$", "maxLength": MAX_CONTACT_LENGTH},
    ),
]
"""A contact in a path, to be read with `path_contact`."""


async def no_query(request: Request) -> None:
    """A dependency of routes without query parameters: a misspelt one must not be taken for one that works."""
    names = dict.fromkeys(request.query_params.keys())
    if names:
        raise InvalidParameters(*(WrongParameter("query", name, "no parameter of this name") for name in names))


def check_query(request: Request, *single: str) -> None:
    """What a model of parameters cannot see: text that is no UTF-8, and two values of a parameter that has one.

    Either would quietly mean something else than was asked. `single` are the parameters with one value.
    """
    wrong: list[WrongParameter] = []
    raw: bytes = request.scope["query_string"]
    if b"%" in raw:
        try:
            parse_qsl(raw.decode("latin-1"), errors="strict")
        except UnicodeDecodeError:
            wrong.append(WrongParameter("query", "query", "text in UTF-8, percent-encoded"))
    given = request.query_params
    if len(given.multi_items()) > len(given):
        wrong += [WrongParameter("query", name, "one value") for name in single if len(given.getlist(name)) > 1]
    if wrong:
        raise InvalidParameters(*wrong)


def path_contact(text: str) -> str:
    """The contact that a path names, as `contact_uri`. Raises InvalidParameters."""
    try:
        return contact_uri(text)
    except PydanticCustomError as error:
        raise InvalidParameters(WrongParameter("path", "contact", error.message())) from None


def not_expected(expected: str) -> PydanticCustomError:
    """What a validator raises; the answer says what was expected instead."""
    return PydanticCustomError("not_expected", "{expected}", {"expected": expected})


def contact_uri(text: str) -> str:
    """A contact as a caller writes it, `sip:` included, in the form to look up. Raises PydanticCustomError."""
    contact = same_contact(text)
    if len(contact) > MAX_CONTACT_LENGTH:
        raise not_expected(f"a contact URI of at most {MAX_CONTACT_LENGTH} characters")
    if not is_contact(contact):
        raise not_expected("a contact URI, user@domain")
    return contact


ContactText = Annotated[
    str,
    AfterValidator(contact_uri),
    WithJsonSchema(
        {"type": "string", "pattern": f"^{_CONTACT_CHARS}@{_CONTACT_CHARS}$", "maxLength": MAX_CONTACT_LENGTH}
    ),
]
"""A contact in a body or a query; the description names ASCII alone, see `ContactPath`."""
