"""Who is free in a group, at every moment: follows `GET /v1/events`, and says so when it is not sure.

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
"""Seconds without a sign of life after which nothing is sure: more than two of the service's `stream.keep_alive`."""


def who_is_free(url: str, group: str, key: str = "", silence: float = SILENCE) -> Iterator[frozenset[str] | None]:
    """Who is free, each time that something is heard; None: not sure. Raises HTTPError where asking again is no use."""
    query = urlencode({"group": group, "available": "true"})
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    free: set[str] = set()
    while True:
        pause = 1.0
        event = {"event": "", "id": "", "data": ""}
        try:
            request = Request(f"{url}/v1/events?{query}", headers=headers)  # noqa: S310  # whoever starts it says where
            with urlopen(request, timeout=silence) as stream:  # noqa: S310
                for line in stream:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name in event:
                        event[name] = value
                    elif line == b"\n" and event["data"]:  # an event is whole with the empty line behind it
                        data = json.loads(event["data"])
                        if event["event"] == "snapshot":  # replaces all that was known
                            free = {each["contact"] for each in data["contacts"]}
                        elif event["event"] == "change":  # of somebody who passes the filter
                            free.add(data["contact"])
                        elif event["event"] == "removed":  # watched no longer, or free no longer
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
        except (OSError, http.client.HTTPException):  # nobody there, the connection broke, or silence
            pass
        yield None
        time.sleep(pause)


def main() -> None:
    """Print a line whenever the answer changes."""
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
