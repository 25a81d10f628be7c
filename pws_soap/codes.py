"""The server's codes (protocol section 3): meaning, policy, and whether a code proves that nothing was done.

A fault says that a request failed. Only some codes prove that it was not carried out: those that the server gives
before it begins. A caller needs to know that before it sends the same request again. The class that a code is raised as
is chosen in `errors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Policy(StrEnum):
    """What to do about an error."""

    RETRY = "retry"
    """Send the same request again after a pause."""
    READ_AGAIN = "read-again"
    """The server may have acted: find out its present state before anything else."""
    BACK_OFF = "back-off"
    """The server is overloaded: wait longer each time, with jitter."""
    LOG_IN_AGAIN = "log-in-again"
    REGISTER_AGAIN = "register-again"
    SUBSCRIBE_AGAIN = "subscribe-again"
    MOVE = "move"
    """Go to the node that the error names."""
    FREE_RESOURCES = "free-resources"
    """A limit of the server is reached: keep what works, log what the operator should free, try again slowly."""
    GIVE_UP = "give-up"
    """Only the operator or the programmer can fix this."""


@dataclass(frozen=True, slots=True)
class Code:
    """A row of the server's table of error codes (protocol section 3).

    `refused` is why the code proves that nothing was done; None where it does not.
    """

    number: int
    meaning: str
    policy: Policy
    refused: str | None = None


_REFUSED: Final[tuple[tuple[frozenset[int], str], ...]] = (
    (frozenset({100, 101, 140, 141}), "the session is checked first"),
    (frozenset({102, 103, 150}), "a request that cannot be read is not carried out"),
    (frozenset({111, 112, 113, 114, 160}), "a refused login makes no session"),
    (
        frozenset({110, 115, *range(121, 126), 130, 131, 134, 135, 142, 143, *range(145, 149), 161, 162}),
        "the arguments are checked first",
    ),
    (frozenset({132, 133, 136, 137}), "there is nothing of ours under this id that it could have acted on"),
    (frozenset({138, 139}), "the room is looked for before anything is made"),
    (frozenset({144}), "contacts are looked up before they are taken out"),
    (frozenset({210, 212}), "the server's gate against overload stands before all else"),
    (frozenset({211}), "the SIP subscriptions are counted before the contacts are taken in"),
)
"""Codes that are given before a request is carried out, and why: the server's own words say so (protocol section 3).

Not among them: 120 and 200 to 209, failures during the work, which may have been done in part."""


def _codes() -> dict[int, Code]:
    give_up, again, read_again = Policy.GIVE_UP, Policy.RETRY, Policy.READ_AGAIN
    refused = {number: why for numbers, why in _REFUSED for number in numbers}
    rows: list[tuple[int, str, Policy]] = [
        (100, "no session key in the request", Policy.LOG_IN_AGAIN),
        (101, "session key not valid", Policy.LOG_IN_AGAIN),
        (102, "request XML cannot be parsed", give_up),
        (103, "wrong root element", give_up),
        (110, "presence type not valid", give_up),
        (111, "password not valid", give_up),
        (112, "login type not valid", give_up),
        (113, "user name not valid", give_up),
        (114, "login failed: wrong user name or password", give_up),
        (115, "no basic presence given", give_up),
        (120, "presence could not be set", again),
        (121, "AVAILABLE cannot be an override", give_up),
        (122, "DND must be an override", give_up),
        (123, "URL given in an endpoint refresh", give_up),
        (124, "contact URI not valid", give_up),
        (125, "override neither true nor false", give_up),
        (130, "endpoint URL empty", give_up),
        (131, "expiry outside 3600..86400 seconds", give_up),
        (132, "no such endpoint", Policy.REGISTER_AGAIN),
        (133, "no such subscription", Policy.SUBSCRIBE_AGAIN),
        (134, "subscription type not valid", give_up),
        (135, "contacts not between 0 and 5000", give_up),
        (136, "endpoint of another session", Policy.REGISTER_AGAIN),
        (137, "subscription of another session", Policy.SUBSCRIBE_AGAIN),
        (138, "no free endpoint", Policy.FREE_RESOURCES),
        (139, "no free subscription", Policy.FREE_RESOURCES),
        (140, "for end users only", give_up),
        (141, "for application users only", give_up),
        (142, "endpoint URL has spaces", give_up),
        (143, "a contact is empty", give_up),
        (144, "contact not part of the subscription", give_up),
        (145, "neither expiry nor contacts given", give_up),
        (146, "no contact list", give_up),
        (147, "wrong element in the contact list", give_up),
        (148, "wrong attribute of a contact", give_up),
        (150, "HTTP body unreadable", give_up),
        (160, "user already logged in", again),
        (161, "override tuple id not valid", give_up),
        (162, "source element not valid", give_up),
        (200, "server error", read_again),
        (201, "failed to unregister", read_again),
        (202, "failed to subscribe", read_again),
        (203, "failed to unsubscribe", read_again),
        (204, "failed to set presence", read_again),
        (205, "failed to log out", read_again),
        (206, "no endpoint id to be had", Policy.FREE_RESOURCES),
        (207, "no subscription id to be had", Policy.FREE_RESOURCES),
        (208, "failed to log in", read_again),
        (209, "failed to register", read_again),
        (210, "CPU limit reached", Policy.BACK_OFF),
        (211, "no free SIP subscription", Policy.FREE_RESOURCES),
        (212, "requests per second reached", Policy.BACK_OFF),
    ]
    return {number: Code(number, meaning, policy, refused.get(number)) for number, meaning, policy in rows}


CODES: Final = _codes()
"""All codes that are known, by number."""
