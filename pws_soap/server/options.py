"""How a server behaves: one option for every fact that the protocol notes do not know for sure.

Each option's text gives the mark of its fact in `docs/protocol.md`: **K** known (the option is there to provoke the
client), **L** likely, **U** unknown. The default is what the notes propose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final, Literal, get_args, get_origin, get_type_hints

KNOWN_CALLBACK_PORTS: Final = frozenset({80, 82, 8080})
"""The ports to which the real server is known to send notifications (protocol section 2)."""
_AT_LEAST_ONE: Final = (
    "max_endpoints", "max_subscriptions", "max_contacts", "contacts_per_list", "notification_tries",
    "requests_per_connection", "requests_per_second", "max_request_bytes",
)  # fmt: skip
"""Options that make no sense below 1."""


@dataclass(frozen=True)
class ServerOptions:
    """How a server behaves, apart from who may log in and where presence comes from. It does not change at run time."""

    # Sessions
    session_idle_timeout: float | None = None
    """U: seconds without a request after which a session ends; None: never."""
    held_elsewhere: Literal["refuse", "share", "take-over"] = "refuse"
    """L: an end user logged in by another application, `force` not set: code 160, a session beside it for each
    application, also with `force`, or replaced."""
    forced_login: Literal["replaces", "adds"] = "replaces"
    """U: what `force=true` does to the user's old session: ends it with its resources, or leaves it beside the new."""
    failover: bool = True
    """U: while a node does not work, its backup takes the end users that are homed there instead of redirecting."""
    accept_tpi_header: bool = True
    """K: the session key is also read from a header in `urn:cisco:cup:tpi:soap`, as one Cisco text shows it."""
    application_may_poll: bool = False
    """U: whether `getPolledPresence` takes an application user's session; otherwise code 140."""

    # Endpoints and subscriptions
    ids: Literal["lowest-free", "increasing"] = "lowest-free"
    """L: which number a new endpoint or subscription gets."""
    max_endpoints: int = 100
    """U: endpoints per node (code 138)."""
    max_subscriptions: int = 100
    """U: subscriptions per node (code 139)."""
    max_sip_subscriptions: int | None = None
    """U: contacts in all subscriptions of a node together (code 211); None: no limit."""
    max_contacts: int = 5000
    """K: contacts of one subscription or one poll (code 135)."""
    contacts_per_list: int = 100
    """K: 100 in the WSDL; the documentation says 5000. The request schema is relaxed to this number."""
    subscriptions_die_with_endpoint: bool = False
    """U: whether subscriptions end with their endpoint, or live on without notifications."""
    refresh_moves_endpoint: bool = False
    """U: whether a `subscribe` with an id moves the subscription to the endpoint that it names."""
    empty_subscription_ends: bool = False
    """U: whether a subscription ends with its last contact."""

    # Fetching
    fetch: Literal["changes", "all"] = "changes"
    """L: what a fetch returns: all contacts first and then changes only, or always all."""
    nothing_changed: Literal["absent", "empty"] = "absent"
    """U: a reply without changes: no list, or a list without contacts."""
    poll_touches_latch: bool = False
    """L (that it doesn't): whether a poll counts as a fetch of its contacts for the session's subscriptions."""
    case_sensitive_contacts: bool = False
    """L (that they aren't): how contact URIs are compared. It is for the presence source, which compares them."""

    # Notifications
    notification_parameter: Literal["eventType", "etype"] = "eventType"
    """K: `eventType`; one Cisco article says `etype`."""
    notification_tries: int = 1
    """U: how often a notification is tried; it is for `Delivery`."""
    notification_timeout: float = 5.0
    """U: seconds to wait for the endpoint's answer; it is for `HttpNotifier`."""
    notify_before_reply: bool = False
    """L (that it happens): the first notification of a subscription arrives before the reply to `subscribe`."""
    callback_ports: frozenset[int] | None = None
    """K: ports to which notifications are sent, see `KNOWN_CALLBACK_PORTS`; None: to every port."""

    # Throttles
    cpu_notification_limit: float = 80.0
    """K: above this load, in percent, no notifications are sent."""
    cpu_request_limit: float = 95.0
    """U: from this load on requests are refused (code 210)."""
    requests_per_second: int | None = None
    """U: requests that a node takes within a second (code 212); None: no limit."""

    # SOAP and HTTP
    strict: bool = False
    """U (gSOAP isn't): whether only requests are taken that the schema of the WSDL describes to the letter."""
    fault_status: Literal[200, 500] = 200
    """L: HTTP status of a SOAP fault, 210 and 212 apart (K: 503)."""
    throttle_body: Literal["envelope", "bare", "empty"] = "envelope"
    """L: body of a 503: a SOAP fault, the bare description, or nothing."""
    close_after_fault: bool = True
    """U (gSOAP does): the connection is closed after every fault."""
    requests_per_connection: int | None = 100
    """U (gSOAP does): after how many requests the connection is closed; None: never."""
    repeat_session_key: Literal["no", "yes", "must-understand"] = "no"
    """U: whether replies repeat the session-key header, and whether it must be understood."""
    max_request_bytes: int = 16_000_000
    """U: longest body that is read (code 150)."""

    # Rich presence
    rich_carrier: Literal["elements", "cdata", "escaped"] = "elements"
    """U: how PIDF documents lie in `richPresenceList`."""
    rich_namespaces: Literal["right", "wrong", "missing", "mixed"] = "right"
    """K (that they vary): namespaces in the documents; `mixed` gives each contact another kind."""
    rich_person: Literal["always", "never", "mixed"] = "always"
    """K (that it may be missing): whether documents have a `person`."""
    rich_name: Literal["display-name", "displayname"] = "display-name"
    """K (both are seen): the element of the display name."""
    rich_declaration: bool = False
    """U: whether each document in CDATA or escaped text begins with an XML declaration."""

    def __post_init__(self) -> None:
        """Check every value; raises ValueError that names the option and what was expected."""
        hints = get_type_hints(type(self))
        for option in fields(self):
            value = getattr(self, option.name)
            if get_origin(hints[option.name]) is Literal and value not in get_args(hints[option.name]):
                allowed = ", ".join(map(str, get_args(hints[option.name])))
                raise ValueError(f"{option.name}: expected one of {allowed}, got {value!r}")
            if isinstance(value, float | int) and not isinstance(value, bool) and not 0 <= value < math.inf:
                raise ValueError(f"{option.name}: expected a number of 0 or more, got {value!r}")
        for name in _AT_LEAST_ONE:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value!r}")
        for port in self.callback_ports or ():
            if not 0 < port < 65536:
                raise ValueError(f"callback_ports: expected ports from 1 to 65535, got {port!r}")
