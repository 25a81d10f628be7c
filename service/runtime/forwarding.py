"""Passes a request that another replica has to answer on to it, as it is: around the program of a replica.

Which requests these are says `forward_rules`. All else a replica answers by itself, and so what it would refuse: a
request without a valid key goes nowhere. A request goes on with its headers and its body, and its hang-up ends the one
to the other replica; the answer comes back as it was given. A signed header (`forward_seal`) names the client, for the
limits and the audit of the replica that answers, where alone the request is counted. It also says that the request was
passed on: it is never passed on a second time, so that none goes round in circles. And the answer is signed: what
something else says at a replica's address reaches no client.

Where nobody owns the sessions, or the owner falls silent meanwhile, the answer is 503 with `Retry-After`. A `GET` is
answered by the program here then: it tells what is known here, and that nothing could be read; of a cursor whose order
another replica kept, that the order is kept no longer (410).
"""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import Coroutine
from enum import StrEnum
from typing import Any, Final

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pws_soap.models import Secret
from service.access.authentication import Authenticator
from service.access.errors import RequestRefused
from service.api.app import REFUSAL, refusals
from service.api.disconnect import AnswerBrokenOff, wait_for_disconnect
from service.runtime.forward_failures import ForwardFailures
from service.runtime.forward_rules import READS, ForwardRules
from service.runtime.forward_seal import HEADER, Seal
from service.runtime.owners import HANDS_OVER, Owner, Owners, next_owner
from service.runtime.peer_requests import PeerRequest, Peers, PeerUnreachable

RETRY: Final = "3"
"""Seconds after which a client may try again: a lease is over by then, and another replica may own."""
GRACE: Final = 1.0
"""Seconds after `let_go` for which an answer of another replica is waited for."""
_AGAIN: Final = 0.1
"""Seconds before an owner is asked again that is about to begin, or to end."""
PATIENCE: Final = 5.0
"""Seconds that the replica of a cursor may take to begin its answer."""
_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"date",
        b"expect",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        HEADER,
    }
)
"""Headers of one connection, which the next one has of its own; and our own, which nobody else may set."""
_OWN_OF_REPLY: Final = _HOP_BY_HOP - {b"content-length"}


class ForwardOutcome(StrEnum):
    """What became of a request that another replica had to answer, or that was said to come from one."""

    ANSWERED = "answered"
    UNREACHABLE = "unreachable"
    """No answer came, or it broke off."""
    NOT_A_REPLICA = "not-a-replica"
    """Something answered that does not share our secret."""
    NO_OWNER = "no-owner"
    """Nobody was known to own the sessions."""
    CLIENT_GONE = "client-gone"
    FORGED = "forged"
    """It came here, and no replica had passed it on."""
    TOO_OLD = "too-old"
    """It came here, and was passed on long before, or to another owner."""


