"""Rows 8 to 10: answers over HTTP, beside a program of a few lines that sends the same bytes.

Three servers as processes of their own, all on the service's own HTTP server and settings: the service, whose store is
filled by hand; the raw ASGI program, which learns its answers from the service, headers included; a plain FastAPI
route. The client keeps eight connections open and sends one request at a time on each. What counts is the CPU time that
a server takes for a request, since the client's would hide it.

The figures of the table are of a state that does not change between requests. For lists and counts there is a second
figure each: something changes before every request, so that nothing that is remembered of the last answer holds; the
change itself is not in the time. For single contacts the first figure asks for a hundred of them again and again, the
second for each once, after everybody has changed.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.rows.http_load import Answer, Connection, connections, cost, get
from benchmarks.rows.measure import Figure, Scale, Target, Way, differences, ratio, share, spreads, take_turns
from benchmarks.rows.processes import Child

PRODUCT: Final = "service"
LIMIT: Final = "raw ASGI"
PLAIN: Final = "plain FastAPI"
_PAGE: Final = 1000
_HOT: Final = 100
"""Contacts that are asked for again and again."""
_BEFORE: Final = 0.0193
"""What the answer 200 of the list had of the raw program's speed before answers were kept, by this command."""


class Server:
    """A server. Connections are opened when they are needed: it closes those that are idle for some seconds."""

    def __init__(self, child: Child) -> None:
        self.child = child

    def ask(self, request: bytes) -> Answer:
        """One request."""
        with connections(self.child.port, 1) as (connection,):
            return connection.ask(request)

    def ask_all(self, requests: Sequence[bytes]) -> list[Answer]:
        """Several."""
        with connections(self.child.port, 1) as (connection,):
            return [connection.ask(request) for request in requests]

    def cost(self, requests: Sequence[bytes], status: bytes = b"200") -> float:
        """CPU time of one of them."""
        with connections(self.child.port) as opened:
            for connection in opened:  # the server has taken them all in before the time begins
                connection.ask(requests[0])
            return cost(self.child, opened, requests, status)


@contextlib.contextmanager
def server(name: str, **settings: object) -> Iterator[Server]:
    """A program of `benchmarks.rows.programs`."""
    with Child(name, **settings) as child:
        yield Server(child)


