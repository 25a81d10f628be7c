"""One GET with a limit in time for all of it, without a client library: for what must answer at once.

No proxy is taken from the environment and no redirect is followed, since a key may go along.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

MAX_BYTES: Final = 1024 * 1024
"""A longer answer is cut off there."""


def get(
    url: str, seconds: float, headers: Mapping[str, str] | None = None, ca_file: Path | None = None
) -> tuple[int, bytes]:
    """Status and body of the answer. Raises OSError where none comes within `seconds`, or none that is HTTP.

    Raises ArgumentError for a `ca_file` without certificates.
    """
    outcome: list[tuple[int, bytes] | Exception] = []

    def ask() -> None:
        try:
            outcome.append(_get(url, seconds, headers or {}, ca_file))
        except Exception as error:  # noqa: BLE001  it is raised again, in the caller's thread
            outcome.append(error)

    # Each step may take that long, and a name may take longer: only a thread can be left alone.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    if not outcome:
        raise TimeoutError(f"no answer within {seconds:g} s")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _get(url: str, seconds: float, headers: Mapping[str, str], ca_file: Path | None) -> tuple[int, bytes]:
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        from pws_soap.trust import Trust  # as strict as every other connection of ours; it takes a moment

        connection: HTTPConnection = HTTPSConnection(
            host, parts.port, timeout=seconds, context=Trust(ca_file).context()
        )
    else:
        connection = HTTPConnection(host, parts.port, timeout=seconds)
    try:
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read(MAX_BYTES)
    except TimeoutError:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    except HTTPException:
        raise OSError("the answer is not HTTP") from None
    finally:
        connection.close()
