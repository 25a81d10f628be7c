"""How addresses are written: nodes of the server, this service's own URL, a certificate's fingerprint.

What was found may hold a password (`user:password@host`, `?token=`); such a part is never shown.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pws_soap import hosts
from service.access import authority
from service.config import parsers
from service.config.errors import shown
from service.config.parsers import STRING, takes, wrong
from service.core import callback_url as callback_urls

_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOST: Final = rf"{_LABEL}(?:\.{_LABEL})*\.?"
"""A host or domain name as the server's own names look (RFC 1123 section 2.1, and the underscore that people use)."""


_NODE: Final = "host or host:port"


@takes(_NODE)
def node(value: object) -> str:
    """A node of the server, `host` or `host:port`; an IPv6 address stands in brackets."""
    expected = _NODE
    if not isinstance(value, str):
        raise wrong(expected, shown(value))
    given = str(value).strip()
    if "@" in given:
        raise wrong(expected, "an address with a user name in it")
    if "://" in given:
        name = _netloc(given)
        raise wrong(expected, shown(given), f"write {name!r}; server.tls chooses https or http" if name else "")
    try:
        split_node(given)
    except ValueError as error:
        raise wrong(expected, shown(given), str(error)) from None
    return given


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def split_node(name: str) -> tuple[str, int | None]:
    """Host (an IPv6 address without its brackets) and port of a node. ValueError says what is wrong with it."""
    if name.startswith("["):
        host, bracket, rest = name[1:].partition("]")
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            bracket = ""
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("brackets hold an IPv6 address: [2001:db8::1]:8083")
        port = rest[1:] if rest else None
    elif name.count(":") > 1:
        raise ValueError("an IPv6 address stands in brackets: [2001:db8::1]:8083")
    else:
        host, colon, rest = name.partition(":")
        port = rest if colon else None
        if len(host) > 253 or not re.fullmatch(HOST, host):
            raise ValueError("a host name has letters, digits, '-' and dots")
    if port is None:
        return host, None
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError("a port is a number from 1 to 65535")
    return host, int(port)


def different(items: tuple[str, ...]) -> tuple[str, ...]:
    """At least one, and none of them twice, whether a dot ends its name or not."""
    if not items:
        raise wrong("at least one node", "an empty list")
    seen: set[tuple[str, int | None]] = set()
    for item in items:
        host, port = split_node(item)
        known = hosts.bare(host), port
        if known in seen:
            raise wrong("different nodes", f"{shown(item)} twice")
        seen.add(known)
    return items


ANY: Final = "any"
"""What stands for every host in `server.redirect_to`."""


_REDIRECT_TO: Final = 'a list of hosts, such as ["imp3.example.com"], or "any"'


@takes(_REDIRECT_TO, {"anyOf": [{"type": "array", "items": STRING}, {"const": ANY}]})
def redirect_to(value: object) -> tuple[str, ...]:
    """Hosts that a redirect may lead to, as a list; the word "any" instead of it means every host."""
    expected = _REDIRECT_TO
    if isinstance(value, str) and value.strip().casefold() == ANY:
        return (ANY,)
    items = parsers.listed(expected)(value)
    found = []
    for item in items:
        given = item.strip() if isinstance(item, str) else ""
        host = given.removeprefix("[").removesuffix("]")
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            if len(given) > 253 or not re.fullmatch(HOST, given) or given.casefold() == ANY:
                hint = "without a port" if ":" in given else 'write redirect_to = "any"' if given else ""
                raise wrong(expected, shown(item), hint) from None
            found.append(given)
        else:
            found.append(str(address))
    return tuple(dict.fromkeys(found))


_FINGERPRINT: Final = "the SHA-256 of the server's certificate, 64 hex digits"


@takes(_FINGERPRINT)
def fingerprint(value: object) -> str:
    """The SHA-256 of a certificate as 64 lower-case hex digits; openssl's own way of writing it is understood."""
    if isinstance(value, str):
        digits = re.sub(r"(?i)^\s*sha-?256( fingerprint)?\s*[=:]", "", value)
        digits = re.sub(r"[\s:]", "", digits).lower()
        if re.fullmatch(r"[0-9a-f]{64}", digits):
            return digits
        if re.fullmatch(r"[0-9a-f]{40}", digits):
            raise wrong("a SHA-256 fingerprint", "a SHA-1 one", "openssl x509 -noout -fingerprint -sha256 -in FILE")
    raise wrong(_FINGERPRINT, shown(value))


_URL: Final = "a URL such as http://10.0.0.5:8080"


