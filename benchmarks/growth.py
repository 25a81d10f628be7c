"""How the cost of things grows, from 1 to 100,000 contacts and from 1 to 1000 streams, and what one core carries.

    python benchmarks/growth.py [--contacts 100000] [--streams 1000] [--svg FILE] [--json]

The service over HTTP in a process of its own, with a store that is filled by hand (`benchmarks.rows.programs.service`).
Costs are milliseconds of its CPU time; those of answers are of the first one after a change, so that nothing is
remembered of the last answer but what a change leaves alone. `--svg` draws the curves. The table of what one core
carries says how many of each a second there can be where there is nothing else to do; a machine is sized by adding up.

Exit code 1 when an answer is not of as many contacts, or a client of a stream gets nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

if __package__ in {None, ""}:  # run as a file: the checkout is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.rows.answering import Server, server
from benchmarks.rows.http_load import connections, cost, get
from benchmarks.rows.processes import Child
from benchmarks.rows.streaming import Streams
from benchmarks.rows.svg import Panel, picture

_TIMES: Final = 15
_PAGE: Final = 1000
_STREAM_CONTACTS: Final = 20


@dataclass(frozen=True, slots=True)
class OfContacts:
    """Costs with so many contacts, in milliseconds; memory in megabytes."""

    contacts: int
    one: float
    page: float
    summary: float
    unchanged: float
    change: float
    memory: float


@dataclass(frozen=True, slots=True)
class OfStreams:
    """Costs of a change that goes to so many streams: milliseconds of CPU time, and kilobytes of memory a stream."""

    streams: int
    change: float
    memory: float


def of_contacts(count: int) -> OfContacts:
    """Measure with so many contacts."""
    with server("service", contacts=count) as service:
        name = f"p{count - 1:06d}@example.com"
        page, one, summary = get(f"/v1/presence?limit={_PAGE}"), get(f"/v1/presence/{name}"), get("/v1/summary")
        found = json.loads(service.ask(page).body)["contacts"], json.loads(service.ask(summary).body)["total"]
        if (len(found[0]), found[1]) != (min(count, _PAGE), count):
            raise AssertionError(f"{count} contacts: {len(found[0])} on a page, {found[1]} in all")
        return OfContacts(
            contacts=count,
            one=median(lambda: after_change(service, one)),
            page=median(lambda: after_change(service, page)),
            summary=median(lambda: after_change(service, summary)),
            unchanged=service.cost([page] * _TIMES) * 1000,
            change=median(lambda: changes(service)),
            memory=service.child.ask("memory") / 1e6,
        )


def median(measure: Callable[[], float]) -> float:
    """Of several measures."""
    return sorted(measure() for _ in range(_TIMES))[_TIMES // 2]


def changes(service: Server) -> float:
    """The CPU time of a change, as an event that is kept and told, in milliseconds."""
    before = service.child.cpu()
    service.child.ask("change", times=1)
    return (service.child.cpu() - before) * 1000


def after_change(service: Server, request: bytes) -> float:
    """The CPU time of the first answer after a change, in milliseconds."""
    service.child.ask("change", times=1)
    with connections(service.child.port, 1) as opened:
        opened[0].ask(get("/livez"))  # the server has taken the connection in
        return cost(service.child, opened, [request]) * 1000


def of_streams(count: int) -> OfStreams:
    """Measure with so many streams."""
    with Child("service", contacts=_STREAM_CONTACTS) as child:
        streams = Streams(child, count)
        try:
            cpu = sorted(streams.change()[1] for _ in range(_TIMES))[_TIMES // 2]
        finally:
            streams.listeners.close()
        return OfStreams(count, cpu * 1000, max(streams.memory, 0.0) / 1000)


def steps(most: int) -> list[int]:
    """1, 10, 100, ... up to `most`."""
    found = [1]
    while found[-1] * 10 < most:
        found.append(found[-1] * 10)
    return [*found, most] if most > 1 else found


def carried(contacts: Sequence[OfContacts], streams: Sequence[OfStreams]) -> list[tuple[str, str]]:
    """What one core and one gigabyte carry, at the largest size that was measured."""
    large, many, least = contacts[-1], streams[-1], contacts[0]
    each = (large.memory - least.memory) / max(1, large.contacts - least.contacts)
    return [
        ("contacts in a gigabyte", f"{1000 / each:,.0f}" if each > 0 else "-"),
        ("queries of one contact a second", f"{1000 / large.one:,.0f}"),
        (f"pages of {_PAGE} a second, nothing changing", f"{1000 / large.unchanged:,.0f}"),
        (f"pages of {_PAGE} a second, each after a change", f"{1000 / large.page:,.0f}"),
        ("summaries a second, each after a change", f"{1000 / large.summary:,.1f}"),
        ("changes a second, without streams", f"{1000 / large.change:,.0f}"),
        (f"changes a second, told to {many.streams:,} streams", f"{1000 / many.change:,.1f}"),
        ("events a second, over all streams", f"{1000 * many.streams / many.change:,.0f}"),
        ("streams in a gigabyte", f"{1e6 / many.memory:,.0f}" if many.memory > 0 else "-"),
    ]


def drawn(contacts: Sequence[OfContacts], streams: Sequence[OfStreams]) -> str:
    """The curves as SVG."""
    names = {
        "one contact": "one",
        "a page of up to 1000": "page",
        "the same page again": "unchanged",
        "the summary": "summary",
        "one change": "change",
    }
    curves = {
        name: [(float(each.contacts), max(float(getattr(each, field)), 0.001)) for each in contacts]
        for name, field in names.items()
    }
    told = {"one change, told to all": [(float(each.streams), max(each.change, 0.001)) for each in streams]}
    cost = "milliseconds of CPU time"
    return picture([Panel(f"{cost}, by contacts", "contacts", curves), Panel(f"{cost}, by streams", "streams", told)])


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table for a page, which a terminal shows well enough."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [heads, ["---"] * len(heads), *lines])


def printed(contacts: Sequence[OfContacts], streams: Sequence[OfStreams]) -> str:
    """All tables."""
    heads = ("contacts", "one", "a page", "the page again", "the summary", "one change", "memory, MB")
    lines = [
        (
            f"{each.contacts:,}",
            *(f"{value:.3f}" for value in (each.one, each.page, each.unchanged, each.summary, each.change)),
            f"{each.memory:.0f}",
        )
        for each in contacts
    ]
    told = [(f"{each.streams:,}", f"{each.change:.3f}", f"{each.memory:.1f}") for each in streams]
    return "\n\n".join(
        (
            table(heads, lines),
            table(("streams", "one change", "memory of a stream, KB"), told),
            table(("one process, with nothing else to do", "carries"), carried(contacts, streams)),
        )
    )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Growth; see benchmarks/README.md")
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--svg", type=Path, help="draw the curves into this file")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    contacts = [of_contacts(count) for count in steps(asked.contacts)]
    streams = [of_streams(count) for count in steps(asked.streams)]
    if asked.svg is not None:
        asked.svg.write_text(drawn(contacts, streams), "utf-8")
    if asked.json:
        print(
            json.dumps({"contacts": [asdict(each) for each in contacts], "streams": [asdict(each) for each in streams]})
        )
    else:
        print(printed(contacts, streams))
    return 0


if __name__ == "__main__":
    sys.exit(main())
