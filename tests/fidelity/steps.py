"""What can be done to a presence server and to the people behind it: values, and the XML of the nine operations.

Keys and ids are named by their place in the order in which a server gave them, so that one step means the same at
every server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pws_soap.server import State
from tests.support.soap_by_hand import PWS, contacts_list

APPLICATIONS: Final = {"pwsapp": "secret", "wallboard": "brick"}
"""The application users and their passwords."""
END_USERS: Final = ("dispatcher", "supervisor")
"""Whom every application user may log in."""
WATCHED: Final = ("ann@example.com", "joe@example.com", "rita@example.com", "dispatcher@example.com")
"""The last is an end user's own."""
NOBODY: Final = "nobody@example.com"
"""Watched by nobody, and not there."""
SPELLED: Final = "ANN@Example.com"
ENDPOINTS: Final = tuple(f"http://127.0.0.1:8080/{path}" for path in ("one", "two?a=b", "three/%20x"))
NO_SERVERS: Final = ("http://127.0.0.1:8080/four#part", "ftp://127.0.0.1/five", "six", "http://127.0.0.1:port/seven")
"""Endpoints to which nothing can be sent."""
OUTSIDE: Final = "http://192.0.2.7:8080/eight"
"""An endpoint on another machine than the program's."""
WRONG_ID: Final = 9999

Kind = Literal["user", "application", "wrong", "none"]


@dataclass(frozen=True)
class Key:
    """Whose session key a request has: of the keys that were given so far, the `number`-th of its kind, in a circle."""

    kind: Kind
    number: int = 0


@dataclass(frozen=True)
class Id:
    """An id: of those that were given so far, the `number`-th, in a circle; None: one that was never given."""

    number: int | None = 0


NEW: Final = "0"


@dataclass(frozen=True)
class Names:
    """How one server calls what the steps speak of."""

    key: Callable[[Key], str | None]
    endpoint: Callable[[Id], str]
    subscription: Callable[[Id], str]


@dataclass(frozen=True)
class Call:
    """A call; `write` gives the XML of its operation."""

    operation: str
    write: Callable[[Names], str] = field(repr=False, compare=False)
    said: str
    """The call in words, for anybody who reads a failure."""
    by: Key = Key("user")
    form: str = "plain"
    soap: Literal["1.1", "1.2"] = "1.1"
    grants: Kind | None = None
    """What kind of key the reply gives, if it gives one."""
    makes_endpoint_at: str | None = None
    """The URL of the endpoint that it makes, if it makes one."""
    is_guess: bool = False
    """Whether it is a login with a wrong name or password."""


@dataclass(frozen=True)
class Exchange:
    """A request of HTTP that is no call."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | tuple[bytes, ...] = b""


@dataclass(frozen=True)
class Change:
    """Somebody's presence changes; `fields` are those of `World.change`."""

    contact: str
    fields: tuple[tuple[str, Any], ...]  # of every type that a field has


@dataclass(frozen=True)
class Leave:
    """Somebody is taken out of the world."""

    contact: str


@dataclass(frozen=True)
class Pass:
    """Time goes on."""

    seconds: float


Step = Call | Exchange | Change | Leave | Pass


# The nine operations


def element(operation: str, content: str, attributes: str = "") -> str:
    """The element of an operation."""
    return f'<{operation} xmlns="{PWS}"{attributes}>{content}</{operation}>'


def login(name: str, password: str, *, force: str = "", **how: Any) -> Call:  # fields of Call
    """An application user logs in. `force` is what stands in the attribute, nothing: no attribute."""
    content = f"<username>{name}</username><password>{password}</password>"
    attribute = f' force="{force}"' if force else ""
    said = f"login {name}:{password}{attribute}"
    is_guess = APPLICATIONS.get(name.strip()) != password

    def write(_: Names) -> str:
        return element("login", content, attribute)

    return Call("login", write, said, Key("none"), grants="application", is_guess=is_guess, **how)


def login_end_user(name: str, application: Key, *, force: str = "", **how: Any) -> Call:  # fields of Call
    """An end user is logged in by an application's key, or by one that is none."""
    attribute = f' force="{force}"' if force else ""

    def write(names: Names) -> str:
        key = names.key(application) or ""
        content = f"<username>{name}</username><app-session-id>{key}</app-session-id>"
        return element("login", content, attribute)

    return Call("login", write, f"login {name} by {application}{attribute}", Key("none"), grants="user", **how)


