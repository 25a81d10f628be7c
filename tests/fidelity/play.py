"""Plays steps at two sides and holds together what they answer and whom they notify."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

from lxml import etree

from tests.fidelity.differences import DIFFERENCES, Difference, difference
from tests.fidelity.forms import FORMS
from tests.fidelity.sides import Side
from tests.fidelity.steps import WRONG_ID, Call, Exchange, Id, Key, Names, Pass, Step
from tests.fidelity.told import Told, canonical
from tests.support.asgi import call
from tests.support.soap_by_hand import PATH, PWS

NOTICED: Final = 3.0
"""Seconds after which a side has told what a step means: the façade is notified of a change, and fetches it."""
_UNKNOWN_KEY: Final = "0123456789abcdef0123456789abcdef"
_IDS: Final = {"registerEndPoint": "endPointID", "subscribe": "subscriptionID"}
_PASSED_OVER: Final = frozenset({"content-length", "date", "server"})
"""Headers that say nothing of the answer."""


@dataclass
class Player:
    """One side, and what it has given so far: the keys and ids by which the steps speak of them."""

    side: Side
    keys: dict[str, list[str]] = field(default_factory=lambda: {"application": [], "user": []})
    ids: dict[str, list[str]] = field(default_factory=lambda: {"endPointID": [], "subscriptionID": []})
    _noticed: int = 0

    @property
    def names(self) -> Names:
        return Names(self._key, lambda wanted: self._id("endPointID", wanted),
                     lambda wanted: self._id("subscriptionID", wanted))  # fmt: skip

    def _key(self, wanted: Key) -> str | None:
        if wanted.kind == "none":
            return None
        given = self.keys.get(wanted.kind, [])
        return given[wanted.number % len(given)] if given else _UNKNOWN_KEY

    def _id(self, of: str, wanted: Id) -> str:
        given = self.ids[of]
        return str(WRONG_ID) if wanted.number is None or not given else given[wanted.number % len(given)]

    async def ask(self, step: Call | Exchange) -> Told:
        """The answer, with keys and ids by their place."""
        if isinstance(step, Exchange):
            reply = await call(self.side.app, step.method, step.target, headers=dict(step.headers), body=step.body)
        else:
            names = self.names
            xml = step.write(names)
            body, headers = FORMS[step.form](xml, names.key(step.by), step.soap)
            reply = await call(self.side.app, "POST", PATH, headers=headers, body=body)
        more = set(reply.headers) - _PASSED_OVER - {"content-type", "connection"}
        assert not more, f"headers that nobody expected: {more}"
        close = reply.headers.get("connection", "").lower() == "close"
        content = canonical(reply.body, lambda root: self._by_place(step, root))
        return Told(reply.status, reply.headers.get("content-type", ""), close, content)

    def notified(self) -> Counter[tuple[str, str]]:
        """Since the last call of this: to which endpoint, for which subscription by its place."""
        new = self.side.notified[self._noticed :]
        self._noticed = len(self.side.notified)
        return Counter(map(self._notification, new))

    def _notification(self, url: str) -> tuple[str, str]:
        query = parse_qs(urlsplit(url).query, strict_parsing=True)
        (number,) = query.pop("id")
        assert query.pop("eventType") == ["PRESENCE_NOTIFICATION"], url
        given = self.ids["subscriptionID"]
        place = len(given) - 1 - given[::-1].index(number) if number in given else "given by this step"
        return f"{url.partition('?')[0]} {query}", f"subscription {place}"

    async def undo(self, step: Call) -> None:
        """Have it forget the last endpoint that it has given."""
        undone = await self.ask(step)
        assert undone.code is None, undone
        self.ids["endPointID"].pop()

    def _by_place(self, step: Call | Exchange, root: etree._Element) -> None:
        """Say keys and ids by their place. What a call gives is remembered."""
        if isinstance(step, Exchange):
            return
        for key in root.iter(f"{{{PWS}}}session-key"):
            key.text = self._place_of_key(step, key.text or "")
        for name in self.ids:
            for number in root.iter(f"{{{PWS}}}{name}"):
                number.text = self._place_of_id(step, name, number.text or "")

    def _place_of_key(self, step: Call, key: str) -> str:
        kind = step.grants
        if kind is None:
            return "a key that nobody asked for"
        given = self.keys[kind]
        if key not in given:
            given.append(key)
        return f"{kind} {given.index(key)}"

    def _place_of_id(self, step: Call, name: str, number: str) -> str:
        if _IDS.get(step.operation) != name:
            return "an id that nobody asked for"
        wanted = _number(step.write(self.names), name)
        if wanted != "0":
            return "the one that was asked for" if number == wanted else f"another: {number} instead of {wanted}"
        self.ids[name].append(number)
        return f"new, {len(self.ids[name]) - 1}"


def _number(xml: str, name: str) -> str:
    """What a request says in the first element of that name, as a number without signs and zeros."""
    found = etree.fromstring(xml).find(f"{{{PWS}}}{name}")
    text = "" if found is None else (found.text or "").strip()
    return str(int(text)) if text.lstrip("+-").isdigit() else text


class Different(AssertionError):
    """The sides do not agree; the message is the history."""


async def play(
    steps: Sequence[Step], server: Side, facade: Side, *, table: tuple[Difference, ...] = DIFFERENCES
) -> Mapping[str, int]:
    """Play steps at both; how often each kind of answer came, and each difference. Raises `Different`."""
    seen: Counter[str] = Counter()
    left, right = Player(server), Player(facade)
    history: list[str] = []
    for step in steps:
        if isinstance(step, Call | Exchange):
            first, second = await left.ask(step), await right.ask(step)
            row, wanted = difference(step, first, table) or (None, first)
            history.append(f"{step} -> {first.status} {first.body[-300:]}")
            if second != wanted:
                _fail(history, f"server:  {first}", "" if row is None else f"wanted:  {wanted}", f"façade:  {second}")
            if row is not None and row.undo is not None and first.code is None:
                assert isinstance(step, Call)
                await left.undo(row.undo(step))
            seen[_kind(step, first) if row is None else row.about] += 1
        else:
            history.append(str(step))
            if isinstance(step, Pass):
                await asyncio.sleep(step.seconds)
            else:
                server.do(step)
                facade.do(step)
        await asyncio.sleep(NOTICED)
        await server.settled()
        await facade.settled()
        one, other = left.notified(), right.notified()
        if one != other:
            _fail(history, f"server notified {dict(one)}", f"façade notified {dict(other)}")
        seen["notifications"] += one.total()
    return seen


def _fail(history: list[str], *words: str) -> None:
    raise Different("\n".join([*history, *(each for each in words if each)]))


def _kind(step: Call | Exchange, told: Told) -> str:
    """What a reply is about, for the count: the operation, or the code of the fault."""
    if isinstance(step, Exchange):
        return f"{step.method} {told.status}"
    return f"{step.operation} {told.code or 'done'}"
