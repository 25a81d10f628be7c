"""What makes two moments of a history the same: all that can make a difference to what follows.

Times count from now. Numbers of requests and session keys are replaced by their places in the order of all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pws_soap.lifecycle import Key, Resource, State
from pws_soap.lifecycle.table import UNDER_WAY
from tests.lifecycle.small_server import Request, Server

_LONG_AGO: Final = -3600.0
"""Seconds; no rule looks farther back."""


def normal(
    state: State,
    now: float,
    servers: tuple[tuple[str, Server], ...],
    requests: tuple[Request, ...],
    keys: tuple[tuple[Key, int], ...],
    late: tuple[Request, ...],
    late_fetches: frozenset[tuple[str, int, int]],
) -> tuple[object, ...]:
    """All that can make a difference: times relative to now, numbers of requests and session keys by their order."""
    numbers = _ranks(
        [each.seq for each in state.resources.values() if each.phase in UNDER_WAY]
        + [each.generation for each in state.resources.values()]
        + [each.seq for each in state.leftovers]
        + [each.command.seq for each in requests]
    )
    known = [key for _, server in servers for key in (server.application, server.user)]
    known += [number for each in requests for number in (each.key, each.session)]
    sessions = _ranks([*known, *(key for _, key in keys)])
    return (
        tuple(_resource(state.resources[key], now, numbers) for key in sorted(state.resources)),
        tuple(
            (
                each.node,
                each.kind,
                each.id,
                _ago(each.expires_at, now),
                _ago(each.due, now),
                numbers[each.seq],
                each.failures,
            )
            for each in state.leftovers
        ),
        (state.suspected, state.unknown, state.clean, state.left, state.stopping),
        _ago(state.suspects_until, now) if state.suspected or state.unknown else None,
        tuple((user.slots, user.node) for user in state.users.values()),
        tuple(
            (sessions[server.application], sessions[server.user], server.endpoints, server.subscriptions)
            for _, server in servers
        ),
        tuple(_request(each, now, numbers, sessions) for each in requests),
        tuple((key, sessions[each]) for key, each in keys),
        tuple(sorted((str(each), each.command.endpoint or 0) for each in late)),
        frozenset((node, number) for node, _, number in late_fetches),
    )


def _resource(each: Resource, now: float, numbers: dict[int, int]) -> tuple[object, ...]:
    error = (each.error.kind, each.error.code, each.error.may_have_acted) if each.error is not None else None
    times = (each.expires_at, each.outlasts, each.made_at, each.due, each.alter_due, each.reclaimed_at)
    return (
        (
            each.key,
            each.phase,
            each.id,
            each.losses,
            each.failures,
            error,
            each.contacts,
            each.unsure,
        ),
        (numbers[each.seq] if each.phase in UNDER_WAY else 0, numbers[each.generation]),
        tuple(None if at is None else _ago(at, now) for at in times),
    )


def _request(each: Request, now: float, numbers: dict[int, int], sessions: dict[int, int]) -> tuple[object, ...]:
    reply = None if each.reply is None else (each.answer, getattr(each.reply, "id", None), sessions[each.session])
    return (str(each), numbers[each.command.seq], sessions[each.key], _ago(each.asked_at, now), each.known, reply)


def _ago(at: float, now: float) -> float:
    return round(max(at - now, _LONG_AGO), 3)


def _ranks(numbers: Iterable[int]) -> dict[int, int]:
    """Each number's place in the order of all; 0, which means none, stays 0."""
    return {number: place for place, number in enumerate(sorted({0, *numbers}))}