@takes(_URL, {"type": "string", "format": "uri"})
def callback_url(value: object) -> str:
    """This service as the server reaches it; `/pws/SECRET` is appended to its path (protocol section 2)."""
    expected = _URL
    if not isinstance(value, str):
        raise wrong(expected, shown(value))
    given = str(value).strip()
    if re.search(r"\s", given):
        raise wrong("a URL without spaces", shown(given.rpartition("@")[2]), "the server refuses them (code 142)")
    if not given.isascii() or not given.isprintable() or set(given) & set("<>\"'\\"):
        raise wrong(expected, "characters that a URL does not have", "percent-encode them")
    try:
        url = urlsplit(given)
        fault = _url_fault(url, given) or callback_urls.path_fault(given)
    except ValueError:  # a broken IPv6 address, a port that is no number
        raise wrong(expected, "something that is no URL") from None
    if fault:
        # Only the harmless part is shown: a query or a user name may hold a password.
        harmless = f"{url.scheme}://{url.hostname or ''}" if url.scheme else given.partition("?")[0].rpartition("@")[2]
        raise wrong(expected, shown(harmless), fault)
    return given.rstrip("/")


def _url_fault(url: SplitResult, given: str) -> str:
    if url.scheme not in {"http", "https"} or not url.hostname:
        return "it begins with http:// or https:// and names a host"
    if url.username is not None or url.password is not None:
        return "it has no user name and no password"
    if url.query or url.fragment or given[-1] in "?#":
        return "it has no query and no fragment; the server appends its own"
    return "a port is a number from 1 to 65535" if url.port == 0 else ""


_SERVICE_URL: Final = "a URL without a path, such as https://presence.example.com:8083"


@takes(_SERVICE_URL, {"type": "string", "format": "uri"})
def service_url(value: object) -> str:
    """A service as its clients reach it: scheme, host and port."""
    if not isinstance(value, str):
        raise wrong(_SERVICE_URL, shown(value))
    given = str(value).strip().rstrip("/")
    if not given.isascii() or not given.isprintable() or set(given) & set(" <>\"'\\"):
        raise wrong(_SERVICE_URL, "characters that a URL does not have")
    try:
        url = urlsplit(given)
        fault = _url_fault(url, given) if given else "it is empty"
    except ValueError:
        raise wrong(_SERVICE_URL, "something that is no URL") from None
    if not fault and url.path:
        fault = "the path is that of the Presence Web Service, and is added"
    if fault:
        harmless = f"{url.scheme}://{url.hostname or ''}" if url.scheme else given.partition("?")[0].rpartition("@")[2]
        raise wrong(_SERVICE_URL, shown(harmless), fault)
    return given


OWN_PATHS: Final = frozenset(
    {"v1", "pws", "docs", "dashboard", "demo", "livez", "readyz", "metrics", "openapi.json", "problems"}
)
"""How the service's own paths begin."""


_ROOT_PATH: Final = "a path such as /presence"


@takes(_ROOT_PATH)
def root_path(value: object) -> str:
    """The path that a proxy has this service below, `/presence`; empty for none."""
    expected = _ROOT_PATH
    if not isinstance(value, str):
        raise wrong(expected, shown(value))
    given = value.strip().rstrip("/")
    if not given:
        return ""
    if not given.startswith("/"):
        hint = "the path alone" if "://" in given else f"write {shown('/' + given)}"
        raise wrong(expected, shown(given), hint)
    parts = given[1:].split("/")
    if not all(re.fullmatch(r"[A-Za-z0-9._~-]+", part) for part in parts) or {".", ".."} & set(parts):
        raise wrong(expected, shown(given), "its parts have letters, digits, '-', '_', '.' and '~'")
    if parts[0] in OWN_PATHS:
        raise wrong(expected, shown(given), f"paths of the service itself begin with /{parts[0]}")
    return given


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


_NETWORK: Final = "an address or a network, such as 10.0.0.5 or 10.1.0.0/16"


@takes(_NETWORK)
def network(value: object) -> Network:
    """An address or a network, `10.0.0.5` or `10.0.0.0/8`."""
    expected = _NETWORK
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    if not isinstance(value, str):
        raise wrong(expected, shown(value))
    try:
        return ipaddress.ip_network(value.strip())
    except ValueError as error:
        hint = "a network's address has no bits behind the prefix" if "host bits" in str(error) else ""
        raise wrong(expected, shown(str(value)), hint) from None


_ORIGIN: Final = "an origin such as https://board.example.com"


@takes(_ORIGIN)
def origin(value: object) -> str:
    """A browser's origin, `https://board.example.com`, in the form in which browsers send it."""
    expected = _ORIGIN
    if not isinstance(value, str):
        raise wrong(expected, shown(value))
    given = value.strip().rstrip("/").lower()
    found = authority.origin(given)
    if found is None:
        hint = "any origin at all is not possible; name each" if given == "*" else ""
        raise wrong(expected, shown(str(value)), hint)
    return str(found)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach who listens there. A name may mean anything, but for `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


def is_local(host: str) -> bool:
    """Whether a host name or address means the machine itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.casefold().rstrip(".") == "localhost"
    return address.is_loopback or address.is_unspecified
