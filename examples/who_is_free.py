"""Prints who is free in a group, at every moment: follows `GET /v1/events`, and says so when it is not sure.

    PWS_URL=http://127.0.0.1:8000 python examples/who_is_free.py support

`PWS_KEY` is an API key with the scope `read`, where one is needed. Standard library only.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

SILENCE = 31.0
"""Seconds without a byte after which nothing is sure: more than twice the service's `stream.keep_alive`."""


def who_is_free(url: str, group: str, key: str = "", silence: float = SILENCE) -> Iterator[frozenset[str] | None]:
    """Who is free, after each event; None: not sure. Raises HTTPError where a retry will not help."""
    query = urlencode({"group": group, "available": "true"})
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    free: set[str] = set()
    while True:
        pause = 1.0
        event = {"event": "", "id": "", "data": ""}
        try:
            request = Request(f"{url}/v1/events?{query}", headers=headers)  # noqa: S310  # the user's own address
            with urlopen(request, timeout=silence) as stream:  # noqa: S310
                for line in stream:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name in event:
                        event[name] = value
                    elif line == b"\n" and event["data"]:  # an event is whole with the empty line behind it
                        data = json.loads(event["data"])
                        if event["event"] == "snapshot":  # replaces all contacts
                            free = {each["contact"] for each in data["contacts"]}
                        elif event["event"] == "change":  # a contact that passes the filter
                            free.add(data["contact"])
                        elif event["event"] == "removed":  # no longer watched, or no longer free
                            free.discard(data["contact"])
                        headers["Last-Event-ID"] = event["id"]
                        event["data"] = ""
                        yield frozenset(free)
                    elif line.startswith(b":"):  # : keep-alive
                        yield frozenset(free)
        except HTTPError as refusal:
            if refusal.code < 500 and refusal.code != 429:  # 401, 403, 422: the same answer next time
                raise
            refusal.close()
            pause = float(refusal.headers.get("Retry-After", 5))
        except (OSError, http.client.HTTPException):  # no service there, a broken connection, or silence
            pass
        yield None
        time.sleep(pause)


def main() -> None:
    """Print a line whenever the answer changes."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    url, group = os.environ.get("PWS_URL", "http://127.0.0.1:8000"), sys.argv[1]
    said = ""
    try:
        for free in who_is_free(url, group, os.environ.get("PWS_KEY", "")):
            words = "not sure" if free is None else f"free: {', '.join(sorted(free)) or 'nobody'}"
            if words != said:
                sys.stdout.write(f"{words}\n")
                sys.stdout.flush()
                said = words
    except HTTPError as refusal:
        sys.exit(f"{refusal.code}: {refusal.read().decode()}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
