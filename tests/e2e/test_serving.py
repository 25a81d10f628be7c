"""The whole, as an operator runs it: a server, `pws serve`, a change, a query, an end that leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Certificates, fingerprint
from tests.e2e.processes import eventually
from tests.e2e.simulated import EVERYTHING, NOTHING, Server, Service, configure


def follow_a_change(server: Server, service: Service) -> None:
    """From the first fetch over a change to a clean end."""
    server.control.ask("DELETE", "/control/counters")
    service.ready()
    assert service.sees("ann@example.com", state="AVAILABLE")["freshness"] == "live"
    assert server.holds() == EVERYTHING
    eventually(lambda: notified(server, 1))  # the one that comes with the subscription
    before = service.sees("ann@example.com")["revision"]
    server.put("Ann@Example.com", state="BUSY", activities=["busy", "on-the-phone"])
    seen = service.sees("ANN@example.com", state="BUSY", on_the_phone=True)
    assert seen["revision"] > before
    assert seen["source"] == "subscribed"
    assert service.site.get("/v1/summary").json["by_state"]["BUSY"] == 1
    assert service.stop() == 0
    assert server.holds() == NOTHING
    assert server.counters()["faults"] == {}
    assert "nothing of ours is left" in service.output


def notified(server: Server, least: int) -> None:
    """The simulator has sent so many notifications at least, and none in vain."""
    counts = server.counters()["notifications"]
    assert counts["sent"] >= least, counts
    assert counts["failed"] == 0, counts


def test_a_change_at_the_server_reaches_a_query_and_a_stop_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with Service(tmp_path, configure(tmp_path, server.port)) as service:
        follow_a_change(server, service)


def test_the_same_over_tls_with_a_private_authority(
    tls_server: Server, certificates: Certificates, tmp_path: Path
) -> None:
    tls_server.put("ann@example.com", state="AVAILABLE", activities=[])
    site = configure(tmp_path, tls_server.port, tls={"ca_file": certificates.authority})
    with Service(tmp_path, site) as service:
        follow_a_change(tls_server, service)


@pytest.mark.long(ci=True)
def test_the_same_with_a_pinned_certificate_that_is_signed_by_itself(
    certificates: Certificates, tmp_path: Path
) -> None:
    with Server(tmp_path, certificates.self_signed) as server:
        server.ready().put("ann@example.com", state="AVAILABLE", activities=[])
        site = configure(tmp_path, server.port, tls={"fingerprint": fingerprint(certificates.self_signed)})
        with Service(tmp_path, site) as service:
            follow_a_change(server, service)


@pytest.mark.long(ci=True)
def test_basic_presence_over_soap_1_2_with_the_live_wsdl(server: Server, tmp_path: Path) -> None:
    """The other way through every choice of the configuration."""
    site = configure(
        tmp_path,
        server.port,
        server=f'nodes = ["127.0.0.1:{server.port}"]\ntls = false\nwsdl = "live"\nsoap = "1.2"',
        watch='contacts = ["ann@example.com", "joe@example.com"]\npresence_type = "BASIC_PRESENCE"',
    )
    with Service(tmp_path, site) as service:
        service.ready()
        server.put("joe@example.com", state="DND", activities=["on-the-phone"])
        assert service.sees("joe@example.com", state="DND")["on_the_phone"] is None
        assert service.stop() == 0
    assert server.holds() == NOTHING


def test_every_contact_of_a_long_list_arrives(server: Server, tmp_path: Path) -> None:
    """More contacts than a request may name, and than zeep alone would read from a reply."""
    people = server.control.ask("POST", "/control/contacts", {"count": 250}).json["contacts"]
    names = ", ".join(f'"{contact}"' for contact in people)
    site = configure(tmp_path, server.port, watch=f"contacts = [{names}]")
    with Service(tmp_path, site) as service:
        service.ready()
        listed = service.site.get("/v1/presence?limit=1000&freshness=live").json["contacts"]
        assert {each["contact"] for each in listed} == set(people)
        assert all(each["state"] != "UNKNOWN" for each in listed)
        assert service.stop() == 0
    assert server.holds() == NOTHING


@pytest.mark.long(ci=True)
def test_ctrl_c_ends_it_as_cleanly(server: Server, tmp_path: Path) -> None:
    with Service(tmp_path, configure(tmp_path, server.port)) as service:
        service.ready()
        assert service.interrupt() == 0
    assert server.holds() == NOTHING
