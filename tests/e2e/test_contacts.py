"""Contacts that come and go while the service runs, over HTTP and by SIGHUP."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from tests.e2e.processes import eventually
from tests.e2e.simulated import NOTHING, Server, Service, configure


def contacts(service: Service) -> list[str]:
    return sorted(each["contact"] for each in service.site.get("/v1/presence").json["contacts"])


@pytest.mark.long(ci=True)
def test_contacts_are_added_and_removed_over_http(server: Server, tmp_path: Path) -> None:
    site = configure(tmp_path, server.port, watch='contacts = ["ann@example.com"]')
    with Service(tmp_path, site) as service:
        service.ready()
        answer = service.site.ask("POST", "/v1/contacts", {"contacts": ["rita@example.com"]})
        assert answer.json == {"added": ["rita@example.com"], "known": []}
        before = service.sees("rita@example.com", state="AVAILABLE", freshness="live")["revision"]
        server.put("rita@example.com", state="DND")
        assert service.sees("rita@example.com", state="DND")["revision"] > before
        assert service.site.ask("DELETE", "/v1/contacts/ann@example.com").status == 204
        assert contacts(service) == ["rita@example.com"]
        assert service.site.get("/v1/presence/ann@example.com").status == 404
        assert service.stop() == 0
    assert server.holds() == NOTHING


def test_sighup_reads_the_contacts_again_and_a_broken_file_changes_nothing(server: Server, tmp_path: Path) -> None:
    listed = tmp_path / "contacts.list"
    listed.write_text("ann@example.com\n")
    site = configure(tmp_path, server.port, watch='contacts_file = "contacts.list"')
    with Service(tmp_path, site) as service:
        service.ready()
        assert contacts(service) == ["ann@example.com"]
        listed.write_text('["joe@example.com", "no contact", "rita@example.com"]')
        service.signal(signal.SIGHUP)
        assert service.sees("joe@example.com", state="AVAILABLE", freshness="live")["freshness"] == "live"
        assert contacts(service) == ["joe@example.com", "rita@example.com"]
        eventually(lambda: told(service, "contacts_file entry 2: expected user@domain, found 'no contact'"))
        listed.write_text("no contact at all\n")
        service.signal(signal.SIGHUP)
        eventually(lambda: told(service, "contacts and keys stay as they are"))
        assert contacts(service) == ["joe@example.com", "rita@example.com"]
        listed.write_text("")
        service.signal(signal.SIGHUP)
        left = "has no contacts any more; watched no longer: joe@example.com, rita@example.com"
        eventually(lambda: told(service, left))
        assert contacts(service) == []
        assert service.stop() == 0
    assert server.holds() == NOTHING


def is_well(service: Service) -> None:
    """Nothing is wrong. A busy machine holds the service up for a moment, which it says."""
    assert service.site.get("/v1/status").json["problems"] == []


def told(service: Service, words: str) -> None:
    assert words in service.output, service.output


ODD: Final = ("o'neil@example.com", "r&d@example.com", "user@mail.example@im.example", "a=b$c,d+e?f@example.com")
"""What RFC 3261 allows in a user part, and user IDs that are e-mail addresses, as some clusters have them."""


@pytest.mark.parametrize("kind", ["BASIC_PRESENCE", "RICH_PRESENCE"])
def test_unusual_contacts_are_watched_like_others(server: Server, tmp_path: Path, kind: str) -> None:
    listed = ", ".join(f'"{contact}"' for contact in ODD)
    watch = f'contacts = [{listed}]\npresence_type = "{kind}"'
    site = configure(tmp_path, server.port, watch=watch)
    with Service(tmp_path, site) as service:
        service.ready()
        assert contacts(service) == sorted(ODD)
        for contact in ODD:
            server.put(quote(contact, safe=""), state="DND")
            service.sees(quote(contact, safe=""), state="DND", freshness="live")
        eventually(lambda: is_well(service))
        assert service.stop() == 0
    assert server.holds() == NOTHING
