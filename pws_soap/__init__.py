"""A typed, asynchronous client of Cisco's Presence Web Service (PWS), generated from its WSDL with zeep.

::

    async with PwsClient("https://imp1.example.com:8083", ca_file="cup.pem") as pws:
        app = await pws.login("pwsapp", password)
        user = await pws.login_end_user(app, "dispatcher")
        endpoint = await pws.register_endpoint(app, "http://10.0.0.5:8080/pws/secret", expires=3600)
        subscription = await pws.subscribe(user, endpoint, ["ann@example.com"], expires=3600)
        for presence in await pws.get_subscribed_presence(user, subscription, rich=True):
            print(presence.contact, presence.state, presence.on_the_phone)

Here it is decided how the server is spoken to: values (`models`, `codes`, `errors`), what requests and replies mean
(`codec`, `replies`, `pidf`, `lifecycle`), the wire (`transport`), one method for each call (`client`). It imports zeep,
lxml, h11, and never `service` or FastAPI. A new PWS code belongs into `codes` and `errors`. Each name is imported when
it is first asked for: zeep takes a moment, which the simulator does without, and pytest, which loads `pytest_plugin` in
every run, does without all of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pws_soap.client import PwsClient
    from pws_soap.codes import Policy
    from pws_soap.errors import Fault, OutcomeUnknown, PwsError, Redirected, TransportError
    from pws_soap.models import Device, Endpoint, Presence, PresenceState, PresenceType, Secret, Session, Subscription

__all__ = [
    "Device",
    "Endpoint",
    "Fault",
    "OutcomeUnknown",
    "Policy",
    "Presence",
    "PresenceState",
    "PresenceType",
    "PwsClient",
    "PwsError",
    "Redirected",
    "Secret",
    "Session",
    "Subscription",
    "TransportError",
]

_MODULES: Final = ("codes", "errors", "models")
"""Reached as attributes of the package too, without an import of their own."""
_HOMES: Final = {
    "client": ("PwsClient",),
    "codes": ("Policy",),
    "errors": ("Fault", "OutcomeUnknown", "PwsError", "Redirected", "TransportError"),
    "models": (
        "Device",
        "Endpoint",
        "Presence",
        "PresenceState",
        "PresenceType",
        "Secret",
        "Session",
        "Subscription",
    ),
}
"""The module of each name."""


def __getattr__(name: str) -> Any:  # Any: what a module's attribute is depends on its name
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    for module, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
