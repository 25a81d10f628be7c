"""Claims a free person of a group, waits in line for one, and releases the claim at the end.

    PWS_URL=http://127.0.0.1:8000 python examples/claim_somebody.py support "ticket 4711"

`PWS_KEY` is an API key with the scope `claim`, where one is needed. Standard library only.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

WAIT = 30
"""Seconds that one request waits in line; then comes the next."""


class Service:
    """The claims of one service."""

    def __init__(self, url: str, key: str = "") -> None:
        self._url = url
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})

    @contextlib.contextmanager
    def claimed(self, group: str, purpose: str, lease: int = 120, patience: float = 300) -> Iterator[dict[str, Any]]:
        """A claim in the service's JSON, held for the `with` block. Raises TimeoutError after `patience` seconds.

        Work that takes longer than the lease renews it: `POST /v1/claims/{id}/renew`.
        """
        # One key for all attempts: where a claim was made and the reply was lost, the next attempt gets the same reply.
        again = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": f"wait={WAIT}"}
        body = {"group": group, "lease_seconds": lease, "for": purpose}
        claim = self._insist("POST", "/v1/claims", body, again, patience)
        try:
            yield claim
        finally:
            # Where that fails too, the claim ends with its lease.
            self._insist("DELETE", f"/v1/claims/{claim['id']}", None, {}, lease)

    def _insist(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str], patience: float
    ) -> dict[str, Any]:
        """Send the request until there is a reply. Raises HTTPError where a retry will not help."""
        data = None if body is None else json.dumps(body).encode()
        give_up = time.monotonic() + patience
        while time.monotonic() < give_up:
            pause = 1.0
            try:
                request = Request(self._url + path, data, self._headers | headers, method=method)  # noqa: S310  # ours
                with urlopen(request, timeout=WAIT + 10) as answer:  # noqa: S310
                    found: dict[str, Any] = json.loads(answer.read() or "{}")
                    return found
            except HTTPError as refusal:
                if method == "DELETE" and refusal.code == 404:  # it has ended
                    refusal.close()
                    return {}
                if refusal.code not in {409, 429} and refusal.code < 500:
                    raise
                refusal.close()  # 409: nobody was free in time, or an earlier attempt of ours still waits in line
                pause = float(refusal.headers.get("Retry-After", 1))
            except (OSError, http.client.HTTPException):  # no service there, or the reply was lost
                pass
            time.sleep(pause)
        raise TimeoutError(f"{method} {path}: no success within {patience:g} s")


def main() -> None:
    """Claim a person, print who it is, and release the claim when a line (or the end) comes on standard input."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    service = Service(os.environ.get("PWS_URL", "http://127.0.0.1:8000"), os.environ.get("PWS_KEY", ""))
    group, purpose = sys.argv[1:3]
    try:
        with service.claimed(group, purpose) as claim:
            sys.stdout.write(f"{claim['contacts'][0]['contact']} until {claim['expires_at']}; Enter releases\n")
            sys.stdout.flush()
            sys.stdin.readline()
    except HTTPError as refusal:
        sys.exit(f"{refusal.code}: {refusal.read().decode()}")
    except TimeoutError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
