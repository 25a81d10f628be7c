"""Hundreds of SOAP programs before a façade: what they cost server and service, and how late they hear of changes.

    python benchmarks/facade.py [--programs 500] [--each 200] [--contacts 5000] [--rate 50] [--seconds 60]
                                [--json]

`pws simulate`'s server, `pws serve` and the programs are processes of their own. The same changes are made twice: to a
service without a façade, and to one with as many programs as asked for, each with a subscription of its own, that
fetch whenever they are notified. Beside them a client follows the service's stream of events in both runs.

Exit code 1 when a program was not told of a change, when the presence server was asked for more with the façade than
without it, or when a program met a fault. Times decide nothing: they are ratios to the same run's own measures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

if __package__ in {None, ""}:  # run as a file: the checkout is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.rows.http_load import get
from benchmarks.rows.processes import Child
from benchmarks.rows.serving import Whole, whole
from tests.support.ports import free_port

PATIENCE: Final = 60.0
"""Seconds within which the last program has heard of the last change."""
MORE: Final = 1.05
"""How many times the requests of the run without a façade there may be in the other: fetches follow notifications, and
how many changes one of them brings is a matter of chance."""
_STATES: Final = ("BUSY", "AWAY", "DND", "UNAVAILABLE")
_USER: Final = "programs"
_PASSWORD: Final = "many"  # noqa: S105  of this run alone
_FACADE: Final = """
[facade]
listen_port = {port}
address = "http://127.0.0.1:{port}"
requests_per_second = 0
[facade.users.{user}]
password = "{password}"
end_users = ["*"]
"""
_BUCKET: Final = re.compile(r'pws_event_loop_lag_seconds_bucket\{le="([^"]+)"\} ([0-9.e+]+)')


@dataclass(frozen=True)
class Load:
    """What is done: so many programs, contacts of each and in all, changes a second, seconds."""

    programs: int
    each: int
    contacts: int
    rate: int
    seconds: float


@dataclass(frozen=True)
class Times:
    """Milliseconds from a change until it was heard of."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Times:
        """Of many."""
        if len(seconds) < 2:
            return cls(0.0, 0.0)
        cuts = statistics.quantiles(seconds, n=100, method="inclusive")
        return cls(round(cuts[49] * 1000, 2), round(cuts[98] * 1000, 2))


@dataclass(frozen=True)
class Found:
    """One run. `lag` is the 99th percentile of how late the event loop was, as the upper end of its bucket."""

    changes: int
    upstream: Mapping[str, int]
    stream: Times
    programs: Times
    lag_ms: float
    longest_hold_ms: float
    collection_ms: float
    """The longest collection of garbage, which is part of some turn."""
    cpu: float
    notifications: int
    fetches: int
    untold: int
    faults: Mapping[str, int]


def run(load: Load, *, facade: bool) -> Found:
    """One run."""
    port = free_port()
    more = _FACADE.format(port=port, user=_USER, password=_PASSWORD) if facade else ""
    with whole(load.contacts, more=more) as service, contextlib.ExitStack() as stack:
        service.until(service.is_live)
        programs = stack.enter_context(
            Child(
                "soap_programs",
                port=port,
                user=_USER,
                password=_PASSWORD,
                service=service.port,
                names=load.contacts,
                programs=load.programs if facade else 0,
                each=load.each,
            )
        )
        begun = programs.ask("begin")
        assert all(told == load.each for told in begun["contacts"]), begun["contacts"]
        time.sleep(2.0)  # what the beginning has left to do is done
        programs.ask("told")
        return _measured(load, service, programs, begun["of"])


def _measured(load: Load, service: Whole, programs: Child, of: Mapping[str, int]) -> Found:
    """Make the changes, and see what becomes of them. `of`: how many programs each contact has."""
    upstream, lag, cpu = Counter(service.simulator.ask("requests")), _lag(service), service.child.cpu()
    service.child.ask("watch")
    began = time.monotonic()
    changed: dict[str, float] = {}
    for number in range(min(int(load.rate * load.seconds), load.contacts)):
        time.sleep(max(0.0, began + number / load.rate - time.monotonic()))
        name = service.names[(number * 7919) % load.contacts]  # a prime: one after the other from everywhere
        changed[name] = service.change({name: _STATES[number % len(_STATES)]})
    took = time.monotonic() - began
    cpu = (service.child.cpu() - cpu) / took
    fetched: dict[str, list[float]] = {}
    streamed: dict[str, float] = {}
    told: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    until = time.monotonic() + PATIENCE
    while True:
        news = programs.ask("told")
        for name, moments in news["fetched"].items():
            fetched.setdefault(name, []).extend(moments)
        streamed.update(news["streamed"])
        told.update(notifications=news["notifications"], fetches=news["fetches"])
        faults.update(news["faults"])
        untold = sum(max(0, of.get(name, 0) - len(fetched.get(name, ()))) for name in changed)
        if (not untold and changed.keys() <= streamed.keys()) or time.monotonic() > until:
            break
        time.sleep(0.2)
    longest, collection = service.child.ask("longest")
    return Found(
        len(changed),
        Counter(service.simulator.ask("requests")) - upstream,
        Times.of([streamed[name] - at for name, at in changed.items() if name in streamed]),
        Times.of([max(fetched[name]) - at for name, at in changed.items() if name in fetched]),
        _lag_of(_lag(service) - lag),
        round(longest * 1000, 1),
        round(collection * 1000, 1),
        round(cpu, 3),
        told["notifications"],
        told["fetches"],
        untold,
        dict(faults),
    )


