"""Every error of this library, in one tree, each with what to do about it.

::

    PwsError
    ├── ArgumentError            refused before anything was sent (also a ValueError)
    ├── ContractError            the WSDL lacks something that we need
    ├── Redirected               the end user lives on another node: log in there
    ├── PartlySubscribed         the subscription was made, but some lists of its contacts could not be added
    ├── PidfError                a rich document cannot be read (`pws_soap.pidf`; also a ValueError)
    ├── TransportError           no reply could be had
    │   ├── Unreachable          nothing was sent: name, route, port, time-out while connecting
    │   │   └── UntrustedServer  nothing was sent: the certificate is not trusted
    │   └── OutcomeUnknown       sent, and the server may have acted: read again, never assume
    │       ├── TimedOut             no complete reply in time
    │       ├── Disconnected         the connection broke before the reply was complete
    │       └── UnreadableReply      a reply came, and cannot be used
    │           ├── EmptyReply
    │           ├── TruncatedReply
    │           ├── NotXml               something else than XML: a proxy, a login page
    │           ├── ReplyTooLarge        over the cap on a reply's size
    │           ├── ForbiddenXml         a document type or an entity, which no honest reply has
    │           └── UnexpectedReply      XML, but not the reply of this operation
    └── Fault                    the server said no; `code` decides, the texts vary between releases. Unless its row in
        │                        `CODES` says why nothing was done, the outcome is unknown (`may_have_acted`)
        ├── NotLoggedIn          100 101
        ├── LoginRefused         111 112 113 114
        ├── AlreadyLoggedIn      160
        ├── EndpointLost         132 136
        ├── SubscriptionLost     133 137
        ├── Exhausted            138 139 206 207 211
        ├── Throttled            210 212, and every HTTP 503 (without such a code the outcome is unknown)
        ├── ServerTrouble        200 201 202 203 204 205 208 209, no code, and codes we do not know
        └── RequestRefused       all others: the request itself is wrong, sending it again does not help

The numbers are the server's own (protocol section 3). `pws_soap.codes` has the whole table, and
what a caller should do (`Policy`).
"""

from __future__ import annotations

import re
from typing import Final

from pws_soap.codes import CODES, Policy
from pws_soap.models import Subscription


class PwsError(Exception):
    """The root: whatever this library raises on purpose. `policy` says what to do.

    `may_have_acted`: whether the server may have carried the request out, or may still do so. Only what proves the
    opposite says False: an error from before anything was sent, or the server's own word that it refused (`Code`).
    """

    policy: Policy = Policy.GIVE_UP
    may_have_acted: bool = False


class ArgumentError(PwsError, ValueError):
    """An argument that the server would refuse; nothing was sent.

    `argument` is its name, `expected` its limit in words.
    """

    def __init__(self, argument: str, expected: str, got: object) -> None:
        self.argument = argument
        self.expected = expected
        shown = repr(got)
        if len(shown) > 120:
            shown = shown[:117] + "..."
        super().__init__(f"{argument}: expected {expected}, got {shown}")


class ContractError(PwsError):
    """A WSDL that cannot be used. `missing` lists every name that we need and that it lacks."""

    def __init__(self, source: str, missing: tuple[str, ...] = (), reason: str | None = None) -> None:
        self.source = source
        self.missing = missing
        text = reason or "lacks " + ", ".join(missing)
        super().__init__(f"WSDL {source}: {text}")


class Redirected(PwsError):
    """The end user is homed on another node (protocol section 2, redirect).

    `primary` is that node and `backup` the one after it, as host names; either may be None.
    """

    policy = Policy.MOVE

    def __init__(self, user: str, primary: str | None, backup: str | None) -> None:
        self.user = user
        self.primary = primary
        self.backup = backup
        super().__init__(
            f"{user!r} is homed on another node: primary {primary or 'unnamed'}, backup {backup or 'unnamed'}"
        )


class PartlySubscribed(PwsError):
    """A subscription was made, and then one of the later lists of its contacts failed.

    `subscription` holds its id and the contacts that are in it; `missing` the others; the cause is chained and its
    policy is this error's policy. Add what is missing with the id, or unsubscribe.
    """

    def __init__(self, subscription: Subscription, missing: tuple[str, ...], cause: PwsError) -> None:
        self.subscription = subscription
        self.missing = missing
        self.cause = cause
        self.policy = cause.policy
        self.may_have_acted = cause.may_have_acted
        total = len(subscription.contacts) + len(missing)
        super().__init__(
            f"subscription {subscription.id} has {len(subscription.contacts)} of {total} contacts: {cause}"
        )


class PidfError(PwsError, ValueError):
    """A document that cannot be read. `contact` is the one it is about, None if unreadable; `reason` says why."""

    def __init__(self, reason: str, contact: str | None = None) -> None:
        self.reason = reason
        self.contact = contact
        super().__init__(f"presence document of {contact}: {reason}" if contact else f"presence document: {reason}")


class TransportError(PwsError):
    """No usable reply. `node` is the server's address, `operation` what was asked of it."""

    policy = Policy.RETRY

    def __init__(self, message: str, *, node: str = "", operation: str = "") -> None:
        self.node = node
        self.operation = operation
        where = " ".join(part for part in (operation, f"at {node}" if node else "") if part)
        super().__init__(f"{where}: {message}" if where else message)


class Unreachable(TransportError):
    """Nothing was sent: no such name, no route, connection refused, or no connection in time."""