def teach(limit: Server, answers: Mapping[str, Answer]) -> None:
    """Let a plain program learn answers by method and target."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "answers.json"
        file.write_text(json.dumps({target: answer.learnt() for target, answer in answers.items()}), "utf-8")
        limit.child.ask("learn", file=str(file))


def _authorized(product: Server, *, key: bool) -> dict[str, str]:
    return {"Authorization": f"Bearer {product.child.said['key']}"} if key else {}


def _same(name: str, product: Server, other: Server, requests: Sequence[bytes]) -> tuple[str, ...]:
    """Where the answers differ, headers included."""
    return tuple(
        problem for request in requests for problem in differences(name, product.ask(request), other.ask(request))
    )


def contact(scale: Scale) -> list[Figure]:
    """Row 8."""
    return [*_contact(scale, key=False, target=80.0), *_contact(scale, key=True, target=65.0)]


def _contact(scale: Scale, *, key: bool, target: float) -> list[Figure]:
    with (
        server("service", contacts=scale.contacts, key=key) as product,
        server("plain_http", app="raw") as raw,
        server("plain_http", app="fastapi") as plain,
    ):
        headers = _authorized(product, key=key)
        names = [f"p{number:06d}@example.com" for number in range(scale.contacts)]
        targets = [f"/v1/presence/{name}" for name in names]
        requests = [get(each, headers) for each in targets]

        def answers() -> dict[str, Answer]:
            return {f"GET {each}": answer for each, answer in zip(targets, product.ask_all(requests), strict=True)}

        for each in (raw, plain):
            teach(each, answers())
        sample = requests[:: max(1, len(requests) // 50)]
        wrong = _same("raw ASGI", product, raw, sample)
        for request in sample:
            one, other = (json.loads(each.ask(request).body) for each in (product, plain))
            wrong += differences("plain FastAPI", one, other)
        times = scale.times(1000)
        hot = [requests[number % _HOT] for number in range(times)]

        def every(number: int) -> list[bytes]:
            """Others in each round, as long as there are any; each of them once in it."""
            start = (number + 1) * times % len(requests)
            return (requests * 2)[start : start + times]

        costs = take_turns(
            scale.rounds,
            {
                PRODUCT: lambda _number: product.cost(hot),
                LIMIT: lambda _number: raw.cost(hot),
                PLAIN: lambda _number: plain.cost(hot),
            },
        )

        def first_time(number: int) -> float:
            product.child.ask("change", times=len(names))  # what is remembered of anybody is wrong from now on
            return product.cost(every(number))

        cold = take_turns(scale.rounds, {PRODUCT: first_time, LIMIT: lambda number: raw.cost(every(number))})
        teach(raw, answers())
        wrong += _same("raw ASGI, later", product, raw, sample)
    name = f"one contact, {'with' if key else 'without'} a key"
    return [
        Figure(8, name, share(costs, PRODUCT, LIMIT), "%", Target(target, at_least=True), spreads(costs), wrong=wrong),
        Figure(8, f"{name}, each once", share(cold, PRODUCT, LIMIT), "%", None, spreads(cold), wrong=wrong),
    ]


def _walk(product: Server, limit: int) -> list[str]:
    """The targets of all pages of the list."""
    targets = [f"/v1/presence?limit={limit}"]
    while True:
        link = dict(product.ask(get(targets[-1])).headers).get("link", "")
        if not link:
            return targets
        targets.append(link.partition("<")[2].partition(">")[0])


def lists(scale: Scale) -> list[Figure]:
    """Row 9."""
    page = _PAGE if not scale.quick else scale.contacts // 5
    with server("service", contacts=scale.contacts) as product, server("plain_http", app="raw") as raw:
        walk = _walk(product, page)
        assert len(walk) == scale.contacts // page
        parts = {
            f"list of {page}": (walk[:1], 75.0),
            f"walking {scale.contacts} in pages of {page}": (walk, 75.0),
            f"summary of {scale.contacts}": (["/v1/summary"], 60.0),
        }
        return [
            figure
            for name, (targets, target) in parts.items()
            for figure in _listed(scale, product, raw, name, targets, target)
        ]


def _listed(
    scale: Scale, product: Server, raw: Server, name: str, targets: Sequence[str], target: float
) -> list[Figure]:
    requests = [get(each) for each in targets]
    many = requests * (scale.times(50) // len(requests) + 1)

    def learn() -> tuple[str, ...]:
        teach(raw, {f"GET {each}": product.ask(get(each)) for each in targets})
        return _same(name, product, raw, requests)

    def changing(asked: Server) -> Way:
        def measured(opened: list[Connection]) -> float:
            taken = 0.0
            times = scale.times(20)
            for number in range(times):
                product.child.ask("change", times=1)
                taken += cost(asked.child, opened, [requests[number % len(requests)]])
            return taken / times

        def way(_number: int) -> float:
            with connections(asked.child.port, 1) as opened:
                opened[0].ask(get("/livez" if asked is product else targets[0]))
                return measured(opened)

        return way

    wrong = learn()
    costs = take_turns(scale.rounds, {PRODUCT: lambda _n: product.cost(many), LIMIT: lambda _n: raw.cost(many)})
    wrong += _same(f"{name}, later", product, raw, requests)
    cold = take_turns(scale.rounds, {PRODUCT: changing(product), LIMIT: changing(raw)})
    wrong += learn()
    value = share(costs, PRODUCT, LIMIT)
    return [
        Figure(9, name, value, "%", Target(target, at_least=True), spreads(costs), wrong=wrong),
        Figure(9, f"{name}, after a change", share(cold, PRODUCT, LIMIT), "%", None, spreads(cold), wrong=wrong),
    ]


def not_modified(scale: Scale) -> list[Figure]:
    """Row 10: how many times faster 304 is than 200, and than 200 was before answers were kept."""
    page = _PAGE if not scale.quick else scale.contacts // 5
    with server("service", contacts=scale.contacts) as product, server("plain_http", app="raw") as raw:
        target = f"/v1/presence?limit={page}"
        full = product.ask(get(target))
        unchanged = get(target, {"If-None-Match": full.header("etag")})
        short = product.ask(unchanged)
        wrong = differences("304", (short.status, short.body, short.header("etag")), (304, b"", full.header("etag")))
        teach(raw, {f"GET {target}": full})
        wrong += _same("raw ASGI", product, raw, [get(target)])
        plenty, many = [unchanged] * scale.times(200), [get(target)] * scale.times(50)
        costs = take_turns(
            scale.rounds,
            {
                "304": lambda _number: product.cost(plenty, b"304"),
                LIMIT: lambda _number: raw.cost(many),
                "200": lambda _number: product.cost(many),
            },
        )
        product.child.ask("change", times=1)
        later = product.ask(unchanged)
        wrong += differences("after a change", (later.status, len(later.body) > 0), (200, True))
    before = ratio(costs, LIMIT, "304").times(1 / _BEFORE)
    note = f"it had {100 * _BEFORE:.1f} % of the raw speed"
    return [
        Figure(
            10,
            "304 beside 200",
            ratio(costs, "200", "304"),
            "x",
            Target(3.0, at_least=True),
            spreads(costs),
            wrong=wrong,
        ),
        Figure(
            10,
            "304 beside 200 as it was",
            before,
            "x",
            Target(8.0, at_least=True),
            spreads(costs),
            wrong=wrong,
            note=note,
        ),
    ]
