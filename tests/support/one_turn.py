"""What a reader says in one turn of the event loop: the plain way, which answers in several turns must be equal to."""

from __future__ import annotations

from service.core.presence.filters import Filter
from service.core.presence.paging import Page
from service.core.presence.query import Reader, Summary
from service.core.presence.sorting import BY_CONTACT, Sort
from service.core.presence.steps import at_once


def page(
    reader: Reader,
    wanted: Filter,
    limit: int,
    cursor: str | None = None,
    *,
    sort: Sort = BY_CONTACT,
    key_name: str = "",
    client: str = "",
) -> Page:
    """As `Reader.page`."""
    steps = reader._pager.page(reader._look(), wanted, limit, cursor, sort=sort, key_name=key_name, client=client)
    return at_once(steps)


def summary(reader: Reader, within: frozenset[str] | None = None) -> Summary:
    """As `Reader.summary`."""
    return at_once(reader._summary(reader._look(), within))
