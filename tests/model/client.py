"""The client: its next request, and its reaction to a reply or a failure, according to the rules.

It may fetch at any time. Notifications only say when to fetch, so the model has none: whatever they do is covered.
"""

from __future__ import annotations

from tests.model.reading import confirm, doubt, take
from tests.model.rules import AfterUnknown, AtStart, OlderFetch, Rules
from tests.model.values import Answer, Client, Key, Kind, Record, Reply, Request, World


def first(contacts: int) -> Client:
    """The first process. Its state file proves that nothing is left over."""
    return Client(records=(Record(),) * contacts, want=(1 << contacts) - 1)


def successor(before: Client, rules: Rules) -> Client:
    """The process that follows a killed one, with the content of the state file."""
    after = first(len(before.records))._replace(want=before.want)
    if rules.at_start is AtStart.RESET:
        return after._replace(reset=True)
    if rules.at_start is AtStart.FORGET:
        return after
    control = before.control.kind if before.control else None
    ids = (*before.left, *((before.sub,) if before.sub else ()))
    if before.reset or control is Kind.SUBSCRIBE:
        return after._replace(reset=True)
    if not ids:
        return after._replace(reset=before.key is not Key.NONE or control is Kind.LOGIN)
    if rules.at_start is AtStart.ADOPT and before.sub:
        return after._replace(adopt=(before.sub, before.has), left=before.left)
    return after._replace(left=ids)


# Requests


def next_control(client: Client, rules: Rules) -> Request | None:
    """The next request on the way to a subscription with the wanted contacts; one at a time."""
    if client.control is not None:
        return None
    if client.key is Key.NONE:
        return Request(Kind.LOGIN)
    if client.reset:
        return Request(Kind.LOGOUT)
    if client.left:
        return Request(Kind.REMOVE, client.left[0])
    if not client.sub:
        if client.older_fetch is not None and rules.older_fetch is OlderFetch.WAIT_TO_SUBSCRIBE:
            return None
        return Request(Kind.SUBSCRIBE, contacts=client.want)
    if drop := (client.has | client.unsure) & ~client.want:
        return Request(Kind.DROP, client.sub, drop)
    if add := client.want & ~(client.has & ~client.unsure):
        return Request(Kind.ADD, client.sub, add)
    return None


def begins(world: World, kind: Kind, contacts: int = 0) -> Request:
    """A fetch or poll that begins now."""
    client = world.client
    other = client.poll if kind is Kind.FETCH else client.fetch
    return Request(kind, client.sub, contacts, began=world.truth, second=other is not None)


def send(client: Client, request: Request) -> Client:
    """Send a request."""
    if request.kind is Kind.FETCH:
        poll = client.poll._replace(second=False) if client.poll is not None else None
        return client._replace(fetch=request, poll=poll)
    if request.kind is Kind.POLL:
        fetch = client.fetch._replace(second=False) if client.fetch is not None else None
        return client._replace(poll=request, fetch=fetch)
    altered = request.contacts if request.kind in {Kind.ADD, Kind.DROP} else 0
    return client._replace(control=request, unsure=client.unsure | altered)


# Replies and failures


def read(client: Client, request: Request, rules: Rules) -> Client:
    """Process the reply to a request."""
    assert request.reply is not None
    client = ended(client, request)
    if request.reply.answer is Answer.NO_SESSION:
        return session_lost(client, rules)
    if request.kind is Kind.FETCH:
        return _one_reading(_fetched(client, request, rules))
    if request.kind is Kind.POLL:
        return _one_reading(take(client, request, rules)[0])
    return _controlled(client, request, request.reply, rules)


def unknown(client: Client, request: Request, rules: Rules, *, page: bool) -> Client:
    """A request ended with an unknown outcome. `page`: with a gateway's page or fault."""
    overtook = request is client.older_fetch
    client = ended(client, request)
    blind = page and not rules.fault_is_unknown
    if request.kind is Kind.FETCH:
        if overtook:
            return _one_reading(_older_unknown(client, request, rules))
        if blind:
            return _one_reading(client._replace(doubted=True))
        return _one_reading(_fetch_unknown(client, rules))
    if request.kind is Kind.POLL:
        return _one_reading(client)
    if blind or request.kind in {Kind.LOGIN, Kind.LOGOUT}:
        return client
    if rules.reset_after_unknown_change or request.kind is Kind.SUBSCRIBE:
        return line_lost(client)._replace(reset=True)
    return client


