"""Requests written by hand, without the client's code: envelopes, their bodies, and the HTTP around them."""

from __future__ import annotations

PWS = "urn:cisco:cup:presence:soap"
PATH = "/presence-service/soap"
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
URL = "http://127.0.0.1:8080/pws/path"
ANN, JOE, RITA = "ann@example.com", "joe@example.com", "rita@example.com"


def request(body: bytes, *headers: bytes, method: bytes = b"POST", path: str = PATH) -> bytes:
    """An HTTP request by hand."""
    lines = [method + b" " + path.encode() + b" HTTP/1.1", b"Host: imp", *headers]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def envelope(body: str, key: str | None = None, *, soap: str = SOAP11, header: str = "") -> bytes:
    """An envelope with a body that is written by hand."""
    if key is not None:
        header += f'<k:session-key xmlns:k="{PWS}">{key}</k:session-key>'
    return f'<e:Envelope xmlns:e="{soap}"><e:Header>{header}</e:Header><e:Body>{body}</e:Body></e:Envelope>'.encode()


def login(name: str = "pwsapp", password: str = "secret") -> str:
    """A login of an application user."""
    return f'<login xmlns="{PWS}"><username>{name}</username><password>{password}</password></login>'


def login_end_user(application: str, name: str = "dispatcher") -> str:
    """A login of an end user."""
    return f'<login xmlns="{PWS}"><username>{name}</username><app-session-id>{application}</app-session-id></login>'


def register(url: str = URL) -> str:
    """A new endpoint."""
    return (
        f'<registerEndPoint xmlns="{PWS}"><url>{url}</url><endPointID>0</endPointID><expiration>3600</expiration>'
        "</registerEndPoint>"
    )


def contacts_list(*contacts: str) -> str:
    """A contact list."""
    return "<contactsList>" + "".join(f'<contact contactURI="{uri}"/>' for uri in contacts) + "</contactsList>"


def subscribe(*contacts: str, endpoint: int = 1) -> str:
    """A new subscription."""
    return (
        f'<subscribe xmlns="{PWS}">{contacts_list(*contacts)}<subscriptionType>PRESENCE_NOTIFICATION</subscriptionType>'
        f"<expiration>3600</expiration><endPointID>{endpoint}</endPointID><subscriptionID>0</subscriptionID></subscribe>"
    )


def fetch(subscription: int = 1, kind: str = "BASIC_PRESENCE") -> str:
    """A fetch."""
    return (
        f'<getSubscribedPresence xmlns="{PWS}"><subscriptionID>{subscription}</subscriptionID>'
        f"<presenceType>{kind}</presenceType></getSubscribedPresence>"
    )


def poll(*contacts: str, kind: str = "BASIC_PRESENCE") -> str:
    """A poll."""
    return (
        f'<getPolledPresence xmlns="{PWS}">{contacts_list(*contacts)}<presenceType>{kind}</presenceType>'
        "</getPolledPresence>"
    )