class UntrustedServer(Unreachable):
    """Nothing was sent: the server's certificate is not the one we may trust. The message says what to set."""

    policy = Policy.GIVE_UP


class OutcomeUnknown(TransportError):
    """The request was sent and its effect is not known: it may have consumed changes (protocol section 2, Fetching)."""

    policy = Policy.READ_AGAIN
    may_have_acted = True


class TimedOut(OutcomeUnknown):
    """No complete reply within the read time-out."""


class Disconnected(OutcomeUnknown):
    """The connection was closed or reset before the reply was complete."""


class UnreadableReply(OutcomeUnknown):
    """A reply came and cannot be used."""


class EmptyReply(UnreadableReply):
    """A reply without a body."""


class TruncatedReply(UnreadableReply):
    """A reply that ends in the middle of its XML."""


class NotXml(UnreadableReply):
    """A reply that is not well-formed XML: often a proxy's or a login page."""


class ReplyTooLarge(UnreadableReply):
    """A reply over the cap on its size; the rest was not read."""


class ForbiddenXml(UnreadableReply):
    """A reply with a document type declaration or an entity, which no honest SOAP reply has (SOAP 1.1 section 3)."""


class UnexpectedReply(UnreadableReply):
    """Well-formed XML that is not the reply of this operation."""


_HEALED: Final = frozenset({Policy.LOG_IN_AGAIN, Policy.REGISTER_AGAIN, Policy.SUBSCRIBE_AGAIN, Policy.BACK_OFF})
"""Policies that a program follows without an operator."""
_FILLERS: Final = frozenset({"a", "an", "the", "is", "was", "there", "such", "of", "in"})


def _words(text: str) -> frozenset[str]:
    """The words of a text that carry meaning, for a comparison."""
    return frozenset(re.findall(r"[\w']+", text.casefold())) - _FILLERS


class Fault(PwsError):
    """The server said no.

    `code` is its number, or None where it gave none (a bare 503, a SOAP fault without a description): then it may be
    the word of a gateway, and the server may have carried the request out. `message` and
    `fix` are the server's texts, for people; `policy` is the code's. Its own text has what they add: not a message that
    repeats the meaning of the code, and no fix where a program logs in, registers, subscribes or waits by itself.
    """

    def __init__(
        self,
        code: int | None,
        message: str = "",
        fix: str = "",
        *,
        status: int = 200,
        operation: str = "",
        node: str = "",
    ) -> None:
        self.code = code
        self.message = message
        self.fix = fix
        self.status = status
        self.operation = operation
        self.node = node
        known = CODES.get(code) if code is not None else None
        self.policy = known.policy if known else Policy.BACK_OFF if status == 503 else Policy.READ_AGAIN
        self.may_have_acted = known is None or known.refused is None
        self.meaning = known.meaning if known else message or "fault without a description"
        text = f"{operation or 'request'} refused"
        text += f" with code {code}" if code is not None else f" with HTTP {status}" if status != 200 else ""
        text += f" ({self.meaning})"
        if known and not _words(message) <= _words(known.meaning):
            text += f": {message.strip().removesuffix('.')}"
        if fix and self.policy not in _HEALED:
            text += f"; fix: {fix}"
        super().__init__(text)

    @staticmethod
    def of(
        code: int | None, message: str = "", fix: str = "", *, status: int = 200, operation: str = "", node: str = ""
    ) -> Fault:
        """The fault of the class that belongs to `code`."""
        kind = _CLASS_OF.get(code) if code is not None else None
        if kind is None:
            kind = Throttled if status == 503 else ServerTrouble if code not in CODES else RequestRefused
        return kind(code, message, fix, status=status, operation=operation, node=node)


class NotLoggedIn(Fault):
    """100, 101: the session is gone. Log in again."""


class LoginRefused(Fault):
    """111 to 114: user name or password are wrong. Only the operator can fix this."""


class AlreadyLoggedIn(Fault):
    """160: another application holds the user (protocol section 2, Sessions)."""


class EndpointLost(Fault):
    """132, 136: the server does not know the endpoint, or another session owns it. Register a new one."""


class SubscriptionLost(Fault):
    """133, 137: the server does not know the subscription, or another session owns it. Subscribe anew."""


class Exhausted(Fault):
    """138, 139, 206, 207, 211: the server has no room for another one until something is freed or expires."""


class Throttled(Fault):
    """210, 212, or any HTTP 503: send fewer requests. Only the two codes prove that nothing was done."""


class ServerTrouble(Fault):
    """200 to 205, 208, 209, no code, and unknown codes: the server failed somewhere in the work, or it is not the
    server that speaks. What was asked for may have been done."""


class RequestRefused(Fault):
    """Every other code: the request itself is wrong."""


_CLASS_OF: Final[dict[int, type[Fault]]] = {
    **dict.fromkeys((100, 101), NotLoggedIn),
    **dict.fromkeys((111, 112, 113, 114), LoginRefused),
    160: AlreadyLoggedIn,
    **dict.fromkeys((132, 136), EndpointLost),
    **dict.fromkeys((133, 137), SubscriptionLost),
    **dict.fromkeys((138, 139, 206, 207, 211), Exhausted),
    **dict.fromkeys((210, 212), Throttled),
    **dict.fromkeys((200, 201, 202, 203, 204, 205, 208, 209), ServerTrouble),
}
