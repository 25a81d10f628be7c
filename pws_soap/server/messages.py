"""Calls and replies of the nine operations, without XML: calls go into a node, replies and notifications come out.

Names are those of the field; `pws_soap.server.soap` alone knows how they are spelled on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pws_soap.server.presence import ManualPresence, Presence, State

Version = Literal["1.1", "1.2"]
"""The version of SOAP."""

PresenceType = Literal["BASIC_PRESENCE", "RICH_PRESENCE"]
OPERATIONS = (
    "login",
    "logout",
    "getPolledPresence",
    "getSubscribedPresence",
    "setPresence",
    "subscribe",
    "unsubscribe",
    "registerEndPoint",
    "unregisterEndPoint",
)
"""The nine operations, in the order of the portType (protocol section 1)."""


@dataclass(frozen=True, slots=True)
class Login:
    """`password` for an application user, `app_session` for an end user."""

    username: str
    password: str | None = None
    app_session: str | None = None
    force: bool = False

    def __repr__(self) -> str:
        return f"Login({self.username!r}, force={self.force})"


@dataclass(frozen=True, slots=True)
class Logout:
    """Ends the session and all that belongs to it."""


@dataclass(frozen=True, slots=True)
class RegisterEndPoint:
    """Id 0 and a url make an endpoint; an id without a url refreshes it. `expiration` in seconds."""

    url: str | None
    endpoint: int
    expiration: int


@dataclass(frozen=True, slots=True)
class UnregisterEndPoint:
    """Ends an endpoint."""

    endpoint: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Id 0 makes a subscription; an id adds contacts, or refreshes it, or both. Expiration 0 or None: unchanged."""

    contacts: tuple[str, ...] | None
    endpoint: int
    subscription: int = 0
    expiration: int | None = None
    event: str = "PRESENCE_NOTIFICATION"


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Takes contacts out of a subscription; None ends it."""

    subscription: int
    contacts: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class GetSubscribedPresence:
    """Reads what changed in a subscription, and opens its latch."""

    subscription: int
    type: PresenceType = "BASIC_PRESENCE"


@dataclass(frozen=True, slots=True)
class GetPolledPresence:
    """Reads the presence of contacts now."""

    contacts: tuple[str, ...]
    type: PresenceType = "BASIC_PRESENCE"


@dataclass(frozen=True, slots=True)
class SetPresence:
    """Sets the end user's own presence. `basic` for BASIC_PRESENCE, `rich` (a PIDF document) for RICH_PRESENCE."""

    type: PresenceType
    override: bool
    expiration: int
    basic: State | None = None
    rich: bytes | None = None


SessionCall = (
    Logout
    | RegisterEndPoint
    | UnregisterEndPoint
    | Subscribe
    | Unsubscribe
    | GetSubscribedPresence
    | GetPolledPresence
    | SetPresence
)
"""A call that needs a session key."""

Call = Login | SessionCall


@dataclass(frozen=True, slots=True)
class Request:
    """A request as far as it could be read. Without a `call` there is a `problem`: the code of the fault.

    `reason` says what is wrong, in the validator's words; beside a call it says why there is no `key`. `not_understood`
    are the headers, as `{namespace}name`, that have to be understood and are not: the request is not carried out,
    whatever else it says.
    """

    version: Version = "1.1"
    operation: str = ""
    key: str | None = field(default=None, repr=False)
    call: Call | None = None
    problem: int | None = None
    reason: str = ""
    not_understood: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A session key, and the node to use when this one fails."""

    key: str
    backup: str | None = None

    def __repr__(self) -> str:
        return f"LoggedIn(backup={self.backup!r})"


@dataclass(frozen=True, slots=True)
class Redirect:
    """The end user is homed on another node."""

    primary: str | None
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The call was carried out: status SUCCESS."""

    operation: str


@dataclass(frozen=True, slots=True)
class EndPoint:
    """The id of an endpoint that was made or refreshed."""

    id: int


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The id of a subscription that was made or changed."""

    id: int


@dataclass(frozen=True, slots=True)
class PresenceList:
    """The presence of contacts now. `absent` leaves out the list itself."""

    operation: str
    type: PresenceType
    contacts: tuple[Presence, ...]
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A fault with one of the server's codes; `reason` is added to its message."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """SOAP's own fault MustUnderstand, which has no code of the server; `headers` are `{namespace}name`."""

    headers: tuple[str, ...]


Reply = LoggedIn | Redirect | Done | EndPoint | Subscribed | PresenceList | Refusal | NotUnderstood


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification to send: one GET of `url`, its query included. `endpoint` is the id of what was registered."""

    node: str
    subscription: int
    url: str
    endpoint: int = 0

    def __repr__(self) -> str:  # the path of the url is somebody's secret
        return f"Notification(node={self.node!r}, subscription={self.subscription})"


@dataclass(frozen=True, slots=True)
class PresenceSet:
    """The presence that an end user has set; None takes back what was set (`ports.PresenceSource.set_presence`).

    `sent` is the call as it came.
    """

    user: str
    manual: ManualPresence | None
    sent: SetPresence


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call leads to: the reply, notifications to send, and the presence to give to the presence source."""

    reply: Reply
    notifications: tuple[Notification, ...] = ()
    presence_set: PresenceSet | None = None
