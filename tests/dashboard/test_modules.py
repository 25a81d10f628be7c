"""The page's modules by themselves, in the browser they are written for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dashboard.conftest import Opener
from tests.dashboard.serving import served, small_office

pytestmark = pytest.mark.asyncio(loop_scope="session")

STREAM = (
    'retry: 2500\r\n\r\n: alive\n\nevent: change\nid: 7\ndata: {"a":1}\n\n'
    "data: one\ndata:two\n\nevent: empty\n\nid: 8\ndata\n\n"
)


@pytest.mark.long(ci=True)
async def test_the_parser_reads_the_same_however_the_bytes_come(opened: Opener) -> None:
    """Whole, cut at every place, and letter by letter."""
    async with served(small_office()) as it:
        page = (await opened(it.url)).page
        # Any: events as the parser hands them out.
        readings: list[list[Any]] = await page.evaluate(
            """async (text) => {
              const { Parser } = await import("/dashboard/sse.js");
              const read = (pieces) => {
                const found = [];
                const parser = new Parser((event) => found.push([event.event, event.id, event.data]));
                for (const piece of pieces) parser.feed(piece);
                return [...found, parser.retry];
              };
              const all = [read([text]), read([...text])];
              for (let at = 1; at < text.length; at += 1) all.push(read([text.slice(0, at), text.slice(at)]));
              return all;
            }""",
            STREAM,
        )
    expected = [["change", "7", '{"a":1}'], ["message", "7", "one\ntwo"], ["message", "8", ""], 2500]
    assert len(readings) == len(STREAM) + 1
    assert all(each == expected for each in readings)


@pytest.mark.long(ci=True)
async def test_names_on_tiles_are_as_short_as_tells_them_apart(opened: Opener) -> None:
    people = {
        "ann@x": "Ann Grelland",
        "ann2@x": "Ann Gustafsson",
        "ann3@x": "Ann Birk",
        "joe.smith@x": None,
        "rita@x": "Castellane, Rita (Support)",
        "one@x": "Tomas Kestrel",
        "two@x": "Tomas Kestrel",
        "cher@x": "  Cher ",
    }
    async with served(small_office()) as it:
        page = (await opened(it.url)).page
        short = await page.evaluate(
            """async (people) => {
              const { shortNames } = await import("/dashboard/words.js");
              const contacts = Object.entries(people).map(([contact, display_name]) => ({contact, display_name}));
              return Object.fromEntries(shortNames(contacts));
            }""",
            people,
        )
    assert short == {
        "ann@x": "Ann Gr",
        "ann2@x": "Ann Gu",
        "ann3@x": "Ann B",
        "joe.smith@x": "joe.smith",
        "rita@x": "Rita C",
        "one@x": "Tomas K",
        "two@x": "Tomas K",
        "cher@x": "Cher",
    }


@pytest.mark.long(ci=True)
async def test_ages_and_times_to_expiry_in_few_characters(opened: Opener) -> None:
    async with served(small_office()) as it:
        page = (await opened(it.url)).page
        ages, rests = await page.evaluate(
            """async () => {
              const { age, remaining } = await import("/dashboard/words.js");
              return [[-1, 59.9, 60, 3599, 3660, 90000].map(age), [-1, 59, 61, 3600, 86399].map(remaining)];
            }"""
        )
    assert ages == ["0 s", "59 s", "1 min", "59 min", "1 h 01", "1 d"]
    assert rests == ["0:00", "0:59", "1:01", "1:00:00", "23:59:59"]
