"""The rules of the store: what a fetch or a poll does to the records, and what puts them in doubt."""

from __future__ import annotations

from tests.model.rules import Rules
from tests.model.values import EMPTY, NEVER, STRANGER, Client, Record, Request


def carried(client: Client, rules: Rules) -> int:
    """The contacts that are certainly in the subscription."""
    return client.has & ~client.unsure if rules.altered_are_not_carried else client.has


def doubt(client: Client, contacts: int) -> Client:
    """Put contacts in doubt until a reading that begins later."""
    if not contacts:
        return client
    records = tuple(
        record._replace(doubt=True) if contacts >> number & 1 else record
        for number, record in enumerate(client.records)
    )
    fetch, poll = client.fetch, client.poll
    if fetch is not None:
        fetch = fetch._replace(stale=fetch.stale | contacts)
    if poll is not None:
        poll = poll._replace(stale=poll.stale | contacts)
    return client._replace(records=records, fetch=fetch, poll=poll)


def take(client: Client, reading: Request, rules: Rules) -> tuple[Client, bool]:
    """Store the entries of a reply. Also returns whether the reply may confirm the contacts that it does not name.

    Contacts that no subscription carries stay in doubt: nobody reports their next change.
    """
    assert reading.reply is not None
    entries = reading.reply.entries
    known = [entry for entry in entries if entry[0] != STRANGER]
    said = dict(known)
    unclear = 0
    if rules.named_once:
        for number, state in known:
            if state == EMPTY or said[number] != state:
                unclear |= 1 << number
    named = 0
    for number, state in said.items():
        bit = 1 << number
        if not unclear & bit and client.want & bit:
            client = _take_one(client, reading, number, state, rules)
            named |= bit
    client = doubt(client, (unclear & client.want) | (named & ~carried(client, rules)))
    return client, len(known) == len(entries) or not rules.attributed_wholly


def _take_one(client: Client, reading: Request, number: int, state: int, rules: Rules) -> Client:
    bit = 1 << number
    shown, as_of, doubted = client.records[number]
    never = shown == NEVER
    newer = never or not (rules.readings_may_disagree and reading.older & bit)
    same = shown == state
    agreed = same or never or not (rules.readings_may_disagree and reading.overtaken & bit)
    other = client.poll if client.fetch is None else client.fetch
    if other is not None:
        older = other.older | bit if newer and not other.second else other.older
        other = other._replace(overtaken=other.overtaken | bit, older=older)
        client = client._replace(poll=other) if client.fetch is None else client._replace(fetch=other)
    if not agreed:
        client = doubt(client, bit)
        doubted = True
    elif not reading.stale & bit:
        doubted = False
    if newer:
        shown, as_of = state, max(as_of, reading.began[number])
    records = (*client.records[:number], Record(shown, as_of, doubted), *client.records[number + 1 :])
    return client._replace(records=records)


def confirm(client: Client, reading: Request) -> Client:
    """Contacts that the fetch did not name had not changed when it began."""
    records = tuple(
        record if record.shown == NEVER else record._replace(as_of=max(record.as_of, began))
        for record, began in zip(client.records, reading.began, strict=True)
    )
    return client._replace(records=records)


def wrong(client: Client) -> list[int]:
    """The contacts that break the promise."""
    if client.doubted:
        return []
    return [
        number
        for number, (shown, as_of, doubted) in enumerate(client.records)
        if not doubted and shown != NEVER and shown < as_of
    ]
