"""The server's side of the Presence Web Service: how a server reads requests, what they mean, and what it answers.

It has no users and no presence of its own, but asks the ports (`ports`). A new PWS code is a line in `codes`; what the
client makes of it is `pws_soap.codes`. `presence`, `messages`, `codes`, `options` are values; `soap` is XML in and out,
`node` what a node keeps and answers, `http` sockets. It imports lxml, aiohttp, uvicorn, and nothing of the client, of
the simulator or of the service.
"""

from pws_soap.server.codes import Refused
from pws_soap.server.http.app import PATH, SoapApp
from pws_soap.server.http.delivery import Delivery
from pws_soap.server.http.listener import Listener
from pws_soap.server.http.notifier import HttpNotifier
from pws_soap.server.http.service import PresenceWebService
from pws_soap.server.http_reply import HttpReply
from pws_soap.server.messages import SetPresence
from pws_soap.server.options import ServerOptions
from pws_soap.server.ports import (
    Accounts,
    Doubts,
    Interception,
    Interceptor,
    NodeDirectory,
    NotificationRoute,
    Preparation,
    PresenceSource,
)
from pws_soap.server.presence import Device, ManualPresence, Presence, State, Watcher

__all__ = [
    "PATH",
    "Accounts",
    "Delivery",
    "Device",
    "Doubts",
    "HttpNotifier",
    "HttpReply",
    "Interception",
    "Interceptor",
    "Listener",
    "ManualPresence",
    "NodeDirectory",
    "NotificationRoute",
    "Preparation",
    "Presence",
    "PresenceSource",
    "PresenceWebService",
    "Refused",
    "ServerOptions",
    "SetPresence",
    "SoapApp",
    "State",
    "Watcher",
]