class Forwarding:
    """Wraps the program of a replica. `root_path` is the path that it is below, `max_body` as for the program.

    `outcomes` counts what became of those that another replica had to answer, and which of those that came here were
    refused, by `ForwardOutcome`; `failures` knows which replicas do not answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        owners: Owners,
        peers: Peers,
        secret: Secret,
        authenticator: Authenticator,
        *,
        root_path: str = "",
        max_body: int,
        outcomes: Counter[str] | None = None,
        failures: ForwardFailures | None = None,
    ) -> None:
        self._stopping = asyncio.Event()
        self.outcomes: Counter[str] = Counter() if outcomes is None else outcomes
        self.outcomes.update(dict.fromkeys(ForwardOutcome, 0))
        self._failures = ForwardFailures() if failures is None else failures
        self._app = app
        self._owners = owners
        self._peers = peers
        self._seal = Seal(secret)
        self._authenticator = authenticator
        self._refusals = refusals(authenticator, root_path)
        self._rules = ForwardRules(root_path)
        self._max_body = max_body

    def let_go(self) -> None:
        """The service is about to stop: what waits for another replica is refused soon."""
        self._stopping.set()

    async def _stopped(self) -> None:
        await self._stopping.wait()
        await asyncio.sleep(GRACE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, here or at another replica."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif any(name == HEADER for name, _ in scope["headers"]):
            await self._take(scope, receive, send)
        elif self._rules.is_for_owner(scope):
            await self._ask_owner(scope, receive, send)
        elif (
            (mark := self._rules.replica_of_order(scope)) is not None
            and (address := self._owners.address_of(mark)) is not None
            and self._is_let_in(scope)
        ):
            await self._ask_keeper(address, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_let_in(self, scope: Scope) -> bool:
        """Whether the program would let it in; if not, that is to say why. It is counted where it is answered."""
        hosts = sum(name == b"host" for name, _ in scope["headers"])
        if hosts > 1 or (not hosts and scope["http_version"] != "1.0"):
            return False
        return self._authenticator.would_let_in(HTTPConnection(scope), scope["method"])

    def _is_too_long(self, scope: Scope) -> bool:
        """Whether it says so, before its body is read: the program refuses it."""
        length = dict(scope["headers"]).get(b"content-length", b"")
        return length.isdigit() and int(length[:20]) > self._max_body

    # --- those that were passed on to us

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        values = [value for name, value in scope["headers"] if name == HEADER]
        said = self._seal.read(values[0], scope["method"], self._rules.target(scope)) if len(values) == 1 else None
        if said is None:
            self.outcomes[ForwardOutcome.FORGED] += 1
            await self._refuse(RequestRefused(_NOT_OURS, kind="not-allowed"), scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name != HEADER]
        scope = {**scope, "headers": headers, "client": None if said.client is None else (said.client, 0)}
        signed = _Signed(send, self._seal.answer(values[0]))
        is_order = self._rules.is_for_owner(scope) and not self._rules.is_read(scope)
        owner = await next_owner(self._owners, None) if is_order else self._owners.owner()
        if not self._rules.is_alive(scope) and not said.moment.is_near(self._owners.moment()):
            self.outcomes[ForwardOutcome.TOO_OLD] += 1
            await self._refuse(_no_owner(_TOO_OLD), scope, receive, signed.as_not_done())
        elif is_order and (owner is None or not owner.is_self or self._owners.is_leaving()):
            self.outcomes[ForwardOutcome.NO_OWNER] += 1
            await self._refuse(_no_owner(_NOBODY), scope, receive, signed.as_not_done())
        else:
            await self._app(scope, receive, signed)

    # --- those that we pass on

    async def _ask_owner(self, scope: Scope, receive: Receive, send: Send) -> None:
        owner = self._owners.owner()
        if (owner is not None and owner.is_self) or not self._is_let_in(scope) or self._is_too_long(scope):
            await self._app(scope, receive, send)
            return
        body, messages = await _body(receive, self._max_body)
        if body is None:  # it is too long, or the client has gone: the program knows what to say
            await self._app(scope, _again(messages, receive), send)
            return
        refused = await self._asked_until_done(scope, body, receive, send)
        if refused is None:
            return
        if refused is _OURS or self._rules.is_read(
            scope
        ):  # a read is told what is known here, and that nobody was asked
            await self._app(scope, _again(messages, receive), send)
        else:
            await self._refuse(refused, scope, receive, send)

    async def _asked_until_done(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> RequestRefused | None:
        """Have the owner answer, and the next one where it hands over before it has done anything; what to say where
        nobody has answered. `_OURS`: it is for this replica to answer."""
        until = asyncio.get_running_loop().time() + HANDS_OVER
        before: Owner | None = None
        while True:
            owner = await next_owner(self._owners, before)
            if owner is None:
                if before is None:
                    self.outcomes[ForwardOutcome.NO_OWNER] += 1
                    return _no_owner(_NOBODY)
                return _no_owner(_UNREACHED)
            if owner.is_self:
                return _OURS
            refused = await self._pass_on(owner.address, self._owners.gone(owner), scope, body, receive, _Begun(send))
            is_done = refused is None or refused.detail not in _NOT_DONE
            if is_done or scope["method"] in READS or asyncio.get_running_loop().time() > until:
                return refused
            before = owner if refused is not None and refused.detail == _UNREACHED else None
            await asyncio.sleep(_AGAIN)

    async def _ask_keeper(self, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        body, messages = await _body(receive, self._max_body)
        if body is not None:
            begun = _Begun(send)
            if await self._pass_on(address, begun.in_time(PATIENCE), scope, body, receive, begun) is None:
                return
        await self._app(scope, _again(messages, receive), send)

    async def _pass_on(
        self,
        address: str,
        gone: Coroutine[Any, Any, None],
        scope: Scope,
        body: bytes,
        receive: Receive,
        begun: _Begun,
    ) -> RequestRefused | None:
        """Have another replica answer, unless the client goes or `gone` comes to its end; what to say where it has not.

        AnswerBrokenOff: the other replica has gone in the middle of it.
        """
        tasks = (
            asyncio.create_task(self._answered(address, self._passed_on(scope, body), begun), name="forwarded"),
            asyncio.create_task(wait_for_disconnect(receive), name="forwarded: client"),
            asyncio.create_task(gone, name="forwarded: other replica"),
            asyncio.create_task(self._stopped(), name="forwarded: stop"),
        )
        answer, client_gone, _, stopped = tasks
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            is_answered, has_gone, is_stopping = answer.done(), client_gone.done(), stopped.done()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not is_answered and has_gone:
            self.outcomes[ForwardOutcome.CLIENT_GONE] += 1
            return None
        if not is_answered:
            self.outcomes[ForwardOutcome.UNREACHABLE] += 1
        unanswered = RequestRefused(_STOPPING, {"Retry-After": "1"}, kind="stopping") if is_stopping else None
        refused = answer.result() if is_answered else unanswered or _no_owner(_UNKNOWN)
        if refused is not None and begun:
            raise AnswerBrokenOff
        return refused

    def _passed_on(self, scope: Scope, body: bytes) -> PeerRequest:
        """The request as the other replica gets it."""
        client = str(scope["client"][0]).partition("%")[0] if scope.get("client") else None
        target = self._rules.target(scope)
        of_connection = _HOP_BY_HOP | {
            name.strip().lower()
            for header, value in scope["headers"]
            if header == b"connection"
            for name in value.split(b",")
        }
        headers = [(name, value) for name, value in scope["headers"] if name not in of_connection]
        if not any(name == b"host" for name, _ in headers):
            headers.append((b"host", b"localhost"))  # HTTP/1.0 has none, and goes on as 1.1, which has one
        seal = self._seal.request(scope["method"], target, client, self._owners.moment())
        return PeerRequest(scope["method"], target, [*headers, (HEADER, seal)], body)

    async def _answered(self, address: str, asked: PeerRequest, send: Send) -> RequestRefused | None:
        """Send the other replica's answer; what to say instead where there is none."""
        expected = self._seal.answer(asked.headers[-1][1])
        try:
            async with self._peers.ask(address, asked) as reply:
                signed = [value for name, value in reply.headers if name.lower() == HEADER]
                if len(signed) != 1 or not hmac.compare_digest(signed[0], expected):
                    self.outcomes[ForwardOutcome.NOT_A_REPLICA] += 1
                    problem = "no replica with our secret is there: its secret_file differs, or it is another program"
                    self._failures.fails(address, f"it answered {reply.status}, but {problem}")
                    return _no_owner(_UNKNOWN)  # a proxy may have said it
                self._failures.works(address)
                if any(name.lower() == _NOT_DONE_HEADER for name, _ in reply.headers):
                    return _no_owner(_NOBODY)
                headers = [(name.lower(), value) for name, value in reply.headers if name.lower() not in _OWN_OF_REPLY]
                await send({"type": "http.response.start", "status": reply.status, "headers": headers})
                async for part in reply.body:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except PeerUnreachable as error:
            self.outcomes[ForwardOutcome.UNREACHABLE] += 1
            self._failures.fails(address, str(error))
            return _no_owner(_UNKNOWN if error.may_have_acted else _UNREACHED)
        self.outcomes[ForwardOutcome.ANSWERED] += 1
        return None

    async def _refuse(self, refused: RequestRefused, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse as the program does: after the key was checked, with its headers, and counted."""
        await self._refusals({**scope, REFUSAL: refused}, receive, send)


class _Begun:
    """A `send` that knows whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = asyncio.Event()

    def __bool__(self) -> bool:
        return self._begun.is_set()

    async def __call__(self, message: Message) -> None:
        self._begun.set()
        await self._send(message)

    async def in_time(self, seconds: float) -> None:
        """Comes to its end where no answer has begun by then, and else never."""
        try:
            async with asyncio.timeout(seconds):
                await self._begun.wait()
        except TimeoutError:
            return
        await asyncio.Event().wait()


class _Signed:
    """A `send` that signs the answer."""

    def __init__(self, send: Send, signature: bytes) -> None:
        self._send = send
        self._more = [(HEADER, signature)]

    def as_not_done(self) -> _Signed:
        """The answer says that nothing was done, so that another replica may be asked."""
        self._more.append((_NOT_DONE_HEADER, b"1"))
        return self

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *self._more]}
        await self._send(message)


