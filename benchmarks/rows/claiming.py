"""Row 14: a claim and its release over HTTP, beside a program of a few lines that answers the same.

Eight clients, each with a connection of its own, claim somebody of a group of 200 and release the claim, again and
again. The raw program reads the bodies and sends an answer of the service. CPU time of the server for one claim and its
release. In every round all claims must be of different people while they last, and in the end nobody is held.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.rows.answering import LIMIT, PRODUCT, Server, server, teach
from benchmarks.rows.http_load import CONNECTIONS, Answer, connections, get, read, with_body
from benchmarks.rows.measure import Figure, Scale, Target, differences, share, spreads, take_turns

_GROUP: Final = 200
_CLAIM: Final = with_body("POST", "/v1/claims", b'{"group":"support","count":1,"lease_seconds":60}')


def _pairs(asked: Server, times: int, release: Callable[[Answer], bytes]) -> tuple[float, list[list[Answer]]]:
    """The CPU time of one pair, and the claims that were held at the same time."""
    held: list[list[Answer]] = []
    began = 0.0
    with connections(asked.child.port) as opened:
        for number in range(-1, times):  # at first the server takes in all connections
            if not number:
                began = asked.child.cpu()
            for connection in opened:
                connection.send(_CLAIM)
            claims = [read(*connection.receive()) for connection in opened]
            for connection, claim in zip(opened, claims, strict=True):
                connection.send(release(claim))
            for connection in opened:
                head, body = connection.receive()
                assert (head[9:12], body) == (b"204", b""), head
            held.append(claims)
        return (asked.child.cpu() - began) / times / len(opened), held


def _release(claim: Answer) -> bytes:
    return with_body("DELETE", claim.header("location"))


def _wrong(held: Sequence[Sequence[Answer]]) -> tuple[str, ...]:
    """Claims that were refused, or of the same people at the same time."""
    found: tuple[str, ...] = ()
    for claims in held:
        people = [each["contact"] for claim in claims for each in json.loads(claim.body)["contacts"]]
        found += differences("status", {claim.status for claim in claims}, {201})
        found += differences("people", len(set(people)), CONNECTIONS)
    return found


def claims(scale: Scale) -> list[Figure]:
    """Row 14."""
    times = scale.times(50)
    wrong: list[str] = []
    with (
        server("service", contacts=scale.contacts, group=_GROUP) as product,
        server("plain_http", app="raw") as raw,
    ):
        claim = product.ask(_CLAIM)
        gone = product.ask(_release(claim))
        teach(raw, {"POST *": claim, "DELETE *": gone})
        wrong += differences("claim", raw.ask(_CLAIM), claim)
        wrong += differences("release", raw.ask(_release(claim)), gone)

        def with_product(_number: int) -> float:
            taken, held = _pairs(product, times, _release)
            wrong.extend(_wrong(held))
            return taken

        costs = take_turns(
            scale.rounds, {PRODUCT: with_product, LIMIT: lambda _number: _pairs(raw, times, _release)[0]}
        )
        left = json.loads(product.ask(get("/v1/claims")).body)["claims"]
        wrong += differences("held in the end", left, [])
    part = f"claim and release, group of {_GROUP}, {CONNECTIONS} clients"
    value = share(costs, PRODUCT, LIMIT)
    return [Figure(14, part, value, "%", Target(20.0, at_least=True), spreads(costs), wrong=tuple(wrong))]
