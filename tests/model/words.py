"""The words of the stories."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tests.model.values import EMPTY, STRANGER, Answer, Client, Kind, Late, Request

_NAMES: Final = ("ann", "bob", "cleo")
_ASKS: Final = {
    Kind.LOGIN: "log in",
    Kind.LOGOUT: "log out",
    Kind.SUBSCRIBE: "subscribe {contacts}",
    Kind.ADD: "add {contacts} to subscription {id}",
    Kind.DROP: "drop {contacts} from subscription {id}",
    Kind.REMOVE: "remove subscription {id}",
    Kind.FETCH: "fetch subscription {id}",
    Kind.POLL: "poll {contacts}",
}


def name(number: int) -> str:
    """A contact's name."""
    return "somebody" if number == STRANGER else _NAMES[number]


def people(entries: Iterable[tuple[int, int]]) -> str:
    """The entries of a reply."""
    return ", ".join(f"{name(number)}={'' if state == EMPTY else state}" for number, state in entries) or "nothing"


def asked(client: Client, request: Request) -> str:
    """What a pending request of a client asks for; two fetches are told apart."""
    return f"{ask(request)} (of before)" if request is client.older_fetch else ask(request)


def ask(request: Request | Late) -> str:
    """What a request asks for."""
    contacts = " and ".join(name(number) for number in range(len(_NAMES)) if request.contacts >> number & 1)
    return _ASKS[request.kind].format(contacts=contacts, id=request.id)


def said(client: Client, request: Request) -> str:
    """A reply and the request that it is for."""
    reply = request.reply
    assert reply is not None
    if reply.answer is Answer.DONE and request.kind in {Kind.FETCH, Kind.POLL}:
        what = people(reply.entries)
    elif reply.id:
        what = f"subscription {reply.id}"
    else:
        what = {
            Answer.DONE: "ok",
            Answer.NO_SESSION: "101, no such session",
            Answer.NO_SUBSCRIPTION: "133, no such subscription",
            Answer.REFUSED: "refused",
        }[reply.answer]
    return f"the reply to {asked(client, request)!r}: {what}"
