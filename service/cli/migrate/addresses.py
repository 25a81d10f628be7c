"""Reads the addresses in the sample scripts' files, however people write them: with a scheme, a slash or a path."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from service.cli.migrate.findings import ScriptFinding
from service.config.addresses import split_node

_SAFE_IN_PATH: Final = "/:@!$&()*+,;=~"


def node_of(server: str) -> tuple[str, str]:
    """The node that people mean by SERVER, with the port where it is not a usual one; and its host alone.

    What is no address stays as it is, and is told as a mistake of the configuration.
    """
    name = _authority(server)
    try:
        host, port = split_node(name)
    except ValueError:
        return name, name
    shown = f"[{host}]" if ":" in host else host
    return shown if port in {None, 8082, 8083, 443, 80} else f"{shown}:{port}", host


def _authority(text: str) -> str:
    """Host and port of what people write for a machine: with a scheme, slashes, a path, an IPv6 address as it is."""
    name = re.split(r"[/\\?#]", re.sub(r"^\s*([A-Za-z][A-Za-z0-9+.-]*:)?//", "", text), maxsplit=1)[0].strip()
    try:
        return f"[{ipaddress.IPv6Address(name)}]"
    except ValueError:
        return name


def callback_of(endpoint: str, host: str) -> tuple[str, list[ScriptFinding]]:
    """The URL of the endpoint: as given, made from HOST, or a guess that the user must correct."""
    findings: list[ScriptFinding] = []
    if endpoint and host and not re.match("(?i)https?://[^/]", endpoint):
        findings.append(ScriptFinding("serverparams.json", "ENDPOINTURL is no URL", "HOST is taken in its place"))
        endpoint = ""
    for key, given, port in (("ENDPOINTURL", endpoint, ""), ("HOST", host, ":8080")):
        if given:
            url, is_changed = _url(given, port)
            return url, [*findings, *_about_url(key, url, is_changed=is_changed)]
    guess = "http://127.0.0.1:8080"
    return guess, [
        ScriptFinding(
            "serverparams.json",
            "neither HOST nor ENDPOINTURL says where notifications go",
            f"set callback.url; {guess} is a guess",
        )
    ]


def _url(given: str, port: str) -> tuple[str, bool]:
    """callback.url, made of a URL or a host, and whether it says less than that or something else.

    `port` is added where none is given. The path is written as callback.url requires it; the scripts took any.
    """
    scheme = (re.match(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)", given) or [""])[0].lower()
    behind = re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*:)?//", "", given)
    address, _, rest = re.sub(r"[?#].*", "", behind, flags=re.DOTALL).partition("/")
    userinfo, _, authority = _authority(address).rpartition("@")
    if not re.search(r":[0-9]*$", authority.rpartition("]")[2]):
        authority += port
    path = re.sub("/{2,}", "/", quote(unquote(f"/{rest}"), safe=_SAFE_IN_PATH)).rstrip("/")
    is_cut = bool(userinfo or re.search(r"[?#].", behind) or scheme not in {"", "http", "https"})
    return f"{scheme if scheme == 'https' else 'http'}://{authority}{path}", is_cut or path != f"/{rest}".rstrip("/")


def _about_url(key: str, url: str, *, is_changed: bool) -> Iterator[ScriptFinding]:
    """What a person has to know of the URL that was made."""
    if is_changed:
        yield ScriptFinding(
            "serverparams.json",
            f"{key} has parts that the server's notifications cannot have, or that proxies change",
            f"callback.url is {url}; look whether notifications get there",
        )
    if url.startswith("https://"):
        yield ScriptFinding(
            "serverparams.json",
            f"{key} is https, and the service itself speaks plain HTTP",
            "put a proxy with TLS there, and set callback.listen_port to where it passes notifications on",
        )


def port_of(callback: str) -> int:
    """The port that the URL leads to."""
    try:
        given = urlsplit(callback).port
    except ValueError:
        return 8080  # the URL itself is reported as a mistake
    return given or (443 if callback.startswith("https:") else 80)
