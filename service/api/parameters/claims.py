"""What clients may send about claims: bodies and headers, checked before anything is decided."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final

from fastapi import Header, Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.api.parameters.checks import not_expected
from service.api.prefer import MAX_WAIT

MAX_COUNT: Final = 100
MAX_PURPOSE: Final = 200
_NOT_SHOWN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Kinds of characters that would break a line, a terminal or an encoding."""


def _one_line(text: str) -> str:
    if any(unicodedata.category(char) in _NOT_SHOWN for char in text):
        raise not_expected("text of one line, without control characters")
    return text


_Seconds = Annotated[
    float,
    Field(strict=True, ge=1, le=86400, allow_inf_nan=False, description="at most claims.max_lease", examples=[120]),
]


class ClaimBody(BaseModel):
    """Whom to claim, and for how long."""

    model_config = ConfigDict(extra="forbid", title="ClaimRequest")

    group: str = Field(min_length=1, max_length=200, description="a group of the configuration", examples=["support"])
    count: int = Field(default=1, strict=True, ge=1, le=MAX_COUNT, description="so many people, or none")
    lease_seconds: _Seconds | None = Field(default=None, description="claims.default_lease by default")
    purpose: Annotated[str, AfterValidator(_one_line)] = Field(
        default="", alias="for", max_length=MAX_PURPOSE, description="what for, for people", examples=["ticket 4711"]
    )


class RenewBody(BaseModel):
    """For how long from now."""

    model_config = ConfigDict(extra="forbid", title="RenewRequest")

    lease_seconds: _Seconds | None = Field(default=None, description="claims.default_lease by default")


IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x20-\x7e]+$",
        description="a name for this request: sent again with it, it gets the same answer and claims nobody else",
        examples=["ticket-4711-1"],
    ),
]
Prefer = Annotated[
    str | None, Header(description=f"wait=N: wait up to N seconds for somebody to be free, {MAX_WAIT} at most")
]
ClaimId = Annotated[str, Path(max_length=200, description="the id of a claim", examples=["c5f0a8d2b1e94673"])]