def _lag(service: Whole) -> Counter[float]:
    """How often the event loop was at most so late, in seconds."""
    text = service.ask(get("/metrics")).body.decode()
    return Counter({float(bound): int(float(count)) for bound, count in _BUCKET.findall(text)})


def _lag_of(lag: Counter[float]) -> float:
    """The bound of the bucket with the 99th percentile, in milliseconds."""
    most = max(lag.values(), default=0)
    return min((bound for bound, count in lag.items() if count >= 0.99 * most), default=0.0) * 1000


def summary(load: Load, alone: Found, facade: Found) -> dict[str, Any]:  # Any: JSON
    """The figures as plain values."""

    def one(found: Found) -> dict[str, Any]:
        values = dict(vars(found))
        return values | {
            "upstream": dict(found.upstream),
            "stream": vars(found.stream),
            "programs": vars(found.programs),
        }

    return {
        "load": vars(load),
        "without": one(alone),
        "with": one(facade),
        "last_program_p99_to_stream_p99": _ratio(facade.programs.p99, facade.stream.p99),
        "stream_p99_with_to_without": _ratio(facade.stream.p99, alone.stream.p99),
        "longest_hold_with_to_without": _ratio(facade.longest_hold_ms, alone.longest_hold_ms),
    }


def _ratio(one: float, other: float) -> float | None:
    return round(one / other, 2) if other else None


def verdict(found: Mapping[str, Any]) -> list[str]:  # Any: JSON
    """Why the run failed; nothing when it did not."""
    why = []
    if found["with"]["untold"]:
        why.append(f"programs were not told of {found['with']['untold']} changes")
    if found["with"]["faults"]:
        why.append(f"programs met faults: {found['with']['faults']}")
    before = found["without"]["upstream"]
    for operation, count in found["with"]["upstream"].items():
        # A fetch for each change is right too: how many changes one fetch brings depends on how busy the machine was.
        fetches = found["with"]["changes"] if operation == "getSubscribedPresence" else 0
        if count > max(MORE * before.get(operation, 0) + 2, fetches):
            why.append(f"{count} {operation} at the presence server instead of {before.get(operation, 0)}")
    return why


def show(found: Mapping[str, Any]) -> None:  # Any: JSON
    """The figures for people."""
    load, alone, facade = found["load"], found["without"], found["with"]
    print(f"{load['programs']} programs with {load['each']} of {load['contacts']} contacts each, "
          f"{load['rate']} changes a second, {alone['changes']} in all")  # fmt: skip
    print(f"{'':44} {'without':>12} {'with':>12}")
    for operation in sorted({*alone["upstream"], *facade["upstream"]}):
        one, other = alone["upstream"].get(operation, 0), facade["upstream"].get(operation, 0)
        print(f"{'at the presence server: ' + operation:44} {one:12} {other:12}")
    rows = {
        "change to a stream's event, p50, ms": ("stream", "p50"),
        "change to a stream's event, p99, ms": ("stream", "p99"),
        "change to the last program's fetch, p50, ms": ("programs", "p50"),
        "change to the last program's fetch, p99, ms": ("programs", "p99"),
    }
    for name, (part, key) in rows.items():
        one = alone[part][key] if part == "stream" else "-"
        print(f"{name:44} {one:>12} {facade[part][key]:>12}")
    for name, key in {
        "event loop late, p99, at most, ms": "lag_ms",
        "longest hold of the event loop (CPU), ms": "longest_hold_ms",
        "longest collection of garbage in it, ms": "collection_ms",
        "CPU of the service, cores": "cpu",
        "notifications to programs": "notifications",
        "fetches of programs": "fetches",
        "changes that a program was not told": "untold",
    }.items():
        print(f"{name:44} {alone[key]:>12} {facade[key]:>12}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="SOAP programs before a façade; see benchmarks/README.md")
    parser.add_argument("--programs", type=int, default=500, help="how many (default 500)")
    parser.add_argument("--each", type=int, default=200, help="contacts of each (default 200)")
    parser.add_argument("--contacts", type=int, default=5000, help="that are watched (default 5000)")
    parser.add_argument("--rate", type=int, default=50, help="changes a second (default 50)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of changes, each of another contact (default 60)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    load = Load(asked.programs, asked.each, asked.contacts, asked.rate, asked.seconds)
    found = summary(load, run(load, facade=False), run(load, facade=True))
    why = verdict(found)
    if asked.json:
        print(json.dumps({**found, "failed": why}, indent=1))
    else:
        show(found)
        print("FAILED: " + ", ".join(why) if why else "all is well")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
