"""The server's error codes with texts of our own: what a fault says is decided here and only here.

A new code is one line in `TEXTS`; the module that finds the reason raises `Refused` with it.

The numbers and their meaning are those of protocol section 3; the real texts vary between releases.
"""

from __future__ import annotations

from typing import Final

THROTTLED: Final = frozenset({210, 212})
"""The codes that come with HTTP 503."""

UNREADABLE: Final = frozenset({102, 103, 150})
"""The codes of an unreadable request: they come before the session key is looked at."""

_LOG_IN: Final = "Log in and send the session key that the reply gives."
_IDS: Final = "Use an id that this server gave and that has not expired."
_LATER: Final = "Try again later."

TEXTS: Final[dict[int, tuple[str, str]]] = {
    100: ("The request has no session key.", _LOG_IN),
    101: ("The session key is not valid.", _LOG_IN),
    102: ("The XML of the request cannot be parsed.", "Send what the WSDL describes."),
    103: ("The root element of the request is wrong.", "Send one of the nine operations."),
    110: ("The presence type is not valid.", "Use BASIC_PRESENCE or RICH_PRESENCE."),
    111: ("The password is not valid.", "Give a password."),
    112: ("The login type is not valid.", "Give either a password or an application session id."),
    113: ("The user name is not valid.", "Give the name of a user of this server."),
    114: ("The login failed.", "Check the user name, the password and the user's groups."),
    115: ("No basic presence was given.", "Give a basic presence."),
    120: ("The presence could not be set.", "Check the presence that was given."),
    121: ("AVAILABLE cannot be an override.", "Set override to false."),
    122: ("DND must be an override.", "Set override to true."),
    123: ("A URL was given in the refresh of an endpoint.", "Leave the URL out, or the id 0."),
    124: ("A contact URI is not valid.", "Use user@domain."),
    125: ("The override is neither true nor false.", "Use true or false."),
    130: ("The URL of the endpoint is empty.", "Give a URL."),
    131: ("The expiration is out of range.", "Use 3600 to 86400 seconds."),
    132: ("There is no such endpoint.", _IDS),
    133: ("There is no such subscription.", _IDS),
    134: ("The subscription type is not valid.", "Use PRESENCE_NOTIFICATION."),
    135: ("The number of contacts is out of range.", "Give fewer contacts, at most 5000."),
    136: ("The endpoint belongs to another session.", _IDS),
    137: ("The subscription belongs to another session.", _IDS),
    138: ("No endpoint is free.", "Unregister endpoints that are not needed."),
    139: ("No subscription is free.", "End subscriptions that are not needed."),
    140: ("Only end users may do this.", "Use the session key of an end user."),
    141: ("Only application users may do this.", "Use the session key of an application user."),
    142: ("The URL of the endpoint has spaces.", "Give a URL without spaces."),
    143: ("A contact is empty.", "Give every contact its URI."),
    144: ("A contact is not part of the subscription.", "Name contacts of the subscription."),
    145: ("Neither an expiration nor contacts were given.", "Give one of them."),
    146: ("There is no contact list.", "Give a contact list."),
    147: ("A wrong element is in the contact list.", "Only contact may be in it."),
    148: ("A contact has a wrong attribute.", "Only contactURI may be there."),
    150: ("The body of the HTTP request cannot be read.", "Send it with its Content-Length, not in chunks."),
    160: ("The user is already logged in.", "Log in with force, or log out elsewhere."),
    161: ("The id of the override tuple is not valid.", "Use pws-override or pws-persistent."),
    162: ("The source element is not valid.", "Use Presence Web Service."),
    200: ("Server error.", _LATER),
    201: ("The endpoint could not be unregistered.", _LATER),
    202: ("The subscription could not be made.", _LATER),
    203: ("The subscription could not be ended.", _LATER),
    204: ("The presence could not be set.", _LATER),
    205: ("The logout failed.", _LATER),
    206: ("No endpoint id is to be had.", _LATER),
    207: ("No subscription id is to be had.", _LATER),
    208: ("The login failed.", _LATER),
    209: ("The endpoint could not be registered.", _LATER),
    210: ("The CPU limit is reached.", _LATER),
    211: ("No SIP subscription is free.", "Subscribe fewer contacts."),
    212: ("The limit of requests per second is reached.", "Send fewer requests."),
}


class Refused(Exception):
    """The request is refused with one of the codes above. Raised by nodes and ports; the reply is a fault then.

    `reason` says what is wrong in this request, such as the line of a mistake. It goes into the fault's message and the
    log, so it must not hold a secret.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code}: {text_of(code)[0]} {reason}".rstrip())


def text_of(code: int) -> tuple[str, str]:
    """Message and fix of a code; an unknown code has those of a server error."""
    return TEXTS.get(code, TEXTS[200])
