"""The query parameters of presence, checked, and what a key may see of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from pws_soap.models import PresenceState
from service.access.errors import NotAllowed
from service.access.principal import Principal
from service.api.parameters.checks import not_expected
from service.api.writers.fields import BRIEF, FIELDS, chosen
from service.core.presence.cursors import MAX_CURSOR
from service.core.presence.freshness import Level
from service.core.presence.query import Filter
from service.core.presence.sorting import Sort, SortBy

MAX_LIMIT: Final = 1000
DEFAULT_LIMIT: Final = 100
_MOST: Final = 100
"""Values of one kind: more would only make the `Link` to the next page longer than proxies take."""
_SORTS: Final = [sign + by for by in SortBy for sign in ("", "-")]
_BRIEF_SORTS: Final = frozenset({SortBy.CONTACT, SortBy.DISPLAY_NAME, SortBy.AVAILABLE})


def _one_of(names: Sequence[str]) -> str:
    return f"one of {', '.join(names)}"


def _field(text: str) -> str:
    if text not in FIELDS:
        raise not_expected(_one_of(tuple(FIELDS)))
    return text


def _sort(text: str) -> str:
    if text not in _SORTS:
        raise not_expected(f"{_one_of(list(SortBy))}, with - before it for the other way round")
    return text


def _split(values: object) -> object:
    """`a,b` is `a` and `b`."""
    if not isinstance(values, list):
        return values
    return [part.strip() for value in values for part in str(value).split(",")]


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _text(longest: int) -> WithJsonSchema:
    """Text in a query, which cannot be null: that one may leave it out is said elsewhere."""
    return WithJsonSchema({"type": "string", "minLength": 1, "maxLength": longest})


MaxAge = Annotated[
    float | None,
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 86400}),
    Field(
        ge=0,
        le=86400,
        allow_inf_nan=False,
        description="seconds; what was confirmed longer ago is read from the server first, and is stale in this answer "
        "where that is not possible; Cache-Status says what happened. Such an answer does not wait for a change",
    ),
]
Fields = Annotated[
    list[Annotated[str, AfterValidator(_field), WithJsonSchema({"type": "string", "enum": list(FIELDS)})],],
    BeforeValidator(_split),
    Field(
        max_length=_MOST,
        description="only these keys of a contact, and `contact`; separated by commas, or given several times",
        examples=[["state", "available"]],
    ),
]


class ContactQuery(BaseModel):
    """How old the answer may be, and how much it tells."""

    model_config = ConfigDict(extra="forbid")

    max_age: MaxAge = None
    explain: bool = Field(default=False, description="tell why it is so, and all that the document says")
    fields: Fields = []

    def shown(self, who: Principal) -> tuple[str, ...] | None:
        """The fields to show; None for all of them. Raises NotAllowed."""
        if self.explain and not who.details:
            raise _hidden("explain")
        return _shown(self.fields, who)


class FilterQuery(BaseModel):
    """Which contacts. A parameter that is given several times means any of its values."""

    model_config = ConfigDict(extra="forbid")

    state: list[Annotated[PresenceState, BeforeValidator(_upper)]] = Field(
        default=[], max_length=_MOST, description="the last known state, in any case", examples=[["AVAILABLE"]]
    )
    activity: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(
        default=[],
        max_length=_MOST,
        description="an activity, such as on-the-phone or meeting",
        examples=[["on-the-phone"]],
    )
    group: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default=[], max_length=_MOST, description="a group of the configuration"
    )
    freshness: list[Annotated[Level, BeforeValidator(_lower)]] = Field(
        default=[], max_length=_MOST, description="how sure the state is, in any case", examples=[["live"]]
    )
    available: Annotated[bool | None, WithJsonSchema({"type": "boolean"})] = Field(
        default=None, description="free or not; with one group by its rule, else by the rules of each contact's groups"
    )
    q: Annotated[str | None, _text(200)] = Field(
        default=None, min_length=1, max_length=200, description="a part of the contact's URI or display name"
    )

    def filter(self, who: Principal) -> Filter:
        """The same as the query module takes it. Raises NotAllowed."""
        if not who.details:
            for name in ("state", "activity"):
                if getattr(self, name):
                    raise _hidden(name)
        return Filter(
            frozenset(self.state),
            frozenset(activity.casefold() for activity in self.activity),
            frozenset(self.group),
            frozenset(self.freshness),
            (self.q or "").casefold(),
            self.available,
            who.groups,
        )


class ListQuery(FilterQuery):
    """Which contacts, in which order, and how many. A parameter that is given several times means any of its values."""

    sort: Annotated[str, AfterValidator(_sort), WithJsonSchema({"type": "string", "enum": _SORTS})] = Field(
        default=SortBy.CONTACT.value,
        description="what to order by, with - before it for the other way round. state: AVAILABLE, BUSY, DND, AWAY, "
        "VACATION, UNAVAILABLE, UNKNOWN; available: those who are, first; changed_at: the oldest first",
        examples=["-changed_at"],
    )
    fields: Fields = []
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="contacts on a page")
    cursor: Annotated[str | None, _text(MAX_CURSOR)] = Field(
        default=None,
        min_length=1,
        max_length=MAX_CURSOR,
        description="next_cursor of the page before, with the same filters, sort and key",
    )
    max_age: MaxAge = None

    def order(self, who: Principal) -> Sort:
        """How to sort. Raises NotAllowed."""
        sort = Sort.parse(self.sort)
        if not who.details and sort.by not in _BRIEF_SORTS:
            raise _hidden(f"sort by {sort.by}")
        return sort

    def shown(self, who: Principal) -> tuple[str, ...] | None:
        """The fields to show; None for all of them. Raises NotAllowed."""
        return _shown(self.fields, who)


def _shown(fields: Sequence[str], who: Principal) -> tuple[str, ...] | None:
    names = frozenset(fields)
    if who.details:
        return chosen(names) if names else None
    for name in fields:
        if name not in BRIEF:
            raise _hidden(name)
    return chosen(names, BRIEF) if names else BRIEF


def _hidden(what: str) -> NotAllowed:
    return NotAllowed(f"This key sees who is available, and no more; it has no {what}")