_NOT_DONE_HEADER: Final = b"pws-not-done"
_NOBODY: Final = "No replica owns the sessions at the server now"
_STOPPING: Final = (
    "The service is stopping, and the owner of the sessions may have done what was asked: repeat a claim with the same "
    "Idempotency-Key"
)
_NOT_OURS: Final = "The header Pws-Forwarded is for replicas alone, which share a secret (cluster.secret)"
_TOO_OLD: Final = "This request was passed on too long ago, or to an owner that owns no more; nothing was done"
_UNREACHED: Final = "The replica that owns the sessions at the server cannot be reached; nothing was done"
_UNKNOWN: Final = (
    "The replica that owns the sessions at the server has not answered, and may have done what was asked: repeat a "
    "claim with the same Idempotency-Key"
)
_NOT_DONE: Final = frozenset({_NOBODY, _TOO_OLD, _UNREACHED})
_OURS: Final = RequestRefused("This replica owns the sessions by now", kind="no-owner")
"""No refusal at all."""


async def _body(receive: Receive, most: int) -> tuple[bytes | None, list[Message]]:
    """The body, and the messages that it came in. None: it is longer than `most`, or the client has gone."""
    messages: list[Message] = []
    size = 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if message["type"] != "http.request" or size > most:
            return None, messages
        if not message.get("more_body"):
            return b"".join(each.get("body", b"") for each in messages), messages


def _again(messages: list[Message], receive: Receive) -> Receive:
    """A `receive` that begins with what was read already."""
    rest = list(reversed(messages))

    async def received() -> Message:
        return rest.pop() if rest else await receive()

    return received


def _no_owner(detail: str) -> RequestRefused:
    return RequestRefused(detail, {"Retry-After": RETRY}, kind="no-owner")