def logout(by: Key, **how: Any) -> Call:  # fields of Call
    """Ends a session."""
    return Call("logout", lambda _: element("logout", ""), "logout", by, **how)


def register(by: Key, url: str | None, endpoint: Id | str, expiration: str, **how: Any) -> Call:  # fields of Call
    """Makes an endpoint (id `NEW`) or refreshes one."""

    def write(names: Names) -> str:
        number = endpoint if isinstance(endpoint, str) else names.endpoint(endpoint)
        place = "" if url is None else f"<url>{url}</url>"
        return element(
            "registerEndPoint", f"{place}<endPointID>{number}</endPointID><expiration>{expiration}</expiration>"
        )

    said = f"registerEndPoint {url} {endpoint} {expiration}"
    return Call("registerEndPoint", write, said, by, makes_endpoint_at=url if endpoint == NEW else None, **how)


def unregister(by: Key, endpoint: Id, **how: Any) -> Call:  # fields of Call
    """Ends an endpoint."""

    def write(names: Names) -> str:
        return element("unregisterEndPoint", f"<endPointID>{names.endpoint(endpoint)}</endPointID>")

    return Call("unregisterEndPoint", write, f"unregisterEndPoint {endpoint}", by, **how)


def subscribe(
    by: Key,
    contacts: tuple[str, ...] | None,
    endpoint: Id,
    subscription: Id | str,
    expiration: str | None,
    event: str = "PRESENCE_NOTIFICATION",
    **how: Any,  # fields of Call
) -> Call:
    """Makes a subscription (id `NEW`), adds contacts to one, refreshes one."""

    def write(names: Names) -> str:
        number = subscription if isinstance(subscription, str) else names.subscription(subscription)
        listed = "" if contacts is None else contacts_list(*contacts)
        until = "" if expiration is None else f"<expiration>{expiration}</expiration>"
        return element(
            "subscribe",
            f"{listed}<subscriptionType>{event}</subscriptionType>{until}"
            f"<endPointID>{names.endpoint(endpoint)}</endPointID><subscriptionID>{number}</subscriptionID>",
        )

    said = f"subscribe {contacts} {endpoint} {subscription} {expiration} {event}"
    return Call("subscribe", write, said, by, **how)


def unsubscribe(by: Key, subscription: Id, contacts: tuple[str, ...] | None, **how: Any) -> Call:  # fields of Call
    """Takes contacts out of a subscription; None ends it."""

    def write(names: Names) -> str:
        rest = "<unsubscribeAll/>" if contacts is None else contacts_list(*contacts)
        inner = f"<subscriptionID>{names.subscription(subscription)}</subscriptionID>{rest}"
        return element("unsubscribe", f"<unsubscribeRequest>{inner}</unsubscribeRequest>")

    return Call("unsubscribe", write, f"unsubscribe {subscription} {contacts}", by, **how)


def fetch(by: Key, subscription: Id, kind: str, **how: Any) -> Call:  # fields of Call
    """Reads what changed."""

    def write(names: Names) -> str:
        number = names.subscription(subscription)
        return element(
            "getSubscribedPresence", f"<subscriptionID>{number}</subscriptionID><presenceType>{kind}</presenceType>"
        )

    return Call("getSubscribedPresence", write, f"getSubscribedPresence {subscription} {kind}", by, **how)


def poll(by: Key, contacts: tuple[str, ...], kind: str, **how: Any) -> Call:  # fields of Call
    """Reads what is."""
    content = f"{contacts_list(*contacts)}<presenceType>{kind}</presenceType>"
    said = f"getPolledPresence {contacts} {kind}"
    return Call("getPolledPresence", lambda _: element("getPolledPresence", content), said, by, **how)


def set_presence(by: Key, kind: str, info: str, expiration: str, **how: Any) -> Call:  # fields of Call
    """Sets the end user's own presence; `info` is the XML inside `presenceInfo`."""
    content = (
        f"<presenceType>{kind}</presenceType><presenceInfo>{info}</presenceInfo><expiration>{expiration}</expiration>"
    )
    said = f"setPresence {kind} {info} {expiration}"
    return Call("setPresence", lambda _: element("setPresence", content), said, by, **how)


def change(contact: str, **fields: Any) -> Change:  # of `World.change`
    """A change by its fields."""
    return Change(contact, tuple(fields.items()))


BUSY: Final = (("state", State.BUSY),)