def overtaken(client: Client, request: Request) -> Client:
    """The fetch of an older subscription ended: it may have consumed changes of the one with the same id."""
    assert request.reply is not None
    client = ended(client, request)
    refused = request.reply.answer is not Answer.DONE
    return client if refused or client.sub != request.id else doubt(client, client.has)


def session_lost(client: Client, rules: Rules) -> Client:
    """The session key is not valid: pending requests with it are void."""
    client = line_lost(client)._replace(key=Key.NONE, reset=False, left=(), control=None, older_fetch=None)
    poll = client.poll
    if poll is None or poll.reply is None or (poll.reply.answer is not Answer.DONE and rules.tell_keys_apart):
        return _one_reading(client._replace(poll=None))
    return client


def line_lost(client: Client) -> Client:
    """The subscription can no longer be used."""
    older = (
        client.older_fetch if client.fetch is None else client.fetch._replace(began=(), older=0, overtaken=0, stale=0)
    )
    older = older._replace(second=False) if older is not None else None
    client = client._replace(sub=0, has=0, unsure=0, fetched=False, doubted=True, shaky=False)
    return _one_reading(client._replace(fetch=None, older_fetch=older))


def ended(client: Client, request: Request) -> Client:
    """A request is no longer pending."""
    if request is client.control:
        return client._replace(control=None)
    if request is client.fetch:
        return client._replace(fetch=None)
    if request is client.older_fetch:
        return client._replace(older_fetch=None)
    return client._replace(poll=None)


def _one_reading(client: Client) -> Client:
    """Normalise: a single pending reading is not second."""
    fetch, poll = client.fetch, client.poll
    if fetch is not None and poll is None and fetch.second:
        return client._replace(fetch=fetch._replace(second=False))
    if poll is not None and fetch is None and poll.second:
        return client._replace(poll=poll._replace(second=False))
    return client


def _fetched(client: Client, request: Request, rules: Rules) -> Client:
    assert request.reply is not None
    if request.reply.answer is Answer.NO_SUBSCRIPTION:
        return line_lost(client)
    if request.reply.answer is Answer.REFUSED:
        return client._replace(doubted=True)
    client, whole = take(client, request, rules)
    if not whole:
        client = doubt(client, client.has)
    elif not client.shaky:
        client = confirm(client, request)
    return client._replace(doubted=False, fetched=True)


def _fetch_unknown(client: Client, rules: Rules) -> Client:
    client = doubt(client, client.want)._replace(doubted=True)
    if rules.after_unknown_fetch is AfterUnknown.WINDOW:
        return client._replace(shaky=True)
    if rules.after_unknown_fetch is AfterUnknown.RESUBSCRIBE:
        return line_lost(client._replace(left=(*client.left, client.sub)))
    return line_lost(client)._replace(reset=True)


def _older_unknown(client: Client, request: Request, rules: Rules) -> Client:
    if rules.after_unknown_fetch is AfterUnknown.RESET:
        return line_lost(client)._replace(reset=True)
    if client.sub == request.id:
        return doubt(client, client.has)._replace(shaky=True)
    return client


def _controlled(client: Client, request: Request, reply: Reply, rules: Rules) -> Client:
    kind = request.kind
    if reply.answer is Answer.REFUSED:
        return client
    if kind is Kind.LOGIN:
        client = client._replace(key=Key.VALID)
        if client.adopt is not None and not client.reset:
            sub, has = client.adopt
            return _opened(client._replace(adopt=None), sub, has, rules)
        return client
    if kind is Kind.LOGOUT:
        return session_lost(client, rules)
    if kind is Kind.SUBSCRIBE:
        return client if client.reset else _opened(client, reply.id, request.contacts, rules)
    if kind is Kind.REMOVE:
        return client._replace(left=tuple(number for number in client.left if number != request.id))
    if reply.answer is Answer.NO_SUBSCRIPTION:
        return line_lost(client) if request.id == client.sub else client
    if request.id != client.sub:
        return client
    asked = request.contacts
    has = client.has | asked if kind is Kind.ADD else client.has & ~asked
    client = doubt(client, has ^ client.has)
    return client._replace(has=has, unsure=client.unsure & ~asked)


def _opened(client: Client, sub: int, has: int, rules: Rules) -> Client:
    """A subscription is there. Nothing is live before its first fetch."""
    older = client.older_fetch
    client = doubt(client, (1 << len(client.records)) - 1) if rules.begin_anew else client
    shaky = older is not None and older.id == sub and rules.older_fetch is OlderFetch.CONFIRM_NOTHING
    return client._replace(sub=sub, has=has, unsure=0, fetched=False, doubted=True, shaky=shaky)
