"""`/metrics` of a real service: who may read it, and that what happens shows in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.processes import eventually
from tests.e2e.simulated import PASSWORD, SECRET, Server, Service, configure
from tests.support.figures import Figures


def figures(service: Service) -> Figures:
    answer = service.site.get("/metrics")
    assert answer.status == 200
    return Figures(answer.body.decode())


@pytest.mark.long(ci=True)
def test_what_happens_shows_in_the_figures(tmp_path: Path) -> None:
    """On loopback, without a key; with the canary on its rounds, and without a secret."""
    canary = 'end_user = "canary"\ncontact = "canary@example.com"\ninterval = 10'
    with Server(tmp_path).ready() as server:
        watch = 'domain = "example.com"\ncontacts = ["ann", "joe", "rita", "canary"]'
        site = configure(tmp_path, server.port, watch=watch, canary=canary)
        with Service(tmp_path, site).ready() as service:
            before = eventually(lambda: _all_are_live(service))
            server.put("ann@example.com", state="BUSY")
            service.sees("ann@example.com", state="BUSY")
            after = eventually(lambda: _changed(service))
            assert after.value("pws_events_total", event="change") > before.value("pws_events_total", event="change")
            assert after.value("pws_server_requests_total", lane="fetch") >= 2
            subscription = {"node": f"http://127.0.0.1:{server.port}", "feed": "dispatcher"}
            assert after.value("pws_subscription_expiry_seconds", **subscription) > 3000
            assert after.value("process_open_fds") > 0
            seen = eventually(lambda: _canary_was_seen(service))
            assert seen.value("pws_canary_interval_seconds") == 10
            body = service.site.get("/metrics").body.decode()
            assert PASSWORD not in body
            assert SECRET not in body
            _lint(body)


def _all_are_live(service: Service) -> Figures:
    """The event log says so a tick after the service is ready at the latest."""
    found = figures(service)
    assert found.value("pws_ready") == 1
    assert found.value("pws_contacts", freshness="live") == 4
    return found


def _changed(service: Service) -> Figures:
    found = figures(service)
    assert found.value("pws_notification_lag_seconds_count") >= 1
    assert found.value("pws_event_loop_lag_seconds_count") >= 1
    return found


def _canary_was_seen(service: Service) -> Figures:
    found = figures(service)
    assert found.value("pws_canary_rounds_total", outcome="seen") >= 1
    return found


def _lint(body: str) -> None:
    """promtool finds nothing to say of names, types and help texts."""
    if shutil.which("promtool") is None:
        pytest.skip("needs Debian's prometheus (promtool)")
    done = subprocess.run(["promtool", "check", "metrics"], input=body.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
